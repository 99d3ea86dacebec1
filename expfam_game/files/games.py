"""Game files: a game described in TOML, with its data and weights in files beside it.

Every complaint names the file, the table and the key.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from expfam_game import families
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.families.base import Family
from expfam_game.files.data import (
    batches,
    existing,
    load_array,
    load_weights,
    numeric,
    weights_of_edges,
)
from expfam_game.files.messages import absent, located, relocated, suggestion
from expfam_game.game import catalog
from expfam_game.game.game import Game
from expfam_game.game.weights import Weights

CATALOG_PREFIX = "catalog:"
"""``catalog:NAME`` stands for a game of the catalogue wherever a path to a game file is expected."""

_NO_NAMES = {"DataMoments", "Family", "FromStatistic", "MomentEstimate", "mean_statistic"}
FAMILY_NAMES = tuple(sorted(set(families.__all__) - _NO_NAMES))
"""The families that a game file can name; FromStatistic needs a Python function."""

ISING_TOPOLOGIES = ("chain", "complete", "grid")
"""The graphs of an Ising model that a game file can name, beside a list of edges."""

TOPOLOGIES = ("barabasi_albert", "complete", "erdos_renyi", "grid", "ring", "star")
"""The constructors of Weights that a game file can name."""


# ---------------------------------------------------------------------- game files


def load_game(path: str | Path, *, pseudo_count: float | None = None) -> Game:
    """The game that a TOML file describes, or a game of the catalogue.

    Parameters
    ----------
    path : str or Path
        A TOML file, or ``"catalog:NAME"``.
    pseudo_count : float, optional
        In place of the one in the file.

    Raises
    ------
    InvalidInput
        Or one of its subclasses; the message names the file, the table and the key.

    Notes
    -----
    ::

        [family]
        name = "Bernoulli"       # any family except FromStatistic, which needs a Python function
        dim = 64                 # its arguments by name; an array may also be the name of a file
        # copies = 10            # optional: so many independent copies

        [weights]
        topology = "ring"        # with its arguments, or: file = "weights.csv", matrix = [[…]], edges = [[i, j, weight], …]
        n_agents = 3
        self_weight = 0.3

        [data]
        files = ["a.csv", "b.npy", ""]   # "" is an agent without data; or a glob "agents/*.csv"
        # means = "means.csv"            # instead of files; also an array, rows of agents without data are nan
        # counts = "counts.csv"          # sample sizes that go with means
        pseudo_count = 1.0               # optional, also prior_mean = […]

    Files are found relative to the TOML file. A product of different families is a list of ``[[family.factors]]``.

    Examples
    --------
    >>> load_game("catalog:two_agents")
    Game(Bernoulli(dim=1), n_agents=2)
    """
    if str(path).startswith(CATALOG_PREFIX):
        return _catalog_game(str(path).removeprefix(CATALOG_PREFIX), pseudo_count)
    root = _read_toml(Path(path))
    root.only("family", "weights", "data")
    family = _family(root.table("family"))
    weights = _weights(root.table("weights"))
    return _game(root.table("data"), family, weights, pseudo_count)


def _catalog_game(name: str, pseudo_count: float | None) -> Game:
    if name not in catalog.names():
        raise InvalidInput(
            f"there is no game named {name!r} in the catalogue{suggestion(name, catalog.names())}; "
            f"its games are: {', '.join(catalog.names())}"
        )
    game = catalog.load(name)
    if pseudo_count is None:
        return game
    means = np.where(game.weights.self_weights[:, None] > 0, game.means, np.nan)
    return Game(game.family, game.weights, means=means, counts=game.counts, pseudo_count=pseudo_count)


def _read_toml(file: Path) -> _Table:
    if not file.is_file():
        if file.stem in catalog.names() and not file.exists():
            hint = f"the game of the catalogue is {CATALOG_PREFIX}{file.stem}"
            raise InvalidInput(f"{file}: there is no such game file; {hint}")
        raise absent(file, "game file")
    try:
        values = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InvalidInput(f"{file}: not a valid TOML file: {problem}") from None
    return _Table(file, "", values)


@dataclass(frozen=True)
class _Table:
    """A table of a game file, which knows where it stands."""

    file: Path
    name: str
    values: dict[str, Any]

    def error(self, key: str, message: str) -> InvalidInput:
        return InvalidInput(f"{self.where(key)}: {message}")

    def where(self, key: str = "") -> str:
        return f"{self.file}:" + (f" [{self.name}]" if self.name else "") + (f" {key}" if key else "")

    def only(self, *allowed: str) -> None:
        """Raise about a key that means nothing."""
        for key in self.values:
            if key not in allowed:
                known = ", ".join(allowed)
                raise self.error(key, f"unknown key{suggestion(key, allowed)}; the keys here are: {known}")

    def table(self, key: str) -> _Table:
        value = self.values.get(key)
        if value is None:
            raise InvalidInput(f"{self.file}: the table [{key}] is missing")
        return self.child(key, value)

    def child(self, name: str, value: Any) -> _Table:
        path = f"{self.name}.{name}" if self.name else name
        if not isinstance(value, dict):
            raise InvalidInput(f"{self.file}: {path} must be a table, not {value!r}")
        return _Table(self.file, path, value)

    def one_of(self, *keys: str) -> str:
        """The only one of these keys that is there."""
        present = [key for key in keys if key in self.values]
        if len(present) != 1:
            found = f"both {present[0]} and {present[1]} are there" if present else "none of them is there"
            raise InvalidInput(f"{self.where()} give exactly one of {', '.join(keys)}; {found}")
        return present[0]

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        value = self.values.get(key)
        if value is None:
            raise self.error(key, f"the key is missing; it must be one of {', '.join(allowed)}")
        if value not in allowed:
            hint = suggestion(str(value), allowed)
            raise self.error(key, f"{value!r} is unknown{hint}; it must be one of {', '.join(allowed)}")
        return str(value)

    def path(self, key: str, value: Any) -> Path:
        """A file named under ``key``, relative to the game file."""
        if not isinstance(value, str) or not value:
            raise self.error(key, f"{value!r} must be the name of a file")
        return self.file.parent / value

    def array(self, key: str) -> AnyArray | None:
        """An array written in the game file or in a file of its own."""
        value = self.values.get(key)
        if value is None:
            return None
        with located(self.where(key)):
            if isinstance(value, str):
                return load_array(self.path(key, value))
            if not isinstance(value, list):
                raise InvalidInput(f"{value!r} is not allowed; it must be a list of numbers or the name of a file")
            return numeric(np.array(value, dtype=np.float64), "value")


def _family(table: _Table) -> Family:
    name = table.values.get("name")
    if name == "FromStatistic":
        raise table.error(
            "name", "FromStatistic needs a Python function; build that game in Python with expfam_game.Game"
        )
    name = "Product" if name is None and "factors" in table.values else table.choice("name", FAMILY_NAMES)
    copies = _number(table, "copies", "int", table.values.get("copies", 1), least=1)
    maker = getattr(families, name)
    if name == "Product":
        table.only("name", "copies", "factors")
        arguments = {"factors": _factors(table)}
    elif name == "Ising" and "topology" in table.values:
        maker = getattr(maker, table.choice("topology", ISING_TOPOLOGIES))
        arguments = _arguments(table, maker, reserved=("name", "topology", "copies"))
    else:
        more = ("topology",) if name == "Ising" else ()
        arguments = _arguments(table, maker, reserved=("name", "copies", *more))
    with located(f"{table.where()}"):
        family: Family = maker(**arguments)
        return family if copies == 1 else family**copies


def _factors(table: _Table) -> list[Family]:
    factors = table.values.get("factors")
    if not isinstance(factors, list) or not factors:
        raise table.error("factors", "a Product needs at least one table [[family.factors]]")
    return [_family(table.child(f"factors[{k}]", factor)) for k, factor in enumerate(factors)]


def _weights(table: _Table) -> Weights:
    kind = table.one_of("topology", "file", "matrix", "edges")
    if kind == "topology":
        name = table.choice("topology", TOPOLOGIES)
        arguments = _arguments(table, getattr(Weights, name), reserved=("topology",))
        if name == "barabasi_albert" and not arguments["attachments"] < arguments["n_agents"]:
            raise table.error("attachments", f"{arguments['attachments']} must be less than n_agents")
        with located(table.where()):
            return getattr(Weights, name)(**arguments)  # type: ignore[no-any-return]
    if kind == "matrix":
        table.only("matrix")
        with located(table.where("matrix")):
            return Weights.from_dense(table.array("matrix"))  # type: ignore[arg-type]
    table.only(kind, "n_agents", "self_weight")
    n_agents = table.values.get("n_agents")
    if n_agents is not None:
        _number(table, "n_agents", "int", n_agents, least=1)
    trust = table.values.get("self_weight")
    if trust is not None:
        trust = _argument(table, "self_weight", trust, "float | Sequence[float]")
    if kind == "file":
        with located(table.where("file")):
            return load_weights(table.path("file", table.values["file"]), n_agents=n_agents, self_weight=trust)
    edges = table.array("edges")
    if edges is None or edges.ndim != 2 or edges.shape[1] != 3:
        raise table.error("edges", "it must be a list of [i, j, weight]")
    with located(table.where("edges")):
        return weights_of_edges(edges, n_agents, trust)


def _game(table: _Table, family: Family, weights: Weights, pseudo_count: float | None) -> Game:
    table.only("files", "means", "counts", "pseudo_count", "prior_mean")
    kind = table.one_of("files", "means")
    if kind == "files" and "counts" in table.values:
        raise table.error("counts", "sample sizes are read from the files; counts goes with means")
    amount = table.values.get("pseudo_count", 0.0)
    _number(table, "pseudo_count", "float", amount)
    options: dict[str, Any] = {"pseudo_count": amount if pseudo_count is None else pseudo_count}
    prior = table.array("prior_mean")
    options["prior_mean"] = None if prior is None else prior.ravel()
    if kind == "means":
        means, counts = table.array("means"), table.array("counts")
        with located(table.where()):
            return Game(family, weights, means=means, counts=None if counts is None else counts.ravel(), **options)
    files = _data_files(table)
    if len(files) != weights.n_agents:
        n = weights.n_agents
        raise table.error(
            "files",
            f"{len(files)} files for {n} agents: the weights name agents 0 to {n - 1}; give one file each, '' for none",
        )
    for position, file in enumerate(files):
        with located(table.where(f"files[{position}]")):
            _ = file is None or existing(file)
    try:
        return Game(family, weights, [None if file is None else _samples(file, family) for file in files], **options)
    except InvalidInput as problem:
        owner = files[problem.agent] if isinstance(problem.agent, int) else None
        at = table.where("" if owner is None else f"files[{problem.agent}], {owner.name}:")
        raise relocated(problem, at.removesuffix(":")) from None


def _data_files(table: _Table) -> list[Path | None]:
    """One path per agent, None for an agent without data."""
    value = table.values["files"]
    if isinstance(value, str):
        found = sorted(table.file.parent.glob(value), key=_natural_order) if value else []
        if not found:
            raise table.error("files", f"no file matches {value!r} in {table.file.parent.resolve()}")
        return list(found)
    if not isinstance(value, list):
        raise table.error("files", "it must be a list of file names or a pattern such as 'agents/*.csv'")
    return [table.path(f"files[{k}]", name) if name != "" else None for k, name in enumerate(value)]


def _natural_order(file: Path) -> list[tuple[int, str]]:
    """agent2 before agent10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(file)) if part]


