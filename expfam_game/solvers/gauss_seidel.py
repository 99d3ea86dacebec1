"""GaussSeidel: best responses one agent after the other (T5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import eigvals

from expfam_game._typing import FloatArray, IntArray
from expfam_game.game.game import Game
from expfam_game.kernels.sparse import gauss_seidel_sweep
from expfam_game.kernels.streams import seed_sequence, stream
from expfam_game.solvers.base import IterativeSolver, Recorder, isolated_start, require, require_integer
from expfam_game.solvers.solution import Solution


@dataclass(frozen=True)
class GaussSeidel(IterativeSolver):
    """Sequential best response: each agent answers what the agents before it have just played.

    Never slower than simultaneous play: ρ_GS ≤ ρ(B) (T5, Stein–Rosenberg).

    Parameters
    ----------
    order : {"forward", "backward", "random"}
        The order of the agents in a round; ``"random"`` is one permutation drawn from ``seed`` and kept.
    seed : int
        Used by ``order="random"`` only.

    Examples
    --------
    >>> import expfam_game as eg
    >>> game = eg.catalog.two_agents(0.5)
    >>> [round(s.predicted_rate(game), 6) for s in (eg.solvers.GaussSeidel(), eg.solvers.Contraction())]
    [0.25, 0.5]
    """

    order: Literal["forward", "backward", "random"] = "forward"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, self.order in ("forward", "backward", "random"), "order", "must be forward, backward or random")
        require_integer(self, "seed", 0)

    def _permutation(self, n_agents: int) -> IntArray:
        if self.order == "random":
            return np.asarray(stream(seed_sequence(self.seed)).permutation(n_agents), dtype=np.int64)
        return np.arange(n_agents)[:: 1 if self.order == "forward" else -1]

    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        b, order = game.weights.off_diagonal, np.ascontiguousarray(self._permutation(game.n_agents))

        def sweep(mean: FloatArray, residual: FloatArray) -> FloatArray:
            played = mean.copy()
            gauss_seidel_sweep(b.indptr, b.indices, b.data, game.anchored_data, order, played)
            return played

        return self.iterate(game, isolated_start(game) if start is None else start, sweep, recorder)

    def predicted_rate(self, game: Game) -> float:
        """ρ((I − L)^{-1} U), L and U the parts of B before and after the diagonal in the order of play (dense)."""
        order = self._permutation(game.n_agents)
        b = game.weights.off_diagonal.toarray()[np.ix_(order, order)]
        lower = np.tril(b)
        return float(np.max(np.abs(eigvals(b - lower, np.eye(game.n_agents) - lower))))
