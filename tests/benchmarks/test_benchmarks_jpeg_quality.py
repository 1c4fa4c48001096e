"""The quality that keeps what a JPEG has: held-out photographs, a search, a table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import jpeg_quality
from caesura.train.prepare import is_validation
from cli_helpers import drawn

HELD_OUT = [f"{number}.png" for number in range(100) if is_validation(f"{number}.png")]


@pytest.mark.parametrize("least", [1, 2, 50, 99, 100])
def test_the_lowest_quality_that_is_enough(least: int) -> None:
    asked: list[int] = []
    assert jpeg_quality.lowest(lambda quality: asked.append(quality) or quality >= least) == least
    assert len(asked) <= 7


def test_the_highest_if_none_is_enough() -> None:
    assert jpeg_quality.lowest(lambda quality: False) == 100


@pytest.mark.slow
def test_a_table_has_a_line_a_quality(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [*HELD_OUT[:3], "training.png"]:
        Image.fromarray(drawn(160, 240)).save(tmp_path / name)
    monkeypatch.setattr(jpeg_quality, "IJG_QUALITIES", (10, 80))
    monkeypatch.setattr(sys, "argv", ["jpeg_quality", str(tmp_path), "--pictures", "2", "--shrink", "2"])
    jpeg_quality.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == "2 photographs, JPEG 4:4:4"
    rows = [[float(cell) for cell in line.split("|")[1:-1]] for line in lines if line[2].isdigit()]
    (low, low_score, low_equal, low_keeps), (high, high_score, high_equal, high_keeps) = rows
    assert (low, high) == (10, 80)
    assert low_score < high_score
    assert 1 <= low_equal <= high_equal <= 100
    assert 1 <= low_keeps <= high_keeps <= 100


def test_photographs_are_shrunk(tmp_path: Path) -> None:
    Image.fromarray(drawn(41, 60)).save(tmp_path / HELD_OUT[0])
    assert [photo.shape for photo in jpeg_quality.shrunk(tmp_path, 5, 4)] == [(10, 15, 3)]
