"""One round of sampled play: the average of the samples of every model, drawn at once, and everybody's answer to it.

Memory is that of a few profiles, also where every listener hears draws of its own: these are made for a block of listeners
at a time. Blocks have random streams of their own, so the numbers do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Literal

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.families.sum_laws import SumLaw, sum_law
from expfam_game.game.game import Game
from expfam_game.kernels import sparse
from expfam_game.kernels import sum_laws as kernels
from expfam_game.kernels.block_sums import default_threads
from expfam_game.kernels.streams import seed_sequence, stream, stream_key

_BLOCK = 1 << 13
"""Entries of the profile, or of what is heard, per random stream."""

_ROWS = 1 << 12
"""Listeners whose answers are computed at a time."""

_WORTH_THREADS = 1 << 15
"""Entries of a round from which on it is shared among threads."""

Block = tuple[int, int, int]
"""Number, first and last row (exclusive)."""


class Rounds:
    """Plays rounds on profiles of one game; a context, because it holds threads.

    >>> import expfam_game as eg
    >>> with Rounds(eg.catalog.two_agents(0.5), "broadcast", "auto", seed=0) as rounds:
    ...     mean = rounds.play(np.array([[0.25], [0.75]]), 100, 1.0, 0)
    >>> mean.shape
    (2, 1)
    """

    def __init__(
        self,
        game: Game,
        exchange: Literal["broadcast", "separate"],
        method: Literal["auto", "samples"],
        seed: int,
        threads: int | None = None,
    ) -> None:
        self._game, self._heard, self._method = game, game.weights.off_diagonal, method
        self._root = seed_sequence(seed)
        self._key = stream_key(self._root)
        self._law: SumLaw | None = sum_law(game.family) if method == "auto" else None
        self._broadcast = exchange == "broadcast"
        n, width, edges = game.n_agents, game.family.dim, self._heard.nnz
        step = max(1, _BLOCK // width)
        self._blocks, self._rows = _blocks(range(0, n, step), n), _blocks(range(0, n, _ROWS), n)
        ends = np.searchsorted(self._heard.indptr, np.arange(step, edges, step), side="right") - 1
        self._listeners = _blocks([0, *np.unique(ends[ends > 0]).tolist()], n)
        work = width * (n if self._broadcast else edges)
        count = (default_threads() if work >= _WORTH_THREADS else 1) if threads is None else threads
        self._threads = ThreadPoolExecutor(count) if count > 1 else None
        self._pieces = 4 * count
        self._columns = _columns(width)
        self._own = [np.ascontiguousarray(game.anchored_data[:, columns]) for columns in self._columns]
        self._drawn = [np.empty_like(own) for own in self._own] if self._broadcast else []

    def __enter__(self) -> Rounds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown()

    def play(self, mean: FloatArray, n: int, gain: float, t: int) -> FloatArray | None:
        """``mean + gain (D m + B μ̂ − mean)``, or None where a model does not exist: its mean is on the boundary."""
        law = self._law if self._law is not None and self._law.covers(n) else None
        inside = self._game.family.in_mean_space
        if (law is None or not self._broadcast) and not inside(mean).all():
            return None
        following = np.empty_like(mean)
        if not self._broadcast:
            self._each(lambda block: self._hear_apart(block, mean, n, t, law, following), self._listeners)
        elif law is not None:
            if sum(self._each(lambda block: self._draw(law, block, mean, n, t), self._blocks)):
                return None
            self._each(lambda block: self._hear_all(block, following), self._rows)
        else:
            drawn = self._average(mean, n, (t,))
            self._keep(drawn, 0, len(drawn))
            self._each(lambda block: self._hear_all(block, following), self._rows)
        return following if gain == 1.0 else mean + gain * (following - mean)

    def add_squares(self, x: FloatArray, y: FloatArray, out: FloatArray) -> None:
        """out += (x − y)²."""
        self._each(lambda block: kernels.add_squares(*(a[block[1] : block[2]] for a in (x, y, out))), self._rows)

    # ------------------------------------------------------------------ draws

    def _draw(self, law: SumLaw, block: Block, mean: FloatArray, n: int, t: int) -> int:
        number, first, last = block
        drawn = self._drawn[0][first:last] if len(self._drawn) == 1 else np.empty_like(mean[first:last])
        outside = law.draw(mean[first:last], n, self._key, number, t, drawn)
        if len(self._drawn) > 1:
            self._keep(drawn, first, last)
        return outside

    def _keep(self, drawn: FloatArray, first: int, last: int) -> None:
        for columns, kept in zip(self._columns, self._drawn):
            kept[first:last] = drawn[:, columns]

    def _average(self, mean: FloatArray, n: int, place: tuple[int, ...]) -> FloatArray:
        """The average statistic of n samples of each row, from the stream of a place, where there is no kernel for it."""
        family = self._game.family
        theta = family.to_natural(mean)
        if self._method == "auto":
            drawn = family._sum_law(theta, n, stream(self._root, *place))
            if drawn is not None:
                return drawn
        child = np.random.SeedSequence(self._root.entropy, spawn_key=(*self._root.spawn_key, *place))
        return family._estimate_by_samples(theta, n, child).mean

    # ------------------------------------------------------------------ answers

    def _hear_all(self, block: Block, following: FloatArray) -> None:
        """The best responses of a block of agents to what all of them heard."""
        _, first, last = block
        b, indptr = self._heard, self._heard.indptr[first : last + 1]
        for columns, own, drawn in zip(self._columns, self._own, self._drawn):
            alone = len(self._columns) == 1
            out = following[first:last] if alone else np.empty_like(own[first:last])
            sparse.affine(indptr, b.indices, b.data, drawn, own[first:last], out, sparse.lanes(own.shape[1]))
            if not alone:
                following[first:last, columns] = out

    def _hear_apart(
        self, block: Block, mean: FloatArray, n: int, t: int, law: SumLaw | None, following: FloatArray
    ) -> None:
        """The best responses of a block of listeners, each of whom hears draws of its own."""
        number, first, last = block
        b, indptr = self._heard, self._heard.indptr[first : last + 1]
        heard = mean[b.indices[indptr[0] : indptr[-1]]]
        drawn = np.empty_like(heard)
        if law is not None:
            law.draw(heard, n, self._key, number, t, drawn)
        elif len(heard):
            drawn = self._average(heard, n, (t, number))
        own = self._game.anchored_data[first:last]
        kernels.respond(indptr, b.data[indptr[0] : indptr[-1]], drawn, own, following[first:last])

    # ------------------------------------------------------------------ threads

    def _each(self, work: Callable[[Block], int | None], blocks: Sequence[Block]) -> list[int]:
        """Do the work for every block; what it returned, None as zero."""
        if self._threads is None:
            return [work(block) or 0 for block in blocks]
        shares = [blocks[k :: self._pieces] for k in range(min(self._pieces, len(blocks)))]
        return list(self._threads.map(lambda share: sum(work(block) or 0 for block in share), shares))


def _blocks(starts: Sequence[int], end: int) -> list[Block]:
    """The ranges of rows that begin at ascending starts."""
    stops = [*starts[1:], end]
    return [(number, start, stop) for number, (start, stop) in enumerate(zip(starts, stops))]


def _columns(width: int) -> list[slice]:
    """All columns, cut into the widths that there are sparse kernels for."""
    found, first = [], 0
    while first < width:
        step = max(w for w in sparse.WIDTHS if w <= width - first)
        found.append(slice(first, first + step))
        first += step
    return found
