"""Mosaics of small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.plots.style import require_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def images(
    ax: Axes,
    rows: Sequence[ArrayLike],
    shape: tuple[int, int],
    titles: Sequence[str] | None = None,
    *,
    row_titles: Sequence[str] | None = None,
    cmap: str = "gray_r",
    vmin: float = 0.0,
    vmax: float | None = 1.0,
    share_scale: bool = True,
    missing: str = "",
) -> Axes:
    """Draw rows of small images as one mosaic.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    rows : sequence of array_like, shape (n_columns, height * width) or (n_columns, height, width)
        One item per row of the mosaic; rows may differ in length.
    shape : (int, int)
        Height and width of one image in pixels.
    titles : sequence of str, optional
        One per column, above the mosaic.
    row_titles : sequence of str, optional
        One per row, to the left.
    cmap, vmin, vmax
        Colour map and the values of its ends; ``vmax=None`` takes the largest value.
    share_scale : bool
        With False every image is divided by its own largest value first, which shows faint images.
    missing : str
        Written in place of an image that is NaN throughout.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.images(ax, [[[0, 1, 1, 0], [1, 0, 0, 1]]], shape=(2, 2), titles=["a", "b"])
    >>> plt.close()
    """
    require_axes(ax)
    tiles = [_tiles(row, shape, number, share_scale) for number, row in enumerate(rows)]
    if not tiles:
        raise InvalidInput("rows is empty; give at least one row of images")
    columns = max(len(row) for row in tiles)
    for name, given, needed in (("titles", titles, columns), ("row_titles", row_titles, len(tiles))):
        if given is not None and len(given) != needed:
            raise InvalidInput(f"{name} has {len(given)} entries for {needed} places")
    mosaic, step = _mosaic(tiles, shape, columns)
    ax.imshow(mosaic, cmap=_map_with_gaps(cmap), vmin=vmin, vmax=vmax, interpolation="nearest")
    ax.set_xticks([k * step[1] + (shape[1] - 1) / 2 for k in range(columns)], titles or [""] * columns)
    ax.set_yticks([k * step[0] + (shape[0] - 1) / 2 for k in range(len(tiles))], row_titles or [""] * len(tiles))
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    for number, row in enumerate(tiles):
        for column in np.flatnonzero(np.isnan(row).all(axis=(1, 2))):
            middle = (column * step[1] + (shape[1] - 1) / 2, number * step[0] + (shape[0] - 1) / 2)
            ax.text(*middle, missing, ha="center", va="center", fontsize=7)
    return ax


def _tiles(row: ArrayLike, shape: tuple[int, int], number: int, share_scale: bool) -> FloatArray:
    values = np.asarray(row, dtype=np.float64)
    if values.ndim < 2 or values.size != values.shape[0] * shape[0] * shape[1]:
        raise InvalidInput(f"row {number} has shape {values.shape}; it must be (n_images, {shape[0]} * {shape[1]})")
    tiles = values.reshape(-1, *shape)
    if share_scale:
        return tiles
    top = tiles.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(tiles, top, out=np.zeros_like(tiles), where=top > 0))


def _mosaic(tiles: list[FloatArray], shape: tuple[int, int], columns: int) -> tuple[AnyArray, tuple[int, int]]:
    """All tiles on one canvas with gaps of about a tenth of a tile, which are masked."""
    gap = max(1, round(0.08 * max(shape)))
    step = (shape[0] + gap, shape[1] + gap)
    canvas = np.full((len(tiles) * step[0] - gap, columns * step[1] - gap), np.nan)
    for i, row in enumerate(tiles):
        for j, tile in enumerate(row):
            canvas[i * step[0] : i * step[0] + shape[0], j * step[1] : j * step[1] + shape[1]] = tile
    return np.ma.masked_invalid(canvas), step


def _map_with_gaps(name: str) -> Any:
    import matplotlib

    colours = matplotlib.colormaps[name].copy()
    colours.set_bad("#00000000")
    return colours
