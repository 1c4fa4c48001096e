"""Fit the linear map of a bundle for quick previews to photographs, as `caesura export --photos` does.

python -m caesura.train.preview BUNDLE PHOTOS [--pictures 120]

A crop of each picture is coded at three rates; a fifth of the pictures is held out to measure the map. The
bundle's id does not change: files do not depend on the map.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from caesura import metrics
from caesura.coding import preview
from caesura.coding.architectures import segment_coder
from caesura.coding.base import MIN_EFFORT
from caesura.errors import ConfigError
from caesura.format.container import POSITION_MIN
from caesura.models.bundle import PREVIEW_SCALE, Bundle, load
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import PREVIEW, digest, read_manifest
from caesura.picture import files, loading, pixels
from caesura.train.bundle_files import amend, npz
from caesura.train.prepare import SUFFIXES

_PICTURES = 120
CLOSE = 35.0  # dB; cae2017, whose synthesis is not linear, reaches 21
_SIDE = 512
_RATES = 3
_HELD_OUT = 5  # every fifth picture
_RIDGE = 1e-5

Float = NDArray[np.float32]


def main() -> None:
    """Read arguments, fit, write."""
    parser = argparse.ArgumentParser(prog="python -m caesura.train.preview", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("--pictures", type=int, default=_PICTURES)
    arguments = parser.parse_args()
    decibels = add(arguments.bundle, arguments.photos, arguments.pictures)
    print(summary(decibels))


def add(bundle: Path, folder: Path, pictures: int = _PICTURES) -> float:
    """Fit a map to photographs of a folder, and write it to the bundle if its PSNR is at least CLOSE.

    Returns:
        The PSNR in dB on held-out pictures, see `fit`.

    Raises:
        ConfigError: as `fit`.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    chosen = np.random.default_rng(0).permutation(len(paths))[:pictures]
    weights, decibels = fit(load(bundle), [paths[number] for number in chosen])
    if decibels >= CLOSE:
        write(bundle, weights)
    return decibels


def summary(decibels: float) -> str:
    """The result of `add` in a sentence."""
    kept = "kept" if decibels >= CLOSE else f"not kept; {CLOSE:g} dB are needed"
    return f"previews: {decibels:.2f} dB from reduced decoded pictures: {kept}"


def fit(bundle: Bundle, paths: list[Path]) -> tuple[Float, float]:
    """The map with the least squared error, and its PSNR in dB on held-out pictures.

    Raises:
        ConfigError: the bundle's latents are finer than a preview's pixels, or there are too few pictures.
    """
    if bundle.stride % PREVIEW_SCALE or len(paths) < 2 * _HELD_OUT:
        raise ConfigError(
            f"stride is {bundle.stride} and there are {len(paths)} pictures; "
            f"multiples of {PREVIEW_SCALE} and {2 * _HELD_OUT} or more are allowed"
        )
    width = bundle.channels + 1
    square, product = np.zeros((width, width)), np.zeros((width, 3 * (bundle.stride // PREVIEW_SCALE) ** 2))
    held_out = []
    random = np.random.default_rng(1)
    for number, path in enumerate(track(paths, "fitting")):
        for part in range(_RATES):
            low, high = np.linspace(POSITION_MIN, bundle.ladder_top, _RATES + 1).astype(int)[part:][:2]
            plane, decoded = _coded(path, int(random.integers(low, high)), bundle, random)
            if number % _HELD_OUT == 0:
                held_out.append((plane, decoded))
                continue
            rows = np.vstack([plane.reshape(len(plane), -1), np.ones((1, plane[0].size))])
            square += rows @ rows.T
            product += rows @ targets(decoded, bundle.stride)
    ridge = _RIDGE * np.trace(square) / width * np.eye(width)
    weights = np.linalg.solve(square + ridge, product).astype(np.float32)
    levels = [_psnr(*one, weights) for one in held_out]
    return weights, float(np.mean(levels))


def targets(decoded: NDArray[np.uint8], stride: int) -> Float:
    """The means that `coding.preview.pixels` approximates, before rounding, as rows of a regression.

    Args:
        decoded: uint8 (H, W, 3), the pixels of the latents.
        stride: pixels per latent.

    Returns:
        float32 (latents, 3 k^2), k = stride / 8.
    """
    side = stride // PREVIEW_SCALE
    high, wide = decoded.shape[0] // stride, decoded.shape[1] // stride
    cells = decoded.reshape(high, side, PREVIEW_SCALE, wide, side, PREVIEW_SCALE, 3)
    means: Float = cells.mean(axis=(2, 5), dtype=np.float32)  # high, side, wide, side, 3
    return means.transpose(0, 2, 1, 3, 4).reshape(high * wide, side * side * 3)


def write(folder: Path, weights: Float) -> None:
    """Write a map to a bundle's folder."""
    content = npz({"weights": weights})
    files.write(folder / PREVIEW, content, force=True)
    amend(folder, files=read_manifest(folder)["files"] | {PREVIEW: digest(content)})


def _coded(
    path: Path, ladder_position: int, bundle: Bundle, random: np.random.Generator
) -> tuple[Float, NDArray[np.uint8]]:
    """Decoded latents and decoded pixels of a crop of a photograph."""
    coder = segment_coder(Conditioning(bundle, ladder_position, as_input=True), MIN_EFFORT)
    rgb = pixels.to_rgb(pixels.to_pixels(loading.open_image(path)))
    high, wide = (min(_SIDE, side // bundle.stride * bundle.stride) for side in rgb.shape[:2])
    top, left = (
        int(random.integers(0, side - kept + 1)) for side, kept in zip(rgb.shape, (high, wide), strict=False)
    )
    rgb = np.ascontiguousarray(rgb[top : top + high, left : left + wide])
    latents = coder.encode(coder.analyse(rgb)).decoded.latents
    return latents, coder.synthesise(latents)


def _psnr(plane: Float, decoded: NDArray[np.uint8], weights: Float) -> float:
    return metrics.psnr(pixels.reduce(decoded, PREVIEW_SCALE), preview.pixels(plane, weights))


if __name__ == "__main__":
    main()
