"""The lossless layer: pixels of a segment that are not left to the latents, as a WebP.

Text, drawings and other synthetic content take fewer bytes without loss than latents, which ring around its
edges. The layer keeps blocks of such content and leaves the others out. Latents are then coded of a picture
in which the kept blocks continue their surroundings smoothly.

encode: pixels, which of them are kept -> WebP
decode: WebP -> kept pixels over those decoded so far
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import features

from caesura.coding.base import DEFAULT_EFFORT
from caesura.picture import webp
from caesura.picture.pixels import all_of, grown

BLOCK = 8  # pixels a side that are kept or left out together
_CELL = 64  # pixels a side of what the first look judges by
# Of a block with text: the share of pixels that equal one beside them, and the levels of an edge.
_ALIKE_IN_INK, _EDGE = 0.35, 32
# Of a block with mostly synthetic ones around it: the same share, and that of the colour of a corner.
_ALIKE_BESIDE_INK, _ONE_COLOUR = 0.15, 0.8
# Of a cell with text, by some of its rows: the share of pixels that equal the one before, and of edges.
_ALIKE_IN_CELL, _EDGES_IN_CELL = 0.6, 0.04
_LEAST_CELLS = 1 / 32  # of a segment, that look synthetic
# Of its blocks: the least share for a layer with holes, for one without beside it, and for one without alone.
_LEAST_BLOCKS, _MOST_OF_ALL, _ALMOST_ALL = 1 / 64, 0.75, 0.98
_FEW, _FEW_GREYS = 256, 64  # colours
_SMALLEST = 8  # the least effort for the slowest method
_FIELD = "lossless layer"
_SAMPLES = 40  # a side, of the pixels whose colours are counted

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class LosslessLayer(NamedTuple):
    """The lossless layer of a segment.

    Attributes:
        payload: the WebP.
        kept: bool (h, w), the pixels that it keeps.
    """

    payload: bytes
    kept: Mask

    @property
    def covers(self) -> bool:
        """Whether it keeps all pixels, so that the segment needs no latents."""
        return bool(self.kept.all())

    def free(self, stride: int) -> Mask:
        """Latents that only kept pixels depend on, bool (ceil(h / stride), ceil(w / stride))."""
        others = np.pad(~all_of(self.kept, stride), 1, constant_values=True)  # what is beyond may matter
        return ~grown(others)[1:-1, 1:-1]


def candidates(rgb: Pixels, hidden: Mask | None, effort: int = DEFAULT_EFFORT) -> list[LosslessLayer]:
    """The layers that are worth a comparison with the latents of a segment; for photographs none.

    Args:
        rgb: its pixels, uint8 (H, W, 3).
        hidden: bool (H, W), pixels whose colours do not matter, since they are transparent.
        effort: 1 to 9.
    """
    if hidden is not None:
        rgb = np.where(hidden[:, :, None], np.uint8(0), rgb)
    few = _has_few_colours(rgb)
    if not features.check("webp") or not (few or _has_text(rgb)):
        return []
    blocks = _synthetic_blocks(rgb)
    share = float(blocks.mean())
    method = webp.FAST if effort < DEFAULT_EFFORT else webp.USUAL if effort < _SMALLEST else webp.SMALLEST
    found = []
    if _LEAST_BLOCKS <= share < _ALMOST_ALL and not few:
        kept = blocks.repeat(BLOCK, axis=0)[: len(rgb)].repeat(BLOCK, axis=1)[:, : rgb.shape[1]]
        found.append(LosslessLayer(webp.encode(rgb, kept, method), kept))
    if share >= _MOST_OF_ALL or few:
        found.append(LosslessLayer(webp.encode(rgb, method=method), np.ones(rgb.shape[:2], bool)))
    return found


def covers(payload: bytes) -> bool:
    """Whether a layer has no holes, so that the segment has no latents.

    Raises:
        FormatError: the payload does not start like a lossless WebP.
    """
    return not webp.read_start(payload, _FIELD).has_holes


def decode(payload: bytes, height: int, width: int) -> tuple[Pixels, Mask]:
    """The colours of a segment, uint8 (H, W, 3), and which of its pixels are kept, bool (H, W).

    Raises:
        FormatError: the payload is not a lossless WebP of this size.
    """
    return webp.decode(payload, height, width, _FIELD)


def _has_text(rgb: Pixels) -> bool:
    """Whether there are cells of text or lines, by every eighth row: photographs are not to pay for more."""
    green = rgb[::8, :, 1]
    steps = np.abs(np.diff(green.view(np.int8)))  # modulo 256, which is enough to tell edges
    pixels = _by_cell(np.ones(steps.shape, bool))
    alike, edges = _by_cell(steps == 0), _by_cell(steps.view(np.uint8) >= _EDGE)
    ink = (alike >= _ALIKE_IN_CELL * pixels) & (edges >= _EDGES_IN_CELL * pixels)
    return bool(ink.any() and pixels[ink].sum() >= _LEAST_CELLS * steps.size)


def _by_cell(mask: Mask) -> NDArray[np.int64]:
    """How many of a mask are in each cell of 8 rows and 64 columns, which may be smaller at edges, int64."""
    high, wide = -(-mask.shape[0] // 8), -(-mask.shape[1] // _CELL)
    padded = np.zeros((8 * high, _CELL * wide), np.uint8)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    counts: NDArray[np.int64] = padded.reshape(high, 8, wide, _CELL).sum(axis=(1, 3), dtype=np.int64)
    return counts


def _has_few_colours(rgb: Pixels) -> bool:
    """Whether a palette would do, by some pixels; a grey photograph has at most 256 greys in any case."""
    down, across = (max(1, side // _SAMPLES) for side in rgb.shape[:2])
    samples = _packed(rgb[::down, ::across])
    some = np.unique(samples)
    if len(some) > min(_FEW, samples.size / 4):
        return False
    return len(some) <= _FEW_GREYS or not np.isin(some, np.arange(256, dtype=np.uint32) * 0x010101).all()


def _synthetic_blocks(rgb: Pixels) -> Mask:
    """Blocks of one colour, or of text and lines, bool (ceil(H / 8), ceil(W / 8)), without single ones."""
    high, wide = (-(-side // BLOCK) for side in rgb.shape[:2])
    margins = (0, high * BLOCK - rgb.shape[0]), (0, wide * BLOCK - rgb.shape[1])
    packed, green = (np.pad(plane, margins, mode="edge") for plane in (_packed(rgb), rgb[:, :, 1]))
    in_block = green.reshape(high, BLOCK, wide, BLOCK).astype(np.int16)
    edges = np.maximum(
        np.abs(np.diff(in_block, axis=1)).max(axis=(1, 3)), np.abs(np.diff(in_block, axis=3)).max(axis=(1, 3))
    )
    colours = packed.reshape(high, BLOCK, wide, BLOCK)
    corners = ((0, 0), (0, -1), (-1, 0), (-1, -1))
    one_colour = np.max(
        [(colours == colours[:, row, None, :, column, None]).mean(axis=(1, 3)) for row, column in corners],
        axis=0,
    )
    share = _alike(packed).reshape(high, BLOCK, wide, BLOCK).mean(axis=(1, 3))
    synthetic = (one_colour == 1) | ((share >= _ALIKE_IN_INK) & (edges >= _EDGE))
    likely = (one_colour >= _ONE_COLOUR) | ((share >= _ALIKE_BESIDE_INK) & (edges >= _EDGE))
    for _ in range(2):
        padded = np.pad(synthetic, 1, mode="edge").astype(np.uint8)
        rows = padded[:-2] + padded[1:-1] + padded[2:]
        around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] - synthetic
        synthetic = (synthetic & (around >= 3)) | (likely & (around >= 5)) | (around >= 6)
    found: Mask = synthetic
    return found


def _alike(packed: NDArray[Any]) -> Mask:
    """Whether a pixel equals one of the four beside it, bool (H, W), of colours as one number each."""
    across, down = packed[:, 1:] == packed[:, :-1], packed[1:] == packed[:-1]
    alike = np.zeros(packed.shape, bool)
    alike[:, 1:] |= across
    alike[:, :-1] |= across
    alike[1:] |= down
    alike[:-1] |= down
    return alike


def _packed(rgb: Pixels) -> NDArray[np.uint32]:
    """Colours as one number each, uint32 (H, W)."""
    red, green, blue = (rgb[:, :, i].astype(np.uint32) for i in range(3))
    packed: NDArray[np.uint32] = red | green << np.uint32(8) | blue << np.uint32(16)
    return packed
