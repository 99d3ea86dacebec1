"""The class-conditional wrapper around densities of any make."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from expfam_game.bridge import ScikitAgent
from expfam_game.datasets import digits
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.learners import BernoulliMixture, ClassConditional
from expfam_game.samples import SampleSet, pool


class Normal:
    """Independent normal features, fitted in closed form; a density that knows nothing of this package's learners."""

    def fit(self, samples, weights):
        data = pool(samples, weights)
        self.mean = data.row_weights @ data.values
        self.sd = np.sqrt(data.row_weights @ (data.values - self.mean) ** 2)
        return self

    def sample(self, n, seed):
        return np.random.default_rng(seed).normal(self.mean, self.sd, size=(n, self.mean.size))

    def log_prob(self, values, observed=None):
        density = stats.norm.logpdf(values, self.mean, self.sd)
        return np.sum(density if observed is None else np.where(observed, density, 0.0), axis=1)

    def complete(self, values, observed, seed):
        return np.where(observed, values, self.sample(len(values), seed))


class SampleOnly:
    """Repeats a row it was fitted to; has no log_prob."""

    def fit(self, samples, weights):
        self.row = samples[0].values[0]

    def sample(self, n, seed):
        return np.tile(self.row, (n, 1))


class Broken(SampleOnly):
    def sample(self, n, seed):
        return np.zeros((n + 1, 2))


def two_normals(n=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(int)
    return np.column_stack([rng.normal(4.0 * labels, 1.0 + labels), rng.normal(-labels, 0.5, size=n), labels])


def test_with_all_labels_everything_is_closed_form():
    rows = two_normals()
    weights = np.random.default_rng(1).random(len(rows))
    model = ClassConditional(lambda c: Normal(), 2).fit([SampleSet(rows, row_weights=weights)])
    for c in (0, 1):
        mine = rows[:, 2] == c
        np.testing.assert_allclose(model.class_prob_[c], weights[mine].sum() / weights.sum(), rtol=1e-13)
        mean = np.average(rows[mine, :2], axis=0, weights=weights[mine])
        np.testing.assert_allclose(model.learners_[c].mean, mean, rtol=1e-12)
    assert model.history_ == []


def test_bayes_rule_against_scipy():
    rows = two_normals()
    model = ClassConditional(lambda c: Normal(), 2).fit([rows])
    density = np.stack(
        [
            np.log(np.mean(rows[:, 2] == c))
            + stats.norm.logpdf(rows[:, :2], rows[rows[:, 2] == c, :2].mean(0), rows[rows[:, 2] == c, :2].std(0)).sum(1)
            for c in (0, 1)
        ],
        axis=1,
    )
    np.testing.assert_allclose(model.predict_proba(rows), special.softmax(density, axis=1), rtol=1e-9)
    np.testing.assert_allclose(model.log_prob(rows), density[np.arange(300), rows[:, 2].astype(int)], rtol=1e-11)
    hidden = model.log_prob(rows, [True, True, False])
    np.testing.assert_allclose(hidden, special.logsumexp(density, axis=1), rtol=1e-11)
    assert (model.predict(rows) == rows[:, 2]).mean() > 0.95


def test_scikit_learn_densities_fit_in():
    from sklearn.mixture import GaussianMixture

    class Adapter(GaussianMixture):
        def fit(self, samples, weights):
            return super().fit(pool(samples, weights).values)

        def sample(self, n, seed):
            self.random_state = seed % 2**32
            return super().sample(n)[0]

        def log_prob(self, values):
            return super().score_samples(values)

    rows = two_normals()
    model = ClassConditional(lambda c: Adapter(1, random_state=0), 2).fit([rows])
    assert (model.predict(rows) == rows[:, 2]).mean() > 0.95
    assert model.sample(10, seed=0).shape == (10, 3)


def test_scikit_agents_fit_in():
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import KernelDensity

    rows = two_normals()
    for estimator in (GaussianMixture(1), KernelDensity(bandwidth=0.3)):
        model = ClassConditional(lambda c, e=estimator: ScikitAgent(e, seed=c), 2).fit([rows])
        drawn = model.sample(40, seed=1)
        np.testing.assert_array_equal(drawn, model.sample(40, seed=1))
        assert (drawn != model.sample(40, seed=2)).any()
        assert model.sample(0).shape == (0, 3)
        assert model.sample_stratified(9).n == 9
        assert (model.predict(rows) == rows[:, 2]).mean() > 0.95


def test_learners_get_whole_numbers_as_seeds_and_other_ones_in_each_call():
    class Recorder(Normal):
        def sample(self, n, seed):
            seeds.append(seed)
            return super().sample(n, seed)

    seeds = []
    rows = two_normals()
    model = ClassConditional(lambda c: Recorder(), 2).fit([rows])
    for seed in (0, 1, np.random.SeedSequence(5), np.random.default_rng(7)):
        model.sample(20, seed)
    rng = np.random.default_rng(8)
    for _ in range(3):
        model.complete(np.tile(rows[:1], (20, 1)), [False, True, False], rng)
    assert len(seeds) == len(set(seeds)) >= 11  # both classes are drawn, but in row 0 only one may be likely
    assert all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds)


