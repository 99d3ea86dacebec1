"""EM with missing labels and missing features (T11), and what follows for the game (T2)."""

from fractions import Fraction

import numpy as np
import pytest
from exact import exact_equilibrium
from hypothesis import given, settings
from hypothesis import strategies as st
from learners.brute_force import em_step, every_row, parameters

from expfam_game.datasets import digits
from expfam_game.errors import NotFitted
from expfam_game.learners import BernoulliMixture
from expfam_game.samples import SampleSet

FEATURES, CLASSES, COMPONENTS, MARGIN = 3, 2, 2, 2**-6


def small_model(seed, max_iter=50):
    rng = np.random.default_rng(seed)
    model = BernoulliMixture(COMPONENTS, n_classes=CLASSES, margin=MARGIN, tol=0.0, max_iter=max_iter)
    model.fit([every_row(FEATURES, CLASSES)])
    model.class_prob_ = rng.dirichlet(np.ones(CLASSES))
    model.component_prob_ = rng.dirichlet(np.ones(COMPONENTS), size=CLASSES)
    model.mean_ = rng.uniform(0.1, 0.9, size=model.mean_.shape)
    return model


bits = st.integers(0, 1)
row_and_mask = st.tuples(
    st.tuples(bits, bits, bits, bits),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.integers(1, 9),
)


