"""T1 (setting): ∇A, ∇²A and A* of every family with closed formulas, and the package's numbers beside them."""

from collections.abc import Sequence
from functools import partial

import pytest
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero
from proofs.symbolic.families import Formulas, all_families

rate = sp.Symbol("rate", positive=True)

FAMILIES = all_families()
CONJUGATES = [family for family in FAMILIES if family.has_conjugate]
WITHOUT = {"MarkovChain", "FromStatistic", "Product"}
"""Sums over paths, numerical log-partitions, and sums of other families: nothing closed of their own to check."""


def _named(formulas: Formulas) -> str:
    return formulas.name


def test_T1_every_family_of_the_package_is_here_or_named_as_an_exception():
    public = {
        name
        for name in eg.families.__all__
        if isinstance(getattr(eg.families, name), type) and issubclass(getattr(eg.families, name), eg.Family)
    } - {"Family"}
    assert public - WITHOUT == {formulas.name for formulas in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES, ids=_named)
def test_T1_the_mean_map_is_the_gradient_of_the_log_partition(family):
    for name, stated in zip(family.theta, family.mean, strict=True):
        assert is_zero((sp.diff(family.log_partition, name) - stated).rewrite(sp.exp)), (name, stated)


@pytest.mark.parametrize("family", CONJUGATES, ids=_named)
def test_T1_the_natural_map_inverts_the_mean_map(family):
    """θ(μ) put into μ(θ) gives μ back, as an identity."""
    there = dict(zip(family.theta, family.natural, strict=True))
    for stated, mu in zip(family.mean, family.mu, strict=True):
        assert is_zero(family.on_mean_space(stated.subs(there, simultaneous=True) - mu))


@pytest.mark.parametrize("family", CONJUGATES, ids=_named)
def test_T1_the_conjugate_has_its_closed_form(family):
    """A*(μ) = ⟨θ(μ), μ⟩ − A(θ(μ)) and ∇A*(μ) = θ(μ), as identities in μ."""
    linear = sum(theta * mu for theta, mu in zip(family.natural, family.mu, strict=True))
    there = family.log_partition.subs(dict(zip(family.theta, family.natural)), simultaneous=True)
    assert is_zero(family.on_mean_space(family.conjugate - (linear - there)))
    for mu, stated in zip(family.mu, family.natural, strict=True):
        assert is_zero(family.on_mean_space(sp.diff(family.conjugate, mu) - stated))


@pytest.mark.parametrize("family", CONJUGATES, ids=_named)
def test_T1_the_hessians_of_a_and_its_conjugate_are_inverse(family):
    """∇²A*(μ) ∇²A(θ(μ)) = I: the Fisher information in mean parameters is the inverse of that in natural ones.

    An identity in μ; for the five parameters of Gaussian(2), where the identity takes long, at an exact point.
    """
    there = dict(zip(family.theta, family.natural, strict=True))
    fisher = sp.Matrix(family.mean).jacobian(family.theta).subs(there, simultaneous=True)
    dual = sp.hessian(family.conjugate, family.mu)
    matrices = [family.on_mean_space(matrix) for matrix in (dual, fisher)]
    if len(family.theta) > 2:
        free = sorted(set().union(*(matrix.free_symbols for matrix in matrices)), key=str)
        somewhere = {symbol: sp.Rational(k + 2, 2 * k + 1) for k, symbol in enumerate(free)}
        matrices = [matrix.subs(somewhere) for matrix in matrices]
    assert is_zero(matrices[0] * matrices[1] - sp.eye(len(family.theta)))


def _trigammas(theta: Sequence[sp.Symbol]) -> sp.Matrix:
    total = sp.trigamma(sum(theta))
    return sp.diag(*map(sp.trigamma, theta)) - total * sp.ones(len(theta), len(theta))


def _directional(theta: Sequence[sp.Symbol]) -> sp.Matrix:
    """r/κ across the mean direction, 1 − r² − (d − 1) r/κ along it, with r the mean resultant length (Mardia & Jupp)."""
    d, kappa = len(theta), sp.sqrt(sum(t**2 for t in theta))
    ratio = sp.besseli(1, kappa) / sp.besseli(0, kappa) if d == 2 else sp.coth(kappa) - 1 / kappa
    along = sp.Matrix(theta) * sp.Matrix(theta).T / kappa**2
    return ratio / kappa * (sp.eye(d) - along) + (1 - ratio**2 - (d - 1) * ratio / kappa) * along


def _covariance(states: Sequence[tuple[int, ...]], counts: Sequence[int], theta: Sequence[sp.Symbol]) -> sp.Matrix:
    """E φφᵀ − E φ E φᵀ, summed over the states."""
    masses = [n * sp.exp(sum(t * x for t, x in zip(theta, state))) for n, state in zip(counts, states)]
    mean = sum((m * sp.Matrix(x) for m, x in zip(masses, states)), sp.zeros(len(theta), 1)) / sum(masses)
    square = sum((m * sp.Matrix(x) * sp.Matrix(x).T for m, x in zip(masses, states)), sp.zeros(len(theta))) / sum(
        masses
    )
    return square - mean * mean.T


FISHER = {
    "Gamma": lambda t: sp.Matrix([[sp.trigamma(t[0]), -1 / t[1]], [-1 / t[1], t[0] / t[1] ** 2]]),
    "Beta": _trigammas,
    "Dirichlet": _trigammas,
    "VonMises": _directional,
    "VonMisesFisher": _directional,
    "Finite": lambda t: _covariance([(0,), (1,), (3,)], [1, 2, 1], t),
    "Ising": lambda t: _covariance([(a, b, a * b) for a in (-1, 1) for b in (-1, 1)], [1] * 4, t),
}
"""Textbook forms of the Fisher information where A* is not closed."""


