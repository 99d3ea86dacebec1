"""Running the layers of one label: its symbolic tests and its Rocq files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proofs.index import ROOT, Row
from proofs.rocq import check


@dataclass(frozen=True)
class Verdict:
    """How a layer ended: True, False, or None where it was not run, and a sentence.

    A layer is not run where the label has none (``applies`` is False) or where something is not installed.
    """

    holds: bool | None
    message: str
    applies: bool = True


def symbolic(row: Row) -> Verdict:
    """Run the symbolic tests of a label with pytest, in a process of their own."""
    cell = row.cells["symbolic"]
    if cell.reason:
        return Verdict(None, cell.reason, applies=False)
    for module in ("sympy", "pytest"):
        if not _installed(module):
            return Verdict(None, f"{module} is not installed; it comes with: pip install -e '.[test]'")
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib"]
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run([*command, *map(str, cell.targets())], cwd=ROOT.parent, capture_output=True, text=True)
    summary = next(
        (line for line in reversed(done.stdout.splitlines()) if re.search(r"\d+ (passed|failed|error)", line)), ""
    )
    if done.returncode == 0:
        return Verdict(True, summary.strip("= "))
    return Verdict(False, (done.stdout + done.stderr).strip())


def rocq(row: Row, announce: Callable[[str], None] = lambda _: None, folder: Path = check.HERE) -> Verdict:
    """Check the Rocq files of a label, and those they rest on, exactly as ``rocq/check.py`` does.

    Every theorem that the index names must be among those whose assumptions were verified.
    """
    cell = row.cells["Rocq"]
    if cell.reason:
        return Verdict(None, cell.reason, applies=False)
    try:
        results = check.verify([row.label], folder, started=lambda name: announce(f"{name}.v"))
    except check.NotInstalled as problem:
        return Verdict(None, str(problem))
    except check.Refused as problem:
        return Verdict(False, str(problem))
    verified = {(result.file, result.theorem): result.axioms for result in results}
    named = [(item.target.stem, item.text) for item in cell.items if item.target is not None]
    if missing := [f"{theorem} ({file}.v)" for file, theorem in named if (file, theorem) not in verified]:
        return Verdict(False, f"not among the theorems whose assumptions were verified: {', '.join(missing)}")
    rest = "the classical axioms of MathComp-Analysis" if any(verified.values()) else "no axioms"
    files = len({result.file for result in results})
    return Verdict(True, f"{files} files checked by coqc and coqchk, {rest}: {', '.join(name for _, name in named)}")


def _installed(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None
