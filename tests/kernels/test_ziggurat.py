"""The ziggurat of the von Mises law: its rectangles cover the density, and its angles have the exact law."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from expfam_game.kernels import directional_moments, elementary, random_words, ziggurat

CERTAIN = 1e-9
KAPPAS = [0.0, 1e-12, 0.5, 2.2, 4.0, 100.0, 1e6, 1e10]


def exact_area(kappa: float) -> float:
    with mpmath.workdps(30):
        return float(mpmath.pi * mpmath.exp(-kappa) * mpmath.besseli(0, kappa))


def layers(kappa: float) -> tuple[np.ndarray, np.ndarray]:
    width, height = np.empty(ziggurat.LAYERS + 1), np.empty(ziggurat.LAYERS + 1)
    ziggurat.build_layers(kappa, exact_area(kappa), width, height)
    return width, height


def quarters(kappa: float, n: int = 200_000) -> np.ndarray:
    width, height = layers(kappa)
    state = np.zeros(random_words.STATE, np.uint64)
    random_words.open_stream(state, np.uint64(2026), 0, 15, 0)
    words, flags = np.empty(random_words.WORDS, np.uint64), np.empty(random_words.WORDS, np.uint64)
    points, quarter = np.zeros((3, random_words.WORDS)), np.empty(random_words.WORDS)
    found: list[np.ndarray] = []
    while sum(part.size for part in found) < n:
        m = ziggurat.propose_quarters(kappa, random_words.WORDS, width, height, words, flags, points, quarter, state)
        assert 0.95 * random_words.WORDS < m <= random_words.WORDS
        found.append(quarter[:m].copy())
    return np.concatenate(found)


def test_sine_and_cosine():
    for y in np.linspace(-0.25 * math.pi, 0.25 * math.pi, 201):
        sine, cosine = elementary.sine_and_cosine(float(y))
        assert sine == pytest.approx(math.sin(y), rel=4e-16, abs=1e-300)
        assert cosine == pytest.approx(math.cos(y), rel=4e-16)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_rectangles_cover_the_density(kappa):
    """Equal areas; each as wide as the density is at its bottom, in 40 digits; the topmost reaches the density's top."""
    width, height = layers(kappa)
    assert height[0] == 0.0
    assert height[-1] >= 1.0
    used = width[:-1] > 0.0
    areas = (4.0 * width[:-1] * np.diff(height))[used]
    assert np.allclose(areas, areas[0], rtol=1e-9)
    assert areas[0] * ziggurat.LAYERS <= 1.013 * exact_area(kappa)
    assert np.all(np.diff(width) <= 0.0)
    with mpmath.workdps(40):
        for w, y in zip(width[1::17], height[1::17]):
            at = mpmath.exp(-2.0 * mpmath.mpf(kappa) * mpmath.sin(2.0 * mpmath.mpf(float(w))) ** 2)
            if w < 0.25 * math.pi:
                assert float(at) == pytest.approx(min(y, 1.0), rel=1e-9)
            else:
                assert at >= y * (1.0 - 1e-12)


def test_too_small_an_area_is_made_up_for():
    """Rectangles that do not reach the top are built anew, larger."""
    width, height = np.empty(ziggurat.LAYERS + 1), np.empty(ziggurat.LAYERS + 1)
    ziggurat.build_layers(2.2, 0.9 * exact_area(2.2), width, height)
    assert height[-1] >= 1.0


@pytest.mark.parametrize("kappa", KAPPAS)
def test_angles_have_the_exact_law(kappa):
    quarter = quarters(kappa)
    assert np.abs(quarter).max() <= 0.25 * math.pi
    assert stats.binomtest(int((quarter > 0).sum()), quarter.size).pvalue > CERTAIN
    size = np.abs(4.0 * quarter)
    if kappa >= 1e6:  # 2κ(1 − cos x) tends to a χ² law with one degree, within 1/κ
        u = stats.chi2.cdf(4.0 * kappa * np.sin(0.5 * size) ** 2, 1)
    elif kappa <= 1e-8:
        u = size / math.pi
    else:
        u = 2.0 * stats.vonmises(kappa).cdf(size) - 1.0
    assert stats.kstest(u, "uniform").pvalue > CERTAIN
    for tail in (u, 1.0 - u):
        for level in (1e-3, 1e-4):
            count, law = int((tail < level).sum()), stats.binom(u.size, level)
            assert min(law.cdf(count), law.sf(count - 1)) > CERTAIN
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 7.0 / math.sqrt(u.size)


@pytest.mark.parametrize("kappa", [0.0, 2.2, 1e6])
def test_sums_are_those_of_the_angles(kappa):
    quarter = quarters(kappa, 1000)[:1000]
    centre, out = 0.1, np.zeros(5)
    directional_moments._add_quarters(quarter, centre, out)
    a, s = 2.0 * np.sin(2.0 * quarter) ** 2 - centre, np.sin(4.0 * quarter)
    expected = [a.sum(), s.sum(), a @ a, s @ s, a @ s]
    assert np.allclose(out, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_mean_against_quadrature():
    kappa = 2.2
    away = 2.0 * np.sin(2.0 * quarters(kappa, 10**6)) ** 2
    mean = integrate.quad(lambda x: (1.0 - math.cos(x)) * math.exp(-kappa * (1.0 - math.cos(x))), 0.0, math.pi)[0]
    assert abs(away.mean() - mean / exact_area(kappa)) < 7.0 * away.std() / math.sqrt(away.size)
