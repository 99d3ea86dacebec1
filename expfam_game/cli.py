"""The command ``expfam-game``: solve, certify, check, sample, plot, the catalogue and warmup, from the shell.

Only typer and rich are imported up here, so that ``--help`` is quick; each command imports what it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from expfam_game.errors import BoundaryEquilibrium, CertificateRejected, ExpfamGameError, InvalidInput, NotAnchored
from expfam_game.files.messages import absent, rounded_up

if TYPE_CHECKING:
    from expfam_game import Certificate, Game, Solution

_PIPE_WIDTH = 110
"""Columns used where the output is not a terminal."""

_SPECTRAL_LIMIT = 20_000
"""Up to this many agents ρ(B) is worth its eigenvalue computation; q bounds it in any case."""


class _Commands(TyperGroup):
    """Turns the package's errors into one sentence and exit code 1, and Ctrl-C into exit code 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _stderr("Interrupted: ", "nothing more was written.")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            raise
        except (ExpfamGameError, OSError) as problem:
            if ctx.params.get("traceback"):
                raise
            hint = " On the command line: --pseudo-count 1." if isinstance(problem, BoundaryEquilibrium) else ""
            _stderr("Error: ", str(problem) + hint)
            raise typer.Exit(1) from None


_EXAMPLES = """Examples, in the order of a session:

expfam-game catalog

expfam-game solve game.toml --out run

expfam-game certify game.toml run.npz --out cert.json

expfam-game check game.toml cert.json

expfam-game sample game.toml run.npz --agent 0 -n 1000 --out samples.csv

expfam-game plot game.toml run.npz --kind influence --out influence.png

Game files are described in docs/command_line.md."""

