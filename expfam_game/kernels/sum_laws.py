"""Exact laws of the mean of n samples: one draw for every row of mean parameters, whatever n is.

A kernel takes the rows of a block, the sizes, and the place of the block's random stream; it returns how many rows lie
outside the open mean space, which get NaN. Blocks are small and streams belong to blocks, so that results depend on
nothing but the seed and the place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import int64, uint64

from expfam_game._typing import AnyArray, FloatArray, IntArray
from expfam_game.kernels.compiling import compiled, elementwise
from expfam_game.kernels.counting import log_binomial_pmf, log_poisson_pmf
from expfam_game.kernels.elementary import fast_exp, fast_log, fast_log1p, uniform_of
from expfam_game.kernels.random_words import STATE, WORDS, fill_words, open_stream
from expfam_game.kernels.samplers import fill_normal

Place = tuple[int, int, int]
"""Branch, agent and block of a random stream."""

Kernel = Callable[[FloatArray, float, float, Any, Place, FloatArray], int]
"""``kernel(mean, n, parameter, key, place, out)``; what the parameter is depends on the law."""

_SMALL_COUNT = 10.0
"""Expected counts below which a count is found by adding up probabilities."""

_SHARP = 1e32
"""Expected counts from which on the law of the average is narrower than the distance of doubles."""

ACCEPTED, REJECTED, UNDECIDED = 0, 1, 2


@compiled
def _opened(key: Any, place: Place) -> AnyArray:
    """The state of the stream at a place."""
    state = np.empty(STATE, np.uint64)
    open_stream(state, key, place[0], place[1], place[2])
    return state


# ---------------------------------------------------------------------- counts, many at a time

# Rejection samplers propose for a whole buffer in a loop without branches, which LLVM vectorises; what is not accepted moves
# to the front and gets another proposal.


@compiled
def _uniforms(size: int, words: AnyArray, state: AnyArray) -> AnyArray:
    """As many fresh words."""
    part = words[: size + (size & 1)]
    fill_words(part, state)
    return part


@elementwise
def squeeze(distance: float, variance: float) -> tuple[float, float]:
    """Bounds of the log of the binomial probability at a distance from the mode over that of the mode.

    For distances below variance/2 − 1 (V. Kachitvichyanukul & B. Schmeiser, Comm. ACM 31 (1988), step 5.2).
    """
    share = distance / variance
    slack = share * ((distance * (distance / 3.0 + 0.625) + 1.0 / 6.0) / variance + 0.5)
    return -0.5 * distance * share - slack, -0.5 * distance * share + slack


@elementwise
def _propose_binomial(
    trials: FloatArray,
    p: FloatArray,
    first: AnyArray,
    second: AnyArray,
    k: FloatArray,
    v: FloatArray,
    verdict: AnyArray,
) -> None:
    """Candidates for p ≤ ½ and trials · p ≥ 10 by transformed rejection (Hörmann, J. Stat. Comput. Simul. 46 (1993), BTRS).

    A candidate is accepted if ``v`` is at most the probability of k over that of the mode; bounds mostly decide.
    """
    for j in range(trials.size):
        variance = trials[j] * p[j] * (1.0 - p[j])
        deviation = math.sqrt(variance)
        b = 1.15 + 2.53 * deviation
        a = -0.0873 + 0.0248 * b + 0.01 * p[j]
        u, w = uniform_of(first[j]) - 0.5, uniform_of(second[j])
        us = 0.5 - abs(u)
        x = np.floor((2.0 * a / us + b) * u + (trials[j] * p[j] + 0.5))
        k[j] = x
        v[j] = w * (2.83 + 5.1 / b) * deviation * (us * us) / (a + b * us * us)
        distance, log_v = abs(x - np.floor((trials[j] + 1.0) * p[j])), fast_log(v[j])
        lower, upper = squeeze(distance, variance)
        bounded = distance < 0.5 * variance - 1.0
        yes = ((us >= 0.07) & (w <= 0.92 - 4.2 / b)) | (bounded & (log_v <= lower))
        no = (x < 0.0) | (x > trials[j]) | (bounded & (log_v > upper))
        verdict[j] = uint64(ACCEPTED if yes else (REJECTED if no else UNDECIDED))


@elementwise
def _log_factorial(x: float) -> float:
    """log x! − ½ log 2π by Stirling's series, to 1e-10 for x ≥ 9."""
    y = x + 1.0
    z = 1.0 / (y * y)
    return (x + 0.5) * fast_log(y) - y + (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680)))) / y


