"""Solving (I − B) X = Y for many agents: play between communities corrects play between agents.

Simultaneous play, X ← Y + B X, forgets disagreement between neighbours fast and what neighbours have in common slowly. What
they have in common is a game of its own, with communities for players: summing the rows of I − B over each community
leaves an M-matrix, which scaled to a unit diagonal is again I − B′ with a substochastic B′ ≥ 0, anchored where B was. That
smaller game is solved in the same way, and its solution, spread over the members, corrects the play of the agents.

One community, everybody, is enough where the graph mixes fast (random and power-law graphs): *deflated play*, one sweep a
round and one spare profile. Where the graph falls into communities that mix fast, they are found and answer exactly
(:mod:`~expfam_game.game.community_play`). Short probes measure the pace of both. Elsewhere agents who can answer at once do
so first (:mod:`~expfam_game.game.reduction`), which leaves fewer agents and faster play. Where that is still slow, agents
and those they trust most form small communities, whose answer is spread smoothly (smoothed aggregation: Vaněk, Mandel &
Brezina 1996), and the corrected round is the preconditioner of a truncated generalised conjugate residual method
(Eisenstat, Elman & Schultz 1983), which also drives the coarser levels, two rounds each (the K-cycle of Notay & Vassilevski
2008). Every column has its own step lengths. Nothing depends on the number of threads: results are bitwise the same.

A round takes one sweep over the weights, or over those of the reduced game, which are up to twice as many between fewer
agents. Rounds to a residual of 1e-8, for up to 10⁶ agents and self-weights from 0.5 to 0.0001: at most 25
(``benchmarks.scaling``). Small-world graphs, rings with a few shortcuts,
take some 30. Where agents listen to their nearest only and are not listened to in turn, play between communities may stall;
Krylov takes over. Trees are left to LU: communities do not shorten play on them.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from tqdm.auto import tqdm

from expfam_game._typing import FloatArray, IntArray
from expfam_game.game.community_play import CommunityPlay, settled_communities
from expfam_game.game.factors import SparseFactors, bandwidth, groups
from expfam_game.game.reduction import Reduction, narrow, reduction
from expfam_game.kernels import sparse as kernels

Tick = Callable[[], object]
"""Called once a round: the progress bar."""

_SLOW = 0.55
"""Deflated play that reduces the residual by less than this in a round gives way to communities."""

_PROBE = 6
"""Rounds of the probe that measures that pace."""

_ROUNDS = 100
"""Rounds after which a method is given up."""

_FACTORS = 1_000_000
"""Entries that the banded factors of a game between communities may have for it to be solved exactly."""

_STRETCH = 1e-9
"""Residuals are carried along for so much of a reduction; then the true one is taken."""

_KEPT = 2
"""Directions to which a new one is made orthogonal."""

_WIDTH = 4
"""Statistics at a time where directions are kept: bounds the memory."""

_ONE_AT_A_TIME = threading.Lock()
"""Solves share the directions that a game keeps, and not every threading layer of numba lets two of them run together."""

_INNER = 2
"""Rounds on each coarser level (the K-cycle)."""

_SMOOTHED = 0.85
_DENSER = 0.45
"""The communities' answer is smoothed by this share of a round of play, where the plain game between communities has
less than this share of the entries of the game below: then even the smoothed one stays small."""

_STRENGTH = 0.6
"""Weights below this share of the largest in their row do not found communities."""


@dataclass(frozen=True)
class Effort:
    """What a solve took: ``rounds`` of corrected play (one sweep over all weights each) and how it went."""

    rounds: int
    communities: tuple[int, ...]
    reached: bool
    """Whether the residual is below the tolerance or at the level of rounding."""

    def __str__(self) -> str:
        if len(self.communities) == 1 and self.communities[0] == 1:
            return f"deflated play, {self.rounds} rounds"
        return f"play between {' → '.join(f'{n:,}' for n in self.communities)} communities, {self.rounds} rounds"


class Multilevel:
    """A solver for (I − B) X = Y that keeps what it found out about the graph.

    Parameters
    ----------
    b : csr_array, shape (n_agents, n_agents)
        Non-negative, rows summing to at most one, anchored.

    Examples
    --------
    >>> import numpy as np, expfam_game as eg
    >>> b = eg.Weights.grid(60, 60, self_weight=0.001).off_diagonal
    >>> x, effort = Multilevel(b).solve(np.ones((3600, 1)))
    >>> bool(abs(x - 1000).max() < 1e-6), effort.reached
    (True, True)
    """

    def __init__(self, b: sparse.csr_array) -> None:
        self.n_agents = int(b.shape[0])
        self._reduction: Reduction | None = None
        self._settled: CommunityPlay | None = None
        self._level: _Level | None = None
        self._adopt(b)
        if self._mixes_fast():
            return
        self._settled = self._fast_communities()
        if self._settled is None:
            self._reduce()

    def _adopt(self, b: sparse.csr_array) -> None:
        """Make b the game that is played."""
        self.b = b
        self._ones = np.ones(b.shape[0])
        self._once = np.asarray(b @ self._ones)
        self._twice = np.asarray(b @ self._once)
        self._anchoring = float(np.sum(self._ones - self._once))

    def _reduce(self) -> None:
        """Let agents answer at once if that pays, and form communities of the others where play is slow."""
        self._reduction = reduction(self.b)
        if self._reduction is not None:
            self._adopt(self._reduction.b)
        if self._reduction is None or not self._mixes_fast():
            self._level = _Level(self.b, bottom=True)
        _give_back()

    def _probe(self) -> FloatArray:
        return np.random.default_rng(0).choice([-1.0, 1.0], size=(self.b.shape[0], 1))

    def _mixes_fast(self) -> bool:
        """Whether one community is enough: deflated play forgets a random profile at a good pace."""
        return self._anchoring > 0 and _pace(self._deflated_play(self._probe(), np.ones(1), 0.0, _PROBE)[1]) <= _SLOW

    def _fast_communities(self) -> CommunityPlay | None:
        """Communities inside which disagreement is forgotten at a good pace, if there are such."""
        found = settled_communities(self.b)
        if found is None:
            return None
        try:
            play = CommunityPlay(self.b, *found)
        except RuntimeError:  # between communities nothing is anchored, to the precision of float64
            return None
        return play if _pace(play.play(self._probe(), np.ones(1), 0.0, _PROBE)[2]) <= _SLOW else None

    @property
    def communities(self) -> tuple[int, ...]:
        """How many communities there are on each level."""
        if self._settled is not None:
            return (self._settled.communities,)
        return (1,) if self._level is None else self._level.sizes()

    def solve(
        self, rhs: FloatArray, tolerance: float = 1e-14, rows: FloatArray | None = None
    ) -> tuple[FloatArray, Effort]:
        """(I − B)^{-1} diag(rows) rhs, each column until its residual is below ``tolerance`` times its largest entry.

        The tolerance is raised to the size that rounding gives the residual where that is larger.
        """
        # The bar is shown after two seconds, on terminals only.
        with _ONE_AT_A_TIME, tqdm(desc="solving", unit=" rounds", delay=2.0, disable=None, leave=False) as bar:
            return self._solve(rhs, tolerance, rows, bar.update)

    def _solve(
        self, rhs: FloatArray, tolerance: float, rows: FloatArray | None, tick: Tick
    ) -> tuple[FloatArray, Effort]:
        columns = np.ascontiguousarray(rhs.reshape(self.n_agents, -1), dtype=np.float64)
        result: FloatArray | None = None
        rounds, reached = 0, True
        for first, last, width in groups(columns.shape[1], max(kernels.WIDTHS) if self._level is None else _WIDTH):
            block = np.zeros((self.n_agents, width))
            np.multiply(columns[:, first:last], 1.0 if rows is None else rows[:, None], out=block[:, : last - first])
            block, took, done = self._solve_block(block, tolerance, tick)
            if block.shape == columns.shape:
                result = block
            else:
                result = np.empty_like(columns) if result is None else result
                result[:, first:last] = block[:, : last - first]
            del block  # the next one takes its place
            rounds, reached = max(rounds, took), reached and done
        if self._level is not None:
            self._level.forget()
            _give_back()
        result = np.empty_like(columns) if result is None else result
        return result.reshape(rhs.shape), Effort(rounds, self.communities, reached)

    def _solve_block(self, rhs: FloatArray, tolerance: float, tick: Tick) -> tuple[FloatArray, int, bool]:
        """The answer to ``rhs``, which is overwritten."""
        # Powers of two near the columns' sizes: their squares, which the dot products need, neither over- nor underflow.
        unit = np.ldexp(1.0, np.frexp(np.max(np.abs(rhs), axis=0))[1])
        unit[~np.any(rhs, axis=0)] = 1.0
        rhs /= unit
        x, rounds, done = self._solve_scaled(rhs, tolerance, tick)
        x *= unit
        return x, rounds, done

    def _solve_scaled(self, rhs: FloatArray, tolerance: float, tick: Tick) -> tuple[FloatArray, int, bool]:
        scale = np.max(np.abs(rhs), axis=0)
        if self._reduction is None:
            return self._solve_reduced(rhs, scale, tolerance, tick)
        x, rounds, done = self._solve_reduced(self._reduction.shrink(rhs), scale, tolerance, tick)
        return self._reduction.expand(x, rhs), rounds, done

    def _solve_reduced(
        self, rhs: FloatArray, scale: FloatArray, tolerance: float, tick: Tick
    ) -> tuple[FloatArray, int, bool]:
        rounds = 0
        if self._settled is not None:
            x, size, sizes = self._settled.play(rhs, scale, tolerance, _ROUNDS, tick)
            if self._reached(x, size, scale, tolerance):
                return x, len(sizes), True
            self._settled, self._level = None, _Level(self.b, bottom=True)
            rounds += len(sizes)
        if self._level is None:
            x, sizes, done = self._deflated_play(rhs, scale, tolerance, _ROUNDS, tick)
            if done:
                return x, len(sizes), True
            self._level = _Level(self.b, bottom=True)
            rounds += len(sizes)
        x, more, done = self._directed_play(rhs, scale, tolerance, tick)
        return x, rounds + more, done

    # ------------------------------------------------------------------ one community

    def _deflated_play(
        self, rhs: FloatArray, scale: FloatArray, tolerance: float, rounds: int, tick: Tick | None = None
    ) -> tuple[FloatArray, list[float], bool]:
        """Rounds of play, each followed by the common shift that makes the residuals sum to zero."""
        n, width = rhs.shape
        x, out = rhs, np.empty_like(rhs)
        total, largest = np.empty((2, kernels.chunks(n), width))
        shift = np.sum(rhs, axis=0) / self._anchoring
        factors = self._ones, self._once
        sizes: list[float] = []
        while len(sizes) < rounds:
            lanes = kernels.lanes(width)
            kernels.deflated_play(*_arrays(self.b), x, rhs, shift, *factors, out, total, largest, lanes)
            size = np.max(largest, axis=0)
            sizes.append(float(np.max(_ratio(size, scale))))
            if tick is not None:
                tick()
            if sizes[-1] <= tolerance:
                return out, sizes, True
            if len(sizes) > 3 and sizes[-1] > 0.8 * sizes[-2]:
                return out, sizes, self._reached(out, size, scale, tolerance)
            shift = np.sum(total, axis=0) / self._anchoring
            factors = self._once, self._twice
            x, out = out, np.empty_like(rhs) if x is rhs else x
        return out, sizes, False

    def _reached(self, x: FloatArray, size: FloatArray, scale: FloatArray, tolerance: float) -> bool:
        """Whether residuals of these sizes are below the tolerance or at the level of rounding."""
        floor = _rounding(self.b) * np.max(np.abs(x), axis=0)
        return bool(np.all((size <= tolerance * scale) | (size <= floor)))

    # ------------------------------------------------------------------ many communities

    def _directed_play(
        self, rhs: FloatArray, scale: FloatArray, tolerance: float, tick: Tick
    ) -> tuple[FloatArray, int, bool]:
        """Conjugate residuals, begun anew from the true residual until that is small enough."""
        assert self._level is not None
        n, width = rhs.shape
        x, rest, largest = np.zeros_like(rhs), np.array(rhs), np.empty((kernels.chunks(n), width))
        rounds, size, floor = 0, scale, np.zeros(width)
        while True:
            goal = np.maximum(np.maximum(0.9 * tolerance * scale, 0.5 * floor), _STRETCH * size)
            rounds += self._level.descend(x, rest, goal, _KEPT, _ROUNDS, tick) + 1
            kernels.residual(*_arrays(self.b), x, rhs, rest, largest, kernels.lanes(width))
            before, size = size, np.max(largest, axis=0)
            floor = _rounding(self.b) * np.max(np.abs(x), axis=0)
            open_columns = (size > tolerance * scale) & (size > floor)
            if not np.any(open_columns):
                return x, rounds, True
            if np.any(size[open_columns] > 0.5 * before[open_columns]):
                return x, rounds, False


class _Level:
    """A game, its communities, and the game between them; at the top of the hierarchy a game that is solved exactly."""

    def __init__(self, b: sparse.csr_array, bottom: bool = False) -> None:
        self.weights = _arrays(b)
        self.n = int(b.shape[0])
        self._space: tuple[FloatArray, FloatArray] | None = None
        self.exactly: Callable[[FloatArray], FloatArray] | None = None
        if not bottom and _factors_are_small(b):
            self.exactly = _exact_solver(b)
        else:
            self._form_communities(b)

    def _form_communities(self, b: sparse.csr_array) -> None:
        """P spreads an answer of the communities over their members; the game between them is PᵀP − PᵀBP, scaled."""
        label, found = communities(b)
        b = narrow(b)
        spread = narrow(sparse.csr_array((np.ones(self.n), label, np.arange(self.n + 1)), shape=(self.n, found)))
        heard = sparse.csr_array(b @ spread)
        between = sparse.csr_array(spread.T @ (spread - heard))
        if between.nnz <= _DENSER * b.nnz:
            spread = sparse.csr_array((1.0 - _SMOOTHED) * spread + _SMOOTHED * heard)
            heard = sparse.csr_array(b @ spread)
            between = sparse.csr_array(spread.T @ (spread - heard))
        # A community that nothing leaves, to the precision of float64, is left alone; the caller's check of v finds it.
        leaving = between.diagonal()
        self.scale = np.divide(1.0, leaving, out=np.zeros_like(leaving), where=leaving > 0)[:, None]
        # Single precision is enough for a correction, and less to read.
        self.heard = _arrays(heard.astype(np.float32))
        self.gather = _arrays(sparse.csr_array(spread.T.astype(np.float32)))
        rest = sparse.csr_array(sparse.eye_array(found) - sparse.diags_array(self.scale[:, 0]) @ between)
        rest.setdiag(0.0)
        rest.eliminate_zeros()
        self.above = _Level(rest)

    def sizes(self) -> tuple[int, ...]:
        """How many communities there are on each level above this one."""
        return () if self.exactly is not None else (self.above.n, *self.above.sizes())

    def descend(
        self, x: FloatArray, rest: FloatArray, goal: FloatArray | None, kept: int, rounds: int, tick: Tick | None = None
    ) -> int:
        """Rounds of corrected play with conjugate residuals: improves x and its residual ``rest`` in place."""
        width = x.shape[1]
        lanes, chunks = kernels.lanes(width), kernels.chunks(self.n)
        steps, images = self._directions(kept, width)
        norms = np.zeros((kept, width))
        pair, largest = np.empty((chunks, 2, width)), np.empty((chunks, width))
        for t in range(rounds):
            slot, known = t % kept, min(t, kept)
            self.correct(rest, steps[slot])
            dots = np.empty((chunks, known, width))
            kernels.image(*self.weights, steps, images, slot, known, dots, lanes)
            factors = _ratio(np.sum(dots, axis=0), norms[:known])
            kernels.orthogonalise(rest, steps, images, slot, factors, pair, lanes)
            onto, norms[slot] = np.sum(pair, axis=0)
            kernels.advance(x, rest, steps, images, slot, _ratio(onto, norms[slot]), largest, lanes)
            if tick is not None:
                tick()
            if goal is not None and np.all(np.max(largest, axis=0) <= goal):
                return t + 1
        return rounds

    def correct(self, rest: FloatArray, out: FloatArray) -> None:
        """out ← rest + B P e: the communities' answer e to the residual, spread and followed by a round of play."""
        lanes = kernels.lanes(rest.shape[1])
        small = np.zeros((self.above.n, rest.shape[1]))
        kernels.affine(*self.gather, rest, small, small, lanes)
        small *= self.scale
        kernels.affine(*self.heard, self.above.answer(small), rest, out, lanes)

    def answer(self, rhs: FloatArray) -> FloatArray:
        """(I − B)^{-1} rhs: exactly for few communities, else roughly."""
        if self.exactly is not None:
            return np.ascontiguousarray(self.exactly(rhs))
        x = np.zeros_like(rhs)
        self.descend(x, rhs, None, _INNER, _INNER)
        return x

    def _directions(self, kept: int, width: int) -> tuple[FloatArray, FloatArray]:
        shape = (kept, self.n, width)
        if self._space is None or self._space[0].shape != shape:
            self._space = np.empty(shape), np.empty(shape)
        return self._space

    def forget(self) -> None:
        """Give back the memory of the directions."""
        self._space = None
        if self.exactly is None:
            self.above.forget()


