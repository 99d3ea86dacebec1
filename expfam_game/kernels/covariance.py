"""The covariance of the statistic of n samples: drawn into a small buffer, multiplied with itself, never stored.

A family supplies one or more :class:`Draw`: a compiled kernel that fills a buffer with the deviations of the statistic
from its exact mean, one row per statistic. While the buffer is in the cache its outer products are added up. The
samples of an agent are cut into blocks whose size depends on the number of statistics alone, and each (agent, block)
has a random stream of its own; sums are added in the order of the blocks. So the result is the same to the last bit for
any number of threads, and for an agent alone or among others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.block_sums import default_threads, in_threads, moments_about
from expfam_game.kernels.compiling import compiled, reduction
from expfam_game.kernels.random_words import open_stream
from expfam_game.kernels.streams import StreamKey

_SLAB = 1 << 15
"""Doubles in a buffer: 256 KiB, a part of a second-level cache."""
_SMALLEST_BLOCK, _LARGEST_BLOCK = 256, 1 << 14
"""Samples per stream."""
_SPAN = 1 << 16
"""Samples whose products are added into one matrix before matrices are added."""
_ROWS = 1 << 23
"""Doubles of matrices held between two additions, which bounds the memory."""
_WORTH_A_THREAD = 1 << 16
"""Samples times matrix entries below which starting threads costs more than they save."""


class Draw(NamedTuple):
    """How the statistic of some agents, or of one factor of a product, is drawn.

    ``kernel(tasks, key, branch, *parameters, out)`` writes standard deviations d from the mean to ``out``, of shape
    (tasks, copies, dim, samples); the statistic is ``centre + scale * d``. A row of ``tasks`` is agent, block, number of
    samples and target. Copy c of agent a has the stream and the parameters of number ``a * copies + c``.
    """

    kernel: Callable[..., None]
    parameters: tuple[Any, ...]
    centre: FloatArray
    scale: FloatArray
    branch: int = 0
    copies: int = 1

    @property
    def dim(self) -> int:
        """Statistics of one copy."""
        return int(self.centre.shape[1])


@compiled
def open_row(row: int, copy: int, copies: int, tasks: IntArray, key: Any, branch: int, state: AnyArray) -> Any:
    """Open the stream of a row of ``tasks`` for one copy; the number of its parameters and of its samples."""
    number = tasks[row, 0] * copies + copy
    open_stream(state, key, branch, number, tasks[row, 1])
    return number, tasks[row, 2]


def block_size(dim: int) -> int:
    """Samples per stream for so many statistics: an even number."""
    return min(_LARGEST_BLOCK, max(_SMALLEST_BLOCK, _SLAB // dim // 256 * 256))


def scatter_matrices(
    draws: Sequence[Draw], n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Means (agents, dim) and sums of outer products of deviations from them (agents, dim, dim) over n samples.

    The statistics are those of the draws one after the other, all copies of a draw together.
    """
    centre, scale = _side_by_side(draws)
    sums = _sums(draws, n, key, centre.shape, True, threads)
    first = sums[:, :, -1]
    scatter = sums[:, :, :-1] - first[:, :, None] * (first[:, None, :] / n)
    scatter = mirrored(scale[:, :, None] * (scatter * scale[:, None, :]))
    diagonal = np.einsum("aii->ai", scatter)
    diagonal[:] = np.maximum(diagonal, 0.0)
    return centre + scale * (first / n), scatter


