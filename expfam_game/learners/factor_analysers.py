"""Mixture of factor analysers with a class label: the learner for grey images and other real-valued features.

A component is a Gaussian law whose covariance is of low rank plus diagonal,

    x = μ + W z + ε,        z ~ N(0, I_q),   ε ~ N(0, diag ψ),        so x ~ N(μ, W Wᵀ + diag ψ).

With B = diag(ψ)⁻¹ W and G = I + Wᵀ B (q × q), Woodbury's identity and the determinant lemma give everything without a
D × D matrix: the quadratic form is dᵀ diag(ψ)⁻¹ d − (Bᵀd)ᵀ G⁻¹ (Bᵀd), the log-determinant Σ log ψ + log |G|, and
z | x ~ N(G⁻¹ Bᵀ d, G⁻¹) with d = x − μ. Given z the features are independent, so a missing feature drops out of all
sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from expfam_game._typing import AnyArray, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.learners.checks import checked_count
from expfam_game.learners.mixture import Mixture

LOG_2PI = float(np.log(2.0 * np.pi))

NEGLIGIBLE = 1e-14
"""A row that a component explains with a smaller share of its weight leaves no trace in its sums."""

LARGEST = 1e150
"""Squares of larger values leave too little room for their sums in float64."""

START_NOISE = 0.01
"""Size of the random part of the first loadings, relative to the spread of a feature: columns of zeros would stay."""


@dataclass(frozen=True)
class Encoded:
    """Values and which of their features are observed.

    Attributes
    ----------
    values : ndarray, shape (n, D)
    patterns : ndarray of bool, shape (P, D)
        The different sets of observed features.
    pattern_of : ndarray of int, shape (n,)
        The pattern of every row.
    """

    values: AnyArray
    patterns: BoolArray
    pattern_of: IntArray

    def groups(self, rows: IntArray) -> Iterator[tuple[int, IntArray, IntArray]]:
        """For every pattern among the rows: its index, the positions of its rows, and the features observed."""
        mine = self.pattern_of[rows]
        order = np.argsort(mine, kind="stable")
        starts = np.flatnonzero(np.diff(mine[order], prepend=-1))
        for positions in np.split(order, starts[1:]):
            pattern = int(mine[positions[0]])
            yield pattern, positions, np.flatnonzero(self.patterns[pattern])

    def centred(self, rows: IntArray, features: IntArray, centre: FloatArray) -> FloatArray:
        """The observed values of some rows of one pattern, minus the centre."""
        if features.size == self.values.shape[1]:
            return np.asarray(self.values[rows] - centre)
        return np.asarray(self.values[rows[:, None], features] - centre[features])


@dataclass(frozen=True)
class Analysers:
    """The K components of a class, on the observed features only, relative to a centre; shapes (K, …).

    Attributes
    ----------
    offset, precision : ndarray, shape (K, d)
        μ minus the centre, and 1/ψ.
    weighted : ndarray, shape (K, d, q)
        B = diag(ψ)⁻¹ W.
    root : ndarray, shape (K, q, q)
        The covariance of z given x is G⁻¹ = root rootᵀ. Products with the root lose what the condition of G costs,
        those with G⁻¹ itself its square.
    log_normaliser : ndarray, shape (K,)
        −½ (log |2π (W Wᵀ + diag ψ)|).
    """

    offset: FloatArray
    precision: FloatArray
    weighted: FloatArray
    root: FloatArray
    log_normaliser: FloatArray

    @classmethod
    def of(cls, offset: FloatArray, loadings: FloatArray, noise: FloatArray) -> Analysers:
        """From offsets (K, d), loadings W (K, d, q) and noise variances ψ (K, d)."""
        precision = 1.0 / noise
        weighted = loadings * precision[..., None]
        sizes, axes = np.linalg.eigh(np.eye(loadings.shape[2]) + np.swapaxes(loadings, 1, 2) @ weighted)
        sizes = np.maximum(sizes, 1.0)  # but for rounding
        log_determinant = np.log(noise).sum(axis=1) + np.log(sizes).sum(axis=1)
        log_normaliser = -0.5 * (log_determinant + offset.shape[1] * LOG_2PI)
        return cls(offset, precision, weighted, axes / np.sqrt(sizes)[:, None], log_normaliser)

    def log_density(self, x: FloatArray) -> FloatArray:
        """log p(x | k), shape (n, K), by two matrix products for all components together."""
        k, d, q = self.weighted.shape
        scaled = self.offset * self.precision
        linear = np.concatenate([self.weighted.transpose(1, 0, 2).reshape(d, k * q), scaled.T], axis=1)
        products = x @ linear
        distance = (x * x) @ self.precision.T - 2.0 * products[:, k * q :] + (self.offset * scaled).sum(axis=1)
        projected = (
            products[:, : k * q].reshape(x.shape[0], k, q).transpose(1, 0, 2) - self.offset[:, None] @ self.weighted
        )
        explained = ((projected @ self.root) ** 2).sum(axis=2).T
        return np.asarray(self.log_normaliser - 0.5 * (distance - explained))

    def latent_means(self, x: FloatArray, k: int) -> FloatArray:
        """E[z | x, k], shape (n, q)."""
        projected = x @ self.weighted[k] - self.offset[k] @ self.weighted[k]
        return np.asarray(projected @ self.root[k] @ self.root[k].T)

    def latent_covariance(self, k: int) -> FloatArray:
        """Cov[z | x, k], shape (q, q); the same for all x."""
        return np.asarray(self.root[k] @ self.root[k].T)

    def latent_roots(self) -> FloatArray:
        """The lower triangular roots of the covariances of z given x, shape (K, q, q); unique, unlike ``root``."""
        upper = np.linalg.qr(np.swapaxes(self.root, 1, 2), mode="r")
        signs = np.where(np.diagonal(upper, axis1=1, axis2=2) < 0, -1.0, 1.0)
        return np.asarray(np.swapaxes(upper * signs[..., None], 1, 2))


@dataclass
class Sums:
    """Expected sums of a class. With s = (z, 1) and x relative to the class's centre:

    Attributes
    ----------
    latent : dict of bytes to ndarray, shape (K, q + 1, q + 1)
        E Σ r s sᵀ, for every pattern of observed features; ``patterns`` holds the patterns themselves.
    cross : ndarray, shape (K, D, q + 1)
        E Σ r x sᵀ over the rows where the feature is observed.
    square : ndarray, shape (K, D)
        Σ r x².
    """

    latent: dict[bytes, FloatArray]
    patterns: dict[bytes, BoolArray]
    cross: FloatArray
    square: FloatArray


class MixtureOfFactorAnalysers(Mixture):
    """Mixture of K factor analysers per class, for grey images scaled to [0, 1] and other real-valued features.

    Samples are Gaussian, so they leave the range of the data by the noise; they are never clipped, since clipping would
    change the moments that exchanged samples carry.

    Parameters
    ----------
    n_components, n_classes, label, max_iter, warm_start, seed
        As in :class:`Mixture`.
    tol : float
        As in :class:`Mixture`, in nats a row. The default suits images, whose log-densities are hundreds of nats; with
        few features it stops a warm start before the means of new samples have been reached. See the notes.
    n_factors : int
        Factors per component, q ≥ 0; zero makes a mixture of Gaussians with diagonal covariance.
    noise_floor : float
        Least noise variance ψ of a feature, positive, in squared units of the data. The maximum of the likelihood under
        that bound is max(ψ, noise_floor), so the bound costs neither monotonicity nor idempotence. The default suits
        images in [0, 1]: lower values describe the noise better, higher ones classify better from few samples.

    Attributes
    ----------
    mean_ : ndarray, shape (C, K, D)
        μ.
    loadings_ : ndarray, shape (C, K, D, q)
        W, determined up to a rotation of the factors.
    noise_variance_ : ndarray, shape (C, K, D)
        ψ.

    Notes
    -----
    Missing features are integrated out exactly (T11): rows are grouped by what they show, and every group meets the
    marginal law of its features. The M-step regresses every feature on the expected factors of the rows that show it; a
    feature that a component never sees keeps its parameters.

    At a maximum of the likelihood the model has the class means of its samples exactly. EM nears them slowly after a
    warm start, since the factors take over part of what has changed; ``converged_`` says that a step gained less than
    ``tol``, and not that the means have been met. Where means matter (games checked against theory, few features) take
    ``tol=1e-6, max_iter=1000``, or ``warm_start=False``.

    Sums are taken relative to the mean of the class, so each log-density is known to about 10⁻¹⁶ (distance from that
    mean / deviation of the noise)²; scale data or raise the noise floor where that is not small.

    Memory: 8 K (q + 1)² bytes for every set of observed features that occurs in a class, for all classes at once where
    labels are missing; time grows with the number of these sets as well.

    References
    ----------
    Z. Ghahramani, G. Hinton (1996), "The EM algorithm for mixtures of factor analyzers".

    Examples
    --------
    >>> import numpy as np
    >>> from expfam_game.learners import MixtureOfFactorAnalysers
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 1)) * [1.0, 2.0, 0.0] + rng.normal(size=(500, 3)) * [0.1, 0.2, 0.5]
    >>> model = MixtureOfFactorAnalysers(1, n_factors=1).fit([x])
    >>> np.round(model.noise_variance_[0, 0], 1)
    array([0. , 0. , 0.2])

    The second feature is about twice the first:

    >>> model.complete([[1.0, 0.0, 0.0]], observed=[True, False, True], seed=0).round(1)
    array([[1., 2., 0.]])
    """

    mean_: FloatArray
    loadings_: FloatArray
    noise_variance_: FloatArray
    _centre: FloatArray

    def __init__(
        self,
        n_components: int = 10,
        n_factors: int = 12,
        *,
        n_classes: int | None = None,
        label: int = -1,
        noise_floor: float = 0.02,
        max_iter: int = 30,
        tol: float = 0.5,
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
        self.n_factors = checked_count("n_factors", n_factors, least=0)
        if not 0 < noise_floor < np.inf:
            raise InvalidInput(f"noise_floor is {noise_floor!r}; it must be positive and finite")
        self.noise_floor = noise_floor

    # ------------------------------------------------------------------ hooks

    def _allocate(self, n_features: int) -> None:
        shape = (self.class_prob_.size, self.n_components, n_features)
        self.mean_ = np.zeros(shape)
        self.loadings_ = np.zeros((*shape, self.n_factors))
        self.noise_variance_ = np.full(shape, self.noise_floor)
        self._centre = np.zeros((shape[0], n_features))

    def _encode(self, values: AnyArray, mask: BoolArray | None) -> Encoded:
        largest = max(values.max(initial=0), -values.min(initial=0)) if values.dtype.kind == "f" else 0.0
        if largest > LARGEST * min(1.0, np.sqrt(self.noise_floor)):
            raise InvalidData(
                f"the largest feature is {largest} in size; its square over the noise floor {self.noise_floor} would "
                "leave float64, so scale the features or raise the noise floor",
                rule="overflow",
            )
        if mask is None or mask.shape[0] == 1:
            patterns = np.ones((1, values.shape[1]), dtype=bool) if mask is None else mask
            return Encoded(values, patterns, np.zeros(len(values), dtype=np.int64))
        _, first, pattern_of = np.unique(np.packbits(mask, axis=1), axis=0, return_index=True, return_inverse=True)
        return Encoded(values, mask[first], pattern_of.reshape(-1))

    def _start(
        self, c: int, values: FloatArray, mask: BoolArray | None, responsibilities: FloatArray, rng: np.random.Generator
    ) -> None:
        """Principal components of every cluster, missing values filled with its mean (first with that of the class)."""
        known = np.broadcast_to(np.ones((1, 1), dtype=bool) if mask is None else mask, values.shape)
        weights = responsibilities.sum(axis=1)
        self._centre[c] = _weighted_mean(values, known, weights, np.zeros(values.shape[1]))
        for k, shares in enumerate(responsibilities.T):
            mean = _weighted_mean(values, known, shares, self._centre[c])
            filled = np.where(known, values - mean, 0.0) * np.sqrt(shares / shares.sum())[:, None]
            total = (filled * filled).sum(axis=0)
            loadings = _principal_loadings(filled[shares > 0], self.n_factors)
            loadings += START_NOISE * np.sqrt(total + self.noise_floor)[:, None] * rng.standard_normal(loadings.shape)
            self.mean_[c, k], self.loadings_[c, k] = mean, loadings
            self.noise_variance_[c, k] = np.maximum(total - (loadings * loadings).sum(axis=1), self.noise_floor)

    def _log_density(self, c: int, data: Encoded, rows: IntArray) -> FloatArray:
        result = np.empty((rows.size, self.n_components))
        for _, positions, features in data.groups(rows):
            x = data.centred(rows[positions], features, self._centre[c])
            result[positions] = self._analysers(c, features).log_density(x)
        return result

    def _new_statistics(self, c: int) -> Sums:
        k, d, q = self.loadings_[c].shape
        return Sums({}, {}, np.zeros((k, d, q + 1)), np.zeros((k, d)))

    def _accumulate(
        self, statistics: Sums, c: int, data: Encoded, rows: IntArray, responsibilities: FloatArray
    ) -> None:
        kept = responsibilities > NEGLIGIBLE * responsibilities.sum(axis=1, keepdims=True)
        for pattern, positions, features in data.groups(rows):
            analysers = self._analysers(c, features)
            key = data.patterns[pattern].tobytes()
            statistics.patterns[key] = data.patterns[pattern]
            size = self.n_factors + 1
            latent = statistics.latent.setdefault(key, np.zeros((self.n_components, size, size)))
            for k in map(int, np.flatnonzero(kept[positions].any(axis=0))):
                mine = positions[kept[positions, k]]
                x, shares = data.centred(rows[mine], features, self._centre[c]), responsibilities[mine, k]
                s = np.concatenate([analysers.latent_means(x, k), np.ones((mine.size, 1))], axis=1)
                weighted = s * shares[:, None]
                latent[k] += s.T @ weighted
                latent[k, :-1, :-1] += shares.sum() * analysers.latent_covariance(k)
                statistics.cross[k, features] += x.T @ weighted
                statistics.square[k, features] += shares @ (x * x)

    def _maximise(self, c: int, statistics: Sums, mass: FloatArray) -> None:
        """Regression of every feature on (z, 1), from the rows that show it; the residual is the noise."""
        if not statistics.latent:
            return
        masks = np.array(list(statistics.patterns.values()))
        latent = np.array(list(statistics.latent.values()))
        shown, group_of = np.unique(masks.T, axis=0, return_inverse=True)
        for group, patterns in enumerate(shown):
            features = np.flatnonzero(group_of.reshape(-1) == group)
            sums = latent[patterns].sum(axis=0)
            for k in np.flatnonzero(sums[:, -1, -1] > 0):
                count, moments = sums[k, -1, -1], sums[k] / sums[k, -1, -1]
                cross, square = statistics.cross[k, features] / count, statistics.square[k, features] / count
                offset = self.mean_[c, k, features] - self._centre[c, features]
                start = np.concatenate([self.loadings_[c, k, features], offset[:, None]], axis=1)
                solution = _regression(moments, cross, start)
                residual = square - (solution * (2.0 * cross - solution @ moments)).sum(axis=1)
                self.loadings_[c, k, features] = solution[:, :-1]
                self.mean_[c, k, features] = self._centre[c, features] + solution[:, -1]
                self.noise_variance_[c, k, features] = np.maximum(residual, self.noise_floor)

    def _draw(self, c: int, components: IntArray, rng: np.random.Generator) -> FloatArray:
        factors = rng.standard_normal((components.size, self.n_factors))
        return self._from_factors(c, components, factors, rng)

    def _fill(
        self, c: int, components: IntArray, values: AnyArray, mask: BoolArray, rng: np.random.Generator
    ) -> FloatArray:
        """Factors given what is observed, then the missing features given the factors."""
        data, rows = self._encode(values, mask), np.arange(components.size)
        factors = rng.standard_normal((components.size, self.n_factors))
        for _, positions, features in data.groups(rows):
            analysers = self._analysers(c, features)
            roots = analysers.latent_roots()
            for k in np.unique(components[positions]):
                mine = positions[components[positions] == k]
                x = data.centred(mine, features, self._centre[c])
                factors[mine] = analysers.latent_means(x, k) + factors[mine] @ roots[k].T
        return np.where(mask, values, self._from_factors(c, components, factors, rng))

    # ------------------------------------------------------------------ parameters

    def _analysers(self, c: int, features: IntArray) -> Analysers:
        if features.size == self.n_features_:
            return Analysers.of(self.mean_[c] - self._centre[c], self.loadings_[c], self.noise_variance_[c])
        offset = self.mean_[c][:, features] - self._centre[c, features]
        return Analysers.of(offset, self.loadings_[c][:, features], self.noise_variance_[c][:, features])

    def _from_factors(self, c: int, components: IntArray, factors: FloatArray, rng: np.random.Generator) -> FloatArray:
        result = rng.standard_normal((components.size, self.n_features_))
        for k in np.unique(components):
            mine = components == k
            result[mine] *= np.sqrt(self.noise_variance_[c, k])
            result[mine] += self.mean_[c, k] + factors[mine] @ self.loadings_[c, k].T
        return result


def _weighted_mean(values: FloatArray, known: BoolArray, weights: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Mean of what is known of every feature; ``otherwise`` where nothing is."""
    count = weights @ known
    total = weights @ np.where(known, values, 0.0)
    return np.asarray(np.divide(total, count, out=otherwise.copy(), where=count > 0))


