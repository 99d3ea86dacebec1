"""Sums and draws from weights that are known by their logarithms."""

from __future__ import annotations

import numpy as np

from expfam_game._typing import FloatArray, IntArray


def log_sum_exp(values: FloatArray) -> FloatArray:
    """log Σ exp over the last axis; −∞ where all are.

    >>> log_sum_exp(np.array([[-1000.0, -1000.0], [-np.inf, -np.inf]]))
    array([-999.30685282,          -inf])
    """
    largest = values.max(axis=-1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        result = np.log(np.exp(values - largest).sum(axis=-1)) + largest[..., 0]
    return np.asarray(result)


def draw_index(log_weights: FloatArray, rng: np.random.Generator) -> IntArray:
    """One index a row, with probability proportional to exp(log_weights), shape (n, m)."""
    cumulative = np.cumsum(np.exp(log_weights - log_weights.max(axis=1, keepdims=True)), axis=1)
    thresholds = rng.random(len(cumulative)) * cumulative[:, -1]
    return np.asarray((cumulative <= thresholds[:, None]).sum(axis=1))
