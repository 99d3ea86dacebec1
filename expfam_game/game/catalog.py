"""Named games: textbook examples and counterexamples, each small enough to check by hand.

``names()`` lists them, ``load(name)`` builds one with its default arguments; each is also a function with parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from expfam_game.errors import InvalidInput
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.game.game import Game
from expfam_game.game.weights import Weights

__all__ = [
    "boundary",
    "chain_without_data",
    "complete",
    "describe",
    "load",
    "names",
    "not_anchored",
    "ring",
    "star_one_owner",
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
    """The first line of the game's documentation."""
    load(name)
    return str(_GAMES[name].__doc__).split("\n")[0]
