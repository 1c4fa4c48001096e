"""What an architecture does with one segment; `cae2017` and `cae2026` implement it.

encode: pixels -> analyse -> latents -> encode -> symbols -> pack -> payload
decode: payload -> decode -> latents -> synthesise -> pixels
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:  # the command line takes the efforts from here and must start without NumPy
    import numpy as np
    from numpy.typing import NDArray

    Float = NDArray[np.float32]
    Pixels = NDArray[np.uint8]
    Mask = NDArray[np.bool_]

MIN_EFFORT, DEFAULT_EFFORT, MAX_EFFORT = 1, 5, 9


class Decoded(NamedTuple):
    """What the decoder has of a segment once its payload is decoded.

    Attributes:
        latents: float32 (channels, h, w).
        magnitudes: of the symbols, uint8 (channels, h, w), which the detail layer is coded by; None for an
            architecture without that layer, and from the decoder where the file has none.
    """

    latents: Float
    magnitudes: NDArray[np.uint8] | None


class Encoded(Protocol):
    """The symbols of a segment."""

    @property
    def decoded(self) -> Decoded:
        """What the decoder will have of them."""

    def pack(self) -> bytes:
        """The payload: the symbols, entropy coded."""


class SegmentCoder(Protocol):
    """An architecture, conditioned on a ladder position of a model."""

    def analyse(self, pixels: Pixels) -> Float:
        """Latents, float32 (channels, H / stride, W / stride), of pixels, uint8 (H, W, 3)."""

    def encode(self, latents: Float, free: Mask | None = None) -> Encoded:
        """The symbols of a segment's latents, float32 (channels, h, w).

        Args:
            latents: of the segment.
            free: bool (h, w), positions whose decoded latents do not matter: their symbols are 0.
        """

    def decode(self, payload: bytes, shape: tuple[int, int]) -> Decoded:
        """The mirror of `encode` and `pack`, for a segment of this many rows and columns of latents.

        Raises:
            FormatError: the payload is not what `pack` gives for this conditioning and shape.
        """

    def synthesise(self, latents: Float) -> Pixels:
        """The mirror of `analyse`."""
