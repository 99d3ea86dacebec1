"""C1–C6: what the certificates claim, beside oracles that share no code with them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import expfam_game as eg
from benchmarks.exact import bernoulli_regret, exact_equilibrium
from expfam_game._typing import FloatArray
from expfam_game.errors import CertificateRejected
from proofs.reproduce.common import (
    GREY,
    PALETTE,
    Line,
    Reproduction,
    at_least,
    at_most,
    figure,
    legend,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _determinant(matrix: list[list[Fraction]]) -> Fraction:
    """By elimination over the rationals."""
    rows, value = [list(row) for row in matrix], Fraction(1)
    for k in range(len(rows)):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k] != 0), None)
        if pivot is None:
            return Fraction(0)
        if pivot != k:
            rows[k], rows[pivot], value = rows[pivot], rows[k], -value
        value *= rows[k][k]
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k])]
    return value


def c1(out: Path, seed: int) -> Reproduction:
    """The graph search against exact determinants of I − B for random sparse graphs."""
    rng, n, n_graphs = np.random.default_rng(seed), 6, 600
    found: dict[bool, list[float]] = {True: [], False: []}
    wrong = bad_paths = 0
    for _ in range(n_graphs):
        pattern = rng.random((n, n)) < 0.3
        np.fill_diagonal(pattern, rng.random(n) < 0.2)
        counts = np.where(pattern, 1, 0)
        counts[counts.sum(axis=1) == 0, 0] = 1
        exact = [[Fraction(int(x), int(row.sum())) for x in row] for row in counts]
        system = [[Fraction(int(i == j)) - (exact[i][j] if i != j else 0) for j in range(n)] for i in range(n)]
        determinant = _determinant(system)
        verdict = eg.Weights.from_dense(counts / counts.sum(axis=1, keepdims=True)).anchoredness
        wrong += verdict.anchored != (determinant != 0)
        found[verdict.anchored].append(float(abs(determinant)))
        if verdict.anchored:
            paths = [verdict.path(i) for i in range(n)]
            bad_paths += any(not counts[a, b] for path in paths for a, b in zip(path, path[1:]))
            bad_paths += any(not counts[path[-1], path[-1]] for path in paths)
    made, (left, right) = figure("C1: anchored exactly when I − B is regular; either way there is a witness")
    zero = 10.0**-4.5
    bins = np.geomspace(10.0**-4.7, 1.2, 40)
    left.hist(found[True], bins=bins, color=PALETTE[0], label=f"anchored: {len(found[True])} graphs")
    left.hist(
        [zero] * len(found[False]), bins=bins, color=PALETTE[1], label=f"not anchored: {len(found[False])} graphs"
    )
    left.set(xscale="log", xlabel="|det(I − B)|, exact", ylabel="graphs", title="600 random graphs of 6 agents")
    left.annotate("exactly 0", (zero, len(found[False])), textcoords="offset points", xytext=(10, -10))
    legend(left)
    example = eg.catalog.not_anchored().weights
    eg.plots.weights(right, example, colorbar=False)
    right.set_title(f"not anchored: agents {example.anchoredness.closed_class} listen only to each other")
    lines = (
        at_most("graphs where search and determinant disagree", 0, wrong),
        at_most("paths that are no paths to data", 0, bad_paths),
        at_least("graphs of either kind", 50, min(len(found[True]), len(found[False]))),
    )
    return Reproduction(f"{n_graphs} random graphs of {n} agents", lines, save(made, out, "C1"))


def _holds(game: eg.Game, w: FloatArray, s: float) -> bool:
    """B w ≤ w − s in fractions of the floats."""
    b = game.weights.off_diagonal
    values = [Fraction(float(x)) for x in w]
    for i in range(game.n_agents):
        span = slice(b.indptr[i], b.indptr[i + 1])
        heard = sum((Fraction(float(a)) * values[j] for j, a in zip(b.indices[span], b.data[span])), Fraction(0))
        if heard > values[i] - Fraction(float(s)):
            return False
    return True


def _random_game(n: int, seed: int) -> eg.Game:
    rng = np.random.default_rng(seed)
    weights = eg.Weights.erdos_renyi(n, min(0.9, 6.0 / n), (0.05 + 0.5 * rng.random(n)).tolist(), seed=seed)
    return eg.Game(eg.families.Bernoulli(1), weights, means=rng.uniform(0.05, 0.95, (n, 1)))


def c2(out: Path, seed: int) -> Reproduction:
    """The certified contraction factor against the true one, for growing games and in three arithmetics."""
    sizes = (10, 30, 100, 300)
    made, (left, right) = figure("C2: one vector w with B w ≤ w − s proves the contraction")
    failures, lows, excess = 0, 0.0, 0.0
    for colour, grade in zip(PALETTE, ("exact", "rigorous", "float")):
        gaps = []
        for size in sizes if grade != "exact" else sizes[:2]:
            game = _random_game(size, seed + size)
            proved = eg.certify(game, _WithoutNatural(game.equilibrium_mean), grade=grade)  # type: ignore[call-overload]
            failures += not _holds(game, proved.w, proved.s)
            rho = game.spectral_radius
            lows = max(lows, rho - proved.contraction_factor)
            gaps.append(abs(proved.contraction_factor - game.q) / (1 - game.q))
        excess = max(excess, *gaps)
        left.loglog(
            sizes[: len(gaps)],
            np.maximum(gaps, 1e-17),
            "o-",
            color=colour,
            linewidth=5.0 if grade == "exact" else 1.5,
            label=f"grade asked for: {grade}",
        )
    left.set(xlabel="agents", ylabel="|certified factor − q| / (1 − q)", ylim=(1e-17, 1e-11))
    legend(left)
    game = _random_game(30, seed + 1)
    proved = eg.certify(game, _WithoutNatural(game.equilibrium_mean))
    left_over = 1.0 - (game.weights.off_diagonal @ proved.w) / proved.w
    order = np.argsort(left_over)
    right.bar(np.arange(30), left_over[order], color=PALETTE[5], label=r"$1 - (Bw)_i/w_i$")
    right.axhline(1 - proved.contraction_factor, color="black", linewidth=1.2, label="1 − certified factor")
    right.axhline(1 - game.spectral_radius, color=GREY, linestyle=":", label="1 − ρ(B)")
    right.set(
        xlabel="agents of a random graph, sorted", ylabel="share of the error that is lost in a round", ylim=(0, 0.75)
    )
    legend(right, loc="upper left")
    tampered = not _holds(game, proved.w, 1.01 * proved.s)
    lines = (
        at_most("certificates whose inequality fails in fractions", 0, failures),
        at_most("largest ρ(B) − certified factor", 0.0, lows),
        at_most("largest |certified factor − q|/(1 − q)", 1e-9, excess),
        Line("s larger by one percent", "refuted", "refuted" if tampered else "accepted", tampered),
    )
    return Reproduction("random graphs of 10 to 300 agents (grade exact: to 30)", lines, save(made, out, "C2"))


def c3(out: Path, seed: int) -> Reproduction:
    """The certified distance to the equilibrium along rounds of play, against the exact rational equilibrium."""
    game = _random_game(30, seed + 1)
    exact, rounds = exact_equilibrium(game), range(0, 121, 2)
    made, (left, right) = figure("C3: a box around the profile that contains the equilibrium")
    true: list[float] = []
    bounds: dict[str, list[float]] = {"rigorous": [], "float": []}
    outside = 0
    mean = np.array(game.means)
    for _ in rounds:
        true.append(float(np.max(np.abs(exact.error(mean)))))
        for grade, values in bounds.items():
            proved = eg.certify(game, _WithoutNatural(mean), grade=grade)  # type: ignore[call-overload]
            outside += not np.all(exact.within(proved.mean_lower, proved.mean_upper))
            values.append(float(np.max(proved.error_bound)))
        mean = game.best_response(game.best_response(mean))
    left.semilogy(rounds, true, color="black", label="true error, exact")
    left.semilogy(rounds, bounds["rigorous"], color=PALETTE[0], linestyle="--", label="bound in ball arithmetic")
    left.semilogy(rounds, bounds["float"], color=PALETTE[1], linestyle=":", label="bound in float64, rounding included")
    left.set(xlabel="rounds of best response", ylabel=r"largest $|\mu - \mu^*|$", ylim=(1e-18, 10))
    legend(left)
    solution = eg.solve(game)
    proved = eg.certify(game, solution)
    below, above = exact.error(proved.mean_lower)[:, 0], exact.error(proved.mean_upper)[:, 0]
    agents = np.arange(30)
    right.vlines(agents, below, above, color=PALETTE[0], linewidth=3, label="certified box of $\\mu^*$")
    right.plot(agents, exact.error(solution.mean)[:, 0], ".", color=PALETTE[1], label="computed mean")
    right.axhline(0, color="black", linewidth=0.8, label="exact equilibrium")
    right.set(
        xlabel="agent",
        ylabel=r"distance from $\mu^*$",
        title="the direct solution, grade exact",
        ylim=(-1.6e-16, 2.4e-16),
    )
    legend(right, loc="upper right")
    ratio = np.array(bounds["rigorous"]) / np.maximum(true, 1e-300)
    lines = (
        at_most("boxes that miss the exact equilibrium", 0, outside + int(np.any(below > 0) or np.any(above < 0))),
        at_least("smallest ratio of bound and error", 1.0, float(np.min(ratio))),
        at_most("bound after 120 rounds, balls", 1e-13, bounds["rigorous"][-1]),
    )
    return Reproduction("random graph of 30 Bernoulli agents", lines, save(made, out, "C3"))


class _WithoutNatural:
    """A profile in mean parameters only, so that C4 and C5 are not claimed."""

    natural = None

    def __init__(self, mean: FloatArray) -> None:
        self.mean = mean


_FAMILIES = (
    ("Bernoulli", [[0.1], [0.8]]),
    ("Poisson", [[0.5], [9.0]]),
    ("Geometric", [[0.5], [9.0]]),
    ("Exponential", [[0.5], [9.0]]),
    ("Gamma", [[-0.5, 1.0], [1.0, 4.0]]),
    ("Beta", [[-1.0, -1.0], [-0.5, -1.5]]),
    ("VonMises", [[0.3, 0.4], [-0.5, 0.1]]),
    ("InverseGaussian", [[1.0, 2.0], [3.0, 0.6]]),
)


def c4(out: Path, seed: int) -> Reproduction:
    """Certified widths of the natural parameters of eight families, and the equilibrium at sixty digits inside."""
    widths, misses, grades = [], 0, 0
    made, (left, right) = figure("C4: natural parameters, enclosed in ball arithmetic")
    for name, means in _FAMILIES:
        game = eg.Game(getattr(eg.families, name)(), eg.Weights.complete(2, 0.5), means=means)
        proved = eg.certify(game, eg.solve(game))
        claim = proved.claims["C4"].grade
        grades += claim is eg.Grade.RIGOROUS
        assert proved.natural_lower is not None
        assert proved.natural_upper is not None
        widths.append(float(np.max((proved.natural_upper - proved.natural_lower) / np.abs(proved.natural_lower))))
        misses += _misses(name, game, proved.natural_lower, proved.natural_upper)
    places = np.arange(len(_FAMILIES))
    left.bar(places, widths, color=PALETTE[5])
    left.set(yscale="log", ylabel="relative width of the widest box", ylim=(1e-17, 1e-10))
    left.set_xticks(places, [name for name, _ in _FAMILIES], rotation=35, ha="right")
    _monotone_picture(right)
    lines = (
        at_least("families proved rigorously, of 8", 8, grades),
        at_most("closed-form natural parameters outside their box", 0, misses),
        at_most("largest relative width", 1e-10, max(widths)),
    )
    return Reproduction("two agents of each family, self-weight 1/2", lines, save(made, out, "C4"))


def _misses(name: str, game: eg.Game, lower: FloatArray, upper: FloatArray) -> int:
    """How many natural parameters of one-parameter agents, from the exact means at sixty digits, are outside."""
    import mpmath

    maps = {
        "Bernoulli": lambda m: mpmath.log(m / (1 - m)),
        "Poisson": mpmath.log,
        "Geometric": lambda m: mpmath.log(m / (1 + m)),
        "Exponential": lambda m: -1 / m,
    }
    if name not in maps:
        return 0
    data = [Fraction(float(x)) for x in game.means[:, 0]]
    exact = [(2 * data[i] + data[1 - i]) / 3 for i in (0, 1)]
    with mpmath.workdps(60):
        values = [maps[name](mpmath.mpf(m.numerator) / m.denominator) for m in exact]
        inside = [
            mpmath.mpf(float(a)) <= x <= mpmath.mpf(float(b)) for a, x, b in zip(lower[:, 0], values, upper[:, 0])
        ]
    return inside.count(False)


def _monotone_picture(ax: Axes) -> None:
    """How a mean enclosure becomes a natural one: a monotone map, widths exaggerated."""
    theta = np.linspace(-3, 3, 200)
    mean = 1 / (1 + np.exp(-theta))
    low, high = 0.6, 0.75
    ends = np.log(np.array([low, high]) / (1 - np.array([low, high])))
    ax.plot(theta, mean, color=PALETTE[0], label=r"$\mu(\theta)$, increasing since $F(\theta) > 0$")
    ax.axhspan(low, high, color=PALETTE[1], alpha=0.25, label="C3: interval of means")
    ax.axvspan(*ends, color=PALETTE[2], alpha=0.25, label="C4: interval of natural parameters")
    ax.plot(ends, [low, high], "o", color="black", markersize=4, label="checked at two points")
    ax.set(xlabel=r"$\theta$", ylabel=r"$\mu$", title="the principle (Bernoulli, widths exaggerated)", ylim=(0, 1.35))
    legend(ax, loc="upper left")


def c5(out: Path, seed: int) -> Reproduction:
    """The certified Nash gap along rounds of play, against regrets at 256 bits."""
    game = _random_game(12, seed + 2)
    rounds, true, bounds, below = range(1, 61, 2), [], [], 0
    made, (left, right) = figure("C5: an upper bound in nats for what anybody can gain")
    for t in rounds:
        played = eg.solve(game, eg.solvers.Contraction(max_steps=t), throw=False)
        proved = eg.certify(game, played)
        assert proved.regret_upper is not None
        exact = bernoulli_regret(game, played.natural)
        below += int(np.sum(proved.regret_upper < exact * (1 - 1e-12)))
        true.append(float(np.max(exact)))
        bounds.append(float(np.max(proved.regret_upper)))
    left.semilogy(rounds, true, color="black", label="Nash gap at 256 bits")
    left.semilogy(rounds, bounds, color=PALETTE[0], linestyle="--", label="certified upper bound")
    left.set(xlabel="rounds of best response", ylabel="Nash gap [nats]")
    legend(left)
    ratio = np.array(bounds) / np.array(true)
    right.semilogx(true, ratio, "o-", color=PALETTE[0], markersize=4)
    right.axhline(1.0, color="black", linewidth=0.8)
    right.set(
        xlabel="Nash gap [nats]",
        ylabel="certified bound / Nash gap",
        title="tight where the profile is good",
        ylim=(0.99, None),
    )
    clear = np.array(true) > 1e-25
    lines = (
        at_most("bounds below the regret they bound", 0, below),
        at_most(
            "bound / gap for gaps of 1e-25 to 1e-8 nats", 1.05, float(np.max(ratio[clear & (np.array(true) < 1e-8)]))
        ),
    )
    return Reproduction("random graph of 12 Bernoulli agents", lines, save(made, out, "C5"))


Rectangle = tuple[float, float, float, float]
"""Lower and upper end for the first agent, then for the second."""


def _parts(cover: str, whole: Rectangle) -> list[tuple[Rectangle, str]]:
    """The rectangles of a cover: "0" and "1" cut in the middle across the first or second agent, "e" is free, "u" known."""
    todo, found = [whole], []
    for letter in cover:
        a, b, c, d = todo.pop()
        if letter == "0":
            todo += [((a + b) / 2, b, c, d), (a, (a + b) / 2, c, d)]
        elif letter == "1":
            todo += [(a, b, (c + d) / 2, d), (a, b, c, (c + d) / 2)]
        else:
            found.append(((a, b, c, d), letter))
    return found


def _draw_cover(
    ax: Axes, parts: list[tuple[Rectangle, str]], points: FloatArray, limits: tuple[Rectangle, str]
) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle as Patch

    for letter, colour in (("e", "#E8F1F8"), ("u", PALETTE[4])):
        patches = [Patch((a, c), b - a, d - c) for (a, b, c, d), kind in parts if kind == letter]
        ax.add_collection(PatchCollection(patches, facecolor=colour, edgecolor="#8AA9C0", linewidth=0.4))
    if known := [(a, c, b - a, d - c) for (a, b, c, d), kind in parts if kind == "u"]:
        corners = np.array(known)  # far smaller than a pixel: marked at their centres
        centres = corners[:, :2] + corners[:, 2:] / 2
        ax.plot(centres[:, 0], centres[:, 1], "s", color=PALETTE[4], markersize=9, zorder=3)
    ax.plot(points[:, 0], points[:, 1], "o", color="black", markersize=4, zorder=4, label="certified equilibrium")
    (a, b, c, d), title = limits
    ax.set(xlim=(a, b), ylim=(c, d), xlabel=r"$\theta_1$", ylabel=r"$\theta_2$", title=title)
    ax.grid(False)


def c6(out: Path, seed: int) -> Reproduction:
    """Every equilibrium of the game of T10(b), enclosed and counted; the cover that proves that there is no other."""
    game = eg.catalog.three_equilibria()
    proved = eg.certify_all(game, (-40.0, 40.0))
    parts = _parts(proved.cover or "", (-40.0, 40.0, -40.0, 40.0))
    printed = np.array([[-8.31632246, 8.34933489], [-1.96683486, 2.19199985], [-0.76054952, 0.86180127]])
    made, (left, right) = figure("C6: a cover proves that there are exactly three equilibria", height=4.9)
    _draw_cover(left, parts, proved.natural, ((-40, 40, -40, 40), f"{len(parts)} rectangles, blue: free of equilibria"))
    _draw_cover(
        right, parts, proved.natural, ((-10.5, 1.5, -1.5, 10.5), "orange, drawn larger: at most one equilibrium")
    )
    for ax in (left, right):
        ax.set_box_aspect(1)
    legend(right, loc="lower left")
    tampered = replace(proved, lower=proved.lower + 1e-6, upper=proved.upper + 1e-6, natural=proved.natural + 1e-6)
    lines = (
        at_least("equilibria enclosed", 3, proved.n_equilibria),
        at_most("equilibria enclosed", 3, proved.n_equilibria),
        at_most("largest distance from the printed ones", 1e-8, float(np.max(np.abs(proved.natural - printed)))),
        at_most("largest half width of a box", 1e-12, float(np.max(proved.error_bound))),
        Line("outside the square", "none", "none" if proved.everywhere else "not excluded", bool(proved.everywhere)),
        Line("the checker", "accepts", "accepts" if eg.check(game, proved) else "rejects", True),
        _refused(game, tampered),
    )
    return Reproduction("the catalogue's three_equilibria, square [−40, 40]²", lines, save(made, out, "C6"))


def _refused(game: eg.HeterogeneousGame, tampered: eg.EquilibriaCertificate) -> Line:
    """A certificate whose boxes were moved by 1e-6 must be rejected."""
    try:
        eg.check(game, tampered)
    except CertificateRejected as reason:
        return Line("boxes moved by 1e-6", "rejected", f"rejected: {reason}", True)
    return Line("boxes moved by 1e-6", "rejected", "accepted", False)
