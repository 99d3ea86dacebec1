"""Compile the formal proofs and verify what they rest on.

Without arguments every file is checked; with names of files (``gauss_seidel``) or labels (``T5``), those files and what
they import. Nothing is written into this folder: the files are compiled in a temporary one. The check fails when

* a file is missing from ``_CoqProject`` or from the table in ``README.md``, or does not compile;
* a file contains an unfinished proof, declares an axiom or switches off a check of the kernel;
* a theorem depends on an axiom other than the three classical ones of MathComp-Analysis (the algebraic files must
  depend on none);
* the independent checker ``coqchk`` finds an axiom declared by these files, or a construction that was not checked.

It prints the file, the theorem and the axioms of every theorem whose assumptions a file prints.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PREFIX = "ExpfamGame"
ALGEBRAIC = {
    "averaging",
    "mixture",
    "reachability",
    "sharpness",
    "diagonal_stability",
    "weighted_norm",
    "gauss_seidel",
    "checker",
    "asynchronous",
    "sampled_play",
}
CLASSICAL = {
    "propositional_extensionality",
    "functional_extensionality_dep",
    "constructive_indefinite_description",
}
FORBIDDEN = re.compile(
    r"\b(Admitted|admit|give_up|Abort|Axioms?|Parameters?|Conjectures?"
    r"|bypass_check|Unset\s+(Guard|Positivity|Universe)\s+Check\w*)\b"
)
CLOSED = "Closed under the global context"
OPEN = "Axioms:"
INSTALL = (
    "on Debian or Ubuntu: apt-get install --no-install-recommends "
    "coq libcoq-mathcomp-analysis libcoq-mathcomp-algebra-tactics"
)
SECONDS = 1200
"""The longest that one file may take; the slowest needs half a minute of processor time."""


class Refused(Exception):
    """The check fails; the message says where and why."""


class NotInstalled(Exception):
    """The check cannot be run here; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Checked:
    """A theorem whose assumptions were printed, and the axioms that it uses."""

    file: str
    theorem: str
    axioms: frozenset[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a file or a label, such as gauss_seidel or T5; default: all"
    )
    parser.add_argument("--list", action="store_true", help="print the files and their labels, compile nothing")
    arguments = parser.parse_args()
    try:
        files = project_files()
        if arguments.list:
            labels = table_labels(files)
            for name in files:
                print(f"{name:20} {', '.join(sorted(labels[name], key=natural))}")
            return
        print(f"{'file':20} {'theorem':34} axioms", flush=True)
        results = verify(arguments.names, finished=print_theorems)
    except (Refused, NotInstalled) as problem:
        sys.exit(str(problem))
    print(f"checked: {len({result.file for result in results})} of {len(files)} files")


def print_theorems(results: Sequence[Checked]) -> None:
    for result in results:
        print(f"{result.file:20} {result.theorem:34} {'classical' if result.axioms else 'none'}", flush=True)


def verify(
    names: Sequence[str] = (),
    folder: Path = HERE,
    started: Callable[[str], None] = lambda file: None,
    finished: Callable[[Sequence[Checked]], None] = lambda results: None,
) -> list[Checked]:
    """Check the files or labels, and what they import, in every way; return the theorems.

    ``started`` is called with each file before it is compiled, ``finished`` with its theorems afterwards. Raises
    ``Refused`` if the check fails and ``NotInstalled`` if a tool or a library is missing; the words of all files are
    read before any tool is needed.
    """
    files = project_files(folder)
    chosen = with_imports(select(names, files, table_labels(files, folder)), files, folder)
    for name in chosen:
        refuse_words(name, folder)
    for tool in ("coqc", "coqchk"):
        if shutil.which(tool) is None:
            raise NotInstalled(f"Rocq ({tool}) is not installed; {INSTALL}")
    results: list[Checked] = []
    with tempfile.TemporaryDirectory() as scratch:
        build = Path(scratch)
        for name in chosen:
            started(name)
            theorems = compiled(name, build, folder)
            finished(theorems)
            results += theorems
        recheck(chosen, build)
    return results


def project_files(folder: Path = HERE) -> list[str]:
    """The files in the order of ``_CoqProject``, which is an order in which they can be compiled."""
    lines = (folder / "_CoqProject").read_text(encoding="utf-8").splitlines()
    listed = [line[:-2] for line in lines if line.endswith(".v")]
    present = sorted(path.stem for path in folder.glob("*.v"))
    if sorted(listed) != present:
        raise Refused(f"_CoqProject and the folder differ in {sorted(set(listed) ^ set(present))}")
    return listed


def table_labels(files: Sequence[str], folder: Path = HERE) -> dict[str, set[str]]:
    """The labels of each file, from the table in ``README.md``."""
    labels = {}
    for line in (folder / "README.md").read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| (\w+)\.v \| ([^|]*)\|", line):
            labels[row[1]] = set(re.findall(r"[TC]\d+", row[2]))
    if set(labels) != set(files):
        raise Refused(f"the table in README.md and the folder differ in {sorted(set(labels) ^ set(files))}")
    return labels


def natural(label: str) -> tuple[str, int]:
    """T2 comes before T10."""
    return label[0], int(label[1:])


