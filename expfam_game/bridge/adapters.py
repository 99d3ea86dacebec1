"""Agents made of an exponential family of this package, or of two functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, FloatArray, Seed
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.families.base import Family
from expfam_game.families.product import Product
from expfam_game.samples import SampleSet, pool


class FamilyAgent:
    """An exponential family whose fit is the exact best response: weighted average of the statistic (T1).

    Parameters
    ----------
    family : Family
        A sample is one row: its event flattened, one column where events are numbers.
    margin : float
        Only if the average lies on the boundary of the mean space (a class never seen, a pixel never lit), it is moved by
        this share, in (0, 1), towards ``family.reference_mean()``; averages inside are never touched, so repeated fits do not
        drift. With 0, the default, such an average is an error.

    Attributes
    ----------
    mean_ : ndarray, shape (dim,)
    natural_ : ndarray, shape (dim,)

    Notes
    -----
    Rows with missing values are used where the coordinates are independent with one statistic each (``Bernoulli(dim)``,
    ``Poisson() ** 3``): there the fixed point of EM is, in each coordinate, the average over the rows that show it (T11). A
    coordinate that no row shows stays as it was, or is an error in a first fit. Other families need complete rows.

    Examples
    --------
    >>> import expfam_game as eg
    >>> from expfam_game.bridge import FamilyAgent
    >>> agent = FamilyAgent(eg.families.Poisson()).fit([[[1.0], [3.0]], [[6.0]]], weights=[3, 1])
    >>> agent.mean_
    array([3.])
    >>> agent.sample(4, seed=0).shape
    (4, 1)
    """

    def __init__(self, family: Family, *, margin: float = 0.0) -> None:
        if not isinstance(family, Family):
            raise InvalidInput(
                f"family is {family!r}; give an object such as families.Poisson(), not a name or a class"
            )
        if not 0 <= margin < 1:
            raise InvalidInput(f"margin is {margin!r}; it must lie in [0, 1)")
        self.family = family
        self.margin = float(margin)

    def __repr__(self) -> str:
        return f"FamilyAgent({self.family!r}" + (f", margin={self.margin:g})" if self.margin else ")")

    def fit(self, samples: Sequence[Any], weights: Sequence[float]) -> FamilyAgent:
        """The best response to a mixture of sample sets."""
        mixture = pool(samples, weights)
        mean = self._moments(mixture)
        if self.margin > 0 and not self.family.in_mean_space(mean):
            mean = (1.0 - self.margin) * mean + self.margin * self.family.reference_mean()
        self.natural_ = self.family.to_natural(mean)
        self.mean_ = mean
        return self

    def sample(self, n: int, seed: Seed) -> AnyArray:
        """n samples, shape (n, V)."""
        return np.asarray(self.family.sample(self._fitted(), n, seed).reshape(n, -1))

    def log_prob(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """Log-density of complete rows in nats, shape (n,)."""
        if observed is not None and not np.all(observed):
            raise InvalidData(f"log_prob of {self.family!r} needs complete rows")
        return self.family.log_prob(self._events(np.asarray(values)), self._fitted())

    def _fitted(self) -> FloatArray:
        if not hasattr(self, "natural_"):
            raise NotFitted("this FamilyAgent has not been fitted; call fit first")
        return self.natural_

    def _events(self, values: AnyArray) -> AnyArray:
        width = prod(self.family.event_shape)
        if values.ndim != 2 or values.shape[1] != width:
            raise InvalidData(f"samples of {self.family!r} need {width} columns, got shape {values.shape}")
        return values.reshape(len(values), *self.family.event_shape)

    def _moments(self, mixture: SampleSet) -> FloatArray:
        weights = mixture.normalized_weights()
        if mixture.observed is None:
            return np.asarray(weights @ self.family.statistic(self._events(mixture.values)))
        if not _coordinatewise(self.family):
            raise InvalidData(
                f"some samples have missing values; {self.family!r} needs complete rows (only families of independent "
                "coordinates with one statistic each can do without)"
            )
        known = np.broadcast_to(mixture.mask(), mixture.values.shape)
        statistic = self.family.statistic(self._events(_patched(mixture.values, known)))
        seen = weights @ known
        total = weights @ np.where(known, statistic, 0.0)
        before = getattr(self, "mean_", None)
        if before is None and not seen.all():
            raise InvalidData(
                f"no sample shows variable {int(np.argmin(seen > 0))}, so a first fit says nothing about it"
            )
        return np.where(seen > 0, total / np.where(seen > 0, seen, 1.0), 0.0 if before is None else before)


def _coordinatewise(family: Family) -> bool:
    """Whether the coordinates are independent and have one statistic each."""
    factors = family.factors if isinstance(family, Product) else (family,)
    return family.separable and all(factor.dim == prod(factor.event_shape) for factor in factors)


def _patched(values: AnyArray, known: AnyArray) -> AnyArray:
    """Missing values replaced by a known one, of the same column where there is one; the result does not count them."""
    if not known.any():
        raise InvalidData("no value of any sample is observed")
    row, column = np.argwhere(known)[0]
    first, columns = known.argmax(axis=0), np.arange(values.shape[1])
    filler = np.where(known.any(axis=0), values[first, columns], values[row, column])
    return np.where(known, values, filler)


class CallableAgent:
    """An agent made of two functions and a model that they share.

    Parameters
    ----------
    fit : callable
        ``fit(samples, weights, model)`` to a model; ``model`` is the previous one, None at first.
    sample : callable
        ``sample(model, n, seed)`` to an array (n, V).
    model : optional
        The first model.

    Examples
    --------
    >>> import numpy as np
    >>> from expfam_game.bridge import CallableAgent
    >>> def fit(samples, weights, model):
    ...     return sum(w * s.normalized_weights() @ s.values for s, w in zip(samples, weights)) / sum(weights)
    >>> def sample(model, n, seed):
    ...     return np.random.default_rng(seed).normal(model, size=(n, model.size))
    >>> agent = CallableAgent(fit, sample).fit([[[0.0], [2.0]]], [1.0])
    >>> agent.model, agent.sample(3, seed=0).shape
    (array([1.]), (3, 1))
    """

    def __init__(
        self,
        fit: Callable[[Sequence[SampleSet], Sequence[float], Any], Any],
        sample: Callable[[Any, int, Any], Any],
        model: Any = None,
    ) -> None:
        if not callable(fit) or not callable(sample):
            raise InvalidInput(
                "CallableAgent needs two functions: fit(samples, weights, model) and sample(model, n, seed)"
            )
        self.fit_function = fit
        self.sample_function = sample
        self.model = model

    def __repr__(self) -> str:
        names = [getattr(f, "__name__", type(f).__name__) for f in (self.fit_function, self.sample_function)]
        return f"CallableAgent({', '.join(names)})"

    def fit(self, samples: Sequence[Any], weights: Sequence[float]) -> CallableAgent:
        """Replace the model by what the function makes of the samples."""
        self.model = self.fit_function([SampleSet.of(part) for part in samples], weights, self.model)
        return self

    def sample(self, n: int, seed: Seed) -> Any:
        """What the function draws."""
        return self.sample_function(self.model, n, seed)
