"""ExtendedXMP: XMP longer than one segment of a JPEG (Adobe's XMP specification, part 3)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

MAX_BYTES = 65504  # of a packet in one segment
_PACKET, _PART = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_MAX_PART = 65400
# The main packet contains the name of the extended one, and nothing else.
_STUB = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    b'xmpNote:HasExtendedXMP="%s"/></rdf:RDF></x:xmpmeta>'
)
_NAMED = re.compile(rb'xmpNote:HasExtendedXMP(?:="|>)([0-9A-Fa-f]{32})')
_CONTENT = re.compile(rb"<rdf:RDF\b[^>]*>(.*)</rdf:RDF>", re.DOTALL)


def segments(xmp: bytes) -> bytes:
    """The APP1 segments of a JPEG that hold a packet of any length."""
    name = hashlib.md5(xmp, usedforsecurity=False).hexdigest().upper().encode()
    made = [_segment(_PACKET + _STUB % name)]
    for start in range(0, len(xmp), _MAX_PART):
        position = len(xmp).to_bytes(4, "big") + start.to_bytes(4, "big")
        made.append(_segment(_PART + name + position + xmp[start : start + _MAX_PART]))
    return b"".join(made)


def _segment(content: bytes) -> bytes:
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


def joined(xmp: bytes, contents: Iterable[bytes]) -> bytes:
    """The whole packet of a JPEG; `xmp` unchanged if it has no extension or a part of it is missing.

    Args:
        xmp: the main packet.
        contents: of the APP1 segments.
    """
    named = _NAMED.search(xmp)
    if not named:
        return xmp
    head = _PART + named[1]
    parts = sorted((part[len(head) + 4 : len(head) + 8], part) for part in contents if part.startswith(head))
    rest = b"".join(part[len(head) + 8 :] for _, part in parts)
    if not parts or any(int.from_bytes(part[len(head) :][:4], "big") != len(rest) for _, part in parts):
        return xmp
    if xmp == _STUB % named[1]:
        return rest
    content = _CONTENT.search(rest)
    if not content:
        return xmp
    return xmp.replace(named[1], b"", 1).replace(b"</rdf:RDF>", content[1] + b"</rdf:RDF>", 1)
