"""The checker: verifies a certificate line by line and trusts nothing that made it.

It reads the weights, the means and the family of the game, or the exact tables of agents with different statistics, and
calls the inequality of each claim; it solves nothing.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from flint import ctx
from scipy import sparse

from expfam_game._typing import FloatArray
from expfam_game.certificates import (
    c1_anchored,
    c2_contraction,
    c3_mean,
    c4_natural,
    c5_regret,
    c6_cover,
    c6_krawczyk,
)
from expfam_game.certificates.balls import NoBallModel
from expfam_game.certificates.certificate import Certificate, Grade
from expfam_game.certificates.equilibria import EquilibriaCertificate
from expfam_game.certificates.stored import StoredCertificate, require_format
from expfam_game.errors import CertificateRejected, ExpfamGameError
from expfam_game.kernels.agent_blocks import row_blocks

if TYPE_CHECKING:
    from expfam_game.game.game import Game
    from expfam_game.game.heterogeneous import HeterogeneousGame


@overload
def check(game: Game, certificate: Certificate) -> bool: ...


@overload
def check(game: HeterogeneousGame, certificate: EquilibriaCertificate) -> bool: ...


def check(game: Game | HeterogeneousGame, certificate: Certificate | EquilibriaCertificate) -> bool:
    """Verify every claim of a certificate against the game.

    Claims of grade ``exact`` and ``rigorous`` are proved anew. A claim of grade ``float`` is computed anew and compared;
    that it agrees is no proof.

    Parameters
    ----------
    game : Game or HeterogeneousGame
    certificate : Certificate or EquilibriaCertificate

    Returns
    -------
    bool
        True; anything else is an exception.

    Raises
    ------
    CertificateRejected
        Its attribute ``claim`` names the line that failed: ``"format"``, ``"game"``, or ``"C1"`` … ``"C6"``.

    Examples
    --------
    >>> import dataclasses
    >>> import expfam_game as eg
    >>> from types import SimpleNamespace
    >>> game = eg.catalog.two_agents(0.5)
    >>> mean = game.equilibrium_mean
    >>> certificate = eg.certify(game, SimpleNamespace(mean=mean, natural=game.family.to_natural(mean)))
    >>> eg.check(game, dataclasses.replace(certificate, mean=mean + 1e-9))
    Traceback (most recent call last):
    ...
    expfam_game.errors.CertificateRejected: C3: error_bound is smaller than what can be proved
    """
    _require_kinds(game, certificate)
    if isinstance(certificate, EquilibriaCertificate):
        return _check_equilibria(game, certificate)
    require_format(certificate)
    if hasattr(game, "exact_tables"):
        raise CertificateRejected("game", "the certificate is about a game whose agents share a statistic")
    _require("game", certificate.fingerprint == game.fingerprint(), "the certificate is about another game")
    _require("game", certificate.mean.shape == game.means.shape, "the game has another shape")
    alpha = game.weights.matrix
    _check_anchored(alpha, certificate)
    _check_contraction(alpha, certificate)
    _check_mean(alpha, game.means, certificate)
    if certificate.natural is not None:
        try:
            _check_natural_and_regret(game, certificate, certificate.natural)
        except NoBallModel as problem:
            raise CertificateRejected("C4", f"graded rigorous, but {problem}") from None
    return True


def _require_kinds(game: object, certificate: object) -> None:
    if isinstance(game, StoredCertificate):
        raise CertificateRejected("game", "the game comes first: check(game, certificate)")
    if not hasattr(game, "weights") or not hasattr(game, "fingerprint"):
        raise CertificateRejected("game", f"expected a Game or a HeterogeneousGame first, got {type(game).__name__}")
    if not isinstance(certificate, (Certificate, EquilibriaCertificate)):
        file = isinstance(certificate, (str, PathLike))
        hint = "; read the file first, with Certificate.load or EquilibriaCertificate.load" if file else ""
        raise CertificateRejected("format", f"expected a Certificate, got {type(certificate).__name__}{hint}")


def _require(claim: str, holds: bool | np.bool_, reason: str) -> None:
    if not holds:
        raise CertificateRejected(claim, reason)


def _given(array: FloatArray | None) -> FloatArray:
    if array is None:
        raise CertificateRejected("format", "the numbers of a claim are missing")
    return array


def _check_anchored(alpha: sparse.csr_array, c: Certificate) -> None:
    _require("C1", np.all(c1_anchored.hops_are_edges(alpha, c.next_hop)), "a hop is not along a positive weight")
    _require("C1", np.all(c1_anchored.hops_reach_data(alpha, c.next_hop)), "the hops of an agent never reach data")


def _check_contraction(alpha: sparse.csr_array, c: Certificate) -> None:
    _require_grade(c, "C2", Grade.EXACT if c.arithmetic == "exact" else Grade.RIGOROUS)
    _require("C2", np.all(c.w > 0) and c.s > 0, "w and s must be positive")
    proved = c2_contraction.slack(alpha, c.w, c.arithmetic, c.precision)
    _require("C2", c.s <= proved, f"B w ≤ w − s is proved only for s ≤ {proved!r}")
    factor = c2_contraction.contraction_factor(c.w, c.s)
    _require("C2", c.contraction_factor >= factor, f"the contraction factor must be at least {factor!r}")


def _check_mean(alpha: sparse.csr_array, means: FloatArray, c: Certificate) -> None:
    _require_grade(c, "C3", Grade.EXACT if c.arithmetic == "exact" else Grade.RIGOROUS)
    if c.mean_numerators is not None and c.mean_denominator is not None:
        solved = c3_mean.is_solution(alpha, means, c.mean_numerators, c.mean_denominator)
        _require("C3", solved, "the rational numbers do not solve (I − B) μ = D m")
        lower, upper = c3_mean.rational_box(c.mean_numerators, c.mean_denominator)
    else:
        lower, upper = c3_mean.residual_box(alpha, means, c.mean, c.w, c.s, c.arithmetic, c.precision)
    tight = np.all(c.mean_lower <= lower) and np.all(c.mean_upper >= upper)
    _require("C3", tight, "the box is tighter than what can be proved")
    distance = c3_mean.error_bound(c.mean, c.mean_lower, c.mean_upper)
    _require("C3", np.all(c.error_bound >= distance), "error_bound is smaller than what can be proved")


def _check_natural_and_regret(game: Game, c: Certificate, natural: FloatArray) -> None:
    best, worst = Grade.RIGOROUS, Grade.FLOAT
    graded = {name: c.claims[name].grade for name in ("C4", "C5")}
    for name, grade in graded.items():
        if grade is not None:
            _require_grade(c, name, best)
    _require("C5", graded["C5"] != best or graded["C4"] == best, "a proved regret needs a proved natural enclosure")
    if best in graded.values():
        _prove_natural_and_regret(game, c, natural, graded["C5"] == best)
    if worst in graded.values():
        _compare_floats(game, c, natural, *(graded[name] == worst for name in graded))


def _prove_natural_and_regret(game: Game, c: Certificate, natural: FloatArray, with_regret: bool) -> None:
    alpha, means, family = game.weights.matrix, game.means, game.family
    box = _given(c.natural_lower), _given(c.natural_upper)
    how = c.arithmetic, c.precision
    image = c4_natural.image(family, natural, c.precision)
    _require("C4", np.all(np.isfinite(image)), "the profile is not inside the natural parameter space")
    target = c4_natural.target(alpha, means, (c.mean_lower, c.mean_upper), image, *how)
    inside = c4_natural.is_enclosed(family, natural, box, target, c.precision)
    _require("C4", np.all(inside), f"nothing is proved for the box of agent {int(np.argmin(inside))}")
    if with_regret:
        gap = c5_regret.improvement(alpha, means, image, *how)
        bound = c5_regret.regret_bound(family, box, gap, c.precision)
        _require("C5", np.all(_given(c.regret_upper) >= bound), "a regret bound is smaller than what can be proved")


def _compare_floats(game: Game, c: Certificate, natural: FloatArray, box: bool, regret: bool) -> None:
    """Nothing is proved here: the numbers are computed anew and must agree to within a thousandth."""
    family, alpha, means = game.family, game.weights.matrix, game.means
    try:
        image = np.ascontiguousarray(family.to_mean(natural))
        if box:
            again = c4_natural.float_boxes(family, alpha, means, natural, image, (c.mean_lower, c.mean_upper))
            if again is None:
                raise CertificateRejected("C4", "no box was found in floats")
            _require("C4", _contains(c, natural, *again), "the box is tighter than the one computed in floats")
        if regret:
            value = c5_regret.float_regret(family, alpha, means, natural, image)
            agrees = np.all(_given(c.regret_upper) >= value * (1 - 1e-3) - 1e-13)
            _require("C5", agrees, "the regret is smaller than the one computed in floats")
    except CertificateRejected:
        raise
    except ExpfamGameError as problem:
        raise CertificateRejected("C4" if box else "C5", f"it cannot be computed in floats: {problem}") from None


def _contains(c: Certificate, natural: FloatArray, lower: FloatArray, upper: FloatArray) -> bool:
    """Whether the certificate's natural box contains this one, but for a thousandth of its width and rounding."""
    low, high = _given(c.natural_lower), _given(c.natural_upper)
    for rows in row_blocks(*natural.shape):
        room = 1e-3 * (upper[rows] - lower[rows]) + 1e-14 * np.abs(natural[rows])
        if not (np.all(low[rows] <= lower[rows] + room) and np.all(high[rows] >= upper[rows] - room)):
            return False
    return True


