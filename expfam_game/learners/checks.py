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


def check_binary(values: AnyArray, n_classes: int | None) -> None:
    """Refuse features that are neither 0 nor 1; a single such column is probably a label that nobody spoke of."""
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        row, feature = map(int, np.argwhere(wrong)[0])
        column, advice = values[:, feature], "binarise grey values"
        if n_classes is None and wrong.any(axis=0).sum() == 1 and np.all((column >= 0) & (column == np.floor(column))):
            advice = f"if column {feature} is a class label, say n_classes={int(column.max()) + 1} or more"
            advice += "" if feature == values.shape[1] - 1 else f" and label={feature}"
        raise InvalidData(
            f"row {row}, feature {feature} is {values[row, feature]}; features must be 0 or 1 ({advice})",
            entry=(row, feature),
            rule="binary",
        )


def set_weights(samples: Sequence[Any], weights: Sequence[float] | None) -> Sequence[float]:
    """The total weights of sample sets; equal ones where none are given."""
    if isinstance(samples, SampleSet) or not hasattr(samples, "__len__"):
        raise InvalidInput(
            f"fit takes a list of tables, each a SampleSet or an array (n, V); got a {type(samples).__name__}. For one "
            "table write fit([samples])"
        )
    dimensions = _dimensions(samples)
    if dimensions in (1, 2):
        raise InvalidData(
            f"fit takes a list of tables (n, V), and got an array of {dimensions} dimension{'s'[: dimensions - 1]}. "
            "For one table write fit([samples])"
        )
    if weights is None:
        return np.ones(len(samples)).tolist()
    if not hasattr(weights, "__len__"):
        raise InvalidInput(f"weights is {weights!r}; give a list with one weight for each of the sample sets")
    if len(weights) != len(samples) and any(hasattr(part, "__len__") and len(weights) == len(part) for part in samples):
        raise InvalidInput(
            f"weights has length {len(weights)}, as a table has rows, but each weight of fit is that of a whole set; for "
            "weights of rows write fit([SampleSet(values, row_weights=weights)])"
        )
    return weights


def _dimensions(samples: Any) -> int | None:
    """How many an array has, or numbers in nested lists; None for a list of tables."""
    if hasattr(samples, "ndim"):
        return int(samples.ndim)
    first = samples[0] if isinstance(samples, (list, tuple)) and len(samples) else None
    if isinstance(first, (int, float, np.number, np.bool)):
        return 1
    inner = first[0] if isinstance(first, (list, tuple)) and len(first) else None
    flat = isinstance(inner, (int, float, np.number, np.bool)) or getattr(first, "ndim", None) == 1
    return 2 if flat else None
