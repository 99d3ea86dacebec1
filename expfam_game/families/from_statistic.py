"""FromStatistic: a family given by nothing but its statistic and base measure, with a numerical log-partition."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from scipy.special import expit

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray
from expfam_game.errors import InvalidInput, InversionFailed
from expfam_game.families.checks import Rule, require_number
from expfam_game.families.finite import TableFamily, check_minimal, hull_rules, sample_rows
from expfam_game.families.newton import solve_mean
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

Function: TypeAlias = Callable[[FloatArray], FloatArray]

_TAIL = np.log(1e-10)
"""Largest integrand at the first and last node, relative to the largest one, for which the density has decayed."""
_WIDEST = 0.3
"""Largest share of the mass on one node: a bell has 0.28 when its deviation is 1.4 spacings, and 1e-16 is its error."""
_REACH = 1e10
"""Distance from the centre, in scales, at which an infinite interval is cut."""
_LARGEST = 1e100
"""Largest statistic at a node; further out the integration range is cut."""
_CHORD = 1.1
"""How far the density may exceed its chord between two nodes before samples lose exactness."""
_SAMPLES = 1 << 15
"""Samples per random stream, and points at which the statistic is evaluated together, when moments are estimated."""


@dataclass(frozen=True, eq=False, init=False, repr=False)
class FromStatistic(TableFamily):
    """A one-variable family from a statistic and a base measure, its log-partition computed by fixed quadrature.

    On an interval the substitution x = x(t) of Takahasi & Mori (1974) moves both ends to infinity and makes the
    integrand decay double-exponentially; the trapezoidal rule in t then gives A(θ) = log Σ_s w_s h(x_s) exp⟨θ, φ(x_s)⟩,
    and means and Fisher information are the exact derivatives of this sum. The nodes are fixed at construction, so the
    family is a finite one with weights. For integrands smooth inside the interval, spread over several nodes, the error is
    near rounding, also with algebraic or logarithmic singularities at the ends; a kink inside leaves an error of second
    order in the node spacing. :meth:`quadrature_error` estimates it for each θ. The nodes come as near to a finite end e as
    4 ulp(e), or 1e-300 if e = 0, and reach 1e10 scales towards an infinite one; natural parameters at which the integrand
    has not fallen there to 1e-10 of its maximum are refused, as are densities with three tenths of the mass on one node.

    The node spacing near x is about 0.0016·|x − centre|·log(|x − centre|/scale) + 0.003·scale on the real line, and
    0.003·(b − a) on a finite interval, for 4096 nodes. Densities with a standard deviation of 1.4 spacings or more are
    integrated to rounding.

    Means are compared with those on nodes moved by a half and by a quarter of their distance, whose quadrature errors are
    others (:meth:`mean_error`). :meth:`to_natural` answers only where a mean of the answer is integrated to ``accuracy`` relative to
    E|φ|, and raises otherwise, as at a kink or jump inside the interval. For φ = x on (0, 1) it answers for natural parameters
    from −1e30 to 1e4: near 0 the nodes reach 1e-300, near 1 they leave out what lies within 4 ulp of it.

    Samples follow the density exactly wherever it exceeds its chord between neighbouring nodes by at most a tenth.

    Parameters
    ----------
    statistic : callable
        Takes an array of shape (m,), returns (m, dim), or (m,) for one statistic.
    log_base : callable or None
        log h at an array of shape (m,), relative to Lebesgue measure (interval) or counting measure (grid); None is zero.
    support : tuple (a, b), or array_like of points
        A tuple of two numbers is an interval, either end may be infinite; a one-dimensional array or list of points is a
        grid.
    nodes : int
        Number of quadrature nodes on an interval, at least 32.
    centre, scale : float
        Where the mass of interest lies; used for infinite intervals only.
    start : array_like, shape (dim,), optional
        A point of the natural parameter space; found automatically if omitted.
    accuracy : float
        Largest relative error of a mean by integration with which :meth:`to_natural` answers. Raise it for a statistic
        with a kink on an interval, where the trapezoidal rule has an error of second order.

    References
    ----------
    H. Takahasi, M. Mori, "Double exponential formulas for numerical integration", Publ. RIMS 9 (1974) 721–741.

    Examples
    --------
    >>> import numpy as np, expfam_game as eg
    >>> normal = eg.families.FromStatistic(lambda x: np.stack([x, x**2], axis=-1), None, (-np.inf, np.inf))
    >>> normal.to_natural([1.0, 5.0]).round(10)
    array([ 0.25 , -0.125])
    >>> bool(normal.quadrature_error([0.0, -0.5]) < 1e-12)
    True
    """

    points: FloatArray
    table: FloatArray
    log_mass: FloatArray
    interval: tuple[float, float] | None

    def __init__(
        self,
        statistic: Function,
        log_base: Function | None,
        support: tuple[float, float] | ArrayLike,
        *,
        nodes: int = 4096,
        centre: float = 0.0,
        scale: float = 1.0,
        start: ArrayLike | None = None,
        accuracy: float = 1e-13,
    ) -> None:
        def put(**values: object) -> None:
            for name, value in values.items():
                object.__setattr__(self, name, value)

        require_number("FromStatistic", "accuracy", accuracy)
        put(_phi=statistic, _log_h=log_base, _accuracy=float(accuracy))
        if isinstance(support, tuple) and len(support) == 2:
            _check_interval(support, nodes, centre, scale)
            put(interval=(float(support[0]), float(support[1])))
            put(_middle=_middle(self._ends, float(centre), float(scale)))
            put(_rule=(int(nodes), float(centre), float(scale)))
            spots, log_weight = _interval_nodes(self._ends, *self._rule)
        else:
            put(interval=None)
            spots = _checked_grid(support)
            log_weight = np.zeros(len(spots))
        spots, phi, base, log_weight = self._tabulate(spots, log_weight)
        put(points=spots, table=phi, log_mass=base + log_weight, _base=base, _log_weight=log_weight)
        if self.interval is None:
            check_minimal(phi, "FromStatistic")
        put(_start=self._checked_start(start))
        if self.interval is not None:
            self._check_independent()
        for array in (self.points, self.table, self.log_mass):
            array.setflags(write=False)

    _phi: ClassVar[Any] = None
    _log_h: ClassVar[Any] = None
    _base = np.zeros(0)
    _log_weight = np.zeros(0)
    _start = np.zeros(0)
    _middle = 0.0
    _accuracy = 1e-13
    _rule = (0, 0.0, 1.0)

    @cached_property
    def _centre(self) -> FloatArray:
        """φ where the mass of interest is expected; the middle of the range would be swamped by the outermost nodes."""
        middle = np.median(self.points) if self.interval is None else self._middle
        return np.asarray(self.table[np.argmin(np.abs(self.points - middle))])

    @property
    def _ends(self) -> tuple[float, float]:
        assert self.interval is not None
        return self.interval

    def __repr__(self) -> str:
        where = f"{len(self.points)} points" if self.interval is None else str(self.interval)
        return f"FromStatistic(dim={self.dim}, support={where})"

    # ------------------------------------------------------------------ construction

    def _evaluate(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """φ(x) and log h(x) for an array of shape (m,)."""
        with np.errstate(all="ignore"):
            phi = np.asarray(self._phi(x), dtype=np.float64)
            base = np.zeros(len(x)) if self._log_h is None else np.asarray(self._log_h(x), dtype=np.float64)
        if phi.ndim == 1:
            phi = phi[:, None]
        if phi.ndim != 2 or len(phi) != len(x) or base.shape != x.shape:
            raise InvalidInput(
                f"FromStatistic: for {len(x)} points the statistic has shape {phi.shape} and the log base measure "
                f"{base.shape}; they must be ({len(x)}, dim) and ({len(x)},)"
            )
        return phi, base

    def _tabulate(self, x: FloatArray, log_weight: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """The nodes that carry mass; on an interval the outermost ones may overflow and are cut off."""
        phi, base = self._evaluate(x)
        finite = np.all(np.isfinite(phi), axis=1) & ~np.isnan(base) & (base < np.inf)
        if self.interval is not None and finite.any():
            finite &= np.all(np.abs(phi) <= _LARGEST, axis=1)  # their squares enter the Fisher information
            first, last = np.flatnonzero(finite)[[0, -1]]
            keep = slice(first, last + 1)
            x, phi, base, log_weight, finite = x[keep], phi[keep], base[keep], log_weight[keep], finite[keep]
        if not finite.all() or not finite.size:
            bad = x[np.argmin(finite)] if finite.size else np.nan
            raise InvalidInput(
                f"FromStatistic: at x = {bad} the statistic or the log base measure is not a finite number"
            )
        mass = base > -np.inf
        return x[mass], phi[mass], base[mass], log_weight[mass]

    def _checked_start(self, start: ArrayLike | None) -> FloatArray:
        if start is not None:
            point = np.asarray(start, dtype=np.float64)
            if point.shape != (self.dim,) or not bool(self.in_natural_space(point)):
                raise InvalidInput(
                    f"FromStatistic: start is {point}; it must be a natural parameter of shape ({self.dim},)"
                )
            return point
        zero = np.zeros(self.dim)
        if bool(self.in_natural_space(zero)):
            return zero
        best, least = zero, np.inf
        for point, divergence in self._fits():
            if divergence < least and bool(self.in_natural_space(point)):
                best, least = point, divergence
                if least < 0.1:
                    break
        if np.isfinite(least):
            return best
        raise InvalidInput(
            "FromStatistic: no natural parameter was found at which the density decays inside the integration range; "
            "give one as start, or adapt centre and scale"
        )

    def _fits(self) -> Iterable[tuple[FloatArray, float]]:
        """Least-squares fits of bells on the nodes' own scale by members of the family, with their KL(bell ‖ fit)."""
        home = int(np.argmin(np.abs(self.points - self._middle)))
        t = 2.0 * (np.arange(len(self.points)) - home) / len(self.points)
        for middle in (0.0, -0.2, 0.2, -0.4, 0.4):
            for width in (0.1, 0.06, 0.15, 0.03, 0.3):
                log_bell = -0.5 * ((t - middle) / width) ** 2
                near = log_bell > -12.0
                if near.sum() <= self.dim + 1:
                    continue
                weight = np.exp(0.5 * log_bell[near])
                columns = np.hstack([self._centred[near], np.ones((near.sum(), 1))]) * weight[:, None]
                size = np.maximum(np.max(np.abs(columns), axis=0), 1e-300)
                target = (log_bell - self.log_mass)[near] * weight
                fit = (np.linalg.lstsq(columns / size, target, rcond=None)[0] / size)[:-1]
                bell = weight**2 / np.sum(weight**2)
                with np.errstate(all="ignore"):
                    log_p = self._log_weights(fit[None])[0][0, near]
                    divergence = float(np.sum(bell * (np.log(bell) - log_p)))
                if np.isfinite(divergence):
                    yield fit, divergence

    def _check_independent(self) -> None:
        fisher = self._fisher_information(self._start)
        deviation = np.sqrt(np.maximum(np.diagonal(fisher), 1e-300))
        correlation = fisher / deviation[:, None] / deviation
        if not np.linalg.eigvalsh(correlation)[0] > 1e-13:
            raise InvalidInput(
                "FromStatistic: the statistics and the constant are linearly dependent on the support, so the family is "
                f"not minimal; their correlations at the start are {np.array2string(correlation, precision=4)}"
            )

    # ------------------------------------------------------------------ the contract

    def reference_mean(self) -> FloatArray:
        return self._to_mean(self._start)

    def _solve_start(self) -> FloatArray | None:
        return self._start

    def quadrature_error(self, theta: ArrayLike) -> FloatArray:
        """An estimate of the absolute error of A(θ), in nats; shape (..., dim) to (...).

        The change of A when only every second node is kept, or a quarter of that for every third (about twice the share
        of an error of second order), plus the mass near the ends of the integration range and the rounding of the sum. Where the rule
        converges exponentially this is a large overestimate. On a grid only rounding is left.
        """
        return self._in_blocks(self._error_estimate, self._checked_natural(theta))

    def mean_error(self, theta: ArrayLike) -> FloatArray:
        """The error of each mean by integration, relative to E|φ|; shape (..., dim) to (..., dim).

        Half the change when the nodes are moved by half their distance, which turns the sign of the leading error, also
        where it falls exponentially with the distance; or the change when they are moved by a quarter, if that is larger.
        To this is added what lies beyond the outermost nodes, continued as a geometric series. Rounding leaves about
        1e-15; on a grid there is nothing else, and the result is zero.

        Examples
        --------
        >>> import numpy as np, expfam_game as eg
        >>> line = eg.families.FromStatistic(lambda x: x, None, (0.0, np.inf))
        >>> bool(line.mean_error([-2.0]).max() < 1e-14)
        True
        >>> kink = eg.families.FromStatistic(np.abs, None, (-np.inf, np.inf))
        >>> bool(kink.mean_error([-2.0]).max() > 1e-8)
        True
        """
        return self._in_blocks(self._mean_error, self._checked_natural(theta))

    def _mean_error(self, theta: FloatArray) -> FloatArray:
        if self.interval is None:
            return np.zeros_like(theta)
        p = self._probabilities(theta)
        mean = p @ self.table
        error = np.zeros_like(theta)
        for other, share in zip(self._moved, (0.5, 1.0)):
            change = np.inf if other is None else np.abs(mean - other._probabilities(theta) @ other.table)
            error = np.maximum(error, share * change)
        with np.errstate(all="ignore"):
            for outermost, next_one in ((0, 1), (-1, -2)):
                last = p[:, outermost]
                beyond = np.where(last > 0.0, last**2 / (p[:, next_one] - last), 0.0)
                beyond[~(beyond >= 0.0)] = np.inf  # it does not fall
                error += beyond[:, None] * np.abs(self.table[outermost] - mean)
            return np.asarray(error / (p @ np.abs(self.table)))

    @cached_property
    def _moved(self) -> list[FromStatistic | None]:
        """The same family on nodes moved by a half and by a quarter; None where the statistic is not finite there."""
        # not quite a half: that would be the centre itself, where sin(x)/x, say, is 0/0
        return [self._on_moved_nodes(shift) for shift in (0.500001, 0.25)]

    def _on_moved_nodes(self, shift: float) -> FromStatistic | None:
        spots, log_weight = _interval_nodes(self._ends, *self._rule, shift=shift)
        inside = (spots >= self.points[0]) & (spots <= self.points[-1])
        try:
            spots, phi, base, log_weight = self._tabulate(spots[inside], log_weight[inside])
        except InvalidInput:
            return None
        family = object.__new__(FromStatistic)
        parts = {"points": spots, "table": phi, "log_mass": base + log_weight, "interval": self._ends}
        for name, value in {**parts, "_middle": self._middle}.items():
            object.__setattr__(family, name, value)
        return family

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        theta = super()._to_natural(mu)
        error = self._in_blocks(self._mean_error, theta).max(axis=-1, initial=0.0)
        if np.all(error <= self._accuracy):
            return theta
        index = tuple(int(k) for k in np.argwhere(~(error <= self._accuracy))[0])
        where = f" of agent {index[0] if len(index) == 1 else index}" if index else ""
        raise InversionFailed(
            f"{self!r}: at the natural parameter{where} {np.array2string(theta[index], threshold=8)} the integration "
            f"error of the mean is {float(error[index]):.1e}, more than the accuracy of {self._accuracy:g}. Raise nodes, set "
            "centre and scale to where the mass lies, or give the accuracy that is enough: a kink or jump inside the "
            "interval, or a law narrow beside its distance from 0, leaves no better one"
        )

    def _error_estimate(self, theta: FloatArray) -> FloatArray:
        log_p, log_z = self._log_weights(theta)
        mode = self.table[log_p.argmax(axis=-1)]
        size = np.abs(theta[:, None, :] * (self.table - mode[:, None, :])).sum(axis=-1)
        size = np.max(size * np.exp(log_p), axis=-1) + np.sum(np.abs(theta * mode), axis=-1)
        rounding = np.finfo(np.float64).eps * (1.0 + np.abs(log_z) + size)
        if self.interval is None:
            return np.asarray(rounding)
        p = np.exp(log_p)
        halves = np.abs(np.log(2.0 * p[:, ::2].sum(axis=-1)))
        # a symmetric density has equal halves whatever its error, but not equal thirds
        thirds = np.max([np.abs(np.log(3.0 * p[:, r::3].sum(axis=-1))) for r in range(3)], axis=0)
        coarse = np.maximum(halves, thirds / 4.0)
        return np.asarray(coarse + 10.0 * (p[:, 0] + p[:, -1]) + rounding)

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        if self.interval is None:
            return
        decays, resolved = self._in_blocks(self._judge, theta), self._in_blocks(self._resolve, theta)
        yield decays > 0.0, "the density does not decay inside the integration range"
        yield (
            resolved > 0.0,
            ("the density is narrower than the spacing of the integration nodes; raise nodes, or set centre and scale"),
        )

    def _judge(self, theta: FloatArray) -> FloatArray:
        log_p = self._log_weights(theta)[0]
        return np.asarray(_TAIL - np.maximum(log_p[:, 0], log_p[:, -1]) + log_p.max(axis=-1))

    def _resolve(self, theta: FloatArray) -> FloatArray:
        return np.asarray(_WIDEST - np.exp(self._log_weights(theta)[0]).max(axis=-1))

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        if self.interval is None:
            yield from hull_rules(self, mu)
            return
        low, high = self.table.min(axis=0), self.table.max(axis=0)
        yield (
            (mu > low) & (mu < high),
            "the mean must lie strictly between the least and the greatest value of the statistic",
        )
        yield self._attained(mu), "no density that the integration nodes resolve has this mean"

    def _attained(self, mu: FloatArray) -> BoolArray:
        low, high = self.table.min(axis=0), self.table.max(axis=0)
        inside = np.asarray(np.all((mu > low) & (mu < high), axis=-1))
        if inside.any():
            found = solve_mean(self, mu[inside], self._start)
            inside[inside] = found.converged & self.in_natural_space(found.theta)
        return inside

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        if self.interval is None:
            yield (
                np.isin(x, self.points),
                "a value must be one of the grid's points with positive base measure",
            )
            return
        a, b = self._ends
        yield (x >= a) & (x <= b), f"a value must lie in the interval from {a} to {b}"
        phi, base = self._evaluate(np.asarray(x, dtype=np.float64).ravel())
        finite = np.all(np.isfinite(phi), axis=1) & np.isfinite(base)
        yield finite.reshape(x.shape), "the statistic or the log base measure is not finite at this value"

    def _statistic(self, x: AnyArray) -> FloatArray:
        return self._evaluate(x.astype(np.float64).ravel())[0].reshape(*x.shape, self.dim)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return self._evaluate(x.astype(np.float64).ravel())[1].reshape(x.shape)

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return self._in_blocks(lambda block: self._probabilities(block) @ self._base, theta)

    def _entropy(self, theta: FloatArray) -> FloatArray:
        def shannon(block: FloatArray) -> FloatArray:
            log_p = self._log_weights(block)[0]
            return np.asarray(-np.sum(np.exp(log_p) * (log_p - self._log_weight), axis=-1))

        return self._in_blocks(shannon, theta)

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        if self.interval is not None:
            return None
        return self._in_blocks(lambda block: rng.multinomial(n, self._probabilities(block)) @ self.table / n, theta)

    # ------------------------------------------------------------------ samples

    def _counted_moments(
        self, theta: FloatArray, n: int, key: StreamKey, matrix: bool
    ) -> tuple[FloatArray, FloatArray]:
        """On a grid draws are counted point by point; on an interval they are made a block at a time."""
        if self.interval is None:
            return super()._counted_moments(theta, n, key, matrix)
        parts = [self._interval_moments(row, n, key, agent) for agent, row in enumerate(theta)]
        mean, scatter = (np.stack(part) for part in zip(*parts))
        return mean, scatter if matrix else np.einsum("aii->ai", scatter).copy()

    def _interval_moments(self, theta: FloatArray, n: int, key: StreamKey, agent: int) -> tuple[FloatArray, FloatArray]:
        """Mean and scatter matrix of n samples; compiled but for the statistic and the base measure themselves.

        The samples are the density's chords accepted with probability density / (1.1 chord), as in :meth:`sample`.
        """
        from expfam_game.kernels.table_moments import add_accepted, chord_tables, open_block, propose

        centre = self._to_mean(theta[None])[0]
        log_q = self._density(theta, self.table, self._base)
        top = log_q.max()
        height = np.exp(log_q - top)
        share, alias = chord_tables(self.points, height)
        first, second = np.zeros(self.dim), np.zeros((self.dim, self.dim))
        for block, start in enumerate(range(0, n, _SAMPLES)):
            state = open_block(np.uint64(key.key), key.branch, agent, block)
            left = min(_SAMPLES, n - start)
            sums = np.zeros(self.dim), np.zeros((self.dim, self.dim))
            while left:
                x, bar = np.empty((2, int(1.15 * left) + 16))
                propose(self.points, height, share, alias, state, x, bar)
                phi, base = self._evaluate(x)
                with np.errstate(all="ignore"):
                    log_height = self._density(theta, phi, base) - top
                left -= add_accepted(np.ascontiguousarray(phi), log_height, _CHORD * bar, left, centre, *sums)
            first += sums[0]
            second += sums[1]
        scatter = second + np.triu(second, 1).T - np.outer(first, first) / n
        np.fill_diagonal(scatter, np.maximum(np.diagonal(scatter), 0.0))
        return centre + first / n, scatter

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        """On an interval the statistic is a Python function, which no kernel can call."""
        return super()._covariance_draws(theta) if self.interval is None else None

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        if self.interval is None:
            return self.points[sample_rows(self, theta, n, rng)]
        flat = theta.reshape(-1, self.dim)
        x = np.empty((len(flat), n))
        for k, row in enumerate(flat):
            x[k] = self._sample_interval(row, n, rng)
        return x.reshape(*theta.shape[:-1], n)

    def _sample_interval(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw from the density's chords between nodes, then accept with probability density / (1.1 chord)."""
        knots = self.points
        height = np.exp((log_q := self._density(theta, self.table, self._base)) - log_q.max())
        below = np.concatenate([[0.0], np.cumsum(0.5 * (height[1:] + height[:-1]) * np.diff(knots))])
        parts: list[FloatArray] = []
        found = 0
        while found < n:
            u = rng.random((2, int(1.2 * (n - found)) + 16))
            x, chord = _chord_sample(knots, height, below, u[0])
            density = np.exp(self._density(theta, *self._evaluate(x)) - log_q.max())
            parts.append(x[u[1] * _CHORD * chord < density])
            found += len(parts[-1])
        return np.concatenate(parts)[:n]

    def _density(self, theta: FloatArray, phi: FloatArray, base: FloatArray) -> FloatArray:
        """The log-density up to a constant, relative to dx."""
        return (phi - self._centre) @ theta + base


def _chord_sample(
    knots: FloatArray, height: FloatArray, below: FloatArray, u: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Inverse of the cumulative of the piecewise linear function through (knots, height); and its value there."""
    target = u * below[-1]
    cell = np.clip(np.searchsorted(below, target, side="right") - 1, 0, len(knots) - 2)
    width, left, right = np.diff(knots)[cell], height[cell], height[cell + 1]
    area = np.clip((target - below[cell]) / width, 0.0, 0.5 * (left + right))
    root = np.sqrt(np.maximum(left**2 + 2.0 * (right - left) * area, 0.0))
    share = np.clip(2.0 * area / np.maximum(left + root, np.finfo(np.float64).tiny), 0.0, 1.0)
    return knots[cell] + share * width, left + share * (right - left)


# ---------------------------------------------------------------------- nodes


def _middle(ends: tuple[float, float], centre: float, scale: float) -> float:
    """The point at which the substitution has t = 0."""
    a, b = ends
    if np.isfinite(a):
        return 0.5 * (a + b) if np.isfinite(b) else a + scale
    return b - scale if np.isfinite(b) else centre


def _interval_nodes(
    ends: tuple[float, float], nodes: int, centre: float, scale: float, shift: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Nodes and log-weights of the double-exponential rule, in increasing order; ``shift`` moves all by part of a step."""
    a, b = ends
    if np.isfinite(a) and np.isfinite(b):
        return _finite_nodes(a, b, nodes, shift)
    if np.isfinite(a):
        return _half_line_nodes(a, 1.0, nodes, scale, shift)
    if np.isfinite(b):
        x, log_weight = _half_line_nodes(b, -1.0, nodes, scale, shift)
        return x[::-1].copy(), log_weight[::-1].copy()
    t, h = _steps(*_half_width(np.arcsinh(_REACH)), nodes, shift)
    inner = 0.5 * np.pi * np.sinh(t)
    log_slope = np.log(0.5 * np.pi * np.cosh(t)) + np.log(np.cosh(inner))
    return centre + scale * np.sinh(inner), log_slope + np.log(h * scale)


def _steps(first: float, last: float, nodes: int, shift: float) -> tuple[FloatArray, float]:
    """Equidistant t, and their distance."""
    t, h = np.linspace(first, last, nodes, retstep=True)
    return t + shift * h, float(h)


def _finite_nodes(a: float, b: float, nodes: int, shift: float) -> tuple[FloatArray, FloatArray]:
    """x = a + (b − a) / (1 + exp(−π sinh t)), evaluated from the nearer end so that 0 is approached to 1e-300."""
    length = b - a
    near_a, near_b = _closest(a, length), _closest(b, length)
    first = np.arcsinh(np.log(near_a / length) / np.pi)
    last = -np.arcsinh(np.log(near_b / length) / np.pi)
    t, h = _steps(first, last, nodes, shift)
    inner = np.pi * np.sinh(t)
    x = np.where(t < 0.0, a + length * expit(inner), b - length * expit(-inner))
    log_slope = -np.logaddexp(0.0, -inner) - np.logaddexp(0.0, inner) + np.log(np.pi * np.cosh(t))
    return x, log_slope + np.log(h * length)


def _half_line_nodes(end: float, sign: float, nodes: int, scale: float, shift: float) -> tuple[FloatArray, FloatArray]:
    """x = end ± scale · exp(π/2 sinh t)."""
    near = max(_closest(end, scale), 1e-300)
    first, last = np.arcsinh(np.log(near / scale) * 2.0 / np.pi), np.arcsinh(np.log(_REACH) * 2.0 / np.pi)
    t, h = _steps(first, last, nodes, shift)
    inner = 0.5 * np.pi * np.sinh(t)
    return end + sign * scale * np.exp(inner), inner + np.log(0.5 * np.pi * np.cosh(t)) + np.log(h * scale)


def _half_width(reach: float) -> tuple[float, float]:
    width = float(np.arcsinh(2.0 * reach / np.pi))
    return -width, width


def _closest(end: float, length: float) -> float:
    """The distance from an end at which its own rounding does not yet matter."""
    return max(4.0 * float(np.spacing(abs(end))), 1e-300 * max(length, 1.0))


def _check_interval(support: tuple[float, float], nodes: int, centre: float, scale: float) -> None:
    a, b = support
    if not (isinstance(a, (int, float, np.number)) and isinstance(b, (int, float, np.number)) and a < b):
        raise InvalidInput(f"FromStatistic: the interval is {support}; its ends must be numbers a < b")
    if isinstance(nodes, bool) or not isinstance(nodes, (int, np.integer)) or nodes < 32:
        raise InvalidInput(f"FromStatistic: nodes is {nodes!r}; it must be an integer, at least 32")
    if not (np.isfinite(centre) and np.isfinite(scale) and scale > 0.0):
        raise InvalidInput(f"FromStatistic: centre is {centre}, scale {scale}; they must be finite, scale positive")


def _checked_grid(support: ArrayLike) -> FloatArray:
    try:
        grid = np.array(support, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"FromStatistic: support must be an interval or an array of points: {problem}") from None
    if grid.ndim != 1 or not grid.size or not np.all(np.isfinite(grid)) or len(np.unique(grid)) < len(grid):
        raise InvalidInput("FromStatistic: a grid must be a one-dimensional array of finite, distinct points")
    return np.sort(grid)
