"""Compiled random streams: sixteen lanes of SFC64, advanced together in vector registers, whose states Philox draws.

A stream is a pair of arrays: ``state`` (the lanes, and the position in the buffer) and ``words``, a buffer of 64-bit
random words. Every kernel opens one per (agent, block) and takes its numbers from it in order, so results depend on
nothing else. That streams are disjoint is shown in :class:`expfam_game.kernels.streams.StreamKey`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import int64, types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from expfam_game._typing import AnyArray
from expfam_game.kernels.compiling import elementwise, in_place, reduction

WORDS = 1024
"""Length of a buffer: 8 KiB, a quarter of a first-level cache."""

LANES = 16
"""Generators advanced together: two 512-bit registers for each part of their states, or four of 256 bits."""

_WARM_UP = 12
"""Steps after which every bit of a state has reached every other; as many as NumPy's SFC64 takes."""

_REST = 4 * LANES
_POSITION = _REST + LANES
STATE = _POSITION + 1
"""Length of a state: parts a, b, c and the counters of all lanes, a row of words to cut from, and the position."""

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIER_0, _MULTIPLIER_2 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


def _instruction(generate: Any) -> Any:
    """A function that is compiled to these instructions of LLVM; numba's decorator hides the type of the result."""
    return intrinsic(generate)


@_instruction
def popcount(typing_context: Any, word: Any) -> Any:
    """Number of ones among 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@_instruction
def bits_of(typing_context: Any, x: Any) -> Any:
    """The 64 bits of a double."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), generate


@_instruction
def double_of(typing_context: Any, word: Any) -> Any:
    """The double with these 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), generate


_reserve: Any = cgutils.alloca_once
_I64 = ir.IntType(64)
_ROW = ir.VectorType(_I64, LANES)


def _each(value: int) -> Any:
    """The same number in every lane."""
    return ir.Constant(_ROW, [value] * LANES)


@_instruction
def _advance(typing_context: Any, state: Any, words: Any, steps: Any, stride: Any) -> Any:
    """Advance all lanes and write each step's words, a row of LANES, ``stride`` behind those of the step before.

    SFC64 (C. Doty-Humphrey, PractRand), with the counter last: out = a + b + w, then w + 1, a = b ⊕ b » 11, b = c + c « 3,
    c = (c rotated by 24) + out. Written on vectors, so that the states stay in registers on any processor.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def data(k: int) -> Any:
            return context.make_array(signature.args[k])(context, builder, arguments[k]).data

        def row(pointer: Any, offset: Any) -> Any:
            return builder.bitcast(builder.gep(pointer, [offset]), _ROW.as_pointer())

        places = [row(data(0), ir.Constant(_I64, LANES * part)) for part in range(4)]
        lanes = [_reserve(builder, _ROW) for _ in places]
        for place, part in zip(places, lanes):
            builder.store(builder.load(place, align=8), part)
        with cgutils.for_range(builder, arguments[2]) as loop:
            a, b, c, counter = (builder.load(part) for part in lanes)
            out = builder.add(builder.add(a, b), counter)
            builder.store(out, row(data(1), builder.mul(loop.index, arguments[3])), align=8)
            turned = builder.or_(builder.shl(c, _each(24)), builder.lshr(c, _each(40)))
            builder.store(builder.xor(b, builder.lshr(b, _each(11))), lanes[0])
            builder.store(builder.add(c, builder.shl(c, _each(3))), lanes[1])
            builder.store(builder.add(turned, out), lanes[2])
            builder.store(builder.add(counter, _each(1)), lanes[3])
        for place, part in zip(places, lanes):
            builder.store(builder.load(part), place, align=8)
        return context.get_dummy_value()

    return types.none(state, words, types.int64, types.int64), generate


@elementwise
def fill_philox(low: AnyArray, high: AnyArray, key: Any, branch: Any, agent: Any, block: Any, start: Any) -> None:
    """Philox4x32-10: the low and the high 64 bits at the counters with index start, start + 1, ….

    Only the factors of the products are reduced to 32 bits; the other variables may carry more, which is cut off at
    the end. That is what lets the loop become vector multiplications of 32-bit numbers.
    """
    key_0, key_1 = key & _LOW, key >> _HALF
    for i in range(low.size):
        index = start + uint64(i)
        x0, x1, x2, x3 = index, block, agent, (branch << uint64(16)) | (index >> _HALF)
        k0, k1 = key_0, key_1
        for _ in range(10):
            p0 = (x0 & _LOW) * _MULTIPLIER_0
            p2 = (x2 & _LOW) * _MULTIPLIER_2
            x0 = (p2 >> _HALF) ^ x1 ^ k0
            x2 = (p0 >> _HALF) ^ x3 ^ k1
            x1, x3 = p2, p0
            k0 += _WEYL_0
            k1 += _WEYL_1
        low[i] = (x0 & _LOW) | (x1 << _HALF)
        high[i] = (x2 & _LOW) | (x3 << _HALF)


@in_place
def open_stream(state: AnyArray, key: Any, branch: int, agent: int, block: int) -> None:
    """Set ``state`` to the start of a stream, with nothing left in its buffer."""
    a, b = state[:LANES], state[LANES : 2 * LANES]
    fill_philox(a, b, uint64(key), uint64(branch), uint64(agent), uint64(block), uint64(0))
    state[2 * LANES : 3 * LANES] = key
    state[3 * LANES : 4 * LANES] = 1
    _advance(state, state[_REST:], _WARM_UP, 0)
    state[_POSITION] = WORDS


@in_place
def fill_words(words: AnyArray, state: AnyArray) -> None:
    """The next words, lane by lane; what is left of the last row where the length is no multiple of LANES is dropped."""
    rows = words.size // LANES
    _advance(state, words, rows, LANES)
    if rows * LANES < words.size:
        _advance(state, state[_REST:], 1, 0)
        for i in range(rows * LANES, words.size):
            words[i] = state[_REST + i - rows * LANES]


@in_place
def next_word(words: AnyArray, state: AnyArray) -> Any:
    """One word, for the rare steps that are not taken a buffer at a time."""
    position = state[_POSITION]
    if position == uint64(WORDS):
        fill_words(words, state)
        position = uint64(0)
    state[_POSITION] = position + uint64(1)
    return words[position]


@in_place
def next_uniform(words: AnyArray, state: AnyArray) -> float:
    """A uniform double inside (0, 1), a multiple of 2^-53 plus 2^-54."""
    return (np.float64(next_word(words, state) >> uint64(11)) + 0.5) * 2.0**-53


@reduction
def ones_in(words: AnyArray) -> Any:
    """How many bits are one."""
    ones = uint64(0)
    for i in range(words.size):
        ones += popcount(words[i])
    return ones


@in_place
def tosses(n: int, words: AnyArray, state: AnyArray) -> int:
    """Number of heads in n tosses of a fair coin, one random bit each."""
    heads = uint64(0)
    left = n >> 6
    while left > 0:
        position: Any = int64(state[_POSITION])
        if position == WORDS:
            fill_words(words, state)
            position = 0
        m = min(left, WORDS - position)
        heads += ones_in(words[position : position + m])
        state[_POSITION] = position + m
        left -= m
    rest = n & 63
    if rest:
        heads += popcount(next_word(words, state) >> uint64(64 - rest))
    return int(int64(heads))
