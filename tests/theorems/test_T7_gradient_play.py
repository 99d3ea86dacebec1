"""T7: gradient play converges globally; natural-gradient play contracts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import expfam_game as eg
from expfam_game.testing import strategies


def _lyapunov_weights(game):
    system = np.eye(game.n_agents) - game.weights.off_diagonal.toarray()
    return np.linalg.solve(system.T, np.ones(game.n_agents)) / game.v, system


@given(alpha=strategies.weights(max_agents=7))
@settings(max_examples=100, deadline=None)
def test_T7_the_lyapunov_matrix_is_positive_definite(alpha):
    """Scaled to x = y/v-balanced form its smallest eigenvalue is provably positive; checked up to rounding."""
    alpha = np.asarray(alpha)
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.from_dense(alpha), means=np.full((len(alpha), 1), 0.5))
    c, system = _lyapunov_weights(game)
    symmetric = c[:, None] * system + (c[:, None] * system).T
    smallest = np.linalg.eigvalsh(symmetric)[0]
    # (C(I−B) + (I−B)ᵀC) v = y/v + 1 > 0 with non-positive off-diagonal: strictly diagonally dominant after scaling by v.
    np.testing.assert_allclose(symmetric @ game.v, c + 1, rtol=1e-8, atol=1e-8)
    assert smallest > -1e-12 * np.abs(symmetric).max()


@pytest.mark.parametrize("seed", range(4))
def test_T7_divergence_falls_along_the_flow_at_the_predicted_rate(seed):
    rng = np.random.default_rng(seed)
    alpha = rng.dirichlet(np.ones(4), size=4)
    game = eg.Game(eg.families.Bernoulli(2), eg.Weights.from_dense(alpha), means=rng.uniform(0.05, 0.95, (4, 2)))
    c, system = _lyapunov_weights(game)
    best = eg.solve(game).natural

    def sigmoid(t):
        return 1 / (1 + np.exp(-t))

    def flow(_, flat):
        mu = sigmoid(flat.reshape(4, 2))
        return (alpha.diagonal()[:, None] * game.means - system @ mu).ravel()

    def divergence(theta):
        p, q = sigmoid(best), sigmoid(theta)
        return c @ (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(axis=1)

    path = solve_ivp(flow, (0, 30), rng.normal(size=8) * 3, rtol=1e-11, atol=1e-12, dense_output=True)
    values = [divergence(path.sol(t).reshape(4, 2)) for t in np.linspace(0, 30, 400)]
    assert all(later < earlier + 1e-11 for earlier, later in itertools.pairwise(values))
    assert values[-1] < 0.02 * values[0]
    for t in (0.1, 1.0, 3.0):
        delta = sigmoid(path.sol(t).reshape(4, 2)) - sigmoid(best)
        predicted = -np.sum(delta * (c[:, None] * (system @ delta)))
        h = 1e-3
        measured = (divergence(path.sol(t + h).reshape(4, 2)) - divergence(path.sol(t - h).reshape(4, 2))) / (2 * h)
        assert measured == pytest.approx(predicted, rel=1e-4)


@given(game=strategies.games(), step=st.floats(0.05, 1.0), seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_T7_natural_gradient_play_contracts_by_its_factor(game, step, seed):
    start = np.random.default_rng(seed).uniform(size=game.means.shape) * (1 + np.abs(game.means))
    goal = game.equilibrium_mean
    errors = np.array(
        eg.solve(
            game,
            eg.solvers.NaturalGradientPlay(step, max_steps=25),
            start=start,
            throw=False,
            observe=lambda _, mean: np.max(np.abs(mean - goal) / game.v[:, None]),
        ).history.observed
    )
    factor = 1 - step * (1 - game.q)
    assert np.all(errors[1:] <= factor * errors[:-1] + 1e-13 * (1 + np.abs(goal).max()))


@pytest.mark.parametrize(
    ("family", "data"),
    [
        (eg.families.Bernoulli(3), [[0.1, 0.5, 0.9], [0.7, 0.3, 0.2], [0.5, 0.5, 0.01]]),
        (eg.families.Poisson(), [[0.3], [4.0], [20.0]]),
        (eg.families.Categorical(3), [[0.1, 0.2], [0.6, 0.3], [0.3, 0.3]]),
        (eg.families.Exponential(), [[0.5], [1.0], [3.0]]),
    ],
    ids=repr,
)
def test_T7_gradient_play_finds_the_equilibrium(family, data):
    game = eg.Game(family, eg.Weights.ring(3, 0.4), means=data)
    solution = eg.solve(game, eg.solvers.GradientPlay(tolerance=1e-10))
    np.testing.assert_allclose(solution.mean, game.equilibrium_mean, rtol=1e-8)
    assert solution.regret.max() < 1e-15


@pytest.mark.parametrize(
    ("family", "data", "self_weight"),
    [
        (eg.families.Bernoulli(1), [[0.1], [0.9], [0.5]], 0.1),
        (eg.families.Poisson(), [[0.3], [40.0], [1.0]], 0.1),
        (eg.families.Poisson(), [[0.3], [40.0], [1.0]], 0.02),
        (eg.families.Exponential(), [[0.1], [100.0], [1.0]], 0.1),
        (eg.families.Categorical(3), [[0.001, 0.001], [0.998, 0.001], [0.001, 0.998]], 0.1),
    ],
    ids=repr,
)
def test_T7_gradient_play_neither_cycles_nor_overshoots_where_agents_disagree(family, data, self_weight):
    game = eg.Game(family, eg.Weights.ring(3, self_weight), means=data)
    solution = eg.solve(game, eg.solvers.GradientPlay(tolerance=1e-10))
    np.testing.assert_allclose(solution.mean, game.equilibrium_mean, rtol=1e-8, atol=1e-9)


def test_T7_gradient_play_on_standardised_data():
    """Column means are rounding noise of 1e-17: the natural unit is the standard deviation."""
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(40, 2)) for _ in range(3)]
    data = [(x - x.mean(axis=0)) / x.std(axis=0) for x in data]
    game = eg.Game(eg.families.Gaussian(2), eg.Weights.complete(3, 0.3), data)
    assert eg.solve(game, eg.solvers.GradientPlay(tolerance=1e-10)).status is eg.Status.CONVERGED


def test_T7_gradient_play_does_not_creep_to_the_boundary():
    """From the data mean 1 − 1e-6 a step of rate 1/F ≈ 1e6 passes the target by little of the way and reaches mean 0."""
    game = eg.Game(
        eg.families.Bernoulli(1), eg.Weights.from_dense([[0.02, 0.98], [0.0, 1.0]]), means=[[1 - 1e-6], [1e-3]]
    )
    solution = eg.solve(game, eg.solvers.GradientPlay(tolerance=1e-8))
    np.testing.assert_allclose(solution.mean.ravel(), [0.02 * (1 - 1e-6) + 0.98 * 1e-3, 1e-3], rtol=1e-6)
