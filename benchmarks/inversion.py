"""From mean to natural parameters, the direction that needs a solver: against SciPy's root finders.

    python -m benchmarks.inversion

Parameters are drawn, their means computed, and each contestant finds the parameters again; fresh parameters in every
repetition. Residuals are evaluated with mpmath at 50 digits, not by the code that is measured.
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
from rich.console import Console
from rich.table import Table
from scipy import optimize, special
from scipy.optimize import elementwise

import expfam_game as eg
from benchmarks.report import console, environment, number, progress, save_json
from expfam_game._typing import FloatArray
from expfam_game.families.base import Family

RANGES = {"1e-1 … 1e1": (1e-1, 1e1), "1e-8 … 1e8": (1e-8, 1e8)}
RESIDUAL = 1e-13
_CHECKED = 200
"""So many of the answers are put into mpmath, the extreme ones among them."""

COLUMNS = """
\b
Rows
  each family with parameters log-uniform in the range: shapes of Gamma, Beta and Dirichlet, concentration of von Mises
  and von Mises–Fisher

\b
Columns
  vs SciPy   time of SciPy for one inversion over ours: optimize.elementwise.find_root for one unknown, optimize.root (with
             the exact Jacobian) for several; — where more than one in a hundred of its answers misses a residual of 1e-6
  ours       microseconds for one inversion (CPU time of all threads over the number of inversions)
  residual   largest |μ(θ) − μ| over all checked answers and statistics, relative to the largest of the terms that
             the statistic's mean is the difference of (its size, where it is no difference); at most 1e-13
  SciPy fails
             how many of SciPy's answers miss a residual of 1e-6
  conditioning
             by how much a relative error of the mean is multiplied in the natural parameter, median and largest:
             no double can carry more of it than 1e-16 times this
"""


@dataclass(frozen=True)
class Case:
    """One family: how parameters are drawn, and how others invert it.

    ``terms`` gives, in mpmath, for a natural parameter the means and the sizes to which their errors are relative.
    """

    name: str
    family: Family
    draw: Callable[[np.random.Generator, int, tuple[float, float]], FloatArray]
    scipy: Callable[[FloatArray], FloatArray]
    terms: Callable[[FloatArray], list[tuple[Any, Any]]]
    scipy_share: int


@dataclass(frozen=True)
class Result:
    name: str
    range: str
    inversions: int
    ours: float
    scipy: float
    spread: float
    residual: float
    scipy_failures: float
    conditioning_median: float
    conditioning_largest: float


# ---------------------------------------------------------------------- the families


def _log_uniform(rng: np.random.Generator, size: Any, limits: tuple[float, float]) -> FloatArray:
    return np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), size))


def _draw_gamma(rng: np.random.Generator, n: int, limits: tuple[float, float]) -> FloatArray:
    """Natural parameters (k, −β)."""
    return np.stack([_log_uniform(rng, n, limits), -_log_uniform(rng, n, (1e-1, 1e1))], axis=-1)


def _draw_dirichlet(k: int) -> Callable[[np.random.Generator, int, tuple[float, float]], FloatArray]:
    return lambda rng, n, limits: _log_uniform(rng, (n, k), limits)


def _draw_direction(d: int) -> Callable[[np.random.Generator, int, tuple[float, float]], FloatArray]:
    def draw(rng: np.random.Generator, n: int, limits: tuple[float, float]) -> FloatArray:
        direction = rng.normal(size=(n, d))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return np.asarray(_log_uniform(rng, (n, 1), limits) * direction)

    return draw


def _scipy_gamma(mu: FloatArray) -> FloatArray:
    """log k − ψ(k) = log E[x] − E[log x]; statistics (log x, x)."""
    gap = np.log(mu[:, 1]) - mu[:, 0]

    def equation(log_k: FloatArray, s: FloatArray) -> FloatArray:
        return np.asarray(log_k - special.digamma(np.exp(log_k)) - s)

    found = elementwise.find_root(equation, (np.full(len(gap), -25.0), np.full(len(gap), 25.0)), args=(gap,))
    k = np.exp(found.x)
    return np.stack([k, -k / mu[:, 1]], axis=-1)


def _scipy_dirichlet(mu: FloatArray) -> FloatArray:
    """ψ(a_i) − ψ(Σ a) = μ_i by Powell's hybrid method in log a, one problem after another."""

    def equations(log_a: FloatArray, target: FloatArray) -> FloatArray:
        a = np.exp(log_a)
        return np.asarray(special.digamma(a) - special.digamma(a.sum()) - target)

    def jacobian(log_a: FloatArray, target: FloatArray) -> FloatArray:
        a = np.exp(log_a)
        return np.asarray((np.diag(special.polygamma(1, a)) - special.polygamma(1, a.sum())) * a)

    roots = [optimize.root(equations, np.zeros(mu.shape[1]), args=(row,), jac=jacobian, tol=1e-12).x for row in mu]
    return np.exp(np.array(roots))


