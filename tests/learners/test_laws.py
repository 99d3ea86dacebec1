"""Laws that every learner obeys, whatever it is made of: one battery over all of them."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.learners import (
    BernoulliMixture,
    ChowLiuTree,
    ClassConditional,
    ConditionalVAE,
    MixtureOfFactorAnalysers,
    MixtureOfTrees,
)
from expfam_game.samples import SampleSet

FEATURES, CLASSES = 4, 3


def bernoulli_of_class(c):
    return BernoulliMixture(2, seed=c)


def conditional(**options):
    return ClassConditional(bernoulli_of_class, CLASSES, **options)


EM = {
    "bernoulli": lambda **options: BernoulliMixture(3, n_classes=CLASSES, **options),
    "trees": lambda **options: MixtureOfTrees(3, n_classes=CLASSES, **options),
    "chow-liu": lambda **options: ChowLiuTree(n_classes=CLASSES, **options),
    "analysers": lambda **options: MixtureOfFactorAnalysers(3, 2, n_classes=CLASSES, **options),
}
SMALL = {"n_classes": CLASSES, "epochs": 2, "batch_size": 10}
ALL = EM | {
    "conditional": conditional,
    "lower bound": lambda **options: ConditionalVAE(2, 4, **SMALL, **options),
    "symmetric": lambda **options: ConditionalVAE(2, 4, objective="symmetric", **SMALL, **options),
    "binary codes": lambda **options: ConditionalVAE(2, 4, objective="symmetric", codes="binary", **SMALL, **options),
}
every_learner = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
every_em_learner = pytest.mark.parametrize("make", EM.values(), ids=EM)


def some_rows(n=45, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    x = rng.random((n, FEATURES)) < rng.uniform(0.2, 0.8, size=(CLASSES, FEATURES))[labels]
    return np.column_stack([x, labels]).astype(np.int64)


def some_mask(rows, seed=1, share=0.7):
    return np.random.default_rng(seed).random(rows.shape) < share


def answers(model, rows=None):
    """What a model says, by all of its methods."""
    rows = some_rows(9, seed=5) if rows is None else rows
    mask = some_mask(rows, seed=6)
    drawn = model.sample_stratified(12, seed=3)
    return [
        model.class_prob_,
        model.log_prob(rows),
        model.log_prob(rows, mask),
        model.predict_proba(rows, mask),
        model.complete(rows, mask, seed=2),
        model.sample(10, seed=1),
        drawn.values,
        drawn.normalized_weights(),
    ]


def assert_same(one, other):
    for a, b in zip(answers(one), answers(other), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------- what must not matter


@every_learner
@pytest.mark.parametrize("kind", [bool, np.uint8, np.int8, ">i4", np.float16, np.float32])
def test_the_type_of_the_samples_does_not_matter(make, kind):
    rows = some_rows()
    rows = rows[rows[:, -1] < 2] if kind is bool else rows
    mask = some_mask(rows)
    mask[:6, -1] = True
    one, other = make().fit([SampleSet(rows, mask)]), make().fit([SampleSet(rows.astype(kind), mask)])
    questions = rows[:9], some_mask(rows[:9])
    np.testing.assert_array_equal(one.log_prob(*questions), other.log_prob(questions[0].astype(kind), questions[1]))
    np.testing.assert_array_equal(one.predict_proba(*questions), other.predict_proba(*questions))


@every_learner
def test_the_layout_in_memory_does_not_matter_and_nothing_is_written_to(make):
    rows, weights = some_rows(), np.linspace(1.0, 2.0, 45)
    mask = some_mask(rows)
    frozen = np.asfortranarray(rows), np.asfortranarray(mask), weights.copy()
    for array in frozen:
        array.flags.writeable = False
    assert_same(make().fit([SampleSet(rows, mask, weights)]), make().fit([SampleSet(*frozen)]))


@every_learner
def test_a_mask_of_ones_is_none(make):
    rows = some_rows()
    assert_same(make().fit([rows]), make().fit([SampleSet(rows, np.ones(rows.shape, dtype=bool))]))


@every_learner
def test_sets_and_rows_of_weight_zero_leave_no_trace(make):
    rows = some_rows()
    strange = SampleSet(rows[::-1][:12], some_mask(rows[:12]))
    nobody = np.empty((0, FEATURES + 1))
    assert_same(make().fit([rows[:30]]), make().fit([rows[:30], strange, nobody], [1.0, 0.0, 5.0]))
    hidden = np.ones(rows.shape, dtype=bool)
    hidden[30:, -1] = False
    weighted = SampleSet(rows, hidden, np.where(np.arange(45) < 30, 1.0, 0.0))
    reference = make().fit([SampleSet(rows[:30], np.ones((30, FEATURES + 1), dtype=bool))])
    np.testing.assert_allclose(make().fit([weighted]).class_prob_, reference.class_prob_, rtol=1e-12)


@every_learner
def test_threads_do_not_matter(make):
    rows = some_rows()
    samples = SampleSet(rows, some_mask(rows))
    reference = make().fit([samples])
    with ThreadPoolExecutor(4) as pool:
        for model in pool.map(lambda _: make().fit([samples]), range(4)):
            assert_same(model, reference)
        for said in pool.map(lambda _: answers(reference), range(4)):
            for a, b in zip(said, answers(reference), strict=True):
                np.testing.assert_array_equal(a, b)


@every_learner
def test_pickled_models_say_the_same(make):
    model = make().fit([some_rows()])
    assert_same(pickle.loads(pickle.dumps(model)), model)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), learner=st.sampled_from(sorted(EM)), unlabelled=st.sampled_from([0.0, 0.5]))
def test_T11_an_integer_weight_is_that_many_rows(seed, learner, unlabelled):
    """One EM step from the same parameters, with masks and missing labels; a start may depend on numbers of rows."""
    rng = np.random.default_rng(seed)
    rows, counts = some_rows(30, seed), rng.integers(1, 5, size=30)
    mask = some_mask(rows, seed)
    mask[:, -1] = rng.random(30) >= unlabelled
    start = EM[learner](seed=seed).fit([some_rows(seed=seed + 1)])
    once, repeated = pickle.loads(pickle.dumps(start)), pickle.loads(pickle.dumps(start))
    once.partial_fit([SampleSet(rows, mask, counts)])
    repeated.partial_fit([SampleSet(np.repeat(rows, counts, axis=0), np.repeat(mask, counts, axis=0))])
    np.testing.assert_allclose(once.class_prob_, repeated.class_prob_, rtol=1e-12)
    np.testing.assert_allclose(once.log_prob(rows, mask), repeated.log_prob(rows, mask), rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------------- idempotence


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), n=st.integers(CLASSES, 40), learner=st.sampled_from(sorted(ALL)))
def test_T2_class_probabilities_survive_stratified_samples_of_the_model_itself(seed, n, learner):
    """p(c) is an expected weight and nothing else, so agents exchange it without loss, whatever they are."""
    weights = np.random.default_rng(seed).exponential(size=45)
    model = ALL[learner]().fit([SampleSet(some_rows(), row_weights=weights)])
    before = model.class_prob_
    for round_ in range(3):
        model.fit([model.sample_stratified(n, seed=round_)])
    np.testing.assert_allclose(model.class_prob_, before, rtol=1e-12)


# ---------------------------------------------------------------------- hard cases


def constant_rows():
    return np.column_stack([np.ones((9, 3)), np.zeros(9), np.arange(9) % CLASSES])


def incomplete(hide):
    rows, mask = some_rows(), np.ones((45, FEATURES + 1), dtype=bool)
    hide(mask)
    return SampleSet(rows, mask)


def only_labels(mask):
    mask[:, :-1] = False


def rows_of_nothing(mask):
    mask[5:20] = False


def few_labels(mask):
    mask[CLASSES:, -1] = False


def many_pixels():
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 2, size=(4, 784)), np.arange(4) % CLASSES])
    mask = rng.random(rows.shape) < 0.5
    mask[:, -1] = True
    return SampleSet(rows, mask)


def light_class():
    rows = some_rows()
    return SampleSet(rows, row_weights=np.where(rows[:, -1] == 0, 1e-300, 1.0))


HARD = {
    "a single row": lambda: some_rows(1),
    "constant pixels": constant_rows,
    "labels alone": lambda: incomplete(only_labels),
    "rows that show nothing": lambda: incomplete(rows_of_nothing),
    "one label a class": lambda: incomplete(few_labels),
    "one class only": lambda: some_rows()[::CLASSES],
    "fewer rows than components": lambda: some_rows(2),
    "one feature": lambda: some_rows()[:, -2:],
    "784 pixels of four rows": many_pixels,
    "all weight on one row": lambda: SampleSet(some_rows(), row_weights=np.arange(45) == 7),
    "a class of weight 1e-300": light_class,
    "weights near the largest number": lambda: SampleSet(some_rows(), row_weights=np.full(45, 1e308)),
    "weights near zero": lambda: SampleSet(some_rows(), row_weights=np.full(45, 1e-310)),
}


@every_learner
@pytest.mark.parametrize("samples", HARD.values(), ids=HARD)
def test_hard_samples_leave_a_sound_model(make, samples):
    model = make().fit([samples()])
    model.fit([samples()])
    assert np.all(np.isfinite(model.history_))
    assert model.class_prob_.sum() == pytest.approx(1.0, rel=1e-12)
    n_variables = model.n_features_ + 1
    drawn = model.sample(6, seed=0)
    assert drawn.shape == (6, n_variables)
    mask = np.zeros((6, n_variables), dtype=bool)
    mask[0], mask[1, 0] = True, True
    for known in (None, mask, np.zeros(n_variables, dtype=bool)):
        assert np.all(np.isfinite(model.log_prob(drawn, known)))
        np.testing.assert_allclose(model.predict_proba(drawn, known).sum(axis=1), 1.0, rtol=1e-12)
    filled = model.complete(drawn, mask, seed=0)
    np.testing.assert_array_equal(filled[mask], drawn[mask])
    assert set(np.unique(filled[:, -1])) <= set(np.flatnonzero(model.seen_))


@every_learner
def test_no_rows_are_an_answer_to_no_question(make):
    model = make().fit([some_rows()])
    nothing = np.empty((0, FEATURES + 1))
    assert model.sample(0).shape == (0, FEATURES + 1)
    assert model.sample(0, labels=[]).shape == (0, FEATURES + 1)
    assert model.log_prob(nothing).shape == (0,)
    assert model.predict(nothing).shape == (0,)
    assert model.predict_proba(nothing, np.empty((0, FEATURES + 1), dtype=bool)).shape == (0, CLASSES)
    assert model.complete(nothing, [True] * FEATURES + [False]).shape == (0, FEATURES + 1)


# ---------------------------------------------------------------------- refusals


@every_learner
@pytest.mark.parametrize("n", [-1, 2.5, True, "3", None])
def test_numbers_of_samples_that_are_none(make, n):
    model = make().fit([some_rows()])
    for draw in (model.sample, model.sample_stratified):
        with pytest.raises(InvalidInput, match="n is"):
            draw(n)


@every_learner
@pytest.mark.parametrize("labels", [[0.7, 1.2], [np.nan, 1.0], [0, CLASSES], [-1, 0], [[0], [1]], ["0", "1"], [0]])
def test_labels_that_are_none(make, labels):
    with pytest.raises(InvalidInput, match="labels must be 2 classes out of those seen"):
        make().fit([some_rows()]).sample(2, labels=labels)


@every_learner
@pytest.mark.parametrize("mask", [[True], True, [1] * (FEATURES + 1), [[True] * (FEATURES + 1)] * 2])
def test_masks_that_do_not_fit(make, mask):
    model = make().fit([some_rows()])
    for question in (model.log_prob, model.predict_proba, model.predict, model.complete):
        with pytest.raises(InvalidInput, match="observed"):
            question(some_rows(), mask)


@every_learner
def test_a_bare_sample_set_is_no_sequence_of_them(make):
    with pytest.raises(InvalidInput, match=r"write fit\(\[samples\]\)"):
        make().fit(SampleSet(some_rows()))
    with pytest.raises(InvalidData, match="table"):
        make().fit(some_rows())


@every_learner
def test_nothing_to_fit(make):
    for samples, weights in (([], None), ([some_rows()], [0.0]), ([some_rows()[:0]], [1.0])):
        with pytest.raises(InvalidInput, match="nothing to fit"):
            make().fit(samples, weights)
    with pytest.raises(NotFitted, match="call fit first"):
        make().predict(some_rows())
    with pytest.raises(NotFitted, match="call fit first"):
        make().sample_stratified(5)


@every_learner
@pytest.mark.parametrize("label", [CLASSES, -1, 0.5, np.nan, np.inf])
def test_labels_outside_their_range(make, label):
    rows = some_rows().astype(float)
    rows[3, -1] = label
    with pytest.raises(InvalidData, match="row 3"):
        make().fit([rows])


@every_learner
@pytest.mark.parametrize("label", [1.5, "x", True, None])
def test_a_label_column_is_an_integer(make, label):
    with pytest.raises(InvalidInput, match="label is"):
        make(label=label)


@pytest.mark.parametrize("make", [*EM.values(), conditional], ids=[*EM, "conditional"])
@pytest.mark.parametrize("tol", [-1.0, np.nan, None, "x"])
def test_a_tolerance_is_a_number(make, tol):
    with pytest.raises(InvalidInput, match="tol is"):
        make(tol=tol)


@pytest.mark.parametrize("make", [BernoulliMixture, MixtureOfTrees, ChowLiuTree])
@pytest.mark.parametrize("margin", [1e-17, 1e-320])
def test_margins_that_float64_cannot_tell_from_zero(make, margin):
    with pytest.raises(InvalidInput, match="1 − margin"):
        make(margin=margin)


@pytest.mark.parametrize("make", [BernoulliMixture, MixtureOfTrees])
def test_the_least_margin_leaves_everything_finite(make):
    rows = np.array([[1, 0, 1], [1, 0, 0]])
    model = make(2, margin=2.0**-53).fit([rows])
    opposite = [[0, 1, 1], [0, 1, 0]]
    assert np.all(np.isfinite(model.log_prob(opposite)))
    assert np.all(np.isfinite(model.log_prob(opposite, [True, False, True])))


@every_em_learner
def test_a_refused_fit_changes_nothing(make):
    model = make().fit([some_rows()])
    before = answers(model)
    with pytest.raises(InvalidData, match="feature"):
        model.fit([some_rows(), [[1e300] * FEATURES + [0.0]]])
    for a, b in zip(before, answers(model), strict=True):
        np.testing.assert_array_equal(a, b)
