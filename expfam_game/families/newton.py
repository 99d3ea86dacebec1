"""Mean to natural parameters for families without a closed inverse: damped Newton on A(θ) − ⟨θ, μ⟩.

The objective is strictly convex, its gradient is ∇A(θ) − μ and its Hessian the Fisher information, so its only
minimiser, if there is one, is the natural parameter sought. Many agents are solved together, each with its own damping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expfam_game._typing import BoolArray, FloatArray, IntArray
from expfam_game.errors import InversionFailed
from expfam_game.families.base import Family

_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)
_HALVINGS = 60
_RIDGE = 4.0 * _EPS
"""Added to the unit diagonal of the scaled Fisher information: keeps a numerically singular system solvable."""
_ARMIJO = 1e-4
_STEP_GOAL = 1e-4
"""A Newton step relative to the scale of θ below which the limit is a point: on the way to infinity a step is about one,
and the means underflow before |θ| reaches a thousand."""
_SETTLED, _POLISH = 1e-8, 3
"""A step relative to the scale of θ at which Newton's method is in its last digits, and how many more it then takes."""
_LONGEST = 4.0
"""Longest step, relative to the scale of θ."""
_CREEP = 1e-9
"""A damped move, relative to θ, at which an agent is given up: it is pressed against the edge of the natural space."""
_RESIDUAL_GOAL = 1e-13
"""Largest accepted |∇A(θ) − μ|, relative to the root of the statistic's mean square, √(μ² + variance)."""
_DEVIATION_GOAL = 1e-9
"""The same relative to its standard deviation, where rounding of μ allows it."""


@dataclass(frozen=True)
class Inversion:
    """What :func:`solve_mean` reached for each agent.

    Attributes
    ----------
    theta : ndarray, shape (..., dim)
        Natural parameters.
    converged : ndarray of bool, shape (...)
        Whether |∇A(θ) − μ| is at most 1e-13 of the root of the statistic's mean square and Newton's step has died out.
    residual : ndarray, shape (...)
        Largest |∇A(θ) − μ| over the statistics, in standard deviations of the statistic.
    step : ndarray, shape (..., dim)
        The Newton step F(θ)⁻¹(μ − ∇A(θ)) that was left at the end.
    """

    theta: FloatArray
    converged: BoolArray
    residual: FloatArray
    step: FloatArray


def invert_mean(family: Family, mu: FloatArray, start: FloatArray | None = None, max_steps: int = 200) -> FloatArray:
    """Natural parameters θ with ∇A(θ) = μ.

    Parameters
    ----------
    family : Family
    mu : ndarray, shape (..., dim)
        Points of the open mean space.
    start : ndarray, broadcastable to ``mu``, optional
        Where to begin, inside the natural parameter space; zero by default.
    max_steps : int

    Returns
    -------
    ndarray, shape (..., dim)

    Raises
    ------
    InversionFailed
        If some agent's residual does not come near rounding; the message names the agent and the residual.

    Examples
    --------
    >>> import expfam_game as eg
    >>> from expfam_game.families.newton import invert_mean
    >>> invert_mean(eg.families.Bernoulli(dim=2), np.array([0.5, 0.9])).round(6)
    array([0.      , 2.197225])
    """
    found = solve_mean(family, mu, start, max_steps)
    if not np.all(found.converged):
        index = tuple(int(k) for k in np.argwhere(~found.converged)[0])
        where = f" of agent {index[0] if len(index) == 1 else index}" if index else ""
        raise InversionFailed(
            f"the natural parameters{where} of {family!r} were not found: Newton's method stopped with a residual of "
            f"{float(found.residual[index]):.3g} standard deviations. The mean parameter "
            f"{np.array2string(mu[index], threshold=8)} lies too near the boundary of the mean space, or outside it"
        )
    return found.theta


