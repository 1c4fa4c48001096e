"""Photographs of any size, made of scikit-image's."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.errors import DependencyError

_MULTIPLE = 16  # of sides, as cameras have them


def shape(megapixels: float) -> tuple[int, int]:
    """Height and width of about so many, 3:2."""
    height = math.sqrt(megapixels * 1e6 / 1.5)
    high, wide = (max(1, round(side / _MULTIPLE)) * _MULTIPLE for side in (height, 1.5 * height))
    return high, wide


def photo(high: int, wide: int) -> NDArray[np.uint8]:
    """Uint8 (high, wide, 3): one photograph resized if it is small, else many side by side as they are."""
    try:
        from skimage import data
    except ImportError as error:
        raise DependencyError("scikit-image is not installed; pip install 'caesura[bench]'") from error
    coffee = np.asarray(data.coffee())
    if high <= 512 and wide <= 768:
        return resized(coffee, (high, wide))
    tile = coffee.shape[0]
    band = np.concatenate([coffee, np.asarray(data.astronaut())[:tile]], axis=1)
    picture = np.empty((high, wide, 3), np.uint8)
    for number, top in enumerate(range(0, high, tile)):
        # Each row another: mirrored, and shifted by what divides no tile.
        row = np.roll(band[:, ::-1] if number % 2 else band, 331 * number, axis=1)
        rows = min(tile, high - top)
        picture[top : top + rows] = np.tile(row, (1, -(-wide // row.shape[1]), 1))[:rows, :wide]
    return picture


def resized(photo: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The photo at another size, uint8 (*shape, 3)."""
    return np.asarray(Image.fromarray(photo).resize(shape[::-1], Image.Resampling.BICUBIC))
