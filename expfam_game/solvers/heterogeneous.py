"""What the solvers for agents with different statistics share (T10): the stop rule and the Solution.

There is no contraction to bound the distance from an equilibrium, and there may be several. The stop rule is the
residual t_i − μ_i(θ_i) in standard deviations of each statistic; its square bounds the regret in nats to first order.
``certify`` proves that an equilibrium is near.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.errors import InvalidMeanParameter
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.solvers.base import Recorder, require, require_integer, require_number
from expfam_game.solvers.solution import Solution, Status

Parts = list[FloatArray]
"""A profile as one vector of natural parameters for each agent."""

_STALLED = (
    "the residual has stopped falling: play goes round in a circle, or Newton's method is caught; try "
    "BestResponse(order='sequential'), a damping below one, or another start"
)


@dataclass(frozen=True)
class HeterogeneousSolver(ABC):
    """A frozen object whose fields are its hyper-parameters; run it with ``solve(game, solver)``.

    Parameters
    ----------
    tolerance : float
        Stop when every residual t_i − μ_i(θ_i), in standard deviations of the statistic, is at most this.
    max_steps : int
        Rounds after which to give up.
    """

    tolerance: float = field(default=1e-12, kw_only=True)
    max_steps: int = field(default=100_000, kw_only=True)

    def __post_init__(self) -> None:
        require_number(self, "tolerance")
        require(self, 0 < self.tolerance < np.inf, "tolerance", "must be positive and finite")
        require_integer(self, "max_steps", 1)

    @abstractmethod
    def run(self, game: HeterogeneousGame, start: Parts | None, recorder: Recorder) -> Solution:
        """Play ``game`` from the natural parameters ``start`` (None for everybody's own data)."""


@dataclass(frozen=True)
class Residual:
    """How far a profile is from equilibrium.

    Attributes
    ----------
    gap : list of ndarray
        t_i − μ_i(θ_i).
    largest : float
        The largest entry in standard deviations of the statistic.
    floor : float
        What rounding of the sums alone may amount to, in the same unit.
    """

    gap: Parts
    largest: float
    floor: float


def residual(game: HeterogeneousGame, parts: Parts) -> Residual:
    """The residual of a profile, with the share of it that rounding may be."""
    eps = float(np.finfo(float).eps)
    gaps, largest, floor = [], 0.0, 0.0
    for family, theta, target in zip(game.families, parts, game._targets(parts)):
        mean = family._to_mean(theta)
        deviation = np.sqrt(np.maximum(family._variance(theta), np.finfo(float).tiny))
        gap = target - mean
        gaps.append(gap)
        largest = max(largest, float(np.max(np.abs(gap) / deviation)))
        floor = max(floor, float(np.max(8.0 * eps * (np.abs(mean) + np.abs(target) + deviation) / deviation)))
    return Residual(gaps, largest, floor)


def isolated_start(game: HeterogeneousGame) -> Parts:
    """Everybody at its own data, moved halfway to the reference mean where that is on the boundary; agents without data
    at the reference mean."""
    parts = []
    for agent, family in enumerate(game.families):
        mean = np.array(game._means[agent])
        if game.weights.self_weights[agent] == 0:
            mean = family.reference_mean()
        elif not bool(family.in_mean_space(mean)):
            mean = 0.5 * (mean + family.reference_mean())
        parts.append(family.to_natural(mean))
    return parts


def is_stuck(found: Residual, rounds_since_best: int) -> bool:
    """Whether rounding, not the number of rounds, keeps the residual where it is."""
    return rounds_since_best >= 3 and found.largest <= found.floor


def finish(
    game: HeterogeneousGame, solver: HeterogeneousSolver, parts: Parts, status: Status, steps: int, recorder: Recorder
) -> Solution:
    """Means, regrets and an estimate of the distance from equilibrium, gathered into a Solution."""
    try:
        regret = game.regret(game._padded(parts))
    except InvalidMeanParameter:
        regret, status = np.full(game.n_agents, np.nan), Status.BOUNDARY
    uniqueness = game.uniqueness()
    ended = _STALLED if status is Status.STALLED else status.value
    return Solution(
        mean=game._padded([f._to_mean(p) for f, p in zip(game.families, parts)]),
        natural=game._padded(parts),
        regret=regret,
        error_bound=game._padded(_distance(game, parts)),
        status=status,
        steps=steps,
        solver=repr(solver),
        message=f"{ended}; {_about(uniqueness.guaranteed, str(uniqueness))}",
        history=recorder.history(),
        uniqueness=uniqueness,
    )


def _about(guaranteed: bool, reason: str) -> str:
    return f"the equilibrium is {reason}" if guaranteed else f"there may be other equilibria, uniqueness is {reason}"


def _distance(game: HeterogeneousGame, parts: Parts) -> Parts:
    """Newton's estimate of |μ − μ*|, rounding of the residual included; infinite where the Jacobian is singular."""
    found = residual(game, parts)
    eps = float(np.finfo(float).eps)
    size = np.concatenate(
        [np.abs(gap) + 8 * eps * np.abs(f._to_mean(p)) for gap, f, p in zip(found.gap, game.families, parts)]
    )
    fisher, coupling = game._fisher(parts), game._coupling(parts)
    try:
        reach = np.abs(fisher) @ np.abs(np.linalg.inv(fisher - coupling)) @ size
    except np.linalg.LinAlgError:
        reach = np.full(len(size), np.inf)
    return split(game, reach)


def split(game: HeterogeneousGame, flat: FloatArray) -> Parts:
    """A vector of all agents' entries, one after the other, as one vector for each agent."""
    return [np.asarray(part) for part in np.split(flat, np.cumsum(game.dims)[:-1])]


def joined(parts: Sequence[FloatArray]) -> FloatArray:
    """The inverse of :func:`split`."""
    return np.concatenate(parts)
