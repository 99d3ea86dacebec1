"""Gamma and Bessel functions in the combinations that exponential families need, each without cancellation.

Reading order: the digamma family (what Gamma, Beta and Dirichlet are made of), then the Bessel ratio (von Mises and
von Mises–Fisher). Scalar functions for other kernels, and drivers over flat arrays for the families.

Notation: h(a) = log a − ψ(a); g(a) = ψ'(a) − 1/a = −h'(a); G(a) = log Γ(a) − a log a + a, so that G' = −h and G'' = g.
All of h, g > 0 stay O(1/a), O(1/a²) where log a, ψ' and log Γ would cancel against their leading terms.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from expfam_game._typing import FloatArray
from expfam_game.kernels.compiling import compiled

# ---------------------------------------------------------------------- digamma family

_SHIFT = 10.0
"""Arguments are shifted above this by the recurrence; the asymptotic series below are then good to one rounding."""


@compiled
def log_minus_digamma(a: float) -> float:
    """h(a) = log a − ψ(a) for a > 0, to a few units in the last place."""
    shifted = 0.0
    x = a
    while x < _SHIFT:
        shifted += 1.0 / x
        x += 1.0
    y = 1.0 / x
    z = y * y
    tail = 1 / 252 + z * (-1 / 240 + z * (1 / 132 + z * (-691 / 32760 + z / 12)))
    series = y * (0.5 + y * (1 / 12 + z * (-1 / 120 + z * tail)))
    if x == a:
        return series
    return series + shifted + math.log(a / x)


@compiled
def trigamma_excess(a: float) -> float:
    """g(a) = ψ'(a) − 1/a for a > 0, as a sum of positive terms: each unit shift adds 1/(x²(x + 1))."""
    shifted = 0.0
    x = a
    while x < _SHIFT:
        shifted += 1.0 / (x * x * (x + 1.0))
        x += 1.0
    y = 1.0 / x
    z = y * y
    tail = 1 / 42 + z * (-1 / 30 + z * (5 / 66 + z * (-691 / 2730 + z * (7 / 6))))
    return shifted + z * (0.5 + y * (1 / 6 + z * (-1 / 30 + z * tail)))


@compiled
def stirling_gap(a: float) -> float:
    """G(a) = log Γ(a) − a log a + a for a > 0: Stirling's remainder, about ½ log(2π/a)."""
    if a < _SHIFT:
        return math.lgamma(a) - a * math.log(a) + a
    y = 1.0 / a
    z = y * y
    tail = 1 / 1260 + z * (-1 / 1680 + z * (1 / 1188 + z * (-691 / 360360 + z / 156)))
    return 0.5 * math.log(2.0 * math.pi * y) + y * (1 / 12 + z * (-1 / 360 + z * tail))


@compiled
def digamma(a: float) -> float:
    """ψ(a) for a > 0."""
    return math.log(a) - log_minus_digamma(a)


@compiled
def trigamma(a: float) -> float:
    """ψ'(a) for a > 0."""
    return 1.0 / a + trigamma_excess(a)


@compiled
def digamma_difference(x: float, d: float) -> float:
    """ψ(x + d) − ψ(x) for x, d ≥ 0, x > 0: a sum of positive terms, so relative accuracy at any scale of d."""
    shifted = 0.0
    while x < _SHIFT:
        shifted += d / (x * (x + d))
        x += 1.0
    # With a = 1/x, b = 1/(x + d): a^2m − b^2m = (a − b) times a positive polynomial, and a − b = d a b.
    a, b = 1.0 / x, 1.0 / (x + d)
    a2, b2 = a * a, b * b
    a4, b4 = a2 * a2, b2 * b2
    e2 = a + b
    e4 = e2 * (a2 + b2)
    e6 = e2 * (a4 + a2 * b2 + b4)
    e8 = e4 * (a4 + b4)
    e10 = e2 * (a4 * a4 + a4 * a2 * b2 + a4 * b4 + a2 * b2 * b4 + b4 * b4)
    e12 = e6 * (a4 * a2 + b4 * b2)
    series = 0.5 + e2 / 12 - e4 / 120 + e6 / 252 - e8 / 240 + e10 / 132 - e12 * (691 / 32760)
    return shifted + math.log1p(d * a) + d * a * b * series


