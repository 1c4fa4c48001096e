"""cli/measure.py: `caesura bench`, what it writes, how it goes on and how it fails."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import caesura
from bench_helpers import PROGRAM
from caesura import metrics
from caesura.bench import codecs as known
from caesura.bench import cvvdp, machine, photos, plot, quality
from caesura.bench.caesura_codec import Caesura
from caesura.bench.codecs import JPEG
from caesura.bench.schema import Cost
from cli_helpers import WITHOUT, Pixels, complaint, drawn, opened, process, run, strict_json, succeeded
from train_helpers import photo, save

# The published autoencoder codes a small picture in a third of the default model's time. It serves tests of
# what happens around the codings.
QUICKEST = ("--model", "cae2017")


class Report(NamedTuple):
    """A folder of pictures measured, and the folder of the report."""

    pictures: dict[str, Pixels]
    folder: Path
    results: dict[str, Any]
    out: str


def measured(root: Path, pictures: dict[str, Pixels], *options: object) -> Report:
    """Pictures measured by two qualities of ours, and no other codec unless the options say so."""
    for name, pixels in pictures.items():
        save(root / "pictures" / name, pixels)
    arguments = ["-o", root / "report", "--qualities", "20,80", "--codecs", "none", "--repeats", 1, *options]
    out = succeeded(run("bench", root / "pictures", *arguments))
    results = strict_json((root / "report" / "results.json").read_text())
    return Report(pictures, root / "report", results, out)


@pytest.fixture
def no_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes for costs, few draws for an interval and one trial for a size: `whole` has them all."""
    monkeypatch.setattr("caesura.bench.costs.measure", lambda codec, *_: Cost(codec.name, 40, 40, 0.1))
    monkeypatch.setattr("caesura.bench.bd_rate.RESAMPLES", 10)
    monkeypatch.setattr("caesura.bench.matched._TRIALS", 1)


