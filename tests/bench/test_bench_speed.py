"""bench/speed: what it measures and writes, on tiny pictures; how fast anything is, no test says."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import runpy
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from bench_helpers import hurry
from caesura import codec
from caesura.bench import machine, speed
from caesura.bench.speed import peak, pictures, stages, symbols, tables, timing
from caesura.coding import rounding
from caesura.entropy import control, grouped
from caesura.errors import ConfigError, FormatError, ModelError
from caesura.format import container
from caesura.models import bundle as bundles
from caesura.runtime import transform

TINY, LESS_TINY = 0.004, 0.01
BALLAST = 1 << 29  # bytes that our process holds, which must not count as memory of its children


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, speed.Speed, str]:
    """A folder of a run, what it found, and what it printed; it runs beside `BALLAST`."""
    folder = tmp_path_factory.mktemp("speed") / "out"
    ballast = np.ones(BALLAST, np.uint8)
    shown = io.StringIO()
    console = Console(file=shown, width=160)
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        (found,) = speed.run(folder, sizes=(TINY, LESS_TINY), threads=(1, 2), repeats=1, console=console)
    del ballast
    return folder, found, shown.getvalue()


# Stages


@pytest.mark.parametrize("model", ["photo", "cae2017"])
@pytest.mark.parametrize("quality", [50, 100])
def test_every_stage_takes_time(model: str, quality: float) -> None:
    photo = pictures.photo(64, 96)
    with stages.measured() as encoding:
        data = codec.encode(photo, model=model, quality=quality)
    with stages.measured() as decoding:
        codec.decode_array(data)
    for clock in (encoding, decoding):
        assert set(clock.seconds) == set(stages.STAGES)
        assert all(seconds > 0 for seconds in clock.seconds.values())


def test_measuring_changes_no_byte() -> None:
    photo = pictures.photo(64, 96)
    plain = codec.encode(photo)
    with stages.measured():
        measured = codec.encode(photo)
        decoded = codec.decode_array(measured)
    assert measured == plain
    np.testing.assert_array_equal(decoded, codec.decode_array(plain))


def test_functions_and_settings_are_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "7")

    def wrapped() -> list[object]:
        return [
            *(transform._run, rounding.optimised, grouped.push_passes, container.read),
            *(control.Indices.index, control.Indices.__init__, os.environ["CAESURA_THREADS"]),
        ]

    def broken() -> None:
        with stages.measured():
            assert all(a is not b for a, b in zip(wrapped(), before, strict=True))
            codec.decode_array(b"no picture")

    before = wrapped()
    with pytest.raises(FormatError, match="the file starts with"):
        broken()
    assert wrapped() == before


def test_the_number_of_threads_is_put_back_where_there_was_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAESURA_THREADS", raising=False)
    with machine.codec_threads(3):
        assert os.environ["CAESURA_THREADS"] == "3"
    assert "CAESURA_THREADS" not in os.environ


def test_the_runtime_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAESURA_RUNTIME")
    with machine.codec_runtime("openvino"):
        assert os.environ["CAESURA_RUNTIME"] == "openvino"
    assert "CAESURA_RUNTIME" not in os.environ


def test_all_is_done_in_the_callers_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    index = control.Indices.index

    def noted(*arguments: object) -> object:
        seen.add(threading.get_ident())
        return index(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(control.Indices, "index", noted)
    monkeypatch.setattr("caesura.runtime.parallel._WORTH_THREADS", 0)
    with stages.measured():
        codec.encode(pictures.photo(64, 96))
    assert seen == {threading.get_ident()}


def test_time_of_a_stage_within_another_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(stages.time, "perf_counter", lambda: float(next(ticks)))
    clock = stages.Clock()  # at 0
    before = clock.switch(stages.ENTROPY)  # 1
    inner = clock.switch(stages.TRANSFORM)  # 2
    clock.switch(inner)  # 3
    clock.switch(before)  # 4
    assert clock.seconds == {"transform": 1, "entropy": 2, "container": 0, "rest": 1}


# Pictures, the machine's peak, symbols


@pytest.mark.parametrize("megapixels", [0.001, 0.1, 0.4, 1, 3, 12, 24])
def test_pictures_have_about_the_size_asked_for(megapixels: float) -> None:
    high, wide = pictures.shape(megapixels)
    assert high % 16 == wide % 16 == 0
    assert high * wide / 1e6 == pytest.approx(megapixels, rel=0.6 if megapixels < 0.1 else 0.05)


@pytest.mark.parametrize("shape", [(16, 32), (512, 768), (816, 1232)])
def test_pictures_are_photographs_all_over(shape: tuple[int, int]) -> None:
    photo = pictures.photo(*shape)
    assert photo.shape == (*shape, 3)
    assert photo.dtype == np.uint8
    assert all(corner.std() > 1 for corner in (photo[:16, :16], photo[-16:, -16:], photo[:16, -16:]))


def test_rows_of_a_large_picture_differ() -> None:
    photo = pictures.photo(1200, 1232)
    assert not np.array_equal(photo[:400], photo[400:800])
    assert not np.array_equal(photo[400:800], photo[800:])


def test_the_peak_is_a_rate() -> None:
    assert peak.gemm(1, side=64, repeats=2) > 0


@pytest.mark.parametrize("model", ["photo", "cae2017"])
def test_symbols_that_are_certainly_zero_are_told_apart(model: str) -> None:
    bundle = bundles.load(model)
    found = symbols.coding(pictures.photo(64, 96), bundle, 50, 1)
    plane = bundle.channels * (64 // bundle.stride) * (96 // bundle.stride)
    if model == "photo":
        assert 0 < found.coded < found.symbols
        assert found.symbols == plane + bundle.tables.channels * 1 * 2
        assert found.control > 0
    else:
        assert found.coded == found.symbols == plane
        assert found.control == 0
    assert found.encode_coded * found.coded == pytest.approx(found.encode * found.symbols)
    assert found.decode_coded * found.coded == pytest.approx(found.decode * found.symbols)


# Whole runs


@pytest.mark.slow
def test_shares_sum_to_one_and_every_case_is_there(written: tuple[Path, speed.Speed, str]) -> None:
    _, found, _ = written
    runtimes = timing.runtimes()
    assert len(found.rates) == 2 * 2 * 2 * len(runtimes)  # sizes, directions, threads
    assert {one.runtime for one in found.rates} == {one.runtime for one in found.splits} == set(runtimes)
    assert all(one.seconds > 0 and one.repeats == 3 for one in found.rates)
    assert len(found.splits) == 2 * 2 * len(runtimes)
    for split in found.splits:
        assert sum(split.shares.values()) == pytest.approx(1)
        assert all(share > 0 for share in split.shares.values())
    assert set(found.peak) == {1, 2}
    assert {one.direction for one in found.alone} == {"encode", "decode"}
    assert all(one.first > 0 and one.warm > 0 and one.peak >= 0 for one in found.alone)


def test_json_markdown_and_a_picture_are_written(written: tuple[Path, speed.Speed, str]) -> None:
    folder, found, shown = written
    (content,) = json.loads((folder / "speed.json").read_text())
    assert content["model"] == found.model == "photo"
    assert content["id"] == f"{bundles.load('photo').id:08x}"
    assert all(entry["speed"] > 0 and entry["peak_share"] > 0 for entry in content["rates"])
    assert all(sum(entry["shares"].values()) == pytest.approx(1) for entry in content["splits"])
    text = (folder / "speed.md").read_text()
    for table in tables.of(found):
        assert table.title in text
        assert table.title in shown
        assert all(len(row) == len(table.columns) for row in table.rows)
    with Image.open(folder / "speed.png") as picture:
        picture.load()
        assert picture.width > picture.height
    assert sorted(path.name for path in folder.iterdir()) == ["speed.json", "speed.md", "speed.png"]


def rate(direction: str, threads: int, seconds: float) -> timing.Rate:
    return timing.Rate(direction, 12.0, 4000, 3000, threads, seconds, 3)


def test_speed_by_threads_follows_from_the_serial_share(written: tuple[Path, speed.Speed, str]) -> None:
    """Of 12 segments in strips of 8 and 4; a quarter of the decoder's time is serial."""
    encode = [rate("encode", 1, 8.0), rate("encode", 2, 4.0)]
    decode = [rate("decode", 1, 4.0), rate("decode", 2, 2.5)]
    found = dataclasses.replace(written[1], rates=[*written[1].rates, *encode, *decode])
    (table,) = (table for table in tables.of(found) if "by threads" in table.title)
    assert table.rows == [
        ["encode", "onnxruntime", "0.0%", "1.50", "3.00", "(6.0)", "(9.0)", "(9.0)"],
        ["decode", "onnxruntime", "25.0%", "3.00", "4.80", "(6.9)", "(8.0)", "(8.0)"],
    ]


