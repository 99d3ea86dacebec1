"""Monte-Carlo moments: the mean sufficient statistic of S samples, against what a user would write instead.

    python -m benchmarks.moments

Every family draws S samples and averages their statistic; so do NumPy and SciPy in the same process, in turns, each time
with a fresh seed. The peers return the mean alone; the package returns the standard errors too. Every timed mean is
checked against the exact one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numba import njit
from rich.console import Console
from rich.table import Table
from scipy import stats
from threadpoolctl import threadpool_limits

import expfam_game as eg
from benchmarks.report import console, environment, number, progress, save_json
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.families.base import Family
from expfam_game.kernels import philox, samplers

Peer = Callable[[np.random.Generator, int], FloatArray]
"""The mean statistic of n samples."""

_CHUNK = 1 << 16
"""Numbers that a peer holds at a time where a whole sample would not fit into memory: also its fastest size."""

_SIGMAS = 7.0
_SCIPY_SHARE = 10
"""SciPy draws this many times fewer samples, and its time is multiplied by that: it is slow, and linear in S."""

COLUMNS = """
\b
Columns (all times are CPU time of all threads together, medians over the repetitions)
  vs NumPy   time of NumPy's Generator with a vectorised statistic, over ours
  vs SciPy   the same for scipy.stats (a tenth of the samples, scaled); — where it has no such law
  vs floor   our time over that of the random numbers alone, drawn by the same generator in the same run:
  floor      which numbers one sample needs: "bits" fair coin tosses, "normals", "exponentials", "words" of 64 bits
  ours       CPU milliseconds for one estimate
  ns/sample  the same per sample
  spread     largest less smallest repetition, over the median
  sum law    milliseconds for the exact law of the sum at S = 10³ and S = 10⁹; — where the family has none
  error      largest |mean − μ| in standard errors, over all repetitions and entries (must stay below 7)