def _scipy_direction(mu: FloatArray) -> FloatArray:
    """I_{d/2}(κ)/I_{d/2−1}(κ) = |μ|."""
    d, radius = mu.shape[1], np.linalg.norm(mu, axis=1)

    def equation(log_kappa: FloatArray, r: FloatArray) -> FloatArray:
        kappa = np.exp(log_kappa)
        return np.asarray(special.ive(d / 2, kappa) / special.ive(d / 2 - 1, kappa) - r)

    bracket = (np.full(len(radius), -25.0), np.full(len(radius), 25.0))
    kappa = np.exp(elementwise.find_root(equation, bracket, args=(radius,)).x)
    return np.asarray(mu * (kappa / radius)[:, None])


def _terms_gamma(theta: FloatArray) -> list[tuple[Any, Any]]:
    k, beta = mpmath.mpf(theta[0]), -mpmath.mpf(theta[1])
    psi, log = mpmath.digamma(k), mpmath.log(beta)
    return [(psi - log, max(abs(psi), abs(log))), (k / beta, k / beta)]


def _terms_dirichlet(theta: FloatArray) -> list[tuple[Any, Any]]:
    a = [mpmath.mpf(value) for value in theta]
    total = mpmath.digamma(mpmath.fsum(a))
    return [(mpmath.digamma(x) - total, max(abs(mpmath.digamma(x)), abs(total))) for x in a]


def _terms_direction(theta: FloatArray) -> list[tuple[Any, Any]]:
    d = len(theta)
    entries = [mpmath.mpf(value) for value in theta]
    kappa = mpmath.sqrt(mpmath.fsum(x * x for x in entries))
    ratio = _bessel_ratio(d, kappa)
    return [(ratio * x / kappa, ratio) for x in entries]


def _bessel_ratio(d: int, kappa: Any) -> Any:
    """I_{d/2}(κ)/I_{d/2−1}(κ): by the continued fraction of Gauss, or by the expansion for large κ."""
    if kappa < 1e4:
        return mpmath.besseli(mpmath.mpf(d) / 2, kappa) / mpmath.besseli(mpmath.mpf(d) / 2 - 1, kappa)
    return _hankel(mpmath.mpf(d) / 2, kappa) / _hankel(mpmath.mpf(d) / 2 - 1, kappa)


def _hankel(nu: Any, x: Any) -> Any:
    """Hankel's expansion of I_ν(x)·sqrt(2πx)·e^{−x}: its terms fall below 1e-50 before they grow, for x ≥ 1e4."""
    term, total = mpmath.mpf(1), mpmath.mpf(1)
    for k in range(1, 40):
        term *= -(4 * nu * nu - (2 * k - 1) ** 2) / (8 * k * x)
        total += term
    return total


def cases() -> list[Case]:
    f = eg.families
    return [
        Case("Gamma", f.Gamma(), _draw_gamma, _scipy_gamma, _terms_gamma, 1),
        Case("Beta", f.Beta(), _draw_dirichlet(2), _scipy_dirichlet, _terms_dirichlet, 50),
        Case("Dirichlet, 10", f.Dirichlet(10), _draw_dirichlet(10), _scipy_dirichlet, _terms_dirichlet, 50),
        Case("von Mises", f.VonMises(), _draw_direction(2), _scipy_direction, _terms_direction, 1),
        Case("von Mises–Fisher, 5", f.VonMisesFisher(5), _draw_direction(5), _scipy_direction, _terms_direction, 1),
    ]


# ---------------------------------------------------------------------- measuring


def cpu_seconds(run: Callable[[], FloatArray]) -> tuple[float, FloatArray]:
    """CPU time of all threads, and the answer."""
    begun = time.process_time()
    answer = run()
    return time.process_time() - begun, answer


def residuals(case: Case, theta: FloatArray, mu: FloatArray) -> FloatArray:
    """For each answer the largest relative error of its mean, by mpmath; infinity where the answer is not finite."""
    worst = np.full(len(theta), np.inf)
    with mpmath.workdps(50):
        for k in np.flatnonzero(np.isfinite(theta).all(axis=-1) & case.family.in_natural_space(theta)):
            pairs = zip(case.terms(theta[k]), mu[k])
            worst[k] = max(float(abs(mean - mpmath.mpf(value)) / scale) for (mean, scale), value in pairs)
    return worst