@compiled
def trigamma_excess_difference(x: float, d: float) -> float:
    """g(x) − g(x + d) for x > 0, d ≥ 0, again as a sum of positive terms."""
    shifted = 0.0
    while x < _SHIFT:
        w = x + d
        shifted += d * (w * w + w * x + x * x + w + x) / (x * x * (x + 1.0)) / (w * w * (w + 1.0))
        x += 1.0
    a, b = 1.0 / x, 1.0 / (x + d)
    a2, b2, ab = a * a, b * b, a * b
    e3 = a2 + ab + b2
    e5 = a2 * (a2 + ab + b2) + b2 * (ab + b2)
    e7 = e5 * a2 + b2 * b2 * (ab + b2)
    e9 = e7 * a2 + b2 * b2 * b2 * (ab + b2)
    e11 = e9 * a2 + b2 * b2 * b2 * b2 * (ab + b2)
    e13 = e11 * a2 + b2 * b2 * b2 * b2 * b2 * (ab + b2)
    e15 = e13 * a2 + b2 * b2 * b2 * b2 * b2 * b2 * (ab + b2)
    tail = e11 * (5 / 66) - e13 * (691 / 2730) + e15 * (7 / 6)
    series = 0.5 * (a + b) + e3 / 6 - e5 / 30 + e7 / 42 - e9 / 30 + tail
    return shifted + d * ab * series


@compiled
def trigamma_difference(x: float, d: float) -> float:
    """ψ'(x) − ψ'(x + d) for x > 0, d ≥ 0."""
    return d / x / (x + d) + trigamma_excess_difference(x, d)


@compiled
def log1p_gap(x: float) -> float:
    """x − log(1 + x) ≥ 0 for x > −1, to full relative accuracy also near zero."""
    if x < -0.5 or x > 1.0:
        return x - math.log1p(x)
    r = x / (2.0 + x)  # log(1 + x) = 2 artanh r and x − 2r = r x
    power, total, n = r * r * r, 0.0, 3
    while abs(power) > 1e-17 * r * r:
        total += power / n
        power *= r * r
        n += 2
    return r * x - 2.0 * total