def test_a_picture_of_one_segment_has_no_speed_by_threads(written: tuple[Path, speed.Speed, str]) -> None:
    assert not [table for table in tables.of(written[1]) if "by threads" in table.title]


def test_the_share_of_the_peak_is_work_times_speed(written: tuple[Path, speed.Speed, str]) -> None:
    _, found, _ = written
    rate = found.peak[1] / (found.work.graphs("decode") * 1e9)
    assert found.peak_share("decode", rate, 1) == pytest.approx(1)


def test_rows_are_the_short_table(written: tuple[Path, speed.Speed, str]) -> None:
    _, found, _ = written
    rows = speed.rows(found)
    high, wide = pictures.shape(TINY)
    assert rows[0][0] == "start-up of `caesura info`"
    assert {f"encode {wide}x{high}", f"decode {wide}x{high}"} <= {row[0] for row in rows}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": ()}, "there is none; one or more are allowed"),
        ({"sizes": (0.0,)}, "size is 0.0 megapixels; 0.001 to 100 is allowed"),
        ({"sizes": (float("nan"),)}, "size is nan"),
        ({"threads": (0,)}, "threads is 0; 1 to 1024 is allowed"),
        ({"repeats": 0}, "repeats is 0; 1 to 1000 is allowed"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        speed.run(tmp_path / "out", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'none' is not known"):
        speed.run(tmp_path / "out", model=["photo", "none"])
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigError, match="cannot be the report's folder"):
        speed.run(tmp_path / "out", sizes=(TINY,))
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.slow
def test_progress_ends_where_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_TURNS", 1)  # a step is a picture of a round, however often it is coded
    steps = []
    timing.measure("photo", (TINY, LESS_TINY), (1,), 2, lambda: steps.append(1))
    assert len(steps) == timing.rounds((TINY, LESS_TINY), 2)


def test_the_command_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", str(tmp_path / "out"), "--repeats", "0"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("caesura.bench.speed", run_name="__main__")
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip() == "error: repeats is 0; 1 to 1000 is allowed"


def test_the_memory_of_a_process_is_its_own(written: tuple[Path, speed.Speed, str]) -> None:
    _, found, _ = written
    assert all(0 <= one.peak < BALLAST / 2**30 for one in found.alone)
