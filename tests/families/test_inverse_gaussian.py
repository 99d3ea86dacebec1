"""InverseGaussian against SciPy, mpmath and the exact laws of its samples."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from expfam_game.errors import InvalidData, InvalidMeanParameter, InvalidNaturalParameter
from expfam_game.families._stable import scaled_exp1
from expfam_game.families.inverse_gaussian import InverseGaussian

ALPHA = 1e-9
FAMILY = InverseGaussian()
GRID = [(m, s) for m in (1e-100, 1e-6, 0.3, 1.0, 40.0, 1e9, 1e100) for s in (1e-100, 1e-5, 0.5, 1.0, 7.0, 1e8, 1e100)]


def natural(m, shape):
    return np.array([-0.5 * shape / m / m, -0.5 * shape])


def representable(m, shape):
    return all(1e-290 < abs(t) < 1e290 for t in natural(m, shape)) and 1e-90 < m**3 / shape < 1e300


def scipys(m, shape):
    return stats.invgauss(m / shape, scale=shape)


def exact(theta):
    """A, m, λ in mpmath."""
    one, two = (mp.mpf(float(t)) for t in theta)
    return -2 * mp.sqrt(one * two) - mp.log(-2 * two) / 2, mp.sqrt(two / one), -2 * two


def relative(value, truth):
    return abs(float((mp.mpf(float(value)) - truth) / truth))


@pytest.mark.parametrize(("m", "shape"), [(1.0, 1.0), (0.3, 2.0), (40.0, 1.0), (2.0, 100.0)])
def test_log_prob_and_entropy(m, shape):
    law, theta = scipys(m, shape), natural(m, shape)
    x = law.ppf([0.001, 0.1, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(FAMILY.log_prob(x, theta), law.logpdf(x), rtol=1e-10, atol=1e-11)
    with mp.workdps(25):
        _, mean, s = exact(theta)

        def surprise(t):  # x = m e^t
            y = mean * mp.exp(t)
            log_p = (mp.log(s / (2 * mp.pi * y**3)) - s * (y - mean) ** 2 / (mean**2 * y)) / 2
            return -mp.exp(log_p) * log_p * y

        reach = 60 / (1 + shape / m) ** 0.5
        edges = mp.linspace(-reach, reach, 41)
        entropy = mp.quad(surprise, edges)
    assert abs(float(FAMILY.entropy(theta)) - float(entropy)) < 1e-12


@pytest.mark.parametrize("z", [1e-300, 1e-10, 0.1, 1.0, 7.9, 8.1, 30.0, 1e3, 1e200])
def test_scaled_exponential_integral(z):
    with mp.workdps(50):
        truth = mp.hyperu(1, 1, mp.mpf(z)) if 1e-5 < z < 1e5 else (1 / mp.mpf(z) if z > 1 else mp.e1(mp.mpf(z)))
    slack = 1e-9 if z == 1e-10 else 0.0  # e^z = 1 + 1e-10 is left out of the oracle there
    assert relative(scaled_exp1(np.array(z)), truth) < 4e-15 + slack


@pytest.mark.parametrize(("m", "shape"), GRID)
def test_maps(m, shape):
    if not representable(m, shape):
        return
    theta = natural(m, shape)
    with mp.workdps(60):
        a, mean, s = exact(theta)
        assert abs(float(FAMILY.log_partition(theta) - a)) < 1e-15 * (float(2 * s / mean) + 250)
        mu = FAMILY.to_mean(theta)
        assert relative(mu[0], mean) < 1e-15
        assert relative(mu[1], 1 / mean + 1 / s) < 2e-15
        fisher = FAMILY.fisher_information(theta)
        truth = [[mean**3 / s, -mean / s], [-mean / s, 1 / (s * mean) + 2 / s**2]]
        for i in range(2):
            for j in range(2):
                assert relative(fisher[i, j], truth[i][j]) < 1e-14
        assert np.array_equal(FAMILY.variance(theta), np.diagonal(fisher))


@pytest.mark.parametrize(("m", "shape"), GRID)
def test_round_trip_up_to_the_condition_number(m, shape):
    if not representable(m, shape) or shape / m > 1e12:
        return
    theta = natural(m, shape)
    error = np.abs(FAMILY.to_natural(FAMILY.to_mean(theta)) / theta - 1)
    assert error.max() < 4e-15 * (1 + shape / m)


@pytest.mark.parametrize("gap", [1e-15, 1e-9, 1e-3, 0.5, 3.0, 1e100])
@pytest.mark.parametrize("mean", [1e-100, 0.7, 3.3e5])
def test_inverse_is_exact_for_the_doubles_it_is_given(mean, gap):
    """The mean parameters are taken as they are: no digits are lost in μ₁μ₂ − 1."""
    mu = np.array([mean, (1 + gap) / mean])
    with mp.workdps(60):
        one, two = mp.mpf(float(mu[0])), mp.mpf(float(mu[1]))
        s = one / (one * two - 1)
        theta = FAMILY.to_natural(mu)
        assert relative(theta[0], -s / one**2 / 2) < 2e-15
        assert relative(theta[1], -s / 2) < 2e-15


@pytest.mark.parametrize(("m", "shape"), [(1.0, 1.0), (1e-6, 1e3), (1e9, 1e-5), (40.0, 0.5), (0.3, 1e6), (1e-20, 1e20)])
@pytest.mark.parametrize(
    "scale",
    [
        (1, 1 + 1e-10),
        (1 + 1e-8, 1),
        (1 - 1e-3, 1 + 1e-3),
        (1 + 1e-5, 1 + 1e-5),
        (3, 0.2),
        (0.4, 0.45),
        (1e-12, 1e12),
    ],
)
def test_kl(m, shape, scale):
    a = natural(m, shape)
    b = a * np.array(scale)
    with mp.workdps(200):
        (log_a, mean, s), (log_b, _, _) = exact(a), exact(b)
        step = [mp.mpf(float(q)) - mp.mpf(float(p)) for p, q in zip(a, b)]
        truth = log_b - log_a - mean * step[0] - (1 / mean + 1 / s) * step[1]
        assert relative(FAMILY.kl(a, b), truth) < 1e-9


@pytest.mark.parametrize(("m", "shape"), [(1.0, 1.0), (3.0, 0.01), (0.5, 400.0)])
def test_samples_follow_the_law(m, shape):
    draws = FAMILY.sample(natural(m, shape), n=50_000, seed=1)
    assert stats.kstest(draws, scipys(m, shape).cdf).pvalue > ALPHA


@pytest.mark.parametrize("n", [1, 2, 7])
def test_sum_law_is_the_law_of_averages(n):
    """Two-sample tests against averages of samples, on both statistics and on their product, which sees dependence."""
    theta = natural(1.5, 0.8)
    size = 20_000
    law = FAMILY.estimate_mean(np.broadcast_to(theta, (size, 2)), n=n, seed=2, method="sum-law").mean
    plain = FAMILY.statistic(FAMILY.sample(np.broadcast_to(theta, (size, 2)), n=n, seed=3)).mean(axis=1)
    for i in range(2):
        assert stats.ks_2samp(law[:, i], plain[:, i]).pvalue > ALPHA
    if n > 1:
        assert stats.ks_2samp(law.prod(axis=1), plain.prod(axis=1)).pvalue > ALPHA
        assert np.all(law.prod(axis=1) >= 1)
    else:
        np.testing.assert_allclose(law.prod(axis=1), 1.0, rtol=1e-15)


def test_shapes():
    for batch in ((), (3,), (2, 3), (0,), (2, 0)):
        theta = np.broadcast_to(natural(1.0, 2.0), (*batch, 2))
        assert FAMILY.to_mean(theta).shape == FAMILY.to_natural(FAMILY.to_mean(theta)).shape == theta.shape
        assert FAMILY.entropy(theta).shape == FAMILY.kl(theta, theta).shape == batch
        assert FAMILY.fisher_information(theta).shape == (*batch, 2, 2)
        assert FAMILY.sample(theta, n=4, seed=0).shape == (*batch, 4)
        assert FAMILY.estimate_mean(theta, n=4, seed=0).mean.shape == theta.shape


def test_points_outside():
    for theta in ([0.0, -1.0], [-1.0, 0.0]):
        with pytest.raises(InvalidNaturalParameter, match="must be negative"):
            FAMILY.to_mean(theta)
    with pytest.raises(InvalidMeanParameter, match="must be positive"):
        FAMILY.to_natural([-1.0, -3.0])
    with pytest.raises(InvalidMeanParameter, match="must exceed 1"):
        FAMILY.to_natural([2.0, 0.5])
    with pytest.raises(InvalidData, match="must be positive"):
        FAMILY.statistic(0.0)
    inside = FAMILY.in_mean_space([[2.0, 0.5], [2.0, 0.5 + 2**-50], [3.0, 1 / 3.0], [0.0, 1.0], [np.nan, 1.0]])
    assert inside.tolist() == [False, True, False, False, False]  # fl(1/3) lies below 1/3
