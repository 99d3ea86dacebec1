"""Von Mises and von Mises–Fisher against SciPy and, at the extremes, mpmath."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, stats

from expfam_game import errors
from expfam_game.families.directional import VonMises, VonMisesFisher

EPS = 2.0**-52
CIRCLE = VonMises()


@pytest.fixture(autouse=True)
def _eighty_digits():
    with mp.workdps(80):
        yield


def relative(computed, exact):
    return float(abs(mp.mpf(float(computed)) - exact) / abs(exact))


def directions(seed, n, d):
    z = np.random.default_rng(seed).normal(size=(n, d))
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def concentrations(seed, n, low=-12, high=10):
    return 10.0 ** np.random.default_rng(seed).uniform(low, high, n)


def exact_length(vector):
    return mp.sqrt(mp.fsum(mp.mpf(float(v)) ** 2 for v in vector))


def exact_bessel(d, k):
    """A(κ), A'(κ) and log-partition."""
    order = mp.mpf(d) / 2 - 1
    i0, i1 = mp.besseli(order, k), mp.besseli(order + 1, k)
    ratio = i1 / i0
    log_partition = mp.log(i0) - order * mp.log(k) + mp.mpf(d) / 2 * mp.log(2 * mp.pi)
    return ratio, 1 - ratio**2 - (d - 1) / k * ratio, log_partition


def exact_kl(a, b):
    ka, kb = exact_length(a), exact_length(b)
    ratio, _, log_a = exact_bessel(len(a), ka)
    slope = mp.fsum(mp.mpf(float(x)) * (mp.mpf(float(y)) - mp.mpf(float(x))) for x, y in zip(a, b)) * ratio / ka
    return exact_bessel(len(a), kb)[2] - log_a - slope


