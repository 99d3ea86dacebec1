"""Agents made of families, functions and scikit-learn estimators."""

import pickle

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.neural_network import BernoulliRBM

import expfam_game as eg
from expfam_game.bridge import CallableAgent, FamilyAgent, GenerativeAgent, ScikitAgent, ScikitGibbsAgent, play
from expfam_game.bridge.scikit import residual_resample
from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter, NotFitted
from expfam_game.samples import SampleSet

RNG = np.random.default_rng(0)
POINTS = RNG.normal(2.0, 1.5, size=(200, 2))


def agents():
    return [
        FamilyAgent(eg.families.Gaussian(2)),
        ScikitAgent(GaussianMixture(reg_covar=0.0)),
        ScikitAgent(KernelDensity(bandwidth=0.1)),
        CallableAgent(lambda samples, weights, model: samples[0].values, lambda model, n, seed: model[:n]),
    ]


@pytest.mark.parametrize("agent", agents(), ids=lambda a: type(getattr(a, "estimator", a)).__name__)
def test_agents_fit_and_sample_by_seed(agent):
    assert isinstance(agent, GenerativeAgent)
    agent.fit([POINTS], [1.0])
    drawn = agent.sample(50, 7)
    assert drawn.shape == (50, 2)
    np.testing.assert_array_equal(drawn, agent.sample(50, 7))


@pytest.mark.parametrize("agent", agents()[:3], ids=lambda a: type(getattr(a, "estimator", a)).__name__)
def test_only_proportions_of_weights_count_and_pickling_changes_nothing(agent):
    """Images pitfall 5: weights that sum to one and weights that sum to a thousand give the same model."""
    other = pickle.loads(pickle.dumps(agent))
    agent.fit([POINTS[:60], POINTS[60:]], [0.25, 0.75])
    other.fit([POINTS[:60], POINTS[60:]], [256.0, 768.0])
    np.testing.assert_array_equal(agent.log_prob(POINTS), other.log_prob(POINTS))
    np.testing.assert_array_equal(agent.sample(9, 1), pickle.loads(pickle.dumps(other)).sample(9, 1))
    np.testing.assert_array_equal(agent.log_prob(POINTS, np.ones(2, bool)), agent.log_prob(POINTS))
    with pytest.raises(InvalidData, match="needs complete rows"):
        agent.log_prob(POINTS, np.array([True, False]))


def test_agents_print_what_they_are_made_of():
    texts = [repr(agent) for agent in agents()]
    assert texts == [
        f"FamilyAgent({eg.families.Gaussian(2)!r})",
        "ScikitAgent(GaussianMixture(reg_covar=0.0))",
        "ScikitAgent(KernelDensity(bandwidth=0.1))",
        "CallableAgent(<lambda>, <lambda>)",
    ]
    margin = FamilyAgent(eg.families.Poisson(), margin=0.01)
    assert repr(margin) == f"FamilyAgent({eg.families.Poisson()!r}, margin=0.01)"


# ---------------------------------------------------------------------- families


def test_family_agent_is_the_weighted_maximum_likelihood():
    """Against SciPy's multivariate normal at the weighted mean and covariance computed by NumPy."""
    from scipy.stats import multivariate_normal

    agent = FamilyAgent(eg.families.Gaussian(2))
    rows = RNG.random(60)
    agent.fit([SampleSet(POINTS[:60], row_weights=rows), POINTS[60:]], [0.3, 0.7])
    w = np.concatenate([0.3 * rows / rows.sum(), np.full(140, 0.7 / 140)])
    fitted = multivariate_normal(w @ POINTS, np.cov(POINTS.T, aweights=w, ddof=0))
    np.testing.assert_allclose(agent.log_prob(POINTS), fitted.logpdf(POINTS), rtol=1e-9)


def test_family_agent_missing_values_are_averaged_where_seen():
    values = np.array([[1.0, np.nan, 5.0], [3.0, 8.0, np.nan], [5.0, np.nan, np.nan]])
    samples = SampleSet(values, observed=~np.isnan(values), row_weights=[1.0, 1.0, 2.0])
    agent = FamilyAgent(eg.families.Poisson() ** 3).fit([samples], [1.0])
    np.testing.assert_allclose(agent.mean_, [14 / 4, 8.0, 5.0])
    first_only = SampleSet([[2.0, np.nan, np.nan]], observed=[True, False, False])
    np.testing.assert_allclose(agent.fit([first_only], [1.0]).mean_, [2.0, 8.0, 5.0])


