"""FromStatistic: numerical families against SciPy's distributions, closed log-partitions and adaptive quadrature."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, special, stats

from expfam_game.errors import (
    InvalidData,
    InvalidInput,
    InvalidMeanParameter,
    InvalidNaturalParameter,
    InversionFailed,
)
from expfam_game.families.from_statistic import FromStatistic

NORMAL = FromStatistic(lambda x: np.stack([x, x**2], axis=-1), None, (-np.inf, np.inf))
EXPONENTIAL = FromStatistic(lambda x: x, None, (0, np.inf))
GAMMA = FromStatistic(lambda x: np.stack([np.log(x), x], axis=-1), None, (0.0, np.inf))
BETA = FromStatistic(lambda x: np.stack([np.log(x), np.log1p(-x)], axis=-1), None, (0.0, 1.0))
BETA_TO_1E9 = FromStatistic(BETA._phi, None, (0.0, 1.0), accuracy=1e-9)
UNIT = FromStatistic(lambda x: x, None, (0.0, 1.0))
VON_MISES = FromStatistic(lambda x: np.stack([np.cos(x), np.sin(x)], axis=-1), None, (-np.pi, np.pi))
POISSON = FromStatistic(lambda x: x, lambda x: -special.gammaln(x + 1), np.arange(40))


@pytest.mark.parametrize(("m", "s"), [(0, 1), (100, 3), (-3, 0.1), (1e4, 2000), (1e-3, 0.005), (0, 1e8), (5, 1e4)])
def test_normal(m, s):
    theta = np.array([m / s**2, -0.5 / s**2])
    exact = m**2 / (2 * s**2) + np.log(s * np.sqrt(2 * np.pi))
    assert abs(NORMAL.log_partition(theta) - exact) <= NORMAL.quadrature_error(theta) < 1e-2
    np.testing.assert_allclose(NORMAL.log_partition(theta), exact, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(NORMAL.to_mean(theta), [m, m**2 + s**2], rtol=1e-12, atol=1e-14 * s)
    fisher = [[s**2, 2 * m * s**2], [2 * m * s**2, 2 * s**4 + 4 * m**2 * s**2]]
    np.testing.assert_allclose(NORMAL.fisher_information(theta), fisher, rtol=1e-9, atol=1e-13 * s**3)
    np.testing.assert_allclose(NORMAL.entropy(theta), stats.norm(m, s).entropy(), rtol=1e-11, atol=1e-12)
    # recovered to the condition of (m, m² + s²) as doubles
    back = NORMAL.to_natural([m, m**2 + s**2])
    np.testing.assert_allclose(back, theta, rtol=1e-13 * (1 + m**2 / s**2) + 1e-12, atol=1e-13 / s)
    x = m + s * np.array([-3.0, 0.1, 2.5])
    np.testing.assert_allclose(NORMAL.log_prob(x, theta), stats.norm(m, s).logpdf(x), rtol=1e-10, atol=1e-10)


def test_centre_and_scale_move_the_nodes():
    theta = np.array([1e6 / 0.01, -0.5 / 0.01])  # N(10⁶, 0.1²): refused by the default nodes
    with pytest.raises(InvalidNaturalParameter, match="narrower than the spacing"):
        NORMAL.log_partition(theta)
    options = {"centre": 1e6, "scale": 0.1, "accuracy": 1e-9}  # x − 1e6 carries the rounding of x, 1e-10
    family = FromStatistic(lambda x: x - 1e6, lambda x: -50.0 * (x - 1e6) ** 2, (-np.inf, np.inf), **options)
    np.testing.assert_allclose(family.to_mean([3.0]), [0.03], rtol=1e-8)
    np.testing.assert_allclose(family.to_natural([0.03]), [3.0], rtol=1e-8)


@pytest.mark.parametrize("rate", [1e-6, 0.01, 1.0, 300.0, 1e6])
def test_exponential(rate):
    np.testing.assert_allclose(EXPONENTIAL.log_partition([-rate]), -np.log(rate), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(EXPONENTIAL.to_natural([1 / rate]), [-rate], rtol=1e-11)
    np.testing.assert_allclose(EXPONENTIAL.variance([-rate]), [rate**-2], rtol=1e-10)


@pytest.mark.parametrize(("shape", "rate"), [(1, 1), (0.05, 1), (50, 2), (2, 1e4), (300, 1)])
def test_gamma(shape, rate):
    theta = np.array([shape - 1.0, -rate])
    exact = special.gammaln(shape) - shape * np.log(rate)
    np.testing.assert_allclose(GAMMA.log_partition(theta), exact, rtol=1e-11, atol=1e-11)
    mean = [special.digamma(shape) - np.log(rate), shape / rate]
    np.testing.assert_allclose(GAMMA.to_mean(theta), mean, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(GAMMA.to_natural(mean), theta, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (0.05, 1), (50, 2), (1000, 500), (2, 0.9)])
def test_beta_with_singular_ends(a, b):
    theta = np.array([a - 1.0, b - 1.0])
    exact = special.betaln(a, b)
    assert abs(BETA.log_partition(theta) - exact) <= BETA.quadrature_error(theta) + 1e-12
    np.testing.assert_allclose(BETA.log_partition(theta), exact, rtol=1e-11, atol=1e-11)
    mean = special.digamma([a, b]) - special.digamma(a + b)
    np.testing.assert_allclose(BETA.to_mean(theta), mean, rtol=1e-9)
    family = BETA_TO_1E9 if b < 1.0 else BETA  # the shares within 4 ulp of one have a probability of 1e-14
    np.testing.assert_allclose(family.to_natural(BETA.to_mean(theta)), theta, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 0.3, 10.0, 1e4])
def test_von_mises(kappa):
    theta = kappa * np.array([np.cos(1.0), np.sin(1.0)])
    exact = np.log(2 * np.pi * special.ive(0, kappa)) + kappa
    np.testing.assert_allclose(VON_MISES.log_partition(theta), exact, rtol=1e-13)
    ratio = special.ive(1, kappa) / special.ive(0, kappa)
    np.testing.assert_allclose(
        VON_MISES.to_mean(theta), ratio * np.array([np.cos(1), np.sin(1)]), rtol=1e-12, atol=1e-15
    )
    if kappa <= 10:
        np.testing.assert_allclose(VON_MISES.to_natural(VON_MISES.to_mean(theta)), theta, atol=1e-10)


def test_truncated_poisson_on_a_grid():
    theta = np.log([[0.5], [3.0], [30.0]])
    k = np.arange(40)
    pmf = stats.poisson(np.exp(theta)).pmf(k)
    pmf /= pmf.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(POISSON.to_mean(theta)[:, 0], pmf @ k, rtol=1e-12)
    np.testing.assert_allclose(np.exp(POISSON.log_prob(k, theta[:, None, :])), pmf, rtol=1e-11)
    np.testing.assert_allclose(POISSON.to_natural(POISSON.to_mean(theta)), theta, atol=1e-11)
    assert np.all(POISSON.quadrature_error(theta) < 1e-13)
    draws = POISSON.sample(theta[1], 50_000, seed=0)
    counts = np.bincount(draws.astype(int), minlength=40)
    many = pmf[1] * 50_000 > 5
    observed, expected = (
        np.append(counts[many], counts[~many].sum()),
        np.append(pmf[1][many], pmf[1][~many].sum()),
    )
    assert stats.chisquare(observed, 50_000 * expected).pvalue > 1e-9
    means = POISSON.estimate_mean(np.broadcast_to(theta[1], (3000, 1)), 20, seed=1, method="sum-law").mean
    assert abs(means.mean() - pmf[1] @ k) < 7 * np.sqrt(3.0 / 20 / 3000)


def test_a_family_without_a_name_against_quad():
    """exp(θ₁ x⁴ + θ₂ sin x) on the line, with base measure exp(−x²)."""
    family = FromStatistic(lambda x: np.stack([x**4, np.sin(x)], axis=-1), lambda x: -(x**2), (-np.inf, np.inf))
    for theta in ([-0.5, 1.0], [-3.0, -4.0], [0.0, 0.5]):

        def integrand(x, g=lambda x: 1.0, theta=theta):
            return g(x) * np.exp(theta[0] * x**4 + theta[1] * np.sin(x) - x**2)

        z = integrate.quad(integrand, -12, 12, epsabs=1e-13, epsrel=1e-13, limit=400)[0]
        sine = integrate.quad(lambda x: integrand(x, np.sin), -12, 12, epsabs=1e-13, epsrel=1e-13, limit=400)[0] / z
        np.testing.assert_allclose(family.log_partition(theta), np.log(z), atol=1e-11)
        np.testing.assert_allclose(family.to_mean(theta)[1], sine, atol=1e-11)
        base = integrate.quad(lambda x: integrand(x, lambda x: -(x**2)), -12, 12, limit=400)[0] / z
        np.testing.assert_allclose(family._mean_log_base(np.array(theta)), base, atol=1e-9)


def test_stated_error_bounds_the_error_at_a_kink():
    laplace = FromStatistic(np.abs, None, (-np.inf, np.inf), nodes=200)
    theta = np.array([[-0.3], [-1.0], [-2.0]])
    error = np.abs(laplace.log_partition(theta) - np.log(2 / -theta[:, 0]))
    assert np.all(error <= laplace.quadrature_error(theta))
    assert np.all(laplace.quadrature_error(theta) < 0.1)


# ---------------------------------------------------------------------- means to 1e-13, or a clear error


def unit_mean(theta):
    """E x for the density ∝ exp(θ x) on (0, 1): 1/(1 − exp(−θ)) − 1/θ."""
    t = mp.mpf(float(theta))
    return mp.mpf(1) / 2 if t == 0 else -1 / mp.expm1(-t) - 1 / t


def relative(computed, exact):
    return float(abs(mp.mpf(float(computed)) - exact) / abs(exact))


@pytest.mark.parametrize("theta", [-1e30, -3e15, -1e8, -1e7, -1e6, -1e5, -1e4, -1e3, -7.0, 0.0, 1e-6, 2.0, 300.0, 1e4])
def test_truncated_exponential_to_1e13(theta):
    with mp.workdps(60):
        exact = unit_mean(theta)
        assert relative(UNIT.to_mean([theta])[0], exact) < 1e-13
        mu = float(exact)
        assert relative(mu, unit_mean(UNIT.to_natural([mu])[0])) < 1e-13
    assert UNIT.mean_error([theta])[0] < 1e-13


@pytest.mark.parametrize("theta", [-1e60, -1e100, 1e5, 1e6, 1e12])
def test_truncated_exponential_beyond_its_range_is_refused(theta):
    with mp.workdps(200):
        mu = [float(unit_mean(theta))]
    with pytest.raises((InversionFailed, InvalidMeanParameter), match=r"integration (error|nodes)"):
        UNIT.to_natural(mu)


@pytest.mark.parametrize("rate", [1e-8, 1e-3, 1.0, 1e4, 1e8])
def test_half_line_to_1e13(rate):
    mu = 1.0 / rate
    assert relative(mu, -1 / mp.mpf(float(EXPONENTIAL.to_natural([mu])[0]))) < 1e-13


@pytest.mark.parametrize(("shape", "rate"), [(1, 1), (0.3, 50), (50, 2), (2, 1e4), (300, 1), (1e3, 3)])
def test_gamma_means_to_1e13(shape, rate):
    mean = GAMMA.to_mean([shape - 1.0, -rate])
    found = GAMMA.to_natural(mean)
    with mp.workdps(50):
        a, r = mp.mpf(float(found[0])) + 1, -mp.mpf(float(found[1]))
        exact = [mp.digamma(a) - mp.log(r), a / r]
        size = [max(abs(mp.digamma(a)), abs(mp.log(r))), a / r]  # E log x may be near zero
        assert max(float(abs(mp.mpf(float(m)) - e) / s) for m, e, s in zip(mean, exact, size)) < 1e-13


@pytest.mark.parametrize("theta", [[3.0, -2.0], [-300.0, 40.0], [1e4, -6e3]])
def test_summed_means_to_1e13(theta):
    """A grid: Σ over its points, by mpmath."""
    x = np.arange(-4.0, 9.0)
    family = FromStatistic(lambda x: np.stack([x, 0.1 * x**2], axis=-1), None, x)
    table = [[mp.mpf(float(v)) for v in row] for row in family.table]
    with mp.workdps(60):
        weight = [mp.exp(mp.fdot(row, map(mp.mpf, theta))) for row in table]
        exact = [mp.fdot(weight, column) / mp.fsum(weight) for column in zip(*table)]
        size = [mp.fdot(weight, map(abs, column)) / mp.fsum(weight) for column in zip(*table)]
        found = family.to_mean(theta)
        assert max(float(abs(mp.mpf(float(m)) - e) / s) for m, e, s in zip(found, exact, size)) < 1e-13


def test_fisher_information_far_from_the_middle():
    """1/θ² at θ = −1e8, where the deviations are 1e-8 and the middle of the interval is 0.5."""
    np.testing.assert_allclose(UNIT.fisher_information([-1e8]), [[1e-16]], rtol=1e-12)


def test_mean_error_is_the_error_at_a_kink():
    laplace = FromStatistic(np.abs, None, (-np.inf, np.inf), nodes=200)
    theta = np.array([[-0.3], [-1.0]])
    error = np.abs(laplace.to_mean(theta) * -theta - 1.0)
    assert np.all((error <= laplace.mean_error(theta)) & (laplace.mean_error(theta) <= 2.0 * error))
    with pytest.raises(
        InversionFailed, match=r"of agent 0 .* the integration error of the mean is .* accuracy of 1e-13"
    ):
        laplace.to_natural(laplace.to_mean(theta))
    content = FromStatistic(np.abs, None, (-np.inf, np.inf), nodes=200, accuracy=0.1)
    np.testing.assert_allclose(content.to_natural(laplace.to_mean(theta)), theta, rtol=1e-9)


@pytest.mark.parametrize("share", np.linspace(0.0, 1.0, 9)[:-1])
def test_mean_error_wherever_the_kink_lies_between_two_nodes(share):
    """The error of the trapezoidal rule changes its sign with the place of the kink."""
    nodes = FromStatistic(np.abs, None, (-np.inf, np.inf), nodes=200).points
    kink = (1.0 - share) * nodes[100] + share * nodes[101]
    laplace = FromStatistic(lambda x: np.abs(x - kink), None, (-np.inf, np.inf), nodes=200)
    error = abs(laplace.to_mean([-1.0])[0] - 1.0)
    assert 0.9 * error <= laplace.mean_error([-1.0])[0] < 1e-3


def test_mean_error_sees_what_lies_beyond_the_nodes():
    """Beta(0.8, 0.8): the shares within 4 ulp of one carry 1e-13 of the probability, and large logarithms."""
    theta = np.array([-0.2, -0.2])
    mean = special.digamma(0.8) - special.digamma(1.6)
    error = np.abs(BETA.to_mean(theta) / mean - 1.0)[1]
    assert 1e-13 < error < BETA.mean_error(theta)[1] < 100 * error
    with pytest.raises(InversionFailed, match="accuracy of 1e-13"):
        BETA.to_natural(BETA.to_mean(theta))


def test_mean_error_needs_no_value_at_the_centre():
    """sin(x)/x is NaN at 0, where no node lies, and nearly so half-way between the two nodes around it."""
    family = FromStatistic(lambda x: np.sin(x) / x, lambda x: -0.5 * x**2, (-np.inf, np.inf))
    assert family.mean_error([1.0])[0] < 1e-13
    np.testing.assert_allclose(family.to_natural(family.to_mean([1.0])), [1.0], rtol=1e-11)


def test_mean_error_is_zero_on_a_grid_and_infinite_where_the_statistic_fails_between_the_nodes():
    assert np.all(POISSON.mean_error([[0.1], [2.0]]) == 0.0)
    nodes = set(UNIT.points)
    holes = FromStatistic(lambda x: np.where([v in nodes for v in x], x, np.nan), None, (0.0, 1.0))
    with pytest.raises(InversionFailed, match="error of the mean is inf"):
        holes.to_natural([0.4])


def test_half_line_to_the_left():
    family = FromStatistic(lambda x: x, None, (-np.inf, 2.0))
    np.testing.assert_allclose(family.log_partition([3.0]), 6.0 - np.log(3), rtol=1e-12)
    assert np.all(family.sample([3.0], 100, seed=0) < 2.0)


@pytest.mark.parametrize(
    ("family", "theta", "law"),
    [
        (NORMAL, [0.0, -0.5], stats.norm()),
        (BETA, [-0.9, 0.0], stats.beta(0.1, 1)),
        (GAMMA, [1.5, -2.0], stats.gamma(2.5, scale=0.5)),
        (VON_MISES, [3.0, 0.0], stats.vonmises(3.0)),
    ],
)
def test_samplers_by_kolmogorov_smirnov(family, theta, law):
    x = family.sample(np.array([theta, theta]), 100_000, seed=2)
    assert x.shape == (2, 100_000)
    assert stats.kstest(x.ravel(), law.cdf).pvalue > 1e-9


def test_coarse_nodes_still_sample_the_density():
    """Few nodes: the chords alone would be off by percents."""
    family = FromStatistic(lambda x: np.stack([x, x**2], axis=-1), None, (-6.0, 6.0), nodes=120)
    x = family.sample([0.0, -0.5], 200_000, seed=3)
    assert stats.kstest(x, stats.norm.cdf).pvalue > 1e-9


@pytest.mark.parametrize("lead", [(), (3,), (2, 2), (0,)])
def test_shapes(lead):
    theta = np.broadcast_to([0.5, -0.5], (*lead, 2)).copy()
    mu = NORMAL.to_mean(theta)
    assert mu.shape == theta.shape
    assert NORMAL.quadrature_error(theta).shape == NORMAL.entropy(theta).shape == lead
    assert NORMAL.sample(theta, 4, seed=0).shape == (*lead, 4)
    np.testing.assert_allclose(NORMAL.to_natural(mu), theta, atol=1e-10)
    np.testing.assert_allclose(NORMAL.kl(theta, theta), 0, atol=0)


def test_kl_of_normals():
    a, b = np.array([1.0, -0.5]), np.array([1.0 + 1e-7, -0.5])
    np.testing.assert_allclose(NORMAL.kl(a, b), 0.5e-14, rtol=1e-7)
    np.testing.assert_allclose(NORMAL.kl([0.0, -0.5], [0.0, -0.125]), np.log(2) - 0.5 + 0.125, rtol=1e-12)


@pytest.mark.parametrize(
    ("family", "theta", "message"),
    [
        (NORMAL, [0.0, 0.0], "does not decay inside the integration range"),
        (NORMAL, [0.0, 1.0], "does not decay inside the integration range"),
        (EXPONENTIAL, [0.5], "does not decay"),
        (BETA, [-1.5, 0.0], "does not decay"),
        (NORMAL, [0.0, -1e12], "narrower than the spacing"),
    ],
)
def test_natural_parameters_outside(family, theta, message):
    with pytest.raises(InvalidNaturalParameter, match=message):
        family.log_partition(theta)
    assert not family.in_natural_space(theta)


@pytest.mark.parametrize(
    ("family", "mu", "message"),
    [
        (NORMAL, [1.0, 1.0], "no density that the integration nodes resolve"),
        (NORMAL, [1.0, -1.0], "between the least and the greatest"),
        (EXPONENTIAL, [-1.0], "between the least and the greatest"),
        (POISSON, [39.0], "convex hull"),
    ],
)
def test_means_outside(family, mu, message):
    with pytest.raises(InvalidMeanParameter, match=message):
        family.to_natural(mu)


def test_values_outside():
    with pytest.raises(InvalidData, match="interval from 0.0 to 1.0"):
        BETA.statistic(1.5)
    with pytest.raises(InvalidData, match="not finite at this value"):
        BETA.statistic(0.0)
    with pytest.raises(InvalidData, match="one of the grid's points"):
        POISSON.statistic(0.5)
    assert VON_MISES.statistic(np.pi).shape == (2,)


def identity(x):
    return x


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((identity, None, (1.0, 0.0)), {}, "numbers a < b"),
        ((identity, None, (0.0, 1.0)), {"nodes": 5}, "at least 32"),
        ((identity, None, (0.0, np.inf)), {"scale": 0.0}, "scale positive"),
        ((identity, None, (0.0, 1.0)), {"accuracy": 0.0}, "accuracy is 0.0"),
        ((identity, None, [0.0, 0.0, 1.0]), {}, "finite, distinct points"),
        ((identity, None, ["a"]), {}, "interval or an array"),
        ((lambda x: np.ones(3), None, (0.0, 1.0)), {}, "must be"),
        ((lambda x: 1 / (x - 1.0), None, [0.0, 1.0, 2.0]), {}, "not a finite number"),
        ((lambda x: np.stack([x, 2 * x], axis=-1), None, (0.0, 1.0)), {}, "linearly dependent"),
        ((lambda x: np.stack([x, 2 * x], axis=-1), None, np.arange(5.0)), {}, "not minimal"),
        ((identity, None, (-np.inf, np.inf)), {}, "no natural parameter was found"),
        ((identity, None, (0.0, np.inf)), {"start": [1.0]}, "start is"),
    ],
)
def test_bad_constructions(arguments, options, message):
    with pytest.raises(InvalidInput, match=message):
        FromStatistic(*arguments, **options)


def test_start_and_identity():
    family = FromStatistic(identity, None, (0.0, np.inf), start=[-2.0])
    np.testing.assert_allclose(family.reference_mean(), [0.5], rtol=1e-12)
    assert FromStatistic(identity, None, (0.0, np.inf)) == EXPONENTIAL
    assert EXPONENTIAL != GAMMA
    assert repr(POISSON) == "FromStatistic(dim=1, support=40 points)"