@compiled
def _ratio_to_mode(k: float, mode: float, trials: float, odds: float) -> float:
    """Probability of k over that of the mode, multiplied up."""
    up, down = 1.0, 1.0
    x, stop = min(k, mode), max(k, mode)
    while x < stop:
        x += 1.0
        up *= odds * (trials - x + 1.0)
        down *= x
    return up / down if k > mode else down / up


@compiled
def _likely(v: float, k: float, trials: float, p: float) -> bool:
    """Whether v is at most the probability of k over that of the mode; Loader's form where rounding could matter."""
    mode, log_v = math.floor((trials + 1.0) * p), fast_log(v)
    if k >= 9.0 and trials - k >= 9.0:
        log_ratio = _log_factorial(mode) - _log_factorial(k) + (k - mode) * fast_log(p / (1.0 - p))
        log_ratio += _log_factorial(trials - mode) - _log_factorial(trials - k)
        if abs(log_v - log_ratio) > 1e-9 + 1e-14 * trials * fast_log(trials):
            return log_v < log_ratio
    elif abs(k - mode) <= 20.0:
        return v <= _ratio_to_mode(k, mode, trials, p / (1.0 - p))
    return log_v <= log_binomial_pmf(k, trials, p) - log_binomial_pmf(mode, trials, p)


@compiled
def _large_binomials(
    trials: FloatArray,
    p: FloatArray,
    place: IntArray,
    words: AnyArray,
    more: AnyArray,
    state: AnyArray,
    out: FloatArray,
) -> None:
    """out[place[j]] ← one draw for each j; overwrites ``trials``, ``p`` and ``place``."""
    k, v, verdict = np.empty(p.size), np.empty(p.size), np.empty(p.size, np.uint64)
    left: Any = int64(p.size)
    while left > 0:
        first, second = _uniforms(left, words, state), _uniforms(left, more, state)
        _propose_binomial(trials[:left], p[:left], first, second, k, v, verdict)
        kept = uint64(0)
        for j in range(left):
            if verdict[j] == UNDECIDED:
                verdict[j] = ACCEPTED if _likely(v[j], k[j], trials[j], p[j]) else REJECTED
            out[place[j]] = k[j]  # a rejected one is written over later
            trials[kept], p[kept], place[kept] = trials[j], p[j], place[j]
            kept += verdict[j]
        left = int64(kept)


@elementwise
def _small_starts(trials: FloatArray, p: FloatArray, words: AnyArray, u: FloatArray, pmf: FloatArray) -> None:
    """Uniform numbers, and the probabilities of zero."""
    for j in range(p.size):
        u[j] = uniform_of(words[j])
        pmf[j] = fast_exp(-trials[j] * fast_log1p(p[j] / (1.0 - p[j])))


@compiled
def _small_binomials(
    trials: FloatArray, p: FloatArray, place: IntArray, words: AnyArray, state: AnyArray, out: FloatArray
) -> None:
    """out[place[j]] ← one draw for each j with trials · p < 10, by adding up probabilities."""
    u, pmf = np.empty(p.size), np.empty(p.size)
    _small_starts(trials, p, _uniforms(p.size, words, state), u, pmf)
    for j in range(p.size):
        rest, weight, x = u[j], pmf[j], 0.0
        odds, most = p[j] / (1.0 - p[j]), min(trials[j], 200.0)
        while rest > weight and x < most:
            rest -= weight
            x += 1.0
            weight *= (trials[j] - x + 1.0) * odds / x
        out[place[j]] = x


