"""All solvers agree; each says how it ended; bad hyper-parameters are named."""

import dataclasses

import numpy as np
import pytest
from exact import exact_equilibrium
from hypothesis import assume, given, settings

import expfam_game as eg
from expfam_game.errors import BoundaryEquilibrium, InvalidInput, NotAnchored, SolverFailed
from expfam_game.testing import strategies

S = eg.solvers
EXACT_SOLVERS = [
    S.Direct("lu"),
    S.Direct("krylov"),
    S.Direct("multilevel"),
    S.Contraction(),
    S.Contraction(anderson=3),
    S.GaussSeidel(),
    S.GaussSeidel(order="backward"),
    S.GaussSeidel(order="random", seed=4),
    S.NaturalGradientPlay(0.7),
    S.AsynchronousPlay(seed=2),
]


@given(game=strategies.games())
@settings(max_examples=25, deadline=None)
def test_solvers_agree_within_their_own_bounds(game):
    assume(game.q < 0.99)
    exact = np.array(exact_equilibrium(game.weights.to_dense(), game.means), dtype=float)
    for solver in EXACT_SOLVERS:
        solution = eg.solve(game, solver)
        assert solution.status.success
        excess = np.abs(solution.mean - exact) - solution.error_bound - 4e-16 * np.abs(exact)
        assert excess.max() <= 0, solver
        assert solution.regret.max() <= 1e-9


def test_solvers_agree_on_digits():
    images = np.random.default_rng(0).integers(0, 2, size=(6, 50, 16))
    game = eg.Game(
        eg.families.Bernoulli(16), eg.Weights.barabasi_albert(6, 2, 0.2, seed=1), list(images), pseudo_count=1
    )
    reference = eg.solve(game).mean
    for solver in [*EXACT_SOLVERS, S.GradientPlay(tolerance=1e-11)]:
        np.testing.assert_allclose(eg.solve(game, solver).mean, reference, atol=1e-10)


def test_statistics_of_any_scale_converge():
    """Tolerances are relative to each statistic's scale: means of 1e-300 and of 1e8 in one game."""
    family = eg.families.Product([eg.families.Bernoulli(1), eg.families.Poisson()])
    game = eg.Game(family, eg.Weights.complete(3, 0.3), means=[[1e-300, 1e8], [2e-300, 3e8], [3e-300, 2e8]])
    for solver in (S.Direct(), S.Contraction(), S.GaussSeidel()):
        solution = eg.solve(game, solver)
        exact = np.array(exact_equilibrium(game.weights.to_dense(), game.means), dtype=float)
        np.testing.assert_allclose(solution.mean, exact, rtol=3e-12)
        assert np.all(solution.error_bound <= 1e-11 * np.abs(exact))


def test_regret_criterion_stops_at_a_nash_gap_in_nats():
    game = eg.catalog.ring()
    solution = eg.solve(game, S.Contraction(criterion="regret", tolerance=1e-8))
    assert solution.status is eg.Status.REGRET_BELOW_TOLERANCE
    assert solution.regret.max() <= 1e-8
    earlier = eg.solve(game, S.Contraction(max_steps=solution.steps - 1), throw=False)
    assert earlier.regret.max() > 1e-8


def test_history_and_observer():
    game = eg.catalog.complete()
    solution = eg.solve(game, S.Contraction(), history=True, observe=lambda step, mean: float(step))
    assert solution.history.steps.tolist() == list(range(solution.steps + 1))
    assert solution.history.observed == tuple(map(float, range(solution.steps + 1)))
    bounds = solution.history.error_bound
    assert bounds[-1] <= 1e-12 < bounds[-2]
    assert eg.solve(game, S.Contraction()).history is None


def test_failure_raises_with_the_solution_or_returns_its_status():
    game = eg.catalog.ring()
    with pytest.raises(SolverFailed, match="largest number of rounds.*after 3 rounds") as caught:
        eg.solve(game, S.Contraction(max_steps=3))
    assert caught.value.solution.status is eg.Status.MAX_STEPS
    quiet = eg.solve(game, S.Contraction(max_steps=3), throw=False)
    assert not quiet.status.success
    assert quiet.steps == 3


