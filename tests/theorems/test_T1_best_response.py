"""T1: best response is moment matching, and regret is a Kullback–Leibler divergence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, rel_entr, softmax

import expfam_game as eg
from expfam_game.testing import strategies

PHI = np.array([[0.0, 1.0], [1.0, -1.0], [2.0, 0.5], [-1.0, 0.0]])


def _finite_game(seed, n_agents=3):
    rng = np.random.default_rng(seed)
    alpha = rng.dirichlet(np.ones(n_agents), size=n_agents)
    data = rng.dirichlet(np.ones(len(PHI)), size=n_agents)
    return eg.Game(eg.families.Finite(PHI), eg.Weights.from_dense(alpha), means=data @ PHI), alpha, data


def _brute_force_utility(i, theta, theta_i, alpha, data):
    """E over own data and the others' models of log p_i, summed over all four states."""
    models = softmax(theta @ PHI.T, axis=1)
    mixture = alpha[i, i] * data[i] + sum(alpha[i, j] * models[j] for j in range(len(alpha)) if j != i)
    return mixture @ log_softmax(PHI @ theta_i)


@pytest.mark.parametrize("seed", range(5))
def test_T1_no_strategy_beats_moment_matching(seed):
    game, alpha, data = _finite_game(seed)
    theta = np.random.default_rng(seed + 100).normal(size=(3, 2))
    response = game.family.to_natural(game.best_response(game.family.to_mean(theta)))
    for i in range(3):
        best = minimize(lambda t, i=i: -_brute_force_utility(i, theta, t, alpha, data), theta[i], tol=1e-12)
        np.testing.assert_allclose(response[i], best.x, atol=1e-5)
        assert _brute_force_utility(i, theta, response[i], alpha, data) >= -best.fun - 1e-12


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_T1_regret_is_the_utility_gained_and_a_kl(seed):
    game, alpha, data = _finite_game(seed)
    theta = np.random.default_rng(seed).normal(size=(3, 2))
    response = game.family.to_natural(game.best_response(game.family.to_mean(theta)))
    regret = game.regret(theta)
    for i in range(3):
        utility = [_brute_force_utility(i, theta, t, alpha, data) for t in (response[i], theta[i])]
        kl = rel_entr(softmax(PHI @ response[i]), softmax(PHI @ theta[i])).sum()
        assert regret[i] == pytest.approx(utility[0] - utility[1], rel=1e-7, abs=1e-13)
        assert regret[i] == pytest.approx(kl, rel=1e-9, abs=1e-15)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_T1_utilities_differ_from_brute_force_by_nothing_when_the_base_measure_is_counting(seed):
    game, alpha, data = _finite_game(seed)
    theta = np.random.default_rng(seed).normal(size=(3, 2))
    expected = [_brute_force_utility(i, theta, theta[i], alpha, data) for i in range(3)]
    np.testing.assert_allclose(game.utilities(theta), expected, rtol=1e-12, atol=1e-13)


@given(game=strategies.games())
@settings(max_examples=60, deadline=None)
def test_T1_regret_is_non_negative_and_vanishes_at_equilibrium_only(game):
    theta = eg.solve(game).natural
    at_equilibrium = game.regret(theta).max()
    elsewhere = game.family.to_natural(0.5 * (game.equilibrium_mean + game.family.reference_mean()))
    assert 0 <= at_equilibrium <= 1e-12
    assert np.all(game.regret(elsewhere) >= 0)
    moved = np.abs(game.residual(game.family.to_mean(elsewhere))).max()
    assert (game.regret(elsewhere).max() > 0) == (moved > 0) or moved < 1e-12
