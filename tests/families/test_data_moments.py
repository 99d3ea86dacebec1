"""The mean statistic of data in one pass: exact fractions are the oracle."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import expfam_game as eg
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.families import mean_statistic
from expfam_game.families.data_moments import _ENTRIES, _ROWS

NORMAL = eg.families.KnownVarianceGaussian(1.0)
"""Its statistic is the sample itself."""
U = Fraction(1, 2**53)


def exact_mean(values, weights=None):
    """Mean and Σ w |φ| / Σ w as fractions."""
    x = [Fraction(float(v)) for v in values]
    w = [Fraction(1)] * len(x) if weights is None else [Fraction(float(v)) for v in weights]
    total = sum(w)
    return sum(a * b for a, b in zip(w, x)) / total, sum(a * abs(b) for a, b in zip(w, x)) / total


def stated_bound(mean, size, n):
    blocks = -(-n // _ROWS)
    return 3 * U * abs(mean) + 2 * (min(n, _ROWS) + 2 * blocks) ** 2 * U**2 * size


def spread_out(n, seed, decades):
    """Numbers over many orders of magnitude that nearly cancel."""
    rng = np.random.default_rng(seed)
    half = rng.choice([-1.0, 1.0], n // 2) * 10.0 ** rng.uniform(-decades, decades, n // 2)
    values = np.concatenate([half, -half, rng.normal(size=n - 2 * (n // 2) + 1)])
    return rng.permutation(values)


@pytest.mark.parametrize("seed", range(4))
def test_ill_conditioned_data_is_within_the_stated_bound_of_exact_fractions(seed):
    """Two blocks of numbers from 1e-8 to 1e8 whose sum is of order 1: plain sums miss the bound by far."""
    values = spread_out(_ROWS + 3000, seed, 8)
    exact, size = exact_mean(values)
    bound = stated_bound(exact, size, values.size)
    assert abs(Fraction(mean_statistic(NORMAL, values).mean[0]) - exact) <= bound
    assert abs(Fraction(float(np.mean(values))) - exact) > 100 * bound


@pytest.mark.parametrize("seed", range(4))
def test_ill_conditioned_products_are_within_the_stated_bound_of_exact_fractions(seed):
    """Each product w φ is nearly cancelled by one of other factors: what is left is below its rounding."""
    rng = np.random.default_rng(seed)
    half = rng.choice([-1.0, 1.0], 9000) * 10.0 ** rng.uniform(-8, 8, 9000)
    weights = rng.uniform(0.5, 2.0, 18_000)
    values = np.r_[half, -half * weights[:9000] / weights[9000:]]
    order = rng.permutation(18_000)
    values, weights = values[order], weights[order]
    exact, size = exact_mean(values, weights)
    bound = stated_bound(exact, size, values.size)
    assert abs(Fraction(mean_statistic(NORMAL, values, weights).mean[0]) - exact) <= bound
    assert abs(Fraction(float(np.average(values, weights=weights))) - exact) > 100 * bound


@given(
    st.lists(st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-150), min_size=1, max_size=40),
    st.integers(0, 1000),
)
def test_any_few_numbers_are_within_the_stated_bound(values, seed):
    weights = np.random.default_rng(seed).integers(1, 1 << 30, len(values)) * 2.0 ** (seed % 60)
    exact, size = exact_mean(values, weights)
    found = Fraction(mean_statistic(NORMAL, values, weights).mean[0])
    assert abs(found - exact) <= stated_bound(exact, size, len(values))


def test_standard_errors_against_exact_fractions_far_from_zero():
    """Deviations of 1e-3 around 1e6, weights over six decades, several blocks."""
    rng = np.random.default_rng(1)
    values = 1e6 + 1e-3 * rng.normal(size=_ROWS + 1234)
    weights = 10.0 ** rng.uniform(-3, 3, values.size)
    mean, _ = exact_mean(values, weights)
    w = [Fraction(v) for v in weights.tolist()]
    squares = sum((a * (Fraction(x) - mean)) ** 2 for a, x in zip(w, values.tolist()))
    n = values.size
    expected = float(squares * n / (n - 1)) ** 0.5 / float(sum(w))
    moments = mean_statistic(NORMAL, values, weights)
    assert moments.standard_error[0] == pytest.approx(expected, rel=1e-6)  # the mean itself is rounded at 1e-10
    assert moments.total_weight == float(sum(w))
    assert moments.effective_count == pytest.approx(float(sum(w) ** 2 / sum(a * a for a in w)), rel=1e-12)
    plain = mean_statistic(NORMAL, values)
    assert plain.standard_error[0] == pytest.approx(np.std(values - 1e6, ddof=1) / n**0.5, rel=1e-6)
    assert (plain.total_weight, plain.count, plain.effective_count) == (n, n, n)


def test_the_standard_error_is_the_spread_of_weighted_means():
    """2000 independent data sets; the ratio of variances is within six of its own standard deviations."""
    rng = np.random.default_rng(2)
    weights, repeats = rng.uniform(0, 1, 50) ** 3, 2000
    found = [mean_statistic(NORMAL, rng.normal(size=50), weights) for _ in range(repeats)]
    observed = np.var([m.mean[0] for m in found], ddof=1)
    truth = np.sum(weights**2) / np.sum(weights) ** 2
    assert abs(observed / truth - 1) < 6 * np.sqrt(2 / repeats)
    estimated = np.array([m.standard_error[0] ** 2 for m in found])
    # A weighted estimate of variance is biased by a share of order max w / Σ w, 8 % here.
    assert abs(estimated.mean() / truth - 1) < 0.08 + 6 * estimated.std() / truth / np.sqrt(repeats)


def same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


def test_the_result_is_the_same_for_any_number_of_threads():
    family = eg.families.Gaussian(2)
    rng = np.random.default_rng(3)
    data, weights = rng.normal(size=(5 * _ROWS + 17, 2)), rng.exponential(size=5 * _ROWS + 17)
    results = [mean_statistic(family, data, weights, threads=threads) for threads in (1, 2, 7, None)]
    assert all(same(results[0], other) for other in results[1:])


def test_a_common_factor_of_the_weights_does_not_matter():
    rng = np.random.default_rng(4)
    data, weights = rng.poisson(3.0, size=2 * _ROWS), rng.exponential(size=2 * _ROWS)
    family = eg.families.Poisson()
    plain = mean_statistic(family, data, weights)
    for power in (-900, -1, 900):
        scaled = mean_statistic(family, data, np.ldexp(weights, power))
        assert scaled.mean == plain.mean
        assert scaled.standard_error == plain.standard_error
        assert scaled.total_weight == np.ldexp(plain.total_weight, power)
    third = mean_statistic(family, data, weights / 3)
    np.testing.assert_allclose(third.mean, plain.mean, rtol=1e-15)
    np.testing.assert_allclose(third.standard_error, plain.standard_error, rtol=1e-13)
    # Weights whose sizes differ by more than float64 can hold: the light block has no effect.
    light = np.concatenate([np.ldexp(weights[:_ROWS], -900), weights[_ROWS:]])
    assert mean_statistic(family, data, light).mean == mean_statistic(family, data[_ROWS:], weights[_ROWS:]).mean


def test_samples_without_weight_count_as_absent():
    family = eg.families.DiagonalGaussian(2)
    data = np.random.default_rng(5).normal(size=(100, 2))
    weights = np.arange(100) % 3
    assert same(mean_statistic(family, data, weights), mean_statistic(family, data[weights > 0], weights[weights > 0]))
    # Integer weights weigh like repeated samples.
    repeated = mean_statistic(family, np.repeat(data, weights, axis=0))
    np.testing.assert_allclose(mean_statistic(family, data, weights).mean, repeated.mean, rtol=1e-14)


def test_arrays_memory_maps_iterators_pairs_and_files_agree(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    family = eg.families.Bernoulli(2)
    rng = np.random.default_rng(6)
    data, weights = rng.integers(0, 2, size=(3000, 2)), rng.exponential(size=3000)
    np.save(tmp_path / "x.npy", data)
    np.save(tmp_path / "w.npy", weights)
    np.savez(tmp_path / "x.npz", data)
    np.savetxt(tmp_path / "x.csv", data, fmt="%d", delimiter=",")
    parquet.write_table(pyarrow.table({"a": data[:, 0], "b": data[:, 1]}), tmp_path / "x.parquet", row_group_size=700)
    expected = mean_statistic(family, data, weights)
    np.testing.assert_allclose(expected.mean, np.average(data, axis=0, weights=weights), rtol=1e-13)
    cuts = [0, 1, 1, 1700, 3000]
    sources = [
        (np.load(tmp_path / "x.npy", mmap_mode="r"), np.load(tmp_path / "w.npy", mmap_mode="r")),
        (data.tolist(), weights.tolist()),
        (((data[a:b], weights[a:b]) for a, b in zip(cuts, cuts[1:])), None),
        ((data[a:b] for a, b in zip(cuts, cuts[1:])), weights),
        *(
            ((part for part in eg.files.batches(tmp_path / f"x.{end}")), weights)
            for end in ("npy", "npz", "csv", "parquet")
        ),
    ]
    for source, given_weights in sources:
        found = mean_statistic(family, source, given_weights)
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-15)
        np.testing.assert_allclose(found.standard_error, expected.standard_error, rtol=1e-12)
        assert found.count == 3000


def test_memory_does_not_grow_with_the_data():
    """32 MB of samples and 64 MB of statistics pass through; some blocks of 2 MB are held."""
    batch = np.random.default_rng(7).normal(size=(1 << 14, 8))
    family = eg.families.DiagonalGaussian(8)
    mean_statistic(family, batch)
    tracemalloc.start()
    found = mean_statistic(family, (batch + 0.0 for _ in range(32)), threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.count == 32 << 14
    assert peak < 16 * (8 * _ENTRIES) < 32 * batch.nbytes * 2
    np.testing.assert_allclose(found.mean, mean_statistic(family, batch).mean, rtol=1e-14)


@pytest.mark.parametrize(
    ("data", "weights", "error", "message"),
    [
        ([], None, InvalidData, "there are no samples"),
        (iter([]), None, InvalidData, "there are no samples"),
        ([1, 2], [0, 0], InvalidData, "no sample with a positive weight"),
        ([1, 2], [1, -1], InvalidInput, "weight of sample 1 is -1.0; it must be finite and non-negative"),
        ([1, 2], [1, np.nan], InvalidInput, "weight of sample 1 is nan"),
        ([1, 2], [np.inf, 1], InvalidInput, "weight of sample 0 is inf"),
        ([1, 2], [1], InvalidInput, "there are 1 weights, but at least 2 samples"),
        ([1, 2], [1, 1, 1], InvalidInput, "there are 3 weights, but 2 samples"),
        ([1, 2], [[1, 1]], InvalidInput, r"one per sample; got an array of float64 with shape \(1, 2\)"),
        ([1, 2], ["a", "b"], InvalidInput, "weights must be an array of real numbers"),
        ([1, 2], np.array([1j, 1]), InvalidInput, "real numbers, one per sample; got an array of complex128"),
        (iter([([1, 2], [1])]), None, InvalidInput, r"2 samples with weights of shape \(1,\)"),
        (iter([([1, 2], [1, 1], 3)]), None, InvalidInput, "a tuple of 3; it must be a pair"),
        (iter([([1, 2], [1, 1])]), [1, 1], InvalidInput, "weights are given twice"),
        ([1, -2], None, InvalidData, "value of sample 1 is -2: "),
        (iter([[1], [1, -2]]), None, InvalidData, r"value of sample 1 is -2: .* \(row 2 of the data\)"),
        ([[1, 2]], None, InvalidData, r"must have shape \(n\), one row per sample"),
        ([[1], [1, 2]], None, InvalidData, "cannot be made an array"),
        (3.0, None, InvalidData, "array or an iterator of arrays, got float"),
        (np.float64(3.0), None, InvalidData, "got a single float64"),
        ("x.npy", None, InvalidData, r"got str; load it first, for example .* expfam_game.files.batches\(path\)"),
    ],
)
def test_what_is_wrong_is_said(data, weights, error, message):
    with pytest.raises(error, match=message):
        mean_statistic(eg.families.Poisson(), data, weights)


def test_errors_in_later_blocks_name_the_row_whatever_the_threads():
    data = np.ones(6 * _ROWS)
    data[4 * _ROWS + 7] = -1.0
    data[5 * _ROWS] = -2.0
    for threads in (1, 3):
        with pytest.raises(InvalidData, match=rf"is -1.0: .* \(row {4 * _ROWS + 7} of the data\)") as caught:
            mean_statistic(eg.families.Poisson(), data, threads=threads)
        assert caught.value.agent == 4 * _ROWS + 7


def test_sums_beyond_the_largest_float_and_bad_arguments():
    with pytest.raises(InvalidData, match=r"sum of statistic 0 \(x\) is beyond the largest float64"):
        mean_statistic(NORMAL, [1e308, 1e308])
    with pytest.raises(InvalidInput, match="not a name or a class"):
        mean_statistic(eg.families.Poisson, [1])
    with pytest.raises(InvalidInput, match="threads is 0; it must be an integer, at least 1"):
        mean_statistic(NORMAL, [1.0], threads=0)


def test_one_sample_has_no_known_error():
    moments = mean_statistic(NORMAL, [2.5])
    assert (moments.mean, moments.standard_error, moments.count) == (2.5, np.inf, 1)


def test_fitting_by_the_weighted_mean_maximises_the_weighted_likelihood():
    """T1 with one agent: no neighbour of the fitted parameters explains the weighted data better."""
    rng = np.random.default_rng(8)
    family = eg.families.Gamma()
    data, weights = rng.gamma(2.0, 3.0, 500), rng.exponential(size=500)
    theta = family.to_natural(mean_statistic(family, data, weights).mean)

    def likelihood(t):
        return np.sum(weights * family.log_prob(data, t))

    best = likelihood(theta)
    for k in range(family.dim):
        for step in (-1e-4, 1e-4):
            near = theta.copy()
            near[k] *= 1 + step
            assert likelihood(near) < best
