"""Picture files written in rows: libvips reads a stream of uncompressed PNG and writes the format."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.format.container import Header

Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]

# Options of libvips by extension: lossless where the format allows it.
OPTIONS: dict[str, dict[str, Any]] = {
    ".jpeg": {"Q": 97, "subsample_mode": "off"},
    ".jpg": {"Q": 97, "subsample_mode": "off"},
    ".png": {},
    ".tif": {"bigtiff": True, "compression": "deflate"},
    ".tiff": {"bigtiff": True, "compression": "deflate"},
    ".webp": {"lossless": True, "exact": True},
}
OPAQUE = (".jpeg", ".jpg")
FORMATS = {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
_ROWS = 64  # per chunk


class Stream:
    """Pieces of bytes as a source that libvips reads.

    Args:
        pieces: the bytes, in order.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self._error: Exception | None = None

    def read(self, size: int) -> memoryview:
        """At most `size` bytes; none at the end. Called from C, which cannot pass exceptions on."""
        try:
            while not self._rest and (piece := next(self._pieces, None)) is not None:
                self._rest = memoryview(piece)
        except Exception as error:
            self._error = error
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise the exception of the pieces, instead of the error of libvips about a truncated picture."""
        try:
            yield
        finally:
            if self._error:
                raise self._error


def png(header: Header, bands: Iterable[Pixels], progress: Progress) -> Iterator[bytes]:
    """The bytes of an uncompressed PNG, piece by piece.

    Args:
        header: size and channels of the picture.
        bands: its rows from top to bottom, uint8 (rows, W, 1 to 4).
        progress: called with the rows done and their number.
    """
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[header.channels]
    yield b"\x89PNG\r\n\x1a\n"
    yield chunk(b"IHDR", struct.pack(">IIBBBBB", header.width, header.height, 8, colour_type, 0, 0, 0))
    store, done = zlib.compressobj(0), 0
    for band in bands:
        for rows in np.array_split(band, -(-len(band) // _ROWS)):
            flat = rows.reshape(len(rows), -1)
            unfiltered = np.concatenate([np.zeros((len(flat), 1), np.uint8), flat], axis=1)
            yield chunk(b"IDAT", store.compress(unfiltered.tobytes()))
        done += len(band)
        progress(done, header.height)
        del band, rows, flat, unfiltered  # free memory before the next band is decoded
    yield chunk(b"IDAT", store.flush()) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    body = kind + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
