"""Many agents, a block at a time: arrays of a block stay in the cache, and memory does not grow with the number of agents."""

from __future__ import annotations

from collections.abc import Iterator

from scipy import sparse

_ENTRIES = 1 << 16
"""Entries of a block."""


def row_blocks(n_agents: int, dim: int) -> Iterator[slice]:
    """Slices that together cover all rows of an array of shape (n_agents, dim).

    >>> list(row_blocks(10, 20_000))
    [slice(0, 3, None), slice(3, 6, None), slice(6, 9, None), slice(9, 10, None)]
    """
    size = max(1, _ENTRIES // max(1, dim))
    for first in range(0, n_agents, size):
        yield slice(first, min(first + size, n_agents))


def matrix_rows(matrix: sparse.csr_array, rows: slice) -> sparse.csr_array:
    """Some rows of a matrix, which share its memory.

    >>> import numpy as np
    >>> matrix_rows(sparse.csr_array(np.eye(3)), slice(1, 3)).toarray()
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    starts = matrix.indptr[rows.start : rows.stop + 1]
    entries = slice(starts[0], starts[-1])
    parts = matrix.data[entries], matrix.indices[entries], starts - starts[0]
    return sparse.csr_array(parts, shape=(starts.size - 1, matrix.shape[1]))
