"""Block sweeps against dense algebra, for every width, and bitwise equality of the two compiled forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from expfam_game.kernels import sparse as kernels


def _system(n, width, seed=0):
    rng = np.random.default_rng(seed)
    b = sparse.csr_array(sparse.random_array((n, n), density=min(1.0, 6 / n), rng=rng))
    return b, rng.normal(size=(n, width)), rng.normal(size=(n, width))


def _arrays(b):
    return b.indptr, b.indices, b.data


def _close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("width", kernels.WIDTHS)
@pytest.mark.parametrize("n", [1, 513, 9000])
def test_sweeps(n, width):
    b, x, y = _system(n, width)
    lanes, chunks = kernels.lanes(width), kernels.chunks(n)
    out, largest = np.empty_like(x), np.empty((chunks, width))
    kernels.affine(*_arrays(b), x, y, out, lanes)
    _close(out, y + b @ x)
    kernels.residual(*_arrays(b), x, y, out, largest, lanes)
    _close(out, y + b @ x - x)
    np.testing.assert_array_equal(largest.max(axis=0), np.abs(out).max(axis=0))


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_both_widths_of_indices(index):
    b, x, y = _system(700, 4)
    out = np.empty_like(x)
    kernels.affine(b.indptr.astype(index), b.indices.astype(index), b.data, x, y, out, kernels.lanes(4))
    _close(out, y + b @ x)


def test_rectangular_matrices_and_sums_in_place():
    m = sparse.csr_array(sparse.random_array((50, 900), density=0.1, rng=np.random.default_rng(0)))
    x, y = np.ones((900, 2)), np.ones((50, 2))
    kernels.affine(*_arrays(m), x, y, y, kernels.lanes(2))
    _close(y, 1.0 + m @ x)


@pytest.mark.parametrize("width", [1, 16])
def test_deflated_play(width):
    b, x, y = _system(1500, width)
    shift = np.random.default_rng(1).normal(size=width)
    once = b @ np.ones(1500)
    out, (total, largest) = np.empty_like(x), np.empty((2, kernels.chunks(1500), width))
    kernels.deflated_play(*_arrays(b), x, y, shift, once, b @ once, out, total, largest, kernels.lanes(width))
    shifted = x + np.outer(once, shift)
    _close(out, y + b @ shifted)
    np.testing.assert_allclose(total.sum(axis=0), (out - shifted).sum(axis=0), atol=1e-10)
    _close(largest.max(axis=0), np.abs(out - shifted).max(axis=0))


def test_a_step_of_conjugate_residuals():
    """The residual falls by as much as projection on all kept images allows."""
    b, x, rest = _system(1200, 2)
    lanes, chunks, rng = kernels.lanes(2), kernels.chunks(1200), np.random.default_rng(3)
    steps, images = rng.normal(size=(2, 3, 1200, 2))
    system = sparse.eye_array(1200) - b
    images[0] = system @ steps[0]
    dots, pair, largest = np.empty((chunks, 1, 2)), np.empty((chunks, 2, 2)), np.empty((chunks, 2))
    kernels.image(*_arrays(b), steps, images, 1, 1, dots, lanes)
    _close(images[1], system @ steps[1])
    np.testing.assert_allclose(dots.sum(axis=0)[0], np.sum(images[0] * images[1], axis=0), rtol=1e-10)
    factors = dots.sum(axis=0) / np.sum(images[0] ** 2, axis=0)
    kernels.orthogonalise(rest, steps, images, 1, factors, pair, lanes)
    np.testing.assert_allclose(np.sum(images[0] * images[1], axis=0), 0.0, atol=1e-9)
    _close(images[1], system @ steps[1])
    before, start = rest.copy(), x.copy()
    onto, norm = pair.sum(axis=0)
    kernels.advance(x, rest, steps, images, 1, onto / norm, largest, lanes)
    np.testing.assert_allclose(np.sum(rest * images[1], axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(rest - before, -system @ (x - start), atol=1e-11)
    np.testing.assert_array_equal(largest.max(axis=0), np.abs(rest).max(axis=0))


def test_one_thread_and_many_give_the_same_bits(monkeypatch):
    b, x, y = _system(9000, 16)
    results = []
    for limit in (0, 10**9):
        monkeypatch.setattr(kernels, "_ALONE", limit)
        out, largest = np.empty_like(x), np.empty((kernels.chunks(9000), 16))
        kernels.residual(*_arrays(b), x, y, out, largest, kernels.lanes(16))
        results.append((out, largest))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_communities_are_neighbourhoods():
    """On a ring where everybody hears two on either side: founders' neighbourhoods of five, everybody in one of them."""
    n = 1000
    offsets = np.array([-2, -1, 1, 2])
    columns = ((np.arange(n)[:, None] + offsets) % n).ravel()
    b = sparse.csr_array((np.full(4 * n, 0.25), (np.repeat(np.arange(n), 4), columns)), shape=(n, n))
    label = np.empty(n, dtype=np.int64)
    found = kernels.form_communities(b.indptr, b.indices, b.data, 0.25, label)
    assert found == len(set(label.tolist())) == 200
    sizes = np.bincount(label)
    assert sizes.min() == sizes.max() == 5


def test_weak_weights_found_no_communities():
    """Two pairs joined by a weak link stay two communities."""
    dense = np.array([[0, 1, 0, 0], [1, 0, 0.1, 0], [0, 0.1, 0, 1], [0, 0, 1, 0.0]])
    label = np.empty(4, dtype=np.int64)
    assert kernels.form_communities(*_arrays(sparse.csr_array(dense)), 0.25, label) == 2
    assert label.tolist() == [0, 0, 1, 1]


def test_push_keeps_what_it_promises():
    """visits + rest (I − B)^{-1} does not change, and Σ rest ends below the tolerance."""
    rng = np.random.default_rng(0)
    b = sparse.csr_array(sparse.random_array((200, 200), density=0.05, rng=rng))
    b = sparse.csr_array(b * (0.9 / b.sum(axis=1).max()))
    visits, rest, touched = np.zeros(200), np.zeros(200), np.full(200, -1)
    rest[3], touched[0] = 1.0, 3
    count, work = kernels.push(*_arrays(b), visits, rest, touched, 1e-5, 10**9)
    inverse = np.linalg.inv(np.eye(200) - b.toarray())
    _close(visits + rest @ inverse, inverse[3])
    assert 0 < rest.sum() <= 1e-5
    assert set(np.flatnonzero(visits + rest)) <= set(touched[:count].tolist())
    assert work > 0
