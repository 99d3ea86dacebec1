"""Draws of averages against SciPy's distributions of the sums, and at extremes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from expfam_game.kernels import sum_laws

CERTAIN = 1e-9
ROWS = 100_000
BLOCK = 1000


def draws(kernel, row, n, parameter=1.0, rows=ROWS):
    """Averages for one row of mean parameters, from a stream for every 1000 of them."""
    mean = np.tile(np.atleast_1d(np.asarray(row, dtype=np.float64)), (BLOCK, 1))
    out = np.empty((rows // BLOCK, *mean.shape))
    for block, part in enumerate(out):
        assert kernel(mean, float(n), parameter, np.uint64(2026), (0, block, 0), part) == 0
    return out.reshape(-1, mean.shape[1])


def assert_law(sums, law):
    """Kolmogorov's test of a continuous law; of counts, chi-square over cells of at least 20 expected."""
    if not hasattr(law.dist, "pmf"):
        assert stats.kstest(sums, law.cdf).pvalue > CERTAIN
        return
    assert np.array_equal(sums, np.round(sums))
    low, high = law.ppf(1e-4), law.ppf(1.0 - 1e-4)
    edges = np.unique(np.floor(np.linspace(low - 1.0, high, 200)))
    expected = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]])) * sums.size
    observed = np.bincount(np.searchsorted(edges, sums), minlength=edges.size + 1)
    rare = expected < 20.0
    cells = np.append(observed[~rare], observed[rare].sum()), np.append(expected[~rare], expected[rare].sum())
    used = cells[1] > 0.0
    assert cells[0][~used].sum() == 0
    if used.sum() > 1:
        statistic = np.sum((cells[0] - cells[1])[used] ** 2 / cells[1][used])
        if cells[1][used].min() >= 1.0:
            assert stats.chi2.sf(statistic, used.sum() - 1) > CERTAIN


def assert_mean_and_variance(x, mean, variance, fourth):
    """Seven standard errors: the sample variance of k draws has variance (fourth central moment − variance²)/k."""
    assert abs(x.mean() - mean) < 7.0 * np.sqrt(variance / x.size)
    assert abs(np.mean((x - mean) ** 2) - variance) < 7.0 * np.sqrt((fourth - variance**2) / x.size)


@pytest.mark.parametrize("n", [1, 2, 19, 20, 37, 200, 1000, 10**5])
@pytest.mark.parametrize("p", [1e-3, 0.05, 0.27, 0.5, 0.6, 0.999])
def test_T8_binomial_averages_follow_the_law_of_the_sum(n, p):
    assert_law(np.round(n * draws(sum_laws.binomial_means, p, n)[:, 0]), stats.binom(n, p))


@pytest.mark.parametrize(("n", "trials", "x"), [(7, 3.0, 1.2), (50, 12.0, 11.9), (1000, 5.0, 1e-4)])
def test_T8_binomial_averages_of_several_trials(n, trials, x):
    assert_law(
        np.round(n * draws(sum_laws.binomial_means, x, n, trials)[:, 0]), stats.binom(int(n * trials), x / trials)
    )


@pytest.mark.parametrize("rate", [1e-3, 0.5, 9.99, 10.0, 14.3, 57.0, 1234.5, 1e6])
def test_T8_poisson_averages_follow_the_law_of_the_sum(rate):
    n = 4
    assert_law(np.round(n * draws(sum_laws.poisson_means, rate / n, n)[:, 0]), stats.poisson(rate))


@pytest.mark.parametrize("n", [10**12, 10**15, 2**53])
@pytest.mark.parametrize("p", [0.5, 0.01, 1.0 - 1e-4])
def test_T8_binomial_averages_of_many_samples_are_normal(n, p):
    """The distance from the normal law is below 1/√(n p q), far below what 100,000 draws can see."""
    q = 1.0 - p
    z = (n * draws(sum_laws.binomial_means, p, n)[:, 0] - n * p) / np.sqrt(n * p * q)
    assert_law(z, stats.norm())


@pytest.mark.parametrize("rate", [1e12, 1e17])
def test_T8_poisson_averages_of_large_rates_are_normal(rate):
    z = (draws(sum_laws.poisson_means, rate, 1)[:, 0] - rate) / np.sqrt(rate)
    assert_law(z, stats.norm())


