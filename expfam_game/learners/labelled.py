"""What all models with a class label have in common: p(c), questions about it, and drawing by class.

    p(c, x) = p(c) p(x | c),        c = 0 … C − 1.

Without a label variable there is one class.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.learners.checks import checked_count, checked_integer
from expfam_game.learners.label_column import LabelColumn, stratified
from expfam_game.samples import SampleSet, as_array


class LabelledModel(ABC):
    """Base of models with a class label.

    Parameters
    ----------
    n_classes : int or None
        Number of classes C. None: there is no label variable.
    label : int
        The column of the label; negative numbers count from the last column.
    warm_start : bool
        Whether ``fit`` on a fitted model goes on from its present parameters.

    Attributes
    ----------
    class_prob_ : ndarray, shape (C,)
        p(c). Zero for classes that no sample has defined yet.
    seen_ : ndarray of bool, shape (C,)
        The classes that labels have defined.
    n_features_ : int
        Number of features D.

    Notes
    -----
    A subclass supplies ``_draw_rows(classes, rng)``, the features of rows of given classes, and ``predict_proba``.
    """

    class_prob_: FloatArray
    seen_: BoolArray
    n_features_: int

    def __init__(self, n_classes: int | None, label: int, warm_start: bool) -> None:
        self.n_classes = None if n_classes is None else checked_count("n_classes", n_classes)
        self.label = checked_integer("label", label)
        self.warm_start = warm_start
        self._labels = LabelColumn(self.n_classes, self.label)

    @abstractmethod
    def _draw_rows(self, classes: IntArray, rng: np.random.Generator) -> AnyArray:
        """Features of rows of the given classes, all of them seen, shape (n, D)."""

    @abstractmethod
    def predict_proba(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """p(c | observed features), shape (n, C); what the label column says is ignored."""

    # ------------------------------------------------------------------ state

    def __repr__(self) -> str:
        """The arguments that are not the default ones, and what has been fitted."""
        given = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name, parameter.default)
            if not np.array_equal(np.ravel(value), np.ravel(parameter.default)):
                given.append(f"{name}={_in_short(value)}")
        state = "not fitted"
        if self._is_allocated():
            state = f"{self.n_features_} features"
            if self.n_classes is not None:
                state += f", {int(self.seen_.sum())} of {self.n_classes} classes seen"
        return f"<{type(self).__name__}({', '.join(given)}), {state}>"

    def _is_allocated(self) -> bool:
        return hasattr(self, "class_prob_")

    def _check_fitted(self) -> None:
        if not self._is_allocated():
            raise NotFitted("this model has not been fitted; call fit first")

    def _check_defined(self) -> None:
        """Questions need classes that mean something."""
        self._check_fitted()
        if not self.seen_.any():
            raise NotFitted("no sample has defined the classes of this model yet; fit it to labelled samples first")

    def _check_features(self, n_features: int) -> None:
        if n_features != self.n_features_:
            if self.n_classes is None:
                raise InvalidData(
                    f"the samples have {n_features} features; this model was fitted to {self.n_features_}"
                )
            raise InvalidData(
                f"the samples have {n_features + 1} columns, a label and {n_features} features; this model was fitted to "
                f"{self.n_features_} features, so to {self.n_features_ + 1} columns. The label's column, {self.label}, "
                "belongs to every table, also where what it says is ignored"
            )

    def _admit(self, labelled: FloatArray) -> None:
        """Give classes of probability zero the weight of their labelled rows, of which they would explain none."""
        back = (labelled > 0) & (self.class_prob_ == 0)
        if back.any():
            self.class_prob_ = self.class_prob_ * (1.0 - min(1.0, labelled[back].sum()))
            self.class_prob_[back] = labelled[back]
            self.class_prob_ /= self.class_prob_.sum()

    # ------------------------------------------------------------------ questions and samples

    def predict(self, values: ArrayLike, observed: ArrayLike | None = None) -> IntArray:
        """The most probable class given the observed features, shape (n,).

        Parameters
        ----------
        values : array_like, shape (n, V)
        observed : array_like of bool, shape (V,) or (n, V), optional
            Default: all are observed. What the label column says is ignored.

        Raises
        ------
        InvalidInput
            If the model has no label variable (``n_classes=None``).
        NotFitted
            While no sample has defined a class.
        """
        if self.n_classes is None:
            raise InvalidInput(
                f"this {type(self).__name__} has no classes to predict, since n_classes is None; make it with n_classes=C "
                "and give the label as one more column"
            )
        return np.asarray(np.argmax(self.predict_proba(values, observed), axis=1))

    def sample(self, n: int, seed: Seed = 0, labels: ArrayLike | None = None) -> AnyArray:
        """Draw samples of all variables.

        Parameters
        ----------
        n : int
        seed : int, SeedSequence or Generator
        labels : array_like of int, shape (n,), optional
            Classes to draw from; by default they are drawn as well.

        Returns
        -------
        ndarray, shape (n, V)
            No rows while no class has been defined: there is nothing to say yet.

        Raises
        ------
        NotFitted
            Before the first ``fit``.
        InvalidInput
            If n is no count, or a label is none of the classes seen.
        """
        self._check_fitted()
        n = checked_count("n", n, least=0)
        if not self.seen_.any():
            return self._labels.join(np.empty((0, self.n_features_), dtype=np.uint8), np.empty(0, dtype=np.int64))
        rng = np.random.default_rng(seed)
        if labels is None:
            classes = np.asarray(rng.choice(self.class_prob_.size, size=n, p=self.class_prob_), dtype=np.int64)
        else:
            classes = self._checked_labels(labels, n)
        return self._labels.join(self._draw_rows(classes, rng), classes)

    def sample_stratified(self, n: int, seed: Seed = 0) -> SampleSet:
        """Draw the same number of samples of every class, up to one, weighted so that weighted moments are unbiased.

        Parameters
        ----------
        n : int
            At least the number of classes of positive probability.
        seed : int, SeedSequence or Generator

        Returns
        -------
        SampleSet
            Row weights p(c) over the fraction of class c; all equal without a label variable. No rows while no class
            has been defined.
        """
        self._check_fitted()
        if not self.seen_.any():
            return SampleSet(self.sample(n, seed))
        return stratified(checked_count("n", n), self.class_prob_, lambda labels: self.sample(n, seed, labels=labels))

    def _checked_labels(self, labels: ArrayLike, n: int) -> IntArray:
        given, seen = as_array(labels), np.flatnonzero(self.seen_)
        if given.shape != (n,) or given.dtype.kind not in "biuf" or not np.isin(given, seen).all():
            raise InvalidInput(
                f"labels must be {n} classes out of those seen, {seen.tolist()}; "
                f"got {given.dtype} of shape {given.shape}"
            )
        return given.astype(np.int64)


def _in_short(value: Any) -> str:
    """An argument in few words, without its address."""
    if isinstance(value, np.ndarray):
        return repr(value.item()) if value.ndim == 0 else f"<array of shape {value.shape}>"
    if value is None or isinstance(value, (str, int, float, list, tuple)):
        return repr(value)
    return str(getattr(value, "__qualname__", type(value).__name__)).rpartition(".")[2]
