"""What changes from round to round, and nothing else: this is what a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.bridge.faults import Fault
from expfam_game.bridge.theory import Ledger
from expfam_game.samples import SampleSet


@dataclass(frozen=True)
class Letter:
    """Samples on their way.

    Attributes
    ----------
    number : int
        Counts all letters of a game.
    round : int
        When it was written.
    version : int
        How often the sender had been fitted by then.
    samples : SampleSet or None
        In the sender's columns; None where a checkpoint keeps them in a file of their own.
    slot : int
        Its place in the ledger; −1 without one.
    spread : ndarray, shape (K,), or None
        Variance of the compared statistic among its rows.
    """

    number: int
    round: int
    version: int
    samples: SampleSet | None
    slot: int
    spread: FloatArray | None


@dataclass
class State:
    """A game between two rounds.

    Letters are kept by (sender, consumer); the consumer of a broadcast is ``n_agents``. ``quiet`` holds the pairs whose
    sender, when last asked, had nothing to say, each with the version that was asked.
    """

    agents: list[Any]
    edges: IntArray
    round: int = -1
    fitted: list[bool] = field(default_factory=list)
    dropped: list[bool] = field(default_factory=list)
    version: list[int] = field(default_factory=list)
    asleep: list[int] = field(default_factory=list)
    letters: dict[tuple[int, int], list[Letter]] = field(default_factory=dict)
    quiet: dict[tuple[int, int], int] = field(default_factory=dict)
    written: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)
    bytes_sent: list[IntArray] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ledger: Ledger | None = None
    own_spread: FloatArray | None = None
    observed: list[FloatArray] = field(default_factory=list)
    predicted: list[FloatArray] = field(default_factory=list)
    variance: list[FloatArray] = field(default_factory=list)

    def __post_init__(self) -> None:
        n = len(self.agents)
        for name, start in (("fitted", False), ("dropped", False), ("version", 0), ("asleep", 0)):
            if not getattr(self, name):
                setattr(self, name, [start] * n)

    def note(self, text: str) -> None:
        """Remember something the reader of the result should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def nothing_sent(self) -> IntArray:
        """A row of zeros, one per edge."""
        return np.zeros(len(self.edges), dtype=np.int64)
