"""The metadata of a Pillow image, wherever Pillow or the file has it."""

from __future__ import annotations

import warnings
from types import NoneType
from typing import Any

from PIL import Image

from caesura.errors import ImageError
from caesura.picture import exif, extended_xmp, source_info
from caesura.picture.metadata import (
    EXIF_MARKER,
    MAX_BYTES,
    ROTATING,
    Metadata,
    reset_orientation,
    with_marker,
)

_XMP_CHUNK = "XML:com.adobe.xmp"  # keyword of PNG's text chunk
_NAMES = "icc_profile", "exif", "xmp", _XMP_CHUNK
_RAW_PROFILE = "Raw profile type "  # ImageMagick's text chunks of PNG; Pillow reads the one of "exif"
_RAW_PROFILES = frozenset(_RAW_PROFILE + kind for kind in ("exif", "xmp", "APP1"))
_PSD_RESOURCES = {1058: "exif", 1060: "xmp"}
_XMP_MARKER = b"http://ns.adobe.com/xap/1.0/\0"  # precedes XMP in a JPEG's APP1 segment


def from_image(image: Image.Image, *, max_bytes: int | None = MAX_BYTES) -> Metadata:
    """The metadata of a Pillow image; kinds that are empty are None.

    Args:
        image: the picture.
        max_bytes: allowed for each kind; None for any number.

    Raises:
        ImageError: one of the kinds has more bytes.
    """
    info = info_entries(image)
    xmp = info.get("xmp") or info.get(_XMP_CHUNK) or b""
    found = {
        "icc": info.get("icc_profile") or b"",
        "exif": (info.get("exif") or b"").removeprefix(EXIF_MARKER),
        "xmp": xmp.encode() if isinstance(xmp, str) else xmp,
    }
    for name, content in found.items():
        if max_bytes is not None and len(content) > max_bytes:
            raise ImageError(f"image has {len(content)} bytes of {name}; at most {max_bytes} are allowed")
    return Metadata(**{name: content for name, content in found.items() if content})


def sanitize(image: Image.Image) -> None:
    """Remove metadata of wrong types from an image's `info`, which Pillow would fail on.

    They come from tags of a TIFF, from text chunks of a PNG with the same keywords, or from the caller. XMP
    as text becomes bytes. In AVIF and HEIF, an orientation that is in XMP alone becomes 1, since the format's
    own orientation counts.

    Warns:
        UserWarning: something is removed.
    """
    info = image.info
    if image.format == "TIFF" and not isinstance(info.get("xmp"), (bytes, NoneType)):
        getattr(image, "n_frames", 1)  # Pillow reads XMP again while it counts frames: let it do so now
    for name in _NAMES:
        value = info.get(name)
        if isinstance(value, str) and name == "xmp":
            # Pillow decodes text of TIFFs as Latin-1, whatever its encoding.
            info[name] = value.encode("latin-1" if image.format == "TIFF" else "utf-8", "replace")
        elif isinstance(value, (bytearray, memoryview)):
            info[name] = bytes(value)
        elif not isinstance(value, (bytes, NoneType, *([str] if name == _XMP_CHUNK else []))):
            del info[name]
            allowed = "bytes and text are" if "xmp" in name else "bytes are"
            got = f"image has {name} of type {type(value).__name__}"
            warnings.warn(f"{got}, which is left out; {allowed} allowed", stacklevel=2)
    in_exif = exif.orientation((info.get("exif") or b"").removeprefix(EXIF_MARKER))
    if image.format in ROTATING and in_exif is None and info.get("xmp"):
        info["xmp"] = reset_orientation(info["xmp"])


def info_entries(image: Image.Image) -> dict[str, Any]:
    """The metadata of an image, by the names that it has in `info`.

    EXIF includes what the caller set by `getexif`, and a TIFF's tags but those of its pixels' layout and the
    orientation, which Pillow applies when it loads a TIFF.

    Warns:
        UserWarning: EXIF is damaged and left out in part or whole, or something has a wrong type.
    """
    sanitize(image)
    info: dict[str, Any] = {name: image.info[name] for name in _NAMES if name in image.info}
    if info.get("xmp"):
        app1 = [content for name, content in getattr(image, "applist", ()) if name == "APP1"]
        info["xmp"] = extended_xmp.joined(info["xmp"], app1)
    if not info.get("exif"):
        try:
            content = exif.from_image(image)
        except Exception as error:  # Pillow raises errors of many types for damaged EXIF
            warnings.warn(f"EXIF cannot be read and is left out: {error or repr(error)}", stacklevel=2)
        else:
            info |= {"exif": EXIF_MARKER + content} if content else {}
    return {name: with_marker(name, content) for name, content in _ignored_by_pillow(image).items()} | info


def without_metadata(info: dict[Any, Any]) -> dict[Any, Any]:
    """An image's `info` without metadata."""
    return {name: value for name, value in info.items() if name not in {*_NAMES, *_RAW_PROFILES}}


def _ignored_by_pillow(image: Image.Image) -> dict[str, bytes]:
    """EXIF, without JPEG's marker, and XMP of JPEG 2000, PSD and ImageMagick's PNGs, as "exif" and "xmp".

    Warns:
        UserWarning: one of them is damaged and left out.
    """
    found: dict[str, bytes] = {}
    if image.format == "JPEG2000" or source_info.KEY in image.info:
        source = source_info.read(image)
        found = {"exif": source.exif, "xmp": source.xmp}
    if image.format == "PSD":
        for number, _, content in reversed(getattr(image, "resources", [])):  # the first of a number counts
            if number in _PSD_RESOURCES:
                found[_PSD_RESOURCES[number]] = content
    for kind in ("APP1", "xmp"):
        text = image.info.get(_RAW_PROFILE + kind)
        if isinstance(text, str):
            found |= _raw_profile(text, kind)
    found = {name: content.removeprefix(EXIF_MARKER) for name, content in found.items()}
    return {name: content for name, content in found.items() if content}


def _raw_profile(text: str, kind: str) -> dict[str, bytes]:
    """EXIF or XMP of ImageMagick's text: lines of a name, a length and hexadecimal digits.

    Kind APP1 holds either of the two, told apart by its marker.
    """
    try:
        content = bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        warnings.warn(f"{_RAW_PROFILE}{kind} is not hexadecimal and is left out", stacklevel=2)
        return {}
    if content.startswith(EXIF_MARKER):
        return {"exif": content}
    is_xmp = kind == "xmp" or content.startswith(_XMP_MARKER)
    return {"xmp": content.removeprefix(_XMP_MARKER)} if is_xmp else {}
