"""Games of black-box agents, round by round: a metric, and a statistic beside what theory predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.plots.style import GREY, PALETTE, clean, require_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def metric_by_round(ax: Axes, result: Any, name: str, *, labels: Sequence[str] | None = None, **line: Any) -> Axes:
    """Draw a metric of every agent after every round; round 0 is isolated learning.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : PlayResult
        Rounds in which an agent failed are marked with a cross.
    name : str
        A metric that was recorded.
    labels : sequence of str, optional
        Names of the agents.
    **line
        Passed on to ``ax.plot``.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> from expfam_game.bridge import FamilyAgent, play
    >>> from expfam_game.plots.rounds import metric_by_round
    >>> agents, data = [FamilyAgent(eg.families.Poisson())] * 2, [[[1.0], [2.0]], [[5.0]]]
    >>> result = play(agents, eg.Weights.complete(2), data, 3, metrics={"mean": lambda agent, index: agent.mean_[0]})
    >>> _, ax = plt.subplots()
    >>> metric_by_round(ax, result, "mean").get_ylabel()
    'mean'
    >>> plt.close()
    """
    require_axes(ax)
    values = result.metric(name)
    rounds = np.arange(len(values))
    for agent in range(values.shape[1]):
        style = {"color": PALETTE[agent % len(PALETTE)], "linewidth": 1.6, "marker": ".", **line}
        ax.plot(rounds, values[:, agent], label=_name(agent, labels), **style)
    for agent, faulty in {(fault.agent, fault.round) for fault in result.faults}:
        ax.plot([faulty], [values[faulty, agent]], "x", color=PALETTE[agent % len(PALETTE)], markersize=9)
    _finish(ax, rounds, name)
    return ax


def theory_by_round(
    ax: Axes,
    check: Any,
    entry: int = 0,
    *,
    z: float = 3.0,
    agents: Sequence[int] | None = None,
    labels: Sequence[str] | None = None,
) -> Axes:
    """Draw a statistic of every agent after every round, its predicted path with a band, and where it should end (T2, T8).

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    check : TheoryCheck
        ``result.theory``.
    entry : int
        Which entry of the statistic, for example which class.
    z : float
        Half-width of the band in standard errors; a point leaves a band of three with probability .003.
    agents : sequence of int, optional
        Whom to draw; by default everybody.
    labels : sequence of str, optional
        Names of all agents.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> from expfam_game.bridge import FamilyAgent, play
    >>> from expfam_game.plots.rounds import theory_by_round
    >>> agents, data = [FamilyAgent(eg.families.Poisson())] * 2, [[[1.0], [2.0]], [[5.0]]]
    >>> result = play(agents, eg.Weights.complete(2), data, 3, statistic=lambda x: x)
    >>> _, ax = plt.subplots()
    >>> theory_by_round(ax, result.theory).get_ylabel()
    'statistic 0'
    >>> plt.close()
    """
    require_axes(ax)
    if not hasattr(check, "observed"):
        raise InvalidInput(
            "there is no theory check to draw; result.notes says why, or play had neither label nor statistic"
        )
    if not 0 <= entry < len(check.names):
        raise InvalidInput(f"entry is {entry!r}; the statistic has the entries 0 to {len(check.names) - 1}")
    observed: FloatArray = check.observed[:, :, entry]
    predicted, error = check.predicted[:, :, entry], check.standard_error[:, :, entry]
    rounds = np.arange(len(observed))
    for agent in range(observed.shape[1]) if agents is None else agents:
        colour = PALETTE[agent % len(PALETTE)]
        low, high = predicted[:, agent] - z * error[:, agent], predicted[:, agent] + z * error[:, agent]
        ax.fill_between(rounds, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.plot(rounds, predicted[:, agent], color=colour, linewidth=1.0)
        ax.plot(rounds, observed[:, agent], "o", color=colour, markersize=3.5, label=_name(agent, labels))
        ax.plot(
            rounds[[0, -1]], np.full(2, check.equilibrium[agent, entry]), color=colour, linestyle=":", linewidth=1.0
        )
    ax.plot([], [], color=GREY, linewidth=1.0, label=f"predicted, ± {z:g} standard errors")
    ax.plot([], [], color=GREY, linestyle=":", linewidth=1.0, label="equilibrium $R\\,m$")
    _finish(ax, rounds, check.names[entry])
    return ax


def _name(agent: int, labels: Sequence[str] | None) -> str:
    return f"agent {agent}" if labels is None else labels[agent]


def _finish(ax: Axes, rounds: Any, what: str) -> None:
    ax.set_xlabel("round")
    ax.set_ylabel(what)
    if rounds.size <= 12:
        ax.set_xticks(rounds)
    clean(ax)
    ax.legend(frameon=False, fontsize="small")
