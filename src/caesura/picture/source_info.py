"""Depth, colours and metadata that a picture's file declares and Pillow does not report."""

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

KEY = "caesura: source info"  # of the SourceInfo in an image's `info`, which loading and copying keep
# TIFF's BitsPerSample, Compression, PhotometricInterpretation, PlanarConfiguration
_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES = 258, 259, 262, 284
_SAMPLES, _SIGNED = 339, 2  # SampleFormat, and its value
_TRANSFER, _WHITE, _PRIMARIES = 301, 318, 319

SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x and y of white, red, green and blue
# Colour spaces of JPEG 2000 (ISO/IEC 15444-1 and -2) that Pillow reads correctly: sRGB; sYCC, which
# it converts; bi-level, CMYK and greys, which have modes of their own.
_READ_BY_PILLOW = frozenset({0, 12, 15, 16, 17, 18})
_ROMM, _ROMM_COLOURS = 21, (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
_OTHER_SPACES = {14: "CIELab colours", 20: "colours of e-sRGB"}
_UUIDS = {
    b"JpgTiffExif->JP2": "exif",
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
}
_MAX_BOXES = 1000


@dataclass(frozen=True)
class SourceInfo:
    """What a picture's file declares.

    Attributes:
        bits: bits of a sample; the largest number if channels differ.
        range: bits of the integers that Pillow gives for greys of more than 8 bits (modes I and I;16).
        inverted: 0 is white in these integers.
        unreadable: what Pillow reads wrongly of the pixels, and what is allowed instead; empty if nothing.
        max_grey: the largest sample of a grey PNG of 2 or 4 bits, else 255. Pillow scales pixels to 255, but
            not the transparent grey.
        cicp: colour primaries and transfer characteristics, as numbers of ITU-T H.273, or None.
        lost: a description of colours that no ICC profile can describe; empty if there are none.
        icc: an ICC profile, or None.
        gamma: the exponent from light to samples, as in PNG (1 / 2.2 and the like), or None.
        chromaticities: x and y of white, red, green and blue, or None.
        exif: EXIF that Pillow does not read, a TIFF structure; empty if there is none.
        xmp: an XMP packet that Pillow does not read; empty if there is none.
    """

    bits: int = 8
    range: int = 16
    inverted: bool = False
    unreadable: str = ""
    max_grey: int = 255
    cicp: tuple[int, int] | None = None
    lost: str = ""
    icc: bytes | None = None
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None
    exif: bytes = b""
    xmp: bytes = b""


def reals(value: Any, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers of a tag or an entry of `info`, or None if it holds anything else.

    Text chunks of a PNG are entries of `info` as well, and their keyword may be the name of another entry.
    """
    if not isinstance(value, tuple | list) or len(value) != count:
        return None
    if not all(isinstance(number, Real) and not isinstance(number, bool) for number in value):
        return None
    try:
        found = tuple(float(number) for number in value)
    except (ArithmeticError, ValueError):
        return None
    return found if all(map(math.isfinite, found)) else None


def read(image: Image.Image) -> SourceInfo:
    """What the file of a Pillow image declares.

    It is taken from `info` if that has it, else from the open file of an image that is not loaded. For a
    loaded image, the file is opened again if Pillow opened it by name; otherwise only TIFF and HEIF give any.
    """
    known = image.info.get(KEY)
    if isinstance(known, SourceInfo):
        return known
    if image.format == "TIFF":
        return _from_tiff(image)
    if image.format == "HEIF":
        source = _from_heif(image)
    elif getattr(image, "fp", None) is not None:  # the file is open
        source = _from_unloaded(image)
    else:
        source = _from_loaded(image)
    # An ICC profile takes precedence over code points, except in PNG.
    has_icc = image.format != "PNG" and image.info.get("icc_profile")
    return replace(source, cicp=None) if has_icc else source


def _from_unloaded(image: Image.Image) -> SourceInfo:
    source, file = SourceInfo(), getattr(image, "fp", None)
    if image.format in _READERS and file is not None:
        try:
            position = file.tell()
            try:
                source = _READERS[image.format](file)
            finally:
                file.seek(position)
        except (IndexError, KeyError, OSError, ValueError, struct.error):
            pass  # damaged, though Pillow opened it; or closed, which loading will report
    bits = max(source.bits, _bits_of_tiles(image))
    return replace(source, bits=16 if bits == 8 and image.mode.startswith("I") else bits)


def _from_loaded(image: Image.Image) -> SourceInfo:
    name = getattr(image, "filename", "")
    if name and image.format in {*_READERS, "PPM", "SGI"}:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they were given when it was opened first
                with Image.open(name, formats=[image.format]) as again:
                    if again.size == image.size:
                        return _from_unloaded(again)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            pass  # the file has changed or is gone
    return SourceInfo(bits=16 if image.mode.startswith("I") else 8)


def _from_heif(image: Image.Image) -> SourceInfo:
    """From the entries of `info` that pillow-heif makes."""
    nclx, bits = image.info.get("nclx_profile"), image.info.get("bit_depth")
    codes = None
    if isinstance(nclx, Mapping):
        primaries, transfer = nclx.get("color_primaries"), nclx.get("transfer_characteristics")
        if isinstance(primaries, Integral) and isinstance(transfer, Integral):
            codes = int(primaries), int(transfer)
    return SourceInfo(bits=int(bits) if isinstance(bits, Integral) else 8, cicp=codes)


def _bits_of_tiles(image: Image.Image) -> int:
    """Bits of a sample by the arguments of Pillow's decoders, at least 8."""
    bits = 8
    for tile in getattr(image, "tile", []):
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if tile[0].startswith("ppm"):
            bits = max([bits, *(value.bit_length() for value in arguments if isinstance(value, int))])
        # A raw mode with a byte order has 16 bits a sample; one without, as BGR;16, has 16 bits a pixel.
        elif tile[0] == "SGI16" or str(arguments[0]).endswith((";16B", ";16L", ";16N")):
            bits = 16
    return bits


def _from_tiff(image: Image.Image) -> SourceInfo:
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS, ()), default=1)
    # Pillow reads the planes of uncompressed files as planes of 8 bits.
    unreadable = ""
    if bits > 8 and tags.get(_PLANES, 1) != 1 and tags.get(_COMPRESSION, 1) == 1:
        allowed = "interleaved or compressed ones are allowed"
        unreadable = f"{bits} bits a sample in separate planes, which Pillow cannot read; {allowed}"
    elif not image.mode.startswith(("F", "I")) and _holds(tags.get(_SAMPLES), _SIGNED):
        unreadable = "signed samples, which Pillow reads as unsigned; unsigned ones are allowed"
    inverted = tags.get(_PHOTOMETRIC) == 0 and image.mode.startswith("I;16")
    source = SourceInfo(bits=bits, range=bits, inverted=inverted, unreadable=unreadable)
    return source if image.info.get("icc_profile") else replace(source, **_tiff_colours(tags, bits))


