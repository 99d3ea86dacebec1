"""What families check their input with: rules, and errors that name the first place where one does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray
from expfam_game.errors import InvalidInput, InversionFailed

if TYPE_CHECKING:
    from expfam_game.families.base import Family

_MOST_SAMPLES = 2**62
"""As many as compiled kernels can count."""

Rule = tuple[BoolArray, str]
"""Where a rule holds (shape ``(..., k)`` per entry, or ``(...,)`` for the whole vector), and the rule as a sentence."""


def as_float(values: ArrayLike, error: type[InvalidInput], what: str) -> FloatArray:
    """The values as float64, or ``error``."""
    try:
        if np.iscomplexobj(values):
            raise TypeError("got complex numbers")
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise error(f"{what} must be an array of real numbers: {problem}") from None


def require_integer(owner: str, name: str, value: object, least: int) -> None:
    """Raise InvalidInput unless a hyper-parameter is an integer, at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InvalidInput(f"{owner}: {name} is {value!r}; it must be an integer, at least {least}")


def require_number(owner: str, name: str, value: object, positive: bool = True) -> None:
    """Raise InvalidInput unless a hyper-parameter is a finite number, positive unless said otherwise."""
    number = isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(float(value)))
    if not number or (positive and not float(value) > 0):  # type: ignore[arg-type]
        raise InvalidInput(f"{owner}: {name} is {value!r}; it must be {'positive and ' if positive else ''}finite")


def checked_count(n: int) -> int:
    """A number of samples, or InvalidInput."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or not 1 <= n <= _MOST_SAMPLES:
        raise InvalidInput(f"n is {n!r}; the number of samples must be an integer from 1 to 2^62")
    return int(n)


def all_hold(finite: BoolArray, rules: Callable[[FloatArray], Iterable[Rule]], values: FloatArray) -> BoolArray:
    """Whether all rules hold for each vector; vectors with non-finite entries fail and are not passed on."""
    good = np.asarray(finite.all(axis=-1))
    result = good.copy()
    inside = values[good]
    verdict = np.ones(inside.shape[0], dtype=bool)
    with np.errstate(all="ignore"):
        for holds, _ in rules(inside):
            verdict &= holds if holds.ndim == 1 else holds.all(axis=-1)
    result[good] = verdict
    return result


def raise_unless(
    holds: BoolArray,
    rule: str,
    values: AnyArray,
    batch: int,
    error: type[InvalidInput],
    what: str,
    leader: str,
    names: tuple[str, ...],
) -> None:
    """Raise ``error`` naming the first place where ``holds`` is False: the leading index, the entry and the rule."""
    if np.all(holds):
        return
    index = tuple(int(k) for k in np.argwhere(~np.asarray(holds))[0])
    who, entry = index[:batch], index[batch:]
    where = f" of {leader} {who[0] if len(who) == 1 else who}" if who else ""
    at = ""
    if entry:
        at = f", entry {entry[0] if len(entry) == 1 else entry}"
        at += f" ({names[entry[0]]})" if names and len(entry) == 1 else ""
    found = values[index] if len(index) == values.ndim else np.array2string(values[index], threshold=8)
    raise error(
        f"{what}{where}{at} is {found}: {rule}",
        agent=(who[0] if len(who) == 1 else who) if who else None,
        entry=(entry[0] if len(entry) == 1 else entry) if entry else None,
        rule=rule,
    )


def require_converged(family: Family, theta: FloatArray, mu: FloatArray) -> FloatArray:
    """``theta``, or :class:`InversionFailed` for the first agent whose natural parameter is not finite."""
    if not np.isfinite(theta).all():
        failed = ~np.isfinite(theta).all(axis=-1)
        index = tuple(int(k) for k in np.argwhere(failed)[0])
        who = f" of agent {index[0] if len(index) == 1 else index}" if index else ""
        raise InversionFailed(
            f"{family!r}: no natural parameter found for mean parameter{who} {np.array2string(mu[index], threshold=8)}: "
            "it is too close to the boundary of the mean space"
        )
    return theta


def expanded(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """The values broadcast to a shape, as an array that compiled kernels can take; not copied where it fits already."""
    return values if values.shape == shape else np.array(np.broadcast_to(values, shape))
