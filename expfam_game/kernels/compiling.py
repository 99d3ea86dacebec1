"""The decorator under every kernel: compile on first call, keep the result on disk where that is possible."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile with NumPy's error model, without the interpreter lock, cached on disk if any cache folder is writable.

    NumPy's error model leaves out the checks for division by zero, which would keep loops from being vectorised.
    """
    return compile_with(function)


def elementwise(function: Callable[P, R]) -> Callable[P, R]:
    """:func:`compiled`, and a·b + c may be rounded once instead of twice: for loops that treat each entry by itself."""
    return compile_with(function, fastmath={"contract"})


def reduction(function: Callable[P, R]) -> Callable[P, R]:
    """:func:`elementwise`, and the terms of a sum may be added in another order, so that they fill vector registers.

    For sums over one buffer: any order is within the same error bound. NaN, infinity and signed zero keep their meaning.
    """
    return compile_with(function, fastmath={"contract", "reassoc"})


def compile_with(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    """:func:`compiled` with further options of ``numba.njit``."""
    compile_: Any = functools.partial(njit, error_model="numpy", nogil=True, **options)
    result: Callable[P, R]
    try:
        result = compile_(cache=True)(function)
    except RuntimeError as problem:  # numba finds no writable folder: compile anew in every process
        if "cannot cache function" not in str(problem):
            raise
        result = compile_()(function)
    return result
