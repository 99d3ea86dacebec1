"""Markov chains path by path: the exact law of the statistic against all sequences of small chains."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from expfam_game import families as f
from expfam_game.kernels import chain_moments
from expfam_game.kernels.streams import seed_sequence, stream_key

KEY = stream_key(seed_sequence(14))
THETAS = {
    (2, 3): [0.3, 1.0, -0.5, 0.2],
    (2, 6): [-1.0, 0.4, 2.0, -0.7],
    (3, 5): [0.5, -0.5, 1.0, -1.0, 0.3, 0.0, 0.8, -0.2, 1.5, -2.0],
}


def brute_force(family, theta):
    """Probability of each value of the statistic, from all k^length sequences."""
    paths = np.array(list(itertools.product(range(family.k), repeat=family.length)))
    phi = family.statistic(paths)
    score = phi @ np.array(theta)
    p = np.exp(score - score.max())
    law = Counter()
    for row, weight in zip(phi, p / p.sum()):
        law[tuple(row.astype(int))] += weight
    return law


def statistics(family, theta, n):
    """The statistics of n paths of one block."""
    (draw,) = family._covariance_draws(np.array([theta]))
    out = np.empty((1, 1, family.dim, n))
    draw.kernel(np.array([[0, 0, n, 0]]), np.uint64(KEY.key), 0, *draw.parameters, out)
    return (out[0, 0] + draw.centre.T).T


@pytest.mark.parametrize("size", THETAS, ids=str)
def test_statistic_has_the_exact_law(size):
    """Every value's count within Bernstein's bound, exceeded with probability below 1e-11."""
    family, theta, n = f.MarkovChain(*size), THETAS[size], 200_001
    law = brute_force(family, theta)
    found = Counter(map(tuple, statistics(family, theta, n).astype(int)))
    assert set(found) <= set(law)
    t = np.log(2.0 * len(law) / 1e-11)
    for value, p in law.items():
        bound = t / 3.0 + np.sqrt(t**2 / 9.0 + 2.0 * n * p * (1.0 - p) * t)
        assert abs(found[value] - n * p) <= bound


@pytest.mark.parametrize("size", THETAS, ids=str)
def test_mean_scatter_and_covariance(size):
    """Seven standard deviations; those of the covariance from the law itself."""
    family, theta, n = f.MarkovChain(*size), np.array(THETAS[size]), 300_007
    law = brute_force(family, theta)
    values, p = np.array(list(law)), np.array(list(law.values()))
    mu = p @ values
    deviation = values - mu
    fisher = (deviation * p[:, None]).T @ deviation
    fourth = np.einsum("s,si,sj->ij", p, deviation**2, deviation**2)
    mean, matrix = family._fused_covariance(theta[None], n, KEY)
    assert np.all(np.abs(mean[0] - mu) <= 7.0 * np.sqrt(np.diag(fisher) / n))
    bound = np.sqrt(fourth / n) + np.sqrt(np.outer(np.diag(fisher), np.diag(fisher))) / n
    assert np.all(np.abs(matrix[0] / (n - 1) - fisher) <= 7.0 * bound)
    again, scatter = family._fused_moments(theta[None], n, KEY)
    assert np.array_equal(mean, again)
    assert np.allclose(scatter[0], np.diag(matrix[0]), rtol=1e-12)


@pytest.mark.parametrize("size", THETAS, ids=str)
def test_expected_counts_are_the_means(size):
    family, theta = f.MarkovChain(*size), np.array(THETAS[size])
    law = brute_force(family, theta)
    mu = sum(p * np.array(value) for value, p in law.items())
    first, pairs = family._completed(theta[None], of_mean=False)
    expected = chain_moments.expected_counts(first, pairs, family.length)[0]
    assert np.allclose(np.delete(expected, [family.k - 1, family.k + family.k**2 - 1]), mu, rtol=1e-13)
    assert expected[: family.k].sum() == pytest.approx(1.0, rel=1e-13)
    assert expected[family.k :].sum() == pytest.approx(family.length - 1, rel=1e-13)


def test_threads_and_other_agents_do_not_matter(monkeypatch):
    family = f.MarkovChain(3, 5)
    thetas = np.stack([np.array(THETAS[3, 5]) * factor for factor in (1.0, -1.0, 0.5)])
    results = []
    monkeypatch.setattr("expfam_game.kernels.covariance._WORTH_A_THREAD", 0)
    for threads in (1, 2, 7):
        monkeypatch.setattr("expfam_game.kernels.covariance.default_threads", lambda threads=threads: threads)
        results.append(family._fused_moments(thetas, 150_001, KEY) + family._fused_covariance(thetas, 150_001, KEY))
    for result in results[1:]:
        assert all(np.array_equal(one, other) for one, other in zip(results[0], result))
    alone = family._fused_moments(thetas[1:2], 150_001, KEY)
    assert not np.array_equal(alone[0][0], results[0][0][1])  # agent 0 of another batch: another stream
    assert np.array_equal(family._fused_moments(thetas[:1], 150_001, KEY)[0][0], results[0][0][0])


@pytest.mark.parametrize("n", [1, 2, 1023, 1025, 20_000])
def test_statistics_are_those_of_sequences(n):
    """Whole counts that add up, and a flow that no sequence contradicts."""
    family = f.MarkovChain(3, 8)
    phi = statistics(family, np.linspace(-1.0, 1.0, 10), n)
    assert np.array_equal(phi, np.rint(phi))
    first, counts = family._completed(phi)
    assert np.all(counts >= 0)
    assert np.all((first == 0) | (first == 1))
    last = first + counts.sum(axis=-2) - counts.sum(axis=-1)
    assert np.all((last == 0) | (last == 1))
    assert np.all(last.sum(axis=-1) == 1)


def test_scores_of_five_hundred_and_long_chains():
    """A chain that can only go round; and 10⁴ steps, whose sums are exact."""
    family = f.MarkovChain(2, 5)
    mean, scatter = family._fused_moments(np.array([[500.0, -500.0, 500.0, 500.0]]), 1000, KEY)
    assert np.array_equal(mean[0], [1.0, 0.0, 2.0, 2.0])
    assert not scatter.any()
    family, theta, n = f.MarkovChain(2, 10_000), np.array([0.0, 0.1, -0.2, 0.3]), 2000
    mean, scatter = family._fused_moments(theta[None], n, KEY)
    variance = family.variance(theta)
    assert np.all(np.abs(mean[0] - family.to_mean(theta)) <= 7.0 * np.sqrt(variance / n))
    assert np.all(np.abs(scatter[0] / (n - 1) / variance - 1.0) <= 7.0 * np.sqrt(3.0 / n))


def test_many_states_use_few_paths_at_once():
    family, n = f.MarkovChain(40, 4), 20_000
    mean, _ = family._fused_moments(np.zeros((1, family.dim)), n, KEY)
    mu = family.to_mean(np.zeros(family.dim))
    spread = (
        7.0 * np.sqrt(3.0 * mu / n) + 30.0 / n
    )  # Bernstein: a count of at most 3 with mean μ has variance below 3 μ
    assert np.all(np.abs(mean[0] - mu) <= spread)
