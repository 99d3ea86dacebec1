"""Counts: Poisson, Geometric, Binomial and NegativeBinomial. φ(x) = x; they differ in A(θ) and in the base measure.

Expectations that have no closed form (E[log x!] and the entropies) are finite sums over the lattice with weights that do not cancel
(Loader's form of the probabilities); wide laws are summed on a coarser lattice, which for them is exact to rounding (Poisson
summation: the error is the characteristic function at 2π/step). So they hold at any parameter, with no asymptotic expansion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, gammaln

from expfam_game._typing import AnyArray, BoolArray, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.families._stable import exponential_gap, ratio_gap
from expfam_game.families.base import Family
from expfam_game.families.bernoulli import log_odds_kl
from expfam_game.families.bregman import integrated_bregman
from expfam_game.families.checks import Rule, require_integer, require_number
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

_HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))
_INT64_SAFE = 9.0e18
"""Counts below this fit an int64."""
_NUMPY_POISSON_MAX = 1e10
"""Above this our own sampler is used: NumPy's acceptance test cancels (at 1e18 its variance is 1.5 times too large)."""


_LARGEST_COUNTED = 1e15
"""Means up to which the compiled kernels, which count in 64-bit integers, are used; above, samples are drawn as floats."""


class _Count(Family):
    """What the laws of this file share: one statistic, x itself, a non-negative integer."""

    separable = True

    @property
    def dim(self) -> int:
        return 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return ("x",)

    def reference_mean(self) -> FloatArray:
        return np.ones(1)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield (x >= 0) & (x == np.floor(x)), "a count must be a non-negative integer"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield mu > 0, "the mean of a count must be positive"

    def _statistic(self, x: AnyArray) -> FloatArray:
        return x[..., None].astype(np.float64)

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        return self._variance(theta)[..., None]


@dataclass(frozen=True, eq=False)
class Poisson(_Count):
    """Poisson law.

    φ(x) = x, θ = log λ, A(θ) = e^θ, base measure 1/x!. Full precision for λ from 1e-300 to 1e15; a relative error of λ is an
    absolute error of θ, so e^θ carries |θ| units of rounding. Samples are int64, or whole float64 numbers
    for λ above 9e18.

    Notes
    -----
    Probabilities follow C. Loader, "Fast and accurate computation of binomial probabilities" (2000). Large means are
    sampled by transformed rejection, W. Hörmann, Insurance: Mathematics and Economics 12 (1993), on Loader's form.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Poisson()
    >>> family.to_natural([1e-300])
    array([-690.7755279])
    >>> float(family.kl([0.0], [np.log(2.0)]).round(6))  # 1 − log 2
    0.306853
    """

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.asarray(-gammaln(x + 1.0))

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return np.exp(theta[..., 0])

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return np.exp(theta)

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        return np.log(mu)

    def _variance(self, theta: FloatArray) -> FloatArray:
        return np.exp(theta)

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return -_poisson_sum(np.exp(theta[..., 0]), lambda x, log_pmf: gammaln(x + 1.0))

    def _entropy(self, theta: FloatArray) -> FloatArray:
        return _poisson_sum(np.exp(theta[..., 0]), lambda x, log_pmf: -log_pmf)

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """λ_a (e^d − 1 − d) with d = θ_b − θ_a."""
        a, b = theta_a[..., 0], theta_b[..., 0]
        d = b - a
        near = np.abs(d) < 1.0
        rate = np.exp(a)
        return np.where(near, rate * exponential_gap(np.where(near, d, 0.0)), np.exp(b) - rate * (1.0 + d))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        draws = _poisson_draws(np.broadcast_to(np.exp(theta), (*theta.shape[:-1], n)), rng)
        return _as_counts(draws)

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        return _poisson_draws(n * np.exp(theta), rng) / n

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.count_moments import poisson_moments

        rate = np.exp(theta)
        return poisson_moments(rate, n, key) if np.all(rate <= _LARGEST_COUNTED) else None

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.count_draws import poisson_draw

        rate = np.exp(theta)
        return [poisson_draw(rate)] if np.all(rate <= _LARGEST_COUNTED) else None


