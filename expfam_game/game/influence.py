"""Whose data makes one agent's model: single rows of the influence matrix R = (I − B)^{-1} D, without the others (T2).

An agent's attention starts at itself and moves along the weights; what reaches an agent with data stays there with
probability α_jj (the push of Andersen, Chung & Lang 2006 for personalised PageRank, which R is where all self-weights are
equal). Where attention has spread over all agents, what is left of it is sent home by a linear solver. With attention r
still on the move, row_i = (what has stayed) + r R, and rows of R are probabilities: what is missing from the row adds up to
Σ r exactly, so the error is known at every moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import bicgstab

from expfam_game._typing import FloatArray, IntArray
from expfam_game.errors import ToleranceNotReached
from expfam_game.game.weights import Weights
from expfam_game.kernels import sparse as kernels

_BUDGET = 3
"""How many times all weights may be read before the attention of all agents is moved together."""

_TOGETHER = 60
"""Rounds of BiCGStab before what is left is sent home by the solver that suits the graph."""


@dataclass(frozen=True)
class InfluenceRow:
    """How much the data of others weighs in the equilibrium of one agent.

    Attributes
    ----------
    agent : int
    others : ndarray of int
        The agents whose data has influence, most influential first; those not listed are covered by ``error``.
    influence : ndarray
        R[agent, others].
    error : float
        Bound on Σ_j |R[agent, j] − influence_j| over all agents, rounding included: above the tolerance asked for where that was
        below what rounding allows.
    """

    agent: int
    others: IntArray
    influence: FloatArray
    error: float

    def dense(self, n_agents: int) -> FloatArray:
        """The whole row, shape (n_agents,)."""
        row = np.zeros(n_agents)
        row[self.others] = self.influence
        return row


def influence_row(
    weights: Weights, agent: int, tolerance: float, send_home: Callable[[FloatArray], FloatArray]
) -> InfluenceRow:
    """One row of R, with error at most ``tolerance`` (ℓ₁) unless rounding forbids it.

    ``send_home`` applies (I − B)^{-T}; it is called where attention stays on the move for too long.
    """
    b, n = weights.off_diagonal, weights.n_agents
    visits, rest = np.zeros(n), np.zeros(n)
    touched = np.full(n, -1, dtype=np.int64)
    touched[0], rest[agent] = agent, 1.0
    budget = _BUDGET * (b.nnz + n)
    count, work = kernels.push(b.indptr, b.indices, b.data, visits, rest, touched, 0.5 * tolerance, budget)
    if work > budget:
        visits, rest = _moved_together(b, visits, rest, 0.5 * tolerance)
        if np.sum(np.abs(rest)) > 0.5 * tolerance:
            visits, rest = _finished(b, visits, rest, send_home)
        touched = np.arange(n)
    else:
        touched = touched[:count]
    rest[touched] = 0.0
    rest[agent] = 1.0
    # What is left is computed anew from the visits: so it does not matter how they were found, or rounded.
    rounding = kernels.attention_left(b.indptr, b.indices, b.data, visits, touched, rest)
    moving = float(np.sum(np.abs(rest[touched])))
    if moving > max(tolerance, rounding):
        raise ToleranceNotReached(
            f"row {agent} of the influence matrix is known to {moving:.2g} only, not to the tolerance {tolerance:.2g}: "
            "attention wanders for too long before it reaches data. Use larger self-weights or a larger tolerance"
        )
    exact_row = visits[touched] * weights.self_weights[touched]
    row = np.maximum(exact_row, 0.0)
    keep = np.flatnonzero(row)
    order = keep[np.argsort(-row[keep], kind="stable")]
    error = moving + rounding + float(np.sum(row - exact_row))
    return InfluenceRow(agent, np.asarray(touched[order]), np.asarray(row[order]), error)


def _moved_together(
    b: sparse.csr_array, visits: FloatArray, rest: FloatArray, tolerance: float
) -> tuple[FloatArray, FloatArray]:
    """BiCGStab on the transposed game, as long as it makes what is left smaller: right where attention mixes fast."""
    system = sparse.csr_array((sparse.eye_array(b.shape[0]) - b).T)
    for _ in range(3):
        before = float(np.sum(np.abs(rest)))
        if before <= tolerance:
            break
        # Σ|r| ≤ √n ‖r‖₂, and halved for rounding. Breakdowns show in the true residual.
        goal = 0.5 * tolerance / len(rest) ** 0.5
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            more = bicgstab(system, rest, rtol=0.0, atol=goal, maxiter=_TOGETHER)[0]
            left = rest - system @ more
        if not np.sum(np.abs(left)) < 0.1 * before:
            break
        visits, rest = visits + more, np.asarray(left)
    return visits, rest


def _finished(
    b: sparse.csr_array, visits: FloatArray, rest: FloatArray, send_home: Callable[[FloatArray], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """All that is still on the move sent home by transposed solves; ``rest`` becomes what they leave."""
    for _ in range(2):  # the second is one step of iterative refinement
        more = send_home(rest)
        visits, rest = visits + more, np.asarray(rest + b.T @ more - more)
    return visits, rest
