"""The .cae file, version 1, as docs/FORMAT.md specifies it: signature, version, then chunks.

    89 43 41 45 | version | chunk ...
    chunk: type (1 byte) | length (varint) | payload | CRC-32 of all three (4 bytes, little-endian)

`Header.check` is the one validator, of reader and writer alike.
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from caesura import arguments
from caesura.arguments import Content
from caesura.errors import (
    ChecksumError,
    FormatError,
    LimitError,
    SignatureError,
    TruncatedError,
    VersionError,
)
from caesura.picture.channels import colours
from caesura.picture.metadata import Metadata, pack, unpack

SIGNATURE = b"\x89CAE"
VERSION = 1
HEADER, LATENTS, DETAIL, ALPHA = ord("H"), ord("L"), ord("D"), ord("A")
METADATA = {"icc": ord("i"), "exif": ord("e"), "xmp": ord("x")}
MAX_SIDE = 1 << 20
MAX_PIXELS = 1 << 28  # default of the argument of that name
POSITION_MIN, POSITION_MAX = 100, 10000  # of the ladder, in hundredths
CELL, MAX_CELLS = 64, 32  # a segment's side: pixels of a cell, cells at most
_METADATA_OF = {kind: name for name, kind in METADATA.items()}
_MAX_CHUNK = 1 << 32
_SEARCH = 16
_KNOWN = re.compile(b"[LDAiex]")
_FIXED = struct.Struct("<IBHB")
_LAYERS = {LATENTS: "latents", DETAIL: "detail", ALPHA: "alpha"}


@dataclass(frozen=True)
class Header:
    """What a decoder must know before it decodes.

    Attributes:
        model_id: 32-bit id of the bundle.
        channels: 1 (grey) or 3 (RGB), one more with transparency.
        ladder_position: on the model's own scale of qualities, in hundredths, 100 to 10000.
        cells: side of a segment, in cells of 64 pixels, 1 to 32.
        width, height: of the picture, in pixels.
    """

    model_id: int
    channels: int
    ladder_position: int
    cells: int
    width: int
    height: int

    @property
    def quality(self) -> int:
        """The former name of `ladder_position`."""
        return self.ladder_position

    @property
    def colours(self) -> int:
        """Channels without transparency: 1 or 3."""
        return colours(self.channels)

    @property
    def segments(self) -> int:
        """Number of segments."""
        side = self.cells * CELL
        return -(-self.width // side) * -(-self.height // side)

    def check(self, max_pixels: int = MAX_PIXELS) -> None:
        """Check every field.

        Raises:
            LimitError: a side or the number of pixels is out of bounds.
            FormatError: another field has a value that is not allowed.
            TypeError, ConfigError: `max_pixels` is not an integer, or none of 1 or more.
        """
        arguments.max_pixels(max_pixels)
        if not 0 <= self.model_id < 1 << 32:
            raise FormatError(f"header: model id is {self.model_id}; 32 bits are allowed")
        if self.channels not in (1, 2, 3, 4):
            allowed = "1 (grey) and 3 (RGB) are allowed, one more with transparency"
            raise FormatError(f"header: channels is {self.channels}; {allowed}")
        if not POSITION_MIN <= self.ladder_position <= POSITION_MAX:
            allowed = f"{POSITION_MIN} to {POSITION_MAX} hundredths are allowed"
            raise FormatError(f"header: ladder position is {self.ladder_position}; {allowed}")
        if not 1 <= self.cells <= MAX_CELLS:
            allowed = f"1 to {MAX_CELLS} of {CELL} pixels are allowed"
            raise FormatError(f"header: segments have {self.cells} cells a side; {allowed}")
        for name, side in (("width", self.width), ("height", self.height)):
            if not 1 <= side <= MAX_SIDE:
                raise LimitError(f"header: {name} is {side}; 1 to {MAX_SIDE} pixels are allowed")
        if self.width * self.height > max_pixels:
            pixels = f"{self.width} x {self.height} = {self.width * self.height}"
            raise LimitError(f"header: the picture has {pixels} pixels; max_pixels allows {max_pixels}")


@dataclass(frozen=True)
class SegmentData:
    """The data of one segment.

    Attributes:
        latents: coded latents.
        detail: the coded detail layer, or None.
        alpha: the coded transparency, or None where all is opaque.
    """

    latents: bytes
    detail: bytes | None = None
    alpha: bytes | None = None


@dataclass(frozen=True)
class Payload:
    """The content of a file behind its header.

    Attributes:
        segments: row after row, each from left to right; None where it was not asked for.
        metadata: colour profile, EXIF and XMP.
    """

    segments: Sequence[SegmentData | None]
    metadata: Metadata = field(default_factory=Metadata)


def write(header: Header, payload: Payload, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """The file of a header and a payload with all segments.

    Raises:
        FormatError: the header does not pass `Header.check`.
    """
    segments = (write_segment(number, segment) for number, segment in enumerate(payload.segments) if segment)
    return write_start(header, payload.metadata, max_pixels=max_pixels) + b"".join(segments)


def write_start(header: Header, metadata: Metadata, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """The beginning of a file, behind which the chunks of each segment follow (`write_segment`).

    Raises:
        FormatError: the header does not pass `Header.check`.
    """
    header.check(max_pixels)
    fields = _FIXED.pack(header.model_id, header.channels, header.ladder_position, header.cells)
    sides = _varint(header.width) + _varint(header.height)
    kept = b"".join(_chunk(METADATA[name], pack(content)) for name, content in metadata.items())
    return SIGNATURE + bytes([VERSION]) + _chunk(HEADER, fields + sides) + kept


def write_segment(number: int, segment: SegmentData) -> bytes:
    """A segment's chunks."""
    layers = ((kind, getattr(segment, name)) for kind, name in _LAYERS.items())
    return b"".join(
        _chunk(kind, _varint(number) + content) for kind, content in layers if content is not None
    )


