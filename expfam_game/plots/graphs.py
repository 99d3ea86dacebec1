"""Who listens to whom, and whose data ends up in whose model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csgraph

from expfam_game._typing import BoolArray
from expfam_game.errors import InvalidInput
from expfam_game.game.game import Game
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.game.weights import Weights
from expfam_game.plots.style import GREY, require_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUMBERS = 12
"""Up to this many agents the entries of the influence matrix are written into their cells."""

_DRAWN = 2000
"""Above this many agents neither a matrix nor a graph can be made out."""


def influence(ax: Axes, game: Game, *, colorbar: bool = True) -> Axes:
    """Draw the influence matrix R = (I − B)^{-1} D as a heat map: row i says whose data makes the model of agent i (T2).

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    game : Game
        At most 2000 agents.
    colorbar : bool
        Draw the scale beside the map.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.influence(ax, eg.catalog.two_agents(0.5))
    >>> [text.get_text() for text in ax.texts]
    ['.67', '.33', '.33', '.67']
    >>> plt.close()
    """
    require_axes(ax)
    if isinstance(game, HeterogeneousGame):
        raise InvalidInput("influence is defined for agents who share a statistic, in a Game (T2)")
    if not isinstance(game, Game):
        raise InvalidInput(f"influence is drawn for a Game, got {type(game).__name__}")
    _require_drawable(game.n_agents)
    matrix = game.influence()
    top = float(matrix.max())
    picture = ax.imshow(matrix, cmap="cividis", vmin=0.0, vmax=top, aspect="equal")
    if game.n_agents <= _NUMBERS:
        reached = _reached(game)
        for i, j in np.ndindex(matrix.shape):
            shade = "black" if matrix[i, j] > 0.6 * top else "white"
            text = _short(matrix[i, j]) if reached[i, j] else "0"
            ax.text(j, i, text, ha="center", va="center", color=shade, fontsize=7)
        ax.set_xticks(range(game.n_agents))
        ax.set_yticks(range(game.n_agents))
    ax.tick_params(length=0)
    ax.set_xlabel("data of agent j")
    ax.set_ylabel("model of agent i")
    if colorbar:
        ax.figure.colorbar(picture, ax=ax, label="influence $R_{ij}$ (share)", fraction=0.046, pad=0.04)
    return ax


def _reached(game: Game) -> BoolArray:
    """Where R is positive: agent i reaches agent j, who has data. Rounding hides that from small entries of R itself."""
    steps = csgraph.shortest_path(game.weights.off_diagonal, unweighted=True)
    return np.asarray(np.isfinite(steps) & (game.weights.self_weights > 0))


def _short(share: float) -> str:
    """Two decimals; what is neither nothing nor all is not rounded to it."""
    if share < 0.005:
        return "<.01"
    if 0.995 <= share < 1.0 - 1e-12:
        return ">.99"
    text = f"{share:.2f}"
    return text[1:] if text.startswith("0") else text


def weights(ax: Axes, weights: Weights, *, colorbar: bool = True, key: bool = True, layout: Any = None) -> Axes:
    """Draw the weights as a graph: an arrow from j to i, the way the samples flow, where agent i listens to agent j.

    The arrow is as wide as the weight α_ij. The colour of an agent is its self-weight, the trust in its own data; agents without data are white.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    weights : Weights
        At most 2000 agents.
    colorbar : bool
        Draw the scale of self-weights beside the graph.
    key : bool
        Say above and below the graph what its arrows and their widths mean.
    layout : dict of int to (float, float), optional
        Where to draw each agent; by default on a circle up to 16 agents, by forces above.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.weights(ax, eg.Weights.ring(5, self_weight=0.3))
    >>> plt.close()
    """
    require_axes(ax)
    if not isinstance(weights, Weights):
        raise InvalidInput(f"weights must be a Weights object, such as game.weights, got {type(weights).__name__}")
    _require_drawable(weights.n_agents)
    import networkx
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    # Transposed, because samples flow from the agent who is heard to the listener.
    graph = networkx.from_scipy_sparse_array(weights.off_diagonal.T.tocsr(), create_using=networkx.DiGraph)
    places = layout or _places(networkx, graph)
    scale = Normalize(0.0, 1.0)
    trust = weights.self_weights
    size = float(np.clip(5200 / max(weights.n_agents, 12), 15, 430))
    arrows = [(i, j, w) for i, j, w in graph.edges(data="weight")]
    strongest = max((w for _, _, w in arrows), default=1.0)
    networkx.draw_networkx_edges(
        graph,
        places,
        ax=ax,
        edgelist=[(i, j) for i, j, _ in arrows],
        width=[_width(w, strongest) for _, _, w in arrows],
        alpha=0.65,
        edge_color=GREY,
        arrowsize=9,
        node_size=size,
        connectionstyle="arc3,rad=0.08",
    )
    colours = ["white" if a == 0 else ScalarMappable(scale, "YlGnBu").to_rgba(a) for a in trust]
    networkx.draw_networkx_nodes(graph, places, ax=ax, node_color=colours, edgecolors="black", node_size=size)
    if weights.n_agents <= 40:
        for agent, (x, y) in places.items():
            shade = "white" if trust[agent] > 0.55 else "black"
            ax.text(x, y, str(agent), ha="center", va="center", fontsize=8, color=shade)
    ax.set_aspect("equal")
    ax.margins(0.12)
    ax.set_axis_off()
    if colorbar:
        ax.figure.colorbar(
            ScalarMappable(scale, "YlGnBu"),
            ax=ax,
            label=r"self-weight $\alpha_{ii}$ (white circle: no data)",
            fraction=0.046,
            pad=0.04,
        )
    if key:
        _explain(ax, [w for _, _, w in arrows])
    return ax


def _width(weight: float, strongest: float) -> float:
    return 0.3 + 2.2 * weight / strongest


def _explain(ax: Axes, widths: list[float]) -> None:
    """Title, and the widths of the weakest and the strongest arrow."""
    from matplotlib.lines import Line2D

    ax.set_title("Who listens to whom")
    if not widths:
        return
    ends = sorted({min(widths), max(widths)})
    labels = list(dict.fromkeys(f"{w:.3g}" for w in ends))
    handles = [
        Line2D([], [], color=GREY, alpha=0.65, linewidth=_width(w, ends[-1]), label=rf"$\alpha_{{ij}}$ = {text}")
        for w, text in zip(ends[-len(labels) :], labels)
    ]
    ax.legend(
        handles=handles,
        title="arrow: samples flow from agent j to the listener i",
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=2,
        frameon=False,
    )


def _places(networkx: Any, graph: Any) -> dict[int, tuple[float, float]]:
    """A circle for few agents, clockwise from the top; springs with a fixed seed for more."""
    n_agents = graph.number_of_nodes()
    if n_agents <= 16:
        angles = np.pi / 2 - 2 * np.pi * np.arange(n_agents) / n_agents
        return {agent: (float(np.cos(angle)), float(np.sin(angle))) for agent, angle in enumerate(angles)}
    springs = networkx.spring_layout(graph.to_undirected(), seed=0)
    return {agent: (float(x), float(y)) for agent, (x, y) in springs.items()}


def _require_drawable(n_agents: int) -> None:
    if n_agents > _DRAWN:
        raise InvalidInput(f"{n_agents} agents cannot be drawn; at most {_DRAWN} can be made out")
