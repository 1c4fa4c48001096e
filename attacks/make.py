"""Hostile .cae files, one for each idea, and what becomes of them.

    python attacks/make.py             the files and README.md again
    python attacks/make.py FILE...     what becomes of these, a line of JSON each

Checksums fit unless they are the idea, so that it gets past them. Coded data comes from golden files, or from
`Writer`, which codes symbols of its own choice with the reference decoder's help.
"""

from __future__ import annotations

import functools
import json
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent / "tests")]

import reference_decoder  # noqa: E402
from reference_decoder import Coder, Table  # noqa: E402

MODELS = HERE.parent / "src" / "caesura" / "models" / "weights"
START = b"\x89CAE\x01"
PHOTO, PSNR, CAE2017 = (
    json.loads((MODELS / name / "manifest.json").read_text(encoding="utf-8"))["id"]
    for name in ("photo", "photo-psnr", "cae2017")
)
UNKNOWN = 0xDEADBEEF
PNG = b"\x89PNG\r\n\x1a\n"


class Attack(NamedTuple):
    """An idea.

    Attributes:
        name: of the file.
        idea: what it tries.
        data: the file.
        error: that refuses it; "" where a picture comes out, as it should.
        message: that part of the message which matters, a regular expression.
    """

    name: str
    idea: str
    data: bytes
    error: str = ""
    message: str = ""


# ---- parts of files


def varint(value: int, longer: int = 0) -> bytes:
    """LEB128, with as many bytes too much."""
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    if longer:
        return bytes([*groups, value | 0x80, *[0x80] * (longer - 1), 0])
    return bytes([*groups, value])


def chunk(kind: str, payload: bytes = b"") -> bytes:
    """A chunk."""
    body = kind.encode("latin-1") + varint(len(payload)) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def header(
    width: int = 16,
    height: int = 16,
    *,
    model: int = PHOTO,
    channels: int = 3,
    quality: int = 5000,
    cells: int = 1,
    more: bytes = b"",
) -> bytes:
    """The beginning of a file, header included."""
    fields = struct.pack("<IBHB", model, channels, quality, cells)
    return START + chunk("H", fields + varint(width) + varint(height) + more)


def latents(number: int = 0, coded: bytes = b"", kind: str = "L") -> bytes:
    """A chunk of a segment; without data every symbol is the first of its table."""
    return chunk(kind, varint(number) + coded)


