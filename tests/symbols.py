"""The symbols in a file, by way of the public stages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caesura import container, image, rate
from caesura.entropy import factorized
from caesura.model import Bundle


def symbols_of(data: bytes, bundle: Bundle) -> NDArray[np.int16]:
    """The symbols in a file, by way of the public stages."""
    header, payload = container.read(data)
    tables = bundle.tables.row(rate.table_row(header.quality, bundle.tables.rows))
    sides = (header.height, header.width)
    rows, columns = (
        image.padded_side(s, bundle.stride, bundle.smallest_side) // bundle.stride for s in sides
    )
    return factorized.decode(payload, (bundle.channels, rows, columns), tables)
