"""Gaussian families against SciPy, mpmath matrices and the exact laws of their samples."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter, InvalidNaturalParameter
from expfam_game.families.gaussian import DiagonalGaussian, KnownVarianceGaussian, LogNormal
from expfam_game.families.multivariate_gaussian import (
    Gaussian,
    is_positive_definite,
    pack_natural,
    pack_statistics,
    unpack_natural,
    unpack_statistics,
)

ALPHA = 1e-9


def random_moments(d, seed, condition=10.0):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((d, d)))
    covariance = (q * np.geomspace(1.0, condition, d)) @ q.T
    return rng.standard_normal(d), 0.5 * (covariance + covariance.T)


def relative(value, truth):
    return abs(float((mp.mpf(float(value)) - truth) / truth))


# ---------------------------------------------------------------------- known variance


@pytest.mark.parametrize("variance", [1e-100, 0.3, 1.0, 1e100])
def test_known_variance(variance):
    family = KnownVarianceGaussian(variance=variance)
    deviation = variance**0.5
    theta = np.array([2.5 / deviation])
    law = stats.norm(2.5 * deviation, deviation)
    x = law.ppf([0.01, 0.4, 0.9])
    np.testing.assert_allclose(family.log_prob(x, theta), law.logpdf(x), rtol=1e-12)
    np.testing.assert_allclose(family.entropy(theta), law.entropy(), rtol=1e-13)
    np.testing.assert_allclose(family.to_mean(theta), law.mean(), rtol=1e-15)
    np.testing.assert_allclose(family.to_natural(family.to_mean(theta)), theta, rtol=1e-15)
    np.testing.assert_allclose(family.fisher_information(theta), [[variance]])
    for factor in (1e-12, 0.1, 10.0):
        other = theta + factor / deviation
        gap = (other[0] - theta[0]) * deviation
        np.testing.assert_allclose(family.kl(theta, other), gap**2 / 2, rtol=1e-12)
    generic = family.log_partition(theta) - theta[0] * family.to_mean(theta)[0] - family._mean_log_base(theta)
    np.testing.assert_allclose(generic, law.entropy(), rtol=1e-12)
    assert stats.kstest(family.sample(theta, n=20_000, seed=0), law.cdf).pvalue > ALPHA
    means = family.estimate_mean(np.broadcast_to(theta, (20_000, 1)), n=9, seed=1, method="sum-law").mean[:, 0]
    assert stats.kstest(means, stats.norm(law.mean(), deviation / 3).cdf).pvalue > ALPHA


def test_known_variance_keeps_its_parameter_and_its_method():
    family = KnownVarianceGaussian(4.0)
    assert family.known_variance == 4.0
    assert repr(family) == "KnownVarianceGaussian(variance=4.0)"
    assert family == KnownVarianceGaussian(variance=4)
    assert family != KnownVarianceGaussian()
    assert family.variance([[0.0], [1.0]]).tolist() == [[4.0], [4.0]]
    for bad in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InvalidInput, match="must be positive and finite"):
            KnownVarianceGaussian(variance=bad)


# ---------------------------------------------------------------------- diagonal and log-normal


def test_diagonal_against_scipy():
    family = DiagonalGaussian(3)
    mean, variance = np.array([0.0, 2.0, -7.0]), np.array([1.0, 0.01, 30.0])
    theta = family.from_moments(mean, variance)
    law = stats.multivariate_normal(mean, np.diag(variance))
    x = law.rvs(size=5, random_state=0)
    np.testing.assert_allclose(family.log_prob(x, theta), law.logpdf(x), rtol=1e-10)
    np.testing.assert_allclose(family.entropy(theta), law.entropy(), rtol=1e-13)
    np.testing.assert_allclose(family.to_mean(theta), [*mean, *(mean**2 + variance)], rtol=1e-14)
    for found, given in zip(family.to_moments(theta), (mean, variance)):
        np.testing.assert_allclose(found, given, rtol=1e-15, atol=0)


@pytest.mark.parametrize("mean", [0.0, 1e-60, -3.0, 1e60])
@pytest.mark.parametrize("deviation", [1e-60, 0.5, 1e60])
def test_diagonal_maps_over_the_stated_range(mean, deviation):
    if abs(mean) / deviation > 1e70:
        return
    family = DiagonalGaussian(1)
    theta = family.from_moments([mean], [deviation**2])
    with mp.workdps(200):
        t1, t2 = (mp.mpf(float(t)) for t in theta)
        v = -1 / (2 * t2)
        m = t1 * v
        mu = family.to_mean(theta)
        assert mu[0] == mean == 0 or relative(mu[0], m) < 1e-15
        assert relative(mu[1], m * m + v) < 2e-15
        fisher = family.fisher_information(theta)
        assert relative(fisher[0, 0], v) < 1e-15
        assert mean == 0 or relative(fisher[0, 1], 2 * m * v) < 2e-15
        assert relative(fisher[1, 1], 4 * m * m * v + 2 * v * v) < 2e-15
        assert np.array_equal(family.variance(theta), np.diagonal(fisher))
        if abs(mean) < 1e7 * deviation:
            ratio = mean / deviation
            np.testing.assert_allclose(family.to_natural(mu), theta, rtol=4e-15 * (1 + ratio**2))


def test_second_moment_minus_square_loses_nothing():
    mean, second = 3.3, 3.3**2 * (1 + 1e-12)
    theta = DiagonalGaussian(1).to_natural([mean, second])
    with mp.workdps(60):
        v = mp.mpf(second) - mp.mpf(mean) ** 2
        assert relative(theta[1], -1 / (2 * v)) < 1e-15
        assert relative(theta[0], mp.mpf(mean) / v) < 1e-15


KL_STEPS = [
    (1e-10, 1e-10),
    (0.0, 1e-8),
    (1e-6, 0.0),
    (0.3, -0.2),
    (5.0, 4.0),
    (-3.0, -0.999),
    (0.0, 1e20),
    (1e10, 0.0),
]


@pytest.mark.parametrize("family", [DiagonalGaussian(1), LogNormal(), Gaussian(1)], ids=repr)
@pytest.mark.parametrize(("shift", "growth"), KL_STEPS)
@pytest.mark.parametrize("theta", [(0.0, -0.5), (3.0, -1e-4), (1e5, -0.5), (1e-30, -1e-60)])
def test_kl_in_one_dimension(family, theta, shift, growth):
    a = np.array(theta)
    b = np.array([theta[0] + shift * (-2 * theta[1]) ** 0.5, theta[1] * (1 + growth)])
    with mp.workdps(100):

        def parts(t):
            one, two = mp.mpf(float(t[0])), mp.mpf(float(t[1]))
            return -one / (2 * two), -1 / (2 * two)

        (ma, va), (mb, vb) = parts(a), parts(b)
        truth = (va / vb - 1 - mp.log(va / vb) + (ma - mb) ** 2 / vb) / 2
        assert relative(family.kl(a, b), truth) < 1e-9


def test_lognormal_against_scipy():
    family = LogNormal()
    for m, v in ((0.0, 1.0), (2.0, 0.04), (-30.0, 9.0)):
        theta = family.to_natural([m, m * m + v])
        law = stats.lognorm(v**0.5, scale=np.exp(m))
        x = law.ppf([0.01, 0.5, 0.99])
        np.testing.assert_allclose(family.log_prob(x, theta), law.logpdf(x), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(family.entropy(theta), law.entropy(), rtol=1e-12)
        generic = family.log_partition(theta) - theta @ family.to_mean(theta) - family._mean_log_base(theta)
        np.testing.assert_allclose(generic, law.entropy(), rtol=1e-9)
        assert stats.kstest(family.sample(theta, n=20_000, seed=0), law.cdf).pvalue > ALPHA


@pytest.mark.parametrize("family", [DiagonalGaussian(1), LogNormal(), Gaussian(1)], ids=repr)
@pytest.mark.parametrize("n", [1, 2, 8])
def test_sum_law_in_one_dimension(family, n):
    m, v, size = 1.5, 4.0, 30_000
    theta = np.broadcast_to(family.to_natural([m, m * m + v]), (size, 2))
    average, second = family.estimate_mean(theta, n=n, seed=4, method="sum-law").mean.T
    assert stats.kstest(average, stats.norm(m, (v / n) ** 0.5).cdf).pvalue > ALPHA
    assert stats.kstest(second * n / v, stats.ncx2(n, n * m * m / v).cdf).pvalue > ALPHA
    if n > 1:
        assert stats.kstest((second - average**2) * n / v, stats.chi2(n - 1).cdf).pvalue > ALPHA
    else:
        np.testing.assert_allclose(second, average**2, rtol=1e-12)


# ---------------------------------------------------------------------- full covariance


@pytest.mark.parametrize("d", [1, 2, 5])
def test_full_against_scipy(d):
    family = Gaussian(d)
    mean, covariance = random_moments(d, seed=d)
    theta = family.from_moments(mean, covariance)
    law = stats.multivariate_normal(mean, covariance)
    x = np.atleast_2d(law.rvs(size=6, random_state=1)).reshape(6, d)
    np.testing.assert_allclose(family.log_prob(x, theta), law.logpdf(x), rtol=1e-11)
    np.testing.assert_allclose(family.entropy(theta), law.entropy(), rtol=1e-13)
    np.testing.assert_allclose(
        family.to_mean(theta),
        pack_statistics(mean, covariance + np.outer(mean, mean)),
        rtol=1e-12,
        atol=1e-13,
    )
    np.testing.assert_allclose(family.to_natural(family.to_mean(theta)), theta, rtol=1e-11, atol=1e-12)
    for found, given in zip(family.to_moments(theta), (mean, covariance)):
        np.testing.assert_allclose(found, given, rtol=1e-12, atol=1e-13)
    assert family.dim == len(family.statistic_names) == d + d * (d + 1) // 2


@pytest.mark.parametrize("d", [1, 2, 3])
def test_fisher_is_the_covariance_of_the_statistic(d):
    """Gauss–Hermite quadrature is exact for these polynomials of degree four."""
    family = Gaussian(d)
    mean, covariance = random_moments(d, seed=7 + d)
    theta = family.from_moments(mean, covariance)
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    grid = np.stack(np.meshgrid(*[nodes] * d, indexing="ij"), axis=-1).reshape(-1, d)
    mass = np.prod(np.stack(np.meshgrid(*[weights] * d, indexing="ij"), axis=-1).reshape(-1, d), axis=-1)
    mass /= mass.sum()
    phi = family.statistic(mean + grid @ np.linalg.cholesky(covariance).T)
    centred = phi - mass @ phi
    truth = (mass[:, None] * centred).T @ centred
    fisher = family.fisher_information(theta)
    np.testing.assert_allclose(fisher, truth, rtol=1e-11, atol=1e-11 * np.abs(truth).max())
    np.testing.assert_array_equal(fisher, fisher.T)
    np.testing.assert_allclose(family.variance(theta), np.diagonal(truth), rtol=1e-11)
    np.testing.assert_allclose(family.variance(theta), np.diagonal(fisher), rtol=1e-14)


def mp_moments(theta, d):
    """Mean, covariance and precision in mpmath from the doubles in θ."""
    precision = mp.matrix(d, d)
    for value, (i, j) in zip(theta[d:], zip(*np.triu_indices(d))):
        entry = -mp.mpf(float(value)) * (2 if i == j else 1)
        precision[int(i), int(j)] = precision[int(j), int(i)] = entry
    covariance = precision**-1
    return covariance * mp.matrix([mp.mpf(float(t)) for t in theta[:d]]), covariance, precision


def mp_kl(a, b, d):
    (ma, sa, pa), (mb, _, pb) = mp_moments(a, d), mp_moments(b, d)
    product = pb * sa
    trace = mp.fsum(product[i, i] for i in range(d))
    gap = ma - mb
    return (trace - d - mp.log(mp.det(pb)) + mp.log(mp.det(pa)) + (gap.T * pb * gap)[0]) / 2


@pytest.mark.parametrize("d", [2, 4])
@pytest.mark.parametrize("condition", [1.0, 100.0, 1e6])
@pytest.mark.parametrize("size", [1e-10, 1e-7, 1e-3, 0.3, 1.0])
def test_full_kl(d, condition, size):
    family = Gaussian(d)
    mean, covariance = random_moments(d, 3, condition)
    a = family.from_moments(mean, covariance)
    if size < 1:
        noise = np.random.default_rng(5).uniform(-1, 1, (d, d))
        linear, precision = unpack_natural(a, d)
        root = np.linalg.cholesky(precision)
        b = pack_natural(linear + size * root @ noise[0], precision + size / d * root @ (noise + noise.T) @ root.T / 2)
    else:
        b = family.from_moments(*random_moments(d, 4, 1e4))
    with mp.workdps(60):
        assert relative(family.kl(a, b), mp_kl(a, b, d)) < max(1e-9, 1e-15 * condition)
        assert relative(family.kl(b, a), mp_kl(b, a, d)) < max(1e-9, 1e-15 * condition)


def test_full_kl_of_very_different_scales():
    family = Gaussian(2)
    a = family.from_moments([0.0, 0.0], np.eye(2))
    for scale in (1e-60, 1e-10, 1e10, 1e60):
        b = family.from_moments([0.0, 0.0], np.diag([scale, 1.0]))
        with mp.workdps(150):
            assert relative(family.kl(a, b), mp_kl(a, b, 2)) < 1e-12
            assert relative(family.kl(b, a), mp_kl(b, a, 2)) < 1e-12


@pytest.mark.parametrize("d", [2, 4])
@pytest.mark.parametrize("condition", [1.0, 1e4, 1e8])
def test_full_round_trip_and_maps_up_to_the_condition_number(d, condition):
    family = Gaussian(d)
    _, covariance = random_moments(d, 9, condition)
    theta = family.from_moments(np.zeros(d), covariance)
    with mp.workdps(60):
        _, exact, _ = mp_moments(theta, d)
        truth = np.array([[float(exact[i, j]) for j in range(d)] for i in range(d)])
    _, second = unpack_statistics(family.to_mean(theta), d)
    assert np.abs(second - truth).max() < 1e-14 * condition * np.abs(truth).max()
    back = family.to_natural(family.to_mean(theta))
    assert np.abs(back - theta).max() < 1e-14 * condition * np.abs(theta).max()


@pytest.mark.parametrize("scale", [1e-120, 1e120])
def test_full_extreme_scales(scale):
    family = Gaussian(2)
    covariance = scale * np.array([[2.0, 0.5], [0.5, 1.0]])
    mean = np.array([1.0, -3.0]) * scale**0.5
    theta = family.from_moments(mean, covariance)
    back = family.to_natural(family.to_mean(theta))
    np.testing.assert_allclose(back, theta, rtol=1e-13)
    np.testing.assert_allclose(
        family.entropy(theta), stats.multivariate_normal(cov=covariance / scale).entropy() + np.log(scale)
    )
    assert np.all(np.isfinite(family.fisher_information(theta)))


@pytest.mark.parametrize("d", [1, 3])
def test_samples_follow_the_law(d):
    """A linear functional is Gaussian, the Mahalanobis distance is χ²(d)."""
    family = Gaussian(d)
    mean, covariance = random_moments(d, 2)
    x = family.sample(family.from_moments(mean, covariance), n=30_000, seed=8)
    centred = x - mean
    direction = np.arange(1.0, d + 1.0)
    z = centred @ direction / np.sqrt(direction @ covariance @ direction)
    assert stats.kstest(z, "norm").pvalue > ALPHA
    distance = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
    assert stats.kstest(distance, stats.chi2(d).cdf).pvalue > ALPHA
    diagonal = DiagonalGaussian(d)
    y = diagonal.sample(diagonal.from_moments(mean, np.diagonal(covariance)), n=30_000, seed=9)
    distance = np.sum((y - mean) ** 2 / np.diagonal(covariance), axis=-1)
    assert stats.kstest(distance, stats.chi2(d).cdf).pvalue > ALPHA


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 30])
def test_sum_law_of_the_full_gaussian(n):
    """Mean, scatter along a direction, determinant (a product of independent χ²) and an off-diagonal two-sample test."""
    d, size = 3, 20_000
    family = Gaussian(d)
    mean, covariance = random_moments(d, 6)
    theta = np.broadcast_to(family.from_moments(mean, covariance), (size, family.dim))
    phi = family.estimate_mean(theta, n=n, seed=n, method="sum-law").mean
    average, second = unpack_statistics(phi, d)
    direction = np.array([1.0, -2.0, 0.5])
    width = direction @ covariance @ direction
    z = (average - mean) @ direction * np.sqrt(n / width)
    assert stats.kstest(z, "norm").pvalue > ALPHA
    scatter = n * (second - average[:, :, None] * average[:, None, :])
    along = np.einsum("nij,i,j->n", scatter, direction, direction) / width
    if n > 1:
        assert stats.kstest(along, stats.chi2(n - 1).cdf).pvalue > ALPHA
    else:
        assert np.abs(along).max() < 1e-11
    rank = np.linalg.matrix_rank(scatter[:50], tol=1e-9)
    assert np.all(rank == min(n - 1, d))
    x = family.sample(theta[0], n=n * size, seed=100 + n).reshape(size, n, d)
    plain = family.statistic(x).mean(axis=1)
    for entry in range(family.dim):
        assert stats.ks_2samp(phi[:, entry], plain[:, entry]).pvalue > ALPHA
    if n > d:
        whitened = np.linalg.det(scatter) / np.linalg.det(covariance)
        rng = np.random.default_rng(n)
        product = np.prod([rng.chisquare(n - 1 - i, size) for i in range(d)], axis=0)
        assert stats.ks_2samp(whitened, product).pvalue > ALPHA


def test_packing_counts_products_once():
    family = Gaussian(2)
    linear, precision = np.array([1.0, 2.0]), np.array([[3.0, 0.5], [0.5, 4.0]])
    theta = pack_natural(linear, precision)
    x = np.array([0.3, -0.7])
    np.testing.assert_allclose(family.statistic(x) @ theta, linear @ x - 0.5 * x @ precision @ x, rtol=1e-15)
    for found, given in zip(unpack_natural(theta, 2), (linear, precision)):
        np.testing.assert_array_equal(found, given)


def test_positive_definite_matrix_by_matrix():
    matrices = np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]], np.diag([1e-200, 1e200])])
    assert is_positive_definite(matrices).tolist() == [True, False, False, True]
    assert is_positive_definite(np.zeros((0, 2, 2))).shape == (0,)
    assert is_positive_definite(np.eye(3)).shape == ()


FAMILIES = [
    (KnownVarianceGaussian(2.0), [0.3]),
    (DiagonalGaussian(2), [0.1, 0.2, -0.5, -1.0]),
    (LogNormal(), [0.1, -0.5]),
    (Gaussian(2), [0.1, 0.2, -0.5, 0.1, -1.0]),
]


@pytest.mark.parametrize(("family", "theta"), FAMILIES, ids=repr)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,), (2, 0)])
def test_shapes(family, theta, batch):
    theta = np.broadcast_to(theta, (*batch, family.dim))
    assert family.to_mean(theta).shape == family.to_natural(family.to_mean(theta)).shape == theta.shape
    assert family.log_partition(theta).shape == family.entropy(theta).shape == family.kl(theta, theta).shape == batch
    assert family.fisher_information(theta).shape == (*batch, family.dim, family.dim)
    assert family.sample(theta, n=4, seed=0).shape == (*batch, 4, *family.event_shape)
    for n in (1, 4):
        assert family.estimate_mean(theta, n=n, seed=0, method="sum-law").mean.shape == theta.shape


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize("family", [DiagonalGaussian, Gaussian])
def test_bad_dimension(family):
    for bad in (0, -1, 2.5, True):
        with pytest.raises(InvalidInput, match="n_variables is .* at least 1"):
            family(bad)


def test_bad_moments():
    diagonal, full = DiagonalGaussian(2), Gaussian(2)
    with pytest.raises(InvalidInput, match="every variance must be positive"):
        diagonal.from_moments([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(InvalidInput, match="the variance must have shape \\(\\.\\.\\., 2\\)"):
        diagonal.from_moments([0.0, 0.0], [1.0])
    with pytest.raises(InvalidInput, match="the mean has an entry that is not finite"):
        full.from_moments([0.0, np.nan], np.eye(2))
    with pytest.raises(InvalidInput, match="the mean must be an array of real numbers"):
        full.from_moments("no", np.eye(2))
    with pytest.raises(InvalidInput, match="the covariance must have shape \\(\\.\\.\\., 2, 2\\)"):
        full.from_moments([0.0, 0.0], [1.0, 1.0])
    with pytest.raises(InvalidInput, match="not symmetric"):
        full.from_moments([0.0, 0.0], [[1.0, 0.5], [0.4, 1.0]])
    with pytest.raises(InvalidInput, match="not positive definite"):
        full.from_moments([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]])


def test_points_outside():
    with pytest.raises(InvalidNaturalParameter, match="entry 3 .* must be negative"):
        DiagonalGaussian(2).to_mean([1.0, 1.0, -1.0, 0.0])
    with pytest.raises(InvalidMeanParameter, match="entry 2 .* must exceed the square of the mean"):
        DiagonalGaussian(2).to_natural([3.0, 0.0, 9.0, 1.0])
    with pytest.raises(InvalidNaturalParameter, match="agent 1 .* precision matrix must be positive definite"):
        Gaussian(2).to_mean([[0.0, 0.0, -0.5, 0.0, -0.5], [0.0, 0.0, -0.5, 2.0, -0.5]])
    with pytest.raises(InvalidMeanParameter, match="must be positive definite"):
        Gaussian(2).to_natural([1.0, 1.0, 1.0, 1.0, 1.0])
    with pytest.raises(InvalidData, match="must be positive"):
        LogNormal().statistic(0.0)
    edge = 0.1**2  # rounded up: above the exact square of the double 0.1, while its predecessor is below
    with mp.workdps(50):
        assert mp.mpf(edge) > mp.mpf(0.1) ** 2 > mp.mpf(float(np.nextafter(edge, 0.0)))
    for family in (Gaussian(1), DiagonalGaussian(1), LogNormal()):
        inside = family.in_mean_space(
            [[0.0, 1.0], [1.0, 1.0], [np.nan, 1.0], [0.1, edge], [0.1, np.nextafter(edge, 0.0)]]
        )
        assert inside.tolist() == [True, False, False, True, False]
