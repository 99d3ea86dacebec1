"""T3: entropy, multipliers and the potential."""

import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero, weights


def test_T3a_the_exponential_form_solves_the_maximum_entropy_problem():
    """Stationarity of −Σ p log(p/h) + ⟨θ, E_p φ − t⟩ + λ(1 − Σ p) at p = h exp(⟨θ, φ⟩ − A), and a negative Hessian."""
    p = sp.symbols("p1:5", positive=True)
    h = sp.symbols("h1:5", positive=True)
    phi = sp.symbols("f1:5", real=True)
    theta, a, t, multiplier = sp.symbols("theta A t lambda", real=True)
    entropy = -sum(q * (sp.log(q) - sp.log(g)) for q, g in zip(p, h, strict=True))
    constraint = theta * (sum(q * f for q, f in zip(p, phi)) - t) + multiplier * (1 - sum(p))
    form = {q: g * sp.exp(theta * f - a) for q, g, f in zip(p, h, phi, strict=True)}
    for q in p:
        slope = sp.expand_log(sp.diff(entropy + constraint, q).subs(form), force=True)
        assert is_zero(sp.simplify(slope.subs(multiplier, a - 1)))
    assert sp.hessian(entropy, p) == sp.diag(*(-1 / q for q in p))


def test_T3b_multipliers_and_strategies_are_related_by_the_transposed_system():
    """∂/∂μ_j of Σ c_i H_i + λᵀ((I − B) μ − D m) is −c_j θ_j + ((I − B)ᵀλ)_j, as dH/dμ = −θ; so c_j θ_j = ((I − B)ᵀλ)_j."""
    own, others, _ = weights(3)
    mu, lam, c, m = (sp.Matrix(sp.symbols(f"{name}1:4")) for name in ("mu", "lambda", "c", "m"))
    conjugate = sp.Function("A_star")
    objective = -sum(c[i] * conjugate(mu[i]) for i in range(3))
    lagrangian = objective + (lam.T * ((sp.eye(3) - others) * mu - own * m))[0]
    for j in range(3):
        theta_j = sp.diff(conjugate(mu[j]), mu[j])
        stated = -c[j] * theta_j + ((sp.eye(3) - others).T * lam)[j]
        assert is_zero(sp.diff(lagrangian, mu[j]) - stated)


def test_T3b_the_constraints_alone_fix_the_means_so_the_scales_do_not_matter():
    """Two Gaussian agents, c free: the KKT system is linear; its μ is R m and holds no c, its λ does."""
    a, c1, c2 = sp.symbols("a c1 c2", positive=True)
    m1, m2, mu1, mu2, l1, l2 = sp.symbols("m1 m2 mu1 mu2 lambda1 lambda2", real=True)
    equations = [
        mu1 - (a * m1 + (1 - a) * mu2),
        mu2 - (a * m2 + (1 - a) * mu1),
        c1 * mu1 - (l1 - (1 - a) * l2),  # θ = μ for unit variance
        c2 * mu2 - (l2 - (1 - a) * l1),
    ]
    solution = sp.solve(equations, [mu1, mu2, l1, l2], dict=True)
    assert len(solution) == 1
    assert is_zero(solution[0][mu1] - (m1 + (1 - a) * m2) / (2 - a))
    assert not solution[0][mu1].has(c1, c2)
    assert solution[0][l1].has(c1)


def test_T3c_the_potential_gap_is_the_weighted_divergence_from_the_equilibrium():
    """Φ_c(θ) − Φ_c(θ*) = Σ c_i KL(p_i* ‖ p_θ_i) for every A, with A'(θ_i*) = (R m)_i; and Φ'' = diag(c_i A''(θ_i))."""
    log_partition = sp.Function("A")
    c, theta, best, goal = (sp.symbols(f"{name}1:3", real=True) for name in ("c", "theta", "best", "goal"))

    def potential(at):
        return sum(c[i] * (log_partition(at[i]) - at[i] * goal[i]) for i in range(2))

    divergence = sum(
        c[i] * (log_partition(theta[i]) - log_partition(best[i]) - goal[i] * (theta[i] - best[i])) for i in range(2)
    )
    assert is_zero(potential(theta) - potential(best) - divergence)
    hessian = sp.hessian(potential(theta), theta)
    assert is_zero(hessian - sp.diag(*(c[i] * sp.diff(log_partition(theta[i]), theta[i], 2) for i in range(2))))


def test_T3c_the_package_computes_this_potential():
    """Two Poisson agents, a = 1/2, m = (1, 4): R m = (2, 3), Φ_c = Σ c_i (e^θ_i − θ_i (R m)_i)."""
    game = eg.Game(eg.families.Poisson(), eg.Weights.complete(2, 0.5), means=[[1.0], [4.0]])
    theta, c = (sp.Rational(1, 2), sp.Rational(-1, 4)), (sp.Integer(3), sp.Rational(1, 2))
    exact = sum(ci * (sp.exp(t) - t * goal) for ci, t, goal in zip(c, theta, (2, 3), strict=True))
    assert_close(game.potential([[0.5], [-0.25]], c=[3.0, 0.5]), exact)
