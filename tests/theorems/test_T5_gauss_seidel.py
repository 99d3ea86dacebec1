"""T5: sequential best response converges, and not slower than simultaneous play (Stein–Rosenberg)."""

import numpy as np
import pytest
from exact import exact_equilibrium
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import expfam_game as eg
from expfam_game.testing import strategies

ORDERS = ["forward", "backward", "random"]


@given(game=strategies.games(), order=st.sampled_from(ORDERS))
@settings(max_examples=80, deadline=None)
def test_T5_sequential_rate_never_exceeds_the_simultaneous_one(game, order):
    simultaneous = max(abs(np.linalg.eigvals(game.weights.off_diagonal.toarray())))
    # Eigenvalues of a non-normal matrix of order ≤ 8 are computed to about eps^(1/8); use a bound that allows for it.
    assert eg.solvers.GaussSeidel(order=order).predicted_rate(game) <= simultaneous + 1e-2 * (1 - simultaneous) + 1e-6


@given(game=strategies.games(), order=st.sampled_from(ORDERS))
@settings(max_examples=50, deadline=None)
def test_T5_sequential_play_reaches_the_exact_equilibrium(game, order):
    assume(game.q < 0.999)
    solution = eg.solve(game, eg.solvers.GaussSeidel(order=order))
    exact = np.array(exact_equilibrium(game.weights.to_dense(), game.means), dtype=float)
    assert np.all(np.abs(solution.mean - exact) <= solution.error_bound + 4e-16 * np.abs(exact))


def test_T5_a_sweep_is_best_response_one_agent_at_a_time():
    game = eg.catalog.complete(5, 0.3)
    profiles = []
    eg.solve(
        game,
        eg.solvers.GaussSeidel(max_steps=1),
        throw=False,
        observe=lambda step, mean: profiles.append(mean.copy()) or 0.0,
    )
    alpha, expected = game.weights.to_dense(), profiles[0].copy()
    for i in range(5):
        others = sum(alpha[i, j] * expected[j] for j in range(5) if j != i)
        expected[i] = alpha[i, i] * game.means[i] + others
    np.testing.assert_allclose(profiles[1], expected, rtol=1e-15)


def test_T5_the_right_order_ends_a_chain_in_one_sweep():
    game = eg.catalog.chain_without_data(12)
    start = np.full((12, 1), 0.01)
    assert eg.solve(game, eg.solvers.GaussSeidel(order="backward"), start=start).steps == 1
    assert eg.solve(game, eg.solvers.GaussSeidel(order="forward"), start=start).steps == 12


def test_T5_the_predicted_rate_is_measured():
    game = eg.catalog.complete(6, 0.05)
    solver = eg.solvers.GaussSeidel(tolerance=1e-12)
    goal = game.equilibrium_mean
    errors = eg.solve(
        game, solver, start=np.full((6, 1), 0.01), observe=lambda step, mean: np.max(np.abs(mean - goal))
    ).history.observed
    late = [k for k, e in enumerate(errors) if 1e-10 < e < 1e-6]
    rate = (errors[late[-1]] / errors[late[0]]) ** (1 / (late[-1] - late[0]))
    assert rate == pytest.approx(solver.predicted_rate(game), rel=5e-4)
