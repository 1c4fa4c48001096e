"""Picture files in rows: the same file as of the whole picture, whatever its kind."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

import caesura
from caesura import large
from caesura.errors import ConfigError, DependencyError, FormatError, ImageError, LimitError
from caesura.format import container
from caesura.large.writing import chunk
from caesura.picture import exif, formats, loading, metadata, read_metadata
from caesura.ratecontrol.search import Target
from cli_helpers import run, succeeded

Pixels = NDArray[np.uint8]
encode_rows, encode = (partial(function, segment_side=64) for function in (large.encode, caesura.encode))


@pytest.fixture(scope="module")
def picture(coffee: Pixels) -> Image.Image:
    """RGBA, 4 x 3 segments."""
    alpha = np.add.outer(np.arange(250), np.arange(170)).astype(np.uint8)
    return Image.fromarray(np.dstack([coffee[:250, 200:370], alpha]))


@pytest.fixture(scope="module")
def coded(picture: Image.Image) -> Callable[[str], bytes]:
    """A function that gives the picture's file by its mode."""
    return cache(lambda mode: encode(picture.convert(mode)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "quality"), [("L", 30), ("RGB", 30), *((mode, 90) for mode in ("L", "LA", "RGB", "RGBA"))]
)
def test_a_file_is_coded_as_the_picture_is(
    tmp_path: Path, picture: Image.Image, mode: str, quality: float
) -> None:
    path = tmp_path / "picture.png"
    picture.convert(mode).save(path)
    assert encode_rows(path, quality=quality) == encode(Image.open(path), quality=quality)
    exactly = encode_rows(path, quality=quality, exact=True)
    assert exactly == encode(Image.open(path), quality=quality, exact=True)


@pytest.mark.slow
def test_a_page_is_lossless_too(tmp_path: Path) -> None:
    path, out = tmp_path / "page.png", tmp_path / "out.png"
    page = np.full((300, 260, 3), 255, np.uint8)
    page[::6, 20:240] = 0
    page[:, ::16] = 200, 30, 30
    Image.fromarray(page).save(path)
    data = encode_rows(path, quality=50)
    assert data == encode(Image.open(path), quality=50)
    large.decode(data, out)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), page)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["tif", "jpg", "webp"])
