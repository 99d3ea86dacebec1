"""Categorical against SciPy and mpmath."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter
from expfam_game.families.categorical import Categorical

ALPHA = 1e-9
DIGITS = 700
THETAS = [
    [0.0, 0.0, 0.0],
    [1.0, -2.0, 0.5],
    [-690.0, -690.0, -690.0],
    [690.0, 0.0, -5.0],
    [30.0, -30.0, 29.0],
    [300.0, 299.0, -300.0],
    [-40.0, 36.0, -300.0],
]


def exact(theta):
    """A and the probabilities of all categories in mpmath."""
    weights = [mp.exp(mp.mpf(float(t))) for t in theta] + [mp.mpf(1)]
    total = mp.fsum(weights)
    return mp.log(total), [w / total for w in weights]


def exact_kl(a, b):
    p, q = exact(a)[1], exact(b)[1]
    return mp.fsum(x * mp.log(x / y) for x, y in zip(p, q))


def relative(value, truth):
    return abs(float((mp.mpf(float(value)) - truth) / truth))


@pytest.mark.parametrize("theta", THETAS, ids=str)
def test_maps_against_mpmath(theta):
    family = Categorical(4)
    with mp.workdps(DIGITS):
        a, p = exact(theta)
        assert relative(family.log_partition(theta), a) < 3e-13
        mean, variance, fisher = (
            family.to_mean(theta),
            family.variance(theta),
            family.fisher_information(theta),
        )
        for c in range(3):
            assert relative(mean[c], p[c]) < 1e-12
            assert relative(variance[c], p[c] * (1 - p[c])) < 1e-12
            for d in range(3):
                truth = p[c] * (1 - p[c]) if c == d else -p[c] * p[d]
                if abs(truth) > 1e-300:
                    assert relative(fisher[c, d], truth) < 1e-12
        assert relative(family.entropy(theta), -mp.fsum(x * mp.log(x) for x in p)) < 1e-12


@pytest.mark.parametrize("theta", THETAS, ids=str)
@pytest.mark.parametrize("size", [1e-10, 1e-6, 1e-2, 0.5, 3.0, 100.0])
@pytest.mark.parametrize("direction", [[1.0, -1.0, 0.3], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]], ids=str)
def test_kl_near_and_far(theta, size, direction):
    family = Categorical(4)
    a, b = np.array(theta), np.array(theta) + size * np.array(direction)
    with mp.workdps(DIGITS):
        for one, two in ((a, b), (b, a)):
            truth = exact_kl(one, two)
            if truth > 1e-300:
                assert relative(family.kl(one, two), truth) < 1e-9


def test_kl_with_one_rare_category_changed_much_and_another_a_little():
    a = np.array([0.0, -46.0, -3.0])
    b = a + np.array([1e-8, 2.0, 0.0])
    with mp.workdps(DIGITS):
        assert relative(Categorical(4).kl(a, b), exact_kl(a, b)) < 1e-9


def test_kl_across_the_range():
    family = Categorical(4)
    with mp.workdps(DIGITS):
        for one in THETAS:
            for two in THETAS:
                if one != two:
                    assert relative(family.kl(one, two), exact_kl(one, two)) < 1e-11


def test_entropy_and_kl_are_scipys():
    p, q = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.3, 0.2, 0.1])
    family = Categorical(4)
    a, b = family.to_natural(p[:-1]), family.to_natural(q[:-1])
    np.testing.assert_allclose(family.entropy(a), stats.entropy(p), rtol=1e-14)
    np.testing.assert_allclose(family.kl(a, b), stats.entropy(p, q), rtol=1e-14)
    np.testing.assert_allclose(family.log_prob([0, 1, 2, 3], a), np.log(p), rtol=1e-14)


def test_round_trip():
    family = Categorical(4)
    for theta in ([0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [-690.0, -3.0, -690.0], [3.0, -600.0, 1.0]):
        np.testing.assert_allclose(family.to_natural(family.to_mean(theta)), theta, rtol=1e-14, atol=1e-14)
    for theta in ([20.0, 0.0, 0.0], [10.0, 20.0, -5.0]):
        last = 1 / (1 + np.exp(theta).sum())
        np.testing.assert_allclose(family.to_natural(family.to_mean(theta)), theta, atol=4e-16 / last)


def test_last_probability_is_that_of_the_doubles_given():
    mu = np.random.default_rng(0).dirichlet(np.ones(999)) * (1 - 1e-12)
    with mp.workdps(60):
        last = 1 - mp.fsum(mp.mpf(float(x)) for x in mu)
        theta = Categorical(1000).to_natural(mu)
        for c in (0, 500, 998):
            assert relative(theta[c], mp.log(mp.mpf(float(mu[c])) / last)) < 1e-15


@pytest.mark.parametrize("k", [2, 5, 300])
def test_samples_and_their_sums_follow_the_law(k):
    family = Categorical(k)
    p = np.random.default_rng(k).dirichlet(np.full(k, 5.0))
    theta = family.to_natural(p[:-1])
    draws = family.sample(theta, n=100_000, seed=1)
    assert draws.dtype == np.int64
    assert stats.chisquare(np.bincount(draws, minlength=k), p * draws.size).pvalue > ALPHA
    n = 8
    counts = family.estimate_mean(np.broadcast_to(theta, (20_000, k - 1)), n=n, seed=2, method="sum-law").mean * n
    for c in (0, k - 2):
        found = np.bincount(np.rint(counts[:, c]).astype(int), minlength=n + 1)
        expected = stats.binom(n, p[c]).pmf(np.arange(n + 1)) * 20_000
        keep = expected > 20
        pooled = np.append(found[keep], found[~keep].sum()), np.append(expected[keep], expected[~keep].sum())
        statistic = np.sum((pooled[0] - pooled[1]) ** 2 / np.maximum(pooled[1], 1.0))
        assert stats.chi2.sf(statistic, keep.sum()) > ALPHA
    total = np.rint(counts.sum(axis=1))
    assert np.all((total >= 0) & (total <= n))
    expected = n * (1 - p[-1])
    assert abs(total.mean() - expected) < 7 * np.sqrt(n * p[-1] * (1 - p[-1]) / total.size)


def test_statistic_leaves_out_the_last_category():
    np.testing.assert_array_equal(Categorical(3).statistic([[0, 1], [2, 2]]), [[[1, 0], [0, 1]], [[0, 0], [0, 0]]])


def test_shapes():
    family = Categorical(3)
    for batch in ((), (3,), (2, 3), (0,), (2, 0)):
        theta = np.full((*batch, 2), -0.5)
        assert family.to_mean(theta).shape == family.to_natural(family.to_mean(theta)).shape == theta.shape
        assert family.entropy(theta).shape == family.kl(theta, theta).shape == batch
        assert family.fisher_information(theta).shape == (*batch, 2, 2)
        assert family.sample(theta, n=4, seed=0).shape == (*batch, 4)
        assert family.estimate_mean(theta, n=4, seed=0).mean.shape == theta.shape


def test_errors():
    for k in (1, 0, 2.5, True):
        with pytest.raises(InvalidInput, match="at least 2"):
            Categorical(k)
    for x in (-1, 3, 0.5):
        with pytest.raises(InvalidData, match="from 0 to 2"):
            Categorical(3).statistic(x)
    with pytest.raises(InvalidMeanParameter, match="must be positive"):
        Categorical(3).to_natural([0.0, 0.5])
    with pytest.raises(InvalidMeanParameter, match="less than 1"):
        Categorical(3).to_natural([0.5, 0.5])
    assert Categorical(3).in_mean_space([[0.5, 0.5], [0.5, 0.5 - 2**-54], [0.6, 0.6]]).tolist() == [
        False,
        True,
        False,
    ]