def test_what_is_no_learner_is_refused_and_scikit_learn_pointed_to_its_adapter():
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import KernelDensity

    rows = two_normals()
    for estimator in (GaussianMixture(1), KernelDensity()):
        with pytest.raises(InvalidInput, match=r"make_learner\(0\) returned .*ScikitAgent"):
            ClassConditional(lambda c, e=estimator: e, 2).fit([rows])
    for nothing in (None, Normal, object()):
        with pytest.raises(InvalidInput, match=r"make_learner\(0\) returned .* fit\(samples, weights\)"):
            ClassConditional(lambda c, e=nothing: e, 2).fit([rows])
    with pytest.raises(InvalidInput, match="make_learner is .* function from a class"):
        ClassConditional(Normal(), 2)


@given(st.integers(0, 10_000), st.floats(0.05, 0.9))
def test_T11_em_with_missing_labels_never_lowers_the_likelihood(seed, known_share):
    rows = two_normals(60, seed)
    known = np.ones(rows.shape, dtype=bool)
    known[:, 2] = np.random.default_rng(seed).random(60) < known_share
    known[np.argsort(rows[:, 2])[[0, 1, 2, -3, -2, -1]], 2] = True
    model = ClassConditional(lambda c: Normal(), 2, tol=0.0, max_iter=10).fit([SampleSet(rows, known)])
    assert np.all(np.diff(model.history_) >= -1e-12 * (1 + np.abs(model.history_).max()))
    last = model.history_[-1]
    assert model.fit([SampleSet(rows, known)]).history_[0] >= last - 1e-12 * (1 + abs(last))


def test_one_em_step_with_missing_labels_against_dense_sums():
    rows = two_normals(80)
    known = np.ones(rows.shape, dtype=bool)
    known[10:, 2] = False
    start = ClassConditional(lambda c: Normal(), 2).fit([rows[:10]])
    shares = np.where(np.arange(80)[:, None] < 10, np.eye(2)[rows[:, 2].astype(int)], start.predict_proba(rows))
    model = ClassConditional(lambda c: Normal(), 2, max_iter=1).fit([rows[:10]]).fit([SampleSet(rows, known)])
    np.testing.assert_allclose(model.class_prob_, shares.mean(axis=0), rtol=1e-12)
    for c in (0, 1):
        mean = shares[:, c] @ rows[:, :2] / shares[:, c].sum()
        np.testing.assert_allclose(model.learners_[c].mean, mean, rtol=1e-11)


def test_unlabelled_rows_help():
    rows = two_normals(400)
    known = np.ones(rows.shape, dtype=bool)
    known[:, 2] = False
    few = np.concatenate([np.flatnonzero(rows[:, 2] == c)[:3] for c in (0, 1)])
    known[few, 2] = True
    model = ClassConditional(lambda c: Normal(), 2).fit([SampleSet(rows, known)])
    np.testing.assert_allclose(model.class_prob_, [0.7, 0.3], atol=0.08)
    assert (model.predict(rows) == rows[:, 2]).mean() > 0.93


def test_samples_and_completions():
    model = ClassConditional(lambda c: Normal(), 2).fit([two_normals()])
    rows = model.sample(2000, seed=3)
    np.testing.assert_array_equal(rows, model.sample(2000, seed=3))
    count = (rows[:, 2] == 1).sum()
    p = model.class_prob_[1]
    assert stats.binom.ppf(1e-10, 2000, p) <= count <= stats.binom.isf(1e-10, 2000, p)
    samples = model.sample_stratified(101, seed=0)
    np.testing.assert_allclose(np.bincount(samples.labels(2, 2), samples.normalized_weights()), model.class_prob_)
    filled = model.complete(rows, [True, False, True], seed=1)
    np.testing.assert_array_equal(filled[:, [0, 2]], rows[:, [0, 2]])
    assert (filled[:, 1] != rows[:, 1]).all()
    labels = model.complete(np.where([True, True, False], rows, np.nan), [True, True, False], seed=1)
    np.testing.assert_array_equal(labels[:, :2], rows[:, :2])
    assert (labels[:, 2] == rows[:, 2]).mean() > 0.9
    assert model.sample(0).shape == (0, 3)
    assert model.sample(3, labels=[1, 1, 0])[:, 2].tolist() == [1, 1, 0]


