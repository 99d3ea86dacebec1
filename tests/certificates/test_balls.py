"""The ball models against derivatives of log-partition functions written in mpmath, and against the float families."""

from __future__ import annotations

from itertools import combinations, product

import mpmath as mp
import numpy as np
import pytest
from flint import arb, ctx

import expfam_game as eg
from expfam_game.certificates import balls

F = eg.families


def _log_sum(table, log_mass=None):
    def log_partition(*t):
        mass = log_mass if log_mass is not None else [0.0] * len(table)
        return mp.log(mp.fsum(mp.exp(mp.fdot(map(mp.mpf, row), t) + h) for row, h in zip(table, mass)))

    return log_partition


def _bessel(d):
    """log of 0F1(; d/2; |θ|²/4) by its power series, which is smooth at zero."""
    return lambda *t: mp.log(mp.hyp0f1(mp.mpf(d) / 2, mp.fsum(x * x for x in t) / 4))


def _gaussian(d):
    pairs = [(i, j) for i in range(d) for j in range(i, d)]

    def log_partition(*t):
        precision = mp.matrix(d, d)
        for (i, j), value in zip(pairs, t[d:]):
            precision[i, j] = precision[j, i] = -2 * value if i == j else -value
        linear = mp.matrix(t[:d])
        return (linear.T * mp.lu_solve(precision, linear))[0] / 2 - mp.log(mp.det(precision)) / 2

    return log_partition


def _dirichlet(*t):
    return mp.fsum(mp.loggamma(x) for x in t) - mp.loggamma(mp.fsum(t))


def _line(a, b):
    return -a * a / (4 * b) - mp.log(-b) / 2


TABLE = [[0.0, 1.0], [1.5, -1.0], [2.0, 0.25], [-1.0, 3.0]]
MASS = [0.0, -1.0, 0.5, 0.25]
SPINS = list(product([-1, 1], repeat=3))
RING = [(0, 1), (0, 2), (1, 2)]
LOOP = [[*s, *(s[i] * s[j] for i, j in RING)] for s in SPINS]

CASES = [
    (F.Bernoulli(1), lambda t: mp.log1p(mp.exp(t)), [[0.3], [-200.0], [30.0]]),
    (F.Binomial(12), lambda t: 12 * mp.log1p(mp.exp(t)), [[0.3], [-200.0], [30.0]]),
    (F.Poisson(), mp.exp, [[0.3], [-300.0], [30.0]]),
    (F.Geometric(), lambda t: -mp.log1p(-mp.exp(t)), [[-0.3], [-200.0], [-1e-9]]),
    (F.NegativeBinomial(2.5), lambda t: -2.5 * mp.log1p(-mp.exp(t)), [[-0.3], [-200.0], [-1e-9]]),
    (F.Exponential(), lambda t: -mp.log(-t), [[-0.3], [-1e9], [-1e-9]]),
    (F.Laplace(1.0), lambda t: -mp.log(-t), [[-0.3]]),
    (F.Weibull(2.5), lambda t: -mp.log(-t), [[-0.3]]),
    (F.KnownVarianceGaussian(0.1), lambda t: mp.mpf(0.1) * t * t / 2, [[-0.3], [1e9]]),
    (F.DiagonalGaussian(1), _line, [[1.0, -0.5], [1e4, -0.5], [0.0, -1e-9]]),
    (F.LogNormal(), _line, [[1.0, -0.5]]),
    (F.Gaussian(2), _gaussian(2), [[-1.0, 2.0, -0.5, 0.5, -1.0], [0.0, 0.0, -0.5, 0.999, -0.5]]),
    (F.Gaussian(3), _gaussian(3), [[-1.0, 2.0, 0.1, -1.0, 0.3, -0.2, -1.0, 0.1, -2.0]]),
    (F.Categorical(4), lambda *t: mp.log(1 + mp.fsum(map(mp.exp, t))), [[0.0, 1.0, -2.0], [-90.0, 3.0, 30.0]]),
    (F.Gamma(), lambda a, b: mp.loggamma(a) - a * mp.log(-b), [[0.3, -2.0], [1e-5, -1.0], [1e5, -1e3]]),
    (F.Beta(), _dirichlet, [[0.3, 2.0], [1e-3, 1e4]]),
    (F.Dirichlet(3), _dirichlet, [[0.3, 2.0, 1.0], [1e3, 2e3, 1.0]]),
    (F.InverseGaussian(), lambda a, b: -2 * mp.sqrt(a * b) - mp.log(-b) / 2, [[-0.3, -2.0], [-1e-6, -10.0]]),
    (F.VonMises(), _bessel(2), [[0.0, 0.0], [0.3, -2.0], [60.0, 80.0]]),
    (F.VonMisesFisher(3), _bessel(3), [[0.0, 0.0, 0.0], [0.3, -2.0, 1.0], [50.0, 0.0, 1.0]]),
    (F.VonMisesFisher(5), _bessel(5), [[0.3, -2.0, 1.0, 0.1, 4.0]]),
    (F.Finite(TABLE, MASS), _log_sum(TABLE, MASS), [[0.0, 0.0], [3.0, -2.0]]),
    (F.Finite([0.0, 1.0, 4.0]), _log_sum([[0], [1], [4]]), [[0.0], [-20.0]]),
    (F.Ising(RING), _log_sum(LOOP), [[0.1, -0.2, 0.3, 0.5, -0.5, 1.0]]),
]
POINTS = [pytest.param(family, a, point, id=f"{family!r}-{point}") for family, a, points in CASES for point in points]


