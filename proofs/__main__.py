"""The index of proofs with the state of every link, or the checks of single labels.

python -m proofs            # the table
python -m proofs T4         # symbolic check, numerical reproduction with a picture, Rocq check
"""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.report import complain, console
from expfam_game.errors import ExpfamGameError
from proofs import layers
from proofs.index import LAYERS, IndexFormatError, Row, read
from proofs.reproduce import LABELS, Reproduction, reproduction

EPILOG = """
\b
Columns of the table
  prose      a page with the statement, a complete proof, sources, and where it fails (proofs/prose)
  symbolic   identities checked exactly with SymPy (proofs/symbolic)
  Rocq       theorems checked by the Rocq (Coq) kernel, with their assumptions printed (proofs/rocq)
  Python     the objects of the package that the label is about
  test       numerical tests with independent oracles (tests)
  see it     commands and figures that show it
  n ok       n links, and all of them lead somewhere; — the layer does not apply (proofs/README.md says why)

\b
The exit code is 1 if a link is missing, a check fails or a number disagrees with theory. A layer that cannot be run
here (Rocq is not installed, for instance) is reported and does not count as a failure.
"""


class Layer(StrEnum):
    """What can be run for a label."""

    SYMBOLIC = "symbolic"
    NUMBERS = "numbers"
    ROCQ = "rocq"


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=EPILOG)
def main(
    labels: Annotated[
        list[str] | None,
        typer.Argument(help="Check these labels (T1 to T12, C1 to C6, or all); without any, print the index."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("results/proofs"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the numerical reproductions.")] = 0,
    only: Annotated[list[Layer] | None, typer.Option(help="Run only this layer; may be repeated.")] = None,
) -> None:
    """Proofs: the index with the state of every link, or the checks of single labels."""
    screen = console()
    try:
        rows = read()
    except (OSError, IndexFormatError) as problem:
        complain(problem)
        raise typer.Exit(1) from None
    if not labels:
        if only:
            raise typer.BadParameter(
                "it needs a label, for example: python -m proofs T4 --only rocq", param_hint="--only"
            )
        raise typer.Exit(0 if show(rows, screen) else 1)
    chosen = [_row(rows, label) for label in _wanted(labels)]
    if only is None or Layer.NUMBERS in only:
        _require_folder(out)
    results = [check(row, out, seed, tuple(only or Layer), screen) for row in chosen]
    if len(results) > 1:
        failed = [row.label for row, good in zip(chosen, results) if not good]
        screen.print(
            f"\n{len(results) - len(failed)} of {len(results)} labels hold"
            + (f"; failed: {', '.join(failed)}" if failed else "")
        )
    if not all(results):
        raise typer.Exit(1)


def _wanted(labels: list[str]) -> list[str]:
    """The labels asked for, in any case, each once."""
    known = {label.lower(): label for label in LABELS}
    found: list[str] = []
    for text in labels:
        if text.lower() == "all":
            found += LABELS
        elif text.lower() in known:
            found.append(known[text.lower()])
        else:
            message = f"there is no label {text!r}; give T1 to T12, C1 to C6, or all{_hint(text, known)}"
            raise typer.BadParameter(message, param_hint="LABELS")
    return list(dict.fromkeys(found))


def _hint(text: str, known: dict[str, str]) -> str:
    """What was probably meant: parts of a label belong to it, several labels are separated by spaces."""
    parts = [known.get(re.sub(r"(?<=\d)[a-z]$", "", part)) for part in re.split(r"[\s,;+]+", text.lower()) if part]
    meant = [part for part in parts if part is not None]
    if not meant or len(meant) < len(parts):
        return ""
    reason = "separate labels by spaces" if len(meant) > 1 else "its parts are checked together"
    return f". {reason.capitalize()}: python -m proofs {' '.join(meant)}"


def _row(rows: list[Row], label: str) -> Row:
    for row in rows:
        if row.label == label:
            return row
    complain(IndexFormatError(f"the index proofs/README.md has no row for {label}"))
    raise typer.Exit(1)


def _require_folder(path: Path) -> None:
    """The folder for the pictures, made before anything is computed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise typer.BadParameter(f"{path} cannot be a folder: {problem.strerror}", param_hint="--out") from None
    if not os.access(path, os.W_OK):
        raise typer.BadParameter(f"nothing can be written into {path}", param_hint="--out")


# ---------------------------------------------------------------------- the table


def show(rows: list[Row], screen: Console) -> bool:
    """Print the index; False if a link does not resolve."""
    table = Table(title="Proofs: label by label, layer by layer", title_justify="left", header_style="bold")
    table.add_column("label", style="bold")
    table.add_column("statement", overflow="fold", max_width=60)
    for layer in LAYERS:
        table.add_column(layer, justify="center")
    missing, reasons, tally = [], [], Counter[str]()
    with _status(screen, "resolving links"):
        for row in rows:
            states = []
            for layer in LAYERS:
                problems, cell = row.problems(layer), row.cells[layer]
                missing += [f"{row.label}, {layer}: {problem}" for problem in problems]
                reasons += [f"{row.label}, {layer}: {cell.reason}"] if cell.reason else []
                tally["missing" if problems else "absent" if cell.reason else "ok"] += 1
                states.append(
                    "[red]missing[/]" if problems else "—" if cell.reason else f"[green]{len(cell.items)} ok[/]"
                )
            table.add_row(row.label, _plain(row.statement), *states)
    screen.print(table)
    for head, texts in (("— does not apply:", reasons), ("missing:", missing)):
        if texts:
            screen.print(head, style="red" if head == "missing:" else None)
            for text in texts:
                screen.print(f"  {_plain(text)}", markup=False, soft_wrap=True)
    summary = f"{tally['ok']} cells resolve, {tally['absent']} do not apply, {tally['missing']} have a missing link."
    screen.print(f"{summary} One label in full: python -m proofs T4")
    return not missing


def _plain(text: str) -> str:
    """A sentence of the index without its Markdown."""
    return text.replace("`", "").replace("**", "")


# ---------------------------------------------------------------------- one label


def check(row: Row, out: Path, seed: int, chosen: tuple[Layer, ...], screen: Console) -> bool:
    """Run the chosen layers of a label and report; False if one of them fails."""
    screen.print(f"\n[bold]{row.label}[/]  ", end="")
    screen.print(_plain(row.statement), markup=False, soft_wrap=True)
    pages = ", ".join(
        str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
        for path in row.cells["prose"].targets()
    )
    screen.print(f"  prose     {pages}", markup=False, soft_wrap=True)
    holds = True
    if Layer.SYMBOLIC in chosen:
        with _status(screen, f"{row.label}: symbolic check"):
            verdict = layers.symbolic(row)
        holds &= _report("symbolic", verdict, screen)
    if Layer.NUMBERS in chosen:
        holds &= _numbers(row.label, out, seed, screen)
    if Layer.ROCQ in chosen:
        with _status(screen, f"{row.label}: Rocq") as spinner:
            announce = (
                (lambda name: spinner.update(f"{row.label}: Rocq compiles {name}")) if spinner else (lambda name: None)
            )
            verdict = layers.rocq(row, announce)
        holds &= _report("Rocq", verdict, screen)
    return holds


def _report(layer: str, verdict: layers.Verdict, screen: Console) -> bool:
    word, colour = {True: ("holds", "green"), False: ("FAILS", "red"), None: ("skipped", "yellow")}[verdict.holds]
    if not verdict.applies:
        word, colour = "—", "dim"
    screen.print(f"  {layer:<9} [{colour}]{word}[/]  ", end="")
    screen.print(verdict.message, markup=False, soft_wrap=True)
    return verdict.holds is not False


def _numbers(label: str, out: Path, seed: int, screen: Console) -> bool:
    """The numerical reproduction: a table of theory beside what was found, and the picture."""
    try:
        with _status(screen, f"{label}: numerical reproduction"):
            result = reproduction(label)(out, seed)
    except ImportError as problem:
        package = getattr(problem, "name", None) or "a package"
        message = f"{package} is not installed; it comes with: pip install -e '.[test]'"
        return _report("numbers", layers.Verdict(None, message), screen)
    except ExpfamGameError as problem:
        return _report("numbers", layers.Verdict(False, str(problem)), screen)
    _report("numbers", layers.Verdict(result.holds, result.game), screen)
    screen.print(_table(result))
    screen.print(f"  picture   {result.picture}", markup=False, soft_wrap=True)
    return result.holds


def _table(result: Reproduction) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 2))
    for name in ("quantity", "theory", "found"):
        table.add_column(name, style=None, overflow="fold")
    table.add_column("")
    for line in result.lines:
        table.add_row(
            escape(line.quantity),
            escape(line.theory),
            escape(line.found),
            "[green]ok[/]" if line.holds else "[red]DISAGREES[/]",
        )
    return table


def _status(screen: Console, what: str) -> Any:
    """A spinner on terminals; nothing elsewhere."""
    return screen.status(what) if screen.is_terminal else nullcontext()


if __name__ == "__main__":
    app(prog_name="python -m proofs")
