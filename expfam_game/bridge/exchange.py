"""The game of black-box agents: rounds of exchange of synthetic samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from expfam_game._typing import Seed
from expfam_game.bridge.check import report
from expfam_game.bridge.checkpoint import Checkpoint
from expfam_game.bridge.faults import Policy
from expfam_game.bridge.result import PlayResult
from expfam_game.bridge.rounds import Rounds, check_rounds, edges_of, influence_of
from expfam_game.bridge.setting import Draws, Order, Setting, prepare, require, require_count
from expfam_game.bridge.state import State
from expfam_game.bridge.workers import InProcess, Runner, copied, runner
from expfam_game.game.weights import Weights

Callback = Callable[[int, Sequence[Any], Sequence[dict[str, Any]]], object]


def play(
    agents: Sequence[Any],
    weights: Weights,
    private: Sequence[Any],
    rounds: int,
    *,
    n: int | Sequence[int] = 1000,
    draws: Draws = "broadcast",
    stratified: bool = False,
    memory: int = 1,
    order: Order = "simultaneous",
    activity: float = 0.5,
    max_silence: int = 5,
    variables: Sequence[Any] | None = None,
    label: int | None = None,
    classes: int | None = None,
    statistic: Callable[[Any], Any] | None = None,
    support: Callable[[Any], Any] | None = None,
    metrics: Mapping[str, Callable[[Any, int], float]] | None = None,
    callback: Callback | None = None,
    on_fault: Policy = "raise",
    timeout: float | None = None,
    parallel: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    seed: Seed = 0,
    progress: bool | None = None,
) -> PlayResult:
    """Let agents that can fit and sample learn from their own data and from one another's samples.

    Round 0 fits everybody's own data. In every further round agent i fits a mixture: weight ``α_ii`` on its own data,
    ``α_ij`` on samples of agent j's present model. For exponential families this is sampled best response (T8).

    Parameters
    ----------
    agents : sequence of GenerativeAgent
        Anything with ``fit(samples, weights)`` and ``sample(n, seed)``. They are copied; those passed in do not change.
    weights : Weights
        Anchored.
    private : sequence
        One item an agent: an array (n_i, V), a :class:`~expfam_game.samples.SampleSet`, a list of these, or None for an
        agent without data, whose self-weight must be zero. Such an agent is silent until it has heard somebody.
    rounds : int
        Rounds of exchange after round 0.
    n : int or sequence of int
        Rows in each draw from every agent, or from agent j; 0 only for an agent whom nobody hears.
    draws : {"broadcast", "separate"}
        One batch for all listeners, or one for each.
    stratified : bool
        Draw by ``sample_stratified``: equally many rows of each class, weighted by ``p(c)``.
    memory : int
        Fit the last so many batches of every peer; each has an equal part of its weight.
    order : {"simultaneous", "sequential", "asynchronous"}
        Who fits when; see ``activity``.
    activity : float
        In asynchronous play, the probability that an agent is awake in a round, in (0, 1].
    max_silence : int
        In asynchronous play, an agent sleeps less than so many rounds in a row (T6).
    variables : sequence of sequence of int, optional
        Which of the shared variables 0, 1, … each agent models; its data and samples have these columns in this order. A
        listener sees what both model, the rest of its columns is masked (T11). By default all model the same.
    label : int, optional
        The shared variable that is a class label 0 … C − 1. Checked in all samples; its marginals are the default statistic.
    classes : int, optional
        C; by default one more than the largest label in private data.
    statistic : callable, optional
        From samples in shared variables, an array (n, V) with NaN where nothing is observed, to (n, K): compared with
        theory after each round, at the price of one more draw per agent and round.
    support : callable, optional
        From samples as for ``statistic`` to bool, shape (n,) or (n, V): which are possible. Others are a fault.
    metrics : mapping of str to callable, optional
        ``metric(agent, index)`` to a number, for every agent after every round. Must not change the agent. NaN for an agent
        that has not been fitted, or whose model raises :class:`~expfam_game.errors.NotFitted` since it cannot answer yet, like
        the classes of one that has met no label; ``notes`` of the result say so. Any other exception ends the game.
    callback : callable, optional
        ``callback(round, agents, records)`` after every round, before its checkpoint: in a resumed game it may come twice
        for the round of the kill. Must not change the agents.
    on_fault : {"raise", "drop round", "drop agent"}
        When an agent raises, hangs or returns samples that are none: stop with :class:`~expfam_game.errors.AgentFailed`; or go
        on with its last model and its last samples, which does no harm as long as it comes back (T6); or go on without
        it, its weight going to the others.
    timeout : float, optional
        Seconds for one call of ``fit`` or ``sample``. Python cannot stop a call in its own process, so with a time limit
        agents are called in worker processes, and a worker that takes longer is killed.
    parallel : int
        Worker processes. The results do not depend on it. They start anew in every game, which takes seconds: for games
        that last much longer than that.
    checkpoint : path, optional
        A folder that keeps the game after every round. If it holds this game already, play goes on where it stopped, with
        the result, to the last bit, of a game that was never interrupted. ``rounds`` may be larger than before.
    seed : int, SeedSequence or Generator
        Every draw has a stream of its own, keyed by round, agent and consumer.
    progress : bool, optional
        Show a progress bar; by default on terminals, after two seconds.

    Returns
    -------
    PlayResult

    Raises
    ------
    InvalidInput, InvalidData, InvalidWeights
        Naming the agent and the argument at fault.
    NotAnchored
        If somebody cannot reach real data, from the start or after an agent was dropped.
    AgentFailed
        With ``on_fault="raise"``, naming agent, round and reason.
    InvalidCheckpoint
        If the folder holds another game, is in use by another process, or cannot be read.
    MissingExtra
        If worker processes are asked for and joblib is not installed.

    Notes
    -----
    A silent peer (no rows) gives its weight to the listener's own data and other peers, in proportion, for that round.
    Agents with several sample sets spread their self-weight by numbers of rows. Workers inherit the environment: with many
    processes set ``OMP_NUM_THREADS=1``.

    Examples
    --------
    Two Poisson agents end near the equilibrium that ``solve`` computes:

    >>> import expfam_game as eg
    >>> from expfam_game.bridge import FamilyAgent, play
    >>> family, weights = eg.families.Poisson(), eg.Weights.complete(2, self_weight=0.5)
    >>> data = [[[1.0], [2.0], [3.0]], [[4.0], [6.0]]]
    >>> result = play([FamilyAgent(family)] * 2, weights, data, rounds=20, n=2000, statistic=lambda x: x, seed=1)
    >>> eg.solve(eg.Game(family, weights, means=[[2.0], [5.0]])).mean.ravel()
    array([3., 4.])
    >>> result.theory.equilibrium.ravel(), result.theory.within(6.0)
    (array([3., 4.]), True)
    """
    require_count("rounds", rounds, 0)
    require_count("parallel", parallel)
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    require(timeout is None or (number and timeout > 0), "timeout", timeout, "a positive number of seconds, or None")
    require(callback is None or callable(callback), "callback", callback, "callable")
    setting = prepare(
        agents,
        weights,
        private,
        n=n,
        draws=draws,
        stratified=stratified,
        memory=memory,
        order=order,
        activity=activity,
        max_silence=max_silence,
        variables=variables,
        label=label,
        classes=classes,
        statistic=statistic,
        support=support,
        metrics=metrics,
        on_fault=on_fault,
        seed=seed,
    )
    with ExitStack() as stack:
        folder, state = None, None
        if checkpoint is not None:
            folder = stack.enter_context(closing(Checkpoint(checkpoint, setting.fingerprint(agents))))
            state = folder.load()
        if state is None:
            state = State([copied(agent) for agent in agents], edges_of(setting))
        check_rounds(state, rounds)
        hands = stack.enter_context(closing(runner(parallel, timeout)))
        _play_rounds(setting, state, hands, rounds, folder, callback, progress)
    return _result(setting, state)


def _play_rounds(
    setting: Setting,
    state: State,
    hands: Runner,
    rounds: int,
    folder: Checkpoint | None,
    callback: Callback | None,
    progress: bool | None,
) -> None:
    table = Rounds(setting, state, hands)
    shown = tqdm(
        desc="rounds",
        total=rounds + 1,
        initial=state.round + 1,
        delay=2.0,
        disable=None if progress is None else not progress,
        leave=False,
    )
    with shown as bar:
        while state.round < rounds:
            table.play_next()
            if callback is not None:
                callback(
                    state.round, tuple(state.agents), [dict(record) for record in state.records[-setting.n_agents :]]
                )
            if folder is not None:
                folder.save(state)
            bar.update()


def _result(setting: Setting, state: State) -> PlayResult:
    alpha = Rounds(setting, state, InProcess()).weights_in_force()
    influence = influence_of(alpha)
    theory = report(setting, state, influence)
    return PlayResult(
        agents=tuple(state.agents),
        rounds=state.round,
        records=tuple(state.records),
        edges=state.edges,
        bytes_sent=np.array(state.bytes_sent),
        weights=alpha,
        influence=influence,
        faults=tuple(state.faults),
        theory=theory,
        notes=tuple(state.notes),
    )