def test_T1_every_family_without_a_closed_conjugate_has_a_closed_fisher_information():
    assert {family.name for family in FAMILIES if not family.has_conjugate} == set(FISHER)


@pytest.mark.parametrize("name", FISHER)
def test_T1_the_hessian_of_the_log_partition_is_the_textbook_fisher_information(name):
    family = next(formulas for formulas in FAMILIES if formulas.name == name)
    difference = sp.hessian(family.log_partition, family.theta) - FISHER[name](family.theta)
    if name == "VonMises":  # I₂(κ) = I₀(κ) − 2 I₁(κ)/κ, which SymPy does not use by itself
        kappa = sp.Wild("kappa")
        difference = difference.replace(sp.besseli(2, kappa), sp.besseli(0, kappa) - 2 * sp.besseli(1, kappa) / kappa)
    if name == "VonMisesFisher":
        assert all(_vanishes_on_the_sphere(entry, family.theta) for entry in difference)
        return
    if name in ("Finite", "Ising"):  # in e^θ everything is rational
        bases = sp.symbols(f"x:{len(family.theta)}", positive=True)
        difference = difference.subs({t: sp.log(x) for t, x in zip(family.theta, bases)}, simultaneous=True)
    assert is_zero(difference)


def _vanishes_on_the_sphere(entry: sp.Expr, theta: Sequence[sp.Symbol]) -> bool:
    """Zero for θ_3² = κ² − θ_1² − θ_2², with κ and e^κ as symbols: then the entry is rational."""
    kappa, power = sp.symbols("kappa power", positive=True)
    norm = sp.sqrt(sum(t**2 for t in theta))
    rational = entry.subs(norm, kappa).subs(norm**2, kappa**2).rewrite(sp.exp).subs(sp.exp(kappa), power)
    numerator, _ = sp.fraction(sp.together(rational))
    return bool(sp.rem(sp.expand(numerator), theta[-1] ** 2 - kappa**2 + sum(t**2 for t in theta[:-1]), theta[-1]) == 0)


@pytest.mark.parametrize("family", FAMILIES, ids=_named)
def test_T1_the_package_computes_these_formulas(family):
    """A, μ, F, and A* where it is closed, at exact points, to a few units of rounding of the largest entry."""
    close = partial(assert_close, tolerance=4e-15)
    fisher = sp.hessian(family.log_partition, family.theta)
    for point in family.points:
        theta = [float(value) for value in point]
        exact = {t: sp.Rational(value) for t, value in zip(family.theta, theta, strict=True)}
        mean = [stated.subs(exact) for stated in family.mean]
        close(family.family.log_partition(theta), family.log_partition.subs(exact))
        close(family.family.to_mean(theta), mean)
        close(family.family.fisher_information(theta), fisher.subs(exact))
        if family.has_conjugate:
            mu = family.family.to_mean(theta)
            rounded = {name: sp.Rational(value) for name, value in zip(family.mu, mu.tolist(), strict=True)}
            assert_close(family.family.conjugate(mu), family.conjugate.subs(rounded, simultaneous=True), 1e-14)
            assert_close(family.family.to_natural(mu), [stated.subs(rounded) for stated in family.natural], 2e-14)


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("Poisson", lambda x, t: sp.summation(rate**x / sp.factorial(x), (x, 0, sp.oo)).subs(rate, sp.exp(t))),
        ("Binomial", lambda x, t: sum(sp.binomial(5, k) * sp.exp(t * k) for k in range(6))),
        ("Geometric", lambda x, t: sp.summation(rate**x, (x, 0, sp.oo)).args[0].expr.subs(rate, sp.exp(t))),
        ("Exponential", lambda x, t: sp.integrate(sp.exp(t * x), (x, 0, sp.oo))),
        ("Laplace", lambda x, t: 2 * sp.integrate(sp.exp(t * x) / 2, (x, 0, sp.oo))),
        (
            "KnownVarianceGaussian",
            lambda x, t: sp.integrate(sp.exp(t * x - x**2 / 8) / sp.sqrt(8 * sp.pi), (x, -sp.oo, sp.oo)),
        ),
    ],
)
def test_T1_the_log_partition_normalises_the_stated_base_measure(name, total):
    family = next(formulas for formulas in FAMILIES if formulas.name == name)
    integer = name in ("Poisson", "Geometric")
    x = sp.Symbol("x", integer=True) if integer else sp.Symbol("x", real=True)
    assert is_zero(total(x, family.theta[0]) - sp.exp(family.log_partition))


VARIANCES = {
    "Bernoulli": lambda m: m * (1 - m),
    "Binomial": lambda m: m * (1 - m / 5),
    "Poisson": lambda m: m,
    "Geometric": lambda m: m + m**2,
    "NegativeBinomial": lambda m: m + 2 * m**2 / 5,
    "Exponential": lambda m: m**2,
    "KnownVarianceGaussian": lambda m: sp.Integer(4),
}


@pytest.mark.parametrize("name", VARIANCES)
def test_T1_the_variance_function_is_the_second_derivative(name):
    """Morris' quadratic variance functions V(μ), textbook knowledge that the docstrings do not use: F(θ) = V(μ(θ))."""
    family = next(formulas for formulas in FAMILIES if formulas.name == name)
    curvature = sp.diff(family.log_partition, family.theta[0], 2)
    assert is_zero((curvature - VARIANCES[name](family.mean[0])).rewrite(sp.exp))
