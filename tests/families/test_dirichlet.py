"""Dirichlet and Beta against SciPy and, at the extremes, mpmath."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from expfam_game import errors
from expfam_game.families.dirichlet import Beta, Dirichlet

EPS = 2.0**-52


@pytest.fixture(autouse=True)
def _eighty_digits():
    with mp.workdps(80):
        yield


def concentrations(seed, n, k, low=-8, high=8):
    return 10.0 ** np.random.default_rng(seed).uniform(low, high, (n, k))


def relative(computed, exact):
    return float(abs(mp.mpf(float(computed)) - exact) / abs(exact))


def as_mp(row):
    return [mp.mpf(float(v)) for v in row]


def exact_kl(a, b):
    a, b = as_mp(a), as_mp(b)
    value = mp.loggamma(mp.fsum(a)) - mp.loggamma(mp.fsum(b))
    for x, y in zip(a, b):
        value += mp.loggamma(y) - mp.loggamma(x) + (x - y) * (mp.digamma(x) - mp.digamma(mp.fsum(a)))
    return value


def exact_fisher(alpha):
    a = as_mp(alpha)
    return mp.matrix(len(a)) + mp.diag([mp.psi(1, x) for x in a]) - mp.psi(1, mp.fsum(a)) * mp.ones(len(a))


def test_log_prob_and_entropy_are_scipys():
    for alpha in concentrations(0, 20, 4, -1, 2):
        reference, family = stats.dirichlet(alpha), Dirichlet(4)
        x = reference.rvs(5, random_state=1)
        np.testing.assert_allclose(family.log_prob(x, alpha), reference.logpdf(x.T), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(family.entropy(alpha), reference.entropy(), rtol=1e-10, atol=1e-10)
        beta = stats.beta(alpha[0], alpha[1])
        y = beta.rvs(5, random_state=2)
        y = y[(y > 1e-300) & (y < 1)]
        np.testing.assert_allclose(Beta().log_prob(y, alpha[:2]), beta.logpdf(y), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(Beta().entropy(alpha[:2]), beta.entropy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_moments_over_the_stated_range(k):
    family = Dirichlet(k)
    for alpha in concentrations(k, 25, k):
        a, total = as_mp(alpha), mp.fsum(as_mp(alpha))
        for got, x in zip(family.to_mean(alpha), a):
            assert relative(got, mp.digamma(x) - mp.digamma(total)) < 2e-14
        exact, fisher = exact_fisher(alpha), family.fisher_information(alpha)
        for i in range(k):
            for j in range(k):
                assert relative(fisher[i, j], exact[i, j]) < 1e-13
        np.testing.assert_array_equal(family.variance(alpha), np.diagonal(fisher))
        log_partition = mp.fsum(map(mp.loggamma, a)) - mp.loggamma(total)
        got = family.log_partition(alpha)
        assert abs(mp.mpf(float(got)) - log_partition) < 1e-14 * (1 + abs(log_partition) + 20 * k)
        means = [mp.digamma(x) - mp.digamma(total) for x in a]
        entropy = log_partition - mp.fsum((x - 1) * m for x, m in zip(a, means))
        size = 20 * k + mp.fsum(map(abs, means))
        assert abs(mp.mpf(float(family.entropy(alpha))) - entropy) < 1e-14 * size


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize(("low", "high"), [(-8, 8), (-3, 6), (-8, -3), (-1, 2)])
def test_round_trip_to_the_condition_number(k, low, high):
    family = Dirichlet(k)
    for alpha in concentrations(10 * k, 15, k, low, high):
        mean = family.to_mean(alpha)
        error = np.abs(family.to_natural(mean) - alpha)
        inverse = exact_fisher(alpha) ** -1
        # every mean carries a relative error of a few roundings, which F⁻¹ carries over to α
        allowed = [float(mp.fsum(abs(inverse[i, j]) * abs(float(mean[j])) for j in range(k))) for i in range(k)]
        assert (error < 20 * EPS * (np.array(allowed) + alpha)).all()
        if high <= 2:
            np.testing.assert_allclose(family.to_natural(mean), alpha, rtol=1e-10)


def test_beta_is_a_dirichlet_of_two():
    alpha = concentrations(5, 50, 2)
    beta, dirichlet = Beta(), Dirichlet(2)
    for name in ("log_partition", "to_mean", "variance", "fisher_information", "entropy"):
        np.testing.assert_array_equal(getattr(beta, name)(alpha), getattr(dirichlet, name)(alpha))
    x = np.random.default_rng(6).uniform(0.1, 0.9, 50)
    pair = np.stack([x, 1 - x], axis=-1)
    np.testing.assert_allclose(beta.statistic(x), dirichlet.statistic(pair), rtol=1e-12)
    np.testing.assert_allclose(beta.log_base(x), dirichlet.log_base(pair), rtol=1e-12)


@pytest.mark.parametrize("k", [2, 4])
def test_kl_far_and_near(k):
    rng = np.random.default_rng(7)
    family = Dirichlet(k)
    for alpha in concentrations(8, 25, k):
        for scale in (0.0, 1e-12, 1e-6, 1e-2, 1.0, 6.0):
            direction = rng.normal(size=k) * (rng.random(k) < 0.6)  # some entries stay
            other = np.clip(alpha * 10 ** (scale * direction), 1e-8, 1e8)
            got = family.kl(alpha, other)
            if (other == alpha).all():
                assert got == 0
            else:
                assert relative(got, exact_kl(alpha, other)) < 1e-11


@pytest.mark.parametrize("ratio", [1 + 1e-9, 1.5, 1e3, 1e7])
def test_kl_where_a_dominating_concentration_hides_the_rest(ratio):
    a, b = [1e-8, 1e8 / ratio], [1e-8, 1e8]
    assert relative(Beta().kl(a, b), exact_kl(a, b)) < 1e-11
    assert relative(Beta().kl(b, a), exact_kl(b, a)) < 1e-11
    a, b = [3e7, 5e7], [3e7 * (1 + 1 / ratio), 5e7 * (1 + 1 / ratio)]  # only the total changes
    assert relative(Beta().kl(a, b), exact_kl(a, b)) < 1e-11


@pytest.mark.parametrize("alpha", [[0.4, 2.0, 5.0], [1e3, 1e-1, 1e3], [1e-3, 2e-3, 5e-3]])
def test_samples_follow_the_law(alpha):
    alpha = np.array(alpha)
    x = Dirichlet(3).sample(alpha, 20_000, seed=1)
    Dirichlet(3).statistic(x)  # accepts its own samples
    for c in range(3):
        law = stats.beta(alpha[c], alpha.sum() - alpha[c])
        inside = (x[:, c] > 1e-300) & (x[:, c] < 1 - 1e-12)
        uniform = law.cdf(np.where(inside, x[:, c], 0.5))
        # samples at the ends of the doubles are compared by their number, the others by their conditional law
        ends = law.cdf(1e-300), law.cdf(1 - 1e-12)
        assert stats.binomtest(int(inside.sum()), x.shape[0], ends[1] - ends[0]).pvalue > 1e-9
        if inside.sum() > 100:
            conditional = (uniform[inside] - ends[0]) / (ends[1] - ends[0])
            assert stats.kstest(conditional, "uniform").pvalue > 1e-9


def test_beta_samples_follow_the_law():
    x = Beta().sample([[0.5, 0.5], [2.0, 7.0], [1e5, 1e6]], 20_000, seed=2)
    assert x.shape == (3, 20_000)
    for row, (a, b) in zip(x, [(0.5, 0.5), (2.0, 7.0), (1e5, 1e6)]):
        assert stats.kstest(row, stats.beta(a, b).cdf).pvalue > 1e-9


@pytest.mark.parametrize("alpha", [[1e-8, 1e-8], [1e-4, 3.0], [3.0, 1e-4], [1e6, 1e5]])
def test_estimate_mean_is_unbiased_where_samples_round(alpha):
    n, family = 40_000, Beta()
    estimate = family.estimate_mean(alpha, n, seed=3)
    a, total = as_mp(alpha), mp.fsum(as_mp(alpha))
    mean = np.array([float(mp.digamma(v) - mp.digamma(total)) for v in a])
    error = np.array([float(mp.sqrt((mp.psi(1, v) - mp.psi(1, total)) / n)) for v in a])
    # A share that is almost always one is decided by rare events: the normal bound is for the other one.
    frequent = np.array([v < 1e3 * w for v, w in zip(alpha, alpha[::-1])])
    assert (np.abs(estimate.mean - mean) < 7 * error)[frequent].all()
    x = family.sample(alpha, 1000, seed=4)
    assert ((x > 0) & (x < 1)).all()
    assert np.isfinite(family.statistic(x)).all()


def test_dirichlet_samples_stay_in_the_simplex_at_tiny_concentrations():
    x = Dirichlet(5).sample(np.full(5, 1e-8), 2000, seed=5)
    assert x.min() == 5e-324
    assert np.isfinite(Dirichlet(5).statistic(x)).all()
    winners = np.bincount(x.argmax(axis=1), minlength=5)
    assert stats.chisquare(winners).pvalue > 1e-9


def test_shapes_without_and_with_leading_axes():
    family = Dirichlet(3)
    theta = np.broadcast_to(np.array([0.5, 2.0, 3.0]), (2, 1, 3))
    for name in ("to_mean", "fisher_information", "entropy", "log_partition"):
        one, many = getattr(family, name)(theta[0, 0]), getattr(family, name)(theta)
        np.testing.assert_array_equal(many, np.broadcast_to(one, (2, 1, *np.shape(one))))
    empty = np.empty((0, 3))
    assert family.to_natural(family.to_mean(empty)).shape == (0, 3)
    assert family.kl(empty, empty).shape == (0,)
    assert family.sample(theta, 4, seed=0).shape == (2, 1, 4, 3)
    assert family.sample(empty, 4, seed=0).shape == (0, 4, 3)
    assert Beta().sample(np.empty((0, 2)), 4, seed=0).shape == (0, 4)


def test_reference_mean_is_the_uniform_law():
    for k in (2, 3, 17):
        np.testing.assert_allclose(Dirichlet(k).to_natural(Dirichlet(k).reference_mean()), np.ones(k), rtol=1e-12)
    np.testing.assert_allclose(Beta().to_natural(Beta().reference_mean()), [1, 1], rtol=1e-13)


def test_mean_space_is_where_the_exponentials_add_up_to_less_than_one():
    family = Beta()
    p = np.array([0.5, 0.9, 1e-9])
    surface = np.stack([np.log(p), np.log1p(-p)], axis=-1)
    assert not family.in_mean_space(surface + 1e-12).any()
    assert family.in_mean_space(surface - 1e-12).all()
    assert family.in_mean_space([-1e-30, -1e9])  # a share of almost one, next to one of almost nothing
    assert not family.in_mean_space([-1e-30, -1.0])
    assert family.in_natural_space([[1e-8, 1e8], [0.0, 1.0]]).tolist() == [True, False]


def test_errors():
    for bad in (1, 0, 2.5, True):
        with pytest.raises(errors.InvalidInput, match="at least 2"):
            Dirichlet(bad)
    with pytest.raises(errors.InvalidNaturalParameter, match=r"entry 1 \(log x\[1\]\).*must be positive"):
        Dirichlet(3).to_mean([1.0, 0.0, 1.0])
    with pytest.raises(errors.InvalidMeanParameter, match="must be negative"):
        Beta().to_natural([0.0, -1.0])
    with pytest.raises(errors.InvalidMeanParameter, match="agent 1.*add up to less than one"):
        Beta().to_natural([[-1.0, -1.0], [-0.1, -0.1]])
    with pytest.raises(errors.InvalidData, match="must be positive"):
        Dirichlet(2).statistic([0.0, 1.0])
    with pytest.raises(errors.InvalidData, match="add up to one within 2e-12"):
        Dirichlet(2).statistic([0.5, 0.5001])
    with pytest.raises(errors.InvalidData, match="strictly between 0 and 1"):
        Beta().statistic([0.5, 1.0])


@pytest.mark.parametrize("family", [Beta(), Dirichlet(2)])
def test_a_failed_inversion_names_the_agent(family, monkeypatch):
    monkeypatch.setattr(
        "expfam_game.families.dirichlet.dirichlet_concentrations", lambda rows: rows * [[1.0], [np.nan]]
    )
    with pytest.raises(errors.InversionFailed, match="agent 1 "):
        family.to_natural([[-1.0, -1.0], [-2.0, -1.0]])
