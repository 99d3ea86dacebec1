"""Compile the formal proofs and verify what they rest on.

Without arguments every file is checked; with names of files (``gauss_seidel``) or labels (``T5``), those files and what
they import. Nothing is written into this folder: the files are compiled in a temporary one. The check fails when

* a file is missing from ``_CoqProject`` or from the table in ``README.md``, or does not compile;
* a file contains an unfinished proof, declares an axiom or switches off a check of the kernel;
* a theorem depends on an axiom other than the three classical ones of MathComp-Analysis (the algebraic files must
  depend on none);
* the independent checker ``coqchk`` finds an axiom declared by these files.

It prints the file, the theorem and the axioms of every theorem whose assumptions a file prints.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a file or a label, such as gauss_seidel or T5; default: all"
    )
    parser.add_argument("--list", action="store_true", help="print the files and their labels, compile nothing")
    arguments = parser.parse_args()

    files = project_files()
    labels = table_labels(files)
    if arguments.list:
        for name in files:
            print(f"{name:20} {', '.join(sorted(labels[name], key=natural))}")
        return
    chosen = with_imports(select(arguments.names, files, labels), files)
    for tool in ("coqc", "coqchk"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} was not found: install Coq and MathComp as described in {HERE / 'README.md'}")
    with tempfile.TemporaryDirectory() as folder:
        build = pathlib.Path(folder)
        print(f"{'file':20} {'theorem':34} axioms", flush=True)
        for name in chosen:
            for theorem, used in compiled(name, build):
                print(f"{name:20} {theorem:34} {'classical' if used else 'none'}", flush=True)
        recheck(chosen, build)
    print(f"checked: {len(chosen)} of {len(files)} files")


def project_files():
    """The files in the order of ``_CoqProject``, which is an order in which they can be compiled."""
    lines = (HERE / "_CoqProject").read_text().splitlines()
    listed = [line[:-2] for line in lines if line.endswith(".v")]
    present = sorted(path.stem for path in HERE.glob("*.v"))
    if sorted(listed) != present:
        sys.exit(f"_CoqProject and the folder differ in {sorted(set(listed) ^ set(present))}")
    return listed


def table_labels(files):
    """The labels of each file, from the table in ``README.md``."""
    labels = {}
    for line in (HERE / "README.md").read_text().splitlines():
        if row := re.match(r"\| (\w+)\.v \| ([^|]*)\|", line):
            labels[row[1]] = set(re.findall(r"[TC]\d+", row[2]))
    if set(labels) != set(files):
        sys.exit(f"the table in README.md and the folder differ in {sorted(set(labels) ^ set(files))}")
    return labels


def natural(label):
    """T2 comes before T10."""
    return label[0], int(label[1:])


def select(names, files, labels):
    chosen = set() if names else set(files)
    for name in names:
        found = {file for file in files if name.removesuffix(".v") == file or name.upper() in labels[file]}
        if not found:
            known = sorted(set().union(*labels.values()), key=natural)
            sys.exit(f"{name} is neither a file nor a label; files: {', '.join(files)}; labels: {', '.join(known)}")
        chosen |= found
    return chosen


def with_imports(chosen, files):
    """The chosen files and all that they import, in an order in which they can be compiled."""
    needed = set(chosen)
    for name in reversed(files):
        if name in needed:
            for imports in re.findall(rf"^From {PREFIX} Require Import ([^.]*)\.", source(name), flags=re.MULTILINE):
                needed |= set(imports.split())
    return [name for name in files if name in needed]


def source(name):
    return (HERE / f"{name}.v").read_text()


def compiled(name, build):
    """Compile one file; return its theorems, each with the axioms that it uses."""
    text = source(name)
    if found := FORBIDDEN.search(re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL)):
        sys.exit(f"{name}.v: {found.group()} is not allowed")
    shutil.copy(HERE / f"{name}.v", build)
    output = run(build, "coqc", "-q", "-w", "none", "-Q", ".", PREFIX, f"{name}.v")
    asked = re.findall(r"^Print Assumptions (\w+)\.", text, flags=re.MULTILINE)
    answers = re.findall(rf"^(?:{CLOSED}|{OPEN}\n(?:(?!{CLOSED}|{OPEN}).*\n?)*)", output, flags=re.MULTILINE)
    if not asked or len(asked) != len(answers):
        sys.exit(f"{name}.v: {len(asked)} questions on assumptions, {len(answers)} answers")
    result = []
    for question, answer in zip(asked, answers):
        used = axioms(answer)
        if extra := used - (set() if name in ALGEBRAIC else CLASSICAL):
            sys.exit(f"{name}.v: {question} depends on {', '.join(sorted(extra))}")
        result += [(theorem, used) for theorem in members(question, text)]
    return result


def members(name, text):
    """The theorems that a definition bundles, so that one question asks for all of them; else the name itself."""
    bundle = re.search(rf"^Definition {name} :=\s*\(([^()]*)\)\.", text, flags=re.MULTILINE)
    return [part.strip() for part in bundle[1].split(",")] if bundle else [name]


def axioms(answer):
    """Names of the axioms listed by ``Print Assumptions``, without their path."""
    names = re.findall(r"^([A-Za-z_][\w.']*)(?=\s*:(?!\S))", answer, flags=re.MULTILINE)
    return {name.rsplit(".", 1)[-1] for name in names} - {"Axioms"}


def recheck(names, build):
    modules = [part for name in names for part in ("-norec", f"{PREFIX}.{name}")]
    context = run(build, "coqchk", "-silent", "-o", "-Q", ".", PREFIX, *modules)
    if own := re.findall(rf"^\s+{PREFIX}\.\S+", context, flags=re.MULTILINE):
        sys.exit(f"coqchk: declared axioms: {', '.join(own)}")


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
