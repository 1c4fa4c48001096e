"""Colour profile, EXIF and XMP travel byte for byte; orientation with them."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

import caesura
from caesura import container, metadata
from caesura.container import Header, Payload, Segment
from caesura.errors import FormatError, ImageError, LimitError
from caesura.metadata import Metadata
from cli_helpers import run, succeeded

ORIENTATION = 0x0112
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- \xc3\xa9t\xc3\xa9 --></x:xmpmeta>'
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
contents = st.none() | st.binary(min_size=1, max_size=200)


def photo() -> Image.Image:
    """Wider than high, so that a turn shows."""
    ramp = np.linspace(0, 255, 48 * 80 * 3).reshape(48, 80, 3).astype(np.uint8)
    return Image.fromarray(ramp)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags[0x010F] = "Maker"
    return tags.tobytes()


def jpeg(**settings: bytes) -> Image.Image:
    stream = io.BytesIO()
    photo().save(stream, "JPEG", quality=95, **settings)
    return Image.open(io.BytesIO(stream.getvalue()))


@given(contents, contents, contents)
def test_files_give_back_every_byte(icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> None:
    kept = Metadata(icc, exif, xmp)
    data = container.write(Header(1, 3, 100, 1, 1, 1), Payload([Segment(b"latents")], metadata=kept))
    assert container.read(data)[1] == Payload([Segment(b"latents")], metadata=kept)


def test_what_a_photo_holds_comes_back() -> None:
    source = jpeg(exif=exif(6), icc_profile=PROFILE, xmp=XMP)
    picture = caesura.decode(caesura.encode(source))
    assert picture.size == source.size  # not turned
    for name in ("exif", "icc_profile", "xmp"):
        assert picture.info[name] == source.info[name], name
    assert picture.getexif()[ORIENTATION] == 6
    assert ImageOps.exif_transpose(picture).size == (48, 80)


def test_tags_set_by_the_caller_are_kept() -> None:
    picture = photo()
    picture.getexif()[ORIENTATION] = 3
    assert caesura.decode(caesura.encode(picture)).getexif()[ORIENTATION] == 3


def test_strip_leaves_nothing_and_turns_the_pixels() -> None:
    source = jpeg(exif=exif(6), icc_profile=PROFILE, xmp=XMP)
    data = caesura.encode(source, strip=True)
    header, payload = container.read(data)
    assert (header.width, header.height) == (48, 80)
    assert payload.metadata == Metadata()
    assert data == caesura.encode(ImageOps.exif_transpose(source), strip=True)


def test_a_picture_without_any_costs_nothing() -> None:
    picture = photo()
    assert caesura.encode(picture) == caesura.encode(np.asarray(picture))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif"])
def test_the_command_line_carries_it_through(suffix: str, tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    jpeg(exif=exif(8), icc_profile=PROFILE, xmp=XMP).save(
        source, quality=90, exif=exif(8), icc_profile=PROFILE, xmp=XMP
    )
    coded, out = tmp_path / "photo.cae", tmp_path / f"out{suffix}"
    succeeded(run("encode", source, "-o", coded))
    succeeded(run("decode", coded, "-o", out))
    with Image.open(out) as picture:
        assert picture.size == (80, 48)
        assert picture.getexif()[ORIENTATION] == 8
        assert picture.info["icc_profile"] == PROFILE
        xmp = picture.info.get("xmp", picture.info.get("XML:com.adobe.xmp"))
        assert (xmp.encode() if isinstance(xmp, str) else xmp) == XMP


@pytest.mark.parametrize("with_exif", [True, False])
def test_tiff_holds_it_as_tags_and_is_turned_when_it_is_read(with_exif: bool, tmp_path: Path) -> None:
    picture = photo()
    picture.info |= {"icc_profile": PROFILE, "xmp": XMP} | ({"exif": exif(6)} if with_exif else {})
    (tmp_path / "photo.cae").write_bytes(caesura.encode(picture))
    succeeded(run("decode", tmp_path / "photo.cae", "--format", "tiff"))
    with Image.open(tmp_path / "photo.tiff") as back:
        back.load()
        assert back.size == ((48, 80) if with_exif else (80, 48))
        assert back.getexif().get(0x010F) == ("Maker" if with_exif else None)
        assert (back.info["icc_profile"], back.info["xmp"]) == (PROFILE, XMP)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_BYTES", 10)
    picture = photo()
    picture.info["xmp"] = bytes(11)
    with pytest.raises(ImageError, match="image has 11 bytes of xmp; at most 10 are allowed"):
        caesura.encode(picture)
    with pytest.raises(LimitError, match="xmp: more than 10 bytes"):
        metadata.unpack("xmp", zlib.compress(bytes(1 << 20)))


@pytest.mark.parametrize(
    "stored", [b"", b"plain", zlib.compress(b"x")[:-1], zlib.compress(b"x") + b"y", zlib.compress(b"")]
)
def test_what_is_not_one_whole_stream_is_refused(stored: bytes) -> None:
    with pytest.raises(FormatError, match="exif: "):
        metadata.unpack("exif", stored)
