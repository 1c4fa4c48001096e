"""The page of a benchmark, opened in a real Chromium."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from caesura.bench import formatting, html, plot
from caesura.errors import CaesuraError, ConfigError
from cli_helpers import drawn

OURS, EVIL = "caesura photo", "<script>document.title='hacked'</script> & \"quoted\" 'name'"
CODECS = (OURS, "caesura photo-psnr", "JPEG 4:2:0", "AVIF speed 6", "AVIF speed 3", EVIL)
NOTHING = {"bytes": None, "bpp": None, "psnr": None}  # is known of an original
PICTURES = ("first.png", "sub/<script>alert(1)</script>.png", "sub/first.png")
ANCHORS = ("JPEG 4:2:0", "AVIF speed 3", EVIL)
Open = Callable[..., Page]
Scheme = Literal["dark", "light"]


def made() -> dict[str, Any]:
    """Results of drawn figures: codec n needs 0.8 + 0.2 n times the bits of the first."""
    points, curves = [], []
    for number, codec in enumerate(CODECS):
        samples = []
        for setting in (10, 20, 40, 80):
            bpp = setting / 40 * (0.8 + 0.2 * number)
            psnr, ms_ssim = 28 + 4 * math.log2(setting / 10), 1 - 1 / setting
            figures = {"psnr": psnr, "psnr_luma": psnr + 1, "ms_ssim": ms_ssim}
            ms_ssim_db = -10 * math.log10(1 - ms_ssim)
            score = None if codec == EVIL else setting + 10.0
            speed = {"encode_mps": 8.0 / (number + 1), "decode_mps": 20.0 / (number + 1)}
            means = {"psnr_of_mean_mse": psnr - 0.3, "ms_ssim_db": ms_ssim_db, "ssimulacra2": score}
            samples.append({"setting": setting, "bpp": bpp} | figures | means | speed)
            points += [
                {"codec": codec, "setting": setting, "picture": name, "bytes": 900, "bpp": bpp, "mse": 9.0}
                | figures
                | {"ssimulacra2": score, "encode_seconds": 0.1, "decode_seconds": 0.1}
                for name in PICTURES
            ]
        curves.append({"codec": codec, "samples": samples})
    bd = [
        {"codec": codec, "anchor": anchor, "metric": metric, "percent": percent, "low": percent - 4}
        | {"high": percent + 4, "overlap": [28.0, 40.0]}
        | {"pictures": dict(zip(PICTURES, (percent, None, percent + 1), strict=True))}
        for number, codec in enumerate(CODECS)
        for anchor in ANCHORS
        for metric in ("psnr", "psnr_luma", "ms_ssim_db", "ssimulacra2")
        if codec != anchor
        for percent in [100 * ((4 + number) / (4 + CODECS.index(anchor)) - 1)]
    ]
    for entry in bd:
        if entry["metric"] == "ssimulacra2" and EVIL in (entry["codec"], entry["anchor"]):
            entry.update(percent=None, low=None, high=None, overlap=None, pictures={})
    return {
        "format": html.FORMAT,
        "command": "caesura bench photos -o report --external 'x=<b>{in}</b>'",
        "made": "2026-01-02T03:04:05+00:00",
        "caesura": "0.1.0",
        "machine": {"processor": "a CPU", "cores": 2, "memory_gib": 7.7, "system": "Linux", "python": "3.12"},
        "threads": 2,
        "repeats": 1,
        "pictures": [{"name": name, "sha256": "0" * 64, "width": 96, "height": 64} for name in PICTURES],
        "codecs": [
            {"name": name, "version": f"{name} 1.0", "settings": [10, 20, 40, 80], "ours": number < 2}
            for number, name in enumerate(CODECS)
        ],
        "missing": [{"name": "HEIC", "reason": "pillow-heif is not installed"}],
        "points": points,
        "curves": curves,
        "bd": bd,
        "costs": [
            {"codec": name, "encode_peak_mib": 100 - number, "decode_peak_mib": 50.0, "start_seconds": None}
            for number, name in enumerate(CODECS)
        ],
        "published": [{"name": "<i>vtm</i>", "source": "a paper", "points": [[0.2, 30.0], [0.9, 36.0]]}],
        "samples": [
            {"picture": name, "codec": codec, "file": f"{codec == 'original'}.png"}
            | ({"bytes": 900, "bpp": 0.3, "psnr": 30.0} if codec != "original" else NOTHING)
            | {"x": 8, "y": 0, "width": 600, "height": 64}
            for name in PICTURES[:2]
            for codec in (*CODECS, "original")
        ],
    }


def made_small() -> dict[str, Any]:
    """The same with three codecs, one anchor and one picture, which need fewer plots."""
    results = made()
    for name in ("points", "curves", "bd", "costs"):
        results[name] = [entry for entry in results[name] if entry["codec"] in CODECS[:3]]
    results["codecs"], results["pictures"] = results["codecs"][:3], results["pictures"][:1]
    results["bd"] = [entry for entry in results["bd"] if entry["anchor"] == ANCHORS[0]]
    results["samples"] = [one for one in results["samples"] if one["codec"] in (*CODECS[:3], "original")]
    return results


def save(folder: Path, results: dict[str, Any]) -> Path:
    """results.json and samples: black decoded ones, so that sides can be told."""
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn(64, 600) | 128).save(folder / "samples" / "True.png")
    Image.fromarray(np.zeros((64, 600, 3), np.uint8)).save(folder / "samples" / "False.png")
    (folder / "results.json").write_text(json.dumps(results))
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with its pages."""
    folder = save(tmp_path_factory.mktemp("report"), made())
    assert html.write(folder) == folder / "index.html"
    return folder


