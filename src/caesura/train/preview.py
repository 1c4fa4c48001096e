"""Fit the linear maps of a bundle for quick previews to photographs, as `caesura export --photos` does.

python -m caesura.train.preview BUNDLE PHOTOS [--pictures 120]

One map gives an eighth of the sides from latents: a crop of each picture is coded at three rates, and a fifth
of the pictures is held out to measure it. The other gives 1/64 from hyperlatents alone, which come first in a
segment; only the library for browsers shows it. Neither changes the bundle's id: no file depends on them.
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
from caesura.coding.cae2026 import Cae2026
from caesura.errors import ConfigError
from caesura.format.container import POSITION_MIN
from caesura.models.bundle import COARSE_SCALE, PREVIEW_SCALE, Bundle, load
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import PREVIEW, digest, read_manifest
from caesura.picture import files, loading, pixels
from caesura.train.bundle_files import amend, npz
from caesura.train.prepare import SUFFIXES

_PICTURES = 120
COARSE_POSITIONS = 5
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
        write(bundle, weights, fit_coarse(load(bundle), [paths[number] for number in chosen]))
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


def fit_coarse(bundle: Bundle, paths: list[Path]) -> Float | None:
    """The map of hyperlatents to means over 64 x 64 pixels, at several ladder positions.

    Returns:
        float32 (positions, hyperlatent channels + 1, 3), at ladder positions that lie evenly from the bottom
        to the top; the last row of each is an offset. None for an architecture without hyperlatents.
    """
    if bundle.control is None:
        return None
    width = bundle.tables.channels + 1
    maps = []
    for position in np.linspace(POSITION_MIN, bundle.ladder_top, COARSE_POSITIONS).round().astype(int):
        coder = Cae2026(Conditioning(bundle, int(position), as_input=True), MIN_EFFORT)
        square, product = np.zeros((width, width)), np.zeros((width, 3))
        random = np.random.default_rng(2)
        for path in track(paths, f"fitting at {position / 100:.0f}"):
            rgb = _crop(path, COARSE_SCALE, random)
            if rgb.size == 0:  # a smaller picture
                continue
            hyperlatents = coder.encode(coder.analyse(rgb)).hyperlatents
            rows = np.vstack([hyperlatents.reshape(width - 1, -1), np.ones((1, hyperlatents[0].size))])
            square += rows @ rows.T
            product += rows @ pixels.reduce(rgb, COARSE_SCALE).reshape(-1, 3)
        ridge = _RIDGE * np.trace(square) / width * np.eye(width)
        maps.append(np.linalg.solve(square + ridge, product))
    return np.stack(maps).astype(np.float32)


def write(folder: Path, weights: Float, coarse: Float | None) -> None:
    """Write maps to a bundle's folder."""
    content = npz({"weights": weights} | ({} if coarse is None else {"coarse": coarse}))
    files.write(folder / PREVIEW, content, force=True)
    amend(folder, files=read_manifest(folder)["files"] | {PREVIEW: digest(content)})


def _coded(
    path: Path, ladder_position: int, bundle: Bundle, random: np.random.Generator
) -> tuple[Float, NDArray[np.uint8]]:
    """Decoded latents and decoded pixels of a crop of a photograph."""
    coder = segment_coder(Conditioning(bundle, ladder_position, as_input=True), MIN_EFFORT)
    rgb = _crop(path, bundle.stride, random)
    latents = coder.encode(coder.analyse(rgb)).decoded.latents
    return latents, coder.synthesise(latents)


def _crop(path: Path, multiple: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """A square of a photograph, uint8 (H, W, 3), smaller where that is; sides are multiples of a number."""
    rgb = pixels.to_rgb(pixels.to_pixels(loading.open_image(path)))
    high, wide = (min(_SIDE, side // multiple * multiple) for side in rgb.shape[:2])
    top, left = (
        int(random.integers(0, side - kept + 1)) for side, kept in zip(rgb.shape, (high, wide), strict=False)
    )
    return np.ascontiguousarray(rgb[top : top + high, left : left + wide])


def _psnr(plane: Float, decoded: NDArray[np.uint8], weights: Float) -> float:
    return metrics.psnr(pixels.reduce(decoded, PREVIEW_SCALE), preview.pixels(plane, weights))


if __name__ == "__main__":
    main()
