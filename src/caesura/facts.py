"""What a picture's file says of its pixels and Pillow leaves out: depth, colours; read from its header."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from PIL import Image

from caesura.metadata import MAX_BYTES

KEY = "caesura: facts"  # in a picture's info; most traces of them are gone after loading or copying
# TIFF's BitsPerSample, Compression, PhotometricInterpretation, PlanarConfiguration
_BITS, _COMPRESSION, _MEANING, _PLANES = 258, 259, 262, 284


@dataclass(frozen=True)
class Facts:
    """What is told of a picture.

    Attributes:
        bits: of a sample of the file, where it has the most.
        range: bits of the integers that Pillow gives for greys of more than 8 bits (modes I and I;16).
        inverted: 0 is white in these integers.
        readable: Pillow reads the pixels right.
        cicp: colour primaries and transfer characteristics, as numbers of ITU-T H.273, or None.
        lost: what else of its colours can be told by words only.
        icc: a colour profile.
    """

    bits: int = 8
    range: int = 16
    inverted: bool = False
    readable: bool = True
    cicp: tuple[int, int] | None = None
    lost: str = ""
    icc: bytes | None = None


def of(image: Image.Image) -> Facts:
    """The facts of a picture.

    They are known while it is not loaded, or if `info` has them. Of one that is loaded, the file is looked
    into again if Pillow opened it by its name; otherwise only TIFF's and HEIF's are left.
    """
    noted = image.info.get(KEY)
    if isinstance(noted, Facts):
        return noted
    if image.format == "TIFF":
        return _of_tiff(image)
    if image.format == "HEIF":
        facts = _of_heif(image)
    elif getattr(image, "fp", None) is not None:  # its file is open
        facts = _of_unloaded(image)
    else:
        facts = _of_loaded(image)
    # Of code points and a profile, the profile counts, but in PNG.
    return facts if image.format == "PNG" or not image.info.get("icc_profile") else replace(facts, cicp=None)


def _of_unloaded(image: Image.Image) -> Facts:
    facts, file = Facts(), getattr(image, "fp", None)
    if image.format in _READERS and file is not None:
        try:
            place = file.tell()
            try:
                facts = _READERS[image.format](file)
            finally:
                file.seek(place)
        except (IndexError, KeyError, OSError, ValueError, struct.error):
            pass  # damaged, and Pillow took it nevertheless; or closed, as who loads it will say
    bits = max(facts.bits, _bits_of_tiles(image))
    return replace(facts, bits=16 if bits == 8 and image.mode.startswith("I") else bits)


def _of_loaded(image: Image.Image) -> Facts:
    name = getattr(image, "filename", "")
    if name and image.format in {*_READERS, "PPM", "SGI"}:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it was opened before
                with Image.open(name, formats=[image.format]) as again:
                    if again.size == image.size:
                        return _of_unloaded(again)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            pass  # it is not there any more
    return Facts(bits=16 if image.mode.startswith("I") else 8)


def _of_heif(image: Image.Image) -> Facts:
    """By pillow-heif."""
    nclx = image.info.get("nclx_profile")
    codes = (nclx["color_primaries"], nclx["transfer_characteristics"]) if nclx else None
    return Facts(bits=int(image.info.get("bit_depth", 8)), cicp=codes)


def _bits_of_tiles(image: Image.Image) -> int:
    """Of samples, as far as Pillow's decoders are told."""
    bits = 8
    for tile in getattr(image, "tile", []):
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if tile[0].startswith("ppm"):
            bits = max([bits, *(value.bit_length() for value in arguments if isinstance(value, int))])
        # With an order of bytes it is 16 bits a sample, without one ("BGR;16") 16 bits a pixel.
        elif tile[0] == "SGI16" or str(arguments[0]).endswith((";16B", ";16L", ";16N")):
            bits = 16
    return bits


def _of_tiff(image: Image.Image) -> Facts:
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS, ()), default=1)
    # Pillow takes the planes of uncompressed files for planes of 8 bits.
    readable = bits <= 8 or tags.get(_PLANES, 1) == 1 or tags.get(_COMPRESSION, 1) != 1
    inverted = tags.get(_MEANING) == 0 and image.mode.startswith("I;16")
    return Facts(bits=bits, range=bits, inverted=inverted, readable=readable)


