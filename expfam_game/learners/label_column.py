"""Tables whose columns are features and a class label: taking them apart and putting them together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, BoolArray, FloatArray, IntArray
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.samples import SampleSet, as_array


@dataclass(frozen=True)
class LabelColumn:
    """Where the label is.

    Parameters
    ----------
    n_classes : int or None
        None: there is no label variable, and every sample is of class 0.
    column : int
        Negative numbers count from the last column.

    Examples
    --------
    >>> column = LabelColumn(n_classes=3)
    >>> features, labels = column.split(SampleSet([[0.5, 0.1, 2.0]]))
    >>> features.values, labels
    (array([[0.5, 0.1]]), array([2]))
    >>> column.join(features.values, labels)
    array([[0.5, 0.1, 2. ]])
    """

    n_classes: int | None
    column: int = -1

    def split(self, samples: SampleSet) -> tuple[SampleSet, IntArray]:
        """The features with the same row weights, and the labels, −1 where not observed.

        Raises
        ------
        InvalidData
            If a label is no integer in 0 … n_classes − 1, or there are no columns for it and a feature.
        """
        if self.n_classes is None:
            return samples, np.zeros(samples.n, dtype=np.int64)
        column = self._position(samples.n_variables)
        return samples.select(self._features(samples.n_variables)), samples.labels(column, self.n_classes)

    def join(self, features: AnyArray, labels: IntArray) -> AnyArray:
        """Features and labels as one table, of the features' type if it holds the labels."""
        if self.n_classes is None:
            return features
        kind = features.dtype
        if kind.kind == "f" or (kind.kind in "iu" and self.n_classes <= np.iinfo(kind).max):
            labels = labels.astype(kind)
        column = self.column % (features.shape[1] + 1)
        return np.concatenate([features[:, :column], labels[:, None], features[:, column:]], axis=1)

    def hidden(self, values: Any, observed: Any | None) -> SampleSet:
        """Samples whose label, if any, is not observed."""
        table = as_array(values)
        if table.ndim != 2:
            raise InvalidData(f"the samples have shape {table.shape}; they must be a table (n, V)")
        if self.n_classes is None:
            return SampleSet(table, None if observed is None else as_array(observed))
        mask: BoolArray = np.ones(table.shape[1], dtype=bool) if observed is None else as_array(observed).copy()
        if mask.ndim and mask.shape[-1] == table.shape[1]:  # if not, the sample set says what is wrong
            mask[..., self._position(table.shape[1])] = False
        return SampleSet(table, mask)

    def _position(self, n_variables: int) -> int:
        if n_variables < 2 or not -n_variables <= self.column < n_variables:
            raise InvalidData(
                f"the samples have {n_variables} variables; they must be features and a label in column {self.column}"
            )
        return self.column % n_variables

    def _features(self, n_variables: int) -> Any:
        """A slice where possible, so that nothing is copied."""
        column = self._position(n_variables)
        if column == n_variables - 1:
            return slice(0, column)
        return slice(1, None) if column == 0 else np.delete(np.arange(n_variables), column)


def stratified(n: int, class_prob: FloatArray, draw: Callable[[IntArray], AnyArray]) -> SampleSet:
    """The same number of samples of every class of positive probability, up to one, with weights that make up for it.

    Parameters
    ----------
    n : int
    class_prob : ndarray, shape (C,)
    draw : callable
        From labels, shape (n,), to samples, shape (n, V).
    """
    classes = np.flatnonzero(class_prob > 0)
    if n < classes.size:
        raise InvalidInput(f"n is {n}; {classes.size} classes need at least one sample each")
    labels = classes[np.arange(n) % classes.size]
    counts = np.bincount(labels, minlength=class_prob.size)
    return SampleSet(draw(labels), row_weights=n * class_prob[labels] / counts[labels])
