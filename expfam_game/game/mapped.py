"""Weights in files: a CSR matrix in three memory-mapped NPY files, read a block of rows at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from expfam_game._typing import AnyArray, BoolArray, FloatArray, IntArray
from expfam_game.errors import InvalidInput, InvalidWeights
from expfam_game.kernels import row_blocks as kernels

PARTS = ("indptr", "indices", "data")
"""The names of the files, without ``.npy``."""

BLOCK = 1 << 22
"""Entries of a block."""

_ROWS_PER_ENTRY = 16
"""A block of so many entries has at most one row for every sixteen: profiles have up to 16 columns."""


@dataclass(frozen=True)
class RowBlock:
    """Rows ``first`` to ``last − 1`` of B = α − D in memory of their own, zeros in place of the diagonal.

    Attributes
    ----------
    first, last : int
    indptr, indices, data : ndarray
        CSR arrays of the rows, ``indptr`` beginning at zero.
    trust, listening : ndarray, shape (last − first,)
        The diagonal of α, and the sums of the rows of B.
    """

    first: int
    last: int
    indptr: IntArray
    indices: IntArray
    data: FloatArray
    trust: FloatArray
    listening: FloatArray


def spans(indptr: IntArray, entries: int = BLOCK) -> Iterator[tuple[int, int]]:
    """(first, last) of blocks of rows with at most so many entries; a longer row is a block of its own."""
    n, most_rows = len(indptr) - 1, max(1, entries // _ROWS_PER_ENTRY)
    first = 0
    while first < n:
        # Of the type of indptr: another type would make searchsorted convert all of it.
        limit = indptr.dtype.type(min(int(indptr[first]) + entries, int(indptr[-1])))
        fitting = int(np.searchsorted(indptr, limit, side="right")) - 1
        last = max(first + 1, min(fitting, first + most_rows, n))
        yield first, last
        first = last


def row_blocks(matrix: sparse.csr_array, entries: int = BLOCK, backwards: bool = False) -> Iterator[RowBlock]:
    """The rows of α, a block at a time."""
    blocks = list(spans(matrix.indptr, entries))
    for first, last in reversed(blocks) if backwards else blocks:
        indptr, indices, data = _copied(matrix.indptr, matrix.indices, matrix.data, first, last)
        trust, listening = np.empty((2, last - first))
        kernels.take_diagonal(indptr, indices, data, first, trust, listening)
        yield RowBlock(first, last, indptr, indices, data, trust, listening)


def reaching_data(matrix: sparse.csr_array, entries: int = BLOCK) -> BoolArray:
    """Which agents reach, along positive weights, an agent that trusts its own data (C1); one byte per agent.

    Sweeps over the rows, forth and back, until nothing changes.
    """
    reached = np.zeros(matrix.shape[0], dtype=np.bool_)
    for block in row_blocks(matrix, entries):
        reached[block.first : block.last] = block.trust > 0
    backwards, found = True, 1
    while found and not reached.all():
        found = 0
        for block in row_blocks(matrix, entries, backwards):
            found += kernels.reach(block.indptr, block.indices, block.first, reached, backwards)
        backwards = not backwards
    return reached


def digest_rows(digest: Any, array: AnyArray, entries: int = BLOCK) -> None:
    """Add type, shape and contents of an array to a hash, a piece at a time."""
    digest.update(str((array.dtype.str, array.shape)).encode())
    rows = max(1, entries // max(1, int(np.prod(array.shape[1:]))))
    for first in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[first : first + rows]).data)


def fingerprint(matrix: sparse.csr_array, entries: int = BLOCK) -> str:
    """SHA-256 of the three arrays."""
    digest = hashlib.sha256()
    for part in (matrix.indptr, matrix.indices, matrix.data):
        digest_rows(digest, part, entries)
    return digest.hexdigest()


# ---------------------------------------------------------------------- files


def open_matrix(indptr: Any, indices: Any, data: Any, tolerance: float) -> sparse.csr_array:
    """The CSR matrix in three NPY files, memory-mapped; rows must sum to one within the tolerance."""
    files = [Path(path) for path in (indptr, indices, data)]
    starts, columns, values = (_mapped(file, name) for file, name in zip(files, PARTS))
    n = len(starts) - 1
    _require_layout(starts, columns, values, [str(file) for file in files])
    for first, last in spans(starts, BLOCK):
        _require_rows(first, n, tolerance, *_copied(starts, columns, values, first, last))
    # The constructor of SciPy would read the index arrays, and copy them where a narrower type would do.
    matrix = sparse.csr_array((n, n), dtype=np.float64)
    matrix.indptr, matrix.indices, matrix.data = starts, columns, values
    matrix.has_canonical_format = True
    return matrix


def save_matrix(matrix: sparse.csr_array, folder: Any) -> None:
    """Write indptr.npy, indices.npy and data.npy, each of them all at once."""
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in reversed(PARTS):
            part = target / f".{name}.{os.getpid()}.part"
            try:
                with open(part, "wb") as file:
                    np.save(file, getattr(matrix, name))
                os.replace(part, target / f"{name}.npy")
            finally:
                part.unlink(missing_ok=True)
    except OSError as problem:
        raise InvalidInput(f"{target}: weights cannot be written: {problem.strerror or problem}") from None


def mapped_array(file: Path, what: str) -> AnyArray:
    """A memory map of an NPY file."""
    try:
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        raise InvalidInput(f"{file}: there is no such file; it must be an NPY file with {what}") from None
    except (ValueError, OSError, EOFError) as problem:
        # NumPy takes whatever it does not know for a pickle and advises an option that this package will never set.
        foreign = "pickle" in str(problem) or "Python objects" in str(problem)
        why = "it is no NPY file, or it holds Python objects; write an array of numbers with numpy.save"
        raise InvalidInput(f"{file}: cannot be read as NPY: {why if foreign else problem}") from None


def _mapped(file: Path, name: str) -> AnyArray:
    array = mapped_array(file, f"the array {name} of a CSR matrix")
    kinds = (np.float64,) if name == "data" else (np.int32, np.int64)
    if array.ndim != 1 or array.dtype not in kinds:
        wanted = "float64" if name == "data" else "int32 or int64"
        raise InvalidInput(
            f"{file}: {name} must be one row of {wanted}, but it is an array of {array.dtype} with shape {array.shape}"
        )
    return array


def _require_layout(indptr: AnyArray, indices: AnyArray, data: AnyArray, names: list[str]) -> None:
    if indptr.dtype != indices.dtype:
        raise InvalidInput(
            f"{names[0]} holds {indptr.dtype} and {names[1]} holds {indices.dtype}; give both the same type of integers"
        )
    if len(indptr) < 2:
        raise InvalidWeights(f"{names[0]}: there must be at least one agent, and one entry more than there are agents")
    edges = range(0, len(indptr) - 1, BLOCK)
    falls = any(np.any(np.diff(indptr[k : k + BLOCK + 1]) < 0) for k in edges)
    if indptr[0] != 0 or indptr[-1] != len(indices) or len(indices) != len(data) or falls:
        raise InvalidWeights(
            f"{names[0]} must rise from 0 to the number of entries; {names[1]} has {len(indices)} and {names[2]} has "
            f"{len(data)} entries, and indptr goes from {indptr[0]} to {indptr[-1]}"
            + (" but falls in between" if falls else "")
        )


def _copied(
    indptr: IntArray, indices: IntArray, data: FloatArray, first: int, last: int
) -> tuple[IntArray, IntArray, FloatArray]:
    start, stop = int(indptr[first]), int(indptr[last])
    return indptr[first : last + 1] - indptr[first], np.array(indices[start:stop]), np.array(data[start:stop])


def _require_rows(first: int, n: int, tolerance: float, indptr: IntArray, indices: IntArray, data: FloatArray) -> None:
    kind, i, e, total = kernels.first_fault(indptr, indices, data, n, tolerance)
    if kind == kernels.FINE:
        return
    row = first + i
    if kind == kernels.SUM:
        raise InvalidWeights(
            f"row {row} of the weights sums to {total:.15g}; every row must sum to one within {tolerance:g}",
            agent=row,
            rule="every row sums to one",
        )
    rule = {
        kernels.COLUMN: f"columns are the agents 0 to {n - 1}",
        kernels.ORDER: "the columns of a row must increase; sort them and add up duplicates (Weights.from_scipy(…).save)",
        kernels.ENTRY: "entries must be positive and finite; leave zeros out",
    }[kind]
    raise InvalidWeights(
        f"row {row} of the weights has {data[e]} in column {indices[e]}: {rule}",
        agent=row,
        entry=int(indices[e]),
        rule=rule,
    )
