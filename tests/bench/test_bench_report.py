"""What is told of measurements: rate differences, tables, plots, published curves, the demo."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import caesura
from benchmarks import demo
from caesura import metrics
from caesura.bench import curves, machine, quality, report
from caesura.bench.bd_rate import _SEED, RESAMPLES, bd_rate, interval, overlap
from caesura.bench.schema import CodecFacts, Curve, Picture, Point, Published, Results
from caesura.errors import ConfigError, ImageError
from cli_helpers import strict_json

Pixels = NDArray[np.uint8]
Float = NDArray[np.float64]
Points = Sequence[tuple[float, float]]
PUBLISHED = Path(__file__).parents[2] / "docs" / "kodak_published_rd.json"
CURVE = [(0.1, 25.0), (0.2, 28.0), (0.4, 30.5), (0.8, 34.5), (1.6, 37.0)]


# Mean rate difference


def scaled(curve: Points, factor: float) -> list[tuple[float, float]]:
    """A curve with every rate multiplied."""
    return [(rate * factor, quality) for rate, quality in curve]


def line(first: float, slope: float, qualities: Sequence[float]) -> list[tuple[float, float]]:
    """Points whose log2 rate is a straight line over quality, `first` at 30 dB."""
    return [(2 ** (first + slope * (quality - 30)), quality) for quality in qualities]


def test_a_curve_beside_itself_differs_by_nothing() -> None:
    assert bd_rate(CURVE, CURVE) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("factor", "percent"), [(0.5, -50), (0.75, -25), (2, 100), (1.1, 10)])
def test_a_rate_scaled_everywhere_differs_by_just_that(factor: float, percent: float) -> None:
    assert bd_rate(CURVE, scaled(CURVE, factor)) == pytest.approx(percent)


@given(first=st.floats(-1, 1), slope=st.floats(0.1, 0.4), low=st.floats(22, 29), high=st.floats(33, 40))
@settings(max_examples=25)
def test_straight_lines_differ_by_their_gap_in_the_middle_of_the_overlap(
    first: float, slope: float, low: float, high: float
) -> None:
    anchor = line(0, 0.2, [25, 27, 30, 33, 36])
    test = line(first, slope, list(np.linspace(low, high, 6)))
    middle = (max(low, 25) + min(high, 36)) / 2  # the mean of a straight line is its middle
    gap = first + (slope - 0.2) * (middle - 30)
    assert bd_rate(anchor, test) == pytest.approx(100 * (2**gap - 1), rel=1e-6, abs=1e-6)


def test_the_two_ways_round_undo_each_other() -> None:
    other = [(0.15, 26.0), (0.3, 29.5), (0.5, 32.0), (1.0, 34.0)]
    one, two = bd_rate(CURVE, other), bd_rate(other, CURVE)
    assert one is not None
    assert two is not None
    assert one * two < 0
    assert (1 + one / 100) * (1 + two / 100) == pytest.approx(1)


def test_the_order_of_points_is_irrelevant() -> None:
    other = scaled(CURVE, 0.8)
    shuffled = [other[i] for i in (3, 0, 4, 1, 2)]
    assert bd_rate(CURVE[::-1], shuffled) == bd_rate(CURVE, other)


@pytest.mark.parametrize(
    "other",
    [
        [(0.1, 40.0), (0.2, 45.0)],
        [(0.1, 10.0), (0.2, 20.0)],
        [(0.1, 37.0), (0.2, 45.0)],  # one quality in common is no range
        [(0.3, 30.0)],
    ],
)
def test_curves_without_common_qualities_have_no_difference(other: Points) -> None:
    assert bd_rate(CURVE, other) is None
    assert bd_rate(other, CURVE) is None


def test_two_points_make_a_curve() -> None:
    assert bd_rate(CURVE[:2], scaled(CURVE[:2], 0.5)) == pytest.approx(-50)


def test_a_point_that_comes_twice_counts_once() -> None:
    assert bd_rate(CURVE, scaled([*CURVE, CURVE[2]], 0.5)) == pytest.approx(-50)


def test_a_lossless_point_has_no_place_on_a_curve() -> None:
    assert bd_rate([*CURVE, (9.0, math.inf)], scaled([*CURVE, (9.0, math.inf)], 0.5)) == pytest.approx(-50)


# Against what others published from the same points


@pytest.mark.parametrize(
    ("name", "anchor"), [("vtm", "bpg444"), ("hm", "bpg444"), ("mbt2018-mean", "vtm"), ("hm", "vtm")]
)
def test_the_rate_difference_of_published_curves_is_that_of_its_definition(name: str, anchor: str) -> None:
    curves = {entry.name: entry.points for entry in report.read_published(PUBLISHED)}
    assert bd_rate(curves[anchor], curves[name]) == pytest.approx(
        by_definition(curves[anchor], curves[name]), abs=0.2
    )


def by_definition(anchor: Points, test: Points) -> float:
    """Bjontegaard's integral with SciPy's own Akima curves, on a fine grid."""
    from scipy.interpolate import Akima1DInterpolator

    (base_rate, base), (rate, quality) = (np.array(sorted(curve)).T for curve in (anchor, test))
    grid = np.linspace(max(base.min(), quality.min()), min(base.max(), quality.max()), 20001)
    gap = Akima1DInterpolator(quality, np.log10(rate))(grid) - Akima1DInterpolator(base, np.log10(base_rate))(
        grid
    )
    return float(100 * (10 ** gap.mean() - 1))


# Intervals


def ladders(
    pictures: int, factors: Sequence[float] = (1.0,)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates and qualities of pictures of different difficulty, rates times a factor each, in turn."""
    rates = [
        [rate * (1 + 0.2 * number) * factors[number % len(factors)] for rate, _ in CURVE]
        for number in range(pictures)
    ]
    qualities = [[quality - 0.3 * number for _, quality in CURVE] for number in range(pictures)]
    return np.array(rates), np.array(qualities)


