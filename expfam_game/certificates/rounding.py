"""Bounds with every rounding error included: numbers to floats outwards, and D a + B x − c in three arithmetics.

The three arithmetics: ``"exact"`` (floats are rationals; python-flint ``fmpq``), ``"ball"`` (Arb at a given precision)
and ``"float64"`` (IEEE arithmetic with an a-priori bound on its error; any size of game).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nextafter
from typing import Any, Literal, TypeAlias

import numpy as np
from flint import arb, ctx, fmpq
from scipy import sparse

from expfam_game._typing import FloatArray
from expfam_game.errors import CertificationFailed

Arithmetic: TypeAlias = Literal["exact", "ball", "float64"]
ARITHMETICS: tuple[Arithmetic, ...] = ("exact", "ball", "float64")


def rational(x: float) -> Any:
    """The float x as an exact rational."""
    return fmpq(*float(x).as_integer_ratio())


def ball(lower: float, upper: float) -> Any:
    """An Arb ball that contains the interval from lower to upper."""
    low, high = arb(float(lower)), arb(float(upper))
    return low if lower == upper else arb((low + high) / 2, (high - low) / 2)


def up(x: Any) -> float:
    """The smallest float that is at least x (a rational, or the upper end of a ball); +∞ if none is known."""
    if isinstance(x, fmpq):
        try:
            guess = int(x.p) / int(x.q)
        except OverflowError:
            guess = inf if x > 0 else -np.finfo(np.float64).max
        while guess < inf and rational(guess) < x:
            guess = nextafter(guess, inf)
        return guess
    end = x.upper()
    if not end.is_finite():
        return inf
    guess = float(end)
    if guess == -inf:
        guess = -float(np.finfo(np.float64).max)
    while guess < inf and not arb(guess) >= end:
        guess = nextafter(guess, inf)
    return guess


def down(x: Any) -> float:
    """The largest float that is at most x (or the lower end of a ball)."""
    return -up(-x)


def raised(x: FloatArray) -> FloatArray:
    """One float up: at least the real result of an operation that was rounded to the nearest float ``x``."""
    return np.asarray(np.nextafter(x, np.inf))


def enclose(
    alpha: sparse.csr_array, a: FloatArray, x: FloatArray, c: FloatArray, arithmetic: Arithmetic, precision: int
) -> tuple[FloatArray, FloatArray]:
    """Floats below and above D a + B x − c, entry by entry, with D the diagonal of α and B the rest.

    Everything that certificates say about the game is about a number of this form: the residual of a profile
    (a = m, x = c = μ), a best response (c = 0), the contraction of a weight vector (a = 0, x = c = w).

    Parameters
    ----------
    alpha : csr_array, shape (n_agents, n_agents)
    a, x, c : ndarray, shape (n_agents, k)
    arithmetic : {"exact", "ball", "float64"}
    precision : int
        Bits of the balls; the other arithmetics ignore it.

    Returns
    -------
    lower, upper : ndarray, shape (n_agents, k)
    """
    if arithmetic == "float64":
        return _enclose_float64(alpha, a, x, c)
    with ctx.workprec(precision):
        return _enclose_flint(alpha, a, x, c, rational if arithmetic == "exact" else arb)


def _enclose_flint(
    alpha: sparse.csr_array, a: FloatArray, x: FloatArray, c: FloatArray, number: Callable[[float], Any]
) -> tuple[FloatArray, FloatArray]:
    known = [[number(value) for value in row] for row in x.tolist()]
    lower, upper = np.empty(x.shape), np.empty(x.shape)
    for i in range(alpha.shape[0]):
        total = [-number(value) for value in c[i].tolist()]
        span = slice(alpha.indptr[i], alpha.indptr[i + 1])
        for j, weight in zip(alpha.indices[span].tolist(), map(number, alpha.data[span].tolist())):
            heard = [number(value) for value in a[i].tolist()] if j == i else known[j]
            total = [partial + weight * value for partial, value in zip(total, heard)]
        lower[i], upper[i] = [down(value) for value in total], [up(value) for value in total]
    return lower, upper


def _enclose_float64(
    alpha: sparse.csr_array, a: FloatArray, x: FloatArray, c: FloatArray, first: int = 0
) -> tuple[FloatArray, FloatArray]:
    """The rows that ``c`` is about, from row ``first`` on."""
    from expfam_game.kernels.enclosure import enclose_rows

    _require_gradual_underflow()
    lower, upper = np.empty(c.shape), np.empty(c.shape)
    a, x, c = (np.ascontiguousarray(part, dtype=np.float64) for part in (a, x, c))
    enclose_rows(alpha.indptr, alpha.indices, alpha.data, a, x, c, lower, upper, first)
    return lower, upper


def enclose_responses(
    alpha: sparse.csr_array, a: FloatArray, x: FloatArray, rows: slice
) -> tuple[FloatArray, FloatArray]:
    """Floats below and above the given rows of D a + B x, by ``"float64"``: for games too large to be treated at once."""
    first, last, _ = rows.indices(x.shape[0])
    return _enclose_float64(alpha, a, x, np.zeros((last - first, x.shape[1])), first)


def _require_gradual_underflow() -> None:
    """Some libraries switch the processor to flush subnormals to zero, which would void the error bound."""
    if not np.all(np.ldexp(np.ones(8), -1030) * np.full(8, 0.5) > 0):
        raise CertificationFailed(
            "this process flushes subnormal numbers to zero (a library compiled with -ffast-math was loaded); "
            "use grade='exact' or load that library later"
        )
