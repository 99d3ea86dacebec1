"""Monte-Carlo moments: the mean sufficient statistic of S samples, against what a user would write instead.

    python -m benchmarks.moments

Every family draws S samples and averages their statistic; so do NumPy, SciPy and, where it is installed, efax on JAX in
the same process, in turns, each time with a fresh seed. Jobs shorter than a few hundredths of a second are repeated, so
that what is measured is not the loading of caches that the contestant before has emptied. The peers return the mean
alone; the package returns the standard errors too. Every timed mean is checked against the exact one.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure
from numba import njit
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

import expfam_game as eg
from benchmarks.moment_cases import Case, cases
from benchmarks.moment_efax import efax_peer
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
from benchmarks.scaling import copy_bandwidth
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.kernels import random_words, samplers
from expfam_game.plots.style import clean

_SIGMAS = 7.0
_SCIPY_SHARE = 10
"""SciPy draws this many times fewer samples, and its time is multiplied by that: it is slow, and linear in S."""

_SETTLING = 0.3
"""Seconds between two contestants."""

_LEAST = 0.03
_MOST_SAMPLES = 10**9
"""CPU seconds that every measurement lasts at least, and samples at which the curve of the cost ends at the latest."""

PEERS = ("numpy", "scipy", "efax")
COLUMNS = """
\b
Columns (all times are CPU time of all threads together, medians over the repetitions)
  vs NumPy   time of NumPy's Generator with a vectorised statistic, over ours
  vs SciPy   the same for scipy.stats (a tenth of the samples, scaled); — where it has no such law
  vs efax    the same for efax on JAX (compiled, in double precision); — where it is not installed or has no such law
  vs floor   our time over that of the random numbers alone, drawn by the same generator in the same run; after the
             stroke the same at the largest number of samples of the curve, where fixed costs no longer count
  floor      which numbers one sample needs: "bits" fair coin tosses, "normals", "exponentials", "words" of 64 bits
  ours       CPU milliseconds for one estimate
  S^         fitted exponent of our time against the number of samples, over the last factor of 100
  spread     largest less smallest repetition, over the median
  sum law    milliseconds for the exact law of the sum at S = 10³ and S = 10⁹; — where the family has none
  error      largest |mean − μ| in standard errors, over all repetitions and entries (must stay below 7)
"""

HEADINGS = (
    "family", "vs NumPy", "vs SciPy", "vs efax", "vs floor", "floor", "ours", "S^", "spread",
    "sum law", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """Medians in CPU seconds; NaN where a peer is missing. ``curve`` is our time by number of samples."""

    name: str
    samples: int
    ours: float
    numpy: float
    scipy: float
    efax: float
    floor: float
    floor_numbers: dict[str, float]
    spread: float
    spread_numpy: float
    sum_law: tuple[float, float] | None
    error: float
    curve: dict[int, float]
    exponent: float
    floor_ratio_at_large_s: float


# ---------------------------------------------------------------------- measuring


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of all threads."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def steady_seconds(run: Callable[[int], object], seed: int, times: int) -> float:
    """CPU seconds of one run, of ``times`` runs with fresh seeds."""
    return cpu_seconds(lambda: [run(seed + k) for k in range(times)]) / times


def settle() -> None:
    """Let what a contestant leaves behind (garbage, buffers that other threads give back) not be counted as the next one's."""
    gc.collect()
    time.sleep(_SETTLING)


def repetitions(run: Callable[[int], object], seed: int, least: float) -> int:
    """How many runs last ``least`` seconds, from one run after a first that compiles."""
    run(seed)
    return int(np.clip(least / max(cpu_seconds(lambda: run(seed + 1)), 1e-6), 1.0, 1000.0))


@njit(error_model="numpy")
def _draw(kind: int, rounds: int, out: FloatArray, words: AnyArray, state: AnyArray) -> None:
    """Random numbers alone, a buffer at a time, as the kernels draw them."""
    for _ in range(rounds):
        if kind == 0:
            random_words.fill_words(words, state)
        elif kind == 1:
            samplers.fill_normal(out, words, state)
        else:
            samplers.fill_exponential(out, words, state)


