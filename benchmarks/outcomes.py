"""What one solver did in one game of ``benchmarks.convergence``, the table of it, and the verdict on theory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

import expfam_game as eg
from benchmarks.exact import ExactMean
from benchmarks.rates import THREE_DIGITS, MeasuredRate
from benchmarks.report import bound, decimals, number

N_SAMPLES = 20_000
"""A round of sampled play: enough for no pixel to be empty in all samples, which would put a model on the boundary."""

SIGMAS = 6.0
"""How many standard errors a noise ratio may be off."""


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


Games = list[tuple[Setup, list[Outcome]]]


# ---------------------------------------------------------------------- noise


def noise_explained(setup: Setup, outcome: Outcome) -> bool:
    """Whether the noise ratio is one up to chance and the terms of order 1/n that T8 leaves out."""
    if not np.isfinite(outcome.noise_ratio):
        return True
    return abs(outcome.noise_ratio - 1.0) <= SIGMAS * outcome.noise_standard_error + _higher_order(setup)


def _higher_order(setup: Setup) -> float:
    return 1.0 / (N_SAMPLES * (1.0 - float(setup.game.spectral_radius) ** 2))


# ---------------------------------------------------------------------- the table


_WIDTHS = {
    "solver": 25,
    "predicted": 9,
    "measured": 9,
    "rel. diff.": 10,
    "rounds": 6,
    "error": 7,
    "error ≤": 7,
    "C3 grade": 8,
    "regret": 7,
    "regret ≤": 8,
    "C5 grade": 8,
    "envelope": 8,
    "noise": 13,
}

_LESS_IMPORTANT = ("C5 grade", "C3 grade", "rel. diff.", "regret", "error", "envelope", "regret ≤", "rounds", "noise")
"""What a narrow terminal is not shown, in this order."""

_GAP = 2


def columns(width: int) -> list[str]:
    """The columns that fit."""
    shown = list(_WIDTHS)
    for name in _LESS_IMPORTANT:
        if sum(_WIDTHS[column] + _GAP for column in shown) - _GAP <= width:
            break
        shown.remove(name)
    return shown


def show(games: Games, out: Console) -> None:
    """Print one table a game."""
    shown = columns(out.width)
    for setup, outcomes in games:
        game = setup.game
        title = f"{setup.topology}, self-weight {setup.trust}: ρ(B) = {game.spectral_radius:.7f}, q = {game.q:.7f}"
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
        for name in shown:
            side = "left" if name in ("solver", "C3 grade", "C5 grade") else "right"
            table.add_column(name, width=_WIDTHS[name], justify=side, no_wrap=True, header_style="dim")  # type: ignore[arg-type]
        for outcome in outcomes:
            cells = _cells(setup, outcome)
            table.add_row(*(cells[name] for name in shown))
        out.print(Text(title, style="bold"))
        out.print(table)
        out.print()
    if len(shown) < len(_WIDTHS):
        hidden = ", ".join(name for name in _WIDTHS if name not in shown)
        out.print(Text(f"This terminal is too narrow for the columns {hidden}; the JSON file has them.", style="dim"))


def _cells(setup: Setup, outcome: Outcome) -> dict[str, str]:
    measured = outcome.measured.rate if outcome.measured else float("nan")
    holds = outcome.agrees in (True, None) and not outcome.violations and noise_explained(setup, outcome)
    noise = "—"
    if np.isfinite(outcome.noise_ratio):
        noise = f"{outcome.noise_ratio:.3f} ± {outcome.noise_standard_error:.3f}"
    return {
        "solver": ("" if holds else "! ") + outcome.solver,
        "predicted": decimals(outcome.predicted),
        "measured": decimals(measured),
        "rel. diff.": number(measured / outcome.predicted - 1.0, "+.0e"),
        "rounds": "—" if outcome.rounds is None else str(outcome.rounds),
        "error": number(outcome.error, ".1e"),
        "error ≤": bound(outcome.proved_error),
        "C3 grade": outcome.grades.get("C3", "—"),
        "regret": number(outcome.regret, ".1e"),
        "regret ≤": bound(outcome.proved_regret),
        "C5 grade": outcome.grades.get("C5", "—"),
        "envelope": number(outcome.envelope, ".3f"),
        "noise": noise,
    }


def verdict(games: Games, out: Console) -> bool:
    """Say whether theory held everywhere, and where not; True if it did."""
    rows = [(setup, outcome) for setup, outcomes in games for outcome in outcomes]
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
    _say(
        out, noisy, f"noise: T8 explains all {len(noises(rows))} noise floors: {_noise_criterion(rows)}", "unexplained"
    )
    unfinished = [f"{_where(s, o)}: {o.status}, after {o.steps} rounds" for s, o in rows if not o.succeeded]
    if unfinished:
        _say(out, unfinished, "ends", "solvers or certificates did not reach their goal (no failure of the theory)")
    return not (wrong or broken or noisy)


def noises(rows: list[tuple[Setup, Outcome]]) -> list[tuple[Setup, Outcome]]:
    """The rows with a noise floor."""
    return [(setup, outcome) for setup, outcome in rows if np.isfinite(outcome.noise_ratio)]


def _noise_criterion(rows: list[tuple[Setup, Outcome]]) -> str:
    """What was asked of them, and how near the worst of them came to it."""
    found = noises(rows)
    rule = f"observed / predicted within {SIGMAS:g} standard errors + 1/(n (1 − ρ(B)²)) of 1"
    if not found:
        return rule
    worst = max(abs(o.noise_ratio - 1.0) / o.noise_standard_error for _, o in found)
    extra = max(_higher_order(s) for s, _ in found)
    rounds = "/".join(str(steps) for steps in sorted({o.steps for _, o in found}))
    return (
        f"{rule}\n       n = {N_SAMPLES} samples, {rounds} rounds; the largest deviation is {worst:.1f} standard errors, "
        f"the second term at most {extra:.0e}"
    )


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
