"""T7: the Lyapunov function of gradient play."""

import pytest
import sympy as sp

from proofs.symbolic.exact import is_zero, ones, weights


def lyapunov(others):
    """C = diag(y_i/v_i) with y = (I − B)^{-T} 1, v = (I − B)^{-1} 1, and M = C(I − B) + (I − B)ᵀC."""
    size = others.rows
    system = sp.eye(size) - others
    v, y = system.inv() * ones(size), system.T.inv() * ones(size)
    scale = sp.diag(*(y[i] / v[i] for i in range(size)))
    return scale, v, scale * system + system.T * scale


def test_T7_the_derivative_of_the_divergence_along_gradient_play():
    """d/dt KL(p* ‖ p_θ) = (μ(θ) − μ*) θ̇ for any A, so V̇ = δᵀC(t − μ) = −δᵀC(I − B)δ."""
    time, best, goal = sp.symbols("t theta_star mu_star", real=True)
    log_partition, path = sp.Function("A"), sp.Function("theta")(time)
    divergence = log_partition(path) - log_partition(best) - goal * (path - best)
    mean = sp.diff(log_partition(path), path)
    assert is_zero(sp.simplify(sp.diff(divergence, time) - (mean - goal) * sp.diff(path, time)))

    own, others, _ = weights(2)
    c1, c2, m1, m2 = sp.symbols("c1 c2 m1 m2", positive=True)
    mu = sp.Matrix(sp.symbols("mu1 mu2", real=True))
    data, scale = sp.Matrix([m1, m2]), sp.diag(c1, c2)
    equilibrium = (sp.eye(2) - others).inv() * own * data
    delta, velocity = mu - equilibrium, own * data + others * mu - mu
    assert is_zero((delta.T * scale * velocity + delta.T * scale * (sp.eye(2) - others) * delta)[0])


@pytest.mark.parametrize("size", [2, 3])
def test_T7_the_symmetric_part_maps_v_to_c_plus_one(size):
    """M v = c + 1 > 0 with c_i = y_i/v_i: M is an M-matrix, hence positive definite."""
    _, others, _ = weights(size)
    scale, v, symmetric = lyapunov(others)
    assert is_zero(symmetric * v - (scale * ones(size) + ones(size)))


def test_T7_a_symmetric_z_matrix_with_mv_positive_is_positive_definite():
    """zᵀMz = Σ (Mv)_i z_i²/v_i + Σ_{i<j} (−M_ij) v_i v_j (z_i/v_i − z_j/v_j)²: a sum of squares when M_ij ≤ 0."""
    size = 4
    entries = {(i, j): sp.Symbol(f"M{min(i, j)}{max(i, j)}", real=True) for i in range(size) for j in range(size)}
    matrix = sp.Matrix(size, size, lambda i, j: entries[i, j])
    v = sp.Matrix(sp.symbols(f"v1:{size + 1}", positive=True))
    z = sp.Matrix(sp.symbols(f"z1:{size + 1}", real=True))
    form = (z.T * matrix * z)[0]
    diagonal = sum((matrix * v)[i] * z[i] ** 2 / v[i] for i in range(size))
    squares = sum(
        -matrix[i, j] * v[i] * v[j] * (z[i] / v[i] - z[j] / v[j]) ** 2 for i in range(size) for j in range(i + 1, size)
    )
    assert is_zero(sp.expand(form - diagonal - squares))


def test_T7_two_agents_determinant_is_positive():
    """With weights 0 < b, c < 1 to each other, written b = 1/(1 + s), c = 1/(1 + t), det M is a quotient of polynomials in
    s, t > 0 whose coefficients are all positive."""
    b, c = sp.symbols("b c", positive=True)
    _, _, symmetric = lyapunov(sp.Matrix([[0, b], [c, 0]]))
    s, t = sp.symbols("s t", positive=True)
    inside = sp.together(symmetric.det().subs({b: 1 / (1 + s), c: 1 / (1 + t)}))
    numerator, denominator = sp.fraction(sp.cancel(inside))
    for polynomial in (numerator, denominator):
        coefficients = sp.Poly(sp.expand(polynomial), s, t).coeffs()
        assert all(value > 0 for value in coefficients) or all(value < 0 for value in coefficients)
    assert (numerator / denominator).subs({s: 1, t: 1}) > 0


def test_T7_equal_scales_would_not_do():
    """C = I fails: for a star, (I − B) + (I − B)ᵀ has a negative eigenvalue although ρ(B) = 0. With the scales
    of T7 the form is positive definite for it, and for a chain."""
    chain = sp.Matrix([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    many = sp.zeros(6, 6)
    for leaf in range(1, 6):
        many[leaf, 0] = 1  # five agents without data who listen to agent 0 only
    plain = (sp.eye(6) - many) + (sp.eye(6) - many).T
    assert plain.det() == 2**6 - 5 * 2**4 == -16
    scale, _, symmetric = lyapunov(many)
    assert symmetric.is_positive_definite
    assert lyapunov(chain)[2].is_positive_definite
    assert scale[0, 0] == 6


def test_T7_damped_natural_gradient_play_contracts_by_its_factor():
    """((1 − η) I + η B) v = v − η 1 = (1 − η/v_i) v_i ≤ (1 − η(1 − q)) v_i, as 1/v_i ≥ 1 − q."""
    eta = sp.Symbol("eta", positive=True)
    _, others, _ = weights(3)
    v = (sp.eye(3) - others).inv() * ones(3)
    damped = (1 - eta) * sp.eye(3) + eta * others
    assert is_zero(damped * v - (v - eta * ones(3)))
