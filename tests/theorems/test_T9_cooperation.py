"""T9: the risk of playing, by Monte-Carlo, and the best row, by brute force."""

import numpy as np
import pytest
from scipy.optimize import minimize

import expfam_game as eg
from expfam_game.game import best_row, cooperation_risk

MEANS = np.array([[0.0, 0.0], [0.3, -0.2], [1.0, 0.5], [0.1, 0.4]])
VARIANCES, COUNTS = np.array([2.0, 1.0, 0.5, 4.0]), np.array([5, 20, 10, 7])


def test_T9_risk_is_the_average_squared_error_of_simulated_games():
    """40 000 games with data drawn anew: the average squared error is the formula, to seven standard errors."""
    weights, replicas = eg.Weights.ring(4, 0.4), 40_000
    rng = np.random.default_rng(3)
    spread = np.sqrt(VARIANCES / 2 / COUNTS)  # each of the two statistics has half of the total variance
    data_means = MEANS + spread[None, :, None] * rng.standard_normal((replicas, 4, 2))
    system = np.eye(4) - weights.off_diagonal.toarray()
    equilibria = np.linalg.solve(system, weights.self_weights[:, None] * data_means)
    squared = np.sum((equilibria - MEANS) ** 2, axis=2)
    expected = cooperation_risk(weights, MEANS, VARIANCES, COUNTS)
    error = squared.std(axis=0, ddof=1) / np.sqrt(replicas)
    assert np.all(np.abs(squared.mean(axis=0) - expected.total) < 7 * error)
    assert np.all(7 * error < 0.05 * expected.total)
    np.testing.assert_array_equal(expected.gains, expected.total < VARIANCES / COUNTS)


def test_T9_the_formula_holds_for_samples_of_a_family_too():
    """Poisson agents, data drawn, game built and solved by the package: 400 games, seven standard errors."""
    family, rates, counts = eg.families.Poisson(), np.array([1.0, 1.5, 4.0]), [4, 40, 10]
    weights, replicas = eg.Weights.complete(3, 0.6), 400
    theta = np.log(rates)[:, None]
    data = [family.sample(theta[i], n * replicas, seed=i).reshape(replicas, n) for i, n in enumerate(counts)]
    solved = np.array(
        [eg.Game(family, weights, [x[k] for x in data], pseudo_count=0).equilibrium_mean[:, 0] for k in range(replicas)]
    )
    squared = (solved - rates) ** 2
    expected = cooperation_risk(weights, rates[:, None], rates, counts).total
    assert np.all(np.abs(squared.mean(axis=0) - expected) < 7 * squared.std(axis=0, ddof=1) / np.sqrt(replicas))


@pytest.mark.parametrize("agent", range(4))
def test_T9_the_best_row_is_optimal(agent):
    """Against SLSQP and against the optimality conditions of the quadratic program."""
    best = best_row(agent, MEANS, VARIANCES, COUNTS)
    gap = MEANS - MEANS[agent]
    form = gap @ gap.T + np.diag(VARIANCES / COUNTS)
    assert best.row.min() >= 0
    assert best.row.sum() == pytest.approx(1, abs=1e-14)
    assert best.risk == pytest.approx(best.row @ form @ best.row, rel=1e-12)
    simplex = {"type": "eq", "fun": lambda r: r.sum() - 1}
    other = minimize(lambda r: r @ form @ r, np.full(4, 0.25), bounds=[(0, 1)] * 4, constraints=simplex, tol=1e-14)
    assert best.risk <= other.fun + 1e-14
    slope = form @ best.row  # equal on the support, not smaller elsewhere
    assert np.all(slope >= best.risk - 1e-12)
    np.testing.assert_allclose(slope[best.row > 0], best.risk, rtol=1e-10)


def test_T9_an_agent_reaches_its_best_row_when_the_others_stay_isolated():
    best = best_row(0, MEANS, VARIANCES, COUNTS)
    alpha = np.eye(4)
    alpha[0] = best.row / best.row.sum()
    worth = cooperation_risk(eg.Weights.from_dense(alpha), MEANS, VARIANCES, COUNTS)
    assert worth.total[0] == pytest.approx(best.risk, rel=1e-12)
    assert worth.total[0] < worth.alone[0]
    np.testing.assert_allclose(worth.total[1:], worth.alone[1:])


def test_T9_no_row_of_any_game_beats_the_best_row():
    rng = np.random.default_rng(0)
    for _ in range(50):
        worth = cooperation_risk(
            eg.Weights.from_dense(rng.dirichlet(np.full(4, 0.5), size=4)), MEANS, VARIANCES, COUNTS
        )
        limits = [best_row(i, MEANS, VARIANCES, COUNTS).risk for i in range(4)]
        assert np.all(worth.total >= np.array(limits) - 1e-14)


def test_T9_agents_without_samples_are_given_no_weight_and_take_part_without_data():
    counts = [5, 0, 10, 7]
    assert best_row(1, MEANS, VARIANCES, counts).row[1] == 0
    assert best_row(0, MEANS, VARIANCES, counts).row[1] == 0
    worth = cooperation_risk(eg.Weights.ring(4, [0.4, 0.0, 0.4, 0.4]), MEANS, VARIANCES, counts)
    assert worth.alone[1] == np.inf
    assert worth.gains[1]


def test_T9_exact_knowledge_of_the_same_mean_is_taken_whole():
    best = best_row(0, [[0.0], [0.0]], [1.0, 0.0], [3, 3])
    np.testing.assert_array_equal(best.row, [0, 1])
    assert best.risk == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": [0.0, 1.0]}, "means must be finite"),
        ({"means": [["x"]]}, "arrays of real numbers"),
        ({"total_variances": [1.0, -1.0, 1.0, 1.0]}, "total_variances"),
        ({"counts": [1.5, 1, 1, 1]}, "counts"),
        ({"agent": 4}, "agent is 4"),
        ({"agent": True}, "agent is True"),
        ({"counts": [0, 0, 0, 0]}, "no agent has samples"),
    ],
)
def test_T9_bad_arguments_of_best_row_are_named(change, message):
    given = {"agent": 0, "means": MEANS, "total_variances": VARIANCES, "counts": COUNTS}
    with pytest.raises(eg.errors.InvalidInput, match=message):
        best_row(**{**given, **change})


def test_T9_bad_arguments_of_cooperation_risk_are_named():
    with pytest.raises(eg.errors.InvalidInput, match="rows"):
        cooperation_risk(eg.Weights.ring(3), MEANS, VARIANCES, COUNTS)
    with pytest.raises(eg.errors.InvalidInput, match="agent 1 has no samples"):
        cooperation_risk(eg.Weights.ring(4, 0.5), MEANS, VARIANCES, [5, 0, 10, 7])
    with pytest.raises(eg.errors.NotAnchored):
        cooperation_risk(eg.Weights.from_dense([[0, 1], [1, 0]]), MEANS[:2], VARIANCES[:2], COUNTS[:2])
