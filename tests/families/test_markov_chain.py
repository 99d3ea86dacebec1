"""MarkovChain: brute force over all sequences, 50-digit matrix powers for long ones, chi-square for the sampler."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from scipy import stats

from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter
from expfam_game.families.markov_chain import MarkovChain

SMALL = [(2, 3), (2, 4), (2, 7), (3, 3), (3, 5), (4, 3)]


def sequences(k, length):
    return np.array(list(itertools.product(range(k), repeat=length)))


def count(x, k):
    """φ by the definition, one sequence at a time."""
    first = [float(x[0] == a) for a in range(k - 1)]
    pairs = [float(sum(1 for u, v in zip(x, x[1:]) if (u, v) == (a, b))) for a in range(k) for b in range(k)]
    return first + pairs[:-1]


def brute(k, length, theta):
    phi = np.array([count(x, k) for x in sequences(k, length).tolist()])
    score = phi @ theta
    log_z = np.log(np.exp(score - score.max()).sum()) + score.max()
    return phi, np.exp(score - log_z), log_z


@pytest.mark.parametrize(("k", "length"), SMALL)
def test_minimal_from_length_three_on(k, length):
    phi = np.array([count(x, k) for x in sequences(k, length).tolist()])
    assert np.linalg.matrix_rank(np.hstack([np.ones((len(phi), 1)), phi])) == MarkovChain(k, length).dim + 1


@pytest.mark.parametrize("k", [2, 3])
def test_not_minimal_at_length_two(k):
    phi = np.array([count(x, k) for x in sequences(k, 2).tolist()])
    assert np.linalg.matrix_rank(np.hstack([np.ones((len(phi), 1)), phi])) < k - 1 + k**2 - 1 + 1


@pytest.mark.parametrize(("k", "length"), SMALL)
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_against_brute_force(k, length, scale):
    family = MarkovChain(k, length)
    thetas = np.random.default_rng(0).normal(size=(3, family.dim)) * scale
    np.testing.assert_array_equal(family.statistic(sequences(k, length)), brute(k, length, thetas[0])[0])
    for theta in thetas:
        phi, p, log_z = brute(k, length, theta)
        mean = p @ phi
        deviation = phi - mean
        fisher = deviation.T @ (p[:, None] * deviation)
        np.testing.assert_allclose(family.log_partition(theta), log_z, rtol=1e-13)
        np.testing.assert_allclose(family.to_mean(theta), mean, rtol=1e-12)
        np.testing.assert_allclose(family.fisher_information(theta), fisher, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(family.entropy(theta), -(p @ np.log(p)), rtol=1e-9)
        np.testing.assert_allclose(family.log_prob(sequences(k, length), theta), np.log(p), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(family.to_natural(mean), theta, atol=1e-9 * np.exp(scale))


@pytest.mark.parametrize("step", [1e-9, 1e-4, 1.0, 10.0])
def test_kl_against_mpmath(step):
    k, length = 2, 5
    family = MarkovChain(k, length)
    phi = [count(x, k) for x in sequences(k, length).tolist()]
    for a, d in np.random.default_rng(1).normal(size=(4, 2, family.dim)):
        b = a + step * d
        with mpmath.workdps(50):
            score = [[mpmath.fdot(row, theta.tolist()) for row in phi] for theta in (a, b)]
            log_z = [mpmath.log(mpmath.fsum(map(mpmath.exp, s))) for s in score]
            ratio = [(u - log_z[0]) - (v - log_z[1]) for u, v in zip(*score)]
            expected = mpmath.fsum(mpmath.exp(u - log_z[0]) * r for u, r in zip(score[0], ratio))
        np.testing.assert_allclose(family.kl(a, b), float(expected), rtol=1e-8)


def test_long_chain_against_mpmath_matrix_power():
    """A(θ) and its differences at 60 digits for length 10⁴."""
    k, length = 3, 10_000
    family = MarkovChain(k, length)
    theta = np.random.default_rng(2).normal(size=family.dim) * 2

    def log_z(values):
        first = [*values[: k - 1], 0]
        pairs = [*values[k - 1 :], 0]
        matrix = mpmath.matrix(k, k)
        for a in range(k):
            for b in range(k):
                matrix[a, b] = mpmath.exp(pairs[a * k + b])
        power = matrix ** (length - 1)
        return mpmath.log(mpmath.fsum(mpmath.exp(first[a]) * power[a, b] for a in range(k) for b in range(k)))

    with mpmath.workdps(60):
        exact = [mpmath.mpf(v) for v in theta.tolist()]
        h = mpmath.mpf(10) ** -20
        np.testing.assert_allclose(family.log_partition(theta), float(log_z(exact)), rtol=1e-13)
        mean, curvature = [], []
        for j in range(family.dim):
            up, down = list(exact), list(exact)
            up[j] += h
            down[j] -= h
            mean.append(float((log_z(up) - log_z(down)) / (2 * h)))
            curvature.append(float((log_z(up) + log_z(down) - 2 * log_z(exact)) / h**2))
    np.testing.assert_allclose(family.to_mean(theta), mean, rtol=1e-11)
    np.testing.assert_allclose(family.variance(theta), curvature, rtol=1e-9)
    np.testing.assert_allclose(family.to_natural(family.to_mean(theta)), theta, atol=1e-8)


def test_extreme_parameters_stay_finite():
    family = MarkovChain(2, 200)
    theta = np.array([500.0, -500.0, 500.0, 500.0])
    assert np.isfinite(family.log_partition(theta))
    # 0 → 1 → 0 → … wins: start in 0 (500), 100 steps 0 → 1 and 99 steps 1 → 0
    np.testing.assert_allclose(family.log_partition(theta), 500.0 * 200, rtol=1e-13)
    np.testing.assert_allclose(family.to_mean(theta), [1, 0, 100, 99], atol=1e-12)
    assert np.all(np.linalg.eigvalsh(family.fisher_information(theta)) >= -1e-20)


def test_a_chain_with_constant_transition_probabilities_is_a_member():
    k, length = 3, 6
    rng = np.random.default_rng(3)
    start, move = rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(k), size=k)
    pairs = (np.log(move) - np.log(move[-1, -1])).ravel()[:-1]
    theta = np.concatenate([(np.log(start) - np.log(start[-1]))[:-1], pairs])
    # log θ_kk is left out: its constant multiplies Σ N_ab = length − 1, so only the law of x counts
    x = sequences(k, length)
    expected = np.log(start[x[:, 0]]) + np.log(move[x[:, :-1], x[:, 1:]]).sum(axis=1)
    np.testing.assert_allclose(MarkovChain(k, length).log_prob(x, theta), expected, atol=1e-12)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (0,)])
def test_shapes(lead):
    family = MarkovChain(2, 4)
    theta = np.random.default_rng(5).normal(size=(*lead, family.dim))
    mu = family.to_mean(theta)
    assert mu.shape == theta.shape
    assert family.fisher_information(theta).shape == (*theta.shape, family.dim)
    x = family.sample(theta, 6, seed=0)
    assert x.shape == (*lead, 6, 4)
    assert family.statistic(x).shape == (*lead, 6, family.dim)
    assert family.log_partition(theta).shape == lead
    np.testing.assert_allclose(family.to_natural(mu), theta, atol=1e-9)


def test_sampler_by_chi_square():
    k, length, n = 3, 4, 60_000
    family = MarkovChain(k, length)
    theta = np.random.default_rng(6).normal(size=(2, family.dim))
    for row, x in zip(theta, family.sample(theta, n, seed=1)):
        p = brute(k, length, row)[1]
        number = x.astype(int) @ k ** np.arange(length - 1, -1, -1)
        assert stats.chisquare(np.bincount(number, minlength=k**length), n * p).pvalue > 1e-9


def test_mean_space_is_the_hull():
    """Mixtures of sequences with all weights positive are inside; the single sequences are not."""
    family = MarkovChain(2, 5)
    phi = family.statistic(sequences(2, 5))
    inside = np.random.default_rng(7).dirichlet(np.full(len(phi), 0.3), size=20) @ phi
    assert family.in_mean_space(inside).all()
    assert not family.in_mean_space(phi).any()
    from scipy.spatial import ConvexHull

    hull = ConvexHull(phi)
    points = np.random.default_rng(8).dirichlet(np.ones(len(phi)), size=100) @ phi
    centre = phi.mean(axis=0)
    points = centre + (points - centre) * np.random.default_rng(9).uniform(1, 12, size=(100, 1))
    depth = -(points @ hull.equations[:, :-1].T + hull.equations[:, -1]).max(axis=1)
    assert 10 < np.sum(depth > 0) < 90
    np.testing.assert_array_equal(family.in_mean_space(points), depth > 0)


@pytest.mark.parametrize(
    ("mu", "message"),
    [
        ([0.5, -0.1, 1.0, 1.0], "must be positive"),
        ([1.2, 1.0, 1.0, 1.0], "first state must sum to less than 1"),
        ([0.5, 2.0, 1.0, 1.0], "less than length − 1"),
        ([0.5, 0.5, 2.5, 0.5], "law of the last state"),
        ([0.05, 2.5, 0.5, 0.5], "hull of the statistics of all sequences"),
    ],
)
def test_means_outside(mu, message):
    family = MarkovChain(2, 5)
    good = family.reference_mean()
    with pytest.raises(InvalidMeanParameter, match=message) as caught:
        family.to_natural(np.stack([good, np.array(mu)]))
    assert caught.value.agent == 1
    assert family.in_mean_space(np.stack([good, np.array(mu)])).tolist() == [True, False]


def test_rare_transitions():
    """Expected counts of 1e-8 are recovered."""
    family = MarkovChain(2, 50)
    theta = np.array([0.5, 3.0, -18.0, -2.0])
    np.testing.assert_allclose(family.to_natural(family.to_mean(theta)), theta, rtol=1e-5)


@pytest.mark.parametrize(("k", "length"), [(1, 5), (2, 2), (2.5, 3), (True, 3), (2, 0)])
def test_bad_sizes(k, length):
    with pytest.raises(InvalidInput, match="must be an integer, at least"):
        MarkovChain(k, length)


def test_bad_sequences():
    with pytest.raises(InvalidData, match="integer from 0 to 1"):
        MarkovChain(2, 3).statistic([0, 1, 2])


def test_names():
    assert MarkovChain(2, 3).statistic_names == ("[x_1=0]", "N[0→0]", "N[0→1]", "N[1→0]")
