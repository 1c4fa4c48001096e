"""Metadata in files of other formats: what each can hold of it, and how it is put there."""

from __future__ import annotations

import io
import struct
import warnings
from typing import IO, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from caesura.picture import exif, extended_xmp, metadata
from caesura.picture.metadata import Metadata

# Formats that have a place for colour profile, EXIF and XMP which can be read back; no other has one for any.
HOLDING = frozenset({"AVIF", "HEIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"})
_IN_JPEG = {"icc": 255 * 65519, "exif": 65527}  # bytes; a profile is spread over segments, as XMP is
# Pillow opens no PNG with a longer profile.
_MOST = {"JPEG": _IN_JPEG, "MPO": _IN_JPEG, "PNG": {"icc": 1 << 20}}
_STEP = 1 << 22  # bytes that are moved at a time
_BIG_TIFF = 16  # bytes of its head; of an entry 20


def options(kept: Metadata, kind: str) -> dict[str, Any]:
    """What `Image.save` is told of metadata, for a format by Pillow's name.

    What was kept is written byte for byte, but for EXIF in TIFF, whose tags become the file's own: those
    about pixels and the thumbnail in its second directory are left out. An orientation in XMP is 1 in HEIF
    where EXIF says 1, since pillow-heif would turn by it.

    Warns:
        UserWarning: the format cannot hold some of it, which is left out; of EXIF the orientation stays in
            formats that have a place for EXIF.
    """
    kept = _held(kept, kind)
    told: dict[str, Any] = dict(metadata.to_info(kept))
    if kind == "AVIF" and kept.exif:
        told["exif"] = _Whole(told["exif"], metadata.orientation(kept))
    if kind == "PNG" and kept.xmp:
        told["pnginfo"] = PngInfo()
        told["pnginfo"].add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + kept.xmp)
    if kind in ("JPEG", "MPO") and len(kept.xmp or b"") > extended_xmp.MOST:
        told["extra"] = extended_xmp.segments(told.pop("xmp"))
    if kind == "TIFF" and (kept.exif or kept.xmp):
        told["tiffinfo"] = _tags(kept, exif.HEAD)
    return told


class _Whole(Image.Exif):
    """EXIF that is written byte for byte into an AVIF, which gets the turn besides.

    Pillow takes the orientation out, and would write the rest anew: without the thumbnail, and with text in
    ASCII alone.
    """

    def __init__(self, content: bytes, turn: int) -> None:
        super().__init__()
        self._content = content
        self[exif.ORIENTATION] = turn

    def __bool__(self) -> bool:
        return True

    def tobytes(self, offset: int = 8) -> bytes:
        return self._content


def _held(kept: Metadata, kind: str) -> Metadata:
    """What of it a format can hold."""
    there = dict(kept.items())
    if kind not in HOLDING:
        if there:
            lost = ", ".join(f"{name} ({len(content)} bytes)" for name, content in there.items())
            warnings.warn(f"{kind} cannot hold {lost}, which is left out", stacklevel=3)
        return Metadata()
    for name, most in _MOST.get(kind, {}).items():
        if len(there.get(name, b"")) > most:
            got = f"{name} has {len(there.pop(name))} bytes"
            warnings.warn(f"{got} and is left out; {kind} can hold {most}", stacklevel=3)
    if "exif" in there and kind in (*metadata.TURNING, "TIFF"):
        try:
            tags, wrong = _parsed(there["exif"])
            if kind in metadata.TURNING:
                read = tags.get(exif.ORIENTATION, 1)
                if wrong or (read if read in range(1, 9) else 1) != (exif.orientation(there["exif"]) or 1):
                    raise ValueError(wrong or "its orientation is not found")
                tags.tobytes()
            elif wrong:
                warnings.warn(f"exif is damaged ({wrong}); {kind} gets what can be read of it", stacklevel=3)
        except Exception as error:  # whatever a damaged structure leads Pillow into
            del there["exif"]
            got = f"exif is damaged ({error or repr(error)})"
            warnings.warn(f"{got} and is left out; {kind} needs to read it", stacklevel=3)
    turn = exif.orientation(kept.exif or b"")
    if turn is None and kind in metadata.TURNING and metadata.orientation(kept) != 1:
        turn = metadata.orientation(kept)
    if turn and "exif" not in there:
        there["exif"] = exif.oriented(turn)
    if kind == "HEIF" and turn == 1 and kept.xmp:
        there["xmp"] = metadata.unturned(kept.xmp)
    return Metadata(**there)


def _parsed(content: bytes) -> tuple[Image.Exif, str]:
    """EXIF as Pillow reads it, and what is wrong with it."""
    tags = Image.Exif()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tags.load(content)
    return tags, "; ".join(str(warning.message).strip() for warning in caught)


def _tags(kept: Metadata, head: bytes) -> ImageFileDirectory_v2:
    """EXIF and XMP as tags of a TIFF that begins with `head`."""
    content = kept.exif or b""
    tags = exif.directory(_parsed(content)[0], head, without={*exif.LAYOUT, exif.XMP, exif.ICC})
    if turn := exif.orientation(content):  # even of a directory that is cut
        tags[exif.ORIENTATION] = turn
    if kept.xmp:
        tags[exif.XMP] = kept.xmp
    return tags


