"""The rules of one game, checked once before the first round."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from expfam_game._typing import FloatArray, IntArray, Seed
from expfam_game.bridge.agent import require_agent
from expfam_game.bridge.faults import POLICIES, Policy, Rules
from expfam_game.bridge.workers import contiguous
from expfam_game.errors import InvalidData, InvalidInput, InvalidWeights
from expfam_game.game.weights import Weights
from expfam_game.kernels.streams import seed_sequence
from expfam_game.samples import SampleSet

Draws = Literal["broadcast", "separate"]
Order = Literal["simultaneous", "sequential", "asynchronous"]

_DRAW, _CHECK, _AWAKE = 0, 1, 2
"""First entry of the key of a random stream: what it is for."""


@dataclass(frozen=True)
class Setting:
    """Everything that the rounds need to know and that never changes; ``play`` explains the fields."""

    weights: Weights
    private: tuple[tuple[SampleSet, ...], ...]
    n: tuple[int, ...]
    draws: Draws
    stratified: bool
    memory: int
    order: Order
    activity: float
    max_silence: int
    variables: tuple[IntArray, ...]
    label: int | None
    classes: int | None
    statistic: Callable[[Any], Any] | None
    support: Callable[[Any], Any] | None
    metrics: Mapping[str, Callable[[Any, int], float]]
    on_fault: Policy
    root: np.random.SeedSequence

    @property
    def n_agents(self) -> int:
        """N, as many as there are private data sets."""
        return len(self.private)

    @property
    def n_variables(self) -> int:
        """Shared variables in all."""
        return 1 + max(int(columns.max()) for columns in self.variables)

    def peers(self, agent: int) -> list[tuple[int, float]]:
        """Whom an agent listens to, with α_ij."""
        b = self.weights.off_diagonal
        row = slice(b.indptr[agent], b.indptr[agent + 1])
        return [(int(j), float(weight)) for j, weight in zip(b.indices[row], b.data[row])]

    def shares(self, agent: int) -> FloatArray:
        """How an agent's own weight is spread over its sample sets: by their numbers of rows."""
        rows = np.array([samples.n for samples in self.private[agent]], dtype=np.float64)
        return rows / rows.sum() if rows.size else rows

    def label_column(self, agent: int) -> int | None:
        """Where the label is among an agent's own columns; None if it does not model it."""
        if self.label is None:
            return None
        found = np.flatnonzero(self.variables[agent] == self.label)
        return int(found[0]) if found.size else None

    def rules(self, agent: int) -> Rules:
        """What a draw of an agent must look like."""
        return Rules(
            n=self.n[agent],
            columns=self.variables[agent],
            n_shared=self.n_variables,
            stratified=self.stratified,
            label=self.label_column(agent),
            classes=self.classes,
            support=self.support,
        )

    def seed(self, purpose: int, *key: int) -> int:
        """An integer of 63 bits that depends on the seed and the key alone, so not on order or number of processes."""
        child = np.random.SeedSequence(self.root.entropy, spawn_key=(*self.root.spawn_key, purpose, *key))
        return int(child.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def fingerprint(self, agents: Sequence[Any]) -> dict[str, str]:
        """What two runs must share for one to go on where the other stopped; the number of rounds is not part of it."""
        own = [samples for sets in self.private for samples in sets]
        return {
            "agents": _listed(type(agent).__qualname__ for agent in agents),
            "weights": f"with digest {_digest([self.weights.to_dense()])}",
            "private data": f"with digest {_digest([a for s in own for a in (s.values, s.mask(), s.row_weights)])}",
            "seed": f"{self.root.entropy}" + (f" with spawn key {key}" if (key := self.root.spawn_key) else ""),
            "n": _listed(self.n),
            "variables": _listed(columns.tolist() for columns in self.variables),
            "draws": self.draws,
            "stratified": str(self.stratified),
            "memory": str(self.memory),
            "order": self.order,
            "activity": f"{self.activity:g}",
            "max_silence": str(self.max_silence),
            "on_fault": self.on_fault,
            "label": str(self.label),
            "classes": str(self.classes),
            "statistic": _name(self.statistic),
            "support": _name(self.support),
            "metrics": _listed(self.metrics),
        }


def _listed(things: Iterable[Any]) -> str:
    return ", ".join(map(str, things)) or "none"


def _name(function: Any) -> str:
    return "none" if function is None else getattr(function, "__qualname__", type(function).__qualname__)


def draw_seed(setting: Setting, round: int, agent: int, consumer: int, version: int) -> int:
    """The seed of the samples that ``agent`` draws in a round for one consumer (or for all: ``n_agents``)."""
    return setting.seed(_DRAW, round, agent, consumer, version)


def check_seed(setting: Setting, round: int, agent: int) -> int:
    """The seed of the samples by which an agent is compared with theory after a round."""
    return setting.seed(_CHECK, round, agent)


def awake_seed(setting: Setting, round: int) -> int:
    """The seed that decides who is awake in a round of asynchronous play."""
    return setting.seed(_AWAKE, round)


def prepare(
    agents: Sequence[Any],
    weights: Weights,
    private: Sequence[Any],
    *,
    n: Any,
    draws: Draws,
    stratified: bool,
    memory: int,
    order: Order,
    activity: float,
    max_silence: int,
    variables: Sequence[Any] | None,
    label: int | None,
    classes: int | None,
    statistic: Callable[[Any], Any] | None,
    support: Callable[[Any], Any] | None,
    metrics: Mapping[str, Callable[[Any, int], float]] | None,
    on_fault: Policy,
    seed: Seed,
) -> Setting:
    """Check all arguments of ``play`` that govern the rounds."""
    n_agents = _check_agents(agents, weights, private, stratified)
    require(draws in ("broadcast", "separate"), "draws", draws, "'broadcast' or 'separate'")
    orders = ("simultaneous", "sequential", "asynchronous")
    require(order in orders, "order", order, f"one of {orders}")
    require(on_fault in POLICIES, "on_fault", on_fault, f"one of {POLICIES}")
    require_count("memory", memory)
    require_count("max_silence", max_silence)
    require(isinstance(activity, (int, float)) and 0 < activity <= 1, "activity", activity, "a number in (0, 1]")
    functions = {"statistic": statistic, "support": support, **_checked_metrics(metrics)}
    for name, function in functions.items():
        require(function is None or callable(function), name, function, "callable")
    sets = tuple(_sample_sets(private[i], i, weights.self_weights[i]) for i in range(n_agents))
    columns = _columns(variables, sets, n_agents)
    setting = Setting(
        weights=weights,
        private=sets,
        n=_sizes(n, weights),
        draws=draws,
        stratified=bool(stratified),
        memory=int(memory),
        order=order,
        activity=float(activity),
        max_silence=int(max_silence),
        variables=columns,
        label=_label(label, 1 + max(int(c.max()) for c in columns)),
        classes=None,
        statistic=statistic,
        support=support,
        metrics=dict(metrics or {}),
        on_fault=on_fault,
        root=seed_sequence(seed),
    )
    return _with_classes(setting, classes)


# ---------------------------------------------------------------------- checks


def require(holds: bool, name: str, value: object, rule: str) -> None:
    """Raise InvalidInput about an argument of ``play``."""
    if not holds:
        raise InvalidInput(f"{name} is {value!r}; it must be {rule}")


def require_count(name: str, value: object, least: int = 1) -> None:
    """Raise InvalidInput unless an argument is an integer, at least ``least``."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    require(whole and value >= least, name, value, f"an integer, at least {least}")  # type: ignore[operator]


def _check_agents(agents: Sequence[Any], weights: Weights, private: Sequence[Any], stratified: bool) -> int:
    if not isinstance(weights, Weights):
        raise InvalidInput(f"weights must be a Weights object, got {type(weights).__name__}; see Weights.from_dense")
    if len(agents) != weights.n_agents or len(private) != weights.n_agents:
        raise InvalidInput(
            f"the weights are for {weights.n_agents} agents, but there are {len(agents)} agents and {len(private)} items "
            "of private data; give one each (None for an agent without data)"
        )
    for i, agent in enumerate(agents):
        require_agent(agent, i, stratified)
    weights.require_anchored()
    return weights.n_agents


def _sample_sets(private: Any, agent: int, self_weight: float) -> tuple[SampleSet, ...]:
    """An agent's own data as sample sets; none where it gives its data no weight."""
    several = isinstance(private, (list, tuple)) and any(
        isinstance(part, SampleSet) or getattr(part, "ndim", 0) == 2 for part in private
    )
    parts: Any = private if several else () if private is None else (private,)
    try:
        sets = tuple(contiguous(SampleSet.of(part)) for part in parts)
    except InvalidInput as problem:
        raise InvalidData(f"private data of agent {agent}: {problem}", agent=agent) from None
    sets = tuple(part for part in sets if part.n)
    if self_weight > 0 and not sets:
        raise InvalidWeights(
            f"agent {agent} has no private data, but self-weight {self_weight:g}; give it self-weight 0", agent=agent
        )
    return sets if self_weight > 0 else ()


def _columns(
    variables: Sequence[Any] | None, sets: Sequence[Sequence[SampleSet]], n_agents: int
) -> tuple[IntArray, ...]:
    if variables is None:
        width = next(part.n_variables for parts in sets for part in parts)
        columns = tuple(np.arange(width) for _ in range(n_agents))
        advice = "all agents must have the same variables; or say by variables= which of the shared ones each has"
    else:
        require(len(variables) == n_agents, "variables", variables, f"a list of {n_agents} lists of variables")
        columns = tuple(_indices(chosen, i) for i, chosen in enumerate(variables))
        advice = "variables= gives it another number"
    for i, parts in enumerate(sets):
        for part in parts:
            if part.n_variables != columns[i].size:
                raise InvalidData(
                    f"private data of agent {i} has {part.n_variables} variables, not {columns[i].size}: {advice}",
                    agent=i,
                )
    return columns


def _indices(chosen: Any, agent: int) -> IntArray:
    array = np.asarray(chosen)
    good = array.ndim == 1 and array.size > 0 and array.dtype.kind in "iu"
    if not good or array.min() < 0 or np.unique(array).size != array.size:
        raise InvalidInput(f"variables of agent {agent} are {chosen!r}; give different indices 0, 1, …", agent=agent)
    return array.astype(np.int64)


def _label(label: int | None, n_variables: int) -> int | None:
    if label is None:
        return None
    whole = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
    require(whole and -n_variables <= label < n_variables, "label", label, f"a column of the {n_variables} variables")
    return int(label) % n_variables


def _with_classes(setting: Setting, classes: int | None) -> Setting:
    """Classes counted where they are not given, labels checked, and everybody able to hear those it listens to."""
    if setting.label is None:
        require(classes is None, "classes", classes, "left out, or given with label=")
    elif classes is None:
        highest = [_highest(part, column) for i, column in _labelled(setting) for part in setting.private[i]]
        classes = 1 + max(highest, default=0)
    else:
        require_count("classes", classes)
    for i, column in _labelled(setting):
        for part in setting.private[i]:
            try:
                part.labels(column, classes or 1)
            except InvalidData as problem:
                raise InvalidData(f"private data of agent {i}: {problem}", agent=i) from None
    for i in range(setting.n_agents):
        for j, _ in setting.peers(i):
            if not np.intersect1d(setting.variables[i], setting.variables[j]).size:
                raise InvalidInput(f"agent {i} listens to agent {j}, but they share no variable", agent=i)
    return replace(setting, classes=classes)


def _labelled(setting: Setting) -> list[tuple[int, int]]:
    """Agents that model the label, each with the label's column."""
    columns = ((i, setting.label_column(i)) for i in range(setting.n_agents))
    return [(i, column) for i, column in columns if column is not None]


def _highest(part: SampleSet, column: int) -> int:
    """The largest observed label."""
    known = np.broadcast_to(part.mask()[:, column], (part.n,))
    return int(part.values[known, column].max()) if known.any() else 0


def _sizes(n: Any, weights: Weights) -> tuple[int, ...]:
    """Rows of a draw of each agent; an agent whom nobody hears may draw none."""
    sizes = list(n) if np.iterable(n) else [n] * weights.n_agents
    require(len(sizes) == weights.n_agents, "n", n, f"one number, or one for each of {weights.n_agents} agents")
    heard = np.bincount(weights.off_diagonal.indices, minlength=weights.n_agents)
    for agent, size in enumerate(sizes):
        require_count(f"n of agent {agent}", size, 1 if heard[agent] else 0)
    return tuple(int(size) for size in sizes)


def _checked_metrics(metrics: Any) -> dict[str, Any]:
    require(metrics is None or isinstance(metrics, Mapping), "metrics", metrics, "a mapping of names to functions")
    taken = {"round", "agent", "statistic", "support"} & set(metrics or ())
    require(not taken, "metrics", metrics, f"without the name {', '.join(sorted(taken))}, which means something else")
    return dict(metrics or {})


def _digest(arrays: Sequence[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(b"none" if array is None else f"{array.dtype.str}{array.shape}".encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
