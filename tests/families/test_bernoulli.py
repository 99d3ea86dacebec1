"""Bernoulli: SciPy and mpmath oracles, the stated range, hyper-parameters."""

import mpmath
import numpy as np
import pytest
from scipy import stats

import expfam_game as eg
from expfam_game.errors import InvalidInput

FAMILY = eg.families.Bernoulli(1)
LOG_ODDS = [-690.0, -50.0, -3.0, -1e-9, 0.0, 0.7, 5.0, 36.0]


@pytest.mark.parametrize("theta", LOG_ODDS)
def test_moments_and_entropy_match_mpmath(theta):
    with mpmath.workdps(400):
        p = 1 / (1 + mpmath.exp(-mpmath.mpf(theta)))
        entropy = -(p * mpmath.log(p) + (1 - p) * mpmath.log(1 - p))
        expected = [float(v) for v in (p, p * (1 - p), entropy, -mpmath.log(1 - p))]
    found = [
        FAMILY.to_mean([theta])[0],
        FAMILY.variance([theta])[0],
        FAMILY.entropy([theta]),
        FAMILY.log_partition([theta]),
    ]
    np.testing.assert_allclose(found, expected, rtol=2e-14)


@pytest.mark.parametrize("a", LOG_ODDS)
@pytest.mark.parametrize("shift", [1e-12, -1e-6, 0.3, -2.0, 40.0, -600.0])
def test_kl_matches_mpmath_near_and_far(a, shift):
    b = a + shift
    with mpmath.workdps(700):
        p, q = (1 / (1 + mpmath.exp(-mpmath.mpf(t))) for t in (a, b))
        expected = float(p * mpmath.log(p / q) + (1 - p) * mpmath.log((1 - p) / (1 - q)))
    # b − a is known to the rounding of b only, and near zero the divergence is quadratic in it.
    tolerance = 1e-13 + 4 * np.finfo(float).eps * max(abs(a), abs(b)) / abs(b - a)
    assert FAMILY.kl([a], [b]) == pytest.approx(expected, rel=tolerance)


def test_round_trip_down_to_the_smallest_probability():
    mean = np.array([[1e-300], [1e-100], [1e-8], [0.5], [1 - 1e-8]])
    np.testing.assert_allclose(FAMILY.to_mean(FAMILY.to_natural(mean)), mean, rtol=2e-13)


def test_log_prob_matches_scipy():
    theta = np.array([0.3, -2.0])
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    expected = stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-theta))).sum(axis=1)
    np.testing.assert_allclose(eg.families.Bernoulli(2).log_prob(x, theta), expected, rtol=1e-13)


@pytest.mark.parametrize("method", ["samples", "sum-law"])
def test_frequencies_follow_the_binomial_law(method):
    n, p = 50_000, np.array([0.001, 0.3, 0.95])
    estimate = eg.families.Bernoulli(3).estimate_mean(np.log(p / (1 - p)), n, seed=2, method=method)
    counts = np.rint(estimate.mean * n).astype(int)
    for k, q in zip(counts, p):
        assert stats.binomtest(int(k), n, q).pvalue > 1e-9


@pytest.mark.parametrize("dim", [0, 2.5, True, "2"])
def test_dim_must_be_a_positive_integer(dim):
    with pytest.raises(InvalidInput, match="it must be an integer, at least 1"):
        eg.families.Bernoulli(dim)
