"""Agents with different statistics: expectations, best response, regret, derivatives, span test, and every error."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, stats

import expfam_game as eg
from expfam_game.errors import (
    BoundaryEquilibrium,
    InvalidData,
    InvalidInput,
    InvalidMeanParameter,
    InvalidNaturalParameter,
    InvalidWeights,
    NotAnchored,
    SolverFailed,
    ToleranceNotReached,
)
from expfam_game.game import edge, spaces

F = eg.families
TWO = eg.Weights.complete(2, 0.3)


def _law(table, theta, log_base=0.0):
    """Probabilities of a finite family by plain sums at 40 digits."""
    with mpmath.workdps(40):
        base = np.broadcast_to(log_base, len(table))
        scores = [mpmath.e ** (mpmath.fdot(theta, row) + h) for row, h in zip(table, base.tolist())]
        total = mpmath.fsum(scores)
        return np.array([float(s / total) for s in scores])


@pytest.fixture(scope="module")
def ragged():
    """Three agents on four states, with 1, 2 and 3 statistics."""
    tables = [[0.0, 1.0, 2.0, 5.0], [[0, 1], [1, 0], [1, 1], [0, 0.5]], np.eye(4)[:, :3]]
    weights = eg.Weights.from_dense([[0.5, 0.25, 0.25], [0.3, 0.2, 0.5], [0.0, 0.75, 0.25]])
    game = eg.HeterogeneousGame(
        [F.Finite(tables[0]), F.Finite(tables[1]), F.Finite(tables[2])],
        weights,
        data=[[0, 1, 2, 3, 3], [0, 1, 2, 3], [0, 0, 1, 2, 3]],
    )
    return game, [np.array(t).reshape(4, -1) for t in tables], weights.to_dense()


PROFILE = [[0.3], [-0.5, 0.7], [0.2, -1.0, 0.4]]


# ---------------------------------------------------------------------- expectations and best response


def test_targets_are_plain_sums_over_the_states(ragged):
    game, tables, alpha = ragged
    data = [[0, 1, 2, 3, 3], [0, 1, 2, 3], [0, 0, 1, 2, 3]]
    laws = [_law(t, theta) for t, theta in zip(tables, PROFILE)]
    got = game.targets(PROFILE)
    for i, table in enumerate(tables):
        own = table[data[i]].mean(axis=0)
        want = alpha[i, i] * own + sum(alpha[i, j] * laws[j] @ table for j in range(3) if j != i)
        assert np.allclose(got[i, : table.shape[1]], want, rtol=0, atol=1e-14)
        assert np.isnan(got[i, table.shape[1] :]).all()


def test_best_response_maximises_the_utility_and_regret_is_what_it_gains(ragged):
    game, tables, alpha = ragged
    regret, best = game.regret(PROFILE), game.best_response(PROFILE)
    data = [[0, 1, 2, 3, 3], [0, 1, 2, 3], [0, 0, 1, 2, 3]]
    laws = [_law(t, theta) for t, theta in zip(tables, PROFILE)]
    for i, table in enumerate(tables):
        seen = alpha[i, i] * np.bincount(data[i], minlength=4) / len(data[i])
        seen = seen + sum(alpha[i, j] * laws[j] for j in range(3) if j != i)

        def loss(theta, table=table, seen=seen):
            return -float(seen @ np.log(_law(table, np.atleast_1d(theta))))

        found = optimize.minimize(loss, np.zeros(table.shape[1]), method="Nelder-Mead", options={"xatol": 1e-9})
        assert np.allclose(best[i, : table.shape[1]], found.x, atol=1e-4)
        assert regret[i] == pytest.approx(loss(PROFILE[i]) - loss(best[i, : table.shape[1]]), abs=1e-12)
        assert loss(PROFILE[i]) - found.fun == pytest.approx(regret[i], abs=1e-7)


def test_utilities_differ_by_the_regret(ragged):
    """Only agent i moves: its own utility rises by exactly its regret."""
    game, _, _ = ragged
    best = game.best_response(PROFILE)
    start = game._padded([np.array(p) for p in PROFILE])
    for i in range(3):
        moved = start.copy()
        moved[i] = best[i]
        gain = game.utilities(moved)[i] - game.utilities(start)[i]
        assert gain == pytest.approx(game.regret(start)[i], abs=1e-14)


def test_profiles_may_be_batched(ragged):
    game, _, _ = ragged
    one = game._padded([np.array(p) for p in PROFILE])
    many = np.stack([one, np.where(np.isnan(one), one, 0.0)])
    for method in (game.best_response, game.targets, game.residual, game.to_mean, game.regret, game.utilities):
        assert np.allclose(method(many)[0], method(one), rtol=1e-13, atol=1e-15, equal_nan=True)


def test_the_residual_vanishes_where_the_regret_does(ragged):
    game, _, _ = ragged
    natural = eg.solve(game).natural
    assert np.nanmax(np.abs(game.residual(natural))) < 1e-12
    assert game.regret(natural).max() < 1e-22


SPACED = {
    "gaussian and laplace": (F.KnownVarianceGaussian(2.0), [0.4], F.Laplace(0.5), [-0.7], stats.norm(0.8, np.sqrt(2))),
    "gaussian of both moments": (
        F.DiagonalGaussian(1),
        [1.0, -0.3],
        F.Laplace(),
        [-0.7],
        stats.norm(5 / 3, (5 / 3) ** 0.5),
    ),
    "gamma and log-normal": (F.Gamma(), [2.5, -0.5], F.LogNormal(), [0.1, -0.5], stats.gamma(2.5, scale=2.0)),
    "exponential and inverse gaussian": (F.Exponential(), [-0.5], F.Gamma(), [1.0, -1.0], stats.expon(scale=2.0)),
    "beta": (F.Beta(), [2.0, 3.0], F.FromStatistic(lambda x: x, None, (0.0, 1.0)), [0.3], stats.beta(2.0, 3.0)),
}


@pytest.mark.parametrize(("speaker", "theta", "listener", "other", "law"), SPACED.values(), ids=SPACED.keys())
def test_cross_means_on_an_interval_agree_with_adaptive_quadrature(speaker, theta, listener, other, law):
    means = [f.to_mean(t) for f, t in ((speaker, theta), (listener, other))]
    game = eg.HeterogeneousGame([speaker, listener], TWO, means=means)
    width = max(speaker.dim, listener.dim)
    profile = np.full((2, width), np.nan)
    profile[0, : speaker.dim], profile[1, : listener.dim] = theta, other
    low, high = law.support()
    for k, got in enumerate(game.cross_mean(0, 1, profile)):
        cuts = np.concatenate(
            [[low], law.ppf([1e-6, 0.01, 0.3, 0.5, 0.7, 0.99, 1 - 1e-6]), [0.5] if low < 0.5 < high else [], [high]]
        )
        cuts = np.unique(cuts)

        def integrand(x, k=k):
            return law.pdf(x) * float(listener.statistic(np.asarray(x))[k]) if law.pdf(x) > 0 else 0.0

        want = sum(integrate.quad(integrand, a, b, epsabs=1e-11, limit=200)[0] for a, b in zip(cuts, cuts[1:]))
        assert got == pytest.approx(want, rel=2e-6)
    assert game.quadrature_error(profile).max() < 1e-5


def test_cross_means_of_counts_agree_with_scipy():
    family = F.FromStatistic(lambda x: np.sqrt(x), None, np.arange(60))
    game = eg.HeterogeneousGame([F.Binomial(59), family], TWO, means=[[20.0], family.to_mean([-1.0])])
    law = stats.binom(59, 0.3).pmf(np.arange(60))
    assert game.cross_mean(0, 1, [[np.log(3 / 7)], [-1.0]])[0] == pytest.approx(law @ np.sqrt(np.arange(60)), rel=1e-13)
    counts = eg.HeterogeneousGame([F.Poisson(), F.Geometric()], TWO, means=[[2.0], [3.0]])
    assert counts.cross_mean(0, 1, [[np.log(2.5)], [-0.5]])[0] == pytest.approx(2.5, rel=1e-13)
    assert counts.quadrature_error([[np.log(2.5)], [-0.5]]).max() < 1e-12


def test_gaussian_against_laplace_on_the_line_follows_the_quadratic_formula():
    """s² = a S2 + (1 − a) 2 b², b = a S1 + (1 − a) c s with c = √(2/π): one positive root."""
    gaussian = F.FromStatistic(lambda x: x**2, None, (-np.inf, np.inf), start=[-0.5])
    a, second, first = 0.4, 1.7, 1.1
    game = eg.HeterogeneousGame([gaussian, F.Laplace()], eg.Weights.complete(2, a), means=[[second], [first]])
    c = np.sqrt(2 / np.pi)
    roots = np.roots(
        [1 - 2 * (1 - a) ** 3 * c**2, -4 * a * (1 - a) ** 2 * c * first, -(a * second + 2 * (1 - a) * a**2 * first**2)]
    )
    sd = float(roots.max())
    assert np.sum(roots > 0) == 1
    solution = eg.solve(game)
    assert solution.mean.ravel() == pytest.approx([sd**2, a * first + (1 - a) * c * sd], rel=1e-5)


# ---------------------------------------------------------------------- derivatives


def test_derivatives_agree_with_central_differences(ragged):
    """Third derivatives of these means are below 200: step 1e-4 leaves 200·1e-8/6 and rounding 1e-16/1e-4."""
    game, _, _ = ragged
    flat = np.concatenate([np.array(p) for p in PROFILE])
    ends = np.cumsum(game.dims)[:-1]

    def maps(x):
        parts = np.split(x, ends)
        rows = game.residual(parts), game.best_response(parts)
        return [np.concatenate([row[:d] for row, d in zip(rows_, game.dims)]) for rows_ in rows]

    h = 1e-4
    numeric = [np.empty((6, 6)), np.empty((6, 6))]
    for k in range(6):
        step = h * np.eye(6)[k]
        for out, up, down in zip(numeric, maps(flat + step), maps(flat - step)):
            out[:, k] = (up - down) / (2 * h)
    assert np.allclose(game.jacobian(PROFILE), -numeric[0], atol=1e-6)
    assert np.allclose(game.best_response_jacobian(PROFILE), numeric[1], atol=1e-5)


# ---------------------------------------------------------------------- uniqueness (T10a) and components


def test_components_list_the_listened_to_first():
    weights = eg.Weights.from_dense([[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 0.5, 0, 0.5], [0, 0, 1.0, 0]])
    family = F.Finite([0, 1, 2])
    game = eg.HeterogeneousGame([family] * 4, weights, means=[[1.0], [1.0], None, None])
    assert game.components == ((0, 1), (2, 3))


def test_different_statistics_in_different_components_leave_the_equilibrium_unique():
    weights = eg.Weights.from_dense([[1.0, 0.0], [0.5, 0.5]])
    game = eg.HeterogeneousGame([F.Finite([0, 1, 2]), F.Finite([0, 1, 4])], weights, means=[[1.0], [1.0]])
    assert game.uniqueness()
    assert eg.solve(game).uniqueness.guaranteed
    assert "unique by T10(a)" in eg.solve(game).message


def test_the_span_test_is_exact():
    table = [0.1, 0.7, 1.9, 2.2]
    double = [2 * x for x in table]  # exact in binary
    third = [x / 3 for x in table]  # rounded: not in the span, though nearly
    for other, same in ((double, True), (third, False)):
        game = eg.HeterogeneousGame([F.Finite(table), F.Finite(other)], TWO, means=[[1.0], [np.mean(other)]])
        assert game.uniqueness().guaranteed is same
    exact = eg.HeterogeneousGame.from_rationals(
        [[0, 1, 2], [0, "1/3", "2/3"]], [["1/2", "1/2"]] * 2, state_counts=[[1, 1, 1]] * 2
    )
    assert exact.uniqueness()


def test_the_report_names_the_component_and_two_agents(ragged):
    verdict = ragged[0].uniqueness()
    assert not verdict
    assert (verdict.component, verdict.agents) == ((0, 1, 2), (0, 1))
    assert "agents 0 and 1" in str(verdict)


def test_families_with_one_statistic_share_it_whatever_their_base_measure():
    game = eg.HeterogeneousGame([F.Poisson(), F.NegativeBinomial(3.0)], TWO, means=[[2.0], [3.0]])
    assert game.uniqueness()
    shared = eg.Game(F.Poisson(), TWO, means=[[2.0], [3.0]])
    assert np.allclose(eg.solve(game).mean, eg.solve(shared).mean, rtol=1e-11)


def test_a_closed_class_without_data_is_no_unique_game():
    weights = eg.Weights.from_dense([[0, 1, 0], [1, 0, 0], [0.5, 0, 0.5]])
    game = eg.HeterogeneousGame([F.Finite([0, 1, 2])] * 3, weights, means=[None, None, [1.0]])
    assert not game.uniqueness().guaranteed
    assert game.uniqueness().component == (0, 1)
    with pytest.raises(NotAnchored):
        eg.solve(game)


# ---------------------------------------------------------------------- sample spaces

FAMILIES = [
    (F.Finite([0, 1, 5], [0.0, -np.inf, 0.5]), [0.4]),
    (F.Bernoulli(3), [0.4, -1.0, 2.0]),
    (F.Categorical(4), [0.1, 0.2, -0.3]),
    (F.Binomial(7), [0.4]),
    (F.Ising([(0, 1), (1, 2)], 3), [0.1, 0.2, -0.3, 0.4, 0.5]),
    (F.MarkovChain(2, 4), [0.1, 0.2, -0.3, 0.4]),
    (F.Product([F.Bernoulli(1), F.Binomial(3)]), [0.1, 0.2]),
    (F.FromStatistic(lambda x: x**2, None, np.linspace(-1, 1, 11)), [0.3]),
    (F.FromStatistic(lambda x: x**2, None, (-np.inf, np.inf), start=[-1.0]), [-0.3]),
    (F.Poisson(), [0.5]),
    (F.Geometric(), [-0.4]),
    (F.NegativeBinomial(2.5), [-0.4]),
    (F.KnownVarianceGaussian(1.5), [0.5]),
    (F.DiagonalGaussian(1), [0.5, -0.7]),
    (F.Gaussian(1), [0.5, -0.7]),
    (F.LogNormal(), [0.5, -0.7]),
    (F.Laplace(), [-0.7]),
    (F.Exponential(), [-0.7]),
    (F.Weibull(1.5), [-0.7]),
    (F.Gamma(), [1.7, -0.7]),
    (F.InverseGaussian(), [-0.8, -0.7]),
    (F.Beta(), [1.7, 0.7]),
    (F.VonMises(), [0.8, 0.7]),
]


@pytest.mark.parametrize(("family", "theta"), FAMILIES, ids=[repr(f) for f, _ in FAMILIES])
def test_sums_over_the_space_reproduce_the_family(family, theta):
    """Σ weights h exp⟨θ, φ⟩ = exp A(θ), and the mean of the own statistic is μ(θ)."""
    game = eg.HeterogeneousGame([family, family], TWO, means=[family.to_mean(theta)] * 2)
    profile = [theta, theta]
    assert game.quadrature_error(profile).max() < 2e-6
    assert np.allclose(game.cross_mean(0, 1, profile), family.to_mean(theta), rtol=2e-6)
    assert game.uniqueness()


@pytest.mark.parametrize(
    "family", [F.Gaussian(2), F.DiagonalGaussian(2), F.Dirichlet(3), F.VonMisesFisher(3), F.Poisson() ** 2], ids=repr
)
def test_spaces_that_cannot_be_summed_over_are_refused(family):
    with pytest.raises(InvalidInput, match="statistic|finite spaces|one real variable"):
        spaces.sample_space(family)


def test_spaces_that_are_too_large_are_refused():
    for family in (
        F.Bernoulli(20),
        F.Ising.complete(20),
        F.MarkovChain(4, 30),
        F.Binomial(10**6),
        F.Bernoulli(10) ** 2,
    ):
        with pytest.raises(InvalidInput, match=r"\d"):
            spaces.sample_space(family)


# ---------------------------------------------------------------------- solvers


@pytest.mark.parametrize(
    "solver",
    [eg.solvers.BestResponse(), eg.solvers.BestResponse(order="simultaneous", damping=0.7), eg.solvers.Newton()],
)
def test_every_solver_finds_an_equilibrium(ragged, solver):
    solution = eg.solve(ragged[0], solver, history=True)
    assert solution.status in (eg.Status.RESIDUAL_BELOW_TOLERANCE, eg.Status.PRECISION_LIMIT)
    assert solution.regret.max() < 1e-20
    assert solution.uniqueness == ragged[0].uniqueness()
    assert "not guaranteed" in repr(solution)
    assert len(solution.history.steps) == solution.steps + 1


def test_solvers_agree_with_a_brute_root():
    """The scalar equation of two one-parameter agents, solved by bisection on plain sums."""
    tables = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 4.0, 9.0])
    game = eg.HeterogeneousGame([F.Finite(t) for t in tables], eg.Weights.complete(2, 0.6), means=[[1.2], [2.5]])

    def answer(own, mean, law):
        target = 0.6 * mean + 0.4 * law @ own
        return optimize.brentq(lambda x: _law(own[:, None], [x]) @ own - target, -30, 30, xtol=1e-13)

    def gap(y):
        x = answer(tables[0], 1.2, _law(tables[1][:, None], [y]))
        return answer(tables[1], 2.5, _law(tables[0][:, None], [x])) - y

    y = optimize.brentq(gap, -3, 3, xtol=1e-12)
    assert eg.solve(game).natural[1, 0] == pytest.approx(y, abs=1e-10)


def test_sequential_play_settles_a_chain_in_one_round():
    weights = eg.Weights.from_dense([[0.3, 0.7, 0], [0, 0.4, 0.6], [0, 0, 1.0]])
    tables = [[0, 1, 2], [0, 1, 4], [2, 0, 1]]
    game = eg.HeterogeneousGame([F.Finite(t) for t in tables], weights, means=[[1.0], [1.0], [0.7]])
    assert eg.solve(game).steps <= 1
    assert eg.solve(game).uniqueness


def test_simultaneous_play_that_goes_round_in_a_circle_is_reported():
    game = eg.catalog.three_equilibria()
    with pytest.raises(SolverFailed, match="circle") as caught:
        eg.solve(game, eg.solvers.BestResponse(order="simultaneous"), start=[[-8.0], [0.8]])
    assert caught.value.solution.status is eg.Status.STALLED
    settled = eg.solve(game, eg.solvers.BestResponse(order="simultaneous", damping=0.5), start=[[-8.0], [0.8]])
    assert settled.status.success


def test_too_few_rounds_and_boundaries_are_reported():
    game = eg.catalog.three_equilibria()
    with pytest.raises(SolverFailed, match="largest number of rounds"):
        eg.solve(game, eg.solvers.BestResponse(max_steps=2))
    quiet = eg.solve(game, eg.solvers.Newton(max_steps=1), throw=False, start=[[0.0], [0.0]])
    assert quiet.status is eg.Status.MAX_STEPS
    alone = eg.HeterogeneousGame([F.Finite([0, 1, 2])] * 2, eg.Weights.from_dense(np.eye(2)), means=[[0.0], [1.0]])
    assert eg.solve(alone, throw=False).status is eg.Status.BOUNDARY
    mended = eg.HeterogeneousGame(alone.families, alone.weights, means=[[0.0], [1.0]], counts=[4, 4], pseudo_count=1.0)
    assert eg.solve(mended).mean.ravel() == pytest.approx([0.2, 1.0], rel=1e-12)


LINE, SQUARE = F.Finite([0, 1, 2, 3]), F.Finite([0, 1, 4, 9])
FACE = F.Finite([[0, 0], [0, 1], [1, 0], [1, 1], [0.5, 0.5]]), F.Finite([[0, 0], [0, 1], [2, 0], [1, 3], [1, 0.5]])
ON_THE_BOUNDARY = {
    "all data at zero": ([LINE, SQUARE], [[0, 0], [0]]),
    "all data at the top": ([LINE, SQUARE], [[3], [3, 3]]),
    "one statistic": ([LINE, LINE], [[0, 0], [0]]),
    "counts": ([F.Poisson(), F.Geometric()], [[0], [0, 0]]),
}
EVERY_SOLVER = [
    eg.solvers.BestResponse(),
    eg.solvers.BestResponse(order="simultaneous"),
    eg.solvers.BestResponse(damping=0.5),
    eg.solvers.Newton(),
]


@pytest.mark.parametrize("solver", EVERY_SOLVER, ids=repr)
@pytest.mark.parametrize(("families", "data"), ON_THE_BOUNDARY.values(), ids=ON_THE_BOUNDARY.keys())
def test_play_that_runs_to_the_boundary_is_no_equilibrium(families, data, solver):
    """All data in one face of both hulls: p(other states) = Σ α p(other states) has only the solution zero."""
    game = eg.HeterogeneousGame(families, TWO, data)
    with pytest.raises(BoundaryEquilibrium, match="pseudo_count") as caught:
        eg.solve(game, solver)
    assert caught.value.agents == (0, 1)
    assert caught.value.statistics
    assert ("another start" in str(caught.value)) is not game.uniqueness().guaranteed
    mended = eg.solve(eg.HeterogeneousGame(families, TWO, data, pseudo_count=1.0), solver)
    assert mended.regret.max() < 1e-10


def test_play_that_runs_to_a_face_is_no_equilibrium():
    game = eg.HeterogeneousGame(FACE, TWO, [[0, 1], [0, 1, 1]])
    quiet = eg.solve(game, eg.solvers.Newton(), throw=False)
    assert quiet.status is eg.Status.BOUNDARY
    assert not quiet.status.success
    assert edge.boundary_equilibrium(game, game._split(quiet.natural)).agents == (0, 1)


@pytest.mark.parametrize("solver", EVERY_SOLVER, ids=repr)
@pytest.mark.parametrize("tiny", [1e-6, 1e-12, 1e-30])
def test_an_equilibrium_near_the_boundary_is_one(solver, tiny):
    """To first order in the tiny means p_1 = tiny/2 + p_2/2 and p_2 = 3 tiny/2 + p_1/2: 5/3 and 7/3 of it.

    A profile counts as settled when Newton's method would change log det F by less than 0.1.
    """
    game = eg.HeterogeneousGame([LINE, SQUARE], eg.Weights.complete(2, 0.5), means=[[tiny], [3 * tiny]])
    solution = eg.solve(game, solver)
    assert solution.mean.ravel() / tiny == pytest.approx([5 / 3, 7 / 3], rel=0.12)
    if tiny > 1e-9:
        assert solution.mean.ravel() / tiny == pytest.approx([5 / 3, 7 / 3], rel=1e-4)


def test_play_that_leaves_the_boundary_is_followed():
    """To first order in u_j = p_j(the state that counts one) each agent hears 0.9 · 4 times the other's mean: it grows."""
    families = [F.Finite([0, 1, 4]), F.Finite([0, 4, 1])]
    game = eg.HeterogeneousGame(families, eg.Weights.complete(2, 0.1), data=[[0], [0]])
    ends = [eg.solve(game, start=np.full((2, 1), start)).natural for start in (-1.0, -30.0, -60.0)]
    assert np.ptp(ends, axis=0).max() < 1e-9
    assert np.abs(ends[0]).max() < 1.0


