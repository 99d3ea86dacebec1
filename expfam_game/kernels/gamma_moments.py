"""Moments of exponential, Gamma, Beta and Dirichlet laws, in log-space."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.block_sums import (
    CHUNK,
    add_deviations,
    block_sums,
    moments_about,
    open_task,
)
from expfam_game.kernels.compiling import compiled, elementwise, reduction
from expfam_game.kernels.elementary import fast_exp, fast_log, fast_log1p, uniform_of
from expfam_game.kernels.philox import STATE, WORDS, fill_words
from expfam_game.kernels.samplers import fill_exponential, fill_log_gamma, propose_roots
from expfam_game.kernels.streams import StreamKey

# ---------------------------------------------------------------------- exponential and Gamma laws


@compiled
def exponential_kernel(start: int, stop: int, plan: IntArray, key: Any, out: FloatArray) -> None:
    """Sums for standard exponentials."""
    state, words, x = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    for task in range(start, stop):
        _, n = open_task(task, plan, key, state)
        for done in range(0, n, WORDS):
            m = min(WORDS, n - done)
            fill_exponential(x[: m + (m & 1)], words[: m + (m & 1)], state)
            add_deviations(x[:m], 1.0, out[task], 0)


def exponential_moments(scale: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
    """Of exponential laws with mean ``scale``, shape (agents, 1)."""
    sums = block_sums(exponential_kernel, n, key, len(scale), 2)
    mean, scatter = moments_about(np.ones(1), sums[:, :1], sums[:, 1:], n)
    return scale * mean, scale * (scale * scatter)


@reduction
def _add_roots(root: FloatArray, d: float, centre: float, shape: float, out: FloatArray) -> None:
    """Sums of a = 3 log v − centre and x = d v³ − shape, and of their squares."""
    a1, aa, x1, xx = 0.0, 0.0, 0.0, 0.0
    for j in range(root.size):
        v = root[j]
        a = 3.0 * fast_log(v) - centre
        x = d * (v * v * v) - shape
        a1 += a
        aa += a * a
        x1 += x
        xx += x * x
    out[0] += a1
    out[1] += aa
    out[2] += x1
    out[3] += xx


@elementwise
def _exponentials(out: FloatArray, x: FloatArray) -> None:
    for j in range(x.size):
        out[j] = fast_exp(x[j])


@compiled
def gamma_kernel(
    start: int, stop: int, plan: IntArray, key: Any, shape: FloatArray, mean_log: FloatArray, out: FloatArray
) -> None:
    """Sums for (log x, x) of standard Gamma laws."""
    state, words, flags = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    z, v, x = np.empty(WORDS), np.empty(WORDS), np.empty(WORDS)
    for task in range(start, stop):
        agent, left = open_task(task, plan, key, state)
        a, centre = shape[agent], mean_log[agent]
        d = a - 1.0 / 3.0
        while left > 0:
            if a >= 1.0:
                m = min(left, propose_roots(d, left, z, words, flags, v, state))
                _add_roots(v[:m], d, centre - math.log(d), a, out[task])
            else:  # x may underflow, its logarithm does not
                m = min(left, CHUNK)
                fill_log_gamma(v[:m], a, z, words, flags, state)
                _exponentials(x[:m], v[:m])
                add_deviations(v[:m], centre, out[task], 0)
                add_deviations(x[:m], a, out[task], 1)
            left -= m


def gamma_moments(
    shape: FloatArray, rate: FloatArray, mean: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (log x, x), for shapes and rates (agents,) and the exact means (agents, 2)."""
    scale = np.stack([np.ones_like(rate), 1.0 / rate], axis=1)
    standard = np.ascontiguousarray(mean[:, 0] + np.log(rate))
    sums = block_sums(gamma_kernel, n, key, len(shape), 4, np.ascontiguousarray(shape), standard)
    deviation, scatter = moments_about(np.zeros(1), sums[:, 0::2], sums[:, 1::2], n)
    return mean + scale * deviation, scale * (scale * scatter)


# ---------------------------------------------------------------------- Dirichlet and Beta


@elementwise
def _raise_top(row: FloatArray, c: int, top: FloatArray, which: FloatArray) -> None:
    for j in range(row.size):
        higher = row[j] > top[j]
        top[j] = row[j] if higher else top[j]
        which[j] = c if higher else which[j]


@elementwise
def _add_share(row: FloatArray, c: int, top: FloatArray, which: FloatArray, rest: FloatArray) -> None:
    for j in range(row.size):
        gap = row[j] - top[j]
        row[j] = gap
        rest[j] += fast_exp(gap) if which[j] != c else 0.0


@elementwise
def _log1p(x: FloatArray) -> None:
    for j in range(x.size):
        x[j] = fast_log1p(x[j])


@elementwise
def _subtract(row: FloatArray, by: FloatArray) -> None:
    for j in range(row.size):
        row[j] -= by[j]


