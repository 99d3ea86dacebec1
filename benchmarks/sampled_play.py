"""Sampled play of many agents: a round of best responses to n samples of every model, against the loop one would write.

    python -m benchmarks.sampled_play

The peer is the same round in NumPy and SciPy: draw the average of n samples of every agent with NumPy's Generator, then one
sparse product; it checks nothing. Both play in the same process, in turns, every repetition with fresh seeds. Of every
contestant a round from the equilibrium is compared with the equilibrium, in standard errors of the average over the agents.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from scipy import sparse

import expfam_game as eg
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
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.families.base import Family
from expfam_game.plots.style import clean
from expfam_game.solvers.sampled_rounds import Rounds

NEIGHBOURS = 10
TRUST = 0.3
EXCHANGES: tuple[Literal["broadcast", "separate"], ...] = ("broadcast", "separate")
GROWTH = ("Bernoulli, 1", "Categorical, 10", "Gaussian")
"""Families whose cost is measured at every size."""

_SIGMAS = 7.0

COLUMNS = """
\b
Columns (times are CPU time of all threads together, medians over the repetitions)
  vs NumPy   time of one round in NumPy and SciPy, over ours
  vs product our time over that of SciPy's sparse product alone, without which there is no round
  Mrounds/s  agents × rounds per second of CPU time, in millions
  Mdraws/s   drawn averages per second, in millions: agents (or pairs) × statistics
  ours       milliseconds for one round
  spread     largest less smallest repetition, over the median
  error      largest |average over the agents − equilibrium| in standard errors, over all contestants (must stay below 7)
"""

Draw = Callable[[np.random.Generator, FloatArray, int], FloatArray]
"""A peer's averages of n samples for each row of mean parameters."""


@dataclass(frozen=True)
class Job:
    """A family, and how a user would draw the average of n samples of each row with NumPy."""

    name: str
    family: Family
    means: Callable[[np.random.Generator, int], FloatArray]
    draw: Draw


@dataclass(frozen=True)
class Case:
    """One line: CPU seconds of one round."""

    family: str
    exchange: str
    n_agents: int
    edges: int
    dim: int
    ours: float
    peer: float
    product: float
    spread: float
    error: float
    draws: int = field(default=0)


def jobs() -> list[Job]:
    """The families of the table."""
    f = eg.families

    def normal_rows(rng: np.random.Generator, n: int) -> FloatArray:
        mean = rng.normal(size=(n, 1))
        return np.hstack([mean, mean**2 + rng.uniform(0.5, 2.0, (n, 1))])

    def gaussian(rng: np.random.Generator, mean: FloatArray, n: int) -> FloatArray:
        variance = mean[:, 1] - mean[:, 0] ** 2
        average = mean[:, 0] + np.sqrt(variance / n) * rng.standard_normal(len(mean))
        return np.stack([average, average**2 + variance * rng.chisquare(n - 1, len(mean)) / n], axis=1)

    def multinomial(rng: np.random.Generator, mean: FloatArray, n: int) -> FloatArray:
        p = np.hstack([mean, 1.0 - mean.sum(axis=1, keepdims=True)])
        return np.asarray(rng.multinomial(n, p)[:, :-1] / n)

    def probabilities(width: int) -> Callable[[np.random.Generator, int], FloatArray]:
        return lambda rng, n: rng.uniform(0.05, 0.95, (n, width))

    def binomial(rng: np.random.Generator, mean: FloatArray, n: int) -> FloatArray:
        return np.asarray(rng.binomial(n, mean) / n)

    return [
        Job("Bernoulli, 1", f.Bernoulli(1), probabilities(1), binomial),
        Job("Bernoulli, 16", f.Bernoulli(16), probabilities(16), binomial),
        Job(
            "Categorical, 10",
            f.Categorical(10),
            lambda rng, n: 0.99 * rng.dirichlet(np.ones(10), n)[:, :-1] + 0.001,
            multinomial,
        ),
        Job(
            "Poisson",
            f.Poisson(),
            lambda rng, n: rng.uniform(0.5, 10.0, (n, 1)),
            lambda rng, mean, n: rng.poisson(n * mean) / n,
        ),
        Job(
            "Gaussian, variance known",
            f.KnownVarianceGaussian(1.0),
            lambda rng, n: rng.normal(size=(n, 1)),
            lambda rng, mean, n: mean + rng.standard_normal(mean.shape) / np.sqrt(n),
        ),
        Job("Gaussian", f.DiagonalGaussian(1), normal_rows, gaussian),
    ]