def test_equilibria_of_the_catalogue_and_near_a_fold_stay_equilibria():
    """Near the fold at α_ii = 0.18098… the Jacobian is all but singular, but the boundary is far."""
    fold = eg.catalog.three_equilibria("18098/100000")
    assert eg.solve(fold, eg.solvers.Newton(), start=[[-1.3], [1.5]]).status.success
    for name in ("square_against_linear", "gaussian_against_laplace", "trusting_agents"):
        assert eg.solve(eg.catalog.load_heterogeneous(name)).status.success


def test_the_history_has_the_regrets():
    game = eg.catalog.three_equilibria()
    seen = []
    for solver in (eg.solvers.BestResponse(), eg.solvers.Newton()):
        seen.clear()
        solution = eg.solve(
            game, solver, history=True, observe=lambda step, natural: seen.append(natural.copy()) or 0.0
        )
        assert solution.history.regret == pytest.approx([game.regret(natural).max() for natural in seen], abs=0.0)
        assert solution.history.regret[-1] == solution.regret.max()
    alone = eg.HeterogeneousGame([A, A], eg.Weights.from_dense(np.eye(2)), means=[[0.0], [1.0]])
    assert np.isposinf(eg.solve(alone, throw=False, history=True).history.regret).all()


def test_failures_say_what_to_try_next():
    game, start = eg.catalog.three_equilibria(), [[-8.0], [0.8]]
    cases = {
        eg.solvers.BestResponse(order="simultaneous"): ["order='sequential'", "damping=0.5", "another start"],
        eg.solvers.BestResponse(order="simultaneous", damping=0.99): ["order='sequential'", "damping=0.5"],
    }
    for solver, words in cases.items():
        with pytest.raises(SolverFailed) as caught:
            eg.solve(game, solver, start=start)
        assert all(word in str(caught.value) for word in words)
    assert "order=" not in eg.solvers.BestResponse().advice
    assert "damping" not in eg.solvers.BestResponse(damping=0.1).advice
    assert "another start" in eg.solvers.Newton().advice


