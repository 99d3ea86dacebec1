"""One figure after the other, or several side by side in processes of their own."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expfam_game.errors import ExpfamGameError, InvalidInput
from paper_figures.report import Finding, save, save_again

LONGEST = (
    "five_agents",
    "fashion_four_agents",
    "five_modalities",
    "mnist_local_models",
    "mnist_two_agents",
    "theory_noise_floor",
    "theory_three_equilibria",
)
"""Begun first when several are made, so that none of them is left to run alone at the end."""


SMALL = "shows that everything runs; the numbers mean little"
"""What ``--quick`` makes of a figure, unless its module has a ``SMALL`` of its own (empty: it is the full version)."""


@dataclass(frozen=True)
class Order:
    """What is to be made: which figure, where, how; ``at_once`` figures share the machine."""

    name: str
    out: Path
    seed: int = 0
    quick: bool = False
    at_once: int = 1


@dataclass(frozen=True)
class Made:
    """What came of it: lines for the screen; or the problem in a sentence, with its trace if it is no error of ours."""

    name: str
    lines: tuple[str, ...] = ()
    problem: str = ""
    trace: str = ""


def module_of(name: str) -> Any:
    return importlib.import_module(f"paper_figures.{name}")


# ---------------------------------------------------------------------- one figure


def make(order: Order) -> Made:
    """Compute, draw and save."""
    return _guarded(order.name, lambda: _compute(order))


def draw_again(name: str, out: Path) -> Made:
    """Draw and word again what an earlier run saved in ``out/<name>.json``; nothing is computed."""
    return _guarded(name, lambda: _redraw(name, out))


def _guarded(name: str, work: Callable[[], list[str]]) -> Made:
    try:
        return Made(name, tuple(work()))
    except ExpfamGameError as problem:
        return Made(name, problem=str(problem))
    except Exception as problem:  # one figure that fails must not take the others with it
        return Made(name, problem=f"{type(problem).__name__}: {problem}", trace=traceback.format_exc())


def _compute(order: Order) -> list[str]:
    module = module_of(order.name)
    begun = time.perf_counter()
    report = module.main(order.out, order.seed, order.quick)
    seconds = time.perf_counter() - begun
    command = f"python -m paper_figures {order.name}"
    command += (f" --seed {order.seed}" if order.seed else "") + (" --quick" if order.quick else "")
    written = save(
        report, order.name, module.TITLE, module.CLAIM, order.out,
        seconds=seconds, command=command, at_once=order.at_once,
        small=getattr(module, "SMALL", SMALL) if order.quick else "",
    )  # fmt: skip
    return [f"{order.name}: {module.TITLE}", *map(_line, report.findings), _files(written, f" in {seconds:.0f} s")]


def _redraw(name: str, out: Path) -> list[str]:
    module, path = module_of(name), out / f"{name}.json"
    if not hasattr(module, "again"):
        raise InvalidInput(f"{name} cannot be drawn again without being computed; leave out --redraw")
    if not path.is_file():
        raise InvalidInput(f"there is no {path}; make the figure first")
    saved = json.loads(path.read_text(encoding="utf-8"))
    return [f"{name}: {module.TITLE}", _files(save_again(module.again(saved), saved, module.TITLE, module.CLAIM, out))]


def _line(finding: Finding) -> str:
    low, high = finding.spread
    reached = {None: "", True: "   reached", False: "   NOT reached"}[finding.holds]
    wanted = f"   asked {finding.wanted}" if finding.wanted else ""
    return f"  {finding.what}: {finding.median:.4g} ({low:.4g} … {high:.4g}) {finding.unit}{wanted}{reached}"


def _files(written: Sequence[Path], when: str = "") -> str:
    return f"  saved{when}: {', '.join(map(str, written))}"


# ---------------------------------------------------------------------- several


def make_all(orders: Sequence[Order], jobs: int) -> Iterator[Made]:
    """Make the figures, ``jobs`` at a time, the longest first; what came of them in the order of ``orders``.

    Each has a process of its own, so that one that is killed takes nothing else with it. Cores are shared: a figure gets
    ``processes_of_each(jobs)`` workers of one thread each.
    """
    if jobs == 1:
        yield from map(make, orders)
        return
    rank = {name: place for place, name in enumerate(LONGEST)}
    with _shared_cores(jobs):
        pool = ThreadPoolExecutor(jobs)
        try:
            begun = {
                order.name: pool.submit(_apart, order)
                for order in sorted(orders, key=lambda order: rank.get(order.name, len(rank)))
            }
            for order in orders:
                yield begun[order.name].result()
        finally:
            pool.shutdown(cancel_futures=True)  # who interrupts does not want the rest


def _apart(order: Order) -> Made:
    """:func:`make` in a new process."""
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            return process.submit(_make_and_end, order).result()
    except Exception as problem:  # the process died, or could not begin
        return Made(order.name, problem=f"its process ended: {problem}")


def _make_and_end(order: Order) -> Made:
    """:func:`make`, and end the workers of the figure, for which its process would wait minutes."""
    from joblib.externals.loky import get_reusable_executor

    try:
        return make(order)
    finally:
        get_reusable_executor().shutdown()


def cores() -> int:
    """Cores that this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


def processes_of_each(jobs: int) -> int:
    """Workers of each of ``jobs`` figures: its share of the cores, but two if there are two, or a figure of long games
    that remains when the others have ended would use one core alone."""
    return min(cores(), max(2, cores() // jobs))


@contextmanager
def _shared_cores(jobs: int) -> Iterator[None]:
    """Environment of the figures' processes; what the user has set stays."""
    threads = str(max(1, cores() // jobs))
    wanted = {"LOKY_MAX_CPU_COUNT": str(processes_of_each(jobs))}
    wanted |= dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), threads
    )
    added = {key: value for key, value in wanted.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            del os.environ[key]
