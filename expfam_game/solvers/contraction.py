"""Contraction: everybody plays its best response at once (T4), optionally with Anderson acceleration."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.game.game import Game
from expfam_game.solvers.base import IterativeSolver, Recorder, isolated_start, require_integer
from expfam_game.solvers.solution import Solution


@dataclass(frozen=True)
class Contraction(IterativeSolver):
    """Simultaneous best response ``μ ← D m + B μ``, a contraction in ``‖·‖_v`` with factor q; asymptotic rate ρ(B) (T4).

    Parameters
    ----------
    anderson : int
        How many earlier rounds Anderson acceleration combines (Walker & Ni 2011, doi:10.1137/10078356X); 0 for plain
        play. Accelerated rounds are no longer a contraction round by round; the stop rule is the same bound.

    Examples
    --------
    >>> import expfam_game as eg
    >>> solution = eg.solve(eg.catalog.two_agents(0.5), eg.solvers.Contraction(tolerance=1e-10))
    >>> solution.status.name, solution.steps
    ('CONVERGED', 33)
    """

    anderson: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_integer(self, "anderson", 0)

    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        first = isolated_start(game) if start is None else start
        if self.anderson == 0:
            return self.iterate(game, first, lambda mean, residual: mean + residual, recorder)
        return self.iterate(game, first, _Anderson(self.anderson), recorder)

    def predicted_rate(self, game: Game) -> float:
        return game.spectral_radius if self.anderson == 0 else float("nan")


class _Anderson:
    """The step of Anderson acceleration: the affine combination of the last profiles with the smallest residual."""

    def __init__(self, depth: int) -> None:
        self._means: deque[FloatArray] = deque(maxlen=depth + 1)
        self._residuals: deque[FloatArray] = deque(maxlen=depth + 1)

    def __call__(self, mean: FloatArray, residual: FloatArray) -> FloatArray:
        self._means.append(mean.ravel())
        self._residuals.append(residual.ravel())
        target = mean + residual
        if len(self._means) == 1:
            return target
        d_residual = np.diff(np.array(self._residuals), axis=0).T
        d_mean = np.diff(np.array(self._means), axis=0).T
        coefficients, *_ = np.linalg.lstsq(d_residual, residual.ravel(), rcond=1e-12)
        return np.asarray(target - ((d_mean + d_residual) @ coefficients).reshape(mean.shape))
