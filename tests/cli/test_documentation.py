"""The tutorial docs/command_line.md does what it prints."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from expfam_game.cli import app

pytest.importorskip("matplotlib")

TUTORIAL = Path(__file__).parents[2] / "docs" / "command_line.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output printed below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def run_console(block: str) -> int:
    """Run a console block; a command must succeed unless ``echo $?`` asks for its exit code."""
    session = commands(block)
    for position, (command, expected) in enumerate(session):
        if command == "echo $?":
            continue
        program, *arguments = shlex.split(command)
        assert program == "expfam-game"
        result = CliRunner().invoke(app, arguments)
        following = session[position + 1] if position + 1 < len(session) else ("", "")
        code = int(following[1]) if following[0] == "echo $?" else 0
        assert result.exit_code == code, f"{command}\n{result.output}"
        agrees = doctest.OutputChecker().check_output(
            expected, result.output, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        )
        assert agrees, f"{command}\nprints\n{result.output}"
    return sum(command != "echo $?" for command, _ in session)


def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    ran = 0
    for language, block in BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")):
        if language in ("csv", "toml"):
            name = re.fullmatch(r"# (\S+)", block.partition("\n")[0])
            assert name, "the first line of a file is its name in a comment"
            Path(name[1]).write_text(block, encoding="utf-8")
        elif language == "console":
            ran += run_console(block)
        else:
            assert language == "python"
            exec(compile(block, str(TUTORIAL), "exec"), {})
    assert ran >= 15
