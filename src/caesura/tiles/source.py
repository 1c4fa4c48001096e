"""A picture that is read in rows, and strips of it: the pixels that whole rows of segments need."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.coding.lossless import LosslessLayer
from caesura.picture import alpha, pixels
from caesura.picture.metadata import Metadata
from caesura.tiles.grid import Segment

Pixels = NDArray[np.uint8]
# Rows `first` to before `last` of a picture: uint8 (n, W, 3), and alpha (n, W), None where opaque.
Rows = Callable[[int, int], tuple[Pixels, Pixels | None]]


class Source(NamedTuple):
    """A picture to be encoded.

    Attributes:
        height, width: in pixels.
        channels: 1 (grey) or 3 (RGB), one more with transparency.
        rows: gives rows of it; the ranges that are asked for overlap and move down.
        metadata: that the file is to hold.
    """

    height: int
    width: int
    channels: int
    rows: Rows
    metadata: Metadata

    @classmethod
    def from_arrays(cls, colours: Pixels, transparency: Pixels | None, metadata: Metadata) -> Source:
        """A picture in memory: uint8 (H, W, 1 or 3), and alpha (H, W), None where opaque."""
        height, width, channels = colours.shape

        def rows(first: int, last: int) -> tuple[Pixels, Pixels | None]:
            rgb = pixels.to_rgb(colours[first:last])
            return rgb, None if transparency is None else transparency[first:last]

        return cls(height, width, channels + (transparency is not None), rows, metadata)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def cleared(self) -> Source:
        """The same with a smooth continuation of the colours in fully transparent pixels."""

        def rows(first: int, last: int) -> tuple[Pixels, Pixels | None]:
            colours, transparency = self.rows(first, last)
            if transparency is None:
                return colours, None
            return alpha.cleared(colours, transparency), transparency

        return self._replace(rows=rows)


class Strip(NamedTuple):
    """Segments that are coded together, and the rows of pixels that their windows need.

    Attributes:
        segments: whole rows of them.
        top: row of the picture that the pixels begin with.
        rgb: uint8 (n, W, 3).
        alpha: uint8 (n, W), None where opaque.
        stride: pixels per latent.
        lossless: lossless layers of segments, by number.
    """

    segments: list[Segment]
    top: int
    rgb: Pixels
    alpha: Pixels | None
    stride: int
    lossless: Mapping[int, LosslessLayer] = MappingProxyType({})

    @property
    def learned(self) -> list[Segment]:
        """The segments that have latents."""
        return [one for one in self.segments if not self.covered(one)]

    @property
    def lossless_key(self) -> Hashable:
        """Is another for other lossless layers of the same strip."""
        return tuple((number, len(layer.payload)) for number, layer in self.lossless.items())

    def covered(self, segment: Segment) -> bool:
        """Whether a segment is lossless as a whole."""
        return segment.number in self.lossless and self.lossless[segment.number].covers

    def free(self, segment: Segment) -> NDArray[np.bool_] | None:
        """Latents of a segment that no pixel depends on but those of its lossless layer, bool (h, w)."""
        layer = self.lossless.get(segment.number)
        return None if layer is None else layer.free(self.stride)

    def window(self, segment: Segment) -> Pixels:
        """The pixels of a segment's window, uint8 (H, W, 3), padded to whole latents."""
        return self._padded(segment.rows.window, segment.columns.window)

    def kept(self, segment: Segment) -> Pixels:
        """The pixels of a segment, uint8 (H, W, 3), padded to whole latents."""
        return self._padded(segment.rows.kept, segment.columns.kept)

    def cropped(self, array: Pixels, rows: slice, columns: slice) -> Pixels:
        """The part of `rgb` or `alpha` at rows and columns of latents, as far as the picture goes."""
        down, across = in_pixels(rows, self.stride), in_pixels(columns, self.stride)
        return array[down.start - self.top : down.stop - self.top, across]

    def _padded(self, rows: slice, columns: slice) -> Pixels:
        sides = (self.stride * (span.stop - span.start) for span in (rows, columns))
        return pixels.pad(self.cropped(self.rgb, rows, columns), *sides)


def in_pixels(span: slice, stride: int) -> slice:
    """A range of latents in pixels."""
    return slice(span.start * stride, span.stop * stride)
