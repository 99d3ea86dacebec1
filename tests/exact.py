"""Independent oracles: exact equilibria by Gaussian elimination over fractions."""

from fractions import Fraction

import numpy as np


def solve_exactly(matrix, rhs):
    """X with matrix @ X = rhs, both lists of rows of Fractions (or anything that Fraction takes)."""
    rows = [[Fraction(a) for a in left] + [Fraction(b) for b in right] for left, right in zip(matrix, rhs)]
    n = len(rows)
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k and rows[i][k] != 0:
                factor = rows[i][k]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k])]
    return [row[n:] for row in rows]


def exact_equilibrium(weights, means):
    """(I − B)^{-1} D m in exact arithmetic for float arrays, taken as the rationals that they are; list of rows."""
    alpha = [[Fraction(float(a)) for a in row] for row in np.asarray(weights)]
    system = [[(i == j) - (Fraction(0) if i == j else a) for j, a in enumerate(row)] for i, row in enumerate(alpha)]
    rhs = [[alpha[i][i] * Fraction(float(x)) for x in row] for i, row in enumerate(np.asarray(means))]
    return solve_exactly(system, rhs)
