"""The benchmark of data moments: a short run, and its checks. No timing is asserted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import data_moments


def test_short_run(tmp_path):
    result = CliRunner().invoke(data_moments.app, ["--quick", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    saved = json.loads((tmp_path / "data_moments.json").read_text(encoding="utf-8"))
    assert {case["family"] for case in saved["cases"]} == {"Poisson", "Bernoulli", "DiagonalGaussian", "Gamma"}
    assert saved["machine"]["memory_gib"] > 0
    assert saved["threads"]["numba"] >= 1
    assert (tmp_path / "data_moments.png").is_file()


def test_exact_means_are_means():
    mean, scale = data_moments.exact_mean("DiagonalGaussian", np.array([[1.0, -2.0], [3.0, 0.0]]))
    assert mean.tolist() == [2.0, -1.0, 5.0, 2.0]
    assert scale.tolist() == [2.0, 1.0, 5.0, 2.0]


def test_wrong_means_do_not_count():
    one = np.ones(1)
    assert data_moments._require_mean(one, one, one, 1e-14, "anybody") == 0.0
    with pytest.raises(AssertionError, match=r"anybody: the mean is off by 0\.1"):
        data_moments._require_mean(1.1 * one, one, one, 1e-9, "anybody")
