"""What a picture's file says of its pixels and Pillow leaves out: depth, colours; read from its header."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import IO, Any

import numpy as np
from PIL import Image

from caesura.picture.metadata import MAX_BYTES

KEY = "caesura: facts"  # in a picture's info; most traces of them are gone after loading or copying
# TIFF's BitsPerSample, Compression, PhotometricInterpretation, PlanarConfiguration
_BITS, _COMPRESSION, _MEANING, _PLANES = 258, 259, 262, 284
_SAMPLES, _SIGNED = 339, 2  # SampleFormat, and its value
_TRANSFER, _WHITE, _PRIMARIES = 301, 318, 319

SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x and y of white, red, green and blue
# Colour spaces by the numbers of JPEG 2000 (ISO/IEC 15444-1 and -2). Bi-level, CMYK and greys have modes of
# their own, and of sYCC Pillow makes sRGB.
_AS_PILLOW_HAS_THEM = frozenset({0, 12, 15, 16, 17, 18})
_ROMM, _ROMM_COLOURS = 21, (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
_SPACES = {14: "CIELab colours", 20: "colours of e-sRGB"}
_UUIDS = {
    b"JpgTiffExif->JP2": "exif",
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
}
_MOST_BOXES = 1000


@dataclass(frozen=True)
class Facts:
    """What is told of a picture.

    Attributes:
        bits: of a sample of the file, where it has the most.
        range: bits of the integers that Pillow gives for greys of more than 8 bits (modes I and I;16).
        inverted: 0 is white in these integers.
        unreadable: what Pillow reads wrongly of the pixels, and what is allowed instead; empty if nothing.
        greys: the largest sample of a grey PNG of 2 or 4 bits; Pillow scales the pixels, not the key.
        cicp: colour primaries and transfer characteristics, as numbers of ITU-T H.273, or None.
        lost: what else of its colours can be told by words only.
        icc: a colour profile.
        gamma: from light to samples, as PNG has it (1 / 2.2 and the like), or None.
        chromaticities: x and y of white, red, green and blue, or None.
        exif: a TIFF structure that Pillow leaves in the file.
        xmp: an XMP packet that Pillow leaves in the file.
    """

    bits: int = 8
    range: int = 16
    inverted: bool = False
    unreadable: str = ""
    greys: int = 255
    cicp: tuple[int, int] | None = None
    lost: str = ""
    icc: bytes | None = None
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None
    exif: bytes = b""
    xmp: bytes = b""


def reals(value: Any, count: int) -> tuple[float, ...] | None:
    """So many finite numbers, if that is what a tag or an entry of `info` holds; text chunks may, by name."""
    if not isinstance(value, tuple | list) or len(value) != count:
        return None
    if not all(isinstance(number, Real) and not isinstance(number, bool) for number in value):
        return None
    try:
        found = tuple(float(number) for number in value)
    except (ArithmeticError, ValueError):
        return None
    return found if all(map(math.isfinite, found)) else None


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
    nclx, bits = image.info.get("nclx_profile"), image.info.get("bit_depth")
    codes = None
    if isinstance(nclx, Mapping):
        primaries, transfer = nclx.get("color_primaries"), nclx.get("transfer_characteristics")
        if isinstance(primaries, Integral) and isinstance(transfer, Integral):
            codes = int(primaries), int(transfer)
    return Facts(bits=int(bits) if isinstance(bits, Integral) else 8, cicp=codes)


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
    unreadable = ""
    if bits > 8 and tags.get(_PLANES, 1) != 1 and tags.get(_COMPRESSION, 1) == 1:
        allowed = "interleaved or compressed ones are allowed"
        unreadable = f"{bits} bits a sample in separate planes, which Pillow cannot read; {allowed}"
    elif not image.mode.startswith(("F", "I")) and _holds(tags.get(_SAMPLES), _SIGNED):
        unreadable = "signed samples, which Pillow takes for unsigned ones; those are allowed"
    inverted = tags.get(_MEANING) == 0 and image.mode.startswith("I;16")
    facts = Facts(bits=bits, range=bits, inverted=inverted, unreadable=unreadable)
    return facts if image.info.get("icc_profile") else replace(facts, **_colours_of_tiff(tags, bits))


def _holds(value: Any, number: int) -> bool:
    """Whether a tag, perhaps of an odd type, has this number."""
    return value == number or (isinstance(value, tuple) and number in value)


def _colours_of_tiff(tags: Mapping[int, Any], bits: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    white, primaries = reals(_value(tags, _WHITE), 2), reals(_value(tags, _PRIMARIES), 6)
    if white or primaries:
        found["chromaticities"] = (white or SRGB[:2]) + (primaries or SRGB[2:])
    table = _value(tags, _TRANSFER)
    if table is not None:
        found |= _curve_of_tiff(table, bits)
    return found


def _value(tags: Mapping[int, Any], tag: int) -> Any:
    try:
        return tags.get(tag)
    except Exception:  # whatever Pillow raises of a damaged tag, which it reads only now
        return None


def _curve_of_tiff(table: Any, bits: int) -> dict[str, Any]:
    """A table from samples to light as a gamma, if it is one, or sRGB's, of which nothing is to be told."""
    lost = {"lost": "a transfer function that is not sRGB's and no gamma"}
    levels = 1 << min(bits, 16)
    values = reals(table, levels) or reals(table, 3 * levels)  # of all channels, or of each
    if values is None:
        return lost
    light = np.reshape(values, (-1, levels)) / 65535
    samples = np.arange(levels) / (levels - 1)
    if np.allclose(light, _light(samples), rtol=0, atol=0.004):
        return {}
    middle = float(light[0, levels // 2])
    if not 0 < middle < 1:
        return lost
    power = math.log(middle) / math.log(samples[levels // 2])
    return {"gamma": 1 / power} if np.allclose(light, samples**power, rtol=0, atol=0.004) else lost


def _light(samples: Any) -> Any:
    """By sRGB."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def _of_png(file: IO[bytes]) -> Facts:
    file.seek(24)
    depth, kind_of_colour = file.read(2)
    facts = Facts(greys=2**depth - 1 if kind_of_colour == 0 and 1 < depth < 8 else 255)
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"cICP":
            primaries, transfer, _, full = file.read(4)
            lost = "" if full else "samples from 16 to 235 (narrow range)"
            return replace(facts, cicp=(primaries, transfer), lost=lost)
        if kind == b"IDAT":
            break
        file.seek(size + 4, 1)
    return facts


def _of_bmp(file: IO[bytes]) -> Facts:
    """What versions 4 and 5 of the header say: colours by numbers, or the profile that version 5 names."""
    file.seek(0)
    head = file.read(14 + 124)
    version, space = head[14:18], head[70:74]
    if version in (b"\x6c\0\0\0", b"\x7c\0\0\0") and space == bytes(4):
        return _calibrated(head)
    if version != b"\x7c\0\0\0" or space not in (b"DEBM", b"KNIL"):
        return Facts()
    if space == b"KNIL":
        return Facts(lost="a colour profile in another file")
    place, size = struct.unpack_from("<II", head, 126)
    file.seek(14 + place)
    return Facts(icc=file.read(min(size, MAX_BYTES)))


def _calibrated(head: bytes) -> Facts:
    """By endpoints and gamma; many programs leave these 0."""
    numbers = struct.unpack_from("<9i3I", head, 74)
    points = np.reshape(numbers[:9], (3, 3)) / (1 << 30)
    gammas = [number / (1 << 16) for number in numbers[9:]]
    sums = points.sum(axis=1, keepdims=True)
    colours = (*SRGB[:2], *(points / sums)[:, :2].ravel().tolist()) if np.all(sums > 0) else None
    if max(gammas) - min(gammas) > 0.01:
        return Facts(lost=f"a gamma for each colour, {', '.join(f'{gamma:.4g}' for gamma in gammas)}")
    return Facts(gamma=1 / gammas[0] if gammas[0] else None, chromaticities=colours)


def _of_jpeg_2000(file: IO[bytes]) -> Facts:
    file.seek(0)
    data = file.read(MAX_BYTES)
    if data.startswith(b"\xff\x4f"):  # a codestream alone
        sizes = data[42 : 42 + 3 * int.from_bytes(data[40:42], "big") : 3]
        return Facts(bits=_bits_of(sizes))
    parts = list(_boxes(dict(_boxes(data))[b"jp2h"]))
    sizes = dict(parts).get(b"bpcc") or dict(parts)[b"ihdr"][10:11]
    colours = [content for kind, content in parts if kind == b"colr"]
    profiles = [content[3:] for content in colours if content[0] in (2, 3)]
    spaces = [int.from_bytes(content[3:7], "big") for content in colours if content[0] == 1]
    facts = Facts(bits=_bits_of(sizes), icc=profiles[0] if profiles else None, **_in_uuid_boxes(file))
    if profiles or not spaces or spaces[0] in _AS_PILLOW_HAS_THEM:
        return facts
    if spaces[0] == _ROMM:
        return replace(facts, gamma=1 / 1.8, chromaticities=_ROMM_COLOURS)
    return replace(facts, lost=_SPACES.get(spaces[0], f"colours of space {spaces[0]} of JPEG 2000"))


def _in_uuid_boxes(file: IO[bytes]) -> dict[str, Any]:
    """EXIF and XMP of a JPEG 2000, which often follow its pixels."""
    found: dict[str, Any] = {}
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            break
        size, kind = struct.unpack_from(">I4s", head)
        start = 8
        if size == 1 and len(head) == 16:
            size, start = struct.unpack_from(">Q", head, 8)[0], 16
        if kind == b"uuid":
            file.seek(place + start)
            name = _UUIDS.get(file.read(16))
            length = size - start - 16 if size else MAX_BYTES + 1  # 0: to the end
            if name and name not in found and length > 0:
                found[name] = file.read(min(length, MAX_BYTES + 1))
        if size < start:
            break
        place += size
    return found


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