def test_texts_say_what_is_not_guaranteed_and_count_in_english(ragged):
    one = eg.solve(eg.catalog.three_equilibria())
    assert repr(one).startswith("Solution(2 agents × 1 statistic, ")
    assert "; uniqueness not guaranteed: agents 0 and 1" in repr(one)
    assert "there may be other equilibria, uniqueness not guaranteed" in one.message
    three = eg.solve(ragged[0])
    assert repr(three).startswith("Solution(3 agents × 3 statistics, ")
    assert three.max_error == np.nanmax(three.error_bound)
    assert str(ragged[0].uniqueness()).startswith("uniqueness not guaranteed: ")


def test_what_only_a_shared_statistic_has_is_named():
    game = eg.catalog.three_equilibria()
    for name in ("influence", "equilibrium_mean", "spectral_radius"):
        with pytest.raises(AttributeError, match=f"{name} is defined for agents who share a statistic"):
            getattr(game, name)
    with pytest.raises(AttributeError, match="no attribute 'influences'"):
        game.influences  # noqa: B018
    assert not hasattr(game, "influence")


def test_observers_see_the_natural_parameters():
    seen = []
    eg.solve(eg.catalog.three_equilibria(), observe=lambda step, natural: seen.append(natural[0, 0]) or 0.0)
    assert seen[-1] == pytest.approx(-8.31632245959324, abs=1e-10)