@compiled
def gamma_functions(a: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """h, g and G of each entry of a flat array."""
    h, g, big_g = np.empty_like(a), np.empty_like(a), np.empty_like(a)
    for i in range(a.size):
        h[i], g[i], big_g[i] = log_minus_digamma(a[i]), trigamma_excess(a[i]), stirling_gap(a[i])
    return h, g, big_g


@compiled
def log1p_gaps(x: FloatArray) -> FloatArray:
    """``log1p_gap`` of each entry of a flat array."""
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = log1p_gap(x[i])
    return out


# ---------------------------------------------------------------------- Dirichlet

_KL_NODES, _KL_WEIGHTS = np.polynomial.legendre.leggauss(12)
_KL_NODES, _KL_WEIGHTS = (_KL_NODES + 1.0) / 2.0, _KL_WEIGHTS / 2.0


@compiled
def total_except(a: FloatArray, c: int) -> float:
    """Σ_{j ≠ c} a_j, added without a_c: the difference Σ a − a_c would cancel where a_c dominates."""
    return float(a[:c].sum() + a[c + 1 :].sum())


@compiled
def dirichlet_moments(alpha: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """E[log x_c], Var(log x_c) and ψ'(Σ α) for each row of concentrations, shape (n, k)."""
    mean, variance, shared = np.empty_like(alpha), np.empty_like(alpha), np.empty(alpha.shape[0])
    for i in range(alpha.shape[0]):
        row = alpha[i]
        m = int(np.argmax(row))
        rest = total_except(row, m)
        total = rest + row[m]
        for c in range(row.size):
            others = rest if c == m else total - row[c]
            mean[i, c] = -digamma_difference(row[c], others)
            variance[i, c] = trigamma_difference(row[c], others)
        shared[i] = trigamma(total)
    return mean, variance, shared


@compiled
def dirichlet_log_partition(alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A(α) = Σ log Γ(α_c) − log Γ(Σ α), and the entropy less Σ E[log x_c], for each row.

    With log Γ(a) = a log a − a + G(a): A = Σ α_c log(α_c/α_0) + Σ G(α_c) − G(α_0), and the entropy keeps only
    E(a) = G(a) + a h(a), which is O(log a): the terms of order α cancel in the algebra, not in the arithmetic.
    """
    n = alpha.shape[0]
    log_partition, entropy = np.empty(n), np.empty(n)
    for i in range(n):
        row = alpha[i]
        m = int(np.argmax(row))
        rest = total_except(row, m)
        total = rest + row[m]
        gap = stirling_gap(total)
        value, spread = -gap, -gap - total * log_minus_digamma(total)
        for c in range(row.size):
            log_share = -math.log1p(rest / row[c]) if c == m else math.log(row[c] / total)
            gap = stirling_gap(row[c])
            value += row[c] * log_share + gap
            spread += gap + row[c] * log_minus_digamma(row[c])
        log_partition[i], entropy[i] = value, spread
    return log_partition, entropy


@compiled
def _dirichlet_quadratic(a: FloatArray, d: FloatArray) -> float:
    """dᵀF(a)d = Σ ψ'(a_c) d_c² − ψ'(a_0) d_0², as two non-negative parts (ψ' = 1/a + g).

    The 1/a part is a_0 times a variance of λ_c = d_c/a_c under the weights a_c/a_0; the g part is non-negative because
    a² g(a) decreases. Both are taken relative to the largest entry, so that nothing cancels where it dominates.
    """
    m = int(np.argmax(a))
    rest, drift, moment = 0.0, 0.0, 0.0
    for c in range(a.size):
        if c != m:
            rest += a[c]
            drift += d[c]
            moment += a[c] * (d[c] / a[c] - d[m] / a[m])
    total = rest + a[m]
    centre = moment / total
    value = a[m] * centre * centre
    value += trigamma_excess_difference(a[m], rest) * d[m] ** 2
    value -= trigamma_excess(total) * drift * (2.0 * d[m] + drift)
    for c in range(a.size):
        if c != m:
            value += a[c] * (d[c] / a[c] - d[m] / a[m] - centre) ** 2 + trigamma_excess(a[c]) * d[c] ** 2
    return float(value)


@compiled
def _dirichlet_half(start: FloatArray, end: FloatArray, from_first: bool) -> float:
    """∫ over the half of the segment next to ``start`` of (weight) dᵀF d, in panels on which no entry triples."""
    d = end - start
    point = np.empty_like(start)
    total, left = 0.0, 0.0
    while left < 0.5:
        width = 0.5 - left
        for c in range(d.size):
            if d[c] > 0.0:
                width = min(width, 2.0 * ((1.0 - left) * start[c] + left * end[c]) / d[c])
        for node, weight in zip(_KL_NODES, _KL_WEIGHTS):
            s = left + width * node
            for c in range(d.size):
                point[c] = (1.0 - s) * start[c] + s * end[c]
            total += width * weight * (1.0 - s if from_first else s) * _dirichlet_quadratic(point, d)
        left += width
    return total


@compiled
def _log_gamma_bregman(a: float, b: float, d: float) -> tuple[float, float]:
    """b log(b/a) + G(b) − G(a) − G'(a) d, d = b − a, and the sum of the sizes of its terms.

    This is log Γ(b) − log Γ(a) − ψ(a) d, less a − b, which adds up to zero over a Dirichlet.
    """
    linear = b * (math.log1p(d / a) if abs(d) < 0.5 * a else math.log(b / a))
    gap_b, gap_a, slope = stirling_gap(b), stirling_gap(a), log_minus_digamma(a) * d
    return linear + (gap_b - gap_a + slope), abs(linear) + abs(gap_b) + abs(gap_a) + abs(slope)


@compiled
def _dirichlet_kl_direct(a: FloatArray, b: FloatArray) -> tuple[float, float]:
    """The closed form of KL(a ‖ b), and the sum of the sizes of its terms."""
    value, size = _log_gamma_bregman(a.sum(), b.sum(), (b - a).sum())
    value = -value
    for c in range(a.size):
        term, term_size = _log_gamma_bregman(a[c], b[c], b[c] - a[c])
        value += term
        size += term_size
    return value, size


@compiled
def dirichlet_kl(alpha_a: FloatArray, alpha_b: FloatArray) -> FloatArray:
    """KL(Dirichlet(a) ‖ Dirichlet(b)) for each row: in closed form, or where that cancels as ∫ (1 − s) dᵀF(a + s d)d ds.

    The integrand is positive and computed to relative accuracy, and the panels are graded towards both ends, so the
    integral is accurate to about 1e-12 whatever the scales.
    """
    out = np.empty(alpha_a.shape[0])
    for i in range(out.size):
        a, b = alpha_a[i], alpha_b[i]
        value, size = _dirichlet_kl_direct(a, b)
        if value < 1e-4 * size:
            value = _dirichlet_half(a, b, True) + _dirichlet_half(b, a, False)
        out[i] = value
    return out


# ---------------------------------------------------------------------- Bessel ratio

_DEBYE_ORDER = 16
_DEBYE_FROM = 32.0
"""Debye's expansion is used where √(ν² + κ²) exceeds this: its 17th term is then below 1e-17."""


def _debye_coefficients() -> FloatArray:
    """c[k, j] of t^(k+2j) in Debye's polynomials U_k(t), from the recurrence DLMF 10.41.9, rounded once."""
    exact = [[Fraction(1)]]
    for k in range(_DEBYE_ORDER):
        following = [Fraction(0)] * (k + 2)
        for j, c in enumerate(exact[-1]):
            n = k + 2 * j
            following[j] += c * (Fraction(n, 2) + Fraction(1, 8 * (n + 1)))
            following[j + 1] -= c * (Fraction(n, 2) + Fraction(5, 8 * (n + 3)))
        exact.append(following)
    table = np.zeros((_DEBYE_ORDER + 1, _DEBYE_ORDER + 1))
    for k, row in enumerate(exact):
        table[k, : k + 1] = [float(c) for c in row]
    return table


_DEBYE = _debye_coefficients()


@compiled
def _debye_sums(nu: float, w: float) -> tuple[float, float, float]:
    """Σ c tⁿ/ν^k, Σ n c tⁿ/ν^k and Σ n² c tⁿ/ν^k with t = ν/w, n = k + 2j: Debye's sum and what its slopes need."""
    q = (nu / w) ** 2
    scale, s0, s1, s2 = 1.0, 0.0, 0.0, 0.0
    for k in range(_DEBYE_ORDER + 1):
        t0, t1, t2 = 0.0, 0.0, 0.0
        for j in range(k, -1, -1):
            n = k + 2.0 * j
            c = _DEBYE[k, j]
            t0, t1, t2 = t0 * q + c, t1 * q + n * c, t2 * q + n * n * c
        s0, s1, s2 = s0 + scale * t0, s1 + scale * t1, s2 + scale * t2
        scale /= w
        if scale < 1e-30:
            break
    return s0, s1, s2


@compiled
def _debye_ratio(nu: float, kappa: float) -> tuple[float, float, float]:
    """A/κ, 1 − A and A' by differentiating log I_ν = w − ν arsinh(ν/κ) − ½ log(2πw) + log S, w² = ν² + κ²."""
    w = math.hypot(nu, kappa)
    s0, s1, s2 = _debye_sums(nu, w)
    x = kappa / w
    first = -x / w * s1 / s0  # (log S)'
    second = (x * x * (s2 + 2.0 * s1) - s1) / (w * w) / s0 - first * first  # (log S)''
    span = kappa + nu + w
    complement = 2.0 * nu / span + 0.5 * x / w - first
    slope = 2.0 * nu * (1.0 + x) / (span * span) + 0.5 * (x * x - (nu / w) ** 2) / (w * w) + second
    # A/κ = (w − ν)/κ² − 1/(2w²) + (log S)'/κ and w − ν = κ²/(w + ν): finite also at κ = 0.
    over_kappa = 1.0 / (w + nu) - 0.5 / (w * w) - s1 / s0 / (w * w)
    return over_kappa, complement, slope


@compiled
def _recurrence_ratio(nu: float, kappa: float) -> tuple[float, float, float]:
    """A/κ, 1 − A and A' from Gauss's continued fraction ρ_ν = 1/(2(ν + 1) + κ² ρ_(ν+1)), ρ = A/κ, run backwards.

    Without divisions: with ρ_(ν+n) = p_(n+1)/p_n it is the recurrence p_n = 2(ν + n + 1) p_(n+1) + κ² p_(n+2) of positive
    numbers, which stay below 1e90 here. The start is the bound 1/ρ_ν ≤ ν + ½ + √((ν + 3/2)² + κ²) of D. Amos, Math. Comp.
    28 (1974) 239; its error shrinks like exp(−n²/κ) in n terms.
    """
    terms = 2 + int(math.sqrt(35.0 * kappa))
    square = kappa * kappa
    factor = 2.0 * (nu + 1.0 + terms)
    last, this = 1.0, 0.5 * (factor + 1.0) + math.sqrt(0.25 * (factor + 3.0) ** 2 + square)
    for _ in range(terms):
        last, this = this, factor * this + square * last
        factor -= 2.0
    above = last / this
    rho = 1.0 / (factor + square * above)
    return rho, 1.0 - kappa * rho, rho * (1.0 - square * (rho - above))


@compiled
def bessel_ratio(nu: float, kappa: float) -> tuple[float, float, float]:
    """A(κ)/κ, 1 − A(κ) and A'(κ) for A = I_(ν+1)/I_ν, ν ≥ 0, κ ≥ 0: the mean resultant length in dimension 2ν + 2.

    Relative accuracy 1e-15, 3e-14 and 2e-12 for κ up to 1e150 and any ν: the last two hold for κ just below 32, where 1 − A and A' are
    differences, and are far better elsewhere.
    """
    if nu * nu + kappa * kappa > _DEBYE_FROM * _DEBYE_FROM:
        return _debye_ratio(nu, kappa)
    return _recurrence_ratio(nu, kappa)


@compiled
def log_bessel_scaled(nu: float, kappa: float) -> float:
    """log[Γ(ν + 1) (2/κ)^ν I_ν(κ)] − κ = log ₀F₁(; ν + 1; κ²/4) − κ for ν ≥ 0, κ ≥ 0; zero at κ = 0."""
    if nu * nu + kappa * kappa > _DEBYE_FROM * _DEBYE_FROM:
        w = math.hypot(nu, kappa)
        s0 = _debye_sums(nu, w)[0]
        if nu < _SHIFT:
            constant = math.lgamma(nu + 1.0) - 0.5 * math.log(2.0 * math.pi) + nu * nu / (w + kappa)  # w − κ
            return constant - nu * math.log(0.5 * (nu + w)) - 0.5 * math.log(w) + math.log(s0)
        rise = kappa * kappa / (w + nu) / (2.0 * nu)  # (w − ν) / 2ν; Stirling's terms of Γ(ν + 1) cancel by hand
        remainder = stirling_gap(nu) - 0.5 * math.log(2.0 * math.pi / nu)
        linear = 2.0 * kappa * nu / (kappa + nu + w)  # κ + ν − w
        return remainder - linear - nu * math.log1p(rise) - 0.5 * math.log(w / nu) + math.log(s0)
    z, term, total, j = 0.25 * kappa * kappa, 1.0, 0.0, 1.0
    while term > 1e-18 * total:
        total += term
        term *= z / (j * (nu + j))
        j += 1.0
    return math.log(total) - kappa


@compiled
def bessel_ratios(nu: float, kappa: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``bessel_ratio`` of each entry of a flat array."""
    over_kappa, complement, slope = np.empty_like(kappa), np.empty_like(kappa), np.empty_like(kappa)
    for i in range(kappa.size):
        over_kappa[i], complement[i], slope[i] = bessel_ratio(nu, kappa[i])
    return over_kappa, complement, slope


@compiled
def log_bessels_scaled(nu: float, kappa: FloatArray) -> FloatArray:
    """``log_bessel_scaled`` of each entry of a flat array."""
    out = np.empty_like(kappa)
    for i in range(kappa.size):
        out[i] = log_bessel_scaled(nu, kappa[i])
    return out
