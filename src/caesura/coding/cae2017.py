"""One segment with `cae2017`: analysis, rounding, the factorized prior.

encode: pixels -> analysis -> * gain -> round -> entropy code -> payload
decode: payload -> entropy decode -> * inverse -> latents
        latents -> synthesis -> pixels
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.coding import rounding
from caesura.entropy import factorized
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.tables import Table
from caesura.models import ladder as rate
from caesura.models.bundle import Bundle
from caesura.runtime import transform

Float = NDArray[np.float32]


class Rate:
    """What a place on the model's scale fixes."""

    def __init__(self, code: int, bundle: Bundle, *, one_of_many: bool = False) -> None:
        del one_of_many  # the transforms are the same at all rates
        self.bundle = bundle
        mix = rate.mixing(code, len(bundle.log_gain))
        self.gain = rate.scale_vector(bundle.log_gain, mix)[:, None, None]
        self.inverse = rate.scale_vector(bundle.log_inverse, mix)[:, None, None]
        self._row = rate.table_row(code, bundle.tables.rows)

    @cached_property
    def tables(self) -> list[Table]:
        """A table a channel."""
        return self.bundle.tables.row(self._row)


class Coded(NamedTuple):
    """Latents in symbols, int (C, h, w)."""

    symbols: NDArray[np.int32] | NDArray[np.int16]
    rate: Rate

    @property
    def plane(self) -> Float:
        """Decoded latents, float32 (C, h, w)."""
        plane: Float = self.symbols.astype(np.float32) * self.rate.inverse
        return plane

    @property
    def magnitudes(self) -> None:
        """There is no detail layer that would need them."""


def analyse(pixels: NDArray[np.uint8], at: Rate) -> Float:
    """uint8 (H, W, 3) to latents, float32 (C, H / stride, W / stride)."""
    return transform.analyse(pixels, at.bundle)


def encode(latent: Float, at: Rate, effort: int) -> Coded:
    """Latents to symbols; there is one effort only."""
    del effort
    return Coded(rounding.nearest(latent * at.gain), at)


def pack(coded: Coded) -> bytes:
    """Symbols to a payload."""
    pusher = Pusher()
    factorized.push(pusher, coded.symbols, coded.rate.tables)
    return pusher.bytes()


def decode(payload: bytes, shape: tuple[int, int], at: Rate) -> Coded:
    """The mirror of `encode` and `pack`, for a segment of this shape, in latents.

    Raises:
        FormatError: the payload is not what `pack` gives for these arguments.
    """
    popper = Popper(payload)
    symbols = factorized.pop(popper, (at.bundle.channels, *shape), at.tables)
    popper.finish()
    return Coded(symbols, at)


def synthesise(latent: Float, at: Rate) -> NDArray[np.uint8]:
    """The mirror of `analyse`."""
    return transform.synthesise(latent, at.bundle)
