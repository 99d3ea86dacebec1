"""Fused moments: against the exact law, for any number of threads, at the edges of blocks and at the ends of ranges."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import expfam_game as eg
from expfam_game import families as f
from expfam_game.families.base import Family
from expfam_game.kernels import block_sums, count_moments, gamma_moments
from expfam_game.kernels.streams import StreamKey, seed_sequence, stream_key

KEY = stream_key(seed_sequence(11))
TABLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 2.0], [-1.0, 0.5]])
COVARIANCE = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])

FAMILIES: list[tuple[Family, list]] = [
    (f.Bernoulli(3), [0.3, -2.0, 5.0]),
    (f.Categorical(4), [0.3, -2.0, 1.0]),
    (f.Finite(TABLE), [0.7, -0.4]),
    (f.Poisson(), [1.2]),
    (f.Poisson(), [12.0]),
    (f.Geometric(), [-0.2]),
    (f.NegativeBinomial(2.5), [-0.3]),
    (f.Binomial(9), [1.3]),
    (f.Binomial(10**6), [0.2]),
    (f.Exponential(), [-3.0]),
    (f.Laplace(1.0), [-0.2]),
    (f.Weibull(1.5), [-2.0]),
    (f.KnownVarianceGaussian(4.0), [1.5]),
    (f.DiagonalGaussian(2), f.DiagonalGaussian(2).from_moments([1.0, -20.0], [2.0, 0.1])),
    (f.LogNormal(), [1.0, -2.0]),
    (f.Gaussian(3), f.Gaussian(3).from_moments([1.0, -2.0, 30.0], COVARIANCE)),
    (f.Gamma(), [2.3, -1.5]),
    (f.Gamma(), [0.2, -0.01]),
    (f.Beta(), [2.5, 0.4]),
    (f.Dirichlet(3), [0.5, 1.0, 4.0]),
    (f.VonMises(), [1.0, -2.0]),
    (f.VonMises(), [0.0, 0.0]),
    (f.VonMisesFisher(2), [1.0, -2.0]),
    (f.VonMisesFisher(3), [1.0, -2.0, 0.5]),
    (f.VonMisesFisher(6), [-9.0, 2.0, 0.5, 0.0, 0.0, 1.0]),
    (f.VonMisesFisher(4), [0.0, 0.0, 0.0, 0.0]),
    (f.InverseGaussian(), [-1.0, -0.5]),
    (f.Ising([(0, 1), (1, 2), (1, 3)], 5), [0.2, -0.3, 0.5, 1.0, -1.0, 0.4, -0.6, 0.9]),
    (f.Product([f.Poisson(), f.Gamma(), f.Poisson()]), [0.3, 2.0, -1.0, 0.3]),
]
IDS = [f"{k}-{family!r}".replace(" ", "") for k, (family, _) in enumerate(FAMILIES)]
EVERY = pytest.mark.parametrize(("family", "theta"), FAMILIES, ids=IDS)


class Streamed(f.DiagonalGaussian):
    """A family as a user writes one: its samples are streamed through NumPy."""

    def _fused_moments(self, theta, n, key):
        return None

    def _covariance_draws(self, theta):
        return None


def central_fourth_moments(family: Family, theta: np.ndarray, size: int = 400_000) -> np.ndarray:
    """E(φ − μ)⁴ by NumPy's samples: only sets the width of a bound, with a factor two to spare."""
    phi = family._sample_statistic(theta, size, np.random.default_rng(0))
    return np.mean((phi - family.to_mean(theta)) ** 4, axis=0)


@EVERY
def test_mean_and_scatter_have_the_exact_law(family, theta):
    theta, n = np.array(theta), 300_007
    mean, scatter = family._fused_moments(theta[None], n, KEY)
    variance = family.variance(theta)
    assert np.all(np.abs(mean[0] - family.to_mean(theta)) <= 7.0 * np.sqrt(variance / n))
    spread = np.sqrt(2.0 * central_fourth_moments(family, theta) / n) + 7.0 * variance / n
    assert np.all(np.abs(scatter[0] / (n - 1) - variance) <= 7.0 * spread)


