"""The index of proofs: every link resolves, nothing is left out, and broken links are noticed."""

import importlib
import re
import shutil
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pytest
from typer.testing import CliRunner

import proofs
from proofs import layers
from proofs.__main__ import app
from proofs.index import LAYERS, ROOT, Cell, IndexFormatError, Item, Row, printed, read
from proofs.reproduce import LABELS, Reproduction, reproduction
from proofs.reproduce.common import at_least, at_most, equal, within
from proofs.rocq import check

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


def test_comments_in_rocq_files_do_not_count():
    text = "(*\nPrint Assumptions a. (* nested *)\nPrint Assumptions c. *) Theorem b : True.\nPrint Assumptions b.\n"
    assert printed(text) == {"b"}


# ---------------------------------------------------------------------- running


def test_dependencies_are_compiled_first():
    files = check.project_files()
    order = check.with_imports({"game"}, files)
    assert order[-1] == "game"
    assert order.index("averaging") < order.index("mixture")
    assert set(order) == {"averaging", "mixture", "gibbs", "expfam", "game"}


def test_axioms_are_read_from_the_answers():
    answer = (
        "Axioms:\nboolp.propositional_extensionality : forall P Q : Prop,\n  P = Q\nmine : False\n"
        "loop is assumed to be guarded.\n"
    )
    assert check.axioms(answer) == {"propositional_extensionality", "mine", "loop"}
    assert check.axioms("Closed under the global context\n") == set()


@pytest.mark.parametrize("label", [label for label in LABELS if not ROWS[label].cells["Rocq"].reason])
def test_the_rocq_check_of_a_label_covers_the_files_of_its_row(label):
    files = check.project_files()
    assert {path.stem for path in ROWS[label].cells["Rocq"].targets()} <= check.select(
        [label], files, check.table_labels(files)
    )


HONEST = "Theorem honest : True.\nProof. exact I. Qed.\nPrint Assumptions honest.\n"
LIE = "Theorem lie : False.\nProof. Admitted.\n"
UNGUARDED = "Unset Guard Checking.\nFixpoint loop (n : nat) : False := loop n.\nSet Guard Checking.\n"


def _theory(tmp_path, text, name="game"):
    """A folder like proofs/rocq with one file, which stands for T2, and the row of the index that names its theorem."""
    folder = tmp_path / "rocq"
    folder.mkdir()
    (folder / f"{name}.v").write_text(text)
    (folder / "_CoqProject").write_text(f"-Q . ExpfamGame\n{name}.v\n")
    (folder / "README.md").write_text(f"| {name}.v | T2 | `honest` | none |\n")
    cell = Cell((Item("honest", folder / f"{name}.v"),))
    return Row("T2", "a statement", {"Rocq": cell}), folder


def test_without_rocq_the_layer_is_skipped_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(check.shutil, "which", lambda _: None)
    row, folder = _theory(tmp_path, HONEST)
    verdict = layers.rocq(row, folder=folder)
    assert verdict.holds is None
    assert verdict.applies
    assert "apt-get install" in verdict.message


def test_a_label_without_rocq_says_why():
    verdict = layers.rocq(ROWS["T9"])
    assert verdict == layers.Verdict(None, ROWS["T9"].cells["Rocq"].reason, applies=False)
    done = RUNNER.invoke(app, ["T9", "--only", "rocq"])
    assert done.exit_code == 0
    assert re.search(r"Rocq\s+— ", done.output)
    assert "skipped" not in done.output


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (LIE + HONEST, "Admitted"),
        (UNGUARDED + HONEST, "Unset Guard Checking"),
        ("Axiom lie : False.\n" + HONEST, "Axiom"),
        ("Parameters (lie : False).\n" + HONEST, "Parameters"),
        ("#[bypass_check(guard)] Fixpoint loop (n : nat) : False := loop n.\n" + HONEST, "bypass_check"),
        ("Unset (* a (* nested *) comment *) Positivity\n Checking.\n" + HONEST, "Positivity"),
    ],
)
def test_forbidden_words_are_refused_even_without_rocq(tmp_path, monkeypatch, text, word):
    monkeypatch.setattr(check.shutil, "which", lambda _: None)
    row, folder = _theory(tmp_path, text)
    verdict = layers.rocq(row, folder=folder)
    assert verdict.holds is False
    assert re.search(rf"game\.v: .*{word}.* is not allowed", verdict.message, re.DOTALL)


