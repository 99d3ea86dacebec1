"""Chow–Liu trees and their mixtures against plain loops over all states, SciPy and scikit-learn."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.metrics import mutual_info_score

from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.learners.trees import (
    ChowLiuTree,
    MixtureOfTrees,
    expect,
    log_table,
    maximum_spanning_tree,
    mutual_information,
)
from expfam_game.samples import SampleSet

FALSE_ALARM = 1e-9


def states(d):
    return np.array(list(itertools.product((0, 1), repeat=d)), dtype=np.uint8)


def tree_probability(parent, conditional, x):
    p = 1.0
    for j, value in enumerate(x):
        one = conditional[j][x[parent[j]] if parent[j] >= 0 else 0]
        p *= one if value else 1.0 - one
    return p


def depth(parent, j):
    return 0 if parent[j] < 0 else 1 + depth(parent, parent[j])


def joint_table(model):
    """p(c, k, x) over all classes, components and states, by plain multiplication."""
    all_states = states(model.n_features_)
    table = np.zeros((*model.component_prob_.shape, len(all_states)))
    for c, k in np.ndindex(model.component_prob_.shape):
        prior = model.class_prob_[c] * model.component_prob_[c, k]
        table[c, k] = [prior * tree_probability(model.parent_[c, k], model.conditional_[c, k], x) for x in all_states]
    return table


def labelled_states(model):
    """All rows (features, label) and their probabilities."""
    all_states, table = states(model.n_features_), joint_table(model).sum(axis=1)
    rows = np.array([(*x, c) for c in range(len(table)) for x in all_states], dtype=np.uint8)
    return rows, table.reshape(-1)


def random_rows(rng, n, d, n_classes):
    """Dependent bits: a noisy walk, other in each class."""
    labels = rng.integers(n_classes, size=n)
    bits = rng.integers(2, size=(n, d))
    for j in range(1, d):
        keep = rng.random(n) < 0.6 + 0.3 * labels / n_classes
        bits[keep, j] = bits[keep, j - 1] ^ (labels[keep] % 2)
    return np.concatenate([bits, labels[:, None]], axis=1).astype(np.uint8)


def fitted(seed=0, d=5, k=2, n_classes=2, **options):
    rng = np.random.default_rng(seed)
    options = {"max_iter": 5, "margin": 0.01, "seed": seed} | options
    return MixtureOfTrees(k, n_classes=n_classes, **options).fit([random_rows(rng, 60, d, n_classes)])


def bernstein(p, n, comparisons):
    """|frequency − p| exceeds this with probability below FALSE_ALARM in any of the comparisons."""
    log = np.log(2 * comparisons / FALSE_ALARM)
    return log / (3 * n) + np.sqrt((log / (3 * n)) ** 2 + 2 * p * (1 - p) * log / n)


# ---------------------------------------------------------------------- exact inference


def test_log_prob_is_the_product_of_conditionals_and_sums_to_one():
    model = fitted()
    rows, probability = labelled_states(model)
    np.testing.assert_allclose(np.exp(model.log_prob(rows)), probability, rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.log_prob(rows)).sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 6])
def test_T11_marginals_of_every_set_of_observed_variables(d):
    model = fitted(seed=d, d=d)
    rows, probability = labelled_states(model)
    for observed in itertools.product((False, True), repeat=d + 1):
        mask = np.array(observed)
        agree = ((rows[:, None] == rows[None]) | ~mask).all(axis=2)
        np.testing.assert_allclose(np.exp(model.log_prob(rows, mask)), agree @ probability, rtol=1e-11)


def test_predict_proba_with_missing_features():
    model = fitted(d=4)
    rows, probability = labelled_states(model)
    mask = np.array([True, False, True, False, False])
    agree = ((rows[:, None] == rows[None]) | ~mask).all(axis=2)
    per_class = np.stack([agree[:, rows[:, -1] == c] @ probability[rows[:, -1] == c] for c in range(2)], axis=1)
    expected = per_class / per_class.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(rows, mask), expected, rtol=1e-10)


def test_samples_have_the_probabilities_of_the_model():
    model = fitted(d=4)
    rows, probability = labelled_states(model)
    n = 40_000
    drawn = model.sample(n, seed=1)
    powers = 2 ** np.arange(rows.shape[1])
    frequency = np.array([(drawn @ powers == code).mean() for code in rows @ powers])
    assert np.all(np.abs(frequency - probability) <= bernstein(probability, n, rows.shape[0]))


def test_T11_completions_have_the_conditional_probabilities():
    model = fitted(d=5, seed=3)
    rows, probability = labelled_states(model)
    mask, shown = np.array([False, True, False, False, True, False]), np.array([0, 1, 0, 0, 0, 0], dtype=np.uint8)
    agree = ((rows == shown) | ~mask).all(axis=1)
    conditional = np.where(agree, probability, 0.0) / probability[agree].sum()
    n = 40_000
    drawn = model.complete(np.tile(shown, (n, 1)), mask, seed=2)
    assert np.all(drawn[:, mask] == shown[mask])
    powers = 2 ** np.arange(rows.shape[1])
    frequency = np.array([(drawn @ powers == code).mean() for code in rows @ powers])
    assert np.all(np.abs(frequency - conditional) <= bernstein(conditional, n, rows.shape[0]))


@pytest.mark.parametrize("parent", [[-1, 0, 1, 2, 3, 4], [-1, 0, 0, 0, 0, 0], [-1, 0, 0, 1, 1, 2], [1, 2, -1, 2, 3, 3]])
def test_T11_expected_pairs_given_what_is_observed(parent):
    rng = np.random.default_rng(5)
    parent = np.array(parent)
    order = np.array(sorted(range(6), key=lambda j: depth(parent, j)))
    conditional = rng.uniform(0.05, 0.95, size=(6, 2))
    conditional[parent < 0, 1] = conditional[parent < 0, 0]
    all_states = states(6)
    probability = np.array([tree_probability(parent, conditional, x) for x in all_states])
    for number, observed in enumerate(itertools.product((False, True), repeat=6)):
        mask, x = np.array([observed]), all_states[[number * 37 % 64]]
        agree = ((all_states == x) | ~mask).all(axis=1)
        posterior = np.where(agree, probability, 0.0) / probability[agree].sum()
        expected, pairs = x.astype(float), np.zeros((6, 6))
        expect(x, mask, np.array([0.7]), order, parent, log_table(conditional), expected, pairs)
        mean = posterior @ all_states
        np.testing.assert_allclose(expected[0], mean, atol=1e-12)
        covariance = (all_states.T * posterior) @ all_states - np.outer(mean, mean)
        np.testing.assert_allclose(pairs, 0.7 * covariance, atol=1e-12)


def test_two_thousand_variables_around_one_do_not_underflow():
    rng = np.random.default_rng(0)
    centre = rng.integers(2, size=(40, 1))
    x = np.concatenate([centre, np.repeat(centre, 1999, axis=1)], axis=1).astype(np.uint8)
    model = ChowLiuTree(margin=1e-6).fit([x])
    mask = np.ones(2000, dtype=bool)
    mask[0] = False
    strange = np.where(np.arange(2000) % 2, x[:1], 1 - x[:1])
    assert np.all(np.isfinite(model.log_prob(strange, mask)))
    assert model.log_prob(strange, mask)[0] < -1000.0
    assert np.array_equal(model.complete(x, mask, seed=0), x)


# ---------------------------------------------------------------------- the tree


def every_tree(d):
    """Parents (root 0) of all d^(d−2) labelled trees, from their Prüfer codes."""
    for code in itertools.product(range(d), repeat=d - 2):
        degree = [1 + code.count(j) for j in range(d)]
        edges = []
        for node in code:
            leaf = degree.index(1)
            edges.append((leaf, node))
            degree[leaf] -= 1
            degree[node] -= 1
        edges.append(tuple(j for j in range(d) if degree[j] == 1))
        parent, reached = [-1] * d, [0]
        for node in reached:
            for edge in edges:
                if node in edge:
                    other = edge[0] if edge[1] == node else edge[1]
                    if other not in reached:
                        parent[other] = node
                        reached.append(other)
        yield parent


def clipped_likelihood(x, weights, parent, margin):
    """Mean log-likelihood of a tree with the best conditionals within the margin, by counting."""
    likelihood = 0.0
    for j, above in enumerate(parent):
        for condition in (0, 1) if above >= 0 else (None,):
            rows = np.ones(len(x), dtype=bool) if condition is None else x[:, above] == condition
            total, ones = weights[rows].sum(), weights[rows & (x[:, j] == 1)].sum()
            p = min(max(ones / total, margin), 1 - margin)
            likelihood += ones * np.log(p) + (total - ones) * np.log1p(-p)
    return likelihood


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), d=st.integers(3, 5))
def test_no_spanning_tree_is_better(seed, d):
    x, weights = states(d), np.random.default_rng(seed).dirichlet(np.full(2**d, 0.7)) + 1e-4
    weights /= weights.sum()  # all states occur, so a tiny margin does not matter
    model = ChowLiuTree(margin=1e-9, max_iter=1).fit([SampleSet(x, row_weights=weights)])
    best = max(clipped_likelihood(x, weights, parent, 1e-9) for parent in every_tree(d))
    np.testing.assert_allclose(weights @ model.log_prob(x), best, rtol=1e-10)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_T11_a_tree_gives_way_only_to_a_better_one(seed):
    """Within a wide margin the tree of most information may explain less than the present one."""
    x, weights = states(4), np.random.default_rng(seed).dirichlet(np.full(16, 0.3)) + 1e-4
    weights /= weights.sum()
    samples = SampleSet(x, row_weights=weights)
    model = ChowLiuTree(margin=0.3, max_iter=1).fit([samples])
    for parent in every_tree(4):
        model.parent_[0, 0] = parent
        model.order_[0, 0] = sorted(range(4), key=lambda j: depth(parent, j))
        model.partial_fit([samples])
        assert weights @ model.log_prob(x) >= clipped_likelihood(x, weights, parent, 0.3) - 1e-10


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), d=st.integers(2, 12))
def test_prim_agrees_with_scipy(seed, d):
    weights = np.random.default_rng(seed).random((d, d)) + 0.1
    weights = weights + weights.T
    order, parent = maximum_spanning_tree(weights)
    assert sorted(order) == list(range(d))
    assert all(list(order).index(parent[j]) < list(order).index(j) for j in range(1, d))
    oracle = minimum_spanning_tree(5.0 - weights).toarray()
    np.testing.assert_allclose(sum(weights[j, parent[j]] for j in range(1, d)), weights[oracle > 0].sum())


def test_mutual_information_agrees_with_scikit_learn():
    x = random_rows(np.random.default_rng(0), 200, 6, 1)[:, :6]
    x[:, 5] = 1  # a constant tells nothing
    out = np.empty((6, 6))
    mutual_information(x.T.astype(float) @ x / 200, out)
    expected = [[mutual_info_score(x[:, i], x[:, j]) if i != j else 0.0 for j in range(6)] for i in range(6)]
    np.testing.assert_allclose(out, expected, atol=1e-13)


# ---------------------------------------------------------------------- estimation


@st.composite
def incomplete_samples(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    d, n_classes = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    first = random_rows(rng, 25, d, n_classes)
    second = random_rows(rng, 25, d, n_classes)
    observed = rng.random(second.shape) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    weights = rng.exponential(size=25)
    return d, n_classes, [first, SampleSet(second, observed, weights)], [0.4, 0.6]


@settings(max_examples=25)
@given(case=incomplete_samples(), k=st.integers(1, 3), margin=st.sampled_from([1e-6, 0.01, 0.2]))
def test_T11_em_never_lowers_the_likelihood(case, k, margin):
    _, n_classes, samples, weights = case
    model = MixtureOfTrees(k, n_classes=n_classes, margin=margin, max_iter=12, tol=0.0).fit(samples, weights)
    before = model.history_[0]
    for value in model.history_[1:]:
        assert value >= before - 1e-9
        before = value
    parts = [SampleSet.of(part) for part in samples]
    direct = sum(
        weight * part.normalized_weights() @ model.log_prob(part.values, part.observed)
        for part, weight in zip(parts, weights, strict=True)
    )
    assert direct >= before - 1e-9


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 3), d=st.integers(1, 5))
def test_T11_refitting_the_exact_law_of_a_mixture_changes_nothing(seed, k, d):
    model = fitted(seed, d=d, k=k, margin=0.05)
    rows, probability = labelled_states(model)
    for _ in range(3):
        model.partial_fit([SampleSet(rows, row_weights=probability)])
    np.testing.assert_allclose(model.log_prob(rows), np.log(probability), atol=1e-9)


def test_T11_refitting_the_exact_law_with_missing_variables_changes_nothing():
    model = fitted(d=4, k=2, margin=0.05)
    rows, probability = labelled_states(model)
    rng = np.random.default_rng(0)
    masks = rng.random((6, 5)) < 0.6
    sets = [SampleSet(rows, mask, probability) for mask in masks]
    model.partial_fit(sets, [1.0] * 6)
    np.testing.assert_allclose(model.log_prob(rows), np.log(probability), atol=1e-9)


def test_pseudo_counts_leave_a_single_tree_as_it_is_and_draw_several_together():
    single = fitted(k=1, pseudo_count=20.0, margin=0.05)
    rows, probability = labelled_states(single)
    single.partial_fit([SampleSet(rows, row_weights=probability)])
    np.testing.assert_allclose(single.log_prob(rows), np.log(probability), atol=1e-9)

    x = random_rows(np.random.default_rng(2), 60, 5, 1)[:, :5]
    spread = [
        np.ptp(MixtureOfTrees(3, pseudo_count=count, max_iter=10, seed=1).fit([x]).conditional_[0, :, 0, 0])
        for count in (0.0, 1e6)
    ]
    assert spread[0] > 0.1
    assert spread[1] < 1e-3


def test_only_proportions_of_weights_matter():
    rng = np.random.default_rng(0)
    first, second = random_rows(rng, 40, 5, 2), random_rows(rng, 30, 5, 2)
    observed = rng.random(second.shape) < 0.8
    row_weights = rng.exponential(size=30)
    fits = [
        MixtureOfTrees(2, n_classes=2, pseudo_count=count, max_iter=4).fit(
            [first, SampleSet(second, observed, scale * row_weights)], [scale, 2 * scale]
        )
        for count in (0.0, 5.0)
        for scale in (1.0, 1e-12, 1e12)
    ]
    probe = states(5)
    probe = np.concatenate([probe, np.ones((32, 1), np.uint8)], axis=1)
    for group in (fits[:3], fits[3:]):
        for model in group[1:]:
            np.testing.assert_allclose(model.log_prob(probe), group[0].log_prob(probe), atol=1e-8)


def test_a_row_of_weight_three_is_three_rows():
    x = random_rows(np.random.default_rng(4), 30, 5, 1)[:, :5]
    weights = np.random.default_rng(1).integers(1, 4, size=30)
    once = ChowLiuTree().fit([SampleSet(x, row_weights=weights)])
    repeated = ChowLiuTree().fit([np.repeat(x, weights, axis=0)])
    np.testing.assert_allclose(once.log_prob(states(5)), repeated.log_prob(states(5)), atol=1e-10)


def test_a_tree_per_class_is_reached_in_one_step():
    rows = random_rows(np.random.default_rng(0), 100, 6, 3)
    model = ChowLiuTree(n_classes=3).fit([rows])
    assert model.converged_
    assert np.ptp(model.history_[1:]) < 1e-12
    for c in range(3):
        alone = ChowLiuTree().fit([rows[rows[:, -1] == c, :-1]])
        np.testing.assert_allclose(model.conditional_[c, 0], alone.conditional_[0, 0], atol=1e-10)


def test_warm_start_goes_on_where_it_stopped():
    rows = random_rows(np.random.default_rng(0), 80, 6, 2)
    through = MixtureOfTrees(3, n_classes=2, max_iter=6, tol=0.0).fit([rows])
    halves = MixtureOfTrees(3, n_classes=2, max_iter=3, tol=0.0).fit([rows]).fit([rows])
    assert np.array_equal(through.conditional_, halves.conditional_)
    fresh = MixtureOfTrees(3, n_classes=2, max_iter=3, tol=0.0, warm_start=False).fit([rows])
    once = fresh.conditional_.copy()
    assert np.array_equal(fresh.fit([rows]).conditional_, once)


def test_pickling_keeps_everything():
    model = fitted(k=2)
    rows, _ = labelled_states(model)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.log_prob(rows), model.log_prob(rows))
    assert np.array_equal(copy.sample(20, seed=3), model.sample(20, seed=3))


def test_rows_that_show_nothing_and_features_never_seen():
    rows = random_rows(np.random.default_rng(0), 50, 4, 2)
    nothing = SampleSet(np.zeros((5, 5)), np.array([False, False, False, False, True]))
    plain = ChowLiuTree(n_classes=2).fit([rows])
    model = ChowLiuTree(n_classes=2).fit([rows, nothing], [1.0, 1.0])
    np.testing.assert_allclose(model.conditional_, plain.conditional_, atol=1e-10)  # the classes' shares change alone
    assert model.class_prob_[0] > plain.class_prob_[0]
    hidden = np.array([True, True, False, True, True])
    model = MixtureOfTrees(2, n_classes=2).fit([SampleSet(rows, hidden)])
    assert np.all(np.isfinite(model.log_prob(rows)))


def test_rows_all_alike_and_more_components_than_rows():
    model = MixtureOfTrees(4, margin=0.01).fit([np.ones((2, 3))])
    np.testing.assert_allclose(model.conditional_, 0.99)
    assert model.sample(3, seed=0).shape == (3, 3)


def test_probabilities_stay_within_the_margin():
    model = MixtureOfTrees(3, margin=0.07).fit([random_rows(np.random.default_rng(0), 30, 6, 1)[:, :6]])
    assert model.conditional_.min() >= 0.07
    assert model.conditional_.max() <= 0.93


def test_grey_values_are_refused():
    with pytest.raises(InvalidData, match=r"row 1, feature 0 is 0\.5; features must be 0 or 1"):
        ChowLiuTree().fit([[[0.0, 1.0], [0.5, 1.0]]])


@pytest.mark.parametrize("margin", [0.0, 0.5, -1.0, np.nan])
def test_margin_out_of_range(margin):
    with pytest.raises(InvalidInput, match="margin"):
        ChowLiuTree(margin=margin)


@pytest.mark.parametrize("count", [-1.0, np.inf, np.nan])
def test_pseudo_count_out_of_range(count):
    with pytest.raises(InvalidInput, match="pseudo_count"):
        MixtureOfTrees(2, pseudo_count=count)