def test_T8_extreme_means_of_counts():
    n = 1000
    assert np.all(draws(sum_laws.binomial_means, 1e-300, n, rows=BLOCK) == 0.0)
    assert np.all(draws(sum_laws.poisson_means, 5e-324, n, rows=BLOCK) == 0.0)
    failures = n * (1.0 - draws(sum_laws.binomial_means, 1.0 - 2.0**-53, n, rows=BLOCK))
    assert np.all(failures == 0.0)
    for rate in (1e40, 1e305):  # narrower than the distance of doubles
        np.testing.assert_allclose(draws(sum_laws.poisson_means, rate, 10**4, rows=BLOCK), rate, rtol=1e-15)
    almost = 2.0**53 * (1.0 - draws(sum_laws.binomial_means, 1.0 - 2.0**-50, 2**53)[:, 0])
    assert_law(np.round(almost), stats.poisson(8.0))  # binomial(2^53, 2^-50): nearer to it than 2^-50


def test_T8_squeeze_bounds_the_probabilities():
    """What decides most candidates without a probability is really a bound, to the precision of SciPy's."""
    for n in (21, 37, 64, 150, 1000, 20_000, 10**6):
        for p in np.linspace(10.0 / n, 0.5, 12):
            variance, mode = n * p * (1.0 - p), np.floor((n + 1) * p)
            k = np.unique(np.clip(np.round(mode + np.linspace(-1, 1, 401) * min(variance / 2, 200)), 0, n))
            k = k[np.abs(k - mode) < 0.5 * variance - 1.0]
            log_ratio = stats.binom.logpmf(k, n, p) - stats.binom.logpmf(mode, n, p)
            for one, true in zip(k, log_ratio):
                low, high = sum_laws.squeeze(float(abs(one - mode)), float(variance))
                assert low - 1e-9 <= true <= high + 1e-9


def test_T8_multinomial_averages_follow_the_law_of_the_sum():
    """Every category is binomial, every pair has covariance −p_i p_j / n; a tiny rest keeps its share."""
    n, p = 40, np.array([0.4, 0.03, 0.2, 1e-9, 0.25])
    x = draws(sum_laws.multinomial_means, p, n)
    for k in (0, 1, 2, 4):
        assert_law(np.round(n * x[:, k]), stats.binom(n, p[k]))
    assert_law(np.round(n * (1.0 - x.sum(axis=1))), stats.binom(n, 1.0 - p.sum()))
    product = (x[:, 0] - p[0]) * (x[:, 2] - p[2])
    assert abs(product.mean() + p[0] * p[2] / n) < 7.0 * product.std() / np.sqrt(ROWS)


def test_T8_multinomial_keeps_the_digits_of_a_tiny_rest():
    """A first category of 1 − 2e-13: of 2^45 samples some 7 fall into the two others, as many as their own digits say."""
    n, p = 2**45, np.array([1.0 - 2.0**-42, 2.0**-44])
    x = draws(sum_laws.multinomial_means, p, n)
    assert_law(np.round(n * x[:, 1]), stats.poisson(2.0))
    assert_law(np.round(n * (1.0 - x[:, 0])), stats.poisson(8.0))


@pytest.mark.parametrize("n", [1, 2, 50, 10**9])
def test_T8_gamma_and_normal_averages_follow_the_law_of_the_sum(n):
    assert_law(draws(sum_laws.gamma_means, 3.0, n)[:, 0], stats.gamma(n, scale=3.0 / n))
    assert_law(draws(sum_laws.normal_means, -2.0, n, 0.25)[:, 0], stats.norm(-2.0, 0.5 / np.sqrt(n)))


@pytest.mark.parametrize("n", [2, 3, 1000])
def test_T8_gaussian_averages_are_normal_with_chi_square_scatter(n):
    mean, variance = np.array([1.5, -0.2]), np.array([0.3, 40.0])
    x = draws(sum_laws.diagonal_gaussian_means, np.concatenate([mean, mean**2 + variance]), n)
    for k in range(2):
        assert_law(x[:, k], stats.norm(mean[k], np.sqrt(variance[k] / n)))
        scatter = n * (x[:, 2 + k] - x[:, k] ** 2) / variance[k]
        # x² is subtracted again: where it is large, the smallest scatters are rounding.
        assert_law(scatter, stats.chi2(n - 1))
    assert abs(stats.spearmanr(x[:, 0], n * (x[:, 2] - x[:, 0] ** 2)).statistic) < 7.0 / np.sqrt(ROWS)


