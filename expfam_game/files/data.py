"""Numbers on disk: arrays and weights from CSV, NPY, NPZ and Parquet files.

Every complaint names the file, and for text the line and the column.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy import sparse

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.errors import InvalidInput, InvalidWeights, MissingExtra
from expfam_game.files.messages import absent, located
from expfam_game.game.mapped import PARTS
from expfam_game.game.weights import Weights

__all__ = ["batches", "load_array", "load_weights"]

_CHUNK = 1 << 16
"""Rows of text or Parquet read at a time."""

_FORMATS = (".csv", ".npy", ".npz", ".parquet", ".tsv", ".txt")


# ---------------------------------------------------------------------- arrays


def load_array(path: str | Path) -> AnyArray:
    """The numbers in a file, one sample per row.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv``, ``.txt``: columns separated by comma, semicolon, tab or blanks; a first line without any
        number is a header; ``#`` starts a comment. ``.npy``: memory-mapped, so it may be larger than memory.
        ``.npz``: its only array, or ``file.npz:name``. ``.parquet``: the columns side by side, lists of fixed size included.

    Returns
    -------
    ndarray
        Two-dimensional for text and Parquet; as stored for NPY and NPZ.

    Raises
    ------
    InvalidInput
        Naming the file, and for text the line and the column.
    MissingExtra
        If a Parquet file is read without pyarrow.
    """
    pieces = list(batches(path))
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def batches(path: str | Path) -> Iterator[AnyArray]:
    """The rows of a file in pieces that fit into memory, for files larger than memory.

    Parameters
    ----------
    path : str or Path
        As in :func:`load_array`. An NPY file is one memory-mapped piece, an array of an NPZ file is read at once.

    Yields
    ------
    ndarray
        At least one, which may have no rows.

    Raises
    ------
    InvalidInput, MissingExtra
        As in :func:`load_array`, when the faulty piece is reached.

    Examples
    --------
    >>> import expfam_game as eg, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/counts.csv").write_text("3\\n5\\n")
    ...     eg.families.mean_statistic(eg.families.Poisson(), batches(f"{folder}/counts.csv")).mean
    array([4.])
    """
    file, member = existing(path)
    if file.suffix.lower() == ".npy":
        yield numeric(opened(file, lambda: np.load(file, mmap_mode="r", allow_pickle=False)), str(file))
    elif file.suffix.lower() == ".npz":
        yield _npz_array(file, member)
    elif file.suffix.lower() == ".parquet":
        yield from _parquet_batches(file)
    else:
        yield from _text_table(file)[1]


def existing(path: str | Path) -> tuple[Path, str]:
    """The path, which exists and has a known ending, and the name after ``file.npz:``."""
    text, separator, member = str(path).partition(".npz:")
    file = Path(text + ".npz") if separator else Path(text)
    if file.suffix.lower() not in _FORMATS:
        raise InvalidInput(f"{file}: the ending {file.suffix!r} is unknown; it must be one of {', '.join(_FORMATS)}")
    if not file.is_file():
        raise absent(file, "file")
    return file, member


UNREADABLE = (ValueError, OSError, EOFError, KeyError, SyntaxError, RuntimeError, BadZipFile, zlib.error)
"""What NumPy and zipfile raise about files that are not what their ending says."""


def opened(file: Path, read: Callable[[], Any]) -> Any:
    """What ``read`` returns; whatever goes wrong in it becomes InvalidInput about the file."""
    try:
        return read()
    except UNREADABLE as problem:
        # NumPy takes whatever it does not know for a pickle and advises an option that this package will never set.
        foreign = "pickle" in str(problem) or "Python objects" in str(problem)
        kind = file.suffix[1:].upper()
        why = (
            f"it is no {kind} file, or it holds Python objects; write an array of numbers with numpy.save or savez, or let "
            "the name end in what the file is, say .csv"
        )
        raise InvalidInput(f"{file}: cannot be read as {kind}: {why if foreign else problem}") from None


def numeric(array: Any, name: str) -> AnyArray:
    """The array itself, refused unless it holds numbers or truth values."""
    if not isinstance(array, np.ndarray) or not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise InvalidInput(f"{name}: the array must hold numbers, but its dtype is {kind}")
    return array


@contextmanager
def _npz(file: Path) -> Iterator[Any]:
    """The archive in a file that is closed whatever happens; NumPy leaves a broken one open."""
    with file.open("rb") as stream:
        archive = opened(file, lambda: np.load(stream, allow_pickle=False))
        if isinstance(archive, np.ndarray):
            raise InvalidInput(f"{file}: cannot be read as NPZ: it is a single array; let its name end in .npy")
        with archive:
            yield archive


def _npz_array(file: Path, member: str) -> AnyArray:
    with _npz(file) as archive:
        names = archive.files
        if not member and len(names) != 1:
            raise InvalidInput(f"{file}: it holds the arrays {', '.join(names)}; choose one as {file.name}:NAME")
        if member and member not in names:
            raise InvalidInput(f"{file}: it holds no array {member!r}, only {', '.join(names)}")
        return numeric(opened(file, lambda: archive[member or names[0]]), str(file))


def _parquet_batches(file: Path) -> Iterator[AnyArray]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", f"Reading {file}") from None
    try:
        table = parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as problem:
        raise InvalidInput(f"{file}: cannot be read as PARQUET: {problem}") from None
    names = table.schema_arrow.names
    yield np.empty((0, 0)) if not names else np.empty((0, _parquet_width(file, table.schema_arrow)))
    for batch in table.iter_batches(batch_size=_CHUNK):
        yield np.column_stack([_parquet_column(file, name, column) for name, column in zip(names, batch.columns)])


def _parquet_width(file: Path, schema: Any) -> int:
    from pyarrow import types

    width = 0
    for field in schema:
        listed = types.is_fixed_size_list(field.type)
        kind = field.type.value_type if listed else field.type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise InvalidInput(f"{file}: column {field.name!r} has type {field.type}; it must hold numbers")
        width += field.type.list_size if listed else 1
    return width


def _parquet_column(file: Path, name: str, column: Any) -> AnyArray:
    if column.null_count:
        raise InvalidInput(f"{file}: column {name!r} has empty cells; every cell must hold a number")
    rows = len(column)
    values = column.flatten() if hasattr(column.type, "list_size") else column
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(rows, -1)


# ---------------------------------------------------------------------- text tables


def _text_table(file: Path) -> tuple[list[str] | None, Iterator[FloatArray]]:
    """The header, if there is one, and the rows in pieces."""
    lines = _numbered_lines(file)
    first = next(lines, None)
    if first is None:
        raise InvalidInput(f"{file}: the file is empty")
    delimiter = _delimiter(first[1])
    cells = _cells(first[1], delimiter)
    numbers = [_is_number(cell) for cell in cells]
    if all(numbers):
        return None, _text_batches(file, chain([first], lines), delimiter, len(cells))
    if cells[0] == "" and len(cells) > 1 and not any(numbers):
        raise InvalidInput(
            f"{file}, line {first[0]}: the first column has no name; it looks like the row numbers that pandas writes. "
            "Write the file with to_csv(..., index=False)"
        )
    if any(numbers) or "" in cells:
        raise InvalidInput(
            f"{file}, {_first_fault([first], delimiter, len(cells))}; in a header, no name may be a number or empty"
        )
    following = next(lines, None)
    if following is None:
        return cells, iter([np.empty((0, len(cells)))])
    return cells, _text_batches(file, chain([following], lines), delimiter, len(cells))


def _numbered_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and contents, without comments and blank lines."""
    with open(file, encoding="utf-8-sig") as text:
        try:
            for number, line in enumerate(text, start=1):
                comment = line.lstrip().startswith("#") or '"' not in line  # inside quotes a # is a letter
                if content := (line.partition("#")[0] if comment else line).strip("\r\n "):
                    yield number, content
        except UnicodeDecodeError:
            raise InvalidInput(f"{file}: this is not a text file in UTF-8") from None


