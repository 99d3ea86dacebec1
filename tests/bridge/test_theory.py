"""T8 through the bridge: black boxes end where the linear theory says, with the noise that it says."""

from dataclasses import replace

import numpy as np
import pytest
from bridge.players import Fading, Labels, Silent
from scipy.linalg import solve_discrete_lyapunov

import expfam_game as eg
from expfam_game.bridge import FamilyAgent, TheoryCheck, play
from expfam_game.bridge.theory import Ledger, average
from expfam_game.samples import SampleSet

REPLICAS = 1500
"""Independent games, played at once as the coordinates of one Gaussian family."""


def gaussian_game(weights, rounds, **options):
    """Agents with unit variances whose data have the means 0, 1, 2, …"""
    family = eg.families.KnownVarianceGaussian(1.0) ** REPLICAS
    data = [np.full((1, REPLICAS), float(i)) for i in range(weights.n_agents)]
    agents = [FamilyAgent(family) for _ in data]
    return play(agents, weights, data, rounds, statistic=lambda x: x, **options)


@pytest.mark.parametrize("draws", ["broadcast", "separate"])
@pytest.mark.parametrize(
    "options",
    [
        {"order": "simultaneous"},
        {"order": "simultaneous", "memory": 3},
        {"order": "sequential"},
        {"order": "sequential", "memory": 2},
        {"order": "asynchronous", "activity": 0.5, "max_silence": 3, "memory": 2},
    ],
    ids=str,
)
def test_T8_the_bands_have_the_right_width(draws, options):
    """Squared z-scores of independent replicas average to one: variance 2/REPLICAS, and a relative 2/n because V is estimated.

    The ledger is right for this order, memory and kind of draw, or this fails."""
    n = 150
    weights = eg.Weights.from_dense([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.0, 0.7, 0.3]])
    check = gaussian_game(weights, 6, n=n, draws=draws, seed=3, **options).theory
    z = check.z_scores()
    ratio = (z**2).mean(axis=2)
    assert np.all(np.abs(ratio - 1.0) < 7 * np.sqrt(2 / REPLICAS) + 4 / n)
    assert np.all(np.abs(z.mean(axis=2)) < 7 * np.sqrt(1.1 / REPLICAS))
    assert check.within(6.5 * 1.05, rounds=slice(None))  # 63 000 entries: Gaussian tail 8e-12 each, t-like by 5 %


@pytest.mark.parametrize("draws", ["broadcast", "separate"])
def test_T8_class_marginals_reach_the_lyapunov_floor(draws):
    """After many rounds the variance is the solution of Σ = B Σ Bᵀ + noise that SciPy finds, V = p(1 − p) at R m."""
    weights, n, rounds = eg.Weights.ring(3, 0.3), 400, 60
    data = [np.repeat(np.arange(3), counts)[:, None] for counts in ([6, 3, 1], [1, 1, 8], [2, 6, 2])]
    result = play([Labels() for _ in data], weights, data, rounds, n=n, label=0, draws=draws, seed=5)
    check, b = result.theory, weights.off_diagonal.toarray()
    means = np.array([np.bincount(d[:, 0]) / 10 for d in data])
    p = np.linalg.solve(np.eye(3) - b, weights.self_weights[:, None] * means)
    np.testing.assert_allclose(check.equilibrium, p, rtol=1e-12)
    np.testing.assert_allclose(check.predicted[-1], p, rtol=1e-9)
    for k in range(3):
        v = p[:, k] * (1 - p[:, k]) / n
        noise = b @ np.diag(v) @ b.T if draws == "broadcast" else np.diag(b**2 @ v)
        floor = np.diag(solve_discrete_lyapunov(b, noise))
        np.testing.assert_allclose(check.standard_error[-1, :, k] ** 2, floor + v, rtol=1e-9)
    # 61 rounds of 9 entries, each a nearly Gaussian mean of 400 or more draws: 7.5 leaves 5e-11 with room for the skew.
    assert check.within(7.5, rounds=slice(None))


