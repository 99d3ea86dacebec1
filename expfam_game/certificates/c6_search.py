"""Making a C6 certificate: find equilibria, grow boxes around them, and cut the rectangle until every part is proved.

Nothing here is trusted: ``check`` verifies what comes out with ``c6_krawczyk.py`` and ``c6_cover.py`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from flint import ctx

import expfam_game
from expfam_game._typing import FloatArray, Seed
from expfam_game.certificates import c6_cover, c6_krawczyk
from expfam_game.certificates.c6_cover import Rectangle
from expfam_game.certificates.c6_krawczyk import BallGame
from expfam_game.certificates.certificate import Claim, Grade
from expfam_game.certificates.equilibria import EquilibriaCertificate
from expfam_game.errors import CertificationFailed, ExpfamGameError, InvalidInput
from expfam_game.game.edge import ADVICE, agents_near_the_boundary
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.kernels.streams import seed_sequence, stream

SCAN = 2001
"""Points at which play of the second agent is scanned for crossings; the cover finds what falls between them."""
THIN = 1e-13
"""Width of a rectangle, relative to its position, that is not cut further."""
LARGEST = 1e6
"""Ends of a search: natural parameters beyond it are no longer told apart by float64 probabilities."""
GROWTH = 2.0
PLAY = 20
"""Rounds of best response before Newton's method, from every other start."""


def certify_profile(game: HeterogeneousGame, natural: Any, precision: int = 128) -> EquilibriaCertificate:
    """A box that contains the profile and exactly one equilibrium.

    Raises
    ------
    NotAnchored
        If some agents never reach real data.
    CertificationFailed
        If no such box is found: the profile is too far from an equilibrium, or the Jacobian there is nearly singular, or the
        profile is on the way to the boundary of the mean space, where there is none.
    """
    game.weights.require_anchored()
    parts = game._one_profile(natural)
    flat = np.concatenate(parts)
    with ctx.workprec(precision):
        balls = BallGame(game.exact_tables())
        box = _box_around(balls, flat)
        if box is None:
            raise CertificationFailed(
                "C6: no box around the profile is proved to contain exactly one equilibrium; " + _reason(game, parts)
            )
        return _certificate(game, balls, flat[None], box[0][None], box[1][None], precision)


def _reason(game: HeterogeneousGame, parts: list[FloatArray]) -> str:
    agents = agents_near_the_boundary(game, parts)
    if agents:
        whom = f"agent{'s' if len(agents) > 1 else ''} {', '.join(map(str, agents))}"
        return (
            f"the best responses to it are at the boundary of the mean space of {whom}: if play runs there, no equilibrium "
            f"exists there; to have one, {ADVICE}"
        )
    return "the profile is too far from one, or the Jacobian there is nearly singular (a higher precision may help)"


def certify_all(
    game: HeterogeneousGame,
    box: Any = (-40.0, 40.0),
    *,
    precision: int = 96,
    max_rectangles: int = 200_000,
) -> EquilibriaCertificate:
    """Enclose every equilibrium of two one-parameter agents in a rectangle, and prove that there is no other (C6).

    Parameters
    ----------
    game : HeterogeneousGame
        Two agents with one statistic each, on a finite sample space.
    box : tuple (low, high), or a pair of such tuples
        The rectangle of natural parameters, the same interval for both agents or one for each. If it is wide enough, the
        certificate says that there are no equilibria outside either.
    precision : int
        Bits of the balls, from 53 to 65536.
    max_rectangles : int
        How many parts the rectangle may be cut into.

    Returns
    -------
    EquilibriaCertificate
        Equilibria in the order of the first agent's parameter. Without any, ``everywhere`` says whether one may lie outside
        the rectangle; where data is on the boundary of the mean space, there may be none at all.

    Raises
    ------
    NotAnchored
        If some agents never reach real data.
    CertificationFailed
        If a part of the rectangle cannot be decided: where two equilibria merge, both tests fail at every size.

    Examples
    --------
    >>> import expfam_game as eg
    >>> certificate = eg.certify_all(eg.catalog.three_equilibria())
    >>> certificate.n_equilibria, bool(certificate.error_bound.max() < 1e-12)
    (3, True)
    """
    _require_pair(game)
    search = rectangle(box, 2)
    _require_precision(precision)
    whole: Rectangle = ((search[0][0], search[1][0]), (search[0][1], search[1][1]))
    with ctx.workprec(precision):
        balls = BallGame(game.exact_tables())
        hunt = _Hunt(balls, whole, max_rectangles)
        for start in _crossings(game, search):
            hunt.add(start)
        cover = hunt.cover()
        order = sorted(range(len(hunt.found)), key=lambda k: hunt.found[k][0][0])
        points, lower, upper, wide_low, wide_high = (
            np.array([hunt.found[k][part] for k in order]).reshape(-1, 2) for part in range(5)
        )
        outside = any(hunt.ranges.reaches_beyond(agent, whole[agent]) for agent in (0, 1))
        proof = {"search_lower": search[0], "search_upper": search[1], "cover": cover, "everywhere": not outside}
        proof |= {"unique_lower": wide_low, "unique_upper": wide_high}
        return _certificate(game, balls, points, lower, upper, precision, **proof)