def conditioning(case: Case, theta: FloatArray, mu: FloatArray) -> FloatArray:
    """‖F⁻¹ diag(μ)‖ over |θ|: relative change of the natural parameter per relative change of the mean."""
    with np.errstate(all="ignore"):
        try:
            moved = np.linalg.inv(case.family.fisher_information(theta)) * mu[:, None, :]
        except np.linalg.LinAlgError:
            return np.full(len(theta), np.inf)
    return np.asarray(np.abs(moved).sum(axis=-1) / np.abs(theta)).max(axis=-1)


def _selected(mu: FloatArray, theta: FloatArray, rng: np.random.Generator) -> Any:
    """A random choice of rows, and those with the smallest and largest parameters."""
    size = np.abs(theta).max(axis=-1)
    order = np.argsort(size)
    ends = np.concatenate([order[:10], order[-10:]])
    return np.unique(np.concatenate([ends, rng.choice(len(mu), min(_CHECKED, len(mu)), replace=False)]))


def measure(case: Case, label: str, n: int, repeats: int, seed: int) -> Result:
    """All contestants in turns on fresh parameters; the first round warms up and is not counted."""
    ours, scipy, worst, failures, condition = [], [], [], [], []
    for k in range(repeats + 1):
        rng = np.random.default_rng([seed, k])
        theta = case.draw(rng, n, RANGES[label])
        mu = case.family.to_mean(theta)
        few = max(20, n // case.scipy_share // (1 if case.scipy_share == 1 else 4))
        mine, found = cpu_seconds(lambda mu=mu: case.family.to_natural(mu))  # type: ignore[misc]
        with np.errstate(all="ignore"):
            other, answer = cpu_seconds(lambda mu=mu, few=few: case.scipy(mu[:few]))  # type: ignore[misc]
        if k == 0:
            continue
        rows = _selected(mu, theta, rng)
        worst.append(residuals(case, found[rows], mu[rows]).max())
        failures.append(float((residuals(case, answer[:_CHECKED], mu[: min(few, _CHECKED)]) > 1e-6).mean()))
        condition.append(conditioning(case, theta[rows], mu[rows]))
        ours.append(mine / n)
        scipy.append(other / few)
    assert max(worst) <= RESIDUAL, f"{case.name}, {label}: relative residual {max(worst):.2g}"
    every = np.concatenate(condition)
    return Result(
        case.name,
        label,
        n,
        float(np.median(ours)),
        float(np.median(scipy)),
        float(np.ptp(ours) / np.median(ours)),
        float(max(worst)),
        float(np.mean(failures)),
        float(np.median(every)),
        float(every.max()),
    )


# ---------------------------------------------------------------------- the report


def show(results: list[Result], screen: Console) -> None:
    table = Table(title=f"{results[0].inversions:,} inversions: ratios first", title_justify="left")
    headings = (
        "family",
        "parameters",
        "vs SciPy",
        "ours",
        "spread",
        "residual",
        "SciPy fails",
        "conditioning",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("family", "parameters") else "right")
    for r in results:
        table.add_row(
            r.name,
            r.range,
            f"{r.scipy / r.ours:.1f}×" if r.scipy_failures <= 0.01 else "—",
            f"{1e6 * r.ours:.3g} µs",
            f"{100 * r.spread:.0f} %",
            number(r.residual, ".1e"),
            f"{100 * r.scipy_failures:.0f} %",
            f"{r.conditioning_median:.1e} / {r.conditioning_largest:.1e}",
        )
    screen.print(table)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON file.")] = Path("results/inversion"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the parameters.")] = 0,
    inversions: Annotated[int, typer.Option(min=100, help="Inversions of each timing.")] = 20_000,
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions, after one that is not counted.")] = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="200 inversions, one repetition: checks; times mean nothing.")
    ] = False,
) -> None:
    """Mean to natural parameters: time and residual of every family that needs a solver, over ordinary and extreme parameters."""
    if quick:
        inversions, repeats = 200, 1
    jobs = [(case, label) for case in cases() for label in RANGES]
    results = [measure(case, label, inversions, repeats, seed) for case, label in progress(jobs, "families")]
    screen = console()
    show(results, screen)
    settings = {"seed": seed, "inversions": inversions, "repeats": repeats, "quick": quick, "residual": RESIDUAL}
    path = save_json(
        out / "inversion.json", {"settings": settings, **environment(), "results": [asdict(r) for r in results]}
    )
    screen.print(f"every checked answer has a relative residual of at most {RESIDUAL:g}; saved {path}", soft_wrap=True)


if __name__ == "__main__":
    app()