@contextlib.contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """A tab of its own, and what goes wrong in it or is asked of a network."""
    with browser.new_context(**options) as context:
        page, wrong = context.new_page(), []
        page.set_default_timeout(5000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: wrong.append(request.url) if _remote(request.url) else None)
        page.on("requestfailed", lambda request: wrong.append(request.url))
        yield page, wrong


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A tab for one test after another: a new one takes longer than a page to load in it."""
    with watched(browser) as opened:
        yield opened


@pytest.fixture
def visit(tab: tuple[Page, list[str]], report: Path) -> Iterator[Open]:
    """Loads pages for a test that changes them; at the end, nothing went wrong."""
    page, wrong = tab
    wrong.clear()

    def load(name: str = "index.html", *, width: int = 1600) -> Page:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media="screen", color_scheme="light")
        page.goto((report / name).as_uri())
        return page

    yield load
    page.evaluate("0")  # events of the page arrive before its answer
    assert wrong == []


@pytest.fixture(scope="module")
def index(browser: Browser, report: Path) -> Iterator[Page]:
    """index.html, opened once for the tests that look at it alone."""
    with watched(browser, viewport={"width": 1600, "height": 900}) as (page, wrong):
        page.goto((report / "index.html").as_uri())
        yield page
        page.evaluate("0")
        assert wrong == []


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time; this is for tests of what is beside plots. Curves are checked still."""
    monkeypatch.setattr(plot, "_axes", lambda *_: None)
    monkeypatch.setattr(plot, "_svg", lambda *_: "<svg></svg>")
    monkeypatch.setattr(plot, "scatter", lambda *_: "<svg></svg>")


def _remote(url: str) -> bool:
    return not url.startswith(("file:", "data:"))


def column(page: Page, title: str) -> list[str]:
    """What a column of the table of codecs shows."""
    script = """(table, title) => { const heads = [...table.tHead.rows[0].cells];
        const at = heads.findIndex((head) => head.textContent.trim() === title);
        const first = (row) => row.cells[at].textContent.trim().split(/\\s+/)[0];
        return [...table.tBodies[0].rows].map(first); }"""
    return list(page.locator("#tables .view table").evaluate(script, title))


# In a browser


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width", "schemes"),
    [
        ("index.html", 400, ("light", "dark")),
        ("index.html", 1600, ("light", "dark")),
        ("pictures/first.html", 400, ("light",)),
        ("pictures/first.html", 1600, ("dark",)),
    ],
)
def test_pages_fit_their_window_and_show_colours(
    visit: Open, name: str, width: int, schemes: Sequence[Scheme]
) -> None:
    page = visit(name, width=width)
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        image = page.screenshot(full_page=True, type="jpeg", quality=90)  # a PNG takes twice the time
        shot = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
        assert shot.shape[1] == width
        light = shot[:, :4].mean() > 128
        assert light == (scheme == "light")
        assert (np.ptp(shot[::3, ::3].astype(int), axis=2) > 60).sum() > 100  # curves have colours


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_has_contrast(index: Page, scheme: Scheme) -> None:
    index.emulate_media(color_scheme=scheme)
    colours = index.evaluate("""() => {
        const get = (element, name) => getComputedStyle(element)[name].match(/[\\d.]+/g).map(Number);
        const some = ["body", ".note", "a", "dd", ".small", ".c0", ".c1", ".c2", ".c3", ".c-1"];
        const texts = some.map((one) => get(document.querySelector(one), "color"));
        return [get(document.body, "backgroundColor"), texts];
    }""")
    background, texts = colours
    assert all(_contrast(text, background) >= 4.5 for text in texts)