class _Failures(_Count):
    """Failures before the r-th success; the probability of failure is e^θ."""

    _successes: float

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        yield (
            theta < 0,
            "a natural parameter is the logarithm of a probability below one and must be negative",
        )

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return -self._successes * _log_success(theta[..., 0])

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return self._successes * _odds(theta)

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        r = self._successes
        few = mu < r
        fewer, more = np.where(few, mu, r), np.where(few, r, mu)
        return np.where(few, np.log(fewer) - np.log(r) - np.log1p(fewer / r), -np.log1p(r / more))

    def _variance(self, theta: FloatArray) -> FloatArray:
        return self._successes * _odds(theta) / -np.expm1(theta)

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        a, b = theta_a[..., 0], theta_b[..., 0]
        d = b - a
        near = (np.abs(d) < 1.0) & (np.abs(d) < np.minimum(-a, -b))
        result = np.asarray(_log_success(a) - _log_success(b) - _odds(a) * d)
        if np.any(near):
            result[near] = integrated_bregman(
                lambda point, step: _odds(point) / -np.expm1(point) * step**2, a[near], d[near]
            )
        return self._successes * result


@dataclass(frozen=True, eq=False)
class Geometric(_Failures):
    """Number of failures before the first success, 0, 1, 2, ….

    φ(x) = x, θ = log(1 − p) < 0 with p the probability of success, A(θ) = −log(1 − e^θ), counting measure, mean (1 − p)/p.
    Full precision for means from 1e-300 to 1e15.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Geometric()
    >>> family.to_mean(np.log([0.75])).round(6)  # p = 1/4
    array([3.])
    >>> float(family.entropy(np.log([0.5])).round(6))  # 2 log 2
    1.386294
    """

    _successes = 1.0

    def _entropy(self, theta: FloatArray) -> FloatArray:
        single = theta[..., 0]
        return -_log_success(single) - single * _odds(single)

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        """⌊E/(−θ)⌋ with E exponential: P(x ≥ k) = P(E ≥ −kθ) = e^(kθ)."""
        return _as_counts(np.floor(rng.standard_exponential((*theta.shape[:-1], n)) / -theta))

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        return _negative_binomial_draws(float(n), theta, rng) / n

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.count_moments import geometric_moments

        odds = _odds(theta)
        return geometric_moments(theta, odds, n, key) if np.all(odds <= _LARGEST_COUNTED) else None

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.count_draws import geometric_draw

        odds = _odds(theta)
        return [geometric_draw(theta, odds)] if np.all(odds <= _LARGEST_COUNTED) else None


@dataclass(frozen=True, eq=False)
class NegativeBinomial(_Failures):
    """Number of failures before the r-th success, for a known r that need not be an integer.

    φ(x) = x, θ = log(1 − p) < 0 with p the probability of success, A(θ) = −r log(1 − e^θ), base measure Γ(x + r)/(Γ(r) x!).
    Full precision for r from 1e-3 to 1e9 and means from 1e-300 max(1, r) to 1e15.

    Parameters
    ----------
    r : float
        Number of successes, positive and finite.

    Notes
    -----
    E[log h] = ∫ (e^(−t) − e^(−rt)) (1 − G(e^(−t))) / (t (1 − e^(−t))) dt over t > 0, with G the probability generating function:
    the expectation of Malmsten's integral for log Γ (DLMF 5.9.16), whose integrand keeps its sign.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.NegativeBinomial(r=2.5)
    >>> family.to_natural([2.5]).round(6)  # p = 1/2
    array([-0.693147])
    """

    r: float

    def __post_init__(self) -> None:
        require_number("NegativeBinomial", "r", self.r)

    @property
    def _successes(self) -> float:  # type: ignore[override]
        return float(self.r)

    def _log_base(self, x: AnyArray) -> FloatArray:
        x = x.astype(np.float64)
        count = np.maximum(x, 1.0)
        return np.where(x == 0, 0.0, _log_rising(float(self.r), count))

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return _mean_log_rising(float(self.r), _odds(theta[..., 0]))

    def _entropy(self, theta: FloatArray) -> FloatArray:
        """A − θμ − E[log h]; for large r, where these three cancel, −E[log p] itself."""
        single, r = theta[..., 0], float(self.r)
        odds = _odds(single)
        if r > 100.0:
            return _lattice_sum(
                r * odds,
                np.sqrt(r * odds / -np.expm1(single)),
                lambda x: _log_failures_pmf(x, r, single, odds),
                lambda x, log_pmf: -log_pmf,
            )
        return -r * (_log_success(single) + single * odds) - _mean_log_rising(r, odds)

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return _as_counts(_negative_binomial_draws(float(self.r), np.broadcast_to(theta, (*theta.shape[:-1], n)), rng))

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        return _negative_binomial_draws(n * float(self.r), theta, rng) / n

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.count_moments import negative_binomial_moments

        odds = _odds(theta)
        counted = np.all(odds * max(float(self.r), 1.0) <= _LARGEST_COUNTED)
        return negative_binomial_moments(odds, float(self.r), n, key) if counted else None

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.count_draws import negative_binomial_draw

        odds = _odds(theta)
        counted = np.all(odds * max(float(self.r), 1.0) <= _LARGEST_COUNTED)
        return [negative_binomial_draw(odds, float(self.r))] if counted else None


