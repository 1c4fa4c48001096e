"""What is told of measurements: rate differences, tables, plots, published curves, the demo."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caesura.bench.evaluation import Point
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import metrics
from caesura.bench import demo, report
from caesura.bench.bd import bd_rate
from caesura.errors import ConfigError

Pixels = NDArray[np.uint8]
Points = Sequence[tuple[float, float]]
PUBLISHED = Path(__file__).parents[1] / "docs" / "kodak_published_rd.json"
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


# The report


def point(codec: str, setting: float, **figures: Any) -> Point:
    """A measured point; what is not given matters not."""
    given = {"picture": "a", "bytes": 1, "bpp": 1.0, "psnr": 30.0, "ms_ssim": 0.9}
    times = {"encode_seconds": 0.1, "decode_seconds": 0.2}
    return Point(codec, setting, **(given | times | figures))


def curve(codec: str, points: Points, ms_ssim: float | None = 0.95) -> report.Curve:
    """A codec's mean curve."""
    samples = [
        report.Sample(number, rate, quality if math.isfinite(quality) else None, ms_ssim, 0.1, 0.2)
        for number, (rate, quality) in enumerate(points)
    ]
    return report.Curve(codec, tuple(samples))


def test_mean_curves_are_means_over_pictures_by_rising_rate() -> None:
    points = [
        point("b", 90, bpp=2.0, psnr=40.0, ms_ssim=0.99, encode_seconds=1.0, decode_seconds=3.0),
        point("b", 10, bpp=0.5, psnr=30.0, ms_ssim=0.90),
        point("a", 1, bpp=0.25, psnr=20.0),
        point("b", 90, bpp=4.0, psnr=43.0, ms_ssim=0.97, encode_seconds=2.0, decode_seconds=5.0),
        point("b", 10, bpp=0.7, psnr=33.0, ms_ssim=0.80),
    ]
    b, a = report.mean_curves(points)
    assert (b.codec, a.codec) == ("b", "a")  # as they first came
    assert [sample.setting for sample in b.samples] == [10, 90]
    low, high = b.samples
    assert (low.bpp, low.psnr, low.ms_ssim) == pytest.approx((0.6, 31.5, 0.85))
    assert (high.bpp, high.psnr, high.ms_ssim) == pytest.approx((3.0, 41.5, 0.98))
    assert (high.encode_seconds, high.decode_seconds) == pytest.approx((1.5, 4.0))
    assert b.psnr_points() == [(low.bpp, low.psnr), (high.bpp, high.psnr)]


def test_ms_ssim_has_no_mean_where_a_picture_has_none() -> None:
    (mean,) = report.mean_curves([point("a", 1, ms_ssim=0.9), point("a", 1, ms_ssim=None)])
    assert mean.samples[0].ms_ssim is None


def test_the_table_compares_every_curve_with_the_anchor_and_with_the_first() -> None:
    curves = [curve("ours", scaled(CURVE, 0.5)), curve("JPEG", CURVE), curve("far", [(1, 50), (2, 60)])]
    published = [report.Published("paper", "a source", tuple(scaled(CURVE, 0.8)))]
    lines = report.table(curves, published, "JPEG").splitlines()
    assert [line.replace("-0.0%", "+0.0%") for line in lines[:7]] == [  # nothing has either sign
        "| codec | BD-rate (PSNR) against JPEG | ours against it |",
        "|---|---|---|",
        "| ours | -50.0% | +0.0% |",
        "| JPEG | +0.0% | -50.0% |",
        "| far | no overlap | no overlap |",
        "| paper (published) | -20.0% | -37.5% |",
        "",
    ]
    assert "| ours | 0 | 0.0500 | 25.000 | 0.95000 | 0.100 | 0.200 |" in lines
    assert len(lines) == 7 + 2 + len(CURVE) + len(CURVE) + 2


def test_without_the_anchor_the_table_compares_nothing() -> None:
    text = report.table([curve("ours", CURVE, ms_ssim=None)], [], "JPEG")
    assert "BD-rate" not in text
    assert text.splitlines()[2] == "| ours | 0 | 0.1000 | 25.000 |  | 0.100 | 0.200 |"


@pytest.mark.parametrize("ms_ssim", [0.95, None])
def test_the_plot_is_a_picture_and_wider_with_ms_ssim(ms_ssim: float | None, tmp_path: Path) -> None:
    curves = [curve("caesura cae2017", CURVE, ms_ssim), curve("JPEG", scaled(CURVE, 1.5), ms_ssim)]
    published = [report.Published("paper", "a source", tuple(CURVE[::-1]))]
    report.plot(curves, published, tmp_path / "rd.png", "a title")
    with Image.open(tmp_path / "rd.png") as plot:
        plot.load()
        assert plot.format == "PNG"
        assert plot.height > 400
        assert (plot.width > 1.6 * plot.height) == (ms_ssim is not None)
        assert len(np.unique(np.asarray(plot.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_the_plot_takes_a_lossless_point(tmp_path: Path) -> None:
    report.plot([curve("caesura", [*CURVE, (9.0, math.inf)])], [], tmp_path / "rd.png", "a title")
    assert (tmp_path / "rd.png").is_file()


# Published curves


def test_published_curves_are_read_and_notes_left_out(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    points = [{"bpp": 0.5, "psnr": 30, "ms_ssim": 0.9}, {"bpp": 1, "psnr": 33.5}]
    path.write_text(json.dumps({"_note": "a note", "known": {"source": "a paper", "points": points}}))
    assert report.read_published(path) == [
        report.Published("known", "a paper", ((0.5, 30.0), (1.0, 33.5))),
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
