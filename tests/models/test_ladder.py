"""The quality scale: what a file stores, which tables it picks, how finely latents are rounded."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from caesura.errors import ConfigError
from caesura.format.container import POSITION_MAX, POSITION_MIN
from caesura.models import ladder
from caesura.models.bundle import Bundle

SPAN = POSITION_MAX - POSITION_MIN
IDENTITY = [(1.0, 1.0), (100.0, 100.0)]
positions = st.integers(POSITION_MIN, POSITION_MAX)
row_counts = st.integers(1, 500)
logarithms = st.floats(-8, 8, width=32)
ladders = hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=logarithms)
tops = st.integers(POSITION_MIN + 1, POSITION_MAX)


@st.composite
def scales(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Two to five pairs of quality and ladder position, both rising."""
    count = draw(st.integers(2, 5))
    columns = [sorted(draw(st.sets(positions, min_size=count, max_size=count))) for _ in range(2)]
    return [(quality / 100, own / 100) for quality, own in zip(*columns, strict=True)]


# ---- quality and ladder position


@pytest.mark.parametrize(
    ("quality", "position"),
    [(1, 100), (100, 10000), (60, 6000), (60.0, 6000), (33.333, 3333), (99.999, 10000)],
)
def test_a_quality_is_stored_in_hundredths(quality: float, position: int) -> None:
    assert ladder.position_of(quality, IDENTITY) == position


@pytest.mark.parametrize("quality", [np.float32(60), np.float64(60), np.int64(60), np.uint8(60)])
def test_numbers_of_numpy_are_qualities_too(quality: float) -> None:
    ladder.check(quality)
    assert ladder.position_of(quality, IDENTITY) == 6000
    assert type(ladder.position_of(quality, IDENTITY)) is int


@given(positions)
def test_every_position_is_that_of_its_quality(position: int) -> None:
    assert ladder.position_of(position / 100, IDENTITY) == position
    assert ladder.quality_of(position, IDENTITY) == position / 100


@pytest.mark.parametrize("quality", [0, 101, -5, 0.99, 100.01, math.nan, math.inf, -math.inf])
def test_a_quality_out_of_range_is_refused(quality: object) -> None:
    with pytest.raises(ConfigError, match=r"quality is .+; 1 to 100 is allowed"):
        ladder.check(quality)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"quality is .+; 1 to 100 is allowed"):
        ladder.position_of(quality, IDENTITY)  # type: ignore[arg-type]


@pytest.mark.parametrize("quality", ["50", None, True, [50]])
def test_a_quality_is_a_number(quality: object) -> None:
    with pytest.raises(TypeError, match=r"quality is .+, of type .+; 1 to 100 is allowed"):
        ladder.check(quality)  # type: ignore[arg-type]


@pytest.mark.parametrize("quality", [1, 1.0, 50.5, 100])
def test_a_quality_within_the_range_is_allowed(quality: float) -> None:
    ladder.check(quality)


def test_the_default_quality_is_allowed(either: Bundle) -> None:
    ladder.check(ladder.DEFAULT_QUALITY)
    assert POSITION_MIN < ladder.position_of(ladder.DEFAULT_QUALITY, either.quality_scale) < POSITION_MAX


@pytest.mark.slow
@given(scales())
def test_the_pairs_of_a_scale_are_met(scale: list[tuple[float, float]]) -> None:
    for quality, own in scale:
        assert ladder.position_of(quality, scale) == round(own * 100)
        assert ladder.quality_of(round(own * 100), scale) == quality


@pytest.mark.slow
@given(scales(), st.floats(0, 1))
def test_between_pairs_a_scale_is_linear(scale: list[tuple[float, float]], share: float) -> None:
    for before, after in itertools.pairwise(scale):
        quality, own = (low + share * (high - low) for low, high in zip(before, after, strict=True))
        assert abs(ladder.position_of(min(quality, 100.0), scale) - own * 100) <= 0.5 + 1e-6


