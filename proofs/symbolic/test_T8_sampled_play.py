"""T8: unbiased rounds and the two Lyapunov equations of the noise floor."""

import itertools

import numpy as np
import pytest
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero, ones, weights

b, c, n = sp.symbols("b c n", positive=True)
V1, V2 = sp.symbols("V1 V2", positive=True)
TWO = sp.Matrix([[0, b], [c, 0]])


def lyapunov(others, variances, exchange):
    """The solution Σ of Σ = B(Σ + Λ)Bᵀ (broadcast) or Σ = BΣBᵀ + diag_i(Σ_j α_ij² V_j/n) (separate)."""
    size = others.rows
    names = {(i, j): sp.Symbol(f"s{min(i, j)}{max(i, j)}") for i in range(size) for j in range(size)}
    sigma = sp.Matrix(size, size, lambda i, j: names[i, j])
    noise = sp.diag(*(v / n for v in variances))
    if exchange == "broadcast":
        equation = others * (sigma + noise) * others.T - sigma
    else:
        own = [sum(others[i, j] ** 2 * noise[j, j] for j in range(size)) for i in range(size)]
        equation = others * sigma * others.T + sp.diag(*own) - sigma
    solution = sp.solve(list(equation), sorted(set(names.values()), key=str), dict=True)
    assert len(solution) == 1
    return sigma.subs(solution[0])


@pytest.mark.parametrize("exchange", ["broadcast", "separate"])
def test_T8_two_agents_in_closed_form(exchange):
    """Each has one listener, so both exchanges agree: Var_1 = b²(V_2 + c² V_1)/(n(1 − b²c²)), no covariance."""
    sigma = lyapunov(TWO, (V1, V2), exchange)
    assert is_zero(sigma[0, 0] - b**2 * (V2 + c**2 * V1) / (n * (1 - b**2 * c**2)))
    assert is_zero(sigma[1, 1] - c**2 * (V1 + b**2 * V2) / (n * (1 - b**2 * c**2)))
    assert is_zero(sigma[0, 1])


def test_T8_the_floor_is_of_order_one_over_n_times_one_minus_rho_squared():
    """Equal agents, weights 1 − a: Var = V ρ²/(n(1 − ρ²)); it diverges as a → 0 like V/(2 a n)."""
    a, v = sp.symbols("a V", positive=True)
    sigma = lyapunov(TWO, (V1, V2), "broadcast")[0, 0].subs({b: 1 - a, c: 1 - a, V1: v, V2: v})
    rho = 1 - a
    assert is_zero(sigma - v * rho**2 / (n * (1 - rho**2)))
    assert sp.limit(sigma * a, a, 0) == v / (2 * n)


def test_T8_a_shared_batch_makes_listeners_agree_and_separate_draws_do_not():
    """Complete graph of three, equal variances: both total variances differ, by the covariance that a shared batch adds."""
    w, v = sp.symbols("w V", positive=True)
    others = w * (sp.ones(3, 3) - sp.eye(3))
    together, apart = (lyapunov(others, (v, v, v), exchange) for exchange in ("broadcast", "separate"))
    assert is_zero(together[0, 0] - together[1, 1])
    gap = sp.factor(together[0, 0] - apart[0, 0])
    assert not is_zero(gap)
    # of the sum of all agents: batch noise 4 w² each in full when shared, w² twice per agent when separate
    total_together, total_apart = ((ones(3).T * sigma * ones(3))[0] for sigma in (together, apart))
    assert is_zero(total_together - 12 * w**2 * v / (n * (1 - 4 * w**2)))
    assert is_zero(total_apart - 6 * w**2 * v / (n * (1 - 4 * w**2)))


