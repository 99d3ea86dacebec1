"""One density of any make per class: p(c, x) = p(c) p(x | c), fitted by EM where labels are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.learners.label_column import LabelColumn, stratified
from expfam_game.learners.log_space import draw_index, log_sum_exp
from expfam_game.learners.mixture import NEGLIGIBLE, checked_count
from expfam_game.samples import SampleSet, as_array, share_out


class ClassConditional:
    """A class variable and, for each class, a density of the features.

    Parameters
    ----------
    make_learner : callable
        From a class to a new learner of the features: an object with ``fit(samples, weights)`` and ``sample(n, seed)``, and
        for questions and unlabelled data ``log_prob(values, observed=None)``. If the model is to be pickled, so must
        this be: a class or function of a module, no lambda.
    n_classes : int
    label : int
        The column of the label; negative numbers count from the last column.
    max_iter : int
        Most EM steps of one ``fit``; each fits every learner once. Without unlabelled data one step is all there is.
    tol : float
        ``fit`` stops when a step raises the mean log-likelihood by less than this, in nats.
    warm_start : bool
        Whether ``fit`` keeps the learners of an earlier fit. What they do with that is up to them.

    Attributes
    ----------
    learners_ : dict of int to learner
        By class, for the classes that labels have defined.
    class_prob_ : ndarray, shape (C,)
        p(c): the expected weight of the class.
    history_ : list of float
        Mean log-likelihood before each EM step, in nats; empty where no label is missing. It never decreases if no ``fit`` of
        a learner lowers the weighted likelihood of its own samples (T11).

    Examples
    --------
    >>> from expfam_game.learners import BernoulliMixture
    >>> model = ClassConditional(lambda c: BernoulliMixture(1), n_classes=2)
    >>> x = [[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]]
    >>> model.fit([x], [1.0]).predict([[1, 0, 0], [0, 1, 0]])
    array([0, 1])
    """

    learners_: dict[int, Any]
    class_prob_: FloatArray
    history_: list[float]
    n_features_: int

    def __init__(
        self,
        make_learner: Callable[[int], Any],
        n_classes: int,
        *,
        label: int = -1,
        max_iter: int = 20,
        tol: float = 1e-2,
        warm_start: bool = True,
    ) -> None:
        self.make_learner = make_learner
        self.n_classes = checked_count("n_classes", n_classes)
        self.label = label
        self.max_iter = checked_count("max_iter", max_iter)
        if not tol >= 0:
            raise InvalidInput(f"tol is {tol!r}; it must be non-negative")
        self.tol = tol
        self.warm_start = warm_start
        self._labels = LabelColumn(self.n_classes, label)

    # ------------------------------------------------------------------ fitting

    def fit(self, samples: Sequence[Any], weights: Sequence[float] | None = None) -> Self:
        """Fit p(c) and the learners to weighted samples.

        Classes met for the first time start from their labelled samples alone. While no label has ever been observed
        nothing is fitted, and ``sample`` returns no rows.

        Parameters
        ----------
        samples : sequence of SampleSet or array_like
        weights : sequence of float, optional
            Total weight of each set, ≥ 0; only proportions count. Default: equal.

        Returns
        -------
        self

        Raises
        ------
        InvalidInput
            If labels are missing and a learner has no ``log_prob``, or samples and weights do not fit together.
        InvalidData
            If a label is outside its range, or the number of features differs from the last fit.
        """
        sets = share_out(samples, np.ones(len(samples)).tolist() if weights is None else weights)
        parts = [self._labels.split(part) for part in sets]
        self._prepare(parts[0][0].n_variables)
        labelled = np.zeros(self.n_classes)
        for features, labels in parts:
            known = labels >= 0
            labelled += np.bincount(labels[known], np.asarray(features.row_weights)[known], minlength=self.n_classes)
        has_open = any((labels < 0).any() for _, labels in parts)
        self.history_ = []
        for c in np.flatnonzero(labelled):
            new = int(c) not in self.learners_
            if new:
                self.learners_[int(c)] = self.make_learner(int(c))
            if new or not has_open:
                self._fit_class(int(c), parts, [np.where(labels == c, 1.0, 0.0) for _, labels in parts])
        if not self.learners_:
            return self
        if not has_open:
            self.class_prob_ = labelled / labelled.sum()
            return self
        self._enter_new_classes(labelled)
        self._em(parts)
        return self

    def _prepare(self, n_features: int) -> None:
        if not hasattr(self, "learners_") or not self.warm_start:
            self.learners_, self.class_prob_ = {}, np.zeros(self.n_classes)
            self.n_features_ = n_features
        if n_features != self.n_features_:
            raise InvalidData(f"the samples have {n_features} features; this model was fitted to {self.n_features_}")

    def _enter_new_classes(self, labelled: FloatArray) -> None:
        """A class of probability zero would explain none of its rows."""
        back = (labelled > 0) & (self.class_prob_ == 0)
        self.class_prob_ = self.class_prob_ * (1.0 - min(1.0, labelled[back].sum()))
        self.class_prob_[back] = labelled[back]
        self.class_prob_ /= self.class_prob_.sum()

    def _em(self, parts: Sequence[tuple[SampleSet, IntArray]]) -> None:
        for _ in range(self.max_iter):
            joints = [self._log_joint(features, labels) for features, labels in parts]
            log_probs = [log_sum_exp(joint) for joint in joints]
            weights = [np.asarray(features.row_weights) for features, _ in parts]
            self.history_.append(
                float(sum(weight @ log_prob for weight, log_prob in zip(weights, log_probs, strict=True)))
            )
            if len(self.history_) > 1 and self.history_[-1] - self.history_[-2] < self.tol:
                return
            shares = [np.exp(joint - log_prob[:, None]) for joint, log_prob in zip(joints, log_probs, strict=True)]
            mass = np.sum([weight @ share for weight, share in zip(weights, shares, strict=True)], axis=0)
            for c in np.flatnonzero(mass):
                self._fit_class(int(c), parts, [share[:, c] for share in shares])
            self.class_prob_ = mass / mass.sum()

    def _fit_class(self, c: int, parts: Sequence[tuple[SampleSet, IntArray]], shares: Sequence[FloatArray]) -> None:
        """Fit one learner to the rows, each to the share that it belongs to the class."""
        sets, totals = [], []
        for (features, _), share in zip(parts, shares, strict=True):
            near = np.flatnonzero(share > NEGLIGIBLE)
            weights = np.asarray(features.row_weights)[near] * share[near]
            if near.size and (total := float(weights.sum())) > 0:
                observed = features.observed
                mask = observed[near] if observed is not None and observed.ndim == 2 else observed
                sets.append(SampleSet(features.values[near], mask, weights))
                totals.append(total)
        self.learners_[c].fit(sets, totals)

    def _log_joint(self, features: SampleSet, labels: IntArray) -> FloatArray:
        """log p(c, x) of what is observed of x, shape (n, C); −∞ for classes that the label excludes."""
        result = np.full((features.n, self.n_classes), -np.inf)
        for c, learner in self.learners_.items():
            if self.class_prob_[c] == 0:
                continue
            if not hasattr(learner, "log_prob"):
                raise InvalidInput(
                    f"the learner of class {c}, {type(learner).__name__}, has no log_prob, which rows without a label and "
                    "questions about probabilities need; give such rows weight zero, or choose another learner"
                )
            rows = np.flatnonzero((labels == -1) | (labels == c))
            if not rows.size:
                continue
            known = features.mask()
            if known.all():
                density = learner.log_prob(features.values[rows])
            else:
                density = learner.log_prob(features.values[rows], np.broadcast_to(known, features.values.shape)[rows])
            result[rows, c] = np.asarray(density) + np.log(self.class_prob_[c])
        return result

    # ------------------------------------------------------------------ questions to a fitted model

    def log_prob(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """Log-density of the observed variables, the others summed out, shape (n,), in nats."""
        self._check_fitted()
        samples = SampleSet(as_array(values), None if observed is None else as_array(observed))
        return log_sum_exp(self._log_joint(*self._labels.split(samples)))

    def predict_proba(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """p(c | observed features), shape (n, C); what the label column says is ignored."""
        self._check_fitted()
        joint = self._log_joint(*self._labels.split(self._labels.hidden(values, observed)))
        return np.exp(joint - log_sum_exp(joint)[:, None])

    def predict(self, values: ArrayLike, observed: ArrayLike | None = None) -> IntArray:
        """The most probable class given the observed features, shape (n,)."""
        return np.asarray(np.argmax(self.predict_proba(values, observed), axis=1))

    def sample(self, n: int, seed: Seed = 0, labels: ArrayLike | None = None) -> AnyArray:
        """Draw samples of all variables, shape (n, V); no rows while no label has been observed.

        Parameters
        ----------
        n : int
        seed : int, SeedSequence or Generator
        labels : array_like of int, shape (n,), optional
            Classes to draw from; by default they are drawn as well.
        """
        self._check_fitted(need_classes=False)
        rng = np.random.default_rng(seed)
        if not self.learners_:
            return self._labels.join(np.empty((0, self.n_features_)), np.empty(0, dtype=np.int64))
        if labels is None:
            classes = rng.choice(self.n_classes, size=checked_count("n", n, least=0), p=self.class_prob_)
        else:
            classes = np.asarray(as_array(labels), dtype=np.int64)
            if classes.shape != (n,) or not set(classes.tolist()) <= set(self.learners_):
                raise InvalidInput(f"labels must be {n} classes out of those seen, {sorted(self.learners_)}")
        drawn = {c: self._draw(c, int((classes == c).sum()), rng) for c in _distinct(classes, self.learners_)}
        features = np.empty((n, self.n_features_), dtype=np.result_type(*drawn.values()))
        for c, values in drawn.items():
            features[classes == c] = values
        return self._labels.join(features, classes)

    def sample_stratified(self, n: int, seed: Seed = 0) -> SampleSet:
        """The same number of samples of every class, up to one, weighted so that weighted moments are unbiased."""
        self._check_fitted(need_classes=False)
        if not self.learners_:
            return SampleSet(self.sample(n, seed))
        return stratified(checked_count("n", n), self.class_prob_, lambda labels: self.sample(n, seed, labels=labels))

    def complete(self, values: ArrayLike, observed: ArrayLike, seed: Seed = 0) -> AnyArray:
        """Draw what is not observed given what is, shape (n, V).

        Missing features need ``complete(values, observed, seed)`` of the learners.
        """
        self._check_fitted()
        rng = np.random.default_rng(seed)
        features, labels = self._labels.split(SampleSet(as_array(values), as_array(observed)))
        joint = self._log_joint(features, labels)
        if not np.isfinite(joint.max(axis=1, initial=-np.inf)).all():
            raise InvalidData("some row has a label that this model has not seen")
        classes = draw_index(joint, rng)
        mask: BoolArray = np.broadcast_to(features.mask(), features.values.shape)
        result: AnyArray = features.filled()
        if not mask.all():
            for c in np.unique(classes):
                rows = classes == c
                filled = as_array(self.learners_[int(c)].complete(result[rows], mask[rows], rng))
                result = result.astype(np.result_type(result, filled))
                result[rows] = filled
        return self._labels.join(result, classes)

    def _draw(self, c: int, n: int, rng: np.random.Generator) -> AnyArray:
        drawn = SampleSet.of(self.learners_[c].sample(n, rng))
        if drawn.values.shape != (n, self.n_features_) or drawn.observed is not None or drawn.row_weights is not None:
            raise InvalidData(
                f"the learner of class {c} drew samples of shape {drawn.values.shape}; asked were {(n, self.n_features_)}, "
                "fully observed and of equal weight"
            )
        return drawn.values

    def _check_fitted(self, need_classes: bool = True) -> None:
        if not hasattr(self, "learners_"):
            raise NotFitted("this model has not been fitted; call fit first")
        if need_classes and not self.learners_:
            raise NotFitted("no sample has defined the classes of this model yet; fit it to labelled samples first")


def _distinct(classes: IntArray, seen: Iterable[int]) -> list[int]:
    """The classes that occur, and some class in any case, so that empty draws have a type."""
    found = [int(c) for c in np.unique(classes)]
    return found or [min(seen)]
