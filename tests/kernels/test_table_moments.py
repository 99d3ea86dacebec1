"""Statistics given by a table: counts of cells, weighed rows, enumerated spins, densities on an interval."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from expfam_game import families as f
from expfam_game.kernels import table_moments
from expfam_game.kernels.covariance import scatter_matrices
from expfam_game.kernels.streams import seed_sequence, stream_key
from expfam_game.kernels.table_moments import cell_counts, weighed

KEY = stream_key(seed_sequence(15))
LOOP = f.Ising.complete(4)
FIELDS = np.linspace(-0.5, 0.6, 10)


def pair(x):
    return np.stack([x, x**2], axis=-1)


INTERVALS = {
    "normal": (f.FromStatistic(pair, None, (-np.inf, np.inf)), [0.6, -0.3]),
    "gamma": (f.FromStatistic(lambda x: np.stack([np.log(x), x], axis=-1), None, (0.0, np.inf)), [1.5, -2.0]),
    "beta": (f.FromStatistic(lambda x: np.log(x), lambda x: np.zeros_like(x), (0.0, 1.0)), [0.7]),
}


def slack(p, n, outcomes=1):
    """Bernstein's bound on |count − np|, exceeded with probability below 1e-11."""
    t = np.log(2.0 * outcomes / 1e-11)
    return t / 3.0 + np.sqrt(t**2 / 9.0 + 2.0 * n * p * (1.0 - p) * t)


def test_counts_of_cells_have_their_law():
    weights = np.array([[0.1, 0.5, 0.0, 0.4], [1e-300, 1e-9, 1e-3, 1.0]])
    n = 10**6
    counts = cell_counts(weights / weights.sum(axis=1, keepdims=True), n, KEY)
    p = weights / weights.sum(axis=1, keepdims=True)
    assert np.array_equal(counts.sum(axis=1), [n, n])
    assert np.all(np.abs(counts - n * p) <= slack(p, n, 8))
    assert counts[0, 2] == counts[1, 0] == 0


@pytest.mark.parametrize("agents", [1, 5])
def test_threads_and_cuts_do_not_matter(agents, monkeypatch):
    """Threads share agents, or the blocks of one; a batch may be cut anywhere."""
    monkeypatch.setattr(table_moments, "COUNT_BLOCK", 4096)
    weights = np.random.default_rng(0).dirichlet(np.ones(300), agents)
    whole = [cell_counts(weights, 70_001, KEY, threads=threads) for threads in (1, 2, 7)]
    assert np.array_equal(whole[0], whole[1])
    assert np.array_equal(whole[0], whole[2])
    parts = [cell_counts(weights[k : k + 1], 70_001, KEY, first_agent=k) for k in range(agents)]
    assert np.array_equal(whole[0], np.concatenate(parts))


@pytest.mark.parametrize("dim", [1, 3])
def test_weighed_rows_against_a_list_of_samples(dim):
    random = np.random.default_rng(2)
    table, counts = random.normal(size=(6, dim)), random.integers(0, 9, (2, 6)).astype(float)
    counts[:, 0] += 40.0 - counts.sum(axis=1)
    mean, scatter = weighed(counts, table, 40, False)
    again, matrix = weighed(counts, table, 40, True)
    for agent in range(2):
        phi = np.repeat(table, counts[agent].astype(int), axis=0)
        expected = (phi - phi.mean(axis=0)).T @ (phi - phi.mean(axis=0))
        assert np.allclose(mean[agent], phi.mean(axis=0), rtol=1e-13)
        assert np.allclose(matrix[agent], expected, rtol=1e-12, atol=1e-13)
        assert np.allclose(scatter[agent], np.diag(expected), rtol=1e-12)
    assert np.array_equal(mean, again)


# ---------------------------------------------------------------------- enumerated spins


def states_and_law(family, theta):
    states = np.array(list(itertools.product([-1, 1], repeat=family.n_sites)))
    phi = family.statistic(states)
    p = np.exp(phi @ theta - (phi @ theta).max())
    return phi, p / p.sum()


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_spins_with_loops(scale):
    """Mean, scatter and covariance against all sixteen states."""
    n, theta = 300_007, scale * FIELDS
    phi, p = states_and_law(LOOP, theta)
    mu = p @ phi
    fisher = ((phi - mu) * p[:, None]).T @ (phi - mu)
    fourth = np.einsum("s,si,sj->ij", p, (phi - mu) ** 2, (phi - mu) ** 2)
    mean, scatter = LOOP._fused_moments(theta[None], n, KEY)
    again, matrix = LOOP._fused_covariance(theta[None], n, KEY)
    assert np.array_equal(mean, again)
    assert np.allclose(np.diag(matrix[0]), scatter[0], rtol=1e-12)
    assert np.all(np.abs(mean[0] - mu) <= 2.0 * slack((1.0 + mu) / 2.0, n, 10) / n)
    bound = 7.0 * np.sqrt(fourth / n) + 100.0 / n
    assert np.all(np.abs(matrix[0] / (n - 1) - fisher) <= bound)
    (draw,) = LOOP._covariance_draws(theta[None])
    drawn_mean, drawn = scatter_matrices([draw], n, KEY)
    assert np.all(np.abs(drawn_mean[0] - mu) <= 2.0 * slack((1.0 + mu) / 2.0, n, 10) / n)
    assert np.all(np.abs(drawn[0] / (n - 1) - fisher) <= bound)


