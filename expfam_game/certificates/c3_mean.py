"""C3: a box that contains the equilibrium mean μ*.

Let r = D m + B μ − μ be the residual of the profile μ. Then (I − B)(μ − μ*) = −r, and by C2
|μ − μ*|_i ≤ (w_i/s) max_k |r_k|, for each statistic by itself. For small games the box is instead the exact rational
solution of (I − B) μ* = D m, rounded outwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import fmpq, fmpq_mat, fmpz_mat
from scipy import sparse

from expfam_game._typing import FloatArray
from expfam_game.certificates.rounding import Arithmetic, down, enclose, raised, rational, up
from expfam_game.kernels.agent_blocks import row_blocks

Numerators = tuple[tuple[int, ...], ...]


def residual_box(
    alpha: sparse.csr_array,
    means: FloatArray,
    mean: FloatArray,
    w: FloatArray,
    s: float,
    arithmetic: Arithmetic,
    precision: int,
) -> tuple[FloatArray, FloatArray]:
    """The box μ ± (w_i/s) max_k |r_k|, every rounding error included."""
    from expfam_game.kernels.enclosure import box_rows

    lower, upper = enclose(alpha, means, mean, mean, arithmetic, precision)
    residual = np.maximum(np.max(upper, axis=0), -np.min(lower, axis=0))
    box_rows(np.ascontiguousarray(mean), w, residual, s, lower, upper)
    return lower, upper


def rational_box(numerators: Numerators, denominator: int) -> tuple[FloatArray, FloatArray]:
    """The rational numbers rounded outwards."""
    exact = [[fmpq(value, denominator) for value in row] for row in numerators]
    lower = np.array([[down(value) for value in row] for row in exact])
    upper = np.array([[up(value) for value in row] for row in exact])
    return lower, upper


def is_solution(alpha: sparse.csr_array, means: FloatArray, numerators: Numerators, denominator: int) -> bool:
    """Whether (I − B) n = d D m exactly, so that n/d is the equilibrium mean (unique by C2)."""
    system, rhs = _rational_system(alpha, means)
    return bool(denominator > 0 and system * fmpq_mat(fmpz_mat(numerators)) == denominator * rhs)


def error_bound(mean: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """For each agent, how far any entry of μ can be from μ*."""
    result = np.empty(mean.shape[0])
    for rows in row_blocks(*mean.shape):
        distance = np.maximum(upper[rows] - mean[rows], mean[rows] - lower[rows])
        result[rows] = np.max(np.where(distance == 0, 0.0, raised(distance)), axis=1)
    return result


def solve(alpha: sparse.csr_array, means: FloatArray) -> tuple[Numerators, int]:
    """The exact solution of (I − B) μ* = D m with one common denominator; used by ``certify``, not by ``check``."""
    system, rhs = _rational_system(alpha, means)
    numerators, denominator = system.solve(rhs).numer_denom()
    return tuple(tuple(int(value) for value in row) for row in numerators.tolist()), int(denominator)


def _rational_system(alpha: sparse.csr_array, means: FloatArray) -> tuple[Any, Any]:
    """I − B and D m, exactly."""
    dense = alpha.toarray()
    trust = [rational(value) for value in np.diagonal(dense)]
    others = [[rational(value) for value in row] for row in dense.tolist()]
    size = range(len(trust))
    system = [[fmpq(1) if i == j else -others[i][j] for j in size] for i in size]
    rhs = [[trust[i] * rational(value) for value in means[i].tolist()] for i in size]
    return fmpq_mat(system), fmpq_mat(rhs)
