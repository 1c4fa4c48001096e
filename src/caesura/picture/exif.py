"""EXIF as bytes: from a Pillow image, as a TIFF directory, and its orientation."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:  # takes longer to import than PIL.Image does, and few pictures need it
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

HEAD = b"II*\0\x08\0\0\0"  # header of a little-endian TIFF; the first directory follows
XMP, ICC = 700, 34675
# Tags of how a TIFF stores its pixels, of what samples mean, or of offsets in the file, so that they hold
# for that file only. TIFF 6.0 and its supplements; 37724 has Photoshop's layers; DNG begins at 50706.
LAYOUT = frozenset(
    {*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 301, *range(317, 329)}
    | {330, *range(332, 335), *range(336, 348), *range(512, 522), *range(529, 533), 559, 32781}
    | {*range(32995, 32999), 33421, 33422, *range(34016, 34033), 37724, 40965, *range(50706, 51200)}
)
ORIENTATION = 274
_EXIF, _GPS, _INTEROP = 34665, 34853, 40965
_IPTC = 33723  # bytes, whose type is 32-bit integers in files of Photoshop
_BYTES, _TEXT = 1, 2
_MAX_TIFF_TAG = 1 << 16  # bytes; larger tags of a TIFF are private data, for which other formats have no room
_MAX_TAG = 1 << 24


def from_image(image: Image.Image) -> bytes:
    """EXIF that a Pillow image has outside `info`; empty if there is none.

    The caller may have set it by `getexif`, or it is a TIFF's tags without those of the pixels' layout, ICC
    profile and XMP.

    Raises:
        Exception: of any type, if it is damaged.

    Warns:
        UserWarning: tags are damaged or too large, and left out.
    """
    # The base class's method: PNG's own loads all pixels first, since EXIF may follow them.
    exif = Image.Image.getexif(image)
    if not exif:
        return b""
    if image.format == "TIFF":
        made = directory(exif, exclude={*LAYOUT, XMP, ICC}, max_bytes=_MAX_TIFF_TAG)
    else:
        made = directory(exif, exclude=())
    return HEAD + made.tobytes(len(HEAD)) if len(made) else b""


def directory(
    exif: Image.Exif,
    head: bytes = HEAD,
    *,
    exclude: Container[int] = LAYOUT,
    max_bytes: int = _MAX_TAG,
) -> ImageFileDirectory_v2:
    """EXIF as a TIFF directory, with its EXIF and GPS directories.

    Args:
        exif: from Pillow.
        head: the first bytes of the TIFF, which give its kind and byte order.
        exclude: tags to be left out.
        max_bytes: of a tag; larger ones are left out.

    Warns:
        UserWarning: tags are damaged or too large, and left out.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    made, lost = ImageFileDirectory_v2(head), []
    tags = (
        {*exif, _EXIF, _GPS} if exif else ()
    )  # Pillow may have the directories of these two without the tags
    for tag in sorted(tags):
        if tag in exclude:
            continue
        try:
            value = _iptc(exif) if tag == _IPTC else _value(exif, tag)
            if value == {}:
                continue
            alone = ImageFileDirectory_v2(head)
            alone[tag] = value
            if len(alone.tobytes()) > max_bytes:
                lost.append(tag)
                continue
        except Exception:  # Pillow raises errors of many types for the values of damaged tags
            lost.append(tag)
            continue
        if tag == _IPTC:
            made.tagtype[tag] = _BYTES
        made[tag] = value
        if tag != _IPTC and isinstance(value, bytes) and isinstance(exif.get(tag), str):
            made.tagtype[tag] = _TEXT
    if lost:
        numbers = ", ".join(map(str, lost))
        warnings.warn(f"EXIF has damaged or too large tags, {numbers}, which are left out", stacklevel=2)
    return made


def _value(exif: Image.Exif, tag: int) -> Any:
    if tag not in (_EXIF, _GPS):
        return _encoded(exif[tag])
    inner = exif.get(tag)  # a dictionary if the caller set it, otherwise an offset
    inner = dict(inner if isinstance(inner, dict) else exif.get_ifd(tag))
    if isinstance(inner.get(_INTEROP), int):
        try:
            inner[_INTEROP] = exif.get_ifd(_INTEROP)
        except Exception:  # damaged, or the file is closed; it is of little use
            del inner[_INTEROP]
    return {name: _encoded(value) for name, value in inner.items()}


def _iptc(exif: Image.Exif) -> bytes:
    """The bytes of the IPTC tag; where its type is integers, Pillow would return only the first.

    Raises:
        TypeError: the bytes are not available any more.
    """
    read = getattr(getattr(exif, "_info", None), "_tagdata", {})
    value = read[_IPTC] if _IPTC in read else exif[_IPTC]
    if not isinstance(value, bytes):
        raise TypeError(f"IPTC is of type {type(value).__name__}; bytes are allowed")
    return value


def _encoded(value: Any) -> Any:
    """Non-ASCII text as the bytes it was read from, for which Pillow would write "?"; others unchanged."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def orientation(exif: bytes) -> int | None:
    """The orientation in EXIF without its marker: 1 to 8, or None if it has none. The rest may be damaged.

    Numbers that are not allowed count as 1.
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


def with_orientation(orientation: int) -> bytes:
    """EXIF of one tag, the orientation, 1 to 8."""
    return HEAD + struct.pack("<HHHIHHI", 1, ORIENTATION, 3, 1, orientation, 0, 0)
