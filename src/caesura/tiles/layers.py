"""A picture as segments at a rate: what encoder and decoder share.

Both work on some rows of segments at a time, so that memory grows with the width alone.
What happens within a segment is in the module of the model's architecture, `cae2017` or `cae2026`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.coding import cae2017, cae2026
from caesura.format.container import CELL, Header
from caesura.models.bundle import Bundle
from caesura.picture import pixels as image
from caesura.tiles.grid import Grid, Mosaic, Place

Pixels = NDArray[np.uint8]
Area = tuple[slice, slice]

ARCHITECTURES: dict[str, Any] = {"cae2017": cae2017, "cae2026": cae2026}


class Layers:
    """What encoder and decoder share: the model at a rate, the grid of segments."""

    def __init__(self, header: Header, bundle: Bundle, *, one_of_many: bool = False) -> None:
        self.header, self._bundle = header, bundle
        self._architecture = ARCHITECTURES[bundle.architecture]
        self._at = self._architecture.Rate(header.quality, bundle, one_of_many=one_of_many)
        self._above = header.quality > bundle.ladder_top  # where the detail layer is
        stride = bundle.stride
        size = image.grid(header.height, header.width, stride, bundle.smallest_side)
        self._grid = Grid(*size, header.cells * CELL // stride, bundle.halo // stride)
        self._work = size[0] * size[1] * bundle.channels
        self._mosaic = Mosaic(self._grid.side)

    def _base(self, place: Place) -> Pixels:
        """A segment's pixels by its latents and those around it, uint8 (H, W, 3), of whole latents."""
        window = self._architecture.synthesise(self._mosaic.window(place), self._at)
        base: Pixels = window[self._in_pixels(place.row.inner), self._in_pixels(place.column.inner)]
        return base

    def _coloured(self, place: Place, rgb: Pixels) -> Pixels:
        """A segment's colours, uint8 (h, w, colours), cropped to the picture."""
        rows, columns = self._area(place)
        cropped = rgb[: rows.stop - rows.start, : columns.stop - columns.start]
        return image.from_rgb(cropped, self.header.colours)

    def _area(self, place: Place) -> Area:
        """Where a segment lies in the picture, in pixels."""
        rows, columns = self._in_pixels(place.row.kept), self._in_pixels(place.column.kept)
        return (
            slice(rows.start, min(rows.stop, self.header.height)),
            slice(columns.start, min(columns.stop, self.header.width)),
        )

    def _in_pixels(self, span: slice) -> slice:
        return slice(span.start * self._bundle.stride, span.stop * self._bundle.stride)

    def _in_latents(self, span: slice) -> slice:
        return slice(span.start // self._bundle.stride, -(-span.stop // self._bundle.stride))
