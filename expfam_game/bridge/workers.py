"""Calling agents: in this process, or in worker processes that can be killed when a call does not end.

Python cannot stop a call from within its own process (a thread in a compiled loop never looks up), so a time limit needs
a process that can be killed. Each worker is a loky executor with one process of its own: it pickles models that are
defined in a script or a notebook, and to kill it disturbs no other worker.

In every mode an agent goes through :mod:`pickle` on its way in and on its way out. So a call that fails leaves the agent
as it was, and the numbers, to the last bit, do not depend on where the call ran.
"""

from __future__ import annotations

import copy
import importlib
import os
import pickle
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from expfam_game.errors import InvalidInput, MissingExtra
from expfam_game.samples import SampleSet, as_array


@dataclass(frozen=True)
class Task:
    """A call of ``function(agent, *arguments)``."""

    function: Callable[..., Any]
    agent: Any
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """What a task returned, or why it did not."""

    value: Any = None
    reason: str | None = None
    details: str = ""


class Runner(Protocol):
    """Runs tasks that do not depend on one another."""

    def map(self, tasks: Sequence[Task]) -> list[Outcome]:
        """What became of each task, in the order of ``tasks``; a task that fails is an outcome, not an exception."""

    def close(self) -> None:
        """Give back what the runner holds; it runs no task after that."""


# ---------------------------------------------------------------------- the two calls


def fit(agent: Any, samples: Sequence[SampleSet], weights: Sequence[float]) -> Any:
    """The agent after ``fit``. It gets read-only arrays: they are others' letters too, and somebody's data."""
    agent.fit([_read_only(part) for part in samples], weights)
    return agent


def draw(agent: Any, n: int, seed: int, stratified: bool) -> SampleSet | None:
    """The agent's samples as a sample set of contiguous arrays; None for nothing to say.

    Values that the mask hides are set to zero: they are not for the eyes of others.
    """
    drawn = agent.sample_stratified(n, seed) if stratified else agent.sample(n, seed)
    if not isinstance(drawn, SampleSet):
        drawn = as_array(drawn)
        if drawn.ndim and len(drawn) == 0:
            return None
    samples = SampleSet.of(drawn)
    return contiguous(replace(samples, values=samples.filled()))


def _read_only(samples: SampleSet) -> SampleSet:
    """The same samples in arrays that cannot be written to."""
    twin = copy.copy(samples)
    for name in ("values", "observed", "row_weights"):
        array = getattr(samples, name)
        if array is not None:
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(twin, name, view)  # not through the constructor, which would check everything again
    return twin


def contiguous(samples: SampleSet) -> SampleSet:
    """The same samples in C order: sums and products then take the same path after a trip through a file or a pipe."""
    mask, weights = samples.observed, samples.row_weights
    return SampleSet(
        np.ascontiguousarray(samples.values),
        None if mask is None else np.ascontiguousarray(mask),
        None if weights is None else np.ascontiguousarray(weights),
    )


# ---------------------------------------------------------------------- copies


def dumps(thing: Any) -> bytes:
    """Pickled bytes; of lambdas and local classes too where cloudpickle is installed, which keeps them by value."""
    try:
        return pickle.dumps(thing, protocol=5)
    except Exception:
        by_value = _cloudpickle()
        if by_value is None:
            raise
        return bytes(by_value.dumps(thing, protocol=5))


