"""InverseGaussian: φ(x) = (x, 1/x), θ = (−λ/(2m²), −λ/2), A(θ) = −2 √(θ₁θ₂) − ½ log(−2θ₂)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.families._stable import exact_product, relative_gap, scaled_exp1
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)


@dataclass(frozen=True, eq=False)
class InverseGaussian(Family):
    """Inverse Gaussian law on x > 0 with mean m and shape λ.

    φ(x) = (x, 1/x), θ = (−λ/(2m²), −λ/2), A(θ) = −λ/m − ½ log λ, base measure (2π)^(−1/2) x^(−3/2), mean parameters
    μ = (m, 1/m + 1/λ).

    The full natural space {θ₁ ≤ 0, θ₂ < 0} is not open: on its edge θ₁ = 0 lie the Lévy laws, which have no mean. The family
    here is the open part θ₁ < 0, θ₂ < 0; its mean space is {μ₁ > 0, μ₂ > 1/μ₁}, and the mean map is one to one between the
    two, so the family is regular on them and every best response that exists lies inside.

    Full precision for m and λ from 1e-100 to 1e100. ``to_natural`` is as ill-conditioned as the problem: λ is found
    from μ₁μ₂ − 1 = m/λ, so a relative error ε in μ becomes ε(1 + λ/m) in θ. The subtraction itself is done without error.

    Notes
    -----
    E[log x] = log m − e^z E₁(z) with z = 2λ/m. The law of the mean statistic (x̄ inverse Gaussian, independent of
    Σ(1/x_i − 1/x̄) ~ χ²(n − 1)/λ) is due to M. C. K. Tweedie, "Statistical properties of inverse Gaussian distributions I",
    Ann. Math. Statist. 28 (1957); sampling follows Michael, Schucany & Haas, Amer. Statist. 30 (1976), with the
    root written without cancellation.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.InverseGaussian()
    >>> family.to_natural([2.0, 1.5])  # m = 2, λ = 1
    array([-0.125, -0.5  ])
    >>> family.to_mean([-0.125, -0.5])
    array([2. , 1.5])
    """

    @property
    def dim(self) -> int:
        return 2

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("x", "1/x")

    def reference_mean(self) -> FloatArray:
        return np.array([1.0, 2.0])

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield x > 0, "an inverse Gaussian value must be positive"

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        yield theta < 0, "it must be negative (at 0 lie laws without a mean, or no law at all)"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield mu > 0, "it must be positive"
        yield (
            _product_minus_one(mu) > 0,
            "E[x] E[1/x] must exceed 1, as it does for every law that is not a single point",
        )

    def _statistic(self, x: AnyArray) -> FloatArray:
        x = x.astype(np.float64)
        return np.stack([x, 1.0 / x], axis=-1)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.asarray(-_HALF_LOG_2PI - 1.5 * np.log(x))

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return np.asarray(-_HALF_LOG_2PI - 1.5 * _mean_log(*_mean_and_shape(theta)))

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        root = np.sqrt(-theta)
        return -2.0 * root[..., 0] * root[..., 1] - 0.5 * np.log(-2.0 * theta[..., 1])

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        m, shape = _mean_and_shape(theta)
        return np.stack([m, 1.0 / m + 1.0 / shape], axis=-1)

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        m, gap = mu[..., 0], _product_minus_one(mu)
        return np.stack([-0.5 / (m * gap), -0.5 * m / gap], axis=-1)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        m, shape = _mean_and_shape(theta)
        cross = -m / shape
        inverse = (1.0 / m + 2.0 / shape) / shape
        return np.stack([np.stack([-m * m * cross, cross], -1), np.stack([cross, inverse], -1)], -2)

    def _entropy(self, theta: FloatArray) -> FloatArray:
        m, shape = _mean_and_shape(theta)
        return np.asarray(0.5 + _HALF_LOG_2PI - 0.5 * np.log(shape) + 1.5 * _mean_log(m, shape))

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """½ (u − log(1 + u)) + λ_b (m_a/m_b − 1)² / (2 m_a) with u = λ_b/λ_a − 1."""
        log_ratio = _log_ratio_of_means(theta_a, theta_b)
        m_a, _ = _mean_and_shape(theta_a)
        spread = 0.5 * relative_gap(theta_a[..., 1], theta_b[..., 1])
        with np.errstate(over="ignore"):  # beyond the largest double the divergence is inf
            return spread + (np.sqrt(-theta_b[..., 1]) / np.sqrt(m_a) * np.expm1(log_ratio)) ** 2

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        m, shape = _mean_and_shape(theta)
        return _draw(m[..., None], shape[..., None], (*theta.shape[:-1], n), rng)

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        m, shape = _mean_and_shape(theta)
        mean = _draw(m, n * shape, theta.shape[:-1], rng)
        chi_square = 2.0 * rng.standard_gamma((n - 1) / 2.0, theta.shape[:-1])
        return np.stack([mean, 1.0 / mean + chi_square / (n * shape)], axis=-1)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.gaussian_moments import inverse_gaussian_moments

        return inverse_gaussian_moments(*_mean_and_shape(theta), n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import inverse_gaussian_draw

        return [inverse_gaussian_draw(*_mean_and_shape(theta))]


def _mean_and_shape(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    root = np.sqrt(-theta)
    return root[..., 1] / root[..., 0], -2.0 * theta[..., 1]


def _mean_log(m: FloatArray, shape: FloatArray) -> FloatArray:
    return np.log(m) - scaled_exp1(2.0 * (shape / m))


def _product_minus_one(mu: FloatArray) -> FloatArray:
    """μ₁μ₂ − 1 = m/λ, rounded once; mantissas are multiplied so that no half of a product underflows."""
    mantissa, power = np.frexp(mu)
    high, low = exact_product(mantissa[..., 0], mantissa[..., 1])
    exponent = np.clip(power[..., 0] + power[..., 1], -1000, 1000)
    return np.asarray((np.ldexp(high, exponent) - 1.0) + np.ldexp(low, exponent))


def _log_ratio_of_means(theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
    """log(m_a/m_b), where (m_b/m_a)² = 1 + (d₂θ₁ − d₁θ₂)/(θ₁ + d₁)θ₂ for a step d from θ_a; exact products where d is small."""
    mantissa, power = np.frexp(theta_a)
    with np.errstate(over="ignore", under="ignore"):
        d = np.ldexp(theta_b - theta_a, -power)
    near = np.all(np.abs(d) < 0.25, axis=-1)
    d = np.where(near[..., None], d, 0.0)
    (high_1, low_1), (high_2, low_2) = (exact_product(d[..., 1 - k], mantissa[..., k]) for k in (0, 1))
    growth = ((high_1 - high_2) + (low_1 - low_2)) / ((mantissa[..., 0] + d[..., 0]) * mantissa[..., 1])
    logs = np.log(-theta_b) - np.log(-theta_a)
    return np.asarray(np.where(near, -0.5 * np.log1p(growth), 0.5 * (logs[..., 0] - logs[..., 1])))


def _draw(m: FloatArray, shape: FloatArray, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Both roots x of λ(x − m)²/(m²x) = χ²₁ are m times r and m/r; the smaller is taken with probability 1/(1 + r)."""
    w = 0.5 * rng.standard_normal(size) ** 2 * (m / shape)
    r = 1.0 / (1.0 + w + np.sqrt(w) * np.sqrt(2.0 + w))
    return np.asarray(m * np.where(rng.random(size) * (1.0 + r) <= 1.0, r, 1.0 / r))
