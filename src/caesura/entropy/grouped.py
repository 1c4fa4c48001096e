"""Symbols that each have a table index: sorted by index, so that each table codes one run.

Index 0 means that the symbol is zero; it is not coded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from caesura.entropy import symbols as coded
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.tables import Table

Symbols = NDArray[np.int32]
Indices = NDArray[np.uint8]


def push_passes(
    pusher: Pusher, coded: Sequence[Sequence[tuple[Symbols, Indices]]], tables: Sequence[Table]
) -> None:
    """Push passes, the last first: of each its parts, in order, as one sequence of symbols and indices."""
    for parts in reversed(coded):
        symbols, indices = (
            np.concatenate([a.reshape(-1) for a in arrays]) for arrays in zip(*parts, strict=True)
        )
        push(pusher, symbols, indices, tables)


def pop_pass(popper: Popper, parts: Sequence[Indices], tables: Sequence[Table]) -> list[Symbols]:
    """Pop one pass: the parts' indices to their symbols, shaped alike."""
    symbols = pop(popper, np.concatenate([part.reshape(-1) for part in parts]), tables)
    ends = np.cumsum([part.size for part in parts])
    return [
        found.reshape(part.shape) for found, part in zip(np.split(symbols, ends[:-1]), parts, strict=True)
    ]


def push(pusher: Pusher, symbols: Symbols, indices: Indices, tables: Sequence[Table]) -> None:
    """Push symbols, int32 (n,), each with the table of its index, uint8 (n,); zero where the index is 0."""
    offsets, runs = _runs(indices)
    ordered = symbols[offsets]
    for index, run in reversed(runs):
        coded.push(pusher, ordered[run], tables[index])


def pop(popper: Popper, indices: Indices, tables: Sequence[Table]) -> Symbols:
    """Pop a symbol per index: uint8 (n,) to int32 (n,).

    Raises:
        FormatError: the data is not what `push` wrote for these indices and tables.
    """
    offsets, runs = _runs(indices)
    ordered = np.empty(len(offsets), np.int32)
    for index, run in runs:
        ordered[run] = coded.pop(popper, run.stop - run.start, tables[index])
    symbols = np.zeros(len(indices), np.int32)
    symbols[offsets] = ordered
    return symbols


def _runs(indices: Indices) -> tuple[NDArray[np.int64], list[tuple[int, slice]]]:
    """Offsets of what is coded, by rising index and then in order, and where in them each index is."""
    offsets = np.flatnonzero(indices != 0)  # a third of all, mostly
    keys = indices[offsets]
    ends = np.cumsum(np.bincount(keys, minlength=1)).tolist()
    runs = [(index, slice(ends[index - 1], ends[index])) for index in range(1, len(ends))]
    return offsets[np.argsort(keys, kind="stable")], [(i, run) for i, run in runs if run.stop > run.start]
