"""Clipped areas: where a photograph is pure white or pure black, the decoder makes it so.

Decoded latents miss 255 and 0 by a level or more in some pixels, mostly beside edges. A segment with large
areas of either has a map of them, a cell for each few pixels a side. Around finely mapped areas, pixels that
come within a few levels are set to white or black as well, so that white reaches up to the objects on it.

encode: pixels -> cells that are all white or all black -> map -> WebP, with its cells' side and the margin
decode: payload -> map -> pixels of its cells set, and those around them that come close
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.errors import FormatError
from caesura.picture import webp
from caesura.picture.pixels import all_of, grown

SIDES = (1, 2, 4, 8, 16)  # of a cell, in pixels
_WITH_MARGIN = 4  # the side of cells around which a margin is set
MARGINS = (25, 15, 5, 3)  # levels from white or black that are tried; nobody sees the last
_FINE_MARGIN, MAX_MARGIN = 5, 63
_BLACK, _NEITHER, _WHITE = 0, 128, 255  # cells of the map
# Clipped areas are large if this share of a segment's squares of as many pixels a side is white or black.
_LARGE, _LEAST_SHARE = 32, 1 / 16
# The map's bytes at most, as a share of the segment's.
_MOST_BYTES = 1 / 8
# Beside clipped areas, content is faint if it is further than this from white or black, in levels, and no
# edge of as many levels hides it; a margin may reach this share of the pixels there.
_UNSEEN, _EDGE, _MOST_TOUCHED = MARGINS[-1], 64, 1e-3

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def encode(rgb: Pixels, payload_bytes: int, *, fine: bool = False) -> bytes | None:
    """The payload of the clipped areas of a segment.

    Args:
        rgb: its pixels, uint8 (H, W, 3).
        payload_bytes: of its latents.
        fine: there is a detail layer, after which pixels are off by a few levels at most.

    Returns:
        None if the areas are too small, or their map takes too many bytes.
    """
    if not _has_large_areas(rgb):
        return None
    margin = _margin(rgb, _cells(rgb, _WITH_MARGIN), _WITH_MARGIN)
    faint = margin == MARGINS[-1]
    if fine:
        margin = 0 if faint else min(margin, _FINE_MARGIN)
    # Finer cells make up for a small margin.
    for side in SIDES if faint else [side for side in SIDES if side >= _WITH_MARGIN]:
        coded = webp.encode(np.repeat(_cells(rgb, side)[:, :, None], 3, axis=2))
        if len(coded) <= _MOST_BYTES * payload_bytes:
            return bytes([side, margin if side <= _WITH_MARGIN else 0]) + coded
    return None


def apply(payload: bytes, pixels: Pixels) -> Pixels:
    """Decoded pixels, uint8 (H, W, 1 or 3), with the payload's areas white and black.

    Raises:
        FormatError: the payload is not what `encode` gives for a segment of this size.
    """
    height, width, _ = pixels.shape
    clipped = _decode(payload, height, width)
    result = pixels.copy()
    for value, cells in ((255, clipped.white), (0, clipped.black)):
        near = _pixels(grown(cells), clipped.side, height, width)
        near &= np.abs(pixels.astype(np.int16) - value).max(axis=2) <= clipped.margin
        result[near | _pixels(cells, clipped.side, height, width)] = value
    return result


def apply_reduced(payload: bytes, pixels: Pixels, height: int, width: int, scale: int) -> Pixels:
    """`apply` to a preview of a segment of height x width, uint8 (ceil(H / scale), ceil(W / scale), 1 or 3).

    A pixel is white or black if all that it stands for is.
    """
    clipped = _decode(payload, height, width)
    result = pixels.copy()
    for value, cells in ((255, clipped.white), (0, clipped.black)):
        whole = _pixels(cells, clipped.side, height, width)
        result[all_of(whole, scale)] = value
    return result


class _Clipped(NamedTuple):
    """Cells that are white and cells that are black, bool (h, w), their side, and the margin in levels."""

    white: Mask
    black: Mask
    side: int
    margin: int


def _decode(payload: bytes, height: int, width: int) -> _Clipped:
    if len(payload) < 2 or payload[0] not in SIDES or payload[1] > MAX_MARGIN:
        got = f"it starts with {payload[:2].hex(' ') or 'nothing'}"
        allowed = f"a side of {', '.join(map(str, SIDES))} and a margin up to {MAX_MARGIN} are allowed"
        raise FormatError(f"clipped areas: {got}; {allowed}")
    side, margin = payload[0], payload[1]
    found, kept = webp.decode(payload[2:], -(-height // side), -(-width // side), "clipped areas")
    cells = found[:, :, 0]
    levels = np.isin(cells, (_BLACK, _NEITHER, _WHITE)) & (found == cells[:, :, None]).all(axis=2) & kept
    if not levels.all():
        cell = tuple(int(level) for level in found[~levels][0])
        raise FormatError(f"clipped areas: a cell is {cell}; 0, 128 and 255 are allowed, opaque and grey")
    return _Clipped(cells == _WHITE, cells == _BLACK, side, margin)


def _has_large_areas(rgb: Pixels) -> bool:
    """Whether clipped areas are large, by some rows first: photographs are not to pay for more."""
    if sum(_are(rgb[::8], value).mean() for value in (_WHITE, _BLACK)) < _LEAST_SHARE:
        return False
    return bool((_cells(rgb, _LARGE) != _NEITHER).mean() >= _LEAST_SHARE)


def _are(rgb: Pixels, value: int) -> Mask:
    """Whether all three colours are of a value, bool (H, W)."""
    red, green, blue = (rgb[:, :, channel] == value for channel in range(3))
    found: Mask = red & green & blue
    return found


def _cells(rgb: Pixels, side: int) -> Pixels:
    """The map, uint8 (h, w): cells whose pixels are all white, all black, or neither."""
    white, black = (all_of(_are(rgb, value), side) for value in (_WHITE, _BLACK))
    return np.where(white, np.uint8(_WHITE), np.where(black, np.uint8(_BLACK), np.uint8(_NEITHER)))


def _margin(rgb: Pixels, cells: Pixels, side: int) -> int:
    """The largest margin that leaves what is faint beside white or black in the original as it is."""
    away = [_faint_around(rgb, cells, side, value) for value in (_WHITE, _BLACK)]
    faint = np.concatenate(away)
    for margin in MARGINS:
        # Decoded pixels are off by some levels: what is just beyond the margin may come within it.
        touched = (faint > _UNSEEN) & (faint <= margin + margin // 4)
        if touched.sum() <= _MOST_TOUCHED * faint.size:
            return margin
    return MARGINS[-1]


def _faint_around(rgb: Pixels, cells: Pixels, side: int, value: int) -> NDArray[np.int16]:
    """How far pixels around areas of a value are from it, int16 (n,); 0 beside edges, which hide it."""
    height, width, _ = rgb.shape
    mapped = cells == value
    ring = _pixels(grown(mapped) & ~mapped, side, height, width)
    away = np.abs(rgb.astype(np.int16) - value).max(axis=2)
    return np.where(grown(grown(away >= _EDGE)), np.int16(0), away)[ring]


def _pixels(cells: Mask, side: int, height: int, width: int) -> Mask:
    """Cells as pixels, bool (height, width)."""
    return cells.repeat(side, axis=0)[:height].repeat(side, axis=1)[:, :width]
