"""The command ``expfam-game``: each command, each complaint, its exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import expfam_game as eg
from expfam_game import cli, errors
from expfam_game.files import load_array, load_game, load_solution
from expfam_game.files.messages import rounded_up

GAME = """
[family]
name = "Bernoulli"
dim = 4

[weights]
matrix = [[0.5, 0.5, 0], [0.25, 0.75, 0], [0.5, 0.5, 0]]

[data]
files = ["a.csv", "b.csv", ""]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a game of three agents, one of them without data."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "EXPFAM_GAME_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "a.csv").write_text("1,0,1,0\n0,0,1,1\n1,1,0,1\n")
    (tmp_path / "b.csv").write_text("1,1,1,0\n0,0,0,1\n")
    (tmp_path / "game.toml").write_text(GAME)
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli.app, list(arguments))
    assert result.exit_code == code, result.output
    assert "\x1b" not in result.output, "escape codes where the output is not a terminal"
    return result


def complaint(*arguments: str, code: int = 1) -> str:
    """The single line on stderr of a command that fails."""
    result = run(*arguments, code=code)
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.output
    return result.stderr


# ---------------------------------------------------------------------- help


@pytest.mark.parametrize("command", ["solve", "certify", "check", "sample", "plot", "catalog"])
def test_help_teaches_by_example(command: str) -> None:
    assert f"expfam-game {command}" in run(command, "--help").output


def test_help_and_version() -> None:
    assert "Examples, in the order of a session" in run("--help").output
    assert run("--version").output == f"expfam-game {eg.__version__}\n"


def test_usage_errors_exit_with_2() -> None:
    run("solve", code=2)
    run("solv", "game.toml", code=2)
    run("solve", "game.toml", "--solver", "magic", code=2)
    run("plot", "game.toml", "--kind", "pie", code=2)
    run("sample", "game.toml", "run.npz", "--agent", "0", "--out", "x.csv", "-n", "0", code=2)