def _contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2's contrast ratio of two colours."""

    def luminance(colour: list[float]) -> float:
        values = [value / 255 for value in colour[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["index.html", "pictures/first.html"])
def test_printed_pages_have_no_controls(visit: Open, name: str) -> None:
    page = visit(name, width=690)
    page.emulate_media(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="light")
    for selector in ("select", "input[type=range]", ".legend button", "nav", "#readout"):
        assert page.locator(f"{selector}:visible").count() == 0, selector
    assert page.locator("svg.plot:visible").count() >= 4
    assert page.evaluate("document.documentElement.scrollWidth") <= 690
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_a_script_the_figures_are_there(browser: Browser, report: Path) -> None:
    with watched(browser, java_script_enabled=False) as (page, wrong):
        page.goto((report / "index.html").as_uri())
        assert page.locator("#curves svg.plot:visible").count() == 4
        assert page.locator("#scatters svg.plot:visible").count() == 2
        assert page.locator("#tables tbody tr:visible").count() == len(CODECS)
        page.locator("#mean-mse").check()
        assert page.locator(".of-mse svg").is_visible()
        page.goto((report / "pictures" / "first.html").as_uri())
        assert page.locator(".gallery img:visible").count() == len(CODECS) + 1
        assert not page.locator("#slide").is_visible()
    assert wrong == []


def test_names_are_text(visit: Open) -> None:
    page = visit()
    assert page.title() == f"{OURS} compared with other codecs"
    assert EVIL in page.locator("#tables").inner_text()
    assert "x=<b>{in}</b>" in page.locator("pre").inner_text()
    page.get_by_role("link", name=PICTURES[1]).first.click()
    assert page.locator("h1").inner_text() == PICTURES[1]
    assert EVIL in page.locator(".gallery").inner_text()


def test_the_page_compares_the_first_model_in_a_sentence(index: Page) -> None:
    assert index.locator(".lead").inner_text() == (
        f"At equal PSNR, {OURS} needs 55.6% fewer bits than {EVIL}, 50.0% fewer than AVIF speed 3 "
        "and 33.3% fewer than JPEG 4:2:0."
    )
    assert "pillow-heif is not installed" in index.locator(".missing").inner_text()
    assert "<i>vtm</i> (published)" in index.locator(".legend").inner_text()


def test_a_column_sorts_by_click_and_by_key(visit: Open) -> None:
    page = visit()
    title = "encode, MP/s"
    button = page.locator("#tables .view").get_by_role("button", name=title, exact=True)
    head = button.locator("..")
    speeds = ["8.00", "4.00", "2.67", "2.00", "1.60", "1.33"]
    assert column(page, title) == speeds
    button.click()
    assert column(page, title) == speeds[::-1]
    assert head.get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert column(page, title) == speeds
    assert head.get_attribute("aria-sort") == "descending"
    for order in ("ascending", "descending"):  # what has no value is last either way
        page.locator("#tables .view").get_by_role("button", name="BD-rate, SSIMULACRA 2").press("Space")
        assert column(page, "BD-rate, SSIMULACRA 2")[-1] == "no", order
    page.locator("#tables .view").get_by_role("button", name="codec").click()
    assert page.locator("#tables [aria-sort]").count() == 1
    assert column(page, "codec")[0] == "<script>document.title='hacked'</script>"


def test_another_anchor_and_metric_change_plots_and_table(visit: Open) -> None:
    page = visit()
    before = column(page, "BD-rate, PSNR")
    assert before[0] == f"{plot.MINUS}33.3"
    page.locator("#anchor").select_option(label="AVIF speed 3")
    page.locator("#metric").select_option(label="MS-SSIM")
    assert column(page, "BD-rate, PSNR")[0] == f"{plot.MINUS}50.0"
    assert page.locator("#against").inner_text() == "AVIF speed 3"
    titles = page.locator("#scatters .view h3").all_inner_texts()
    assert titles[0] == "BD-rate (MS-SSIM) against AVIF speed 3, %, over speed to encode"
    page.locator("#anchor").select_option(label="JPEG 4:2:0")
    assert column(page, "BD-rate, PSNR") == before


def test_the_legend_hides_and_shows_a_codec(visit: Open) -> None:
    page = visit()
    curves, box = page.locator("#curves .series.s2:visible"), page.locator("#key-2")
    assert curves.count() == 4
    page.locator(".legend label", has_text="JPEG 4:2:0").click()
    assert curves.count() == 0
    assert page.locator("#curves .series.s0:visible").count() == 4
    box.press("Space")
    assert curves.count() == 4
    page.get_by_role("button", name="none").click()
    assert page.locator(".chart .series:visible").count() == 0
    page.get_by_role("button", name="all").click()
    assert curves.count() == 4


def test_the_nearest_point_is_read_out(visit: Open) -> None:
    page = visit()
    mark = page.locator("#chart-psnr .of-psnr .series.s0 .mark").first
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 4, box["y"] + 12)
    text = page.locator("#readout").inner_text()
    assert text.startswith(f"{OURS}\nsetting 10: 0.200 bpp, 28.00 dB")
    page.keyboard.press("Escape")
    assert not page.locator("#readout").is_visible()


