"""C4: a monotone mean map is enclosed by its values at two ends; Krawczyk's operator is a mean-value form."""

from fractions import Fraction

import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import is_zero
from proofs.symbolic.families import all_families

SINGLE = [family for family in all_families() if len(family.theta) == 1 and family.name != "Finite"]


def test_C4_one_parameter_mean_maps_increase():
    """dμ/dθ is a positive expression in closed form for every one-parameter family."""
    assert len(SINGLE) >= 8
    for family in SINGLE:
        theta = family.theta[0]
        u = sp.Symbol("u", positive=True)
        chart = sp.log(u)  # the whole line
        if theta.is_negative:
            chart = -sp.log(1 + u) if family.mean[0].has(sp.exp) else -u
        slope = sp.factor(sp.simplify(sp.diff(family.mean[0], theta).subs(theta, chart)))
        assert slope.is_positive, family.name


def test_C4_the_ends_of_the_box_of_exponential_agents_enclose_the_target_in_fractions():
    """μ(θ) = −1/θ is rational: at the two floats that bound the certified box it lies beyond the rational equilibrium."""
    game = eg.Game(eg.families.Exponential(), eg.Weights.complete(2, 0.5), means=[[1.0], [4.0]])
    certificate = eg.certify(game, eg.solve(game))
    assert certificate.claims["C4"].grade is eg.Grade.RIGOROUS
    for low, high, goal in zip(certificate.natural_lower[:, 0], certificate.natural_upper[:, 0], (2, 3), strict=True):
        assert -1 / Fraction(float(low)) <= goal <= -1 / Fraction(float(high))
        assert not -1 / Fraction(float(low)) <= goal * Fraction(1001, 1000) <= -1 / Fraction(float(high))


def test_C4_krawczyks_operator_contains_every_solution():
    """If μ(θ) = t, then θ = c − Y(μ(c) − t) + (I − Y S)(θ − c) with S(θ − c) = μ(θ) − μ(c): an identity in Y, any map."""
    size = 2
    y, slope = (sp.Matrix(size, size, sp.symbols(f"{name}:{size * size}")) for name in ("y", "s"))
    theta, centre, at_centre = (sp.Matrix(sp.symbols(f"{name}1:{size + 1}")) for name in ("theta", "c", "mu"))
    target = at_centre + slope * (theta - centre)  # the mean value form of μ(θ) = t
    operator = centre - y * (at_centre - target) + (sp.eye(size) - y * slope) * (theta - centre)
    assert is_zero(operator - theta)
