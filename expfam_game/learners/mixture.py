"""Mixtures with a class label, fitted by weighted EM on labelled, unlabelled and incomplete samples.

A mixture is a joint model of a class c and features x,

    p(c, x) = p(c) Σ_k p(k | c) p(x | c, k),        c = 0 … C − 1,   k = 0 … K − 1.

This file holds all that does not depend on what a component is; a subclass supplies the components through six hooks
(:class:`Mixture` lists them). Without a label variable there is one class.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidData
from expfam_game.learners.checks import checked_count, checked_tolerance, set_weights
from expfam_game.learners.clustering import cluster, fill_with_means
from expfam_game.learners.labelled import LabelledModel
from expfam_game.learners.log_space import draw_index, log_sum_exp
from expfam_game.samples import SampleSet, as_array, share_out

BLOCK = 4096
"""Rows worked off together, which bounds the memory."""

NEGLIGIBLE = 1e-14
"""A row whose posterior probability of a class is below this leaves no trace in that class; rounding leaves more."""

START_ROWS = 2000
START_ROWS_PER_COMPONENT = 20
"""A new class starts from at most the larger of START_ROWS and that many rows a component."""

SETTLING_STEPS = 5
"""EM steps of a new class on its starting rows, by itself."""


@dataclass
class Part:
    """Samples that share a layout, as EM meets them.

    Attributes
    ----------
    values : ndarray, shape (n, D)
        Features; zero where not observed.
    mask : ndarray of bool or None
        Shape (1, D) or (n, D), True where observed; None where everything is.
    weights : ndarray, shape (n,)
        Over all parts of a fit they sum to one.
    labels : ndarray of int, shape (n,)
        The class, or −1 where the label is not observed.
    data : object
        What ``_encode`` made of values and mask.
    """

    values: AnyArray
    mask: BoolArray | None
    weights: FloatArray
    labels: IntArray
    data: Any = None

    def rows(self, label: int) -> Iterator[IntArray]:
        """Blocks of the rows with this label that weigh something; label −1: whose label is open."""
        index = np.flatnonzero((self.labels == label) & (self.weights > 0))
        for start in range(0, index.size, BLOCK):
            yield index[start : start + BLOCK]


class Mixture(LabelledModel):
    """Base of mixtures with a class label.

    Parameters
    ----------
    n_components : int
        Components per class, K.
    n_classes : int, optional
        Number of classes C of the label variable. None: there is no label variable.
    label : int
        The column of the label variable; negative numbers count from the last column.
    max_iter : int
        Most EM steps of one ``fit``.
    tol : float
        ``fit`` stops when a step raises the mean log-likelihood by less than this, in nats.
    warm_start : bool
        Whether ``fit`` on a fitted mixture starts from its present parameters.
    seed : int, SeedSequence or Generator
        Of the initialisation; fitting is deterministic otherwise.

    Attributes
    ----------
    class_prob_ : ndarray, shape (C,)
        p(c). Zero for classes that no sample has defined yet.
    component_prob_ : ndarray, shape (C, K)
        p(k | c); rows sum to one.
    seen_ : ndarray of bool, shape (C,)
        The classes whose components have been fitted.
    history_ : list of float
        Mean log-likelihood of what is observed, in nats, before every EM step of the last ``fit``; never decreasing
        (T11).
    converged_ : bool
        Whether the last ``fit`` met ``tol``.
    n_features_ : int
        Number of features D.

    Notes
    -----
    Each EM step maximises the expected log-likelihood of the observed values given the posterior of the hidden class
    and component, so it never lowers the likelihood (T11). An observed label leaves only its own class, a missing one
    all classes that have been seen; missing features are left out. Estimates are ratios of expected sums, so they
    depend on the weights through their proportions only, and a mixture that is refitted to its own exact moments stays
    put.

    If no label has ever been observed the classes have no meaning: ``fit`` then changes nothing, and ``sample`` returns
    no rows.

    A subclass supplies the hooks, all but the first two about one class ``c`` at a time:

    * ``_encode(values, mask)``: check and prepare a part once per fit, before anything else is asked; the default
      returns ``(values, mask)``.
    * ``_allocate(n_features)``: make room for the parameters of all classes.
    * ``_start(c, values, mask, responsibilities, rng)``: first parameters of the K components.
    * ``_log_density(c, data, rows)``: log p(x | c, k) of what is observed, shape (rows, K).
    * ``_new_statistics(c)``, ``_accumulate(statistics, c, data, rows, responsibilities)``: expected sums.
    * ``_maximise(c, statistics, mass)``: parameters from the sums; a component of mass zero keeps its own.
    * ``_draw(c, components, rng)``, ``_fill(c, components, values, mask, rng)``: features drawn given the component.

    References
    ----------
    A. Dempster, N. Laird, D. Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm".

    Examples
    --------
    A whole subclass: lifetimes, exponential with a rate for each class, component and feature.

    >>> import numpy as np
    >>> from expfam_game.learners import Mixture
    >>> class Lifetimes(Mixture):
    ...     def _encode(self, values, mask):  # missing values are zero already
    ...         return values, np.broadcast_to(1.0 if mask is None else mask, values.shape)
    ...     def _allocate(self, n_features):
    ...         self.rate_ = np.ones((self.class_prob_.size, self.n_components, n_features))
    ...     def _start(self, c, values, mask, responsibilities, rng):
    ...         self.rate_[c] = responsibilities.sum(axis=0)[:, None] / (responsibilities.T @ values)
    ...     def _log_density(self, c, data, rows):
    ...         values, known = data
    ...         return known[rows] @ np.log(self.rate_[c]).T - values[rows] @ self.rate_[c].T
    ...     def _new_statistics(self, c):
    ...         return np.zeros((2, self.n_components, self.n_features_))
    ...     def _accumulate(self, statistics, c, data, rows, responsibilities):
    ...         values, known = data
    ...         statistics += [responsibilities.T @ known[rows], responsibilities.T @ values[rows]]
    ...     def _maximise(self, c, statistics, mass):
    ...         count, total = statistics
    ...         np.divide(count, total, out=self.rate_[c], where=count > 0)
    ...     def _draw(self, c, components, rng):
    ...         return rng.exponential(1.0 / self.rate_[c, components])
    ...     def _fill(self, c, components, values, mask, rng):
    ...         return np.where(mask, values, self._draw(c, components, rng))
    >>> bulbs = np.random.default_rng(0).exponential([[1.0, 2.0]] * 300 + [[20.0, 9.0]] * 700)
    >>> model = Lifetimes(2, tol=1e-6, max_iter=200).fit([bulbs])
    >>> np.sort(1.0 / model.rate_[0], axis=0).round()
    array([[ 1.,  2.],
           [20.,  9.]])
    """

    component_prob_: FloatArray
    history_: list[float]
    converged_: bool

    def __init__(
        self,
        n_components: int,
        *,
        n_classes: int | None = None,
        label: int = -1,
        max_iter: int = 50,
        tol: float = 1e-3,
        warm_start: bool = True,
        seed: Seed = 0,
    ) -> None:
        super().__init__(n_classes, label, warm_start)
        self.n_components = checked_count("n_components", n_components)
        self.max_iter = checked_count("max_iter", max_iter)
        self.tol = checked_tolerance(tol)
        self.seed = seed

    # ------------------------------------------------------------------ hooks

    def _encode(self, values: AnyArray, mask: BoolArray | None) -> Any:
        return values, mask

    @abstractmethod
    def _start(
        self, c: int, values: FloatArray, mask: BoolArray | None, responsibilities: FloatArray, rng: np.random.Generator
    ) -> None: ...

    @abstractmethod
    def _log_density(self, c: int, data: Any, rows: IntArray) -> FloatArray: ...

    @abstractmethod
    def _new_statistics(self, c: int) -> Any: ...

    @abstractmethod
    def _accumulate(self, statistics: Any, c: int, data: Any, rows: IntArray, responsibilities: FloatArray) -> None: ...

    @abstractmethod
    def _maximise(self, c: int, statistics: Any, mass: FloatArray) -> None: ...

    @abstractmethod
    def _draw(self, c: int, components: IntArray, rng: np.random.Generator) -> AnyArray: ...

    @abstractmethod
    def _fill(
        self, c: int, components: IntArray, values: AnyArray, mask: BoolArray, rng: np.random.Generator
    ) -> AnyArray: ...

    @abstractmethod
    def _allocate(self, n_features: int) -> None:
        """Make room for the parameters of all classes; called before any ``_start``."""

    # ------------------------------------------------------------------ fitting

    def fit(self, samples: Sequence[Any], weights: Sequence[float] | None = None) -> Self:
        """Raise the weighted log-likelihood of the samples by EM until it gains less than ``tol`` a step.

        Parameters
        ----------
        samples : sequence of SampleSet or array_like
            Tables of the same variables, the label among them if there is one.
        weights : sequence of float, optional
            Total weight of each set, ≥ 0; only proportions count. Default: equal.

        Returns
        -------
        self

        Raises
        ------
        InvalidInput
            If the sets and weights do not fit together or nothing is left to fit.
        InvalidData
            If a label or feature is outside its range, or the number of variables differs from the last fit.
        """
        return self._run(samples, weights, self.max_iter, fresh=not self.warm_start)

    def partial_fit(self, samples: Sequence[Any], weights: Sequence[float] | None = None) -> Self:
        """One EM step from the present parameters; parameters and errors are those of :meth:`fit`.

        The samples are the whole objective of the step, not an addition to earlier ones.
        """
        return self._run(samples, weights, 1, fresh=False)

    def _run(self, samples: Sequence[Any], weights: Sequence[float] | None, steps: int, fresh: bool) -> Self:
        sets = share_out(samples, set_weights(samples, weights))
        parts = merge([self._part(part) for part in sets])
        n_features = parts[0].values.shape[1]
        fresh = fresh or not self._is_allocated()
        if not fresh:
            self._check_features(n_features)
        for part in parts:  # before anything changes, since this is where bad samples are found
            part.data = self._encode(part.values, part.mask)
        if fresh:
            self._reset(n_features)
        self._meet_new_classes(parts)
        self.history_, self.converged_ = [], False
        if not self.seen_.any():
            return self
        for _ in range(steps):
            self.history_.append(self._step(parts))
            if len(self.history_) > 1 and self.history_[-1] - self.history_[-2] < self.tol:
                self.converged_ = True
                break
        return self

    def _reset(self, n_features: int) -> None:
        classes, k = self.n_classes or 1, self.n_components
        self.n_features_ = n_features
        self.class_prob_ = np.zeros(classes)
        self.component_prob_ = np.full((classes, k), 1.0 / k)
        self.seen_ = np.zeros(classes, dtype=bool)
        self._allocate(n_features)

    def _part(self, samples: SampleSet) -> Part:
        """Features and labels apart."""
        features, labels = self._labels.split(samples)
        mask = features.mask()
        return Part(features.filled(), None if mask.all() else mask, np.asarray(features.row_weights), labels)

    # ------------------------------------------------------------------ EM

    def _step(self, parts: Sequence[Part]) -> float:
        """One EM step; returns the mean log-likelihood before it.

        Rows with an open label meet all classes, the others their own only. Where no label is open, the sums of one
        class exist at a time.
        """
        mass = np.zeros_like(self.component_prob_)
        classes = np.flatnonzero(self.seen_)
        likelihood = 0.0
        shared: dict[int, Any] = {}
        if any((part.labels < 0).any() for part in parts):
            shared = {int(c): self._new_statistics(int(c)) for c in classes}
            likelihood += sum(self._absorb(part, rows, shared, mass) for part in parts for rows in part.rows(-1))
        for c in map(int, classes):
            own = {c: shared.pop(c) if c in shared else self._new_statistics(c)}
            likelihood += sum(self._absorb(part, rows, own, mass) for part in parts for rows in part.rows(c))
            self._maximise(c, own[c], mass[c])
        total = mass.sum(axis=1)
        self.class_prob_ = total / total.sum()
        alive = total > 0
        self.component_prob_[alive] = mass[alive] / total[alive, None]
        return float(likelihood)

    def _absorb(self, part: Part, rows: IntArray, statistics: dict[int, Any], mass: FloatArray) -> float:
        """Add the expected sums of some rows, whose class is among the keys; returns their weighted log-likelihood."""
        classes = list(statistics)
        log_joint = self._log_joint(part.data, rows, classes)
        log_prob = log_sum_exp(log_joint.reshape(rows.size, -1))
        responsibilities = np.exp(log_joint - log_prob[:, None, None])
        responsibilities *= part.weights[rows, None, None]
        for position, c in enumerate(classes):
            share, met = responsibilities[:, position], rows
            if len(classes) > 1:
                near = share.sum(axis=1) > NEGLIGIBLE * part.weights[rows]
                share, met = share[near], rows[near]
            if met.size:
                share = np.ascontiguousarray(share)
                mass[c] += share.sum(axis=0)
                self._accumulate(statistics[c], c, part.data, met, share)
        return float(part.weights[rows] @ log_prob)

    def _log_joint(self, data: Any, rows: IntArray, classes: Sequence[int]) -> FloatArray:
        """log p(c, k, x) of what is observed of x, shape (rows, classes, K)."""
        result = np.empty((rows.size, len(classes), self.n_components))
        with np.errstate(divide="ignore"):
            log_prior = np.log(self.class_prob_)[:, None] + np.log(self.component_prob_)
        for position, c in enumerate(classes):
            np.add(self._log_density(c, data, rows), log_prior[c], out=result[:, position])
        return result

    # ------------------------------------------------------------------ new classes

    def _meet_new_classes(self, parts: Sequence[Part]) -> None:
        """Start the components of classes whose labels are observed for the first time, from labelled rows alone."""
        labelled = np.zeros(self.seen_.size)
        for part in parts:
            known = part.labels >= 0
            labelled += np.bincount(part.labels[known], part.weights[known], minlength=labelled.size)
        rng = np.random.default_rng(self.seed)
        for c in np.flatnonzero((labelled > 0) & ~self.seen_):
            self._meet(int(c), parts, rng)
        self._admit(labelled)

    def _meet(self, c: int, parts: Sequence[Part], rng: np.random.Generator) -> None:
        start = self._starting_part(c, parts, rng)
        features = np.asarray(start.values, dtype=np.float64)
        responsibilities = cluster(fill_with_means(features, start.mask), start.weights, self.n_components, rng)
        self._start(c, features, start.mask, responsibilities, rng)
        self.component_prob_[c] = responsibilities.sum(axis=0) / responsibilities.sum()
        self.seen_[c] = True
        start.data = self._encode(start.values, start.mask)
        everything = np.arange(start.weights.size)
        prior, self.class_prob_ = self.class_prob_, np.ones_like(self.class_prob_)
        for _ in range(SETTLING_STEPS if self.n_components > 1 else 1):
            statistics, mass = {c: self._new_statistics(c)}, np.zeros_like(self.component_prob_)
            self._absorb(start, everything, statistics, mass)
            self._maximise(c, statistics[c], mass[c])
            self.component_prob_[c] = mass[c] / mass[c].sum()
        self.class_prob_ = prior

    def _starting_part(self, c: int, parts: Sequence[Part], rng: np.random.Generator) -> Part:
        """Labelled rows of a class, drawn by weight where they are many."""
        found = [np.flatnonzero((part.labels == c) & (part.weights > 0)) for part in parts]
        weights = np.concatenate([part.weights[rows] for part, rows in zip(parts, found, strict=True)])
        weights /= weights.sum()
        most = max(START_ROWS, START_ROWS_PER_COMPONENT * self.n_components)
        chosen = np.arange(weights.size)
        if weights.size > most:
            # Gumbel's trick draws without replacement, also where few rows hold all the weight.
            chosen = np.sort(np.argpartition(-(np.log(weights) + rng.gumbel(size=weights.size)), most)[:most])
            weights = np.full(most, 1.0 / most)
        owner = np.repeat(np.arange(len(parts)), [rows.size for rows in found])[chosen]
        rows = np.concatenate(found)[chosen]
        picks = [(part, rows[owner == index]) for index, part in enumerate(parts)]
        values = np.concatenate([part.values[pick] for part, pick in picks])
        masks = [
            np.ones((pick.size, self.n_features_), dtype=bool)
            if part.mask is None
            else np.broadcast_to(part.mask, part.values.shape)[pick]
            for part, pick in picks
        ]
        mask = np.concatenate(masks)
        return Part(values, None if mask.all() else mask, weights, np.full(weights.size, c))

    # ------------------------------------------------------------------ questions to a fitted mixture

    def log_prob(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """Log-density of the observed variables, all others summed out.

        Parameters
        ----------
        values : array_like, shape (n, V)
        observed : array_like of bool, shape (V,) or (n, V), optional
            Default: all are observed.

        Returns
        -------
        ndarray, shape (n,)
            In nats; −∞ for a label of a class that has not been seen.
        """
        part = self._question(SampleSet(as_array(values), None if observed is None else as_array(observed)))
        result = np.empty(part.labels.size)
        for rows, classes, log_joint in self._joints(part):
            result[rows] = log_sum_exp(log_joint.reshape(rows.size, -1)) if classes else -np.inf
        return result

    def predict_proba(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """p(c | observed features), shape (n, C); what the label column says is ignored.

        Parameters
        ----------
        values : array_like, shape (n, V)
        observed : array_like of bool, shape (V,) or (n, V), optional
        """
        part = self._question(self._labels.hidden(values, observed))
        result = np.zeros((part.labels.size, self.seen_.size))
        for rows, classes, log_joint in self._joints(part):
            log_class = np.stack([log_sum_exp(log_joint[:, position]) for position in range(len(classes))], axis=1)
            log_class -= log_sum_exp(log_class)[:, None]
            result[rows[:, None], classes] = np.exp(log_class)
        return result

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
        """
        samples = SampleSet(as_array(values), as_array(observed))
        part = self._question(samples)
        rng = np.random.default_rng(seed)
        mask = np.broadcast_to(True if part.mask is None else part.mask, part.values.shape)
        drawn_class, features = np.empty(samples.n, dtype=np.int64), None
        for rows, classes, log_joint in self._joints(part):
            if not classes:
                raise InvalidData(f"row {int(rows[0])} has a label that this mixture has not seen")
            choice = draw_index(log_joint.reshape(rows.size, -1), rng)
            drawn_class[rows] = np.asarray(classes)[choice // self.n_components]
            for c in np.unique(drawn_class[rows]):
                mine = drawn_class[rows] == c
                met = rows[mine]
                filled = self._fill(int(c), choice[mine] % self.n_components, part.values[met], mask[met], rng)
                if features is None:
                    features = np.zeros(part.values.shape, dtype=np.result_type(filled, part.values))
                features[met] = filled
        return self._labels.join(part.values if features is None else features, drawn_class)

    def _draw_rows(self, classes: IntArray, rng: np.random.Generator) -> AnyArray:
        features = None
        for c in np.flatnonzero(self.seen_):
            rows = np.flatnonzero(classes == c)
            components = rng.choice(self.n_components, size=rows.size, p=self.component_prob_[c])
            for start in range(0, max(rows.size, 1), BLOCK):  # at least once, which tells the type
                block = slice(start, start + BLOCK)
                drawn = self._draw(int(c), components[block], rng)
                if features is None:
                    features = np.empty((classes.size, self.n_features_), dtype=drawn.dtype)
                features[rows[block]] = drawn
        assert features is not None  # some class has been seen
        return features

    def _question(self, samples: SampleSet) -> Part:
        """A part to be asked about, encoded."""
        self._check_defined()
        part = self._part(SampleSet(samples.values, samples.observed, np.ones(samples.n)))
        self._check_features(part.values.shape[1])
        part.data = self._encode(part.values, part.mask)
        return part

    def _joints(self, part: Part) -> Iterator[tuple[IntArray, list[int], FloatArray]]:
        """Blocks of rows, the classes they may belong to (none where the label was never seen), and log p(c, k, x)."""
        for label in np.unique(part.labels):
            classes = [int(c) for c in np.flatnonzero(self.seen_ & (self.class_prob_ > 0)) if label in (-1, c)]
            for rows in part.rows(int(label)):
                yield rows, classes, self._log_joint(part.data, rows, classes)


# ---------------------------------------------------------------------- helpers


def merge(parts: Sequence[Part]) -> list[Part]:
    """The same rows in fewer parts: those in which the same features are observed in every row become one."""
    groups: dict[Any, list[Part]] = {}
    for position, part in enumerate(parts):
        key = part.mask if part.mask is None else part.mask.tobytes() if len(part.mask) == 1 else position
        groups.setdefault(key, []).append(part)
    return [
        alike[0]
        if len(alike) == 1
        else Part(
            np.concatenate([part.values for part in alike]),
            alike[0].mask,
            np.concatenate([part.weights for part in alike]),
            np.concatenate([part.labels for part in alike]),
        )
        for alike in groups.values()
    ]
