"""Symbols that share a table, escapes included.

A symbol outside its table is coded as the escape, and its distance beyond the table follows after the other
symbols: the bit length of distance + 1, then the bits below the leading one (Elias gamma).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN, Table
from caesura.errors import FormatError

# Of an array; with less overhead than its methods, since runs are short.
_least, _largest = np.minimum.reduce, np.maximum.reduce
_LENGTHS = 32  # bit lengths of an escaped distance are coded uniformly below this; 17 is the longest needed


def push(pusher: Pusher, symbols: NDArray[np.int32], table: Table) -> None:
    """Push symbols, int32 (n,) in SYMBOL_MIN .. SYMBOL_MAX."""
    indices = symbols - table.low
    if len(indices) and (_least(indices) < 0 or _largest(indices) >= table.escape):
        outside = (indices < 0) | (indices >= table.escape)
        _push_distances(pusher, symbols[outside], table)
        indices = np.where(outside, table.escape, indices)
    pusher.indices(np.ascontiguousarray(indices, np.int32), table)


def pop(popper: Popper, count: int, table: Table) -> NDArray[np.int32]:
    """Pop `count` symbols, int32.

    Raises:
        FormatError: an escape is not what `push` writes.
    """
    indices = popper.indices(count, table)
    symbols = indices + table.low
    if count and _largest(indices) == table.escape:
        outside = indices == table.escape
        symbols[outside] = _pop_distances(popper, int(outside.sum()), table)
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
        raise FormatError(f"coded symbols: an escape of {lengths.max()} bits; at most 17 are allowed")
    sizes = np.left_shift(1, lengths, dtype=np.int32)
    code = sizes.astype(np.int64)
    long = lengths > 0
    code[long] += popper.uniform(sizes[long])
    distance, below = np.divmod(code - 1, 2)
    escaped = np.where(below == 1, table.low - 1 - distance, table.low + table.escape + distance)
    if escaped.min() < SYMBOL_MIN or escaped.max() > SYMBOL_MAX:
        raise FormatError(f"coded symbols: an escaped symbol is outside {SYMBOL_MIN}..{SYMBOL_MAX}")
    return escaped
