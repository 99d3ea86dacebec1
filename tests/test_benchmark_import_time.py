"""The benchmark of start-up: a short run. No timing is asserted."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from benchmarks.import_time import app


def test_short_run(tmp_path):
    result = CliRunner().invoke(app, ["--quick", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    saved = json.loads((tmp_path / "import_time.json").read_text(encoding="utf-8"))
    names = {row["name"] for row in saved["results"]}
    assert {"import numpy", "import expfam_game", "first solve", "first solve, nothing compiled"} <= names