def _derivative(function, point, orders):
    """Central differences with 35 digits to spare: independent of any formula for a derivative."""
    with mp.workdps(120):
        scale = [mp.mpf(10) ** -30 * (abs(mp.mpf(x)) if x else 1) for x in point]
        at = [mp.mpf(x) for x in point]
        if sum(orders) == 1:
            k = orders.index(1)
            plus, minus = (list(at) for _ in range(2))
            plus[k], minus[k] = at[k] + scale[k], at[k] - scale[k]
            return (function(*plus) - function(*minus)) / (2 * scale[k])
        i, j = (orders.index(2),) * 2 if 2 in orders else [k for k, order in enumerate(orders) if order]
        total = mp.mpf(0)
        for si, sj in product([1, -1], repeat=2):
            moved = list(at)
            moved[i] += si * scale[i]
            moved[j] += sj * scale[j]
            total += si * sj * function(*moved)
        return total / (4 * scale[i] * scale[j])


def _orders(dim, *where):
    return [sum(k == w for w in where) for k in range(dim)]


def _number(ball):
    """The midpoint of a ball as a float, after making sure that the ball is tight."""
    assert ball.is_finite()
    assert ball.rel_accuracy_bits() > 60 or (ball.contains(0) and float(ball.abs_upper()) < 1e-25)
    return float(ball.mid())


@pytest.mark.parametrize(("family", "log_partition", "point"), POINTS)
def test_mean_and_fisher_are_derivatives_of_the_log_partition(family, log_partition, point):
    theta = [arb(x) for x in point]
    with ctx.workprec(160):
        mean, fisher = balls.mean_map(family, theta), balls.fisher(family, theta)
    dim = len(point)
    for i in range(dim):
        expected = float(_derivative(log_partition, point, _orders(dim, i)))
        assert _number(mean[i]) == pytest.approx(expected, rel=1e-15, abs=1e-25)
        for j in range(dim):
            expected = float(_derivative(log_partition, point, _orders(dim, i, j)))
            assert _number(fisher[i][j]) == pytest.approx(expected, rel=1e-15, abs=1e-25)


@pytest.mark.parametrize(("family", "log_partition", "point"), POINTS)
def test_the_float_family_agrees(family, log_partition, point):
    theta = [arb(x) for x in point]
    with ctx.workprec(160):
        mean = np.array([_number(x) for x in balls.mean_map(family, theta)])
        fisher = np.array([[_number(x) for x in row] for row in balls.fisher(family, theta)])
    np.testing.assert_allclose(family.to_mean(point), mean, rtol=1e-10, atol=1e-14 * np.max(np.abs(mean)))
    spread = np.sqrt(np.outer(np.diag(fisher), np.diag(fisher)))
    assert np.max(np.abs(family.fisher_information(point) - fisher) / spread) < 1e-10


@pytest.mark.parametrize(("family", "log_partition", "point"), POINTS)
def test_fisher_on_a_box_contains_fisher_at_its_points(family, log_partition, point):
    rng = np.random.default_rng(11)
    radius = [1e-3 * abs(x) if x else 1e-3 for x in point]
    if isinstance(family, F.Gaussian):
        radius = [1e-6] * len(point)
    with ctx.workprec(128):
        box = balls.fisher(family, [arb(x, r) for x, r in zip(point, radius)])
        assert all(entry.is_finite() for row in box for entry in row)
        for _ in range(5):
            inside = [arb(x + 0.999 * r * rng.uniform(-1, 1)) for x, r in zip(point, radius)]
            exact = balls.fisher(family, inside)
            pairs = zip((x for row in box for x in row), (x for row in exact for x in row))
            assert all(wide.overlaps(narrow) and wide.contains(narrow.mid()) for wide, narrow in pairs)