@pytest.fixture
def rates_alone(no_costs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots of a title alone: drawing takes as long as all the rest. What is to be drawn is checked still."""
    monkeypatch.setattr("caesura.bench.plot._axes", lambda *_: None)
    monkeypatch.setattr(
        "caesura.bench.plot._svg", lambda _, title, data: f"<svg><title>{title}</title></svg>"
    )
    monkeypatch.setattr("caesura.bench.plot.scatter", lambda *_: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two pictures, one of them too small for MS-SSIM, by ours and JPEG."""
    pictures = {"large.png": drawn(176, 168), "small.png": drawn(40, 56)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("caesura.bench.costs._STARTS", 1)
        return measured(tmp_path_factory.mktemp("whole"), pictures, "--codecs", "jpeg 4:2:0", "--threads", 1)


@pytest.mark.slow
def test_bench_takes_what_encode_takes_and_leaves_out_the_rest(tmp_path: Path, rates_alone: None) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rgb = Image.fromarray(drawn(40, 56))
    clear = rgb.copy()
    clear.putalpha(0)
    clear.save(folder / "a clear.png")
    rgb.convert("YCbCr").save(folder / "b.tif")
    Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257).save(folder / "c sixteen.png")
    rgb.quantize(8).save(folder / "d.gif")
    rgb.convert("CMYK").save(folder / "e cmyk.jpg")
    (folder / "f damaged.png").write_bytes((folder / "a clear.png").read_bytes()[:60])
    report = measured(tmp_path, {}, *QUICKEST)
    assert [picture["name"] for picture in report.results["pictures"]] == [
        "a clear.png",
        "b.tif",
        "c sixteen.png",
        "d.gif",
    ]
    remarks = {remark["picture"]: remark["text"] for remark in report.results["remarks"]}
    assert set(remarks) == {"c sixteen.png", "e cmyk.jpg", "f damaged.png"}
    assert "the upper 8 of its 16 bits" in remarks["c sixteen.png"]
    assert remarks["e cmyk.jpg"].startswith("left out: image has mode CMYK and no colour profile")
    assert remarks["f damaged.png"].startswith("left out: ")
    page = (report.folder / "index.html").read_text()
    for name, text in remarks.items():
        assert f"{name}: {text}"[:60] in report.out
        assert name in page
    white = photos.find(folder, quick=False)[0].pixels()
    assert white.shape == (40, 56, 3)
    assert white.min() == 255
    for path in folder.iterdir():
        if path.name[0] in "abcd":
            path.unlink()
    line = complaint(run("bench", folder, "-o", tmp_path / "other"))
    assert "holds no picture that can be coded, of 2" in line


@pytest.mark.slow
def test_bench_measures_real_files(whole: Report) -> None:
    points = [point for point in whole.results["points"] if point["codec"] == "caesura photo"]
    assert len(points) == 4
    for point in points:
        pixels = whole.pictures[point["picture"]]
        data = caesura.encode(pixels, quality=point["setting"])
        decoded = caesura.decode_array(data)
        height, width, _ = pixels.shape
        assert point["bytes"] == len(data)
        assert point["bpp"] == metrics.bits_per_pixel(len(data), width, height)
        assert point["psnr"] == pytest.approx(metrics.psnr(pixels, decoded), abs=0.01)
        large = point["picture"] == "large.png"
        assert point["ms_ssim"] == (pytest.approx(metrics.ms_ssim(pixels, decoded)) if large else None)
        assert point["ssimulacra2"] < 100
        assert point["encode_seconds"] > 0
        assert point["decode_seconds"] > 0


def test_results_say_what_was_measured_and_where(whole: Report) -> None:
    results = whole.results
    assert results["format"] == "caesura-bench-1"
    assert results["threads"] == results["repeats"] == 1
    assert results["command"].startswith("caesura bench ")
    assert results["machine"]["cores"] > 0
    assert results["machine"]["processor"]
    assert [(p["name"], p["width"], p["height"]) for p in results["pictures"]] == [
        ("large.png", 168, 176),
        ("small.png", 56, 40),
    ]
    assert [(c["name"], c["ours"], len(c["settings"])) for c in results["codecs"]] == [
        ("caesura photo", True, 2),
        ("JPEG 4:2:0", False, 8),
    ]
    for cost in results["costs"]:
        assert 10 < cost["encode_peak_mib"] < 4000
        assert 10 < cost["decode_peak_mib"] < 4000
        assert 0 < cost["start_seconds"] < 120
    for name in ("points.csv", "curves.csv", "bd.csv"):
        assert (whole.folder / name).read_text().startswith("codec,")


def test_times_say_how_busy_the_machine_was(whole: Report) -> None:
    others = [point["others"] for point in whole.results["points"]]
    if None not in others:
        assert min(others) >= 0
        assert whole.results["others"] == pytest.approx(np.mean(others))
    said = machine.load_text(whole.results["others"], whole.results["machine"]["cores"])
    assert said in " ".join((whole.folder / "index.html").read_text().split())
    assert said in " ".join(whole.out.split())


@pytest.mark.slow
@pytest.mark.usefixtures("rates_alone")
def test_without_times_rate_and_quality_are_measured_once_for_any_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caesura.bench.costs.measure", None)
    options = (*QUICKEST, "--no-times", "--codecs", "jpeg 4:2:0")
    first = measured(tmp_path, {"picture.png": drawn(40, 56)}, *options)
    assert not first.results["timed"]
    assert first.results["costs"] == []
    assert {point["encode_seconds"] for point in first.results["points"]} == {None}
    assert "MP/s" not in first.out
    assert "not timed" in (first.folder / "index.html").read_text()
    monkeypatch.setattr(Caesura, "encode", None)
    monkeypatch.setattr(machine, "_processor", lambda: "another")
    again = measured(tmp_path, {"picture.png": drawn(40, 56)}, *options, "--threads", 3, "--repeats", 2)
    assert again.results["points"] == first.results["points"]


def test_rate_differences_are_of_the_mean_curves_and_of_each_picture(whole: Report) -> None:
    (found,) = (
        d
        for d in whole.results["bd"]
        if (d["codec"], d["anchor"], d["metric"]) == ("caesura photo", "JPEG 4:2:0", "psnr")
    )
    assert set(found["pictures"]) == set(whole.pictures)
    assert found["overlap"][0] < found["overlap"][1]
    assert found["low"] <= found["percent"] <= found["high"]
    assert f"{found['percent']:+.1f}%" in whole.out
    assert not any(d["metric"] == "ms_ssim_db" for d in whole.results["bd"])  # one picture is too small


def test_pictures_at_matched_bytes_lie_beside(whole: Report) -> None:
    shown = whole.results["samples"]
    assert len(shown) == 6
    ours = {one["picture"]: one["bytes"] for one in shown if one["codec"] == "caesura photo"}
    for one in shown:
        pixels = whole.pictures[one["picture"]]
        there = opened(whole.folder / "samples" / one["file"])
        assert (one["x"], one["y"], one["width"], one["height"]) == (0, 0, pixels.shape[1], pixels.shape[0])
        assert there.shape == pixels.shape
        if one["codec"] == "original":
            assert np.array_equal(there, pixels)
            assert one["bytes"] is None
        else:
            assert one["psnr"] == pytest.approx(metrics.psnr(pixels, there))
        if one["codec"] == JPEG.name:
            smallest = len(JPEG.encode(pixels, JPEG.settings[0]))
            assert one["bytes"] <= max(ours[one["picture"]], smallest)


@pytest.mark.slow
@pytest.mark.usefixtures("rates_alone")
def test_bench_by_crops_codes_each_crop_on_its_own(tmp_path: Path) -> None:
    report = measured(tmp_path, {"odd.png": drawn(40, 56)}, "--crop", 32)
    for point in report.results["points"]:
        pixels = report.pictures[point["picture"]]
        decoded, size = np.empty_like(pixels), 0
        for top in range(0, pixels.shape[0], 32):
            for left in range(0, pixels.shape[1], 32):
                part = (slice(top, top + 32), slice(left, left + 32))
                data = caesura.encode(np.ascontiguousarray(pixels[part]), quality=point["setting"])
                decoded[part] = caesura.decode_array(data)
                size += len(data)
        assert point["codec"] == "caesura photo, 32 px crops"
        assert point["bytes"] == size
        assert point["psnr"] == pytest.approx(metrics.psnr(pixels, decoded), abs=0.01)


@pytest.mark.slow
@pytest.mark.usefixtures("rates_alone")
def test_models_and_efforts_stand_side_by_side(tmp_path: Path) -> None:
    options = ["--model", "photo", "--model", "cae2017", "--effort", 1, "--effort", 5]
    report = measured(tmp_path, {"photo.png": photo(40, 56)}, *options)
    names = [curve["codec"] for curve in report.results["curves"]]
    assert names == ["caesura photo effort 1", "caesura photo", "caesura cae2017 effort 1", "caesura cae2017"]
    for point in report.results["points"]:
        _, model, *effort = point["codec"].split()
        data = caesura.encode(
            photo(40, 56), quality=point["setting"], model=model, effort=int(effort[1]) if effort else 5
        )
        assert point["bytes"] == len(data)


@pytest.mark.slow
@pytest.mark.usefixtures("no_costs")
def test_every_codec_measures_a_white_and_tiny_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the scatter plots those against one anchor are drawn; there is one for each codec.
    draw = plot.scatter
    monkeypatch.setattr(plot, "scatter", lambda name, *rest: draw(name, *rest) if "-0-" in name else None)
    pictures = {"white.png": np.full((8, 8, 3), 255, np.uint8)}
    report = measured(tmp_path, pictures, "--codecs", "jpeg,webp,avif speed 9")
    codings = sum(len(codec["settings"]) for codec in report.results["codecs"])
    assert len(report.results["points"]) == codings


@pytest.mark.slow
@pytest.mark.usefixtures("rates_alone")
def test_published_curves_and_commands_of_the_user_are_beside(tmp_path: Path) -> None:
    points = [{"bpp": rate, "psnr": 24 + 6 * np.log2(1 + rate)} for rate in (0.2, 0.5, 1, 2, 4)]
    (tmp_path / "known.json").write_text(json.dumps({"known": {"source": "a paper", "points": points}}))
    (tmp_path / "codec.py").write_text(PROGRAM)
    mine = shlex.join([sys.executable, str(tmp_path / "codec.py")])
    report = measured(
        tmp_path,
        {"photo.png": photo(40, 56)},
        *QUICKEST,
        *("--reference", tmp_path / "known.json"),
        *("--external", f"mine@4,64={mine} {{in}} {{out}} {{q}} ; {mine} {{in}} {{out}}"),
        *("--external", "far=no-such-program {in} {out} {q} ; no-such-program {in} {out}"),
        *("--anchor", "mine"),
    )
    assert report.results["published"][0]["source"] == "a paper"
    assert [c["name"] for c in report.results["codecs"]] == ["caesura cae2017", "mine"]
    assert report.results["missing"] == [{"name": "far", "reason": "no-such-program is not found"}]
    assert "not measured: far: no-such-program is not found" in report.out
    assert {d["anchor"] for d in report.results["bd"]} == {"caesura cae2017", "mine"}


# Runs that are cut off


class Counting:
    """Counts what our codec codes of a size, and presses Ctrl-C at a point."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]) -> None:
        self.codings: list[float] = []
        self.stop_at: int | None = None
        usual = Caesura.encode

        def encode(codec: Caesura, pixels: Pixels, setting: float) -> bytes:
            if pixels.shape[:2] == shape:
                if len(self.codings) == self.stop_at:
                    raise KeyboardInterrupt
                self.codings.append(setting)
            return usual(codec, pixels, setting)

        monkeypatch.setattr(Caesura, "encode", encode)


@pytest.fixture
def cut_off(
    rates_alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Counting, list[object]]:
    """Two pictures of 72 x 80, and a command that is interrupted as it codes its third file."""
    for name, other in (("a.png", 0), ("b.png", 1)):
        save(tmp_path / "pictures" / name, drawn(72, 80) + np.uint8(other))
    count = Counting(monkeypatch, (72, 80))
    count.stop_at = 2
    options = [*QUICKEST, "--qualities", "20,50,80", "--codecs", "none", "--repeats", 1]
    command: list[object] = ["bench", tmp_path / "pictures", "-o", tmp_path / "report", *options]
    outcome = run(*command)
    assert outcome.status == 130
    assert "interrupted: 2 of 6 codings are measured; the same command resumes" in outcome.out
    count.stop_at, count.codings = None, []
    return count, command


def test_ctrl_c_gives_what_is_measured_so_far(cut_off: object, tmp_path: Path) -> None:
    results = strict_json((tmp_path / "report" / "results.json").read_text())
    assert [(p["picture"], p["setting"]) for p in results["points"]] == [("a.png", 20), ("a.png", 50)]
    assert results["curves"] == results["bd"] == []  # no picture is done


@pytest.mark.slow
def test_the_same_command_measures_what_is_left_and_nothing_twice(
    cut_off: tuple[Counting, list[object]], tmp_path: Path
) -> None:
    count, command = cut_off
    succeeded(run(*command))
    first = strict_json((tmp_path / "report" / "results.json").read_text())
    lines = (tmp_path / "report" / "cache.jsonl").read_text().splitlines()
    keys = [json.dumps([entry["kind"], entry["key"]]) for entry in map(json.loads, lines)]
    assert len(keys) == len(set(keys))
    assert sum(key.startswith('["point"') for key in keys) == 6
    assert count.codings[:4] == [80, 20, 50, 80]
    count.codings = []
    succeeded(run(*command))
    again = strict_json((tmp_path / "report" / "results.json").read_text())
    assert count.codings == []
    assert again | {"made": ""} == first | {"made": ""}
    # A picture that has changed is another one.
    save(tmp_path / "pictures" / "b.png", drawn(72, 80) + np.uint8(2))
    succeeded(run(*command))
    assert count.codings[:3] == [20, 50, 80]


@pytest.mark.slow
def test_lines_that_are_damaged_are_measured_again(
    cut_off: tuple[Counting, list[object]], tmp_path: Path
) -> None:
    count, command = cut_off
    path = tmp_path / "report" / "cache.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(
        b'\xff\x00{}\n[1]\n{"kind": 3}\nnull\n' + first + b"\n" + second[:-20]
    )  # killed as it wrote
    succeeded(run(*command))
    assert count.codings[:5] == [50, 80, 20, 50, 80]
    assert len(strict_json((tmp_path / "report" / "results.json").read_text())["points"]) == 6


# Quick


@pytest.mark.slow
@pytest.mark.usefixtures("rates_alone")
def test_quick_needs_no_folder_and_leaves_slow_codecs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "OTHERS", (JPEG, *known.SLOW))
    monkeypatch.setattr("caesura.bench.photos._QUICK_SIDES", (64, 48))
    out = succeeded(run("bench", "--quick", "-o", tmp_path / "report", "--repeats", 1, *QUICKEST))
    results = strict_json((tmp_path / "report" / "results.json").read_text())
    assert [p["name"] for p in results["pictures"]] == [
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "rocket.jpg",
    ]
    assert all((p["width"], p["height"]) == (64, 48) for p in results["pictures"])
    assert {c["name"]: len(c["settings"]) for c in results["codecs"]} == {
        "caesura cae2017": 5,
        "JPEG 4:2:0": 5,
    }
    assert {one["reason"] for one in results["missing"]} == {"left out by --quick"}
    for codec in known.SLOW:
        assert f"not measured: {codec.name}: left out by --quick" in out


# What is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--qualities", "20,high"], "qualities is '20,high'; numbers separated by commas are allowed"),
        (["--qualities", "20,101"], "quality is 101"),
        (["--model", "nothing"], "'nothing' is not known"),
        (["--reference", "missing.json"], "missing.json is not a file of published points"),
        (["--codecs", "gif"], "codecs has 'gif'; parts of these names are allowed"),
        (["--anchor", "gif"], "anchor is 'gif'; a codec that is measured is allowed: caesura photo"),
        (["--external", "gif"], "external is 'gif'; allowed is 'name=enc {in} {out} {q} ; dec {in} {out}'"),
        (["--model", "photo", "--model", "photo"], "codec caesura photo is given 2 times"),
    ],
)
def test_bench_refuses_settings_that_cannot_be_used(
    options: list[str], said: str, picture: Path, tmp_path: Path
) -> None:
    line = complaint(run("bench", picture.parent, "-o", tmp_path / "report", "--codecs", "none", *options))
    assert said in line
    assert not (tmp_path / "report").exists()


def test_bench_of_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    for folder in (tmp_path, tmp_path / "missing"):
        line = complaint(run("bench", folder, "-o", tmp_path / "report"))
        assert f"{folder} holds no pictures" in line
    line = complaint(run("bench", "-o", tmp_path / "report"))
    assert "no folder of pictures is given; it is optional with --quick alone" in line


def test_bench_names_a_picture_that_cannot_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    outcome = run("bench", tmp_path, "-o", tmp_path / "report", "--codecs", "none")
    assert f"bad.png: left out: {bad} is not a picture in a format known here" in outcome.out
    assert "holds no picture that can be coded, of 1" in complaint(outcome)


def test_a_report_goes_to_a_folder_only(picture: Path) -> None:
    before = picture.read_bytes()
    line = complaint(run("bench", picture.parent, "-o", picture, "--codecs", "none"))
    assert str(picture) in line
    assert picture.read_bytes() == before
    with Image.open(picture) as still:
        still.load()


@pytest.mark.slow
@pytest.mark.usefixtures("rates_alone")
def test_metrics_are_added_and_a_measurement_without_them_is_not_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = """import json, sys
print('{"version": "1"}', flush=True)
while line := sys.stdin.buffer.readline():
    size = json.loads(line)
    sys.stdin.buffer.read(6 * size["height"] * size["width"])
    print('{"jod": 9.5}', flush=True)
"""
    pictures = {"a.png": drawn(40, 56)}
    plain = measured(tmp_path, pictures)
    assert {point["psnr_hvs_m"] for point in plain.results["points"]} == {None}
    monkeypatch.setattr(cvvdp, "command", lambda: [sys.executable, "-c", worker])
    asked = measured(tmp_path, pictures, "--metrics", "psnr-hvs-m,cvvdp")
    assert {point["cvvdp"] for point in asked.results["points"]} == {9.5}
    for point in asked.results["points"]:
        decoded = caesura.decode_array(caesura.encode(pictures["a.png"], quality=point["setting"]))
        assert point["psnr_hvs_m"] == quality.psnr_hvs_m(pictures["a.png"], decoded)
    kept = (asked.folder / "cache.jsonl").read_bytes()
    assert (
        measured(tmp_path, pictures, "--metrics", "cvvdp,psnr-hvs-m").results["points"]
        == asked.results["points"]
    )
    assert (asked.folder / "cache.jsonl").read_bytes() == kept
    page = (asked.folder / "index.html").read_text()
    assert "PSNR-HVS-M" in page
    assert "CVVDP (JOD)" in page


def test_metrics_that_are_not_there_are_refused(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAESURA_CVVDP", str(tmp_path / "none"))
    command = ["bench", picture.parent, "-o", tmp_path / "report", "--codecs", "none", "--metrics"]
    assert complaint(run(*command, "cvvdp")).startswith(
        f"caesura: cvvdp is not built in {tmp_path / 'none'}; make cvvdp"
    )
    assert complaint(run(*command, "vmaf")) == (
        "caesura: metrics has 'vmaf'; psnr-hvs-m and cvvdp are allowed, separated by commas"
    )


LIBRARIES = ("imagecodecs", "matplotlib", "ssimulacra2", "bjontegaard")


@pytest.mark.slow
def test_bench_without_the_extra_says_what_to_install(picture: Path, tmp_path: Path) -> None:
    """Nothing imports a library of the extra before it is looked for."""
    arguments = [picture.parent, "--out", tmp_path / "report", "--qualities", "50"]
    outcome = process(",".join(LIBRARIES), "bench", *arguments, program=WITHOUT)
    last = outcome.err.splitlines()[-1]
    assert outcome.status == 1
    assert last == f"caesura: {LIBRARIES[0]} is not installed; pip install 'caesura[bench]'"


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_of_the_extra_is_looked_for(
    library: str, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    line = complaint(run("bench", picture.parent, "--out", tmp_path / "report", "--qualities", "50"))
    assert line == f"caesura: {library} is not installed; pip install 'caesura[bench]'"


@pytest.mark.slow
@pytest.mark.usefixtures("rates_alone")
def test_a_codec_that_fails_is_named(picture: Path, tmp_path: Path) -> None:
    def fail(codec: Caesura, data: bytes) -> Pixels:
        raise ValueError("a word of the library")

    command = ["bench", picture.parent, "-o", tmp_path / "report", "--codecs", "none", "--qualities", "50"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Caesura, "decode", fail)
        assert complaint(run(*command)) == "caesura: caesura photo at 50: a word of the library"
    succeeded(run(*command))