def _require_grade(c: Certificate, name: str, best: Grade) -> None:
    """A claim may be graded worse than the arithmetic allows, never better."""
    grade = c.claims[name].grade
    reason = f"the arithmetic gives at best the grade {best.value}, not {grade}"
    _require(name, grade is not None and grade.rank >= best.rank, reason)


# ---------------------------------------------------------------------- C6


def _check_equilibria(game: Any, c: EquilibriaCertificate) -> bool:
    require_format(c)
    if not hasattr(game, "exact_tables"):
        raise CertificateRejected("game", "the certificate is about agents with different statistics")
    if not game.is_finite:
        raise CertificateRejected("game", f"the game lives on {game.space}; C6 is about finite sample spaces")
    _require("game", c.fingerprint == game.fingerprint(), "the certificate is about another game")
    _require("game", c.natural.shape[1] == sum(game.dims), "the game has another number of statistics")
    _require("C6", c.claims["C6"].grade is not Grade.EXACT, "ball arithmetic gives at best the grade rigorous")
    with ctx.workprec(c.precision):
        balls = c6_krawczyk.BallGame(game.exact_tables())
        for k in range(c.n_equilibria):
            _check_box(balls, c, k)
        if c.cover is not None:
            _check_cover(balls, c, c.cover)
    return True


