"""Fused sample-and-accumulate: the mean and the scatter of the statistic of n samples, which are never stored.

The n samples of an agent are cut into blocks of a fixed size. Each (agent, block) has a random stream of its own and
writes a row of sums; rows are added in the order of the blocks. So the result is the same to the last bit for any
number of threads, in any order, and for an agent alone or among others.

A kernel sums deviations from the exact mean, which the family knows, and their squares: nothing cancels, and the
scatter Σ(φ − φ̄)² follows from the two. Where the statistic takes few values, the samples of a block are counted
(``fill_histogram``), not listed.

Threads are Python's: the kernels release the interpreter lock. (numba's own pool would abort when entered from two
threads, or in a forked child, and its ``parallel=True`` takes several times longer to compile.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numba import config, int64, uint64

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.compiling import compiled, elementwise, reduction
from expfam_game.kernels.philox import STATE, WORDS, fill_words, open_stream
from expfam_game.kernels.samplers import (
    binomial_cells,
    count_successes,
    fast_exp,
    fast_log,
    fast_log1p,
    fill_exponential,
    fill_histogram,
    fill_log_gamma,
    fill_normal,
    keep,
    next_large_binomial,
    next_large_poisson,
    next_poisson,
    poisson_cells,
    propose_turns,
    tail_sums,
    uniform_of,
)
from expfam_game.kernels.streams import StreamKey

BLOCK = 1 << 16
"""Samples per stream."""

COUNT_BLOCK = 1 << 18
"""Samples per stream where they are only counted, which costs a few random bits each."""

CHUNK = 960
"""Samples in flight: with 5 % rejected they come from one buffer of candidates."""

_WAVE = 64
"""Blocks of an agent between two additions, which bounds the memory."""

_WORTH_A_THREAD = 1 << 17
_COUNT_WORTH_A_THREAD = 1 << 25
"""Samples times sums below which starting threads costs more than they save; for drawn and for counted samples."""

Kernel = Callable[..., None]


# ---------------------------------------------------------------------- blocks and threads


def default_threads() -> int:
    """Threads to use: NUMBA_NUM_THREADS, by default the cores at hand."""
    return max(1, int(vars(config)["NUMBA_NUM_THREADS"]))


def block_sums(
    kernel: Kernel,
    n: int,
    key: StreamKey,
    agents: int,
    width: int,
    *parameters: Any,
    block: int | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Sums of ``width`` quantities over n samples of each agent, shape (agents, width).

    ``kernel(first, last, plan, key, *parameters, out)`` writes row t of ``out`` for the tasks t = first, …, last − 1;
    task t is block ``t % blocks`` of agent ``t // blocks`` among those of the wave.
    """
    worth = _WORTH_A_THREAD if block is None else _COUNT_WORTH_A_THREAD
    block = block or BLOCK
    threads = threads or (default_threads() if agents * width * n > worth else 1)
    total = np.zeros((agents, width))
    blocks = -(-n // block)
    for first in range(0, blocks, _WAVE):
        wave = min(_WAVE, blocks - first)
        plan = np.array([n, block, first, wave, key.branch], dtype=np.int64)
        rows = np.zeros((agents * wave, width))
        _in_threads(partial(_run, kernel, plan, key, parameters, rows), agents * wave, threads)
        for k in range(wave):
            total += rows[k::wave]
    return total


def _run(
    kernel: Kernel, plan: IntArray, key: StreamKey, parameters: tuple[Any, ...], rows: FloatArray, start: int, stop: int
) -> None:
    kernel(start, stop, plan, np.uint64(key.key), *parameters, rows)


def _in_threads(run: Callable[[int, int], None], tasks: int, threads: int) -> None:
    """Run all tasks, cut into a few ranges per thread."""
    pieces = min(tasks, 4 * threads)
    if threads == 1 or pieces <= 1:
        run(0, tasks)
        return
    edges = [tasks * k // pieces for k in range(pieces + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, edges[:-1], edges[1:]))


def moments_about(centre: FloatArray, first: FloatArray, second: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Mean and scatter from Σ(φ − c) and Σ(φ − c)²."""
    return centre + first / n, np.maximum(second - first * (first / n), 0.0)


@compiled
def _open(task: int, plan: IntArray, key: Any, state: AnyArray) -> tuple[int, int]:
    """Open the stream of a task; the agent and the number of samples."""
    agent, block = task // plan[3], plan[2] + task % plan[3]
    open_stream(state, key, plan[4], agent, block)
    return agent, min(plan[1], plan[0] - block * plan[1])


@reduction
def _add(values: FloatArray, centre: float, out: FloatArray, k: int) -> None:
    """Add Σ(v − c) and Σ(v − c)² to entries 2k and 2k + 1."""
    first, second = 0.0, 0.0
    for j in range(values.size):
        deviation = values[j] - centre
        first += deviation
        second += deviation * deviation
    out[2 * k] += first
    out[2 * k + 1] += second


# ---------------------------------------------------------------------- counted samples


@compiled
def bernoulli_kernel(start: int, stop: int, plan: IntArray, key: Any, rare: FloatArray, out: FloatArray) -> None:
    """Counts of the rarer outcome, of probability ``rare[agent, d]``."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, n = _open(task, plan, key, state)
        for d in range(rare.shape[1]):
            out[task, d] = count_successes(rare[agent, d], n, words, state)


@compiled
def histogram_kernel(start: int, stop: int, plan: IntArray, key: Any, weights: FloatArray, out: FloatArray) -> None:
    """Counts of cells whose weights descend along each row."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    counts = np.empty(weights.shape[1], np.int64)
    for task in range(start, stop):
        agent, n = _open(task, plan, key, state)
        counts[:] = 0
        fill_histogram(counts, tail_sums(weights[agent]), n, words, state)
        for c in range(counts.size):
            out[task, c] = counts[c]


_TABLED_RATE = 1e4
"""Poisson laws below this are counted cell by cell; above it drawn one by one."""


@compiled
def poisson_kernel(start: int, stop: int, plan: IntArray, key: Any, rate: FloatArray, out: FloatArray) -> None:
    """Σ(x − λ) and Σ(x − λ)²."""
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, n = _open(task, plan, key, state)
        mean = rate[agent, 0]
        if mean < _TABLED_RATE:
            values, weights = poisson_cells(mean)
            counts = np.zeros(values.size, np.int64)
            fill_histogram(counts, tail_sums(weights), n, words, state)
            for c in range(counts.size):
                deviation = values[c] - mean
                out[task, 0] += counts[c] * deviation
                out[task, 1] += counts[c] * deviation * deviation
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
        agent, n = _open(task, plan, key, state)
        p = rare[agent, 0]
        mean = trials * p
        if mean < _TABLED_RATE:
            values, weights = binomial_cells(trials, p)
            counts = np.zeros(values.size, np.int64)
            fill_histogram(counts, tail_sums(weights), n, words, state)
            for c in range(counts.size):
                deviation = values[c] - mean
                out[task, 0] += counts[c] * deviation
                out[task, 1] += counts[c] * deviation * deviation
        else:
            for _ in range(n):
                deviation = next_large_binomial(trials, p, words, state) - mean
                out[task, 0] += deviation
                out[task, 1] += deviation * deviation


def binomial_moments(trials: int, rare: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
    """Of counts of an outcome of probability ``rare`` ≤ ½, shape (agents, 1)."""
    sums = block_sums(
        binomial_kernel, n, key, len(rare), 2, np.ascontiguousarray(rare), float(trials), block=COUNT_BLOCK
    )
    return moments_about(trials * rare, sums[:, :1], sums[:, 1:], n)


def bernoulli_moments(
    rare: FloatArray, flipped: AnyArray, n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Of independent coordinates: the probability of the rarer outcome, and whether that outcome is a zero."""
    counts = block_sums(
        bernoulli_kernel, n, key, *rare.shape, np.ascontiguousarray(rare), block=COUNT_BLOCK, threads=threads
    )
    return np.where(flipped, n - counts, counts) / n, counts * ((n - counts) / n)


def histogram(weights: FloatArray, n: int, key: StreamKey, threads: int | None = None) -> FloatArray:
    """Counts of n draws from the cells of each row, shape (agents, cells)."""
    order = np.argsort(-weights, axis=1, kind="stable")
    ordered = np.ascontiguousarray(np.take_along_axis(weights, order, axis=1))
    sums = block_sums(histogram_kernel, n, key, *weights.shape, ordered, block=COUNT_BLOCK, threads=threads)
    counts = np.empty_like(sums)
    np.put_along_axis(counts, order, sums, axis=1)
    return counts


def poisson_moments(rate: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
    """For rates of shape (agents, 1)."""
    sums = block_sums(poisson_kernel, n, key, len(rate), 2, np.ascontiguousarray(rate), block=COUNT_BLOCK)
    return moments_about(rate, sums[:, :1], sums[:, 1:], n)


# ---------------------------------------------------------------------- Gaussian laws


@reduction
def _add_normal(z: FloatArray, linear: float, square: float, out: FloatArray, k: int) -> None:
    """Sums of z, z², and of t = linear z + square (z² − 1) and t²."""
    s1, s2, t1, t2 = 0.0, 0.0, 0.0, 0.0
    for j in range(z.size):
        x = z[j]
        xx = x * x
        t = linear * x + square * (xx - 1.0)
        s1 += x
        s2 += xx
        t1 += t
        t2 += t * t
    out[k] += s1
    out[k + 1] += s2
    out[k + 2] += t1
    out[k + 3] += t2


@compiled
def normal_kernel(
    start: int, stop: int, plan: IntArray, key: Any, linear: FloatArray, square: FloatArray, out: FloatArray
) -> None:
    """Coordinate by coordinate: they are independent, so the order in which their numbers are drawn is free."""
    state, words, z = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    for task in range(start, stop):
        agent, n = _open(task, plan, key, state)
        for d in range(linear.shape[1]):
            for done in range(0, n, WORDS):
                m = min(WORDS, n - done)
                even = m + (m & 1)
                fill_normal(z[:even], words[:even], state)
                _add_normal(z[:m], linear[agent, d], square[agent, d], out[task], 4 * d)


def normal_moments(
    mean: FloatArray, deviation: FloatArray, n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Of (x, x²) for independent Gaussian coordinates: all x, then all x²; parameters of shape (agents, d)."""
    agents, d = mean.shape
    linear, square = 2.0 * mean * deviation, deviation**2
    sums = block_sums(normal_kernel, n, key, agents, 4 * d, linear, square, threads=threads)
    s1, s2, t1, t2 = np.moveaxis(sums.reshape(agents, d, 4), -1, 0)
    x, x_scatter = moments_about(mean, deviation * s1, square * s2, n)
    xx, xx_scatter = moments_about(mean**2 + square, t1, t2, n)
    return np.concatenate([x, xx], axis=1), np.concatenate([x_scatter, xx_scatter], axis=1)


@reduction
def _add_products(y: FloatArray, x: FloatArray, other: FloatArray, m: float, c: float, out: FloatArray, k: int) -> None:
    """Sums of t = y x' + m y' − c and t², which is x x' less its mean, for y = x − m and y' = x' − m'."""
    first, second = 0.0, 0.0
    for j in range(y.size):
        t = y[j] * x[j] + m * other[j] - c
        first += t
        second += t * t
    out[2 * k] += first
    out[2 * k + 1] += second


@elementwise
def _add_scaled(y: FloatArray, z: FloatArray, factor: float) -> None:
    for j in range(y.size):
        y[j] += factor * z[j]


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
    """y = rootᵀ z in chunks of columns, then Σ and Σ² of the deviations of x_i and of x_i x_j, i ≤ j, row by row."""
    d = mean.shape[1]
    columns = WORDS // 4
    state, words = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64)
    z, y, x = np.empty(columns), np.empty((d, columns)), np.empty((d, columns))
    for task in range(start, stop):
        agent, n = _open(task, plan, key, state)
        for done in range(0, n, columns):
            m = min(columns, n - done)
            even = m + (m & 1)
            y[:] = 0.0
            for k in range(d):
                fill_normal(z[:even], words[:even], state)
                for i in range(d):
                    if root[agent, k, i] != 0.0:
                        _add_scaled(y[i, :m], z[:m], root[agent, k, i])
            for i in range(d):
                x[i] = y[i] + mean[agent, i]
                _add(y[i, :m], 0.0, out[task], i)
            pair = d
            for i in range(d):
                for j in range(i, d):
                    _add_products(
                        y[i, :m], x[j, :m], y[j, :m], mean[agent, i], covariance[agent, i, j], out[task], pair
                    )
                    pair += 1


def gaussian_moments(
    mean: FloatArray, root: FloatArray, centre: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (x, x_i x_j for i ≤ j), for means (agents, d), covariances rootᵀ root and the exact means of the statistic."""
    parameters = (np.ascontiguousarray(part) for part in (mean, root, np.swapaxes(root, -1, -2) @ root))
    sums = block_sums(gaussian_kernel, n, key, len(mean), 2 * centre.shape[1], *parameters)
    return moments_about(centre, sums[:, 0::2], sums[:, 1::2], n)


# ---------------------------------------------------------------------- exponential and Gamma laws


@compiled
def exponential_kernel(start: int, stop: int, plan: IntArray, key: Any, out: FloatArray) -> None:
    """Sums for standard exponentials."""
    state, words, x = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS)
    for task in range(start, stop):
        _, n = _open(task, plan, key, state)
        for done in range(0, n, WORDS):
            m = min(WORDS, n - done)
            fill_exponential(x[: m + (m & 1)], words[: m + (m & 1)], state)
            _add(x[:m], 1.0, out[task], 0)


def exponential_moments(scale: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
    """Of exponential laws with mean ``scale``, shape (agents, 1)."""
    sums = block_sums(exponential_kernel, n, key, len(scale), 2)
    mean, scatter = moments_about(np.ones(1), sums[:, :1], sums[:, 1:], n)
    return scale * mean, scale * (scale * scatter)


@elementwise
def _exponentials(out: FloatArray, x: FloatArray) -> None:
    for j in range(x.size):
        out[j] = fast_exp(x[j])


@compiled
def gamma_kernel(
    start: int, stop: int, plan: IntArray, key: Any, shape: FloatArray, mean_log: FloatArray, out: FloatArray
) -> None:
    """Sums for (log x, x) of standard Gamma laws."""
    state, words, accepted = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    z, log_x, x = np.empty(WORDS), np.empty(CHUNK), np.empty(CHUNK)
    for task in range(start, stop):
        agent, n = _open(task, plan, key, state)
        for done in range(0, n, CHUNK):
            m = min(CHUNK, n - done)
            fill_log_gamma(log_x[:m], shape[agent], z, words, accepted, state)
            _exponentials(x[:m], log_x[:m])
            _add(log_x[:m], mean_log[agent], out[task], 0)
            _add(x[:m], shape[agent], out[task], 1)


def gamma_moments(
    shape: FloatArray, rate: FloatArray, mean: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (log x, x), for shapes and rates (agents,) and the exact means (agents, 2)."""
    scale = np.stack([np.ones_like(rate), 1.0 / rate], axis=1)
    standard = np.ascontiguousarray(mean[:, 0] + np.log(rate))
    sums = block_sums(gamma_kernel, n, key, len(shape), 4, np.ascontiguousarray(shape), standard)
    deviation, scatter = moments_about(np.zeros(1), sums[:, 0::2], sums[:, 1::2], n)
    return mean + scale * deviation, scale * (scale * scatter)


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
def _normalise(log_x: FloatArray, m: int, top: FloatArray, rest: FloatArray, which: FloatArray) -> None:
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


@compiled
def dirichlet_kernel(
    start: int, stop: int, plan: IntArray, key: Any, alpha: FloatArray, centre: FloatArray, out: FloatArray
) -> None:
    """Sums for log x of Dirichlet laws."""
    state, words, accepted = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    k = alpha.shape[1]
    z, log_x, which = np.empty(WORDS), np.empty((k, CHUNK)), np.empty(CHUNK)
    top, rest = np.empty(CHUNK), np.empty(CHUNK)
    for task in range(start, stop):
        agent, n = _open(task, plan, key, state)
        for done in range(0, n, CHUNK):
            m = min(CHUNK, n - done)
            for c in range(k):
                fill_log_gamma(log_x[c, :m], alpha[agent, c], z, words, accepted, state)
            _normalise(log_x, m, top[:m], rest[:m], which[:m])
            for c in range(k):
                _add(log_x[c, :m], centre[agent, c], out[task], c)


def dirichlet_moments(
    alpha: FloatArray, centre: FloatArray, n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Of log x, for concentrations and the exact means of log x, both (agents, k)."""
    parameters = np.ascontiguousarray(alpha), np.ascontiguousarray(centre)
    sums = block_sums(dirichlet_kernel, n, key, len(alpha), 2 * alpha.shape[1], *parameters, threads=threads)
    return moments_about(centre, sums[:, 0::2], sums[:, 1::2], n)


# ---------------------------------------------------------------------- von Mises


@reduction
def _add_turns(away: FloatArray, across: FloatArray, accepted: AnyArray, centre: float, out: FloatArray) -> None:
    """Sums of a = (1 − cos x) − centre and s = sin x, of a², s² and a s, over the accepted."""
    a1, s1, aa, ss, mixed = 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(away.size):
        a = away[j] - centre if accepted[j] else 0.0
        s = across[j] if accepted[j] else 0.0
        a1 += a
        s1 += s
        aa += a * a
        ss += s * s
        mixed += a * s
    out[0] += a1
    out[1] += s1
    out[2] += aa
    out[3] += ss
    out[4] += mixed


@compiled
def von_mises_kernel(
    start: int, stop: int, plan: IntArray, key: Any, kappa: FloatArray, centre: FloatArray, out: FloatArray
) -> None:
    """Angles about the mean direction."""
    state, words, second = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    away, across, accepted = np.empty(WORDS), np.empty(WORDS), np.empty(WORDS, np.uint64)
    for task in range(start, stop):
        agent, left = _open(task, plan, key, state)
        while left > 0:
            m, count = propose_turns(kappa[agent], left, words, second, away, across, accepted, state)
            _add_turns(away[:m], across[:m], accepted[:m], centre[agent], out[task])
            left -= count


def von_mises_moments(
    direction: FloatArray, kappa: FloatArray, complement: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (cos x, sin x), for unit mean directions (agents, 2), κ and the exact 1 − E cos about them, both (agents,)."""
    parameters = np.ascontiguousarray(kappa), np.ascontiguousarray(complement)
    a1, s1, aa, ss, mixed = block_sums(von_mises_kernel, n, key, len(kappa), 5, *parameters).T
    away, across = complement + a1 / n, s1 / n
    aa, ss, mixed = aa - a1 * (a1 / n), ss - s1 * (s1 / n), mixed - a1 * (s1 / n)
    turned = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    mean = direction * (1.0 - away)[:, None] + turned * across[:, None]
    scatter = direction**2 * aa[:, None] + turned**2 * ss[:, None] - 2.0 * direction * turned * mixed[:, None]
    return mean, np.maximum(scatter, 0.0)


# ---------------------------------------------------------------------- von Mises–Fisher


@elementwise
def _propose_angles(
    first: FloatArray,
    second: FloatArray,
    words: AnyArray,
    kappa: float,
    b: float,
    d: int,
    away: FloatArray,
    across: FloatArray,
    accepted: AnyArray,
) -> None:
    """Wood's candidates tan²(angle/2) = b r, r the ratio of two Gamma((d − 1)/2) variates given by their logarithms."""
    root, peak = 2.0 * math.sqrt(b), 1.0 / (1.0 + b)
    for j in range(away.size):
        half = fast_exp(0.5 * (first[j] - second[j]))
        r = half * half
        norm = 1.0 / (1.0 + b * r)
        y = r * norm
        away[j] = 2.0 * b * y
        across[j] = root * half * norm
        shape = (d - 1.0) * fast_log(0.5 * (1.0 + b) * (1.0 + (1.0 - b) * y))
        accepted[j] = uint64(fast_log(uniform_of(words[j])) < 2.0 * kappa * b * (peak - y) + shape)


@elementwise
def _add_square(z: FloatArray, total: FloatArray) -> None:
    for j in range(z.size):
        total[j] += z[j] * z[j]


@elementwise
def _stretch(z: FloatArray, length: FloatArray, square: FloatArray) -> None:
    for j in range(z.size):
        z[j] *= length[j] / math.sqrt(square[j])


@elementwise
def _centre_away(away: FloatArray, centre: float, out: FloatArray) -> None:
    for j in range(away.size):
        out[j] = centre - away[j]


@compiled
def sphere_kernel(
    start: int,
    stop: int,
    plan: IntArray,
    key: Any,
    direction: FloatArray,
    kappa: FloatArray,
    centre: FloatArray,
    out: FloatArray,
) -> None:
    """Deviations of x from its mean: drawn about the first axis, then turned by the reflection that takes it to ±u."""
    d = direction.shape[1]
    state, words, accepted = np.empty(STATE, np.uint64), np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    z, first, second, work = np.empty(WORDS), np.empty(CHUNK), np.empty(CHUNK), np.empty((2, CHUNK))
    away, across, square = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    x, mirror = np.empty((d, CHUNK)), np.empty(d)
    for task in range(start, stop):
        agent, n = _open(task, plan, key, state)
        b = (d - 1.0) / (2.0 * kappa[agent] + math.sqrt(4.0 * kappa[agent] ** 2 + (d - 1.0) ** 2))
        sign = -1.0 if direction[agent, 0] < 0.0 else 1.0
        mirror[:] = direction[agent]
        mirror[0] += sign
        scale = 2.0 / (mirror**2).sum()
        done = 0
        while done < n:
            size = min(CHUNK, int((n - done) / 0.6) + 16)
            even = size + (size & 1)
            fill_log_gamma(first[:size], 0.5 * (d - 1.0), z, words, accepted, state)
            fill_log_gamma(second[:size], 0.5 * (d - 1.0), z, words, accepted, state)
            fill_words(words[:even], state)
            _propose_angles(
                first[:size],
                second[:size],
                words[:size],
                kappa[agent],
                b,
                d,
                work[0, :size],
                work[1, :size],
                accepted[:size],
            )
            m = min(n - done, int64(accepted[:size].sum()))
            keep(work[0, :size], accepted[:size], away[:m], 0)
            keep(work[1, :size], accepted[:size], across[:m], 0)
            square[:m] = 0.0
            even = m + (m & 1)
            for i in range(1, d):
                fill_normal(x[i, :even], words[:even], state)
                _add_square(x[i, :m], square[:m])
            for i in range(1, d):
                _stretch(x[i, :m], across[:m], square[:m])
            _centre_away(away[:m], centre[agent], x[0, :m])
            square[:m] = 0.0
            for i in range(d):
                _add_scaled(square[:m], x[i, :m], scale * mirror[i])
            for i in range(d):
                _add_scaled(x[i, :m], square[:m], -mirror[i])
                _add(x[i, :m], 0.0, out[task], i)
            done += m


def sphere_moments(
    direction: FloatArray, kappa: FloatArray, complement: FloatArray, mean: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of unit vectors: mean directions and exact means (agents, d), κ and the exact 1 − ⟨u, E x⟩, both (agents,)."""
    parameters = (np.ascontiguousarray(part) for part in (direction, kappa, complement))
    sums = block_sums(sphere_kernel, n, key, len(kappa), 2 * direction.shape[1], *parameters)
    sign = np.where(direction[:, :1] < 0.0, 1.0, -1.0)  # the reflection takes the axis to −sign u
    deviation, scatter = moments_about(np.zeros(1), sums[:, 0::2], sums[:, 1::2], n)
    return mean + sign * deviation, scatter


# ---------------------------------------------------------------------- inverse Gaussian


@elementwise
def _inverse_gaussian(z: FloatArray, words: AnyArray, ratio: float, x: FloatArray, inverse: FloatArray) -> None:
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
        agent, n = _open(task, plan, key, state)
        for done in range(0, n, WORDS):
            m = min(WORDS, n - done)
            even = m + (m & 1)
            fill_normal(z[:even], words[:even], state)
            fill_words(words[:even], state)
            _inverse_gaussian(z[:m], words[:m], ratio[agent], x[:m], inverse[:m])
            _add(x[:m], 0.0, out[task], 0)
            _add(inverse[:m], ratio[agent], out[task], 1)


def inverse_gaussian_moments(
    mean: FloatArray, shape: FloatArray, n: int, key: StreamKey
) -> tuple[FloatArray, FloatArray]:
    """Of (x, 1/x), for means and shapes (agents,)."""
    sums = block_sums(inverse_gaussian_kernel, n, key, len(mean), 4, np.ascontiguousarray(mean / shape))
    deviation, scatter = moments_about(np.zeros(1), sums[:, 0::2], sums[:, 1::2], n)
    scale = np.stack([mean, 1.0 / mean], axis=1)
    centre = np.stack([mean, 1.0 / mean + 1.0 / shape], axis=1)
    return centre + scale * deviation, scale * (scale * scatter)


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
        agent, n = _open(task, plan, key, state)
        for done in range(0, n, WORDS):
            m = min(WORDS, n - done)
            fill_exponential(x[: m + (m & 1)], words[: m + (m & 1)], state)
            _floors(x[:m], -1.0 / theta[agent])
            _add(x[:m], mean[agent], out[task], 0)


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
        agent, n = _open(task, plan, key, state)
        for done in range(0, n, CHUNK):
            m = min(CHUNK, n - done)
            fill_log_gamma(log_x[:m], r, z, words, accepted, state)
            for j in range(m):
                log_x[j] = next_poisson(fast_exp(log_x[j]) * odds[agent], single, state)
            _add(log_x[:m], r * odds[agent], out[task], 0)


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
        agent, n = _open(task, plan, key, state)
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
    return block_sums(forest_kernel, n, key, agents, 2 * sites, *parameters, block=COUNT_BLOCK)