def test_spins_of_one_sample_are_spins():
    mean, scatter = LOOP._fused_moments(np.tile(FIELDS, (50, 1)), 1, KEY)
    assert np.array_equal(np.abs(mean), np.ones_like(mean))
    for edge, (s, t) in enumerate(LOOP.edges):
        assert np.array_equal(mean[:, 4 + edge], mean[:, s] * mean[:, t])
    assert not scatter.any()


def test_sixteen_sites_with_loops():
    """A grid whose 65 536 states are rarer than one in n."""
    family, n = f.Ising.grid(4, 4), 30_000
    theta = np.concatenate([np.full(16, 0.1), np.full(24, 0.3)])
    mean, _ = family._fused_moments(np.stack([theta, -theta]), n, KEY)
    mu = family.to_mean(np.stack([theta, -theta]))
    assert np.all(np.abs(mean - mu) <= 2.0 * slack((1.0 + mu) / 2.0, n, 80) / n)
    assert np.array_equal(mean[0], family._fused_moments(theta[None], n, KEY)[0][0])


# ---------------------------------------------------------------------- densities on an interval


@pytest.mark.parametrize("name", INTERVALS)
def test_interval_has_the_exact_mean_and_covariance(name):
    family, theta = INTERVALS[name][0], np.array(INTERVALS[name][1])
    n = 200_003
    mean, matrix = family._fused_covariance(theta[None], n, KEY)
    phi = family._sample_statistic(theta, 200_000, np.random.default_rng(0))
    mu, fisher = family.to_mean(theta), family.fisher_information(theta)
    fourth = np.mean(((phi - mu)[:, :, None] * (phi - mu)[:, None, :]) ** 2, axis=0)
    scale = np.sqrt(np.outer(np.diag(fisher), np.diag(fisher)))
    assert np.all(np.abs(mean[0] - mu) <= 7.0 * np.sqrt(np.diag(fisher) / n))
    assert np.all(np.abs(matrix[0] / (n - 1) - fisher) <= 7.0 * (np.sqrt(2.0 * fourth / n) + 7.0 * scale / n))
    together = family._fused_moments(np.stack([theta, theta]), n, KEY)
    assert np.array_equal(together[0][0], mean[0])
    assert np.array_equal(together[1][0], np.diag(matrix[0]))
    assert not np.array_equal(together[0][1], mean[0])


def test_proposals_follow_the_chords_and_accepted_ones_the_density():
    """Kolmogorov distance from the normal law below the bound of Dvoretzky, Kiefer and Wolfowitz at 1e-11."""
    knots = np.linspace(-9.0, 9.0, 400)
    height = np.exp(-0.5 * knots**2)
    share, alias = table_moments.chord_tables(knots, height)
    state = table_moments.open_block(np.uint64(KEY.key), 0, 0, 0)
    x, bar = np.empty((2, 200_001))
    table_moments.propose(knots, height, share, alias, state, x, bar)
    assert np.all((bar > 0) & (bar <= np.interp(x, knots, height) * (1 + 1e-12)))
    accepted = x[1.1 * bar < np.exp(-0.5 * x**2)]
    distance = stats.kstest(accepted, stats.norm.cdf).statistic
    assert distance <= np.sqrt(np.log(2e11) / (2.0 * accepted.size))


def test_accepted_points_are_added_until_enough():
    phi, bar = np.arange(12.0).reshape(6, 2), np.array([0.1, 0.9, 0.1, 0.1, np.nan, 0.1])
    first, second = np.zeros(2), np.zeros((2, 2))
    taken = table_moments.add_accepted(phi, np.log(np.full(6, 0.5)), bar, 3, np.ones(2), first, second)
    kept = phi[[0, 2, 3]] - 1.0
    assert taken == 3
    assert np.allclose(first, kept.sum(axis=0))
    assert np.allclose(second, np.triu(kept.T @ kept))
