"""What every figure returns, and how it is saved: PNG, PDF, JSON and a section of the page with all results."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.report import environment, save_json
from expfam_game._typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150


@dataclass(frozen=True)
class Finding:
    """One number of a figure, over seeds.

    ``wanted`` is the value to reach (``">= 0.91"``), as text that starts with ``>=`` or ``<=``, or empty where there is none.
    """

    what: str
    values: tuple[float, ...]
    wanted: str = ""
    unit: str = ""

    @classmethod
    def of(cls, what: str, values: ArrayLike, wanted: str = "", unit: str = "") -> Finding:
        """From one number per seed."""
        return cls(what, tuple(float(value) for value in np.atleast_1d(np.asarray(values, dtype=float))), wanted, unit)

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def spread(self) -> tuple[float, float]:
        """Smallest and largest over the seeds."""
        return min(self.values), max(self.values)

    @property
    def holds(self) -> bool | None:
        """Whether the median reaches ``wanted``; None where nothing is asked."""
        if not self.wanted:
            return None
        relation, limit = self.wanted[:2], float(self.wanted[2:])
        return self.median >= limit if relation == ">=" else self.median <= limit


@dataclass(frozen=True)
class Report:
    """All that one figure has to say.

    Attributes
    ----------
    findings : sequence of Finding
        The numbers that the text may quote.
    reading : str
        Markdown: the honest reading, also where exchange does not help.
    figures : mapping of str to matplotlib Figure
        By file name without extension.
    settings : mapping
        What was chosen, and on which data it was chosen.
    series : mapping
        Numbers behind the curves, for the JSON file.
    """

    findings: Sequence[Finding]
    reading: str
    figures: Mapping[str, Figure]
    settings: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Any] = field(default_factory=dict)


def save(
    report: Report,
    name: str,
    title: str,
    claim: str,
    out: Path,
    *,
    seconds: float,
    command: str,
    at_once: int = 1,
    small: str = "",
) -> list[Path]:
    """Write ``out/<figure>.png`` and ``.pdf`` of every figure and ``out/<name>.json``.

    ``seconds`` are by the clock on the wall; ``at_once`` says how many figures shared the machine meanwhile; ``small``
    says what a small version leaves out, and is empty for the full one.
    """
    content = {
        **environment(),
        "name": name,
        "command": command,
        "seconds": seconds,
        "figures_at_once": at_once,
        "small": small,
        "figures": list(report.figures),
        "settings": dict(report.settings),
        "series": dict(report.series),
    }
    words = _words(report, title, claim, small)
    return [*_draw(report.figures, out), save_json(out / f"{name}.json", {**content, **words})]


def save_again(report: Report, saved: Mapping[str, Any], title: str, claim: str, out: Path) -> list[Path]:
    """Write the figures that ``report`` has, and ``saved`` with its words: the numbers, the machine and the time stay."""
    return [
        *_draw(report.figures, out),
        save_json(out / f"{saved['name']}.json", {**saved, **_words(report, title, claim, saved.get("small", ""))}),
    ]


def _draw(figures: Mapping[str, Figure], out: Path) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for stem, figure in figures.items():
        for suffix in (".png", ".pdf"):
            # Without the date the same numbers give the same file.
            metadata = {"CreationDate": None} if suffix == ".pdf" else {}
            figure.savefig(out / f"{stem}{suffix}", dpi=_DPI, metadata=metadata)
            written.append(out / f"{stem}{suffix}")
    return written


def _words(report: Report, title: str, claim: str, small: str) -> dict[str, Any]:
    findings = [_plain(finding) for finding in report.findings]
    reading = f"**Small version:** {small}. {report.reading}" if small else report.reading
    return {"title": title, "claim": claim, "findings": findings, "reading": reading}


def _plain(finding: Finding) -> dict[str, Any]:
    low, high = finding.spread
    return {
        "what": finding.what,
        "median": finding.median,
        "low": low,
        "high": high,
        "values": finding.values,
        "unit": finding.unit,
        "wanted": finding.wanted,
        "holds": finding.holds,
    }


# ---------------------------------------------------------------------- the page

_HEAD = """# Results

