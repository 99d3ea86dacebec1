"""What the reproductions share: a line of the report, and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.plots.style import GREY, PALETTE, clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "GREY",
    "PALETTE",
    "Line",
    "Reproduction",
    "at_least",
    "at_most",
    "equal",
    "figure",
    "legend",
    "save",
    "v_norm",
    "within",
]


@dataclass(frozen=True)
class Line:
    """One number of theory beside the number found, and whether they agree as theory says."""

    quantity: str
    theory: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Reproduction:
    """What one label shows numerically."""

    game: str
    lines: tuple[Line, ...]
    picture: Path

    @property
    def holds(self) -> bool:
        """Whether every line agrees with theory."""
        return all(line.holds for line in self.lines)


def equal(quantity: str, theory: float, found: float, tolerance: float) -> Line:
    """Two numbers that must agree up to rounding, or up to a stated relative tolerance."""
    agrees = abs(found - theory) <= tolerance * max(1.0, abs(theory))
    return Line(quantity, f"{theory:.8g}", f"{found:.8g}", bool(agrees))


def at_most(quantity: str, bound: float, found: float) -> Line:
    """A number that theory bounds from above."""
    return Line(quantity, f"≤ {bound:.4g}", f"{found:.4g}", bool(found <= bound))


def at_least(quantity: str, bound: float, found: float) -> Line:
    """A number that theory bounds from below."""
    return Line(quantity, f"≥ {bound:.4g}", f"{found:.4g}", bool(found >= bound))


def within(quantity: str, theory: float, found: float, standard_error: float, sigmas: float = 7.0) -> Line:
    """A Monte-Carlo number with its standard error, accepted within so many of them."""
    agrees = abs(found - theory) <= sigmas * standard_error
    shown = f"{found:.5g} ± {standard_error:.1g} s.e., accepted within {sigmas:g}"
    return Line(quantity, f"{theory:.5g}", shown, bool(agrees))


def v_norm(x: FloatArray, v: FloatArray) -> float:
    """‖x‖_v = max |x_i|/v_i over agents and statistics."""
    return float(np.max(np.abs(x) / v[:, None]))


def figure(title: str, width: float = 10.0, height: float = 4.3, columns: int = 2, rows: int = 1) -> Any:
    """A figure with panels, row by row, and a title that says what is shown; returns figure and panels."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10})
    made: Figure = Figure(figsize=(width, height), layout="constrained")
    panels = made.subplots(rows, columns, squeeze=False).ravel()
    made.suptitle(title, fontsize=11)
    for ax in panels:
        clean(ax)
    return made, panels


def save(made: Figure, out: Path, label: str) -> Path:
    """Write the picture of a label into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{label}.png"
    made.savefig(path, dpi=140, bbox_inches="tight", pad_inches=0.08)
    return path


def legend(ax: Axes, **options: Any) -> None:
    """A legend without a frame."""
    ax.legend(frameon=False, fontsize=8, **options)
