"""The range asymmetric numeral system (rANS) coder of the library constriction; its only importer.

64-bit state, 32-bit words, 24-bit probabilities. A stack: what is pushed last is popped first. The library
is imported when first used, since training imports this module without coding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.tables import Table
from caesura.errors import FormatError


@lru_cache(maxsize=1)
def _library() -> Any:
    import constriction

    return constriction.stream


@lru_cache(maxsize=1024)
def _model(table: Table) -> Any:
    # The library spreads 2**24 - n over n float weights and then gives each entry 1. Weights that are
    # integers summing to just that pass through exactly, so its table is ours, bit for bit.
    return _library().model.Categorical(table.frequencies.astype(np.float64) - 1, perfect=False)


class Pusher:
    """Encoder. Push arrays in the reverse order of popping; within an array the order is kept."""

    def __init__(self) -> None:
        self._coder = _library().stack.AnsCoder()

    def indices(self, indices: NDArray[np.int32], table: Table) -> None:
        """Push indices into a table's frequencies, int32 (n,), 0 to `table.escape`."""
        self._coder.encode_reverse(indices, _model(table))

    def uniform(self, values: NDArray[np.int32], sizes: NDArray[np.int32]) -> None:
        """Push values, int32 (n,), each uniform below its size in 2 .. 2**24 - 1."""
        self._coder.encode_reverse(values, _library().model.Uniform(), sizes)

    def bytes(self) -> bytes:
        """All words pushed so far, little-endian."""
        words: bytes = self._coder.get_compressed().astype("<u4").tobytes()
        return words


class Popper:
    """Decoder of what `Pusher.bytes` gave.

    Raises:
        FormatError: the bytes cannot come from the encoder.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise FormatError(f"coded symbols: {len(data)} bytes; a whole number of 4-byte words is expected")
        words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
        if len(words) and words[-1] == 0:
            raise FormatError("coded symbols: the last word is zero, which no encoder writes")
        self._coder = _library().stack.AnsCoder(words)

    def indices(self, count: int, table: Table) -> NDArray[np.int32]:
        """Pop `count` indices into a table's frequencies, int32 (count,)."""
        indices: NDArray[np.int32] = self._coder.decode(_model(table), count)
        return indices

    def uniform(self, sizes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Pop one value below each size, int32 like `sizes`."""
        values: NDArray[np.int32] = self._coder.decode(_library().model.Uniform(), sizes)
        return values

    def finish(self) -> None:
        """Check that everything pushed has been popped.

        Raises:
            FormatError: something is left.
        """
        if not self._coder.is_empty():
            raise FormatError("coded symbols: data is left over after the last symbol")