@EVERY
def test_repeated_estimates_are_spread_as_they_say(family, theta):
    """χ² of 400 estimates from 50 samples each: the agents' streams are independent."""
    theta, n, agents = np.array(theta), 50, 400
    mean, scatter = family._fused_moments(np.tile(theta, (agents, 1)), n, KEY)
    variance = family.variance(theta)
    z = (mean - family.to_mean(theta)) * np.sqrt(n / variance)
    kurtosis = 3.0 + central_fourth_moments(family, theta) / variance**2 / n
    assert np.all(np.abs(np.mean(z**2, axis=0) - 1.0) < 7.0 * np.sqrt(kurtosis / agents))
    assert np.all(np.abs(z.mean(axis=0)) < 7.0 / np.sqrt(agents))
    assert np.all(np.abs(np.mean(z[1:] * z[:-1], axis=0)) < 7.0 * np.sqrt(kurtosis / agents))
    assert scatter.shape == mean.shape
    assert np.all(scatter >= 0.0)


@EVERY
def test_one_sample_has_no_scatter_and_is_a_statistic(family, theta):
    mean, scatter = family._fused_moments(np.tile(theta, (20, 1)), 1, KEY)
    assert np.all(np.isfinite(mean))
    size = 1.0 + np.abs(mean) + np.sqrt(family.variance(np.array(theta)))
    assert np.all(scatter <= 1e-12 * size**2)


@EVERY
def test_agents_do_not_depend_on_each_other(family, theta):
    thetas = np.array([theta, np.array(theta) * 1.01, np.array(theta) * 0.99])
    together = family.estimate_mean(thetas, 5000, 3, method="samples")
    alone = family.estimate_mean(thetas[0], 5000, 3, method="samples")
    assert np.array_equal(together.mean[0], alone.mean)
    assert np.array_equal(together.standard_error[0], alone.standard_error)
    again = family.estimate_mean(thetas, 5000, 4, method="samples")
    assert not np.array_equal(together.mean, again.mean)


@EVERY
def test_threads_do_not_matter(family, theta, monkeypatch):
    monkeypatch.setattr(block_sums, "BLOCK", 4096)
    monkeypatch.setattr(block_sums, "COUNT_BLOCK", 4096)
    monkeypatch.setattr(block_sums, "_WORTH_A_THREAD", 0)
    monkeypatch.setattr(block_sums, "_COUNT_WORTH_A_THREAD", 0)
    results = []
    for threads in (1, 2, 7):
        monkeypatch.setattr(block_sums, "default_threads", lambda threads=threads: threads)
        results.append(family._fused_moments(np.tile(theta, (3, 1)), 70_001, KEY))
    for other in results[1:]:
        assert np.array_equal(results[0][0], other[0])
        assert np.array_equal(results[0][1], other[1])


def test_many_counts_in_smaller_blocks(monkeypatch):
    """All samples are counted, once, whatever the number of threads, where blocks are a quarter as long."""
    monkeypatch.setattr(block_sums, "COUNT_BLOCK", 4096)
    p, n = np.linspace(0.01, 0.5, block_sums._MANY_SUMS + 1), 70_001
    parameters = p[None], np.zeros((1, p.size), dtype=bool), n, KEY
    one, two = (count_moments.bernoulli_moments(*parameters, threads=threads)[0] for threads in (1, 2))
    assert np.array_equal(one, two)
    assert np.all(np.abs(one[0] - p) < 7.0 * np.sqrt(p * (1.0 - p) / n))


def test_order_of_the_tasks_does_not_matter():
    """Ranges of tasks run backwards and one by one write the same rows."""
    rows = []
    for ranges in ([(0, 12)], [(k, k + 1) for k in range(11, -1, -1)], [(6, 12), (0, 6)]):
        plan = np.array([14_000, 4096, 0, 4, 0], dtype=np.int64)
        out = np.zeros((12, 2))
        for first, last in ranges:
            gamma_moments.exponential_kernel(first, last, plan, np.uint64(KEY.key), out)
        rows.append(out)
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])


