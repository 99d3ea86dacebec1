"""Factors, reductions and play between communities: each against dense solves."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy import sparse

import expfam_game as eg
from expfam_game.errors import BarelyAnchored
from expfam_game.game import factors, linear
from expfam_game.game.community_play import CommunityPlay, settled_communities
from expfam_game.game.multilevel import Multilevel
from expfam_game.game.reduction import reduction
from expfam_game.kernels import sparse as kernels


def _dense(b, rhs):
    return np.linalg.solve(np.eye(b.shape[0]) - b.toarray(), rhs)


def _shuffled(b, seed=0):
    order = np.random.default_rng(seed).permutation(b.shape[0])
    return sparse.csr_array(b[order][:, order])


def _planted(groups, size, leak, trust, seed=0):
    """Ten random neighbours in one's own group, a share ``leak`` of them anywhere; labels are shuffled."""
    rng = np.random.default_rng(seed)
    n = groups * size
    rows = np.repeat(np.arange(n), 10)
    columns = rows // size * size + rng.integers(0, size, rows.size)
    columns = np.where(rng.random(rows.size) < leak, rng.integers(0, n, rows.size), columns)
    names = rng.permutation(n)
    b = sparse.csr_array((np.ones(rows.size), (names[rows], names[columns])), shape=(n, n))
    b.setdiag(0.0)
    b.eliminate_zeros()
    b = sparse.csr_array(sparse.diags_array((1.0 - trust) / b.sum(axis=1)) @ b)
    group = np.empty(n, dtype=np.int64)
    group[names] = np.arange(n) // size
    return b, group


@pytest.mark.parametrize("columns", [1, 3, 16, 19])
def test_band_of_a_line_a_circle_and_a_hidden_line(columns):
    circle = eg.Weights.from_networkx(nx.circulant_graph(1201, [1, 2]), 0.01).off_diagonal
    line = eg.Weights.from_networkx(nx.path_graph(1500), 0.01).off_diagonal
    for b, most in ((line, 1), (circle, 4), (_shuffled(line), 2), (_shuffled(circle), 8)):
        order, reach = factors.band_order(b)
        assert reach <= most
        rhs = np.random.default_rng(0).normal(size=(b.shape[0], columns))
        np.testing.assert_allclose(factors.BandFactors(b, order, reach).solve(rhs), _dense(b, rhs), atol=1e-10)


def test_no_band_where_there_is_none():
    assert factors.band_order(eg.Weights.erdos_renyi(5000, 0.004, 0.1, seed=0).off_diagonal) is None


@pytest.mark.parametrize("columns", [1, 5, 17])
def test_sparse_factors(columns):
    for weights in (eg.Weights.grid(25, 50, 0.01), eg.Weights.from_networkx(nx.random_labeled_tree(1100, seed=0), 0.1)):
        b = _shuffled(weights.off_diagonal)
        rhs = np.random.default_rng(0).normal(size=(b.shape[0], columns))
        np.testing.assert_allclose(factors.SparseFactors(b).solve(rhs), _dense(b, rhs), atol=1e-10)


def test_what_is_chosen_is_told():
    ring = linear.LinearSystem(eg.Weights.ring(2000, 0.1).off_diagonal)
    assert ring.solve(np.ones(2000))[1] == "LU in a band of ± 2 places"
    tree = linear.LinearSystem(eg.Weights.from_networkx(nx.balanced_tree(3, 7), 0.1).off_diagonal)
    assert tree.solve(np.ones(tree.b.shape[0]))[1] == "LU, whose factors are small on this graph"
    firm = linear.LinearSystem(eg.Weights.grid(150, 150, 0.5).off_diagonal)
    assert not firm.lu_is_cheap
    x, how = firm.solve(np.ones(22_500))
    assert how.startswith("deflated play")
    np.testing.assert_allclose(x, 2.0, rtol=1e-12)


def test_factors_refine_where_asked_to():
    b = eg.Weights.grid(40, 40, 1e-6).off_diagonal
    rhs = np.random.default_rng(0).random((1600, 2))
    solved = factors.SparseFactors(b)
    for tolerance in (1e-3, 1e-14):
        x = linear.solve_factored(b, solved, rhs, tolerance)
        assert np.abs(rhs + b @ x - x).max() <= max(tolerance, 16 * np.finfo(float).eps * np.abs(x).max())