def png(width: int, height: int, pixels: bytes, *, between: bytes = b"", depth: int = 8) -> bytes:
    """A grey PNG."""
    start = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return PNG + start + between + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def webp(
    width: int, height: int, grey: int = 200, *, alpha: int | None = None, kind: bytes = b"VP8L"
) -> bytes:
    """A lossless WebP of one colour: five prefix codes of one symbol each, of which a pixel takes no bits."""
    fields = [(width - 1, 14), (height - 1, 14), (alpha is not None, 1), (0, 3), (0, 3)]
    for symbol in (
        grey,
        grey,
        grey,
        255 if alpha is None else alpha,
        0,
    ):  # of green, red, blue, alpha, distance
        fields += [(1, 1), (0, 1), (1, 1), (symbol, 8)]
    bits = shift = 0
    for value, length in fields:
        bits, shift = bits | value << shift, shift + length
    stream = b"/" + bits.to_bytes(-(-shift // 8) + 1, "little")
    stream += bytes(len(stream) % 2)
    return (
        b"RIFF"
        + struct.pack("<I", len(stream) + 12)
        + b"WEBP"
        + kind
        + struct.pack("<I", len(stream))
        + stream
    )


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


@functools.cache
def zeros(count: int) -> bytes:
    """A zlib stream of so many."""
    return zlib.compress(bytes(count), 9)


class Writer(Coder):
    """Takes the place of the reference decoder's coder and chooses what is read: escapes of one distance.

    Attributes:
        length, bits: of the distance, -1 for the first symbol of each table instead.
    """

    length, bits = 17, 0
    written: list[bytes]

    def __init__(self, payload: bytes) -> None:
        self.steps: list[tuple[int, int]] = []

    def run(self, table: Table, count: int) -> list[int]:
        """What the decoder asks for."""
        self.steps += [(table.starts[-1], table.frequencies[-1])] * count
        self.steps += [(self.length << 19, 1 << 19)] * count
        each = (1 << 24) >> self.length
        self.steps += [(self.bits * each, each)] * (count if 0 < self.length < 25 else 0)
        v = (1 << self.length) - 1 + self.bits
        symbol = table.low - 1 - (v - 1) // 2 if v % 2 else table.above + v // 2
        return [symbol if symbol in reference_decoder.SYMBOLS else 0] * count

    def finish(self) -> None:
        """Code all of it, the last first."""
        state, words = 0, []
        for start, frequency in reversed(self.steps):
            if state >> 40 >= frequency:
                words.append(state & 0xFFFFFFFF)
                state >>= 32
            state = (state // frequency << 24) + start + state % frequency
        while state:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        self.written.append(struct.pack(f"<{len(words)}I", *words))


def escapes(model: str, quality: int, length: int, bits: int) -> list[bytes]:
    """Payloads of a segment of 16 x 16 pixels of which every symbol is an escape."""
    written: list[bytes] = []
    writer = type("Chosen", (Writer,), {"length": length, "bits": bits, "written": written})
    bundle = reference_decoder.read_bundle(MODELS / model)
    decode = {"cae2017": reference_decoder.decode_cae2017, "cae2026": reference_decoder.decode_cae2026}
    reference_decoder.Coder = writer  # type: ignore[assignment,misc]
    try:
        detail = quality > bundle["ladder_top"]
        decode[bundle["architecture"]](dict.fromkeys("LD" if detail else "L", b""), (16, 16), quality, bundle)
    finally:
        reference_decoder.Coder = Coder  # type: ignore[misc]
    return written


# ---- the ideas


def attacks() -> Iterator[Attack]:
    """Every attack."""
    yield from sizes()
    yield from layouts()
    yield from bombs()
    yield from payloads()
    yield from lossless_layers()
    yield from clipped_areas()
    yield from not_ours()


def sizes() -> Iterator[Attack]:
    """Headers that promise much."""
    rubbish = bytes(range(256)) * 4
    yield Attack(
        "4-gigapixels",
        "1 KB that claims 2^32 pixels",
        header(1 << 16, 1 << 16, cells=32) + latents(0, rubbish),
        "LimitError",
        "4294967296 pixels; max_pixels allows 268435456",
    )
    yield Attack(
        "most-pixels",
        "claims just the pixels that are allowed, and has one segment of 64",
        header(1 << 14, 1 << 14, cells=32) + latents(0, rubbish),
        "TruncatedError",
        "after 1 of 64 segments",
    )
    yield Attack(
        "most-segments",
        "claims 2^16 segments of 64 pixels, and has one",
        header(1 << 14, 1 << 14) + latents(0, rubbish),
        "TruncatedError",
        "after 1 of 65536 segments",
    )
    yield Attack(
        "longest-side",
        "1 x 2^20 pixels, one segment of 16384",
        header(1, 1 << 20) + latents(),
        "TruncatedError",
        "after 1 of 16384 segments",
    )
    yield Attack(
        "side-too-long",
        "1 x 2^20 + 1 pixels",
        header(1, (1 << 20) + 1) + latents(),
        "LimitError",
        "height is 1048577; 1 to 1048576 pixels are allowed",
    )
    yield Attack("side-zero", "no pixels at all", header(0, 16) + latents(), "LimitError", "width is 0")
    yield Attack(
        "nothing-4-megapixels",
        "all of 4 megapixels in 30 bytes: the first symbol of each table",
        header(2048, 2048, cells=32) + latents(),
    )
    yield Attack(
        "row-of-segments",
        "512 segments side by side, each with its halo: work beyond the pixels",
        header(1 << 15, 1) + b"".join(map(latents, range(512))),
    )
    for cells in (0, 33):
        yield Attack(
            f"cells-{cells}",
            f"segments of {cells} cells",
            header(cells=cells) + latents(),
            "FormatError",
            f"segments have {cells} cells a side; 1 to 32 of 64 pixels are allowed",
        )
    for channels in (0, 5):
        yield Attack(
            f"channels-{channels}",
            f"{channels} channels",
            header(channels=channels) + latents(),
            "FormatError",
            f"channels is {channels}",
        )
    for quality in (99, 65535):
        yield Attack(
            f"quality-{quality}",
            "a ladder position out of range",
            header(quality=quality) + latents(),
            "FormatError",
            f"ladder position is {quality}; 100 to 10000 hundredths are allowed",
        )
    yield Attack(
        "unknown-model", "a model id of nothing", header(model=UNKNOWN) + latents(), "ModelError", "deadbeef"
    )
    yield Attack(
        "header-with-more",
        "a header with another byte",
        header(more=b"\0") + latents(),
        "FormatError",
        "header: 11 bytes; 10 are used",
    )
    yield Attack(
        "header-cut",
        "a header without its sides",
        START + chunk("H", header()[7:15]) + latents(),
        "TruncatedError",
        "header: width: the data ends within the number",
    )
    yield Attack(
        "long-number",
        "a width of six bytes",
        START + chunk("H", header()[7:15] + varint(16, 5) + varint(16)) + latents(),
        "LimitError",
        "width: the number has more than 5 bytes",
    )
    yield Attack(
        "second-spelling",
        "a width of two bytes where one does",
        START + chunk("H", header()[7:15] + varint(16, 1) + varint(16)) + latents(),
        "FormatError",
        "width: the number is not in its shortest form",
    )


def layouts() -> Iterator[Attack]:
    """Chunks where they should not be."""
    two, one = header(100, 16), header()
    yield Attack(
        "segment-missing",
        "the second of two is not there",
        two + latents(0),
        "TruncatedError",
        "after 1 of 2 segments",
    )
    yield Attack(
        "segment-skipped",
        "the first of two is not there",
        two + latents(1),
        "FormatError",
        "chunk 'L' is of segment 1; 0 is next",
    )
    yield Attack(
        "segment-twice",
        "the first of two comes twice",
        two + latents(0) + latents(0),
        "FormatError",
        "chunk 'L' is of segment 0; 1 is next",
    )
    yield Attack(
        "segments-turned",
        "the second comes first",
        two + latents(1) + latents(0),
        "FormatError",
        "chunk 'L' is of segment 1; 0 is next",
    )
    yield Attack(
        "segment-too-many",
        "three of two",
        two + b"".join(map(latents, range(3))),
        "FormatError",
        "chunk 'L' is of segment 2; the picture has 2",
    )
    yield Attack(
        "segment-huge-number",
        "a number of 35 bits",
        one + chunk("L", varint((1 << 35) - 1)),
        "FormatError",
        "is of segment 34359738367; 0 is next",
    )
    yield Attack(
        "segment-long-number",
        "a number of six bytes",
        one + chunk("L", varint(0, 5)),
        "LimitError",
        "chunk 'L': segment: the number has more than 5 bytes",
    )
    yield Attack(
        "segment-no-number",
        "a chunk of latents with nothing in it",
        one + chunk("L"),
        "TruncatedError",
        "chunk 'L': segment: the data ends within the number",
    )
    yield Attack(
        "detail-first",
        "a detail layer before its latents",
        header(quality=10000) + latents(0, kind="D") + latents(),
        "FormatError",
        "chunk 'D' comes before any latents",
    )
    yield Attack(
        "detail-missing",
        "beyond the ladder without a detail layer",
        header(quality=10000) + latents(),
        "FormatError",
        "detail: the chunk is missing at ladder position 10000",
    )
    yield Attack(
        "detail-unwanted",
        "a detail layer within the ladder",
        one + latents() + latents(0, kind="D"),
        "FormatError",
        "detail: the chunk is there at ladder position 5000",
    )
    yield Attack(
        "detail-twice",
        "two detail layers",
        header(quality=10000) + latents() + 2 * latents(0, kind="D"),
        "FormatError",
        "chunk 'D' of segment 0 comes twice",
    )
    yield Attack(
        "alpha-before-detail",
        "layers in another order",
        header(quality=10000, channels=4)
        + latents()
        + latents(0, png(16, 16, zlib.compress(bytes(17 * 16))), "A")
        + latents(0, kind="D"),
        "FormatError",
        "chunk 'D'",
    )
    yield Attack(
        "alpha-unwanted",
        "transparency in a picture that has none",
        one + latents() + latents(0, png(16, 16, zlib.compress(bytes(17 * 16))), "A"),
        "FormatError",
        "alpha: the chunk is there with 3 channels",
    )
    yield Attack(
        "chunk-4-gigabytes",
        "a chunk of 2^32 bytes",
        one + b"L" + varint(1 << 32) + b"\0" * 9,
        "TruncatedError",
        "the file ends within chunk 'L': 4294967291 bytes are missing",
    )
    yield Attack(
        "chunk-beyond",
        "a chunk of 2^32 + 1 bytes",
        one + b"L" + varint((1 << 32) + 1) + b"\0" * 9,
        "LimitError",
        "length is 4294967297; at most 4294967296 is allowed",
    )
    yield Attack(
        "chunk-critical",
        "an upper-case chunk that nobody knows",
        one + chunk("B") + latents(),
        "FormatError",
        "chunk type 0x42 is needed to decode the file and not known here",
    )
    yield Attack("chunks-ancillary", "10000 chunks that mean nothing", one + 10_000 * chunk("z") + latents())
    yield Attack(
        "two-headers",
        "the header comes twice",
        one + one[5:] + latents(),
        "FormatError",
        "chunk 'H' comes twice",
    )
    yield Attack(
        "two-files",
        "a file behind a file",
        2 * (one + latents()),
        "TruncatedError",
        "the file ends within chunk '\\\\x89'",
    )
    yield Attack(
        "trailing-byte",
        "a byte behind the end",
        one + latents() + b"\0",
        "TruncatedError",
        "length: the data ends within the number",
    )
    yield Attack(
        "trailing-rubbish",
        "other bytes behind the end",
        one + latents() + b"rubbish" * 30,
        "ChecksumError",
        "chunk 'r' at byte 28 does not match",
    )
    yield Attack(
        "damaged",
        "a bit of the latents is another",
        one + latents(0, b"....")[:-5] + b"/" + latents(0, b"....")[-4:],
        "ChecksumError",
        "does not match its checksum",
    )
    yield Attack(
        "cut", "the last byte is gone", (one + latents())[:-1], "TruncatedError", "1 bytes are missing"
    )


def bombs() -> Iterator[Attack]:
    """Little that unpacks to much."""
    one, much = header(), zeros(1 << 25)
    yield Attack(
        "zlib-bomb",
        "32 MiB of zeros as XMP",
        one + chunk("x", much) + latents(),
        "LimitError",
        "xmp: more than 16777216 bytes",
    )
    yield Attack(
        "zlib-cut",
        "a colour profile that ends early",
        one + chunk("i", zeros(999)[:-5]) + latents(),
        "FormatError",
        "icc: 12 bytes are not one whole zlib stream",
    )
    yield Attack(
        "zlib-more",
        "EXIF with bytes behind the zlib stream",
        one + chunk("e", zeros(9) + b"more") + latents(),
        "FormatError",
        "exif: .* are not one whole zlib stream",
    )
    yield Attack(
        "metadata-twice",
        "XMP comes twice",
        one + 2 * chunk("x", zeros(9)) + latents(),
        "FormatError",
        "chunk 'x' comes twice",
    )
    alpha, fits = header(channels=4) + latents(), zlib.compress(bytes(17 * 16))
    tries = [
        ("png-data", "a PNG of the right size, 32 MiB of data within", png(16, 16, much), "", ""),
        (
            "png-huge",
            "a PNG that claims 30000 x 30000",
            png(30000, 30000, fits),
            "FormatError",
            "alpha: 30000 x 30000; 16 x 16 is expected",
        ),
        (
            "png-sides",
            "a PNG that claims 2^31 - 1 pixels a side",
            png((1 << 31) - 1, (1 << 31) - 1, fits),
            "FormatError",
            "alpha: ",
        ),
        (
            "png-other-size",
            "a PNG of another size",
            png(17, 16, fits),
            "FormatError",
            "alpha: 17 x 16; 16 x 16 is expected",
        ),
        (
            "png-text",
            "32 MiB of text within a PNG",
            png(16, 16, fits, between=png_chunk(b"zTXt", b"a\0\0" + much)),
            "FormatError",
            "alpha: .* too large",
        ),
        (
            "png-profile",
            "a colour profile of 32 MiB within a PNG",
            png(16, 16, fits, between=png_chunk(b"iCCP", b"a\0\0" + much)),
            "FormatError",
            "alpha: .* too large",
        ),
        (
            "png-cut",
            "a PNG without its pixels",
            png(16, 16, b""),
            "FormatError",
            "alpha: not a PNG that can be read",
        ),
        (
            "png-no-png",
            "a GIF in place of a PNG",
            b"GIF89a" + bytes(20),
            "FormatError",
            "alpha: not a PNG; 26 bytes start with 47 49 46 38 39 61 00 00",
        ),
    ]
    for name, idea, content, error, message in tries:
        yield Attack(name, idea, alpha + latents(0, content, "A"), error, message)


def payloads() -> Iterator[Attack]:
    """Coded symbols that no encoder writes."""
    one, psnr, old = header(), header(model=PSNR), header(model=CAE2017)
    left = "data is left over after the last symbol"
    yield Attack("payload-empty", "no coded data: the first symbol of each table", one + latents())
    yield Attack(
        "payload-odd",
        "no whole number of words",
        one + latents(0, b"\1\2\3"),
        "FormatError",
        "3 bytes; a whole number of 4-byte words is expected",
    )
    yield Attack(
        "payload-zeros", "4000 zeros", one + latents(0, bytes(4000)), "FormatError", "the last word is zero"
    )
    yield Attack(
        "payload-ones",
        "4000 bytes of ff",
        psnr + latents(0, b"\xff" * 4000),
        "FormatError",
        "an escape of 31 bits; at most 17 are allowed",
    )
    yield Attack(
        "payload-more",
        "64 KiB of coded data where there should be little",
        one + latents(0, b"\1" * (1 << 16)),
        "FormatError",
        left,
    )
    for model, quality, head in (
        ("cae2017", 5000, old),
        ("photo", 5000, one),
        ("photo", 10000, header(quality=10000)),
    ):
        layers = escapes(model, quality, 15, 0)
        coded = b"".join(latents(0, words, kind) for kind, words in zip("LD", layers, strict=False))
        name = f"escapes-{model}-{quality // 100}"
        yield Attack(name, "every symbol an escape of about -16000", head + coded)
    (words,) = escapes("photo", 5000, 16, (1 << 16) - 1)
    yield Attack(
        "escapes-beyond",
        "symbols beyond 16 bits",
        one + latents(0, words),
        "FormatError",
        "an escaped symbol is outside -32768..32767",
    )
    (words,) = escapes("cae2017", 5000, 31, 0)
    yield Attack(
        "escapes-too-long",
        "distances of 31 bits",
        old + latents(0, words),
        "FormatError",
        "an escape of 31 bits; at most 17 are allowed",
    )
    (words,) = escapes("cae2017", 5000, 15, 0)
    yield Attack(
        "payload-cut",
        "runs that end early: half of the words are gone",
        old + latents(0, words[len(words) // 8 * 4 :]),
        "FormatError",
        left,
    )
    yield Attack(
        "payload-of-other-model",
        "latents of cae2017 for photo-psnr",
        psnr + latents(0, words),
        "FormatError",
        "an escape of 31 bits; at most 17 are allowed",
    )


def lossless_layers() -> Iterator[Attack]:
    """Lossless layers that no encoder writes."""
    one, whole, holes = header(), webp(16, 16), webp(16, 16, alpha=0)
    field = "lossless layer: "
    yield Attack("webp-whole", "a lossless layer of one colour, no latents", one + latents(0, whole, "W"))
    yield Attack(
        "webp-empty", "a lossless layer that keeps nothing", one + latents(0, holes, "W") + latents()
    )
    yield Attack(
        "webp-4-megapixels",
        "all of 4 megapixels in 40 bytes",
        header(2048, 2048, cells=32) + latents(0, webp(2048, 2048), "W"),
    )
    misfits = [
        ("other-size", "of another size", webp(17, 16), field + "17 x 16; 16 x 16 is expected"),
        ("huge", "of 2^28 pixels", webp(1 << 14, 1 << 14), field + "16384 x 16384; 16 x 16 is expected"),
        (
            "animated",
            "that is extended, as animations are",
            webp(16, 16, kind=b"VP8X"),
            "WebP .VP8L. is allowed",
        ),
        ("lossy", "that is lossy", webp(16, 16, kind=b"VP8 "), "WebP .VP8L. is allowed"),
        ("png", "that is a PNG", png(16, 16, zlib.compress(bytes(17 * 16))), "WebP .VP8L. is allowed"),
        ("nothing", "of no bytes", b"", field + "0 bytes; a lossless WebP has at least 25"),
        ("more", "with bytes behind it", whole + b"more", field + "a WebP of 34 bytes in 38 bytes"),
        (
            "pixels-cut",
            "without its pixels",
            whole[:4] + b"\x12\0\0\0" + whole[8:16] + b"\x06\0\0\0" + whole[20:26],
            "",
        ),
        ("version", "of a version to come", whole[:24] + b"\x20" + whole[25:], "WebP .VP8L. is allowed"),
    ]
    for name, idea, data, message in misfits:
        yield Attack(
            f"webp-{name}", f"a lossless layer {idea}", one + latents(0, data, "W"), "FormatError", message
        )
    below = [
        (
            "pixels-half",
            "half transparent",
            webp(16, 16, alpha=128),
            field + "alpha is 128; 0 and 255 are allowed",
        ),
        (
            "pixels-all",
            "with alpha and no hole",
            webp(16, 16, alpha=255),
            field + "alpha is 255 throughout",
        ),
        ("over-latents", "without holes, over latents", whole, "has latents under a lossless layer"),
    ]
    for name, idea, data, message in below:
        coded = latents(0, data, "W") + latents()
        yield Attack(f"webp-{name}", f"a lossless layer {idea}", one + coded, "FormatError", message)
    yield Attack(
        "webp-holes",
        "a lossless layer with holes, and no latents",
        one + latents(0, holes, "W"),
        "FormatError",
        "no latents, and not a lossless layer without holes",
    )
    yield Attack(
        "webp-behind-latents",
        "a lossless layer behind the latents",
        one + latents() + latents(0, holes, "W"),
        "FormatError",
        "chunk 'W' is of segment 0; 1 is next",
    )
    yield Attack(
        "webp-twice",
        "two lossless layers",
        one + 2 * latents(0, holes, "W") + latents(),
        "FormatError",
        "chunk 'W' is of segment 0; 1 is next",
    )
    yield Attack(
        "webp-detail",
        "a detail layer over no latents",
        header(quality=10000) + latents(0, whole, "W") + latents(0, kind="D"),
        "FormatError",
        "segment 0 has no latents, but detail",
    )


def clipped_areas() -> Iterator[Attack]:
    """Clipped areas that no encoder writes."""
    one, field = header(), "clipped areas: "
    yield Attack("clipped", "all black", one + latents(0, b"\4\0" + webp(4, 4, 0), "C") + latents())
    misfits = [
        ("nothing", "nothing in it", b"", "it starts with nothing"),
        ("side", "cells of 5 pixels", b"\5\0" + webp(4, 4, 0), "a side of 1, 2, 4, 8, 16"),
        ("margin", "a margin of 64 levels", b"\4\x40" + webp(4, 4, 0), "a margin up to 63"),
        (
            "cells-grey",
            "cells of another grey",
            b"\4\0" + webp(4, 4, 7),
            "a cell is .7, 7, 7.; 0, 128 and 255",
        ),
        ("size", "a map of another size", b"\4\0" + webp(5, 4, 0), "5 x 4; 4 x 4 is expected"),
        ("alpha", "a map with holes", b"\4\0" + webp(4, 4, 0, alpha=0), "opaque and grey"),
    ]
    for name, idea, data, message in misfits:
        coded = latents(0, data, "C") + latents()
        yield Attack(
            f"clipped-{name}", f"clipped areas: {idea}", one + coded, "FormatError", field + f".*{message}"
        )
    areas = latents(0, b"\4\0" + webp(4, 4, 0), "C")
    yield Attack(
        "clipped-alone",
        "clipped areas of no latents",
        one + areas,
        "TruncatedError",
        "segment 0 has clipped, and no latents",
    )
    yield Attack(
        "clipped-lossless",
        "clipped areas of no latents, under a lossless layer",
        one + latents(0, webp(16, 16), "W") + areas,
        "FormatError",
        "segment 0 has no latents, but clipped",
    )


def not_ours() -> Iterator[Attack]:
    """Other files."""
    yield Attack("empty", "nothing", b"", "SignatureError", "starts with nothing")
    yield Attack("signature", "the signature alone", START[:4], "TruncatedError", "ends after 4 bytes")
    yield Attack("version", "signature and version alone", START, "TruncatedError", "before the header chunk")
    yield Attack(
        "version-2",
        "a version to come",
        START[:4] + b"\2" + header()[5:] + latents(),
        "VersionError",
        "format version 2; version 1 is known here",
    )
    yield Attack(
        "png",
        "a PNG renamed",
        png(1, 1, zlib.compress(b"\0\0")),
        "SignatureError",
        "starts with 89 50 4e 47; a .cae starts with 89 43 41 45",
    )
    yield Attack(
        "text-mode",
        "a transfer in text mode lost the eighth bit",
        b"\tCAE" + header()[4:],
        "SignatureError",
        "starts with 09 43 41 45",
    )
    yield Attack(
        "no-header", "latents first", START + latents(), "FormatError", "the first chunk has type 0x4c"
    )


# ---- verdicts


def verdict(path: Path) -> dict[str, str | float]:
    """What becomes of a file: `error` and `message`, both "" if a picture comes out, and what it takes."""
    import caesura

    data = path.read_bytes()
    began = time.perf_counter()
    try:
        caesura.decode(data)
        error = message = ""
    except Exception as refusal:
        error, message = type(refusal).__name__, str(refusal)
    seconds = time.perf_counter() - began
    mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"name": path.stem, "error": error, "message": message, "seconds": seconds, "MiB": mebibytes}


def main() -> None:
    """The command line."""
    if len(sys.argv) > 1:
        for name in sys.argv[1:]:
            print(json.dumps(verdict(Path(name))), flush=True)
        return
    for old in HERE.glob("*.cae"):
        old.unlink()
    rows = []
    for attack in attacks():
        path = HERE / f"{attack.name}.cae"
        path.write_bytes(attack.data)
        done = subprocess.run(
            [sys.executable, __file__, str(path)], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout)
        end = f"{found['error']}: {found['message']}" if found["error"] else "decodes"
        rows.append(
            f"| {attack.idea} | `{path.name}`, {len(attack.data)} bytes | {end.replace('|', '/')} "
            f"| {found['seconds']:.2f} s, {found['MiB']:.0f} MiB |"
        )
        print(rows[-1])
    text = (HERE / "README.md").read_text(encoding="utf-8")
    head = text[: text.index("| idea |")]
    table = ["| idea | file | verdict | took |", "|---|---|---|---|", *rows]
    (HERE / "README.md").write_text(head + "\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
