"""What travels with a picture and is not pixels: colour profile, EXIF, XMP; byte for byte."""

from __future__ import annotations

import re
import warnings
import zlib
from dataclasses import dataclass, fields
from types import NoneType
from typing import TYPE_CHECKING, Any

from caesura.errors import FormatError, ImageError, LimitError

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 1 << 24  # of each kind


@dataclass(frozen=True)
class Metadata:
    """Bytes as the picture's own file held them, or None.

    Attributes:
        icc: an ICC profile.
        exif: a TIFF structure, without the marker that JPEG puts before it. Its orientation says how the
            picture is to be turned for looking at; pixels are coded as they are stored.
        xmp: an XMP packet.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    def items(self) -> list[tuple[str, bytes]]:
        """Name and bytes of what is there."""
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, content) for name, content in found if content is not None]


_EXIF_MARKER = b"Exif\0\0"
_XMP_NAME = "XML:com.adobe.xmp"
_NAMES = "icc_profile", "exif", "xmp", _XMP_NAME
_RAW = {f"Raw profile type {kind}" for kind in ("exif", "xmp", "APP1")}  # texts of PNG
_PILLOW = {"icc": "icc_profile", "exif": "exif", "xmp": "xmp"}
_IN_XMP = re.compile(rb'(tiff:Orientation(?:="|>))([1-8])')
TURNING = ("AVIF", "HEIF")  # formats whose own turn counts; Pillow gives it as EXIF's orientation


def of_image(image: Image.Image) -> Metadata:
    """What Pillow knows of a picture.

    Raises:
        ImageError: one of the kinds is larger than MAX_BYTES.
    """
    kept = of_any_size(image)
    for name, content in kept.items():
        if len(content) > MAX_BYTES:
            raise ImageError(f"image has {len(content)} bytes of {name}; at most {MAX_BYTES} are allowed")
    return kept


def of_any_size(image: Image.Image) -> Metadata:
    """What Pillow knows of a picture, also if it is too large to be kept; what is empty is left out."""
    info = in_info(image)
    xmp = info.get("xmp") or info.get(_XMP_NAME) or b""
    found = {
        "icc": info.get("icc_profile") or b"",
        "exif": (info.get("exif") or b"").removeprefix(_EXIF_MARKER),
        "xmp": xmp.encode() if isinstance(xmp, str) else xmp,
    }
    return Metadata(**{name: content for name, content in found.items() if content})


def check(image: Image.Image) -> None:
    """Leave in a picture's `info` only metadata that can be meant, before Pillow stumbles over other.

    What has a wrong type is taken out: of a TIFF's tag, of a text in a PNG that goes by the name, or of the
    caller. XMP becomes bytes. In AVIF and HEIF, whose own turn counts, an orientation that XMP alone says
    becomes 1.

    Warns:
        UserWarning: something is taken out.
    """
    from caesura.picture import exif

    info = image.info
    if image.format == "TIFF" and not isinstance(info.get("xmp"), (bytes, NoneType)):
        getattr(image, "n_frames", 1)  # while Pillow counts them, it reads XMP again
    for name in _NAMES:
        value = info.get(name)
        if isinstance(value, str) and name == "xmp":
            # Pillow reads text in TIFFs as Latin-1, whatever it is.
            info[name] = value.encode("latin-1" if image.format == "TIFF" else "utf-8", "replace")
        elif isinstance(value, (bytearray, memoryview)):
            info[name] = bytes(value)
        elif not isinstance(value, (bytes, NoneType, *([str] if name == _XMP_NAME else []))):
            del info[name]
            allowed = "bytes and text are" if "xmp" in name else "bytes are"
            got = f"image has {name} of type {type(value).__name__}"
            warnings.warn(f"{got}, which is left out; {allowed} allowed", stacklevel=2)
    said = exif.orientation((info.get("exif") or b"").removeprefix(_EXIF_MARKER))
    if image.format in TURNING and said is None and info.get("xmp"):
        info["xmp"] = unturned(info["xmp"])


def in_info(image: Image.Image) -> dict[str, Any]:
    """The part of a picture's `info` that is metadata here, with EXIF that Pillow has beside it.

    That is what the caller set, and a TIFF's own tags, but for those about how its pixels are stored; and for
    the orientation, which Pillow applies when it loads a TIFF.

    Warns:
        UserWarning: EXIF that Pillow has beside it is damaged, and a part or all of it left out, or something
            has a wrong type.
    """
    from caesura.picture import embedded, exif, extended_xmp

    check(image)
    info: dict[str, Any] = {name: image.info[name] for name in _NAMES if name in image.info}
    if info.get("xmp"):
        segments = getattr(image, "applist", ())  # of a JPEG
        info["xmp"] = extended_xmp.joined(
            info["xmp"], [content for name, content in segments if name == "APP1"]
        )
    if not info.get("exif"):
        try:
            made = exif.of_image(image)
        except Exception as error:  # whatever a damaged structure leads Pillow into
            warnings.warn(f"EXIF cannot be read and is left out: {error or repr(error)}", stacklevel=2)
        else:
            info |= {"exif": _EXIF_MARKER + made} if made else {}
    left = {name: marked(name, content) for name, content in embedded.of_image(image).items()}
    return left | info


def without(info: dict[Any, Any]) -> dict[Any, Any]:
    """A picture's `info` without metadata."""
    return {name: value for name, value in info.items() if name not in {*_NAMES, *_RAW}}


def orientation(kept: Metadata) -> int:
    """How a picture is to be turned for looking at: 1 to 8 as EXIF counts, 1 where nothing says it.

    The rest of EXIF may be damaged; where it has no orientation, XMP is asked, as Pillow does.
    """
    from caesura.picture import exif

    found = exif.orientation(kept.exif or b"")
    if found is None:
        said = _IN_XMP.search(kept.xmp or b"")
        found = int(said[2]) if said else 1
    return found


def unturned(xmp: bytes) -> bytes:
    """XMP with an orientation of 1 in the place of any."""
    return _IN_XMP.sub(rb"\g<1>1", xmp)


def to_info(metadata: Metadata) -> dict[str, bytes]:
    """The same by the names that Pillow gives it, in `Image.info` and to `Image.save`."""
    return {_PILLOW[name]: marked(name, content) for name, content in metadata.items()}


def marked(name: str, content: bytes) -> bytes:
    """A kind's bytes as picture libraries have them: EXIF with its marker."""
    return _EXIF_MARKER + content if name == "exif" else content


def pack(content: bytes) -> bytes:
    """As it is stored: a zlib stream."""
    return zlib.compress(content, 9)


def unpack(name: str, stored: bytes) -> bytes:
    """The mirror of `pack`, bounded.

    Raises:
        FormatError: `stored` is not one whole zlib stream of at least one byte.
        LimitError: it is longer than MAX_BYTES.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(stored, MAX_BYTES + 1)
    except zlib.error as error:
        raise FormatError(f"{name}: not a zlib stream: {error}") from error
    if len(content) > MAX_BYTES:
        raise LimitError(f"{name}: more than {MAX_BYTES} bytes; at most that are allowed")
    if not stream.eof or stream.unused_data or not content:
        raise FormatError(f"{name}: {len(stored)} bytes are not one whole zlib stream of something")
    return content
