"""Hypothesis strategies for families, parameters, weights and games; needs the extra ``testing``.

Everything drawn is a valid game: weights are row-stochastic and anchored, parameters and means interior. The hard cases
are in reach: agents without data, self-weights down to 1e-4, sparse rows, unequal families. Examples shrink towards
the reference mean of the family and towards few agents.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.errors import MissingExtra
from expfam_game.families.base import Family

try:
    from hypothesis import strategies as st
except ImportError:
    raise MissingExtra("hypothesis", "testing", "expfam_game.testing.strategies") from None

if TYPE_CHECKING:
    from expfam_game.game.game import Game

SMALLEST_SELF_WEIGHT = Fraction(1, 10_000)
"""The smallest positive trust in one's own data that is drawn."""

_PARENT_SHARE = 4
"""An agent without data gives at least 1/4 of its trust to one agent that is closer to data."""


# ---------------------------------------------------------------------- families


def small_families() -> tuple[Family, ...]:
    """One or two small members of every kind of family in the package."""
    from expfam_game import families as f

    return (
        f.Bernoulli(),
        f.Bernoulli(dim=3),
        f.Poisson(),
        f.Binomial(trials=5),
        f.Geometric(),
        f.NegativeBinomial(r=2.5),
        f.Categorical(k=4),
        f.Exponential(),
        f.Laplace(location=0.5),
        f.Weibull(shape=1.5),
        f.Gamma(),
        f.Beta(),
        f.Dirichlet(k=3),
        f.KnownVarianceGaussian(variance=2.0),
        f.DiagonalGaussian(n_variables=2),
        f.Gaussian(n_variables=2),
        f.LogNormal(),
        f.InverseGaussian(),
        f.VonMises(),
        f.VonMisesFisher(n_variables=3),
        f.MarkovChain(k=2, length=4),
        f.Ising.chain(3),
        f.Finite(phi=np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 2.0]])),
        f.Product([f.Poisson(), f.Gamma()]),
    )


def families() -> st.SearchStrategy[Family]:
    """Small representative families.

    >>> from hypothesis import find
    >>> find(families(), lambda family: family.dim == 3)
    Bernoulli(dim=3)
    """
    return st.deferred(lambda: st.sampled_from(small_families()))


@st.composite
def natural_parameters(draw: st.DrawFn, family: Family, radius: float = 3.0) -> FloatArray:
    """Natural parameters within ``radius`` Fisher units of the reference mean, shape (dim,); they shrink towards it."""
    entries = st.floats(-1.0, 1.0, allow_subnormal=False)
    direction = np.array(draw(st.lists(entries, min_size=family.dim, max_size=family.dim)))
    start = family.to_natural(family.reference_mean())
    fisher = family.fisher_information(start)
    root = np.sqrt(np.diagonal(fisher))
    lower = np.linalg.cholesky(fisher / np.outer(root, root))
    step = np.linalg.solve(lower.T, direction) / root * (radius / np.sqrt(family.dim))
    while not family.in_natural_space(start + 1.25 * step):
        step = step / 2.0
    return np.asarray(start + step)


@st.composite
def mean_parameters(draw: st.DrawFn, family: Family, closest: float = 1e-3) -> FloatArray:
    """Interior mean parameters, shape (dim,): of natural parameters, or the average of a few samples.

    An average of samples may lie on the boundary of the mean space; it is moved towards the reference mean by a share
    of ``closest`` or more.
    """
    theta = draw(natural_parameters(family))
    if draw(st.booleans()):
        return family.to_mean(theta)
    return _towards_reference(family, _sample_average(draw, family, theta), draw(st.floats(closest, 1.0)))


@st.composite
def means(draw: st.DrawFn, family: Family, n_agents: int, closest: float = 1e-3) -> FloatArray:
    """Data means for so many agents, shape (n_agents, dim), each from :func:`mean_parameters`."""
    return np.stack([draw(mean_parameters(family, closest)) for _ in range(n_agents)])


