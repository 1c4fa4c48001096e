"""The factorized prior: every channel has one table, whatever the position.

A symbol outside its table is coded as the escape, and its distance beyond the table follows after the
channel's symbols: the bit length of distance + 1, then the bits below the leading one (Elias gamma).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN, Table
from caesura.errors import FormatError

_LENGTHS = 32  # bit lengths of an escaped distance are coded uniformly below this; 17 is the longest needed


def encode(symbols: NDArray[np.int32], tables: Sequence[Table]) -> bytes:
    """Code symbols, int32 (channels, h, w) in SYMBOL_MIN .. SYMBOL_MAX, one table a channel."""
    pusher = Pusher()
    for plane, table in zip(symbols[::-1], tables[::-1], strict=True):
        flat = plane.reshape(-1)
        indices = flat - table.low
        outside = (indices < 0) | (indices >= table.escape)
        if outside.any():
            _push_distances(pusher, flat[outside], table)
            indices = np.where(outside, table.escape, indices)
        pusher.symbols(np.ascontiguousarray(indices, np.int32), table.frequencies)
    return pusher.bytes()


def decode(data: bytes, shape: tuple[int, int, int], tables: Sequence[Table]) -> NDArray[np.int16]:
    """Give back the symbols, int16 (channels, h, w).

    Raises:
        FormatError: `data` is not what `encode` gives for this shape and these tables.
    """
    popper = Popper(data)
    symbols = np.empty(shape, np.int16)
    for plane, table in zip(symbols, tables, strict=True):
        indices = popper.symbols(plane.size, table.frequencies)
        flat = indices + table.low
        outside = indices == table.escape
        if outside.any():
            flat[outside] = _pop_distances(popper, int(outside.sum()), table)
        plane[:] = flat.reshape(plane.shape)
    popper.finish()
    return symbols


def _push_distances(pusher: Pusher, escaped: NDArray[np.int32], table: Table) -> None:
    above = escaped - (table.low + table.escape)
    below = table.low - 1 - escaped
    code = np.where(above >= 0, 2 * above, 2 * below + 1).astype(np.int64) + 1
    lengths = (np.frexp(code.astype(np.float64))[1] - 1).astype(np.int32)
    sizes = np.left_shift(1, lengths, dtype=np.int32)
    long = lengths > 0
    pusher.uniform((code - sizes).astype(np.int32)[long], sizes[long])
    pusher.uniform(lengths, np.full(len(lengths), _LENGTHS, np.int32))


def _pop_distances(popper: Popper, count: int, table: Table) -> NDArray[np.int64]:
    lengths = popper.uniform(np.full(count, _LENGTHS, np.int32))
    if lengths.max() > 17:
        raise FormatError(f"latents: an escape of {lengths.max()} bits; at most 17 are allowed")
    sizes = np.left_shift(1, lengths, dtype=np.int32)
    code = sizes.astype(np.int64)
    long = lengths > 0
    code[long] += popper.uniform(sizes[long])
    distance, below = np.divmod(code - 1, 2)
    escaped = np.where(below == 1, table.low - 1 - distance, table.low + table.escape + distance)
    if escaped.min() < SYMBOL_MIN or escaped.max() > SYMBOL_MAX:
        raise FormatError(f"latents: an escaped symbol is outside {SYMBOL_MIN}..{SYMBOL_MAX}")
    return escaped
