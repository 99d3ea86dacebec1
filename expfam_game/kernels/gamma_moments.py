"""Moments of exponential, Gamma, Beta and Dirichlet laws, in log-space."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import int64, uint64

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
from expfam_game.kernels.random_words import STATE, WORDS, bits_of, double_of, fill_words
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


_ONE, _FRACTION = np.uint64(0x3FF0000000000000), np.uint64(0x000FFFFFFFFFFFFF)
_HALF = WORDS // 2
"""A product of so many mantissas, each below two, does not overflow."""


@reduction
def _sum_of_logarithms(x: FloatArray) -> float:
    """Σ log x of at most half a buffer of positive normal doubles, with one logarithm: exponents, and a product."""
    exponents, product = uint64(0), 1.0
    for j in range(x.size):
        bits = bits_of(x[j])
        exponents += bits >> uint64(52)
        product *= double_of((bits & _FRACTION) | _ONE)
    return float((int64(exponents) - 1023 * x.size) * math.log(2.0) + fast_log(product))


@compiled
def sum_of_logarithms(x: FloatArray) -> float:
    """Σ log x of at most a buffer of positive normal doubles."""
    return _sum_of_logarithms(x[:_HALF]) + _sum_of_logarithms(x[_HALF:])


@reduction
def _sum_of_cubes(root: FloatArray, d: float, centre: float) -> float:
    """Σ (d v³ − centre)."""
    total = 0.0
    for j in range(root.size):
        v = root[j]
        total += d * (v * v * v) - centre
    return total


@reduction
def _sum_about(x: FloatArray, centre: float) -> float:
    """Σ (x − centre)."""
    total = 0.0
    for j in range(x.size):
        total += x[j] - centre
    return total


@elementwise
def _boosts(words: AnyArray, power: float, boost: FloatArray) -> None:
    """log u^power, by which a variate of shape 1 + 1/power becomes one of shape 1/power."""
    for j in range(words.size):
        boost[j] = power * fast_log(uniform_of(words[j]))


@reduction
def _sum_of_boosted(root: FloatArray, boost: FloatArray, d: float, centre: float) -> float:
    """Σ (d v³ u^power − centre)."""
    total = 0.0
    for j in range(root.size):
        v = root[j]
        total += d * (v * v * v) * fast_exp(boost[j]) - centre
    return total


@compiled
def gamma_kernel(
    start: int, stop: int, plan: IntArray, key: Any, shape: FloatArray, mean_log: FloatArray, out: FloatArray
) -> None:
    """Sums of the deviations of (log x, x) for standard Gamma laws."""
    state, words, flags = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    z, v, boost = np.empty(WORDS), np.empty(WORDS), np.empty(WORDS)
    for task in range(start, stop):
        agent, left = open_task(task, plan, key, state)
        a, small = shape[agent], shape[agent] < 1.0
        d = (a + 1.0 if small else a) - 1.0 / 3.0
        centre = mean_log[agent] - math.log(d)
        while left > 0:
            m = min(left, propose_roots(d, left, z, words, flags, v, state))
            out[task, 0] += 3.0 * sum_of_logarithms(v[:m]) - m * centre
            if small:  # x may underflow, its logarithm does not
                fill_words(words[:m], state)
                _boosts(words[:m], 1.0 / a, boost[:m])
                out[task, 0] += _sum_about(boost[:m], 0.0)
                out[task, 1] += _sum_of_boosted(v[:m], boost[:m], d, a)
            else:
                out[task, 1] += _sum_of_cubes(v[:m], d, a)
            left -= m


def gamma_moments(
    shape: FloatArray, rate: FloatArray, mean: FloatArray, variance: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (log x, x), for shapes and rates (agents,) and the exact means and variances (agents, 2).

    The scatter is its expectation: the squares would take a logarithm for each sample, and the variance is known.
    """
    scale = np.stack([np.ones_like(rate), 1.0 / rate], axis=1)
    standard = np.ascontiguousarray(mean[:, 0] + np.log(rate))
    sums = block_sums(gamma_kernel, n, key, len(shape), 2, np.ascontiguousarray(shape), standard)
    return mean + scale * (sums / n), (n - 1) * variance


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
def normalise(log_x: FloatArray, m: int, top: FloatArray, rest: FloatArray, which: FloatArray) -> None:
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
def _add_cubes(root: FloatArray, weight: float, total: FloatArray) -> None:
    """Add weight v³ to the total."""
    for j in range(root.size):
        v = root[j]
        total[j] += weight * (v * v * v)


@elementwise
def _add_boosted(root: FloatArray, boost: FloatArray, weight: float, total: FloatArray) -> None:
    """Add weight v³ u^power to the total."""
    for j in range(root.size):
        v = root[j]
        total[j] += weight * (v * v * v) * fast_exp(boost[j])


@compiled
def _add_plain_shares(
    alpha: FloatArray,
    centre: FloatArray,
    n: int,
    roots: FloatArray,
    total: FloatArray,
    z: FloatArray,
    words: AnyArray,
    flags: AnyArray,
    state: AnyArray,
    out: FloatArray,
) -> None:
    """Add the deviations of n log shares: of Gamma variates, less the logarithm of their sum, in units of its mean.

    Where no share is nearly certain, and one concentration is not small, so that not all variates underflow.
    """
    d = np.where(alpha < 1.0, alpha + 1.0, alpha) - 1.0 / 3.0
    weight = d / alpha.sum()
    left = n
    while left > 0:
        m = left
        for c in range(alpha.size):
            m = min(m, propose_roots(d[c], left, z, words, flags, roots[c], state))
        total[:m] = 0.0
        for c in range(alpha.size):
            out[c] += 3.0 * sum_of_logarithms(roots[c, :m])
            if alpha[c] >= 1.0:
                _add_cubes(roots[c, :m], weight[c], total[:m])
            else:
                fill_words(words[:m], state)
                _boosts(words[:m], 1.0 / alpha[c], z[:m])
                out[c] += _sum_about(z[:m], 0.0)
                _add_boosted(roots[c, :m], z[:m], weight[c], total[:m])
        together = sum_of_logarithms(total[:m])
        for c in range(alpha.size):
            out[c] -= together + m * (centre[c] - math.log(weight[c]))
        left -= m


@compiled
def dirichlet_kernel(
    start: int, stop: int, plan: IntArray, key: Any, alpha: FloatArray, centre: FloatArray, out: FloatArray
) -> None:
    """Sums of the deviations of log x for Dirichlet laws."""
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
            normalise(log_x, m, top[:m], rest[:m], which[:m])
            for c in range(k):
                out[task, c] += _sum_about(log_x[c, :m], centre[agent, c])


def dirichlet_moments(
    alpha: FloatArray, centre: FloatArray, variance: FloatArray, n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Of log x, for concentrations and the exact means and variances of log x, all (agents, k).

    The scatter is its expectation: the squares would take a logarithm for each sample, and the variance is known.
    """
    parameters = np.ascontiguousarray(alpha), np.ascontiguousarray(centre)
    sums = block_sums(dirichlet_kernel, n, key, len(alpha), alpha.shape[1], *parameters, threads=threads)
    return centre + sums / n, (n - 1) * variance
