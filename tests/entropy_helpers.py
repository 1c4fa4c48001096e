"""Tables that the tests of entropy coding share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.control import INDICES, Indices
from caesura.entropy.passes import Part, parts
from caesura.entropy.tables import Table, quantize_probabilities

TABLES = [
    Table(-index, quantize_probabilities(np.append(0.8 ** np.abs(np.arange(-index, index + 1)), 1e-3)))
    for index in range(INDICES)
]


def add(indices: Indices, part: Part, plane: NDArray[np.int32]) -> None:
    """Add a part of a plane of symbols, (channels, h, w)."""
    symbols = plane[part.at].reshape(-1)
    nonzero = np.flatnonzero(symbols)
    indices.update(part, part.positions(nonzero, plane.shape[1:]), symbols[nonzero])


def of_pass(number: int, plane: NDArray[Any]) -> NDArray[Any]:
    """Of a plane (channels, 2h, 2w), what pass `number` codes: (channels, h, w)."""
    coded = np.empty((len(plane), plane.shape[1] // 2, plane.shape[2] // 2), plane.dtype)
    for part in parts(number, len(plane)):
        coded[part.channels] = plane[part.at]
    return coded
