"""C2: a vector w > 0 and a number s > 0 with B w ≤ w − s; so best response contracts by 1 − s/max w (T4).

B w ≤ w − s gives ‖Bx‖_w ≤ (1 − s/max w) ‖x‖_w in the norm max |x_i|/w_i, hence ρ(B) < 1 and (I − B)^{-1} ≥ 0; and
from (I − B) w ≥ s follows (I − B)^{-1} 1 ≤ w/s, which is all that C3 needs.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from expfam_game._typing import FloatArray
from expfam_game.certificates.rounding import Arithmetic, enclose, rational, up


def slack(alpha: sparse.csr_array, w: FloatArray, arithmetic: Arithmetic, precision: int) -> float:
    """A float s, as large as the arithmetic can prove, with B w ≤ w − s; C2 holds if it is positive."""
    column = w[:, None]
    _, upper = enclose(alpha, np.zeros_like(column), column, column, arithmetic, precision)
    return float(-np.max(upper))


def contraction_factor(w: FloatArray, s: float) -> float:
    """1 − s/max w rounded up."""
    return max(up(1 - rational(s) / rational(float(np.max(w)))), 0.0)
