"""Plots: what is drawn is read back from the Axes and compared with the numbers that went in."""

from __future__ import annotations

import sys
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import expfam_game as eg
from expfam_game.errors import InvalidInput, MissingExtra
from expfam_game.plots import style


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    figure.canvas.draw()
    plt.close(figure)


def _labels(ax):
    return [text.get_text() for text in ax.legend().get_texts()]


def test_convergence_draws_errors_rate_and_envelope(ax):
    errors = 2.0 * 0.5 ** np.arange(20) * (1 + 0.1 ** np.arange(20))
    assert eg.plots.convergence(ax, errors, rate=0.5, envelope=0.6, label="play", grade="rigorous") is ax
    curve, rate, bound = ax.get_lines()
    assert np.array_equal(curve.get_ydata(), errors)
    assert np.allclose(np.diff(np.log(rate.get_ydata())), np.log(0.5))
    assert rate.get_ydata()[-1] == pytest.approx(errors[-1])
    assert np.allclose(bound.get_ydata(), errors[0] * 0.6 ** np.arange(20))
    assert _labels(ax) == ["play", "asymptotic rate 0.5", "bound $q^t$, q = 0.6, proved rigorously"]
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "round"


def test_convergence_leaves_zeros_out_and_takes_any_envelope(ax):
    eg.plots.convergence(ax, [1.0, 0.5, 0.0], envelope=[1.0, 0.9, 0.8], grade="exact", color="#D55E00")
    curve, bound = ax.get_lines()
    assert curve.get_ydata().tolist() == [1.0, 0.5]
    assert curve.get_color() == "#D55E00"
    assert bound.get_ydata().tolist() == [1.0, 0.9, 0.8]
    assert _labels(ax) == ["bound, proved exactly"]


def test_convergence_of_nothing_says_so(ax):
    eg.plots.convergence(ax, [0.0, 0.0], rate=0.5, envelope=0.5)
    assert "all errors are zero" in ax.texts[0].get_text()
    assert ax.get_yscale() == "linear"


def test_convergence_starts_at_any_round(ax):
    eg.plots.convergence(ax, [1.0, 0.5, 0.25], rate=0.5, envelope=0.6, first=3)
    assert all(line.get_xdata().tolist() == [3, 4, 5] for line in ax.get_lines())


def test_rate_line_ignores_errors_that_rounding_governs(ax):
    errors = np.maximum(0.1 ** np.arange(30), 1e-16)
    eg.plots.convergence(ax, errors, rate=0.1)
    assert ax.get_lines()[1].get_xdata()[-1] in (12, 13)


@pytest.mark.parametrize("errors", [[], [[1.0]], [1.0, -0.1], [1.0, np.nan]])
def test_convergence_refuses(ax, errors):
    with pytest.raises(InvalidInput, match="non-empty vector of non-negative"):
        eg.plots.convergence(ax, errors)


def test_grades_come_as_words_or_enums():
    assert [style.grade_name(word) for word in ("exact", "Rigorous", "FLOAT")] == ["exact", "rigorous", "float"]
    assert {style.grade_name(grade) for grade in eg.Grade} == set(style.GRADES)
    with pytest.raises(InvalidInput, match="exact, rigorous, float"):
        style.grade_name("certain")


def test_influence_writes_every_entry_of_a_small_game(ax):
    game = eg.catalog.ring(4, 0.5)
    eg.plots.influence(ax, game)
    assert np.allclose(ax.images[0].get_array(), game.influence())
    written = np.array([float(text.get_text()) for text in ax.texts]).reshape(4, 4)
    assert np.allclose(written, game.influence(), atol=0.0051)
    assert ax.get_xlabel() == "data of agent j"
    assert ax.figure.axes[1].get_ylabel().startswith("influence")


def test_influence_of_one_owner_is_written_in_full(ax):
    eg.plots.influence(ax, eg.catalog.star_one_owner(3), colorbar=False)
    assert {text.get_text() for text in ax.texts} == {"1.00", "0"}
    assert len(ax.figure.axes) == 1