def _delimiter(line: str) -> str | None:
    """The separator of a line, None for blanks."""
    return next((mark for mark in (";", ",", "\t") if mark in line), None)


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    except csv.Error:
        return line.split(delimiter)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _text_batches(
    file: Path, lines: Iterator[tuple[int, str]], delimiter: str | None, width: int
) -> Iterator[FloatArray]:
    while chunk := list(islice(lines, _CHUNK)):
        try:
            rows = np.loadtxt([line for _, line in chunk], delimiter=delimiter, ndmin=2, quotechar='"', comments=None)
        except ValueError:
            rows = None
        if rows is None or rows.shape[1] != width:
            raise InvalidInput(f"{file}, {_first_fault(chunk, delimiter, width)}")
        yield np.asarray(rows, dtype=np.float64)


def _first_fault(chunk: list[tuple[int, str]], delimiter: str | None, width: int) -> str:
    """Which line of a chunk that could not be read is at fault, and why."""
    for number, line in chunk:
        cells = _cells(line, delimiter)
        if len(cells) != width:
            return f"line {number} has {len(cells)} columns, but the first line has {width}"
        for column, cell in enumerate(cells, start=1):
            if not _is_number(cell):
                shown = f"{cell!r} is not a number" if cell else "the cell is empty"
                return f"line {number}, column {column}: {shown}"
    return f"line {chunk[0][0]}: the table cannot be read"


