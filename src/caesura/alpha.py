"""Transparency, kept without loss: a PNG inside a chunk."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from caesura.errors import FormatError

OPAQUE = 255
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR = slice(16, 24)  # width and height


def encode(alpha: NDArray[np.uint8]) -> bytes:
    """uint8 (H, W), 255 where opaque, to a PNG of mode L."""
    stream = io.BytesIO()
    Image.fromarray(alpha).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def decode(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """The mirror of `encode`.

    Raises:
        FormatError: it is not a whole PNG of 8-bit grey of this size, or larger than Pillow's own limit.
    """
    if data.startswith(_SIGNATURE) and len(data) >= _IHDR.stop:
        # Before Pillow sees it: it would warn of large ones, which no thread can silence for itself alone.
        sides = struct.unpack(">II", data[_IHDR])
        if sides != (width, height):
            raise FormatError(f"alpha: {sides[0]} x {sides[1]}; {width} x {height} is expected")
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG",))
        if picture.mode != "L" or picture.size != (width, height):
            raise FormatError(f"alpha: mode {picture.mode}; L is expected")
        return np.array(picture)
    except UnidentifiedImageError as error:
        raise FormatError(f"alpha: not a PNG; {len(data)} bytes start with {data[:8].hex(' ')}") from error
    except FormatError:
        raise
    except Exception as error:  # what Pillow's readers of chunks raise has no common base but this
        raise FormatError(f"alpha: not a PNG that can be read: {error}") from error
