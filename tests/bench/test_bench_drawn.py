"""Drawn pictures: what is drawn, the codecs that are best at them, and what a report says of them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from caesura.bench import drawn_page, drawn_set, html
from caesura.bench.codecs import AVIF_PSNR, WEBP, Avif, Codec, SharpWebp
from caesura.bench.drawn import KINDS, drawn
from caesura.bench.lossless import LOSSLESS, Png
from caesura.bench.schema import Picture, Point
from caesura.errors import ConfigError, DependencyError
from cli_helpers import complaint, opened, run, strict_json, succeeded
from train_helpers import photo, save

Pixels = NDArray[np.uint8]
SIZES = {
    "text": (800, 1280),
    "interface": (800, 1280),
    "chart": (800, 1200),
    "map": (1024, 1024),
    "comic": (1200, 960),
    "product": (1000, 1000),
    "noise": (512, 512),
    "gradient": (768, 1024),
    "mixed": (800, 1000),
    "white": (1000, 1000),
}


def of_name(codec: Codec) -> str:
    return codec.name


# What is drawn


def test_every_kind_has_its_size() -> None:
    assert tuple(SIZES) == KINDS


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_picture_and_another_seed_another(kind: str) -> None:
    first, again, other = drawn(kind, 3), drawn(kind, 3), drawn(kind, 4)
    assert first.shape == other.shape == (*SIZES[kind], 3)
    assert first.dtype == np.uint8
    assert first.tobytes() == again.tobytes()
    assert np.array_equal(first, other) == (kind == "white")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_products_stand_on_pure_white(seed: int) -> None:
    pixels = drawn("product", seed)
    assert pixels[:100].min() == 255
    assert pixels[-60:].min() == 255
    assert (pixels == 255).all(2).mean() > 0.4


def test_text_is_black_on_white_with_grey_edges() -> None:
    pixels = drawn("text", 0)
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert (pixels == 255).mean() > 0.7
    assert (pixels == 0).any()
    assert len(np.unique(pixels)) > 50


def test_white_is_white_and_noise_cannot_be_compressed() -> None:
    assert drawn("white", 0).min() == 255
    noise = drawn("noise", 0)
    assert len(zlib.compress(noise.tobytes(), 9)) > noise.size


def test_gradients_are_smooth() -> None:
    pixels = drawn("gradient", 0).astype(int)
    assert max(np.abs(np.diff(pixels, axis=axis)).max() for axis in (0, 1)) <= 3


@pytest.mark.slow
def test_half_of_a_mixed_picture_is_a_photograph() -> None:
    pixels = drawn("mixed", 0)
    left, right = (np.unique(half.reshape(-1, 3), axis=0) for half in np.split(pixels, 2, axis=1))
    assert len(left) > 20000
    assert len(right) <= 256


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"kind is 'photo'; one of these is allowed: text, interface"):
        drawn("photo", 0)


# Codecs


@pytest.mark.slow
@pytest.mark.parametrize("codec", LOSSLESS, ids=of_name)
@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (64, 96)])
def test_lossless_codecs_give_back_every_pixel(codec: Codec, shape: tuple[int, int], part: Pixels) -> None:
    height, width = shape
    for whole in (part, drawn("text", 0)[100:], drawn("noise", 0), drawn("white", 0)):
        pixels = np.ascontiguousarray(whole[:height, :width])
        assert np.array_equal(codec.decode(codec.encode(pixels, codec.settings[0])), pixels)


def test_codecs_for_drawn_pictures_have_names_and_versions_of_their_own() -> None:
    assert len({codec.name for codec in drawn_set.RIVALS}) == len(drawn_set.RIVALS)
    for codec in drawn_set.RIVALS:
        assert any(character.isdigit() for character in codec.version)


@pytest.mark.slow
def test_an_optimised_png_is_smaller_and_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.ascontiguousarray(drawn("text", 0)[:200])
    png, out = Png(), io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    assert len(png.encode(pixels, 4)) < 0.6 * len(out.getvalue())
    monkeypatch.setitem(sys.modules, "oxipng", None)
    with pytest.raises(DependencyError, match="oxipng is not installed"):
        _ = png.version


@pytest.mark.slow
def test_avifs_tools_for_screens_save_bytes_on_objects_on_white() -> None:
    pixels = np.ascontiguousarray(drawn("product", 0)[200:600, 200:600])
    plain, screen = Avif(6, "iq"), Avif(6, "iq", screen=True)
    assert screen.name == "AVIF speed 6 tune=iq screen"
    assert len(screen.encode(pixels, 60)) < 0.97 * len(plain.encode(pixels, 60))


def test_the_version_of_avif_is_as_before_so_that_caches_serve() -> None:
    assert AVIF_PSNR.name == "AVIF speed 6 tune=psnr"
    assert AVIF_PSNR.version.endswith(", 4:4:4")


def test_sharp_yuv_keeps_coloured_edges_better() -> None:
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[:, 1::4] = (255, 0, 0)
    errors = [
        np.abs(codec.decode(codec.encode(pixels, 90)).astype(int) - pixels).mean()
        for codec in (SharpWebp(), WEBP)
    ]
    assert errors[0] < errors[1]


# Bytes at equal quality


def points(*figures: tuple[int, float], codec: str = "a", exact: int | None = None) -> list[Point]:
    """Points of bytes and SSIMULACRA 2; the one of `exact` bytes has no error."""
    return [
        Point(codec, n, "drawn: text", size, 1.0, float(size != exact), None, None, None, score, None, None)
        for n, (size, score) in enumerate(figures)
    ]


def test_bytes_are_interpolated_between_settings() -> None:
    curve = points((1000, 60), (4000, 80), (9000, 95))
    assert drawn_set.bytes_at(curve, 70) == 2000
    assert drawn_set.bytes_at(curve, 80) == 4000
    assert drawn_set.bytes_at(curve, 50) == 1000  # the smallest file
    assert drawn_set.bytes_at(curve, 96) is None


def test_there_is_nothing_between_a_lossy_file_and_one_without_loss() -> None:
    assert drawn_set.bytes_at(points((1000, 60), (4000, 100), exact=4000), 90) == 4000
    assert drawn_set.bytes_exact(points((1000, 60), (4000, 100), (5000, 100), exact=4000)) == 4000
    assert drawn_set.bytes_exact(points((1000, 60))) is None


@given(st.lists(st.tuples(st.integers(10, 10**6), st.floats(0, 100)), min_size=1, max_size=9))
def test_a_higher_quality_never_needs_fewer_bytes(figures: list[tuple[int, float]]) -> None:
    curve = points(*figures)
    sizes = [drawn_set.bytes_at(curve, score) for score in range(0, 101, 5)]
    reached = [size for size in sizes if size is not None]
    assert sizes[: len(reached)] == reached
    assert all(low <= high for low, high in itertools.pairwise(reached))


# Reports


def results() -> dict[str, Any]:
    """Of two pictures: ours needs half the other's bytes on one, and twice as many on the other."""
    shown = [Picture(f"drawn: {kind}", "0" * 64, 8, 8) for kind in ("text", "map")]
    equal = [
        {"picture": picture.name, "codec": codec, "ssimulacra2": score, "bytes": size}
        for picture, ours, theirs in zip(shown, (500, 2000), (1000, 1000), strict=True)
        for codec, size in (("caesura photo", ours), ("other", theirs), ("worse", 5000))
        for score in (90.0, None)
    ]
    for one in equal:
        if one["ssimulacra2"] is None and one["codec"] == "caesura photo":
            one["bytes"] = None
    codecs = [
        {"name": name, "version": "1", "settings": [1.0], "ours": name == "caesura photo"}
        for name in ("caesura photo", "other", "worse")
    ]
    there = [{"name": one.name, "sha256": one.sha256, "width": 8, "height": 8} for one in shown]
    return {"drawn": {"pictures": there, "codecs": codecs, "points": [], "equal": equal, "samples": []}}