@compiled
def _normalise(log_x: FloatArray, m: int, top: FloatArray, rest: FloatArray, which: FloatArray) -> None:
    """log x_c less log Σ exp(log x_c), as (log x_c − top) − log1p(Σ of the others relative to the top).

    Of the first m columns. So the logarithm of a share close to one is accurate, and nothing underflows where all shares are tiny.
    """
    top[:] = log_x[0, :m]  # rows are cut one by one: a slice of all rows would not be contiguous
    which[:] = 0.0
    rest[:] = 0.0
    for c in range(1, log_x.shape[0]):
        _raise_top(log_x[c, :m], c, top, which)
    for c in range(log_x.shape[0]):
        _add_share(log_x[c, :m], c, top, which, rest)
    _log1p(rest)
    for c in range(log_x.shape[0]):
        _subtract(log_x[c, :m], rest)


@elementwise
def _add_from_roots(row: FloatArray, weight: float, total: FloatArray) -> None:
    """Add weight v³ to the total, and replace v by 3 log v."""
    for j in range(row.size):
        v = row[j]
        total[j] += weight * (v * v * v)
        row[j] = 3.0 * fast_log(v)


@elementwise
def _add_boosted(row: FloatArray, words: AnyArray, power: float, weight: float, total: FloatArray) -> None:
    """:func:`_add_from_roots` for a shape below one, 1/power, whose variates are d v³ u^power."""
    for j in range(row.size):
        log_x = 3.0 * fast_log(row[j]) + power * fast_log(uniform_of(words[j]))
        total[j] += weight * fast_exp(log_x)
        row[j] = log_x


@elementwise
def _logarithms(x: FloatArray) -> None:
    for j in range(x.size):
        x[j] = fast_log(x[j])


@reduction
def _add_differences(row: FloatArray, other: FloatArray, centre: float, out: FloatArray, k: int) -> None:
    """:func:`add_deviations` of ``row`` less ``other``."""
    first, second = 0.0, 0.0
    for j in range(row.size):
        deviation = (row[j] - other[j]) - centre
        first += deviation
        second += deviation * deviation
    out[2 * k] += first
    out[2 * k + 1] += second


@compiled
def _add_plain_shares(
    alpha: FloatArray,
    centre: FloatArray,
    n: int,
    log_x: FloatArray,
    total: FloatArray,
    z: FloatArray,
    words: AnyArray,
    flags: AnyArray,
    state: AnyArray,
    out: FloatArray,
) -> None:
    """Sums of n log shares, as the logarithms of Gamma variates less that of their sum, in units of its mean.

    Where no share is nearly certain, and one concentration is not small, so that not all variates underflow.
    """
    d = np.where(alpha < 1.0, alpha + 1.0, alpha) - 1.0 / 3.0
    weight = d / alpha.sum()
    left = n
    while left > 0:
        m = left
        for c in range(alpha.size):
            m = min(m, propose_roots(d[c], left, z, words, flags, log_x[c], state))
        total[:m] = 0.0
        for c in range(alpha.size):
            row = log_x[c, :m]
            if alpha[c] >= 1.0:
                _add_from_roots(row, weight[c], total[:m])
            else:
                fill_words(words[:m], state)
                _add_boosted(row, words[:m], 1.0 / alpha[c], weight[c], total[:m])
        _logarithms(total[:m])
        for c in range(alpha.size):
            _add_differences(log_x[c, :m], total[:m], centre[c] - math.log(weight[c]), out, c)
        left -= m


@compiled
def dirichlet_kernel(
    start: int, stop: int, plan: IntArray, key: Any, alpha: FloatArray, centre: FloatArray, out: FloatArray
) -> None:
    """Sums for log x of Dirichlet laws."""
    state, words, flags = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    k = alpha.shape[1]
    z, log_x, which = np.empty(WORDS), np.empty((k, WORDS)), np.empty(CHUNK)
    top, rest = np.empty(WORDS), np.empty(CHUNK)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        if alpha[agent].max() > 0.25 and centre[agent].max() < -1e-6:
            _add_plain_shares(alpha[agent], centre[agent], n, log_x, top, z, words, flags, state, out[task])
            continue
        for done in range(0, n, CHUNK):
            m = min(CHUNK, n - done)
            for c in range(k):
                fill_log_gamma(log_x[c, :m], alpha[agent, c], z, words, flags, state)
            _normalise(log_x, m, top[:m], rest[:m], which[:m])
            for c in range(k):
                add_deviations(log_x[c, :m], centre[agent, c], out[task], c)


def dirichlet_moments(
    alpha: FloatArray, centre: FloatArray, n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Of log x, for concentrations and the exact means of log x, both (agents, k)."""
    parameters = np.ascontiguousarray(alpha), np.ascontiguousarray(centre)
    sums = block_sums(dirichlet_kernel, n, key, len(alpha), 2 * alpha.shape[1], *parameters, threads=threads)
    return moments_about(centre, sums[:, 0::2], sums[:, 1::2], n)
