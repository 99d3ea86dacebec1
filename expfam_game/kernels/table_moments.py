"""Moments of statistics given by a table: how often each cell is drawn, and the rows weighed by these counts.

Also the two parts of sampling a density known at the knots of a grid: proposals from its chords, and the sums over the
accepted ones. Counts are integers, so the order in which blocks are added does not matter.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.block_sums import COUNT_BLOCK, default_threads, in_threads
from expfam_game.kernels.compiling import compiled
from expfam_game.kernels.count_draws import alias_table
from expfam_game.kernels.counting import fill_histogram, tail_sums
from expfam_game.kernels.covariance import Draw, open_row
from expfam_game.kernels.elementary import uniform_of
from expfam_game.kernels.random_words import STATE, WORDS, fill_words, open_stream, popcount
from expfam_game.kernels.streams import StreamKey

_WORTH_A_THREAD = 1 << 22
"""Samples times agents below which starting threads costs more than they save."""

# ---------------------------------------------------------------------- counts of cells


@compiled
def _count(
    agents: tuple[int, int],
    blocks: tuple[int, int],
    plan: IntArray,
    key: Any,
    tails: FloatArray,
    counts: IntArray,
) -> None:
    """Add the draws of some blocks of some agents; the plan is n, block, branch, number of the first agent."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    for agent in range(agents[0], agents[1]):
        for block in range(blocks[0], blocks[1]):
            open_stream(state, key, plan[2], plan[3] + agent, block)
            size = min(plan[1], plan[0] - block * plan[1])
            fill_histogram(counts[agent], tails[agent], size, words, state)


@compiled
def _tails(weights: FloatArray) -> FloatArray:
    tails = np.empty((weights.shape[0], weights.shape[1] + 1))
    for agent in range(len(weights)):
        tails[agent] = tail_sums(weights[agent])
    return tails


