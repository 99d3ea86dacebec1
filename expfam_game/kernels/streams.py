"""Reproducible random streams keyed by (seed, agent, block).

The compiled kernels open one stream for each agent and each block of its samples: sixteen lanes of SFC64, whose states
Philox draws from the key of the call and the place (:class:`StreamKey`, :mod:`expfam_game.kernels.random_words`). What is
not compiled takes its numbers from a ``numpy.random.Generator`` over Philox, :func:`stream`, whose key NumPy's
``SeedSequence`` derives from the seed and the place. The numbers of a stream depend on nothing else: results are the same,
bit for bit, whatever the order in which the streams are used, and for any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expfam_game._typing import Seed
from expfam_game.errors import InvalidInput


def seed_sequence(seed: Seed) -> np.random.SeedSequence:
    """A ``SeedSequence`` for any accepted seed; a ``Generator`` is advanced by one draw of 128 bits.

    >>> seed_sequence(7).entropy
    7
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence([int(word) for word in seed.integers(0, 2**32, size=4)])
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidInput(f"seed is {seed!r}; it must be a non-negative integer, a SeedSequence or a Generator")
    return np.random.SeedSequence(int(seed))


def stream(seed: np.random.SeedSequence, *key: int) -> np.random.Generator:
    """The stream of ``seed`` with the given key.

    >>> root = seed_sequence(7)
    >>> stream(root, 0, 1).random() == stream(root, 0, 1).random()
    True
    >>> stream(root, 0, 1).random() == stream(root, 1, 0).random()
    False
    """
    child = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))
    return np.random.Generator(np.random.Philox(child))


# ---------------------------------------------------------------------- compiled streams


MOST_BRANCHES = 1 << 16


@dataclass(frozen=True)
class StreamKey:
    """What keys the compiled streams of one call: 64 bits of the seed, and a branch for each part of a product.

    Notes
    -----
    A stream is sixteen lanes of SFC64 (C. Doty-Humphrey's small fast chaotic generator, as in NumPy), taken in turns.
    The state of a lane is (a, b, c, w), all of 64 bits; a step is a bijection of states, and w counts the steps. Lanes
    start at w = 1, with c = the key and (a, b) = Philox4x32-10 under this key (J. Salmon et al., "Parallel random
    numbers: as easy as 1, 2, 3", SC 2011) at the 128-bit counter

        bits 0–31: lane,   bits 32–63: block,   bits 64–95: agent,   bits 112–127: branch.

    Philox is a bijection of counters, so no two lanes of any (key, branch, agent, block) start in the same state. Two
    lanes can only be in the same state when their w agree, thus, within 2^64 steps of each, after equally many steps;
    and then they would have started in the same state. So all streams, of one seed or of seeds with different keys,
    are disjoint by construction, for 2^64 steps (2^68 words) each.
    """

    key: int
    branch: int = 0

    def child(self, branch: int) -> StreamKey:
        """The key of another branch, below MOST_BRANCHES."""
        return StreamKey(self.key, branch)


def stream_key(seed: np.random.SeedSequence) -> StreamKey:
    """The key of the compiled streams of a seed.

    >>> stream_key(seed_sequence(7)) == stream_key(seed_sequence(7)) != stream_key(seed_sequence(8))
    True
    """
    return StreamKey(int(seed.generate_state(1, np.uint64)[0]))
