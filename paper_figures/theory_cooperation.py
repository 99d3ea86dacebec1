"""When playing pays (T9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import expfam_game as eg
from expfam_game._typing import FloatArray
from expfam_game.plots.style import PALETTE, clean
from paper_figures.report import Finding, Report

TITLE = "When cooperation pays"
CLAIM = "An agent gains by playing exactly if the bias of other people's worlds is below the variance that their data saves it (T9)."
SMALL = "4,000 simulated games a dot instead of 40,000"

TRUST = 0.5
COUNTS = np.unique(np.geomspace(3, 3000, 61).astype(int))
DISTANCES = np.linspace(0.0, 1.5, 61)
_CHECKS = ((10, 0.2), (10, 1.2), (100, 0.1), (100, 0.6), (1000, 0.05), (1000, 0.3))


def main(out: Path, seed: int, quick: bool) -> Report:
    """Two Gaussian agents: risk together over risk alone, and simulated points; the best self-weight beside it."""
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    ratio = np.array([[relative_risk(n, d, TRUST) for d in DISTANCES] for n in COUNTS])
    image = left.pcolormesh(
        DISTANCES, COUNTS, np.log2(ratio), cmap="RdBu_r", vmin=-4, vmax=4, shading="gouraud", rasterized=True
    )
    left.contour(DISTANCES, COUNTS, ratio, levels=[1.0], colors="black", linewidths=1.5)
    left.set_yscale("log")
    left.set_xlabel("distance of the worlds $|m_1° − m_2°|$, in standard deviations")
    left.set_ylabel("samples of each agent")
    left.set_title(f"squared error together / alone (self-weight {TRUST})")
    bar = figure.colorbar(image, ax=left, ticks=[-4, -2, 0, 2, 4])
    bar.ax.set_yticklabels(["1/16", "1/4", "1", "4", "≥ 16"])
    deviations = _simulate(left, 4_000 if quick else 40_000, seed)
    _draw_best(right)
    findings = [
        Finding.of(
            "simulated less predicted risk, in standard errors: largest of six games",
            np.max(np.abs(deviations)),
            "<= 6",
        ),
        Finding.of("distance at which 10 samples each stop gaining, in standard deviations", boundary(10)),
        Finding.of("the same for 1000 samples each", boundary(1000)),
    ]
    reading = (
        "Exchange helps those with little data whose peers live in a similar world; with much data of one's own it does harm, unless "
        "self-weights grow with it. An agent can always do at least as well as alone by choosing its weights: the best self-weight tends to one."
    )
    return Report(
        findings, reading, {"theory_cooperation": figure}, {"self_weight": TRUST, "seed": seed}, {"z": deviations}
    )


def relative_risk(n: int, distance: float, trust: float) -> float:
    """Risk of agent 1 at the equilibrium over its risk alone."""
    worth = eg.game.cooperation_risk(eg.Weights.complete(2, trust), [[0.0], [distance]], [1.0, 1.0], [n, n])
    return float(worth.total[0] / worth.alone[0])


def boundary(n: int) -> float:
    """(R_12 Δ)² + (R_11² + R_12²)/n = 1/n solved for Δ, with R of two agents."""
    own = 1.0 / (2.0 - TRUST)
    return float(np.sqrt((1.0 - own**2 - (1.0 - own) ** 2) / n) / (1.0 - own))


def _simulate(ax: Any, repeats: int, seed: int) -> FloatArray:
    """Equilibria of games with drawn data: mean squared error against its prediction, in standard errors."""
    rng = np.random.default_rng(seed)
    influence = eg.Game(
        eg.families.KnownVarianceGaussian(), eg.Weights.complete(2, TRUST), means=[[0.0], [0.0]]
    ).influence()
    z = []
    for n, distance in _CHECKS:
        means = np.array([0.0, distance]) + rng.normal(size=(repeats, 2)) / np.sqrt(n)
        squared = (means @ influence[0]) ** 2
        worth = eg.game.cooperation_risk(eg.Weights.complete(2, TRUST), [[0.0], [distance]], [1.0, 1.0], [n, n])
        z.append((squared.mean() - worth.total[0]) / (squared.std() / np.sqrt(repeats)))
        gains = squared.mean() < 1.0 / n
        ax.plot(distance, n, "o" if gains else "X", color="white", markeredgecolor="black", markersize=8)
    ax.plot([], [], "o", color="white", markeredgecolor="black", label="simulated: gains")
    ax.plot([], [], "X", color="white", markeredgecolor="black", label="simulated: loses")
    ax.legend(loc="upper right", fontsize=8)
    return np.array(z)


def _draw_best(ax: Any) -> None:
    """The weight that agent 1 should give its own data when the other stays isolated."""
    for colour, n in zip(PALETTE, (3, 10, 30, 100, 1000)):
        best = [eg.game.best_row(0, [[0.0], [d]], [1.0, 1.0], [n, n]).row[0] for d in DISTANCES]
        ax.plot(DISTANCES, best, color=colour, label=f"{n} samples each")
    ax.set_xlabel("distance of the worlds, in standard deviations")
    ax.set_ylabel("best weight on one's own data")
    ax.set_ylim(0.45, 1.02)
    ax.legend(frameon=False)
    clean(ax)