def scatters(
    draws: Sequence[Draw], n: int, key: StreamKey, threads: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Means and sums of squared deviations, both (agents, dim), of the same samples as :func:`scatter_matrices`."""
    centre, scale = _side_by_side(draws)
    sums = _sums(draws, n, key, centre.shape, False, threads)
    mean, scatter = moments_about(np.zeros(1), sums[:, :, 1], sums[:, :, 0], n)
    return centre + scale * mean, scale * (scale * scatter)


def _side_by_side(draws: Sequence[Draw]) -> tuple[FloatArray, FloatArray]:
    """Centres and scales of all draws, (agents, dim)."""
    agents = len(draws[0].centre) // draws[0].copies
    centre, scale = (
        np.concatenate([part.reshape(agents, -1) for part in parts], axis=1)
        for parts in ([draw.centre for draw in draws], [draw.scale for draw in draws])
    )
    return centre, scale


def mirrored(matrices: FloatArray) -> FloatArray:
    """The symmetric matrices with these upper triangles."""
    upper = np.triu(matrices)
    return upper + np.swapaxes(np.triu(matrices, 1), 1, 2)


def _sums(
    draws: Sequence[Draw], n: int, key: StreamKey, shape: tuple[int, ...], matrix: bool, threads: int | None
) -> FloatArray:
    """Σ d dᵀ (upper triangle), or Σ d² alone, beside Σ d: shape (agents, dim, dim + 1) or (agents, dim, 2)."""
    agents, dim = shape
    block = block_size(dim)
    spans = -(-n // (_SPAN // block * block))

    def run(first: int, width: int, rows: FloatArray, start: int, stop: int) -> None:
        _run(draws, n, key, block, (first, width), rows, start, stop)

    return span_sums(run, agents, spans, (dim, dim + 1 if matrix else 2), n, threads)


def span_sums(
    run: Callable[[int, int, FloatArray, int, int], None],
    agents: int,
    spans: int,
    shape: tuple[int, int],
    n: int,
    threads: int | None = None,
) -> FloatArray:
    """Matrices of the given shape added up over the spans of each agent, (agents, *shape).

    ``run(first, width, rows, start, stop)`` adds to rows t = start, …, stop − 1: span ``first + t % width`` of agent
    ``t // width``. Memory is bounded: the matrices of a few spans at a time, and they are added in their order.
    """
    size = shape[0] * shape[1]
    threads = threads or (default_threads() if agents * n * size > _WORTH_A_THREAD else 1)
    wave = max(1, min(spans, _ROWS // max(agents * size, 1)))
    total = np.zeros((agents, *shape))
    for first in range(0, spans, wave):
        width = min(wave, spans - first)
        rows = np.zeros((agents * width, *shape))
        in_threads(partial(run, first, width, rows), agents * width, threads)
        for k in range(width):
            total += rows[k::width]
    return total


def _run(
    draws: Sequence[Draw],
    n: int,
    key: StreamKey,
    block: int,
    wave: tuple[int, int],
    rows: FloatArray,
    start: int,
    stop: int,
) -> None:
    """Fill rows start, …, stop − 1: row t is span ``t % width`` of agent ``t // width`` among those of the wave."""
    dim = rows.shape[1]
    size = min(block, n + (n & 1))
    tasks = _tasks(n, block, wave, start, stop)
    together = max(1, _SLAB // (dim * size))
    slab = np.empty((min(together, len(tasks)), dim, size))
    views = _views(draws, slab)
    for first in range(0, len(tasks), together):
        part = tasks[first : first + together]
        for draw, view in zip(draws, views):
            draw.kernel(part, np.uint64(key.key), key.branch + draw.branch, *draw.parameters, view[: len(part)])
        (_add_products if rows.shape[2] == dim + 1 else _add_squares)(part, slab, rows)


def _tasks(n: int, block: int, wave: tuple[int, int], start: int, stop: int) -> IntArray:
    """The blocks of rows start, …, stop − 1: agent, block, number of samples, row."""
    run = _SPAN // block
    row = np.repeat(np.arange(start, stop), run)
    number = (wave[0] + row % wave[1]) * run + np.tile(np.arange(run), stop - start)
    size = np.minimum(block, n - number * block)
    return np.stack([row // wave[1], number, size, row], axis=1)[size > 0]


def _views(draws: Sequence[Draw], slab: FloatArray) -> list[FloatArray]:
    """The part of the buffer that each draw fills, (tasks, copies, dim, samples)."""
    views, done = [], 0
    for draw in draws:
        width = draw.copies * draw.dim
        part = slab[:, done : done + width]
        views.append(part.reshape(len(slab), draw.copies, draw.dim, slab.shape[2]))
        done += width
    return views


# ---------------------------------------------------------------------- products


@compiled
def _add_products(tasks: IntArray, slab: FloatArray, rows: FloatArray) -> None:
    for t in range(len(tasks)):
        add_outer(slab[t], tasks[t, 2], rows[tasks[t, 3]])


@compiled
def _add_squares(tasks: IntArray, slab: FloatArray, rows: FloatArray) -> None:
    for t in range(len(tasks)):
        m, row = tasks[t, 2], tasks[t, 3]
        for i in range(slab.shape[1]):
            rows[row, i, 0] += _dot(slab[t, i, :m], slab[t, i, :m])
            rows[row, i, 1] += _sum(slab[t, i, :m])


@compiled
def add_outer(x: FloatArray, m: int, out: FloatArray) -> None:
    """Add Σ_s x_is x_js over the first m samples to ``out[i, j]`` for i ≤ j, and Σ_s x_is to the last column."""
    d = x.shape[0]
    whole = d - d % 4
    for i in range(0, whole, 4):
        for j in range(i, whole, 4):
            _add_tile(
                x[i, :m],
                x[i + 1, :m],
                x[i + 2, :m],
                x[i + 3, :m],
                x[j, :m],
                x[j + 1, :m],
                x[j + 2, :m],
                x[j + 3, :m],
                out[i : i + 4, j : j + 4],
            )
    for j in range(whole, d):
        for i in range(j + 1):
            out[i, j] += _dot(x[i, :m], x[j, :m])
    for i in range(d):
        out[i, d] += _sum(x[i, :m])


@reduction
def _add_tile(
    a: FloatArray,
    b: FloatArray,
    c: FloatArray,
    d: FloatArray,
    e: FloatArray,
    f: FloatArray,
    g: FloatArray,
    h: FloatArray,
    out: FloatArray,
) -> None:
    """Sixteen scalar products that share their loads: of rows a, b, c, d with rows e, f, g, h."""
    ae, af, ag, ah, be, bf, bg, bh = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    ce, cf, cg, ch, de, df, dg, dh = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for s in range(a.size):
        ae += a[s] * e[s]
        af += a[s] * f[s]
        ag += a[s] * g[s]
        ah += a[s] * h[s]
        be += b[s] * e[s]
        bf += b[s] * f[s]
        bg += b[s] * g[s]
        bh += b[s] * h[s]
        ce += c[s] * e[s]
        cf += c[s] * f[s]
        cg += c[s] * g[s]
        ch += c[s] * h[s]
        de += d[s] * e[s]
        df += d[s] * f[s]
        dg += d[s] * g[s]
        dh += d[s] * h[s]
    out[0, 0] += ae
    out[0, 1] += af
    out[0, 2] += ag
    out[0, 3] += ah
    out[1, 0] += be
    out[1, 1] += bf
    out[1, 2] += bg
    out[1, 3] += bh
    out[2, 0] += ce
    out[2, 1] += cf
    out[2, 2] += cg
    out[2, 3] += ch
    out[3, 0] += de
    out[3, 1] += df
    out[3, 2] += dg
    out[3, 3] += dh


@reduction
def _dot(x: FloatArray, y: FloatArray) -> float:
    total = 0.0
    for s in range(x.size):
        total += x[s] * y[s]
    return total


@reduction
def _sum(x: FloatArray) -> float:
    total = 0.0
    for s in range(x.size):
        total += x[s]
    return total
