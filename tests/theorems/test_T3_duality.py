"""T3: maximum entropy under everybody's constraints, and the potential."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize
from scipy.special import entr, rel_entr, softmax

import expfam_game as eg
from expfam_game.testing import strategies

PHI = np.array([0.0, 1.0, 2.0, 4.0])


def _game():
    return eg.Game(eg.families.Finite(PHI), eg.Weights.complete(2, 0.4), means=[[0.7], [2.9]])


def _maximum_entropy(scales, constraints, n_agents):
    """argmax Σ c_i H(p_i) over stacked probability vectors under linear constraints, by SciPy's trust-constr."""
    size = len(PHI)
    start = np.full(n_agents * size, 1 / size)
    c = np.repeat(scales, size)
    result = minimize(
        lambda p: -np.sum(c * entr(p)),
        start,
        jac=lambda p: c * (np.log(p) + 1),
        hess=lambda p: np.diag(c / p),
        method="trust-constr",
        bounds=[(1e-12, 1)] * start.size,
        constraints=constraints,
        options={"gtol": 1e-10, "xtol": 1e-13, "maxiter": 3000},
    )
    return result.x.reshape(n_agents, size)


@pytest.mark.filterwarnings("ignore:delta_grad")
def test_T3a_each_model_maximises_entropy_subject_to_its_target():
    game = _game()
    solution = eg.solve(game)
    target = game.best_response(solution.mean)
    for i in range(2):
        rows = np.array([np.ones(4), PHI])
        best = _maximum_entropy([1.0], LinearConstraint(rows, [1, target[i, 0]], [1, target[i, 0]]), 1)[0]
        np.testing.assert_allclose(softmax(PHI * solution.natural[i, 0]), best, atol=2e-6)


@pytest.mark.filterwarnings("ignore:delta_grad")
@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.2, 3.0)])
def test_T3b_the_profile_maximises_total_entropy_under_the_coupled_constraints(scales):
    game = _game()
    solution = eg.solve(game)
    alpha = game.weights.to_dense()
    rows, rhs = [], []
    for i in range(2):
        rows.append(np.kron(np.eye(2)[i], np.ones(4)))
        rhs.append(1.0)
        rows.append(np.kron(np.eye(2)[i] - alpha[i] * (np.arange(2) != i), PHI))
        rhs.append(alpha[i, i] * game.means[i, 0])
    best = _maximum_entropy(scales, LinearConstraint(np.array(rows), rhs, rhs), 2)
    np.testing.assert_allclose(softmax(solution.natural * PHI, axis=1), best, atol=5e-6)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.2, 3.0)])
def test_T3b_multipliers_and_strategies_satisfy_the_stationarity_condition(scales):
    """∂/∂p_j(x) of the Lagrangian, c_j(−log p_j − 1) + ((I − B)ᵀλ)_j φ(x) + ν_j, is constant zero in x."""
    game = _game()
    natural = eg.solve(game).natural
    system = np.eye(2) - game.weights.off_diagonal.toarray()
    multipliers = np.linalg.solve(system.T, np.asarray(scales)[:, None] * natural)
    for j in range(2):
        log_p = np.log(softmax(PHI * natural[j, 0]))
        stationarity = -scales[j] * (log_p + 1) + (system.T @ multipliers)[j, 0] * PHI
        assert np.ptp(stationarity) < 1e-13


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_T3c_potential_differences_are_weighted_divergences(seed):
    game, rng = _game(), np.random.default_rng(seed)
    c, theta, best = rng.uniform(0.1, 3, size=2), rng.normal(size=(2, 1)), eg.solve(game).natural
    kl = [rel_entr(softmax(PHI * best[i, 0]), softmax(PHI * theta[i, 0])).sum() for i in range(2)]
    difference = game.potential(theta, c) - game.potential(best, c)
    assert difference == pytest.approx(float(c @ kl), rel=1e-9, abs=1e-13)


@given(game=strategies.games(), seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_T3c_the_equilibrium_minimises_the_potential(game, seed):
    best = eg.solve(game).natural
    mix = np.random.default_rng(seed).uniform(size=(game.n_agents, 1))
    other = game.family.to_natural(mix * game.equilibrium_mean + (1 - mix) * game.family.reference_mean())
    at_best = game.potential(best)
    assert game.potential(other) >= at_best - 1e-10 * (1 + abs(at_best))
