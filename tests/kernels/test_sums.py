"""Compensated sums against exact rational arithmetic, within the bound that they state."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from expfam_game.kernels import sums

U = Fraction(1, 2**53)


def exact(values: np.ndarray, weights: np.ndarray, power: int = 1) -> tuple[Fraction, Fraction]:
    """Σ w x^power and Σ w |x|^power."""
    terms = [Fraction(float(w)) * Fraction(float(x)) ** power for w, x in zip(weights, values)]
    return sum(terms, Fraction(0)), sum(map(abs, terms), Fraction(0))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dim", [1, 3, 8, 200])
@pytest.mark.parametrize("rows", [0, 1, 2, 41, 42, 43, 127, 128, 129, 300])
def test_compensated_sums(rows, dim, weighted):
    """Numbers of all sizes that cancel to one part in 10¹⁶: a plain sum has no digit right."""
    rng = np.random.default_rng([rows, dim])
    phi = rng.normal(size=(rows, dim)) * 10.0 ** rng.integers(-3, 4, (rows, dim))
    half = rows // 2
    phi[half : 2 * half] = -phi[:half] * (1.0 + 1e-15 * rng.normal(size=(half, dim)))
    weights = rng.uniform(0.5, 2.0, rows) if weighted else np.ones(rows)
    if weighted:
        weights[half : 2 * half] = weights[:half]
    total, rest = np.zeros((2, dim + 1))
    sums.compensated_sums(phi, weights if weighted else np.empty(0), total, rest)
    gamma = rows * U / (1 - rows * U)
    for k in range(dim):
        value, size = exact(phi[:, k], weights)
        assert abs(Fraction(total[k]) + Fraction(rest[k]) - value) <= gamma**2 * size
    value, size = exact(np.ones(rows), weights)
    assert abs(Fraction(total[dim]) + Fraction(rest[dim]) - value) <= gamma**2 * size


def test_sums_go_on_where_they_stood():
    phi = np.random.default_rng(2).normal(size=(500, 3))
    total, rest = np.zeros((2, 4))
    for part in (phi[:200], phi[200:]):
        sums.compensated_sums(part, np.empty(0), total, rest)
    for k in range(3):
        value, size = exact(phi[:, k], np.ones(500))
        assert abs(Fraction(total[k]) + Fraction(rest[k]) - value) <= (501 * U) ** 2 * size
    assert total[3] + rest[3] == 500.0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("rows", "dim"), [(1, 1), (129, 1), (300, 3), (300, 8), (5, 200)])
def test_squared_deviations(rows, dim, weighted):
    rng = np.random.default_rng([rows, dim])
    phi, centre = rng.normal(size=(rows, dim)), rng.normal(size=dim)
    squares = rng.uniform(0.0, 2.0, rows) if weighted else np.ones(rows)
    first, second = np.zeros((2, dim))
    sums.squared_deviations(phi, squares if weighted else np.empty(0), centre, first, second)
    for k in range(dim):
        for power, found in ((1, first[k]), (2, second[k])):
            value, size = exact(phi[:, k] - centre[k], squares, power)
            assert abs(Fraction(found) - value) <= (rows + 3) * U * size
