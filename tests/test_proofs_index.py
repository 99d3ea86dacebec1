"""The index of proofs: every link resolves, nothing is left out, and broken links are noticed."""

import importlib
import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pytest
from typer.testing import CliRunner

import proofs
from proofs import layers
from proofs.__main__ import app
from proofs.index import LAYERS, ROOT, IndexFormatError, printed, read, rocq_text
from proofs.reproduce import LABELS, Reproduction, reproduction
from proofs.reproduce.common import at_least, at_most, equal, within

ROWS = {row.label: row for row in read()}
RUNNER = CliRunner()


def test_every_label_has_a_row_in_the_order_of_the_theory():
    theory = (ROOT.parent / "docs" / "theory.md").read_text(encoding="utf-8")
    assert tuple(ROWS) == LABELS
    assert set(re.findall(r"\*\*([TC]\d+)\b", theory)) == set(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_links_resolve(label):
    assert {layer: ROWS[label].problems(layer) for layer in LAYERS} == {layer: [] for layer in LAYERS}


@pytest.mark.parametrize("label", LABELS)
def test_only_the_machine_checked_layer_may_be_absent(label):
    absent = [layer for layer, cell in ROWS[label].cells.items() if cell.reason]
    assert set(absent) <= {"Rocq"}
    assert all(len(ROWS[label].cells[layer].reason) > 40 for layer in absent)


def test_no_page_and_no_symbolic_test_is_left_out():
    for folder, layer in (("prose", "prose"), ("symbolic", "symbolic")):
        linked = {path for row in ROWS.values() for path in row.cells[layer].targets()}
        pattern = "[TC]*.md" if layer == "prose" else "test_*.py"
        assert {path.resolve() for path in (ROOT / folder).glob(pattern)} == linked


def test_every_reproduction_can_be_loaded_and_is_documented():
    for label in LABELS:
        assert reproduction(label).__doc__, label


# ---------------------------------------------------------------------- broken links are noticed


def _index(tmp_path: Path, **changes: str) -> list[str]:
    """The problems of one row whose cells are replaced."""
    good = {
        "prose": "[T4](prose.md)",
        "symbolic": "[s](test_s.py)",
        "Rocq": "[`fine`](file.v)",
        "Python": "`expfam_game.Game.q`",
        "test": "[`test_there`](test_s.py)",
        "see it": "`python -m proofs T4`",
    }
    (tmp_path / "prose.md").write_text("# T4 — contraction\n")
    (tmp_path / "test_s.py").write_text("def test_T4_a(): pass\ndef test_there(): pass\n")
    (tmp_path / "file.v").write_text(
        "Theorem fine : True.\nTheorem silent : True.\n(* Theorem hidden : True.\nPrint Assumptions hidden. *)\n"
        "Theorem a : True.\nLemma b : True.\nDefinition both :=\n  (a, b).\nPrint Assumptions both.\nPrint Assumptions fine.\n"
    )
    cells = " | ".join(({**good, **changes})[layer] for layer in LAYERS)
    head = " | ".join(LAYERS)
    path = tmp_path / "README.md"
    path.write_text(f"| Label | Statement | {head} |\n|{' --- |' * 8}\n| **T4** | s | {cells} |\n", encoding="utf-8")
    (row,) = read(path)
    assert row.label == "T4"
    return [problem for layer in LAYERS for problem in row.problems(layer)]


def test_a_good_row_has_no_problems(tmp_path):
    assert _index(tmp_path) == []
    assert _index(tmp_path, Rocq="— not for a proof assistant") == []
    assert _index(tmp_path, Rocq="[`a`](file.v), [`b`](file.v)") == []


@pytest.mark.parametrize(
    ("layer", "cell", "problem"),
    [
        ("prose", "[T4](absent.md)", "there is no file"),
        ("prose", "[T4](test_s.py)", "does not name T4"),
        ("prose", "", "no reason is given"),
        ("symbolic", "[s](prose.md)", "no test named test_T4_"),
        ("symbolic", "`code`", "a link to a file is expected"),
        ("Rocq", "[`missing`](file.v)", "it has no theorem missing"),
        ("Rocq", "[`silent`](file.v)", "does not print the assumptions"),
        ("Rocq", "[`hidden`](file.v)", "it has no theorem hidden"),
        ("Rocq", "[`fin`](file.v)", "it has no theorem fin"),
        ("Python", "`expfam_game.Game.absent`", "has no absent"),
        ("Python", "`no_such_package.x`", "cannot be imported"),
        ("test", "[`test_gone`](test_s.py)", "it has no test test_gone"),
        ("test", "[`test_there`](gone.py)", "there is no file"),
        ("see it", "`python -m proofs T99`", "no such reproduction"),
        ("see it", "`python -m benchmarks.gone`", "there is no module"),
        ("see it", "`make`", "is expected"),
        ("see it", "[figure](gone.png)", "there is no file"),
    ],
)
def test_a_broken_link_is_named(tmp_path, layer, cell, problem):
    if layer == "symbolic" and cell == "[s](prose.md)":
        cell = "[s](empty.py)"
        (tmp_path / "empty.py").write_text("x = 1\n")
    problems = _index(tmp_path, **{layer: cell})
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no table", "has no table"),
        ("| Label | Statement |\n| --- | --- |\n", "the columns are"),
        (
            "| Label | Statement | prose | symbolic | Rocq | Python | test | see it |\n|-|\n| T1 | x |\n",
            "line 3: 2 cells",
        ),
    ],
)
def test_a_table_that_cannot_be_read_says_where(tmp_path, text, message):
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(IndexFormatError, match=message):
        read(path)


