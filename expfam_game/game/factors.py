"""LU factors of I − B for graphs on which they stay small: in a band, or sparse.

No exchanges are needed (``kernels.elimination``). Agents on a line or a circle need no reordering; other bands are found by
reverse Cuthill–McKee. Elsewhere SuperLU finds a minimum-degree order. Factors are kept, so that a second right-hand side costs a small
part of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from expfam_game._typing import FloatArray, IntArray
from expfam_game.kernels import elimination
from expfam_game.kernels import sparse as kernels

_BAND_ENTRIES = 3e7
_BAND_SHARE = 4
"""A band may have so many entries, or so many for each weight."""

_WIDEST = 48
"""Beyond this reach sparse factors are faster."""


def band_order(b: sparse.csr_array) -> tuple[IntArray, int] | None:
    """An order of the agents in which nobody listens further than ``reach`` places away; None where the band is too wide."""
    n = int(b.shape[0])
    widest = widest_band(b)
    line, circle = elimination.reaches(b.indptr, b.indices)
    if line <= widest:
        return np.arange(n), int(line)
    if 2 * circle <= widest:
        return _folded(n), int(2 * circle)
    if neighbourhood(b, 0)[1] > widest:
        return None
    order = np.asarray(csgraph.reverse_cuthill_mckee(b), dtype=np.int64)
    reach = _reach(b, order)
    return (order, reach) if reach <= widest else None


def widest_band(b: sparse.csr_array) -> int:
    """How far a band may reach to either side for elimination in it to be worth while."""
    n = max(int(b.shape[0]), 1)
    return int(min(_WIDEST, (max(_BAND_ENTRIES, _BAND_SHARE * b.nnz) / n - 1.0) / 2.0))


def _folded(n: int) -> IntArray:
    """A circle laid flat: 0, n − 1, 1, n − 2, … ; who was k apart is at most 2 k apart."""
    order = np.empty(n, dtype=np.int64)
    order[0::2] = np.arange((n + 1) // 2)
    order[1::2] = np.arange(n - 1, (n + 1) // 2 - 1, -1)
    return order


def bandwidth(b: sparse.csr_array) -> int:
    """How far from the diagonal entries are after reverse Cuthill–McKee."""
    return _reach(b, np.asarray(csgraph.reverse_cuthill_mckee(b), dtype=np.int64))


def _reach(b: sparse.csr_array, order: IntArray) -> int:
    place = _inverse(order)
    return int(np.max(np.abs(np.repeat(place, np.diff(b.indptr)) - place[b.indices]), initial=0))


def _inverse(order: IntArray) -> IntArray:
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    return place


_STEPS = 12
"""How far the neighbourhood of an agent is explored to learn the shape of the graph."""


def neighbourhood(b: sparse.csr_array, agent: int) -> tuple[bool, float]:
    """Whether agents are heard over ``_STEPS`` steps as on a surface, and the bandwidth this implies in any order.

    On a square grid with diagonals t steps lead to (2t + 1)² agents; four more are allowed. In a band of half-width w they
    lead to at most 2wt others. Stops early where many are reached.
    """
    reached = np.zeros(b.shape[0], dtype=np.bool_)
    front, count, flat, bound = np.array([agent]), 1, True, 0.0
    reached[front] = True
    for step in range(1, _STEPS + 1):
        heard = np.unique(b[front].indices)
        front = heard[~reached[heard]]
        reached[front] = True
        count += front.size
        flat = flat and count <= (2 * step + 1) ** 2 + 4
        bound = max(bound, (count - 1) / (2 * step))
        if front.size == 0 or count > 20_000:
            break
    return flat, bound


class BandFactors:
    """L U = I − B in a band, with agents in the given order."""

    def __init__(self, b: sparse.csr_array, order: IntArray, reach: int) -> None:
        self._order, self.reach = order, reach
        self._band = np.empty((order.size, 2 * reach + 1))
        elimination.factor_band(b.indptr, b.indices, b.data, order, _inverse(order), reach, self._band)

    def __str__(self) -> str:
        return f"LU in a band of ± {self.reach} places"

    def solve(self, rhs: FloatArray, spare: FloatArray | None = None) -> FloatArray:
        """(I − B)^{-1} rhs; ``spare``, an array like ``rhs``, is overwritten: new memory costs as much as the arithmetic."""

        def block(columns: FloatArray, lanes: tuple[int, ...]) -> FloatArray:
            work = spare if spare is not None and spare.shape == columns.shape else np.empty_like(columns)
            out = np.empty_like(columns)
            elimination.solve_band(self._band, self._order, columns, work, out, lanes)
            return out

        return by_blocks(rhs, block)


class SparseFactors:
    """L U = I − B with rows and columns in SuperLU's minimum-degree order of the links."""

    def __init__(self, b: sparse.csr_array) -> None:
        self._factors: Any = splu(
            sparse.csc_array(sparse.eye_array(b.shape[0]) - b),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            # Columns one by one: with the few entries that this order leaves, panels cost more than they save.
            relax=10,
            panel_size=1,
            options={"SymmetricMode": True, "Equil": False},
        )

    def __str__(self) -> str:
        return "LU, whose factors are small on this graph"

    def solve(self, rhs: FloatArray, spare: FloatArray | None = None) -> FloatArray:
        """(I − B)^{-1} rhs; needs no spare memory."""
        return np.ascontiguousarray(self._factors.solve(rhs))


def groups(n_columns: int, largest: int) -> Iterator[tuple[int, int, int]]:
    """(first, last, width of the kernel) of the blocks in which columns are solved."""
    first = 0
    while first < n_columns:
        wanted = min(n_columns - first, largest)
        yield first, first + wanted, next(width for width in kernels.WIDTHS if width >= wanted)
        first += wanted


def padded(columns: FloatArray, first: int, last: int, width: int) -> FloatArray:
    """Columns first … last − 1, with columns of zeros up to the width of the kernel."""
    if columns.shape[1] == width:
        return columns
    block = np.zeros((columns.shape[0], width))
    block[:, : last - first] = columns[:, first:last]
    return block


def by_blocks(rhs: FloatArray, solve: Callable[[FloatArray, tuple[int, ...]], FloatArray]) -> FloatArray:
    """``solve`` applied to as many columns at a time as kernels take."""
    columns = np.ascontiguousarray(rhs.reshape(rhs.shape[0], -1), dtype=np.float64)
    result: FloatArray | None = None
    for first, last, width in groups(columns.shape[1], max(kernels.WIDTHS)):
        x = solve(padded(columns, first, last, width), kernels.lanes(width))
        if x.shape == columns.shape:
            return x.reshape(rhs.shape)
        result = np.empty_like(columns) if result is None else result
        result[:, first:last] = x[:, : last - first]
    return (np.empty_like(columns) if result is None else result).reshape(rhs.shape)
