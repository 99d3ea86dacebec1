"""T4: simultaneous best response contracts; the bounds that follow."""

import numpy as np
import pytest
from exact import exact_equilibrium
from hypothesis import given, settings
from hypothesis import strategies as st

import expfam_game as eg
from expfam_game.testing import strategies

SLACK = 1e-13
"""Rounding of a handful of float64 operations on numbers of order one."""


def _random_profiles(game, seed, k):
    scale = 1.0 + np.abs(game.means).max(axis=0)
    return np.random.default_rng(seed).uniform(-1, 1, size=(k, game.n_agents, game.family.dim)) * scale


def _v_norm(game, x):
    return np.max(np.abs(x) / game.v[:, None])


@given(game=strategies.games(), seed=st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_T4_best_response_contracts_in_the_v_norm_by_q(game, seed):
    x, y = _random_profiles(game, seed, 2)
    before, after = _v_norm(game, x - y), _v_norm(game, game.best_response(x) - game.best_response(y))
    assert after <= game.q * before + SLACK * (1 + np.abs(game.means).max())


@given(game=strategies.games(), seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_T4_best_response_contracts_in_the_sup_norm_by_one_minus_the_smallest_self_weight(game, seed):
    x, y = _random_profiles(game, seed, 2)
    factor = 1.0 - game.weights.self_weights.min()
    after = np.max(np.abs(game.best_response(x) - game.best_response(y)))
    assert after <= factor * np.max(np.abs(x - y)) + SLACK * (1 + np.abs(game.means).max())


@given(game=strategies.games())
@settings(max_examples=60, deadline=None)
def test_T4_v_is_at_least_one_and_solves_its_equation(game):
    np.testing.assert_allclose(game.weights.off_diagonal @ game.v, game.v - 1, atol=1e-12 * game.v.max())
    assert game.v.min() >= 1 - 1e-12
    assert game.spectral_radius <= game.q + 1e-9
    assert 0 <= game.q < 1


@given(game=strategies.games(), seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_T4_residual_bounds_the_distance_to_the_exact_equilibrium(game, seed):
    profile = _random_profiles(game, seed, 1)[0]
    exact = np.array(exact_equilibrium(game.weights.to_dense(), game.means), dtype=float)
    largest = np.max(np.abs(game.residual(profile)), axis=0)
    assert np.all(
        np.abs(profile - exact) <= game.v[:, None] * largest * (1 + 1e-9) + SLACK * np.abs(exact) * game.v.max()
    )


@given(game=strategies.games(), seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_T4_played_rounds_never_lag_behind_the_banach_bounds(game, seed):
    start = _random_profiles(game, seed, 1)[0]
    exact = np.array(exact_equilibrium(game.weights.to_dense(), game.means), dtype=float)
    profiles = []
    eg.solve(
        game,
        eg.solvers.Contraction(max_steps=30),
        start=start,
        throw=False,
        observe=lambda step, mean: profiles.append(mean.copy()) or 0.0,
    )
    errors = np.array([_v_norm(game, mean - exact) for mean in profiles])
    rounding = 1e-14 * (1 + np.abs(exact).max()) * game.v.max()
    assert np.all(errors <= game.q ** np.arange(len(errors)) * errors[0] + rounding)
    for before, after, error in zip(profiles, profiles[1:], errors[1:]):
        assert error <= game.q / (1 - game.q) * _v_norm(game, after - before) * (1 + 1e-9) + rounding / (1 - game.q)


@pytest.mark.parametrize(
    "weights",
    [eg.Weights.ring(9, 0.1), eg.Weights.complete(7, 0.3), eg.Weights.erdos_renyi(30, 0.3, 0.05, seed=1)],
    ids=["ring", "complete", "erdos-renyi"],
)
def test_T4_asymptotic_rate_is_the_spectral_radius(weights):
    """In exact arithmetic e_t = B^t e_0; with a positive e_0 the ratio tends to the Perron root ρ(B)."""
    n = weights.n_agents
    means = np.random.default_rng(0).uniform(0.6, 0.9, size=(n, 1))
    game = eg.Game(eg.families.Bernoulli(1), weights, means=means)
    goal = game.equilibrium_mean
    errors = eg.solve(
        game,
        eg.solvers.Contraction(tolerance=1e-12),
        start=np.full((n, 1), 0.05),
        observe=lambda step, mean: np.max(np.abs(mean - goal)),
    ).history.observed
    late = [k for k, e in enumerate(errors) if 1e-9 < e < 1e-6]
    rate = (errors[late[-1]] / errors[late[0]]) ** (1 / (late[-1] - late[0]))
    assert rate == pytest.approx(max(abs(np.linalg.eigvals(weights.off_diagonal.toarray()))), rel=5e-4)


def test_T4_a_whispering_chain_ends_after_n_rounds_though_q_is_near_one():
    game = eg.catalog.chain_without_data(12)
    solution = eg.solve(game, eg.solvers.Contraction(), start=np.full((12, 1), 0.01))
    assert solution.steps == 12
    assert game.q == pytest.approx(11 / 12)
