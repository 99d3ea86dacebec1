"""NaturalGradientPlay: damped simultaneous best response (T7)."""

from __future__ import annotations

from dataclasses import dataclass

from expfam_game._typing import FloatArray
from expfam_game.game.game import Game
from expfam_game.solvers.base import IterativeSolver, Recorder, isolated_start, require, require_number
from expfam_game.solvers.solution import Solution


@dataclass(frozen=True)
class NaturalGradientPlay(IterativeSolver):
    """Everybody takes a natural-gradient step on its own utility: ``μ ← μ + η (D m + B μ − μ)`` (T7).

    Linear in mean parameters; contracts in ``‖·‖_v`` with factor ``1 − η (1 − q)``.

    Parameters
    ----------
    step_size : float
        η in (0, 1]; 1 is simultaneous best response.

    Examples
    --------
    >>> import expfam_game as eg
    >>> eg.solve(eg.catalog.ring(), eg.solvers.NaturalGradientPlay(0.5)).status.name
    'CONVERGED'
    """

    step_size: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number(self, "step_size")
        require(self, 0 < self.step_size <= 1, "step_size", "must lie in (0, 1]")

    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        first = isolated_start(game) if start is None else start
        return self.iterate(game, first, lambda mean, residual: mean + self.step_size * residual, recorder)

    def predicted_rate(self, game: Game) -> float:
        """1 − η (1 − ρ(B)): the eigenvalue ρ(B) of B stays the one of largest modulus after damping."""
        return 1.0 - self.step_size * (1.0 - game.spectral_radius)
