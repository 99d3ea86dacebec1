"""From mean to natural parameters, the direction that needs a solver: against SciPy's root finders and efax on JAX.

    python -m benchmarks.inversion

Parameters are drawn, their means computed, and each contestant finds the parameters again, all in the same process, in
turns; fresh parameters in every repetition. Every answer of ours is sent back to its mean; those of a sample, and the
extreme ones, are judged by mpmath at 50 digits, not by the code that is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import mpmath
import numpy as np
import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

import expfam_game as eg
from benchmarks.inversion_cases import Case, cases
from benchmarks.inversion_efax import EfaxPeer, efax_peer, efax_versions
from benchmarks.moments import exponent
from benchmarks.report import (
    Out,
    Quick,
    Repeats,
    Seed,
    console,
    environment,
    number,
    progress,
    save_figure,
    save_json,
)
from expfam_game._typing import FloatArray
from expfam_game.plots.style import clean

RANGES = {"1e-1 … 1e1": (1e-1, 1e1), "1e-8 … 1e8": (1e-8, 1e8)}
RESIDUAL = 1e-13
GOOD = 1e-6
"""The residual that a peer's answer has to reach, or it counts as wrong."""

_EPS = float(np.finfo(np.float64).eps)
_CHECKED = 200
"""So many of the answers are put into mpmath, the extreme ones among them."""

_EFAX_SHARE, _EFAX_SECONDS = 20, 3.0
"""efax gets one row in so many where all of them would take longer than so many seconds."""

_CHUNK = 20_000
"""Rows that are sent back to their means together, and rows that every point of the curve is timed on, at least."""

