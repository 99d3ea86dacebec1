"""The game of agents that share a statistic: its data, best response, regret and equilibrium structure (T1–T4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator
from tqdm.auto import tqdm

from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.errors import (
    BarelyAnchored,
    BoundaryEquilibrium,
    ExpfamGameError,
    InvalidData,
    InvalidInput,
    InvalidMeanParameter,
)
from expfam_game.families.base import Family
from expfam_game.families.data_moments import array_of, statistics_of, summed
from expfam_game.game import linear
from expfam_game.game.influence import InfluenceRow, influence_row
from expfam_game.game.weights import Weights
from expfam_game.kernels.agent_blocks import matrix_rows, row_blocks
from expfam_game.kernels.sums import compensated_sums

_TOGETHER = 1024
"""Agents whose data is read at a time."""

_SMALL = 4096
"""Entries up to which the data of an agent may be evaluated together with that of others."""

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
        One item an agent: an array ``(n_i, *event_shape)`` (also a memory map), an iterator of such arrays (read once, see
        :func:`~expfam_game.families.mean_statistic`), or None for an agent without data, whose self-weight must be zero.
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
        if not isinstance(family, Family):
            raise InvalidInput(
                f"family is {family!r}; give an object such as families.Poisson(), not a name or a class"
            )
        if not isinstance(weights, Weights):
            raise InvalidInput(
                f"weights must be a Weights object, got {type(weights).__name__}; see Weights.from_dense"
            )
        self.family = family
        self.weights = weights
        if (data is None) == (means is None):
            both = "not both" if data is not None else "got neither"
            raise InvalidInput(f"give either data= (one item per agent) or means= (n_agents, dim); {both}")
        raw, self.counts = self._from_data(data) if means is None else self._from_means(means, counts)
        self.means = self._with_pseudo_count(raw, pseudo_count, prior_mean)
        self.means.setflags(write=False)

    def __repr__(self) -> str:
        return f"Game({self.family!r}, n_agents={self.n_agents})"

    @property
    def n_agents(self) -> int:
        """N, as many as there are rows of weights."""
        return self.weights.n_agents

    # ------------------------------------------------------------------ data

    def _from_data(self, data: Sequence[Any] | None) -> tuple[FloatArray, AnyArray | None]:
        if data is None or isinstance(data, str) or not hasattr(data, "__len__"):
            raise InvalidInput(f"data must be a list with one item per agent, got {type(data).__name__}")
        if len(data) != self.n_agents:
            raise InvalidInput(f"data has {len(data)} items, but the weights are for {self.n_agents} agents")
        means = np.zeros((self.n_agents, self.family.dim))
        counts = np.zeros(self.n_agents, dtype=np.int64)
        # Shown after two seconds, on terminals only.
        bar = tqdm(total=len(data), desc="reading data", unit=" agents", delay=2.0, disable=None, leave=False)
        items = iter(data)
        for first in range(0, len(data), _TOGETHER):
            batch = list(islice(items, _TOGETHER))
            rows = slice(first, first + len(batch))
            if not _small_means(self.family, batch, means[rows], counts[rows]):
                for agent, samples in enumerate(batch, first):
                    if samples is not None:
                        means[agent], counts[agent] = _streamed_mean(self.family, samples, agent)
                    if counts[agent] == 0:
                        self._require_no_trust(agent, "has no data")
            for missing in np.flatnonzero(counts[rows] == 0):
                self._require_no_trust(first + int(missing), "has no data")
            bar.update(len(batch))
        bar.close()
        return means, counts

    def _from_means(self, means: ArrayLike, counts: ArrayLike | None) -> tuple[FloatArray, AnyArray | None]:
        values = _numbers(means, "means").copy()
        expected = (self.n_agents, self.family.dim)
        if values.shape != expected:
            raise InvalidMeanParameter(f"means must have shape (n_agents, dim) = {expected}, got {values.shape}")
        missing = np.isnan(values).all(axis=1)
        for agent in map(int, np.flatnonzero(missing)):
            self._require_no_trust(agent, "has no mean (its row of means is NaN)")
        values[missing] = 0.0
        self._require_closed_mean_space(values, np.flatnonzero(~missing))
        sizes = None if counts is None else self._checked_counts(counts)
        if sizes is not None:
            for agent in map(int, np.flatnonzero(sizes == 0)):
                self._require_no_trust(agent, "has no data (its count is zero)")
        return values, sizes

    def _require_closed_mean_space(self, values: FloatArray, agents: AnyArray) -> None:
        """A mean of data is in the closed mean space: moved inwards by a little more than rounding, it is inside."""
        for block in row_blocks(agents.size, self.family.dim):
            some = agents[block]
            nudged = _moved_inwards(self.family, values[some])
            outside = ~np.atleast_1d(self.family.in_mean_space(nudged))
            for agent, moved in zip(some[outside], nudged[outside]):
                try:  # the mean as given, so that the error shows that; the mean space is convex: it is outside too
                    self.family._checked_mean(values[agent])
                    self.family._checked_mean(moved)
                except InvalidMeanParameter as problem:
                    raise InvalidMeanParameter(
                        f"means: the row of agent {agent} is not the average of the statistic over any data: {problem}",
                        agent=int(agent),
                        entry=problem.entry,
                        rule=problem.rule,
                    ) from None

    def _checked_counts(self, counts: ArrayLike) -> AnyArray:
        sizes = _numbers(counts, "counts")
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
        if not isinstance(pseudo_count, Real) or not np.isfinite(pseudo_count) or pseudo_count < 0:
            raise InvalidInput(f"pseudo_count is {pseudo_count!r}; it must be finite and non-negative")
        if pseudo_count == 0:
            return means
        if self.counts is None:
            raise InvalidInput("pseudo_count needs the sample sizes: give counts= beside means=")
        prior = self.family.reference_mean() if prior_mean is None else self.family._checked_mean(prior_mean)
        counts = self.counts[:, None]
        result = counts * means
        result += pseudo_count * prior
        result /= counts + pseudo_count
        return np.asarray(result)

    # ------------------------------------------------------------------ best response (T1)

    @cached_property
    def anchored_data(self) -> FloatArray:
        """D m, the part of every best response that no other agent can move; shape (n_agents, dim)."""
        return self._anchored_data()

    def _anchored_data(self, rows: slice = slice(None)) -> FloatArray:
        """Some rows of D m, which are not kept."""
        return np.asarray(self.weights.self_weights[rows, None] * self.means[rows])

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

    def _best_responses(self, mean: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
        """The same for one block of agents after another: which agents, and their best responses.

        Needs no memory in proportion to the game, where ``mean`` is contiguous.
        """
        b, mean = self.weights.off_diagonal, np.ascontiguousarray(mean)
        for rows in row_blocks(*mean.shape):
            yield rows, np.asarray(self._anchored_data(rows) + matrix_rows(b, rows) @ mean)

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
        mean = self.family.to_mean(theta)
        result = np.empty(self.n_agents)
        try:
            for rows, target in self._best_responses(mean):
                result[rows] = self.family.kl(self.family.to_natural(target), theta[rows])
        except ExpfamGameError:  # it counts agents from the first one of a block: once more, so that it names the agent
            self.family.kl(self.family.to_natural(self._best_response(mean)), theta)
            raise
        return result

    def utilities(self, natural: ArrayLike) -> FloatArray:
        """Each agent's utility ⟨θ_i, t_i⟩ − A(θ_i) in nats, up to the base-measure term (T1)."""
        theta = self._profile(natural)
        target = self._best_response(self.family.to_mean(theta))
        return np.asarray(np.sum(theta * target, axis=1) - self.family.log_partition(theta))

    def potential(self, natural: ArrayLike, c: ArrayLike | None = None) -> float:
        """Φ_c(θ) = Σ c_i (A(θ_i) − ⟨θ_i, (Rm)_i⟩), strictly convex with the equilibrium as its minimiser (T3c)."""
        theta = self._profile(natural)
        terms = self.family.log_partition(theta) - np.sum(theta * self.equilibrium_mean, axis=1)
        scales = np.ones(self.n_agents) if c is None else _numbers(c, "c")
        if scales.shape != (self.n_agents,) or not np.all(scales > 0):
            raise InvalidInput(f"c must be {self.n_agents} positive numbers, got {c!r}")
        return float(np.sum(scales * terms))

    def _profile(self, values: ArrayLike) -> FloatArray:
        profile = _numbers(values, "a profile")
        if profile.shape != self.means.shape:
            raise InvalidInput(f"a profile must have shape (n_agents, dim) = {self.means.shape}, got {profile.shape}")
        return profile

    # ------------------------------------------------------------------ structure (T2, T4)

    @cached_property
    def _system(self) -> linear.LinearSystem:
        """I − B, prepared once for v, the equilibrium and the solvers."""
        return linear.LinearSystem(self.weights.off_diagonal)

    @cached_property
    def _inverses(self) -> tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]:
        """(I − B)^{-1} and its transpose as functions."""
        _ = self.v  # raises where the weights do not determine them
        return linear.solver(self.weights.off_diagonal)

    @cached_property
    def v(self) -> FloatArray:
        """v = (I − B)^{-1} 1 ≥ 1: expected steps until the chain α, stopped at own data, stops; shape (n_agents,)."""
        self.weights.require_anchored()
        b = self.weights.off_diagonal
        v = self._system.solve(np.ones(self.n_agents))[0]
        # w − B w > 0 with w > 0 proves ρ(B) < 1 (C2); the allowance covers the rounding of this product.
        longest_row = int(np.max(np.diff(b.indptr), initial=0))
        allowance = (longest_row + 4) * np.finfo(float).eps * np.max(np.abs(v))
        if not (np.all(np.isfinite(v)) and np.all(v > 0) and np.min(v - b @ v) > allowance):
            trust, slowest = self.weights.self_weights, int(np.argmax(np.abs(v)))
            steps = (
                f"agent {slowest} would take some {abs(v[slowest]):.2g} steps to data, "
                if np.all(np.isfinite(v))
                else ""
            )
            raise BarelyAnchored(
                "the weights are anchored, but so little trust reaches real data that float64 cannot tell the "
                f"equilibrium: {steps}the smallest positive self-weight is {trust[trust > 0].min():.3g}, and rows sum to "
                "one only to within 1e-12. Give more agents data, or use larger self-weights."
            )
        v.setflags(write=False)  # the bounds of solutions are views of it
        return v

    @property
    def q(self) -> float:
        """The contraction factor 1 − 1/max v of simultaneous best response in ‖x‖_v = max |x_i|/v_i (T4)."""
        return float(1.0 - 1.0 / np.max(self.v))

    @cached_property
    def spectral_radius(self) -> float:
        """ρ(B) ≤ q, the asymptotic rate of simultaneous best response (T4); NaN where it could not be computed."""
        return linear.spectral_radius(self.weights.off_diagonal)

    @cached_property
    def equilibrium_mean(self) -> FloatArray:
        """R m by one linear solve (T2), without looking at the mean space; shape (n_agents, dim)."""
        _ = self.v  # raises where the weights do not determine an equilibrium
        return self._system.solve(self.means, rows=self.weights.self_weights)[0]

    def influence(self, rows: Sequence[int] | None = None, tolerance: float = 1e-10) -> Any:
        """R = (I − B)^{-1} D: how much the data of agent j weighs in the equilibrium of agent i (T2).

        Parameters
        ----------
        rows : sequence of int, optional
            Only the rows of these agents, which never needs the whole of R.
        tolerance : float
            Of ``rows``: bound on the sum of the errors of each row; see :meth:`influence_row`.

        Returns
        -------
        ndarray, shape (n_agents, n_agents) or (len(rows), n_agents), or LinearOperator
            An array up to 2000 agents or of the rows asked for, else an operator with ``@`` and ``.T``. Rows sum to one.

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.catalog.two_agents(0.5).influence().sum(axis=1)
        array([1., 1.])
        """
        if rows is not None:
            if not isinstance(rows, (Sequence, np.ndarray)):
                raise InvalidInput(f"rows must be a sequence of agents, got {rows!r}")
            found = [self.influence_row(i, tolerance).dense(self.n_agents) for i in rows]
            return np.array(found).reshape(len(rows), self.n_agents)
        self.weights.require_anchored()
        b, trust = self.weights.off_diagonal, self.weights.self_weights
        if self.n_agents <= _DENSE_INFLUENCE:
            return linear.solve_lu(b, np.diag(trust))
        forward, backward = self._inverses
        return LinearOperator(
            (self.n_agents, self.n_agents),
            matvec=lambda y: forward(trust * np.ravel(y)),
            rmatvec=lambda y: trust * backward(np.ravel(y)),
            dtype=np.float64,
        )

    def influence_row(self, agent: int, tolerance: float = 1e-6) -> InfluenceRow:
        """Whose data makes the model of one agent: a row of R with a bound on its error, without the rest of R (T2).

        Parameters
        ----------
        agent : int
        tolerance : float
            The sum of the errors of all entries may be this large. What float64 cannot reach is not an error: a tolerance
            below the rounding of the row gives the row as exactly as it is known, with an ``error`` above the tolerance.

        Returns
        -------
        InfluenceRow
            With ``others`` (most influential first), ``influence`` and ``error``: a bound on the sum of the errors of all
            entries, rounding included. Compare it with the tolerance where that is small.

        Raises
        ------
        ToleranceNotReached
            If attention wanders for too long: what is missing is above both the tolerance and rounding.

        Examples
        --------
        >>> import expfam_game as eg
        >>> game = eg.catalog.two_agents(0.5)
        >>> row = game.influence_row(0, tolerance=1e-9)
        >>> row.others, row.influence.round(4)
        (array([0, 1]), array([0.6667, 0.3333]))
        >>> row.error <= 1e-9
        True

        A tolerance below rounding: the bound says what was reached.

        >>> 1e-20 < game.influence_row(0, tolerance=1e-20).error < 1e-14
        True
        """
        self.weights.require_anchored()
        if not isinstance(agent, (int, np.integer)) or not 0 <= agent < self.n_agents:
            raise InvalidInput(f"agent is {agent!r}; it must be an integer between 0 and {self.n_agents - 1}")
        if not isinstance(tolerance, Real) or not 0 < tolerance < np.inf:
            raise InvalidInput(f"tolerance is {tolerance!r}; it must be positive and finite")
        return influence_row(self.weights, int(agent), tolerance, lambda moving: self._inverses[1](moving))

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
            f"the equilibrium mean of agent{'s' if agents.size > 1 else ''} {whom} lies on the boundary of the mean "
            f"space{what}, to the precision of float64: no equilibrium exists there (T2). Give the game a pseudo_count "
            "(for example Game(..., pseudo_count=1)), or drop these statistics. Data far from zero or of very large or "
            "small scale can end here by rounding alone: centre and scale it.",
            tuple(int(a) for a in agents),
            names,
        )

    def fingerprint(self) -> str:
        """SHA-256 over family, weights and means: what a certificate is bound to."""
        digest = hashlib.sha256(self.family.fingerprint().encode())
        matrix = self.weights.matrix
        for part, stored in (
            (matrix.indptr, "<i8"),
            (matrix.indices, "<i8"),
            (matrix.data, "<f8"),
            (self.means, "<f8"),
        ):
            for rows in row_blocks(part.shape[0], part[0].size if part.size else 1):
                digest.update(np.ascontiguousarray(part[rows], dtype=stored).data)
        return digest.hexdigest()


