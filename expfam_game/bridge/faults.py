"""What can be wrong with an agent, how it is found, and what is done about it.

An exception, a call that does not end (``workers.py``), samples of the wrong shape, not finite, or outside the sample
space. A fault is recorded with agent, round and reason; then the game stops (``"raise"``), goes on with what the agent
said and was before (``"drop round"``: a late answer, harmless by T6 as long as the agent comes back), or goes on without
the agent (``"drop agent"``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.bridge.workers import Outcome
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.samples import SampleSet, counted

Policy = Literal["raise", "drop round", "drop agent"]
POLICIES = ("raise", "drop round", "drop agent")


@dataclass(frozen=True)
class Fault:
    """One failure of one agent.

    Attributes
    ----------
    round : int
    agent : int
    task : {"fit", "sample", "sample for the check"}
        A draw for the peers, or the one that is compared with theory after the round; both can fail in one round.
    reason : str
    action : {"drop round", "drop agent"}

    Examples
    --------
    A network whose sampler breaks once it has been fitted twice:

    >>> import numpy as np
    >>> import expfam_game as eg
    >>> from expfam_game.bridge import CallableAgent, FamilyAgent, play
    >>> def fit(samples, weights, model):
    ...     return 0 if model is None else model + 1
    >>> def sample(model, n, seed):
    ...     return np.full((n, 1), 2.0 if model == 0 else np.nan)
    >>> agents = [CallableAgent(fit, sample), FamilyAgent(eg.families.Poisson())]
    >>> result = play(agents, eg.Weights.complete(2, 0.5), [[[2.0]], [[4.0]]], rounds=3, n=10, on_fault="drop agent")
    >>> fault = result.faults[0]
    >>> fault.agent, fault.round, fault.task, fault.action
    (0, 2, 'sample', 'drop agent')
    >>> fault.reason
    'InvalidData: row 0, variable 0 is nan; observed values must be finite. ...'
    """

    round: int
    agent: int
    task: str
    reason: str
    action: str


@dataclass(frozen=True)
class Rules:
    """What the samples of one agent must look like.

    Attributes
    ----------
    n : int
        Rows asked for; a stratified draw may have fewer, to have equally many of each class.
    columns : ndarray of int
        Which of the shared variables the agent models.
    n_shared : int
        How many shared variables there are.
    stratified : bool
    label : int or None
        Column of the class label.
    classes : int or None
    support : callable or None
        Values of the shared variables (n, V), NaN where not observed, to bool, shape (n,) or (n, V): where they are
        possible.
    """

    n: int
    columns: IntArray
    n_shared: int
    stratified: bool
    label: int | None
    classes: int | None
    support: Callable[[Any], Any] | None


def verified(outcome: Outcome, rules: Rules) -> Outcome:
    """The outcome of a draw, failed if its samples break the rules.

    What goes wrong in ``support`` itself is nobody's fault but its author's, and is raised.
    """
    if outcome.reason is not None:
        return outcome
    try:
        return Outcome(checked(outcome.value, rules))
    except InvalidData as problem:
        return Outcome(None, f"InvalidData: {problem}")


def checked(samples: SampleSet | None, rules: Rules) -> SampleSet | None:
    """The samples if they keep the rules, None if there are none.

    Raises
    ------
    InvalidData
        Saying which rule is broken where.
    """
    if samples is None or samples.n == 0:
        return None
    if samples.n_variables != rules.columns.size:
        found, asked = counted(samples.n_variables, "column"), counted(rules.columns.size, "variable")
        raise InvalidData(f"sample returned {found} for {asked}")
    if samples.n > rules.n or (samples.n < rules.n and not rules.stratified):
        found = counted(samples.n, "row")
        raise InvalidData(f"sample returned {found}; it was asked for {rules.n} (or 0 for nothing to say)")
    if rules.label is not None and rules.classes is not None:
        samples.labels(rules.label, rules.classes)
    if rules.support is not None:
        _check_support(samples, rules)
    return samples


def in_shared_variables(samples: SampleSet, columns: IntArray, n_shared: int) -> FloatArray:
    """A float64 copy in the order of the shared variables, NaN where not observed or not modelled; shape (n, n_shared).

    Floats whatever the agent drew: a user's ``x - 1`` or ``x**2`` would wrap around in small integers.
    """
    values = np.full((samples.n, n_shared), np.nan)
    values[:, columns] = (
        samples.values if samples.observed is None else np.where(samples.mask(), samples.values, np.nan)
    )
    return values


def _check_support(samples: SampleSet, rules: Rules) -> None:
    values = in_shared_variables(samples, rules.columns, rules.n_shared)
    try:
        possible = np.asarray(rules.support(values) if rules.support else True)
    except Exception as problem:
        problem.add_note("in the function given as support")
        raise
    if possible.dtype != bool or possible.shape not in ((samples.n,), values.shape):
        raise InvalidInput(
            f"support returned {possible.dtype} of shape {possible.shape} for samples of shape {values.shape}; "
            "it must be bool, one entry a row or one a value"
        )
    if possible.ndim == 2:
        possible = possible | np.isnan(values)
    if not possible.all():
        place = tuple(int(k) for k in np.argwhere(~possible)[0])
        where = f"row {place[0]}" + (f", variable {place[1]}" if len(place) == 2 else "")
        raise InvalidData(f"{where} is {values[place]}, outside the support", entry=place)
