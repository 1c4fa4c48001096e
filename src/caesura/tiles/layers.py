"""What encoder and decoder of one picture share: the grid of segments, the latents so far, the layers.

A segment's pixels are its base, which the latents give, on top of it the detail layer above the ladder's
top, clipped areas and the lossless layer; transparency is a layer of its own. Encoder and decoder work on
some rows of segments at a time, so that memory grows with the width of a picture alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caesura.coding.architectures import segment_coder
from caesura.coding.base import DEFAULT_EFFORT, SegmentCoder
from caesura.format.container import CELL, Header
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.picture import pixels
from caesura.runtime import choice
from caesura.tiles.grid import Grid, Mosaic, Segment
from caesura.tiles.source import in_pixels

Pixels = NDArray[np.uint8]
Area = tuple[slice, slice]  # rows and columns, in pixels


class Layers:
    """One picture at one ladder position.

    Attributes:
        header: of the file.
        conditioning: the model that it names, at its ladder position.
        coder: of single segments.
        grid: its segments.
        mosaic: decoded latents of segments.
        work: elements of all latents together, see `parallel.each`.
    """

    def __init__(self, header: Header, conditioning: Conditioning, coder: SegmentCoder) -> None:
        self.header, self.conditioning, self.coder = header, conditioning, coder
        bundle = conditioning.bundle
        rows, columns = pixels.grid(header.height, header.width, bundle.stride, bundle.smallest_side)
        side, halo = header.cells * CELL // bundle.stride, bundle.halo // bundle.stride
        self.grid = Grid(rows, columns, side, halo)
        self._synthesised = Grid(rows, columns, side, bundle.synthesis_halo // bundle.stride)
        self.mosaic = Mosaic(side)
        self.work = rows * columns * bundle.channels

    @classmethod
    def for_header(
        cls, header: Header, bundle: Bundle, effort: int = DEFAULT_EFFORT, *, as_input: bool = False
    ) -> Layers:
        """The layers of a header's picture, with its model; `as_input` as for `Conditioning`."""
        runtime = choice.for_picture(header.width * header.height)
        conditioning = Conditioning(bundle, header.ladder_position, as_input, runtime)
        return cls(header, conditioning, segment_coder(conditioning, effort))

    def base(self, segment: Segment) -> Pixels:
        """A segment's pixels by its latents and those around it, uint8 (H, W, 3), padded to whole latents."""
        seen = self._synthesised.merged([segment])
        window = self.coder.synthesise(self.mosaic.window(seen))
        return window[self.in_pixels(seen.rows.inner), self.in_pixels(seen.columns.inner)]

    def coloured(self, segment: Segment, rgb: Pixels) -> Pixels:
        """A segment's colours, uint8 (h, w, colours), cropped to the picture."""
        height, width = self.size(segment)
        cropped = rgb[:height, :width]
        return pixels.from_rgb(cropped, self.header.colours)

    def overlaid(self, colours: Pixels, rgb: Pixels, kept: NDArray[np.bool_]) -> Pixels:
        """Colours, uint8 (h, w, colours), under the kept pixels of a lossless layer, uint8 (h, w, 3)."""
        return np.where(kept[:, :, None], pixels.from_rgb(rgb, self.header.colours), colours)

    def size(self, segment: Segment) -> tuple[int, int]:
        """Height and width of a segment in the picture, in pixels."""
        rows, columns = self.area(segment)
        return rows.stop - rows.start, columns.stop - columns.start

    def area(self, segment: Segment) -> Area:
        """Where a segment lies in the picture."""
        rows, columns = self.in_pixels(segment.rows.kept), self.in_pixels(segment.columns.kept)
        return (
            slice(rows.start, min(rows.stop, self.header.height)),
            slice(columns.start, min(columns.stop, self.header.width)),
        )

    def in_pixels(self, span: slice) -> slice:
        """A range of latents in pixels."""
        return in_pixels(span, self.conditioning.bundle.stride)

    def in_latents(self, span: slice) -> slice:
        """The range of latents that covers a range of pixels."""
        stride = self.conditioning.bundle.stride
        return slice(span.start // stride, -(-span.stop // stride))
