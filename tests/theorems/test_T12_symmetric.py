"""T12: alternating best response of decoder and encoder is iterative proportional fitting; equilibria are not unique."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize

import expfam_game as eg
from expfam_game.game import symmetric_play

DATA, PRIOR = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.4])
START = np.array([[3.0, 1.0], [1.0, 1.0], [0.5, 4.0]])


def _i_projection(start, data, prior):
    """The coupling J minimising KL(J ‖ J₀) over the free entries of the table; J₀ has the rows of start, data mass."""
    reference = data[:, None] * start / start.sum(axis=1, keepdims=True)

    def table(free):
        top = np.c_[free.reshape(2, 1), data[:2] - free]
        return np.vstack([top, prior - top.sum(axis=0)])

    def divergence(free):
        joint = table(free)
        return np.inf if joint.min() <= 0 else np.sum(joint * np.log(joint / reference))

    first = (data[:, None] * prior)[:2, 0]
    best = minimize(divergence, first, method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-15, "maxiter": 4000})
    return table(best.x)


def test_T12_play_ends_at_the_i_projection_of_the_start():
    played = symmetric_play(START, DATA, PRIOR)
    assert played.converged
    np.testing.assert_allclose(played.joint, _i_projection(START, DATA, PRIOR), atol=1e-7)


def test_T12_a_two_by_two_table_has_a_closed_form():
    """The odds ratio is kept by every best response, and with the marginals it fixes a 2×2 table."""
    played = symmetric_play([[3.0, 1.0], [1.0, 2.0]], [0.3, 0.7], [0.4, 0.6])

    def log_odds(corner):
        return np.log(corner * (0.3 + corner) / ((0.3 - corner) * (0.4 - corner)))

    corner = brentq(lambda c: log_odds(c) - np.log(6.0), 1e-12, 0.3 - 1e-12, xtol=1e-15)
    np.testing.assert_allclose(played.joint, [[corner, 0.3 - corner], [0.4 - corner, 0.3 + corner]], atol=1e-11)


@given(
    entries=st.lists(st.floats(0.01, 1.0), min_size=6, max_size=6),
    rows=st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3),
    columns=st.lists(st.floats(0.05, 1.0), min_size=2, max_size=2),
)
@settings(max_examples=60, deadline=None)
def test_T12_every_coupling_is_an_equilibrium_and_play_only_rescales_rows_and_columns(entries, rows, columns):
    start = np.array(entries).reshape(3, 2)
    data, prior = np.array(rows) / sum(rows), np.array(columns) / sum(columns)
    played = symmetric_play(start, data, prior)
    np.testing.assert_allclose(played.joint.sum(axis=0), prior, rtol=1e-12)
    np.testing.assert_allclose(played.joint.sum(axis=1), data, atol=1e-11)
    # a coupling stays where it is
    again = symmetric_play(played.joint, data, prior)
    np.testing.assert_allclose(again.joint, played.joint, atol=1e-11)
    # odds ratios are those of the start
    cross = np.log(start[:-1, 0] * start[1:, 1] / (start[:-1, 1] * start[1:, 0]))
    kept = played.joint
    np.testing.assert_allclose(np.log(kept[:-1, 0] * kept[1:, 1] / (kept[:-1, 1] * kept[1:, 0])), cross, atol=1e-7)


def test_T12_uniqueness_must_not_be_asserted():
    """Independence and two other couplings, all with zero regret for both agents."""
    found = []
    for power in (0.0, 1.0, 2.0):
        played = symmetric_play(START**power, DATA, PRIOR)
        joint = played.joint
        decoder = DATA[:, None] * played.encoder
        encoder = PRIOR * played.decoder
        np.testing.assert_allclose(decoder / decoder.sum(axis=0), played.decoder, atol=1e-11)
        np.testing.assert_allclose(encoder / encoder.sum(axis=1, keepdims=True), played.encoder, atol=1e-11)
        found.append(joint)
    assert min(np.abs(found[i] - found[j]).max() for i in range(3) for j in range(i)) > 0.02
    np.testing.assert_allclose(found[0], DATA[:, None] * PRIOR, atol=1e-14)


def test_T12_zeros_stay_and_empty_rows_are_allowed_where_there_is_no_mass():
    played = symmetric_play([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [0.3, 0.7, 0.0], [0.5, 0.5])
    np.testing.assert_allclose(played.joint, [[0.3, 0.0], [0.2, 0.5], [0.0, 0.0]], atol=1e-11)
    assert played.encoder[2].sum() == 0


def test_T12_a_start_whose_zeros_exclude_every_coupling_does_not_converge():
    played = symmetric_play([[1.0, 0.0], [0.0, 1.0]], [0.3, 0.7], [0.5, 0.5], max_steps=50)
    assert not played.converged
    assert played.marginal_error > 0.3
    assert played.steps == 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": [1.0, 2.0]}, "start must be a non-negative table"),
        ({"start": [[1.0, -1.0], [1.0, 1.0]]}, "non-negative"),
        ({"start": [["x"]]}, "real numbers"),
        ({"data": [0.5, 0.6]}, "data must be 2 probabilities"),
        ({"prior": [1.0]}, "prior must be 2 probabilities"),
        ({"start": [[0.0, 0.0], [1.0, 1.0]]}, "row 0 of start is zero"),
        ({"start": [[1.0, 0.0], [1.0, 0.0]]}, "column 1 of start is zero"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_T12_bad_arguments_are_named(change, message):
    given_ = {"start": [[1.0, 1.0], [1.0, 1.0]], "data": [0.5, 0.5], "prior": [0.5, 0.5]}
    with pytest.raises(eg.errors.InvalidInput, match=message):
        symmetric_play(**{**given_, **change})
