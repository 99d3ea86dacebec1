"""Colours and what all plots share."""

from __future__ import annotations

from typing import Any

from expfam_game.errors import InvalidInput, MissingExtra

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Colours that people with any colour vision can tell apart (Okabe & Ito 2008), strongest contrast first."""

GREY = "#5F5F5F"
"""For lines that are theory, not data."""

GRADES = ("exact", "rigorous", "float")

PROOFS = {"exact": "proved exactly", "rigorous": "proved rigorously", "float": "computed, not proved"}
"""What the grade of a bound means, in words for a legend."""


def require_matplotlib() -> None:
    """Raise :class:`MissingExtra` unless Matplotlib can be imported."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtra("matplotlib", "plot", "Plotting") from None


def require_axes(ax: Any) -> None:
    """Raise :class:`MissingExtra` without Matplotlib, and :class:`InvalidInput` unless there are Axes to draw on."""
    require_matplotlib()
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise InvalidInput(
            f"the first argument is a Matplotlib Axes: fig, ax = plt.subplots(); got {type(ax).__name__}"
        )


def grade_name(grade: Any) -> str:
    """The grade of a bound as a word: from a string, or from anything whose ``value`` or ``name`` is that word."""
    for candidate in (grade, getattr(grade, "value", None), getattr(grade, "name", None)):
        if isinstance(candidate, str) and candidate.lower() in GRADES:
            return candidate.lower()
    raise InvalidInput(f"grade is {grade!r}; it must be one of {', '.join(GRADES)}")


def clean(ax: Any) -> None:
    """Leave out the frame lines that carry no information and put a light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, which="major", color="#E4E4E4", linewidth=0.7)
    ax.set_axisbelow(True)
