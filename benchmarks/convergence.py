"""Predicted against measured convergence of every solver, on real images divided among agents by label skew.

    python -m benchmarks.convergence

For every topology and every trust in one's own data the equilibrium is computed exactly, over the rationals; every solver
then plays the game, and what it does is compared with theory: its rate (T4, T5, T7), the envelope of its error (T4, T6),
its certificate (C2, C3, C5) and its noise floor (T8).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from scipy.sparse import csgraph

import expfam_game as eg
from benchmarks.exact import ExactMean, bernoulli_regret, exact_equilibrium
from benchmarks.figures import (
    Curve,
    NoiseCloud,
    Panel,
    convergence_figure,
    equilibrium_figure,
    influence_figure,
    noise_figure,
)
from benchmarks.rates import THREE_DIGITS, MeasuredRate, measure_rate
from benchmarks.report import console, decimals, environment, number, progress, save_json
from expfam_game import datasets
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.plots.style import grade_name
from expfam_game.solvers.base import IterativeSolver, Solver

N_AGENTS = 10
CONCENTRATION = 0.3
"""Of the Dirichlet label skew: most agents see two or three of the ten labels."""

WITHOUT_DATA = (2, 5, 8)
"""The agents that own nothing in the variant with self-weight "0.3 or 0"."""

N_SAMPLES = 20_000
"""A round of sampled play: enough for no pixel to be empty in all samples, which would put a model on the boundary."""

_SHOWN = "0.3 or 0"
"""The self-weights of the games in the figures: here ρ(B) and q differ."""

_EXCHANGES = {
    "SampledPlay B": "SampledPlay B: one batch for all listeners",
    "SampledPlay S": "SampledPlay S: a separate draw for every listener",
}

_SMALL_ERROR = 1e-10
_SIGMAS = 6.0

COLUMNS = """
\b
Each block of the table is one game; its title says
  topology      who listens to whom; 10 agents, weights equal among those heard
  self-weight   α_ii, the trust in one's own data ("0.3 or 0": agents 2, 5, 8 own no data)
  ρ(B)          spectral radius of the trust in others, the rate of simultaneous best response (T4)
  q             contraction factor 1 − 1/max v of the same in the norm ‖·‖_v, an upper bound on ρ(B) (T4)

\b
Columns
  solver        the method; B and S after SampledPlay: one batch for all, or a separate draw for every listener
  predicted     factor per round by which theory says the error shrinks in the long run; — where it says nothing
  measured      the same, measured from the profiles the solver played against the exact rational equilibrium
  rel. diff.    measured / predicted − 1; "!" if three digits do not agree (relative 5e-4, in the rate and, as far
                as the measurement is that sharp, in its logarithm)
  rounds        rounds, from models that know nothing (all probabilities 1/2), until every mean parameter is within 1e-10 of the exact equilibrium; — if never
  error         largest |μ − μ*| of the final profile, against the exact equilibrium
  proved        largest distance from that profile to the end of its certified enclosure of μ* (C3), and
  grade         what kind of proof that is: exact (rational arithmetic), rigorous (ball arithmetic), float (no proof)
  regret        largest gain of any agent from its best response at the end, in nats, computed with 256 bits
  proved        its certified upper bound (C5), and
  grade         what kind of proof that is; "!" if any bound of this row is violated
  envelope      largest ratio of the error ‖μ^t − μ*‖_v to its bound in any round: q^t for Contraction and GaussSeidel,
                (1 − η(1 − q))^t for NaturalGradientPlay, q once every s + τ rounds for AsynchronousPlay (T4–T7);
                at most 1 if theory holds; — where theory gives no envelope
  noise         observed over predicted variance of sampled play around the equilibrium (T8), ± its standard error

