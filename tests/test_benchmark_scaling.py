"""The scaling benchmark: a short run of the whole, its fit, and that wrong answers do not count."""

from __future__ import annotations

import json

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import scaling
from benchmarks.graphs import GRAPHS, NEIGHBOURS, make_weights


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaling")
    result = CliRunner().invoke(scaling.app, ["--quick", "--out", str(folder)], catch_exceptions=False)
    return folder, result, json.loads((folder / "scaling.json").read_text(encoding="utf-8"))


def test_short_run_covers_every_graph(short_run):
    _, result, saved = short_run
    assert result.exit_code == 0
    assert {case["graph"] for case in saved["cases"]} == set(GRAPHS)
    assert len(saved["cases"]) == 5 * 2 * 2
    assert all(case["seconds"] > 0 and case["proof"] > 0 and case["chosen"] for case in saved["cases"])
    assert all(case["peers"]["bicgstab"] is None or case["peers"]["bicgstab"] > 0 for case in saved["cases"])
    assert saved["settings"]["copy_bytes_per_second"] > 0
    assert saved["versions"]["scipy"]


def test_picture_is_written(short_run):
    from matplotlib.image import imread

    assert imread(short_run[0] / "scaling.png").std() > 0.01


def test_exponent_of_known_growth():
    cases = [scaling.Case("ring", "0.5", n, 10 * n, seconds=3e-7 * n**1.25) for n in (1000, 10_000, 100_000, 1_000_000)]
    assert scaling.exponent(cases) == pytest.approx(1.25)
    assert np.isnan(scaling.exponent(cases[:1]))


@pytest.mark.parametrize("graph", GRAPHS)
def test_games_are_what_they_say(graph):
    weights = make_weights(graph, "99% without data", 2000, 0)
    assert weights.anchoredness.anchored
    assert 0 < np.mean(weights.self_weights > 0) < 0.03
    assert np.diff(weights.off_diagonal.indptr).max() <= NEIGHBOURS


def test_a_wrong_answer_does_not_count():
    b = make_weights("ring", "0.5", 200, 0).off_diagonal
    rhs = np.ones((200, 2))
    scaling._require_residual(b, rhs, np.full((200, 2), 2.0), "right")
    with pytest.raises(AssertionError, match="wrong: the residual is"):
        scaling._require_residual(b, rhs, np.full((200, 2), 2.0 + 1e-6), "wrong")


def test_help_explains_every_column():
    text = CliRunner().invoke(scaling.app, ["--help"]).output
    for name in (
        "agents",
        "chosen",
        "seconds",
        "spread",
        "bicgstab",
        "gmres",
        "splu",
        "pyamg",
        "solve()",
        "proof",
        "sweep",
        "memory",
    ):
        assert f"  {name}" in text or f", {name}" in text


def test_folders_that_cannot_be_made_are_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = CliRunner().invoke(scaling.app, ["--out", str(tmp_path / "file" / "results")])
    assert result.exit_code == 2
    assert "cannot be made" in " ".join(result.output.split())


def test_unknown_graph_is_refused():
    result = CliRunner().invoke(scaling.app, ["--graph", "torus"])
    assert result.exit_code == 2
    assert "torus" in result.output


def test_memory_of_a_solve_is_that_of_its_profile_at_least():
    """Each in a fresh process: never less than the answer takes, and not hundreds of inputs."""
    linear, whole = scaling._memory("random", "0.05", 60_000, 8, 0)
    assert np.isnan(linear) or 0.2 < linear < 10
    assert np.isnan(whole) or 0.2 < whole < 50


def test_a_slow_peer_is_given_up(monkeypatch):
    def forever(b, rhs, limit):
        while True:
            pass

    monkeypatch.setitem(scaling.PEERS, "gmres", forever)
    monkeypatch.setattr(scaling, "worth_trying", lambda name, graph, n: name == "gmres")
    case = scaling.measure("ring", "0.5", 400, 2, 2, 0.05, 0)
    assert case.more_than == {"gmres": 0.05}
    assert np.isnan(case.peers["gmres"])
    assert scaling._ratio(case, "gmres").startswith("> ")
