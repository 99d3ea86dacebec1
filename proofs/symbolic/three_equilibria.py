"""The game of T10(b) in exact arithmetic: with x = exp(θ_1/10), y = exp(θ_2/10) its equations are rational functions.

Statistics are in tenths, so every weight exp(θ φ(s)) is an integer power of x or y.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

TENTHS = ((-14, 14, 3, -11), (19, 4, -6, 16))
PHI = tuple(tuple(sp.Rational(k, 10) for k in row) for row in TENTHS)
DATA = (197, 1, 1, 1)
OWN = sp.Rational(3, 20)


def powers(agent: int, x: Any) -> list[Any]:
    """The unnormalised weights of the four states, multiplied by a power of x so that no exponent is negative."""
    least = min(TENTHS[agent])
    return [x ** (k - least) for k in TENTHS[agent]]


def mean(agent: int, of: int, x: Any) -> Any:
    """E[φ_of] under the model of an agent."""
    weight = powers(agent, x)
    return sum(w * f for w, f in zip(weight, PHI[of], strict=True)) / sum(weight)


def data_mean(agent: int) -> Any:
    """The mean of an agent's statistic over the data, 197, 1, 1, 1 times the four states."""
    return sum(sp.Rational(k, 200) * f for k, f in zip(DATA, PHI[agent], strict=True))


def equations(x: Any, y: Any) -> tuple[Any, Any]:
    """Own mean minus target, for both agents."""
    return (
        mean(0, 0, x) - OWN * data_mean(0) - (1 - OWN) * mean(1, 0, y),
        mean(1, 1, y) - OWN * data_mean(1) - (1 - OWN) * mean(0, 1, x),
    )
