"""Mean maps and Fisher information in Arb ball arithmetic, written apart from the float code of the families.

A family is taken to pieces first (:func:`blocks`): independent coordinates become blocks of their own. Each kind of
block registers two functions of a list of balls θ:

* ``mean_map(family, θ)``, the list μ(θ); called at points,
* ``fisher(family, θ)``, rows of F(θ); called at points and on boxes.

Both give non-finite balls where the box θ does not lie in the natural parameter space with certainty; that, and
inclusion, is all that the claims rely on. To add a family, register ``mean_map``, ``fisher`` and, if it has
independent coordinates, ``split``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from itertools import accumulate, product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from flint import arb, arb_mat, ctx

from expfam_game._typing import FloatArray
from expfam_game.families.base import Family
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.families.categorical import Categorical
from expfam_game.families.counts import Binomial, Geometric, NegativeBinomial, Poisson
from expfam_game.families.directional import VonMises, VonMisesFisher
from expfam_game.families.dirichlet import Beta, Dirichlet
from expfam_game.families.exponential import Exponential, Laplace, Weibull
from expfam_game.families.finite import Finite
from expfam_game.families.gamma import Gamma
from expfam_game.families.gaussian import DiagonalGaussian, KnownVarianceGaussian, LogNormal
from expfam_game.families.inverse_gaussian import InverseGaussian
from expfam_game.families.ising import Ising
from expfam_game.families.multivariate_gaussian import Gaussian
from expfam_game.families.product import Product

Ball: TypeAlias = Any
Balls: TypeAlias = Sequence[Any]

MAX_SITES = 10
"""Ising models with at most so many sites are enumerated."""


class Block(NamedTuple):
    """Statistics that depend on one another: their positions in θ, and the family of these alone."""

    entries: list[int]
    family: Family


class NoBallModel(Exception):
    """There is no ball arithmetic for this family, for the reason given."""


# ---------------------------------------------------------------------- taking a family to pieces


def blocks(family: Family) -> list[Block]:
    """The independent parts of a family.

    A subclass of a registered family has no model of its own: it may have changed the statistic.
    """
    if type(family) not in {**split.registry, **mean_map.registry}:
        raise NoBallModel(f"{family!r} has no ball arithmetic")
    return split(family)


@singledispatch
def split(family: Family) -> list[Block]:
    """What :func:`blocks` returns; by default the whole."""
    return [Block(list(range(family.dim)), family)]


@split.register
def _(family: Bernoulli) -> list[Block]:
    coin = Bernoulli(1)
    return [Block([k], coin) for k in range(family.dim)]


@split.register
def _(family: DiagonalGaussian) -> list[Block]:
    d, line = family.n_variables, DiagonalGaussian(1)
    return [Block([k, d + k], line) for k in range(d)]


@split.register
def _(family: Product) -> list[Block]:
    starts = accumulate((factor.dim for factor in family.factors), initial=0)
    return [
        Block([start + k for k in part.entries], part.family)
        for start, factor in zip(starts, family.factors)
        for part in blocks(factor)
    ]


def work(family: Family) -> float:
    """A rough count of ball operations for one agent, by which ``certify`` decides what is affordable."""
    return sum(_block_work(block.family) for block in blocks(family))


def _block_work(family: Family) -> float:
    states = len(family.table) if isinstance(family, Finite) else 0
    if isinstance(family, Ising):
        states = 1 << min(family.n_sites, 60)
    if family.dim == 1 and not states:
        return 1.0
    return 10.0 * family.dim + family.dim**2 / 5.0 + family.dim**3 / 200.0 + states * family.dim / 3.0


# ---------------------------------------------------------------------- the two maps


@singledispatch
def mean_map(family: Family, theta: Balls) -> list[Ball]:
    """μ(θ) for a block."""
    raise NoBallModel(f"{family!r} has no ball arithmetic")


@singledispatch
def fisher(family: Family, theta: Balls) -> list[list[Ball]]:
    """F(θ) for a block."""
    raise NoBallModel(f"{family!r} has no ball arithmetic")


def _positive(x: Ball) -> Ball:
    """x where it is positive for certain, else NaN."""
    return x if x > 0 else arb.nan()


def _square(x: Ball) -> Ball:
    """x² by a product: the power of python-flint is not finite for a ball that contains zero."""
    return x * x


def _monotone(function: Callable[[Ball], Ball], x: Ball) -> Ball:
    """The image of the ball x under a monotone function, from its values at the two ends."""
    return function(x) if x.is_exact() else function(arb(x.lower())).union(function(arb(x.upper())))


# Coins and counts.


@mean_map.register
def _(family: Bernoulli, theta: Balls) -> list[Ball]:
    return [1 / (1 + (-theta[0]).exp())]


@fisher.register
def _(family: Bernoulli, theta: Balls) -> list[list[Ball]]:
    return [[1 / (4 * _square((theta[0] / 2).cosh()))]]


@mean_map.register
def _(family: Binomial, theta: Balls) -> list[Ball]:
    return [int(family.trials) / (1 + (-theta[0]).exp())]


@fisher.register
def _(family: Binomial, theta: Balls) -> list[list[Ball]]:
    return [[int(family.trials) / (4 * _square((theta[0] / 2).cosh()))]]


@mean_map.register
def _(family: Poisson, theta: Balls) -> list[Ball]:
    return [theta[0].exp()]


@fisher.register
def _(family: Poisson, theta: Balls) -> list[list[Ball]]:
    return [[theta[0].exp()]]


@mean_map.register(Geometric)
@mean_map.register(NegativeBinomial)
def _(family: Geometric | NegativeBinomial, theta: Balls) -> list[Ball]:
    return [_successes(family) / _positive(-theta[0]).expm1()]


@fisher.register(Geometric)
@fisher.register(NegativeBinomial)
def _(family: Geometric | NegativeBinomial, theta: Balls) -> list[list[Ball]]:
    return [[_successes(family) / (4 * _square((_positive(-theta[0]) / 2).sinh()))]]


def _successes(family: Geometric | NegativeBinomial) -> Ball:
    return arb(float(family.r)) if isinstance(family, NegativeBinomial) else arb(1)


# Exponential laws and Gaussians.


@mean_map.register(Exponential)
@mean_map.register(Laplace)
@mean_map.register(Weibull)
def _(family: Family, theta: Balls) -> list[Ball]:
    return [1 / _positive(-theta[0])]


@fisher.register(Exponential)
@fisher.register(Laplace)
@fisher.register(Weibull)
def _(family: Family, theta: Balls) -> list[list[Ball]]:
    return [[1 / _square(_positive(-theta[0]))]]


@mean_map.register
def _(family: KnownVarianceGaussian, theta: Balls) -> list[Ball]:
    return [arb(float(family.known_variance)) * theta[0]]


@fisher.register
def _(family: KnownVarianceGaussian, theta: Balls) -> list[list[Ball]]:
    return [[arb(float(family.known_variance))]]


@mean_map.register(DiagonalGaussian)
@mean_map.register(LogNormal)
def _(family: Family, theta: Balls) -> list[Ball]:
    variance = 1 / (2 * _positive(-theta[1]))
    mean = theta[0] * variance
    return [mean, _square(mean) + variance]


@fisher.register(DiagonalGaussian)
@fisher.register(LogNormal)
def _(family: Family, theta: Balls) -> list[list[Ball]]:
    variance = 1 / (2 * _positive(-theta[1]))
    mean = theta[0] * variance
    cross = 2 * mean * variance
    return [[variance, cross], [cross, 2 * variance * (2 * _square(mean) + variance)]]


@mean_map.register
def _(family: Gaussian, theta: Balls) -> list[Ball]:
    mean, covariance = _gaussian_moments(family.n_variables, theta)
    pairs = _pairs(family.n_variables)
    return mean + [covariance[i][j] + mean[i] * mean[j] for i, j in pairs]


@fisher.register
def _(family: Gaussian, theta: Balls) -> list[list[Ball]]:
    """Covariances of x_i and x_i x_j by Isserlis' theorem."""
    d, pairs = family.n_variables, _pairs(family.n_variables)
    m, s = _gaussian_moments(d, theta)
    cross = [[m[k] * s[i][j] + m[j] * s[i][k] for j, k in pairs] for i in range(d)]
    square = [[_fourth(m, s, i, j, k, h) for k, h in pairs] for i, j in pairs]
    top = [s[i] + cross[i] for i in range(d)]
    return top + [[cross[i][p] for i in range(d)] + square[p] for p in range(len(pairs))]


