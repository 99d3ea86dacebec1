"""C1 to C3: the exact solution, found by another program, lies in every box, in all three arithmetics."""

from __future__ import annotations

import time
from fractions import Fraction
from types import SimpleNamespace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import expfam_game as eg
from expfam_game.certificates import c1_anchored, c2_contraction, c3_mean
from expfam_game.certificates.rounding import ARITHMETICS, enclose

GRADES = {"exact": "exact", "rigorous": "ball", "float": "float64"}
CHECKED = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def games(draw):
    """Random weights with self-weights that are ordinary, tiny or zero; several families."""
    n = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    trust = np.array(draw(st.lists(st.sampled_from([0.0, 1e-9, 1e-4, 0.1, 0.5, 0.9, 1.0]), min_size=n, max_size=n)))
    trust[draw(st.integers(0, n - 1))] = draw(st.sampled_from([1e-6, 0.3, 1.0]))
    heard = rng.random((n, n)) * (rng.random((n, n)) < 0.6)
    heard[np.arange(n), (np.arange(n) + 1) % n] += 0.1  # a ring underneath: anchored unless a row is cut off
    np.fill_diagonal(heard, 0)
    total = heard.sum(axis=1, keepdims=True)
    alpha = np.diag(np.where(total[:, 0] > 0, trust, 1.0)) + np.divide(
        (1 - trust)[:, None] * heard, total, out=np.zeros((n, n)), where=total > 0
    )
    family, means = draw(
        st.sampled_from(
            [
                (eg.families.Bernoulli(2), lambda: rng.uniform(1e-3, 1 - 1e-3, (n, 2))),
                (eg.families.Poisson(), lambda: 10.0 ** rng.uniform(-200, 12, (n, 1))),
                (eg.families.KnownVarianceGaussian(2.0), lambda: rng.normal(size=(n, 1)) * 10.0 ** rng.integers(-8, 8)),
                (eg.families.DiagonalGaussian(1), lambda: np.c_[rng.normal(size=n), rng.normal(size=n) ** 2 + 50]),
            ]
        )
    )
    return eg.Game(family, eg.Weights.from_dense(alpha), means=means())


@CHECKED
@given(game=games(), error=st.sampled_from([0.0, 1e-15, 1e-9, 1e-3]), grade=st.sampled_from(sorted(GRADES)))
def test_the_exact_equilibrium_lies_in_the_box(exact_equilibrium, game, error, grade):
    mean = game.equilibrium_mean * (1 + error)
    certificate = eg.certify(game, SimpleNamespace(mean=mean, natural=None), grade=grade)
    assert certificate.arithmetic == GRADES[grade]
    assert eg.check(game, certificate)
    truth = exact_equilibrium(game)
    for i, row in enumerate(truth):
        for k, value in enumerate(row):
            low, high = certificate.mean_lower[i, k], certificate.mean_upper[i, k]
            assert Fraction(low) <= value <= Fraction(high)
            assert abs(Fraction(mean[i, k]) - value) <= Fraction(certificate.error_bound[i])
    if grade == "exact":
        assert certificate.exact_mean() == truth
        assert np.all(certificate.mean_upper <= np.nextafter(certificate.mean_lower, np.inf))


@CHECKED
@given(game=games(), arithmetic=st.sampled_from(ARITHMETICS), seed=st.integers(0, 2**32 - 1))
def test_the_enclosure_of_da_plus_bx_minus_c_is_correct(game, arithmetic, seed):
    rng = np.random.default_rng(seed)
    n = game.n_agents
    a, x, c = (rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-320, 20, size=(n, 3)) for _ in range(3))
    lower, upper = enclose(game.weights.matrix, a, x, c, arithmetic, 128)
    alpha = [[Fraction(value) for value in row] for row in game.weights.to_dense().tolist()]
    for i in range(n):
        for k in range(3):
            value = alpha[i][i] * Fraction(a[i, k]) - Fraction(c[i, k])
            value += sum(alpha[i][j] * Fraction(x[j, k]) for j in range(n) if j != i)
            assert Fraction(lower[i, k]) <= value <= Fraction(upper[i, k])


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_the_contraction_is_that_of_fractions(arithmetic):
    game = eg.catalog.complete(7, self_weight=0.05)
    w = game.v
    s = c2_contraction.slack(game.weights.matrix, w, arithmetic, 128)
    dense = game.weights.to_dense()
    proved = min(
        Fraction(w[i]) - sum(Fraction(dense[i, j]) * Fraction(w[j]) for j in range(7) if j != i) for i in range(7)
    )
    assert 1 - 1e-12 < s <= proved
    if arithmetic == "exact":
        assert Fraction(np.nextafter(s, np.inf)) > proved
    factor = c2_contraction.contraction_factor(w, s)
    assert Fraction(factor) >= 1 - Fraction(s) / Fraction(float(max(w)))
    assert factor == pytest.approx(game.q, abs=1e-12)


