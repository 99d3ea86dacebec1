"""The mean statistic of data, weighted or not, in one pass over data of any size: all that fitting needs (T1, T2).

Data is read in blocks of a fixed number of rows. Threads work on several blocks at a time, but blocks are added in their
order, so that the result is the same to the last bit for any number of threads. Within and between blocks the rounding
errors of products and sums are caught exactly and added up beside the sum (``kernels.sums``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any, TypeVar

import numpy as np
from tqdm.auto import tqdm

from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.families.base import Family
from expfam_game.families.checks import require_integer
from expfam_game.kernels.block_sums import default_threads
from expfam_game.kernels.sums import compensated_sums, squared_deviations

_ENTRIES, _ROWS = 1 << 16, 1 << 14
"""A block has so many statistics or rows at most (but never less than 16 rows): it stays in the cache of a core, and the
arrays made for it are of a size that is used again instead of being asked from the system anew."""

Piece = tuple[int, AnyArray, AnyArray | None]
"""Where a block begins, its samples and their weights."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class DataMoments:
    """The mean statistic of weighted data.

    Attributes
    ----------
    mean : ndarray, shape (dim,)
        Σ w φ(x) / Σ w.
    standard_error : ndarray, shape (dim,)
        √(n/(n − 1) Σ w² (φ(x) − mean)²) / Σ w, for samples that are independent and weights that are given; without
        weights the standard deviation over √n. Infinite for a single sample.
    total_weight : float
        Σ w; the number of samples without weights.
    count : int
        How many samples have a positive weight.
    effective_count : float
        (Σ w)²/Σ w²: as many samples of equal weight would give the same variance (Kish 1965).

    Examples
    --------
    >>> import expfam_game as eg
    >>> moments = eg.families.mean_statistic(eg.families.Poisson(), [2, 4, 9], weights=[1, 1, 2])
    >>> moments.mean, moments.total_weight, moments.count, round(moments.effective_count, 3)
    (array([6.]), 4.0, 3, 2.667)
    """

    mean: FloatArray
    standard_error: FloatArray
    total_weight: float
    count: int
    effective_count: float


def mean_statistic(
    family: Family, data: Any, weights: ArrayLike | None = None, *, threads: int | None = None
) -> DataMoments:
    """The weighted mean of the sufficient statistic over data, in one pass, compensated and parallel.

    It is all that the data says about the natural parameters: ``family.to_natural(mean)`` maximises the weighted
    likelihood where the mean lies inside the mean space (T1).

    Parameters
    ----------
    family : Family
    data : array_like, shape (n, *event_shape), or iterator
        Also a memory map, of which only a block at a time is read; or an iterator of such arrays, which is read once, for
        example ``files.batches("samples.parquet")`` for files larger than memory. An item of an iterator may also be a
        tuple ``(samples, weights)``.
    weights : array_like, shape (n,), optional
        Non-negative; also a memory map. One each if omitted. A common factor of all weights has no effect on mean and
        standard error.
    threads : int, optional
        By default NUMBA_NUM_THREADS; only data of more than one block is shared among threads. The result does not depend
        on it.

    Returns
    -------
    DataMoments

    Raises
    ------
    InvalidData
        Naming the sample that lies outside the sample space; if there are no samples, no weight, or sums beyond the
        largest float.
    InvalidInput
        If weights are negative, not finite, or not one per sample.

    Notes
    -----
    With N samples in blocks of b ≤ 16384, and m blocks, ``mean`` is off by at most
    ``3 u |mean| + 2 (b + 2 m)² u² Σ w |φ| / Σ w``, u = 2^-53: data may cancel to one part in 10²¹ before the second term
    matters (Ogita, Rump & Oishi 2005, doi:10.1137/030601818). This is about sums of the statistic as float64 has it; φ
    itself, say a logarithm, is rounded as usual. The blocks begin anew with every item of an iterator.

    Examples
    --------
    >>> import numpy as np, expfam_game as eg
    >>> batches = (np.full(1000, k) for k in range(5))  # read one by one, never together in memory
    >>> moments = eg.families.mean_statistic(eg.families.Poisson(), batches)
    >>> moments.mean, moments.count, moments.standard_error.round(4)
    (array([2.]), 5000, array([0.02]))
    >>> eg.families.mean_statistic(eg.families.Bernoulli(1), [[0], [1]], weights=[3e-200, 1e-200]).mean
    array([0.25])
    """
    if not isinstance(family, Family):
        raise InvalidInput(f"family is {family!r}; give an object such as families.Poisson(), not a name or a class")
    if threads is not None:
        require_integer("mean_statistic", "threads", threads, 1)
    given = None if weights is None else _weight_array(weights)
    # Shown after two seconds, on terminals only.
    with tqdm(desc="reading data", unit=" samples", unit_scale=True, delay=2.0, disable=None, leave=False) as bar:
        sums = summed(family, data, given, pairs=True, threads=threads, tick=bar.update)
    if sums is None:
        raise InvalidData("there are no samples" if given is None else "there is no sample with a positive weight")
    return sums.moments()


