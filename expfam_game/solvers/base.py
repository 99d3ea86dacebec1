"""The Solver contract, the one loop that all iterative solvers share, and its stop rule.

The stop rule is a bound, not a step size: for any profile μ with residual r = F(μ) − μ, T4 gives
``|μ − μ*|_i ≤ v_i max_k |r_k|`` for every statistic. It is compared with the tolerance relative to the largest data mean
of that statistic, which also bounds |μ*| (rows of R sum to one), so that statistics of different units count alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from tqdm.auto import tqdm

from expfam_game._typing import FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.game.game import Game
from expfam_game.solvers.solution import History, NoiseFloor, Solution, Status

Observer = Callable[[int, FloatArray], float]
"""Called as ``observe(step, mean)`` every round; what it returns is kept in ``history.observed``."""


@dataclass(frozen=True)
class Solver(ABC):
    """A frozen object whose fields are its hyper-parameters; run it with ``solve(game, solver)``."""

    @abstractmethod
    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        """Play ``game`` from the profile ``start`` (mean parameters; None for the solver's own choice)."""

    def predicted_rate(self, game: Game) -> float:
        """The theory's asymptotic factor per round of the distance to equilibrium; NaN where theory gives none."""
        return float("nan")


@dataclass(frozen=True)
class IterativeSolver(Solver):
    """Common hyper-parameters of the solvers that play rounds until a bound is small enough.

    Parameters
    ----------
    tolerance : float
        With ``criterion="error"``: the bound on ``|μ − μ*|`` relative to the largest data mean of each statistic, at the
        best-trusted scale ``max v``. With ``criterion="regret"``: nats.
    criterion : {"error", "regret"}
    max_steps : int
    """

    tolerance: float = field(default=1e-12, kw_only=True)
    criterion: Literal["error", "regret"] = field(default="error", kw_only=True)
    max_steps: int = field(default=100_000, kw_only=True)

    def __post_init__(self) -> None:
        require(self, self.tolerance > 0 and np.isfinite(self.tolerance), "tolerance", "must be positive and finite")
        require(self, self.criterion in ("error", "regret"), "criterion", "must be 'error' or 'regret'")
        require(self, self.max_steps >= 1, "max_steps", "must be at least 1")

    def iterate(
        self, game: Game, mean: FloatArray, step: Callable[[FloatArray, FloatArray], FloatArray], recorder: Recorder
    ) -> Solution:
        """Apply ``mean ← step(mean, residual)`` until the stop rule holds."""
        gauge = ErrorGauge(game)
        status, steps, best, stalled = Status.MAX_STEPS, 0, np.inf, 0
        for steps in range(self.max_steps + 1):
            residual = game._best_response(mean) - mean
            bound = gauge.relative_bound(residual)
            regret = self._regret(game, mean)
            recorder.record(steps, bound, regret, mean)
            if ended := self._verdict(bound, regret, gauge, stalled):
                status = ended
                break
            stalled = 0 if bound < best else stalled + 1
            best = min(best, bound)
            if steps < self.max_steps:
                mean = step(mean, residual)
        return finish(game, self, mean, status, steps, recorder)

    def _regret(self, game: Game, mean: FloatArray) -> float:
        if self.criterion == "error":
            return float("nan")
        inside = game.family.in_mean_space(mean).all()
        return float(np.max(game.regret(game.family.to_natural(mean)))) if inside else float("inf")

    def _verdict(self, bound: float, regret: float, gauge: ErrorGauge, stalled: int) -> Status | None:
        if self.criterion == "regret":
            return Status.REGRET_BELOW_TOLERANCE if regret <= self.tolerance else None
        if bound <= self.tolerance:
            return Status.CONVERGED
        if stalled >= 3 and bound <= gauge.rounding_floor:
            return Status.PRECISION_LIMIT
        return Status.STALLED if stalled >= _PATIENCE else None


_PATIENCE = 2000
"""Rounds without a new best bound after which a solver gives up."""


class ErrorGauge:
    """Turns residuals into bounds on the distance from the equilibrium (T4), with an allowance for rounding.

    A residual is a sum of at most ``longest_row + 1`` products of weights, which sum to one, and means of size at most
    ``scale``: float64 evaluates it to within ``(longest_row + 4) ε scale``.
    """

    def __init__(self, game: Game) -> None:
        game.weights.require_anchored()
        trusted = game.weights.self_weights > 0
        self.v = game.v
        self.scale = np.max(np.abs(game.means[trusted]), axis=0)
        longest_row = int(np.max(np.diff(game.weights.matrix.indptr)))
        self.unit = (longest_row + 4) * float(np.finfo(float).eps)
        self.rounding_floor = 4.0 * self.unit * float(np.max(self.v))

    def bound(self, residual: FloatArray) -> FloatArray:
        """Entrywise bound on |μ − μ*|, rounding of the residual included."""
        return np.asarray(self.v[:, None] * (np.max(np.abs(residual), axis=0) + self.unit * self.scale))

    def relative_bound(self, residual: FloatArray) -> float:
        """The largest entry of ``bound``, each statistic relative to its scale."""
        largest = np.max(np.abs(residual), axis=0)
        ratio = np.divide(largest, self.scale, out=np.where(largest > 0, np.inf, 0.0), where=self.scale > 0)
        return float(np.max(self.v) * (np.max(ratio) + self.unit))


class Recorder:
    """Keeps the history that was asked for and drives the progress bar (shown after two seconds, on terminals only)."""

    def __init__(self, keep: bool, observe: Observer | None, progress: bool | None) -> None:
        self._keep = keep
        self._observe = observe
        self._steps: list[int] = []
        self._bounds: list[float] = []
        self._regrets: list[float] = []
        self._observed: list[float] = []
        self._bar: Any = tqdm(
            desc="rounds", unit=" rounds", delay=2.0, disable=None if progress is None else not progress, leave=False
        )

    def record(self, step: int, bound: float, regret: float, mean: FloatArray) -> None:
        """Note one round."""
        if self._observe is not None:
            self._observed.append(float(self._observe(step, mean)))
        if self._keep:
            self._steps.append(step)
            self._bounds.append(bound)
            self._regrets.append(regret)
        self._bar.update()
        if step % 64 == 0:
            self._bar.set_postfix_str(f"error ≤ {bound:.1e}", refresh=False)

    def history(self) -> History | None:
        """The history, or None if none was asked for; closes the progress bar."""
        self._bar.close()
        if not (self._keep or self._observed):
            return None
        return History(
            np.array(self._steps, dtype=np.int64),
            np.array(self._bounds),
            np.array(self._regrets),
            tuple(self._observed),
        )


def finish(
    game: Game,
    solver: Solver,
    mean: FloatArray,
    status: Status,
    steps: int,
    recorder: Recorder,
    noise: NoiseFloor | None = None,
) -> Solution:
    """Natural parameters, regrets and error bounds of a profile, gathered into a Solution."""
    gauge = ErrorGauge(game)
    target = game._best_response(mean)
    natural, regret = np.full_like(mean, np.nan), np.full(game.n_agents, np.nan)
    inside = np.atleast_1d(game.family.in_mean_space(mean) & game.family.in_mean_space(target))
    if inside.any():
        natural[inside] = game.family.to_natural(mean[inside])
    if inside.all():
        regret[:] = game.family.kl(game.family.to_natural(target), natural)
    else:
        status = Status.BOUNDARY
    return Solution(
        mean=mean,
        natural=natural,
        regret=regret,
        error_bound=gauge.bound(target - mean),
        status=status,
        steps=steps,
        solver=repr(solver),
        message=status.value,
        history=recorder.history(),
        noise=noise,
    )


def isolated_start(game: Game) -> FloatArray:
    """Everybody at its own data, agents without data at the average of the others'."""
    start = np.array(game.means)
    trusted = game.weights.self_weights > 0
    start[~trusted] = start[trusted].mean(axis=0)
    return start


def interior_start(game: Game) -> FloatArray:
    """The isolated start, with agents whose data lies on the boundary moved halfway to the family's reference mean."""
    start = isolated_start(game)
    outside = ~np.atleast_1d(game.family.in_mean_space(start))
    start[outside] = 0.5 * (start[outside] + game.family.reference_mean())
    return start


def require(solver: object, holds: bool, name: str, rule: str) -> None:
    """Raise InvalidInput about a hyper-parameter."""
    if not holds:
        raise InvalidInput(f"{type(solver).__name__}: {name} is {getattr(solver, name)!r}; it {rule}")
