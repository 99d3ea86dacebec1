"""The game of agents with different statistics on a common sample space, where uniqueness can end (T10).

Best response is still moment matching, ``E_{p_i}[φ_i] = α_ii E_data[φ_i] + Σ_j α_ij E_{p_j}[φ_i]``, but ``E_{p_j}[φ_i]`` is
no linear function of agent j's own mean parameters. So a profile is given here by its natural parameters, as an array
of shape (n_agents, largest dim) in which row i has NaN behind its first dim_i entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from expfam_game._typing import ArrayLike, FloatArray
from expfam_game.errors import (
    InvalidInput,
    InvalidMeanParameter,
    InvalidNaturalParameter,
    ToleranceNotReached,
)
from expfam_game.families.base import Family
from expfam_game.families.finite import Finite
from expfam_game.game import spaces
from expfam_game.game.exact_tables import (
    RANK_WORK,
    ExactTables,
    exact_base,
    exact_means,
    exact_weights,
    floats,
    fraction_rows,
    same_span,
)
from expfam_game.game.game import _numbers
from expfam_game.game.own_means import own_means
from expfam_game.game.weights import Weights

RESOLVED = 1e-4
"""Largest error, in nats, of the log-partition on the nodes at which expectations are still returned."""

_SHARED_ONLY = ("equilibrium_mean", "family", "influence", "influence_row", "q", "spectral_radius", "v")
"""What a Game has beyond this game, because its equilibrium is linear in the data (T2)."""
_NO_MATRIX = "with different statistics the equilibrium is no linear function of the data (T10)"


@dataclass(frozen=True)
class Uniqueness:
    """Whether theorem T10(a) guarantees that there is at most one equilibrium.

    Attributes
    ----------
    guaranteed : bool
    reason : str
        A sentence; where nothing is guaranteed it names the component and two agents.
    component : tuple of int
        Agents who listen to one another in a circle and do not share a statistic; empty if guaranteed.
    agents : tuple of int
        Two of them with different spans of {1, φ}; empty if guaranteed.
    """

    guaranteed: bool
    reason: str
    component: tuple[int, ...] = ()
    agents: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.guaranteed

    def __str__(self) -> str:
        return self.reason


class HeterogeneousGame:
    """N agents, each with an exponential family of its own, on one sample space.

    Agent i maximises ``α_ii E_data[log p_i] + Σ_j α_ij E_{p_j}[log p_i]``. There may be several equilibria (T10b); where
    all agents of each circle of listeners share the span of {1, φ}, there is at most one (T10a).

    Parameters
    ----------
    families : sequence of Family
        One for each agent. All must live on the same sample space: a finite one, the counts 0, 1, 2, …, or the same
        interval of the real line.
    weights : Weights
    data : sequence, optional
        One item an agent: an array ``(n_i, *event_shape)``, or None for an agent without data, whose self-weight must be
        zero.
    means : sequence of array_like, optional
        Instead of ``data``: for each agent the average of its own statistic, shape (dim_i,), or None.
    counts : array_like of int, shape (n_agents,), optional
        Sample sizes that go with ``means``.
    pseudo_count : float, optional
        Each m_i becomes ``(n_i m_i + pseudo_count · reference_mean) / (n_i + pseudo_count)``.
    nodes : int
        On counts the sums run up to ``nodes − 1``; on an interval the number of quadrature nodes. Not used on finite spaces.
    centre, scale : float
        On an infinite interval, where the mass of interest lies.

    Attributes
    ----------
    dims : tuple of int
        How many statistics each agent has.
    means : ndarray, shape (n_agents, largest dim)
        m_i, NaN behind an agent's own statistics; zero for agents without data, where it has no effect.
    points : ndarray, shape (points, *event_shape)
        The sample space, or the points that stand for it.

    Raises
    ------
    InvalidInput, InvalidData, InvalidMeanParameter
        Naming the agent and the rule broken.

    Examples
    --------
    >>> import expfam_game as eg
    >>> families = [eg.families.Finite([0, 1, 2]), eg.families.Finite([0, 1, 4])]
    >>> game = eg.HeterogeneousGame(families, eg.Weights.complete(2, 0.5), data=[[0, 1, 2], [0, 0, 1, 2]])
    >>> game.uniqueness().guaranteed
    False
    >>> bool(eg.solve(game).regret.max() < 1e-20)
    True
    """

    def __init__(
        self,
        families: Sequence[Family],
        weights: Weights,
        data: Sequence[Any] | None = None,
        *,
        means: Sequence[Any] | None = None,
        counts: ArrayLike | None = None,
        pseudo_count: float = 0.0,
        nodes: int = 4096,
        centre: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        self.families = _checked_families(families)
        if not isinstance(weights, Weights):
            raise InvalidInput(
                f"weights must be a Weights object, got {type(weights).__name__}; see Weights.from_dense"
            )
        if len(self.families) != weights.n_agents:
            raise InvalidInput(
                f"there are {len(self.families)} families, but the weights are for {weights.n_agents} agents"
            )
        self.weights = weights
        self.dims = tuple(family.dim for family in self.families)
        _check_nodes(nodes, centre, scale)
        self.space = _common_space(self.families)
        self.points, log_weight = spaces.nodes_of(self.space, nodes, float(centre), float(scale))
        self._tables, self._log_masses = zip(*(spaces.evaluate(f, self.points, log_weight) for f in self.families))
        self._means, self.counts = own_means(self.families, weights, data, means, counts, pseudo_count)
        self.means = self._padded(self._means)
        for array in (self.points, *self._tables, *self._log_masses, *self._means, self.means):
            array.setflags(write=False)
        self._given_exact: ExactTables | None = None

    @classmethod
    def from_rationals(
        cls,
        statistics: Sequence[Any],
        weights: Sequence[Sequence[Any]],
        *,
        state_counts: Sequence[Any] | None = None,
        means: Sequence[Any] | None = None,
        base: Sequence[Any] | None = None,
    ) -> HeterogeneousGame:
        """A game on the states 0, 1, … in rational numbers, so that certificates are about exactly these numbers.

        Parameters
        ----------
        statistics : sequence
            For each agent its statistic table: one number, or one row of numbers, for each state. Numbers are integers,
            fractions, strings such as ``"3/20"``, or floats, which stand for their binary values.
        weights : sequence of sequences
            α; rows must sum to one exactly.
        state_counts : sequence, optional
            For each agent how often each state occurs in its data, or None for an agent without data.
        means : sequence, optional
            Instead of ``state_counts``: for each agent the average of its statistic.
        base : sequence, optional
            For each agent the positive base measure of each state; counting measure if omitted.

        Examples
        --------
        >>> import expfam_game as eg
        >>> game = eg.HeterogeneousGame.from_rationals(
        ...     [[0, 1, 2], [0, 1, 4]], [["1/3", "2/3"], ["2/3", "1/3"]], state_counts=[[1, 1, 1], [1, 2, 1]]
        ... )
        >>> game.exact_tables().weights[0][1]
        Fraction(2, 3)
        """
        tables = tuple(fraction_rows(table, f"the statistics of agent {i}") for i, table in enumerate(statistics))
        measure, rows = exact_base(tables, base), exact_weights(weights, len(tables))
        averages = exact_means(tables, means, state_counts, rows)
        families = [Finite(floats(table), np.log(floats([row])[0])) for table, row in zip(tables, measure)]
        dense = np.array([[float(row.get(j, 0)) for j in range(len(rows))] for row in rows])
        game = cls(families, Weights.from_dense(dense), means=[[float(value) for value in row] for row in averages])
        log_base = tuple((Fraction(0),) * len(row) for row in measure)
        game._given_exact = ExactTables(tables, measure, log_base, rows, averages)
        return game

    def __repr__(self) -> str:
        return f"HeterogeneousGame(n_agents={self.n_agents}, dims={self.dims}, on {self.space})"

    if not TYPE_CHECKING:  # mypy would take every attribute for granted

        def __getattr__(self, name: str) -> Any:
            if name in _SHARED_ONLY:
                raise AttributeError(f"{name} is defined for agents who share a statistic, see Game; {_NO_MATRIX}")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def n_agents(self) -> int:
        """N, as many as there are rows of weights."""
        return self.weights.n_agents

    # ------------------------------------------------------------------ profiles

    def _padded(self, parts: Sequence[FloatArray]) -> FloatArray:
        """One row an agent, NaN behind its own entries."""
        lead = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
        result = np.full((*lead, self.n_agents, max(self.dims)), np.nan)
        for agent, part in enumerate(parts):
            result[..., agent, : self.dims[agent]] = part
        return result

    def _split(self, natural: Any) -> list[FloatArray]:
        """The natural parameters of each agent, shape (..., dim_i), checked."""
        ragged = isinstance(natural, (list, tuple)) and len({np.shape(row) for row in natural}) > 1
        if ragged and [np.shape(row) for row in natural] == [(dim,) for dim in self.dims]:
            natural = self._padded([_numbers(row, "a profile") for row in natural])
        values = _numbers(natural, "a profile")
        expected = (self.n_agents, max(self.dims))
        if values.shape[-2:] != expected:
            raise InvalidInput(
                f"a profile must have shape (..., n_agents, largest dim) = (..., {expected[0]}, {expected[1]}), "
                f"got {values.shape}"
            )
        return [self._checked(agent, values[..., agent, :dim]) for agent, dim in enumerate(self.dims)]

    def _checked(self, agent: int, theta: FloatArray) -> FloatArray:
        try:
            return self.families[agent]._checked_natural(theta)
        except InvalidNaturalParameter as problem:
            raise InvalidNaturalParameter(
                f"agent {agent}: {problem}", agent=agent, entry=problem.entry, rule=problem.rule
            ) from None

    # ------------------------------------------------------------------ expectations of the others' statistics

    def _law(self, agent: int, theta: FloatArray) -> FloatArray:
        """Probabilities of the points, shape (..., points)."""
        table = self._tables[agent]
        family, origin = self.families[agent], table[len(table) // 2]
        score = theta @ (table - origin).T + self._log_masses[agent]
        log_sum = logsumexp(score, axis=-1, keepdims=True)
        if not isinstance(self.space, spaces.Points):
            error = np.abs(log_sum[..., 0] + theta @ origin - family._log_partition(theta))
            if not np.all(error <= RESOLVED):
                raise ToleranceNotReached(
                    f"agent {agent}: the log-partition of {family!r} at natural parameter "
                    f"{theta.reshape(-1, theta.shape[-1])[int(np.argmax(error))]} is off by {np.max(error):.2g} nats on "
                    "the points that expectations are summed over; set centre and scale to where the data lies or raise "
                    "nodes, unless play diverges because there is no equilibrium"
                )
        return np.asarray(np.exp(score - log_sum))

    def cross_mean(self, speaker: int, listener: int, natural: ArrayLike) -> FloatArray:
        """E_{p_j}[φ_i]: the mean of the listener's statistic under the speaker's law; shape (dim_i,).

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.catalog.three_equilibria().cross_mean(0, 1, [[0.0], [0.0]])
        array([0.825])
        """
        for agent in (speaker, listener):
            if not isinstance(agent, (int, np.integer)) or not 0 <= agent < self.n_agents:
                raise InvalidInput(f"agent is {agent!r}; it must be an integer between 0 and {self.n_agents - 1}")
        theta = self._split(natural)[speaker]
        return np.asarray(self._law(speaker, theta) @ self._tables[listener])

    def quadrature_error(self, natural: ArrayLike) -> FloatArray:
        """Error of each agent's log-partition on the points that stand for the space, in nats; shape (..., n_agents).

        Zero on a finite space, where the points are the space. Beyond 1e-4 expectations are refused.
        """
        parts = self._split(natural)
        lead = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
        if isinstance(self.space, spaces.Points):
            return np.zeros((*lead, self.n_agents))
        sums = [logsumexp(p @ t.T + h, axis=-1) for p, t, h in zip(parts, self._tables, self._log_masses)]
        return np.stack([np.abs(s - f._log_partition(p)) for s, f, p in zip(sums, self.families, parts)], axis=-1)

    # ------------------------------------------------------------------ best response (T1)

    def _targets(self, parts: Sequence[FloatArray]) -> list[FloatArray]:
        laws: dict[int, FloatArray] = {}
        return [self._target(agent, parts, laws) for agent in range(self.n_agents)]

    def _target(self, agent: int, parts: Sequence[FloatArray], laws: dict[int, FloatArray]) -> FloatArray:
        """t_i, with the laws of the others computed once and kept in ``laws``."""
        matrix = self.weights.matrix
        span = slice(matrix.indptr[agent], matrix.indptr[agent + 1])
        lead = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
        total = np.zeros((*lead, self.dims[agent]))
        for j, weight in zip(matrix.indices[span].tolist(), matrix.data[span].tolist()):
            if j == agent:
                heard = self._means[agent]
            else:
                if j not in laws:
                    laws[j] = self._law(j, parts[j])
                heard = laws[j] @ self._tables[agent]
            total = total + weight * heard
        return np.asarray(total)

    def _response(self, agent: int, target: FloatArray) -> FloatArray:
        try:
            return self.families[agent].to_natural(target)
        except InvalidMeanParameter as problem:
            raise InvalidMeanParameter(
                f"agent {agent} has no best response: {problem}", agent=agent, entry=problem.entry, rule=problem.rule
            ) from None

    def targets(self, natural: ArrayLike) -> FloatArray:
        """t_i = α_ii m_i + Σ_j α_ij E_{p_j}[φ_i], the mean parameters of everybody's best response (T1)."""
        return self._padded(self._targets(self._split(natural)))

    def best_response(self, natural: ArrayLike) -> FloatArray:
        """The natural parameters of everybody's best response to the profile (T1).

        Parameters
        ----------
        natural : array_like, shape (..., n_agents, largest dim)

        Returns
        -------
        ndarray of the same shape

        Raises
        ------
        InvalidMeanParameter
            If an agent has no best response, because t_i is on the boundary of its mean space.
        """
        targets = self._targets(self._split(natural))
        return self._padded([self._response(agent, target) for agent, target in enumerate(targets)])

    def residual(self, natural: ArrayLike) -> FloatArray:
        """t_i − μ_i(θ_i), zero exactly at the equilibria; shape (..., n_agents, largest dim)."""
        parts = self._split(natural)
        return self._padded([t - f._to_mean(p) for t, f, p in zip(self._targets(parts), self.families, parts)])

    def to_mean(self, natural: ArrayLike) -> FloatArray:
        """Everybody's mean parameters of its own statistic; shape (..., n_agents, largest dim)."""
        return self._padded([f._to_mean(p) for f, p in zip(self.families, self._split(natural))])

    def regret(self, natural: ArrayLike) -> FloatArray:
        """What each agent gains by switching to its best response, in nats: KL(p_best ‖ p_θ) (T1); shape (..., n_agents).

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.catalog.three_equilibria().regret([[0.0], [0.0]]).round(4)
        array([0.0125, 0.0129])
        """
        parts = self._split(natural)
        best = [self._response(agent, target) for agent, target in enumerate(self._targets(parts))]
        return np.stack([f.kl(b, p) for f, b, p in zip(self.families, best, parts)], axis=-1)

    def utilities(self, natural: ArrayLike) -> FloatArray:
        """Each agent's utility ⟨θ_i, t_i⟩ − A_i(θ_i) in nats, up to the base-measure term (T1); shape (..., n_agents)."""
        parts = self._split(natural)
        terms = zip(self.families, parts, self._targets(parts))
        return np.stack([np.sum(p * t, axis=-1) - f._log_partition(p) for f, p, t in terms], axis=-1)

    # ------------------------------------------------------------------ derivatives

    def _covariance(self, listener: int, speaker: int, theta: FloatArray) -> FloatArray:
        """Cov_{p_j}(φ_i, φ_j), shape (dim_i, dim_j)."""
        p = self._law(speaker, theta)
        heard, own = self._tables[listener], self._tables[speaker]
        live = p > 0  # far out, where p has underflowed, the squares of the statistics may overflow
        p, heard, own = p[live], heard[live], own[live]
        return np.asarray((p[:, None] * (heard - p @ heard)).T @ (own - p @ own))

    def _coupling(self, parts: Sequence[FloatArray]) -> FloatArray:
        """The derivative of all t_i by all θ_j: blocks α_ij Cov_{p_j}(φ_i, φ_j), zero on the diagonal."""
        ends = np.concatenate([[0], np.cumsum(self.dims)])
        result = np.zeros((ends[-1], ends[-1]))
        coo = self.weights.off_diagonal.tocoo()
        for i, j, weight in zip(coo.row.tolist(), coo.col.tolist(), coo.data.tolist()):
            block = weight * self._covariance(i, j, parts[j])
            result[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = block
        return result

    def _fisher(self, parts: Sequence[FloatArray]) -> FloatArray:
        from scipy.linalg import block_diag

        return np.asarray(block_diag(*(f._fisher_information(p) for f, p in zip(self.families, parts))))

    def jacobian(self, natural: ArrayLike) -> FloatArray:
        """The derivative of μ(θ) − t(θ) at one profile: F_i on the diagonal, −α_ij Cov_{p_j}(φ_i, φ_j) off it.

        Rows and columns list the statistics of agent 0, then those of agent 1, and so on. T10(c) and T10(d) are about
        this matrix.
        """
        parts = self._one_profile(natural)
        return self._fisher(parts) - self._coupling(parts)

    def best_response_jacobian(self, natural: ArrayLike) -> FloatArray:
        """The derivative of simultaneous best response at one profile; order of rows as in :meth:`jacobian`.

        At an equilibrium, a spectral radius below one means that simultaneous play from nearby returns to it.

        Examples
        --------
        >>> import expfam_game as eg
        >>> game = eg.catalog.three_equilibria()
        >>> slopes = game.best_response_jacobian(eg.solve(game).natural)
        >>> round(float(abs(np.linalg.eigvals(slopes)).max()), 4)
        0.8505
        """
        parts = self._one_profile(natural)
        targets = self._targets(parts)
        best = [self._response(agent, target) for agent, target in enumerate(targets)]
        return np.asarray(np.linalg.solve(self._fisher(best), self._coupling(parts)))

    def _one_profile(self, natural: ArrayLike) -> list[FloatArray]:
        parts = self._split(natural)
        if any(part.ndim > 1 for part in parts):
            raise InvalidInput("derivatives are computed for one profile at a time, of shape (n_agents, largest dim)")
        return parts

    # ------------------------------------------------------------------ structure (T10a)

    @cached_property
    def components(self) -> tuple[tuple[int, ...], ...]:
        """The strongly connected components of the weight graph; who is listened to comes before who listens."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.n_agents))
        coo = self.weights.off_diagonal.tocoo()
        graph.add_edges_from(zip(coo.row.tolist(), coo.col.tolist()))
        condensed = nx.condensation(graph)
        order = reversed(list(nx.topological_sort(condensed)))
        return tuple(tuple(sorted(condensed.nodes[c]["members"])) for c in order)

    def uniqueness(self) -> Uniqueness:
        """Whether T10(a) guarantees that there is at most one equilibrium, and if not, where the argument stops.

        Spans are compared in rational arithmetic, floats taken as they are, so that a guarantee is a proof; statistics
        that are affine images of each other only up to rounding count as different. On counts and intervals they are
        compared on the points that stand for the space.

        Returns
        -------
        Uniqueness

        Examples
        --------
        >>> import expfam_game as eg
        >>> print(eg.catalog.three_equilibria().uniqueness())
        uniqueness not guaranteed: agents 0 and 1 listen to each other, also through others, but their statistics span different spaces
        """
        closed = self.weights.anchoredness.closed_class
        if closed:
            return Uniqueness(
                False,
                f"uniqueness not guaranteed: agents {', '.join(map(str, closed[:10]))} listen only to one another and hold no data",
                closed,
            )
        for component in self.components:
            for agent in component[1:]:
                if not self._share_span(component[0], agent):
                    return Uniqueness(
                        False,
                        f"uniqueness not guaranteed: agents {component[0]} and {agent} listen to each other, also through others, but "
                        "their statistics span different spaces",
                        component,
                        (component[0], agent),
                    )
        return Uniqueness(True, "unique by T10(a): agents that listen to each other share the span of their statistics")

    def _share_span(self, one: int, other: int) -> bool:
        if self._given_exact is not None:
            return same_span(self._given_exact.statistics[one], self._given_exact.statistics[other])
        a, b = self._tables[one], self._tables[other]
        live = np.isfinite(self._log_masses[one]) & np.isfinite(self._log_masses[other])
        if self.families[one] == self.families[other] or np.array_equal(a[live], b[live]):
            return True
        # The relation must hold wherever somebody samples, so different supports are no ground for a guarantee.
        if not live.all() or a.shape[1] != b.shape[1] or a.size + b.size > RANK_WORK:
            return False
        rows = [fraction_rows(table.tolist(), "a table") for table in (a, b)]
        return same_span(rows[0], rows[1])

    # ------------------------------------------------------------------ exact numbers and identity

    @property
    def is_finite(self) -> bool:
        """Whether the sample space is finite, so that expectations are exact sums."""
        return isinstance(self.space, spaces.Points)

    def exact_tables(self) -> ExactTables:
        """The game in rational numbers: those given, or the floats taken as they are.

        Raises
        ------
        InvalidInput
            If the sample space is not finite.
        """
        if self._given_exact is not None:
            return self._given_exact
        if not self.is_finite:
            raise InvalidInput(f"the game lives on {self.space}; only a game on a finite space has exact tables")
        return ExactTables.from_floats(self._tables, self._log_masses, self.weights, self._means)

    def fingerprint(self) -> str:
        """SHA-256 over families, weights, means and points: what a certificate is bound to."""
        digest = hashlib.sha256(b"HeterogeneousGame")
        for family in self.families:
            digest.update(family.fingerprint().encode())
        matrix = self.weights.matrix
        parts = [matrix.indptr.astype("<i8"), matrix.indices.astype("<i8"), matrix.data, self.means]
        parts += [np.asarray(self.points, dtype=np.float64)]
        for part in parts:
            digest.update(np.ascontiguousarray(part).tobytes())
        if self._given_exact is not None:
            digest.update(self._given_exact.digest_bytes())
        return digest.hexdigest()


# ---------------------------------------------------------------------- checks


def _checked_families(families: Sequence[Family]) -> tuple[Family, ...]:
    if isinstance(families, (Family, str)) or not hasattr(families, "__len__") or not len(families):
        raise InvalidInput("families must be a list with one Family per agent; for one shared family use Game")
    for agent, family in enumerate(families):
        if not isinstance(family, Family):
            raise InvalidInput(
                f"the family of agent {agent} is {family!r}; give an object such as families.Poisson()", agent=agent
            )
    return tuple(families)


def _common_space(families: Sequence[Family]) -> spaces.Space:
    found = [spaces.sample_space(family) for family in families]
    for agent, space in enumerate(found):
        if not spaces.same_space(found[0], space):
            raise InvalidInput(
                f"agent 0 lives on {found[0]} ({families[0]!r}) but agent {agent} on {space} ({families[agent]!r}) with "
                "other values, or values of another shape; all agents need the same sample space",
                agent=agent,
            )
    return found[0]


def _check_nodes(nodes: int, centre: float, scale: float) -> None:
    if isinstance(nodes, bool) or not isinstance(nodes, (int, np.integer)) or not 32 <= nodes <= spaces.MOST_POINTS:
        raise InvalidInput(f"nodes is {nodes!r}; it must be an integer from 32 to {spaces.MOST_POINTS}")
    for name, value, least in (("centre", centre, -np.inf), ("scale", scale, 0.0)):
        if isinstance(value, bool) or not isinstance(value, Real) or not least < value < np.inf:
            raise InvalidInput(f"{name} is {value!r}; it must be a finite number{', positive' if least == 0 else ''}")
