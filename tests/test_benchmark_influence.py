"""The benchmark of rows of influence: a short run, and its checks. No timing is asserted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner

from benchmarks import influence

pytest.importorskip("networkx")


def test_short_run(tmp_path):
    result = CliRunner().invoke(influence.app, ["--quick", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    saved = json.loads((tmp_path / "influence.json").read_text(encoding="utf-8"))
    assert len(saved["cases"]) == 20
    assert all(case["error"] <= influence.ERROR for case in saved["cases"])
    assert {"numba", "networkx", "quantecon"} <= set(saved["versions"])
    assert (tmp_path / "influence.png").is_file()


def test_every_peer_gives_the_row():
    """Two agents: R = α (I − B)^{-1} by hand."""
    b = sparse.csr_array(np.array([[0.0, 0.8], [0.8, 0.0]]))
    asked = influence.Question(b, 0.2, 0, influence.nx.from_scipy_sparse_array(b, create_using=influence.nx.DiGraph))
    for name, peer in influence.PEERS.items():
        if influence._takes_part(name, "random", 2):
            np.testing.assert_allclose(peer(asked), np.array([1.0, 0.8]) / 1.8, atol=influence.ERROR, err_msg=name)


def test_wrong_rows_do_not_count():
    exact = np.array([0.5, 0.5])
    assert influence._require_row(exact, exact, 1e-6, "anybody") == 0.0
    with pytest.raises(AssertionError, match="anybody: the errors sum to 2e-06"):
        influence._require_row(exact + 1e-6, exact, 1e-6, "anybody")


def test_unknown_graphs_are_refused():
    result = CliRunner().invoke(influence.app, ["--quick", "--graph", "star"])
    assert result.exit_code == 2
    assert "'star' is not one of random, power law" in " ".join(result.output.replace("│", " ").split())
