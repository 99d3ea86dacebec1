"""Moments of laws of counts: Bernoulli, cells, Poisson, binomial, geometric, negative binomial, spins on a forest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import int64

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.block_sums import (
    CHUNK,
    add_deviations,
    block_sums,
    moments_about,
    open_task,
)
from expfam_game.kernels.compiling import compiled, elementwise
from expfam_game.kernels.counting import (
    binomial_cells,
    count_successes,
    fill_histogram,
    next_large_binomial,
    next_large_poisson,
    next_poisson,
    poisson_cells,
    tail_sums,
)
from expfam_game.kernels.elementary import fast_exp
from expfam_game.kernels.random_words import STATE, WORDS
from expfam_game.kernels.samplers import fill_exponential, fill_log_gamma
from expfam_game.kernels.streams import StreamKey

# ---------------------------------------------------------------------- counted samples


@compiled
def bernoulli_kernel(start: int, stop: int, plan: IntArray, key: Any, rare: FloatArray, out: FloatArray) -> None:
    """Counts of the rarer outcome, of probability ``rare[agent, d]``."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        for d in range(rare.shape[1]):
            out[task, d] = count_successes(rare[agent, d], n, words, state)


@compiled
def histogram_kernel(start: int, stop: int, plan: IntArray, key: Any, weights: FloatArray, out: FloatArray) -> None:
    """Counts of cells whose weights descend along each row."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    counts = np.empty(weights.shape[1], np.int64)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        counts[:] = 0
        fill_histogram(counts, tail_sums(weights[agent]), n, words, state)
        for c in range(counts.size):
            out[task, c] = counts[c]


_TABLED_RATE = 1e4
"""Poisson laws below this are counted cell by cell; above it drawn one by one."""


@compiled
def _add_cells(
    values: FloatArray, weights: FloatArray, mean: float, n: int, words: AnyArray, state: AnyArray, out: FloatArray
) -> None:
    """Σ(x − mean) and Σ(x − mean)² of n draws from a table, added to ``out``."""
    counts = np.zeros(values.size, np.int64)
    fill_histogram(counts, tail_sums(weights), n, words, state)
    for c in range(counts.size):
        deviation = values[c] - mean
        out[0] += counts[c] * deviation
        out[1] += counts[c] * deviation * deviation


@compiled
def poisson_kernel(start: int, stop: int, plan: IntArray, key: Any, rate: FloatArray, out: FloatArray) -> None:
    """Σ(x − λ) and Σ(x − λ)²."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        mean = rate[agent, 0]
        if mean < _TABLED_RATE:
            values, weights = poisson_cells(mean)
            _add_cells(values, weights, mean, n, words, state, out[task])
        else:
            for _ in range(n):
                deviation = next_large_poisson(mean, words, state) - mean
                out[task, 0] += deviation
                out[task, 1] += deviation * deviation


@compiled
def binomial_kernel(
    start: int, stop: int, plan: IntArray, key: Any, rare: FloatArray, trials: float, out: FloatArray
) -> None:
    """Σ(x − Np) and Σ(x − Np)² for p ≤ ½."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        p = rare[agent, 0]
        mean = trials * p
        if mean < _TABLED_RATE:
            values, weights = binomial_cells(trials, p)
            _add_cells(values, weights, mean, n, words, state, out[task])
        else:
            for _ in range(n):
                deviation = next_large_binomial(trials, p, words, state) - mean
                out[task, 0] += deviation
                out[task, 1] += deviation * deviation


def binomial_moments(trials: int, rare: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
    """Of counts of an outcome of probability ``rare`` ≤ ½, shape (agents, 1)."""
    sums = block_sums(binomial_kernel, n, key, len(rare), 2, np.ascontiguousarray(rare), float(trials), counted=True)
    return moments_about(trials * rare, sums[:, :1], sums[:, 1:], n)


def bernoulli_moments(
    rare: FloatArray, flipped: AnyArray, n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Of independent coordinates: the probability of the rarer outcome, and whether that outcome is a zero."""
    counts = block_sums(
        bernoulli_kernel, n, key, *rare.shape, np.ascontiguousarray(rare), counted=True, threads=threads
    )
    return np.where(flipped, n - counts, counts) / n, counts * ((n - counts) / n)


