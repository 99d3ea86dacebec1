"""The decorator under every kernel: compile on first call, keep the result on disk where that is possible."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import njit
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile with NumPy's error model, without the interpreter lock, cached on disk if any cache folder is writable.

    NumPy's error model leaves out the checks for division by zero, which would keep loops from being vectorised.
    """
    return compile_with(function)


def in_place(function: Callable[P, R]) -> Callable[P, R]:
    """:func:`compiled`, for short functions that allocate no arrays: without counting references to the arrays they pass
    on, which takes longer than drawing a few random words."""
    return compile_with(function, _nrt=False)


def elementwise(function: Callable[P, R]) -> Callable[P, R]:
    """:func:`compiled`, and a·b + c may be rounded once instead of twice: for loops that treat each entry by itself.

    Loops use the widest vector registers there are (see :class:`WideVectors`).
    """
    return compile_with(function, fastmath={"contract"}, pipeline_class=WideVectors)


def reduction(function: Callable[P, R]) -> Callable[P, R]:
    """:func:`elementwise`, and the terms of a sum may be added in another order, so that they fill vector registers.

    For sums over one buffer: any order is within the same error bound. NaN, infinity and signed zero keep their meaning.
    """
    return compile_with(function, fastmath={"contract", "reassoc"}, pipeline_class=WideVectors)


def compile_with(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    """:func:`compiled` with further options of ``numba.njit``."""
    compile_: Any = functools.partial(njit, error_model="numpy", nogil=True, **options)
    result: Callable[P, R]
    try:
        result = compile_(cache=True)(function)
        _watch_all_kernels(result)
    except RuntimeError as problem:  # numba finds no writable folder: compile anew in every process
        if "cannot cache function" not in str(problem):
            raise
        result = compile_()(function)
    return result


@functools.cache
def _digest_of_kernels() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _watch_all_kernels(dispatcher: Any) -> None:
    """Let what is cached on disk go stale when any kernel changes.

    numba looks only at the file that a function stands in; the machine code also holds the functions that it calls, from
    other files. After an update of some files, old and new kernels would work together on one stream.
    """
    index = dispatcher._cache._cache_file
    index._source_stamp = (index._source_stamp, _digest_of_kernels())


# ---------------------------------------------------------------------- wide vectors


_lower: Any = Lower  # numba's compiler is not typed
_lowering: Any = NativeLowering
_manager: Any = PassManager
_default: Any = DefaultPassBuilder
_registered: Any = register_pass


class _WideLower(_lower):  # type: ignore[misc]
    """Lowers to a function that may use 512-bit registers."""

    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        set.add(self.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own ``add`` knows no such name


@_registered(mutates_CFG=True, analysis_only=False)
class _WideLowering(_lowering):  # type: ignore[misc]
    _name = "wide_native_lowering"

    @property
    def lowering_class(self) -> type[_WideLower]:
        return _WideLower


class WideVectors(CompilerBase):
    """numba's compiler, told to prefer 512-bit vectors to the 256 bits that LLVM takes on most processors that have both.

    LLVM fears a lower clock; for the arithmetic of these loops the wide registers win by a fifth and more. Processors
    without them are not affected, nor are functions that are compiled in the ordinary way.
    """

    def define_pipelines(self) -> list[Any]:
        passes = _manager("wide")
        for kind, purpose in _default.define_nopython_pipeline(self.state).passes:
            passes.add_pass(_WideLowering if kind is NativeLowering else kind, purpose)
        passes.finalize()
        return [passes]
