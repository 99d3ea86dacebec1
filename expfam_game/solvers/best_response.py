"""BestResponse: agents with different statistics answer each other until nobody gains by moving (T10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.errors import InvalidMeanParameter
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.solvers.base import Recorder, _Progress, require, require_number
from expfam_game.solvers.heterogeneous import (
    Ending,
    HeterogeneousSolver,
    Parts,
    finish,
    isolated_start,
    record,
    residual,
)
from expfam_game.solvers.solution import Solution, Status


class _Settling(_Progress):
    """A round costs an inversion for each agent, so a circle is noticed sooner."""

    _WINDOW = 100


@dataclass(frozen=True)
class BestResponse(HeterogeneousSolver):
    """Everybody moves to its best response, all at once or one after the other; for a :class:`HeterogeneousGame`.

    With several equilibria the one that is reached depends on the start, and simultaneous play may go round in a circle
    for ever: two agents can chase each other between two equilibria. One after the other, agents who are listened to
    move before those who listen, and components of the weight graph that nobody else moves settle at once.

    Parameters
    ----------
    order : {"sequential", "simultaneous"}
    damping : float
        The share of the way to the best response, in mean parameters, that an agent goes; between 0 and 1.

    Examples
    --------
    >>> import expfam_game as eg
    >>> game = eg.catalog.three_equilibria()
    >>> eg.solve(game, eg.solvers.BestResponse(), start=[[0.0], [0.0]]).natural.ravel().round(6)
    array([-0.76055 ,  0.861801])
    >>> eg.solve(game, eg.solvers.BestResponse(), start=[[-8.0], [8.0]]).natural.ravel().round(6)
    array([-8.316322,  8.349335])
    """

    order: Literal["sequential", "simultaneous"] = "sequential"
    damping: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, self.order in ("sequential", "simultaneous"), "order", "must be 'sequential' or 'simultaneous'")
        require_number(self, "damping")
        require(self, 0 < self.damping <= 1, "damping", "must be above 0 and at most 1")

    @property
    def advice(self) -> str:
        ways = ["another start"]
        if self.damping > 0.2:
            ways.insert(
                0, f"a smaller damping, such as {type(self).__name__}(damping={0.5 if self.damping > 0.5 else 0.2})"
            )
        if self.order == "simultaneous":
            ways.insert(0, f"{type(self).__name__}(order='sequential')")
        return f"agents answer each other in a circle: try {' or '.join(ways)}"

    def run(self, game: HeterogeneousGame, start: Parts | None, recorder: Recorder) -> Solution:
        parts = isolated_start(game) if start is None else list(start)
        status, steps, progress, ending = Status.MAX_STEPS, 0, _Settling(), Ending(game, self.tolerance)
        for steps in range(self.max_steps + 1):
            found = residual(game, parts)
            record(recorder, game, steps, parts, found)
            progress.note(found.largest)
            was_at_the_edge = ending.at_the_edge
            if ended := ending.verdict(parts, found, progress.rounds_since_best):
                status = ended
            elif was_at_the_edge and not ending.at_the_edge:
                progress = _Settling()  # driven away from the boundary: the residual has to rise first
            elif progress.stalled and not ending.at_the_edge:
                status = Status.STALLED
            if status is not Status.MAX_STEPS or steps == self.max_steps:
                break
            try:
                parts = self._round(game, parts)
            except InvalidMeanParameter:
                status = Status.BOUNDARY
                break
        return finish(game, self, parts, status, steps, recorder)

    def _round(self, game: HeterogeneousGame, parts: Parts) -> Parts:
        if self.order == "simultaneous":
            targets = game._targets(parts)
            return [self._move(game, agent, parts[agent], target) for agent, target in enumerate(targets)]
        moved, laws = list(parts), dict[int, FloatArray]()
        for agent in (agent for component in game.components for agent in component):
            moved[agent] = self._move(game, agent, moved[agent], game._target(agent, moved, laws))
            laws.pop(agent, None)
        return moved

    def _move(self, game: HeterogeneousGame, agent: int, theta: FloatArray, target: FloatArray) -> FloatArray:
        if self.damping < 1:
            target = (1.0 - self.damping) * game.families[agent]._to_mean(theta) + self.damping * target
        return np.asarray(game._response(agent, target))
