"""Moments of Gaussian laws (diagonal and full covariance) and of the inverse Gaussian law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.block_sums import (
    add_deviations,
    add_scaled,
    block_sums,
    moments_about,
    open_task,
)
from expfam_game.kernels.compiling import compiled, elementwise, in_place, reduction
from expfam_game.kernels.elementary import uniform_of
from expfam_game.kernels.random_words import STATE, WORDS, fill_words
from expfam_game.kernels.samplers import fill_normal
from expfam_game.kernels.streams import StreamKey

# ---------------------------------------------------------------------- Gaussian laws


@reduction
def _add_normal(z: FloatArray, linear: float, square: float, out: FloatArray, k: int) -> None:
    """Sums of z, z², and of t² for t = linear z + square (z² − 1)."""
    s1, s2, t2 = 0.0, 0.0, 0.0
    for j in range(z.size):
        x = z[j]
        t = x * (linear + square * x) - square
        s1 += x
        s2 += x * x
        t2 += t * t
    out[k] += s1
    out[k + 1] += s2
    out[k + 2] += t2


@compiled
def normal_kernel(
    start: int, stop: int, plan: IntArray, key: Any, linear: FloatArray, square: FloatArray, out: FloatArray
) -> None:
    """Coordinate by coordinate: they are independent, so the order in which their numbers are drawn is free."""
    state, words, z = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        for d in range(linear.shape[1]):
            for done in range(0, n, WORDS):
                m = min(WORDS, n - done)
                even = m + (m & 1)
                fill_normal(z[:even], words[:even], state)
                _add_normal(z[:m], linear[agent, d], square[agent, d], out[task], 3 * d)


def normal_moments(
    mean: FloatArray, deviation: FloatArray, n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Of (x, x²) for independent Gaussian coordinates: all x, then all x²; parameters of shape (agents, d)."""
    agents, d = mean.shape
    linear, square = 2.0 * mean * deviation, deviation**2
    sums = block_sums(normal_kernel, n, key, agents, 3 * d, linear, square, threads=threads)
    s1, s2, t2 = np.moveaxis(sums.reshape(agents, d, 3), -1, 0)
    t1 = linear * s1 + square * (s2 - n)
    x, x_scatter = moments_about(mean, deviation * s1, square * s2, n)
    xx, xx_scatter = moments_about(mean**2 + square, t1, t2, n)
    return np.concatenate([x, xx], axis=1), np.concatenate([x_scatter, xx_scatter], axis=1)


@elementwise
def _combine(z: FloatArray, size: int, factors: FloatArray, y: FloatArray) -> None:
    """Add the eight rows of length ``size`` in ``z``, each times its factor."""
    z0, z1, z2, z3 = z[:size], z[size : 2 * size], z[2 * size : 3 * size], z[3 * size : 4 * size]
    z4, z5, z6, z7 = z[4 * size : 5 * size], z[5 * size : 6 * size], z[6 * size : 7 * size], z[7 * size : 8 * size]
    f0, f1, f2, f3 = factors[0], factors[1], factors[2], factors[3]
    f4, f5, f6, f7 = factors[4], factors[5], factors[6], factors[7]
    for j in range(y.size):
        low = (f0 * z0[j] + f1 * z1[j]) + (f2 * z2[j] + f3 * z3[j])
        high = (f4 * z4[j] + f5 * z5[j]) + (f6 * z6[j] + f7 * z7[j])
        y[j] += low + high


@in_place
def _mix(z: FloatArray, size: int, turned: FloatArray, y: FloatArray) -> None:
    """y_i += Σ_k turned[i, k] z_k for the rows of length ``size`` in ``z``, eight at a time: y moves less often."""
    d = turned.shape[0]
    eights = d - d % 8
    for i in range(d):
        for k in range(0, eights, 8):
            for part in turned[i, k : k + 8]:
                if part != 0.0:  # half of a triangular factor is zero
                    _combine(z[k * size : (k + 8) * size], size, turned[i, k : k + 8], y[i, :size])
                    break
        for k in range(eights, d):
            if turned[i, k] != 0.0:
                add_scaled(y[i, :size], z[k * size : (k + 1) * size], turned[i, k])


@elementwise
def _shifted(y: FloatArray, by: float, x: FloatArray) -> None:
    for j in range(y.size):
        x[j] = y[j] + by


@reduction
def _add_products(y: FloatArray, x: FloatArray, other: FloatArray, m: float, c: float, out: FloatArray, k: int) -> None:
    """Sums of t = y' x + m' y − c and t², which is x x' less its mean, for y = x − E x and y' = x' − m'."""
    first, second = 0.0, 0.0
    for j in range(y.size):
        t = other[j] * x[j] + (m * y[j] - c)
        first += t
        second += t * t
    out[2 * k] += first
    out[2 * k + 1] += second


