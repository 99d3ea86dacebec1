"""Counts against SciPy, mpmath sums and the exact laws of their samples."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

import expfam_game as eg
from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter, InvalidNaturalParameter
from expfam_game.families.counts import Binomial, Geometric, NegativeBinomial, Poisson

ALPHA = 1e-9
"""False alarm of each statistical test."""
DIGITS = 700
"""Enough for differences of numbers near 1 whose result is near 1e-300."""


def relative(value, exact):
    return abs(float((mp.mpf(float(value)) - exact) / exact))


def poisson_exact(theta):
    rate = mp.exp(theta)
    return rate, rate, rate


def failures_exact(r):
    def parts(theta):
        q = mp.exp(theta)
        return -r * mp.log(1 - q), r * q / (1 - q), r * q / (1 - q) ** 2

    return parts


def binomial_exact(n):
    def parts(theta):
        p = 1 / (1 + mp.exp(-theta))
        return n * mp.log(1 + mp.exp(theta)), n * p, n * p * (1 - p)

    return parts


WIDE = [-690.0, -300.0, -30.0, -3.0, -1e-3]
FAMILIES = [
    (Poisson(), poisson_exact, [*WIDE, 0.0, 3.0, 20.0, 34.5]),
    (Geometric(), failures_exact(1), [*WIDE, -1e-10, -1e-15]),
    (NegativeBinomial(r=0.25), failures_exact(mp.mpf("0.25")), [*WIDE, -1e-10, -1e-15]),
    (NegativeBinomial(r=1e6), failures_exact(10**6), [*WIDE, -1e-8]),
    (Binomial(trials=1), binomial_exact(1), [*WIDE, 0.0, 1e-9, 2.0, 30.0, 36.0]),
    (Binomial(trials=10**9), binomial_exact(10**9), [*WIDE, 0.0, 1e-9, 2.0, 30.0, 36.0]),
]
CASES = [pytest.param(*case, id=repr(case[0])) for case in FAMILIES]


@pytest.mark.parametrize(("family", "exact", "thetas"), CASES)
def test_maps_against_mpmath(family, exact, thetas):
    with mp.workdps(DIGITS):
        for theta in thetas:
            a, mu, v = exact(mp.mpf(theta))
            slack = 4e-16 * (4 + abs(theta))
            assert relative(family.log_partition([theta]), a) < slack
            assert relative(family.to_mean([theta])[0], mu) < slack
            assert relative(family.variance([theta])[0], v) < slack
            assert family.fisher_information([theta])[0, 0] == family.variance([theta])[0]


@pytest.mark.parametrize(("family", "exact", "thetas"), CASES)
def test_round_trip(family, exact, thetas):
    theta = np.array(thetas)[:, None]
    mean = family.to_mean(theta)
    condition = mean / family.variance(theta) / np.maximum(np.abs(theta), 1e-300)
    error = np.abs(family.to_natural(mean) - theta) / np.maximum(np.abs(theta), 1e-300)
    assert np.all(error < 1e-15 * (4 + np.abs(theta)) * (1 + condition))


@pytest.mark.parametrize(("family", "exact", "thetas"), CASES)
@pytest.mark.parametrize("factor", [1e-12, 1e-9, 1e-4, 0.1, 0.7, 1.5])
def test_kl_near_and_far(family, exact, thetas, factor):
    with mp.workdps(DIGITS):
        for theta in thetas:
            for other in (theta * (1 + factor), theta - factor):
                if other == theta or other > 709:
                    continue
                a, b = mp.mpf(theta), mp.mpf(other)
                truth = exact(b)[0] - exact(a)[0] - exact(a)[1] * (b - a)
                if truth < 1e-295:  # subnormal before it is multiplied by trials or r
                    continue
                assert relative(family.kl([theta], [other]), truth) < 1e-11
                back = exact(a)[0] - exact(b)[0] - exact(b)[1] * (a - b)
                assert relative(family.kl([other], [theta]), back) < 1e-11


@pytest.mark.parametrize(("family", "exact", "thetas"), CASES)
def test_kl_across_the_range(family, exact, thetas):
    with mp.workdps(DIGITS):
        for theta in thetas:
            for other in thetas:
                if theta != other:
                    a, b = mp.mpf(theta), mp.mpf(other)
                    truth = exact(b)[0] - exact(a)[0] - exact(a)[1] * (b - a)
                    assert relative(family.kl([theta], [other]), truth) < 1e-11


def sums_over_pmf(log_pmf, log_base, stop):
    """Entropy and E[log h] term by term in mpmath."""
    terms = [(log_pmf(mp.mpf(x)), x) for x in range(stop)]
    entropy = -mp.fsum(mp.exp(t) * t for t, _ in terms)
    return entropy, mp.fsum(mp.exp(t) * log_base(mp.mpf(x)) for t, x in terms)


def check_sums(family, theta, log_pmf, log_base, stop, tolerance=2e-13):
    with mp.workdps(DIGITS if theta < -100 else 60):
        entropy, mean_log_base = sums_over_pmf(log_pmf, log_base, stop)
        assert relative(family.entropy([theta]), entropy) < tolerance
        if abs(mean_log_base) > 1e-300:
            assert relative(family._mean_log_base(np.array([theta])), mean_log_base) < tolerance


@pytest.mark.parametrize("rate", [1e-300, 1e-10, 0.5, 30.0, 63.9, 64.1, 500.0])
def test_poisson_entropy_by_summation(rate):
    theta = float(np.log(rate))
    with mp.workdps(DIGITS):
        exact_rate, log_rate = mp.exp(mp.mpf(theta)), mp.mpf(theta)
    check_sums(
        Poisson(),
        theta,
        lambda x: x * log_rate - exact_rate - mp.loggamma(x + 1),
        lambda x: -mp.loggamma(x + 1),
        int(rate + 20 * rate**0.5 + 60) if rate > 1e-9 else 6,
    )


@pytest.mark.parametrize("rate", [1e6, 1e9, 1e12, 1e15])
def test_poisson_entropy_by_its_asymptotic_series(rate):
    """Evans & Boersma, SIAM Review 30 (1988): ½ log(2πeλ) − 1/(12λ) − 1/(24λ²) − 19/(360λ³) − O(λ⁻⁴)."""
    theta = np.log([rate])
    exact = mp.exp(mp.mpf(float(theta[0])))
    entropy = mp.log(2 * mp.pi * mp.e * exact) / 2 - 1 / (12 * exact) - 1 / (24 * exact**2)
    assert relative(Poisson().entropy(theta), entropy) < 1e-14
    minus_log_base = entropy - exact + exact * mp.mpf(float(theta[0]))
    assert relative(-Poisson()._mean_log_base(theta), minus_log_base) < 1e-13


@pytest.mark.parametrize(
    ("r", "mean"),
    [(0.01, 1e-300), (0.01, 1e-5), (0.01, 1.0)]
    + [(r, mean) for r in (0.5, 3.0, 99.0, 101.0, 1e5, 1e9) for mean in (1e-300, 1e-5, 1.0, 60.0)],
)
def test_negative_binomial_entropy_by_summation(r, mean):
    family = NegativeBinomial(r=r)
    mean = max(mean, 1e-300 * r)
    theta = float(family.to_natural([mean])[0])
    size = mp.mpf(r)
    with mp.workdps(DIGITS):
        log_success, log_gamma_r = mp.log(1 - mp.exp(mp.mpf(theta))), mp.loggamma(size)
    deviation = (mean * (1 + mean / r)) ** 0.5

    def log_base(x):
        return mp.loggamma(x + size) - log_gamma_r - mp.loggamma(x + 1)

    stop = int(mean + 50 * deviation + 60 * (1 + mean / r)) + 40 if mean > 1e-9 else 6
    check_sums(family, theta, lambda x: log_base(x) + size * log_success + x * mp.mpf(theta), log_base, stop, 2e-12)


def test_negative_binomial_with_r_one_is_geometric_at_any_mean():
    mean = np.array([[1e-200], [1e-3], [7.0], [1e6], [1e12], [1e15]])
    theta = Geometric().to_natural(mean)
    np.testing.assert_allclose(NegativeBinomial(r=1.0).entropy(theta), Geometric().entropy(theta), rtol=1e-13)
    assert np.all(NegativeBinomial(r=1.0)._mean_log_base(theta) == 0)


@pytest.mark.parametrize("r", [0.5, 3.0, 80.0, 120.0, 1e4])
@pytest.mark.parametrize("mean", [1e9, 1e12])
def test_negative_binomial_entropy_of_huge_means(r, mean):
    """x is a Gamma(r) law with scale s = mean/r, mixed by Poisson: entropy log s + H(Gamma(r)) + O(1/mean)."""
    family = NegativeBinomial(r=r)
    theta = family.to_natural([mean])
    entropy = np.log(mean / r) + stats.gamma(r).entropy()
    slack = {True: 50 * mean ** -min(r, 1.0), False: 2 * r / mean + 1e-9}[r < 2]
    assert abs(family.entropy(theta) - entropy) < slack


@pytest.mark.parametrize(
    ("n", "p"),
    [
        (1, 0.3),
        (1, 1e-300),
        (7, 0.999),
        (300, 0.5),
        (10**9, 1e-9),
        (10**9, 1e-300),
        (10**9, 4e-8),
        (5000, 0.01),
    ],
)
def test_binomial_entropy_by_summation(n, p):
    theta = float(np.log(p) - np.log1p(-p))
    with mp.workdps(DIGITS):
        log_p, log_q = -mp.log(1 + mp.exp(-mp.mpf(theta))), -mp.log(1 + mp.exp(mp.mpf(theta)))

    def log_base(x):
        return mp.log(mp.binomial(n, x))

    stop = min(n + 1, 6 if p < 1e-20 else int(n * p + 25 * (n * p) ** 0.5 + 60))
    check_sums(Binomial(n), theta, lambda x: log_base(x) + x * log_p + (n - x) * log_q, log_base, stop, 1e-12)


@pytest.mark.parametrize("p", [0.5, 0.1, 1e-4, 0.9])
def test_binomial_entropy_of_a_billion_trials(p):
    """½ log(2πe npq) + (4pq − 1)/(12 npq) + O(1/n²), P. Jacquet & W. Szpankowski, IEEE Trans. Inf. Theory 45 (1999)."""
    n = 10**9
    theta = np.array([np.log(p) - np.log1p(-p)])
    v = n * p * (1 - p)
    series = 0.5 * np.log(2 * np.pi * np.e * v) + (4 * p * (1 - p) - 1) / (12 * v)
    assert abs(Binomial(n).entropy(theta) - series) < 1e-13 * series + 2 / v**2
    mean_log_base = n * stats.bernoulli(p).entropy() - series
    np.testing.assert_allclose(Binomial(n)._mean_log_base(theta), mean_log_base, rtol=1e-13)


def test_log_prob_is_scipys():
    x = np.array([0, 1, 2, 5, 40, 1000])
    np.testing.assert_allclose(Poisson().log_prob(x, [2.0]), stats.poisson(np.exp(2.0)).logpmf(x), rtol=1e-12)
    np.testing.assert_allclose(Geometric().log_prob(x, np.log([0.75])), stats.geom(0.25, loc=-1).logpmf(x), rtol=1e-12)
    for r in (0.3, 15.0, 17.5, 3000.0):
        found = NegativeBinomial(r=r).log_prob(x, np.log([0.75]))
        np.testing.assert_allclose(found, stats.nbinom(r, 0.25).logpmf(x), rtol=2e-11, atol=2e-11)
    for n in (1, 2, 3, 50, 10**6):
        few = x[x <= n]
        np.testing.assert_allclose(
            Binomial(n).log_prob(few, [-1.0]),
            stats.binom(n, 1 / (1 + np.e)).logpmf(few),
            rtol=1e-11,
            atol=1e-13,
        )
    assert Binomial(6).log_base([0, 6]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("r", [0.3, 2.0, 16.0, 16.5, 1e4])
@pytest.mark.parametrize("x", [1, 17, 999, 1001, 10**6, 10**12])
def test_negative_binomial_base_against_mpmath(r, x):
    with mp.workdps(60):
        size, count = mp.mpf(r), mp.mpf(x)
        truth = mp.loggamma(count + size) - mp.loggamma(size) - mp.loggamma(count + 1)
        error = abs(float(NegativeBinomial(r=r).log_base(x)) - float(truth))
        assert error < 3e-12 + 1e-13 * abs(float(truth))


@pytest.mark.parametrize(
    ("family", "theta", "law"),
    [
        (Poisson(), 1.5, stats.poisson(np.exp(1.5))),
        (Geometric(), -0.4, stats.geom(-np.expm1(-0.4), loc=-1)),
        (NegativeBinomial(r=2.5), -0.4, stats.nbinom(2.5, -np.expm1(-0.4))),
        (Binomial(12), -0.7, stats.binom(12, 1 / (1 + np.exp(0.7)))),
        (Binomial(12), 0.7, stats.binom(12, 1 / (1 + np.exp(-0.7)))),
    ],
    ids=repr,
)
def test_samples_and_their_sums_follow_the_law(family, theta, law):
    draws = family.sample([theta], n=40_000, seed=11)
    assert draws.dtype == np.int64
    assert fits(draws, law)
    n = 9
    totals = np.rint(family.estimate_mean(np.full((40_000, 1), theta), n=n, seed=12, method="sum-law").mean[:, 0] * n)
    assert fits(totals, sum_of(law, n, int(totals.max()) + 1))


class sum_of:
    """The law of a sum of n independent counts, by convolution."""

    def __init__(self, law, n, stop):
        single = law.pmf(np.arange(stop))
        self.table = np.array([1.0])
        for _ in range(n):
            self.table = np.convolve(self.table, single)[:stop]

    def pmf(self, x):
        return self.table[np.asarray(x)]


def fits(draws, law):
    """Chi-square over cells with at least 20 expected counts; the rest is one cell."""
    top = int(draws.max())
    expected = law.pmf(np.arange(top + 1)) * draws.size
    found = np.bincount(draws.astype(int), minlength=top + 1)
    keep = expected >= 20
    cells = np.append(found[keep], draws.size - found[keep].sum())
    rest = draws.size - expected[keep].sum()
    weights = np.append(expected[keep], max(rest, 1e-300))
    if rest < 20:
        cells[-2:], weights[-2:] = [cells[-2] + cells[-1], 0], [weights[-2] + weights[-1], 1]
        cells, weights = cells[:-1], weights[:-1]
    statistic = np.sum((cells - weights) ** 2 / weights)
    return stats.chi2.sf(statistic, cells.size - 1) > ALPHA


@pytest.mark.parametrize("rate", [3e10, 1e14, 1e18, 1e24])
def test_large_poisson_draws_are_as_wide_and_as_normal_as_they_must_be(rate):
    """NumPy's own sampler fails this from 1e15 on; the normal limit is closer than 1/√rate."""
    mean = Poisson().estimate_mean(np.full((100_000, 1), np.log(rate)), n=1, seed=3).mean[:, 0]
    exact = np.exp(np.log(rate))
    z = (mean - exact) / np.sqrt(exact)
    assert stats.kstest(z, "norm").pvalue > ALPHA
    assert abs(z.var() - 1) < 7 * np.sqrt(2 / z.size)


