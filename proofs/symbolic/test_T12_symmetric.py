"""T12: decoder and encoder on 2×2 tables."""

import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero

a, b, c, d = sp.symbols("a b c d", positive=True)
x, z = sp.symbols("x z", positive=True)  # data = (x, 1 − x), prior = (z, 1 − z)
DATA, PRIOR = (x, 1 - x), (z, 1 - z)


def decoder_answers(joint):
    """prior(z) times the decoder p(x | z) ∝ data(x) q(z | x), where ``joint`` is data(x) q(z | x)."""
    return sp.Matrix(2, 2, lambda i, k: PRIOR[k] * joint[i, k] / (joint[0, k] + joint[1, k]))


def encoder_answers(joint):
    """data(x) times the encoder q(z | x) ∝ prior(z) p(x | z)."""
    return sp.Matrix(2, 2, lambda i, k: DATA[i] * joint[i, k] / (joint[i, 0] + joint[i, 1]))


def odds(joint):
    return joint[0, 0] * joint[1, 1] / (joint[0, 1] * joint[1, 0])


def test_T12_the_decoders_best_response_maximises_its_likelihood():
    """∂/∂p of Σ_x w_x log p(x|z) + λ(1 − Σ p) vanishes at p = w/Σw: maximum likelihood on the encoder's completions."""
    w, p, multiplier = sp.symbols("w0 w1", positive=True), sp.symbols("p0 p1", positive=True), sp.Symbol("lambda")
    utility = sum(wi * sp.log(pi) for wi, pi in zip(w, p, strict=True)) + multiplier * (1 - sum(p))
    best = {pi: wi / sum(w) for wi, pi in zip(w, p, strict=True)} | {multiplier: sum(w)}
    assert is_zero([sp.diff(utility, pi).subs(best) for pi in p])


def test_T12_best_responses_scale_rows_and_columns_and_keep_the_odds_ratio():
    """They are the two half-steps of iterative proportional fitting, so all play from one start has one odds ratio."""
    joint = sp.Matrix([[a, b], [c, d]])
    for answer in (decoder_answers, encoder_answers):
        assert is_zero(odds(answer(joint)) - odds(joint))
    columns = decoder_answers(joint)
    assert is_zero([columns[0, k] + columns[1, k] - PRIOR[k] for k in (0, 1)])
    rows = encoder_answers(joint)
    assert is_zero([rows[i, 0] + rows[i, 1] - DATA[i] for i in (0, 1)])


def test_T12_every_coupling_is_an_equilibrium():
    """A one-parameter family of tables with the right marginals; neither answer changes any of them."""
    t = sp.Symbol("t", real=True)
    coupling = sp.Matrix([[t, x - t], [z - t, 1 - x - z + t]])
    assert is_zero(decoder_answers(coupling) - coupling)
    assert is_zero(encoder_answers(coupling) - coupling)
    assert not is_zero(sp.diff(coupling, t))


def test_T12_the_limit_is_the_i_projection():
    """Among couplings with entry t, d/dt KL(J_t ‖ J_0) = log odds(J_t) − log odds(J_0): zero where the odds ratio is kept."""
    t = sp.Symbol("t", positive=True)
    coupling = [t, x - t, z - t, 1 - x - z + t]
    start = [a, b, c, d]
    divergence = sum(p * (sp.log(p) - sp.log(q)) for p, q in zip(coupling, start, strict=True))
    slope = sp.diff(divergence, t)
    expected = sum(sign * (sp.log(p) - sp.log(q)) for sign, p, q in zip((1, -1, -1, 1), coupling, start, strict=True))
    assert is_zero(sp.simplify(slope - expected))
    curvature = sp.diff(divergence, t, 2)
    assert is_zero(sp.simplify(curvature - sum(1 / p for p in coupling)))  # strictly convex: one minimiser


def test_T12_the_rate_is_the_squared_correlation_of_the_limit():
    """Linearised at a coupling, a pair of answers shrinks the deviation by the squared correlation of x and z."""
    s, t = sp.symbols("s t", positive=True)
    coupling = sp.Matrix([[t, x - t], [z - t, 1 - x - z + t]])
    # a deviation along the odds-keeping direction: scale row 0 by 1 + s, then back onto the row marginals
    moved = sp.Matrix(2, 2, lambda i, k: coupling[i, k] * (1 + s if i == 0 else 1))
    after = encoder_answers(decoder_answers(moved))
    half = decoder_answers(moved)
    row_before = sp.diff(half[0, 0] + half[0, 1], s).subs(s, 0)
    half_after = decoder_answers(after)
    row_after = sp.diff(half_after[0, 0] + half_after[0, 1], s).subs(s, 0)
    correlation = (t - x * z) ** 2 / (x * (1 - x) * z * (1 - z))
    assert is_zero(sp.simplify(row_after / row_before - correlation))


def test_T12_the_package_ends_at_the_coupling_with_the_odds_ratio_of_the_start():
    """data = prior = (1/2, 1/2) and odds ratio 16: the joint is (2, 1/2; 1/2, 2)/5, exactly."""
    played = eg.game.symmetric_play([[8.0, 1.0], [2.0, 4.0]], [0.5, 0.5], [0.5, 0.5], tolerance=1e-15)
    assert_close(played.joint, sp.Matrix([[4, 1], [1, 4]]) / 10, 1e-13)