@pytest.mark.parametrize(
    "n", [1, 2, 959, 960, 961, 1023, 1025, block_sums.BLOCK - 1, block_sums.BLOCK, block_sums.BLOCK + 1]
)
def test_every_sample_is_counted_once(n):
    """The mean of exponentials from the sums of a reference that draws them block by block."""
    from expfam_game.kernels import random_words, samplers

    total = []
    for block, start in enumerate(range(0, n, block_sums.BLOCK)):
        size = min(block_sums.BLOCK, n - start)
        state = np.zeros(random_words.STATE, np.uint64)
        random_words.open_stream(state, np.uint64(KEY.key), 0, 0, block)
        for done in range(0, size, random_words.WORDS):
            m = min(random_words.WORDS, size - done)
            x = np.empty(m + m % 2)
            samplers.fill_exponential(x, np.empty(x.size, np.uint64), state)
            total.append(x[:m])
    x = np.concatenate(total)
    assert x.size == n
    mean, scatter = gamma_moments.exponential_moments(np.ones((1, 1)), n, KEY)
    assert mean[0, 0] == pytest.approx(x.mean(), rel=1e-12)
    assert scatter[0, 0] == pytest.approx(np.sum((x - x.mean()) ** 2), rel=1e-11, abs=1e-15)


def test_waves_are_only_a_matter_of_memory(monkeypatch):
    monkeypatch.setattr(block_sums, "BLOCK", 1024)
    expected = gamma_moments.exponential_moments(np.ones((2, 1)), 20_000, KEY)
    for wave in (1, 3, 1000):
        monkeypatch.setattr(block_sums, "_WAVE", wave)
        assert np.array_equal(gamma_moments.exponential_moments(np.ones((2, 1)), 20_000, KEY), expected)


def test_factors_of_a_product_have_streams_of_their_own():
    """Equal factors in separate groups would give equal estimates if they shared a stream."""
    family = f.Product([f.Gamma(), f.Poisson(), f.Gamma()])
    theta = np.array([2.0, -1.0, 0.0, 2.0, -1.0])
    mean, _ = family._fused_moments(np.tile(theta, (2000, 1)), 10, KEY)
    standard = (mean - family.to_mean(theta)) * np.sqrt(10.0 / family.variance(theta))
    for i, j in ((0, 3), (0, 2), (1, 4), (2, 3)):
        assert abs(np.mean(standard[:, i] * standard[:, j])) < 7.0 * np.sqrt(1.5 / 2000)
    alone, _ = f.Poisson()._fused_moments(np.zeros((1, 1)), 1000, KEY)
    branch, _ = f.Poisson()._fused_moments(np.zeros((1, 1)), 1000, KEY.child(1))
    assert alone[0, 0] != branch[0, 0]


def test_product_without_kernels_for_all_factors_is_streamed():
    family = f.Product([f.Poisson(), Streamed(1)])
    theta = np.array([0.3, 1.0, -0.5])
    assert family._fused_moments(theta[None], 10, KEY) is None
    estimate = family.estimate_mean(theta, 20_000, 0, method="samples")
    assert np.all(np.abs(estimate.mean - family.to_mean(theta)) < 7.0 * np.sqrt(family.variance(theta) / 20_000))


def test_bernoulli_counts_are_whole_and_consistent():
    p = np.array([[1e-300, 0.3, 0.5]])
    mean, scatter = count_moments.bernoulli_moments(p, np.array([[False, True, False]]), 1000, KEY)
    assert np.array_equal(np.rint(mean * 1000), mean * 1000)
    assert np.allclose(scatter, 1000 * mean * (1 - mean), rtol=1e-12)
    assert mean[0, 0] == 0.0


def test_histogram_in_any_order_of_the_cells():
    weights = np.array([[0.1, 0.5, 0.0, 0.4]])
    counts = count_moments.histogram(weights, 10**5, KEY)
    assert counts.sum() == 10**5
    assert counts[0, 2] == 0.0
    assert np.all(np.abs(counts - 1e5 * weights) <= 7.0 * np.sqrt(1e5 * weights * (1 - weights)))