def test_numpys_sampler_and_ours_agree_where_both_are_good():
    from expfam_game.families.counts import _large_poisson_draws

    draws = _large_poisson_draws(np.full(40_000, 60.25), np.random.default_rng(4))
    assert fits(draws, stats.poisson(60.25))


def test_huge_samples_are_whole_numbers():
    assert Poisson().sample(np.log([1e15]), n=3, seed=0).dtype == np.int64
    huge = Poisson().sample(np.log([1e20]), n=3, seed=0)
    assert huge.dtype == np.float64
    assert np.all(huge == np.floor(huge))


def test_binomial_without_a_sum_law_falls_back_to_samples():
    family = Binomial(2**53)
    assert family.estimate_mean([0.0], n=2000, seed=0).method == "samples"
    assert family.estimate_mean([0.0], n=2, seed=0).method == "sum-law"
    with pytest.raises(InvalidInput, match="no exact law"):
        family.estimate_mean([0.0], n=2000, seed=0, method="sum-law")


@pytest.mark.parametrize(("family", "exact", "thetas"), CASES)
def test_shapes(family, exact, thetas):
    for batch in ((), (3,), (2, 3), (0,), (2, 0)):
        theta = np.full((*batch, 1), -0.5)
        assert family.to_mean(theta).shape == theta.shape
        assert family.to_natural(family.to_mean(theta)).shape == theta.shape
        assert family.entropy(theta).shape == family.kl(theta, theta).shape == batch
        assert family.fisher_information(theta).shape == (*batch, 1, 1)
        assert family.sample(theta, n=4, seed=0).shape == (*batch, 4)
        assert family.estimate_mean(theta, n=4, seed=0).mean.shape == theta.shape


