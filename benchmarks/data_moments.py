"""Mean statistics of data in one pass: beside NumPy, scikit-learn and PyArrow.

    python -m benchmarks.data_moments

Peers give less: bare means neither catch rounding errors nor give standard errors nor look whether data lies in the sample
space. Every timed answer is held against exact sums before its time counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.util import find_spec
from math import fsum
from pathlib import Path
from typing import Any

import numpy as np
import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

import expfam_game as eg
from benchmarks.report import (
    Out,
    Quick,
    Repeats,
    Seed,
    console,
    environment,
    fitted_exponent,
    number,
    progress,
    save_figure,
    save_json,
)
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.plots.style import clean

SIZES = (10_000, 100_000, 1_000_000, 4_000_000)
CHUNK = 16_384
"""Rows that peers which work in chunks take at a time."""

COLUMNS = """
\b
Each block of the table is one family; figures are medians over the repetitions, each with fresh data, in processor seconds.

\b
Columns
  values        numbers in the data: samples times entries
  bare          NumPy's mean of each statistic over the whole data (x.mean(axis=0), and so on), time divided by ours
  errors        the same with standard errors: NumPy's mean and standard deviation of φ, chunk by chunk
  sklearn       StandardScaler.partial_fit in chunks, where the family asks for mean and variance
  arrow         PyArrow's mean, and its mean of the squares, column by column
  seconds       of families.mean_statistic: checked, compensated, with standard errors
  spread        largest less smallest repetition, over the median
  ns            of ours, for each number in the data
  error         of our mean, relative to the mean of |φ| (peers may be off by 1e-9)
