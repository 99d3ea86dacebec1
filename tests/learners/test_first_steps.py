"""What somebody meets who is new to the learners: examples as pasted, what is printed, what mistakes are answered."""

import doctest
import re

import numpy as np
import pytest

import expfam_game.learners
from expfam_game.datasets import digits
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

LEARNERS = [
    lambda n_classes: BernoulliMixture(2, n_classes=n_classes),
    lambda n_classes: ChowLiuTree(n_classes=n_classes),
    lambda n_classes: MixtureOfTrees(2, n_classes=n_classes),
    lambda n_classes: ConditionalVAE(2, 4, n_classes=n_classes, epochs=1),
    lambda n_classes: MixtureOfFactorAnalysers(2, 1, n_classes=n_classes),
]
every_learner = pytest.mark.parametrize(
    "make", LEARNERS, ids=["bernoulli", "tree", "trees", "autoencoder", "analysers"]
)
every_binary_learner = pytest.mark.parametrize("make", LEARNERS[:4], ids=["bernoulli", "tree", "trees", "autoencoder"])


def rows(n=30, seed=0):
    """Three binary features and one of four classes."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.integers(0, 2, size=(n, 3)), np.arange(n) % 4])


@pytest.mark.parametrize("name", expfam_game.learners.__all__)
def test_the_example_of_every_learner_runs_as_pasted(name):
    learner = getattr(expfam_game.learners, name)
    example = doctest.DocTestParser().get_doctest(learner.__doc__, {}, name, None, 0)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    failed, attempted = runner.run(example)
    assert attempted >= 3
    assert failed == 0


# ---------------------------------------------------------------------- what is printed


@every_learner
def test_what_is_printed_of_a_learner_fits_on_a_line_and_says_what_has_been_fitted(make):
    model = make(6)
    assert re.fullmatch(rf"<{type(model).__name__}\(.*n_classes=6.*\), not fitted>", repr(model))
    shown = repr(model.fit([rows()]))
    assert shown.endswith("), 3 features, 4 of 6 classes seen>")
    assert len(shown) < 120
    assert repr(make(None).fit([rows()[:, :3]])).endswith("), 3 features>")


def test_arguments_are_printed_without_addresses_and_default_ones_not_at_all():
    for model, shown in (
        (BernoulliMixture(100, margin=0.005), "<BernoulliMixture(), not fitted>"),
        (
            BernoulliMixture(3, margin=np.full(9, 0.1)),
            "<BernoulliMixture(n_components=3, margin=<array of shape (9,)>)",
        ),
        (
            BernoulliMixture(margin=0.25, seed=np.random.default_rng(0)),
            "<BernoulliMixture(margin=0.25, seed=Generator)",
        ),
        (ClassConditional(lambda c: None, 3), "<ClassConditional(make_learner=<lambda>, n_classes=3), not fitted>"),
        (ConditionalVAE(4, (8, 4)), "<ConditionalVAE(n_codes=4, n_hidden=[8, 4]), not fitted>"),
    ):
        assert repr(model).startswith(shown)


# ---------------------------------------------------------------------- what mistakes are answered


@every_learner
def test_an_array_in_place_of_a_list_of_arrays_is_named(make):
    for table in (rows(), rows().tolist(), list(rows()), [0, 1, 0, 1], np.zeros(3)):
        with pytest.raises(InvalidData, match=r"a list of tables \(n, V\), .* dimensions?\. .* fit\(\[samples\]\)"):
            make(4).fit(table)
    with pytest.raises(InvalidInput, match=r"got a generator.*fit\(\[samples\]\)"):
        make(4).fit(table for table in [rows()])


@every_learner
def test_lists_and_stacks_of_tables_are_no_mistake(make):
    tables = [rows(20, 0), rows(20, 1)]
    expected = make(4).fit(tables).class_prob_
    for same in (tuple(tables), np.array(tables), [table.tolist() for table in tables], np.array(tables).tolist()):
        np.testing.assert_array_equal(make(4).fit(same).class_prob_, expected)


@every_learner
def test_weights_of_rows_and_single_numbers_are_no_weights_of_sets(make):
    with pytest.raises(InvalidInput, match="weights has length 30, .* row_weights=weights"):
        make(4).fit([rows()], np.ones(30))
    with pytest.raises(InvalidInput, match="one weight a set"):
        make(4).fit([rows()], [1.0, 2.0])
    with pytest.raises(InvalidInput, match="one weight for each of the sample sets"):
        make(4).fit([rows()], 1.0)


@every_binary_learner
def test_a_forgotten_n_classes_is_guessed(make):
    with pytest.raises(InvalidData, match="feature 3 is 2; .*column 3 is a class label, say n_classes=4 or more"):
        make(None).fit([rows()])
    with pytest.raises(InvalidData, match="feature 0 is 2; .*say n_classes=4 or more and label=0"):
        make(None).fit([rows()[:, [3, 0, 1, 2]]])
    make(4).fit([rows()])


@every_binary_learner
def test_grey_values_are_not_taken_for_labels(make):
    for value in (0.5, -1):
        with pytest.raises(InvalidData, match="binarise"):
            make(None).fit([[[0, 1, 0], [1, value, 0]]])
    with pytest.raises(InvalidData, match="binarise"):
        make(None).fit([[[0, 1, 5], [1, 3, 0]]])  # two such columns
    with pytest.raises(InvalidData, match="binarise"):
        make(4).fit([[[0, 1, 5, 0], [1, 1, 0, 1]]])  # the label is another one


@every_learner
def test_a_model_without_classes_predicts_none(make):
    model = make(None).fit([rows()[:, :3]])
    for learner in (model, make(None)):
        with pytest.raises(InvalidInput, match="has no classes to predict, since n_classes is None"):
            learner.predict(rows()[:, :3])
    with pytest.raises(NotFitted, match="call fit"):
        make(4).predict(rows())


@every_learner
def test_a_question_without_the_label_column_is_told_so(make):
    model = make(4).fit([rows()])
    for question in (model.predict, model.predict_proba):
        with pytest.raises(InvalidData, match=r"3 columns, .* so to 4 columns\. The label's column, -1, belongs"):
            question(rows()[:, :3])
    with pytest.raises(InvalidData, match="2 features; this model was fitted to 3$"):
        make(None).fit([rows()[:, :3]]).log_prob(rows()[:, :2])


def test_labels_out_of_range_are_printed_as_numbers():
    with pytest.raises(InvalidData, match=r"row 2 has the label 2(\.0)? in column 3"):
        BernoulliMixture(1, n_classes=2).fit([rows().astype(float)])


# ---------------------------------------------------------------------- what the documentation promises


def test_means_are_exact_after_a_cold_start_and_near_with_a_small_tolerance():
    x = np.random.default_rng(0).normal(size=(2000, 2)) + 3.0 * np.random.default_rng(1).integers(0, 3, size=(2000, 1))
    cold = MixtureOfFactorAnalysers(1, 1, warm_start=False).fit([x]).fit([x + 1.0])
    np.testing.assert_allclose(cold.mean_[0, 0], x.mean(axis=0) + 1.0, rtol=1e-12)
    for k in (1, 3):
        warm = MixtureOfFactorAnalysers(k, 1, tol=1e-6, max_iter=1000).fit([x]).fit([x + 1.0])
        assert warm.converged_
        np.testing.assert_allclose(warm.component_prob_[0] @ warm.mean_[0], x.mean(axis=0) + 1.0, atol=0.01)


def test_binary_digits_by_the_default_learner():
    x, labels = digits()
    table = np.column_stack([x, labels])
    hidden = SampleSet(table[:1200], np.arange(65) < 64)
    model = BernoulliMixture(5, n_classes=10).fit([table[:200], hidden], [0.5, 0.5])
    assert (model.predict(table[1200:]) == labels[1200:]).mean() > 0.8
