"""The benchmark of start-up: a short run. No timing is asserted."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from benchmarks import import_time
from benchmarks.import_time import app


def test_short_run(tmp_path):
    result = CliRunner().invoke(app, ["--quick", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    saved = json.loads((tmp_path / "import_time.json").read_text(encoding="utf-8"))
    names = {row["name"] for row in saved["results"]}
    assert {"import numpy", "import expfam_game", "first solve", "first solve, nothing compiled"} <= names
    assert "large game" in names


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_wrong_answers_do_not_count(factor):
    """Too large or too small: both are found, in the profile and in its enclosure."""
    answer = import_time._ANSWER.ravel()
    right, wrong = str(answer.tolist()), str((factor * answer).tolist())
    import_time._require_answer(import_time._CERTIFY, "\n".join([right] * 3))
    with pytest.raises(AssertionError):
        import_time._require_answer(import_time._SOLVE, wrong)
    with pytest.raises(AssertionError):
        import_time._require_answer(import_time._CERTIFY, "\n".join([right, wrong, wrong]))
