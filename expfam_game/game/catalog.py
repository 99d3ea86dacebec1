"""Named games: textbook examples and counterexamples, each small enough to check by hand.

``names()`` lists them, ``load(name)`` builds one with its default arguments; each is also a function with parameters.
The games of agents with different statistics have lists of their own: ``heterogeneous_names()``, ``load_heterogeneous``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np

from expfam_game.errors import InvalidInput
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.game.exact_tables import fraction
from expfam_game.game.game import Game
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.game.weights import Weights

__all__ = [
    "boundary",
    "chain_without_data",
    "complete",
    "describe",
    "gaussian_against_laplace",
    "heterogeneous_names",
    "load",
    "load_heterogeneous",
    "names",
    "not_anchored",
    "ring",
    "square_against_linear",
    "star_one_owner",
    "three_equilibria",
    "trusting_agents",
    "two_agents",
]


def _means(n_agents: int) -> list[list[float]]:
    """Bernoulli means spread evenly over (0, 1), so that agents disagree as much as they can."""
    return [[(2 * i + 1) / (2 * n_agents)] for i in range(n_agents)]


def two_agents(self_weight: float = 0.5) -> Game:
    """Two agents who listen to each other: R = [[1, 1 − a], [1 − a, 1]] / (2 − a).

    >>> two_agents(0.5).influence().round(4)
    array([[0.6667, 0.3333],
           [0.3333, 0.6667]])
    """
    return Game(Bernoulli(1), Weights.complete(2, self_weight), means=[[0.25], [0.75]])


def complete(n_agents: int = 5, self_weight: float = 0.3) -> Game:
    """Everybody listens to everybody: R_ii = (a + b)/(1 + b), R_ij = b/(1 + b) with b = (1 − a)/(n − 1)."""
    return Game(Bernoulli(1), Weights.complete(n_agents, self_weight), means=_means(n_agents))


def ring(n_agents: int = 8, self_weight: float = 0.2) -> Game:
    """Each agent listens to the next: R_ij ∝ (1 − a)^k a, k the distance from i to j along the ring."""
    return Game(Bernoulli(1), Weights.ring(n_agents, self_weight), means=_means(n_agents))


def star_one_owner(n_agents: int = 6) -> Game:
    """Only the hub holds data (self-weight 1/2); the others copy it, so every agent ends at the hub's mean."""
    trust = np.r_[0.5, np.zeros(n_agents - 1)]
    means = np.full((n_agents, 1), np.nan)
    means[0] = 0.3
    return Game(Bernoulli(1), Weights.star(n_agents, trust.tolist()), means=means)


def chain_without_data(n_agents: int = 6) -> Game:
    """A whispering chain: agent i listens only to i + 1 and the last one owns the data; ρ(B) = 0, yet q = 1 − 1/n."""
    edges = [(i, i + 1, 1.0) for i in range(n_agents - 1)] + [(n_agents - 1, n_agents - 1, 1.0)]
    means = np.full((n_agents, 1), np.nan)
    means[-1] = 0.7
    return Game(Bernoulli(1), Weights.from_edges(edges, n_agents), means=means)


def not_anchored() -> Game:
    """Agents 0 and 1 listen only to each other and hold no data: a continuum of equilibria, refused (T2)."""
    return Game(
        Bernoulli(1),
        Weights.from_dense(np.array([[0, 1, 0], [1, 0, 0], [0.5, 0, 0.5]])),
        means=[[np.nan], [np.nan], [0.4]],
    )


def boundary() -> Game:
    """Two agents who never saw a one in coordinate 1: R m is on the boundary and no equilibrium exists (T2)."""
    return Game(Bernoulli(2), Weights.complete(2, 0.5), means=[[0.3, 0.0], [0.6, 0.0]], counts=[10, 20])


# ---------------------------------------------------------------------- agents with different statistics (T10)


def _pair(tables: Sequence[Sequence[Any]], self_weight: Any, state_counts: Sequence[int]) -> HeterogeneousGame:
    """Two agents with the same data and the same trust in it, in rational numbers."""
    trust = fraction(self_weight, "self_weight")
    if not 0 < trust <= 1:
        raise InvalidInput(f"self_weight is {self_weight!r}; it must be above 0 and at most 1")
    weights = [[trust, 1 - trust], [1 - trust, trust]]
    return HeterogeneousGame.from_rationals(tables, weights, state_counts=[state_counts] * 2)


def three_equilibria(self_weight: Any = "3/20", blend: Any = 0) -> HeterogeneousGame:
    """Two agents with the same data and three equilibria: with different statistics uniqueness ends (T10b).

    Both hold the counts (197, 1, 1, 1) on four states and trust their own data with 3/20. In one equilibrium they
    describe their data, in another they sustain each other's hallucination, and the third lies between. All numbers are
    exact rationals; ``certify_all`` proves that there are exactly three.

    Parameters
    ----------
    self_weight : number
        A fraction, a string such as ``"3/20"``, an integer or a float.
    blend : number
        From 0 to 1, moves the second statistic to minus the first, ``(1 − blend) φ_2 − blend φ_1``; at 1 the two agents
        share a statistic and T10(a) holds.

    >>> three_equilibria().uniqueness().guaranteed, three_equilibria(blend=1).uniqueness().guaranteed
    (False, True)
    """
    share = fraction(blend, "blend")
    if not 0 <= share <= 1:
        raise InvalidInput(f"blend is {blend!r}; it must lie between 0 and 1")
    first = [Fraction(k, 10) for k in (-14, 14, 3, -11)]
    second = [(1 - share) * Fraction(k, 10) - share * own for k, own in zip((19, 4, -6, 16), first)]
    return _pair([first, second], self_weight, (197, 1, 1, 1))


