"""Photographs of any size, assembled from those of scikit-image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.bench.photos import skimage_data

_MULTIPLE = 16  # sides are multiples of this, as those of cameras are


def shape(megapixels: float) -> tuple[int, int]:
    """Height and width in pixels of a 3:2 picture of about this many megapixels."""
    height = math.sqrt(megapixels * 1e6 / 1.5)
    high, wide = (max(1, round(side / _MULTIPLE)) * _MULTIPLE for side in (height, 1.5 * height))
    return high, wide


def photo(high: int, wide: int) -> NDArray[np.uint8]:
    """A photograph, uint8 (high, wide, 3): resized up to 768 x 512, otherwise tiled."""
    data = skimage_data()
    coffee = np.asarray(data.coffee())
    if high <= 512 and wide <= 768:
        return resized(coffee, (high, wide))
    tile = coffee.shape[0]
    band = np.concatenate([coffee, np.asarray(data.astronaut())[:tile]], axis=1)
    picture = np.empty((high, wide, 3), np.uint8)
    for number, top in enumerate(range(0, high, tile)):
        # Rows differ: every second one is mirrored, and all are shifted by different amounts.
        row = np.roll(band[:, ::-1] if number % 2 else band, 331 * number, axis=1)
        rows = min(tile, high - top)
        picture[top : top + rows] = np.tile(row, (1, -(-wide // row.shape[1]), 1))[:rows, :wide]
    return picture


def resized(photo: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The photo at another size, uint8 (*shape, 3)."""
    return np.asarray(Image.fromarray(photo).resize(shape[::-1], Image.Resampling.BICUBIC))
