"""T4: B v = v − 1, the contraction factor, and the residual bound."""

import pytest
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero, ones, weights


@pytest.mark.parametrize("size", [2, 3])
def test_T4_v_solves_bv_equals_v_minus_one(size):
    _, others, _ = weights(size)
    v = (sp.eye(size) - others).inv() * ones(size)
    assert is_zero(others * v - (v - ones(size)))


@pytest.mark.parametrize("size", [2, 3])
def test_T4_row_sums_in_the_v_norm_are_one_minus_one_over_v(size):
    """The norm of B in ‖·‖_v is the largest row sum of V^{-1} B V, and row i sums to 1 − 1/v_i."""
    _, others, _ = weights(size)
    v = sp.Matrix(sp.symbols(f"v1:{size + 1}", positive=True))
    rows = sp.diag(*(1 / x for x in v)) * others * sp.diag(*v) * ones(size)
    # with B v = v − 1, entry i is (v_i − 1)/v_i
    assert is_zero(rows - sp.Matrix([(others * v)[i] / v[i] for i in range(size)]))
    solved = (sp.eye(size) - others).inv() * ones(size)
    at_solution = rows.subs(dict(zip(v, solved, strict=True)), simultaneous=True)
    assert is_zero(at_solution - sp.Matrix([1 - 1 / x for x in solved]))


def test_T4_row_sums_of_b_are_one_minus_the_self_weight():
    own, others, _ = weights(4)
    assert is_zero(others * ones(4) - (ones(4) - own * ones(4)))


@pytest.mark.parametrize("size", [2, 3])
def test_T4_the_error_is_the_inverse_times_the_residual(size):
    """(I − B)(μ* − μ) = F(μ) − μ: with (I − B)^{-1} ≥ 0 and row sums v this is the bound v_i max |r|."""
    own, others, _ = weights(size)
    mu, m = (sp.Matrix(sp.symbols(f"{name}1:{size + 1}", real=True)) for name in ("mu", "m"))
    inverse = (sp.eye(size) - others).inv()
    residual = own * m + others * mu - mu
    assert is_zero(inverse * own * m - mu - inverse * residual)


@pytest.mark.parametrize("size", [2, 3])
def test_T4_the_inverse_is_non_negative(size):
    """Every entry of (I − B)^{-1} is a quotient of polynomials in the weights and self-weights with positive terms only,
    once each 1 on the diagonal of I − B is written as the sum of its row."""
    _, others, symbols = weights(size)
    own = sp.symbols(f"a1:{size + 1}", positive=True)
    general = sp.Matrix(size, size, lambda i, j: own[i] + sum(others.row(i)) if i == j else -others[i, j])
    for expression in (general.det(), *general.adjugate()):
        assert all(coefficient > 0 for coefficient in sp.Poly(sp.expand(expression), *own, *symbols).coeffs())
    rows = {own[i]: 1 - sum(others.row(i)) for i in range(size)}
    assert is_zero(general.subs(rows) - (sp.eye(size) - others))


def test_T4_two_agents_in_closed_form():
    """With weights b, c to each other, v = (1 + b, 1 + c)/(1 − bc), ρ(B)² = bc, q = 1 − 1/max v."""
    b, c = sp.symbols("b c", positive=True)
    others = sp.Matrix([[0, b], [c, 0]])
    assert is_zero((sp.eye(2) - others).inv() * ones(2) - sp.Matrix([1 + b, 1 + c]) / (1 - b * c))
    assert set(others.eigenvals()) == {sp.sqrt(b) * sp.sqrt(c), -sp.sqrt(b) * sp.sqrt(c)}


def test_T4_banach_with_the_geometric_series():
    """Σ_{k≥1} q^k = q/(1 − q): the a-posteriori factor."""
    q = sp.Symbol("q", positive=True)
    k = sp.Symbol("k", integer=True)
    series = sp.summation(q**k, (k, 1, sp.oo))
    assert is_zero(series.args[0].expr - q / (1 - q))
    assert series.args[0].cond == (q < 1)


def test_T4_the_package_computes_this_v_and_q():
    weights_ = eg.Weights.from_dense([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0], [0.0, 1.0, 0.0]])
    game = eg.Game(eg.families.Bernoulli(1), weights_, means=[[0.2], [0.4], [float("nan")]])
    others = sp.Matrix([[0, 1, 1], [3, 0, 0], [0, 4, 0]]) / 4
    v = (sp.eye(3) - others).inv() * ones(3)
    assert_close(game.v, list(v))
    assert_close(game.q, 1 - 1 / max(v))
