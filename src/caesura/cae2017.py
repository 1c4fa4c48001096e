"""Pixels to payload and back with `cae2017`: analysis, rounding, the factorized prior.

encode: pixels -> analysis -> * gain -> round -> entropy code -> payload
decode: payload -> entropy decode -> * inverse -> synthesis -> pixels
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caesura import image, rate, rounding, transform
from caesura.entropy import factorized
from caesura.entropy.coder import Popper, Pusher
from caesura.model import Bundle


def encode(rgb: NDArray[np.uint8], code: int, bundle: Bundle) -> bytes:
    """uint8 (H, W, 3), any size, to a payload; `code` is the place on the model's scale."""
    padded = image.pad(rgb, bundle.stride, bundle.smallest_side)
    mix = rate.mixing(code, len(bundle.log_gain))
    latent = transform.analyse(padded, bundle)
    latent *= rate.scale_vector(bundle.log_gain, mix)[:, None, None]
    tables = bundle.tables.row(rate.table_row(code, bundle.tables.rows))
    pusher = Pusher()
    factorized.push(pusher, rounding.nearest(latent), tables)
    return pusher.bytes()


def decode(payload: bytes, height: int, width: int, code: int, bundle: Bundle) -> NDArray[np.uint8]:
    """The mirror of `encode`: a payload to uint8 (height, width, 3).

    Raises:
        FormatError: the payload is not what `encode` gives for these arguments.
    """
    rows, columns = image.grid(height, width, bundle.stride, bundle.smallest_side)
    popper = Popper(payload)
    tables = bundle.tables.row(rate.table_row(code, bundle.tables.rows))
    symbols = factorized.pop(popper, (bundle.channels, rows, columns), tables)
    popper.finish()
    mix = rate.mixing(code, len(bundle.log_gain))
    latent = symbols.astype(np.float32)
    latent *= rate.scale_vector(bundle.log_inverse, mix)[:, None, None]
    return transform.synthesise(latent, bundle)[:height, :width]