def test_T8_one_gaussian_sample_is_a_point():
    for kernel, parameter, row in (
        (sum_laws.diagonal_gaussian_means, 1.0, [0.3, 1.0]),
        (sum_laws.gaussian_means, 2.0, [0.3, -1.0, 1.0, 0.2, 3.0]),
    ):
        x = draws(kernel, row, 1, parameter, rows=BLOCK)
        d = 1 if len(row) == 2 else 2
        i, j = np.triu_indices(d)
        np.testing.assert_array_equal(x[:, d:], x[:, i] * x[:, j])
        assert x[:, 0].std() > 0.1


@pytest.mark.parametrize("n", [2, 3, 4, 60])
def test_T8_full_gaussian_averages_have_wishart_scatter(n):
    """Along any direction u the average is normal and the scatter is uᵀΣu χ²(n − 1); two directions share Wishart's covariance."""
    rng = np.random.default_rng(5)
    mean, root = rng.normal(size=3), np.tril(rng.normal(size=(3, 3))) + 2.0 * np.eye(3)
    sigma, (i, j) = root @ root.T, np.triu_indices(3)
    row = np.concatenate([mean, (sigma + np.outer(mean, mean))[i, j]])
    x = draws(sum_laws.gaussian_means, row, n, 3.0)
    second = np.zeros((ROWS, 3, 3))
    second[:, i, j] = second[:, j, i] = x[:, 3:]
    scatter = n * (second - x[:, :3, None] * x[:, None, :3])
    for u in (np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([0.5, -1.0, 0.7])):
        spread = u @ sigma @ u
        assert_law(x[:, :3] @ u, stats.norm(mean @ u, np.sqrt(spread / n)))
        assert_law((u @ scatter @ u) / spread, stats.chi2(n - 1))
    if n > 3:  # det W / det Σ is a product of independent χ² with n − 1, n − 2 and n − 3 degrees of freedom
        logs = np.log(np.linalg.det(scatter) / np.linalg.det(sigma))
        halves = 0.5 * (n - 1.0 - np.arange(3))
        from scipy.special import digamma, polygamma

        variance, fourth = polygamma(1, halves).sum(), polygamma(3, halves).sum()
        centre = np.sum(digamma(halves) + np.log(2.0))
        assert_mean_and_variance(logs, centre, variance, fourth + 3.0 * variance**2)
    else:
        assert np.all(np.abs(np.linalg.det(scatter)) < 1e-8 * np.abs(np.trace(scatter, axis1=1, axis2=2)) ** 3)


@pytest.mark.parametrize(
    ("kernel", "parameter", "rows"),
    [
        (sum_laws.binomial_means, 3.0, [[0.0], [1.0], [3.0], [np.nan], [-1.0]]),
        (sum_laws.poisson_means, 1.0, [[0.0], [1.0], [np.inf], [np.nan], [-1.0]]),
        (sum_laws.gamma_means, 1.0, [[0.0], [1.0], [np.inf], [np.nan], [-1.0]]),
        (sum_laws.multinomial_means, 1.0, [[0.5, 0.5], [0.2, 0.3], [0.0, 0.1], [np.nan, 0.1], [0.6, 0.5]]),
        (sum_laws.diagonal_gaussian_means, 1.0, [[1.0, 1.0], [1.0, 1.5], [2.0, 3.0], [np.nan, 1.0], [0.0, np.inf]]),
        (sum_laws.gaussian_means, 1.0, [[1.0, 1.0], [1.0, 1.5], [2.0, 3.0], [np.nan, 1.0], [0.0, np.inf]]),
    ],
)
def test_rows_outside_the_open_mean_space_are_counted_and_nan(kernel, parameter, rows):
    mean = np.array(rows)
    out = np.empty_like(mean)
    assert kernel(mean, 10.0, parameter, np.uint64(1), (0, 0, 0), out) == 4
    assert np.isfinite(out[1]).all()
    assert np.isnan(out[[0, 2, 3, 4]]).any(axis=1).all()


def test_streams_of_different_places_differ():
    mean = np.full((100, 1), 0.5)
    seen = set()
    for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]:
        out = np.empty_like(mean)
        sum_laws.binomial_means(mean, 1000.0, 1.0, np.uint64(1), place, out)
        seen.add(out.tobytes())
    assert len(seen) == 4
