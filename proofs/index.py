"""The index ``README.md`` as data, and whether each of its links leads somewhere.

A cell holds links and code spans, or a sentence that begins with a dash and says why the layer does not apply:

* prose: a link to the page of the label, whose heading names it;
* symbolic: links to test files, each with a test of the label;
* Rocq: links named after a theorem to the file that proves it; its assumptions must be printed there;
* Python: code spans with importable names;
* test: links named after a test function to the file that defines it;
* see it: code spans with commands, and links to figures.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from proofs.reproduce import LABELS
from proofs.rocq import check

ROOT = Path(__file__).resolve().parent
LAYERS = ("prose", "symbolic", "Rocq", "Python", "test", "see it")
"""The columns after label and statement."""

_ITEM = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)]+)\)|`(?P<code>[^`]+)`")


class IndexFormatError(Exception):
    """The table in README.md is not what this module can read; the message says where."""


@dataclass(frozen=True)
class Item:
    """A link (with its target) or a code span (without one)."""

    text: str
    target: Path | None = None


@dataclass(frozen=True)
class Cell:
    """What a layer has for a label: items, or the reason why it does not apply."""

    items: tuple[Item, ...] = ()
    reason: str = ""

    def targets(self) -> list[Path]:
        """The files behind the links, each once, in order."""
        return list(dict.fromkeys(item.target for item in self.items if item.target is not None))


@dataclass(frozen=True)
class Row:
    """One label of the index."""

    label: str
    statement: str
    cells: dict[str, Cell] = field(default_factory=dict)

    def problems(self, layer: str) -> list[str]:
        """What does not resolve in one layer; empty if all is well."""
        cell = self.cells[layer]
        if cell.reason:
            return []
        if not cell.items:
            return ["empty, and no reason is given"]
        found = (_RESOLVERS[layer](self.label, item) for item in cell.items)
        return [problem for problem in found if problem]


def read(path: Path = ROOT / "README.md") -> list[Row]:
    """The rows of the first table whose header begins with "label"."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next((k for k, line in enumerate(lines) if line.lower().startswith("| label")), None)
    if start is None:
        raise IndexFormatError(f"{path} has no table that begins with '| label'")
    header = [cell.lower() for cell in _split(lines[start])]
    expected = ["label", "statement", *(layer.lower() for layer in LAYERS)]
    if header != expected:
        raise IndexFormatError(f"{path}, line {start + 1}: the columns are {header}, not {expected}")
    rows = []
    for number, line in enumerate(lines[start + 2 :], start + 3):
        if not line.startswith("|"):
            break
        texts = _split(line)
        if len(texts) != len(expected):
            raise IndexFormatError(f"{path}, line {number}: {len(texts)} cells instead of {len(expected)}")
        cells = {layer: _cell(text, path.parent) for layer, text in zip(LAYERS, texts[2:])}
        rows.append(Row(re.sub(r"\W", "", texts[0]), texts[1], cells))
    return rows


def _split(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _cell(text: str, folder: Path) -> Cell:
    if text.startswith("—"):
        return Cell(reason=text.lstrip("— "))
    items = []
    for match in _ITEM.finditer(text):
        if match["code"] is not None:
            items.append(Item(match["code"]))
        else:
            items.append(Item(match["text"].strip("`"), (folder / match["target"]).resolve()))
    return Cell(tuple(items))


# ---------------------------------------------------------------------- does it resolve?


def _file(item: Item) -> str:
    if item.target is None:
        return f"{item.text}: a link to a file is expected"
    return "" if item.target.is_file() else f"{item.text}: there is no file {item.target}"


def _prose(label: str, item: Item) -> str:
    if problem := _file(item):
        return problem
    assert item.target is not None
    heading = item.target.read_text(encoding="utf-8").lstrip().splitlines()[0]
    return "" if re.match(rf"#+ .*\b{label}\b", heading) else f"{item.target.name}: its heading does not name {label}"


def _symbolic(label: str, item: Item) -> str:
    if problem := _file(item):
        return problem
    assert item.target is not None
    own = [name for name in functions(item.target) if re.match(rf"test_{label}[a-d]?_", name)]
    return "" if own else f"{item.target.name}: it has no test named test_{label}_…"


def _theorem(label: str, item: Item) -> str:
    if problem := _file(item):
        return problem
    assert item.target is not None
    text = check.without_comments(item.target.read_text(encoding="utf-8"))
    if not re.search(rf"^\s*(Theorem|Lemma|Corollary)\s+{re.escape(item.text)}\b", text, re.MULTILINE):
        return f"{item.target.name}: it has no theorem {item.text}"
    if item.text not in printed(text):
        return f"{item.target.name}: it does not print the assumptions of {item.text}"
    return ""


def _object(label: str, item: Item) -> str:
    if item.target is not None:
        return _file(item)
    parts = item.text.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for k, name in enumerate(parts[cut:], cut):
            if not hasattr(found, name):
                return f"{item.text}: {'.'.join(parts[:k])} has no {name}"
            found = getattr(found, name)
        return ""
    return f"{item.text}: it cannot be imported"


def _test(label: str, item: Item) -> str:
    if problem := _file(item):
        return problem
    assert item.target is not None
    return "" if item.text in functions(item.target) else f"{item.target.name}: it has no test {item.text}"


def _view(label: str, item: Item) -> str:
    if item.target is not None:
        return _file(item)
    words = shlex.split(item.text)
    if words[:2] != ["python", "-m"] or len(words) < 3:
        return f"{item.text}: a command 'python -m …' is expected"
    if words[2] == "proofs":
        known = words[3:] and all(word in LABELS for word in words[3:])
        return "" if known else f"{item.text}: there is no such reproduction"
    try:
        known = importlib.util.find_spec(words[2]) is not None
    except ImportError:
        known = False
    return "" if known else f"{item.text}: there is no module {words[2]}"


_RESOLVERS = {
    "prose": _prose,
    "symbolic": _symbolic,
    "Rocq": _theorem,
    "Python": _object,
    "test": _test,
    "see it": _view,
}


@cache
def functions(path: Path) -> frozenset[str]:
    """The names of the test functions that pytest collects from a file: at the top, or in classes named Test…."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes = [tree.body, *(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name.startswith("Test"))]
    return frozenset(
        node.name
        for body in scopes
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def printed(text: str) -> frozenset[str]:
    """The theorems whose assumptions a Rocq file prints, directly or as parts of a definition that bundles them."""
    text = check.without_comments(text)
    return frozenset(member for name in check.questions(text) for member in check.members(name, text))
