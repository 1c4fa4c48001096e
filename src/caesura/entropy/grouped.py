"""Symbols that each have a table index: sorted by index, so that each table codes one run.

Index 0 means that the symbol is zero; it is not coded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from caesura.entropy import symbols as coded
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.passes import Offsets
from caesura.entropy.tables import Table

Symbols = NDArray[np.int32]
Indices = NDArray[np.uint8]


def push_passes(
    pusher: Pusher, coded: Sequence[Sequence[tuple[Symbols, Indices]]], tables: Sequence[Table]
) -> None:
    """Push passes, the last first: of each its parts, in order, as one sequence of symbols and indices."""
    for parts in reversed(coded):
        symbols, indices = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        push(pusher, symbols, indices, tables)


def pop_pass(
    popper: Popper, parts: Sequence[Indices], tables: Sequence[Table]
) -> list[tuple[Offsets, Symbols]]:
    """Pop one pass: of each part, by its indices, the symbols that are not zero, as `pop` gives them."""
    offsets, symbols = pop(popper, np.concatenate([part.reshape(-1) for part in parts]), tables)
    found, start = [], 0
    for part in parts:
        stop = start + part.size
        inside = np.flatnonzero((offsets >= start) & (offsets < stop))
        found.append((offsets[inside] - start, symbols[inside]))
        start = stop
    return found


def push(pusher: Pusher, symbols: Symbols, indices: Indices, tables: Sequence[Table]) -> None:
    """Push symbols, int32 (n,), each with the table of its index, uint8 (n,); zero where the index is 0."""
    order, runs = _runs(indices)
    ordered = symbols.take(order)
    for index, run in reversed(runs):
        coded.push(pusher, ordered[run], tables[index])


def pop(popper: Popper, indices: Indices, tables: Sequence[Table]) -> tuple[Offsets, Symbols]:
    """Pop a symbol for each index that is not 0, of uint8 (n,).

    Returns:
        Of the symbols that are not zero: their offsets, int64 (m,), by rising index, and int32 (m,).

    Raises:
        FormatError: the data is not what `push` wrote for these indices and tables.
    """
    offsets = np.flatnonzero(indices != 0)
    order, runs = _runs(indices.take(offsets))
    symbols = np.empty(len(offsets), np.int32)
    for index, run in runs:
        symbols[run] = coded.pop(popper, run.stop - run.start, tables[index])
    nonzero = np.flatnonzero(symbols != 0)  # few
    return offsets.take(order.take(nonzero)), symbols.take(nonzero)


def _runs(indices: Indices) -> tuple[Offsets, list[tuple[int, slice]]]:
    """The order of symbols by rising index, and where in it each index but 0 is."""
    order = np.argsort(indices, kind="stable")
    rising = indices.take(order)
    ends = np.searchsorted(rising, np.arange(rising[-1] + 1 if len(rising) else 0), "right").tolist()
    runs = [(index, slice(ends[index - 1], ends[index])) for index in range(1, len(ends))]
    return order, [(i, run) for i, run in runs if run.stop > run.start]
