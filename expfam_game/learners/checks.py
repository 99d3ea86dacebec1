"""Checks of arguments that several learners share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.samples import SampleSet


def checked_integer(name: str, value: Any) -> int:
    """An integer of Python or NumPy, but no bool."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InvalidInput(f"{name} is {value!r}; it must be an integer")
    return int(value)


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """An integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InvalidInput(f"{name} is {value!r}; it must be an integer of at least {least}")
    return int(value)


def checked_tolerance(value: Any) -> float:
    """A gain in nats, at least zero."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or not value >= 0:
        raise InvalidInput(f"tol is {value!r}; it must be a non-negative number")
    return float(value)


def checked_margin(value: ArrayLike, max_dim: int = 0) -> FloatArray:
    """A bound on probabilities (for ``max_dim = 1`` also one a feature), such that 1 − margin is not rounded to 1."""
    bound = np.array(value, dtype=np.float64)
    if bound.ndim > max_dim or not np.all((1.0 - bound < 1.0) & (bound < 0.5)):
        raise InvalidInput(
            f"margin is {value!r}; it must lie between 0 and 1/2, so that 1 − margin differs from 1 in float64"
            + (", one number or one for each feature" if max_dim else "")
        )
    return bound


def check_binary(values: AnyArray) -> None:
    """Refuse features that are neither 0 nor 1."""
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        row, feature = map(int, np.argwhere(wrong)[0])
        raise InvalidData(
            f"row {row}, feature {feature} is {values[row, feature]}; features must be 0 or 1 (binarise grey values)",
            entry=(row, feature),
            rule="binary",
        )


def set_weights(samples: Sequence[Any], weights: Sequence[float] | None) -> Sequence[float]:
    """The total weights of sample sets; equal ones where none are given."""
    if isinstance(samples, SampleSet):
        raise InvalidInput("fit takes a sequence of sample sets; write fit([samples])")
    return np.ones(len(samples)).tolist() if weights is None else weights
