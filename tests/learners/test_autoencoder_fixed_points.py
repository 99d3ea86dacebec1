"""Where the conditional auto-encoder is idempotent: on its own law, if the encoder is the posterior of the decoder."""

import numpy as np
import pytest

from expfam_game.learners.networks import BinaryCodes, GaussianCodes, Network
from expfam_game.learners.objectives import Rows, decoder_gradients, elbo_gradients, encoder_gradients

TABLE = np.array([[2, 3], [1, 4]])
"""Ten rows by pixel and sign: the pixel's law is (.5, .5) and the sign's (.3, .7)."""


def linear_table(columns, sign_of):
    """A linear network without hidden layers whose log-odds of one are those of the table's columns."""
    network = Network([1, 1], 1, 1.0, np.random.default_rng(0), np.dtype(np.float64))
    low, high = np.log(columns[:, 1] / columns[:, 0])  # log-odds at the input's two values
    inputs = sign_of(np.array([0.0, 1.0]))
    slope = (high - low) / (inputs[1] - inputs[0])
    network.parameters = [np.array([[low - slope * inputs[0]]]), np.array([[slope]])]
    return network


def test_T12_both_players_stay_at_a_coupling():
    """On a joint law of pixel and sign whose conditionals they are, neither has a gradient: a refit changes nothing."""
    x, z = (np.repeat(index, TABLE.ravel()) for index in np.indices(TABLE.shape).reshape(2, -1))
    signs = 2.0 * z[:, None] - 1
    decoder = linear_table(TABLE.T, lambda bit: 2 * bit - 1)
    encoder = linear_table(TABLE, lambda bit: 2 * bit - 1)
    batch = Rows(x[:, None].astype(float), None, np.zeros(10, dtype=int), np.full(10, 0.1))
    codes = BinaryCodes(1)

    def sizes():
        players = decoder_gradients(decoder, batch, signs)[1], encoder_gradients(encoder, codes, batch, signs)[1]
        return [max(np.abs(gradient).max() for gradient in gradients) for gradients in players]

    assert max(sizes()) < 1e-15
    for network in (decoder, encoder):
        network.parameters[1] += 0.1
    assert min(sizes()) > 1e-3


@pytest.mark.parametrize("frequencies", [(1, 2), (3, 1), (2, 2)])
def test_the_lower_bound_stays_where_the_encoder_is_the_posterior(frequencies):
    """A decoder that ignores codes and an encoder that knows nothing of images, on the law of that decoder.

    All pairs of pixels with their frequencies in quarters, and draws of the code in pairs of opposite signs.
    """
    ones = np.array([[k < frequency for k in range(4)] for frequency in frequencies], dtype=float)
    x = np.array([[a, b] for a in ones[0] for b in ones[1]])
    x = np.concatenate([x, x])
    noise = np.random.default_rng(0).normal(size=(16, 3))
    noise = np.concatenate([noise, -noise])
    codes, rng, kind = GaussianCodes(3), np.random.default_rng(1), np.dtype(np.float64)
    encoder, decoder = Network([2, 4, 6], 1, 5.0, rng, kind), Network([3, 2], 1, 1.0, rng, kind)
    encoder.parameters[-2][:] = 0.0
    p = np.array(frequencies) / 4
    decoder.parameters[:] = np.log(p / (1 - p))[None], np.zeros((3, 2))
    batch = Rows(x, None, np.zeros(32, dtype=int), np.full(32, 1 / 32))
    elbo, *gradients = elbo_gradients(encoder, decoder, codes, batch, noise)
    exact = (p * np.log(p) + (1 - p) * np.log1p(-p)).sum()
    assert elbo.mean() == pytest.approx(exact, rel=1e-12)  # no gap to the likelihood
    assert max(np.abs(gradient).max() for player in gradients for gradient in player) < 1e-15
