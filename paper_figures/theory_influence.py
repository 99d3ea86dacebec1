"""Influence matrices of the textbook graphs (T2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import expfam_game as eg
from expfam_game._typing import FloatArray
from paper_figures.report import Finding, Report

TITLE = "Whose data weighs how much for whom"
CLAIM = "At the equilibrium agent i fits the mixture Σ_j R_ij π_j of everybody's data, R = (I − B)⁻¹ D; every row sums to one (T2)."
SMALL = ""

N = 8
TRUST = 0.3


def main(out: Path, seed: int, quick: bool) -> Report:
    """Draw R on six graphs, and compare it with its closed form where there is one."""
    weights = {
        "complete": eg.Weights.complete(N, TRUST),
        "ring, one way": eg.Weights.ring(N, TRUST),
        "ring, both ways": eg.Weights.ring(N, TRUST, both_ways=True),
        "star": eg.Weights.star(N, TRUST),
        "grid, 2 × 4": eg.Weights.grid(2, 4, TRUST),
        "random": eg.Weights.erdos_renyi(N, 0.4, TRUST, seed=seed),
    }
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    games = {name: eg.Game(eg.families.Bernoulli(), w, means=np.full((N, 1), 0.5)) for name, w in weights.items()}
    for ax, (name, game) in zip(figure.subplots(2, 3).ravel(), games.items()):
        eg.plots.influence(ax, game)
        ax.set_title(name)
    figure.suptitle(
        f"Influence matrices R of {N} agents with self-weight {TRUST}: row i says whose data agent i ends up with (ρ(B) = {1 - TRUST:g} on all)"
    )
    errors = {
        "complete": np.abs(games["complete"].influence() - complete(N, TRUST)).max(),
        "ring, one way": np.abs(games["ring, one way"].influence() - ring(N, TRUST)).max(),
    }
    findings = [
        Finding.of(f"{name}: largest difference of R from its closed form", e, "<= 1e-14") for name, e in errors.items()
    ]
    rows = max(np.abs(game.influence().sum(axis=1) - 1.0).max() for game in games.values())
    findings.append(Finding.of("largest |row sum of R − 1|, all graphs", rows, "<= 1e-14"))
    reading = (
        "On the complete graph everybody counts the others equally; on the ring influence decays geometrically with the distance; "
        "the centre of the star is everybody's second teacher. A small self-weight spreads influence, a large one isolates."
    )
    return Report(findings, reading, {"theory_influence": figure}, {"n_agents": N, "self_weight": TRUST, "seed": seed})


def complete(n: int, a: float) -> FloatArray:
    """R_ii = (a + b)/(1 + b), R_ij = b/(1 + b), b = (1 − a)/(n − 1)."""
    b = (1.0 - a) / (n - 1)
    return np.where(np.eye(n, dtype=bool), (a + b) / (1.0 + b), b / (1.0 + b))


def ring(n: int, a: float) -> FloatArray:
    """R_ij ∝ (1 − a)^k with k the number of steps from i to j."""
    steps = (np.arange(n)[None] - np.arange(n)[:, None]) % n
    return np.asarray((1.0 - a) ** steps * a / (1.0 - (1.0 - a) ** n))