@dataclass(frozen=True, eq=False)
class Binomial(_Count):
    """Number of successes in a known number of trials.

    φ(x) = x, θ = log(p/(1 − p)), A(θ) = trials · log(1 + e^θ), base measure the binomial coefficient. Full precision for p
    from 1e-300 up to 1 − 1e-16 and up to 1e9 trials.

    Parameters
    ----------
    trials : int
        Number of trials, at least 1.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Binomial(trials=10)
    >>> family.to_mean([0.0])
    array([5.])
    >>> float(np.exp(family.log_prob(5, [0.0])).round(6))  # 252/1024
    0.246094
    """

    trials: int

    def __post_init__(self) -> None:
        require_integer("Binomial", "trials", self.trials, 1)
        if self.trials > 2**53:
            raise InvalidInput(f"Binomial: trials is {self.trials}; at most 2^53 are supported")

    def reference_mean(self) -> FloatArray:
        return np.array([0.5 * self.trials])

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield (
            (x >= 0) & (x <= self.trials) & (x == np.floor(x)),
            f"it must be an integer from 0 to {self.trials}",
        )

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield (mu > 0) & (mu < self.trials), f"the mean must lie strictly between 0 and {self.trials}"

    def _log_base(self, x: AnyArray) -> FloatArray:
        return _log_choose(float(self.trials), x.astype(np.float64))

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        return self.trials * np.logaddexp(0.0, theta[..., 0])

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        return np.asarray(self.trials * expit(theta))

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        rest = self.trials - mu
        return np.where(mu < 0.25 * self.trials, np.log(mu) - np.log(rest), np.log(np.maximum(mu, 0.25) / rest))

    def _variance(self, theta: FloatArray) -> FloatArray:
        return np.asarray(self.trials * expit(theta) * expit(-theta))

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return self._sum(theta, lambda x, log_pmf: _log_choose(float(self.trials), x))

    def _entropy(self, theta: FloatArray) -> FloatArray:
        return self._sum(theta, lambda x, log_pmf: -log_pmf)

    def _sum(self, theta: FloatArray, f: Callable[[FloatArray, FloatArray], FloatArray]) -> FloatArray:
        """E[f(x, log p(x))] for an f that does not change when x and trials − x are swapped."""
        n, low = float(self.trials), -np.abs(theta[..., 0])
        p, q = expit(low), expit(-low)
        return _lattice_sum(n * p, np.sqrt(n * p * q), lambda x: _log_binomial_pmf(x, n, p, q), f)

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        return self.trials * log_odds_kl(theta_a[..., 0], theta_b[..., 0])

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        return self._draws(theta, self.trials, (*theta.shape[:-1], n), rng)

    def _draws(self, theta: FloatArray, trials: int, shape: tuple[int, ...], rng: np.random.Generator) -> AnyArray:
        """The rarer outcome is drawn, so that no probability near one loses its digits."""
        rare = rng.binomial(trials, np.broadcast_to(expit(-np.abs(theta)), shape))
        return np.where(theta > 0, trials - rare, rare)

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        if n * self.trials > _INT64_SAFE:
            return None
        return self._draws(theta, n * int(self.trials), theta.shape, rng) / n

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.count_moments import binomial_moments

        rare, scatter = binomial_moments(int(self.trials), expit(-np.abs(theta)), n, key)
        return np.where(theta > 0, self.trials - rare, rare), scatter

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.count_draws import binomial_draw

        return [binomial_draw(int(self.trials), expit(-np.abs(theta)), theta > 0)]


# ---------------------------------------------------------------------- elementary functions


def _log_success(theta: FloatArray) -> FloatArray:
    """log(1 − e^θ)."""
    near = theta > -0.6931471805599453
    return np.where(
        near, np.log(-np.expm1(np.where(near, theta, -1.0))), np.log1p(-np.exp(np.where(near, -1.0, theta)))
    )


def _odds(theta: FloatArray) -> FloatArray:
    """e^θ/(1 − e^θ), failures per success."""
    return np.exp(theta) / -np.expm1(theta)


_STIRLING_SMALL = np.array(
    [0.0] + [float(gammaln(k + 1.0) - (k + 0.5) * np.log(k) + k - _HALF_LOG_2PI) for k in range(1, 17)]
)


