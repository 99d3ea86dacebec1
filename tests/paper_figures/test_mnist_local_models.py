"""Local models of MNIST: scores against brute force, what is asked, and that the figure is made."""

import itertools
import json

import numpy as np
import pytest

from expfam_game.learners import BernoulliMixture
from paper_figures import mnist_local_models
from paper_figures.making import draw_again
from paper_figures.report import save


def test_score_sums_the_digit_out():
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.integers(0, 2, (60, 3)), np.arange(60) % 2])
    model = BernoulliMixture(1, n_classes=2, margin=0.01).fit([table])
    joint = np.empty((60, 2))
    for c, i in itertools.product(range(2), range(60)):
        p = np.clip(table[table[:, 3] == c, :3].mean(axis=0), 0.01, 0.99)
        joint[i, c] = 0.5 * np.prod(np.where(table[i, :3] == 1, p, 1 - p))
    accuracy, nats = mnist_local_models.score(model, table)
    assert accuracy == np.mean(joint.argmax(axis=1) == table[:, 3])
    assert nats == pytest.approx(-np.log(joint.sum(axis=1)).mean(), rel=1e-12)


def test_asked_numbers_stand_with_the_full_models_only():
    asked = {name: (m.accuracy, m.nats, m.seconds) for name, m in mnist_local_models.MODELS.items()}
    assert asked["bernoulli"] == (">= 0.955", "", "<= 30")
    assert asked["analysers"] == (">= 0.96", "", "<= 60")
    assert asked["trees"] == ("", "<= 85", "<= 120")
    full, quick = (mnist_local_models.Fit("trees", 0, quick) for quick in (False, True))
    assert (full.title, quick.title) == ("mixture of 8 trees", "mixture of 2 trees")


def test_quick_figure_is_written(small_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_local_models, "_images", small_digits)
    report = mnist_local_models.main(tmp_path, 0, True)
    title, claim = mnist_local_models.TITLE, mnist_local_models.CLAIM
    written = save(
        report, "mnist_local_models", title, claim, tmp_path, seconds=0.0, command="python -m paper_figures --quick"
    )
    assert {path.suffix for path in written} == {".png", ".pdf", ".json"}
    assert all(path.stat().st_size > 1000 for path in written)
    saved = json.loads((tmp_path / "mnist_local_models.json").read_text())
    made = draw_again("mnist_local_models", tmp_path)
    assert not made.problem, made.trace
    assert json.loads((tmp_path / "mnist_local_models.json").read_text()) == saved
    assert set(saved["series"]) == set(mnist_local_models.MODELS)
    for numbers in saved["series"].values():
        assert 0.1 < numbers["accuracy"][0] <= 1.0
        assert np.isfinite(numbers["nats"][0])
        assert numbers["seconds"][0] > 0
    assert not any(finding["wanted"] for finding in saved["findings"])
