"""Two agents with one statistic each: their answers, their equilibria, and how these come and go (T10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from expfam_game._typing import ArrayLike, FloatArray, IntArray
from expfam_game.certificates.equilibria import EquilibriaCertificate
from expfam_game.errors import InvalidInput
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.plots.style import GREY, PALETTE, PROOFS, clean, grade_name, require_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TABLE = 4001
"""Natural parameters at which an agent's law is tabulated for a picture."""
_REACH = 1.5
"""How far the tables reach beyond the picture, in widths of it."""
_MARGIN = 0.25
"""Room left around the equilibria of a certificate, in shares of their spread."""
_NEAR = 1e-3
"""Distance from an equilibrium, in shares of the picture, at which play counts as arrived."""


def best_response_field(
    ax: Axes,
    game: HeterogeneousGame,
    box: ArrayLike | None = None,
    *,
    certificate: EquilibriaCertificate | None = None,
    arrows: int = 21,
) -> Axes:
    """Draw where best response moves every profile, the two answer curves, and the certified equilibria on them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    game : HeterogeneousGame
        Two agents with one statistic each.
    box : array_like, shape (2, 2), optional
        ``(low, high)`` of θ_1 and of θ_2; by default around the boxes of the certificate.
    certificate : EquilibriaCertificate, optional
        Of this game. Its equilibria are marked: discs are stable, rings are not, grey discs may be either.
    arrows : int
        Arrows along each side; all have the same length, they show directions only.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> game = eg.catalog.three_equilibria()
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.best_response_field(ax, game, [(-10, 2), (-2, 10)], certificate=eg.certify_all(game))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['agent 1 answers', 'agent 2 answers', 'stable (proved rigorously)', 'unstable (proved rigorously)']
    >>> plt.close()
    """
    require_axes(ax)
    _require_pair(game)
    if certificate is not None:
        _require_own(game, certificate)
    sides = _around(certificate) if box is None else _sides(box)
    first, second = _Answers(game, sides).curves()
    x, y = (np.linspace(low, high, arrows) for low, high in sides)
    grid_x, grid_y = np.meshgrid(x, y)
    u = np.interp(grid_y, *first) - grid_x
    v = np.interp(grid_x, *second) - grid_y
    width, height = (high - low for low, high in sides)
    length = np.maximum(np.hypot(u / width, v / height), 1e-12)
    ax.quiver(grid_x, grid_y, u / length, v / length, color="#B8B8B8", pivot="mid", width=0.0025)
    ax.plot(first[1], first[0], color=PALETTE[0], label="agent 1 answers")
    ax.plot(second[0], second[1], color=PALETTE[1], label="agent 2 answers")
    if certificate is not None:
        _mark(ax, certificate)
    return _framed(ax, sides)


def basins(
    ax: Axes,
    game: HeterogeneousGame,
    certificate: EquilibriaCertificate,
    box: ArrayLike | None = None,
    *,
    damping: float = 0.2,
    points: int = 161,
    rounds: int = 3000,
) -> Axes:
    """Colour every starting profile by the equilibrium at which simultaneous play ends; white where it settles nowhere.

    Play is computed from tables with linear interpolation: the picture is an observation, not a proof.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    game : HeterogeneousGame
        Two agents with one statistic each.
    certificate : EquilibriaCertificate
        Of this game: where play may end.
    box : array_like, shape (2, 2), optional
        ``(low, high)`` of θ_1 and of θ_2; by default around the boxes of the certificate.
    damping : float
        The share of the way to the best response, in mean parameters, that agents go; 1 is undamped play, in which two
        agents can chase each other for ever.
    points : int
        Starts along each side.
    rounds : int

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> game = eg.catalog.three_equilibria()
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.basins(ax, game, eg.certify_all(game), [(-10, 2), (-2, 10)], points=21)
    >>> plt.close()
    """
    require_axes(ax)
    _require_pair(game)
    _require_own(game, certificate)
    sides = _around(certificate) if box is None else _sides(box)
    if not 0 < damping <= 1:
        raise InvalidInput(f"damping is {damping!r}; it must be above 0 and at most 1")
    x, y = (np.linspace(low, high, points) for low, high in sides)
    ends = destinations(game, certificate, x, y, damping=damping, rounds=rounds)
    from matplotlib.colors import ListedColormap, to_rgba

    shades = ["white"] + [to_rgba(PALETTE[k % len(PALETTE)], 0.35) for k in range(certificate.n_equilibria)]
    ax.pcolormesh(x, y, ends + 1, cmap=ListedColormap(shades), vmin=-0.5, vmax=len(shades) - 0.5, rasterized=True)
    _mark(ax, certificate)
    return _framed(ax, sides)


