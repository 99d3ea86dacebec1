"""Moments of von Mises and von Mises–Fisher laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import int64, uint64
from scipy.special import i0e

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.block_sums import (
    CHUNK,
    add_deviations,
    add_scaled,
    block_sums,
    moments_about,
    open_task,
)
from expfam_game.kernels.compiling import compiled, elementwise, reduction
from expfam_game.kernels.elementary import fast_exp, fast_log, sine_and_cosine, uniform_of
from expfam_game.kernels.random_words import LANES, STATE, WORDS, bits_of, double_of, fill_words, tosses
from expfam_game.kernels.samplers import fill_log_gamma, fill_normal, keep, propose_turns
from expfam_game.kernels.streams import StreamKey
from expfam_game.kernels.ziggurat import LAYERS, build_layers, propose_quarters

_WORTH_A_TABLE = 1 << 12
"""Samples per agent from which a ziggurat's table is worth its while."""

_WORTH_LAYERS = 1 << 12
"""Samples from which it is worth while to draw layer by layer."""

_ONE = np.uint64(0x3FF0000000000000)
_EDGE = 1.0 - 2.0**-48
"""The share of a rectangle beyond which no point is sure, so that a word of ones never is. Where a layer ends within this of
the next one, its sliver is drawn from the corner: the law is exact up to 2⁻⁴⁸."""

# ---------------------------------------------------------------------- von Mises


@reduction
def _add_turns(away: FloatArray, across: FloatArray, accepted: AnyArray, centre: float, out: FloatArray) -> None:
    """Sums of a = (1 − cos x) − centre and s = sin x, of a², s² and a s, over the accepted."""
    a1, s1, aa, ss, mixed = 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(away.size):
        a = away[j] - centre if accepted[j] else 0.0
        s = across[j] if accepted[j] else 0.0
        a1 += a
        s1 += s
        aa += a * a
        ss += s * s
        mixed += a * s
    out[0] += a1
    out[1] += s1
    out[2] += aa
    out[3] += ss
    out[4] += mixed


@elementwise
def _away_and_across(quarter: float) -> tuple[float, float]:
    """(1 − cos x)/8 and sin x/4 of an angle x given by its quarter."""
    sine, cosine = sine_and_cosine(quarter)
    half = sine * cosine
    return half * half, half - 2.0 * half * (sine * sine)


@reduction
def _add_quarters(quarter: FloatArray, out: FloatArray) -> None:
    """Sums of a = (1 − cos x)/8, s = sin x/4, a² and a s over angles x given by their quarters."""
    a1, s1, aa, mixed = 0.0, 0.0, 0.0, 0.0
    for j in range(quarter.size):
        a, s = _away_and_across(quarter[j])
        a1 += a
        s1 += s
        aa += a * a
        mixed += a * s
    out[0] += a1
    out[1] += s1
    out[2] += aa
    out[3] += mixed


@reduction
def _add_layer(words: AnyArray, outer: float, inner: float, out: FloatArray) -> int:
    """:func:`_add_quarters` of points placed evenly within ±outer, where they lie within ±inner; how many do.

    A point outside counts as an angle of zero, which adds nothing. So does a word of ones.
    """
    scale, shift, limit = 2.0 * outer, (3.0 - 2.0**-52) * outer, min(inner, _EDGE * outer)
    a1, s1, aa, mixed, inside = 0.0, 0.0, 0.0, 0.0, uint64(0)
    for j in range(words.size):
        place = double_of((words[j] >> uint64(12)) | _ONE) * scale - shift
        sure = abs(place) < limit
        inside += uint64(sure)
        a, s = _away_and_across(place if sure else 0.0)
        a1 += a
        s1 += s
        aa += a * a
        mixed += a * s
    out[0] += a1
    out[1] += s1
    out[2] += aa
    out[3] += mixed
    return int(int64(inside))


@reduction
def _add_narrow_layer(words: AnyArray, outer: float, inner: float, out: FloatArray) -> int:
    """:func:`_add_layer` for angles within ±π/2, whose halves need not be halved again: (1 − cos x)/2 = sin²(x/2)."""
    scale, shift, limit = 4.0 * outer, (6.0 - 2.0**-51) * outer, 2.0 * min(inner, _EDGE * outer)
    a1, s1, aa, mixed, inside = 0.0, 0.0, 0.0, 0.0, uint64(0)
    for j in range(words.size):
        place = double_of((words[j] >> uint64(12)) | _ONE) * scale - shift
        sure = abs(place) < limit
        inside += uint64(sure)
        sine, cosine = sine_and_cosine(place if sure else 0.0)
        a = sine * sine
        s = sine * cosine
        a1 += a
        s1 += s
        aa += a * a
        mixed += a * s
    out[0] += 0.25 * a1
    out[1] += 0.5 * s1
    out[2] += 0.0625 * aa
    out[3] += 0.125 * mixed
    return int(int64(inside))