app = typer.Typer(
    name="expfam-game",
    cls=_Commands,
    help="The synthetic-data game on exponential families: find its Nash equilibrium and prove how close you are.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The console entry point."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Greek letters still gets the table
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


# ---------------------------------------------------------------------- words shared by the commands


class _SolverName(StrEnum):
    auto = "auto"
    direct = "direct"
    contraction = "contraction"
    gauss_seidel = "gauss-seidel"
    natural_gradient = "natural-gradient"
    gradient = "gradient"
    asynchronous = "asynchronous"
    sampled = "sampled"


class _GradeName(StrEnum):
    auto = "auto"
    exact = "exact"
    rigorous = "rigorous"
    float = "float"


class _Kind(StrEnum):
    weights = "weights"
    influence = "influence"
    convergence = "convergence"
    regret = "regret"
    images = "images"


_GameFile = Annotated[
    str, typer.Argument(metavar="GAME", help="A game file (TOML), or catalog:NAME for a game of the catalogue.")
]
_SolutionFile = Annotated[str, typer.Argument(metavar="SOLUTION.npz", help="What solve has saved for this game.")]
_PseudoCount = Annotated[
    float | None,
    typer.Option(
        help="Weight of the prior mean, counted in samples; in place of the one in the game file. Give every command the same."
    ),
]


def _stderr(title: str, message: str) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(Text(title, style="bold red") + Text(message, style="red"), soft_wrap=True)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def _facts(rows: Iterable[tuple[str, str]]) -> Table:
    """A table of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def _grid(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Group:
    """A table of numbers below its title."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in header:
        table.add_column(Text(name), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return Group(Text(title, style="bold"), table)


def _load(game: str, pseudo_count: float | None) -> Game:
    from expfam_game import compile_notice
    from expfam_game.files import load_game
    from expfam_game.game import catalog as games

    compile_notice.announce_compilation()
    name = game.removeprefix("catalog:")
    if name != game and name in games.heterogeneous_names():
        raise InvalidInput(f"{name} is a game of agents with different statistics, for Python: eg.catalog.{name}()")
    return load_game(game, pseudo_count=pseudo_count)


def _target(out: str, endings: Sequence[str] = ()) -> Path:
    """Where to write, looked at before anything is computed."""
    target = Path(out)
    if endings and target.suffix not in endings:
        raise InvalidInput(f"--out {out}: the ending must be {'one of ' * (len(endings) > 2)}{_either(endings)}")
    if not target.parent.is_dir():
        what = "is not a folder" if target.parent.exists() else "does not exist"
        raise InvalidInput(f"--out {out}: the folder {target.parent} {what}")
    if target.is_dir():
        raise InvalidInput(f"--out {out}: this is a folder; name a file in it")
    return target


def _either(words: Sequence[str]) -> str:
    return " or ".join(words) if len(words) == 2 else ", ".join(words)


def _stem(game: str) -> str:
    """What output files of this game are called unless told otherwise."""
    return Path(game.removeprefix("catalog:")).stem


def _show_version(wanted: bool) -> None:
    if wanted:
        from expfam_game import __version__

        typer.echo(f"expfam-game {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_show_version)
    ] = False,
    traceback: Annotated[
        bool,
        typer.Option("--traceback", envvar="EXPFAM_GAME_TRACEBACK", help="Show where in the code an error arose."),
    ] = False,
) -> None:
    """Options before the command."""


# ---------------------------------------------------------------------- solve


@app.command(
    epilog="Examples:\n\nexpfam-game solve game.toml --out run\n\n"
    "expfam-game solve catalog:ring --solver contraction --tolerance 1e-10\n\n"
    "expfam-game solve game.toml --solver sampled --seed 7 --set rounds=500 --set n_samples=100"
)
def solve(
    game: _GameFile,
    solver: Annotated[
        _SolverName, typer.Option(help="How to play; auto decides by the number of agents and q.")
    ] = _SolverName.auto,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Stop once the error bound, relative to the largest data mean of each statistic (no unit), is below "
            "this; with --set criterion=regret, once the regret in nats is. [dim]default: 1e-12[/]"
        ),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(help="Give up after so many rounds. [dim]default: 100000[/]"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the solvers that use chance; same seed, same numbers. [dim]default: 0[/]"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other hyper-parameter of the solver; may be repeated."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX", help="Write PREFIX.npz and PREFIX.json. [dim]default: name of the game + -solution[/]"
        ),
    ] = None,
    pseudo_count: _PseudoCount = None,
) -> None:
    """Find the Nash equilibrium of a game and save it."""
    from expfam_game import solve as solve_game
    from expfam_game.files import save_solution
    from expfam_game.files.options import described_solver

    target = _target(out or f"{_stem(game)}-solution")
    loaded = _load(game, pseudo_count)
    loaded.weights.require_anchored()
    given = {"tolerance": tolerance, "max_steps": max_steps, "seed": seed}
    method, reason = described_solver(loaded, solver.value, given, settings or [])
    solution = solve_game(loaded, method, history=True)
    saved = save_solution(target, loaded, solution)
    console = _console()
    console.print(_facts(_report(loaded, solution, reason, saved)))
    if loaded.n_agents <= 12 and loaded.family.dim <= 6:
        console.print()
        console.print(_profile(loaded, solution))


def _report(game: Game, solution: Solution, reason: str, saved: tuple[Path, Path]) -> Iterable[tuple[str, str]]:
    yield "family", repr(game.family)
    yield "agents", f"{game.n_agents}, {game.family.dim} statistic{'s' * (game.family.dim != 1)} each"
    yield "solver", solution.solver
    yield "chosen because", reason
    yield "status", solution.status.value
    yield "rounds", str(solution.steps)
    yield "max regret", f"{solution.regret.max():.3g} nats"
    yield (
        "error bound",
        f"|μ − μ*| ≤ {rounded_up(solution.max_error, 3)} (grade: float; certify proves a bound)",
    )
    yield "contraction factor q", f"{game.q:.6g}"
    if game.n_agents <= _SPECTRAL_LIMIT:
        yield "asymptotic rate ρ(B)", _rate(game)
    if solution.noise is not None:
        yield "noise, seen / predicted", f"{solution.noise.ratio:.3g} over {solution.noise.rounds} rounds"
    yield "saved", f"{saved[0]} and {saved[1]}"


def _rate(game: Game) -> str:
    rate = game.spectral_radius
    return f"{rate:.6g}" if rate == rate else "not computed (no convergence)"


def _profile(game: Game, solution: Solution) -> Group:
    rows = [
        [str(agent), *(f"{value:.6g}" for value in mean), f"{regret:.2g}"]
        for agent, (mean, regret) in enumerate(zip(solution.mean, solution.regret))
    ]
    return _grid("mean parameters at the equilibrium", ["agent", *game.family.statistic_names, "regret (nats)"], rows)


