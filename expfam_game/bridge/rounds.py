"""The rounds themselves: who draws for whom, who fits what, and what is recorded.

A round of each order, in words:

* simultaneous: everybody draws from its present model, then everybody fits its own data and what it heard;
* sequential: one agent after the other fits what the present models of its peers say (Gauss–Seidel, T5);
* asynchronous: like simultaneous, but only those fit who are awake (T6).

Samples are drawn when a listener asks for them, so from the present model. A broadcast batch serves all listeners until its
sender has fitted again; with separate draws every listener gets its own, each time it asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from expfam_game._typing import BoolArray, FloatArray, IntArray
from expfam_game.bridge import workers
from expfam_game.bridge.check import Comparison
from expfam_game.bridge.faults import Fault, verified
from expfam_game.bridge.setting import Setting, awake_seed, draw_seed
from expfam_game.bridge.state import Letter, State
from expfam_game.bridge.workers import Outcome, Runner, Task, in_words
from expfam_game.errors import AgentFailed, InvalidInput, NotAnchored, NotFitted
from expfam_game.game.weights import Weights
from expfam_game.samples import SampleSet

Share = tuple[Letter, int, float]
"""A letter that is heard, its sender, and its weight."""


class Rounds:
    """Plays a game, one round at a time, on a state that it changes."""

    def __init__(self, setting: Setting, state: State, runner: Runner) -> None:
        self._setting = setting
        self._state = state
        self._runner = runner
        self._comparison = Comparison(setting, state, runner)

    def play_next(self) -> None:
        """The next round; round 0 fits everybody's own data."""
        setting, state = self._setting, self._state
        state.round += 1
        state.bytes_sent.append(state.nothing_sent())
        if state.round == 0:
            self._start()
        elif setting.order == "sequential":
            for agent in range(setting.n_agents):
                self._respond([agent])
        else:
            self._respond(self._awake())
        self._comparison.look(self._fail)
        self._clear_away()
        self._measure()

    # ------------------------------------------------------------------ fitting

    def _start(self) -> None:
        setting = self._setting
        ready = [i for i in range(setting.n_agents) if setting.private[i]]
        self._fit({i: (1.0, []) for i in ready})

    def _respond(self, players: Sequence[int]) -> None:
        """The players fit their own data and what their peers say now."""
        alive = [i for i in players if not self._state.dropped[i]]
        self._gather(alive)
        alive = [i for i in alive if not self._state.dropped[i]]
        diets = {i: self._diet(i) for i in alive}
        self._fit({i: diet for i, diet in diets.items() if diet[0] > 0 or diet[1]})

    def _diet(self, agent: int) -> tuple[float, list[Share]]:
        """The weight of an agent's own data and of each letter that it hears; they sum to one.

        What silent peers would have weighed goes to the rest, in proportion.
        """
        own, heard = float(self._setting.weights.self_weights[agent]), self._heard(agent)
        total = own + sum(weight for _, _, weight in heard)
        if total == 0.0:
            return 0.0, []
        shares = []
        for sender, letters, weight in heard:
            shares += [(letter, sender, weight / total / len(letters)) for letter in letters]
        return own / total, shares

    def _heard(self, agent: int) -> list[tuple[int, list[Letter], float]]:
        """Peers that an agent hears, their letters in use, and the weight of each peer."""
        state, found = self._state, []
        for sender, weight in self._setting.peers(agent):
            mailbox = self._mailbox(sender, agent)
            letters = state.letters.get(mailbox, [])
            if letters and not state.dropped[sender] and mailbox not in state.quiet:
                found.append((sender, letters, weight))
        return found

    def _fit(self, diets: dict[int, tuple[float, list[Share]]]) -> None:
        setting, state = self._setting, self._state
        tasks = []
        for agent, (own, shares) in diets.items():
            samples = list(setting.private[agent]) if own > 0 else []
            weights = [own * share for share in setting.shares(agent)] if own > 0 else []
            for letter, sender, weight in shares:
                samples.append(self._seen(letter, sender, agent))
                weights.append(weight)
            tasks.append(Task(workers.fit, state.agents[agent], (samples, [float(w) for w in weights])))
        for agent, outcome in zip(diets, self._runner.map(tasks)):
            if outcome.reason is not None:
                self._fail(agent, "fit", outcome)
                continue
            state.agents[agent] = outcome.value
            state.fitted[agent] = True
            state.version[agent] += 1
            own, shares = diets[agent]
            self._comparison.fitted(agent, own, [(letter, weight) for letter, _, weight in shares])

    def _seen(self, letter: Letter, sender: int, agent: int) -> SampleSet:
        """A letter in the listener's columns; what the sender does not model is not observed (T11)."""
        theirs, mine = self._setting.variables[sender], self._setting.variables[agent]
        assert letter.samples is not None
        if np.array_equal(theirs, mine):
            return letter.samples
        known = np.isin(mine, theirs)
        place = {int(variable): column for column, variable in enumerate(theirs)}
        source = [place[int(variable)] for variable in mine[known]]
        values = np.zeros((letter.samples.n, mine.size), dtype=letter.samples.values.dtype)
        values[:, known] = letter.samples.values[:, source]
        observed: BoolArray = known
        if letter.samples.observed is not None:
            observed = np.zeros(values.shape, dtype=bool)
            observed[:, known] = np.broadcast_to(letter.samples.mask(), letter.samples.values.shape)[:, source]
        return SampleSet(values, None if observed.all() else observed, letter.samples.row_weights)

    # ------------------------------------------------------------------ drawing

    def _mailbox(self, sender: int, agent: int) -> tuple[int, int]:
        return sender, (agent if self._setting.draws == "separate" else self._setting.n_agents)

    def _gather(self, listeners: Sequence[int]) -> None:
        """Ask for all samples that the listeners need and do not have."""
        setting, state = self._setting, self._state
        wanted: dict[tuple[int, int], None] = {}
        for agent in listeners:
            for sender, _ in setting.peers(agent):
                if state.fitted[sender] and not state.dropped[sender] and self._is_due(sender, agent):
                    wanted[self._mailbox(sender, agent)] = None
        tasks = [
            Task(
                workers.draw,
                state.agents[sender],
                (
                    setting.n[sender],
                    draw_seed(setting, state.round, sender, consumer, state.version[sender]),
                    setting.stratified,
                ),
            )
            for sender, consumer in wanted
        ]
        for mailbox, outcome in zip(wanted, self._runner.map(tasks)):
            if not state.dropped[mailbox[0]]:  # by a failure of another of its draws in this very round
                self._deliver(mailbox, verified(outcome, setting.rules(mailbox[0])))

    def _is_due(self, sender: int, agent: int) -> bool:
        """Whether the listener needs a draw: always with separate draws; of a broadcast once per model."""
        mailbox, version = self._mailbox(sender, agent), self._state.version[sender]
        if self._setting.draws == "separate":
            return True
        letters = self._state.letters.get(mailbox, [])
        return not (letters and letters[-1].version == version) and self._state.quiet.get(mailbox) != version

    def _deliver(self, mailbox: tuple[int, int], outcome: Outcome) -> None:
        state, (sender, _) = self._state, mailbox
        if outcome.reason is not None:
            self._fail(sender, "sample", outcome)
            return
        if outcome.value is None:
            state.quiet[mailbox] = state.version[sender]
            return
        state.quiet.pop(mailbox, None)
        slot, spread = self._comparison.posted(sender, outcome.value)
        letter = Letter(state.written, state.round, state.version[sender], outcome.value, slot, spread)
        state.written += 1
        letters = [*state.letters.get(mailbox, []), letter]
        for old in letters[: -self._setting.memory]:
            self._comparison.discarded(old)
        state.letters[mailbox] = letters[-self._setting.memory :]
        self._count_bytes(mailbox, outcome.value)

    def _clear_away(self) -> None:
        """Letters from and to dropped agents; not before the end of a round, as others may have just fitted them."""
        gone = set(np.flatnonzero(self._state.dropped).tolist())
        for mailbox in [box for box in self._state.letters if gone & set(box)]:
            for letter in self._state.letters.pop(mailbox):
                self._comparison.discarded(letter)

    def _count_bytes(self, mailbox: tuple[int, int], samples: SampleSet) -> None:
        """What each listener gets: the columns that it models, their mask and the row weights."""
        sender, consumer = mailbox
        sent = self._state.bytes_sent[-1]
        for edge in np.flatnonzero(self._state.edges[:, 1] == sender):
            agent = int(self._state.edges[edge, 0])
            if self._state.dropped[agent] or consumer not in (agent, self._setting.n_agents):
                continue
            shared = int(np.isin(self._setting.variables[sender], self._setting.variables[agent]).sum())
            width = self._setting.variables[sender].size
            mask = 0 if samples.observed is None else samples.observed.nbytes * shared // width
            weights = 0 if samples.row_weights is None else samples.row_weights.nbytes
            sent[edge] += samples.values.nbytes * shared // width + mask + weights

    # ------------------------------------------------------------------ order, faults, records

    def _awake(self) -> list[int]:
        """Who fits in this round: everybody, or in asynchronous play those who happen to be awake (everybody at first)."""
        setting, state = self._setting, self._state
        if setting.order == "simultaneous":
            return list(range(setting.n_agents))
        luck = np.random.default_rng(awake_seed(setting, state.round)).random(setting.n_agents)
        awake = []
        for agent in range(setting.n_agents):
            due = state.round == 1 or state.asleep[agent] >= setting.max_silence - 1
            if due or luck[agent] < setting.activity:
                awake.append(agent)
                state.asleep[agent] = 0
            else:
                state.asleep[agent] += 1
        return awake

    def _fail(self, agent: int, task: str, outcome: Outcome) -> None:
        """Do with a failing agent what the policy says."""
        setting, state = self._setting, self._state
        reason = str(outcome.reason)
        if setting.on_fault == "raise":
            failure = AgentFailed(agent, state.round, task, reason)
            if outcome.details:
                failure.add_note(outcome.details)
            raise failure
        state.faults.append(Fault(state.round, agent, task, reason, setting.on_fault))
        if setting.on_fault == "drop agent":
            state.dropped[agent] = True
            self._require_data_in_reach(agent, reason)

    def _require_data_in_reach(self, agent: int, reason: str) -> None:
        """After an agent has gone, everybody else must still reach real data."""
        left = [i for i in range(self._setting.n_agents) if not self._state.dropped[i]]
        alpha = self._setting.weights.to_dense()[np.ix_(left, left)]
        sums = alpha.sum(axis=1)
        lost: tuple[int, ...] = tuple(left[k] for k in np.flatnonzero(sums == 0))
        if left and not lost:
            closed = Weights(_normalised(alpha)).anchoredness.closed_class
            lost = tuple(left[k] for k in closed)
        if lost or not left:
            failure = NotAnchored(
                f"after agent {agent} was dropped in round {self._state.round} ({reason}), agents "
                f"{', '.join(map(str, lost)) or 'none'} are left without a way to real data (T2)",
                lost,
            )
            raise failure

    def _measure(self) -> None:
        """One record an agent."""
        state = self._state
        for agent, model in enumerate(state.agents):
            record: dict[str, Any] = {"round": state.round, "agent": agent}
            for name, metric in self._setting.metrics.items():
                record[name] = float("nan")
                if state.fitted[agent]:
                    try:
                        record[name] = float(metric(model, agent))
                    except (
                        NotFitted
                    ) as problem:  # fitted, but not to what this metric asks for, as classes without labels
                        state.note(f"metric {name!r} of agent {agent} is NaN in some rounds: {in_words(problem)}")
                    except Exception as problem:
                        problem.add_note(f"in metric {name!r} of agent {agent}, round {state.round}")
                        raise
            state.records.append(record)

    # ------------------------------------------------------------------ weights in force

    def weights_in_force(self) -> FloatArray:
        """α with dropped and silent agents left out and rows summing to one again; rows of those who hear nothing are 0."""
        setting, state = self._setting, self._state
        alpha = setting.weights.to_dense()
        for agent in range(setting.n_agents if state.round > 0 else 0):
            audible = {sender for sender, _, _ in self._heard(agent)} | {agent}
            mute = [j for j in range(setting.n_agents) if j not in audible]
            alpha[agent, mute] = 0.0
        alpha[:, state.dropped] = 0.0
        alpha[state.dropped] = 0.0
        return _normalised(alpha)


