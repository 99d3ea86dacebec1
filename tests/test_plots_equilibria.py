"""The pictures of T10 show what the certificates prove, on the Axes given."""

import dataclasses

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

import expfam_game as eg
from expfam_game.errors import InvalidInput

BOX = [(-10, 2), (-2, 10)]


@pytest.fixture(scope="module")
def case():
    game = eg.catalog.three_equilibria()
    return game, eg.certify_all(game)


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def _points(ax, word):
    line = next(line for line in ax.get_lines() if str(line.get_label()).startswith(word))
    return np.column_stack(line.get_data())


def test_the_field_shows_the_certified_equilibria_where_the_curves_cross(case, ax):
    game, certificate = case
    assert eg.plots.best_response_field(ax, game, BOX, certificate=certificate) is ax
    assert np.allclose(_points(ax, "stable"), certificate.natural[[0, 2]])
    assert np.allclose(_points(ax, "unstable"), certificate.natural[[1]])
    curves = _points(ax, "agent 1 answers"), _points(ax, "agent 2 answers")
    for x, y in certificate.natural:
        assert np.interp(y, curves[0][:, 1], curves[0][:, 0]) == pytest.approx(x, abs=1e-3)
        assert np.interp(x, curves[1][:, 0], curves[1][:, 1]) == pytest.approx(y, abs=1e-3)


def test_the_arrows_point_along_best_response(case, ax):
    game, _ = case
    eg.plots.best_response_field(ax, game, BOX, arrows=5)
    quiver = ax.collections[0]
    for (x, y), u, v in zip(quiver.get_offsets(), quiver.U, quiver.V):
        move = game.best_response([[x], [y]]).ravel() - [x, y]
        assert np.dot(move, [u, v]) == pytest.approx(np.hypot(*move) * np.hypot(u, v), rel=1e-3)


@pytest.mark.parametrize("damping", [0.5, 1.0])
def test_basins_agree_with_play(case, damping):
    game, certificate = case
    first, second = np.linspace(-9.5, 1.5, 4), np.linspace(-1.5, 9.5, 4)
    ends = eg.plots.destinations(game, certificate, first, second, damping=damping)
    played = np.stack(np.meshgrid(first, second), axis=-1)[..., None]
    for _ in range(150):
        mean = (1 - damping) * game.to_mean(played) + damping * game.targets(played)
        played = np.stack([f.to_natural(mean[..., k, :]) for k, f in enumerate(game.families)], axis=-2)
    gaps = np.abs(played[..., None, :, 0] - certificate.natural).max(axis=-1)
    assert np.array_equal(ends, np.where(gaps.min(axis=-1) < 1e-2, gaps.argmin(axis=-1), -1))
    assert {-1, 0, 2} >= set(ends.ravel().tolist()) >= ({-1, 0, 2} if damping == 1 else {0, 2})


def test_basins_are_drawn_on_the_axes_given(case, ax):
    game, certificate = case
    assert eg.plots.basins(ax, game, certificate, BOX, points=11) is ax
    assert ax.get_xlim() == BOX[0]
    assert np.allclose(_points(ax, "unstable"), certificate.natural[[1]])


def test_the_bifurcation_diagram_shows_every_certified_equilibrium(ax):
    values = [0.1, 0.18, 0.25]
    found = eg.certificates.certify_along(eg.catalog.three_equilibria, values)
    eg.plots.bifurcation(ax, [*values, 0.5], [*found, None], agent=1, label="trust")
    assert [c.n_equilibria for c in found] == [3, 3, 1]
    assert len(_points(ax, "stable")) == 5
    assert len(_points(ax, "unstable")) == 2
    assert _points(ax, "equilibria merge")[0, 0] == 0.5
    assert ax.get_xlabel() == "trust"
    assert "proved rigorously" in ax.get_title()


def test_a_fold_is_reported_as_none():
    """9267/51200 and 4633/25600 are either side of the fold; between them no certificate of this size can be made."""
    lower, upper = eg.certificates.certify_along(eg.catalog.three_equilibria, ["4600/25600", "4700/25600"])
    assert (lower.n_equilibria, upper.n_equilibria) == (3, 1)
    nearly = eg.certificates.certify_along(eg.catalog.three_equilibria, ["0.18098"], max_rectangles=2000)
    assert nearly == (None,)


@pytest.mark.parametrize(
    "call",
    [
        lambda ax, g, c: eg.plots.best_response_field(ax, eg.catalog.two_agents(), BOX),
        lambda ax, g, c: eg.plots.best_response_field(ax, g, [(0, 1)]),
        lambda ax, g, c: eg.plots.best_response_field(ax, g, [(1, 0), (0, 1)]),
        lambda ax, g, c: eg.plots.basins(ax, g, c, BOX, damping=0.0),
        lambda ax, g, c: eg.plots.bifurcation(ax, [0.1], []),
        lambda ax, g, c: eg.plots.bifurcation(ax, [], []),
    ],
)
def test_bad_pictures_are_refused(case, ax, call):
    with pytest.raises(InvalidInput):
        call(ax, *case)