def test_labels_of_marks_stay_in_their_plot_and_apart(index: Page) -> None:
    for plotted in index.locator("#scatters .view svg.plot").all():
        frame = plotted.bounding_box()
        boxes = [label.bounding_box() for label in plotted.locator(".name text").all()]
        assert frame is not None
        assert len(boxes) == len(CODECS)
        for box in boxes:
            assert box is not None
            assert frame["x"] <= box["x"] < box["x"] + box["width"] <= frame["x"] + frame["width"]
            assert frame["y"] <= box["y"] < box["y"] + box["height"] <= frame["y"] + frame["height"]
        assert not any(_overlap(one, other) for one, other in itertools.combinations(boxes, 2))


def _overlap(one: Any, other: Any) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "width"), ("y", "height"))
    )


def test_ids_are_unique(index: Page) -> None:
    ids = index.evaluate("""() => {
        const kept = [...document.querySelectorAll("template")].map((template) => template.content);
        return [document, ...kept].flatMap((root) => [...root.querySelectorAll("[id]")].map((one) => one.id));
    }""")
    assert len(ids) > 100
    assert len(set(ids)) == len(ids)


def test_the_slider_divides_two_codecs(visit: Open) -> None:
    for width, visible in ((1600, 600), (400, 370)):
        page = visit("pictures/first.html", width=width)
        stage, slide = page.locator(".stage"), page.locator("#slide")
        assert page.locator("#left-label").inner_text() == "uncompressed"
        assert page.locator("#right-label").inner_text() == "900 bytes, 0.300 bpp, 30.00 dB"
        shares = []
        slide.focus()
        for key in ("Home", "End"):
            slide.press(key)
            shares.append(_bright(stage.screenshot()))
        assert shares[0] < 0.1  # all of it the right, black one
        assert shares[1] > 0.9
        slide.press("ArrowLeft")
        assert float(slide.input_value()) == 99.5
        box = page.locator(".stage").bounding_box()
        assert box is not None
        assert abs(box["width"] - visible) < 10
        start = box["x"] + 2 + (box["width"] - 2) * 0.995
        page.mouse.move(start - 2, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
        page.mouse.up()
        assert abs(float(slide.input_value()) - 50) < 2
        assert 0.4 < _bright(stage.screenshot()) < 0.6
        page.locator("#left").select_option(label=OURS)
        assert _bright(stage.screenshot()) < 0.1
        page.locator("#zoom").select_option("3")
        assert page.locator(".pair").evaluate("e => e.offsetWidth") == 1800
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def _bright(png: bytes) -> float:
    return float((np.asarray(Image.open(io.BytesIO(png)).convert("L"))[4:-20, 4:-4] > 90).mean())


def test_the_close_up_shows_pixels_at_three_to_one(visit: Open) -> None:
    page = visit("pictures/first.html")
    first = page.locator(".window img").first
    assert first.evaluate("e => [e.offsetWidth, getComputedStyle(e).imageRendering]") == [1800, "pixelated"]
    left = first.evaluate("e => e.offsetLeft")
    page.locator("#aim-x").press("End")
    assert first.evaluate("e => e.offsetLeft") < left
    edge = first.evaluate("e => e.getBoundingClientRect().right - e.parentNode.getBoundingClientRect().right")
    assert abs(edge) < 3  # it does not leave the picture


def test_pages_of_pictures_lead_to_each_other(visit: Open) -> None:
    page = visit("pictures/first.html")
    page.locator("a[rel=next]").click()
    page.locator("a[rel=next]").click()
    assert page.locator("h1").inner_text() == PICTURES[2]
    assert page.locator(".stage").count() == 0  # no samples, but curves
    assert page.locator("svg.plot").count() == 4
    page.get_by_role("link", name="All pictures").click()
    assert page.locator("h1").inner_text() == f"{OURS} compared with other codecs"


# Without one


def test_pages_have_safe_and_different_names() -> None:
    names = ["a.png", "A.jpg", "x/a.png", "../../etc", "<b>", "...", ""]
    files = html.page_names(names)
    assert len({file.lower() for file in files.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+\.html", file) for file in files.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "caesura-bench-9"}, r"has format 'caesura-bench-9'; 'caesura-bench-1' is allowed"),
        ({"curves": None}, r"results\.json is not a complete caesura-bench-1"),
        ({"codecs": [{"name": "x"}]}, r"results\.json is not a complete caesura-bench-1.*ours"),
        (
            {"published": [{"name": "x", "source": "y", "points": [[math.nan, 3]]}]},
            r"results\.json is not a complete",
        ),
        ({"machine": {}}, r"results\.json is not a complete caesura-bench-1"),
    ],
)
def test_other_results_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = save(tmp_path, made_small() | change)
    (folder / "index.html").write_text("an older page")
    with pytest.raises(ConfigError, match=message):
        html.write(folder)
    assert (folder / "index.html").read_text() == "an older page"


@pytest.mark.parametrize("content", ["", "[]", "{", "3"])
def test_a_file_of_something_else_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ConfigError, match=r"results\.json (is not the results|has format None)"):
        html.write(tmp_path)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("../secret.png", "lies outside samples/"),
        ("/etc/passwd", "lies outside samples/"),
        ("none.png", "No such file"),
        ("text.png", "neither PNG nor WebP"),
        ("cut.png", "sample cannot be read"),
    ],
)
def test_a_sample_that_cannot_be_shown_is_named(file: str, message: str, tmp_path: Path) -> None:
    results = made()
    results["samples"][0]["file"] = file
    folder = save(tmp_path, results)
    (folder / "samples" / "text.png").write_text("no picture")
    (folder / "samples" / "cut.png").write_bytes((folder / "samples" / "True.png").read_bytes()[:60])
    with pytest.raises(CaesuraError, match=message):
        html.write(folder)


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("empty", [("bd",), ("samples",), ("published", "missing"), ("costs",), ("points",)])
def test_what_was_not_measured_is_left_out(empty: tuple[str, ...], tmp_path: Path) -> None:
    folder = save(tmp_path, made_small() | {name: [] for name in empty})
    assert "<h1>" in html.write(folder).read_text()


