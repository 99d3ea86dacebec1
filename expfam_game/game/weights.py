"""Who listens to whom: sparse row-stochastic weights α, their topologies, and whether they are anchored (T2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from expfam_game._typing import ArrayLike, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidWeights, NotAnchored
from expfam_game.game import mapped
from expfam_game.kernels.streams import seed_sequence

if TYPE_CHECKING:
    import networkx

ROW_SUM_TOLERANCE = 1e-12
"""How far from one the float64 sum of a row may be; a row further off is an error, never normalised silently."""


@dataclass(frozen=True)
class Anchoredness:
    """Whether every agent reaches real data along positive weights, with a witness either way.

    Attributes
    ----------
    anchored : bool
    next_hop : ndarray of int, shape (n_agents,)
        The next agent on a shortest path to data; the agent itself where it trusts its own data; −1 where no data is
        in reach.
    closed_class : tuple of int
        Agents that listen only to one another and hold no data; empty if anchored.
    """

    anchored: bool
    next_hop: IntArray
    closed_class: tuple[int, ...]

    def path(self, agent: int) -> tuple[int, ...]:
        """A shortest path from ``agent`` to an agent that trusts its own data; empty if there is none.

        >>> import expfam_game as eg
        >>> weights = eg.Weights.from_dense([[0, 1, 0], [0, 0, 1], [0, 0, 1]])
        >>> weights.anchoredness.path(0)
        (0, 1, 2)
        """
        steps = [agent]
        while (following := int(self.next_hop[steps[-1]])) != steps[-1]:
            if following < 0:
                return ()
            steps.append(following)
        return tuple(steps)


class Weights:
    """Row-stochastic weights ``α``: ``α_ii`` is the trust in one's own data, ``α_ij`` in the samples of agent j.

    Make one with a constructor: :meth:`from_dense`, :meth:`from_scipy`, :meth:`from_edges`, :meth:`from_networkx`,
    :meth:`from_files`, or a topology: :meth:`complete`, :meth:`ring`, :meth:`star`, :meth:`grid`, :meth:`erdos_renyi`, :meth:`barabasi_albert`.

    Parameters
    ----------
    matrix : sparse matrix or array_like, shape (n_agents, n_agents)
        Non-negative, finite, every row summing to one within 1e-12.

    Raises
    ------
    InvalidWeights
        Naming the row that breaks a rule.

    Examples
    --------
    >>> import expfam_game as eg
    >>> eg.Weights.ring(3, self_weight=0.5).to_dense()
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5],
           [0.5, 0. , 0.5]])
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix: sparse.csr_array = _validated(matrix)

    def __repr__(self) -> str:
        return f"Weights(n_agents={self.n_agents}, edges={self.matrix.nnz - np.count_nonzero(self.self_weights)})"

    # ------------------------------------------------------------------ views

    @property
    def n_agents(self) -> int:
        """N, the number of rows."""
        return int(self.matrix.shape[0])

    @cached_property
    def self_weights(self) -> FloatArray:
        """The diagonal of α, shape (n_agents,)."""
        return np.asarray(self.matrix.diagonal())

    @cached_property
    def off_diagonal(self) -> sparse.csr_array:
        """B = α − D, what is trusted in the others."""
        rest = self.matrix - sparse.diags_array(self.self_weights, format="csr")
        result = sparse.csr_array(rest)
        result.eliminate_zeros()
        result.sort_indices()
        return result

    def to_dense(self) -> FloatArray:
        """α as a dense array."""
        return np.asarray(self.matrix.toarray())

    @cached_property
    def anchoredness(self) -> Anchoredness:
        """Anchoredness with a witness, decided exactly by graph search (C1).

        >>> import expfam_game as eg
        >>> eg.Weights.from_dense([[0, 1, 0], [1, 0, 0], [0.5, 0, 0.5]]).anchoredness.closed_class
        (0, 1)
        """
        next_hop = _next_hops(self.matrix, self.self_weights)
        astray = np.flatnonzero(next_hop < 0)
        closed = tuple(int(k) for k in _terminal_class(self.matrix, astray)) if astray.size else ()
        return Anchoredness(not astray.size, next_hop, closed)

    def require_anchored(self) -> None:
        """Raise :class:`NotAnchored`, naming the closed class without data, unless the weights are anchored."""
        verdict = self.anchoredness
        if not verdict.anchored:
            shown = ", ".join(map(str, verdict.closed_class[:10])) + (" …" if len(verdict.closed_class) > 10 else "")
            raise NotAnchored(
                f"the weights are not anchored: agents {shown} listen only to one another and none trusts its own data, so "
                "the equilibrium is not unique (T2). Give one of them a positive self-weight and data, or let one "
                "listen to an agent outside the group.",
                verdict.closed_class,
            )

    # ------------------------------------------------------------------ from what users have

    @classmethod
    def from_dense(cls, array: ArrayLike) -> Weights:
        """From a dense (n_agents, n_agents) array.

        >>> import expfam_game as eg
        >>> eg.Weights.from_dense([[0.5, 0.4], [0.0, 1.0]])
        Traceback (most recent call last):
        ...
        expfam_game.errors.InvalidWeights: row 0 of the weights sums to 0.9; every row must sum to one within 1e-12...
        """
        return cls(array)

    @classmethod
    def from_scipy(cls, matrix: Any) -> Weights:
        """From any SciPy sparse matrix or array; copied, duplicates summed."""
        return cls(matrix)

    @classmethod
    def from_edges(
        cls,
        edges: Iterable[tuple[int, int, float]],
        n_agents: int,
        self_weight: float | Sequence[float] | None = None,
    ) -> Weights:
        """From ``(i, j, α_ij)`` triples: agent i gives weight α_ij to the samples of agent j.

        Parameters
        ----------
        edges : iterable of (int, int, float)
            With ``self_weight=None``, all of α including the diagonal ``(i, i, α_ii)``. With a ``self_weight``, only
            relative weights between agents: each row is scaled to sum to ``1 − self_weight``. An edge that is given twice
            counts with the sum of its weights.
        n_agents : int
        self_weight : float or sequence of float, optional

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.Weights.from_edges([(0, 1, 1.0), (1, 0, 3.0)], 2, self_weight=0.5).to_dense()
        array([[0.5, 0.5],
               [0.5, 0.5]])
        """
        _require_count(n_agents, "n_agents")
        triples = _triples(edges)
        rows, columns = triples[:, 0].astype(np.int64), triples[:, 1].astype(np.int64)
        outside = (np.minimum(rows, columns) < 0) | (np.maximum(rows, columns) >= n_agents)
        outside |= np.any(triples[:, :2] != np.stack([rows, columns], axis=1), axis=1)
        if outside.any():
            bad = int(np.argmax(outside))
            i, j = triples[bad, :2].tolist()
            raise InvalidWeights(f"edge {bad}, from {i:g} to {j:g}: agents are the integers 0 to {n_agents - 1}")
        matrix = sparse.coo_array((triples[:, 2], (rows, columns)), shape=(n_agents, n_agents)).tocsr()
        return cls(matrix) if self_weight is None else _scaled(matrix, self_weight)

    @classmethod
    def from_networkx(
        cls,
        graph: networkx.Graph[Any],
        self_weight: float | Sequence[float] | None = None,
        weight: str = "weight",
    ) -> Weights:
        """From a NetworkX graph; agents are numbered in the order of ``graph.nodes``.

        An edge ``i → j`` (or an undirected edge, both ways) with attribute ``weight`` (1 if absent) is agent i
        listening to agent j. With ``self_weight`` the rows are scaled as in :meth:`from_edges`; without, they must sum to one.

        >>> import expfam_game as eg, networkx as nx
        >>> eg.Weights.from_networkx(nx.path_graph(3), self_weight=0.2).to_dense()
        array([[0.2, 0.8, 0. ],
               [0.4, 0.2, 0.4],
               [0. , 0.8, 0.2]])
        """
        import networkx

        if not isinstance(graph, networkx.Graph):
            raise InvalidWeights(f"graph must be a NetworkX graph, got {type(graph).__name__}")
        matrix = sparse.csr_array(networkx.to_scipy_sparse_array(graph, weight=weight, dtype=np.float64))
        return cls(matrix) if self_weight is None else _scaled(matrix, self_weight)

    # ------------------------------------------------------------------ files larger than memory

    @classmethod
    def from_files(
        cls, indptr: str | PathLike[str], indices: str | PathLike[str], data: str | PathLike[str]
    ) -> Weights:
        """From the three arrays of a CSR matrix in NPY files, memory-mapped: for weights larger than memory.

        The files are checked a block at a time and never loaded as a whole; ``matrix`` is backed by them. What works on
        all rows at once, :attr:`off_diagonal` and so ``solve``, needs as much memory as ever; use
        :func:`~expfam_game.solvers.stream_equilibrium`. :func:`~expfam_game.files.load_weights` opens a folder written
        by :meth:`save`.

        Parameters
        ----------
        indptr, indices : str or Path
            int32 or int64, both the same; the columns of each row must increase.
        data : str or Path
            float64, positive: zeros are left out.

        Raises
        ------
        InvalidInput, InvalidWeights
            Naming the file, or the row that breaks a rule.

        Examples
        --------
        >>> import expfam_game as eg, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     eg.Weights.ring(3).save(folder)
        ...     eg.files.load_weights(folder).to_dense()
        array([[0.5, 0.5, 0. ],
               [0. , 0.5, 0.5],
               [0.5, 0. , 0.5]])
        """
        weights = cls.__new__(cls)
        weights.matrix = mapped.open_matrix(indptr, indices, data, ROW_SUM_TOLERANCE)
        return weights

    def save(self, folder: str | PathLike[str]) -> None:
        """Write ``indptr.npy``, ``indices.npy`` and ``data.npy`` into a folder, for :meth:`from_files`.

        Raises
        ------
        InvalidInput
            If the folder cannot be written.
        """
        mapped.save_matrix(self.matrix, folder)

    # ------------------------------------------------------------------ topologies

    @classmethod
    def complete(cls, n_agents: int, self_weight: float | Sequence[float] = 0.5) -> Weights:
        """Everybody listens to everybody else equally."""
        _require_count(n_agents, "n_agents")
        return _scaled(sparse.csr_array(np.ones((n_agents, n_agents)) - np.eye(n_agents)), self_weight)

    @classmethod
    def ring(cls, n_agents: int, self_weight: float | Sequence[float] = 0.5, *, both_ways: bool = False) -> Weights:
        """Agent i listens to agent i + 1 (modulo n); with ``both_ways`` also to i − 1."""
        _require_count(n_agents, "n_agents")
        agents = np.arange(n_agents)
        listeners, heard = agents, (agents + 1) % n_agents
        if both_ways:
            listeners, heard = np.concatenate([agents, heard]), np.concatenate([heard, agents])
        return _scaled(_graph(listeners, heard, n_agents), self_weight)

    @classmethod
    def star(cls, n_agents: int, self_weight: float | Sequence[float] = 0.5) -> Weights:
        """Agent 0 listens to all others equally, all others to agent 0."""
        _require_count(n_agents, "n_agents")
        hub, leaves = np.zeros(n_agents - 1, dtype=np.int64), np.arange(1, n_agents)
        return _scaled(_graph(np.r_[hub, leaves], np.r_[leaves, hub], n_agents), self_weight)

    @classmethod
    def grid(cls, rows: int, columns: int, self_weight: float | Sequence[float] = 0.5) -> Weights:
        """Agents on a rectangular grid, numbered row by row, listen to their two to four neighbours equally."""
        _require_count(rows, "rows")
        _require_count(columns, "columns")
        index = np.arange(rows * columns).reshape(rows, columns)
        one = np.r_[index[:, :-1].ravel(), index[:-1].ravel()]
        other = np.r_[index[:, 1:].ravel(), index[1:].ravel()]
        return _scaled(_graph(np.r_[one, other], np.r_[other, one], rows * columns), self_weight)

    @classmethod
    def erdos_renyi(
        cls, n_agents: int, probability: float, self_weight: float | Sequence[float] = 0.5, *, seed: Seed
    ) -> Weights:
        """Each pair of agents is connected (both ways) with the given probability; a loner trusts itself alone."""
        import networkx

        _require_count(n_agents, "n_agents")
        if not (isinstance(probability, Real) and 0 <= probability <= 1):
            raise InvalidWeights(f"probability is {probability!r}; it must lie between 0 and 1")
        state = np.random.default_rng(seed_sequence(seed))
        graph = networkx.fast_gnp_random_graph(n_agents, probability, seed=int(state.integers(2**32)))
        return cls.from_networkx(graph, self_weight)

    @classmethod
    def barabasi_albert(
        cls, n_agents: int, attachments: int, self_weight: float | Sequence[float] = 0.5, *, seed: Seed
    ) -> Weights:
        """Preferential attachment: each new agent is connected (both ways) to ``attachments`` earlier ones."""
        import networkx

        _require_count(n_agents, "n_agents")
        _require_count(attachments, "attachments")
        if attachments >= n_agents:
            raise InvalidWeights(f"attachments is {attachments}; it must be less than n_agents, {n_agents}")
        state = np.random.default_rng(seed_sequence(seed))
        graph = networkx.barabasi_albert_graph(n_agents, attachments, seed=int(state.integers(2**32)))
        return cls.from_networkx(graph, self_weight)


