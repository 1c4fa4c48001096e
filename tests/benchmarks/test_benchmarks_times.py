"""machine.py and times.py: how busy the machine is, and times that are kept only where it is idle."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
from rich.console import Console

from bench_helpers import hurry
from benchmarks import times
from caesura.bench import codecs, machine, speed
from caesura.bench.codecs import JPEG
from caesura.bench.speed import process, timing
from caesura.bench.speed.process import Fresh
from cli_helpers import drawn
from train_helpers import save


def clock(monkeypatch: pytest.MonkeyPatch, *readings: tuple[float, float, float] | None) -> machine.OtherLoad:
    left = iter(readings)
    monkeypatch.setattr(machine, "_seconds", lambda: next(left))
    return machine.OtherLoad()


def test_others_are_everyone_but_us(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock(monkeypatch, (10, 100, 30), (14, 107, 35)).used() == 0.5
    assert clock(monkeypatch, (10, 100, 30), (14, 104, 35)).used() == 0  # ticks are coarse
    assert clock(monkeypatch, None, None).used() is None


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="Linux alone tells")
def test_our_own_work_is_not_others() -> None:
    beside, before = machine.OtherLoad(), os.times()
    while os.times().user - before.user < 0.3:
        pass
    used = beside.used()
    assert used is not None
    assert 0 <= used <= (os.cpu_count() or 1) + 0.5


@pytest.mark.parametrize(
    ("others", "idle", "said"),
    [
        (0.04, True, "other programs used 0.04 of 2 processors"),
        (0.9, False, "times from a busy machine: other programs used 0.90 of 2 processors"),
        (None, False, "how busy other programs kept the machine is not known"),
    ],
)
def test_what_is_said_of_it(others: float | None, idle: bool, said: str) -> None:
    assert machine.is_idle(others) == idle
    assert machine.load_text(others, 2) == said


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"flags": "fpu sse2 avx avx2 avx512f avx512_bf16 amx_tile"}, "AVX2, AVX-512, AVX-512 BF16, AMX"),
        ({"flags": "fpu sse2"}, "unknown"),
        ({"Features": "fp asimd sve"}, "NEON, SVE"),
        ({}, "unknown"),
    ],
)
def test_instruction_sets_are_named(
    facts: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_fact", lambda name: facts.get(name, ""))
    assert machine.describe().instructions == said


# docs/SPEED.md


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a folder that JPEG alone codes, beside ours."""
    save(tmp_path / "in" / "photo.png", drawn(72, 80))
    monkeypatch.setattr(codecs, "OTHERS", (JPEG,))
    monkeypatch.setattr(times, "_WATCH", 0)
    monkeypatch.setattr(times, "_QUICK_SIZES", (0.005,))
    return tmp_path / "in"


def busy(monkeypatch: pytest.MonkeyPatch, *used: float | None) -> None:
    """What each look finds."""
    left = iter(used)
    monkeypatch.setattr(machine.OtherLoad, "used", lambda _: next(left))


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (0.9, r"busy: other programs use 0\.90 of \d+ processors; times are kept if it is 0\.1 at most"),
        (None, "the load of this machine is not known"),
    ],
)
def test_a_machine_that_is_not_idle_is_refused_at_once(
    used: float | None, said: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(monkeypatch, used)
    monkeypatch.setattr(times.measure, "timed", None)
    with pytest.raises(times.BusyError, match=said):
        times.page(photos, "photo", quick=True, console=Console(quiet=True))


@pytest.mark.slow
@pytest.mark.parametrize("used", [(0.0, 0.5), (0.0, 0.0, 0.5)])
def test_times_of_a_machine_that_was_busy_meanwhile_or_after_are_not_kept(
    used: tuple[float, ...], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(monkeypatch, *used)
    monkeypatch.setattr(speed, "run", lambda *_, **__: [None])
    with pytest.raises(times.BusyError, match="the machine is busy"):
        times.page(photos, "photo", quick=True, console=Console(quiet=True))


@pytest.mark.slow
def test_the_page_says_the_machine_and_how_busy_it_was(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(speed, "run", functools.partial(speed.run, repeats=1))
    monkeypatch.setattr(timing, "_TURNS", 1)
    monkeypatch.setattr(process, "fresh", lambda size, _: [Fresh("encode", size, 0.2, 0.1, 0.1)])
    monkeypatch.setattr(machine.OtherLoad, "used", lambda _: 0.02)
    monkeypatch.setattr("sys.argv", ["times", str(photos), "--docs", str(tmp_path / "docs"), "--quick"])
    times.main()
    page = (tmp_path / "docs" / "SPEED.md").read_text()
    here = machine.describe()
    text = " ".join(page.split())
    for said in (here.processor, f"{here.cores} cores", here.instructions):
        assert said in text
    assert f"other programs used 0.02 of {here.cores} processors" in text
    assert "| caesura photo | 50 |" in page
    assert "| JPEG 4:2:0 | 45 |" in page
    assert "### Speed of photo, quality 50" in page
