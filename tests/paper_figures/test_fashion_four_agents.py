"""Divisions, weights and scores on toy data; the quick figure."""

import json

import numpy as np

from paper_figures import fashion_four_agents as figure
from paper_figures.data import Part
from paper_figures.making import draw_again
from paper_figures.report import save


def numbered(per_class):
    """Images that are their own number."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), per_class)
    return Part(255.0 * np.arange(labels.size)[:, None], labels)


def test_agents_own_different_examples_of_every_class_and_none_of_the_common_ones():
    parts, common = figure.divide(numbered(60), figure.Task(per_class=10, seed=3, common=50))
    assert len(parts) == figure.AGENTS
    for part in parts:
        np.testing.assert_array_equal(np.bincount(part.labels, minlength=10), np.full(10, 10))
    everybody = np.concatenate([part.images.ravel() for part in (*parts, common)])
    assert len(common) == 50
    assert np.unique(everybody).size == everybody.size == 4 * 100 + 50
    # Images and labels stay together.
    for part in parts:
        np.testing.assert_array_equal(np.round(part.images.ravel()) // 60, part.labels)


def test_shorter_parts_are_repeated_until_all_weigh_the_same():
    short, long = Part(np.array([[1.0], [2.0]]), np.array([0, 1])), Part(np.full((5, 1), 9.0), np.full(5, 2))
    images, labels = figure.equally_many([short, long])
    np.testing.assert_array_equal(images.ravel(), [1, 2, 1, 2, 1, 9, 9, 9, 9, 9])
    np.testing.assert_array_equal(labels, [0, 1, 0, 1, 0, 2, 2, 2, 2, 2])


def test_network_learns_classes_that_can_be_told_apart():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    part = Part(np.eye(3)[labels] + 0.1 * rng.normal(size=(200, 3)), labels)
    model = figure.network([part], 1, figure.Task(per_class=1, seed=0, steps=200))
    assert figure.score(model, part) > 0.99
    flipped = Part(part.images, (labels + 1) % 3)
    assert figure.score(model, flipped) < 0.01


def test_quick_figure(tmp_path):
    report = figure.main(tmp_path, seed=2, quick=True)
    save(
        report,
        "fashion_four_agents",
        figure.TITLE,
        figure.CLAIM,
        tmp_path,
        seconds=0.0,
        command="python -m paper_figures --quick",
    )
    for stem in report.figures:
        assert (tmp_path / f"{stem}.png").stat().st_size > 10_000
        assert (tmp_path / f"{stem}.pdf").stat().st_size > 5_000
    saved = json.loads((tmp_path / "fashion_four_agents.json").read_text(encoding="utf-8"))
    for regime in saved["series"].values():
        assert set(regime["accuracy"]) == set(figure.WAYS)
        for values in regime["accuracy"].values():
            assert np.shape(values) == (1, figure.AGENTS)
            assert np.mean(values) > 0.3  # three times chance, in seconds
    # What the file holds is enough to say and draw the same again.
    made = draw_again("fashion_four_agents", tmp_path)
    assert not made.problem, made.trace
    assert json.loads((tmp_path / "fashion_four_agents.json").read_text(encoding="utf-8")) == saved
