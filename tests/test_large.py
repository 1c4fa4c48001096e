"""Picture files in rows: the same file as of the whole picture, whatever its kind."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import container, large, segments
from caesura.errors import ConfigError, DependencyError, FormatError, ImageError, LimitError
from caesura.target import Target

Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "choose", lambda height, width: 1)


@pytest.fixture
def picture(coffee: Pixels) -> Image.Image:
    """RGBA, 4 x 3 segments."""
    alpha = np.add.outer(np.arange(250), np.arange(170)).astype(np.uint8)
    return Image.fromarray(np.dstack([coffee[:250, 200:370], alpha]))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("quality", [30, 90])
def test_a_file_is_coded_as_the_picture_is(
    tmp_path: Path, picture: Image.Image, mode: str, quality: float
) -> None:
    path = tmp_path / "picture.png"
    picture.convert(mode).save(path)
    assert large.encode(path, quality=quality) == caesura.encode(Image.open(path), quality=quality)
    exactly = large.encode(path, quality=quality, exact=True)
    assert exactly == caesura.encode(Image.open(path), quality=quality, exact=True)


@pytest.mark.parametrize("suffix", ["tif", "jpg", "webp"])
def test_files_of_other_formats_are_read(tmp_path: Path, picture: Image.Image, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    picture.convert("RGB").save(path)
    decoded = caesura.decode_array(large.encode(path))
    expected = caesura.decode_array(caesura.encode(Image.open(path)))
    assert np.abs(decoded.astype(int) - expected).mean() < 1  # JPEG decoders differ


def test_metadata_travels(tmp_path: Path, picture: Image.Image) -> None:
    source, coded, target = (tmp_path / name for name in ("a.jpg", "a.cae", "b.jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.convert("RGB").save(source, exif=exif, icc_profile=b"0" * 200)
    data = large.encode(source)
    assert data == caesura.encode(source_as_vips_reads_it(source, data))
    assert caesura.decode(data).getexif()[0x0112] == 6
    large.decode(data, target)
    assert Image.open(target).getexif()[0x0112] == 6
    assert "exif" not in caesura.decode(large.encode(source, strip=True)).info
    assert not coded.exists()


def source_as_vips_reads_it(source: Path, data: bytes) -> Image.Image:
    """The pixels by Pillow, the metadata as they were coded."""
    opened = Image.open(source).convert("RGB")
    for name in ("exif", "icc_profile"):
        opened.info[name] = caesura.decode(data).info[name]
    return opened


def test_a_size_is_met(tmp_path: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caesura.codec._KEPT_PIXELS", 0)  # as of a large picture
    path = tmp_path / "picture.png"
    picture.convert("RGB").save(path)
    assert 0.98 * 9000 < len(large.encode(path, target=Target(bytes=9000), model="photo-psnr")) <= 9000


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_a_file_is_written_as_it_decodes(
    tmp_path: Path, picture: Image.Image, mode: str, suffix: str
) -> None:
    data = caesura.encode(picture.convert(mode))
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
    large.encode(path, progress=lambda done, total: seen.append((done, total)))
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
        large.encode(path)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("text")
    with pytest.raises(ImageError, match=r"text\.png: .*not .*known"):
        large.encode(path)
    with pytest.raises(ImageError, match=r"none\.png: "):
        large.encode(tmp_path / "none.png")


def test_a_cut_file_is_refused(tmp_path: Path, picture: Image.Image) -> None:
    path = tmp_path / "cut.png"
    picture.save(path)
    path.write_bytes(path.read_bytes()[:10000])
    with pytest.raises(ImageError, match=r"cut\.png: "):
        large.encode(path)


def test_a_format_that_is_not_known_is_refused_and_nothing_left(tmp_path: Path, picture: Image.Image) -> None:
    with pytest.raises(ImageError, match=r"out\.xyz: \.xyz is not known here; "):
        large.decode(caesura.encode(picture), tmp_path / "out.xyz")
    with pytest.raises(FormatError, match="starts with"):
        large.decode(b"text", tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_jpeg_is_faithful_and_refuses_transparency(tmp_path: Path, picture: Image.Image) -> None:
    data, target = caesura.encode(picture.convert("RGB")), tmp_path / "out.jpg"
    large.decode(data, target)
    with Image.open(target) as written:
        apart = np.abs(np.asarray(written).astype(int) - caesura.decode_array(data))
    assert apart.mean() < 1.5
    with pytest.raises(ImageError, match=r"out\.jpg: \.jpg cannot hold transparency"):
        large.decode(caesura.encode(picture), target)


def test_a_folder_that_cannot_be_written_is_our_error(tmp_path: Path, picture: Image.Image) -> None:
    with pytest.raises(ImageError, match=r"out\.png: No such file"):
        large.decode(caesura.encode(picture), tmp_path / "none" / "out.png")


def test_empty_metadata_is_left_out(tmp_path: Path, picture: Image.Image) -> None:
    path = tmp_path / "picture.jpg"
    picture.convert("RGB").save(path)
    content = path.read_bytes()
    path.write_bytes(content[:2] + b"\xff\xe1\x00\x08Exif\0\0" + content[2:])
    assert "exif" not in caesura.decode(large.encode(path)).info


def test_an_error_in_the_middle_is_the_decoders(tmp_path: Path, picture: Image.Image) -> None:
    header, payload = container.read(caesura.encode(picture))
    forged = [*payload.segments[:-1], container.Segment(b"odd")]
    data = container.write(header, dataclasses.replace(payload, segments=forged))
    with pytest.raises(FormatError, match="coded symbols: 3 bytes; a whole number of 4-byte words"):
        large.decode(data, tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_damage_and_wrong_types_are_as_elsewhere(tmp_path: Path, picture: Image.Image) -> None:
    data = caesura.encode(picture)
    (tmp_path / "in.cae").write_bytes(data)
    large.decode(tmp_path / "in.cae", str(tmp_path / "out.png"))
    with Image.open(tmp_path / "out.png") as written:
        assert written.size == picture.size
    with pytest.raises(OSError, match="the file starts with"):
        large.decode(b"text", tmp_path / "out.png")
    with pytest.raises(TypeError, match="data is 5"):
        large.decode(5, tmp_path / "out.png")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path is 5, of type int; a path is allowed"):
        large.encode(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="strip is 'no'"):
        large.encode(tmp_path / "out.png", strip="no")  # type: ignore[arg-type]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(ImageError, match=r"pipe\.png is not a file"):
            large.encode(tmp_path / "pipe.png")


def test_the_limit_of_pixels_holds(tmp_path: Path, picture: Image.Image) -> None:
    path = tmp_path / "picture.png"
    picture.save(path)
    with pytest.raises(LimitError, match="max_pixels allows 1000"):
        large.encode(path, max_pixels=1000)
    with pytest.raises(LimitError, match="max_pixels allows 1000"):
        large.decode(caesura.encode(picture), tmp_path / "out.png", max_pixels=1000)


REFUSED: list[Callable[[Path], object]] = [
    lambda path: large.encode(path, effort=9),
    lambda path: large.encode(path, target=Target(psnr=40)),
]


@pytest.mark.parametrize("call", REFUSED)
def test_what_needs_the_whole_picture_is_refused(tmp_path: Path, call: Callable[[Path], object]) -> None:
    with pytest.raises(ConfigError, match="for a picture that is read in rows, efforts below 9 and sizes"):
        call(tmp_path / "picture.png")


def test_without_libvips_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)
    with pytest.raises(DependencyError, match=r"large pictures need libvips: pip install 'caesura\[large\]'"):
        large.encode(tmp_path / "picture.png")