def _samples(file: Path, family: Family) -> Iterator[AnyArray]:
    """The samples in a file, rows reshaped to samples where their sizes agree."""
    for batch in batches(file):
        if batch.shape[1:] != family.event_shape and len(batch) and batch[0].size == prod(family.event_shape):
            batch = batch.reshape(len(batch), *family.event_shape)
        if len(batch):
            yield batch


# ---------------------------------------------------------------------- arguments by name


def _arguments(table: _Table, maker: Callable[..., Any], reserved: Sequence[str]) -> dict[str, Any]:
    """The entries of a table as arguments of ``maker``, each checked against its annotation."""
    parameters = inspect.signature(maker).parameters
    table.only(*reserved, *parameters)
    arguments = {}
    for name, parameter in parameters.items():
        if name in table.values:
            arguments[name] = _argument(table, name, table.values[name], str(parameter.annotation))
        elif parameter.default is parameter.empty:
            raise table.error(name, f"the key is missing; {table.values[reserved[0]]} needs it")
    return arguments


_LEAST = {"n_agents": 1, "rows": 1, "columns": 1, "attachments": 1, "seed": 0, "probability": 0}
"""The smallest value of arguments that the constructors leave to NumPy or NetworkX to refuse."""


def _argument(table: _Table, key: str, value: Any, annotation: str) -> Any:
    is_sequence = any(word in annotation for word in ("Array", "Sequence", "Iterable", "tuple", "list"))
    if is_sequence and isinstance(value, list):
        return _numbers(table, key, value) if "Array" in annotation else value
    if is_sequence and isinstance(value, str) and "str" not in annotation:
        return table.array(key)
    if isinstance(value, str):
        if "str" in annotation or f"'{value}'" in annotation or f'"{value}"' in annotation:
            return value
    elif isinstance(value, bool):
        if "bool" in annotation:
            return value
    elif isinstance(value, (int, float)):
        for kind in ("int", "Seed", "float"):
            if kind in annotation and (kind == "float" or isinstance(value, int)):
                return _number(table, key, kind, value, least=_LEAST.get(key))
    raise table.error(key, f"{value!r} is not allowed; it must be {_in_words(annotation)}")