@compiled
def fill_binomial(trials: FloatArray, p: FloatArray, q: FloatArray, state: AnyArray, out: FloatArray) -> None:
    """Binomial draws for probabilities p of success and q = 1 − p of failure; the smaller one sets the precision.

    NaN where p or q is not positive.
    """
    words, more = np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    sizes, rare, places = np.empty((2, WORDS)), np.empty((2, WORDS)), np.empty((2, WORDS), np.int64)
    for start in range(0, p.size, WORDS):
        found = [0, 0]
        stop = min(start + WORDS, p.size)
        for i in range(start, stop):
            least = min(p[i], q[i])
            kind = 1 if trials[i] * least >= _SMALL_COUNT else 0
            j = found[kind]
            sizes[kind, j], rare[kind, j], places[kind, j] = trials[i], least, i
            found[kind] = j + 1
        few, many = found
        _small_binomials(sizes[0, :few], rare[0, :few], places[0, :few], words, state, out)
        _large_binomials(sizes[1, :many], rare[1, :many], places[1, :many], words, more, state, out)
        for i in range(start, stop):
            if q[i] < p[i]:
                out[i] = trials[i] - out[i]


@elementwise
def _propose_poisson(
    rate: FloatArray, first: AnyArray, second: AnyArray, k: FloatArray, v: FloatArray, sure: AnyArray
) -> None:
    """Candidates for rates ≥ 10 by transformed rejection (Hörmann, Insurance: Mathematics and Economics 12 (1993), PTRS).

    ``sure`` says which are accepted at once; the others are if ``v`` is at most the probability of k.
    """
    for j in range(rate.size):
        b = 0.931 + 2.53 * math.sqrt(rate[j])
        a = -0.059 + 0.02483 * b
        u, w = uniform_of(first[j]) - 0.5, uniform_of(second[j])
        us = 0.5 - abs(u)
        whole = np.floor(rate[j])
        k[j] = whole + np.floor((2.0 * a / us + b) * u + ((rate[j] - whole) + 0.43))
        v[j] = w * (1.1239 + 1.1328 / (b - 3.4)) / (a / (us * us) + b)
        sure[j] = (us >= 0.07) & (w <= 0.9277 - 3.6224 / (b - 2.0))


@compiled
def _large_poissons(
    rate: FloatArray, place: IntArray, words: AnyArray, more: AnyArray, state: AnyArray, out: FloatArray
) -> None:
    """out[place[j]] ← one draw for each j; overwrites ``rate`` and ``place``."""
    k, v, sure = np.empty(rate.size), np.empty(rate.size), np.empty(rate.size, np.bool_)
    left = rate.size
    while left > 0:
        first, second = _uniforms(left, words, state), _uniforms(left, more, state)
        _propose_poisson(rate[:left], first, second, k, v, sure)
        kept = 0
        for j in range(left):
            if sure[j] or (k[j] >= 0.0 and fast_log(v[j]) <= log_poisson_pmf(k[j], rate[j])):
                out[place[j]] = k[j]
            else:
                rate[kept], place[kept] = rate[j], place[j]
                kept += 1
        left = kept


@compiled
def fill_poisson(rate: FloatArray, state: AnyArray, out: FloatArray) -> None:
    """Poisson draws; rates below 10 by adding up probabilities."""
    words, more = np.empty(WORDS, np.uint64), np.empty(WORDS, np.uint64)
    rates, places, few = np.empty(WORDS), np.empty(WORDS, np.int64), np.empty(WORDS, np.int64)
    for start in range(0, rate.size, WORDS):
        large = small = 0
        for i in range(start, min(start + WORDS, rate.size)):
            if rate[i] >= _SMALL_COUNT:
                rates[large], places[large] = rate[i], i
                large += 1
            else:
                few[small] = i
                small += 1
        fresh = _uniforms(small, words, state)
        for j in range(small):
            i = few[j]
            rest, weight, x = uniform_of(fresh[j]), math.exp(-rate[i]), 0.0
            while rest > weight and x < 200.0:
                rest -= weight
                x += 1.0
                weight *= rate[i] / x
            out[i] = x
        _large_poissons(rates[:large], places[:large], words, more, state, out)


