"""What a game of black-box agents leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.bridge.faults import Fault
from expfam_game.bridge.theory import TheoryCheck
from expfam_game.errors import InvalidInput
from expfam_game.samples import counted


@dataclass(frozen=True, eq=False)
class PlayResult:
    """The outcome of :func:`~expfam_game.bridge.play`.

    Attributes
    ----------
    agents : tuple
        The agents after the last round; those that were passed in are unchanged.
    rounds : int
        Rounds of exchange that were played; round 0 is the start on private data.
    records : tuple of dict
        One row for each round and agent: ``"round"``, ``"agent"`` and the metrics.
    edges : ndarray of int, shape (E, 2)
        (listener, sender), in the order of ``bytes_sent``.
    bytes_sent : ndarray of int, shape (rounds + 1, E)
        Bytes of samples that each listener got from each sender: values it models, masks and row weights.
    weights : ndarray, shape (n_agents, n_agents)
        The weights in force at the end: those given, without agents that were dropped or silent, rows again summing to
        one. Rows of dropped agents are zero.
    influence : ndarray, shape (n_agents, n_agents)
        R = (I − B)^{-1} D of these ``weights``: whose data makes whose model at the equilibrium (T2). Rounds that were dropped
        do not change it (T6). NaN in the rows of agents without a way to data, as dropped ones.
    faults : tuple of Fault
        Who failed when, why, and what was done.
    theory : TheoryCheck or None
        Given a statistic or a label: every agent against linear theory.
    notes : tuple of str
        Why there is no theory check, or what it leaves out; which metrics are NaN since a model could not answer.

    Examples
    --------
    >>> import expfam_game as eg
    >>> from expfam_game.bridge import FamilyAgent, play
    >>> family = eg.families.Poisson()
    >>> agents = [FamilyAgent(family), FamilyAgent(family)]
    >>> result = play(agents, eg.Weights.complete(2, 0.5), [[[1.0], [2.0]], [[4.0]]], rounds=3, n=100, seed=0)
    >>> result
    PlayResult(2 agents, 3 rounds, 4800 bytes sent, no faults, no theory check)
    >>> result.rounds, result.bytes_sent.tolist()
    (3, [[0, 0], [800, 800], [800, 800], [800, 800]])
    """

    agents: tuple[Any, ...]
    rounds: int
    records: tuple[dict[str, Any], ...]
    edges: IntArray
    bytes_sent: IntArray
    weights: FloatArray
    influence: FloatArray
    faults: tuple[Fault, ...]
    theory: TheoryCheck | None
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        parts = [
            counted(len(self.agents), "agent"),
            counted(self.rounds, "round"),
            f"{int(self.bytes_sent.sum())} bytes sent",
            counted(len(self.faults), "fault") if self.faults else "no faults",
        ]
        if names := self._metric_names():
            parts.append(f"metrics: {', '.join(names)}")
        parts.append("no theory check" if self.theory is None else repr(self.theory))
        if self.notes:
            parts.append(counted(len(self.notes), "note"))
        return f"PlayResult({', '.join(parts)})"

    def _metric_names(self) -> list[str]:
        return [key for key in self.records[0] if key not in ("round", "agent")]

    def metric(self, name: str) -> FloatArray:
        """One metric as a table, shape (rounds + 1, n_agents); NaN where an agent could not answer yet (see ``notes``).

        Raises
        ------
        InvalidInput
            If no metric has this name; lists those that were recorded.
        """
        known = self._metric_names()
        if name not in known:
            raise InvalidInput(f"there is no metric {name!r}; recorded were: {', '.join(known) or 'none'}")
        values = np.array([record[name] for record in self.records], dtype=np.float64)
        return values.reshape(self.rounds + 1, len(self.agents))
