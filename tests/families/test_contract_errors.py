"""What the base class checks for every family: messages that name agent, entry and rule, estimates, identity."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import expfam_game as eg
from expfam_game import errors
from expfam_game.errors import (
    ExpfamGameError,
    InvalidData,
    InvalidInput,
    InvalidMeanParameter,
    InvalidNaturalParameter,
)
from expfam_game.families.base import _BLOCK, MomentEstimate
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.families.exponential import Exponential, Laplace
from expfam_game.kernels.streams import seed_sequence, stream

PAIR = Bernoulli(dim=2)
RATE = Exponential()


class WithoutKernel(Exponential):
    """A family as a user writes one: its samples are streamed through NumPy."""

    def _fused_moments(self, theta, n, key):
        return None


class NoSumLaw(Bernoulli):
    """A family whose sums have no exact law."""

    def _sum_law(self, theta, n, rng):
        return None


# ---------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("mu", "agent", "entry", "message"),
    [
        (
            [0.5, 1.0],
            None,
            1,
            r"mean parameter, entry 1 \(x\[1\]\) is 1\.0: a probability must lie strictly between 0 and 1",
        ),
        (
            [[0.5, 0.5], [0.0, 0.5]],
            1,
            0,
            r"mean parameter of agent 1, entry 0 \(x\[0\]\) is 0\.0: a probability",
        ),
        (
            [[[0.5, 0.5]], [[0.5, -2.0]]],
            (1, 0),
            1,
            r"mean parameter of agent \(1, 0\), entry 1 \(x\[1\]\) is -2\.0",
        ),
        ([[0.5, 0.5], [0.5, np.nan]], 1, 1, r"agent 1, entry 1 \(x\[1\]\) is nan: it must be finite"),
        ([[0.5, np.inf], [0.0, 0.5]], 0, 1, r"agent 0, entry 1 \(x\[1\]\) is inf: it must be finite"),
    ],
)
def test_a_bad_mean_is_named(mu, agent, entry, message) -> None:
    for call in (PAIR.to_natural, PAIR.conjugate):
        with pytest.raises(InvalidMeanParameter, match=message) as caught:
            call(mu)
        assert (caught.value.agent, caught.value.entry) == (agent, entry)
        assert caught.value.rule
        assert str(caught.value).endswith(caught.value.rule)


def test_the_first_bad_agent_is_named() -> None:
    with pytest.raises(InvalidMeanParameter, match="agent 1"):
        PAIR.to_natural([[0.5, 0.5], [0.5, 2.0], [0.5, 2.0]])


@pytest.mark.parametrize(
    ("theta", "agent", "message"),
    [
        ([0.5], None, r"natural parameter, entry 0 \(x\) is 0\.5: a natural parameter is minus a rate"),
        ([[-1.0], [0.0]], 1, r"natural parameter of agent 1, entry 0 \(x\) is 0\.0"),
        ([[-1.0], [-np.inf]], 1, r"agent 1, entry 0 \(x\) is -inf: it must be finite"),
    ],
)
def test_a_bad_natural_parameter_is_named(theta, agent, message) -> None:
    calls = [
        RATE.log_partition,
        RATE.to_mean,
        RATE.fisher_information,
        RATE.variance,
        RATE.entropy,
        lambda t: RATE.kl(t, [-1.0]),
        lambda t: RATE.kl([-1.0], t),
        lambda t: RATE.log_prob(1.0, t),
        lambda t: RATE.sample(t, 2, 0),
        lambda t: RATE.estimate_mean(t, 2, 0),
    ]
    for call in calls:
        with pytest.raises(InvalidNaturalParameter, match=message) as caught:
            call(theta)
        assert caught.value.agent == agent
        assert caught.value.entry == 0


@pytest.mark.parametrize("wrong", [0.5, [0.5], [0.5, 0.5, 0.5], [[0.5], [0.5]], []])
def test_a_wrong_shape_is_named(wrong) -> None:
    shape = str(np.shape(wrong)).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(InvalidMeanParameter, match=rf"must have shape \(\.\.\., 2\).*got {shape}"):
        PAIR.to_natural(wrong)
    with pytest.raises(InvalidNaturalParameter, match=rf"natural parameters of Bernoulli\(dim=2\).*got {shape}"):
        PAIR.to_mean(wrong)


@pytest.mark.parametrize("wrong", [["a", "b"], [object(), 1.0], [[0.5, 0.5], [0.5]], [1j, 0.5], {"mean": 0.5}])
def test_what_is_no_array_of_numbers_is_rejected(wrong) -> None:
    for call, error in ((PAIR.to_natural, InvalidMeanParameter), (PAIR.in_mean_space, InvalidMeanParameter)):
        with pytest.raises(error):
            call(wrong)


def test_membership_answers_instead_of_raising() -> None:
    inside = PAIR.in_mean_space([[0.5, 0.5], [0.0, 0.5], [np.nan, 0.5], [np.inf, 0.5]])
    assert inside.tolist() == [True, False, False, False]
    assert RATE.in_natural_space([[[-1.0], [1.0]]]).tolist() == [[True, False]]
    assert PAIR.in_mean_space([0.5, 0.5]).shape == ()
    assert PAIR.in_mean_space(np.zeros((0, 2))).shape == (0,)
    with pytest.raises(InvalidMeanParameter, match="shape"):
        PAIR.in_mean_space([0.5])


def test_every_input_error_is_a_value_error_and_ours() -> None:
    for error in (InvalidData, InvalidMeanParameter, InvalidNaturalParameter, InvalidInput):
        assert issubclass(error, ValueError)
        assert issubclass(error, ExpfamGameError)


# ---------------------------------------------------------------------- samples


@pytest.mark.parametrize(
    ("x", "sample", "message"),
    [
        ([[0, 1], [0, 2]], 1, r"value of sample 1, entry 1 is 2: a Bernoulli value must be 0 or 1"),
        ([0, 0.5], None, r"value, entry 1 is 0\.5: a Bernoulli value must be 0 or 1"),
        ([[0, 1.0], [np.nan, 0]], 1, r"value of sample 1, entry 0 is nan: it must be finite"),
        ([0, 1, 0], None, r"samples of Bernoulli\(dim=2\) must have shape \(\.\.\., 2\), got \(3,\)"),
        (1, None, r"must have shape \(\.\.\., 2\), got \(\)"),
        (["0", "1"], None, "samples must be real numbers, got dtype <U1"),
        ([None, 1], None, "samples must be real numbers, got dtype object"),
    ],
)
def test_a_bad_sample_is_named(x, sample, message) -> None:
    for call in (PAIR.statistic, PAIR.log_base, lambda x: PAIR.log_prob(x, [0.0, 0.0])):
        with pytest.raises(InvalidData, match=message) as caught:
            call(x)
        assert caught.value.agent == sample


def test_scalar_samples_are_named() -> None:
    with pytest.raises(
        InvalidData, match=r"value of sample 2 is -1\.0: a value of an exponential law must not be negative"
    ):
        RATE.statistic([1.0, 2.0, -1.0])


def test_booleans_are_numbers() -> None:
    assert PAIR.statistic(np.array([True, False])).tolist() == [1.0, 0.0]


# ---------------------------------------------------------------------- estimates


@pytest.mark.parametrize("n", [0, -3, 2.0, True, "7", None, np.float64(3.0), 10**20])
def test_a_bad_number_of_samples_is_named(n) -> None:
    for call in (RATE.sample, RATE.estimate_mean):
        with pytest.raises(InvalidInput, match="the number of samples must be an integer from 1 to") as caught:
            call([-1.0], n, 0)
        assert repr(n) in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_squares_beyond_the_largest_double_give_infinite_errors() -> None:
    estimate = eg.families.Poisson().estimate_mean([700.0], 10, 0, method="samples")
    assert np.isfinite(estimate.mean).all()
    assert np.isinf(estimate.standard_error).all()


def test_a_numpy_integer_is_a_number_of_samples() -> None:
    assert RATE.sample([-1.0], np.int64(3), 0).shape == (3,)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"method is 'guess'; it must be 'auto', 'samples' or 'sum-law'"):
        RATE.estimate_mean([-1.0], 10, 0, method="guess")


def test_a_missing_sum_law_is_named() -> None:
    family = NoSumLaw(dim=2)
    with pytest.raises(InvalidInput, match="has no exact law for the sum of its statistics; use method='samples'"):
        family.estimate_mean([0.0, 0.0], 10, 0, method="sum-law")
    assert family.estimate_mean([0.0, 0.0], 10, 0).method == "samples"


def test_auto_takes_the_sum_law() -> None:
    assert RATE.estimate_mean([-1.0], 10, 0).method == "sum-law"
    assert RATE.estimate_mean([-1.0], 10, 0, method="samples").method == "samples"


def test_an_estimate_is_frozen() -> None:
    estimate = RATE.estimate_mean([-1.0], 10, 0)
    assert isinstance(estimate, MomentEstimate)
    assert estimate.n == 10
    for field in dataclasses.fields(estimate):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(estimate, field.name, None)


def test_one_sample_has_no_standard_error() -> None:
    assert np.all(np.isinf(RATE.estimate_mean([[-1.0], [-2.0]], 1, 0, method="samples").standard_error))
    assert np.isfinite(RATE.estimate_mean([-1.0], 1, 0, method="sum-law").standard_error).all()


@pytest.mark.parametrize("n", [2, _BLOCK - 1, _BLOCK, _BLOCK + 1, 2 * _BLOCK + 17])
def test_an_estimate_is_the_average_of_its_streams(n) -> None:
    """Mean and standard error of streamed blocks are those of all samples together, keyed by (seed, agent, block)."""
    thetas, seed = np.array([[-1.0], [-1e-6]]), 5
    estimate = WithoutKernel().estimate_mean(thetas, n, seed, method="samples")
    for agent, theta in enumerate(thetas):
        sizes = [min(_BLOCK, n - start) for start in range(0, n, _BLOCK)]
        draws = [RATE._sample(theta, size, stream(seed_sequence(seed), agent, b)) for b, size in enumerate(sizes)]
        x = np.concatenate(draws)
        np.testing.assert_allclose(estimate.mean[agent], x.mean(), rtol=1e-13)
        np.testing.assert_allclose(estimate.standard_error[agent], x.std(ddof=1) / np.sqrt(n), rtol=1e-12)


def test_the_estimate_of_an_agent_does_not_depend_on_the_others() -> None:
    few = RATE.estimate_mean([[-1.0]], 100, 3, method="samples")
    many = RATE.estimate_mean([[-1.0], [-2.0], [-9.0]], 100, 3, method="samples")
    assert many.mean[0] == few.mean[0]
    assert many.standard_error[0] == few.standard_error[0]


# ---------------------------------------------------------------------- identity


def test_equality_is_by_kind_and_hyper_parameters() -> None:
    assert Bernoulli(dim=2) == PAIR
    assert len({Bernoulli(dim=2), PAIR, Bernoulli(dim=3)}) == 2
    assert Bernoulli(dim=3) != PAIR
    assert NoSumLaw(dim=2) != PAIR
    assert Laplace(0.0) != Laplace(1.0)
    assert PAIR != "Bernoulli(dim=2)"


def test_families_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PAIR.dim = 3


def test_broadcasting_of_kl_and_log_prob() -> None:
    assert RATE.kl([[-1.0], [-2.0]], [-3.0]).shape == (2,)
    assert RATE.kl([-1.0], np.full((4, 3, 1), -3.0)).shape == (4, 3)
    assert RATE.log_prob(np.ones((5, 1)), [[-1.0], [-2.0]]).shape == (5, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: eg.families.NegativeBinomial("a"), "NegativeBinomial: r is 'a'; it must be positive and finite"),
        (lambda: eg.families.NegativeBinomial([1, 2]), r"r is \[1, 2\]"),
        (lambda: eg.families.Laplace("a"), "Laplace: location is 'a'; it must be finite"),
        (lambda: eg.families.Weibull(None), "Weibull: shape is None"),
        (lambda: eg.families.Weibull(-1.0), "Weibull: shape is -1.0; it must be positive and finite"),
        (lambda: eg.families.KnownVarianceGaussian(np.eye(2)), "KnownVarianceGaussian: variance is"),
        (lambda: eg.families.Categorical(2.5), "Categorical: k is 2.5; it must be an integer, at least 2"),
        (lambda: eg.families.Gaussian(0), "Gaussian: n_variables is 0; it must be an integer, at least 1"),
        (lambda: eg.families.VonMisesFisher(1), "VonMisesFisher: n_variables is 1; it must be an integer, at least 2"),
        (lambda: eg.families.Dirichlet(True), "Dirichlet: k is True"),
    ],
)
def test_hyper_parameters_of_the_wrong_kind_are_named(make, message):
    with pytest.raises(errors.InvalidInput, match=message):
        make()


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_a_bad_seed_is_named(seed):
    with pytest.raises(errors.InvalidInput, match="non-negative integer, a SeedSequence or a Generator"):
        eg.families.Poisson().sample([0.0], 3, seed=seed)
