"""Weighted k-means, from which new mixture components start."""

from __future__ import annotations

import numpy as np

from expfam_game._typing import BoolArray, FloatArray


def cluster(points: FloatArray, weights: FloatArray, k: int, rng: np.random.Generator, steps: int = 3) -> FloatArray:
    """Responsibilities of k clusters, by weighted k-means from a k-means++ start.

    Clusters that get no points share all of them at random, so that no two clusters are alike.

    Parameters
    ----------
    points : ndarray, shape (n, D)
    weights : ndarray, shape (n,)
        Positive, with sum one.
    k : int
    rng : Generator
    steps : int
        Steps of Lloyd's algorithm.

    Returns
    -------
    ndarray, shape (n, k)
        Rows sum to the weights.

    References
    ----------
    D. Arthur, S. Vassilvitskii (2007), "k-means++: the advantages of careful seeding".
    """
    if k == 1:
        return weights[:, None].copy()
    assignment = np.argmin(_squared_distances(points, _spread_points(points, weights, k, rng)), axis=1)
    for _ in range(steps):
        shares = np.zeros((k, len(points)))
        shares[assignment, np.arange(len(points))] = weights
        mass = shares.sum(axis=1)
        alive = mass > 0
        distances = _squared_distances(points, shares[alive] @ points / mass[alive, None])
        assignment = np.flatnonzero(alive)[np.argmin(distances, axis=1)]
    result = np.zeros((points.shape[0], k))
    result[np.arange(points.shape[0]), assignment] = 1.0
    empty = ~result.any(axis=0)
    result[:, empty] = rng.exponential(size=(points.shape[0], int(empty.sum()))) / points.shape[0]
    return np.asarray(result * (weights / result.sum(axis=1))[:, None])


def _spread_points(points: FloatArray, weights: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """k points, each drawn with probability proportional to weight times squared distance to those before it."""
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    squares = np.einsum("nd,nd->n", points, points)
    distances = np.full(len(points), np.inf)
    for _ in range(k - 1):
        last = points[chosen[-1]]
        distances = np.minimum(distances, np.maximum(squares - 2.0 * (points @ last) + last @ last, 0.0))
        gain = weights * distances
        total = gain.sum()
        chosen.append(int(rng.choice(len(points), p=gain / total if total > 0 else weights / weights.sum())))
    return points[chosen]


def _squared_distances(points: FloatArray, centres: FloatArray) -> FloatArray:
    """Up to a term that depends on the point only."""
    return np.asarray(np.einsum("kd,kd->k", centres, centres) - 2.0 * (points @ centres.T))


def fill_with_means(values: FloatArray, mask: BoolArray | None) -> FloatArray:
    """Missing values replaced by the mean of their column."""
    if mask is None:
        return values
    known = np.broadcast_to(mask, values.shape)
    means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, values, means)
