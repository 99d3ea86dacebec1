"""Late, sleeping and deaf agents do no harm (T6)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import expfam_game as eg
from expfam_game._typing import FloatArray
from expfam_game.plots.style import PALETTE, clean
from paper_figures.report import Finding, Report

TITLE = "Asynchronous play"
CLAIM = "With any order, delayed and lost messages, play converges; the v-norm error is at most q to the power ⌊(t + τ)/(s + τ)⌋ times the first (T6)."
SMALL = "150 rounds instead of 400"

N = 20
TRUST = 0.3
REGIMES = {
    "everybody, every round": (1.0, 1, 0, 0.0),
    "half awake (s = 5), τ = 3": (0.5, 5, 3, 0.2),
    "one in five awake (s = 20), τ = 10": (0.2, 20, 10, 0.5),
}
"""activity, max_silence s, max_delay τ, loss."""


def main(out: Path, seed: int, quick: bool) -> Report:
    """Errors of three regimes, three seeds each, under the envelope of T6."""
    rng = np.random.default_rng(seed)
    game = eg.Game(
        eg.families.Poisson(), eg.Weights.erdos_renyi(N, 0.2, TRUST, seed=seed), means=rng.uniform(1.0, 20.0, (N, 1))
    )
    rounds = 150 if quick else 400
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    ax = figure.subplots()
    excess, curves = [], {}
    for colour, (name, (activity, s, tau, loss)) in zip(PALETTE, REGIMES.items()):
        envelope = np.empty(0)
        for k in range(3):
            errors = play(game, activity, s, tau, loss, seed + k, rounds)
            envelope = errors[0] * game.q ** ((np.arange(rounds + 1) + tau) // (s + tau))
            large = errors > 1e-12
            excess.append(float((errors / envelope)[large].max()))
            curves[f"{name}, seed {seed + k}"] = errors
            ax.semilogy(np.where(large, errors, np.nan), color=colour, linewidth=1.2, label=name if k == 0 else None)
        ax.semilogy(np.maximum(envelope, 1e-13), color=colour, linestyle="--", linewidth=0.9)
    ax.plot(
        [],
        [],
        color="black",
        linestyle="--",
        linewidth=0.9,
        label="proved: $q^{\\lfloor (t+\\tau)/(s+\\tau)\\rfloor}$ times the first error",
    )
    ax.set_ylim(1e-12, 1e3 * max(curve[0] for curve in curves.values()))  # room for the legend
    ax.set_xlabel("round")
    ax.set_ylabel(r"$\max_i |\mu_i - \mu_i^*| / v_i$")
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    clean(ax)
    findings = [Finding.of("largest error over its envelope, nine runs", max(excess), "<= 1.0000001")]
    reading = (
        "Dropping a message costs time, never the equilibrium. The envelope is for the worst case that s and τ allow; random delays are "
        "far kinder. This is why a bridge may drop the rounds of an agent that failed."
    )
    settings = {"n_agents": N, "self_weight": TRUST, "q": game.q, "seed": seed, "regimes": REGIMES}
    return Report(findings, reading, {"theory_asynchronous": figure}, settings, curves)


def play(game: eg.Game, activity: float, s: int, tau: int, loss: float, seed: int, rounds: int) -> FloatArray:
    """The v-norm error after every round, from round 0."""
    goal, start = game.equilibrium_mean, np.full_like(game.means, game.means.mean())
    solver = eg.solvers.AsynchronousPlay(
        activity=activity, max_silence=s, max_delay=tau, loss=loss, seed=seed, max_steps=rounds, tolerance=1e-15
    )

    def error(step: int, mean: FloatArray) -> float:
        return float(np.max(np.abs(mean - goal) / game.v[:, None]))

    history = eg.solve(game, solver, start=start, observe=error, history=True, throw=False).history
    assert history is not None  # it was asked for
    errors = np.zeros(rounds + 1)
    errors[: len(history.observed)] = history.observed
    return errors