def test_pictures_that_agree_leave_no_doubt() -> None:
    low, high = interval(ladders(4), ladders(4, [0.8])) or (0, 0)
    assert low == pytest.approx(-20)
    assert high == pytest.approx(-20)


@pytest.mark.slow
@given(factors=st.lists(st.floats(0.5, 2), min_size=2, max_size=5))
@settings(max_examples=8)
def test_an_interval_holds_the_difference_of_the_means(factors: list[float]) -> None:
    base, test = ladders(5), ladders(5, factors)
    low, high = interval(base, test) or (0, 0)
    means = [
        list(zip(rates.mean(axis=0), qualities.mean(axis=0), strict=True))
        for rates, qualities in (base, test)
    ]
    middle = bd_rate(*means)
    assert middle is not None
    assert low - 1e-6 <= middle <= high + 1e-6


def test_the_chance_of_an_interval_comes_from_a_fixed_seed() -> None:
    base, test = ladders(4), ladders(4, [0.6, 1.2, 0.9])
    low, high = interval(base, test) or (0, 0)
    assert low < high
    assert interval(base, test) == (low, high)


def test_each_draw_of_an_interval_counts_as_often_as_it_comes() -> None:
    base, test = ladders(3), ladders(3, [0.6, 1.2, 0.9])
    draws = np.random.default_rng(_SEED).multinomial(3, [1 / 3] * 3, RESAMPLES)
    found = [
        bd_rate(
            *(
                list(zip(draw @ rates / 3, draw @ qualities / 3, strict=True))
                for rates, qualities in (base, test)
            )
        )
        for draw in draws
    ]
    assert interval(base, test) == pytest.approx(tuple(np.percentile(np.array(found, float), (2.5, 97.5))))


def test_one_picture_has_no_interval() -> None:
    assert interval(ladders(1), ladders(1, [0.8])) is None


@pytest.mark.parametrize(
    ("other", "expected"),
    [([(1, 30), (2, 50)], (30, 37)), ([(1, 40), (2, 50)], None), ([], None), ([(1, math.inf)], None)],
)
def test_the_overlap_is_what_both_reach(other: Points, expected: tuple[float, float] | None) -> None:
    assert overlap(CURVE, other) == expected == overlap(other, CURVE)


# Means


def point(codec: str, setting: float, **figures: Any) -> Point:
    """A measured point; what is not given matters not."""
    given = {"picture": "a", "bytes": 1, "bpp": 1.0, "mse": 65.025, "psnr": 30.0, "psnr_luma": 31.0}
    others = {"ms_ssim": 0.9, "ssimulacra2": 50.0, "encode_seconds": 0.1, "decode_seconds": 0.2}
    others |= {"psnr_hvs_m": 35.0, "cvvdp": 9.0}
    return Point(codec, setting, **(given | others | figures))


def picture(name: str) -> Picture:
    """A picture of a megapixel."""
    return Picture(name, "0" * 64, 1000, 1000)


