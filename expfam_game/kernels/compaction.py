"""Picking few out of a buffer: the places of rare flags, and closing the gaps where values were rejected."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import int64, types, uint64
from numba.extending import intrinsic

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.kernels.compiling import compiled, elementwise

_LANES = 64
_intrinsic: Any = intrinsic
"""numba's own signature for it counts the typing context among the arguments of a call."""


@_intrinsic
def _mask(typing_context: Any, flags: Any, start: Any) -> Any:
    """A word whose bit i tells whether ``flags[start + i]`` is not zero: one comparison of vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        row = ir.VectorType(ir.IntType(64), _LANES)
        place = builder.bitcast(builder.gep(data, [arguments[1]]), row.as_pointer())
        there = builder.icmp_unsigned("!=", builder.load(place, align=8), ir.Constant(row, [0] * _LANES))
        return builder.bitcast(there, ir.IntType(64))

    return types.uint64(flags, types.int64), generate


@_intrinsic
def _lowest(typing_context: Any, word: Any) -> Any:
    """The place of the lowest one of a word that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@elementwise
def positions(flags: AnyArray) -> int:
    """Overwrite the front of 64-bit flags by the positions, ascending, of those that are not zero; how many there are."""
    count, whole = 0, flags.size - flags.size % _LANES
    for start in range(0, whole, _LANES):
        mask = _mask(flags, start)
        while mask != uint64(0):
            flags[count] = uint64(start) + _lowest(mask)
            mask &= mask - uint64(1)
            count += 1
    for j in range(whole, flags.size):
        if flags[j] != uint64(0):
            flags[count] = j
            count += 1
    return count


@compiled
def gather(values: AnyArray, where: AnyArray) -> None:
    """Move the values at ascending positions to the front."""
    for t in range(where.size):
        values[t] = values[where[t]]


@compiled
def close_gaps(values: FloatArray, gaps: AnyArray) -> int:
    """Fill gaps at ascending positions with values from the end; how many values remain.

    Which values are moved depends on where the gaps are only, so those that remain are as independent as before.
    """
    remain = values.size - gaps.size
    last, source = gaps.size - 1, values.size - 1
    for t in range(gaps.size):
        gap = int64(gaps[t])
        if gap >= remain:
            break
        while int64(gaps[last]) == source:
            last -= 1
            source -= 1
        values[gap] = values[source]
        source -= 1
    return remain
