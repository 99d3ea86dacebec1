"""Elimination without exchanges, and the choice of agents who go first, against dense algebra."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy import sparse

from expfam_game.kernels import elimination
from expfam_game.kernels import sparse as kernels


def _band(n, reach, seed=0):
    """A random substochastic B with entries within ``reach`` places of the diagonal."""
    rng = np.random.default_rng(seed)
    far = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    dense = np.where((far > 0) & (far <= reach), rng.random((n, n)), 0.0)
    return sparse.csr_array(dense * 0.99 / np.maximum(dense.sum(axis=1, keepdims=True), 1e-9))


@pytest.mark.parametrize("width", kernels.WIDTHS)
@pytest.mark.parametrize(("n", "reach"), [(1, 0), (7, 6), (40, 1), (200, 5)])
def test_band_factors_solve(n, reach, width):
    b = _band(n, reach)
    order = np.arange(n)
    band = np.empty((n, 2 * reach + 1))
    elimination.factor_band(b.indptr, b.indices, b.data, order, order, reach, band)
    rhs = np.random.default_rng(1).normal(size=(n, width))
    out = np.empty_like(rhs)
    elimination.solve_band(band, order, rhs, np.empty_like(rhs), out, kernels.lanes(width))
    np.testing.assert_allclose(out, np.linalg.solve(np.eye(n) - b.toarray(), rhs), rtol=1e-11, atol=1e-11)


def test_reaches_along_the_line_and_around_the_circle():
    graph = nx.circulant_graph(50, [1, 3])
    b = sparse.csr_array(nx.to_scipy_sparse_array(graph, dtype=float))
    assert elimination.reaches(b.indptr, b.indices) == (49, 3)


@pytest.mark.parametrize("seed", range(5))
def test_nobody_chosen_listens_to_anybody_chosen_and_nobody_can_be_added(seed):
    graph = nx.gnp_random_graph(120, 0.05, seed=seed, directed=True)
    b = sparse.csr_array(nx.to_scipy_sparse_array(graph, dtype=float))
    state = np.zeros(120, dtype=np.int64)
    elimination.choose_independent(b.indptr, b.indices, state)
    chosen = np.flatnonzero(state == 1)
    links = b.toarray() + b.toarray().T
    assert not links[np.ix_(chosen, chosen)].any()
    others = np.setdiff1d(np.arange(120), chosen)
    assert links[np.ix_(others, chosen)].any(axis=1).all()
