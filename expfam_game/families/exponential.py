"""Exponential laws of a transformed variable t(x) ~ Exp(rate): φ(x) = t(x), θ = −rate < 0, A(θ) = −log(−θ)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.families._stable import relative_gap
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule, require_number
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw


class _ExponentialLaw(Family):
    """What the laws of this file share: everything that depends on t alone."""

    separable = True

    @property
    def dim(self) -> int:
        return 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    def reference_mean(self) -> FloatArray:
        return np.ones(1)

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        yield theta < 0, "a natural parameter is minus a rate and must be negative"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield mu > 0, "the mean statistic must be positive"

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return -np.log(-theta[..., 0])

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return -1.0 / theta

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return -1.0 / mu

    def _variance(self, theta: FloatArray) -> FloatArray:
        return (1.0 / theta) ** 2

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        return self._variance(theta)[..., None]

    def _entropy(self, theta: FloatArray) -> FloatArray:
        return 1.0 - np.log(-theta[..., 0]) - self._mean_log_base(theta)

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        return relative_gap(theta_a[..., 0], theta_b[..., 0])

    def _draws_of_t(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        return rng.standard_exponential((*theta.shape[:-1], n)) / -theta

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        return rng.standard_gamma(float(n), theta.shape) / (n * -theta)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.gamma_moments import exponential_moments

        return exponential_moments(-1.0 / theta, n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import exponential_draw

        return [exponential_draw(-1.0 / theta)]


@dataclass(frozen=True, eq=False)
class Exponential(_ExponentialLaw):
    """Exponential law on x ≥ 0.

    φ(x) = x, θ = −rate, A(θ) = −log(−θ), mean 1/rate. The maps, the entropy and the divergence hold full precision for
    rates from 1e-300 to 1e300; the variance 1/rate² for rates from 1e-150 to 1e150.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Exponential()
    >>> family.to_natural([4.0])
    array([-0.25])
    >>> float(family.kl([-1.0], [-2.0]).round(6))  # log(1/2) + 2 − 1
    0.306853
    """

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("x",)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield x >= 0, "a value of an exponential law must not be negative"

    def _statistic(self, x: AnyArray) -> FloatArray:
        return x[..., None].astype(np.float64)

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return self._draws_of_t(theta, n, rng)


@dataclass(frozen=True, eq=False)
class Laplace(_ExponentialLaw):
    """Laplace law about a known location.

    φ(x) = |x − location|, θ = −1/scale, A(θ) = −log(−θ), base measure 1/2; the mean parameter is the scale. Ranges as for
    :class:`Exponential`.

    Parameters
    ----------
    location : float
        The known centre.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Laplace(location=1.0)
    >>> family.statistic([-1.0, 4.0])
    array([[2.],
           [3.]])
    >>> float(family.log_prob(1.0, [-1.0]).round(6))
    -0.693147
    """

    location: float = 0.0

    def __post_init__(self) -> None:
        require_number("Laplace", "location", self.location, positive=False)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("|x - location|",)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        return ()

    def _statistic(self, x: AnyArray) -> FloatArray:
        return np.abs(x[..., None].astype(np.float64) - self.location)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.full(x.shape, -np.log(2.0))

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return np.full(theta.shape[:-1], -np.log(2.0))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        distance = self._draws_of_t(theta, n, rng)
        return self.location + np.where(rng.random(distance.shape) < 0.5, -distance, distance)


@dataclass(frozen=True, eq=False)
class Weibull(_ExponentialLaw):
    """Weibull law on x > 0 with a known shape k.

    φ(x) = x^k, θ = −scale^(−k), A(θ) = −log(−θ), base measure k x^(k − 1). Ranges in θ as for :class:`Exponential`, as long as
    the samples themselves, of order (−θ)^(−1/k), are representable.

    Parameters
    ----------
    shape : float
        The known shape k, positive and finite.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Weibull(shape=2.0)
    >>> family.statistic([1.0, 3.0])
    array([[1.],
           [9.]])
    >>> family.to_mean([-0.5])
    array([2.])
    """

    shape: float

    def __post_init__(self) -> None:
        require_number("Weibull", "shape", self.shape)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return (f"x^{self.shape:g}",)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield x > 0, "a Weibull value must be positive"

    def _statistic(self, x: AnyArray) -> FloatArray:
        return x[..., None].astype(np.float64) ** self.shape

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.asarray(np.log(self.shape) + (self.shape - 1.0) * np.log(x))

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        mean_log_t = -np.euler_gamma - np.log(-theta[..., 0])
        return np.asarray(np.log(self.shape) + (1.0 - 1.0 / self.shape) * mean_log_t)

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return self._draws_of_t(theta, n, rng) ** (1.0 / self.shape)
