"""Product(factors): independent coordinates. φ, θ and μ are concatenated, A(θ) = Σ_i A_i(θ_i)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, BoolArray, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule
from expfam_game.kernels.streams import MOST_BRANCHES, StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

Where = slice | AnyArray
"""Positions on the last axis: a slice where they are contiguous (no copy), else an index array."""


@dataclass(frozen=True)
class _Group:
    """All copies of one factor: the family is called once on an array with an extra axis of length ``copies``."""

    family: Family
    copies: int
    entries: Where
    values: Where

    @property
    def size(self) -> int:
        return prod(self.family.event_shape)

    def take(self, theta: FloatArray) -> FloatArray:
        """``(..., dim of the product)`` to ``(..., copies, dim of the factor)``."""
        return theta[..., self.entries].reshape(*theta.shape[:-1], self.copies, self.family.dim)

    def take_values(self, x: AnyArray) -> AnyArray:
        """``(..., size of the product)`` to ``(..., copies, *event_shape of the factor)``."""
        return x[..., self.values].reshape(*x.shape[:-1], self.copies, *self.family.event_shape)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Product(Family):
    """Independent coordinates, each with a family of its own.

    A sample is the concatenation of the factors' samples, each flattened; natural and mean parameters and statistics are
    concatenated in the same order, A(θ) = Σ_i A_i(θ_i) and the Fisher information is block-diagonal. Products inside
    products are flattened. Equal factors are evaluated together, so ``Poisson() ** 10_000`` costs one vectorised call.
    The accuracy and the range of each coordinate are those of its factor.

    Parameters
    ----------
    factors : sequence of Family
        At least one. Integer and real coordinates may be mixed; samples are then float64.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Product([eg.families.Bernoulli(dim=2), eg.families.Poisson()])
    >>> family.to_mean([0.0, 0.0, 0.0])
    array([0.5, 0.5, 1. ])
    >>> eg.families.Bernoulli() ** 3
    Product([Bernoulli(dim=1)]*3)
    """

    factors: tuple[Family, ...]

    def __init__(self, factors: Sequence[Family]) -> None:
        flat: list[Family] = []
        for position, factor in enumerate(factors):
            if not isinstance(factor, Family):
                raise InvalidInput(f"Product: factor {position} is {factor!r}; every factor must be a Family")
            flat.extend(factor.factors if isinstance(factor, Product) else [factor])
        if not flat:
            raise InvalidInput("Product: there are no factors; at least 1 is needed")
        object.__setattr__(self, "factors", tuple(flat))

    def __repr__(self) -> str:
        runs = self._runs
        shown = " + ".join(f"[{family!r}]" + (f"*{k}" if k > 1 else "") for family, k in runs[:4])
        return f"Product({shown}{' + …' if len(runs) > 4 else ''})"

    def fingerprint(self) -> str:
        digest = hashlib.sha256(type(self).__name__.encode())
        for family, k in self._runs:
            digest.update(f"{family.fingerprint()}*{k};".encode())
        return digest.hexdigest()

    @cached_property
    def _labels(self) -> tuple[int, ...]:
        """For each factor, the number of the group it belongs to."""
        by_identity: dict[int, int] = {}
        by_value: dict[Family, int] = {}
        for factor in self.factors:
            if id(factor) not in by_identity:
                by_identity[id(factor)] = by_value.setdefault(factor, len(by_value))
        return tuple(by_identity[id(factor)] for factor in self.factors)

    @cached_property
    def _runs(self) -> list[tuple[Family, int]]:
        """Consecutive equal factors with their number."""
        cuts = [0, *(np.flatnonzero(np.diff(self._labels)) + 1).tolist(), len(self.factors)]
        return [(self.factors[a], b - a) for a, b in zip(cuts, cuts[1:])]

    @cached_property
    def _groups(self) -> tuple[_Group, ...]:
        labels = np.array(self._labels)
        entry_at = np.concatenate([[0], np.cumsum([factor.dim for factor in self.factors])])
        value_at = np.concatenate([[0], np.cumsum([prod(factor.event_shape) for factor in self.factors])])
        groups = []
        for label in range(labels.max() + 1):
            members = np.flatnonzero(labels == label)
            family = self.factors[members[0]]
            entries = _positions(entry_at[members], family.dim)
            values = _positions(value_at[members], prod(family.event_shape))
            groups.append(_Group(family, len(members), entries, values))
        return tuple(groups)

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """dim and the length of a sample."""
        copies = [(group.copies, group.family.dim, group.size) for group in self._groups]
        return sum(k * dim for k, dim, _ in copies), sum(k * size for k, _, size in copies)

    @property
    def dim(self) -> int:
        return self._sizes[0]

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self._sizes[1],)

    @cached_property
    def _all_separable(self) -> bool:
        return all(group.family.separable for group in self._groups)

    @property
    def separable(self) -> bool:
        return self._all_separable

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(f"[{k}] {name}" for k, factor in enumerate(self.factors) for name in factor.statistic_names)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return self._names

    # ------------------------------------------------------------------ rules

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        for group in self._groups:
            for holds, rule in group.family._natural_rules(group.take(theta)):
                yield _spread(holds, group.entries, (group.copies, group.family.dim), theta.shape), rule

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        for group in self._groups:
            for holds, rule in group.family._mean_rules(group.take(mu)):
                yield _spread(holds, group.entries, (group.copies, group.family.dim), mu.shape), rule

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        for group in self._groups:
            for holds, rule in group.family._support_rules(group.take_values(x)):
                yield _spread(holds, group.values, (group.copies, *group.family.event_shape), x.shape), rule

    # ------------------------------------------------------------------ sums over the factors

    def _total(self, part: Callable[[_Group], FloatArray]) -> FloatArray:
        return np.asarray(sum(part(group).sum(axis=-1) for group in self._groups))

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return self._total(lambda group: group.family._log_partition(group.take(theta)))

    def _log_base(self, x: AnyArray) -> FloatArray:
        return self._total(lambda group: group.family._log_base(group.take_values(x)))

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return self._total(lambda group: group.family._mean_log_base(group.take(theta)))

    def _entropy(self, theta: FloatArray) -> FloatArray:
        return self._total(lambda group: group.family._entropy(group.take(theta)))

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        return self._total(lambda group: group.family._kl(group.take(theta_a), group.take(theta_b)))

    # ------------------------------------------------------------------ concatenations over the factors

    def _join(self, lead: tuple[int, ...], part: Callable[[_Group], FloatArray]) -> FloatArray:
        result = np.empty((*lead, self.dim))
        for group in self._groups:
            result[..., group.entries] = part(group).reshape(*lead, group.copies * group.family.dim)
        return result

    def reference_mean(self) -> FloatArray:
        return self._join((), lambda group: np.tile(group.family.reference_mean(), group.copies))

    def _statistic(self, x: AnyArray) -> FloatArray:
        return self._join(x.shape[:-1], lambda group: group.family._statistic(group.take_values(x)))

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return self._join(theta.shape[:-1], lambda group: group.family._to_mean(group.take(theta)))

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return self._join(mu.shape[:-1], lambda group: group.family._to_natural(group.take(mu)))

    def _variance(self, theta: FloatArray) -> FloatArray:
        return self._join(theta.shape[:-1], lambda group: group.family._variance(group.take(theta)))

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        result = np.zeros((*theta.shape[:-1], self.dim, self.dim))
        everything = np.arange(self.dim)
        for group in self._groups:
            index = everything[group.entries].reshape(group.copies, group.family.dim)
            block = group.family._fisher_information(group.take(theta))
            result[..., index[:, :, None], index[:, None, :]] = block
        return result

    # ------------------------------------------------------------------ samples

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        parts = []
        for group in self._groups:
            x = group.family._sample(group.take(theta), n, rng)
            axis = theta.ndim - 1
            parts.append(np.moveaxis(x, axis, axis + 1).reshape(*theta.shape[:-1], n, group.copies * group.size))
        result = np.empty((*theta.shape[:-1], n, *self.event_shape), dtype=np.result_type(*parts))
        for group, part in zip(self._groups, parts):
            result[..., group.values] = part
        return result

    def _sample_statistic(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """φ of n samples for each θ, shape ``(..., n, dim)``; each factor may have a faster way than sampling first."""

        def part(group: _Group) -> FloatArray:
            phi = _sample_statistic(group.family, group.take(theta), n, rng)
            return np.moveaxis(phi, theta.ndim - 1, theta.ndim)

        return self._join((*theta.shape[:-1], n), part)

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        parts: dict[int, FloatArray] = {}
        for group in self._groups:
            part = group.family._sum_law(group.take(theta), n, rng)
            if part is None:
                return None
            parts[id(group)] = part
        return self._join(theta.shape[:-1], lambda group: parts[id(group)])

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        """Each group has a branch of the key, and the copies in a group are agents of their own: disjoint streams."""
        mean, scatter = np.empty_like(theta), np.empty_like(theta)
        if len(self._groups) > MOST_BRANCHES:
            return None
        for branch, group in enumerate(self._groups):
            rows = np.ascontiguousarray(group.take(theta).reshape(-1, group.family.dim))
            moments = group.family._fused_moments(rows, n, key.child(branch))
            if moments is None:
                return None
            mean[:, group.entries], scatter[:, group.entries] = (part.reshape(len(theta), -1) for part in moments)
        return mean, scatter

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        """The draws of all groups, each with a branch of the key and its copies side by side, in the order of the groups."""
        draws: list[Draw] = []
        if len(self._groups) > MOST_BRANCHES:
            return None
        for branch, group in enumerate(self._groups):
            rows = np.ascontiguousarray(group.take(theta).reshape(-1, group.family.dim))
            part = group.family._covariance_draws(rows)
            if part is None:
                return None
            draws.extend(draw._replace(branch=branch, copies=group.copies) for draw in part)
        return draws

    def _fused_covariance(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        moments = super()._fused_covariance(theta, n, key)
        if moments is None or self.dim == 1:
            return moments
        every = np.arange(self.dim)
        place = np.argsort(np.concatenate([every[group.entries] for group in self._groups]))
        return moments[0][:, place], moments[1][:, place[:, None], place]


def _sample_statistic(family: Family, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    if hasattr(family, "_sample_statistic"):
        return np.asarray(family._sample_statistic(theta, n, rng))
    return family._statistic(family._sample(theta, n, rng))


def _positions(starts: AnyArray, width: int) -> Where:
    index = (starts[:, None] + np.arange(width)).ravel()
    if index.size and np.all(np.diff(index) == 1):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def _spread(holds: BoolArray, where: Where, inner: tuple[int, ...], shape: tuple[int, ...]) -> BoolArray:
    """A factor's mask, over ``(..., copies)`` or finer, as a mask over the whole vector, True outside the factor."""
    holds = np.asarray(holds)
    batch = len(shape) - 1
    if holds.shape[batch + 1 :] != inner[1 : holds.ndim - batch]:
        holds = np.asarray(holds.all(axis=tuple(range(batch + 1, holds.ndim))))
    full = holds.reshape(*holds.shape, *(1,) * (batch + len(inner) - holds.ndim))
    result = np.ones(shape, dtype=bool)
    result[..., where] = np.broadcast_to(full, (*shape[:-1], *inner)).reshape(*shape[:-1], prod(inner))
    return result
