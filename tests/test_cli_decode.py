"""`caesura decode`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caesura
from caesura import metrics
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
