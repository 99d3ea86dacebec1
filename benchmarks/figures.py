"""The pictures of ``benchmarks.convergence``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import expfam_game as eg
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.files.messages import rounded_up
from expfam_game.plots.style import GREY, PROOFS, clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 160


@dataclass(frozen=True)
class Curve:
    """Errors of one solver on one game, ``‖μ^t − μ*‖_v`` from round 0."""

    solver: str
    errors: FloatArray


@dataclass(frozen=True)
class Panel:
    """All curves on one topology."""

    title: str
    q: float
    rho: float
    grade: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class NoiseCloud:
    """Predicted and observed variance of every entry of the profile in sampled play."""

    label: str
    predicted: FloatArray
    observed: FloatArray
    ratio: float
    standard_error: float


def _figure(width: float, height: float) -> Figure:
    """An empty figure; Matplotlib is imported here, so that a missing one can be reported in a sentence."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10, "figure.dpi": 100})
    return Figure(figsize=(width, height), layout="constrained")


def convergence_figure(panels: Sequence[Panel], subtitle: str, path: Path, rounds: int = 60) -> Path:
    """Error against round for every topology, with the proved envelope of simultaneous best response."""
    from matplotlib.lines import Line2D

    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = _figure(4.0 * columns, 3.0 * lines + 1.1)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    colours = dict(zip([curve.solver for curve in panels[0].curves], eg.plots.PALETTE))
    for ax, panel in zip(grid.flat, panels):
        for curve in panel.curves:
            plain = curve.solver == "Contraction"
            errors = curve.errors[: rounds + 1]
            eg.plots.convergence(
                ax,
                errors,
                envelope=_extended(errors, panel.q, rounds) if plain else None,
                grade=panel.grade,
                label=curve.solver,
                color=colours[curve.solver],
                linewidth=2.4 if plain else 1.5,
                zorder=3 if plain else 2,
            )
        ax.set_title(f"{panel.title}:  ρ(B) = {panel.rho:.4f},  q = {rounded_up(panel.q, 4)}")
        ax.set_xlim(0, rounds)
        ax.set_ylim(1e-16, 3.0)
        ax.label_outer()
    for ax in list(grid.flat)[len(panels) :]:
        ax.set_visible(False)
    keys = [Line2D([], [], color=colours[c.solver], linewidth=2, label=c.solver) for c in panels[0].curves]
    keys.append(Line2D([], [], color=GREY, linestyle="--", label=_envelope_label({p.grade for p in panels})))
    figure.legend(
        handles=keys, loc="outside lower center", ncols=5 if columns == 3 else 2 + columns // 2, frameon=False
    )
    figure.suptitle(f"Distance to the exact equilibrium — {subtitle}", fontsize=11)
    return _save(figure, path)


def _envelope_label(grades: set[str]) -> str:
    """What the dashed lines are, and what is behind the weakest of them."""
    weakest = next(grade for grade in ("float", "rigorous", "exact") if grade in grades)
    return f"bound $q^t$ of Contraction, q {PROOFS[weakest]}"


def _extended(errors: FloatArray, q: float, rounds: int) -> FloatArray:
    """q^t ‖e_0‖ as far as the error can be seen above rounding."""
    return np.asarray(errors[0] * q ** np.arange(rounds + 1))


def noise_figure(clouds: Mapping[str, Sequence[NoiseCloud]], subtitle: str, path: Path) -> Path:
    """Predicted against observed variance of every mean parameter in sampled play (T8), one panel per exchange."""
    figure = _figure(5.2 * len(clouds), 5.7)
    panels = figure.subplots(1, len(clouds), sharex=True, sharey=True, squeeze=False)[0]
    everything = np.concatenate(
        [np.r_[c.predicted.ravel(), c.observed.ravel()] for group in clouds.values() for c in group]
    )
    ends = np.array([everything[everything > 0].min() / 2, everything.max() * 2])
    for ax, (exchange, group) in zip(panels, clouds.items()):
        ax.plot(ends, ends, color="black", linewidth=1.0, label="observed = predicted", zorder=3)
        for cloud, colour, marker in zip(group, eg.plots.PALETTE, "os^Dv<>p"):
            _cloud(ax, cloud, colour, marker)
        ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends, title=exchange)
        ax.set_box_aspect(1)
        ax.set_xlabel("predicted variance of a mean parameter")
        clean(ax)
        for handle in ax.legend(
            frameon=False, loc="upper left", markerscale=2, title="observed / predicted ± standard error, topology"
        ).legend_handles:
            if handle is not None:
                handle.set_alpha(1.0)
    panels[0].set_ylabel("observed variance around the exact equilibrium")
    figure.suptitle(f"Noise floor of sampled play (T8) — {subtitle}", fontsize=11)
    return _save(figure, path)


