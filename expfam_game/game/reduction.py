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
    """The game between ``stay``, after the others have answered."""

    whole: sparse.csr_array
    """B between all agents."""
    b: sparse.csr_array
    """B between those who stay."""
    stay: IntArray
    gone: IntArray
    own: FloatArray
    """What those who stay do not leave to themselves."""

    def shrink(self, rhs: FloatArray) -> FloatArray:
        """The constants of the smaller game."""
        shrunk = rhs[self.stay]
        staying = np.full(len(rhs), -1, dtype=self.stay.dtype)
        staying[self.stay] = np.arange(self.stay.size)
        weights = self.whole.indptr, self.whole.indices, self.whole.data
        elimination.take_answers(*weights, staying, self.own, rhs, shrunk)
        return shrunk

    def expand(self, x: FloatArray, rhs: FloatArray) -> FloatArray:
        """The profile of all, in the place of ``rhs``: those gone answer to those who stayed."""
        rhs[self.stay] = x
        elimination.answer(self.whole.indptr, self.whole.indices, self.whole.data, self.gone, rhs)
        return rhs


def reduction(b: sparse.csr_array) -> Reduction | None:
    """Let agents go first where rounds of play become cheaper by it; None where they do not."""
    n = int(b.shape[0])
    goes = np.zeros(n, dtype=np.int64)
    elimination.choose_independent(b.indptr, b.indices, goes)
    gone, stay = np.flatnonzero(goes == 1), np.flatnonzero(goes != 1)
    listeners, listening = np.bincount(b.indices, minlength=n)[gone], np.diff(b.indptr)[gone]
    if stay.size == 0 or float(np.sum(listeners * listening.astype(np.float64))) > _FILL * b.nnz:
        return None
    rest = _after_answers(narrow(b), gone, stay)
    own = 1.0 - rest.diagonal()
    if rest.nnz + _AGENT * stay.size >= b.nnz + _AGENT * n or not np.min(own) > 0:
        return None
    rest.setdiag(0.0)
    rest.eliminate_zeros()
    rest.sort_indices()
    rest.data /= np.repeat(own, np.diff(rest.indptr))
    return Reduction(b, rest, stay, gone, own)


def _after_answers(b: sparse.csr_array, gone: IntArray, stay: IntArray) -> sparse.csr_array:
    """What those who stay listen to, with the answers of those gone put in."""
    left, heard = sparse.csr_array(b[stay]), sparse.csr_array(b[gone][:, stay])
    return sparse.csr_array(left[:, stay] + sparse.csr_array(left[:, gone]) @ heard)


def narrow(b: sparse.csr_array) -> sparse.csr_array:
    """The same weights with indices of 32 bits, where they suffice: what is made of them takes a quarter less memory."""
    if max(b.nnz, *b.shape) > np.iinfo(np.int32).max:
        return b
    return sparse.csr_array((b.data, b.indices.astype(np.int32), b.indptr.astype(np.int32)), shape=b.shape)
