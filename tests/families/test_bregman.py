"""Bregman divergences without cancellation: the quadrature behind them, and Bernoulli's in batches, against mpmath and SciPy."""

import mpmath
import numpy as np
import pytest
from scipy.special import expit, rel_entr

import expfam_game as eg
from expfam_game.families.bregman import integrated_bregman

STEPS = np.array([0.0, 1e-300, 1e-160, 1e-12, 1e-8, 1e-5, 3e-4, 1e-3, 3e-3, 1e-2, 0.03, 0.1, 0.3, 0.49, 1.0])
"""From where three nodes do to where sixteen are needed."""

EPS = np.finfo(float).eps


def exponential(point, step):
    return step**2 * np.exp(point)


def inverse_square(point, step):
    return (step / point) ** 2


def of_exponential(a, d):
    return mpmath.exp(a) * (mpmath.expm1(d) - d)


def of_inverse_square(a, d):
    u = mpmath.mpf(d) / a
    return u - mpmath.log1p(u)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("form", "exact", "start"), [(exponential, of_exponential, -3.0), (inverse_square, of_inverse_square, 1.0)]
)
def test_the_quadrature_is_exact_to_rounding_at_every_distance(form, exact, start, sign):
    d = sign * STEPS[:-1] if form is inverse_square and sign < 0 else sign * STEPS
    with mpmath.workdps(700):
        expected = np.array([float(exact(mpmath.mpf(start), mpmath.mpf(float(step)))) for step in d])
    found = integrated_bregman(form, np.full_like(d, start), d)
    # Squares below the smallest normal number cannot be told from zero.
    np.testing.assert_allclose(found, expected, rtol=40 * EPS, atol=1e-307)


def test_rows_are_treated_as_one_by_one():
    rng = np.random.default_rng(3)
    d = rng.normal(size=(60, 3)) * 10.0 ** rng.uniform(-9, 0, size=(60, 1))
    a = rng.normal(size=(60, 3))

    def form(theta, step):
        return np.sum(step**2 * np.exp(theta), axis=-1)

    together = integrated_bregman(form, a, d)
    with mpmath.workdps(60):
        expected = [
            float(sum(of_exponential(mpmath.mpf(x), mpmath.mpf(y)) for x, y in zip(*rows)))
            for rows in zip(a.tolist(), d.tolist())
        ]
    np.testing.assert_allclose(together, expected, rtol=40 * EPS)
    assert together.shape == (60,)
    single = integrated_bregman(form, a[0], d[0])
    assert single.shape == ()
    assert float(single) == pytest.approx(expected[0], rel=40 * EPS)


def test_the_start_may_be_one_for_many_steps():
    found = integrated_bregman(exponential, np.array(0.0), STEPS[3:])
    one_by_one = [float(integrated_bregman(exponential, np.array(0.0), np.array(step))) for step in STEPS[3:]]
    np.testing.assert_allclose(found, one_by_one, rtol=4 * EPS)


def test_far_steps_that_are_not_finite_stay_so():
    found = integrated_bregman(exponential, np.zeros(3), np.array([np.nan, np.inf, 1e-3]))
    assert np.isnan(found[0])
    assert found[1] == np.inf
    assert found[2] == pytest.approx(np.expm1(1e-3) - 1e-3, rel=1e-9)


def test_no_accident_makes_three_nodes_look_enough():
    """The curvature of log-odds has a maximum at zero, about which many steps are symmetric; all are compared."""
    rng = np.random.default_rng(4)
    a = rng.uniform(-1.0, 1.0, size=200_000)
    d = rng.uniform(-1.0, 1.0, size=a.size)
    d[::2] = -2.0 * a[::2] * rng.uniform(0.99, 1.01, size=d[::2].size)
    d[::4] *= 10.0 ** rng.uniform(-4.0, 0.0, size=d[::4].size)
    p, q = expit(a), expit(a + d)
    found = eg.families.Bernoulli(1).kl(a[:, None], (a + d)[:, None])
    # Two terms below one, each known to the rounding of its probabilities.
    np.testing.assert_allclose(found, rel_entr(p, q) + rel_entr(1 - p, 1 - q), rtol=0, atol=4 * EPS)


# Moved by nothing, by rounding, near, to either side of one, and far; small, even and large odds.
ODDS = [-740.0, -300.0, -37.0, -2.0, 0.0, 1e-3, 2.0, 36.0, 300.0]
MOVES = [0.0, 1e-9, -1e-4, 0.02, -0.5, 0.999999, -1.000001, 1.5, -30.0, 200.0]


def test_bernoulli_divergences_near_and_far_in_one_batch_match_mpmath():
    a, d = (part.ravel() for part in np.meshgrid(ODDS, MOVES))
    b = a + d
    with mpmath.workdps(900):
        expected = []
        for x, y in zip(a.tolist(), b.tolist()):
            p, q = (1 / (1 + mpmath.exp(-mpmath.mpf(t))) for t in (x, y))
            expected.append(float(p * mpmath.log(p / q) + (1 - p) * mpmath.log((1 - p) / (1 - q))))
    found = eg.families.Bernoulli(1).kl(a[:, None], b[:, None])
    # Odds of e^-740 are known to no more digits than a subnormal number has.
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-305)


def test_bernoulli_divergences_match_scipy_at_extreme_probabilities():
    rng = np.random.default_rng(11)
    a, b = rng.uniform(-600.0, 600.0, size=(2, 400, 4))
    p, q = expit(a), expit(b)
    not_p, not_q = expit(-a), expit(-b)
    expected = np.sum(rel_entr(p, q) + rel_entr(not_p, not_q), axis=1)
    # Each of SciPy's eight terms may be wrong by the rounding of a probability near one.
    np.testing.assert_allclose(eg.families.Bernoulli(4).kl(a, b), expected, rtol=1e-12, atol=8 * EPS)


def test_negative_binomial_divergences_near_and_far_in_one_batch_match_mpmath():
    a = np.array([-1e-6, -1e-6, -0.3, -0.3, -0.3, -5.0, -40.0, -40.0])
    b = np.array([-1.0000001e-6, -1.0, -0.3001, -0.31, -4.0, -5.5, -39.9, -1e-3])
    with mpmath.workdps(60):
        expected = []
        for x, y in zip(map(mpmath.mpf, a.tolist()), map(mpmath.mpf, b.tolist())):
            p = mpmath.exp(x)
            rest = mpmath.log1p(-mpmath.exp(x)) - mpmath.log1p(-mpmath.exp(y))
            expected.append(float(2.5 * (rest - p / (1 - p) * (y - x))))
    found = eg.families.NegativeBinomial(2.5).kl(a[:, None], b[:, None])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