def summed(
    family: Family,
    data: Any,
    weights: AnyArray | None = None,
    *,
    pairs: bool = False,
    threads: int | None = None,
    tick: Callable[[int], object] | None = None,
) -> Sums | None:
    """The sums behind :func:`mean_statistic`; None where no sample has a positive weight.

    With ``pairs`` a tuple from an iterator is a pair (samples, weights), otherwise an array. ``tick`` is called with the
    number of samples of every block: the progress bar.
    """
    pieces = _pieces(data, weights, max(16, min(_ROWS, _ENTRIES // family.dim)), pairs)
    total: Sums | None = None
    for rows, part in _in_order(partial(_measured, family), pieces, threads or default_threads()):
        if part is not None:
            total = part if total is None else total.merged(part)
        if tick is not None:
            tick(rows)
    if total is not None:
        total.require_finite(family)
    return total


# ---------------------------------------------------------------------- sums


@dataclass(frozen=True)
class Sums:
    """Sums over some samples, with weights divided by ``2**exponent``, so that none over- or underflows.

    ``total`` + ``rest`` are Σ w φ followed by Σ w; ``centre`` is the mean of φ with weights w², ``scatter`` the sum of
    w² (φ − centre)², and ``squares`` that of w². So scatter never comes from a difference of large numbers.
    """

    count: int
    exponent: int
    total: FloatArray
    rest: FloatArray
    squares: float
    centre: FloatArray
    scatter: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Σ w φ / Σ w."""
        sums = self.total + self.rest
        return np.asarray(sums[:-1] / sums[-1])

    def merged(self, other: Sums) -> Sums:
        """The sums over both."""
        exponent = max(self.exponent, other.exponent)
        a, b = self._with_exponent(exponent), other._with_exponent(exponent)
        with np.errstate(over="ignore", invalid="ignore"):
            total = a.total + b.total
            added = total - a.total
            error = (a.total - (total - added)) + (b.total - added)
            squares = a.squares + b.squares
            shift, share = b.centre - a.centre, b.squares / squares
            scatter = a.scatter + b.scatter + shift**2 * (a.squares * share)
            centre = a.centre + shift * share
        return Sums(a.count + b.count, exponent, total, a.rest + (b.rest + error), squares, centre, scatter)

    def _with_exponent(self, exponent: int) -> Sums:
        if exponent == self.exponent:
            return self
        down = self.exponent - exponent
        return Sums(
            self.count,
            exponent,
            np.ldexp(self.total, down),
            np.ldexp(self.rest, down),
            float(np.ldexp(self.squares, 2 * down)),
            self.centre,
            np.ldexp(self.scatter, 2 * down),
        )

    def require_finite(self, family: Family) -> None:
        """Raise about a sum that overflows."""
        bad = ~np.isfinite(self.total[:-1])
        if bad.any():
            entry = int(np.argmax(bad))
            raise InvalidData(
                f"the sum of statistic {entry} ({family.statistic_names[entry]}) is beyond the largest float64; scale the data",
                entry=entry,
            )

    def moments(self) -> DataMoments:
        """Mean, standard error and weight."""
        weight = float(self.total[-1] + self.rest[-1])
        with np.errstate(over="ignore", invalid="ignore"):
            around_mean = self.scatter + self.squares * (self.centre - self.mean) ** 2
            inflation = self.count / (self.count - 1) if self.count > 1 else np.inf
            variance = np.full_like(around_mean, np.inf) if self.count == 1 else inflation * around_mean
            error = np.sqrt(variance) / weight
            total_weight = float(np.ldexp(weight, self.exponent))
        return DataMoments(self.mean, error, total_weight, self.count, weight * weight / self.squares)


def _measured(family: Family, piece: Piece) -> tuple[int, Sums | None]:
    """The number of samples of a block, and its sums; None where no weight is positive."""
    start, samples, weights = piece
    phi = statistics_of(family, start, samples)
    rows, dim = phi.shape
    if weights is None:
        count, exponent, scaled = rows, 0, np.empty(0)
    else:
        scaled, exponent = _scaled(weights, rows, start)
        count = int(np.count_nonzero(weights))
    if count == 0:
        return rows, None
    if weights is not None and count < rows:
        counted = weights > 0
        phi, scaled = phi[counted], scaled[counted]
    total, rest, first, second = np.zeros(dim + 1), np.zeros(dim + 1), np.zeros(dim), np.zeros(dim)
    compensated_sums(phi, scaled, total, rest)
    with np.errstate(over="ignore", invalid="ignore"):
        around = (total + rest)[:-1] / (total[-1] + rest[-1])
        weights_squared = scaled * scaled
        squares = float(weights_squared.sum()) if weights is not None else float(rows)
        squared_deviations(phi, weights_squared, around, first, second)
        centre = around + first / squares
        scatter = np.maximum(second - first**2 / squares, 0.0)
    return rows, Sums(count, exponent, total, rest, squares, centre, scatter)


def statistics_of(family: Family, start: int, samples: AnyArray) -> FloatArray:
    """φ of every sample, shape (n, dim); errors name the row, counted from ``start``."""
    if len(family.event_shape) == 0 and samples.shape[1:] == (1,):
        samples = samples[:, 0]
    if samples.ndim != 1 + len(family.event_shape):
        shape = ", ".join(["n", *map(str, family.event_shape)])
        raise InvalidData(
            f"data of {family!r} must have shape ({shape}), one row per sample, got an array with "
            f"{samples.ndim} axes and rows of shape {samples.shape[1:]}"
        )
    try:
        return np.ascontiguousarray(family.statistic(samples), dtype=np.float64)
    except InvalidData as problem:
        if not isinstance(problem.agent, int):
            raise
        row = start + problem.agent
        where = f" (row {row} of the data)" if start else ""
        raise InvalidData(f"{problem}{where}", agent=row, entry=problem.entry, rule=problem.rule) from None


def _scaled(weights: AnyArray, rows: int, start: int) -> tuple[FloatArray, int]:
    """Weights of a block divided by a power of two, so that the largest lies between one and two; and its exponent."""
    if weights.shape != (rows,):
        raise InvalidInput(f"weights must be one number per sample, shape ({rows},), got {weights.shape}")
    values = np.ascontiguousarray(weights, dtype=np.float64)
    good = (values >= 0) & (values < np.inf)
    if not good.all():
        row = int(np.argmin(good))
        raise InvalidInput(
            f"the weight of sample {start + row} is {values[row]}; it must be finite and non-negative",
            agent=start + row,
            rule="it must be finite and non-negative",
        )
    largest = float(np.max(values, initial=0.0))
    exponent = int(np.frexp(largest)[1]) - 1 if largest > 0 else 0
    if abs(exponent) > 1000:
        return np.ldexp(values, -exponent), exponent
    return (values if exponent == 0 else values * 2.0**-exponent), exponent


# ---------------------------------------------------------------------- blocks


def _pieces(data: Any, weights: AnyArray | None, rows: int, pairs: bool) -> Iterator[Piece]:
    """The data in blocks, numbered by their first row."""
    start = 0
    for samples, own in _batches(data, pairs):
        n = len(samples)
        if weights is not None:
            if own is not None:
                raise InvalidInput("weights are given twice: beside the samples in the iterator and as weights=")
            own = weights[start : start + n]
            if len(own) != n:
                raise InvalidInput(f"there are {len(weights)} weights, but at least {start + n} samples")
        elif own is not None and own.shape != (n,):
            raise InvalidInput(f"an iterator gave {n} samples with weights of shape {own.shape}; give one per sample")
        for k in range(0, n, rows):
            yield start + k, samples[k : k + rows], None if own is None else own[k : k + rows]
        start += n
    if weights is not None and start != len(weights):
        raise InvalidInput(f"there are {len(weights)} weights, but {start} samples")


def _batches(data: Any, pairs: bool) -> Iterator[tuple[AnyArray, AnyArray | None]]:
    if hasattr(data, "__array__") or isinstance(data, (list, tuple, range)):
        yield array_of(data), None
    elif isinstance(data, Iterator):
        for item in data:
            if not (pairs and isinstance(item, tuple)):
                yield array_of(item), None
            elif len(item) == 2:
                yield array_of(item[0]), _weight_array(item[1])
            else:
                raise InvalidInput(f"an iterator gave a tuple of {len(item)}; it must be a pair (samples, weights)")
    else:
        hint = (
            "; load it first, for example numpy.load(path, mmap_mode='r') or expfam_game.files.batches(path)"
            if isinstance(data, str | PathLike)
            else ""
        )
        raise InvalidData(f"data must be an array or an iterator of arrays, got {type(data).__name__}{hint}")


def array_of(samples: Any) -> AnyArray:
    """Samples as an array of at least one axis, or an error that says what they are instead."""
    try:
        array = samples if isinstance(samples, np.ndarray) else np.asarray(samples)
    except ValueError as problem:
        raise InvalidData(f"data cannot be made an array: {problem}") from None
    if array.ndim == 0:
        raise InvalidData(f"data must be an array of samples, got a single {array.dtype}")
    return array


def _weight_array(weights: Any) -> AnyArray:
    try:
        array = weights if isinstance(weights, np.ndarray) else np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"weights must be an array of real numbers: {problem}") from None
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise InvalidInput(
            f"weights must be real numbers, one per sample; got an array of {array.dtype} with shape {array.shape}"
        )
    return array


def _in_order(measure: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """``measure`` of every item, in order; after the first, threads work ahead by a few items."""
    pending = iter(items)
    for first in pending:
        yield measure(first)
        break
    if threads == 1:
        yield from map(measure, pending)
        return
    with ExitStack() as stack:
        pool: ThreadPoolExecutor | None = None
        waiting = deque[Future[Result]]()
        for item in pending:
            if pool is None:
                pool = ThreadPoolExecutor(threads)
                stack.callback(pool.shutdown, cancel_futures=True)
            waiting.append(pool.submit(copy_context().run, measure, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
