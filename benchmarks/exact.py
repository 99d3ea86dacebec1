"""The equilibrium in exact rational arithmetic and regrets in ball arithmetic, independent of every solver.

The weights and data means of a game are float64 numbers, that is, rationals; (I − B) μ = D m is solved over the
rationals by FLINT. The solution is kept as an unevaluated sum ``high + low`` of two float64 numbers (relative error
2^-106), so that errors far below one unit in the last place of μ can be measured. Nothing here uses the certificates.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from expfam_game import Game
from expfam_game._typing import BoolArray, FloatArray


@dataclass(frozen=True)
class ExactMean:
    """μ* as ``high + low``."""

    high: FloatArray
    low: FloatArray

    def error(self, mean: FloatArray) -> FloatArray:
        """μ − μ*, entry by entry."""
        return np.asarray((mean - self.high) - self.low)

    def within(self, lower: FloatArray, upper: FloatArray) -> BoolArray:
        """Whether lower ≤ μ* ≤ upper, entry by entry."""
        return (self.error(lower) <= 0) & (self.error(upper) >= 0)


def exact_equilibrium(game: Game) -> ExactMean:
    """Solve (I − B) μ = D m exactly (T2)."""
    n, dim = game.means.shape
    alpha = game.weights.to_dense()
    system = flint.fmpq_mat(n, n, [_rational((i == j) - (i != j) * alpha[i, j]) for i in range(n) for j in range(n)])
    data = flint.fmpq_mat(
        n, dim, [_rational(alpha[i, i]) * _rational(game.means[i, d]) for i in range(n) for d in range(dim)]
    )
    solution = system.solve(data)
    exact = [[_fraction(solution[i, d]) for d in range(dim)] for i in range(n)]
    high = np.array([[float(value) for value in row] for row in exact])
    low = np.array([[float(value - Fraction(float(value))) for value in row] for row in exact])
    return ExactMean(high, low)


def bernoulli_regret(game: Game, natural: FloatArray, bits: int = 256) -> FloatArray:
    """Each agent's regret KL(best response ‖ own model) in nats for Bernoulli agents, from Arb balls of ``bits`` bits.

    In float64 the difference between best response and model would cancel almost completely near the equilibrium.
    """
    before, flint.ctx.prec = flint.ctx.prec, bits
    try:
        models = [[1 / (1 + (-flint.arb(value)).exp()) for value in row] for row in natural.tolist()]
        return np.array([_agent_regret(game, models, agent) for agent in range(game.n_agents)])
    finally:
        flint.ctx.prec = before


def _agent_regret(game: Game, models: list[list[Any]], agent: int) -> float:
    b, trust = game.weights.off_diagonal, flint.arb(float(game.weights.self_weights[agent]))
    entries = slice(b.indptr[agent], b.indptr[agent + 1])
    heard = list(zip(b.indices[entries].tolist(), map(flint.arb, b.data[entries].tolist())))
    total = flint.arb(0)
    for d, own in enumerate(game.means[agent].tolist()):
        best = trust * own + sum(weight * models[j][d] for j, weight in heard)
        mine = models[agent][d]
        total += best * (best / mine).log() + (1 - best) * ((1 - best) / (1 - mine)).log()
    return float(total.mid())


def _rational(value: float) -> Any:
    return flint.fmpq(*float(value).as_integer_ratio())


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))
