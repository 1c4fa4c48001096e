"""The encoder's last effort: refined symbols cost less for what they give, and are coded like any others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
from caesura.coding import refine
from caesura.coding.cae2026 import Cae2026
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import read_manifest
from caesura.picture.pixels import grid, pad
from caesura.runtime import transform
from caesura.train import loss as losses
from caesura.train.distortion import Distortion
from train_helpers import photo, planar, tiny

QUALITY, FEW = 40, 12


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The shipped photo-psnr, refined in few steps."""
    monkeypatch.setattr(refine, "STEPS", FEW)
    return bundles.load("photo-psnr")


def loss(pixels: NDArray[np.uint8], data: bytes) -> float:
    """R + beta * D of a file."""
    error = (caesura.decode_array(data).astype(float) - pixels) ** 2
    bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    return bpp + ladder.beta(QUALITY) * float(error.mean()) / 255**2


@pytest.mark.slow
def test_refined_latents_are_worth_more(bundle: Bundle, astronaut: NDArray[np.uint8]) -> None:
    crop = np.ascontiguousarray(astronaut[32:160, 160:288])
    plain = caesura.encode(crop, quality=QUALITY, model=bundle, effort=1)
    seen = []
    refined = caesura.encode(
        crop, quality=QUALITY, model=bundle, effort=9, progress=lambda done, total: seen.append((done, total))
    )
    assert loss(crop, refined) < loss(crop, plain)
    assert seen == [(step, FEW) for step in range(1, FEW + 1)]
    again = caesura.encode(crop, quality=QUALITY, model=bundle, effort=9)
    assert again == refined


@pytest.mark.slow
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
    bundle, position = bundles.load("photo-psnr"), 100 * QUALITY
    crop = np.ascontiguousarray(astronaut[40:150, 160:310])
    conditioning = Conditioning(bundle, position)
    padded = pad(crop, 112, 160)
    return crop, Distortion(crop, conditioning), transform.analyse(padded, conditioning)


def test_the_distortion_is_beta_times_the_squared_error_of_pixels(
    decoded: tuple[NDArray[np.uint8], Distortion, NDArray[np.float32]],
) -> None:
    crop, distortion, latent = decoded
    bundle = bundles.load("photo-psnr")
    conditioning = Conditioning(bundle, 100 * QUALITY)
    pixels = transform.synthesise(latent, conditioning)[: crop.shape[0], : crop.shape[1]]
    error = ((pixels.astype(float) - crop) ** 2).mean() / 255**2 * crop.shape[0] * crop.shape[1]
    assert distortion(latent)[0] == pytest.approx(ladder.beta(QUALITY) * error, rel=0.02)  # 8-bit pixels


def test_the_gradient_tells_how_the_distortion_changes(
    decoded: tuple[NDArray[np.uint8], Distortion, NDArray[np.float32]],
) -> None:
    _, distortion, latent = decoded
    value, gradient = distortion(latent)
    step = np.float32(-1e-3 * value / (gradient**2).sum()) * gradient
    assert distortion(latent + step)[0] - value == pytest.approx(float((step * gradient).sum()), rel=0.1)


