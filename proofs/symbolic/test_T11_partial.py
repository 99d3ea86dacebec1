"""T11: EM on a tiny table, one shared and one private variable."""

import itertools

import numpy as np
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero

PAIRS = list(itertools.product((0, 1), repeat=2))  # (s, u): s is shared, u is private


def _model():
    """A model with fields and a coupling: θ_s s + θ_u u + θ_su s u."""
    theta = sp.symbols("theta_s theta_u theta_su", real=True)
    statistic = {(s, u): (s, u, s * u) for s, u in PAIRS}
    weight = {x: sp.exp(sum(t * f for t, f in zip(theta, statistic[x], strict=True))) for x in PAIRS}
    total = sum(weight.values())
    return theta, statistic, {x: w / total for x, w in weight.items()}


def test_T11_the_gradient_of_the_marginal_likelihood_is_completed_minus_model_mean():
    """∂/∂θ_k Σ_s q(s) log p(s) = Σ_s q(s) E[φ_k | s] − E[φ_k]: zero exactly at the EM fixed point of the statement."""
    theta, statistic, p = _model()
    q = sp.symbols("q0 q1", positive=True)
    seen = {s: p[s, 0] + p[s, 1] for s in (0, 1)}
    likelihood = sum(q[s] / sum(q) * sp.log(seen[s]) for s in (0, 1))
    for k, parameter in enumerate(theta):
        completed = sum(q[s] / sum(q) * p[s, u] / seen[s] * statistic[s, u][k] for s, u in PAIRS)
        model = sum(p[x] * statistic[x][k] for x in PAIRS)
        assert is_zero(sp.simplify(sp.diff(likelihood, parameter) - (completed - model)))


def test_T11_the_gain_of_an_em_step_splits_into_two_divergences():
    """log p'(s) − log p(s) = Σ_u p(u|s) [log p'(s,u) − log p(s,u)] + KL(p(·|s) ‖ p'(·|s)), for any two tables."""
    old, new = sp.symbols("p0 p1", positive=True), sp.symbols("r0 r1", positive=True)
    given = [x / sum(old) for x in old]
    complete = sum(g * (sp.log(n) - sp.log(o)) for g, n, o in zip(given, new, old, strict=True))
    divergence = sum(
        g * (sp.log(o) - sp.log(sum(old)) - sp.log(n) + sp.log(sum(new)))
        for g, o, n in zip(given, old, new, strict=True)
    )
    assert is_zero(sp.simplify(sp.expand(sp.log(sum(new)) - sp.log(sum(old)) - complete - divergence)))


def _round(models, data, alpha):
    """One EM step of both agents: tables over (s, u_i), samples seen on s only."""
    after = []
    for i in (0, 1):
        mine, other = models[i], models[1 - i]
        shown = {s: other[s, 0] + other[s, 1] for s in (0, 1)}
        own = {s: mine[s, 0] + mine[s, 1] for s in (0, 1)}
        after.append({(s, u): alpha * data[i][s, u] + (1 - alpha) * shown[s] * mine[s, u] / own[s] for s, u in PAIRS})
    return after


def _tables(name):
    return [{x: sp.Symbol(f"{name}{i}_{x[0]}{x[1]}", positive=True) for x in PAIRS} for i in (0, 1)]


def test_T11_marginals_of_the_shared_variable_follow_t2_whatever_the_conditionals_are():
    """The marginal after a round is α π_i(s) + (1 − α) p_j(s): the conditionals drop out."""
    alpha = sp.Symbol("alpha", positive=True)
    models, data = _tables("p"), _tables("d")
    after = _round(models, data, alpha)
    for i, s in itertools.product((0, 1), repeat=2):
        expected = alpha * (data[i][s, 0] + data[i][s, 1]) + (1 - alpha) * (models[1 - i][s, 0] + models[1 - i][s, 1])
        assert is_zero(after[i][s, 0] + after[i][s, 1] - expected)


def test_T11_the_equilibrium_has_the_marginals_of_t2_and_the_conditionals_of_ones_own_data():
    """p_i(s, u) = (R π)_i(s) π_i(u | s) is a fixed point of the round, for free data and free α."""
    alpha = sp.Symbol("alpha", positive=True)
    data = _tables("d")
    own = [{s: table[s, 0] + table[s, 1] for s in (0, 1)} for table in data]
    influence = ((1, 1 - alpha), (1 - alpha, 1))
    shared = [{s: sum(influence[i][j] * own[j][s] for j in (0, 1)) / (2 - alpha) for s in (0, 1)} for i in (0, 1)]
    models = [{x: shared[i][x[0]] * data[i][x] / own[i][x[0]] for x in PAIRS} for i in (0, 1)]
    after = _round(models, data, alpha)
    for i, x in itertools.product((0, 1), PAIRS):
        assert is_zero(after[i][x] - models[i][x])


def test_T11_the_package_takes_this_step():
    data = [np.array([[5, 1], [1, 1]]) / 8, np.array([[1, 2], [4, 1]]) / 8]
    models = [np.array([[1, 1], [1, 1]]) / 4, np.array([[1, 4], [2, 1]]) / 8]
    game = eg.game.PartialGame([2, 2, 2], [[0, 1], [0, 2]], eg.Weights.complete(2, 0.25), data)
    exact = [{x: sp.Rational(float(table[x])) for x in PAIRS} for table in models]
    shown = [{x: sp.Rational(float(table[x])) for x in PAIRS} for table in data]
    after = _round(exact, shown, sp.Rational(1, 4))
    for i in (0, 1):
        assert_close(game.em_step(i, models), [[after[i][s, u] for u in (0, 1)] for s in (0, 1)])