@reduction
def _add_four_products(
    y: FloatArray,
    x: FloatArray,
    others: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    mean: FloatArray,
    covariance: FloatArray,
    out: FloatArray,
    k: int,
) -> None:
    """:func:`_add_products` for four at a time, so that x and y are loaded once for all of them."""
    o0, o1, o2, o3 = others
    m0, m1, m2, m3 = mean[0], mean[1], mean[2], mean[3]
    c0, c1, c2, c3 = covariance[0], covariance[1], covariance[2], covariance[3]
    f0, f1, f2, f3 = 0.0, 0.0, 0.0, 0.0
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for j in range(y.size):
        t0 = o0[j] * x[j] + (m0 * y[j] - c0)
        t1 = o1[j] * x[j] + (m1 * y[j] - c1)
        t2 = o2[j] * x[j] + (m2 * y[j] - c2)
        t3 = o3[j] * x[j] + (m3 * y[j] - c3)
        f0 += t0
        f1 += t1
        f2 += t2
        f3 += t3
        s0 += t0 * t0
        s1 += t1 * t1
        s2 += t2 * t2
        s3 += t3 * t3
    sums = out[2 * k : 2 * k + 8]
    sums[0] += f0
    sums[1] += s0
    sums[2] += f1
    sums[3] += s1
    sums[4] += f2
    sums[5] += s2
    sums[6] += f3
    sums[7] += s3


@in_place
def _add_pairs(y: FloatArray, m: int, x: FloatArray, mean: FloatArray, covariance: FloatArray, out: FloatArray) -> None:
    """Σ and Σ² of the deviations of x_i and of x_i x_j, i ≤ j, row by row, over the first m columns of y = x − mean."""
    d = mean.size
    pair = d
    for i in range(d):
        row = y[i, :m]
        add_deviations(row, 0.0, out, i)
        _shifted(row, mean[i], x[:m])
        j = i
        while j + 4 <= d:
            others = (y[j, :m], y[j + 1, :m], y[j + 2, :m], y[j + 3, :m])
            _add_four_products(row, x[:m], others, mean[j : j + 4], covariance[i, j : j + 4], out, pair)
            pair += 4
            j += 4
        while j < d:
            _add_products(row, x[:m], y[j, :m], mean[j], covariance[i, j], out, pair)
            pair += 1
            j += 1


@compiled
def gaussian_kernel(
    start: int,
    stop: int,
    plan: IntArray,
    key: Any,
    mean: FloatArray,
    root: FloatArray,
    covariance: FloatArray,
    out: FloatArray,
) -> None:
    """y = rootᵀ z in chunks of columns that stay in the first-level cache, then the sums of the statistic."""
    d = mean.shape[1]
    columns = WORDS // 4
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    z, y, x = np.empty(d * columns), np.empty((d, columns)), np.empty(columns)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        turned = root[agent].T.copy()
        for done in range(0, n, columns):
            m = min(columns, n - done)
            even = m + (m & 1)
            for first in range(0, d * even, WORDS):
                part = z[first : min(first + WORDS, d * even)]
                fill_normal(part, words[: part.size], state)
            y[:] = 0.0
            _mix(z, even, turned, y)
            _add_pairs(y, m, x, mean[agent], covariance[agent], out[task])


def gaussian_moments(
    mean: FloatArray, root: FloatArray, centre: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (x, x_i x_j for i ≤ j), for means (agents, d), covariances rootᵀ root and the exact means of the statistic."""
    parameters = (np.ascontiguousarray(part) for part in (mean, root, np.swapaxes(root, -1, -2) @ root))
    sums = block_sums(gaussian_kernel, n, key, len(mean), 2 * centre.shape[1], *parameters)
    return moments_about(centre, sums[:, 0::2], sums[:, 1::2], n)


# ---------------------------------------------------------------------- inverse Gaussian


@elementwise
def inverse_gaussian(z: FloatArray, words: AnyArray, ratio: float, x: FloatArray, inverse: FloatArray) -> None:
    """x/m − 1 and m/x − 1: the two roots are 1 + e and 1/(1 + e) times m, the smaller with probability (1+e)/(2+e)."""
    scale = math.sqrt(0.5 * ratio)
    for j in range(z.size):
        root = abs(z[j]) * scale
        e = root * (root + math.sqrt(2.0 + root * root))
        fall = -e / (1.0 + e)
        smaller = uniform_of(words[j]) * (2.0 + fall) <= 1.0
        x[j] = fall if smaller else e
        inverse[j] = e if smaller else fall


@compiled
def inverse_gaussian_kernel(
    start: int, stop: int, plan: IntArray, key: Any, ratio: FloatArray, out: FloatArray
) -> None:
    """Sums of x/m − 1 and of m/x − 1 − ratio, for ratio = m/λ."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    z, x, inverse = np.empty(WORDS), np.empty(WORDS), np.empty(WORDS)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        for done in range(0, n, WORDS):
            m = min(WORDS, n - done)
            even = m + (m & 1)
            fill_normal(z[:even], words[:even], state)
            fill_words(words[:even], state)
            inverse_gaussian(z[:m], words[:m], ratio[agent], x[:m], inverse[:m])
            add_deviations(x[:m], 0.0, out[task], 0)
            add_deviations(inverse[:m], ratio[agent], out[task], 1)


def inverse_gaussian_moments(
    mean: FloatArray, shape: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (x, 1/x), for means and shapes (agents,)."""
    sums = block_sums(inverse_gaussian_kernel, n, key, len(mean), 4, np.ascontiguousarray(mean / shape))
    deviation, scatter = moments_about(np.zeros(1), sums[:, 0::2], sums[:, 1::2], n)
    scale = np.stack([mean, 1.0 / mean], axis=1)
    centre = np.stack([mean, 1.0 / mean + 1.0 / shape], axis=1)
    return centre + scale * deviation, scale * (scale * scatter)