def _numbers(table: _Table, key: str, value: list[Any]) -> FloatArray:
    with located(table.where(key)):
        return np.array(value, dtype=np.float64)


def _number(table: _Table, key: str, kind: str, value: Any, least: int | None = None) -> Any:
    whole = kind != "float"
    good = isinstance(value, int) if whole else isinstance(value, (int, float))
    if not good or isinstance(value, bool):
        raise table.error(key, f"{value!r} is not allowed; it must be {'an integer' if whole else 'a number'}")
    if least is not None and value < least:
        raise table.error(key, f"{value!r} is not allowed; it must be at least {least}")
    if key == "probability" and value > 1:
        raise table.error(key, f"{value!r} is not allowed; a probability is at most 1")
    return value


_WORDS = {
    "bool": "true or false",
    "int": "an integer",
    "Seed": "an integer",
    "float": "a number",
    "Sequence[float]": "a list of numbers",
    "ArrayLike": "an array or the name of a file",
    "FloatArray": "an array or the name of a file",
    "Sequence[tuple[int, int]]": "a list of pairs",
    "str": "a string",
    "None": "",
}


def _in_words(annotation: str) -> str:
    parts = [_WORDS.get(part, part) for part in annotation.split(" | ")]
    return " or ".join(part for part in parts if part)
