"""Files that are almost .cae files: chunks are altered and put together again with checksums that fit."""

from __future__ import annotations

import dataclasses
import functools
import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import caesura
from caesura.format import container
from caesura.format.container import Payload
from caesura.picture import webp

MAX_PIXELS = 4096  # that a target decodes
GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
START = b"\x89CAE\x01"
KINDS = b"HWCLDAiexBZz\x00\xff"
NUMBERS = [
    0,
    1,
    2,
    3,
    15,
    31,
    32,
    33,
    63,
    64,
    65,
    127,
    128,
    255,
    4096,
    1 << 14,
    1 << 20,
    (1 << 20) + 1,
    1 << 32,
]
QUALITIES = [0, 99, 100, 5000, 7199, 7200, 7201, 9999, 10000, 10001, 65535]
PNG = b"\x89PNG\r\n\x1a\n"

Chunk = tuple[int, bytes]  # type and payload
Alter = Callable[[bytes], bytes]


@functools.cache
def seeds() -> list[bytes]:
    """Small golden files, and pictures of each kind: several segments, a detail layer, alpha, metadata."""
    golden = [path.read_bytes() for path in sorted(GOLDEN.glob("*.cae"))]
    sizes = [(header.width, header.height) for header in map(caesura.read_header, golden)]
    made = [data for data, (width, height) in zip(golden, sizes, strict=True) if width * height <= MAX_PIXELS]
    y, x = np.mgrid[:40, :80]
    waves = np.stack([128 + 100 * np.sin(x / 5), 128 + 100 * np.cos(y / 7), 3 * x], -1).astype(np.uint8)
    alpha = np.dstack([waves, (2 * x).astype(np.uint8)])
    picture = Image.fromarray(waves[:20, :20])
    picture.info.update(icc_profile=b"profile", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", xmp=b"<x/>")
    encode = functools.partial(caesura.encode, segment_side=64)
    for model in ("cae2017", "photo", "photo-psnr"):
        made += [encode(waves, quality=quality, model=model) for quality in (1, 50, 100)]
    made.append(encode(alpha, quality=90, model="photo"))
    made.append(encode(alpha[:, :, [0, 3]], quality=30, model="cae2017"))
    made.append(encode(picture, quality=30, model="photo"))
    made += [layered(encode(waves[:, :60], quality=quality, model="photo")) for quality in (50, 90)]
    made.append(encode(waves // 64 * 64, quality=50, model="photo"))  # lossless as a whole
    return made


def layered(data: bytes) -> bytes:
    """A file of one segment of 64 pixels with a lossless layer and clipped areas on top."""
    header, payload = container.read(data)
    (segment,) = payload.segments
    assert segment is not None
    kept = np.indices((header.height, header.width)).sum(axis=0) % 40 < 16
    rgb = np.where(kept[..., None], [200, 0, 40], 7).astype(np.uint8)
    cells = np.full((-(-header.height // 4), -(-header.width // 4), 3), 128, np.uint8)
    cells[:3], cells[4:6] = 255, 0
    layers = {"lossless": webp.encode(rgb, kept), "clipped": b"\x04\x14" + webp.encode(cells)}
    return container.write(header, Payload([dataclasses.replace(segment, **layers)], payload.metadata))


def varint(value: int) -> bytes:
    """LEB128."""
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def split(data: bytes) -> list[Chunk] | None:
    """The chunks of a file, whatever their checksums; None if it is not a sequence of chunks."""
    found, at = [], len(START)
    while at < len(data):
        length = shift = 0
        for count in range(1, 6):
            if at + count >= len(data):
                return None
            length |= (data[at + count] & 0x7F) << shift
            shift += 7
            if data[at + count] < 0x80:
                break
        body = at + count + 1
        if body + length + 4 > len(data):
            return None
        found.append((data[at], data[body : body + length]))
        at = body + length + 4
    return found


def join(chunks: list[Chunk]) -> bytes:
    """The mirror of `split`, with checksums that fit."""
    return START + b"".join(chunk(kind, payload) for kind, payload in chunks)


def chunk(kind: int, payload: bytes) -> bytes:
    """One chunk."""
    body = bytes([kind]) + varint(len(payload)) + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def altered_bytes(rng: random.Random, data: bytes) -> bytes:
    """A few bytes changed, removed, repeated or put in."""
    result = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(result) + 1)
        match rng.randrange(6):
            case 0 | 1:
                if at < len(result):
                    result[at] ^= rng.choice([1 << rng.randrange(8), rng.randrange(1, 256)])
            case 2:
                del result[at : at + rng.choice([1, 4, rng.randrange(1, 40)])]
            case 3:
                result[at:at] = rng.randbytes(rng.choice([1, 4, 8]))
            case 4:
                result[at : at + 4] = rng.choice([b"\0" * 4, b"\xff" * 4, rng.randbytes(4)])
            case _:
                result[at:at] = result[at : at + rng.randrange(40)]
    return bytes(result)


def altered(data: bytes, rng: random.Random, alter: Alter | None = None) -> bytes:
    """A file made from another; most often its checksums fit.

    Args:
        data: the file.
        rng: makes every choice.
        alter: makes bytes of a payload into others.
    """
    alter = alter or functools.partial(altered_bytes, rng)
    chunks = split(data)
    if not chunks or rng.random() < 0.1:
        return alter(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        _alter_one(chunks, rng, alter)
        if not chunks:
            break
    result = join(chunks)
    return altered_bytes(rng, result) if rng.random() < 0.05 else result


def _alter_one(chunks: list[Chunk], rng: random.Random, alter: Alter) -> None:
    if not chunks:
        return
    at = rng.randrange(len(chunks))
    kind, payload = chunks[at]
    match rng.randrange(10):
        case 0 | 1 | 2 | 3:
            chunks[at] = kind, _payload(kind, payload, rng, alter)
        case 4 | 5:
            position = next((i for i, one in enumerate(chunks) if one[0] == ord("H")), at)
            chunks[position] = ord("H"), _header(chunks[position][1], rng)
        case 6:
            del chunks[at]
        case 7:
            chunks.insert(rng.randrange(len(chunks) + 1), (kind, payload))
        case 8:
            chunks[at] = rng.choice(KINDS), payload
        case _:
            others = split(rng.choice(seeds())) or chunks
            chunks.insert(rng.randrange(len(chunks) + 1), rng.choice(others))


def _header(payload: bytes, rng: random.Random) -> bytes:
    """One field changed, as far as it is a header."""
    fixed = bytearray(payload[:8].ljust(8, b"\0"))
    sides = payload[8:]
    match rng.randrange(6):
        case 0:
            fixed[4] = rng.randrange(6)
        case 1:
            fixed[5:7] = struct.pack("<H", rng.choice([*QUALITIES, rng.randrange(100, 10001)]))
        case 2:
            fixed[7] = rng.choice([0, 1, 2, 32, 33, 255])
        case 3:
            fixed[:4] = rng.choice(seeds())[7:11]
        case 4:
            sides = varint(rng.choice(NUMBERS)) + varint(rng.choice(NUMBERS))
        case _:
            sides = varint(rng.randrange(1, 100)) + varint(rng.randrange(1, 41))
    return bytes(fixed) + sides


def _payload(kind: int, payload: bytes, rng: random.Random, alter: Alter) -> bytes:
    """Altered in a way that suits the type."""
    if kind in b"LDA" and payload:
        coded = _png(payload[1:], rng, alter) if kind == ord("A") else _words(payload[1:], rng, alter)
        number = varint(rng.choice(NUMBERS)) if rng.random() < 0.15 else payload[:1]
        return number + coded
    if kind in b"iex":
        try:
            content = zlib.decompressobj().decompress(payload, 1 << 16)
        except zlib.error:
            content = b""
        return rng.choice([alter(payload), zlib.compress(alter(content)), zlib.compress(bytes(1 << 18))])
    return alter(payload)


def _words(data: bytes, rng: random.Random, alter: Alter) -> bytes:
    """What the coder may take for a payload, most often of whole words."""
    whole = len(data) // 4
    match rng.randrange(5):
        case 0:
            return rng.choice([b"\0", b"\xff", b"\x01"]) * (4 * rng.randrange(20)) + rng.randbytes(4)
        case 1:
            return data[: 4 * rng.randrange(whole + 1)]
        case 2:
            return rng.randbytes(4 * rng.randrange(60))
        case 3:
            return alter(data)
        case _:
            return alter(data)[: 4 * whole]


def _png(data: bytes, rng: random.Random, alter: Alter) -> bytes:
    """A PNG with one chunk altered and its checksum repaired, or of another size and mode."""
    if rng.random() < 0.3:
        return alter(data)
    if rng.random() < 0.3:
        stream = io.BytesIO()
        mode = rng.choice(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
        Image.new(mode, (rng.randrange(1, 100), rng.randrange(1, 100))).save(stream, "PNG")
        return stream.getvalue()
    parts, at = [], len(PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not parts:
        return alter(data)
    position = rng.randrange(len(parts))
    name, content = parts[position]
    match rng.randrange(4):
        case 0:
            parts.insert(
                position, (rng.choice([b"zTXt", b"iCCP", b"tRNS", b"acTL", b"fdAT", b"eXIf"]), content)
            )
        case 1:
            del parts[position]
        case _:
            parts[position] = name, alter(content)
    checked = ((len(c).to_bytes(4, "big"), n + c) for n, c in parts)
    return PNG + b"".join(size + body + zlib.crc32(body).to_bytes(4, "big") for size, body in checked)