def _cloud(ax: Axes, cloud: NoiseCloud, colour: str, marker: str) -> None:
    name = f"{cloud.ratio:.3f} ± {cloud.standard_error:.3f}  {cloud.label}"
    style: dict[str, Any] = {
        "color": colour,
        "markersize": 3.2,
        "alpha": 0.35,
        "markeredgewidth": 0,
        "linestyle": "none",
    }
    ax.plot(cloud.predicted.ravel(), cloud.observed.ravel(), marker=marker, label=name, **style)


def equilibrium_figure(
    alone: FloatArray,
    together: FloatArray,
    links: eg.Weights,
    counts: Sequence[int],
    shape: tuple[int, int],
    data: str,
    trust: float,
    path: Path,
) -> Path:
    """What every agent can draw alone, who listens to whom, and what every agent can draw at the equilibrium.

    ``trust`` is the self-weight of an agent that has seen a label; one that has not gives itself none. ``alone`` and
    ``together`` have shape (n_agents, n_labels, n_pixels), NaN where an agent never saw a label.
    """
    n_agents = alone.shape[0]
    figure = _figure(11.8, 3.35)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.0, 0.42, 1.0])
    names = [f"agent {agent}\n{count} images" for agent, count in enumerate(counts)]
    _gallery(left, np.where(np.isnan(alone), _NEVER_SEEN, alone), shape, names)
    left.set_title("Alone: mean image of each label (grey: never seen, no model)", pad=20)
    eg.plots.weights(middle, links, colorbar=False, key=False)
    middle.set_title(f"{data}:\nsamples travel,\ndata stay")
    about = rf"self-weight $\alpha_{{ii}}$ = {trust:g}" + "\n(0 for a label never seen)"
    middle.text(0.5, -0.02, about, ha="center", va="top", fontsize=8, transform=middle.transAxes)
    _gallery(right, together, shape, [f"agent {agent}" for agent in range(n_agents)])
    right.set_title("At the equilibrium: everybody has a model of every label", pad=20)
    return _save(figure, path)


_NEVER_SEEN = 0.13
"""Grey level of a label of which an agent has no model."""


def _gallery(ax: Axes, pictures: FloatArray, shape: tuple[int, int], names: Sequence[str]) -> None:
    labels = [str(label) for label in range(pictures.shape[1])]
    eg.plots.images(ax, list(pictures), shape, titles=labels, row_titles=names)


def influence_figure(
    game: eg.Game,
    own: Sequence[AnyArray],
    isolated: FloatArray,
    equilibrium: FloatArray,
    samples: AnyArray,
    shape: tuple[int, int],
    caption: str,
    path: Path,
) -> Path:
    """The influence matrix beside what each agent owns, models alone, and models at the equilibrium."""
    figure = _figure(12.4, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 2.55])
    eg.plots.influence(left, game)
    left.set_title("Influence $R = (I-B)^{-1}D$:\nwhose data makes whose model")
    eg.plots.images(
        right,
        [np.array([images[0] for images in own]), isolated, equilibrium, samples],
        shape,
        titles=[f"agent {agent}" for agent in range(game.n_agents)],
        row_titles=["one of its\nown images", "alone\n(mean)", "equilibrium\n(mean)", "equilibrium\n(sample)"],
    )
    right.set_title(caption, pad=20)
    return _save(figure, path)


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI, bbox_inches="tight", pad_inches=0.05)
    return path