@pytest.mark.parametrize("r", [0.0, -1.0, np.inf, np.nan])
def test_bad_r(r):
    with pytest.raises(InvalidInput, match="positive and finite"):
        NegativeBinomial(r=r)


def test_bad_trials():
    for trials in (0, -3, 2.5, True):
        with pytest.raises(InvalidInput, match="at least 1"):
            Binomial(trials)
    with pytest.raises(InvalidInput, match="2\\^53"):
        Binomial(2**53 + 1)


def test_points_outside():
    for family in (Geometric(), NegativeBinomial(r=2.0)):
        with pytest.raises(InvalidNaturalParameter, match="must be negative"):
            family.to_mean([0.0])
    for family in (Poisson(), Geometric(), NegativeBinomial(r=2.0)):
        with pytest.raises(InvalidMeanParameter, match="must be positive"):
            family.to_natural([0.0])
        with pytest.raises(InvalidData, match="non-negative integer"):
            family.statistic([0.5])
        with pytest.raises(InvalidData, match="non-negative integer"):
            family.log_base(-1)
    for mean in (0.0, 4.0, 5.0):
        with pytest.raises(InvalidMeanParameter, match="strictly between 0 and 4"):
            Binomial(4).to_natural([mean])
    for x in (-1, 0.5, 5):
        with pytest.raises(InvalidData, match="from 0 to 4"):
            Binomial(4).statistic(x)


@pytest.mark.parametrize(
    ("family", "theta", "mean"),
    [
        (eg.families.Poisson(), np.log(1e20), 1e20),
        (eg.families.Geometric(), -1e-20, 1e20),
        (eg.families.NegativeBinomial(2.5), -1e-19, 2.5e19),
    ],
    ids=repr,
)
def test_samples_beyond_64_bit_integers_are_counted_right(family, theta, mean):
    estimate = family.estimate_mean([theta], 20_001, seed=3, method="samples")
    assert 0 < estimate.standard_error[0] < mean
    assert abs(estimate.mean[0] - mean) < 7 * np.sqrt(family.variance([theta])[0] / 20_001) + 1e-12 * mean