def all_equilibria(
    game: HeterogeneousGame,
    box: Any = (-40.0, 40.0),
    *,
    starts: int = 64,
    seed: Seed = 0,
    precision: int = 128,
) -> EquilibriaCertificate:
    """Search for equilibria from many starts and prove that those found are different ones (C6).

    For two one-parameter agents this is :func:`certify_all`, which proves that none is missing. Otherwise
    ``certificate.complete`` is False: every equilibrium in it exists, but there may be more.

    Parameters
    ----------
    game : HeterogeneousGame
        On a finite sample space.
    box : tuple (low, high), or one such tuple for each natural parameter
        Where the starts are drawn, uniformly.
    starts : int
    seed : int, SeedSequence or Generator
    precision : int
        Bits of the balls, from 53 to 65536.

    Returns
    -------
    EquilibriaCertificate

    Examples
    --------
    >>> import expfam_game as eg
    >>> eg.certificates.all_equilibria(eg.catalog.three_equilibria()).n_equilibria
    3
    """
    if not isinstance(game, HeterogeneousGame):
        raise InvalidInput(f"all_equilibria takes a HeterogeneousGame, got {type(game).__name__}")
    if isinstance(starts, bool) or not isinstance(starts, (int, np.integer)) or starts < 1:
        raise InvalidInput(f"starts is {starts!r}; it must be an integer, at least 1")
    _require_precision(precision)
    game.weights.require_anchored()
    if game.dims == (1, 1):
        return certify_all(game, box, precision=precision)
    size = sum(game.dims)
    low, high = rectangle(box, size)
    draws = stream(seed_sequence(seed)).uniform(low, high, size=(int(starts), size))
    boxes: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    with ctx.workprec(precision):
        balls = BallGame(game.exact_tables())
        for number, start in enumerate(draws):
            point = c6_krawczyk.enclose(balls, start if number % 2 else _played(game, start))
            found = None if point is None else _box_around(balls, point)
            if point is not None and found is not None and not any(_touch(found, other[1:]) for other in boxes):
                boxes.append((point, *found))
        boxes.sort(key=lambda entry: entry[0].tolist())
        points, lower, upper = (np.array([entry[k] for entry in boxes]).reshape(-1, size) for k in range(3))
        return _certificate(game, balls, points, lower, upper, precision)


def certify_along(
    make_game: Callable[[Any], HeterogeneousGame],
    values: Iterable[Any],
    box: Any = (-40.0, 40.0),
    *,
    precision: int = 96,
    max_rectangles: int = 20_000,
) -> tuple[EquilibriaCertificate | None, ...]:
    """How the equilibria of two one-parameter agents change along a family of games (C6).

    Parameters
    ----------
    make_game : callable
        The game for each value, for example ``catalog.three_equilibria``.
    values : iterable
    box, precision, max_rectangles
        As for :func:`certify_all`.

    Returns
    -------
    tuple of EquilibriaCertificate or None
        One for each value; None where the search could not be completed, as it must be where two equilibria merge.

    Examples
    --------
    >>> import expfam_game as eg
    >>> found = eg.certificates.certify_along(eg.catalog.three_equilibria, ["3/20", "18/100", "19/100"])
    >>> [certificate.n_equilibria for certificate in found]
    [3, 3, 1]
    """
    result: list[EquilibriaCertificate | None] = []
    for value in values:
        try:
            result.append(certify_all(make_game(value), box, precision=precision, max_rectangles=max_rectangles))
        except CertificationFailed:
            result.append(None)
    return tuple(result)