# ---------------------------------------------------------------------- certify and check


@app.command(
    epilog="Examples:\n\nexpfam-game certify game.toml run.npz --out cert.json\n\n"
    "expfam-game certify catalog:ring ring-solution.npz --grade rigorous"
)
def certify(
    game: _GameFile,
    solution: _SolutionFile,
    grade: Annotated[
        _GradeName,
        typer.Option(
            help="The worst grade that a claim may have: exact (rational numbers), rigorous (ball arithmetic or "
            "bounded rounding), float (not a proof; the fastest); auto proves what takes a few seconds."
        ),
    ] = _GradeName.auto,
    precision: Annotated[int, typer.Option(help="Bits of the ball arithmetic, 53 to 65536.")] = 128,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The certificate. [dim]default: name of the game + -certificate.json[/]"),
    ] = None,
    pseudo_count: _PseudoCount = None,
) -> None:
    """Prove bounds on the error and the regret of a solution, and save them as a certificate."""
    from expfam_game import certify as certify_solution
    from expfam_game.files import load_solution

    target = _target(out or f"{_stem(game)}-certificate.json")
    loaded = _load(game, pseudo_count)
    profile = load_solution(solution, loaded)
    certificate = certify_solution(loaded, profile, grade=grade.value, precision=precision)
    certificate.save(target)
    console = _console()
    console.print(_facts([*_proved(certificate), ("saved", str(target))]))
    console.print()
    console.print(_claims(certificate))


def _proved(certificate: Certificate) -> Iterable[tuple[str, str]]:
    regret = certificate.max_regret
    yield "grade", f"{certificate.grade.value}, the worst of the claims"
    yield "contraction factor q", f"≤ {rounded_up(certificate.contraction_factor, 6)}"
    yield "error |μ − μ*|", f"≤ {rounded_up(certificate.max_error, 3)}"
    yield "regret", "not claimed" if regret is None else f"≤ {rounded_up(regret, 3)} nats for every agent"


def _claims(certificate: Certificate) -> Table:
    """One line per claim, with its grade."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("claim", "grade", "what it says"):
        table.add_column(title, overflow="fold")
    for name, claim in certificate.claims.items():
        says = claim.statement + (f" ({claim.reason})" if claim.reason else "")
        table.add_row(name, claim.grade.value if claim.grade else "not claimed", Text(says))
    return table


@app.command(
    epilog="Exit code: 0 accepted; 1 rejected, also where the file holds no certificate (empty, cut short, binary); "
    "2 nothing could be checked, because a file is missing or not readable or the game file has a mistake.\n\n"
    "Example:\n\nexpfam-game check game.toml cert.json"
)
def check(
    game: _GameFile,
    certificate: Annotated[str, typer.Argument(metavar="CERT.json", help="What certify has saved.")],
    pseudo_count: _PseudoCount = None,
) -> None:
    """Check a certificate against a game, trusting neither the solver nor whoever wrote the certificate."""
    from expfam_game import Certificate
    from expfam_game import check as check_certificate

    file = Path(certificate)
    try:
        loaded = _load(game, pseudo_count)
        if not file.is_file():
            raise absent(file, "certificate file")
        file.open("rb").close()
    except (ExpfamGameError, OSError) as problem:
        _stderr("Error: ", str(problem))
        raise typer.Exit(2) from None
    try:
        claims = Certificate.load(file)
        check_certificate(loaded, claims)
    except CertificateRejected as rejection:
        _stderr("Rejected: ", str(rejection))
        raise typer.Exit(1) from None
    console = _console()
    console.print(Text("Accepted", style="bold green"))
    console.print(_facts(_proved(claims)))
    console.print()
    console.print(_claims(claims))


# ---------------------------------------------------------------------- sample


@app.command(epilog="Example:\n\nexpfam-game sample game.toml run.npz --agent 0 -n 1000 --seed 7 --out samples.csv")
def sample(
    game: _GameFile,
    solution: _SolutionFile,
    agent: Annotated[int, typer.Option("--agent", "-i", help="Whose model, counted from zero.")],
    out: Annotated[str, typer.Option(metavar="FILE", help="A .npy or .csv file, one sample per row.")],
    n: Annotated[int, typer.Option("-n", "--number", help="How many samples.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed, same samples.", min=0)] = 0,
    pseudo_count: _PseudoCount = None,
) -> None:
    """Draw samples from an agent's model at the equilibrium."""
    import numpy as np

    from expfam_game.files import load_solution

    target = _target(out, (".npy", ".csv"))
    loaded = _load(game, pseudo_count)
    profile = load_solution(solution, loaded)
    if not 0 <= agent < loaded.n_agents:
        raise InvalidInput(f"--agent {agent}: the agents of this game are 0 to {loaded.n_agents - 1}")
    theta = profile.natural[agent]
    if not np.isfinite(theta).all():
        raise InvalidInput(f"--agent {agent}: its model is on the boundary and has no natural parameters")
    samples = loaded.family.sample(theta, n, seed)
    if target.suffix == ".npy":
        np.save(target, samples)
    else:
        rows = samples.reshape(n, -1)
        names = ",".join(f"x{k}" for k in range(rows.shape[1]))
        whole = np.issubdtype(rows.dtype, np.integer) or rows.dtype == bool
        np.savetxt(target, rows, fmt="%d" if whole else "%.17g", delimiter=",", header=names, comments="")
    average = loaded.family.statistic(samples).mean(axis=0)
    _console().print(
        _facts(
            [
                ("samples", f"{n} of agent {agent}, shape {samples.shape}, dtype {samples.dtype}"),
                ("largest |average − μ|", f"{np.max(np.abs(average - profile.mean[agent])):.3g} over the statistics"),
                ("saved", str(target)),
            ]
        )
    )