def test_help_needs_no_numerical_package() -> None:
    """What makes --help quick: neither NumPy nor SciPy nor numba is imported for it."""
    code = (
        "import sys; from expfam_game.cli import app; from typer.testing import CliRunner; "
        "assert CliRunner().invoke(app, ['solve', '--help']).exit_code == 0; "
        "print([name for name in ('numpy', 'scipy', 'numba', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# ---------------------------------------------------------------------- solve, certify, check


def test_solve_saves_the_equilibrium() -> None:
    output = run("solve", "game.toml", "--out", "run").output
    assert "saved                 run.npz and run.json" in output
    game = load_game("game.toml")
    alpha = game.weights.to_dense()
    own = np.diag(np.diag(alpha))
    expected = np.linalg.solve(np.eye(3) - alpha + own, own @ game.means)
    np.testing.assert_allclose(load_solution("run.npz", game).mean, expected, atol=1e-15)
    assert json.loads(Path("run.json").read_text())["n_agents"] == 3


def test_default_names_of_the_output() -> None:
    run("solve", "game.toml")
    run("certify", "game.toml", "game-solution.npz")
    run("check", "game.toml", "game-certificate.json")
    run("solve", "catalog:two_agents")
    assert Path("two_agents-solution.npz").is_file()


@pytest.mark.parametrize(
    "name", ["direct", "contraction", "gauss-seidel", "natural-gradient", "gradient", "asynchronous"]
)
def test_every_solver_finds_the_same_equilibrium(name: str) -> None:
    output = run("solve", "catalog:ring", "--solver", name, "--out", "run").output
    assert "--solver names it" in output
    np.testing.assert_allclose(load_solution("run.npz").mean, eg.catalog.ring().equilibrium_mean, atol=1e-11)


def test_seed_makes_sampled_play_repeatable() -> None:
    options = ["--solver", "sampled", "--set", "rounds=50", "--set", "n_samples=20", "--set", "exchange=separate"]
    for name, seed in (("one", "5"), ("two", "5"), ("three", "6")):
        output = run("solve", "catalog:ring", *options, "--seed", seed, "--out", name).output
        assert "noise, seen / predicted" in output
    one, two, three = (load_solution(f"{name}.npz") for name in ("one", "two", "three"))
    np.testing.assert_array_equal(one.mean, two.mean)
    assert not np.array_equal(one.mean, three.mean)
    assert "rounds=50" in one.solver
    assert "exchange='separate'" in one.solver


def test_stop_rules() -> None:
    output = run("solve", "catalog:ring", "--tolerance", "1e-4", "--out", "run").output
    assert "a stop rule was given" in output
    assert load_solution("run.npz").solver.startswith("Contraction(tolerance=0.0001")
    run("solve", "catalog:ring", "--tolerance", "1e-4", "--set", "criterion=regret", "--out", "run")
    solution = load_solution("run.npz")
    assert solution.status is eg.Status.REGRET_BELOW_TOLERANCE
    assert solution.regret.max() <= 1e-4
    message = complaint("solve", "catalog:ring", "--solver", "contraction", "--max-steps", "3", "--out", "short")
    assert "the largest number of rounds was reached before the tolerance, after 3 rounds" in message
    assert not Path("short.npz").exists()


def test_reasons_for_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "small enough to be factorised" in run("solve", "catalog:two_agents").output
    monkeypatch.setattr("expfam_game.game.linear.lu_is_cheap", lambda b: False)
    assert "too large to be factorised" in run("solve", "catalog:two_agents").output


def test_pseudo_count_must_be_the_same_for_all() -> None:
    assert "On the command line: --pseudo-count 1" in complaint("solve", "catalog:boundary")
    smooth = ["--pseudo-count", "2"]
    run("solve", "catalog:boundary", *smooth, "--out", "run")
    assert "of another game" in complaint("certify", "catalog:boundary", "run.npz")
    run("certify", "catalog:boundary", "run.npz", *smooth, "--out", "c.json")
    run("check", "catalog:boundary", "c.json", *smooth)
    assert "another game" in complaint("check", "catalog:boundary", "c.json")


@pytest.mark.parametrize("grade", ["auto", "exact", "rigorous", "float"])
def test_solve_certify_check(grade: str) -> None:
    run("solve", "game.toml", "--out", "run")
    proved = run("certify", "game.toml", "run.npz", "--grade", grade, "--precision", "100", "--out", "c.json").output
    assert "saved                 c.json" in proved
    certificate = eg.Certificate.load("c.json")
    assert certificate.grade.value == ("rigorous" if grade == "auto" else grade)
    assert certificate.max_error < 1e-12
    accepted = run("check", "game.toml", "c.json").output
    assert accepted.startswith("Accepted")
    assert f"grade                 {certificate.grade.value}" in accepted
    assert ("not claimed" in accepted) == (certificate.regret_upper is None)


TAMPERINGS = {
    "C1": lambda c: c["next_hop"]["values"].__setitem__(2, 2),
    "C2": lambda c: c.update(s=c["s"] * 1.01),
    "C3": lambda c: c["mean_numerators"][0].__setitem__(0, "0x1"),
    "C5": lambda c: c["regret_upper"]["values"].__setitem__(0, 0.0),
    "format": lambda c: c.pop("w"),
    "game": lambda c: c.update(fingerprint="0" * 64),
}


@pytest.mark.parametrize("claim", TAMPERINGS)
def test_a_tampered_certificate_is_rejected(claim: str) -> None:
    (Path("game.toml")).write_text(GAME.replace("0.25, 0.75", "0.7, 0.3"))
    # Early stopping leaves a regret that is far from zero, so that claiming zero is false.
    run("solve", "game.toml", "--solver", "contraction", "--tolerance", "1e-3", "--out", "run")
    run("certify", "game.toml", "run.npz", "--out", "c.json")
    run("check", "game.toml", "c.json")
    content = json.loads(Path("c.json").read_text())
    TAMPERINGS[claim](content)
    certificate = Path("tampered.json")
    if claim == "C5":
        content["headline"]["max_regret_nats"] = max(content["regret_upper"]["values"])
    certificate.write_text(json.dumps(content))
    assert complaint("check", "game.toml", "tampered.json").startswith(f"Rejected: {claim}:")


def test_files_that_cannot_be_checked() -> None:
    Path("cert.json").write_text("{}")
    Path("c.json").write_text("{}")
    assert "no such certificate file (did you mean 'cert.json'?)" in complaint("check", "game.toml", "crt.json", code=2)
    assert "this is a folder, not a certificate file" in complaint("check", "game.toml", ".", code=2)
    Path("broken.toml").write_text("[family\n")
    assert "not a valid TOML file" in complaint("check", "broken.toml", "c.json", code=2)
    assert "no such game file" in complaint("check", "gone.toml", "c.json", code=2)
    assert complaint("check", "game.toml", "c.json").startswith("Rejected: format:")
    for content in (b"\xff\xfe", b"", b"\0\1\2", b'{"format": "ex', b"[" * 100_000, b"null"):
        Path("c.json").write_bytes(content)
        assert complaint("check", "game.toml", "c.json").startswith("Rejected: format:")


def test_complaints_of_certify() -> None:
    assert "no such solution file" in complaint("certify", "game.toml", "run.npz")
    run("solve", "catalog:ring", "--out", "run")
    assert "this solution has 8 agents and 1 statistics" in complaint("certify", "game.toml", "run.npz")
    assert "precision is 3" in complaint("certify", "catalog:ring", "run.npz", "--precision", "3")
    assert "the folder no does not exist" in complaint("certify", "catalog:ring", "run.npz", "--out", "no/c.json")
    Path("cert.json").write_text("{}")
    assert "not a solution saved by expfam-game solve" in complaint("certify", "catalog:ring", "cert.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tolerance", "0"], "tolerance is 0.0; it must be positive"),
        (["--seed", "1"], "--seed needs a --solver that has it; auto does not"),
        (["--set", "anderson=2"], "--set anderson needs a --solver that has it"),
        (["--solver", "direct", "--max-steps", "1"], "--max-steps: Direct has no max_steps; it has method, tolerance"),
        (["--solver", "contraction", "--set", "andersen=2"], "has no andersen (did you mean 'anderson'?)"),
        (["--solver", "contraction", "--set", "anderson"], "--set anderson: write it as NAME=VALUE"),
        (["--solver", "contraction", "--set", "anderson=x"], "--set anderson=x: it must be an integer"),
        (["--solver", "gradient", "--set", "step_size=x"], "--set step_size=x: it must be a number"),
        (["--solver", "gradient", "--set", "step_size=2"], "step_size is 2.0; it must lie in (0, 1]"),
        (["--solver", "gauss-seidel", "--set", "order=up"], "order is 'up'; it must be forward, backward"),
        (["--out", "no/run"], "--out no/run: the folder no does not exist"),
        (["--out", "a.csv/run"], "--out a.csv/run: the folder a.csv is not a folder"),
        (["--out", "."], "--out .: this is a folder; name a file in it"),
        (["--solver", "sampled", "--seed", "-1"], "seed is -1; it must be at least 0"),
        (["--solver", "asynchronous", "--set", "seed=-1"], "seed is -1; it must be at least 0"),
        (["--pseudo-count", "-1"], "pseudo_count is -1.0; it must be finite and non-negative"),
    ],
)
def test_complaints_of_solve(options: list[str], message: str) -> None:
    assert message in complaint("solve", "game.toml", *options)


