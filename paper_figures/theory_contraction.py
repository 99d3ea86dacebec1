"""Best response in mean-parameter space: paths, and the error under its proved envelope (T4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import expfam_game as eg
from expfam_game._typing import FloatArray
from expfam_game.plots.style import GREY, PALETTE, clean
from paper_figures.report import Finding, Report

TITLE = "Best response contracts in mean parameters"
CLAIM = "Simultaneous best response contracts in the v-norm with factor q, whatever the family (T4); the certificate proves q and the error."
SMALL = ""

N = 5
TRUST = 0.2
ROUNDS = 40


def main(out: Path, seed: int, quick: bool) -> Report:
    """Five Gamma agents in the plane of (E log x, E x): their paths from three starts, and the errors."""
    rng = np.random.default_rng(seed)
    shapes, rates = rng.uniform(0.5, 6.0, N), rng.uniform(0.5, 3.0, N)
    family = eg.families.Gamma()
    data = [rng.gamma(k, 1.0 / r, 500) for k, r in zip(shapes, rates)]
    game = eg.Game(family, eg.Weights.ring(N, TRUST, both_ways=True), data=data)
    goal = game.equilibrium_mean
    certificate = eg.certify(game, eg.solve(game))
    q = float(certificate.contraction_factor)
    starts = {
        "from one's own data": game.means,
        "from one common model": np.tile(family.to_mean([1.0, -1.0]), (N, 1)),
        "from random models": family.to_mean(np.stack([rng.uniform(0.3, 9.0, N), -rng.uniform(0.3, 3.0, N)], axis=-1)),
    }
    paths = {name: play(game, start) for name, start in starts.items()}
    errors = {name: np.max(np.abs(path - goal) / game.v[None, :, None], axis=(1, 2)) for name, path in paths.items()}
    figure = Figure(figsize=(11.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_paths(left, paths["from random models"], game.means, goal)
    for colour, (name, error) in zip(PALETTE, errors.items()):
        eg.plots.convergence(right, error, label=name, color=colour)
    worst = max(error[0] for error in errors.values())
    right.semilogy(
        worst * q ** np.arange(ROUNDS + 1),
        color=GREY,
        linestyle="--",
        label=f"proved: $q^t$, $q$ ≤ {q:.4f} ({certificate.grade.value})",
    )
    right.semilogy(
        errors["from one common model"][0] * game.spectral_radius ** np.arange(ROUNDS + 1),
        color=GREY,
        linestyle=":",
        label=f"slope of ρ(B) = {game.spectral_radius:.4f}",
    )
    right.set_xlabel("round")
    right.set_ylabel(r"$\max_i |\mu_i - \mu_i^*| / v_i$")
    right.legend(frameon=False)
    clean(right)
    violated = max(
        float((error[1:] / (q * np.maximum(error[:-1], 1e-300)))[error[1:] > 1e-12].max()) for error in errors.values()
    )
    measured = (errors["from one common model"][30] / errors["from one common model"][10]) ** (1 / 20)
    findings = [
        Finding.of("largest one-round shrinking over q, any start", violated, "<= 1.0000001"),
        Finding.of("measured rate over ρ(B), common start, rounds 10 to 30", measured / game.spectral_radius),
        Finding.of("proved error of the certified equilibrium", certificate.max_error),
    ]
    reading = (
        "The paths are straight averages of the neighbours, so the family does not matter in these coordinates: the same picture for Gaussians or "
        "images. Errors stay below the envelope and fall at the rate ρ(B); from one's own data they fall faster, because with equal self-weights "
        "that start has no part in the slowest mode."
    )
    return Report(
        findings,
        reading,
        {"theory_contraction": figure},
        {"n_agents": N, "self_weight": TRUST, "seed": seed},
        {"errors": errors},
    )


def play(game: eg.Game, start: FloatArray) -> FloatArray:
    """Rounds of simultaneous best response, shape (ROUNDS + 1, n_agents, dim)."""
    path = [start]
    for _ in range(ROUNDS):
        path.append(game.best_response(path[-1]))
    return np.stack(path)


def _draw_paths(ax: Any, path: FloatArray, means: FloatArray, goal: FloatArray) -> None:
    x = np.linspace(0.15, 1.1 * path[..., 1].max(), 200)
    ax.fill_between(x, np.log(x), np.log(x).max() + 0.5, color="#F0F0F0", zorder=0)
    ax.plot(x, np.log(x), color=GREY, linewidth=1)
    ax.text(0.25, np.log(x).max() + 0.2, "no law has E log x ≥ log E x", color=GREY, fontsize=8)
    for agent, colour in enumerate(PALETTE[: path.shape[1]]):
        ax.plot(
            path[:, agent, 1],
            path[:, agent, 0],
            ".-",
            color=colour,
            markersize=4,
            linewidth=0.9,
            label=f"agent {agent}",
        )
        ax.plot(means[agent, 1], means[agent, 0], "s", color=colour, markersize=6, markerfacecolor="none")
        ax.plot(
            goal[agent, 1],
            goal[agent, 0],
            "*",
            color=colour,
            markersize=11,
            markeredgecolor="black",
            markeredgewidth=0.5,
        )
    ax.plot([], [], "s", color=GREY, markerfacecolor="none", label="own data $m_i$")
    ax.plot([], [], "*", color=GREY, markersize=10, label=r"equilibrium $\mu_i^*$")
    ax.set_xlabel("E x")
    ax.set_ylabel("E log x")
    ax.set_ylim(min(path[..., 0].min(), means[:, 0].min()) - 0.3, np.log(x).max() + 0.3)
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    clean(ax)