@pytest.mark.parametrize("kappa", [1e-12, 1e6, 1e10])
def test_concentrated_directions(kappa):
    """The component across the mean direction has variance A/κ, the one along it 1/(2κ²): both to their own scale."""
    n, direction = 200_000, np.array([[1.0, 0.0]])
    theta = kappa * direction
    mean, scatter = f.VonMises()._fused_moments(theta, n, KEY)
    variance = f.VonMises().variance(theta)[0]
    assert np.all(np.abs(scatter[0] / n / variance - 1.0) < 7.0 * np.sqrt(60.0 / n))
    assert abs(mean[0, 1]) < 7.0 * np.sqrt(variance[1] / n)


@pytest.mark.parametrize(
    "theta", [[2.0, -1.0, 0.5], [-2.0, 1.0, 3.0], [0.0, 0.0, -4.0], [0.0, 0.0, 0.0], [-1e6, 0.0, 0.0]]
)
def test_single_samples_are_unit_vectors(theta):
    """With n = 1 the mean is the sample: this fixes the signs of all deviations."""
    theta = np.tile(theta, (50, 1))
    sphere, _ = f.VonMisesFisher(3)._fused_moments(theta, 1, KEY)
    assert np.allclose(np.sum(sphere**2, axis=1), 1.0, rtol=1e-12)
    circle, _ = f.VonMises()._fused_moments(theta[:, :2], 1, KEY)
    assert np.allclose(np.sum(circle**2, axis=1), 1.0, rtol=1e-12)


def test_single_samples_of_other_laws():
    """Likewise: what one sample's statistics must satisfy, whatever the sample."""
    agents = 50
    log_x, x = f.Gamma()._fused_moments(np.tile([2.0, -3.0], (agents, 1)), 1, KEY)[0].T
    assert np.allclose(np.exp(log_x), x, rtol=1e-12)
    shares = f.Dirichlet(4)._fused_moments(np.tile([0.5, 2.0, 30.0, 1e-3], (agents, 1)), 1, KEY)[0]
    assert np.allclose(np.exp(shares).sum(axis=1), 1.0, rtol=1e-12)
    x, inverse = f.InverseGaussian()._fused_moments(np.tile([-1.0, -0.5], (agents, 1)), 1, KEY)[0].T
    assert np.allclose(x * inverse, 1.0, rtol=1e-12)
    x, square = f.LogNormal()._fused_moments(np.tile([1.0, -2.0], (agents, 1)), 1, KEY)[0].T
    assert np.allclose(x**2, square, rtol=1e-9)
    theta = f.Gaussian(2).from_moments([1.0, -2.0], COVARIANCE[:2, :2])
    x, y, xx, xy, yy = f.Gaussian(2)._fused_moments(np.tile(theta, (agents, 1)), 1, KEY)[0].T
    assert np.allclose(np.stack([x * x, x * y, y * y]), [xx, xy, yy], rtol=1e-9, atol=1e-12)
    family = f.Ising([(0, 1), (1, 2), (3, 1)], 5)
    spins = family._fused_moments(np.tile(np.linspace(-1.0, 1.0, 8), (agents, 1)), 1, KEY)[0]
    assert np.array_equal(np.abs(spins), np.ones_like(spins))
    for edge, (s, t) in enumerate(family.edges):
        assert np.array_equal(spins[:, 5 + edge], spins[:, s] * spins[:, t])
    rows = f.Finite(TABLE)._fused_moments(np.tile([0.7, -0.4], (agents, 1)), 1, KEY)[0]
    assert np.all(np.min(np.abs(rows[:, None] - TABLE).max(axis=2), axis=1) < 1e-12)


@pytest.mark.parametrize("shape", [1e-6, 0.999, 1.0, 3.0, 1e6, 1e12])
def test_gamma_moments_of_any_shape(shape):
    theta, n = np.array([shape, -2.0 * shape]), 100_000
    mean, _ = f.Gamma()._fused_moments(theta[None], n, KEY)
    variance = f.Gamma().variance(theta)
    bulk = np.array([True, shape > 1e-3])  # elsewhere a mean of so few samples has no nearly normal law
    assert np.all((np.abs(mean[0] - f.Gamma().to_mean(theta)) <= 7.0 * np.sqrt(variance / n))[bulk])


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024])
@pytest.mark.parametrize("span", [0.0, 1.0, 1000.0])
def test_sum_of_logarithms(size, span):
    """Against the logarithms one by one, from 2^-1000 to 2^1000: neither over- nor underflow, nor more rounding."""
    rng = np.random.default_rng(3)
    x = np.ldexp(rng.uniform(1.0, 2.0, size), np.rint(rng.uniform(-span, span, size)).astype(int))
    expected = math.fsum(math.log(value) for value in x)
    assert gamma_moments.sum_of_logarithms(x) == pytest.approx(expected, rel=0.0, abs=1e-15 * (1.0 + span) * (size + 1))
    largest = np.full(size, np.nextafter(2.0, 1.0))
    assert gamma_moments.sum_of_logarithms(largest) == pytest.approx(size * math.log(2.0), rel=1e-13)


