"""Making a certificate: find the witnesses, choose the arithmetic, and write down what could be proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, overload

import numpy as np
from tqdm.auto import tqdm

import expfam_game
from expfam_game._typing import FloatArray
from expfam_game.certificates import balls, c2_contraction, c3_mean, c4_natural, c5_regret
from expfam_game.certificates.c6_search import certify_profile
from expfam_game.certificates.certificate import CLAIMS, Certificate, Claim, Grade
from expfam_game.certificates.equilibria import EquilibriaCertificate
from expfam_game.certificates.rounding import Arithmetic
from expfam_game.certificates.stored import frozen
from expfam_game.errors import CertificationFailed, ExpfamGameError, InvalidInput
from expfam_game.game.game import Game
from expfam_game.game.heterogeneous import HeterogeneousGame

EXACT_AGENTS = 30
"""Up to so many agents, and ``EXACT_WORK``, the equilibrium mean itself is computed in rational numbers."""
EXACT_WORK = 1e5
"""Limit of n_agents² · dim for the exact solution."""
BALL_WORK = 2e5
"""Limit of (entries of α) · dim for C2 and C3 in balls; above, float64 with a-priori error bounds."""
NATURAL_WORK = 2e5
"""Limit of ball work for C4 and C5, some 25 µs a unit: n_agents · dim where the statistics are independent, a tenth
of that or less where they are not."""


@overload
def certify(
    game: Game,
    sol: Any,
    *,
    grade: Literal["auto", "exact", "rigorous", "float"] = "auto",
    precision: int = 128,
) -> Certificate: ...


@overload
def certify(
    game: HeterogeneousGame,
    sol: Any,
    *,
    grade: Literal["auto", "exact", "rigorous", "float"] = "auto",
    precision: int = 128,
) -> EquilibriaCertificate: ...


def certify(
    game: Game | HeterogeneousGame,
    sol: Any,
    *,
    grade: Literal["auto", "exact", "rigorous", "float"] = "auto",
    precision: int = 128,
) -> Certificate | EquilibriaCertificate:
    """Prove bounds on how far a profile is from the equilibrium of the game, and on what anybody can gain by deviating.

    Parameters
    ----------
    game : Game or HeterogeneousGame
    sol : Solution, or anything with ``mean`` and ``natural``
        The profile, two arrays of shape (n_agents, dim). ``natural`` may be None; C4 and C5 are then not claimed.
    grade : {"auto", "exact", "rigorous", "float"}
        The worst grade that a claim may have; claims that cannot reach it are left out, with the reason in
        ``certificate.claims``. ``"exact"`` leaves out C4 and C5, since logarithms are not rational. ``"auto"`` proves
        what can be proved in a few seconds and computes the rest in floats, marked ``float``. ``"float"`` proves C1 to
        C3 in float64 with a-priori error bounds and computes C4 and C5 in floats, the fastest for huge games.
    precision : int
        Bits of the balls, from 53 to 65536; more help where the family is ill-conditioned.

    Returns
    -------
    Certificate or EquilibriaCertificate
        For a ``HeterogeneousGame`` on a finite space an ``EquilibriaCertificate``: a box around ``sol.natural`` with exactly
        one equilibrium (C6). It is proved in balls whatever the grade asked for, unless that is ``"exact"`` or ``"float"``.

    Raises
    ------
    InvalidInput
        If an argument is not what it should be; the message says which one.
    NotAnchored
        If the equilibrium is not unique (C1).
    CertificationFailed
        If C2, C3 or C6 cannot be proved.

    Notes
    -----
    The certificate is about the game with the weights as they are stored: α is taken as exact binary fractions, whose
    rows need not sum to one exactly. Its ``grade`` is the worst one of its claims.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import expfam_game as eg
    >>> game = eg.catalog.ring(5, self_weight=0.2)
    >>> mean = game.equilibrium_mean
    >>> certificate = eg.certify(game, SimpleNamespace(mean=mean, natural=game.family.to_natural(mean)))
    >>> certificate.claims["C3"].grade.value, certificate.max_error < 1e-15
    ('exact', True)
    """
    _require_game_and_solution(game, sol)
    if isinstance(game, HeterogeneousGame):
        return _certify_heterogeneous(game, sol, grade, precision)
    _require_options(grade, precision)
    # Shown after two seconds, on terminals only.
    with tqdm(total=len(CLAIMS), desc="certifying", unit=" claims", delay=2.0, disable=None, leave=False) as bar:
        return _certificate(game, sol, grade, int(precision), bar.update)


def _require_game_and_solution(game: Any, sol: Any) -> None:
    if not isinstance(game, (Game, HeterogeneousGame)):
        swapped = "; the two arguments are swapped" if isinstance(sol, (Game, HeterogeneousGame)) else ""
        raise InvalidInput(
            f"the first argument of certify, game, is of type {type(game).__name__}; it must be a Game or a "
            f"HeterogeneousGame{swapped}"
        )
    parts = ("natural",) if isinstance(game, HeterogeneousGame) else ("mean", "natural")
    if not all(hasattr(sol, part) for part in parts):
        raise InvalidInput(
            f"the second argument of certify, sol, is of type {type(sol).__name__}; it must be a Solution, or anything "
            f"that has {' and '.join(parts)}"
        )


def _require_options(grade: str, precision: Any) -> None:
    if grade not in ("auto", "exact", "rigorous", "float"):
        raise InvalidInput(f"grade is {grade!r}; it must be 'auto', 'exact', 'rigorous' or 'float'")
    if not isinstance(precision, (int, np.integer)) or not 53 <= precision <= 1 << 16:
        raise InvalidInput(f"precision is {precision!r}; it must be an integer from 53 to 65536")


def _certify_heterogeneous(game: HeterogeneousGame, sol: Any, grade: str, precision: int) -> EquilibriaCertificate:
    _require_options(grade, precision)
    if grade in ("exact", "float"):
        raise InvalidInput(
            f"grade is {grade!r}; C6, the claim about agents with different statistics, is proved in ball arithmetic only: "
            "use 'rigorous' or 'auto'"
        )
    return certify_profile(game, sol.natural, int(precision))


def _certificate(game: Game, sol: Any, grade: str, precision: int, tick: Callable[[int], object]) -> Certificate:
    mean = _profile(game, sol.mean, "mean")
    game.weights.require_anchored()
    tick(1)
    arithmetic = _arithmetic(game, grade)
    proved = Grade.EXACT if arithmetic == "exact" else Grade.RIGOROUS
    w, s = _contraction(game, arithmetic, precision)
    tick(1)
    found = _Found({"C1": Claim("C1", Grade.EXACT), "C2": Claim("C2", proved), "C3": Claim("C3", proved)})
    exact = c3_mean.solve(game.weights.matrix, game.means) if arithmetic == "exact" and _is_small(game) else None
    box = _mean_box(game, mean, w, s, exact, arithmetic, precision)
    tick(1)
    _natural_claims(found, game, sol, box, grade, arithmetic, precision)
    tick(2)
    return Certificate(
        fingerprint=game.fingerprint(),
        claims=dict(sorted(found.claims.items())),
        next_hop=frozen(game.weights.anchoredness.next_hop.astype(np.int64)),
        w=frozen(w),
        s=s,
        contraction_factor=c2_contraction.contraction_factor(w, s),
        mean=mean,
        mean_lower=frozen(box[0]),
        mean_upper=frozen(box[1]),
        error_bound=frozen(c3_mean.error_bound(mean, *box)),
        arithmetic=arithmetic,
        precision=precision,
        package_version=expfam_game.__version__,
        mean_numerators=exact[0] if exact else None,
        mean_denominator=exact[1] if exact else None,
        natural=found.natural,
        **{name: frozen(array) for name, array in found.arrays.items()},
    )


@dataclass
class _Found:
    """The claims as they are made, the arrays that go with C4 and C5, and the profile that these are about."""

    claims: dict[str, Claim]
    arrays: dict[str, FloatArray] = field(default_factory=dict)
    natural: FloatArray | None = None

    def add(self, name: str, grade: Grade, reason: str = "", **arrays: FloatArray) -> None:
        self.claims[name] = Claim(name, grade, reason)
        self.arrays.update(arrays)

    def leave_out(self, reason: str) -> None:
        for name in ("C4", "C5"):
            self.claims.setdefault(name, Claim(name, None, reason))


def _profile(game: Game, values: Any, what: str) -> FloatArray:
    profile = np.asarray(values, dtype=np.float64)
    if profile.shape != game.means.shape:
        raise InvalidInput(f"sol.{what} must have shape (n_agents, dim) = {game.means.shape}, got {profile.shape}")
    if not np.all(np.isfinite(profile)):
        agent = int(np.argmin(np.isfinite(profile).all(axis=1)))
        raise InvalidInput(f"sol.{what} of agent {agent} is not finite", agent=agent)
    return profile


# ---------------------------------------------------------------------- C2 and C3


def _is_small(game: Game) -> bool:
    return game.n_agents <= EXACT_AGENTS and game.n_agents**2 * game.family.dim <= EXACT_WORK


def _arithmetic(game: Game, grade: str) -> Arithmetic:
    if grade == "exact" or (grade == "auto" and _is_small(game)):
        return "exact"
    return "ball" if grade != "float" and game.weights.matrix.nnz * game.family.dim <= BALL_WORK else "float64"


def _contraction(game: Game, arithmetic: Arithmetic, precision: int) -> tuple[FloatArray, float]:
    """v itself is the witness: B v = v − 1."""
    w = np.array(game.v, dtype=np.float64)
    s = c2_contraction.slack(game.weights.matrix, w, arithmetic, precision) if np.all(w > 0) else 0.0
    if not 0 < s < np.inf:
        raise CertificationFailed(
            f"C2: no contraction could be proved in {arithmetic} arithmetic; the agents' way to real data takes up to "
            f"{np.max(w):.3g} steps, which is too long for float64. Use larger self-weights"
        )
    return w, s


def _mean_box(
    game: Game, mean: FloatArray, w: FloatArray, s: float, exact: Any, arithmetic: Arithmetic, precision: int
) -> tuple[FloatArray, FloatArray]:
    alpha = game.weights.matrix
    if exact is not None:
        box = c3_mean.rational_box(*exact)
    else:
        box = c3_mean.residual_box(alpha, game.means, mean, w, s, arithmetic, precision)
    if not all(np.all(np.isfinite(end)) for end in box):
        raise CertificationFailed("C3: the bounds on the equilibrium mean overflow; rescale the statistics")
    return box


# ---------------------------------------------------------------------- C4 and C5


def _natural_claims(
    found: _Found,
    game: Game,
    sol: Any,
    box: tuple[FloatArray, FloatArray],
    grade: str,
    arithmetic: Arithmetic,
    precision: int,
) -> None:
    """C4 and C5 in balls; where that fails, in floats if the grade allows it; else left out."""
    if getattr(sol, "natural", None) is None:
        return found.leave_out("the solution has no natural parameters")
    if grade == "exact":
        return found.leave_out("the natural parameters are not rational functions of the means")
    natural = game.family._checked_natural(_profile(game, sol.natural, "natural"))
    reason = (
        "grade='float' was asked for" if grade == "float" else _prove(found, game, natural, box, arithmetic, precision)
    )
    if reason and grade != "rigorous":
        reason = _compute(found, game, natural, box, reason)
    found.leave_out(reason)
    if any(found.claims[name].grade for name in ("C4", "C5")):
        found.natural = natural
    return None


def _prove(
    found: _Found,
    game: Game,
    natural: FloatArray,
    box: tuple[FloatArray, FloatArray],
    arithmetic: Arithmetic,
    precision: int,
) -> str:
    """Add C4 and C5 with grade rigorous; returns why not, where that fails."""
    family, alpha = game.family, game.weights.matrix
    try:
        if balls.work(family) * game.n_agents > NATURAL_WORK:
            return "the game is too large for ball arithmetic"
        image = c4_natural.image(family, natural, precision)
        if not np.all(np.isfinite(image)):
            return "the means of the profile overflow"
        target = c4_natural.target(alpha, game.means, box, image, arithmetic, precision)
        inside = c4_natural.find_box(family, natural, target, precision)
    except (balls.NoBallModel, ExpfamGameError) as problem:
        return str(problem)
    if inside is None:
        return "the mean box could not be carried over to natural parameters; it is too wide or meets the boundary"
    found.add("C4", Grade.RIGOROUS, natural_lower=inside[0], natural_upper=inside[1])
    gap = c5_regret.improvement(alpha, game.means, image, arithmetic, precision)
    bound = c5_regret.regret_bound(family, inside, gap, precision)
    if not np.all(np.isfinite(bound)):
        return "the Fisher information over the natural enclosure is not bounded away from singular"
    found.add("C5", Grade.RIGOROUS, regret_upper=bound)
    return ""


def _compute(found: _Found, game: Game, natural: FloatArray, box: tuple[FloatArray, FloatArray], reason: str) -> str:
    """Add what is still missing of C4 and C5 with grade float; returns why not, where that fails."""
    family, alpha = game.family, game.weights.matrix
    try:
        image = np.ascontiguousarray(family.to_mean(natural))
        if "C4" not in found.claims:
            inside = c4_natural.float_boxes(family, alpha, game.means, natural, image, box)
            if inside is not None:
                found.add("C4", Grade.FLOAT, reason, natural_lower=inside[0], natural_upper=inside[1])
        regret = c5_regret.float_regret(family, alpha, game.means, natural, image)
        if np.all(np.isfinite(regret)):
            found.add("C5", Grade.FLOAT, reason, regret_upper=regret)
    except ExpfamGameError as problem:
        return f"{reason}; nor in floats: {problem}"
    return reason
