"""T11: agents who see different variables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import expfam_game as eg
from expfam_game.game import PartialGame


def _random_game(seed, trust=0.4):
    """Variable 0 and 1 are shared by all three agents; each has one more of its own."""
    rng = np.random.default_rng(seed)
    states, seen = (2, 3, 2, 3, 2), [(0, 1, 2), (1, 0, 3), (0, 4, 1)]
    data = [rng.dirichlet(np.ones(np.prod(s))).reshape(s) for s in ([states[v] for v in row] for row in seen)]
    return PartialGame(states, seen, eg.Weights.ring(3, trust, both_ways=seed % 2 == 0), data)


def _random_profile(game, seed):
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(np.prod(game.shape(i)))).reshape(game.shape(i)) for i in range(game.n_agents)]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_T11_an_em_step_never_lowers_the_utility(seed):
    game = _random_game(seed)
    profile = _random_profile(game, seed + 1)
    for agent in range(3):
        after = list(profile)
        after[agent] = game.em_step(agent, profile)
        assert game.utility(agent, after) >= game.utility(agent, profile) - 1e-14


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_T11_marginals_on_the_shared_variables_play_t4_and_end_at_t2(seed):
    """One round is α_ii π_i(S) + Σ α_ij p_j(S), and the equilibrium has the marginals R π(S): exactly, whatever else."""
    game = _random_game(seed)
    profile, shared = _random_profile(game, seed + 1), [0, 1]

    def marginals(models):
        return np.array([game.marginal(i, models[i], shared).ravel() for i in range(3)])

    alpha = game.weights.to_dense()
    own = np.diag(np.diag(alpha))
    data = marginals(game.data)
    after = [game.em_step(i, profile) for i in range(3)]
    np.testing.assert_allclose(marginals(after), own @ data + (alpha - own) @ marginals(profile), atol=1e-15)
    solution = game.play(profile)
    assert solution.converged
    influence = np.linalg.solve(np.eye(3) - alpha + own, own)
    np.testing.assert_allclose(marginals(solution.models), influence @ data, atol=1e-11)


def test_T11_conditionals_of_private_variables_are_those_of_ones_own_data():
    game = _random_game(4)
    model = game.play().models[0]
    own = game.data[0]
    np.testing.assert_allclose(
        model / model.sum(axis=2, keepdims=True), own / own.sum(axis=2, keepdims=True), atol=1e-9
    )


def test_T11_em_best_response_is_the_maximum_of_a_concave_utility():
    """Against BFGS on log-probabilities, for agents whose overlaps differ, so no closed form is known."""
    rng = np.random.default_rng(2)
    seen = [(0, 1), (1, 2), (0, 2)]
    data = [rng.dirichlet(np.ones(4)).reshape(2, 2) for _ in seen]
    game = PartialGame([2, 2, 2], seen, eg.Weights.complete(3, 0.2), data)
    profile = _random_profile(game, 5)
    best = game.best_response(0, profile, tolerance=1e-14)

    def loss(scores):
        table = np.exp(scores - scores.max())
        return -game.utility(0, [(table / table.sum()).reshape(2, 2), *profile[1:]])

    other = minimize(loss, np.zeros(4), tol=1e-13)
    table = np.exp(other.x)
    np.testing.assert_allclose(best, (table / table.sum()).reshape(2, 2), atol=1e-5)
    assert game.utility(0, [best, *profile[1:]]) >= -other.fun - 1e-12


def test_T11_the_equilibrium_is_a_fixed_point_of_every_best_response():
    game = _random_game(7)
    models = game.play(tolerance=1e-14).models
    for agent in range(3):
        np.testing.assert_allclose(game.best_response(agent, models), models[agent], atol=1e-9)


def test_T11_agents_that_share_all_variables_play_the_ordinary_game():
    rng = np.random.default_rng(3)
    data = rng.dirichlet(np.ones(4), size=3)
    weights = eg.Weights.ring(3, [0.5, 0.0, 0.4])
    game = PartialGame([4], [[0]] * 3, weights, [data[0], None, data[2]])
    plain = eg.Game(eg.families.Categorical(4), weights, means=[data[0][:3], [np.nan] * 3, data[2][:3]])
    np.testing.assert_allclose(np.array(game.play().models)[:, :3], eg.solve(plain).mean, atol=1e-11)


def test_T11_agents_that_share_nothing_learn_alone():
    data = [[0.2, 0.8], [0.1, 0.9]]
    game = PartialGame([2, 2], [[0], [1]], eg.Weights.complete(2, 0.5), data)
    np.testing.assert_allclose(game.play().models, data, atol=1e-11)


def test_T11_too_few_steps_and_impossible_models_are_reported():
    game = _random_game(1)
    assert not game.play(max_steps=2).converged
    never = PartialGame([2], [[0], [0]], eg.Weights.complete(2, 0.5), [[1, 0], [1, 0]])
    with pytest.raises(eg.errors.InvalidInput, match="excludes everything"):
        never.em_step(0, [np.array([0.0, 1.0]), np.array([1.0, 0.0])])
    assert never.utility(0, [np.array([0.0, 1.0]), np.array([1.0, 0.0])]) == -np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": [2, 0]}, "number of states"),
        ({"seen": [[0], [2]]}, "agent 1 sees"),
        ({"seen": [[0, 0], [1]]}, "agent 0 sees"),
        ({"seen": [[0]]}, "seen has 1 items"),
        ({"data": [[1, 1]]}, "data has 1 items"),
        ({"data": [[1, 1], [1, 1, 1]]}, "agent 1: a table"),
        ({"data": [[1, 1], [1, -1]]}, "agent 1: a table"),
        ({"data": [[1, 1], ["x", 1]]}, "agent 1: a table must hold"),
        ({"data": [[1, 1], None]}, "agent 1 has no data"),
    ],
)
def test_T11_bad_arguments_are_named(change, message):
    good = {"states": [2, 2], "seen": [[0], [1]], "weights": eg.Weights.complete(2, 0.5), "data": [[1, 1], [1, 1]]}
    with pytest.raises(eg.errors.InvalidInput, match=message):
        PartialGame(**{**good, **change})


def test_T11_bad_requests_are_named():
    game = _random_game(1)
    with pytest.raises(eg.errors.InvalidInput, match="sees the variables"):
        game.marginal(0, game.data[0], [3])
    with pytest.raises(eg.errors.InvalidInput, match="start has 1 tables"):
        game.play([game.data[0]])
    lost = PartialGame([2], [[0], [0]], eg.Weights.from_dense([[0, 1], [1, 0]]), [None, None])
    with pytest.raises(eg.errors.NotAnchored):
        lost.play()
