"""All 2^n states of n spins: the exact law of an Ising model on a small graph, loops or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.families.finite import log_exp_remainder
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

_BLOCK = 1 << 22
"""Probabilities held at a time."""
_LARGEST_TABLES = 1 << 24
"""Probabilities of all agents held at a time where spins are a factor of a product."""


class Enumeration:
    """All 2^n states; state number i has x_s = −1 where bit s of i is set, so x_S is the Walsh function of mask S."""

    def __init__(self, sites: int, pairs: IntArray) -> None:
        self.sites, self.states = sites, 1 << sites
        self.masks = np.concatenate([1 << np.arange(sites), (1 << pairs[:, 0]) | (1 << pairs[:, 1])])

    def _blocks(self, *thetas: FloatArray) -> Iterator[tuple[FloatArray, ...]]:
        size = max(1, _BLOCK // self.states)
        for at in range(0, max(len(thetas[0]), 1), size):
            yield tuple(theta[at : at + size] for theta in thetas)

    def _log_p(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """log probabilities of all states and A(θ)."""
        score = np.zeros((len(theta), self.states))
        score[:, self.masks] = theta
        _walsh(score)
        peak = score.max(axis=1, keepdims=True)
        score -= peak
        log_sum = np.log(np.exp(score).sum(axis=1, keepdims=True))
        return score - log_sum, (peak + log_sum)[:, 0]

    def _spectrum(self, theta: FloatArray) -> tuple[FloatArray, IntArray]:
        """Walsh transform of the probabilities without the most probable state, and that state.

        Leaving it out keeps small probabilities of the others exact when it holds nearly all mass.
        """
        p = np.exp(self._log_p(theta)[0])
        mode = p.argmax(axis=1)
        p[np.arange(len(p)), mode] = 0.0
        _walsh(p)
        return p, mode

    def _flips(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Probability that statistic k differs from its value in the mode, those values, and the signed spectrum."""
        rest, mode = self._spectrum(theta)
        value = self._signs(self.masks[None, :] & mode[:, None])
        flip = 0.5 * (rest[:, :1] - value * rest[:, self.masks])
        return np.maximum(flip, 0.0), value, rest

    @staticmethod
    def _signs(bits: IntArray) -> FloatArray:
        return np.asarray(1.0 - 2.0 * (np.bitwise_count(bits) & 1), dtype=np.float64)

    def log_partition(self, theta: FloatArray) -> FloatArray:
        """A(θ) in nats, shape (agents,)."""
        return np.concatenate([self._log_p(block)[1] for (block,) in self._blocks(theta)])

    def mean(self, theta: FloatArray) -> FloatArray:
        """E_θ[φ], to full relative accuracy in its distance from the value in the mode; shape (agents, dim)."""
        parts = []
        for (block,) in self._blocks(theta):
            flip, value, _ = self._flips(block)
            parts.append(value * (1.0 - 2.0 * flip))
        return np.concatenate(parts)

    def variance(self, theta: FloatArray) -> FloatArray:
        """Var_θ of each statistic, 4 P(it flips) P(it does not); shape (agents, dim)."""
        parts = [self._flips(block)[0] for (block,) in self._blocks(theta)]
        return np.concatenate([4.0 * flip * (1.0 - flip) for flip in parts])

    def fisher(self, theta: FloatArray) -> FloatArray:
        """4 (P(both flip) − P(k flips) P(l flips)), in the signs of the mode."""
        both = self.masks[:, None] ^ self.masks[None, :]
        parts = []
        for (block,) in self._blocks(theta):
            flip, value, rest = self._flips(block)
            signs = value[:, :, None] * value[:, None, :]
            together = 0.5 * (flip[:, :, None] + flip[:, None, :]) - 0.25 * (rest[:, :1, None] - signs * rest[:, both])
            parts.append(4.0 * signs * (together - flip[:, :, None] * flip[:, None, :]))
        return np.concatenate(parts)

    def entropy(self, theta: FloatArray) -> FloatArray:
        """−Σ p log p over all states, in nats; shape (agents,)."""
        parts = [self._log_p(block)[0] for (block,) in self._blocks(theta)]
        return np.concatenate([-np.sum(np.exp(log_p) * log_p, axis=1) for log_p in parts])

    def kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """log1p(E_a[eᵘ − 1 − u]) with u = ⟨b − a, φ − μ(a)⟩, as in :mod:`expfam_game.families.finite`."""
        parts = []
        for a, b in self._blocks(theta_a, theta_b):
            log_p = self._log_p(a)[0]
            u = np.zeros_like(log_p)
            u[:, self.masks] = b - a
            _walsh(u)
            u -= np.sum(np.exp(log_p) * u, axis=1, keepdims=True)
            terms = log_p + log_exp_remainder(u)
            parts.append(np.logaddexp(0.0, _log_sum(terms)))
        return np.concatenate(parts)

    def sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        """n samples of spins ±1 by inversion of the cumulative distribution over states; shape (agents, n, sites)."""
        x = np.empty((len(theta), n, self.sites), dtype=np.int8)
        for k in range(len(theta)):
            below = np.cumsum(np.exp(self._log_p(theta[k : k + 1])[0][0]))
            state = np.minimum(np.searchsorted(below, rng.random(n) * below[-1], side="right"), self.states - 1)
            x[k] = 1 - 2 * ((state[:, None] >> np.arange(self.sites)) & 1)
        return x

    def _minus_counts(self, theta: FloatArray, n: int, key: StreamKey, masks: IntArray) -> FloatArray:
        """How many of n samples have an odd number of spins −1 in each mask, (agents, *masks.shape).

        The samples are counted state by state; a Walsh transform of the counts gives the sums of all products at once.
        """
        from expfam_game.kernels.table_moments import cell_counts

        parts, first = [], 0
        for (block,) in self._blocks(theta):
            counts = cell_counts(np.exp(self._log_p(block)[0]), n, key, first)
            _walsh(counts)
            parts.append(0.5 * (n - counts[:, masks]))
            first += len(block)
        return np.concatenate(parts)

    def fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
        """Mean and sum of squared deviations of each statistic over n samples, both (agents, dim)."""
        minus = self._minus_counts(theta, n, key, self.masks)
        return 1.0 - 2.0 * minus / n, 4.0 * minus * ((n - minus) / n)

    def fused_covariance(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
        """From the counts of the products of pairs of statistics, x_S x_T = x_{S△T}; the same samples."""
        pairs = self.masks[:, None] ^ self.masks[None, :]
        counts = self._minus_counts(theta, n, key, np.concatenate([self.masks[None], pairs]))
        minus, differ = counts[:, 0], counts[:, 1:]
        both = 0.5 * (minus[:, :, None] + minus[:, None, :] - differ)
        scatter = 4.0 * (both - minus[:, :, None] * minus[:, None, :] / n)
        every = np.arange(len(self.masks))
        scatter[:, every, every] = 4.0 * minus * ((n - minus) / n)
        return 1.0 - 2.0 * minus / n, scatter

    def draws(self, theta: FloatArray) -> list[Draw] | None:
        """The kernel that draws one state, with its tables; None where the tables would be too large."""
        if len(theta) * self.states > _LARGEST_TABLES:
            return None
        from expfam_game.kernels.table_moments import state_draw

        p = np.concatenate([np.exp(self._log_p(block)[0]) for (block,) in self._blocks(theta)])
        return [state_draw(p, self.masks, self.mean(theta))]


def _log_sum(terms: FloatArray) -> FloatArray:
    """log Σ exp over the last axis; −inf where all terms are."""
    peak = terms.max(axis=1, keepdims=True)
    finite = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(terms - finite).sum(axis=1)) + finite[:, 0])


def _walsh(values: FloatArray) -> None:
    """Unnormalised fast Walsh–Hadamard transform over the last axis, in place."""
    batch, states = values.shape
    half = 1
    while half < states:
        view = values.reshape(batch, states // (2 * half), 2, half)
        low, high = view[:, :, 0].copy(), view[:, :, 1]
        view[:, :, 0] += high
        np.subtract(low, high, out=view[:, :, 1])
        half *= 2
