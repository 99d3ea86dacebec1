"""Exact laws of the average of n samples, from mean parameters: what sampled play draws instead of the samples.

A family's own ``_sum_law`` starts from natural parameters; here a compiled kernel starts from the mean parameters themselves,
which play keeps, so that nothing is mapped there and back, and checks on the way that they are inside the mean space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from expfam_game._typing import FloatArray, IntArray
from expfam_game.families.base import Family
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.families.categorical import Categorical
from expfam_game.families.counts import Binomial, Poisson
from expfam_game.families.exponential import Exponential, Laplace, Weibull
from expfam_game.families.gaussian import DiagonalGaussian, KnownVarianceGaussian, LogNormal
from expfam_game.families.multivariate_gaussian import Gaussian
from expfam_game.families.product import Product
from expfam_game.kernels import sum_laws as kernels
from expfam_game.kernels.streams import MOST_BRANCHES, StreamKey

_LARGEST_COUNT = 2.0**53
"""Counts beyond this are not whole numbers in float64."""


@dataclass(frozen=True)
class _Part:
    """A kernel, and the entries of a row that it draws, ``width`` at a time."""

    kernel: kernels.Kernel
    parameter: float
    entries: slice | IntArray
    width: int
    trials: float = 0.0


@dataclass(frozen=True)
class SumLaw:
    """The law of the average statistic of n samples of each row of mean parameters.

    Examples
    --------
    >>> import expfam_game as eg
    >>> from expfam_game.kernels.streams import StreamKey
    >>> law = sum_law(eg.families.Bernoulli())
    >>> out = np.empty((2, 1))
    >>> law.draw(np.array([[0.5], [1.0]]), 100, StreamKey(1), 0, 0, out)  # one row outside the open mean space
    1
    >>> bool(0.0 <= out[0, 0] <= 1.0), bool(np.isnan(out[1, 0]))
    (True, True)
    """

    parts: tuple[_Part, ...]

    def covers(self, n: int) -> bool:
        """Whether sums of n samples can be drawn as float64 numbers."""
        return all(n * part.trials <= _LARGEST_COUNT for part in self.parts)

    def draw(self, mean: FloatArray, n: int, key: StreamKey, agent: int, block: int, out: FloatArray) -> int:
        """Write averages of n samples, from the streams (agent, block) of the key; returns how many draws are NaN.

        Parameters
        ----------
        mean, out : ndarray, shape (rows, dim)
            In C order.

        Returns
        -------
        int
            Zero exactly if all rows are in the open mean space.
        """
        outside = 0
        for branch, part in enumerate(self.parts):
            rows = np.ascontiguousarray(mean[:, part.entries]).reshape(-1, part.width)
            whole = rows.shape == out.shape
            drawn = out if whole else np.empty_like(rows)
            place = (branch, agent, block)
            outside += part.kernel(rows, float(n), part.parameter, np.uint64(key.key), place, drawn)
            if not whole:
                out[:, part.entries] = drawn.reshape(len(mean), -1)
        return outside


def sum_law(family: Family) -> SumLaw | None:
    """The law for a family, or None where there is no kernel for it.

    >>> import expfam_game as eg
    >>> sum_law(eg.families.Gamma()) is None
    True
    """
    if type(family) is Product:
        groups = family._groups
        laws = [sum_law(group.family) for group in groups]
        if len(groups) > MOST_BRANCHES or any(law is None for law in laws):
            return None
        inner = [law.parts[0] for law in laws if law is not None]
        return SumLaw(
            tuple(
                _Part(part.kernel, part.parameter, group.entries, group.family.dim, part.trials)
                for group, part in zip(groups, inner)
            )
        )
    found = _KERNELS.get(type(family))
    if found is None:
        return None
    kernel, parameter = found
    trials = parameter(family) if kernel is kernels.binomial_means else float(kernel is kernels.multinomial_means)
    return SumLaw((_Part(kernel, parameter(family), slice(None), family.dim, trials),))


def _one(family: Family) -> float:
    return 1.0


def _trials(family: Family) -> float:
    return float(family.trials) if isinstance(family, Binomial) else 1.0


def _known_variance(family: Family) -> float:
    return float(family.known_variance) if isinstance(family, KnownVarianceGaussian) else 1.0


def _variables(family: Family) -> float:
    return float(family.n_variables) if isinstance(family, Gaussian) else 1.0


_KERNELS: dict[type[Family], tuple[kernels.Kernel, Callable[[Family], float]]] = {
    Bernoulli: (kernels.binomial_means, _trials),
    Binomial: (kernels.binomial_means, _trials),
    Categorical: (kernels.multinomial_means, _one),
    Poisson: (kernels.poisson_means, _one),
    Exponential: (kernels.gamma_means, _one),
    Laplace: (kernels.gamma_means, _one),
    Weibull: (kernels.gamma_means, _one),
    KnownVarianceGaussian: (kernels.normal_means, _known_variance),
    DiagonalGaussian: (kernels.diagonal_gaussian_means, _one),
    LogNormal: (kernels.diagonal_gaussian_means, _one),
    Gaussian: (kernels.gaussian_means, _variables),
}
"""By the exact type: a subclass may have another law."""