Written by `python -m paper_figures` from the JSON files beside the pictures; do not edit. Accuracies and distances are those on images of the
official test sets; how many, and all other settings, can be unfolded below each table. Settings were chosen on a validation split of the
training set. A number is the median over the seeds, with the smallest and the largest beside it; where these are missing it comes from one
run or sums up several. *Asked* is what was to be reached before anything was run. Seconds are by the clock, on a machine that other programs
may have used as well.
"""

_SMALL = """> **Small version (`--quick`).** Sections that say so were made small: they show that everything runs, and their numbers mean little.
"""


def write_page(page: Path, folder: Path, names: Sequence[str]) -> Path:
    """One section for each figure whose JSON file is in ``folder``, in the order of ``names``."""
    paths = [folder / f"{name}.json" for name in names]
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
    sections = [_HEAD, *([_SMALL] if any(saved.get("small") for saved in found) else [])]
    sections += [_section(saved, folder, page.parent) for saved in found]
    if missing := [name for name in names if not (folder / f"{name}.json").is_file()]:
        sections.append(f"Not made here yet: {', '.join(f'`python -m paper_figures {name}`' for name in missing)}.\n")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(sections), encoding="utf-8")
    return page


def _section(saved: dict[str, Any], folder: Path, base: Path) -> str:
    small = saved.get("small", "")
    claim = "Claim of the full version" if small else "Claim"
    lines = [f"## {saved['title']}", "", *([f"> **Small version:** {small}.", ""] if small else [])]
    lines += [f"**{claim}.** {saved['claim']}", ""]
    for stem in saved["figures"]:
        lines += [f"![{saved['title']}]({_relative(folder / f'{stem}.png', base)})", ""]
    lines += ["| | median | least … most | asked | reached |", "| --- | --- | --- | --- | --- |"]
    lines += [_row(finding) for finding in saved["findings"]]
    lines += ["", saved["reading"].strip(), ""]
    if saved.get("settings"):
        lines += ["<details><summary>Settings</summary>", "", *_listed(saved["settings"]), "", "</details>", ""]
    at_once = saved.get("figures_at_once", 1)
    beside = f", {at_once} figures at a time" if at_once > 1 else ""
    lines += [f"`{saved['command']}` ({saved['seconds']:.0f} s, {saved['machine']['cores']} cores{beside})", ""]
    return "\n".join(lines)


def _listed(settings: Mapping[str, Any], depth: int = 0) -> list[str]:
    """A list of Markdown, mappings in lists of their own; what is longer than a line of the page is no trouble there."""
    lines = []
    for key, value in settings.items():
        nested = isinstance(value, Mapping)
        lines.append("  " * depth + f"- {key}" + ("" if nested else f": {_said(value)}"))
        lines += _listed(value, depth + 1) if nested else []
    return lines


def _said(value: Any) -> str:
    """A setting as text: lists with commas, nothing as a dash."""
    if value is None or value == []:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(f"({_said(item)})" if isinstance(item, list) else _said(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _row(finding: dict[str, Any]) -> str:
    low, high = (_number(finding[key]) for key in ("low", "high"))
    spread = "" if len(finding["values"]) < 2 else f"{low} … {high}"
    reached = {None: "", True: "yes", False: "**no**"}[finding["holds"]]
    wanted = finding["wanted"].replace(">=", "≥").replace("<=", "≤")
    what = finding["what"].replace("|", "\\|")
    median = f"{_number(finding['median'])} {finding['unit']}".strip()
    return f"| {what} | {median} | {spread} | {wanted} | {reached} |"


def _number(value: float | None) -> str:
    """Four significant digits, with an exponent for the very small only."""
    if value is None:
        return "—"
    if 0.0 < abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:.4g}"
