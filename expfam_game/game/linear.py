"""Solving (I − B) X = Y for a sparse substochastic B: LU where the fill is small, multilevel play otherwise.

What is chosen, in this order: up to 1000 agents, LU; a narrow band, LU in the band; no more links than a tree, sparse LU;
a surface, sparse LU up to 200 000 agents, unless all self-weights are so large that play is quicker; else multilevel play.

Nothing here is trusted by the certificates: a wrong solution only makes a certificate fail.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import ArpackNoConvergence, bicgstab, eigs, gmres, splu

from expfam_game._typing import FloatArray, IntArray
from expfam_game.game.factors import BandFactors, SparseFactors, band_order, by_blocks, neighbourhood
from expfam_game.game.multilevel import Multilevel
from expfam_game.kernels import sparse as kernels

_SMALL = 1000
"""Up to this many agents LU is used whatever the graph."""

_SURFACE_AGENTS = 200_000
"""Up to this many agents on a surface LU is faster than multilevel play."""

_QUICK = 0.6
"""Play that reduces residuals to this share in every round, whatever the graph, is quicker than LU on a surface."""


def lu_is_cheap(b: sparse.csr_array) -> bool:
    """Whether the LU factors of I − B stay small.

    So they do for few agents, for graphs with no more links than a tree, for up to 200 000 agents spread over a surface
    like a grid, and in a narrow band after reverse Cuthill–McKee.
    """
    n_agents = b.shape[0]
    return bool(n_agents <= _SMALL or _has_few_links(b) or _is_small_surface(b) or band_order(b) is not None)


def _is_small_surface(b: sparse.csr_array) -> bool:
    if b.shape[0] > _SURFACE_AGENTS or not neighbourhood(b, 0)[0]:
        return False
    starts = np.linspace(1, b.shape[0] - 1, 8).astype(np.int64)
    return all(neighbourhood(b, int(agent))[0] for agent in starts)


def _has_few_links(b: sparse.csr_array) -> bool:
    """Whether fewer pairs of agents are linked than there are agents."""
    n_agents = b.shape[0]
    return bool(b.nnz <= 2 * n_agents and (abs(b) + abs(b.T)).nnz < 2 * n_agents)


def solve_lu(b: sparse.csr_array, rhs: FloatArray) -> FloatArray:
    """(I − B)^{-1} rhs by SuperLU with partial pivoting and one step of iterative refinement: for few agents."""
    system = sparse.csc_array(sparse.eye_array(b.shape[0]) - b)
    try:
        factors = splu(system)
    except RuntimeError:  # exactly singular in float64; the caller's check of v turns this into an error with a reason
        return np.full(rhs.shape, np.inf)
    x = np.asarray(factors.solve(rhs))
    return np.asarray(x + factors.solve(rhs - system @ x))


def solve_factored(
    b: sparse.csr_array, factors: BandFactors | SparseFactors, rhs: FloatArray, tolerance: float = 1e-14
) -> FloatArray:
    """(I − B)^{-1} rhs; one step of iterative refinement where a residual is above ``tolerance`` times the column's size."""

    def block(columns: FloatArray, lanes: tuple[int, ...]) -> FloatArray:
        rest, largest = np.empty_like(columns), np.empty((kernels.chunks(len(columns)), len(lanes)))
        x = factors.solve(columns, rest)
        kernels.residual(b.indptr, b.indices, b.data, x, columns, rest, largest, lanes)
        small = np.max(largest, axis=0) <= tolerance * np.max(np.abs(columns), axis=0)
        if not np.all(small):
            x += factors.solve(rest)
        return x

    return by_blocks(rhs, block)


def solve_krylov(b: sparse.csr_array, rhs: FloatArray, tolerance: float = 1e-14) -> FloatArray:
    """(I − B)^{-1} rhs column by column with BiCGStab, restarted on the true residual; GMRES where that stalls."""
    system = sparse.csr_array(sparse.eye_array(b.shape[0]) - b)
    columns = rhs.reshape(b.shape[0], -1)
    result = np.empty_like(columns)
    for k, y in enumerate(columns.T):
        # A power of two near the column's size: the squares in the dot products neither over- nor underflow.
        unit = np.ldexp(1.0, int(np.frexp(np.max(np.abs(y), initial=0.0))[1]))
        result[:, k] = unit * _krylov_column(system, y / unit, tolerance)
    return result.reshape(rhs.shape)


def _krylov_column(system: sparse.csr_array, y: FloatArray, tolerance: float) -> FloatArray:
    goal = tolerance * float(np.max(np.abs(y), initial=0.0))
    x = y.copy()
    residual = y - system @ x
    for attempt in range(8):
        size = float(np.max(np.abs(residual), initial=0.0))
        if size <= goal:
            break
        method = bicgstab if attempt < 4 else gmres
        with np.errstate(
            over="ignore", invalid="ignore", divide="ignore"
        ):  # singular systems: the caller's check tells
            step, _ = method(system, residual, rtol=1e-10, atol=0.0, maxiter=2000 if attempt < 4 else 50)
            candidate = x + step
            candidate_residual = y - system @ candidate
        if not np.max(np.abs(candidate_residual)) < size:
            if attempt >= 4:
                break
            continue
        x, residual = candidate, candidate_residual
    return x


