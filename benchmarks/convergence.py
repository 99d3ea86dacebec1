"""Predicted against measured convergence of every solver, on real images divided among agents by label skew.

    python -m benchmarks.convergence

For every topology and every trust in one's own data the equilibrium is computed exactly, over the rationals; every solver
then plays the game, and what it does is compared with theory: its rate (T4, T5, T7), the envelope of its error (T4, T6),
its certificate (C2, C3, C5) and its noise floor (T8).
"""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import typer
from scipy.sparse import csgraph

import expfam_game as eg
from benchmarks.exact import bernoulli_regret, exact_equilibrium
from benchmarks.figures import (
    Curve,
    NoiseCloud,
    Panel,
    convergence_figure,
    equilibrium_figure,
    influence_figure,
    noise_figure,
)
from benchmarks.outcomes import N_SAMPLES, SIGMAS, Games, Outcome, Setup, show, verdict
from benchmarks.rates import THREE_DIGITS, measure_rate
from benchmarks.report import (
    complain,
    console,
    environment,
    progress,
    require_extra,
    save_json,
)
from expfam_game import datasets
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.errors import ExpfamGameError
from expfam_game.plots.style import grade_name
from expfam_game.solvers.base import IterativeSolver, Solver

N_AGENTS = 10
CONCENTRATION = 0.3
"""Of the Dirichlet label skew: most agents see two or three of the ten labels."""

WITHOUT_DATA = (2, 5, 8)
"""The agents that own nothing in the variant with self-weight "0.3 or 0"."""

ROUNDS, QUICK_ROUNDS = 400, 200
"""Of sampled play, in the whole benchmark and with --quick."""

TOPOLOGIES = ("complete", "ring", "star", "grid", "Erdős–Rényi", "Barabási–Albert")

_SHOWN = "0.3 or 0"
"""The self-weights of the games in the figures: here ρ(B) and q differ."""

_EXCHANGES = {
    "SampledPlay B": "SampledPlay B: one batch for all listeners",
    "SampledPlay S": "SampledPlay S: a separate draw for every listener",
}

_SMALL_ERROR = 1e-10

COLUMNS = f"""
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
  rel. diff.    measured / predicted − 1; three digits must agree (relative 5e-4, in the rate and, as far as the
                measurement is that sharp, in its logarithm)
  rounds        rounds, from models that know nothing (all probabilities 1/2), until every mean parameter is within
                1e-10 of the exact equilibrium; — if never
  error         largest |μ − μ*| of the final profile, against the exact equilibrium
  error ≤       largest distance from that profile to the end of its certified enclosure of μ* (C3), rounded up, and
  C3 grade      what kind of proof that is: exact (rational arithmetic), rigorous (ball arithmetic), float (no proof)
  regret        largest gain of any agent from its best response at the end, in nats, computed with 256 bits
  regret ≤      its certified upper bound (C5), rounded up, and
  C5 grade      what kind of proof that is
  envelope      largest ratio of the error ‖μ^t − μ*‖_v to its bound in any round: q^t for Contraction and GaussSeidel,
                (1 − η(1 − q))^t for NaturalGradientPlay, q once every s + τ rounds for AsynchronousPlay (T4–T7);
                at most 1 if theory holds; — where theory gives no envelope
  noise         observed over predicted variance of sampled play around the equilibrium (T8), ± its standard error
                (from the spread over the pixels); n = {N_SAMPLES} samples a round, {ROUNDS} rounds ({QUICK_ROUNDS} with --quick), of which
                those after the start is forgotten count

A "!" before a solver's name marks a row in which something contradicts theory. A terminal too narrow for all columns is
shown fewer of them; the JSON file has every number.

\b
The last lines say whether theory holds, and list whatever does not:
  rates         every measured rate agrees with its prediction to three digits (relative difference at most 5e-4)
  bounds        no certified or theoretical bound is below what it bounds
  noise         every noise ratio is within {SIGMAS:g} standard errors + 1/(n (1 − ρ(B)²)) of 1; the second term allows for
                what T8, a statement to first order in 1/n, leaves out
The exit code is 0 only if all of them hold.
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


@dataclass
class Collected:
    """Everything the run gathers for the table, the JSON file and the figures."""

    games: Games = field(default_factory=list)
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
    s, rounds = eg.solvers, QUICK_ROUNDS if quick else ROUNDS
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
                cloud = NoiseCloud(
                    name,
                    solution.noise.predicted,
                    solution.noise.observed,
                    outcome.noise_ratio,
                    outcome.noise_standard_error,
                )
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
    return equilibrium_figure(alone, together, links, [len(part) for part in parts], images.shape, data, 0.5, path)


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


# ---------------------------------------------------------------------- command line

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def ascii_name(name: str) -> str:
    """A topology as it can be typed: erdos-renyi for Erdős–Rényi."""
    plain = unicodedata.normalize("NFKD", name.lower()).replace("–", "-").replace("_", "-")
    return plain.encode("ascii", "ignore").decode()


_BY_ASCII = {ascii_name(name): name for name in TOPOLOGIES}


def _topology(text: str) -> str:
    if ascii_name(text) not in _BY_ASCII:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(_BY_ASCII)}")
    return _BY_ASCII[ascii_name(text)]


def _folder(path: Path) -> Path:
    """The folder for the results, made before hours of computing rather than after."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise typer.BadParameter(f"{path} cannot be a folder: {problem.strerror}", param_hint="--out") from None
    if not os.access(path, os.W_OK):
        raise typer.BadParameter(f"nothing can be written into {path}", param_hint="--out")
    return path