"""


# ---------------------------------------------------------------------- peers


def _statistics(name: str, x: AnyArray) -> list[AnyArray]:
    """φ in NumPy, as the arrays whose columns are the statistics."""
    x = np.asarray(x, dtype=np.float64)
    return {"Gamma": lambda: [np.log(x), x], "DiagonalGaussian": lambda: [x, x * x]}.get(name, lambda: [x])()


def _bare(name: str, x: AnyArray) -> FloatArray:
    if name in ("Poisson", "Bernoulli"):
        return np.atleast_1d(x.mean(axis=0, dtype=np.float64))
    return np.concatenate([np.atleast_1d(part.mean(axis=0)) for part in _statistics(name, x)])


def _with_errors(name: str, x: AnyArray) -> FloatArray:
    """Means and variances of the chunks, joined (Chan, Golub & LeVeque 1979)."""
    count, mean, scatter = 0, np.zeros(1), np.zeros(1)
    for start in range(0, len(x), CHUNK):
        parts = _statistics(name, x[start : start + CHUNK])
        phi = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        more, centre = len(phi), phi.mean(axis=0)
        shift = centre - mean
        scatter = scatter + phi.var(axis=0) * more + shift**2 * (count * more / (count + more))
        mean = mean + shift * (more / (count + more))
        count += more
    return np.asarray(mean)


def _sklearn(name: str, x: AnyArray) -> FloatArray:
    scaler = import_module("sklearn.preprocessing").StandardScaler()
    for start in range(0, len(x), CHUNK):
        scaler.partial_fit(x[start : start + CHUNK])
    return np.concatenate([scaler.mean_, scaler.var_ + scaler.mean_**2])


def _arrow(name: str, x: AnyArray) -> FloatArray:
    arrow, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    columns = [arrow.array(part) for part in np.atleast_2d(x.T)]
    means = [compute.mean(column).as_py() for column in columns]
    if name == "DiagonalGaussian":
        means += [compute.mean(compute.multiply(column, column)).as_py() for column in columns]
    if name == "Gamma":
        means = [compute.mean(compute.ln(columns[0])).as_py(), *means]
    return np.array(means)


PEERS: dict[str, Callable[[str, AnyArray], FloatArray]] = {
    "bare": _bare,
    "errors": _with_errors,
    "sklearn": _sklearn,
    "arrow": _arrow,
}


def _takes_part(peer: str, name: str) -> bool:
    if peer == "sklearn":
        return name == "DiagonalGaussian" and find_spec("sklearn") is not None
    return peer != "arrow" or find_spec("pyarrow") is not None


# ---------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Job:
    """A family, and data for it."""

    family: eg.Family
    entries: int
    draw: Callable[[np.random.Generator, int], AnyArray]

    @property
    def name(self) -> str:
        return type(self.family).__name__


def jobs() -> list[Job]:
    """Counts, bits, vectors, and positive numbers with their logarithms."""
    f = eg.families
    return [
        Job(f.Poisson(), 1, lambda rng, n: rng.poisson(3.0, n)),
        Job(f.Bernoulli(16), 16, lambda rng, n: rng.integers(0, 2, (n, 16), dtype=np.int8)),
        Job(f.DiagonalGaussian(16), 16, lambda rng, n: rng.normal(2.0, 1.0, (n, 16))),
        Job(f.Gamma(), 1, lambda rng, n: rng.gamma(2.0, 1.0, n)),
    ]


@dataclass
class Case:
    """One family with so many numbers; seconds are medians."""

    family: str
    values: int
    seconds: float
    spread: float
    error: float
    peers: dict[str, float] = field(default_factory=dict)


def measure(job: Job, values: int, repeats: int, seed: int) -> Case:
    """Everybody in turn on the same data, fresh each time; the first is not counted."""
    times: dict[str, list[float]] = {}
    worst = 0.0
    for repeat in range(repeats + 1):
        data = job.draw(np.random.default_rng([seed, repeat]), values // job.entries)
        exact, scale = exact_mean(job.name, data)
        seconds, moments = _timed(lambda: eg.families.mean_statistic(job.family, data))  # noqa: B023
        worst = max(worst, _require_mean(moments.mean, exact, scale, 1e-14, "mean_statistic"))
        found = {"ours": seconds}
        for name, peer in PEERS.items():
            if _takes_part(name, job.name):
                found[name], theirs = _timed(lambda: peer(job.name, data))  # noqa: B023
                _require_mean(theirs, exact, scale, 1e-9, name)
        for name, value in found.items() if repeat else ():
            times.setdefault(name, []).append(value)
    ours = times.pop("ours")
    medians = {name: float(np.median(times[name])) if name in times else float("nan") for name in PEERS}
    return Case(job.name, values, float(np.median(ours)), float(np.ptp(ours) / np.median(ours)), worst, medians)


def _timed(job: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    result = job()
    return time.process_time() - begun, result


def exact_mean(name: str, data: AnyArray) -> tuple[FloatArray, FloatArray]:
    """The mean of each statistic, from sums without rounding errors, and that of its absolute value."""
    columns = [column for part in _statistics(name, data) for column in part.reshape(len(part), -1).T]
    mean = np.array([fsum(column.tolist()) for column in columns]) / len(data)
    return mean, np.array([np.abs(column).mean() for column in columns])


def _require_mean(mean: FloatArray, exact: FloatArray, scale: FloatArray, tolerance: float, who: str) -> float:
    """The largest relative error, at most ``tolerance``."""
    error = float(np.max(np.abs(mean - exact) / scale))
    if not error <= tolerance:
        raise AssertionError(f"{who}: the mean is off by {error:.3g}, more than {tolerance:g}: its time does not count")
    return error


def exponent(cases: list[Case]) -> float:
    """How the seconds grow with the data."""
    return fitted_exponent([case.values for case in cases], [case.seconds for case in cases])


# ---------------------------------------------------------------------- showing


def _groups(cases: list[Case]) -> dict[str, list[Case]]:
    return {name: [c for c in cases if c.family == name] for name in dict.fromkeys(c.family for c in cases)}


def show(cases: list[Case], screen: Console) -> None:
    """Ratios first: how many times longer every peer takes."""
    for name, group in _groups(cases).items():
        table = Table(title=f"{name}: time ∝ values^{number(exponent(group), '.2f')}", title_justify="left")
        for heading in ("values", *PEERS, "seconds", "spread", "ns", "error"):
            table.add_column(heading, justify="right")
        for case in group:
            table.add_row(
                f"{case.values:,}",
                *(number(seconds / case.seconds) for seconds in case.peers.values()),
                number(case.seconds),
                f"{100 * case.spread:.0f} %",
                number(1e9 * case.seconds / case.values),
                number(case.error, ".1e"),
            )
        screen.print(table)


def draw(cases: list[Case], path: Path) -> Path:
    """Seconds against the size of the data; dotted: NumPy with standard errors."""
    figure = Figure(figsize=(5.5, 4.0), layout="constrained")
    ax = figure.subplots()
    for (name, group), colour in zip(_groups(cases).items(), eg.plots.PALETTE):
        sizes = [case.values for case in group]
        label = f"{name}:  ∝ values$^{{{number(exponent(group), '.2f')}}}$"
        ax.plot(sizes, [case.seconds for case in group], "o-", color=colour, label=label)
        ax.plot(sizes, [case.peers["errors"] for case in group], ":", color=colour, linewidth=1.2)
    ax.set(xscale="log", yscale="log", xlabel="numbers in the data", ylabel="CPU seconds")
    ax.set_title("Mean statistics: expfam_game (dots),\nNumPy with standard errors (dotted)", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    clean(ax)
    return save_figure(figure, path)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Out = Path("results/data_moments"),
    seed: Seed = 0,
    repeats: Repeats = 5,
    quick: Quick = False,
) -> None:
    """Mean statistics of data in one pass, beside NumPy, scikit-learn and PyArrow."""
    plan = [(job, values) for job in jobs() for values in ((1_600, 64_000) if quick else SIZES)]
    cases = [measure(job, values, 1 if quick else repeats, seed) for job, values in progress(plan, "data")]
    screen = console()
    show(cases, screen)
    content = {
        **environment(),
        "settings": {"seed": seed, "repeats": repeats, "quick": quick, "clock": "cpu"},
        "exponents": {name: exponent(group) for name, group in _groups(cases).items()},
        "cases": [asdict(case) for case in cases],
    }
    saved = [save_json(out / "data_moments.json", content), draw(cases, out / "data_moments.png")]
    screen.print("saved " + ", ".join(map(str, saved)), soft_wrap=True)


if __name__ == "__main__":
    app()
