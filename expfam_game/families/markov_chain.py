"""MarkovChain(k, length): sequences scored by their first state and their transition counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from expfam_game._typing import AnyArray, BoolArray, FloatArray
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule, require_integer
from expfam_game.families.newton import invert_mean, solve_mean
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

_BLOCK = 1 << 22
"""Entries of second moments held at a time."""


@dataclass(frozen=True)
class _Segment:
    """The paths of a fixed number of transitions from state a to state b, for a batch of agents.

    ``log_weight`` (batch, k, k) is the log of their total weight; ``mean`` (batch, k, k, k²) and ``covariance``
    (batch, k, k, k², k²) are those of the transition counts over the paths from a to b.
    """

    log_weight: FloatArray
    mean: FloatArray | None
    covariance: FloatArray | None


@dataclass(frozen=True, eq=False)
class MarkovChain(Family):
    """Sequences over ``k`` states; the log-density is linear in the first state and in the transition counts.

    φ(x) = (one-hot of x_1 without the last state, the k×k transition counts N_ab row by row without the last pair).
    The left-out entries follow from Σ_a [x_1 = a] = 1 and Σ_ab N_ab = length − 1. From length 3 on this is minimal; at
    length 2 the transition determines the first state, so shorter chains are refused. A(θ) is computed from log-space
    powers of the transfer matrix exp(θ_ab) by repeated squaring, in O(k³ log length); means and Fisher information come
    from the same squaring with first and second moments carried along, in O(k⁵ log length) and O(k⁷ log length), with no
    cancellation.

    Relation to Markov chains: every member is a Markov chain, but in general with transition probabilities that depend on
    time near the end of the sequence. A chain with constant transition probabilities P and initial law π is the member with
    θ_ab = log P_ab − log P_kk, θ_a = log π_a − log π_k; such chains are a curved subfamily of dimension k² − 1, whereas this
    family has k² + k − 2 parameters, so the maximum-likelihood member generally differs from the usual frequency estimate
    by this end effect.

    Mean space: the entries of μ, the left-out entries and the law of the last state implied by the flow
    [x_T = b] = [x_1 = b] + Σ_a N_ab − Σ_c N_bc must all be positive. These conditions are necessary but not sufficient for
    all k and lengths, so a mean that passes them is accepted only if Newton's method finds its natural parameter.

    Tested for lengths up to 10⁴ and |θ| up to 500; inversion for expected counts and probabilities down to 1e-8.

    Parameters
    ----------
    k : int
        Number of states, at least 2.
    length : int
        Length of the sequences, at least 3.

    Examples
    --------
    >>> import numpy as np, expfam_game as eg
    >>> family = eg.families.MarkovChain(k=2, length=3)
    >>> family.statistic([0, 0, 1])
    array([1., 1., 1., 0.])
    >>> bool(np.isclose(family.log_partition(np.zeros(4)), np.log(8)))
    True
    """

    k: int
    length: int

    def __post_init__(self) -> None:
        for name, least in (("k", 2), ("length", 3)):
            require_integer("MarkovChain", name, getattr(self, name), least)

    @property
    def dim(self) -> int:
        return self.k - 1 + self.k**2 - 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        starts = tuple(f"[x_1={a}]" for a in range(self.k))
        pairs = tuple(f"N[{a}→{b}]" for a in range(self.k) for b in range(self.k))
        return starts[:-1] + pairs[:-1]

    def reference_mean(self) -> FloatArray:
        return self._to_mean(np.zeros(self.dim))

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield (
            (x == np.floor(x)) & (x >= 0) & (x < self.k),
            f"a state must be an integer from 0 to {self.k - 1}",
        )

    def _statistic(self, x: AnyArray) -> FloatArray:
        states = x.reshape(-1, self.length).astype(np.int64)
        pairs = states[:, :-1] * self.k + states[:, 1:] + self.k**2 * np.arange(len(states))[:, None]
        counts = np.bincount(pairs.ravel(), minlength=self.k**2 * len(states)).reshape(len(states), self.k**2)
        first = states[:, :1] == np.arange(self.k - 1)
        phi = np.concatenate([first, counts[:, :-1]], axis=1).astype(np.float64)
        return phi.reshape(*x.shape[:-1], self.dim)

    # ------------------------------------------------------------------ the mean space

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        first, counts = self._completed(mu)
        yield mu > 0, "a probability or an expected count must be positive"
        yield first[..., -1] > 0, "the probabilities of the first state must sum to less than 1"
        yield counts[..., -1, -1] > 0, "the expected transition counts must sum to less than length − 1"
        last = first + counts.sum(axis=-2) - counts.sum(axis=-1)
        yield (
            np.all(last > 0, axis=-1),
            "the flow [x_1=b] + Σ_a N[a→b] − Σ_c N[b→c], the law of the last state, must be positive",
        )
        yield (
            self._attained(mu),
            "the mean must lie strictly inside the hull of the statistics of all sequences",
        )

    def _attained(self, mu: FloatArray) -> BoolArray:
        first, counts = self._completed(mu)
        last = first + counts.sum(axis=-2) - counts.sum(axis=-1)
        good = (first > 0).all(axis=-1) & (counts > 0).all(axis=(-2, -1)) & (last > 0).all(axis=-1)
        result = np.array(good)
        if result.any():
            result[good] = solve_mean(self, mu[good], self._start(mu[good])).converged
        return result

    def _completed(self, values: FloatArray, of_mean: bool = True) -> tuple[FloatArray, FloatArray]:
        """The vector split into first states (..., k) and pairs (..., k, k), with the left-out entries put back."""
        k = self.k
        first, pairs = values[..., : k - 1], values[..., k - 1 :]
        totals = (1.0, self.length - 1.0) if of_mean else (0.0, 0.0)
        parts = []
        for part, total in zip((first, pairs), totals):
            rest = total - part.sum(axis=-1, keepdims=True) if of_mean else np.zeros((*part.shape[:-1], 1))
            parts.append(np.concatenate([part, rest], axis=-1))
        return parts[0], parts[1].reshape(*values.shape[:-1], k, k)

    # ------------------------------------------------------------------ powers of the transfer matrix

    def _segment(self, pairs: FloatArray, order: int) -> _Segment:
        """All paths of length − 1 transitions, by repeated squaring; moments up to ``order`` are carried along."""
        result: _Segment | None = None
        power = _one_step(pairs, order)
        steps = self.length - 1
        while True:
            if steps & 1:
                result = power if result is None else _join(result, power)
            steps >>= 1
            if not steps:
                assert result is not None
                return result
            power = _join(power, power)

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        first, pairs = self._completed(theta, of_mean=False)
        lead = theta.shape[:-1]
        paths = self._segment(pairs.reshape(-1, self.k, self.k), 0).log_weight
        score = (first.reshape(-1, self.k, 1) + paths).reshape(-1, self.k**2)
        return np.asarray(logsumexp(score, axis=1).reshape(lead))

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return self._in_blocks(theta, 1)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        return self._in_blocks(theta, 2)

    def _in_blocks(self, theta: FloatArray, order: int) -> FloatArray:
        flat = theta.reshape(-1, self.dim)
        size = max(1, _BLOCK // self.k ** (5 if order == 1 else 7))
        moment = self._block_mean if order == 1 else self._block_covariance
        parts = [moment(flat[at : at + size]) for at in range(0, max(len(flat), 1), size)]
        joined = np.concatenate(parts)
        return joined.reshape(theta.shape[:-1] + joined.shape[1:])

    def _ends(self, theta: FloatArray, order: int) -> tuple[FloatArray, _Segment]:
        """The joint law of first and last state (batch, k, k), and the segment between them."""
        first, pairs = self._completed(theta, of_mean=False)
        paths = self._segment(pairs, order)
        score = first[:, :, None] + paths.log_weight
        weight = np.exp(score - score.max(axis=(1, 2), keepdims=True))
        return weight / weight.sum(axis=(1, 2), keepdims=True), paths

    def _block_mean(self, theta: FloatArray) -> FloatArray:
        joint, paths = self._ends(theta, 1)
        assert paths.mean is not None
        counts = np.einsum("nab,nabi->ni", joint, paths.mean)
        return np.concatenate([joint.sum(axis=2)[:, :-1], counts[:, :-1]], axis=1)

    def _block_covariance(self, theta: FloatArray) -> FloatArray:
        joint, paths = self._ends(theta, 2)
        assert paths.mean is not None
        assert paths.covariance is not None
        k, batch = self.k, len(theta)
        start = np.broadcast_to(np.eye(k)[:, None, : k - 1], (batch, k, k, k - 1))
        given_ends = np.concatenate([start, paths.mean[..., :-1]], axis=-1).reshape(batch, k * k, self.dim)
        weight = joint.reshape(batch, k * k, 1)
        deviation = given_ends - np.sum(weight * given_ends, axis=1, keepdims=True)
        result = np.swapaxes(weight * deviation, 1, 2) @ deviation
        within = np.einsum("nab,nabij->nij", joint, paths.covariance)[:, :-1, :-1]
        result[:, k - 1 :, k - 1 :] += within
        return np.asarray(result)

    # ------------------------------------------------------------------ inverse and samples

    def _start(self, mu: FloatArray) -> FloatArray:
        """The chain with constant transition probabilities of the same frequencies: right up to the end effect."""
        first, counts = self._completed(mu)
        log_first = np.log(first)
        log_p = np.log(counts) - np.log(counts.sum(axis=-1, keepdims=True))
        starts = (log_first - log_first[..., -1:])[..., :-1]
        pairs = (log_p - log_p[..., -1:, -1:]).reshape(*mu.shape[:-1], self.k**2)[..., :-1]
        return np.concatenate([starts, pairs], axis=-1)

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return invert_mean(self, mu, self._start(mu))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        first, pairs = self._completed(theta.reshape(-1, self.dim), of_mean=False)
        batch, k = len(first), self.k
        messages = np.zeros((self.length, batch, k))
        for t in range(self.length - 2, -1, -1):
            score = pairs + messages[t + 1][:, None, :]
            peak = score.max(axis=2)
            message = peak + np.log(np.exp(score - peak[:, :, None]).sum(axis=2))
            messages[t] = message - message.max(axis=1, keepdims=True)
        x = np.empty((self.length, batch, n), dtype=np.uint8 if k <= 256 else np.int64)
        agent = np.arange(batch)[:, None]
        x[0] = _choose(np.broadcast_to((first + messages[0])[:, None, :], (batch, n, k)), rng)
        for t in range(1, self.length):
            below = _cumulative(pairs + messages[t][:, None, :])
            x[t] = _invert(below[agent, x[t - 1]], rng.random((batch, n)))
        return np.moveaxis(x, 0, -1).reshape(*theta.shape[:-1], n, self.length)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.covariance import scatters

        return scatters(self._covariance_draws(theta), n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw]:
        from expfam_game.kernels.chain_moments import chain_draw

        return [chain_draw(*self._completed(theta, of_mean=False), int(self.length))]


def _one_step(pairs: FloatArray, order: int) -> _Segment:
    batch, k = pairs.shape[:2]
    mean = np.broadcast_to(np.eye(k * k).reshape(k, k, k * k), (batch, k, k, k * k)) if order > 0 else None
    covariance = np.zeros((batch, k, k, k * k, k * k)) if order > 1 else None
    return _Segment(pairs, mean, covariance)


def _join(left: _Segment, right: _Segment) -> _Segment:
    """Concatenate paths through every middle state c: a mixture over c of sums of independent counts."""
    score = left.log_weight[:, :, :, None] + right.log_weight[:, None, :, :]
    peak = score.max(axis=2, keepdims=True)
    weight = np.exp(score - peak)
    total = weight.sum(axis=2, keepdims=True)
    weight = weight / total
    log_weight = (peak + np.log(total))[:, :, 0, :]
    if left.mean is None or right.mean is None:
        return _Segment(log_weight, None, None)
    mean = np.einsum("nacb,naci->nabi", weight, left.mean) + np.einsum("nacb,ncbi->nabi", weight, right.mean)
    if left.covariance is None or right.covariance is None:
        return _Segment(log_weight, mean, None)
    within = np.einsum("nacb,nacij->nabij", weight, left.covariance, optimize=True)
    within += np.einsum("nacb,ncbij->nabij", weight, right.covariance, optimize=True)
    through = left.mean[:, :, :, None, :] + right.mean[:, None, :, :, :]
    deviation = np.moveaxis(through - mean[:, :, None, :, :], 2, 3)
    between = np.swapaxes(deviation * np.moveaxis(weight, 2, 3)[..., None], -1, -2) @ deviation
    return _Segment(log_weight, mean, within + between)


def _cumulative(score: FloatArray) -> FloatArray:
    weight = np.cumsum(np.exp(score - score.max(axis=-1, keepdims=True)), axis=-1)
    return np.asarray(weight / weight[..., -1:])


def _invert(below: FloatArray, u: FloatArray) -> AnyArray:
    return np.asarray(np.minimum(np.sum(u[..., None] >= below, axis=-1), below.shape[-1] - 1))


def _choose(score: FloatArray, rng: np.random.Generator) -> AnyArray:
    return _invert(_cumulative(score), rng.random(score.shape[:-1]))