def _fourth(m: Balls, s: Sequence[Balls], i: int, j: int, k: int, h: int) -> Ball:
    """Cov(x_i x_j, x_k x_h)."""
    central = s[i][k] * s[j][h] + s[i][h] * s[j][k]
    return central + m[i] * (m[k] * s[j][h] + m[h] * s[j][k]) + m[j] * (m[k] * s[i][h] + m[h] * s[i][k])


def _pairs(d: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(d) for j in range(i, d)]


def _gaussian_moments(d: int, theta: Balls) -> tuple[list[Ball], list[list[Ball]]]:
    """Mean and covariance Λ⁻¹; not finite unless Λ is positive definite (all leading minors are positive)."""
    rows: list[list[Ball]] = [[arb(0)] * d for _ in range(d)]
    for (i, j), value in zip(_pairs(d), theta[d:]):
        rows[i][j] = rows[j][i] = -2 * value if i == j else -value
    minors = (arb_mat([row[:k] for row in rows[:k]]).det() for k in range(1, d + 1))
    if not all(minor > 0 for minor in minors):
        return [arb.nan()] * d, [[arb.nan()] * d] * d
    covariance = arb_mat(rows).inv()
    mean = covariance * arb_mat([[value] for value in theta[:d]])
    return [mean[i, 0] for i in range(d)], [[covariance[i, j] for j in range(d)] for i in range(d)]