def make_weights(n_agents: int, seed: int) -> eg.Weights:
    """Everybody listens to ten agents drawn at random: an expander."""
    heard = np.random.default_rng(seed).integers(0, n_agents, size=n_agents * NEIGHBOURS)
    share = np.full(heard.size, (1.0 - TRUST) / NEIGHBOURS)
    b = sparse.csr_array((share, heard, NEIGHBOURS * np.arange(n_agents + 1)), shape=(n_agents, n_agents))
    return eg.Weights(b + TRUST * sparse.eye_array(n_agents))


# ---------------------------------------------------------------------- measuring


class Peer:
    """The round as a user would write it."""

    def __init__(self, game: eg.Game, job: Job, exchange: str) -> None:
        self._own, self._b, self._draw = np.asarray(game.anchored_data), game.weights.off_diagonal, job.draw
        self._broadcast = exchange == "broadcast"
        edges = np.arange(self._b.nnz)
        self._sum = sparse.csr_array((self._b.data, edges, self._b.indptr), shape=(game.n_agents, self._b.nnz))

    def play(self, mean: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        if self._broadcast:
            return np.asarray(self._own + self._b @ self._draw(rng, mean, n))
        return np.asarray(self._own + self._sum @ self._draw(rng, mean[self._b.indices], n))


def error_of(game: eg.Game, exchange: str, played: FloatArray, n: int) -> float:
    """How far the average over the agents after a round from the equilibrium is from it, in standard errors."""
    goal, b = game.equilibrium_mean, game.weights.off_diagonal
    variance = game.family.variance(game.family.to_natural(goal)) / n
    if exchange == "broadcast":
        weight: AnyArray = np.asarray(b.sum(axis=0)).ravel() ** 2
    else:
        weight = np.asarray((b * b).sum(axis=0)).ravel()
    expected = np.sqrt(weight @ variance)
    return float(np.max(np.abs((played - goal).sum(axis=0)) / expected))


def measure(
    job: Job, exchange: Literal["broadcast", "separate"], n_agents: int, n: int, repeats: int, seed: int
) -> Case:
    """Both contestants in turns; the first round of each warms up and is not counted."""
    game = eg.Game(job.family, make_weights(n_agents, seed), means=job.means(np.random.default_rng(seed), n_agents))
    goal, b = game.equilibrium_mean, game.weights.off_diagonal
    peer, worst = Peer(game, job, exchange), 0.0
    times: dict[str, list[float]] = {"ours": [], "peer": [], "product": []}
    with Rounds(game, exchange, "auto", seed) as rounds:
        for k in range(repeats + 1):
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k,)))
            contestants: dict[str, Callable[[], FloatArray | None]] = {
                "ours": lambda k=k: rounds.play(goal, n, 1.0, k),  # type: ignore[misc]
                "peer": lambda rng=rng: peer.play(goal, n, rng),  # type: ignore[misc]
                "product": lambda: np.asarray(b @ goal),
            }
            for who, run in contestants.items():
                begun = time.process_time()
                played = run()
                seconds = time.process_time() - begun
                if played is None:
                    raise AssertionError(f"{job.name}: a model of the equilibrium does not exist")
                if who != "product":
                    worst = max(worst, error_of(game, exchange, played, n))
                if k:
                    times[who].append(seconds)
    if not worst < _SIGMAS:
        raise AssertionError(f"{job.name}, {exchange}: a timed round is {worst:.1f} standard errors off")
    ours = float(np.median(times["ours"]))
    draws = job.family.dim * (n_agents if exchange == "broadcast" else b.nnz)
    return Case(
        job.name,
        exchange,
        n_agents,
        b.nnz,
        job.family.dim,
        ours,
        float(np.median(times["peer"])),
        float(np.median(times["product"])),
        float(np.ptp(times["ours"])) / ours,
        worst,
        draws,
    )


