"""The catalogue: every family of the package, at moderate parameters and at the ends of the range its docstring states.

A test with a parameter ``catalogued`` runs for every entry; one with ``law`` runs for every law.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from expfam_game import families as f
from expfam_game.families.base import Family
from expfam_game.testing import LAWS, numerics

TABLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 2.0], [-1.0, 0.5]])


@dataclass(frozen=True)
class Catalogued:
    """A family with moderate parameters for all laws, and extreme ones."""

    family: Family
    more: list[list[float]] = field(default_factory=list)
    extreme: list[list[float]] = field(default_factory=list)

    @property
    def moderate(self) -> np.ndarray:
        """The reference mean, one and two Fisher units from it, and what is listed in ``more``."""
        rng = np.random.default_rng(1)
        start = self.family.to_natural(self.family.reference_mean())
        around = [start, *(numerics.fisher_step(self.family, start, size, rng) for size in (1.0, 2.0))]
        return np.array([*around, *self.more])

    def __str__(self) -> str:
        return repr(self.family).replace(" ", "")


def statistic_of_a_gamma(x):
    return np.stack([np.log(x), x], axis=-1)


def statistic_of_a_quartic(x):
    return np.stack([x, x**2, -(x**4)], axis=-1)


def correlated(n: int, correlation: float) -> np.ndarray:
    return np.full((n, n), correlation) + (1.0 - correlation) * np.eye(n)


TINY, NEAR_ONE = float(np.log(1e-300)), 36.0  # log-odds of 1e-300 and of 1 − 2e-16

CATALOGUE = [
    Catalogued(f.Bernoulli(), [[-9.0]], [[TINY], [NEAR_ONE]]),
    Catalogued(f.Bernoulli(dim=3), extreme=[[TINY, 0.0, NEAR_ONE]]),
    Catalogued(f.Binomial(trials=7), [[3.0]], [[TINY], [NEAR_ONE]]),
    Catalogued(f.Binomial(trials=10**9), extreme=[[TINY], [-25.0], [NEAR_ONE]]),
    Catalogued(f.Categorical(2), extreme=[[TINY], [NEAR_ONE]]),
    Catalogued(f.Categorical(5), [[3.0, -3.0, 0.0, 1.0]], [[TINY, 0.0, 0.0, -50.0], [30.0, 0.0, -600.0, 0.0]]),
    Catalogued(f.Poisson(), [[-6.0], [6.0]], [[TINY], [float(np.log(1e15))]]),
    Catalogued(f.Geometric(), [[-5.0], [-0.01]], [[TINY], [-1e-15]]),
    Catalogued(f.NegativeBinomial(2.5), [[-4.0], [-0.1]], [[TINY], [-1e-15]]),
    Catalogued(f.NegativeBinomial(1e-3), [[-0.5]], [[TINY], [-1e-15]]),
    Catalogued(f.NegativeBinomial(1e9), extreme=[[TINY], [-1e-5]]),
    Catalogued(f.Exponential(), [[-1e-3], [-1e3]], [[-1e-150], [-1e150]]),
    Catalogued(f.Laplace(location=0.5), [[-10.0]], [[-1e-150], [-1e150]]),
    Catalogued(f.Weibull(shape=1.5), [[-0.1]], [[-1e-100], [-1e100]]),
    Catalogued(f.Weibull(shape=0.5), extreme=[[-1e-50], [-1e50]]),
    Catalogued(
        f.Gamma(),
        [[0.6, -3.0], [30.0, -0.1]],
        [[1e-6, -1.0], [1e-6, -1e100], [1e8, -1.0], [1e8, -1e-100], [1e3, -1e50]],
    ),
    Catalogued(f.Beta(), [[0.7, 3.0]], [[1e-8, 1e-8], [1e-8, 1e8], [1e6, 1.0], [1e8, 1e8]]),
    Catalogued(f.Dirichlet(2), [[0.7, 3.0]], [[1e-3, 1e6]]),
    Catalogued(f.Dirichlet(3), [[0.7, 3.0, 2.0]], [[1e-3, 1e-3, 1e-3], [1e6, 1e6, 1e6], [1e-8, 1.0, 1e8]]),
    Catalogued(f.Dirichlet(6), extreme=[[1e-3, 1e6, 1.0, 1.0, 1e-8, 1e8]]),
    Catalogued(f.KnownVarianceGaussian(variance=2.0), [[5.0]], [[1e100], [-1e100]]),
    Catalogued(f.KnownVarianceGaussian(variance=1e-12), extreme=[[0.0], [1e12]]),
    Catalogued(
        f.DiagonalGaussian(2),
        extreme=[[0.0, 1e-40, -1e-60, -1e60], [1e3, 0.0, -1e-3, -0.5e140], [-5e6, 0.0, -0.5, -0.5]],
    ),
    Catalogued(
        f.Gaussian(2),
        extreme=[
            f.Gaussian(2).from_moments(mean, scale * correlated(2, r))
            for mean, scale, r in (
                ([0.0, 0.0], 1.0, 1 - 1e-6),
                ([1e3, -1e3], 1.0, 0.5),
                ([0.0, 1e-60], 1e-120, -0.9),
                ([1e60, 0.0], 1e120, 0.0),
            )
        ],
    ),
    Catalogued(f.Gaussian(3), extreme=[f.Gaussian(3).from_moments([1.0, 2.0, 3.0], correlated(3, 0.999))]),
    Catalogued(f.LogNormal(), [[2.0, -1.0]], [[0.0, -5e3], [5e4, -5e3], [0.0, -2e-3]]),
    Catalogued(
        f.InverseGaussian(),
        [[-1.0, -0.5], [-0.02, -3.0]],
        [[-0.5e100, -0.5e-100], [-0.5e-100, -0.5e100], [-0.5e3, -0.5e3], [-0.5e-6, -0.5e-6]],
    ),
    Catalogued(f.VonMises(), [[0.0, 0.0], [0.0, 30.0]], [[1e-12, 0.0], [0.0, 1e6], [-3e5, 4e5], [1e10, 0.0]]),
    Catalogued(f.VonMisesFisher(2), extreme=[[0.0, 1e6]]),
    Catalogued(
        f.VonMisesFisher(3),
        [[0.0, 0.0, 0.0], [2.0, -3.0, 10.0]],
        [[1e-12, 0.0, 0.0], [1e10, 0.0, 0.0], [3e5, 0.0, -4e5]],
    ),
    Catalogued(f.VonMisesFisher(20), extreme=[[1e-12] * 20, [100.0] * 20, [1e9] + [0.0] * 19]),
    Catalogued(f.Finite(TABLE), [[3.0, -2.0]], [[30.0, 0.0], [-20.0, 5.0], [0.0, -30.0]]),
    Catalogued(
        f.FromStatistic(statistic_of_a_gamma, lambda x: -np.log(x), (0.0, np.inf), nodes=256, accuracy=1e-6),
        [[2.0, -1.0]],
    ),
    Catalogued(
        f.FromStatistic(
            statistic_of_a_quartic, None, (-np.inf, np.inf), start=[0.0, 0.0, 1.0], nodes=256, accuracy=1e-6
        ),
        [[0.5, 1.0, 1.0]],
    ),
    Catalogued(f.FromStatistic(lambda x: x, None, (0.0, 1.0)), [[0.0], [5.0]], [[-40.0], [40.0]]),
    Catalogued(f.FromStatistic(lambda x: x, None, np.arange(6.0)), [[-2.0]], [[-12.0], [12.0]]),
    Catalogued(f.MarkovChain(k=2, length=5)),
    Catalogued(f.MarkovChain(k=3, length=3)),
    Catalogued(f.Ising.chain(5)),
    Catalogued(f.Ising.grid(2, 3)),
    Catalogued(f.Ising.complete(4)),
    Catalogued(f.Product([f.Poisson(), f.Gamma()]), extreme=[[TINY, 1e-6, -1e50]]),
    Catalogued(f.Product([f.Bernoulli(), f.Gaussian(1), f.Categorical(3)])),
    Catalogued(f.Exponential() ** 3, extreme=[[-1e-150, -1.0, -1e150]]),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "extreme_case" in metafunc.fixturenames:
        cases = [(entry, np.array(theta)) for entry in CATALOGUE for theta in entry.extreme]
        names = [f"{entry}-{'_'.join(f'{x:.3g}' for x in theta[:4])}" for entry, theta in cases]
        metafunc.parametrize("extreme_case", cases, ids=names)
    if "catalogued" in metafunc.fixturenames:
        metafunc.parametrize("catalogued", CATALOGUE, ids=str)
    if "law" in metafunc.fixturenames and "catalogued" in metafunc.fixturenames:
        metafunc.parametrize("law", LAWS, ids=lambda law: law.__name__)


@pytest.fixture
def catalogue() -> list[Catalogued]:
    return CATALOGUE
