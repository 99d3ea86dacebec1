"""Outward rounding: the ends of the boxes against exact rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expfam_game.kernels.enclosure import box_rows

SIZES = st.floats(min_value=0.0, max_value=1e300, allow_subnormal=True)
MEANS = st.floats(min_value=-1e300, max_value=1e300, allow_subnormal=True)


def box(mean: float, w: float, residual: float, s: float) -> tuple[float, float]:
    lower, upper = np.empty((1, 1)), np.empty((1, 1))
    box_rows(np.array([[mean]]), np.array([w]), np.array([residual]), s, lower, upper)
    return float(lower[0, 0]), float(upper[0, 0])


@given(mean=MEANS, w=SIZES, residual=SIZES, s=st.floats(min_value=1e-300, max_value=1e300))
def test_C3_box_holds_the_exact_one(mean, w, residual, s):
    lower, upper = box(mean, w, residual, s)
    radius = Fraction(w) * Fraction(residual) / Fraction(s)
    assert lower == -np.inf or Fraction(lower) <= Fraction(mean) - radius
    assert upper == np.inf or Fraction(upper) >= Fraction(mean) + radius


def test_C3_box_is_tight():
    lower, upper = box(1.0, 2.0, 1e-12, 0.5)
    assert 1.0 - lower == pytest.approx(4e-12, rel=1e-3)
    assert upper - 1.0 == pytest.approx(4e-12, rel=1e-3)


def test_no_residual_leaves_the_mean_alone():
    assert box(0.3, 2.0, 0.0, 0.5) == (0.3, 0.3)
