"""T1: best response is moment matching, and regret is a KL divergence."""

import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero

theta, best, target = sp.symbols("theta theta_best t", real=True)


def test_T1_the_gradient_of_the_utility_is_target_minus_mean():
    """Two agents with any A: dL_1/dθ_1 = t_1 − A'(θ_1) and d²L_1/dθ_1² = −A''(θ_1), whatever θ_2 is."""
    a, m1, theta2 = sp.symbols("alpha m_1 theta_2", real=True)
    log_partition = sp.Function("A")
    mean2 = sp.diff(log_partition(theta2), theta2)
    utility = a * (theta * m1 - log_partition(theta)) + (1 - a) * (theta * mean2 - log_partition(theta))
    t1 = a * m1 + (1 - a) * mean2
    assert is_zero(sp.diff(utility, theta) - (t1 - sp.diff(log_partition(theta), theta)))
    assert is_zero(sp.diff(utility, theta, 2) + sp.diff(log_partition(theta), theta, 2))


def test_T1_regret_is_the_bregman_divergence_of_a():
    """A*(t) − ⟨θ, t⟩ + A(θ) = A(θ) − A(θ_t) − ⟨t, θ − θ_t⟩ with A*(t) = ⟨θ_t, t⟩ − A(θ_t), for every A."""
    log_partition = sp.Function("A")
    conjugate = best * target - log_partition(best)
    regret = conjugate - theta * target + log_partition(theta)
    kl = log_partition(theta) - log_partition(best) - target * (theta - best)
    assert is_zero(regret - kl)


def test_T1_the_bregman_divergence_of_a_is_kl_on_a_finite_space():
    """Σ p log(p/q) written out for a statistic with two entries on four states, base measure included."""
    first, second = sp.symbols("a1 a2", real=True), sp.symbols("b1 b2", real=True)
    table, mass = ((0, 0), (1, 0), (0, 2), (1, 1)), (1, 2, 3, 1)

    def score(t, phi):
        return t[0] * phi[0] + t[1] * phi[1]

    def weights(t):
        return [h * sp.exp(score(t, phi)) for phi, h in zip(table, mass, strict=True)]

    z_a, z_b = sum(weights(first)), sum(weights(second))
    p = [w / z_a for w in weights(first)]
    # log(p_a/p_b) = ⟨a − b, φ⟩ − log z_a + log z_b: the logarithms of the weights cancel by definition of the family.
    kl = sum(q * (score(first, phi) - score(second, phi) - sp.log(z_a) + sp.log(z_b)) for q, phi in zip(p, table))
    mean = [sum(q * phi[k] for q, phi in zip(p, table)) for k in range(2)]
    bregman = sp.log(z_b) - sp.log(z_a) - sum(mean[k] * (second[k] - first[k]) for k in range(2))
    assert is_zero(sp.simplify(sp.expand(kl - bregman)))
    assert is_zero([sp.simplify(sp.diff(sp.log(z_a), first[k]) - mean[k]) for k in range(2)])


def test_T1_regret_of_a_bernoulli_and_a_poisson_agent_is_the_textbook_kl():
    mu, t = sp.symbols("mu t", positive=True)
    natural = sp.log(mu / (1 - mu))
    regret = t * sp.log(t) + (1 - t) * sp.log(1 - t) - natural * t - sp.log(1 - mu)
    assert is_zero(sp.expand(sp.expand_log(regret, force=True) - sp.expand_log(
        t * sp.log(t / mu) + (1 - t) * sp.log((1 - t) / (1 - mu)), force=True)))  # fmt: skip
    poisson = t * sp.log(t) - t - sp.log(mu) * t + mu
    assert is_zero(poisson - (t * sp.log(t / mu) + mu - t))


def test_T1_the_package_reports_this_regret():
    """Two Poisson agents at the exact profile μ = (2, 3): targets (3/2, 7/2), regret t log(t/μ) + μ − t."""
    game = eg.Game(eg.families.Poisson(), eg.Weights.complete(2, 0.5), means=[[0.0], [5.0]])
    mu, t = (sp.Integer(2), sp.Integer(3)), (sp.Rational(3, 2), sp.Rational(7, 2))
    natural = [[float(sp.log(value))] for value in mu]
    assert_close(game.regret(natural), [ti * sp.log(ti / m) + m - ti for ti, m in zip(t, mu, strict=True)])