@pytest.mark.parametrize("order", ["simultaneous", "sequential", "asynchronous"])
@pytest.mark.parametrize(
    ("family", "data"),
    [
        (eg.families.Poisson(), [[[0.0], [1.0], [2.0]], [[4.0], [6.0]], [[9.0]]]),
        (eg.families.Bernoulli(dim=2), [[[0, 1], [1, 1]], [[0, 0], [0, 1]], [[1, 0], [0, 0], [0, 1]]]),
    ],
    ids=str,
)
def test_T2_families_reach_the_equilibrium_of_solve(family, data, order):
    """Families through the bridge end at ``solve``'s equilibrium within their bands (n = 3000: nearly Gaussian means)."""
    weights = eg.Weights.complete(3, 0.4)
    goal = eg.solve(eg.Game(family, weights, data)).mean
    agents = [FamilyAgent(family, margin=1e-6) for _ in data]
    rounds = 80 if order == "asynchronous" else 30
    result = play(agents, weights, data, rounds, n=3000, statistic=lambda x: x, order=order, seed=8)
    check = result.theory
    np.testing.assert_allclose(check.equilibrium, goal, rtol=1e-12)
    np.testing.assert_allclose(check.predicted[-1], goal, rtol=1e-6)
    assert check.within(7.0)
    ends = np.array([agent.mean_ for agent in result.agents])
    assert np.all(np.abs(ends - goal) < 7 * check.standard_error[-1] + 1e-6 * goal)
    np.testing.assert_allclose(result.influence, eg.Game(family, weights, data).influence(), rtol=1e-12)


def test_a_wrong_agent_is_outside_the_bands():
    """One that shrinks its classes towards uniform, a little in each fit (images pitfall 1), does not go unnoticed."""

    class Shrinking(Labels):
        def fit(self, samples, weights):
            super().fit(samples, weights)
            self.p = 0.9 * self.p + 0.1 / 3

    data = [np.array([[0]] * 9 + [[2]]), np.array([[0]] * 8 + [[1]] * 2)]
    weights = eg.Weights.complete(2, 0.3)
    assert play([Labels(), Labels()], weights, data, 10, n=2000, label=0, classes=3, seed=1).theory.within(7.0)
    assert not play([Shrinking(), Shrinking()], weights, data, 10, n=2000, label=0, classes=3, seed=1).theory.within(
        7.0
    )


def test_within_means_every_round_unless_it_is_told_otherwise():
    """Off by fifty standard errors in round 1, and back at the end: linear play forgets, the check does not."""
    observed = np.full((4, 2, 1), 0.5)
    observed[1, 1] += 0.5
    error = np.full_like(observed, 0.01)
    check = TheoryCheck(("class 0",), observed, np.full_like(observed, 0.5), np.full((2, 1), 0.5), error)
    assert not check.within(6.0)
    assert not check.within(49.0, rounds=slice(None))
    assert check.within(51.0)
    assert check.within(6.0, rounds=-1)
    assert check.within(6.0, rounds=slice(2, None))
    assert not check.within(6.0, rounds=1)
    assert repr(check) == "TheoryCheck(4 rounds × 2 agents × 1 entry, largest |z| 50.00: agent 1, round 1, class 0)"
    unknown = replace(check, standard_error=np.full_like(observed, np.nan), observed=observed + 0.1)
    assert repr(unknown) == "TheoryCheck(4 rounds × 2 agents × 1 entry, no z-scores)"


def test_an_agent_that_is_wrong_in_one_round_is_noticed():
    class Hasty(Labels):
        """Its first fit to a mixture forgets its own data: class 1 is 0 where 0.06 is expected, eleven standard errors."""

        def fit(self, samples, weights):
            self.fits = getattr(self, "fits", 0) + 1
            super().fit(samples, weights if self.fits != 2 else [0.0, *weights[1:]])

    data = [np.array([[0]] * 9 + [[2]]), np.array([[0]] * 8 + [[1]] * 2)]
    check = play([Labels(), Hasty()], eg.Weights.complete(2, 0.3), data, 30, n=2000, label=0, classes=3, seed=1).theory
    assert check.within(7.0, rounds=-1)
    assert not check.within(7.0)


def test_rare_classes_stay_within_a_tolerance_of_ten_rows():
    """A class with one row in two hundred draws: its average is 0 or at least 1/n, which is 14 standard errors away."""
    data = [np.repeat([[0], [1]], [19_999, 1], axis=0)] * 2
    outside = 0
    for seed in range(12):
        check = play([Labels(2)] * 2, eg.Weights.complete(2, 1.0), data, 20, n=100, label=0, seed=seed).theory
        outside += not check.within(6.0)
        assert check.within(6.0, tolerance=10 / 100)  # P(more than ten of 100 rows at p = 5e-5) < 1e-30
    assert outside > 0


