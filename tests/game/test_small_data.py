"""Agents with little data, read together: the same averages to the last bit, and the same errors, as one by one."""

from __future__ import annotations

import numpy as np
import pytest

import expfam_game as eg
from expfam_game.families.data_moments import mean_statistic

FAMILIES = {
    "Bernoulli": (eg.families.Bernoulli(3), lambda rng, n: rng.integers(0, 2, (n, 3))),
    "Poisson, columns": (eg.families.Poisson(), lambda rng, n: rng.poisson(3.0, (n, 1))),
    "Gamma": (eg.families.Gamma(), lambda rng, n: rng.gamma(0.1, 1e8, n) + 1e-12),
    "Gaussian": (eg.families.Gaussian(2), lambda rng, n: 1e8 + rng.normal(size=(n, 2))),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_averages_are_those_of_every_agent_alone(name):
    family, draw = FAMILIES[name]
    rng = np.random.default_rng(0)
    data = [draw(rng, int(rng.integers(1, 9))) for _ in range(1500)]
    weights = np.full(1500, 0.5)
    data[700], data[701] = None, draw(rng, 0)
    weights[700:702] = 0.0
    game = eg.Game(family, eg.Weights.ring(1500, weights), data)
    for agent, samples in enumerate(data):
        if samples is None or not len(samples):
            assert game.counts[agent] == 0
            assert np.all(game.means[agent] == 0.0)
        else:
            moments = mean_statistic(family, samples)
            assert np.array_equal(game.means[agent], moments.mean)
            assert game.counts[agent] == moments.count


@pytest.mark.parametrize("agent", [0, 3, 1030])
def test_a_wrong_sample_is_found_at_its_agent(agent):
    data = [np.array([[0.0], [1.0]]) for _ in range(1100)]
    data[agent][1] = 0.5
    with pytest.raises(eg.errors.InvalidData, match=f"agent {agent}: ") as caught:
        eg.Game(eg.families.Bernoulli(), eg.Weights.ring(1100), data)
    assert caught.value.agent == agent


@pytest.mark.parametrize("nothing", [None, np.zeros((0, 1))])
def test_trust_in_no_data_is_found(nothing):
    data = [np.array([[0.0], [1.0]]) for _ in range(1100)]
    data[1040] = nothing
    with pytest.raises(eg.errors.InvalidData, match="agent 1040 has no data, but its self-weight is 0.5"):
        eg.Game(eg.families.Bernoulli(), eg.Weights.ring(1100), data)


def test_sums_beyond_the_largest_number_are_found():
    data = [np.array([1.0, 2.0]), np.array([1.5e308, 1.5e308]), np.array([1.0, 2.0])]
    with pytest.raises(eg.errors.InvalidData, match="agent 1: the sum of statistic"):
        eg.Game(eg.families.Exponential(), eg.Weights.ring(3), data)


def test_arrays_of_different_kinds_are_read_one_by_one():
    data = [np.array([[0], [1]]), [[1.0]], np.array([[True], [True], [False], [True]])]
    game = eg.Game(eg.families.Bernoulli(), eg.Weights.ring(3), data)
    assert game.means.ravel().tolist() == [0.5, 1.0, 0.75]
    assert game.counts.tolist() == [2, 1, 4]
