"""Mixture of products of Bernoulli distributions with a class label: the default learner for binary images.

Every row is stored by where it deviates from a reference row (the majority value of each pixel), so an image costs its
strokes and not its area, in float64 throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidInput
from expfam_game.kernels.compiling import compiled, reduction
from expfam_game.learners.checks import check_binary, checked_margin
from expfam_game.learners.mixture import Mixture

START_STRENGTH = 2.0
"""Rows' worth of the class mean that a component starts with; later steps know nothing of it."""


@dataclass(frozen=True)
class BinaryRows:
    """Rows of zeros and ones, by their deviations from a reference row.

    Attributes
    ----------
    pointers : ndarray of int, shape (n + 1,)
        Row i owns ``entries[pointers[i] : pointers[i + 1]]``.
    entries : ndarray of int
        d < D: feature d is observed and differs from the reference. D + d: feature d is missing in this row, though it
        is present in others.
    reference : ndarray of bool, shape (D,)
    present : ndarray of bool, shape (D,)
        The features that some row shows.
    """

    pointers: IntArray
    entries: AnyArray
    reference: BoolArray
    present: BoolArray


class BernoulliMixture(Mixture):
    """Mixture of K products of Bernoulli distributions per class.

    Parameters
    ----------
    n_components, n_classes, label, max_iter, tol, warm_start, seed
        As in :class:`Mixture`.
    margin : float or array_like, shape (D,)
        Probabilities are held in [margin, 1 − margin], 0 < margin < 1/2 (1 − margin must not round to 1), of each
        feature its own where an array is given. The maximum of the likelihood under that bound is the clipped ratio of
        expected counts, so the bound costs neither monotonicity nor idempotence. It is what keeps components from
        learning few rows by heart; noisy features want a margin as large as their noise.

    Attributes
    ----------
    mean_ : ndarray, shape (C, K, D)
        P(feature = 1 | class, component).

    Notes
    -----
    Given class and component the features are independent, so a missing one drops out of the likelihood and of the
    expected counts (T11). One component a class, everything observed, is naive Bayes, in closed form.

    References
    ----------
    M. Carreira-Perpiñán, S. Renals (2000), "Practical identifiability of finite mixtures of multivariate Bernoulli
    distributions".

    Examples
    --------
    >>> import numpy as np
    >>> from expfam_game.learners import BernoulliMixture
    >>> x = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 1, 1]])  # three pixels and a label
    >>> model = BernoulliMixture(1, n_classes=2).fit([x])
    >>> model.class_prob_, model.mean_[1, 0]
    (array([0.5, 0.5]), array([0.005, 0.5  , 0.995]))
    >>> model.predict([[1, 1, 0, 0], [0, 0, 1, 0]])
    array([0, 1])
    >>> model.sample(2, seed=0).shape
    (2, 4)
    """

    mean_: FloatArray

    def __init__(
        self,
        n_components: int = 100,
        *,
        n_classes: int | None = None,
        label: int = -1,
        margin: ArrayLike = 0.005,
        max_iter: int = 50,
        tol: float = 1e-2,
        warm_start: bool = True,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            n_components,
            n_classes=n_classes,
            label=label,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            seed=seed,
        )
        self.margin = checked_margin(margin, max_dim=1)
        self._tables: dict[int, tuple[FloatArray, FloatArray, FloatArray]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tables": {}}

    # ------------------------------------------------------------------ hooks

    def _allocate(self, n_features: int) -> None:
        self.mean_ = np.full((self.class_prob_.size, self.n_components, n_features), 0.5)
        self._tables = {}

    def _encode(self, values: AnyArray, mask: BoolArray | None) -> BinaryRows:
        if self.margin.ndim and self.margin.shape != values.shape[1:]:
            raise InvalidInput(f"margin has shape {self.margin.shape}; the samples have {values.shape[1]} features")
        check_binary(values, self.n_classes)
        ones = values.astype(bool)
        n, n_features = ones.shape
        present = np.ones(n_features, dtype=bool) if mask is None else np.asarray(mask.any(axis=0))
        seen = n if mask is None or mask.shape[0] == 1 else mask.sum(axis=0)
        reference = present & (2 * np.count_nonzero(ones, axis=0) > seen)
        deviates = ones != reference
        if mask is not None:
            deviates &= mask
            if mask.shape[0] > 1:
                deviates = np.concatenate([deviates, present & ~mask], axis=1)
        pointers = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(np.count_nonzero(deviates, axis=1), out=pointers[1:])
        entries = np.empty(pointers[-1] + 1, dtype=np.int32)  # one to spare: see the kernel
        list_entries(deviates, entries)
        return BinaryRows(pointers, entries, reference, present)

    def _start(
        self, c: int, values: FloatArray, mask: BoolArray | None, responsibilities: FloatArray, rng: np.random.Generator
    ) -> None:
        known = np.ones((1, values.shape[1])) if mask is None else mask.astype(np.float64)
        known = np.broadcast_to(known, values.shape)
        n = len(values)
        ones, seen = n * (responsibilities.T @ values), n * (responsibilities.T @ known)
        centre = (ones.sum(axis=0) + 0.5) / (seen.sum(axis=0) + 1.0)
        mean = (ones + START_STRENGTH * centre) / (seen + START_STRENGTH)
        if self.n_components > 1:  # rows that are all alike must not make components that are all alike
            mean = mean * (1.0 - 0.05 * rng.random(mean.shape)) + 0.025 * rng.random(mean.shape)
        self._set_mean(c, mean)

    def _log_density(self, c: int, data: BinaryRows, rows: IntArray) -> FloatArray:
        log_one, log_zero = self._log_tables(c)
        log_reference = np.where(data.reference[:, None], log_one, log_zero)
        table = np.concatenate([log_one + log_zero - 2.0 * log_reference, -log_reference])
        offset = log_reference[data.present].sum(axis=0)
        result = np.empty((rows.size, self.n_components))
        add_rows(data.pointers, data.entries, rows, table, offset, result)
        return result

    def _new_statistics(self, c: int) -> tuple[FloatArray, FloatArray]:
        """Expected counts of ones and of observed values, shape (D, K) each."""
        shape = (self.n_features_, self.n_components)
        return np.zeros(shape), np.zeros(shape)

    def _accumulate(
        self,
        statistics: tuple[FloatArray, FloatArray],
        c: int,
        data: BinaryRows,
        rows: IntArray,
        responsibilities: FloatArray,
    ) -> None:
        ones, seen = statistics
        sums = np.zeros((2 * self.n_features_, self.n_components))
        add_outer(data.pointers, data.entries, rows, responsibilities, sums)
        deviating, missing = sums[: self.n_features_], sums[self.n_features_ :]
        observed = data.present[:, None] * responsibilities.sum(axis=0) - missing
        seen += observed
        ones += np.where(data.reference[:, None], observed - deviating, deviating)

    def _maximise(self, c: int, statistics: tuple[FloatArray, FloatArray], mass: FloatArray) -> None:
        """Ratios of expected counts; where a component saw a feature nowhere it keeps its probability."""
        ones, seen = statistics
        # Differences of sums leave rounding errors where the count is zero.
        counted = seen > 1e-12 * mass
        ratio = np.divide(ones, seen, out=self.mean_[c].T.copy(), where=counted)
        self._set_mean(c, ratio.T)

    def _draw(self, c: int, components: IntArray, rng: np.random.Generator) -> AnyArray:
        drawn: BoolArray = rng.random((components.size, self.n_features_)) < self.mean_[c, components]
        return drawn.astype(np.uint8)

    def _fill(
        self, c: int, components: IntArray, values: AnyArray, mask: BoolArray, rng: np.random.Generator
    ) -> AnyArray:
        return np.asarray(np.where(mask, values, self._draw(c, components, rng)))

    # ------------------------------------------------------------------ parameters

    def _set_mean(self, c: int, mean: FloatArray) -> None:
        self.mean_[c] = np.clip(mean, self.margin, 1.0 - self.margin)

    def _log_tables(self, c: int) -> tuple[FloatArray, FloatArray]:
        """log P(1) and log P(0), shape (D, K) each; computed anew only where the parameters have changed."""
        if c not in self._tables or not np.array_equal(self._tables[c][0], self.mean_[c]):
            mean = np.ascontiguousarray(self.mean_[c].T)
            self._tables[c] = self.mean_[c].copy(), np.log(mean), np.log1p(-mean)
        return self._tables[c][1:]


# ---------------------------------------------------------------------- kernels


@compiled
def list_entries(flags: BoolArray, entries: AnyArray) -> None:
    """The columns of the true flags, row by row; writes always and moves on if true, which is free of branches."""
    position = 0
    for i in range(flags.shape[0]):
        for d in range(flags.shape[1]):
            entries[position] = d
            position += flags[i, d]


@reduction
def add_rows(
    pointers: IntArray, entries: AnyArray, rows: IntArray, table: FloatArray, offset: FloatArray, out: FloatArray
) -> None:
    """out[i] = offset + the sum of the table's rows that row ``rows[i]`` lists; four at a time spare memory traffic."""
    width = table.shape[1]
    for i in range(rows.size):
        total = out[i]
        for k in range(width):
            total[k] = offset[k]
        position, end = pointers[rows[i]], pointers[rows[i] + 1]
        while position + 4 <= end:
            a, b = table[entries[position]], table[entries[position + 1]]
            d, e = table[entries[position + 2]], table[entries[position + 3]]
            for k in range(width):
                total[k] += (a[k] + b[k]) + (d[k] + e[k])
            position += 4
        while position < end:
            a = table[entries[position]]
            for k in range(width):
                total[k] += a[k]
            position += 1


@reduction
def add_outer(pointers: IntArray, entries: AnyArray, rows: IntArray, shares: FloatArray, sums: FloatArray) -> None:
    """Add shares[i] to every row of the sums that row ``rows[i]`` lists."""
    width = shares.shape[1]
    for i in range(rows.size):
        share = shares[i]
        for position in range(pointers[rows[i]], pointers[rows[i] + 1]):
            target = sums[entries[position]]
            for k in range(width):
                target[k] += share[k]
