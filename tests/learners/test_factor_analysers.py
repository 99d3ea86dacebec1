"""Factor analysers against dense Gaussian algebra, SciPy and scikit-learn."""

import itertools
import pickle

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.learners.factor_analysers import MixtureOfFactorAnalysers
from expfam_game.samples import SampleSet

SIX_SIGMA = 6.5
"""A normal variable is further out with probability 8e-11."""


def covariance(model, c=0, k=0):
    return model.loadings_[c, k] @ model.loadings_[c, k].T + np.diag(model.noise_variance_[c, k])


def dense_log_prob(model, values, mask, labels=None):
    """log p of one observed pattern by SciPy's densities; labels None: summed over classes."""
    terms = []
    for c, k in np.ndindex(model.component_prob_.shape):
        log_prior = np.log(model.class_prob_[c]) + np.log(model.component_prob_[c, k])
        density = np.zeros(len(values))
        if mask.any():
            part = covariance(model, c, k)[np.ix_(mask, mask)]
            law = multivariate_normal(model.mean_[c, k][mask], part)
            density = law.logpdf(values[:, mask]).reshape(-1)
        wrong = 0.0 if labels is None else np.where(labels == c, 0.0, -np.inf)
        terms.append(density + log_prior + wrong)
    return logsumexp(terms, axis=0)


def random_rows(rng, n, d, n_classes=1):
    labels = rng.integers(n_classes, size=n)
    factors = rng.normal(size=(n, 2))
    loadings = rng.normal(size=(n_classes, 2, d))
    x = np.einsum("nq,nqd->nd", factors, loadings[labels]) + labels[:, None] + 0.4 * rng.normal(size=(n, d))
    return np.concatenate([x, labels[:, None]], axis=1)


def fitted(seed=0, d=5, k=2, q=2, n_classes=2, **options):
    rng = np.random.default_rng(seed)
    options = {"max_iter": 5, "noise_floor": 1e-3, "seed": seed} | options
    rows = random_rows(rng, 80, d, n_classes or 1)
    return MixtureOfFactorAnalysers(k, q, n_classes=n_classes, **options).fit([rows if n_classes else rows[:, :d]])


# ---------------------------------------------------------------------- exact inference


@pytest.mark.parametrize("q", [0, 1, 3])
def test_T11_log_prob_of_every_set_of_observed_features(q):
    model = fitted(d=4, q=q)
    rows = random_rows(np.random.default_rng(9), 12, 4, 2)
    for observed in itertools.product((False, True), repeat=5):
        mask = np.array(observed)
        labels = rows[:, -1] if mask[-1] else None
        expected = dense_log_prob(model, rows[:, :-1], mask[:-1], labels)
        np.testing.assert_allclose(model.log_prob(rows, mask), expected, rtol=1e-10, atol=1e-10)


def test_T11_rows_of_different_patterns_together():
    model = fitted(d=6)
    rng = np.random.default_rng(1)
    rows, masks = random_rows(rng, 40, 6, 2), rng.random((40, 7)) < 0.5
    together = model.log_prob(rows, masks)
    for row, mask, value in zip(rows, masks, together):
        label = row[-1:] if mask[-1] else None
        np.testing.assert_allclose(value, dense_log_prob(model, row[None, :-1], mask[:-1], label)[0], atol=1e-10)


def test_far_from_the_origin_nothing_is_lost():
    x = random_rows(np.random.default_rng(0), 200, 5)[:, :5]
    near = MixtureOfFactorAnalysers(2, 2, noise_floor=1e-3, max_iter=5, tol=0.0).fit([x])
    shifted = x + 1e6
    far = MixtureOfFactorAnalysers(2, 2, noise_floor=1e-3, max_iter=5, tol=0.0).fit([shifted])
    np.testing.assert_allclose(far.log_prob(shifted), near.log_prob(shifted - 1e6), atol=1e-5)


def test_outliers_have_finite_densities():
    model = fitted(d=4)
    rows = np.full((3, 5), [[1e8], [-1e8], [0.0]])
    rows[:, -1] = 0
    assert np.all(np.isfinite(model.log_prob(rows)))
    np.testing.assert_allclose(model.predict_proba(rows).sum(axis=1), 1.0)


def _agrees(sample, mean, cov):
    """Mean and second moments of a sample against those of a Gaussian law, within 6.5 standard errors."""
    n, centred = len(sample), sample - mean
    assert np.all(np.abs(centred.mean(axis=0)) <= SIX_SIGMA * np.sqrt(np.diag(cov) / n))
    products = centred.T @ centred / n
    spread = np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) / n)  # Isserlis
    assert np.all(np.abs(products - cov) <= SIX_SIGMA * spread)