@pytest.mark.parametrize(
    ("family", "theta"),
    [
        (f.Gamma(), [2.3, -1.5]),
        (f.Beta(), [2.5, 0.4]),
        (f.Dirichlet(3), [0.5, 1.0, 4.0]),
        (f.Gaussian(3), f.Gaussian(3).from_moments([1.0, -2.0, 30.0], COVARIANCE)),
    ],
    ids=["Gamma", "Beta", "Dirichlet", "Gaussian"],
)
def test_standard_errors_from_the_exact_variance(family, theta):
    """Of Gamma, Beta, Dirichlet and Gaussian; their covariance still comes from samples, and agrees."""
    n = 20_000
    exact = np.sqrt(family.variance(theta) / n)
    assert np.allclose(family.estimate_mean(theta, n, 0, method="samples").standard_error, exact, rtol=1e-14)
    sampled = family.estimate_mean(theta, n, 0, method="samples", covariance=True).standard_error
    assert np.all(sampled != exact)
    spread = np.sqrt(2.0 * central_fourth_moments(family, np.array(theta)) / n) / family.variance(theta)
    assert np.all(np.abs((sampled / exact) ** 2 - 1.0) <= 7.0 * spread + 1e-3)


@pytest.mark.parametrize("d", [1, 2, 5, 16])
@pytest.mark.parametrize("n", [1, 3, 511, 513, 1025, block_sums.BLOCK + 1])
def test_gaussian_sums_are_those_of_the_vectors(d, n):
    """Against NumPy's products of all vectors x = m + rootᵀ z, from the numbers of the same streams."""
    from expfam_game.kernels import gaussian_moments, random_words, samplers

    rng = np.random.default_rng(5)
    mean, root = rng.normal(size=(1, d)), rng.normal(size=(1, d, d))
    parts = []
    for block, start in enumerate(range(0, n, block_sums.BLOCK)):
        size, state = min(block_sums.BLOCK, n - start), np.zeros(random_words.STATE, np.uint64)
        random_words.open_stream(state, np.uint64(KEY.key), 0, 0, block)
        for done in range(0, size, random_words.WORDS // 2):
            m = min(random_words.WORDS // 2, size - done)
            z = np.empty(d * (m + m % 2))
            for first in range(0, z.size, random_words.WORDS):
                piece = z[first : first + random_words.WORDS]
                samplers.fill_normal(piece, np.empty(piece.size, np.uint64), state)
            parts.append(z.reshape(d, -1)[:, :m].T)
    x = mean + np.concatenate(parts) @ root[0]
    assert len(x) == n
    pairs = np.triu_indices(d)
    centre = np.concatenate([mean[0], (np.outer(mean, mean) + root[0].T @ root[0])[pairs]])[None]
    variance = np.ones_like(centre)
    found, scatter = gaussian_moments.gaussian_moments(mean, root, centre, variance, n, KEY)
    expected = np.concatenate([x.mean(axis=0), (x.T @ x / n)[pairs]])
    assert np.allclose(found[0], expected, rtol=1e-12, atol=1e-12 * np.abs(centre).max())
    assert np.array_equal(scatter, (n - 1) * variance)


@pytest.mark.parametrize("shift", [0.0, 1e8, 1e70])
def test_gaussian_means_far_from_zero(shift):
    """Errors of 300 agents, each to the scale of its own law: deviations are exact before the mean is added."""
    from expfam_game.kernels.gaussian_moments import gaussian_moments

    agents, n = 300, 1000
    mean = np.tile([shift, -2.0 * shift, 0.5], (agents, 1))
    root = np.tile(np.linalg.cholesky(COVARIANCE).T, (agents, 1, 1))
    i, j = np.triu_indices(3)
    m, c, v = mean[0], COVARIANCE, np.diag(COVARIANCE)
    pairs = v[i] * v[j] + c[i, j] ** 2 + m[i] ** 2 * v[j] + m[j] ** 2 * v[i] + 2.0 * m[i] * m[j] * c[i, j]
    variance = np.concatenate([v, pairs])  # fourth moments by Isserlis
    centre = np.zeros((agents, 9))
    errors = gaussian_moments(mean, root, centre, np.tile(variance, (agents, 1)), n, KEY)[0] * np.sqrt(n / variance)
    assert np.all(np.abs(errors.mean(axis=0)) < 7.0 / np.sqrt(agents))
    assert np.all(np.abs(np.mean(errors**2, axis=0) - 1.0) < 7.0 * np.sqrt(2.1 / agents))
    if shift > 0.0:  # then x² is m² + 2 m y, up to y²
        assert np.allclose(errors[:, 0], errors[:, 3], rtol=0.0, atol=1e-13 + 100.0 / shift)


@pytest.mark.parametrize(
    "alpha",
    [[1e-6, 1e-3], [1e-3, 1e-3, 1e-3], [0.3, 0.2], [1e6, 1e-3], [1e12, 1.0, 1.0], [1e12, 1e12], [1.0] * 5, [0.24] * 9],
    ids=str,
)
def test_dirichlet_moments_of_any_concentrations(alpha):
    """Shares that are nearly certain, that underflow, and plain ones: each to the scale of its own deviation."""
    alpha, n = np.array(alpha), 50_000
    family = f.Dirichlet(alpha.size)
    mean, _ = family._fused_moments(alpha[None], n, KEY)
    exact, variance = family.to_mean(alpha), family.variance(alpha)
    assert np.all(np.isfinite(mean))
    assert np.all(mean < 0.0)
    bulk = variance < 100.0 * exact**2  # elsewhere a mean of so few samples has no nearly normal law
    assert np.all((np.abs(mean[0] - exact) <= 7.0 * np.sqrt(variance / n))[bulk])
    assert bulk.any()


@pytest.mark.parametrize("alpha", [[2.0, 3.0, 1.5], [0.5, 0.7, 1.3], [0.1, 0.2, 0.05]])
def test_errors_of_shares_go_together(alpha):
    """The covariance of the errors of 500 estimates: the shares of a sample come from the same variates."""
    family, alpha = f.Dirichlet(3), np.array(alpha)
    agents, n = 500, 200
    mean, _ = family._fused_moments(np.tile(alpha, (agents, 1)), n, KEY)
    errors = (mean - family.to_mean(alpha)) * np.sqrt(n)
    exact = family.fisher_information(alpha)
    spread = np.sqrt(3.5 * np.outer(np.diag(exact), np.diag(exact)) / agents)
    assert np.all(np.abs(errors.T @ errors / agents - exact) < 7.0 * spread)


@pytest.mark.parametrize("n", [4095, 4096])
def test_von_mises_with_and_without_a_table(n):
    """Errors of 300 agents on either side of the number of samples from which a table is made."""
    theta, family = np.array([1.5, -0.7]), f.VonMises()
    mean, scatter = family._fused_moments(np.tile(theta, (300, 1)), n, KEY)
    variance = family.variance(theta)
    z = (mean - family.to_mean(theta)) * np.sqrt(n / variance)
    assert np.all(np.abs(np.mean(z**2, axis=0) - 1.0) < 7.0 * np.sqrt(2.1 / 300))
    assert np.all(np.abs(z.mean(axis=0)) < 7.0 / np.sqrt(300))
    assert np.all(np.abs(scatter.mean(axis=0) / n / variance - 1.0) < 7.0 * np.sqrt(20.0 / (300 * n)))


def test_shape_of_one_hundredth_keeps_its_logarithm():
    """NumPy and JAX return −∞: log x underflows in them. The truth is ψ(0.01) = −100.56."""
    estimate = f.Gamma().estimate_mean([0.01, -1.0], 10**6, 1, method="samples")
    assert estimate.mean[0] == pytest.approx(-100.5608854578687, abs=7.0 * 100.0 / 1e3)
    assert estimate.standard_error[0] == pytest.approx(0.1, rel=0.05)


def test_key_is_all_that_matters():
    one = gamma_moments.exponential_moments(np.ones((1, 1)), 100, StreamKey(5))
    assert np.array_equal(one, gamma_moments.exponential_moments(np.ones((1, 1)), 100, StreamKey(5, 0)))
    assert not np.array_equal(one, gamma_moments.exponential_moments(np.ones((1, 1)), 100, StreamKey(6)))


def test_using_a_family_loads_no_moment_kernel():
    code = (
        "import expfam_game as eg, sys; g = eg.families.Gamma(); g.to_mean([1.0, -1.0]); g.sample([1.0, -1.0], 3, 0);"
        "eg.families.Poisson().estimate_mean([0.0], 5, 0);"
        "assert not [name for name in sys.modules if name.startswith('expfam_game.kernels') and name.endswith('_moments')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_breaks_where_no_cache_can_be_written(tmp_path):
    """A copy of the package whose cache folders are plain files, and no writable home: compiled anew, same numbers."""
    copy = tmp_path / "expfam_game"
    source = Path(eg.__file__).parent
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [copy, *(p for p in copy.rglob("*") if p.is_dir())]:
        (folder / "__pycache__").write_text("")
    blocked = tmp_path / "file"
    blocked.write_text("")
    code = (
        "import expfam_game as eg; from expfam_game.kernels import gamma_moments;"
        f"assert eg.__file__.startswith({str(tmp_path)!r});"
        "print(repr(float(eg.families.Exponential().estimate_mean([-1.0], 1000, 0, method='samples').mean[0])));"
        "print(type(gamma_moments.exponential_kernel._cache).__name__)"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG"))}
    home = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked), "NUMBA_CACHE_DIR": str(blocked / "deeper")}
    environment = kept | home | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    mean, cache = result.stdout.split()
    assert float(mean) == f.Exponential().estimate_mean([-1.0], 1000, 0, method="samples").mean[0]
    assert cache == "NullCache"


# ---------------------------------------------------------------------- covariance of the statistic


@pytest.mark.parametrize("n", [2, 1000, (1 << 15) + 7])
def test_covariance_is_that_of_the_samples(n):
    """Against numpy.cov of the same streams, over a block boundary too."""
    from expfam_game.families.base import _BLOCK
    from expfam_game.kernels.streams import stream

    family, theta = Streamed(2), f.DiagonalGaussian(2).from_moments([1.0, 50.0], [2.0, 0.1])
    estimate = family.estimate_mean(np.array([theta, theta]), n, 4, method="samples", covariance=True)
    sizes = [min(_BLOCK, n - start) for start in range(0, n, _BLOCK)]
    blocks = [family._sample_statistic(theta, size, stream(seed_sequence(4), 1, b)) for b, size in enumerate(sizes)]
    phi = np.concatenate(blocks)
    expected = np.cov(phi, rowvar=False)
    assert estimate.covariance.shape == (2, 4, 4)
    assert np.allclose(estimate.covariance[1], expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    assert np.allclose(estimate.standard_error[1], np.sqrt(np.diag(expected) / n), rtol=1e-10)
    assert np.allclose(estimate.mean[1], phi.mean(axis=0), rtol=1e-12)


def test_covariance_of_the_law_and_of_one_sample():
    family, theta = f.Categorical(3), np.array([0.3, -0.2])
    exact = family.estimate_mean(theta, 10, 0, covariance=True)
    assert exact.method == "sum-law"
    assert np.array_equal(exact.covariance, family.fisher_information(theta))
    single = family.estimate_mean(theta, 1, 0, method="samples", covariance=True)
    assert np.all(np.isinf(single.covariance))
    assert np.all(np.isinf(single.standard_error))
    assert family.estimate_mean(theta, 10, 0).covariance is None
    assert family.estimate_mean(theta, 10, 0, method="samples").covariance is None
    assert family.estimate_mean(np.zeros((0, 2)), 10, 0, method="samples", covariance=True).covariance.shape == (
        0,
        2,
        2,
    )