# ---------------------------------------------------------------------- boxes


def _certificate(
    game: HeterogeneousGame,
    balls: BallGame,
    points: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    precision: int,
    **proof: Any,
) -> EquilibriaCertificate:
    ends = [c6_krawczyk.stability(balls, a, b) for a, b in zip(lower, upper)]
    return EquilibriaCertificate(
        fingerprint=game.fingerprint(),
        claims={"C6": Claim("C6", Grade.RIGOROUS)},
        natural=points,
        lower=lower,
        upper=upper,
        rate_lower=np.array([end[0] for end in ends]),
        rate_upper=np.array([end[1] for end in ends]),
        index=np.array([end[2] for end in ends], dtype=np.int64),
        precision=int(precision),
        package_version=expfam_game.__version__,
        **proof,
    )


def _box_around(balls: BallGame, flat: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """The smallest of a few boxes that contains the profile and exactly one equilibrium."""
    centre = c6_krawczyk.enclose(balls, flat)
    if centre is None:
        return None
    scale = np.maximum(1.0, np.abs(centre))
    away = 1.5 * np.abs(flat - centre)
    for bits in range(48, 12, -4):
        radius = np.maximum(scale * 2.0**-bits, away)
        lower, upper = centre - radius, centre + radius
        if c6_krawczyk.contains_one(balls, lower, upper):
            return lower, upper
    return None


def _touch(one: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray]) -> bool:
    return bool(np.all((one[0] <= other[1]) & (other[0] <= one[1])))