def test_unreachable_tolerance_ends_at_the_precision_limit():
    solution = eg.solve(eg.catalog.ring(), S.Contraction(tolerance=1e-18))
    assert solution.status is eg.Status.PRECISION_LIMIT
    assert solution.error_bound.max() == solution.max_error < 1e-14


def test_boundary_equilibria_are_refused():
    game = eg.catalog.boundary()
    for solver in [*EXACT_SOLVERS, S.GradientPlay(), S.SampledPlay()]:
        with pytest.raises(BoundaryEquilibrium):
            eg.solve(game, solver)
    quiet = eg.solve(game, throw=False)
    assert quiet.status is eg.Status.BOUNDARY
    assert np.isnan(quiet.natural).all()
    np.testing.assert_allclose(quiet.mean[:, 1], 0.0)


def test_weights_that_are_not_anchored_are_refused_by_every_solver():
    for solver in [None, *EXACT_SOLVERS, S.GradientPlay(), S.SampledPlay()]:
        with pytest.raises(NotAnchored):
            eg.solve(eg.catalog.not_anchored(), solver, throw=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: S.Direct("qr"), "Direct: method is 'qr'; it must be 'auto', 'lu', 'multilevel' or 'krylov'"),
        (lambda: S.Contraction(tolerance=0), "tolerance is 0; it must be positive"),
        (lambda: S.Contraction(tolerance=float("nan")), "tolerance is nan"),
        (lambda: S.Contraction(criterion="step"), "criterion is 'step'"),
        (lambda: S.Contraction(max_steps=0), "max_steps is 0"),
        (lambda: S.Contraction(anderson=-1), "anderson is -1"),
        (lambda: S.GaussSeidel(order="sideways"), "order is 'sideways'"),
        (lambda: S.NaturalGradientPlay(0.0), "step_size is 0.0"),
        (lambda: S.GradientPlay(2.0), "step_size is 2.0"),
        (lambda: S.AsynchronousPlay(activity=0.0), "activity is 0.0"),
        (lambda: S.AsynchronousPlay(max_silence=0), "max_silence is 0"),
        (lambda: S.AsynchronousPlay(max_delay=-1), "max_delay is -1"),
        (lambda: S.AsynchronousPlay(loss=1.0), "loss is 1.0"),
        (lambda: S.SampledPlay(n_samples=0), "n_samples is 0"),
        (lambda: S.SampledPlay(rounds=0), "rounds is 0"),
        (lambda: S.SampledPlay(exchange="gossip"), "exchange is 'gossip'"),
        (lambda: S.SampledPlay(schedule="annealing"), "schedule is 'annealing'"),
        (lambda: S.SampledPlay(method="exact"), "method is 'exact'"),
        (lambda: S.SampledPlay(rounds=10, burn_in=10), "burn_in is 10"),
    ],
)
def test_bad_hyper_parameters_are_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_bad_calls():
    game = eg.catalog.ring()
    with pytest.raises(InvalidInput, match="give an object from expfam_game.solvers"):
        eg.solve(game, "contraction")
    with pytest.raises(InvalidInput, match="a profile must have shape"):
        eg.solve(game, S.Contraction(), start=[0.5])
    with pytest.raises(InvalidInput, match="start has NaN"):
        eg.solve(game, S.Contraction(), start=np.full((8, 1), np.nan))


@pytest.mark.parametrize("given", [None, eg.Weights.ring(3, self_weight=0.5), "ring"], ids=["None", "Weights", "str"])
def test_what_is_no_game_is_named(given):
    with pytest.raises(InvalidInput, match=f"game is of type {type(given).__name__}; give a Game.* or a Heterogeneous"):
        eg.solve(given)


