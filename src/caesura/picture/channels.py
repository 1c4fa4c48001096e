"""The channels of a picture: grey or RGB, with or without alpha."""

from __future__ import annotations


def colours(channels: int) -> int:
    """Number of channels without alpha: 1 of 1 or 2, 3 of 3 or 4."""
    return channels - (channels + 1) % 2


def pillow_mode(channels: int) -> str:
    """Pillow's mode of a picture of 1 to 4 channels: L, LA, RGB or RGBA."""
    return ("L", "LA", "RGB", "RGBA")[channels - 1]
