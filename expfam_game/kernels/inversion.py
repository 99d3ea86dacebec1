"""Mean → natural parameters where the map has no closed inverse: Gamma, Dirichlet (Beta), von Mises(–Fisher).

Every residual is evaluated without cancellation (``special_functions``), and the start is analytic. For Gamma and Dirichlet
Newton runs in the variable in which the map is nearly linear (1/α); for von Mises–Fisher Halley's method, which is exact
for maps of the shape that this one has at both ends. A row that does not converge comes back as NaN: the family turns that
into ``InversionFailed`` and names the agent.

Sources: T. Minka, "Estimating a Gamma distribution" (2002) and "Estimating a Dirichlet distribution" (2000, rev. 2012);
S. Sra, "A short note on parameter approximation for von Mises–Fisher distributions", Comput. Stat. 27 (2012) 177.
"""

from __future__ import annotations

import math

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.kernels.compiling import compiled
from expfam_game.kernels.special_functions import (
    bessel_ratio,
    digamma,
    digamma_difference,
    log_minus_digamma,
    total_except,
    trigamma_difference,
    trigamma_excess,
)

_STEP = 3e-9
"""Newton converges quadratically: after a relative step below this, the next iterate is exact to rounding."""


@compiled
def _scaled(x: float, r: float) -> float:
    """A positive x changed by the relative Newton step r: x(1 + r) upwards, at most fivefold, x/(1 − r) downwards."""
    return x * (1.0 + min(r, 4.0)) if r >= 0.0 else x / (1.0 - r)


# ---------------------------------------------------------------------- Gamma


_ALL_INVERSE = 1e100
"""log a − ψ(a) = 1/a + log a + γ + …, of which from here on only 1/a is left in a double; squares would overflow."""


@compiled
def gamma_shape(s: float) -> float:
    """The shape a > 0 with log a − ψ(a) = s, for s > 0; NaN if Newton does not converge."""
    if s > _ALL_INVERSE:
        return 1.0 / s
    t = s - 3.0
    root = math.sqrt(t * t + 24.0 * s)
    a = 2.0 / (t + root) if t > 0.0 else (root - t) / (12.0 * s)
    for _ in range(20):
        # Newton in 1/a, in which h is nearly linear: dh/d(1/a) = a² g(a).
        inverse = 1.0 / a + (s - log_minus_digamma(a)) / (a * a * trigamma_excess(a))
        following = 1.0 / inverse if inverse > 0.0 else 0.5 * a
        if abs(following - a) <= _STEP * a:
            return following
        a = following
    return np.nan


@compiled
def gamma_shapes(s: FloatArray) -> FloatArray:
    """``gamma_shape`` of each entry of a flat array."""
    out = np.empty_like(s)
    for i in range(s.size):
        out[i] = gamma_shape(s[i])
    return out


# ---------------------------------------------------------------------- Dirichlet


@compiled
def _polygammas(x: float) -> tuple[float, float]:
    """ψ(x) and ψ'(x) for x > 0 to about 1e-9 relative to max(1, |ψ|) and ψ': for starts and for the slopes of Newton steps."""
    low, slope = 0.0, 0.0
    while x < 5.0:
        y = 1.0 / x
        low += y
        slope += y * y
        x += 1.0
    y = 1.0 / x
    z = y * y
    value = math.log(x) - y * (0.5 + y * (1 / 12 + z * (-1 / 120 + z * (1 / 252 - z / 240)))) - low
    tail = z * (1 / 6 + z * (-1 / 30 + z * (1 / 42 + z * (-1 / 30 + z * (5 / 66)))))
    return value, slope + y * (1.0 + 0.5 * y + tail)


@compiled
def _inverse_digamma(y: float) -> float:
    """x > 0 with ψ(x) = y, to about 1e-6: good enough for a start (Minka 2000, appendix C)."""
    x = math.exp(y) + 0.5 if y >= -2.22 else -1.0 / (y + 0.5772156649015329)
    for _ in range(4):
        value, slope = _polygammas(x)
        r = (y - value) / (slope * x)
        x = _scaled(x, r)
        if abs(r) < 1e-3:
            break
    return x


