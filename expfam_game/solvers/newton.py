"""Newton: solve μ(θ) = t(θ) for agents with different statistics; finds unstable equilibria too (T10)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from expfam_game.errors import ToleranceNotReached
from expfam_game.game.edge import agents_near_the_boundary
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.solvers.base import Recorder
from expfam_game.solvers.heterogeneous import (
    Ending,
    HeterogeneousSolver,
    Parts,
    Residual,
    finish,
    inside,
    is_settled,
    isolated_start,
    joined,
    newton_step,
    record,
    residual,
)
from expfam_game.solvers.solution import Solution, Status

_HALVINGS = 40


@dataclass(frozen=True)
class Newton(HeterogeneousSolver):
    """Newton's method on the residual in natural parameters, halving steps until it falls; for a :class:`HeterogeneousGame`.

    It converges quadratically to any equilibrium with a regular Jacobian, whether play would go there or not, from a
    start that is near enough; from elsewhere it may stop where the residual has a local minimum.

    Examples
    --------
    >>> import expfam_game as eg
    >>> between = eg.solve(eg.catalog.three_equilibria(), eg.solvers.Newton(), start=[[-2.0], [2.2]])
    >>> between.natural.ravel().round(6), between.steps < 10
    (array([-1.966835,  2.192   ]), True)
    """

    max_steps: int = field(default=200, kw_only=True)

    def run(self, game: HeterogeneousGame, start: Parts | None, recorder: Recorder) -> Solution:
        parts = isolated_start(game) if start is None else list(start)
        found, status, steps, ending = residual(game, parts), Status.MAX_STEPS, 0, Ending(game, self.tolerance)
        for steps in range(self.max_steps + 1):
            record(recorder, game, steps, parts, found)
            if found.largest <= self.tolerance and (ended := ending.verdict(parts, found, 0)):
                status = ended
                break
            moved = _step(game, parts, found)
            if moved is None:
                status = self._caught(game, parts, found)
                break
            if steps < self.max_steps:
                parts, found = moved
        return finish(game, self, parts, status, steps, recorder)

    @property
    def advice(self) -> str:
        return "Newton's method is caught where it has a local minimum: try another start, or BestResponse()"

    def _caught(self, game: HeterogeneousGame, parts: Parts, found: Residual) -> Status:
        """What it means that no step lowers the residual."""
        if found.largest > max(found.floor, self.tolerance):
            return Status.STALLED
        if not is_settled(game, parts, found) and agents_near_the_boundary(game, parts):
            return Status.BOUNDARY
        return Status.RESIDUAL_BELOW_TOLERANCE if found.largest <= self.tolerance else Status.PRECISION_LIMIT


def _step(game: HeterogeneousGame, parts: Parts, found: Residual) -> tuple[Parts, Residual] | None:
    """The longest of the steps δ, δ/2, δ/4, … that lowers the residual; None if there is none."""
    step = newton_step(game, parts, found.gap)
    if step is None:
        return None
    length = 1.0
    for _ in range(_HALVINGS):
        trial = inside(game, joined(parts) + length * step)
        if trial is not None:
            try:
                there = residual(game, trial)
            except ToleranceNotReached:
                there = None
            if there is not None and _lower(game, parts, found, there, length):
                return trial, there
        length *= 0.5
    return None


def _lower(game: HeterogeneousGame, parts: Parts, before: Residual, after: Residual, length: float) -> bool:
    """Armijo's rule on the residual in the standard deviations of the profile that the step starts from."""
    unit = np.concatenate([np.sqrt(f._variance(p)) for f, p in zip(game.families, parts)])
    old, new = (float(np.linalg.norm(joined(r.gap) / unit)) for r in (before, after))
    return new <= (1.0 - 1e-4 * length) * old
