"""What the symbolic checks share: proofs that an expression is zero, and numbers of the package beside exact ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp


def is_zero(expression: Any) -> bool:
    """Whether SymPy proves that an expression, or every entry of a matrix, is identically zero."""
    entries = list(expression) if isinstance(expression, (sp.MatrixBase, list, tuple)) else [expression]
    return all(_vanishes(sp.sympify(entry)) for entry in entries)


def _vanishes(expression: sp.Expr) -> bool:
    if expression == 0:
        return True
    if not expression.has(sp.log, sp.exp, sp.Function, sp.sqrt):
        return bool(sp.cancel(sp.together(expression)) == 0)
    if sp.simplify(_split_logarithms(expression)) == 0 or sp.simplify(expression) == 0:
        return True
    return bool(sp.simplify(expression.rewrite(sp.exp)) == 0)


def _split_logarithms(expression: sp.Expr) -> sp.Expr:
    """Logarithms of products as sums of logarithms; every argument is positive where the formulas hold."""
    parts = expression.replace(
        sp.log, lambda x: sp.expand_log(sp.log(sp.factor(sp.cancel(sp.together(x)))), force=True)
    )
    return sp.expand(parts)


def weights(n: int, names: str = "alpha") -> tuple[sp.Matrix, sp.Matrix, list[sp.Symbol]]:
    """D and B of n agents with free positive weights α_ij, and the symbols; each row sums to one through its diagonal."""
    entries = {(i, j): sp.Symbol(f"{names}_{i}{j}", positive=True) for i in range(n) for j in range(n) if i != j}
    others = sp.Matrix(n, n, lambda i, j: entries.get((i, j), 0))
    own = sp.diag(*(1 - sum(others.row(i)) for i in range(n)))
    return own, others, list(entries.values())


def ones(n: int) -> sp.Matrix:
    """The vector of n ones."""
    return sp.ones(n, 1)


def floats(expressions: Any, digits: int = 40) -> np.ndarray:
    """The numbers nearest to exact expressions without free symbols, in the shape of a nested list or matrix."""
    rows = expressions.tolist() if isinstance(expressions, sp.MatrixBase) else expressions
    return np.array(_evaluated(rows, digits), dtype=np.float64)


def _evaluated(value: Any, digits: int) -> Any:
    if isinstance(value, (list, tuple)):
        return [_evaluated(item, digits) for item in value]
    return float(sp.N(value, digits))


def assert_close(computed: Any, expected: Any, tolerance: float = 1e-14) -> None:
    """The package's float64 result is the exact value to a few units of rounding, relative to the largest entry."""
    exact = floats(expected)
    np.testing.assert_allclose(np.asarray(computed), exact, rtol=tolerance, atol=tolerance * np.max(np.abs(exact)))
