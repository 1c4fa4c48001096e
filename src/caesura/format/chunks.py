"""Chunks, which a .cae file is made of, and the variable-length integers in them (docs/FORMAT.md).

chunk: type (1 byte) | length (varint) | payload | CRC-32 of all three (4 bytes, little-endian)
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from caesura.errors import (
    ChecksumError,
    FormatError,
    LimitError,
    SignatureError,
    TruncatedError,
    VersionError,
)

SIGNATURE = b"\x89CAE"
VERSION = 1
HEADER = ord("H")
LOSSLESS, CLIPPED, LATENTS, DETAIL, ALPHA = ord("W"), ord("C"), ord("L"), ord("D"), ord("A")
# Of a segment, in the order of their chunks.
LAYERS = {LOSSLESS: "lossless", CLIPPED: "clipped", LATENTS: "latents", DETAIL: "detail", ALPHA: "alpha"}
METADATA = {ord("i"): "icc", ord("e"): "exif", ord("x"): "xmp"}
_MAX_LENGTH = 1 << 32


class Chunk(NamedTuple):
    """A chunk of a file.

    Attributes:
        data: the file.
        kind: type of the chunk.
        start, body, end: offsets of the chunk, of its payload, and of what follows its payload.
    """

    data: bytes
    kind: int
    start: int
    body: int
    end: int

    @property
    def next(self) -> int:
        """Where the next chunk starts."""
        return self.end + 4

    def verify(self) -> None:
        """Check the checksum."""
        data, start, end = self.data, self.start, self.end
        if zlib.crc32(memoryview(data)[start:end]) != int.from_bytes(data[end : end + 4], "little"):
            raise ChecksumError(
                f"chunk {chr(self.kind)!r} at byte {start} does not match its checksum: it was damaged"
            )

    @property
    def payload(self) -> bytes:
        """What it holds, verified."""
        self.verify()
        return self.data[self.body : self.end]


def read(data: bytes) -> Iterator[Chunk]:
    """The chunks of a file, in order; their checksums are not checked yet.

    Raises:
        FormatError: one of its kinds, if the file starts otherwise or ends within a chunk.
    """
    if data[: len(SIGNATURE)] != SIGNATURE[: len(data)] or not data:
        raise SignatureError(
            f"the file starts with {data[:4].hex(' ') or 'nothing'}; a .cae starts with 89 43 41 45"
        )
    position = len(SIGNATURE) + 1
    if len(data) < position:
        raise TruncatedError(f"the file ends after {len(data)} bytes, within the signature and version")
    if data[position - 1] != VERSION:
        raise VersionError(
            f"the file has format version {data[position - 1]}; version {VERSION} is known here"
        )
    while position < len(data):
        chunk = read_at(data, position)
        yield chunk
        position = chunk.next


def read_at(data: bytes, start: int) -> Chunk:
    """The chunk that starts at a byte.

    Raises:
        FormatError: one of its kinds, if there is no whole chunk.
    """
    kind = data[start]
    length, body = read_varint(data, start + 1, f"chunk {chr(kind)!r}: length")
    if length > _MAX_LENGTH:
        raise LimitError(f"chunk {chr(kind)!r}: length is {length}; at most {_MAX_LENGTH} is allowed")
    end = body + length
    if end + 4 > len(data):
        missing = end + 4 - len(data)
        raise TruncatedError(f"the file ends within chunk {chr(kind)!r}: {missing} bytes are missing")
    return Chunk(data, kind, start, body, end)


def write(kind: int, payload: bytes) -> bytes:
    """A chunk: type, length, payload, checksum."""
    body = bytes([kind]) + varint(len(payload)) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def varint(value: int) -> bytes:
    """LEB128: seven bits a byte, low bits first, the top bit set on all bytes but the last."""
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def read_varint(data: bytes, position: int, field: str, end: int | None = None) -> tuple[int, int]:
    """The value at `position` and the position behind it; five bytes at most, the shortest form only.

    Raises:
        FormatError: one of its kinds, naming the field.
    """
    value, end = 0, len(data) if end is None else end
    for count in range(5):
        if position + count >= end:
            raise TruncatedError(f"{field}: the data ends within the number")
        byte = data[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if byte == 0 and count:
                raise FormatError(f"{field}: the number is not in its shortest form")
            return value, position + count + 1
    raise LimitError(f"{field}: the number has more than 5 bytes")
