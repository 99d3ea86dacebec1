"""Sample sets: validation, masks, weights, pooling."""

import doctest
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.samples import SampleSet, as_array, counted, pool


class WithArray:
    def __array__(self, dtype=None, copy=None):
        return np.array([[1.0, 2.0]])


class OnlyDLPack:
    """Speaks DLPack and nothing else, as a tensor of another framework may."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **keywords):
        return self._array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def test_arrays_are_not_copied():
    values = np.zeros((3, 2), dtype=np.uint8)
    assert SampleSet(values).values is values
    assert SampleSet.of(values).values is values


def test_of_takes_everything_that_speaks_array_or_dlpack():
    first = SampleSet([[1.0, 2.0]])
    assert SampleSet.of(first) is first
    np.testing.assert_array_equal(SampleSet.of(WithArray()).values, [[1.0, 2.0]])
    np.testing.assert_array_equal(SampleSet.of(OnlyDLPack(np.array([[4.0, 5.0]]))).values, [[4.0, 5.0]])
    np.testing.assert_array_equal(as_array(OnlyDLPack(np.arange(3))), [0, 1, 2])


def test_masked_arrays_are_refused_and_other_subclasses_become_arrays():
    with pytest.raises(InvalidData, match="observed=~mask"):
        SampleSet(np.ma.masked_array([[1.0, 2.0]], mask=[[False, True]]))
    assert SampleSet(np.ma.masked_array([[1.0, 2.0]])).values.tolist() == [[1.0, 2.0]]
    assert type(SampleSet(np.asmatrix([[1.0, 2.0]])).values) is np.ndarray


def test_no_rows_is_nothing_to_say():
    empty = SampleSet(np.empty((0, 4)))
    assert (empty.n, len(empty), empty.n_variables) == (0, 0, 4)
    assert empty.normalized_weights().shape == (0,)
    assert empty.labels(3, 2).shape == (0,)
    assert SampleSet(np.empty((0, 4)), row_weights=[]).normalized_weights().shape == (0,)


@pytest.mark.parametrize(
    "values",
    [[1.0, 2.0], np.zeros((2, 0)), np.zeros((2, 2, 2)), [["a", "b"]], [[1j]], np.float64(3), [[1, 2], [3]], [[None]]],
)
def test_values_must_be_a_table_of_real_numbers(values):
    with pytest.raises(InvalidData):
        SampleSet(values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_observed_values_must_be_finite_and_the_others_need_not(bad):
    values = np.zeros((3, 2))
    values[2, 1] = bad
    with pytest.raises(InvalidData, match=r"row 2, variable 1 .* SampleSet\(values, observed=mask\)") as caught:
        SampleSet(values)
    assert caught.value.entry == (2, 1)
    observed = np.ones((3, 2), dtype=bool)
    observed[2, 1] = False
    np.testing.assert_array_equal(SampleSet(values, observed).filled(7), [[0, 0], [0, 0], [0, 7]])
    assert SampleSet(values, [True, False]).n == 3


def test_a_bad_value_far_down_a_large_table_is_named():
    values = np.zeros((3_000, 400), dtype=np.float32)
    values[2_900, 17] = np.nan
    with pytest.raises(InvalidData, match="row 2900, variable 17"):
        SampleSet(values)


@pytest.mark.parametrize("observed", [[1, 0], [True], [[True, True]], np.ones((2, 3), bool)])
def test_masks_that_do_not_fit(observed):
    with pytest.raises(InvalidInput, match="observed"):
        SampleSet(np.zeros((2, 2)), observed)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0], [[1.0, 1.0]]])
def test_weights_that_do_not_fit(weights):
    with pytest.raises(InvalidInput, match="row_weights"):
        SampleSet(np.zeros((2, 2)), row_weights=weights)


def test_mask_broadcasts_to_the_values():
    assert SampleSet(np.zeros((3, 2))).mask().tolist() == [[True, True]]
    assert SampleSet(np.zeros((3, 2)), [True, False]).mask().tolist() == [[True, False]]
    full = np.array([[True, False], [False, True], [True, True]])
    assert SampleSet(np.zeros((3, 2)), full).mask().tolist() == full.tolist()


def test_weights_count_by_proportions_even_where_their_sum_overflows_or_underflows():
    for scale in (1e308, 1.0, 1e-308, 5e-324):
        samples = SampleSet(np.zeros((4, 1)), row_weights=np.array([1.0, 1.0, 0.0, 0.0]) * scale)
        np.testing.assert_array_equal(samples.normalized_weights(), [0.5, 0.5, 0.0, 0.0])


def test_labels():
    values = np.array([[0.0, 2.0], [0.0, np.nan], [0.0, 0.0]])
    samples = SampleSet(values, [[True, True], [True, False], [True, True]])
    assert samples.labels(1, 3).tolist() == [2, -1, 0]
    assert samples.labels(-1, 3).tolist() == [2, -1, 0]
    assert SampleSet([[True], [False]]).labels(0, 2).tolist() == [1, 0]
    with pytest.raises(InvalidData, match=r"row 0 has the label 2\.0 in column 1; labels must be integers from 0 to 1"):
        samples.labels(1, 2)
    for bad in (0.5, -1.0):
        with pytest.raises(InvalidData, match="labels must be integers"):
            SampleSet([[bad]]).labels(0, 2)


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (SampleSet(np.zeros((600, 65))), "SampleSet(600 samples × 65 variables)"),
        (SampleSet(np.zeros((1, 1)), [True]), "SampleSet(1 sample × 1 variable)"),
        (
            SampleSet(np.zeros((2, 2)), [True, False], [1, 2]),
            "SampleSet(2 samples × 2 variables, some values not observed, weighted)",
        ),
    ],
)
def test_a_sample_set_prints_in_a_line(samples, text):
    assert repr(samples) == text


def test_numbers_in_messages_are_plain():
    with pytest.raises(InvalidInput, match=r"are \[1\.0, -2\.0\]; they must"):
        pool([[[1.0]], [[2.0]]], np.array([1.0, -2.0]))


@pytest.mark.parametrize("thing", [SampleSet, pool, as_array, counted], ids=lambda t: t.__name__)
def test_examples_run_as_pasted(thing):
    (example,) = doctest.DocTestFinder(recurse=False).find(thing, globs={})
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
    assert example.examples


def test_take_select_and_blocks():
    observed = np.array([[True, False], [True, True], [False, True]])
    samples = SampleSet(np.arange(6).reshape(3, 2), observed, [1.0, 2.0, 0.0])
    taken = samples.take([1, 0])
    assert taken.values.tolist() == [[2, 3], [0, 1]]
    assert taken.mask().tolist() == [[True, True], [True, False]]
    assert taken.normalized_weights().tolist() == [2 / 3, 1 / 3]
    assert samples.take([2]).n == 0
    assert samples.take(np.array([True, False, False])).values.tolist() == [[0, 1]]
    assert samples.select([1]).mask().tolist() == [[False], [True], [True]]
    assert SampleSet(np.zeros((2, 3)), [True, False, True]).select(slice(1, 3)).mask().tolist() == [[False, True]]
    assert [(b.start, b.stop) for b in samples.blocks(2)] == [(0, 2), (2, 3)]


def test_pool_keeps_masks_and_types_where_the_parts_agree():
    x = np.ones((2, 3), dtype=np.uint8)
    assert pool([x], [5.0]).values is x
    assert pool([x, x], [1, 1]).values.dtype == np.uint8
    assert pool([x, x], [1, 1]).observed is None
    assert pool([SampleSet(x, [True, False, True])] * 2, [1, 1]).observed.tolist() == [True, False, True]
    mixed = pool([x, SampleSet(x, [True, False, True])], [1, 1])
    assert mixed.observed.tolist() == [[True] * 3] * 2 + [[True, False, True]] * 2
    rows = SampleSet(x, [[True, False, True], [False, True, True]])
    assert pool([rows, rows], [1, 1]).observed.tolist() == rows.observed.tolist() * 2
    assert pool([rows], [1]).observed.tolist() == rows.observed.tolist()


def test_pool_leaves_out_who_says_nothing():
    both = pool([np.empty((0, 1)), [[3.0]], [[4.0]]], [1.0, 2.0, 0.0])
    assert both.values.tolist() == [[3.0]]
    assert both.row_weights.tolist() == [1.0]


@pytest.mark.parametrize(
    ("samples", "weights", "message"),
    [
        ([[[1.0]]], [1.0, 2.0], "samples has length 1, weights 2; give one weight a set"),
        ([[[1.0]]], [-1.0], "non-negative"),
        ([[[1.0]]], [np.nan], "non-negative"),
        ([[[1.0]]], [0.0], "nothing to fit"),
        ([np.empty((0, 1))], [1.0], "nothing to fit"),
        ([], [], "nothing to fit"),
        ([[[1.0]], [[1.0, 2.0]]], [1.0, 1.0], "different numbers of variables"),
    ],
)
def test_pool_refuses(samples, weights, message):
    with pytest.raises(InvalidInput, match=message):
        pool(samples, weights)


integers = st.integers(0, 50)


@given(
    st.lists(
        st.tuples(st.lists(integers, min_size=1, max_size=5).filter(any), st.integers(1, 50)), min_size=1, max_size=5
    )
)
def test_pooled_weights_are_the_exact_mixture(sets):
    parts = [SampleSet(np.zeros((len(rows), 1)), row_weights=rows) for rows, _ in sets]
    total = sum(weight for _, weight in sets)
    exact = [Fraction(weight, total) * Fraction(row, sum(rows)) for rows, weight in sets for row in rows]
    pooled = pool(parts, [weight for _, weight in sets])
    np.testing.assert_allclose(pooled.row_weights, [float(x) for x in exact], rtol=1e-14)
