"""`caesura decode`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caesura
from caesura import metrics
from caesura.picture import formats
from cli_helpers import (
    complaint,
    drawn,
    files,
    opened,
    run,
    succeeded,
)
from train_helpers import save


def test_decode_writes_a_png_beside_the_file(file: Path) -> None:
    out = succeeded(run("decode", file))
    assert "56 x 40" in out
    with Image.open(file.with_suffix(".png")) as picture:
        assert picture.format == "PNG"
        assert np.array_equal(np.asarray(picture), caesura.decode_array(file.read_bytes()))


@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a.PNG", "PNG"), ("a.tiff", "TIFF")]
)
def test_the_outputs_extension_names_the_format(name: str, kind: str, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / name
    succeeded(run("decode", file, "-o", target))
    with Image.open(target) as picture:
        assert picture.format == kind
        assert metrics.psnr(np.asarray(picture), caesura.decode_array(file.read_bytes())) > 25


def test_a_grey_picture_comes_back_grey(tmp_path: Path) -> None:
    picture = save(tmp_path / "grey.png", drawn(24, 32)[:, :, 1])
    succeeded(run("encode", picture))
    succeeded(run("decode", tmp_path / "grey.cae", "-o", tmp_path / "back.png"))
    with Image.open(tmp_path / "back.png") as back:
        assert back.mode == "L"
        assert back.size == (32, 24)


@pytest.mark.parametrize("name", ["a.xyz", "a.cae"])
def test_an_extension_that_names_no_format_is_refused(name: str, file: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    line = complaint(run("decode", file, "-o", tmp_path / name))
    assert "is not a picture format known here" in line
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["a.xbm", "a.h5"])
def test_a_format_that_cannot_hold_the_picture_is_refused(name: str, file: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    complaint(run("decode", file, "-o", tmp_path / name))
    assert files(tmp_path) == before


def test_a_decoded_picture_is_kept_unless_forced(file: Path) -> None:
    target = file.with_suffix(".png")
    target.write_bytes(b"kept")
    assert "is there already; --force replaces it" in complaint(run("decode", file))
    assert target.read_bytes() == b"kept"
    succeeded(run("decode", file, "-f"))
    assert np.array_equal(opened(target), caesura.decode_array(file.read_bytes()))


@pytest.mark.parametrize("damage", ["cut", "flipped", "png", "empty"])
def test_a_bad_file_leaves_nothing_and_spares_what_was_there(
    damage: str, file: Path, picture: Path, tmp_path: Path
) -> None:
    whole = file.read_bytes()
    changes: dict[str, Callable[[], bytes]] = {
        "cut": lambda: whole[:-1],
        "flipped": lambda: whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:],
        "png": picture.read_bytes,
        "empty": lambda: b"",
    }
    file.write_bytes(changes[damage]())
    (tmp_path / "there.png").write_bytes(b"kept")
    before = files(tmp_path)
    assert str(file) in complaint(run("decode", file))
    complaint(run("decode", file, "-o", tmp_path / "there.png", "--force"))
    assert files(tmp_path) == before


def test_decode_goes_on_after_a_bad_file(file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.cae"
    bad.write_bytes(file.read_bytes()[:20])
    outcome = run("decode", bad, file, "-o", tmp_path / "out")
    assert str(bad) in complaint(outcome)
    assert list(files(tmp_path / "out")) == ["picture.png"]


# Formats


def with_alpha(path: Path, colours: int) -> Path:
    """A .cae file with transparency from clear to opaque, which hides some colours altogether."""
    alpha = np.linspace(0, 255, 40 * 56).reshape(40, 56, 1).astype(np.uint8)
    path.write_bytes(caesura.encode(np.dstack([drawn(40, 56)[:, :, :colours], alpha])))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", "tif", "avif", "jp2", "tga"])
@pytest.mark.parametrize("colours", [1, 3])
def test_transparency_stays_without_loss(suffix: str, colours: int, tmp_path: Path) -> None:
    file = with_alpha(tmp_path / "a.cae", colours)
    succeeded(run("decode", file, "--format", suffix))
    expected = np.asarray(caesura.decode(file.read_bytes()).convert("RGBA"))
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        got = np.asarray(picture.convert("RGBA"))
    assert np.array_equal(got[:, :, 3], expected[:, :, 3])
    if suffix == "avif":  # its colours go through YUV
        assert metrics.psnr(got[:, :, :3], expected[:, :, :3]) > 45
    else:
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "ppm", "gif"])
@pytest.mark.parametrize("colours", [1, 3])
def test_formats_without_transparency_refuse_it(suffix: str, colours: int, tmp_path: Path) -> None:
    file = with_alpha(tmp_path / "a.cae", colours)
    line = complaint(run("decode", file, "-o", tmp_path / f"a.{suffix}"))
    assert line.endswith("cannot hold transparency; PNG, WebP, TIFF and AVIF can")
    assert line.startswith(f"caesura: {file}: ")
    assert list(files(tmp_path)) == ["a.cae"]


def test_the_format_names_files_and_wins_over_the_extension(file: Path, tmp_path: Path) -> None:
    succeeded(run("decode", file, "--format", "JPG", "-o", tmp_path / "out"))
    succeeded(run("decode", file, "--format", "webp", "-o", tmp_path / "out" / "other.png"))
    kinds = {}
    for path in sorted((tmp_path / "out").iterdir()):
        with Image.open(path) as picture:
            kinds[path.name] = picture.format
    assert kinds == {"other.png": "WEBP", "picture.jpg": "JPEG"}


@pytest.mark.parametrize("kind", ["xyz", "cae", "", "psd", "p/ng"])
def test_a_format_that_is_none_is_refused(kind: str, file: Path) -> None:
    line = complaint(run("decode", file, f"--format={kind}"))
    assert "is not a picture format known here; .png, .jpg, .webp, .tiff and .avif are" in line
    assert list(files(file.parent)) == ["picture.cae"]


def test_exif_that_pillow_cannot_read_is_left_out_where_it_must_be_read(tmp_path: Path) -> None:
    picture = Image.fromarray(drawn(16, 16))
    picture.info["exif"] = b"Exif\0\0no tags"
    picture.info["xmp"] = b"<xmp/>"
    file = tmp_path / "a.cae"
    file.write_bytes(caesura.encode(picture))
    for kind in ("tiff", "avif"):
        outcome = run("decode", file, "--format", kind)
        succeeded(outcome)
        assert "exif is damaged (not a TIFF file" in outcome.err
        with Image.open(file.with_suffix(f".{kind}")) as back:
            assert back.info["xmp"] == b"<xmp/>"
    outcome = run("decode", file, "--format", "jpg")
    succeeded(outcome)
    assert outcome.err == ""


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a.jpg", True), ("a.JPEG", True), ("a.AViF", True), ("a.gif", True), ("a", False)]
    + [(name, False) for name in ("a.cae", "a.txt", "a.mpg", "a.eps", "a.h5", "jpg", "a.jpg.part")],
)
def test_what_is_a_picture_by_its_name(name: str, is_one: bool) -> None:
    assert formats.is_picture(Path(name)) == is_one
