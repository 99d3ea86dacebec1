"""C6: Krawczyk's test in rational interval arithmetic proves the three equilibria of T10(b), each unique in its box."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp

from proofs.symbolic.three_equilibria import equations

x, y = sp.symbols("x y", positive=True)
EQUATIONS = sp.Matrix(equations(x, y))
SLOPES = EQUATIONS.jacobian([x, y])
EQUILIBRIA = (
    ("-0.76054952", "0.86180127"),
    ("-1.96683486", "2.19199985"),
    ("-8.31632246", "8.34933489"),
)
RADIUS = Fraction(1, 10**9)


class Interval:
    """A closed interval with rational ends; every operation contains all results exactly."""

    def __init__(self, low, high=None):
        self.low, self.high = Fraction(low), Fraction(low if high is None else high)
        assert self.low <= self.high

    def __add__(self, other):
        return Interval(self.low + other.low, self.high + other.high)

    def __mul__(self, other):
        products = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(products), max(products))

    def inverse(self):
        assert self.low > 0 or self.high < 0
        return Interval(1 / self.high, 1 / self.low)

    def power(self, k):
        assert self.low > 0
        ends = Interval(self.low ** abs(k), self.high ** abs(k))
        return ends if k >= 0 else ends.inverse()

    def strictly_inside(self, other):
        return other.low < self.low and self.high < other.high


def evaluate(expression, box):
    """A rational function of x and y over a box, term by term."""
    if expression.is_Rational:
        return Interval(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Symbol:
        return box[expression]
    if expression.is_Pow:
        assert expression.exp.is_Integer
        base, exponent = evaluate(expression.base, box), int(expression.exp)
        return base.power(exponent)
    parts = [evaluate(part, box) for part in expression.args]
    result = parts[0]
    for part in parts[1:]:
        result = result + part if expression.is_Add else result * part
    return result


def krawczyk(centre, radius):
    """c − Y f(c) + (I − Y f'(box))(box − c) with Y a rational matrix close to f'(c)^{-1}."""
    at = {name: Interval(value) for name, value in zip((x, y), centre, strict=True)}
    box = {name: Interval(value - radius, value + radius) for name, value in zip((x, y), centre, strict=True)}
    exact = [[evaluate(entry, at).low for entry in SLOPES.row(i)] for i in range(2)]
    determinant = exact[0][0] * exact[1][1] - exact[0][1] * exact[1][0]
    rough = [[exact[1][1], -exact[0][1]], [-exact[1][0], exact[0][0]]]
    inverse = [[Interval((entry / determinant).limit_denominator(10**12)) for entry in row] for row in rough]
    value = [evaluate(entry, at) for entry in EQUATIONS]
    slope = [[evaluate(entry, box) for entry in SLOPES.row(i)] for i in range(2)]
    minus, result = Interval(-1), []
    for i in range(2):
        total = Interval(centre[i])
        for k in range(2):
            total = total + minus * inverse[i][k] * value[k]
            product = inverse[i][0] * slope[0][k] + inverse[i][1] * slope[1][k]
            rest = Interval(int(i == k)) + minus * product
            total = total + rest * Interval(-radius, radius)
        result.append(total)
    return result, [box[x], box[y]]


def centre_of(theta):
    """exp(θ/10) to twenty digits, from the printed natural parameters refined by Newton at high precision."""
    with mpmath.workdps(40):
        functions = sp.lambdify((x, y), list(EQUATIONS), "mpmath")
        root = mpmath.findroot(functions, [mpmath.exp(mpmath.mpf(value) / 10) for value in theta])
        return [Fraction(str(mpmath.nstr(value, 25))) for value in root], [10 * mpmath.log(value) for value in root]


@pytest.mark.parametrize("theta", EQUILIBRIA)
def test_C6_krawczyk_proves_each_equilibrium_and_its_local_uniqueness(theta):
    centre, natural = centre_of(theta)
    image, box = krawczyk(centre, RADIUS)
    assert all(inner.strictly_inside(outer) for inner, outer in zip(image, box, strict=True))
    for printed, found in zip(theta, natural, strict=True):
        assert abs(found - mpmath.mpf(printed)) < mpmath.mpf("1e-7")


def test_C6_krawczyk_refuses_a_box_without_an_equilibrium():
    """Between two equilibria, and in a box so large that it holds two of them."""
    centre = centre_of(EQUILIBRIA[0])[0]
    image, box = krawczyk([value + Fraction(1, 10**6) for value in centre], RADIUS)
    assert not all(inner.strictly_inside(outer) for inner, outer in zip(image, box, strict=True))
    middle = [(a + b) / 2 for a, b in zip(centre, centre_of(EQUILIBRIA[1])[0], strict=True)]
    image, box = krawczyk(middle, Fraction(1, 8))
    assert not all(inner.strictly_inside(outer) for inner, outer in zip(image, box, strict=True))


def test_C6_two_outer_equilibria_are_stable_and_the_middle_one_is_a_saddle():
    """With k = (∂₂f₁ ∂₁f₂)/(∂₁f₁ ∂₂f₂) the square of the eigenvalues ±√k of best response, det f' > 0 iff k < 1. Proved for
    every point of the box: k > 0 throughout, k < 1 at the outer two, k > 1 at the middle one."""
    signs = []
    for theta in EQUILIBRIA:
        centre = centre_of(theta)[0]
        box = {name: Interval(value - RADIUS, value + RADIUS) for name, value in zip((x, y), centre, strict=True)}
        f = [[evaluate(entry, box) for entry in SLOPES.row(i)] for i in range(2)]
        determinant = f[0][0] * f[1][1] + Interval(-1) * f[0][1] * f[1][0]
        assert determinant.low > 0 or determinant.high < 0
        assert f[0][0].low > 0  # the Fisher information of each agent, in its own coordinate
        assert f[1][1].low > 0
        assert (f[0][1] * f[1][0]).low > 0
        signs.append(determinant.low > 0)
    assert signs == [True, False, True]
