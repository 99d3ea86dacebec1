"""C5: regret is ∫₀¹ (1 − s) gᵀF⁻¹g ds along the segment of means, hence at most ½ max gᵀF⁻¹g."""

from fractions import Fraction

import pytest
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import is_zero

s = sp.Symbol("s", nonnegative=True)
mu, t, variance = sp.symbols("mu t V", positive=True)

CASES = {
    "Poisson": (lambda x: x, t * sp.log(t / mu) + mu - t),
    "Exponential": (lambda x: x**2, t / mu - 1 - sp.log(t / mu)),
    "Geometric": (lambda x: x + x**2, t * sp.log(t / mu) - (1 + t) * sp.log((1 + t) / (1 + mu))),
    "KnownVarianceGaussian": (lambda x: variance, (t - mu) ** 2 / (2 * variance)),
}


@pytest.mark.parametrize("name", CASES)
def test_C5_the_integral_is_the_divergence(name):
    """∫ (1 − s) g²/V(μ + s g) ds from 0 to 1 equals KL(t ‖ μ): both vanish with their slope at t = μ, and their second
    derivatives in t agree, as d²/dt² of the integral is 1/V(t)."""
    spread, kl = CASES[name]
    assert is_zero(kl.subs(t, mu))
    assert is_zero(sp.diff(kl, t).subs(t, mu))
    assert is_zero(sp.simplify(sp.diff(kl, t, 2) - 1 / spread(t)))


def test_C5_taylor_with_integral_remainder():
    """For every f: f(μ + g) = f(μ) + g f'(μ) + ∫₀¹ (1 − s) g² f''(μ + s g) ds; here for the powers that span polynomials."""
    g = sp.Symbol("g", real=True)
    x = sp.Symbol("x", real=True)
    for degree in range(6):
        f = x**degree
        rest = sp.integrate(sp.expand((1 - s) * g**2 * sp.diff(f, x, 2).subs(x, mu + s * g)), (s, 0, 1))
        assert is_zero(sp.expand(f.subs(x, mu + g) - f.subs(x, mu) - g * sp.diff(f, x).subs(x, mu) - rest))


def test_C5_the_bound_is_attained_by_gaussians():
    """Constant V: ½ g²/V is the regret itself."""
    g = sp.Symbol("g", real=True)
    assert is_zero(sp.integrate((1 - s) * g**2 / variance, (s, 0, 1)) - g**2 / (2 * variance))


def test_C5_a_certified_bound_is_above_the_exact_regret_and_close_to_it():
    """Gaussian agents away from equilibrium: regret (t − μ)²/(2 V) in fractions of the floats, bound at most 1 % larger."""
    game = eg.Game(eg.families.KnownVarianceGaussian(4.0), eg.Weights.complete(2, 0.5), means=[[1.0], [4.0]])
    solution = eg.solve(game, eg.solvers.Contraction(max_steps=5), throw=False)
    certificate = eg.certify(game, solution)
    means = [4 * Fraction(float(theta)) for theta in certificate.natural[:, 0]]
    targets = [(1 + means[1]) / 2, (4 + means[0]) / 2]
    for bound, target, mean in zip(certificate.regret_upper, targets, means, strict=True):
        exact = (target - mean) ** 2 / 8
        assert exact > 0
        assert exact <= Fraction(float(bound)) <= exact * Fraction(101, 100)
