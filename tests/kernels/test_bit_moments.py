"""Sixty-four samples to a word: bits with an exact probability, counts of pairs, spins on a forest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from expfam_game import families as f
from expfam_game.kernels import bit_moments, random_words
from expfam_game.kernels.covariance import scatter_matrices
from expfam_game.kernels.streams import seed_sequence, stream_key

KEY = stream_key(seed_sequence(13))


def slack(p, n, outcomes=1):
    """Bernstein's bound on |count − np|, exceeded with probability below 1e-11."""
    t = np.log(2.0 * outcomes / 1e-11)
    return t / 3.0 + np.sqrt(t**2 / 9.0 + 2.0 * n * p * (1.0 - p) * t)


def buffers(words):
    state = np.zeros(random_words.STATE, np.uint64)
    random_words.open_stream(state, np.uint64(KEY.key), 0, 0, 0)
    return (
        np.empty(words, np.uint64),
        np.empty(random_words.WORDS, np.uint64),
        np.empty(random_words.WORDS, np.uint64),
        state,
    )


def unpacked(words):
    return (words[..., None] >> np.arange(64, dtype=np.uint64)).astype(np.uint8) & 1


@pytest.mark.parametrize("p", [0.0, 1e-300, 1e-4, 1 / 3, 0.25, 0.5, 0.49999999999999994, np.nextafter(0.0, 1.0)])
def test_bits_have_their_probability(p):
    out, digits, words, state = buffers(1023)
    total = 0
    for _ in range(20):
        bit_moments.fill_bits(p, out, digits, words, state)
        total += int(unpacked(out).sum())
    n = 20 * 1023 * 64
    assert abs(total - n * p) <= slack(p, n)
    if p < 1e-200:
        assert total == 0


def test_bits_of_different_places_are_independent():
    """Pairs of bits at distances 1, 63, 64 and 128 agree as often as they should."""
    out, digits, words, state = buffers(1024)
    bit_moments.fill_bits(0.3, out, digits, words, state)
    bits = unpacked(out).ravel()
    for lag in (1, 2, 63, 64, 128):
        both = int(np.sum(bits[lag:] & bits[:-lag]))
        m = bits.size - lag
        # pairs that share a bit are correlated: Cov = p³(1 − p) each, two for every pair
        spread = np.sqrt(m * (0.09 * 0.91 + 2.0 * 0.027 * 0.7))
        assert abs(both - 0.09 * m) <= 7.0 * spread


@pytest.mark.parametrize("n", [1, 63, 64, 65, 4096, 4097, 66_000])
def test_counts_of_pairs_are_those_of_the_bits(n):
    """Whole numbers, symmetric, and every pair as frequent as its rarer member at most."""
    rare = np.array([[0.5, 0.2, 1e-3, 0.0]])
    mean, scatter = bit_moments.bernoulli_scatter(rare, np.zeros((1, 4), bool), n, KEY)
    ones = mean[0] * n
    assert np.allclose(ones, np.rint(ones), atol=1e-9)
    both = scatter[0] + np.outer(ones, ones) / n
    assert np.allclose(both, np.rint(both), atol=1e-6)
    assert np.all(both <= np.minimum.outer(ones, ones) + 1e-6)
    assert mean[0, 3] == 0.0
    assert np.all(np.abs(ones - n * rare[0]) <= slack(rare[0], n, 4))


def test_add_pairs_against_unpacked_bits():
    words = np.random.default_rng(0).integers(0, 2**63, size=(5, 3), dtype=np.uint64)
    for n in (1, 64, 100, 192):
        out = np.zeros((5, 5))
        bit_moments._add_pairs(words.copy(), n, out)
        bits = unpacked(words).reshape(5, -1)[:, :n].astype(float)
        assert np.array_equal(np.triu(out), np.triu(bits @ bits.T))


