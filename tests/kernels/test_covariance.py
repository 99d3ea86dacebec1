"""The covariance of the statistic from compiled draws: its exact law, the same bits whatever the threads, extremes."""

from __future__ import annotations

import numpy as np
import pytest

from expfam_game import families as f
from expfam_game.kernels import count_draws, covariance, draws
from expfam_game.kernels.bit_moments import bernoulli_draw
from expfam_game.kernels.covariance import block_size, scatter_matrices, scatters
from expfam_game.kernels.streams import StreamKey, seed_sequence, stream_key

KEY = stream_key(seed_sequence(12))
MATRIX = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])
TABLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 2.0], [-1.0, 0.5]])


def circle(family, theta):
    kappa = np.linalg.norm(theta, axis=1)
    return draws.von_mises_draw(theta / kappa[:, None], kappa, family._ratios(kappa)[1], family._to_mean(theta))


def sphere(family, theta):
    kappa = np.linalg.norm(theta, axis=1)
    return draws.sphere_draw(theta / kappa[:, None], kappa, family._ratios(kappa)[1], family._to_mean(theta))


def normal(family, theta):
    mean, variance = family._split(theta)
    return draws.normal_draw(mean, np.sqrt(variance))


def gaussian(family, theta):
    return draws.gaussian_draw(*family._split(theta), family._to_mean(theta))


def gamma(family, theta):
    return draws.gamma_draw(theta[:, 0], -theta[:, 1], family._to_mean(theta))


def dirichlet(family, theta):
    return draws.dirichlet_draw(theta, family._to_mean(theta))


def inverse_gaussian(_, theta):
    root = np.sqrt(-theta)
    return draws.inverse_gaussian_draw(root[:, 1] / root[:, 0], -2.0 * theta[:, 1])


def bernoulli(_, theta):
    return bernoulli_draw(1.0 / (1.0 + np.exp(np.abs(theta))), theta > 0)


def binomial(family, theta):
    return count_draws.binomial_draw(family.trials, 1.0 / (1.0 + np.exp(np.abs(theta))), theta > 0)


def table(family, theta):
    return count_draws.table_draw(family._probabilities(theta), family.table, family._to_mean(theta))


DRAWS = {
    "diagonal-gaussian": (f.DiagonalGaussian(2), f.DiagonalGaussian(2).from_moments([1.0, -20.0], [2.0, 0.1]), normal),
    "log-normal": (f.LogNormal(), [1.0, -2.0], normal),
    "gaussian": (f.Gaussian(3), f.Gaussian(3).from_moments([1.0, -2.0, 30.0], MATRIX), gaussian),
    "gamma": (f.Gamma(), [2.3, -1.5], gamma),
    "gamma-small": (f.Gamma(), [0.2, -0.01], gamma),
    "beta": (f.Beta(), [2.5, 0.4], dirichlet),
    "dirichlet": (f.Dirichlet(3), [0.5, 1.0, 4.0], dirichlet),
    "von-mises": (f.VonMises(), [1.0, -2.0], circle),
    "sphere": (f.VonMisesFisher(3), [1.0, -2.0, 0.5], sphere),
    "sphere-behind": (f.VonMisesFisher(6), [-9.0, 2.0, 0.5, 0.0, 0.0, 1.0], sphere),
    "inverse-gaussian": (f.InverseGaussian(), [-1.0, -0.5], inverse_gaussian),
    "exponential": (f.Exponential(), [-3.0], lambda _, theta: draws.exponential_draw(-1.0 / theta)),
    "bernoulli": (f.Bernoulli(3), [0.3, -2.0, 5.0], bernoulli),
    "poisson": (f.Poisson(), [1.2], lambda _, theta: count_draws.poisson_draw(np.exp(theta))),
    "poisson-large": (f.Poisson(), [12.0], lambda _, theta: count_draws.poisson_draw(np.exp(theta))),
    "binomial": (f.Binomial(9), [1.3], binomial),
    "binomial-large": (f.Binomial(10**6), [0.2], binomial),
    "geometric": (
        f.Geometric(),
        [-0.2],
        lambda family, theta: count_draws.geometric_draw(theta, family._to_mean(theta)),
    ),
    "negative-binomial": (
        f.NegativeBinomial(2.5),
        [-0.3],
        lambda _, theta: count_draws.negative_binomial_draw(np.exp(theta) / -np.expm1(theta), 2.5),
    ),
    "table": (f.Finite(TABLE), [0.7, -0.4], table),
}
EVERY = pytest.mark.parametrize("name", DRAWS)


def drawn(name, copies=1):
    """Family, θ and the draw of some agents with that θ."""
    family, theta, make = DRAWS[name]
    theta = np.array(theta)
    return family, theta, make(family, np.tile(theta, (copies, 1)))


