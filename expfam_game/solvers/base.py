"""The Solver contract, the one loop that all iterative solvers share, and its stop rule.

The stop rule is a bound, not a step size: for any profile μ with residual r = F(μ) − μ, T4 gives
``|μ − μ*|_i ≤ v_i max_k |r_k|`` for every statistic. It is compared with the tolerance relative to the largest data mean
of that statistic, which also bounds |μ*| (rows of R sum to one), so that statistics of different units count alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np
from tqdm.auto import tqdm

from expfam_game._typing import FloatArray
from expfam_game.errors import InvalidInput, InversionFailed
from expfam_game.game.game import Game
from expfam_game.kernels.agent_blocks import row_blocks
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
        With ``criterion="error"``: stop when the proved bound on ``|μ − μ*|`` (T4), relative to the largest data mean of
        each statistic, is at most this. With ``criterion="regret"``: stop when no agent can gain more nats.
    criterion : {"error", "regret"}
    max_steps : int
        Rounds after which to give up.
    """

    tolerance: float = field(default=1e-12, kw_only=True)
    criterion: Literal["error", "regret"] = field(default="error", kw_only=True)
    max_steps: int = field(default=100_000, kw_only=True)

    def __post_init__(self) -> None:
        require_number(self, "tolerance")
        require(self, 0 < self.tolerance < np.inf, "tolerance", "must be positive and finite")
        require(self, self.criterion in ("error", "regret"), "criterion", "must be 'error' or 'regret'")
        require_integer(self, "max_steps", 1)

    def iterate(
        self,
        game: Game,
        mean: FloatArray,
        step: Callable[[FloatArray, FloatArray], FloatArray],
        recorder: Recorder,
        gauge: ErrorGauge | None = None,
    ) -> Solution:
        """Apply ``mean ← step(mean, residual)`` until the stop rule holds."""
        gauge = ErrorGauge(game) if gauge is None else gauge
        status, steps, progress = Status.MAX_STEPS, 0, _Progress()
        for steps in range(self.max_steps + 1):
            residual = game._best_response(mean) - mean
            bound = gauge.relative_bound(residual)
            regret = self._regret(game, mean)
            recorder.record(steps, bound, regret, mean)
            progress.note(bound)
            if ended := self._verdict(bound, regret, gauge, progress):
                status = ended
                break
            if steps < self.max_steps:
                mean = step(mean, residual)
        return finish(game, self, mean, status, steps, recorder)

    def _regret(self, game: Game, mean: FloatArray) -> float:
        if self.criterion == "error":
            return float("nan")
        inside = game.family.in_mean_space(mean).all()
        return float(np.max(game.regret(game.family.to_natural(mean)))) if inside else float("inf")

    def _verdict(self, bound: float, regret: float, gauge: ErrorGauge, progress: _Progress) -> Status | None:
        if self.criterion == "regret":
            return Status.REGRET_BELOW_TOLERANCE if regret <= self.tolerance else None
        if bound <= self.tolerance:
            return Status.CONVERGED
        if progress.rounds_since_best >= 3 and bound <= gauge.rounding_floor:
            return Status.PRECISION_LIMIT
        return Status.STALLED if progress.stalled else None


class _Progress:
    """Whether the bound still falls: its largest value in a window of rounds against that of the window before.

    Largest, because a bound may dip early and then decay slowly from above the dip.
    """

    _WINDOW = 1000

    def __init__(self) -> None:
        self.rounds_since_best = 0
        self.stalled = False
        self._best = self._previous_peak = np.inf
        self._peak, self._rounds = 0.0, 0

    def note(self, bound: float) -> None:
        """Take the bound of one more round into account."""
        self.rounds_since_best = 0 if bound < self._best else self.rounds_since_best + 1
        self._best, self._peak, self._rounds = min(self._best, bound), max(self._peak, bound), self._rounds + 1
        if self._rounds == self._WINDOW:
            self.stalled = self._peak >= self._previous_peak
            self._previous_peak, self._peak, self._rounds = self._peak, 0.0, 0


