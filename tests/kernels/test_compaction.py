"""Places of rare flags and closed gaps, against lists."""

from __future__ import annotations

import numpy as np
import pytest

from expfam_game.kernels import compaction


def random_flags(size: int, share: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    flags = (rng.random(size) < share).astype(np.uint64)
    return flags * rng.integers(1, 2**63, size, dtype=np.uint64)  # any number but zero is a flag


@pytest.mark.parametrize("share", [0.0, 0.02, 0.7, 1.0])
@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 1000, 1024])
def test_positions(size, share):
    flags = random_flags(size, share)
    expected = np.flatnonzero(flags)
    count = compaction.positions(flags)
    assert np.array_equal(flags[:count], expected)


def test_gather():
    values = np.arange(100.0)
    where = np.array([0, 1, 5, 50, 99], dtype=np.uint64)
    compaction.gather(values, where)
    assert np.array_equal(values[:5], where)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("size", [1, 2, 31, 200])
def test_close_gaps_keeps_the_others(size, share):
    for seed in range(20):
        gaps = np.flatnonzero(random_flags(size, share, seed)).astype(np.uint64)
        values = np.arange(float(size))
        others = np.delete(values, gaps)
        remain = compaction.close_gaps(values, gaps)
        assert remain == others.size
        assert np.array_equal(np.sort(values[:remain]), others)
        stay = others[others < remain].astype(int)
        assert np.array_equal(values[stay], stay)  # only what lies behind the new end is moved


def test_gaps_at_either_end():
    for gaps in ([0], [4], [0, 1, 2], [2, 3, 4], [0, 4], [1, 3]):
        values = np.arange(5.0)
        remain = compaction.close_gaps(values, np.array(gaps, dtype=np.uint64))
        assert sorted(values[:remain]) == [v for v in range(5) if v not in gaps]
