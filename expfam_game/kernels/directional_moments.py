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
from expfam_game.kernels.random_words import STATE, WORDS, fill_words
from expfam_game.kernels.samplers import fill_log_gamma, fill_normal, keep, propose_turns
from expfam_game.kernels.streams import StreamKey
from expfam_game.kernels.ziggurat import LAYERS, build_layers, propose_quarters

_WORTH_A_TABLE = 1 << 12
"""Samples per agent from which a ziggurat's table is worth its while."""

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


@reduction
def _add_quarters(quarter: FloatArray, centre: float, out: FloatArray) -> None:
    """:func:`_add_turns` for quarters of the angles."""
    a1, s1, aa, ss, mixed = 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(quarter.size):
        sine, cosine = sine_and_cosine(quarter[j])
        half = 2.0 * (sine * cosine)
        a = 2.0 * (half * half) - centre
        s = 2.0 * half * (1.0 - 2.0 * (sine * sine))
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
    turns, flags, points = np.empty((2, WORDS)), np.empty(WORDS, np.uint64), np.zeros((3, WORDS))
    width, height, built_for = np.empty(LAYERS + 1), np.empty(LAYERS + 1), -1
    for task in range(start, stop):
        agent, left = open_task(task, plan, key, state)
        k, middle = kappa[agent], centre[agent]
        layered = plan[0] >= _WORTH_A_TABLE
        if layered and agent != built_for:
            build_layers(k, area[agent], width, height)
            built_for = agent
        while left > 0:
            if layered:
                m = propose_quarters(k, left, width, height, words, flags, points, turns[0], state)
                count = min(m, left)
                _add_quarters(turns[0, :count], middle, out[task])
            else:
                m, count = propose_turns(k, left, words, second, turns[0], turns[1], flags, state)
                _add_turns(turns[0, :m], turns[1, :m], flags[:m], middle, out[task])
            left -= count


def von_mises_moments(
    direction: FloatArray, kappa: FloatArray, complement: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (cos x, sin x), for unit mean directions (agents, 2), κ and the exact 1 − E cos about them, both (agents,)."""
    parameters = np.ascontiguousarray(kappa), np.pi * i0e(kappa), np.ascontiguousarray(complement)
    a1, s1, aa, ss, mixed = block_sums(von_mises_kernel, n, key, len(kappa), 5, *parameters).T
    away, across = complement + a1 / n, s1 / n
    aa, ss, mixed = aa - a1 * (a1 / n), ss - s1 * (s1 / n), mixed - a1 * (s1 / n)
    turned = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    mean = direction * (1.0 - away)[:, None] + turned * across[:, None]
    scatter = direction**2 * aa[:, None] + turned**2 * ss[:, None] - 2.0 * direction * turned * mixed[:, None]
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
