"""The public Hypothesis strategies draw what they promise."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from expfam_game import families as f
from expfam_game.errors import MissingExtra
from expfam_game.families.base import Family
from expfam_game.testing import strategies

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def steps_to_data(weights: np.ndarray) -> np.ndarray:
    others = weights - np.diag(np.diagonal(weights))
    return np.linalg.solve(np.eye(len(weights)) - others, np.ones(len(weights)))


@QUICK
@given(st.data())
def test_parameters_are_inside(data) -> None:
    family = data.draw(strategies.families())
    theta = data.draw(strategies.natural_parameters(family))
    mu = data.draw(strategies.mean_parameters(family))
    assert theta.shape == mu.shape == (family.dim,)
    assert family.in_natural_space(theta)
    assert family.in_mean_space(mu)
    assert family.in_mean_space(family.to_mean(theta))


@QUICK
@given(strategies.rational_weights(max_agents=5))
def test_rational_weights_are_exact_and_anchored(rows) -> None:
    assert all(sum(row) == 1 and min(row) >= 0 for row in rows)
    own = [row[k] for k, row in enumerate(rows) if row[k] > 0]
    assert min(own) >= strategies.SMALLEST_SELF_WEIGHT
    steps = steps_to_data(np.array([[float(entry) for entry in row] for row in rows]))
    assert np.all(steps >= 1.0 - 1e-9)
    assert np.max(steps) <= 1e4 * 4.0 ** (len(rows) - 1) * (1.0 + 1e-6)


@QUICK
@given(strategies.weights(max_agents=6, min_agents=2))
def test_weights_are_row_stochastic(array) -> None:
    assert array.dtype == np.float64
    assert array.shape[0] == array.shape[1] >= 2
    assert np.all(array >= 0)
    assert np.all(np.abs(array.sum(axis=1) - 1.0) <= 1e-15 * len(array))


def test_the_hard_cases_are_in_reach() -> None:
    quick = settings(
        max_examples=5000,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],
    )
    for wanted in (
        lambda w: len(w) > 1 and np.any(np.diagonal(w) == 0.0),
        lambda w: np.any((np.diagonal(w) > 0) & (np.diagonal(w) <= 1e-4)),
        lambda w: len(w) == 6,
        lambda w: len(w) > 2 and np.any(np.count_nonzero(w, axis=1) == 1),
        lambda w: len(w) > 1 and np.all(w > 0),
    ):
        assert wanted(find(strategies.weights(), wanted, settings=quick))


@QUICK
@given(strategies.games(max_agents=4))
def test_games_are_games(game) -> None:
    n = game.means.shape[0]
    assert isinstance(game.family, Family)
    assert 1 <= n <= 4
    assert np.all(game.family.in_mean_space(game.means))


@QUICK
@given(strategies.games(f.Poisson(), max_agents=3), strategies.games(st.just(f.Gamma()), max_agents=3))
def test_games_of_a_given_family(one, two) -> None:
    assert one.family == f.Poisson()
    assert two.family == f.Gamma()


def test_small_families_cover_the_package() -> None:
    public = {getattr(f, name) for name in f.__all__} - {
        f.Family,
        f.MomentEstimate,
        f.FromStatistic,
        f.DataMoments,
        f.mean_statistic,
    }
    assert {type(family) for family in strategies.small_families()} == public


def test_without_hypothesis_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "expfam_game.testing.strategies")
    with pytest.raises(MissingExtra, match=r"expfam-game\[testing\]"):
        importlib.import_module("expfam_game.testing.strategies")
