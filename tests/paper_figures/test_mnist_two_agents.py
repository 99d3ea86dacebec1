"""The Fréchet distance against SciPy and a closed form; rounds and digits; the quick figure."""

import json

import numpy as np
import pytest
from scipy.linalg import sqrtm

from expfam_game.errors import InvalidInput
from paper_figures import mnist_two_agents as figure
from paper_figures.data import Part
from paper_figures.measures import Moments, classifier, frechet_distance, hidden_layer, principal_components
from paper_figures.report import save


def random_moments(rng, k, rank=None):
    root = rng.normal(size=(k, rank or k))
    return Moments(rng.normal(size=k), root @ root.T)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_frechet_distance_agrees_with_matrix_square_roots_of_scipy(k):
    rng = np.random.default_rng(k)
    one, other = random_moments(rng, k), random_moments(rng, k)
    cross = sqrtm(one.covariance @ other.covariance)
    expected = np.sum((one.mean - other.mean) ** 2) + np.trace(one.covariance + other.covariance - 2 * np.real(cross))
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_where_features_never_vary():
    rng = np.random.default_rng(0)
    one, shift = random_moments(rng, 6, rank=2), np.arange(6.0)
    moved = Moments(one.mean + shift, one.covariance)
    assert frechet_distance(one, moved) == pytest.approx(shift @ shift, rel=1e-7)
    still = Moments(one.mean, np.zeros((6, 6)))
    assert frechet_distance(one, still) == pytest.approx(np.trace(one.covariance), rel=1e-12)


def test_moments_of_features_by_hand():
    moments = Moments.of([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0]])
    np.testing.assert_allclose(moments.mean, [2.0, 2.0])
    np.testing.assert_allclose(moments.covariance, [[4.0, 3.0], [3.0, 3.0]])
    with pytest.raises(InvalidInput, match="at least two rows"):
        Moments.of([[1.0, 2.0]])


def test_principal_components_find_the_direction_of_most_variance():
    rng = np.random.default_rng(1)
    along = np.array([3.0, 4.0, 0.0]) / 5.0
    table = rng.normal(size=(4000, 1)) * 10.0 * along + rng.normal(size=(4000, 3)) * 0.01
    features = principal_components(table, 1)
    np.testing.assert_allclose(np.abs(features(table.mean(axis=0) + 7.0 * along[None])), [[7.0]], rtol=1e-3)


def test_hidden_layer_is_what_the_last_layer_of_the_classifier_reads():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 300)
    images = (rng.random((300, 9)) < 0.1 + 0.8 * (np.arange(9) % 3 == labels[:, None])).astype(np.uint8)
    network = classifier(Part(images, labels), 8, epochs=40, seed=0)
    scores = hidden_layer(network)(images) @ network.coefs_[-1] + network.intercepts_[-1]
    np.testing.assert_array_equal(scores.argmax(axis=1), network.predict(images))
    assert np.mean(network.predict(images) == labels) > 0.8


def test_rounds_leave_little_of_the_first_disagreement():
    for trust in (0.1, 0.3, 0.5, 0.9):
        rounds = figure.rounds_for(trust, most=100)
        assert (1.0 - trust) ** (2 * rounds) <= figure.LEFT_OVER
        assert rounds == 4 or (1.0 - trust) ** (2 * (rounds - 1)) > figure.LEFT_OVER
    assert figure.rounds_for(0.01, most=7) == 7
    assert figure.rounds_for(1.0, most=7) == 0


def test_digits_of_each_agent():
    assert figure.digits_of(0, "own").tolist() == figure.digits_of(1, "other").tolist() == [0, 1, 2, 3, 4]
    assert figure.digits_of(1, "own").tolist() == [5, 6, 7, 8, 9]
    assert figure.digits_of(1, "all").size == 10


def test_pictures_come_in_the_order_of_their_labels():
    table = np.zeros((3, 785))
    table[:, -1], table[:, 0] = [2, 0, 1], [20, 0, 10]
    np.testing.assert_array_equal(figure.in_order(table)[:, 0], [0, 10, 20])


def test_quick_figure(tmp_path):
    report = figure.main(tmp_path, seed=3, quick=True)
    save(report, "mnist_two_agents", figure.TITLE, figure.CLAIM, tmp_path, seconds=0.0, command="")
    for stem in report.figures:
        assert (tmp_path / f"{stem}.png").stat().st_size > 10_000
        assert (tmp_path / f"{stem}.pdf").stat().st_size > 5_000
    saved = json.loads((tmp_path / "mnist_two_agents.json").read_text(encoding="utf-8"))
    found = {finding["what"]: finding["median"] for finding in saved["findings"]}
    # Whoever draws five digits only is far from the law of ten, however rough the models.
    space = "hidden layer: to all digits"
    assert found[f"{space}, α = 0.5"] < found[f"{space}, isolated"]
    assert found[f"{space}, training images"] < found[f"{space}, pooled model"]