def test_stratified_class_marginals_have_no_noise():
    data = [np.array([[0], [0], [1]]), np.array([[2], [1]])]
    result = play([Labels(), Labels()], eg.Weights.complete(2, 0.5), data, 30, n=60, label=0, stratified=True)
    check = result.theory
    np.testing.assert_allclose(check.standard_error, 0.0, atol=1e-15)
    np.testing.assert_allclose(check.observed[-1], check.equilibrium, atol=1e-9)
    assert check.within(1.0, rounds=slice(None))
    assert check.total_variation()[-1].max() < 1e-9
    assert check.names == ("class 0", "class 1", "class 2")


def test_a_silent_agent_gives_its_weight_to_the_others():
    """Agent 2 is silent for two rounds: the listeners' rows are divided by what is left; then R is that of all."""
    data = [np.zeros((4, 1), int), np.ones((4, 1), int), np.full((4, 1), 2)]
    alpha = [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]
    agents = [Labels(), Labels(), Silent(patience=3)]
    result = play(agents, eg.Weights.from_dense(alpha), data, 1, n=10_000, label=0, classes=3, seed=2)
    np.testing.assert_allclose(result.theory.predicted[1], [[2 / 3, 1 / 3, 0], [2 / 3, 1 / 3, 0], [0.25, 0.25, 0.5]])
    np.testing.assert_allclose(result.weights, [[2 / 3, 1 / 3, 0], [2 / 3, 1 / 3, 0], [0.25, 0.25, 0.5]])
    assert np.isnan(result.theory.observed[1, 2]).all()
    assert result.theory.within(7.0)
    whole = play(agents, eg.Weights.from_dense(alpha), data, 40, n=10_000, label=0, classes=3, seed=2)
    np.testing.assert_allclose(whole.weights, alpha)
    np.testing.assert_allclose(whole.theory.predicted[-1], whole.influence @ np.eye(3), rtol=1e-9)
    assert whole.theory.within(7.0)


@pytest.mark.parametrize("draws", ["broadcast", "separate"])
def test_an_agent_that_falls_silent_is_not_heard_any_more(draws):
    """Not even with what it said before: its weight is given away in that very round."""
    data = [np.zeros((4, 1), int), np.ones((4, 1), int), np.full((4, 1), 2)]
    agents = [Labels(), Labels(), Fading(patience=2)]
    result = play(agents, eg.Weights.complete(3, 0.5), data, 2, n=500, label=0, classes=3, memory=2, draws=draws)
    np.testing.assert_allclose(result.weights, [[2 / 3, 1 / 3, 0], [1 / 3, 2 / 3, 0], [1 / 4, 1 / 4, 1 / 2]])
    first = np.array([[1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 2, 1 / 4], [1 / 4, 1 / 4, 1 / 2]])
    # Two batches of agent 1, from its data and from its mixture, at half its weight each.
    np.testing.assert_allclose(result.theory.predicted[1], first)
    heard = (np.array([0, 1, 0]) + first[1]) / 2
    np.testing.assert_allclose(result.theory.predicted[2, 0], 2 / 3 * np.array([1, 0, 0]) + 1 / 3 * heard)
    quiet = result.edges[:, 1] == 2
    assert result.bytes_sent[2, quiet].tolist() == [0, 0]
    assert result.bytes_sent[1, quiet].tolist() == [4000, 4000]


def test_an_agent_without_data_is_silent_until_it_has_heard_somebody():
    data = [np.zeros((4, 1), int), None]
    result = play([Labels(), Labels()], eg.Weights.from_dense([[0.5, 0.5], [1, 0]]), data, 2, n=50, label=0, classes=2)
    assert result.bytes_sent[:, result.edges[:, 1] == 1].ravel().tolist() == [0, 0, 400]
    np.testing.assert_allclose(result.influence, [[1, 0], [1, 0]])


def test_without_labels_in_private_data_there_is_no_check_and_a_reason():
    unlabelled = SampleSet([[0.0], [1.0]], observed=[[False], [True]])
    result = play([Labels(), Labels()], eg.Weights.complete(2, 0.5), [[[0.0], [1.0]], unlabelled], 1, n=5, label=0)
    assert result.theory is None
    assert result.notes == ("no theory check: some samples of agent 1 have no label",)