def assert_exact_law(mean, matrix, expected, fisher, phi, n):
    """Mean and sample covariance within 7 standard deviations; those of the covariance from independent samples."""
    deviation = phi - expected
    fourth = np.mean((deviation[:, :, None] * deviation[:, None, :]) ** 2, axis=0)  # one factor of 2 to spare
    scale = np.sqrt(np.outer(np.diag(fisher), np.diag(fisher)))
    bound = np.sqrt(2.0 * fourth / n) + 7.0 * scale / n
    assert np.all(np.abs(mean - expected) <= 7.0 * np.sqrt(np.diag(fisher) / n))
    assert np.all(np.abs(matrix - fisher) <= 7.0 * bound)


@EVERY
def test_draws_have_the_exact_mean_and_fisher_information(name):
    n = 200_003
    family, theta, draw = drawn(name)
    mean, scatter = scatter_matrices([draw], n, KEY)
    phi = family._sample_statistic(theta, 200_000, np.random.default_rng(0))
    assert_exact_law(mean[0], scatter[0] / (n - 1), family.to_mean(theta), family.fisher_information(theta), phi, n)
    assert np.array_equal(scatter, np.swapaxes(scatter, 1, 2))


@EVERY
def test_threads_waves_and_other_agents_do_not_matter(name, monkeypatch):
    """One to seven threads, matrices added one by one, one agent alone: the same bits."""
    n = 70_001
    _, _, draw = drawn(name, copies=3)
    results = [scatter_matrices([draw], n, KEY, threads=threads) for threads in (1, 2, 7)]
    monkeypatch.setattr(covariance, "_ROWS", 1)
    results.append(scatter_matrices([draw], n, KEY))
    for mean, scatter in results[1:]:
        assert np.array_equal(mean, results[0][0])
        assert np.array_equal(scatter, results[0][1])
    mean, scatter = scatter_matrices([drawn(name)[2]], n, KEY)
    assert np.array_equal(mean[0], results[0][0][0])
    assert np.array_equal(scatter[0], results[0][1][0])
    assert not np.array_equal(results[0][0][0], results[0][0][1])


@pytest.mark.parametrize("name", ["diagonal-gaussian", "gamma", "sphere", "negative-binomial", "table"])
@pytest.mark.parametrize("n", [1, 2, 3, 255, 257, 4097])
def test_any_number_of_samples(name, n):
    """The squares alone belong to the same samples; one sample has no scatter; the rank is at most n − 1."""
    family, theta, draw = drawn(name, copies=2)
    mean, matrix = scatter_matrices([draw], n, KEY)
    again, squares = scatters([draw], n, KEY)
    assert np.array_equal(mean, again)
    size = np.sqrt(n * family.variance(theta)) + n * np.abs(mean).max()
    assert np.allclose(squares, np.einsum("aii->ai", matrix), rtol=1e-12, atol=1e-12 * np.max(size) ** 2)
    if n == 1:
        assert np.all(np.abs(matrix) <= 1e-13 * np.max(size) ** 2)


def test_outer_products_of_any_shape():
    """Against NumPy, for dimensions beside multiples of four."""
    random = np.random.default_rng(1)
    for dim in (1, 2, 3, 4, 5, 7, 8, 9, 17):
        slab, tasks = random.normal(size=(2, dim, 40)), np.array([[0, 0, 40, 1], [0, 1, 13, 1]])
        rows = np.zeros((2, dim, dim + 1))
        covariance._add_products(tasks, slab, rows)
        expected = slab[0] @ slab[0].T + slab[1, :, :13] @ slab[1, :, :13].T
        assert np.allclose(np.triu(rows[1, :, :-1]), np.triu(expected), rtol=1e-13, atol=1e-13)
        assert np.allclose(rows[1, :, -1], slab[0].sum(axis=1) + slab[1, :, :13].sum(axis=1), rtol=1e-13, atol=1e-13)
        assert not rows[0].any()


def test_blocks_are_even_and_fit_the_cache():
    for dim in (1, 2, 5, 100, 1000, 10**5):
        assert block_size(dim) % 256 == 0
        assert 256 <= block_size(dim) <= 1 << 14


def test_draws_side_by_side_are_independent_and_in_order():
    """Two copies of a Gamma law beside Poisson and Bernoulli laws: block-diagonal covariance, each block its own."""
    n = 200_003
    gamma_family, gamma_theta, pair = drawn("gamma", copies=4)
    poisson_family, poisson_theta, single = drawn("poisson", copies=2)
    bit_family, bit_theta, bits = drawn("bernoulli", copies=2)
    parts = [pair._replace(copies=2), single._replace(branch=1), bits._replace(branch=2)]
    mean, scatter = scatter_matrices(parts, n, KEY)
    assert mean.shape == (2, 8)
    family = f.Product([gamma_family, gamma_family, poisson_family, bit_family])
    theta = np.concatenate([gamma_theta, gamma_theta, poisson_theta, bit_theta])
    phi = family._sample_statistic(theta, 200_000, np.random.default_rng(0))
    for agent in range(2):
        expected, fisher = family.to_mean(theta), family.fisher_information(theta)
        assert_exact_law(mean[agent], scatter[agent] / (n - 1), expected, fisher, phi, n)


