"""The von Mises law by a ziggurat: for many samples of one concentration, which pay for its table.

The density f(x) = exp(−κ (1 − cos x)) on [0, π], at most 1, is covered by 256 rectangles of equal area, one on top of
the other: rectangle i reaches from height y_i to y_(i+1), and as far as f reaches at y_i. A point of a rectangle is
sure to lie under the density if it lies left of where the next rectangle ends; that decides on all but two or three in
a hundred with one random word and no function (G. Marsaglia & W. W. Tsang, "The ziggurat method for generating random
variables", J. Stat. Softw. 5 (2000) 8). As the angle is bounded, there is no tail, whatever κ.

Angles are kept as quarters q = x/4, within ±π/4, where sine and cosine are short polynomials.
"""

from __future__ import annotations

import math

import numpy as np
from numba import uint64

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.kernels.compaction import close_gaps, gather, positions
from expfam_game.kernels.compiling import compiled, elementwise
from expfam_game.kernels.elementary import fast_exp, sine_and_cosine, uniform_of
from expfam_game.kernels.random_words import bits_of, double_of, fill_words
from expfam_game.kernels.samplers import candidates

LAYERS = 256
"""Rectangles: the low eight bits of a word choose one."""

_EXCESS = 0.0125
"""How much larger than the area under the density the rectangles are: enough for all κ up to 1e10, where 0.0121 is."""

_SIGN = np.uint64(256)
_LAYER = np.uint64(LAYERS - 1)


@compiled
def build_layers(kappa: float, area: float, width: FloatArray, height: FloatArray) -> None:
    """Where the rectangles end (as quarter angles) and begin (heights), LAYERS + 1 each; ``area`` is π exp(−κ) I₀(κ)."""
    excess = _EXCESS
    width[0], height[0], height[LAYERS] = 0.25 * math.pi, 0.0, 0.0
    while height[LAYERS] < 1.0:
        each = 0.25 * area * (1.0 + excess) / LAYERS
        for i in range(LAYERS):
            height[i + 1] = height[i] + (each / width[i] if width[i] > 0.0 else 0.0)
            level = -math.log(height[i + 1])
            if level <= 0.0:
                width[i + 1] = 0.0  # above the density: whatever falls here is rejected
            elif level >= 2.0 * kappa:
                width[i + 1] = 0.25 * math.pi
            else:
                width[i + 1] = 0.5 * math.asin(math.sqrt(level / (2.0 * kappa)))
        excess *= 2.0


@elementwise
def _propose_quarters(words: AnyArray, width: FloatArray, quarter: FloatArray, doubtful: AnyArray) -> None:
    """The high 52 bits place a point in the rectangle that the low eight choose; the ninth is the sign of the angle."""
    for j in range(words.size):
        word = words[j]
        layer = word & _LAYER
        q = uniform_of(word) * width[layer]
        quarter[j] = double_of(bits_of(q) | ((word & _SIGN) << uint64(55)))
        doubtful[j] = uint64(q >= width[layer + uint64(1)])


@compiled
def _look_up(doubtful: AnyArray, words: AnyArray, height: FloatArray, quarter: FloatArray, points: FloatArray) -> None:
    """The angle, the bottom of the rectangle and its height, for each doubtful point."""
    for t in range(doubtful.size):
        place = doubtful[t]
        layer = words[place] & _LAYER
        points[0, t] = quarter[place]
        points[1, t] = height[layer]
        points[2, t] = height[layer + uint64(1)] - height[layer]


@elementwise
def _reject_quarters(quarter: FloatArray, bottom: FloatArray, rise: FloatArray, words: AnyArray, kappa: float) -> None:
    """Replace words, which place the points in their rectangles from bottom to top, by whether they are too high."""
    for j in range(quarter.size):
        sine, cosine = sine_and_cosine(quarter[j])
        half = 2.0 * (sine * cosine)
        density = fast_exp(-2.0 * kappa * (half * half))
        words[j] = uint64(not (bottom[j] + uniform_of(words[j]) * rise[j] < density))


@compiled
def propose_quarters(
    kappa: float,
    wanted: int,
    width: FloatArray,
    height: FloatArray,
    words: AnyArray,
    flags: AnyArray,
    points: FloatArray,
    quarter: FloatArray,
    state: AnyArray,
) -> int:
    """Fill the front of ``quarter`` with quarters of von Mises angles about 0; their number.

    About as many as wanted, perhaps more or fewer; all buffers have length WORDS, and ``points`` has three rows of it.
    """
    m = candidates(wanted, 0.98)
    fill_words(words[:m], state)
    _propose_quarters(words[:m], width, quarter[:m], flags[:m])
    doubtful = flags[: positions(flags[:m])]
    _look_up(doubtful, words, height, quarter, points)
    padded = min(m, (doubtful.size | 31) + 1)  # whole vectors: what follows the doubtful ones does not matter
    fill_words(words[:padded], state)
    _reject_quarters(points[0, :padded], points[1, :padded], points[2, :padded], words[:padded], kappa)
    rejected = words[: positions(words[: doubtful.size])]
    gather(doubtful, rejected)
    return close_gaps(quarter[:m], doubtful[: rejected.size])
