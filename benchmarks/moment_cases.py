"""The rows of the benchmark of moments: families at a parameter, and the same estimate by NumPy and by SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

import expfam_game as eg
from expfam_game._typing import FloatArray
from expfam_game.families.base import Family

Peer = Callable[[np.random.Generator, int], FloatArray]
"""The mean statistic of n samples."""

_CHUNK = 1 << 16
"""Numbers that a peer holds at a time where a whole sample would not fit into memory: also its fastest size."""


@dataclass(frozen=True)
class Case:
    """One row: a family at a parameter, what it competes with, and the random numbers one sample needs."""

    name: str
    family: Family
    theta: FloatArray
    numpy: Peer
    scipy: Peer | None
    floor: dict[str, float]


def cases(seed: int = 0) -> list[Case]:
    """The rows of the table; parameters drawn from the seed."""
    rng = np.random.default_rng(seed)
    return [*_counted(rng), *_positive(rng), *_normal(rng), *_others(), _chain(rng)]


def in_chunks(width: int, statistic: Callable[[np.random.Generator, int], FloatArray]) -> Peer:
    """Average a statistic, summed over chunks that fit into a cache."""

    def mean(rng: np.random.Generator, n: int) -> FloatArray:
        size = max(1, _CHUNK // width)
        return sum(statistic(rng, min(size, n - start)) for start in range(0, n, size)) / n  # type: ignore[return-value]

    return mean


def _counted(rng: np.random.Generator) -> list[Case]:
    p, category = rng.uniform(0.1, 0.9, 784), rng.dirichlet(np.ones(10))
    f = eg.families
    return [
        Case(
            "Bernoulli, dim 784",
            f.Bernoulli(784),
            np.log(p / (1.0 - p)),
            in_chunks(784, lambda g, n: (g.random((n, 784)) < p).sum(axis=0)),
            in_chunks(784, lambda g, n: stats.bernoulli.rvs(p, size=(n, 784), random_state=g).sum(axis=0)),
            {"bits": 2.0 * 784},
        ),
        Case(
            "Categorical, k = 10",
            f.Categorical(10),
            np.log(category[:-1] / category[-1]),
            lambda g, n: np.bincount(g.choice(10, n, p=category), minlength=10)[:-1] / n,
            lambda g, n: stats.multinomial.rvs(1, category, size=n, random_state=g).mean(axis=0)[:-1],
            {"bits": 2.0 * float(stats.entropy(category, base=2))},
        ),
        Case(
            "Poisson, rate 4",
            f.Poisson(),
            np.array([np.log(4.0)]),
            lambda g, n: np.array([g.poisson(4.0, n).mean()]),
            lambda g, n: np.array([stats.poisson.rvs(4.0, size=n, random_state=g).mean()]),
            {"bits": 2.0 * float(stats.poisson(4.0).entropy()) / np.log(2.0)},
        ),
    ]


def _positive(rng: np.random.Generator) -> list[Case]:
    alpha = rng.uniform(1.0, 5.0, 10)
    f = eg.families

    def log_and_self(x: FloatArray) -> FloatArray:
        return np.array([np.log(x).mean(), x.mean()])

    def logs(x: FloatArray) -> FloatArray:
        return np.array([np.log(x).mean(), np.log1p(-x).mean()])

    return [
        Case(
            "Exponential",
            f.Exponential(),
            np.array([-2.0]),
            lambda g, n: np.array([g.exponential(0.5, n).mean()]),
            lambda g, n: np.array([stats.expon.rvs(scale=0.5, size=n, random_state=g).mean()]),
            {"exponentials": 1.0},
        ),
        Case(
            "Gamma, shape 2.5",
            f.Gamma(),
            np.array([2.5, -1.5]),
            lambda g, n: log_and_self(g.gamma(2.5, 1.0 / 1.5, n)),
            lambda g, n: log_and_self(stats.gamma.rvs(2.5, scale=1.0 / 1.5, size=n, random_state=g)),
            {"normals": 1.0, "words": 1.0},
        ),
        Case(
            "Beta, 2.5 and 1.5",
            f.Beta(),
            np.array([2.5, 1.5]),
            lambda g, n: logs(g.beta(2.5, 1.5, n)),
            lambda g, n: logs(stats.beta.rvs(2.5, 1.5, size=n, random_state=g)),
            {"normals": 2.0, "words": 2.0},
        ),
        Case(
            "Dirichlet, k = 10",
            f.Dirichlet(10),
            alpha,
            in_chunks(10, lambda g, n: np.log(g.dirichlet(alpha, n)).sum(axis=0)),
            in_chunks(10, lambda g, n: np.log(stats.dirichlet.rvs(alpha, size=n, random_state=g)).sum(axis=0)),
            {"normals": 10.0, "words": 10.0},
        ),
    ]


def _normal(rng: np.random.Generator) -> list[Case]:
    mean, deviation = rng.normal(size=16), rng.uniform(0.5, 2.0, 16)
    root = np.linalg.cholesky(np.cov(rng.normal(size=(16, 64))))
    upper = np.triu_indices(16)
    f = eg.families
    family = f.Gaussian(16)

    def squares(x: FloatArray) -> FloatArray:
        return np.concatenate([x.sum(axis=0), (x * x).sum(axis=0)])

    def full(z: FloatArray) -> FloatArray:
        x = mean + z @ root.T
        return np.concatenate([x.sum(axis=0), (x.T @ x)[upper]])

    return [
        Case(
            "DiagonalGaussian, 16",
            f.DiagonalGaussian(16),
            f.DiagonalGaussian(16).from_moments(mean, deviation**2),
            in_chunks(16, lambda g, n: squares(mean + deviation * g.standard_normal((n, 16)))),
            in_chunks(16, lambda g, n: squares(stats.norm.rvs(mean, deviation, size=(n, 16), random_state=g))),
            {"normals": 16.0},
        ),
        Case(
            "Gaussian full, 16",
            family,
            family.from_moments(mean, root @ root.T),
            in_chunks(16, lambda g, n: full(g.standard_normal((n, 16)))),
            in_chunks(
                16,
                lambda g, n: full(stats.multivariate_normal.rvs(np.zeros(16), np.eye(16), size=n, random_state=g)),
            ),
            {"normals": 16.0},
        ),
    ]


def _others() -> list[Case]:
    f = eg.families

    def circle(x: FloatArray) -> FloatArray:
        return np.array([np.cos(x).mean(), np.sin(x).mean()])

    def self_and_inverse(x: FloatArray) -> FloatArray:
        return np.array([x.mean(), (1.0 / x).mean()])

    return [
        Case(
            "von Mises, kappa 2.2",
            f.VonMises(),
            np.array([2.0, 1.0]),
            lambda g, n: circle(g.vonmises(np.arctan2(1.0, 2.0), np.sqrt(5.0), n)),
            lambda g, n: circle(stats.vonmises.rvs(np.sqrt(5.0), np.arctan2(1.0, 2.0), size=n, random_state=g)),
            {"words": 2.0},
        ),
        Case(
            "inverse Gaussian",
            f.InverseGaussian(),
            np.array([-0.5, -0.5]),
            lambda g, n: self_and_inverse(g.wald(1.0, 1.0, n)),
            lambda g, n: self_and_inverse(stats.invgauss.rvs(1.0, size=n, random_state=g)),
            {"normals": 1.0, "words": 1.0},
        ),
    ]


def _chain(rng: np.random.Generator) -> Case:
    fields, couplings = rng.normal(0.0, 0.3, 16), rng.normal(0.0, 0.5, 15)
    return Case(
        "Ising chain, 16",
        eg.families.Ising.chain(16),
        np.concatenate([fields, couplings]),
        in_chunks(16, lambda g, n: _ising_chain(g, n, fields, couplings)),
        None,
        {"bits": 2.0 * 16},
    )


def _ising_chain(rng: np.random.Generator, n: int, fields: FloatArray, couplings: FloatArray) -> FloatArray:
    """Exact samples of a chain, site by site from the left, each given its left neighbour."""
    pull = np.zeros(16)  # half log-odds that the sites to the right add to each
    for i in range(14, -1, -1):
        right = fields[i + 1] + pull[i + 1]
        pull[i] = 0.5 * np.log(np.cosh(couplings[i] + right) / np.cosh(couplings[i] - right))
    x = np.empty((16, n))
    for i in range(16):
        left = couplings[i - 1] * x[i - 1] if i else 0.0
        x[i] = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-2.0 * (fields[i] + pull[i] + left))), 1.0, -1.0)
    return np.concatenate([x.sum(axis=1), (x[:-1] * x[1:]).sum(axis=1)])
