"""One density of any make per class: p(c, x) = p(c) p(x | c), fitted by EM where labels are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.learners.checks import checked_count, checked_tolerance, set_weights
from expfam_game.learners.labelled import LabelledModel
from expfam_game.learners.log_space import draw_index, log_sum_exp
from expfam_game.learners.mixture import NEGLIGIBLE
from expfam_game.samples import SampleSet, as_array, share_out


class ClassConditional(LabelledModel):
    """A class variable and, for each class, a density of the features.

    Parameters
    ----------
    make_learner : callable
        From a class to a new learner of the features: an object with ``fit(samples, weights)`` and ``sample(n, seed)``,
        and for questions and unlabelled data ``log_prob(values, observed=None)``. Seeds are whole numbers from 0 to
        2⁶³ − 1. A scikit-learn density becomes such a learner by :class:`~expfam_game.bridge.ScikitAgent`. If the model
        is to be pickled, which it is when it plays, so must this be: a class or function of a module; a lambda only
        where cloudpickle is installed.
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
    seen_ : ndarray of bool, shape (C,)
        The classes that labels have defined: the keys of ``learners_``.
    history_ : list of float
        Mean log-likelihood before each EM step, in nats; empty where no label is missing. It never decreases if no
        ``fit`` of a learner lowers the weighted likelihood of its own samples (T11).

    Notes
    -----
    Each EM step shares every unlabelled row out among the classes by its posterior and fits each learner to its shares
    (T11). The model is idempotent where its learners are: p(c) is the expected weight of the class, nothing added.

    References
    ----------
    K. Nigam, A. McCallum, S. Thrun, T. Mitchell (2000), "Text classification from labeled and unlabeled documents using
    EM".

    Examples
    --------
    >>> from expfam_game.learners import BernoulliMixture, ClassConditional
    >>> model = ClassConditional(lambda c: BernoulliMixture(1), n_classes=2)
    >>> x = [[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]]
    >>> model.fit([x], [1.0]).predict([[1, 0, 0], [0, 1, 0]])
    array([0, 1])
    """

    learners_: dict[int, Any]
    history_: list[float]

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
        super().__init__(checked_count("n_classes", n_classes), label, warm_start)
        if not callable(make_learner):
            raise InvalidInput(
                f"make_learner is {make_learner!r}; it must be a function from a class to a new learner, such as "
                "lambda c: BernoulliMixture(10)"
            )
        self.make_learner = make_learner
        self.max_iter = checked_count("max_iter", max_iter)
        self.tol = checked_tolerance(tol)

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
            If a label is outside its range, the number of features differs from the last fit, or a row has probability
            zero under every class that it may belong to.
        """
        parts = [self._rows(part) for part in share_out(samples, set_weights(samples, weights))]
        self._prepare(parts[0][0].n_variables)
        labelled = np.zeros(self.seen_.size)
        for features, labels in parts:
            known = labels >= 0
            labelled += np.bincount(labels[known], np.asarray(features.row_weights)[known], minlength=labelled.size)
        has_open = any((labels < 0).any() for _, labels in parts)
        self.history_ = []
        for c in map(int, np.flatnonzero(labelled)):
            if self.seen_[c] and has_open:
                continue  # EM goes on from what it knows of the class
            learner = self.learners_[c] if self.seen_[c] else self._new_learner(c)
            self._fit_learner(learner, parts, [np.where(labels == c, 1.0, 0.0) for _, labels in parts])
            self.learners_[c], self.seen_[c] = learner, True  # only now: the fit may have been refused
        if not self.seen_.any():
            return self
        if not has_open:
            self.class_prob_ = labelled / labelled.sum()
            return self
        self._admit(labelled)
        self._em(parts)
        return self

    def _new_learner(self, c: int) -> Any:
        """What ``make_learner`` returns, if that can fit and draw."""
        learner = self.make_learner(c)
        wrong = f"make_learner({c}) returned {learner!r}"
        if isinstance(learner, type) or not all(callable(getattr(learner, name, None)) for name in ("fit", "sample")):
            raise InvalidInput(f"{wrong}; it must be an object with fit(samples, weights) and sample(n, seed)")
        if (getattr(learner.fit, "__module__", None) or "").startswith("sklearn."):
            raise InvalidInput(
                f"{wrong}, a bare estimator of scikit-learn, which knows nothing of sets of samples and of weights; wrap "
                "it: expfam_game.bridge.ScikitAgent(estimator)"
            )
        return learner

    def _rows(self, samples: SampleSet) -> tuple[SampleSet, IntArray]:
        """The features and labels of the rows that weigh something; the others must not be asked about."""
        features, labels = self._labels.split(samples)
        counts = np.asarray(features.row_weights) > 0
        return (features, labels) if counts.all() else (features.take(counts), labels[counts])

    def _prepare(self, n_features: int) -> None:
        if not self._is_allocated() or not self.warm_start:
            n_classes = self.n_classes or 1
            self.learners_, self.class_prob_, self.seen_ = {}, np.zeros(n_classes), np.zeros(n_classes, dtype=bool)
            self.n_features_ = n_features
        self._check_features(n_features)

    def _em(self, parts: Sequence[tuple[SampleSet, IntArray]]) -> None:
        for _ in range(self.max_iter):
            joints = [self._log_joint(features, labels) for features, labels in parts]
            log_probs = [self._evidence(joint) for joint in joints]
            weights = [np.asarray(features.row_weights) for features, _ in parts]
            self.history_.append(
                float(sum(weight @ log_prob for weight, log_prob in zip(weights, log_probs, strict=True)))
            )
            if len(self.history_) > 1 and self.history_[-1] - self.history_[-2] < self.tol:
                return
            shares = [np.exp(joint - log_prob[:, None]) for joint, log_prob in zip(joints, log_probs, strict=True)]
            mass = np.sum([weight @ share for weight, share in zip(weights, shares, strict=True)], axis=0)
            for c in np.flatnonzero(mass):
                self._fit_learner(self.learners_[int(c)], parts, [share[:, c] for share in shares])
            self.class_prob_ = mass / mass.sum()

    @staticmethod
    def _evidence(log_joint: FloatArray) -> FloatArray:
        """log p(x) of every row, which must not be −∞ where a posterior is asked for."""
        result = log_sum_exp(log_joint)
        if np.isneginf(result).any():
            raise InvalidData(
                f"row {int(np.argmin(result))} has probability zero under every class that it may belong to, so it "
                "has no posterior; choose learners whose densities are positive everywhere"
            )
        return result

    @staticmethod
    def _fit_learner(learner: Any, parts: Sequence[tuple[SampleSet, IntArray]], shares: Sequence[FloatArray]) -> None:
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
        learner.fit(sets, totals)

    def _log_joint(self, features: SampleSet, labels: IntArray) -> FloatArray:
        """log p(c, x) of what is observed of x, shape (n, C); −∞ for classes that the label excludes."""
        self._check_features(features.n_variables)
        result = np.full((features.n, self.seen_.size), -np.inf)
        for c, learner in self.learners_.items():
            if self.class_prob_[c] == 0:
                continue
            if not hasattr(learner, "log_prob"):
                raise InvalidInput(
                    f"the learner of class {c}, {type(learner).__name__}, has no log_prob, which rows without a label "
                    "and questions about probabilities need; give such rows weight zero, or choose another learner"
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
        """Log-density of the observed variables, the others summed out, shape (n,), in nats.

        −∞ for a label of a class that has not been seen.

        Parameters
        ----------
        values : array_like, shape (n, V)
        observed : array_like of bool, shape (V,) or (n, V), optional
            Default: all are observed.
        """
        self._check_defined()
        samples = SampleSet(as_array(values), None if observed is None else as_array(observed))
        return log_sum_exp(self._log_joint(*self._labels.split(samples)))

    def predict_proba(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """p(c | observed features), shape (n, C); what the label column says is ignored.

        Parameters
        ----------
        values : array_like, shape (n, V)
        observed : array_like of bool, shape (V,) or (n, V), optional
            Default: all are observed.

        Raises
        ------
        InvalidData
            If a row has probability zero under every class.
        """
        self._check_defined()
        joint = self._log_joint(*self._labels.split(self._labels.hidden(values, observed)))
        return np.exp(joint - self._evidence(joint)[:, None])

    def _draw_rows(self, classes: IntArray, rng: np.random.Generator) -> AnyArray:
        met = np.unique(classes)
        if not met.size:
            met = np.flatnonzero(self.seen_)[:1]  # some class, so that empty draws have a type
        drawn = {int(c): self._draw(int(c), int((classes == c).sum()), rng) for c in met}
        features = np.empty((classes.size, self.n_features_), dtype=np.result_type(*drawn.values()))
        for c, values in drawn.items():
            features[classes == c] = values
        return features

    def complete(self, values: ArrayLike, observed: ArrayLike, seed: Seed = 0) -> AnyArray:
        """Draw what is not observed given what is.

        Parameters
        ----------
        values : array_like, shape (n, V)
        observed : array_like of bool, shape (V,) or (n, V)
        seed : int, SeedSequence or Generator

        Returns
        -------
        ndarray, shape (n, V)
            The observed values as they were, the others drawn from their conditional distribution.

        Raises
        ------
        InvalidInput
            If features are missing and a learner has no ``complete(values, observed, seed)``.
        InvalidData
            If a label is that of a class that has not been seen.
        """
        self._check_defined()
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
                filled = as_array(self._completing(int(c)).complete(result[rows], mask[rows], new_seed(rng)))
                result = result.astype(np.result_type(result, filled))
                result[rows] = filled
        return self._labels.join(result, classes)

    def _completing(self, c: int) -> Any:
        """The learner of a class, if it can draw missing features."""
        learner = self.learners_[c]
        if not hasattr(learner, "complete"):
            raise InvalidInput(
                f"the learner of class {c}, {type(learner).__name__}, has no complete, which missing features need; "
                "choose a learner that has"
            )
        return learner

    def _draw(self, c: int, n: int, rng: np.random.Generator) -> AnyArray:
        asked = max(n, 1)  # a row tells the type of the samples, and some learners cannot draw none
        drawn = SampleSet.of(self.learners_[c].sample(asked, new_seed(rng)))
        if (
            drawn.values.shape != (asked, self.n_features_)
            or drawn.observed is not None
            or drawn.row_weights is not None
        ):
            raise InvalidData(
                f"the learner of class {c} drew samples of shape {drawn.values.shape}; asked were "
                f"{(asked, self.n_features_)}, fully observed and of equal weight"
            )
        return drawn.values[:n]


def new_seed(rng: np.random.Generator) -> int:
    """A seed for a learner: a number, since learners of other make know nothing of NumPy's generators."""
    return int(rng.integers(2**63))