@compiled
def _inverse_digamma_difference(d: float, c: float, x: float) -> float:
    """x > 0 with ψ(x + d) − ψ(x) = c, decreasing in x; from the start x or a bound, whichever is larger."""
    growth = math.expm1(c)
    if growth < 1e300:
        x = max(x, d / growth)
    x = max(x, 0.5 * (math.sqrt(d * d + 4.0 * d / c) - d))
    for _ in range(12):
        slope = trigamma_difference(x, d)
        if not slope > 0.0:
            return x
        r = (digamma_difference(x, d) - c) / (slope * x)
        x = _scaled(x, r)
        if abs(r) < 1e-6:
            break
    return x


@compiled
def _dirichlet_residual(a: FloatArray, g: FloatArray) -> float:
    """max_c |E[log x_c] − g_c| / |g_c|."""
    worst = 0.0
    for c in range(a.size):
        worst = max(worst, abs((digamma_difference(a[c], total_except(a, c)) + g[c]) / g[c]))
    return worst


@compiled
def _balanced_start(g: FloatArray, a: FloatArray) -> None:
    """Concentrations of similar size: α_0 from the gap of Jensen's inequality, then two of Minka's fixed-point steps."""
    top = g.max()
    gap = max(-(top + math.log(np.exp(g - top).sum())), 1e-17)
    total = 0.5 * (g.size - 1) / gap
    for _ in range(2):
        level = _polygammas(total)[0]
        for c in range(g.size):
            a[c] = _inverse_digamma(g[c] + level)
        total = a.sum()


@compiled
def _dominant_start(g: FloatArray, a: FloatArray) -> None:
    """Mixed scales: the entry with the largest mean dominates and is solved for given the sum of the others."""
    m = int(np.argmax(g))
    total = 1.46
    for _ in range(5):
        level = digamma(total)
        for c in range(g.size):
            if c != m:
                a[c] = _inverse_digamma(g[c] + level)
        rest = total_except(a, m)
        a[m] = _inverse_digamma_difference(rest, -g[m], total)
        total = rest + a[m]


@compiled
def _dirichlet_start(g: FloatArray, a: FloatArray, spare: FloatArray) -> None:
    _balanced_start(g, a)
    residual = _dirichlet_residual(a, g)
    if not residual < 0.3:
        _dominant_start(g, spare)
        if not residual <= _dirichlet_residual(spare, g):
            a[:] = spare


@compiled
def _dirichlet_newton_step(g: FloatArray, a: FloatArray, f: FloatArray, q: FloatArray) -> tuple[float, float]:
    """Residuals f_c = E[log x_c] − g_c and q_c = 1/ψ'(α_c); returns max |f/g| and Newton's shared shift.

    The Hessian diag(ψ'(α_c)) − ψ'(α_0) 1 1ᵀ is inverted by Sherman–Morrison. Its denominator 1 − ψ'(α_0) Σ q_c is
    written relative to the largest entry m, as (ψ'(α_m) − ψ'(α_0)) q_m − ψ'(α_0) Σ_{c≠m} q_c.
    """
    m = int(np.argmax(a))
    rest = total_except(a, m)
    total = rest + a[m]
    shared = _polygammas(total)[1]
    worst, pull, others = 0.0, 0.0, 0.0
    for c in range(a.size):
        f[c] = -digamma_difference(a[c], rest if c == m else total - a[c]) - g[c]
        q[c] = 1.0 / _polygammas(a[c])[1]
        worst = max(worst, abs(f[c] / g[c]))
        pull -= f[c] * q[c]
        others += 0.0 if c == m else q[c]
    denominator = trigamma_difference(a[m], rest) * q[m] - shared * others
    if not denominator > 0.0:  # rounding at very large concentrations; its limit for α → ∞
        denominator = 0.5 * (a.size - 1) / total
    return worst, shared * pull / denominator


@compiled
def _dirichlet_row(g: FloatArray, out: FloatArray) -> bool:
    """Write the α with ψ(α_c) − ψ(α_0) = g_c to ``out``; whether its residual reached rounding level."""
    a, f, q = np.empty_like(g), np.empty_like(g), np.empty_like(g)
    _dirichlet_start(g, a, f)
    best = np.inf
    for step in range(60):
        worst, shift = _dirichlet_newton_step(g, a, f, q)
        stalled = step > 3 and worst >= 0.25 * best and best < 1e-13
        if worst < best:
            best = worst
            out[:] = a
        if best < 3e-16 or stalled:
            return True
        largest = 0.0
        for c in range(a.size):
            r = (shift - f[c]) * q[c] / a[c]
            largest = max(largest, abs(r))
            a[c] = _scaled(a[c], r)
        if largest <= _STEP:
            out[:] = a
            return True
    return False