def histogram(weights: FloatArray, n: int, key: StreamKey, threads: int | None = None) -> FloatArray:
    """Counts of n draws from the cells of each row, shape (agents, cells)."""
    descending = np.arange(len(weights))[:, None], np.argsort(-weights, axis=1, kind="stable")
    ordered = np.ascontiguousarray(weights[descending])
    sums = block_sums(histogram_kernel, n, key, *weights.shape, ordered, counted=True, threads=threads)
    counts = np.empty_like(sums)
    counts[descending] = sums
    return counts


def poisson_moments(rate: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
    """For rates of shape (agents, 1)."""
    sums = block_sums(poisson_kernel, n, key, len(rate), 2, np.ascontiguousarray(rate), counted=True)
    return moments_about(rate, sums[:, :1], sums[:, 1:], n)


# ---------------------------------------------------------------------- geometric and negative binomial


@elementwise
def _floors(x: FloatArray, factor: float) -> None:
    for j in range(x.size):
        x[j] = math.floor(x[j] * factor)


@compiled
def geometric_kernel(
    start: int, stop: int, plan: IntArray, key: Any, theta: FloatArray, mean: FloatArray, out: FloatArray
) -> None:
    """Whole parts of exponentials of rate −θ: P(x ≥ k) = e^(kθ)."""
    state, words, x = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        for done in range(0, n, WORDS):
            m = min(WORDS, n - done)
            fill_exponential(x[: m + (m & 1)], words[: m + (m & 1)], state)
            _floors(x[:m], -1.0 / theta[agent])
            add_deviations(x[:m], mean[agent], out[task], 0)


def geometric_moments(theta: FloatArray, mean: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
    """For θ and the exact mean, both (agents, 1)."""
    sums = block_sums(geometric_kernel, n, key, len(theta), 2, theta[:, 0].copy(), mean[:, 0].copy())
    return moments_about(mean, sums[:, :1], sums[:, 1:], n)


@compiled
def negative_binomial_kernel(
    start: int, stop: int, plan: IntArray, key: Any, odds: FloatArray, r: float, out: FloatArray
) -> None:
    """Poisson draws whose rates follow a Gamma law of shape r times the odds."""
    state, words, single = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    z, log_x, accepted = np.empty(WORDS), np.empty(CHUNK), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        for done in range(0, n, CHUNK):
            m = min(CHUNK, n - done)
            fill_log_gamma(log_x[:m], r, z, words, accepted, state)
            for j in range(m):
                log_x[j] = next_poisson(fast_exp(log_x[j]) * odds[agent], single, state)
            add_deviations(log_x[:m], r * odds[agent], out[task], 0)


def negative_binomial_moments(odds: FloatArray, r: float, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
    """For the odds e^θ/(1 − e^θ), shape (agents, 1)."""
    sums = block_sums(negative_binomial_kernel, n, key, len(odds), 2, odds[:, 0].copy(), r)
    return moments_about(r * odds, sums[:, :1], sums[:, 1:], n)


# ---------------------------------------------------------------------- spins on a forest


@compiled
def forest_kernel(
    start: int,
    stop: int,
    plan: IntArray,
    key: Any,
    order: IntArray,
    parent: IntArray,
    rare: FloatArray,
    flipped: AnyArray,
    out: FloatArray,
) -> None:
    """How many spins are up at each site (entries s), and how many agree with their parents (entries sites + s).

    Given its parent, a spin is independent of all sites visited before it, so draws with the same parent value are
    alike. ``rare[agent, s, v]`` is the probability of the rarer value of site s given parent value v (0 down, 1 up;
    roots use 0), ``flipped`` whether that value is down.
    """
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    sites = order.size
    for task in range(start, stop):
        agent, n = open_task(task, plan, key, state)
        for s in order:
            above = parent[s]
            up_above = int64(out[task, above]) if above >= 0 else 0
            for value in range(2):
                m = up_above if value else n - up_above
                count = count_successes(rare[agent, s, value], m, words, state)
                up = m - count if flipped[agent, s, value] else count
                out[task, s] += up
                out[task, sites + s] += up if value else m - up


def forest_counts(
    order: IntArray, parent: IntArray, rare: FloatArray, flipped: AnyArray, n: int, key: StreamKey
) -> FloatArray:
    """Counts of spins up and of agreements with the parent, shape (agents, 2 sites)."""
    agents, sites = rare.shape[:2]
    parameters = order, parent, np.ascontiguousarray(rare), np.ascontiguousarray(flipped)
    return block_sums(forest_kernel, n, key, agents, 2 * sites, *parameters, counted=True)
