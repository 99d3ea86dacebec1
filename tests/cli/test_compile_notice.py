"""The word about compilation: after so many seconds of it, once, on terminals only, and honest about what is kept."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import pytest
from numba import njit
from numba.core import event
from tqdm.auto import tqdm
from typer.testing import CliRunner

from expfam_game import cli, compile_notice


def _fresh(**options):
    """A function that numba has not compiled yet, calling another one."""

    @njit(**options)
    def inner(x):
        return x + 1

    @njit(**options)
    def outer(x):
        return inner(x) * 2

    return outer


@pytest.fixture
def heard(request):
    """What is said while a test runs."""
    lines = []
    delay = getattr(request, "param", 0.0)
    with event.install_listener("numba:compile", compile_notice.CompileNotice(lines.append, delay)):
        yield lines


def test_compilation_is_announced_once(heard):
    assert _fresh()(1) == 4
    assert _fresh()(2) == 6
    assert heard == [compile_notice.LOST]  # compiled without a cache


_CACHED = """
import sys
from numba import njit
from numba.core import event
from expfam_game.compile_notice import CompileNotice

@njit(cache=True)
def function(x):
    return x + 1

event.register("numba:compile", CompileNotice(print, 0.0))
assert function(1) == function(1.0) == 2
"""


def test_what_is_loaded_from_the_cache_is_not_announced(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(_CACHED)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    said = [
        subprocess.run(
            [sys.executable, str(program)], capture_output=True, text=True, check=True, timeout=60, env=environment
        ).stdout
        for _ in range(2)
    ]
    assert said == [compile_notice.KEPT + "\n", ""]


@pytest.mark.parametrize("heard", [600.0], indirect=True)
def test_short_compilations_are_not_announced(heard):
    before = threading.active_count()
    assert _fresh()(1) == 4
    assert heard == []
    assert threading.active_count() <= before, "the clock is stopped"


class _Dispatcher:
    def __init__(self, cache_path):
        self.stats = type("Stats", (), {"cache_path": cache_path})


def _tell(notice, status, cache_path="folder"):
    """As numba tells that one function begins or ends to be compiled."""
    notice.notify(event.Event("numba:compile", status, {"dispatcher": _Dispatcher(cache_path)}))


def test_the_line_does_not_wait_for_the_end_of_a_compilation():
    lines, spoken = [], threading.Event()
    notice = compile_notice.CompileNotice(lambda text: (lines.append(text), spoken.set()), 0.01)
    _tell(notice, event.EventStatus.START)
    assert spoken.wait(60)
    _tell(notice, event.EventStatus.END)
    _tell(notice, event.EventStatus.START)
    _tell(notice, event.EventStatus.END)
    assert lines == [compile_notice.KEPT]


def test_many_short_compilations_add_up(monkeypatch):
    clock, lines = [0.0], []
    monkeypatch.setattr(compile_notice.time, "perf_counter", lambda: clock[0])
    notice = compile_notice.CompileNotice(lines.append, 600.0)
    for _ in range(3):
        _tell(notice, event.EventStatus.START)
        _tell(notice, event.EventStatus.START)  # what another one needs is not counted twice
        clock[0] += 250.0
        _tell(notice, event.EventStatus.END)
        _tell(notice, event.EventStatus.END)
        clock[0] += 10_000.0  # what passes in between does not count
        assert lines == []
    _tell(notice, event.EventStatus.START, cache_path=None)
    assert lines == [compile_notice.LOST]


def test_bars_that_are_not_shown_yet_stay_hidden(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = tqdm(total=5, delay=600.0, leave=False, file=stream)
    compile_notice._write("compiling")
    bar.close()
    assert stream.getvalue() == "\r\x1b[Kcompiling\n"


def test_no_terminal_no_error(monkeypatch):
    listeners = []
    monkeypatch.setattr(event, "register", lambda kind, listener: listeners.append(kind))
    monkeypatch.setattr(sys, "stderr", None)
    compile_notice.announce_compilation.__wrapped__()
    assert listeners == []
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    compile_notice._write("nobody is there to read this")  # no compilation fails for it


_PROGRAM = """
import sys, time
from numba.core import event
from expfam_game import compile_notice
compile_notice.CompileNotice.__init__.__defaults__ = (0.0,)
compile_notice.announce_compilation()
compile_notice.announce_compilation()
from numba import njit
assert njit(lambda x: x + 1)(1) == 2
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no pseudo-terminals")
def test_terminals_are_told():
    ours, theirs = os.openpty()
    subprocess.run([sys.executable, "-c", _PROGRAM], stderr=theirs, stdout=subprocess.PIPE, check=True, timeout=60)
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert said == f"\r\x1b[K{compile_notice.LOST}\r\n"


def test_pipes_and_files_are_not_told():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == done.stdout == ""


def test_commands_that_read_a_game_announce_and_warmup_does_not(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    calls = []
    monkeypatch.setattr(compile_notice, "announce_compilation", lambda: calls.append(1))
    assert CliRunner().invoke(cli.app, ["warmup", "Cauchy"]).exit_code == 1
    assert calls == []
    assert CliRunner().invoke(cli.app, ["solve", "catalog:ring"]).exit_code == 0
    assert calls == [1]