def test_samples_have_the_moments_of_the_components():
    model = fitted(d=4, n_classes=3, k=1)
    drawn = model.sample(60_000, seed=1)
    for c in range(3):
        mine = drawn[drawn[:, -1] == c, :-1]
        p = model.class_prob_[c]
        assert abs(len(mine) / 60_000 - p) <= SIX_SIGMA * np.sqrt(p * (1 - p) / 60_000)
        _agrees(mine, model.mean_[c, 0], covariance(model, c))


def test_T11_completions_follow_the_conditional_gaussian():
    model = fitted(d=5, n_classes=None, k=1, q=2)
    mask = np.array([True, False, True, False, False])
    shown = np.array([0.4, np.nan, -1.0, np.nan, np.nan])
    drawn = model.complete(np.tile(shown, (40_000, 1)), mask, seed=2)
    assert np.all(drawn[:, mask] == shown[mask])
    cov = covariance(model)
    gain = np.linalg.solve(cov[np.ix_(mask, mask)], cov[np.ix_(mask, ~mask)]).T
    mean = model.mean_[0, 0][~mask] + gain @ (shown - model.mean_[0, 0])[mask]
    _agrees(drawn[:, ~mask], mean, cov[np.ix_(~mask, ~mask)] - gain @ cov[np.ix_(mask, ~mask)])


@pytest.mark.parametrize("mask", [[True] * 4, [True, False, True, True], [False, True, False, False], [False] * 4])
def test_T11_predict_proba_is_bayes_rule_on_dense_densities(mask):
    model, mask = fitted(d=3, q=1, n_classes=3), np.array(mask)
    rows = random_rows(np.random.default_rng(2), 20, 3, 3)
    log_joint = np.stack([dense_log_prob(model, rows[:, :-1], mask[:-1], np.full(20, c)) for c in range(3)], axis=1)
    expected = np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(rows, mask), expected, rtol=1e-9)


def test_T11_completion_chooses_class_and_component_by_what_is_observed():
    """The label against Bayes' rule, and a missing feature against the conditional mixture, at quantiles of its law."""
    model = fitted(d=3, k=2, q=1)
    row, mask, n = np.array([0.3, 0.0, 0.0, 0.0]), np.array([True, False, False, False]), 20_000
    drawn = model.complete(np.tile(row, (n, 1)), mask, seed=0)
    shares, conditional_cdf = {}, {}
    for c, k in np.ndindex(model.component_prob_.shape):
        mean, cov = model.mean_[c, k], covariance(model, c, k)
        density = norm.pdf(row[0], mean[0], np.sqrt(cov[0, 0]))
        shares[c, k] = model.class_prob_[c] * model.component_prob_[c, k] * density
        gain = cov[1, 0] / cov[0, 0]
        conditional_cdf[c, k] = norm(mean[1] + gain * (row[0] - mean[0]), np.sqrt(cov[1, 1] - gain * cov[0, 1])).cdf
    total = sum(shares.values())
    p = sum(share for (c, _), share in shares.items() if c == 1) / total
    assert abs((drawn[:, -1] == 1).mean() - p) <= SIX_SIGMA * np.sqrt(p * (1 - p) / n)
    for at in (-1.0, -0.2, 0.0, 0.3, 1.0):
        p = sum(share / total * conditional_cdf[key](at) for key, share in shares.items())
        assert abs((drawn[:, 1] <= at).mean() - p) <= SIX_SIGMA * np.sqrt(p * (1 - p) / n)


# ---------------------------------------------------------------------- estimation against scikit-learn


