"""What the experiments measure samples and models by: the Fréchet distance, and the spaces it is taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from benchmarks.report import progress
from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.errors import InvalidInput
from paper_figures.data import Part

T = TypeVar("T")
R = TypeVar("R")

FeatureMap = Callable[[AnyArray], FloatArray]
"""From images (n, pixels) to features (n, K)."""

# ---------------------------------------------------------------------- distance of two sets of samples


@dataclass(frozen=True)
class Moments:
    """Mean (K,) and covariance (K, K) of a set of features."""

    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, features: ArrayLike) -> Moments:
        """Of features (n, K), n ≥ 2, all of the same weight."""
        table = np.asarray(features, dtype=np.float64)
        if table.ndim != 2 or len(table) < 2:
            raise InvalidInput(f"the features have shape {table.shape}; they must be a table of at least two rows")
        return cls(table.mean(axis=0), np.atleast_2d(np.cov(table, rowvar=False)))


def frechet_distance(one: Moments, other: Moments) -> float:
    """Squared Fréchet (2-Wasserstein) distance of the Gaussians with these moments.

    |μ − ν|² + tr(A + B − 2 (A^½ B A^½)^½). Square roots of singular matrices are taken through their eigenvalues, so
    features that never vary do no harm. From finite samples it is biased upwards, by O(1/n): compare equal numbers only.

    References
    ----------
    D. Dowson, B. Landau (1982), "The Fréchet distance between multivariate normal distributions".

    Examples
    --------
    >>> one, other = Moments(np.zeros(2), np.eye(2)), Moments(np.array([3.0, 0.0]), 4.0 * np.eye(2))
    >>> frechet_distance(one, other)
    11.0
    """
    root = _root(one.covariance)
    cross = np.linalg.eigvalsh(root @ other.covariance @ root)
    overlap = np.sqrt(np.maximum(cross, 0.0)).sum()
    gap = one.mean - other.mean
    return float(gap @ gap + np.trace(one.covariance) + np.trace(other.covariance) - 2.0 * overlap)


def _root(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


# ---------------------------------------------------------------------- feature spaces


def principal_components(images: AnyArray, n_components: int) -> FeatureMap:
    """Projection to the first principal components of these images."""
    table = images.astype(np.float64)
    mean = table.mean(axis=0)
    directions = np.linalg.eigh(np.cov(table, rowvar=False))[1][:, ::-1][:, :n_components]
    return lambda values: np.asarray((values - mean) @ directions, dtype=np.float64)


def classifier(part: Part, width: int, epochs: int, seed: int) -> Any:
    """A multilayer perceptron of one hidden layer, rectified, trained to name the class of an image."""
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((width,), random_state=seed)
    rng, classes = np.random.default_rng(seed), np.unique(part.labels)
    images = part.images.astype(np.float32)
    for _ in range(epochs):  # one pass over the images each, in an order of its own
        order = rng.permutation(len(part))
        network.partial_fit(images[order], part.labels[order], classes=classes)
    return network


def hidden_layer(network: Any) -> FeatureMap:
    """What the last hidden layer of :func:`classifier` says of images."""

    def features(values: AnyArray) -> FloatArray:
        layer = np.asarray(values, dtype=np.float64)
        for weights, offset in zip(network.coefs_[:-1], network.intercepts_[:-1]):
            layer = np.maximum(layer @ weights + offset, 0.0)
        return layer

    return features


# ---------------------------------------------------------------------- a rival that exchanges coefficients, not samples


def federated_softmax(
    parts: Sequence[Part], rounds: int, *, seed: int, rate: float = 0.1, batch: int = 50
) -> Iterator[FloatArray]:
    """Softmax regression by federated averaging: the coefficients (pixels + 1, 10) after every round.

    In a round every agent makes one pass of stochastic gradient steps through its own images, starting from the common
    coefficients; the new ones are the average of all, weighted by numbers of images.

    References
    ----------
    B. McMahan et al. (2017), "Communication-efficient learning of deep networks from decentralized data",
    arXiv:1602.05629.
    """
    rng = np.random.default_rng(seed)
    tables = [with_constant(part.images) for part in parts]
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    common = np.zeros((tables[0].shape[1], 10))
    for _ in range(rounds):
        local = [_one_pass(common, x, part.labels, rate, batch, rng) for x, part in zip(tables, parts)]
        common = np.tensordot(counts / counts.sum(), np.array(local), axes=1)
        yield common


def with_constant(images: AnyArray) -> FloatArray:
    """The images with a last column of ones."""
    return np.concatenate([images, np.ones((len(images), 1))], axis=1, dtype=np.float64)


def _one_pass(
    start: FloatArray, x: FloatArray, labels: AnyArray, rate: float, batch: int, rng: np.random.Generator
) -> FloatArray:
    coefficients, order = start.copy(), rng.permutation(len(x))
    for first in range(0, len(x), batch):
        rows = order[first : first + batch]
        error = softmax(x[rows] @ coefficients)
        error[np.arange(rows.size), labels[rows]] -= 1.0
        coefficients -= rate / rows.size * (x[rows].T @ error)
    return coefficients


def softmax(scores: FloatArray) -> FloatArray:
    """Probabilities in proportion to the exponentials of every row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


# ---------------------------------------------------------------------- many independent experiments


def side_by_side(function: Callable[[T], R], tasks: Sequence[T], what: str, processes: int | None = None) -> list[R]:
    """``function(task)`` of every task, in worker processes, one for each core; in this one if ``processes`` is 1."""
    if processes == 1:
        return [function(task) for task in progress(tasks, what)]
    from joblib import Parallel, delayed

    workers = Parallel(n_jobs=processes or -1, return_as="generator")
    return [result for _, result in zip(progress(tasks, what), workers(delayed(function)(task) for task in tasks))]


def together(one: Part, other: Part) -> Part:
    """The images of both."""
    return Part(np.concatenate([one.images, other.images]), np.concatenate([one.labels, other.labels]))
