"""Weighted sample sets with missing values: what agents exchange and what learners fit (T11).

A leaf module: it imports nothing of ours but ``errors`` and ``_typing``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray
from expfam_game.errors import InvalidData, InvalidInput

__all__ = ["SampleSet", "as_array", "pool", "share_out"]

_BLOCK = 1 << 20
"""Values looked at together, which bounds the memory of a check."""


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Samples of some variables, each with a weight, some of them not observed.

    A class label is one more column, with values 0, 1, …, C − 1. The arrays are not copied where that can be avoided.
    Masked arrays of NumPy are refused: their mask says what is missing, ``observed`` what is known.

    Parameters
    ----------
    values : array_like, shape (n, V)
        One row a sample, one column a variable. Real numbers; finite where observed. ``n = 0`` means "nothing to say".
    observed : array_like of bool, shape (V,) or (n, V), optional
        True where a value is known (T11). Other values are ignored and may be anything, also NaN. Default: all known.
    row_weights : array_like, shape (n,), optional
        Non-negative, not all zero. Only their proportions count. Default: equal.

    Raises
    ------
    InvalidData
        If values are no table of real numbers, or an observed value is NaN or infinite; says which one.
    InvalidInput
        If the mask or the weights do not fit the values, or a weight is negative or not finite.

    Examples
    --------
    Two samples of a pixel and a label, the second without its label (the −1 could be anything):

    >>> from expfam_game import SampleSet
    >>> samples = SampleSet([[1, 3], [0, -1]], observed=[[True, True], [True, False]], row_weights=[1, 3])
    >>> samples
    SampleSet(2 samples × 2 variables, some values not observed, weighted)
    >>> samples.n, samples.n_variables
    (2, 2)
    >>> samples.normalized_weights()
    array([0.25, 0.75])
    >>> samples.labels(column=1, n_classes=10)
    array([ 3, -1])

    A mask with one entry a column says that nobody has a label:

    >>> SampleSet([[1, 0], [0, 0]], observed=[True, False]).labels(column=1, n_classes=10)
    array([-1, -1])
    """

    values: AnyArray
    observed: BoolArray | None = None
    row_weights: FloatArray | None = None

    def __post_init__(self) -> None:
        values = _checked_values(self.values)
        observed = None if self.observed is None else _checked_mask(self.observed, values.shape)
        weights = None if self.row_weights is None else _checked_weights(self.row_weights, values.shape[0])
        _check_finite(values, observed)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "observed", observed)
        object.__setattr__(self, "row_weights", weights)

    def __repr__(self) -> str:
        masked = "" if self.observed is None or self.observed.all() else ", some values not observed"
        weighted = "" if self.row_weights is None else ", weighted"
        return f"SampleSet({counted(self.n, 'sample')} × {counted(self.n_variables, 'variable')}{masked}{weighted})"

    @classmethod
    def of(cls, samples: Any) -> SampleSet:
        """The sample set itself, or a fully observed one made of an array or anything with ``__array__``/``__dlpack__``."""
        return samples if isinstance(samples, SampleSet) else cls(samples)

    @property
    def n(self) -> int:
        """The number of samples."""
        return int(self.values.shape[0])

    @property
    def n_variables(self) -> int:
        """The number of variables, observed or not."""
        return int(self.values.shape[1])

    def __len__(self) -> int:
        return self.n

    def mask(self) -> BoolArray:
        """Which values are observed: bool, shape (n, V), or (1, V) where all rows agree."""
        if self.observed is None:
            return np.ones((1, self.n_variables), dtype=bool)
        return np.atleast_2d(self.observed)

    def normalized_weights(self) -> FloatArray:
        """Shape (n,): the row weights divided by their sum."""
        if self.row_weights is None:
            return np.full(self.n, 1.0 / max(self.n, 1))
        if self.n == 0:
            return np.empty(0)
        scaled = self.row_weights / self.row_weights.max()  # the sum of the weights themselves may overflow
        return np.asarray(scaled / scaled.sum())

    def filled(self, value: float = 0) -> AnyArray:
        """The values with ``value`` where they are not observed; the array itself where all are."""
        if self.observed is None or self.observed.all():
            return self.values
        return np.where(self.observed, self.values, np.asarray(value, dtype=self.values.dtype))

    def labels(self, column: int, n_classes: int) -> IntArray:
        """The class labels in a column.

        Parameters
        ----------
        column : int
            Negative numbers count from the last column.
        n_classes : int

        Returns
        -------
        ndarray of int, shape (n,)
            In 0 … n_classes − 1, and −1 where the label is not observed.

        Raises
        ------
        InvalidData
            If an observed label is no integer in that range.
        """
        known = np.broadcast_to(self.mask()[:, column], (self.n,))
        raw = np.where(known, self.values[:, column], np.asarray(0, dtype=self.values.dtype))
        wrong = (raw != np.floor(raw)) | (raw < 0) | (raw >= n_classes) if raw.dtype != bool else np.zeros(self.n, bool)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InvalidData(
                f"row {row} has the label {raw[row]} in column {column}; labels must be integers from 0 to {n_classes - 1}",
                entry=row,
                rule="labels",
            )
        return np.where(known, raw.astype(np.int64), -1)

    def take(self, rows: ArrayLike | slice) -> SampleSet:
        """The rows of the given indices (or slice, or bool per row), with their weights in the same proportions.

        If all of these rows weigh nothing, none is returned.
        """
        index: Any = rows if isinstance(rows, slice) else np.asarray(rows)
        if self.row_weights is not None and not self.row_weights[index].any():
            index = slice(0, 0)
        observed = self.observed[index] if self.observed is not None and self.observed.ndim == 2 else self.observed
        return SampleSet(self.values[index], observed, None if self.row_weights is None else self.row_weights[index])

    def select(self, columns: ArrayLike | slice) -> SampleSet:
        """The variables of the given columns only."""
        index: Any = columns if isinstance(columns, slice) else np.asarray(columns)
        observed = None if self.observed is None else self.observed[..., index]
        return SampleSet(self.values[:, index], observed, self.row_weights)

    def blocks(self, rows: int) -> Iterator[slice]:
        """Slices of at most ``rows`` rows that cover the set, so that large sets are worked off in bounded memory."""
        for start in range(0, self.n, rows):
            yield slice(start, min(start + rows, self.n))


