"""How figures are made: alone, side by side, again from a file, and what happens to one that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from expfam_game.errors import InvalidInput
from paper_figures import making, theory_influence
from paper_figures.__main__ import NAMES
from paper_figures.making import Order, draw_again, make, make_all, processes_of_each
from paper_figures.report import Report

pytest.importorskip("matplotlib")
FAST = ("theory_influence", "theory_contraction", "theory_asynchronous")


def broken(problem):
    def main(out, seed, quick):
        raise problem

    return main


def test_figures_side_by_side_come_in_order_and_equal_those_made_alone(tmp_path):
    together = tmp_path / "together"
    made = list(make_all([Order(name, together, quick=True, at_once=2) for name in FAST], jobs=2))
    assert [one.name for one in made] == list(FAST)
    for one in made:
        assert not one.problem, one.problem
        assert one.lines[0].startswith(f"{one.name}: ")
        make(Order(one.name, tmp_path, quick=True))
        apart, alone = (json.loads((folder / f"{one.name}.json").read_text()) for folder in (together, tmp_path))
        assert (apart["figures_at_once"], alone["figures_at_once"]) == (2, 1)
        assert apart["seconds"] > 0
        for key in ("findings", "reading", "series", "command"):
            assert apart[key] == alone[key]


def test_a_failure_is_named_and_stops_no_other_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(theory_influence, "main", broken(InvalidInput("no such graph")))
    first, second = make_all([Order(name, tmp_path, quick=True) for name in FAST[:2]], jobs=1)
    assert (first.name, first.problem, first.trace) == ("theory_influence", "no such graph", "")
    assert not second.problem
    monkeypatch.setattr(theory_influence, "main", broken(ZeroDivisionError("by nothing")))
    made = make(Order("theory_influence", tmp_path))
    assert made.problem == "ZeroDivisionError: by nothing"
    assert "raise problem" in made.trace


def test_a_process_that_dies_is_a_problem_of_its_figure(tmp_path, monkeypatch):
    def lost(order):
        raise RuntimeError("killed")

    monkeypatch.setattr(
        making, "_make_and_end", lost
    )  # cannot be sent to another process: whatever fails there ends here
    made = making._apart(Order("theory_influence", tmp_path))
    assert made.name == "theory_influence"
    assert made.problem.startswith("its process ended: ")


def test_longest_figures_are_figures():
    assert set(making.LONGEST) < set(NAMES)


@pytest.mark.parametrize(("cores", "jobs", "each"), [(1, 1, 1), (2, 1, 2), (2, 2, 2), (8, 2, 4), (8, 11, 2)])
def test_figures_share_the_cores(monkeypatch, cores, jobs, each):
    monkeypatch.setattr(making, "cores", lambda: cores)
    assert processes_of_each(jobs) == each


def test_shared_cores_leave_the_environment_as_it_was(monkeypatch):
    monkeypatch.setattr(making, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with making._shared_cores(2):
        assert os.environ["OMP_NUM_THREADS"] == "3"  # the user's
        assert os.environ["NUMBA_NUM_THREADS"] == os.environ["LOKY_MAX_CPU_COUNT"] == "4"
    assert dict(os.environ) == before


def test_drawing_again_takes_title_and_words_of_today_and_numbers_of_the_file(tmp_path, monkeypatch):
    make(Order("theory_influence", tmp_path, quick=True))
    saved = json.loads((tmp_path / "theory_influence.json").read_text())
    assert "cannot be drawn again" in draw_again("theory_influence", tmp_path).problem
    monkeypatch.setattr(
        theory_influence, "again", lambda found: Report([], f"{len(found['findings'])} numbers", {}), raising=False
    )
    monkeypatch.setattr(theory_influence, "TITLE", "New title")
    assert not draw_again("theory_influence", tmp_path).problem
    again = json.loads((tmp_path / "theory_influence.json").read_text())
    assert (again["title"], again["reading"]) == ("New title", f"{len(saved['findings'])} numbers")
    for key in ("seconds", "command", "figures", "machine", "series", "settings"):
        assert again[key] == saved[key]
    assert "make the figure first" in draw_again("theory_influence", tmp_path / "nowhere").problem


def test_a_process_with_workers_ends_with_its_figure():
    """Idle workers of joblib live for minutes, and their process waits for them."""
    code = (
        "from joblib import Parallel, delayed; from paper_figures import making;"
        "making.make = lambda order: Parallel(2)(delayed(abs)(-k) for k in range(4));"
        "assert making._make_and_end(None) == [0, 1, 2, 3];"
        "from multiprocessing import active_children; assert not active_children()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
