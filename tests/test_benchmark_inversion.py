"""The benchmark of inversions: a short run, its peers, and that a wrong answer is found out. No timing is asserted."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import mpmath
import numpy as np
import pytest
from typer.testing import CliRunner

import expfam_game as eg
from benchmarks import inversion
from benchmarks.inversion import HEADINGS, RANGES, app, check_all, conditioning, measure, ratio, residuals
from benchmarks.inversion_cases import cases
from benchmarks.inversion_efax import efax_peer, efax_versions

ORDINARY = "1e-1 … 1e1"


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inversion")
    result = CliRunner().invoke(app, ["--quick", "--out", str(folder), "--seed", "3"], catch_exceptions=False)
    return result, json.loads((folder / "inversion.json").read_text(encoding="utf-8"))


def test_short_run_checks_every_answer(short_run):
    result, saved = short_run
    assert result.exit_code == 0
    assert "every answer is finite and leads back to its mean" in result.output
    assert len(saved["results"]) == len(cases()) * len(RANGES)
    assert all(row["residual"] <= 1e-13 for row in saved["results"])
    assert saved["versions"]["numpy"] == np.__version__
    assert set(saved["peers"]) == {"efax", "jax"}


def test_curve_spread_and_limit_are_saved(short_run):
    result, saved = short_run
    for row in saved["results"]:
        assert list(row["curve"]) == ["100", "1000"]
        assert row["to_mean"] > 0.0
        assert set(row["spread"]) == {"ours", "scipy", "efax"}
        assert set(row["wrong"]) == {"scipy", "efax"}
        assert np.isfinite(row["exponent"])
    figure = Path(result.output.split(" and ")[-1].strip())
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_help_explains_every_printed_column(short_run):
    result, _ = short_run
    explained = inversion.COLUMNS
    for heading in HEADINGS[2:]:
        assert heading in result.output
        assert f"\n  {heading}" in explained


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_residuals_see_an_error_of_one_in_a_million(case):
    theta = case.draw(np.random.default_rng(1), 5, (0.5, 5.0))
    mu = case.family.to_mean(theta)
    assert residuals(case, theta, mu).max() < 1e-13
    assert residuals(case, theta * (1 + 1e-6), mu).min() > 1e-8
    assert np.isinf(residuals(case, np.full_like(theta, np.nan), mu)).all()


# ---------------------------------------------------------------------- wrong answers


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
@pytest.mark.parametrize("label", RANGES)
def test_one_wrong_answer_among_many_is_found_out(case, label):
    theta = case.draw(np.random.default_rng(2), 300, RANGES[label])
    mu = case.family.to_mean(theta)
    check_all(case, theta, mu)
    answer = theta.copy()
    answer[217, 0] *= 1 + 1e-5
    with pytest.raises(AssertionError, match="times as far off as its bound"):
        check_all(case, answer, mu)
    answer[217] = np.nan
    with pytest.raises(AssertionError, match="not finite"):
        check_all(case, answer, mu)


def wrong_gamma(error):
    case = cases()[0]

    class Wrong(type(case.family)):
        def _to_natural(self, mu):
            return super()._to_natural(mu) * (1 + error)

    return dataclasses.replace(case, family=Wrong())


def test_a_wrong_answer_stops_the_benchmark():
    with pytest.raises(AssertionError, match="times as far off as its bound"):
        measure(wrong_gamma(1e-9), ORDINARY, 200, 1, seed=0, most=100)


def test_a_mean_that_only_mpmath_finds_wrong_stops_it_too(monkeypatch):
    """A family whose two directions agreed with each other and were both wrong would pass the round trip."""
    monkeypatch.setattr(inversion, "check_all", lambda *_: None)
    with pytest.raises(AssertionError, match="relative residual"):
        measure(wrong_gamma(1e-9), ORDINARY, 200, 1, seed=0, most=100)


def test_wrong_answers_of_peers_are_counted():
    case = dataclasses.replace(cases()[0], scipy=lambda mu: np.where(np.arange(len(mu)) % 2, np.nan, 1.0)[:, None] * mu)
    found = measure(case, ORDINARY, 200, 1, seed=0, most=100)
    assert found.wrong["scipy"] == 1.0
    assert ratio(found.scipy, found.ours, 1.0).startswith("(")


def test_ratio_of_a_peer():
    assert ratio(8.4, 1.0, 0.01) == "8.4×"
    assert ratio(8.4, 1.0, 0.02) == "(8.4×)"
    assert ratio(float("nan"), 1.0, float("nan")) == "—"


# ---------------------------------------------------------------------- conditioning


def test_conditioning_of_the_exponential_is_one():
    """θ = −1/μ: every relative change of the mean is the natural parameter's."""
    family = eg.families.Exponential()
    case = dataclasses.replace(cases()[0], family=family)
    theta = -np.logspace(-8, 8, 17)[:, None]
    np.testing.assert_allclose(conditioning(case, theta, family.to_mean(theta)), 1.0, rtol=1e-14)


@pytest.mark.parametrize("shape", [1e-8, 1e-3, 0.7, 20.0, 1e5, 1e8])
def test_conditioning_of_the_gamma_against_differences(shape):
    """Each mean moved by a relative 1e-30, and the shape solved for at 80 digits."""
    case, theta = cases()[0], np.array([[shape, -3.0]])
    mu = case.family.to_mean(theta)
    with mpmath.workdps(80):
        exact = [value for value, _ in case.terms(theta[0])]

        def natural(means):
            gap = mpmath.log(means[1]) - means[0]
            k = mpmath.mpf(shape)
            for _ in range(8):  # Newton from the neighbouring shape
                k -= (mpmath.log(k) - mpmath.digamma(k) - gap) / (1 / k - mpmath.psi(1, k))
            return [k, -k / means[1]]

        change = np.zeros((2, 2))
        for j in range(2):
            moved = [value * (1 + mpmath.mpf("1e-30") * (i == j)) for i, value in enumerate(exact)]
            for i, (new, old) in enumerate(zip(natural(moved), theta[0])):
                change[i, j] = abs(float((new / mpmath.mpf(float(old)) - 1) * mpmath.mpf("1e30")))
    np.testing.assert_allclose(conditioning(case, theta, mu), change.sum(axis=1).max(), rtol=1e-6)


# ---------------------------------------------------------------------- efax


def test_efax_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    efax_peer.cache_clear()
    assert efax_peer("Gamma") is None
    efax_peer.cache_clear()


def test_efax_versions_name_both_packages():
    assert set(efax_versions()) == {"efax", "jax"}


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_efax_answers_in_this_packages_order(case):
    pytest.importorskip("efax")
    theta = case.draw(np.random.default_rng(3), 100, (0.5, 5.0))
    answer = efax_peer(case.name)(case.family.to_mean(theta))
    np.testing.assert_allclose(answer, theta, rtol=1e-4)
