"""Whole pictures of a game or its solution, as the command ``expfam-game plot`` saves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from expfam_game import plots, solvers
from expfam_game.errors import InvalidInput
from expfam_game.game.game import Game
from expfam_game.plots.style import require_matplotlib
from expfam_game.solvers.solution import Solution
from expfam_game.solvers.solve import solve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def picture(kind: str, game: Game, solution: Solution | None, shape: str | None = None) -> Figure:
    """A figure of one kind: weights, influence, convergence, regret or images.

    Parameters
    ----------
    kind : str
    game : Game
    solution : Solution or None
        A solution of the game, where the kind needs one; None solves the game first.
    shape : str, optional
        ``"HEIGHTxWIDTH"`` of the images; by default they are square.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    ax = figure.subplots()
    if kind == "weights":
        plots.weights(ax, game.weights)
    elif kind == "influence":
        plots.influence(ax, game)
        ax.set_title("Influence $R = (I-B)^{-1}D$: whose data makes whose model")
    elif kind == "convergence":
        _played(ax, game) if solution is None else _recorded(ax, solution)
    elif kind == "regret":
        plots.regret(ax, solution or solve(game))
        ax.set_title("What each agent would gain by its best response")
    else:
        size = _image_shape(shape, game.family.dim)
        _images(ax, game, solution or solve(game), size)
    return figure


def _played(ax: Axes, game: Game) -> None:
    """Simultaneous play: its distance from the equilibrium beside T4's bound and rate.

    Everybody starts at the family's reference mean. Everybody's own data would be a special start, which may lack the
    slowest mode (it does where all self-weights are equal) or be the equilibrium itself.
    """
    goal, v = game.equilibrium_mean, game.v[:, None]
    start = np.tile(game.family.reference_mean(), (game.n_agents, 1))
    played = solve(
        game,
        solvers.Contraction(),
        start=start,
        observe=lambda step, mean: float(np.max(np.abs(mean - goal) / v)),
    )
    errors = np.array(played.history.observed if played.history is not None else ())
    if errors[0] <= 1e-14 * np.max(np.abs(goal)):  # a start at the equilibrium, which is known up to rounding
        errors[:] = 0.0
    name = r"simultaneous best response, $\|\mu^t - \mu^*\|_v$"
    plots.convergence(ax, errors, rate=game.spectral_radius, envelope=game.q, label=name)
    ax.set_ylabel(r"distance from the equilibrium, $\|\mu^t - \mu^*\|_v$")
    ax.set_title("Play from a start that knows no data")
    ax.legend()


def _recorded(ax: Axes, solution: Solution) -> None:
    """The history of a saved solution: the bound that the solver watched, for it did not know the equilibrium."""
    name, history = solution.solver.partition("(")[0], solution.history
    if history is None or history.error_bound.size < 2:
        raise InvalidInput(
            f"this solution was found in one step by {name}, so there is no convergence to draw; solve with "
            "--solver contraction, or leave the solution out"
        )
    label = rf"{name}: T4's bound on $|\mu^t - \mu^*|$"
    plots.convergence(ax, history.error_bound, label=label, first=int(history.steps[0]))
    ax.set_ylabel("bound on the error, relative to the data means")
    ax.set_title("The bound that the solver watched (grade: float)")
    ax.legend()


def _images(ax: Axes, game: Game, solution: Solution, shape: tuple[int, int]) -> None:
    data = np.where(game.weights.self_weights[:, None] > 0, game.means, np.nan)
    low, high = min(0.0, float(solution.mean.min())), max(1.0, float(solution.mean.max()))
    low, high = min(low, float(np.nanmin(data))), max(high, float(np.nanmax(data)))
    word = "agent " if game.n_agents <= 8 else ""
    plots.images(
        ax,
        [data, solution.mean],
        shape,
        titles=[f"{word}{k}" for k in range(game.n_agents)],
        row_titles=["data", "equilibrium"],
        vmin=low,
        vmax=high,
        missing="no data",
    )
    ax.set_title("Mean parameters", pad=20)
    ax.figure.colorbar(ax.images[0], ax=ax, label="mean parameter", orientation="horizontal", shrink=0.6, pad=0.04)


def _image_shape(text: str | None, dim: int) -> tuple[int, int]:
    if text is None:
        side = round(dim**0.5)
        if side * side != dim:
            raise InvalidInput(f"{dim} statistics are not a square picture; give --shape HEIGHTxWIDTH")
        return side, side
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()) or int(height) * int(width) != dim:
        raise InvalidInput(
            f"--shape {text}: write HEIGHTxWIDTH, whose product must be the {dim} statistics of the family"
        )
    return int(height), int(width)