def test_comments_in_rocq_files_do_not_count(tmp_path):
    path = tmp_path / "x.v"
    path.write_text("(* Print Assumptions a. (* nested *) *) Theorem b : True.\nPrint Assumptions b.\n")
    assert printed(rocq_text(path)) == {"b"}


# ---------------------------------------------------------------------- running


def test_dependencies_are_compiled_first():
    order = [path.stem for path in layers.closure([ROOT / "rocq" / "game.v"])]
    assert order[-1] == "game"
    assert order.index("averaging") < order.index("mixture")
    assert set(order) >= {"averaging", "mixture", "gibbs", "expfam", "game"}


def test_axioms_are_read_from_the_answers():
    answer = "Axioms:\nboolp.propositional_extensionality : forall P Q : Prop,\n  P = Q\nmine : False\n"
    assert layers.used_axioms(answer) == {"propositional_extensionality", "mine"}
    assert layers.used_axioms("Closed under the global context\n") == set()


def test_without_rocq_the_layer_is_skipped_with_advice(monkeypatch):
    monkeypatch.setattr(layers.shutil, "which", lambda _: None)
    verdict = layers.rocq(ROWS["T2"])
    assert verdict.holds is None
    assert "apt install" in verdict.message


def _fake_compiler(tmp_path, monkeypatch, script):
    path = tmp_path / "coqc"
    path.write_text(f"#!{sys.executable}\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(layers.shutil, "which", lambda _: str(path))


@pytest.mark.parametrize(
    ("script", "holds", "words"),
    [
        ("print('Closed under the global context')", True, "no axioms"),
        ("print('Axioms:\\nmine : False')", False, "unexpected axioms: mine"),
        ("print('Error: no'); raise SystemExit(1)", False, "does not compile"),
        (
            "print('Cannot find a physical path bound to mathcomp'); raise SystemExit(1)",
            None,
            "MathComp is not installed",
        ),
    ],
)
def test_the_verdict_on_rocq_follows_the_compiler(tmp_path, monkeypatch, script, holds, words):
    _fake_compiler(tmp_path, monkeypatch, script)
    verdict = layers.rocq(ROWS["T2"])
    assert verdict.holds is holds
    assert words in verdict.message


def test_the_table_is_printed_and_complete():
    done = RUNNER.invoke(app, [])
    assert done.exit_code == 0, done.output
    assert all(label in done.output for label in LABELS)
    assert "0 have a missing link" in done.output


def test_a_missing_link_fails_the_table(monkeypatch):
    broken = ROWS["T4"]
    monkeypatch.setattr(type(broken), "problems", lambda self, layer: ["gone"] if layer == "Rocq" else [])
    done = RUNNER.invoke(app, [])
    assert done.exit_code == 1
    assert "T4, Rocq: gone" in done.output


def test_one_label_is_checked_with_numbers_and_a_picture(tmp_path):
    done = RUNNER.invoke(app, ["c5", "--only", "symbolic", "--only", "numbers", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert re.search(r"symbolic\s+holds\s+\d+ passed", done.output)
    assert "bounds below the regret they bound" in done.output
    assert (tmp_path / "C5.png").stat().st_size > 10_000


def test_a_number_that_disagrees_fails(tmp_path, monkeypatch):
    wrong = Reproduction("a game", (equal("x", 1.0, 2.0, 1e-9),), tmp_path / "x.png")
    monkeypatch.setattr("proofs.__main__.reproduction", lambda label: lambda out, seed: wrong)
    done = RUNNER.invoke(app, ["T1", "C1", "--only", "numbers", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "DISAGREES" in done.output
    assert "0 of 2 labels hold; failed: T1, C1" in done.output


def test_a_failing_symbolic_check_fails(tmp_path, monkeypatch):
    bad = tmp_path / "test_bad.py"
    bad.write_text("def test_T1_wrong():\n    assert 1 == 2\n")
    monkeypatch.setattr(type(ROWS["T1"].cells["symbolic"]), "targets", lambda self: [bad])
    verdict = layers.symbolic(ROWS["T1"])
    assert verdict.holds is False
    assert "test_T1_wrong" in verdict.message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["T99"], "there is no label 'T99'"),
        (["--only", "rocq"], "it needs a label"),
        (["T1", "--out", str(Path(proofs.__file__))], "cannot be a folder"),
        (["T1", "--seed", "-1"], "seed"),
    ],
)
def test_bad_calls_are_refused(arguments, words):
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 2
    assert words in re.sub(r"[\s│]+", " ", done.output)


def test_help_explains_the_columns():
    done = RUNNER.invoke(app, ["--help"])
    assert done.exit_code == 0
    assert all(f"  {layer}" in done.output for layer in LAYERS)


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        (equal("x", 1.0, 1.0 + 1e-10, 1e-9), True),
        (equal("x", 1.0, 1.1, 1e-9), False),
        (at_most("x", 1.0, 1.1), False),
        (at_most("x", 1.0, float("nan")), False),
        (at_least("x", 1.0, 0.9), False),
        (within("x", 1.0, 1.5, 0.1), True),
        (within("x", 1.0, 1.8, 0.1), False),
    ],
)
def test_lines_judge(line, holds):
    assert line.holds is holds


@pytest.mark.parametrize("label", ["T3", "T6", "T9", "T11", "C6"])
def test_quick_reproductions_hold_for_another_seed(label, tmp_path):
    result = reproduction(label)(tmp_path, 7)
    assert [line for line in result.lines if not line.holds] == []
    assert result.picture.is_file()


def test_the_package_is_importable_as_a_module():
    assert importlib.import_module("proofs").__doc__
