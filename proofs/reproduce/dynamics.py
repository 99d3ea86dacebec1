"""T4–T8: simultaneous, sequential, asynchronous, gradient and sampled play."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import solve_discrete_lyapunov
from scipy.special import expit, logit, xlogy

import expfam_game as eg
from expfam_game._typing import FloatArray
from expfam_game.solvers.base import IterativeSolver
from proofs.reproduce.common import (
    GREY,
    PALETTE,
    Reproduction,
    at_least,
    at_most,
    equal,
    figure,
    legend,
    save,
    v_norm,
    within,
)

_ROUNDING = 1e-13
"""Errors of this size, relative to the start, are no longer governed by theory."""


def _errors(game: eg.Game, solver: IterativeSolver, start: FloatArray) -> FloatArray:
    """‖μ^t − μ*‖_v from round 0 on."""
    goal, v = game.equilibrium_mean, game.v
    solution = eg.solve(game, solver, start=start, throw=False, observe=lambda _, mean: v_norm(mean - goal, v))
    assert solution.history is not None
    return np.asarray(solution.history.observed, dtype=np.float64)


def _clear(errors: FloatArray) -> FloatArray:
    """The rounds that rounding does not govern."""
    return np.asarray(errors[errors > _ROUNDING * errors[0]])


def _rate(errors: FloatArray, period: int = 1) -> float:
    """The factor per round over about the second half of the clear rounds, a whole number of periods of the spectrum."""
    clear = _clear(errors)
    rounds = max(len(clear) // 2 // period, 1) * period
    return float((clear[-1] / clear[-1 - rounds]) ** (1.0 / rounds))


def t4(out: Path, seed: int) -> Reproduction:
    """Error of simultaneous best response against its bounds, on a graph where ρ(B) and q differ."""
    rng = np.random.default_rng(seed)
    weights = eg.Weights.erdos_renyi(12, 0.3, (0.1 + 0.5 * rng.random(12)).tolist(), seed=seed)
    game = eg.Game(eg.families.Bernoulli(3), weights, means=rng.uniform(0.05, 0.95, (12, 3)))
    start = rng.uniform(0.05, 0.95, (12, 3))
    goal, v, q = game.equilibrium_mean, game.v, game.q
    mean, errors, posterior, residual = start, [v_norm(start - goal, v)], [np.nan], []
    for _ in range(120):
        after = game.best_response(mean)
        residual.append(float(np.max(np.abs(after - mean))))
        posterior.append(q / (1 - q) * v_norm(after - mean, v))
        mean = after
        errors.append(v_norm(mean - goal, v))
    error, bound = np.array(errors), errors[0] * q ** np.arange(121)
    made, (left, right) = figure("T4: simultaneous best response contracts by q in the norm $\\|\\cdot\\|_v$")
    proved = eg.certify(game, eg.solve(game))
    eg.plots.convergence(
        left, error, rate=game.spectral_radius, envelope=proved.contraction_factor, grade=proved.grade, label="error", color=PALETTE[0]
    )  # fmt: skip
    left.set(ylim=(1e-16, 3), title="a priori")
    legend(left)
    rounds = np.arange(121)
    right.semilogy(rounds, error, color=PALETTE[0], linewidth=1.8, label="error")
    right.semilogy(rounds, posterior, color=PALETTE[1], linestyle="--", label=r"$q/(1-q)\,\|\mu^t-\mu^{t-1}\|_v$")
    right.semilogy(rounds[:-1], residual, color=PALETTE[2], linestyle="--", label=r"residual $\max|F(\mu^t)-\mu^t|$")
    right.set(ylim=(1e-16, 3), xlabel="round", ylabel=r"error $\|\mu^t - \mu^*\|_v$ and bounds", title="a posteriori")
    legend(right)
    seen = error > _ROUNDING
    lines = (
        at_most("largest v − (B v + 1)", 1e-12, float(np.max(np.abs(v - weights.off_diagonal @ v - 1)))),
        at_most("largest ratio of error and q^t bound", 1.0, float(np.max((error / bound)[1:][seen[1:]]))),
        at_most("largest ratio of error and a-posteriori bound", 1.0, float(np.nanmax(error[seen] / np.array(posterior)[seen]))),
        at_most("largest ratio of error and residual bound", 1.0, float(np.max(error[:-1][seen[:-1]] / np.array(residual)[seen[:-1]]))),
        equal("factor per round: ρ(B)", game.spectral_radius, _rate(error), 2e-3),
    )  # fmt: skip
    return Reproduction("random graph of 12 Bernoulli agents, self-weights 0.1 to 0.6", lines, save(made, out, "T4"))


def t5(out: Path, seed: int) -> Reproduction:
    """A ring played at once, in the order against the stream of messages and in the order with it; then random graphs."""
    n, a = 6, 0.3
    b = 1 - a
    game = eg.catalog.ring(n, a)
    start = np.random.default_rng(seed).uniform(0.05, 0.95, (n, 1))
    made, (left, right) = figure("T5: sequential best response is never slower, $\\rho_{GS} \\leq \\rho(B)$")
    lines = []
    cases = (
        ("all at once", eg.solvers.Contraction(max_steps=120), b, r"\rho(B) = b", n),
        (
            "in turn, who is heard answers later",
            eg.solvers.GaussSeidel(max_steps=120),
            b ** (n / (n - 1)),
            r"b^{6/5}",
            n - 1,
        ),
        ("in turn, who is heard answers first", eg.solvers.GaussSeidel("backward", max_steps=40), b**n, r"b^6", 1),
    )
    for colour, (name, solver, rate, formula, period) in zip(PALETTE, cases):
        errors = _errors(game, solver, start)
        rounds = np.arange(errors.size)
        left.semilogy(rounds, errors, color=colour, label=name)
        left.semilogy(rounds, errors[0] * rate**rounds, color=colour, linestyle=":", label=f"${formula}$ = {rate:.4f}")
        lines.append(equal(f"factor per round, {name}", rate, _rate(errors, period), 1e-3))
    left.set(xlim=(0, 60), xlabel="round", ylabel=r"error $\|\mu^t-\mu^*\|_v$", title="ring of 6, b = 0.7")
    left.set_ylim(1e-14, 1e4)
    legend(left, loc="upper right")
    both = np.array([_rates(seed + k) for k in range(60)])
    right.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="equal")
    right.plot(both[:, 0], both[:, 1], ".", color=PALETTE[0], label="60 random weights")
    right.plot(
        both[:, 0], both[:, 0] ** 2, "x", color=PALETTE[1], markersize=3, label=r"$\rho(B)^2$, exact for two agents"
    )
    right.set(
        xlabel=r"$\rho(B)$", ylabel=r"$\rho_{GS}$", xlim=(0, 1), ylim=(0, 1), title="random graphs of 2 to 10 agents"
    )
    legend(right)
    lines.append(at_most("largest ρ_GS − ρ(B) over random weights", 1e-12, float(np.max(both[:, 1] - both[:, 0]))))
    return Reproduction(f"ring of {n} agents, self-weight {a}; 60 random games", tuple(lines), save(made, out, "T5"))


def _rates(seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 11))
    weights = eg.Weights.from_dense(rng.dirichlet(np.full(n, 0.4), size=n))
    game = eg.Game(eg.families.Bernoulli(1), weights, means=np.full((n, 1), 0.5))
    return game.spectral_radius, eg.solvers.GaussSeidel().predicted_rate(game)


def t6(out: Path, seed: int) -> Reproduction:
    """Ten asynchronous runs with sleep, delay and loss under their common envelope; and one agent that stops for ever."""
    silence, delay = 4, 3
    game = eg.catalog.complete(8, 0.4)
    start = np.random.default_rng(seed).uniform(0.05, 0.95, (8, 1))
    made, (left, right) = figure("T6: sleeping agents and late or lost messages do no harm")
    worst = 0.0
    ends: list[float] = []
    for k in range(10):
        play = eg.solvers.AsynchronousPlay(0.5, silence, delay, 0.3, seed=seed + k, max_steps=400)
        errors = _errors(game, play, start)
        rounds = np.arange(errors.size)
        envelope = errors[0] * game.q ** ((rounds + delay) // (silence + delay))
        clear = errors > _ROUNDING
        worst = max(worst, float(np.max((errors / envelope)[1:][clear[1:]])))
        ends.append(float(errors[-1]))
        left.semilogy(rounds, errors, color=PALETTE[0], linewidth=1, alpha=0.6, label="ten runs" if k == 0 else None)
    long = np.arange(161)
    left.semilogy(
        long,
        errors[0] * game.q ** ((long + delay) // (silence + delay)),
        color=GREY,
        linestyle="--",
        label=r"bound $q^{\lfloor (t+\tau)/(s+\tau)\rfloor}$",
    )
    left.set(xlabel="round", ylabel=r"error $\|\mu^t-\mu^*\|_v$", ylim=(1e-14, 2), xlim=(0, 160))
    left.set_title(f"awake half of the time, s = {silence}, τ = {delay}, loss 0.3")
    legend(left)
    stuck = _asleep_for_ever(game, start, 120)
    right.semilogy(np.arange(121), stuck, color=PALETTE[1], label="agent 0 never answers again")
    right.semilogy(np.arange(121), _errors_plain(game, start, 120), color=PALETTE[0], label="everybody answers")
    right.set(xlabel="round", ylim=(1e-14, 2), title="where it fails: an agent stops for ever")
    legend(right)
    lines = (
        at_most("largest ratio of error and envelope, ten runs", 1.0 + 1e-12, worst),
        at_most("largest final error, ten runs", 1e-9, max(ends)),
        at_least("final error when agent 0 stops for ever", 0.01, stuck[-1]),
    )
    return Reproduction("complete graph of 8 Bernoulli agents, self-weight 0.4", lines, save(made, out, "T6"))


def _asleep_for_ever(game: eg.Game, start: FloatArray, rounds: int) -> list[float]:
    mean, errors = start, [v_norm(start - game.equilibrium_mean, game.v)]
    for _ in range(rounds):
        after = game.best_response(mean)
        after[0] = mean[0]
        mean = after
        errors.append(v_norm(mean - game.equilibrium_mean, game.v))
    return errors


def _errors_plain(game: eg.Game, start: FloatArray, rounds: int) -> list[float]:
    mean, errors = start, [v_norm(start - game.equilibrium_mean, game.v)]
    for _ in range(rounds):
        mean = game.best_response(mean)
        errors.append(v_norm(mean - game.equilibrium_mean, game.v))
    return errors


def t7(out: Path, seed: int) -> Reproduction:
    """Gradient play as an ordinary differential equation: the Lyapunov function falls at the stated rate."""
    rng = np.random.default_rng(seed)
    alpha = np.array([[0.15, 0.85], [0.6, 0.4]])
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.from_dense(alpha), means=[[0.1], [0.95]])
    system = np.eye(2) - game.weights.off_diagonal.toarray()
    c = np.linalg.solve(system.T, np.ones(2)) / game.v
    goal = game.equilibrium_mean[:, 0]
    own = game.weights.self_weights * game.means[:, 0]

    def divergence(theta: FloatArray) -> FloatArray:
        q = expit(theta)
        return np.asarray(np.sum(c * (xlogy(goal, goal / q) + xlogy(1 - goal, (1 - goal) / (1 - q))), axis=-1))

    made, (left, right) = figure("T7: gradient play, everybody ascends its own utility; V falls along every path")
    grid = np.linspace(-4, 4, 81)
    heights = divergence(np.stack(np.meshgrid(grid, grid), axis=-1))
    left.contour(grid, grid, heights, levels=np.geomspace(0.01, 8, 12), colors="#BBBBBB", linewidths=0.8)
    rises, slopes, times = -np.inf, 0.0, np.linspace(0.0, 40.0, 400)
    for k, angle in enumerate(2 * np.pi * (np.arange(8) + rng.random()) / 8):
        first = 3.5 * np.array([np.cos(angle), np.sin(angle)])
        path = solve_ivp(
            lambda _, th: own - system @ expit(th), (0, 40), first, rtol=1e-11, atol=1e-12, dense_output=True
        )
        theta = path.sol(times).T
        values = divergence(theta)
        delta = expit(theta) - goal
        predicted = -np.einsum("ti,i,ij,tj->t", delta, c, system, delta)
        step = 1e-4
        measured = (divergence(path.sol(times[1:-1] + step).T) - divergence(path.sol(times[1:-1] - step).T)) / (
            2 * step
        )
        rises = max(rises, float(np.max(np.diff(values))))
        slopes = max(slopes, float(np.max(np.abs(measured - predicted[1:-1]))))
        left.plot(theta[:, 0], theta[:, 1], color=PALETTE[0], linewidth=1.2)
        right.semilogy(times, values, color=PALETTE[0], linewidth=1, label="V along eight paths" if k == 0 else None)
    left.plot(*logit(goal), "*", color="black", markersize=11, label=r"equilibrium $\theta^*$")
    left.set(xlabel=r"$\theta_1$", ylabel=r"$\theta_2$", xlim=(-4, 4), ylim=(-4, 4), title="paths, level lines of V")
    left.grid(False)
    legend(left)
    right.set(xlabel="time", ylabel=r"$V = \sum_i c_i\,\mathrm{KL}(p_i^*\|p_{\theta_i})$ [nats]", ylim=(1e-8, 20))
    legend(right)
    smallest = float(np.linalg.eigvalsh(np.diag(c) @ system + system.T @ np.diag(c))[0])
    lines = (
        at_most("largest rise of V between two times [nats]", 1e-12, rises),
        at_most("largest difference of dV/dt and −δᵀC(I − B)δ", 1e-6, slopes),
        at_least("smallest eigenvalue of C(I − B) + (I − B)ᵀC", 0.0, smallest),
    )
    return Reproduction("two Bernoulli agents, self-weights 0.15 and 0.4", lines, save(made, out, "T7"))


def _floor(game: eg.Game, n: int, exchange: str) -> FloatArray:
    """The diagonal of the Lyapunov solution, by SciPy, for unit-variance agents."""
    b = game.weights.off_diagonal.toarray()
    noise = b @ b.T / n if exchange == "broadcast" else np.diag((b**2).sum(axis=1)) / n
    return np.diag(solve_discrete_lyapunov(b, noise))


def _collapse(self_weight: float, seed: int, n: int = 100, rounds: int = 1500) -> FloatArray:
    """Sampled play of three Bernoulli agents written out, since a game without data is refused; shape (rounds + 1,): the
    average of their means."""
    rng, mean, data = np.random.default_rng(seed), np.full(3, 0.5), np.array([0.4, 0.5, 0.6])
    path = [0.5]
    for _ in range(rounds):
        heard = rng.binomial(n, mean) / n
        mean = self_weight * data + (1 - self_weight) * (heard.sum() - heard) / 2
        path.append(float(mean.mean()))
    return np.array(path)


def t8(out: Path, seed: int) -> Reproduction:
    """The noise floor of sampled play against the Lyapunov equations; and model collapse without data."""
    n, rounds, replicas = 50, 2500, 40
    made, (left, right) = figure("T8: sampled play has a noise floor; without real data it has no memory and collapses")
    trusts, lines = (0.1, 0.2, 0.4, 0.7), []
    fine = np.geomspace(0.05, 0.9, 60)
    for colour, exchange in zip(PALETTE, ("broadcast", "separate")):
        curve = [_floor(eg.catalog.complete(4, a), n, exchange)[0] for a in fine]
        left.loglog(fine, curve, color=colour, label=f"{exchange}: Lyapunov equation")
        for a in trusts:
            family = eg.families.KnownVarianceGaussian(1.0) ** replicas
            game = eg.Game(family, eg.Weights.complete(4, a), means=np.zeros((4, replicas)))
            play = eg.solvers.SampledPlay(n, rounds, exchange, burn_in=200, seed=seed + 1)  # type: ignore[arg-type]
            noise = eg.solve(game, play).noise
            assert noise is not None
            observed, expected, rho = float(noise.observed.mean()), float(_floor(game, n, exchange).mean()), 1 - a
            relative = float(np.sqrt(2 * (1 + rho**2) / (1 - rho**2) / ((rounds - 200) * replicas)))
            left.errorbar(
                [a], [observed], yerr=[7 * relative * expected], fmt="o", color=colour, markersize=4, capsize=3
            )
            lines.append(within(f"floor, {exchange}, self-weight {a}", expected, observed, relative * expected))
    left.set(
        xlabel="self-weight a: trust in real data",
        ylabel="variance of a mean parameter",
        title=f"complete graph of 4, n = {n}",
    )
    legend(left)
    ends = 0
    for k in range(12):
        lost, kept = _collapse(0.0, seed + k), _collapse(0.1, seed + k)
        ends += bool(lost[-1] in (0.0, 1.0))
        if k < 6:
            right.plot(lost, color=PALETTE[1], linewidth=0.9, label="no real data (D = 0)" if k == 0 else None)
            right.plot(kept, color=PALETTE[0], linewidth=0.6, label="self-weight 0.1" if k == 0 else None)
    right.set(xlabel="round", ylabel="mean, averaged over the agents", ylim=(-0.03, 1.2))
    right.set_title("three Bernoulli agents, n = 100, six runs")
    legend(right, loc="upper right", ncols=2)
    lines.append(at_least("runs without data that ended at 0 or 1, of 12", 1, ends))
    return Reproduction(
        "unit-variance Gaussian agents; Bernoulli agents for the collapse", tuple(lines), save(made, out, "T8")
    )
