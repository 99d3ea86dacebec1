"""The command ``python -m paper_figures``: the list, the theory figures in small, the page, the complaints."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from paper_figures.__main__ import NAMES, app
from paper_figures.report import Finding, write_page

pytest.importorskip("matplotlib")
THEORY = [name for name in NAMES if name.startswith("theory_")]


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_the_list_names_every_figure_and_its_claim():
    shown = run()
    for name in NAMES:
        assert name in shown
        module = importlib.import_module(f"paper_figures.{name}")
        assert module.CLAIM.split()[0] in shown
        assert module.TITLE


@pytest.mark.parametrize("name", THEORY)
def test_theory_figures_reach_what_is_asked(name, tmp_path):
    run(name, "--quick", "--out", str(tmp_path))
    saved = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert all(finding["holds"] is not False for finding in saved["findings"])
    for stem in saved["figures"]:
        assert (tmp_path / f"{stem}.png").stat().st_size > 10_000
        assert (tmp_path / f"{stem}.pdf").stat().st_size > 1_000
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert saved["title"] in page
    assert f"]({saved['figures'][0]}.png)" in page


def test_unknown_figures_are_named():
    assert "'theory_of_all' is no figure" in run("theory_of_all", code=2).replace("\n", " ").replace("│", "")


def test_a_finding_knows_whether_it_holds():
    finding = Finding.of("accuracy", [0.90, 0.92, 0.93], ">= 0.91")
    assert finding.median == 0.92
    assert finding.spread == (0.90, 0.93)
    assert finding.holds is True
    assert Finding.of("loss", [0.02], "<= 0.01").holds is False
    assert Finding.of("size", np.float64(3.0)).holds is None


def test_the_page_has_a_section_for_each_figure_that_was_made(tmp_path):
    finding = {"what": "accuracy", "median": 0.92, "low": 0.9, "high": 0.93, "values": [0.9, 0.92, 0.93], "unit": ""}
    saved = {"title": "A title", "claim": "A claim.", "figures": ["one"], "reading": "So it is.", "command": "python",
             "seconds": 3.0, "machine": {"cores": 2}, "findings": [{**finding, "wanted": ">= 0.95", "holds": False}]}  # fmt: skip
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "b.json").write_text(json.dumps(saved), encoding="utf-8")
    page = write_page(tmp_path / "page.md", tmp_path / "data", ["a", "b"]).read_text(encoding="utf-8")
    assert page.count("## ") == 1
    assert "0.9 … 0.93" in page
    assert "**no**" in page
    assert "](data/one.png)" in page