@settings(max_examples=40)
@given(st.lists(row_and_mask, min_size=1, max_size=6), st.integers(0, 1000))
def test_T11_an_em_step_is_the_exact_one(data, seed):
    """Missing labels, missing pixels and weights: one step against plain loops over fractions."""
    model = small_model(seed)
    joint, mean = parameters(model)
    rows, known, weights = (list(column) for column in zip(*data, strict=True))
    new_joint, new_mean, log_likelihood = em_step(joint, mean, rows, known, [Fraction(w) for w in weights], MARGIN)
    model.partial_fit([SampleSet(rows, np.array(known), weights)])
    np.testing.assert_allclose(model.history_, [log_likelihood], rtol=1e-12, atol=1e-14)
    ours = model.class_prob_[:, None] * model.component_prob_
    np.testing.assert_allclose(ours, np.array(new_joint, dtype=float), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(model.mean_, np.array(new_mean, dtype=float), rtol=1e-9)


@settings(max_examples=40)
@given(st.lists(row_and_mask, min_size=1, max_size=6), st.lists(row_and_mask, min_size=1, max_size=6))
def test_T11_sets_with_masks_of_their_own_are_one_objective(first, second):
    """Sets of different layout (a mask for all rows, a mask a row) against the same rows in one set."""
    apart, together = small_model(1), small_model(1)
    rows = [np.array([row for row, _, _ in part]) for part in (first, second)]
    shared = np.tile(first[0][1], (len(first), 1))
    own = np.array([known for _, known, _ in second])
    weights = [[float(w) for _, _, w in part] for part in (first, second)]
    totals = [sum(weights[0]), sum(weights[1])]
    apart.partial_fit(
        [SampleSet(rows[0], np.array(first[0][1]), weights[0]), SampleSet(rows[1], own, weights[1])], totals
    )
    together.partial_fit([SampleSet(np.vstack(rows), np.vstack([shared, own]), weights[0] + weights[1])])
    np.testing.assert_allclose(apart.mean_, together.mean_, rtol=1e-9)
    np.testing.assert_allclose(apart.class_prob_, together.class_prob_, rtol=1e-12, atol=1e-14)


def never_falls(history):
    """A mean of n terms of size |L| is known to about n rounding errors of that size; n ≤ 100 here, with room."""
    history = np.array(history)
    return bool(np.all(np.diff(history) >= -1e-13 * (1.0 + np.abs(history).max())))


@given(
    st.integers(0, 10_000),
    st.floats(0.0, 0.9),
    st.floats(0.0, 1.0),
    st.integers(1, 4),
    st.integers(1, 3),
    st.floats(0, 3),
)
def test_T11_em_never_lowers_the_likelihood(seed, missing, unlabelled, n_components, n_classes, skew):
    rng = np.random.default_rng(seed)
    n, n_features = 40, 6
    rows = np.column_stack([rng.integers(0, 2, size=(n, n_features)), rng.integers(0, n_classes, size=n)])
    known = rng.random(rows.shape) >= missing
    known[:, -1] = rng.random(n) >= unlabelled
    known[0, -1] = True
    weights = np.exp(skew * rng.normal(size=n))
    model = BernoulliMixture(n_components, n_classes=n_classes, tol=0.0, max_iter=15, seed=seed)
    model.fit([SampleSet(rows, known, weights)])
    assert never_falls(model.history_)
    first = model.history_[-1]
    model.fit([SampleSet(rows, known, weights)])
    assert never_falls([first, *model.history_])


def test_T11_em_on_digits_never_lowers_the_likelihood():
    x, labels = digits()
    rng = np.random.default_rng(0)
    known = rng.random((len(x), 65)) > 0.3
    known[:, -1] = rng.random(len(x)) < 0.2
    model = BernoulliMixture(5, n_classes=10, tol=0.0, max_iter=30)
    model.fit([SampleSet(np.column_stack([x, labels]), known)])
    assert never_falls(model.history_)
    assert model.history_[-1] > model.history_[0] + 1


def test_T11_the_own_distribution_is_a_fixed_point_whatever_is_hidden():
    """The marginal distribution of what is observed, hidden labels and pixels left out, is explained already."""
    model = small_model(3)
    before = model.class_prob_.copy(), model.component_prob_.copy(), model.mean_.copy()
    states = every_row(FEATURES, CLASSES)
    weights = np.exp(model.log_prob(states))
    masks = [[True] * 4, [True, True, True, False], [True, False, True, True], [False, True, True, False]]
    for _ in range(20):
        model.partial_fit([SampleSet(states, mask, weights) for mask in masks], [1.0, 2.0, 0.5, 3.0])
    for old, new in zip(before, (model.class_prob_, model.component_prob_, model.mean_), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-11)


def test_a_feature_that_nobody_observes_keeps_its_probability():
    model = small_model(4)
    before = model.mean_[:, :, 1].copy()
    rows = every_row(FEATURES, CLASSES)
    model.fit([SampleSet(rows, [True, False, True, True], np.arange(1, len(rows) + 1))])
    np.testing.assert_array_equal(model.mean_[:, :, 1], before)
    known = np.ones(rows.shape, dtype=bool)
    known[:, 1] = False
    known[0] = [True, True, True, True]
    model.fit([SampleSet(rows, known)])
    assert (model.mean_[0, :, 1] != before[0]).any()
    np.testing.assert_array_equal(model.mean_[1, :, 1], before[1])  # of the other class still nobody says anything


# ---------------------------------------------------------------------- labels


def test_without_labels_there_is_nothing_to_say_until_peers_define_the_classes():
    rng = np.random.default_rng(0)
    centres = np.array([[0.9] * 5 + [0.1] * 5, [0.1] * 5 + [0.9] * 5])
    truth = rng.integers(0, 2, size=200)
    x = (rng.random((200, 10)) < centres[truth]).astype(np.uint8)
    own = SampleSet(np.column_stack([x, np.zeros(200, np.uint8)]), [True] * 10 + [False])
    model = BernoulliMixture(1, n_classes=2).fit([own], [1.0])
    assert model.history_ == []
    assert model.sample(5).shape == (0, 11)
    assert model.sample_stratified(5).n == 0
    with pytest.raises(NotFitted, match="classes"):
        model.predict(own.values)
    peer = np.column_stack([[[1] * 5 + [0] * 5, [0] * 5 + [1] * 5], [0, 1]])
    model.fit([own, peer], [0.9, 0.1])
    assert (model.predict(own.values) == truth).mean() > 0.97  # of a Bayes error of 1 %
    assert model.sample(5).shape == (5, 11)


def test_unlabelled_rows_improve_on_few_labels():
    x, labels = digits()
    rows = np.column_stack([x, labels])
    known = np.zeros(rows.shape, dtype=bool)
    known[:, :-1] = True
    few = np.concatenate([np.flatnonzero(labels == c)[:2] for c in range(10)])
    alone = BernoulliMixture(1, n_classes=10).fit([rows[few]])
    known[few, -1] = True
    together = BernoulliMixture(1, n_classes=10).fit([SampleSet(rows, known)])
    accuracy = [(model.predict(rows) == labels).mean() for model in (alone, together)]
    assert accuracy[1] > accuracy[0] + 0.05


def test_an_observed_label_excludes_all_other_classes():
    model = BernoulliMixture(1, n_classes=2)
    rows = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1]])  # the features alone cannot tell
    model.fit([rows])
    np.testing.assert_allclose(model.class_prob_, [2 / 3, 1 / 3], rtol=1e-15)