The last lines say whether every measured rate agrees with its prediction to three digits, whether every bound holds and
whether every noise floor is explained, and list whatever does not. The exit code is 0 only if all of them do.
"""


class DataSet(StrEnum):
    """Where the images come from."""

    DIGITS = "digits"
    MNIST = "mnist"
    FASHION = "fashion-mnist"


_TITLES = {DataSet.DIGITS: "scikit-learn digits", DataSet.MNIST: "MNIST", DataSet.FASHION: "Fashion-MNIST"}


@dataclass(frozen=True)
class Images:
    """Binary images with labels."""

    pixels: AnyArray
    labels: AnyArray
    shape: tuple[int, int]


@dataclass(frozen=True)
class Setup:
    """One game of the benchmark with its exact equilibrium."""

    topology: str
    trust: str
    game: eg.Game
    exact: ExactMean


@dataclass(frozen=True)
class Outcome:
    """What one solver did in one game; NaN where a quantity does not apply."""

    solver: str
    predicted: float
    measured: MeasuredRate | None
    agrees: bool | None
    rounds: int | None
    steps: int
    status: str
    succeeded: bool
    regret: float
    error: float
    proved_error: float
    proved_regret: float
    proved_factor: float
    grades: dict[str, str]
    envelope: float
    noise_ratio: float
    noise_standard_error: float
    violations: tuple[str, ...]
    seconds: float


@dataclass
class Collected:
    """Everything the run gathers for the table, the JSON file and the figures."""

    games: list[tuple[Setup, list[Outcome]]] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    clouds: dict[str, list[NoiseCloud]] = field(default_factory=dict)


# ---------------------------------------------------------------------- games


def load_images(data: DataSet, limit: int) -> Images:
    """Binary images; of MNIST and Fashion-MNIST the first ``limit``."""
    if data is DataSet.DIGITS:
        pixels, labels = datasets.digits()
        return Images(pixels, labels, (8, 8))
    pixels, labels = (datasets.mnist if data is DataSet.MNIST else datasets.fashion_mnist)("train")
    return Images(pixels[:limit], labels[:limit], (28, 28))


def topologies(seed: int) -> dict[str, Callable[[Any], eg.Weights]]:
    """The six graphs; random ones are redrawn until they are connected."""
    return {
        "complete": lambda trust: eg.Weights.complete(N_AGENTS, trust),
        "ring": lambda trust: eg.Weights.ring(N_AGENTS, trust),
        "star": lambda trust: eg.Weights.star(N_AGENTS, trust),
        "grid": lambda trust: eg.Weights.grid(2, N_AGENTS // 2, trust),
        "Erdős–Rényi": lambda trust: _connected(lambda k: eg.Weights.erdos_renyi(N_AGENTS, 0.35, trust, seed=k), seed),
        "Barabási–Albert": lambda trust: eg.Weights.barabasi_albert(N_AGENTS, 2, trust, seed=seed),
    }


def _connected(draw: Callable[[int], eg.Weights], seed: int) -> eg.Weights:
    for attempt in range(1000):
        weights = draw(seed + attempt)
        if csgraph.connected_components(weights.matrix, connection="strong")[0] == 1:
            return weights
    raise RuntimeError("no connected random graph in 1000 draws")


def trusts(quick: bool) -> dict[str, float | list[float]]:
    """The self-weights; in the last variant some agents own no data."""
    some = [0.0 if agent in WITHOUT_DATA else 0.3 for agent in range(N_AGENTS)]
    return {"0.3": 0.3, "0.3 or 0": some} if quick else {"0.1": 0.1, "0.3": 0.3, "0.5": 0.5, "0.3 or 0": some}


def build(images: Images, topology: str, trust: str, weights: eg.Weights, seed: int) -> Setup:
    """Divide the images by label skew and set up the game."""
    parts = datasets.split_by_label_skew(images.labels, N_AGENTS, CONCENTRATION, seed)
    data = [images.pixels[part] if a > 0 else None for part, a in zip(parts, weights.self_weights)]
    game = eg.Game(eg.families.Bernoulli(dim=images.pixels.shape[1]), weights, data, pseudo_count=1.0)
    return Setup(topology, trust, game, exact_equilibrium(game))


def solvers(seed: int, quick: bool) -> dict[str, Solver]:
    """Every solver, under the name the table uses."""
    s, rounds = eg.solvers, 200 if quick else 400
    return {
        "Direct": s.Direct(),
        "Contraction": s.Contraction(),
        "Contraction, Anderson 5": s.Contraction(anderson=5),
        "GaussSeidel": s.GaussSeidel(),
        "NaturalGradientPlay": s.NaturalGradientPlay(),
        "GradientPlay": s.GradientPlay(tolerance=_SMALL_ERROR),
        "AsynchronousPlay": s.AsynchronousPlay(seed=seed),
        "SampledPlay B": s.SampledPlay(N_SAMPLES, rounds, "broadcast", seed=seed),
        "SampledPlay S": s.SampledPlay(N_SAMPLES, rounds, "separate", seed=seed),
    }


# ---------------------------------------------------------------------- one solver on one game


def run_solver(setup: Setup, name: str, solver: Solver, seed: int) -> tuple[Outcome, FloatArray, eg.Solution]:
    """Play once from everybody's own data, measure the rate, certify, and compare."""
    begun = time.perf_counter()
    game, exact = setup.game, setup.exact
    norms: list[float] = []
    largest: list[float] = []

    def observe(step: int, mean: FloatArray) -> float:
        error = np.max(np.abs(exact.error(mean)), axis=1)
        norms.append(float(np.max(error / game.v)))
        largest.append(float(np.max(error)))
        return largest[-1]

    # Everybody starts at the same model. Everybody's own data would be a special start: with equal self-weights it has
    # the equilibrium's average over the agents (weighted by the left Perron vector of B), so the slowest mode is absent.
    start = np.tile(game.family.reference_mean(), (game.n_agents, 1))
    solution = eg.solve(game, solver, start=start, observe=observe, throw=False)
    predicted = solver.predicted_rate(game)
    measured = None
    if np.isfinite(predicted) and isinstance(solver, IterativeSolver):
        measured = measure_rate(game, solver, exact, seed)
    # The checker recomputes everything, so once a game is enough here; all enclosures meet the exact solution below.
    certificate = _certificate(game, solution, check=name == "Contraction")
    regret = bernoulli_regret(game, solution.natural) if np.isfinite(solution.natural).all() else solution.regret
    reached = np.flatnonzero(np.array(largest) <= _SMALL_ERROR)
    first = 0 if isinstance(solver, IterativeSolver) else 1
    errors = np.array(norms)
    envelope = _envelope_ratio(game, solver, errors)
    ratio, standard_error = _noise(solution)
    outcome = Outcome(
        solver=name,
        predicted=predicted,
        measured=measured,
        agrees=None if measured is None else measured.agrees_with(predicted),
        rounds=int(reached[0]) + first if reached.size and solution.noise is None else None,
        steps=solution.steps,
        status=solution.status.value,
        succeeded=solution.status.success and certificate is not None,
        regret=float(np.max(regret)),
        error=float(np.max(np.abs(exact.error(solution.mean)))),
        proved_error=_proved_error(certificate, solution),
        proved_regret=_proved_regret(certificate),
        proved_factor=float("nan") if certificate is None else float(certificate.contraction_factor),
        grades={} if certificate is None else _grades(certificate),
        envelope=envelope,
        noise_ratio=ratio,
        noise_standard_error=standard_error,
        violations=_violations(setup, solution, certificate, regret, envelope),
        seconds=time.perf_counter() - begun,
    )
    return outcome, errors, solution


