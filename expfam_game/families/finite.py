"""Finite(phi): any statistic table on a finite space. A(θ) = log Σ_s h(s) exp⟨θ, φ(s)⟩."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog
from scipy.special import logsumexp

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule
from expfam_game.families.newton import invert_mean, solve_mean
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

_BLOCK = 1 << 21
"""Table entries evaluated at a time: bounds the memory of a large batch."""
_LARGEST_TABLES = 1 << 24
"""Probabilities of all agents held at a time when a table is a factor of a product."""
_MARGIN = 1e-8
"""Weight margin from which the linear program, whose own tolerance is 1e-10, decides that a mean is inside."""
_WITNESS = 0.5
"""Largest relative change of a state's weight for which the weights are accepted as a witness."""
_DOMINANT = 0.5
"""A(θ) less the log weight of the mode, below which the mode has most of the mass."""
_FAR = 128.0
"""⟨|θ|, |φ(mode) − centre|⟩ above which scores are taken anew, relative to the mode: their rounding is this times 1e-16."""
_EPS = float(np.finfo(np.float64).eps)
_NARROW = 0.9999
"""Share of a squared mean in the mean square, about the centre, above which deviations are taken about the mode."""


class TableFamily(Family):
    """What a family given by a table of statistics and log-masses needs; shared by Finite and FromStatistic."""

    table: FloatArray
    log_mass: FloatArray
    finite_everywhere = True

    @property
    def dim(self) -> int:
        return int(self.table.shape[1])

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @cached_property
    def _centre(self) -> FloatArray:
        """The row nearest the middle: subtracting a row keeps integer statistics exact."""
        middle = 0.5 * (self.table.min(axis=0) + self.table.max(axis=0))
        spread = np.maximum(np.ptp(self.table, axis=0), np.finfo(np.float64).tiny)
        return np.asarray(self.table[np.argmin(np.sum(((self.table - middle) / spread) ** 2, axis=1))])

    @cached_property
    def _centred(self) -> FloatArray:
        return self.table - self._centre

    def _in_blocks(self, function: Callable[..., FloatArray], *arrays: FloatArray) -> FloatArray:
        """Apply a function of ``(batch, dim)`` arrays block by block and restore the leading axes."""
        lead = arrays[0].shape[:-1]
        flat = [np.reshape(array, (-1, array.shape[-1])) for array in arrays]
        size = max(1, _BLOCK // self.table.size)
        count = max(len(flat[0]), 1)
        parts = [function(*(array[k : k + size] for array in flat)) for k in range(0, count, size)]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return joined.reshape((*lead, *joined.shape[1:]))

    def _log_weights(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """log probabilities ``(batch, states)`` and A(θ) ``(batch,)``."""
        score = theta @ self._centred.T + self.log_mass
        rows, mode = np.arange(len(score)), score.argmax(axis=-1)
        far = np.sum(np.abs(theta * self._centred[mode]), axis=-1) > _FAR
        if far.any():
            # About the first mode, the scores of the states that matter are small numbers, and so is their rounding.
            first = mode[far]
            score_far = self.log_mass - self.log_mass[first][:, None]
            for k, column in enumerate(self.table.T):
                score_far += theta[far, k, None] * (column - column[first][:, None])
            score[far] = score_far
            mode[far] = score[far].argmax(axis=-1)
        peak = score[rows, mode]
        score -= peak[:, None]
        others = np.exp(score)
        others[rows, mode] = 0.0
        log_sum = np.log1p(others.sum(axis=-1))  # keeps log p of a state with nearly all mass exact
        # Where the mode has most of the mass, or lies far out, peak and ⟨θ, centre⟩ would be large and of opposite sign:
        # its log weight is taken directly. Otherwise the rounding of all the scores evens out.
        direct = np.sum(theta * self.table[mode], axis=-1) + self.log_mass[mode]
        about_centre = peak + log_sum + theta @ self._centre
        log_z = np.where((log_sum < _DOMINANT) | far, direct + log_sum, about_centre)
        return score - log_sum[:, None], log_z

    def _probabilities(self, theta: FloatArray) -> FloatArray:
        p = np.exp(self._log_weights(theta)[0])
        return np.asarray(p / p.sum(axis=-1, keepdims=True))

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return self._in_blocks(lambda block: self._log_weights(block)[1], theta)

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return self._in_blocks(lambda block: self._probabilities(block) @ self.table, theta)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        def covariance(block: FloatArray) -> FloatArray:
            p = self._probabilities(block)
            deviation = self._deviations(p)
            return np.swapaxes(deviation * p[:, :, None], 1, 2) @ deviation

        return self._in_blocks(covariance, theta)

    def _variance(self, theta: FloatArray) -> FloatArray:
        def spread(block: FloatArray) -> FloatArray:
            p = self._probabilities(block)
            return np.asarray(np.einsum("bs,bsk->bk", p, self._deviations(p) ** 2))

        return self._in_blocks(spread, theta)

    def _deviations(self, p: FloatArray) -> FloatArray:
        """φ(s) − E φ, shape ``(batch, states, dim)``."""
        mean = p @ self._centred
        deviation = self._centred - mean[:, None, :]
        narrow = np.any(mean**2 > _NARROW * (p @ self._centred**2), axis=-1)
        if narrow.any():  # beside its distance from the centre, whose subtraction has rounded the deviations
            around = self.table - self.table[p[narrow].argmax(axis=-1)][:, None, :]
            deviation[narrow] = around - p[narrow][:, None, :] @ around
        return np.asarray(deviation)

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """log E_a[exp(u)] with u = ⟨b − a, φ − μ(a)⟩; as E_a[u] = 0 this is log1p(E_a[eᵘ − 1 − u]), without cancellation."""

        def divergence(a: FloatArray, b: FloatArray) -> FloatArray:
            log_p = self._log_weights(a)[0]
            u = np.einsum("bsk,bk->bs", self._deviations(np.exp(log_p)), b - a)
            return np.asarray(np.logaddexp(0.0, logsumexp(log_p + log_exp_remainder(u), axis=-1)))

        return self._in_blocks(divergence, theta_a, theta_b)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        return self._counted_moments(theta, n, key, False)

    def _fused_covariance(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        return self._counted_moments(theta, n, key, True)

    def _counted_moments(
        self, theta: FloatArray, n: int, key: StreamKey, matrix: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Draws are counted state by state, then the table is weighed by the counts."""
        from expfam_game.kernels.table_moments import cell_counts, weighed

        size = max(1, _BLOCK // self.table.size)
        parts = []
        for first in range(0, len(theta), size):
            counts = cell_counts(self._probabilities_by_row(theta[first : first + size]), n, key, first)
            parts.append(weighed(counts, self._centred, n, matrix))
        return self._centre + np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _probabilities_by_row(self, theta: FloatArray) -> FloatArray:
        """Row by row, so that the probabilities of an agent do not depend on the others in the same product."""
        return np.concatenate([self._probabilities(theta[k : k + 1]) for k in range(len(theta))])

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.count_draws import table_draw

        if len(theta) * len(self.table) > _LARGEST_TABLES:
            return None
        p = self._probabilities_by_row(theta)
        return [table_draw(p, self.table, np.concatenate([row @ self.table for row in p[:, None]]))]

    def _solve_start(self) -> FloatArray | None:
        return None

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return invert_mean(self, mu, self._solve_start())


def log_exp_remainder(u: FloatArray) -> FloatArray:
    """log(eᵘ − 1 − u) without cancellation or overflow; −inf at zero."""
    with np.errstate(all="ignore"):
        series = np.ones_like(u)
        for k in range(17, 2, -1):
            series = 1.0 + series * u / k
        small = 2.0 * np.log(np.abs(u)) - np.log(2.0) + np.log(series)
        positive = u + np.log1p(-(1.0 + u) * np.exp(-u))
        negative = np.log(np.expm1(u) - u)
    return np.where(np.abs(u) < 1.0, small, np.where(u > 0.0, positive, negative))


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Finite(TableFamily):
    """Any statistic on a finite space: state s has probability h(s) exp(⟨θ, φ(s)⟩ − A(θ)).

    The mean space is the interior of the convex hull of the rows of ``phi`` that have positive base measure. In one
    dimension membership is exact. Otherwise a mean is accepted on a witness, strictly positive state weights with that
    mean: those of the distribution that Newton's method finds, or those of a linear program (HiGHS) where Newton does
    not converge. Natural parameters are recovered for means at which the facets of the hull still have probability
    1e-12 or more, as far as the doubles that hold the mean determine them; log-probabilities carry an error of
    about 1e-16·max |⟨θ, φ⟩|, tested up to 1e4.

    Parameters
    ----------
    phi : array_like, shape (states, dim) or (states,)
        Row s is the statistic of state s. Together with the constant the columns must be linearly independent.
    log_base : array_like, shape (states,), optional
        log h(s), zero by default; −inf takes a state out of the space.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Finite([0.0, 1.0, 4.0])
    >>> family.to_mean([0.0]).round(4)
    array([1.6667])
    >>> family.statistic([0, 2])
    array([[0.],
           [4.]])
    """

    phi: FloatArray
    log_measure: FloatArray

    def __init__(self, phi: ArrayLike, log_base: ArrayLike | None = None) -> None:
        table = _checked_table(phi)
        measure = _checked_measure(log_base, len(table))
        live = np.isfinite(measure)
        check_minimal(table[live], "Finite")
        for array in (table, measure):
            array.setflags(write=False)
        object.__setattr__(self, "phi", table)
        object.__setattr__(self, "log_measure", measure)
        object.__setattr__(self, "states", np.flatnonzero(live))
        object.__setattr__(self, "table", table[live])
        object.__setattr__(self, "log_mass", measure[live])

    states: AnyArray = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Finite(states={len(self.phi)}, dim={self.dim})"

    def reference_mean(self) -> FloatArray:
        return np.asarray(self.table.mean(axis=0))

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        whole = (x == np.floor(x)) & (x >= 0) & (x < len(self.phi))
        yield whole, f"a state must be an integer from 0 to {len(self.phi) - 1}"
        if len(self.states) < len(self.phi):
            yield np.isin(x, self.states), "the base measure of this state is zero"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        return hull_rules(self, mu)

    def _statistic(self, x: AnyArray) -> FloatArray:
        return self.phi[x.astype(np.intp)]

    def _log_base(self, x: AnyArray) -> FloatArray:
        return self.log_measure[x.astype(np.intp)]

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return self._in_blocks(lambda block: self._probabilities(block) @ self.log_mass, theta)

    def _entropy(self, theta: FloatArray) -> FloatArray:
        def shannon(block: FloatArray) -> FloatArray:
            log_p = self._log_weights(block)[0]
            return np.asarray(-np.sum(np.exp(log_p) * log_p, axis=-1))

        return self._in_blocks(shannon, theta)

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return self.states[sample_rows(self, theta, n, rng)]

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        return self._in_blocks(lambda block: rng.multinomial(n, self._probabilities(block)) @ self.table / n, theta)


def sample_rows(family: TableFamily, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
    """n row numbers of the table for each θ, by inversion of the cumulative probabilities: ``(..., n)``."""
    flat = theta.reshape(-1, theta.shape[-1])
    rows = np.empty((len(flat), n), dtype=np.int64)
    for k in range(len(flat)):
        below = np.cumsum(family._probabilities(flat[k : k + 1])[0])
        rows[k] = np.searchsorted(below, rng.random(n) * below[-1], side="right")
    return np.minimum(rows, len(family.table) - 1).reshape(*theta.shape[:-1], n)


# ---------------------------------------------------------------------- the mean space


def hull_rules(family: TableFamily, mu: FloatArray) -> Iterable[Rule]:
    """The rules that put μ strictly inside the convex hull of the table."""
    low, high = family.table.min(axis=0), family.table.max(axis=0)
    yield (mu > low) & (mu < high), "the mean must lie strictly inside the convex hull of the statistic table"
    if family.dim > 1:
        yield (
            _inside_hull(family, mu),
            "the mean must lie strictly inside the convex hull of the statistic table",
        )


def _inside_hull(family: TableFamily, mu: FloatArray) -> BoolArray:
    flat = mu.reshape(-1, family.dim)
    low, high = family.table.min(axis=0), family.table.max(axis=0)
    inside = np.all((flat > low) & (flat < high), axis=-1)
    candidates = np.flatnonzero(inside)
    inside[candidates] = _witnessed(family, flat[candidates])
    for k in candidates[~inside[candidates]]:
        inside[k] = weight_margin(family.table, flat[k]) > _MARGIN
    return np.asarray(inside.reshape(mu.shape[:-1]))


def _witnessed(family: TableFamily, mu: FloatArray) -> BoolArray:
    """Whether weights p_s (1 + ⟨φ(s) − μ(θ), F⁻¹(μ − μ(θ))⟩), whose mean is μ, are positive for the θ that Newton finds.

    They must stay positive when μ moves by a few units in its last place, so a mean that rounding has put on the boundary
    is refused.
    """
    if not len(mu):
        return np.zeros(0, dtype=bool)
    found = solve_mean(family, mu, family._solve_start())

    def largest_change(theta: FloatArray, step: FloatArray, point: FloatArray) -> FloatArray:
        deviation = family._deviations(family._probabilities(theta))
        fisher = family._fisher_information(theta)
        scale = np.sqrt(np.diagonal(fisher, axis1=-2, axis2=-1))
        scaled = fisher / scale[:, :, None] / scale[:, None, :] + 1e-15 * np.eye(family.dim)
        leverage = np.linalg.solve(scaled, np.swapaxes(deviation / scale[:, None, :], 1, 2)) / scale[:, :, None]
        rounding = np.einsum("bks,bk->bs", np.abs(leverage), 4.0 * _EPS * np.abs(point))
        change = np.abs(np.einsum("bsk,bk->bs", deviation, step))
        return np.asarray(np.max(change + rounding, axis=-1))

    inside = found.converged.copy()
    with np.errstate(all="ignore"):
        at = [array[inside] for array in (found.theta, found.step, mu)]
        inside[inside] = family._in_blocks(largest_change, *at) < _WITNESS if inside.any() else False
    return inside


def weight_margin(table: FloatArray, mu: FloatArray) -> float:
    """The largest t such that μ = Σ_s w_s φ(s), Σ w_s = 1 and all w_s ≥ t; positive iff μ is inside the hull."""
    states = len(table)
    scale = np.maximum(np.ptp(table, axis=0), np.finfo(np.float64).tiny)
    shifted = ((table - mu) / scale).T
    equal = np.vstack([np.ones(states), shifted])
    # w = t + slack with slack ≥ 0: the last unknown is t.
    matrix = np.hstack([equal, equal.sum(axis=1, keepdims=True)])
    right = np.zeros(len(matrix))
    right[0] = 1.0
    bounds = [(0.0, None)] * states + [(-1.0, None)]
    cost = np.zeros(states + 1)
    cost[-1] = -1.0
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    result = linprog(cost, A_eq=matrix, b_eq=right, bounds=bounds, method="highs", options=options)
    return float(-result.fun) if result.status == 0 else -1.0


# ---------------------------------------------------------------------- checks of the constructor


def _checked_table(phi: ArrayLike) -> FloatArray:
    try:
        table = np.array(phi, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"Finite: phi must be an array of real numbers: {problem}") from None
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or 0 in table.shape:
        raise InvalidInput(f"Finite: phi has shape {table.shape}; it must be (states, dim), neither of them zero")
    if not np.all(np.isfinite(table)):
        raise InvalidInput("Finite: phi has entries that are NaN or infinite; every statistic must be finite")
    return table


def _checked_measure(log_base: ArrayLike | None, states: int) -> FloatArray:
    measure = np.zeros(states) if log_base is None else np.array(log_base, dtype=np.float64)
    if measure.shape != (states,):
        raise InvalidInput(f"Finite: log_base has shape {measure.shape}; it must be ({states},), one entry per state")
    if np.any(np.isnan(measure) | (measure == np.inf)):
        raise InvalidInput(
            "Finite: log_base has entries that are NaN or +inf; they must be finite, or −inf for no mass"
        )
    return measure


def check_minimal(table: FloatArray, name: str) -> None:
    """Raise unless the constant and the columns of the table are linearly independent."""
    if not len(table):
        raise InvalidInput(f"{name}: no state has positive base measure; at least 2 are needed")
    if len(table) == 1:
        raise InvalidInput(
            f"{name}: the table has one state only, at least 2 are needed; rows are states and columns are statistics: did "
            "you mean the transpose?"
        )
    centred = table - table[0]
    scale = np.max(np.abs(centred), axis=0)
    scale[scale == 0.0] = 1.0
    _, singular, directions = np.linalg.svd(centred / scale, full_matrices=True)
    rank = int(np.sum(singular > max(table.shape) * np.finfo(np.float64).eps * max(singular[0], 1e-300)))
    if rank == table.shape[1]:
        return
    redundant = []
    for direction in directions[rank:] / scale:
        direction = direction / direction[np.argmax(np.abs(direction))]
        terms = [f"{c:+.4g}·φ[{k}]" for k, c in enumerate(direction) if abs(c) > 1e-9]
        redundant.append(" ".join(terms))
    raise InvalidInput(
        f"{name}: the statistic is not minimal, it has {table.shape[1]} columns but only {rank} independent of the "
        f"constant. Constant on the whole space: {'; '.join(redundant)}. Drop one column for each"
    )