# ---------------------------------------------------------------------- exact numbers and identity


def test_rational_games_keep_their_numbers():
    exact = eg.catalog.three_equilibria().exact_tables()
    assert exact.statistics[0][0] == (Fraction(-14, 10),)
    assert exact.weights[1] == {0: Fraction(17, 20), 1: Fraction(3, 20)}
    assert exact.means[0] == (Fraction(-14 * 197 + 14 + 3 - 11, 2000),)
    assert exact.means[1] == (Fraction(19 * 197 + 4 - 6 + 16, 2000),)


def test_float_games_are_taken_as_binary_fractions():
    game = eg.HeterogeneousGame([F.Finite([0.1, 0.7, 2.0]), F.Finite([0, 1, 4])], TWO, means=[[0.5], [1.0]])
    assert game.exact_tables().statistics[0][0][0] == Fraction(0.1) != Fraction(1, 10)
    assert game.exact_tables().weights[0] == {0: Fraction(0.3), 1: Fraction(0.7)}


def test_fingerprints_tell_games_apart():
    games = [
        eg.catalog.three_equilibria(),
        eg.catalog.three_equilibria("1/5"),
        eg.catalog.three_equilibria(blend="1/100"),
        eg.HeterogeneousGame(
            eg.catalog.three_equilibria().families,
            eg.catalog.three_equilibria().weights,
            means=eg.catalog.three_equilibria().means,
        ),
    ]
    assert len({game.fingerprint() for game in games}) == 4
    assert games[0].fingerprint() == eg.catalog.three_equilibria().fingerprint()