def test_one_analyser_reaches_the_likelihood_of_scikit_learn_and_stays_at_its_solution():
    x = random_rows(np.random.default_rng(3), 400, 6)[:, :6] * [1.0, 2.0, 0.5, 1.0, 3.0, 1.0]
    oracle = FactorAnalysis(2, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(x)
    model = MixtureOfFactorAnalysers(1, 2, noise_floor=1e-8, tol=1e-9, max_iter=3000).fit([x])
    assert model.converged_
    assert model.log_prob(x).mean() >= oracle.score(x) - 1e-6
    model.mean_[0, 0], model.loadings_[0, 0] = oracle.mean_, oracle.components_.T
    model.noise_variance_[0, 0] = oracle.noise_variance_
    model.partial_fit([x])
    np.testing.assert_allclose(model.mean_[0, 0], oracle.mean_, atol=1e-6)
    np.testing.assert_allclose(covariance(model), oracle.get_covariance(), atol=1e-5)


def test_no_factors_is_a_step_of_the_diagonal_gaussian_mixture_of_scikit_learn():
    x = random_rows(np.random.default_rng(5), 150, 3)[:, :3]
    model = MixtureOfFactorAnalysers(3, 0, noise_floor=1e-8, max_iter=3, tol=0.0).fit([x])
    oracle = GaussianMixture(
        3,
        covariance_type="diag",
        max_iter=1,
        reg_covar=0.0,
        weights_init=model.component_prob_[0].copy(),
        means_init=model.mean_[0].copy(),
        precisions_init=1.0 / model.noise_variance_[0],
    )
    with pytest.warns(ConvergenceWarning):
        oracle.fit(x)
    model.partial_fit([x])
    np.testing.assert_allclose(model.mean_[0], oracle.means_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.noise_variance_[0], oracle.covariances_, rtol=1e-8)
    np.testing.assert_allclose(model.component_prob_[0], oracle.weights_, rtol=1e-9)


# ---------------------------------------------------------------------- EM


def dense_em_step(mean, loadings, noise, rows, masks, weights):
    """One EM step of one analyser with missing values, row by row, from the joint Gaussian law of (x, z)."""
    d, q = loadings.shape
    cov = loadings @ loadings.T + np.diag(noise)
    latent, cross, square = np.zeros((d, q + 1, q + 1)), np.zeros((d, q + 1)), np.zeros(d)
    for x, m, w in zip(rows, masks, weights):
        gain = loadings[m].T @ np.linalg.inv(cov[np.ix_(m, m)])
        z = gain @ (x - mean)[m]
        s, second = np.append(z, 1.0), np.zeros((q + 1, q + 1))
        second[:q, :q] = np.eye(q) - gain @ loadings[m]
        second += np.outer(s, s)
        for j in np.flatnonzero(m):
            latent[j] += w * second
            cross[j] += w * x[j] * s
            square[j] += w * x[j] ** 2
    solution = np.array([np.linalg.solve(latent[j], cross[j]) for j in range(d)])
    residual = (square - (solution * cross).sum(axis=1)) / latent[:, -1, -1]
    return solution[:, -1], solution[:, :-1], residual


def test_T11_a_step_with_missing_features_is_the_dense_one():
    rng = np.random.default_rng(7)
    model = fitted(d=5, k=1, q=2, n_classes=None)
    rows = random_rows(rng, 40, 5)[:, :5]
    masks, weights = rng.random((40, 5)) < 0.6, rng.exponential(size=40)
    expected = dense_em_step(
        model.mean_[0, 0], model.loadings_[0, 0], model.noise_variance_[0, 0], rows, masks, weights
    )
    model.partial_fit([SampleSet(rows, masks, weights)])
    found = model.mean_[0, 0], model.loadings_[0, 0], model.noise_variance_[0, 0]
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(
            ours, np.maximum(theirs, 1e-3) if ours is found[2] else theirs, rtol=1e-8, atol=1e-10
        )


@st.composite
def incomplete_samples(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    d, n_classes = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    first, second = random_rows(rng, 25, d, n_classes), random_rows(rng, 25, d, n_classes)
    observed = rng.random(second.shape) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    return n_classes, [first, SampleSet(second, observed, rng.exponential(size=25))], [0.4, 0.6]


@settings(max_examples=25)
@given(case=incomplete_samples(), k=st.integers(1, 3), q=st.integers(0, 3), floor=st.sampled_from([1e-4, 0.05, 1.0]))
def test_T11_em_never_lowers_the_likelihood(case, k, q, floor):
    n_classes, samples, weights = case
    options = {"n_classes": n_classes, "noise_floor": floor, "max_iter": 12, "tol": 0.0}
    model = MixtureOfFactorAnalysers(k, q, **options).fit(samples, weights)
    before = model.history_[0]
    for value in model.history_[1:]:
        assert value >= before - 1e-9
        before = value
    direct = sum(
        weight * part.normalized_weights() @ model.log_prob(part.values, part.observed)
        for part, weight in zip(map(SampleSet.of, samples), weights)
    )
    assert direct >= before - 1e-9


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 7),
    d=st.integers(1, 5),
    q=st.integers(0, 6),
    floor=st.integers(-10, 0),
    scale=st.integers(-2, 2),
    share=st.sampled_from([0.3, 0.8, 1.0]),
)
def test_T11_em_never_lowers_the_likelihood_of_few_rows_with_many_factors(seed, n, d, q, floor, scale, share):
    """Regressions on factors that the rows do not determine, at a spread far beyond the noise.

    A term x²/ψ is known to some rounding errors of its size, and there are d + q of them.
    """
    rng = np.random.default_rng(seed)
    x, mask = rng.normal(size=(n, d)) * 10.0**scale, rng.random((n, d)) < share
    model = MixtureOfFactorAnalysers(2, q, noise_floor=10.0**floor, max_iter=12, tol=0.0).fit([SampleSet(x, mask)])
    size = 1.0 + (d + q) * np.ptp(x) ** 2 / 10.0**floor
    assert np.all(np.diff(model.history_) >= -50 * np.finfo(float).eps * size)


