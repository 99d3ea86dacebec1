"""Solutions on disk: NPZ for programs, JSON for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from expfam_game import __version__
from expfam_game._typing import AnyArray
from expfam_game.errors import InvalidInput
from expfam_game.files.data import UNREADABLE
from expfam_game.files.messages import absent
from expfam_game.game.game import Game
from expfam_game.solvers.solution import History, NoiseFloor, Solution, Status

__all__ = ["load_solution", "save_solution"]

_FORMAT = 1
"""Version of the layout of saved solutions."""

_FOREIGN = "not a solution saved by expfam-game solve (save_solution in Python)"


# ---------------------------------------------------------------------- solutions


def save_solution(path: str | Path, game: Game, solution: Solution) -> tuple[Path, Path]:
    """Save a solution for programs (NPZ) and for people (JSON).

    Parameters
    ----------
    path : str or Path
        The name of the NPZ file; the JSON file stands beside it.
    game : Game
        The game that was solved; its fingerprint is stored with the solution.
    solution : Solution

    Returns
    -------
    tuple of Path
        The NPZ and the JSON file.

    Examples
    --------
    >>> import expfam_game as eg, tempfile
    >>> game = eg.catalog.two_agents()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive, summary = save_solution(f"{folder}/two.npz", game, eg.solve(game))
    ...     load_solution(archive, game).status.name
    'CONVERGED'
    """
    target = Path(path)
    target = target if target.suffix == ".npz" else target.with_name(target.name + ".npz")
    beside = target.with_suffix(".json")
    arrays: dict[str, Any] = {name: getattr(solution, name) for name in _ARRAYS}
    metadata = _metadata(game, solution)
    if solution.history is not None:
        arrays |= {f"history_{name}": np.asarray(getattr(solution.history, name)) for name in _HISTORY}
    if solution.noise is not None:
        metadata["noise_rounds"] = solution.noise.rounds
        arrays["noise_observed"] = solution.noise.observed
        if solution.noise.predicted is not None:
            arrays["noise_predicted"] = solution.noise.predicted
    text = json.dumps(_summary(game, solution, metadata), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    _write(target, lambda file: np.savez(file, metadata=np.array(json.dumps(metadata)), **arrays))
    _write(beside, lambda file: file.write(text.encode()))
    return target, beside


_ARRAYS = ("mean", "natural", "regret", "error_bound")
_HISTORY = ("steps", "error_bound", "regret", "observed")
_ALL_AGENTS = 1000
"""Up to so many entries the JSON file lists every agent."""


def _metadata(game: Game, solution: Solution) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "status": solution.status.name,
        "message": solution.message,
        "solver": solution.solver,
        "steps": int(solution.steps),
        "game_fingerprint": game.fingerprint(),
        "versions": {
            "expfam_game": __version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
    }


def _summary(game: Game, solution: Solution, metadata: dict[str, Any]) -> dict[str, Any]:
    """What the JSON file says."""
    summary = {
        "family": repr(game.family),
        "n_agents": game.n_agents,
        "n_statistics": game.family.dim,
        **metadata,
        "max_regret_nats": _finite(np.max(solution.regret)),
        "max_error_bound": _finite(solution.max_error),
        "error_bound_grade": "float",
        "contraction_factor_q": game.q,
    }
    if solution.mean.size <= _ALL_AGENTS:
        names = game.family.statistic_names
        summary["agents"] = [
            {
                "agent": agent,
                "mean": {name: float(value) for name, value in zip(names, solution.mean[agent])},
                "regret_nats": _finite(solution.regret[agent]),
                "error_bound": _finite(np.max(solution.error_bound[agent])),
            }
            for agent in range(game.n_agents)
        ]
    return summary


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _write(target: Path, write: Callable[[Any], Any]) -> None:
    """Write a file all at once: a reader sees the old file or the new one, never half of it."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            write(file)
        os.replace(part, target)
    except OSError as problem:
        raise InvalidInput(f"{target}: cannot be written: {problem.strerror or problem}") from None
    finally:
        part.unlink(missing_ok=True)


