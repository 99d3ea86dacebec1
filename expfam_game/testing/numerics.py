"""The measuring tools of the laws: differentiation, summation over sample spaces and bounds on sampling error.

Every tool returns a value together with a bound on its own error, so that no law needs a tolerance set by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.integrate import quad

from expfam_game._typing import AnyArray, BoolArray, FloatArray
from expfam_game.families.base import Family

EPS = float(np.finfo(np.float64).eps)

ULPS = 64.0
"""Rounding errors allowed to one evaluation of a family's function, in units of ``EPS`` times its condition scale."""

ACCURACY = 1e-10
"""Relative accuracy that the Family contract asks of the mean-to-natural map."""

ALARM = 1e-12
"""Probability that a correct sampler fails one statistical check."""

_LEVELS = 12


# ---------------------------------------------------------------------- rounding


def log_partition_rounding(family: Family, theta: FloatArray) -> FloatArray:
    """What rounding may cost A(θ): the error of θ itself and that of sums of terms as large as θ log θ."""
    size = np.abs(family.to_mean(theta)) + 1.0 + np.log1p(np.abs(theta))
    return np.asarray(ULPS * EPS * (1.0 + np.abs(family.log_partition(theta)) + np.sum(np.abs(theta) * size, axis=-1)))


def mean_rounding(family: Family, theta: FloatArray) -> FloatArray:
    """What rounding may cost each entry of μ(θ): the error of θ through F, and that of terms as large as log θ."""
    through = np.einsum("...jk,...k->...j", np.abs(family.fisher_information(theta)), np.abs(theta))
    return np.asarray(ULPS * EPS * (np.abs(family.to_mean(theta)) + through))


def natural_rounding(family: Family, theta: FloatArray) -> FloatArray:
    """What the rounding of μ costs θ = ∇A*(μ): |F⁻¹| applied to it, the condition number of the inverse map."""
    return np.asarray(
        np.einsum("...jk,...k->...j", np.abs(inverse_fisher(family, theta)), mean_rounding(family, theta))
    )


def inverse_fisher(family: Family, theta: FloatArray) -> FloatArray:
    """F⁻¹, after scaling the diagonal to one."""
    fisher = family.fisher_information(theta)
    root = np.sqrt(np.diagonal(fisher, axis1=-2, axis2=-1))
    scale = root[..., :, None] * root[..., None, :]
    return np.asarray(np.linalg.inv(fisher / scale) / scale)


# ---------------------------------------------------------------------- steps in the natural parameter space


def fisher_step(family: Family, theta: FloatArray, size: float, rng: np.random.Generator) -> FloatArray:
    """θ + d with d in a random direction and dᵀF(θ)d = size².

    The step is shortened where it would change an entry of θ by more than a share ``size`` (of the entry, or of one),
    over which F varies, or where it would leave the natural space.
    """
    fisher = family.fisher_information(theta)
    root = np.sqrt(np.diagonal(fisher))
    lower = np.linalg.cholesky(fisher / np.outer(root, root))
    direction = rng.standard_normal(family.dim)
    step = np.linalg.solve(lower.T, direction / np.linalg.norm(direction)) / root * size
    step /= max(1.0, float(np.max(np.abs(step) / np.maximum(1.0, np.abs(theta)))) / size)
    while not family.in_natural_space(theta + 2.0 * step):
        step = step / 2.0
    return np.asarray(theta + step)


def _largest_steps(family: Family, theta: FloatArray) -> FloatArray:
    """Per coordinate a step on whose scale A is smooth: one Fisher unit, at most |θ|, at most half way to the edge."""
    step = np.minimum(1.0 / np.sqrt(family.variance(theta)), np.maximum(np.abs(theta), 1.0)) / 2.0
    step = 2.0 ** np.floor(np.log2(step))
    for k in range(family.dim):
        reach = np.zeros(family.dim)
        reach[k] = 2.0
        while not np.all(family.in_natural_space(np.stack([theta + step[k] * reach, theta - step[k] * reach]))):
            step[k] /= 2.0
    return np.asarray(step)