def test_mean_curves_are_means_over_pictures_by_rising_rate() -> None:
    points = [
        point("b", 90, bpp=2.0, psnr=40.0, mse=6.5025, ms_ssim=0.99, encode_seconds=1.0, decode_seconds=3.0),
        point("b", 10, bpp=0.5, psnr=30.0, ms_ssim=0.90),
        point("a", 1, bpp=0.25, psnr=20.0),
        point("b", 90, picture="z", bpp=4.0, mse=65.025, psnr=30.0, ms_ssim=0.9, encode_seconds=3.0),
        point("b", 10, picture="z", bpp=0.7, psnr=33.0, ms_ssim=0.80),
        point("a", 1, picture="z"),
    ]
    b, a = curves.mean_curves(points, [picture("a"), picture("z")])
    assert (b.codec, a.codec) == ("b", "a")  # as they first came
    low, high = b.samples
    assert (low.setting, high.setting) == (10, 90)
    assert (low.bpp, low.psnr, low.ms_ssim) == pytest.approx((0.6, 31.5, 0.85))
    assert (high.bpp, high.psnr) == pytest.approx((3.0, 35.0))
    assert high.psnr_of_mean_mse == pytest.approx(10 * math.log10(255**2 / 35.76375))
    assert high.ms_ssim_db == pytest.approx(15.0)  # the mean of 20 and 10
    assert (high.encode_mps, high.decode_mps) == pytest.approx((2 / 4, 2 / 3.2))
    assert b.points("psnr") == [(low.bpp, low.psnr), (high.bpp, high.psnr)]


@pytest.mark.parametrize("metric", ["psnr", "psnr_luma", "ms_ssim", "ssimulacra2", "psnr_hvs_m", "cvvdp"])
def test_there_is_no_mean_where_a_picture_has_none(metric: str) -> None:
    points = [point("a", 1), point("a", 1, picture="z", **{metric: None})]
    (mean,) = curves.mean_curves(points, [picture("a"), picture("z")])
    assert getattr(mean.samples[0], metric) is None
    assert mean.points(metric) == []


def test_means_are_of_pictures_that_every_codec_has_coded() -> None:
    points = [point("a", 1), point("b", 1), point("a", 1, picture="z")]
    assert curves.complete(points, [picture("a"), picture("z")], {"a": 1, "b": 1}) == points[:2]


def ladder(codec: str, factor: float, pictures: Sequence[str] = ("a", "z")) -> list[Point]:
    """Points of a codec whose rates are those of CURVE times a factor."""
    return [
        point(codec, number, picture=name, bpp=rate * factor, psnr=quality, psnr_luma=None)
        for name in pictures
        for number, (rate, quality) in enumerate(CURVE)
    ]


@functools.cache
def results(anchor: str = "base") -> Results:
    """Of three codecs, one ours."""
    points = [*ladder("ours", 0.5), *ladder("base", 1), *ladder("other", 2)]
    pictures = [picture("a"), picture("z")]
    means = curves.mean_curves(points, pictures)
    return Results(
        command="caesura bench",
        made="2026-01-01T00:00:00+00:00",
        caesura="1",
        machine=machine.describe(),
        threads=1,
        repeats=3,
        pictures=pictures,
        codecs=[CodecFacts(name, "1", [0, 1, 2, 3, 4], name == "ours") for name in ("ours", "base", "other")],
        points=points,
        curves=means,
        bd=curves.differences(points, means, anchor, ["ours"]),
        published=[Published("paper", "a source", [(0.5, 30.0), (1.0, 33.0)])],
    )


def test_all_are_compared_with_the_anchor_and_ours_with_all() -> None:
    measured = results()
    found = {(d.codec, d.anchor): d for d in measured.bd if d.metric == "psnr"}
    expected = {
        ("ours", "base"): -50,
        ("base", "base"): 0,
        ("other", "base"): 100,
        ("ours", "ours"): 0,
        ("ours", "other"): -75,
    }
    assert {pair: d.percent for pair, d in found.items()} == pytest.approx(expected, abs=1e-9)
    one = found["ours", "base"]
    assert (one.low, one.high) == pytest.approx((-50, -50))
    assert one.overlap == [25.0, 37.0]
    assert one.pictures == pytest.approx({"a": -50, "z": -50})
    assert measured.difference("ours", "base") is one
    assert measured.difference("ours", "base", "psnr_luma") is None  # none was measured


def test_an_anchor_that_was_not_measured_leaves_ours_against_all() -> None:
    assert {(d.codec, d.anchor) for d in results("far").bd} == {
        ("ours", name) for name in ("ours", "base", "other")
    }


# What is written


