"""What the certificate tests share: a stand-in for a solution, and an exact solver that shares no code with the package."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest


def exact_equilibrium(game):
    """(I − B)^{-1} D m by Gaussian elimination over Fractions."""
    alpha = game.weights.to_dense()
    n = len(alpha)
    rows = [[Fraction(int(i == j)) - (Fraction(alpha[i, j]) if i != j else 0) for j in range(n)] for i in range(n)]
    for i in range(n):
        rows[i] += [Fraction(alpha[i, i]) * Fraction(value) for value in game.means[i].tolist()]
    for i in range(n):
        pivot = next(k for k in range(i, n) if rows[k][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(n):
            if k != i and rows[k][i] != 0:
                factor = rows[k][i]
                rows[k] = [value - factor * other for value, other in zip(rows[k], rows[i])]
    return [row[n:] for row in rows]


def solved(game, error=0.0):
    """The equilibrium as floats, optionally moved by a relative error."""
    mean = game.equilibrium_mean * (1 + error)
    return SimpleNamespace(mean=mean, natural=game.family.to_natural(mean))


@pytest.fixture(name="exact_equilibrium")
def _exact_equilibrium():
    return exact_equilibrium


@pytest.fixture(name="solved")
def _solved():
    return solved


@pytest.fixture
def digits_like():
    import expfam_game as eg

    means = np.random.default_rng(7).uniform(0.02, 0.98, size=(10, 64))
    return eg.Game(eg.families.Bernoulli(64), eg.Weights.complete(10, 0.3), means=means)
