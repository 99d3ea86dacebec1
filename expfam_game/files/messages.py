"""What is said to users: numbers that stay bounds when printed, suggestions, and where a mistake stands.

Only the standard library and ``errors`` are imported, so that the command line may use it before anything is computed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Literal

from expfam_game.errors import ExpfamGameError, InvalidInput

_NEAR = 0.7
"""Similarity (difflib's ratio) from which a file name without its ending is a near-miss of another."""


def rounded_up(value: float, digits: int, form: Literal["g", "e"] = "g") -> str:
    """An upper bound with so many significant digits, never printed smaller than it is.

    >>> rounded_up(0.12341, 3), f"{0.12341:.3g}"
    ('0.124', '0.123')
    >>> rounded_up(2.01e-16, 2, "e")
    '2.1e-16'
    """
    exact = Decimal(value)
    if not exact.is_finite() or exact == 0:
        return format(value, f".{digits - 1}e" if form == "e" else "g")
    upward = exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), rounding=ROUND_CEILING)
    mantissa, _, power = f"{upward:.{digits - 1}e}".partition("e")
    if form == "g" and -5 < int(power) < digits:
        fixed = f"{upward:f}"
        return fixed.rstrip("0").rstrip(".") if "." in fixed else fixed
    if form == "g" and "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(power):+03d}"


def suggestion(word: str, options: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` if something is close, or is the only thing that begins like this."""
    by_lower = {option.lower(): option for option in options}
    begun = [option for option in by_lower if word and option.startswith(word.lower())]
    close = difflib.get_close_matches(word.lower(), by_lower, n=1) or (begun if len(begun) == 1 else [])
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


def nearby_file(file: Path) -> str:
    """A file of nearly this name in the same folder; the common ending alone makes no two names alike."""
    siblings = [child.name for child in file.parent.iterdir()] if file.parent.is_dir() else []
    stem = file.stem.lower()
    near = [name for name in siblings if difflib.SequenceMatcher(None, stem, Path(name).stem.lower()).ratio() >= _NEAR]
    return suggestion(file.name, near)


def absent(file: Path, what: str) -> InvalidInput:
    """The complaint about a path that is no regular file."""
    if file.is_dir():
        return InvalidInput(f"{file}: this is a folder, not a {what}")
    if file.exists():
        return InvalidInput(f"{file}: this is not a regular file, so it is no {what}")
    if not file.parent.is_dir():
        return InvalidInput(f"{file}: there is no such {what}; the folder {file.parent} does not exist")
    return InvalidInput(f"{file}: there is no such {what}{nearby_file(file)}")


def relocated(problem: InvalidInput, where: str) -> InvalidInput:
    """The same error with a place in front of its message."""
    return type(problem)(f"{where.rstrip(':')}: {problem}", agent=problem.agent, entry=problem.entry, rule=problem.rule)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put the place in front of the message of whatever input error is raised inside."""
    try:
        yield
    except InvalidInput as problem:
        already = str(problem).startswith(where.rstrip(":"))
        raise (problem if already else relocated(problem, where)) from None
    except (TypeError, ValueError, OverflowError) as problem:
        if isinstance(problem, ExpfamGameError):
            raise
        raise InvalidInput(f"{where.rstrip(':')}: {problem}") from None
    except MemoryError:
        raise InvalidInput(f"{where.rstrip(':')}: this is larger than the memory of the machine") from None
