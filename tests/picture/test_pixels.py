"""Pixels from and to Pillow images and arrays, padding and reduction."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from caesura.errors import ImageError
from caesura.picture.convert import eight_bits, upright
from caesura.picture.loading import open_image
from caesura.picture.pixels import from_rgb, pad, padded_side, split, to_image, to_pixels, to_rgb

Pixels = NDArray[np.uint8]
ORIENTATION = 0x0112

lengths = st.integers(1, 20)
greys = hnp.arrays(np.uint8, st.tuples(lengths, lengths, st.just(1)))
colours = hnp.arrays(np.uint8, st.tuples(lengths, lengths, st.just(3)))
pixel_arrays = st.one_of(greys, colours)


def gradient(height: int = 5, width: int = 7) -> Pixels:
    """uint8 (height, width, 3), no two pixels alike."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 9, columns * 9, rows + columns], axis=2).astype(np.uint8)


def with_alpha(mode: str, alpha: int | Pixels) -> Image.Image:
    picture = Image.fromarray(gradient()).convert(mode)
    mask = Image.fromarray(np.broadcast_to(np.asarray(alpha, np.uint8), (5, 7)).copy())
    picture.putalpha(mask)
    return picture


# ---- Pillow images


@pytest.mark.slow
@given(colours)
def test_rgb_is_taken_as_it_is(pixels: Pixels) -> None:
    np.testing.assert_array_equal(to_pixels(Image.fromarray(pixels)), pixels)


@pytest.mark.slow
@given(greys)
def test_grey_keeps_its_one_channel(pixels: Pixels) -> None:
    np.testing.assert_array_equal(to_pixels(Image.fromarray(pixels[:, :, 0])), pixels)


def test_black_and_white_becomes_grey_of_0_and_255() -> None:
    bits = np.array([[True, False, True]])
    np.testing.assert_array_equal(to_pixels(Image.fromarray(bits))[:, :, 0], [[255, 0, 255]])


def test_a_palette_is_looked_up() -> None:
    picture = Image.fromarray(gradient()).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(to_pixels(picture), np.asarray(picture.convert("RGB")))


def test_the_fourth_band_of_rgbx_is_left_out() -> None:
    np.testing.assert_array_equal(to_pixels(Image.fromarray(gradient()).convert("RGBX")), gradient())


def test_opaque_alpha_is_left_out() -> None:
    np.testing.assert_array_equal(to_pixels(with_alpha("RGB", 255)), gradient())
    grey = np.asarray(Image.fromarray(gradient()).convert("L"))[:, :, None]
    np.testing.assert_array_equal(to_pixels(with_alpha("L", 255)), grey)


ALMOST_OPAQUE = np.full((5, 7), 255, np.uint8)
ALMOST_OPAQUE[4, 6] = 254


@pytest.mark.parametrize(("mode", "named"), [("RGB", "RGBA"), ("L", "LA")])
@pytest.mark.parametrize("alpha", [0, 128, ALMOST_OPAQUE], ids=["clear", "half", "one pixel"])
def test_transparency_is_split_off(mode: str, named: str, alpha: int | Pixels) -> None:
    picture = with_alpha(mode, alpha)
    pixels, found = split(picture)
    np.testing.assert_array_equal(found, np.broadcast_to(np.uint8(alpha), (5, 7)))
    np.testing.assert_array_equal(pixels, to_pixels(with_alpha(mode, 255)))
    np.testing.assert_array_equal(split(np.asarray(picture))[1], found)
    with pytest.raises(ImageError, match=f"mode {named} with transparency; only opaque pictures"):
        to_pixels(picture)


def keyed(mode: str, key: object) -> Image.Image:
    """A black picture (first palette entry) with a transparent colour, as PNG and GIF have it."""
    picture = Image.new(mode, (4, 3))
    picture.info["transparency"] = key
    return picture


TRANSPARENT_COLOURS = [("L", 0, 9), ("P", 0, 9), ("1", 0, 255), ("RGB", (0, 0, 0), (1, 2, 3))]


@pytest.mark.parametrize(("mode", "used", "unused"), TRANSPARENT_COLOURS)
def test_a_transparent_colour_is_refused_only_if_the_picture_has_it(
    mode: str, used: object, unused: object
) -> None:
    with pytest.raises(ImageError, match=f"mode {mode} with transparency"):
        to_pixels(keyed(mode, used))
    assert not to_pixels(keyed(mode, unused)).any()


