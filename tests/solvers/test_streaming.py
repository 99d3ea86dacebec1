"""Equilibria from files: against the solvers in memory, interrupted anywhere, in bounded memory."""

import contextlib
import signal
import subprocess
import sys
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import expfam_game as eg
from expfam_game.errors import (
    BarelyAnchored,
    InvalidCheckpoint,
    InvalidData,
    InvalidInput,
    NotAnchored,
    ToleranceNotReached,
)
from expfam_game.solvers import stream_equilibrium, streaming

GRAPHS = {
    "random": lambda a: eg.Weights.erdos_renyi(300, 0.03, a, seed=1),
    "power law": lambda a: eg.Weights.barabasi_albert(300, 3, a, seed=1),
    "ring": lambda a: eg.Weights.ring(60, a),
    "star": lambda a: eg.Weights.star(50, a),
}


def folder_of(tmp_path, weights, means):
    weights.save(tmp_path / "weights")
    np.save(tmp_path / "means.npy", means)
    return tmp_path / "weights", tmp_path / "means.npy", tmp_path / "out.npy"


@pytest.mark.parametrize("trust", [0.5, 0.05])
@pytest.mark.parametrize("graph", GRAPHS)
def test_equals_solve_within_the_proved_bound(tmp_path, graph, trust):
    """Nineteen statistics of different sizes in two groups; agents without data have NaN means."""
    rng = np.random.default_rng(0)
    weights = GRAPHS[graph](trust)
    alpha = weights.to_dense()
    for i in rng.choice(weights.n_agents, 20, replace=False):
        if alpha[i, i] < 1:
            alpha[i, i] = 0.0
            alpha[i] /= alpha[i].sum()
    weights = eg.Weights.from_dense(alpha)
    means = rng.normal(size=(weights.n_agents, 19)) * 10.0 ** rng.uniform(-6, 6, 19)
    means[weights.self_weights == 0] = np.nan
    game = eg.Game(eg.families.KnownVarianceGaussian(1.0) ** 19, weights, means=means)
    found = stream_equilibrium(*folder_of(tmp_path, weights, means), block_entries=200)
    scale = np.nanmax(np.abs(means), axis=0)
    expected = eg.solve(game)
    assert np.all(np.abs(found.mean() - expected.mean) <= 1e-12 * scale)
    assert np.all(np.abs(found.mean() - expected.mean) <= found.error_bound + expected.error_bound)
    assert np.all(found.error_bound <= 1.01e-12 * scale)
    assert found.grade == "rigorous"
    # Rows of 50 entries and some 40 steps to data: the rounding of a residual alone is worth the tolerance.
    hard = (graph, trust) == ("star", 0.05)
    assert found.status is (eg.Status.PRECISION_LIMIT if hard else eg.Status.CONVERGED)
    assert game.q <= found.contraction_factor <= 1 - (1 - game.q) * 0.95
    assert not (tmp_path / "out.npy.rounds").exists()
    assert found.path == tmp_path / "out.npy"


def exact_equilibrium(alpha, means):
    """Gauss–Jordan in fractions."""
    n = len(alpha)
    rows = [
        [Fraction(int(i == j)) - (Fraction(alpha[i][j]) if i != j else 0) for j in range(n)]
        + [Fraction(alpha[i][i]) * Fraction(m) for m in means[i]]
        for i in range(n)
    ]
    for k in range(n):
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k])]
    return [row[n:] for row in rows]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tolerance", [1e-2, 1e-12, 1e-300])
def test_T4_the_error_bound_holds_exactly(tmp_path, seed, tolerance):
    """Against exact fractions, from early stopping to the limit of float64; C2 and C3 rounding included."""
    rng = np.random.default_rng(seed)
    alpha = rng.dirichlet(np.full(8, 0.3), size=8)
    alpha[:, 0] += 1 - alpha.sum(axis=1)
    means = rng.normal(size=(8, 2)) * [1.0, 1e9]
    weights = eg.Weights.from_dense(alpha)
    found = stream_equilibrium(*folder_of(tmp_path, weights, means), tolerance=tolerance)
    exact = exact_equilibrium(weights.to_dense().tolist(), means.tolist())
    for k in range(2):
        error = max(abs(Fraction(float(found.mean()[i, k])) - exact[i][k]) for i in range(8))
        assert error <= Fraction(float(found.error_bound[k]))
    expected = eg.Status.PRECISION_LIMIT if tolerance == 1e-300 else eg.Status.CONVERGED
    assert found.status is expected


