"""Rounds of sampled play: the same for any number of threads, in little memory, with the covariance that T8 predicts."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

import expfam_game as eg
from expfam_game.families.sum_laws import sum_law
from expfam_game.kernels.streams import StreamKey
from expfam_game.solvers.sampled_rounds import Rounds

F = eg.families

FAMILIES = {
    "Bernoulli": (F.Bernoulli(3), [0.2, 0.5, 0.9]),
    "Binomial": (F.Binomial(4), [1.5]),
    "Categorical": (F.Categorical(4), [0.2, 0.3, 0.1]),
    "Poisson": (F.Poisson(), [2.0]),
    "Exponential": (F.Exponential(), [2.0]),
    "Laplace": (F.Laplace(), [0.5]),
    "Weibull": (F.Weibull(2.0), [0.5]),
    "KnownVarianceGaussian": (F.KnownVarianceGaussian(2.5), [-1.0]),
    "DiagonalGaussian": (F.DiagonalGaussian(2), [0.5, -1.0, 1.0, 4.0]),
    "LogNormal": (F.LogNormal(), [0.5, 1.0]),
    "Gaussian": (F.Gaussian(2), [0.5, -1.0, 1.0, -0.7, 4.0]),
    "Product": (
        F.Product([F.Poisson(), F.Gaussian(1), F.Bernoulli(2), F.Poisson()]),
        [3.0, 0.5, 2.0, 0.3, 0.6, 1.0],
    ),
    "Gamma, which has no law": (F.Gamma(), [0.1, 1.5]),
    "Geometric, which has a law but no kernel": (F.Geometric(), [2.0]),
}


def random_weights(n, neighbours=4, trust=0.3, seed=0):
    columns = np.random.default_rng(seed).integers(0, n, size=n * neighbours)
    heard = sparse.csr_array(
        (np.full(columns.size, (1 - trust) / neighbours), columns, neighbours * np.arange(n + 1)), shape=(n, n)
    )
    return eg.Weights(heard + trust * sparse.eye_array(n))


@pytest.mark.parametrize("name", FAMILIES)
def test_T8_law_of_the_average_has_the_familys_mean_and_variance(name):
    """Averages of n samples: mean μ and variance V/n, to seven standard errors with the sample's own fourth moment."""
    family, row = FAMILIES[name]
    law = sum_law(family)
    if law is None:
        assert "which has" in name
        return
    n, rows = 30, 40_000
    mean = np.tile(np.array(row), (rows, 1))
    drawn = np.empty_like(mean)
    assert law.draw(mean, n, StreamKey(3), 0, 0, drawn) == 0
    variance = family.variance(family.to_natural(row)) / n
    assert np.all(np.abs(drawn.mean(axis=0) - row) < 7 * np.sqrt(variance / rows))
    squares = (drawn - row) ** 2
    assert np.all(np.abs(squares.mean(axis=0) - variance) < 7 * squares.std(axis=0) / np.sqrt(rows))


def test_a_subclass_is_not_taken_for_its_parent():
    class Mine(F.Poisson):
        pass

    assert sum_law(Mine()) is None
    assert sum_law(F.Product([F.Poisson(), Mine()])) is None


def test_counts_that_are_not_whole_numbers_in_floating_point_are_not_covered():
    assert sum_law(F.Binomial(2**30)).covers(2**23)
    assert not sum_law(F.Binomial(2**30)).covers(2**24)
    assert sum_law(F.Poisson()).covers(2**60)


@pytest.mark.parametrize("exchange", ["broadcast", "separate"])
@pytest.mark.parametrize("name", FAMILIES)
def test_T8_numbers_are_the_same_for_any_number_of_threads(name, exchange):
    family, row = FAMILIES[name]
    n = 5000 if sum_law(family) is not None else 40
    game = eg.Game(family, random_weights(n), means=np.tile(np.array(row), (n, 1)))
    ends = []
    for threads in (1, 2, 5):
        with Rounds(game, exchange, "auto", 7, threads) as rounds:
            mean = rounds.play(game.means, 100, 1.0, 0)
            ends.append(rounds.play(mean, 100, 0.5, 1))
    assert np.array_equal(ends[0], ends[1])
    assert np.array_equal(ends[0], ends[2])
    assert not np.array_equal(ends[0], game.means)


@pytest.mark.parametrize("exchange", ["broadcast", "separate"])
@pytest.mark.parametrize("width", [1, 2, 9, 37])
def test_T8_exact_models_hear_exactly_the_best_response(width, exchange):
    """With almost no variance a round is simultaneous best response, whatever the number of statistics."""
    n = 700
    rng = np.random.default_rng(1)
    game = eg.Game(F.KnownVarianceGaussian(1e-30) ** width, random_weights(n), means=rng.normal(size=(n, width)))
    mean = rng.normal(size=(n, width))
    with Rounds(game, exchange, "auto", 0) as rounds:
        np.testing.assert_allclose(rounds.play(mean, 1, 1.0, 0), game.best_response(mean), rtol=0, atol=1e-13)
        damped = 0.25 * game.best_response(mean) + 0.75 * mean
        np.testing.assert_allclose(rounds.play(mean, 1, 0.25, 0), damped, rtol=0, atol=1e-13)


