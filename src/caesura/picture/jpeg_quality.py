"""The quality of a JPEG by its quantization table, and the quality of caesura that keeps what it has.

IJG quality, 1 to 100, is that of libjpeg, which scales the tables of ITU-T T.81, annex K. Other programs,
such as Photoshop, have tables of their own. Their quality is that of the scaled table whose mean ratio to the
standard table is the same: mostly some points too high, so that few JPEGs are taken for worse than they are.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Pairs of IJG quality and of quality: encoded at that, the JPEG is at most 1 of SSIMULACRA 2 further from the
# photograph than it was. Means over 16 photographs: python -m benchmarks.jpeg_quality PHOTOS
# JPEGs with subsampled colours (4:2:0) need no more.
KEEPS = ((10, 30), (20, 46), (30, 56), (50, 65), (70, 72), (80, 81), (90, 97))

# fmt: off
_STANDARD = np.array([  # of luminance, at quality 50
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
])
# fmt: on


def ijg_quality(picture: Image.Image) -> float | None:
    """The IJG quality, 1 to 100, of the JPEG that a Pillow image was read from; None if there is none."""
    tables, components = getattr(picture, "quantization", None), getattr(picture, "layer", None)
    if not tables or not components:
        return None
    table = tables.get(components[0][3])  # of luminance, or of grey, red or cyan
    if table is None or len(table) != len(_STANDARD):
        return None
    qualities, ratios = _ratios()
    return float(np.interp(np.mean(np.asarray(table) / _STANDARD), ratios, qualities))


def quality_that_keeps(ijg: float) -> float | None:
    """The quality, 1 to 100, at which encoding a JPEG of an IJG quality again keeps nearly all that it has.

    None above the table's end, where no quality but the highest does.
    """
    known, qualities = zip(*KEEPS, strict=True)
    return float(np.interp(ijg, known, qualities)) if ijg <= known[-1] else None


@functools.cache
def _ratios() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Qualities from 100 to 1, and the mean ratio of each one's table to the standard table, which rises."""
    qualities = np.arange(100, 0, -1)
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    tables = np.clip((np.multiply.outer(percent, _STANDARD) + 50) // 100, 1, 255)
    return qualities, np.mean(tables / _STANDARD, axis=1)
