"""Weights in memory-mapped files: the same matrix, checked without loading it."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

import expfam_game as eg
from expfam_game.errors import InvalidInput, InvalidWeights
from expfam_game.game import mapped


def write(folder, indptr, indices, data, kind=np.int64):
    np.save(folder / "indptr.npy", np.asarray(indptr, dtype=kind))
    np.save(folder / "indices.npy", np.asarray(indices, dtype=kind))
    np.save(folder / "data.npy", np.asarray(data))
    return [folder / f"{name}.npy" for name in ("indptr", "indices", "data")]


@pytest.mark.parametrize("weights", [eg.Weights.ring(7, 0.3), eg.Weights.barabasi_albert(60, 3, 0.1, seed=0)])
def test_saved_weights_are_the_same_weights(tmp_path, weights):
    weights.save(tmp_path / "w")
    for again in (
        eg.files.load_weights(tmp_path / "w"),
        eg.Weights.from_files(*(tmp_path / "w" / f"{name}.npy" for name in mapped.PARTS)),
    ):
        np.testing.assert_array_equal(again.to_dense(), weights.to_dense())
        np.testing.assert_array_equal(again.off_diagonal.toarray(), weights.off_diagonal.toarray())
        assert again.anchoredness.anchored
        assert not again.matrix.data.flags.writeable
        family, means = eg.families.Bernoulli(1), np.linspace(0.1, 0.9, weights.n_agents)[:, None]
        one, other = (eg.Game(family, w, means=means) for w in (weights, again))
        assert one.fingerprint() == other.fingerprint()
        np.testing.assert_array_equal(eg.solve(one).mean, eg.solve(other).mean)


def test_a_game_file_may_name_a_folder_of_weights(tmp_path):
    eg.Weights.complete(2, 0.5).save(tmp_path / "weights")
    (tmp_path / "game.toml").write_text(
        '[family]\nname = "Poisson"\n[weights]\nfile = "weights"\n[data]\nmeans = [[3.0], [6.0]]\n'
    )
    np.testing.assert_allclose(eg.solve(eg.files.load_game(tmp_path / "game.toml")).mean.ravel(), [4.0, 5.0])


def test_opening_does_not_load(tmp_path):
    """3 million entries, 36 MB, are checked in blocks of a bounded size."""
    n, listened = 100_000, 30
    indices = np.sort((np.arange(n)[:, None] + np.arange(listened)) % n, axis=1).ravel()
    files = write(tmp_path, np.arange(n + 1) * listened, indices, np.full(n * listened, 1 / listened), np.int32)
    before = mapped.BLOCK
    tracemalloc.start()
    try:
        mapped.BLOCK = 1 << 16
        matrix = mapped.open_matrix(*files, 1e-12)
        digest = mapped.fingerprint(matrix, 1 << 16)
        reached = mapped.reaching_data(matrix, 1 << 16)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        mapped.BLOCK = before
        tracemalloc.stop()
    assert matrix.shape == (n, n)
    assert reached.all()
    assert peak < 4 << 20 < 36_000_000
    assert digest == mapped.fingerprint(sparse.csr_array(matrix), 1 << 20)


@pytest.mark.parametrize("entries", [1, 5, 64, 1000, 1 << 22])
def test_blocks_cover_the_rows(entries):
    weights = eg.Weights.star(40, 0.25)
    blocks = list(mapped.row_blocks(weights.matrix, entries))
    assert [b.first for b in blocks] == [0, *(b.last for b in blocks[:-1])]
    assert blocks[-1].last == 40
    assert all(len(b.indices) <= max(entries, 40) for b in blocks)
    parts = [sparse.csr_array((b.data, b.indices, b.indptr), shape=(b.last - b.first, 40)) for b in blocks]
    np.testing.assert_array_equal(sparse.vstack(parts).toarray(), weights.off_diagonal.toarray())
    np.testing.assert_array_equal(np.concatenate([b.trust for b in blocks]), weights.self_weights)
    np.testing.assert_allclose(np.concatenate([b.listening for b in blocks]), 1 - weights.self_weights, rtol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_who_reaches_data_against_breadth_first_search(seed):
    """Sparse directed graphs in which some agents are astray."""
    rng = np.random.default_rng(seed)
    n = 60
    heard = rng.integers(n, size=n)
    matrix = np.eye(n)[heard] * 0.5 + np.eye(n)[rng.integers(n, size=n)] * 0.5
    trusting = rng.random(n) < 0.05
    np.fill_diagonal(matrix, np.where(trusting, np.diag(matrix) + 1.0, 0.0))
    sums = matrix.sum(axis=1, keepdims=True)
    matrix = np.where(sums > 0, matrix / np.where(sums > 0, sums, 1), np.eye(n))
    weights = eg.Weights.from_dense(matrix)
    expected = weights.anchoredness.next_hop >= 0
    np.testing.assert_array_equal(mapped.reaching_data(weights.matrix, 16), expected)


@pytest.mark.parametrize(
    ("indptr", "indices", "data", "message"),
    [
        ([0, 1, 2], [0, 2], [1.0, 1.0], "row 1 of the weights has 1.0 in column 2: columns are the agents 0 to 1"),
        ([0, 1, 2], [0, -1], [1.0, 1.0], "row 1 .* in column -1: columns are"),
        ([0, 2, 3], [1, 0, 1], [0.5, 0.5, 1.0], "row 0 .* in column 0: the columns of a row must increase"),
        ([0, 2, 3], [0, 0, 1], [0.5, 0.5, 1.0], "row 0 .* must increase; sort them and add up duplicates"),
        ([0, 1, 3], [0, 0, 1], [1.0, 0.0, 1.0], "row 1 .* has 0.0 in column 0: entries must be positive"),
        ([0, 1, 3], [0, 0, 1], [1.0, -0.5, 1.5], "row 1 .* has -0.5"),
        ([0, 1, 3], [0, 0, 1], [1.0, np.nan, 1.0], "row 1 .* has nan"),
        ([0, 1, 3], [0, 0, 1], [1.0, np.inf, 1.0], "row 1 .* has inf"),
        ([0, 1, 3], [0, 0, 1], [1.0, 0.4, 0.5], "row 1 of the weights sums to 0.9; every row must sum to one"),
        ([0, 0, 1], [0], [1.0], "row 0 of the weights sums to 0"),
        ([0, 1, 3], [0, 0], [1.0, 1.0], "must rise from 0 to the number of entries; .* has 2 and .* has 2 entries"),
        ([0, 2, 1, 2], [0, 1], [1.0, 1.0], "falls in between"),
        ([0, 1, 2], [0, 1], [1.0, 1.0, 1.0], "has 2 and .* has 3 entries"),
        ([0], [], [], "there must be at least one agent"),
    ],
)
def test_faults_name_the_row(tmp_path, indptr, indices, data, message):
    files = write(tmp_path, indptr, indices, np.asarray(data, dtype=np.float64))
    with pytest.raises(InvalidWeights, match=message):
        eg.Weights.from_files(*files)


def test_a_fault_in_a_later_block_names_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 16)
    data = np.ones(100)
    data[77] = 0.5
    with pytest.raises(InvalidWeights, match="row 77 of the weights sums to 0.5") as caught:
        eg.Weights.from_files(*write(tmp_path, np.arange(101), np.arange(100), data))
    assert caught.value.agent == 77


def test_long_rows_are_summed_exactly(tmp_path):
    """A million times 1e-6: a plain sum is off by more than the tolerance."""
    n = 1_000_000
    data = np.full(n, 1e-6)
    assert abs(float(np.cumsum(data)[-1]) - 1) > 1e-12
    indptr = np.minimum(np.arange(n + 1), 1) * n + np.maximum(np.arange(n + 1) - 1, 0)
    files = write(tmp_path, indptr, np.r_[np.arange(n), np.arange(1, n)], np.r_[data, np.ones(n - 1)])
    assert eg.Weights.from_files(*files).n_agents == n


def test_files_that_are_not_weights(tmp_path):
    good = write(tmp_path, [0, 1], [0], [1.0])
    eg.Weights.from_files(*good)
    with pytest.raises(InvalidInput, match=r"absent\.npy: there is no such file; .* the array indptr"):
        eg.Weights.from_files(tmp_path / "absent.npy", *good[1:])
    with pytest.raises(
        InvalidInput, match=r"data\.npy: data must be one row of float64, but .* int64 with shape \(1,\)"
    ):
        eg.Weights.from_files(*write(tmp_path, [0, 1], [0], [1]))
    with pytest.raises(InvalidInput, match=r"indices\.npy: indices must be one row of int32 or int64"):
        eg.Weights.from_files(*write(tmp_path, [0, 1], [[0]], [1.0]))
    np.save(tmp_path / "indices.npy", np.zeros(1, dtype=np.int32))
    with pytest.raises(InvalidInput, match="holds int64 and .* holds int32; give both the same"):
        eg.Weights.from_files(*good)
    (tmp_path / "indices.npy").write_text("nonsense")
    with pytest.raises(
        InvalidInput, match=r"indices\.npy: cannot be read as NPY: it is no NPY file, or it holds Python objects"
    ):
        eg.Weights.from_files(*good)
    (tmp_path / "data.npy").unlink()
    with pytest.raises(InvalidInput, match=r"data\.npy is missing; this is no folder written by Weights\.save"):
        eg.files.load_weights(tmp_path)
    eg.Weights.ring(3).save(tmp_path)
    with pytest.raises(InvalidInput, match="n_agents and self_weight are for edge lists"):
        eg.files.load_weights(tmp_path, n_agents=3)
    with pytest.raises(InvalidInput, match="weights cannot be written"):
        eg.Weights.ring(3).save(tmp_path / "data.npy")