def share_out(samples: Sequence[Any], weights: Sequence[float]) -> list[SampleSet]:
    """The sample sets with the given total weights: over all of them together, the row weights sum to one.

    Parameters
    ----------
    samples : sequence of SampleSet or array_like
        All of the same number of variables. Sets without rows have nothing to say and are left out.
    weights : sequence of float
        ``weights[k] ≥ 0`` is the total weight of set k; its row weights distribute it inside the set. Any positive sum:
        only proportions count.

    Returns
    -------
    list of SampleSet
        Those that have rows and a positive weight.

    Raises
    ------
    InvalidInput
        If the lengths differ, a weight is negative or not finite, nothing is left, or the numbers of variables differ.
    """
    if len(samples) != len(weights):
        raise InvalidInput(f"samples has length {len(samples)}, weights {len(weights)}; give one weight a set")
    totals = np.asarray(weights, dtype=np.float64)
    if totals.ndim != 1 or not np.all(np.isfinite(totals)) or np.any(totals < 0):
        raise InvalidInput(
            f"the weights of the sample sets are {totals.tolist()}; they must be non-negative finite numbers"
        )
    sets = [SampleSet.of(part) for part in samples]
    kept = [index for index, part in enumerate(sets) if part.n and totals[index] > 0]
    if not kept:
        raise InvalidInput("no sample set has both rows and a positive weight, so there is nothing to fit")
    if len({sets[index].n_variables for index in kept}) > 1:
        found = ", ".join(str(sets[index].n_variables) for index in kept)
        raise InvalidInput(
            f"the sample sets have different numbers of variables ({found}); give all of them the columns of all variables, "
            "and say by SampleSet(values, observed=...) which are known"
        )
    shares = totals[kept] / totals[kept].max()  # the sum of the weights themselves may overflow
    shares /= shares.sum()
    return [
        replace(sets[index], row_weights=share * sets[index].normalized_weights())
        for index, share in zip(kept, shares, strict=True)
        if share > np.finfo(np.float64).tiny
    ]