# ---------------------------------------------------------------------- plot


_PICTURES = (".pdf", ".png", ".svg")


@app.command(
    epilog="Examples:\n\nexpfam-game plot game.toml --kind weights --out weights.png\n\n"
    "expfam-game plot game.toml run.npz --kind regret --out regret.pdf\n\n"
    "expfam-game plot game.toml run.npz --kind images --shape 28x28 --out means.png"
)
def plot(
    game: _GameFile,
    solution: Annotated[
        str | None,
        typer.Argument(metavar="SOLUTION.npz", help="What solve has saved; without it the game is solved first."),
    ] = None,
    kind: Annotated[
        _Kind,
        typer.Option(
            help="weights: who listens to whom; influence: whose data counts; convergence: without SOLUTION, the distance "
            "from the equilibrium in each round of play, with it, the bound that its solver watched; "
            "regret: in nats per agent; images: mean parameters as pictures."
        ),
    ] = _Kind.influence,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A .png, .pdf or .svg file. [dim]default: KIND.png[/]"),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(metavar="HEIGHTxWIDTH", help="For images, in pixels. [dim]default: square[/]"),
    ] = None,
    pseudo_count: _PseudoCount = None,
) -> None:
    """Draw a picture of a game or of its solution."""
    from expfam_game.files import load_solution
    from expfam_game.plots.command import picture

    target = _target(out or f"{kind.value}.png", _PICTURES)
    if shape is not None and kind is not _Kind.images:
        raise InvalidInput("--shape is for --kind images only")
    loaded = _load(game, pseudo_count)
    profile = None if solution is None else load_solution(solution, loaded)
    picture(kind.value, loaded, profile, shape).savefig(target, dpi=150)
    _console().print(_facts([("saved", str(target))]))


# ---------------------------------------------------------------------- catalogue