def test_resampling_noise_is_in_the_bands():
    """Gaussian mixtures with one component match moments, and resample. With 100 rows out of 4300 the resampling is as good as
    independent and has most of the noise: squared z-scores average to one."""
    from sklearn.mixture import GaussianMixture

    from expfam_game.bridge import ScikitAgent

    rng = np.random.default_rng(0)
    data = [rng.normal(i, 1.0, size=(300, 1)) for i in range(2)]
    squares = []
    for seed in range(20):
        model = GaussianMixture(reg_covar=0.0, init_params="random")
        agents = [ScikitAgent(model, resample=100, seed=seed + 1000 * i) for i in range(2)]
        check = play(agents, eg.Weights.complete(2, 0.5), data, 3, n=4000, statistic=lambda x: x, seed=seed).theory
        assert check.within(8.0, rounds=slice(None))
        squares += list(check.z_scores()[-1].ravel() ** 2)
    # 40 squares of variance at most 2 each, in correlated pairs.
    assert abs(np.mean(squares) - 1.0) < 7 * np.sqrt(2 / 20)
    assert np.mean(squares) > 0.2


# ---------------------------------------------------------------------- the parts


def test_ledger_against_matrices():
    """Two fits by hand: shares are products of weights, covariances what independence gives."""
    ledger = Ledger(2, np.array([[0.0], [1.0]]), np.array([False]))
    for agent in (0, 1):
        ledger.fit(agent, 1.0, [], np.zeros(1))
    slots = [ledger.post(agent, np.array([0.04])) for agent in (0, 1)]
    ledger.fit(0, 0.5, [(slots[1], 0.5)], np.array([0.01]))
    ledger.fit(1, 0.5, [(slots[0], 0.5)], np.zeros(1))
    np.testing.assert_allclose([ledger.expected(0), ledger.expected(1)], [[0.5], [0.5]])
    np.testing.assert_allclose([ledger.variance(0), ledger.variance(1)], [[0.02], [0.01]])
    again = ledger.post(0, np.array([0.04]))
    ledger.fit(1, 0.0, [(slots[0], 0.5), (again, 0.5)], np.zeros(1))
    np.testing.assert_allclose(ledger.variance(1), [0.25 * 0.04 + 0.25 * 0.06])
    for slot in (*slots, again):
        ledger.discard(slot)
    assert ledger.post(1, np.zeros(1)) in (*slots, again)


@pytest.mark.parametrize("n_agents", [390, 500])
def test_ledger_without_room_keeps_expectations(n_agents):
    """Too many agents from the start, or too many letters after a while."""
    ledger = Ledger(n_agents, np.ones((n_agents, 1)), np.array([False]))
    for _ in range(500):
        ledger.post(0, np.ones(1))
    ledger.fit(0, 1.0, [], np.zeros(1))
    slot = ledger.post(0, np.ones(1))
    ledger.fit(1, 0.5, [(slot, 0.5)], np.zeros(1))
    np.testing.assert_allclose(ledger.expected(1), [1.0])
    assert np.isnan(ledger.variance(1)).all()


def test_average_of_weighted_stratified_and_indicator_rows():
    rows = np.array([[0.0], [2.0], [4.0], [6.0]])
    plain = average(rows, SampleSet(rows), None, np.zeros(1), np.array([False]))
    np.testing.assert_allclose([plain.mean, plain.variance], [[3.0], [np.var(rows, ddof=1) / 4]])
    strata = np.array([0, 0, 1, 1])
    weighted = SampleSet(rows, row_weights=[1, 1, 3, 3])
    layered = average(rows, weighted, strata, np.zeros(1), np.array([False]))
    # Σ_c W_c² s_c²/n_c with W = (1/4, 3/4) and s² = 2 in both.
    np.testing.assert_allclose([layered.mean, layered.variance], [[4.0], [(1 / 16 + 9 / 16) * 2 / 2]])
    coin = average(np.array([[0.0]] * 4), SampleSet(rows), None, np.array([0.3]), np.array([True]))
    np.testing.assert_allclose([coin.mean, coin.variance], [[0.0], [0.21 / 4]])
