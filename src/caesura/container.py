"""The .cae file, version 1, as docs/FORMAT.md specifies it: signature, version, then chunks.

    89 43 41 45 | version | chunk ...
    chunk: type (1 byte) | length (varint) | payload | CRC-32 of all three (4 bytes, little-endian)

`Header.check` is the one validator, of reader and writer alike.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from caesura.errors import (
    ChecksumError,
    FormatError,
    LimitError,
    SignatureError,
    TruncatedError,
    VersionError,
)
from caesura.metadata import Metadata, pack, unpack

SIGNATURE = b"\x89CAE"
VERSION = 1
HEADER, LATENTS, DETAIL, ALPHA = ord("H"), ord("L"), ord("D"), ord("A")
METADATA = {"icc": ord("i"), "exif": ord("e"), "xmp": ord("x")}
MAX_SIDE = 1 << 20
MAX_PIXELS = 1 << 28  # the default of what a caller accepts; a setting of decode
QUALITY_MIN, QUALITY_MAX = 100, 10000  # hundredths
_MAX_CHUNK = 1 << 32
_FIXED = struct.Struct("<IBH")


@dataclass(frozen=True)
class Header:
    """What a decoder must know before it decodes.

    Attributes:
        model_id: 32-bit id of the bundle.
        channels: 1 (grey) or 3 (RGB).
        quality: the place on the model's own scale, in hundredths, 100 to 10000.
        width, height: of the picture, in pixels.
    """

    model_id: int
    channels: int
    quality: int
    width: int
    height: int

    def check(self, max_pixels: int = MAX_PIXELS) -> None:
        """Check every field.

        Raises:
            LimitError: a side or the number of pixels is out of bounds.
            FormatError: another field has a value that is not allowed.
        """
        if not 0 <= self.model_id < 1 << 32:
            raise FormatError(f"header: model id is {self.model_id}; 32 bits are allowed")
        if self.channels not in (1, 3):
            raise FormatError(f"header: channels is {self.channels}; 1 (grey) and 3 (RGB) are allowed")
        if not QUALITY_MIN <= self.quality <= QUALITY_MAX:
            allowed = f"{QUALITY_MIN} to {QUALITY_MAX} hundredths are allowed"
            raise FormatError(f"header: quality is {self.quality}; {allowed}")
        for name, side in (("width", self.width), ("height", self.height)):
            if not 1 <= side <= MAX_SIDE:
                raise LimitError(f"header: {name} is {side}; 1 to {MAX_SIDE} pixels are allowed")
        if self.width * self.height > max_pixels:
            pixels = f"{self.width} x {self.height} = {self.width * self.height}"
            raise LimitError(f"header: the picture has {pixels} pixels; max_pixels allows {max_pixels}")


@dataclass(frozen=True)
class Payload:
    """What a file holds behind its header.

    Attributes:
        latents: coded latents, always there.
        detail: the coded detail layer, or None.
        alpha: the coded transparency, or None.
        metadata: what travels with the picture.
    """

    latents: bytes
    detail: bytes | None = None
    alpha: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)


def write(header: Header, payload: Payload, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """Put a file together.

    Raises:
        FormatError: the header does not pass `Header.check`.
    """
    header.check(max_pixels)
    fields = _FIXED.pack(header.model_id, header.channels, header.quality)
    sides = _varint(header.width) + _varint(header.height)
    layers = [(LATENTS, payload.latents), (DETAIL, payload.detail), (ALPHA, payload.alpha)]
    body = b"".join(_chunk(kind, content) for kind, content in layers if content is not None)
    kept = b"".join(_chunk(METADATA[name], pack(content)) for name, content in payload.metadata.items())
    return SIGNATURE + bytes([VERSION]) + _chunk(HEADER, fields + sides) + kept + body


def read_header(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Read and check the header; the chunks behind it are not looked at.

    Raises:
        FormatError: one of its kinds, for each way in which the bytes are not the start of a .cae file.
    """
    return _header(next(_chunks(data), None), max_pixels)


def read(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[Header, Payload]:
    """Take a file apart: the header and what it is about.

    Raises:
        FormatError: one of its kinds, for each way in which the bytes are not a .cae file.
    """
    chunks = _chunks(data)
    header = _header(next(chunks, None), max_pixels)
    found: dict[int, bytes] = {}
    for kind, payload in chunks:
        if kind in found or kind == HEADER:
            raise FormatError(f"chunk {chr(kind)!r} comes twice; once is allowed")
        if kind in (LATENTS, DETAIL, ALPHA, *METADATA.values()):
            found[kind] = payload
        elif ord("A") <= kind <= ord("Z"):
            raise FormatError(f"chunk type {kind:#04x} is needed to decode the file and not known here")
    if LATENTS not in found:
        raise TruncatedError("the file ends before the latents chunk")
    kept = {name: unpack(name, found[kind]) for name, kind in METADATA.items() if kind in found}
    return header, Payload(found[LATENTS], found.get(DETAIL), found.get(ALPHA), Metadata(**kept))


def _header(chunk: tuple[int, bytes] | None, max_pixels: int) -> Header:
    if chunk is None:
        raise TruncatedError("the file ends before the header chunk")
    kind, payload = chunk
    if kind != HEADER:
        raise FormatError(f"the first chunk has type {kind:#04x}; the header, {HEADER:#04x}, must come first")
    if len(payload) < _FIXED.size:
        raise FormatError(f"header: {len(payload)} bytes; at least {_FIXED.size + 2} are needed")
    model_id, channels, quality = _FIXED.unpack_from(payload)
    width, position = _read_varint(payload, _FIXED.size, "header: width")
    height, position = _read_varint(payload, position, "header: height")
    if position != len(payload):
        raise FormatError(f"header: {len(payload)} bytes; {position} are used")
    header = Header(model_id, channels, quality, width, height)
    header.check(max_pixels)
    return header


def _chunks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each chunk's type and payload, in order, its checksum verified."""
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
        start, kind = position, data[position]
        length, position = _read_varint(data, position + 1, f"chunk {chr(kind)!r}: length")
        if length > _MAX_CHUNK:
            raise LimitError(f"chunk {chr(kind)!r}: length is {length}; at most {_MAX_CHUNK} is allowed")
        end = position + length
        if end + 4 > len(data):
            missing = end + 4 - len(data)
            raise TruncatedError(f"the file ends within chunk {chr(kind)!r}: {missing} bytes are missing")
        if zlib.crc32(data[start:end]) != int.from_bytes(data[end : end + 4], "little"):
            raise ChecksumError(
                f"chunk {chr(kind)!r} at byte {start} does not match its checksum: it was damaged"
            )
        yield kind, data[position:end]
        position = end + 4


def _chunk(kind: int, payload: bytes) -> bytes:
    body = bytes([kind]) + _varint(len(payload)) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def _varint(value: int) -> bytes:
    """LEB128: seven bits a byte, low bits first, the top bit set on all bytes but the last."""
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _read_varint(data: bytes, position: int, field: str) -> tuple[int, int]:
    """The value at `position` and the position behind it; five bytes at most, the shortest form only."""
    value = 0
    for count in range(5):
        if position + count >= len(data):
            raise TruncatedError(f"{field}: the data ends within the number")
        byte = data[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if byte == 0 and count:
                raise FormatError(f"{field}: the number is not in its shortest form")
            return value, position + count + 1
    raise LimitError(f"{field}: the number has more than 5 bytes")