def test_solvers_and_solutions_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        S.Contraction().tolerance = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        eg.solve(eg.catalog.ring()).steps = 0


@pytest.mark.parametrize(
    "solver", [S.SampledPlay(seed=5, rounds=20), S.SampledPlay(seed=5, rounds=20, method="samples")]
)
def test_sampled_play_follows_its_seed(solver):
    game = eg.catalog.complete()
    np.testing.assert_array_equal(eg.solve(game, solver).mean, eg.solve(game, solver).mean)
    other = dataclasses.replace(solver, seed=6)
    assert not np.array_equal(eg.solve(game, solver).mean, eg.solve(game, other).mean)


def test_default_choice():
    assert eg.solve(eg.catalog.ring()).solver == "Direct(method='lu')"
    weights = eg.Weights.erdos_renyi(20_000, 5e-4, 0.01, seed=0)
    means = np.random.default_rng(0).uniform(0.1, 0.9, size=(20_000, 2))
    solution = eg.solve(eg.Game(eg.families.Bernoulli(2), weights, means=means))
    assert solution.solver == "Direct(method='multilevel')"
    assert "by play between" in solution.message
    assert solution.error_bound.max() < 1e-8


def test_progress_bar_is_silent_unless_asked_for(capsys):
    eg.solve(eg.catalog.ring(), S.Contraction())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("solver", [S.GradientPlay(), S.SampledPlay(rounds=50, seed=1)])
def test_boundary_data_is_no_obstacle_where_the_equilibrium_is_interior(solver):
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.complete(2, 0.5), means=[[0.0], [0.6]])
    assert eg.solve(game, solver).status.success


def test_sampled_play_that_loses_a_category_says_so():
    """Two agents with little data and one sample a round: soon nobody draws a one."""
    weights = eg.Weights.from_dense([[0.0, 1.0], [0.5, 0.5]])
    game = eg.Game(eg.families.Bernoulli(1), weights, means=[[np.nan], [0.01]])
    solution = eg.solve(game, S.SampledPlay(n_samples=1, rounds=50), throw=False)
    assert solution.status is eg.Status.BOUNDARY
    assert solution.steps < 50
    with pytest.raises(SolverFailed, match="boundary of the mean space"):
        eg.solve(game, S.SampledPlay(n_samples=1, rounds=50))


def test_a_slow_decay_after_an_early_dip_is_not_called_a_stall():
    """Two fast agents and two slow ones: the bound dips, then falls by 5e-5 a round; patience must not run out."""
    weights = eg.Weights.from_dense(np.array([[2e-4, 1 - 2e-4], [1 - 2e-4, 2e-4]]))
    game = eg.Game(eg.families.Bernoulli(1), weights, means=[[0.2], [0.8]])
    solution = eg.solve(game, S.GaussSeidel(tolerance=1e-8), start=np.full((2, 1), 0.9))
    assert solution.status is eg.Status.CONVERGED
    assert solution.steps > 5000


def test_a_bound_that_no_longer_falls_is_called_a_stall():
    """Natural parameters of size 1e6 round by 1e-10, and so do the means: 1e-13 is out of reach of gradient play."""
    family = eg.families.KnownVarianceGaussian(1e-6)
    game = eg.Game(family, eg.Weights.complete(3, 0.5), means=[[1.0], [2.0], [4.0]])
    solution = eg.solve(game, S.GradientPlay(tolerance=1e-17), throw=False)
    assert solution.status in (eg.Status.STALLED, eg.Status.PRECISION_LIMIT)
    assert solution.steps < 5000


def test_statistics_whose_data_means_are_all_zero_converge():
    game = eg.Game(eg.families.KnownVarianceGaussian(1.0), eg.Weights.ring(3, 0.2), means=np.zeros((3, 1)))
    for solver in (None, S.Contraction(), S.GradientPlay(tolerance=1e-10)):
        start = None if solver is None else np.ones((3, 1))
        assert eg.solve(game, solver, start=start).status is eg.Status.CONVERGED
