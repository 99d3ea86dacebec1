"""Single draws out of the compiled kernels, through the cumulative distributions of SciPy and closed forms.

``estimate_mean`` with one sample for each of many agents returns the statistic of that sample, drawn by the same kernel
that accumulates millions: sampler, parameters, streams of the agents and accumulation are tested together.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats

from expfam_game import families as f
from expfam_game.families.base import Family

N = 20_000
CERTAIN = 1e-10
"""A test that falsely alarms does so with at most this probability, at each of at most six looks: below 1e-9 together."""


def single_draws(family: Family, theta: list[float] | np.ndarray, seed: int = 7) -> np.ndarray:
    """The statistic of one draw for each of N agents, shape (N, dim)."""
    estimate = family.estimate_mean(np.tile(np.asarray(theta, float), (N, 1)), 1, seed, method="samples")
    assert estimate.n == 1
    return np.asarray(estimate.mean)


def assert_uniform(u: np.ndarray) -> None:
    """Values of a cumulative distribution at its own draws, and at both ends, where Kolmogorov's test sees little."""
    assert np.all((u >= 0.0) & (u <= 1.0))
    assert stats.kstest(u, "uniform").pvalue > CERTAIN
    for tail in (u, 1.0 - u):
        for level in (1e-2, 1e-3):
            count = int((tail < level).sum())
            law = stats.binom(u.size, level)
            assert 2.0 * min(law.cdf(count), law.sf(count - 1)) > CERTAIN


def assert_counts(x: np.ndarray, law) -> None:
    """Whole numbers of this law: each put at random between its values of the cumulative distribution; and the frequencies
    of values that are expected twenty times at least."""
    assert np.array_equal(x, np.rint(x))
    assert x.min() >= 0
    assert_uniform(law.cdf(x - 1.0) + np.random.default_rng(0).random(x.size) * law.pmf(x))
    start = np.floor(max(law.mean() - 4.0 * law.std(), 0.0))
    values = start + np.arange(min(10.0 * law.std() + 2.0, 1000.0))
    expected = x.size * law.pmf(values)
    values, expected = values[expected >= 20.0], expected[expected >= 20.0]
    observed = np.array([np.count_nonzero(x == value) for value in values])
    rest = x.size - expected.sum()
    if rest >= 20.0:
        observed, expected = np.append(observed, x.size - observed.sum()), np.append(expected, rest)
    if expected.size > 1:
        statistic = float(((observed - expected) ** 2 / expected).sum())
        assert stats.chi2.sf(statistic, expected.size - (rest >= 20.0)) > CERTAIN


# ---------------------------------------------------------------------- Gamma, Beta, Dirichlet


@pytest.mark.parametrize("shape", [1e-6, 1e-2, 0.5, 1.0, 7.0, 1e3, 1e8, 1e12])
@pytest.mark.parametrize("rate", [1.0, 1e-3])
def test_gamma(shape, rate):
    """P(rate x ≤ e^t) from t, for e^t underflows with small shapes: then it is e^(shape t)/Γ(shape + 1) to rounding."""
    log_x, x = single_draws(f.Gamma(), [shape, -rate]).T
    t = log_x + np.log(rate)
    tiny = t < -40.0
    below = np.exp(shape * np.minimum(t, -40.0) - special.gammaln(1.0 + shape))
    u = np.where(tiny, below, special.gammainc(shape, np.exp(np.where(tiny, 0.0, t))))
    assert_uniform(u)
    np.testing.assert_allclose(x, np.exp(log_x), rtol=1e-12, atol=1e-16 / rate)
    if shape == 1e-6:
        assert log_x.min() < -1e4


def beta_uniforms(a: float, b: float, log_x: np.ndarray, log_rest: np.ndarray) -> np.ndarray:
    """P(X ≤ x) for X ~ Beta(a, b) from both logarithms, through the smaller of x and 1 − x."""

    def lower(p: float, q: float, log_value: np.ndarray) -> np.ndarray:
        tiny = log_value < -300.0  # e^(p log)/(p B(p, q)) up to a factor 1 + O(q e^log)
        below = np.exp(p * np.minimum(log_value, -300.0) - np.log(p) - special.betaln(p, q))
        return np.where(tiny, below, special.betainc(p, q, np.exp(np.where(tiny, -1.0, log_value))))

    return np.where(log_x <= log_rest, lower(a, b, log_x), 1.0 - lower(b, a, log_rest))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (0.5, 0.5),
        (2.0, 3.0),
        (1e-3, 1e-3),
        (1e-6, 1.0),
        (1e-2, 1e3),
        (1e3, 1e-2),
        (1e6, 1e6),
        (1e8, 1e8),
        (1e8, 1e-3),
        (1e-8, 1e8),
        (1e-8, 1e-8),
    ],
)
def test_beta(a, b):
    log_x, log_rest = single_draws(f.Beta(), [a, b]).T
    assert_uniform(beta_uniforms(a, b, log_x, log_rest))
    np.testing.assert_allclose(np.logaddexp(log_x, log_rest), 0.0, atol=1e-12)