@pytest.mark.parametrize("q", [1, 2, 5])
def test_densities_far_beyond_the_noise_against_mpmath(q):
    """Loadings ten million times the noise, also more factors than features: the error is that of terms x²/ψ."""
    mpmath.mp.dps = 60
    rng = np.random.default_rng(q)
    model = MixtureOfFactorAnalysers(1, q, noise_floor=1e-10, max_iter=1).fit([rng.normal(size=(5, 3))])
    model.mean_[0, 0], model.noise_variance_[0, 0] = model._centre[0], 1e-10
    model.loadings_[0, 0] = 100.0 * rng.normal(size=(3, q))
    w = mpmath.matrix(model.loadings_[0, 0].tolist())
    cov = w * w.T + mpmath.diag([mpmath.mpf(v) for v in model.noise_variance_[0, 0]])
    rows = model.mean_[0, 0] + rng.normal(size=(6, q)) @ model.loadings_[0, 0].T + 1e-5 * rng.normal(size=(6, 3))
    for row, found in zip(rows, model.log_prob(rows)):
        offset = mpmath.matrix([mpmath.mpf(a) - mpmath.mpf(b) for a, b in zip(row, model.mean_[0, 0])])
        distance = (offset.T * mpmath.lu_solve(cov, offset))[0]
        exact = -(distance + mpmath.log(mpmath.det(cov)) + 3 * mpmath.log(2 * mpmath.pi)) / 2
        size = float(sum(x**2 for x in offset)) / 1e-10
        assert abs(found - float(exact)) <= 50 * np.finfo(float).eps * (1.0 + size)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 5), q=st.integers(0, 2), floor=st.sampled_from([1e-4, 0.3]))
def test_T11_refitting_the_exact_moments_of_an_analyser_changes_nothing(seed, d, q, floor):
    """Points at mean ± √D times the columns of a root of the covariance have its moments exactly."""
    model = fitted(seed, d=d, k=1, q=q, n_classes=None, noise_floor=floor)
    mean, cov = model.mean_[0, 0].copy(), covariance(model)
    steps = np.sqrt(len(mean)) * np.linalg.cholesky(cov).T
    for _ in range(5):
        model.partial_fit([mean + steps, mean - steps])
    np.testing.assert_allclose(model.mean_[0, 0], mean, atol=1e-9)
    np.testing.assert_allclose(covariance(model), cov, atol=1e-9)
    assert model.noise_variance_.min() >= floor


def test_T11_refitting_the_exact_law_of_a_mixture_changes_nothing():
    """On a line the trapezoidal rule integrates Gaussian densities to full accuracy."""
    x = np.concatenate([np.random.default_rng(0).normal(size=60), 3 + np.random.default_rng(1).normal(size=40)])
    model = MixtureOfFactorAnalysers(2, 1, max_iter=20, noise_floor=0.1).fit([x[:, None]])
    grid = np.linspace(-15.0, 18.0, 2000)[:, None]
    before = model.log_prob(grid)
    for _ in range(20):
        model.partial_fit([SampleSet(grid, row_weights=np.exp(model.log_prob(grid)))])
    np.testing.assert_allclose(model.log_prob(grid), before, atol=1e-8)


def test_the_floor_is_a_bound_and_not_an_addition():
    x = random_rows(np.random.default_rng(0), 300, 4)[:, :4]
    x[:, 0] = 1.0
    low = MixtureOfFactorAnalysers(1, 1, noise_floor=1e-6, tol=1e-8, max_iter=500).fit([x])
    high = MixtureOfFactorAnalysers(1, 1, noise_floor=1e-3, tol=1e-8, max_iter=500).fit([x])
    assert high.noise_variance_[0, 0, 0] == 1e-3
    np.testing.assert_allclose(high.noise_variance_[0, 0, 1:], low.noise_variance_[0, 0, 1:], rtol=1e-3)