def _stirling_error(x: FloatArray) -> FloatArray:
    """log x! − ((x + ½) log x − x + ½ log 2π) for x > 0 that is an integer or above 16."""
    y = 1.0 / np.maximum(x, 16.0)
    z = y * y
    series = y * (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188 - z * (691 / 360360))))))
    return np.where(x > 16.0, series, _STIRLING_SMALL[np.minimum(x, 16.0).astype(np.int64)])


def _deviance(x: FloatArray, mean: FloatArray) -> FloatArray:
    """x log(x/mean) + mean − x, for x > 0: Loader's bd0."""
    difference = x - mean
    near = np.abs(difference) < 0.5 * mean
    u = np.where(near, difference, 0.0) / mean
    # (1 + u) log(1 + u) − u = u log(1 + u) − (u − log(1 + u))
    close = mean * (u * np.log1p(u) - ratio_gap(u))
    return np.where(near, close, x * (np.log(x) - np.log(mean)) - difference)


def _log_poisson_pmf(x: FloatArray, rate: FloatArray) -> FloatArray:
    count = np.maximum(x, 1.0)
    inner = -_deviance(count, rate) - _stirling_error(count) - 0.5 * np.log(count) - _HALF_LOG_2PI
    return np.where(x == 0, -rate, inner)


def _log_saddle(x: FloatArray, y: FloatArray, p: FloatArray, q: FloatArray) -> FloatArray:
    """log of (x + y)!/(x! y!) p^x q^y for x, y > 0, where p + q = 1."""
    n = x + y
    errors = _stirling_error(n) - _stirling_error(x) - _stirling_error(y)
    return errors - _deviance(x, n * p) - _deviance(y, n * q) + 0.5 * np.log(n / x / y) - _HALF_LOG_2PI


def _log_binomial_pmf(x: FloatArray, n: float, p: FloatArray, q: FloatArray) -> FloatArray:
    """For p ≤ ½."""
    inner = _log_saddle(np.clip(x, 1.0, max(n - 1.0, 1.0)), np.clip(n - x, 1.0, max(n - 1.0, 1.0)), p, q)
    return np.where(x == 0, n * np.log1p(-p), np.where(x == n, n * np.log(p), np.where(x > n, -np.inf, inner)))


def _log_failures_pmf(x: FloatArray, r: float, theta: FloatArray, odds: FloatArray) -> FloatArray:
    """Γ(x + r)/(Γ(r) x!) (1 − e^θ)^r e^(xθ) for r > 16."""
    count = np.maximum(x, 1.0)
    number = np.full_like(count, r)
    inner = _log_saddle(count, number, np.exp(theta), -np.expm1(theta)) - np.log1p(count / r)
    return np.where(x == 0, r * _log_success(theta), inner)


def _log_choose(n: float, x: FloatArray) -> FloatArray:
    """log of the binomial coefficient, without the cancellation of three log-gammas; zero at 0 and n exactly."""
    k = np.clip(np.minimum(x, n - x), 1.0, None)
    rest = np.maximum(n - k, 1.0)
    entropy = k * np.log(n / k) - rest * np.log1p(-np.minimum(k / n, 0.5))
    errors = _stirling_error(np.full_like(k, n)) - _stirling_error(k) - _stirling_error(rest)
    inner = entropy + errors + 0.5 * np.log(n / k / rest) - _HALF_LOG_2PI
    return np.where((x <= 0) | (x >= n), 0.0, inner)


# ---------------------------------------------------------------------- expectations


