"""T10: the Jacobian of best response, linearity inside a component with one span, and where all equilibria of (b) lie."""

import sympy as sp

from proofs.symbolic.exact import is_zero
from proofs.symbolic.three_equilibria import DATA, OWN, PHI, mean, powers

R = sp.Rational
t1, t2 = sp.symbols("theta1 theta2", real=True)
TABLES = ((-2, 1, 0, 3), (1, 0, 2, -1))
"""Two small statistics for the identities that hold for all."""


def _law(theta, phi):
    weight = [sp.exp(theta * f) for f in phi]
    return [w / sum(weight) for w in weight]


def _moment(law, phi):
    return sum(p * f for p, f in zip(law, phi, strict=True))


def _covariance(law, f, g):
    return _moment(law, [x * y for x, y in zip(f, g, strict=True)]) - _moment(law, f) * _moment(law, g)


def test_T10_the_jacobian_of_the_equilibrium_equations():
    """G_1 = E_1 φ_1 − t_1 has ∂G_1/∂θ_1 = F_1 and ∂G_1/∂θ_2 = −α_12 Cov_{p_2}(φ_1, φ_2)."""
    weight, data = sp.symbols("alpha m", real=True)
    p1, p2 = _law(t1, TABLES[0]), _law(t2, TABLES[1])
    equation = _moment(p1, TABLES[0]) - (1 - weight) * data - weight * _moment(p2, TABLES[0])
    assert is_zero(sp.simplify(sp.diff(equation, t1) - _covariance(p1, TABLES[0], TABLES[0])))
    assert is_zero(sp.simplify(sp.diff(equation, t2) + weight * _covariance(p2, TABLES[0], TABLES[1])))


def test_T10_the_jacobian_of_best_response():
    """μ_1(BR(θ_2)) = t_1(θ_2) differentiated: BR' = α_12 F_1(BR)^{-1} Cov_{p_2}(φ_1, φ_2)."""
    weight, response = sp.Symbol("alpha"), sp.Function("BR")(t2)
    curve = _moment(_law(response, TABLES[0]), TABLES[0]) - weight * _moment(_law(t2, TABLES[1]), TABLES[0])
    slope = sp.solve(sp.diff(curve, t2), sp.diff(response, t2))[0]
    fisher = _covariance(_law(response, TABLES[0]), TABLES[0], TABLES[0])
    cross = _covariance(_law(t2, TABLES[1]), TABLES[0], TABLES[1])
    assert is_zero(sp.simplify(slope - weight * cross / fisher))


def test_T10a_affine_images_of_one_statistic_play_a_linear_game():
    """φ_2 = 2 φ_1 + 3 after a change of unit: E_{p_2}[φ_1] = (E_{p_2}[φ_2] − 3)/2, linear in agent 2's own mean."""
    scale, shift = sp.symbols("k s", nonzero=True)
    phi2 = [scale * f + shift for f in TABLES[0]]
    p2 = _law(t2, phi2)
    assert is_zero(sp.simplify(_moment(p2, TABLES[0]) - (_moment(p2, phi2) - shift) / scale))


def test_T10a_with_another_span_the_cross_mean_is_not_a_function_of_that_kind():
    """For TABLES, E_{p_2}[φ_1] is not affine in E_{p_2}[φ_2]: the slope of the curve is not constant."""
    p2 = _law(t2, TABLES[1])
    slope = _covariance(p2, TABLES[0], TABLES[1]) / _covariance(p2, TABLES[1], TABLES[1])
    assert sp.nsimplify(slope.subs(t2, 0)) != sp.nsimplify(slope.subs(t2, sp.log(2)))


def test_T10b_every_equilibrium_lies_within_twenty_one():
    """A target is a mixture of one's data and the other's samples, so it stays off the ends of the statistic; at
    θ = ±10 log 8 = ±20.79… the model's own mean is beyond every target. Exact: the four means there are rational."""
    for agent in (0, 1):
        data = sum(R(k, 200) * f for k, f in zip(DATA, PHI[agent], strict=True))
        ends = [OWN * data + (1 - OWN) * extreme(PHI[agent]) for extreme in (min, max)]
        assert mean(agent, agent, R(1, 8)) < ends[0]
        assert mean(agent, agent, R(8)) > ends[1]
        # and the mean grows with θ: its derivative is a variance, a sum of squares with positive coefficients
        x = sp.Symbol("x", positive=True)
        weight = powers(agent, x)
        total = sum(weight)
        variance = sum(weight[s] * weight[u] * (PHI[agent][s] - PHI[agent][u]) ** 2 for s in range(4) for u in range(s))
        slope = 10 * x * sp.diff(mean(agent, agent, x), x)  # θ = 10 log x, so d/dθ = x/10 d/dx, with φ in tenths
        assert is_zero(sp.cancel(slope / 100 - variance / total**2))
