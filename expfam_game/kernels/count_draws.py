"""Draws of the statistics of discrete laws one by one, as :class:`expfam_game.kernels.covariance.Draw` wants them.

Needed where samples of several statistics must be paired, as in a product; a law by itself is counted instead.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.compiling import compiled, elementwise
from expfam_game.kernels.counting import (
    binomial_cells,
    next_large_binomial,
    next_large_poisson,
    next_poisson,
    poisson_cells,
)
from expfam_game.kernels.covariance import Draw, open_row
from expfam_game.kernels.elementary import fast_exp, uniform_of
from expfam_game.kernels.random_words import STATE, WORDS, fill_words
from expfam_game.kernels.samplers import fill_exponential, fill_log_gamma

_TABLED = 1e4
"""Laws with a smaller mean are drawn from a table of their values."""

# ---------------------------------------------------------------------- tables of values


@compiled
def alias_table(weights: FloatArray) -> tuple[FloatArray, IntArray]:
    """Walker's tables of a law: cell i stands for itself with probability ``share[i]``, else for ``alias[i]``."""
    size = weights.size
    share, alias, stack = np.empty(size), np.empty(size, np.int64), np.empty(size, np.int64)
    fill_alias(weights, share, alias, stack)
    return share, alias


@compiled
def fill_alias(weights: FloatArray, share: FloatArray, alias: IntArray, stack: IntArray) -> None:
    """Walker's tables by Vose's method (IEEE Trans. Softw. Eng. 17 (1991)); ``stack`` is work space of the same length."""
    size = weights.size
    factor = size / weights.sum()
    lows, highs = 0, size  # cells below their fair share fill the stack from the left, the others from the right
    for i in range(size):
        share[i] = weights[i] * factor
        alias[i] = i
        if share[i] < 1.0:
            stack[lows] = i
            lows += 1
        else:
            highs -= 1
            stack[highs] = i
    while lows > 0 and highs < size:
        lows -= 1
        small, big = stack[lows], stack[highs]
        alias[small] = big
        share[big] -= 1.0 - share[small]
        if share[big] < 1.0:
            highs += 1
            stack[lows] = big
            lows += 1
    for k in range(lows):  # what rounding has left over
        share[stack[k]] = 1.0
    for k in range(highs, size):
        share[stack[k]] = 1.0


@compiled
def fill_cells(cells: IntArray, share: FloatArray, alias: IntArray, words: AnyArray, state: AnyArray) -> None:
    """Cells drawn from an alias table; as many words as cells, or one more, an even number."""
    fill_words(words, state)
    size = np.float64(share.size)
    for j in range(cells.size):
        place = uniform_of(words[j]) * size
        i = int(place)
        cells[j] = i if place - i < share[i] else alias[i]


@compiled
def _fill_values(
    values: FloatArray,
    weights: FloatArray,
    mean: float,
    words: AnyArray,
    cells: IntArray,
    state: AnyArray,
    out: FloatArray,
) -> None:
    """Values drawn with these weights, less the mean."""
    share, alias = alias_table(weights)
    for done in range(0, out.size, WORDS):
        m = min(WORDS, out.size - done)
        fill_cells(cells[:m], share, alias, words[: m + (m & 1)], state)
        for j in range(m):
            out[done + j] = values[cells[j]] - mean


@compiled
def poisson_kernel(tasks: IntArray, key: Any, branch: int, rate: FloatArray, out: FloatArray) -> None:
    """x − λ."""
    state, words, cells = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.int64)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            mean = rate[number]
            if mean < _TABLED:
                values, weights = poisson_cells(mean)
                _fill_values(values, weights, mean, words, cells, state, out[row, copy, 0, :n])
            else:
                for j in range(n):
                    out[row, copy, 0, j] = next_large_poisson(mean, words, state) - mean


def poisson_draw(rate: FloatArray) -> Draw:
    """For rates of shape (agents, 1), up to 1e15."""
    return Draw(poisson_kernel, (rate[:, 0].copy(),), rate, np.ones_like(rate))