@pytest.mark.slow
def test_tiles_give_what_the_whole_gives(
    decoded: tuple[NDArray[np.uint8], Distortion, NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, distortion, latent = decoded
    value, gradient = distortion(latent)
    monkeypatch.setattr("caesura.train.distortion._TILE", 3)
    tiled, slope = distortion(latent)
    assert tiled == pytest.approx(value, rel=1e-4)
    np.testing.assert_allclose(slope, gradient, atol=1e-4 * float(np.abs(gradient).max()))


# Models trained for the distortion "perceptual"


MIX = {"mse": 0.2}


@pytest.fixture(scope="module")
def perceptual(
    make_bundle: Callable[..., Path], shipped_flagship: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """The shipped photo-psnr, which says that it was trained for a mix of losses."""
    training = copy.deepcopy(read_manifest(shipped_flagship)["training"])
    training["config"]["loss"] |= {"distortion": "perceptual", "mix": MIX}
    folder = tmp_path_factory.mktemp("perceptual") / "eye"
    return bundles.load(make_bundle(folder, of=shipped_flagship, training=training))


def coder_of(bundle: Bundle) -> tuple[Cae2026, Conditioning]:
    conditioning = Conditioning(bundle, ladder.position_of(QUALITY, bundle.quality_scale))
    return Cae2026(conditioning, effort=8), conditioning


def perceptual_bits(pixels: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Beta * D over the picture, of the fixture's mix."""
    mix = tiny(loss={"distortion": "perceptual", "mix": MIX}).loss.mix
    value = losses.distortion(planar(pixels), planar(decoded), "perceptual", mix)
    return ladder.beta(QUALITY) * float(value) * pixels.shape[0] * pixels.shape[1]


@pytest.mark.slow
def test_the_perceptual_distortion_is_that_of_training_times_the_pixels(perceptual: Bundle) -> None:
    pixels, (coder, here) = photo(96, 128, 60, 160), coder_of(perceptual)
    latent = coder.analyse(pixels)
    decoded = coder.synthesise(latent)
    value, gradient = Distortion(pixels, here)(latent)
    assert value == pytest.approx(perceptual_bits(pixels, decoded), rel=0.02)  # 8-bit pixels
    step = np.float32(-1e-3 * value / (gradient**2).sum()) * gradient
    moved, _ = Distortion(pixels, here)(latent + step)
    assert moved - value == pytest.approx(float((step * gradient).sum()), rel=0.1)


@pytest.mark.parametrize("shape", [(20, 33), (37, 70), (64, 17)])
def test_pixels_beyond_the_picture_cost_nothing(perceptual: Bundle, shape: tuple[int, int]) -> None:
    pixels, (coder, here) = photo(*shape, 60, 160), coder_of(perceptual)
    rows, columns = grid(*shape, 16, 16)
    padded = pad(pixels, 16 * rows, 16 * columns)
    latent = coder.analyse(padded)
    restored = padded.copy()
    restored[: shape[0], : shape[1]] = coder.synthesise(latent)[: shape[0], : shape[1]]
    value, gradient = Distortion(pixels, here)(latent)
    assert value == pytest.approx(perceptual_bits(padded, restored), rel=0.03)
    assert np.isfinite(gradient).all()


@pytest.mark.slow
def test_tiles_come_close_to_the_whole(perceptual: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, (coder, here) = photo(192, 256, 60, 160), coder_of(perceptual)
    distortion, latent = Distortion(pixels, here), coder.analyse(pixels)
    value, gradient = distortion(latent)
    monkeypatch.setattr("caesura.train.distortion._TILE", 6)
    tiled, slope = distortion(latent)
    assert tiled == pytest.approx(value, rel=0.1)  # though tiles are of 96 pixels here, not 768
    assert np.corrcoef(slope.ravel(), gradient.ravel())[0, 1] > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(96, 128), (37, 70)])
def test_refining_for_the_eye_never_costs_more(
    perceptual: Bundle, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refine, "STEPS", FEW)
    pixels, (coder, here) = photo(*shape, 60, 160), coder_of(perceptual)
    rows, columns = grid(*shape, 16, 16)
    start = coder.encode(coder.analyse(pad(pixels, 16 * rows, 16 * columns)))
    distortion = Distortion(pixels, here)
    inner = slice(0, rows), slice(0, columns)
    window = start.decoded.latents.copy()
    better = coder.refine(start, window, inner, distortion, lambda done, total: None)
    costs = [
        coded.bits + distortion(np.ascontiguousarray(coded.decoded.latents))[0] for coded in (start, better)
    ]
    assert costs[1] < costs[0]


@pytest.mark.slow
def test_effort_9_gives_the_eye_more_for_its_bits(
    perceptual: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refine, "STEPS", FEW)
    pixels = photo(96, 128, 60, 160)
    costs = []
    for effort in (8, 9):
        data = caesura.encode(pixels, quality=QUALITY, model=perceptual, effort=effort)
        costs.append(8 * len(data) + perceptual_bits(pixels, caesura.decode_array(data)))
    assert costs[1] < costs[0]
