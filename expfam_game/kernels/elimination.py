"""Elimination without exchanges: factors of I − B in a band, and who can be eliminated at once.

I − B is a row-diagonally dominant M-matrix, and so is what elimination leaves of it: pivots stay on the diagonal and
entries do not grow. One thread does it all, in one order.
"""

from __future__ import annotations

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.kernels.compiling import compile_with, compiled
from expfam_game.kernels.sparse import add_span


@compiled
def reaches(indptr: IntArray, indices: IntArray) -> tuple[int, int]:
    """How far from the diagonal entries are: counted along the line of agents, and around the circle."""
    n = indptr.shape[0] - 1
    line = circle = 0
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            far = abs(i - indices[e])
            line = max(line, far)
            circle = max(circle, min(far, n - far))
    return line, circle


def _factor_band(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    order: IntArray,
    place: IntArray,
    reach: int,
    band: FloatArray,
) -> None:
    """L and U of I − B with agents in the given order; band[p, reach + k] stands in row p and column p + k.

    Left of the middle stands L (its diagonal is one), right of it U, and in the middle one divided by the pivot.
    """
    n = order.shape[0]
    for p in range(n):
        row = band[p]
        row[:] = 0.0
        row[reach] = 1.0
        agent = order[p]
        for e in range(indptr[agent], indptr[agent + 1]):
            row[reach + place[indices[e]] - p] -= data[e]
        for k in range(max(0, reach - p), reach):
            if row[k] != 0.0:
                above = band[p - reach + k]
                factor = row[k] * above[reach]
                row[k] = factor
                for j in range(reach):
                    row[k + 1 + j] -= factor * above[reach + 1 + j]
        row[reach] = 1.0 / row[reach]


factor_band = compile_with(_factor_band, fastmath={"contract"})


def _solve_band(
    band: FloatArray, order: IntArray, rhs: FloatArray, work: FloatArray, out: FloatArray, lanes: tuple[int, ...]
) -> None:
    """out ← (I − B)^{-1} rhs with the factors of :func:`factor_band`; ``work`` has the shape of ``rhs``."""
    width = len(lanes)
    n, reach = order.shape[0], band.shape[1] // 2
    flat, factors = work.reshape(-1), band.reshape(-1)
    total = np.empty(width)
    for p in range(n):
        for k in range(width):
            total[k] = -rhs[order[p], k]
        first = max(0, p - reach)
        middle = p * (2 * reach + 1) + reach
        add_span(flat, first, factors, middle - (p - first), middle, total, lanes)
        for k in range(width):
            work[p, k] = -total[k]
    for p in range(n - 1, -1, -1):
        for k in range(width):
            total[k] = -work[p, k]
        middle = p * (2 * reach + 1) + reach
        add_span(flat, p + 1, factors, middle + 1, middle + 1 + min(reach, n - 1 - p), total, lanes)
        for k in range(width):
            work[p, k] = -total[k] * factors[middle]
            out[order[p], k] = work[p, k]


solve_band = compile_with(_solve_band, fastmath={"contract"})


@compiled
def choose_independent(indptr: IntArray, indices: IntArray, state: IntArray) -> None:
    """state[i] ← 1 for agents none of whom listens to another of them, 2 or 0 for the others; ``state`` starts at zero.

    In their order, agents are chosen where none has been chosen that they listen to or that listens to them.
    """
    for i in range(indptr.shape[0] - 1):
        free = state[i] == 0
        for e in range(indptr[i], indptr[i + 1]):
            free = free and state[indices[e]] != 1
        if free:
            state[i] = 1
            for e in range(indptr[i], indptr[i + 1]):
                state[indices[e]] = 2


@compiled
def take_answers(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    staying: IntArray,
    own: FloatArray,
    constant: FloatArray,
    shrunk: FloatArray,
) -> None:
    """Add what those gone (``staying[i]`` < 0) say at once to the constants of those who stay; divide by ``own``."""
    for i in range(indptr.shape[0] - 1):
        place = staying[i]
        if place < 0:
            continue
        for e in range(indptr[i], indptr[i + 1]):
            if staying[indices[e]] < 0:
                for k in range(shrunk.shape[1]):
                    shrunk[place, k] += data[e] * constant[indices[e], k]
        for k in range(shrunk.shape[1]):
            shrunk[place, k] /= own[place]


@compiled
def answer(indptr: IntArray, indices: IntArray, data: FloatArray, gone: IntArray, profile: FloatArray) -> None:
    """Add to each of those gone what it hears; none of them listens to another."""
    for i in gone:
        for e in range(indptr[i], indptr[i + 1]):
            for k in range(profile.shape[1]):
                profile[i, k] += data[e] * profile[indices[e], k]
