"""Lossless WebPs: what is kept comes back, and nothing else than such a file is read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from caesura.errors import FormatError
from caesura.picture import webp

sides = st.integers(1, 40)
RGB = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)
FILE = webp.encode(RGB)


def saved(image: Image.Image, **options: object) -> bytes:
    """A WebP by Pillow."""
    stream = io.BytesIO()
    image.save(stream, "WEBP", **options)
    return stream.getvalue()


@given(st.data(), sides, sides)
def test_what_is_kept_comes_back(data: st.DataObject, height: int, width: int) -> None:
    rgb = data.draw(arrays(np.uint8, (height, width, 3)))
    kept = data.draw(arrays(bool, (height, width)))
    found, where = webp.decode(webp.encode(rgb, kept), height, width, "field")
    np.testing.assert_array_equal(where, kept)
    np.testing.assert_array_equal(found[kept], rgb[kept])


def test_a_picture_without_holes_has_no_alpha() -> None:
    start = webp.read_start(FILE, "field")
    assert start == (14, 9, False)
    assert webp.encode(RGB, np.ones((9, 14), bool)) == FILE
    assert webp.read_start(webp.encode(RGB, np.zeros((9, 14), bool)), "field").has_holes


def test_grey_pictures_are_read_as_rgb() -> None:
    grey = np.repeat(RGB[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(webp.decode(webp.encode(grey), 9, 14, "field")[0], grey)


def with_alpha(value: int) -> bytes:
    alpha: NDArray[np.uint8] = np.full((9, 14), 255, np.uint8)
    alpha[4, 5] = value
    return saved(Image.fromarray(np.dstack([RGB, alpha])), lossless=True, exact=True)


def animated() -> bytes:
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())]
    return saved(frames[0], lossless=True, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "field: 0 bytes; a lossless WebP has at least 25"),
        (FILE[:24], "field: 24 bytes"),
        (b"RIFX" + FILE[4:], "field: starts with 52 49 46 58"),
        (FILE + b"\0\0", "field: a WebP of .* bytes in"),
        (saved(Image.fromarray(RGB)), r"a lossless WebP \(VP8L\) is allowed"),
        (saved(Image.fromarray(RGB), lossless=True, exif=b"Exif\0\0II*\0"), r"\(VP8L\) is allowed"),
        (animated(), r"\(VP8L\) is allowed"),
        (with_alpha(3), "field: alpha is 3; 0 and 255 are allowed"),
        (webp.encode(RGB[:, :13]), "field: 13 x 9; 14 x 9 is expected"),
    ],
)
def test_other_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        webp.decode(data, 9, 14, "field")


def test_a_file_with_other_bytes_is_a_picture_of_that_size_or_refused() -> None:
    random = np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(FILE)
        data[random.integers(25, len(data))] ^= 1 << random.integers(8)
        try:
            found, kept = webp.decode(bytes(data), 9, 14, "field")
        except FormatError:
            continue
        assert found.shape == (9, 14, 3)
        assert kept.shape == (9, 14)
