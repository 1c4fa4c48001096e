"""The .cae file, version 1, as docs/FORMAT.md specifies it: signature, version, then chunks.

    89 43 41 45 | version | chunk ...

`Header.check` is the one validator, of reader and writer alike.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from caesura import arguments
from caesura.arguments import Content
from caesura.errors import FormatError, LimitError, TruncatedError
from caesura.format import chunks
from caesura.format.chunks import HEADER, LATENTS, LAYERS, METADATA, Chunk
from caesura.picture.channels import colours
from caesura.picture.metadata import Metadata, pack, unpack

MAX_SIDE = 1 << 20
MAX_PIXELS = 1 << 28  # default of the argument of that name
POSITION_MIN, POSITION_MAX = 100, 10000  # of the ladder, in hundredths
CELL, MAX_CELLS = 64, 32  # a segment's side: pixels of a cell, cells at most
_FIXED = struct.Struct("<IBHB")
_ORDER = list(LAYERS)


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
        latents: coded latents; None where the lossless layer covers the segment.
        detail: the coded detail layer, or None.
        alpha: the coded transparency, or None where all is opaque.
        lossless: the coded lossless layer, or None.
        clipped: the coded areas of white and black, or None.
    """

    latents: bytes | None
    detail: bytes | None = None
    alpha: bytes | None = None
    lossless: bytes | None = None
    clipped: bytes | None = None


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
    sides = chunks.varint(header.width) + chunks.varint(header.height)
    given = dict(metadata.items())
    kept = b"".join(chunks.write(kind, pack(given[name])) for kind, name in METADATA.items() if name in given)
    start = chunks.SIGNATURE + bytes([chunks.VERSION])
    return start + chunks.write(HEADER, fields + sides) + kept


def write_segment(number: int, segment: SegmentData) -> bytes:
    """A segment's chunks."""
    layers = ((kind, getattr(segment, name)) for kind, name in LAYERS.items())
    return b"".join(
        chunks.write(kind, chunks.varint(number) + content) for kind, content in layers if content is not None
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
    return _header(next(chunks.read(arguments.content("data", data)), None), max_pixels)


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
    parts = chunks.read(data)
    header = _header(next(parts, None), max_pixels)
    kept: dict[str, bytes] = {}
    segments: list[_Reading] = []
    for chunk in parts:
        if chunk.kind in LAYERS:
            _take(chunk, header, segments, wanted)
            continue
        chunk.verify()
        if name := METADATA.get(chunk.kind):
            if name in kept:
                raise FormatError(f"chunk {chr(chunk.kind)!r} comes twice; once is allowed")
            kept[name] = unpack(name, chunk.payload)
        elif chunk.kind == HEADER:
            raise FormatError(f"chunk {chr(HEADER)!r} comes twice; once is allowed")
        elif ord("A") <= chunk.kind <= ord("Z"):
            raise FormatError(f"chunk type {chunk.kind:#04x} is needed to decode the file and not known here")
    if len(segments) < header.segments:
        raise TruncatedError(f"the file ends after {len(segments)} of {header.segments} segments")
    _check_whole(segments)
    found = [None if one.layers is None else segment_of(one.layers) for one in segments]
    return header, Payload(found, Metadata(**kept))


def segment_of(layers: Mapping[str, bytes]) -> SegmentData:
    """A segment of these layers, by name."""
    return SegmentData(**{"latents": None, **layers})


@dataclass
class _Reading:
    """A segment whose chunks are read.

    Attributes:
        layers: by name; None if the segment was not asked for.
        last: where the last of its chunks stands in the order of layers.
    """

    layers: dict[str, bytes] | None
    last: int = -1


def _take(chunk: Chunk, header: Header, segments: list[_Reading], wanted: Container[int] | None) -> None:
    """Add a chunk of a layer to its segment: the last one, or the next."""
    kind, place = chr(chunk.kind), _ORDER.index(chunk.kind)
    if wanted is None:
        chunk.verify()
    number, start = chunks.read_varint(chunk.data, chunk.body, f"chunk {kind!r}: segment", chunk.end)
    same = segments and number == len(segments) - 1 and place > segments[-1].last
    begins = place <= _ORDER.index(LATENTS) and not same
    expected = len(segments) if begins else len(segments) - 1
    asked = wanted is None or expected in wanted
    if asked:
        chunk.verify()
    if expected < 0:
        chunk.verify()
        raise FormatError(f"chunk {kind!r} comes before any latents")
    if number != expected:
        raise FormatError(f"chunk {kind!r} is of segment {number}; {expected} is next")
    if number >= header.segments:
        raise FormatError(f"chunk {kind!r} is of segment {number}; the picture has {header.segments}")
    if begins:
        _check_whole(segments)
        segments.append(_Reading({} if asked else None))
    segment = segments[-1]
    if place == segment.last:
        raise FormatError(f"chunk {kind!r} of segment {number} comes twice; once is allowed")
    if place < segment.last:
        behind = LAYERS[_ORDER[segment.last]]
        raise FormatError(f"chunk {kind!r} of segment {number} comes behind its {behind}; before is allowed")
    segment.last = place
    if segment.layers is not None:
        segment.layers[LAYERS[chunk.kind]] = chunk.data[start : chunk.end]


def _check_whole(segments: list[_Reading]) -> None:
    """Check that the last segment has latents, or a lossless layer instead."""
    if segments and (layers := segments[-1].layers) is not None and not {"latents", "lossless"} & set(layers):
        raise TruncatedError(f"segment {len(segments) - 1} has {' and '.join(layers)}, and no latents")


def _header(chunk: Chunk | None, max_pixels: int) -> Header:
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
    width, position = chunks.read_varint(payload, _FIXED.size, "header: width")
    height, position = chunks.read_varint(payload, position, "header: height")
    if position != len(payload):
        raise FormatError(f"header: {len(payload)} bytes; {position} are used")
    header = Header(model_id, channels, ladder_position, cells, width, height)
    header.check(max_pixels)
    return header