# ---------------------------------------------------------------------- helpers


def _validated(matrix: Any) -> sparse.csr_array:
    """A canonical CSR copy of α, or an error that names the row."""
    if sparse.issparse(matrix):
        result = sparse.csr_array(matrix, dtype=np.float64, copy=True)
    else:
        try:
            if np.iscomplexobj(matrix):
                raise TypeError("got complex numbers")
            dense = np.array(matrix, dtype=np.float64)
        except (TypeError, ValueError) as problem:
            raise InvalidWeights(f"weights must be an array of real numbers: {problem}") from None
        if dense.ndim != 2:
            raise InvalidWeights(f"weights must be a square matrix, got shape {dense.shape}")
        result = sparse.csr_array(dense)
    if result.shape[0] != result.shape[1] or result.shape[0] == 0:
        raise InvalidWeights(f"weights must be a square matrix with at least one agent, got shape {result.shape}")
    result.sum_duplicates()
    _require_entries(result, ~np.isfinite(result.data), "weights must be finite")
    _require_entries(result, result.data < 0, "weights must be non-negative")
    result.eliminate_zeros()
    result.sort_indices()
    sums = np.asarray(result.sum(axis=1)).ravel()
    if np.any(off := np.abs(sums - 1.0) > ROW_SUM_TOLERANCE):
        row = int(np.argmax(off))
        raise InvalidWeights(
            f"row {row} of the weights sums to {sums[row]:.15g}; every row must sum to one within 1e-12. "
            "Divide the row by its sum if that is what you mean; nothing is normalised silently",
            agent=row,
            rule="every row sums to one",
        )
    return result


