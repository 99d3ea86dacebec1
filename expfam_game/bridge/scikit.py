"""Agents made of scikit-learn density estimators; the estimator is passed in, so scikit-learn is not imported here."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, FloatArray, IntArray
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.samples import SampleSet, pool


def residual_resample(weights: ArrayLike, n: int, seed: int) -> IntArray:
    """n row numbers such that row k comes up n·w_k times on average, rounded down or more.

    Residual resampling: row k is taken ⌊n w_k⌋ times, the remainder is drawn. Its averages have at most the variance of
    n independent draws (R. Douc, O. Cappé, "Comparison of resampling schemes for particle filtering", ISPA 2005).

    Parameters
    ----------
    weights : array_like, shape (m,)
        Sum to one.
    n : int
    seed : int

    Returns
    -------
    ndarray of int, shape (n,), increasing

    Examples
    --------
    >>> residual_resample([0.5, 0.25, 0.25], 4, seed=0)
    array([0, 0, 1, 2])
    """
    expected = n * np.asarray(weights, dtype=np.float64)
    copies = np.floor(expected * (1.0 + 4.0 * np.finfo(float).eps)).astype(np.int64)
    left = n - int(copies.sum())
    if left > 0:
        rest = np.maximum(expected - copies, 0.0)
        copies += np.random.default_rng(seed).multinomial(left, rest / rest.sum())
    return np.repeat(np.arange(copies.size), copies)


class _ScikitModel:
    """What both kinds of estimators share: fitting a weighted mixture."""

    _methods: tuple[str, ...] = ()

    def __init__(self, estimator: Any, *, resample: int | None = None, seed: int = 0) -> None:
        needed = ("fit", *self._methods)
        if isinstance(estimator, type) or not all(hasattr(estimator, name) for name in needed):
            raise InvalidInput(
                f"estimator is {estimator!r}; {type(self).__name__} needs an estimator object with {', '.join(needed)}"
                + (". Use ScikitGibbsAgent" if hasattr(estimator, "gibbs") and "gibbs" not in needed else "")
            )
        whole = isinstance(resample, (int, np.integer)) and not isinstance(resample, bool)
        if resample is not None and not (whole and resample >= 1):
            raise InvalidInput(f"resample is {resample!r}; it must be a positive number of rows, or None")
        self.estimator = estimator
        self.resample = resample
        self.seed = seed
        self.fits_ = 0
        self.resampled_rows: int | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.estimator!r})"

    def fit(self, samples: Sequence[Any], weights: Sequence[float]) -> Self:
        """Fit the mixture of sample sets; all values must be observed."""
        mixture = pool(samples, weights)
        if mixture.observed is not None and not mixture.observed.all():
            raise InvalidData(f"some samples have missing values; {type(self.estimator).__name__} needs complete rows")
        warm = getattr(self.estimator, "warm_start", False)
        estimator = copy.deepcopy(getattr(self, "estimator_", self.estimator) if warm else self.estimator)
        if getattr(estimator, "random_state", 0) is None:
            estimator.random_state = self._seed_of_fit(1)  # or the game could not be repeated
        if "sample_weight" in inspect.signature(estimator.fit).parameters:
            self._fit_weighted(estimator, mixture)
        else:
            self._fit_resampled(estimator, mixture)
        self.estimator_ = estimator
        self.fits_ += 1
        return self

    def _seed_of_fit(self, purpose: int) -> int:
        """A seed that is another one for every fit, and for resampling (0) and the estimator (1)."""
        return int(np.random.SeedSequence(self.seed, spawn_key=(self.fits_,)).generate_state(2)[purpose])

    def _fitted(self) -> Any:
        if not self.fits_:
            raise NotFitted(f"this {type(self).__name__} has not been fitted; call fit first")
        return self.estimator_

    def _fit_weighted(self, estimator: Any, mixture: SampleSet) -> None:
        weights = mixture.normalized_weights()
        used = weights > 0
        # Weights of average one, not of sum one: an estimator's constants are meant for counts.
        estimator.fit(mixture.values[used], sample_weight=weights[used] * used.sum())
        self.weighting_, self.resampled_rows = "sample_weight", None

    def _fit_resampled(self, estimator: Any, mixture: SampleSet) -> None:
        rows = mixture.n if self.resample is None else int(self.resample)
        chosen = residual_resample(mixture.normalized_weights(), rows, self._seed_of_fit(0))
        estimator.fit(mixture.values[chosen])
        self.weighting_, self.resampled_rows = "resampling", rows


class ScikitAgent(_ScikitModel):
    """A scikit-learn density with ``sample`` and ``score_samples``: GaussianMixture, BayesianGaussianMixture, KernelDensity.

    Parameters
    ----------
    estimator : object
        Copied for every fit. With ``warm_start=True``, if it knows that, a fit starts from the one before.
    resample : int, optional
        Rows of the unweighted sample that stands for a weighted one, where ``fit`` takes no ``sample_weight`` (Gaussian
        mixtures take none). By default as many as there are rows in all.
    seed : int
        Of the resampling, and of the estimator where its ``random_state`` is None.

    Attributes
    ----------
    estimator_ : object
        The fitted estimator.
    weighting_ : {"sample_weight", "resampling"}
        How weights were handled in the last fit.
    resampled_rows : int or None
        Rows that the last fit drew; they add noise, which the theory check includes.

    Notes
    -----
    Not every estimator comes back with what it was given, and in a game small biases add up over the rounds: a kernel density
    widens its data by the bandwidth each time, and ``reg_covar`` of a mixture adds to its variances each time. Use small
    bandwidths, ``reg_covar=0`` where the data allow it, large self-weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture
    >>> from expfam_game.bridge import ScikitAgent
    >>> agent = ScikitAgent(GaussianMixture(reg_covar=0.0)).fit([[[0.0], [2.0]], [[4.0]]], weights=[3, 1])
    >>> agent.weighting_, agent.resampled_rows, agent.sample(5, seed=0).shape
    ('resampling', 3, (5, 1))
    """

    _methods = ("sample", "score_samples")

    def sample(self, n: int, seed: int) -> AnyArray:
        """n samples, shape (n, V)."""
        estimator = copy.copy(self._fitted())
        if "random_state" in inspect.signature(estimator.sample).parameters:
            return np.asarray(estimator.sample(n, random_state=_word(seed)))
        estimator.random_state = _word(seed)  # mixtures draw from their own state, and sorted by component
        drawn = np.asarray(estimator.sample(n)[0])
        return np.asarray(drawn[np.random.default_rng(seed).permutation(n)])

    def log_prob(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """Log-density of complete rows in nats, shape (n,)."""
        if observed is not None and not np.all(observed):
            raise InvalidData(f"log_prob of {type(self.estimator).__name__} needs complete rows")
        return np.asarray(self._fitted().score_samples(values), dtype=np.float64)


class ScikitGibbsAgent(_ScikitModel):
    """A scikit-learn model that samples by a Markov chain of ``gibbs`` steps: BernoulliRBM.

    Parameters
    ----------
    estimator : object
    burn_in : int
        Gibbs steps from a random start. A chain that has not mixed samples the wrong distribution, and no check notices.
    resample, seed
        As for :class:`ScikitAgent`; BernoulliRBM takes no ``sample_weight``. There is no ``log_prob``: the density of a
        restricted Boltzmann machine is not tractable, and its ``score_samples`` is a pseudo-likelihood of single bits.

    Examples
    --------
    >>> from sklearn.neural_network import BernoulliRBM
    >>> from expfam_game.bridge import ScikitGibbsAgent
    >>> agent = ScikitGibbsAgent(BernoulliRBM(2, random_state=0), burn_in=10).fit([[[0.0, 1.0], [1.0, 0.0]]], [1.0])
    >>> agent.sample(3, seed=0).shape
    (3, 2)
    """

    _methods = ("gibbs",)

    def __init__(self, estimator: Any, *, burn_in: int = 200, resample: int | None = None, seed: int = 0) -> None:
        super().__init__(estimator, resample=resample, seed=seed)
        if not isinstance(burn_in, (int, np.integer)) or burn_in < 1:
            raise InvalidInput(f"burn_in is {burn_in!r}; it must be a positive number of Gibbs steps")
        self.burn_in = burn_in

    def sample(self, n: int, seed: int) -> AnyArray:
        """n independent chains, shape (n, V), values 0 and 1."""
        estimator = copy.copy(self._fitted())
        estimator.random_state_ = np.random.RandomState(_word(seed))
        visible = estimator.random_state_.random_sample((n, estimator.n_features_in_)) < 0.5
        for _ in range(self.burn_in):
            visible = estimator.gibbs(visible)
        return np.asarray(visible, dtype=np.uint8)


def _word(seed: int) -> int:
    """A seed for scikit-learn, which takes 32 bits, mixed from all bits of ours."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])
