"""The tint of grey pictures is measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import tint
from caesura import codec
from caesura.bench.codecs import Pixels


def test_a_tint_is_the_mean_difference_from_green() -> None:
    pixels = np.full((2, 3, 3), 100, np.uint8)
    assert tint.tint(pixels) == 0
    pixels[..., 0] = 97
    pixels[..., 2] = 101
    assert tint.tint(pixels) == 2


def test_samples_are_grey() -> None:
    pytest.importorskip("skimage")
    for _, pixels in tint.samples():
        assert pixels.dtype == np.uint8
        assert tint.tint(pixels) == 0


def test_files_are_coded_without_their_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (64, 48), (200, 20, 20)).save(path)
    coded: list[float] = []

    def encode(pixels: Pixels, **_: Any) -> bytes:
        coded.append(tint.tint(pixels))
        return b""

    monkeypatch.setattr(codec, "encode", encode)
    monkeypatch.setattr(codec, "decode_array", lambda _: np.full((48, 64, 3), (3, 0, 6), np.uint8))
    monkeypatch.setattr(sys, "argv", ["tint", str(path), "--model", "photo", "--model", "photo-psnr"])
    tint.main()
    assert coded == [0.0, 0.0]
    row = next(line for line in capsys.readouterr().out.splitlines() if "red" in line)
    assert row.count("4.5") == 2
