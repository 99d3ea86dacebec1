"""Sample spaces as points with weights, on which expectations of one family under another are sums (T10).

A finite space is its list of points, and the sums are exact but for rounding. The counts 0, 1, 2, … are cut off, and an
interval is replaced by the nodes of a double-exponential rule; the game then knows and limits the error of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from itertools import chain
from itertools import product as cartesian
from math import prod

import numpy as np

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.families.base import Family
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.families.categorical import Categorical
from expfam_game.families.counts import Binomial, Geometric, NegativeBinomial, Poisson
from expfam_game.families.directional import VonMises
from expfam_game.families.dirichlet import Beta
from expfam_game.families.exponential import Exponential, Laplace, Weibull
from expfam_game.families.finite import Finite
from expfam_game.families.from_statistic import FromStatistic, _interval_nodes
from expfam_game.families.gamma import Gamma
from expfam_game.families.gaussian import DiagonalGaussian, KnownVarianceGaussian, LogNormal
from expfam_game.families.inverse_gaussian import InverseGaussian
from expfam_game.families.ising import Ising
from expfam_game.families.markov_chain import MarkovChain
from expfam_game.families.multivariate_gaussian import Gaussian
from expfam_game.families.product import Product

MOST_POINTS = 1 << 16
"""Finite spaces with more points are refused: every expectation is a sum over all of them."""


@dataclass(frozen=True, eq=False)
class Points:
    """A finite space; ``values`` has shape (points, *event_shape) and lists every point once."""

    values: AnyArray

    def __str__(self) -> str:
        return f"a finite space of {len(self.values)} points"

    def ordered(self) -> AnyArray:
        """The points as rows in lexicographic order, by which two spaces are compared."""
        rows = self.values.reshape(len(self.values), -1).astype(np.float64)
        return np.asarray(rows[np.lexsort(rows.T[::-1])])


@dataclass(frozen=True)
class Counts:
    """The counts 0, 1, 2, …"""

    def __str__(self) -> str:
        return "the counts 0, 1, 2, …"


@dataclass(frozen=True)
class Interval:
    """An interval of the real line; ends are of measure zero."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"the interval from {self.low:g} to {self.high:g}"


Space = Points | Counts | Interval


@singledispatch
def sample_space(family: Family) -> Space:
    """The sample space of a family, where expectations over it can be computed.

    Parameters
    ----------
    family : Family

    Returns
    -------
    Points, Counts or Interval

    Raises
    ------
    InvalidInput
        If the space is neither small and finite nor one-dimensional.

    Examples
    --------
    >>> import expfam_game as eg
    >>> print(sample_space(eg.families.Binomial(3)))
    a finite space of 4 points
    >>> print(sample_space(eg.families.Gamma()))
    the interval from 0 to inf
    """
    raise InvalidInput(
        f"{family!r}: expectations of other statistics under this family cannot be computed. Agents with different "
        "statistics need a finite sample space, counts, or one real variable"
    )


def same_space(one: Space, other: Space) -> bool:
    """Whether two families live on the same points."""
    if isinstance(one, Points) and isinstance(other, Points):
        shapes_agree = one.values.shape[1:] == other.values.shape[1:]
        return shapes_agree and np.array_equal(one.ordered(), other.ordered())
    return one == other


def nodes_of(space: Space, nodes: int, centre: float, scale: float) -> tuple[AnyArray, FloatArray]:
    """Points and log-weights whose weighted sums stand for expectations."""
    if isinstance(space, Points):
        return space.values, np.zeros(len(space.values))
    if isinstance(space, Counts):
        return np.arange(nodes), np.zeros(nodes)
    return _interval_nodes((space.low, space.high), nodes, centre, scale)


def evaluate(family: Family, points: AnyArray, log_weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """φ and log h plus the log-weight at the points, shapes (points, dim) and (points,); −∞ where φ is not finite."""
    events = points.reshape(len(points), *family.event_shape)
    with np.errstate(all="ignore"):
        table = np.asarray(family._statistic(events), dtype=np.float64)
        log_mass = np.asarray(family._log_base(events), dtype=np.float64) + log_weight
    lost = ~(np.all(np.isfinite(table), axis=1) & (log_mass < np.inf))
    table[lost], log_mass[lost] = 0.0, -np.inf
    return table, log_mass


# ---------------------------------------------------------------------- the space of each family


def _grid(values: Sequence[float], repeats: int, family: Family) -> Points:
    if repeats * np.log(len(values)) > np.log(MOST_POINTS):
        raise InvalidInput(
            f"{family!r} has {len(values)}^{repeats} states; agents with different statistics are computed by summing "
            f"over all states, of which there may be at most {MOST_POINTS}"
        )
    return Points(np.array(list(cartesian(values, repeat=repeats))))


@sample_space.register
def _(family: Finite) -> Space:
    return Points(np.asarray(family.states))


@sample_space.register
def _(family: FromStatistic) -> Space:
    return Points(family.points) if family.interval is None else Interval(*family.interval)


@sample_space.register
def _(family: Bernoulli) -> Space:
    return _grid((0, 1), family.dim, family)


@sample_space.register
def _(family: Ising) -> Space:
    return _grid((-1, 1), family.n_sites, family)


@sample_space.register
def _(family: MarkovChain) -> Space:
    return _grid(range(family.k), family.length, family)


@sample_space.register
def _(family: Categorical) -> Space:
    return Points(np.arange(family.k))


@sample_space.register
def _(family: Binomial) -> Space:
    if family.trials >= MOST_POINTS:
        raise InvalidInput(f"{family!r} has more than {MOST_POINTS} states, too many to sum over")
    return Points(np.arange(int(family.trials) + 1))


@sample_space.register
def _(family: Product) -> Space:
    parts = [sample_space(factor) for factor in family.factors]
    finite = [part for part in parts if isinstance(part, Points)]
    size = prod(len(part.values) for part in finite)
    if len(finite) < len(parts) or size > MOST_POINTS:
        if len(parts) == 1:
            return parts[0]
        raise InvalidInput(
            f"{family!r}: only products of finite spaces with at most {MOST_POINTS} states together can be summed over"
        )
    rows = [part.values.reshape(len(part.values), -1).tolist() for part in finite]
    return Points(np.array([list(chain.from_iterable(choice)) for choice in cartesian(*rows)]))


@sample_space.register(Poisson)
@sample_space.register(Geometric)
@sample_space.register(NegativeBinomial)
def _(family: Family) -> Space:
    return Counts()


@sample_space.register(KnownVarianceGaussian)
@sample_space.register(Laplace)
def _(family: Family) -> Space:
    return Interval(-np.inf, np.inf)


@sample_space.register(DiagonalGaussian)
@sample_space.register(Gaussian)
def _(family: DiagonalGaussian | Gaussian) -> Space:
    if family.n_variables > 1:
        raise InvalidInput(
            f"{family!r}: expectations of other statistics are integrated numerically over one real variable, not "
            f"{family.n_variables}"
        )
    return Interval(-np.inf, np.inf)


@sample_space.register(Exponential)
@sample_space.register(Weibull)
@sample_space.register(Gamma)
@sample_space.register(LogNormal)
@sample_space.register(InverseGaussian)
def _(family: Family) -> Space:
    return Interval(0.0, np.inf)


@sample_space.register
def _(family: Beta) -> Space:
    return Interval(0.0, 1.0)


@sample_space.register
def _(family: VonMises) -> Space:
    return Interval(-np.pi, np.pi)
