"""C1: anchored ⇔ I − B is regular, for every pattern of weights among three agents, over the rationals."""

import itertools

import numpy as np
import pytest
import sympy as sp

import expfam_game as eg

ROWS = [row for row in itertools.product((0, 1), repeat=3) if any(row)]


@pytest.mark.parametrize("first", ROWS, ids=str)
def test_C1_the_graph_decides_exactly_when_the_system_is_regular(first):
    """All 343 patterns with equal weights in a row (regularity depends on the pattern only, T2)."""
    seen = set()
    for others in itertools.product(ROWS, repeat=2):
        pattern = (first, *others)
        alpha = sp.Matrix(3, 3, lambda i, j: sp.Rational(pattern[i][j], sum(pattern[i])))  # noqa: B023
        system = sp.eye(3) - alpha + sp.diag(*alpha.diagonal())
        weights = eg.Weights.from_dense(np.array(alpha.tolist(), dtype=float))
        verdict = weights.anchoredness
        assert verdict.anchored == (system.det() != 0)
        if not verdict.anchored:  # the closed class refutes: its indicator is in the kernel of its own block
            members = list(verdict.closed_class)
            block = system.extract(members, members)
            assert block * sp.ones(len(members), 1) == sp.zeros(len(members), 1)
        seen.add(verdict.anchored)
    assert True in seen


def test_C1_both_answers_occur():
    assert {eg.Weights.from_dense(matrix).anchoredness.anchored for matrix in (np.eye(3), np.eye(3)[[1, 0, 2]])} == {
        True,
        False,
    }


def test_C1_a_path_of_n_hops_keeps_the_row_sum_of_a_power_below_one():
    """With a path i → j to data, row i of B² 1 is 1 − a_i − Σ_j B_ij a_j: below one as soon as one term is positive."""
    b = sp.Matrix(3, 3, lambda i, j: 0 if i == j else sp.Symbol(f"b{i}{j}", positive=True))
    own = sp.symbols("a1:4", positive=True)
    rows = {b[i, (i + 1) % 3]: 1 - own[i] - b[i, (i + 2) % 3] for i in range(3)}
    stochastic = b.subs(rows, simultaneous=True)
    twice = stochastic * stochastic * sp.ones(3, 1)
    for i in range(3):
        lost = own[i] + sum(stochastic[i, j] * own[j] for j in range(3))
        assert sp.expand(twice[i] - (1 - lost)) == 0
