"""The noise floor of sampled play (T8)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import expfam_game as eg
from expfam_game._typing import FloatArray
from expfam_game.plots.style import PALETTE, clean
from paper_figures.report import Finding, Report

TITLE = "What finite samples cost: the noise floor"
CLAIM = "With n samples a round play hovers around the equilibrium; its covariance solves a Lyapunov equation and is O(1/(n(1 − ρ²))) (T8)."
SMALL = "4,000 rounds a game instead of 40,000"

N = 6
TRUSTS = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
SIZES = (10, 30, 100, 300, 1000, 3000)


def main(out: Path, seed: int, quick: bool) -> Report:
    """Observed against predicted floor for two exchanges, over self-weights and over sample sizes."""
    rounds = 4_000 if quick else 40_000
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    ratios, series = [], {}
    for colour, exchange in zip(PALETTE, ("broadcast", "separate")):
        by_trust = np.array([floor(trust, 100, exchange, rounds, seed) for trust in TRUSTS])
        by_size = np.array([floor(0.3, size, exchange, rounds, seed) for size in SIZES])
        left.loglog(TRUSTS, by_trust[:, 1], color=colour, label=f"{exchange}: predicted")
        left.loglog(TRUSTS, by_trust[:, 0], "o", color=colour, label=f"{exchange}: observed")
        right.loglog(SIZES, by_size[:, 1], color=colour, label=f"{exchange}: predicted")
        right.loglog(SIZES, by_size[:, 0], "o", color=colour, label=f"{exchange}: observed")
        ratios += list(by_trust[:, 0] / by_trust[:, 1]) + list(by_size[:, 0] / by_size[:, 1])
        series[exchange] = {"self_weight": by_trust, "n": by_size}
    left.set_xlabel(r"self-weight $\alpha_{ii}$ (n = 100)")
    right.set_xlabel(r"samples a round n ($\alpha_{ii}$ = 0.3)")
    for ax in (left, right):
        ax.set_ylabel("mean squared deviation from the equilibrium")
        ax.legend(frameon=False)
        clean(ax)
    findings = [
        Finding.of("observed over predicted, least over 28 games", min(ratios), ">= 0.8"),
        Finding.of("observed over predicted, largest", max(ratios), "<= 1.25"),
    ]
    reading = (
        "Real data keeps the loop from forgetting: as α_ii → 0 the floor grows without bound, as 1/n it falls. One batch that all listeners "
        "share costs more than a batch for each of them, because its error does not average out. Small self-weights need the longest runs, "
        f"so their dots carry the largest error ({rounds:,} rounds)."
    )
    settings = {"n_agents": N, "graph": "complete", "family": "unit-variance Gaussian", "rounds": rounds, "seed": seed}
    return Report(findings, reading, {"theory_noise_floor": figure}, settings, series)


def floor(trust: float, n: int, exchange: str, rounds: int, seed: int) -> FloatArray:
    """Observed and predicted mean squared deviation, averaged over agents."""
    means = np.linspace(-1.0, 1.0, N)[:, None]
    game = eg.Game(eg.families.KnownVarianceGaussian(1.0), eg.Weights.complete(N, trust), means=means)
    noise = eg.solve(game, eg.solvers.SampledPlay(n, rounds=rounds, exchange=exchange, seed=seed)).noise  # type: ignore[arg-type]
    assert noise is not None  # sampled play always says what noise it met
    assert noise.predicted is not None  # and, for so few agents, what T8 predicts
    return np.array([noise.observed.mean(), noise.predicted.mean()])
