"""Gaussian laws with independent coordinates: KnownVarianceGaussian (φ = x), DiagonalGaussian (φ = x, x²), LogNormal.

The law with full covariance is in ``multivariate_gaussian.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.families._stable import exact_product, relative_gap
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule, require_integer, require_number
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, eq=False, init=False, repr=False)
class KnownVarianceGaussian(Family):
    """Gaussian law on the line with a known variance.

    φ(x) = x, θ = mean/variance, A(θ) = variance θ²/2, base measure N(0, variance). Full precision for every variance and θ
    whose products are representable.

    Parameters
    ----------
    variance : float
        The known variance, positive and finite; kept as ``known_variance``, since ``variance(θ)`` is a method.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.KnownVarianceGaussian(variance=4.0)
    >>> family.to_natural([2.0])
    array([0.5])
    >>> float(family.kl([0.5], [1.0]))  # (2 − 4)² / (2 · 4)
    0.5
    """

    known_variance: float
    separable = True

    def __init__(self, variance: float = 1.0) -> None:
        require_number("KnownVarianceGaussian", "variance", variance)
        object.__setattr__(self, "known_variance", float(variance))

    def __repr__(self) -> str:
        return f"KnownVarianceGaussian(variance={self.known_variance})"

    @property
    def dim(self) -> int:
        return 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("x",)

    def reference_mean(self) -> FloatArray:
        return np.zeros(1)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        return ()

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        return ()

    def _statistic(self, x: AnyArray) -> FloatArray:
        return x[..., None].astype(np.float64)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.asarray(
            -0.5 * (x.astype(np.float64) ** 2 / self.known_variance + np.log(self.known_variance) + LOG_2PI)
        )

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        squared = 1.0 + self.known_variance * theta[..., 0] ** 2
        return np.asarray(-0.5 * (squared + np.log(self.known_variance) + LOG_2PI))

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return 0.5 * self.known_variance * theta[..., 0] ** 2

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return self.known_variance * theta

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return mu / self.known_variance

    def _variance(self, theta: FloatArray) -> FloatArray:
        return np.full(theta.shape, self.known_variance, dtype=np.float64)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        return self._variance(theta)[..., None]

    def _entropy(self, theta: FloatArray) -> FloatArray:
        return np.full(theta.shape[:-1], 0.5 * (1.0 + LOG_2PI + np.log(self.known_variance)))

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        return 0.5 * self.known_variance * (theta_b - theta_a)[..., 0] ** 2

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        noise = rng.standard_normal((*theta.shape[:-1], n))
        return np.asarray(self._to_mean(theta) + np.sqrt(self.known_variance) * noise)

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        return np.asarray(self._to_mean(theta) + np.sqrt(self.known_variance / n) * rng.standard_normal(theta.shape))

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.gaussian_moments import normal_moments

        deviation = np.full(theta.shape, np.sqrt(self.known_variance))
        standard, scatter = normal_moments(np.zeros_like(theta), deviation, n, key)
        return self._to_mean(theta) + standard[:, :1], scatter[:, :1]

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import normal_draw

        return [normal_draw(self._to_mean(theta), np.full(theta.shape, np.sqrt(self.known_variance)), squares=False)]


class _MeanAndVariance(Family):
    """Independent Gaussian coordinates y with statistics (y, y²): what DiagonalGaussian and LogNormal share."""

    _width: int

    @property
    def dim(self) -> int:
        return 2 * self._width

    def reference_mean(self) -> FloatArray:
        return np.repeat([0.0, 1.0], self._width)

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        holds = np.ones(theta.shape, dtype=bool)
        holds[..., self._width :] = theta[..., self._width :] < 0
        yield holds, "the natural parameter of a square is −1/(2 variance) and must be negative"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        holds = np.ones(mu.shape, dtype=bool)
        holds[..., self._width :] = self._split_mean(mu)[1] > 0
        yield (
            holds,
            "the mean of a square must exceed the square of the mean, so that the variance is positive",
        )

    def _split(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of each coordinate."""
        variance = -0.5 / theta[..., self._width :]
        return theta[..., : self._width] * variance, variance

    def _split_mean(self, mu: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of each coordinate, the variance rounded once."""
        mean = mu[..., : self._width]
        high, low = exact_product(mean, mean)
        return mean, (mu[..., self._width :] - high) - low

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        mean, variance = self._split(theta)
        return np.asarray(0.5 * np.sum(mean**2 / variance + np.log(variance), axis=-1))

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        mean, variance = self._split(theta)
        return np.concatenate([mean, mean**2 + variance], axis=-1)

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        mean, variance = self._split_mean(mu)
        return np.concatenate([mean / variance, -0.5 / variance], axis=-1)

    def _variance(self, theta: FloatArray) -> FloatArray:
        mean, variance = self._split(theta)
        return np.concatenate([variance, 2.0 * variance * (2.0 * mean**2 + variance)], axis=-1)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        mean, variance = self._split(theta)
        result = self._variance(theta)[..., None] * np.eye(self.dim)
        first = np.arange(self._width)
        result[..., first, first + self._width] = result[..., first + self._width, first] = 2.0 * mean * variance
        return result

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """Σ ½ (ρ − 1 − log ρ) + (m_a − m_b)²/(2 v_b) with ρ = v_a/v_b; m_a − m_b from the steps in θ."""
        mean, _ = self._split(theta_a)
        _, variance_b = self._split(theta_b)
        step = theta_b - theta_a
        pull = step[..., : self._width] + 2.0 * step[..., self._width :] * mean  # (m_b − m_a)/v_b
        spread = relative_gap(theta_a[..., self._width :], theta_b[..., self._width :])
        return np.asarray(0.5 * np.sum(spread + variance_b * pull**2, axis=-1))

    def _draw(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        mean, variance = self._split(theta)
        noise = rng.standard_normal((*theta.shape[:-1], n, self._width))
        return mean[..., None, :] + np.sqrt(variance)[..., None, :] * noise

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        """The sample mean is Gaussian and, independent of it, the sum of squares about it is χ²(n − 1)."""
        mean, variance = self._split(theta)
        average = mean + np.sqrt(variance / n) * rng.standard_normal(mean.shape)
        chi_square = 2.0 * rng.standard_gamma((n - 1) / 2.0, mean.shape)
        return np.concatenate([average, average**2 + variance * (chi_square / n)], axis=-1)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.gaussian_moments import normal_moments

        mean, variance = self._split(theta)
        return normal_moments(mean, np.sqrt(variance), n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import normal_draw

        mean, variance = self._split(theta)
        return [normal_draw(mean, np.sqrt(variance))]


@dataclass(frozen=True, eq=False)
class DiagonalGaussian(_MeanAndVariance):
    """Independent Gaussian coordinates with unknown means and variances.

    φ(x) = (x_1, …, x_d, x_1², …, x_d²), θ = (m/v, −1/(2v)), A(θ) = ½ Σ (m²/v + log v), base measure (2π)^(−d/2).

    Full precision for standard deviations and means from 1e-70 to 1e70. ``to_natural`` is as ill-conditioned as the problem: a
    relative error ε in μ becomes ε(1 + m²/v) in v; the subtraction E[x²] − E[x]² itself is done without error.

    Parameters
    ----------
    n_variables : int
        Number d of coordinates of a sample, at least 1; ``dim`` is 2d.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.DiagonalGaussian(2)
    >>> theta = family.from_moments(mean=[0.0, 3.0], variance=[1.0, 4.0])
    >>> theta
    array([ 0.   ,  0.75 , -0.5  , -0.125])
    >>> family.to_mean(theta)
    array([ 0.,  3.,  1., 13.])
    """

    n_variables: int

    def __post_init__(self) -> None:
        require_integer("DiagonalGaussian", "n_variables", self.n_variables, 1)

    @property
    def _width(self) -> int:  # type: ignore[override]
        return self.n_variables

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.n_variables,)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        width = range(self.n_variables)
        return (*(f"x[{k}]" for k in width), *(f"x[{k}]^2" for k in width))

    def from_moments(self, mean: ArrayLike, variance: ArrayLike) -> FloatArray:
        """Natural parameters of the law with these means and variances.

        Parameters
        ----------
        mean, variance : array_like, shape (..., n_variables)
            Leading axes broadcast; every variance must be positive.

        Returns
        -------
        ndarray, shape (..., dim)

        Raises
        ------
        InvalidInput
            If a shape is wrong, an entry is not finite or a variance is not positive.
        """
        m = require_shape(mean, (self.n_variables,), "the mean")
        v = require_shape(variance, (self.n_variables,), "the variance")
        if not np.all(v > 0):
            raise InvalidInput(f"a variance is {v.min()}; every variance must be positive")
        m, v = np.broadcast_arrays(m, v)
        return np.concatenate([m / v, -0.5 / v], axis=-1)

    def to_moments(self, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Means and variances, each of shape (..., n_variables); the inverse of :meth:`from_moments`."""
        return self._split(self._checked_natural(theta))

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        return ()

    def _statistic(self, x: AnyArray) -> FloatArray:
        x = x.astype(np.float64)
        return np.concatenate([x, x * x], axis=-1)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.full(x.shape[:-1], -0.5 * self.n_variables * LOG_2PI)

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return np.full(theta.shape[:-1], -0.5 * self.n_variables * LOG_2PI)

    def _entropy(self, theta: FloatArray) -> FloatArray:
        return np.asarray(0.5 * np.sum(1.0 + LOG_2PI + np.log(self._split(theta)[1]), axis=-1))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return self._draw(theta, n, rng)


@dataclass(frozen=True, eq=False)
class LogNormal(_MeanAndVariance):
    """Log-normal law on x > 0: log x is Gaussian with mean m and variance v.

    φ(x) = (log x, log² x), θ = (m/v, −1/(2v)), A(θ) = ½ (m²/v + log v), base measure 1/(x √(2π)). Ranges and conditioning as for
    :class:`DiagonalGaussian`; samples need |m| + 40 √v below 700 to be representable.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.LogNormal()
    >>> family.to_natural([1.0, 3.0])  # m = 1, v = 2
    array([ 0.5 , -0.25])
    """

    _width = 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("log x", "log^2 x")

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield x > 0, "a log-normal value must be positive"

    def _statistic(self, x: AnyArray) -> FloatArray:
        log_x = np.log(x.astype(np.float64))
        return np.stack([log_x, log_x * log_x], axis=-1)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return -np.log(x.astype(np.float64)) - 0.5 * LOG_2PI

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return -self._split(theta)[0][..., 0] - 0.5 * LOG_2PI

    def _entropy(self, theta: FloatArray) -> FloatArray:
        mean, variance = self._split(theta)
        return mean[..., 0] + 0.5 * (1.0 + LOG_2PI + np.log(variance[..., 0]))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return np.exp(self._draw(theta, n, rng)[..., 0])


def require_shape(values: ArrayLike, shape: tuple[int, ...], what: str) -> FloatArray:
    """``values`` as finite float64 whose trailing axes are ``shape``; InvalidInput names ``what`` otherwise."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"{what} must be an array of real numbers: {problem}") from None
    if array.ndim < len(shape) or array.shape[array.ndim - len(shape) :] != shape:
        wanted = ", ".join(map(str, shape))
        raise InvalidInput(f"{what} must have shape (..., {wanted}); got {array.shape}")
    if not np.all(np.isfinite(array)):
        raise InvalidInput(f"{what} has an entry that is not finite")
    return array