@pytest.mark.parametrize("theta", [[0.2, 1.5, 4.0], [1e-3, 2.0, 1e3], [30.0, 1e-2, 1e-2]], ids=str)
def test_dirichlet(theta):
    """One part against the others, and the second's share of the rest, independent of each other."""
    first, second, third = single_draws(f.Dirichlet(3), theta).T
    both = np.logaddexp(second, third)
    one = beta_uniforms(theta[0], theta[1] + theta[2], first, both)
    other = beta_uniforms(theta[1], theta[2], second - both, third - both)
    assert_uniform(one)
    assert_uniform(other)
    corners = np.histogram2d(one, other, bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(corners.ravel()).pvalue > CERTAIN


# ---------------------------------------------------------------------- counts


@pytest.mark.parametrize("rate", [1e-10, 1e-3, 0.3, 4.0, 30.0, 1e4, 1e8, 1e12])
def test_poisson(rate):
    theta = np.log(rate)
    assert_counts(single_draws(f.Poisson(), [theta])[:, 0], stats.poisson(np.exp(theta)))


@pytest.mark.parametrize(
    ("trials", "p"), [(7, 0.5), (1000, 0.2), (10**12, 0.3), (10**12, 1e-10), (10**12, 1e-12), (10**12, 1.0 - 1e-12)]
)
def test_binomial(trials, p):
    theta = np.log(p) - np.log1p(-p)
    successes = single_draws(f.Binomial(trials), [theta])[:, 0]
    if p > 0.5:  # where SciPy rounds p; the failures follow the same law
        successes, theta = trials - successes, -theta
    assert_counts(successes, stats.binom(trials, special.expit(theta)))


@pytest.mark.parametrize(("r", "q"), [(2.5, 0.3), (1e-3, 0.9), (1e6, 0.5), (2.5, 1.0 - 1e-6)])
def test_negative_binomial(r, q):
    theta = np.log(q)
    draws = single_draws(f.NegativeBinomial(r), [theta])[:, 0]
    assert_counts(draws, stats.nbinom(r, -np.expm1(theta)))


@pytest.mark.parametrize("q", [1e-9, 0.3, 1.0 - 1e-9])
def test_geometric(q):
    theta = np.log(q)
    draws = single_draws(f.Geometric(), [theta])[:, 0]
    assert_counts(draws, stats.nbinom(1, -np.expm1(theta)))


# ---------------------------------------------------------------------- directions


@pytest.mark.parametrize("kappa", [0.0, 1e-12, 0.5, 4.0, 100.0, 1e6, 1e10])
@pytest.mark.parametrize("towards", [0.0, 2.0])
def test_von_mises(kappa, towards):
    """Beyond κ = 1e5 the normal law, which is off by less than 1/κ."""
    x, y = single_draws(f.VonMises(), [kappa * np.cos(towards), kappa * np.sin(towards)]).T
    np.testing.assert_allclose(np.hypot(x, y), 1.0, atol=1e-14)
    angle = np.arctan2(
        y * np.cos(towards) - x * np.sin(towards),  # turned back, without a difference of angles
        x * np.cos(towards) + y * np.sin(towards),
    )
    if kappa < 1e-8:
        law = stats.uniform(-np.pi, 2.0 * np.pi)
    else:
        law = stats.norm(0.0, kappa**-0.5) if kappa > 1e5 else stats.vonmises(kappa)
    assert_uniform(law.cdf(angle))


def height_law(dim: int, kappa: float, below: np.ndarray) -> np.ndarray:
    """P(1 − t ≤ below) for the height t = ⟨x, direction⟩ on the sphere, of density ∝ e^(κt) (1 − t²)^((dim − 3)/2)."""
    grid = np.linspace(0.0, min(2.0, 120.0 / kappa), 200_001)
    density = np.exp(-kappa * grid) * (grid * (2.0 - grid)) ** ((dim - 3) / 2)
    summed = integrate.cumulative_simpson(density, x=grid, initial=0.0)
    return np.interp(below, grid, summed / summed[-1])


@pytest.mark.parametrize("dim", [3, 5, 20])
@pytest.mark.parametrize("kappa", [1e-12, 1.0, 50.0, 1e4, 1e10])
def test_von_mises_fisher(dim, kappa):
    direction = np.ones(dim) / np.sqrt(dim)
    x = single_draws(f.VonMisesFisher(dim), kappa * direction)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, atol=1e-12)
    height = x @ direction
    across = x - height[:, None] * direction
    squared = (across**2).sum(axis=1)
    below = np.where(height > 0.0, squared / (1.0 + np.abs(height)), 1.0 - height)  # 1 − t without cancellation
    assert_uniform(height_law(dim, kappa, below))
    first, second = np.zeros(dim), np.zeros(dim)
    first[:2], second[:3] = (
        [1.0, -1.0],
        [1.0, 1.0, -2.0],
    )  # two directions at right angles to the mean and to each other
    turn = np.arctan2(across @ second / np.sqrt(6.0), across @ first / np.sqrt(2.0))
    assert_uniform((turn + np.pi) / (2.0 * np.pi))


