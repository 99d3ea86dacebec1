"""The kernels against mpmath at 50 digits, over log-uniform parameters."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

import expfam_game as eg
from expfam_game.kernels import inversion
from expfam_game.kernels import special_functions as special


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mp.workdps(50):
        yield


def log_uniform(seed, low, high, size):
    return 10.0 ** np.random.default_rng(seed).uniform(low, high, size)


def relative(computed, exact):
    return float(abs(mp.mpf(float(computed)) - exact) / abs(exact))


def test_digamma_family():
    shapes = log_uniform(1, -8, 8, 150)
    h, g, big_g = special.gamma_functions(shapes)
    for i, a in enumerate(map(mp.mpf, shapes.tolist())):
        assert relative(h[i], mp.log(a) - mp.digamma(a)) < 1e-14
        assert relative(g[i], mp.psi(1, a) - 1 / a) < 3e-14
        exact = mp.loggamma(a) - a * mp.log(a) + a
        assert abs(mp.mpf(float(big_g[i])) - exact) < 1e-14 * (1 + abs(exact))


def test_differences_do_not_cancel():
    for x, d in log_uniform(2, -8, 8, (150, 2)):
        a, b = mp.mpf(float(x)), mp.mpf(float(x)) + mp.mpf(float(d))
        assert relative(special.digamma_difference(x, d), mp.digamma(b) - mp.digamma(a)) < 2e-14
        assert relative(special.trigamma_difference(x, d), mp.psi(1, a) - mp.psi(1, b)) < 1e-13
        excess = mp.psi(1, a) - 1 / a - mp.psi(1, b) + 1 / b
        assert relative(special.trigamma_excess_difference(x, d), excess) < 2e-13


def test_log1p_gap():
    x = np.concatenate([log_uniform(3, -15, 10, 60), -(1 - 1e-9) * log_uniform(4, -15, 0, 60)])
    for value, gap in zip(x, special.log1p_gaps(x)):
        exact = mp.mpf(float(value))
        assert relative(gap, exact - mp.log(1 + exact)) < 1e-14
    assert special.log1p_gap(0.0) == 0.0


@pytest.mark.parametrize(("nu", "high"), [(0, 10), (0.5, 10), (1, 10), (4.5, 10), (15.5, 10), (49, 10), (999, 7)])
def test_bessel_ratio(nu, high):
    for kappa in log_uniform(int(10 * nu), -12, high, 40):
        k, order = mp.mpf(float(kappa)), mp.mpf(nu)
        i0, i1 = mp.besseli(order, k), mp.besseli(order + 1, k)
        exact = i1 / i0
        over_kappa, complement, slope = special.bessel_ratio(float(nu), kappa)
        assert relative(over_kappa, exact / k) < 1e-14
        assert relative(complement, 1 - exact) < 3e-14
        assert relative(slope, 1 - exact**2 - (2 * order + 1) / k * exact) < 2e-12
        scaled = mp.log(i0) + mp.loggamma(order + 1) + order * mp.log(2 / k) - k
        assert abs(mp.mpf(float(special.log_bessel_scaled(float(nu), kappa))) - scaled) < 1e-14 * (nu + 1 + abs(scaled))


@pytest.mark.parametrize("nu", [0.0, 0.5, 1.0, 1.5, 4.5, 10.0, 20.0, 31.5])
def test_bessel_recurrence_is_exact_to_rounding(nu):
    """Below ν² + κ² = 32² the ratio comes from a recurrence: enough terms of it, on either side of each new term."""
    most = np.sqrt(1024 - nu**2)
    counts = np.arange(1, np.sqrt(35 * most)) ** 2 / 35
    kappas = np.concatenate(
        [counts * (1 - 1e-12), counts, log_uniform(8, -12, np.log10(most), 20), [most * (1 - 1e-15)]]
    )
    for kappa in kappas:
        k, order = mp.mpf(float(kappa)), mp.mpf(nu)
        exact = mp.besseli(order + 1, k) / mp.besseli(order, k)
        over_kappa, complement, slope = special.bessel_ratio(nu, kappa)
        assert relative(over_kappa, exact / k) < 1e-15
        assert abs(mp.mpf(complement) - (1 - exact)) < 5e-16
        assert relative(slope, 1 - exact**2 - (2 * order + 1) / k * exact) < 2e-12


@pytest.mark.parametrize("nu", [0.0, 0.5, 20.0, 40.0, 1e4])
def test_bessel_ratio_at_zero_is_the_uniform_law(nu):
    over_kappa, complement, slope = special.bessel_ratio(nu, 0.0)
    np.testing.assert_allclose([over_kappa, slope], 1 / (2 * nu + 2), rtol=1e-13)
    assert complement == 1.0
    assert abs(special.log_bessel_scaled(nu, 0.0)) < 1e-15


def test_gamma_shape_residual_is_rounding():
    gaps = log_uniform(5, -9, 9, 200)
    for s, a in zip(gaps, inversion.gamma_shapes(gaps)):
        shape = mp.mpf(float(a))
        assert relative(s, mp.log(shape) - mp.digamma(shape)) < 1e-14


@pytest.mark.parametrize("k", [2, 3, 10, 40])
@pytest.mark.parametrize(("low", "high"), [(-8, 8), (-8, -5), (5, 8), (-3, 6), (-0.5, 0.5)])
def test_dirichlet_residual_is_rounding(k, low, high):
    alpha = log_uniform(int(100 * k + 10 * low + 90), low, high, (4, k))
    means = np.array([[float(mp.digamma(mp.mpf(a)) - mp.digamma(mp.fsum(row))) for a in row] for row in alpha.tolist()])
    for row, goal in zip(inversion.dirichlet_concentrations(means), means):
        total = mp.fsum(row.tolist())
        for a, g in zip(row, goal):
            assert relative(g, mp.digamma(mp.mpf(float(a))) - mp.digamma(total)) < 5e-15


def test_dirichlet_converges_on_many_rows():
    rng = np.random.default_rng(6)
    for k in (2, 5, 30, 300):
        centre, width = rng.uniform(-8, 8, (400, 1)), rng.uniform(0, 8, (400, 1))
        alpha = 10.0 ** np.clip(centre + width * rng.uniform(-1, 1, (400, k)), -8, 8)
        mean = special.dirichlet_moments(alpha)[0]
        again = special.dirichlet_moments(inversion.dirichlet_concentrations(mean))[0]
        np.testing.assert_allclose(again, mean, rtol=1e-13)


@pytest.mark.parametrize("nu", [0, 0.5, 4.5, 49, 499])
def test_resultant_concentration(nu):
    for kappa in log_uniform(int(nu) + 7, -12, 9, 25):
        k, order = mp.mpf(float(kappa)), mp.mpf(nu)
        exact = mp.besseli(order + 1, k) / mp.besseli(order, k)
        found = inversion.resultant_concentration(float(nu), float(exact), float(1 - exact))
        assert relative(found, k) < 1e-14


@pytest.mark.parametrize("nu", [0, 0.5, 1, 1.5, 4.5, 20, 499])
def test_resultant_concentration_start_and_residual(nu):
    """The start is within 1.4 %, and the answer leads back to its mean, over ordinary concentrations and to both ends."""
    kappas = np.concatenate(
        [np.geomspace(0.1, 10, 25), (nu + 1) * np.geomspace(1e-3, 1e3, 13), [1e-100, 1e-8, 1e8, 1e12]]
    )
    for kappa in kappas:
        k, order = mp.mpf(float(kappa)), mp.mpf(nu)
        exact = ratio_of(order, k)
        length, complement = float(exact), float(1 - exact)
        start = inversion.concentration_start(2 * nu + 2.0, length, complement)
        assert relative(start, k) < (0.002 if nu >= 4 else 0.014)
        again = ratio_of(order, mp.mpf(inversion.resultant_concentration(float(nu), length, complement)))
        assert relative(length, again) < 5e-16
        assert relative(complement, 1 - again) < 5e-14  # 1 − A just below κ = 32 is a difference


def ratio_of(order, kappa):
    """I_(ν+1)/I_ν at ν = ``order``, with digits to spare where it is near one."""
    with mp.workdps(80):
        return mp.besseli(order + 1, kappa) / mp.besseli(order, kappa)


@pytest.mark.parametrize("nu", [0.0, 0.5, 1.5, 49.0, 1e6])
def test_resultant_concentration_of_every_double(nu):
    """From the smallest subnormal length to the one next to 1, all answers are finite; both ends have closed forms."""
    tiny = np.concatenate([np.arange(1, 100) * 5e-324, log_uniform(9, -323, -12, 2000)])
    concentration = inversion.resultant_concentrations(nu, tiny, 1 - tiny)
    np.testing.assert_allclose(concentration, (2 * nu + 2) * tiny, rtol=1e-15)
    gap = np.concatenate([np.arange(1, 100) * 2.0**-53, log_uniform(10, -15, 0, 2000)])
    concentration = inversion.resultant_concentrations(nu, 1 - gap, 1 - (1 - gap))
    assert np.isfinite(concentration).all()
    # A = 1 − (ν + ½)/κ + O(1/κ²), relative to the gap O(gap)
    np.testing.assert_allclose(concentration[:99], (nu + 0.5) / gap[:99], rtol=1e-13)


def test_lengths():
    rng = np.random.default_rng(11)
    rows = rng.normal(size=(400, 5)) * 10.0 ** rng.uniform(-320, 307, (400, 1))
    rows[::3] *= 10.0 ** rng.uniform(-300, 0, rows[::3].shape)  # entries of very different sizes
    for row, length in zip(rows, inversion.lengths(rows)):
        exact = mp.sqrt(mp.fsum(mp.mpf(float(v)) ** 2 for v in row))
        assert abs(mp.mpf(length) - exact) <= 1e-15 * exact + 5e-324
    for size in rng.uniform(0, 1, 20):  # equal entries round alike
        exact = math.sqrt(math.fsum(np.full(10**5, size) ** 2))
        assert abs(inversion.lengths(np.full((1, 10**5), size))[0] - exact) <= 1e-15 * exact
    odd = np.array([[0.0, 0.0], [0.0, 5e-324], [np.inf, 1.0], [0.0, np.nan], [np.nan, 1e300]])
    np.testing.assert_array_equal(inversion.lengths(odd), [0.0, 5e-324, np.inf, np.nan, np.nan])
    assert inversion.lengths(np.empty((0, 3))).shape == (0,)


def test_failure_is_nan_not_a_wrong_number():
    assert np.isnan(inversion.gamma_shapes(np.array([1e-320]))).all()
    assert np.isnan(inversion.dirichlet_concentrations(np.array([[np.nan, -1.0]]))).all()
    assert np.isnan(inversion.resultant_concentrations(0.0, np.array([0.5]), np.array([np.nan]))).all()
    assert (inversion.resultant_concentrations(0.0, np.array([0.0]), np.array([1.0])) == 0).all()


@pytest.mark.parametrize("size", [1e50, 1e101, 1e155, 1e300])
def test_gamma_shapes_next_to_nothing(size):
    """E log x = −1e155 and the like: the shape is 1/|E log x| to rounding, since ψ(a) = −1/a − γ + O(a)."""
    mean = np.array([-size, 1.0 / size])
    theta = eg.families.Gamma().to_natural(mean)
    np.testing.assert_allclose(theta, [1.0 / size, -1.0], rtol=1e-13)
