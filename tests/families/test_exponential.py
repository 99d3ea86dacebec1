"""Exponential, Laplace and Weibull against SciPy and mpmath."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter, InvalidNaturalParameter
from expfam_game.families.exponential import Exponential, Laplace, Weibull

ALPHA = 1e-9
FAMILIES = [Exponential(), Laplace(location=0.7), Weibull(shape=0.5), Weibull(shape=3.0)]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=repr)


def scipys(family, rate):
    if isinstance(family, Exponential):
        return stats.expon(scale=1 / rate)
    if isinstance(family, Laplace):
        return stats.laplace(family.location, 1 / rate)
    return stats.weibull_min(family.shape, scale=rate ** (-1 / family.shape))


@every_family
@pytest.mark.parametrize("rate", [0.1, 1.0, 25.0])
def test_log_prob_and_entropy_are_scipys(family, rate):
    law = scipys(family, rate)
    x = law.ppf([1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
    np.testing.assert_allclose(family.log_prob(x, [-rate]), law.logpdf(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(family.entropy([-rate]), law.entropy(), rtol=1e-12, atol=1e-12)


@every_family
def test_maps_over_the_stated_range(family):
    rate = np.logspace(-300, 300, 41)[:, None]
    np.testing.assert_allclose(family.log_partition(-rate), -np.log(10.0) * np.linspace(-300, 300, 41), rtol=1e-14)
    np.testing.assert_allclose(family.to_mean(-rate) * rate, 1.0, rtol=4e-16)
    np.testing.assert_allclose(family.to_natural(family.to_mean(-rate)), -rate, rtol=4e-16)
    middle = np.logspace(-150, 150, 41)[:, None]
    np.testing.assert_allclose(family.variance(-middle) * middle * middle, 1.0, rtol=1e-15)
    np.testing.assert_array_equal(family.fisher_information(-middle)[..., 0], family.variance(-middle))


@every_family
@pytest.mark.parametrize("a", [1e-300, 1e-8, 1.0, 3e7, 1e300])
@pytest.mark.parametrize("factor", [1 + 1e-12, 1 - 1e-9, 1.0001, 0.51, 0.49, 1.99, 2.01, 1e-30, 1e-250, 1e250, 1e30])
def test_kl(family, a, factor):
    b = a * factor
    if not 1e-300 <= b <= 1e300:
        return
    with mp.workdps(60):
        ratio = mp.mpf(b) / mp.mpf(a)
        exact = ratio - 1 - mp.log(ratio)
        assert abs(float((mp.mpf(float(family.kl([-a], [-b]))) - exact) / exact)) < 1e-14


def test_kl_beyond_the_largest_double_is_infinite():
    assert Exponential().kl([-1e-200], [-1e200]) == np.inf


@every_family
@pytest.mark.parametrize("rate", [1e-3, 2.0])
def test_samples_and_their_sums_follow_the_law(family, rate):
    draws = family.sample([-rate], n=50_000, seed=5)
    assert stats.kstest(draws, scipys(family, rate).cdf).pvalue > ALPHA
    for n in (1, 6):
        mean = family.estimate_mean(np.full((50_000, 1), -rate), n=n, seed=6, method="sum-law").mean[:, 0]
        assert stats.kstest(mean, stats.gamma(n, scale=1 / (n * rate)).cdf).pvalue > ALPHA


@every_family
def test_statistic_of_samples_is_exponential(family):
    phi = family.statistic(family.sample([-0.3], n=50_000, seed=7))[:, 0]
    assert stats.kstest(phi, stats.expon(scale=1 / 0.3).cdf).pvalue > ALPHA


@every_family
def test_shapes(family):
    for batch in ((), (3,), (2, 3), (0,), (2, 0)):
        theta = np.full((*batch, 1), -0.5)
        assert family.to_mean(theta).shape == theta.shape
        assert family.entropy(theta).shape == family.kl(theta, theta).shape == batch
        assert family.fisher_information(theta).shape == (*batch, 1, 1)
        assert family.sample(theta, n=4, seed=0).shape == (*batch, 4)
        assert family.estimate_mean(theta, n=4, seed=0).mean.shape == theta.shape


def test_bad_hyper_parameters():
    with pytest.raises(InvalidInput, match="location is nan; it must be finite"):
        Laplace(location=np.nan)
    for shape in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InvalidInput, match="must be positive and finite"):
            Weibull(shape=shape)


@every_family
def test_points_outside(family):
    with pytest.raises(InvalidNaturalParameter, match="must be negative"):
        family.to_mean([0.0])
    with pytest.raises(InvalidMeanParameter, match="must be positive"):
        family.to_natural([0.0])


def test_samples_outside():
    with pytest.raises(InvalidData, match="must not be negative"):
        Exponential().statistic(-1e-9)
    with pytest.raises(InvalidData, match="must be positive"):
        Weibull(shape=2.0).statistic(0.0)
    assert Exponential().statistic(0.0) == 0.0
