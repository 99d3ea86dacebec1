"""Weighted sums as if in twice the precision: every rounding error is caught exactly and added up beside the sum.

Several rows that lie side by side in memory are added at a time, each to sums of its own: so that additions do not wait for
one another, and fill vector registers however few the statistics are. In the end the sums of the rows are added in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from expfam_game._typing import FloatArray
from expfam_game.kernels.compiling import compiled, elementwise, in_place

_ENTRIES = 128
"""So many entries are added at a time: enough to fill registers, and their sums stay in the first-level cache."""

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
def _add(entries: FloatArray, total: FloatArray, rest: FloatArray) -> None:
    """Entry by entry; the error of a sum is a float (Knuth 1969)."""
    for j in range(entries.size):
        before = total[j]
        after = before + entries[j]
        added = after - before
        total[j] = after
        rest[j] += (before - (after - added)) + (entries[j] - added)


@compiled
def _add_products(entries: FloatArray, factors: FloatArray, total: FloatArray, rest: FloatArray) -> None:
    """The same for factors[j] · entries[j]; the error of a product is a float as well (Dekker 1971)."""
    for j in range(entries.size):
        product = factors[j] * entries[j]
        before = total[j]
        after = before + product
        added = after - before
        total[j] = after
        rest[j] += ((before - (after - added)) + (product - added)) + _fused(factors[j], entries[j], -product)


@in_place
def _repeat(weights: FloatArray, dim: int, out: FloatArray) -> None:
    """Every weight as often as there are statistics."""
    if dim >= 8:
        for i in range(weights.size):
            out[i * dim : (i + 1) * dim] = weights[i]
    else:
        for k in range(dim):
            for i in range(weights.size):
                out[i * dim + k] = weights[i]


@compiled
def _gather(sums: FloatArray, errors: FloatArray, total: FloatArray, rest: FloatArray) -> None:
    """Add the sums of all rows of a group to ``total``, and what they and this addition are off by to ``rest``."""
    dim = total.size
    for start in range(0, sums.size, dim):
        for k in range(dim):
            before, more = total[k], sums[start + k]
            after = before + more
            added = after - before
            total[k] = after
            rest[k] += errors[start + k] + ((before - (after - added)) + (more - added))


@compiled
def compensated_sums(phi: FloatArray, weights: FloatArray, total: FloatArray, rest: FloatArray) -> None:
    """Add Σ_i w_i φ_i to ``total`` + ``rest``, and Σ_i w_i to their last entries; ``phi`` has shape (rows, dim).

    All weights are one where ``weights`` is empty. With n rows ``total + rest`` is off by at most γ_n² Σ_i w_i |φ_i|,
    γ_n = n u/(1 − n u), u = 2^-53 (Ogita, Rump & Oishi 2005, doi:10.1137/030601818, Dot2), where nothing over- or
    underflows.
    """
    rows, dim = phi.shape
    entries, group = phi.reshape(rows * dim), max(1, min(rows, _ENTRIES // dim))
    sums, errors, factors = np.zeros(group * dim), np.zeros(group * dim), np.empty(group * dim)
    weight_sums, weight_errors = np.zeros(group), np.zeros(group)
    for start in range(0, rows, group):
        stop = min(rows, start + group)
        added = entries[start * dim : stop * dim]
        if weights.size:
            _repeat(weights[start:stop], dim, factors)
            _add_products(added, factors[: added.size], sums[: added.size], errors[: added.size])
            _add(weights[start:stop], weight_sums, weight_errors)
        else:
            _add(added, sums, errors)
    if not weights.size:
        weight_sums[0] = rows
    _gather(sums, errors, total[:dim], rest[:dim])
    _gather(weight_sums, weight_errors, total[dim:], rest[dim:])


@elementwise
def _add_deviations(
    entries: FloatArray, centre: FloatArray, squares: FloatArray, first: FloatArray, second: FloatArray
) -> None:
    for j in range(entries.size):
        deviation = entries[j] - centre[j]
        first[j] += squares[j] * deviation
        second[j] += squares[j] * deviation * deviation


@compiled
def squared_deviations(
    phi: FloatArray, squares: FloatArray, centre: FloatArray, first: FloatArray, second: FloatArray
) -> None:
    """Add Σ s (φ − c) to ``first`` and Σ s (φ − c)² to ``second``; all s are one where ``squares`` is empty."""
    rows, dim = phi.shape
    entries, group = phi.reshape(rows * dim), max(1, min(rows, _ENTRIES // dim))
    firsts, seconds = np.zeros(group * dim), np.zeros(group * dim)
    centres, factors = np.empty(group * dim), np.ones(group * dim)
    for j in range(group * dim):
        centres[j] = centre[j % dim]
    for start in range(0, rows, group):
        stop = min(rows, start + group)
        if squares.size:
            _repeat(squares[start:stop], dim, factors)
        _add_deviations(entries[start * dim : stop * dim], centres, factors, firsts, seconds)
    for j in range(group * dim):
        first[j % dim] += firsts[j]
        second[j % dim] += seconds[j]
