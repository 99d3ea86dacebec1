"""The certificate of agents with different statistics (C6): proved boxes around equilibria, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.certificates.certificate import Claim, Grade, decoded_claims, encoded_claims
from expfam_game.certificates.stored import StoredCertificate, is_array


@dataclass(frozen=True, eq=False, repr=False)
class EquilibriaCertificate(StoredCertificate):
    """Boxes with exactly one equilibrium each, for agents with different statistics; made by ``certify`` or
    ``certify_all``, verified by ``check``.

    Natural parameters are listed agent by agent: ``size`` entries, the sum of all agents' dimensions.

    Attributes
    ----------
    fingerprint : str
        SHA-256 of the game that the certificate is about.
    claims : dict of str to Claim
        ``"C6"``, always of grade rigorous.
    natural : ndarray, shape (equilibria, size)
        A profile in each box.
    lower, upper : ndarray, shape (equilibria, size)
        The boxes; they are disjoint, and each contains exactly one equilibrium.
    rate_lower, rate_upper : ndarray, shape (equilibria,)
        Bounds on the spectral radius of simultaneous best response at the equilibrium: below one, play from nearby returns.
    index : ndarray of int, shape (equilibria,)
        The sign of det(I − Jacobian of best response), 0 where it is not proved. For two one-parameter agents, −1 is a
        saddle of best-response dynamics in continuous time and unstable when agents move one after the other.
    search_lower, search_upper : ndarray, shape (size,), or None
        A rectangle that contains no other equilibrium.
    unique_lower, unique_upper : ndarray, shape (equilibria, size), or None
        A wider box around each equilibrium that contains no other; the cover refers to them.
    cover : str or None
        The proof that the rectangle contains no other; see ``c6_cover.py``.
    everywhere : bool
        Whether there is no equilibrium outside the rectangle either.
    precision : int
        Bits of the balls.
    package_version : str

    Examples
    --------
    >>> import expfam_game as eg
    >>> game = eg.catalog.three_equilibria()
    >>> certificate = eg.certify_all(game, (-40, 40))
    >>> certificate.natural.round(4)
    array([[-8.3163,  8.3493],
           [-1.9668,  2.192 ],
           [-0.7605,  0.8618]])
    >>> certificate.index, certificate.complete, certificate.everywhere
    (array([ 1, -1,  1]), True, True)
    >>> eg.check(game, certificate)
    True
    """

    fingerprint: str
    claims: Mapping[str, Claim]
    natural: FloatArray
    lower: FloatArray
    upper: FloatArray
    rate_lower: FloatArray
    rate_upper: FloatArray
    index: IntArray
    precision: int
    package_version: str
    search_lower: FloatArray | None = None
    search_upper: FloatArray | None = None
    unique_lower: FloatArray | None = None
    unique_upper: FloatArray | None = None
    cover: str | None = None
    everywhere: bool = False

    _FORMAT: ClassVar[str] = "expfam_game.equilibria"

    def __repr__(self) -> str:
        return f"EquilibriaCertificate(grade={self.grade.value!r}, {self._found()})"

    def __str__(self) -> str:
        lines = [f"{key}: {value}" for key, value in self.headline().items()]
        return "\n".join([*lines, *(str(claim) for claim in self.claims.values()), f"in all: {self._found()}"])

    def _found(self) -> str:
        """How many equilibria, and where there are no others."""
        if self.n_equilibria == 0 and self.complete:
            return (
                "no equilibrium anywhere" if self.everywhere else "no equilibrium in the rectangle, one may lie outside"
            )
        count = "1 equilibrium" if self.n_equilibria == 1 else f"{self.n_equilibria} equilibria"
        if self.everywhere:
            return f"{count}, no others anywhere"
        return (
            f"{count}, no others in the rectangle, some may lie outside" if self.complete else f"{count}, maybe others"
        )

    @property
    def grade(self) -> Grade:
        """Always rigorous: everything is proved in ball arithmetic."""
        return Grade.worst(claim.grade for claim in self.claims.values() if claim.grade)

    @property
    def n_equilibria(self) -> int:
        """How many equilibria are proved to exist; all there are if :attr:`complete`."""
        return len(self.natural)

    @property
    def complete(self) -> bool:
        """Whether it is proved that the rectangle contains no other equilibrium."""
        return self.cover is not None

    @property
    def error_bound(self) -> FloatArray:
        """How far at most each natural parameter of ``natural`` is from the equilibrium; shape (equilibria, size)."""
        gap = np.maximum(self.natural - self.lower, self.upper - self.natural)
        return np.asarray(np.nextafter(gap, np.inf))

    @property
    def stable(self) -> tuple[bool | None, ...]:
        """For each equilibrium whether simultaneous best response returns to it from nearby; None if not proved."""
        return tuple(
            True if high < 1 else False if low > 1 else None for low, high in zip(self.rate_lower, self.rate_upper)
        )

    def headline(self) -> dict[str, Any]:
        """The few numbers that a reader looks for first."""
        return {
            "grade": self.grade.value,
            "n_equilibria": self.n_equilibria,
            "max_error": float(np.max(self.error_bound, initial=0.0)),
            "complete": self.complete,
            "everywhere": self.everywhere,
        }

    def _problems(self) -> Iterable[str]:
        return _problems(self)

    @classmethod
    def _encoded(cls, name: str, value: Any) -> Any:
        return encoded_claims(value) if name == "claims" else value

    @classmethod
    def _decoded(cls, name: str, value: Any) -> Any:
        return decoded_claims(value) if name == "claims" else value


# ---------------------------------------------------------------------- what must hold before any claim is looked at


def _problems(c: EquilibriaCertificate) -> Iterable[str]:
    if not isinstance(c.natural, np.ndarray) or c.natural.ndim != 2 or c.natural.shape[1] == 0:
        yield "natural must be an array of shape (equilibria, size)"
    both, each = c.natural.shape, c.natural.shape[:1]
    shapes = {"natural": both, "lower": both, "upper": both, "rate_lower": each, "rate_upper": each}
    if c.cover is not None:
        shapes |= {"search_lower": both[1:], "search_upper": both[1:], "unique_lower": both, "unique_upper": both}
    for name, shape in shapes.items():
        array = getattr(c, name)
        if not is_array(array, np.float64, shape) or not np.all(np.isfinite(array)):
            yield f"{name} must be a float64 array of shape {shape} without NaN and infinity"
    if not is_array(c.index, np.int64, each) or not np.all(np.abs(c.index) <= 1):
        yield "index must hold −1, 0 or 1 for each equilibrium"
    if not np.all(c.lower < c.upper) or (c.cover is not None and not np.all(c.search_lower < c.search_upper)):  # type: ignore[operator]
        yield "every box must have its lower end below its upper end"
    if c.cover is not None and not (isinstance(c.cover, str) and set(c.cover) <= set("01eu")):
        yield "cover must be a string of the characters 0, 1, e and u"
    if c.cover is None and not all(
        end is None for end in (c.search_lower, c.search_upper, c.unique_lower, c.unique_upper)
    ):
        yield "a search rectangle and boxes of uniqueness need a cover"
    if type(c.everywhere) is not bool or (c.everywhere and c.cover is None):
        yield "everywhere must be a truth value, and true only with a cover"
    if type(c.precision) is not int or not 53 <= c.precision <= 1 << 16:
        yield "precision must be an integer from 53 to 65536"
    if not isinstance(c.fingerprint, str) or not isinstance(c.package_version, str):
        yield "fingerprint and package_version must be strings"
    claim = c.claims.get("C6") if isinstance(c.claims, Mapping) and len(c.claims) == 1 else None
    if not isinstance(claim, Claim) or claim.name != "C6" or not isinstance(claim.grade, Grade):
        yield "claims must hold C6 with its grade, and nothing else"
    elif not isinstance(claim.reason, str):
        yield "the reason of C6 must be a string"