def test_rounds_do_not_depend_on_self_weights_where_the_graph_mixes_fast(tmp_path):
    rounds = []
    for trust in (0.5, 0.05, 0.001):
        weights = eg.Weights.erdos_renyi(2000, 0.005, trust, seed=3)
        means = np.random.default_rng(0).uniform(size=(2000, 2))
        rounds.append(stream_equilibrium(*folder_of(tmp_path, weights, means), tolerance=1e-8).rounds)
    assert max(rounds) <= 60


def test_plain_play_takes_over_where_the_common_shift_does_harm(tmp_path):
    """A circle on which all listen to the next one and a little to agent 0, the only one with data.

    With a common shift after every round play diverges here; plain play contracts.
    """
    n = 30
    alpha = 0.9 * np.eye(n)[(np.arange(n) + 1) % n]
    alpha[:, 0] += 0.1
    weights = eg.Weights.from_dense(alpha)
    found = stream_equilibrium(*folder_of(tmp_path, weights, np.full((n, 1), 2.0)))
    np.testing.assert_allclose(found.mean(), 2.0, atol=2e-12)
    assert found.rounds > 1000


def test_arrays_and_memory_maps_and_other_folders(tmp_path):
    weights = eg.Weights.complete(4, 0.3)
    means = np.arange(8, dtype=np.int64).reshape(4, 2)
    _, _, out = folder_of(tmp_path, weights, means)
    np.save(out, np.zeros(3))  # what is there is replaced
    first = stream_equilibrium(weights, means, out, checkpoint=tmp_path / "somewhere" / "else", progress=False).mean()
    mapped = np.load(tmp_path / "means.npy", mmap_mode="r")
    np.testing.assert_array_equal(first, stream_equilibrium(weights, mapped, out, progress=True).mean())
    assert not (tmp_path / "somewhere" / "else").exists()
    # Zero everywhere is an equilibrium like any other.
    np.testing.assert_array_equal(stream_equilibrium(weights, 0.0 * means, out).mean(), np.zeros((4, 2)))


# ---------------------------------------------------------------------- interruptions


class Clock:
    """Counts calls of a function and raises at one of them."""

    def __init__(self, function, at, error=KeyboardInterrupt):
        self.function, self.at, self.error, self.calls = function, at, error, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return self.function(*arguments)


@pytest.fixture
def small(tmp_path):
    weights = eg.Weights.erdos_renyi(30, 0.2, 0.2, seed=5)
    paths = folder_of(tmp_path, weights, np.random.default_rng(1).normal(size=(30, 17)))
    stream_equilibrium(*paths, block_entries=100)
    return paths, paths[2].read_bytes()


@pytest.mark.parametrize(("where", "name"), [(streaming.kernels, "affine"), (streaming.os, "replace")])
def test_interrupted_anywhere_it_goes_on_to_the_same_bits(small, monkeypatch, where, name):
    paths, expected = small
    real = getattr(where, name)
    clock = Clock(real, at=0)
    monkeypatch.setattr(where, name, clock)
    stream_equilibrium(*paths, block_entries=100)
    calls = clock.calls
    assert calls > 40
    for at in range(1, calls + 1, 23 if name == "affine" else 7):
        monkeypatch.setattr(where, name, Clock(real, at))
        with pytest.raises(KeyboardInterrupt) as stopped:
            stream_equilibrium(*paths, block_entries=100)
        assert "the same call goes on" in stopped.value.__notes__[0]
        assert "out.npy.rounds" in stopped.value.__notes__[0]
        monkeypatch.setattr(where, name, real)
        stream_equilibrium(*paths, block_entries=100)
        assert paths[2].read_bytes() == expected
        assert not paths[2].with_name("out.npy.rounds").exists()


KILLED = """
import os, signal, sys
from expfam_game.solvers import streaming
real, calls = streaming.kernels.affine, 0
def affine(*arguments):
    global calls
    calls += 1
    if calls == int(sys.argv[4]):
        arguments[5][:] = 1e9  # half a round is on its way to the file
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
streaming.kernels.affine = affine
streaming.stream_equilibrium(*sys.argv[1:4], block_entries=100)
"""


