"""The command ``python -m paper_figures``: the list, the theory figures in small, the page, the complaints."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from expfam_game.errors import InvalidInput
from paper_figures.__main__ import AGAIN, NAMES, _claim, app
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


def test_a_figure_that_fails_is_named_and_the_exit_says_so(tmp_path, monkeypatch):
    def main(out, seed, quick):
        raise InvalidInput("no such graph")

    monkeypatch.setattr(importlib.import_module("paper_figures.theory_influence"), "main", main)
    shown = run("theory_influence", "--out", str(tmp_path), code=1)
    assert "Error: theory_influence: no such graph" in shown
    assert "python -m paper_figures theory_influence" in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_what_cannot_be_drawn_again_is_said(tmp_path):
    assert "five_agents: there is no" in run("five_agents", "--redraw", "--out", str(tmp_path), code=1)


def test_the_list_needs_no_import_of_the_figures():
    assert [_claim(name) for name in NAMES] == [
        importlib.import_module(f"paper_figures.{name}").CLAIM for name in NAMES
    ]


def test_drawing_all_again_names_what_is_left_out(tmp_path):
    able = [name for name in NAMES if hasattr(importlib.import_module(f"paper_figures.{name}"), "again")]
    assert sorted(AGAIN) == sorted(able)
    said = run("all", "--redraw", "--out", str(tmp_path), code=1).splitlines()[0]  # nothing was made there
    assert said.startswith(f"drawn again: {', '.join(AGAIN)}; left out")
    assert all(name in said.partition("left out")[2] for name in NAMES if name not in AGAIN)
    assert f"those that can are {', '.join(AGAIN)}" in run("theory_noise_floor", "--redraw", code=1)
    for name in AGAIN:
        assert name in "".join(run("--help").replace("│", "").split())


def test_small_versions_say_so_on_the_page_and_full_ones_do_not(tmp_path):
    run("theory_asynchronous", "--quick", "--out", str(tmp_path))
    run("theory_influence", "--quick", "--out", str(tmp_path))  # --quick leaves nothing out of it
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    full, small = page.partition("## Asynchronous play")[::2]
    assert "> **Small version (`--quick`).**" in full
    assert "> **Small version:** 150 rounds instead of 400." in small
    assert "\n**Small version:** 150 rounds instead of 400. Dropping" in small
    assert "**Claim of the full version.**" in small
    assert "**Claim.**" in full
    assert "- regimes\n  - everybody, every round: 1, 1, 0, 0\n" in small


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
             "seconds": 3.0, "figures_at_once": 2, "machine": {"cores": 2}, "findings": [{**finding, "wanted": ">= 0.95", "holds": False}]}  # fmt: skip
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "b.json").write_text(json.dumps(saved), encoding="utf-8")
    page = write_page(tmp_path / "page.md", tmp_path / "data", ["a", "b"]).read_text(encoding="utf-8")
    assert page.count("## ") == 1
    assert "| accuracy | 0.92 | 0.9 … 0.93 | ≥ 0.95 | **no** |" in page
    assert "`python` (3 s, 2 cores, 2 figures at a time)" in page
    assert "Not made here yet: `python -m paper_figures a`" in page
    assert "](data/one.png)" in page
