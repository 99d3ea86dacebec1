"""What all benchmarks share: the machine they ran on, tables, saved results, progress."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import math
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
import typer
from rich.console import Console
from tqdm.auto import tqdm

import expfam_game
from expfam_game.errors import MissingExtra
from expfam_game.files.messages import rounded_up

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "python-flint",
    "networkx",
    "matplotlib",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "pyamg",
    "quantecon",
    "jax",
    "efax",
)
_WIDTH = 180
T = TypeVar("T")


def made(folder: Path) -> Path:
    """The folder of the results, made before anything is measured: better to know that it cannot be written than later."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise typer.BadParameter(f"{folder} cannot be made: {problem.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"{folder} cannot be written; name another folder")
    return folder


Out = Annotated[Path, typer.Option(help="Folder for the JSON file and the figure.", callback=made)]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Repeats = Annotated[int, typer.Option(min=1, help="Repetitions, after one that is not counted.")]
Quick = Annotated[bool, typer.Option("--quick", help="Small and once: answers are checked, times mean nothing.")]
GraphNames = Annotated[list[str] | None, typer.Option("--graph", help="Only this graph; may be repeated.")]
Sizes = Annotated[list[int] | None, typer.Option("--agents", min=100, help="Only this size; may be repeated.")]
"""Options of several benchmarks."""


def require_known(given: Iterable[str] | None, known: Sequence[str]) -> None:
    """Complain about a name on the command line that is none of those known."""
    if unknown := set(given or ()) - set(known):
        raise typer.BadParameter(f"{sorted(unknown)[0]!r} is not one of {', '.join(known)}")


def console() -> Console:
    """A console that keeps wide tables whole when the output is not a terminal."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(width=_WIDTH, highlight=False)


def require_extra(purpose: str) -> None:
    """Raise :class:`MissingExtra` naming the extra ``bench`` unless what all benchmarks draw and load with is installed."""
    for module, package in (("matplotlib", "matplotlib"), ("sklearn", "scikit-learn")):
        try:
            importlib.import_module(module)
        except ImportError:
            raise MissingExtra(package, "bench", purpose) from None


def complain(problem: Exception) -> None:
    """One sentence on stderr."""
    Console(stderr=True, highlight=False).print(f"Error: {problem}", style="red", markup=False, soft_wrap=True)


def environment() -> dict[str, Any]:
    """Versions and machine, to be saved beside every result."""
    versions = {"python": platform.python_version(), "expfam_game": expfam_game.__version__}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    machine = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }
    return {"versions": versions, "machine": machine, "threads": _threads()}


def _memory() -> float | None:
    """Physical memory in GiB, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, OSError, ValueError):
        return None


def _threads() -> dict[str, Any]:
    """Threads that numba uses, and the BLAS and OpenMP libraries that are loaded, with theirs."""
    import numba

    try:
        loaded = importlib.import_module("threadpoolctl").threadpool_info()
    except ImportError:
        loaded = []
    pools = [{key: pool.get(key) for key in ("user_api", "internal_api", "version", "num_threads")} for pool in loaded]
    return {"numba": numba.get_num_threads(), "pools": pools}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def save_json(path: Path, content: Any) -> Path:
    """Write results as JSON; NaN and infinities, which JSON has not, become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def save_figure(figure: Figure, path: Path) -> Path:
    """Draw a figure into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


def _plain(value: Any) -> Any:
    """Only what JSON knows: dicts, lists, strings, finite numbers, booleans and null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def progress(items: Sequence[T], what: str) -> Iterator[T]:
    """Go through ``items`` with a progress bar, on terminals only."""
    bar: Iterable[T] = tqdm(items, desc=what, disable=None, leave=False)
    yield from bar


def number(value: float | None, form: str = ".3g", missing: str = "—") -> str:
    """A number for a table; NaN and None as a dash."""
    return missing if value is None or math.isnan(value) else format(value, form)


def bound(value: float | None, digits: int = 2) -> str:
    """An upper bound for a table, rounded up; NaN and None as a dash."""
    return "—" if value is None or math.isnan(value) else rounded_up(value, digits, "e")


def decimals(rate: float | None, digits: int = 7) -> str:
    """A rate with a fixed number of decimals, so that columns can be compared by eye."""
    return number(rate, f".{digits}f")


def fitted_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log(seconds) against log(size) from size 10⁴ on (over all where there are fewer than two); NaN for one."""
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(seconds, float))
    large = x >= np.log(9_000.0)
    if large.sum() > 1:
        x, y = x[large], y[large]
    return float(np.polyfit(x, y, 1)[0]) if x.size > 1 else float("nan")
