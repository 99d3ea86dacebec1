"""AsynchronousPlay: random order, delayed messages and drop-outs, all bounded (T6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.game.game import Game
from expfam_game.kernels.sparse import delayed_best_response
from expfam_game.kernels.streams import seed_sequence, stream
from expfam_game.solvers.base import IterativeSolver, Recorder, isolated_start, require, require_integer, require_number
from expfam_game.solvers.solution import Solution


@dataclass(frozen=True)
class AsynchronousPlay(IterativeSolver):
    """Agents answer when they happen to be awake, with messages that are late or lost.

    Converges for every anchored game; the ``‖·‖_v`` error shrinks by q at least once in every
    ``max_silence + max_delay`` rounds (T6).

    Parameters
    ----------
    activity : float
        Probability that an agent is awake in a round, in (0, 1].
    max_silence : int
        s: an agent that slept ``s − 1`` rounds is awake in the next one.
    max_delay : int
        τ: a message in use is at most so many rounds old.
    loss : float
        Probability in [0, 1) that no new message of a neighbour arrives in a round, so that the old one grows older (up
        to ``max_delay``).
    seed : int

    Examples
    --------
    >>> import expfam_game as eg
    >>> eg.solve(eg.catalog.ring(), eg.solvers.AsynchronousPlay(seed=1)).status.name
    'CONVERGED'
    """

    activity: float = 0.5
    max_silence: int = 5
    max_delay: int = 3
    loss: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("activity", "loss"):
            require_number(self, name)
        require(self, 0 < self.activity <= 1, "activity", "must lie in (0, 1]")
        require_integer(self, "max_silence", 1)
        require_integer(self, "max_delay", 0)
        require_integer(self, "seed", 0)
        require(self, 0 <= self.loss < 1, "loss", "must lie in [0, 1)")

    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        rng = stream(seed_sequence(self.seed))
        b = game.weights.off_diagonal
        first = isolated_start(game) if start is None else start
        past = np.repeat(first[None], self.max_delay + 2, axis=0)
        age = np.zeros(b.nnz, dtype=np.int64)
        asleep = np.zeros(game.n_agents, dtype=np.int64)
        now = 0

        def play(mean: FloatArray, residual: FloatArray) -> FloatArray:
            nonlocal now
            now = (now + 1) % past.shape[0]
            awake = (rng.random(game.n_agents) < self.activity) | (asleep >= self.max_silence - 1)
            asleep[:] = np.where(awake, 0, asleep + 1)
            lost = rng.random(b.nnz) < self.loss
            fresh = rng.integers(0, self.max_delay + 1, size=b.nnz)
            age[:] = np.minimum(np.where(lost, age + 1, fresh), self.max_delay)
            delayed_best_response(b.indptr, b.indices, b.data, game.anchored_data, past, now, age, awake)
            return np.asarray(past[now].copy())

        return self.iterate(game, first, play, recorder)
