"""Simultaneous play between agents, corrected after each round by play between their communities.

Where the graph falls into communities, inside which disagreement is forgotten fast, only what the members of each have in
common is forgotten slowly. With P spreading a value of each community over its members, Pᵀ(I − B)P is the game between
communities, small enough to be solved exactly: a round is x ← Y + B(x + P c) with Pᵀ(I − B)P c = Pᵀ(Y + Bx − x), one sweep
over the weights. The communities are found by label propagation (Raghavan, Albert & Kumara 2007): every agent takes the
label that most of its trust goes to, until few change theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from expfam_game._typing import FloatArray, IntArray
from expfam_game.kernels import sparse as kernels

_PASSES = 12
"""How often every agent may reconsider its label."""

_SETTLED = 0.01
"""Labels are settled when so few agents change theirs."""

_LARGEST = 2000
"""Communities, or one for every so many agents, that are a game small enough to be solved by dense elimination."""

_AGENTS_EACH = 64


class CommunityPlay:
    """Rounds of play with an exact answer of the communities ``label`` after each."""

    def __init__(self, b: sparse.csr_array, label: IntArray, found: int) -> None:
        n = int(b.shape[0])
        self.communities = found
        self._weights = b.indptr, b.indices, b.data
        spread = sparse.csr_array((np.ones(n), label, np.arange(n + 1)), shape=(n, found))
        heard = sparse.csr_array(b @ spread)
        self._heard = heard.indptr, heard.indices, heard.data
        gather = sparse.csr_array(spread.T)
        self._gather = gather.indptr, gather.indices, gather.data
        self._between: Any = splu(sparse.csc_array(gather @ (spread - heard)))

    def play(
        self,
        rhs: FloatArray,
        scale: FloatArray,
        tolerance: float,
        rounds: int,
        tick: Callable[[], object] | None = None,
    ) -> tuple[FloatArray, FloatArray, list[float]]:
        """Rounds until every residual is below ``tolerance`` times ``scale`` or falls slowly.

        Returns the profile, the size of its residual in each column, and for every round the largest of them over
        ``scale``.
        """
        n, width = rhs.shape
        lanes, zero = kernels.lanes(width), np.zeros((self.communities, width))
        x, rest, total = np.zeros_like(rhs), np.array(rhs), np.empty((self.communities, width))
        largest = np.empty((kernels.chunks(n), width))
        size, sizes = scale, [1.0]
        while len(sizes) <= rounds:
            kernels.affine(*self._gather, rest, zero, total, lanes)
            kernels.follow(*self._heard, np.ascontiguousarray(self._between.solve(total)), rest, x, lanes)
            kernels.residual(*self._weights, x, rhs, rest, largest, lanes)
            size = np.max(largest, axis=0)
            sizes.append(float(np.max(np.divide(size, scale, out=np.zeros_like(size), where=scale > 0))))
            if tick is not None:
                tick()
            if sizes[-1] <= tolerance or (len(sizes) > 4 and sizes[-1] > 0.8 * sizes[-2]):
                break
        return x, size, sizes[1:]


def settled_communities(b: sparse.csr_array) -> tuple[IntArray, int] | None:
    """(community of each agent, how many) by label propagation; None where that does not lead to a few."""
    n = int(b.shape[0])
    label, weight = np.arange(n), np.zeros(n)
    for _ in range(_PASSES):
        if kernels.propagate_labels(b.indptr, b.indices, b.data, label, weight) <= _SETTLED * n:
            break
    names, label = np.unique(label, return_inverse=True)
    few = 1 < names.size <= min(_LARGEST, n // _AGENTS_EACH)
    return (label.astype(np.int64), names.size) if few else None