# ---------------------------------------------------------------------- the others


@pytest.mark.parametrize(("mean", "shape"), [(1, 1), (1e-3, 1e3), (1e3, 1e-3), (1e6, 1e6), (1, 1e8)])
def test_inverse_gaussian(mean, shape):
    x, inverse = single_draws(f.InverseGaussian(), [-shape / (2.0 * mean * mean), -shape / 2.0]).T
    assert_uniform(stats.invgauss.cdf(x, mean / shape, scale=shape))
    assert np.all(np.abs(x * inverse - 1.0) <= 1e-13 * (1.0 + mean / x + (1.0 / mean + 1.0 / shape) / inverse))


@pytest.mark.parametrize("rate", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize(
    "family", [f.Exponential(), f.Laplace(), f.Weibull(0.5), f.Weibull(2.0)], ids=["Exponential", "Laplace", "√x", "x²"]
)
def test_exponential_statistics(family, rate):
    """x, |x| and x^k of these families are exponential with rate −θ."""
    assert_uniform(-np.expm1(-rate * single_draws(family, [-rate])[:, 0]))


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (3.0, 1e-3), (-5.0, 100.0)])
@pytest.mark.parametrize("family", [f.LogNormal(), f.DiagonalGaussian(1)], ids=["LogNormal", "DiagonalGaussian"])
def test_normal_statistics(family, mu, sigma):
    """log x and x of these families are normal; the second statistic is the square."""
    x, square = single_draws(family, [mu / sigma**2, -0.5 / sigma**2]).T
    assert_uniform(stats.norm.cdf(x, mu, sigma))
    np.testing.assert_allclose(square, x**2, rtol=1e-12, atol=1e-14 * (mu**2 + sigma**2))


def test_entries_of_a_diagonal_gaussian():
    family = f.DiagonalGaussian(5)
    means, variances = np.arange(5.0), 10.0 ** np.arange(-2, 3)
    draws = single_draws(family, np.concatenate([means / variances, -0.5 / variances]))[:, :5]
    z = (draws - means) / np.sqrt(variances)
    for column in z.T:
        assert_uniform(stats.norm.cdf(column))
    assert_uniform(stats.chi2.cdf((z**2).sum(axis=1), 5))


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.999999])
def test_full_gaussian(correlation):
    """Both entries once the second is freed of the first, and their joint length."""
    family = f.Gaussian(2)
    mean, deviations = np.array([1.0, -2.0]), np.array([3.0, 0.1])
    covariance = np.outer(deviations, deviations) * np.array([[1.0, correlation], [correlation, 1.0]])
    draws = single_draws(family, family.from_moments(mean, covariance))
    z = (draws[:, :2] - mean) / deviations
    second = (z[:, 1] - correlation * z[:, 0]) / np.sqrt(1.0 - correlation**2)
    assert_uniform(stats.norm.cdf(z[:, 0]))
    assert_uniform(stats.norm.cdf(second))
    assert_uniform(stats.chi2.cdf(z[:, 0] ** 2 + second**2, 2))
    products = np.stack([draws[:, 0] ** 2, draws[:, 0] * draws[:, 1], draws[:, 1] ** 2], axis=1)
    np.testing.assert_allclose(draws[:, 2:], products, rtol=1e-12, atol=1e-13)
