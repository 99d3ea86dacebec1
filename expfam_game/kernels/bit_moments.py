"""Moments of statistics that take two values, 64 samples to a word: independent bits and spins on a forest.

A word holds one bit of 64 samples. Sums of products are counts of ones, so they are exact, whatever their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import float64, int64, uint64

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.compiling import compiled
from expfam_game.kernels.covariance import Draw, mirrored, open_row, span_sums
from expfam_game.kernels.random_words import STATE, WORDS, fill_words, next_word, open_stream, popcount
from expfam_game.kernels.streams import StreamKey

_SPAN = 1 << 16
"""Samples per stream."""
_BLOCK = 1 << 12
"""Samples in flight: 64 words of every statistic."""
_ROUNDS = 6
"""Digits compared a buffer at a time: about one word in two is then still open, the others are done."""


# ---------------------------------------------------------------------- random bits


@compiled
def fill_bits(p: float, out: AnyArray, digits: AnyArray, words: AnyArray, state: AnyArray) -> None:
    """Words of independent bits, each one with probability exactly p < 1, the double.

    Every bit compares the binary digits of p with those of a uniform number until they differ (von Neumann's lazy
    comparison); 64 comparisons are made at once. ``digits`` is work space, at least as long as ``out`` and even.
    """
    size = out.size
    even = size + (size & 1)
    left = np.empty(size, np.uint64)
    left[:] = ~uint64(0)
    out[:] = uint64(0)
    for _ in range(_ROUNDS):
        if p == 0.0:
            return
        p += p
        fill_words(digits[:even], state)
        if p >= 1.0:
            p -= 1.0
            for j in range(size):
                out[j] |= left[j] & ~digits[j]
                left[j] &= digits[j]
        else:
            for j in range(size):
                left[j] &= ~digits[j]
    for j in range(size):
        q, bits, undecided = p, out[j], left[j]
        while undecided != uint64(0) and q > 0.0:
            q += q
            digit = next_word(words, state)
            if q >= 1.0:
                q -= 1.0
                bits |= undecided & ~digit
                undecided &= digit
            else:
                undecided &= ~digit
        out[j] = bits


@compiled
def bernoulli_bits(rare: FloatArray, bits: AnyArray, digits: AnyArray, words: AnyArray, state: AnyArray) -> None:
    """Row k of ``bits`` has ones with probability ``rare[k]``."""
    for k in range(rare.size):
        fill_bits(rare[k], bits[k], digits, words, state)


@compiled
def forest_bits(
    order: IntArray,
    parent: IntArray,
    place: IntArray,
    rare: FloatArray,
    flipped: AnyArray,
    bits: AnyArray,
    digits: AnyArray,
    words: AnyArray,
    state: AnyArray,
) -> None:
    """Spins up in rows s, agreements with the parent in rows ``place[s]``; parameters as in ``forest_kernel``."""
    below = np.empty_like(bits[0])
    for s in order:
        above = parent[s]
        fill_bits(rare[s, 0], below, digits, words, state)
        if flipped[s, 0]:
            for j in range(below.size):
                below[j] = ~below[j]
        if above < 0:
            bits[s] = below
            continue
        fill_bits(rare[s, 1], bits[s], digits, words, state)
        if flipped[s, 1]:
            for j in range(below.size):
                bits[s, j] = ~bits[s, j]
        for j in range(below.size):
            up = (bits[s, j] & bits[above, j]) | (below[j] & ~bits[above, j])
            bits[s, j] = up
            bits[place[s], j] = ~(up ^ bits[above, j])


# ---------------------------------------------------------------------- counts of pairs


@compiled
def _add_pairs(bits: AnyArray, n: int, out: FloatArray) -> None:
    """Add to ``out[i, j]``, i ≤ j, in how many of the first n samples both bits are one."""
    size = (n + 63) // 64
    if n % 64:
        last = ~uint64(0) >> uint64(64 - n % 64)
        for i in range(bits.shape[0]):
            bits[i, size - 1] &= last
    for i in range(bits.shape[0]):
        for j in range(i, bits.shape[0]):
            out[i, j] += _ones_in_common(bits[i, :size], bits[j, :size])


@compiled
def _ones_in_common(x: AnyArray, y: AnyArray) -> float:
    total = uint64(0)
    for k in range(x.size):
        total += popcount(x[k] & y[k])
    return float64(int64(total))


@compiled
def bernoulli_kernel(start: int, stop: int, plan: IntArray, key: Any, rare: FloatArray, rows: FloatArray) -> None:
    """Counts of pairs of the rarer outcomes."""
    state, words, digits = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    bits = np.empty((rare.shape[1], _BLOCK // 64), np.uint64)
    for row in range(start, stop):
        agent, n = _open_span(row, plan, key, state)
        for done in range(0, n, _BLOCK):
            bernoulli_bits(rare[agent], bits, digits, words, state)
            _add_pairs(bits, min(_BLOCK, n - done), rows[row])


@compiled
def forest_kernel(
    start: int,
    stop: int,
    plan: IntArray,
    key: Any,
    order: IntArray,
    parent: IntArray,
    place: IntArray,
    rare: FloatArray,
    flipped: AnyArray,
    rows: FloatArray,
) -> None:
    """Counts of pairs among spins up and agreements."""
    state, words, digits = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    bits = np.empty((rows.shape[1], _BLOCK // 64), np.uint64)
    for row in range(start, stop):
        agent, n = _open_span(row, plan, key, state)
        for done in range(0, n, _BLOCK):
            forest_bits(order, parent, place, rare[agent], flipped[agent], bits, digits, words, state)
            _add_pairs(bits, min(_BLOCK, n - done), rows[row])


@compiled
def _open_span(row: int, plan: IntArray, key: Any, state: AnyArray) -> tuple[int, int]:
    """Open the stream of a row; its agent and its number of samples. The plan is n, first, width, branch."""
    agent, span = row // plan[2], plan[1] + row % plan[2]
    open_stream(state, key, plan[3], agent, span)
    return agent, min(_SPAN, plan[0] - span * _SPAN)


def _pair_counts(
    kernel: Callable[..., None],
    parameters: tuple[Any, ...],
    n: int,
    key: StreamKey,
    agents: int,
    dim: int,
    threads: int | None,
) -> FloatArray:
    """How often two bits are one together, (agents, dim, dim), in the upper triangles."""

    def run(first: int, width: int, rows: FloatArray, start: int, stop: int) -> None:
        plan = np.array([n, first, width, key.branch], dtype=np.int64)
        kernel(start, stop, plan, np.uint64(key.key), *parameters, rows)

    return span_sums(run, agents, -(-n // _SPAN), (dim, dim), n // 32, threads)


def _scatter(counts: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Counts of ones, and their scatter matrix."""
    ones = np.einsum("aii->ai", counts)
    scatter = mirrored(counts - ones[:, :, None] * (ones[:, None, :] / n))
    diagonal = np.einsum("aii->ai", scatter)
    diagonal[:] = ones * ((n - ones) / n)
    return ones, scatter


