"""The benchmark of sampled play: a short run, its peers, and that a wrong round is found out. No timing is asserted."""

from __future__ import annotations

import dataclasses
import json

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import sampled_play
from benchmarks.sampled_play import EXCHANGES, GROWTH, Case, app, exponent, jobs, measure


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sampled_play")
    result = CliRunner().invoke(app, ["--quick", "--out", str(folder), "--seed", "3"], catch_exceptions=False)
    return folder, result, json.loads((folder / "sampled_play.json").read_text(encoding="utf-8"))


def test_short_run_checks_every_round(short_run):
    _, result, saved = short_run
    assert result.exit_code == 0
    assert "every timed round lies within 7 standard errors" in result.output
    assert {(case["family"], case["exchange"]) for case in saved["cases"]} == {
        (job.name, exchange) for job in jobs() for exchange in EXCHANGES
    }
    assert all(0.0 < case["error"] < 7.0 and case["n_agents"] == 1000 for case in saved["cases"])
    assert set(saved["growth"]) == set(saved["exponents"]) == set(GROWTH)
    assert saved["settings"]["quick"] is True
    assert saved["versions"]["numpy"] == np.__version__


def test_picture_is_written(short_run):
    from matplotlib.image import imread

    assert imread(short_run[0] / "sampled_play.png").std() > 0.01


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_wrong_round_is_found_out(exchange):
    job = next(job for job in jobs() if job.name == "Poisson")
    wrong = dataclasses.replace(job, draw=lambda rng, mean, n: rng.poisson(1.05 * n * mean) / n)
    with pytest.raises(AssertionError, match="standard errors off"):
        measure(wrong, exchange, 500, 1000, 1, seed=0)


def test_exponent_of_known_growth():
    cases = [Case("x", "broadcast", n, 10 * n, 1, 3e-7 * n**1.25, 1.0, 1.0, 0.0, 1.0) for n in (10**4, 10**5, 10**6)]
    assert exponent(cases) == pytest.approx(1.25)
    assert np.isnan(exponent(cases[:1]))


def test_everybody_listens_to_ten():
    weights = sampled_play.make_weights(2000, 0)
    assert np.allclose(weights.off_diagonal.sum(axis=1), 0.7, atol=0.2)
    assert 9.9 * 2000 < weights.matrix.nnz <= 11 * 2000


def test_help_explains_every_printed_column(short_run):
    text = CliRunner().invoke(app, ["--help"]).output
    for heading in ("vs NumPy", "vs product", "Mrounds/s", "Mdraws/s", "ours", "spread", "error"):
        assert f"  {heading} " in text
        assert heading in short_run[1].output
