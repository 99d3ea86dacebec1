"""Type aliases used by every room."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
AnyArray: TypeAlias = NDArray[Any]
Seed: TypeAlias = int | np.random.SeedSequence | np.random.Generator
"""What every random function accepts: an int, a ``SeedSequence`` or a ``Generator``."""

__all__ = ["AnyArray", "ArrayLike", "BoolArray", "FloatArray", "IntArray", "Seed"]