def test_learners_of_this_package_and_missing_pixels():
    x, labels = digits()
    rows = np.column_stack([x, labels])
    model = ClassConditional(lambda c: BernoulliMixture(5, seed=c), 10).fit([rows[:1200]])
    observed = np.random.default_rng(0).random((597, 65)) < 0.8
    accuracy = [(model.predict(rows[1200:], mask) == labels[1200:]).mean() for mask in (None, observed)]
    assert accuracy[0] > 0.88
    assert accuracy[1] > 0.8
    filled = model.complete(rows[1200:], observed, seed=0)
    assert (filled[observed] == rows[1200:][observed]).all()
    assert filled.dtype == np.uint8


def test_without_labels_there_is_nothing_to_say():
    hidden = SampleSet(two_normals(), [True, True, False])
    model = ClassConditional(lambda c: Normal(), 2).fit([hidden])
    assert model.sample(4).shape == (0, 3)
    assert model.sample_stratified(4).n == 0
    with pytest.raises(NotFitted, match="classes"):
        model.predict(two_normals())
    model.fit([hidden, two_normals(50, seed=9)])
    assert model.sample(4).shape == (4, 3)


def test_learners_without_a_density_do_what_needs_none():
    rows = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 1.0]])
    model = ClassConditional(lambda c: SampleOnly(), 2).fit([rows])
    np.testing.assert_array_equal(model.sample(2, labels=[1, 0]), rows[::-1])
    with pytest.raises(InvalidInput, match="SampleOnly, has no log_prob"):
        model.predict(rows)
    with pytest.raises(InvalidInput, match="SampleOnly, has no log_prob"):
        model.fit([SampleSet(rows, [[True] * 3, [True, True, False]])])


def test_rows_of_weight_zero_ask_nothing_of_the_learners():
    """Neither a density of learners that have none, nor a posterior of a class that nobody has defined."""
    rows = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 1.0], [5.0, 6.0, 0.0]])
    open_row = np.array([[True] * 3, [True] * 3, [True, True, False]])
    model = ClassConditional(lambda c: SampleOnly(), 2).fit([SampleSet(rows, open_row, [1.0, 3.0, 0.0])])
    np.testing.assert_allclose(model.class_prob_, [0.25, 0.75], rtol=1e-15)
    rows = two_normals(60)
    known = np.ones(rows.shape, dtype=bool)
    known[20:, 2] = False
    weights = np.where(known[:, 2] & (rows[:, 2] == 1), 0.0, 1.0)
    model = ClassConditional(lambda c: Normal(), 2).fit([SampleSet(rows, known, weights)])
    assert model.class_prob_.tolist() == [1.0, 0.0]
    np.testing.assert_allclose(model.learners_[0].mean, rows[weights > 0, :2].mean(axis=0), rtol=1e-12)


def test_rows_impossible_under_every_class_have_no_posterior():
    class Uniform(Normal):
        def log_prob(self, values, observed=None):
            return np.where(np.abs(values - self.mean).max(axis=1) < 10.0, -6.0, -np.inf)

    rows = two_normals(40)
    model = ClassConditional(lambda c: Uniform(), 2).fit([rows])
    far = np.array([[0.0, 0.0, 0.0], [99.0, 0.0, 0.0]])
    assert np.isneginf(model.log_prob(far)).tolist() == [False, True]
    with pytest.raises(InvalidData, match="row 1 has probability zero"):
        model.predict_proba(far)
    with pytest.raises(InvalidData, match="row 1 has probability zero"):
        model.fit([rows, SampleSet(far, [True, True, False])])


def test_a_learner_whose_first_fit_was_refused_is_not_kept():
    model = ClassConditional(lambda c: BernoulliMixture(1), 2).fit([[[1, 0, 0], [1, 1, 0]]])
    with pytest.raises(InvalidData, match="must be 0 or 1"):
        model.fit([[[7, 0, 1]]])
    assert model.seen_.tolist() == [True, False]
    assert list(model.learners_) == [0]
    unlabelled = SampleSet([[1, 0, 0]], [True, True, False])
    model.fit([[[0, 0, 1], [1, 1, 0]], unlabelled])
    assert model.seen_.all()
    assert np.isfinite(model.history_).all()


