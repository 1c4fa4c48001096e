"""One segment with `cae2017`: analysis, rounding, the factorized prior (Theis et al. 2017, sections 2 and 3).

encode: pixels -> analysis -> * gain -> round -> entropy code -> payload
decode: payload -> entropy decode -> * inverse gain -> latents
        latents -> synthesis -> pixels
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.coding import rounding
from caesura.coding.base import Decoded
from caesura.entropy import factorized
from caesura.entropy.coder import Popper, Pusher
from caesura.models.conditioning import Conditioning
from caesura.runtime import transform

Float = NDArray[np.float32]


class Encoded(NamedTuple):
    """Symbols, int32 (channels, h, w); see `base.Encoded`."""

    symbols: NDArray[np.int32]
    conditioning: Conditioning

    @property
    def decoded(self) -> Decoded:
        """See `base.Encoded`."""
        return _scaled(self.symbols, self.conditioning)

    def pack(self) -> bytes:
        """See `base.Encoded`."""
        pusher = Pusher()
        factorized.push(pusher, self.symbols, self.conditioning.tables)
        return pusher.bytes()


class Cae2017:
    """See `base.SegmentCoder`."""

    def __init__(self, conditioning: Conditioning) -> None:
        self._conditioning = conditioning

    def analyse(self, pixels: NDArray[np.uint8]) -> Float:
        """See `base.SegmentCoder`."""
        return transform.analyse(pixels, self._conditioning)

    def encode(self, latents: Float, free: NDArray[np.bool_] | None = None) -> Encoded:
        """See `base.SegmentCoder`."""
        symbols = rounding.nearest(latents * self._conditioning.gain)
        if free is not None:
            symbols[:, free] = 0
        return Encoded(symbols, self._conditioning)

    def decode(self, payload: bytes, shape: tuple[int, int]) -> Decoded:
        """See `base.SegmentCoder`."""
        popper = Popper(payload)
        channels = self._conditioning.bundle.channels
        symbols = factorized.pop(popper, (channels, *shape), self._conditioning.tables)
        popper.finish()
        return _scaled(symbols, self._conditioning)

    def synthesise(self, latents: Float) -> NDArray[np.uint8]:
        """See `base.SegmentCoder`."""
        return transform.synthesise(latents, self._conditioning)


def _scaled(symbols: NDArray[np.int32] | NDArray[np.int16], conditioning: Conditioning) -> Decoded:
    return Decoded(symbols.astype(np.float32) * conditioning.inverse_gain, None)
