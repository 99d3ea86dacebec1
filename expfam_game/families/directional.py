"""VonMises() on the circle and VonMisesFisher(d) on the sphere. φ(x) = the unit vector, θ = κ times the mean direction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray
from expfam_game.errors import InvalidNaturalParameter
from expfam_game.families.base import Family
from expfam_game.families.bregman import integrated_bregman
from expfam_game.families.checks import Rule, require_converged, require_integer
from expfam_game.kernels.inversion import lengths, resultant_concentrations
from expfam_game.kernels.special_functions import bessel_ratios, log_bessels_scaled
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

_UNIT_TOLERANCE = 1e-9


class _Directional(Family):
    """What both share. With κ = ‖θ‖, ν = d/2 − 1 and A_d = I_(ν+1)/I_ν:

    A(θ) = log |S^(d−1)| + log ₀F₁(; d/2; κ²/4),  μ = A_d(κ) θ/κ,  F = A_d' u uᵀ + (A_d/κ)(I − u uᵀ), u = θ/κ.
    """

    @property
    def _order(self) -> float:
        return 0.5 * self.dim - 1.0

    @property
    def _log_area(self) -> float:
        return float(np.log(2.0) + 0.5 * self.dim * np.log(np.pi) - gammaln(0.5 * self.dim))

    def reference_mean(self) -> FloatArray:
        return np.zeros(self.dim)  # the uniform distribution

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield _length(mu) < 1.0, "the mean resultant vector must be shorter than one"

    def _ratios(self, kappa: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A_d/κ, 1 − A_d and A_d'."""
        over_kappa, complement, slope = bessel_ratios(self._order, kappa.ravel())
        return over_kappa.reshape(kappa.shape), complement.reshape(kappa.shape), slope.reshape(kappa.shape)

    def _scaled(self, kappa: FloatArray) -> FloatArray:
        """log ₀F₁(; d/2; κ²/4) − κ, about −(d − 1)/2 log κ."""
        return log_bessels_scaled(self._order, kappa.ravel()).reshape(kappa.shape)

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        kappa = _length(theta)
        return self._log_area + self._scaled(kappa) + kappa

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return self._ratios(_length(theta))[0][..., None] * theta

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        length = np.asarray(_length(mu))
        kappa = resultant_concentrations(self._order, length.ravel(), (1.0 - length).ravel()).reshape(length.shape)
        stretch = np.divide(kappa, length, out=np.full(length.shape, float(self.dim)), where=length > 0)
        return require_converged(self, stretch[..., None] * mu, mu)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        kappa = _length(theta)
        over_kappa, _, slope = self._ratios(kappa)
        u = _direction(theta)
        radial = u[..., :, None] * u[..., None, :]
        eye = np.eye(self.dim)
        # The diagonal of I − u uᵀ as the sum of the other squares: 1 − u_i² would cancel.
        rest = np.where(kappa[..., None] > 0, (u**2) @ (1.0 - eye), 1.0)
        tangential = np.where(eye > 0, rest[..., None], -radial)
        return slope[..., None, None] * radial + over_kappa[..., None, None] * tangential

    def _entropy(self, theta: FloatArray) -> FloatArray:
        kappa = _length(theta)
        return self._log_area + self._scaled(kappa) + kappa * self._ratios(kappa)[1]

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """A part for the change of κ and a part for the turn, both non-negative and free of cancellation."""
        step = theta_b - theta_a
        kappa_a, kappa_b, u = _length(theta_a), _length(theta_b), _direction(theta_a)
        total = kappa_a + kappa_b
        change = np.sum((theta_a + theta_b) * step, axis=-1) / np.where(total > 0, total, 1.0)  # κ_b − κ_a
        across = np.sum((step - u * np.sum(u * step, axis=-1, keepdims=True)) ** 2, axis=-1)
        dot, product = np.sum(theta_a * theta_b, axis=-1), kappa_a * kappa_b
        aligned = dot > 0
        # κ_a κ_b (1 − cos) by Lagrange's identity where the directions are close
        turn = np.where(aligned, kappa_a**2 * across / np.where(aligned, product + dot, 1.0), product - dot)
        return np.asarray(self._radial_kl(kappa_a, kappa_b, change) + self._ratios(kappa_a)[0] * turn)

    def _radial_kl(self, kappa_a: FloatArray, kappa_b: FloatArray, change: FloatArray) -> FloatArray:
        far = self._scaled(kappa_b) - self._scaled(kappa_a) + self._ratios(kappa_a)[1] * change
        near = integrated_bregman(
            lambda kappa, step: self._ratios(np.maximum(kappa, 0.0))[2] * step**2, kappa_a, change
        )
        low, high = np.minimum(kappa_a, kappa_b), np.maximum(kappa_a, kappa_b)
        return np.where((high < 3.0 * low) | (high < 0.5 * self.dim), near, far)


