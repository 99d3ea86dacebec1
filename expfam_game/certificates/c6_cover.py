"""C6, global: no equilibrium of two one-parameter agents is missed in a rectangle, by a cover of it (T10).

With one parameter each, G_1(θ) = μ_1(θ_1) − α_11 m_1 − α_12 g(θ_2) and likewise G_2: each component is a difference of two
functions of one variable, so a rectangle is free of equilibria if two ranges are disjoint. μ_i increases, so its range
comes from its ends; the range of g is the intersection of a direct enclosure and of the mean-value form.

A cover is a string that is read from the left, beginning with the whole rectangle: ``"0"`` and ``"1"`` cut the current
rectangle in the middle across θ_1 or θ_2 and go on with its lower half, then its upper half; ``"e"`` says that it is free of
equilibria, ``"u"`` that it lies in one of the boxes with at most one, all of which are known. By construction the parts
cover the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from flint import arb

from expfam_game.certificates.c6_krawczyk import BallGame
from expfam_game.certificates.rounding import ball, down, up

Range = tuple[float, float]
Rectangle = tuple[Range, Range]

Ball = Any
PAIRS = 24
"""Up to so many states, covariances are summed over pairs of states, which is tighter."""


class Ranges:
    """Ranges over intervals of one agent's natural parameter, each computed once; made inside ``with ctx.workprec``."""

    def __init__(self, game: BallGame) -> None:
        if game.dims != [1, 1]:
            raise ValueError("a cover needs two agents with one parameter each")
        self.game = game
        self.own_values = [[row[0] for row in table] for table in game.statistics]
        self._mean: dict[tuple[int, float], tuple[float, float]] = {}
        self._target: dict[tuple[int, float, float], Range] = {}

    def excluded(self, box: Rectangle) -> bool:
        """Whether the rectangle is proved to contain no equilibrium."""
        return any(self._misses(agent, box[agent], box[1 - agent]) for agent in (0, 1))

    def _misses(self, agent: int, own: Range, other: Range) -> bool:
        low, high = self.target(agent, *other)
        return self.mean(agent, own[1])[1] < low or self.mean(agent, own[0])[0] > high

    def mean(self, agent: int, theta: float) -> Range:
        """Bounds of μ_i at a point."""
        key = agent, theta
        if key not in self._mean:
            law = self.game.law(agent, [arb(theta)])
            value = _dot(law, self.own_values[agent])
            self._mean[key] = down(value), up(value)
        return self._mean[key]

    def target(self, agent: int, low: float, high: float) -> Range:
        """Bounds of t_i while the other agent's parameter is between ``low`` and ``high``."""
        key = agent, low, high
        if key not in self._target:
            self._target[key] = self._bound(agent, self._heard(agent, low, high))
        return self._target[key]

    def _bound(self, agent: int, heard: tuple[Ball, Ball]) -> Range:
        row, other = self.game.weights[agent], 1 - agent
        fixed = row[agent] * self.game.means[agent][0] if agent in row else arb(0)
        weight = row.get(other, arb(0))
        return down(fixed + weight * heard[0]), up(fixed + weight * heard[1])

    def _heard(self, agent: int, low: float, high: float) -> tuple[Ball, Ball]:
        """Bounds of the other agent's mean of this agent's statistic."""
        values, own = self.own_values[agent], self.own_values[1 - agent]
        law = self._law_over(1 - agent, low, high)
        pivot = values[0]
        direct = pivot + _dot(law, [value - pivot for value in values])
        middle = low + (high - low) / 2
        there = _dot(self.game.law(1 - agent, [arb(middle)]), values)
        slope = _covariance(law, values, own)
        mean_value = there + slope * (ball(low, high) - arb(middle))
        # both enclose the range, so either end may be taken from either
        bottom = max((x.lower() for x in (direct, mean_value)), key=float)
        top = min((x.upper() for x in (direct, mean_value)), key=float)
        return arb(bottom), arb(top)

    def _law_over(self, agent: int, low: float, high: float) -> list[Ball]:
        """Probabilities over an interval: 1/p_s = Σ_r exp(θ (φ_r − φ_s)) h_r/h_s, each term between its values at the ends."""
        pairs = list(zip(self.own_values[agent], self.game.log_mass[agent]))
        start, end = ([(arb(theta) * v + mass).exp() for v, mass in pairs] for theta in (low, high))
        law = []
        for s in range(len(pairs)):
            terms = [(a / start[s], b / end[s]) for a, b in zip(start, end)]
            least = sum((one.min(other) for one, other in terms), arb(0))
            most = sum((one.max(other) for one, other in terms), arb(0))
            law.append((1 / most).union(1 / least))
        return law

    def reaches_beyond(self, agent: int, edge: Range) -> bool:
        """Whether an equilibrium may have this agent's parameter outside ``edge``; False proves that none has.

        Every t_i lies between α_ii m_i + α_ij min φ_i and α_ii m_i + α_ij max φ_i, whatever the other agent does.
        """
        values = self.own_values[agent]
        low, high = self._bound(agent, (reduce(arb.min, values), reduce(arb.max, values)))
        return not (self.mean(agent, edge[0])[1] < low and self.mean(agent, edge[1])[0] > high)