def test_results_are_json_and_csv_of_the_same_figures() -> None:
    measured = results()
    content = strict_json(measured.to_json())
    assert content["format"] == "caesura-bench-1"
    assert content["points"][0]["bpp"] == measured.points[0].bpp
    assert content["published"][0]["points"] == [[0.5, 30.0], [1.0, 33.0]]
    tables = {
        name: list(csv.DictReader(io.StringIO(text))) for name, text in report.csv_files(measured).items()
    }
    assert len(tables["points.csv"]) == len(measured.points)
    assert tables["points.csv"][0]["psnr_luma"] == ""
    assert len(tables["curves.csv"]) == 15
    assert {row["codec"] for row in tables["curves.csv"]} == {"ours", "base", "other"}
    means = [row for row in tables["bd.csv"] if not row["picture"]]
    assert len(means) == len(measured.bd)
    assert len(tables["bd.csv"]) == 3 * len(measured.bd)


def test_tables_tell_rate_differences_with_their_intervals() -> None:
    text = report.markdown(results(), "base")
    assert "| ours | -50.0% (-50.0 to -50.0) |" in text
    assert "25.0 to 37.0 dB |" in text
    assert "| ours | 0 | 0.0500 | 25.000 |" in text
    table = report.summary(results(), "base")
    assert table.row_count == 3
    assert list(table.columns[0].cells) == ["ours", "base", "other"]


def test_metrics_have_columns_where_they_were_measured() -> None:
    asked = results()
    without = {"psnr_hvs_m": None, "cvvdp": None}
    plain = replace(
        asked, curves=[Curve(c.codec, [replace(s, **without) for s in c.samples]) for c in asked.curves]
    )
    text = report.markdown(asked, "base")
    assert "| MS-SSIM (dB) | SSIMULACRA 2 | PSNR-HVS-M | CVVDP | overlap (PSNR) |" in text
    assert "| 50.0 | 35.00 | 9.000 |" in text
    assert "PSNR of luma" not in text
    assert "CVVDP" not in report.markdown(plain, "base")
    heads = [[column.header for column in report.summary(one, "base").columns] for one in (asked, plain)]
    assert heads == [
        ["codec", "PSNR", "MS-SSIM", "SSIMU2", "HVS-M", "CVVDP", "MP/s"],
        ["codec", "PSNR", "interval", "dB", "MS-SSIM", "SSIMU2", "MP/s"],
    ]


def test_a_rate_difference_at_equal_jod_is_like_any_other() -> None:
    jods = [7.5, 9.0, 9.6, 9.85, 9.95]
    points = [
        point(codec, number, picture=name, bpp=rate * factor, cvvdp=jod)
        for codec, factor in (("ours", 0.5), ("base", 1))
        for name in ("a", "z")
        for number, ((rate, _), jod) in enumerate(zip(CURVE, jods, strict=True))
    ]
    means = curves.mean_curves(points, [picture("a"), picture("z")])
    found = [d for d in curves.differences(points, means, "base", ["ours"]) if d.metric == "cvvdp"]
    assert found[0].percent == pytest.approx(-50)
    assert found[0].overlap == [7.5, 9.95]


@pytest.mark.slow
def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    measured = results()
    report.plot(measured.curves, measured.published, tmp_path / "rd.png", "a title")
    with Image.open(tmp_path / "rd.png") as plot:
        plot.load()
        assert plot.format == "PNG"
        assert plot.width > 1.6 * plot.height
        colours = plot.convert("RGB").getcolors(plot.width * plot.height)
        assert len(colours or []) > 10


# Quality


def test_qualities_are_those_of_their_definitions(part: Pixels) -> None:
    rng = np.random.default_rng(1)
    decoded = np.clip(part + rng.integers(-9, 10, part.shape), 0, 255).astype(np.uint8)
    found = quality.measure(part, decoded)
    difference = part.astype(float) - decoded
    assert found.mse == pytest.approx((difference**2).mean())
    assert found.psnr == pytest.approx(metrics.psnr(part, decoded))
    luma = difference @ [0.299, 0.587, 0.114]
    assert found.psnr_luma == pytest.approx(10 * math.log10(255**2 / (luma**2).mean()), abs=1e-4)
    assert found.ms_ssim == metrics.ms_ssim(part, decoded)