def test_arrays_are_frozen():
    game = eg.catalog.three_equilibria()
    with pytest.raises(ValueError, match="read-only"):
        game.means[0, 0] = 1.0


# ---------------------------------------------------------------------- errors

A, B = F.Finite([0, 1, 2]), F.Finite([0, 1, 4])
OK = {"means": [[1.0], [1.0]]}


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: eg.HeterogeneousGame(A, TWO, **OK), InvalidInput, "list with one Family per agent"),
        (lambda: eg.HeterogeneousGame([], TWO, **OK), InvalidInput, "list with one Family per agent"),
        (lambda: eg.HeterogeneousGame([A, "B"], TWO, **OK), InvalidInput, "family of agent 1"),
        (lambda: eg.HeterogeneousGame([A, B], np.eye(2), **OK), InvalidInput, "Weights object"),
        (lambda: eg.HeterogeneousGame([A], TWO, **OK), InvalidInput, "1 families"),
        (lambda: eg.HeterogeneousGame([A, F.Finite([0, 1])], TWO, **OK), InvalidInput, "same sample space"),
        (lambda: eg.HeterogeneousGame([A, F.Poisson()], TWO, **OK), InvalidInput, "same sample space"),
        (lambda: eg.HeterogeneousGame([F.Gamma(), F.Laplace()], TWO, **OK), InvalidInput, "same sample space"),
        (lambda: eg.HeterogeneousGame([A, B], TWO), InvalidInput, "got neither"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, [[0], [1]], **OK), InvalidInput, "not both"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, 3), InvalidInput, "one item per agent"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, [[0]]), InvalidInput, "1 items"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, [[0], [7]]), InvalidData, "agent 1"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, [[0], None]), InvalidData, "agent 1 has no data"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, means=[[1.0], None]), InvalidData, "agent 1 has no mean"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, means=[[1.0], [1.0, 2.0]]), InvalidMeanParameter, "agent 1 has 1"),
        (
            lambda: eg.HeterogeneousGame([A, B], TWO, means=[[1.0], [4.5]]),
            InvalidMeanParameter,
            r"agent 1, \[4\.5\], is",
        ),
        (
            lambda: eg.HeterogeneousGame([A, B], TWO, means=[[1.0], [np.inf]]),
            InvalidMeanParameter,
            r"agent 1, \[inf\], .*it must be finite",
        ),
        (lambda: eg.HeterogeneousGame([A, B], TWO, means=[1.0, 3.0]), InvalidMeanParameter, r"\[\[1.0\], \[3.0\]\]"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, means=[[1.0], [4.0], 3]), InvalidInput, "3 items"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, **OK, counts=[1, -1]), InvalidInput, "non-negative integers"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, **OK, counts=[1, 0]), InvalidData, "count is zero"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, **OK, pseudo_count=-1), InvalidInput, "pseudo_count"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, **OK, pseudo_count=1), InvalidInput, "counts="),
        (lambda: eg.HeterogeneousGame([A, B], TWO, **OK, nodes=3), InvalidInput, "nodes"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, **OK, scale=0.0), InvalidInput, "scale"),
        (lambda: eg.HeterogeneousGame([A, B], TWO, **OK, centre=np.inf), InvalidInput, "centre"),
    ],
)
def test_bad_games_are_refused(build, error, words):
    with pytest.raises(error, match=words):
        build()


