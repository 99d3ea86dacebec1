"""A word to those who wait at a terminal while kernels are compiled: that it happens once, and how to have it done before.

numba tells when it compiles anew; what it loads from its cache on disk is quick and not mentioned.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from numba.core import event as numba_event
from tqdm.auto import tqdm

KEPT = "compiling … (once; `expfam-game warmup` does it ahead of time, `expfam-game warmup --large` for large games)"
LOST = "compiling … (in every process: numba finds no folder that it may write to; let NUMBA_CACHE_DIR name one)"

_events: Any = numba_event  # numba is not typed


class CompileNotice(_events.Listener):  # type: ignore[misc]
    """Calls ``say`` once, as soon as the compilations it has been told of have taken ``delay`` seconds together.

    Parameters
    ----------
    say : callable
        Called with one line of text while the compiler is at work, perhaps from another thread.
    delay : float
        Seconds.
    """

    def __init__(self, say: Callable[[str], object], delay: float = 2.0) -> None:
        self._say, self._delay = say, delay
        self._depth, self._spent, self._begun, self._said = 0, 0.0, 0.0, False
        self._timer: threading.Timer | None = None

    def on_start(self, event: Any) -> None:
        """A function is compiled, perhaps one that another needs that is being compiled."""
        self._depth += 1
        if self._depth > 1 or self._said:
            return
        text = LOST if event.data["dispatcher"].stats.cache_path is None else KEPT
        left = self._delay - self._spent
        if left <= 0:
            self._speak(text)
            return
        # The line must not wait for the end of a long compilation: a thread watches the clock.
        self._begun = time.perf_counter()
        timer = threading.Timer(left, self._speak, [text])
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # no thread to be had: no line
            timer.start()
            self._timer = timer

    def on_end(self, event: Any) -> None:
        """The function is compiled, or could not be."""
        self._depth -= 1
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer.join()  # so that a line on its way is known to be out
            self._timer = None
            self._spent += time.perf_counter() - self._begun

    def _speak(self, text: str) -> None:
        self._said = True
        self._say(text)


@functools.cache  # once for each process
def announce_compilation() -> None:
    """From now on, say on stderr when this process compiles for more than two seconds; nothing unless it is a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        _events.register("numba:compile", CompileNotice(_write))


def _write(text: str) -> None:
    """A line in the place of any progress bar, which draws itself anew below; ``tqdm.write`` would draw those not shown yet."""
    with tqdm.get_lock(), contextlib.suppress(OSError, ValueError):  # a courtesy: no compilation fails for it
        sys.stderr.write(f"\r\x1b[K{text}\n")
        sys.stderr.flush()
