"""The convergence benchmark: its exact oracles, its measuring method, and a short run of the whole."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import mpmath
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import expfam_game as eg
from benchmarks.convergence import (
    _BY_ASCII,
    app,
    ascii_name,
    run_solver,
    topologies,
)
from benchmarks.exact import bernoulli_regret, exact_equilibrium
from benchmarks.outcomes import _WIDTHS, Setup, columns, show
from benchmarks.rates import MeasuredRate, measure_rate
from benchmarks.report import decimals, environment, number, save_json
from expfam_game.solvers.base import IterativeSolver


def _game(weights, dim=3, seed=0):
    means = np.random.default_rng(seed).uniform(0.05, 0.95, size=(weights.n_agents, dim))
    return eg.Game(eg.families.Bernoulli(dim), weights, means=means)


def test_exact_equilibrium_solves_the_system_over_the_rationals():
    game = _game(eg.Weights.erdos_renyi(6, 0.6, 0.25, seed=2))
    exact = exact_equilibrium(game)
    alpha = [[Fraction(float(a)) for a in row] for row in game.weights.to_dense()]
    mu = [[Fraction(float(h)) + Fraction(float(lo)) for h, lo in zip(*rows)] for rows in zip(exact.high, exact.low)]
    for i in range(6):
        for d in range(3):
            heard = sum(alpha[i][j] * mu[j][d] for j in range(6) if j != i)
            residual = alpha[i][i] * Fraction(float(game.means[i, d])) + heard - mu[i][d]
            assert abs(residual) < Fraction(1, 2**100)
    assert np.all(np.abs(exact.low) <= np.spacing(exact.high))
    assert np.all(exact.within(exact.high - 1e-12, exact.high + 1e-12))
    assert not np.any(exact.within(exact.high + 1e-15, exact.high + 1e-12))


def test_regret_agrees_with_fifty_digits():
    game = _game(eg.Weights.complete(3, 0.4), dim=2)
    theta = eg.solve(game).natural + 1e-7
    with mpmath.workdps(50):
        models = [[1 / (1 + mpmath.exp(-mpmath.mpf(float(t)))) for t in row] for row in theta]
        alpha = [[mpmath.mpf(float(a)) for a in row] for row in game.weights.to_dense()]
        expected = []
        for i in range(3):
            total = mpmath.mpf(0)
            for d in range(2):
                t = alpha[i][i] * float(game.means[i, d]) + sum(alpha[i][j] * models[j][d] for j in range(3) if j != i)
                p = models[i][d]
                total += t * mpmath.log(t / p) + (1 - t) * mpmath.log((1 - t) / (1 - p))
            expected.append(float(total))
    assert np.allclose(bernoulli_regret(game, theta), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("weights", "rate"),
    [
        (eg.Weights.ring(7, 0.3), 0.7),
        (eg.Weights.ring(6, [0.2, 0.5, 0.0, 0.3, 0.1, 0.4]), (0.8 * 0.5 * 1.0 * 0.7 * 0.9 * 0.6) ** (1 / 6)),
        (eg.Weights.star(5, 0.4), 0.6),
        (eg.Weights.complete(5, 0.15), 0.85),
    ],
)
def test_measured_rates_against_closed_forms(weights, rate):
    """Periodic graphs included: on rings and stars several eigenvalues share the largest modulus."""
    game = _game(weights)
    measured = measure_rate(game, eg.solvers.Contraction(), exact_equilibrium(game), seed=1)
    assert measured.rate == pytest.approx(rate, rel=1e-4)
    assert measured.agrees_with(rate)
    assert not measured.agrees_with(rate * 1.001)


@dataclass(frozen=True)
class _Slower(IterativeSolver):
    """Best response with a wrong step, to see that the measurement is not the prediction."""

    def run(self, game, start, recorder):
        return self.iterate(game, start, lambda mean, residual: mean + 0.9 * residual, recorder)

    def predicted_rate(self, game):
        return game.spectral_radius


def test_a_wrong_solver_is_found_out():
    game = _game(eg.Weights.complete(5, 0.3))
    solver = _Slower()
    measured = measure_rate(game, solver, exact_equilibrium(game), seed=0)
    assert measured.rate == pytest.approx(1 - 0.9 * 0.3, rel=1e-4)
    assert not measured.agrees_with(solver.predicted_rate(game))


def test_an_unsettled_measurement_does_not_agree():
    assert MeasuredRate(0.5, 1e-5, 1, 100).agrees_with(0.5)
    assert not MeasuredRate(0.5, 1e-2, 1, 100).agrees_with(0.5)
    assert not MeasuredRate(0.999, 1e-3, 1, 100).agrees_with(0.9994)


def test_json_has_no_nan(tmp_path):
    path = save_json(tmp_path / "deep" / "a.json", {"x": np.nan, "y": np.array([1.0, np.inf]), "z": np.int64(3)})
    assert json.loads(path.read_text()) == {"x": None, "y": [1.0, None], "z": 3}
    assert (number(float("nan")), number(None), decimals(0.5)) == ("—", "—", "0.5000000")
    assert {"python", "numpy", "numba", "expfam_game"} <= set(environment()["versions"])


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convergence")
    arguments = ["--quick", "--out", str(folder), "--topology", "ring", "--topology", "star", "--seed", "5"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return folder, result, json.loads((folder / "convergence.json").read_text(encoding="utf-8"))


def test_short_run_succeeds_and_says_so(short_run):
    folder, result, _ = short_run
    assert result.exit_code == 0
    assert "all 16 measured rates agree with theory to three digits" in result.output
    assert "no bound is violated in 36 runs" in result.output
    criterion = "observed / predicted within 6 standard errors + 1/(n (1 − ρ(B)²)) of 1"
    assert f"T8 explains all 8 noise floors: {criterion}" in result.output
    assert "n = 20000 samples, 200 rounds; the largest deviation is" in result.output
    assert str(folder) in result.output.replace("\n", "")


def test_rates_agree_to_three_digits(short_run):
    rates = {
        (game["topology"], game["self_weight"], row["solver"]): row["measured"]["rate"] / row["predicted"] - 1
        for game in short_run[2]["games"]
        for row in game["solvers"]
        if row["measured"] is not None
    }
    assert len(rates) == 4 * 4
    assert max(map(abs, rates.values())) <= 5e-4


def test_rates_of_simultaneous_play_against_closed_forms(short_run):
    """A ring shrinks errors by the geometric mean of 1 − α_ii, a star by √((1 − α_hub) · mean of the leaves' 1 − α_ii)."""
    measured = {
        (game["topology"], game["self_weight"]): row["measured"]["rate"]
        for game in short_run[2]["games"]
        for row in game["solvers"]
        if row["solver"] == "Contraction"
    }
    some = np.array([0.7, 0.7, 1.0, 0.7, 0.7, 1.0, 0.7, 0.7, 1.0, 0.7])
    assert measured["ring", "0.3"] == pytest.approx(0.7, rel=5e-4)
    assert measured["star", "0.3"] == pytest.approx(0.7, rel=5e-4)
    assert measured["ring", "0.3 or 0"] == pytest.approx(np.exp(np.log(some).mean()), rel=5e-4)
    assert measured["star", "0.3 or 0"] == pytest.approx(np.sqrt(some[0] * some[1:].mean()), rel=5e-4)


def test_bounds_hold(short_run):
    for game in short_run[2]["games"]:
        for row in game["solvers"]:
            assert row["violations"] == []
            assert row["succeeded"]
            assert row["error"] <= row["proved_error"]
            assert row["regret"] <= row["proved_regret"]
            assert row["proved_factor"] >= game["spectral_radius"] * (1 - 1e-12)
            assert row["envelope"] is None or row["envelope"] <= 1.0
            assert set(row["grades"]) == {"C1", "C2", "C3", "C4", "C5"}


def test_noise_floor_is_predicted(short_run):
    rows = [row for game in short_run[2]["games"] for row in game["solvers"] if row["solver"].startswith("Sampled")]
    assert len(rows) == 8
    for row in rows:
        assert abs(row["noise_ratio"] - 1) < 7 * row["noise_standard_error"] + 1e-3


def test_pictures_are_written(short_run):
    from matplotlib.image import imread

    for name in ("convergence", "noise", "equilibrium", "influence"):
        picture = imread(short_run[0] / f"{name}.png")
        assert min(picture.shape[:2]) > 300
        assert picture.std() > 0.01


def test_settings_and_machine_are_saved(short_run):
    saved = short_run[2]
    assert saved["settings"]["seed"] == 5
    assert saved["settings"]["images"] == 1797
    assert saved["settings"]["all_hold"] is True
    assert saved["machine"]["cores"] >= 1
    assert saved["versions"]["numpy"] == np.__version__


def test_help_explains_every_printed_column():
    text = CliRunner().invoke(app, ["--help"]).output
    assert all(f"    {name} " in text for name in _WIDTHS)
    assert "6 standard errors + 1/(n (1 − ρ(B)²)) of 1" in text
    assert "n = 20000 samples a round, 400 rounds (200 with --quick)" in text
    assert all(name in text for name in _BY_ASCII)


def test_tables_fit_into_any_terminal(short_run):
    assert columns(150) == list(_WIDTHS)
    for width in range(45, 150):
        shown = columns(width)
        assert sum(_WIDTHS[name] + 2 for name in shown) - 2 <= max(width, 56)
        assert {"solver", "predicted", "measured", "error ≤"} <= set(shown)
    assert not any(line != line.rstrip() for line in short_run[1].output.splitlines())


def test_narrow_tables_are_not_wrapped(short_run):
    weights = eg.Weights.ring(4, 0.5)
    game = _game(weights)
    setup = Setup("ring", "0.5", game, exact_equilibrium(game))
    outcome, _, _ = run_solver(setup, "Contraction", eg.solvers.Contraction(), seed=0)
    for width in (80, 100, 119, 150):
        stream = io.StringIO()
        show([(setup, [outcome])], Console(file=stream, width=width))
        lines = stream.getvalue().splitlines()
        assert len(lines) <= 7
        assert lines[2].startswith("Contraction")
        assert ("too narrow for the columns" in stream.getvalue()) == (width < 145)


def test_proved_numbers_are_rounded_up(short_run):
    """Every bound of the table against the numbers in the JSON file."""
    rows = [row for game in short_run[2]["games"] for row in game["solvers"]]
    lines = [line for line in short_run[1].output.splitlines() if line.startswith(tuple(row["solver"] for row in rows))]
    for line, row in zip(lines, rows, strict=True):
        numbers = [Decimal(word) for word in line.split() if re.fullmatch(r"[0-9.]+e-[0-9]+", word)]
        assert numbers[1] >= Decimal(row["proved_error"])
        assert numbers[3] >= Decimal(row["proved_regret"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topology", "torus"], "'torus' is not one of complete, ring, star, grid, erdos-renyi, barabasi-albert"),
        (["--seed", "-1"], "--seed"),
        (["--images", "300"], "the digits are always used all"),
        (["--out", __file__], "cannot be a folder"),
        (["--out", f"{__file__}/deep"], "cannot be a folder"),
    ],
)
def test_mistakes_are_answered_at_once(arguments, message):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize("name", ["erdos-renyi", "Erdos_Renyi", "Erdős–Rényi"])
def test_topologies_can_be_typed(name):
    assert _BY_ASCII[ascii_name(name)] == "Erdős–Rényi"
    assert set(_BY_ASCII.values()) == set(topologies(0))


def test_missing_data_and_packages_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPFAM_GAME_DATA", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(app, ["--out", str(tmp_path), "--data", "mnist"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the environment variable EXPFAM_GAME_DATA points to")
    assert result.stderr.count("\n") == 1
    for module, package in (("matplotlib", "matplotlib"), ("sklearn", "scikit-learn")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            result = CliRunner().invoke(app, ["--out", str(tmp_path)])
        assert result.exit_code == 1
        assert f"needs the package '{package}'. Install it with: pip install 'expfam-game[bench]'" in result.stderr


def test_the_benchmark_can_be_imported_without_matplotlib():
    code = "import sys; sys.modules['matplotlib'] = None; import benchmarks.convergence"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parent.parent)
