"""The factorized prior: every channel has one table, whatever the position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from caesura.entropy import symbols as coded
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.tables import Table


def push(pusher: Pusher, symbols: NDArray[np.int32] | NDArray[np.int16], tables: Sequence[Table]) -> None:
    """Push symbols, int32 (channels, h, w) in SYMBOL_MIN .. SYMBOL_MAX, one table a channel."""
    for plane, table in zip(symbols[::-1], tables[::-1], strict=True):
        coded.push(pusher, plane.reshape(-1), table)


def pop(popper: Popper, shape: tuple[int, int, int], tables: Sequence[Table]) -> NDArray[np.int16]:
    """Pop symbols, int16 (channels, h, w).

    Raises:
        FormatError: the data is not what `push` wrote for this shape and these tables.
    """
    symbols = np.empty(shape, np.int16)
    for plane, table in zip(symbols, tables, strict=True):
        plane[:] = coded.pop(popper, plane.size, table).reshape(plane.shape)
    return symbols
