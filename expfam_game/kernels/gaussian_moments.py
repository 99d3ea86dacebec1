"""Moments of Gaussian laws (diagonal and full covariance) and of the inverse Gaussian law."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.block_sums import (
    add_deviations,
    block_sums,
    moments_about,
    open_task,
)
from expfam_game.kernels.compiling import compiled, elementwise, reduction
from expfam_game.kernels.covariance import add_outer, mirrored
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


_COLUMNS = WORDS // 2
"""Vectors in flight: their coordinates stay in the second-level cache, and every product of two rows is long."""


@compiled
def gaussian_kernel(start: int, stop: int, plan: IntArray, key: Any, d: int, out: FloatArray) -> None:
    """Of standard normal vectors z: Σ (z zᵀ − I), upper triangle, beside Σ z; both in a row of length d (d + 1)."""
    state, words, z = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(d * _COLUMNS)
    for task in range(start, stop):
        _, n = open_task(task, plan, key, state)
        sums = out[task].reshape((d, d + 1))
        for done in range(0, n, _COLUMNS):
            m = min(_COLUMNS, n - done)
            even = m + (m & 1)
            for first in range(0, d * even, WORDS):
                part = z[first : min(first + WORDS, d * even)]
                fill_normal(part, words[: part.size], state)
            add_outer(z[: d * even].reshape((d, even)), m, sums)
            for i in range(d):
                sums[i, i] -= m


def gaussian_moments(
    mean: FloatArray,
    root: FloatArray,
    centre: FloatArray,
    variance: FloatArray,
    n: int,
    key: StreamKey,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Of (x, x_i x_j for i ≤ j), for means (agents, d), covariances rootᵀ root and the exact means and variances.

    With x = m + y and y = rootᵀ z, only the sums of z and z zᵀ are taken sample by sample; the deviations ȳ of the mean
    and m ȳᵀ + ȳ mᵀ + rootᵀ (mean of z zᵀ − I) root of the products follow, free of cancellation however large m is.
    The scatter is its expectation: the squares would take longer than the samples, and the variance is known.
    """
    agents, d = mean.shape
    sums = block_sums(gaussian_kernel, n, key, agents, d * (d + 1), d, threads=threads).reshape(agents, d, d + 1) / n
    turned = np.swapaxes(root, 1, 2)
    y = (turned @ sums[:, :, d:])[:, :, 0]
    across = mean[:, :, None] * y[:, None, :]
    products = across + np.swapaxes(across, 1, 2) + turned @ mirrored(sums[:, :, :d]) @ root
    rows, columns = np.triu_indices(d)
    return centre + np.concatenate([y, products[:, rows, columns]], axis=1), (n - 1) * variance


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
