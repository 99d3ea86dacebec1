"""A solver described in words: its name and its hyper-parameters as text, as ``expfam-game solve`` is given them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from expfam_game import solvers
from expfam_game.errors import InvalidInput
from expfam_game.files.messages import suggestion
from expfam_game.game.game import Game
from expfam_game.solvers.base import Solver
from expfam_game.solvers.solve import choose

SOLVERS = {
    "direct": "Direct",
    "contraction": "Contraction",
    "gauss-seidel": "GaussSeidel",
    "natural-gradient": "NaturalGradientPlay",
    "gradient": "GradientPlay",
    "asynchronous": "AsynchronousPlay",
    "sampled": "SampledPlay",
}
"""The names of the solvers on the command line."""


def described_solver(game: Game, name: str, given: dict[str, Any], settings: list[str]) -> tuple[Solver, str]:
    """The solver that the options describe, and why it is taken."""
    options = {key: value for key, value in given.items() if value is not None}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InvalidInput(f"--set {setting}: write it as NAME=VALUE, for example --set step_size=0.5")
        options[key.strip()] = value.strip()
    if name != "auto":
        kind = getattr(solvers, SOLVERS[name])
        return kind(**_hyper_parameters(kind, options)), "--solver names it"
    if not options:
        return _default(game)
    if unknown := [key for key in options if key not in ("tolerance", "max_steps", "criterion")]:
        raise InvalidInput(f"{_option(unknown[0])} needs a --solver that has it; auto does not")
    kind = solvers.Contraction
    return kind(**_hyper_parameters(kind, options)), "a stop rule was given, so the agents play round by round"


def _default(game: Game) -> tuple[Solver, str]:
    method = choose(game)
    if method.method == "lu":
        return method, "the linear system is small enough to be factorised"
    return method, "the graph is too large to be factorised; play between communities speeds up play between agents"


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}" if key in ("tolerance", "max_steps", "seed") else f"--set {key}"


def _hyper_parameters(kind: type[Solver], options: dict[str, Any]) -> dict[str, Any]:
    """The options with the types of the solver's fields."""
    known = {field.name: str(field.type) for field in fields(kind)}
    for key in options:
        if key not in known:
            raise InvalidInput(
                f"{_option(key)}: {kind.__name__} has no {key}{suggestion(key, known)}; it has {', '.join(known)}"
            )
    typed = {key: _typed(key, value, known[key]) for key, value in options.items()}
    if typed.get("seed", 0) < 0:
        raise InvalidInput(f"seed is {typed['seed']}; it must be at least 0")
    return typed


def _typed(key: str, value: Any, annotation: str) -> Any:
    if not isinstance(value, str) or "Literal" in annotation:
        return value
    try:
        return float(value) if "float" in annotation else int(value)
    except ValueError:
        kind = "a number" if "float" in annotation else "an integer"
        raise InvalidInput(f"--set {key}={value}: it must be {kind}") from None
