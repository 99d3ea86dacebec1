"""Every family at the ends of the range it states: finite, reversible, and right against mpmath at 50 digits."""

from __future__ import annotations

import itertools

import mpmath as mp
import numpy as np
import pytest

from expfam_game import families as f
from expfam_game.testing import check_family, laws, numerics

STABLE_LAWS = [
    laws.fisher_is_symmetric_positive_definite,
    laws.variance_is_diagonal_of_fisher,
    laws.kl_is_zero_only_at_equality,
    laws.kl_is_accurate_nearby,
    laws.fenchel_young,
    laws.round_trip,
    laws.log_prob_is_the_exponential_form,
]


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mp.workdps(50):
        yield


@pytest.mark.parametrize("stable_law", STABLE_LAWS, ids=lambda law: law.__name__)
def test_law_at_an_extreme(extreme_case, stable_law) -> None:
    entry, theta = extreme_case
    check_family(entry.family, theta, seed=21, laws=[stable_law])


def test_everything_is_finite(extreme_case) -> None:
    entry, theta = extreme_case
    family = entry.family
    mean = family.to_mean(theta)
    assert family.in_natural_space(theta)
    assert family.in_mean_space(mean)
    values = [mean, family.log_partition(theta), family.fisher_information(theta), family.entropy(theta)]
    values += [family.conjugate(mean), family.kl(theta, family.to_natural(mean))]
    assert all(np.isfinite(value).all() for value in values)
    assert np.isfinite(family.statistic(family.sample(theta, 100, 0))).all()


@pytest.mark.parametrize("method", ["samples", "auto"])
def test_estimates_lie_near_the_mean(extreme_case, method) -> None:
    """Within the Chernoff bound that holds for every n and however skew the law (``sample`` itself may round to 5e-324)."""
    entry, theta = extreme_case
    estimate = entry.family.estimate_mean(theta, 20_000, 22, method=method)
    exponent = numerics.chernoff_exponent(entry.family, theta, estimate.mean, estimate.n)
    assert np.all(exponent <= numerics.exponent_limit(theta.size))


# ---------------------------------------------------------------------- against mpmath


def _logit(theta):
    return sum(mp.log1p(mp.exp(t)) for t in theta), [1 / (1 + mp.exp(-t)) for t in theta]


def _categorical(theta):
    total = 1 + sum(mp.exp(t) for t in theta)
    return mp.log(total), [mp.exp(t) / total for t in theta]


def _times(n, oracle):
    def scaled(theta):
        a, mean = oracle(theta)
        return n * a, [n * m for m in mean]

    return scaled


def _poisson(theta):
    return mp.exp(theta[0]), [mp.exp(theta[0])]


def _failures(theta):
    return -mp.log(-mp.expm1(theta[0])), [-mp.exp(theta[0]) / mp.expm1(theta[0])]


def _rate(theta):
    return -mp.log(-theta[0]), [-1 / theta[0]]


def _gamma(theta):
    shape, rate = theta[0], -theta[1]
    return mp.loggamma(shape) - shape * mp.log(rate), [mp.digamma(shape) - mp.log(rate), shape / rate]


def _dirichlet(theta):
    total = sum(theta)
    value = sum(mp.loggamma(t) for t in theta) - mp.loggamma(total)
    return value, [mp.digamma(t) - mp.digamma(total) for t in theta]


def _gaussian(theta):
    width = len(theta) // 2
    variance = [-1 / (2 * t) for t in theta[width:]]
    mean = [t * v for t, v in zip(theta, variance)]
    value = sum(m**2 / v + mp.log(v) for m, v in zip(mean, variance)) / 2
    return value, mean + [m**2 + v for m, v in zip(mean, variance)]


def _known_variance(variance):
    return lambda theta: (variance * theta[0] ** 2 / 2, [variance * theta[0]])


def _full_gaussian(n):
    def oracle(theta):
        precision = mp.matrix(n, n)
        for (i, j), t in zip(itertools.combinations_with_replacement(range(n), 2), theta[n:]):
            precision[i, j] = precision[j, i] = -2 * t if i == j else -t
        covariance = precision**-1
        mean = covariance * mp.matrix(theta[:n])
        second = [covariance[i, j] + mean[i] * mean[j] for i, j in itertools.combinations_with_replacement(range(n), 2)]
        return (mp.fdot(theta[:n], mean) - mp.log(mp.det(precision))) / 2, [*mean, *second]

    return oracle


def _inverse_gaussian(theta):
    m, shape = mp.sqrt(theta[1] / theta[0]), -2 * theta[1]
    return -shape / m - mp.log(shape) / 2, [m, 1 / m + 1 / shape]