def test_forbidden_words_in_comments_are_allowed():
    assert not check.FORBIDDEN.search(check.without_comments("(* not (* Admitted *) *) Theorem a : True."))


needs_rocq = pytest.mark.skipif(not (shutil.which("coqc") and shutil.which("coqchk")), reason="Rocq is not installed")


@needs_rocq
def test_a_sound_theory_holds(tmp_path):
    row, folder = _theory(tmp_path, HONEST)
    verdict = layers.rocq(row, folder=folder)
    assert verdict == layers.Verdict(True, "1 files checked by coqc and coqchk, no axioms: honest")


@needs_rocq
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LIE + HONEST, "coqchk: .*lie"),
        (LIE + HONEST.replace("exact I", "destruct lie"), "honest depends on lie"),
        (UNGUARDED + HONEST, "coqchk: .*loop"),
        (UNGUARDED + HONEST.replace("exact I", "destruct (loop 0)"), "honest depends on loop"),
        ("Variable lie : False.\n" + HONEST, "coqchk: .*lie"),
        (HONEST.replace("honest", "other"), r"not among .* honest \(game.v\)"),
        (HONEST.replace("Print Assumptions honest.", ""), "0 questions on assumptions"),
        (HONEST.replace("exact I.", ""), "coqc .*game.v"),
    ],
)
def test_what_the_words_do_not_show_is_refused_by_the_tools(tmp_path, monkeypatch, text, words):
    monkeypatch.setattr(check, "FORBIDDEN", re.compile("(?!)"))  # as if the list of words had a gap
    row, folder = _theory(tmp_path, text)
    verdict = layers.rocq(row, folder=folder)
    assert verdict.holds is False
    assert re.search(words, verdict.message, re.DOTALL), verdict.message


@needs_rocq
def test_algebraic_files_may_not_use_even_classical_axioms(tmp_path, monkeypatch):
    text = (
        "Require Import Coq.Logic.FunctionalExtensionality.\n"
        "Theorem honest (f g : nat -> nat) : (forall x, f x = g x) -> f = g.\n"
        "Proof. exact (functional_extensionality f g). Qed.\nPrint Assumptions honest.\n"
    )
    row, folder = _theory(tmp_path, text)
    assert layers.rocq(row, folder=folder).holds is True
    monkeypatch.setattr(check, "ALGEBRAIC", {"game"})
    verdict = layers.rocq(row, folder=folder)
    assert verdict.holds is False
    assert "honest depends on functional_extensionality_dep" in verdict.message


@pytest.mark.parametrize(
    ("script", "holds", "words"),
    [
        ("print('Axioms:\\nmine : False')", False, "honest depends on mine"),
        ("print('Closed under the global context\\n' * 2)", False, "1 questions on assumptions, 2 answers"),
        ("print('Error: no'); raise SystemExit(1)", False, "Error: no"),
        (
            "print('Cannot find a physical path bound to mathcomp'); raise SystemExit(1)",
            None,
            "MathComp is not installed",
        ),
    ],
)
def test_the_verdict_on_rocq_follows_the_compiler(tmp_path, monkeypatch, script, holds, words):
    for tool in ("coqc", "coqchk"):
        path = tmp_path / tool
        path.write_text(f"#!{sys.executable}\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    row, folder = _theory(tmp_path, HONEST)
    verdict = layers.rocq(row, folder=folder)
    assert verdict.holds is holds
    assert words in verdict.message


def test_a_file_outside_the_project_is_refused(tmp_path):
    row, folder = _theory(tmp_path, HONEST)
    (folder / "extra.v").write_text(HONEST)
    verdict = layers.rocq(row, folder=folder)
    assert verdict.holds is False
    assert "_CoqProject and the folder differ in ['extra']" in verdict.message


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
        (["T10a"], "Its parts are checked together: python -m proofs T10"),
        (["t4,T10b"], "Separate labels by spaces: python -m proofs T4 T10"),
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


def test_a_monte_carlo_line_says_what_is_accepted():
    line = within("x", 1.0, 1.5, 0.1)
    assert (line.theory, line.found) == ("1", "1.5 ± 0.1 s.e., accepted within 7")


@pytest.mark.parametrize("label", ["T3", "T6", "T9", "T11", "C6"])
def test_quick_reproductions_hold_for_another_seed(label, tmp_path):
    result = reproduction(label)(tmp_path, 7)
    assert [line for line in result.lines if not line.holds] == []
    assert result.picture.is_file()


def test_the_package_is_importable_as_a_module():
    assert importlib.import_module("proofs").__doc__
