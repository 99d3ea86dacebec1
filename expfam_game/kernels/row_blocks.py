"""What streaming needs of a block of rows of a sparse matrix: its faults, its diagonal, who reaches whom.

A block is (indptr, indices, data) with ``indptr[0] = 0``; its rows are ``first``, ``first + 1``, … of the matrix.
"""

from __future__ import annotations

import numpy as np

from expfam_game._typing import BoolArray, FloatArray, IntArray
from expfam_game.kernels.compiling import compiled

FINE, COLUMN, ORDER, ENTRY, SUM = range(5)
"""What ``first_fault`` finds."""


@compiled
def first_fault(
    indptr: IntArray, indices: IntArray, data: FloatArray, n: int, tolerance: float
) -> tuple[int, int, int, float]:
    """The first row that cannot be weights: (what is wrong, row of the block, entry of the block, sum of the row).

    Columns must lie between 0 and n − 1 and increase, entries be positive and finite, rows sum to one within ``tolerance``
    (compensated sums).
    """
    for i in range(indptr.shape[0] - 1):
        total, rest, previous = 0.0, 0.0, -1
        for e in range(indptr[i], indptr[i + 1]):
            column, value = indices[e], data[e]
            if column < 0 or column >= n:
                return COLUMN, i, e, 0.0
            if column <= previous:
                return ORDER, i, e, 0.0
            if not 0.0 < value < np.inf:
                return ENTRY, i, e, 0.0
            after = total + value
            added = after - total
            rest += (total - (after - added)) + (value - added)
            total, previous = after, column
        if not abs(total - 1.0 + rest) <= tolerance:
            return SUM, i, 0, total + rest
    return FINE, 0, 0, 1.0


@compiled
def take_diagonal(
    indptr: IntArray, indices: IntArray, data: FloatArray, first: int, diagonal: FloatArray, sums: FloatArray
) -> None:
    """Move the diagonal of the matrix from the block to ``diagonal``, leaving zeros; ``sums`` are of what is left."""
    for i in range(indptr.shape[0] - 1):
        diagonal[i] = sums[i] = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] == first + i:
                diagonal[i] = data[e]
                data[e] = 0.0
            sums[i] += data[e]


@compiled
def reach(indptr: IntArray, indices: IntArray, first: int, reached: BoolArray, backwards: bool) -> int:
    """Mark the rows of the block with an entry in a marked column, one after another; returns how many are new."""
    found = 0
    rows = indptr.shape[0] - 1
    for k in range(rows):
        i = rows - 1 - k if backwards else k
        e = indptr[i]
        while not reached[first + i] and e < indptr[i + 1]:
            if reached[indices[e]]:
                reached[first + i] = True
                found += 1
            e += 1
    return found
