"""Direct: the equilibrium by one linear solve (T2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.game.game import Game
from expfam_game.solvers.base import ErrorGauge, Recorder, Solver, assess, finish, require, require_number
from expfam_game.solvers.solution import Solution, Status

_EXPECTED = 1e-12
"""The default tolerance of the iterative solvers, for the status of a direct solve with no larger one."""


@dataclass(frozen=True)
class Direct(Solver):
    """Solve (I − B) μ = D m for all statistics at once (T2).

    Parameters
    ----------
    method : {"auto", "lu", "multilevel", "krylov"}
        Sparse LU; play between agents corrected by play between communities (at most some 25 sweeps over the weights to a
        residual of 1e-8 on random, power-law, ring, grid and community graphs whatever the self-weights, some 30 on small
        worlds); or BiCGStab with GMRES behind it. ``"auto"`` takes LU where its factors are small (up to 1000 agents, trees,
        narrow bands, surfaces of up to 200 000 agents), multilevel elsewhere. The message of the solution says what was done.
    tolerance : float
        Multilevel play stops when the residual is this small relative to the largest entry of ``D m`` of its statistic;
        a solution that meets one above 1e-12 counts as converged, otherwise its error bound must be at most 1e-12.

    Examples
    --------
    >>> import expfam_game as eg
    >>> eg.solve(eg.catalog.two_agents(0.5), eg.solvers.Direct()).mean.ravel().round(4)
    array([0.4167, 0.5833])
    """

    method: Literal["auto", "lu", "multilevel", "krylov"] = "auto"
    tolerance: float = field(default=1e-14, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        known = ("auto", "lu", "multilevel", "krylov")
        require(self, self.method in known, "method", "must be 'auto', 'lu', 'multilevel' or 'krylov'")
        require_number(self, "tolerance")
        require(self, 0 < self.tolerance < 1, "tolerance", "must lie between 0 and 1")

    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        mean, how = game._system.solve(game.means, self.method, self.tolerance, game.weights.self_weights)
        gauge, found = ErrorGauge(game), assess(game, mean)
        bound = gauge.relative_bound(found.largest)
        recorder.record(1, bound, float("nan"), mean)
        asked = 1.01 * self.tolerance * float(np.max(gauge.v)) if self.tolerance > _EXPECTED else _EXPECTED
        if bound <= asked:
            status = Status.CONVERGED
        else:
            status = Status.PRECISION_LIMIT if bound <= gauge.rounding_floor else Status.STALLED
        solution = finish(game, self, mean, status, 1, recorder, found=found)
        return replace(solution, message=f"{solution.message} (by {how})")