def test_features_can_be_completed_only_by_learners_that_can():
    class NoCompletion(Normal):
        complete = property()  # looking it up fails

    model = ClassConditional(lambda c: NoCompletion(), 2).fit([two_normals()])
    assert model.complete([[0.0, 0.0, 0.0]], [True, True, False]).shape == (1, 3)
    with pytest.raises(InvalidInput, match="NoCompletion, has no complete"):
        model.complete([[0.0, 0.0, 0.0]], [True, False, True])


def bernoulli_classes(seed=0):
    """Two features, two classes, two components each; random parameters."""
    model = ClassConditional(lambda c: BernoulliMixture(2, tol=0.0, max_iter=3), 2, tol=0.0, max_iter=5)
    model.fit([np.random.default_rng(seed).integers(0, 2, size=(40, 3))])
    return model


def exact_law(model):
    """All rows (x, y, class) and their probabilities, by multiplication."""
    rows = np.array([[x, y, c] for x in (0, 1) for y in (0, 1) for c in (0, 1)])
    probability = []
    for x, y, c in rows:
        mixture = model.learners_[c]
        p = np.array([[1 - m, m] for m in mixture.mean_[0].ravel()]).reshape(2, 2, 2)
        terms = mixture.component_prob_[0] * p[:, 0, x] * p[:, 1, y]
        probability.append(model.class_prob_[c] * terms.sum())
    return rows, np.array(probability)


@pytest.mark.parametrize("known", [[True] * 3, [True, False, True], [False, True, False], [False] * 3])
def test_T11_probabilities_and_completions_on_a_small_space(known):
    model, n = bernoulli_classes(), 20_000
    rows, probability = exact_law(model)
    assert probability.sum() == pytest.approx(1.0, rel=1e-12)
    agree = ((rows[:, None] == rows[None]) | ~np.array(known)).all(axis=2)
    np.testing.assert_allclose(np.exp(model.log_prob(rows, known)), agree @ probability, rtol=1e-12)
    shown = rows[5]
    conditional = np.where(agree[5], probability, 0.0) / probability[agree[5]].sum()
    drawn = model.complete(np.tile(np.where(known, shown, 7), (n, 1)), known, seed=1)
    counts = np.array([(drawn == row).all(axis=1).sum() for row in rows])
    low, high = stats.binom.ppf(1e-11, n, conditional), stats.binom.isf(1e-11, n, conditional)
    possible = conditional > 0
    assert np.all(((low <= counts) & (counts <= high))[possible])
    assert counts.sum() == counts[possible].sum() == n


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_T11_refitting_the_exact_law_changes_nothing_also_where_labels_are_hidden(seed):
    model = bernoulli_classes(seed)
    if not model.seen_.all():
        return
    rows, probability = exact_law(model)
    for _ in range(3):
        model.fit([SampleSet(rows, mask, probability) for mask in ([True] * 3, [True, True, False])], [1.0, 2.0])
    np.testing.assert_allclose(exact_law(model)[1], probability, rtol=1e-8)
    model.fit([SampleSet(rows, row_weights=probability)])
    np.testing.assert_allclose(exact_law(model)[1], probability, rtol=1e-8)


def test_warm_start_keeps_the_learners():
    rows = two_normals()
    warm = ClassConditional(lambda c: Normal(), 2).fit([rows])
    learner = warm.learners_[0]
    assert warm.fit([rows]).learners_[0] is learner
    cold = ClassConditional(lambda c: Normal(), 2, warm_start=False).fit([rows])
    learner = cold.learners_[0]
    assert cold.fit([rows]).learners_[0] is not learner


def test_refusals():
    with pytest.raises(InvalidInput, match="n_classes"):
        ClassConditional(lambda c: Normal(), 0)
    with pytest.raises(InvalidInput, match="tol"):
        ClassConditional(lambda c: Normal(), 2, tol=-1.0)
    model = ClassConditional(lambda c: Normal(), 2)
    for question in (model.sample, model.sample_stratified):
        with pytest.raises(NotFitted, match="call fit"):
            question(3)
    model.fit([two_normals()[:, 1:][:5][:, [0, 1]] * [1, 0]])  # class 0 only
    with pytest.raises(InvalidData, match="features"):
        model.fit([two_normals()])
    with pytest.raises(InvalidInput, match="classes out of those seen"):
        model.sample(1, labels=[1])
    with pytest.raises(InvalidData, match="has not seen"):
        model.complete([[0.5, 1.0]], [True, True])
    broken = ClassConditional(lambda c: Broken(), 1).fit([[[1.0, 2.0, 0.0]]])
    with pytest.raises(InvalidData, match="drew samples of shape"):
        broken.sample(3)
