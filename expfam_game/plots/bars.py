"""Regrets and proved bounds, agent by agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expfam_game._typing import ArrayLike, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.plots.style import PALETTE, PROOFS, clean, grade_name, require_axes
from expfam_game.solvers.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes


ROUNDING = 1e-18
"""Nats below which a regret computed in float64 says nothing."""


def regret(ax: Axes, solution: Solution, *, bound: float | None = None, grade: Any = "float") -> Axes:
    """Draw what every agent would gain by its best response, in nats, on a logarithmic axis (T1).

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    solution : Solution
        Its regrets are floating-point numbers, so those below 1e-18 nats are rounding: they are drawn as triangles at the
        foot of the axis. A missing regret (an agent on the boundary) is not drawn at all.
    bound : float, optional
        An upper bound on all regrets, drawn as a line; for example ``certificate.regret_upper``.
    grade : {"exact", "rigorous", "float"} or Grade
        What kind of evidence stands behind ``bound``; named in the legend.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.regret(ax, eg.solve(eg.catalog.ring(), eg.solvers.Contraction(tolerance=1e-6)))
    >>> plt.close()
    """
    require_axes(ax)
    if not isinstance(solution, Solution):
        raise InvalidInput(f"regret is drawn for a Solution, got {type(solution).__name__}")
    word = PROOFS[grade_name(grade)]
    agents, values = np.arange(solution.regret.size), np.abs(solution.regret)
    values = np.where(values <= ROUNDING, 0.0, values)
    rounding = f"zero or rounding, below {ROUNDING:.0e} (grade: float)"
    _log_bars(ax, agents, values, "computed regret (grade: float)", rounding, ROUNDING)
    if bound is not None:
        ax.axhline(float(bound), color=PALETTE[1], linestyle="--", linewidth=1.3, label=f"bound on all, {word}")
        ax.set_ylim(bottom=min(ax.get_ylim()[0], 0.1 * float(bound)) if bound > 0 else None)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False)
    ax.set_ylabel("regret (nats)")
    return ax


def bounds(ax: Axes, lower: ArrayLike, upper: ArrayLike, *, error: ArrayLike | None = None, grade: Any) -> Axes:
    """Draw how wide the enclosure of each agent's mean parameters is, and the true error inside it where it is known.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    lower, upper : array_like, shape (n_agents, dim)
        For example ``certificate.mean_lower`` and ``certificate.mean_upper``.
    error : array_like, shape (n_agents, dim), optional
        ``|μ − μ*|`` of the computed profile, from an exact solution.
    grade : {"exact", "rigorous", "float"} or Grade
        What kind of evidence the enclosure is.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.bounds(ax, [[0.1], [0.2]], [[0.1001], [0.2001]], grade="float")
    >>> plt.close()
    """
    require_axes(ax)
    word = PROOFS[grade_name(grade)]
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if low.ndim != 2 or low.shape != high.shape or np.any(low > high):
        raise InvalidInput("lower and upper must both have shape (n_agents, dim), lower nowhere above upper")
    widths = np.max(high - low, axis=1)
    agents = np.arange(low.shape[0])
    _log_bars(ax, agents, widths, f"width of the enclosure, {word}", "width zero")
    if error is not None:
        worst = np.max(np.abs(np.asarray(error, dtype=np.float64)), axis=1)
        known = worst > 0
        ax.plot(agents[known], worst[known], "o", color=PALETTE[1], label="true error")
    ax.legend(frameon=False)
    ax.set_ylabel("largest over the statistics (mean parameter)")
    return ax


def _log_bars(
    ax: Axes, agents: Any, values: FloatArray, label: str, zero_label: str, floor: float | None = None
) -> None:
    """Bars on a logarithmic axis; zeros become triangles that point down at its foot, which is ``floor`` if given."""
    positive, zero = values > 0, values == 0
    lowest = 10.0 ** np.floor(np.log10(values[positive].min()) - 1.0) if positive.any() else 1e-20
    foot = lowest if floor is None or (positive.any() and not zero.any()) else floor
    ax.set_yscale("log")
    if positive.any():
        ax.bar(agents[positive], values[positive] - foot, bottom=foot, color=PALETTE[0], width=0.7, label=label)
    if zero.any():
        ax.plot(agents[zero], np.full(int(zero.sum()), 1.3 * foot), "v", color=PALETTE[0], label=zero_label)
    highest = values[positive].max() if positive.any() else 1e4 * foot
    ax.set_ylim(bottom=foot, top=highest * (highest / foot) ** 0.25)  # a fifth of the height for the legend
    ax.set_xlabel("agent")
    if agents.size <= 20:
        ax.set_xticks(agents)
    clean(ax)
    ax.grid(False, axis="x")