def communities(b: sparse.csr_array) -> tuple[IntArray, int]:
    """Neighbourhoods by weight: (community of each agent, how many); see ``kernels.form_communities``."""
    label = np.empty(b.shape[0], dtype=np.int64)
    found = kernels.form_communities(b.indptr, b.indices, b.data, _STRENGTH, label)
    return label, int(found)


# ---------------------------------------------------------------------- helpers


def _give_back() -> None:
    """Give memory that is free but kept by the C library (blocks below 32 MB, after many products) back to the system."""
    # Other C libraries have no such function, and Windows no such handle.
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _exact_solver(b: sparse.csr_array) -> Callable[[FloatArray], FloatArray]:
    try:
        return SparseFactors(b).solve
    except RuntimeError:  # exactly singular in float64: no correction, so that play stalls and says so
        return np.zeros_like


def _factors_are_small(b: sparse.csr_array) -> bool:
    n = b.shape[0]
    return bool(n * n <= _FACTORS or (5 * n <= _FACTORS and n * (2 * bandwidth(b) + 1) <= _FACTORS))


def _pace(sizes: list[float]) -> float:
    """By how much a round reduces the residual: the geometric mean over the last half of the rounds."""
    half = len(sizes) // 2
    return float((sizes[-1] / sizes[-1 - half]) ** (1.0 / half)) if half and sizes[-1 - half] > 0 else 0.0


def _arrays(matrix: sparse.csr_array) -> tuple[IntArray, IntArray, FloatArray]:
    return matrix.indptr, matrix.indices, matrix.data


def _ratio(value: FloatArray, unit: FloatArray) -> FloatArray:
    return np.divide(value, unit, out=np.zeros_like(value), where=unit > 0)


def _rounding(b: sparse.csr_array) -> float:
    """How far, relative to the profile, the computed residual of the exact answer may be from zero."""
    return float(4.0 * np.finfo(float).eps * (2.0 + np.sqrt(b.nnz / max(b.shape[0], 1))))
