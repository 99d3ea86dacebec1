"""The benchmark of moments: a short run, its peers, and that a wrong mean is found out. No timing is asserted."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.moment_cases import cases
from benchmarks.moments import HEADINGS, app, exponent, measure


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moments")
    result = CliRunner().invoke(app, ["--quick", "--out", str(folder), "--seed", "3"], catch_exceptions=False)
    return result, json.loads((folder / "moments.json").read_text(encoding="utf-8"))


def test_short_run_checks_every_mean(short_run):
    result, saved = short_run
    assert result.exit_code == 0
    assert "every timed mean lies within 7 standard errors" in result.output
    assert len(saved["results"]) == len(cases())
    for row in saved["results"]:
        assert 0.0 < row["error"] < 7.0
        assert row["samples"] == 5000
    assert saved["settings"]["quick"] is True
    assert saved["versions"]["numpy"] == np.__version__


def test_curve_and_limits_are_saved(short_run):
    result, saved = short_run
    assert saved["copy_bandwidth"] > 1e8
    assert set(saved["random_number_seconds"]) == {"bits", "words", "normals", "exponentials"}
    assert all(seconds > 0.0 for seconds in saved["random_number_seconds"].values())
    for row in saved["results"]:
        assert list(row["curve"]) == ["1000", "10000"]
        assert row["floor"] > 0.0
    figure = Path(result.output.split(" and ")[-1].strip())
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_exponent_is_the_slope_over_the_last_factor_of_100():
    assert exponent({10: 5.0, 100: 5.0, 1000: 2.0, 10_000: 4.0, 100_000: 8.0}) == pytest.approx(np.log10(2.0))
    assert np.isnan(exponent({1000: 1.0}))


def test_a_wrong_mean_is_found_out():
    case = next(case for case in cases() if case.name.startswith("Poisson"))
    wrong = dataclasses.replace(case, numpy=lambda g, n: np.array([g.poisson(4.5, n).mean()]))
    with pytest.raises(AssertionError, match="standard errors off"):
        measure(wrong, 5000, 1, seed=0, least=1e-3, most=1000)


def test_help_explains_every_printed_column(short_run):
    text = CliRunner().invoke(app, ["--help"]).output
    for heading in HEADINGS[1:]:
        assert f"  {heading} " in text
        assert heading in short_run[0].output