def test_extremes_stay_finite_and_to_scale():
    """Gamma of shape 1e-6, means and deviations of 1e70 and 1e-70, concentrations of 1e-12 and 1e10."""
    n = 100_000
    small = np.array([[1e-6, -1.0]])
    _, scatter = scatter_matrices([gamma(f.Gamma(), small)], n, KEY)
    assert abs(scatter[0, 0, 0] / n / 1e12 - 1.0) < 7.0 * np.sqrt(8.0 / n)  # log x is −Exponential/shape
    for size in (1e70, 1e-70):
        mean, variance = np.array([[size, -size]]), np.array([[size**2, size**2]])
        _, scatter = scatter_matrices([draws.normal_draw(mean, np.sqrt(variance))], n, KEY)
        exact = np.array([size**2, size**2, 6.0 * size**4, 6.0 * size**4])
        assert np.all(np.abs(np.diag(scatter[0]) / n / exact - 1.0) < 7.0 * np.sqrt(60.0 / n))
    for kappa in (1e-12, 1e10):
        theta = kappa * np.array([[0.6, 0.8]])
        _, scatter = scatter_matrices([circle(f.VonMises(), theta)], n, KEY)
        across = np.array([-0.8, 0.6]) @ scatter[0] @ np.array([-0.8, 0.6]) / n
        exact = np.array([-0.8, 0.6]) @ f.VonMises().fisher_information(theta[0]) @ np.array([-0.8, 0.6])
        assert abs(across / exact - 1.0) < 7.0 * np.sqrt(2.0 / n)


def test_streams_depend_on_key_and_branch():
    _, _, draw = drawn("gamma")
    one = scatter_matrices([draw], 100, StreamKey(5))[0]
    assert np.array_equal(one, scatter_matrices([draw], 100, StreamKey(5))[0])
    assert not np.array_equal(one, scatter_matrices([draw], 100, StreamKey(6))[0])
    assert not np.array_equal(one, scatter_matrices([draw._replace(branch=1)], 100, StreamKey(5))[0])


def test_alias_tables_hold_the_weights():
    """What a cell keeps and what others give it add up to its weight."""
    for weights in (np.array([1.0]), np.array([0.1, 0.7, 0.0, 0.2]), np.exp(-np.arange(50.0)), np.ones(7)):
        share, alias = count_draws.alias_table(weights)
        held = share.copy()
        np.add.at(held, alias, 1.0 - share)
        assert np.allclose(held / weights.size, weights / weights.sum(), rtol=0.0, atol=1e-15)


# ---------------------------------------------------------------------- through the families


@pytest.mark.parametrize(
    "name", ["diagonal-gaussian", "gaussian", "gamma", "beta", "dirichlet", "von-mises", "bernoulli"]
)
def test_families_return_the_covariance(name):
    family, theta, _ = drawn(name)
    n = 100_003
    estimate = family.estimate_mean(theta, n, 8, method="samples", covariance=True)
    phi = family._sample_statistic(theta, 200_000, np.random.default_rng(0))
    exact = family.to_mean(theta), family.fisher_information(theta)
    assert_exact_law(estimate.mean, estimate.covariance, *exact, phi, n)
    assert np.allclose(estimate.standard_error, np.sqrt(np.diag(estimate.covariance) / n), rtol=1e-12)


@pytest.mark.parametrize(
    ("family", "theta"),
    [
        (f.Poisson(), [1.2]),
        (f.Exponential(), [-3.0]),
        (f.Finite(TABLE), [0.7, -0.4]),
        (f.FromStatistic(lambda x: np.stack([x, x**2], axis=-1), None, np.arange(10.0)), [0.3, -0.1]),
        (f.FromStatistic(lambda x: np.stack([x, x**2], axis=-1), None, (-np.inf, np.inf)), [0.3, -0.5]),
        (f.Ising.complete(4), np.linspace(-0.5, 0.6, 10)),
        (f.MarkovChain(3, 7), np.linspace(-1.0, 1.0, 10)),
    ],
    ids=["Poisson", "Exponential", "Finite", "grid", "interval", "Ising", "MarkovChain"],
)
def test_covariance_of_the_same_samples(family, theta):
    """Where the statistic is counted or single, asking for the covariance changes neither mean nor error."""
    n = 70_001
    with_it = family.estimate_mean(theta, n, 8, method="samples", covariance=True)
    without = family.estimate_mean(theta, n, 8, method="samples")
    assert np.array_equal(with_it.mean, without.mean)
    assert np.allclose(with_it.standard_error, without.standard_error, rtol=1e-12)