@compiled
def dirichlet_concentrations(mean_log: FloatArray) -> FloatArray:
    """The concentrations with E[log x_c] = ``mean_log``, row by row, shape (n, k); rows of NaN where Newton fails."""
    out = np.empty_like(mean_log)
    for i in range(out.shape[0]):
        if not _dirichlet_row(mean_log[i], out[i]):
            out[i] = np.nan
    return out


# ---------------------------------------------------------------------- von Mises–Fisher


_MODEST = 1e-280, 1e280
"""Between these a sum of squares has lost nothing to underflow or overflow."""

_CUBIC_STEP = 4e-6
"""Halley converges cubically: after a relative step below this, the next iterate is exact to rounding."""


@compiled
def _sum_of_squares(row: FloatArray, unit: float) -> float:
    """Σ (x/unit)², compensated (A. Neumaier, ZAMM 54 (1974) 39): as exact for many entries as for few."""
    total, lost = 0.0, 0.0
    for value in row:
        term = (value if unit == 1.0 else value / unit) ** 2
        following = total + term
        lost += (total - following) + term if total >= term else (term - following) + total
        total = following
    return total + lost if math.isfinite(total) else total


@compiled
def lengths(rows: FloatArray) -> FloatArray:
    """Euclidean length of each row, shape (n, d) to (n,), also where squares underflow or overflow."""
    out = np.empty(rows.shape[0])
    for i in range(out.size):
        unit, squares = 1.0, _sum_of_squares(rows[i], 1.0)
        if not _MODEST[0] < squares < _MODEST[1]:
            top = np.max(np.abs(rows[i]))
            if 0.0 < top < np.inf:
                unit, squares = top, _sum_of_squares(rows[i], top)
        out[i] = unit * math.sqrt(squares)
    return out


@compiled
def concentration_start(d: float, length: float, complement: float) -> float:
    """κ with A_d(κ) ≈ ``length`` = R: within 1.4 % for every R and d, within 0.2 % from d = 10 on.

    κ (1 − R²)/R falls from d at R = 0 to d − 1 at R = 1; Sra takes d − R². Written as d − 1 + (1 − x) s with x = R², it has
    s = 1 − x (d − 2)/(d + 2) + … at x = 0 (power series of A_d), s = ½ at x = 1 (Hankel's expansion) and s → 1/(1 + x) for
    d → ∞ (Debye's): the s below is a simple function with all three.
    """
    x, gap = length * length, complement * (1.0 + length)
    s = (d + 2.0 - 2.0 * x * x) / (d + 2.0 + (d - 2.0) * x)
    return length * (d - 1.0 + gap * s) / gap


@compiled
def resultant_concentration(nu: float, length: float, complement: float) -> float:
    """κ with A_d(κ) = ``length``, d = 2ν + 2; ``complement`` is 1 − length, as accurately as it is known.

    Halley's method, exact for maps (a + bκ)/(1 + cκ), which A_d resembles at both ends: after at most two steps the next
    would change nothing. NaN if it does not converge. The second derivative comes for nothing from Riccati's equation
    A' = 1 − A² − (d − 1)A/κ: A'' = (d − 1)(A/κ − A')/κ − 2AA'.
    """
    d = 2.0 * nu + 2.0
    kappa = concentration_start(d, length, complement)
    for _ in range(20):
        over_kappa, below_one, slope = bessel_ratio(nu, kappa)
        missing = length - kappa * over_kappa if length < 0.5 else below_one - complement
        bend = 0.5 * (d - 1.0) * (over_kappa / slope - 1.0) - kappa * kappa * over_kappa  # κ A''/(2A')
        newton = missing / (slope * kappa)
        r = newton / (1.0 + newton * bend)
        kappa += kappa * r
        if abs(r) <= _CUBIC_STEP:
            return kappa
    return np.nan


@compiled
def resultant_concentrations(nu: float, length: FloatArray, complement: FloatArray) -> FloatArray:
    """``resultant_concentration`` of each entry of flat arrays; zero where the length is zero."""
    out = np.zeros_like(length)
    for i in range(length.size):
        if length[i] > 0.0:
            out[i] = resultant_concentration(nu, length[i], complement[i])
    return out
