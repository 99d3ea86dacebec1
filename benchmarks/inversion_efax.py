"""The rows of the benchmark of inversions by efax on JAX, where it is installed: compiled, batched, in double precision.

efax finds Gamma and von Mises–Fisher by a bisection that stops at 1e-7 in the unknown it searches, and Beta and Dirichlet
by undamped Newton steps, which leave the domain from some means; it does not report either. Its answers are therefore judged
and counted, not asserted.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from expfam_game._typing import FloatArray

EfaxPeer = Callable[[FloatArray], FloatArray]
"""Natural parameters, in this package's order, of a batch of means."""


@cache
def efax_peer(name: str) -> EfaxPeer | None:
    """efax's contestant for the family of a case; None where efax is not installed or has no such family."""
    if importlib.util.find_spec("efax") is None or importlib.util.find_spec("jax") is None:
        return None
    jax: Any = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    inverse = _inverse(name.partition(",")[0])
    if inverse is None:
        return None
    compiled = jax.jit(inverse)
    return lambda mu: np.asarray(compiled(mu))


def efax_versions() -> dict[str, str]:
    """Versions of efax and JAX, where they are installed."""
    found = {}
    for package in ("efax", "jax"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _inverse(kind: str) -> Callable[[Any], Any] | None:
    efax: Any = importlib.import_module("efax")
    jnp: Any = importlib.import_module("jax.numpy")

    def gamma(mu: Any) -> Any:  # efax lists x before log x, and counts the shape from minus one
        natural = efax.GammaEP(mu[:, 1], mu[:, 0]).to_nat()
        return jnp.stack([natural.shape_minus_one + 1.0, natural.negative_rate], axis=-1)

    families: dict[str, Callable[[Any], Any]] = {
        "Gamma": gamma,
        "Beta": lambda mu: efax.BetaEP(mu).to_nat().alpha_minus_one + 1.0,
        "Dirichlet": lambda mu: efax.DirichletEP(mu).to_nat().alpha_minus_one + 1.0,
        "von Mises": lambda mu: efax.VonMisesFisherEP(mu).to_nat().mean_times_concentration,
        "von Mises–Fisher": lambda mu: efax.VonMisesFisherEP(mu).to_nat().mean_times_concentration,
    }
    return families.get(kind)
