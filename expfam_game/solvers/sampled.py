"""SampledPlay: what real agents do, best response to n fresh samples a round, and its noise floor (T8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.game.game import Game
from expfam_game.solvers.base import ErrorGauge, Recorder, Solver, finish, interior_start, require, require_integer
from expfam_game.solvers.sampled_rounds import Rounds
from expfam_game.solvers.solution import NoiseFloor, Solution, Status

_PREDICTION_LIMIT = 1000
"""Above this many agents the dense powers of B behind the predicted floor are not formed."""


@dataclass(frozen=True)
class SampledPlay(Solver):
    """Rounds of ``μ ← μ + γ_t (D m + B μ̂ − μ)`` where μ̂ averages n_t fresh samples of every model (T8).

    The expected profile follows simultaneous best response exactly; the samples add noise whose stationary size the
    solution reports beside its prediction (``solution.noise``).

    Parameters
    ----------
    n_samples : int
        Samples a round, from each model (``"broadcast"``) or for each listener (``"separate"``).
    rounds : int
    exchange : {"broadcast", "separate"}
        One batch heard by all listeners, or a draw of its own for every listener.
    schedule : {"constant", "growing", "averaging"}
        ``"constant"``: n_t = n, γ_t = 1, the noise floor stays. ``"growing"``: n_t = n (t + 1), γ_t = 1. ``"averaging"``:
        n_t = n, γ_t = (t + 1)^(−3/4), Robbins–Monro. The last two have no floor.
    method : {"auto", "samples"}
        ``"auto"`` draws the average of the samples from its exact law where the family knows it; same distribution.
    burn_in : int, optional
        Rounds left out of the observed noise; by default until ``q^t`` has made the start negligible, at most half.
    seed : int

    Examples
    --------
    >>> import expfam_game as eg
    >>> play = eg.solvers.SampledPlay(n_samples=100, rounds=4000, seed=0)
    >>> noise = eg.solve(eg.catalog.two_agents(0.5), play).noise
    >>> bool(abs(noise.ratio - 1) < 0.2)
    True
    """

    n_samples: int = 1000
    rounds: int = 200
    exchange: Literal["broadcast", "separate"] = "broadcast"
    schedule: Literal["constant", "growing", "averaging"] = "constant"
    method: Literal["auto", "samples"] = "auto"
    burn_in: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_samples", "rounds"):
            require_integer(self, name, 1)
        require_integer(self, "seed", 0)
        require(self, self.exchange in ("broadcast", "separate"), "exchange", "must be 'broadcast' or 'separate'")
        schedules = ("constant", "growing", "averaging")
        require(self, self.schedule in schedules, "schedule", f"must be one of {schedules}")
        require(self, self.method in ("auto", "samples"), "method", "must be 'auto' or 'samples'")
        if self.burn_in is not None:
            require_integer(self, "burn_in", 0)
        require(self, self.burn_in is None or self.burn_in < self.rounds, "burn_in", "must be less than rounds")

    def sizes(self) -> FloatArray:
        """n_t for every round."""
        growth = np.arange(1, self.rounds + 1) if self.schedule == "growing" else np.ones(self.rounds)
        return np.asarray(self.n_samples * growth, dtype=np.float64)

    def gains(self) -> FloatArray:
        """γ_t for every round."""
        if self.schedule == "averaging":
            return np.arange(1, self.rounds + 1, dtype=np.float64) ** -0.75
        return np.ones(self.rounds)

    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        goal = game.equilibrium_mean
        game.require_interior(goal)
        gauge, first = ErrorGauge(game), self._first_observed(game)
        mean = interior_start(game) if start is None else start
        drift, predicted = mean - goal, game.n_agents <= _PREDICTION_LIMIT
        squared, expected = np.zeros_like(goal), np.zeros_like(goal)
        with Rounds(game, self.exchange, self.method, self.seed) as rounds:
            for t, (size, gain) in enumerate(zip(self.sizes(), self.gains())):
                following = rounds.play(mean, int(size), gain, t)
                if following is None:
                    return finish(game, self, mean, Status.BOUNDARY, t, recorder)
                mean = following
                bound = float("nan")
                if recorder.wants_bound(t + 1):
                    bound = gauge.relative_bound(game._best_response(mean) - mean)
                recorder.record(t + 1, bound, float("nan"), mean)
                if predicted:
                    drift = (1.0 - gain) * drift + gain * np.asarray(game.weights.off_diagonal @ drift)
                if t + 1 >= first:
                    rounds.add_squares(mean, goal, squared)
                    expected += drift**2 if predicted else 0.0
        observed = self.rounds - first + 1
        floor = self.predicted_floor(game, first)
        noise = NoiseFloor(None if floor is None else floor + expected / observed, squared / observed, observed)
        return finish(game, self, mean, Status.ROUNDS_PLAYED, self.rounds, recorder, noise)

    def _first_observed(self, game: Game) -> int:
        """The first round (counted from 1) whose deviation is observed; only the last one unless n and γ are constant."""
        if self.schedule != "constant":
            return self.rounds
        if self.burn_in is not None:
            return self.burn_in + 1
        forgotten = np.log(1e-3) / np.log(max(game.q, 1e-12)) if game.q > 0 else 1.0
        return int(min(np.ceil(forgotten), self.rounds // 2)) + 1

    def predicted_floor(self, game: Game, first: int | None = None) -> FloatArray | None:
        """Variance of each entry of the profile after the last round, from the covariance recursion of T8.

        Parameters
        ----------
        game : Game
        first : int, optional
            For the constant schedule, average the variances of the rounds from this one (counted from 1) to the last.

        With one-round gains ``M_t = (1 − γ_t) I + γ_t B`` the noise of round k reaches the last round through
        ``M_T … M_{k+1}``; its entries are squared and summed against ``V_j / n_k``, V the variance at equilibrium. For the
        constant schedule this is the diagonal of the Lyapunov solution, up to what the finite number of rounds leaves.

        Returns
        -------
        ndarray, shape (n_agents, dim), or None above 1000 agents
        """
        if game.n_agents > _PREDICTION_LIMIT:
            return None
        variance = game.family.variance(game.family.to_natural(game.equilibrium_mean))
        b = game.weights.off_diagonal.toarray()
        gain_of_noise = np.zeros_like(b)
        spread = np.eye(game.n_agents)
        begin = self.rounds if first is None else first
        for lag, (size, gain) in enumerate(zip(self.sizes()[::-1], self.gains()[::-1])):
            # The share of the observed rounds that noise of this age has reached.
            share = (self.rounds - max(begin - 1, lag)) / (self.rounds - begin + 1)
            if self.exchange == "broadcast":
                fresh = (spread @ b) ** 2
            else:
                fresh = spread**2 @ b**2
            gain_of_noise += share * gain**2 / size * fresh
            spread = (1.0 - gain) * spread + gain * (spread @ b)
            if np.max(spread) < 1e-9:
                break
        return np.asarray(gain_of_noise @ variance)
