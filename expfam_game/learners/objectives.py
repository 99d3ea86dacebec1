"""What an auto-encoder climbs: the evidence lower bound, or the utilities of two players in symmetric learning (T12).

Each function returns its value for every row of a minibatch, and the gradients for descent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.learners.networks import BinaryCodes, GaussianCodes, Network, bernoulli_log_prob, sigmoid


@dataclass
class Rows:
    """Samples as the networks meet them.

    Attributes
    ----------
    x : ndarray, shape (n, D)
        Zeros and ones; zero where not observed.
    mask : ndarray or None
        Shape (n, D), one where observed; None where everything is.
    classes : ndarray of int, shape (n,)
        −1 where the label is not observed.
    weights : ndarray, shape (n,)
    """

    x: AnyArray
    mask: AnyArray | None
    classes: IntArray
    weights: FloatArray

    def take(self, rows: Any, dtype: Any = None) -> Rows:
        """Some rows, as numbers of the given type."""
        kind = self.x.dtype if dtype is None else dtype
        mask = None if self.mask is None else self.mask[rows].astype(kind)
        return Rows(self.x[rows].astype(kind), mask, self.classes[rows], self.weights[rows])

    def signs(self) -> AnyArray:
        """What the encoder sees: −1 and +1, and 0 where not observed."""
        signs = 2 * self.x
        signs -= 1 if self.mask is None else self.mask
        return signs


def elbo_gradients(
    encoder: Network, decoder: Network, codes: GaussianCodes, batch: Rows, noise: AnyArray
) -> tuple[FloatArray, list[AnyArray], list[AnyArray]]:
    """The evidence lower bound with z = mean + scale · noise, and the descent directions of both networks.

    Returns
    -------
    elbo : ndarray, shape (n,)
        log p(x | z, c) − KL(q(z | x, c) ‖ p(z)) of each row, in nats. Its mean over noise is a lower bound of
        log p(x | c).
    of_encoder, of_decoder : list of ndarray
        Gradients of minus the mean of ``elbo``.
    """
    encoded = encoder.forward(batch.signs(), batch.classes)
    outputs = encoded[-1]
    decoded = decoder.forward(codes.draw(outputs, noise), batch.classes)
    elbo = bernoulli_log_prob(decoded[-1], batch.x, batch.mask) - codes.divergence(outputs)
    of_decoder, of_codes = decoder.backward(decoded, batch.classes, _logit_gradient(decoded[-1], batch))
    assert of_codes is not None
    n = len(batch.x)
    of_outputs = codes.reparametrised_gradient(outputs, noise, n * of_codes) / n
    of_encoder, _ = encoder.backward(encoded, batch.classes, of_outputs, need_inputs=False)
    return elbo, of_encoder, of_decoder


def decoder_gradients(decoder: Network, batch: Rows, z: AnyArray) -> tuple[FloatArray, list[AnyArray]]:
    """The decoder's utility log p(x | z, c) of each row, and the gradients of minus its mean (T12)."""
    decoded = decoder.forward(z, batch.classes)
    utility = bernoulli_log_prob(decoded[-1], batch.x, batch.mask)
    gradients, _ = decoder.backward(decoded, batch.classes, _logit_gradient(decoded[-1], batch), need_inputs=False)
    return utility, gradients


def encoder_gradients(
    encoder: Network, codes: GaussianCodes | BinaryCodes, batch: Rows, z: AnyArray
) -> tuple[FloatArray, list[AnyArray]]:
    """The encoder's utility log q(z | x, c) of each row, and the gradients of minus its mean (T12)."""
    encoded = encoder.forward(batch.signs(), batch.classes)
    utility = codes.log_prob(encoded[-1], z)
    of_outputs = codes.log_prob_gradient(encoded[-1], z) / -len(z)
    gradients, _ = encoder.backward(encoded, batch.classes, of_outputs, need_inputs=False)
    return utility, gradients


def _logit_gradient(logits: AnyArray, batch: Rows) -> AnyArray:
    """Gradient of minus the mean log-probability of the batch with respect to the logits."""
    gradient = sigmoid(logits)
    if batch.mask is not None:
        gradient *= batch.mask
    gradient -= batch.x
    gradient /= len(gradient)
    return gradient


def systematic(weights: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """The indices of n rows in random order, drawn in proportion to their weights with the least variance.

    Every row comes ⌊n w⌋ or ⌈n w⌉ times, where w is its share of the weight: once each where n rows are of equal
    weight.

    >>> np.sort(systematic(np.array([1.0, 1.0, 2.0, 0.0]), 4, np.random.default_rng(0)))
    array([0, 1, 2, 2])
    """
    edges = np.cumsum(weights)
    thresholds = (np.arange(n) + rng.random()) * (edges[-1] / n)
    rows = np.minimum(np.searchsorted(edges, thresholds, side="right"), np.flatnonzero(weights)[-1])
    return np.asarray(rng.permutation(rows))
