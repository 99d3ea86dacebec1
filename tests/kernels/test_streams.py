"""Compiled streams: known answers, disjointness, and a battery of tests on interleaved streams."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from expfam_game.kernels import random_words
from expfam_game.kernels.streams import StreamKey, seed_sequence, stream_key

CERTAIN = 1e-9
"""No test of the battery may find a p-value below this."""


def philox_reference(counter: list[int], key: list[int], bits: int) -> list[int]:
    """Philox4x32-10 or 4x64-10 in Python's integers, from the paper of Salmon et al."""
    multipliers = {32: (0xD2511F53, 0xCD9E8D57), 64: (0xD2E7470EE14C6C93, 0xCA5A826395121157)}[bits]
    weyl = {32: (0x9E3779B9, 0xBB67AE85), 64: (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)}[bits]
    mask = (1 << bits) - 1
    x, k = list(counter), list(key)
    for _ in range(10):
        p, q = multipliers[0] * x[0], multipliers[1] * x[2]
        x = [(q >> bits) ^ x[1] ^ k[0], q & mask, (p >> bits) ^ x[3] ^ k[1], p & mask]
        k = [(a + b) & mask for a, b in zip(k, weyl)]
    return x


def words_of(key: int = 0, branch: int = 0, agent: int = 0, block: int = 0, n: int = random_words.WORDS) -> np.ndarray:
    state, words = np.zeros(random_words.STATE, np.uint64), np.empty(n, np.uint64)
    random_words.open_stream(state, np.uint64(key), branch, agent, block)
    random_words.fill_words(words, state)
    return words


