"""The generic inverse: against closed inverses, at extremes, and its failures."""

from __future__ import annotations

from itertools import product

import mpmath as mp
import numpy as np
import pytest

from expfam_game.errors import InversionFailed
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.families.finite import Finite
from expfam_game.families.ising import Ising
from expfam_game.families.newton import invert_mean, solve_mean


@pytest.mark.parametrize("lead", [(), (1,), (5,), (2, 3), (0,), (0, 4)])
def test_any_leading_axes(lead):
    mu = np.random.default_rng(0).uniform(0.01, 0.99, size=(*lead, 3))
    theta = invert_mean(Bernoulli(dim=3), mu)
    assert theta.shape == mu.shape
    np.testing.assert_allclose(theta, np.log(mu) - np.log1p(-mu), rtol=1e-12, atol=1e-13)


def test_tiny_probabilities_to_full_relative_accuracy():
    mu = np.array([[1e-12, 0.5], [1e-60, 1e-3], [1e-80, 1e-80]])
    np.testing.assert_allclose(invert_mean(Bernoulli(dim=2), mu), np.log(mu) - np.log1p(-mu), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("start", [-30.0, -5.0, 0.0, 12.0, 30.0])
def test_converges_from_any_start(start):
    mu = np.array([[0.3], [1e-9], [0.999]])
    theta = invert_mean(Bernoulli(), mu, np.array([start]))
    np.testing.assert_allclose(theta, np.log(mu) - np.log1p(-mu), rtol=1e-11)


def test_statistics_of_very_different_scale():
    x = np.arange(5.0)
    family = Finite(np.stack([1e8 * x, 1e-8 * x**2], axis=1))
    theta = np.array([[1e-8, -3e7], [-2e-8, 5e7]])
    score = theta @ family.phi.T
    p = np.exp(score - score.max(axis=1, keepdims=True))
    mu = p / p.sum(axis=1, keepdims=True) @ family.phi
    np.testing.assert_allclose(invert_mean(family, mu), theta, rtol=1e-11)


def test_random_tables_reach_rounding():
    rng = np.random.default_rng(3)
    family = Finite(rng.normal(size=(12, 4)))
    theta = rng.normal(size=(300, 4))
    score = theta @ family.phi.T
    p = np.exp(score)
    p /= p.sum(axis=1, keepdims=True)
    mu = p @ family.phi
    np.testing.assert_allclose(invert_mean(family, mu), theta, atol=1e-10)


RANDOM = Finite(np.random.default_rng(4).normal(size=(12, 3)))
LOOP = Ising.grid(2, 2)


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.0])
@pytest.mark.parametrize(
    ("family", "table"),
    [(RANDOM, RANDOM.phi), (LOOP, np.array([LOOP.statistic(x) for x in product([-1, 1], repeat=4)]))],
    ids=["Finite", "Ising"],
)
def test_answers_lead_back_to_their_means_to_1e13(family, table, scale):
    """The means of the answers by mpmath, summed over all states, relative to E|φ|."""
    mu = family.to_mean(np.random.default_rng(8).normal(scale=scale, size=(20, family.dim)))
    with mp.workdps(40):
        for theta, goal in zip(family.to_natural(mu), mu):
            weight = [mp.exp(mp.fdot(row.tolist(), theta.tolist())) for row in table]
            for column, value in zip(table.T, goal):
                exact = mp.fdot(weight, column.tolist()) / mp.fsum(weight)
                size = mp.fdot(weight, np.abs(column).tolist()) / mp.fsum(weight)
                assert abs(exact - mp.mpf(float(value))) <= 1e-13 * size


def test_a_residual_above_1e13_is_a_failure():
    """A family whose means are rounded to eleven digits cannot be inverted to thirteen."""

    class Coarse(Bernoulli):
        def _to_mean(self, theta):
            return np.round(super()._to_mean(theta), 11)

    with pytest.raises(InversionFailed, match="residual of .* standard deviations"):
        invert_mean(Coarse(), np.array([0.3 + 3e-12]))


@pytest.mark.parametrize("outside", [0.0, 1.0 + 1e-9, 1.5, -1e-3])
def test_failure_names_the_agent_and_the_residual(outside):
    mu = np.array([[0.5], [outside], [0.2]])
    with pytest.raises(InversionFailed, match=r"of agent 1 of Bernoulli.*residual of .* standard deviations"):
        invert_mean(Bernoulli(), mu)
    assert solve_mean(Bernoulli(), mu).converged.tolist() == [True, False, True]


def test_failure_of_a_single_vector_and_of_a_matrix_of_agents():
    with pytest.raises(InversionFailed, match=r"natural parameters of Bernoulli"):
        invert_mean(Bernoulli(), np.array([1.5]))
    with pytest.raises(InversionFailed, match=r"of agent \(1, 0\)"):
        invert_mean(Bernoulli(), np.array([[[0.5], [0.5]], [[1.5], [0.5]]]))


def test_too_few_steps_is_a_failure():
    with pytest.raises(InversionFailed, match="residual"):
        invert_mean(Bernoulli(), np.array([1e-9]), max_steps=3)
