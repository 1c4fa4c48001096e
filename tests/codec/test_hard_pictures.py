"""No ceiling: on any picture PSNR rises with quality all the way, and quality 100 gives 45 dB or more."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import caesura
from caesura import metrics

QUALITIES = (1, 15, 30, 45, 60, 72, 80, 90, 100)
Pixels = NDArray[np.uint8]


def noise() -> Pixels:
    """Uniform, every pixel on its own."""
    return np.random.default_rng(0).integers(0, 256, (96, 112, 3)).astype(np.uint8)


def binary_noise() -> Pixels:
    """Black and white, every pixel on its own: the largest error there is."""
    return (np.random.default_rng(1).integers(0, 2, (80, 96, 1)) * np.full(3, 255)).astype(np.uint8)


def screenshot() -> Pixels:
    """Text, lines and flat areas in saturated colours."""
    picture = Image.new("RGB", (200, 140), (250, 250, 252))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 200, 18), fill=(20, 60, 200))
    for line in range(8):
        draw.text((6, 24 + 13 * line), f"{line}: for x in range({line * 37}):", fill=(30, 30, 30))
    draw.rectangle((130, 60, 190, 130), fill=(255, 0, 0), outline=(0, 255, 0))
    draw.line((0, 139, 199, 20), fill=(0, 0, 0))
    return np.asarray(picture)


def checkerboard() -> Pixels:
    """The finest pattern there is, in complementary colours."""
    row, column = np.mgrid[:64, :80]
    return np.where(((row + column) % 2)[..., None], [255, 0, 255], [0, 255, 0]).astype(np.uint8)


def gradient() -> Pixels:
    """Smooth, and easy, so that PSNR is high from the start."""
    row, column = np.mgrid[:96, :128]
    return np.stack([row * 2, column, 255 - column], axis=2).astype(np.uint8)


def dark() -> Pixels:
    """Nearly black, with faint grain."""
    return np.random.default_rng(2).poisson(1.0, (96, 96, 3)).astype(np.uint8)


def sweep(pixels: Pixels, tune: str | None = None) -> list[float]:
    return [
        metrics.psnr(pixels, caesura.decode_array(caesura.encode(pixels, quality=quality, tune=tune)))
        for quality in QUALITIES
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "drawn", [noise, binary_noise, screenshot, checkerboard, gradient, dark], ids=lambda drawn: drawn.__name__
)
def test_psnr_rises_with_quality_up_to_45_db(drawn: object) -> None:
    assert callable(drawn)
    # The default is above 45 dB on the dark picture at every quality, and there not tuned for PSNR.
    reached = sweep(drawn(), "psnr" if drawn is dark else None)
    # The latents hold next to nothing of the finest patterns: their PSNR is flat up to the detail layer.
    assert all(later >= earlier - 0.05 for earlier, later in itertools.pairwise(reached)), reached
    assert reached[-1] >= 45, reached


@pytest.mark.slow
def test_the_default_is_above_45_db_on_the_dark_picture_at_every_quality() -> None:
    assert min(sweep(dark())) >= 45


@pytest.mark.slow
def test_a_photograph_reaches_45_db_too(astronaut: Pixels) -> None:
    reached = sweep(astronaut[100:292, 150:342])
    assert all(later > earlier for earlier, later in itertools.pairwise(reached)), reached
    assert reached[-1] >= 45, reached
