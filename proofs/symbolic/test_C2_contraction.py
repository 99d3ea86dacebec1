"""C2: B w ≤ w − s gives the contraction factor 1 − s/max w and bounds the inverse."""

import dataclasses
from fractions import Fraction

import pytest
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import is_zero, ones, weights


@pytest.mark.parametrize("size", [2, 3])
def test_C2_w_over_s_bounds_v(size):
    """(I − B) w = s 1 + e with e ≥ 0, so w/s − v = (I − B)^{-1} e/s ≥ 0."""
    _, others, _ = weights(size)
    s = sp.Symbol("s", positive=True)
    e = sp.Matrix(sp.symbols(f"e1:{size + 1}", nonnegative=True))
    inverse = (sp.eye(size) - others).inv()
    w = inverse * (s * ones(size) + e)
    assert is_zero(w / s - inverse * ones(size) - inverse * e / s)


def test_C2_the_factor_of_each_row():
    """Row i of W^{-1} B W sums to (B w)_i/w_i ≤ 1 − s/w_i ≤ 1 − s/max w: the two gaps are e_i/w_i and s (1/w_i − 1/max w)."""
    s, w, top, e = sp.symbols("s w_i w_max e_i", positive=True)
    heard = w - s - e
    assert is_zero((1 - s / w) - heard / w - e / w)
    assert is_zero((1 - s / top) - (1 - s / w) - s * (top - w) / (w * top))


@pytest.mark.parametrize("grade", ["exact", "rigorous"])
def test_C2_the_certificate_satisfies_the_inequality_in_fractions(grade):
    """B w ≤ w − s and the factor 1 − s/max w, checked over the rationals with the floats of a real certificate."""
    game = eg.catalog.complete(5, 0.3)
    certificate = eg.certify(game, eg.solve(game), grade=grade)
    assert _holds(game, certificate)
    assert not _holds(game, dataclasses.replace(certificate, s=float(certificate.s) * 1.5))
    factor = 1 - Fraction(float(certificate.s)) / max(Fraction(float(x)) for x in certificate.w)
    assert Fraction(float(certificate.contraction_factor)) >= factor


def _holds(game, certificate):
    alpha = [[Fraction(float(a)) for a in row] for row in game.weights.to_dense()]
    w, s = [Fraction(float(x)) for x in certificate.w], Fraction(float(certificate.s))
    heard = [sum(alpha[i][j] * w[j] for j in range(len(w)) if j != i) for i in range(len(w))]
    return s > 0 and all(x > 0 for x in w) and all(h <= x - s for h, x in zip(heard, w, strict=True))
