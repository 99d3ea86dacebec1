"""The families of the package as formulas: log-partition, mean map and, where there is one, inverse and conjugate.

Each formula is what the docstring of the family states (``expfam_game/families``), typed in by hand. The tests
differentiate the log-partition with SymPy and compare; ``points`` are exact natural parameters at which the numbers of
the package are compared with the formulas too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

import expfam_game as eg

R = sp.Rational


@dataclass(frozen=True)
class Formulas:
    """One family: ``mean`` and ``log_partition`` in the symbols ``theta``, ``natural`` and ``conjugate`` in ``mu``.

    ``chart`` writes μ as a function of free symbols that covers the mean space, so that SymPy knows which logarithms and
    roots are of positive numbers.
    """

    name: str
    family: eg.Family
    theta: tuple[Any, ...]
    log_partition: Any
    mean: tuple[Any, ...]
    points: tuple[tuple[Any, ...], ...]
    mu: tuple[Any, ...] = ()
    natural: tuple[Any, ...] = ()
    conjugate: Any = None
    chart: tuple[Any, ...] = ()

    @property
    def has_conjugate(self) -> bool:
        return self.conjugate is not None

    def on_mean_space(self, expression: Any) -> Any:
        """An expression in μ, rewritten in the free symbols of the chart."""
        return expression.subs(dict(zip(self.mu, self.chart)), simultaneous=True) if self.chart else expression

    def at(self, point: tuple[Any, ...]) -> dict[Any, Any]:
        """The substitution that puts the natural parameters at a point."""
        return dict(zip(self.theta, point))


t = sp.Symbol("theta", real=True)
negative = sp.Symbol("theta", negative=True)
m = sp.Symbol("mu", positive=True)
odds, odds2, gap = sp.symbols("s1 s2 gap", positive=True)
shift = sp.Symbol("shift", real=True)


@cache
def all_families() -> tuple[Formulas, ...]:
    """Every family of the package with closed formulas."""
    return (*_coins_and_counts(), *_waiting_times(), *_gaussians(), *_special_functions(), *_tables())


def _coins_and_counts() -> list[Formulas]:
    f, n, r = eg.families, R(5), R(5, 2)
    points = ((R(-2),), (R(1, 3),), (R(0),))
    falling = ((R(-2),), (R(-1, 3),), (R(-1, 100),))
    t1, t2 = sp.symbols("theta1 theta2", real=True)
    m1, m2 = sp.symbols("mu1 mu2", positive=True)
    total, rest = 1 + sp.exp(t1) + sp.exp(t2), 1 - m1 - m2
    return [
        Formulas(
            "Bernoulli", f.Bernoulli(), (t,), sp.log(1 + sp.exp(t)), (sp.exp(t) / (1 + sp.exp(t)),), points,
            (m,), (sp.log(m / (1 - m)),), m * sp.log(m) + (1 - m) * sp.log(1 - m),
            (odds / (1 + odds),),
        ),
        Formulas(
            "Binomial", f.Binomial(5), (t,), n * sp.log(1 + sp.exp(t)), (n / (1 + sp.exp(-t)),), points,
            (m,), (sp.log(m / (n - m)),),
            m * sp.log(m) + (n - m) * sp.log(n - m) - n * sp.log(n), (n * odds / (1 + odds),),
        ),
        Formulas(
            "Categorical", f.Categorical(3), (t1, t2), sp.log(total), (sp.exp(t1) / total, sp.exp(t2) / total),
            ((R(1), R(-1)), (R(0), R(1, 2))), (m1, m2), (sp.log(m1 / rest), sp.log(m2 / rest)),
            m1 * sp.log(m1) + m2 * sp.log(m2) + rest * sp.log(rest),
            (odds / (1 + odds + odds2), odds2 / (1 + odds + odds2)),
        ),
        Formulas(
            "Poisson", f.Poisson(), (t,), sp.exp(t), (sp.exp(t),), points, (m,), (sp.log(m),), m * sp.log(m) - m
        ),
        Formulas(
            "Geometric", f.Geometric(), (negative,), -sp.log(1 - sp.exp(negative)),
            (sp.exp(negative) / (1 - sp.exp(negative)),), falling, (m,), (sp.log(m / (1 + m)),),
            m * sp.log(m) - (1 + m) * sp.log(1 + m),
        ),
        Formulas(
            "NegativeBinomial", f.NegativeBinomial(2.5), (negative,), -r * sp.log(1 - sp.exp(negative)),
            (r * sp.exp(negative) / (1 - sp.exp(negative)),), falling, (m,), (sp.log(m / (r + m)),),
            m * sp.log(m) - (r + m) * sp.log(r + m) + r * sp.log(r),
        ),
    ]  # fmt: skip


def _waiting_times() -> list[Formulas]:
    f, points = eg.families, ((R(-2),), (R(-1, 300),))
    common = ((negative,), -sp.log(-negative), (-1 / negative,), points, (m,), (-1 / m,), -1 - sp.log(m))
    t1, t2 = sp.symbols("theta1 theta2", negative=True)
    m1, m2 = sp.symbols("mu1 mu2", positive=True)
    return [
        Formulas("Exponential", f.Exponential(), *common),
        Formulas("Laplace", f.Laplace(0.5), *common),
        Formulas("Weibull", f.Weibull(1.5), *common),
        Formulas(
            "InverseGaussian", f.InverseGaussian(), (t1, t2), -2 * sp.sqrt(t1 * t2) - sp.log(-2 * t2) / 2,
            (sp.sqrt(t2 / t1), sp.sqrt(t1 / t2) - 1 / (2 * t2)), ((R(-1, 8), R(-1, 2)), (R(-3), R(-1, 7))),
            (m1, m2), (-1 / (2 * m1**2 * (m2 - 1 / m1)), -1 / (2 * (m2 - 1 / m1))), -sp.log(m2 - 1 / m1) / 2 - R(1, 2),
            (odds, 1 / odds + gap),
        ),
    ]  # fmt: skip


def _gaussians() -> list[Formulas]:
    f, known = eg.families, R(4)
    t1, t2, m1 = sp.Symbol("theta1", real=True), sp.Symbol("theta2", negative=True), sp.Symbol("mu1", real=True)
    m2 = sp.Symbol("mu2", positive=True)
    v = m2 - m1**2
    line = (
        (t1, t2), (-(t1**2) / (2 * t2) + sp.log(-1 / (2 * t2))) / 2,
        (-t1 / (2 * t2), t1**2 / (4 * t2**2) - 1 / (2 * t2)), ((R(1), R(-2)), (R(-3, 2), R(-1, 5))),
        (m1, m2), (m1 / v, -1 / (2 * v)), -sp.log(v) / 2 - R(1, 2), (shift, shift**2 + gap),
    )  # fmt: skip
    x = sp.Symbol("mu", real=True)
    return [
        Formulas(
            "KnownVarianceGaussian", f.KnownVarianceGaussian(4.0), (t,), known * t**2 / 2, (known * t,),
            ((R(-2),), (R(1, 3),)), (x,), (x / known,), x**2 / (2 * known),
        ),
        Formulas("DiagonalGaussian", f.DiagonalGaussian(1), *line),
        Formulas("LogNormal", f.LogNormal(), *line),
        _plane_gaussian(),
    ]  # fmt: skip


def _plane_gaussian() -> Formulas:
    """Gaussian(2): θ = (Λm, −Λ11/2, −Λ12, −Λ22/2)."""
    theta = sp.symbols("theta1:6", real=True)
    mu = sp.symbols("mu1:6", real=True)
    linear = sp.Matrix(theta[:2])
    precision = sp.Matrix([[-2 * theta[2], -theta[3]], [-theta[3], -2 * theta[4]]])
    centre = precision.inv() * linear
    second = precision.inv() + centre * centre.T
    covariance = sp.Matrix([[mu[2], mu[3]], [mu[3], mu[4]]]) - sp.Matrix(mu[:2]) * sp.Matrix(mu[:2]).T
    inverse = covariance.inv()
    direction = inverse * sp.Matrix(mu[:2])
    middle = sp.Matrix(sp.symbols("m1 m2", real=True))
    root = sp.Matrix([[odds, 0], [shift, odds2]])  # a Cholesky factor of the covariance
    spread = root * root.T + middle * middle.T
    return Formulas(
        "Gaussian", eg.families.Gaussian(2), theta,
        (linear.T * precision.inv() * linear)[0] / 2 - sp.log(precision.det()) / 2,
        (*centre, second[0, 0], second[0, 1], second[1, 1]),
        ((R(-1), R(2), R(-1, 2), R(1), R(-1)), (R(1, 3), R(0), R(-2), R(1, 5), R(-1, 4))),
        mu, (*direction, -inverse[0, 0] / 2, -inverse[0, 1], -inverse[1, 1] / 2), -sp.log(covariance.det()) / 2 - 1,
        (*middle, spread[0, 0], spread[0, 1], spread[1, 1]),
    )  # fmt: skip


def _special_functions() -> list[Formulas]:
    """Families whose mean map has a closed form and whose inverse has none."""
    f = eg.families
    shape, minus_rate = sp.Symbol("theta1", positive=True), sp.Symbol("theta2", negative=True)
    a, b, c = sp.symbols("theta1:4", positive=True)
    x, y, z = sp.symbols("theta1:4", real=True)
    k2, k3 = sp.sqrt(x**2 + y**2), sp.sqrt(x**2 + y**2 + z**2)
    ratio = sp.besseli(1, k2) / sp.besseli(0, k2)
    langevin = 1 / sp.tanh(k3) - 1 / k3
    return [
        Formulas(
            "Gamma", f.Gamma(), (shape, minus_rate), sp.loggamma(shape) - shape * sp.log(-minus_rate),
            (sp.digamma(shape) - sp.log(-minus_rate), -shape / minus_rate), ((R(2), R(-4)), (R(1, 3), R(-1, 5))),
        ),
        Formulas(
            "Beta", f.Beta(), (a, b), sp.loggamma(a) + sp.loggamma(b) - sp.loggamma(a + b),
            (sp.digamma(a) - sp.digamma(a + b), sp.digamma(b) - sp.digamma(a + b)), ((R(2), R(3, 2)), (R(1, 3), R(4))),
        ),
        Formulas(
            "Dirichlet", f.Dirichlet(3), (a, b, c),
            sp.loggamma(a) + sp.loggamma(b) + sp.loggamma(c) - sp.loggamma(a + b + c),
            tuple(sp.digamma(s) - sp.digamma(a + b + c) for s in (a, b, c)), ((R(2), R(3, 2), R(1, 2)),),
        ),
        Formulas(
            "VonMises", f.VonMises(), (x, y), sp.log(2 * sp.pi * sp.besseli(0, k2)), (ratio * x / k2, ratio * y / k2),
            ((R(1), R(-1, 2)), (R(3), R(4))),
        ),
        Formulas(
            "VonMisesFisher", f.VonMisesFisher(3), (x, y, z), sp.log(4 * sp.pi * sp.sinh(k3) / k3),
            tuple(langevin * s / k3 for s in (x, y, z)), ((R(1), R(-2), R(2)), (R(1, 3), R(0), R(1, 2))),
        ),
    ]  # fmt: skip


def _tables() -> list[Formulas]:
    """Finite tables: a statistic that repeats a value, and two Ising spins with a field each and a coupling."""
    f = eg.families
    repeated = 1 + 2 * sp.exp(t) + sp.exp(3 * t)
    b1, b2, j = sp.symbols("theta1:4", real=True)
    spins = [(s, u) for s in (-1, 1) for u in (-1, 1)]
    weight = {(s, u): sp.exp(s * b1 + u * b2 + s * u * j) for s, u in spins}
    total = sum(weight.values())
    statistics = {(s, u): (s, u, s * u) for s, u in spins}
    mean = tuple(sum(statistics[x][k] * weight[x] for x in spins) / total for k in range(3))
    return [
        Formulas(
            "Finite", f.Finite([0.0, 1.0, 1.0, 3.0]), (t,), sp.log(repeated),
            ((2 * sp.exp(t) + 3 * sp.exp(3 * t)) / repeated,), ((R(-2),), (R(1, 3),)),
        ),
        Formulas(
            "Ising", f.Ising.chain(2), (b1, b2, j), sp.log(total), mean,
            ((R(1, 2), R(-1), R(1, 3)), (R(0), R(1), R(-1))),
        ),
    ]  # fmt: skip
