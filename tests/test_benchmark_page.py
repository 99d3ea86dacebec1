"""The page of all numbers: from results as the benchmarks save them, with what falls short in bold."""

from __future__ import annotations

import json
import re

import matplotlib

matplotlib.use("Agg")

import pytest
from typer.testing import CliRunner

from benchmarks import data_moments, page, scaling


def test_page_of_short_runs(tmp_path):
    folder = tmp_path / "performance"
    quick = ["--quick", "--out", str(folder)]
    CliRunner().invoke(scaling.app, [*quick, "--graph", "ring", "--trust", "0.05"], catch_exceptions=False)
    CliRunner().invoke(data_moments.app, quick, catch_exceptions=False)
    assert CliRunner().invoke(page.app, [str(folder)], catch_exceptions=False).exit_code == 0
    text = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert "`python -m benchmarks.scaling`" in text
    assert "(performance/scaling.png)" in text
    saved = json.loads((folder / "scaling.json").read_text(encoding="utf-8"))["cases"]
    assert len(re.findall(r"^\| ring \|", text, flags=re.M)) == len(saved)
    assert len(re.findall(r"^## ", text, flags=re.M)) == 2
    widths = {line.count("|") for line in text.split("## ")[1].splitlines() if line.startswith("|")}
    assert len(widths) == 1  # heads, rules and rows of a table have as many columns


def test_what_falls_short_is_bold():
    assert page.at_least(3.9, 4.0) == "**3.9**"
    assert page.at_least(4.0, 4.0) == "4"
    assert page.at_most(4.1, 4.0) == "**4.1**"
    assert page.at_most(None, 4.0) == "—"
    assert page.at_least(1.0, None) == "1"


def test_rounds_are_read_from_the_message():
    assert page._rounds("play between 1,002 communities, 18 rounds") == 18
    assert page._rounds("LU in a band of ± 10 places") is None


def test_nothing_to_write_about(tmp_path):
    result = CliRunner().invoke(page.app, [str(tmp_path)])
    assert result.exit_code == 1
    assert "has no results" in result.output


@pytest.mark.parametrize("name", page.SECTIONS)
def test_every_section_is_a_benchmark(name):
    assert __import__(f"benchmarks.{name}", fromlist=["app"]).app