def printed_bounds(output: str) -> list[Decimal]:
    return [Decimal(number) for number in re.findall(r"≤ ([0-9.e+-]+)", output)]


@pytest.mark.parametrize("seed", range(5))
def test_a_printed_bound_is_not_below_the_true_one(seed: int) -> None:
    """Rounding to nearest would print about half of them too small."""
    means = np.random.default_rng(seed).uniform(0.1, 0.9, 3).tolist()
    trust = 0.3 + 0.1 / (seed + 3)
    Path("r.toml").write_text(
        '[family]\nname = "Bernoulli"\n[weights]\ntopology = "complete"\nn_agents = 3\n'
        f"self_weight = {trust!r}\n[data]\nmeans = {[[m] for m in means]}\n"
    )
    (error,) = printed_bounds(run("solve", "r.toml", "--solver", "contraction", "--out", "r").output)
    assert Decimal(load_solution("r.npz").error_bound.max()) <= error < Decimal("1e-10")
    outputs = run("certify", "r.toml", "r.npz", "--out", "c.json").output, run("check", "r.toml", "c.json").output
    certificate = eg.Certificate.load("c.json")
    true = (certificate.contraction_factor, certificate.max_error, certificate.max_regret)
    for output in outputs:
        printed = printed_bounds(output)[:3]
        assert all(Decimal(t) <= p <= Decimal(t) * Decimal("1.011") for t, p in zip(true, printed, strict=True))


