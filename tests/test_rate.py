"""The quality scale: what a file stores, which tables it picks, how finely latents are rounded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from caesura import rate
from caesura.container import QUALITY_MAX, QUALITY_MIN
from caesura.errors import ConfigError

SPAN = QUALITY_MAX - QUALITY_MIN
codes = st.integers(QUALITY_MIN, QUALITY_MAX)
row_counts = st.integers(1, 500)
logarithms = st.floats(-8, 8, width=32)
ladders = hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=logarithms)


@pytest.mark.parametrize(
    ("quality", "code"), [(1, 100), (100, 10000), (60, 6000), (60.0, 6000), (33.333, 3333), (99.999, 10000)]
)
def test_a_quality_is_stored_in_hundredths(quality: float, code: int) -> None:
    assert rate.quality_code(quality) == code


@pytest.mark.parametrize("quality", [np.float32(60), np.float64(60), np.int64(60), np.uint8(60)])
def test_numbers_of_numpy_are_qualities_too(quality: float) -> None:
    assert rate.quality_code(quality) == 6000
    assert type(rate.quality_code(quality)) is int


@given(codes)
def test_every_code_is_the_code_of_its_quality(code: int) -> None:
    assert rate.quality_code(code / 100) == code


@pytest.mark.parametrize("quality", [0, 101, -5, 0.99, 100.01, math.nan, math.inf, -math.inf, "50", None])
def test_a_quality_out_of_range_is_refused(quality: object) -> None:
    with pytest.raises(ConfigError, match=r"quality is .+; 1 to 100 is allowed"):
        rate.quality_code(quality)  # type: ignore[arg-type]


def test_the_default_quality_is_allowed() -> None:
    assert QUALITY_MIN <= rate.quality_code(rate.DEFAULT_QUALITY) <= QUALITY_MAX


@given(row_counts)
def test_rows_run_from_the_first_to_the_last(rows: int) -> None:
    assert rate.table_row(QUALITY_MIN, rows) == 0
    assert rate.table_row(QUALITY_MAX, rows) == rows - 1


@given(codes, codes, row_counts)
def test_a_higher_quality_never_takes_a_lower_row(one: int, other: int, rows: int) -> None:
    low, high = sorted((one, other))
    assert rate.table_row(low, rows) <= rate.table_row(high, rows)


@given(codes, row_counts)
def test_the_row_is_the_nearest_one_as_an_integer(code: int, rows: int) -> None:
    row = rate.table_row(code, rows)
    assert type(row) is int
    assert abs(2 * row * SPAN - 2 * (code - QUALITY_MIN) * (rows - 1)) <= SPAN  # half a row at most, exactly


@given(st.sampled_from([1, 2, 3, 4, 5, 6, 9, 10, 11, 12]), st.data())
def test_on_a_rung_the_scale_vector_is_the_rungs(intervals: int, data: st.DataObject) -> None:
    ladder = data.draw(hnp.arrays(np.float32, (intervals + 1, 3), elements=logarithms))
    for rung, logs in enumerate(ladder):
        scale = rate.scale_vector(ladder, QUALITY_MIN + SPAN * rung // intervals)
        np.testing.assert_allclose(scale, np.exp(logs), rtol=1e-5)


@given(ladders, codes)
def test_a_scale_vector_lies_between_two_neighbouring_rungs(ladder: NDArray[np.float32], code: int) -> None:
    scale = rate.scale_vector(ladder, code)
    assert scale.dtype == np.float32
    assert scale.shape == ladder.shape[1:]
    place = (code - QUALITY_MIN) * (len(ladder) - 1)
    neighbours = np.exp(ladder[[place // SPAN, -(-place // SPAN)]].astype(np.float64))
    assert (scale >= neighbours.min(axis=0) * (1 - 1e-5)).all()
    assert (scale <= neighbours.max(axis=0) * (1 + 1e-5)).all()


@given(ladders, codes, codes)
def test_on_a_rising_ladder_a_higher_quality_has_a_larger_scale(
    ladder: NDArray[np.float32], one: int, other: int
) -> None:
    rising = np.sort(ladder, axis=0)
    low, high = (rate.scale_vector(rising, code) for code in sorted((one, other)))
    assert (low <= high * (1 + 1e-5)).all()


@given(codes)
def test_halfway_is_the_geometric_mean(code: int) -> None:
    ladder = np.log(np.array([[1.0], [16.0]], np.float32))
    expected = 16 ** ((code - QUALITY_MIN) / SPAN)
    np.testing.assert_allclose(rate.scale_vector(ladder, code), [expected], rtol=1e-5)