OUTSIDE = [
    (F.Geometric(), [arb(0, 1)]),
    (F.NegativeBinomial(1.5), [arb(1)]),
    (F.Exponential(), [arb(1)]),
    (F.Laplace(), [arb(-1, 2)]),
    (F.Weibull(2.0), [arb(0)]),
    (F.DiagonalGaussian(1), [arb(0), arb(1)]),
    (F.LogNormal(), [arb(0), arb(-1, 1)]),
    (F.Gaussian(2), [arb(0), arb(0), arb(-0.5), arb(1.5), arb(-0.5)]),
    (F.Gaussian(1), [arb(0), arb(-1, 2)]),
    (F.Gamma(), [arb(-0.5), arb(-1)]),
    (F.Gamma(), [arb(1), arb(1)]),
    (F.Beta(), [arb(1, 2), arb(1)]),
    (F.Dirichlet(3), [arb(1), arb(1), arb(-0.5)]),
    (F.InverseGaussian(), [arb(1), arb(1)]),
]


@pytest.mark.parametrize(("family", "theta"), OUTSIDE, ids=repr)
def test_outside_the_natural_space_nothing_is_finite_enough_to_prove_anything(family, theta):
    assert not all(x.is_finite() for x in balls.mean_map(family, theta))
    assert not all(x.is_finite() for row in balls.fisher(family, theta) for x in row)


EXTREME = [
    (F.Bernoulli(1), [-690.0]),
    (F.Bernoulli(1), [36.0]),
    (F.Binomial(10**9), [-690.0]),
    (F.Poisson(), [-690.0]),
    (F.NegativeBinomial(1e9), [-1e-15]),
    (F.Exponential(), [-1e300]),
    (F.DiagonalGaussian(1), [1e-70, -1e-140]),
    (F.Gaussian(2), [1e6, 1.0, -0.5, 0.999999, -0.5]),
    (F.Categorical(3), [-690.0, 36.0]),
    (F.Gamma(), [1e8, -1e100]),
    (F.Gamma(), [1e-300, -1.0]),
    (F.Beta(), [1e-8, 1e8]),
    (F.Dirichlet(3), [1e8, 1e8, 1e8]),
    (F.InverseGaussian(), [-1e-100, -1e100]),
    (F.VonMises(), [1e10, 3.0]),
    (F.VonMisesFisher(500), [1e-3] * 500),
]


@pytest.mark.parametrize(("family", "point"), EXTREME, ids=lambda value: repr(value)[:40])
def test_extreme_parameters_give_tight_finite_balls(family, point):
    theta = [arb(x) for x in point]
    with ctx.workprec(128):
        everything = [*balls.mean_map(family, theta), *(x for row in balls.fisher(family, theta) for x in row)]
    assert all(ball.is_finite() and ball.rel_accuracy_bits() > 60 for ball in everything)


def test_families_are_taken_to_pieces():
    family = F.Product([F.Bernoulli(2), F.DiagonalGaussian(2), F.Gamma()])
    parts = balls.blocks(family)
    assert [part.entries for part in parts] == [[0], [1], [2, 4], [3, 5], [6, 7]]
    assert balls.work(family) < balls.work(F.Categorical(9))


def test_a_family_without_a_model_says_so():
    with pytest.raises(balls.NoBallModel, match="MarkovChain"):
        balls.mean_map(F.MarkovChain(3, 5), [arb(0)] * F.MarkovChain(3, 5).dim)
    with pytest.raises(balls.NoBallModel, match="MarkovChain"):
        balls.fisher(F.MarkovChain(3, 5), [arb(0)] * F.MarkovChain(3, 5).dim)
    chain = F.Ising.chain(11)
    with pytest.raises(balls.NoBallModel, match="11 sites"):
        balls.mean_map(chain, [arb(0)] * chain.dim)


def test_ising_statistics_are_enumerated_in_the_order_of_the_family():
    family = F.Ising.complete(4)
    table, _ = balls._ising_table(family)
    np.testing.assert_array_equal(table, family.statistic(table[:, :4]))
    assert family.edges == tuple(combinations(range(4), 2))
