"""C5: an upper bound, in nats, for what each agent can gain by deviating from the profile θ.

With t the mean of the best response and g = t − μ(θ), the regret KL(p_t ‖ p_θ) is the Bregman divergence of A* (T1):

    regret = ∫₀¹ (1 − s) gᵀ F(θ_s)⁻¹ g ds ≤ ½ max gᵀ F⁻¹ g,   θ_s the natural parameter of μ(θ) + s g,

and C4 proves that every θ_s lies in its box; so F ranges over F(box), enclosed in ball arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx
from scipy import sparse

from expfam_game._typing import FloatArray
from expfam_game.certificates import balls
from expfam_game.certificates.rounding import Arithmetic, ball, enclose, up
from expfam_game.errors import ExpfamGameError
from expfam_game.families.base import Family
from expfam_game.kernels.agent_blocks import matrix_rows, row_blocks


def improvement(
    alpha: sparse.csr_array,
    means: FloatArray,
    image_box: tuple[FloatArray, FloatArray],
    arithmetic: Arithmetic,
    precision: int,
) -> tuple[FloatArray, FloatArray]:
    """A box around g = D m + B μ(θ) − μ(θ), from a box around μ(θ)."""
    lower, _ = enclose(alpha, means, image_box[0], image_box[1], arithmetic, precision)
    _, upper = enclose(alpha, means, image_box[1], image_box[0], arithmetic, precision)
    return lower, upper


def regret_bound(
    family: Family, box: tuple[FloatArray, FloatArray], gap: tuple[FloatArray, FloatArray], precision: int
) -> FloatArray:
    """½ max gᵀ F(box)⁻¹ g for each agent, rounded up; infinite where F(box) is not proved to be invertible."""
    parts = balls.blocks(family)
    result = np.empty(box[0].shape[0])
    with ctx.workprec(precision):
        for agent, rows in enumerate(zip(*(array.tolist() for array in (*box, *gap)))):
            terms = [_block_bound(block, *([row[k] for k in entries] for row in rows)) for entries, block in parts]
            result[agent] = up(sum(terms, arb(0)))
    return result


def _block_bound(family: Family, low: list[float], high: list[float], gap_low: Any, gap_high: Any) -> Any:
    """½ max gᵀ F(box)⁻¹ g for one block, as a ball of which the upper end counts."""
    fisher = balls.fisher(family, [ball(a, b) for a, b in zip(low, high)])
    g = [ball(a, b) for a, b in zip(gap_low, gap_high)]
    if len(g) == 1:
        most, least = arb(g[0].abs_upper()), arb(fisher[0][0].lower())
        return most * most / (2 * least) if least > 0 else arb.pos_inf()
    column = arb_mat([[value] for value in g])
    try:
        form = column.transpose() * (arb_mat(fisher).inv() * column)
    except ZeroDivisionError:
        return arb.pos_inf()
    return form[0, 0].nonnegative_part() / 2


def float_regret(
    family: Family, alpha: sparse.csr_array, means: FloatArray, natural: FloatArray, image: FloatArray
) -> FloatArray:
    """The regret by the family's own float methods, a block of agents at a time: not a bound that is proved.

    ``image`` is μ(θ), in floats too.
    """
    trust = alpha.diagonal()

    def regret(rows: slice) -> FloatArray:
        best = trust[rows, None] * (means[rows] - image[rows]) + matrix_rows(alpha, rows) @ image
        return family.kl(family.to_natural(best), natural[rows])

    try:
        return np.concatenate([regret(rows) for rows in row_blocks(*natural.shape)])
    except ExpfamGameError:  # it counts agents from the first one of a block: once more, so that it names the agent
        regret(slice(0, len(natural)))
        raise
