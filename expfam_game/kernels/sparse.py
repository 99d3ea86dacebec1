"""Sweeps over sparse weights with many statistics at a time."""

from __future__ import annotations

from numba import njit

from expfam_game._typing import BoolArray, FloatArray, IntArray


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
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