def test_tables_say_where_ours_wins_and_where_it_loses() -> None:
    lossy, exact = drawn_page.tables(results())
    assert lossy["title"] == "SSIMULACRA 2 of 90"
    assert lossy["codecs"] == ["other", "worse"]
    assert [row["best"]["codec"] for row in lossy["rows"]] == ["other", "other"]
    assert [row["best"]["percent"] for row in lossy["rows"]] == [-50, 100]
    assert "needs fewer bytes than every other codec on 1 of 2 pictures" in lossy["sentence"]
    assert exact["title"] == "without loss"
    assert [row["ours"] for row in exact["rows"]] == [None, None]
    assert {cell["percent"] for row in exact["rows"] for cell in row["cells"]} == {None}
    assert "on 2 it does not reach that quality" in exact["sentence"]


def test_results_without_drawn_pictures_have_no_tables() -> None:
    assert drawn_page.tables({}) == drawn_page.tables({"drawn": None}) == []


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Pixels]:
    """Two drawn pictures, small ones."""
    there = {kind: np.ascontiguousarray(drawn(kind, 1)[100:140, 60:116]) for kind in ("text", "chart")}
    monkeypatch.setattr("caesura.bench.run.KINDS", tuple(there))
    monkeypatch.setattr(drawn_set, "KINDS", tuple(there))
    monkeypatch.setattr(drawn_set, "drawn", lambda kind, seed: there[kind])
    monkeypatch.setattr("caesura.bench.matched._TRIALS", 1)
    monkeypatch.setattr("caesura.bench.bd_rate.RESAMPLES", 10)
    return there