def exponent(cases: list[Case]) -> float:
    """Slope of log(seconds) against log(agents) from 10⁴ agents on (from all sizes where there are fewer)."""
    large = [case for case in cases if case.n_agents >= 9_000]
    used = large if len(large) > 1 else cases
    if len(used) < 2:
        return float("nan")
    return float(np.polyfit(np.log([c.n_agents for c in used]), np.log([c.ours for c in used]), 1)[0])


# ---------------------------------------------------------------------- showing


def show(cases: list[Case], samples: int, screen: Console) -> None:
    for exchange in EXCHANGES:
        group = [case for case in cases if case.exchange == exchange]
        if not group:
            continue
        title = f"{exchange}: {group[0].n_agents:,} agents, {NEIGHBOURS} neighbours, {samples:,} samples a round"
        table = Table(title=title, title_justify="left")
        headings = ("family", "vs NumPy", "vs product", "Mrounds/s", "Mdraws/s", "ours", "spread", "error")
        for heading in headings:
            table.add_column(heading, justify="left" if heading == "family" else "right")
        for case in group:
            table.add_row(
                case.family,
                f"{case.peer / case.ours:.1f}×",
                f"{case.ours / case.product:.1f}×",
                number(1e-6 * case.n_agents / case.ours),
                number(1e-6 * case.draws / case.ours),
                f"{1e3 * case.ours:.3g} ms",
                f"{100 * case.spread:.0f} %",
                f"{case.error:.1f}",
            )
        screen.print(table)


def draw(growth: dict[str, list[Case]], path: Path) -> Path:
    """Time of a round against the number of agents."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4.0), layout="constrained")
    ax = figure.subplots()
    for colour, (name, cases) in zip(("C0", "C1", "C2"), growth.items()):
        sizes = [case.n_agents for case in cases]
        label = f"{name}:  ∝ agents$^{{{number(exponent(cases), '.2f')}}}$"
        ax.plot(sizes, [case.ours for case in cases], "o-", color=colour, label=label)
        ax.plot(sizes, [case.peer for case in cases], ":", color=colour, linewidth=1.2)
    ax.set(xscale="log", yscale="log", xlabel="agents", ylabel="CPU seconds for one round")
    ax.set_title("Sampled play: expfam_game (dots) and NumPy with SciPy (dotted)", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    clean(ax)
    return save_figure(figure, path)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Out = Path("results/sampled_play"),
    seed: Seed = 0,
    agents: Annotated[int, typer.Option(min=100, help="Agents of the table.")] = 10**5,
    samples: Annotated[int, typer.Option(min=2, help="Samples a round, n.")] = 1000,
    repeats: Repeats = 7,
    quick: Quick = False,
) -> None:
    """Rounds of sampled play of every kind of family, broadcast and separate, against NumPy and SciPy."""
    if quick:
        agents, repeats = 1000, 1
    sizes = sorted({max(100, int(agents / factor)) for factor in (100.0, 31.6, 10.0, 3.16, 1.0)})
    todo = [(job, exchange, agents) for exchange in EXCHANGES for job in jobs()]
    cases = [measure(job, exchange, size, samples, repeats, seed) for job, exchange, size in progress(todo, "families")]
    larger = [(job, size) for job in jobs() if job.name in GROWTH for size in sizes]
    grown = [measure(job, "broadcast", size, samples, repeats, seed) for job, size in progress(larger, "sizes")]
    growth = {name: [case for case in grown if case.family == name] for name in GROWTH}
    screen = console()
    show(cases, samples, screen)
    for name, group in growth.items():
        screen.print(f"{name}: time ∝ agents^{number(exponent(group), '.2f')}")
    settings = {"seed": seed, "agents": agents, "samples": samples, "repeats": repeats, "quick": quick}
    content = {
        "settings": settings,
        **environment(),
        "cases": [asdict(case) for case in cases],
        "growth": {name: [asdict(case) for case in group] for name, group in growth.items()},
        "exponents": {name: exponent(group) for name, group in growth.items()},
    }
    saved = [save_json(out / "sampled_play.json", content), draw(growth, out / "sampled_play.png")]
    screen.print(
        f"every timed round lies within {_SIGMAS:g} standard errors of the equilibrium; saved "
        + ", ".join(map(str, saved)),
        soft_wrap=True,
    )


if __name__ == "__main__":
    app()
