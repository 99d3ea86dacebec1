"""Gamma against SciPy and, at the extremes, mpmath."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats
from scipy.special import gammainc, gammaln

from expfam_game import errors
from expfam_game.families.gamma import Gamma

EPS = 2.0**-52
FAMILY = Gamma()


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mp.workdps(50):
        yield


def parameters(seed, n):
    rng = np.random.default_rng(seed)
    return 10.0 ** rng.uniform(-6, 8, n), 10.0 ** rng.uniform(-100, 100, n)


def relative(computed, exact):
    return float(abs(mp.mpf(float(computed)) - exact) / abs(exact))


def exact_kl(a, r, b, t):
    a, r, b, t = (mp.mpf(float(v)) for v in (a, r, b, t))
    return (
        mp.loggamma(b)
        - mp.loggamma(a)
        + a * mp.log(r)
        - b * mp.log(t)
        + (mp.digamma(a) - mp.log(r)) * (a - b)
        + a * (t / r - 1)
    )


def test_log_prob_and_entropy_are_scipys():
    rng = np.random.default_rng(0)
    shape, rate = 10 ** rng.uniform(-2, 3, 50), 10 ** rng.uniform(-3, 3, 50)
    theta = FAMILY.from_shape_rate(shape, rate)
    x = rng.gamma(shape + 0.1) / rate
    reference = stats.gamma(shape, scale=1 / rate)
    np.testing.assert_allclose(FAMILY.log_prob(x, theta), reference.logpdf(x), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(FAMILY.entropy(theta), reference.entropy(), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(FAMILY.to_mean(theta)[:, 1], reference.mean())
    np.testing.assert_allclose(FAMILY.variance(theta)[:, 1], reference.var())


def test_moments_and_entropy_over_the_stated_range():
    for shape, rate in zip(*parameters(1, 60)):
        theta = FAMILY.from_shape_rate(shape, rate)
        a, r = mp.mpf(float(shape)), mp.mpf(float(rate))
        mean, fisher = FAMILY.to_mean(theta), FAMILY.fisher_information(theta)
        log_mean = mp.digamma(a) - mp.log(r)
        size = abs(mp.digamma(a)) + abs(mp.log(r))  # the two parts of E log x are rounded each
        assert abs(mp.mpf(float(mean[0])) - log_mean) < 1e-14 * size
        assert relative(mean[1], a / r) < 1e-14
        for got, exact in zip(fisher.ravel(), (mp.psi(1, a), 1 / r, 1 / r, a / r**2)):
            assert relative(got, exact) < 1e-14
        np.testing.assert_array_equal(FAMILY.variance(theta), np.diagonal(fisher))
        entropy = a - mp.log(r) + mp.loggamma(a) + (1 - a) * mp.digamma(a)
        assert abs(mp.mpf(float(FAMILY.entropy(theta))) - entropy) < 1e-14 * (1 + size)
        log_partition = mp.loggamma(a) - a * mp.log(r)
        size = abs(mp.loggamma(a)) + abs(a * mp.log(r))
        assert abs(mp.mpf(float(FAMILY.log_partition(theta))) - log_partition) < 1e-14 * size


def test_round_trip_to_the_condition_number():
    shape, rate = parameters(2, 2000)
    theta = FAMILY.from_shape_rate(shape, rate)
    mean = FAMILY.to_mean(theta)
    error = np.abs(FAMILY.to_natural(mean) / theta - 1)
    # d log a / ds = −1/(a g(a)), s = log μ₂ − μ₁, g(a) ≥ 1/(2a²); each part of s is rounded once or twice
    size = np.abs(mean[:, 0]) + np.abs(np.log(mean[:, 1]))
    parts = np.abs(np.log(shape)) + np.abs(np.log(rate)) + 1 / shape + 1
    assert (error < 4 * EPS * (2 * shape * (size + parts) + 10)[:, None]).all()
    moderate = (shape < 1e3) & (np.abs(np.log(rate)) < 10)
    assert error[moderate].max() < 1e-10


def test_kl_far_and_near():
    rng = np.random.default_rng(3)
    for shape, rate in zip(*parameters(4, 40)):
        for scale in (0.0, 1e-12, 1e-7, 1e-3, 0.3, 2.0, 8.0):
            b = np.clip(shape * 10 ** (scale * rng.normal()), 1e-6, 1e8)
            t = rate * 10 ** (scale * rng.normal())
            got = FAMILY.kl(FAMILY.from_shape_rate(shape, rate), FAMILY.from_shape_rate(b, t))
            if b == shape and t == rate:
                assert got == 0
                continue
            with mp.workdps(80):
                exact = exact_kl(shape, rate, b, t)
            assert relative(got, exact) < 1e-12


def test_samples_follow_the_law_at_every_shape():
    for seed, shape in enumerate([1e-6, 1e-3, 0.3, 1.0, 7.5, 1e4, 1e8]):
        theta = FAMILY.from_shape_rate(shape, 2.0)
        log_x = FAMILY._sample_statistic(theta, 20_000, np.random.default_rng(seed))[:, 0] + np.log(2.0)
        tail = np.exp(shape * np.minimum(log_x, -30) - gammaln(shape + 1))  # P(a, x) = x^a/Γ(a + 1) (1 + O(x))
        cdf = np.where(log_x < -30, tail, gammainc(shape, np.exp(np.maximum(log_x, -40))))
        assert stats.kstest(cdf, "uniform").pvalue > 1e-9


def test_sample_is_positive_and_batched():
    theta = FAMILY.from_shape_rate([[1e-6], [3.0]], [1.0, 2.0, 1e50])
    x = FAMILY.sample(theta, 1000, seed=5)
    assert x.shape == (2, 3, 1000)
    assert (x > 0).all()
    assert x[0].min() == 5e-324
    assert stats.kstest(x[1, 1], stats.gamma(3, scale=0.5).cdf).pvalue > 1e-9
    assert np.isfinite(FAMILY.statistic(x)).all()
    np.testing.assert_array_equal(x, FAMILY.sample(theta, 1000, seed=5))


@pytest.mark.parametrize("shape", [1e-6, 1e-3, 0.5, 40.0])
def test_estimate_mean_is_unbiased_where_samples_underflow(shape):
    theta = FAMILY.from_shape_rate(shape, 3.0)
    n = 40_000
    estimate = FAMILY.estimate_mean(theta, n, seed=11)
    exact = np.array([float(mp.digamma(shape) - mp.log(3)), shape / 3])
    error = np.sqrt(np.array([float(mp.psi(1, shape)), shape / 9]) / n)
    # the law of x at tiny shapes is far from normal at this n: Chebyshev's bound would be useless, log x is what is tested
    entries = slice(0, 2) if shape > 0.1 else slice(0, 1)
    assert (np.abs(estimate.mean - exact) < 7 * error)[entries].all()
    np.testing.assert_allclose(estimate.standard_error[0], error[0], rtol=0.1)


def test_shapes_without_and_with_leading_axes():
    theta = np.broadcast_to(np.array([2.0, -3.0]), (4, 1, 2))
    one = FAMILY.fisher_information(theta[0, 0])
    np.testing.assert_array_equal(FAMILY.fisher_information(theta), np.broadcast_to(one, (4, 1, 2, 2)))
    empty = np.empty((0, 2))
    assert FAMILY.to_natural(FAMILY.to_mean(empty)).shape == (0, 2)
    assert FAMILY.kl(empty, empty).shape == FAMILY.entropy(empty).shape == (0,)
    assert FAMILY.sample(empty, 3, seed=0).shape == (0, 3)
    shape, rate = FAMILY.to_shape_rate(theta)
    assert (shape == 2).all()
    assert (rate == 3).all()
    assert shape.shape == (4, 1)


def test_reference_mean_is_interior():
    np.testing.assert_allclose(FAMILY.to_natural(FAMILY.reference_mean()), [1.0, -1.0], rtol=1e-13)


def test_gaps_of_the_mean_space():
    assert FAMILY.in_mean_space([[0.0, 1.1], [0.0, 1.0], [0.0, 0.9], [-5.0, -1.0], [np.nan, 1.0]]).tolist() == [
        True
    ] + 4 * [False]
    assert FAMILY.in_natural_space([[1.0, -1.0], [0.0, -1.0], [1.0, 0.0]]).tolist() == [True, False, False]


def test_errors():
    with pytest.raises(errors.InvalidMeanParameter, match=r"agent 1 .*log x must be below"):
        FAMILY.to_natural([[0.0, 2.0], [0.0, 1.0]])
    with pytest.raises(errors.InvalidMeanParameter, match=r"entry 1 \(x\).*must be positive"):
        FAMILY.to_natural([0.0, 0.0])
    with pytest.raises(errors.InvalidNaturalParameter, match="the shape must be positive and minus the rate negative"):
        FAMILY.from_shape_rate(1.0, -1.0)
    with pytest.raises(errors.InvalidNaturalParameter, match="shape must be positive"):
        FAMILY.to_shape_rate([0.0, -1.0])
    with pytest.raises(errors.InvalidData, match="must be positive"):
        FAMILY.statistic([1.0, 0.0])
    with pytest.raises(errors.InversionFailed, match=r"mean parameter of agent 1 .*too close to the boundary"):
        FAMILY.to_natural([[-1.0, 1.0], [-1e-310, 1.0]])
    with pytest.raises(errors.InversionFailed, match="mean parameter \\["):
        FAMILY.to_natural([-1e-310, 1.0])
