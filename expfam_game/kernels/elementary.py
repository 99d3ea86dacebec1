"""Elementary functions without branches, so that LLVM vectorises the loops that call them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import int64, uint64

from expfam_game.kernels.compiling import elementwise
from expfam_game.kernels.random_words import bits_of, double_of

_ONE = np.uint64(0x3FF0000000000000)
_FRACTION = np.uint64(0x000FFFFFFFFFFFFF)
_ROOT_HALF = np.uint64(0x3FE6A09E00000000)
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52
"""Adding it rounds a double to an integer, which then stands in the low bits."""


@elementwise
def uniform_of(word: Any) -> float:
    """A uniform number inside (0, 1) from the high 52 bits of a word."""
    return float(double_of((word >> uint64(12)) | _ONE) - (1.0 - 2.0**-53))


@elementwise
def fast_log(x: float) -> float:
    """log x of a positive normal double, within one unit in the last place.

    The scheme of fdlibm, but for q = f/(2 + f): dividing would take longer than all the rest. 1/(2 + f) comes from the
    cubic of least relative error, 1.1e-4, on the range of f (from the Chebyshev polynomial of degree 4), and two
    steps of Newton; q enters multiplied by at most f²/8, so that its last bits do not matter.
    """
    shifted = bits_of(x) + (_ONE - _ROOT_HALF)
    k = np.float64(int64(shifted >> uint64(52)) - 1023)
    f = double_of((shifted & _FRACTION) + _ROOT_HALF) - 1.0
    d = 2.0 + f
    y = 4.99956957107142941e-01 + f * (
        -2.50386200036088803e-01 + f * (1.28133327188318995e-01 - f * 5.71350229776972691e-02)
    )
    y = y + y * (1.0 - d * y)
    y = y + y * (1.0 - d * y)
    q = f * y
    z = q * q
    r = 1.479819860511658591e-01
    r = r * z + 1.531383769920937332e-01
    r = r * z + 1.818357216161805012e-01
    r = r * z + 2.222219843214978396e-01
    r = r * z + 2.857142874366239149e-01
    r = r * z + 3.999999999940941908e-01
    r = r * z + 6.666666666666735130e-01
    r = r * z
    h = 0.5 * f * f
    return float(k * _LN2_HIGH - ((h - (q * (h + r) + k * _LN2_LOW)) - f))


@elementwise
def fast_log1p(t: float) -> float:
    """log(1 + t) for t ≥ 0, to full relative accuracy."""
    u = 1.0 + t
    return fast_log(u) + (t - (u - 1.0)) / u


@elementwise
def fast_exp(x: float) -> float:
    """e^x for x ≤ 709, zero below −708, within two units in the last place."""
    y = max(x, -708.0)
    rounded = y * 1.4426950408889634 + _ROUND
    k = rounded - _ROUND
    r = (y - k * _LN2_HIGH) - k * _LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = 1.0 + (r + r * r * p)
    scaled = double_of(bits_of(p) + (bits_of(rounded) << uint64(52)))
    return scaled if x >= -708.0 else 0.0


@elementwise
def sine_and_cosine(y: float) -> tuple[float, float]:
    """Of an angle within ±π/4, in one unit in the last place (the polynomials of Cephes)."""
    t = y * y
    c = -1.13585365213876817300e-11
    c = c * t + 2.08757008419747316778e-09
    c = c * t - 2.75573141792967388112e-07
    c = c * t + 2.48015872888517045348e-05
    c = c * t - 1.38888888888730564116e-03
    c = c * t + 4.16666666666665929218e-02
    s = 1.58962301576546568060e-10
    s = s * t - 2.50507477628578072866e-08
    s = s * t + 2.75573136212857245213e-06
    s = s * t - 1.98412698295895385996e-04
    s = s * t + 8.33333333332211858878e-03
    s = s * t - 1.66666666666666307295e-01
    return y + y * t * s, 1.0 - 0.5 * t + t * t * c


@elementwise
def quarter_turn(word: Any) -> tuple[float, float]:
    """sine and cosine of an angle uniform in (−π/4, π/4), from bits 10 to 61 of a word."""
    y = double_of(((word >> uint64(10)) & _FRACTION) | _ONE) - 1.5 + 2.0**-53
    y = y * (0.5 * math.pi)
    return sine_and_cosine(y)