def destinations(
    game: HeterogeneousGame,
    certificate: EquilibriaCertificate,
    first: FloatArray,
    second: FloatArray,
    *,
    damping: float = 0.2,
    rounds: int = 3000,
) -> IntArray:
    """The number of the equilibrium at which simultaneous play ends from each start, −1 where it settles nowhere.

    Parameters
    ----------
    game : HeterogeneousGame
        Two agents with one statistic each.
    certificate : EquilibriaCertificate
        Of this game.
    first, second : ndarray
        Natural parameters of the starts.
    damping : float
    rounds : int

    Returns
    -------
    ndarray of int, shape (len(second), len(first))
    """
    _require_pair(game)
    _require_own(game, certificate)
    sides = _sides([(min(first), max(first) + 1e-9), (min(second), max(second) + 1e-9)])
    answers = _Answers(game, sides)
    means = [np.interp(t, answers.theta, mean) for t, mean in zip(np.meshgrid(first, second), answers.means)]
    for _ in range(rounds):
        targets = answers.targets(means)
        moved = [(1 - damping) * m + damping * t for m, t in zip(means, targets)]
        still = max(float(np.max(np.abs(a - b))) for a, b in zip(means, moved))
        means = moved
        if still < 1e-9:
            break
    where = [np.interp(m, mean, answers.theta) for m, mean in zip(means, answers.means)]
    result = np.full(where[0].shape, -1, dtype=np.int64)
    widths = [high - low for low, high in sides]
    for k, natural in enumerate(certificate.natural):
        near = [np.abs(w - t) <= _NEAR * width + 5 * answers.spacing for w, t, width in zip(where, natural, widths)]
        result[near[0] & near[1]] = k
    return result


def bifurcation(
    ax: Axes,
    values: ArrayLike,
    certificates: Sequence[EquilibriaCertificate | None],
    *,
    agent: int = 0,
    label: str = "parameter",
) -> Axes:
    """Draw one agent's natural parameter at every certified equilibrium against a parameter of the game.

    Discs are stable equilibria, rings unstable ones, grey discs those of which neither is proved; a tick on the lower edge marks a value at which no certificate could
    be made, because equilibria merge nearby.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    values : array_like, shape (k,)
    certificates : sequence of EquilibriaCertificate or None
        From :func:`expfam_game.certificates.certify_along`.
    agent : int
        Which of the natural parameters is drawn.
    label : str
        Of the horizontal axis.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> values = [0.1, 0.15, 0.3]
    >>> found = eg.certificates.certify_along(eg.catalog.three_equilibria, values)
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.bifurcation(ax, values, found, label="trust in one's own data")
    >>> ax.get_title()
    '1 to 3 equilibria, none missed (proved rigorously)'
    >>> plt.close()
    """
    require_axes(ax)
    where = np.asarray(values, dtype=np.float64)
    if where.ndim != 1 or len(where) != len(certificates) or not len(where):
        raise InvalidInput("values and certificates must be two sequences of the same length, not empty")
    for certificate in certificates:
        if certificate is not None and not isinstance(certificate, EquilibriaCertificate):
            raise InvalidInput(f"certificates must be EquilibriaCertificate or None, got {type(certificate).__name__}")
    size = min((c.natural.shape[1] for c in certificates if c is not None), default=1)
    if isinstance(agent, bool) or not isinstance(agent, (int, np.integer)) or not 0 <= agent < size:
        raise InvalidInput(f"agent is {agent!r}; it must be an integer from 0 to {size - 1}")
    made = [(x, c) for x, c in zip(where.tolist(), certificates) if c is not None]
    for stable, kind in _KINDS.items():
        points = [(x, n[agent]) for x, c in made for n, s in zip(c.natural, c.stable) if s is stable]
        if points:
            ax.plot(*zip(*points), **_style(stable), label=kind)
    lost = [x for x, c in zip(where.tolist(), certificates) if c is None]
    if lost:
        base = ax.get_xaxis_transform()
        ax.plot(lost, [0.01] * len(lost), "|", color=GREY, transform=base, label="equilibria merge nearby")
    if made:
        counts = [c.n_equilibria for _, c in made]
        whole = "none missed " if all(c.complete for _, c in made) else ""
        word = PROOFS[grade_name(made[0][1].grade)]
        span = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        noun = "equilibrium" if max(counts) == 1 else "equilibria"
        ax.set_title(f"{span} {noun}, {whole}({word})", fontsize=10)
        ax.legend(frameon=False)
    ax.set_xlabel(label)
    ax.set_ylabel(rf"$\theta_{agent + 1}$")
    clean(ax)
    return ax