def _require_entries(matrix: sparse.csr_array, bad: Any, rule: str) -> None:
    if np.any(bad):
        place = int(np.argmax(bad))
        row = int(np.searchsorted(matrix.indptr, place, side="right")) - 1
        column = int(matrix.indices[place])
        raise InvalidWeights(
            f"row {row} of the weights has {matrix.data[place]} in column {column}: {rule}",
            agent=row,
            entry=column,
            rule=rule,
        )


def _graph(listeners: IntArray, heard: IntArray, n_agents: int) -> sparse.csr_array:
    apart = listeners != heard
    ones = np.ones(int(np.count_nonzero(apart)))
    return sparse.coo_array((ones, (listeners[apart], heard[apart])), shape=(n_agents, n_agents)).tocsr()


def _scaled(graph: sparse.csr_array, self_weight: float | Sequence[float]) -> Weights:
    """Rows of ``graph`` scaled to 1 − self_weight beside the diagonal; who hears nobody trusts itself alone."""
    n_agents = graph.shape[0]
    try:
        trust = np.broadcast_to(np.asarray(self_weight, dtype=np.float64), (n_agents,)).copy()
    except (TypeError, ValueError):
        raise InvalidWeights(f"self_weight must be a number or {n_agents} numbers, got {self_weight!r}") from None
    if np.any(bad := ~((trust >= 0) & (trust <= 1))):
        row = int(np.argmax(bad))
        raise InvalidWeights(f"the self-weight of agent {row} is {trust[row]}; it must lie between 0 and 1", agent=row)
    _require_entries(graph, ~(np.isfinite(graph.data) & (graph.data >= 0)), "weights must be finite and non-negative")
    graph = sparse.csr_array(graph - sparse.diags_array(graph.diagonal()))
    sums = np.asarray(graph.sum(axis=1)).ravel()
    trust[sums == 0] = 1.0
    factors = np.divide(1.0 - trust, sums, out=np.zeros(n_agents), where=sums > 0)
    return Weights(sparse.diags_array(factors) @ graph + sparse.diags_array(trust))