def square_against_linear(self_weight: Any = "1/10") -> HeterogeneousGame:
    """Three equilibria on three states, the fewest possible: φ_1 = x², φ_2 = x on {0, 1, 2} (T10b).

    Both agents hold the counts (49, 1, 0). On two states all statistics share one span, so T10(a) holds there.

    >>> square_against_linear().uniqueness().guaranteed
    False
    """
    return _pair([[0, 1, 4], [0, 1, 2]], self_weight, (49, 1, 0))


def gaussian_against_laplace(self_weight: Any = "1/10", half_width: int = 4) -> HeterogeneousGame:
    """Three equilibria of two textbook laws on integers: discrete Gaussian φ_1 = x² and discrete Laplace φ_2 = |x| (T10b).

    Both agents saw −1 once, 0 thirty-eight times and 1 once; the integers reach from −half_width to half_width.

    >>> gaussian_against_laplace().uniqueness().guaranteed
    False
    """
    if isinstance(half_width, bool) or not isinstance(half_width, int) or half_width < 1:
        raise InvalidInput(f"half_width is {half_width!r}; it must be an integer, at least 1")
    values = range(-half_width, half_width + 1)
    counts = [{0: 38, 1: 1}.get(abs(x), 0) for x in values]
    return _pair([[x * x for x in values], [abs(x) for x in values]], self_weight, counts)


def trusting_agents(self_weight: Any = "99/100") -> HeterogeneousGame:
    """At least three equilibria, however much both agents trust their own data: no trust below one is a safeguard (T10b).

    With δ = 1 − self_weight, φ_1 = (0, 1, n) with n ≥ 22/δ³ and φ_2 = (0, 1, 2) on three states; both agents hold the
    counts (c, 1, 0) with c ≥ 8nδ/(1 − δ²). In one equilibrium agent 1 has nearly all mass on the first state, as the data
    has; in another half of it on the second.

    >>> game = trusting_agents("1/2")
    >>> [int(row[0]) for row in game.exact_tables().statistics[0]], game.exact_tables().means[0][0]
    ([0, 1, 176], Fraction(1, 940))
    """
    trust = fraction(self_weight, "self_weight")
    if not 0 < trust < 1:
        raise InvalidInput(f"self_weight is {self_weight!r}; it must lie strictly between 0 and 1")
    rest = 1 - trust
    n = ceil(22 / rest**3)
    return _pair([[0, 1, n], [0, 1, 2]], trust, (max(7, ceil(8 * n * rest / (1 - rest**2))), 1, 0))


_GAMES: dict[str, Callable[[], Game]] = {
    game.__name__: game
    for game in (two_agents, complete, ring, star_one_owner, chain_without_data, not_anchored, boundary)
}


def names() -> tuple[str, ...]:
    """The names of all games of the catalogue.

    >>> "two_agents" in names()
    True
    """
    return tuple(_GAMES)


def load(name: str) -> Game:
    """The game of that name, with its default arguments."""
    if name not in _GAMES:
        raise InvalidInput(f"there is no game named {name!r} in the catalogue; choose one of: {', '.join(_GAMES)}")
    return _GAMES[name]()


def describe(name: str) -> str:
    """The first line of the game's documentation; also for the games of :func:`heterogeneous_names`."""
    if name not in _HETEROGENEOUS:
        load(name)
    return str({**_GAMES, **_HETEROGENEOUS}[name].__doc__).split("\n")[0]


# ---------------------------------------------------------------------- the games of agents with different statistics

_PAIRS: tuple[Callable[[], HeterogeneousGame], ...] = (
    three_equilibria,
    square_against_linear,
    gaussian_against_laplace,
    trusting_agents,
)
_HETEROGENEOUS: dict[str, Callable[[], HeterogeneousGame]] = {game.__name__: game for game in _PAIRS}


def heterogeneous_names() -> tuple[str, ...]:
    """The names of the games whose agents have different statistics.

    >>> "three_equilibria" in heterogeneous_names()
    True
    """
    return tuple(_HETEROGENEOUS)


def load_heterogeneous(name: str) -> HeterogeneousGame:
    """The game of that name from :func:`heterogeneous_names`, with its default arguments."""
    if name not in _HETEROGENEOUS:
        raise InvalidInput(
            f"there is no game of agents with different statistics named {name!r} in the catalogue; choose one of: "
            f"{', '.join(_HETEROGENEOUS)}"
        )
    return _HETEROGENEOUS[name]()