@app.command(epilog=COLUMNS)
def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON file and the figures.")] = Path("results/convergence"),
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the division of data, the random graphs and the solvers.")
    ] = 0,
    data: Annotated[DataSet, typer.Option(help="Which images.")] = DataSet.DIGITS,
    images: Annotated[
        int | None,
        typer.Option(min=250, show_default="2000", help="How many images of MNIST or Fashion-MNIST to use."),
    ] = None,
    topology: Annotated[
        list[str] | None,
        typer.Option(help=f"Only this one of {', '.join(_BY_ASCII)}; may be repeated.", show_default="all"),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Two self-weights and shorter sampled play.")] = False,
) -> None:
    """Predicted against measured convergence of every solver, on real images divided among agents by label skew."""
    begun = time.perf_counter()
    only = tuple(_topology(name) for name in topology or ())
    if images is not None and data is DataSet.DIGITS:
        raise typer.BadParameter(
            "the digits are always used all; --images is for the other data", param_hint="--images"
        )
    folder = _folder(out)
    try:
        require_extra("The benchmark")
        pictures = load_images(data, 2000 if images is None else images)
    except ExpfamGameError as problem:
        complain(problem)
        raise typer.Exit(1) from None
    collected = collect(pictures, seed, quick, only)
    screen = console()
    show(collected.games, screen)
    holds = verdict(collected.games, screen)
    settings = {
        "data": data.value,
        "images": len(pictures.labels),
        "n_agents": N_AGENTS,
        "concentration": CONCENTRATION,
        "pseudo_count": 1.0,
        "n_samples": N_SAMPLES,
        "rounds": QUICK_ROUNDS if quick else ROUNDS,
        "seed": seed,
        "quick": quick,
        "small_error": _SMALL_ERROR,
        "three_digits": THREE_DIGITS,
        "sigmas": SIGMAS,
        "all_hold": holds,
        "seconds": time.perf_counter() - begun,
    }
    saved = [save_json(folder / "convergence.json", saved_content(collected, settings))]
    saved += draw(collected, pictures, _TITLES[data], folder, seed)
    screen.print(f"\nsaved in {time.perf_counter() - begun:.0f} s: " + ", ".join(map(str, saved)), soft_wrap=True)
    if not holds:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
