"""The pictures of a game: what is drawn is read back and compared with the numbers that went in."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bridge.players import Faulty, Labels

import expfam_game as eg
from expfam_game.bridge import play
from expfam_game.errors import InvalidInput
from expfam_game.plots.rounds import metric_by_round, theory_by_round

DATA = [np.array([[0], [0], [1]]), np.array([[1], [2]]), np.array([[2], [2], [0]])]


@pytest.fixture(scope="module")
def result():
    return play(
        [Labels(), Faulty("exception", at=3), Labels()],
        eg.Weights.complete(3, 0.5),
        DATA,
        4,
        n=100,
        label=0,
        metrics={"p": lambda agent, index: agent.p[0]},
        on_fault="drop round",
    )


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    figure.canvas.draw()
    plt.close(figure)


def test_metric_by_round_draws_every_agent_and_marks_faults(ax, result):
    assert metric_by_round(ax, result, "p", labels=["a", "b", "c"]) is ax
    for agent, curve in enumerate(ax.get_lines()[:3]):
        np.testing.assert_array_equal(curve.get_ydata(), result.metric("p")[:, agent])
        assert curve.get_xdata().tolist() == [0, 1, 2, 3, 4]
    crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert len(crosses) == len({fault.round for fault in result.faults}) > 0
    assert {(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses} == {
        (fault.round, result.metric("p")[fault.round, 1]) for fault in result.faults
    }
    assert [text.get_text() for text in ax.legend().get_texts()] == ["a", "b", "c"]


def test_theory_by_round_draws_points_path_band_and_goal(ax, result):
    check = result.theory
    theory_by_round(ax, check, 2, z=2.0, agents=[0, 2])
    path, points, goal = ax.get_lines()[:3]
    np.testing.assert_array_equal(path.get_ydata(), check.predicted[:, 0, 2])
    np.testing.assert_array_equal(points.get_ydata(), check.observed[:, 0, 2])
    np.testing.assert_array_equal(goal.get_ydata(), [check.equilibrium[0, 2]] * 2)
    band = ax.collections[1].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx((check.predicted + 2 * check.standard_error)[:, 2, 2].max())
    assert ax.get_ylabel() == "class 2"
    texts = [text.get_text() for text in ax.legend().get_texts()]
    assert texts == ["agent 0", "agent 2", "predicted, ± 2 standard errors", "equilibrium $R\\,m$"]


def test_plots_of_what_is_not_there_are_refused(ax, result):
    with pytest.raises(InvalidInput, match="no metric 'accuracy'; recorded were: p"):
        metric_by_round(ax, result, "accuracy")
    with pytest.raises(InvalidInput, match="no theory check"):
        theory_by_round(ax, None)
    with pytest.raises(InvalidInput, match="entry is 3; the statistic has the entries 0 to 2"):
        theory_by_round(ax, result.theory, 3)
