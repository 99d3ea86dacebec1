"""Gamma(): positive reals. φ(x) = (log x, x), θ = (shape, −rate), h(x) = 1/x, A(θ) = log Γ(shape) − shape log rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.families.base import Family
from expfam_game.families.bregman import integrated_bregman
from expfam_game.families.checks import Rule, require_converged
from expfam_game.kernels.inversion import gamma_shapes
from expfam_game.kernels.special_functions import gamma_functions, log1p_gaps
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

SMALLEST = float(np.nextafter(0.0, 1.0))
"""The smallest positive double, 5e-324: what a sample that underflows is replaced by."""


@dataclass(frozen=True, eq=False)
class Gamma(Family):
    """The Gamma distributions on the positive reals, with shape a and rate r (mean a/r).

    Statistic (log x, x), natural parameters θ = (a, −r), log-partition A(θ) = log Γ(a) − a log r. The base measure is
    dx/x, not dx, so that θ₁ is the shape itself and keeps its relative accuracy where the shape is tiny (with dx it
    would be a − 1). The mean space is {μ : μ₂ > 0, μ₁ < log μ₂}, by Jensen's inequality.

    Stable for shapes 1e-6 … 1e8 and rates 1e-100 … 1e100. ``log_prob`` and ``log_partition`` add terms of size
    a |log a| and a |log r| and carry their rounding error. Shape a ≫ 1 depends on the mean through
    s = log μ₂ − μ₁ ≈ 1/(2a), so doubles determine it only to a relative error of about 2 a (1 + |μ₁|) · 1e-16: to 1e-8 at
    a shape of 1e8, however exactly the mean is met. Data of unit mean (divide x by it, and multiply the rate) keep
    |μ₁| small; s itself cannot be given.

    Samples below 5e-324 are not representable (log x is about −1/a at a tiny shape): ``sample`` rounds them up to that
    number, while ``estimate_mean`` averages the exact log x, which is drawn in log-space.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Gamma()
    >>> theta = family.from_shape_rate(2.0, 4.0)
    >>> theta
    array([ 2., -4.])
    >>> family.to_mean(theta).round(4)
    array([-0.9635,  0.5   ])
    >>> family.to_natural(family.to_mean([1e-6, -1.0])).round(12)
    array([ 1.e-06, -1.e+00])

    References
    ----------
    T. Minka, "Estimating a Gamma distribution" (2002), for the inversion; G. Marsaglia and W. Tsang, "A simple method
    for generating gamma variables", ACM TOMS 26 (2000) 363, §6, for Gamma(a) = Gamma(a + 1) U^(1/a).
    """

    @property
    def dim(self) -> int:
        return 2

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("log x", "x")

    def from_shape_rate(self, shape: ArrayLike, rate: ArrayLike) -> FloatArray:
        """Natural parameters of the given shapes and rates, which broadcast; shape (...) to (..., 2)."""
        a, r = np.broadcast_arrays(np.asarray(shape, dtype=np.float64), np.asarray(rate, dtype=np.float64))
        return self._checked_natural(np.stack([a, -r], axis=-1))

    def to_shape_rate(self, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Shapes and rates, each of shape (...)."""
        natural = self._checked_natural(theta)
        return natural[..., 0].copy(), -natural[..., 1]

    def reference_mean(self) -> FloatArray:
        return np.array([-np.euler_gamma, 1.0])  # the exponential distribution with mean one

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        yield theta * np.array([1.0, -1.0]) > 0, "the shape must be positive and minus the rate negative"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield (mu > 0) | np.array([True, False]), "the mean of x must be positive"
        with np.errstate(divide="ignore", invalid="ignore"):
            below = mu[..., 0] < np.log(mu[..., 1])
        yield below, "the mean of log x must be below the logarithm of the mean of x"

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield x > 0, "a Gamma value must be positive"

    def _statistic(self, x: AnyArray) -> FloatArray:
        values = x.astype(np.float64)
        return np.stack([np.log(values), values], axis=-1)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return -np.log(x.astype(np.float64))

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return -self._to_mean(theta)[..., 0]

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        shape, rate = theta[..., 0], -theta[..., 1]
        return np.asarray(gammaln(shape) - shape * np.log(rate))

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        shape, rate = theta[..., 0], -theta[..., 1]
        h, _, _ = _functions(shape)
        return np.stack([np.log(shape) - np.log(rate) - h, shape / rate], axis=-1)

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        gap = np.log(mu[..., 1]) - mu[..., 0]
        shape = gamma_shapes(gap.ravel()).reshape(gap.shape)
        with np.errstate(over="ignore"):
            theta = np.stack([shape, -shape / mu[..., 1]], axis=-1)
        return require_converged(self, theta, mu)

    def _variance(self, theta: FloatArray) -> FloatArray:
        shape, rate = theta[..., 0], -theta[..., 1]
        _, g, _ = _functions(shape)
        return np.stack([g + 1.0 / shape, shape / rate / rate], axis=-1)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        variance, covariance = self._variance(theta), -1.0 / theta[..., 1]
        first = np.stack([variance[..., 0], covariance], axis=-1)
        return np.stack([first, np.stack([covariance, variance[..., 1]], axis=-1)], axis=-2)

    def _entropy(self, theta: FloatArray) -> FloatArray:
        shape, rate = theta[..., 0], -theta[..., 1]
        h, _, big_g = _functions(shape)
        return big_g + (shape - 1.0) * h + np.log(shape) - np.log(rate)

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """KL(a ‖ c) + KL(c ‖ b) by way of c with the shape of b and the mean of a (Pythagoras): both non-negative."""
        return _shape_kl(theta_a[..., 0], theta_b[..., 0]) + _rate_kl(theta_a, theta_b)

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return np.maximum(np.exp(self._sample_log(theta, n, rng)), SMALLEST)

    def _sample_statistic(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        log_x = self._sample_log(theta, n, rng)
        return np.stack([log_x, np.exp(log_x)], axis=-1)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.gamma_moments import gamma_moments

        return gamma_moments(theta[:, 0], -theta[:, 1], self._to_mean(theta), self._variance(theta), n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import gamma_draw

        return [gamma_draw(theta[:, 0], -theta[:, 1], self._to_mean(theta))]

    def _sample_log(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        return sample_log_gamma(theta[..., 0], n, rng) - np.log(-theta[..., 1])[..., None]


def sample_log_gamma(shape: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Logarithms of n standard Gamma variates for each shape, (...) to (..., n): log Gamma(a + 1) − Exponential/a.

    Exact at every shape; the variate itself would underflow at shapes below about 1e-2.
    """
    a = shape[..., None]
    size = (*shape.shape, n)
    return np.log(rng.standard_gamma(a + 1.0, size)) - rng.standard_exponential(size) / a


def _functions(shape: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """h(a) = log a − ψ(a), g(a) = ψ'(a) − 1/a and G(a) = log Γ(a) − a log a + a."""
    h, g, big_g = gamma_functions(np.array(shape).ravel())
    return h.reshape(shape.shape), g.reshape(shape.shape), big_g.reshape(shape.shape)


def _shape_kl(a: FloatArray, b: FloatArray) -> FloatArray:
    """KL between Gammas of the same mean and shapes a and b: the Bregman divergence of G, whose curvature is g."""
    h, _, big_a = _functions(a)
    far = _functions(b)[2] - big_a + h * (b - a)
    near = integrated_bregman(lambda shape, step: _functions(shape)[1] * step**2, a, b - a)
    return np.where((b < 3.0 * a) & (a < 3.0 * b), near, far)


def _rate_kl(theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
    """KL between Gammas of the shape of b, with the means of a and b: b (v − 1 − log v), v the ratio of the means."""
    a, b, rate_a, rate_b = theta_a[..., 0], theta_b[..., 0], -theta_a[..., 1], -theta_b[..., 1]
    ratio = (a / b) * (rate_b / rate_a)
    # v − 1 from the differences of the parameters, which are exact where v is close to one.
    excess = (rate_b / rate_a) * ((a - b) / b) + (rate_b - rate_a) / rate_a
    near = log1p_gaps(np.maximum(excess, -0.9).ravel()).reshape(excess.shape)
    return b * np.where(np.abs(excess) < 0.5, near, ratio - 1.0 - np.log(ratio))