HALF = [["1/2", "1/2"]] * 2
TABLES = [[0, 1, 2], [0, 1, 4]]


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda r: r(TABLES, [["1/2", "1/3"]] * 2, means=[1, 1]), InvalidWeights, "row 0"),
        (lambda r: r(TABLES, [[1]], means=[1, 1]), InvalidWeights, "square"),
        (lambda r: r(TABLES, [[2, -1], [0, 1]], means=[1, 1]), InvalidWeights, "non-negative"),
        (lambda r: r(TABLES, HALF), InvalidInput, "either state_counts= or means="),
        (lambda r: r(TABLES, HALF, means=[1]), InvalidInput, "one item for each of the 2 agents"),
        (lambda r: r(TABLES, HALF, state_counts=[[1, 1, 1], None]), InvalidData, "agent 1 has no data"),
        (lambda r: r(TABLES, HALF, state_counts=[[1, 1, 1], [1, 1]]), InvalidInput, "must be 3 numbers"),
        (lambda r: r(TABLES, HALF, state_counts=[[1, 1, 1], [0, 0, 0]]), InvalidInput, "not all zero"),
        (lambda r: r(TABLES, HALF, state_counts=[[1, 1, 1], [2, -1, 0]]), InvalidInput, "non-negative"),
        (lambda r: r([[0, 1, "x"], [0, 1, 4]], HALF, means=[1, 1]), InvalidInput, "row 2 of the statistics of agent 0"),
        (lambda r: r([[0, 1, True], [0, 1, 4]], HALF, means=[1, 1]), InvalidInput, "Fraction"),
        (lambda r: r([3, [0, 1, 4]], HALF, means=[1, 1]), InvalidInput, "sequence"),
        (lambda r: r(TABLES, HALF, means=[1, 1], base=[[1, 1, 1], [1, 0, 1]]), InvalidInput, "positive"),
        (lambda r: r(TABLES, HALF, means=[1, 1], base=[[1, 1, 1]]), InvalidInput, "1 rows"),
    ],
)
def test_bad_rational_games_are_refused(build, error, words):
    with pytest.raises(error, match=words):
        build(eg.HeterogeneousGame.from_rationals)