def test_family_agent_missing_values_it_cannot_use():
    first_only = SampleSet([[2.0, np.nan]], observed=[True, False])
    with pytest.raises(InvalidData, match="no sample shows variable 1"):
        FamilyAgent(eg.families.Poisson() ** 2).fit([first_only], [1.0])
    with pytest.raises(InvalidData, match="needs complete rows"):
        FamilyAgent(eg.families.Gaussian(2)).fit([first_only], [1.0])
    with pytest.raises(InvalidData, match="no value of any sample is observed"):
        FamilyAgent(eg.families.Poisson() ** 2).fit([SampleSet([[2.0, 1.0]], observed=[False, False])], [1.0])


def test_family_agent_margin_touches_the_boundary_only():
    """Images pitfall 1: inside the mean space a fit of one's own mean is exact, however often it is repeated."""
    family = eg.families.Bernoulli(dim=2)
    inside = FamilyAgent(family, margin=0.01).fit([[[0, 1], [1, 1], [1, 0], [0, 0]]], [1.0])
    np.testing.assert_array_equal(inside.mean_, [0.5, 0.5])
    dark = FamilyAgent(family, margin=0.01).fit([[[0, 1], [0, 0]]], [1.0])
    np.testing.assert_allclose(dark.mean_, [0.005, 0.5])
    with pytest.raises(InvalidMeanParameter):
        FamilyAgent(family).fit([[[0, 1], [0, 0]]], [1.0])