def test_rounding_up() -> None:
    rng = np.random.default_rng(0)
    for value in [*(10.0 ** rng.uniform(-320, 300, 500)).tolist(), 5e-324, 1.7976931348623157e308, 9.999, 0.7]:
        for digits in (1, 2, 3, 6):
            for form in ("g", "e"):
                text = rounded_up(value, digits, form)
                assert Decimal(value) <= Decimal(text) <= Decimal(value) * (1 + Decimal(10) ** (1 - digits)), text
    assert [rounded_up(x, 3) for x in (0.5, 9.991, 1234.5, 0.0001, 1.5e-7, 0.0)] == [
        "0.5",
        "10",
        "1.24e+03",
        "0.000101",
        "1.5e-07",
        "0",
    ]
    assert [rounded_up(x, 2, "e") for x in (0.0, 2.01e-16, float("inf"))] == ["0.0e+00", "2.1e-16", "inf"]


def test_games_without_a_unique_equilibrium() -> None:
    assert "the weights are not anchored: agents 0, 1" in complaint("solve", "catalog:not_anchored")


# ---------------------------------------------------------------------- sample


def test_samples_are_the_family_s_own() -> None:
    run("solve", "game.toml", "--out", "run")
    game = load_game("game.toml")
    expected = game.family.sample(load_solution("run.npz").natural[2], 50, 9)
    for name in ("s.npy", "s.csv"):
        output = run("sample", "game.toml", "run.npz", "--agent", "2", "-n", "50", "--seed", "9", "--out", name).output
        assert f"saved                  {name}" in output
        np.testing.assert_array_equal(load_array(name), expected)
    assert Path("s.csv").read_text().startswith("x0,x1,x2,x3\n")


def test_real_samples_keep_all_digits() -> None:
    Path("g.toml").write_text('[family]\nname = "Gamma"\n[weights]\nmatrix = [[1]]\n[data]\nfiles = ["x.csv"]\n')
    Path("x.csv").write_text("1.5\n2.5\n0.5\n")
    run("solve", "g.toml", "--out", "run")
    for name in ("s.npy", "s.csv"):
        run("sample", "g.toml", "run.npz", "-i", "0", "-n", "7", "--out", name)
    np.testing.assert_array_equal(load_array("s.csv").ravel(), load_array("s.npy"))


def test_complaints_of_sample() -> None:
    run("solve", "game.toml", "--out", "run")
    base = ["sample", "game.toml", "run.npz"]
    assert "the ending must be .npy or .csv" in complaint(*base, "--agent", "0", "--out", "s.xlsx")
    assert "--agent 3: the agents of this game are 0 to 2" in complaint(*base, "--agent", "3", "--out", "s.csv")
    assert "the agents of this game" in complaint(*base, "--agent", "-1", "--out", "s.csv")
    assert "the folder no does not exist" in complaint(*base, "--agent", "0", "--out", "no/s.csv")


def test_no_samples_from_the_boundary() -> None:
    from expfam_game.files import save_solution

    game = eg.catalog.boundary()
    save_solution("edge", game, eg.solve(game, throw=False))
    message = complaint("sample", "catalog:boundary", "edge.npz", "--agent", "0", "--out", "s.csv")
    assert "is on the boundary and has no natural parameters" in message


# ---------------------------------------------------------------------- plot


