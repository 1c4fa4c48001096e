"""Lossless coding of colours as a WebP, which may have holes: pixels that are left out, of alpha 0."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.errors import FormatError

# RIFF, its length, WEBP, VP8L, its length, 0x2f, 14 bits of width - 1 and of height - 1, alpha, version.
_START = struct.Struct("<4sI4s4sIBI")
# libwebp's methods, each some times as slow as the one before: text hardly gains by it, screenshots do.
FAST, USUAL, SMALLEST = 4, 5, 6

Pixels = NDArray[np.uint8]


def encode(rgb: Pixels, kept: NDArray[np.bool_] | None = None, method: int = FAST) -> bytes:
    """A lossless WebP file of uint8 (H, W, 3).

    Args:
        rgb: the colours.
        kept: bool (H, W), where there is no hole; everywhere unless given.
        method: FAST, USUAL or SMALLEST.
    """
    if kept is None or kept.all():
        image = Image.fromarray(rgb)
    else:
        opacity = np.where(kept, np.uint8(255), np.uint8(0))
        image = Image.fromarray(np.dstack([np.where(kept[:, :, None], rgb, np.uint8(0)), opacity]))
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=True, exact=True, quality=100, method=method)
    return stream.getvalue()


def decode(data: bytes, height: int, width: int, field: str) -> tuple[Pixels, NDArray[np.bool_]]:
    """The colours, uint8 (H, W, 3), and where no hole is, bool (H, W), of the file that `encode` returned.

    Args:
        data: the file.
        height, width: in pixels.
        field: what errors name.

    Raises:
        FormatError: the data is not a complete lossless WebP of one picture of this size, it has alpha other
            than 0 and 255, or alpha without a hole.
    """
    start = read_start(data, field)
    if (start.width, start.height) != (width, height):
        raise FormatError(f"{field}: {start.width} x {start.height}; {width} x {height} is expected")
    try:
        picture = Image.open(io.BytesIO(data), formats=("WEBP",))
        pixels = np.asarray(picture)
    except Exception as error:  # Pillow raises errors of several types for damaged files
        raise FormatError(f"{field}: not a WebP that can be read: {error}") from error
    if not start.has_holes:
        return pixels[:, :, :3], np.ones(pixels.shape[:2], bool)
    opacity = pixels[:, :, 3] if pixels.shape[2] == 4 else np.full(pixels.shape[:2], 255, np.uint8)
    kept = opacity == 255
    if kept.all():
        raise FormatError(f"{field}: alpha is 255 throughout; a WebP without alpha is allowed")
    if not (kept | (opacity == 0)).all():
        found = int(opacity[~kept & (opacity > 0)][0])
        raise FormatError(f"{field}: alpha is {found}; 0 and 255 are allowed")
    return pixels[:, :, :3], kept


class Start(NamedTuple):
    """What the first bytes of a file say: its sides in pixels, and whether it has holes: pixels left out."""

    width: int
    height: int
    has_holes: bool


def read_start(data: bytes, field: str) -> Start:
    """The start of a file that `encode` returned; pixels are not looked at.

    Raises:
        FormatError: it is not that of a lossless WebP of as many bytes, with nothing but one picture.
    """
    if len(data) < _START.size:
        raise FormatError(f"{field}: {len(data)} bytes; a lossless WebP has at least {_START.size}")
    riff, length, webp, kind, inner, mark, bits = _START.unpack_from(data)
    if (riff, webp, kind, mark, bits >> 29) != (b"RIFF", b"WEBP", b"VP8L", 0x2F, 0):
        raise FormatError(f"{field}: starts with {data[:25].hex(' ')}; a lossless WebP (VP8L) is allowed")
    if length != len(data) - 8 or inner + inner % 2 != len(data) - 20:
        raise FormatError(f"{field}: a WebP of {length + 8} bytes in {len(data)} bytes")
    return Start((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28))