@app.command(epilog="Examples:\n\nexpfam-game catalog\n\nexpfam-game catalog ring")
def catalog(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show this game; without it, list all."),
    ] = None,
) -> None:
    """List the games of the catalogue, or show one of them."""
    from expfam_game.game import catalog as games

    console = _console()
    if name is None:
        console.print(_facts([(game, games.describe(game)) for game in games.names()]))
        console.print(Text("\nAgents with different statistics, for Python", style="bold"))
        console.print(_facts([(game, games.describe(game)) for game in games.heterogeneous_names()]))
        return
    short = name.removeprefix("catalog:")
    if short in games.heterogeneous_names():
        console.print(Text(games.describe(short), style="bold"))
        console.print(
            f"\nThe agents have different statistics: this game is for Python, eg.catalog.{short}()", soft_wrap=True
        )
        for line in _PYTHON:
            console.print(f"  {line.format(name=short)}", soft_wrap=True, markup=False, highlight=False)
        return
    game = _load(f"catalog:{short}", None)
    console.print(Text(games.describe(short), style="bold"))
    console.print()
    for part in _exhibits(game):
        console.print(part)
        console.print()
    console.print(Text("How to solve it and prove it" if _solvable(game) else "What solving it answers", style="bold"))
    for line in _commands(short, game):
        console.print(f"  expfam-game {line}", soft_wrap=True)


_PYTHON = (
    "import expfam_game as eg",
    "game = eg.catalog.{name}()",
    "certificate = eg.certify_all(game)",
    "print(certificate, eg.check(game, certificate))",
)
"""What to type next for agents with different statistics, who all are pairs with one parameter each."""


def _solvable(game: Game) -> bool:
    return game.weights.anchoredness.anchored and bool(game.family.in_mean_space(game.equilibrium_mean).all())


def _commands(name: str, game: Game) -> Iterable[str]:
    """What to type next."""
    yield f"solve catalog:{name} --out {name}"
    if _solvable(game):
        yield f"certify catalog:{name} {name}.npz --out {name}-cert.json"
        yield f"check catalog:{name} {name}-cert.json"
    elif game.weights.anchoredness.anchored:
        yield f"solve catalog:{name} --pseudo-count 1 --out {name}"


def _exhibits(game: Game) -> Iterable[Table | Group]:
    """Weights, data and, where the game is anchored, its structure."""
    agents = [str(agent) for agent in range(game.n_agents)]
    yield _facts([("family", repr(game.family)), ("agents", str(game.n_agents))])
    yield _grid(
        "weights α: agent i (row) listens to agent j (column)", ["", *agents], _rows(agents, game.weights.to_dense())
    )
    own = game.weights.self_weights > 0
    data = [[agent, *(f"{x:.4g}" if own[k] else "no data" for x in game.means[k])] for k, agent in enumerate(agents)]
    yield _grid("data: average m of each statistic", ["agent", *game.family.statistic_names], data)
    try:
        game.weights.require_anchored()
    except NotAnchored as problem:
        yield _facts([("not anchored", str(problem))])
        return
    yield _facts([("contraction factor q", f"{game.q:.6g}"), ("asymptotic rate ρ(B)", _rate(game))])
    yield _grid(
        "influence R: how much the data of agent j (column) counts for agent i (row)",
        ["", *agents],
        _rows(agents, game.influence()),
    )
    inside = game.family.in_mean_space(game.equilibrium_mean)
    equilibrium = [
        [
            agent,
            f"{game.v[k]:.4g}",
            *(f"{x:.4g}" for x in game.equilibrium_mean[k]),
            "" if inside[k] else "on the boundary",
        ]
        for k, agent in enumerate(agents)
    ]
    yield _grid("equilibrium", ["agent", "v", *(f"μ* {name}" for name in game.family.statistic_names), ""], equilibrium)


def _rows(names: list[str], matrix: Any) -> list[list[str]]:
    return [[name, *(f"{value:.4g}" for value in row)] for name, row in zip(names, matrix)]


# ---------------------------------------------------------------------- warmup


@app.command(
    epilog="Examples:\n\nexpfam-game warmup Gamma Dirichlet\n\nexpfam-game warmup Poisson --large\n\nexpfam-game warmup"
)
def warmup(
    family: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FAMILY]...", help="Names of families; all without any.", show_default=False),
    ] = None,
    large: Annotated[
        bool, typer.Option("--large", help="Also what games of more than a thousand agents need (a minute more).")
    ] = False,
) -> None:
    """Compile families ahead of time, so that later commands start at once."""
    from expfam_game.warmup import warm_up

    seconds = warm_up(family or None, large=large)
    console = _console()
    console.print(
        _grid("compiled into numba's cache", ["family", "seconds"], [[k, f"{v:.1f}"] for k, v in seconds.items()])
    )


if __name__ == "__main__":
    main()