@mean_map.register
def _(family: InverseGaussian, theta: Balls) -> list[Ball]:
    a, b = _positive(-theta[0]), _positive(-theta[1])
    return [(b / a).sqrt(), (a / b).sqrt() + 1 / (2 * b)]


@fisher.register
def _(family: InverseGaussian, theta: Balls) -> list[list[Ball]]:
    a, b = _positive(-theta[0]), _positive(-theta[1])
    cross = -1 / (2 * (a * b).sqrt())
    return [[(b / a).sqrt() / (2 * a), cross], [cross, (a / b).sqrt() / (2 * b) + 1 / (2 * _square(b))]]


# Gamma and Dirichlet laws: ψ increases and ψ' decreases on the positive axis.


def _digamma(x: Ball) -> Ball:
    return _monotone(lambda point: _positive(point).digamma(), x)


def _trigamma(x: Ball) -> Ball:
    return _monotone(lambda point: arb(2).zeta(_positive(point)), x)


@mean_map.register
def _(family: Gamma, theta: Balls) -> list[Ball]:
    shape, rate = theta[0], _positive(-theta[1])
    return [_digamma(shape) - rate.log(), shape / rate]


@fisher.register
def _(family: Gamma, theta: Balls) -> list[list[Ball]]:
    shape, rate = theta[0], _positive(-theta[1])
    return [[_trigamma(shape), 1 / rate], [1 / rate, shape / _square(rate)]]


@mean_map.register(Dirichlet)
@mean_map.register(Beta)
def _(family: Family, theta: Balls) -> list[Ball]:
    total = _digamma(sum(theta, arb(0)))
    return [_digamma(alpha) - total for alpha in theta]


@fisher.register(Dirichlet)
@fisher.register(Beta)
def _(family: Family, theta: Balls) -> list[list[Ball]]:
    shared = _trigamma(sum(theta, arb(0)))
    own = [_trigamma(alpha) for alpha in theta]
    return [[own[i] - shared if i == j else -shared for j in range(len(own))] for i in range(len(own))]


# Directions: A(θ) = log ₀F₁(; d/2; z) + const with z = ‖θ‖²/4.


@mean_map.register(VonMises)
@mean_map.register(VonMisesFisher)
def _(family: Family, theta: Balls) -> list[Ball]:
    slope, _ = _bessel_slopes(theta)
    return [slope * value / 2 for value in theta]


@fisher.register(VonMises)
@fisher.register(VonMisesFisher)
def _(family: Family, theta: Balls) -> list[list[Ball]]:
    slope, bend = _bessel_slopes(theta)
    size = range(len(theta))
    return [[bend * theta[i] * theta[j] / 4 + (slope / 2 if i == j else 0) for j in size] for i in size]