def test_rational_base_measures_and_agents_without_data():
    game = eg.HeterogeneousGame.from_rationals(
        TABLES, [["1/2", "1/2"], [1, 0]], state_counts=[[1, 2, 1], None], base=[[1, 2, 3], [1, "1/2", 1]]
    )
    law = _law(np.array([[0.0], [1.0], [4.0]]), [0.3], np.log([1.0, 0.5, 1.0]))
    assert game.cross_mean(1, 0, [[0.0], [0.3]])[0] == pytest.approx(law @ [0, 1, 2], rel=1e-14)
    assert eg.solve(game).regret.max() < 1e-20


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda g: g.residual([[0.0]]), InvalidInput, "largest dim"),
        (lambda g: g.residual([[0.0], ["a"]]), InvalidInput, "real numbers"),
        (lambda g: g.residual([[0.0], [np.nan]]), InvalidNaturalParameter, "agent 1"),
        (lambda g: g.jacobian(np.zeros((3, 2, 1))), InvalidInput, "one profile at a time"),
        (lambda g: g.cross_mean(0, 2, [[0.0], [0.0]]), InvalidInput, "between 0 and 1"),
        (lambda g: eg.solve(g, eg.solvers.Direct()), InvalidInput, "BestResponse"),
        (lambda g: eg.solve(eg.catalog.two_agents(), eg.solvers.Newton()), InvalidInput, "Newton is for Heterogen"),
        (lambda g: eg.solvers.BestResponse(order="random"), InvalidInput, "order"),
        (lambda g: eg.solvers.BestResponse(damping=0.0), InvalidInput, "damping"),
        (lambda g: eg.solvers.Newton(tolerance=0.0), InvalidInput, "tolerance"),
        (lambda g: eg.catalog.load_heterogeneous("two_agents"), InvalidInput, "three_equilibria"),
        (lambda g: eg.catalog.three_equilibria(0), InvalidInput, "self_weight"),
        (lambda g: eg.catalog.three_equilibria(blend=2), InvalidInput, "blend"),
        (lambda g: eg.catalog.gaussian_against_laplace(half_width=0), InvalidInput, "half_width"),
        (lambda g: eg.catalog.trusting_agents(1), InvalidInput, "strictly between"),
    ],
)
def test_bad_calls_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(eg.catalog.three_equilibria())