def _normalised(alpha: FloatArray) -> FloatArray:
    """Rows with anything in them that are not whole are divided by their sum; whole rows keep their bits."""
    sums = alpha.sum(axis=1, keepdims=True)
    partial = (np.abs(sums - 1.0) > 1e-12) & (sums > 0)
    return np.asarray(np.divide(alpha, sums, out=alpha.copy(), where=np.broadcast_to(partial, alpha.shape)))


def influence_of(alpha: FloatArray) -> FloatArray:
    """R = (I − B)^{-1} D; NaN in the rows of agents without a way to data (those that were dropped, for instance)."""
    own = np.diag(alpha).copy()
    result = np.full_like(alpha, np.nan)
    reached = _reach(alpha)
    if reached.any():
        inside = np.ix_(reached, reached)
        b = alpha[inside] - np.diag(own[reached])
        result[reached] = 0.0
        result[inside] = np.linalg.solve(np.eye(len(b)) - b, np.diag(own[reached]))
    return result


def _reach(alpha: FloatArray) -> BoolArray:
    """Agents with a path to data."""
    reached = np.diag(alpha) > 0
    while True:
        grown = reached | ((alpha > 0) & reached).any(axis=1)
        if np.array_equal(grown, reached):
            return np.asarray(reached)
        reached = grown


def edges_of(setting: Setting) -> IntArray:
    """(listener, sender) of every edge, shape (E, 2)."""
    pairs = [(agent, sender) for agent in range(setting.n_agents) for sender, _ in setting.peers(agent)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def check_rounds(state: State, rounds: int) -> None:
    """A checkpoint may not be ahead of what is asked for."""
    if state.round > rounds:
        raise InvalidInput(
            f"the checkpoint has played {state.round} rounds; rounds is {rounds}, so there is nothing to play"
        )
