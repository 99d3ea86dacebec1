"""The rows of the benchmark of moments by efax on JAX, where it is installed: drawn by efax, averaged in one compiled call."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from benchmarks.moment_cases import Case
from expfam_game._typing import FloatArray

EfaxPeer = Callable[[int, int], FloatArray]
"""The mean statistic for a seed and a number of samples."""


def efax_peer(case: Case) -> EfaxPeer | None:
    """efax's contestant in a case; None where efax is not installed or has no such law."""
    if importlib.util.find_spec("efax") is None or importlib.util.find_spec("jax") is None:
        return None
    jax: Any = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    made = _distribution(case)
    return None if made is None else _peer(*made)


def _peer(distribution: Any, statistic: Callable[[Any], Any]) -> EfaxPeer:
    jax: Any = importlib.import_module("jax")

    @cache
    def compiled(n: int) -> Any:
        return jax.jit(lambda key: statistic(distribution.sample(key, (n,))).mean(axis=0))

    return lambda seed, n: np.asarray(compiled(n)(jax.random.key(seed)))


def _distribution(case: Case) -> tuple[Any, Callable[[Any], Any]] | None:
    """efax's natural parameters of a case, and the statistic of an array of samples in this package's order."""
    efax: Any = importlib.import_module("efax")
    jnp: Any = importlib.import_module("jax.numpy")

    theta = jnp.asarray(case.theta)

    def self_and_square(x: Any) -> Any:
        return jnp.concatenate([x, x * x], axis=-1)

    def column(x: Any) -> Any:
        return x.astype(float)[:, None]

    def log_and_self(x: Any) -> Any:
        return jnp.stack([jnp.log(x), x], axis=-1)

    kind = case.name.partition(",")[0]
    if kind == "Bernoulli":
        return efax.BernoulliNP(theta), lambda x: x.astype(float)
    if kind == "Categorical":  # efax never draws the category that has no parameter, so it is given one
        return efax.MultinomialNP(jnp.append(theta, 0.0)), lambda x: x[:, :-1].astype(float)
    if kind == "Poisson":
        return efax.PoissonNP(theta[0]), column
    if kind == "Exponential":
        return efax.ExponentialNP(theta[0]), column
    if kind == "Gamma":
        return efax.GammaNP(theta[1], theta[0] - 1.0), log_and_self
    if kind == "Beta":
        return efax.BetaNP(theta - 1.0), lambda x: jnp.stack([jnp.log(x), jnp.log1p(-x)], axis=-1)
    if kind == "Dirichlet":  # efax leaves the last share out
        return efax.DirichletNP(theta - 1.0), lambda x: jnp.log(jnp.append(x, 1.0 - x.sum(-1, keepdims=True), -1))
    if kind == "DiagonalGaussian":
        return efax.MultivariateDiagonalNormalNP(theta[:16], theta[16:]), self_and_square
    if kind == "Gaussian full":
        return _full_gaussian(case)
    return None


def _full_gaussian(case: Case) -> tuple[Any, Callable[[Any], Any]]:
    efax: Any = importlib.import_module("efax")
    jnp: Any = importlib.import_module("jax.numpy")

    upper = np.triu_indices(16)
    mu = case.family.to_mean(case.theta)
    second = np.zeros((16, 16))
    second[upper] = mu[16:]
    second = second + np.triu(second, 1).T
    precision = np.linalg.inv(second - np.outer(mu[:16], mu[:16]))
    natural = efax.MultivariateNormalNP(jnp.asarray(precision @ mu[:16]), jnp.asarray(-0.5 * precision))

    def statistic(x: Any) -> Any:
        return jnp.concatenate([x, x[:, upper[0]] * x[:, upper[1]]], axis=-1)

    return natural, statistic
