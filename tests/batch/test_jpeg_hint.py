"""The hint that a JPEG has less than the quality that is asked for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caesura import large
from caesura.picture.jpeg_quality import ijg_quality, quality_that_keeps
from cli_helpers import complaint, drawn, run, strict_json, succeeded
from train_helpers import save


def jpeg(path: Path, quality: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn(40, 56)).save(path, "JPEG", quality=quality)
    return path


def enough(quality: int) -> int:
    """The quality that the hint names for a JPEG of this IJG quality."""
    found = quality_that_keeps(quality)
    assert found is not None
    return math.ceil(found)


def test_a_jpeg_of_less_than_the_quality_asked_for_gets_a_hint(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", 30)
    expected = f"the JPEG has quality 30; quality {enough(30)} keeps what it has"
    assert succeeded(run("encode", path, "-q", 95)).rstrip("\n").endswith(f"  hint: {expected}")
    facts = strict_json(succeeded(run("encode", path, "-q", 95, "--json", "--force")))
    assert facts["hint"] == expected


def test_the_quality_of_the_hint_gets_no_hint(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", 30)
    assert "  hint: " not in succeeded(run("encode", path, "-q", enough(30)))
    assert "hint" not in strict_json(succeeded(run("encode", path, "-q", enough(30) + 1, "--json", "-f")))
    assert "  hint: " in succeeded(run("encode", path, "-q", enough(30) + 4, "-f"))


def test_the_default_quality_gets_it_as_well(tmp_path: Path) -> None:
    assert "hint: the JPEG has quality 2; " in succeeded(run("encode", jpeg(tmp_path / "a.jpg", 2)))


@pytest.mark.parametrize("options", [("--bytes", 100_000), ("--bpp", 20), ("--psnr", 20), ("--ms-ssim", 0.5)])
def test_targets_get_none(options: tuple[object, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(drawn(200, 200)).save(path, quality=2)
    assert "  hint: " not in succeeded(run("encode", path, *options))


def test_other_formats_and_jpegs_of_the_highest_quality_get_none(tmp_path: Path) -> None:
    for path in (save(tmp_path / "a.png", drawn(40, 56)), jpeg(tmp_path / "b.jpg", 100)):
        assert "  hint: " not in succeeded(run("encode", path, "-q", 100))


def test_an_original_that_is_kept_gets_it(tmp_path: Path) -> None:
    line = succeeded(run("encode", jpeg(tmp_path / "a.jpg", 5), "-q", 100, "--no-larger"))
    assert "the original is kept" in line
    assert "  hint: the JPEG has quality 5; " in line


@pytest.mark.slow
def test_a_large_jpeg_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyvips")
    monkeypatch.setattr(large, "PIXELS", 1000)
    monkeypatch.setattr(large, "_MIN_FILE_BYTES", 0)
    path = jpeg(tmp_path / "a.jpg", 30)
    assert large.takes(path, upright=False)
    assert "  hint: the JPEG has quality 30; " in succeeded(run("encode", path, "-q", 95))


def test_the_first_picture_of_a_phones_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    first, second = (Image.fromarray(np.roll(drawn(40, 56), shift, axis=1)) for shift in (0, 9))
    first.save(path, "MPO", quality=30, save_all=True, append_images=[second])
    with Image.open(path) as picture:
        assert picture.format == "MPO"
        assert ijg_quality(picture) == pytest.approx(30, abs=0.5)


def test_samples_of_12_bits_are_refused_as_before(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", 30)
    data = path.read_bytes()
    start = data.index(b"\xff\xc0")
    path.write_bytes(data[:start] + b"\xff\xc1" + data[start + 2 : start + 4] + b"\x0c" + data[start + 5 :])
    assert "is not a picture in a format known here" in complaint(run("encode", path, "-q", 95))
