"""The game of agents that share a statistic: its data, best response, regret and equilibrium structure (T1–T4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator
from tqdm.auto import tqdm

from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.errors import BoundaryEquilibrium, InvalidData, InvalidInput, InvalidMeanParameter
from expfam_game.families.base import Family
from expfam_game.game import linear
from expfam_game.game.weights import Weights

_CHUNK = 1 << 14
"""Rows of data read at a time: bounds the memory of the pass over memory-mapped arrays."""

_DENSE_INFLUENCE = 2000
"""Up to this many agents the influence matrix is returned as an array."""


class Game:
    """N agents with one exponential family, row-stochastic weights and private data.

    Agent i maximises ``α_ii E_data[log p_i] + Σ_j α_ij E_{p_j}[log p_i]``. The unique equilibrium has mean parameters
    ``μ* = R m`` (T2).

    Parameters
    ----------
    family : Family
    weights : Weights
    data : sequence, optional
        One item an agent: an array ``(n_i, *event_shape)`` (also a memory map), an iterator of such arrays (read once),
        or None for an agent without data, whose self-weight must be zero.
    means : array_like, shape (n_agents, dim), optional
        The averages m_i of the statistic, instead of ``data``. Rows of agents without data may be NaN.
    counts : array_like of int, shape (n_agents,), optional
        Sample sizes that go with ``means``.
    pseudo_count : float, optional
        Each m_i becomes ``(n_i m_i + pseudo_count · prior_mean) / (n_i + pseudo_count)``: moves boundary data (a pixel
        that is never lit, a class never seen) into the interior (T2).
    prior_mean : array_like, shape (dim,), optional
        An interior mean; by default ``family.reference_mean()``.

    Attributes
    ----------
    means : ndarray, shape (n_agents, dim)
        m, after pseudo-counts; rows of agents without data are zero and have no effect.
    counts : ndarray of int, shape (n_agents,), or None
    n_agents : int

    Raises
    ------
    InvalidInput, InvalidData, InvalidMeanParameter
        Naming the agent, the entry and the rule broken.

    Examples
    --------
    >>> import expfam_game as eg
    >>> data = [[[1], [1], [0], [1]], [[0], [1]]]
    >>> game = eg.Game(eg.families.Bernoulli(dim=1), eg.Weights.complete(2, 0.5), data)
    >>> game.means.ravel()
    array([0.75, 0.5 ])
    >>> game.influence().round(4)
    array([[0.6667, 0.3333],
           [0.3333, 0.6667]])
    """

    def __init__(
        self,
        family: Family,
        weights: Weights,
        data: Sequence[Any] | None = None,
        *,
        means: ArrayLike | None = None,
        counts: ArrayLike | None = None,
        pseudo_count: float = 0.0,
        prior_mean: ArrayLike | None = None,
    ) -> None:
        self.family = family
        self.weights = weights
        if (data is None) == (means is None):
            raise InvalidInput("give either data= (one item per agent) or means= (n_agents, dim), not both")
        raw, self.counts = self._from_data(data) if data is not None else self._from_means(means, counts)
        self.means = self._with_pseudo_count(raw, pseudo_count, prior_mean)
        self.means.setflags(write=False)

    def __repr__(self) -> str:
        return f"Game({self.family!r}, n_agents={self.n_agents})"

    @property
    def n_agents(self) -> int:
        return self.weights.n_agents

    # ------------------------------------------------------------------ data

    def _from_data(self, data: Sequence[Any]) -> tuple[FloatArray, AnyArray | None]:
        if len(data) != self.n_agents:
            raise InvalidInput(f"data has {len(data)} items, but the weights are for {self.n_agents} agents")
        means = np.zeros((self.n_agents, self.family.dim))
        counts = np.zeros(self.n_agents, dtype=np.int64)
        # Shown after two seconds, on terminals only.
        agents = tqdm(data, desc="reading data", unit=" agents", delay=2.0, disable=None, leave=False)
        for agent, samples in enumerate(agents):
            if samples is not None:
                means[agent], counts[agent] = _streamed_mean(self.family, samples, agent)
            if counts[agent] == 0:
                self._require_no_trust(agent, "has no data")
        return means, counts

    def _from_means(self, means: ArrayLike | None, counts: ArrayLike | None) -> tuple[FloatArray, AnyArray | None]:
        values = np.array(means, dtype=np.float64)
        expected = (self.n_agents, self.family.dim)
        if values.shape != expected:
            raise InvalidMeanParameter(f"means must have shape (n_agents, dim) = {expected}, got {values.shape}")
        missing = np.isnan(values).all(axis=1)
        for agent in map(int, np.flatnonzero(missing)):
            self._require_no_trust(agent, "has no mean (its row of means is NaN)")
        values[missing] = 0.0
        # A mean of data lies in the closure of the mean space: nudged towards the interior it must be inside.
        nudged = values[~missing] + 1e-6 * (self.family.reference_mean() - values[~missing])
        outside = ~np.atleast_1d(self.family.in_mean_space(nudged))
        if outside.any():
            worst = int(np.flatnonzero(~missing)[int(np.argmax(outside))])
            raise InvalidMeanParameter(
                f"means: row {worst}, {values[worst]}, is not the average of the statistic over any data: "
                f"it lies outside the closed mean space of {self.family!r}",
                agent=worst,
            )
        return values, None if counts is None else self._checked_counts(counts)

    def _checked_counts(self, counts: ArrayLike) -> AnyArray:
        sizes = np.asarray(counts)
        if sizes.shape != (self.n_agents,) or np.any(sizes < 0) or np.any(sizes != np.floor(sizes)):
            raise InvalidInput(f"counts must be {self.n_agents} non-negative integers, got {sizes!r}")
        return sizes.astype(np.int64)

    def _require_no_trust(self, agent: int, state: str) -> None:
        trust = self.weights.self_weights[agent]
        if trust > 0:
            raise InvalidData(
                f"agent {agent} {state}, but its self-weight is {trust:g}; give it data or set its self-weight to zero",
                agent=agent,
            )

    def _with_pseudo_count(self, means: FloatArray, pseudo_count: float, prior_mean: ArrayLike | None) -> FloatArray:
        if not np.isfinite(pseudo_count) or pseudo_count < 0:
            raise InvalidInput(f"pseudo_count is {pseudo_count}; it must be finite and non-negative")
        if pseudo_count == 0:
            return means
        if self.counts is None:
            raise InvalidInput("pseudo_count needs the sample sizes: give counts= beside means=")
        prior = self.family.reference_mean() if prior_mean is None else self.family._checked_mean(prior_mean)
        counts = self.counts[:, None]
        return np.asarray((counts * means + pseudo_count * prior) / (counts + pseudo_count))

    # ------------------------------------------------------------------ best response (T1)

    @cached_property
    def anchored_data(self) -> FloatArray:
        """D m, the part of every best response that no other agent can move; shape (n_agents, dim)."""
        return np.asarray(self.weights.self_weights[:, None] * self.means)

    def best_response(self, mean: ArrayLike) -> FloatArray:
        """t = D m + B μ, the mean parameters of everybody's best response to the profile ``mean`` (T1).

        Parameters
        ----------
        mean : array_like, shape (n_agents, dim)

        Returns
        -------
        ndarray, shape (n_agents, dim)
        """
        return self._best_response(self._profile(mean))

    def _best_response(self, mean: FloatArray) -> FloatArray:
        return np.asarray(self.anchored_data + self.weights.off_diagonal @ mean)

    def residual(self, mean: ArrayLike) -> FloatArray:
        """F(μ) − μ, zero exactly at the equilibrium; shape (n_agents, dim)."""
        values = self._profile(mean)
        return self._best_response(values) - values

    def regret(self, natural: ArrayLike) -> FloatArray:
        """What each agent gains by switching to its best response, in nats: KL(p_best ‖ p_θ) (T1).

        Parameters
        ----------
        natural : array_like, shape (n_agents, dim)
            The profile in natural parameters.

        Returns
        -------
        ndarray, shape (n_agents,)

        Examples
        --------
        >>> import expfam_game as eg
        >>> game = eg.catalog.two_agents(0.5)
        >>> bool(game.regret(eg.solve(game).natural).max() < 1e-15)
        True
        """
        theta = self._profile(natural)
        target = self._best_response(self.family.to_mean(theta))
        return self.family.kl(self.family.to_natural(target), theta)

    def utilities(self, natural: ArrayLike) -> FloatArray:
        """Each agent's utility ⟨θ_i, t_i⟩ − A(θ_i) in nats, up to the base-measure term (T1)."""
        theta = self._profile(natural)
        target = self._best_response(self.family.to_mean(theta))
        return np.asarray(np.sum(theta * target, axis=1) - self.family.log_partition(theta))

    def potential(self, natural: ArrayLike, c: ArrayLike | None = None) -> float:
        """Φ_c(θ) = Σ c_i (A(θ_i) − ⟨θ_i, (Rm)_i⟩), strictly convex with the equilibrium as its minimiser (T3c)."""
        theta = self._profile(natural)
        terms = self.family.log_partition(theta) - np.sum(theta * self.equilibrium_mean, axis=1)
        return float(np.sum(terms if c is None else np.asarray(c) * terms))

    def _profile(self, values: ArrayLike) -> FloatArray:
        profile = np.asarray(values, dtype=np.float64)
        if profile.shape != self.means.shape:
            raise InvalidInput(f"a profile must have shape (n_agents, dim) = {self.means.shape}, got {profile.shape}")
        return profile

    # ------------------------------------------------------------------ structure (T2, T4)

    @cached_property
    def v(self) -> FloatArray:
        """v = (I − B)^{-1} 1 ≥ 1: expected steps until the chain α, stopped at own data, stops; shape (n_agents,)."""
        self.weights.require_anchored()
        return linear.solve_linear(self.weights.off_diagonal, np.ones(self.n_agents))

    @property
    def q(self) -> float:
        """The contraction factor 1 − 1/max v of simultaneous best response in ‖x‖_v = max |x_i|/v_i (T4)."""
        return float(1.0 - 1.0 / np.max(self.v))

    @cached_property
    def spectral_radius(self) -> float:
        """ρ(B) ≤ q, the asymptotic rate of simultaneous best response (T4)."""
        return linear.spectral_radius(self.weights.off_diagonal)

    @cached_property
    def equilibrium_mean(self) -> FloatArray:
        """R m by one linear solve (T2), without looking at the mean space; shape (n_agents, dim)."""
        self.weights.require_anchored()
        return linear.solve_linear(self.weights.off_diagonal, self.anchored_data)

    def influence(self) -> Any:
        """R = (I − B)^{-1} D: how much the data of agent j weighs in the equilibrium of agent i (T2).

        Returns
        -------
        ndarray, shape (n_agents, n_agents), or LinearOperator
            An array up to 2000 agents, above it an operator with ``@`` and ``.T``. Rows sum to one.

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.catalog.two_agents(0.5).influence().sum(axis=1)
        array([1., 1.])
        """
        self.weights.require_anchored()
        b, trust = self.weights.off_diagonal, self.weights.self_weights
        if self.n_agents <= _DENSE_INFLUENCE:
            return linear.solve_lu(b, np.diag(trust))
        forward, backward = linear.solver(b)
        return LinearOperator(
            (self.n_agents, self.n_agents),
            matvec=lambda y: forward(trust * np.ravel(y)),
            rmatvec=lambda y: trust * backward(np.ravel(y)),
            dtype=np.float64,
        )

    def require_interior(self, mean: FloatArray) -> None:
        """Raise :class:`BoundaryEquilibrium`, naming agents and statistics, unless every row is in the mean space (T2)."""
        outside = ~np.atleast_1d(self.family.in_mean_space(mean))
        if not outside.any():
            return
        agents = np.flatnonzero(outside)
        entries = np.atleast_1d(self.family.mean_violations(mean[agents]).any(axis=0))
        names = tuple(name for name, bad in zip(self.family.statistic_names, entries) if bad)
        whom = ", ".join(map(str, agents[:10])) + (" …" if agents.size > 10 else "")
        what = f" in {', '.join(names[:10])}{' …' if len(names) > 10 else ''}" if names else ""
        raise BoundaryEquilibrium(
            f"the equilibrium mean of agents {whom} lies on the boundary of the mean space{what}: no equilibrium "
            "exists (T2). Give the game a pseudo_count (for example Game(..., pseudo_count=1)), or drop these statistics.",
            tuple(int(a) for a in agents),
            names,
        )

    def fingerprint(self) -> str:
        """SHA-256 over family, weights and means: what a certificate is bound to."""
        digest = hashlib.sha256(self.family.fingerprint().encode())
        matrix = self.weights.matrix
        for part in (matrix.indptr.astype("<i8"), matrix.indices.astype("<i8"), matrix.data, self.means):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