@pytest.mark.slow
def test_ssimulacra_2_is_the_librarys(part: Pixels) -> None:
    from ssimulacra2 import compute_ssimulacra2

    def file(pixels: Pixels) -> io.BytesIO:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PPM")
        return io.BytesIO(out.getvalue())

    for other in (part // 16 * 16, part[::-1].copy(), part):
        assert quality.ssimulacra2(part, other) == pytest.approx(compute_ssimulacra2(file(part), file(other)))


def test_equal_pictures_and_tiny_ones_have_qualities_too() -> None:
    pixels = np.full((5, 7, 3), 90, np.uint8)
    assert quality.measure(pixels, pixels) == (0, *[None] * 6)
    with pytest.raises(
        ImageError, match=r"decoded has shape \(5, 7, 3\); that of the original, \(5, 6, 3\), is allowed"
    ):
        quality.measure(pixels[:, :6], pixels)


# Published curves


def test_published_curves_are_read_and_notes_left_out(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    points = [{"bpp": 0.5, "psnr": 30, "ms_ssim": 0.9}, {"bpp": 1, "psnr": 33.5}]
    path.write_text(json.dumps({"_note": "a note", "known": {"source": "a paper", "points": points}}))
    assert report.read_published(path) == [
        Published("known", "a paper", [(0.5, 30.0), (1.0, 33.5)]),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "nothing",
        "[]",
        "3",
        '{"a": 1}',
        '{"a": []}',
        '{"a": {"points": []}}',
        '{"a": {"source": "s"}}',
        '{"a": {"source": "s", "points": 3}}',
        '{"a": {"source": "s", "points": [{"bpp": 1}]}}',
        '{"a": {"source": "s", "points": [{"bpp": "low", "psnr": 30}]}}',
        '{"a": {"source": "s", "points": [[0.5, 30]]}}',
        '{"a": {"source": "s", "points": []}}',
    ],
)
def test_a_file_of_something_else_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"reference .*other\.json is not a file of published points"):
        report.read_published(path)


def test_a_missing_file_of_published_curves_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"reference .*missing\.json is not a file of published points"):
        report.read_published(tmp_path / "missing.json")


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the curves are not here yet")
def test_every_published_curve_kept_here_names_its_source() -> None:
    curves = report.read_published(PUBLISHED)
    assert len(curves) == len({entry.name for entry in curves}) > 1
    for entry in curves:
        assert len(entry.source) > 8
        assert len(entry.points) > 2
        by_rate = sorted(entry.points)
        assert all(0 < rate < 10 and 15 < quality < 60 for rate, quality in by_rate)
        assert all(a[1] < b[1] for a, b in itertools.pairwise(by_rate))


# The demo


@pytest.mark.slow
def test_the_demo_writes_files_of_at_most_our_size_that_decode(
    tmp_path: Path, part: Pixels, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.run(part, tmp_path / "new" / "out", 60)
    out = tmp_path / "new" / "out"
    names = {"photo.cae", "photo.jpg", "photo.webp", "photo.avif", "original.png", "side-by-side.png"}
    assert {path.name for path in out.iterdir()} == names
    ours = caesura.encode(part, quality=60)
    assert (out / "photo.cae").read_bytes() == ours
    with Image.open(out / "original.png") as original:
        assert np.array_equal(np.asarray(original), part)
    shown = capsys.readouterr().out
    assert str(len(ours)) in shown
    assert f"{metrics.psnr(part, caesura.decode_array(ours)):.2f}" in shown
    for name in ("photo.jpg", "photo.webp", "photo.avif"):
        assert (out / name).stat().st_size <= len(ours)
        assert str((out / name).stat().st_size) in shown
        with Image.open(out / name) as picture:
            assert metrics.psnr(part, np.asarray(picture.convert("RGB"))) > 20


@pytest.mark.parametrize(
    ("shape", "panels", "size"),
    [
        ((512, 512), 3, (3 * 768 + 16, 804)),  # cut-outs of 384 pixels at twice their size, 8 between
        ((600, 400), 1, (768, 804)),
        ((100, 300), 2, (2 * 200 + 8, 236)),
        ((1, 1), 3, (3 * 2 + 16, 38)),
    ],
)
def test_panels_stand_side_by_side_at_twice_their_size(
    shape: tuple[int, int], panels: int, size: tuple[int, int]
) -> None:
    shades = [np.full((*shape, 3), 40 * number, np.uint8) for number in range(panels)]
    sheet = demo.side_by_side([(f"panel {number}", shade) for number, shade in enumerate(shades)])
    assert sheet.mode == "RGB"
    assert sheet.size == size
    side = 2 * min(384, *shape)
    pixels = np.asarray(sheet)
    for number, shade in enumerate(shades):
        left = number * (side + 8)
        assert (pixels[36:, left : left + side] == shade[0, 0]).all()


def test_a_panel_shows_the_middle_of_its_picture(astronaut: Pixels) -> None:
    pixels = np.asarray(demo.side_by_side([("whole", astronaut)]))
    assert np.array_equal(pixels[36::2, ::2], astronaut[64:448, 64:448])


def test_the_sample_photo_needs_no_download() -> None:
    photo = demo.sample_photo()
    assert photo.shape == (512, 512, 3)
    assert photo.dtype == np.uint8