class ErrorGauge:
    """Turns residuals into bounds on the distance from the equilibrium (T4), with an allowance for rounding.

    The scale of a statistic is its largest data mean, or its standard deviation where that mean is zero; with
    ``by_deviation`` the larger of the two, for play in natural parameters, whose rounding is a share of the deviation.
    A residual is a sum of at most ``longest_row + 1`` products of weights, which sum to one, and means of size at most
    ``scale``: float64 evaluates it to within ``(longest_row + 4) ε scale``.
    """

    def __init__(self, game: Game, by_deviation: bool = False) -> None:
        self.v = game.v
        self.scale = _largest_data_means(game)
        if by_deviation or np.any(self.scale == 0.0):
            unit = _deviations(game)
            self.scale = np.maximum(self.scale, unit if by_deviation else np.where(self.scale == 0.0, unit, 0.0))
        longest_row = int(np.max(np.diff(game.weights.matrix.indptr)))
        self.unit = (longest_row + 4) * float(np.finfo(float).eps)
        self.rounding_floor = 4.0 * self.unit * float(np.max(self.v))

    def factors(self, largest: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Whose product bounds |μ − μ*|, from the largest residual of each statistic; rounding of the residual included."""
        return self.v[:, None], largest + self.unit * self.scale

    def relative_bound(self, residual: FloatArray) -> float:
        """The largest entry of the bound, each statistic relative to its scale; of all residuals or the largest ones."""
        largest = np.max(np.abs(np.atleast_2d(residual)), axis=0)
        ratio = np.divide(largest, self.scale, out=np.where(largest > 0, np.inf, 0.0), where=self.scale > 0)
        return float(np.max(self.v) * (np.max(ratio) + self.unit))


class Recorder:
    """Keeps the history that was asked for and drives the progress bar (shown after two seconds, on terminals only)."""

    def __init__(self, keep: bool, observe: Observer | None, progress: bool | None) -> None:
        self._keep = keep or observe is not None
        self._observe = observe
        self._steps: list[int] = []
        self._bounds: list[float] = []
        self._regrets: list[float] = []
        self._observed: list[float] = []
        self._bar: Any = tqdm(
            desc="rounds", unit=" rounds", delay=2.0, disable=None if progress is None else not progress, leave=False
        )

    def wants_bound(self, step: int) -> bool:
        """Whether the bound of this round will be kept or shown."""
        return self._keep or (step % 64 == 0 and not self._bar.disable)

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
        if not self._keep:
            return None
        return History(
            np.array(self._steps, dtype=np.int64),
            np.array(self._bounds),
            np.array(self._regrets),
            tuple(self._observed),
        )


@dataclass(frozen=True)
class Assessment:
    """What there is to say about a profile.

    Attributes
    ----------
    natural : ndarray, shape (n_agents, dim)
        NaN where the mean or the best response is on the boundary.
    regret : ndarray, shape (n_agents,)
        NaN where anybody's is.
    largest : ndarray, shape (dim,)
        The largest residual of each statistic, in absolute value.
    interior : bool
        Whether nobody's is on the boundary.
    """

    natural: FloatArray
    regret: FloatArray
    largest: FloatArray
    interior: bool


def assess(game: Game, mean: FloatArray) -> Assessment:
    """Natural parameters, regrets and the largest residuals of a profile, a block of agents at a time."""
    try:
        return _assess(game, mean)
    except InversionFailed:  # it counts agents from the first one of a block: once more, so that it names the agent
        for values in (mean, game._best_response(mean)):
            inside = game.family.in_mean_space(values)
            game.family.to_natural(np.where(inside[:, None], values, game.family.reference_mean()))
        raise


def _assess(game: Game, mean: FloatArray) -> Assessment:
    family, interior = game.family, True
    natural, regret = np.full(mean.shape, np.nan), np.full(game.n_agents, np.nan)
    largest = np.zeros(family.dim)
    for rows, target in game._best_responses(mean):
        here = mean[rows]
        np.maximum(largest, np.max(np.abs(target - here), axis=0), out=largest)
        inside = np.atleast_1d(family.in_mean_space(here) & family.in_mean_space(target))
        if inside.any():
            natural[rows][inside] = family.to_natural(here[inside])
        interior = interior and bool(inside.all())
        if interior:
            regret[rows] = family.kl(family.to_natural(target), natural[rows])
    if not interior:
        regret[:] = np.nan
    return Assessment(natural, regret, largest, interior)


def finish(
    game: Game,
    solver: Solver,
    mean: FloatArray,
    status: Status,
    steps: int,
    recorder: Recorder,
    noise: NoiseFloor | None = None,
    found: Assessment | None = None,
) -> Solution:
    """Natural parameters, regrets and error bounds of a profile, gathered into a Solution."""
    found = assess(game, mean) if found is None else found
    if not found.interior:
        status = Status.BOUNDARY
    return Solution(
        mean=mean,
        natural=found.natural,
        regret=found.regret,
        error_factors=ErrorGauge(game).factors(found.largest),
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


def _largest_data_means(game: Game) -> FloatArray:
    """The largest data mean of each statistic, in absolute value, among agents who trust their data."""
    largest = np.zeros(game.family.dim)
    for rows in row_blocks(game.n_agents, game.family.dim):
        trusted = game.weights.self_weights[rows] > 0
        np.maximum(largest, np.max(np.abs(game.means[rows]), axis=0, where=trusted[:, None], initial=0.0), out=largest)
    return largest


def _deviations(game: Game) -> FloatArray:
    """The largest standard deviation of each statistic among the agents' first models: its natural unit."""
    family, start, largest = game.family, interior_start(game), np.zeros(game.family.dim)
    for rows in row_blocks(*start.shape):
        np.maximum(largest, family.variance(family.to_natural(start[rows])).max(axis=0), out=largest)
    return np.sqrt(largest)


def interior_start(game: Game) -> FloatArray:
    """The isolated start, with agents whose data lies on the boundary moved halfway to the family's reference mean."""
    start = isolated_start(game)
    outside = ~np.atleast_1d(game.family.in_mean_space(start))
    start[outside] = 0.5 * (start[outside] + game.family.reference_mean())
    return start


def require_integer(solver: object, name: str, smallest: int) -> None:
    """Raise InvalidInput unless a hyper-parameter is an integer, not less than ``smallest``."""
    value = getattr(solver, name)
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    require(solver, whole and value >= smallest, name, f"must be an integer, at least {smallest}")


def require_number(solver: object, name: str) -> None:
    """Raise InvalidInput unless a hyper-parameter is a real number."""
    value = getattr(solver, name)
    require(solver, isinstance(value, Real) and not isinstance(value, bool), name, "must be a number")


def require(solver: object, holds: bool, name: str, rule: str) -> None:
    """Raise InvalidInput about a hyper-parameter."""
    if not holds:
        raise InvalidInput(f"{type(solver).__name__}: {name} is {getattr(solver, name)!r}; it {rule}")
