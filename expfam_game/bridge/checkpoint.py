"""Checkpoints: after every round the state of the game goes to a folder, so that a killed game loses the round it was in.

The folder holds

* ``game.json``: the settings that a resumed game must share, in readable form;
* ``state-00007.pickle``: everything after round 7, except
* ``letters-00006.pickle``: the samples written in round 6, as long as somebody may still read them;
* ``lock``: held by the process that plays. The system releases it when the process ends, however it ends.

Each file is written beside its final name, flushed to disk and then renamed, which is atomic: a file is there as a whole or not at
all. The letters go first and the state last, so a state never refers to something that is missing. Files are read with
:mod:`pickle`, which runs code: resume from your own folders only.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from expfam_game.bridge.state import Letter, State
from expfam_game.bridge.workers import dumps
from expfam_game.errors import InvalidCheckpoint
from expfam_game.samples import SampleSet


class Checkpoint:
    """A folder with the state of one game, for this process alone until it is closed.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    fingerprint : dict of str
        The settings of the game.

    Raises
    ------
    InvalidCheckpoint
        If the folder holds another game, another process plays in it, or it cannot be made or read.
    """

    def __init__(self, folder: str | os.PathLike[str], fingerprint: dict[str, str]) -> None:
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self._folder / "lock").open("ab")
        except OSError as problem:
            raise InvalidCheckpoint(f"{self._folder} cannot keep a game: {problem}") from None
        try:
            self._claim(fingerprint)
        except BaseException:
            self.close()
            raise

    def _claim(self, fingerprint: dict[str, str]) -> None:
        if not _locked(self._lock):
            raise InvalidCheckpoint(
                f"another process plays the game in {self._folder}; wait for it, or give another folder"
            )
        for unfinished in self._folder.glob("*.part"):
            unfinished.unlink()
        card = self._folder / "game.json"
        if card.exists():
            self._check_same_game(card, fingerprint)
        else:
            _write(card, json.dumps(fingerprint, indent=2).encode())

    def close(self) -> None:
        """Let others have the folder."""
        self._lock.close()

    def _check_same_game(self, card: Path, fingerprint: dict[str, str]) -> None:
        try:
            found = dict(json.loads(card.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as problem:
            raise _unreadable(card, problem) from None
        for name, value in fingerprint.items():
            if found.get(name) != value:
                theirs = f"{name}: {found[name]}" if name in found else f"nothing known about {name}"
                raise InvalidCheckpoint(
                    f"{self._folder} holds another game ({theirs}), where this game has {name}: {value}. "
                    "Give another folder, or the same settings"
                )

    def load(self) -> State | None:
        """The state after the last complete round; None in a new folder."""
        states = list(self._folder.glob("state-*.pickle"))
        if not states:
            return None
        state: State = _read(max(states, key=lambda path: (len(path.name), path.name)), State)
        files: dict[int, dict[int, SampleSet]] = {}
        for letter in _all_letters(state):
            path = self._letters(letter.round)
            if letter.round not in files:
                files[letter.round] = _read(path, dict)
            if letter.number not in files[letter.round]:
                raise _unreadable(path, KeyError(letter.number))
        return _with_letters(state, lambda letter: replace(letter, samples=files[letter.round][letter.number]))

    def save(self, state: State) -> None:
        """Keep the state after a round, and forget the one before."""
        fresh = {letter.number: letter.samples for letter in _all_letters(state) if letter.round == state.round}
        if fresh:
            _write(self._letters(state.round), pickle.dumps(fresh, protocol=5))
        light = _with_letters(state, lambda letter: replace(letter, samples=None))
        target = self._folder / f"state-{state.round:05d}.pickle"
        _write(target, _dumps(light))
        in_use = {self._letters(letter.round) for letter in _all_letters(state)}
        for old in [*self._folder.glob("state-*.pickle"), *self._folder.glob("letters-*.pickle")]:
            if old != target and old not in in_use:
                old.unlink()

    def _letters(self, round: int) -> Path:
        return self._folder / f"letters-{round:05d}.pickle"


def _all_letters(state: State) -> list[Letter]:
    return [letter for letters in state.letters.values() for letter in letters]


def _with_letters(state: State, change: Callable[[Letter], Letter]) -> State:
    return replace(state, letters={box: [change(letter) for letter in held] for box, held in state.letters.items()})


def _dumps(state: State) -> bytes:
    try:
        return dumps(state)
    except Exception as problem:
        raise InvalidCheckpoint(
            f"the agents cannot be pickled, so the game cannot be kept ({type(problem).__name__}: {problem}); define "
            "their classes at the top of a module, and leave locks, open files and generators out of __getstate__"
        ) from problem


def _read(path: Path, kind: type) -> Any:
    try:
        content = pickle.loads(path.read_bytes())
    except Exception as problem:
        raise _unreadable(path, problem) from problem
    if not isinstance(content, kind):
        raise _unreadable(path, TypeError(f"it holds a {type(content).__name__}"))
    return content


def _unreadable(path: Path, problem: Exception) -> InvalidCheckpoint:
    return InvalidCheckpoint(
        f"{path} cannot be read ({type(problem).__name__}: {problem}); to start the game anew, delete the folder"
    )


def _write(path: Path, content: bytes) -> None:
    """All or nothing: a kill at any moment leaves the old file or the new one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _locked(file: IO[bytes]) -> bool:
    """Try to lock a file; the lock lasts until it is closed, or the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on Windows
        return False
    except OSError:
        return True  # a file system without locks: better unguarded than unusable
    return True
