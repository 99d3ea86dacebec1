"""What mixtures start from and compute with: clustering, sums in log space, label columns."""

import numpy as np
import pytest
from scipy import special, stats

from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.learners import Mixture
from expfam_game.learners.clustering import cluster, fill_with_means
from expfam_game.learners.label_column import LabelColumn, stratified
from expfam_game.learners.log_space import draw_index, log_sum_exp
from expfam_game.samples import SampleSet


def test_the_base_class_is_no_model():
    with pytest.raises(TypeError, match="abstract"):
        Mixture(2)


# ---------------------------------------------------------------------- clustering


def test_clusters_far_apart_are_found():
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 4
    points = 100.0 * np.eye(4)[truth] + rng.normal(size=(60, 4))
    weights = rng.dirichlet(np.ones(60))
    shares = cluster(points, weights, 4, rng)
    np.testing.assert_allclose(shares.sum(axis=1), weights, rtol=1e-15)
    found = shares.argmax(axis=1)
    assert len({(a, b) for a, b in zip(truth, found, strict=True)}) == 4
    assert np.count_nonzero(shares) == 60


@pytest.mark.parametrize("n", [1, 2, 5])
def test_more_clusters_than_points(n):
    points = np.arange(float(n))[:, None] * np.ones(3)
    shares = cluster(points, np.full(n, 1 / n), 7, np.random.default_rng(0))
    np.testing.assert_allclose(shares.sum(axis=1), 1 / n, rtol=1e-15)
    assert (shares.sum(axis=0) > 0).all()


def test_points_all_alike():
    shares = cluster(np.ones((5, 2)), np.full(5, 0.2), 3, np.random.default_rng(0))
    assert (shares.sum(axis=0) > 0).all()
    np.testing.assert_allclose(shares.sum(), 1.0, rtol=1e-15)


def test_one_cluster_is_everything():
    weights = np.array([0.25, 0.75])
    np.testing.assert_array_equal(cluster(np.zeros((2, 1)), weights, 1, np.random.default_rng(0)), weights[:, None])


def test_missing_values_become_means():
    mask = np.array([[True, False], [True, False], [False, False]])
    np.testing.assert_array_equal(fill_with_means(np.array([[1.0, 0], [3, 0], [0, 0]]), mask), [[1, 0], [3, 0], [2, 0]])


# ---------------------------------------------------------------------- log space


def test_log_sum_exp_against_scipy_also_where_exponentials_leave_float64():
    rng = np.random.default_rng(0)
    for scale in (1e-300, 1.0, 1e3, 1e300):
        values = scale * rng.normal(size=(5, 4))
        np.testing.assert_allclose(log_sum_exp(values), special.logsumexp(values, axis=1), rtol=1e-14)
    assert log_sum_exp(np.full((1, 3), -np.inf)).tolist() == [-np.inf]


def test_indices_are_drawn_by_weight():
    n, weights = 30_000, np.array([0.0, 1.0, 0.0, 3.0, 6.0, 0.0])
    with np.errstate(divide="ignore"):
        log_weights = np.tile(np.log(weights) - 2000.0, (n, 1))
    counts = np.bincount(draw_index(log_weights, np.random.default_rng(0)), minlength=6)
    p = weights / weights.sum()
    assert np.all(stats.binom.ppf(1e-11, n, p) <= counts)
    assert np.all(counts <= np.maximum(stats.binom.isf(1e-11, n, p), 0))


# ---------------------------------------------------------------------- label columns


@pytest.mark.parametrize("column", [0, 1, 2, -1, -2, -3])
def test_split_and_join_are_inverse(column):
    rows = np.array([[5, 6, 7], [8, 9, 4]])
    rows[:, column] = [1, 0]
    where = LabelColumn(2, column)
    features, labels = where.split(SampleSet(rows, row_weights=[1.0, 3.0]))
    assert labels.tolist() == [1, 0]
    assert features.normalized_weights().tolist() == [0.25, 0.75]
    np.testing.assert_array_equal(where.join(features.values, labels), rows)


def test_joined_tables_hold_the_labels():
    features, label = np.ones((1, 2), dtype=np.uint8), np.array([299])
    assert LabelColumn(10).join(features, label % 10).dtype == np.uint8
    assert LabelColumn(300).join(features, label)[0, -1] == 299
    assert LabelColumn(300).join(features.astype(np.float32), label).dtype == np.float32
    assert LabelColumn(2).join(features.astype(bool), np.array([1])).dtype == np.int64
    assert LabelColumn(None).join(features, label) is features


def test_no_label_variable_is_one_class():
    features, labels = LabelColumn(None).split(SampleSet(np.ones((3, 1))))
    assert (features.n_variables, labels.tolist()) == (1, [0, 0, 0])
    assert LabelColumn(None).hidden([[1.0]], [False]).mask().tolist() == [[False]]


def test_hidden_labels_may_be_anything():
    where = LabelColumn(2)
    assert where.hidden([[1.0, np.nan]], None).mask().tolist() == [[True, False]]
    assert where.hidden([[1.0, 7.0]], [[True, True]]).mask().tolist() == [[True, False]]
    mask = np.array([True, True])
    where.hidden([[1.0, 7.0]], mask)
    assert mask.all()  # the caller's own
    with pytest.raises(InvalidData, match="table"):
        where.hidden([1.0, 2.0], None)


def test_columns_that_do_not_exist():
    with pytest.raises(InvalidData, match="label in column 5"):
        LabelColumn(2, 5).split(SampleSet([[1, 0]]))
    with pytest.raises(InvalidData, match="features and a label"):
        LabelColumn(2).split(SampleSet([[1]]))


def test_stratified_weights_make_up_for_the_equal_numbers():
    p = np.array([0.7, 0.0, 0.3])
    samples = stratified(5, p, lambda labels: labels[:, None])
    np.testing.assert_allclose(
        np.bincount(samples.values[:, 0], samples.normalized_weights(), minlength=3), p, rtol=1e-15, atol=0
    )
    with pytest.raises(InvalidInput, match="2 classes"):
        stratified(1, p, lambda labels: labels[:, None])