def number_seconds() -> dict[str, float]:
    """CPU seconds of one random number of each kind."""
    state, words, out = (
        np.zeros(random_words.STATE, np.uint64),
        np.empty(random_words.WORDS, np.uint64),
        np.empty(random_words.WORDS),
    )
    random_words.open_stream(state, np.uint64(1), 0, 0, 0)
    found, rounds = {}, 5000
    for code, kind in enumerate(("words", "normals", "exponentials")):
        _draw(code, 1, out, words, state)
        seconds = cpu_seconds(lambda code=code: _draw(code, rounds, out, words, state))  # type: ignore[misc]
        found[kind] = seconds / (rounds * random_words.WORDS)
    return found | {"bits": found["words"] / 64.0}


def floor_seconds(numbers: dict[str, float], n: int) -> float:
    """CPU time of the random numbers alone."""
    seconds = number_seconds()
    return n * sum(seconds[kind] * count for kind, count in numbers.items())


def contestants(case: Case, n: int) -> dict[str, tuple[int, Callable[[int], FloatArray]]]:
    """Who takes part: by name, how many samples they draw, and a function of the seed that returns the mean."""
    small = max(min(n, 2000), n // _SCIPY_SHARE)
    runs: dict[str, tuple[int, Callable[[int], FloatArray]]] = {
        "ours": (n, lambda seed: case.family.estimate_mean(case.theta, n, seed, method="samples").mean),
        "numpy": (n, lambda seed: case.numpy(np.random.default_rng(seed), n)),
    }
    if case.scipy is not None:
        scipy = case.scipy
        runs["scipy"] = (small, lambda seed: scipy(np.random.default_rng(seed), small))
    efax = efax_peer(case)
    if efax is not None:
        runs["efax"] = (n, lambda seed: efax(seed, n))
    return runs


def measure(case: Case, n: int, repeats: int, seed: int, least: float = _LEAST, most: int = _MOST_SAMPLES) -> Result:
    """All contestants in turns, after a warm-up that is not counted."""
    exact, variance = case.family.to_mean(case.theta), case.family.variance(case.theta)
    worst = 0.0

    def judged(name: str, mean: FloatArray, size: int) -> None:
        nonlocal worst
        error = float(np.max(np.abs(mean - exact) / np.sqrt(variance / size)))
        if not error < _SIGMAS:
            raise AssertionError(f"{case.name}: a timed mean of {name} is {error:.1f} standard errors off")
        worst = max(worst, error)

    def checked(name: str, size: int, run: Callable[[int], FloatArray]) -> Callable[[int], None]:
        return lambda fresh: judged(name, run(fresh), size)

    runs = {name: (size, checked(name, size, run)) for name, (size, run) in contestants(case, n).items()}
    inner = {name: repetitions(run, seed, least) for name, (_, run) in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in (*runs, "floor")}
    for k in range(repeats):
        for name, (size, run) in runs.items():
            if name != "scipy" or k < 2:  # it is far from the others
                settle()
                times[name].append(steady_seconds(run, seed + 10_000 * (k + 1), inner[name]) * n / size)
        settle()
        times["floor"].append(floor_seconds(case.floor, n))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    curve = cost_curve(case, seed, least, most)
    largest = max(curve)
    return Result(
        case.name,
        n,
        medians["ours"],
        medians["numpy"],
        medians.get("scipy", float("nan")),
        medians.get("efax", float("nan")),
        medians["floor"],
        case.floor,
        float(np.ptp(times["ours"])) / medians["ours"],
        float(np.ptp(times["numpy"])) / medians["numpy"],
        sum_law(case, repeats, seed),
        worst,
        curve,
        exponent(curve),
        curve[largest] / floor_seconds(case.floor, largest),
    )


def cost_curve(case: Case, seed: int, least: float, most: int) -> dict[int, float]:
    """Our CPU seconds for 10³, 10⁴, … samples, until one estimate takes ten times ``least``."""
    curve: dict[int, float] = {}
    n = 1000
    while n <= most and (not curve or curve[n // 10] < 10.0 * least):

        def run(fresh: int, n: int = n) -> object:
            return case.family.estimate_mean(case.theta, n, fresh, method="samples")

        times = repetitions(run, seed, least)
        curve[n] = float(np.median([steady_seconds(run, seed + 10_000 * (k + 1), times) for k in range(3)]))
        n *= 10
    return curve


def exponent(curve: dict[int, float]) -> float:
    """Slope of log time against log S over the last factor of 100."""
    sizes = sorted(curve)[-3:]
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log([curve[n] for n in sizes]), 1)[0])


def sum_law(case: Case, repeats: int, seed: int) -> tuple[float, float] | None:
    """CPU seconds of the exact law at S = 10³ and 10⁹."""
    if case.family.estimate_mean(case.theta, 1000, seed).method != "sum-law":
        return None

    def median(n: int) -> float:
        def run(fresh: int) -> object:
            return case.family.estimate_mean(case.theta, n, fresh)

        return float(np.median([steady_seconds(run, seed + 100 * k, 20) for k in range(repeats)]))

    return median(10**3), median(10**9)


# ---------------------------------------------------------------------- the report


def show(results: list[Result], screen: Console) -> None:
    """Ratios first."""
    table = Table(title=f"mean statistic of {results[0].samples:,} samples: ratios first", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("family", "floor") else "right", no_wrap=True)
    for r in results:
        table.add_row(
            r.name,
            *(f"{number(getattr(r, name) / r.ours, '.1f')}" for name in PEERS),
            f"{r.ours / r.floor:.3g} / {r.floor_ratio_at_large_s:.3g}",
            " + ".join(f"{count:.3g} {kind}" for kind, count in r.floor_numbers.items()),
            f"{1e3 * r.ours:.3g} ms",
            number(r.exponent, ".2f"),
            f"{100 * r.spread:.0f} %",
            "—" if r.sum_law is None else " / ".join(f"{1e3 * seconds:.2g}" for seconds in r.sum_law),
            f"{r.error:.1f}",
        )
    screen.print(table)


def draw(results: list[Result], path: Path) -> Path:
    """CPU seconds against the number of samples on logarithmic axes, with NumPy's time as a ring."""
    columns = 4
    rows = -(-len(results) // columns)
    figure = Figure(figsize=(3.0 * columns, 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    ours, peer = eg.plots.PALETTE[:2]
    for ax, r in zip(panels, results):
        label = f"expfam_game: ∝ S$^{{{number(r.exponent, '.2f')}}}$"
        ax.plot(list(r.curve), list(r.curve.values()), "o-", color=ours, markersize=3.5, label=label)
        ax.plot([r.samples], [r.numpy], "o", color=peer, fillstyle="none", label=f"NumPy: {r.numpy / r.ours:.0f}×")
        ax.set(xscale="log", yscale="log", title=r.name)
        ax.legend(frameon=False, fontsize=7, loc="best")
        clean(ax)
    for ax in panels[len(results) :]:
        ax.set_visible(False)
    for ax in panels[-columns:]:
        ax.set_xlabel("samples S")
    for ax in panels[::columns]:
        ax.set_ylabel("CPU seconds")
    figure.suptitle("Cost of a mean statistic against the number of samples", fontsize=11)
    return save_figure(figure, path)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Out = Path("results/moments"),
    seed: Seed = 0,
    samples: Annotated[int, typer.Option(min=100, help="Samples per estimate, S.")] = 10**6,
    repeats: Repeats = 5,
    quick: Quick = False,
) -> None:
    """Monte-Carlo moments of every kind of family against NumPy, SciPy, efax and the random numbers alone."""
    least, most = _LEAST, _MOST_SAMPLES
    if quick:
        samples, repeats, least, most = 5000, 1, 1e-3, 10**4
    screen = console()
    with threadpool_limits(1, user_api="blas"):  # its waiting threads would be counted as somebody's CPU time
        bandwidth, numbers = copy_bandwidth(8 if quick else 256), number_seconds()
        results = [measure(case, samples, repeats, seed, least, most) for case in progress(cases(seed), "families")]
    costs = ", ".join(f"{1e9 * seconds:.3g} ns ({kind})" for kind, seconds in numbers.items())
    screen.print(f"copy bandwidth {bandwidth / 1e9:.1f} GB/s (read and written); one random number: {costs}")
    show(results, screen)
    content = {
        "settings": {"seed": seed, "samples": samples, "repeats": repeats, "quick": quick},
        **environment(),
        "copy_bandwidth": bandwidth,
        "random_number_seconds": numbers,
        "results": [vars(r) for r in results],
    }
    path = save_json(out / "moments.json", content)
    figure = draw(results, out / "moments.png")
    screen.print(
        f"every timed mean lies within {_SIGMAS:g} standard errors of the exact one; saved {path} and {figure}",
        soft_wrap=True,
    )


if __name__ == "__main__":
    app()