def bernoulli_scatter(
    rare: FloatArray, flipped: AnyArray, n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Of independent coordinates: the probability of the rarer outcome, and whether that outcome is a zero."""
    counts = _pair_counts(bernoulli_kernel, (np.ascontiguousarray(rare),), n, key, len(rare), rare.shape[1], threads)
    ones, scatter = _scatter(counts, n)
    sign = np.where(flipped, -1.0, 1.0)
    return np.where(flipped, n - ones, ones) / n, sign[:, :, None] * scatter * sign[:, None, :]


def forest_scatter(
    order: IntArray,
    parent: IntArray,
    place: IntArray,
    rare: FloatArray,
    flipped: AnyArray,
    n: int,
    key: StreamKey,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Of spins ±1 and their products with their parents, which stand at ``place``."""
    dim = len(order) + int(np.sum(parent >= 0))
    parameters = order, parent, place, np.ascontiguousarray(rare), np.ascontiguousarray(flipped)
    ones, scatter = _scatter(_pair_counts(forest_kernel, parameters, n, key, len(rare), dim, threads), n)
    return 2.0 * ones / n - 1.0, 4.0 * scatter


# ---------------------------------------------------------------------- as factors of a product


@compiled
def _spread(bits: AnyArray, n: int, one: float, zero: float, out: FloatArray) -> None:
    """Bits as numbers."""
    for j in range(n):
        out[j] = one if (bits[j >> 6] >> uint64(j & 63)) & uint64(1) else zero


@compiled
def bernoulli_draw_kernel(tasks: IntArray, key: Any, branch: int, rare: FloatArray, out: FloatArray) -> None:
    """Rarer outcome less its probability."""
    state, words, digits = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    bits = np.empty(_BLOCK // 64, np.uint64)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for k in range(rare.shape[1]):
                p = rare[number, k]
                for done in range(0, n, _BLOCK):
                    m = min(_BLOCK, n - done)
                    fill_bits(p, bits[: (m + 63) // 64], digits, words, state)
                    _spread(bits, m, 1.0 - p, -p, out[row, copy, k, done : done + m])


def bernoulli_draw(rare: FloatArray, flipped: AnyArray) -> Draw:
    """Of independent coordinates: the probability of the rarer outcome, and whether that outcome is a zero."""
    centre, sign = np.where(flipped, 1.0 - rare, rare), np.where(flipped, -1.0, 1.0)
    return Draw(bernoulli_draw_kernel, (np.ascontiguousarray(rare),), centre, sign)


@compiled
def forest_draw_kernel(
    tasks: IntArray,
    key: Any,
    branch: int,
    order: IntArray,
    parent: IntArray,
    place: IntArray,
    rare: FloatArray,
    flipped: AnyArray,
    mean: FloatArray,
    out: FloatArray,
) -> None:
    """Spins and their products with their parents, less their means."""
    state, words, digits = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    bits = np.empty((out.shape[2], _BLOCK // 64), np.uint64)
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            number, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            for done in range(0, n, _BLOCK):
                m = min(_BLOCK, n - done)
                forest_bits(order, parent, place, rare[number], flipped[number], bits, digits, words, state)
                for k in range(out.shape[2]):
                    centre = mean[number, k]
                    _spread(bits[k], m, 1.0 - centre, -1.0 - centre, out[row, copy, k, done : done + m])


def forest_draw(
    order: IntArray, parent: IntArray, place: IntArray, rare: FloatArray, flipped: AnyArray, mean: FloatArray
) -> Draw:
    """Of spins ±1 and their products with their parents, which stand at ``place``; ``mean`` is exact."""
    arrays = (np.ascontiguousarray(part) for part in (rare, flipped, mean))
    return Draw(forest_draw_kernel, (order, parent, place, *arrays), mean, np.ones_like(mean))
