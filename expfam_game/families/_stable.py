"""Arithmetic that does not cancel, shared by the families with closed forms."""

from __future__ import annotations

import numpy as np
from scipy.special import exp1

from expfam_game._typing import FloatArray
from expfam_game.families.bregman import integrated_bregman


def ratio_gap(u: FloatArray) -> FloatArray:
    """u − log(1 + u) for u > −1, to a few units in the last place of the result also for tiny u.

    >>> float(ratio_gap(np.array(2e-9)))
    1.99999999733...e-18
    """
    near = (u > -0.5) & (u < 1.0)
    small = np.where(near, u, 0.0)
    series = integrated_bregman(lambda point, step: (step / point) ** 2, np.ones_like(small), small)
    large = np.where(near, 1.0, u)
    return np.where(near, series, large - np.log1p(np.minimum(large, 1e300)))


def relative_gap(a: FloatArray, b: FloatArray) -> FloatArray:
    """b/a − 1 − log(b/a) for a, b of one sign, accurate where they nearly agree and where they are far apart.

    >>> float(relative_gap(np.array(-1.0), np.array(-1e-30)))
    68.0775527898...
    """
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        u = (b - a) / a
        shrunk = u < -0.5  # here b/a keeps digits that u has lost
        ratio = np.where(shrunk, b / a, 1.0)
        logs = np.where(ratio > 1e-290, np.log(ratio), np.log(np.abs(b)) - np.log(np.abs(a)))
        far = ratio - 1.0 - logs
        return np.where(shrunk, far, ratio_gap(np.where(shrunk, 0.0, u)))


def exponential_gap(r: FloatArray) -> FloatArray:
    """exp(r) − 1 − r for r < 709, to a few units in the last place of the result also for tiny r.

    >>> float(exponential_gap(np.array(2e-9)))
    2.0000000013...e-18
    """
    near = np.abs(r) < 1.0
    small = np.where(near, r, 0.0)
    series = integrated_bregman(lambda point, step: step**2 * np.exp(point), np.zeros_like(small), small)
    large = np.where(near, 1.0, r)
    return np.where(near, series, np.expm1(large) - large)


def exact_product(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The rounded product and its rounding error, ``a * b`` exactly (Dekker 1971), while nothing over- or underflows.

    >>> high, low = exact_product(np.array(1 + 2.0**-40), np.array(1 - 2.0**-40))
    >>> float(high), float(low) == -(2.0**-80)
    (1.0, True)
    """
    high = a * b
    a_top, b_top = _top_half(a), _top_half(b)
    a_low, b_low = a - a_top, b - b_top
    return high, ((a_top * b_top - high) + a_top * b_low + a_low * b_top) + a_low * b_low


def _top_half(a: FloatArray) -> FloatArray:
    """The upper 26 bits of a."""
    scaled = 134217729.0 * a
    return scaled - (scaled - a)


def accurate_sum(values: FloatArray) -> FloatArray:
    """Sum over the last axis as if in twice the precision: a pairwise tree of error-free additions.

    >>> float(accurate_sum(np.array([1.0, 1e-20, -1.0])))
    1e-20
    """
    error = np.zeros(values.shape[:-1])
    while values.shape[-1] > 1:
        if values.shape[-1] % 2:
            values = np.concatenate([values, np.zeros((*values.shape[:-1], 1))], axis=-1)
        a, b = values[..., 0::2], values[..., 1::2]
        total = a + b
        back = total - a
        error = error + np.sum((a - (total - back)) + (b - back), axis=-1)
        values = total
    return np.asarray(values.sum(axis=-1) + error)


def scaled_exp1(z: FloatArray) -> FloatArray:
    """e^z E₁(z) for z > 0, without overflow: a continued fraction (DLMF 6.9.2, even part) for z > 8.

    >>> float(scaled_exp1(np.array(1e20)))
    1e-20
    """
    tail = np.zeros_like(z)
    for k in range(40, 0, -1):
        tail = k * k / (np.maximum(z, 1.0) + 2.0 * k + 1.0 - tail)
    small = np.minimum(z, 8.0)
    return np.where(z > 8.0, 1.0 / (np.maximum(z, 1.0) + 1.0 - tail), np.exp(small) * exp1(small))