def _check_box(balls: c6_krawczyk.BallGame, c: EquilibriaCertificate, k: int) -> None:
    lower, upper = c.lower[k], c.upper[k]
    _require("C6", np.all((lower <= c.natural[k]) & (c.natural[k] <= upper)), f"profile {k} is not in its box")
    proved = c6_krawczyk.contains_one(balls, lower, upper)
    _require("C6", proved, f"box {k} is not proved to contain exactly one equilibrium")
    for other in range(k):
        apart = np.any((c.upper[other] < lower) | (upper < c.lower[other]))
        _require("C6", apart, f"boxes {other} and {k} overlap, they may be about the same equilibrium")
    low, high, index = c6_krawczyk.stability(balls, lower, upper)
    inside = c.rate_lower[k] <= low and high <= c.rate_upper[k]
    _require("C6", inside, f"the rate of play at equilibrium {k} is proved only between {low!r} and {high!r}")
    _require("C6", c.index[k] in (0, index), f"the index of equilibrium {k} is proved to be {index}")


def _check_cover(balls: c6_krawczyk.BallGame, c: EquilibriaCertificate, cover: str) -> None:
    _require("C6", balls.dims == [1, 1], "a cover needs two agents with one parameter each")
    wide = _given(c.unique_lower), _given(c.unique_upper)
    for k, (low, high) in enumerate(zip(*wide)):
        around = np.all((low <= c.lower[k]) & (c.upper[k] <= high))
        _require("C6", around, f"the box of uniqueness of equilibrium {k} does not contain its box")
        alone = c6_krawczyk.contains_at_most_one(balls, low, high)
        _require("C6", alone, f"box {k} of uniqueness is not proved to contain at most one equilibrium")
    low, high = _given(c.search_lower).tolist(), _given(c.search_upper).tolist()
    whole = (low[0], high[0]), (low[1], high[1])
    unique = [((a[0], b[0]), (a[1], b[1])) for a, b in zip(wide[0].tolist(), wide[1].tolist())]
    ranges = c6_cover.Ranges(balls)
    gap = c6_cover.first_gap(cover, whole, ranges, unique)
    _require("C6", not gap, gap)
    beyond = c.everywhere and any(ranges.reaches_beyond(agent, whole[agent]) for agent in (0, 1))
    _require("C6", not beyond, "equilibria outside the rectangle are not excluded")
