"""T9: the risk formula, and the best row of two agents."""

import itertools

import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero

d, s1, s2, r = sp.symbols("d s1 s2 r", positive=True)


def test_T9_risk_is_bias_plus_variance_for_any_row():
    """Expand (Σ R_j (m_j + ε_j) − m_1)² for three agents; E ε_j = 0, E ε_j ε_k = δ_jk V_j/n_j."""
    row, m, noise, spread = (sp.symbols(f"{name}1:4", real=True) for name in ("R", "m", "e", "s"))
    error = sp.expand((sum(R * (x + e) for R, x, e in zip(row, m, noise, strict=True)) - m[0]) ** 2)
    expected = sp.Integer(0)
    for powers, coefficient in sp.Poly(error, *noise).terms():
        if all(power % 2 == 0 for power in powers):  # first moments and mixed moments vanish
            expected += coefficient * sp.prod([s ** (power // 2) for s, power in zip(spread, powers, strict=True)])
    bias = sum(R * x for R, x in zip(row, m, strict=True)) - m[0]
    assert is_zero(expected - bias**2 - sum(R**2 * s for R, s in zip(row, spread, strict=True)))


def test_T9_the_formula_is_the_expectation_over_all_outcomes():
    """Two coins, two and one tosses, row (1 − r, r): the sum over all eight outcomes."""
    p, q = sp.symbols("p q", positive=True)
    risk = sp.Integer(0)
    for first, second, third in itertools.product((0, 1), repeat=3):
        chance = sp.prod([p if x else 1 - p for x in (first, second)]) * (q if third else 1 - q)
        risk += chance * ((1 - r) * sp.Rational(first + second, 2) + r * third - p) ** 2
    formula = (r * (q - p)) ** 2 + (1 - r) ** 2 * p * (1 - p) / 2 + r**2 * q * (1 - q)
    assert is_zero(sp.expand(risk - formula))


def test_T9_the_best_row_of_two_agents():
    """Minimise (r d)² + (1 − r)² s_1 + r² s_2: r = s_1/(s_1 + s_2 + d²), inside (0, 1), and it always helps."""
    risk = (r * d) ** 2 + (1 - r) ** 2 * s1 + r**2 * s2
    best = sp.solve(sp.diff(risk, r), r)
    assert best == [s1 / (d**2 + s1 + s2)]
    assert is_zero(sp.diff(risk, r, 2) - 2 * (d**2 + s1 + s2))
    at_best = sp.factor(risk.subs(r, best[0]))
    assert is_zero(at_best - s1 * (s2 + d**2) / (s1 + s2 + d**2))
    assert sp.cancel((s1 - at_best) / (s1**2 / (s1 + s2 + d**2))) == 1  # the gain over playing alone is positive


def test_T9_any_row_beats_isolation_exactly_up_to_twice_the_best_weight():
    """risk(r) < s_1 iff 0 < r < 2 s_1/(s_1 + s_2 + d²): the gain is a parabola with these zeros."""
    risk = (r * d) ** 2 + (1 - r) ** 2 * s1 + r**2 * s2
    assert set(sp.solve(sp.expand(risk - s1), sp.Symbol("r", positive=True))) <= {2 * s1 / (d**2 + s1 + s2)}
    assert is_zero(sp.factor(risk - s1) - r * (r * (s1 + s2 + d**2) - 2 * s1))


def test_T9_the_package_computes_this_risk_and_this_row():
    """Exact binary numbers: m = (0, 1/2), tr V = (1, 2), n = (4, 16)."""
    means, variances, counts = [[0.0], [0.5]], [1.0, 2.0], [4, 16]
    spread = (sp.Rational(1, 4), sp.Rational(1, 8))
    best = eg.game.best_row(0, means, variances, counts)
    weight = spread[0] / (sum(spread) + sp.Rational(1, 4))
    assert_close(best.row, [1 - weight, weight])
    assert_close(best.risk, spread[0] * (spread[1] + sp.Rational(1, 4)) / (sum(spread) + sp.Rational(1, 4)))
    worth = eg.game.cooperation_risk(eg.Weights.complete(2, 0.5), means, variances, counts)
    influence = sp.Matrix([[2, 1], [1, 2]]) / 3
    variance = [sum(influence[i, j] ** 2 * spread[j] for j in range(2)) for i in range(2)]
    assert_close(worth.variance, variance)
    assert_close(worth.bias, [sp.Rational(1, 36), sp.Rational(1, 36)])
