"""Parts of a picture: regions, previews, and what is left of damaged files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import metrics
from caesura.errors import ChecksumError, ConfigError, FormatError, TruncatedError
from caesura.format import chunks, container
from caesura.format.container import Payload
from caesura.models import bundle as bundles
from caesura.runtime import transform

Pixels = NDArray[np.uint8]
WIDTH, HEIGHT = 250, 180
COLUMNS, SEGMENTS = 4, 12  # of 64 x 64 pixels


@pytest.fixture(scope="module", params=[("cae2017", 50), ("photo-psnr", 90)], ids=str)
def file(request: pytest.FixtureRequest, coffee: Pixels) -> tuple[bytes, Pixels]:
    """A file of 3 x 4 segments with transparency, and what it decodes to."""
    model, quality = request.param
    part = coffee[100 : 100 + HEIGHT, 150 : 150 + WIDTH]
    pixels = np.dstack([part, part[:, :, :1]])
    data = caesura.encode(pixels, quality=quality, model=model, segment_side=64)
    return data, caesura.decode_array(data)


def levels_apart(one: Pixels, other: Pixels) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


# ---- regions


@pytest.mark.slow
@given(st.data())
@settings(max_examples=8)
def test_a_region_is_that_part_of_the_picture(file: tuple[bytes, Pixels], data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, WIDTH - 1)), data.draw(st.integers(0, HEIGHT - 1))
    width, height = data.draw(st.integers(1, WIDTH - x)), data.draw(st.integers(1, HEIGHT - y))
    found = caesura.decode_array(file[0], region=(x, y, width, height))
    assert levels_apart(found, file[1][y : y + height, x : x + width]) <= 1
    assert caesura.decode(file[0], region=(x, y, width, height)).size == (width, height)


@pytest.mark.slow
def test_a_region_needs_no_segments_but_its_own_and_those_around(coffee: Pixels) -> None:
    data = bytearray(caesura.encode(coffee[:130, :360], model="photo-psnr", segment_side=64))
    expected = caesura.decode_array(bytes(data))
    data[-10] ^= 1  # in the last segment
    found = caesura.decode_array(bytes(data), region=(10, 20, 100, 50))
    assert levels_apart(found, expected[20:70, 10:110]) <= 1
    with pytest.raises(ChecksumError, match="chunk 'L'"):
        caesura.decode_array(bytes(data))


@pytest.mark.parametrize(
    "region", [(0, 0, 251, 1), (0, 0, 1, 181), (-1, 0, 5, 5), (5, 5, 0, 5), (5, 5, 5, -1), (250, 0, 1, 1)]
)
def test_a_region_beyond_the_picture_is_refused(
    file: tuple[bytes, Pixels], region: tuple[int, int, int, int]
) -> None:
    x, y, width, height = region
    expected = rf"region is {width} x {height} pixels at {x}, {y}; the picture has 250 x 180"
    with pytest.raises(ConfigError, match=expected):
        caesura.decode(file[0], region=region)


@pytest.mark.parametrize("region", [(0, 0, 5), (0, 0, 5, 5, 5), [], np.zeros((1, 4), int)])
def test_a_region_of_another_length_is_refused(file: tuple[bytes, Pixels], region: object) -> None:
    with pytest.raises(ConfigError, match="four whole numbers are allowed: x, y, width, height"):
        caesura.decode(file[0], region=region)


@pytest.mark.parametrize("region", [5, "0,0,5,5", (0.5, 0, 5, 5), ("0", "0", "5", "5"), (True, 0, 5, 5), {}])
def test_a_region_of_another_type_is_refused(file: tuple[bytes, Pixels], region: object) -> None:
    with pytest.raises(TypeError, match=r"region is .+ of type .+; four whole numbers are allowed: x, y, "):
        caesura.decode(file[0], region=region)


@pytest.mark.slow
def test_numbers_of_numpy_are_regions_and_scales(file: tuple[bytes, Pixels]) -> None:
    found = caesura.decode_array(file[0], region=np.array([120, 0, 100, 50], np.uint8), scale=np.int8(2))
    np.testing.assert_array_equal(found, caesura.decode_array(file[0], region=(120, 0, 100, 50), scale=2))


# ---- previews


def reduced(pixels: Pixels, scale: int) -> Pixels:
    """Means of squares; colours weighted by alpha, the last of four channels."""
    high, wide = (-(-side // scale) * scale for side in pixels.shape[:2])
    padding = ((0, high - pixels.shape[0]), (0, wide - pixels.shape[1]), (0, 0))
    weights, values = np.pad(np.ones(pixels.shape), padding), np.pad(pixels.astype(float), padding)
    if pixels.shape[2] == 4:
        weights[:, :, :3] *= values[:, :, 3:]
    blocks = (high // scale, scale, wide // scale, scale, -1)
    total = weights.reshape(blocks).sum((1, 3))
    means = (weights * values).reshape(blocks).sum((1, 3)) / np.maximum(total, 1e-9)
    return np.rint(means).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 4])
def test_a_preview_is_the_picture_reduced(file: tuple[bytes, Pixels], scale: int) -> None:
    assert levels_apart(caesura.decode_array(file[0], scale=scale), reduced(file[1], scale)) <= 1


@pytest.mark.slow
def test_a_small_preview_is_nearly_the_picture_reduced(file: tuple[bytes, Pixels]) -> None:
    found, expected = caesura.decode_array(file[0], scale=8), reduced(file[1], 8)
    assert found.shape == expected.shape
    assert metrics.psnr(found[:, :, :3], expected[:, :, :3]) > 34
    assert levels_apart(found[:, :, 3:], expected[:, :, 3:]) <= 1


@pytest.mark.parametrize("quality", [50, 90])
def test_a_small_preview_needs_neither_synthesis_nor_detail_layer(
    coffee: Pixels, monkeypatch: pytest.MonkeyPatch, quality: int
) -> None:
    data = caesura.encode(coffee[:200, :350], quality=quality)
    monkeypatch.setattr(transform, "synthesise", None)
    monkeypatch.setattr("caesura.coding.detail.decode", None)
    assert caesura.decode_array(data, scale=8).shape == (25, 44, 3)


@pytest.mark.slow
def test_without_a_map_a_small_preview_is_the_picture_reduced(
    file: tuple[bytes, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundles.load_by_id(container.read_header(file[0]).model_id)
    plain = dataclasses.replace(bundle, preview=None)
    monkeypatch.setattr(bundles, "load_by_id", {plain.id: plain}.__getitem__)
    assert levels_apart(caesura.decode_array(file[0], scale=8), reduced(file[1], 8)) <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_previews_have_the_pictures_mode(coffee: Pixels, mode: str) -> None:
    picture = Image.fromarray(coffee[:70, :90]).convert(mode)
    if mode.endswith("A"):
        picture.putalpha(77)
    found = caesura.decode(caesura.encode(picture), scale=8)
    assert (found.mode, found.size) == (mode, (12, 9))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 8])
def test_a_region_of_a_preview_is_what_the_region_touches(file: tuple[bytes, Pixels], scale: int) -> None:
    whole = caesura.decode_array(file[0], scale=scale)
    found = caesura.decode_array(file[0], scale=scale, region=(33, 50, 100, 71))
    expected = whole[50 // scale : -(-121 // scale), 33 // scale : -(-133 // scale)]
    assert levels_apart(found, expected) <= 1


@pytest.mark.parametrize("scale", [0, 3, 16, -1])
def test_other_scales_are_refused(file: tuple[bytes, Pixels], scale: int) -> None:
    with pytest.raises(ConfigError, match=rf"scale is {scale!r}; 1, 2, 4, 8 are allowed"):
        caesura.decode(file[0], scale=scale)
    for other in (float(scale), str(scale), True):
        with pytest.raises(TypeError, match=r"scale is .+ of type .+; 1, 2, 4, 8 are allowed"):
            caesura.decode(file[0], scale=other)  # type: ignore[arg-type]


@pytest.mark.slow
def test_small_segments_are_synthesised_together(
    file: tuple[bytes, Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    usual = transform.synthesise
    monkeypatch.setattr(transform, "synthesise", lambda *given: calls.append(1) or usual(*given))
    caesura.decode_array(file[0])  # of 12 segments
    assert len(calls) == 1


# ---- damage


def positions(data: bytes) -> list[tuple[int, int]]:
    """Where each latents chunk of a file lies."""
    return [(chunk.start, chunk.next) for chunk in chunks.read(data) if chunk.kind == chunks.LATENTS]


@pytest.mark.slow
def test_a_whole_file_is_recovered_whole(file: tuple[bytes, Pixels]) -> None:
    recovered = caesura.recover(file[0])
    assert recovered.damaged == []
    assert levels_apart(np.asarray(recovered.picture), file[1]) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_damaged_segment_is_concealed_and_named(file: tuple[bytes, Pixels], number: int) -> None:
    data = bytearray(file[0])
    start, end = positions(file[0])[number]
    data[(start + end) // 2] ^= 0x55
    with pytest.raises(FormatError, match="does not match its checksum"):
        caesura.decode(bytes(data))
    recovered = caesura.recover(bytes(data))
    x, y = number % COLUMNS * 64, number // COLUMNS * 64
    assert recovered.damaged == [(x, y, min(64, WIDTH - x), min(64, HEIGHT - y))]
    found = np.asarray(recovered.picture)
    far = np.ones((HEIGHT, WIDTH), bool)
    far[max(0, y - 64) : y + 128, max(0, x - 64) : x + 128] = False
    assert np.abs(found.astype(int) - file[1])[far].max() <= 1  # the damage stays where it is
    lost = slice(y, y + 64), slice(x, x + 64), slice(0, 3)
    grey = np.full_like(file[1][lost], 128)
    assert metrics.psnr(file[1][lost], found[lost]) > metrics.psnr(file[1][lost], grey)


@pytest.mark.slow
@pytest.mark.parametrize("length", [b"\x00", b"\x7f", b"\xff\xff\xff\xff\x7f"])
def test_segments_behind_a_damaged_length_are_found(file: tuple[bytes, Pixels], length: bytes) -> None:
    start, _ = positions(file[0])[5]
    data = file[0][: start + 1] + length + file[0][start + 3 :]
    recovered = caesura.recover(data)
    assert recovered.damaged == [(64, 64, 64, 64)]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_file_gives_what_arrived(file: tuple[bytes, Pixels], share: float) -> None:
    data = file[0][: int(share * len(file[0]))]
    with pytest.raises(TruncatedError, match=r"ends (after|within)"):
        caesura.decode(data)
    recovered = caesura.recover(data)
    whole = sum(end <= len(data) for _, end in positions(file[0]))
    assert 0 <= len(recovered.damaged) - (SEGMENTS - whole) <= 1  # the last may have lost its transparency


def test_of_a_file_without_segments_nothing_is_recovered(file: tuple[bytes, Pixels]) -> None:
    header, payload = container.read(file[0])
    data = container.write(header, Payload([None] * SEGMENTS, payload.metadata))
    with pytest.raises(TruncatedError, match="none of 12 segments is left"):
        caesura.recover(data)


@pytest.mark.slow
def test_a_lost_row_is_made_up_from_above_and_below() -> None:
    picture = np.empty((384, 256, 3), np.uint8)  # 6 x 4 segments
    picture[:] = np.linspace(0, 255, 384)[:, None, None]
    data = caesura.encode(picture, model="photo-psnr", segment_side=64)
    header, payload = container.read(data)
    for row in (1, 2, 5):
        left = [s for number, s in enumerate(payload.segments) if number // COLUMNS != row]
        forged = container.write_start(header, payload.metadata) + b"".join(
            container.write_segment(number, s)
            for number, s in enumerate(payload.segments)
            if s is not None and number // COLUMNS != row
        )
        assert len(left) == 20
        recovered = caesura.recover(forged)
        assert [place[:2] for place in recovered.damaged] == [(64 * i, 64 * row) for i in range(COLUMNS)]
        found = np.asarray(recovered.picture)[64 * row : 64 * row + 64].astype(float)
        assert np.abs(found - picture[64 * row : 64 * row + 64]).mean() < (20 if row < 5 else 50)


@pytest.mark.slow
def test_lost_transparency_is_told(file: tuple[bytes, Pixels]) -> None:
    found = [chunk for chunk in chunks.read(file[0]) if chunk.kind == chunks.ALPHA]
    for chunk in (found[3], found[-1]):
        data = bytearray(file[0])
        data[chunk.end - 5] ^= 1
        number = [c.start for c in found].index(chunk.start)
        x, y = number % COLUMNS * 64, number // COLUMNS * 64
        recovered = caesura.recover(bytes(data))
        assert [place[:2] for place in recovered.damaged] == [(x, y)]
        assert (np.asarray(recovered.picture)[y : y + 64, x : x + 64, 3] == 255).all()


def test_a_lost_layer_leaves_the_layers_below(coffee: Pixels) -> None:
    picture = np.dstack([coffee[:60, :60], coffee[:60, :60, :1]])
    header, payload = container.read(caesura.encode(picture, quality=90))
    (segment,) = payload.segments
    assert segment is not None
    for detail, alpha in ((None, segment.alpha), (segment.detail, b"no PNG"), (b"odd", segment.alpha)):
        forged = container.write(header, Payload([container.SegmentData(segment.latents, detail, alpha)]))
        recovered = caesura.recover(forged)
        assert recovered.damaged == [(0, 0, 60, 60)]
        assert metrics.psnr(picture[:, :, :3], np.asarray(recovered.picture)[:, :, :3]) > 33


def test_without_a_header_nothing_is_recovered(file: tuple[bytes, Pixels]) -> None:
    with pytest.raises(FormatError, match="chunk 'H' at byte 5 does not match"):
        caesura.recover(file[0][:9] + b"?" + file[0][10:])


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(30, 100_000), st.integers(1, 255)), min_size=1, max_size=30))
@settings(max_examples=8)
def test_any_damage_behind_the_header_gives_a_picture(
    file: tuple[bytes, Pixels], changes: list[tuple[int, int]]
) -> None:
    data = bytearray(file[0])
    for position, mask in changes:
        data[30 + position % (len(data) - 30)] ^= mask
    assert caesura.recover(bytes(data)).picture.size == (WIDTH, HEIGHT)


def test_metadata_that_is_whole_is_recovered() -> None:
    picture = Image.new("RGB", (100, 20))
    picture.info["icc_profile"] = b"a profile"
    data = caesura.encode(picture, segment_side=64)
    assert caesura.recover(data[:-3]).picture.info["icc_profile"] == b"a profile"
