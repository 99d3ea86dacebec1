"""T5: sequential best response; G = (I − L)^{-1} U with B = L + U."""

import pytest
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import is_zero, ones, weights

x = sp.Symbol("x")


def sweep(others):
    """One sweep in the order 0, 1, …: what was answered in this sweep (below the diagonal) is already used."""
    lower = sp.Matrix(others.rows, others.rows, lambda i, j: others[i, j] if j < i else 0)
    return (sp.eye(others.rows) - lower).inv() * (others - lower)


def test_T5_two_agents_sequential_is_the_square_of_simultaneous():
    b, c = sp.symbols("b c", positive=True)
    others = sp.Matrix([[0, b], [c, 0]])
    assert sweep(others).eigenvals() == {sp.Integer(0): 1, b * c: 1}
    assert is_zero(others.charpoly(x).as_expr() - (x**2 - b * c))  # ρ(B)² = bc


@pytest.mark.parametrize("size", [3, 4, 5])
def test_T5_a_ring_in_both_orders(size):
    """Each hears the next with weight b: ρ(B) = b; against the stream ρ = b^N (one sweep is N rounds), with it
    ρ = b^(N/(N−1))."""
    b = sp.Symbol("b", positive=True)
    ring = sp.Matrix(size, size, lambda i, j: b if j == (i + 1) % size else 0)
    backwards = sp.Matrix(size, size, lambda i, j: ring[size - 1 - i, size - 1 - j])
    assert is_zero(ring.charpoly(x).as_expr() - (x**size - b**size))
    assert is_zero(sweep(backwards).charpoly(x).as_expr() - x ** (size - 1) * (x - b**size))
    assert is_zero(sweep(ring).charpoly(x).as_expr() - x * (x ** (size - 1) - b**size))


def test_T5_the_sweep_is_a_regular_splitting_and_contracts_in_the_same_norm():
    """I − G = (I − L)^{-1}(I − B), so G v = v − (I − L)^{-1} 1 ≤ v − 1 as (I − L)^{-1} = I + L + L² ≥ I."""
    _, others, _ = weights(3)
    lower = sp.Matrix(3, 3, lambda i, j: others[i, j] if j < i else 0)
    left = (sp.eye(3) - lower).inv()
    assert is_zero(sp.eye(3) - sweep(others) - left * (sp.eye(3) - others))
    v = (sp.eye(3) - others).inv() * ones(3)
    assert is_zero(sweep(others) * v - (v - left * ones(3)))
    assert is_zero(left - (sp.eye(3) + lower + lower**2))


def test_T5_the_sweep_has_the_same_fixed_point():
    """(I − L)^{-1}(D m + U μ*) = μ* at μ* = (I − B)^{-1} D m."""
    own, others, _ = weights(3)
    lower = sp.Matrix(3, 3, lambda i, j: others[i, j] if j < i else 0)
    m = sp.Matrix(sp.symbols("m1:4", real=True))
    best = (sp.eye(3) - others).inv() * own * m
    assert is_zero((sp.eye(3) - lower).inv() * (own * m + (others - lower) * best) - best)


def test_T5_the_package_sweeps_like_this():
    """One sweep of GaussSeidel from a dyadic start is the exact sweep of these matrices."""
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.ring(3, 0.5), means=[[0.25], [0.5], [0.75]])
    start = sp.Matrix([sp.Rational(1, 8), sp.Rational(1, 2), sp.Rational(7, 8)])
    others = sp.Matrix(3, 3, lambda i, j: sp.Rational(1, 2) if j == (i + 1) % 3 else 0)
    lower = sp.Matrix(3, 3, lambda i, j: others[i, j] if j < i else 0)
    anchored = sp.Matrix([1, 2, 3]) / 8
    expected = (sp.eye(3) - lower).inv() * (anchored + (others - lower) * start)
    solver = eg.solvers.GaussSeidel(max_steps=1)
    played = eg.solve(game, solver, start=[[0.125], [0.5], [0.875]], throw=False).mean
    assert [sp.Rational(float(value)) for value in played.ravel()] == list(expected)
