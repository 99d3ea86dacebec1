"""Direct: the equilibrium by one linear solve (T2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.game import linear
from expfam_game.game.game import Game
from expfam_game.solvers.base import ErrorGauge, Recorder, Solver, finish, require
from expfam_game.solvers.solution import Solution, Status

_EXPECTED = 1e-12
"""The default tolerance of the iterative solvers, for the status of a direct solve."""


@dataclass(frozen=True)
class Direct(Solver):
    """Solve (I − B) μ = D m for all statistics at once (T2).

    Parameters
    ----------
    method : {"auto", "lu", "krylov"}
        Sparse LU, or BiCGStab with GMRES behind it; ``"auto"`` takes LU up to 1000 agents and where the graph has a narrow
        band, Krylov elsewhere.

    Examples
    --------
    >>> import expfam_game as eg
    >>> eg.solve(eg.catalog.two_agents(0.5), eg.solvers.Direct()).mean.ravel().round(4)
    array([0.4167, 0.5833])
    """

    method: Literal["auto", "lu", "krylov"] = "auto"

    def __post_init__(self) -> None:
        require(self, self.method in ("auto", "lu", "krylov"), "method", "must be 'auto', 'lu' or 'krylov'")

    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        b = game.weights.off_diagonal
        use_lu = self.method == "lu" or (self.method == "auto" and linear.lu_is_cheap(b))
        mean = (linear.solve_lu if use_lu else linear.solve_krylov)(b, game.anchored_data)
        gauge = ErrorGauge(game)
        bound = gauge.relative_bound(game._best_response(mean) - mean)
        recorder.record(1, bound, float("nan"), mean)
        if bound <= _EXPECTED:
            status = Status.CONVERGED
        else:
            status = Status.PRECISION_LIMIT if bound <= gauge.rounding_floor else Status.STALLED
        return finish(game, self, np.asarray(mean), status, 1, recorder)