def _certificate(game: eg.Game, solution: eg.Solution, check: bool) -> Any:
    """The certificate, put before the independent checker if asked; None if nothing could be proved."""
    finite = np.isfinite(solution.natural).all()
    profile = SimpleNamespace(mean=solution.mean, natural=solution.natural if finite else None)
    try:
        certificate = eg.certify(game, profile)
    except eg.errors.CertificationFailed:
        return None
    if check:
        eg.check(game, certificate)
    return certificate


def _proved_error(certificate: Any, solution: eg.Solution) -> float:
    if certificate is None:
        return float("nan")
    above, below = certificate.mean_upper - solution.mean, solution.mean - certificate.mean_lower
    return float(np.max(np.maximum(above, below)))


def _proved_regret(certificate: Any) -> float:
    if certificate is None or certificate.regret_upper is None:
        return float("nan")
    return float(np.max(certificate.regret_upper))


def _grades(certificate: Any) -> dict[str, str]:
    """The grade of every claim that is made."""
    return {name: grade_name(claim.grade) for name, claim in certificate.claims.items() if claim.grade is not None}


def _violations(
    setup: Setup, solution: eg.Solution, certificate: Any, regret: FloatArray, envelope: float
) -> tuple[str, ...]:
    """Every claim that the exact equilibrium refutes."""
    game, error = setup.game, np.abs(setup.exact.error(solution.mean))
    claims = {
        "T4: the error is above the solver's own bound": np.all(error <= solution.error_bound),
        "the error leaves its theoretical envelope": not envelope > 1.0,
    }
    if certificate is not None:
        inside = setup.exact.within(certificate.mean_lower, certificate.mean_upper)
        claims["C3: the exact equilibrium lies outside the certified enclosure"] = np.all(inside)
        # ρ(B) is itself computed in float64.
        factor = certificate.contraction_factor * (1 + 1e-12)
        claims["C2: ρ(B) is above the certified contraction factor"] = game.spectral_radius <= factor
        if certificate.regret_upper is not None:
            claims["C5: a regret is above its certified bound"] = np.all(regret <= certificate.regret_upper)
    return tuple(claim for claim, holds in claims.items() if not holds)


