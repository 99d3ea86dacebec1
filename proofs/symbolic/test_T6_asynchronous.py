"""T6: delayed messages; small systems in closed form."""

import pytest
import sympy as sp

from proofs.symbolic.exact import is_zero

x = sp.Symbol("x")


def delayed(others, delays):
    """The linear map of (μ^t, μ^{t−1}, …) when agent i hears agent j as of ``delays[i, j]`` rounds ago."""
    n, depth = others.rows, max(delays) + 1
    blocks = [sp.Matrix(n, n, lambda i, j, d=d: others[i, j] if delays[i, j] == d else 0) for d in range(depth)]
    top = sp.Matrix.hstack(*blocks)
    shift = sp.Matrix.hstack(sp.eye(n * (depth - 1)), sp.zeros(n * (depth - 1), n))
    return sp.Matrix.vstack(top, shift) if depth > 1 else top


@pytest.mark.parametrize("delay", range(4))
def test_T6_two_agents_with_a_common_delay(delay):
    """Every message τ rounds old: x^{2(τ+1)} = bc, so the rate per round is ρ(B)^{1/(τ+1)}, below one whatever τ is."""
    b, c = sp.symbols("b c", positive=True)
    play = delayed(sp.Matrix([[0, b], [c, 0]]), delay * sp.ones(2, 2))
    assert is_zero(play.charpoly(x).as_expr() - (x ** (2 * (delay + 1)) - b * c))


def test_T6_unequal_delays_add_up_around_the_cycle():
    """One message τ₁, the answer τ₂ rounds old: x^{τ₁+τ₂+2} = bc, up to factors x."""
    b, c = sp.symbols("b c", positive=True)
    play = delayed(sp.Matrix([[0, b], [c, 0]]), sp.Matrix([[0, 1], [2, 0]]))
    polynomial = sp.factor(play.charpoly(x).as_expr())
    assert is_zero(polynomial - x * (x**5 - b * c))


def test_T6_every_window_of_s_plus_tau_rounds_gains_a_factor_q():
    """ρ(B) ≤ q and rate ρ(B)^{1/(τ+1)} per round: over s + τ = τ + 1 rounds (s = 1, all awake) the error shrinks by ρ(B)."""
    b, c = sp.symbols("b c", positive=True)
    for delay in range(3):
        rate = (b * c) ** sp.Rational(1, 2 * (delay + 1))
        assert is_zero(sp.powdenest(rate ** (1 + delay), force=True) - sp.sqrt(b * c))


def test_T6_the_box_of_stale_values_shrinks_by_q():
    """If every value used lies within e v of the goal, so does the answer within q e v: B(e v) = e(v − 1) ≤ q e v."""
    b, c, error = sp.symbols("b c e", positive=True)
    others = sp.Matrix([[0, b], [c, 0]])
    v = sp.Matrix([1 + b, 1 + c]) / (1 - b * c)
    assert is_zero(others * (error * v) - error * (v - sp.ones(2, 1)))
    for entry in v:  # q = 1 − 1/max v, and 1 − 1/v_i ≤ q
        assert is_zero((entry - 1) - (1 - 1 / entry) * entry)


def test_T6_an_agent_that_never_answers_again_stops_convergence():
    """Agent 1 asleep for ever: its row is the identity, one is an eigenvalue, and the limit depends on the start."""
    b, c = sp.symbols("b c", positive=True)
    asleep = sp.Matrix([[0, b], [0, 1]])
    assert asleep.eigenvals() == {sp.Integer(0): 1, sp.Integer(1): 1}
    awake = sp.Matrix([[0, b], [c, 0]])
    assert awake.charpoly(x).eval(1) == 1 - b * c  # positive where anchored
