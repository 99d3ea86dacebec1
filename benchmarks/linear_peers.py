"""What SciPy and PyAMG offer for (I − B) X = Y: each to the same residual, given up where it takes too long."""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import bicgstab, gmres, splu

from expfam_game._typing import FloatArray

RESIDUAL = 1e-8
"""Of every answer, relative to the largest entry of the constant of each statistic."""

_LU_AGENTS = {"ring": 1_000_000, "grid": 200_000}
_LU_ELSEWHERE = 3_000
"""SuperLU's factors fill up on the other graphs: above this many agents it is not tried."""

_AMG_AGENTS = {"random": 100_000, "power law": 100_000, "communities": 100_000}
"""Above this many agents PyAMG's coarse matrices fill the memory."""


class TooSlow(Exception):
    """The peer takes longer than the limit."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`TooSlow` after so many seconds (where the system has timers; SuperLU cannot be interrupted)."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _by_column(solve: Callable[[FloatArray], FloatArray], rhs: FloatArray, limit: float) -> FloatArray:
    """One statistic after another; given up when the time of those done says that all will take too long."""
    result, begun = np.empty_like(rhs), time.perf_counter()
    for k in range(rhs.shape[1]):
        result[:, k] = solve(np.ascontiguousarray(rhs[:, k]))
        if (time.perf_counter() - begun) / (k + 1) * rhs.shape[1] > limit:
            raise TooSlow
    return result


def _krylov(method: Callable[..., Any], most: int) -> Callable[..., FloatArray]:
    def solve(b: sparse.csr_array, rhs: FloatArray, limit: float) -> FloatArray:
        system = sparse.csr_array(sparse.eye_array(b.shape[0]) - b)

        def column(y: FloatArray) -> FloatArray:
            # The 2-norm that bounds the largest entry of the residual may be met with room to spare: aim at the size asked for.
            goal = 0.5 * RESIDUAL * float(np.max(np.abs(y))) * y.size**0.5 / 3.0
            x = np.zeros_like(y)
            while np.max(np.abs(rest := y - system @ x)) > RESIDUAL * np.max(np.abs(y)):
                x = x + method(system, rest, rtol=0.0, atol=goal, maxiter=most)[0]
                goal /= 3.0
            return np.asarray(x)

        return _by_column(column, rhs, limit)

    return solve


def _splu(b: sparse.csr_array, rhs: FloatArray, limit: float) -> FloatArray:
    return np.asarray(splu(sparse.csc_array(sparse.eye_array(b.shape[0]) - b)).solve(rhs))


def _pyamg(b: sparse.csr_array, rhs: FloatArray, limit: float) -> FloatArray:
    import pyamg

    system = sparse.csr_matrix(sparse.eye_array(b.shape[0]) - b)
    system.indptr, system.indices = system.indptr.astype(np.int32), system.indices.astype(np.int32)
    hierarchy = pyamg.smoothed_aggregation_solver(system, symmetry="nonsymmetric")

    def column(y: FloatArray) -> FloatArray:
        tolerance = RESIDUAL
        while True:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # the residual tells
                x = hierarchy.solve(y, tol=tolerance, accel="gmres", maxiter=200)
            if np.max(np.abs(y - system @ x)) <= RESIDUAL * np.max(np.abs(y)):
                return np.asarray(x)
            tolerance /= 10.0
            if tolerance < 1e-14:
                raise TooSlow

    return _by_column(column, rhs, limit)


PEERS: dict[str, Callable[..., FloatArray]] = {
    "bicgstab": _krylov(bicgstab, 5000),
    "gmres": _krylov(gmres, 100),
    "splu": _splu,
    "pyamg": _pyamg,
}
"""Name: a function of (B, Y, limit in seconds) that returns X."""


def worth_trying(peer: str, graph: str, n_agents: int) -> bool:
    """Whether the peer is installed and its memory suffices."""
    if peer == "splu":
        return n_agents <= _LU_AGENTS.get(graph, _LU_ELSEWHERE)
    if peer == "pyamg":
        return find_spec("pyamg") is not None and n_agents <= _AMG_AGENTS.get(graph, 1_000_000)
    return True