@pytest.mark.parametrize("weights", [eg.Weights.ring(1500, 1e-18), eg.Weights.grid(40, 40, 1e-18)])
def test_factors_of_what_is_singular_in_float64_are_refused(weights):
    game = eg.Game(eg.families.Poisson(), weights, means=np.ones((weights.n_agents, 1)))
    with pytest.raises(BarelyAnchored):
        _ = game.v


# ---------------------------------------------------------------------- reduction


@pytest.mark.parametrize("trust", [0.5, 1e-3])
def test_reduction_keeps_the_equilibrium(trust):
    """T2: the equilibrium of the game between those who stay, and answers to it, are the equilibrium of all."""
    b = eg.Weights.grid(30, 41, trust).off_diagonal
    found = reduction(b)
    assert found.gone.size == 615  # every second agent of a grid
    assert found.b.data.min() > 0
    assert np.all(found.b.sum(axis=1) <= 1 + 1e-12)
    rhs = np.random.default_rng(0).normal(size=(1230, 3))
    expected = _dense(b, rhs)
    x = found.expand(_dense(found.b, found.shrink(rhs)), rhs)
    np.testing.assert_allclose(x, expected, rtol=1e-9, atol=1e-9)


def test_no_reduction_where_it_would_add_work():
    assert reduction(eg.Weights.erdos_renyi(3000, 0.004, 0.1, seed=0).off_diagonal) is None


# ---------------------------------------------------------------------- communities


def test_planted_communities_are_found():
    b, group = _planted(30, 200, 0.01, 0.001)
    label, found = settled_communities(b)
    assert found == 30
    # The same partition under other names.
    assert len(set(zip(label.tolist(), group.tolist()))) == 30


def test_no_few_communities_on_a_grid():
    assert settled_communities(eg.Weights.grid(80, 80, 0.01).off_diagonal) is None


@pytest.mark.parametrize("trust", [0.3, 0.01, 1e-4])
def test_play_between_planted_communities(trust):
    b, group = _planted(12, 150, 0.01, trust)
    rhs = trust * np.random.default_rng(0).random((1800, 4))
    x, size, sizes = CommunityPlay(b, group, 12).play(rhs, rhs.max(axis=0), 1e-10, 100)
    residual = np.abs(rhs + b @ x - x).max(axis=0)
    np.testing.assert_allclose(size, residual, rtol=1e-3, atol=1e-15)
    assert np.all(residual <= 1.001e-10 * rhs.max(axis=0))
    # Inside a community disagreement shrinks by some 1/√10 a round.
    assert len(sizes) <= 25
    np.testing.assert_allclose(x, _dense(b, rhs), atol=1e-9)


def test_multilevel_chooses_planted_communities():
    b, _ = _planted(30, 200, 0.01, 0.001)
    solver = Multilevel(b)
    assert solver.communities == (30,)
    x, effort = solver.solve(0.001 * np.ones((6000, 2)))
    assert effort.reached
    np.testing.assert_allclose(x, 1.0, rtol=1e-9)
    assert "30 communities" in str(effort)


def test_labels_follow_trust():
    """Two triangles joined by a weak link, and somebody nobody hears: two labels; the counters are left empty."""
    graph = nx.disjoint_union(nx.complete_graph(3), nx.complete_graph(3))
    graph.add_edge(2, 3, weight=0.1)
    graph.add_node(6)
    b = sparse.csr_array(nx.to_scipy_sparse_array(graph, dtype=float))
    label, weight = np.arange(7), np.zeros(7)
    while kernels.propagate_labels(b.indptr, b.indices, b.data, label, weight):
        assert not weight.any()
    assert [len(set(part)) for part in (label[:3].tolist(), label[3:6].tolist())] == [1, 1]
    assert len(set(label.tolist())) == 3


def test_follow():
    rng = np.random.default_rng(0)
    m = sparse.csr_array(sparse.random_array((900, 7), density=0.3, rng=rng))
    small, rest, x = rng.normal(size=(7, 4)), rng.normal(size=(900, 4)), rng.normal(size=(900, 4))
    expected = x + rest + m @ small
    kernels.follow(m.indptr, m.indices, m.data, small, rest, x, kernels.lanes(4))
    np.testing.assert_allclose(x, expected, atol=1e-13)