@dataclass(frozen=True, eq=False)
class VonMises(_Directional):
    """The von Mises distributions of an angle, with mean direction m and concentration κ.

    Statistic φ(x) = (cos x, sin x), natural parameters θ = κ (cos m, sin m), log-partition A(θ) = log(2π I₀(κ)); the
    density is per radian and any real angle is accepted. The natural space is the whole plane (κ = 0 is uniform), the
    mean space the open unit disc.

    Stable for κ from 0 to 1e10. ``log_prob`` carries the rounding error of a scalar product of size κ. As ‖μ‖ → 1 the
    concentration hangs on 1 − ‖μ‖ ≈ 1/(2κ), so a mean in doubles determines it only to a relative error of about 2κ
    times 1e-16: to 1e-8 at κ = 1e8, however exactly the mean is met.

    Examples
    --------
    >>> import numpy as np
    >>> import expfam_game as eg
    >>> family = eg.families.VonMises()
    >>> theta = family.from_mean_direction(np.pi / 2, 3.0)
    >>> theta.round(12)
    array([0., 3.])
    >>> family.to_mean(theta).round(4)
    array([0. , 0.81])
    >>> family.to_natural(family.to_mean(theta)).round(12)
    array([0., 3.])

    References
    ----------
    D. Best and N. Fisher, "Efficient simulation of the von Mises distribution", Appl. Stat. 28 (1979) 152; see also
    :class:`VonMisesFisher`.
    """

    @property
    def dim(self) -> int:
        return 2

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("cos x", "sin x")

    def from_mean_direction(self, direction: ArrayLike, concentration: ArrayLike) -> FloatArray:
        """Natural parameters κ (cos m, sin m) of angles m and concentrations κ ≥ 0, which broadcast."""
        angle, kappa = np.broadcast_arrays(np.asarray(direction, dtype=np.float64), _checked_kappa(concentration))
        if not np.all(np.isfinite(angle)):
            raise InvalidNaturalParameter("a mean direction must be a finite angle in radians")
        return kappa[..., None] * self._statistic(angle)

    def to_mean_direction(self, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Mean directions in (−π, π] and concentrations, each of shape (...)."""
        natural = self._checked_natural(theta)
        return np.arctan2(natural[..., 1], natural[..., 0]), _length(natural)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        return ()

    def _statistic(self, x: AnyArray) -> FloatArray:
        angle = x.astype(np.float64)
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        sine, cosine = _half_angles(np.asarray(_length(theta)), 2, n, rng)
        turn = np.copysign(2.0 * np.arctan2(sine, cosine), rng.random(sine.shape) - 0.5)
        angle = np.arctan2(theta[..., 1], theta[..., 0])[..., None] + turn
        return angle - 2.0 * np.pi * np.round(angle / (2.0 * np.pi))

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.directional_moments import von_mises_moments

        kappa = _length(theta)
        direction = np.where(kappa[:, None] > 0, _direction(theta), np.array([1.0, 0.0]))
        return von_mises_moments(direction, kappa, self._ratios(kappa)[1], n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import von_mises_draw

        kappa = _length(theta)
        direction = np.where(kappa[:, None] > 0, _direction(theta), np.array([1.0, 0.0]))
        return [von_mises_draw(direction, kappa, self._ratios(kappa)[1], self._to_mean(theta))]


@dataclass(frozen=True, eq=False)
class VonMisesFisher(_Directional):
    """The von Mises–Fisher distributions of a unit vector in R^d, with mean direction m and concentration κ.

    Statistic φ(x) = x, natural parameters θ = κ m, log-partition A(θ) = log of (2π)^(d/2) I_ν(κ)/κ^ν with ν = d/2 − 1,
    relative to the surface measure of the sphere. The natural space is R^d (θ = 0 is uniform), the mean space the open
    unit ball. A sample is a vector of length one within 1e-9.

    Stable for κ from 0 to 1e10 and any d: the Bessel ratio comes from Gauss's continued fraction or from Debye's
    uniform expansion. ``log_prob`` carries the rounding error of a scalar product of size κ. As ‖μ‖ → 1 the
    concentration hangs on 1 − ‖μ‖ ≈ (d − 1)/(2κ), so a mean in doubles determines it only to a relative error of about
    2κ/(d − 1) times 1e-16: to 1e-8 at κ = 1e8 on the sphere, however exactly the mean is met.

    Parameters
    ----------
    n_variables : int
        Dimension d of the vectors, at least 2.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.VonMisesFisher(3)
    >>> theta = family.from_mean_direction([0.0, 0.0, 2.0], 1e3)
    >>> theta
    array([   0.,    0., 1000.])
    >>> family.to_mean(theta)
    array([0.   , 0.   , 0.999])
    >>> family.to_natural([0.0, 0.0, 0.0])
    array([0., 0., 0.])

    References
    ----------
    A. Wood, "Simulation of the von Mises Fisher distribution", Commun. Stat. Simul. 23 (1994) 157, for the sampler;
    S. Sra, Comput. Stat. 27 (2012) 177, for the start of the inversion, sharpened here; DLMF 10.33 and 10.41 for the Bessel
    functions.
    """

    n_variables: int

    def __post_init__(self) -> None:
        require_integer("VonMisesFisher", "n_variables", self.n_variables, 2)

    @property
    def dim(self) -> int:
        return int(self.n_variables)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return tuple(f"x[{k}]" for k in range(self.dim))

    def from_mean_direction(self, direction: ArrayLike, concentration: ArrayLike) -> FloatArray:
        """Natural parameters κ m of directions, normalised here, shape (..., d), and concentrations κ ≥ 0, shape (...)."""
        vector = self._shaped(direction, InvalidNaturalParameter, "mean directions")
        if not np.all(np.isfinite(vector)) or np.any(_length(vector) == 0):
            raise InvalidNaturalParameter("a mean direction must be finite and not the zero vector")
        return _checked_kappa(concentration)[..., None] * _direction(vector)

    def to_mean_direction(self, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Mean directions, shape (..., d), and concentrations, shape (...); the direction is zero where θ = 0."""
        natural = self._checked_natural(theta)
        return _direction(natural), _length(natural)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        with np.errstate(invalid="ignore"):
            holds = np.abs(_length(x.astype(np.float64)) - 1.0) <= _UNIT_TOLERANCE
        yield holds, f"the vector must have length one within {_UNIT_TOLERANCE:.0e}"

    def _statistic(self, x: AnyArray) -> FloatArray:
        return x.astype(np.float64)

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        sine, cosine = _half_angles(np.asarray(_length(theta)), self.dim, n, rng)
        tangent = rng.standard_normal((*sine.shape, self.dim - 1))
        tangent *= (2.0 * sine * cosine / np.sqrt(np.sum(tangent**2, axis=-1)))[..., None]
        x = np.concatenate([((cosine - sine) * (cosine + sine))[..., None], tangent], axis=-1)
        return _turned_to(_direction(theta)[..., None, :], x)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.directional_moments import sphere_moments

        kappa = _length(theta)
        direction = np.where(kappa[:, None] > 0, _direction(theta), np.eye(self.dim)[0])
        return sphere_moments(direction, kappa, self._ratios(kappa)[1], self._to_mean(theta), n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import sphere_draw

        kappa = _length(theta)
        direction = np.where(kappa[:, None] > 0, _direction(theta), np.eye(self.dim)[0])
        return [sphere_draw(direction, kappa, self._ratios(kappa)[1], self._to_mean(theta))]


def _checked_kappa(concentration: ArrayLike) -> FloatArray:
    kappa = np.asarray(concentration, dtype=np.float64)
    if not np.all(np.isfinite(kappa) & (kappa >= 0)):
        raise InvalidNaturalParameter("a concentration must be finite and not negative")
    return kappa


def _length(vector: FloatArray) -> FloatArray:
    """Euclidean length over the last axis; the kernel is compiled for contiguous and writeable arrays only, once."""
    rows = np.require(vector, requirements=["C", "W"])
    return lengths(rows.reshape(-1, vector.shape[-1])).reshape(vector.shape[:-1])


def _direction(vector: FloatArray) -> FloatArray:
    """The vector over its length; zero for the zero vector."""
    length = _length(vector)[..., None]
    return vector / np.where(length > 0, length, 1.0)


def _half_angles(kappa: FloatArray, d: int, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """sin and cos of half the angle to the mean direction, n for each κ: shape (...) to (..., n).

    Wood's rejection sampler written for tan²(angle/2) = b g₁/g₂ with g₁, g₂ ~ Gamma((d − 1)/2): no difference of nearly
    equal numbers occurs, whatever κ.
    """
    spread = np.repeat(kappa.ravel(), n)
    b = (d - 1.0) / (2.0 * spread + np.sqrt(4.0 * spread**2 + (d - 1.0) ** 2))
    squares = np.empty((2, spread.size))
    pending = np.arange(spread.size)
    while pending.size:
        first, second = rng.standard_gamma(0.5 * (d - 1.0), (2, pending.size))
        accepted = _wood_accepts(spread[pending], b[pending], first, second, d, rng)
        done = pending[accepted]
        squares[:, done] = b[done] * first[accepted], second[accepted]
        pending = pending[~accepted]
    halves = np.sqrt(squares / squares.sum(axis=0)).reshape(2, *kappa.shape, n)
    return halves[0], halves[1]


def _wood_accepts(
    kappa: FloatArray, b: FloatArray, first: FloatArray, second: FloatArray, d: int, rng: np.random.Generator
) -> BoolArray:
    """Accept with probability exp(κ (w − x₀) + (d − 1) log[(1 − x₀ w)/(1 − x₀²)]), w = 1 − 2 b y, x₀ = (1 − b)/(1 + b)."""
    y = first / (second + b * first)
    shape = (d - 1.0) * np.log(0.5 * (1.0 + b) * (1.0 + (1.0 - b) * y))
    return np.asarray(2.0 * kappa * b * (1.0 / (1.0 + b) - y) + shape >= -rng.standard_exponential(kappa.size))


def _turned_to(u: FloatArray, x: FloatArray) -> FloatArray:
    """x under a reflection that takes the first axis to ±u, with that sign: an isometry, well conditioned for every u."""
    sign = np.where(u[..., :1] < 0, -1.0, 1.0)
    mirror = u.copy()
    mirror[..., :1] += sign
    size = np.sum(mirror**2, axis=-1, keepdims=True)
    reflected = x - mirror * (2.0 * np.sum(mirror * x, axis=-1, keepdims=True) / size)
    return np.asarray(-sign * reflected)
