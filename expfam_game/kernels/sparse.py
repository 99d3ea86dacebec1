"""Sweeps over sparse weights with many statistics at a time.

The sweeps of this file work on blocks of 1, 2, 4, 8 or 16 statistics. The width travels as the *type* of the argument
``lanes`` (a tuple of that many zeros), so that every width is compiled by itself, on first use, with the running sums of a
row in one vector register. Rows are summed in their stored order and reductions go through fixed chunks of rows:
results are bitwise the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from expfam_game._typing import AnyArray, BoolArray, FloatArray, IntArray
from expfam_game.kernels.compiling import compile_with, compiled

CHUNK = 512
"""Rows that one thread takes at a time, and over which reductions are summed first."""

WIDTHS = (1, 2, 4, 8, 16)
"""Block widths there are kernels for."""

_AHEAD = 16
"""How many entries ahead of their use rows of the profile are prefetched: hides the latency of random graphs."""

_FLAGS = {"contract"}

_ALONE = 64 * CHUNK
"""Below this many rows a sweep is done by one thread: waking the others would cost more."""

Kernel = TypeVar("Kernel", bound=Callable[..., None])


def _swept(function: Kernel) -> Kernel:
    """Compile a loop over chunks of rows twice, for many threads and for one; the first argument says how many rows."""
    name = f"{function.__name__}_alone"
    copy = FunctionType(function.__code__, function.__globals__, name)
    copy.__qualname__, copy.__module__ = name, function.__module__
    together = compile_with(function, fastmath=_FLAGS, parallel=True)
    alone = compile_with(copy, fastmath=_FLAGS)

    @wraps(function)
    def sweep(first: AnyArray, *others: Any) -> None:
        (together if first.shape[0] > _ALONE else alone)(first, *others)

    return cast(Kernel, sweep)


def lanes(width: int) -> tuple[int, ...]:
    """The argument that selects the kernel for blocks of ``width`` statistics."""
    return (0,) * width


def chunks(n_rows: int) -> int:
    """How many chunks the reductions over ``n_rows`` rows have."""
    return -(-n_rows // CHUNK)


# ---------------------------------------------------------------------- vector registers


_intrinsic: Any = intrinsic
"""numba's own signature for it counts the typing context among the arguments of a call."""


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value).data


@_intrinsic
def add_row(typingctx: Any, x: Any, indices: Any, data: Any, start: Any, stop: Any, total: Any, lanes: Any) -> Any:
    """total[:] += Σ_{e=start}^{stop−1} data[e] · x[indices[e], :], in one vector register of ``len(lanes)`` doubles.

    ``data`` may be of single precision, ``indices`` of 32 bits.
    Written in LLVM's language because plain loops keep ``total`` in memory and check aliasing at every entry.
    """
    width = len(lanes)
    signature = types.void(x, indices, data, types.int64, types.int64, total, lanes)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x_at, index_at, data_at, target = (_data(context, builder, sig.args[k], args[k]) for k in (0, 1, 2, 5))

        def listened_to(entry: Any) -> Any:
            column = builder.load(builder.gep(index_at, [entry]))
            return column if column.type == ir.IntType(64) else builder.sext(column, ir.IntType(64))

        _add_rows(builder, width, x_at, data_at, target, args[3], args[4], listened_to)
        return context.get_dummy_value()

    return signature, generate


@_intrinsic
def add_span(typingctx: Any, x: Any, first: Any, data: Any, start: Any, stop: Any, total: Any, lanes: Any) -> Any:
    """total[:] += Σ_{e=start}^{stop−1} data[e] · x[first + e − start, :]: :func:`add_row` where columns are consecutive."""
    width = len(lanes)
    signature = types.void(x, types.int64, data, types.int64, types.int64, total, lanes)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x_at, data_at, target = (_data(context, builder, sig.args[k], args[k]) for k in (0, 2, 5))
        shift = builder.sub(args[1], args[3])
        _add_rows(builder, width, x_at, data_at, target, args[3], args[4], lambda entry: builder.add(shift, entry))
        return context.get_dummy_value()

    return signature, generate


