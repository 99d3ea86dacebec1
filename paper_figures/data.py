"""Images for the experiments: training, validation and test parts, and five modalities after the recipe of PolyMNIST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from expfam_game import datasets
from expfam_game._typing import AnyArray, IntArray
from expfam_game.errors import MissingExtra

_SPLIT_SEED = 2511
"""The validation images are the same in every experiment, whatever the seed."""

VALIDATION = 10_000
BACKGROUNDS = ("astronaut", "coffee", "hubble_deep_field", "immunohistochemistry", "retina")
"""Photographs inside the scikit-image package, one per modality; sources and licences in its documentation."""


@dataclass(frozen=True)
class Part:
    """Images (n, pixels), uint8, and labels (n,)."""

    images: AnyArray
    labels: AnyArray

    def take(self, rows: IntArray) -> Part:
        return Part(self.images[rows], self.labels[rows])

    def table(self, dtype: type = np.uint8) -> AnyArray:
        """One row a sample: the pixels and, in the last column, the label."""
        return np.concatenate([self.images, self.labels[:, None]], axis=1).astype(dtype, copy=False)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Images:
    """50,000 images to train on, 10,000 to choose settings on, and the official test set."""

    train: Part
    validation: Part
    test: Part


def load(name: Literal["mnist", "fashion"], threshold: int | None = 127) -> Images:
    """MNIST or Fashion-MNIST; the validation part is the same random sixth of the official training set every time."""
    read = datasets.mnist if name == "mnist" else datasets.fashion_mnist
    images, labels = read("train", threshold)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    everything = Part(images, labels)
    return Images(
        everything.take(np.sort(order[VALIDATION:])),
        everything.take(np.sort(order[:VALIDATION])),
        Part(*read("test", threshold)),
    )


def some_per_class(part: Part, count: int, seed: int) -> Part:
    """``count`` random images of each of ten classes, shuffled."""
    rng = np.random.default_rng(seed)
    rows = [rng.choice(np.flatnonzero(part.labels == c), count, replace=False) for c in range(10)]
    return part.take(rng.permutation(np.concatenate(rows)))


# ---------------------------------------------------------------------- five modalities


@dataclass(frozen=True)
class Views:
    """Tuples of views of one digit each, in different handwritings.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, n_modalities, 28, 28, 3)
    masks : ndarray of uint8, shape (n, n_modalities, 784)
        1 where the digit is.
    labels : ndarray, shape (n,)
    """

    images: AnyArray
    masks: AnyArray
    labels: AnyArray

    def take(self, rows: IntArray) -> Views:
        return Views(self.images[rows], self.masks[rows], self.labels[rows])


def five_modalities(part: Part, seed: int, n_modalities: int = len(BACKGROUNDS)) -> Views:
    """Digits inverted into random crops of one photograph per modality (Sutter, Daunhawer, Vogt 2021, arXiv:2105.02470).

    Parameters
    ----------
    part : Part
        Grey MNIST images (``threshold=None``).
    seed : int
        Of the pairing of handwritings and of the crops. The published generator has no seed, so results are not
        comparable with published ones.
    n_modalities : int
        From 1 to 5.

    Raises
    ------
    MissingExtra
        Without scikit-image.
    """
    rng = np.random.default_rng(seed)
    n = len(part)
    masks = np.empty((n, n_modalities, 784), np.uint8)
    images = np.empty((n, n_modalities, 28, 28, 3), np.uint8)
    for m in range(n_modalities):
        for c in np.unique(part.labels):
            members = np.flatnonzero(part.labels == c)
            masks[members, m] = part.images[rng.permutation(members)] > 128
        crops = _crops(_background(BACKGROUNDS[m]), n, rng)
        inside = masks[:, m].reshape(n, 28, 28, 1) == 1
        images[:, m] = np.where(inside, 255 - crops, crops)
    return Views(images, masks, part.labels)


def _background(name: str) -> AnyArray:
    try:
        from skimage import data
    except ImportError:
        raise MissingExtra("scikit-image", "bench", "The five modalities") from None
    return np.asarray(getattr(data, name)())


def _crops(photograph: AnyArray, n: int, rng: np.random.Generator) -> AnyArray:
    height, width = photograph.shape[:2]
    top, left = rng.integers(0, height - 28, n), rng.integers(0, width - 28, n)
    windows = np.lib.stride_tricks.sliding_window_view(photograph, (28, 28), axis=(0, 1))
    return np.moveaxis(windows[top, left], 1, -1)