def _sphere(theta):
    order, kappa = mp.mpf(len(theta)) / 2 - 1, mp.norm(theta)
    bessel = mp.besseli(order, kappa)
    slope = mp.besseli(order + 1, kappa) / bessel
    return (order + 1) * mp.log(2 * mp.pi) + mp.log(bessel) - order * mp.log(kappa), [slope * t / kappa for t in theta]


def _table(table):
    def oracle(theta):
        weights = [mp.exp(mp.fdot(theta, [mp.mpf(float(x)) for x in row])) for row in table]
        total = mp.fsum(weights)
        mean = [mp.fsum(w * mp.mpf(float(x)) for w, x in zip(weights, column)) / total for column in table.T]
        return mp.log(total), mean

    return oracle


def _uniform(theta):
    t = theta[0]
    return mp.log(mp.expm1(t) / t), [1 / (-mp.expm1(-t)) - 1 / t]


def _oracle(family):
    """A(θ) and ∇A(θ) in mpmath."""
    tables = {f.Finite: lambda: _table(family.phi), f.FromStatistic: lambda: _from_statistic(family)}
    oracles = {
        f.Bernoulli: lambda: _logit,
        f.Binomial: lambda: _times(family.trials, _logit),
        f.Categorical: lambda: _categorical,
        f.Poisson: lambda: _poisson,
        f.Geometric: lambda: _failures,
        f.NegativeBinomial: lambda: _times(mp.mpf(family.r), _failures),
        f.Exponential: lambda: _rate,
        f.Laplace: lambda: _rate,
        f.Weibull: lambda: _rate,
        f.Gamma: lambda: _gamma,
        f.Beta: lambda: _dirichlet,
        f.Dirichlet: lambda: _dirichlet,
        f.KnownVarianceGaussian: lambda: _known_variance(mp.mpf(family.known_variance)),
        f.DiagonalGaussian: lambda: _gaussian,
        f.LogNormal: lambda: _gaussian,
        f.Gaussian: lambda: _full_gaussian(family.n_variables),
        f.InverseGaussian: lambda: _inverse_gaussian,
        f.VonMises: lambda: _sphere,
        f.VonMisesFisher: lambda: _sphere,
        f.Product: lambda: _product(family),
    }
    return (tables | oracles)[type(family)]()


def _from_statistic(family):
    return _uniform if family.interval is not None else _table(np.arange(6.0)[:, None])


def _product(family):
    def oracle(theta):
        value, mean = mp.mpf(0), []
        for factor in family.factors:
            part, more = _oracle(factor)(theta[len(mean) : len(mean) + factor.dim])
            value, mean = value + part, mean + more
        return value, mean

    return oracle


def test_log_partition_and_mean_against_mpmath(extreme_case) -> None:
    entry, theta = extreme_case
    value, mean = _oracle(entry.family)([mp.mpf(float(t)) for t in theta])
    error = abs(mp.mpf(float(entry.family.log_partition(theta))) - value)
    assert error <= numerics.log_partition_rounding(entry.family, theta)
    bounds = numerics.mean_rounding(entry.family, theta)
    for entry_mean, expected, bound in zip(entry.family.to_mean(theta), mean, bounds):
        assert abs(mp.mpf(float(entry_mean)) - expected) <= bound


def test_to_natural_against_mpmath(extreme_case) -> None:
    """∇A(∇A*(μ)) in mpmath is μ again, within what one rounding of θ and of μ may cost."""
    entry, theta = extreme_case
    given = entry.family.to_mean(theta)
    natural = entry.family.to_natural(given)
    _, mean = _oracle(entry.family)([mp.mpf(float(t)) for t in natural])
    bounds = numerics.mean_rounding(entry.family, natural) + numerics.ACCURACY * np.sqrt(entry.family.variance(theta))
    for entry_mean, expected, bound in zip(given, mean, bounds):
        assert abs(mp.mpf(float(entry_mean)) - expected) <= bound


def test_inversion_where_the_log_partition_vanishes() -> None:
    """A(0) = 0 for the uniform law on (0, 1): near it A is rounded like one, not like itself."""
    family = f.FromStatistic(lambda x: x, None, (0.0, 1.0))
    mu = 0.5 + np.concatenate([s * 10.0 ** -np.arange(4.0, 17.0) for s in (1, -1, 2, 5, 7)])[:, None]
    assert family.in_mean_space(mu).all()
    np.testing.assert_allclose(family.to_natural(mu), 12.0 * (mu - 0.5), rtol=2e-5, atol=1e-13)
