"""What a solver returns: a profile, how it ended, and the bounds that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.game.heterogeneous import Uniqueness


class Status(Enum):
    """How a solver ended; the value is a sentence."""

    CONVERGED = "the error bound, relative to the scale of each statistic, is below the tolerance"
    RESIDUAL_BELOW_TOLERANCE = "every residual, in standard deviations of its statistic, is below the tolerance"
    REGRET_BELOW_TOLERANCE = "every agent's regret is below the tolerance"
    PRECISION_LIMIT = (
        "rounding errors, not the number of rounds, limit the error bound; it is as small as float64 allows"
    )
    ROUNDS_PLAYED = "all rounds were played; sampled play ends at a random profile around the equilibrium"
    MAX_STEPS = "the largest number of rounds was reached before the tolerance"
    STALLED = "the error bound has stopped falling above the tolerance; ask for a larger tolerance or a smaller step"
    BOUNDARY = "a best response lies on the boundary of the mean space, where no natural parameter exists"

    @property
    def success(self) -> bool:
        """Whether the solver did what was asked of it."""
        return self not in (Status.MAX_STEPS, Status.STALLED, Status.BOUNDARY)


@dataclass(frozen=True)
class History:
    """One entry per recorded round.

    Attributes
    ----------
    steps : ndarray of int, shape (rounds,)
    error_bound : ndarray, shape (rounds,)
        The bound on ``max |μ − μ*|``, relative to the largest data mean of each statistic; for agents with different
        statistics the largest residual t_i − μ_i(θ_i), in standard deviations of the statistic.
    regret : ndarray, shape (rounds,)
        ``max_i regret_i`` in nats: of agents with different statistics in every round, infinite where somebody has no best
        response; otherwise with ``criterion="regret"``, and NaN without.
    observed : tuple of float
        What the ``observe`` function returned.
    """

    steps: IntArray
    error_bound: FloatArray
    regret: FloatArray
    observed: tuple[float, ...] = ()


@dataclass(frozen=True)
class NoiseFloor:
    """Sampled play against its prediction (T8), in mean parameters.

    Attributes
    ----------
    predicted : ndarray, shape (n_agents, dim), or None
        Predicted mean squared deviation of each entry from the equilibrium over the same rounds: the variance of T8 plus
        the square of what is left of the start; None above 1000 agents.
    observed : ndarray, shape (n_agents, dim)
        Mean squared deviation from the equilibrium over the rounds used.
    rounds : int
        How many rounds the observation averages over.
    """

    predicted: FloatArray | None
    observed: FloatArray
    rounds: int

    @property
    def ratio(self) -> float:
        """Observed over predicted variance, each summed over agents and over statistics scaled to equal prediction.

        Near one where T8 holds; NaN without a prediction.
        """
        if self.predicted is None:
            return float("nan")
        expected, seen = self.predicted.sum(axis=0), self.observed.sum(axis=0)
        positive = expected > 0
        return float(np.mean(seen[positive] / expected[positive])) if positive.any() else float("nan")


@dataclass(frozen=True)
class Solution:
    """A profile of strategies and how it was reached.

    Attributes
    ----------
    mean : ndarray, shape (n_agents, dim)
        Mean parameters μ.
    natural : ndarray, shape (n_agents, dim)
        Natural parameters θ; NaN in the rows of agents on the boundary.
    regret : ndarray, shape (n_agents,)
        What each agent would gain by its best response, in nats; NaN where θ is.
    error_factors : tuple of ndarray
        Two arrays whose product, broadcast, is ``error_bound``: one of shape (n_agents, 1) and one of shape (dim,), short
        where there are a million agents; where the bound is no such product, it is the first.
    status : Status
    steps : int
        Rounds played.
    solver : str
        The solver with its hyper-parameters.
    message : str
        The status, and what to do about it where it is a failure.
    history : History or None
    noise : NoiseFloor or None
        Only from sampled play.
    uniqueness : Uniqueness or None
        Only for agents with different statistics, whose arrays have NaN behind an agent's own statistics: whether there
        can be other equilibria (T10).
    """

    mean: FloatArray
    natural: FloatArray
    regret: FloatArray
    error_factors: tuple[FloatArray, FloatArray]
    status: Status
    steps: int
    solver: str
    message: str
    history: History | None = None
    noise: NoiseFloor | None = None
    uniqueness: Uniqueness | None = None

    @property
    def error_bound(self) -> FloatArray:
        """Bound on ``|μ − μ*|``, shape (n_agents, dim), computed when asked for.

        ``v_i max_k |residual_k|`` plus rounding (T4), evaluated in float64; ``certify`` proves it. For agents with
        different statistics no such bound is known: Newton's estimate of the distance to an equilibrium.
        """
        of_agents, of_statistics = self.error_factors
        return np.asarray(of_agents * of_statistics)

    @property
    def max_error(self) -> float:
        """The largest entry of ``error_bound``, those behind an agent's own statistics apart."""
        of_agents, of_statistics = self.error_factors
        return float(np.fmax.reduce(np.fmax.reduce(of_agents, axis=0) * of_statistics))

    def __repr__(self) -> str:
        agents, dim = self.mean.shape
        sign = "≤" if self.uniqueness is None else "≈"
        text = self.status.value if self.uniqueness is None else f"{self.status.value}; {self.uniqueness}"
        return (
            f"Solution({_counted(agents, 'agent')} × {_counted(dim, 'statistic')}, {self.solver}, "
            f"{_counted(self.steps, 'round')}, "
            f"max regret {np.max(self.regret):.3g} nats, error {sign} {self.max_error:.3g}: {text})"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
