"""What the solvers for agents with different statistics share (T10): the stop rule and the Solution.

There is no contraction to bound the distance from an equilibrium, and there may be several. The stop rule is the
residual t_i − μ_i(θ_i) in standard deviations of each statistic; its square bounds the regret in nats to first order. It
vanishes also where play runs to the boundary of the mean space and there is no equilibrium; :class:`Ending` tells these
apart. ``certify`` proves that an equilibrium is near.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.errors import ExpfamGameError, InvalidMeanParameter
from expfam_game.game.edge import agents_near_the_boundary
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.solvers.base import Recorder, require, require_integer, require_number
from expfam_game.solvers.solution import Solution, Status

Parts = list[FloatArray]
"""A profile as one vector of natural parameters for each agent."""

EDGE_ROUNDS = 50
"""Rounds in a row with a vanishing residual and Newton's method far from settled, after which play is at the boundary."""
SETTLED = 0.1
"""Change of log det F_i in a Newton step up to which a profile counts as near an equilibrium. On the way to the boundary
each step takes at least a factor e off the probability of some point, and so one off log det F_i."""


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

    @property
    def advice(self) -> str:
        """What to do where the residual stops falling above the tolerance."""
        return "try another start"

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
    noise : list of ndarray
        What rounding of the two means may amount to in each entry.
    largest : float
        The largest entry in standard deviations of the statistic.
    floor : float
        What rounding of the sums alone may amount to, in the same unit.
    """

    gap: Parts
    noise: Parts
    largest: float
    floor: float


def residual(game: HeterogeneousGame, parts: Parts) -> Residual:
    """The residual of a profile, with the share of it that rounding may be."""
    eps = float(np.finfo(float).eps)
    gaps, noise, largest, floor = [], [], 0.0, 0.0
    for family, theta, target in zip(game.families, parts, game._targets(parts)):
        mean = family._to_mean(theta)
        deviation = np.sqrt(np.maximum(family._variance(theta), np.finfo(float).tiny))
        gap = target - mean
        gaps.append(gap)
        noise.append(8.0 * eps * (np.abs(mean) + np.abs(target)))
        largest = max(largest, float(np.max(np.abs(gap) / deviation)))
        floor = max(floor, float(np.max(noise[-1] / deviation)) + 8.0 * eps)
    return Residual(gaps, noise, largest, floor)


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


class Ending:
    """Decides when play has ended, at an equilibrium or at the boundary of the mean space.

    At a profile with a vanishing residual Newton's method either stays, so an equilibrium is near, or goes on by about the
    same step for ever. Then play goes on, too: it may yet arrive, or be driven away from the boundary again.
    """

    def __init__(self, game: HeterogeneousGame, tolerance: float) -> None:
        self._game, self._tolerance = game, tolerance
        self._volumes: list[float] = []

    @property
    def at_the_edge(self) -> bool:
        """Whether the residual has vanished, but no equilibrium is near."""
        return bool(self._volumes)

    def verdict(self, parts: Parts, found: Residual, rounds_since_best: int) -> Status | None:
        """How play has ended at this profile, or None to go on."""
        if found.largest <= self._tolerance:
            status = Status.RESIDUAL_BELOW_TOLERANCE
        elif rounds_since_best >= 3 and found.largest <= found.floor:  # rounding keeps the residual where it is
            status = Status.PRECISION_LIMIT
        else:
            self._volumes.clear()
            return None
        if is_settled(self._game, parts, found):
            return status
        self._volumes.append(float(np.sum(_log_volumes(self._game, parts))))
        if len(self._volumes) < EDGE_ROUNDS:
            return None
        leaves = self._volumes[-1] - self._volumes[0] > 1e-3
        self._volumes.clear()
        if not agents_near_the_boundary(self._game, parts):
            return status  # a singular Jacobian: there are equilibria all around, or two merge
        return None if leaves else Status.BOUNDARY


def is_settled(game: HeterogeneousGame, parts: Parts, found: Residual) -> bool:
    """Whether a Newton step leaves every log det F_i nearly as it is, whatever rounding has done to the residual."""
    try:
        before = _log_volumes(game, parts)
        for sign in (0.0, 1.0, -1.0):
            gap = [g + sign * noise for g, noise in zip(found.gap, found.noise)]
            step = newton_step(game, parts, gap)
            moved = None if step is None else inside(game, joined(parts) + step)
            if moved is None or not np.all(np.abs(_log_volumes(game, moved) - before) <= SETTLED):
                return False
    except ExpfamGameError:  # a numerical family that cannot follow so far
        return False
    return True


def _log_volumes(game: HeterogeneousGame, parts: Parts) -> FloatArray:
    """log det F_i of every agent, a common measure of how far its mean is from the boundary."""
    with np.errstate(all="ignore"):
        return np.array([np.linalg.slogdet(f._fisher_information(p))[1] for f, p in zip(game.families, parts)])


def newton_step(game: HeterogeneousGame, parts: Parts, gap: Parts) -> FloatArray | None:
    """(F − C)⁻¹ (t − μ), where Newton's method goes from here; None where the Jacobian is singular."""
    try:
        return np.asarray(np.linalg.solve(game._fisher(parts) - game._coupling(parts), joined(gap)))
    except np.linalg.LinAlgError:
        return None


def inside(game: HeterogeneousGame, flat: FloatArray) -> Parts | None:
    """A vector of all agents' entries as a profile; None if it is not in the natural parameter space."""
    trial = split(game, flat)
    good = np.all(np.isfinite(flat)) and all(bool(f.in_natural_space(p)) for f, p in zip(game.families, trial))
    return trial if good else None


def nash_gap(game: HeterogeneousGame, parts: Parts) -> float:
    """The largest regret in nats; infinite where an agent has no best response."""
    try:
        return float(np.max(game.regret(game._padded(parts))))
    except InvalidMeanParameter:
        return float("inf")


def record(recorder: Recorder, game: HeterogeneousGame, steps: int, parts: Parts, found: Residual) -> None:
    """Note one round; the regret costs an inversion for each agent and is computed only for a history."""
    gap = nash_gap(game, parts) if recorder._keep else float("nan")
    recorder.record(steps, found.largest, gap, game._padded(parts))


def finish(
    game: HeterogeneousGame, solver: HeterogeneousSolver, parts: Parts, status: Status, steps: int, recorder: Recorder
) -> Solution:
    """Means, regrets and an estimate of the distance from equilibrium, gathered into a Solution."""
    try:
        regret = game.regret(game._padded(parts))
    except InvalidMeanParameter:
        regret, status = np.full(game.n_agents, np.nan), Status.BOUNDARY
    uniqueness = game.uniqueness()
    ended = f"the residual has stopped falling; {solver.advice}" if status is Status.STALLED else status.value
    about = f"; {'the equilibrium is' if uniqueness else 'there may be other equilibria,'} {uniqueness}"
    return Solution(
        mean=game._padded([f._to_mean(p) for f, p in zip(game.families, parts)]),
        natural=game._padded(parts),
        regret=regret,
        error_factors=(game._padded(_distance(game, parts)), np.ones(1)),
        status=status,
        steps=steps,
        solver=repr(solver),
        message=ended if status is Status.BOUNDARY else ended + about,
        history=recorder.history(),
        uniqueness=uniqueness,
    )


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
