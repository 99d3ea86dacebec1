"""The pictures of the experiment with five and with two modalities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from expfam_game._typing import AnyArray
from expfam_game.plots.style import GREY, PALETTE, clean

SHORT = ("astronaut", "coffee", "hubble", "tissue", "retina")
"""Names of the modalities that fit into a picture."""


def _tile(ax: Any, rows: Sequence[Sequence[AnyArray]], titles: Sequence[str], cmap: str | None = None) -> None:
    """Rows of pictures with a thin white line between them."""
    colour = np.ndim(rows[0][0]) == 3
    height, width = 30 * len(rows), 30 * max(len(row) for row in rows)
    mosaic = np.full((height, width, 3) if colour else (height, width), 255.0 if colour else 0.0)
    for r, row in enumerate(rows):
        for k, tile in enumerate(row):
            mosaic[30 * r + 1 : 30 * r + 29, 30 * k + 1 : 30 * k + 29] = tile
    ax.imshow(mosaic.astype(np.uint8) if colour else mosaic, cmap=cmap, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([30 * r + 15 for r in range(len(rows))], titles)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def draw_views(view: dict[str, Any]) -> Figure:
    """What agents see, and the drawing that each infers without ever having seen one of its pictures' drawings."""
    figure = Figure(figsize=(9.0, 8.2), layout="constrained")
    ax = figure.subplots()
    test, rows, titles = view["test"], [], []
    for m, name in enumerate(SHORT):
        drawn = [np.repeat(255 * (1 - x.reshape(28, 28, 1)), 3, axis=-1) for x in view["inferred"][m]]
        rows += [list(test.images[:10, m]), drawn]
        titles += [name, "drawing inferred"]
    _tile(ax, rows, titles)
    ax.set_title(
        "Test pictures, five views of one digit in a column; below each the drawing its agent infers", fontsize=10
    )
    return figure


def draw_generation(view: dict[str, Any]) -> Figure:
    """Rows: the picture that is given, and what the five agents make of its class and style."""
    figure = Figure(figsize=(11.5, 6.4), layout="constrained")
    for m, ax in enumerate(figure.subplots(2, 3).ravel()):
        if m == 5:
            ax.axis("off")
            ax.text(
                0.02,
                0.6,
                "Top row: given test pictures.\nBelow: class and style are inferred from\nit; each agent paints the most probable\ndrawing in colours of a picture of its own.",
                fontsize=9,
            )
            continue
        rows = [list(view["test"].images[:8, m])] + [list(view["shown"][m, b]) for b in range(5)]
        _tile(ax, rows, ["given", *SHORT])
        ax.set_title(f"given: {SHORT[m]}", fontsize=10)
        ax.tick_params(labelsize=7)
    return figure


def draw_numbers(views: Sequence[dict[str, Any]]) -> Figure:
    """Accuracy of each modality by source of pairs, and coherence of generation."""
    figure = Figure(figsize=(11.5, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    bars = {
        "classifier on labelled pictures": [v["classifier"] for v in views],
        "real pairs (class, drawing)": [v["real"] for v in views if v["real"].size],
        "the game, round 1": [v["accuracy"][1] for v in views],
        f"the game, round {len(views[0]['accuracy']) - 1}": [v["accuracy"][-1] for v in views],
    }
    bars = {name: values for name, values in bars.items() if values}
    for k, (name, values) in enumerate(bars.items()):
        stack = np.array(values)
        x = np.arange(5) + (k - len(bars) / 2 + 0.5) * 0.8 / len(bars)
        middle = np.median(stack, axis=0)
        error = np.abs(np.stack([stack.min(axis=0), stack.max(axis=0)]) - middle)
        left.bar(x, middle, 0.8 / len(bars), yerr=error, color=PALETTE[k], label=name, error_kw={"linewidth": 1})
    left.set_xticks(range(5), SHORT, fontsize=8)
    left.set_ylabel("accuracy on test pictures")
    left.set_ylim(0, 1)
    left.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    clean(left)
    square = np.median([v["crisp"] for v in views], axis=0)
    right.imshow(square, cmap="Blues", vmin=0, vmax=1)
    for (a, b), value in np.ndenumerate(square):
        right.text(
            b, a, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black", fontsize=9
        )
    right.set_xticks(range(5), SHORT, rotation=30, fontsize=8)
    right.set_yticks(range(5), SHORT, fontsize=8)
    right.set_xlabel("painted in")
    right.set_ylabel("given picture")
    right.set_title("coherence by an independent judge", fontsize=10)
    return figure


def draw_chain(chains: dict[float, list[dict[str, Any]]]) -> Figure:
    """Accuracy of the three agents over rounds, and what P and B make of x1."""
    figure = Figure(figsize=(11.5, 7.0), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    names = (
        ("A, x1", "first", 0),
        ("P, x1", "first", 1),
        ("P, x2", "second", 1),
        ("B, x2: never a label", "second", 2),
    )
    for column, (share, runs) in enumerate(chains.items()):
        ax = figure.add_subplot(grid[0, column])
        for k, (name, key, agent) in enumerate(names):
            stack = np.array([c[key][:, agent] for c in runs])
            rounds = np.arange(stack.shape[1])
            ax.plot(rounds, np.median(stack, axis=0), ".-", color=PALETTE[k], label=name)
            ax.fill_between(rounds, stack.min(axis=0), stack.max(axis=0), color=PALETTE[k], alpha=0.15, linewidth=0)
        ax.axhline(0.55 if share == 1.0 else 0.40, color=GREY, linestyle="--", linewidth=1, label="asked of B")
        ax.set_xticks(rounds)
        ax.set_ylim(0, 1)
        ax.set_xlabel("round")
        ax.set_ylabel("accuracy on test images")
        ax.set_title(f"A has {share:.0%} of its labels", fontsize=10)
        clean(ax)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    ax = figure.add_subplot(grid[1, :])
    rows = [[x.reshape(28, 28) for x in row] for row in next(iter(chains.values()))[0]["pictures"]]
    _tile(ax, rows, ["given x1", "a real x2 of it", "P: x2 given x1", "A: class, B: x2"], cmap="gray_r")
    return figure
