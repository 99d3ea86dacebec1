"""Samplers of continuous laws that fill buffers: exponential, normal, log-Gamma, von Mises.

Every loop over a buffer is free of branches, so that LLVM vectorises it; rejection samplers propose a whole buffer,
look again at the few candidates that are not sure to be accepted, and close the gaps. Uniform numbers are
(k + ½)/2^52: never 0 or 1. Their finite resolution cuts the exponential law off at 36.7 and the normal law at 8.57,
beyond which lie less than 2^-52 of either.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import int64, uint64

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.kernels.compaction import close_gaps, gather, positions
from expfam_game.kernels.compiling import compiled, elementwise
from expfam_game.kernels.elementary import fast_log, quarter_turn, uniform_of
from expfam_game.kernels.random_words import WORDS, bits_of, double_of, fill_words


@elementwise
def fill_exponential(out: FloatArray, words: AnyArray, state: AnyArray) -> None:
    """Standard exponentials; ``words`` has the length of ``out``."""
    fill_words(words, state)
    for j in range(out.size):
        out[j] = -fast_log(uniform_of(words[j]))


@elementwise
def fill_normal(out: FloatArray, words: AnyArray, state: AnyArray) -> None:
    """Standard normals by Box and Muller: two words make two; ``words`` has the length of ``out``, which is even."""
    fill_words(words, state)
    half = out.size // 2
    first, second = words[:half], words[half:]
    x, y = out[:half], out[half:]
    for j in range(half):
        radius = math.sqrt(-2.0 * fast_log(uniform_of(first[j])))
        word = second[j]
        sine, cosine = quarter_turn(word)
        swap = (word >> uint64(62)) & uint64(1)
        radius = double_of(bits_of(radius) ^ (word & uint64(0x8000000000000000)))
        x[j] = radius * (cosine if swap else sine)
        y[j] = radius * (sine if swap else cosine)


@elementwise
def _propose_roots(
    z: FloatArray, words: AnyArray, c: float, steep: float, root: FloatArray, doubtful: AnyArray
) -> None:
    """Marsaglia and Tsang's candidates v = 1 + c z, and whether they may have to be rejected."""
    for j in range(z.size):
        x = z[j]
        square = x * x
        root[j] = 1.0 + c * x
        doubtful[j] = uint64(uniform_of(words[j]) > 1.0 - steep * (square * square))


@elementwise
def _reject(z: FloatArray, words: AnyArray, d: float, c: float) -> None:
    """Replace words by whether not log u < z²/2 + d (1 − v³ + 3 log v)."""
    for j in range(z.size):
        x = z[j]
        v = 1.0 + c * x
        positive = v > 0.0
        bound = 0.5 * x * x + d * (1.0 - v * v * v + 3.0 * fast_log(v if positive else 1.0))
        words[j] = uint64(not (positive and fast_log(uniform_of(words[j])) < bound))


@compiled
def candidates(wanted: int, acceptance: float) -> int:
    """How many candidates to propose: as many as probably needed, a multiple of 32, at most a buffer."""
    return min(WORDS, (int(wanted / acceptance + 3.0 * math.sqrt(wanted)) | 31) + 1)


@compiled
def keep(values: FloatArray, accepted: AnyArray, out: FloatArray, done: int) -> Any:
    """Write the accepted values behind the first ``done`` of ``out`` until it is full; the number written so far."""
    position = uint64(done)
    surely = min(values.size, out.size - done)  # so many can be written without looking at the end
    for j in range(surely):
        out[position] = values[j]
        position += accepted[j]
    for j in range(surely, values.size):
        if position == uint64(out.size):
            break
        out[position] = values[j]
        position += accepted[j]
    return int64(position)


@compiled
def propose_roots(
    d: float, wanted: int, z: FloatArray, words: AnyArray, flags: AnyArray, root: FloatArray, state: AnyArray
) -> int:
    """Fill the front of ``root`` with v, for which d v³ is a standard Gamma variate of shape d + 1/3 ≥ 1; their number.

    About as many as wanted, perhaps more or fewer; all buffers have length WORDS.

    A candidate v = 1 + c z with a normal z is accepted with probability exp(−d r(t)), for a function r of t = c z alone.
    Marsaglia and Tsang (2000) show that this is at least 1 − 0.0331 z⁴ for d ≥ 2/3, which spares most logarithms. As
    z⁴ = 81 d² t⁴ and (1 − exp(−d r))/d falls with d, so does d (1 − exp(−d r))/z⁴: it is at least 1 − 0.0331 (2/3)/d z⁴.
    """
    c = 1.0 / math.sqrt(9.0 * d)
    m = candidates(wanted, 1.0 - 0.034 / d)
    fill_normal(z[:m], words[:m], state)
    fill_words(words[:m], state)
    _propose_roots(z[:m], words[:m], c, 0.0331 * (2.0 / 3.0) / d, root[:m], flags[:m])
    doubtful = flags[: positions(flags[:m])]
    k = doubtful.size
    gather(z, doubtful)
    gather(words, doubtful)
    padded = min(m, (k | 31) + 1)  # whole vectors: what follows the doubtful ones does not matter
    _reject(z[:padded], words[:padded], d, c)
    rejected = words[: positions(words[:k])]
    gather(doubtful, rejected)
    return close_gaps(root[:m], doubtful[: rejected.size])


