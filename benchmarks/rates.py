"""Measuring the asymptotic rate of a solver from the profiles it plays.

The method is the power iteration, with the solver itself as the operator. The solver is started near the exact
equilibrium with a random disturbance; when its error has fallen by some decades the error that is left is scaled up
again and the solver is started from there, so that the fast modes die out without rounding ever mattering. No eigenvector
and no eigenvalue of the theory enters.

Every statistic is followed on its own, because the whole is as slow as its slowest statistic. Where several modes share
the largest modulus (a ring, a star, a grid) the error goes round in a cycle: the rate is then read off over one cycle,
whose length is found from the errors themselves, as the shortest lag over which they shrink by a constant factor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

import expfam_game as eg
from benchmarks.exact import ExactMean
from expfam_game._typing import FloatArray
from expfam_game.solvers.base import IterativeSolver

_LARGEST, _SMALLEST = 1e-5, 1e-10
"""The disturbance, relative to the distance from the boundary, before and after each run: small enough for a nonlinear
solver to be linear to five digits, large enough for rounding to be invisible in the first five."""

THREE_DIGITS = 5e-4
"""The relative difference that leaves three digits in agreement."""

_SETTLED = 2e-5
"""Relative spread of −log(rate) over the second half of the rounds below which a measurement is finished."""


@dataclass(frozen=True)
class MeasuredRate:
    """A rate and how far to trust it.

    Attributes
    ----------
    rate : float
        Factor per round by which the error of the slowest statistic shrinks.
    spread : float
        Relative spread of −log(rate) over the second half of the rounds; what the measurement says of its own error.
    lag : int
        Length of the cycle that the error goes through (1: none).
    rounds : int
        Rounds played for the measurement.
    """

    rate: float
    spread: float
    lag: int
    rounds: int

    @property
    def uncertainty(self) -> float:
        """The spread as a relative uncertainty of the rate itself."""
        return float(self.spread * -np.log(self.rate))

    def agrees_with(self, predicted: float) -> bool:
        """Three digits of the rate, and of −log(rate) as far as the measurement itself is that sharp."""
        apart = abs(float(np.log(self.rate) / np.log(predicted)) - 1.0)
        close = abs(self.rate / predicted - 1.0) <= THREE_DIGITS
        return close and self.uncertainty <= THREE_DIGITS and apart <= max(THREE_DIGITS, self.spread)


def measure_rate(
    game: eg.Game, solver: IterativeSolver, exact: ExactMean, seed: int, max_rounds: int = 2500
) -> MeasuredRate:
    """Measure the asymptotic rate of ``solver`` on ``game``."""
    scale = _LARGEST * _room(exact.high)
    disturbance = np.random.default_rng(seed).uniform(0.1, 1.0, size=exact.high.shape)
    logs, length, goal = np.zeros((1, exact.high.shape[1])), 16, 128
    result = MeasuredRate(float("nan"), float("inf"), 0, 0)
    while logs.shape[0] < max_rounds and result.spread > _SETTLED:
        while logs.shape[0] < min(goal, max_rounds):
            start = exact.high + disturbance / np.max(np.abs(disturbance), axis=0) * scale
            sizes, disturbance = _play(game, solver, exact, start, length)
            logs = np.concatenate([logs, logs[-1] + np.log(sizes[1:]) - np.log(sizes[0])])
            length = _next_length(np.log(sizes))
        result = _read_off(logs, game.n_agents)
        goal *= 2
    return result


def _room(mean: FloatArray) -> FloatArray:
    """Distance of each statistic from the ends of [0, 1]; for other families use the size of the statistic."""
    return np.asarray(np.min(np.minimum(mean, 1.0 - mean), axis=0))


def _play(
    game: eg.Game, solver: IterativeSolver, exact: ExactMean, start: FloatArray, length: int
) -> tuple[FloatArray, FloatArray]:
    """Norms of the error of each statistic in each round, and the last error."""
    errors: list[FloatArray] = []

    def observe(step: int, mean: FloatArray) -> float:
        errors.append(exact.error(mean))
        return 0.0

    eg.solve(game, replace(solver, tolerance=1e-300, max_steps=length), start=start, throw=False, observe=observe)
    return np.linalg.norm(np.array(errors), axis=1), errors[-1]


def _next_length(logs: FloatArray) -> int:
    """How many rounds the fastest statistic may play before rounding could be seen in it."""
    fastest = float(np.max(logs[0] - logs[-1])) / (logs.shape[0] - 1)
    decades = np.log(_LARGEST / _SMALLEST)
    return int(np.clip(decades / max(fastest, 1e-12), 4, 2000))


def _read_off(logs: FloatArray, n_agents: int) -> MeasuredRate:
    """The slowest statistic over the second half of the rounds, at the lag at which its factors agree best."""
    half = logs[logs.shape[0] // 2 :]
    falls = [(half[:-lag] - half[lag:]) / lag for lag in range(1, 2 * n_agents + 1)]
    spreads = [_relative_spread(fall) for fall in falls]
    good = [k for k, spread in enumerate(spreads) if spread < max(_SETTLED, 1.5 * min(spreads))]
    chosen = good[0]
    slowest = float(np.min(falls[chosen][-1]))
    return MeasuredRate(float(np.exp(-slowest)), spreads[chosen], chosen + 1, logs.shape[0] - 1)


def _relative_spread(fall: FloatArray) -> float:
    """How far apart the falls of one statistic lie, relative to their mean; the worst statistic counts."""
    mean = np.mean(fall, axis=0)
    if np.any(mean <= 0):
        return float("inf")
    return float(np.max(np.ptp(fall, axis=0) / mean))