def jacobian(
    family: Family,
    function: Callable[[FloatArray], FloatArray],
    rounding: Callable[[Family, FloatArray], FloatArray],
    theta: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """∂f/∂θ, shape (dim, ...), by central differences extrapolated to step zero, with a bound on its error.

    Richardson extrapolation over steps h, h/2, …, h/2¹¹ (Ridders 1982). For each entry of the tableau the error is
    the change against its two parents, an over-estimate of the truncation, plus the rounding error of the function
    divided by the step; the entry with the smallest bound is returned.
    """
    first = _largest_steps(family, theta)
    steps = first[:, None] / 2.0 ** np.arange(_LEVELS)
    shift = steps[..., None] * np.eye(family.dim)[:, None, :]
    above, below = theta + shift, theta - shift
    width = np.einsum("kjk->kj", above - below)
    values_above, values_below = function(above), function(below)
    noise = np.maximum(rounding(family, above), rounding(family, below)).max(axis=(0, 1))
    extra = values_above.ndim - 2
    width = width.reshape(width.shape + (1,) * extra)
    column = (values_above - values_below) / width
    best, bound = column[:, 0], np.full(column[:, 0].shape, np.inf)
    for order in range(1, _LEVELS):
        extrapolated = column[:, 1:] + (column[:, 1:] - column[:, :-1]) / (4.0**order - 1.0)
        change = np.maximum(np.abs(extrapolated - column[:, 1:]), np.abs(extrapolated - column[:, :-1]))
        error = change + 4.0 * noise / width[:, order:]
        pick = np.argmin(error, axis=1)[:, None]
        candidate, smallest = (
            np.take_along_axis(extrapolated, pick, 1)[:, 0],
            np.take_along_axis(error, pick, 1)[:, 0],
        )
        best, bound = np.where(smallest < bound, candidate, best), np.minimum(bound, smallest)
        column = extrapolated
    return best, bound


# ---------------------------------------------------------------------- sample spaces


@dataclass(frozen=True)
class Points:
    """All samples of a discrete family that carry more than 1e-18 of probability in sum."""

    x: AnyArray


@dataclass(frozen=True)
class Interval:
    """The sample space of a continuous family on the line, cut where the samples lie."""

    cuts: tuple[float, ...]


def in_support(family: Family, x: AnyArray) -> BoolArray:
    """Which samples obey all support rules."""
    batch = x.ndim - len(family.event_shape)
    verdict = np.isfinite(x).all(axis=tuple(range(batch, x.ndim)))
    with np.errstate(all="ignore"):
        for holds, _ in family._support_rules(x):
            verdict = verdict & holds.all(axis=tuple(range(batch, holds.ndim)))
    return np.asarray(verdict)


def sample_space(family: Family, theta: FloatArray, seed: int) -> Points | Interval | None:
    """The sample space as something to sum or integrate over, or None where it is neither small nor a line."""
    draws = np.asarray(family.sample(theta, 2000, seed))
    if is_discrete(draws):
        return _counts(family, theta, draws) if family.event_shape == () else _small_lattice(family, draws)
    return _interval(family, draws) if family.event_shape == () else None


def is_discrete(draws: AnyArray) -> bool:
    """Whether all draws are whole numbers."""
    return bool(np.array_equal(draws, np.round(draws)))


def _counts(family: Family, theta: FloatArray, draws: AnyArray) -> Points | None:
    """Whole numbers around the draws, further and further until what lies beyond carries nothing."""
    low, high = int(draws.min()), int(draws.max())
    pad = 2 * (high - low) + 64
    while pad < 2**22:
        values = np.arange(low - pad, high + pad + 1).astype(np.result_type(draws.dtype, np.int16))
        inside = values[in_support(family, values)]
        ends = [end for end, edge in ((inside[0], values[0]), (inside[-1], values[-1])) if end == edge]
        if all(np.exp(family.log_prob(end, theta)) * inside.size < 1e-18 for end in ends):
            return Points(inside)
        pad *= 2
    return None


def _small_lattice(family: Family, draws: AnyArray) -> Points | None:
    size = prod(family.event_shape)
    letters = np.arange(-2, 17).astype(np.result_type(draws.dtype, np.int8))
    alphabet = letters[[bool(in_support(family, np.full(family.event_shape, letter))) for letter in letters]]
    if alphabet.size == 0 or alphabet.size**size > 2**14:
        return None
    words = np.array(list(itertools.product(alphabet, repeat=size))).reshape(-1, *family.event_shape)
    return Points(words[in_support(family, words)])


def _interval(family: Family, draws: FloatArray) -> Interval:
    inner = np.quantile(draws, [0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0])
    spread = inner[-1] - inner[0]
    turned = draws[:8] + 2.0 * np.pi
    if in_support(family, turned).all() and np.allclose(family.statistic(draws[:8]), family.statistic(turned)):
        ends = [-np.pi, np.pi]  # an angle
    else:
        ends = [_end(family, float(inner[0]), -1.0), _end(family, float(inner[-1]), 1.0)]
    outer = [inner[0] - 4 * spread, inner[0] - spread, inner[-1] + spread, inner[-1] + 4 * spread]
    cuts = {float(cut) for cut in [*inner, *outer] if ends[0] < cut < ends[1]}
    return Interval(tuple(sorted({*cuts, *ends})))


def _end(family: Family, inside: float, sign: float) -> float:
    """The end of the support in direction ``sign``, found by bisection; infinite where there is none within 1e9."""
    outside = sign * 1e9
    if in_support(family, np.asarray(outside)):
        return sign * np.inf
    for _ in range(160):
        middle = inside + (outside - inside) / 2.0
        if in_support(family, np.asarray(middle)):
            inside = middle
        else:
            outside = middle
    return inside


def expectation(
    family: Family, theta: FloatArray, space: Points | Interval, function: Callable[[FloatArray], FloatArray]
) -> tuple[float, float]:
    """E[f(log p(x))] with a bound on its error, by summation or by adaptive quadrature (QUADPACK)."""
    if isinstance(space, Points):
        log_prob = family.log_prob(space.x, theta)
        terms = np.exp(log_prob) * function(log_prob)
        size = np.abs(family.statistic(space.x) * theta).sum(axis=-1) + np.abs(family.log_base(space.x)) + 1.0
        rounding = ULPS * EPS * (size + np.abs(family.log_partition(theta)))
        weight = np.exp(log_prob) * (np.abs(function(log_prob)) + 1.0)
        return float(terms.sum()), float(np.sum(rounding * weight)) + 1e-15

    def integrand(x: float) -> float:
        log_prob = family.log_prob(x, theta)
        return float(np.exp(log_prob) * function(log_prob))

    pieces = [
        quad(integrand, a, b, epsabs=1e-11, epsrel=1e-11, limit=200, full_output=1)[:2]
        for a, b in itertools.pairwise(space.cuts)
    ]
    return float(sum(p[0] for p in pieces)), float(sum(abs(p[1]) for p in pieces)) + 1e-10


# ---------------------------------------------------------------------- sampling error


def chernoff_exponent(family: Family, theta: FloatArray, average: FloatArray, n: int) -> FloatArray:
    """n times a lower bound on the Cramér rate of each entry of an average of n statistics.

    P(average ≥ x) ≤ exp(−n (s x − A(θ + s e_k) + A(θ))) for every s > 0, and likewise below the mean with s < 0; the
    exponent is n (s (x − μ_k) − KL(θ ‖ θ + s e_k)). Its maximum over a fixed set of s is monotone in x, so it exceeds
    log(1/δ) with probability at most δ on each side: exact for every exponential family, however skew, and every n.
    """
    mean, deviation = family.to_mean(theta), np.sqrt(family.variance(theta) / n)
    exponent = np.zeros(family.dim)
    for k in range(family.dim):
        gap = average[k] - mean[k]
        tilt = np.sign(gap) * np.geomspace(0.25, 64.0, 33) / (n * deviation[k])
        tilted = theta + tilt[:, None] * np.eye(family.dim)[k]
        inside = family.in_natural_space(tilted) & (np.abs(tilt) * np.maximum(1.0, np.abs(mean[k])) < 300.0)
        if gap == 0.0 or not np.any(inside):
            continue
        cost = family.kl(theta, tilted[inside])
        exponent[k] = max(0.0, float(np.max(n * (tilt[inside] * gap - cost))))
    return exponent


def exponent_limit(checks: int) -> float:
    """The exponent that a correct sampler exceeds with probability below ``ALARM``, over so many two-sided checks."""
    return float(np.log(2.0 * max(checks, 1) / ALARM))


def bernstein_width(values: FloatArray) -> FloatArray:
    """How far the average of independent values may lie from its expectation (Maurer & Pontil 2009).

    The empirical Bernstein bound with the observed range in place of the true one.
    """
    n, log_term = values.shape[0], np.log(4.0 / ALARM)
    spread = np.abs(values - values.mean(axis=0)).max(axis=0)
    width = np.sqrt(2.0 * values.var(axis=0, ddof=1) * log_term / n) + 7.0 * spread * log_term / (3.0 * (n - 1))
    return np.asarray(width)