@pytest.mark.slow
def test_codecs_that_are_not_ours_have_a_page_too(tmp_path: Path) -> None:
    results = made_small()
    for codec in results["codecs"]:
        codec["ours"] = False
    assert "<h1>Comparison of codecs</h1>" in html.write(save(tmp_path, results)).read_text()


def test_the_sentence_claims_no_more_than_the_interval() -> None:
    def entry(percent: float, low: float | None, high: float | None) -> dict[str, Any]:
        return {"percent": percent, "low": low, "high": high}

    bd = {
        ("us", "a", "psnr"): entry(-20, -25, -15),
        ("us", "b", "psnr"): entry(-2, -5, 1),
        ("us", "c", "psnr"): entry(7, None, None),
    }
    assert html.sentence(bd, "us", ["a", "b", "c"]) == (
        f"At equal PSNR, us needs 20.0% fewer bits than a, about as many as b ({plot.MINUS}2.0%) "
        "and 7.0% more than c."
    )
    assert (
        html.sentence(bd, "us", ["b"])
        == f"At equal PSNR, us needs about as many bits as b ({plot.MINUS}2.0%)."
    )
    assert html.sentence(bd, "us", []) == ""


@pytest.mark.usefixtures("no_plots")
def test_the_hardest_variant_of_a_codec_is_that_of_the_metric(tmp_path: Path) -> None:
    results = made()
    for entry in results["bd"]:  # AVIF speed 6 is ahead by MS-SSIM alone
        if (entry["codec"], entry["anchor"], entry["metric"]) == (OURS, "AVIF speed 3", "ms_ssim_db"):
            results["bd"].append({**entry, "anchor": "AVIF speed 6", "percent": entry["percent"] + 7})
        elif (entry["codec"], entry["anchor"], entry["metric"]) == (OURS, "AVIF speed 3", "psnr"):
            results["bd"].append({**entry, "anchor": "AVIF speed 6", "percent": entry["percent"] - 7})
    bd = {(entry["codec"], entry["anchor"], entry["metric"]): entry for entry in results["bd"]}
    hardest = {metric: html.standing(results, bd, OURS, metric) for metric in ("psnr", "ms_ssim_db")}
    assert hardest["psnr"] == [EVIL, "AVIF speed 3", "JPEG 4:2:0"]
    assert hardest["ms_ssim_db"] == [EVIL, "AVIF speed 6", "JPEG 4:2:0"]
    page = html.render(results, save(tmp_path, results))["index.html"]
    standing = page[page.index('class="standing"') : page.index('id="curves"')]
    rows = re.findall(r'<th scope="row">(AVIF[^<]*|JPEG[^<]*)</th>', standing)
    assert rows == ["AVIF speed 3", "AVIF speed 6", "JPEG 4:2:0"]


