"""A picture at an eighth of its sides by its latents alone: a linear map of each, and no network.

What the latents say of means over 8 x 8 pixels is very nearly linear, so thumbnails need no synthesis and no
detail layer. A map is fitted to photographs (`train/preview.py`); it is no part of the format, and a bundle
without one gives means of what it decodes instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caesura.models.bundle import PREVIEW_SCALE

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]


def pixels(plane: Float, weights: Float) -> Pixels:
    """Means over 8 x 8 pixels.

    Args:
        plane: float32 (channels, h, w), decoded latents.
        weights: float32 (channels + 1, 3 k^2), k = stride / 8; the last row is an offset.

    Returns:
        uint8 (h k, w k, 3).
    """
    channels, rows, columns = plane.shape
    side = int((weights.shape[1] // 3) ** 0.5)
    means = plane.reshape(channels, -1).T @ weights[:-1]
    means += weights[-1]
    blocks = np.rint(means).clip(0, 255).astype(np.uint8).reshape(rows, columns, side, side, 3)
    picture: Pixels = blocks.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    return picture


def targets(decoded: Pixels, stride: int) -> Float:
    """What `pixels` is to give, before rounding, as rows of a regression: float32 (latents, 3 k^2).

    Args:
        decoded: uint8 (H, W, 3), what the latents decode to.
        stride: pixels per latent.
    """
    side = stride // PREVIEW_SCALE
    high, wide = decoded.shape[0] // stride, decoded.shape[1] // stride
    cells = decoded.reshape(high, side, PREVIEW_SCALE, wide, side, PREVIEW_SCALE, 3)
    means: Float = cells.mean(axis=(2, 5), dtype=np.float32)  # high, side, wide, side, 3
    return means.transpose(0, 2, 1, 3, 4).reshape(high * wide, side * side * 3)
