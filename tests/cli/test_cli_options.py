"""Options of `encode` and `decode` beyond quality: targets, parts, previews, recovery, limits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caesura
from caesura import large, metrics
from cli_helpers import complaint, opened, run, succeeded


@pytest.fixture
def photo(tmp_path: Path, part: np.ndarray) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(part).save(path)
    return path


# ---- targets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "measure"),
    [
        ("--bytes", 5000, "bytes"),
        ("--bpp", 0.7, "bpp"),
        ("--psnr", 33, "psnr"),
        ("--ms-ssim", 0.965, "ms_ssim"),
    ],
)
def test_a_target_is_met(photo: Path, option: str, value: float, measure: str) -> None:
    succeeded(run("encode", photo, option, value))
    coded = photo.with_suffix(".cae")
    found = json.loads(succeeded(run("compare", photo, coded, "--json")))[measure]
    if measure in ("bytes", "bpp"):
        assert 0.98 * value <= found <= value
    else:
        assert value <= found <= value + (0.04 if measure == "psnr" else 0.01 * (1 - value))


def test_targets_exclude_each_other_and_the_quality(photo: Path) -> None:
    said = complaint(run("encode", photo, "--bytes", 5000, "--psnr", 30))
    assert "target has bytes and psnr; exactly one of bytes, bpp, psnr, ms_ssim is allowed" in said
    said = complaint(run("encode", photo, "--bytes", 5000, "-q", 30))
    assert "quality and bytes are given; one of them is allowed" in said
    assert not photo.with_suffix(".cae").exists()


def test_an_impossible_target_says_what_is_possible(photo: Path) -> None:
    assert "or more is possible" in complaint(run("encode", photo, "--bytes", 40))
    assert "bytes is 0; an integer of 1 or more is allowed" in complaint(run("encode", photo, "--bytes", 0))


# ---- parts and previews


@pytest.fixture
def coded(photo: Path) -> Path:
    """256 x 256 pixels in 16 segments."""
    path = photo.with_suffix(".cae")
    path.write_bytes(caesura.encode(photo, quality=60, segment_side=64))
    return path


@pytest.mark.slow
def test_a_region_and_a_preview(coded: Path, tmp_path: Path) -> None:
    whole = caesura.decode_array(coded.read_bytes())
    part, small = tmp_path / "part.png", tmp_path / "small.png"
    succeeded(run("decode", coded, "-o", part, "--region", "10,20,100,90"))
    assert np.abs(opened(part).astype(int) - whole[20:110, 10:110]).max() <= 1
    succeeded(run("decode", coded, "-o", small, "--scale", "1/8"))
    assert opened(small).shape == (32, 32, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--region", "1,2,3", "X,Y,WIDTH,HEIGHT in pixels are allowed"),
        ("--region", "1,2,3,x", "X,Y,WIDTH,HEIGHT in pixels are allowed"),
        ("--region", "250,0,7,1", "region is 7 x 1 pixels at 250, 0; the picture has 256 x 256"),
        ("--scale", "half", "1, 1/2, 1/4 and 1/8 are allowed"),
        ("--scale", "1/3", "scale is 3; 1, 2, 4, 8 are allowed"),
    ],
)
def test_other_parts_are_refused(coded: Path, tmp_path: Path, option: str, value: str, expected: str) -> None:
    assert expected in complaint(run("decode", coded, "-o", tmp_path / "out.png", option, value))
    assert not (tmp_path / "out.png").exists()


# ---- damage


@pytest.mark.slow
def test_a_damaged_file_is_an_error_or_recovered(coded: Path, tmp_path: Path) -> None:
    data, out = bytearray(coded.read_bytes()), tmp_path / "out.png"
    data[len(data) // 2] ^= 1
    coded.write_bytes(data)
    assert "does not match its checksum" in complaint(run("decode", coded, "-o", out))
    outcome = run("decode", coded, "-o", out, "--recover")
    assert outcome.status == 0
    assert "64 x 64 pixels at " in outcome.err
    assert "are damaged and were concealed" in outcome.err
    assert opened(out).shape == (256, 256, 3)
    assert "it needs the whole picture" in complaint(run("decode", coded, "--recover", "--scale", "1/2"))


# ---- limits


def test_a_limit_of_pixels_holds_both_ways(photo: Path, coded: Path, tmp_path: Path) -> None:
    limit = ("--max-pixels", 256 * 256 - 1)
    expected = "256 x 256 = 65536 pixels; max_pixels allows 65535"
    assert expected in complaint(run("encode", photo, "-o", tmp_path / "b.cae", *limit))
    assert expected in complaint(run("decode", coded, "-o", tmp_path / "b.png", *limit))


@pytest.mark.slow
def test_large_pictures_go_through_in_rows(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "PIXELS", 1000)
    monkeypatch.setattr(large, "_MIN_FILE_BYTES", 0)
    calls = []
    for name in ("encode", "decode"):
        usual = getattr(large, name)
        monkeypatch.setattr(
            large, name, lambda *given, usual=usual, **named: calls.append(1) or usual(*given, **named)
        )
    coded, out = tmp_path / "large.cae", tmp_path / "large.png"
    succeeded(run("encode", photo, "-o", coded))
    said = succeeded(run("decode", coded, "-o", out))
    assert "256 x 256" in said
    assert len(calls) == 2
    assert coded.read_bytes() == caesura.encode(Image.open(photo))
    assert metrics.psnr(opened(photo), opened(out)) > 30
    assert "is there already; --force replaces it" in complaint(run("decode", coded, "-o", out))
    succeeded(run("decode", coded, "-o", out, "--force"))
