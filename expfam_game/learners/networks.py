"""Small neural networks in plain NumPy: forward, backward, Adam, and the distributions that their outputs stand for.

What ``autoencoder.py`` is built of. Gradients are written out by hand; the tests compare them with finite differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray, IntArray
from expfam_game.kernels.compiling import elementwise

LOG_SCALE_BOUND = 8.0
"""Standard deviations of codes lie between exp(−8) and exp(8), so that nothing overflows."""


class Network:
    """A fully connected network of an input and a class, with tanh in the hidden layers and linear outputs.

    The first layer is ``inputs @ W + label_scale · T[class]``: what it would be if the class were ``label_scale`` times
    its indicator vector, appended to the inputs.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the input, the hidden layers and the output.
    n_classes : int
    label_scale : float
        A network can ignore its class; a large input (5) makes that unlikely.
    rng : Generator
        Weights start normal with variance 1 / fan-in, biases at zero.
    dtype : dtype

    Attributes
    ----------
    parameters : list of ndarray
        T, shape (C, sizes[1]); W of the first layer; then W and b of each other layer.

    Examples
    --------
    >>> network = Network([3, 4, 2], n_classes=5, label_scale=5.0, rng=np.random.default_rng(0), dtype=np.dtype("f8"))
    >>> layers = network.forward(np.ones((7, 3)), np.zeros(7, dtype=int))
    >>> [layer.shape for layer in layers]
    [(7, 3), (7, 4), (7, 2)]
    >>> gradients, of_inputs = network.backward(layers, np.zeros(7, dtype=int), np.ones((7, 2)))
    >>> [g.shape for g in gradients], of_inputs.shape
    ([(5, 4), (3, 4), (4, 2), (2,)], (7, 3))
    """

    def __init__(
        self, sizes: Sequence[int], n_classes: int, label_scale: float, rng: np.random.Generator, dtype: np.dtype[Any]
    ) -> None:
        self.label_scale = label_scale
        fan_in = sizes[0] + n_classes
        self.parameters: list[AnyArray] = [
            (rng.standard_normal((n_classes, sizes[1])) / np.sqrt(fan_in)).astype(dtype),
            (rng.standard_normal((sizes[0], sizes[1])) / np.sqrt(fan_in)).astype(dtype),
        ]
        for wide, next_wide in zip(sizes[1:-1], sizes[2:], strict=True):
            self.parameters.append((rng.standard_normal((wide, next_wide)) / np.sqrt(wide)).astype(dtype))
            self.parameters.append(np.zeros(next_wide, dtype=dtype))

    def first(self, inputs: AnyArray) -> AnyArray:
        """What the inputs give to the first layer, without the class; the same for all classes."""
        return np.asarray(inputs @ self.parameters[1])

    def forward(self, inputs: AnyArray, classes: IntArray, first: AnyArray | None = None) -> list[AnyArray]:
        """The values of all layers, inputs first, outputs last.

        Parameters
        ----------
        inputs : ndarray, shape (n, sizes[0])
        classes : ndarray of int, shape (n,)
        first : ndarray, optional
            ``self.first(inputs)`` where it is known already.
        """
        layer = (self.first(inputs) if first is None else first) + self.label_scale * self.parameters[0][classes]
        layers = [inputs, layer]
        for weight, bias in zip(self.parameters[2::2], self.parameters[3::2], strict=True):
            np.tanh(layer, out=layer)
            layer = layer @ weight
            layer += bias
            layers.append(layer)
        return layers

    def output(self, inputs: AnyArray, classes: IntArray, first: AnyArray | None = None) -> AnyArray:
        """The last layer only."""
        return self.forward(inputs, classes, first)[-1]

    def backward(
        self, layers: Sequence[AnyArray], classes: IntArray, of_output: AnyArray, need_inputs: bool = True
    ) -> tuple[list[AnyArray], AnyArray | None]:
        """Gradients of a function of the outputs with respect to all parameters, and to the inputs if needed.

        Parameters
        ----------
        layers : sequence of ndarray
            What ``forward`` returned for these classes.
        classes : ndarray of int, shape (n,)
        of_output : ndarray, shape (n, sizes[-1])
            Gradient with respect to the outputs.
        """
        gradients: list[AnyArray] = []
        delta = of_output
        for index in range(len(self.parameters) - 2, 0, -2):
            hidden = layers[index // 2]
            gradients = [hidden.T @ delta, delta.sum(axis=0), *gradients]
            delta = (delta @ self.parameters[index].T) * (1 - hidden * hidden)
        indicator = np.zeros((len(classes), len(self.parameters[0])), dtype=delta.dtype)
        indicator[np.arange(len(classes)), classes] = self.label_scale
        gradients = [indicator.T @ delta, layers[0].T @ delta, *gradients]
        return gradients, delta @ self.parameters[1].T if need_inputs else None


@dataclass
class Adam:
    """Stochastic gradient descent with running moments (Kingma, Ba 2015, arXiv:1412.6980).

    Its state stays from one fit to the next, so that a warm start goes on as if there had been no pause.
    """

    decay_mean: float = 0.9
    decay_square: float = 0.999
    steps: int = 0
    moments: list[tuple[AnyArray, AnyArray]] = field(default_factory=list)

    def step(self, parameters: Sequence[AnyArray], gradients: Sequence[AnyArray], rate: float) -> None:
        """Move the parameters, in place, against the gradients."""
        if not self.moments:
            self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
        self.steps += 1
        correction = np.sqrt(1 - self.decay_square**self.steps)
        rate *= correction / (1 - self.decay_mean**self.steps)
        tiny = 1e-8 * correction
        for parameter, gradient, (mean, square) in zip(parameters, gradients, self.moments, strict=True):
            constants = np.array([self.decay_mean, self.decay_square, rate, tiny], dtype=parameter.dtype)
            flat = np.ascontiguousarray(gradient).ravel()
            adam_step(parameter.ravel(), flat, mean.ravel(), square.ravel(), constants)


@elementwise
def adam_step(parameter: AnyArray, gradient: AnyArray, mean: AnyArray, square: AnyArray, constants: AnyArray) -> None:
    """One pass over memory instead of ten."""
    decay_mean, decay_square, rate, tiny = constants[0], constants[1], constants[2], constants[3]
    for i in range(parameter.size):
        g = gradient[i]
        mean[i] = g + decay_mean * (mean[i] - g)
        square[i] = g * g + decay_square * (square[i] - g * g)
        parameter[i] -= rate * mean[i] / (np.sqrt(square[i]) + tiny)


# ---------------------------------------------------------------------- distributions


def sigmoid(logits: AnyArray) -> AnyArray:
    """1 / (1 + exp(−logits)), without overflow."""
    result = np.tanh(0.5 * logits)
    result += 1
    result *= 0.5
    return np.asarray(result)


def softplus(logits: AnyArray) -> AnyArray:
    """log(1 + exp(logits)), without overflow.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+03])
    """
    result = np.abs(logits)
    np.negative(result, out=result)
    np.exp(result, out=result)
    np.log1p(result, out=result) if result.dtype == np.float64 else np.log(1 + result, out=result)
    result += np.maximum(logits, 0)
    return np.asarray(result)


def bernoulli_log_prob(logits: AnyArray, x: AnyArray, mask: AnyArray | None) -> AnyArray:
    """Log-probability of binary rows under independent Bernoulli distributions, summed over the last axis.

    Parameters
    ----------
    logits : ndarray, shape (..., D)
    x : ndarray, shape (..., D)
        Zeros and ones; zero where not observed.
    mask : ndarray or None
        One where observed, zero elsewhere.
    """
    loss = softplus(logits)
    if mask is not None:
        loss *= mask
    loss -= x * logits
    return np.asarray(-loss.sum(axis=-1))


class GaussianCodes:
    """Codes with a standard normal prior and a normal posterior of independent components.

    An encoder's outputs are the means and, through a smooth bound, the logarithms of the standard deviations.
    """

    reparametrised = True

    def __init__(self, n_codes: int) -> None:
        self.n_codes = n_codes
        self.n_outputs = 2 * n_codes

    def parts(self, outputs: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Means and log standard deviations, shape (..., d) each."""
        mean, raw = outputs[..., : self.n_codes], outputs[..., self.n_codes :]
        return mean, LOG_SCALE_BOUND * np.tanh(raw / LOG_SCALE_BOUND)

    def spread(self, weight: AnyArray, bias: AnyArray) -> None:
        """Start an encoder's last layer, in place, with means of about the prior's spread and smaller deviations."""
        weight[:, : self.n_codes] *= 2
        weight[:, self.n_codes :] *= 0.3
        bias[self.n_codes :] = -1

    def noise(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> AnyArray:
        """Standard normal, shape (*shape, d)."""
        return rng.standard_normal((*shape, self.n_codes), dtype=dtype)

    def prior(self, noise: AnyArray) -> AnyArray:
        """Codes drawn from the prior."""
        return noise

    def draw(self, outputs: AnyArray, noise: AnyArray) -> AnyArray:
        """Codes drawn from the posterior."""
        mean, log_scale = self.parts(outputs)
        return np.asarray(mean + np.exp(log_scale) * noise)

    def log_prior(self, z: AnyArray) -> AnyArray:
        """Shape (...), in nats."""
        return np.asarray(-0.5 * (z * z + np.log(2 * np.pi)).sum(axis=-1))

    def log_prob(self, outputs: AnyArray, z: AnyArray) -> AnyArray:
        """log q(z), shape (...), in nats."""
        mean, log_scale = self.parts(outputs)
        standard = (z - mean) * np.exp(-log_scale)
        return np.asarray(-(0.5 * (standard * standard + np.log(2 * np.pi)) + log_scale).sum(axis=-1))

    def log_prob_gradient(self, outputs: AnyArray, z: AnyArray) -> AnyArray:
        """Gradient of ``log_prob`` with respect to the outputs."""
        mean, log_scale = self.parts(outputs)
        inverse = np.exp(-log_scale)
        standard = (z - mean) * inverse
        return np.concatenate([standard * inverse, (standard * standard - 1) * self._bound_slope(log_scale)], axis=-1)

    def divergence(self, outputs: AnyArray) -> AnyArray:
        """KL(q ‖ prior), shape (...), in nats."""
        mean, log_scale = self.parts(outputs)
        return np.asarray((0.5 * (mean * mean + np.exp(2 * log_scale) - 1) - log_scale).sum(axis=-1))

    def reparametrised_gradient(self, outputs: AnyArray, noise: AnyArray, of_codes: AnyArray) -> AnyArray:
        """Gradient of f(draw(outputs, noise)) + divergence(outputs) with respect to the outputs; ``of_codes`` is f′."""
        mean, log_scale = self.parts(outputs)
        scale = np.exp(log_scale)
        of_log_scale = of_codes * noise * scale + scale * scale - 1
        return np.concatenate([of_codes + mean, of_log_scale * self._bound_slope(log_scale)], axis=-1)

    @staticmethod
    def _bound_slope(log_scale: AnyArray) -> AnyArray:
        return np.asarray(1 - (log_scale / LOG_SCALE_BOUND) ** 2)


class BinaryCodes:
    """Codes of signs −1 and +1: uniform prior, independent signs as posterior; outputs are log-odds of +1."""

    reparametrised = False

    def __init__(self, n_codes: int) -> None:
        self.n_codes = n_codes
        self.n_outputs = n_codes

    def spread(self, weight: AnyArray, bias: AnyArray) -> None:
        """Start an encoder's last layer, in place, with codes that are not all at random; the bias stays."""
        weight *= 2

    def noise(self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> AnyArray:
        """Uniform on [0, 1), shape (*shape, d)."""
        return rng.random((*shape, self.n_codes), dtype=dtype)

    def prior(self, noise: AnyArray) -> AnyArray:
        """Codes drawn from the prior."""
        return np.where(noise < 0.5, 1, -1).astype(noise.dtype)

    def draw(self, outputs: AnyArray, noise: AnyArray) -> AnyArray:
        """Codes drawn from the posterior."""
        return np.where(noise < sigmoid(outputs), 1, -1).astype(outputs.dtype)

    def log_prior(self, z: AnyArray) -> AnyArray:
        """Shape (...), in nats."""
        return np.full(z.shape[:-1], -self.n_codes * np.log(2), dtype=z.dtype)

    def log_prob(self, outputs: AnyArray, z: AnyArray) -> AnyArray:
        """log q(z), shape (...), in nats."""
        return np.asarray(-softplus(-z * outputs).sum(axis=-1))

    def log_prob_gradient(self, outputs: AnyArray, z: AnyArray) -> AnyArray:
        """Gradient of ``log_prob`` with respect to the outputs."""
        return np.asarray(z * sigmoid(-z * outputs))
