"""Every exception a user can meet: what was wrong, where, and what to do about it.

All of them derive from :class:`ExpfamGameError`, so one ``except`` catches the package's own errors and no others.
Errors about input are also ``ValueError``; a missing optional package is also an ``ImportError``.
"""

from __future__ import annotations

from typing import Any


class ExpfamGameError(Exception):
    """Base class of every error that this package raises on purpose."""


class InvalidInput(ExpfamGameError, ValueError):
    """An argument breaks a rule; the message names the agent, the entry and the rule.

    Attributes
    ----------
    agent : int or tuple of int or None
        Which agent (leading index) is at fault, where that is known.
    entry : int or tuple of int or None
        Which entry of that agent's array is at fault.
    rule : str
        The rule that was broken.
    """

    def __init__(
        self,
        message: str,
        *,
        agent: int | tuple[int, ...] | None = None,
        entry: int | tuple[int, ...] | None = None,
        rule: str = "",
    ) -> None:
        super().__init__(message)
        self.agent = agent
        self.entry = entry
        self.rule = rule


class InvalidData(InvalidInput):
    """A sample lies outside the family's sample space, is NaN or has the wrong shape."""


class InvalidNaturalParameter(InvalidInput):
    """A natural parameter lies outside the natural parameter space, is NaN or has the wrong shape."""


class InvalidMeanParameter(InvalidInput):
    """A mean parameter lies on or outside the boundary of the mean space, is NaN or has the wrong shape."""


class InvalidWeights(InvalidInput):
    """A weight matrix is not row-stochastic; the message names the row."""


class NotAnchored(ExpfamGameError):
    """Some agents never reach real data, so the equilibrium is not unique (T2).

    Attributes
    ----------
    closed_class : tuple of int
        Agents that listen only to one another and hold no data.
    """

    def __init__(self, message: str, closed_class: tuple[int, ...]) -> None:
        super().__init__(message)
        self.closed_class = closed_class


class ToleranceNotReached(ExpfamGameError):
    """A quantity could not be computed to the tolerance asked for; the message says how well it is known."""


class BarelyAnchored(ExpfamGameError):
    """The weights are anchored, but the trust that reaches real data is lost in the rounding of float64."""


class BoundaryEquilibrium(ExpfamGameError):
    """The equilibrium mean of some agent lies on the boundary of the mean space: no equilibrium exists (T2).

    Attributes
    ----------
    agents : tuple of int
        The agents concerned.
    statistics : tuple of str
        The statistics concerned, where the boundary is a bound on single statistics.
    """

    def __init__(self, message: str, agents: tuple[int, ...], statistics: tuple[str, ...]) -> None:
        super().__init__(message)
        self.agents = agents
        self.statistics = statistics


class InversionFailed(ExpfamGameError):
    """The mean-to-natural solver did not reach its residual; the message says for which input."""


class SolverFailed(ExpfamGameError):
    """A solver stopped without reaching its tolerance.

    Attributes
    ----------
    solution : Solution
        What was reached, with its status; ``solve(..., throw=False)`` returns it instead of raising.
    """

    def __init__(self, message: str, solution: Any) -> None:
        super().__init__(message)
        self.solution = solution


class CertificationFailed(ExpfamGameError):
    """No bound could be proved for this solution; the message says which claim and why."""


class CertificateRejected(ExpfamGameError):
    """The checker does not accept a certificate.

    Attributes
    ----------
    claim : str
        The line that failed: ``"format"``, ``"game"``, or one of ``"C1"`` … ``"C6"``.
    """

    def __init__(self, claim: str, reason: str) -> None:
        super().__init__(f"{claim}: {reason}")
        self.claim = claim


class MissingExtra(ExpfamGameError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}. Install it with: pip install 'expfam-game[{extra}]'"
        )
        self.extra = extra


class DataNotFound(ExpfamGameError, FileNotFoundError):
    """A data set was found nowhere and could not be fetched; the message lists the places searched."""


class NotFitted(ExpfamGameError):
    """A learner was asked for something that it only knows once it has been fitted; the message says what is missing."""


class AgentFailed(ExpfamGameError):
    """An agent of a sample-exchange game broke its contract: an exception, a time-out, or samples that are none.

    Attributes
    ----------
    agent : int
    round : int
        The round of exchange; 0 is the start on private data alone.
    task : {"fit", "sample", "sample for the check"}
    reason : str
        What went wrong, with the class of the exception where there was one.
    """

    def __init__(self, agent: int, round: int, task: str, reason: str) -> None:
        super().__init__(
            f"agent {agent} failed to {task} in round {round}: {reason}. With on_fault='drop round' or 'drop agent' "
            "the others play on without it"
        )
        self.agent = agent
        self.round = round
        self.task = task
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.agent, self.round, self.task, self.reason)


class InvalidCheckpoint(ExpfamGameError):
    """A checkpoint cannot be read, or belongs to another game; the message says which setting differs."""