"""


@dataclass(frozen=True)
class Case:
    """One row: a family at a parameter, what it competes with, and the random numbers one sample needs."""

    name: str
    family: Family
    theta: FloatArray
    numpy: Peer
    scipy: Peer | None
    floor: dict[str, float]


@dataclass(frozen=True)
class Result:
    """Medians in CPU seconds; NaN where a peer is missing."""

    name: str
    samples: int
    ours: float
    numpy: float
    scipy: float
    floor: float
    floor_numbers: dict[str, float]
    spread: float
    spread_numpy: float
    sum_law: tuple[float, float] | None
    error: float


# ---------------------------------------------------------------------- the cases


def in_chunks(width: int, statistic: Callable[[np.random.Generator, int], FloatArray]) -> Peer:
    """Average a statistic, summed over chunks that fit into a cache."""

    def mean(rng: np.random.Generator, n: int) -> FloatArray:
        size = max(1, _CHUNK // width)
        return sum(statistic(rng, min(size, n - start)) for start in range(0, n, size)) / n  # type: ignore[return-value]

    return mean


def cases(seed: int = 0) -> list[Case]:
    """The rows of the table; parameters drawn from the seed."""
    rng, f = np.random.default_rng(seed), eg.families
    p, category = rng.uniform(0.1, 0.9, 784), rng.dirichlet(np.ones(10))
    mean, deviation = rng.normal(size=16), rng.uniform(0.5, 2.0, 16)
    root = np.linalg.cholesky(np.cov(rng.normal(size=(16, 64))))
    alpha = rng.uniform(1.0, 5.0, 10)
    fields, couplings = rng.normal(0.0, 0.3, 16), rng.normal(0.0, 0.5, 15)
    upper = np.triu_indices(16)

    def full(z: FloatArray) -> FloatArray:
        x = mean + z @ root.T
        return np.concatenate([x.sum(axis=0), (x.T @ x)[upper]])

    def log_and_self(x: FloatArray) -> FloatArray:
        return np.array([np.log(x).mean(), x.mean()])

    def logs(x: FloatArray) -> FloatArray:
        return np.array([np.log(x).mean(), np.log1p(-x).mean()])

    def circle(x: FloatArray) -> FloatArray:
        return np.array([np.cos(x).mean(), np.sin(x).mean()])

    def squares(x: FloatArray) -> FloatArray:
        return np.concatenate([x.sum(axis=0), (x * x).sum(axis=0)])

    family = f.Gaussian(16)
    return [
        Case(
            "Bernoulli, dim 784",
            f.Bernoulli(784),
            np.log(p / (1.0 - p)),
            in_chunks(784, lambda g, n: (g.random((n, 784)) < p).sum(axis=0)),
            in_chunks(784, lambda g, n: stats.bernoulli.rvs(p, size=(n, 784), random_state=g).sum(axis=0)),
            {"bits": 2.0 * 784},
        ),
        Case(
            "Categorical, k = 10",
            f.Categorical(10),
            np.log(category[:-1] / category[-1]),
            lambda g, n: np.bincount(g.choice(10, n, p=category), minlength=10)[:-1] / n,
            lambda g, n: stats.multinomial.rvs(1, category, size=n, random_state=g).mean(axis=0)[:-1],
            {"bits": 2.0 * float(stats.entropy(category, base=2))},
        ),
        Case(
            "Poisson, rate 4",
            f.Poisson(),
            np.array([np.log(4.0)]),
            lambda g, n: np.array([g.poisson(4.0, n).mean()]),
            lambda g, n: np.array([stats.poisson.rvs(4.0, size=n, random_state=g).mean()]),
            {"bits": 2.0 * float(stats.poisson(4.0).entropy()) / np.log(2.0)},
        ),
        Case(
            "Exponential",
            f.Exponential(),
            np.array([-2.0]),
            lambda g, n: np.array([g.exponential(0.5, n).mean()]),
            lambda g, n: np.array([stats.expon.rvs(scale=0.5, size=n, random_state=g).mean()]),
            {"exponentials": 1.0},
        ),
        Case(
            "Gamma, shape 2.5",
            f.Gamma(),
            np.array([2.5, -1.5]),
            lambda g, n: log_and_self(g.gamma(2.5, 1.0 / 1.5, n)),
            lambda g, n: log_and_self(stats.gamma.rvs(2.5, scale=1.0 / 1.5, size=n, random_state=g)),
            {"normals": 1.0, "words": 1.0},
        ),
        Case(
            "Beta, 2.5 and 1.5",
            f.Beta(),
            np.array([2.5, 1.5]),
            lambda g, n: logs(g.beta(2.5, 1.5, n)),
            lambda g, n: logs(stats.beta.rvs(2.5, 1.5, size=n, random_state=g)),
            {"normals": 2.0, "words": 2.0},
        ),
        Case(
            "Dirichlet, k = 10",
            f.Dirichlet(10),
            alpha,
            in_chunks(10, lambda g, n: np.log(g.dirichlet(alpha, n)).sum(axis=0)),
            in_chunks(10, lambda g, n: np.log(stats.dirichlet.rvs(alpha, size=n, random_state=g)).sum(axis=0)),
            {"normals": 10.0, "words": 10.0},
        ),
        Case(
            "DiagonalGaussian, 16",
            f.DiagonalGaussian(16),
            f.DiagonalGaussian(16).from_moments(mean, deviation**2),
            in_chunks(16, lambda g, n: squares(mean + deviation * g.standard_normal((n, 16)))),
            in_chunks(16, lambda g, n: squares(stats.norm.rvs(mean, deviation, size=(n, 16), random_state=g))),
            {"normals": 16.0},
        ),
        Case(
            "Gaussian full, 16",
            family,
            family.from_moments(mean, root @ root.T),
            in_chunks(16, lambda g, n: full(g.standard_normal((n, 16)))),
            in_chunks(
                16,
                lambda g, n: full(stats.multivariate_normal.rvs(np.zeros(16), np.eye(16), size=n, random_state=g)),
            ),
            {"normals": 16.0},
        ),
        Case(
            "von Mises, kappa 2.2",
            f.VonMises(),
            np.array([2.0, 1.0]),
            lambda g, n: circle(g.vonmises(np.arctan2(1.0, 2.0), np.sqrt(5.0), n)),
            lambda g, n: circle(stats.vonmises.rvs(np.sqrt(5.0), np.arctan2(1.0, 2.0), size=n, random_state=g)),
            {"words": 2.0},
        ),
        Case(
            "inverse Gaussian",
            f.InverseGaussian(),
            np.array([-0.5, -0.5]),
            lambda g, n: _self_and_inverse(g.wald(1.0, 1.0, n)),
            lambda g, n: _self_and_inverse(stats.invgauss.rvs(1.0, size=n, random_state=g)),
            {"normals": 1.0, "words": 1.0},
        ),
        Case(
            "Ising chain, 16",
            f.Ising.chain(16),
            np.concatenate([fields, couplings]),
            in_chunks(16, lambda g, n: _ising_chain(g, n, fields, couplings)),
            None,
            {"bits": 2.0 * 16},
        ),
    ]


def _self_and_inverse(x: FloatArray) -> FloatArray:
    return np.array([x.mean(), (1.0 / x).mean()])


def _ising_chain(rng: np.random.Generator, n: int, fields: FloatArray, couplings: FloatArray) -> FloatArray:
    """Exact samples of a chain, site by site from the left, each given its left neighbour."""
    pull = np.zeros(16)  # half log-odds that the sites to the right add to each
    for i in range(14, -1, -1):
        right = fields[i + 1] + pull[i + 1]
        pull[i] = 0.5 * np.log(np.cosh(couplings[i] + right) / np.cosh(couplings[i] - right))
    x = np.empty((16, n))
    for i in range(16):
        left = couplings[i - 1] * x[i - 1] if i else 0.0
        x[i] = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-2.0 * (fields[i] + pull[i] + left))), 1.0, -1.0)
    return np.concatenate([x.sum(axis=1), (x[:-1] * x[1:]).sum(axis=1)])


# ---------------------------------------------------------------------- measuring


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of all threads."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


@njit(error_model="numpy")
def _draw(kind: int, rounds: int, out: FloatArray, words: AnyArray, state: AnyArray) -> None:
    """Random numbers alone, a buffer at a time, as the kernels draw them."""
    for _ in range(rounds):
        if kind == 0:
            philox.fill_words(words, state)
        elif kind == 1:
            samplers.fill_normal(out, words, state)
        else:
            samplers.fill_exponential(out, words, state)


def floor_seconds(numbers: dict[str, float], n: int) -> float:
    """CPU time of the random numbers alone."""
    state, words, out = np.zeros(philox.STATE, np.uint64), np.empty(philox.WORDS, np.uint64), np.empty(philox.WORDS)
    philox.open_stream(state, np.uint64(1), 0, 0, 0)
    total, rounds = 0.0, 5000
    for kind, per_sample in numbers.items():
        code = {"bits": 0, "words": 0, "normals": 1, "exponentials": 2}[kind]
        _draw(code, 1, out, words, state)
        seconds = cpu_seconds(lambda code=code: _draw(code, rounds, out, words, state))
        total += seconds / (rounds * philox.WORDS * (64 if kind == "bits" else 1)) * per_sample * n
    return total


def measure(case: Case, n: int, repeats: int, seed: int) -> Result:
    """All contestants in turns; the first round of each warms up and is not counted."""
    exact, variance = case.family.to_mean(case.theta), case.family.variance(case.theta)
    times: dict[str, list[float]] = {"ours": [], "numpy": [], "scipy": [], "floor": []}
    worst = 0.0

    def judged(mean: FloatArray, size: int) -> None:
        nonlocal worst
        error = float(np.max(np.abs(mean - exact) / np.sqrt(variance / size)))
        if not error < _SIGMAS:
            raise AssertionError(f"{case.name}: a timed mean is {error:.1f} standard errors off")
        worst = max(worst, error)

    small = max(min(n, 2000), n // _SCIPY_SHARE)
    for k in range(repeats + 1):
        fresh = seed + k
        results: dict[str, FloatArray] = {}

        def ours(fresh: int = fresh, results: dict[str, FloatArray] = results) -> None:
            results["ours"] = case.family.estimate_mean(case.theta, n, fresh, method="samples").mean

        def numpy(fresh: int = fresh, results: dict[str, FloatArray] = results) -> None:
            results["numpy"] = case.numpy(np.random.default_rng(fresh), n)

        def scipy(fresh: int = fresh, results: dict[str, FloatArray] = results) -> None:
            if case.scipy is not None:
                results["scipy"] = case.scipy(np.random.default_rng(fresh), small)

        round_times = {"ours": cpu_seconds(ours), "numpy": cpu_seconds(numpy), "floor": floor_seconds(case.floor, n)}
        if case.scipy is not None and k <= 2:  # a warm-up and two repetitions: it is far from the others
            round_times["scipy"] = cpu_seconds(scipy) * n / small
        for name, mean in results.items():
            judged(mean, small if name == "scipy" else n)
        if k:
            for name, seconds in round_times.items():
                times[name].append(seconds)
    medians = {name: float(np.median(values)) if values else float("nan") for name, values in times.items()}
    return Result(
        case.name,
        n,
        medians["ours"],
        medians["numpy"],
        medians["scipy"],
        medians["floor"],
        case.floor,
        float(np.ptp(times["ours"])) / medians["ours"],
        float(np.ptp(times["numpy"])) / medians["numpy"],
        sum_law(case, repeats, seed),
        worst,
    )


def sum_law(case: Case, repeats: int, seed: int) -> tuple[float, float] | None:
    """CPU seconds of the exact law at S = 10³ and 10⁹."""
    if case.family.estimate_mean(case.theta, 1000, seed).method != "sum-law":
        return None
    few, many = (
        float(
            np.median(
                [
                    cpu_seconds(
                        lambda n=n, k=k: [case.family.estimate_mean(case.theta, n, seed + k) for _ in range(20)]
                    )
                    / 20
                    for k in range(repeats)
                ]
            )
        )
        for n in (10**3, 10**9)
    )
    return few, many


# ---------------------------------------------------------------------- the report


def show(results: list[Result], screen: Console) -> None:
    table = Table(title=f"mean statistic of {results[0].samples:,} samples: ratios first", title_justify="left")
    for heading in (
        "family",
        "vs NumPy",
        "vs SciPy",
        "vs floor",
        "floor",
        "ours",
        "ns/sample",
        "spread",
        "sum law",
        "error",
    ):
        table.add_column(heading, justify="left" if heading in ("family", "floor") else "right")
    for r in results:
        table.add_row(
            r.name,
            f"{r.numpy / r.ours:.1f}×",
            "—" if np.isnan(r.scipy) else f"{r.scipy / r.ours:.1f}×",
            f"{r.ours / r.floor:.2f}×",
            " + ".join(f"{count:.3g} {kind}" for kind, count in r.floor_numbers.items()),
            f"{1e3 * r.ours:.3g} ms",
            number(1e9 * r.ours / r.samples),
            f"{100 * r.spread:.0f} %",
            "—" if r.sum_law is None else " / ".join(f"{1e3 * seconds:.2g}" for seconds in r.sum_law),
            f"{r.error:.1f}",
        )
    screen.print(table)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON file.")] = Path("results/moments"),
    seed: Annotated[int, typer.Option(help="Seed of the parameters and of the samples.")] = 0,
    samples: Annotated[int, typer.Option(min=100, help="Samples per estimate, S.")] = 10**6,
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions, after one that is not counted.")] = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="5000 samples and one repetition: checks, times mean nothing.")
    ] = False,
) -> None:
    """Monte-Carlo moments of every kind of family against NumPy, SciPy and the random numbers alone."""
    if quick:
        samples, repeats = 5000, 1
    with threadpool_limits(1, user_api="blas"):  # its waiting threads would be counted as somebody's CPU time
        results = [measure(case, samples, repeats, seed) for case in progress(cases(seed), "families")]
    screen = console()
    show(results, screen)
    settings = {"seed": seed, "samples": samples, "repeats": repeats, "quick": quick}
    path = save_json(
        out / "moments.json", {"settings": settings, **environment(), "results": [vars(r) for r in results]}
    )
    screen.print(
        f"every timed mean lies within {_SIGMAS:g} standard errors of the exact one; saved {path}", soft_wrap=True
    )


if __name__ == "__main__":
    app()
