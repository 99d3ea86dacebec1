"""Small helpers for what is said and drawn from numbers: sentences that hold, and ticks that can be read."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from expfam_game._typing import ArrayLike

_TICKS = ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), tuple(1.0 + 0.1 * k for k in range(90)))
"""Numbers of a power of ten that are ticks, the coarsest choice first."""


def when(holds: bool | np.bool_, text: str, otherwise: str = "") -> str:
    """``text`` if the comparison that it makes holds with the numbers at hand, else ``otherwise``."""
    return text if holds else otherwise


def against(value: float, reference: float, form: str = ".3f") -> str:
    """The comparison of two numbers in words: what is printed as equal is called so.

    Examples
    --------
    >>> against(0.75, 0.5), against(0.25, 0.5, ".2f"), against(0.5001, 0.5)
    ('0.750, above 0.500', '0.25, below 0.50', '0.500, as much as 0.500')
    """
    one, other = format(value, form), format(reference, form)
    relation = "as much as" if one == other else "above" if value > reference else "below"
    return f"{one}, {relation} {other}"


def middle(values: ArrayLike) -> float:
    """The median, as a number of Python."""
    return float(np.median(np.asarray(values, dtype=float)))


def decimal_ticks(axis: Any) -> None:
    """Three to seven ticks on a logarithmic axis, at round numbers and written as decimal ones; set the limits before."""
    low, high = sorted(axis.get_view_interval())
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1.0)
    ticks = np.empty(0)
    for choice in _TICKS:
        ticks = np.unique(np.round(np.outer(decades, choice), 12))
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if ticks.size >= 3:
            break
    if not ticks.size:
        return  # a range this narrow: the usual ticks
    axis.set_major_locator(FixedLocator(list(ticks[:: max(1, -(-ticks.size // 8))])))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
