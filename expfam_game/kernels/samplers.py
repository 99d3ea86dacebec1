"""One-variate samplers that fill buffers: uniform, exponential, normal, log-Gamma, von Mises, counts.

Every loop over a buffer is free of branches, so that LLVM vectorises it; rejection samplers propose a whole buffer and
then move the accepted values together. Uniform numbers are (k + ½)/2^52: never 0 or 1. Their finite resolution cuts
the exponential law off at 36.7 and the normal law at 8.57, beyond which lie less than 2^-52 of either.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import int64, uint64

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.kernels.compiling import compiled, elementwise
from expfam_game.kernels.philox import (
    WORDS,
    bits_of,
    double_of,
    fill_words,
    next_uniform,
    tosses,
)
from expfam_game.kernels.special_functions import log1p_gap

# ---------------------------------------------------------------------- elementary functions without branches

_ONE = np.uint64(0x3FF0000000000000)
_FRACTION = np.uint64(0x000FFFFFFFFFFFFF)
_ROOT_HALF = np.uint64(0x3FE6A09E00000000)
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52
"""Adding it rounds a double to an integer, which then stands in the low bits."""


@elementwise
def uniform_of(word: Any) -> float:
    """A uniform number inside (0, 1) from the high 52 bits of a word."""
    return float(double_of((word >> uint64(12)) | _ONE) - (1.0 - 2.0**-53))


@elementwise
def fast_log(x: float) -> float:
    """log x of a positive normal double, within one unit in the last place (the scheme of fdlibm)."""
    shifted = bits_of(x) + (_ONE - _ROOT_HALF)
    k = np.float64(int64(shifted >> uint64(52)) - 1023)
    f = double_of((shifted & _FRACTION) + _ROOT_HALF) - 1.0
    q = f / (2.0 + f)
    z = q * q
    r = 1.479819860511658591e-01
    r = r * z + 1.531383769920937332e-01
    r = r * z + 1.818357216161805012e-01
    r = r * z + 2.222219843214978396e-01
    r = r * z + 2.857142874366239149e-01
    r = r * z + 3.999999999940941908e-01
    r = r * z + 6.666666666666735130e-01
    r = r * z
    h = 0.5 * f * f
    return float(k * _LN2_HIGH - ((h - (q * (h + r) + k * _LN2_LOW)) - f))


@elementwise
def fast_log1p(t: float) -> float:
    """log(1 + t) for t ≥ 0, to full relative accuracy."""
    u = 1.0 + t
    return fast_log(u) + (t - (u - 1.0)) / u


@elementwise
def fast_exp(x: float) -> float:
    """e^x for x ≤ 709, zero below −708, within two units in the last place."""
    y = max(x, -708.0)
    rounded = y * 1.4426950408889634 + _ROUND
    k = rounded - _ROUND
    r = (y - k * _LN2_HIGH) - k * _LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = 1.0 + (r + r * r * p)
    scaled = double_of(bits_of(p) + (bits_of(rounded) << uint64(52)))
    return scaled if x >= -708.0 else 0.0


@elementwise
def quarter_turn(word: Any) -> tuple[float, float]:
    """sine and cosine of an angle uniform in (−π/4, π/4), from bits 10 to 61 of a word."""
    y = double_of(((word >> uint64(10)) & _FRACTION) | _ONE) - 1.5 + 2.0**-53
    y = y * (0.5 * math.pi)
    t = y * y
    c = -1.13585365213876817300e-11
    c = c * t + 2.08757008419747316778e-09
    c = c * t - 2.75573141792967388112e-07
    c = c * t + 2.48015872888517045348e-05
    c = c * t - 1.38888888888730564116e-03
    c = c * t + 4.16666666666665929218e-02
    s = 1.58962301576546568060e-10
    s = s * t - 2.50507477628578072866e-08
    s = s * t + 2.75573136213857245213e-06
    s = s * t - 1.98412698295895385996e-04
    s = s * t + 8.33333333332211858878e-03
    s = s * t - 1.66666666666666307295e-01
    return y + y * t * s, 1.0 - 0.5 * t + t * t * c


# ---------------------------------------------------------------------- continuous laws


@elementwise
def fill_exponential(out: FloatArray, words: AnyArray, state: AnyArray) -> None:
    """Standard exponentials; ``words`` has the length of ``out``."""
    fill_words(words, state)
    for j in range(out.size):
        out[j] = -fast_log(uniform_of(words[j]))


@elementwise
def fill_normal(out: FloatArray, words: AnyArray, state: AnyArray) -> None:
    """Standard normals by Box and Muller: two words make two; ``words`` has the length of ``out``, which is even."""
    fill_words(words, state)
    half = out.size // 2
    first, second = words[:half], words[half:]
    x, y = out[:half], out[half:]
    for j in range(half):
        radius = math.sqrt(-2.0 * fast_log(uniform_of(first[j])))
        word = second[j]
        sine, cosine = quarter_turn(word)
        swap = (word >> uint64(62)) & uint64(1)
        radius = double_of(bits_of(radius) ^ (word & uint64(0x8000000000000000)))
        x[j] = radius * (cosine if swap else sine)
        y[j] = radius * (sine if swap else cosine)


@elementwise
def _propose_log_gamma(
    z: FloatArray, words: AnyArray, d: float, c: float, value: FloatArray, accepted: AnyArray
) -> None:
    """Marsaglia and Tsang's candidates v³ = (1 + c z)³ as 3 log v, and whether log u < z²/2 + d (1 − v³ + 3 log v)."""
    for j in range(z.size):
        x = z[j]
        v = 1.0 + c * x
        positive = v > 0.0
        log_v = 3.0 * fast_log(v if positive else 1.0)
        bound = 0.5 * x * x + d * (1.0 - v * v * v + log_v)
        value[j] = log_v
        accepted[j] = uint64(positive and fast_log(uniform_of(words[j])) < bound)


