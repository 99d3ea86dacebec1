"""The layered model against brute force over everything hidden, and the helpers of the experiment with modalities."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

import expfam_game as eg
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.samples import SampleSet
from paper_figures import five_modalities as module
from paper_figures.five_modalities import modality_columns, off, star
from paper_figures.layered import Layered, Layout
from paper_figures.modalities import (
    Judge,
    edges,
    keep_labels,
    palette,
    repaint,
    second_view,
    spread_labels,
    table,
    to_symbols,
)
from paper_figures.report import save

PIXELS = 3
LAYOUT = Layout(PIXELS, picture=True)


def small_model(per_pixel: bool, seed: int = 0, layout: Layout = LAYOUT) -> Layered:
    """Fitted parameters replaced by random ones."""
    rng = np.random.default_rng(seed)
    model = Layered(
        layout, n_classes=2, n_styles=2, n_kinds=2, n_symbols=3, per_pixel=per_pixel, prune=np.inf, max_iter=1
    )
    model.component_prob_ = rng.dirichlet(np.ones(4)).reshape(2, 2)
    model.ink_ = rng.uniform(0.1, 0.9, (layout.drawings, 4, PIXELS))
    model.kind_prob_ = rng.dirichlet(np.ones(2))
    model.table_ = rng.dirichlet(np.ones(3), (2, PIXELS if per_pixel else 1, 2))
    model.starting_ = False
    return model


def joint(model: Layered, c: int, k: int, b: int, drawing: tuple[int, ...], picture: tuple[int, ...]) -> float:
    """p(c, k, b, drawing, picture), factor by factor."""
    result = model.component_prob_[c, k] * model.kind_prob_[b]
    for p in range(PIXELS):
        theta = model.ink_[0, 2 * c + k, p]
        result *= theta if drawing[p] else 1 - theta
        result *= model.table_[b, p if model.per_pixel else 0, drawing[p], picture[p]]
    return float(result)


def marginal(model: Layered, picture: tuple[int, ...], **known: object) -> float:
    """The sum of the joint over everything that is not known."""
    return math.fsum(
        joint(model, c, k, b, s, picture)
        for c, k, b in itertools.product(range(2), repeat=3)
        for s in itertools.product((0, 1), repeat=PIXELS)
        if known.get("c", c) == c and known.get("k", k) == k and known.get("s", s) == s
    )


PICTURES = np.array([[0, 2, 1], [1, 1, 0], [2, 2, 2], [0, 1, 0]], dtype=np.uint8)
DRAWINGS = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1]], dtype=np.uint8)
LABELS, STYLES = np.array([0, 1, 1, 0]), np.array([1, 0, 1, 0])


@pytest.mark.parametrize("per_pixel", [False, True])
@pytest.mark.parametrize("known", ["", "c", "ck", "s", "cks"])
def test_likelihood_of_what_is_observed_sums_out_the_rest_T11(per_pixel: bool, known: str) -> None:
    model = small_model(per_pixel)
    blocks: dict[object, np.ndarray] = {"picture": PICTURES} | ({0: DRAWINGS} if "s" in known else {})
    question = table(LAYOUT, 4, blocks, LABELS if "c" in known else None, STYLES if "k" in known else None)
    expected = 0.0
    for i, picture in enumerate(PICTURES.tolist()):
        facts = {
            name: value
            for name, value in (("c", LABELS[i]), ("k", STYLES[i]), ("s", tuple(DRAWINGS[i])))
            if name in known
        }
        expected += math.log(marginal(model, tuple(picture), **facts)) / 4
    assert model.fit([question]).history_[0] == pytest.approx(expected, rel=1e-6)  # the kernel adds in float32


@pytest.mark.parametrize("per_pixel", [False, True])
def test_class_probabilities_are_bayes_rule(per_pixel: bool) -> None:
    model = small_model(per_pixel, seed=3)
    question = table(LAYOUT, 4, {"picture": PICTURES})
    found = model.predict_proba(question.values, question.mask()[0])
    for row, picture in zip(found, PICTURES.tolist(), strict=True):
        by_class = np.array([marginal(model, tuple(picture), c=c) for c in range(2)])
        assert row == pytest.approx(by_class / by_class.sum(), rel=1e-5)


def test_completion_draws_from_the_conditional_law() -> None:
    """Frequencies of the completed drawings: each within 6.5 standard errors (false alarm < 1e-9 over 8 of them)."""
    model, n = small_model(False, seed=5), 20_000
    question = table(LAYOUT, n, {"picture": np.tile(PICTURES[0], (n, 1))})
    drawn = model.complete(question.values, question.mask()[0], seed=1)[:, LAYOUT.drawing(0)]
    codes = np.bincount(drawn @ [4, 2, 1], minlength=8) / n
    whole = marginal(model, tuple(PICTURES[0].tolist()))
    for code, s in enumerate(itertools.product((0, 1), repeat=PIXELS)):
        p = marginal(model, tuple(PICTURES[0].tolist()), s=s) / whole
        assert abs(codes[code] - p) < 6.5 * math.sqrt(p * (1 - p) / n)


def test_samples_have_the_law_of_the_model() -> None:
    model, n = small_model(True, seed=6), 20_000
    drawn = model.sample(n, seed=2)[:, LAYOUT.over]
    codes = np.bincount(drawn @ [9, 3, 1], minlength=27) / n
    for code, picture in enumerate(itertools.product(range(3), repeat=PIXELS)):
        p = marginal(model, picture)
        assert abs(codes[code] - p) < 7 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("per_pixel", [False, True])
def test_em_never_lowers_the_likelihood_T11(per_pixel: bool) -> None:
    truth = small_model(per_pixel, seed=8)
    data = truth.sample(400, seed=1)
    sets = [
        table(LAYOUT, 200, {"picture": data[:200, LAYOUT.over]}),
        table(LAYOUT, 200, {0: data[200:, LAYOUT.drawing(0)]}, data[200:, 0].astype(np.int64)),
    ]
    model = small_model(per_pixel, seed=9)
    model.max_iter, model.margin, model.floor = 25, 1e-6, 1e-9
    gains = np.diff(model.fit(sets, [1.0, 1.0]).history_)
    assert gains.min() > -1e-6  # float32 inside
    assert gains.max() > 1e-4


def test_only_proportions_of_weights_count() -> None:
    data = small_model(False, seed=8).sample(100, seed=1)
    sets = [SampleSet(data[:60]), table(LAYOUT, 40, {"picture": data[60:, LAYOUT.over]})]
    one, other = (small_model(False, seed=2).fit(sets, w) for w in ([0.3, 0.1], [30.0, 10.0]))
    np.testing.assert_allclose(one.ink_, other.ink_, rtol=1e-9)
    np.testing.assert_allclose(one.table_, other.table_, rtol=1e-9)


def test_agent_without_labels_is_silent_until_classes_are_defined() -> None:
    data = small_model(False, seed=8).sample(60, seed=1)
    model = Layered(LAYOUT, n_classes=2, n_styles=2, n_kinds=2, n_symbols=3)
    own = table(LAYOUT, 60, {"picture": data[:, LAYOUT.over]})
    assert model.fit([own]).sample(5, seed=0).shape == (0, LAYOUT.width)
    assert model.sample_stratified(5, seed=0).n == 0
    with pytest.raises(NotFitted):
        model.predict_proba(own.values, own.mask()[0])
    heard = table(LAYOUT, 60, {0: data[:, LAYOUT.drawing(0)]}, data[:, 0].astype(np.int64))
    assert model.fit([own, heard]).sample(5, seed=0).shape == (5, LAYOUT.width)
    assert model.sample_stratified(6, seed=0).normalized_weights().sum() == pytest.approx(1.0)


def test_ink_is_found_without_a_drawing_of_ones_own() -> None:
    """Pictures alone, and drawings of other pictures: the model finds which colour is ink."""
    rng = np.random.default_rng(0)
    layout = Layout(16, picture=True)
    theta = np.where(np.arange(16) < 8, 0.95, 0.05)
    labels = rng.integers(0, 2, 1200)
    drawings = (rng.random((1200, 16)) < np.where(labels[:, None] == 0, theta, 1 - theta)).astype(np.uint8)
    drawings[:, :4] = 0  # where there is never ink
    colour = np.where(rng.random((600, 16)) < 0.9, drawings[:600], 1 - drawings[:600])
    model = Layered(layout, n_classes=2, n_styles=1, n_symbols=2, max_iter=20)
    model.fit([table(layout, 600, {"picture": colour}), table(layout, 600, {0: drawings[600:]}, labels[600:])])
    assert model.table_[0, 0, 1, 1] > 0.8 > 0.2 > model.table_[0, 0, 0, 1]
    question = table(layout, 600, {"picture": colour})
    assert (model.predict_proba(question.values, question.mask()[0]).argmax(axis=1) == labels[:600]).mean() > 0.95


def test_wrong_tables_are_refused() -> None:
    model = small_model(False)
    with pytest.raises(InvalidData, match="variables"):
        model.fit([np.zeros((2, 4), np.uint8)])
    torn = np.ones(LAYOUT.width, dtype=bool)
    torn[3] = False
    with pytest.raises(InvalidInput, match="entirely"):
        model.fit([SampleSet(np.zeros((2, LAYOUT.width), np.uint8), torn)])


# ---------------------------------------------------------------------- helpers


def test_repaint_takes_the_nearest_pixel_of_the_layer() -> None:
    rng = np.random.default_rng(0)
    drawing, layer = (rng.integers(0, 2, (1, 784)).astype(np.uint8) for _ in range(2))
    donor = np.stack([*np.mgrid[:28, :28], np.zeros((28, 28))], axis=-1)[None].astype(np.uint8)  # colour says where
    out = repaint(drawing, donor, layer)[0]
    for r, c in itertools.product(range(0, 28, 3), range(28)):
        places = np.argwhere(layer.reshape(28, 28) == drawing[0].reshape(28, 28)[r, c])
        least = ((places - [r, c]) ** 2).sum(axis=1).min()
        assert (out[r, c, 0] - float(r)) ** 2 + (out[r, c, 1] - float(c)) ** 2 == least


def test_palette_finds_the_colours_of_flat_pictures() -> None:
    true = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)
    images = true[np.random.default_rng(0).integers(0, 3, (20, 28, 28))]
    colours = palette(images, 3, seed=0)
    assert sorted(map(tuple, colours.round(6).tolist())) == sorted(map(tuple, true.astype(float).tolist()))
    painted = colours[to_symbols(images, colours)].reshape(images.shape)
    np.testing.assert_allclose(painted, images, atol=1e-9)


def test_labels_spread_over_clusters() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 120)
    images = np.zeros((120, 28, 28))
    images[truth == 0, 4:10, 4:10] = 1
    images[truth == 1, 16:22, 16:22] = 1
    images = (images != (rng.random(images.shape) < 0.02)).reshape(120, -1)
    kept = keep_labels(truth, 0.1, seed=1)
    assert np.bincount(kept[kept >= 0]).tolist() == [1, 1]
    np.testing.assert_array_equal(spread_labels(images, kept, n_classes=2), truth)


def test_second_view_without_flips_is_dark_stripes_over_the_inverted_turned_drawing() -> None:
    drawing = np.random.default_rng(0).integers(0, 2, (5, 784))
    turned = np.stack([np.rot90(x.reshape(28, 28)) for x in drawing]).reshape(5, -1)
    clean, noisy = second_view(drawing, 3, flips=0.0), second_view(drawing, 3)
    assert not clean[turned == 1].any()
    assert 0.2 < 1 - clean[turned == 0].mean() < 0.3  # a quarter of the plane is stripes
    assert abs((clean != noisy).mean() - 0.08) < 6 * math.sqrt(0.08 * 0.92 / clean.size)


def test_edges_are_blind_to_inversion() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3)).astype(np.uint8)
    np.testing.assert_allclose(edges(images), edges(255 - images), atol=1e-5)


def test_judge_learns_what_it_is_shown() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    images = (rng.random((200, 784)) < np.where(labels[:, None] == 1, 0.4, 0.1)).astype(np.uint8)
    judge = Judge(16, epochs=60).fit(images, labels)
    assert judge.agrees(images, labels) > 0.95
    assert judge.agrees(images, 1 - labels) < 0.05


def test_star_and_columns() -> None:
    alpha = star(4, 0.6).to_dense()
    np.testing.assert_allclose(alpha.sum(axis=1), 1.0)
    assert alpha[1, 0] == pytest.approx(0.4)
    assert alpha[1, 2] == 0.0
    assert isinstance(star(4, 0.6), eg.Weights)
    columns = [modality_columns(m) for m in range(5)]
    assert np.unique(np.concatenate(columns)).size == 2 + 6 * 784
    assert np.intersect1d(columns[0], columns[4]).size == 2 + 784
    assert off(np.array([[9.0, 1.0], [3.0, 9.0]])) == 2.0


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_quick_run_writes_pictures_and_numbers(small_digits, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("skimage")
    monkeypatch.setattr(module, "images_of", lambda threshold: small_digits(grey=threshold is None))
    report = module.main(tmp_path, 0, quick=True)
    save(report, "five_modalities", module.TITLE, module.CLAIM, tmp_path, seconds=1.0, command="test")
    names = {path.name for path in tmp_path.iterdir()}
    assert {f"{stem}{end}" for stem in report.figures for end in (".png", ".pdf")} | {"five_modalities.json"} == names
    found = {finding.what: finding.median for finding in report.findings}
    assert all(0.0 <= value <= 1.0 for value in found.values())
    # Chance is 0.1, and 60 test pictures are guessed right 21 times or more with probability < 1e-6.
    assert found["five modalities, mean: synthetic pairs (the game)"] > 0.35
