"""The families of the benchmark of inversions: how parameters are drawn, SciPy's way back, and the means in mpmath."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from scipy import optimize, special
from scipy.optimize import elementwise

import expfam_game as eg
from expfam_game._typing import FloatArray
from expfam_game.families.base import Family


@dataclass(frozen=True)
class Case:
    """One family: how parameters are drawn, and how others invert it.

    ``terms`` gives, in mpmath, for a natural parameter the means and the sizes to which their errors are relative: the
    means themselves, but for one that crosses zero (E log x of the Gamma), where it is the larger of its two terms.
    SciPy gets one row in ``scipy_share``.
    """

    name: str
    family: Family
    draw: Callable[[np.random.Generator, int, tuple[float, float]], FloatArray]
    scipy: Callable[[FloatArray], FloatArray]
    terms: Callable[[FloatArray], list[tuple[Any, Any]]]
    scipy_share: int


def _log_uniform(rng: np.random.Generator, size: Any, limits: tuple[float, float]) -> FloatArray:
    return np.asarray(np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), size)))


def _draw_gamma(rng: np.random.Generator, n: int, limits: tuple[float, float]) -> FloatArray:
    """Natural parameters (k, −β)."""
    return np.stack([_log_uniform(rng, n, limits), -_log_uniform(rng, n, (1e-1, 1e1))], axis=-1)


def _draw_dirichlet(k: int) -> Callable[[np.random.Generator, int, tuple[float, float]], FloatArray]:
    return lambda rng, n, limits: _log_uniform(rng, (n, k), limits)


def _draw_direction(d: int) -> Callable[[np.random.Generator, int, tuple[float, float]], FloatArray]:
    def draw(rng: np.random.Generator, n: int, limits: tuple[float, float]) -> FloatArray:
        direction = rng.normal(size=(n, d))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return np.asarray(_log_uniform(rng, (n, 1), limits) * direction)

    return draw


def _scipy_gamma(mu: FloatArray) -> FloatArray:
    """log k − ψ(k) = log E[x] − E[log x]; statistics (log x, x)."""
    gap = np.log(mu[:, 1]) - mu[:, 0]

    def equation(log_k: FloatArray, s: FloatArray) -> FloatArray:
        return np.asarray(log_k - special.digamma(np.exp(log_k)) - s)

    found = elementwise.find_root(equation, (np.full(len(gap), -25.0), np.full(len(gap), 25.0)), args=(gap,))
    k = np.exp(found.x)
    return np.stack([k, -k / mu[:, 1]], axis=-1)


def _scipy_dirichlet(mu: FloatArray) -> FloatArray:
    """ψ(a_i) − ψ(Σ a) = μ_i by Powell's hybrid method in log a, one problem after another."""

    def equations(log_a: FloatArray, target: FloatArray) -> FloatArray:
        a = np.exp(log_a)
        return np.asarray(special.digamma(a) - special.digamma(a.sum()) - target)

    def jacobian(log_a: FloatArray, target: FloatArray) -> FloatArray:
        a = np.exp(log_a)
        return np.asarray((np.diag(special.polygamma(1, a)) - special.polygamma(1, a.sum())) * a)

    roots = [optimize.root(equations, np.zeros(mu.shape[1]), args=(row,), jac=jacobian, tol=1e-12).x for row in mu]
    return np.asarray(np.exp(np.array(roots)))


def _scipy_direction(mu: FloatArray) -> FloatArray:
    """I_{d/2}(κ)/I_{d/2−1}(κ) = |μ|."""
    d, radius = mu.shape[1], np.linalg.norm(mu, axis=1)

    def equation(log_kappa: FloatArray, r: FloatArray) -> FloatArray:
        kappa = np.exp(log_kappa)
        return np.asarray(special.ive(d / 2, kappa) / special.ive(d / 2 - 1, kappa) - r)

    bracket = (np.full(len(radius), -25.0), np.full(len(radius), 25.0))
    kappa = np.exp(elementwise.find_root(equation, bracket, args=(radius,)).x)
    return np.asarray(mu * (kappa / radius)[:, None])


def _terms_gamma(theta: FloatArray) -> list[tuple[Any, Any]]:
    k, beta = mpmath.mpf(theta[0]), -mpmath.mpf(theta[1])
    psi, log = mpmath.digamma(k), mpmath.log(beta)
    return [(psi - log, max(abs(psi), abs(log))), (k / beta, k / beta)]  # E log x may be near zero


def _terms_dirichlet(theta: FloatArray) -> list[tuple[Any, Any]]:
    a = [mpmath.mpf(value) for value in theta]
    total = mpmath.digamma(mpmath.fsum(a))
    return [(mpmath.digamma(x) - total, total - mpmath.digamma(x)) for x in a]


def _terms_direction(theta: FloatArray) -> list[tuple[Any, Any]]:
    d = len(theta)
    entries = [mpmath.mpf(value) for value in theta]
    kappa = mpmath.sqrt(mpmath.fsum(x * x for x in entries))
    ratio = _bessel_ratio(d, kappa)
    return [(ratio * x / kappa, abs(ratio * x / kappa)) for x in entries]


def _bessel_ratio(d: int, kappa: Any) -> Any:
    """I_{d/2}(κ)/I_{d/2−1}(κ): by the continued fraction of Gauss, or by the expansion for large κ."""
    if kappa < 1e4:
        return mpmath.besseli(mpmath.mpf(d) / 2, kappa) / mpmath.besseli(mpmath.mpf(d) / 2 - 1, kappa)
    return _hankel(mpmath.mpf(d) / 2, kappa) / _hankel(mpmath.mpf(d) / 2 - 1, kappa)


def _hankel(nu: Any, x: Any) -> Any:
    """Hankel's expansion of I_ν(x)·sqrt(2πx)·e^{−x}: its terms fall below 1e-50 before they grow, for x ≥ 1e4."""
    term, total = mpmath.mpf(1), mpmath.mpf(1)
    for k in range(1, 40):
        term *= -(4 * nu * nu - (2 * k - 1) ** 2) / (8 * k * x)
        total += term
    return total


def cases() -> list[Case]:
    f = eg.families
    return [
        Case("Gamma", f.Gamma(), _draw_gamma, _scipy_gamma, _terms_gamma, 1),
        Case("Beta", f.Beta(), _draw_dirichlet(2), _scipy_dirichlet, _terms_dirichlet, 200),
        Case("Dirichlet, 10", f.Dirichlet(10), _draw_dirichlet(10), _scipy_dirichlet, _terms_dirichlet, 200),
        Case("von Mises", f.VonMises(), _draw_direction(2), _scipy_direction, _terms_direction, 1),
        Case("von Mises–Fisher, 5", f.VonMisesFisher(5), _draw_direction(5), _scipy_direction, _terms_direction, 1),
    ]
