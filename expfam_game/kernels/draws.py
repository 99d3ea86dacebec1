"""Draws of the statistics of continuous laws, as :class:`expfam_game.kernels.covariance.Draw` wants them.

Every kernel fills ``out[row, copy, statistic, :samples]`` with deviations from the exact mean; see there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.kernels.block_sums import CHUNK, add_scaled
from expfam_game.kernels.compiling import compiled, elementwise
from expfam_game.kernels.covariance import Draw, open_row
from expfam_game.kernels.directional_moments import fill_sphere
from expfam_game.kernels.elementary import fast_exp
from expfam_game.kernels.gamma_moments import normalise
from expfam_game.kernels.gaussian_moments import inverse_gaussian
from expfam_game.kernels.random_words import STATE, WORDS, fill_words
from expfam_game.kernels.samplers import fill_exponential, fill_log_gamma, fill_normal, keep, propose_turns


def ones_like(centre: FloatArray) -> FloatArray:
    """The scale of statistics that are drawn in their own units."""
    return np.ones_like(centre)


@elementwise
def _shifted(x: FloatArray, by: float, out: FloatArray) -> None:
    for j in range(x.size):
        out[j] = x[j] - by


# ---------------------------------------------------------------------- Gaussian laws


@elementwise
def _square_deviation(z: FloatArray, linear: float, square: float, out: FloatArray) -> None:
    for j in range(z.size):
        out[j] = linear * z[j] + square * (z[j] * z[j] - 1.0)


@compiled
def normal_kernel(
    tasks: IntArray, key: Any, branch: int, linear: FloatArray, square: FloatArray, out: FloatArray
) -> None:
    """z, and ``linear`` z + ``square`` (z² − 1) behind all the z where there is room for it."""
    state, words, z = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    d = linear.shape[1]
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for i in range(d):
                for done in range(0, n, WORDS):
                    m = min(WORDS, n - done)
                    even = m + (m & 1)
                    fill_normal(z[:even], words[:even], state)
                    _shifted(z[:m], 0.0, out[row, copy, i, done : done + m])
                    if out.shape[2] > d:
                        square_row = out[row, copy, d + i, done : done + m]
                        _square_deviation(z[:m], linear[number, i], square[number, i], square_row)


def normal_draw(mean: FloatArray, deviation: FloatArray, squares: bool = True) -> Draw:
    """Of independent coordinates with parameters (agents, d): all x, then all x² unless ``squares`` is False."""
    if not squares:
        return Draw(normal_kernel, (np.zeros_like(mean), np.zeros_like(mean)), mean, deviation)
    linear, square = 2.0 * mean * deviation, deviation**2
    size = np.hypot(linear, square)
    centre, scale = np.concatenate([mean, mean**2 + square], axis=1), np.concatenate([deviation, size], axis=1)
    return Draw(normal_kernel, (linear / size, square / size), centre, scale)


@elementwise
def _product_deviation(y: FloatArray, other: FloatArray, m: float, m_other: float, c: float, out: FloatArray) -> None:
    """(m + y)(m' + y') less its mean m m' + c."""
    for j in range(y.size):
        out[j] = y[j] * (m_other + other[j]) + m * other[j] - c


@compiled
def gaussian_kernel(
    tasks: IntArray,
    key: Any,
    branch: int,
    mean: FloatArray,
    root: FloatArray,
    covariance: FloatArray,
    out: FloatArray,
) -> None:
    """y = rootᵀ z, then the products x_i x_j, i ≤ j, row by row."""
    d = mean.shape[1]
    state, words, z = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            x = out[row, copy]
            for done in range(0, n, WORDS):
                m = min(WORDS, n - done)
                even, end = m + (m & 1), done + m
                for i in range(d):
                    x[i, done:end] = 0.0
                for k in range(d):
                    fill_normal(z[:even], words[:even], state)
                    for i in range(d):
                        if root[number, k, i] != 0.0:
                            add_scaled(x[i, done:end], z[:m], root[number, k, i])
                pair = d
                for i in range(d):
                    for j in range(i, d):
                        _product_deviation(
                            x[i, done:end],
                            x[j, done:end],
                            mean[number, i],
                            mean[number, j],
                            covariance[number, i, j],
                            x[pair, done:end],
                        )
                        pair += 1


