"""What is done to the segments of a picture on the way to their payloads; `encoder` loops over it.

`SegmentStages` does each stage when it is asked for. Two wrappers around it do more: `refinement` (effort 9)
improves the symbols, `trials` keeps what other trials of a rate control search can use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from caesura.coding.base import Decoded
from caesura.runtime.parallel import each
from caesura.tiles import grid
from caesura.tiles.grid import Segment
from caesura.tiles.layers import Layers, Pixels
from caesura.tiles.source import Strip

Float = NDArray[np.float32]


class Coded(NamedTuple):
    """A segment whose latents are coded.

    Attributes:
        payload: of the latents.
        decoded: what the decoder will have; None if its pixels are not needed.
    """

    payload: bytes
    decoded: Decoded | None


class Stages(Protocol):
    """The stages of encoding, for the segments of one picture."""

    @property
    def layers(self) -> Layers:
        """The picture's grid, and the latents that `encode` gave so far."""

    def strips(self) -> Iterator[list[Segment]]:
        """The segments, in order, by what is coded together."""

    def analyse(self, strip: Strip, segment: Segment) -> Float:
        """A segment's latents, float32 (channels, h, w)."""

    def encode(self, strip: Strip, latents: Callable[[Segment], Float]) -> list[Coded]:
        """The segments of a strip coded, whose latents a function gives."""

    def base(self, segment: Segment) -> Pixels:
        """A segment's pixels by the latents alone, see `Layers.base`."""


class SegmentStages:
    """See `Stages`; each stage of each segment is done when it is asked for."""

    def __init__(self, layers: Layers, *, decodes: bool) -> None:
        """`decodes` says that pixels will be needed; else what they are made from is not kept."""
        self.layers, self._decodes = layers, decodes

    def strips(self) -> Iterator[list[Segment]]:
        """See `Stages`."""
        return grid.strips(self.layers.grid)

    def analyse(self, strip: Strip, segment: Segment) -> Float:
        """See `Stages`."""
        window = self.layers.coder.analyse(strip.window(segment))
        return window[:, segment.rows.inner, segment.columns.inner]

    def encode(self, strip: Strip, latents: Callable[[Segment], Float]) -> list[Coded]:
        """See `Stages`."""

        def coded(segment: Segment) -> Coded:
            encoded = self.layers.coder.encode(latents(segment))
            return Coded(encoded.pack(), encoded.decoded if self._decodes else None)

        return each(coded, strip.segments, self.layers.work)

    def base(self, segment: Segment) -> Pixels:
        """See `Stages`."""
        return self.layers.base(segment)
