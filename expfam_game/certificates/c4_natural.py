"""C4: a box in natural parameters that contains the profile θ, everybody's best response to it and the equilibrium θ*.

The box of an agent must hold a θ' with μ(θ') = t for every t in the target, the smallest box in mean parameters that
contains the C3 box, the best response D m + B μ(θ) and μ(θ) itself. A coordinate that is independent of the others
has an increasing mean map, so the two ends of its interval decide. Otherwise the Krawczyk operator

    K = θ − Y (μ(θ) − target) + (I − Y F(box)) (box − θ),   Y close to F(θ)⁻¹,

must map the box into its interior (R. Krawczyk, Computing 4 (1969); A. Neumaier, Interval Methods, 1990, §5.2). Either
way the equilibrium is proved to exist: all of its means lie inside the mean space.

Krawczyk's test succeeds where the means in doubles determine the natural parameters well. For a profile solved to
rounding that is, among others: Gamma shapes, Beta and Dirichlet concentrations up to 1e8, von Mises concentrations up
to 1e6, Gaussian means up to 1e3 standard deviations, inverse Gaussian λ/m up to 1e9, category probabilities (the last
one included) down to 1e-13, couplings of a triangle of Ising spins up to 3.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx
from scipy import sparse

from expfam_game._typing import BoolArray, FloatArray
from expfam_game.certificates import balls
from expfam_game.certificates.rounding import Arithmetic, ball, down, enclose, enclose_responses, up
from expfam_game.errors import ExpfamGameError
from expfam_game.families.base import Family
from expfam_game.kernels.agent_blocks import row_blocks


def image(family: Family, natural: FloatArray, precision: int) -> tuple[FloatArray, FloatArray]:
    """Floats below and above μ(θ), infinite where θ is not in the natural parameter space."""
    lower, upper = np.empty(natural.shape), np.empty(natural.shape)
    parts = balls.blocks(family)
    with ctx.workprec(precision):
        for agent, row in enumerate(natural.tolist()):
            for entries, block in parts:
                values = balls.mean_map(block, [arb(row[k]) for k in entries])
                lower[agent, entries] = [down(value) for value in values]
                upper[agent, entries] = [up(value) for value in values]
    return lower, upper


def target(
    alpha: sparse.csr_array,
    means: FloatArray,
    mean_box: tuple[FloatArray, FloatArray],
    image_box: tuple[FloatArray, FloatArray],
    arithmetic: Arithmetic,
    precision: int,
) -> tuple[FloatArray, FloatArray]:
    """The box in mean parameters whose preimage C4 encloses."""
    zero = np.zeros_like(means)
    lower, _ = enclose(alpha, means, image_box[0], zero, arithmetic, precision)
    _, upper = enclose(alpha, means, image_box[1], zero, arithmetic, precision)
    return _hull(mean_box, image_box, (lower, upper))


def _hull(*boxes: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """The smallest box that contains all of them."""
    lower, upper = zip(*boxes)
    return reduce(np.minimum, lower), reduce(np.maximum, upper)


def is_enclosed(
    family: Family,
    natural: FloatArray,
    box: tuple[FloatArray, FloatArray],
    target_box: tuple[FloatArray, FloatArray],
    precision: int,
) -> BoolArray:
    """For each agent, whether its box is proved to be what C4 says."""
    parts = balls.blocks(family)
    arrays = (natural, *box, *target_box)
    result = np.zeros(natural.shape[0], dtype=bool)
    with ctx.workprec(precision):
        for agent, rows in enumerate(zip(*(array.tolist() for array in arrays))):
            result[agent] = all(
                block_is_enclosed(block, *([row[k] for k in entries] for row in rows)) for entries, block in parts
            )
    return result


def block_is_enclosed(
    family: Family, natural: list[float], low: list[float], high: list[float], target_low: Any, target_high: Any
) -> bool:
    """The same for one block of one agent, at the current precision."""
    if not all(a <= theta <= b for a, theta, b in zip(low, natural, high)):
        return False
    if len(natural) == 1:
        below, above = balls.mean_map(family, [arb(low[0])])[0], balls.mean_map(family, [arb(high[0])])[0]
        return bool(below <= arb(target_low[0]) and above >= arb(target_high[0]))
    ends = krawczyk(family, natural, low, high, target_low, target_high)
    return all(a < end and end < b for a, end, b in zip(map(arb, low), ends, map(arb, high)))


def krawczyk(
    family: Family, natural: list[float], low: list[float], high: list[float], target_low: Any, target_high: Any
) -> list[Any]:
    """The Krawczyk operator applied to the box [low, high]; not finite where F(θ) is not proved to be invertible."""
    centre = [arb(value) for value in natural]
    box = [ball(a, b) for a, b in zip(low, high)]
    gap = [value - ball(a, b) for value, a, b in zip(balls.mean_map(family, centre), target_low, target_high)]
    try:
        y = arb_mat(balls.fisher(family, centre)).inv().mid()
    except ZeroDivisionError:
        return [arb.nan()] * len(natural)
    one = arb_mat(len(natural), len(natural), 1)
    slope = one - y * arb_mat(balls.fisher(family, box))
    step = slope * arb_mat([[x - c] for x, c in zip(box, centre)]) - y * arb_mat([[value] for value in gap])
    return [c + step[k, 0] for k, c in enumerate(centre)]


# ---------------------------------------------------------------------- making the claim (not used by the checker)

_ROUNDS = 16


def find_box(
    family: Family, natural: FloatArray, target_box: tuple[FloatArray, FloatArray], precision: int
) -> tuple[FloatArray, FloatArray] | None:
    """Boxes that :func:`is_enclosed` accepts, by ε-inflation; None if some agent has none."""
    start = float_box(family, natural, target_box)
    if start is None:
        return None
    lower, upper = start
    parts = balls.blocks(family)
    arrays = (natural, lower, upper, *target_box)
    with ctx.workprec(precision):
        for agent, rows in enumerate(zip(*(array.tolist() for array in arrays))):
            for entries, block in parts:
                found = _inflate(block, *([row[k] for k in entries] for row in rows))
                if found is None:
                    return None
                lower[agent, entries], upper[agent, entries] = found
    return lower, upper


def _inflate(
    family: Family, natural: list[float], low: list[float], high: list[float], target_low: Any, target_high: Any
) -> tuple[list[float], list[float]] | None:
    for attempt in range(_ROUNDS):
        low, high = _widened(natural, low, high, 2.0 ** (3 * attempt - 50))
        if not np.all(np.isfinite([low, high])):
            return None
        if block_is_enclosed(family, natural, low, high, target_low, target_high):
            return low, high
        if len(natural) > 1:
            ends = krawczyk(family, natural, low, high, target_low, target_high)
            low = [min(a, down(end)) if end.is_finite() else a for a, end in zip(low, ends)]
            high = [max(b, up(end)) if end.is_finite() else b for b, end in zip(high, ends)]
    return None


def _widened(natural: list[float], low: list[float], high: list[float], step: float) -> tuple[list[float], list[float]]:
    """The box grown by a tenth and by ``step`` relative to θ, always with θ inside."""
    margin = [0.05 * (b - a) + step * (abs(theta) + 1e-300) for theta, a, b in zip(natural, low, high)]
    below = [min(theta, a) - more for theta, a, more in zip(natural, low, margin)]
    return below, [max(theta, b) + more for theta, b, more in zip(natural, high, margin)]


def float_boxes(
    family: Family,
    alpha: sparse.csr_array,
    means: FloatArray,
    natural: FloatArray,
    image: FloatArray,
    mean_box: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray] | None:
    """The box of C4 by the family's own float methods, a block of agents at a time, not proved; None where there is none.

    ``image`` is μ(θ), in floats too.
    """
    lower, upper = np.empty_like(natural), np.empty_like(natural)
    try:
        for rows in row_blocks(*natural.shape):
            found = float_box(family, natural[rows], _float_target(alpha, means, image, mean_box, rows))
            if found is None:
                return None
            lower[rows], upper[rows] = found
    except ExpfamGameError:  # it counts agents from the first one of a block: once more, so that it names the agent
        float_box(family, natural, _float_target(alpha, means, image, mean_box, slice(None)))
        raise
    return lower, upper


def _float_target(
    alpha: sparse.csr_array,
    means: FloatArray,
    image: FloatArray,
    mean_box: tuple[FloatArray, FloatArray],
    rows: slice,
) -> tuple[FloatArray, FloatArray]:
    """What :func:`target` encloses, with μ(θ) in floats, of some agents."""
    best = enclose_responses(alpha, means, image, rows)
    return _hull((mean_box[0][rows], mean_box[1][rows]), (image[rows], image[rows]), best)


def float_box(
    family: Family, natural: FloatArray, target_box: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray] | None:
    """A box by the family's own float methods, not proved: ends for a separable family, else first order, doubled.

    None where the target reaches the boundary of the mean space, or θ is so far off that the first order is meaningless.
    """
    if family.separable:
        return _box_from_ends(family, natural, target_box)
    lower, upper = np.empty_like(natural), np.empty_like(natural)
    size = max(1, (1 << 22) // family.dim**2)
    for first in range(0, len(natural), size):
        rows = slice(first, first + size)
        theta = natural[rows]
        centre = family.to_mean(theta)
        gap = np.maximum(np.abs(target_box[0][rows] - centre), np.abs(target_box[1][rows] - centre))
        try:
            inverse = np.linalg.inv(family.fisher_information(theta))
        except np.linalg.LinAlgError:
            return None
        radius = 2.0 * np.einsum("nij,nj->ni", np.abs(inverse), gap) + 2.0**-50 * np.abs(theta)
        lower[rows], upper[rows] = theta - radius, theta + radius
    return (lower, upper) if np.all(np.isfinite(lower) & np.isfinite(upper)) else None


def _box_from_ends(
    family: Family, natural: FloatArray, target_box: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray] | None:
    if not all(np.all(family.in_mean_space(end)) for end in target_box):
        return None
    low, high = family.to_natural(target_box[0]), family.to_natural(target_box[1])
    return np.minimum(low, natural), np.maximum(high, natural)
