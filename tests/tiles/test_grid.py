"""Segments: coded alone, they make a picture without a seam, in whatever company they are decoded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import caesura
from caesura import metrics
from caesura.errors import FormatError
from caesura.format import container
from caesura.format.container import CELL, MAX_CELLS
from caesura.models.bundle import Bundle
from caesura.tiles import grid
from caesura.tiles.grid import Grid, Mosaic

Pixels = NDArray[np.uint8]

grids = st.builds(
    Grid,
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    side=st.integers(1, 30),
    halo=st.integers(0, 12),
)


# ---- the grid


@pytest.mark.slow
@given(grids)
def test_segments_cover_a_picture_once(picture: Grid) -> None:
    covered = np.zeros((picture.rows, picture.columns), int)
    for number, segment in enumerate(picture):
        assert segment.number == number
        covered[segment.rows.kept, segment.columns.kept] += 1
        assert max(segment.shape) <= picture.side
    assert (covered == 1).all()


@pytest.mark.slow
@given(grids)
def test_a_window_has_the_halo_and_not_beyond_the_picture(picture: Grid) -> None:
    for segment in picture:
        for span, end in ((segment.rows, picture.rows), (segment.columns, picture.columns)):
            assert span.window.start == max(0, span.kept.start - picture.halo)
            assert span.window.stop == min(end, span.kept.stop + picture.halo)
            assert span.kept.start - span.window.start == span.inner.start
            assert span.inner.stop - span.inner.start == len(span)


@pytest.mark.slow
@given(grids)
def test_strips_are_whole_rows_in_order(picture: Grid) -> None:
    found = list(grid.strips(picture))
    assert [segment.number for strip in found for segment in strip] == [segment.number for segment in picture]
    across = len({segment.columns.kept.start for segment in picture})
    for strip in found:
        assert len(strip) % across == 0
        assert len(strip) - across < 8


@pytest.mark.slow
@given(grids, st.integers(1, 5))
def test_blocks_are_rectangles_of_all_segments(picture: Grid, side: int) -> None:
    for strip in grid.strips(picture, side):
        found = grid.blocks(strip, side)
        assert sorted(segment.number for block in found for segment in block) == [p.number for p in strip]
        for block in found:
            assert len(block) <= side**2
            whole = picture.merged(block)
            assert whole.shape[0] * whole.shape[1] == sum(p.shape[0] * p.shape[1] for p in block)
            assert whole.rows.window.start == max(0, whole.rows.kept.start - picture.halo)
            assert whole.columns.window.stop == min(picture.columns, whole.columns.kept.stop + picture.halo)


@pytest.mark.slow
@given(grids, st.randoms())
def test_a_mosaic_gives_back_what_was_put_in(picture: Grid, random: object) -> None:
    plane = np.random.default_rng(0).standard_normal((2, picture.rows, picture.columns)).astype(np.float32)
    mosaic, shuffled = Mosaic(picture.side), list(picture)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for segment in shuffled:
        mosaic.put(segment, plane[:, segment.rows.kept, segment.columns.kept])
    for segment in picture:
        np.testing.assert_array_equal(
            mosaic.window(segment), plane[:, segment.rows.window, segment.columns.window]
        )
        mosaic.forget_above(segment.rows.window.start)


def test_latents_that_are_missing_are_the_nearest_of_the_segment() -> None:
    picture, mosaic = Grid(6, 6, 2, 3), Mosaic(2)
    segments = list(picture)
    for segment in segments[:8]:
        rows, columns = segment.rows.kept, segment.columns.kept
        mosaic.put(segment, np.arange(36, dtype=np.float32).reshape(1, 6, 6)[:, rows, columns])
    last, first = segments[8], segments[0]
    centre = segments[4]
    assert mosaic.is_complete(first) is False  # its halo reaches the last
    assert mosaic.is_complete(Grid(6, 6, 2, 0).merged([first]))
    window = mosaic.window(centre)[0]
    np.testing.assert_array_equal(window[:4], np.arange(36).reshape(6, 6)[:4])
    np.testing.assert_array_equal(window[4:, 4:], np.full((2, 2), 21))  # row 3, column 3
    mosaic.put(last, np.zeros((1, 2, 2), np.float32))
    assert mosaic.is_complete(centre)
    assert not mosaic.window(centre)[0, 4:, 4:].any()


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 20))
def test_small_pictures_are_one_segment_and_others_have_allowed_ones(height: int, width: int) -> None:
    cells = grid.choose_cells(height, width)
    assert 1 <= cells <= MAX_CELLS
    header = container.Header(1, 3, 100, cells, width, height)
    assert (header.segments == 1) == (max(height, width) <= 24 * CELL)


# ---- pictures of several segments


@pytest.mark.slow
@pytest.mark.parametrize("quality", [20, 95])
@pytest.mark.parametrize("shape", [(65, 64), (64, 130), (150, 200), (1, 300), (300, 1), (190, 256)])
def test_segments_of_any_number_give_the_picture(
    either: Bundle, coffee: Pixels, shape: tuple[int, int], quality: float
) -> None:
    pixels = coffee[30 : 30 + shape[0], 100 : 100 + shape[1]]
    data = caesura.encode(pixels, quality=quality, model=either, segment_side=64)
    header, payload = container.read(data)
    assert len(payload.segments) == header.segments > 1
    decoded = caesura.decode_array(data)
    assert decoded.shape == pixels.shape
    assert metrics.psnr(pixels, decoded) > (22 if quality == 20 else 27)


def error_along_borders(pixels: Pixels, side: int, quality: float, model: Bundle, **given: int) -> float:
    """Mean squared error on both sides of where segments of `side` pixels meet."""
    data = caesura.encode(pixels, quality=quality, model=model, **given)
    error = (caesura.decode_array(data).astype(float) - pixels) ** 2
    along = np.concatenate([np.arange(side, len(pixels), side) - 1, np.arange(side, len(pixels), side)])
    return float(error[along].mean() + error[:, along].mean())


@pytest.mark.slow
@pytest.mark.parametrize("quality", [20, 95])
def test_no_seam_shows(either: Bundle, astronaut: Pixels, quality: float) -> None:
    """Pixels along the borders are as good as where there are none."""
    picture = np.ascontiguousarray(astronaut[:320, 64:384])
    whole = error_along_borders(picture, CELL, quality, either)
    apart = error_along_borders(picture, CELL, quality, either, segment_side=CELL)
    assert abs(10 * np.log10(apart / whole)) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("quality", [30, 95])
def test_segments_cost_little(either: Bundle, astronaut: Pixels, quality: float) -> None:
    picture = astronaut[:256, :256]
    whole = caesura.encode(picture, quality=quality, model=either)
    quarters = caesura.encode(picture, quality=quality, model=either, segment_side=128)
    assert len(quarters) < 1.05 * len(whole) + 4 * 20


@pytest.mark.slow
def test_transparency_is_kept_in_every_segment_that_has_it() -> None:
    pixels = np.full((100, 150, 4), 255, np.uint8)
    pixels[80:, 140:, 3] = np.arange(10)
    data = caesura.encode(pixels, model="photo-psnr", segment_side=64)
    _, payload = container.read(data)
    there = [segment is not None and segment.alpha is not None for segment in payload.segments]
    assert there == [False] * 5 + [True]
    np.testing.assert_array_equal(caesura.decode_array(data)[:, :, 3], pixels[:, :, 3])


def test_transparency_without_its_channel_is_refused(coffee: Pixels) -> None:
    with_alpha = np.dstack([coffee[:20, :20], coffee[:20, :20, :1]])
    header, payload = container.read(caesura.encode(with_alpha))
    with pytest.raises(FormatError, match="alpha: the chunk is there with 3 channels"):
        caesura.decode(container.write(dataclasses.replace(header, channels=3), payload))


@pytest.mark.slow
def test_segments_are_worked_on_side_by_side_with_the_same_result(
    flagship: Bundle, coffee: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("CAESURA_THREADS", threads)
        monkeypatch.setattr("caesura.runtime.parallel._WORTH_THREADS", 0)
        data = caesura.encode(coffee[:150, :200], quality=90, model=flagship, segment_side=64)
        results.append((data, caesura.decode_array(data)))
    assert results[0][0] == results[1][0]
    assert np.abs(results[0][1].astype(int) - results[1][1]).max() <= 1
