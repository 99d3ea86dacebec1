"""Moments of the statistic of Markov chains: many paths at a time, drawn step by step, their transitions counted.

Given the last one, the law of the next state has weights exp(θ_ab + message_t(b)), where the messages sum over all
continuations. Messages converge backwards from the end, so the tables of most steps are the same and built once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.compiling import compiled
from expfam_game.kernels.count_draws import alias_table, fill_alias, fill_cells
from expfam_game.kernels.covariance import Draw, open_row
from expfam_game.kernels.elementary import uniform_of
from expfam_game.kernels.random_words import STATE, WORDS, fill_words

_COUNTS = 1 << 16
"""Transition counts in flight: 256 KiB."""


@compiled
def _messages(pairs: FloatArray, length: int) -> FloatArray:
    """log of the weight of all continuations from each state at each time, up to a constant; shape (length, k)."""
    k = len(pairs)
    messages = np.zeros((length, k))
    score = np.empty(k)
    for t in range(length - 2, -1, -1):
        for a in range(k):
            for b in range(k):
                score[b] = pairs[a, b] + messages[t + 1, b]
            top = score.max()
            total = 0.0
            for b in range(k):
                total += math.exp(score[b] - top)
            messages[t, a] = top + math.log(total)
        messages[t] -= messages[t].max()
    return messages


@compiled
def _weights(score: FloatArray, message: FloatArray, out: FloatArray) -> None:
    """exp(score + message) up to a factor."""
    top = -np.inf
    for b in range(out.size):
        out[b] = score[b] + message[b]
        top = max(top, out[b])
    for b in range(out.size):
        out[b] = math.exp(out[b] - top)


@compiled
def expected_counts(first: FloatArray, pairs: FloatArray, length: int) -> FloatArray:
    """Probabilities of the first states and expected transition counts, shape (agents, k + k²), agent by agent."""
    agents, k = first.shape
    result, here, there, weight = np.zeros((agents, k + k * k)), np.empty(k), np.empty(k), np.empty(k)
    for agent in range(agents):
        messages = _messages(pairs[agent], length)
        _weights(first[agent], messages[0], here)
        here /= here.sum()
        result[agent, :k] = here
        for t in range(1, length):
            there[:] = 0.0
            for a in range(k):
                _weights(pairs[agent, a], messages[t], weight)
                total = weight.sum()
                for b in range(k):
                    p = here[a] * (weight[b] / total)
                    there[b] += p
                    result[agent, k + a * k + b] += p
            here[:] = there
    return result


@compiled
def _same(x: FloatArray, y: FloatArray) -> bool:
    equal = True
    for i in range(x.size):
        equal = equal and x[i] == y[i]
    return equal


@compiled
def _take_steps(x: IntArray, share: FloatArray, alias: IntArray, words: AnyArray, counts: IntArray, k: int) -> None:
    """One step of every path, with a word for each."""
    states = np.float64(k)
    for j in range(x.size):
        place = uniform_of(words[j]) * states
        i = int(place)
        row = x[j] * k
        other = alias[row + i]
        b = other + (i - other) * int(place - i < share[row + i])  # a branch would often be mispredicted
        counts[row + b, j] += 1
        x[j] = b


@compiled
def fill_paths(
    first: FloatArray,
    pairs: FloatArray,
    messages: FloatArray,
    starts: IntArray,
    x: IntArray,
    counts: IntArray,
    words: AnyArray,
    state: AnyArray,
) -> None:
    """First states, last states and transition counts (k², paths) of as many paths as ``x`` has entries."""
    k, m = len(pairs), x.size
    even = m + (m & 1)
    weight, share, alias, stack = np.empty(k), np.empty(k * k), np.empty(k * k, np.int64), np.empty(k, np.int64)
    _weights(first, messages[0], weight)
    start_share, start_alias = alias_table(weight)
    fill_cells(x, start_share, start_alias, words[:even], state)
    starts[:m] = x
    counts[:] = 0
    for t in range(1, len(messages)):
        if t == 1 or not _same(messages[t], messages[t - 1]):
            for a in range(k):
                _weights(pairs[a], messages[t], weight)
                row = slice(a * k, (a + 1) * k)
                fill_alias(weight, share[row], alias[row], stack)
        fill_words(words[:even], state)
        _take_steps(x, share, alias, words, counts, k)


@compiled
def _paths_at_once(k: int) -> int:
    return min(WORDS, max(64, _COUNTS // (k * k) // 64 * 64))


@compiled
def _count_deviations(
    starts: IntArray, counts: IntArray, m: int, k: int, s: int, centre: float, out: FloatArray
) -> None:
    """Statistic s of m paths, less its centre."""
    if s < k - 1:
        for j in range(m):
            out[j] = (1.0 if starts[j] == s else 0.0) - centre
    else:
        row = counts[s - (k - 1)]
        for j in range(m):
            out[j] = row[j] - centre


@compiled
def chain_kernel(
    tasks: IntArray,
    key: Any,
    branch: int,
    first: FloatArray,
    pairs: FloatArray,
    length: int,
    centre: FloatArray,
    out: FloatArray,
) -> None:
    """Deviations of the statistics of paths drawn many at a time."""
    k = first.shape[1]
    state, words, many = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), _paths_at_once(k)
    starts, x = np.empty(many, np.int64), np.empty(many, np.int64)
    counts = np.empty((k * k, many), np.int32)
    last, messages = -1, np.empty((0, k))
    for row in range(out.shape[0]):
        for copy in range(out.shape[1]):
            agent, n = open_row(row, copy, out.shape[1], tasks, key, branch, state)
            if agent != last:
                last, messages = agent, _messages(pairs[agent], length)
            for done in range(0, n, many):
                m = min(many, n - done)
                fill_paths(first[agent], pairs[agent], messages, starts, x[:m], counts, words, state)
                for s in range(centre.shape[1]):
                    _count_deviations(starts, counts, m, k, s, centre[agent, s], out[row, copy, s, done:])


def chain_draw(first: FloatArray, pairs: FloatArray, length: int) -> Draw:
    """Of the first state and the transition counts without the last of each: scores (agents, k) and (agents, k, k).

    Deviations are from the integers next to the means, so that all sums are exact.
    """
    first, pairs = np.ascontiguousarray(first), np.ascontiguousarray(pairs)
    k = first.shape[1]
    expected = np.rint(expected_counts(first, pairs, length))
    centre = np.ascontiguousarray(np.delete(expected, [k - 1, k + k * k - 1], axis=1))
    return Draw(chain_kernel, (first, pairs, length, centre), centre, np.ones_like(centre))
