"""Metadata written into files of other formats, as far as each can hold it."""

from __future__ import annotations

import io
import struct
import warnings
from typing import IO, TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from caesura.picture import exif, extended_xmp, metadata
from caesura.picture.metadata import ROTATING, Metadata

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

# Formats that Pillow writes and reads ICC profile, EXIF and XMP in; other formats hold none of them.
FORMATS = frozenset({"AVIF", "HEIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"})
_MAX_JPEG = {"icc": 255 * 65519, "exif": 65527}  # bytes; ICC profile and XMP take several segments
# Pillow opens no PNG with a longer profile.
_MAX_BYTES = {"JPEG": _MAX_JPEG, "MPO": _MAX_JPEG, "PNG": {"icc": 1 << 20}}
_STEP = 1 << 22  # bytes that are moved at a time
_BIG_TIFF_HEAD, _BIG_TIFF_ENTRY = 16, 20  # bytes


def options(kept: Metadata, kind: str) -> dict[str, Any]:
    """The arguments of `Image.save` that write the metadata.

    It is written byte for byte, with two exceptions. EXIF in TIFF becomes the file's own tags, without those
    of the pixels' layout and without the thumbnail in the second directory. In HEIF an orientation in XMP
    becomes 1 where EXIF has 1, since pillow-heif would apply it.

    Args:
        kept: the metadata.
        kind: Pillow's name of the format.

    Warns:
        UserWarning: the format cannot hold some of it, which is left out; formats with EXIF get at least its
            orientation.
    """
    kept = _holdable(kept, kind)
    arguments: dict[str, Any] = dict(metadata.to_info(kept))
    if kind == "AVIF" and kept.exif:
        arguments["exif"] = _UnchangedExif(arguments["exif"], metadata.orientation(kept))
    if kind == "PNG" and kept.xmp:
        arguments["pnginfo"] = PngInfo()
        arguments["pnginfo"].add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + kept.xmp)
    if kind in ("JPEG", "MPO") and len(kept.xmp or b"") > extended_xmp.MAX_BYTES:
        arguments["extra"] = extended_xmp.segments(arguments.pop("xmp"))
    if kind == "TIFF" and (kept.exif or kept.xmp):
        arguments["tiffinfo"] = _tags(kept, exif.HEAD)
    return arguments


class _UnchangedExif(Image.Exif):
    """EXIF that Pillow writes byte for byte into an AVIF, with the orientation as the format's own.

    Pillow would remove the orientation and serialize the rest without the thumbnail and non-ASCII text.
    """

    def __init__(self, content: bytes, orientation: int) -> None:
        super().__init__()
        self._content = content
        self[exif.ORIENTATION] = orientation

    def __bool__(self) -> bool:
        return True

    def tobytes(self, offset: int = 8) -> bytes:
        return self._content


def _holdable(kept: Metadata, kind: str) -> Metadata:
    """What a format can hold of the metadata; warns of the rest."""
    held = dict(kept.items())
    if kind not in FORMATS:
        if held:
            lost = ", ".join(f"{name} ({len(content)} bytes)" for name, content in held.items())
            warnings.warn(f"{kind} cannot hold {lost}, which is left out", stacklevel=3)
        return Metadata()
    for name, most in _MAX_BYTES.get(kind, {}).items():
        if len(held.get(name, b"")) > most:
            got = f"{name} has {len(held.pop(name))} bytes"
            warnings.warn(f"{got} and is left out; {kind} can hold {most}", stacklevel=3)
    if "exif" in held and kind in (*ROTATING, "TIFF"):
        try:
            tags, problem = _parsed(held["exif"])
            if kind in ROTATING:
                read = tags.get(exif.ORIENTATION, 1)
                if problem or (read if read in range(1, 9) else 1) != (exif.orientation(held["exif"]) or 1):
                    raise ValueError(problem or "its orientation is not found")
                tags.tobytes()
            elif problem:
                got = f"exif is damaged ({problem})"
                warnings.warn(f"{got}; {kind} gets the tags that can be read", stacklevel=3)
        except Exception as error:  # Pillow raises errors of many types for damaged EXIF
            del held["exif"]
            got = f"exif is damaged ({error or repr(error)})"
            warnings.warn(f"{got} and is left out; {kind} allows only EXIF that can be read", stacklevel=3)
    orientation = exif.orientation(kept.exif or b"")
    if orientation is None and kind in ROTATING and metadata.orientation(kept) != 1:
        orientation = metadata.orientation(kept)
    if orientation and "exif" not in held:
        held["exif"] = exif.with_orientation(orientation)
    if kind == "HEIF" and orientation == 1 and kept.xmp:
        held["xmp"] = metadata.reset_orientation(kept.xmp)
    return Metadata(**held)


def _parsed(content: bytes) -> tuple[Image.Exif, str]:
    """EXIF as Pillow reads it, and the messages of its warnings."""
    tags = Image.Exif()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tags.load(content)
    return tags, "; ".join(str(warning.message).strip() for warning in caught)


def _tags(kept: Metadata, head: bytes) -> ImageFileDirectory_v2:
    """EXIF and XMP as the directory of a TIFF whose header is `head`."""
    content = kept.exif or b""
    tags = exif.directory(_parsed(content)[0], head, exclude={*exif.LAYOUT, exif.XMP, exif.ICC})
    if orientation := exif.orientation(content):  # found in a truncated directory, too
        tags[exif.ORIENTATION] = orientation
    if kept.xmp:
        tags[exif.XMP] = kept.xmp
    return tags