def gaussian_draw(mean: FloatArray, root: FloatArray, centre: FloatArray) -> Draw:
    """Of (x, x_i x_j for i ≤ j), for means (agents, d), covariances rootᵀ root and the exact means of the statistic."""
    covariance = np.stack([r.T @ r for r in root]) if len(root) else root
    parameters = (np.ascontiguousarray(part) for part in (mean, root, covariance))
    return Draw(gaussian_kernel, tuple(parameters), centre, ones_like(centre))


@compiled
def inverse_gaussian_kernel(tasks: IntArray, key: Any, branch: int, ratio: FloatArray, out: FloatArray) -> None:
    """x/m − 1 and m/x − 1 − ratio, for ratio = m/λ."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    z, inverse = np.empty(WORDS), np.empty(WORDS)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for done in range(0, n, WORDS):
                m = min(WORDS, n - done)
                even, end = m + (m & 1), done + m
                fill_normal(z[:even], words[:even], state)
                fill_words(words[:even], state)
                inverse_gaussian(z[:m], words[:m], ratio[number], out[row, copy, 0, done:end], inverse[:m])
                _shifted(inverse[:m], ratio[number], out[row, copy, 1, done:end])


def inverse_gaussian_draw(mean: FloatArray, shape: FloatArray) -> Draw:
    """Of (x, 1/x), for means and shapes (agents,)."""
    scale = np.stack([mean, 1.0 / mean], axis=1)
    centre = np.stack([mean, 1.0 / mean + 1.0 / shape], axis=1)
    return Draw(inverse_gaussian_kernel, (np.ascontiguousarray(mean / shape),), centre, scale)


# ---------------------------------------------------------------------- exponential, Gamma and Dirichlet laws


@compiled
def exponential_kernel(tasks: IntArray, key: Any, branch: int, out: FloatArray) -> None:
    """Standard exponentials less one."""
    state, words, x = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            _, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for done in range(0, n, WORDS):
                m = min(WORDS, n - done)
                fill_exponential(x[: m + (m & 1)], words[: m + (m & 1)], state)
                _shifted(x[:m], 1.0, out[row, copy, 0, done : done + m])


def exponential_draw(mean: FloatArray) -> Draw:
    """For means of shape (agents, 1)."""
    return Draw(exponential_kernel, (), mean, mean)


@elementwise
def _exponential_deviation(log_x: FloatArray, centre: float, out: FloatArray) -> None:
    for j in range(log_x.size):
        out[j] = fast_exp(log_x[j]) - centre


@compiled
def gamma_kernel(
    tasks: IntArray, key: Any, branch: int, shape: FloatArray, mean_log: FloatArray, out: FloatArray
) -> None:
    """(log x, x) of standard Gamma laws."""
    state, words, accepted = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    z, log_x = np.empty(WORDS), np.empty(CHUNK)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for done in range(0, n, CHUNK):
                m = min(CHUNK, n - done)
                fill_log_gamma(log_x[:m], shape[number], z, words, accepted, state)
                _shifted(log_x[:m], mean_log[number], out[row, copy, 0, done : done + m])
                _exponential_deviation(log_x[:m], shape[number], out[row, copy, 1, done : done + m])


def gamma_draw(shape: FloatArray, rate: FloatArray, mean: FloatArray) -> Draw:
    """Of (log x, x), for shapes and rates (agents,) and the exact means (agents, 2)."""
    scale = np.stack([np.ones_like(rate), 1.0 / rate], axis=1)
    mean_log = np.ascontiguousarray(mean[:, 0] + np.log(rate))
    return Draw(gamma_kernel, (np.ascontiguousarray(shape), mean_log), mean, scale)


@compiled
def dirichlet_kernel(
    tasks: IntArray, key: Any, branch: int, alpha: FloatArray, centre: FloatArray, out: FloatArray
) -> None:
    """log x of Dirichlet laws."""
    state, words, accepted = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    k = alpha.shape[1]
    z, log_x, which = np.empty(WORDS), np.empty((k, CHUNK)), np.empty(CHUNK)
    top, rest = np.empty(CHUNK), np.empty(CHUNK)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for done in range(0, n, CHUNK):
                m = min(CHUNK, n - done)
                for c in range(k):
                    fill_log_gamma(log_x[c, :m], alpha[number, c], z, words, accepted, state)
                normalise(log_x, m, top[:m], rest[:m], which[:m])
                for c in range(k):
                    _shifted(log_x[c, :m], centre[number, c], out[row, copy, c, done : done + m])


def dirichlet_draw(alpha: FloatArray, centre: FloatArray) -> Draw:
    """Of log x, for concentrations and the exact means of log x, both (agents, k)."""
    parameters = np.ascontiguousarray(alpha), np.ascontiguousarray(centre)
    return Draw(dirichlet_kernel, parameters, centre, ones_like(centre))


# ---------------------------------------------------------------------- directions


@elementwise
def _turned(
    away: FloatArray, across: FloatArray, centre: float, c: float, s: float, x: FloatArray, y: FloatArray
) -> None:
    """−(away − centre) along (c, s) and ``across`` along (−s, c)."""
    for j in range(away.size):
        a = centre - away[j]
        x[j] = c * a - s * across[j]
        y[j] = s * a + c * across[j]


@compiled
def von_mises_kernel(
    tasks: IntArray,
    key: Any,
    branch: int,
    direction: FloatArray,
    kappa: FloatArray,
    centre: FloatArray,
    out: FloatArray,
) -> None:
    """(cos x, sin x), for unit mean directions, κ and the exact 1 − E cos about them."""
    state, words, second = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    away, across, accepted = np.empty(WORDS), np.empty(WORDS), np.empty(WORDS, np.uint64)
    kept, kept_across = np.empty(WORDS), np.empty(WORDS)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            c, s, middle = direction[number, 0], direction[number, 1], centre[number]
            done = 0
            while done < n:
                size, m = propose_turns(kappa[number], n - done, words, second, away, across, accepted, state)
                keep(away[:size], accepted[:size], kept[:m], 0)
                keep(across[:size], accepted[:size], kept_across[:m], 0)
                x, y = out[row, copy, 0, done : done + m], out[row, copy, 1, done : done + m]
                _turned(kept[:m], kept_across[:m], middle, c, s, x, y)
                done += m


def von_mises_draw(direction: FloatArray, kappa: FloatArray, complement: FloatArray, mean: FloatArray) -> Draw:
    """Of (cos x, sin x): mean directions and exact means (agents, 2), κ and the exact 1 − E cos, both (agents,)."""
    parameters = tuple(np.ascontiguousarray(part) for part in (direction, kappa, complement))
    return Draw(von_mises_kernel, parameters, mean, ones_like(mean))


@compiled
def sphere_kernel(
    tasks: IntArray,
    key: Any,
    branch: int,
    direction: FloatArray,
    kappa: FloatArray,
    centre: FloatArray,
    out: FloatArray,
) -> None:
    """Deviations of unit vectors."""
    d = direction.shape[1]
    state, buffers, x = np.empty(STATE, np.uint64), np.empty((7, WORDS)), np.empty((d, CHUNK))
    words, accepted = np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            towards, middle = direction[number], centre[number]
            done = 0
            while done < n:
                m = fill_sphere(towards, kappa[number], middle, n - done, x, buffers, words, accepted, state)
                for i in range(d):
                    _shifted(x[i, :m], 0.0, out[row, copy, i, done : done + m])
                done += m


def sphere_draw(direction: FloatArray, kappa: FloatArray, complement: FloatArray, mean: FloatArray) -> Draw:
    """Of unit vectors: mean directions and exact means (agents, d), κ and the exact 1 − ⟨u, E x⟩, both (agents,)."""
    parameters = tuple(np.ascontiguousarray(part) for part in (direction, kappa, complement))
    sign = np.where(direction[:, :1] < 0.0, 1.0, -1.0)  # the reflection takes the axis to −sign u
    return Draw(sphere_kernel, parameters, mean, sign * ones_like(mean))
