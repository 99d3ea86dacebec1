"""C1: every agent reaches, along positive weights, an agent that trusts its own data; so the equilibrium is unique (T2).

Witness: the next agent on the way, an agent that trusts its own data pointing to itself. Decided exactly.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from expfam_game._typing import BoolArray, IntArray


def hops_are_edges(alpha: sparse.csr_array, next_hop: IntArray) -> BoolArray:
    """Whether α[i, next_hop[i]] > 0, for each agent i."""
    listener = np.repeat(np.arange(alpha.shape[0]), np.diff(alpha.indptr))
    used = (alpha.indices == next_hop[listener]) & (alpha.data > 0)
    result = np.zeros(alpha.shape[0], dtype=bool)
    result[listener[used]] = True
    return result


def hops_reach_data(alpha: sparse.csr_array, next_hop: IntArray) -> BoolArray:
    """Whether following the hops from each agent ends at an agent that trusts its own data.

    Pointer jumping: after ⌈log2 N⌉ squarings everybody has made N steps or more, so who is not at a fixed point by then
    runs in a circle.
    """
    reached = next_hop
    for _ in range(int(next_hop.size).bit_length()):
        reached = reached[reached]
    return np.asarray((next_hop[reached] == reached) & (alpha.diagonal()[reached] > 0))