def pool(samples: Sequence[Any], weights: Sequence[float]) -> SampleSet:
    """One sample set out of several: the mixture of their empirical distributions with the given weights.

    Parameters and errors are those of :func:`share_out`.

    Returns
    -------
    SampleSet
        Its row weights sum to one. Rows of weight zero are kept unless their whole set weighs zero.

    Examples
    --------
    >>> from expfam_game.samples import pool
    >>> both = pool([[[0.0], [1.0]], [[5.0]]], weights=[3.0, 1.0])
    >>> both.values[:, 0], both.row_weights
    (array([0., 1., 5.]), array([0.375, 0.375, 0.25 ]))
    """
    parts = share_out(samples, weights)
    if len(parts) == 1:
        return parts[0]
    row_weights = np.concatenate([part.row_weights for part in parts if part.row_weights is not None])
    return SampleSet(np.concatenate([part.values for part in parts]), _pooled_mask(parts), row_weights)


def as_array(samples: Any) -> AnyArray:
    """A NumPy array of anything that is one, has ``__array__`` or ``__dlpack__``, or is a nested sequence.

    >>> from expfam_game.samples import as_array
    >>> as_array([[1, 2]]).shape
    (1, 2)
    """
    if np.ma.is_masked(samples):
        raise InvalidData("the samples are a masked array; give SampleSet(its data, observed=~mask)")
    if isinstance(samples, np.ndarray):
        return np.asarray(samples)  # subclasses have arithmetic of their own
    if hasattr(samples, "__dlpack__") and not hasattr(samples, "__array__"):
        return np.from_dlpack(samples)
    try:
        return np.asarray(samples)
    except ValueError as problem:
        raise InvalidData(f"the samples cannot be made into an array: {problem}") from problem


def counted(number: int, what: str, many: str = "") -> str:
    """A number and what it counts, for messages.

    >>> from expfam_game.samples import counted
    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{number} {what if number == 1 else many or what + 's'}"


# ---------------------------------------------------------------------- checks


def _pooled_mask(parts: Sequence[SampleSet]) -> BoolArray | None:
    """One row for all where the parts agree, else a row for every sample."""
    first = parts[0].mask()
    if all(part.mask().shape == first.shape == (1, part.n_variables) for part in parts) and all(
        np.array_equal(part.mask(), first) for part in parts
    ):
        return None if first.all() else first[0]
    return np.concatenate([np.broadcast_to(part.mask(), part.values.shape) for part in parts])


def _checked_values(values: Any) -> AnyArray:
    array = as_array(values)
    if array.dtype.kind not in "biuf":
        raise InvalidData(f"the samples are of type {array.dtype}; they must be real numbers")
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidData(
            f"the samples have shape {array.shape}; they must be a table (n, V) with one row a sample and V ≥ 1 variables"
        )
    return array


def _checked_mask(observed: Any, shape: tuple[int, ...]) -> BoolArray:
    mask = as_array(observed)
    if mask.dtype != bool:
        raise InvalidInput(f"observed is of type {mask.dtype}; it must be bool, True where a value is known")
    if mask.shape not in ((shape[1],), shape):
        raise InvalidInput(
            f"observed has shape {mask.shape}; for samples of shape {shape} it must be {shape[1:]} or {shape}"
        )
    return mask


def _checked_weights(weights: Any, n: int) -> FloatArray:
    array = np.asarray(as_array(weights), dtype=np.float64)
    if array.shape != (n,):
        raise InvalidInput(f"row_weights have shape {array.shape}; it must be {(n,)}, one weight a row")
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInput(
            f"row_weights[{row}] is {array[row]}; weights must be non-negative and finite",
            entry=row,
            rule="row_weights",
        )
    if n and not array.any():
        raise InvalidInput("all row_weights are zero, so no row counts; leave the rows out instead")
    return array


def _check_finite(values: AnyArray, observed: BoolArray | None) -> None:
    """Blockwise, so that no temporary array of the size of the data is made."""
    if values.dtype.kind != "f":
        return
    step = max(1, _BLOCK // values.shape[1])
    for start in range(0, values.shape[0], step):
        wrong = ~np.isfinite(values[start : start + step])
        if observed is not None:
            wrong &= observed if observed.ndim == 1 else observed[start : start + step]
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            row += start
            raise InvalidData(
                f"row {row}, variable {column} is {values[row, column]}; observed values must be finite. "
                "Say which are missing by SampleSet(values, observed=mask), True where a value is known",
                entry=(int(row), int(column)),
                rule="finite",
            )
