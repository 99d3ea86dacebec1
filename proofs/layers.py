"""Running the layers of one label: its symbolic tests, its numerical reproduction, its Rocq files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proofs.index import ROOT, Row, rocq_text

LIBRARY = "ExpfamGame"
CLASSICAL = {"propositional_extensionality", "functional_extensionality_dep", "constructive_indefinite_description"}
"""The axioms of MathComp-Analysis, the only ones that a proof may use."""

INSTALL_ROCQ = "on Debian or Ubuntu: apt install --no-install-recommends coq libcoq-mathcomp-analysis libcoq-mathcomp-algebra-tactics"
_SECONDS = 1200


@dataclass(frozen=True)
class Verdict:
    """How a layer ended: True, False, or None where it does not apply or cannot be run here, and a sentence."""

    holds: bool | None
    message: str


def symbolic(row: Row) -> Verdict:
    """Run the symbolic tests of a label with pytest, in a process of their own."""
    cell = row.cells["symbolic"]
    if cell.reason:
        return Verdict(None, cell.reason)
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


def rocq(row: Row, announce: Callable[[str], None] = lambda _: None) -> Verdict:
    """Compile the Rocq files of a label, and those they rest on, in a fresh folder, and read the printed assumptions."""
    cell = row.cells["Rocq"]
    if cell.reason:
        return Verdict(None, cell.reason)
    compiler = shutil.which("coqc")
    if compiler is None:
        return Verdict(None, f"Rocq (coqc) is not installed; {INSTALL_ROCQ}")
    files, axioms = closure(cell.targets()), set()
    with tempfile.TemporaryDirectory() as scratch:
        for path in files:
            shutil.copy(path, scratch)
        for path in files:
            announce(path.name)
            command = [compiler, "-q", "-w", "none", "-Q", ".", LIBRARY, path.name]
            try:
                done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                return Verdict(False, f"{path.name}: not compiled within {_SECONDS} seconds")
            output = done.stdout + done.stderr
            if done.returncode and re.search(r"Cannot find a physical path|Unable to locate library", output):
                return Verdict(None, f"MathComp is not installed for {compiler}; {INSTALL_ROCQ}")
            if done.returncode:
                return Verdict(False, f"{path.name} does not compile:\n{output.strip()}")
            axioms |= used_axioms(output)
    if foreign := axioms - CLASSICAL:
        return Verdict(False, f"unexpected axioms: {', '.join(sorted(foreign))}")
    names = ", ".join(item.text for item in cell.items)
    rest = "the classical axioms of MathComp-Analysis" if axioms else "no axioms"
    return Verdict(True, f"{len(files)} files compiled, {rest}: {names}")


def closure(files: list[Path]) -> list[Path]:
    """The files and all files of the library that they require, in an order in which they can be compiled."""
    done: list[Path] = []

    def visit(path: Path) -> None:
        if path in done:
            return
        for names in re.findall(rf"From\s+{LIBRARY}\s+Require\s+(?:Import|Export)?\s*([\w\s]+?)\.", rocq_text(path)):
            for name in names.split():
                visit(path.with_name(f"{name}.v"))
        done.append(path)

    for path in files:
        visit(path)
    return done


def used_axioms(output: str) -> set[str]:
    """The axioms in the answers to ``Print Assumptions``, without their paths."""
    names = re.findall(r"^([A-Za-z_][\w.']*)(?=\s*:(?!\S))", output, flags=re.MULTILINE)
    return {name.rsplit(".", 1)[-1] for name in names} - {"Axioms"}


def _installed(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None
