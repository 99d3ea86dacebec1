"""Samplers against SciPy's distributions through the cumulative distribution, and at extremes against mpmath."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from expfam_game.kernels import counting, elementary, random_words, samplers

CERTAIN = 1e-9
N = 200_000


class Stream:
    """A stream with its work space."""

    def __init__(self, agent: int = 0) -> None:
        self.state, self.words = np.zeros(random_words.STATE, np.uint64), np.empty(random_words.WORDS, np.uint64)
        self.other, self.accepted = np.empty_like(self.words), np.empty_like(self.words)
        self.z, self.work = np.empty(random_words.WORDS), np.empty((2, random_words.WORDS))
        random_words.open_stream(self.state, np.uint64(2026), 0, agent, 0)

    def in_buffers(self, fill, n: int = N) -> np.ndarray:
        out = np.empty(-(-n // random_words.WORDS) * random_words.WORDS)
        for row in out.reshape(-1, random_words.WORDS):
            fill(row, self.words, self.state)
        return out

    def log_gamma(self, shape: float, n: int = N) -> np.ndarray:
        out = np.empty(n)
        samplers.fill_log_gamma(out, shape, self.z, self.words, self.accepted, self.state)
        return out

    def turns(self, kappa: float, n: int = N) -> tuple[np.ndarray, np.ndarray]:
        found: list[np.ndarray] = []
        left = n
        while left:
            away, across = self.work
            m, count = samplers.propose_turns(
                kappa, left, self.words, self.other, away, across, self.accepted, self.state
            )
            assert count == np.count_nonzero(self.accepted[:m]) <= left
            found.append(self.work[:, :m][:, self.accepted[:m] > 0])
            left -= count
        away, across = np.concatenate(found, axis=1)
        return away, across

    def draws(self, function, *parameters: float, n: int = N) -> np.ndarray:
        return np.array([function(*parameters, self.words, self.state) for _ in range(n)])


@pytest.fixture
def stream():
    return Stream()


def assert_uniform(u: np.ndarray) -> None:
    """Values of a cumulative distribution at its own draws, and at both ends, where Kolmogorov's test sees little."""
    assert stats.kstest(u, "uniform").pvalue > CERTAIN
    for tail in (u, 1.0 - u):
        for level in (1e-3, 1e-4):
            count = int((tail < level).sum())
            law = stats.binom(u.size, level)
            assert min(law.cdf(count), law.sf(count - 1)) > CERTAIN


