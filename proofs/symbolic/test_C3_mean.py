"""C3: the residual bound, for free weights and in fractions for a real certificate."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import is_zero, weights


@pytest.mark.parametrize("size", [2, 3])
def test_C3_the_error_is_a_combination_of_residuals_bounded_by_w_over_s(size):
    """μ* − μ = (I − B)^{-1} r, entrywise ≤ (I − B)^{-1} 1 max|r| ≤ (w/s) max|r|: the remainder is (I − B)^{-1} e/s max|r|
    plus (I − B)^{-1}(max|r| 1 ∓ r), all with non-negative entries."""
    own, others, _ = weights(size)
    inverse = (sp.eye(size) - others).inv()
    s, largest = sp.symbols("s r_max", positive=True)
    e, r = (sp.Matrix(sp.symbols(f"{name}1:{size + 1}")) for name in ("e", "r"))
    w = inverse * (s * sp.ones(size, 1) + e)
    slack = inverse * e * largest / s + inverse * (largest * sp.ones(size, 1) - r)
    assert is_zero(w * largest / s - inverse * r - slack)
    mu, m = (sp.Matrix(sp.symbols(f"{name}1:{size + 1}")) for name in ("mu", "m"))
    residual = own * m + others * mu - mu
    assert is_zero(inverse * own * m - mu - inverse * residual)


@pytest.mark.parametrize("grade", ["exact", "rigorous"])
@pytest.mark.parametrize("name", ["two_agents", "complete", "ring", "star_one_owner", "chain_without_data"])
def test_C3_the_box_of_a_certificate_contains_the_rational_equilibrium(name, grade):
    game = eg.catalog.load(name)
    certificate = eg.certify(game, eg.solve(game), grade=grade)
    exact = _equilibrium(game)
    for lower, value, upper in zip(certificate.mean_lower[:, 0], exact, certificate.mean_upper[:, 0], strict=True):
        assert Fraction(float(lower)) <= value <= Fraction(float(upper))


def test_C3_a_shifted_box_does_not():
    """The check above can fail: a box moved by one part in 10⁹ misses the equilibrium."""
    game = eg.catalog.complete()
    certificate = eg.certify(game, eg.solve(game))
    exact = _equilibrium(game)
    shifted = np.asarray(certificate.mean_lower[:, 0]) * (1 + 1e-9)
    assert any(Fraction(float(lower)) > value for lower, value in zip(shifted, exact, strict=True))


def _equilibrium(game):
    """Row by row elimination with SymPy's rationals, nothing of the package."""
    n = game.n_agents
    alpha = sp.Matrix(n, n, lambda i, j: sp.Rational(float(game.weights.to_dense()[i, j])))
    own = sp.diag(*alpha.diagonal())
    data = sp.Matrix([sp.Rational(float(value)) for value in game.means[:, 0]])
    solution = (sp.eye(n) - alpha + own).LUsolve(own * data)
    return [Fraction(int(value.p), int(value.q)) for value in solution]
