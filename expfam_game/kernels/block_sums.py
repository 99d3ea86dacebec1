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

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numba import config

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.compiling import compiled, elementwise, reduction
from expfam_game.kernels.random_words import open_stream
from expfam_game.kernels.streams import StreamKey

BLOCK = 1 << 16
"""Samples per stream."""

COUNT_BLOCK = 1 << 20
"""Samples per stream where they are only counted, which costs a few random bits each."""

_MANY_SUMS = 32
"""More sums than this are enough work for a quarter of the samples to make a block."""

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
    counted: bool = False,
    threads: int | None = None,
) -> FloatArray:
    """Sums of ``width`` quantities over n samples of each agent, shape (agents, width).

    ``kernel(first, last, plan, key, *parameters, out)`` writes row t of ``out`` for the tasks t = first, …, last − 1;
    task t is block ``t % blocks`` of agent ``t // blocks`` among those of the wave. ``counted``: the samples are
    counted, not listed, which takes larger blocks to be worth a stream or a thread.
    """
    block, worth = BLOCK, _WORTH_A_THREAD
    if counted:
        block, worth = COUNT_BLOCK if width <= _MANY_SUMS else COUNT_BLOCK // 4, _COUNT_WORTH_A_THREAD
    threads = threads or (default_threads() if agents * width * n > worth else 1)
    total = np.zeros((agents, width))
    blocks = -(-n // block)
    for first in range(0, blocks, _WAVE):
        wave = min(_WAVE, blocks - first)
        plan = np.array([n, block, first, wave, key.branch], dtype=np.int64)
        rows = np.zeros((agents * wave, width))
        in_threads(partial(_run, kernel, plan, key, parameters, rows), agents * wave, threads)
        for k in range(wave):
            total += rows[k::wave]
    return total


def _run(
    kernel: Kernel, plan: IntArray, key: StreamKey, parameters: tuple[Any, ...], rows: FloatArray, start: int, stop: int
) -> None:
    kernel(start, stop, plan, np.uint64(key.key), *parameters, rows)


def in_threads(run: Callable[[int, int], None], tasks: int, threads: int) -> None:
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
def open_task(task: int, plan: IntArray, key: Any, state: AnyArray) -> tuple[int, int]:
    """Open the stream of a task; the agent and the number of samples."""
    agent, block = task // plan[3], plan[2] + task % plan[3]
    open_stream(state, key, plan[4], agent, block)
    return agent, min(plan[1], plan[0] - block * plan[1])


@reduction
def add_deviations(values: FloatArray, centre: float, out: FloatArray, k: int) -> None:
    """Add Σ(v − c) and Σ(v − c)² to entries 2k and 2k + 1."""
    first, second = 0.0, 0.0
    for j in range(values.size):
        deviation = values[j] - centre
        first += deviation
        second += deviation * deviation
    out[2 * k] += first
    out[2 * k + 1] += second


@elementwise
def add_scaled(y: FloatArray, z: FloatArray, factor: float) -> None:
    for j in range(y.size):
        y[j] += factor * z[j]
