"""What a target costs: a table of every target, from trials that were counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import targets
from caesura.ratecontrol.search import Target
from cli_helpers import drawn


@pytest.mark.slow
def test_a_table_has_a_line_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        Image.fromarray(drawn(64, 80 + 16 * number)).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(targets, "TARGETS", (Target(bpp=2), Target(psnr=30)))
    monkeypatch.setattr(sys, "argv", ["targets", str(tmp_path), "--pictures", "2"])
    targets.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines] == ["target", "---", "bpp 2", "psnr 30"]
    for line in lines[2:]:
        ratio, largest, trials, most, seconds = (float(cell) for cell in line.split("|")[2:-1])
        assert 0 < ratio <= largest
        assert 1 <= trials <= most
        assert seconds > 0


def test_pictures_are_cut_in_the_middle() -> None:
    assert targets._middle(drawn(700, 900)).shape == (512, 768, 3)
    assert targets._middle(drawn(900, 700)).shape == (768, 512, 3)
    assert targets._middle(drawn(40, 60)).shape == (40, 60, 3)