def _dot(law: Sequence[Ball], values: Sequence[Ball]) -> Ball:
    return sum((p * value for p, value in zip(law, values)), arb(0))


def _covariance(law: Sequence[Ball], f: Sequence[Ball], g: Sequence[Ball]) -> Ball:
    """Σ_{r<s} p_r p_s (f_r − f_s)(g_r − g_s), or Σ p (f − E f)(g − E g) where there are many states."""
    states = range(len(law))
    if len(law) > PAIRS:
        a, b = _dot(law, f), _dot(law, g)
        return sum((p * (x - a) * (y - b) for p, x, y in zip(law, f, g)), arb(0))
    return sum((law[r] * law[s] * (f[r] - f[s]) * (g[r] - g[s]) for r in states for s in states if r < s), arb(0))


# ---------------------------------------------------------------------- reading a cover


def halves(box: Rectangle, axis: int) -> tuple[Rectangle, Rectangle]:
    """The lower and the upper half."""
    low, high = box[axis]
    middle = low + (high - low) / 2
    if not low < middle < high:
        raise ValueError("the rectangle is too thin to be cut")
    lower, upper = (low, middle), (middle, high)
    return ((lower, box[1]), (upper, box[1])) if axis == 0 else ((box[0], lower), (box[0], upper))


def inside(box: Rectangle, outer: Sequence[Rectangle]) -> bool:
    """Whether the rectangle lies in one of the others."""
    return any(all(o[k][0] <= box[k][0] and box[k][1] <= o[k][1] for k in (0, 1)) for o in outer)


def first_gap(cover: str, whole: Rectangle, ranges: Ranges, unique: Sequence[Rectangle]) -> str:
    """What is wrong with a cover, as a sentence; empty if every part of it is proved."""
    todo = [whole]
    for place, sign in enumerate(cover):
        if not todo:
            return f"the cover goes on after its last rectangle, at character {place}"
        box = todo.pop()
        if sign in "01":
            try:
                lower, upper = halves(box, int(sign))
            except ValueError as problem:
                return f"character {place} of the cover: {problem}"
            todo += [upper, lower]
        elif sign == "e" and not ranges.excluded(box):
            return f"character {place} of the cover: {_shown(box)} is not proved to be free of equilibria"
        elif sign == "u" and not inside(box, unique):
            return f"character {place} of the cover: {_shown(box)} is in no box with at most one equilibrium"
        elif sign not in "eu":
            return f"character {place} of the cover is {sign!r}"
    return f"the cover stops before {_shown(todo[-1])}" if todo else ""


def _shown(box: Rectangle) -> str:
    return f"[{box[0][0]!r}, {box[0][1]!r}] × [{box[1][0]!r}, {box[1][1]!r}]"