def test_log_prob_and_entropy_are_scipys():
    rng = np.random.default_rng(0)
    for kappa in (1e-3, 0.7, 5.0, 300.0):
        m = rng.uniform(-3, 3)
        reference, theta = stats.vonmises(kappa, loc=m), CIRCLE.from_mean_direction(m, kappa)
        x = rng.uniform(-10, 10, 20)
        np.testing.assert_allclose(CIRCLE.log_prob(x, theta), reference.logpdf(x), rtol=1e-11, atol=1e-10)
        np.testing.assert_allclose(CIRCLE.entropy(theta), reference.entropy(), rtol=1e-10, atol=1e-10)
        for d in (2, 3, 5, 20):
            u, x = directions(1, 1, d)[0], directions(2, 10, d)
            sphere, family = stats.vonmises_fisher(u, kappa), VonMisesFisher(d)
            theta = family.from_mean_direction(u, kappa)
            np.testing.assert_allclose(family.log_prob(x, theta), sphere.logpdf(x), rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(family.entropy(theta), sphere.entropy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [2, 3, 4, 10, 101])
def test_moments_over_the_stated_range(d):
    family = VonMisesFisher(d)
    for kappa, u in zip(concentrations(d, 20), directions(3, 20, d)):
        theta = family.from_mean_direction(u, kappa)
        k = exact_length(theta)
        ratio, slope, log_partition = exact_bessel(d, k)
        for got, t in zip(family.to_mean(theta), theta):
            assert relative(got, ratio * mp.mpf(float(t)) / k) < 2e-14
        assert abs(mp.mpf(float(family.log_partition(theta))) - log_partition) < 1e-13 * d * (1 + abs(log_partition))
        entropy = log_partition - k * ratio
        assert abs(mp.mpf(float(family.entropy(theta))) - entropy) < 1e-13 * d * (1 + abs(entropy))
        fisher = family.fisher_information(theta)
        for i, j in [(0, 0), (0, 1), (1, 1), (d - 1, 0)]:
            outer = mp.mpf(float(theta[i])) * mp.mpf(float(theta[j])) / k**2
            exact = slope * outer + ratio / k * ((i == j) - outer)
            assert relative(fisher[i, j], exact) < 1e-12 + (1e-15 / abs(float(1 - k * slope / ratio)) if i != j else 0)
        # the radial information, far below the tangential one at large κ, in its own direction
        axis = np.zeros(d)
        axis[-1] = kappa
        along = family.fisher_information(axis)[-1, -1]
        assert relative(along, exact_bessel(d, mp.mpf(float(kappa)))[1]) < 2e-12


@pytest.mark.parametrize("d", [2, 3, 10, 1000])
def test_uniform_law(d):
    family = VonMisesFisher(d)
    zero = np.zeros(d)
    np.testing.assert_array_equal(family.to_mean(zero), zero)
    np.testing.assert_array_equal(family.to_natural(zero), zero)
    np.testing.assert_allclose(family.fisher_information(zero), np.eye(d) / d, rtol=1e-13)
    log_area = float(mp.log(2 * mp.pi ** (mp.mpf(d) / 2) / mp.gamma(mp.mpf(d) / 2)))
    np.testing.assert_allclose([family.log_partition(zero), family.entropy(zero)], log_area, rtol=1e-13)
    assert family.kl(zero, zero) == 0
    theta = family.from_mean_direction(np.eye(d)[0], 2.0)
    assert (
        relative(
            family.kl(theta, zero),
            mp.mpf(log_area) - exact_bessel(d, mp.mpf(2))[2] + 2 * exact_bessel(d, mp.mpf(2))[0],
        )
        < 1e-10 * d
    )
    np.testing.assert_array_equal(family.to_natural(family.reference_mean()), zero)


@pytest.mark.parametrize("d", [2, 3, 10, 200])
def test_round_trip_to_the_condition_number(d):
    family = VonMisesFisher(d)
    kappa = concentrations(4, 2000)
    theta = family.from_mean_direction(directions(5, 2000, d), kappa)
    error = np.linalg.norm(family.to_natural(family.to_mean(theta)) - theta, axis=-1) / kappa
    # δκ/κ = δR/(κ A'), which grows to 2κ/(d − 1) roundings; and the rounding of each entry turns θ by as much
    assert (error < 10 * EPS * (2 * kappa / (d - 1) + 4)).all()
    assert error[kappa < 1e4 * (d - 1)].max() < 1e-10


def test_circle_is_the_sphere_in_the_plane():
    theta = CIRCLE.from_mean_direction(np.linspace(-3, 3, 7), 10.0 ** np.arange(-3, 4))
    plane = VonMisesFisher(2)
    for name in ("log_partition", "to_mean", "fisher_information", "entropy", "variance"):
        np.testing.assert_array_equal(getattr(CIRCLE, name)(theta), getattr(plane, name)(theta))
    x = np.linspace(-7, 7, 7)
    pair = np.stack([np.cos(x), np.sin(x)], axis=-1)
    np.testing.assert_array_equal(CIRCLE.log_prob(x, theta), plane.log_prob(pair, theta))


@pytest.mark.parametrize("d", [2, 3, 10, 101])
def test_kl_far_and_near(d):
    rng = np.random.default_rng(d)
    family = VonMisesFisher(d)
    for kappa, u in zip(concentrations(d + 1, 12), directions(6, 12, d)):
        a = family.from_mean_direction(u, kappa)
        for radial, turn in [
            (0, 1e-10),
            (1e-10, 0),
            (1e-10, 1e-10),
            (1e-4, 1e-6),
            (0.3, 0.1),
            (3.0, 1.0),
            (0.0, 30.0),
        ]:
            b = a * 10 ** (radial * rng.normal()) + turn * kappa * rng.normal(size=d)
            b *= min(1.0, 1e10 / np.linalg.norm(b))
            assert relative(family.kl(a, b), exact_kl(a, b)) < 3e-12
        assert family.kl(a, a) == 0
        assert relative(family.kl(a, -a), exact_kl(a, -a)) < 1e-12


@pytest.mark.parametrize("kappa", [0.0, 1e-9, 0.5, 4.0, 100.0, 1e6])
def test_angles_follow_the_law(kappa):
    theta = CIRCLE.from_mean_direction(2.5, kappa)
    x = CIRCLE.sample(theta, 20_000, seed=1)
    assert x.min() >= -np.pi
    assert x.max() <= np.pi
    turned = np.mod(x - 2.5 + np.pi, 2 * np.pi) - np.pi
    law = stats.vonmises(kappa).cdf if kappa > 0 else stats.uniform(-np.pi, 2 * np.pi).cdf
    assert stats.kstest(turned, law).pvalue > 1e-9


@pytest.mark.parametrize("kappa", [1e8, 1e10])
def test_angles_at_large_concentrations_are_normal(kappa):
    turn = CIRCLE.sample(CIRCLE.from_mean_direction(1.0, kappa), 20_000, seed=2) - 1.0
    assert stats.kstest(turn * np.sqrt(kappa), "norm").pvalue > 1e-9  # the laws differ by O(1/κ)


def height_cdf(d, kappa):
    """The cdf of ⟨m, x⟩, whose density is proportional to exp(κt) (1 − t²)^((d−3)/2), through t = cos of an angle."""
    angle = np.linspace(0, np.pi, 20_001)
    density = np.exp(kappa * (np.cos(angle) - 1)) * np.sin(angle) ** (d - 2)
    below = integrate.cumulative_simpson(density, x=angle, initial=0)
    return lambda t: 1 - np.interp(np.arccos(np.clip(t, -1, 1)), angle, below / below[-1])


@pytest.mark.parametrize("d", [2, 3, 4, 10, 50])
@pytest.mark.parametrize("kappa", [0.0, 1e-6, 1.0, 30.0, 2000.0])
def test_heights_follow_the_law(d, kappa):
    family = VonMisesFisher(d)
    u = directions(d, 1, d)[0]
    x = family.sample(family.from_mean_direction(u, kappa), 10_000, seed=3)
    family.statistic(x)  # accepts its own samples
    pole = u if kappa > 0 else np.eye(d)[0]
    assert stats.kstest(x @ pole, height_cdf(d, kappa)).pvalue > 1e-9
    # around the mean direction every direction is alike: each coordinate across it is symmetric
    across = x - np.outer(x @ pole, pole)
    signs = (across @ directions(77, 1, d)[0] > 0).sum()
    assert stats.binomtest(int(signs), 10_000).pvalue > 1e-9


@pytest.mark.parametrize("d", [3, 20])
def test_heights_at_large_concentrations_are_gamma(d):
    family, u = VonMisesFisher(d), directions(9, 1, d)[0]
    x = family.sample(family.from_mean_direction(u, 1e9), 10_000, seed=4)
    chord = np.sum((x - u) ** 2, axis=-1) / 2  # 1 − ⟨m, x⟩ without its cancellation
    assert stats.kstest(1e9 * chord, stats.gamma((d - 1) / 2).cdf).pvalue > 1e-9


@pytest.mark.parametrize("u", [[1.0, 0, 0], [-1.0, 0, 0], [-1.0, 1e-9, 0], [0.0, 0.6, -0.8]])
def test_estimate_mean_in_every_direction(u):
    family = VonMisesFisher(3)
    for kappa in (0.3, 20.0):
        theta = family.from_mean_direction(u, kappa)
        estimate = family.estimate_mean(theta, 30_000, seed=5)
        mean = np.array(u) / np.linalg.norm(u) * (1 / np.tanh(kappa) - 1 / kappa)
        assert (np.abs(estimate.mean - mean) < 7 * np.sqrt(family.variance(theta) / 30_000)).all()
        np.testing.assert_allclose(estimate.standard_error, np.sqrt(family.variance(theta) / 30_000), rtol=0.1)


def test_samples_of_many_agents_have_their_own_laws():
    theta = CIRCLE.from_mean_direction([[0.0], [1.0]], [0.5, 50.0, 5e4])
    x = CIRCLE.sample(theta, 5000, seed=6)
    assert x.shape == (2, 3, 5000)
    for i, m in enumerate((0.0, 1.0)):
        for j, kappa in enumerate((0.5, 50.0, 5e4)):
            turned = np.mod(x[i, j] - m + np.pi, 2 * np.pi) - np.pi
            assert stats.kstest(turned, stats.vonmises(kappa).cdf).pvalue > 1e-9
    np.testing.assert_array_equal(x, CIRCLE.sample(theta, 5000, seed=6))


def test_shapes_without_and_with_leading_axes():
    family = VonMisesFisher(3)
    theta = np.broadcast_to(np.array([0.5, 2.0, -3.0]), (2, 1, 3))
    for name in ("to_mean", "fisher_information", "entropy", "log_partition", "variance"):
        one, many = getattr(family, name)(theta[0, 0]), getattr(family, name)(theta)
        np.testing.assert_allclose(many, np.broadcast_to(one, (2, 1, *np.shape(one))), rtol=1e-14)
    assert family.sample(theta, 4, seed=0).shape == (2, 1, 4, 3)
    for fam in (family, CIRCLE):
        empty = np.empty((0, fam.dim))
        assert fam.to_natural(fam.to_mean(empty)).shape == (0, fam.dim)
        assert fam.kl(empty, empty).shape == (0,)
        assert fam.fisher_information(empty).shape == (0, fam.dim, fam.dim)
        assert fam.sample(empty, 4, seed=0).shape == (0, 4, *fam.event_shape)


@pytest.mark.parametrize("d", [2, 5])
def test_rows_are_inverted_by_themselves(d):
    """The answer of a row hangs neither on the rows around it nor on how the array lies in memory."""
    family = VonMisesFisher(d)
    theta = family.from_mean_direction(directions(11, 60, d), concentrations(12, 60, -8, 8))
    mean = family.to_mean(theta)
    found = family.to_natural(mean)
    for row, alone in zip(found, mean):
        np.testing.assert_array_equal(family.to_natural(alone), row)
    frozen = mean.copy()
    frozen.setflags(write=False)
    for same in (np.asfortranarray(mean), np.repeat(mean, 2, axis=0)[::2], frozen):
        np.testing.assert_array_equal(family.to_natural(same), found)
    np.testing.assert_array_equal(family.to_natural(mean.reshape(3, 20, d)), found.reshape(3, 20, d))


def test_mean_directions_round_trip():
    m, kappa = CIRCLE.to_mean_direction(CIRCLE.from_mean_direction([0.5, -3.0], [2.0, 1e-200]))
    np.testing.assert_allclose(m, [0.5, -3.0])
    np.testing.assert_allclose(kappa, [2.0, 1e-200])
    family = VonMisesFisher(3)
    u, kappa = family.to_mean_direction(family.from_mean_direction([[0.0, 3.0, 4.0]], 7.0))
    np.testing.assert_allclose(u, [[0.0, 0.6, 0.8]])
    np.testing.assert_allclose(kappa, [7.0])
    assert (family.to_mean_direction(np.zeros(3))[0] == 0).all()


def test_mean_space_is_the_open_ball():
    assert CIRCLE.in_mean_space([[0.6, 0.7999], [0.6, 0.8001], [1.0, 0.0], [0.0, 0.0]]).tolist() == [
        True,
        False,
        False,
        True,
    ]
    assert CIRCLE.in_natural_space([[0.0, 0.0], [np.inf, 0.0]]).tolist() == [True, False]


def test_errors(monkeypatch):
    for bad in (1, 2.0, False):
        with pytest.raises(errors.InvalidInput, match="at least 2"):
            VonMisesFisher(bad)
    family = VonMisesFisher(3)
    with pytest.raises(errors.InvalidMeanParameter, match="agent 1.*shorter than one"):
        family.to_natural([[0.0, 0.0, 0.5], [0.0, 0.0, 1.0]])
    with pytest.raises(errors.InvalidData, match="length one within 1e-09"):
        family.statistic([1.0, 1e-3, 0.0])
    with pytest.raises(errors.InvalidData, match="finite"):
        CIRCLE.statistic(np.nan)
    with pytest.raises(errors.InvalidNaturalParameter, match="not negative"):
        CIRCLE.from_mean_direction(0.0, -1.0)
    with pytest.raises(errors.InvalidNaturalParameter, match="finite angle"):
        CIRCLE.from_mean_direction(np.inf, 1.0)
    with pytest.raises(errors.InvalidNaturalParameter, match="not the zero vector"):
        family.from_mean_direction([0.0, 0.0, 0.0], 1.0)
    fail = lambda nu, length, complement: np.where(length > 0.5, np.nan, length)  # noqa: E731
    monkeypatch.setattr("expfam_game.families.directional.resultant_concentrations", fail)
    with pytest.raises(errors.InversionFailed, match="agent 1 "):
        CIRCLE.to_natural([[0.1, 0.0], [0.9, 0.0]])