def _copies_of_a_ring(copies, start):
    ring = eg.Weights.ring(3, 0.4).matrix
    return eg.Game(
        F.Bernoulli(), eg.Weights(sparse.kron(sparse.eye_array(copies), ring)), means=np.tile(start, copies)[:, None]
    )


@pytest.mark.parametrize("exchange", ["broadcast", "separate"])
def test_T8_covariance_of_many_agents_follows_its_recursion(exchange):
    """30,000 copies of a three-ring at equilibrium: E[μ(1 − μ)] = m(1 − m) − Var μ makes the recursion of T8 exact.

    Variances and covariances of independent copies, to seven standard errors from their own fourth moments.
    """
    copies, n, rounds = 30_000, 10, 6
    game = _copies_of_a_ring(copies, [0.2, 0.5, 0.9])
    goal = game.equilibrium_mean[:3, 0]
    b = game.weights.off_diagonal[:3, :3].toarray()
    covariance = np.zeros((3, 3))
    mean = game.equilibrium_mean
    with Rounds(game, exchange, "auto", 5) as play:
        for t in range(rounds):
            fresh = (goal * (1 - goal) - np.diag(covariance)) / n
            noise = b @ np.diag(fresh) @ b.T if exchange == "broadcast" else np.diag(b**2 @ fresh)
            covariance = b @ covariance @ b.T + noise
            mean = play.play(mean, n, 1.0, t)
    deviation = mean.reshape(copies, 3) - goal
    products = deviation[:, :, None] * deviation[:, None, :]
    assert np.all(np.abs(deviation.mean(axis=0)) < 7 * np.sqrt(np.diag(covariance) / copies))
    assert np.all(np.abs(products.mean(axis=0) - covariance) < 7 * products.std(axis=0) / np.sqrt(copies))
    assert np.all(
        7 * products.std(axis=0) / np.sqrt(copies) < 0.1 * np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    )


def test_T8_draws_of_their_own_for_every_listener_are_independent():
    """All of 2000 agents listen to agent 0 alone: broadcast they hear the same, separately they hear different draws."""
    n, samples = 2000, 50
    weights = eg.Weights.from_edges([(i, 0, 1.0) for i in range(1, n)], n, self_weight=[1.0, *[0.5] * (n - 1)])
    game = eg.Game(F.Bernoulli(), weights, means=np.full((n, 1), 0.5))
    with Rounds(game, "broadcast", "auto", 1) as rounds:
        assert np.ptp(rounds.play(game.means, samples, 1.0, 0)[1:]) == 0.0
    with Rounds(game, "separate", "auto", 1) as rounds:
        heard = (rounds.play(game.means, samples, 1.0, 0)[1:, 0] - 0.25) / 0.5
    variance = 0.25 / samples
    squares = (heard - 0.5) ** 2
    assert abs(heard.mean() - 0.5) < 7 * np.sqrt(variance / (n - 1))
    assert abs(squares.mean() - variance) < 7 * squares.std() / np.sqrt(n - 1)


def test_draws_for_every_listener_need_no_memory_for_all_pairs():
    n, width = 2000, 16
    game = eg.Game(F.Bernoulli(width), random_weights(n, 100), means=np.full((n, width), 0.5))
    pairs = game.weights.off_diagonal.nnz * width * 8
    with Rounds(game, "separate", "auto", 1) as rounds:
        rounds.play(game.means, 10, 1.0, 0)
        tracemalloc.start()
        rounds.play(game.means, 10, 1.0, 1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 0.1 * pairs


def test_T8_the_history_and_the_observer_do_not_change_the_numbers():
    game = eg.catalog.ring(6, 0.3)
    play = eg.solvers.SampledPlay(n_samples=200, rounds=30, seed=3)
    seen = []
    plain = eg.solve(game, play)
    watched = eg.solve(game, play, history=True, observe=lambda step, mean: seen.append(mean) or float(step))
    assert np.array_equal(plain.mean, watched.mean)
    assert watched.history.error_bound.shape == (30,)
    assert np.all(np.isfinite(watched.history.error_bound))
    assert len({mean.tobytes() for mean in seen}) == 30  # no round writes over what an earlier one handed out


@pytest.mark.parametrize("exchange", ["broadcast", "separate"])
@pytest.mark.parametrize("method", ["auto", "samples"])
def test_a_model_on_the_boundary_ends_play(exchange, method):
    game = eg.catalog.two_agents(0.5)
    with Rounds(game, exchange, method, 0) as rounds:
        assert rounds.play(np.full((2, 1), 1e-12), 5, 1.0, 0) is not None
        assert rounds.play(np.array([[0.0], [0.5]]), 5, 1.0, 1) is None