def load_solution(path: str | Path, game: Game | None = None) -> Solution:
    """A solution saved by :func:`save_solution`.

    Parameters
    ----------
    path : str or Path
        The NPZ file.
    game : Game, optional
        Refuse the solution unless it is of this game.

    Raises
    ------
    InvalidInput
        If the file is missing, is not a saved solution, or belongs to another game.
    """
    file = Path(path)
    if not file.is_file():
        raise absent(file, "solution file")
    arrays, metadata = _solution_parts(file)
    if game is not None:
        _require_same_game(file, metadata, arrays["mean"], game)
    try:
        return Solution(
            **{name: arrays[name] for name in ("mean", "natural", "regret")},
            error_factors=(arrays["error_bound"], np.ones(1)),
            status=Status[metadata["status"]],
            steps=int(metadata["steps"]),
            solver=str(metadata["solver"]),
            message=str(metadata["message"]),
            history=_history(arrays),
            noise=_noise(arrays, metadata),
            uniqueness=None,
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise InvalidInput(f"{file}: the saved solution is damaged: {problem!r}") from None


def _solution_parts(file: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    arrays = _archive(file)
    missing = [name for name in ("metadata", *_ARRAYS) if name not in arrays]
    if missing:
        raise InvalidInput(f"{file}: {_FOREIGN}: {', '.join(missing)} is missing")
    try:
        metadata = json.loads(str(arrays.pop("metadata")))
        layout = metadata["format"]
    except (ValueError, TypeError, KeyError):
        raise InvalidInput(f"{file}: the metadata of the saved solution cannot be read") from None
    if layout != _FORMAT:
        raise InvalidInput(f"{file}: saved in layout {layout!r}, but this version reads layout {_FORMAT}")
    shapes = {name: arrays[name].shape for name in ("natural", "error_bound")} | {"regret": arrays["regret"].shape}
    expected = arrays["mean"].shape
    if len(expected) != 2 or any(shape != expected[: len(shape)] for shape in shapes.values()):
        raise InvalidInput(f"{file}: the saved solution is damaged: the shapes of its arrays do not agree")
    return arrays, metadata


def _archive(file: Path) -> dict[str, AnyArray]:
    try:
        with file.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InvalidInput(f"{file}: {_FOREIGN}: it holds one array")
            return {name: archive[name] for name in archive.files}
    except InvalidInput:
        raise
    except PermissionError as problem:
        raise InvalidInput(f"{file}: cannot be read: {problem.strerror}") from None
    except UNREADABLE:
        raise InvalidInput(f"{file}: {_FOREIGN}") from None


def _history(arrays: dict[str, AnyArray]) -> History | None:
    if "history_steps" not in arrays:
        return None
    steps, error_bound, regret, observed = (arrays[f"history_{name}"] for name in _HISTORY)
    return History(steps, error_bound, regret, tuple(observed.tolist()))


def _noise(arrays: dict[str, AnyArray], metadata: dict[str, Any]) -> NoiseFloor | None:
    if "noise_observed" not in arrays:
        return None
    return NoiseFloor(arrays.get("noise_predicted"), arrays["noise_observed"], int(metadata["noise_rounds"]))


def _require_same_game(file: Path, metadata: dict[str, Any], mean: AnyArray, game: Game) -> None:
    if mean.shape != game.means.shape:
        raise InvalidInput(
            f"{file}: this solution has {mean.shape[0]} agents and {mean.shape[1]} statistics, the game has "
            f"{game.n_agents} and {game.family.dim}"
        )
    if metadata.get("game_fingerprint") != game.fingerprint():
        raise InvalidInput(
            f"{file}: this solution is of another game: family, weights or data differ. Solve this game, and give the "
            "same pseudo-count as for solving"
        )
