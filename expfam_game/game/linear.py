"""Solving (I − B) X = Y for a sparse substochastic B: LU where the fill is small, Krylov otherwise.

Nothing here is trusted by the certificates: a wrong solution only makes a certificate fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import bicgstab, eigs, gmres, splu

from expfam_game._typing import FloatArray

_SMALL = 1000
"""Up to this many agents LU is used whatever the graph."""

_BAND_BUDGET = 3e7
"""Entries that a banded factor may have for LU to be used on a larger graph."""


def lu_is_cheap(b: sparse.csr_array) -> bool:
    """Whether the LU factors of I − B stay small: few agents, or a narrow band after reverse Cuthill–McKee."""
    n_agents = b.shape[0]
    if n_agents <= _SMALL:
        return True
    order = csgraph.reverse_cuthill_mckee(b)
    place = np.empty(n_agents, dtype=np.int64)
    place[order] = np.arange(n_agents)
    coo = b.tocoo()
    band = int(np.max(np.abs(place[coo.row] - place[coo.col]), initial=0))
    return bool(n_agents * (2 * band + 1) <= _BAND_BUDGET)


def solve_lu(b: sparse.csr_array, rhs: FloatArray) -> FloatArray:
    """(I − B)^{-1} rhs by sparse LU, with one step of iterative refinement."""
    system = sparse.csc_array(sparse.eye_array(b.shape[0]) - b)
    factors = splu(system)
    x = np.asarray(factors.solve(rhs))
    return np.asarray(x + factors.solve(rhs - system @ x))


def solve_krylov(b: sparse.csr_array, rhs: FloatArray, tolerance: float = 1e-14) -> FloatArray:
    """(I − B)^{-1} rhs column by column with BiCGStab, restarted on the true residual; GMRES where that stalls."""
    system = sparse.csr_array(sparse.eye_array(b.shape[0]) - b)
    columns = rhs.reshape(b.shape[0], -1)
    result = np.empty_like(columns)
    for k, y in enumerate(columns.T):
        result[:, k] = _krylov_column(system, y, tolerance)
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
        step, _ = method(system, residual, rtol=1e-10, atol=0.0, maxiter=2000 if attempt < 4 else 50)
        candidate = x + step
        candidate_residual = y - system @ candidate
        if not np.max(np.abs(candidate_residual)) < size:
            if attempt >= 4:
                break
            continue
        x, residual = candidate, candidate_residual
    return x


def solve_linear(b: sparse.csr_array, rhs: FloatArray) -> FloatArray:
    """(I − B)^{-1} rhs by whichever of the two suits the graph."""
    return solve_lu(b, rhs) if lu_is_cheap(b) else solve_krylov(b, rhs)


def solver(b: sparse.csr_array) -> tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]:
    """Functions that apply (I − B)^{-1} and its transpose to a vector, factorised once where LU is cheap."""
    if not lu_is_cheap(b):
        transposed = sparse.csr_array(b.T)
        return lambda y: solve_krylov(b, y), lambda y: solve_krylov(transposed, y)
    factors: Any = splu(sparse.csc_array(sparse.eye_array(b.shape[0]) - b))
    return factors.solve, lambda y: factors.solve(y, "T")


def spectral_radius(b: sparse.csr_array) -> float:
    """ρ(B): the asymptotic rate of simultaneous best response (T4).

    Dense eigenvalues up to 1000 agents. Above, ARPACK on I + B, whose eigenvalue of largest modulus is 1 + ρ(B) and
    alone on its circle even where B is periodic.
    """
    if b.shape[0] <= _SMALL:
        return float(np.max(np.abs(np.linalg.eigvals(b.toarray()))))
    shifted = sparse.eye_array(b.shape[0], format="csr") + b
    start = np.ones(b.shape[0])
    value = eigs(shifted, k=1, which="LM", return_eigenvectors=False, v0=start, tol=1e-12)
    return float(np.abs(value[0]) - 1.0)
