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

from benchmarks.report import Quick, Repeats, console, environment, made, progress, save_json

_SOLVE = """
import expfam_game as eg
means = [[0.0, 2.0], [1.0, 4.0], [0.5, 3.0]]
game = eg.Game(eg.families.Gamma(), eg.Weights.ring(3, self_weight=0.5), means=means)
solution = eg.solve(game)
assert abs(game.family.to_mean(solution.natural) - solution.mean).max() < 1e-12
print(solution.mean.ravel().tolist())
"""
_CERTIFY = (
    _SOLVE
    + """
certificate = eg.certify(game, solution)
assert eg.check(game, certificate)
print(certificate.mean_lower.ravel().tolist())
print(certificate.mean_upper.ravel().tolist())
"""
)
_LARGE = """
import json
import numpy as np
import expfam_game as eg
n = 20_000
rng = np.random.default_rng(0)
weights = eg.Weights.erdos_renyi(n, 10 / n, self_weight=0.05, seed=0)
game = eg.Game(eg.families.Poisson(), weights, means=rng.uniform(0.5, 3.0, (n, 1)))
solution = eg.solve(game)
rest = weights.matrix @ solution.mean + weights.self_weights[:, None] * (game.means - solution.mean) - solution.mean
assert abs(rest).max() < 1e-11
certificate = eg.certify(game, solution)
assert ((certificate.mean_lower <= solution.mean) & (solution.mean <= certificate.mean_upper)).all()
row = game.influence_row(3, 1e-6)
assert abs(row.influence @ game.means[row.others, 0] - solution.mean[3, 0]) <= 3.0 * row.error + 1e-11
print(row.error)
"""
"""Many agents: equilibrium, certificate and a row of influence, each held against another."""

_SLOWEST = "large game, nothing compiled"
"""Left out with --quick."""

PROGRAMS = {
    "import numpy": "import numpy",
    "import expfam_game": "import expfam_game",
    "first solve": _SOLVE,
    "first solve, nothing compiled": _SOLVE,
    "first solve, certificate and check": _CERTIFY,
    "large game": _LARGE,
    _SLOWEST: _LARGE,
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

A large game has 20 000 agents: its equilibrium, its certificate, and whose data makes one agent's model.
"…, nothing compiled" starts with an empty cache folder each time; the other rows find the kernels on disk, the large
game those of "expfam-game warmup Poisson --large" (with --quick its own, and never without).
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
    _require_answer(program, done.stdout)
    return passed


def _require_answer(program: str, printed: str) -> None:
    """Programs that print an answer print the right one."""
    arrays = [np.array(json.loads(line)) for line in printed.splitlines()]
    if program in (_SOLVE, _CERTIFY):
        np.testing.assert_allclose(arrays[0], _ANSWER.ravel(), rtol=1e-12)
    if program == _CERTIFY:
        lower, upper = arrays[1:]
        slack = 1e-15 * _ANSWER.ravel()  # of the answer, which is rounded itself
        assert np.all(lower <= _ANSWER.ravel() + slack)
        assert np.all(_ANSWER.ravel() - slack <= upper)
        assert np.all(upper - lower <= 1e-12)
    if program == _LARGE:
        assert arrays[0] <= 1e-6, "the row of influence is worse than asked for"


def warmed(folder: Path) -> int:
    """Fill a cache folder as ``expfam-game warmup`` does; returns the number of compiled functions in it."""
    command = [sys.executable, "-m", "expfam_game", "warmup", "Poisson", "--large"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "NUMBA_CACHE_DIR": str(folder)})
    return _functions(folder)


def _functions(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.nbc"))


def measure(repeats: int, folder: Path, warm_up: bool) -> list[Result]:
    """All programs in turns; the first round fills the caches, unless warm-up has, and is not counted."""
    programs = {name: program for name, program in PROGRAMS.items() if warm_up or name != _SLOWEST}
    times: dict[str, list[float]] = {name: [] for name in programs}
    idle = []
    prepared = warmed(folder / "warmed") if warm_up else 0
    for k in progress(range(repeats + 1), "rounds"):
        idle.append(seconds("pass", folder / "kept") or 0.0)
        for name, program in programs.items():
            kept = "warmed" if name == "large game" else "kept"
            cache = folder / (f"new-{k}" if "nothing compiled" in name else kept)
            passed = seconds(program, cache)
            if k and passed is not None:
                times[name].append(passed - float(np.median(idle)))
    if warm_up and _functions(folder / "warmed") != prepared:
        raise AssertionError("warm-up has left out functions that a large game needs")
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
    out: Annotated[Path, typer.Option(help="Folder for the JSON file.", callback=made)] = Path("results/import_time"),
    repeats: Repeats = 7,
    quick: Quick = False,
) -> None:
    """Seconds that a new process spends on import, and until its first equilibrium."""
    with tempfile.TemporaryDirectory() as folder:
        results = measure(1 if quick else repeats, Path(folder), warm_up=not quick)
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
