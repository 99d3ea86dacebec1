"""D a + B x − c with a bound on every rounding error, in one pass over the weights."""

from __future__ import annotations

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.kernels.compiling import compiled

_STEP = 2.0**-52
_TINY = float(np.nextafter(0.0, 1.0))


@compiled
def _above(y: float) -> float:
    """At least the real number that was rounded to y: |y| 2^-52 + 2^-1074 is no less than the distance to the next float."""
    return y + (abs(y) * _STEP + _TINY)


@compiled
def enclose_rows(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    a: FloatArray,
    x: FloatArray,
    c: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    first: int,
) -> None:
    """Floats below and above, for α in rows of compressed entries, D its diagonal and B the rest.

    Those of as many rows as ``c``, ``lower`` and ``upper`` have, from row ``first`` of α on.

    The computed value ± (n + 16) 2^-52 (D|a| + B|x| + |c|) ± (n + 16) 2^-1074 with n entries in the row.

    A row is a sum of n products and c: its error is at most γ_{n+2} M + n 2^-1075 with M = D|a| + B|x| + |c|,
    γ_k = k u/(1 − k u), u = 2^-53 (Higham, Accuracy and Stability of Numerical Algorithms, §3.1), whatever the order
    and whether operations are fused; the last term is for products that underflow. M is computed with the same relative
    error, and (n + 16) 2^-52 = (2n + 32) u exceeds γ_{n+2} (1 + γ_{n+4}) by enough for the roundings of the bound
    itself as long as n < 2^40.
    """
    width = x.shape[1]
    value, size = np.empty(width), np.empty(width)
    for row in range(c.shape[0]):
        i = first + row
        value[:] = 0.0
        size[:] = 0.0
        for at in range(indptr[i], indptr[i + 1]):
            j, weight = indices[at], data[at]
            heard = a[i] if j == i else x[j]
            for k in range(width):
                term = weight * heard[k]
                value[k] += term
                size[k] += abs(term)
        count = indptr[i + 1] - indptr[i] + 16.0
        for k in range(width):
            middle = value[k] - c[row, k]
            error = (count * _STEP) * (size[k] + abs(c[row, k])) + count * _TINY
            low, high = -_above(error - middle), _above(middle + error)
            lower[row, k] = low if abs(low) < np.inf else -np.inf
            upper[row, k] = high if abs(high) < np.inf else np.inf


@compiled
def box_rows(
    mean: FloatArray, w: FloatArray, residual: FloatArray, s: float, lower: FloatArray, upper: FloatArray
) -> None:
    """mean ± w_i residual_k / s, rounded outwards; the mean itself where the residual is zero."""
    for i in range(mean.shape[0]):
        for k in range(mean.shape[1]):
            lower[i, k] = upper[i, k] = mean[i, k]
            if residual[k] > 0:
                radius = _above(_above(w[i] * residual[k]) / s)
                lower[i, k], upper[i, k] = -_above(radius - mean[i, k]), _above(mean[i, k] + radius)