def read_header(data: Content, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Read and check the header; the chunks behind it are not looked at.

    Args:
        data: the file or the start of it: bytes, bytearray, memoryview, or the path of a file.
        max_pixels: refuse files that claim more.

    Raises:
        FormatError: one of its kinds, for each way in which the bytes are not the start of a .cae file.
        TypeError, ConfigError: an argument is of another type, or has a value that is not allowed.
        OSError: of the system, if the path is of no file that can be read.
    """
    return _header(next(_chunks(arguments.content("data", data)), None), max_pixels)


def read(
    data: bytes, *, max_pixels: int = MAX_PIXELS, wanted: Container[int] | None = None
) -> tuple[Header, Payload]:
    """The header and the payload of a file.

    Args:
        data: the file.
        max_pixels: refuse files that claim more.
        wanted: numbers of the segments to read, all unless given; others are skipped.

    Raises:
        FormatError: one of its kinds, for each way in which the bytes are not a .cae file.
    """
    chunks = _chunks(data)
    header = _header(next(chunks, None), max_pixels)
    kept: dict[str, bytes] = {}
    segments: list[dict[str, bytes] | None] = []
    for chunk in chunks:
        if chunk.kind in _LAYERS:
            if chunk.kind == LATENTS:
                asked = wanted is None or len(segments) in wanted
                segments.append({} if asked else None)
            elif not segments:
                chunk.verify()
                raise FormatError(f"chunk {chr(chunk.kind)!r} comes before any latents")
            _take(chunk, header, len(segments) - 1, segments[-1])
            continue
        chunk.verify()
        if name := _METADATA_OF.get(chunk.kind):
            if name in kept:
                raise FormatError(f"chunk {chr(chunk.kind)!r} comes twice; once is allowed")
            kept[name] = unpack(name, chunk.payload)
        elif chunk.kind == HEADER:
            raise FormatError(f"chunk {chr(HEADER)!r} comes twice; once is allowed")
        elif ord("A") <= chunk.kind <= ord("Z"):
            raise FormatError(f"chunk type {chunk.kind:#04x} is needed to decode the file and not known here")
    if len(segments) < header.segments:
        raise TruncatedError(f"the file ends after {len(segments)} of {header.segments} segments")
    found = [None if layers is None else SegmentData(**layers) for layers in segments]
    return header, Payload(found, Metadata(**kept))


class Salvaged(NamedTuple):
    """The undamaged part of a file.

    Attributes:
        header: of the file.
        payload: its segments; None for each whose latents are damaged.
        suspect: numbers of segments that may have lost a layer on top of their latents.
    """

    header: Header
    payload: Payload
    suspect: set[int]


def salvage(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Salvaged:
    """The undamaged part of a file that may be damaged or cut.

    Where a chunk's length is damaged, reading goes on at the next whole chunk.

    Raises:
        FormatError: one of its kinds, if not even the header and one segment can be read.
    """
    header = read_header(data, max_pixels=max_pixels)
    layers: list[dict[str, bytes]] = [{} for _ in range(header.segments)]
    kept: dict[str, bytes] = {}
    suspect: set[int] = set()
    last, lost = -1, False
    for chunk in _whole_chunks(data):
        if chunk is None:
            lost = True
        elif chunk.kind in _LAYERS:
            with contextlib.suppress(FormatError):
                number, start = _read_varint(chunk.data, chunk.body, "segment", chunk.end)
                if last <= number < header.segments:
                    layers[number].setdefault(_LAYERS[chunk.kind], chunk.data[start : chunk.end])
                    if lost and chunk.kind == LATENTS and number == last + 1:
                        suspect.add(last)
                    last, lost = number, False
        elif (name := _METADATA_OF.get(chunk.kind)) and name not in kept:
            with contextlib.suppress(FormatError):
                kept[name] = unpack(name, chunk.data[chunk.body : chunk.end])
    found = [SegmentData(**mine) if "latents" in mine else None for mine in layers]
    if not any(found):
        raise TruncatedError(f"none of {header.segments} segments is left")
    if lost or last + 1 < header.segments:
        suspect.add(last)
    return Salvaged(header, Payload(found, Metadata(**kept)), suspect)


def _whole_chunks(data: bytes) -> Iterator[_Chunk | None]:
    """The chunks behind the header whose checksums are right; None where something is not."""
    position = next(_chunks(data)).next
    effort = _SEARCH * len(data)  # bytes that checksums may be made of: a hostile file must not take for ever
    while position < len(data) and effort > 0:
        chunk: _Chunk | None = None
        with contextlib.suppress(FormatError):
            chunk = _chunk_at(data, position)
            effort -= chunk.next - position
            chunk.verify()
            yield chunk
            position = chunk.next
            continue
        yield None
        if chunk and _is_start(data, chunk.next):  # its payload alone is wrong
            position = chunk.next
            continue
        for match in _KNOWN.finditer(data, position + 1):
            with contextlib.suppress(FormatError):
                chunk = _chunk_at(data, match.start())
                if _is_start(data, chunk.next):
                    effort -= chunk.next - chunk.start
                    chunk.verify()
                    position = chunk.start
                    break
            if effort <= 0:
                return
        else:
            return


def _is_start(data: bytes, position: int) -> bool:
    """Whether a chunk that is known may begin here, or the file end."""
    return position == len(data) or bool(_KNOWN.match(data, position))


def _take(chunk: _Chunk, header: Header, expected: int, layers: dict[str, bytes] | None) -> None:
    """Add a chunk of segment `expected` to its layers; if these are None, only its number is checked."""
    kind, name = chr(chunk.kind), _LAYERS[chunk.kind]
    if layers is not None:
        chunk.verify()
    number, start = _read_varint(chunk.data, chunk.body, f"chunk {kind!r}: segment", chunk.end)
    if number != expected:
        raise FormatError(f"chunk {kind!r} is of segment {number}; {expected} is next")
    if number >= header.segments:
        raise FormatError(f"chunk {kind!r} is of segment {number}; the picture has {header.segments}")
    if layers is not None:
        if name in layers:
            raise FormatError(f"chunk {kind!r} of segment {number} comes twice; once is allowed")
        if chunk.kind == DETAIL and _LAYERS[ALPHA] in layers:
            raise FormatError(f"chunk {kind!r} of segment {number} comes behind its alpha; before is allowed")
        layers[name] = chunk.data[start : chunk.end]


def _header(chunk: _Chunk | None, max_pixels: int) -> Header:
    if chunk is None:
        raise TruncatedError("the file ends before the header chunk")
    payload = chunk.payload
    if chunk.kind != HEADER:
        raise FormatError(
            f"the first chunk has type {chunk.kind:#04x}; the header, {HEADER:#04x}, must come first"
        )
    if len(payload) < _FIXED.size:
        raise FormatError(f"header: {len(payload)} bytes; at least {_FIXED.size + 2} are needed")
    model_id, channels, ladder_position, cells = _FIXED.unpack_from(payload)
    width, position = _read_varint(payload, _FIXED.size, "header: width")
    height, position = _read_varint(payload, position, "header: height")
    if position != len(payload):
        raise FormatError(f"header: {len(payload)} bytes; {position} are used")
    header = Header(model_id, channels, ladder_position, cells, width, height)
    header.check(max_pixels)
    return header


class _Chunk(NamedTuple):
    """Where a chunk lies in a file: type, beginning, payload, end of the payload."""

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


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Each chunk, in order."""
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
        chunk = _chunk_at(data, position)
        yield chunk
        position = chunk.next


def _chunk_at(data: bytes, start: int) -> _Chunk:
    kind = data[start]
    length, body = _read_varint(data, start + 1, f"chunk {chr(kind)!r}: length")
    if length > _MAX_CHUNK:
        raise LimitError(f"chunk {chr(kind)!r}: length is {length}; at most {_MAX_CHUNK} is allowed")
    end = body + length
    if end + 4 > len(data):
        missing = end + 4 - len(data)
        raise TruncatedError(f"the file ends within chunk {chr(kind)!r}: {missing} bytes are missing")
    return _Chunk(data, kind, start, body, end)


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


def _read_varint(data: bytes, position: int, field: str, end: int | None = None) -> tuple[int, int]:
    """The value at `position` and the position behind it; five bytes at most, the shortest form only."""
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
