"""ICC profile, EXIF and XMP as bytes, and as they are stored in a .cae file."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, fields

from caesura.errors import FormatError, LimitError

MAX_BYTES = 1 << 24  # of each kind of metadata
ROTATING = ("AVIF", "HEIF")  # formats with an orientation of their own, which Pillow reports as EXIF's
EXIF_MARKER = b"Exif\0\0"  # precedes EXIF in a JPEG and in Pillow's `info`
_PILLOW_NAMES = {"icc": "icc_profile", "exif": "exif", "xmp": "xmp"}
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))([1-8])')


@dataclass(frozen=True)
class Metadata:
    """The metadata of a picture, byte for byte as in its file; None where there is none.

    Attributes:
        icc: an ICC profile.
        exif: EXIF, a TIFF structure without JPEG's marker. Its orientation is not applied to coded pixels.
        xmp: an XMP packet.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    def items(self) -> list[tuple[str, bytes]]:
        """Name and bytes of each kind that is present."""
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, content) for name, content in found if content is not None]


def orientation(metadata: Metadata) -> int:
    """The orientation by which a picture is displayed: 1 to 8 as in EXIF, 1 if there is none.

    XMP counts where EXIF has no orientation, as in Pillow. The rest of EXIF may be damaged.
    """
    from caesura.picture import exif  # imports Pillow, which reading a header does without

    found = exif.orientation(metadata.exif or b"")
    if found is None:
        match = _XMP_ORIENTATION.search(metadata.xmp or b"")
        found = int(match[2]) if match else 1
    return found


def reset_orientation(xmp: bytes) -> bytes:
    """The XMP packet with every orientation set to 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def to_info(metadata: Metadata) -> dict[str, bytes]:
    """The metadata by Pillow's names, as in `Image.info` and for `Image.save`."""
    return {_PILLOW_NAMES[name]: with_marker(name, content) for name, content in metadata.items()}


def with_marker(name: str, content: bytes) -> bytes:
    """The bytes of one kind as Pillow has them: EXIF with its marker, others unchanged."""
    return EXIF_MARKER + content if name == "exif" else content


def pack(content: bytes) -> bytes:
    """The bytes that a .cae file stores: a zlib stream."""
    return zlib.compress(content, 9)


def unpack(name: str, stored: bytes) -> bytes:
    """The bytes that `pack` compressed, at most MAX_BYTES.

    Args:
        name: of the kind, for errors.
        stored: from the file.

    Raises:
        FormatError: `stored` is not one complete zlib stream of at least one byte.
        LimitError: the result is longer than MAX_BYTES.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(stored, MAX_BYTES + 1)
    except zlib.error as error:
        raise FormatError(f"{name}: not a zlib stream: {error}") from error
    if len(content) > MAX_BYTES:
        raise LimitError(f"{name}: more than {MAX_BYTES} bytes; at most that are allowed")
    if not stream.eof or stream.unused_data or not content:
        raise FormatError(f"{name}: {len(stored)} bytes are not one whole zlib stream of at least one byte")
    return content
