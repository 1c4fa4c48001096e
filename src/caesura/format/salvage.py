"""The undamaged part of a damaged or cut .cae file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from caesura.errors import FormatError, TruncatedError
from caesura.format import chunks
from caesura.format.chunks import ALPHA, CLIPPED, LATENTS, LAYERS, LOSSLESS, METADATA, Chunk
from caesura.format.container import MAX_PIXELS, Header, Payload, read_header, segment_of
from caesura.picture.metadata import Metadata, unpack

_SEARCH = 16
_KNOWN = re.compile(b"[" + bytes([*LAYERS, *METADATA]) + b"]")
_FIRST = {LOSSLESS, CLIPPED, LATENTS}  # that a segment may begin with


class Salvaged(NamedTuple):
    """The undamaged part of a file.

    Attributes:
        header: of the file.
        payload: its segments; None for each whose latents are damaged.
        suspect: numbers of segments that may have lost a layer, with their latents or without.
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
    transparent = header.channels > header.colours
    last = -1
    lost: set[int | None] = set()  # types of the damaged chunks since then
    for chunk in _whole_chunks(data):
        if not isinstance(chunk, Chunk):
            lost.add(chunk)
        elif chunk.kind in LAYERS:
            with contextlib.suppress(FormatError):
                number, start = chunks.read_varint(chunk.data, chunk.body, "segment", chunk.end)
                if last <= number < header.segments:
                    layers[number].setdefault(LAYERS[chunk.kind], chunk.data[start : chunk.end])
                    follows = chunk.kind in _FIRST and number == last + 1
                    if transparent and number > last and (lost if follows else lost & {None, ALPHA}):
                        suspect.add(last)
                    if chunk.kind in _FIRST and lost & {None, LOSSLESS, CLIPPED}:
                        suspect.add(number)
                    last, lost = number, set()
        elif (name := METADATA.get(chunk.kind)) and name not in kept:
            with contextlib.suppress(FormatError):
                kept[name] = unpack(name, chunk.data[chunk.body : chunk.end])
    found = [segment_of(mine) if {"latents", "lossless"} & set(mine) else None for mine in layers]
    if not any(found):
        raise TruncatedError(f"none of {header.segments} segments is left")
    if transparent and (lost or last + 1 < header.segments):
        suspect.add(last)
    return Salvaged(header, Payload(found, Metadata(**kept)), suspect)


def _whole_chunks(data: bytes) -> Iterator[Chunk | int | None]:
    """The chunks behind the header whose checksums are right; where one is not, its type, None if unknown."""
    position = next(chunks.read(data)).next
    effort = _SEARCH * len(data)  # bytes that checksums may be made of: a hostile file must not take for ever
    while position < len(data) and effort > 0:
        chunk: Chunk | None = None
        with contextlib.suppress(FormatError):
            chunk = chunks.read_at(data, position)
            effort -= chunk.next - position
            chunk.verify()
            yield chunk
            position = chunk.next
            continue
        yield data[position] if _KNOWN.match(data, position) else None
        if chunk and _is_start(data, chunk.next):  # its payload alone is wrong
            position = chunk.next
            continue
        for match in _KNOWN.finditer(data, position + 1):
            with contextlib.suppress(FormatError):
                chunk = chunks.read_at(data, match.start())
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