class _Hunt:
    """The equilibria found so far, each with its box and the widest box in which it is proved to be the only one."""

    def __init__(self, balls: BallGame, whole: Rectangle, max_rectangles: int) -> None:
        self.balls, self.whole, self.limit = balls, whole, max_rectangles
        self.ranges = c6_cover.Ranges(balls)
        self.found: list[tuple[FloatArray, ...]] = []
        self.unique: list[Rectangle] = []

    def add(self, start: FloatArray) -> bool:
        """Look for an equilibrium near ``start``; whether a new one was found."""
        point = c6_krawczyk.enclose(self.balls, start)
        if point is None or not all(a <= p <= b for p, (a, b) in zip(point, self.whole)):
            return False
        box = _box_around(self.balls, point)
        if box is None or any(_touch(box, (known[1], known[2])) for known in self.found):
            return False
        wide = self._widened(point, *box)
        self.found.append((point, *box, *wide))
        (a, c), (b, d) = wide[0].tolist(), wide[1].tolist()
        self.unique.append(((a, b), (c, d)))
        return True

    def _widened(self, point: FloatArray, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        best = lower, upper
        radius = upper - point
        while np.max(radius) < 10.0:
            radius = GROWTH * radius
            trial = np.minimum(point - radius, lower), np.maximum(point + radius, upper)
            if not c6_krawczyk.contains_at_most_one(self.balls, *trial):
                break
            best = trial
        return best

    def cover(self) -> str:
        """The cover as a string; rectangles that stay undecided when they are thin are searched for new equilibria."""
        signs: list[str] = []
        todo = [self.whole]
        while todo:
            box = todo.pop()
            if c6_cover.inside(box, self.unique):
                signs.append("u")
                continue
            if self.ranges.excluded(box):
                signs.append("e")
                continue
            widths = [high - low for low, high in box]
            axis = self._axis(box, widths)
            if widths[axis] <= THIN * (1.0 + max(abs(end) for side in box for end in side)):
                if not self.add(np.array([(low + high) / 2 for low, high in box])):
                    self._give_up(box, "is too thin to be cut further")
                if not c6_cover.inside(box, self.unique):
                    self._give_up(box, "stays undecided beside an equilibrium")
                signs.append("u")
                continue
            if len(signs) >= self.limit:
                self._give_up(box, f"is left after {self.limit} rectangles; raise max_rectangles")
            signs.append(str(axis))
            todo += reversed(c6_cover.halves(box, axis))
        return "".join(signs)

    def _axis(self, box: Rectangle, widths: list[float]) -> int:
        """The side that leaves more of the two components open, whatever the units: μ_i is open by one, t_i by the other."""
        share = 0.0
        for agent in (0, 1):
            own, other = box[agent], box[1 - agent]
            low, high = self.ranges.target(agent, *other)
            mean = self.ranges.mean(agent, own[1])[1] - self.ranges.mean(agent, own[0])[0]
            part = mean / (mean + (high - low)) if 0 < mean + (high - low) < np.inf else 0.5
            share += part if agent == 0 else 1.0 - part
        axis = int(share < 1.0)
        return axis if widths[axis] > 2.0**-40 * widths[1 - axis] else 1 - axis

    def _give_up(self, box: Rectangle, why: str) -> None:
        raise CertificationFailed(
            f"C6: the rectangle {c6_cover._shown(box)} {why}. Equilibria may merge there (the Jacobian is nearly singular), or the search "
            "needs a smaller box or more rectangles"
        )


# ---------------------------------------------------------------------- starts


def _crossings(game: HeterogeneousGame, search: FloatArray) -> list[FloatArray]:
    """Where the second agent's answer to the first's answer crosses the diagonal, on a grid."""
    second = np.linspace(search[0][1], search[1][1], SCAN)
    try:
        profile = np.stack([np.zeros(SCAN), second], axis=-1)[..., None]
        first = game.best_response(profile)[:, 0, 0]
        again = game.best_response(np.stack([first, second], axis=-1)[..., None])[:, 1, 0]
    except ExpfamGameError:  # an answer on the boundary: the cover looks for equilibria by itself
        return []
    sign = np.sign(again - second)
    places = np.flatnonzero(sign[1:] * sign[:-1] <= 0)
    return [np.array([(first[k] + first[k + 1]) / 2, (second[k] + second[k + 1]) / 2]) for k in places]


def _played(game: HeterogeneousGame, start: FloatArray) -> FloatArray:
    """Some rounds of best response, or the start itself where there is none."""
    parts = np.split(start, np.cumsum(game.dims)[:-1])
    try:
        profile = game._padded(parts)
        for _ in range(PLAY):
            profile = game.best_response(profile)
        return np.concatenate(game._split(profile))
    except ExpfamGameError:
        return start


# ---------------------------------------------------------------------- checks


def rectangle(box: Any, size: int) -> FloatArray:
    """Lower and upper ends, shape (2, size), from one interval or one for each entry."""
    try:
        values = np.array(box, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape == (2,):
        values = np.repeat(values[None], size, axis=0)
    if values.shape != (size, 2) or not np.all(np.abs(values) <= LARGEST) or not np.all(values[:, 0] < values[:, 1]):
        raise InvalidInput(
            f"box is {box!r}; it must be an interval (low, high) with low < high, both within ±{LARGEST:g}, or {size} of them, one for each natural "
            "parameter"
        )
    return np.asarray(values.T.copy())


def _require_pair(game: Any) -> None:
    if not isinstance(game, HeterogeneousGame):
        raise InvalidInput(f"certify_all takes a HeterogeneousGame, got {type(game).__name__}")
    if game.dims != (1, 1):
        raise InvalidInput(
            f"certify_all needs two agents with one statistic each, this game has agents with {game.dims} statistics; "
            "certificates.all_equilibria searches without the proof that none is missing"
        )
    game.weights.require_anchored()
    game.exact_tables()


def _require_precision(precision: Any) -> None:
    if not isinstance(precision, (int, np.integer)) or not 53 <= precision <= 1 << 16:
        raise InvalidInput(f"precision is {precision!r}; it must be an integer from 53 to 65536")