@compiled
def fill_roots(out: FloatArray, d: float, z: FloatArray, words: AnyArray, flags: AnyArray, state: AnyArray) -> None:
    """:func:`propose_roots` until ``out`` is full."""
    root, done = np.empty(WORDS), 0
    while done < out.size:
        m = min(propose_roots(d, out.size - done, z, words, flags, root, state), out.size - done)
        out[done : done + m] = root[:m]
        done += m


@elementwise
def _cube_logarithms(root: FloatArray, log_d: float) -> None:
    for j in range(root.size):
        root[j] = log_d + 3.0 * fast_log(root[j])


@compiled
def fill_log_gamma(
    out: FloatArray, shape: float, z: FloatArray, words: AnyArray, accepted: AnyArray, state: AnyArray
) -> None:
    """log x of standard Gamma variates of any shape; the other buffers are work space of length WORDS.

    Shapes below one by log Gamma(a + 1) + log(u)/a (Marsaglia and Tsang 2000, §6): in logarithms nothing underflows.
    """
    small = shape < 1.0
    d = (shape + 1.0 if small else shape) - 1.0 / 3.0
    fill_roots(out, d, z, words, accepted, state)
    _cube_logarithms(out, math.log(d))
    if small:
        for first in range(0, out.size, WORDS):
            rest = out[first : first + WORDS]
            used = words[: rest.size + (rest.size & 1)]
            fill_words(used, state)
            _boost(rest, used, 1.0 / shape)


@elementwise
def _boost(out: FloatArray, words: AnyArray, power: float) -> None:
    for j in range(out.size):
        out[j] += power * fast_log(uniform_of(words[j]))


@elementwise
def _turns(
    first: AnyArray, second: AnyArray, kappa: float, b: float, away: FloatArray, across: FloatArray, accepted: AnyArray
) -> None:
    """Best and Fisher's envelope, a wrapped Cauchy law, in half-angles h: tan h = √b tan(uniform).

    With s, c the sine and cosine of the uniform angle and y = s²/(c² + b s²): 1 − cos x = 2 b y,
    sin x = 2 √b s c/(c² + b s²), and the ratio of the densities is
    exp(2 κ b (1/(1 + b) − y)) ½ (1 + b)(1 + (1 − b) y). Nothing cancels at any κ.
    """
    root, peak = 2.0 * math.sqrt(b), 1.0 / (1.0 + b)
    for j in range(first.size):
        word = first[j]
        s0, c0 = quarter_turn(word)
        swap = (word >> uint64(62)) & uint64(1)
        s, c = (c0 if swap else s0), (s0 if swap else c0)
        norm = 1.0 / (c * c + b * (s * s))
        y = s * s * norm
        ratio = 0.5 * (1.0 + b) * (1.0 + (1.0 - b) * y)
        sine = root * s * c * norm
        away[j] = 2.0 * b * y
        across[j] = double_of(bits_of(sine) ^ (word & uint64(0x8000000000000000)))
        accepted[j] = uint64(fast_log(uniform_of(second[j]) / ratio) < 2.0 * kappa * b * (peak - y))


@compiled
def propose_turns(
    kappa: float,
    wanted: int,
    words: AnyArray,
    second: AnyArray,
    away: FloatArray,
    across: FloatArray,
    accepted: AnyArray,
    state: AnyArray,
) -> tuple[int, int]:
    """Candidates for 1 − cos x and sin x of von Mises angles x about 0, of which at most ``wanted`` are accepted.

    Returns how many candidates there are and how many are accepted; all buffers have length WORDS. The accepted ones
    are left in their places: what they are needed for is a sum, which skips the others faster than they could be moved.
    """
    b = 1.0 / (2.0 * kappa + math.sqrt(4.0 * kappa * kappa + 1.0))
    m = candidates(wanted, 0.65)
    fill_words(words[:m], state)
    fill_words(second[:m], state)
    _turns(words[:m], second[:m], kappa, b, away[:m], across[:m], accepted[:m])
    count = int64(accepted[:m].sum())
    j = m
    while count > wanted:
        j -= 1
        count -= int64(accepted[j])
        accepted[j] = 0
    return m, count