def _regression(moments: FloatArray, cross: FloatArray, start: FloatArray) -> FloatArray:
    """Solutions of ``solution @ moments = cross``, shape (features, q + 1), the start's in directions they leave open.

    Few rows say little about many factors. The mean square of the residuals at what is returned is then as small as it
    can be, though the coefficients themselves are not determined.
    """
    sizes, axes = np.linalg.eigh(moments)
    axes = axes[:, sizes > len(sizes) * np.finfo(np.float64).eps * sizes[-1]]
    sizes = sizes[-axes.shape[1] :]
    return np.asarray(start + ((cross - start @ moments) @ axes / sizes) @ axes.T)


def _principal_loadings(centred: FloatArray, q: int) -> FloatArray:
    """The q leading principal axes, scaled to the spread along them beyond the mean of the rest, shape (D, q).

    The probabilistic principal components of Tipping and Bishop (1999); zero columns where the rows span fewer.
    """
    from scipy.linalg import eigh

    rows, features = centred.shape
    result = np.zeros((features, q))
    if q == 0:
        return result
    unit = np.abs(centred).max(initial=0.0) or 1.0  # squares of very large or small values neither overflow nor vanish
    x = centred / unit
    gram = x.T @ x if features <= rows else x @ x.T  # its few leading eigenvectors cost far less than an SVD of x
    n_axes = min(q, len(gram))
    power, axes = eigh(gram, subset_by_index=(len(gram) - n_axes, len(gram) - 1))
    power = np.where(power > np.finfo(float).eps * max(x.shape) * power[-1], power, 0.0)
    if features > rows:
        axes = x.T @ (axes / np.sqrt(np.where(power > 0.0, power, 1.0)))
    rest = (np.trace(gram) - power.sum()) / max(features - n_axes, 1)
    result[:, :n_axes] = (axes * np.sqrt(np.maximum(power - rest, 0.0)) * unit)[:, ::-1]
    return result
