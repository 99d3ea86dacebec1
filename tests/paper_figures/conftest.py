"""Digits that come with scikit-learn, enlarged to the size of MNIST: figures can be made without any file."""

import numpy as np
import pytest

from expfam_game import datasets
from paper_figures.data import Images, Part


def enlarged(grey=False):
    """1,797 images of 28 × 28 pixels as training, validation and test part, binary or in 0 … 255."""
    images, labels = datasets.digits(threshold=None)
    large = np.kron(images.reshape(-1, 8, 8), np.ones((3, 3), np.uint8))
    large = np.pad(large, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784)
    values = (large * 15).astype(np.uint8) if grey else (large > 8).astype(np.uint8)
    everything = Part(values, labels)
    return Images(*(everything.take(rows) for rows in np.split(np.arange(len(labels)), [1200, 1400])))


@pytest.fixture(scope="session")
def small_digits():
    """``small_digits(grey=False)``: training, validation and test part."""
    return enlarged