def _add_rows(
    builder: Any, width: int, x_at: Any, data_at: Any, target: Any, start: Any, stop: Any, column_of: Callable[..., Any]
) -> None:
    """The loop of :func:`add_row`: ``column_of`` builds the row of x that entry ``e`` multiplies."""
    i32, i64 = ir.IntType(32), ir.IntType(64)
    vector = ir.VectorType(ir.DoubleType(), width)
    target = builder.bitcast(target, vector.as_pointer())
    register = cgutils.alloca_once(builder, vector)  # type: ignore[no-untyped-call]
    builder.store(builder.load(target, align=8), register)
    blank = ir.Constant(vector, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(i32, width), [0] * width)
    with cgutils.for_range_slice(builder, start, stop, ir.Constant(i64, 1)) as (entry, _):
        place = builder.gep(x_at, [builder.mul(column_of(entry), ir.Constant(i64, width))])
        row = builder.load(builder.bitcast(place, vector.as_pointer()), align=8)
        single = builder.load(builder.gep(data_at, [entry]))
        double = single if single.type == ir.DoubleType() else builder.fpext(single, ir.DoubleType())
        weight = builder.insert_element(blank, double, ir.Constant(i32, 0))
        product = builder.fmul(builder.shuffle_vector(weight, blank, everywhere), row, flags=("contract",))
        builder.store(builder.fadd(builder.load(register), product, flags=("contract",)), register)
    builder.store(builder.load(register), target, align=8)


