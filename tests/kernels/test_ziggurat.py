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
    direct, centre, out = np.zeros(4), 0.1, np.zeros(5)
    directional_moments._add_quarters(quarter, direct)
    directional_moments._add_from_quarters(direct, quarter.size, centre, out)
    a, s = 2.0 * np.sin(2.0 * quarter) ** 2 - centre, np.sin(4.0 * quarter)
    expected = [a.sum(), s.sum(), a @ a, s @ s, a @ s]
    assert np.allclose(out, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_words_of_ones_add_nothing():
    """They fill up vector registers; so they must lie outside whatever the rounding, also of layers as wide as the next."""
    for outer in np.random.default_rng(1).uniform(1e-6, 0.25 * math.pi, 2000):
        out = np.zeros(4)
        assert directional_moments._add_layer(np.full(16, ~np.uint64(0)), outer, outer, out) == 0
        assert not out.any()


class ByLayers:
    """Points drawn layer by layer, and then from the corners of the layers."""

    def __init__(self, kappa: float, agent: int) -> None:
        self.kappa, (self.width, self.height) = kappa, layers(kappa)
        self.state = np.zeros(random_words.STATE, np.uint64)
        random_words.open_stream(self.state, np.uint64(2027), 0, agent, 0)
        self.words, self.second, self.coins = np.empty((3, random_words.WORDS), np.uint64)
        self.counts, self.corners = np.empty(ziggurat.LAYERS, np.int64), np.zeros((4, random_words.WORDS))

    def add(self, n: int, out: np.ndarray) -> tuple[int, int]:
        """How many points lay in corners, and how many of them were rejected."""
        directional_moments.add_by_layers(n, self.width, self.counts, self.words, self.coins, self.state, out)
        corners = int(self.counts.sum())
        assert self.counts.min() >= 0
        tables = self.counts, self.width, self.height, self.words, self.second, self.corners
        return corners, directional_moments.add_corners(self.kappa, *tables, self.state, out)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_single_points_by_layers_have_the_exact_law(kappa):
    """One at a time, each from all layers: the angles of those that are not rejected, from their sums."""
    draws, found = ByLayers(kappa, 1), []
    for _ in range(10_000):
        out = np.zeros(4)
        if draws.add(1, out)[1] == 0:
            found.append(out)
    assert len(found) > 9500
    half, s = np.sqrt(np.array(found)[:, 0]), np.array(found)[:, 1]
    size = 2.0 * np.arcsin(np.minimum(2.0 * half, 1.0))
    assert np.allclose(np.abs(s), 0.25 * np.sin(size), rtol=1e-6, atol=1e-9)
    assert stats.binomtest(int((s > 0).sum()), s.size).pvalue > CERTAIN
    if kappa >= 1e6:
        u = stats.chi2.cdf(16.0 * kappa * half**2, 1)
    else:
        u = size / math.pi if kappa <= 1e-8 else 2.0 * stats.vonmises(kappa).cdf(size) - 1.0
    assert stats.kstest(u, "uniform").pvalue > CERTAIN


@pytest.mark.parametrize("kappa", KAPPAS)
def test_many_points_by_layers(kappa):
    """Mean of 1 − cos x over accepted points, and the shares of corners and of rejections, as the areas have it."""
    draws, out, n = ByLayers(kappa, 2), np.zeros(4), 300_000
    corners, rejected = draws.add(n, out)
    areas = draws.width[:-1] * np.diff(draws.height)
    with np.errstate(invalid="ignore"):
        share = np.sum(np.where(areas > 0.0, areas * (1.0 - draws.width[1:] / draws.width[:-1]), 0.0)) / areas[0]
    layers_used = np.sum(areas > 0.0)
    corner = (share + ziggurat.LAYERS - layers_used) / ziggurat.LAYERS
    accepted = 0.25 * exact_area(kappa) / (areas[0] * ziggurat.LAYERS)
    for count, p in ((corners, corner), (rejected, 1.0 - accepted)):
        assert abs(count - n * p) <= 7.0 * math.sqrt(n * p * (1.0 - p)) + 7.0
    with mpmath.workdps(40):
        ratio = mpmath.besseli(1, kappa) / mpmath.besseli(0, kappa)
        mean = float(1 - ratio)
    left = n - rejected
    deviation = math.sqrt(out[2] / left - (out[0] / left) ** 2)
    assert abs(out[0] / left - mean / 8.0) < 7.0 * deviation / math.sqrt(left)


def test_mean_against_quadrature():
    kappa = 2.2
    away = 2.0 * np.sin(2.0 * quarters(kappa, 10**6)) ** 2
    mean = integrate.quad(lambda x: (1.0 - math.cos(x)) * math.exp(-kappa * (1.0 - math.cos(x))), 0.0, math.pi)[0]
    assert abs(away.mean() - mean / exact_area(kappa)) < 7.0 * away.std() / math.sqrt(away.size)
