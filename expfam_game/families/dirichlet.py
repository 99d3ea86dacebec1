"""Dirichlet(k) on the open simplex and Beta() on (0, 1). φ(x) = log x, θ = concentrations, h(x) = ∏ 1/x_c."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule, require_converged, require_integer
from expfam_game.families.gamma import SMALLEST, sample_log_gamma
from expfam_game.kernels.inversion import dirichlet_concentrations
from expfam_game.kernels.special_functions import dirichlet_kl, dirichlet_log_partition, dirichlet_moments
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

_LARGEST_BELOW_ONE = float(np.nextafter(1.0, 0.0))


class _LogShares(Family):
    """What Dirichlet and Beta share: k ≥ 2 shares of one, their logarithms as statistic, concentrations as θ."""

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        yield theta > 0, "a concentration must be positive"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield mu < 0, "the mean of a logarithm of a share of one must be negative"
        # Σ exp(μ_c) < 1, written so that nothing is rounded away where one share is almost one.
        ordered = np.sort(mu, axis=-1)
        room = -np.expm1(ordered[..., -1]) - np.exp(ordered[..., :-1]).sum(axis=-1)
        yield room > 0, "the exponentials of the mean logarithms must add up to less than one"

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return dirichlet_log_partition(_rows(theta))[0].reshape(theta.shape[:-1])

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return dirichlet_moments(_rows(theta))[0].reshape(theta.shape)

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return require_converged(self, dirichlet_concentrations(_rows(mu)).reshape(mu.shape), mu)

    def _variance(self, theta: FloatArray) -> FloatArray:
        return dirichlet_moments(_rows(theta))[1].reshape(theta.shape)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        _, variance, shared = dirichlet_moments(_rows(theta))
        diagonal = np.eye(self.dim, dtype=bool)
        matrix = np.where(diagonal, variance[..., None], -shared[:, None, None])
        return matrix.reshape(*theta.shape, self.dim)

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return np.asarray(-self._to_mean(theta).sum(axis=-1))

    def _entropy(self, theta: FloatArray) -> FloatArray:
        spread = dirichlet_log_partition(_rows(theta))[1].reshape(theta.shape[:-1])
        return np.asarray(spread + self._to_mean(theta).sum(axis=-1))

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        return dirichlet_kl(_rows(theta_a), _rows(theta_b)).reshape(theta_a.shape[:-1])

    def _sample_statistic(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """log x, exactly also where x underflows: log Gamma variates less the logarithm of their sum."""
        log_weight = np.moveaxis(sample_log_gamma(theta, n, rng), -2, -1)
        log_weight = log_weight - log_weight.max(axis=-1, keepdims=True)
        total = np.exp(log_weight).sum(axis=-1, keepdims=True)
        return np.asarray(np.minimum(log_weight - np.log(total), 0.0))

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.gamma_moments import dirichlet_moments as sampled_moments

        return sampled_moments(theta, self._to_mean(theta), self._variance(theta), n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import dirichlet_draw

        return [dirichlet_draw(theta, self._to_mean(theta))]


@dataclass(frozen=True, eq=False)
class Dirichlet(_LogShares):
    """The Dirichlet distributions of k positive shares that add up to one.

    Statistic φ(x) = (log x_1, …, log x_k), natural parameters the concentrations α > 0, log-partition
    A(α) = Σ log Γ(α_c) − log Γ(Σ α). The base measure is ∏ 1/x_c with respect to Lebesgue measure on the first k − 1
    shares, so that θ is α itself and keeps its relative accuracy where α is tiny.

    A sample has k positive entries that add up to one within 1e-12 k. Stable for concentrations 1e-8 … 1e8, mixed
    at will. Large concentrations of similar size are determined by a mean in doubles only to about 1e-16 Σα relative,
    the condition number of the map. Samples below 5e-324 are rounded up to that number; ``estimate_mean`` averages
    their exact logarithms.

    Parameters
    ----------
    k : int
        Number k of shares, at least 2.

    Notes
    -----
    The mean space is {μ : Σ exp(μ_c) < 1}. Every φ(x) lies on the surface Σ exp = 1 and exp is strictly convex, so a
    mean lies strictly inside. Conversely from any u with Σ exp(u_c) < 1 the line u + t (e_1 − e_2) meets the surface
    for one t > 0 and one t < 0, so that u is a mixture of two values of φ; int conv φ(X) is therefore all of it.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Dirichlet(3)
    >>> family.to_mean([1.0, 1.0, 1.0])
    array([-1.5, -1.5, -1.5])
    >>> family.to_natural([-1.5, -1.5, -1.5]).round(12)
    array([1., 1., 1.])
    >>> bool(family.sample([1e-3, 1e-3, 1.0], n=4, seed=0).min() > 0)
    True

    References
    ----------
    T. Minka, "Estimating a Dirichlet distribution" (2000, rev. 2012).
    """

    k: int

    def __post_init__(self) -> None:
        require_integer("Dirichlet", "k", self.k, 2)

    @property
    def dim(self) -> int:
        return int(self.k)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return tuple(f"log x[{c}]" for c in range(self.dim))

    def reference_mean(self) -> FloatArray:
        return np.full(self.dim, -np.sum(1.0 / np.arange(1, self.dim)))  # the uniform distribution

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield x > 0, "a share must be positive"
        holds = np.abs(x.sum(axis=-1) - 1.0) <= 1e-12 * self.dim
        yield holds, f"the {self.dim} shares must add up to one within {1e-12 * self.dim:.3g}"

    def _statistic(self, x: AnyArray) -> FloatArray:
        return np.log(x.astype(np.float64))

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.asarray(-self._statistic(x).sum(axis=-1))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return np.maximum(np.exp(self._sample_statistic(theta, n, rng)), SMALLEST)


@dataclass(frozen=True, eq=False)
class Beta(_LogShares):
    """The Beta distributions on (0, 1): the first of two Dirichlet shares.

    Statistic φ(x) = (log x, log(1 − x)), natural parameters θ = (a, b) > 0, log-partition A(θ) = log B(a, b), base
    measure 1/(x (1 − x)). Mean space {μ : exp μ₁ + exp μ₂ < 1}; ranges, accuracy and proof as for :class:`Dirichlet`.

    Samples are rounded into [5e-324, 1 − 1.1e-16], the doubles strictly inside the interval; ``estimate_mean`` averages
    the exact logarithms of x and 1 − x.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Beta()
    >>> family.to_mean([1.0, 1.0])
    array([-1., -1.])
    >>> family.to_natural([-1.0, -1.0]).round(12)
    array([1., 1.])
    """

    @property
    def dim(self) -> int:
        return 2

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("log x", "log(1-x)")

    def reference_mean(self) -> FloatArray:
        return np.array([-1.0, -1.0])

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield (x > 0) & (x < 1), "a Beta value must lie strictly between 0 and 1"

    def _statistic(self, x: AnyArray) -> FloatArray:
        values = x.astype(np.float64)
        return np.stack([np.log(values), np.log1p(-values)], axis=-1)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.asarray(-self._statistic(x).sum(axis=-1))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        x = np.exp(self._sample_statistic(theta, n, rng)[..., 0])
        return np.clip(x, SMALLEST, _LARGEST_BELOW_ONE)


def _rows(theta: FloatArray) -> FloatArray:
    """A copy of the parameters, one row per agent: contiguous and writeable, so that kernels compile once."""
    return np.array(theta, order="C").reshape(-1, theta.shape[-1])
