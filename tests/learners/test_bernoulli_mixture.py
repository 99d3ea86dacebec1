"""Mixtures of Bernoullis against brute force over small spaces, scikit-learn, and their own laws."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learners.brute_force import every_row, joint_probability, parameters
from scipy import stats

from expfam_game.datasets import digits
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.learners import BernoulliMixture, mixture
from expfam_game.samples import SampleSet

FEATURES, CLASSES, COMPONENTS = 3, 2, 2


def some_model(seed=0, n_features=FEATURES, n_classes=CLASSES, n_components=COMPONENTS, **options):
    """A model with random parameters."""
    rng = np.random.default_rng(seed)
    model = BernoulliMixture(n_components, n_classes=n_classes, **options)
    rows = rng.integers(0, 2, size=(20 * n_classes, n_features))
    model.fit([np.column_stack([rows, np.arange(20 * n_classes) % n_classes])])
    model.class_prob_ = rng.dirichlet(np.ones(n_classes))
    model.component_prob_ = rng.dirichlet(np.ones(n_components), size=n_classes)
    model.mean_ = rng.uniform(0.05, 0.95, size=model.mean_.shape)
    return model


def exact_probability(model, row, known):
    joint, mean = parameters(model)
    return sum(joint_probability(joint, mean, row, known).values())


MASKS = [[True] * 4, [True, False, True, True], [True, True, True, False], [False] * 3 + [True], [False] * 4]


# ---------------------------------------------------------------------- probabilities


def test_probabilities_of_all_states_sum_to_one():
    model = some_model()
    assert np.exp(model.log_prob(every_row(FEATURES, CLASSES))).sum() == pytest.approx(1.0, rel=1e-13)


@pytest.mark.parametrize("known", MASKS)
def test_log_prob_is_the_exact_marginal(known):
    model = some_model(1)
    rows = every_row(FEATURES, CLASSES)
    exact = [float(exact_probability(model, row, known)) for row in rows]
    np.testing.assert_allclose(np.exp(model.log_prob(rows, known)), exact, rtol=1e-13)


def test_rows_with_masks_of_their_own():
    model = some_model(2)
    rows = every_row(FEATURES, CLASSES)
    known = np.random.default_rng(0).random(rows.shape) < 0.6
    exact = [float(exact_probability(model, row, shown)) for row, shown in zip(rows, known, strict=True)]
    np.testing.assert_allclose(np.exp(model.log_prob(rows, known)), exact, rtol=1e-13)
    values = np.where(known, rows, np.nan)  # what is not observed may be anything
    np.testing.assert_array_equal(model.log_prob(values, known), model.log_prob(rows, known))


@pytest.mark.parametrize("known", MASKS)
def test_predict_proba_is_bayes_rule_and_ignores_the_label(known):
    model = some_model(3)
    rows = every_row(FEATURES, CLASSES)
    joint, mean = parameters(model)
    exact = []
    for row in rows:
        p = joint_probability(joint, mean, row, [*known[:-1], False])
        exact.append([float(sum(p[c, k] for k in range(COMPONENTS)) / sum(p.values())) for c in range(CLASSES)])
    np.testing.assert_allclose(model.predict_proba(rows, known), exact, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(rows, known), np.argmax(exact, axis=1))


@pytest.mark.parametrize("label", [0, 1, -1])
def test_the_label_may_be_any_column(label):
    rows = every_row(FEATURES, CLASSES)
    order = list(range(FEATURES))
    order.insert(label % (FEATURES + 1), FEATURES)
    last, elsewhere = (BernoulliMixture(2, n_classes=2, label=column, seed=3) for column in (-1, label))
    weights = np.random.default_rng(1).random(len(rows))
    last.fit([SampleSet(rows, row_weights=weights)])
    elsewhere.fit([SampleSet(rows[:, order], row_weights=weights)])
    np.testing.assert_array_equal(last.mean_, elsewhere.mean_)
    np.testing.assert_array_equal(last.sample(50, seed=1)[:, order], elsewhere.sample(50, seed=1))
    np.testing.assert_array_equal(last.predict_proba(rows), elsewhere.predict_proba(rows[:, order]))


def test_blocks_do_not_matter(monkeypatch):
    model = some_model(4)
    rows = every_row(FEATURES, CLASSES)
    whole = model.log_prob(rows), BernoulliMixture(2, n_classes=2).fit([rows]).mean_
    monkeypatch.setattr(mixture, "BLOCK", 3)
    np.testing.assert_array_equal(model.log_prob(rows), whole[0])
    np.testing.assert_allclose(BernoulliMixture(2, n_classes=2).fit([rows]).mean_, whole[1], rtol=1e-12)


def test_many_features_do_not_underflow():
    n_features = 5000
    rng = np.random.default_rng(0)
    x = (rng.random((40, n_features)) < 0.5).astype(np.uint8)
    model = BernoulliMixture(3, n_classes=2, margin=1e-9).fit([np.column_stack([x, np.arange(40) % 2])])
    opposite = np.column_stack([1 - x, np.arange(40) % 2])
    log_prob = model.log_prob(opposite)
    assert np.isfinite(log_prob).all()
    assert log_prob.max() < -3000
    assert np.isfinite(model.predict_proba(opposite)).all()


# ---------------------------------------------------------------------- one component: closed form


def test_one_component_is_naive_bayes_of_scikit_learn():
    from sklearn.naive_bayes import BernoulliNB

    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, size=400)
    x = (rng.random((400, 6)) < rng.uniform(0.2, 0.8, size=(3, 6))[labels]).astype(np.uint8)
    weights = rng.random(400)
    theirs = BernoulliNB(alpha=1e-12, force_alpha=True).fit(x, labels, sample_weight=weights)
    rows = np.column_stack([x, labels])
    ours = BernoulliMixture(1, n_classes=3).fit([SampleSet(rows, row_weights=weights)])
    np.testing.assert_allclose(ours.predict_proba(rows), theirs.predict_proba(x), rtol=1e-9)
    np.testing.assert_allclose(
        ours.log_prob(rows), theirs.predict_joint_log_proba(x)[np.arange(400), labels], rtol=1e-9
    )


def test_one_component_without_label_is_the_mean():
    x = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=np.uint8)
    model = BernoulliMixture(1).fit([SampleSet(x, row_weights=[3, 1, 1, 3])])
    np.testing.assert_allclose(model.mean_[0, 0], [0.5, 0.5], rtol=1e-15)
    np.testing.assert_allclose(model.log_prob(x), np.log(0.25), rtol=1e-15)


def test_probabilities_are_held_off_zero_and_one():
    model = BernoulliMixture(1, margin=0.125).fit([[[1, 0, 1], [1, 0, 0]]])
    assert model.mean_[0, 0].tolist() == [0.875, 0.125, 0.5]
    model = BernoulliMixture(1, margin=[0.25, 0.125, 0.125]).fit([[[1, 0, 1], [1, 0, 0]]])
    assert model.mean_[0, 0].tolist() == [0.75, 0.125, 0.5]
    with pytest.raises(InvalidInput, match="margin has shape"):
        BernoulliMixture(1, margin=[0.25, 0.125]).fit([[[1, 0, 1]]])


# ---------------------------------------------------------------------- weights


def test_results_depend_on_proportions_of_weights_only():
    rng = np.random.default_rng(6)
    rows = np.column_stack([rng.integers(0, 2, size=(60, 5)), rng.integers(0, 3, size=60)])
    weights = rng.random(60)

    def fitted(scale, totals):
        sets = [SampleSet(rows[:30], row_weights=scale * weights[:30]), SampleSet(rows[30:], row_weights=weights[30:])]
        return BernoulliMixture(2, n_classes=3, seed=1).fit(sets, totals)

    reference = fitted(1.0, [1.0, 2.0])
    for scale, totals in [(2.0**40, [1.0, 2.0]), (1.0, [2.0**-300, 2.0**-299]), (2.0**-300, [2.0**500, 2.0**501])]:
        other = fitted(scale, totals)
        np.testing.assert_array_equal(other.mean_, reference.mean_)
        np.testing.assert_array_equal(other.class_prob_, reference.class_prob_)


def test_an_integer_weight_is_that_many_copies():
    rows = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]])
    counts = [3, 1, 2, 4]
    weighted = BernoulliMixture(1, n_classes=2).fit([SampleSet(rows, row_weights=counts)])
    repeated = BernoulliMixture(1, n_classes=2).fit([np.repeat(rows, counts, axis=0)])
    np.testing.assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-14)
    np.testing.assert_allclose(weighted.class_prob_, [0.4, 0.6], rtol=1e-15)


def test_rows_of_no_weight_leave_no_trace():
    rows = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]])
    with_them = BernoulliMixture(2, n_classes=2).fit([SampleSet(rows, row_weights=[1, 1, 0, 0])])
    without = BernoulliMixture(2, n_classes=2).fit([rows[:2]])
    np.testing.assert_array_equal(with_them.mean_, without.mean_)
    assert with_them.class_prob_.tolist() == [1.0, 0.0]


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), n_components=st.integers(1, 3), n_classes=st.integers(1, 3))
def test_T11_refitting_the_exact_law_of_a_mixture_changes_nothing(seed, n_components, n_classes):
    """Refitted to the probabilities of all states under itself, a mixture stays where it is, round after round."""
    model = some_model(seed, n_components=n_components, n_classes=n_classes, tol=0.0, max_iter=10)
    states = every_row(FEATURES, n_classes)
    before = model.class_prob_.copy(), model.component_prob_.copy(), model.mean_.copy()
    for _ in range(5):
        model.fit([SampleSet(states, row_weights=np.exp(model.log_prob(states)))])
    for old, new in zip(before, (model.class_prob_, model.component_prob_, model.mean_), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-11)


def test_a_fixed_point_of_em_stays_one():
    x, labels = digits()
    model = BernoulliMixture(3, n_classes=10, tol=0.0, max_iter=400).fit([np.column_stack([x, labels])])
    before = model.mean_.copy()
    model.fit([np.column_stack([x, labels])])
    np.testing.assert_allclose(model.mean_, before, atol=1e-7)
    assert model.history_[-1] - model.history_[0] < 1e-9


# ---------------------------------------------------------------------- sampling and completion


def within_binomial_bounds(counts, n, probabilities, false_alarm=1e-10):
    """Whether every count lies between the exact quantiles of its binomial law."""
    tail = false_alarm / (2 * len(probabilities))
    low, high = stats.binom.ppf(tail, n, probabilities), stats.binom.isf(tail, n, probabilities)
    return bool(np.all((low <= counts) & (counts <= high)))


def count_states(rows, states):
    return np.array([(rows == state).all(axis=1).sum() for state in states])


def test_samples_follow_the_model():
    model, n = some_model(8), 40_000
    states = every_row(FEATURES, CLASSES)
    exact = np.array([float(exact_probability(model, state, [True] * 4)) for state in states])
    rows = model.sample(n, seed=1)
    assert (rows.shape, rows.dtype) == ((n, 4), np.uint8)
    assert within_binomial_bounds(count_states(rows, states), n, exact)
    assert not within_binomial_bounds(count_states(rows, states), n, np.roll(exact, 1))


def test_samples_are_reproducible_and_of_the_labels_asked_for():
    model = some_model(9)
    np.testing.assert_array_equal(model.sample(20, seed=4), model.sample(20, seed=4))
    assert (model.sample(20, seed=4) != model.sample(20, seed=5)).any()
    assert model.sample(4, seed=0, labels=[1, 0, 1, 1])[:, -1].tolist() == [1, 0, 1, 1]
    assert model.sample(0).shape == (0, 4)


@pytest.mark.parametrize("n", [2, 7, 100])
def test_stratified_samples_carry_the_weights_of_their_classes(n):
    model = some_model(10, n_classes=2)
    samples = model.sample_stratified(n, seed=0)
    labels = samples.labels(-1, 2)
    counts = np.bincount(labels)
    assert samples.n == n
    assert counts.max() - counts.min() <= 1
    np.testing.assert_allclose(np.bincount(labels, samples.normalized_weights()), model.class_prob_, rtol=1e-13)


def test_stratified_samples_need_one_sample_a_class():
    with pytest.raises(InvalidInput, match="2 classes need"):
        some_model().sample_stratified(1)


def test_completion_keeps_what_is_observed_and_draws_the_rest_from_its_conditional():
    model, n = some_model(11), 40_000
    given_row, known = [1, 0, 0, 0], [True, False, True, False]
    rows = model.complete(np.tile(given_row, (n, 1)), known, seed=2)
    assert (rows[:, [0, 2]] == [1, 0]).all()
    states = np.array([[1, x, 0, c] for x in (0, 1) for c in (0, 1)])
    evidence = exact_probability(model, given_row, known)
    exact = np.array([float(exact_probability(model, state, [True] * 4) / evidence) for state in states])
    assert within_binomial_bounds(count_states(rows, states), n, exact)
    labelled = model.complete([[1, 0, 0, 1]], [True, False, True, True], seed=0)
    assert labelled[0, [0, 2, 3]].tolist() == [1, 0, 1]


def test_completion_of_complete_rows_changes_nothing():
    rows = every_row(FEATURES, CLASSES)
    np.testing.assert_array_equal(some_model().complete(rows, [True] * 4), rows)


# ---------------------------------------------------------------------- learning


def test_digits_are_recognised():
    x, labels = digits()
    rows = np.column_stack([x, labels])
    model = BernoulliMixture(8, n_classes=10).fit([rows[:1200]])
    errors = int((model.predict(rows[1200:]) != labels[1200:]).sum())
    assert errors <= 75  # of 597; one Bernoulli product per class makes 95
    assert model.history_[-1] > model.history_[0]


def test_warm_and_cold_starts():
    x, labels = digits()
    rows = np.column_stack([x, labels])
    warm = BernoulliMixture(4, n_classes=10, max_iter=3, tol=0.0).fit([rows])
    last = warm.history_[-1]
    assert warm.fit([rows]).history_[0] > last
    cold = BernoulliMixture(4, n_classes=10, max_iter=3, tol=0.0, warm_start=False).fit([rows])
    first = cold.mean_.copy()
    np.testing.assert_array_equal(cold.fit([rows]).mean_, first)
    moved = cold.partial_fit([rows]).history_
    assert len(moved) == 1
    assert moved[0] > cold.fit([rows]).history_[-1]


def test_fitting_is_reproducible_and_the_seed_matters():
    x, _ = digits()
    first, again, other = (BernoulliMixture(4, seed=seed).fit([x]).mean_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_more_components_than_rows():
    model = BernoulliMixture(10, n_classes=2).fit([[[1, 1, 0, 0], [0, 0, 1, 1]]])
    assert model.predict([[1, 1, 0, 0], [0, 0, 1, 0]]).tolist() == [0, 1]
    assert np.isfinite(model.mean_).all()
    assert len(np.unique(model.component_prob_[0])) > 1  # all alike, they could never part


def test_large_classes_start_from_a_part_of_their_rows(monkeypatch):
    monkeypatch.setattr(mixture, "START_ROWS", 30)
    monkeypatch.setattr(mixture, "START_ROWS_PER_COMPONENT", 1)
    x, labels = digits()
    weights = np.where(labels < 5, 1.0, 1e-300)  # logarithms keep tiny weights apart
    model = BernoulliMixture(2, n_classes=10).fit([SampleSet(np.column_stack([x, labels]), row_weights=weights)])
    assert model.seen_.all()
    assert (model.predict(np.column_stack([x, labels]))[labels < 5] == labels[labels < 5]).mean() > 0.85


def test_a_model_survives_pickling():
    model = some_model(12)
    copy = pickle.loads(pickle.dumps(model))
    rows = every_row(FEATURES, CLASSES)
    np.testing.assert_array_equal(copy.log_prob(rows), model.log_prob(rows))
    np.testing.assert_array_equal(copy.fit([rows]).mean_, model.fit([rows]).mean_)


@given(
    st.lists(st.lists(st.sampled_from([0, 1]), min_size=3, max_size=3), min_size=1, max_size=8),
    st.lists(st.integers(1, 9), min_size=8, max_size=8),
)
def test_closed_form_of_one_component_against_fractions(rows, weights):
    total = sum(weights[: len(rows)])
    exact = [Fraction(sum(w * row[d] for row, w in zip(rows, weights, strict=False)), total) for d in range(3)]
    model = BernoulliMixture(1, margin=1e-6).fit([SampleSet(rows, row_weights=weights[: len(rows)])])
    clipped = [min(max(float(p), 1e-6), 1 - 1e-6) for p in exact]
    np.testing.assert_allclose(model.mean_[0, 0], clipped, rtol=1e-13)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "options",
    [
        {"n_components": 0},
        {"n_components": 2.5},
        {"n_components": True},
        {"n_classes": 0},
        {"max_iter": 0},
        {"tol": -1.0},
        {"tol": float("nan")},
        {"margin": 0.0},
        {"margin": 0.5},
        {"margin": [0.1, 0.0]},
        {"margin": [[0.1]]},
    ],
)
def test_constructor_refuses(options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        BernoulliMixture(**options)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[2, 0]], "row 0, feature 0 is 2"),
        ([[0.5, 0]], "features must be 0 or 1"),
        ([[0, 2]], "row 0 has the label"),
        ([[0]], "must be features and a label"),
    ],
)
def test_fit_refuses(rows, message):
    with pytest.raises(InvalidData, match=message):
        BernoulliMixture(1, n_classes=2).fit([rows])


def test_a_refused_fit_changes_nothing():
    model = BernoulliMixture(1, n_classes=2)
    with pytest.raises(InvalidData):
        model.fit([[[2, 0]]])
    with pytest.raises(NotFitted):
        model.sample(1)
    model = some_model(warm_start=False)
    before = model.mean_.copy()
    with pytest.raises(InvalidData):
        model.fit([[[2, 0, 0, 0]]])
    np.testing.assert_array_equal(model.mean_, before)


def test_questions_before_fitting_and_of_the_wrong_shape():
    empty = BernoulliMixture(1, n_classes=2)
    for question in (empty.log_prob, empty.predict_proba, lambda x: empty.complete(x, [True, False])):
        with pytest.raises(NotFitted):
            question([[0, 1]])
    with pytest.raises(NotFitted):
        empty.sample(3)
    model = some_model()
    with pytest.raises(InvalidData, match="2 features"):
        model.log_prob([[0, 1, 1]])
    with pytest.raises(InvalidData, match="2 features"):
        model.fit([[[0, 1, 1]]])
    with pytest.raises(InvalidData, match="table"):
        model.predict([0, 1, 1, 0])
    with pytest.raises(InvalidInput, match="classes out of those seen"):
        model.sample(1, labels=[5])
    with pytest.raises(InvalidInput, match="n is -1"):
        model.sample(-1)