@pytest.mark.usefixtures("no_plots")
def test_pictures_have_a_table_of_every_metric_that_was_measured(tmp_path: Path) -> None:
    results = made()
    for curve in results["curves"]:
        for sample in curve["samples"]:
            sample["cvvdp"] = 9.0
    page = html.render(results, save(tmp_path, results))["index.html"]
    for metric in ("psnr", "psnr_luma", "ms_ssim_db", "ssimulacra2", "cvvdp"):
        assert f'class="scroll by by-{metric}"' in page
        assert f"html:has(#by-{metric}:checked) .by-{metric} {{ display: block }}" in page


def test_nothing_has_no_sign() -> None:
    assert [formatting.signed(value) for value in (-0.04, 0.0, 0.06, None)] == [
        "0.0",
        "0.0",
        "+0.1",
        formatting.NONE,
    ]


def test_variants_of_a_codec_are_one_family() -> None:
    assert {html.family(name) for name in ("AVIF speed 6 tune=iq", "AVIF speed 3", "AVIF")} == {"AVIF"}
    assert html.family("JPEG 4:2:0") == "JPEG"
    assert html.family("JPEG XL effort 7") == "JPEG XL"
    assert html.family("JPEG 2000") == "JPEG 2000"


def test_every_codec_is_told_by_more_than_its_colour() -> None:
    styles = html.make_styles(made())
    assert len({(style.colour, style.marker) for style in styles.values()}) == len(styles)
    assert styles[OURS].weight == "first"


@pytest.mark.parametrize(("low", "high"), [(0.01, 9), (3, 3), (70, 90), (1e-4, 1e5)])
def test_axes_have_a_few_round_ticks(low: float, high: float) -> None:
    style, other = (plot.Style(key, "x", 0, plot.MARKERS[0], "first") for key in (0, 1))
    drawn = plot.scatter("x", "x", "x", [(style, low, -low, ""), (other, high, high, "")])
    assert drawn is not None
    svg = ElementTree.fromstring(drawn)
    frame = svg.find(".//clipPath/rect")
    assert frame is not None
    for name, size in (("x", "width"), ("y", "height")):
        start, length = float(frame.attrib[name]), float(frame.attrib[size])
        lines = [line.attrib["d"].split() for line in svg.iterfind(f".//g[@class='{name}tick']//path")]
        positions = [float(line[1 if name == "x" else 2]) for line in lines]
        assert 2 <= len(positions) <= 12
        assert all(start <= position <= start + length for position in positions)
        assert len(svg.findall(f".//g[@class='{name}tick']//text")) == len(positions)
    assert plot.scatter("x", "x", "x", [(style, 0.0, 1.0, "")]) is None


def test_labels_and_tooltips_are_text_without_markup_or_formulas() -> None:
    name = "<b>$x^2$\x08 & \u00e9"
    shown = name.replace("\x08", "")
    style = plot.Style(0, name, 0, plot.MARKERS[0], "first")
    drawn = plot.scatter("x", name, "x", [(style, 1.0, 2.0, "a & b")])
    assert drawn is not None
    assert "<b>" not in drawn
    svg = ElementTree.fromstring(drawn.replace("\x08", ""))
    assert svg.attrib["aria-label"] == shown
    assert [text.text for text in svg.iterfind(".//g[@class='series s0 c0 first name']/text")] == [shown]
    assert [text.text for text in svg.iterfind(".//use/title")] == [f"{shown}\na & b"]
