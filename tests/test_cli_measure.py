"""cli/measure.py: `caesura eval`, its report, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import caesura
from caesura import metrics
from caesura.bench.codecs import OTHERS
from cli_helpers import (
    WITHOUT,
    Pixels,
    complaint,
    drawn,
    files,
    process,
    run,
    strict_json,
    succeeded,
)
from train_helpers import photo, save

# eval


class Report(NamedTuple):
    """A folder of pictures evaluated, and the folder of the report."""

    pictures: dict[str, Pixels]
    folder: Path
    results: dict[str, Any]
    out: str


def evaluated(root: Path, pictures: dict[str, Pixels], *options: object) -> Report:
    """Pictures measured without other codecs."""
    for name, pixels in pictures.items():
        save(root / "pictures" / name, pixels)
    arguments = ["--report", root / "report", "--qualities", "20,80", "--no-others", *options]
    out = succeeded(run("eval", root / "pictures", *arguments))
    results = strict_json((root / "report" / "results.json").read_text())
    return Report(pictures, root / "report", results, out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two pictures, one of them too small for MS-SSIM."""
    pictures = {"large.png": drawn(176, 168), "small.png": drawn(40, 56)}
    return evaluated(tmp_path_factory.mktemp("whole"), pictures)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two pictures, one of them no multiple of the crops."""
    pictures = {"even.png": drawn(64, 64), "odd.png": drawn(33, 50)}
    return evaluated(tmp_path_factory.mktemp("crops"), pictures, "--crop", 32)


def test_eval_measures_real_files(whole: Report) -> None:
    assert len(whole.results["points"]) == 4
    for point in whole.results["points"]:
        pixels = whole.pictures[point["picture"]]
        data = caesura.encode(pixels, quality=point["setting"])
        decoded = caesura.decode_array(data)
        height, width, _ = pixels.shape
        assert point["codec"] == "caesura fast"
        assert point["bytes"] == len(data)
        assert point["bpp"] == metrics.bits_per_pixel(len(data), width, height)
        assert point["psnr"] == metrics.psnr(pixels, decoded)
        large = point["picture"] == "large.png"
        assert point["ms_ssim"] == (metrics.ms_ssim(pixels, decoded) if large else None)
        assert point["encode_seconds"] > 0
        assert point["decode_seconds"] > 0


def test_eval_by_crops_codes_each_crop_on_its_own(crops: Report) -> None:
    for point in crops.results["points"]:
        pixels = crops.pictures[point["picture"]]
        decoded, size = np.empty_like(pixels), 0
        for top in range(0, pixels.shape[0], 32):
            for left in range(0, pixels.shape[1], 32):
                part = (slice(top, top + 32), slice(left, left + 32))
                data = caesura.encode(np.ascontiguousarray(pixels[part]), quality=point["setting"])
                decoded[part] = caesura.decode_array(data)
                size += len(data)
        assert point["codec"] == "caesura fast, 32 px crops"
        assert point["bytes"] == size
        assert point["psnr"] == metrics.psnr(pixels, decoded)


@pytest.mark.parametrize("kind", ["whole", "crops"])
def test_eval_reports_means_as_json_table_and_plot(kind: str, request: pytest.FixtureRequest) -> None:
    report: Report = request.getfixturevalue(kind)
    (curve,) = report.results["curves"]
    table = (report.folder / "table.md").read_text()
    assert [sample["setting"] for sample in curve["samples"]] == [20, 80]
    for sample in curve["samples"]:
        points = [p for p in report.results["points"] if p["setting"] == sample["setting"]]
        for figure in ("bpp", "psnr", "encode_seconds", "decode_seconds"):
            assert sample[figure] == pytest.approx(sum(p[figure] for p in points) / 2)
        assert sample["ms_ssim"] is None  # one picture is too small for it
        row = f"| {curve['codec']} | {sample['setting']:g} | {sample['bpp']:.4f} | {sample['psnr']:.3f} |"
        assert row in table
        assert row in report.out
    with Image.open(report.folder / "rd.png") as plot:
        plot.load()
        assert plot.format == "PNG"
    assert sorted(files(report.folder)) == ["pictures.csv", "rd.png", "results.json", "table.md"]


def test_eval_sets_other_codecs_and_published_curves_beside_ours(tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "photo.png", photo(128, 128))
    points = [{"bpp": rate, "psnr": 24 + 6 * np.log2(1 + rate)} for rate in (0.2, 0.5, 1, 2, 4)]
    (tmp_path / "known.json").write_text(json.dumps({"known": {"source": "a paper", "points": points}}))
    arguments = ["-r", tmp_path / "report", "--qualities", "1,40,80", "--reference", tmp_path / "known.json"]
    out = succeeded(run("eval", tmp_path / "pictures", *arguments))
    head = out[: out.index("| codec | setting |")]
    for name in ("caesura fast", *(c.name for c in OTHERS), "known (published)"):
        assert f"| {name} | " in head
    results = strict_json((tmp_path / "report" / "results.json").read_text())
    ladders = {curve["codec"]: len(curve["samples"]) for curve in results["curves"]}
    assert ladders == {"caesura fast": 3} | {c.name: len(c.settings) for c in OTHERS}


def test_eval_sets_several_models_side_by_side(tmp_path: Path) -> None:
    options = ["--model", "fast", "--model", "cae2017", "--effort", 1]
    report = evaluated(tmp_path, {"photo.png": photo(40, 56)}, *options)
    names = ["caesura fast effort 1", "caesura cae2017 effort 1"]
    assert [curve["codec"] for curve in report.results["curves"]] == names
    for point in report.results["points"]:
        model = point["codec"].split()[1]
        data = caesura.encode(photo(40, 56), quality=point["setting"], model=model, effort=1)
        assert point["bytes"] == len(data)


@pytest.mark.parametrize("shape", [(40, 56), (8, 8)])
def test_eval_measures_other_codecs_on_pictures_of_any_size(shape: tuple[int, int], tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "small.png", drawn(*shape))
    succeeded(run("eval", tmp_path / "pictures", "-r", tmp_path / "report", "--qualities", "20,80"))
    assert (tmp_path / "report" / "rd.png").is_file()


def test_eval_measures_a_picture_that_other_codecs_keep_exactly(tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "white.png", np.full((64, 64, 3), 255, np.uint8))
    succeeded(run("eval", tmp_path / "pictures", "-r", tmp_path / "report", "--qualities", "20,80"))
    assert strict_json((tmp_path / "report" / "results.json").read_text())["points"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--qualities", "20,high"], "qualities is '20,high'; numbers separated by commas are allowed"),
        (["--qualities", "20,101"], "quality is 101"),
        (["--model", "nothing"], "'nothing' is not known"),
        (["--reference", "missing.json"], "missing.json is not a file of published points"),
    ],
)
def test_eval_refuses_settings_that_cannot_be_used(
    options: list[str], said: str, picture: Path, tmp_path: Path
) -> None:
    line = complaint(run("eval", picture.parent, "-r", tmp_path / "report", "--no-others", *options))
    assert said in line


def test_eval_of_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    for folder in (tmp_path, tmp_path / "missing"):
        line = complaint(run("eval", folder, "-r", tmp_path / "report"))
        assert f"{folder} holds no pictures" in line


def test_eval_names_a_picture_that_cannot_be_read(picture: Path, tmp_path: Path) -> None:
    bad = picture.with_name("bad.png")
    bad.write_bytes(b"no picture")
    line = complaint(run("eval", picture.parent, "-r", tmp_path / "report", "--no-others"))
    assert str(bad) in line


@pytest.mark.parametrize("library", ["bjontegaard", "imagecodecs", "matplotlib"])
def test_eval_without_the_extra_says_what_to_install(library: str, picture: Path, tmp_path: Path) -> None:
    arguments = [picture.parent, "--report", tmp_path / "report", "--qualities", "50"]
    outcome = process(library, "eval", *arguments, program=WITHOUT)
    last = outcome.err.splitlines()[-1]
    assert outcome.status == 1
    assert last == f"caesura: {library} is not installed; pip install 'caesura[bench]'"