@compiled
def binomial_means(mean: FloatArray, n: float, trials: float, key: Any, place: Place, out: FloatArray) -> int:
    """Columns of independent counts out of ``trials``; Bernoulli for one trial."""
    state, flat, drawn = _opened(key, place), mean.reshape(-1), out.reshape(-1)
    sizes, p, q = np.full(flat.size, n * trials), np.empty(flat.size), np.empty(flat.size)
    outside = 0
    for i in range(flat.size):
        x = flat[i]
        inside = 0.0 < x < trials
        p[i], q[i] = (x / trials, (trials - x) / trials) if inside else (0.5, 0.5)
        outside += not inside
    fill_binomial(sizes, p, q, state, drawn)
    for i in range(flat.size):
        drawn[i] = drawn[i] / n if 0.0 < flat[i] < trials else np.nan
    return outside


@compiled
def _tails(row: FloatArray, tail: FloatArray) -> bool:
    """tail[k] ← 1 − Σ_{j<k} p_j, added up from the smallest set; whether all probabilities are positive."""
    rest, error, least = 1.0, 0.0, 1.0
    for x in row:  # 1 − Σ p, with what every subtraction rounds away
        after = rest - x
        gone = rest - after
        error += (rest - (after + gone)) + (gone - x)
        rest, least = after, min(least, x)
    tail[row.size] = rest + error
    for k in range(row.size - 1, -1, -1):
        tail[k] = tail[k + 1] + row[k]
    return least > 0.0 and tail[row.size] > 0.0


@compiled
def multinomial_means(mean: FloatArray, n: float, _: float, key: Any, place: Place, out: FloatArray) -> int:
    """Rows of probabilities without the last: each category takes its binomial share of what the earlier ones left."""
    state, rows = _opened(key, place), mean.shape[0]
    tails, inside = np.empty((rows, mean.shape[1] + 1)), np.empty(rows, np.bool_)
    left, share, rest, taken = np.full(rows, n), np.empty(rows), np.empty(rows), np.empty(rows)
    for i in range(rows):
        inside[i] = _tails(mean[i], tails[i])
    for k in range(mean.shape[1]):
        for i in range(rows):
            share[i], rest[i] = 0.5, 0.5
            if inside[i]:
                share[i], rest[i] = mean[i, k] / tails[i, k], tails[i, k + 1] / tails[i, k]
        fill_binomial(left, share, rest, state, taken)
        for i in range(rows):
            left[i] -= taken[i]
            out[i, k] = taken[i] / n if inside[i] else np.nan
    return int(rows - inside.sum())


@compiled
def poisson_means(mean: FloatArray, n: float, _: float, key: Any, place: Place, out: FloatArray) -> int:
    """Columns of independent Poisson counts."""
    state, flat, drawn = _opened(key, place), mean.reshape(-1), out.reshape(-1)
    rate = np.empty(flat.size)
    outside = 0
    for i in range(flat.size):
        inside = 0.0 < flat[i] < np.inf
        rate[i] = n * flat[i] if inside and n * flat[i] < _SHARP else 0.0
        outside += not inside
    fill_poisson(rate, state, drawn)
    for i in range(flat.size):
        if n * flat[i] < _SHARP:
            drawn[i] = drawn[i] / n if flat[i] > 0.0 else np.nan
        else:
            drawn[i] = flat[i] if flat[i] < np.inf else np.nan
    return outside


# ---------------------------------------------------------------------- Gaussian and Gamma laws


