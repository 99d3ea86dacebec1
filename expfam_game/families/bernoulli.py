"""Bernoulli(dim): independent binary coordinates. φ(x) = x, θ = logit p, A(θ) = Σ log(1 + e^θ)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, logit

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.families.base import Family
from expfam_game.families.bregman import integrated_bregman
from expfam_game.families.checks import Rule, require_integer
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw


@dataclass(frozen=True, eq=False)
class Bernoulli(Family):
    """Independent binary coordinates.

    Natural parameters are log-odds, mean parameters are the probabilities of a one. Stable for probabilities from
    1e-300 up to 1 − 1e-16, the largest double below one.

    Parameters
    ----------
    dim : int
        Number of coordinates, at least 1.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Bernoulli(dim=2)
    >>> family.to_natural([0.5, 1e-300])
    array([   0.       , -690.7755279])
    >>> family.statistic([[0, 1], [1, 1]]).mean(axis=0)
    array([0.5, 1. ])
    """

    dim: int = 1
    separable = True

    def __post_init__(self) -> None:
        require_integer("Bernoulli", "dim", self.dim, 1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return tuple(f"x[{k}]" for k in range(self.dim))

    def reference_mean(self) -> FloatArray:
        return np.full(self.dim, 0.5)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield (x == 0) | (x == 1), "a Bernoulli value must be 0 or 1"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield (mu > 0) & (mu < 1), "a probability must lie strictly between 0 and 1"

    def _statistic(self, x: AnyArray) -> FloatArray:
        return x.astype(np.float64)

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return np.asarray(np.logaddexp(0.0, theta).sum(axis=-1))

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return np.asarray(expit(theta))

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return np.asarray(logit(mu))

    def _variance(self, theta: FloatArray) -> FloatArray:
        return np.asarray(expit(theta) * expit(-theta))

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        return self._variance(theta)[..., None] * np.eye(self.dim)

    def _entropy(self, theta: FloatArray) -> FloatArray:
        ones, zeros = expit(theta) * np.logaddexp(0.0, -theta), expit(-theta) * np.logaddexp(0.0, theta)
        return np.asarray((ones + zeros).sum(axis=-1))

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        return np.asarray(log_odds_kl(theta_a, theta_b).sum(axis=-1))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        shape = (*theta.shape[:-1], n, self.dim)
        return np.asarray(rng.random(shape) < expit(theta)[..., None, :], dtype=np.uint8)

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        return np.asarray(rng.binomial(n, expit(theta)) / n)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.count_moments import bernoulli_moments

        return bernoulli_moments(expit(-np.abs(theta)), theta > 0, n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.bit_moments import bernoulli_draw

        return [bernoulli_draw(expit(-np.abs(theta)), theta > 0)]

    def _fused_covariance(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.bit_moments import bernoulli_scatter

        return bernoulli_scatter(expit(-np.abs(theta)), theta > 0, n, key)


def log_odds_kl(theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
    """KL divergence between single Bernoulli laws with log-odds a and b, in nats, elementwise.

    Ones and zeros are swapped where a has p > ½, so that far apart no term is larger than the result; near, the
    difference is integrated.
    """
    a = -np.abs(theta_a)
    d = np.where(theta_a > 0, theta_a - theta_b, theta_b - theta_a)
    near = np.abs(d) < 1.0
    if np.all(near):
        return integrated_bregman(_log_odds_form, a, d)
    result = np.asarray(np.logaddexp(0.0, a + d) - np.logaddexp(0.0, a) - expit(a) * d)
    if np.any(near):
        result[near] = integrated_bregman(_log_odds_form, a[near], d[near])
    return result


def _log_odds_form(theta: FloatArray, d: FloatArray) -> FloatArray:
    """p (1 − p) d² with p of log-odds θ."""
    rare = np.exp(-np.abs(theta))
    return np.asarray(rare / (1.0 + rare) ** 2 * d**2)
