"""The stages of encoding the segments of a picture, which `encoder` loops over.

`SegmentStages` does each stage when it is asked for. Two wrappers do more: `refinement` (effort 9) improves
the symbols, `cache` keeps results that other trials of rate control can use.
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
# The latents of a segment of a strip, float32 (channels, h, w).
Analysis = Callable[[Strip, Segment], Float]


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
        """The picture's grid, and the decoded latents so far."""

    @property
    def analyse(self) -> Analysis:
        """Gives the latents of a segment."""

    def strips(self) -> Iterator[list[Segment]]:
        """The segments, in order, by what is coded together."""

    def encode(self, strip: Strip) -> list[Coded]:
        """The segments of a strip that have latents, coded."""

    def base(self, segment: Segment) -> Pixels:
        """A segment's pixels by the latents alone, see `Layers.base`."""


class SegmentStages:
    """See `Stages`; each stage of each segment is done when it is asked for."""

    def __init__(self, layers: Layers, analyse: Analysis, *, decodes: bool) -> None:
        """Without `decodes`, `encode` does not keep what pixels would be made from."""
        self.layers, self.analyse, self._decodes = layers, analyse, decodes

    def strips(self) -> Iterator[list[Segment]]:
        """See `Stages`."""
        return grid.strips(self.layers.grid)

    def encode(self, strip: Strip) -> list[Coded]:
        """See `Stages`."""

        def coded(segment: Segment) -> Coded:
            encoded = self.layers.coder.encode(self.analyse(strip, segment), strip.free(segment))
            return Coded(encoded.pack(), encoded.decoded if self._decodes else None)

        return each(coded, strip.learned, self.layers.work)

    def base(self, segment: Segment) -> Pixels:
        """See `Stages`."""
        return self.layers.base(segment)


def analysis(layers: Layers) -> Analysis:
    """The analysis of a picture's segments, at its ladder position."""

    def analyse(strip: Strip, segment: Segment) -> Float:
        window = layers.coder.analyse(strip.window(segment))
        return window[:, segment.rows.inner, segment.columns.inner]

    return analyse
