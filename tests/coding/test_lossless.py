"""Candidates for a lossless layer: text, drawings and flat areas, and no photographs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from caesura.coding import lossless
from caesura.coding.lossless import LosslessLayer

Pixels = NDArray[np.uint8]


def text(height: int = 300, width: int = 400) -> Pixels:
    """uint8 (height, width, 3): black on white."""
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    for line in range(height // 18):
        draw.text(
            (8, 4 + 18 * line), f"{line}: " + "text without loss " * 6, (0, 0, 0), ImageFont.load_default(13)
        )
    return np.asarray(picture)


def decoded(layer: LosslessLayer) -> Pixels:
    rgb, kept = lossless.decode(layer.payload, *layer.kept.shape)
    np.testing.assert_array_equal(kept, layer.kept)
    return rgb


@pytest.mark.parametrize("top", [0, 100, 200])
def test_photographs_have_none(astronaut: Pixels, coffee: Pixels, top: int) -> None:
    for photo in (astronaut, coffee):
        part = photo[top : top + 200, 40:360]
        assert not lossless.candidates(part, None)
        grey = np.asarray(Image.fromarray(part).convert("L"))[:, :, None].repeat(3, axis=2)
        assert not lossless.candidates(grey, None)


def test_noise_has_none() -> None:
    assert not lossless.candidates(np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8), None)


@pytest.mark.parametrize(
    "picture",
    [
        text(),
        np.full((40, 700, 3), (3, 90, 200), np.uint8),
        (np.indices((64, 80)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2),
        np.random.default_rng(1).choice(np.array([0, 80, 200], np.uint8), (100, 100, 1)).repeat(3, axis=2),
    ],
    ids=["text", "one colour", "checkerboard", "dither"],
)
def test_synthetic_pictures_are_kept_whole(picture: Pixels) -> None:
    layers = lossless.candidates(picture, None)
    assert layers[-1].covers
    assert lossless.covers(layers[-1].payload)
    np.testing.assert_array_equal(decoded(layers[-1]), picture)


def test_text_beside_a_photograph_is_kept_alone(astronaut: Pixels) -> None:
    picture = text(300, 640).copy()
    picture[:, :288] = astronaut[:300, 100:388]
    (layer,) = [one for one in lossless.candidates(picture, None) if not one.covers]
    assert not lossless.covers(layer.payload)
    assert layer.kept[:, 288:].all()
    assert layer.kept[:, :280].mean() < 0.1
    np.testing.assert_array_equal(decoded(layer)[layer.kept], picture[layer.kept])


def test_latents_are_free_where_all_around_is_kept() -> None:
    kept = np.zeros((160, 130), bool)
    kept[:, 32:] = True
    free = LosslessLayer(b"", kept).free(16)
    assert free.shape == (10, 9)
    expected = np.zeros((10, 9), bool)
    expected[1:-1, 3:-1] = True
    np.testing.assert_array_equal(free, expected)


def test_hidden_colours_cost_nothing() -> None:
    picture = text().copy()
    hidden = np.zeros(picture.shape[:2], bool)
    hidden[:, 200:] = True
    picture[:, 200:] = np.random.default_rng(0).integers(0, 2, picture[:, 200:].shape) * 255
    shown = lossless.candidates(np.where(hidden[..., None], 0, picture).astype(np.uint8), None)[-1]
    assert lossless.candidates(picture, hidden)[-1].payload == shown.payload


def test_more_effort_gives_no_larger_layer() -> None:
    picture = text().copy()
    picture[:, 200:] = (np.indices((300, 200)).sum(axis=0) // 9 % 2 * 90 + 40)[..., None]
    sizes = [len(lossless.candidates(picture, None, effort)[-1].payload) for effort in (1, 5, 9)]
    assert sizes == sorted(sizes, reverse=True)
