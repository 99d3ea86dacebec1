"""GradientPlay: everybody ascends its own utility in natural parameters (T7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.game.game import Game
from expfam_game.solvers.base import ErrorGauge, IterativeSolver, Recorder, interior_start, require, require_number
from expfam_game.solvers.solution import Solution


@dataclass(frozen=True)
class GradientPlay(IterativeSolver):
    """Explicit Euler steps of ``θ̇_i = t_i − μ(θ_i)``, the gradient of agent i's own utility (T7).

    Agent i's rate is ``step_size / λ_max(F_i(θ_i))``, so the rate follows the curvature that the agent sees; a step that
    would leave the natural parameter space, or overshoot the agent's best response, is halved until it does not. The flow converges for every anchored game
    (T7), for any fixed rates; the discrete steps do so for a small enough ``step_size``. Ill-conditioned Fisher
    information makes it slow: that is the price of plain gradients, and the reason for natural ones.

    Parameters
    ----------
    step_size : float
        In (0, 1].

    Examples
    --------
    >>> import expfam_game as eg
    >>> eg.solve(eg.catalog.two_agents(0.5), eg.solvers.GradientPlay()).status.name
    'CONVERGED'
    """

    step_size: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number(self, "step_size")
        require(self, 0 < self.step_size <= 1, "step_size", "must lie in (0, 1]")

    def run(self, game: Game, start: FloatArray | None, recorder: Recorder) -> Solution:
        game.require_interior(game.equilibrium_mean)
        family = game.family
        theta = family.to_natural(interior_start(game) if start is None else start)
        overshoot = 0.5 * (1.0 - game.q) / (1.0 + game.q)

        def ascend(mean: FloatArray, residual: FloatArray) -> FloatArray:
            nonlocal theta
            rate = self.step_size / _largest_curvature(game, theta)
            theta = _safe_step(game, theta, mean + residual, rate[:, None] * residual, overshoot)
            return family._to_mean(theta)

        return self.iterate(game, family._to_mean(theta), ascend, recorder, ErrorGauge(game, by_deviation=True))

    def predicted_rate(self, game: Game) -> float:
        """ρ of the linearised step at equilibrium, ``I − H F (I − B)`` with H the agents' rates (dense)."""
        theta = game.family.to_natural(game.equilibrium_mean)
        n, dim = theta.shape
        rate = self.step_size / _largest_curvature(game, theta)
        system = np.eye(n) - game.weights.off_diagonal.toarray()
        if game.family.separable:
            scaled = rate[:, None] * game.family.variance(theta)
            return max(float(_radius(np.eye(n) - scaled[:, [d]] * system)) for d in range(dim))
        fisher = rate[:, None, None] * game.family.fisher_information(theta)
        jacobian = np.eye(n * dim) - np.einsum("iab,ij->iajb", fisher, system).reshape(n * dim, n * dim)
        return _radius(jacobian)


def _largest_curvature(game: Game, theta: FloatArray) -> FloatArray:
    """λ_max(F_i(θ_i)) for each agent."""
    if game.family.separable:
        return np.asarray(game.family._variance(theta).max(axis=1))
    return np.asarray(np.linalg.eigvalsh(game.family._fisher_information(theta))[:, -1])


def _safe_step(game: Game, theta: FloatArray, target: FloatArray, step: FloatArray, overshoot: float) -> FloatArray:
    """θ + step, the step of each agent halved while it leaves Θ or overshoots its best response too far.

    Along the step s the slope of the agent's own utility is ⟨s, t − μ⟩. With a rate of at most 1/λ_max it stays
    non-negative where the curvature is constant; where the curvature grows (Poisson, Gamma) it may turn. A played mean
    that misses its target by a share c of the way, on the far side, multiplies the ‖·‖_v error by at most q + c (1 + q),
    which is below one for c < (1 − q)/(1 + q) (exact for one statistic); ``overshoot`` is half of that. Slopes, unlike
    utilities, do not cancel.
    """
    mean = game.family._to_mean(theta)
    start = np.sum(step * (target - mean), axis=1)
    # Overshoot is allowed only where twice as much of it would still be a mean: else means may creep to the boundary.
    roomy = np.atleast_1d(game.family.in_mean_space(target + 2.0 * overshoot * (target - mean)))
    allowed = np.where(roomy, overshoot, 0.0)
    for _ in range(60):
        candidate = theta + step
        bad = ~np.atleast_1d(game.family.in_natural_space(candidate))
        with np.errstate(over="ignore", invalid="ignore"):
            end = np.sum(step * (target - game.family._to_mean(np.where(bad[:, None], theta, candidate))), axis=1)
        bad |= ~(end >= -allowed * start)
        if not bad.any():
            break
        step = np.where(bad[:, None], 0.5 * step, step)
        start = np.where(bad, 0.5 * start, start)
    return np.asarray(theta + np.where(bad[:, None], 0.0, step))


def _radius(matrix: FloatArray) -> float:
    return float(np.max(np.abs(np.linalg.eigvals(matrix))))
