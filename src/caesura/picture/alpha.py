"""Lossless coding of alpha as a PNG, and colours under transparent pixels."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from caesura.errors import FormatError

OPAQUE = 255
_GREY = 128
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR = slice(16, 24)  # width and height


def cleared(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours with those of transparent pixels, where alpha is 0, interpolated smoothly from visible ones.

    Transparent areas then take almost no bits, and add no edges beside visible pixels.

    Args:
        colours: uint8 (H, W, C).
        alpha: uint8 (H, W).

    Returns:
        uint8 (H, W, C).
    """
    visible = alpha > 0
    if visible.all():
        return colours
    planes = [_interpolated(plane, visible) for plane in colours.transpose(2, 0, 1)]
    return np.dstack([np.rint(plane).astype(np.uint8) for plane in planes])


def _interpolated(plane: NDArray[Any], visible: NDArray[np.bool_]) -> NDArray[Any]:
    """A plane (H, W), interpolated where `visible`, bool (H, W), is False.

    Pull-push (Gortler et al., "The lumigraph", 1996): the means of visible pixels in blocks of 2 x 2 are
    interpolated in the same way, then upsampled.
    """
    if visible.all():
        return plane
    if not visible.any():
        return np.full_like(plane, _GREY)
    rows, columns = plane.shape
    high, wide = -(-rows // 2), -(-columns // 2)
    margins = (0, 2 * high - rows), (0, 2 * wide - columns)

    def sums(values: NDArray[Any]) -> NDArray[np.float32]:
        squares = np.pad(values, margins).reshape(high, 2, wide, 2)
        total: NDArray[np.float32] = squares.sum(axis=(1, 3), dtype=np.float32)
        return total

    counts = sums(visible)
    coarse = _interpolated(sums(np.where(visible, plane, 0)) / np.maximum(counts, 1), counts > 0)
    fine = Image.fromarray(coarse).resize((2 * wide, 2 * high), Image.Resampling.BILINEAR)
    return np.where(visible, plane, np.asarray(fine)[:rows, :columns])


def encode(alpha: NDArray[np.uint8]) -> bytes:
    """A PNG of mode L, of alpha, uint8 (H, W), 255 where opaque."""
    stream = io.BytesIO()
    Image.fromarray(alpha).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def decode(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """Alpha, uint8 (H, W), of the PNG that `encode` returned.

    Raises:
        FormatError: the data is not a complete PNG of 8-bit grey of this size, or exceeds Pillow's own limit.
    """
    if data.startswith(_SIGNATURE) and len(data) >= _IHDR.stop:
        # Pillow warns of large pictures when it opens them, which cannot be silenced in one thread only.
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
    except Exception as error:  # Pillow raises errors of many types for damaged chunks
        raise FormatError(f"alpha: not a PNG that can be read: {error}") from error
