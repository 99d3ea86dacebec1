"""C6, local: existence and uniqueness of an equilibrium in a box, by Krawczyk's operator in ball arithmetic (T10c).

The equilibria are the zeros of G(θ) = μ(θ) − t(θ). With a centre c of the box X, any matrix Y and the Jacobian J(X) of G
over X,

    K(X) = c − Y G(c) + (I − Y J(X)) (X − c) ⊂ int X

proves that X contains exactly one zero (Krawczyk 1969, Moore 1977; Neumaier, Interval Methods for Systems of Equations,
1990, theorem 5.1.8). ‖I − Y J(X)‖ < 1 in some norm proves that there is at most one.

The sums are over the states of a finite space with exact rational numbers; nothing of the float code is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import acb_mat, arb, arb_mat, ctx, fmpq

from expfam_game._typing import FloatArray
from expfam_game.certificates.rounding import ball, down, up

if TYPE_CHECKING:
    from expfam_game.game.exact_tables import ExactTables

Ball = Any
Balls = Sequence[Any]

PAIRWISE = 32
"""Up to so many states, probabilities over a box are computed from differences of scores, which is tighter."""


class BallGame:
    """The game in balls; made and used inside ``with ctx.workprec(precision)``.

    Profiles and boxes are lists of balls, the natural parameters of agent 0, then those of agent 1, and so on.
    """

    def __init__(self, exact: ExactTables) -> None:
        self.statistics = [[[_ball(v) for v in row] for row in table] for table in exact.statistics]
        self.log_mass = [
            [_ball(base).log() + _ball(log) for base, log in zip(*rows)] for rows in zip(exact.base, exact.log_base)
        ]
        self.weights = [{j: _ball(v) for j, v in row.items()} for row in exact.weights]
        self.means = [[_ball(v) for v in row] for row in exact.means]
        self.dims = [len(table[0]) for table in exact.statistics]
        self.ends = np.concatenate([[0], np.cumsum(self.dims)]).tolist()
        self.size = self.ends[-1]

    def part(self, box: Balls, agent: int) -> Balls:
        """The natural parameters of one agent."""
        return box[self.ends[agent] : self.ends[agent + 1]]

    def law(self, agent: int, theta: Balls) -> list[Ball]:
        """Probabilities of the states for every θ in the box."""
        table, log_mass = self.statistics[agent], self.log_mass[agent]
        if all(value.is_exact() for value in theta) or len(table) > PAIRWISE:
            scores = [sum((a * b for a, b in zip(theta, row)), mass) for row, mass in zip(table, log_mass)]
            peak = max(range(len(scores)), key=lambda s: float(scores[s].mid()))
            weights = [(score - scores[peak]).exp() for score in scores]
            total = sum(weights, arb(0))
            return [weight / total for weight in weights]
        # 1 / Σ_r exp(⟨θ, φ_r − φ_s⟩): the difference is taken before θ enters, so that θ counts once.
        result = []
        for own, mass in zip(table, log_mass):
            scores = [
                sum((a * (b - c) for a, b, c in zip(theta, row, own)), other - mass)
                for row, other in zip(table, log_mass)
            ]
            result.append(1 / sum((score.exp() for score in scores), arb(0)))
        return result

    def expectation(self, law: Balls, statistics: Sequence[Balls]) -> list[Ball]:
        """Σ_s p_s φ(s), for the statistic of any agent."""
        return [sum((p * value for p, value in zip(law, column)), arb(0)) for column in zip(*statistics)]

    def covariance(self, law: Balls, left: Sequence[Balls], right: Sequence[Balls]) -> list[list[Ball]]:
        """Σ_s p_s (φ_s − E φ)(ψ_s − E ψ)."""
        a, b = self.expectation(law, left), self.expectation(law, right)
        rows = [[v - m for v, m in zip(row, a)] for row in left]
        columns = [[v - m for v, m in zip(row, b)] for row in right]
        return [
            [sum((p * r[k] * c[h] for p, r, c in zip(law, rows, columns)), arb(0)) for h in range(len(b))]
            for k in range(len(a))
        ]

    def residual(self, point: Balls) -> list[Ball]:
        """G(θ) = μ(θ) − t(θ)."""
        laws = [self.law(agent, self.part(point, agent)) for agent in range(len(self.dims))]
        result = []
        for agent, own in enumerate(self.statistics):
            total = self.expectation(laws[agent], own)
            for j, weight in self.weights[agent].items():
                heard = self.means[agent] if j == agent else self.expectation(laws[j], own)
                total = [value - weight * other for value, other in zip(total, heard)]
            result += total
        return result

    def derivative(self, box: Balls) -> tuple[Ball, Ball]:
        """Matrices F (block-diagonal) and C (blocks α_ij Cov_{p_j}(φ_i, φ_j)) over a box; the Jacobian of G is F − C."""
        fisher, coupling = ([[arb(0)] * self.size for _ in range(self.size)] for _ in range(2))
        for j, own in enumerate(self.statistics):
            law = self.law(j, self.part(box, j))
            self._put(fisher, j, j, self.covariance(law, own, own), arb(1))
            for i, row in enumerate(self.weights):
                if i != j and j in row:
                    self._put(coupling, i, j, self.covariance(law, self.statistics[i], own), row[j])
        return arb_mat(fisher), arb_mat(coupling)

    def _put(self, rows: list[list[Ball]], i: int, j: int, block: list[list[Ball]], factor: Ball) -> None:
        for k, line in enumerate(block):
            for h, value in enumerate(line):
                rows[self.ends[i] + k][self.ends[j] + h] = factor * value


def _ball(value: Fraction) -> Ball:
    return arb(fmpq(value.numerator, value.denominator))


# ---------------------------------------------------------------------- what is claimed of a box


def contains_one(game: BallGame, lower: FloatArray, upper: FloatArray) -> bool:
    """Whether the box is proved to contain exactly one equilibrium, in its interior: K(X) ⊂ int X."""
    box = [ball(a, b) for a, b in zip(lower.tolist(), upper.tolist())]
    centre = [arb(float(a + (b - a) / 2)) for a, b in zip(lower.tolist(), upper.tolist())]
    step = _preconditioner(game, centre)
    if step is None:
        return False
    value = step * arb_mat([[v] for v in game.residual(centre)])
    spread = _defect(game, step, box) * arb_mat([[x - c] for x, c in zip(box, centre)])
    image = [c - value[k, 0] + spread[k, 0] for k, c in enumerate(centre)]
    return all(
        bool(k.lower() > arb(a) and k.upper() < arb(b)) for k, a, b in zip(image, lower.tolist(), upper.tolist())
    )


def contains_at_most_one(game: BallGame, lower: FloatArray, upper: FloatArray) -> bool:
    """Whether the box is proved to contain no two equilibria: the Jacobian over it, preconditioned, is near the identity."""
    box = [ball(a, b) for a, b in zip(lower.tolist(), upper.tolist())]
    step = _preconditioner(game, [arb(float(a + (b - a) / 2)) for a, b in zip(lower.tolist(), upper.tolist())])
    if step is None:
        return False
    defect = _defect(game, step, box)
    sums = [sum((defect[i, j].abs_upper() for j in range(game.size)), arb(0)) for i in range(game.size)]
    return all(bool(arb(total) < 1) for total in sums)


def _preconditioner(game: BallGame, centre: Balls) -> Ball | None:
    """The midpoint of the inverse Jacobian at the centre; any matrix would do."""
    fisher, coupling = game.derivative(centre)
    try:
        inverse = (fisher - coupling).inv()
    except ZeroDivisionError:
        return None
    return inverse.mid()


def _defect(game: BallGame, step: Ball, box: Balls) -> Ball:
    """I − Y J(X)."""
    fisher, coupling = game.derivative(box)
    identity = arb_mat([[int(i == j) for j in range(game.size)] for i in range(game.size)])
    return identity - step * (fisher - coupling)


def stability(game: BallGame, lower: FloatArray, upper: FloatArray) -> tuple[float, float, int]:
    """Bounds on the spectral radius of best response and the sign of det(I − its Jacobian), for all θ in the box.

    At an equilibrium in the box best response has the Jacobian F⁻¹C. The sign is 0 where it is not proved, and the radius
    then at least bounded by a norm.
    """
    box = [ball(a, b) for a, b in zip(lower.tolist(), upper.tolist())]
    fisher, coupling = game.derivative(box)
    try:
        slopes = fisher.inv() * coupling
    except ZeroDivisionError:
        return 0.0, float(np.finfo(np.float64).max), 0
    determinant = (fisher - coupling).det()  # det F > 0
    index = 1 if determinant > 0 else -1 if determinant < 0 else 0
    low, high = _spectral_radius(slopes, game.size)
    return low, high, index


def _spectral_radius(matrix: Ball, size: int) -> tuple[float, float]:
    norm = [sum((matrix[i, j].abs_upper() for j in range(size)), arb(0)) for i in range(size)]
    high = min(max(up(arb(total)) for total in norm), float(np.finfo(np.float64).max))
    try:
        sizes = [abs(value) for value in acb_mat(matrix).eig(multiple=True)]
    except (ValueError, ZeroDivisionError):
        return 0.0, high
    if not all(value.is_finite() for value in sizes):
        return 0.0, high
    return max(0.0, *(down(value) for value in sizes)), min(high, max(up(value) for value in sizes))


def enclose(game: BallGame, start: FloatArray, rounds: int = 40) -> FloatArray | None:
    """Newton's method in balls from a float profile; the floats nearest to where it ends. Proves nothing."""
    point = [arb(value) for value in start.tolist()]
    for _ in range(rounds):
        step = _preconditioner(game, point)
        if step is None:
            return None
        move = step * arb_mat([[v] for v in game.residual(point)])
        point = [(p - move[k, 0]).mid() for k, p in enumerate(point)]
        if not all(p.is_finite() and bool(abs(p) < 1e6) for p in point):
            return None
        if all(bool(abs(move[k, 0]).upper() < arb(2) ** (-ctx.prec // 2)) for k in range(game.size)):
            break
    return np.array([float(p) for p in point])
