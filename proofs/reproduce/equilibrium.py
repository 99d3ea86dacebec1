"""T1–T3: best response and regret, the equilibrium, duality and potential."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, xlogy

import expfam_game as eg
from expfam_game._typing import FloatArray
from proofs.reproduce.common import GREY, PALETTE, Reproduction, at_least, at_most, equal, figure, legend, save, within


def _bernoulli_kl(p: FloatArray, q: FloatArray) -> FloatArray:
    return np.asarray(xlogy(p, p / q) + xlogy(1 - p, (1 - p) / (1 - q)))


def t1(out: Path, seed: int) -> Reproduction:
    """Utility of one Bernoulli agent against three opponents: its maximum is at the target, what is missing is a KL."""
    a, own, theta = 0.4, 0.9, np.linspace(-4.0, 5.0, 181)
    made, (left, right) = figure("T1: best response is moment matching, regret is a KL divergence")
    lines, widest = [], 0.0
    for colour, other in zip(PALETTE, (0.05, 0.4, 0.8)):
        target = a * own + (1 - a) * other

        # Expectation of log p over the two outcomes, written out: no log-partition, no package.
        def utility(t: FloatArray, target: float = target) -> FloatArray:
            return np.asarray(target * np.log(expit(t)) + (1 - target) * np.log(expit(-t)))

        best = minimize_scalar(lambda t, utility=utility: -float(utility(t)), bracket=(-3.0, 3.0), tol=1e-12).x
        lines.append(equal(f"best mean against μ₂ = {other}", target, float(expit(best)), 1e-6))
        game = eg.Game(eg.families.Bernoulli(1), eg.Weights.complete(2, a), means=[[own], [0.5]])
        regret = np.array([game.regret([[t], [float(logit(other))]])[0] for t in theta])
        gap = utility(logit(np.array(target))) - utility(theta)
        kl = _bernoulli_kl(np.array(target), expit(theta))
        widest = max(widest, float(np.max(np.abs(regret - kl))), float(np.max(np.abs(gap - kl))))
        left.plot(theta, utility(theta), color=colour, label=f"opponent plays μ₂ = {other}")
        left.plot([best], [utility(np.array(best))], "o", color=colour)
        left.axvline(float(logit(target)), color=colour, linewidth=0.8, linestyle=":")
        right.plot(theta, kl, color=colour, label=f"KL, target t = {target:.2f}")
        right.plot(theta[::12], regret[::12], "o", color=colour, markersize=3.5)
    lines.append(at_most("largest difference of regret, utility gap and KL [nats]", 1e-13, widest))
    left.set(xlabel=r"own natural parameter $\theta_1$", ylabel=r"utility $L_1$ [nats]", ylim=(-2.5, -0.2))
    left.set_title("● found maximum,  ⋯ logit of the target")
    right.set(xlabel=r"own natural parameter $\theta_1$", ylabel="regret [nats]", ylim=(-0.05, 2.2))
    right.set_title("● regret of the package,  — KL from its formula")
    legend(left, loc="lower center")
    legend(right, loc="upper center")
    about = f"Bernoulli agent with own data mean {own}, self-weight {a}"
    return Reproduction(about, tuple(lines), save(made, out, "T1"))


def _walks(alpha: FloatArray, n_walks: int, rng: np.random.Generator) -> FloatArray:
    """How often walks from agent 0 stop at the data of each agent."""
    at, stopped = np.zeros(n_walks, dtype=np.int64), np.full(n_walks, -1)
    while np.any(stopped < 0):
        walking = np.flatnonzero(stopped < 0)
        step = (rng.random(walking.size)[:, None] > np.cumsum(alpha, axis=1)[at[walking]]).sum(axis=1)
        step = np.minimum(step, alpha.shape[0] - 1)
        stays = step == at[walking]
        stopped[walking[stays]] = at[walking[stays]]
        at[walking] = step
    return np.bincount(stopped, minlength=alpha.shape[0]) / n_walks


def t2(out: Path, seed: int) -> Reproduction:
    """The influence matrix of a ring: closed form, linear solve, and where simulated walks stop."""
    n, a, n_walks = 8, 0.2, 100_000
    game = eg.catalog.ring(n, a)
    influence = game.influence()
    law = a * (1 - a) ** np.arange(n) / (1 - (1 - a) ** n)
    closed = np.array([np.roll(law, i) for i in range(n)])
    frequency = _walks(game.weights.to_dense(), n_walks, np.random.default_rng(seed))
    error = np.sqrt(law * (1 - law) / n_walks)
    made, (left, right) = figure("T2: the equilibrium is μ* = R m, R the absorption probabilities of the stopped chain")
    eg.plots.influence(left, game)
    left.grid(False)
    left.set_title("$R = (I-B)^{-1}D$, ring of 8, self-weight 0.2")
    right.bar(np.arange(n), law, color=PALETTE[5], label=r"$R_{0j} \propto (1-a)^k a$")
    right.errorbar(
        np.arange(n), frequency, yerr=7 * error, fmt="o", color=PALETTE[1], markersize=4, capsize=3,
        label=f"{n_walks:,} walks from agent 0 (± 7 s.e.)",
    )  # fmt: skip
    right.set(xlabel="walk stops at the data of agent", ylabel="probability")
    legend(right, loc="upper right")
    worst = int(np.argmax(np.abs(frequency - law) / error))
    solved = eg.solve(game, eg.solvers.Contraction(tolerance=1e-14)).mean
    lines = (
        at_most("largest difference of R and its closed form", 1e-14, float(np.max(np.abs(influence - closed)))),
        at_most("largest difference of row sums and one", 1e-14, float(np.max(np.abs(influence.sum(axis=1) - 1)))),
        at_most("largest difference of played equilibrium and R m", 1e-12, float(np.max(np.abs(solved - closed @ game.means)))),
        within(f"worst frequency of a stop (agent {worst})", float(law[worst]), float(frequency[worst]), float(error[worst])),
    )  # fmt: skip
    return Reproduction(f"ring of {n} agents, self-weight {a}", lines, save(made, out, "T2"))


def t3(out: Path, seed: int) -> Reproduction:
    """The potential of two Bernoulli agents: its minimiser, and its height as a weighted divergence."""
    game, c = eg.catalog.two_agents(0.3), np.array([1.0, 2.0])
    rng = np.random.default_rng(seed)
    best = eg.solve(game).natural
    star = game.potential(best, c)
    profiles = rng.normal(size=(300, 2, 1)) * 2.5
    height = np.array([game.potential(theta, c) for theta in profiles]) - star
    goal = expit(best)[:, 0]
    divergence = np.array([np.sum(c * _bernoulli_kl(goal, expit(theta)[:, 0])) for theta in profiles])
    curvature = [game.family.fisher_information(theta[0])[0, 0] for theta in profiles]
    made, (left, right) = figure(
        "T3: the potential $\\Phi_c$ is strictly convex and measures the divergence from the equilibrium"
    )
    grid = np.linspace(-3.0, 3.0, 61)
    levels = np.array([[game.potential([[x], [y]], c) - star for x in grid] for y in grid])
    shown = left.contourf(grid, grid, levels, levels=12, cmap="Blues_r")
    made.colorbar(shown, ax=left, label=r"$\Phi_c(\theta) - \Phi_c(\theta^*)$ [nats]")
    path, mean = [np.array([[-2.5], [2.5]])], expit(np.array([[-2.5], [2.5]]))
    for _ in range(12):
        mean = game.best_response(mean)
        path.append(logit(mean))
    trail = np.array(path)[:, :, 0]
    left.plot(trail[:, 0], trail[:, 1], "o-", color=PALETTE[1], markersize=3, label="best response, round by round")
    left.plot(*best[:, 0], "*", color="black", markersize=12, label=r"equilibrium $\theta^*$")
    left.set(xlabel=r"$\theta_1$", ylabel=r"$\theta_2$", xlim=(-3, 3), ylim=(-3, 3))
    legend(left, loc="lower left")
    ends = [divergence[divergence > 0].min() / 2, divergence.max() * 2]
    right.plot(ends, ends, color=GREY, linewidth=1, label="equal")
    right.plot(divergence, height, ".", color=PALETTE[0], label="300 random profiles")
    right.set(xscale="log", yscale="log", xlabel=r"$\sum_i c_i\,\mathrm{KL}(p_i^*\,\|\,p_{\theta_i})$ [nats]")
    right.set_ylabel(r"$\Phi_c(\theta) - \Phi_c(\theta^*)$ [nats]")
    legend(right)
    lines = (
        at_most(
            "largest difference of height and divergence [nats]", 1e-12, float(np.max(np.abs(height - divergence)))
        ),
        at_least("smallest height over random profiles [nats]", 0.0, float(np.min(height))),
        at_least("smallest curvature of A over random profiles", 0.0, float(np.min(curvature))),
    )
    return Reproduction("two Bernoulli agents, self-weight 0.3, c = (1, 2)", lines, save(made, out, "T3"))
