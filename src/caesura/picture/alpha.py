"""Transparency, kept without loss: a PNG inside a chunk; and the colours that it hides."""

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
    """Colours, with a smooth continuation of them where nobody sees them: where alpha is 0.

    What is hidden then costs next to nothing, and no edge that nobody sees takes bits from what is beside it.

    Args:
        colours: uint8 (H, W, C).
        alpha: uint8 (H, W).

    Returns:
        uint8 (H, W, C).
    """
    seen = alpha > 0
    if seen.all():
        return colours
    planes = [_continued(plane, seen) for plane in colours.transpose(2, 0, 1)]
    return np.dstack([np.rint(plane).astype(np.uint8) for plane in planes])


def _continued(plane: NDArray[Any], seen: NDArray[np.bool_]) -> NDArray[Any]:
    """A plane (H, W), interpolated where it is not seen.

    Pull and push (Gortler et al., "The lumigraph", 1996): from means of what is seen in squares of 2 x 2, of
    which the same is done, and so on.
    """
    if seen.all():
        return plane
    if not seen.any():
        return np.full_like(plane, _GREY)
    rows, columns = plane.shape
    high, wide = -(-rows // 2), -(-columns // 2)
    margins = (0, 2 * high - rows), (0, 2 * wide - columns)

    def sums(values: NDArray[Any]) -> NDArray[np.float32]:
        squares = np.pad(values, margins).reshape(high, 2, wide, 2)
        total: NDArray[np.float32] = squares.sum(axis=(1, 3), dtype=np.float32)
        return total

    counts = sums(seen)
    coarse = _continued(sums(np.where(seen, plane, 0)) / np.maximum(counts, 1), counts > 0)
    fine = Image.fromarray(coarse).resize((2 * wide, 2 * high), Image.Resampling.BILINEAR)
    return np.where(seen, plane, np.asarray(fine)[:rows, :columns])


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
