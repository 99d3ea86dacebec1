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
    # N_REPLICAS independent squared Gaussians: relative standard deviation sqrt(2 / N_REPLICAS), plus the bias that the
    # first rounds leave under averaging, bounded by the product of the gains' contraction factors.
    bias = np.prod(1 - play.gains() * (1 - game.q)) * game.v.max() * 3
    observed = eg.solve(game, play).noise.observed.mean(axis=1)
    assert np.all(
        observed <= predicted * (1 + 7 * np.sqrt(2 / N_REPLICAS)) + 2 * bias * np.sqrt(predicted) * 7 + bias**2
    )
    assert np.all(observed >= predicted * (1 - 6 * np.sqrt(2 / N_REPLICAS)))
