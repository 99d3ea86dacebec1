"""Compile ahead of time: numba keeps what it has compiled on disk, so that the next process starts at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np
from tqdm.auto import tqdm

from expfam_game import families
from expfam_game.errors import InvalidInput
from expfam_game.families.base import Family
from expfam_game.game.game import Game
from expfam_game.game.weights import Weights
from expfam_game.solvers.contraction import Contraction
from expfam_game.solvers.direct import Direct
from expfam_game.solvers.sampled import SampledPlay
from expfam_game.solvers.solve import solve

# Kernels are compiled for types, not sizes: one small member of each family is enough.
_MEMBERS: dict[str, Callable[[], Family]] = {
    "Bernoulli": lambda: families.Bernoulli(dim=2),
    "Beta": families.Beta,
    "Binomial": lambda: families.Binomial(3),
    "Categorical": lambda: families.Categorical(3),
    "DiagonalGaussian": lambda: families.DiagonalGaussian(2),
    "Dirichlet": lambda: families.Dirichlet(3),
    "Exponential": families.Exponential,
    "Finite": lambda: families.Finite([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
    "Gamma": families.Gamma,
    "Gaussian": lambda: families.Gaussian(2),
    "Geometric": families.Geometric,
    "InverseGaussian": families.InverseGaussian,
    "Ising": lambda: families.Ising.chain(3),
    "KnownVarianceGaussian": families.KnownVarianceGaussian,
    "Laplace": families.Laplace,
    "LogNormal": families.LogNormal,
    "MarkovChain": lambda: families.MarkovChain(2, 3),
    "NegativeBinomial": lambda: families.NegativeBinomial(2.0),
    "Poisson": families.Poisson,
    "VonMises": families.VonMises,
    "VonMisesFisher": lambda: families.VonMisesFisher(3),
    "Weibull": lambda: families.Weibull(2.0),
}


def warm_up(names: Iterable[str] | None = None) -> dict[str, float]:
    """Compile the kernels of some families, and of the solvers, into numba's cache on disk.

    Shows a progress bar on terminals. Where no cache folder is writable the work is lost with the process.

    Parameters
    ----------
    names : iterable of str, optional
        Names of families as in ``expfam_game.families``; all that have kernels by default.

    Returns
    -------
    dict of str to float
        Seconds spent on each; small where everything had been compiled before.

    Raises
    ------
    InvalidInput
        If a name is no family with kernels.

    Examples
    --------
    >>> sorted(warm_up(["Poisson", "Gamma"]))
    ['Gamma', 'Poisson']
    """
    wanted = list(dict.fromkeys(_MEMBERS if names is None else names))
    for name in wanted:
        if name not in _MEMBERS:
            raise InvalidInput(f"{name!r} is no family with compiled kernels; there are {', '.join(_MEMBERS)}")
    seconds = {}
    for name in tqdm(wanted, desc="compiling", disable=None, leave=False):
        begun = time.perf_counter()
        _exercise(_MEMBERS[name]())
        seconds[name] = time.perf_counter() - begun
    return seconds


def _exercise(family: Family) -> None:
    """Call everything that is compiled on first use."""
    mean = family.reference_mean()
    theta = np.stack([family.to_natural(mean)] * 2)
    family.to_mean(theta)
    family.fisher_information(theta)
    family.log_prob(family.sample(theta, 3, 0), theta[:, None])
    families.mean_statistic(family, family.sample(theta[0], 3, 0))
    for method in ("auto", "samples"):
        family.estimate_mean(theta, 300, 0, method=method)
    family.estimate_mean(theta, 300, 0, method="samples", covariance=True)
    game = Game(family, Weights.ring(3, self_weight=0.5), means=np.stack([mean] * 3))
    for solver in (Direct(), Contraction(), SampledPlay(n_samples=10, rounds=2)):
        solve(game, solver)