@compiled
def _normals(size: int, words: AnyArray, state: AnyArray) -> FloatArray:
    """Standard normals."""
    out = np.empty(-(-size // 2) * 2)
    for first in range(0, out.size, WORDS):
        part = out[first : first + WORDS]
        fill_normal(part, words[: part.size], state)
    return out


@elementwise
def _propose_gamma(z: FloatArray, words: AnyArray, d: float, value: FloatArray, accepted: AnyArray) -> None:
    """Marsaglia and Tsang's candidates d v³ with v = 1 + z/√(9 d), and whether log u < z²/2 + d (1 − v³ + 3 log v)."""
    c = 1.0 / math.sqrt(9.0 * d)
    for j in range(z.size):
        v = 1.0 + c * z[j]
        cube, positive = v * v * v, v > 0.0
        bound = 0.5 * z[j] * z[j] + d * (1.0 - cube + 3.0 * fast_log(v if positive else 1.0))
        value[j] = d * cube
        accepted[j] = uint64(positive and fast_log(uniform_of(words[j])) < bound)


@compiled
def _gammas(size: int, shape: float, words: AnyArray, state: AnyArray) -> FloatArray:
    """Standard Gamma variates of a shape that is zero (they are zero), one half (half the square of a normal) or ≥ 1."""
    if shape < 1.0:
        z = _normals(size, words, state)[:size]
        return shape * z * z
    out, value, accepted = np.empty(size), np.empty(WORDS), np.empty(WORDS, np.uint64)
    done: Any = 0
    while done < size:
        m = min(size - done, WORDS)
        z = _normals(m, words, state)[:m]
        _propose_gamma(z, _uniforms(m, words, state), shape - 1.0 / 3.0, value, accepted)
        place = uint64(done)
        for j in range(m):
            out[place] = value[j]  # a rejected one is written over by the next
            place += accepted[j]
        done = int64(place)
    return out


@compiled
def gamma_means(mean: FloatArray, n: float, shape: float, key: Any, place: Place, out: FloatArray) -> int:
    """One column of a Gamma law whose shape is known: the sum of n has shape n · ``shape``."""
    state, words = _opened(key, place), np.empty(WORDS, np.uint64)
    g = _gammas(mean.size, n * shape, words, state)
    outside = 0
    for i in range(mean.shape[0]):
        inside = 0.0 < mean[i, 0] < np.inf
        out[i, 0] = mean[i, 0] * (g[i] / (n * shape)) if inside else np.nan
        outside += not inside
    return outside


@compiled
def normal_means(mean: FloatArray, n: float, variance: float, key: Any, place: Place, out: FloatArray) -> int:
    """Columns of independent normals with known variance."""
    state, words = _opened(key, place), np.empty(WORDS, np.uint64)
    z = _normals(mean.size, words, state)
    deviation = math.sqrt(variance / n)
    outside = 0
    for i in range(mean.shape[0]):
        for k in range(mean.shape[1]):
            x = mean[i, k]
            outside += not abs(x) < np.inf
            out[i, k] = x + deviation * z[i * mean.shape[1] + k]
    return outside


@compiled
def _excess(second: float, x: float, y: float) -> float:
    """second − x y, the product without rounding (Dekker 1971)."""
    high = x * y
    x_scaled, y_scaled = 134217729.0 * x, 134217729.0 * y
    x_top, y_top = x_scaled - (x_scaled - x), y_scaled - (y_scaled - y)
    x_low, y_low = x - x_top, y - y_top
    return (second - high) - (((x_top * y_top - high) + x_top * y_low + x_low * y_top) + x_low * y_low)


@compiled
def diagonal_gaussian_means(mean: FloatArray, n: float, _: float, key: Any, place: Place, out: FloatArray) -> int:
    """Columns (E x_1, …, E x_d, E x_1², …): a normal average and, independent of it, χ²(n − 1) scatter about it."""
    state, words = _opened(key, place), np.empty(WORDS, np.uint64)
    rows, d = mean.shape[0], mean.shape[1] // 2
    z, g = _normals(rows * d, words, state), _gammas(rows * d, 0.5 * (n - 1.0), words, state)
    outside = 0
    for i in range(rows):
        for k in range(d):
            variance = _excess(mean[i, d + k], mean[i, k], mean[i, k])
            if not 0.0 < variance < np.inf:
                outside, out[i, k], out[i, d + k] = outside + 1, np.nan, np.nan
                continue
            average = mean[i, k] + math.sqrt(variance / n) * z[i * d + k]
            out[i, k] = average
            out[i, d + k] = average * average + variance * (2.0 * g[i * d + k] / n)
    return outside


@compiled
def _cholesky(row: FloatArray, d: int, root: FloatArray) -> bool:
    """root rootᵀ ← the covariance of a row (E x, upper triangle of E x xᵀ); whether it is positive definite."""
    at = d
    for j in range(d):
        for i in range(j, d):
            total = _excess(row[at], row[j], row[i])
            at += 1
            for k in range(j):
                total -= root[i, k] * root[j, k]
            if i == j:
                if not 0.0 < total < np.inf:
                    return False
                root[j, j] = math.sqrt(total)
            else:
                root[i, j] = total / root[j, j]
    return True


@compiled
def _bartlett(z: FloatArray, g: FloatArray, i: int, n: float, factor: FloatArray) -> None:
    """factor factorᵀ ← a Wishart matrix of n − 1 degrees of freedom (Bartlett 1933), singular where these are too few."""
    d, at = factor.shape[0], factor.shape[0]
    for j in range(d):
        for k in range(j):
            factor[j, k] = z[i, at] if k < n - 1.0 else 0.0
            at += 1
        factor[j, j] = math.sqrt(2.0 * g[j, i])


@compiled
def gaussian_means(mean: FloatArray, n: float, d: float, key: Any, place: Place, out: FloatArray) -> int:
    """Rows (E x, upper triangle of E x xᵀ): a normal average and, independent of it, Wishart scatter about it."""
    state, words = _opened(key, place), np.empty(WORDS, np.uint64)
    rows, width = mean.shape[0], int(d)
    per_row = width * (width + 1) // 2
    z = _normals(rows * per_row, words, state)[: rows * per_row].reshape(rows, per_row)
    g = np.empty((width, rows))
    for j in range(width):
        g[j] = _gammas(rows, 0.5 * max(n - 1.0 - j, 0.0), words, state)
    root, factor, scatter = np.zeros((width, width)), np.zeros((width, width)), np.empty((width, width))
    outside = 0
    for i in range(rows):
        if not _cholesky(mean[i], width, root):
            out[i] = np.nan
            outside += 1
            continue
        _bartlett(z, g, i, n, factor)
        for a in range(width):
            total = 0.0
            for k in range(a + 1):
                total += root[a, k] * z[i, k]
            out[i, a] = mean[i, a] + total / math.sqrt(n)
            for b in range(a + 1):
                total = 0.0
                for k in range(b, a + 1):
                    total += root[a, k] * factor[k, b]
                scatter[a, b] = total
        at = width
        for a in range(width):
            for b in range(a, width):
                total = 0.0
                for k in range(a + 1):
                    total += scatter[a, k] * scatter[b, k]
                out[i, at] = out[i, a] * out[i, b] + total / n
                at += 1
    return outside


# ---------------------------------------------------------------------- listening


@compiled
def respond(indptr: IntArray, data: FloatArray, drawn: FloatArray, own: FloatArray, out: FloatArray) -> None:
    """out ← own + Σ_e data[e] drawn[e] over the entries e of each row, which start at zero."""
    d = out.shape[1]
    total = np.empty(d)
    for i in range(out.shape[0]):
        total[:] = own[i]
        for e in range(indptr[i] - indptr[0], indptr[i + 1] - indptr[0]):
            for k in range(d):
                total[k] += data[e] * drawn[e, k]
        out[i] = total


@elementwise
def add_squares(x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """out += (x − y)²."""
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            out[i, k] += (x[i, k] - y[i, k]) * (x[i, k] - y[i, k])