def cell_counts(
    weights: FloatArray, n: int, key: StreamKey, first_agent: int = 0, threads: int | None = None
) -> FloatArray:
    """How many of n draws fall into each cell, for weights and a result of shape (agents, cells).

    The rows are agents ``first_agent``, … of a batch, whose streams do not depend on how the batch is cut. Memory is
    that of the weights, times the number of threads where there are fewer agents than that.
    """
    agents, blocks = len(weights), -(-n // COUNT_BLOCK)
    threads = threads or (default_threads() if agents * n > _WORTH_A_THREAD else 1)
    order = np.argsort(-weights, axis=1, kind="stable")
    tails = _tails(np.take_along_axis(weights, order, axis=1))
    plan = np.array([n, COUNT_BLOCK, key.branch, first_agent], dtype=np.int64)
    total = np.zeros(weights.shape, dtype=np.int64)
    if agents >= threads or blocks == 1:

        def run(start: int, stop: int) -> None:
            _count((start, stop), (0, blocks), plan, np.uint64(key.key), tails, total)

        in_threads(run, agents, threads)
    else:
        parts: list[IntArray] = []

        def run_blocks(start: int, stop: int) -> None:
            part = np.zeros_like(total)
            _count((0, agents), (start, stop), plan, np.uint64(key.key), tails, part)
            parts.append(part)

        in_threads(run_blocks, blocks, threads)
        for part in parts:
            total += part
    counts = np.empty(weights.shape)
    np.put_along_axis(counts, order, total, axis=1)
    return counts


@compiled
def _weigh(counts: FloatArray, table: FloatArray, n: int, mean: FloatArray, scatter: FloatArray) -> None:
    """Mean and scatter matrix (upper triangle, or in ``scatter[:, 0]`` the diagonal alone) of the rows of a table."""
    cells, dim = table.shape
    deviation = np.empty(dim)
    whole = scatter.shape[1] > 1 or dim == 1
    for agent in range(len(counts)):
        for cell in range(cells):
            if counts[agent, cell] > 0.0:
                for k in range(dim):
                    mean[agent, k] += counts[agent, cell] * table[cell, k]
        mean[agent] /= n
        for cell in range(cells):
            weight = counts[agent, cell]
            if weight > 0.0:
                for k in range(dim):
                    deviation[k] = table[cell, k] - mean[agent, k]
                for i in range(dim if whole else 1):
                    factor = weight * deviation[i]
                    for k in range(i, dim):
                        scatter[agent, i, k] += (factor if whole else weight * deviation[k]) * deviation[k]


def weighed(counts: FloatArray, table: FloatArray, n: int, matrix: bool) -> tuple[FloatArray, FloatArray]:
    """Mean (agents, dim) and scatter of the rows of a table: (agents, dim), or of all pairs (agents, dim, dim)."""
    agents, dim = len(counts), table.shape[1]
    mean, scatter = np.zeros((agents, dim)), np.zeros((agents, dim if matrix else 1, dim))
    _weigh(counts, np.ascontiguousarray(table), n, mean, scatter)
    if not matrix:
        return mean, scatter[:, 0]
    return mean, scatter + np.swapaxes(np.triu(scatter, 1), 1, 2)


# ---------------------------------------------------------------------- spins of enumerated states


@compiled
def state_kernel(
    tasks: IntArray, key: Any, branch: int, weights: FloatArray, masks: AnyArray, mean: FloatArray, out: FloatArray
) -> None:
    """Products of the spins in each mask, less their means; bit s of the number of a state is set where x_s = −1."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    cells = np.float64(weights.shape[1])
    last, share, alias = -1, np.empty(0), np.empty(0, np.int64)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            if number != last:
                last = number
                share, alias = alias_table(weights[number])
            for done in range(0, n, WORDS):
                m = min(WORDS, n - done)
                fill_words(words[: m + (m & 1)], state)
                for j in range(m):
                    place = uniform_of(words[j]) * cells
                    i = np.int64(place)
                    words[j] = i if place - i < share[i] else alias[i]
                for k in range(masks.size):
                    for j in range(m):
                        odd = popcount(words[j] & masks[k]) & np.uint64(1)
                        out[row, copy, k, done + j] = (-1.0 if odd else 1.0) - mean[number, k]


def state_draw(weights: FloatArray, masks: IntArray, mean: FloatArray) -> Draw:
    """Of products of spins: probabilities of all states (agents, 2^sites), the masks and the exact means (agents, dim)."""
    parameters = np.ascontiguousarray(weights), masks.astype(np.uint64), np.ascontiguousarray(mean)
    return Draw(state_kernel, parameters, mean, np.ones_like(mean))


# ---------------------------------------------------------------------- densities with knots


@compiled
def chord_tables(knots: FloatArray, height: FloatArray) -> tuple[FloatArray, IntArray]:
    """Alias table of the areas under the chords through (knots, height)."""
    area = np.empty(knots.size - 1)
    for i in range(area.size):
        area[i] = 0.5 * (height[i] + height[i + 1]) * (knots[i + 1] - knots[i])
    return alias_table(area)


@compiled
def open_block(key: Any, branch: int, agent: int, block: int) -> AnyArray:
    """The state of a new stream."""
    state = np.empty(STATE, np.uint64)
    open_stream(state, key, branch, agent, block)
    return state


@compiled
def propose(
    knots: FloatArray,
    height: FloatArray,
    share: FloatArray,
    alias: IntArray,
    state: AnyArray,
    x: FloatArray,
    bar: FloatArray,
) -> None:
    """Points x drawn from the chords, and for each a number uniform between 0 and the chord above it."""
    words = np.empty(x.size + (x.size & 1), np.uint64)
    cells = np.float64(share.size)
    fill_words(words, state)
    chosen = np.empty(x.size, np.int64)
    for j in range(x.size):
        place = uniform_of(words[j]) * cells
        i = np.int64(place)
        chosen[j] = i if place - i < share[i] else alias[i]
    fill_words(words, state)
    for j in range(x.size):
        i = chosen[j]
        left, right = height[i], height[i + 1]
        area = uniform_of(words[j]) * 0.5 * (left + right)
        root = math.sqrt(max(left * left + 2.0 * (right - left) * area, 0.0))
        step = min(2.0 * area / max(left + root, 1e-300), 1.0)
        x[j] = knots[i] + step * (knots[i + 1] - knots[i])
        bar[j] = left + step * (right - left)
    fill_words(words, state)
    for j in range(x.size):
        bar[j] *= uniform_of(words[j])


@compiled
def add_accepted(
    phi: FloatArray,
    log_height: FloatArray,
    bar: FloatArray,
    wanted: int,
    centre: FloatArray,
    first: FloatArray,
    second: FloatArray,
) -> int:
    """Add φ − centre and its outer products (upper triangle) over the points whose density exceeds their bar.

    At most ``wanted`` points are taken; the number taken is returned.
    """
    dim, taken = phi.shape[1], 0
    deviation = np.empty(dim)
    for j in range(bar.size):
        if taken == wanted:
            break
        if bar[j] < math.exp(log_height[j]):
            taken += 1
            for k in range(dim):
                deviation[k] = phi[j, k] - centre[k]
                first[k] += deviation[k]
            for i in range(dim):
                for k in range(i, dim):
                    second[i, k] += deviation[i] * deviation[k]
    return taken