def _lattice_sum(
    mean: FloatArray,
    deviation: FloatArray,
    log_pmf: Callable[[FloatArray], FloatArray],
    f: Callable[[FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    """Σ_x p(x) f(x, log p(x)) over x = 0, 1, …, for laws whose tails are no heavier than those of a Gamma law of shape 100.

    A deviation below 8 (mean at most 128) is summed term by term over 0 … 254, which leaves out less than e^−40. A larger one is
    summed over a lattice with a step of about half a deviation, 40 steps to either side.
    """
    wide = deviation >= 8.0
    step = np.where(wide, np.floor(deviation / 2.0), 1.0)
    centre = np.where(wide, np.round(mean), 127.0)
    reach = 40 if bool(np.all(wide)) else 127
    total = np.zeros_like(mean)
    with np.errstate(all="ignore"):
        for k in range(-reach, reach + 1):
            x = centre + k * step
            log_p = log_pmf(np.maximum(x, 0.0))
            term = np.exp(log_p) * f(np.maximum(x, 0.0), log_p)
            total += np.where((x >= 0.0) & (np.exp(log_p) > 0.0), step * term, 0.0)
    return total


def _poisson_sum(rate: FloatArray, f: Callable[[FloatArray, FloatArray], FloatArray]) -> FloatArray:
    return _lattice_sum(rate, np.sqrt(rate), lambda x: _log_poisson_pmf(x, rate), f)


def _log_rising(r: float, x: FloatArray) -> FloatArray:
    """log of Γ(x + r)/(Γ(r) x!) for x ≥ 1."""
    if r > 16.0:
        count = np.full_like(x, r)
        return _log_choose_real(x, count) - np.log1p(x / r)
    large = x > 1e3
    big = np.where(large, x, 1e3)
    ratio = _log_gamma_ratio(big, r)
    plain = gammaln(np.where(large, 1.0, x) + r) - gammaln(np.where(large, 1.0, x) + 1.0)
    return np.asarray(np.where(large, ratio, plain) - gammaln(r))


def _log_choose_real(x: FloatArray, y: FloatArray) -> FloatArray:
    """log of (x + y)!/(x! y!) for x ≥ 1 an integer or above 16, y > 16."""
    n = x + y
    errors = _stirling_error(n) - _stirling_error(x) - _stirling_error(y)
    return x * np.log1p(y / x) + y * np.log1p(x / y) + errors + 0.5 * np.log(n / x / y) - _HALF_LOG_2PI


def _log_gamma_ratio(x: FloatArray, r: float) -> FloatArray:
    """log of Γ(x + r)/Γ(x + 1) for large x and moderate r: Stirling's series with the leading terms subtracted by hand."""
    top, bottom = x + (r - 1.0), x
    u = (r - 1.0) / x
    leading = x * (u * np.log1p(u) - ratio_gap(u)) + (r - 1.0) * np.log(x) + 0.5 * np.log1p(u)
    return leading + _stirling_error(top) - _stirling_error(bottom)


def _mean_log_rising(r: float, odds: FloatArray) -> FloatArray:
    """E[log Γ(x + r)/(Γ(r) x!)] by the integral in :class:`NegativeBinomial`, trapezoidal in log t (exponentially accurate)."""
    step = 0.2
    largest = max(float(np.max(odds, initial=1.0)) * max(r, 1.0), 1.0 / r, 1.0)
    start, stop = -np.log(largest) - 42.0, np.log(42.0 / min(r, 1.0))
    total = np.zeros_like(odds)
    for v in np.arange(start, stop, step):
        t = np.exp(v)
        rises = -np.expm1(-t)
        kernel = np.exp(-min(r, 1.0) * t) * -np.expm1(-abs(r - 1.0) * t) / rises
        total += kernel * -np.expm1(-r * np.log1p(odds * rises))
    return np.asarray(np.sign(r - 1.0) * step * total)


# ---------------------------------------------------------------------- sampling


def _as_counts(draws: AnyArray) -> AnyArray:
    """int64 where all draws fit, else whole float64 numbers."""
    return draws.astype(np.int64) if draws.size == 0 or draws.max() < _INT64_SAFE else draws


def _poisson_draws(rate: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One Poisson draw for each rate, as float64."""
    large = rate > _NUMPY_POISSON_MAX
    draws = rng.poisson(np.where(large, 0.0, rate)).astype(np.float64)
    if np.any(large):
        draws[large] = _large_poisson_draws(rate[large], rng)
    return draws


def _large_poisson_draws(rate: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Hörmann's PTRS: transformed rejection, with the acceptance test on log-probabilities that do not cancel."""
    b = 0.931 + 2.53 * np.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    draws = np.empty_like(rate)
    left: AnyArray = np.arange(rate.size)
    while left.size:
        u, v = rng.random(left.size) - 0.5, 1.0 - rng.random(left.size)
        us = 0.5 - np.abs(u)
        inside = us > 0.0
        us = np.where(inside, us, 0.5)
        mean, width = rate[left], b[left]
        whole = np.floor(mean)
        k = whole + np.floor((2.0 * a[left] / us + width) * u + (mean - whole) + 0.43)
        bound = np.log(v * inverse_alpha[left] / (a[left] / us**2 + width))
        inside &= (k >= 0.0) & ((us >= 0.013) | (v <= us))
        accept: BoolArray = inside & (bound <= _log_poisson_pmf(np.maximum(k, 0.0), mean))
        draws[left[accept]] = k[accept]
        left = left[~accept]
    return draws


def _negative_binomial_draws(r: float, theta: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A Poisson law whose rate follows a Gamma law."""
    return _poisson_draws(rng.standard_gamma(r, theta.shape) * _odds(theta), rng)
