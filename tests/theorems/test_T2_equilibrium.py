"""T2: existence, uniqueness, closed form; where they fail; the numbers of section 5."""

import numpy as np
import pytest
from exact import exact_equilibrium, solve_exactly
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax

import expfam_game as eg
from expfam_game.testing import strategies


@given(game=strategies.games())
@settings(max_examples=80, deadline=None)
def test_T2_the_equilibrium_is_the_exact_solution_within_the_reported_bound(game):
    solution = eg.solve(game)
    exact = np.array([[float(x) for x in row] for row in exact_equilibrium(game.weights.to_dense(), game.means)])
    assert np.all(np.abs(solution.mean - exact) <= solution.error_bound + 4e-16 * np.abs(exact))


@given(game=strategies.games(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_T2_every_start_leads_to_the_same_equilibrium(game, seed):
    assume(game.q < 0.999)
    rng = np.random.default_rng(seed)
    mix = rng.dirichlet(np.ones(2), size=game.n_agents)
    start = mix[:, :1] * game.equilibrium_mean + mix[:, 1:] * game.family.reference_mean()
    solution = eg.solve(game, eg.solvers.Contraction(), start=start)
    reference = eg.solve(game, eg.solvers.Direct())
    assert np.all(np.abs(solution.mean - reference.mean) <= solution.error_bound + reference.error_bound)


@given(alpha=strategies.weights(max_agents=6))
@settings(max_examples=60, deadline=None)
def test_T2_influence_is_stochastic_and_the_absorption_probability_of_the_stopped_chain(alpha):
    alpha = np.asarray(alpha)
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.from_dense(alpha), means=np.full((len(alpha), 1), 0.5))
    influence = game.influence()
    n = len(alpha)
    trust = np.diag(alpha)
    exact = solve_exactly(
        [[(i == j) - (0 if i == j else exact_fraction(alpha[i, j])) for j in range(n)] for i in range(n)],
        [[exact_fraction(trust[i]) if i == j else 0 for j in range(n)] for i in range(n)],
    )
    steps = game.v.max()
    np.testing.assert_allclose(influence, np.array(exact, dtype=float), atol=1e-13 * steps)
    assert influence.min() >= -1e-14 * steps
    np.testing.assert_allclose(influence.sum(axis=1), 1.0, atol=1e-11 * steps)


def exact_fraction(x):
    from fractions import Fraction

    return Fraction(float(x))


def test_T2_influence_is_where_a_simulated_walk_stops():
    game = eg.catalog.complete(4, 0.4)
    alpha, rng, walks = game.weights.to_dense(), np.random.default_rng(5), 200_000
    at, stopped = np.zeros(walks, dtype=int), np.full(walks, -1)
    while np.any(stopped < 0):
        walking = np.flatnonzero(stopped < 0)
        step = (rng.random(walking.size)[:, None] > np.cumsum(alpha, axis=1)[at[walking]]).sum(axis=1)
        stays = step == at[walking]
        stopped[walking[stays]] = at[walking[stays]]
        at[walking] = step
    frequency = np.bincount(stopped, minlength=4) / walks
    expected = game.influence()[0]
    assert np.all(np.abs(frequency - expected) < 6.5 * np.sqrt(expected * (1 - expected) / walks))


@pytest.mark.parametrize("a", [0.1, 0.5, 0.9])
def test_T2_closed_forms_of_the_influence_matrix(a):
    two = eg.catalog.two_agents(a).influence()
    np.testing.assert_allclose(two, np.array([[1, 1 - a], [1 - a, 1]]) / (2 - a), rtol=1e-14)
    n = 5
    b = (1 - a) / (n - 1)
    complete = eg.catalog.complete(n, a).influence()
    expected = np.full((n, n), b / (1 + b)) + np.eye(n) * a / (1 + b)
    np.testing.assert_allclose(complete, expected, rtol=1e-13)
    ring = eg.catalog.ring(6, a).influence()
    law = a * (1 - a) ** np.arange(6) / (1 - (1 - a) ** 6)
    for i in range(6):
        np.testing.assert_allclose(np.roll(ring[i], -i), law, rtol=1e-13)


def test_T2_isolated_equal_and_pooled_limits():
    family, means = eg.families.Bernoulli(1), np.array([[0.2], [0.5], [0.9]])
    isolated = eg.Game(family, eg.Weights.from_dense(np.eye(3)), means=means)
    np.testing.assert_array_equal(eg.solve(isolated).mean, means)
    equal = eg.Game(family, eg.Weights.complete(3, 0.3), means=np.full((3, 1), 0.3))
    np.testing.assert_allclose(eg.solve(equal).mean, 0.3, rtol=1e-15)
    pooled = eg.Game(family, eg.Weights.complete(3, 1e-9), means=means)
    np.testing.assert_allclose(eg.solve(pooled).mean, means.mean(), atol=1e-8)


def test_T2_saturated_families_end_at_the_mixture_of_everybodys_data():
    rng = np.random.default_rng(1)
    data = [rng.integers(0, 4, size=n) for n in (30, 50, 20)]
    game = eg.Game(eg.families.Categorical(4), eg.Weights.ring(3, 0.4), data)
    empirical = np.array([np.bincount(x, minlength=4) / len(x) for x in data])
    model = np.exp(game.family.log_prob(np.arange(4)[:, None], eg.solve(game).natural)).T
    np.testing.assert_allclose(model, game.influence() @ empirical, rtol=1e-12)


def test_T2_each_agent_ends_at_weighted_maximum_likelihood_on_all_data():
    phi = np.array([0.0, 1.0, 3.0, 4.0])
    empirical = np.array([[0.5, 0.2, 0.2, 0.1], [0.1, 0.1, 0.2, 0.6]])
    game = eg.Game(eg.families.Finite(phi), eg.Weights.complete(2, 0.3), means=empirical @ phi[:, None])
    for i, row in enumerate(game.influence() @ empirical):
        best = minimize(lambda t, row=row: -(row @ log_softmax(phi * t[0])), [0.0], tol=1e-14)
        assert eg.solve(game).natural[i, 0] == pytest.approx(best.x[0], abs=1e-6)


def test_T2_without_anchor_a_continuum_of_profiles_has_no_residual_and_solve_refuses():
    game = eg.catalog.not_anchored()
    for common in (0.1, 0.5, 0.8):
        profile = np.array([[common], [common], [(0.5 * common + 0.5 * 0.4)]])
        np.testing.assert_allclose(game.residual(profile), 0.0, atol=1e-16)
    with pytest.raises(eg.errors.NotAnchored, match=r"agents 0, 1 listen only to one another") as caught:
        eg.solve(game)
    assert caught.value.closed_class == (0, 1)


def test_T2_boundary_equilibrium_is_named_and_mended_by_a_pseudo_count():
    game = eg.catalog.boundary()
    with pytest.raises(eg.errors.BoundaryEquilibrium, match=r"x\[1\].*pseudo_count") as caught:
        eg.solve(game)
    assert caught.value.agents == (0, 1)
    assert caught.value.statistics == ("x[1]",)
    mended = eg.Game(game.family, game.weights, means=game.means, counts=[10, 20], pseudo_count=1.0)
    np.testing.assert_allclose(mended.means, [[3.5 / 11, 0.5 / 11], [12.5 / 21, 0.5 / 21]], rtol=1e-15)
    assert eg.solve(mended).status is eg.Status.CONVERGED


def test_T2_boundary_data_of_one_agent_is_moved_inside_by_the_others():
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.complete(2, 0.5), means=[[0.0], [0.6]])
    np.testing.assert_allclose(eg.solve(game).mean.ravel(), [0.2, 0.4], rtol=1e-14)