def solve_mean(family: Family, mu: FloatArray, start: FloatArray | None = None, max_steps: int = 200) -> Inversion:
    """As :func:`invert_mean`, but reports failure instead of raising."""
    flat = np.asarray(mu, dtype=np.float64).reshape(-1, family.dim)
    first = np.zeros(family.dim) if start is None else start
    theta = np.broadcast_to(first, mu.shape).reshape(flat.shape).astype(np.float64)
    search = _Search(family, flat, theta)
    with np.errstate(all="ignore"):
        for _ in range(max_steps):
            if not search.advance():
                break
        converged = search.verdict()
    lead = mu.shape[:-1]
    return Inversion(
        search.theta.reshape(mu.shape),
        converged.reshape(lead),
        search.residual.reshape(lead),
        search.step.reshape(mu.shape),
    )


class _Search:
    """The state of the iteration for all agents; agents leave ``active`` when their step has died out."""

    def __init__(self, family: Family, mu: FloatArray, theta: FloatArray) -> None:
        self.family, self.mu, self.theta = family, mu, theta
        self.mean = family._to_mean(theta)
        self.value = family._log_partition(theta) - np.sum(theta * mu, axis=-1)
        self.step = np.full_like(theta, np.inf)
        self.residual = np.full(len(mu), np.inf)
        self.deviation = np.ones_like(theta)
        self.gap = np.full_like(theta, np.inf)
        self.polished = np.zeros(len(mu), dtype=np.int64)
        self.noise = np.zeros(len(mu), dtype=bool)
        self.active = np.arange(len(mu))

    def advance(self) -> bool:
        """One Newton step for every active agent; False when none is left."""
        if not self.active.size:
            return False
        who = self.active
        step, residual, noise = self._newton_step(who)
        unit = self._unit(who)
        settled = np.all(np.abs(step) <= _SETTLED * unit, axis=-1)
        dead = np.all(np.abs(step) <= 2.0 * _EPS * unit, axis=-1)
        gap = np.abs(self.mu[who] - self.mean[who])
        gains = np.any((gap < 0.5 * self.gap[who]) & (np.abs(step) > _SETTLED * unit), axis=-1)
        self.polished[who] += settled
        stalled = (self.polished[who] > _POLISH) | (noise & self.noise[who] & ~gains)
        self.gap[who] = gap
        self.step[who], self.residual[who] = step, residual
        self.noise[who] = noise
        going = ~(dead | stalled) & np.isfinite(residual)
        # Where the density is nearly degenerate the step is enormous: a few times θ's own scale is far enough.
        excess = np.max(np.abs(step) / (_LONGEST * unit), axis=-1, initial=1.0)
        moved = self._line_search(who[going], (step / excess[:, None])[going])
        self.active = who[going][moved]
        return bool(self.active.size)

    def _unit(self, who: IntArray) -> FloatArray:
        """By what a step in θ is judged: |θ| and one, or the inverse deviation where the statistic is a large number."""
        return np.abs(self.theta[who]) + np.minimum(1.0, 1.0 / self.deviation[who])

    def _newton_step(self, who: IntArray) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Step, residual in standard deviations, and whether the residual is within the rounding of the means."""
        gap = self.mu[who] - self.mean[who]
        fisher = self.family._fisher_information(self.theta[who])
        variance = np.maximum(np.diagonal(fisher, axis1=-2, axis2=-1), _TINY)
        deviation = self.deviation[who] = np.sqrt(variance)
        scaled = fisher / deviation[:, :, None] / deviation[:, None, :] + _RIDGE * np.eye(self.family.dim)
        scaled_gap = gap / deviation
        step = _solve(scaled, scaled_gap) / deviation
        uphill = ~(np.sum(step * gap, axis=-1) >= 0.0)  # also where the solve gave NaN
        step[uphill] = (gap / variance)[uphill]
        residual = np.max(np.abs(scaled_gap), axis=-1)
        noise = np.abs(gap) <= 8.0 * _EPS * np.sqrt(self.mu[who] ** 2 + variance)
        return step, np.asarray(residual), np.asarray(noise.all(axis=-1))

    def _line_search(self, who: IntArray, step: FloatArray) -> BoolArray:
        """Halve each agent's step until it is accepted; returns which agents moved by more than rounding or a creep."""
        moved = np.zeros(len(who), dtype=bool)
        todo, length = np.arange(len(who)), 1.0
        for _ in range(_HALVINGS):
            if not todo.size:
                break
            accepted = self._try(who[todo], length * step[todo])
            creeps = np.all(length * np.abs(step[todo]) <= _CREEP * np.abs(self.theta[who[todo]]), axis=-1)
            moved[todo[accepted & ~(creeps & (length < 1.0))]] = True
            todo, length = todo[~accepted], 0.5 * length
        return moved

    def _try(self, who: IntArray, move: FloatArray) -> BoolArray:
        """Accept by Armijo's rule, or by its derivative form where rounding hides the decrease (Hager & Zhang 2005)."""
        trial, mu = self.theta[who] + move, self.mu[who]
        # a numerical family may refuse parameters at which its sums are still finite: only the limit must be accepted
        free = getattr(self.family, "finite_everywhere", False)
        inside = np.ones(len(trial), dtype=bool) if free else self.family.in_natural_space(trial)
        safe = np.where(inside[:, None], trial, self.theta[who])
        log_z, mean, linear = self.family._log_partition(safe), self.family._to_mean(safe), safe * mu
        value = log_z - np.sum(linear, axis=-1)
        slope = np.sum((self.mean[who] - mu) * move, axis=-1)
        slope_there = np.sum((mean - mu) * move, axis=-1)
        # The one: where A is near zero it is the logarithm of a sum near one, rounded like that sum.
        rounding = 8.0 * _EPS * (1.0 + np.abs(log_z) + np.sum(np.abs(linear), axis=-1))
        magnitude = np.sqrt(mu**2 + self.deviation[who] ** 2)
        slope_rounding = 8.0 * _EPS * np.sum(np.abs(move) * magnitude, axis=-1)
        old = self.value[who]
        armijo = value <= old + _ARMIJO * slope
        derivative = (value <= old + rounding) & (slope_there <= (1.0 - 2.0 * _ARMIJO) * np.abs(slope) + slope_rounding)
        good = inside & np.isfinite(value) & np.all(np.isfinite(mean), axis=-1) & (armijo | derivative)
        at = who[good]
        self.theta[at], self.mean[at], self.value[at] = trial[good], mean[good], value[good]
        return np.asarray(good)

    def verdict(self) -> BoolArray:
        """Residual near rounding, and no escape to infinity: a step that has died out or is pure rounding noise."""
        everyone = np.arange(len(self.mu))
        if not everyone.size:
            return np.zeros(0, dtype=bool)
        step, residual, noise = self._newton_step(everyone)
        halted = np.ones(len(everyone), dtype=bool)
        halted[self.active] = False
        self.step, self.residual = step, residual
        small = np.all(np.abs(step) <= _STEP_GOAL * self._unit(everyone), axis=-1)
        magnitude = np.sqrt(self.mu**2 + self.deviation**2)
        attainable = np.maximum(_DEVIATION_GOAL * self.deviation, 8.0 * _EPS * np.abs(self.mu))
        close = np.all(np.abs(self.mu - self.mean) <= np.minimum(_RESIDUAL_GOAL * magnitude, attainable), axis=-1)
        return np.asarray((small & close) | (noise & halted))


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Batched solve; NaN for the agents whose matrix is exactly singular or not finite."""
    try:
        return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0])
    except np.linalg.LinAlgError:
        result = np.full_like(right, np.nan)
        for k in range(len(matrix)):
            try:
                result[k] = np.linalg.solve(matrix[k], right[k])
            except np.linalg.LinAlgError:
                continue
        return result