@_intrinsic
def _prefetch(typingctx: Any, x: Any, place: Any) -> Any:
    """Ask for the cache line of the flat array x at ``place``; no effect on results."""
    signature = types.void(x, types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        i32 = ir.IntType(32)
        pointer = builder.bitcast(
            builder.gep(_data(context, builder, sig.args[0], args[0]), [args[1]]), ir.IntType(8).as_pointer()
        )
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, i32, i32, i32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(function, [pointer, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return signature, generate


@njit(inline="always")
def _prefetch_row(indptr: IntArray, indices: IntArray, x: FloatArray, i: int, width: int) -> None:
    """Fetch what row i will be followed by, ``_AHEAD`` entries later."""
    for e in range(indptr[i] + _AHEAD, min(indptr[i + 1] + _AHEAD, indices.shape[0])):
        _prefetch(x, indices[e] * width)
        if width > 8:
            _prefetch(x, indices[e] * width + 8)


# ---------------------------------------------------------------------- sweeps


@_swept
def affine(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    x: FloatArray,
    constant: FloatArray,
    out: FloatArray,
    lanes: tuple[int, ...],
) -> None:
    """out ← constant + M x for a sparse M of any shape; ``out`` may be ``constant`` but not ``x``."""
    width = len(lanes)
    flat = x.reshape(-1)
    n = out.shape[0]
    for c in prange((n + CHUNK - 1) // CHUNK):
        total = np.empty(width)
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            _prefetch_row(indptr, indices, flat, i, width)
            for k in range(width):
                total[k] = constant[i, k]
            add_row(flat, indices, data, indptr[i], indptr[i + 1], total, lanes)
            for k in range(width):
                out[i, k] = total[k]


@_swept
def deflated_play(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    x: FloatArray,
    constant: FloatArray,
    shift: FloatArray,
    once: FloatArray,
    twice: FloatArray,
    out: FloatArray,
    total: FloatArray,
    largest: FloatArray,
    lanes: tuple[int, ...],
) -> None:
    """One round of simultaneous play from the profile x̂ = x + ``once`` ⊗ ``shift``: out ← constant + B x̂.

    ``once`` = B 1 and ``twice`` = B² 1 carry a common shift of everybody through the round without a pass of its own.
    For each chunk of rows, ``total`` receives the sum and ``largest`` the largest size of the residual out − x̂.
    """
    width = len(lanes)
    flat = x.reshape(-1)
    n = out.shape[0]
    for c in prange((n + CHUNK - 1) // CHUNK):
        answer, added, most = np.empty(width), np.zeros(width), np.zeros(width)
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            _prefetch_row(indptr, indices, flat, i, width)
            for k in range(width):
                answer[k] = constant[i, k] + twice[i] * shift[k]
            add_row(flat, indices, data, indptr[i], indptr[i + 1], answer, lanes)
            for k in range(width):
                residual = answer[k] - x[i, k] - once[i] * shift[k]
                out[i, k] = answer[k]
                added[k] += residual
                most[k] = max(most[k], abs(residual))
        for k in range(width):
            total[c, k] = added[k]
            largest[c, k] = most[k]


@_swept
def residual(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    x: FloatArray,
    constant: FloatArray,
    out: FloatArray,
    largest: FloatArray,
    lanes: tuple[int, ...],
) -> None:
    """out ← constant + B x − x, and its largest size in each chunk of rows."""
    width = len(lanes)
    flat = x.reshape(-1)
    n = out.shape[0]
    for c in prange((n + CHUNK - 1) // CHUNK):
        total, most = np.empty(width), np.zeros(width)
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            _prefetch_row(indptr, indices, flat, i, width)
            for k in range(width):
                total[k] = constant[i, k] - x[i, k]
            add_row(flat, indices, data, indptr[i], indptr[i + 1], total, lanes)
            for k in range(width):
                out[i, k] = total[k]
                most[k] = max(most[k], abs(total[k]))
        for k in range(width):
            largest[c, k] = most[k]


@_swept
def follow(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    small: FloatArray,
    rest: FloatArray,
    x: FloatArray,
    lanes: tuple[int, ...],
) -> None:
    """x += rest + M small."""
    width = len(lanes)
    flat = small.reshape(-1)
    n = x.shape[0]
    for c in prange((n + CHUNK - 1) // CHUNK):
        total = np.empty(width)
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            for k in range(width):
                total[k] = x[i, k] + rest[i, k]
            add_row(flat, indices, data, indptr[i], indptr[i + 1], total, lanes)
            for k in range(width):
                x[i, k] = total[k]


# ---------------------------------------------------------------------- directions of a Krylov method


@_swept
def image(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    steps: FloatArray,
    images: FloatArray,
    slot: int,
    known: int,
    dots: FloatArray,
    lanes: tuple[int, ...],
) -> None:
    """images[slot] ← (I − B) steps[slot]; dots[c, a] ← its products with images[a], a < known, over chunk c of rows."""
    width = len(lanes)
    x = steps[slot]
    flat = x.reshape(-1)
    n = x.shape[0]
    for c in prange((n + CHUNK - 1) // CHUNK):
        total = np.empty(width)
        products = np.zeros((known, width))
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            _prefetch_row(indptr, indices, flat, i, width)
            for k in range(width):
                total[k] = -x[i, k]
            add_row(flat, indices, data, indptr[i], indptr[i + 1], total, lanes)
            for k in range(width):
                images[slot, i, k] = -total[k]
            for a in range(known):
                if a != slot:
                    for k in range(width):
                        products[a, k] -= total[k] * images[a, i, k]
        for a in range(known):
            for k in range(width):
                dots[c, a, k] = products[a, k]


@_swept
def orthogonalise(
    rest: FloatArray,
    steps: FloatArray,
    images: FloatArray,
    slot: int,
    factors: FloatArray,
    dots: FloatArray,
    lanes: tuple[int, ...],
) -> None:
    """Take factors[a] times direction a from direction ``slot``; dots[c] ← ⟨image, rest⟩ and ⟨image, image⟩."""
    width = len(lanes)
    n = rest.shape[0]
    for c in prange((n + CHUNK - 1) // CHUNK):
        products = np.zeros((2, width))
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            for a in range(factors.shape[0]):
                if a != slot:
                    for k in range(width):
                        steps[slot, i, k] -= factors[a, k] * steps[a, i, k]
                        images[slot, i, k] -= factors[a, k] * images[a, i, k]
            for k in range(width):
                products[0, k] += images[slot, i, k] * rest[i, k]
                products[1, k] += images[slot, i, k] * images[slot, i, k]
        for a in range(2):
            for k in range(width):
                dots[c, a, k] = products[a, k]


@_swept
def advance(
    x: FloatArray,
    rest: FloatArray,
    steps: FloatArray,
    images: FloatArray,
    slot: int,
    length: FloatArray,
    largest: FloatArray,
    lanes: tuple[int, ...],
) -> None:
    """x += length · step, rest −= length · image, and the largest size of ``rest`` in each chunk of rows."""
    width = len(lanes)
    n = x.shape[0]
    for c in prange((n + CHUNK - 1) // CHUNK):
        most = np.zeros(width)
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            for k in range(width):
                x[i, k] += length[k] * steps[slot, i, k]
                rest[i, k] -= length[k] * images[slot, i, k]
                most[k] = max(most[k], abs(rest[i, k]))
        for k in range(width):
            largest[c, k] = most[k]


# ---------------------------------------------------------------------- communities


@compiled
def form_communities(
    indptr: IntArray, indices: IntArray, data: FloatArray, strength: float, community: IntArray
) -> int:
    """Communities of agents and those they listen to; writes each agent's community, returns how many there are.

    Only weights of at least ``strength`` times the largest of their row (in size) count. An agent nobody of whose
    listened-to has a community yet founds one with all of them; who is left over joins the one it trusts most.
    """
    n = indptr.shape[0] - 1
    least = np.zeros(n)
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            least[i] = max(least[i], strength * abs(data[e]))
    community[:] = -1
    found = 0
    for i in range(n):
        free = community[i] < 0 and least[i] > 0
        for e in range(indptr[i], indptr[i + 1]):
            free = free and not (abs(data[e]) >= least[i] and community[indices[e]] >= 0)
        if free:
            community[i] = found
            for e in range(indptr[i], indptr[i + 1]):
                if abs(data[e]) >= least[i]:
                    community[indices[e]] = found
            found += 1
    founded = community.copy()
    for i in range(n):
        most = 0.0
        if community[i] < 0:
            for e in range(indptr[i], indptr[i + 1]):
                if founded[indices[e]] >= 0 and abs(data[e]) > most:
                    community[i], most = founded[indices[e]], abs(data[e])
    for i in range(n):
        if community[i] < 0:
            community[i] = found
            for e in range(indptr[i], indptr[i + 1]):
                if abs(data[e]) >= least[i] and community[indices[e]] < 0:
                    community[indices[e]] = found
            found += 1
    return found


@compiled
def propagate_labels(indptr: IntArray, indices: IntArray, data: FloatArray, label: IntArray, weight: FloatArray) -> int:
    """One after another, every agent takes the label that most of its trust goes to (its own where that is a tie).

    ``weight`` is a vector of zeros, one for each label, and is left so. Returns how many agents changed theirs.
    """
    changed = 0
    for i in range(indptr.shape[0] - 1):
        for e in range(indptr[i], indptr[i + 1]):
            weight[label[indices[e]]] += data[e]
        best = label[i]
        most = weight[best]
        for e in range(indptr[i], indptr[i + 1]):
            if weight[label[indices[e]]] > most:
                best = label[indices[e]]
                most = weight[best]
        for e in range(indptr[i], indptr[i + 1]):
            weight[label[indices[e]]] = 0.0
        changed += best != label[i]
        label[i] = best
    return changed


# ---------------------------------------------------------------------- one agent after another


@compiled
def push(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    visits: FloatArray,
    rest: FloatArray,
    touched: IntArray,
    tolerance: float,
    budget: int,
) -> tuple[int, int]:
    """Move attention along the weights: visits_j += rest_j, rest += rest_j B_j·, rest_j = 0, for agents with much of it.

    Keeps visits + rest (I − B)^{-1} as it is. Stops when Σ rest ≤ tolerance or ``budget`` entries were read; ``touched``
    starts with the agents whose rest is positive and grows. Returns (how many are touched, entries read). In every round
    an agent is pushed if it holds at least half the average, so at least half of what is left moves.
    """
    marked = np.zeros(rest.shape[0], dtype=np.bool_)
    count = 0
    while count < touched.shape[0] and touched[count] >= 0:
        marked[touched[count]] = True
        count += 1
    work = 0
    while work <= budget:
        total = 0.0
        for t in range(count):
            total += rest[touched[t]]
        if total <= tolerance:
            break
        least = 0.5 * total / count
        for t in range(count):
            j = touched[t]
            amount = rest[j]
            if amount < least:
                continue
            visits[j] += amount
            rest[j] = 0.0
            work += 1 + indptr[j + 1] - indptr[j]
            for e in range(indptr[j], indptr[j + 1]):
                k = indices[e]
                rest[k] += amount * data[e]
                if not marked[k]:
                    marked[k] = True
                    touched[count] = k
                    count += 1
    return count, work


@compiled
def attention_left(
    indptr: IntArray, indices: IntArray, data: FloatArray, visits: FloatArray, touched: IntArray, rest: FloatArray
) -> float:
    """rest ← rest − visits + Bᵀ visits on the agents touched, who are all that visits reach; a bound on its rounding, summed.

    A sum of k terms, each a product, is off by at most (k + 1) ε/2 times the sum of their sizes.
    """
    size, terms = np.zeros(rest.shape[0]), np.zeros(rest.shape[0], dtype=np.int64)
    for j in touched:
        size[j] += abs(rest[j]) + abs(visits[j])
        rest[j] -= visits[j]
    for j in touched:
        if visits[j] != 0.0:
            for e in range(indptr[j], indptr[j + 1]):
                rest[indices[e]] += visits[j] * data[e]
                size[indices[e]] += abs(visits[j]) * data[e]
                terms[indices[e]] += 1
    lost = 0.0
    for j in touched:
        lost += (terms[j] + 3) * size[j]
    return lost * 2.0**-52


@compiled
def gauss_seidel_sweep(
    indptr: IntArray, indices: IntArray, data: FloatArray, constant: FloatArray, order: IntArray, mean: FloatArray
) -> None:
    """One best response of every agent in turn, in place: mean[i] ← constant[i] + Σ_j B_ij mean[j]."""
    for i in order:
        for d in range(mean.shape[1]):
            total = constant[i, d]
            for e in range(indptr[i], indptr[i + 1]):
                total += data[e] * mean[indices[e], d]
            mean[i, d] = total


@compiled
def delayed_best_response(
    indptr: IntArray,
    indices: IntArray,
    data: FloatArray,
    constant: FloatArray,
    past: FloatArray,
    now: int,
    age: IntArray,
    active: BoolArray,
) -> None:
    """Best responses of the active agents to messages ``age[e]`` rounds old, the others stay; writes past[now].

    ``past`` is a ring buffer (rounds kept, n_agents, dim); the newest complete profile stands just before ``now``.
    """
    kept = past.shape[0]
    newest = (now - 1) % kept
    for i in range(indptr.shape[0] - 1):
        for d in range(past.shape[2]):
            if active[i]:
                total = constant[i, d]
                for e in range(indptr[i], indptr[i + 1]):
                    total += data[e] * past[(newest - age[e]) % kept, indices[e], d]
                past[now, i, d] = total
            else:
                past[now, i, d] = past[newest, i, d]