def put(file: IO[bytes], kind: str, mode: str, kept: Metadata) -> None:
    """Put metadata into a JPEG, PNG, WebP or big TIFF that libvips has written.

    It is there as Pillow would have written it, in the place of what libvips writes by itself: that changes
    EXIF, and puts none into TIFFs.

    Args:
        file: open for reading and writing.
        kind: its format, by Pillow's name.
        mode: of the picture, by Pillow's name.
        kept: the metadata.

    Warns:
        UserWarning: as `options`.
    """
    if kind == "TIFF":
        _put_tags(file, _held(kept, kind))
        return
    small = io.BytesIO()  # a picture with the same blocks around its pixels
    Image.new(mode, (1, 1)).save(small, kind, lossless=True, **options(kept, kind))
    if kind == "WEBP":
        _put_chunks(file, small, alpha=mode.endswith("A"))
    else:
        between = _segments if kind == "JPEG" else _chunks
        start, stop = between(small)
        _replace(file, *between(file), small.getvalue()[start:stop])


def _segments(jpeg: IO[bytes]) -> tuple[int, int]:
    """Where a JPEG's application segments begin and end."""
    at = 2
    jpeg.seek(at)
    while (head := jpeg.read(4))[1] & 0xF0 == 0xE0:
        at += 2 + int.from_bytes(head[2:], "big")
        jpeg.seek(at)
    return 2, at


def _chunks(png: IO[bytes]) -> tuple[int, int]:
    """Where a PNG's chunks between header and pixels begin and end."""
    at = 33
    png.seek(at)
    while (head := png.read(8))[4:] != b"IDAT":
        at += 12 + int.from_bytes(head[:4], "big")
        png.seek(at)
    return 33, at


def _replace(file: IO[bytes], start: int, stop: int, content: bytes) -> None:
    """Put other bytes in the place of those from `start` to before `stop`."""
    end = file.seek(0, io.SEEK_END)
    by = start + len(content) - stop
    places = range(stop, end, _STEP)
    for place in (reversed(places) if by > 0 else places) if by else ():
        file.seek(place)
        part = file.read(min(_STEP, end - place))
        file.seek(place + by)
        file.write(part)
    file.seek(start)
    file.write(content)
    file.truncate(end + by)


def _put_chunks(file: IO[bytes], small: io.BytesIO, *, alpha: bool) -> None:
    """Into a WebP: the chunks around the pixels of `small`, in the place of its own."""
    start, stop = _pixels(small)
    content = small.getvalue()
    before, after = bytearray(content[12:start]), content[stop:]
    start, stop = _pixels(file)
    file.seek(start + 9)
    sides = int.from_bytes(file.read(4), "little")  # of 14 bits each, less 1
    if before:  # a chunk VP8X, and perhaps a profile
        before[8] |= 0x10 * alpha
        before[12:18] = (sides & 0x3FFF).to_bytes(3, "little") + (sides >> 14 & 0x3FFF).to_bytes(3, "little")
    _replace(file, stop, file.seek(0, io.SEEK_END), after)
    _replace(file, 12, start, bytes(before))
    size = file.seek(0, io.SEEK_END) - 8
    file.seek(4)
    file.write(size.to_bytes(4, "little"))


def _pixels(webp: IO[bytes]) -> tuple[int, int]:
    """Where the chunk of a lossless WebP's pixels begins and ends."""
    at = 12
    while True:
        webp.seek(at)
        head = webp.read(8)
        size = int.from_bytes(head[4:], "little")
        end = at + 8 + size + size % 2
        if head[:4] == b"VP8L":
            return at, end
        at = end


def _put_tags(file: IO[bytes], kept: Metadata) -> None:
    """Into a big TIFF: another directory at the end, of the old one's tags about pixels and of these."""
    file.seek(0)
    head = file.read(_BIG_TIFF)
    order = "<" if head[:2] == b"II" else ">"
    file.seek(*struct.unpack(f"{order}Q", head[8:]))
    (count,) = struct.unpack(f"{order}Q", file.read(8))
    entries = [file.read(20) for _ in range(count)]
    old = [entry for entry in entries if struct.unpack(f"{order}H", entry[:2])[0] in exif.LAYOUT]
    tags = _tags(kept, head)
    if kept.icc:
        tags[exif.ICC] = kept.icc
    end = file.seek(0, io.SEEK_END)
    at = end + end % 8
    made = tags.tobytes(at + 20 * len(old))
    rest = 8 + 20 * len(tags)
    new = [made[place : place + 20] for place in range(8, rest, 20)]
    new = sorted(old + new, key=lambda entry: int(struct.unpack(f"{order}H", entry[:2])[0]))
    file.seek(at)
    file.write(struct.pack(f"{order}Q", len(new)) + b"".join(new) + made[rest:])
    file.seek(8)
    file.write(struct.pack(f"{order}Q", at))
