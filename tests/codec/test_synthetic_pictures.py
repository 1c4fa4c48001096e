"""Pictures that are not photographs: exact text, white that stays white, a photograph in a page."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from test_white import object_on_white

import caesura
import caesura.pillow_plugin
from caesura.errors import FormatError, TruncatedError
from caesura.format import chunks, container
from caesura.format.container import Payload, SegmentData
from caesura.picture.pixels import reduce
from caesura.ratecontrol.search import Target
from container_helpers import layers

Pixels = NDArray[np.uint8]
LINES = "what is text on paper is text on the screen, and every letter has its edges "


@lru_cache
def page(height: int = 400, width: int = 640, size: int = 14) -> Pixels:
    """A page of text, uint8 (height, width, 3)."""
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for line in range(height // (size + 6)):
        words = (LINES * 9)[5 * line : 5 * line + width // (size // 2)]
        draw.text((12, 6 + (size + 6) * line), words, (0, 0, 0), font)
    return np.asarray(picture)


@lru_cache
def mixed() -> Pixels:
    """A photograph with text to its right, uint8 (400, 640, 3)."""
    from skimage import data

    pixels = page().copy()
    pixels[:, :320] = data.coffee()[:400, :320]
    return pixels


def kinds(data: bytes) -> str:
    """The types of a file's chunks."""
    return "".join(chr(chunk.kind) for chunk in chunks.read(data))


