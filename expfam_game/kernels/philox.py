"""Compiled random streams: Philox4x32-10 into a small buffer, many counters at a time so that LLVM vectorises.

A stream is a pair of arrays: ``state`` (key, counter, position) and ``words``, a buffer of 64-bit random words. Every
kernel opens one per (agent, block) and takes its numbers from it in order, so results depend on nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import int64, types, uint64
from numba.extending import intrinsic

from expfam_game._typing import AnyArray
from expfam_game.kernels.compiling import compiled

WORDS = 1024
"""Length of a buffer: 8 KiB, a quarter of a first-level cache."""

_KEY, _BRANCH, _AGENT, _BLOCK, _NEXT, _POSITION = range(6)
STATE = 6

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIER_0, _MULTIPLIER_2 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


def _instruction(generate: Any) -> Any:
    """A function of one argument that compiles to a single machine instruction."""
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


@compiled
def open_stream(state: AnyArray, key: Any, branch: int, agent: int, block: int) -> None:
    """Set ``state`` to the start of a stream, with nothing left in its buffer."""
    state[_KEY] = key
    state[_BRANCH] = branch
    state[_AGENT] = agent
    state[_BLOCK] = block
    state[_NEXT] = 0
    state[_POSITION] = WORDS


@compiled
def fill_words(words: AnyArray, state: AnyArray) -> None:
    """The next counters: counter i gives words i (its low 64 bits) and n/2 + i (its high 64 bits) of a buffer of even n.

    Only the factors of the products are reduced to 32 bits; the other variables may carry more, which is cut off at
    the end. That is what lets the loop become vector multiplications of 32-bit numbers.
    """
    half = words.size // 2
    low, high = words[:half], words[half:]
    start, block, agent = state[_NEXT], state[_BLOCK], state[_AGENT]
    branch = state[_BRANCH] << uint64(16)
    key_0, key_1 = state[_KEY] & _LOW, state[_KEY] >> _HALF
    for i in range(half):
        index = start + uint64(i)
        x0, x1, x2, x3 = index, block, agent, branch | (index >> _HALF)
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
    state[_NEXT] = start + uint64(half)


@compiled
def next_word(words: AnyArray, state: AnyArray) -> Any:
    """One word, for the rare steps that are not taken a buffer at a time."""
    position = state[_POSITION]
    if position == uint64(WORDS):
        fill_words(words, state)
        position = uint64(0)
    state[_POSITION] = position + uint64(1)
    return words[position]


@compiled
def next_uniform(words: AnyArray, state: AnyArray) -> float:
    """A uniform double inside (0, 1), a multiple of 2^-53 plus 2^-54."""
    return (np.float64(next_word(words, state) >> uint64(11)) + 0.5) * 2.0**-53


@compiled
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
        for i in range(position, position + m):
            heads += popcount(words[i])
        state[_POSITION] = position + m
        left -= m
    rest = n & 63
    if rest:
        heads += popcount(next_word(words, state) >> uint64(64 - rest))
    return int(int64(heads))