ARGUMENTS = (
    "--model",
    "cae2017",
    "--qualities",
    "20,60",
    "--drawn",
    "--no-times",
    "--codecs",
    "oxipng,sharp",
)


@pytest.mark.slow
def test_bench_measures_drawn_pictures_alone(small: dict[str, Pixels], tmp_path: Path) -> None:
    out = succeeded(run("bench", "-o", tmp_path, *ARGUMENTS))
    found = strict_json((tmp_path / "results.json").read_text())
    assert found["pictures"] == found["points"] == found["curves"] == found["bd"] == found["costs"] == []
    found = found["drawn"]
    assert [one["name"] for one in found["pictures"]] == ["drawn: text", "drawn: chart"]
    assert [one["name"] for one in found["codecs"]] == [
        "caesura cae2017",
        "WebP method 6 sharp YUV",
        "PNG oxipng",
    ]
    for kind, pixels in small.items():
        assert np.array_equal(opened(tmp_path / "drawn" / f"{kind}.png"), pixels)
        size = len(Png().encode(pixels, 4))
        rows = [
            one
            for one in found["equal"]
            if (one["picture"], one["codec"]) == (f"drawn: {kind}", "PNG oxipng")
        ]
        assert {one["bytes"] for one in rows} == {size}
        assert {one["ssimulacra2"] for one in rows} == {*drawn_set.SCORES, None}
        page = (tmp_path / "index.html").read_text()
        assert f'<a href="pictures/drawn-{kind}.html">drawn: {kind}</a>' in page
        assert f"drawn: {kind}" in (tmp_path / "pictures" / f"drawn-{kind}.html").read_text()
        assert kind in out
    assert re.findall(r'name="score" id="([^"]*)" checked', page) == ["by-drawn-90"]
    assert "SSIMULACRA 2 of 90" in out
    with (tmp_path / "drawn.csv").open() as lines:
        assert len(list(csv.DictReader(lines))) == len(found["equal"]) == 2 * 3 * 4
    with (tmp_path / "drawn_points.csv").open() as lines:
        assert len(list(csv.DictReader(lines))) == len(found["points"]) == 2 * (2 + 8 + 1)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_drawn_pictures_are_in_no_mean_of_photographs(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "photo.png", photo(40, 56))
    succeeded(run("bench", tmp_path / "photos", "-o", tmp_path / "report", *ARGUMENTS))
    found = strict_json((tmp_path / "report" / "results.json").read_text())
    assert [one["name"] for one in found["pictures"]] == ["photo.png"]
    assert {one["picture"] for one in found["points"]} == {"photo.png"}
    assert {curve["codec"] for curve in found["curves"]} == {"caesura cae2017"}
    assert {one["picture"] for one in found["drawn"]["points"]} == {"drawn: text", "drawn: chart"}
    page = html.write(tmp_path / "report").read_text()
    assert "Picture by picture" in page
    assert "Drawn pictures" in page
    old = {name: value for name, value in found.items() if name != "drawn"}
    (tmp_path / "report" / "results.json").write_text(json.dumps(old))
    assert "Drawn pictures" not in html.write(tmp_path / "report").read_text()


def test_codecs_for_drawn_pictures_are_named_only_with_them(tmp_path: Path) -> None:
    save(tmp_path / "photo.png", photo(8, 8))
    line = complaint(run("bench", tmp_path, "-o", tmp_path / "report", "--codecs", "oxipng"))
    assert "codecs has 'oxipng'; parts of these names are allowed" in line