def test_a_palette_of_opaque_alphas_is_accepted_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_pixels(keyed("P", b"\xff\xff")).shape == (3, 4, 3)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B"])
def test_other_modes_are_refused(mode: str) -> None:
    with pytest.raises(
        ImageError, match=f"image has mode {mode}; 1, L, LA, P, PA, RGB, RGBA, RGBX are allowed"
    ):
        to_pixels(Image.new(mode, (4, 3)))


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA"])
def test_rare_modes_with_alpha_are_refused(mode: str) -> None:
    with pytest.raises(ImageError, match=f"image has mode {mode}"):
        to_pixels(Image.new(mode, (4, 3)))


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "CMYK"])
def test_a_mode_is_refused_whether_or_not_a_transparent_colour_is_named(mode: str) -> None:
    with pytest.raises(ImageError, match=f"image has mode {mode}"):
        to_pixels(keyed(mode, 200))


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


@pytest.mark.parametrize("transparent", [b"", png_chunk(b"tRNS", b"\x00\x07")], ids=["plain", "tRNS"])
def test_a_png_of_sixteen_bits_is_refused(transparent: bytes) -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 0, 0, 0, 0))
    rows = png_chunk(b"IDAT", zlib.compress(b"\x00\x12\x34\xff\xff" * 2))
    data = b"\x89PNG\r\n\x1a\n" + header + transparent + rows + png_chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="image has mode I;16"):
        to_pixels(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "LA"])
@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_an_empty_picture_is_refused(mode: str, size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="image has"):
        to_pixels(Image.new(mode, size))


TURNS: list[tuple[int, Callable[[Pixels], Pixels]]] = [
    (1, lambda x: x),
    (2, lambda x: x[:, ::-1]),
    (3, lambda x: x[::-1, ::-1]),
    (4, lambda x: x[::-1]),
    (5, lambda x: x.transpose(1, 0, 2)),
    (6, lambda x: np.rot90(x, -1)),
    (7, lambda x: x[::-1, ::-1].transpose(1, 0, 2)),
    (8, np.rot90),
]


@pytest.mark.parametrize(("orientation", "turned"), TURNS)
def test_the_exif_orientation_is_applied_when_asked_for(
    orientation: int, turned: Callable[[Pixels], Pixels]
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    Image.fromarray(gradient()).save(file, "PNG", exif=exif)
    with Image.open(file) as picture:
        np.testing.assert_array_equal(to_pixels(picture), gradient())
        np.testing.assert_array_equal(to_pixels(upright(picture)), turned(gradient()))


def test_the_orientation_counts_for_opaque_alpha_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    file = io.BytesIO()
    with_alpha("RGB", 255).save(file, "PNG", exif=exif)
    with Image.open(file) as picture:
        np.testing.assert_array_equal(to_pixels(upright(picture)), np.rot90(gradient(), -1))


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(gradient(200, 200)).save(file, "JPEG")
    return file.getvalue()


def test_a_file_that_ends_too_early_is_refused_when_its_pixels_are_needed() -> None:
    with (
        Image.open(io.BytesIO(jpeg()[:1500])) as picture,
        pytest.raises(ImageError, match=r"image cannot be read: .*truncated"),
    ):
        to_pixels(picture)


def test_a_picture_file_is_opened_whole(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    picture = open_image(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg").unlink()
    assert to_pixels(picture).shape == (200, 200, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a picture in a format known here"),
        (b"a text", "is not a picture in a format known here"),
        (jpeg()[:1500], "truncated"),
    ],
)
def test_a_file_that_is_no_whole_picture_is_not_opened(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"photo\.jpg.*{message}"):
        open_image(path)


def test_a_file_that_is_not_there_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png: No such file"):
        open_image(tmp_path / "nothing.png")


def test_damaged_exif_raises_nothing_of_a_foreign_kind() -> None:
    file = io.BytesIO()
    Image.fromarray(gradient()).save(file, "PNG", exif=b"Exif\x00\x00not a TIFF header")
    with Image.open(file) as picture, contextlib.suppress(ImageError):
        np.testing.assert_array_equal(to_pixels(picture), gradient())


def test_the_picture_given_is_not_changed() -> None:
    picture = Image.fromarray(gradient())
    picture.getexif()[ORIENTATION] = 6
    to_pixels(picture)
    assert picture.size == (7, 5)
    assert picture.getexif()[ORIENTATION] == 6


# ---- arrays


@pytest.mark.slow
@given(pixel_arrays)
def test_an_array_is_taken_as_it_is(pixels: Pixels) -> None:
    np.testing.assert_array_equal(to_pixels(pixels), pixels)


def test_an_array_of_two_axes_is_grey() -> None:
    np.testing.assert_array_equal(to_pixels(gradient()[:, :, 0]), gradient()[:, :, :1])


def test_pixels_lie_in_one_piece_whatever_the_array() -> None:
    for view in (gradient()[::-1, ::2], gradient().transpose(1, 0, 2), np.asfortranarray(gradient())):
        pixels = to_pixels(view)
        assert pixels.flags.c_contiguous
        np.testing.assert_array_equal(pixels, view)


@pytest.mark.parametrize("kind", ["uint16", "int8", "int64", "bool", "complex64"])
def test_an_array_of_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(ImageError, match=f"array of {kind}; a Pillow image or an array of uint8 or float"):
        to_pixels(np.zeros((4, 3, 3), kind))


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_from_0_to_1_are_rounded(kind: str) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(to_pixels((pixels / 255).astype(kind))[:, :, 0], pixels)


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan, np.inf])
def test_floats_beyond_are_refused(value: float) -> None:
    array = np.full((4, 3), 0.5)
    array[2, 1] = value
    with pytest.raises(ImageError, match="array of float64 with values outside 0 to 1; 0 to 1 is allowed"):
        to_pixels(array)


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_of_sixteen_bits_the_upper_eight_are_taken(mode: str) -> None:
    samples = np.array([[0x0012, 0x1234], [0x7FFF, 0xFFFF]], np.uint16)
    order = ">" if mode.endswith("B") else "<"
    picture = Image.frombytes(mode, (2, 2), samples.astype(f"{order}u2").tobytes())
    with pytest.warns(UserWarning, match="the upper 8 of its 16 bits are coded"):
        reduced = eight_bits(picture)
    np.testing.assert_array_equal(np.asarray(reduced), [[0x00, 0x12], [0x7F, 0xFF]])