def test_files_of_other_formats_are_read(tmp_path: Path, picture: Image.Image, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    picture.convert("RGB").save(path)
    decoded = caesura.decode_array(encode_rows(path))
    expected = caesura.decode_array(encode(Image.open(path)))
    assert np.abs(decoded.astype(int) - expected).mean() < 1  # JPEG decoders differ


@pytest.mark.slow
def test_metadata_travels(tmp_path: Path, picture: Image.Image) -> None:
    source, coded, target = (tmp_path / name for name in ("a.jpg", "a.cae", "b.jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.convert("RGB").save(source, exif=exif, icc_profile=b"0" * 200)
    data = encode_rows(source)
    assert container.read(data)[1].metadata == read_metadata.from_image(Image.open(source))
    assert caesura.decode(data).getexif()[0x0112] == 6
    large.decode(data, target)
    assert Image.open(target).getexif()[0x0112] == 6
    assert "exif" not in caesura.decode(encode_rows(source, strip=True)).info
    assert not coded.exists()


@pytest.mark.slow
def test_a_size_is_met(tmp_path: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caesura.tiles.target._MOST_CACHED", 0)  # as of a large picture
    path = tmp_path / "picture.png"
    picture.convert("RGB").save(path)
    assert 0.98 * 9000 < len(encode_rows(path, target=Target(bytes=9000), model="photo-psnr")) <= 9000


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_a_file_is_written_as_it_decodes(
    tmp_path: Path, coded: Callable[[str], bytes], mode: str, suffix: str
) -> None:
    data = coded(mode)
    target = tmp_path / f"out.{suffix}"
    seen: list[tuple[int, int]] = []
    large.decode(data, target, progress=lambda done, total: seen.append((done, total)))
    with Image.open(target) as written:
        there = written.convert(mode) if suffix == "webp" else written  # which has no grey
        np.testing.assert_array_equal(np.asarray(there), np.asarray(caesura.decode(data)))
    assert seen[-1] == (250, 250)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_rows_are_read_once_and_kept_no_longer_than_needed(tmp_path: Path, picture: Image.Image) -> None:
    path = tmp_path / "picture.png"
    picture.convert("RGB").save(path)
    seen: list[tuple[int, int]] = []
    encode_rows(path, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (250, 250)


BAD = {
    "16 bits": (lambda: Image.new("I;16", (9, 9)), "1 channels of ushort, grey16; grey and RGB of 8 bits"),
    "CMYK": (lambda: Image.new("CMYK", (9, 9)), "4 channels of uchar, cmyk; grey and RGB of 8 bits"),
}


@pytest.mark.parametrize("name", BAD)
def test_other_kinds_are_refused(tmp_path: Path, name: str) -> None:
    make, expected = BAD[name]
    path = tmp_path / "picture.tif"
    make().save(path)
    with pytest.raises(ImageError, match=expected):
        encode_rows(path)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("text")
    with pytest.raises(ImageError, match=r"text\.png: .*not .*known"):
        encode_rows(path)
    with pytest.raises(ImageError, match=r"none\.png: "):
        encode_rows(tmp_path / "none.png")


def test_a_cut_file_is_refused(tmp_path: Path, picture: Image.Image) -> None:
    path = tmp_path / "cut.png"
    picture.save(path)
    path.write_bytes(path.read_bytes()[:10000])
    with pytest.raises(ImageError, match=r"cut\.png: "):
        encode_rows(path)


@pytest.mark.slow
def test_a_format_that_is_not_known_is_refused_and_nothing_left(
    tmp_path: Path, coded: Callable[[str], bytes]
) -> None:
    with pytest.raises(ImageError, match=r"out\.xyz: extension is '\.xyz'; \.jpeg, .* are allowed"):
        large.decode(coded("RGBA"), tmp_path / "out.xyz")
    with pytest.raises(FormatError, match="starts with"):
        large.decode(b"text", tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_until_it_is_whole_a_file_has_no_name(tmp_path: Path, coded: Callable[[str], bytes]) -> None:
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("of Linux")
    data, link, seen = coded("RGBA"), tmp_path / "out.png", []
    link.symlink_to(tmp_path / "kept.png")
    large.decode(data, link, progress=lambda done, total: seen.append(sorted(tmp_path.iterdir())))
    assert seen
    assert all(names == [link] for names in seen)  # nothing that a kill would leave
    assert link.is_symlink()
    with Image.open(tmp_path / "kept.png") as written:
        assert np.array_equal(written, caesura.decode_array(data))


@pytest.mark.slow
def test_jpeg_is_faithful_and_refuses_transparency(tmp_path: Path, coded: Callable[[str], bytes]) -> None:
    data, target = coded("RGB"), tmp_path / "out.jpg"
    large.decode(data, target)
    with Image.open(target) as written:
        apart = np.abs(np.asarray(written).astype(int) - caesura.decode_array(data))
    assert apart.mean() < 1.5
    with pytest.raises(ImageError, match=r"out\.jpg: \.jpg cannot hold transparency"):
        large.decode(coded("RGBA"), target)


def test_a_folder_that_cannot_be_written_is_our_error(tmp_path: Path, coded: Callable[[str], bytes]) -> None:
    with pytest.raises(ImageError, match=r"out\.png: No such file"):
        large.decode(coded("RGBA"), tmp_path / "none" / "out.png")


@pytest.mark.slow
def test_empty_metadata_is_left_out(tmp_path: Path, picture: Image.Image) -> None:
    path = tmp_path / "picture.jpg"
    picture.convert("RGB").save(path)
    content = path.read_bytes()
    path.write_bytes(content[:2] + b"\xff\xe1\x00\x08Exif\0\0" + content[2:])
    assert "exif" not in caesura.decode(encode_rows(path)).info


@pytest.mark.slow
def test_an_error_in_the_middle_is_the_decoders(tmp_path: Path, coded: Callable[[str], bytes]) -> None:
    header, payload = container.read(coded("RGBA"))
    forged = [*payload.segments[:-1], container.SegmentData(b"odd")]
    data = container.write(header, dataclasses.replace(payload, segments=forged))
    with pytest.raises(FormatError, match="coded symbols: 3 bytes; a whole number of 4-byte words"):
        large.decode(data, tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_damage_and_wrong_types_are_as_elsewhere(
    tmp_path: Path, picture: Image.Image, coded: Callable[[str], bytes]
) -> None:
    data = coded("RGBA")
    (tmp_path / "in.cae").write_bytes(data)
    large.decode(tmp_path / "in.cae", str(tmp_path / "out.png"))
    with Image.open(tmp_path / "out.png") as written:
        assert written.size == picture.size
    with pytest.raises(OSError, match="the file starts with"):
        large.decode(b"text", tmp_path / "out.png")
    with pytest.raises(TypeError, match="data is 5"):
        large.decode(5, tmp_path / "out.png")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path is 5, of type int; a path is allowed"):
        encode_rows(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="strip is 'no'"):
        encode_rows(tmp_path / "out.png", strip="no")  # type: ignore[arg-type]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(ImageError, match=r"pipe\.png is not a file"):
            encode_rows(tmp_path / "pipe.png")


@pytest.mark.slow
def test_the_limit_of_pixels_holds(
    tmp_path: Path, picture: Image.Image, coded: Callable[[str], bytes]
) -> None:
    path = tmp_path / "picture.png"
    picture.save(path)
    with pytest.raises(LimitError, match="max_pixels allows 1000"):
        encode_rows(path, max_pixels=1000)
    with pytest.raises(LimitError, match="max_pixels allows 1000"):
        large.decode(coded("RGBA"), tmp_path / "out.png", max_pixels=1000)


REFUSED: list[Callable[[Path], object]] = [
    lambda path: encode_rows(path, effort=9),
    lambda path: encode_rows(path, target=Target(psnr=40)),
]


@pytest.mark.parametrize("call", REFUSED)
def test_what_needs_the_whole_picture_is_refused(tmp_path: Path, call: Callable[[Path], object]) -> None:
    with pytest.raises(ConfigError, match="for a picture that is read in rows, efforts below 9 and sizes"):
        call(tmp_path / "picture.png")


def test_without_libvips_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)
    with pytest.raises(DependencyError, match=r"large pictures need libvips: pip install 'caesura\[large\]'"):
        encode_rows(tmp_path / "picture.png")


# ---- the same as in memory

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture counts as large."""
    monkeypatch.setattr(large, "PIXELS", 0)
    monkeypatch.setattr(large, "_MIN_FILE_BYTES", 0)


def camera(orientation: int) -> bytes:
    made = Image.Exif()
    made.update({0x010F: "Maker", 0x0112: orientation, 0x011A: 300.0, 0x0100: 9999, 0x013B: "Artist"})
    made[0x8769] = {0x829A: 0.008, 0x927C: b"MAKER NOTE" * 9, 0x9003: "2020:01:01 00:00:00"}
    made[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    return made.tobytes()


def small(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:40, :56]
    made = Image.fromarray(np.dstack([4 * x, 6 * y, x + y]).astype(np.uint8)).convert(mode)
    if mode.endswith("A"):
        made.putalpha(Image.fromarray((2 * x + y).astype(np.uint8)))
    made.info.clear()
    return made


def assert_alike(path: Path, *, strip: bool = False) -> None:
    assert large.takes(path, upright=strip)
    with Image.open(path) as picture:
        assert encode_rows(path, effort=1, strip=strip) == encode(picture, effort=1, strip=strip)


@pytest.mark.slow
@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_is_coded_as_in_memory(tmp_path: Path, kind: str, orientation: int) -> None:
    picture = small()
    picture.info = {"exif": camera(orientation), "xmp": XMP, "icc_profile": PROFILE}
    path = tmp_path / "photo"
    path.write_bytes(formats.saved(picture, kind))
    if orientation == 1:
        assert_alike(path)
        assert_alike(path, strip=True)
        return
    assert not large.takes(path, upright=True)
    if kind != "TIFF":
        assert_alike(path)
        return
    assert not large.takes(path, upright=False)
    with pytest.raises(ImageError, match=f"photo: orientation {orientation}, which is to be applied; 1 is"):
        encode_rows(path)


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_every_mode_is_coded_as_in_memory(tmp_path: Path, kind: str, mode: str) -> None:
    small(mode).save(tmp_path / "a", kind)
    assert_alike(tmp_path / "a")


def png_with(*after: bytes, **settings: Any) -> bytes:
    stream = io.BytesIO()
    small().save(stream, "PNG", **settings)
    content = stream.getvalue()
    return content[:-12] + b"".join(after) + content[-12:]


def raw_profile() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(camera(6)):8}\n{camera(6).hex()}\n")
    return text


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize(
    "content",
    [
        png_with(chunk(b"eXIf", camera(6)[6:]), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        png_with(pnginfo=raw_profile()),
    ],
    ids=["behind the pixels", "as text"],
)
def test_metadata_of_a_png_is_found_wherever_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert_alike(tmp_path / "a.png")
    assert not large.takes(tmp_path / "a.png", upright=True)


UNLIKE: dict[str, Callable[[Path], object]] = {
    "animated PNG": lambda path: small().save(path, "PNG", save_all=True, append_images=[small().rotate(90)]),
    "animated WebP": lambda path: small().save(
        path, "WEBP", save_all=True, append_images=[small().rotate(90)]
    ),
    "pages": lambda path: small().save(path, "TIFF", save_all=True, append_images=[small()]),
    "transparent colour": lambda path: small().save(path, "PNG", transparency=(0, 0, 0)),
    "a fourth channel": lambda path: small("RGBX").save(path, "TIFF"),
    "YCbCr": lambda path: small("YCbCr").save(path, "TIFF"),
    "CMYK": lambda path: small("CMYK").save(path, "JPEG"),
}


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("name", UNLIKE)
def test_what_libvips_reads_otherwise_is_left_to_memory(tmp_path: Path, name: str) -> None:
    UNLIKE[name](tmp_path / "a")
    assert not large.takes(tmp_path / "a", upright=False)


BLOCKS = {
    "none": {},
    "all": {"exif": camera(6), "xmp": XMP, "icc_profile": PROFILE},
    "too long for JPEG": {"exif": camera(6) + bytes(70_000), "xmp": XMP + b" " * 70_000},
    "damaged": {"exif": camera(6)[:70], "xmp": b"\xff"},
    "no EXIF": {"exif": b"Exif\0\0text", "icc_profile": PROFILE * 300},
}


@cache
def with_metadata(mode: str, name: str) -> bytes:
    """The file of a small picture with the metadata of `BLOCKS`."""
    picture = small(mode)
    picture.info |= BLOCKS[name]
    return encode(picture, effort=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_metadata_is_written_as_from_memory(tmp_path: Path, suffix: str, mode: str, name: str) -> None:
    if suffix == "jpg" and mode.endswith("A"):
        return
    data = with_metadata(mode, name)
    large.decode(data, tmp_path / f"a.{suffix}")
    (tmp_path / f"b.{suffix}").write_bytes(
        formats.saved(caesura.decode(data), formats.writable_format(f".{suffix}"))
    )
    ours, theirs = (loading.open_image(tmp_path / f"{stem}.{suffix}") for stem in "ab")
    assert read_metadata.from_image(ours) == read_metadata.from_image(theirs)
    assert ours.info.get("dpi") == theirs.info.get("dpi")
    if suffix == "tif":
        own, other = ({*picture.tag_v2} - exif.LAYOUT for picture in (ours, theirs))
        assert own == other
    assert ours.mode == theirs.mode
    difference = np.asarray(ours).astype(int) - np.asarray(theirs)
    assert np.abs(difference).max() <= (8 if suffix == "jpg" else 0)
    large.decode(data, tmp_path / f"a.{suffix}", strip=True)
    stripped = Image.open(tmp_path / f"a.{suffix}")
    assert read_metadata.from_image(stripped) == metadata.Metadata()


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_command_line_turns_what_it_strips(tmp_path: Path, suffix: str) -> None:
    picture = small()
    picture.info |= {"exif": camera(6), "icc_profile": PROFILE}
    coded, out = tmp_path / "a.cae", tmp_path / f"a.{suffix}"
    coded.write_bytes(encode(picture, effort=1))
    succeeded(run("decode", "--strip", coded, "-o", out))
    with loading.open_image(out) as back:
        assert (back.size, read_metadata.from_image(back)) == ((40, 56), metadata.Metadata())