def test_T8_one_round_is_unbiased_with_the_stated_covariance():
    """Two samples of each of two coins, shared by both listeners among three agents: all sixteen outcomes, weights free."""
    p1, p2, w = sp.symbols("p1 p2 w", positive=True)
    rows = sp.Matrix([[b, c], [c, w]])  # two listeners of the same two batches
    mean, second = sp.zeros(2, 1), sp.zeros(2, 2)
    for outcome in itertools.product((0, 1), repeat=4):
        chance = sp.prod([p1 if x else 1 - p1 for x in outcome[:2]]) * sp.prod(
            [p2 if x else 1 - p2 for x in outcome[2:]]
        )
        heard = rows * sp.Matrix([sp.Rational(sum(outcome[:2]), 2), sp.Rational(sum(outcome[2:]), 2)])
        mean += chance * heard
        second += chance * heard * heard.T
    assert is_zero(mean - rows * sp.Matrix([p1, p2]))
    noise = sp.diag(p1 * (1 - p1) / 2, p2 * (1 - p2) / 2)
    assert is_zero(second - mean * mean.T - rows * noise * rows.T)


def test_T8_the_covariance_recursion_for_free_weights():
    """Cov(B(δ + ε)) = B(Σ + Λ)Bᵀ when ε is independent of δ: expand E[(B(δ + ε))(B(δ + ε))ᵀ] entry by entry."""
    _, others, _ = weights(2)
    d, e = sp.symbols("d1:3", real=True), sp.symbols("e1:3", real=True)
    moved = others * (sp.Matrix(d) + sp.Matrix(e))
    product = sp.expand(moved * moved.T)
    s11, s12, s22, l1, l2 = sp.symbols("s11 s12 s22 l1 l2")
    moments = {
        d[0] ** 2: s11, d[1] ** 2: s22, d[0] * d[1]: s12, e[0] ** 2: l1, e[1] ** 2: l2, e[0] * e[1]: 0,
        d[0] * e[0]: 0, d[0] * e[1]: 0, d[1] * e[0]: 0, d[1] * e[1]: 0,
    }  # fmt: skip
    expected = others * sp.Matrix([[s11 + l1, s12], [s12, s22 + l2]]) * others.T
    taken = product.applyfunc(lambda entry: _expectation(entry, moments, (*d, *e)))
    assert is_zero(taken - expected)


def _expectation(polynomial, moments, variables):
    terms = sp.Poly(polynomial, *variables).terms()
    return sum(
        coefficient * moments[sp.prod([v**k for v, k in zip(variables, powers, strict=True)])]
        for powers, coefficient in terms
    )


def test_T8_without_data_the_mean_profile_is_kept_and_its_variance_grows():
    """D = 0, b = c = 1: the round keeps δ_1 + δ_2 in the mean and adds (V_1 + V_2)/n to its variance, so no floor exists."""
    swap = sp.Matrix([[0, 1], [1, 0]])
    assert ones(2).T * swap == ones(2).T
    s = sp.Symbol("s")
    grown = swap * (s * ones(2) * ones(2).T / 4 + sp.diag(V1 / n, V2 / n)) * swap.T
    assert is_zero((ones(2).T * grown * ones(2))[0] - (s + (V1 + V2) / n))


@pytest.mark.parametrize("exchange", ["broadcast", "separate"])
def test_T8_the_package_predicts_this_floor(exchange):
    """Unit-variance Gaussians with unequal self-weights: the exact solution of the equations, to rounding."""
    alpha = [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]
    game = eg.Game(eg.families.KnownVarianceGaussian(1.0), eg.Weights.from_dense(alpha), means=[[0.0], [1.0], [2.0]])
    others = sp.Matrix(3, 3, lambda i, j: 0 if i == j else sp.Rational(alpha[i][j]))
    exact = lyapunov(others, (1, 1, 1), exchange).subs(n, 50)
    play = eg.solvers.SampledPlay(n_samples=50, rounds=400, exchange=exchange)
    assert_close(np.ravel(play.predicted_floor(game)), [exact[i, i] for i in range(3)], 1e-12)
