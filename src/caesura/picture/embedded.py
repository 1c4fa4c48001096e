"""EXIF and XMP that Pillow leaves in a picture's file, or in `info` as a text."""

from __future__ import annotations

import warnings

from PIL import Image

from caesura.picture import facts

RAW = "Raw profile type "  # ImageMagick's text chunks of PNG; Pillow reads that of "exif"
_OF_PSD = {1058: "exif", 1060: "xmp"}  # image resources
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # before the content of a JPEG's APP1


def of_image(image: Image.Image) -> dict[str, bytes]:
    """EXIF without the marker of JPEG and an XMP packet, as "exif" and "xmp", as far as they are there.

    Warns:
        UserWarning: one of them is damaged and left out.
    """
    found: dict[str, bytes] = {}
    if image.format == "JPEG2000" or facts.KEY in image.info:
        told = facts.of(image)
        found = {"exif": told.exif, "xmp": told.xmp}
    if image.format == "PSD":
        for number, _, content in reversed(getattr(image, "resources", [])):  # the first one counts
            if number in _OF_PSD:
                found[_OF_PSD[number]] = content
    for kind in ("APP1", "xmp"):
        text = image.info.get(RAW + kind)
        if isinstance(text, str):
            found |= _of_text(text, kind)
    found = {name: content.removeprefix(_EXIF) for name, content in found.items()}
    return {name: content for name, content in found.items() if content}


def _of_text(text: str, kind: str) -> dict[str, bytes]:
    """A name, a length and hexadecimal digits, in lines; APP1 has either of both."""
    try:
        content = bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        warnings.warn(f"{RAW}{kind} is not hexadecimal and is left out", stacklevel=2)
        return {}
    if content.startswith(_EXIF):
        return {"exif": content}
    return {"xmp": content.removeprefix(_XMP)} if kind == "xmp" or content.startswith(_XMP) else {}
