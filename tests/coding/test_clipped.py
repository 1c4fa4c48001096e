"""Clipped areas: white and black where the original is, nothing in photographs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from caesura.coding import clipped
from caesura.errors import FormatError
from caesura.picture import webp

Pixels = NDArray[np.uint8]
MUCH = 1 << 16  # bytes of a segment's latents, of which a map is a small part


def disc_on_white(value: int = 90, height: int = 150, width: int = 203) -> Pixels:
    """uint8 (height, width, 3): a disc of one grey."""
    y, x = np.mgrid[:height, :width]
    inside = np.hypot(y - 70, x - 100) < 40
    return np.where(inside[..., None], np.uint8(value), np.uint8(255)).repeat(3, axis=2)


def noisy(pixels: Pixels, levels: int) -> Pixels:
    """Each sample off by up to so many levels."""
    noise = np.random.default_rng(0).integers(-levels, levels + 1, pixels.shape)
    return (pixels + noise).clip(0, 255).astype(np.uint8)


def payload_of(pixels: Pixels) -> bytes:
    payload = clipped.encode(pixels, MUCH)
    assert payload is not None
    return payload


@pytest.mark.parametrize("white", [True, False])
def test_white_and_black_come_back(white: bool) -> None:
    pixels = disc_on_white() if white else 255 - disc_on_white()
    back = clipped.apply(payload_of(pixels), noisy(pixels, 9))
    whole = pixels == (255 if white else 0)
    np.testing.assert_array_equal(back[whole], pixels[whole])
    np.testing.assert_array_equal(back[~whole], noisy(pixels, 9)[~whole])


def test_grey_comes_back_too() -> None:
    pixels = disc_on_white()
    back = clipped.apply(payload_of(pixels), noisy(pixels, 9)[:, :, :1])
    assert back.shape == (150, 203, 1)
    assert (back[pixels[:, :, :1] == 255] == 255).all()


@pytest.mark.parametrize("value", [246, 250, 254])
def test_light_surfaces_beside_white_keep_their_levels(value: int) -> None:
    pixels = disc_on_white(value)
    back = clipped.apply(payload_of(pixels), pixels)
    assert np.abs(back.astype(int) - pixels).max() <= 2


def test_shadows_that_fade_into_white_show_no_step() -> None:
    x = np.minimum(255, 200 + np.arange(320) // 4).astype(np.uint8)
    pixels = np.broadcast_to(x[None, :, None], (128, 320, 3)).copy()
    back = clipped.apply(payload_of(pixels), pixels).astype(int)
    assert np.abs(np.diff(back, axis=1)).max() <= 3


def test_small_areas_and_photographs_have_none(astronaut: Pixels) -> None:
    small = np.full((200, 200, 3), 90, np.uint8)
    small[:40, :40] = 255
    assert clipped.encode(small, MUCH) is None
    assert clipped.encode(astronaut[:256, 100:356], MUCH) is None


def test_a_map_takes_an_eighth_of_the_latents_at_most() -> None:
    lengths = [(clipped.encode(disc_on_white(), size), size) for size in (100, 400, 800, 1600, MUCH)]
    for payload, size in lengths:
        assert payload is None or len(payload) - 2 <= size / 8
    sides = [payload[0] for payload, _ in lengths if payload is not None]
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] == 4
    assert clipped.encode(disc_on_white(), 100) is None


def test_previews_are_white_where_all_they_stand_for_is() -> None:
    pixels = disc_on_white()
    payload = payload_of(pixels)
    preview = np.full((-(-150 // 8), -(-203 // 8), 3), 77, np.uint8)
    back = clipped.apply_reduced(payload, preview, 150, 203, 8)
    for row, column in np.ndindex(preview.shape[:2]):
        area = pixels[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        assert (back[row, column] == (255 if (area == 255).all() else 77)).all()


MAP = webp.encode(np.full((2, 3, 3), 128, np.uint8))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "it starts with nothing; a side of 1, 2, 4, 8, 16"),
        (b"\x05\x00" + MAP, "it starts with 05 00"),
        (b"\x04\x40" + MAP, "a margin up to 63"),
        (b"\x08\x00" + MAP, "3 x 2; 2 x 1 is expected"),
        (b"\x04\x00" + webp.encode(np.full((2, 3, 3), 127, np.uint8)), r"a cell is \(127, 127, 127\)"),
        (b"\x04\x00" + webp.encode(np.array([[[0, 0, 255]] * 3] * 2, np.uint8)), r"a cell is \(0, 0, 255\)"),
        (b"\x04\x00" + MAP + b"\0\0", "a WebP of"),
    ],
)
def test_other_payloads_are_refused(payload: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=f"clipped areas: .*{message}"):
        clipped.apply(payload, np.zeros((8, 11, 3), np.uint8))
