"""Counts of many draws at once, and single draws of Poisson and binomial laws too large to be tabled."""

from __future__ import annotations

import math

import numpy as np

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.kernels.compiling import compiled, in_place
from expfam_game.kernels.random_words import next_uniform, tosses
from expfam_game.kernels.special_functions import log1p_gap

# ---------------------------------------------------------------------- counts of many draws at once


@in_place
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


@in_place
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


@in_place
def _stirling_error(x: float) -> float:
    """log x! − ((x + ½) log x − x + ½ log 2π) for x ≥ 1."""
    if x < 16.0:
        return math.lgamma(x + 1.0) - (x + 0.5) * math.log(x) + x - 0.9189385332046727
    z = 1.0 / (x * x)
    return (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188))))) / x


@in_place
def log_poisson_pmf(x: float, rate: float) -> float:
    """Loader's form, whose terms do not cancel."""
    if x == 0.0:
        return -rate
    return -_deviance(x, rate) - _stirling_error(x) - 0.5 * math.log(x) - 0.9189385332046727


@in_place
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
        if math.log(v * inverse_alpha / (a / (us * us) + b)) <= log_poisson_pmf(k, rate):
            return k


@in_place
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


@in_place
def _deviance(x: float, mean: float) -> float:
    """x log(x/mean) + mean − x for x > 0, without cancellation."""
    u = (x - mean) / mean
    if abs(u) < 0.5:
        return mean * (u * math.log1p(u) - log1p_gap(u))
    return x * math.log(x / mean) - (x - mean)


@in_place
def log_binomial_pmf(x: float, trials: float, p: float) -> float:
    """Loader's form for p ≤ ½."""
    y = trials - x
    if x == 0.0:
        return trials * math.log1p(-p)
    if y == 0.0:
        return trials * math.log(p)
    errors = _stirling_error(trials) - _stirling_error(x) - _stirling_error(y)
    deviance = _deviance(x, trials * p) + _deviance(y, trials * (1.0 - p))
    return errors - deviance + 0.5 * math.log(trials / x / y) - 0.9189385332046727


@in_place
def next_large_binomial(trials: float, p: float, words: AnyArray, state: AnyArray) -> float:
    """One binomial draw for p ≤ ½ and trials p ≥ 10 by transformed rejection (Hörmann, J. Stat. Comput. Simul. 46 (1993),
    BTRS) on Loader's probabilities."""
    deviation = math.sqrt(trials * p * (1.0 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = trials * p + 0.5
    alpha = (2.83 + 5.1 / b) * deviation
    at_mode = log_binomial_pmf(math.floor((trials + 1.0) * p), trials, p)
    while True:
        u, v = next_uniform(words, state) - 0.5, next_uniform(words, state)
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + centre)
        if us >= 0.07 and v <= 0.92 - 4.2 / b:
            return k
        if k < 0.0 or k > trials:
            continue
        if math.log(v * alpha / (a / (us * us) + b)) <= log_binomial_pmf(k, trials, p) - at_mode:
            return k
