"""Which agents with different statistics are driven to the boundary of their mean space, where no equilibrium is (T2, T10).

If all agents share a statistic, T2 knows the limit R m beforehand. Here only play shows it: the targets t_i come ever nearer
to the boundary, and the natural parameters grow without end while residuals and regrets vanish.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from expfam_game._typing import FloatArray
from expfam_game.errors import BoundaryEquilibrium, ToleranceNotReached

if TYPE_CHECKING:
    from expfam_game.game.heterogeneous import HeterogeneousGame

NEAR = 1e-6
"""A mean is near the boundary if it leaves the mean space when this share of its way from the reference mean is added."""

ADVICE = "give the game a pseudo_count (HeterogeneousGame(..., pseudo_count=1); beside means= also counts=)"
"""What makes an equilibrium exist: data that is not on the boundary."""


def agents_near_the_boundary(game: HeterogeneousGame, parts: Sequence[FloatArray]) -> tuple[int, ...]:
    """The agents whose best response to the profile is on the boundary of the mean space, or all but on it."""
    try:
        targets = game._targets(parts)
    except ToleranceNotReached:  # mass beyond the points that stand for the space
        return ()
    outward = [_beyond(game, agent, target) for agent, target in enumerate(targets)]
    return tuple(
        agent for agent, (family, mean) in enumerate(zip(game.families, outward)) if not family.in_mean_space(mean)
    )


def _beyond(game: HeterogeneousGame, agent: int, mean: FloatArray) -> FloatArray:
    return mean + NEAR * (mean - game.families[agent].reference_mean())


def boundary_equilibrium(game: HeterogeneousGame, parts: Sequence[FloatArray]) -> BoundaryEquilibrium:
    """The error for play that ends on the boundary, with the agents and statistics concerned."""
    agents = agents_near_the_boundary(game, parts)
    names: list[str] = []
    for agent in agents:
        family = game.families[agent]
        outside = family.mean_violations(_beyond(game, agent, game._targets(parts)[agent]))
        names += [name for name, bad in zip(family.statistic_names, outside) if bad]
    statistics = tuple(dict.fromkeys(names))
    whom = (
        f"agent{'s' if len(agents) != 1 else ''} {', '.join(map(str, agents[:10]))}{' …' if len(agents) > 10 else ''}"
    )
    what = f" in {', '.join(statistics[:10])}{' …' if len(statistics) > 10 else ''}" if statistics else ""
    others = "" if game.uniqueness().guaranteed else " There may be an equilibrium elsewhere: try another start."
    return BoundaryEquilibrium(
        f"play runs to the boundary of the mean space of {whom}{what}, to the precision of float64: natural parameters grow "
        f"without end, and no equilibrium exists there (T1). To have one, {ADVICE}, or drop these statistics.{others}",
        agents,
        statistics,
    )