@compiled
def candidates(wanted: int, acceptance: float) -> int:
    """How many candidates to propose: as many as probably needed, a multiple of 32, at most a buffer."""
    return min(WORDS, (int(wanted / acceptance + 3.0 * math.sqrt(wanted)) | 31) + 1)


@compiled
def keep(values: FloatArray, accepted: AnyArray, out: FloatArray, done: int) -> Any:
    """Write the accepted values behind the first ``done`` of ``out`` until it is full; the number written so far."""
    position = uint64(done)
    surely = min(values.size, out.size - done)  # so many can be written without looking at the end
    for j in range(surely):
        out[position] = values[j]
        position += accepted[j]
    for j in range(surely, values.size):
        if position == uint64(out.size):
            break
        out[position] = values[j]
        position += accepted[j]
    return int64(position)


@elementwise
def _shift(out: FloatArray, by: float) -> None:
    for j in range(out.size):
        out[j] += by


@compiled
def fill_log_gamma(
    out: FloatArray, shape: float, z: FloatArray, words: AnyArray, accepted: AnyArray, state: AnyArray
) -> None:
    """log x of standard Gamma variates of any shape; the other buffers are work space of length WORDS.

    Shapes below one by log Gamma(a + 1) + log(u)/a (Marsaglia and Tsang 2000, §6): in logarithms nothing underflows.
    """
    small = shape < 1.0
    value = np.empty(WORDS)  # not z itself: a loop over buffers that overlap would not be vectorised
    d = (shape + 1.0 if small else shape) - 1.0 / 3.0
    c, log_d = 1.0 / math.sqrt(9.0 * d), math.log(d)
    done = 0
    while done < out.size:
        m = candidates(out.size - done, 0.95)
        fill_normal(z[:m], words[:m], state)
        fill_words(words[:m], state)
        _propose_log_gamma(z[:m], words[:m], d, c, value[:m], accepted[:m])
        done = keep(value[:m], accepted[:m], out, done)
    _shift(out, log_d)
    if small:
        for first in range(0, out.size, WORDS):
            rest = out[first : first + WORDS]
            used = words[: rest.size + (rest.size & 1)]
            fill_words(used, state)
            _boost(rest, used, 1.0 / shape)


@elementwise
def _boost(out: FloatArray, words: AnyArray, power: float) -> None:
    for j in range(out.size):
        out[j] += power * fast_log(uniform_of(words[j]))


@elementwise
def _turns(
    first: AnyArray, second: AnyArray, kappa: float, b: float, away: FloatArray, across: FloatArray, accepted: AnyArray
) -> None:
    """Best and Fisher's envelope, a wrapped Cauchy law, in half-angles h: tan h = √b tan(uniform).

    With s, c the sine and cosine of the uniform angle and y = s²/(c² + b s²): 1 − cos x = 2 b y,
    sin x = 2 √b s c/(c² + b s²), and the ratio of the densities is
    exp(2 κ b (1/(1 + b) − y)) ½ (1 + b)(1 + (1 − b) y). Nothing cancels at any κ.
    """
    root, peak = 2.0 * math.sqrt(b), 1.0 / (1.0 + b)
    for j in range(first.size):
        word = first[j]
        s0, c0 = quarter_turn(word)
        swap = (word >> uint64(62)) & uint64(1)
        s, c = (c0 if swap else s0), (s0 if swap else c0)
        norm = 1.0 / (c * c + b * (s * s))
        y = s * s * norm
        ratio = 0.5 * (1.0 + b) * (1.0 + (1.0 - b) * y)
        sine = root * s * c * norm
        away[j] = 2.0 * b * y
        across[j] = double_of(bits_of(sine) ^ (word & uint64(0x8000000000000000)))
        accepted[j] = uint64(fast_log(uniform_of(second[j]) / ratio) < 2.0 * kappa * b * (peak - y))


