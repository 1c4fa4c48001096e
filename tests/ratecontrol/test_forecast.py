"""Forecasts of bytes, PSNR and MS-SSIM by latents: near what coding gives, or none."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
from caesura import metrics
from caesura.coding.cae2026 import Cae2026
from caesura.format.container import POSITION_MAX
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.ratecontrol.forecast import forecast
from caesura.ratecontrol.search import Target

Pixels = NDArray[np.uint8]
PIXELS = 256 * 256


@pytest.fixture
def latents(flagship: Bundle, part: Pixels) -> NDArray[np.float32]:
    return Cae2026(Conditioning(flagship, 4000)).analyse(part)


@pytest.fixture
def contrasts(part: Pixels) -> NDArray[np.float32]:
    return part.reshape(16, 16, 16, 16, 3).astype(np.float32).var(axis=(1, 3)).mean(axis=-1)


@pytest.mark.parametrize("quality", [24, 40, 56, 70])
def test_a_photos_size_is_estimated_within_a_quarter(
    flagship: Bundle, part: Pixels, latents: NDArray[np.float32], quality: float
) -> None:
    size = len(caesura.encode(part, quality=quality, model=flagship))
    estimated = forecast([latents], [], flagship, Target(bytes=size), PIXELS)
    assert estimated is not None
    assert abs(estimated.ladder_position / 100 - quality) * estimated.slope * 100 < math.log(1.25)


@pytest.mark.parametrize("quality", [24, 40, 56])
def test_a_photos_psnr_is_estimated_within_two_decibels(
    flagship: Bundle, part: Pixels, latents: NDArray[np.float32], quality: float
) -> None:
    decoded = caesura.decode_array(caesura.encode(part, quality=quality, model=flagship))
    estimated = forecast([latents], [], flagship, Target(psnr=metrics.psnr(part, decoded)), PIXELS)
    assert estimated is not None
    assert abs(estimated.ladder_position / 100 - quality) * estimated.slope * 100 < 2


@pytest.mark.parametrize("quality", [24, 40, 56])
def test_a_photos_ms_ssim_is_estimated_within_half_of_what_it_lacks(
    flagship: Bundle,
    part: Pixels,
    latents: NDArray[np.float32],
    contrasts: NDArray[np.float32],
    quality: float,
) -> None:
    decoded = caesura.decode_array(caesura.encode(part, quality=quality, model=flagship))
    target = Target(ms_ssim=metrics.ms_ssim(part, decoded))
    estimated = forecast([latents], [contrasts], flagship, target, PIXELS)
    assert estimated is not None
    assert abs(estimated.ladder_position / 100 - quality) * estimated.slope * 100 < math.log(1.5)


def test_more_bytes_are_further_up(flagship: Bundle, latents: NDArray[np.float32]) -> None:
    codes = [forecast([latents], [], flagship, Target(bpp=bpp), PIXELS) for bpp in (0.05, 0.2, 0.8, 1.6, 3)]
    assert all(
        a and b and a.ladder_position < b.ladder_position and a.slope > 0
        for a, b in itertools.pairwise(codes)
    )


def test_segments_count_together(flagship: Bundle, latents: NDArray[np.float32]) -> None:
    halves = [latents[:, :8], latents[:, 8:]]
    target = Target(bpp=0.4)
    assert forecast(halves, [], flagship, target, PIXELS) == forecast([latents], [], flagship, target, PIXELS)


def test_beyond_the_scale_there_is_none(
    flagship: Bundle, latents: NDArray[np.float32], contrasts: NDArray[np.float32]
) -> None:
    assert forecast([latents], [], flagship, Target(bpp=50), PIXELS) is None
    assert forecast([latents], [], flagship, Target(psnr=99), PIXELS) is None
    assert forecast([latents], [contrasts], flagship, Target(ms_ssim=0.99999), PIXELS) is None


def test_an_estimate_is_on_the_ladder_even_for_a_grey_picture(either: Bundle) -> None:
    flat = [np.zeros((either.channels, 8, 8), np.float32)]
    estimated = forecast(flat, [], either, Target(bytes=30), 128 * 128)
    assert estimated is None or 100 <= estimated.ladder_position <= POSITION_MAX
