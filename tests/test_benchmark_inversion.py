"""The benchmark of inversions: a short run, and that a wrong answer is found out. No timing is asserted."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.inversion import RANGES, app, cases, measure, residuals


def test_short_run_checks_every_answer(tmp_path):
    result = CliRunner().invoke(app, ["--quick", "--out", str(tmp_path), "--seed", "3"], catch_exceptions=False)
    assert result.exit_code == 0
    saved = json.loads((tmp_path / "inversion.json").read_text(encoding="utf-8"))
    assert len(saved["results"]) == len(cases()) * len(RANGES)
    assert all(row["residual"] <= 1e-13 for row in saved["results"])
    assert saved["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_residuals_see_an_error_of_one_in_a_million(case):
    theta = case.draw(np.random.default_rng(1), 5, (0.5, 5.0))
    mu = case.family.to_mean(theta)
    assert residuals(case, theta, mu).max() < 1e-13
    assert residuals(case, theta * (1 + 1e-6), mu).min() > 1e-8
    assert np.isinf(residuals(case, np.full_like(theta, np.nan), mu)).all()


def test_a_wrong_answer_is_found_out():
    case = cases()[0]

    class Wrong(type(case.family)):
        def _to_natural(self, mu):
            return super()._to_natural(mu) * (1 + 1e-9)

    with pytest.raises(AssertionError, match="relative residual"):
        measure(dataclasses.replace(case, family=Wrong()), "1e-1 … 1e1", 200, 1, seed=0)