@compiled
def propose_turns(
    kappa: float,
    wanted: int,
    words: AnyArray,
    second: AnyArray,
    away: FloatArray,
    across: FloatArray,
    accepted: AnyArray,
    state: AnyArray,
) -> tuple[int, int]:
    """Candidates for 1 − cos x and sin x of von Mises angles x about 0, of which at most ``wanted`` are accepted.

    Returns how many candidates there are and how many are accepted; all buffers have length WORDS. The accepted ones
    are left in their places: what they are needed for is a sum, which skips the others faster than they could be moved.
    """
    b = 1.0 / (2.0 * kappa + math.sqrt(4.0 * kappa * kappa + 1.0))
    m = candidates(wanted, 0.65)
    fill_words(words[:m], state)
    fill_words(second[:m], state)
    _turns(words[:m], second[:m], kappa, b, away[:m], across[:m], accepted[:m])
    count = int64(accepted[:m].sum())
    j = m
    while count > wanted:
        j -= 1
        count -= int64(accepted[j])
        accepted[j] = 0
    return m, count


# ---------------------------------------------------------------------- counts of many draws at once


@compiled
def count_successes(p: float, n: int, words: AnyArray, state: AnyArray) -> int:
    """Number of successes in n independent trials, exactly Binomial(n, p) for the double p.

    Every trial compares a uniform number with p bit by bit, from the most significant one, and stops at the first
    difference (von Neumann's lazy comparison): two bits a trial on average. Trials that have not stopped are alike, so
    only their number is kept.
    """
    successes = 0
    while n > 0 and p > 0.0:
        p += p
        undecided = tosses(n, words, state)
        if p >= 1.0:
            p -= 1.0
            successes += n - undecided
        n = undecided
    return successes


@compiled
def tail_sums(weights: FloatArray) -> FloatArray:
    """Σ_{j ≥ i} w_j for i = 0, …, size; of descending weights, so that the smallest are added first."""
    tails = np.zeros(weights.size + 1)
    for i in range(weights.size - 1, -1, -1):
        tails[i] = tails[i + 1] + weights[i]
    return tails


@compiled
def fill_histogram(counts: AnyArray, tails: FloatArray, n: int, words: AnyArray, state: AnyArray) -> None:
    """How many of n draws fall into each cell, added to ``counts``; ``tails`` are the ``tail_sums`` of their weights.

    The cells are halved by weight again and again, and each draw decides between the halves with two random bits on
    average. Draws in the same part are alike, so only their number is kept.
    """
    stack = np.empty((tails.size + 1, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, tails.size - 1, n
    depth = 1
    while depth > 0:
        depth -= 1
        low, high, left = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        if left == 0:
            continue
        if high - low == 1:
            counts[low] += left
            continue
        middle = _halfway(tails, low, high)
        front, back = tails[low] - tails[middle], tails[middle] - tails[high]
        if front <= back:
            m = count_successes(front / (front + back), left, words, state)
        else:
            m = left - count_successes(back / (front + back), left, words, state)
        stack[depth, 0], stack[depth, 1], stack[depth, 2] = low, middle, m
        stack[depth + 1, 0], stack[depth + 1, 1], stack[depth + 1, 2] = middle, high, left - m
        depth += 2


@compiled
def _halfway(tails: FloatArray, low: int, high: int) -> int:
    """The cell boundary strictly inside (low, high) that best halves the weight."""
    target = 0.5 * (tails[low] + tails[high])
    a, b = low + 1, high - 1
    while a < b:  # the first boundary whose tail is at most the target
        middle = (a + b) // 2
        if tails[middle] <= target:
            b = middle
        else:
            a = middle + 1
    return a - 1 if a - 1 > low and tails[a - 1] - target < target - tails[a] else a


# ---------------------------------------------------------------------- Poisson


@compiled
def poisson_cells(rate: float) -> tuple[FloatArray, FloatArray]:
    """The values of a Poisson law in order of falling probability, and these; values rarer than 1e-30 are left out."""
    mode = float(math.floor(rate))
    reach = int(13.0 * math.sqrt(rate) + 60.0)
    values, weights = np.empty(2 * reach), np.empty(2 * reach)
    low, high = mode, mode + 1.0  # the next values on either side, and their weights relative to the mode
    below, above = 1.0, rate / (mode + 1.0)
    size = 0
    while size < values.size and max(below, above) > 1e-30:
        if below >= above:
            values[size], weights[size] = low, below
            below = below * low / rate
            low -= 1.0
        else:
            values[size], weights[size] = high, above
            high += 1.0
            above = above * rate / high
        size += 1
    return values[:size], weights[:size]


@compiled
def _stirling_error(x: float) -> float:
    """log x! − ((x + ½) log x − x + ½ log 2π) for x ≥ 1."""
    if x < 16.0:
        return math.lgamma(x + 1.0) - (x + 0.5) * math.log(x) + x - 0.9189385332046727
    z = 1.0 / (x * x)
    return (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188))))) / x