def test_other_pictures_are_left_alone() -> None:
    picture = Image.new("RGB", (4, 3))
    assert eight_bits(picture) is picture


@pytest.mark.parametrize("shape", [(), (4,), (4, 3, 5), (4, 3, 0), (1, 4, 3, 3)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    allowed = r"\(H, W\) and \(H, W, 1 to 4\) are allowed"
    with pytest.raises(ImageError, match=rf"image has shape \(.*\); {allowed}"):
        to_pixels(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 4, 1), (4, 0, 3), (0, 0, 3)])
def test_an_empty_array_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="at least one pixel is needed"):
        to_pixels(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("thing", [None, "photo.png", b"bytes", [[1, 2], [3, 4]], 7])
def test_a_thing_that_is_no_picture_is_refused(thing: object) -> None:
    with pytest.raises(ImageError, match=f"image is an {type(thing).__name__}"):
        to_pixels(thing)  # type: ignore[arg-type]


# ---- between grey and RGB, and to Pillow


@pytest.mark.slow
@given(greys)
def test_grey_survives_the_way_through_rgb(pixels: Pixels) -> None:
    rgb = to_rgb(pixels)
    assert rgb.shape == (*pixels.shape[:2], 3)
    np.testing.assert_array_equal(from_rgb(rgb, 1), pixels)


@pytest.mark.slow
@given(colours)
def test_rgb_stays_as_it_is(pixels: Pixels) -> None:
    np.testing.assert_array_equal(from_rgb(to_rgb(pixels), 3), pixels)


@pytest.mark.slow
@given(colours)
def test_grey_is_the_rounded_mean(pixels: Pixels) -> None:
    mean = np.rint(pixels.astype(np.float64).mean(axis=2, keepdims=True))
    grey = from_rgb(pixels, 1)
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, mean)


@pytest.mark.slow
@given(pixel_arrays)
def test_a_pillow_image_holds_the_pixels(pixels: Pixels) -> None:
    picture = to_image(pixels)
    assert picture.mode == ("L" if pixels.shape[2] == 1 else "RGB")
    assert picture.size == (pixels.shape[1], pixels.shape[0])
    np.testing.assert_array_equal(to_pixels(picture), pixels)


# ---- padding


@pytest.mark.slow
@given(pixel_arrays, st.integers(0, 40), st.integers(0, 40))
def test_padding_repeats_the_edge(pixels: Pixels, below: int, beside: int) -> None:
    height, width, channels = pixels.shape
    padded = pad(pixels, height + below, width + beside)
    assert padded.shape == (height + below, width + beside, channels)
    rows = np.minimum(np.arange(padded.shape[0]), height - 1)
    columns = np.minimum(np.arange(padded.shape[1]), width - 1)
    np.testing.assert_array_equal(padded, pixels[rows][:, columns])


@given(st.integers(1, 2000), st.sampled_from([1, 2, 8, 16, 64]), st.integers(1, 4))
def test_a_padded_side_is_the_least_that_will_do(side: int, stride: int, multiple: int) -> None:
    smallest = stride * multiple
    padded = padded_side(side, stride, smallest)
    assert padded % stride == 0
    assert padded >= max(side, smallest)
    assert padded == smallest or padded - side < stride