def _cloudpickle() -> Any:
    """The module, which joblib requires or, before version 1.6, brings along; None if there is neither."""
    for name in ("cloudpickle", "joblib.externals.cloudpickle"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def copied(agent: Any) -> Any:
    """An independent copy of an agent, through pickle where that is possible."""
    try:
        return pickle.loads(dumps(agent))
    except Exception:
        try:
            return copy.deepcopy(agent)
        except Exception as problem:
            raise InvalidInput(
                f"{type(agent).__name__} cannot be copied ({type(problem).__name__}: {problem}); agents must be picklable: "
                "leave locks, open files and generators out of __getstate__"
            ) from problem


# ---------------------------------------------------------------------- in this process


def attempt(task: Task) -> Outcome:
    """Run a task; an exception becomes an outcome with a reason."""
    try:
        return Outcome(task.function(task.agent, *task.arguments))
    except (Exception, SystemExit) as problem:
        return Outcome(None, in_words(problem), traceback.format_exc())


def in_words(problem: BaseException) -> str:
    """The class of an exception and its message, which a MemoryError, for one, may lack."""
    return f"{type(problem).__name__}: {problem}".removesuffix(": ")


class InProcess:
    """One task after the other, on copies of the agents."""

    def map(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Outcomes in the order of the tasks."""
        return [attempt(Task(_on_a_copy, task.agent, (task.function, *task.arguments))) for task in tasks]

    def close(self) -> None:
        """Nothing to close."""


def _on_a_copy(agent: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    result = function(copied(agent), *arguments)
    return result if result is None or isinstance(result, SampleSet) else copied(result)


# ---------------------------------------------------------------------- in worker processes


class Processes:
    """Tasks in ``count`` worker processes, each killed and replaced if a task takes longer than ``timeout`` seconds.

    Workers start with the first task, all at once, and end with the game: no game sees modules that an earlier one has
    loaded or changed. The start of a worker does not count as time of a task, what its first task imports and compiles does.
    """

    def __init__(self, count: int, timeout: float | None) -> None:
        try:
            from joblib.externals import loky
        except ImportError:
            raise MissingExtra("joblib", "bridge", "Playing in processes, or with a time limit,") from None
        self._loky = loky
        self._timeout = timeout
        self._slots: list[Any] = [None] * count

    def map(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Outcomes in the order of the tasks; one that ran out of time or lost its process says so."""
        outcomes: list[Outcome] = [Outcome()] * len(tasks)
        waiting = deque(enumerate(tasks))
        free = list(range(min(len(self._slots), len(tasks))))
        self._start(free)
        running: dict[Any, tuple[int, int, float]] = {}
        while waiting or running:
            while waiting and free:
                place, task = waiting.popleft()
                slot = free.pop()
                self._start([slot])  # the one before it may have been killed
                limit = np.inf if self._timeout is None else time.monotonic() + self._timeout
                running[self._slots[slot].submit(attempt, task)] = place, slot, limit
            for future in self._finished_or_late(running):
                place, slot, _ = running.pop(future)
                outcomes[place] = self._outcome(future, slot)
                free.append(slot)
        return outcomes

    def _finished_or_late(self, running: dict[Any, tuple[int, int, float]]) -> list[Any]:
        left = min(limit for _, _, limit in running.values()) - time.monotonic()
        done, _ = self._loky.wait(
            list(running), timeout=None if np.isinf(left) else max(left, 0.0), return_when="FIRST_COMPLETED"
        )
        return list(done) or [future for future, entry in running.items() if entry[2] <= time.monotonic()]

    def _outcome(self, future: Any, slot: int) -> Outcome:
        if not future.done():
            self._kill(slot)
            return Outcome(None, f"no answer within {self._timeout:g} s; its worker process was killed")
        problem = future.exception()
        if problem is None:
            outcome: Outcome = future.result()
            return outcome
        if isinstance(problem, self._loky.BrokenProcessPool):
            self._kill(slot)
            return Outcome(None, "its worker process died (a crash in compiled code, or out of memory)", str(problem))
        return Outcome(None, in_words(problem))

    def _start(self, slots: Sequence[int]) -> None:
        """Have a worker in each of these slots; those that are new start side by side."""
        fresh = [slot for slot in slots if self._slots[slot] is None]
        for slot in fresh:
            self._slots[slot] = self._loky.ProcessPoolExecutor(
                max_workers=1, initializer=_watch_parent, initargs=(os.getpid(),)
            )
        for started in [self._slots[slot].submit(_ready) for slot in fresh]:
            started.result()

    def _kill(self, slot: int) -> None:
        worker, self._slots[slot] = self._slots[slot], None
        if worker is not None:
            worker.shutdown(wait=True, kill_workers=True)

    def close(self) -> None:
        """End all workers."""
        for slot in range(len(self._slots)):
            self._kill(slot)


def _watch_parent(parent: int) -> None:
    """In a worker: end when the parent has gone; one that is killed cannot end its workers, and they would wait for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _ready() -> bool:
    """The first task of a worker: it has started and imported this module."""
    return True


def runner(parallel: int, timeout: float | None) -> Runner:
    """In this process where one task at a time without a limit will do, else in worker processes."""
    return InProcess() if parallel == 1 and timeout is None else Processes(parallel, timeout)