def test_balls_and_float64_agree_at_twenty_thousand_agents():
    n = 20_000
    rng = np.random.default_rng(3)
    edges = np.c_[np.repeat(np.arange(n), 3), rng.integers(0, n, 3 * n), rng.random(3 * n) + 0.1]
    weights = eg.Weights.from_edges(edges[edges[:, 0] != edges[:, 1]], n, self_weight=0.3)
    game = eg.Game(eg.families.Poisson(), weights, means=rng.exponential(size=(n, 1)))
    mean, w = game.equilibrium_mean, game.v
    alpha = weights.matrix
    boxes = {}
    for how in ("ball", "float64"):
        s = c2_contraction.slack(alpha, w, how, 128)
        boxes[how] = c3_mean.residual_box(alpha, game.means, mean, w, s, how, 128)
    assert np.all(boxes["float64"][0] <= boxes["ball"][0])
    assert np.all(boxes["ball"][1] <= boxes["float64"][1])
    # a-priori bounds cost a small factor, (n_i + 16) 2^-52 of the terms times w/s, not orders of magnitude
    assert np.max(boxes["float64"][1] - mean) < 1e-12 * np.max(mean)
    start = time.perf_counter()
    certificate = eg.certify(game, SimpleNamespace(mean=mean, natural=game.family.to_natural(mean)), grade="float")
    assert eg.check(game, certificate)
    assert certificate.claims["C3"].grade == "rigorous"
    assert certificate.grade == "float"
    assert time.perf_counter() - start < 20.0


def test_the_path_to_data_is_a_path():
    game = eg.catalog.chain_without_data(40)
    hops = game.weights.anchoredness.next_hop
    alpha = game.weights.matrix
    assert c1_anchored.hops_are_edges(alpha, hops).all()
    assert c1_anchored.hops_reach_data(alpha, hops).all()
    circle = hops.copy()
    circle[[3, 4]] = [4, 3]
    assert not c1_anchored.hops_are_edges(alpha, circle)[4]
    assert not c1_anchored.hops_reach_data(alpha, circle)[:5].any()


def test_weights_that_are_not_anchored_are_refused():
    game = eg.catalog.not_anchored()
    with pytest.raises(eg.errors.NotAnchored):
        eg.certify(game, SimpleNamespace(mean=game.means, natural=None))


def test_a_way_to_data_that_floats_cannot_measure_is_refused():
    game = eg.catalog.complete(3, self_weight=1e-15)
    sol = SimpleNamespace(mean=np.full((3, 1), 0.5), natural=None)
    with pytest.raises(eg.errors.BarelyAnchored, match="smallest positive self-weight is 1e-15"):
        eg.certify(game, sol, grade="float")


def test_overflowing_bounds_are_refused():
    family = eg.families.KnownVarianceGaussian()
    game = eg.Game(family, eg.Weights.complete(2, 1e-6), means=[[1e308], [-1e308]])
    sol = SimpleNamespace(mean=np.array([[1e308], [1e308]]), natural=None)
    with pytest.raises(eg.errors.CertificationFailed, match="C3"):
        eg.certify(game, sol, grade="float")


@pytest.mark.parametrize(
    ("keywords", "mean"),
    [
        ({"grade": "best"}, [[0.5], [0.5]]),
        ({"precision": 10}, [[0.5], [0.5]]),
        ({}, [[0.5]]),
        ({}, [[0.5], [np.nan]]),
    ],
)
def test_bad_arguments_are_refused(keywords, mean):
    with pytest.raises(eg.errors.InvalidInput):
        eg.certify(eg.catalog.two_agents(), SimpleNamespace(mean=mean, natural=None), **keywords)


def test_natural_parameters_outside_the_space_are_refused():
    game = eg.Game(eg.families.Exponential(), eg.Weights.complete(2, 0.5), means=[[1.0], [2.0]])
    with pytest.raises(eg.errors.InvalidNaturalParameter):
        eg.certify(game, SimpleNamespace(mean=game.equilibrium_mean, natural=[[1.0], [-1.0]]))


def test_flushing_subnormals_to_zero_is_noticed(monkeypatch):
    """A library compiled with -ffast-math switches the processor to that; the error bound would not hold."""
    game = eg.catalog.two_agents()
    monkeypatch.setattr(np, "ldexp", lambda x, exponent: np.zeros_like(x))
    with pytest.raises(eg.errors.CertificationFailed, match="subnormal"):
        eg.certify(game, SimpleNamespace(mean=game.equilibrium_mean, natural=None), grade="float")
