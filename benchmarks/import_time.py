"""What a new process costs: import, and the first equilibrium, with kernels on disk and without.

    python -m benchmarks.import_time

Every figure is the wall time of fresh interpreters, run in turns; the time of an interpreter that does nothing is
subtracted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.report import console, environment, progress, save_json

_SOLVE = """
import expfam_game as eg
means = [[0.0, 2.0], [1.0, 4.0], [0.5, 3.0]]
game = eg.Game(eg.families.Gamma(), eg.Weights.ring(3, self_weight=0.5), means=means)
solution = eg.solve(game)
assert (game.family.to_mean(solution.natural) - solution.mean).max() < 1e-12
print(solution.mean.ravel().tolist())
"""
_CERTIFY = _SOLVE + "eg.check(game, eg.certify(game, eg.solve(game)))\n"

PROGRAMS = {
    "import numpy": "import numpy",
    "import expfam_game": "import expfam_game",
    "first solve": _SOLVE,
    "first solve, nothing compiled": _SOLVE,
    "first solve, certificate and check": _CERTIFY,
    "import scipy.stats": "import scipy.stats",
    "import sklearn.mixture": "import sklearn.mixture",
    "import numba": "import numba",
    "import efax": "import efax",
}
_ASKED = {"import expfam_game": 0.5, "first solve": 3.0}
_ANSWER = np.array([[4.0, 2.0, 1.0], [1.0, 4.0, 2.0], [2.0, 1.0, 4.0]]) @ [[0.0, 2.0], [1.0, 4.0], [0.5, 3.0]] / 7.0
"""The equilibrium R m of three agents on a ring."""

COLUMNS = """
\b
Columns
  vs NumPy   median over that of import numpy
  median     seconds, without the start of the interpreter
  spread     largest less smallest repetition, in seconds
  asked      the most it should take

"first solve, nothing compiled" starts with an empty cache folder each time; the other rows find the kernels on disk.
Peers that are not installed are left out.
"""


@dataclass(frozen=True)
class Result:
    """Seconds beyond those of an idle interpreter."""

    name: str
    median: float
    spread: float
    asked: float | None


def seconds(program: str, cache: Path) -> float | None:
    """Wall time of one fresh interpreter; None where the program fails for want of a module."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )
    passed = time.perf_counter() - begun
    if "ModuleNotFoundError" in done.stderr:
        return None
    done.check_returncode()
    if program == _SOLVE:
        np.testing.assert_allclose(json.loads(done.stdout), _ANSWER.ravel(), rtol=1e-12)
    return passed


def measure(repeats: int, folder: Path) -> list[Result]:
    """All programs in turns; the first round fills the caches and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    idle = []
    for k in progress(range(repeats + 1), "rounds"):
        idle.append(seconds("pass", folder / "kept") or 0.0)
        for name, program in PROGRAMS.items():
            cache = folder / (f"new-{k}" if "nothing compiled" in name else "kept")
            passed = seconds(program, cache)
            if k and passed is not None:
                times[name].append(passed - float(np.median(idle)))
    return [
        Result(name, float(np.median(values)), float(np.ptp(values)), _ASKED.get(name))
        for name, values in times.items()
        if values
    ]


def show(results: list[Result], screen: Console) -> None:
    table = Table(title="a new process", title_justify="left")
    for heading in ("program", "vs NumPy", "median", "spread", "asked"):
        table.add_column(heading, justify="left" if heading == "program" else "right")
    base = next(r.median for r in results if r.name == "import numpy")
    for r in results:
        asked = "" if r.asked is None else f"< {r.asked:g} s: {'yes' if r.median < r.asked else 'NO'}"
        table.add_row(r.name, f"{r.median / base:.1f}×", f"{r.median:.2f} s", f"{r.spread:.2f} s", asked)
    screen.print(table)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON file.")] = Path("results/import_time"),
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions, after one that is not counted.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="One repetition: times mean little.")] = False,
) -> None:
    """Seconds that a new process spends on import, and until its first equilibrium."""
    with tempfile.TemporaryDirectory() as folder:
        results = measure(1 if quick else repeats, Path(folder))
    screen = console()
    show(results, screen)
    content = {
        "settings": {"repeats": repeats, "quick": quick},
        **environment(),
        "results": [asdict(r) for r in results],
    }
    screen.print(f"saved {save_json(out / 'import_time.json', content)}", soft_wrap=True)


if __name__ == "__main__":
    app()