def test_classes_may_appear_vanish_and_return():
    zeros, ones = [[0, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]]
    model = BernoulliMixture(2, n_classes=3).fit([zeros])
    assert model.class_prob_.tolist() == [1.0, 0.0, 0.0]
    assert model.log_prob([[1, 1, 1]]).tolist() == [-np.inf]
    np.testing.assert_array_equal(model.predict_proba([[1, 1, 0]]), [[1, 0, 0]])
    model.fit([ones])
    assert model.class_prob_.tolist() == [0.0, 1.0, 0.0]
    assert model.seen_.tolist() == [True, True, False]
    kept = model.mean_[0].copy()
    model.fit([ones])
    np.testing.assert_array_equal(model.mean_[0], kept)
    model.fit([zeros, ones], [3.0, 1.0])
    np.testing.assert_allclose(model.class_prob_, [0.75, 0.25, 0.0], rtol=1e-15)
    assert np.isfinite(model.history_).all()
    assert set(model.sample(50, seed=0)[:, -1].tolist()) == {0, 1}


def test_a_class_that_only_open_rows_hold_stays():
    """Rows without a label must not lose a class because another one is met for the first time."""
    model = BernoulliMixture(1, n_classes=2).fit([[[0, 0, 0, 0]]])
    unlabelled = SampleSet([[0, 0, 0, 0]] * 3, [True, True, True, False])
    model.fit([unlabelled, [[1, 1, 1, 1]]], [3.0, 1.0])
    np.testing.assert_allclose(model.class_prob_, [0.75, 0.25], atol=1e-5)


# ---------------------------------------------------------------------- the game


def test_T2_class_marginals_follow_the_influence_of_the_agents():
    """Exact expectations exchanged: p_i(c) obeys the linear theory, whatever the components are."""
    alpha = np.array([[0.5, 0.25, 0.25], [0.2, 0.6, 0.2], [0.0, 0.7, 0.3]])
    private = np.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]])
    states = every_row(FEATURES, CLASSES)
    rng = np.random.default_rng(0)
    own = []
    for share in private:
        weights = rng.random(len(states))
        for c in (0, 1):
            mine = states[:, -1] == c
            weights[mine] *= share[c] / weights[mine].sum()
        own.append(SampleSet(states, row_weights=weights))
    agents = [BernoulliMixture(COMPONENTS, n_classes=CLASSES, max_iter=3).fit([data]) for data in own]
    for _ in range(60):
        sent = [SampleSet(states, row_weights=np.exp(agent.log_prob(states))) for agent in agents]
        for i, agent in enumerate(agents):
            heard = [own[j] if j == i else sent[j] for j in range(3)]
            agent.fit(heard, alpha[i].tolist())
    exact = np.array(exact_equilibrium(alpha, private), dtype=float)
    np.testing.assert_allclose([agent.class_prob_ for agent in agents], exact, atol=1e-12)