@compiled
def binomial_kernel(tasks: IntArray, key: Any, branch: int, rare: FloatArray, trials: float, out: FloatArray) -> None:
    """x − Np for p ≤ ½."""
    state, words, cells = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.int64)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            p = rare[number]
            mean = trials * p
            if mean < _TABLED:
                values, weights = binomial_cells(trials, p)
                _fill_values(values, weights, mean, words, cells, state, out[row, copy, 0, :n])
            else:
                for j in range(n):
                    out[row, copy, 0, j] = next_large_binomial(trials, p, words, state) - mean


def binomial_draw(trials: int, rare: FloatArray, flipped: AnyArray) -> Draw:
    """For the probabilities ≤ ½ of the rarer outcome, and whether that is a failure; shape (agents, 1)."""
    centre = np.where(flipped, trials - trials * rare, trials * rare)
    return Draw(binomial_kernel, (rare[:, 0].copy(), float(trials)), centre, np.where(flipped, -1.0, 1.0))


@compiled
def table_kernel(
    tasks: IntArray, key: Any, branch: int, weights: FloatArray, table: FloatArray, mean: FloatArray, out: FloatArray
) -> None:
    """Rows of a table (cells, dim) drawn with the weights (agents, cells), less their means."""
    state, words, cells = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.int64)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            share, alias = alias_table(weights[number])
            for done in range(0, n, WORDS):
                m = min(WORDS, n - done)
                fill_cells(cells[:m], share, alias, words[: m + (m & 1)], state)
                for k in range(out.shape[2]):
                    for j in range(m):
                        out[row, copy, k, done + j] = table[cells[j], k] - mean[number, k]


def table_draw(weights: FloatArray, table: FloatArray, mean: FloatArray) -> Draw:
    """Of the rows of a table: weights (agents, cells), table (cells, dim), exact means (agents, dim)."""
    parameters = tuple(np.ascontiguousarray(part) for part in (weights, table, mean))
    return Draw(table_kernel, parameters, mean, np.ones_like(mean))


# ---------------------------------------------------------------------- geometric and negative binomial


@elementwise
def _floors(x: FloatArray, factor: float, mean: float, out: FloatArray) -> None:
    for j in range(x.size):
        out[j] = math.floor(x[j] * factor) - mean


@compiled
def geometric_kernel(
    tasks: IntArray, key: Any, branch: int, theta: FloatArray, mean: FloatArray, out: FloatArray
) -> None:
    """Whole parts of exponentials of rate −θ."""
    state, words, x = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for done in range(0, n, WORDS):
                m = min(WORDS, n - done)
                fill_exponential(x[: m + (m & 1)], words[: m + (m & 1)], state)
                _floors(x[:m], -1.0 / theta[number], mean[number], out[row, copy, 0, done : done + m])


def geometric_draw(theta: FloatArray, mean: FloatArray) -> Draw:
    """For θ and the exact mean, both (agents, 1)."""
    return Draw(geometric_kernel, (theta[:, 0].copy(), mean[:, 0].copy()), mean, np.ones_like(mean))


@compiled
def negative_binomial_kernel(
    tasks: IntArray, key: Any, branch: int, odds: FloatArray, r: float, out: FloatArray
) -> None:
    """Poisson draws whose rates follow a Gamma law of shape r times the odds."""
    state, words, single = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    z, log_x, accepted = np.empty(WORDS), np.empty(WORDS // 2), np.empty(WORDS, np.uint64)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for done in range(0, n, log_x.size):
                m = min(log_x.size, n - done)
                fill_log_gamma(log_x[:m], r, z, words, accepted, state)
                for j in range(m):
                    rate = fast_exp(log_x[j]) * odds[number]
                    out[row, copy, 0, done + j] = next_poisson(rate, single, state) - r * odds[number]


def negative_binomial_draw(odds: FloatArray, r: float) -> Draw:
    """For the odds e^θ/(1 − e^θ), shape (agents, 1)."""
    centre = r * odds
    return Draw(negative_binomial_kernel, (odds[:, 0].copy(), r), centre, np.ones_like(centre))
