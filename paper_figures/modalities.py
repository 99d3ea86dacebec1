"""What the experiment with several modalities needs besides its model: tables, palettes, spread labels, paint, judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, BoolArray, FloatArray, IntArray
from expfam_game.learners.clustering import cluster
from expfam_game.samples import SampleSet
from paper_figures.layered import Layout

SIDE = 28
PIXELS = SIDE * SIDE
_PALETTE_PIXELS = 4000
_NEIGHBOURS = 6
_PULL = 0.99
_BINS = 9
_CELLS = 7


# ---------------------------------------------------------------------- tables


def table(
    layout: Layout,
    n: int,
    blocks: Mapping[Any, AnyArray],
    labels: IntArray | None = None,
    styles: IntArray | None = None,
) -> SampleSet:
    """Samples of which some blocks are observed.

    Parameters
    ----------
    layout : Layout
    n : int
        Number of rows.
    blocks : mapping
        From the number of a drawing, or ``"picture"``, to its values, shape (n, pixels).
    labels, styles : ndarray of int, optional
        Observed if given.
    """
    values, observed = np.zeros((n, layout.width), np.uint8), np.zeros(layout.width, dtype=bool)
    for name, block in blocks.items():
        columns = layout.over if name == "picture" else layout.drawing(name)
        values[:, columns], observed[columns] = block, True
    for column, given in enumerate((labels, styles)):
        if given is not None:
            values[:, column], observed[column] = given, True
    return SampleSet(values, observed)


def observed(samples: SampleSet) -> BoolArray:
    """The mask as an array, one entry a variable."""
    return np.asarray(samples.mask()[0])


def second_view(images: AnyArray, seed: int, flips: float = 0.08) -> AnyArray:
    """The drawing rotated by a right angle, inverted, under dark diagonal stripes of random phase, with flipped pixels."""
    rng = np.random.default_rng(seed)
    turned = 1 - np.rot90(images.reshape(-1, SIDE, SIDE), 1, (1, 2)).astype(np.int64)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    stripes = ((rows + columns)[None] + 2 * rng.integers(0, 4, len(images))[:, None, None]) % 8 < 2
    clean = np.where(stripes, 0, turned)
    flipped = np.where(rng.random(clean.shape) < flips, 1 - clean, clean)
    return flipped.reshape(len(images), -1).astype(np.uint8)


# ---------------------------------------------------------------------- colours


def palette(images: AnyArray, size: int, seed: int) -> FloatArray:
    """Colours that stand for all: centres of k-means on random pixels, shape (size, 3)."""
    rng = np.random.default_rng(seed)
    pixels = images.reshape(-1, 3)
    pixels = pixels[rng.choice(len(pixels), min(_PALETTE_PIXELS, len(pixels)), replace=False)].astype(np.float64)
    shares = cluster(pixels, np.full(len(pixels), 1.0 / len(pixels)), size, rng, steps=15)
    return np.asarray((shares.T @ pixels) / shares.sum(axis=0)[:, None])


def to_symbols(images: AnyArray, colours: FloatArray) -> AnyArray:
    """The number of the nearest colour, shape (n, pixels)."""
    flat = images.reshape(len(images), -1, 3)
    norms = np.einsum("vc,vc->v", colours, colours)
    return np.stack([np.argmin(norms - 2.0 * (image @ colours.T), axis=1) for image in flat]).astype(np.uint8)


def repaint(drawings: AnyArray, donors: AnyArray, layers: AnyArray) -> AnyArray:
    """Each drawing in the colours of a donor picture: every pixel takes the colour of the donor's nearest one of its layer.

    Parameters
    ----------
    drawings : ndarray of 0 and 1, shape (n, pixels)
    donors : ndarray, shape (n, 28, 28, 3)
    layers : ndarray of 0 and 1, shape (n, pixels)
        Where the donors have ink. A donor without a layer gives the colours it has.
    """
    from scipy.ndimage import distance_transform_edt

    out = np.empty_like(donors)
    for i, (drawing, donor, layer) in enumerate(zip(drawings, donors, layers, strict=True)):
        drawing, layer = drawing.reshape(SIDE, SIDE), layer.reshape(SIDE, SIDE)
        for kind in (0, 1):
            source = layer == kind if (layer == kind).any() else np.ones_like(layer, dtype=bool)
            nearest = distance_transform_edt(~source, return_distances=False, return_indices=True)
            out[i] = np.where((drawing == kind)[..., None], donor[nearest[0], nearest[1]], out[i])
    return out


# ---------------------------------------------------------------------- few labels


def spread_labels(images: AnyArray, labels: IntArray, n_classes: int = 10, steps: int = 300) -> IntArray:
    """All labels from few: each is passed on along a graph of nearest neighbours, and classes get equal mass.

    Parameters
    ----------
    images : ndarray, shape (n, 784)
    labels : ndarray of int, shape (n,)
        −1 where unknown.

    References
    ----------
    D. Zhou et al. (2003), "Learning with local and global consistency"; L. Zelnik-Manor, P. Perona (2004) for the local scale.
    """
    from scipy.ndimage import gaussian_filter
    from sklearn.decomposition import PCA
    from sklearn.neighbors import kneighbors_graph

    smooth = gaussian_filter(images.reshape(-1, SIDE, SIDE).astype(np.float64), (0, 1.0, 1.0)).reshape(len(images), -1)
    points = PCA(min(50, len(images) - 1), random_state=0).fit_transform(smooth)
    graph = kneighbors_graph(points, _NEIGHBOURS, mode="distance")
    scale = graph.max(axis=1).toarray().ravel()
    rows, columns = graph.nonzero()
    graph.data = np.exp(-3.0 * graph.data**2 / (scale[rows] * scale[columns]))
    graph = graph.maximum(graph.T)
    root = 1.0 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel())
    graph = graph.multiply(root[:, None]).multiply(root[None, :]).tocsr()
    known = np.zeros((len(images), n_classes))
    known[labels >= 0, labels[labels >= 0]] = 1.0
    belief = known.copy()
    for _ in range(steps):
        belief = _PULL * (graph @ belief) + (1.0 - _PULL) * known
    mass = belief.sum(axis=0)
    found = np.argmax(belief / np.where(mass > 0, mass, 1.0), axis=1)
    return np.where(labels >= 0, labels, found)


def keep_labels(labels: IntArray, share: float, seed: int) -> IntArray:
    """Only a share of the labels, the same number of each class and at least one; −1 for the others."""
    rng = np.random.default_rng(seed)
    kept = np.full(len(labels), -1)
    count = max(1, round(share * len(labels) / 10))
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        kept[rng.choice(members, min(count, members.size), replace=False)] = c
    return kept


# ---------------------------------------------------------------------- judges


def edges(images: AnyArray) -> FloatArray:
    """Histograms of unsigned edge directions in 7 × 7 cells, normalised over 2 × 2 of them (Dalal, Triggs 2005): blind to
    inversion and nearly so to colour, shape (n, 1296)."""
    grey = images.astype(np.float32)
    down, right = np.gradient(grey, axis=(1, 2))
    size = np.hypot(down, right)
    strongest = size.argmax(axis=-1)[..., None]
    down, right, size = (np.take_along_axis(x, strongest, -1)[..., 0] for x in (down, right, size))
    angle = np.arctan2(down, right) % np.pi * (_BINS / np.pi)
    low = np.floor(angle).astype(np.int64)
    part = angle - low
    cell = SIDE // _CELLS
    cells = np.empty((len(images), _CELLS, _CELLS, _BINS), np.float32)
    for b in range(_BINS):
        share = size * ((low % _BINS == b) * (1.0 - part) + ((low + 1) % _BINS == b) * part)
        cells[..., b] = share.reshape(-1, _CELLS, cell, _CELLS, cell).sum(axis=(2, 4))
    blocks = np.concatenate([cells[:, :-1, :-1], cells[:, 1:, :-1], cells[:, :-1, 1:], cells[:, 1:, 1:]], axis=-1)
    square = (blocks**2).sum(axis=-1, keepdims=True)
    blocks /= np.sqrt(square + 0.01 * square.mean(axis=(1, 2), keepdims=True) + 1e-9)
    return blocks.reshape(len(images), -1)


class Judge:
    """A small network that has seen none of the models: on edges for colour pictures, on pixels for binary ones."""

    def __init__(self, hidden: int = 128, epochs: int = 12) -> None:
        self.hidden, self.epochs = hidden, epochs

    def fit(self, images: AnyArray, labels: IntArray) -> Judge:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        self._net = MLPClassifier((self.hidden,), alpha=1e-2, max_iter=self.epochs, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are enough, and are meant
            self._net.fit(self._features(images), labels)
        return self

    def predict(self, images: AnyArray) -> IntArray:
        return np.asarray(self._net.predict(self._features(images)))

    def agrees(self, images: AnyArray, labels: IntArray) -> float:
        """Share of pictures that it takes for the given class."""
        verdict: BoolArray = self.predict(images) == labels
        return float(verdict.mean())

    @staticmethod
    def _features(images: AnyArray) -> FloatArray:
        return edges(images) if images.ndim == 4 else images.astype(np.float32)