def _require_count(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InvalidWeights(f"{name} is {value!r}; it must be an integer, at least 1")


def _triples(edges: Iterable[tuple[int, int, float]]) -> FloatArray:
    try:
        rows = [tuple(edge) for edge in edges]
        if all(len(row) == 3 for row in rows):
            return np.array(rows, dtype=np.float64).reshape(-1, 3)
    except (TypeError, ValueError):
        pass
    raise InvalidWeights("edges must be triples of numbers (i, j, weight): agent i listens to agent j")


def _next_hops(matrix: sparse.csr_array, self_weights: FloatArray) -> IntArray:
    """Breadth-first search from all agents with data at once, against the direction of listening."""
    n_agents = matrix.shape[0]
    anchors = np.flatnonzero(self_weights > 0)
    coo = matrix.tocoo()
    heard = np.r_[coo.col, np.full(anchors.size, n_agents)]
    listener = np.r_[coo.row, anchors]
    graph = sparse.csr_array((np.ones(heard.size), (heard, listener)), shape=(n_agents + 1, n_agents + 1))
    _, hops = csgraph.breadth_first_order(graph, n_agents, directed=True, return_predecessors=True)
    next_hop = np.asarray(hops[:n_agents], dtype=np.int64)
    next_hop[next_hop < 0] = -1
    next_hop[anchors] = anchors
    return next_hop


def _terminal_class(matrix: sparse.csr_array, astray: IntArray) -> IntArray:
    """A strongly connected component among ``astray`` that nothing leaves."""
    inner = matrix[astray][:, astray]
    _, label = csgraph.connected_components(inner, directed=True, connection="strong")
    coo = inner.tocoo()
    leaving = np.unique(label[coo.row][label[coo.row] != label[coo.col]])
    terminal = np.setdiff1d(label, leaving)[0]
    return np.asarray(astray[label == terminal])