@compiled
def _log_poisson_pmf(x: float, rate: float) -> float:
    """Loader's form, whose terms do not cancel."""
    if x == 0.0:
        return -rate
    return -_deviance(x, rate) - _stirling_error(x) - 0.5 * math.log(x) - 0.9189385332046727


@compiled
def next_large_poisson(rate: float, words: AnyArray, state: AnyArray) -> float:
    """One Poisson draw for rate ≥ 10 by transformed rejection (Hörmann 1993, PTRS) on Loader's probabilities."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    whole = math.floor(rate)
    while True:
        u, v = next_uniform(words, state) - 0.5, next_uniform(words, state)
        us = 0.5 - abs(u)
        k = whole + math.floor((2.0 * a / us + b) * u + (rate - whole) + 0.43)
        if us >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2.0):
            return k
        if k < 0.0 or (us < 0.013 and v > us):
            continue
        if math.log(v * inverse_alpha / (a / (us * us) + b)) <= _log_poisson_pmf(k, rate):
            return k


@compiled
def next_poisson(rate: float, words: AnyArray, state: AnyArray) -> float:
    """One Poisson draw: below 10 by inversion, adding up probabilities."""
    if rate >= 10.0:
        return next_large_poisson(rate, words, state)
    u, k, p = next_uniform(words, state), 0.0, math.exp(-rate)
    while u > p and k < 200.0:
        u -= p
        k += 1.0
        p *= rate / k
    return k


# ---------------------------------------------------------------------- binomial


@compiled
def binomial_cells(trials: float, p: float) -> tuple[FloatArray, FloatArray]:
    """The values of a binomial law with p ≤ ½ in order of falling probability, as :func:`poisson_cells`."""
    mode = float(math.floor((trials + 1.0) * p))
    odds = p / (1.0 - p)
    reach = int(13.0 * math.sqrt(trials * p) + 60.0)
    values, weights = np.empty(2 * reach), np.empty(2 * reach)
    low, high = mode, mode + 1.0
    below, above = 1.0, (trials - mode) * odds / (mode + 1.0)
    size = 0
    while size < values.size and max(below, above) > 1e-30:
        if below >= above:
            values[size], weights[size] = low, below
            below = below * low / ((trials - low + 1.0) * odds)
            low -= 1.0
        else:
            values[size], weights[size] = high, above
            above = above * (trials - high) * odds / (high + 1.0)
            high += 1.0
        size += 1
    return values[:size], weights[:size]


@compiled
def _deviance(x: float, mean: float) -> float:
    """x log(x/mean) + mean − x for x > 0, without cancellation."""
    u = (x - mean) / mean
    if abs(u) < 0.5:
        return mean * (u * math.log1p(u) - log1p_gap(u))
    return x * math.log(x / mean) - (x - mean)


@compiled
def _log_binomial_pmf(x: float, trials: float, p: float) -> float:
    """Loader's form for p ≤ ½."""
    y = trials - x
    if x == 0.0:
        return trials * math.log1p(-p)
    if y == 0.0:
        return trials * math.log(p)
    errors = _stirling_error(trials) - _stirling_error(x) - _stirling_error(y)
    deviance = _deviance(x, trials * p) + _deviance(y, trials * (1.0 - p))
    return errors - deviance + 0.5 * math.log(trials / x / y) - 0.9189385332046727


@compiled
def next_large_binomial(trials: float, p: float, words: AnyArray, state: AnyArray) -> float:
    """One binomial draw for p ≤ ½ and trials p ≥ 10 by transformed rejection (Hörmann, J. Stat. Comput. Simul. 46 (1993),
    BTRS) on Loader's probabilities."""
    deviation = math.sqrt(trials * p * (1.0 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = trials * p + 0.5
    alpha = (2.83 + 5.1 / b) * deviation
    at_mode = _log_binomial_pmf(math.floor((trials + 1.0) * p), trials, p)
    while True:
        u, v = next_uniform(words, state) - 0.5, next_uniform(words, state)
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + centre)
        if us >= 0.07 and v <= 0.92 - 4.2 / b:
            return k
        if k < 0.0 or k > trials:
            continue
        if math.log(v * alpha / (a / (us * us) + b)) <= _log_binomial_pmf(k, trials, p) - at_mode:
            return k
