"""A second decoder of a file's symbols, written from docs/FORMAT.md alone: integers, no code of caesura.

`decode(data, folder)` gives, segment by segment, the symbols in the order in which they are coded: for
cae2017 an array (channels, rows, columns); for cae2026 the hyperlatent, then the latents and the detail
layer, pass by pass. It knows nothing of pixels. Whatever breaks a MUST of the format raises `RefusedError`.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Sides = tuple[int, int]  # rows first
Segment = dict[str, bytes]  # coded data by the type of its chunk

FILES = {
    "cae2017": "analysis.onnx synthesis.onnx tables.npz scales.npz prior.npz",
    "cae2026": "analysis.onnx synthesis.onnx hyper_analysis.onnx hyper_synthesis.onnx means_0.onnx"
    " means_1.onnx means_2.onnx means_3.onnx tables.npz scales.npz control.npz detail.npz prior.npz",
}
LAYERS = "WCLDA"
SYMBOLS = range(-32768, 32768)
FIRST_POSITION = [(0, 0), (1, 1), (0, 1), (1, 0)]  # row and column, by corner


class RefusedError(ValueError):
    """The bytes are not a .cae file of version 1 for this bundle."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise RefusedError(what)


# ---- the container


def varint(data: bytes) -> tuple[int, bytes]:
    """A number, and what follows it."""
    value = 0
    for count, byte in enumerate(data[:5]):
        value |= (byte & 127) << 7 * count
        if byte < 128:
            require(byte > 0 or count == 0, "a varint is not of its shortest form")
            return value, data[count + 1 :]
    raise RefusedError("a varint does not end")


def chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Type and payload of each chunk."""
    require(data[:4] == b"\x89CAE", "not a .cae file")
    require(data[4:5] == b"\x01", "another version")
    data = data[5:]
    while data:
        length, rest = varint(data[1:])
        require(length <= 1 << 32 and length + 4 <= len(rest), "a chunk ends too early")
        checked = data[: len(data) - len(rest) + length]
        checksum = int.from_bytes(rest[length : length + 4], "little")
        require(zlib.crc32(checked) == checksum, "a checksum does not match")
        yield chr(data[0]), rest[:length]
        data = rest[length + 4 :]


class Header(NamedTuple):
    model_id: int
    channels: int
    ladder_position: int
    cells: int
    width: int
    height: int

    def segments(self, smallest: int = 1) -> list[Sides]:
        """Height and width of each in pixels, in a picture padded to a smallest side."""
        side = 64 * self.cells
        height, width = max(self.height, smallest), max(self.width, smallest)
        tops, lefts = range(0, self.height, side), range(0, self.width, side)
        return [(min(side, height - y), min(side, width - x)) for y in tops for x in lefts]


def read_header(payload: bytes) -> Header:
    require(len(payload) >= 10, "the header is too short")
    model_id, ladder_position = int.from_bytes(payload[:4], "little"), int.from_bytes(payload[5:7], "little")
    width, rest = varint(payload[8:])
    height, rest = varint(rest)
    header = Header(model_id, payload[4], ladder_position, payload[7], width, height)
    require(not rest, "the header is too long")
    require(header.channels in (1, 2, 3, 4), "channels")
    require(100 <= ladder_position <= 10000, "ladder_position")
    require(1 <= header.cells <= 32, "cells")
    require(1 <= width <= 1 << 20 and 1 <= height <= 1 << 20 and width * height <= 1 << 28, "sides")
    return header


def parse(data: bytes) -> tuple[Header, list[Segment]]:
    """The header and the segments."""
    found = chunks(data)
    kind, payload = next(found, ("", b""))
    require(kind == "H", "the first chunk is not the header")
    header = read_header(payload)
    coded: dict[tuple[int, int], bytes] = {}
    ancillary = set()
    for kind, payload in found:
        if kind in LAYERS:
            number, rest = varint(payload)
            chunk = number, LAYERS.index(kind)
            require(not coded or next(reversed(coded)) < chunk, "segments are out of order")
            coded[chunk] = rest
        else:
            require(not "A" <= kind <= "Z", f"unknown critical chunk {kind!r}")
            require(kind not in "iex" or kind not in ancillary, f"chunk {kind!r} comes twice")
            ancillary.add(kind)
    numbers = list(dict.fromkeys(number for number, _ in coded))
    require(numbers == list(range(len(header.segments()))), "segments are missing")
    segments = [{k: coded[n, i] for i, k in enumerate(LAYERS) if (n, i) in coded} for n in numbers]
    for segment, sides in zip(segments, header.segments(), strict=True):
        covered = "W" in segment and not read_webp(segment["W"], sides)
        require(covered == ("L" not in segment), "latents are missing, or not wanted")
        require(not covered or segment.keys() <= {"W", "A"}, "a layer without latents")
        require(header.channels in (2, 4) or "A" not in segment, "alpha without transparency")
        if "C" in segment:
            side, margin = [*segment["C"][:2], 0, 0][:2]
            require(side in (1, 2, 4, 8, 16) and margin < 64, "clipped areas")
            require(not read_webp(segment["C"][2:], cells(sides, side)), "clipped areas with alpha")
    return header, segments


def read_webp(data: bytes, sides: Sides) -> bool:
    """Whether a lossless WebP of these sides has alpha; its pixels are not symbols of ours."""
    require(data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8L" and data[20:21] == b"/", "no lossless WebP")
    lengths = int.from_bytes(data[4:8], "little"), int.from_bytes(data[16:20], "little")
    require(lengths[0] + 8 == len(data) and lengths[1] + lengths[1] % 2 + 20 == len(data), "other bytes")
    bits = int.from_bytes(data[21:25], "little")
    require(sides == ((bits >> 14) % (1 << 14) + 1, bits % (1 << 14) + 1), "a WebP of other sides")
    require(len(data) > 24 and bits >> 29 == 0, "another version of WebP")
    return bool(bits >> 28)


# ---- the coder


class Table:
    """Symbols `low`, `low + 1`, ... and the escape, whose entry is the last."""

    def __init__(self, low: int, frequencies: list[int]) -> None:
        self.low, self.frequencies, self.starts = low, frequencies, [0, *accumulate(frequencies)]
        self.above = low + len(frequencies) - 1  # the first symbol above those covered
        require(min(frequencies) > 0, "a frequency of 0")
        require(self.starts.pop() == 1 << 24, "frequencies do not sum to 2^24")


@cache
def read_tables(file: bytes) -> list[list[Table]]:
    """Rows of tables of an .npz file; kept, since the same few files are read again and again."""
    arrays = np.load(io.BytesIO(file))
    frequencies = arrays["frequencies"].tolist()
    rows, at = [], 0
    for lows, lengths in zip(arrays["low"].tolist(), arrays["length"].tolist(), strict=True):
        rows.append([])
        for low, length in zip(lows, lengths, strict=True):
            rows[-1].append(Table(low, frequencies[at : at + length]))
            at += length
    require(at == len(frequencies), "frequencies are left")
    return rows


class Coder:
    """A payload on its way to nothing."""

    def __init__(self, payload: bytes) -> None:
        require(len(payload) % 4 == 0, "not a whole number of words")
        self.words = np.frombuffer(payload, "<u4").tolist()
        require(not self.words or self.words[-1] > 0, "the last word is zero")
        self.state = 0
        self.refill()
        self.refill()

    def refill(self) -> None:
        if self.words:
            self.state = self.state << 32 | self.words.pop()

    def advance(self, start: int, frequency: int) -> None:
        self.state = frequency * (self.state >> 24) + (self.state & 0xFFFFFF) - start
        if self.state < 1 << 32:
            self.refill()

    def uniform(self, count: int) -> int:
        each = (1 << 24) // count
        value = min((self.state & 0xFFFFFF) // each, count - 1)
        self.advance(value * each, each if value < count - 1 else (1 << 24) - value * each)
        return value

    def run(self, table: Table, count: int) -> list[int]:
        symbols = []
        for _ in range(count):
            entry = bisect_right(table.starts, self.state & 0xFFFFFF) - 1
            self.advance(table.starts[entry], table.frequencies[entry])
            symbols.append(table.low + entry)
        escapes = [i for i, symbol in enumerate(symbols) if symbol == table.above]
        lengths = [self.uniform(32) for _ in escapes]
        require(max(lengths, default=0) <= 17, "an escape is too long")
        for i, length in zip(escapes, lengths, strict=True):
            v = (1 << length) - 1 + (self.uniform(1 << length) if length else 0)
            symbols[i] = table.low - 1 - (v - 1) // 2 if v % 2 else table.above + v // 2
            require(symbols[i] in SYMBOLS, "a symbol is beyond its range")
        return symbols

    def planes(self, tables: list[Table], rows: int, columns: int) -> Integers:
        """One run each."""
        runs = [self.run(table, rows * columns) for table in tables]
        return np.array(runs, np.int64).reshape(len(tables), rows, columns)

    def finish(self) -> None:
        require(not self.words and self.state == 0, "data are left")


# ---- the models


def magnitude(symbols: Integers) -> Integers:
    """Half the bit length of (1 + |symbol|)^4, rounded down."""
    return np.searchsorted([1 << k for k in range(1, 62, 2)], (1 + abs(symbols)) ** 4, side="right")


def spread(base: Integers, below: Integers, rows: int, columns: int) -> Integers:
    """Sums (channels, rows, columns) of base (planes, channels, n, n) over the planes below."""
    n = base.shape[-1]
    sums = np.empty((base.shape[1], rows, columns), np.int64)
    for y in range(n):
        for x in range(n):
            part = sums[:, y::n, x::n]
            seen = below[:, : part.shape[1], : part.shape[2]]
            part[:] = np.tensordot(base[:, :, y, x].T.astype(np.int64), seen, 1)
    return sums


def passes(coder: Coder, arrays: Any, sums: Integers, least: int) -> tuple[list[Integers], Integers]:
    """The symbols of each of the four passes, in its order, and all of them as planes."""
    near, far, tables = arrays["near"].astype(np.int64), arrays["far"].astype(np.int64), arrays["tables"]
    channels, rows, columns = sums.shape
    symbols, coded = np.zeros_like(sums), []
    for t in range(4):
        seen, index = magnitude(symbols), sums
        if t > 0:
            around = np.pad(seen, ((0, 0), (1, 1), (1, 1)))
            index = sums + np.tensordot(far[t - 1], seen, 1)
            for y in range(3):
                for x in range(3):
                    index += near[t - 1, :, y, x, None, None] * around[:, y : y + rows, x : x + columns]
        index = np.clip((index + 16) // 32, least, 63)
        parts = []
        for corner, (y, x) in enumerate(FIRST_POSITION):
            group = (corner ^ t) * (channels // 4)
            parts.append((slice(group, group + channels // 4), slice(y, None, 2), slice(x, None, 2)))
        indices = np.concatenate([index[part].reshape(-1) for part in parts])
        found = np.zeros_like(indices)
        for i in sorted(set(indices.tolist()) - {0}):
            (where,) = np.nonzero(indices == i)
            found[where] = coder.run(tables[i], len(where))
        coded.append(found)
        for part in parts:
            taken, found = found[: symbols[part].size], found[symbols[part].size :]
            symbols[part] = taken.reshape(symbols[part].shape)
    return coded, symbols


def cells(sides: Sides, size: int) -> Sides:
    """How many cells of that size cover a segment."""
    return -(-sides[0] // size), -(-sides[1] // size)


def decode_cae2017(segment: Segment, sides: Sides, ladder_position: int, bundle: Any) -> list[Integers]:
    tables, coder = bundle["tables"], Coder(segment["L"])
    row = (2 * (ladder_position - 100) * (len(tables) - 1) + 9900) // 19800
    symbols = coder.planes(tables[row], *cells(sides, bundle["stride"]))
    coder.finish()
    return [symbols]


def decode_cae2026(segment: Segment, sides: Sides, ladder_position: int, bundle: Any) -> list[Integers]:
    tables, control, top = bundle["tables"], bundle["control"], bundle["ladder_top"]
    row = (2 * (min(ladder_position, top) - 100) * (len(tables) - 1) + top - 100) // (2 * (top - 100))
    rows, columns = cells(sides, 16)
    coder = Coder(segment["L"])
    hyperlatent = coder.planes(tables[row], *cells(sides, 64))
    sums = spread(control["base"], hyperlatent.clip(-127, 127), rows, columns)
    coded, latents = passes(coder, control, sums + control["bias"][row, :, None, None], 0)
    coder.finish()
    if "D" in segment:
        coder, detail = Coder(segment["D"]), bundle["detail"]
        row = (2 * (ladder_position - top) * (len(detail["bias"]) - 1) + 10000 - top) // (2 * (10000 - top))
        sums = spread(detail["base"], magnitude(latents), 2 * rows, 2 * columns)
        coded += passes(coder, detail, sums + detail["bias"][row, :, None, None], 1)[0]
        coder.finish()
    return [hyperlatent, *coded]


def read_bundle(folder: Path) -> dict[str, Any]:
    """The manifest, the id, and the arrays that matter here."""
    bundle = json.loads(Path(folder, "manifest.json").read_text(encoding="utf-8"))
    files = {name: Path(folder, name).read_bytes() for name in FILES[bundle["architecture"]].split()}
    lines = "".join(f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in files.items())
    bundle["id"] = int.from_bytes(hashlib.sha256(lines.encode()).digest()[:4], "big")
    bundle["tables"] = read_tables(files["tables.npz"])
    if bundle["architecture"] == "cae2026":
        for name in ("control", "detail"):
            content = files[f"{name}.npz"]
            bundle[name] = dict(np.load(io.BytesIO(content))) | {"tables": read_tables(content)[0]}
    return bundle


def decode(data: bytes, folder: Path) -> list[list[Integers]]:
    """Segment by segment, the symbols in the order in which they are coded; none for one without latents.

    Args:
        data: a .cae file.
        folder: of the bundle that coded it.
    """
    header, segments = parse(data)
    bundle = read_bundle(folder)
    require(header.model_id == bundle["id"], "another model")
    detailed = header.ladder_position > bundle["ladder_top"]
    learned = [segment for segment in segments if "L" in segment]
    require(all(("D" in segment) == detailed for segment in learned), "detail is missing, or not wanted")
    architecture = {"cae2017": decode_cae2017, "cae2026": decode_cae2026}[bundle["architecture"]]
    pairs = zip(segments, header.segments(bundle["smallest_side"]), strict=True)
    return [
        architecture(segment, sides, header.ladder_position, bundle) if "L" in segment else []
        for segment, sides in pairs
    ]
