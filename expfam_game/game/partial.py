"""Agents who see different variables: finite tables, samples known only on shared variables, EM best response (T11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from expfam_game._typing import ArrayLike, FloatArray
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.game.weights import Weights

Profile = Sequence[FloatArray]
"""One table per agent, over that agent's variables in the order in which it sees them."""


@dataclass(frozen=True)
class PartialSolution:
    """Where rounds of EM steps ended.

    Attributes
    ----------
    models : tuple of ndarray
        One table per agent, over its variables; each sums to one.
    steps : int
    change : float
        Largest change of a probability in the last round.
    converged : bool
        Whether ``change`` fell to the tolerance.
    """

    models: tuple[FloatArray, ...]
    steps: int
    change: float
    converged: bool


class PartialGame:
    """Agents with a table each over their own subset of variables (T11).

    A sample of agent j reaches agent i with the variables that both see; agent i completes the rest itself. Its utility is

        L_i = α_ii Σ_x π_i(x) log p_i(x) + Σ_j α_ij Σ_s p_j(s) log p_i(s),   s = values of the variables both see,

    which is concave in the table p_i, and one EM step never lowers it.

    Parameters
    ----------
    states : sequence of int
        Number of states of every variable.
    seen : sequence of sequences of int
        The variables of every agent.
    weights : Weights
    data : sequence of array_like or None
        Counts or frequencies over an agent's variables, an array of shape ``[states[v] for v in seen[i]]``; None for an
        agent without data, whose self-weight must be zero.

    Examples
    --------
    Both agents see variable 0; each sees one more alone. What they share obeys T2, here R = [[2, 1], [1, 2]]/3.

    >>> import expfam_game as eg
    >>> first = [[8, 2], [0, 0]]   # variable 0 is always 0, variable 1 mostly 0
    >>> second = [[1, 1], [1, 1]]
    >>> game = eg.game.PartialGame([2, 2, 2], [[0, 1], [0, 2]], eg.Weights.complete(2, 0.5), [first, second])
    >>> solution = game.play()
    >>> game.marginal(0, solution.models[0], [0]).round(6)  # 2/3 · (1, 0) + 1/3 · (1/2, 1/2)
    array([0.833333, 0.166667])
    """

    def __init__(
        self,
        states: Sequence[int],
        seen: Sequence[Sequence[int]],
        weights: Weights,
        data: Sequence[ArrayLike | None],
    ) -> None:
        self.states = tuple(_integer(k, "a number of states", 1) for k in states)
        self.seen = tuple(self._variables(agent, v) for agent, v in enumerate(seen))
        self.weights = weights
        for name, given in (("seen", seen), ("data", data)):
            if len(given) != weights.n_agents:
                raise InvalidInput(f"{name} has {len(given)} items, but the weights are for {weights.n_agents} agents")
        self.data = tuple(self._table(agent, table) for agent, table in enumerate(data))
        self._alpha = weights.to_dense()

    def __repr__(self) -> str:
        return f"PartialGame(n_agents={self.n_agents}, states={self.states})"

    @property
    def n_agents(self) -> int:
        """N, as many as there are rows of weights."""
        return self.weights.n_agents

    def shape(self, agent: int) -> tuple[int, ...]:
        """The shape of an agent's table."""
        return tuple(self.states[v] for v in self.seen[agent])

    def shared(self, i: int, j: int) -> tuple[int, ...]:
        """The variables that both agents see, in the order of agent i."""
        return tuple(v for v in self.seen[i] if v in self.seen[j])

    def marginal(self, agent: int, table: ArrayLike, variables: Sequence[int]) -> FloatArray:
        """The marginal of an agent's table on some of its variables, axes in the order asked for."""
        missing = [v for v in variables if v not in self.seen[agent]]
        if missing or len(set(variables)) != len(variables):
            raise InvalidInput(f"agent {agent} sees the variables {self.seen[agent]}, not {tuple(variables)}")
        values = np.asarray(table, dtype=np.float64)
        axes = [self.seen[agent].index(v) for v in variables]
        rest = tuple(k for k in range(values.ndim) if k not in axes)
        kept = [k for k in range(values.ndim) if k in axes]
        return np.asarray(values.sum(axis=rest).transpose([kept.index(k) for k in axes]))

    def uniform(self) -> tuple[FloatArray, ...]:
        """The profile of agents who know nothing."""
        return tuple(np.full(self.shape(i), 1.0 / np.prod(self.shape(i))) for i in range(self.n_agents))

    def utility(self, agent: int, profile: Profile) -> float:
        """L_i in nats; −∞ where the agent's model excludes something that it is shown."""
        total = 0.0
        for trust, shown, own in self._heard(agent, profile):
            with np.errstate(divide="ignore"):
                total += trust * float(np.sum(np.where(shown > 0, shown * np.log(own), 0.0)))
        return total

    def em_step(self, agent: int, profile: Profile) -> FloatArray:
        """The agent's table after one EM step: everything shown to it, completed by its own conditionals."""
        mine = profile[agent]
        result = np.zeros_like(mine)
        for trust, shown, own in self._heard(agent, profile):
            ratio = np.divide(shown, own, out=np.zeros_like(own), where=own > 0)
            result += trust * mine * ratio
        total = float(result.sum())
        if not total > 0:
            raise InvalidInput(f"agent {agent}: its model excludes everything that it is shown", agent=agent)
        return np.asarray(result / total)

    def best_response(
        self, agent: int, profile: Profile, *, tolerance: float = 1e-12, max_steps: int = 100_000
    ) -> FloatArray:
        """EM steps of one agent, the others fixed, until no probability changes by more than the tolerance.

        L_i is concave in the table, and from a positive table EM converges to a maximiser (Vardi, Shepp & Kaufman, J. Amer.
        Statist. Assoc. 80 (1985)), which need not be unique.
        """
        models = list(profile)
        for _ in range(max_steps):
            after = self.em_step(agent, models)
            change = float(np.max(np.abs(after - models[agent])))
            models[agent] = after
            if change <= tolerance:
                break
        return models[agent]

    def play(
        self, start: Sequence[ArrayLike] | None = None, *, tolerance: float = 1e-12, max_steps: int = 100_000
    ) -> PartialSolution:
        """Rounds in which every agent takes one EM step at once.

        If all pairs of agents share the same variables S, the marginals on S play T4's simultaneous best response exactly.

        Parameters
        ----------
        start : sequence of array_like, optional
            Positive tables to begin with; by default uniform. A zero stays a zero.
        tolerance : float
            Largest change of a probability at which play stops.
        max_steps : int

        Returns
        -------
        PartialSolution
        """
        self.weights.require_anchored()
        models = self.uniform() if start is None else tuple(self._model(i, table) for i, table in enumerate(start))
        if len(models) != self.n_agents:
            raise InvalidInput(f"start has {len(models)} tables, but there are {self.n_agents} agents")
        change = float("inf")
        for step in range(1, max_steps + 1):
            after = tuple(self.em_step(agent, models) for agent in range(self.n_agents))
            change = max(float(np.max(np.abs(a - b))) for a, b in zip(after, models))
            models = after
            if change <= tolerance:
                return PartialSolution(models, step, change, True)
        return PartialSolution(models, max_steps, change, False)

    # ------------------------------------------------------------------ helpers

    def _heard(self, agent: int, profile: Profile) -> list[tuple[float, FloatArray, FloatArray]]:
        """(trust, what is shown, own marginal of it) for own data and every agent heard; axes kept for broadcasting."""
        mine = profile[agent]
        items = []
        for j in np.flatnonzero(self._alpha[agent]):
            trust, table = float(self._alpha[agent, j]), self.data[agent]
            if j == agent and table is not None:
                items.append((trust, table, mine))
                continue
            common = self.shared(agent, int(j))
            hidden = tuple(k for k, v in enumerate(self.seen[agent]) if v not in common)
            own = mine.sum(axis=hidden, keepdims=True)
            items.append((trust, self.marginal(int(j), profile[int(j)], common).reshape(own.shape), own))
        return items

    def _variables(self, agent: int, variables: Sequence[int]) -> tuple[int, ...]:
        chosen = tuple(_integer(v, f"a variable of agent {agent}", 0) for v in variables)
        if not chosen or len(set(chosen)) != len(chosen) or max(chosen) >= len(self.states):
            raise InvalidInput(
                f"agent {agent} sees {chosen}; give distinct variables from 0 to {len(self.states) - 1}", agent=agent
            )
        return chosen

    def _table(self, agent: int, table: ArrayLike | None) -> FloatArray | None:
        if table is None:
            if self.weights.self_weights[agent] > 0:
                raise InvalidData(f"agent {agent} has no data, so its self-weight must be zero", agent=agent)
            return None
        return self._model(agent, table)

    def _model(self, agent: int, table: ArrayLike) -> FloatArray:
        """A normalised table of the agent's shape, or an error that names the agent."""
        try:
            values = np.asarray(table, dtype=np.float64)
        except (TypeError, ValueError) as problem:
            raise InvalidData(f"agent {agent}: a table must hold real numbers: {problem}", agent=agent) from None
        good = values.shape == self.shape(agent) and np.all(np.isfinite(values)) and np.all(values >= 0)
        if not good or not values.sum() > 0:
            raise InvalidData(
                f"agent {agent}: a table must have shape {self.shape(agent)}, no negative entry and a positive sum",
                agent=agent,
            )
        return np.asarray(values / values.sum())


def _integer(value: object, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InvalidInput(f"{what} is {value!r}; it must be an integer, at least {least}")
    return int(value)
