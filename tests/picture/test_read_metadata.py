"""EXIF and XMP that Pillow leaves in files are kept."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

import caesura
from caesura.picture import convert, exif, loading, metadata, read_metadata

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
EXIF = exif.with_orientation(6)
UUIDS = {"exif": b"JpgTiffExif->JP2", "xmp": bytes.fromhex("be7acfcb97a942e89c71999491e3afac")}
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0" + XMP


def photo() -> Image.Image:
    return Image.linear_gradient("L").resize((16, 8)).convert("RGB")


def written(kind: str) -> bytes:
    stream = io.BytesIO()
    photo().save(stream, kind)
    return stream.getvalue()


def box(name: str, content: bytes, *, to_the_end: bool = False) -> bytes:
    size = 0 if to_the_end else 24 + len(content)
    return struct.pack(">I", size) + b"uuid" + UUIDS[name] + content


def jpeg_2000() -> bytes:
    return written("JPEG2000") + box("exif", EXIF) + box("xmp", XMP, to_the_end=True)


def jpeg_2000_before_the_pixels() -> bytes:
    data = written("JPEG2000")
    offset = data.index(b"jp2c") - 4
    return data[:offset] + box("xmp", XMP) + box("exif", b"Exif\0\0" + EXIF) + data[offset:]


def psd() -> bytes:
    resources = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + bytes(len(content) % 2)
        for number, content in ((1058, EXIF), (1060, XMP), (1005, b"ab"))
    )
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHHI", 3, 8, 16, 8, 3, 0)
    planes = b"".join(channel.tobytes() for channel in photo().split())
    return head + struct.pack(">I", len(resources)) + resources + struct.pack(">IH", 0, 0) + planes


def raw(kind: bytes, content: bytes) -> bytes:
    digits = content.hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72)).encode()
    text = b"\n%s\n%8d\n%s\n" % (kind, len(content), lines)
    return chunk(b"zTXt", b"Raw profile type " + kind + b"\0\0" + zlib.compress(text))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes) -> bytes:
    data = written("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


FILES = [
    jpeg_2000(),
    jpeg_2000_before_the_pixels(),
    psd(),
    png(raw(b"xmp", XMP), raw(b"APP1", b"Exif\0\0" + EXIF)),
    png(raw(b"xmp", JPEG_XMP), raw(b"APP1", b"Exif\0\0" + EXIF)),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("data", FILES)
def test_files_keep_what_pillow_leaves(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    path = tmp_path / "a"
    for given in (Image.open(io.BytesIO(data)), loading.open_image(path), Image.open(path)):
        before = dict(given.info)
        decoded = caesura.decode(caesura.encode(given, strict=True, effort=1))
        assert read_metadata.from_image(decoded) == metadata.Metadata(exif=EXIF, xmp=XMP)
        assert given.info == before
        given.close()


@pytest.mark.parametrize("data", FILES)
def test_what_is_stripped_is_turned_and_gone(data: bytes) -> None:
    decoded = caesura.decode(caesura.encode(Image.open(io.BytesIO(data)), strip=True, effort=1))
    assert decoded.size == (8, 16)
    assert not read_metadata.from_image(decoded).items()
    turned = convert.upright(convert.codable(Image.open(io.BytesIO(data))))
    assert not read_metadata.from_image(turned).items()


@pytest.mark.parametrize("data", FILES)
def test_what_the_caller_gives_counts_more(data: bytes) -> None:
    picture = Image.open(io.BytesIO(data))
    picture.info |= {"xmp": b"another", "exif": b""}
    assert read_metadata.from_image(convert.codable(picture)) == metadata.Metadata(xmp=b"another")


def test_xmp_in_the_segment_of_a_jpeg() -> None:
    assert read_metadata.from_image(Image.open(io.BytesIO(png(raw(b"APP1", JPEG_XMP))))) == metadata.Metadata(
        xmp=XMP
    )


def test_a_damaged_text_is_left_out_with_a_warning() -> None:
    picture = Image.open(io.BytesIO(png(chunk(b"tEXt", b"Raw profile type xmp\0\nxmp\n 2\nzz"))))
    with pytest.warns(UserWarning, match="Raw profile type xmp is not hexadecimal and is left out"):
        assert not read_metadata.from_image(picture).items()


@pytest.mark.parametrize("end", [1, 7, 8, 12, 16, 20, 24, 30])
def test_boxes_cut_or_of_no_size_end_the_search(end: int) -> None:
    whole = written("JPEG2000")
    for tail in (box("xmp", XMP)[:end], b"\0\0\0\x04uuid" + bytes(end), b"\0\0\0\1uuid" + bytes(end)):
        kept = read_metadata.from_image(Image.open(io.BytesIO(whole + tail)))  # which is not decoded
        assert XMP.startswith(kept.xmp or b"")
        assert kept.exif is None