def keyed_words(key: int, branch: int, agent: int, block: int, n: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """The two halves of Philox's output at n counters."""
    low, high = np.empty(n, np.uint64), np.empty(n, np.uint64)
    random_words.fill_philox(low, high, *(np.uint64(part) for part in (key, branch, agent, block, start)))
    return low, high


def test_reference_is_numpys_philox_at_64_bits():
    generator = np.random.Philox(key=[3, 5], counter=[7, 11, 13, 17])
    expected = generator.random_raw(4).tolist()  # NumPy counts before it draws
    assert philox_reference([8, 11, 13, 17], [3, 5], 64) == expected


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_published_vectors(counter, key, expected):
    """The known answers distributed with Random123."""
    assert philox_reference(counter, key, 32) == expected
    c0, c1, c2, c3 = counter
    index = c0 | ((c3 & 0xFFFF) << 32)
    low, high = (int(part[0]) for part in keyed_words(key[0] | (key[1] << 32), c3 >> 16, c2, c1, 1, index))
    assert [low & 0xFFFFFFFF, low >> 32, high & 0xFFFFFFFF, high >> 32] == expected


def test_philox_is_the_reference_at_every_counter():
    rng = np.random.default_rng(0)
    for _ in range(5):
        key, agent, block = (int(v) for v in rng.integers(0, 2**32, 3))
        branch, start = int(rng.integers(0, 2**16)), int(rng.integers(0, 2**47)) | 0xFFFFFFF0  # the low half wraps
        low, high = keyed_words(key | (key << 32), branch, agent, block, 32, start)
        for i in range(32):
            index = start + i
            counter = [index & 0xFFFFFFFF, block, agent, (branch << 16) | (index >> 32)]
            x = philox_reference(counter, [key, key], 32)
            assert [int(low[i]), int(high[i])] == [x[0] | (x[1] << 32), x[2] | (x[3] << 32)]


def test_lanes_are_numpys_sfc64_from_the_documented_states():
    """c is the key, (a, b) Philox at (lane, block, agent, branch), w = 1, and twelve steps are left out."""
    key, branch, agent, block = 0x0123456789ABCDEF, 5, 77, 2**31 + 9
    words = words_of(key, branch, agent, block, 64 * random_words.LANES).reshape(64, random_words.LANES)
    for lane in range(random_words.LANES):
        x = philox_reference([lane, block, agent, branch << 16], [key & 0xFFFFFFFF, key >> 32], 32)
        generator = np.random.SFC64()
        a, b = x[0] | (x[1] << 32), x[2] | (x[3] << 32)
        generator.state = generator.state | {"state": {"state": np.array([a, b, key, 1], np.uint64)}}
        assert np.array_equal(generator.random_raw(76)[12:], words[:, lane])


def test_a_step_can_be_undone():
    """So that a step is a bijection of states, on which the proof that streams are disjoint rests."""
    rng, mask = np.random.default_rng(3), (1 << 64) - 1
    for _ in range(100):
        a, b, c, w = (int(v) for v in rng.integers(0, 2**64, 4, dtype=np.uint64))
        out = (a + b + w) & mask
        after = [b ^ (b >> 11), (c + (c << 3)) & mask, ((((c << 24) | (c >> 40)) & mask) + out) & mask, (w + 1) & mask]
        generator = np.random.SFC64()
        generator.state = generator.state | {"state": {"state": np.array([a, b, c, w], np.uint64)}}
        assert generator.random_raw() == out
        assert generator.state["state"]["state"].tolist() == after
        old_b = after[0]
        for _ in range(6):  # 11 more bits of b are right after each turn
            old_b = after[0] ^ (old_b >> 11)
        old_c = after[1] * pow(9, -1, 1 << 64) & mask
        old_w = (after[3] - 1) & mask
        old_out = (after[2] - (((old_c << 24) | (old_c >> 40)) & mask)) & mask
        assert [(old_out - old_b - old_w) & mask, old_b, old_c, old_w] == [a, b, c, w]


def test_streams_continue_and_cut_rows_are_dropped():
    state, words = np.zeros(random_words.STATE, np.uint64), np.empty(64, np.uint64)
    random_words.open_stream(state, np.uint64(9), 1, 2, 3)
    parts = []
    for size in (64, 64, 30, 2, 16):
        random_words.fill_words(words[:size], state)
        parts.append(words[:size].copy())
    whole = words_of(9, 1, 2, 3, 128 + 32 + 16 + 16)
    starts = (0, 64, 128, 160, 176)
    for part, start in zip(parts, starts):
        assert np.array_equal(part, whole[start : start + part.size])


def test_keys():
    assert stream_key(seed_sequence(1)) == stream_key(seed_sequence(1))
    assert len({stream_key(seed_sequence(s)).key for s in range(1000)}) == 1000
    assert StreamKey(5).child(3) == StreamKey(5, 3)


def test_single_words_and_tosses():
    state, words = np.zeros(random_words.STATE, np.uint64), np.empty(random_words.WORDS, np.uint64)
    random_words.open_stream(state, np.uint64(1), 0, 0, 0)
    drawn = [int(random_words.next_word(words, state)) for _ in range(random_words.WORDS + 5)]
    assert drawn[: random_words.WORDS] == words_of(1).tolist()
    assert (
        drawn[random_words.WORDS :]
        == words_of(1, n=2 * random_words.WORDS).tolist()[random_words.WORDS : random_words.WORDS + 5]
    )
    random_words.open_stream(state, np.uint64(1), 0, 0, 0)
    n = 64 * (random_words.WORDS - 1) + 17
    expected = (
        sum(w.bit_count() for w in drawn[: random_words.WORDS - 1]) + (drawn[random_words.WORDS - 1] >> 47).bit_count()
    )
    assert random_words.tosses(n, words, state) == expected
    assert random_words.tosses(0, words, state) == 0


# ---------------------------------------------------------------------- battery


_STREAMS = {
    "agents": lambda k, n: words_of(77, agent=k, n=n),
    "blocks": lambda k, n: words_of(77, block=k, n=n),
    "swapped": lambda k, n: words_of(77, agent=k, block=63 - k, n=n),  # (agent, block) beside (block, agent)
    "branches": lambda k, n: words_of(77, branch=k, n=n),
    "seeds": lambda k, n: words_of(stream_key(seed_sequence(k)).key, n=n),
    "keys": lambda k, n: words_of(k, n=n),
    "single-bit keys": lambda k, n: words_of(1 << k, n=n),
}
"""The k-th of 64 streams that differ in one part of their counter, in the seed, or only in the key."""


def interleaved(kind: str) -> np.ndarray:
    """A million words of the 64 streams of a kind, taken in turns.

    "lanes" are the words of one stream in their order: neighbours come from different lanes. "first words" are those that
    the sixteen lanes of 65 536 agents begin with: all that a game of many agents with few samples sees.
    """
    if kind == "lanes":
        return words_of(77, n=64 * 16384)
    if kind == "first words":
        return np.concatenate([words_of(77, agent=k, n=16) for k in range(65536)])
    return np.stack([_STREAMS[kind](k, 16384) for k in range(64)], axis=1).ravel()


@pytest.fixture(scope="module", params=["lanes", "first words", *_STREAMS])
def words(request):
    return interleaved(request.param)


def test_no_word_occurs_twice(words):
    """A million of 2^64: a repeat has probability 3e-8, so this is also a test for overlapping streams."""
    ordered = np.sort(words)
    assert np.all(ordered[1:] != ordered[:-1])


def test_bits_are_fair_and_uncorrelated(words):
    words = words[: 1 << 17]
    bits = ((words[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).astype(np.float64) * 2.0 - 1.0
    n = len(bits)
    assert 2.0 * 64 * stats.norm.sf(np.abs(bits.mean(axis=0)).max() * np.sqrt(n)) > CERTAIN
    for lag in (1, 16, 63, 64):
        correlation = bits[:-lag].T @ bits[lag:] / np.sqrt(n - lag)  # every bit against every bit of a later word
        assert 2.0 * 64**2 * stats.norm.sf(np.abs(correlation).max()) > CERTAIN


def test_pairs_fill_the_square_evenly(words):
    """Serial test: neighbours come from different streams."""
    for shift in (52, 20, 0):
        high = ((words >> np.uint64(shift)) & np.uint64(0xFF)).astype(np.int64)
        for lag in (1, 16, 64):
            counts = np.bincount(high[:-lag:2] * 256 + high[lag::2][: len(high[:-lag:2])], minlength=1 << 16)
            assert stats.chisquare(counts).pvalue > CERTAIN
            assert stats.chisquare(counts).pvalue < 1.0 - CERTAIN


def test_runs_up(words):
    """Lengths of runs, with the element after each run left out so that they are independent (Knuth 3.3.2 G)."""
    u = (words >> np.uint64(11)).astype(np.float64)
    lengths, position = [], 0
    breaks = np.flatnonzero(u[1:] < u[:-1])
    while position < u.size - 64:
        at = breaks[np.searchsorted(breaks, position)]
        lengths.append(at - position + 1)
        position = at + 2
    k = np.arange(1, 7)
    factorial = np.cumprod(k).astype(float)
    probability = 1.0 / factorial - 1.0 / (factorial * (k + 1))
    expected = np.append(probability[:5], 1.0 - probability[:5].sum())
    counts = np.bincount(np.minimum(lengths, 6), minlength=7)[1:]
    assert stats.chisquare(counts, expected * counts.sum()).pvalue > CERTAIN


def test_birthday_spacings(words):
    """512 birthdays in a year of 2^25 days: the number of equal spacings is Poisson with mean 512³/(4 · 2^25) = 1."""
    for shift in (39, 7):
        days = ((words >> np.uint64(shift)) & np.uint64((1 << 25) - 1)).astype(np.int64).reshape(-1, 512)
        spacings = np.sort(np.diff(np.sort(days, axis=1), axis=1), axis=1)
        repeats = (np.diff(spacings, axis=1) == 0).sum()
        law = stats.poisson(len(days))
        assert min(law.cdf(repeats), law.sf(repeats - 1)) > CERTAIN


def test_collisions(words):
    """2^14 balls in 2^20 urns, again and again: collisions against their exact mean, by the variance of a Poisson law."""
    balls = (words >> np.uint64(44)).astype(np.int64).reshape(-1, 1 << 14)
    collisions = sum((1 << 14) - np.unique(row).size for row in balls)
    n, m = 1 << 14, float(1 << 20)
    mean = len(balls) * (n - m * -np.expm1(n * np.log1p(-1.0 / m)))
    assert abs(collisions - mean) < 7.0 * np.sqrt(mean)


def ranks(matrices: np.ndarray) -> np.ndarray:
    """Ranks over the field of two elements of matrices of 64 rows, each row the bits of a word; shape (n, 64) of words."""
    rows, at = matrices.copy(), np.arange(len(matrices))
    used = np.zeros(rows.shape, bool)
    for bit in range(64):
        ones = (rows >> np.uint64(bit)) & np.uint64(1) > 0
        free = ones & ~used
        pivot = free.argmax(axis=1)
        found = free[at, pivot]
        used[at, pivot] |= found
        ones[at, pivot] = False
        rows ^= np.where(ones & found[:, None], rows[at, pivot][:, None], np.uint64(0))
    return used.sum(axis=1)


def test_ranks_of_matrices(words):
    """Of full rank, one less, or even less, with their exact probabilities (Marsaglia & Tsay 1985)."""
    observed = np.bincount(np.minimum(64 - ranks(words[: 1 << 18].reshape(-1, 64)), 2), minlength=3)

    def probability(rank: int) -> float:
        i = np.arange(rank)
        return float(2.0 ** -((64 - rank) ** 2) * np.prod((1.0 - 2.0 ** (i - 64.0)) ** 2 / (1.0 - 2.0 ** (i - rank))))

    full, less = probability(64), probability(63)
    assert stats.chisquare(observed, np.array([full, less, 1.0 - full - less]) * observed.sum()).pvalue > CERTAIN


def test_weights_of_neighbours_are_independent(words):
    """Numbers of ones in two words that no other pair shares: 13 × 13 cells, of which the outer ones take in the tails."""
    edges = np.append(stats.binom(64, 0.5).cdf(np.arange(26, 38)), 1.0)
    probabilities = np.diff(edges, prepend=0.0)
    cells = np.clip(np.bitwise_count(words).astype(np.int64), 26, 38) - 26
    for lag in (1, 16, 64):
        first, second = cells.reshape(-1, 2, lag).swapaxes(0, 1)
        counts = np.bincount((13 * first + second).ravel(), minlength=169)
        assert stats.chisquare(counts, np.outer(probabilities, probabilities).ravel() * counts.sum()).pvalue > CERTAIN


def test_ranks_and_weights_see_faults():
    """Rank: a row that is the sum of two others. Weights: neighbours that share half of their bits."""
    words = words_of(3, n=1 << 20)
    spoilt = words.reshape(-1, 64).copy()
    spoilt[::8, 5] = spoilt[::8, 1] ^ spoilt[::8, 2]
    with pytest.raises(AssertionError):
        test_ranks_of_matrices(spoilt.ravel())
    pairs = words.reshape(-1, 2).copy()
    pairs[:, 1] = (pairs[:, 1] >> np.uint64(32) << np.uint64(32)) | (pairs[:, 0] & np.uint64(0xFFFFFFFF))
    with pytest.raises(AssertionError):
        test_weights_of_neighbours_are_independent(pairs.ravel())
