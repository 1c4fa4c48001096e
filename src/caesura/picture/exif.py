"""EXIF, a TIFF's first directory of tags: what is told apart in it, and how it gets into and out of TIFFs."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Container
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

HEAD = b"II*\0\x08\0\0\0"  # of a TIFF, little-endian; the first directory follows
XMP, ICC = 700, 34675
# Tags that say how a TIFF stores its pixels and what their numbers mean, or where in its file there is more:
# true of one file alone. TIFF 6.0 and its supplements; 37724 has Photoshop's layers; DNG begins at 50706.
LAYOUT = frozenset(
    {*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 301, *range(317, 329)}
    | {330, *range(332, 335), *range(336, 348), *range(512, 522), *range(529, 533), 559, 32781}
    | {*range(32995, 32999), 33421, 33422, *range(34016, 34033), 37724, 40965, *range(50706, 51200)}
)
ORIENTATION = 274
_EXIF, _GPS, _INTEROP = 34665, 34853, 40965
_IPTC = 33723  # bytes, which Photoshop says to be numbers
_BYTES, _TEXT = 1, 2
# Of a TIFF's own tags; what is larger is private data of programs, and no other format has room for it.
_MOST = 1 << 16


def of_image(image: Image.Image) -> bytes:
    """EXIF that Pillow has beside a picture's `info`, if any: set by the caller, or tags of a TIFF.

    Of these, those about pixels are left out, and colour profile and XMP, which travel by themselves.

    Raises:
        Exception: of any kind, if it is damaged.

    Warns:
        UserWarning: a part of it is damaged or too large, and left out.
    """
    # Of the base class: PNG's own would read all pixels first, for what may follow them.
    exif = Image.Image.getexif(image)
    of_file = image.format == "TIFF"
    made = directory(exif, without={*LAYOUT, XMP, ICC} if of_file else (), most=_MOST if of_file else 1 << 24)
    return HEAD + made.tobytes(len(HEAD)) if len(made) else b""


def directory(
    exif: Image.Exif, head: bytes = HEAD, *, without: Container[int] = LAYOUT, most: int = 1 << 24
) -> ImageFileDirectory_v2:
    """EXIF's tags as they are written into a TIFF, with the directories that some of them point to.

    Args:
        exif: as Pillow has it.
        head: the first bytes of the TIFF, which say its kind and order of bytes.
        without: tags to be left out.
        most: bytes of a tag; one that has more is left out.

    Warns:
        UserWarning: tags are damaged or too large, and left out.
    """
    made, lost = ImageFileDirectory_v2(head), []
    there = {*exif, _EXIF, _GPS} if exif else ()  # of these two Pillow may know the directories alone
    for tag in sorted(there):
        if tag in without:
            continue
        try:
            value = _iptc(exif) if tag == _IPTC else _value(exif, tag)
            if value == {}:
                continue
            alone = ImageFileDirectory_v2(head)
            alone[tag] = value
            if len(alone.tobytes()) > most:
                lost.append(tag)
                continue
        except Exception:  # of whatever type the values of a damaged tag are
            lost.append(tag)
            continue
        if tag == _IPTC:
            made.tagtype[tag] = _BYTES
        made[tag] = value
        if tag != _IPTC and isinstance(value, bytes) and isinstance(exif.get(tag), str):
            made.tagtype[tag] = _TEXT
    if lost:
        told = ", ".join(map(str, lost))
        warnings.warn(f"EXIF has damaged or too large tags, {told}, which are left out", stacklevel=2)
    return made


def _value(exif: Image.Exif, tag: int) -> Any:
    if tag not in (_EXIF, _GPS):
        return _coded(exif[tag])
    inner = exif.get(tag)  # a dictionary if the caller set it, otherwise where it lies
    inner = dict(inner if isinstance(inner, dict) else exif.get_ifd(tag))
    if isinstance(inner.get(_INTEROP), int):
        try:
            inner[_INTEROP] = exif.get_ifd(_INTEROP)
        except Exception:  # damaged, or its file is closed; it says little
            del inner[_INTEROP]
    return {name: _coded(value) for name, value in inner.items()}


def _iptc(exif: Image.Exif) -> bytes:
    """As the file has it: Pillow would take the first of several numbers alone.

    Raises:
        TypeError: such a number is all that is left of it.
    """
    read = getattr(getattr(exif, "_info", None), "_tagdata", {})
    value = read[_IPTC] if _IPTC in read else exif[_IPTC]
    if not isinstance(value, bytes):
        raise TypeError(f"IPTC is of type {type(value).__name__}; bytes are allowed")
    return value


def _coded(value: Any) -> Any:
    """Text beyond ASCII as the bytes that it was read from: Pillow would write ? for it."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def orientation(exif: bytes) -> int | None:
    """The orientation that EXIF, without its marker, says: 1 to 8, if any. The rest of it may be damaged.

    A number that is no orientation counts as 1.
    """
    order: Any = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None:
        return None

    def number(start: int, size: int) -> int:
        return int.from_bytes(exif[start : start + size], order)

    first = number(4, 4) + 2
    for entry in range(first, min(first + 12 * number(first - 2, 2), len(exif)), 12):
        if number(entry, 2) == ORIENTATION:
            found = number(entry + 8, {1: 1, 4: 4}.get(number(entry + 2, 2), 2))
            return found if 1 <= found <= 8 else 1
    return None


def oriented(orientation: int) -> bytes:
    """EXIF that says an orientation and nothing else."""
    return HEAD + struct.pack("<HHHIHHI", 1, ORIENTATION, 3, 1, orientation, 0, 0)
