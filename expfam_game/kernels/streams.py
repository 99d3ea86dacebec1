"""Reproducible random streams keyed by (seed, agent, block).

A stream is a Philox counter-based generator whose key is derived from the seed and the key tuple by NumPy's
``SeedSequence``; the numbers of a stream depend on nothing else, so results are the same whatever the order in which
the streams are used, and for any number of threads.
"""

from __future__ import annotations

import numpy as np

from expfam_game._typing import Seed


def seed_sequence(seed: Seed) -> np.random.SeedSequence:
    """A ``SeedSequence`` for any accepted seed; a ``Generator`` is advanced by one draw of 128 bits.

    >>> seed_sequence(7).entropy
    7
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence([int(word) for word in seed.integers(0, 2**32, size=4)])
    return np.random.SeedSequence(seed)


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
