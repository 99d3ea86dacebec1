"""Keeps the theory check up to date while a game is played: feeds the ledger, and looks at every agent after every round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.bridge import workers
from expfam_game.bridge.faults import verified
from expfam_game.bridge.setting import Setting, check_seed
from expfam_game.bridge.state import Letter, State
from expfam_game.bridge.theory import Average, Ledger, Statistic, TheoryCheck, Undefined, average
from expfam_game.bridge.workers import Outcome, Runner, Task
from expfam_game.samples import SampleSet

Fail = Callable[[int, str, Outcome], None]


class Comparison:
    """The statistic of every agent against theory; does nothing where there is no statistic, or theory does not apply."""

    def __init__(self, setting: Setting, state: State, runner: Runner) -> None:
        self._setting = setting
        self._state = state
        self._runner = runner
        self._statistic = Statistic(setting)
        if state.round < 0 and (setting.statistic is not None or setting.label is not None):
            self._open_ledger()

    def _open_ledger(self) -> None:
        """Averages and spreads of everybody's own data."""
        setting, state = self._setting, self._state
        try:
            means = [self._statistic.own_mean(i) for i in range(setting.n_agents)]
            rows = [[self._statistic.rows(s, i) for s in setting.private[i]] for i in range(setting.n_agents)]
        except Undefined as problem:
            state.note(f"no theory check: {problem}")
            return
        width = next(mean.size for mean in means if mean is not None)
        table = np.array([np.zeros(width) if mean is None else mean for mean in means])
        indicator = np.ones(width, dtype=bool)
        for parts in rows:
            for part in parts:
                indicator &= np.all((part == 0.0) | (part == 1.0), axis=0)
        state.own_spread = np.array([self._own_spread(i, rows[i], table[i]) for i in range(setting.n_agents)])
        state.ledger = Ledger(setting.n_agents, table, indicator)

    def _own_spread(self, agent: int, rows: list[FloatArray], mean: FloatArray) -> FloatArray:
        spread = np.zeros_like(mean)
        for share, part, values in zip(self._setting.shares(agent), self._setting.private[agent], rows):
            spread += share * (part.normalized_weights() @ (values - mean) ** 2)
        return spread

    # ------------------------------------------------------------------ what happens

    def posted(self, sender: int, samples: SampleSet) -> tuple[int, FloatArray | None]:
        """A letter is written: its slot in the ledger, and the spread of the statistic in it."""
        ledger = self._state.ledger
        if ledger is None:
            return -1, None
        drawn = self._average(sender, samples)
        return (-1, None) if drawn is None else (ledger.post(sender, drawn.variance), drawn.spread)

    def discarded(self, letter: Letter) -> None:
        """A letter will not be read again."""
        if self._state.ledger is not None:
            self._state.ledger.discard(letter.slot)

    def fitted(self, agent: int, own: float, heard: list[tuple[Letter, float]]) -> None:
        """An agent has learned from its own data (weight ``own``) and from letters."""
        ledger = self._state.ledger
        if ledger is not None:
            noise = self._noise_of_fit(ledger, agent, own, heard)
            ledger.fit(agent, own, [(letter.slot, weight) for letter, weight in heard], noise)

    def _noise_of_fit(self, ledger: Ledger, agent: int, own: float, heard: list[tuple[Letter, float]]) -> FloatArray:
        """Variance of the mixture of all that was heard over the number of rows that a resampling fit drew from it.

        An upper bound for residual and stratified resampling (Douc & Cappé 2005).
        """
        rows = getattr(self._state.agents[agent], "resampled_rows", None)
        if not rows:
            return np.zeros(ledger.means.shape[1])
        assert self._state.own_spread is not None
        mean = own * ledger.means[agent]
        square = own * (self._state.own_spread[agent] + ledger.means[agent] ** 2)
        for letter, weight in heard:
            assert letter.spread is not None
            mean = mean + weight * ledger.expected(letter.slot)
            square = square + weight * (letter.spread + ledger.expected(letter.slot) ** 2)
        return np.asarray(np.maximum(square - mean**2, 0.0) / rows)

    def _average(self, agent: int, samples: SampleSet) -> Average | None:
        """The average over a draw; None, and the end of the check, where the statistic is not defined."""
        ledger = self._state.ledger
        assert ledger is not None
        column = self._setting.label_column(agent)
        try:
            rows = self._statistic.rows(samples, agent)
        except Undefined as problem:
            self._state.note(f"no theory check: {problem}")
            self._state.ledger = None
            return None
        strata = samples.values[:, column] if self._setting.stratified and column is not None else None
        return average(rows, samples, strata, ledger.expected(agent), ledger.indicator)

    # ------------------------------------------------------------------ a look at everybody

    def look(self, fail: Fail) -> None:
        """Draw from every agent and write down its statistic, its expectation and its variance."""
        setting, state = self._setting, self._state
        if state.ledger is None:
            return
        shape = state.ledger.means.shape
        observed, predicted, variance = (np.full(shape, np.nan) for _ in range(3))
        asked = [i for i in range(setting.n_agents) if state.fitted[i] and not state.dropped[i] and setting.n[i]]
        for agent, outcome in zip(asked, self._runner.map([self._task(i) for i in asked])):
            outcome = verified(outcome, setting.rules(agent))
            if outcome.reason is not None:
                fail(agent, "sample for the check", outcome)
                continue
            predicted[agent] = state.ledger.expected(agent)
            if outcome.value is None:
                continue
            drawn = self._average(agent, outcome.value)
            if drawn is None:
                return
            observed[agent] = drawn.mean
            variance[agent] = state.ledger.variance(agent) + drawn.variance
        state.observed.append(observed)
        state.predicted.append(predicted)
        state.variance.append(variance)

    def _task(self, agent: int) -> Task:
        setting, state = self._setting, self._state
        arguments: tuple[Any, ...] = (setting.n[agent], check_seed(setting, state.round, agent), setting.stratified)
        return Task(workers.draw, state.agents[agent], arguments)


def report(setting: Setting, state: State, influence: FloatArray) -> TheoryCheck | None:
    """The finished check; None without one."""
    ledger = state.ledger
    if ledger is None:
        return None
    if ledger.covariance is None:
        state.note("the theory check has no standard errors: too many agents and letters for their joint covariance")
    word = "class" if setting.statistic is None else "statistic"
    known = np.isfinite(influence).all(axis=1)
    equilibrium = np.full_like(ledger.means, np.nan)
    equilibrium[known] = influence[known] @ ledger.means
    return TheoryCheck(
        names=tuple(f"{word} {k}" for k in range(ledger.means.shape[1])),
        observed=np.array(state.observed),
        predicted=np.array(state.predicted),
        equilibrium=equilibrium,
        standard_error=np.sqrt(np.array(state.variance)),
    )
