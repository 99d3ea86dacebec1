"""Weights: validation that names the row, topologies, anchoredness with witnesses (C1)."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import expfam_game as eg
from expfam_game import Weights
from expfam_game.errors import InvalidWeights, NotAnchored


@pytest.mark.parametrize(
    ("array", "message", "agent"),
    [
        ([[0.5, 0.4], [0, 1]], "row 0 of the weights sums to 0.9", 0),
        ([[1, 0], [0.5, 0.5 + 2e-12]], "row 1 of the weights sums to", 1),
        ([[1, 0], [-0.5, 1.5]], "row 1 of the weights has -0.5 in column 0: weights must be non-negative", 1),
        ([[1, 0], [np.nan, 1]], "row 1 of the weights has nan in column 0: weights must be finite", 1),
        ([[1, 0], [0, np.inf]], "must be finite", 1),
        ([[1, 0, 0], [0, 1, 0]], "square matrix", None),
        ([1.0], "square matrix", None),
        (np.zeros((0, 0)), "at least one agent", None),
        ([["a", "b"], ["c", "d"]], "real numbers", None),
    ],
)
def test_bad_weights_are_rejected_by_row(array, message, agent):
    with pytest.raises(InvalidWeights, match=message) as caught:
        Weights.from_dense(array)
    assert caught.value.agent == agent


def test_rows_within_tolerance_are_kept_as_they_are():
    array = np.array([[1 + 5e-13, 0], [0.5, 0.5]])
    np.testing.assert_array_equal(Weights.from_dense(array).to_dense(), array)


def test_sparse_input_is_copied_and_made_canonical():
    coo = sparse.coo_array(([0.5, 0.25, 0.25, 1.0, 0.0], ([0, 0, 0, 1, 1], [1, 0, 0, 1, 0])), shape=(2, 2))
    weights = Weights.from_scipy(coo)
    np.testing.assert_array_equal(weights.to_dense(), [[0.5, 0.5], [0, 1]])
    assert weights.matrix.nnz == 3
    assert weights.matrix.has_sorted_indices


def test_edges():
    edges = [(0, 1, 0.25), (0, 0, 0.75), (1, 0, 1.0)]
    np.testing.assert_array_equal(Weights.from_edges(edges, 2).to_dense(), [[0.75, 0.25], [1, 0]])
    scaled = Weights.from_edges([(0, 1, 3), (0, 2, 1)], 3, self_weight=[0.2, 0.5, 1.0]).to_dense()
    np.testing.assert_allclose(scaled, [[0.2, 0.6, 0.2], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(InvalidWeights, match="edge 1, from 1 to 2: agents are the integers 0 to 1"):
        Weights.from_edges([(0, 1, 1.0), (1, 2, 1.0)], 2)
    with pytest.raises(InvalidWeights, match="edge 0"):
        Weights.from_edges([(0.5, 1, 1.0)], 2)
    with pytest.raises(InvalidWeights, match="self-weight of agent 1 is 1.5"):
        Weights.from_edges([(0, 1, 1.0)], 2, self_weight=[0.5, 1.5])
    with pytest.raises(InvalidWeights, match="finite and non-negative"):
        Weights.from_edges([(0, 1, -1.0)], 2, self_weight=0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Weights.complete(3, [0.1, 0.2]), "self_weight must be a number or 3 numbers"),
        (lambda: Weights.complete(2.5), "n_agents is 2.5; it must be an integer"),
        (lambda: Weights.ring(-3), "n_agents is -3"),
        (lambda: Weights.star(0), "n_agents is 0"),
        (lambda: Weights.grid(3, 0.5), "columns is 0.5"),
        (lambda: Weights.from_edges([(0, 1)], 2), "edges must be triples of numbers"),
        (lambda: Weights.from_edges([("a", "b", 1.0)], 2), "edges must be triples of numbers"),
        (lambda: Weights.from_networkx(5), "must be a NetworkX graph, got int"),
        (lambda: Weights.barabasi_albert(5, 5, seed=0), "attachments is 5; it must be less than n_agents, 5"),
        (lambda: Weights.erdos_renyi(5, 2.0, seed=0), "probability is 2.0"),
        (lambda: Weights.from_dense([[1j]]), "real numbers"),
    ],
)
def test_bad_arguments_of_topologies_are_named(make, message):
    with pytest.raises(InvalidWeights, match=message):
        make()


def test_topologies():
    third = 0.7 / 2
    np.testing.assert_allclose(
        Weights.complete(3, 0.3).to_dense(), [[0.3, third, third], [third, 0.3, third], [third, third, 0.3]]
    )
    np.testing.assert_allclose(Weights.ring(4, 0.2, both_ways=True).to_dense()[0], [0.2, 0.4, 0.0, 0.4])
    np.testing.assert_allclose(Weights.star(4, 0.1).to_dense()[0], [0.1, 0.3, 0.3, 0.3])
    np.testing.assert_allclose(Weights.star(4, 0.1).to_dense()[2], [0.9, 0, 0.1, 0])
    grid = Weights.grid(2, 3, 0.4).to_dense()
    np.testing.assert_allclose(grid[0], [0.4, 0.3, 0, 0.3, 0, 0])
    np.testing.assert_allclose(grid[1], [0.2, 0.4, 0.2, 0, 0.2, 0])
    np.testing.assert_array_equal(Weights.ring(1, 0.3).to_dense(), [[1.0]])
    np.testing.assert_allclose(Weights.ring(2, 0.3, both_ways=True).to_dense(), [[0.3, 0.7], [0.7, 0.3]])


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: Weights.erdos_renyi(40, 0.1, 0.3, seed=seed),
        lambda seed: Weights.barabasi_albert(40, 2, 0.3, seed=seed),
    ],
)
def test_random_topologies_follow_their_seed(make):
    np.testing.assert_array_equal(make(3).to_dense(), make(3).to_dense())
    assert not np.array_equal(make(3).to_dense(), make(4).to_dense())
    support = make(3).off_diagonal.toarray() > 0
    np.testing.assert_array_equal(support, support.T)


def test_networkx_graphs_keep_direction_and_weight():
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 1.0), ("a", "c", 3.0), ("b", "b", 2.0)])
    weights = Weights.from_networkx(graph, self_weight=[0.2, 0.5, 0.9])
    np.testing.assert_allclose(weights.to_dense(), [[0.2, 0.2, 0.6], [0, 1, 0], [0, 0, 1]])


@given(
    pattern=st.integers(1, 7).flatmap(
        lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=n, max_size=n)
    )
)
@settings(max_examples=200, deadline=None)
def test_T2_anchoredness_agrees_with_reachability_and_gives_valid_witnesses(pattern):
    support = np.array(pattern, dtype=float)
    support[support.sum(axis=1) == 0, 0] = 1.0
    weights = Weights.from_dense(support / support.sum(axis=1, keepdims=True))
    n = len(support)
    graph = nx.from_numpy_array(support, create_using=nx.DiGraph)
    owners = {i for i in range(n) if support[i, i] > 0}
    reaches = [bool(owners & (nx.descendants(graph, i) | {i})) for i in range(n)]
    verdict = weights.anchoredness
    assert verdict.anchored == all(reaches)
    rho = max(abs(np.linalg.eigvals(weights.off_diagonal.toarray())))
    assert verdict.anchored == (rho < 1 - 1e-9)
    for i in range(n):
        path = verdict.path(i)
        assert bool(path) == reaches[i]
        if path:
            assert path[0] == i
            assert path[-1] in owners
            assert all(support[a, b] > 0 for a, b in zip(path, path[1:]))
            assert len(path) - 1 == min(
                nx.shortest_path_length(graph, i, o) for o in owners if nx.has_path(graph, i, o)
            )
    if verdict.anchored:
        assert verdict.closed_class == ()
        weights.require_anchored()
    else:
        closed = set(verdict.closed_class)
        assert closed
        assert not closed & owners
        assert all(set(graph.successors(i)) <= closed for i in closed)
        with pytest.raises(NotAnchored):
            weights.require_anchored()


def test_repr_counts_agents_and_edges():
    assert repr(eg.Weights.ring(3, 0.5)) == "Weights(n_agents=3, edges=3)"
