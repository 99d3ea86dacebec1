"""The averages m_i of agents with different statistics, from their data or as given, checked."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from expfam_game._typing import ArrayLike, FloatArray, IntArray
from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter
from expfam_game.families.base import Family
from expfam_game.game.game import _moved_inwards, _numbers, _streamed_mean
from expfam_game.game.weights import Weights

Means = list[FloatArray]


def own_means(
    families: Sequence[Family],
    weights: Weights,
    data: Sequence[Any] | None,
    means: Sequence[Any] | None,
    counts: ArrayLike | None,
    pseudo_count: float,
) -> tuple[Means, IntArray | None]:
    """Every agent's m_i, zero for agents without data, and the sample sizes where they are known."""
    if (data is None) == (means is None):
        both = "not both" if data is not None else "got neither"
        raise InvalidInput(f"give either data= or means=, each with one item per agent; {both}")
    raw: Means
    sizes: IntArray | None
    if data is not None:
        raw, sizes = _from_data(families, weights, _one_each(data, "data", len(families)))
    else:
        raw, sizes = _from_means(families, weights, _one_each(means, "means", len(families)), counts)
    return _with_pseudo_count(families, raw, sizes, pseudo_count), sizes


def _one_each(items: Any, what: str, n_agents: int) -> Any:
    if isinstance(items, str) or not hasattr(items, "__len__"):
        raise InvalidInput(f"{what} must be a list with one item per agent, got {type(items).__name__}")
    if len(items) != n_agents:
        raise InvalidInput(f"{what} has {len(items)} items, but there are {n_agents} agents")
    return items


def _from_data(families: Sequence[Family], weights: Weights, items: Any) -> tuple[Means, IntArray]:
    means, sizes = [], np.zeros(len(families), dtype=np.int64)
    for agent, (family, samples) in enumerate(zip(families, items)):
        mean = np.zeros(family.dim)
        if samples is not None:
            mean, sizes[agent] = _streamed_mean(family, samples, agent)
        if sizes[agent] == 0:
            _require_no_trust(weights, agent, "has no data")
        means.append(mean)
    return means, sizes


def _from_means(
    families: Sequence[Family], weights: Weights, items: Any, counts: ArrayLike | None
) -> tuple[Means, IntArray | None]:
    means = [_one_mean(family, weights, item, agent) for agent, (family, item) in enumerate(zip(families, items))]
    if counts is None:
        return means, None
    sizes = _numbers(counts, "counts")
    if sizes.shape != (len(families),) or not np.all((sizes >= 0) & (sizes == np.floor(sizes)) & (sizes < np.inf)):
        raise InvalidInput(f"counts must be {len(families)} non-negative integers, got {sizes!r}")
    for agent in map(int, np.flatnonzero(sizes == 0)):
        _require_no_trust(weights, agent, "has no data (its count is zero)")
    return means, sizes.astype(np.int64)


def _one_mean(family: Family, weights: Weights, item: Any, agent: int) -> FloatArray:
    mean = np.full(family.dim, np.nan) if item is None else _numbers(item, f"the mean of agent {agent}").copy()
    if mean.ndim == 1 and np.isnan(mean[family.dim :]).all():
        mean = mean[: family.dim]  # a row of a padded array
    if mean.shape != (family.dim,):
        hint = "; give one list for each agent, such as means=[[1.0], [3.0]]" if mean.ndim == 0 else ""
        raise InvalidMeanParameter(
            f"means: agent {agent} has {family.dim} statistic{'s' if family.dim > 1 else ''}, but its mean has shape "
            f"{mean.shape}{hint}",
            agent=agent,
        )
    if np.isnan(mean).all():
        _require_no_trust(weights, agent, "has no mean")
        return np.zeros(family.dim)
    _require_closed_mean_space(family, mean, agent)
    return mean


def _require_no_trust(weights: Weights, agent: int, state: str) -> None:
    trust = weights.self_weights[agent]
    if trust > 0:
        raise InvalidData(
            f"agent {agent} {state}, but its self-weight is {trust:g}; give it data or set its self-weight to zero",
            agent=agent,
        )


def _require_closed_mean_space(family: Family, mean: FloatArray, agent: int) -> None:
    """A mean of data is in the closed mean space: moved inwards by a little more than rounding, it is inside."""
    try:
        family._checked_mean(_moved_inwards(family, mean.copy()))
    except InvalidMeanParameter as problem:
        raise InvalidMeanParameter(
            f"means: that of agent {agent}, {np.array2string(mean, threshold=8)}, is not the average of its statistic over "
            f"any data: {problem.rule}",
            agent=agent,
            entry=problem.entry,
            rule=problem.rule,
        ) from None


def _with_pseudo_count(families: Sequence[Family], means: Means, sizes: IntArray | None, pseudo_count: float) -> Means:
    if not isinstance(pseudo_count, Real) or not np.isfinite(pseudo_count) or pseudo_count < 0:
        raise InvalidInput(f"pseudo_count is {pseudo_count!r}; it must be finite and non-negative")
    if pseudo_count == 0:
        return means
    if sizes is None:
        raise InvalidInput("pseudo_count needs the sample sizes: give counts= beside means=")
    return [
        (n * mean + pseudo_count * family.reference_mean()) / (n + pseudo_count)
        for family, mean, n in zip(families, means, sizes)
    ]