def insert(file: IO[bytes], kind: str, mode: str, kept: Metadata) -> None:
    """Insert metadata into a JPEG, PNG, WebP or BigTIFF that libvips has written, as Pillow would write it.

    It replaces the metadata that libvips writes: that changes EXIF, and writes none into TIFFs.

    Args:
        file: open for reading and writing.
        kind: Pillow's name of the format.
        mode: Pillow's mode of the picture.
        kept: the metadata.

    Warns:
        UserWarning: as `options`.
    """
    if kind == "TIFF":
        _insert_tags(file, _holdable(kept, kind))
        return
    small = io.BytesIO()  # a picture of one pixel with the same metadata
    Image.new(mode, (1, 1)).save(small, kind, lossless=True, **options(kept, kind))
    if kind == "WEBP":
        _replace_chunks(file, small, alpha=mode.endswith("A"))
    else:
        find = _segments if kind == "JPEG" else _chunks
        start, stop = find(small)
        _replace(file, *find(file), small.getvalue()[start:stop])


def _segments(jpeg: IO[bytes]) -> tuple[int, int]:
    """Start and end of a JPEG's application segments."""
    offset = 2
    jpeg.seek(offset)
    while (head := jpeg.read(4))[1] & 0xF0 == 0xE0:
        offset += 2 + int.from_bytes(head[2:], "big")
        jpeg.seek(offset)
    return 2, offset


def _chunks(png: IO[bytes]) -> tuple[int, int]:
    """Start and end of a PNG's chunks between header and pixels."""
    offset = 33
    png.seek(offset)
    while (head := png.read(8))[4:] != b"IDAT":
        offset += 12 + int.from_bytes(head[:4], "big")
        png.seek(offset)
    return 33, offset


def _replace(file: IO[bytes], start: int, stop: int, content: bytes) -> None:
    """Replace the bytes from `start` to before `stop`, moving what follows in blocks."""
    end = file.seek(0, io.SEEK_END)
    shift = start + len(content) - stop
    offsets = range(stop, end, _STEP)
    for offset in (reversed(offsets) if shift > 0 else offsets) if shift else ():
        file.seek(offset)
        block = file.read(min(_STEP, end - offset))
        file.seek(offset + shift)
        file.write(block)
    file.seek(start)
    file.write(content)
    file.truncate(end + shift)


def _replace_chunks(file: IO[bytes], small: io.BytesIO, *, alpha: bool) -> None:
    """Replace a WebP's chunks before and after the pixels by those of `small`."""
    start, stop = _pixels(small)
    content = small.getvalue()
    before, after = bytearray(content[12:start]), content[stop:]
    start, stop = _pixels(file)
    file.seek(start + 9)
    sides = int.from_bytes(file.read(4), "little")  # width - 1 and height - 1 in 14 bits each
    if before:  # a VP8X chunk, and perhaps an ICC profile
        before[8] |= 0x10 * alpha
        before[12:18] = (sides & 0x3FFF).to_bytes(3, "little") + (sides >> 14 & 0x3FFF).to_bytes(3, "little")
    _replace(file, stop, file.seek(0, io.SEEK_END), after)
    _replace(file, 12, start, bytes(before))
    size = file.seek(0, io.SEEK_END) - 8
    file.seek(4)
    file.write(size.to_bytes(4, "little"))


def _pixels(webp: IO[bytes]) -> tuple[int, int]:
    """Start and end of the chunk of a lossless WebP's pixels."""
    offset = 12
    while True:
        webp.seek(offset)
        head = webp.read(8)
        size = int.from_bytes(head[4:], "little")
        end = offset + 8 + size + size % 2
        if head[:4] == b"VP8L":
            return offset, end
        offset = end


def _insert_tags(file: IO[bytes], kept: Metadata) -> None:
    """Append a directory to a BigTIFF, of the metadata and the old directory's tags of the pixels' layout."""
    file.seek(0)
    head = file.read(_BIG_TIFF_HEAD)
    order = "<" if head[:2] == b"II" else ">"
    file.seek(*struct.unpack(f"{order}Q", head[8:]))
    (count,) = struct.unpack(f"{order}Q", file.read(8))
    entries = [file.read(_BIG_TIFF_ENTRY) for _ in range(count)]
    old = [entry for entry in entries if struct.unpack(f"{order}H", entry[:2])[0] in exif.LAYOUT]
    tags = _tags(kept, head)
    if kept.icc:
        tags[exif.ICC] = kept.icc
    end = file.seek(0, io.SEEK_END)
    offset = end + end % 8
    made = tags.tobytes(offset + _BIG_TIFF_ENTRY * len(old))
    rest = 8 + _BIG_TIFF_ENTRY * len(tags)
    new = [made[start : start + _BIG_TIFF_ENTRY] for start in range(8, rest, _BIG_TIFF_ENTRY)]
    new = sorted(old + new, key=lambda entry: int(struct.unpack(f"{order}H", entry[:2])[0]))
    file.seek(offset)
    file.write(struct.pack(f"{order}Q", len(new)) + b"".join(new) + made[rest:])
    file.seek(8)
    file.write(struct.pack(f"{order}Q", offset))