def select(names: Sequence[str], files: Sequence[str], labels: dict[str, set[str]]) -> set[str]:
    """The files with these names or labels; all files without any."""
    chosen = set() if names else set(files)
    for name in names:
        found = {file for file in files if name.removesuffix(".v") == file or name.upper() in labels[file]}
        if not found:
            known = sorted(set().union(*labels.values()), key=natural)
            raise Refused(
                f"{name} is neither a file nor a label; files: {', '.join(files)}; labels: {', '.join(known)}"
            )
        chosen |= found
    return chosen


def with_imports(chosen: set[str], files: Sequence[str], folder: Path = HERE) -> list[str]:
    """The chosen files and all that they import, in an order in which they can be compiled."""
    needed = set(chosen)
    for name in reversed(files):
        if name in needed:
            text = source(name, folder)
            for imports in re.findall(rf"^From {PREFIX} Require Import ([^.]*)\.", text, flags=re.MULTILINE):
                needed |= set(imports.split())
    return [name for name in files if name in needed]


def source(name: str, folder: Path = HERE) -> str:
    """A file without its comments."""
    return without_comments((folder / f"{name}.v").read_text(encoding="utf-8"))


def without_comments(text: str) -> str:
    """A text without its comments, which may be nested."""
    depth, kept = 0, []
    for piece in re.split(r"(\(\*|\*\))", text):
        if piece == "*)" and depth:
            depth -= 1
            kept.append(" ")
        elif piece == "(*":
            depth += 1
        elif not depth:
            kept.append(piece)
    return "".join(kept)


def refuse_words(name: str, folder: Path = HERE) -> None:
    """Refuse a file with an unfinished proof, an axiom or a check of the kernel that is switched off."""
    if found := FORBIDDEN.search(source(name, folder)):
        raise Refused(f"{name}.v: {found.group()} is not allowed")


def compiled(name: str, build: Path, folder: Path = HERE) -> list[Checked]:
    """Compile one file; return its theorems, each with the axioms that it uses."""
    shutil.copy(folder / f"{name}.v", build)
    output = run(build, "coqc", "-q", "-w", "none", "-Q", ".", PREFIX, f"{name}.v")
    text = source(name, folder)
    asked = questions(text)
    answers = re.findall(rf"^(?:{CLOSED}|{OPEN}\n(?:(?!{CLOSED}|{OPEN}).*\n?)*)", output, flags=re.MULTILINE)
    if not asked or len(asked) != len(answers):
        raise Refused(f"{name}.v: {len(asked)} questions on assumptions, {len(answers)} answers")
    results = []
    for question, answer in zip(asked, answers):
        used = axioms(answer)
        if extra := used - (set() if name in ALGEBRAIC else CLASSICAL):
            raise Refused(f"{name}.v: {question} depends on {', '.join(sorted(extra))}")
        results += [Checked(name, theorem, used) for theorem in members(question, text)]
    return results


def questions(text: str) -> list[str]:
    """The names whose assumptions a text without comments prints."""
    return re.findall(r"^Print Assumptions ([\w']+)\.", text, flags=re.MULTILINE)


def members(name: str, text: str) -> list[str]:
    """The theorems that a definition bundles, so that one question asks for all of them; else the name itself."""
    bundle = re.search(rf"^Definition {re.escape(name)} :=\s*\(([^()]*)\)\.", text, flags=re.MULTILINE)
    return [part.strip() for part in bundle[1].split(",")] if bundle else [name]


def axioms(answer: str) -> frozenset[str]:
    """Names of all that an answer of ``Print Assumptions`` lists, without their path.

    An axiom stands as ``name : type``, a definition whose check was switched off as ``name is assumed to be guarded.``
    Every line that is not indented counts, so that nothing is overlooked.
    """
    if answer.startswith(CLOSED):
        return frozenset()
    names = re.findall(r"^([^\s:]+)", answer.removeprefix(OPEN), flags=re.MULTILINE)
    return frozenset(name.rstrip(".").rsplit(".", 1)[-1] for name in names)


def recheck(names: Sequence[str], build: Path) -> None:
    """Let the independent checker read the compiled files; it lists what they assume."""
    modules = [part for name in names for part in ("-norec", f"{PREFIX}.{name}")]
    context = run(build, "coqchk", "-silent", "-o", "-Q", ".", PREFIX, *modules)
    if own := re.findall(rf"^\s+{PREFIX}\.\S+", context, flags=re.MULTILINE):
        raise Refused(f"coqchk: declared axioms, or not checked: {', '.join(dict.fromkeys(map(str.strip, own)))}")


def run(folder: Path, *command: str) -> str:
    """The output of a command that must succeed."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Refused(f"{' '.join(command)}\nnot finished within {SECONDS} seconds") from None
    output = done.stdout + done.stderr
    if done.returncode and re.search(r"Cannot find a physical path|Unable to locate library", output):
        raise NotInstalled(f"MathComp is not installed for Coq; {INSTALL}\n{output.strip()}")
    if done.returncode:
        raise Refused(f"{' '.join(command)}\n{output.strip()}")
    return output


if __name__ == "__main__":
    main()