def _sample_average(draw: st.DrawFn, family: Family, theta: FloatArray) -> FloatArray:
    n, seed = draw(st.integers(1, 8)), draw(st.integers(0, 2**32 - 1))
    return np.asarray(family.statistic(family.sample(theta, n, seed)).mean(axis=0))


def _towards_reference(family: Family, mean: FloatArray, share: float) -> FloatArray:
    """A convex combination with the reference mean, interior by convexity unless rounding says otherwise."""
    reference = family.reference_mean()
    while share < 1.0:
        moved = (1.0 - share) * mean + share * reference
        if family.in_mean_space(moved):
            return np.asarray(moved)
        share = min(1.0, 2.0 * share)
    return reference


# ---------------------------------------------------------------------- weights


@st.composite
def rational_weights(draw: st.DrawFn, max_agents: int = 6, min_agents: int = 1) -> tuple[tuple[Fraction, ...], ...]:
    """Anchored weights whose rows are rationals that sum to one exactly.

    Agents without data and sparse rows are drawn often. Every agent without data gives at least a quarter of its trust to
    an agent closer to data, so that the expected number of steps to data is at most 10⁴ · 4^(N − 1).
    """
    n = draw(st.integers(min_agents, max_agents))
    order = draw(st.permutations(range(n)))
    rows: list[tuple[Fraction, ...]] = [()] * n
    for position, agent in enumerate(order):
        row = _others(draw, n, agent)
        has_data = position == 0 or draw(st.booleans())
        share = draw(_self_weights() if has_data else st.fractions(Fraction(1, _PARENT_SHARE), 1, max_denominator=64))
        target = agent if has_data else order[draw(st.integers(0, position - 1))]
        rows[agent] = _mixture(row, target, share)
    return tuple(rows)


def _self_weights() -> st.SearchStrategy[Fraction]:
    special = st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(1, 100), SMALLEST_SELF_WEIGHT])
    return special | st.fractions(SMALLEST_SELF_WEIGHT, 1, max_denominator=10_000)


def _others(draw: st.DrawFn, n: int, agent: int) -> list[Fraction]:
    """Unnormalised trust in the other agents, many of them zero."""
    weight = st.just(0) | st.integers(1, 100)
    row = [Fraction(draw(weight)) for _ in range(n)]
    row[agent] = Fraction(0)
    return row


def _mixture(row: list[Fraction], target: int, share: Fraction) -> tuple[Fraction, ...]:
    """The row normalised, mixed with a share of trust in ``target``; all of it where the row is empty."""
    total = sum(row, Fraction(0))
    if total == 0:
        return tuple(Fraction(int(k == target)) for k in range(len(row)))
    mixed = [(1 - share) * entry / total for entry in row]
    mixed[target] += share
    return tuple(mixed)


@st.composite
def weights(draw: st.DrawFn, max_agents: int = 6, min_agents: int = 1) -> FloatArray:
    """Anchored row-stochastic float64 arrays, shape (N, N): :func:`rational_weights`, rounded.

    Zeros stay zeros; row sums differ from one by rounding only.
    """
    return np.array([[float(entry) for entry in row] for row in draw(rational_weights(max_agents, min_agents))])


@st.composite
def games(
    draw: st.DrawFn,
    /,
    family: Family | st.SearchStrategy[Family] | None = None,
    max_agents: int = 6,
    **keywords: Any,
) -> Game:
    """Anchored games with interior data means; ``keywords`` go to :class:`expfam_game.Game`.

    Parameters
    ----------
    family : Family or strategy, optional
        By default any of :func:`families`.
    max_agents : int
    """
    from expfam_game.game.game import Game
    from expfam_game.game.weights import Weights

    chosen = family if isinstance(family, Family) else draw(families() if family is None else family)
    array = draw(weights(max_agents))
    data = draw(means(chosen, array.shape[0]))
    return Game(chosen, Weights.from_dense(array), means=data, **keywords)