# ---------------------------------------------------------------------- helpers


def _moved_inwards(family: Family, means: FloatArray) -> FloatArray:
    """``means``, changed in place by a little more than rounding; infinite entries stay, so that errors can name them."""
    means += np.where(np.isfinite(means), 1e-12 * (family.reference_mean() - means), 0.0)
    return means


def _streamed_mean(family: Family, samples: Any, agent: int) -> tuple[FloatArray, int]:
    """Average statistic and count in one pass; zero where there are no samples."""
    try:
        sums = summed(family, samples)
    except InvalidData as problem:
        raise InvalidData(f"agent {agent}: {problem}", agent=agent, entry=problem.entry, rule=problem.rule) from None
    return (np.zeros(family.dim), 0) if sums is None else (sums.mean, sums.count)


def _small_means(family: Family, items: list[Any], means: FloatArray, counts: AnyArray) -> bool:
    """Fill in the averages of agents with small arrays of one type, evaluated together; False if that cannot be done.

    The sums are the same to the last bit as one by one; faults are left to those who name the agent.
    """
    try:
        items = [array_of(samples) if type(samples) in (list, tuple) else samples for samples in items]
    except InvalidData:
        return False
    arrays = [samples for samples in items if samples is not None]
    like = {
        (samples.dtype, samples.shape[1:]) if type(samples) is np.ndarray and samples.ndim else None
        for samples in arrays
    }
    if len(arrays) < 2 or len(like) > 1 or None in like or max(samples.size for samples in arrays) > _SMALL:
        return False
    try:
        phi = statistics_of(family, 0, np.concatenate(arrays))
    except InvalidData:
        return False
    ones, sums, start = np.ones(_SMALL + 1), np.zeros((2, len(items), family.dim + 1)), 0
    for agent, samples in enumerate(items):
        if samples is not None and len(samples):
            stop = start + len(samples)
            compensated_sums(phi[start:stop], ones[: stop - start], sums[0, agent], sums[1, agent])
            start = stop
    total = sums[0] + sums[1]
    if not np.isfinite(sums[0]).all():
        return False
    counts[:] = total[:, -1]
    means[:] = np.divide(total[:, :-1], total[:, -1:], out=np.zeros_like(means), where=total[:, -1:] > 0)
    return True


def _numbers(values: ArrayLike, what: str) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"{what} must be an array of real numbers: {problem}") from None