def test_a_certificate_of_another_game_is_not_drawn_as_a_proof(case, ax):
    game, certificate = case
    other = eg.catalog.three_equilibria("1/5")
    at = np.array([0.0, 1.0])
    calls = (
        lambda c: eg.plots.best_response_field(ax, other, BOX, certificate=c),
        lambda c: eg.plots.basins(ax, other, c, BOX),
        lambda c: eg.plots.destinations(other, c, at, at),
    )
    for call in calls:
        with pytest.raises(InvalidInput, match="about another game"):
            call(certificate)
        with pytest.raises(InvalidInput, match="must be an EquilibriaCertificate.*got Solution"):
            call(eg.solve(game))
    with pytest.raises(InvalidInput, match="EquilibriaCertificate or None, got Solution"):
        eg.plots.bifurcation(ax, [0.1], [eg.solve(game)])
    with pytest.raises(InvalidInput, match="agent is 2"):
        eg.plots.bifurcation(ax, [0.1], [certificate], agent=2)
    assert not ax.get_lines()


def test_without_a_box_the_picture_is_around_the_equilibria(case, ax):
    game, certificate = case
    eg.plots.best_response_field(ax, game, certificate=certificate)
    low, high = certificate.lower.min(axis=0), certificate.upper.max(axis=0)
    for (left, right), a, b in zip((ax.get_xlim(), ax.get_ylim()), low, high):
        assert left == pytest.approx(a - 0.25 * (b - a))
        assert right == pytest.approx(b + 0.25 * (b - a))
    eg.plots.basins(ax, game, certificate, points=5)
    assert ax.get_xlim()[0] == pytest.approx(low[0] - 0.25 * (high[0] - low[0]))
    with pytest.raises(InvalidInput, match="there is no certificate to draw around"):
        eg.plots.best_response_field(ax, game)
    with pytest.raises(InvalidInput, match="has no equilibria to draw around"):
        eg.plots.basins(ax, game, eg.certify_all(game, (5, 6)))
    with pytest.raises(InvalidInput, match="low < high"):
        eg.plots.best_response_field(ax, game, "wide")


def test_what_is_not_proved_is_not_drawn_as_proved(case, ax):
    game, certificate = case
    unknown = dataclasses.replace(certificate, rate_lower=np.zeros(3), rate_upper=np.full(3, 9.0))
    eg.plots.best_response_field(ax, game, BOX, certificate=unknown)
    assert len(_points(ax, "proved rigorously, stability not proved")) == 3
    assert not [line for line in ax.get_lines() if str(line.get_label()).startswith(("stable", "unstable"))]


def test_titles_count_in_english(ax):
    (one,) = eg.certificates.certify_along(eg.catalog.three_equilibria, [0.3])
    eg.plots.bifurcation(ax, [0.3], [one])
    assert ax.get_title() == "1 equilibrium, none missed (proved rigorously)"


def test_every_plot_wants_axes_first(case):
    game, certificate = case
    shared = eg.catalog.two_agents()
    solution = eg.solve(shared)
    calls = (
        lambda ax: eg.plots.best_response_field(ax, game, BOX),
        lambda ax: eg.plots.basins(ax, game, certificate),
        lambda ax: eg.plots.bifurcation(ax, [0.1], [certificate]),
        lambda ax: eg.plots.convergence(ax, [1.0, 0.5]),
        lambda ax: eg.plots.influence(ax, shared),
        lambda ax: eg.plots.weights(ax, shared.weights),
        lambda ax: eg.plots.regret(ax, solution),
        lambda ax: eg.plots.bounds(ax, [[0.1]], [[0.2]], grade="float"),
        lambda ax: eg.plots.images(ax, [[[0, 1, 1, 0]]], shape=(2, 2)),
        lambda ax: eg.plots.metric_by_round(ax, None, "x"),
        lambda ax: eg.plots.theory_by_round(ax, None),
    )
    for wrong in (game, plt.figure(), None):
        for call in calls:
            with pytest.raises(
                InvalidInput, match=r"the first argument is a Matplotlib Axes: fig, ax = plt.subplots\(\)"
            ):
                call(wrong)
    plt.close()


def test_pictures_of_the_wrong_thing_say_so(case, ax):
    game, _ = case
    with pytest.raises(InvalidInput, match="influence is defined for agents who share a statistic"):
        eg.plots.influence(ax, game)
    with pytest.raises(InvalidInput, match="drawn for a Game, got Weights"):
        eg.plots.influence(ax, game.weights)
    with pytest.raises(InvalidInput, match="such as game.weights, got HeterogeneousGame"):
        eg.plots.weights(ax, game)
    with pytest.raises(InvalidInput, match="drawn for a Solution, got HeterogeneousGame"):
        eg.plots.regret(ax, game)