@pytest.mark.parametrize("kind", ["weights", "influence", "convergence", "regret", "images"])
@pytest.mark.parametrize("solved", [False, True])
def test_every_picture(kind: str, solved: bool) -> None:
    pytest.importorskip("matplotlib")
    run("solve", "game.toml", "--solver", "contraction", "--out", "run")
    solution = ["run.npz"] if solved else []
    run("plot", "game.toml", *solution, "--kind", kind, "--out", "p.png")
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_of_convergence_starts_where_the_slowest_mode_is() -> None:
    """From everybody's own data a game with equal self-weights has no part of it; the last slope must be ρ(B)."""
    pytest.importorskip("matplotlib")
    from expfam_game.plots.command import picture

    graph = eg.Weights.complete(4, 0.3)
    game = eg.Game(eg.families.Bernoulli(1), graph, means=[[0.1], [0.2], [0.9], [0.4]])
    (axes,) = picture("convergence", game, None).axes
    errors = axes.get_lines()[0].get_ydata()
    assert errors[30] / errors[29] == pytest.approx(0.7, rel=1e-6)
    (axes,) = picture("convergence", eg.catalog.chain_without_data(), None).axes
    assert len(axes.get_lines()[0].get_ydata()) == 6
    middle = eg.Game(eg.families.Bernoulli(1), graph, means=np.full((4, 1), 0.5))
    (axes,) = picture("convergence", middle, None).axes
    assert "all errors are zero" in axes.texts[0].get_text()


def test_the_picture_of_a_saved_run_names_the_solver_alone() -> None:
    pytest.importorskip("matplotlib")
    from expfam_game.plots.command import picture

    game = eg.catalog.ring()
    solution = eg.solve(game, eg.solvers.SampledPlay(n_samples=50, rounds=20, seed=1), history=True)
    (axes,) = picture("convergence", game, solution).axes
    (label,) = [text.get_text() for text in axes.get_legend().get_texts()]
    assert label.startswith("SampledPlay: T4's bound")
    assert "relative to the data means" in axes.get_ylabel()
    assert axes.get_lines()[0].get_xdata().tolist() == list(range(1, 21))


def test_the_picture_of_images_says_who_has_no_data() -> None:
    pytest.importorskip("matplotlib")
    from expfam_game.plots.command import picture

    figure = picture("images", load_game("game.toml"), None)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no data"]
    assert figure.axes[1].get_xlabel() == "mean parameter"


def test_other_formats_and_shapes() -> None:
    pytest.importorskip("matplotlib")
    run("plot", "game.toml", "--kind", "images", "--shape", "1x4", "--out", "p.pdf")
    assert Path("p.pdf").read_bytes().startswith(b"%PDF")
    run("plot", "game.toml")
    assert Path("influence.png").is_file()


def test_complaints_of_plot() -> None:
    pytest.importorskip("matplotlib")
    assert "the ending must be one of .pdf, .png, .svg" in complaint("plot", "game.toml", "--out", "p.bmp")
    assert "the folder nodir does not exist" in complaint("plot", "game.toml", "--out", "nodir/r.png")
    assert "--shape is for --kind images only" in complaint("plot", "game.toml", "--shape", "2x2")
    images = ["plot", "game.toml", "--kind", "images"]
    for shape in ("2x3", "2", "x", "-2x-2", "²x2"):
        assert "whose product must be the 4 statistics" in complaint(*images, f"--shape={shape}")
    assert "are not a square picture; give --shape" in complaint("plot", "catalog:boundary", "--kind", "images")
    run("solve", "game.toml", "--out", "run")
    message = complaint("plot", "game.toml", "run.npz", "--kind", "convergence")
    assert "found in one step by Direct" in message


def test_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'expfam-game[plot]'" in complaint("plot", "game.toml")


# ---------------------------------------------------------------------- catalogue


def test_catalogue_lists_all_games() -> None:
    output = run("catalog").output
    assert all(name in output for name in eg.catalog.names())


@pytest.mark.parametrize("name", eg.catalog.names())
def test_catalogue_shows_each_game(name: str) -> None:
    output = run("catalog", name).output
    assert f"expfam-game solve catalog:{name}" in output
    assert ("certify" in output) == (name not in ("not_anchored", "boundary"))