@pytest.mark.parametrize("at", [30, 90])
def test_killed_it_loses_the_current_round_only(small, at, monkeypatch):
    paths, expected = small
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, paths), str(at)], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    state = streaming._loaded(paths[2].with_name("out.npy.rounds") / "state.json")
    found = stream_equilibrium(*paths, block_entries=100)
    assert paths[2].read_bytes() == expected
    # Another uninterrupted run sweeps as often: no complete round was played twice.
    assert 0 < state.rounds < found.rounds == stream_equilibrium(*paths, block_entries=100).rounds


def test_after_max_rounds_another_call_goes_on(small):
    paths, expected = small
    calls, found = 1, None
    with pytest.raises(ToleranceNotReached, match="max_rounds is reached. The same call goes on from here"):
        stream_equilibrium(*paths, block_entries=100, max_rounds=4)
    while found is None:
        calls += 1
        with contextlib.suppress(ToleranceNotReached):
            found = stream_equilibrium(*paths, block_entries=100, max_rounds=4)
    assert calls == -(-found.rounds // 4)
    assert paths[2].read_bytes() == expected


def test_a_finished_run_that_was_not_cleaned_up(small, monkeypatch):
    """Killed after the result was moved: the next call finds it."""
    paths, expected = small
    real = streaming._moved

    def moved_and_killed(found, target):
        real(found, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(streaming, "_moved", moved_and_killed)
    with pytest.raises(KeyboardInterrupt):
        stream_equilibrium(*paths, block_entries=100)
    monkeypatch.undo()
    assert (paths[2].with_name("out.npy.rounds") / "state.json").exists()
    found = stream_equilibrium(*paths, block_entries=100)
    assert paths[2].read_bytes() == expected
    assert found.error_bound.max() < 1e-11
    assert not paths[2].with_name("out.npy.rounds").exists()


def test_checkpoints_of_other_runs_and_damaged_ones_are_refused(small):
    paths, _ = small
    folder = paths[2].with_name("out.npy.rounds")
    with pytest.raises(ToleranceNotReached):
        stream_equilibrium(*paths, block_entries=100, max_rounds=9)
    with pytest.raises(InvalidCheckpoint, match="its block_entries differ"):
        stream_equilibrium(*paths, block_entries=101)
    other = np.random.default_rng(2).normal(size=(30, 17))
    with pytest.raises(InvalidCheckpoint, match="its means differ; delete the folder, or name another"):
        stream_equilibrium(paths[0], other, paths[2], block_entries=100)
    with pytest.raises(InvalidCheckpoint, match="its weights differ"):
        stream_equilibrium(eg.Weights.ring(30), paths[1], paths[2], block_entries=100)
    profile = next(folder.glob("profile-*.npy"))
    profile.write_bytes(b"nothing")
    with pytest.raises(InvalidCheckpoint, match=r"profile-.*\.npy: the profile cannot be read"):
        stream_equilibrium(*paths, block_entries=100)
    (folder / "state.json").write_text("{}")
    with pytest.raises(
        InvalidCheckpoint, match=r"state\.json: the state of play cannot be read: it is not one of this"
    ):
        stream_equilibrium(*paths, block_entries=100)
    (folder / "state.json").write_text('{"group"')
    with pytest.raises(InvalidCheckpoint, match="cannot be read"):
        stream_equilibrium(*paths, block_entries=100)


# ---------------------------------------------------------------------- memory


def test_memory_is_bounded_by_the_block(tmp_path):
    """Weights of 7 MB and profiles of 4 MB pass through blocks of 0.1 MB."""
    n, listened = 60_000, 9
    rng = np.random.default_rng(0)
    others = np.sort((np.arange(n)[:, None] + 1 + rng.integers(0, n - 1, size=(n, listened))) % n, axis=1)
    rows = np.repeat(np.arange(n), listened)
    keep = np.r_[True, (others.ravel()[1:] != others.ravel()[:-1]) | (rows[1:] != rows[:-1])]
    graph = ((i, j, 1.0) for i, j in zip(rows[keep].tolist(), others.ravel()[keep].tolist()))
    weights = eg.Weights.from_edges(graph, n, self_weight=0.1)
    paths = folder_of(tmp_path, weights, rng.normal(size=(n, 8)))
    entries = 1 << 14
    stream_equilibrium(*paths, block_entries=entries, tolerance=1e-2)  # compiled
    del weights, graph
    tracemalloc.start()
    found = stream_equilibrium(*paths, block_entries=entries, tolerance=1e-2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.status.success
    # The check on opening reads blocks of its own size, here all weights at once; without it:
    opened = eg.files.load_weights(paths[0])
    tracemalloc.start()
    stream_equilibrium(opened, *paths[1:], block_entries=entries, tolerance=1e-2)
    streamed = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    rows_of_block = entries // 16
    assert streamed < 16 * entries + 8 * rows_of_block * 8 * 8 + n + (1 << 18) < peak


# ---------------------------------------------------------------------- errors


def test_weights_without_equilibrium(tmp_path):
    out = tmp_path / "out.npy"
    astray = eg.Weights.from_dense([[0.5, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]])
    with pytest.raises(NotAnchored, match="agents 1, 2, 3 listen only to one another") as caught:
        stream_equilibrium(astray, np.zeros((4, 1)), out)
    assert caught.value.closed_class == (1, 2, 3)
    hardly = eg.Weights.from_dense([[1e-16, 1.0], [1.0, 0.0]])
    with pytest.raises(BarelyAnchored, match="so little trust reaches real data"):
        stream_equilibrium(hardly, np.zeros((2, 1)), out)


@pytest.mark.parametrize(
    ("means", "message"),
    [
        (np.zeros(2), r"shape \(n_agents, dim\) with 2 agents, but it is an array of float64 with shape \(2,\)"),
        (np.zeros((3, 1)), r"with 2 agents, but .* \(3, 1\)"),
        (np.zeros((2, 0)), r"\(2, 0\)"),
        (np.zeros((2, 1), dtype=complex), "complex128"),
    ],
)
def test_means_of_the_wrong_shape(tmp_path, means, message):
    with pytest.raises(InvalidInput, match=message):
        stream_equilibrium(eg.Weights.complete(2), means, tmp_path / "out.npy")
    np.save(tmp_path / "means.npy", means)
    with pytest.raises(InvalidInput, match=rf"means\.npy: means must be .*{message}"):
        stream_equilibrium(eg.Weights.complete(2), tmp_path / "means.npy", tmp_path / "out.npy")


def test_bad_arguments(tmp_path):
    weights, out = eg.Weights.complete(3), tmp_path / "out.npy"
    means = np.zeros((3, 2))
    means[1, 1] = np.nan
    with pytest.raises(InvalidData, match="means: agent 1 trusts its own data, but its row") as caught:
        stream_equilibrium(weights, means, out, block_entries=1)
    assert caught.value.agent == 1
    np.save(tmp_path / "means.npy", means)
    with pytest.raises(
        InvalidData, match=r"means\.npy: agent 1 trusts its own data, but its row of means is not finite"
    ):
        stream_equilibrium(weights, tmp_path / "means.npy", tmp_path / "other.npy")
    for name, value, rule in [
        ("tolerance", 0.0, "positive and finite"),
        ("tolerance", "small", "positive and finite"),
        ("max_rounds", 0, "an integer, at least 1"),
        ("block_entries", 2.5, "an integer, at least 1"),
    ]:
        with pytest.raises(InvalidInput, match=f"{name} is .*; it must be {rule}"):
            stream_equilibrium(weights, np.zeros((3, 1)), out, **{name: value})
    with pytest.raises(
        InvalidInput, match=r"absent\.npy: there is no such file; it must be an NPY file with the means"
    ):
        stream_equilibrium(weights, tmp_path / "absent.npy", out)
    with pytest.raises(InvalidInput, match=r"indptr\.npy: there is no such file"):
        stream_equilibrium(tmp_path / "absent", np.zeros((3, 1)), out)
    out.touch()
    with pytest.raises(InvalidInput, match="cannot be written"):
        stream_equilibrium(weights, np.zeros((3, 1)), out / "below.npy")


def contents(folder):
    """Every file and folder below, and what is in the files."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def stored(tmp_path):
    return folder_of(tmp_path, eg.Weights.complete(3, 0.5), np.arange(6.0).reshape(3, 2))


def test_out_must_not_be_a_file_that_is_read(tmp_path, stored, monkeypatch):
    weights, means, _ = stored
    symbolic, hard = tmp_path / "symbolic.npy", tmp_path / "hard.npy"
    symbolic.symlink_to(means)
    hard.hardlink_to(means)
    monkeypatch.chdir(tmp_path)
    array = np.load(means, mmap_mode="r")
    opened = eg.files.load_weights(weights)
    cases = [(weights, means, out) for out in ("means.npy", weights / ".." / "means.npy", symbolic, hard)]
    cases += [(weights, symbolic, means), (weights, array, means), (weights, np.asarray(array)[:, 1:], means)]
    cases += [(w, means, weights / f"{part}.npy") for w in (weights, opened) for part in ("indptr", "indices", "data")]
    before = contents(tmp_path)
    for case in cases:
        with pytest.raises(
            InvalidInput, match=r"out is .*\.npy, from which the weights or means are read.*name another"
        ):
            stream_equilibrium(*case)
    assert contents(tmp_path) == before


def test_out_must_be_writable_before_anything_is_done(tmp_path, stored, monkeypatch):
    weights, means, _ = stored
    closed = tmp_path / "closed"
    closed.mkdir()
    before = contents(tmp_path)
    for out, message in [
        (tmp_path, "out is a folder; name an NPY file in it"),
        (weights, "out is a folder"),
        ("", "out is a folder"),
        (tmp_path / "absent" / "out.npy", "there is no folder .*absent; make it first"),
        (means / "out.npy", "there is no folder"),
    ]:
        with pytest.raises(InvalidInput, match=f"^{out}: cannot be written: {message}"):
            stream_equilibrium(weights, means, out)
    # Permissions do not bind the superuser, who may be running this.
    monkeypatch.setattr(streaming.os, "access", lambda path, mode: path != closed)
    with pytest.raises(InvalidInput, match=r"out\.npy: cannot be written: the folder .*closed is not writable; change"):
        stream_equilibrium(weights, means, closed / "out.npy")
    assert contents(tmp_path) == before


def test_checkpoint_must_be_a_folder_of_its_own(tmp_path, stored):
    weights, means, out = stored
    elsewhere = tmp_path / "linked"
    elsewhere.mkdir()
    for part in ("indptr", "indices", "data"):
        (elsewhere / f"{part}.npy").symlink_to(weights / f"{part}.npy")
    (elsewhere / "mean.npy").symlink_to(means)
    before = contents(tmp_path)
    for source, folder in [
        (weights, weights),
        (str(weights), weights / ".." / "weights"),
        (eg.files.load_weights(weights), weights),
        (elsewhere, elsewhere),
        (elsewhere, weights),
        (weights, means.parent),
    ]:
        with pytest.raises(InvalidInput, match="checkpoint is the folder of the weights or means; name another"):
            stream_equilibrium(source, means, out, checkpoint=folder)
    # The run would write to its own mean.npy, and so through this link.
    with pytest.raises(InvalidInput, match="checkpoint is the folder of the weights or means"):
        stream_equilibrium(weights, elsewhere / "mean.npy", out, checkpoint=elsewhere)
    with pytest.raises(InvalidInput, match="checkpoint and out are the same"):
        stream_equilibrium(weights, means, out, checkpoint=out)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("wrong", [[[0.5, 0.5], [0.5, 0.5]], 3, None])
def test_arguments_of_the_wrong_type(stored, wrong):
    weights, means, out = stored
    kind = type(wrong).__name__
    with pytest.raises(InvalidInput, match=rf"weights is of type {kind}; it must be Weights, or .*indptr\.npy"):
        stream_equilibrium(wrong, means, out)
    with pytest.raises(InvalidInput, match=f"means is of type {kind}; it must be a NumPy array, or the path"):
        stream_equilibrium(weights, wrong, out)
    with pytest.raises(InvalidInput, match=f"out is of type {kind}; it must be a path"):
        stream_equilibrium(weights, means, wrong)
    if wrong is not None:
        with pytest.raises(InvalidInput, match=f"checkpoint is of type {kind}; it must be a path"):
            stream_equilibrium(weights, means, out, checkpoint=wrong)


def test_files_of_another_kind(tmp_path, stored):
    weights, means, out = stored
    table = tmp_path / "table.csv"
    table.write_text("0.5,0.5\n0.5,0.5\n")
    with pytest.raises(
        InvalidInput, match=r"table\.csv: the weights must be a folder with indptr\.npy, .*Weights\.save"
    ):
        stream_equilibrium(table, means, out)
    archive = tmp_path / "means.npz"
    np.savez(archive, means=np.load(means))
    empty = tmp_path / "empty.npy"
    empty.touch()
    for junk in (table, archive, empty):
        with pytest.raises(InvalidInput, match="this is not an NPY file; the means must be") as caught:
            stream_equilibrium(weights, junk, out)
        assert str(junk) in str(caught.value)
        assert "pickle" not in str(caught.value)
    with pytest.raises(InvalidInput, match=r"weights: cannot be read as NPY: .*[Dd]irectory"):
        stream_equilibrium(weights, weights, out)