COLUMNS = """
\b
Rows
  each family with parameters log-uniform in the range: shapes of Gamma, Beta and Dirichlet, concentration of von Mises
  and von Mises–Fisher

\b
Columns (all times are CPU time of all threads for one inversion, medians over the repetitions)
  vs SciPy   time of SciPy over ours: optimize.elementwise.find_root for one unknown, optimize.root (with the exact
             Jacobian) for several; in brackets where more than one in a hundred of its answers is wrong
  vs efax    the same for efax on JAX (compiled, batched, in double precision), whose bisection for Gamma, von Mises and von
             Mises–Fisher stops at residuals near 1e-9; — where it is not installed
  vs pass    our time over that of the means of the same rows, one evaluation of the map to be inverted: Newton's method
             can do no better than one
  ours       microseconds
  n^         fitted exponent of our time against the number of inversions, over the last factor of 100
  spread     largest less smallest repetition, over the median (the peers' are in the JSON file)
  residual   largest |μ(θ) − μ|/|μ| by mpmath over all checked answers and statistics (for E log x of the Gamma, which
             crosses zero, relative to the larger of its two terms); must be at most 1e-13
  wrong      how many of SciPy's and of efax's answers miss a residual of 1e-6 or are not finite
  conditioning
             by how much a relative error of the mean is multiplied in the natural parameter, median and largest:
             no double can carry more of it than 1e-16 times this

\b
Besides, every answer must be finite, and |μ(θ) − μ| ≤ 1e-13 |μ| + 4 ε |F| |θ|, F the Fisher information: the last term is
what four units in the last place of θ change in the mean.
"""
HEADINGS = (
    "family", "parameters", "vs SciPy", "vs efax", "vs pass", "ours", "n^", "spread", "residual", "wrong", "conditioning",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """Medians in CPU seconds for one inversion; NaN where efax is missing. ``curve`` is our time by number of inversions."""

    name: str
    range: str
    inversions: int
    ours: float
    scipy: float
    efax: float
    to_mean: float
    spread: dict[str, float]
    efax_rows: int
    residual: float
    median_residual: dict[str, float]
    wrong: dict[str, float]
    conditioning_median: float
    conditioning_largest: float
    curve: dict[int, float]
    exponent: float


# ---------------------------------------------------------------------- judging


def residuals(case: Case, theta: FloatArray, mu: FloatArray) -> FloatArray:
    """For each answer the largest relative error of its mean, by mpmath; infinity where the answer is not finite."""
    worst = np.full(len(theta), np.inf)
    with mpmath.workdps(50):
        for k in np.flatnonzero(np.isfinite(theta).all(axis=-1) & case.family.in_natural_space(theta)):
            pairs = zip(case.terms(theta[k]), mu[k])
            worst[k] = max(_relative(mean - mpmath.mpf(value), scale) for (mean, scale), value in pairs)
    return worst


def _relative(error: Any, scale: Any) -> float:
    return float(abs(error) / scale) if scale > 0 else float("inf")  # a peer's answer may be out of all proportion


def check_all(case: Case, theta: FloatArray, mu: FloatArray) -> None:
    """Raise AssertionError unless every answer is finite and leads back to its mean, to what its own rounding allows."""
    if not (np.isfinite(theta).all() and case.family.in_natural_space(theta).all()):
        raise AssertionError(f"{case.name}: an answer is not finite")
    for at in range(0, len(theta), _CHUNK):
        some, goal = theta[at : at + _CHUNK], mu[at : at + _CHUNK]
        rounding = np.einsum("nij,nj->ni", np.abs(case.family.fisher_information(some)), np.abs(some))
        excess = np.abs(case.family.to_mean(some) - goal) / (RESIDUAL * np.abs(goal) + 4.0 * _EPS * rounding)
        if not excess.max() <= 1.0:
            raise AssertionError(f"{case.name}: an answer's mean is {excess.max():.3g} times as far off as its bound")


def conditioning(case: Case, theta: FloatArray, mu: FloatArray) -> FloatArray:
    """max_i Σ_j |(F⁻¹)_ij μ_j / θ_i|: relative change of the natural parameter per relative change of the mean.

    The Fisher information F is inverted with unit diagonal, so that the scale of the statistics does not matter.
    """
    fisher = case.family.fisher_information(theta)
    deviation = np.sqrt(np.diagonal(fisher, axis1=-2, axis2=-1))
    result = np.full(len(theta), np.inf)  # also where F is singular in doubles
    for k, d in enumerate(deviation):
        try:
            inverse = np.linalg.inv(fisher[k] / d[:, None] / d) / d[:, None] / d
        except np.linalg.LinAlgError:
            continue
        result[k] = np.max(np.abs(inverse) @ np.abs(mu[k]) / np.abs(theta[k]))
    return result


def _selected(mu: FloatArray, theta: FloatArray, rng: np.random.Generator) -> Any:
    """A random choice of rows, and those with the smallest and largest parameters."""
    size = np.abs(theta).max(axis=-1)
    order = np.argsort(size)
    ends = np.concatenate([order[:10], order[-10:]])
    return np.unique(np.concatenate([ends, rng.choice(len(mu), min(_CHECKED, len(mu)), replace=False)]))


# ---------------------------------------------------------------------- measuring


def cpu_seconds(run: Callable[[], FloatArray]) -> tuple[float, FloatArray]:
    """CPU time of all threads, and the answer."""
    begun = time.process_time()
    with np.errstate(all="ignore"):
        answer = run()
    return time.process_time() - begun, answer


def _efax_rows(case: Case, peer: EfaxPeer, label: str, n: int, seed: int) -> int:
    """How many rows efax gets; it is compiled for that number."""
    few = max(100, n // _EFAX_SHARE)
    few = min(few, n)
    mu = case.family.to_mean(case.draw(np.random.default_rng([seed, 0, few]), few, RANGES[label]))
    peer(mu)
    seconds = cpu_seconds(lambda: peer(mu))[0]
    if few >= n or seconds * n / few > _EFAX_SECONDS:
        return min(few, n)
    peer(np.tile(mu, (-(-n // few), 1))[:n])  # compiled apart from the measurement
    return n


@dataclass
class _Tally:
    """What the repetitions of one contestant gave: seconds of one inversion, residuals of the answers looked at."""

    seconds: list[float]
    residuals: list[FloatArray]

    def time(self) -> float:
        return float(np.median(self.seconds)) if self.seconds else float("nan")

    def spread(self) -> float:
        return float(np.ptp(self.seconds)) / self.time() if self.seconds else float("nan")

    def wrong(self) -> float:
        return float((np.concatenate(self.residuals) > GOOD).mean()) if self.residuals else float("nan")

    def median(self) -> float:
        every = np.concatenate(self.residuals) if self.residuals else np.array([np.nan])
        return float(np.median(every))


def measure(case: Case, label: str, n: int, repeats: int, seed: int, most: int = 10**6) -> Result:
    """All contestants in turns on fresh parameters; the first round warms up and is not counted."""
    efax = efax_peer(case.name)
    rows_of = {"scipy": max(20, n // case.scipy_share), "efax": 0}
    peers: dict[str, EfaxPeer] = {"scipy": case.scipy}
    if efax is not None:
        peers["efax"] = efax
        rows_of["efax"] = _efax_rows(case, efax, label, n, seed)
    tally = {name: _Tally([], []) for name in ("ours", "to_mean", "scipy", "efax")}
    condition = []
    for k in range(repeats + 1):
        rng = np.random.default_rng([seed, k])
        theta = case.draw(rng, n, RANGES[label])
        forward, mu = cpu_seconds(lambda theta=theta: case.family.to_mean(theta))  # type: ignore[misc]
        mine, found = cpu_seconds(lambda mu=mu: case.family.to_natural(mu))  # type: ignore[misc]
        check_all(case, found, mu)
        if k == 0:
            continue
        rows = _selected(mu, theta, rng)
        tally["ours"].seconds.append(mine / n)
        tally["ours"].residuals.append(residuals(case, found[rows], mu[rows]))
        tally["to_mean"].seconds.append(forward / n)
        condition.append(conditioning(case, theta[rows], mu[rows]))
        for name, run in peers.items():
            few = mu[: rows_of[name]]
            seconds, answer = cpu_seconds(lambda run=run, few=few: run(few))  # type: ignore[misc]
            tally[name].seconds.append(seconds / len(few))
            tally[name].residuals.append(residuals(case, answer[:_CHECKED], few[:_CHECKED]))
    worst = float(np.concatenate(tally["ours"].residuals).max())
    if not worst <= RESIDUAL:
        raise AssertionError(f"{case.name}, {label}: relative residual {worst:.2g}")
    curve = cost_curve(case, label, seed, most)
    every = np.concatenate(condition)
    contestants = ("ours", "scipy", "efax")
    return Result(
        case.name,
        label,
        n,
        tally["ours"].time(),
        tally["scipy"].time(),
        tally["efax"].time(),
        tally["to_mean"].time(),
        {name: tally[name].spread() for name in contestants},
        rows_of["efax"],
        worst,
        {name: tally[name].median() for name in contestants},
        {name: tally[name].wrong() for name in contestants[1:]},
        float(np.median(every)),
        float(every.max()),
        curve,
        exponent(curve),
    )


def cost_curve(case: Case, label: str, seed: int, most: int) -> dict[int, float]:
    """Our CPU seconds for 10², 10³, … inversions, the median of three; every answer is checked."""
    curve: dict[int, float] = {}
    n = 100
    while n <= most:
        times = []
        for k in range(3 if n <= 100_000 else 1):
            count = max(n, _CHUNK if most > _CHUNK else n)
            theta = case.draw(np.random.default_rng([seed, k, n]), count, RANGES[label])
            batches = np.split(case.family.to_mean(theta), count // n)
            seconds, found = cpu_seconds(
                lambda batches=batches: np.concatenate([case.family.to_natural(mu) for mu in batches])  # type: ignore[misc]
            )
            check_all(case, found, np.concatenate(batches))
            times.append(seconds / len(batches))
        curve[n] = float(np.median(times))
        n *= 10
    return curve


# ---------------------------------------------------------------------- the report


def ratio(peer: float, ours: float, wrong: float) -> str:
    """How many times slower a peer is; in brackets where more than one in a hundred of its answers is wrong."""
    if np.isnan(peer):
        return "—"
    text = f"{number(peer / ours, '.3g')}×"
    return f"({text})" if wrong > 0.01 else text


def show(results: list[Result], screen: Console) -> None:
    """Ratios first."""
    table = Table(title=f"{results[0].inversions:,} inversions: ratios first", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True)
    for r in results:
        table.add_row(
            r.name,
            r.range,
            ratio(r.scipy, r.ours, r.wrong["scipy"]),
            ratio(r.efax, r.ours, r.wrong["efax"]),
            number(r.ours / r.to_mean, ".2g"),
            f"{1e6 * r.ours:.3g} µs",
            number(r.exponent, ".2f"),
            f"{100 * r.spread['ours']:.0f} %",
            number(r.residual, ".0e"),
            " / ".join("—" if np.isnan(share) else f"{100 * share:.0f} %" for share in r.wrong.values()),
            f"{r.conditioning_median:.0e} / {r.conditioning_largest:.0e}",
        )
    screen.print(table)


def draw(results: list[Result], path: Path) -> Path:
    """CPU seconds against the number of inversions on logarithmic axes, both ranges; the peers' times as rings."""
    by_name: dict[str, list[Result]] = {}
    for r in results:
        by_name.setdefault(r.name, []).append(r)
    figure = Figure(figsize=(3.2 * len(by_name), 3.2), layout="constrained")
    panels = figure.subplots(1, len(by_name), sharex=True, sharey=True, squeeze=False)[0]
    colours = eg.plots.PALETTE
    for ax, (name, rows) in zip(panels, by_name.items()):
        for r, colour, mark in zip(rows, colours, "os"):
            label = f"{r.range}: ∝ n$^{{{number(r.exponent, '.2f')}}}$"
            ax.plot(list(r.curve), list(r.curve.values()), f"{mark}-", color=colour, markersize=3.5, label=label)
            for peer, sign in (("scipy", "D"), ("efax", "^")):
                if not np.isnan(getattr(r, peer)):
                    at = r.inversions * getattr(r, peer)
                    ax.plot([r.inversions], [at], sign, color=colour, fillstyle="none", markersize=5)
        for peer, sign in (("SciPy", "D"), ("efax", "^")):
            if not np.isnan(getattr(rows[0], peer.lower())):
                ax.plot([], [], sign, color="0.3", fillstyle="none", markersize=5, label=peer)
        ax.set(xscale="log", yscale="log", title=name, xlabel="inversions n")
        ax.legend(frameon=False, fontsize=7, loc="lower right")
        clean(ax)
    panels[0].set_ylabel("CPU seconds")
    figure.suptitle("Cost of mean → natural parameters against the number of inversions", fontsize=11)
    return save_figure(figure, path)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Out = Path("results/inversion"),
    seed: Seed = 0,
    inversions: Annotated[int, typer.Option(min=100, help="Inversions of each timing.")] = 20_000,
    repeats: Repeats = 5,
    quick: Quick = False,
) -> None:
    """Mean to natural parameters: time and residual of every family that needs a solver, over ordinary and extreme parameters."""
    most = 10**6
    if quick:
        inversions, repeats, most = 200, 1, 1000
    jobs = [(case, label) for case in cases() for label in RANGES]
    with threadpool_limits(1, user_api="blas"):  # its waiting threads would be counted as somebody's CPU time
        results = [measure(case, label, inversions, repeats, seed, most) for case, label in progress(jobs, "families")]
    screen = console()
    show(results, screen)
    settings = {"seed": seed, "inversions": inversions, "repeats": repeats, "quick": quick, "residual": RESIDUAL}
    content = {"settings": settings, "peers": efax_versions(), **environment(), "results": [asdict(r) for r in results]}
    path = save_json(out / "inversion.json", content)
    figure = draw(results, out / "inversion.png")
    screen.print(
        f"every answer is finite and leads back to its mean; every checked one has a relative residual of at most {RESIDUAL:g}; "
        f"saved {path} and {figure}",
        soft_wrap=True,
    )


if __name__ == "__main__":
    app()