# ---------------------------------------------------------------------- helpers


class _Answers:
    """Both agents' means, and what each hears of the other, as tables over natural parameters."""

    def __init__(self, game: HeterogeneousGame, sides: Sequence[tuple[float, float]]) -> None:
        low, high = min(s[0] for s in sides), max(s[1] for s in sides)
        reach = _REACH * (high - low)
        self.theta = np.linspace(low - reach, high + reach, _TABLE)
        self.spacing = float(self.theta[1] - self.theta[0])
        column = self.theta[:, None]
        laws = [game._law(agent, column) for agent in (0, 1)]
        self.means = [laws[agent] @ game._tables[agent][:, 0] for agent in (0, 1)]
        self.heard = [laws[1 - agent] @ game._tables[agent][:, 0] for agent in (0, 1)]
        alpha = game.weights.to_dense()
        self.fixed = [alpha[agent, agent] * game.means[agent, 0] for agent in (0, 1)]
        self.trust = [alpha[agent, 1 - agent] for agent in (0, 1)]

    def targets(self, means: Sequence[FloatArray]) -> list[FloatArray]:
        """t_i as a function of the other agent's mean."""
        return [
            self.fixed[i] + self.trust[i] * np.interp(means[1 - i], self.means[1 - i], self.heard[i]) for i in (0, 1)
        ]

    def curves(self) -> list[tuple[FloatArray, FloatArray]]:
        """For each agent: the other's natural parameter and the answer to it."""
        targets = [self.fixed[i] + self.trust[i] * self.heard[i] for i in (0, 1)]
        return [(self.theta, np.interp(t, mean, self.theta)) for t, mean in zip(targets, self.means)]


def _require_pair(game: object) -> None:
    if not isinstance(game, HeterogeneousGame) or game.dims != (1, 1):
        raise InvalidInput("this picture needs a HeterogeneousGame of two agents with one statistic each")


def _require_own(game: HeterogeneousGame, certificate: object) -> None:
    """A picture says *proved*, so the proof must be about this game."""
    if not isinstance(certificate, EquilibriaCertificate):
        raise InvalidInput(
            f"certificate must be an EquilibriaCertificate, from certify_all(game) or certify(game, solution), got "
            f"{type(certificate).__name__}"
        )
    if certificate.fingerprint != game.fingerprint():
        raise InvalidInput("the certificate is about another game")


def _around(certificate: EquilibriaCertificate | None) -> list[tuple[float, float]]:
    """The boxes of the certificate with a margin around them."""
    if certificate is None or certificate.n_equilibria == 0:
        why = "there is no certificate" if certificate is None else "the certificate has no equilibria"
        raise InvalidInput(f"{why} to draw around: give box, (low, high) of θ_1 and (low, high) of θ_2")
    low, high = certificate.lower.min(axis=0), certificate.upper.max(axis=0)
    margin = np.maximum(_MARGIN * (high - low), 1.0)
    return list(zip((low - margin).tolist(), (high + margin).tolist()))


def _sides(box: ArrayLike) -> list[tuple[float, float]]:
    try:
        sides = np.asarray(box, dtype=np.float64)
    except (TypeError, ValueError):
        sides = np.zeros(0)
    if sides.shape != (2, 2) or not np.all(np.isfinite(sides)) or not np.all(sides[:, 0] < sides[:, 1]):
        raise InvalidInput("box must be (low, high) of θ_1 and (low, high) of θ_2, with low < high")
    return [(float(low), float(high)) for low, high in sides]


_KINDS = {True: "stable", False: "unstable", None: "stability not proved"}


def _style(stable: bool | None) -> dict[str, Any]:
    face = {True: "black", False: "white", None: GREY}[stable]
    return {"linestyle": "none", "marker": "o", "markersize": 5, "markerfacecolor": face, "markeredgecolor": "black"}


def _mark(ax: Axes, certificate: EquilibriaCertificate) -> None:
    word = PROOFS[grade_name(certificate.grade)]
    for stable, kind in _KINDS.items():
        points = [n for n, s in zip(certificate.natural, certificate.stable) if s is stable]
        if points:
            label = f"{kind} ({word})" if stable is not None else f"{word}, {kind}"
            ax.plot(*zip(*points), **_style(stable), label=label, zorder=5)


def _framed(ax: Axes, sides: Sequence[tuple[float, float]]) -> Axes:
    ax.set_xlim(*sides[0])
    ax.set_ylim(*sides[1])
    ax.set_xlabel(r"$\theta_1$")
    ax.set_ylabel(r"$\theta_2$")
    ax.legend(frameon=True, fontsize=8)
    return ax
