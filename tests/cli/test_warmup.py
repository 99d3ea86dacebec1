"""Warm-up of large games; that of families is tested with the other commands."""

from __future__ import annotations

import pytest

from expfam_game import warmup
from expfam_game.errors import InvalidInput


def test_large_games_are_played(monkeypatch):
    """One number of columns, just above the size of small games."""
    monkeypatch.setattr(warmup, "LARGE_GAMES", {"large": 1_200})
    monkeypatch.setattr(warmup, "WIDTHS", (2,))
    solved, solve = [], warmup.solve
    monkeypatch.setattr(warmup, "solve", lambda game: solved.append(game.means.shape) or solve(game))
    seconds = warmup.warm_up([], large=True)
    assert list(seconds) == ["large"]
    assert solved == [(1_200, 2)] * 5 + [(1_200, 1)]
    assert seconds["large"] > 0.0


def test_there_is_a_graph_for_every_way_to_find_equilibria():
    """At the size for one thread: what solvers say they did, and whether agents answered at once before."""
    games = [warmup._large_game(weights, 1) for weights in warmup._graphs(min(warmup.LARGE_GAMES.values()))]
    ways = ("deflated play", "play between 40 communities", "communities", "communities", "LU in a band")
    for game, way in zip(games, ways, strict=True):
        assert way in warmup.solve(game).message
    hierarchies = [game._system.multilevel for game in games[2:4]]
    assert all(hierarchy._level is not None for hierarchy in hierarchies)
    assert [hierarchy._reduction is None for hierarchy in hierarchies] == [True, False]


def test_large_games_come_on_request_only():
    assert list(warmup.warm_up(["Poisson"])) == ["Poisson"]


def test_large_games_are_large_enough():
    """One that is swept by one thread and one by many; none that is small enough for LU whatever the graph."""
    from expfam_game.game import linear
    from expfam_game.kernels import sparse

    one, many = warmup.LARGE_GAMES.values()
    assert linear._SMALL < one <= sparse._ALONE < many


@pytest.mark.parametrize(("name", "meant"), [("poisson", "Poisson"), ("Possion", "Poisson"), ("ISING", "Ising")])
def test_a_misspelt_family_brings_the_right_name(name, meant):
    with pytest.raises(InvalidInput, match=rf"^'{name}' is no family .* \(did you mean '{meant}'\?\); there are Bern"):
        warmup.warm_up([name])


def test_no_name_is_suggested_where_none_is_close():
    with pytest.raises(InvalidInput, match="^'xyzzy' is no family with compiled kernels; there are"):
        warmup.warm_up(["xyzzy"])