def test_laws_that_the_nodes_do_not_resolve_are_refused():
    game = eg.HeterogeneousGame([F.KnownVarianceGaussian(1.0), F.Laplace()], TWO, means=[[0.0], [1.0]])
    with pytest.raises(ToleranceNotReached, match="agent 0.*centre and scale"):
        game.cross_mean(0, 1, [[1e9], [-1.0]])
    counts = eg.HeterogeneousGame([F.Poisson(), F.Geometric()], TWO, means=[[2.0], [3.0]], nodes=64)
    with pytest.raises(ToleranceNotReached, match="agent 0"):
        counts.cross_mean(0, 1, [[np.log(500.0)], [-1.0]])


def test_exact_tables_need_a_finite_space():
    game = eg.HeterogeneousGame([F.Poisson(), F.Geometric()], TWO, means=[[2.0], [3.0]])
    with pytest.raises(InvalidInput, match="finite space"):
        game.exact_tables()


@pytest.mark.parametrize("name", eg.catalog.heterogeneous_names())
def test_catalogue_games_build(name):
    game = eg.catalog.load_heterogeneous(name)
    assert game.dims == (1, 1)
    assert not game.uniqueness()
    assert eg.catalog.describe(name).startswith(str(getattr(eg.catalog, name).__doc__).split("\n")[0])


def test_isolated_agents_keep_the_shape_of_a_batch():
    families = [eg.families.Finite([0, 1, 2]), eg.families.Finite([0, 1, 4])]
    game = eg.HeterogeneousGame(families, eg.Weights.from_dense(np.eye(2)), data=[[0, 1, 2], [1, 2, 0]])
    assert game.best_response(np.zeros((5, 2, 1))).shape == (5, 2, 1)
    assert eg.certify_all(game).n_equilibria == 1


def test_statistics_beyond_floats_are_refused():
    with pytest.raises(eg.errors.InvalidInput, match="beyond the range of floats"):
        eg.HeterogeneousGame.from_rationals(
            [[0, 1, 10**400], [0, 1, 2]], [["1/2", "1/2"]] * 2, state_counts=[[3, 2, 1]] * 2
        )