class LinearSystem:
    """I − B with whatever was found out about it: asked for v, equilibria and bounds, the graph is prepared once.

    Parameters
    ----------
    b : csr_array, shape (n_agents, n_agents)
        Non-negative, rows summing to at most one, anchored.

    Examples
    --------
    >>> import numpy as np, expfam_game as eg
    >>> LinearSystem(eg.Weights.complete(2, 0.5).off_diagonal).solve(np.array([0.5, 0.5]))[0]
    array([1., 1.])
    """

    def __init__(self, b: sparse.csr_array) -> None:
        self.b = b

    @cached_property
    def _band(self) -> tuple[IntArray, int] | None:
        return None if self.b.shape[0] <= _SMALL else band_order(self.b)

    @cached_property
    def lu_is_cheap(self) -> bool:
        """Whether LU is the method of choice."""
        return self._band is not None or (not self._play_is_quick and lu_is_cheap(self.b))

    @property
    def _play_is_quick(self) -> bool:
        return self.b.shape[0] > _SMALL and float(np.max(self.b.sum(axis=1))) <= _QUICK

    @cached_property
    def _factors(self) -> BandFactors | SparseFactors | None:
        """The factors of I − B; None where that is singular in float64."""
        if self._band is not None:
            return BandFactors(self.b, *self._band)
        try:
            return SparseFactors(self.b)
        except RuntimeError:
            return None

    @cached_property
    def multilevel(self) -> Multilevel:
        return Multilevel(self.b)

    def solve(
        self, rhs: FloatArray, method: str = "auto", tolerance: float = 1e-14, rows: FloatArray | None = None
    ) -> tuple[FloatArray, str]:
        """(I − B)^{-1} diag(rows) rhs and how: ``"lu"``, ``"multilevel"``, ``"krylov"``, or ``"auto"`` by structure.

        Without ``rows`` they are all one. Where multilevel play stalls, Krylov takes over.
        """
        if method == "multilevel" or (method == "auto" and not self.lu_is_cheap):
            x, effort = self.multilevel.solve(rhs, tolerance, rows)
            if effort.reached:
                return x, str(effort)
            del x
            how = f"BiCGStab column by column, because multilevel play stalled ({effort})"
            return solve_krylov(self.b, _scaled(rhs, rows)), how
        if method == "krylov":
            return solve_krylov(self.b, _scaled(rhs, rows)), "BiCGStab column by column"
        return self._by_lu(_scaled(rhs, rows), tolerance)

    def _by_lu(self, rhs: FloatArray, tolerance: float) -> tuple[FloatArray, str]:
        if self.b.shape[0] <= _SMALL:
            return solve_lu(self.b, rhs), "LU, whose factors are small on this graph"
        if self._factors is None:  # the caller's check of v turns this into an error with a reason
            return np.full(rhs.shape, np.inf), "LU"
        return solve_factored(self.b, self._factors, rhs, tolerance), str(self._factors)


def _scaled(rhs: FloatArray, rows: FloatArray | None) -> FloatArray:
    return rhs if rows is None else np.asarray((rhs.T * rows).T)


def solve_linear(b: sparse.csr_array, rhs: FloatArray) -> FloatArray:
    """(I − B)^{-1} rhs by whichever method suits the graph."""
    return LinearSystem(b).solve(rhs)[0]


def solver(b: sparse.csr_array) -> tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]:
    """Functions that apply (I − B)^{-1} and its transpose to a vector, factorised once where LU is cheap."""
    if not lu_is_cheap(b):
        transposed = sparse.csr_array(b.T)
        return lambda y: solve_krylov(b, y), lambda y: solve_krylov(transposed, y)
    factors: Any = splu(sparse.csc_array(sparse.eye_array(b.shape[0]) - b))
    return factors.solve, lambda y: factors.solve(y, "T")


def spectral_radius(b: sparse.csr_array) -> float:
    """ρ(B): the asymptotic rate of simultaneous best response (T4); NaN where ARPACK does not converge.

    The largest over the strongly connected components of the graph; agents alone in theirs contribute nothing.
    """
    _, label = csgraph.connected_components(b, directed=True, connection="strong")
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return max((_perron_root(sparse.csr_array(b[group][:, group])) for group in groups if group.size > 1), default=0.0)


def _perron_root(b: sparse.csr_array) -> float:
    """ρ of an irreducible B: dense up to 1000 agents; above, ARPACK on I + B, whose eigenvalue of largest modulus is
    1 + ρ(B) and alone on its circle even where B is periodic."""
    if b.shape[0] <= _SMALL:
        return float(np.max(np.abs(np.linalg.eigvals(b.toarray()))))
    shifted = sparse.eye_array(b.shape[0], format="csr") + b
    try:
        value = eigs(shifted, k=1, which="LM", return_eigenvectors=False, v0=np.ones(b.shape[0]), tol=1e-12)
    except ArpackNoConvergence:
        return float("nan")
    return float(np.abs(value[0]) - 1.0)
