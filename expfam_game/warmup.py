"""Compile ahead of time: numba keeps what it has compiled on disk, so that the next process starts at once."""

from __future__ import annotations

import difflib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse
from tqdm.auto import tqdm

from expfam_game import families
from expfam_game._typing import IntArray
from expfam_game.certificates.certify import certify
from expfam_game.errors import InvalidInput
from expfam_game.families.base import Family
from expfam_game.game.game import Game
from expfam_game.game.weights import Weights
from expfam_game.kernels.sparse import WIDTHS
from expfam_game.solvers.contraction import Contraction
from expfam_game.solvers.direct import Direct
from expfam_game.solvers.sampled import SampledPlay
from expfam_game.solvers.solve import solve
from expfam_game.solvers.streaming import stream_equilibrium

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


LARGE_GAMES = {"games of thousands": 8_000, "games of tens of thousands": 33_000}
"""Names under which :func:`warm_up` gives the seconds for large games, and numbers of agents that stand for them.

Sweeps over more than 32 768 agents are compiled for many threads, over fewer for one; up to a thousand agents there are none.
"""

_NEIGHBOURS = 10


def warm_up(names: Iterable[str] | None = None, *, large: bool = False) -> dict[str, float]:
    """Compile the kernels of some families, and of the solvers, into numba's cache on disk.

    Shows a progress bar on terminals. Where no cache folder is writable the work is lost with the process.

    Parameters
    ----------
    names : iterable of str, optional
        Names of families as in ``expfam_game.families``; all that have kernels by default.
    large : bool
        Also what games of more than a thousand agents need: their solvers, certificates, rows of influence and streamed
        equilibria.

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
            raise InvalidInput(
                f"{name!r} is no family with compiled kernels{_suggestion(name)}; there are {', '.join(_MEMBERS)}"
            )
    jobs: list[tuple[str, Callable[[], None]]] = [(name, partial(_exercise, name)) for name in wanted]
    for name, n_agents in LARGE_GAMES.items() if large else ():
        jobs += [(name, partial(_play_large, n_agents, width)) for width in WIDTHS]
        jobs += [(name, partial(_ask_about_large, n_agents))]
    seconds = dict.fromkeys((name for name, _ in jobs), 0.0)
    for name, job in tqdm(jobs, desc="compiling", disable=None, leave=False):
        begun = time.perf_counter()
        job()
        seconds[name] += time.perf_counter() - begun
    return seconds


def _suggestion(name: str) -> str:
    by_lower = {member.lower(): member for member in _MEMBERS}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


def _exercise(name: str) -> None:
    """Call everything of a family that is compiled on first use."""
    family = _MEMBERS[name]()
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


# ---------------------------------------------------------------------- large games


def _large_game(weights: Weights, dim: int) -> Game:
    means = np.random.default_rng(0).uniform(0.1, 0.9, (weights.n_agents, dim))
    return Game(families.Bernoulli(dim), weights, means=means)


def _listening_to(others: IntArray, self_weight: float) -> Weights:
    """Everybody listens to as many; ``others`` has shape (n_agents, neighbours)."""
    n, neighbours = others.shape
    shares = np.full(others.size, (1.0 - self_weight) / neighbours)
    listening = sparse.csr_array((shares, others.ravel(), neighbours * np.arange(n + 1)), shape=(n, n))
    return Weights(listening + self_weight * sparse.eye_array(n))


def _graphs(n_agents: int) -> Iterator[Weights]:
    """One for each way to find the equilibria of large games."""
    rng = np.random.default_rng(0)
    anybody = rng.integers(0, n_agents, (n_agents, _NEIGHBOURS))
    yield _listening_to(anybody, 0.05)  # deflated play
    size = n_agents // 40
    home = np.minimum(np.arange(n_agents)[:, None] // size * size + anybody % size, n_agents - 1)
    yield _listening_to(np.where(rng.random(home.shape) < 0.01, anybody, home), 1e-3)  # play with communities
    yield Weights.erdos_renyi(n_agents, 7 / n_agents, self_weight=0.05, seed=0)  # play on several levels
    yield Weights.erdos_renyi(
        n_agents, 4 / n_agents, self_weight=1e-3, seed=0
    )  # the same, after some have answered at once
    yield Weights.ring(n_agents, 1e-4)  # elimination in a band


def _play_large(n_agents: int, width: int) -> None:
    """Solvers are compiled for every number of columns that goes through memory at once."""
    for weights in _graphs(n_agents):
        solve(_large_game(weights, width))
    _stream(_large_game(next(_graphs(n_agents)), width))


def _stream(game: Game) -> None:
    """The equilibrium of a game in files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        game.weights.save(folder)
        np.save(folder / "means.npy", game.means)
        stored = Weights.from_files(*(folder / f"{part}.npy" for part in ("indptr", "indices", "data")))
        stream_equilibrium(stored, folder / "means.npy", folder / "profile.npy", tolerance=1e-3, progress=False)


def _ask_about_large(n_agents: int) -> None:
    """What is asked about large games beside their equilibria."""
    game = _large_game(next(_graphs(n_agents)), 1)
    certify(game, solve(game))
    for tolerance in (1e-2, 1e-10):
        game.influence_row(0, tolerance)