def _bessel_slopes(theta: Balls) -> tuple[Ball, Ball]:
    """The first two derivatives of log ₀F₁(; d/2; z) at z = ‖θ‖²/4, in twice the precision since the second cancels.

    The first is Σ_k 1/(z + j_k²/4) over the zeros j_k of J_ν, ν = d/2 − 1 (Watson, Bessel Functions, §15.41), so both are
    monotone in z ≥ 0 and their values at two ends enclose those between.
    """
    z, b = sum(map(_square, theta), arb(0)) / 4, arb(len(theta)) / 2

    def series(point: Ball) -> list[Ball]:
        return [point.hypgeom_0f1(b + k, regularized=True) for k in range(3)]

    def slope(point: Ball) -> Ball:
        y = series(point.nonnegative_part())
        return y[1] / y[0]

    def bend(point: Ball) -> Ball:
        y = series(point.nonnegative_part())
        return y[2] / y[0] - _square(y[1] / y[0])

    with ctx.workprec(2 * ctx.prec):
        return _monotone(slope, z), _monotone(bend, z)


# Finite spaces.


@mean_map.register
def _(family: Categorical, theta: Balls) -> list[Ball]:
    return _softmax([*theta, arb(0)])[:-1]


@fisher.register
def _(family: Categorical, theta: Balls) -> list[list[Ball]]:
    p = _softmax([*theta, arb(0)])
    size = range(len(theta))
    rest = [sum((value for j, value in enumerate(p) if j != i), arb(0)) for i in size]
    return [[p[i] * rest[i] if i == j else -p[i] * p[j] for j in size] for i in size]


def _softmax(scores: Balls) -> list[Ball]:
    weights = [score.exp() for score in scores]
    total = sum(weights, arb(0))
    return [weight / total for weight in weights]


@mean_map.register
def _(family: Finite, theta: Balls) -> list[Ball]:
    return _table_mean(family.table, family.log_mass, theta)


@fisher.register
def _(family: Finite, theta: Balls) -> list[list[Ball]]:
    return _table_fisher(family.table, family.log_mass, theta)


@mean_map.register
def _(family: Ising, theta: Balls) -> list[Ball]:
    return _table_mean(*_ising_table(family), theta)


@fisher.register
def _(family: Ising, theta: Balls) -> list[list[Ball]]:
    return _table_fisher(*_ising_table(family), theta)


def _ising_table(family: Ising) -> tuple[FloatArray, FloatArray]:
    """The statistics of all states: spins, then their products along the edges."""
    if family.n_sites > MAX_SITES:
        raise NoBallModel(f"an Ising model of {family.n_sites} sites is too large to enumerate in balls")
    states = np.array(list(product([-1.0, 1.0], repeat=family.n_sites)))
    pairs = [states[:, s] * states[:, t] for s, t in family.edges]
    return np.column_stack([states, *pairs]), np.zeros(len(states))


def _probabilities(table: Ball, log_mass: FloatArray, theta: Balls) -> list[Ball]:
    scores = table * arb_mat([[value] for value in theta])
    return _softmax([scores[s, 0] + arb(value) for s, value in enumerate(log_mass.tolist())])


def _table_mean(table: FloatArray, log_mass: FloatArray, theta: Balls) -> list[Ball]:
    phi = arb_mat(table.tolist())
    return _row(arb_mat([_probabilities(phi, log_mass, theta)]) * phi)


def _table_fisher(table: FloatArray, log_mass: FloatArray, theta: Balls) -> list[list[Ball]]:
    """Σ_s p_s (φ_s − μ)(φ_s − μ)ᵀ."""
    phi = arb_mat(table.tolist())
    p = _probabilities(phi, log_mass, theta)
    mean = _row(arb_mat([p]) * phi)
    gaps = [[arb(value) - centre for value, centre in zip(row, mean)] for row in table.tolist()]
    weighted = arb_mat([[mass * gap for gap in row] for mass, row in zip(p, gaps)])
    result = weighted.transpose() * arb_mat(gaps)
    return [[result[i, j] for j in range(len(mean))] for i in range(len(mean))]


def _row(matrix: Ball) -> list[Ball]:
    return [matrix[0, k] for k in range(matrix.ncols())]
