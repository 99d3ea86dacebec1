"""T8: what n samples a round do: unbiased, with a noise floor that the Lyapunov equations predict."""

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

import expfam_game as eg

N_REPLICAS = 60
"""Independent copies of the game played at once as coordinates of one product family."""


def _gaussian_game(self_weight=0.3):
    family = eg.families.KnownVarianceGaussian(1.0) ** N_REPLICAS
    means = np.repeat([[0.0], [1.0], [-2.0]], N_REPLICAS, axis=1)
    return eg.Game(family, eg.Weights.ring(3, self_weight), means=means)


def _lyapunov_diagonal(game, n, exchange):
    b = game.weights.off_diagonal.toarray()
    if exchange == "broadcast":
        noise = b @ b.T / n
    else:
        noise = np.diag((b**2).sum(axis=1)) / n
    return np.diag(solve_discrete_lyapunov(b, noise))


@pytest.mark.parametrize("exchange", ["broadcast", "separate"])
def test_T8_predicted_floor_solves_the_lyapunov_equation(exchange):
    game = _gaussian_game()
    play = eg.solvers.SampledPlay(n_samples=50, rounds=400, exchange=exchange)
    expected = _lyapunov_diagonal(game, 50, exchange)
    np.testing.assert_allclose(play.predicted_floor(game), np.repeat(expected[:, None], N_REPLICAS, axis=1), rtol=1e-12)


@pytest.mark.parametrize("exchange", ["broadcast", "separate"])
def test_T8_observed_floor_matches_the_lyapunov_equation(exchange):
    """The mean of x² over T rounds of a Gaussian vector autoregression has relative variance at most
    2 (1 + ρ²)/(1 − ρ²)/T per replica; seven standard deviations of that."""
    game, rounds = _gaussian_game(), 3000
    play = eg.solvers.SampledPlay(n_samples=50, rounds=rounds, exchange=exchange, burn_in=100, seed=11)
    observed = eg.solve(game, play).noise.observed.mean(axis=1)
    expected = _lyapunov_diagonal(game, 50, exchange)
    rho = game.spectral_radius
    deviation = np.sqrt(2 * (1 + rho**2) / (1 - rho**2) / ((rounds - 100) * N_REPLICAS))
    assert np.all(np.abs(observed / expected - 1) < 7 * deviation)
    assert 7 * deviation < 0.05


@pytest.mark.parametrize("method", ["auto", "samples"])
def test_T8_one_round_is_unbiased(method):
    """The average over replicas of a sampled round is simultaneous best response, to seven standard errors."""
    game = eg.catalog.complete(4, 0.2)
    start, n, replicas = np.array([[0.1], [0.4], [0.5], [0.95]]), 20, 400
    played = np.array(
        [
            eg.solve(game, eg.solvers.SampledPlay(n_samples=n, rounds=1, seed=s, method=method), start=start).mean
            for s in range(replicas)
        ]
    )
    b = game.weights.off_diagonal.toarray()
    error = np.sqrt(b**2 @ (start * (1 - start)) / n / replicas)
    assert np.all(np.abs(played.mean(axis=0) - game.best_response(start)) < 7 * error)


def test_T8_the_expected_path_is_the_path_of_simultaneous_play():
    game, rounds = _gaussian_game(), 6
    play = eg.solvers.SampledPlay(n_samples=100, rounds=rounds, seed=4)
    mean = np.array(game.means)
    for _ in range(rounds):
        mean = game.best_response(mean)
    played = eg.solve(game, play).mean.mean(axis=1)
    deviation = np.sqrt(play.predicted_floor(game)[:, 0] / N_REPLICAS)
    assert np.all(np.abs(played - mean[:, 0]) < 7 * deviation)


def test_T8_floor_falls_with_n_and_with_trust_in_real_data():
    def floor(self_weight, n):
        play = eg.solvers.SampledPlay(n_samples=n, rounds=4000)
        return play.predicted_floor(eg.catalog.ring(5, self_weight)).max()

    assert floor(0.3, 100) == pytest.approx(10 * floor(0.3, 1000), rel=1e-12)
    floors = [floor(a, 100) for a in (0.01, 0.05, 0.2, 0.5)]
    assert floors == sorted(floors, reverse=True)
    assert floors[0] > 10 * floors[-1]


@pytest.mark.parametrize("schedule", ["growing", "averaging"])
def test_T8_growing_samples_or_averaging_remove_the_floor(schedule):
    game = _gaussian_game()
    constant = eg.solvers.SampledPlay(n_samples=50, rounds=800).predicted_floor(game)[:, 0]
    play = eg.solvers.SampledPlay(n_samples=50, rounds=800, schedule=schedule, seed=2)
    predicted = play.predicted_floor(game)[:, 0]
    assert np.all(predicted < 0.05 * constant)
    # N_REPLICAS independent squared Gaussians around what is left of the start: relative standard deviation at most
    # sqrt(2 / N_REPLICAS) of their mean square.
    noise = eg.solve(game, play).noise
    expected = noise.predicted[:, 0]
    np.testing.assert_array_less(predicted * (1 - 1e-12), expected)
    assert np.all(np.abs(noise.observed.mean(axis=1) / expected - 1) < 7 * np.sqrt(2 / N_REPLICAS))


@pytest.mark.parametrize("schedule", ["constant", "growing", "averaging"])
def test_T8_slow_mixing_and_few_rounds_are_predicted_too(schedule):
    """Self-weight 0.02 and 200 rounds: the start is not forgotten, and its rest is part of the prediction."""
    game = _gaussian_game(0.02)
    play = eg.solvers.SampledPlay(n_samples=1000, rounds=200, schedule=schedule, seed=8)
    noise = eg.solve(game, play).noise
    # Rounds are correlated: count every replica once, as if all its rounds were one.
    ratio = noise.observed.mean(axis=1) / noise.predicted[:, 0]
    assert np.all(np.abs(ratio - 1) < 7 * np.sqrt(2 / N_REPLICAS))


def test_T8_the_average_over_rounds_is_the_average_of_each_rounds_variance():
    game = eg.catalog.ring(4, 0.2)
    play = eg.solvers.SampledPlay(n_samples=10, rounds=30)
    b = game.weights.off_diagonal.toarray()
    variance = game.equilibrium_mean * (1 - game.equilibrium_mean) / 10
    covariance, diagonals = np.zeros((4, 4)), []
    for _ in range(30):
        covariance = b @ (covariance + np.diag(variance[:, 0])) @ b.T
        diagonals.append(np.diag(covariance))
    np.testing.assert_allclose(play.predicted_floor(game)[:, 0], diagonals[-1], rtol=1e-12)
    np.testing.assert_allclose(play.predicted_floor(game, 11)[:, 0], np.mean(diagonals[10:], axis=0), rtol=1e-12)