def test_family_agents_of_scalar_and_finite_events():
    agent = FamilyAgent(eg.families.Finite([0.0, 1.0, 4.0])).fit([[[0], [1], [2], [2]]], [1.0])
    np.testing.assert_allclose(agent.mean_, [2.25])
    assert agent.sample(5, 0).shape == (5, 1)
    with pytest.raises(InvalidData, match="need 1 columns"):
        agent.fit([[[0, 1]]], [1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FamilyAgent("Poisson"), "family is 'Poisson'"),
        (lambda: FamilyAgent(eg.families.Poisson(), margin=1.0), "margin is 1.0"),
        (lambda: CallableAgent(1, 2), "needs two functions"),
        (lambda: ScikitAgent(GaussianMixture), "needs an estimator object"),
        (lambda: ScikitAgent(BernoulliRBM()), "Use ScikitGibbsAgent"),
        (lambda: ScikitAgent(GaussianMixture(), resample=0), "resample is 0"),
        (lambda: ScikitGibbsAgent(GaussianMixture()), "with fit, gibbs"),
        (lambda: ScikitGibbsAgent(BernoulliRBM(), burn_in=0), "burn_in is 0"),
    ],
)
def test_adapters_refuse(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


# ---------------------------------------------------------------------- scikit-learn


def test_residual_resampling_is_unbiased_and_nearly_exact():
    weights = RNG.dirichlet(np.ones(7))
    counts = np.array([np.bincount(residual_resample(weights, 50, seed), minlength=7) for seed in range(2000)])
    assert counts.sum(axis=1).tolist() == [50] * 2000
    assert np.all(counts >= np.floor(50 * weights))
    # Counts beyond the floor are at most Binomial(7, ·): variance at most 7/4.
    assert np.all(np.abs(counts.mean(axis=0) - 50 * weights) < 7 * np.sqrt(7 / 4 / 2000))
    np.testing.assert_array_equal(np.bincount(residual_resample([0.1] * 10, 30, 0)), [3] * 10)


def test_weights_go_to_the_estimator_where_it_takes_them():
    """A kernel density of weighted points, against the mixture of normal densities written out."""
    from scipy.stats import norm

    agent = ScikitAgent(KernelDensity(bandwidth=0.5)).fit([[[0.0]], [[1.0], [2.0]]], [3.0, 1.0])
    assert (agent.weighting_, agent.resampled_rows) == ("sample_weight", None)
    expected = sum(w * norm.pdf([0.3], x, 0.5) for w, x in [(0.75, 0.0), (0.125, 1.0), (0.125, 2.0)])
    np.testing.assert_allclose(agent.log_prob([[0.3]]), np.log(expected))


def test_weights_are_resampled_where_it_does_not():
    agent = ScikitAgent(GaussianMixture(reg_covar=0.0), resample=400).fit([[[0.0], [2.0]], [[4.0]]], [3.0, 1.0])
    assert (agent.weighting_, agent.resampled_rows) == ("resampling", 400)
    np.testing.assert_allclose(agent.estimator_.means_, [[1.75]], atol=1 / 100)  # whole copies: off by 1 row in 400
    before = agent.estimator_
    agent.fit([[[0.0], [2.0]]], [1.0])
    assert agent.estimator_ is not before


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: ScikitAgent(GaussianMixture(3, init_params="random", max_iter=2, tol=1.0), seed=seed),
        lambda seed: ScikitGibbsAgent(BernoulliRBM(2, n_iter=1), seed=seed),
    ],
    ids=["GaussianMixture", "BernoulliRBM"],
)
def test_estimators_without_a_random_state_are_seeded(make):
    """A start drawn by the estimator itself would make every run of a game another one."""
    bits = (POINTS > 2.0).astype(float)
    one, same, other = (make(seed).fit([bits + 0.0], [1.0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.sample(20, 0), same.sample(20, 0))
    name = "means_" if hasattr(one.estimator_, "means_") else "components_"
    assert not np.array_equal(getattr(one.estimator_, name), getattr(other.estimator_, name))
    assert one.estimator.random_state is None


@pytest.mark.parametrize("agent", agents()[:3], ids=lambda a: type(getattr(a, "estimator", a)).__name__)
def test_agents_that_were_never_fitted_say_so(agent):
    for question in (lambda: agent.sample(3, 0), lambda: agent.log_prob(POINTS)):
        with pytest.raises(NotFitted, match="has not been fitted; call fit first"):
            question()


def test_a_mixtures_samples_come_in_random_order():
    far = np.concatenate([np.zeros((50, 1)), np.full((50, 1), 100.0)]) + RNG.normal(size=(100, 1))
    agent = ScikitAgent(GaussianMixture(2, random_state=0)).fit([far], [1.0])
    left = agent.sample(2000, 3)[:, 0] < 50
    # The share among the first 1000 rows: Binomial(1000, ½).
    assert abs(left[:1000].mean() - 0.5) < 7 * np.sqrt(0.25 / 1000)


def test_warm_start_starts_from_the_fit_before():
    agent = ScikitAgent(GaussianMixture(2, warm_start=True, max_iter=200, random_state=0)).fit([POINTS], [1.0])
    steps = agent.estimator_.n_iter_
    agent.fit([POINTS], [1.0])
    assert agent.estimator_.n_iter_ < max(steps, 3)


def test_a_restricted_boltzmann_machine_samples_its_own_distribution():
    """Against the exact marginals of a small machine, by enumeration of its visible states."""
    machine = BernoulliRBM(2, n_iter=30, learning_rate=0.1, batch_size=50, random_state=0)
    bits = (RNG.random((300, 3)) < [0.2, 0.5, 0.8]).astype(float)
    agent = ScikitGibbsAgent(machine, burn_in=60).fit([bits], [1.0])
    fitted = agent.estimator_
    states = np.array(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij")).reshape(3, -1).T
    energy = states @ fitted.intercept_visible_ + np.logaddexp(
        0, states @ fitted.components_.T + fitted.intercept_hidden_
    ).sum(axis=1)
    exact = np.exp(energy - np.logaddexp.reduce(energy)) @ states
    drawn = agent.sample(4000, 1)
    assert set(np.unique(drawn)) <= {0, 1}
    np.testing.assert_array_equal(drawn, agent.sample(4000, 1))
    assert np.all(np.abs(drawn.mean(axis=0) - exact) < 7 * np.sqrt(0.25 / 4000))
    assert not hasattr(agent, "log_prob")


def test_estimators_refuse_missing_values():
    with pytest.raises(InvalidData, match="GaussianMixture needs complete rows"):
        ScikitAgent(GaussianMixture()).fit([SampleSet([[1.0, 2.0]], observed=[True, False])], [1.0])


def test_different_kinds_of_agents_play_one_game():
    """Weighted points, a mixture and a Gaussian share a game; their means end where R m says, resampling included."""
    data = [RNG.normal(i, 1.0, size=(400, 1)) for i in range(3)]
    players = [
        FamilyAgent(eg.families.Gaussian(1)),
        ScikitAgent(GaussianMixture(2, random_state=0, init_params="random"), seed=1),
        ScikitAgent(KernelDensity(bandwidth=0.05), seed=2),
    ]
    result = play(players, eg.Weights.complete(3, 0.5), data, 8, n=500, statistic=lambda x: x, seed=3)
    assert result.theory.within(7.0, rounds=slice(None))
    assert np.all(np.abs(result.theory.observed[-1] - result.theory.equilibrium) < 0.5)
