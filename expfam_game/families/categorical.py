"""Categorical(k): one of k categories. φ(x) = one-hot without the last, θ_c = log p_c/p_last, A(θ) = log(1 + Σ e^θ)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.families._stable import accurate_sum, exponential_gap
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule, require_integer
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw


@dataclass(frozen=True, eq=False)
class Categorical(Family):
    """One of k categories 0, …, k − 1.

    The statistic is the one-hot vector without its last entry, so the family is minimal: θ_c = log(p_c/p_last), and the mean
    parameters are the probabilities of all categories but the last.

    Stable for probabilities from 1e-300 to 1 − 1e-16. In mean parameters the last category's probability is 1 − Σ μ; that
    subtraction is done without error, but the doubles μ themselves cannot express a last probability below about 1e-16,
    and a relative error ε in μ becomes ε/p_last in θ.

    Parameters
    ----------
    k : int
        Number of categories, at least 2.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Categorical(3)
    >>> family.to_mean([0.0, 0.0]).round(4)
    array([0.3333, 0.3333])
    >>> family.statistic([0, 2])
    array([[1., 0.],
           [0., 0.]])
    """

    k: int

    def __post_init__(self) -> None:
        require_integer("Categorical", "k", self.k, 2)

    @property
    def dim(self) -> int:
        return self.k - 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return tuple(f"[x = {c}]" for c in range(self.k - 1))

    def reference_mean(self) -> FloatArray:
        return np.full(self.k - 1, 1.0 / self.k)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield (
            (x >= 0) & (x < self.k) & (x == np.floor(x)),
            f"a category must be an integer from 0 to {self.k - 1}",
        )

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield mu > 0, "a probability must be positive"
        yield (
            _last_probability(mu) > 0,
            "the probabilities must sum to less than 1, the rest is the last category's",
        )

    def _statistic(self, x: AnyArray) -> FloatArray:
        return np.asarray((x[..., None] == np.arange(self.k - 1)).astype(np.float64))

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return _log_sum_exp(_with_last(theta))

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return np.exp(_log_probabilities(theta)[..., :-1])

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return np.log(mu) - np.log(_last_probability(mu))[..., None]

    def _variance(self, theta: FloatArray) -> FloatArray:
        p = np.exp(_log_probabilities(theta))
        return (p * _sum_of_others(p))[..., :-1]

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        p = self._to_mean(theta)
        result = -p[..., :, None] * p[..., None, :]
        diagonal = np.arange(self.dim)
        result[..., diagonal, diagonal] = self._variance(theta)
        return result

    def _entropy(self, theta: FloatArray) -> FloatArray:
        log_p = _log_probabilities(theta)
        return np.asarray(-np.sum(np.exp(log_p) * log_p, axis=-1))

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """Σ p_a (e^r − 1 − r) with r = log(p_b/p_a): terms without a sign, so nothing cancels.

        r is formed with the most probable category of a as the reference, where it is smallest.
        """
        a, b = _with_last(theta_a), _with_last(theta_b)
        log_p, log_q = _log_probabilities(theta_a), _log_probabilities(theta_b)
        top = np.argmax(a, axis=-1, keepdims=True)
        step = b - a
        step = step - np.take_along_axis(step, top, axis=-1)
        r = step - _rise(a, b, log_p, step, top)[..., None]
        near = np.abs(r) < 1.0
        p = np.exp(log_p)
        gap = p * exponential_gap(np.where(near, r, 0.0))
        return np.asarray(np.sum(np.where(near, gap, np.exp(log_q) - p - p * r), axis=-1))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        inner = np.cumsum(np.exp(_log_probabilities(theta)), axis=-1)[..., :-1].reshape(-1, self.dim)
        uniform = rng.random((inner.shape[0], n))
        rows = [np.searchsorted(edges, row, side="right") for edges, row in zip(inner, uniform)]
        return np.array(rows, dtype=np.int64).reshape(*theta.shape[:-1], n)

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        p = np.exp(_log_probabilities(theta))
        return rng.multinomial(n, p / p.sum(axis=-1, keepdims=True))[..., :-1] / n

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.count_moments import histogram

        counts = histogram(np.exp(_log_probabilities(theta)), n, key)[:, :-1]
        return counts / n, counts * ((n - counts) / n)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.count_draws import table_draw

        table = np.eye(self.dim + 1)[:, : self.dim]
        return [table_draw(np.exp(_log_probabilities(theta)), table, self._to_mean(theta))]

    def _fused_covariance(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        """From the counts of the categories: the same samples as without."""
        from expfam_game.kernels.count_moments import histogram

        counts = histogram(np.exp(_log_probabilities(theta)), n, key)[:, :-1]
        matrix = -counts[:, :, None] * counts[:, None, :] / n
        matrix[:, range(self.dim), range(self.dim)] = counts * ((n - counts) / n)
        return counts / n, matrix


def _with_last(theta: FloatArray) -> FloatArray:
    """θ with the zero of the last category."""
    return np.concatenate([theta, np.zeros((*theta.shape[:-1], 1))], axis=-1)


def _last_probability(mu: FloatArray) -> FloatArray:
    """1 − Σ μ, rounded once."""
    return accurate_sum(np.concatenate([np.ones((*mu.shape[:-1], 1)), -mu], axis=-1))


def _rest(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The largest score and Σ exp(score − largest) over all the other entries."""
    top = np.argmax(scores, axis=-1, keepdims=True)
    largest = np.take_along_axis(scores, top, axis=-1)
    weights = np.exp(scores - largest)
    np.put_along_axis(weights, top, 0.0, axis=-1)
    return largest, weights.sum(axis=-1, keepdims=True)


def _log_sum_exp(scores: FloatArray) -> FloatArray:
    """log Σ exp(scores), to full relative precision also where one entry is zero and the others are negligible."""
    largest, rest = _rest(scores)
    return (largest + np.log1p(rest))[..., 0]


def _log_probabilities(theta: FloatArray) -> FloatArray:
    """log p_c of all k categories; accurate also for the one that is nearly certain."""
    scores = _with_last(theta)
    largest, rest = _rest(scores)
    return (scores - largest) - np.log1p(rest)


def _sum_of_others(p: FloatArray) -> FloatArray:
    """1 − p_c as the sum of the other probabilities."""
    zero = np.zeros((*p.shape[:-1], 1))
    before = np.concatenate([zero, np.cumsum(p[..., :-1], axis=-1)], axis=-1)
    after = np.concatenate([zero, np.cumsum(p[..., :0:-1], axis=-1)], axis=-1)[..., ::-1]
    return np.asarray(before + after)


def _rise(a: FloatArray, b: FloatArray, log_p: FloatArray, step: FloatArray, top: AnyArray) -> FloatArray:
    """A(b) − A(a) with the scores of category ``top`` taken as zero in both: log Σ p_a e^step."""
    near = np.max(log_p + step, axis=-1) < 50.0
    step = np.where(near[..., None], step, 0.0)
    small = step < 1.0
    grown = np.exp(log_p + np.where(small, 0.0, step)) - np.exp(log_p)
    inner = np.sum(np.where(small, np.exp(log_p) * np.expm1(np.where(small, step, 0.0)), grown), axis=-1)
    far = _log_sum_exp(b - np.take_along_axis(b, top, axis=-1)) - _log_sum_exp(a - np.take_along_axis(a, top, axis=-1))
    return np.where(near, np.log1p(inner), far)
