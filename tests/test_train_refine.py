"""The encoder's last effort: refined symbols cost less for what they give, and are coded like any others."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
from caesura import image, rate, refine, transform
from caesura import model as models
from caesura.model import Bundle
from caesura.train.distortion import Distortion

QUALITY = 40


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The shipped flagship, refined in few steps."""
    monkeypatch.setattr(refine, "STEPS", 40)
    return models.load("photo-psnr")


def loss(pixels: NDArray[np.uint8], data: bytes) -> float:
    """R + beta * D of a file."""
    error = (caesura.decode_array(data).astype(float) - pixels) ** 2
    bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    return bpp + rate.beta(QUALITY) * float(error.mean()) / 255**2


def test_refined_latents_are_worth_more(bundle: Bundle, astronaut: NDArray[np.uint8]) -> None:
    crop = np.ascontiguousarray(astronaut[32:160, 160:288])
    plain = caesura.encode(crop, quality=QUALITY, model=bundle, effort=1)
    seen = []
    refined = caesura.encode(
        crop, quality=QUALITY, model=bundle, effort=9, progress=lambda done, total: seen.append((done, total))
    )
    assert loss(crop, refined) < loss(crop, plain)
    assert seen == [(step, 40) for step in range(1, 41)]
    again = caesura.encode(crop, quality=QUALITY, model=bundle, effort=9)
    assert again == refined


@pytest.mark.parametrize("shape", [(1, 1), (37, 70)])
def test_a_picture_of_any_size_is_refined(
    bundle: Bundle, astronaut: NDArray[np.uint8], shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refine, "STEPS", 2)
    crop = np.ascontiguousarray(astronaut[: shape[0], : shape[1]])
    decoded = caesura.decode_array(caesura.encode(crop, quality=90, model=bundle, effort=9))
    assert decoded.shape == crop.shape


@pytest.fixture(scope="module")
def decoded(astronaut: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Distortion, NDArray[np.float32]]:
    """A picture, its distortion, and latents that decode to something like it."""
    flagship, code = models.load("photo-psnr"), 100 * QUALITY
    crop = np.ascontiguousarray(astronaut[40:150, 160:310])
    mix = rate.mixing(code, len(flagship.log_gain), flagship.ladder_top)
    padded = image.pad(crop, 112, 160)
    return crop, Distortion(crop, mix, flagship), transform.analyse(padded, flagship, mix)


def test_the_distortion_is_beta_times_the_squared_error_of_pixels(
    decoded: tuple[NDArray[np.uint8], Distortion, NDArray[np.float32]],
) -> None:
    crop, distortion, latent = decoded
    flagship = models.load("photo-psnr")
    mix = rate.mixing(100 * QUALITY, len(flagship.log_gain), flagship.ladder_top)
    pixels = transform.synthesise(latent, flagship, mix)[: crop.shape[0], : crop.shape[1]]
    error = ((pixels.astype(float) - crop) ** 2).mean() / 255**2 * crop.shape[0] * crop.shape[1]
    assert distortion(latent)[0] == pytest.approx(rate.beta(QUALITY) * error, rel=0.02)  # 8-bit pixels


def test_the_gradient_tells_how_the_distortion_changes(
    decoded: tuple[NDArray[np.uint8], Distortion, NDArray[np.float32]],
) -> None:
    _, distortion, latent = decoded
    value, gradient = distortion(latent)
    step = np.float32(-1e-3 * value / (gradient**2).sum()) * gradient
    assert distortion(latent + step)[0] - value == pytest.approx(float((step * gradient).sum()), rel=0.1)


def test_tiles_give_what_the_whole_gives(
    decoded: tuple[NDArray[np.uint8], Distortion, NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, distortion, latent = decoded
    value, gradient = distortion(latent)
    monkeypatch.setattr("caesura.train.distortion._TILE", 3)
    tiled, slope = distortion(latent)
    assert tiled == pytest.approx(value, rel=1e-4)
    np.testing.assert_allclose(slope, gradient, atol=1e-4 * float(np.abs(gradient).max()))
