"""The certificate: proved bounds about one profile of one game, as plain data with a grade on each claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.certificates.rounding import ARITHMETICS, Arithmetic
from expfam_game.certificates.stored import StoredCertificate, is_array

CLAIMS = {
    "C1": "every agent reaches, along positive weights, an agent that trusts its own data",
    "C2": "best response contracts by contraction_factor in the norm max |x_i|/w_i, because B w ≤ w − s",
    "C3": "the equilibrium mean lies between mean_lower and mean_upper",
    "C4": "the equilibrium exists; it, the profile and the best responses lie between natural_lower and natural_upper",
    "C5": "no agent can gain more than regret_upper nats by deviating from the profile",
}

STATEMENTS = CLAIMS | {"C6": "each box contains exactly one equilibrium of the agents with different statistics"}


class Grade(StrEnum):
    """How good the evidence is; of two grades the worse one wins, so that a grade only ever degrades."""

    EXACT = "exact"
    """Proved in rational arithmetic."""
    RIGOROUS = "rigorous"
    """Proved in ball arithmetic, or in float64 with a bound on every rounding error."""
    FLOAT = "float"
    """Computed in float64 without rounding control: not a proof."""

    @property
    def rank(self) -> int:
        """0 for the best grade; larger is worse."""
        return list(Grade).index(self)

    @staticmethod
    def worst(grades: Iterable[Grade]) -> Grade:
        """The worst of the grades.

        >>> Grade.worst([Grade.EXACT, Grade.FLOAT]).value
        'float'
        """
        return max(grades, key=lambda grade: grade.rank)


@dataclass(frozen=True)
class Claim:
    """One line of a certificate.

    Attributes
    ----------
    name : str
        ``"C1"`` … ``"C6"``.
    grade : Grade or None
        None if the claim is not made.
    reason : str
        Why it is not made, or why not with a better grade; empty if there is nothing to say.
    """

    name: str
    grade: Grade | None
    reason: str = ""

    @property
    def statement(self) -> str:
        """What is claimed, as a sentence."""
        return STATEMENTS[self.name]

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.name} {self.grade.value if self.grade else 'not claimed'}: {self.statement}{why}"


@dataclass(frozen=True, eq=False, repr=False)
class Certificate(StoredCertificate):
    """Bounds for a profile of a game, each with the grade of its evidence; made by ``certify``, verified by ``check``.

    Attributes
    ----------
    fingerprint : str
        SHA-256 of the game that the certificate is about.
    claims : dict of str to Claim
        ``"C1"`` … ``"C5"``, each with its grade, or with the reason why it is not made.
    next_hop : ndarray of int, shape (n_agents,)
        C1: the next agent on the way to real data.
    w, s : ndarray, shape (n_agents,), and float
        C2: the witness B w ≤ w − s.
    contraction_factor : float
        C2: 1 − s/max w, rounded up.
    mean : ndarray, shape (n_agents, dim)
        The profile in mean parameters.
    mean_lower, mean_upper : ndarray, shape (n_agents, dim)
        C3: a box around the equilibrium mean.
    error_bound : ndarray, shape (n_agents,)
        C3: no entry of ``mean`` is further from the equilibrium than this.
    mean_numerators, mean_denominator : tuple of tuples of int, and int, or None
        C3, small games with exact arithmetic: the equilibrium mean itself, see :meth:`exact_mean`.
    natural : ndarray, shape (n_agents, dim), or None
        The profile in natural parameters, which C4 and C5 are about.
    natural_lower, natural_upper : ndarray, shape (n_agents, dim), or None
        C4: a box around the equilibrium, the profile and the best responses.
    regret_upper : ndarray, shape (n_agents,), or None
        C5: in nats.
    arithmetic : {"exact", "ball", "float64"}
        How C2 and C3 were computed.
    precision : int
        Bits of the balls.
    package_version : str

    Examples
    --------
    >>> import numpy as np
    >>> import expfam_game as eg
    >>> from types import SimpleNamespace
    >>> game = eg.catalog.two_agents(0.5)
    >>> mean = game.equilibrium_mean
    >>> profile = SimpleNamespace(mean=mean, natural=game.family.to_natural(mean))
    >>> certificate = eg.certify(game, profile)
    >>> certificate.grade.value, certificate.contraction_factor
    ('rigorous', 0.5)
    >>> certificate.exact_mean()[0]
    [Fraction(5, 12)]
    >>> bool(certificate.max_regret < 1e-30)
    True
    >>> eg.check(game, certificate)
    True
    """

    fingerprint: str
    claims: Mapping[str, Claim]
    next_hop: IntArray
    w: FloatArray
    s: float
    contraction_factor: float
    mean: FloatArray
    mean_lower: FloatArray
    mean_upper: FloatArray
    error_bound: FloatArray
    arithmetic: Arithmetic
    precision: int
    package_version: str
    mean_numerators: tuple[tuple[int, ...], ...] | None = None
    mean_denominator: int | None = None
    natural: FloatArray | None = None
    natural_lower: FloatArray | None = None
    natural_upper: FloatArray | None = None
    regret_upper: FloatArray | None = None

    _FORMAT: ClassVar[str] = "expfam_game.certificate"

    def __repr__(self) -> str:
        return f"Certificate(grade={self.grade.value!r}, n_agents={len(self.w)}, dim={self.mean.shape[1]})"

    def __str__(self) -> str:
        lines = [f"{key}: {value}" for key, value in self.headline().items()]
        return "\n".join([*lines, *(str(claim) for claim in self.claims.values())])

    @property
    def grade(self) -> Grade:
        """The worst grade of the claims that are made."""
        return Grade.worst(claim.grade for claim in self.claims.values() if claim.grade)

    @property
    def max_error(self) -> float:
        """C3: the largest entry of ``error_bound``."""
        return float(np.max(self.error_bound))

    @property
    def max_regret(self) -> float | None:
        """C5: the Nash gap, the largest entry of ``regret_upper``, in nats; None if C5 is not claimed."""
        return None if self.regret_upper is None else float(np.max(self.regret_upper))

    def exact_mean(self) -> list[list[Fraction]] | None:
        """The equilibrium mean as rational numbers, where C3 was proved by an exact solution."""
        if self.mean_numerators is None or self.mean_denominator is None:
            return None
        return [[Fraction(value, self.mean_denominator) for value in row] for row in self.mean_numerators]

    def headline(self) -> dict[str, Any]:
        """The few numbers that a reader looks for first."""
        return {
            "grade": self.grade.value,
            "n_agents": len(self.w),
            "dim": self.mean.shape[1],
            "contraction_factor": self.contraction_factor,
            "max_error": self.max_error,
            "max_regret_nats": self.max_regret,
        }

    def _problems(self) -> Iterable[str]:
        return _problems(self)

    @classmethod
    def _encoded(cls, name: str, value: Any) -> Any:
        if name == "claims":
            return encoded_claims(value)
        if name == "mean_numerators" and value is not None:
            return [[hex(number) for number in row] for row in value]
        return hex(value) if name == "mean_denominator" and value is not None else value

    @classmethod
    def _decoded(cls, name: str, value: Any) -> Any:
        if name == "claims":
            return decoded_claims(value)
        if name == "mean_numerators" and value is not None:
            return tuple(tuple(int(number, 16) for number in row) for row in value)
        return int(value, 16) if name == "mean_denominator" and value is not None else value


def encoded_claims(claims: Mapping[str, Claim]) -> dict[str, Any]:
    """Claims as JSON knows them."""
    return {key: {"grade": claim.grade, "reason": claim.reason} for key, claim in claims.items()}


def decoded_claims(entries: Mapping[str, Any]) -> dict[str, Claim]:
    """The inverse of :func:`encoded_claims`."""
    return {
        key: Claim(key, entry["grade"] and Grade(entry["grade"]), entry["reason"]) for key, entry in entries.items()
    }


# ---------------------------------------------------------------------- what must hold before any claim is looked at


def _problems(c: Certificate) -> Iterable[str]:
    if not isinstance(c.mean, np.ndarray) or c.mean.ndim != 2 or c.mean.size == 0:
        yield "mean must be an array of shape (n_agents, dim)"
    n_agents, both = c.mean.shape[0], c.mean.shape
    floats = {"w": (n_agents,), "mean": both, "mean_lower": both, "mean_upper": both, "error_bound": (n_agents,)}
    optional = {"natural": both, "natural_lower": both, "natural_upper": both, "regret_upper": (n_agents,)}
    floats |= {name: shape for name, shape in optional.items() if getattr(c, name) is not None}
    for name, shape in floats.items():
        if not is_array(getattr(c, name), np.float64, shape) or not np.all(np.isfinite(getattr(c, name))):
            yield f"{name} must be a float64 array of shape {shape} without NaN and infinity"
    if not is_array(c.next_hop, np.int64, (n_agents,)) or not np.all((c.next_hop >= 0) & (c.next_hop < n_agents)):
        yield "next_hop must hold the number of an agent for each agent"
    for name in ("s", "contraction_factor"):
        if type(getattr(c, name)) is not float or not np.isfinite(getattr(c, name)):
            yield f"{name} must be a finite float"
    if c.arithmetic not in ARITHMETICS:
        yield f"arithmetic is {c.arithmetic!r}; it must be one of {ARITHMETICS}"
    if type(c.precision) is not int or not 53 <= c.precision <= 1 << 16:
        yield "precision must be an integer from 53 to 65536"
    if not isinstance(c.fingerprint, str) or not isinstance(c.package_version, str):
        yield "fingerprint and package_version must be strings"
    yield from _claim_problems(c)
    yield from _rational_problems(c)


def _claim_problems(c: Certificate) -> Iterable[str]:
    if not isinstance(c.claims, Mapping) or list(c.claims) != list(CLAIMS):
        yield f"claims must have an entry for each of {', '.join(CLAIMS)}, in this order"
    for name, claim in c.claims.items():
        if not isinstance(claim, Claim) or claim.name != name or not isinstance(claim.reason, str):
            yield f"claims[{name!r}] must be a Claim of that name"
        if claim.grade is not None and not isinstance(claim.grade, Grade):
            yield f"the grade of {name} must be a Grade or None"
        if claim.grade is None and not claim.reason:
            yield f"{name} is not claimed and no reason is given"
    if not all(c.claims[name].grade for name in ("C1", "C2", "C3")):
        yield "C1, C2 and C3 must be claimed"
    for name, carried in (("C4", (c.natural_lower, c.natural_upper)), ("C5", (c.regret_upper,))):
        if any((array is not None) != (c.claims[name].grade is not None) for array in carried):
            yield f"the numbers of {name} must be there if it is claimed, and only then"
    if (c.natural is not None) != any(c.claims[name].grade is not None for name in ("C4", "C5")):
        yield "natural must be there if C4 or C5 is claimed, and only then"


def _rational_problems(c: Certificate) -> Iterable[str]:
    if (c.mean_numerators is None) != (c.mean_denominator is None):
        yield "mean_numerators and mean_denominator must be given together"
    if c.mean_numerators is None:
        return
    n_agents, dim = c.mean.shape
    rows = c.mean_numerators
    if not isinstance(rows, tuple) or not all(isinstance(row, tuple) and len(row) == dim for row in rows):
        yield "mean_numerators must be a tuple of rows, one entry for each statistic"
    elif len(rows) != n_agents or not all(type(value) is int for row in rows for value in row):
        yield "mean_numerators must be integers, one row for each agent"
    if type(c.mean_denominator) is not int or c.mean_denominator <= 0:
        yield "mean_denominator must be a positive integer"
