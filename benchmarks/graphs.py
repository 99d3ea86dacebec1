"""Games of many agents that benchmarks share: five kinds of graphs, with about ten neighbours each, and fields of self-weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

import expfam_game as eg
from expfam_game._typing import FloatArray

GRAPHS = ("random", "power law", "ring", "grid", "communities")
TRUST = ("0.5", "0.05", "0.001", "0.0001", "99% without data")
NEIGHBOURS = 10


def make_weights(graph: str, trust: str, n_agents: int, seed: int) -> eg.Weights:
    """Relative weights between 0.5 and 1.5, rows scaled to one minus the self-weight."""
    rng = np.random.default_rng(seed)
    rows, columns = _listening(graph, n_agents, rng)
    apart = rows != columns
    rows, columns = rows[apart], columns[apart]
    n = int(max(rows.max(), columns.max())) + 1
    matrix = sparse.csr_array((rng.uniform(0.5, 1.5, rows.size), (rows, columns)), shape=(n, n))
    own = _self_weights(trust, n, rng)
    matrix = sparse.diags_array((1.0 - own) / matrix.sum(axis=1)) @ matrix
    return eg.Weights(matrix + sparse.diags_array(own))


def _self_weights(trust: str, n: int, rng: np.random.Generator) -> FloatArray:
    if not trust.startswith("99"):
        return np.full(n, float(trust))
    own = np.where(rng.random(n) < 0.01, 0.5, 0.0)
    own[0] = 0.5
    return own


def _listening(graph: str, n: int, rng: np.random.Generator) -> tuple[Any, Any]:
    everybody = np.repeat(np.arange(n), NEIGHBOURS)
    if graph == "grid":
        side = round(n**0.5)
        coo = eg.Weights.grid(side, side, 0.5).off_diagonal.tocoo()
        return coo.row, coo.col
    if graph == "ring":
        offsets = np.array([k for k in range(-NEIGHBOURS // 2, NEIGHBOURS // 2 + 1) if k])
        return everybody, ((np.arange(n)[:, None] + offsets) % n).ravel()
    if graph == "random":
        return everybody, rng.integers(0, n, everybody.size)
    if graph == "power law":
        return everybody, rng.permutation(n)[(n * rng.random(everybody.size) ** 3).astype(np.int64)]
    size = min(1000, max(50, n // 100))
    at_home = np.minimum(everybody // size * size + rng.integers(0, size, everybody.size), n - 1)
    return everybody, np.where(rng.random(everybody.size) < 0.01, rng.integers(0, n, everybody.size), at_home)