def test_bernoulli_covariance_has_the_exact_law():
    """With flipped coordinates; entries (i, j) of the sample covariance have variance p q p' q' / n."""
    n, theta = 300_007, np.array([[0.3, -2.0, 5.0, 0.0]])
    p = 1.0 / (1.0 + np.exp(-theta[0]))
    mean, scatter = bit_moments.bernoulli_scatter(np.minimum(p, 1 - p)[None], theta > 0, n, KEY)
    q = p * (1.0 - p)
    assert np.all(np.abs(mean[0] - p) <= slack(p, n, 4) / n)
    bound = np.sqrt(np.outer(q, q) / n) + 1.0 / n
    np.fill_diagonal(bound, np.sqrt(q * (1.0 - 2.0 * p) ** 2 / n) + 10.0 / n)
    assert np.all(np.abs(scatter[0] / (n - 1) - np.diag(q)) <= 7.0 * bound)


FOREST = f.Ising([(0, 1), (1, 2), (1, 3)], 5)
FIELDS = np.array([0.2, -0.3, 0.5, 1.0, -1.0, 0.4, -0.6, 0.9])


def test_spins_have_the_law_of_the_forest():
    """All 32 states by brute force: energies, probabilities, counts of words of spins."""
    engine = FOREST._engine
    rare, flipped = engine._rarer_values(FIELDS[None])
    states = np.array(list(itertools.product([-1, 1], repeat=5)))
    energy = FOREST.statistic(states) @ FIELDS
    p = np.exp(energy - energy.max())
    p /= p.sum()
    _, digits, words, state = buffers(1)
    bits, counts = np.empty((8, 64), np.uint64), np.zeros(32)
    for _ in range(50):
        bit_moments.forest_bits(*engine._tree(), rare[0], flipped[0], bits, digits, words, state)
        up = unpacked(bits).reshape(8, -1)
        spins = 2.0 * up[:5].T - 1.0
        assert np.array_equal(2.0 * up[5:].T - 1.0, FOREST.statistic(spins)[:, 5:])
        counts += np.bincount(up[:5].T @ (1 << np.arange(4, -1, -1)), minlength=32)
    n = 50 * 64 * 64
    assert np.all(np.abs(counts - n * p) <= slack(p, n, 32))


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_forest_covariance_is_the_fisher_information(scale):
    """φ = ±1: a sample covariance has variance at most that of φ_i φ_j, below 1, over n."""
    n, theta = 300_007, scale * FIELDS
    mean, scatter = FOREST._fused_covariance(theta[None], n, KEY)
    variance = FOREST.variance(theta)
    assert np.all(np.abs(mean[0] - FOREST.to_mean(theta)) <= 2.0 * slack(variance / 4.0, n, 8) / n)
    size = np.minimum.outer(variance, variance)  # Var of (φ_i − μ_i)(φ_j − μ_j) is at most 4 of it
    bound = 7.0 * np.sqrt(4.0 * size / n) + 100.0 / n
    assert np.all(np.abs(scatter[0] / (n - 1) - FOREST.fisher_information(theta)) <= bound)


def test_threads_and_other_agents_do_not_matter(monkeypatch):
    thetas = np.stack([FIELDS, -FIELDS, 0.5 * FIELDS])
    results = []
    for threads in (1, 2, 7):
        monkeypatch.setattr("expfam_game.kernels.covariance._WORTH_A_THREAD", 0)
        monkeypatch.setattr("expfam_game.kernels.covariance.default_threads", lambda threads=threads: threads)
        results.append(FOREST._fused_covariance(thetas, 300_001, KEY))
    alone = FOREST._fused_covariance(thetas[:1], 300_001, KEY)
    for mean, scatter in results[1:]:
        assert np.array_equal(mean, results[0][0])
        assert np.array_equal(scatter, results[0][1])
    assert np.array_equal(alone[1][0], results[0][1][0])


def test_spins_as_a_factor_have_the_same_law():
    n = 200_003
    (draw,) = FOREST._covariance_draws(FIELDS[None])
    mean, scatter = scatter_matrices([draw], n, KEY)
    variance = FOREST.variance(FIELDS)
    assert np.all(np.abs(mean[0] - FOREST.to_mean(FIELDS)) <= 2.0 * slack(variance / 4.0, n, 8) / n)
    bound = 7.0 * np.sqrt(4.0 * np.minimum.outer(variance, variance) / n) + 100.0 / n
    assert np.all(np.abs(scatter[0] / (n - 1) - FOREST.fisher_information(FIELDS)) <= bound)