def _envelope_ratio(game: eg.Game, solver: Solver, errors: FloatArray) -> float:
    """The largest ratio of an error to its bound, rounding apart."""
    rounds = np.arange(errors.size)
    if isinstance(solver, eg.solvers.GaussSeidel) or (
        isinstance(solver, eg.solvers.Contraction) and solver.anderson == 0
    ):
        bound = game.q**rounds
    elif isinstance(solver, eg.solvers.NaturalGradientPlay):
        bound = (1.0 - solver.step_size * (1.0 - game.q)) ** rounds
    elif isinstance(solver, eg.solvers.AsynchronousPlay):
        bound = game.q ** (rounds // (solver.max_silence + solver.max_delay))
    else:
        return float("nan")
    # One best response rounds by at most (row length + 3) units of the largest mean; max v sums that over all rounds.
    rounding = (game.n_agents + 3) * np.finfo(float).eps * float(np.max(np.abs(game.means)) * np.max(game.v))
    later = errors[1:] if errors.size > 1 else errors
    return float(np.max(later / (bound[-later.size :] * errors[0] * (1 + 1e-12) + rounding)))


def _noise(solution: eg.Solution) -> tuple[float, float]:
    """The noise ratio, and its standard error from the spread over the statistics, which are independent here."""
    noise = solution.noise
    if noise is None or noise.predicted is None:
        return float("nan"), float("nan")
    each = noise.observed.sum(axis=0) / noise.predicted.sum(axis=0)
    return noise.ratio, float(np.std(each, ddof=1) / np.sqrt(each.size))


def noise_explained(setup: Setup, outcome: Outcome) -> bool:
    """Whether the noise ratio is one up to chance and the terms of order 1/n that T8 leaves out."""
    if not np.isfinite(outcome.noise_ratio):
        return True
    higher_order = 1.0 / (N_SAMPLES * (1.0 - setup.game.spectral_radius**2))
    return abs(outcome.noise_ratio - 1.0) <= _SIGMAS * outcome.noise_standard_error + higher_order


# ---------------------------------------------------------------------- all of it


def collect(images: Images, seed: int, quick: bool, only: tuple[str, ...]) -> Collected:
    """Run every solver on every game."""
    shapes = {name: make for name, make in topologies(seed).items() if not only or name in only}
    collected = Collected()
    plan = [(name, trust) for name in shapes for trust in trusts(quick)]
    for name, trust in progress(plan, "games"):
        setup = build(images, name, trust, shapes[name](trusts(quick)[trust]), seed)
        outcomes, curves = [], []
        for solver_name, solver in solvers(seed, quick).items():
            outcome, errors, solution = run_solver(setup, solver_name, solver, seed)
            outcomes.append(outcome)
            if solver_name != "Direct":
                curves.append(Curve(solver_name, errors))
            if trust == _SHOWN and solution.noise is not None and solution.noise.predicted is not None:
                cloud = NoiseCloud(name, solution.noise.predicted, solution.noise.observed, outcome.noise_ratio)
                collected.clouds.setdefault(_EXCHANGES[solver_name], []).append(cloud)
        collected.games.append((setup, outcomes))
        if trust == _SHOWN:
            contraction = outcomes[1]
            collected.panels.append(
                Panel(
                    name,
                    contraction.proved_factor if contraction.grades else setup.game.q,
                    setup.game.spectral_radius,
                    contraction.grades.get("C2", "float"),
                    tuple(curves),
                )
            )
    return collected


_WIDTHS = {
    "solver": 23,
    "predicted": 9,
    "measured": 9,
    "rel. diff.": 10,
    "rounds": 6,
    "error": 7,
    "proved": 7,
    "grade": 8,
    "regret": 7,
    "proved ": 7,
    "grade ": 10,
    "envelope": 8,
    "noise": 13,
}


def show(collected: Collected, out: Console) -> None:
    """Print one table a game."""
    for setup, outcomes in collected.games:
        game = setup.game
        title = f"{setup.topology}, self-weight {setup.trust}: ρ(B) = {game.spectral_radius:.7f}, q = {game.q:.7f}"
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for name, width in _WIDTHS.items():
            side = "left" if name in ("solver", "grade", "grade ") else "right"
            table.add_column(name, width=width, justify=side, no_wrap=True, header_style="dim")  # type: ignore[arg-type]
        for outcome in outcomes:
            table.add_row(*_cells(outcome))
        out.print(table)
        out.print()


def _cells(outcome: Outcome) -> list[str]:
    measured = outcome.measured.rate if outcome.measured else float("nan")
    mark = "" if outcome.agrees in (True, None) else " !"
    noise = "—"
    if np.isfinite(outcome.noise_ratio):
        noise = f"{outcome.noise_ratio:.3f} ± {outcome.noise_standard_error:.3f}"
    return [
        outcome.solver,
        decimals(outcome.predicted),
        decimals(measured),
        number(measured / outcome.predicted - 1.0, "+.0e") + mark,
        "—" if outcome.rounds is None else str(outcome.rounds),
        number(outcome.error, ".1e"),
        number(outcome.proved_error, ".1e"),
        outcome.grades.get("C3", "—"),
        number(outcome.regret, ".1e"),
        number(outcome.proved_regret, ".1e"),
        outcome.grades.get("C5", "—") + (" !" if outcome.violations else ""),
        number(outcome.envelope, ".3f"),
        noise,
    ]


def verdict(collected: Collected, out: Console) -> bool:
    """Say whether theory held everywhere, and where not; True if it did."""
    rows = [(setup, outcome) for setup, outcomes in collected.games for outcome in outcomes]
    predicted = [(setup, outcome) for setup, outcome in rows if outcome.measured is not None]
    wrong = [f"{_where(s, o)}: predicted {o.predicted:.7f}, {_found(o)}" for s, o in predicted if not o.agrees]
    broken = [f"{_where(s, o)}: {claim}" for s, o in rows for claim in o.violations]
    noisy = [
        f"{_where(s, o)}: observed / predicted = {o.noise_ratio:.4f} ± {o.noise_standard_error:.4f}"
        for s, o in rows
        if not noise_explained(s, o)
    ]
    worst = max((abs(o.measured.rate / o.predicted - 1.0) for _, o in predicted if o.measured), default=0.0)
    out.print()
    _say(out, wrong, f"rates: all {len(predicted)} measured rates agree with theory to three digits", "disagree")
    out.print(f"       largest relative difference {worst:.1e}, allowed {THREE_DIGITS:.0e}")
    _say(out, broken, f"bounds: no bound is violated in {len(rows)} runs", "violations")
    _say(out, noisy, "noise: every noise floor is explained by T8 within its standard error", "unexplained")
    unfinished = [f"{_where(s, o)}: {o.status}, after {o.steps} rounds" for s, o in rows if not o.succeeded]
    if unfinished:
        _say(out, unfinished, "ends", "solvers or certificates did not reach their goal (no failure of the theory)")
    return not (wrong or broken or noisy)


def _where(setup: Setup, outcome: Outcome) -> str:
    return f"{setup.topology}, self-weight {setup.trust}, {outcome.solver}"


def _found(outcome: Outcome) -> str:
    assert outcome.measured is not None
    return f"measured {outcome.measured.rate:.7f} with relative uncertainty {outcome.measured.uncertainty:.0e}"


def _say(out: Console, failures: list[str], good: str, bad: str) -> None:
    if not failures:
        out.print(f"[green]✓[/green] {good}")
        return
    out.print(f"[red]✗ {good.partition(':')[0]}: {len(failures)} {bad}[/red]")
    for line in failures:
        out.print(f"    {line}")


def draw(collected: Collected, images: Images, data: str, folder: Path, seed: int) -> list[Path]:
    """Write the figures."""
    about = f"{data}, {N_AGENTS} agents, self-weight {_SHOWN}"
    pictures = [convergence_figure(collected.panels, about, folder / "convergence.png")]
    if collected.clouds:
        pictures.append(noise_figure(collected.clouds, f"{about}, n = {N_SAMPLES:,}", folder / "noise.png"))
    pictures.append(draw_equilibrium(images, data, folder / "equilibrium.png", seed))
    pictures.append(draw_influence(images, data, folder / "influence.png", seed))
    return pictures


def draw_equilibrium(images: Images, data: str, path: Path, seed: int, n_agents: int = 5, n_images: int = 250) -> Path:
    """A few agents with few images each: for every label they play a game, in which some own no data at all."""
    pixels, labels = images.pixels[:n_images], images.labels[:n_images]
    parts = datasets.split_by_label_skew(labels, n_agents, 0.2, seed)
    alone = np.full((n_agents, N_AGENTS, pixels.shape[1]), np.nan)
    together = np.empty_like(alone)
    for label in range(N_AGENTS):
        own = [pixels[part[labels[part] == label]] for part in parts]
        trust = [0.5 if len(mine) else 0.0 for mine in own]
        weights = eg.Weights.ring(n_agents, trust, both_ways=True)
        game = eg.Game(eg.families.Bernoulli(dim=pixels.shape[1]), weights, own, pseudo_count=0.1)
        together[:, label] = eg.solve(game).mean
        for agent in np.flatnonzero(trust):
            alone[agent, label] = game.means[agent]
    links = eg.Weights.ring(n_agents, 0.5, both_ways=True)
    return equilibrium_figure(alone, together, links, [len(part) for part in parts], images.shape, data, path)


def draw_influence(images: Images, data: str, path: Path, seed: int) -> Path:
    """Ten agents, each with one label only, on a ring: what their models look like alone and at the equilibrium."""
    parts = datasets.split_by_labels(images.labels, [(label,) for label in range(N_AGENTS)])
    own = [images.pixels[part] for part in parts]
    weights = eg.Weights.ring(N_AGENTS, self_weight=0.5)
    game = eg.Game(eg.families.Bernoulli(dim=images.pixels.shape[1]), weights, own, pseudo_count=1.0)
    solution = eg.solve(game)
    samples = game.family.sample(solution.natural, 1, seed)[:, 0]
    caption = f"Each agent owns one label ({data}) and listens to the next agent on a ring ($\\alpha_{{ii}}$ = 0.5)"
    return influence_figure(game, own, game.means, solution.mean, samples, images.shape, caption, path)


def saved_content(collected: Collected, settings: dict[str, Any]) -> dict[str, Any]:
    """Everything measured, for the JSON file."""
    games = [
        {
            "topology": setup.topology,
            "self_weight": setup.trust,
            "spectral_radius": setup.game.spectral_radius,
            "contraction_factor": setup.game.q,
            "solvers": [asdict(outcome) for outcome in outcomes],
        }
        for setup, outcomes in collected.games
    ]
    return {**environment(), "settings": settings, "games": games}


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON file and the figures.")] = Path("results/convergence"),
    seed: Annotated[int, typer.Option(help="Seed of the division of data, the random graphs and the solvers.")] = 0,
    data: Annotated[DataSet, typer.Option(help="Which images.")] = DataSet.DIGITS,
    images: Annotated[int, typer.Option(min=250, help="How many images of MNIST or Fashion-MNIST to use.")] = 2000,
    topology: Annotated[list[str] | None, typer.Option(help="Only this topology; may be repeated.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Two self-weights and shorter sampled play.")] = False,
) -> None:
    """Predicted against measured convergence of every solver, on real images divided among agents by label skew."""
    begun = time.perf_counter()
    unknown = set(topology or ()) - set(topologies(seed))
    if unknown:
        raise typer.BadParameter(f"{unknown.pop()!r} is not one of {', '.join(topologies(seed))}")
    pictures = load_images(data, images)
    collected = collect(pictures, seed, quick, tuple(topology or ()))
    screen = console()
    show(collected, screen)
    holds = verdict(collected, screen)
    settings = {
        "data": data.value,
        "images": len(pictures.labels),
        "n_agents": N_AGENTS,
        "concentration": CONCENTRATION,
        "pseudo_count": 1.0,
        "seed": seed,
        "quick": quick,
        "small_error": _SMALL_ERROR,
        "three_digits": THREE_DIGITS,
        "all_hold": holds,
        "seconds": time.perf_counter() - begun,
    }
    saved = [save_json(out / "convergence.json", saved_content(collected, settings))]
    saved += draw(collected, pictures, _TITLES[data], out, seed)
    screen.print(f"\nsaved in {time.perf_counter() - begun:.0f} s: " + ", ".join(map(str, saved)), soft_wrap=True)
    if not holds:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