@compiled
def _share_out(n: int, counts: IntArray, words: AnyArray, state: AnyArray) -> None:
    """How many of n points fall into each of the layers, equally likely: halved again and again by tosses of a coin."""
    counts[0], size = n, LAYERS
    while size > 1:
        half = size // 2
        for first in range(0, LAYERS, size):
            heads = tosses(counts[first], words, state)
            counts[first + half] = counts[first] - heads
            counts[first] = heads
        size = half


@compiled
def add_by_layers(
    n: int,
    width: FloatArray,
    counts: IntArray,
    words: AnyArray,
    coins: AnyArray,
    state: AnyArray,
    out: FloatArray,
) -> None:
    """:func:`_add_quarters` of n points of a ziggurat, layer by layer, except those not sure to lie under the density.

    ``counts`` becomes the number of those in each layer. All points of a layer have the same bounds: nothing to look up,
    and nothing to move. ``coins`` is a buffer that nothing else in the stream writes to.
    """
    _share_out(n, counts, coins, state)
    for layer in range(LAYERS):
        doubtful = 0
        for done in range(0, counts[layer], WORDS):
            m = min(WORDS, counts[layer] - done)
            rows = words[: (m + LANES - 1) // LANES * LANES]
            fill_words(rows, state)
            rows[m:] = ~uint64(0)
            outer, inner = width[layer], width[layer + 1]
            if outer <= 0.125 * math.pi:
                doubtful += m - _add_narrow_layer(rows, outer, inner, out)
            else:
                doubtful += m - _add_layer(rows, outer, inner, out)
        counts[layer] = doubtful


@reduction
def _add_corners(
    words: AnyArray,
    second: AnyArray,
    kappa: float,
    inner: FloatArray,
    outer: FloatArray,
    bottom: FloatArray,
    top: FloatArray,
    out: FloatArray,
) -> int:
    """:func:`_add_quarters` of points placed within boxes, where they lie under the density; how many do."""
    a1, s1, aa, mixed, inside = 0.0, 0.0, 0.0, 0.0, uint64(0)
    for j in range(words.size):
        a, s = _away_and_across(inner[j] + uniform_of(words[j]) * (outer[j] - inner[j]))
        under = bottom[j] + uniform_of(second[j]) * (top[j] - bottom[j]) < fast_exp(-8.0 * kappa * a)
        inside += uint64(under)
        a = a if under else 0.0
        s = double_of(bits_of(s) ^ (words[j] << uint64(63))) if under else 0.0
        a1 += a
        s1 += s
        aa += a * a
        mixed += a * s
    out[0] += a1
    out[1] += s1
    out[2] += aa
    out[3] += mixed
    return int(int64(inside))


@compiled
def add_corners(
    kappa: float,
    counts: IntArray,
    width: FloatArray,
    height: FloatArray,
    words: AnyArray,
    second: AnyArray,
    corners: FloatArray,
    state: AnyArray,
    out: FloatArray,
) -> int:
    """:func:`_add_quarters` of points of what each layer has beyond the next, ``counts`` in all; how many are rejected."""
    inner, outer, bottom, top = corners[0], corners[1], corners[2], corners[3]
    rejected, layer, m = 0, 0, 0
    while layer < LAYERS:
        take = min(counts[layer], WORDS - m)
        for t in range(m, m + take):
            inner[t], outer[t] = width[layer + 1], width[layer]
            bottom[t], top[t] = height[layer], height[layer + 1]
        counts[layer] -= take
        m += take
        if counts[layer] == 0:
            layer += 1
        if m == WORDS or layer == LAYERS:
            size = (m + LANES - 1) // LANES * LANES
            bottom[m:size], top[m:size] = 2.0, 2.0  # above the density
            fill_words(words[:size], state)
            fill_words(second[:size], state)
            boxes = inner[:size], outer[:size], bottom[:size], top[:size]
            rejected += m - _add_corners(words[:size], second[:size], kappa, *boxes, out)
            m = 0
    return rejected


@compiled
def _add_from_quarters(direct: FloatArray, n: int, centre: float, out: FloatArray) -> None:
    """Sums as of :func:`_add_turns` from those of :func:`_add_quarters` over n angles: s² = a (2 − a)."""
    a1, s1, aa, mixed = 8.0 * direct[0], 4.0 * direct[1], 64.0 * direct[2], 32.0 * direct[3]
    out[0] += a1 - n * centre
    out[1] += s1
    out[2] += aa - 2.0 * centre * a1 + n * centre * centre
    out[3] += 2.0 * a1 - aa
    out[4] += mixed - centre * s1


@compiled
def von_mises_kernel(
    start: int,
    stop: int,
    plan: IntArray,
    key: Any,
    kappa: FloatArray,
    area: FloatArray,
    centre: FloatArray,
    out: FloatArray,
) -> None:
    """Angles about the mean direction."""
    state, words, second = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    turns, flags, corners = np.empty((2, WORDS)), np.empty(WORDS, np.uint64), np.zeros((4, WORDS))
    width, height, built_for = np.empty(LAYERS + 1), np.empty(LAYERS + 1), -1
    counts, direct, coins = np.empty(LAYERS, np.int64), np.empty(4), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        k, middle, left = kappa[agent], centre[agent], n
        if plan[0] < _WORTH_A_TABLE:
            while left > 0:
                m, count = propose_turns(k, left, words, second, turns[0], turns[1], flags, state)
                _add_turns(turns[0, :m], turns[1, :m], flags[:m], middle, out[task])
                left -= count
            continue
        if agent != built_for:
            build_layers(k, area[agent], width, height)
            built_for = agent
        direct[:] = 0.0
        if left >= _WORTH_LAYERS:
            add_by_layers(left, width, counts, words, coins, state, direct)
            left = add_corners(k, counts, width, height, words, second, corners, state, direct)
        while left > 0:
            m = propose_quarters(k, left, width, height, words, flags, corners[:3], turns[0], state)
            count = min(m, left)
            _add_quarters(turns[0, :count], direct)
            left -= count
        _add_from_quarters(direct, n, middle, out[task])


def von_mises_moments(
    direction: FloatArray, kappa: FloatArray, complement: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (cos x, sin x), for unit mean directions (agents, 2), κ and the exact 1 − E cos about them, both (agents,)."""
    parameters = np.ascontiguousarray(kappa), np.pi * i0e(kappa), np.ascontiguousarray(complement)
    a1, s1, aa, ss, mixed = block_sums(von_mises_kernel, n, key, len(kappa), 5, *parameters).T
    away, across = a1 / n, s1 / n
    aa, ss, mixed = aa - a1 * away, ss - s1 * across, 2.0 * (mixed - a1 * across)
    along, (c, s) = 1.0 - (complement + away), direction.T
    cc, cs, s_s = c * c, c * s * mixed, s * s
    mean, scatter = np.empty_like(direction), np.empty_like(direction)
    mean[:, 0], mean[:, 1] = c * along - s * across, s * along + c * across
    scatter[:, 0], scatter[:, 1] = cc * aa + s_s * ss + cs, s_s * aa + cc * ss - cs
    return mean, np.maximum(scatter, 0.0)


# ---------------------------------------------------------------------- von Mises–Fisher


@elementwise
def _propose_angles(
    first: FloatArray,
    second: FloatArray,
    words: AnyArray,
    kappa: float,
    b: float,
    d: int,
    away: FloatArray,
    across: FloatArray,
    accepted: AnyArray,
) -> None:
    """Wood's candidates tan²(angle/2) = b r, r the ratio of two Gamma((d − 1)/2) variates given by their logarithms."""
    root, peak = 2.0 * math.sqrt(b), 1.0 / (1.0 + b)
    for j in range(away.size):
        half = fast_exp(0.5 * (first[j] - second[j]))
        r = half * half
        norm = 1.0 / (1.0 + b * r)
        y = r * norm
        away[j] = 2.0 * b * y
        across[j] = root * half * norm
        shape = (d - 1.0) * fast_log(0.5 * (1.0 + b) * (1.0 + (1.0 - b) * y))
        accepted[j] = uint64(fast_log(uniform_of(words[j])) < 2.0 * kappa * b * (peak - y) + shape)


@elementwise
def _add_square(z: FloatArray, total: FloatArray) -> None:
    for j in range(z.size):
        total[j] += z[j] * z[j]


@elementwise
def _stretch(z: FloatArray, length: FloatArray, square: FloatArray) -> None:
    for j in range(z.size):
        z[j] *= length[j] / math.sqrt(square[j])


@elementwise
def _centre_away(away: FloatArray, centre: float, out: FloatArray) -> None:
    for j in range(away.size):
        out[j] = centre - away[j]


@compiled
def _heights(
    kappa: float, d: int, wanted: int, buffers: FloatArray, words: AnyArray, accepted: AnyArray, state: AnyArray
) -> Any:
    """1 − cos and sin of angles to the mean direction, at most ``wanted``, in the first two buffers; their number."""
    b = (d - 1.0) / (2.0 * kappa + math.sqrt(4.0 * kappa**2 + (d - 1.0) ** 2))
    size = min(CHUNK, int(wanted / 0.6) + 16)
    even = size + (size & 1)
    away, across = buffers[3, :size], buffers[4, :size]
    first, second, z = buffers[5, :size], buffers[6, :size], buffers[2]
    fill_log_gamma(first, 0.5 * (d - 1.0), z, words, accepted, state)
    fill_log_gamma(second, 0.5 * (d - 1.0), z, words, accepted, state)
    fill_words(words[:even], state)
    _propose_angles(first, second, words[:size], kappa, b, d, away, across, accepted[:size])
    m = min(wanted, int64(accepted[:size].sum()))
    keep(away, accepted[:size], buffers[0, :m], 0)
    keep(across, accepted[:size], buffers[1, :m], 0)
    return m


@compiled
def fill_sphere(
    direction: FloatArray,
    kappa: float,
    centre: float,
    wanted: int,
    x: FloatArray,
    buffers: FloatArray,
    words: AnyArray,
    accepted: AnyArray,
    state: AnyArray,
) -> Any:
    """Deviations of at most ``wanted`` unit vectors from their mean, in the columns of ``x``; their number.

    Drawn about the first axis, then turned by the reflection that takes it to ± the direction; needs seven buffers.
    """
    d = direction.size
    away, across, square = buffers[0], buffers[1], buffers[2]
    m = _heights(kappa, d, wanted, buffers, words, accepted, state)
    square[:m] = 0.0
    even = m + (m & 1)
    for i in range(1, d):
        fill_normal(x[i, :even], words[:even], state)
        _add_square(x[i, :m], square[:m])
    for i in range(1, d):
        _stretch(x[i, :m], across[:m], square[:m])
    _centre_away(away[:m], centre, x[0, :m])
    sign = -1.0 if direction[0] < 0.0 else 1.0
    scale = 2.0 / ((direction**2).sum() + 2.0 * sign * direction[0] + 1.0)
    square[:m] = 0.0
    add_scaled(square[:m], x[0, :m], scale * (direction[0] + sign))
    for i in range(1, d):
        add_scaled(square[:m], x[i, :m], scale * direction[i])
    add_scaled(x[0, :m], square[:m], -(direction[0] + sign))
    for i in range(1, d):
        add_scaled(x[i, :m], square[:m], -direction[i])
    return m


@compiled
def sphere_kernel(
    start: int,
    stop: int,
    plan: IntArray,
    key: Any,
    direction: FloatArray,
    kappa: FloatArray,
    centre: FloatArray,
    out: FloatArray,
) -> None:
    """Deviations of x from its mean."""
    d = direction.shape[1]
    state, buffers, x = np.empty(STATE, np.uint64), np.empty((7, WORDS)), np.empty((d, CHUNK))
    words, accepted = np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        done = 0
        while done < n:
            m = fill_sphere(direction[agent], kappa[agent], centre[agent], n - done, x, buffers, words, accepted, state)
            for i in range(d):
                add_deviations(x[i, :m], 0.0, out[task], i)
            done += m


def sphere_moments(
    direction: FloatArray, kappa: FloatArray, complement: FloatArray, mean: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of unit vectors: mean directions and exact means (agents, d), κ and the exact 1 − ⟨u, E x⟩, both (agents,)."""
    parameters = (np.ascontiguousarray(part) for part in (direction, kappa, complement))
    sums = block_sums(sphere_kernel, n, key, len(kappa), 2 * direction.shape[1], *parameters)
    sign = np.where(direction[:, :1] < 0.0, 1.0, -1.0)  # the reflection takes the axis to −sign u
    deviation, scatter = moments_about(np.zeros(1), sums[:, 0::2], sums[:, 1::2], n)
    return mean + sign * deviation, scatter