@pytest.mark.parametrize("name", eg.catalog.heterogeneous_names())
def test_games_of_agents_with_different_statistics_are_for_python(name: str) -> None:
    assert name in run("catalog").output
    output = run("catalog", name).output
    assert f"The agents have different statistics: this game is for Python, eg.catalog.{name}()" in output
    assert eg.catalog.describe(name).split(":")[0] in " ".join(output.split())
    message = complaint("solve", f"catalog:{name}")
    assert "agents with different statistics, for Python" in message


def test_a_game_that_is_not_in_the_catalogue() -> None:
    assert "no game named 'rung' in the catalogue (did you mean 'ring'?)" in complaint("catalog", "rung")


# ---------------------------------------------------------------------- errors and signals


def test_traceback_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in (["--traceback"], []):
        result = CliRunner().invoke(cli.app, [*option, "solve", "gone.toml"])
        assert isinstance(result.exception, errors.InvalidInput)
        monkeypatch.setenv("EXPFAM_GAME_TRACEBACK", "1")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_load", lambda game, pseudo_count: 1 / 0)
    assert isinstance(CliRunner().invoke(cli.app, ["solve", "game.toml"]).exception, ZeroDivisionError)


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(game: str, pseudo_count: float | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_load", interrupted)
    assert complaint("solve", "game.toml", code=130).startswith("Interrupted")


def _listen_to_interrupts() -> None:
    """Shells start background jobs with SIGINT ignored, which children would inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_from_outside() -> None:
    """A long run is stopped by SIGINT: exit code 130 and no traceback."""
    Path("slow.toml").write_text(
        '[family]\nname = "Bernoulli"\n[weights]\ntopology = "ring"\nn_agents = 3\nself_weight = 1e-9\n'
        "[data]\nmeans = [[0.2], [0.6], [0.4]]\n"
    )
    # The program says when it has started, so that the test need not guess.
    program = (
        "from expfam_game import cli; load = cli._load; "
        "cli._load = lambda *options: print('started', flush=True) or load(*options); cli.main()"
    )
    options = ["--solver", "contraction", "--max-steps", "2000000000", "--tolerance", "1e-300"]
    with subprocess.Popen(
        [sys.executable, "-c", program, "solve", "slow.toml", *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_listen_to_interrupts,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        try:
            _, message = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, message
    assert message.startswith("Interrupted")
    assert "Traceback" not in message


def test_the_module_runs_as_a_program() -> None:
    """In a process of its own: plain text, UTF-8 or not, and the exit codes of the shell."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    command = [sys.executable, "-m", "expfam_game"]
    good = subprocess.run([*command, "solve", "game.toml"], capture_output=True, text=True, env=environment, timeout=60)
    assert good.returncode == 0, good.stderr
    assert "max regret" in good.stdout
    assert "\x1b" not in good.stdout
    assert good.stderr == ""
    bad = subprocess.run([*command, "solve", "gone.toml"], capture_output=True, text=True, env=environment, timeout=60)
    assert bad.returncode == 1
    assert bad.stderr.startswith("Error: gone.toml: there is no such game file")


@pytest.mark.parametrize("module", ["expfam_game", "expfam_game.cli"])
def test_modules_are_the_command(module):
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"expfam-game {eg.__version__}\n", "")


# ---------------------------------------------------------------------- warmup


def test_warmup_fills_the_cache_folder(tmp_path):
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "expfam_game", "warmup", "Poisson"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Poisson" in done.stdout
    assert not done.stderr, "no progress bar where the output is not a terminal"
    assert any(cache.rglob("*.nbi"))


def test_warmup_knows_every_family_with_kernels():
    from expfam_game import warmup

    without = {"DataMoments", "Family", "FromStatistic", "MomentEstimate", "Product", "mean_statistic"}
    assert set(warmup._MEMBERS) == set(eg.families.__all__) - without


def test_warmup_refuses_unknown_names():
    assert "'Cauchy' is no family with compiled kernels" in complaint("warmup", "Cauchy")