@pytest.mark.slow
@given(scales(), st.floats(1, 100))
def test_beyond_what_a_model_reaches_its_nearest_position_is_taken(
    scale: list[tuple[float, float]], quality: float
) -> None:
    (first, lowest), (last, highest) = scale[0], scale[-1]
    position = ladder.position_of(quality, scale)
    if quality <= first:
        assert position == round(lowest * 100)
    if quality >= last:
        assert position == round(highest * 100)
    assert round(lowest * 100) <= position <= round(highest * 100)


@pytest.mark.slow
@given(scales(), st.floats(1, 100), st.floats(1, 100))
def test_a_higher_quality_never_has_a_lower_position(
    scale: list[tuple[float, float]], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert ladder.position_of(low, scale) <= ladder.position_of(high, scale)


@pytest.mark.slow
@given(scales(), positions)
def test_a_stored_position_stands_for_a_quality_that_the_scale_has(
    scale: list[tuple[float, float]], position: int
) -> None:
    quality = ladder.quality_of(position, scale)
    assert scale[0][0] <= quality <= scale[-1][0]
    owns = [own for _, own in scale]
    reached = min(max(position, round(owns[0] * 100)), round(owns[-1] * 100))
    steepest = max((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(scale))
    # Rounding to hundredths of a quality moves the position by half the slope, plus half for its own.
    assert abs(ladder.position_of(quality, scale) - reached) <= 0.5 * steepest + 0.5 + 1e-6


def test_the_papers_model_reaches_a_part_of_the_qualities(bundle: Bundle) -> None:
    for quality, position in ((1, 100), (13.95, 100), (38.38, 5050), (62.81, 10000), (100, 10000)):
        assert ladder.position_of(quality, bundle.quality_scale) == position


@pytest.mark.parametrize(
    ("quality", "beta"), [(1, 6), (36.5, math.sqrt(6 * 12000)), (72, 12000), (100, 12000)]
)
def test_quality_stands_for_a_beta_up_to_the_ladders_end(quality: float, beta: float) -> None:
    assert ladder.beta(quality) == pytest.approx(beta)


@given(st.floats(1, 72), st.floats(1, 72))
def test_equal_steps_of_quality_multiply_beta_by_equal_factors(one: float, other: float) -> None:
    middle = (one + other) / 2
    assert ladder.beta(middle) ** 2 == pytest.approx(ladder.beta(one) * ladder.beta(other))


# ---- rows of tables


@given(row_counts)
def test_rows_run_from_the_first_to_the_last(rows: int) -> None:
    assert ladder.table_row(POSITION_MIN, rows) == 0
    assert ladder.table_row(POSITION_MAX, rows) == rows - 1


@given(tops, row_counts)
def test_rows_run_up_to_the_top_of_the_ladder_or_on_from_there(top: int, rows: int) -> None:
    assert ladder.table_row(POSITION_MIN, rows, top) == 0
    assert ladder.table_row(top, rows, top) == ladder.table_row(POSITION_MAX, rows, top) == rows - 1
    if top < POSITION_MAX:
        assert ladder.table_row(top, rows, POSITION_MAX, top) == 0
        assert ladder.table_row(POSITION_MAX, rows, POSITION_MAX, top) == rows - 1


@given(positions, positions, row_counts, tops)
def test_a_higher_quality_never_takes_a_lower_row(one: int, other: int, rows: int, top: int) -> None:
    low, high = sorted((one, other))
    assert ladder.table_row(low, rows, top) <= ladder.table_row(high, rows, top)


@given(positions, row_counts)
def test_the_row_is_the_nearest_one_as_an_integer(position: int, rows: int) -> None:
    row = ladder.table_row(position, rows)
    assert type(row) is int
    assert (
        abs(2 * row * SPAN - 2 * (position - POSITION_MIN) * (rows - 1)) <= SPAN
    )  # half a row at most, exactly


@given(st.lists(positions, min_size=3, max_size=3, unique=True), row_counts)
def test_the_row_is_the_nearest_one_between_any_two_ends(drawn: list[int], rows: int) -> None:
    bottom, position, top = sorted(drawn)
    row, span = ladder.table_row(position, rows, top, bottom), top - bottom
    assert type(row) is int
    assert abs(2 * row * span - 2 * (position - bottom) * (rows - 1)) <= span


# ---- interpolation along the ladder


@pytest.mark.slow
@given(positions, st.integers(1, 12), tops)
def test_at_most_two_neighbouring_anchors_are_mixed(position: int, anchors: int, top: int) -> None:
    mix = ladder.anchor_weights(position, anchors, top)
    assert mix.dtype == np.float32
    assert mix.shape == (anchors,)
    used = np.flatnonzero(mix)
    assert 1 <= len(used) <= 2
    assert used[-1] - used[0] <= 1
    assert mix.min() >= 0
    assert mix.sum() == pytest.approx(1, abs=1e-6)
    expected = (min(position, top) - POSITION_MIN) / (top - POSITION_MIN) * (anchors - 1)
    assert mix @ np.arange(anchors) == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
@given(tops, st.integers(1, 12), st.data())
def test_above_the_top_of_the_ladder_its_last_anchor_counts_alone(
    top: int, anchors: int, data: st.DataObject
) -> None:
    position = data.draw(st.integers(top, POSITION_MAX))
    assert ladder.anchor_weights(position, anchors, top).tolist() == [0.0] * (anchors - 1) + [1.0]


@pytest.mark.slow
@given(st.sampled_from([1, 2, 3, 4, 5, 6, 9, 10, 11, 12]), st.data())
def test_at_an_anchor_the_scale_vector_is_the_anchors(intervals: int, data: st.DataObject) -> None:
    log_scales = data.draw(hnp.arrays(np.float32, (intervals + 1, 3), elements=logarithms))
    for anchor, logs in enumerate(log_scales):
        scale = ladder.scale_vector(
            log_scales, ladder.anchor_weights(POSITION_MIN + SPAN * anchor // intervals, len(log_scales))
        )
        np.testing.assert_allclose(scale, np.exp(logs), rtol=1e-5)


@pytest.mark.slow
@given(ladders, positions)
def test_a_scale_vector_lies_between_two_neighbouring_anchors(
    log_scales: NDArray[np.float32], position: int
) -> None:
    scale = ladder.scale_vector(log_scales, ladder.anchor_weights(position, len(log_scales)))
    assert scale.dtype == np.float32
    assert scale.shape == log_scales.shape[1:]
    scaled = (position - POSITION_MIN) * (len(log_scales) - 1)
    neighbours = np.exp(log_scales[[scaled // SPAN, -(-scaled // SPAN)]].astype(np.float64))
    assert (scale >= neighbours.min(axis=0) * (1 - 1e-5)).all()
    assert (scale <= neighbours.max(axis=0) * (1 + 1e-5)).all()


@pytest.mark.slow
@given(ladders, positions, positions)
def test_on_a_rising_ladder_a_higher_quality_has_a_larger_scale(
    log_scales: NDArray[np.float32], one: int, other: int
) -> None:
    rising = np.sort(log_scales, axis=0)
    mixes = (ladder.anchor_weights(position, len(rising)) for position in sorted((one, other)))
    low, high = (ladder.scale_vector(rising, mix) for mix in mixes)
    assert (low <= high * (1 + 1e-5)).all()


@given(positions)
def test_halfway_is_the_geometric_mean(position: int) -> None:
    log_scales = np.log(np.array([[1.0], [16.0]], np.float32))
    expected = 16 ** ((position - POSITION_MIN) / SPAN)
    np.testing.assert_allclose(
        ladder.scale_vector(log_scales, ladder.anchor_weights(position, 2)), [expected], rtol=1e-5
    )
