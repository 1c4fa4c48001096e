"""Previews: a picture at an eighth of its sides, as a linear map of its latents.

Means over 8 x 8 pixels are very nearly linear in the latents, so thumbnails need no synthesis and no detail
layer. The map is fitted to photographs (`train.preview`). It is no part of the format: a bundle without one
gives means of decoded pixels instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]


def pixels(latents: Float, weights: Float) -> Pixels:
    """Means over 8 x 8 pixels.

    Args:
        latents: float32 (channels, h, w), decoded.
        weights: float32 (channels + 1, 3 k^2), k = stride / 8; the last row is an offset.

    Returns:
        uint8 (h k, w k, 3).
    """
    channels, rows, columns = latents.shape
    side = int((weights.shape[1] // 3) ** 0.5)
    means = latents.reshape(channels, -1).T @ weights[:-1]
    means += weights[-1]
    blocks = np.rint(means).clip(0, 255).astype(np.uint8).reshape(rows, columns, side, side, 3)
    picture: Pixels = blocks.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    return picture
