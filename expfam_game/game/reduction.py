"""Smaller games with the same equilibrium: some agents answer at once, the others play on.

Agents none of whom listens to another of them can be put into the best responses of those who listen to them: what is left
is a game between the others, I − B′ with a substochastic B′ ≥ 0 again once agents stop listening to themselves (a Schur
complement of I − B, scaled to a unit diagonal). On a grid every second agent goes first. Residuals of the smaller game bound
those of the whole one: who has gone has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from expfam_game._typing import FloatArray, IntArray
from expfam_game.kernels import elimination

_AGENT = 24
"""What an agent costs in a round of conjugate residuals, in weights: profiles are read and written besides the weights."""

_FILL = 6
"""New weights, for each weight there was, beyond which a reduction is not even tried."""


@dataclass(frozen=True)
class Reduction:
    """The game between ``stay``, after ``gone`` have answered."""

    b: sparse.csr_array
    gone: IntArray
    stay: IntArray
    heard: sparse.csr_array
    """B from those gone (rows) to those who stay."""
    hear: sparse.csr_array
    """B from those who stay to those gone, over ``own``."""
    own: FloatArray
    """What those who stay do not leave to themselves."""

    def shrink(self, rhs: FloatArray) -> FloatArray:
        """The constants of the smaller game."""
        return np.asarray(rhs[self.stay] / self.own[:, None] + self.hear @ rhs[self.gone])

    def expand(self, x: FloatArray, rhs: FloatArray) -> FloatArray:
        """The profile of all: those gone answer to those who stayed."""
        whole = np.empty((self.gone.size + self.stay.size, x.shape[1]))
        whole[self.stay] = x
        whole[self.gone] = rhs[self.gone] + self.heard @ x
        return whole


def reductions(b: sparse.csr_array) -> list[Reduction]:
    """One after another, as long as rounds of play become cheaper."""
    found: list[Reduction] = []
    while (smaller := _reduced(b)) is not None:
        found.append(smaller)
        b = smaller.b
    return found


def _reduced(b: sparse.csr_array) -> Reduction | None:
    n = int(b.shape[0])
    goes = np.zeros(n, dtype=np.int64)
    elimination.choose_independent(b.indptr, b.indices, goes)
    gone, stay = np.flatnonzero(goes == 1), np.flatnonzero(goes != 1)
    listeners, listening = np.bincount(b.indices, minlength=n)[gone], np.diff(b.indptr)[gone]
    if stay.size == 0 or float(np.sum(listeners * listening.astype(np.float64))) > _FILL * b.nnz:
        return None
    heard, left = sparse.csr_array(b[gone][:, stay]), sparse.csr_array(b[stay])
    hear = sparse.csr_array(left[:, gone])
    rest = sparse.csr_array(left[:, stay] + hear @ heard)
    own = 1.0 - rest.diagonal()
    if rest.nnz + _AGENT * stay.size >= b.nnz + _AGENT * n or not np.min(own) > 0:
        return None
    rest.setdiag(0.0)
    rest.eliminate_zeros()
    rest.sort_indices()
    scale = sparse.diags_array(1.0 / own)
    return Reduction(sparse.csr_array(scale @ rest), gone, stay, heard, sparse.csr_array(scale @ hear), own)
