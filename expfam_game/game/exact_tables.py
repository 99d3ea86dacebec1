"""A game on a finite space in rational numbers: what its certificate (C6) and its span test (T10a) are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.errors import InvalidData, InvalidInput, InvalidWeights
from expfam_game.game.weights import Weights

RANK_WORK = 200_000
"""Entries of two statistic tables up to which their spans are compared in rational arithmetic."""

Table = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class ExactTables:
    """State s has probability ∝ base(s) exp(log_base(s) + ⟨θ_i, statistics_i(s)⟩) under agent i.

    Attributes
    ----------
    statistics : tuple of Table
        For each agent, one row per state.
    base, log_base : Table
        For each agent, one entry per state.
    weights : tuple of dict
        For each agent, the positive weights by listener's column.
    means : Table
        For each agent, the average of its statistic over its data.
    """

    statistics: tuple[Table, ...]
    base: Table
    log_base: Table
    weights: tuple[dict[int, Fraction], ...]
    means: Table

    @classmethod
    def from_floats(
        cls,
        tables: Sequence[FloatArray],
        log_masses: Sequence[FloatArray],
        weights: Weights,
        means: Sequence[FloatArray],
    ) -> ExactTables:
        """Every float taken as the binary fraction that it is."""
        matrix = weights.matrix
        rows = [
            dict(zip(matrix.indices[a:b].tolist(), map(Fraction, matrix.data[a:b].tolist())))
            for a, b in zip(matrix.indptr, matrix.indptr[1:])
        ]
        return cls(
            statistics=tuple(_table(table) for table in tables),
            base=tuple((Fraction(1),) * len(table) for table in tables),
            log_base=_table(log_masses),
            weights=tuple(rows),
            means=_table(means),
        )

    def digest_bytes(self) -> bytes:
        """What a fingerprint is made of."""
        parts = (self.statistics, self.base, self.log_base, [sorted(row.items()) for row in self.weights], self.means)
        return repr(parts).encode()


def _table(rows: Any) -> Table:
    return tuple(tuple(Fraction(value) for value in np.asarray(row).tolist()) for row in rows)


# ---------------------------------------------------------------------- reading rational numbers


def fraction(value: Any, what: str) -> Fraction:
    """A number as a fraction: an integer, a ``Fraction``, a string such as ``"3/20"`` or ``"0.15"``, or a float as it is.

    >>> fraction("0.15", "a weight"), fraction(0.5, "a weight")
    (Fraction(3, 20), Fraction(1, 2))
    """
    try:
        if isinstance(value, bool) or not isinstance(value, (str, Rational, Real)):
            raise TypeError
        return Fraction(value) if isinstance(value, (str, Rational)) else Fraction(float(value))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise InvalidInput(
            f"{what} is {value!r}; give an integer, a Fraction, a string such as '3/20', or a float"
        ) from None


def fraction_rows(rows: Any, what: str) -> Table:
    """A table of fractions; a row may also be a single number."""
    if isinstance(rows, (str, bytes)) or not hasattr(rows, "__len__"):
        raise InvalidInput(f"{what} must be a sequence with one entry for each row, got {type(rows).__name__}")
    result = []
    for position, row in enumerate(rows):
        entries = list(row) if hasattr(row, "__len__") and not isinstance(row, (str, bytes)) else [row]
        result.append(tuple(fraction(value, f"an entry of row {position} of {what}") for value in entries))
    return tuple(result)


# ---------------------------------------------------------------------- spans


def same_span(one: Table, other: Table) -> bool:
    """Whether {1, φ} and {1, φ'} span the same functions on the states, decided in rational arithmetic.

    The reduced row echelon form of a matrix depends on its row space only.

    >>> a = fraction_rows([0, 1, 2], "a table")
    >>> same_span(a, fraction_rows([1, 3, 5], "a table")), same_span(a, fraction_rows([0, 1, 4], "a table"))
    (True, False)
    """
    return one == other or _echelon(one) == _echelon(other)


def _echelon(table: Table) -> Any:
    from flint import fmpq, fmpq_mat

    columns = [[fmpq(1)] * len(table)]
    columns += [[fmpq(value.numerator, value.denominator) for value in column] for column in zip(*table)]
    return fmpq_mat(columns).rref()[0]


# ---------------------------------------------------------------------- a whole game


def floats(table: Sequence[Sequence[Fraction]]) -> FloatArray:
    """The nearest floats."""
    try:
        return np.array([[float(value) for value in row] for row in table])
    except OverflowError:
        raise InvalidInput("a statistic has a value beyond the range of floats, 1.8e308; rescale it") from None


def exact_base(tables: Sequence[Table], base: Sequence[Any] | None) -> Table:
    """The base measures, checked; counting measure if none is given."""
    if base is None:
        return tuple((Fraction(1),) * len(table) for table in tables)
    rows = fraction_rows(base, "base")
    for agent, (table, row) in enumerate(zip(tables, rows)):
        if len(row) != len(table) or not all(value > 0 for value in row):
            raise InvalidInput(
                f"base: agent {agent} needs {len(table)} positive numbers, one for each state", agent=agent
            )
    if len(rows) != len(tables):
        raise InvalidInput(f"base has {len(rows)} rows, but there are {len(tables)} agents")
    return rows


def exact_weights(weights: Sequence[Sequence[Any]], n_agents: int) -> tuple[dict[int, Fraction], ...]:
    """α as one dict of positive entries for each agent."""
    rows = fraction_rows(weights, "the weights")
    if len(rows) != n_agents or any(len(row) != n_agents for row in rows):
        raise InvalidWeights(f"the weights must be a square matrix for {n_agents} agents")
    for agent, row in enumerate(rows):
        if min(row) < 0 or sum(row) != 1:
            raise InvalidWeights(
                f"row {agent} of the weights is {', '.join(map(str, row))} with sum {sum(row)}; entries must be non-negative "
                "and sum to one exactly",
                agent=agent,
                rule="every row sums to one",
            )
    return tuple({j: value for j, value in enumerate(row) if value > 0} for row in rows)


def exact_means(
    tables: Sequence[Table],
    means: Sequence[Any] | None,
    state_counts: Sequence[Any] | None,
    weights: Sequence[dict[int, Fraction]],
) -> Table:
    """The average of every agent's statistic over its data; zero for agents without data."""
    if (means is None) == (state_counts is None):
        raise InvalidInput("give either state_counts= or means=, each with one item per agent, and not both")
    given = means if state_counts is None else state_counts
    if given is None or not hasattr(given, "__len__") or len(given) != len(tables):
        raise InvalidInput(f"state_counts or means must have one item for each of the {len(tables)} agents")
    result = []
    for agent, (table, item) in enumerate(zip(tables, given)):
        if item is None and agent in weights[agent]:
            raise InvalidData(f"agent {agent} has no data, but its self-weight is {weights[agent][agent]}", agent=agent)
        if item is None:
            result.append((Fraction(0),) * len(table[0]))
        elif state_counts is None:
            result.append(_row(item, len(table[0]), f"the mean of agent {agent}"))
        else:
            result.append(_average(table, _row(item, len(table), f"the state counts of agent {agent}"), agent))
    return tuple(result)


def _row(item: Any, length: int, what: str) -> tuple[Fraction, ...]:
    rows = fraction_rows(item if hasattr(item, "__len__") and not isinstance(item, str) else [item], what)
    if len(rows) != length or any(len(row) != 1 for row in rows):
        raise InvalidInput(f"{what} must be {length} numbers")
    return tuple(row[0] for row in rows)


def _average(table: Table, counts: Sequence[Fraction], agent: int) -> tuple[Fraction, ...]:
    total = sum(counts, Fraction(0))
    if min(counts) < 0 or total == 0:
        raise InvalidInput(f"the state counts of agent {agent} must be non-negative and not all zero", agent=agent)
    return tuple(sum((n * value for n, value in zip(counts, column)), Fraction(0)) / total for column in zip(*table))