def _of_png(file: IO[bytes]) -> Facts:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"cICP":
            primaries, transfer, _, full = file.read(4)
            lost = "" if full else "samples from 16 to 235 (narrow range)"
            return Facts(cicp=(primaries, transfer), lost=lost)
        if kind == b"IDAT":
            break
        file.seek(size + 4, 1)
    return Facts()


def _of_bmp(file: IO[bytes]) -> Facts:
    """The profile that version 5 of the header may name."""
    file.seek(0)
    head = file.read(14 + 124)
    if head[14:18] != b"\x7c\0\0\0" or head[70:74] not in (b"DEBM", b"KNIL"):
        return Facts()
    if head[70:74] == b"KNIL":
        return Facts(lost="a colour profile in another file")
    place, size = struct.unpack_from("<II", head, 126)
    file.seek(14 + place)
    return Facts(icc=file.read(min(size, MAX_BYTES)))


def _of_jpeg_2000(file: IO[bytes]) -> Facts:
    file.seek(0)
    data = file.read(MAX_BYTES)
    if data.startswith(b"\xff\x4f"):  # a codestream alone
        sizes = data[42 : 42 + 3 * int.from_bytes(data[40:42], "big") : 3]
        return Facts(bits=_bits_of(sizes))
    parts = list(_boxes(dict(_boxes(data))[b"jp2h"]))
    sizes = dict(parts).get(b"bpcc") or dict(parts)[b"ihdr"][10:11]
    profiles = [content[3:] for kind, content in parts if kind == b"colr" and content[0] in (2, 3)]
    return Facts(bits=_bits_of(sizes), icc=profiles[0] if profiles else None)


def _bits_of(sizes: bytes) -> int:
    return max((size & 0x7F) + 1 for size in sizes)


def _of_avif(file: IO[bytes]) -> Facts:
    """By the properties of the picture that is shown, rather than its alpha, gain map or previews."""
    file.seek(0)
    parts = dict(_boxes(dict(_boxes(file.read(MAX_BYTES)))[b"meta"][4:]))
    item = parts[b"pitm"]
    described = dict(_boxes(parts[b"iprp"]))
    known = list(_boxes(described[b"ipco"]))
    numbers = _associated(described[b"ipma"], int.from_bytes(item[4:8] if item[0] else item[4:6], "big"))
    own = [known[number - 1] for number in numbers if number]
    bits = _bits_of_avif(own) or _bits_of_avif(known)  # a grid's are those of its tiles
    colours = [content for kind, content in own if kind == b"colr"]
    codes = [struct.unpack_from(">HH", content, 4) for content in colours if content[:4] == b"nclx"]
    return Facts(bits=max(bits, default=8), cicp=codes[0] if codes else None)


def _bits_of_avif(properties: list[tuple[bytes, bytes]]) -> list[int]:
    bits = [max(content[5:], default=8) for kind, content in properties if kind == b"pixi"]
    flags = [content[2] for kind, content in properties if kind == b"av1C"]
    return bits or [(12 if flag & 0x20 else 10) if flag & 0x40 else 8 for flag in flags]


_READERS = {"AVIF": _of_avif, "BMP": _of_bmp, "JPEG2000": _of_jpeg_2000, "PNG": _of_png}


def _associated(ipma: bytes, item: int) -> list[int]:
    """Numbers, from 1, of an item's properties."""
    wide = ipma[3] & 1
    place = 8
    for _ in range(int.from_bytes(ipma[4:8], "big")):
        number, count = struct.unpack_from(">IB" if ipma[0] else ">HB", ipma, place)
        place += 5 if ipma[0] else 3
        kinds = struct.unpack_from(f">{count}{'H' if wide else 'B'}", ipma, place)
        place += count * (2 if wide else 1)
        if number == item:
            return [kind & (0x7FFF if wide else 0x7F) for kind in kinds]
    return []


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes that AVIF and JPEG 2000 files are made of."""
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, place + 8)[0], 16
        size = size or len(data) - place  # 0: to the end
        if size < head:
            return
        yield kind, data[place + head : place + size]
        place += size