def _holds(value: Any, number: int) -> bool:
    """Whether the value of a tag is this number, or a tuple that contains it."""
    return value == number or (isinstance(value, tuple) and number in value)


def _tiff_colours(tags: Mapping[int, Any], bits: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    white, primaries = reals(_value(tags, _WHITE), 2), reals(_value(tags, _PRIMARIES), 6)
    if white or primaries:
        found["chromaticities"] = (white or SRGB[:2]) + (primaries or SRGB[2:])
    table = _value(tags, _TRANSFER)
    if table is not None:
        found |= _tiff_curve(table, bits)
    return found


def _value(tags: Mapping[int, Any], tag: int) -> Any:
    try:
        return tags.get(tag)
    except Exception:  # Pillow reads a tag now, and raises errors of many types if it is damaged
        return None


def _tiff_curve(table: Any, bits: int) -> dict[str, Any]:
    """`gamma` of a table from samples to light; nothing if it is sRGB's; `lost` if it is another function."""
    lost = {"lost": "a transfer function other than sRGB and gamma"}
    levels = 1 << min(bits, 16)
    values = reals(table, levels) or reals(table, 3 * levels)  # one table for all channels, or one for each
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
    """Light, 0 to 1, of samples, 0 to 1, in sRGB."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def _from_png(file: IO[bytes]) -> SourceInfo:
    file.seek(24)
    depth, colour_type = file.read(2)
    source = SourceInfo(max_grey=2**depth - 1 if colour_type == 0 and 1 < depth < 8 else 255)
    file.seek(8)
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"cICP":
            primaries, transfer, _, full = file.read(4)
            lost = "" if full else "samples from 16 to 235 (narrow range)"
            return replace(source, cicp=(primaries, transfer), lost=lost)
        if kind == b"IDAT":
            break
        file.seek(size + 4, 1)
    return source


def _from_bmp(file: IO[bytes]) -> SourceInfo:
    """From versions 4 and 5 of the header: calibrated colours, or the ICC profile in version 5."""
    file.seek(0)
    head = file.read(14 + 124)
    version, space = head[14:18], head[70:74]
    if version in (b"\x6c\0\0\0", b"\x7c\0\0\0") and space == bytes(4):
        return _calibrated(head)
    if version != b"\x7c\0\0\0" or space not in (b"DEBM", b"KNIL"):
        return SourceInfo()
    if space == b"KNIL":
        return SourceInfo(lost="a colour profile in another file")
    offset, size = struct.unpack_from("<II", head, 126)
    file.seek(14 + offset)
    return SourceInfo(icc=file.read(min(size, MAX_BYTES)))


def _calibrated(head: bytes) -> SourceInfo:
    """Colours by endpoints and gammas, which many programs leave 0."""
    numbers = struct.unpack_from("<9i3I", head, 74)
    points = np.reshape(numbers[:9], (3, 3)) / (1 << 30)
    gammas = [number / (1 << 16) for number in numbers[9:]]
    sums = points.sum(axis=1, keepdims=True)
    colours = (*SRGB[:2], *(points / sums)[:, :2].ravel().tolist()) if np.all(sums > 0) else None
    if max(gammas) - min(gammas) > 0.01:
        return SourceInfo(lost=f"a gamma for each colour, {', '.join(f'{gamma:.4g}' for gamma in gammas)}")
    return SourceInfo(gamma=1 / gammas[0] if gammas[0] else None, chromaticities=colours)


def _from_jpeg_2000(file: IO[bytes]) -> SourceInfo:
    file.seek(0)
    data = file.read(MAX_BYTES)
    if data.startswith(b"\xff\x4f"):  # a codestream alone
        sizes = data[42 : 42 + 3 * int.from_bytes(data[40:42], "big") : 3]
        return SourceInfo(bits=_bits_of(sizes))
    parts = list(_boxes(dict(_boxes(data))[b"jp2h"]))
    sizes = dict(parts).get(b"bpcc") or dict(parts)[b"ihdr"][10:11]
    colours = [content for kind, content in parts if kind == b"colr"]
    profiles = [content[3:] for content in colours if content[0] in (2, 3)]
    spaces = [int.from_bytes(content[3:7], "big") for content in colours if content[0] == 1]
    source = SourceInfo(bits=_bits_of(sizes), icc=profiles[0] if profiles else None, **_metadata_boxes(file))
    if profiles or not spaces or spaces[0] in _READ_BY_PILLOW:
        return source
    if spaces[0] == _ROMM:
        return replace(source, gamma=1 / 1.8, chromaticities=_ROMM_COLOURS)
    return replace(source, lost=_OTHER_SPACES.get(spaces[0], f"colours of space {spaces[0]} of JPEG 2000"))


def _metadata_boxes(file: IO[bytes]) -> dict[str, Any]:
    """`exif` and `xmp` of a JPEG 2000, whose boxes often follow the pixels."""
    found: dict[str, Any] = {}
    offset = 0
    for _ in range(_MAX_BOXES):
        file.seek(offset)
        head = file.read(16)
        if len(head) < 8:
            break
        size, kind = struct.unpack_from(">I4s", head)
        start = 8
        if size == 1 and len(head) == 16:
            size, start = struct.unpack_from(">Q", head, 8)[0], 16
        if kind == b"uuid":
            file.seek(offset + start)
            name = _UUIDS.get(file.read(16))
            length = size - start - 16 if size else MAX_BYTES + 1  # 0: to the end of the file
            if name and name not in found and length > 0:
                found[name] = file.read(min(length, MAX_BYTES + 1))
        if size < start:
            break
        offset += size
    return found


def _bits_of(sizes: bytes) -> int:
    return max((size & 0x7F) + 1 for size in sizes)


def _from_avif(file: IO[bytes]) -> SourceInfo:
    """From the properties of the primary item, not of its alpha, gain map or thumbnails."""
    file.seek(0)
    parts = dict(_boxes(dict(_boxes(file.read(MAX_BYTES)))[b"meta"][4:]))
    item = parts[b"pitm"]
    described = dict(_boxes(parts[b"iprp"]))
    known = list(_boxes(described[b"ipco"]))
    numbers = _associated(described[b"ipma"], int.from_bytes(item[4:8] if item[0] else item[4:6], "big"))
    own = [known[number - 1] for number in numbers if number]
    bits = _bits_of_avif(own) or _bits_of_avif(known)  # a grid has none: those of its tiles
    colours = [content for kind, content in own if kind == b"colr"]
    codes = [struct.unpack_from(">HH", content, 4) for content in colours if content[:4] == b"nclx"]
    return SourceInfo(bits=max(bits, default=8), cicp=codes[0] if codes else None)


def _bits_of_avif(properties: list[tuple[bytes, bytes]]) -> list[int]:
    bits = [max(content[5:], default=8) for kind, content in properties if kind == b"pixi"]
    flags = [content[2] for kind, content in properties if kind == b"av1C"]
    return bits or [(12 if flag & 0x20 else 10) if flag & 0x40 else 8 for flag in flags]


_READERS = {"AVIF": _from_avif, "BMP": _from_bmp, "JPEG2000": _from_jpeg_2000, "PNG": _from_png}


def _associated(ipma: bytes, item: int) -> list[int]:
    """Indices of an item's properties, from 1, by an ItemPropertyAssociation box."""
    wide = ipma[3] & 1
    offset = 8
    for _ in range(int.from_bytes(ipma[4:8], "big")):
        number, count = struct.unpack_from(">IB" if ipma[0] else ">HB", ipma, offset)
        offset += 5 if ipma[0] else 3
        kinds = struct.unpack_from(f">{count}{'H' if wide else 'B'}", ipma, offset)
        offset += count * (2 if wide else 1)
        if number == item:
            return [kind & (0x7FFF if wide else 0x7F) for kind in kinds]
    return []


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of the boxes in `data`, of AVIF and JPEG 2000 alike."""
    offset = 0
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, offset + 8)[0], 16
        size = size or len(data) - offset  # 0: to the end of the file
        if size < head:
            return
        yield kind, data[offset + head : offset + size]
        offset += size
