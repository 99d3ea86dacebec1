"""Where uniqueness ends (T10b)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import expfam_game as eg
from expfam_game.certificates import certify_along
from paper_figures.report import Finding, Report

TITLE = "Three equilibria"
CLAIM = "Agents with the same data but different statistics can have three equilibria; each is proved, and that there is no other (T10b, C6)."
SMALL = "coarser grids in three of the four pictures, and with them the two rows about grids"

BOX = ((-11.0, 2.0), (-2.0, 11.0))


def main(out: Path, seed: int, quick: bool) -> Report:
    """The vector field, the basins of damped play, and how the number of equilibria changes with α and with the statistics."""
    game = eg.catalog.three_equilibria()
    certificate = eg.certify_all(game)
    eg.check(game, certificate)
    figure = Figure(figsize=(11.5, 9.4), layout="constrained")
    (field, basins), (by_trust, by_blend) = figure.subplots(2, 2)
    eg.plots.best_response_field(field, game, BOX, certificate=certificate)
    field.set_title("best response: where play moves")
    eg.plots.basins(basins, game, certificate, BOX, points=61 if quick else 161)
    basins.set_title("where damped play ends, by its start (observed)")
    stride = 5 if quick else 1
    trusts = [Fraction(k, 250) for k in range(5, 56, stride)]
    blends = [Fraction(k, 250) for k in range(0, 61, stride)]
    along_trust = certify_along(eg.catalog.three_equilibria, trusts)
    along_blend = certify_along(lambda blend: eg.catalog.three_equilibria(blend=blend), blends)
    eg.plots.bifurcation(by_trust, [float(x) for x in trusts], along_trust, label=r"self-weight $\alpha_{ii}$")
    eg.plots.bifurcation(by_blend, [float(x) for x in blends], along_blend, label="blend: 1 is a shared statistic")
    largest = max(float(t) for t, c in zip(trusts, along_trust) if c is not None and c.n_equilibria == 3)
    widest = max(float(b) for b, c in zip(blends, along_blend) if c is not None and c.n_equilibria == 3)
    smallest = eg.certify_all(eg.catalog.square_against_linear())
    findings = [
        Finding.of("equilibria in the whole plane, proved", certificate.n_equilibria),
        Finding.of("widest of the three enclosures", np.max(certificate.error_bound), "<= 1e-12"),
        Finding.of("equilibria of x² against x on {0, 1, 2}, counts (49, 1, 0), proved", smallest.n_equilibria),
        Finding.of("largest self-weight on the grid with three equilibria", largest),
        Finding.of("largest blend on the grid with three equilibria", widest),
    ]
    reading = (
        "Proved: the enclosures, that there is no other equilibrium, and every disc and ring in the two lower pictures. Observed: the basins. "
        "In the lower right equilibrium of the field the agents sustain each other's hallucination although their data are equal and say otherwise; "
        "more trust in one's own data, or statistics that are more alike, make it vanish."
    )
    return Report(findings, reading, {"theory_three_equilibria": figure}, {"stride": stride})