# ---------------------------------------------------------------------- weights


def load_weights(
    path: str | Path, *, n_agents: int | None = None, self_weight: float | Sequence[float] | None = None
) -> Weights:
    """Weights from a file.

    Parameters
    ----------
    path : str or Path
        A text table (see :func:`load_array`) with one row of α per agent; a text table whose header is ``i,j,weight`` (any
        names, where the columns are three and the rows are not) with one row per edge, agents counted from zero; an NPZ
        file of ``scipy.sparse.save_npz``; an NPY or NPZ file with a dense matrix; or a folder written by
        :meth:`Weights.save`, whose files are memory-mapped.
    n_agents : int, optional
        For edge lists; by default one more than the largest agent named.
    self_weight : float or sequence of float, optional
        For edge lists: the weights are relative and scaled beside this self-weight, as in :meth:`Weights.from_edges`.

    Raises
    ------
    InvalidInput, InvalidWeights
        Naming the file and the row.
    """
    if Path(path).is_dir():
        return _weights_folder(Path(path), n_agents is not None or self_weight is not None)
    file, _ = existing(path)
    edges = _edge_list(file) if file.suffix.lower() in (".csv", ".tsv", ".txt") else None
    with located(str(file)):
        if edges is not None:
            return weights_of_edges(edges, n_agents, self_weight)
        matrix = _matrix(path, file)
        may_be_edges = file.suffix.lower() in (".csv", ".tsv", ".txt") and matrix.shape[1] == 3
        hint = "; if this is a list of edges, its first line must be i,j,weight" if may_be_edges else ""
        if n_agents is not None or self_weight is not None:
            raise InvalidInput(f"n_agents and self_weight are for edge lists, but this file holds a matrix{hint}")
        try:
            return Weights(matrix)
        except InvalidWeights as problem:
            raise InvalidWeights(f"{problem}{hint}", agent=problem.agent, rule=problem.rule) from None


def _weights_folder(folder: Path, scaled: bool) -> Weights:
    if missing := [f"{name}.npy" for name in PARTS if not (folder / f"{name}.npy").is_file()]:
        raise InvalidInput(f"{folder}: {', '.join(missing)} is missing; this is no folder written by Weights.save")
    if scaled:
        raise InvalidInput(f"{folder}: n_agents and self_weight are for edge lists, but this folder holds a matrix")
    with located(str(folder)):
        return Weights.from_files(*(folder / f"{name}.npy" for name in PARTS))


def _matrix(path: str | Path, file: Path) -> Any:
    if file.suffix.lower() == ".npz":
        with _npz(file) as archive:
            is_sparse = "format" in archive.files
        if is_sparse:
            return opened(file, lambda: sparse.load_npz(file))
    return load_array(path)


def _edge_list(file: Path) -> FloatArray | None:
    """The edges in a text table, or None where it is a matrix."""
    header, pieces = _text_table(file)
    if header is None or len(header) != 3:
        return None
    rows = np.concatenate(list(pieces))
    if tuple(name.lower() for name in header) == ("i", "j", "weight") or len(rows) != 3:
        return rows
    raise InvalidInput(
        f"{file}: with three columns and three rows this may be a matrix or a list of edges; for edges name the columns "
        "i,j,weight, for a matrix leave out the header"
    )


def weights_of_edges(edges: FloatArray, n_agents: int | None, self_weight: Any) -> Weights:
    """Weights from the rows (i, j, weight) of a file; the largest index tells the number of agents unless that is given."""
    if len(edges) == 0 and n_agents is None:
        raise InvalidWeights("the list of edges is empty")
    if not np.isfinite(edges).all():
        raise InvalidWeights(f"edge {int(np.argmin(np.isfinite(edges).all(axis=1)))} has an entry that is not finite")
    found = int(edges[:, :2].max(initial=-1)) + 1
    if n_agents is None and self_weight is None:
        _require_all_listen(edges, found)
    return Weights.from_edges(edges.tolist(), found if n_agents is None else n_agents, self_weight)


def _require_all_listen(edges: FloatArray, n_agents: int) -> None:
    """Raise about an agent without edges; one wrong number in a list makes many of them."""
    silent = np.setdiff1d(np.arange(n_agents), edges[:, 0])
    if silent.size:
        largest = int(np.argmax(edges[:, :2].max(axis=1)))
        raise InvalidWeights(
            f"edge {largest} names agent {n_agents - 1}, so there are {n_agents} agents, but agent {silent[0]} gives no "
            "weight to anybody, not even to itself",
            agent=int(silent[0]),
        )