def webp_bytes(pixels: Pixels) -> int:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, quality=100, method=6)
    return len(stream.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize("quality", [30, 50, 72, 90, 100])
@pytest.mark.parametrize("model", ["photo", "photo-psnr", "cae2017"])
def test_text_is_exact_and_as_small_as_a_lossless_webp(model: str, quality: float) -> None:
    data = caesura.encode(page(), quality=quality, model=model)
    np.testing.assert_array_equal(caesura.decode_array(data), page())
    assert len(data) <= 1.1 * webp_bytes(page())


@pytest.mark.parametrize("value", [0, 255, 100])
def test_a_picture_of_one_colour_is_exact_and_tiny(value: int) -> None:
    pixels = np.full((1000, 1000, 3), value, np.uint8)
    data = caesura.encode(pixels)
    assert len(data) < 200
    np.testing.assert_array_equal(caesura.decode_array(data), pixels)


@pytest.mark.slow
def test_photographs_have_latents_alone(astronaut: Pixels, coffee: Pixels) -> None:
    for photo in (astronaut, coffee[:, :, :1]):
        for quality, expected in ((20, "HL"), (60, "HL"), (95, "HLD")):
            assert kinds(caesura.encode(photo, quality=quality)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("quality", [50, 90])
def test_a_page_with_a_photograph_has_both(quality: float) -> None:
    data = caesura.encode(mixed(), quality=quality)
    assert kinds(data) == ("HWL" if quality == 50 else "HWLD")
    back = caesura.decode_array(data)
    np.testing.assert_array_equal(back[:, 320:], mixed()[:, 320:])
    photo = mixed()[:, :320].copy()
    alone = caesura.decode_array(caesura.encode(photo, quality=quality))
    assert caesura.metrics.psnr(photo, back[:, :320].copy()) > caesura.metrics.psnr(photo, alone) - 0.3


@pytest.mark.slow
@pytest.mark.parametrize("quality", [50, 72, 90])
def test_white_around_objects_is_white(quality: float) -> None:
    pixels = object_on_white()
    data = caesura.encode(pixels, quality=quality)
    assert "C" in kinds(data)
    back = caesura.decode_array(data)
    white = (pixels == 255).all(axis=2)
    assert (back[white] == 255).all(axis=1).mean() >= 0.999


@pytest.mark.slow
def test_shadows_on_white_show_no_step() -> None:
    pixels = object_on_white()
    back = caesura.decode_array(caesura.encode(pixels, quality=50)).astype(int)
    shadow = (pixels.min(axis=2) >= 200) & (pixels.min(axis=2) < 255) & (np.ptp(pixels, axis=2) == 0)
    shadow[:365] = False  # where the ball's edge is
    assert shadow.sum() > 500
    assert np.abs(back - pixels)[shadow].max() <= 8
    steps = np.abs(np.diff(back, axis=0))[360:].max(axis=2)[shadow[361:]]
    assert np.mean(steps > 5) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
@pytest.mark.parametrize("exact", [False, True])
def test_grey_and_transparent_pages_are_exact(mode: str, exact: bool) -> None:
    picture = Image.fromarray(page()).convert(mode)
    if mode != "L":
        picture.putalpha(
            Image.fromarray((np.indices((400, 640)).sum(axis=0) % 300).clip(0, 255).astype(np.uint8))
        )
    back = caesura.decode_array(caesura.encode(picture, exact=exact))
    expected = np.asarray(picture).reshape(back.shape)
    if mode == "L" or exact:
        np.testing.assert_array_equal(back, expected)
    else:
        visible = expected[:, :, -1] > 0
        np.testing.assert_array_equal(back[visible], expected[visible])
        np.testing.assert_array_equal(back[:, :, -1], expected[:, :, -1])


def test_a_transparent_icon_does_not_pay_for_hidden_colours() -> None:
    icon = np.zeros((64, 64, 4), np.uint8)
    icon[16:48, 16:48] = 200, 30, 30, 255
    hidden = icon.copy()
    hidden[:16, :, :3] = np.random.default_rng(0).integers(0, 256, (16, 64, 3))
    assert abs(len(caesura.encode(hidden)) - len(caesura.encode(icon))) <= 20


@pytest.fixture(scope="module", params=[(64, 60), (128, 50), (128, 90), (192, 40)])
def in_segments(request: pytest.FixtureRequest) -> bytes:
    side, quality = request.param
    return caesura.encode(mixed(), quality=quality, segment_side=side)


@pytest.mark.slow
def test_regions_are_those_of_the_whole_picture(in_segments: bytes) -> None:
    whole = caesura.decode_array(in_segments)
    for x, y, width, height in ((0, 0, 640, 400), (300, 100, 90, 30), (319, 399, 1, 1), (500, 10, 64, 64)):
        found = caesura.decode_array(in_segments, region=(x, y, width, height))
        np.testing.assert_array_equal(found, whole[y : y + height, x : x + width])


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_text_in_previews_is_the_mean_of_its_pixels(in_segments: bytes, scale: int) -> None:
    header, payload = container.read(in_segments)
    side = 64 * header.cells
    across = -(-640 // side)
    lossless = [number for number, one in enumerate(payload.segments) if one and one.latents is None]
    assert len(lossless) >= header.segments // 4
    for number in lossless[:: max(1, len(lossless) // 4)]:
        x, y = side * (number % across), side * (number // across)
        part = mixed()[y : y + side, x : x + side]
        region = (x, y, part.shape[1], part.shape[0])
        found = caesura.decode_array(in_segments, region=region, scale=scale)
        np.testing.assert_array_equal(found, reduce(np.ascontiguousarray(part), scale))


@pytest.mark.slow
def test_borders_of_lossless_segments_show_no_seam() -> None:
    pixels = mixed().copy()
    pixels[:, 256:] = page()[:, 256:]  # so that a column of segments ends where the text begins
    back = caesura.decode_array(caesura.encode(pixels, quality=50, segment_side=128)).astype(int)
    whole = caesura.decode_array(caesura.encode(pixels, quality=50)).astype(int)
    border, inner = slice(248, 256), slice(100, 248)

    def error(found: NDArray[np.int64], columns: slice) -> float:
        return float(np.square(found - pixels)[:, columns].mean())

    assert error(back, border) <= 1.25 * error(whole, border)
    assert error(back, border) <= 2.5 * error(back, inner)


@pytest.mark.slow
def test_the_plugin_reads_and_writes_them(tmp_path: object) -> None:
    stream = io.BytesIO()
    Image.fromarray(page()).save(stream, "CAE", quality=40)
    picture = Image.open(io.BytesIO(stream.getvalue()))
    np.testing.assert_array_equal(np.asarray(picture), page())
    small = Image.open(io.BytesIO(stream.getvalue()))
    small.thumbnail((80, 50))
    assert small.size == (80, 50)


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", [Target(bytes=30_000), Target(bytes=9_000), Target(psnr=32), Target(ms_ssim=0.98)]
)
def test_targets_are_met(target: Target) -> None:
    for pixels in (page(), mixed(), object_on_white()):
        data = caesura.encode(pixels, target=target)
        assert data == caesura.encode(pixels, target=target)
        if target.is_size:
            assert len(data) <= target.bound(pixels.size)
        else:
            measure = caesura.metrics.psnr if target.name == "psnr" else caesura.metrics.ms_ssim
            assert measure(pixels, caesura.decode_array(data)) >= target.bound(pixels.size)


def test_a_size_that_fits_the_text_keeps_it_exact() -> None:
    data = caesura.encode(page(), target=Target(bytes=webp_bytes(page()) + 2000))
    np.testing.assert_array_equal(caesura.decode_array(data), page())


# ---- damage


@pytest.fixture(scope="module")
def damageable() -> bytes:
    """Segments of each kind: text and photograph in one, text, photograph."""
    return caesura.encode(mixed(), quality=50, segment_side=128)


def damaged(data: bytes, kind: str, number: int) -> tuple[bytes, int]:
    """The file with a byte of the number-th chunk of a type changed, and that chunk's segment."""
    chunk = [one for one in chunks.read(data) if one.kind == ord(kind)][number]
    segment, _ = chunks.read_varint(data, chunk.body, "segment")
    at = chunk.end - 3
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], segment


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["W", "L"])
@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_damaged_layer_is_concealed_and_reported(damageable: bytes, kind: str, number: int) -> None:
    bad, segment = damaged(damageable, kind, number)
    with pytest.raises(FormatError, match=f"chunk '{kind}' at byte"):
        caesura.decode(bad)
    found = caesura.recover(bad)
    side, columns = 128, 5
    x, y = side * (segment % columns), side * (segment // columns)
    assert (x, y, side, min(side, 400 - y)) in found.damaged
    assert len(found.damaged) == 1
    whole, left = caesura.decode_array(damageable), np.asarray(found.picture)
    far = np.ones((400, 640), bool)
    far[max(0, y - 100) : y + side + 100, max(0, x - 100) : x + side + 100] = False
    np.testing.assert_array_equal(left[far], whole[far])


@pytest.mark.slow
def test_a_cut_file_never_passes_for_a_picture_without_text(damageable: bytes) -> None:
    for chunk in list(chunks.read(damageable))[1:]:
        with pytest.raises(FormatError):
            caesura.decode(damageable[: chunk.start])
        with pytest.raises(FormatError):
            caesura.decode(damageable[: chunk.next - 1])


def test_a_lossless_layer_with_holes_needs_latents() -> None:
    data = caesura.encode(mixed(), quality=50)
    header, payload = container.read(data)
    segment = layers(payload)
    assert segment.lossless is not None
    forged = Payload([SegmentData(None, lossless=segment.lossless)])
    with pytest.raises(FormatError, match="segment 0 has no latents, and not a lossless layer without holes"):
        caesura.decode(container.write(header, forged))
    forged = Payload([replace(segment, latents=None, lossless=None, clipped=b"")])
    with pytest.raises(TruncatedError, match="segment 0 has clipped, and no latents"):
        caesura.decode(container.write(header, forged))


@pytest.mark.slow
def test_effort_9_refines_what_is_left() -> None:
    pixels = mixed()[:192, 160:480].copy()
    plain, refined = (caesura.encode(pixels, quality=50, effort=effort) for effort in (5, 9))
    assert "W" in kinds(refined)
    np.testing.assert_array_equal(caesura.decode_array(refined)[:, 168:], pixels[:, 168:])
    assert len(refined) < 1.05 * len(plain)