def test_influence_tells_nothing_from_little(ax):
    """Agent 1 hears nobody; agent 0 hears it with weight 1e-3, and agent 2 has no data."""
    weights = eg.Weights.from_dense([[0.999, 0.001, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    means = [[0.2], [0.4], [np.nan]]
    eg.plots.influence(ax, eg.Game(eg.families.Bernoulli(1), weights, means=means), colorbar=False)
    assert [text.get_text() for text in ax.texts] == [">.99", "<.01", "0", "0", "1.00", "0", ".50", ".50", "0"]


def test_influence_of_a_larger_game_has_no_numbers(ax):
    eg.plots.influence(ax, eg.catalog.ring(30, 0.5))
    assert not ax.texts


def test_weights_draw_every_arrow_and_agent(ax):
    weights = eg.Weights.from_dense([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [0.0, 1.0, 0.0]])
    eg.plots.weights(ax, weights)
    arrows = [patch for patch in ax.patches if isinstance(patch, matplotlib.patches.FancyArrowPatch)]
    assert len(arrows) == 4
    assert max(patch.get_linewidth() for patch in arrows) == pytest.approx(2.5)
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2"]
    assert ax.get_title() == "Who listens to whom"
    assert "to the listener" in ax.get_legend().get_title().get_text()
    keys = [text.get_text() for text in ax.get_legend().get_texts()]
    assert keys == [r"$\alpha_{ij}$ = 0.2", r"$\alpha_{ij}$ = 1"]
    colours = ax.collections[-1].get_facecolor()
    assert np.allclose(colours[2], 1.0)
    assert not np.allclose(colours[0], colours[1])


def test_arrows_point_the_way_that_samples_flow(ax):
    """Agent 0 listens to agent 1, so the arrow ends nearer to agent 0."""
    places = {0: (0.0, 0.0), 1: (1.0, 0.0)}
    eg.plots.weights(ax, eg.Weights.from_dense([[0.5, 0.5], [0.0, 1.0]]), layout=places, colorbar=False, key=False)
    (arrow,) = [patch for patch in ax.patches if isinstance(patch, matplotlib.patches.FancyArrowPatch)]
    assert arrow._posA_posB == [(1.0, 0.0), (0.0, 0.0)] or np.allclose(arrow._posA_posB, [(1.0, 0.0), (0.0, 0.0)])
    assert ax.get_title() == ""


def test_weights_of_isolated_agents_and_larger_graphs(ax):
    eg.plots.weights(ax, eg.Weights.from_dense(np.eye(3)), colorbar=False)
    assert not ax.patches
    eg.plots.weights(ax, eg.Weights.grid(5, 5, 0.3), colorbar=False)
    places = {k: (float(k), 0.0) for k in range(3)}
    eg.plots.weights(ax, eg.Weights.ring(3, 0.5), layout=places, colorbar=False)
    assert ax.texts[-1].get_position() == (2.0, 0.0)


def test_too_many_agents_to_draw(ax):
    many = eg.Weights.ring(2001, 0.5)
    with pytest.raises(InvalidInput, match="2001 agents cannot be drawn"):
        eg.plots.weights(ax, many)
    with pytest.raises(InvalidInput, match="cannot be drawn"):
        eg.plots.influence(ax, eg.Game(eg.families.Bernoulli(1), many, means=np.full((2001, 1), 0.5)))


def test_images_stand_where_they_belong(ax):
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 6)), rng.random((2, 6))
    eg.plots.images(ax, [first, second], (2, 3), titles=["a", "b", "c"], row_titles=["x", "y"])
    canvas = ax.images[0].get_array()
    assert canvas.shape == (5, 11)
    assert np.array_equal(canvas[0:2, 8:11], first[2].reshape(2, 3))
    assert np.array_equal(canvas[3:5, 4:7], second[1].reshape(2, 3))
    assert canvas.mask[2].all()
    assert canvas.mask[3:5, 8:11].all()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["x", "y"]
    assert ax.get_xticks().tolist() == [1.0, 5.0, 9.0]


def test_images_that_are_missing_are_named(ax):
    eg.plots.images(ax, [[[0.1, 0.2], [np.nan, np.nan]]], (1, 2), missing="no data")
    (text,) = ax.texts
    assert text.get_text() == "no data"
    assert text.get_position() == (3.5, 0.0)


def test_images_each_on_its_own_scale(ax):
    eg.plots.images(ax, [np.array([[0.0, 0.2], [0.0, 0.0]])], (1, 2), share_scale=False)
    assert ax.images[0].get_array()[0, :2].tolist() == [0.0, 1.0]
    assert ax.images[0].get_array()[0, 3:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("rows", "titles", "message"),
    [
        ([], None, "rows is empty"),
        ([[[0, 1, 2]]], None, r"it must be \(n_images, 2 \* 2\)"),
        ([[0, 1, 1, 0]], None, r"it must be \(n_images, 2 \* 2\)"),
        ([[[0, 1, 1, 0]]], ["a", "b"], "titles has 2 entries for 1 places"),
    ],
)
def test_images_refuse(ax, rows, titles, message):
    with pytest.raises(InvalidInput, match=message):
        eg.plots.images(ax, rows, (2, 2), titles)


def _tops(ax):
    return [patch.get_y() + patch.get_height() for patch in ax.patches]


def test_regret_bars_end_at_the_regrets(ax):
    solution = eg.solve(eg.catalog.ring(), eg.solvers.Contraction(tolerance=1e-6))
    eg.plots.regret(ax, solution, bound=1e-3, grade="rigorous")
    assert np.allclose(_tops(ax), solution.regret, rtol=1e-12)
    assert "bound on all, proved rigorously" in _labels(ax)
    assert ax.get_ylabel() == "regret (nats)"
    assert ax.get_yscale() == "log"


def test_regrets_of_zero_are_marked(ax):
    solution = eg.solve(eg.catalog.two_agents(0.5))
    exact = replace(solution, regret=np.zeros(2))
    eg.plots.regret(ax, exact)
    assert not ax.patches
    assert ax.get_lines()[0].get_xdata().tolist() == [0, 1]
    assert _labels(ax) == ["zero or rounding, below 1e-18 (grade: float)"]
    assert ax.get_ylim()[0] == 1e-18
    ax.clear()
    eg.plots.regret(ax, replace(exact, regret=np.array([1e-25, 3e-9])), bound=1e-20, grade="exact")
    assert ax.get_lines()[0].get_xdata().tolist() == [0]
    assert _tops(ax) == [pytest.approx(3e-9)]
    assert ax.get_ylim()[0] < 1e-20


def test_bounds_show_widths_and_errors(ax):
    lower, upper = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[0.11, 0.2], [0.3, 0.5]])
    eg.plots.bounds(ax, lower, upper, error=[[1e-3, 0.0], [0.0, 2e-2]], grade=eg.Grade.RIGOROUS)
    assert np.allclose(_tops(ax), [0.01, 0.1])
    assert ax.get_lines()[-1].get_ydata().tolist() == [1e-3, 2e-2]
    assert "width of the enclosure, proved rigorously" in _labels(ax)


@pytest.mark.parametrize("upper", [[[0.0]], [0.2], [[0.2, 0.3]]])
def test_bounds_refuse(ax, upper):
    with pytest.raises(InvalidInput, match="lower nowhere above upper"):
        eg.plots.bounds(ax, [[0.1]], upper, grade="float")


def test_palette_is_distinct_also_without_red_or_green():
    """Colours stay apart after projection on the confusion planes of protanopes and deuteranopes (Viénot 1999)."""
    simulate = {
        "protanope": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
        "deuteranope": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
    }
    rgb = np.array([matplotlib.colors.to_rgb(colour) for colour in eg.plots.PALETTE[:7]]) ** 2.2
    for matrix in simulate.values():
        seen = np.clip(rgb @ np.array(matrix).T, 0.0, 1.0) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 10 * np.eye(len(seen))
        assert apart.min() > 0.1


def test_missing_matplotlib_names_the_extra(ax, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"expfam-game\[plot\]"):
        eg.plots.convergence(ax, [1.0])