def assert_counts(x: np.ndarray, law) -> None:
    """Chi-square over the values whose expected number is at least 20, the rest together."""
    low, high = int(max(law.mean() - 4.0 * law.std(), 0.0)), int(law.mean() + 4.0 * law.std()) + 1
    step = max(1, (high - low) // 200)
    edges = np.arange(low, high + step, step)
    probabilities = np.diff(law.cdf(edges))
    probabilities = np.concatenate([[law.cdf(edges[0])], probabilities, [law.sf(edges[-1])]])
    counts = np.bincount(np.searchsorted(edges, x, side="left"), minlength=edges.size + 1)
    rare = probabilities * x.size < 20.0
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(probabilities[~rare], probabilities[rare].sum()) * x.size
    if expected[-1] < 1e-3:
        assert observed[-1] <= 3
        observed, expected = observed[:-1], expected[:-1]
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    assert stats.chi2.sf(statistic, max(observed.size - 1, 1)) > CERTAIN


# ---------------------------------------------------------------------- elementary functions


def test_logarithms_and_exponential():
    rng = np.random.default_rng(0)
    for x in [
        *np.exp(rng.uniform(-700.0, 700.0, 300)),
        *rng.uniform(0.5, 2.0, 300),
        1.0 - 2.0**-53,
        1.0,
        1.0 + 2.0**-52,
    ]:
        exact = mpmath.log(mpmath.mpf(float(x)))
        assert abs(elementary.fast_log(float(x)) - exact) <= 2.0**-52 * abs(exact)
    with mpmath.workdps(40):
        for x in [*-np.exp(rng.uniform(-30.0, math.log(708.0), 300)), 0.0, 700.0]:
            exact = mpmath.exp(mpmath.mpf(float(x)))
            assert abs(elementary.fast_exp(float(x)) - exact) <= 2.0**-51 * exact
        for t in np.exp(rng.uniform(-80.0, 80.0, 300)):
            exact = mpmath.log1p(mpmath.mpf(float(t)))
            assert abs(elementary.fast_log1p(float(t)) - exact) <= 2.0**-50 * exact
    assert elementary.fast_exp(-709.0) == elementary.fast_exp(-1e300) == 0.0


def test_uniform_ends():
    assert elementary.uniform_of(np.uint64(0)) == 2.0**-53
    assert elementary.uniform_of(np.uint64(2**64 - 1)) == 1.0 - 2.0**-53


def test_quarter_turn():
    for word in (0, 1 << 61, (1 << 62) - 1, 123 << 50):
        angle = (((word >> 10) & (2**52 - 1)) + 0.5) * 2.0**-52 - 0.5
        sine, cosine = elementary.quarter_turn(np.uint64(word))
        assert sine == pytest.approx(math.sin(angle * math.pi / 2), rel=1e-15, abs=1e-16)
        assert cosine == pytest.approx(math.cos(angle * math.pi / 2), rel=1e-15)


# ---------------------------------------------------------------------- continuous laws


def test_normal(stream):
    z = stream.in_buffers(samplers.fill_normal, 1 << 20)
    assert_uniform(stats.norm.cdf(z))
    pairs = z.reshape(-1, 2, random_words.WORDS // 2)  # the two that come from the same words
    assert_uniform(stats.chi2.cdf((pairs**2).sum(axis=1).ravel(), 2))
    angle = np.arctan2(pairs[:, 0], pairs[:, 1]).ravel()
    assert_uniform((angle + np.pi) / (2.0 * np.pi))
    assert np.abs(np.diff(np.sort(z))).min() > 0.0


def test_exponential(stream):
    assert_uniform(stats.expon.cdf(stream.in_buffers(samplers.fill_exponential, 1 << 20)))


@pytest.mark.parametrize("shape", [0.05, 0.3, 0.999, 1.0, 1.5, 7.0, 1e3, 1e8])
def test_log_gamma(shape):
    x = np.exp(Stream(3).log_gamma(shape))
    assert_uniform(np.clip(stats.gamma.cdf(x, shape), 0.0, 1.0))


@pytest.mark.parametrize("shape", [1e10, 1e12])
def test_log_gamma_of_huge_shapes(shape):
    """x − shape over √shape is normal up to a skewness of 2/√shape."""
    deviation = np.expm1(Stream(16).log_gamma(shape) - math.log(shape)) * math.sqrt(shape)
    assert_uniform(stats.norm.cdf(deviation + 1.0 / (3.0 * math.sqrt(shape))))


@pytest.mark.parametrize("shape", [1.0, 1.01, 1.5, 2.5, 10.0, 100.0])
def test_bound_that_spares_logarithms(shape):
    """1 − 0.0331 (2/3)/d z⁴ lies below the probability of acceptance, and below zero where v ≤ 0."""
    d = shape - 1.0 / 3.0
    steep = 0.0331 * (2.0 / 3.0) / d
    z = np.concatenate([-np.geomspace(0.1, 9.0, 20_001), np.geomspace(0.1, 9.0, 20_001)])
    v = 1.0 + z / math.sqrt(9.0 * d)
    inside = v > 0.0
    z, v = z[inside], v[inside]
    log_probability = 0.5 * z**2 + d * (1.0 - v**3 + 3.0 * np.log(v))
    assert np.all(np.exp(log_probability) >= 1.0 - steep * z**4 - 1e-12)
    assert 1.0 - steep * 81.0 * d * d < 0.0
    assert -np.expm1(log_probability).min() >= 0.0


@pytest.mark.parametrize("shape", [1.0, 2.5, 50.0])
def test_share_of_accepted_roots(shape):
    """The exact probability of acceptance, by quadrature, over candidates that come a buffer at a time."""
    d, stream = shape - 1.0 / 3.0, Stream(17)
    c, rounds = 1.0 / math.sqrt(9.0 * d), 300
    roots, arguments = np.empty(random_words.WORDS), (stream.z, stream.words, stream.accepted)
    accepted = sum(
        samplers.propose_roots(d, random_words.WORDS, *arguments, roots, stream.state) for _ in range(rounds)
    )

    def density(z):
        v = 1.0 + c * z
        return math.exp(d * (1.0 - v**3 + 3.0 * math.log(v))) / math.sqrt(2.0 * math.pi)

    p = integrate.quad(density, -min(1.0 / c, 40.0) * (1.0 - 1e-12), 40.0, points=[0.0], limit=200)[0]
    assert stats.binomtest(int(accepted), rounds * random_words.WORDS, p).pvalue > CERTAIN
    assert 1.0 - 0.034 / d < p + 1e-3  # what the number of candidates is reckoned from


@pytest.mark.parametrize("shape", [1e-2, 1e-6])
def test_log_gamma_of_tiny_shapes(shape):
    """Where x underflows: P(log x ≤ t) = P(a, e^t) = e^(at)/Γ(a + 1) (1 − O(e^t)), from mpmath where e^t is not tiny."""
    t = Stream(4).log_gamma(shape, 20_000)
    u = np.exp(shape * t - float(mpmath.loggamma(1.0 + shape)))
    for j in np.flatnonzero(t > -36.0):
        u[j] = float(mpmath.gammainc(shape, 0.0, mpmath.exp(t[j]), regularized=True))
    assert (t < -700.0).mean() > 0.0
    assert_uniform(u)


@pytest.mark.parametrize("n", [1, 2, 31, 959, 960, 1500])
def test_log_gamma_fills_exactly(n):
    """The first n are the same however many are asked for, as long as they come from one buffer of candidates."""
    out = np.full(n + 1, np.nan)
    stream = Stream(5)
    samplers.fill_log_gamma(out[:n], 2.0, stream.z, stream.words, stream.accepted, stream.state)
    assert np.all(np.isfinite(out[:n]))
    assert np.isnan(out[n])


@pytest.mark.parametrize("kappa", [0.0, 1e-12, 0.5, 4.0, 100.0])
def test_von_mises(kappa):
    away, across = Stream(6).turns(kappa)
    angle = np.arctan2(across, 1.0 - away)
    law = stats.vonmises(kappa) if kappa > 1e-8 else stats.uniform(-np.pi, 2.0 * np.pi)
    assert_uniform(law.cdf(angle))
    assert np.allclose((1.0 - away) ** 2 + across**2, 1.0, atol=1e-15)


@pytest.mark.parametrize("kappa", [1e6, 1e10])
def test_concentrated_von_mises(kappa):
    """2κ(1 − cos x) tends to a χ² law with one degree; its cumulative distribution is off by less than 1/κ."""
    away, across = Stream(7).turns(kappa)
    assert_uniform(stats.chi2.cdf(2.0 * kappa * away, 1))
    assert np.allclose(across**2, away * (2.0 - away), rtol=1e-12)
    assert stats.binomtest(int((across > 0).sum()), across.size).pvalue > CERTAIN


# ---------------------------------------------------------------------- counts


@pytest.mark.parametrize("p", [1e-300, 1e-10, 0.01, 1 / 3, 0.5, 0.75, 1.0 - 2.0**-53, 1.0])
@pytest.mark.parametrize("n", [1, 63, 1000])
def test_count_successes(p, n):
    counts = Stream(8).draws(counting.count_successes, p, n, n=20_000)
    assert counts.min() >= 0
    assert counts.max() <= n
    law = stats.binom(n, p)
    if law.var() * 20_000 < 100.0:  # all but certain: the total of 20 000 n trials
        total = stats.binom(20_000 * n, p)
        assert min(total.cdf(counts.sum()), total.sf(counts.sum() - 1)) > CERTAIN
        return
    edges = np.arange(int(law.ppf(1e-3)), int(law.ppf(0.999)) + 1)
    probabilities = np.concatenate([[law.cdf(edges[0] - 1)], law.pmf(edges), [law.sf(edges[-1])]])
    observed = np.bincount(np.clip(counts - edges[0] + 1, 0, edges.size + 1), minlength=edges.size + 2)
    keep = probabilities * 20_000 > 5.0
    observed, expected = observed[keep], probabilities[keep] * 20_000
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    assert stats.chi2.sf(statistic, observed.size) > CERTAIN


def test_count_successes_decides_bit_by_bit():
    """p = 5/8 = 0.101 in binary, from a reference that compares bit by bit with the same words."""
    stream, reference = Stream(9), Stream(9)
    for n in (1, 64, 100, 5000):
        left, successes, p = n, 0, 0.625
        while left and p > 0.0:
            p *= 2.0
            undecided = random_words.tosses(left, reference.words, reference.state)
            if p >= 1.0:
                p, successes = p - 1.0, successes + left - undecided
            left = undecided
        assert counting.count_successes(0.625, n, stream.words, stream.state) == successes


@pytest.mark.parametrize(
    "weights",
    [[1.0], [1.0, 1.0], [0.9, 0.1], [5.0, 3.0, 2.0, 2.0, 1.0, 0.5, 0.25], list(0.5 ** np.arange(40.0)), [1.0] * 1000],
    ids=lambda w: f"{len(w)}-cells",
)
def test_histogram(weights):
    stream, n = Stream(10), 10**6
    counts = np.zeros(len(weights), np.int64)
    counting.fill_histogram(counts, counting.tail_sums(np.array(weights)), n, stream.words, stream.state)
    assert counts.sum() == n
    p = np.array(weights) / np.sum(weights)
    keep = p * n > 20.0
    observed = np.append(counts[keep], counts[~keep].sum())
    expected = np.append(p[keep], p[~keep].sum()) * n
    observed, expected = observed[expected > 0], expected[expected > 0]
    assert stats.chi2.sf(np.sum((observed - expected) ** 2 / expected), max(observed.size - 1, 1)) > CERTAIN


def test_histograms_of_single_draws():
    """The joint law of the counts: n = 1 many times, cell by cell."""
    stream, weights = Stream(11), np.array([0.4, 0.3, 0.2, 0.1])
    total = np.zeros(4, np.int64)
    for _ in range(N):
        counts = np.zeros(4, np.int64)
        counting.fill_histogram(counts, counting.tail_sums(weights), 1, stream.words, stream.state)
        assert counts.sum() == 1
        total += counts
    assert stats.chisquare(total, weights * N).pvalue > CERTAIN


@pytest.mark.parametrize("rate", [1e-300, 1e-10, 0.3, 4.0, 100.5, 9999.0])
def test_poisson_cells(rate):
    values, weights = counting.poisson_cells(rate)
    assert np.all(np.diff(weights) <= 0.0)
    assert np.unique(values).size == values.size
    with mpmath.workdps(40):
        for k in (0, min(1, values.size - 1), values.size // 2, values.size - 1):
            exact = mpmath.mpf(rate) ** int(values[k] - values[0]) * mpmath.factorial(int(values[0]))
            exact /= mpmath.factorial(int(values[k]))
            assert weights[k] == pytest.approx(float(exact), rel=1e-12)
        left_out = values.max() + 1
        assert (
            float(rate ** mpmath.mpf(int(left_out - values[0])) / mpmath.rf(values[0] + 1, int(left_out - values[0])))
            < 2e-30
        )


@pytest.mark.parametrize(("trials", "p"), [(1, 0.5), (7, 0.01), (1000, 0.3), (10**12, 1e-10), (10**6, 0.005)])
def test_binomial_cells(trials, p):
    values, weights = counting.binomial_cells(float(trials), p)
    assert values.min() >= 0
    assert values.max() <= trials
    assert np.all(np.diff(weights) <= 0.0)
    pmf = stats.binom(trials, p).pmf(values)
    assert np.allclose(weights / weights.sum(), pmf, rtol=1e-6, atol=1e-18)


@pytest.mark.parametrize("rate", [1e-10, 0.2, 3.0, 9.99])
def test_small_poisson(rate):
    assert_counts(Stream(12).draws(counting.next_poisson, rate), stats.poisson(rate))


@pytest.mark.parametrize("rate", [10.0, 47.3, 1e4, 1e8, 1e12])
def test_large_poisson(rate):
    assert_counts(Stream(13).draws(counting.next_poisson, rate), stats.poisson(rate))


@pytest.mark.parametrize(("trials", "p"), [(100, 0.3), (10**6, 0.5), (10**12, 1e-8), (10**12, 0.3)])
def test_large_binomial(trials, p):
    draws = Stream(14).draws(counting.next_large_binomial, float(trials), p)
    assert draws.max() <= trials
    assert_counts(draws, stats.binom(trials, p))


@pytest.mark.parametrize("rate", [1e6, 1e12, 1e15])
def test_probabilities_of_large_poisson_laws(rate):
    """Against mpmath: within 1e-9 relative, that is 1e-9 absolute in the logarithm."""
    with mpmath.workdps(50):
        for z in (-6.0, -0.3, 0.0, 5.0):
            x = math.floor(rate + z * math.sqrt(rate))
            exact = x * mpmath.log(rate) - rate - mpmath.loggamma(mpmath.mpf(x) + 1)
            assert counting.log_poisson_pmf(float(x), rate) == pytest.approx(float(exact), abs=1e-9)