# ---------------------------------------------------------------------- one pass over data


def _streamed_mean(family: Family, samples: Any, agent: int) -> tuple[FloatArray, int]:
    """Average statistic and count in one pass, with compensated sums (Neumaier 1974) across chunks."""
    total, correction, count = np.zeros(family.dim), np.zeros(family.dim), 0
    for chunk in _chunks(samples):
        try:
            phi = family.statistic(chunk)
        except InvalidData as problem:
            offset = f" (counted from row {count})" if count else ""
            raise InvalidData(f"agent {agent}: {problem}{offset}", agent=agent, entry=problem.entry) from None
        phi = phi.reshape(-1, family.dim)
        term = np.sum(np.ascontiguousarray(phi.T), axis=1)
        new = total + term
        correction += np.where(np.abs(total) >= np.abs(term), (total - new) + term, (term - new) + total)
        total, count = new, count + phi.shape[0]
    return (total + correction) / max(count, 1), count


def _chunks(samples: Any) -> Iterator[AnyArray]:
    if hasattr(samples, "__array__") or isinstance(samples, (list, tuple)):
        array = samples if isinstance(samples, np.ndarray) else np.asarray(samples)
        for start in range(0, len(array), _CHUNK):
            yield array[start : start + _CHUNK]
    elif isinstance(samples, Iterable):
        for batch in samples:
            yield from _chunks(np.asarray(batch))
    else:
        raise InvalidData(f"data must be an array or an iterator of arrays, got {type(samples).__name__}")