def test_only_proportions_of_weights_matter():
    rng = np.random.default_rng(0)
    first, second = random_rows(rng, 40, 5, 2), random_rows(rng, 30, 5, 2)
    observed, row_weights = rng.random(second.shape) < 0.8, rng.exponential(size=30)
    fits = [
        MixtureOfFactorAnalysers(2, 2, n_classes=2, max_iter=4).fit(
            [first, SampleSet(second, observed, scale * row_weights)], [scale, 2 * scale]
        )
        for scale in (1.0, 1e-12, 1e12)
    ]
    for model in fits[1:]:
        np.testing.assert_allclose(model.log_prob(first), fits[0].log_prob(first), atol=1e-7)


def test_warm_start_goes_on_where_it_stopped():
    rows = random_rows(np.random.default_rng(0), 80, 6, 2)
    through = MixtureOfFactorAnalysers(3, 2, n_classes=2, max_iter=6, tol=0.0).fit([rows])
    halves = MixtureOfFactorAnalysers(3, 2, n_classes=2, max_iter=3, tol=0.0).fit([rows]).fit([rows])
    np.testing.assert_allclose(through.mean_, halves.mean_, rtol=1e-12, atol=1e-12)
    fresh = MixtureOfFactorAnalysers(3, 2, n_classes=2, max_iter=3, tol=0.0, warm_start=False).fit([rows])
    once = fresh.mean_.copy()
    assert np.array_equal(fresh.fit([rows]).mean_, once)


def test_pickling_keeps_everything():
    model = fitted()
    rows = random_rows(np.random.default_rng(1), 20, 5, 2)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.log_prob(rows), model.log_prob(rows))
    assert np.array_equal(copy.sample(20, seed=3), model.sample(20, seed=3))


def test_features_never_seen_keep_their_parameters():
    model = fitted(d=5, k=1, n_classes=None)
    before = model.mean_[0, 0, 2], model.noise_variance_[0, 0, 2]
    rows = random_rows(np.random.default_rng(1), 50, 5)[:, :5]
    model.partial_fit([SampleSet(rows, np.array([True, True, False, True, True]))])
    assert (model.mean_[0, 0, 2], model.noise_variance_[0, 0, 2]) == before
    np.testing.assert_allclose(model.mean_[0, 0, 1], rows[:, 1].mean(), atol=0.5)


def test_rows_all_alike_and_fewer_rows_than_factors():
    model = MixtureOfFactorAnalysers(4, 6, noise_floor=0.01).fit([np.full((3, 4), 0.5)])
    np.testing.assert_allclose(model.mean_, 0.5, atol=1e-6)
    np.testing.assert_allclose(model.noise_variance_, 0.01)
    assert np.all(np.isfinite(model.sample(5, seed=0)))


def test_rows_that_show_nothing_change_the_class_probabilities_alone():
    rows = random_rows(np.random.default_rng(0), 60, 4, 2)
    nothing = SampleSet(np.zeros((5, 5)), np.array([False, False, False, False, True]))
    plain = MixtureOfFactorAnalysers(1, 1, n_classes=2, max_iter=3).fit([rows])
    model = pickle.loads(pickle.dumps(plain)).partial_fit([rows, nothing])
    plain.partial_fit([rows])
    assert model.class_prob_[0] > plain.class_prob_[0]
    np.testing.assert_allclose(model.mean_, plain.mean_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("floor", [0.0, -1.0, np.inf, np.nan])
def test_noise_floor_out_of_range(floor):
    with pytest.raises(InvalidInput, match="noise_floor"):
        MixtureOfFactorAnalysers(2, noise_floor=floor)


@pytest.mark.parametrize("floor", [0.02, 1e-6, 10.0])
def test_values_whose_squares_leave_float64(floor):
    rows = random_rows(np.random.default_rng(0), 30, 4)[:, :4]
    edge = 1e150 * min(1.0, np.sqrt(floor))
    model = MixtureOfFactorAnalysers(2, 2, noise_floor=floor, max_iter=3).fit([rows])
    assert np.all(np.isfinite(model.log_prob(np.full((2, 4), 0.99 * edge))))
    for values in (rows * 1e200, np.where(rows == rows[3, 2], -1.01 * edge, rows)):
        with pytest.raises(InvalidData, match="scale the features"):
            model.fit([values])
        with pytest.raises(InvalidData, match="scale the features"):
            model.log_prob(values)
    large = rows * (0.99 * edge / np.abs(rows).max())
    model = MixtureOfFactorAnalysers(2, 2, noise_floor=floor, max_iter=5, tol=0.0).fit([large])
    assert np.all(np.isfinite(model.history_))
    assert np.all(np.diff(model.history_) > 0)


def test_number_of_factors_out_of_range():
    with pytest.raises(InvalidInput, match="n_factors is -1"):
        MixtureOfFactorAnalysers(2, -1)
