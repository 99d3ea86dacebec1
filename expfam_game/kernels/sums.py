"""Weighted sums as if in twice the precision: every rounding error is caught exactly and added up beside the sum."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from expfam_game._typing import FloatArray
from expfam_game.kernels.compiling import compiled, elementwise

_intrinsic: Any = intrinsic
"""numba's own signature for it counts the typing context among the arguments of a call."""


@_intrinsic
def _fused(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c rounded once."""
    signature = types.float64(types.float64, types.float64, types.float64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fma(*args)

    return signature, generate


@compiled
def compensated_sums(phi: FloatArray, weights: FloatArray, total: FloatArray, rest: FloatArray) -> None:
    """Add Σ_i w_i φ_i to ``total`` + ``rest``, and Σ_i w_i to their last entries; ``phi`` has shape (rows, dim).

    The error of every product and of every sum is a float (Dekker 1971; Knuth 1969); their plain sum is ``rest``. With
    n rows ``total + rest`` is off by at most γ_n² Σ_i w_i |φ_i|, γ_n = n u/(1 − n u), u = 2^-53 (Ogita, Rump & Oishi
    2005, doi:10.1137/030601818, Dot2), where nothing over- or underflows.
    """
    rows, dim = phi.shape
    for i in range(rows):
        w = weights[i]
        for k in range(dim):
            product = w * phi[i, k]
            before = total[k]
            after = before + product
            added = after - before
            total[k] = after
            rest[k] += ((before - (after - added)) + (product - added)) + _fused(w, phi[i, k], -product)
        before = total[dim]
        after = before + w
        added = after - before
        total[dim] = after
        rest[dim] += (before - (after - added)) + (w - added)


@elementwise
def squared_deviations(
    phi: FloatArray, weights: FloatArray, centre: FloatArray, first: FloatArray, second: FloatArray
) -> float:
    """Add Σ w² (φ − c) to ``first`` and Σ w² (φ − c)² to ``second``; returns Σ w²."""
    rows, dim = phi.shape
    squares = 0.0
    for i in range(rows):
        square = weights[i] * weights[i]
        squares += square
        for k in range(dim):
            deviation = phi[i, k] - centre[k]
            first[k] += square * deviation
            second[k] += square * deviation * deviation
    return squares
