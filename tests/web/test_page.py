"""The page of web/demo and the element <cae-image>, in a real Chromium."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

import caesura

GOLDEN = Path(__file__).parents[1] / "golden"
CAE = GOLDEN / "photo-photo-50.cae"
PATIENCE = 120_000  # milliseconds; a busy machine takes long to load the networks
PIXEL = "canvas => [...canvas.getContext('2d').getImageData(%s, 1, 1).data]"


@contextlib.contextmanager
def watched(browser: Browser, site: str, **options: Any) -> Iterator[Page]:
    """A tab; at the end, nothing went wrong in it, and nothing was asked of another server."""
    expect.set_options(timeout=PATIENCE)
    with browser.new_context(**options) as context:
        page, wrong = context.new_page(), []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        context.on("request", lambda request: wrong.append(request.url))
        yield page
        page.evaluate("0")  # events of the page arrive before its answer
        assert [one for one in wrong if not one.startswith((site, "blob:", "data:"))] == []


@pytest.fixture(scope="module")
def page(browser: Browser, site: str) -> Iterator[Page]:
    """The page, loaded once: the networks take longest."""
    with watched(browser, site, viewport={"width": 1600, "height": 900}) as page:
        page.goto(site)
        expect(page.locator("#abilities")).to_contain_text("Works offlineYes")
        yield page


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photograph that the golden files were made of, as a PNG."""
    path = tmp_path_factory.mktemp("photos") / "flower.png"
    caesura.decode(GOLDEN / "photo-photo-100.cae").save(path)
    return path


def drop(page: Page, path: Path) -> None:
    """Drops a file on the page."""
    dropped = page.evaluate_handle(
        """([bytes, name]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(bytes)], name));
            return transfer;
        }""",
        [list(path.read_bytes()), path.name],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})


def settled(page: Page) -> None:
    expect(page.locator("#work")).to_have_attribute("aria-busy", "false")


def row(page: Page, codec: str) -> Locator:
    return page.locator("#results tbody tr").filter(has_text=codec)


def kilobytes(row: Locator) -> float:
    found = re.match(r"([\d.]+) (kB|bytes)", row.locator("td").first.inner_text())
    assert found is not None
    return float(found[1]) / (1 if found[2] == "kB" else 1000)


def test_dropped_photo_is_shown_beside_others_of_no_more_bytes(page: Page, photo: Path) -> None:
    assert page.evaluate("crossOriginIsolated")  # by the service worker: the server sends no such header
    drop(page, photo)
    settled(page)
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^Encoded: .*, .* s$"))
    expect(page.locator("#stage canvas")).to_have_count(2)
    ours = kilobytes(row(page, "caesura"))
    for codec in ("JPEG", "WebP"):
        expect(row(page, codec)).to_have_text(re.compile(r"quality \d+|its smallest"))
        assert kilobytes(row(page, codec)) <= ours or "smallest" in row(page, codec).inner_text()

    page.locator("[name=unit][value=quality]").check(force=True)
    page.fill("#number", "90")
    page.keyboard.press("Enter")
    settled(page)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "flower.cae"
    original = np.asarray(Image.open(photo), np.float64)
    decoded = np.asarray(caesura.decode(download.value.path()), np.float64)
    assert np.mean((original - decoded) ** 2) < 30  # 33 dB
    assert download.value.path().stat().st_size > 1000 * ours


def test_divider_and_zoom_by_keyboard(page: Page, photo: Path) -> None:
    page.set_input_files("#file", photo)
    settled(page)
    divider = page.get_by_role("slider", name="Divider")
    divider.focus()
    for key in ("Home", "PageUp", "ArrowRight"):
        page.keyboard.press(key)
    expect(divider).to_have_attribute("aria-valuenow", "11")
    expect(divider).to_have_attribute("aria-valuetext", "11% left, 89% right")
    page.locator("#stage").focus()
    page.keyboard.press("1")
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(page.locator("[data-zoom='2']")).to_have_attribute("aria-pressed", "true")
    page.select_option("#right", "Original")
    expect(page.locator("#right-tag")).to_contain_text("Original")


def test_link_holds_the_file(page: Page, site: str) -> None:
    page.set_input_files("#file", CAE)
    settled(page)
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^Decoded: 150 . 96, "))
    page.click("#share")
    link = page.locator("#url").input_value()
    assert link.startswith(f"{site}#cae=")
    page.set_input_files("#file", GOLDEN / "photo-grey-50.cae")
    settled(page)
    page.evaluate("link => { location.href = link }", link)
    expect(page.locator("#name")).to_have_text("picture from a link")
    settled(page)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.path().read_bytes() == CAE.read_bytes()
    with page.expect_download() as download:
        page.click("#save-png")
    pixels = np.asarray(Image.open(io.BytesIO(download.value.path().read_bytes())).convert("RGB"), np.int16)
    assert np.abs(pixels - np.asarray(caesura.decode(CAE), np.int16)).max() <= 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.cae", CAE.read_bytes()[:-9], "This file is incomplete."),
        ("text.cae", b"not a picture", "This is not a .cae file."),
        ("photo.jpg", b"\xff\xd8\xff not a picture", "This browser cannot read photo.jpg as a picture."),
    ],
)
def test_bad_file_is_told_and_the_next_one_opens(
    page: Page, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    page.set_input_files("#file", tmp_path / name)
    expect(page.get_by_role("alert")).to_contain_text(message)
    page.set_input_files("#file", CAE)
    settled(page)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#stage canvas").first).to_be_visible()


def test_phone_never_scrolls_sideways(page: Page, site: str, photo: Path) -> None:
    page.set_viewport_size({"width": 400, "height": 860})
    page.set_input_files("#file", photo)
    settled(page)
    for address in (None, site):
        if address:
            page.goto(address)
            expect(page.locator("#start")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.set_viewport_size({"width": 1600, "height": 900})


def test_offline_after_the_first_visit(browser: Browser, site: str, photo: Path) -> None:
    with watched(browser, site) as page:
        page.goto(site)
        expect(page.locator("#abilities")).to_contain_text("Works offlineYes")
        page.context.set_offline(True)
        page.reload()
        page.set_input_files("#file", photo)
        settled(page)
        expect(row(page, "caesura")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()


def elements(page: Page, site: str, body: str, files: dict[str, bytes]) -> None:
    """Opens a page of the site that has elements, and files that these show."""
    html = f"<!doctype html><script type=module src=caesura/element.js></script><body>{body}"
    page.route(f"{site}elements.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    for name, content in files.items():
        page.route(f"{site}{name}*", lambda route, _, content=content: route.fulfill(body=content))
    page.goto(f"{site}elements.html")


def test_only_pictures_near_the_viewport_hold_pixels(browser: Browser, site: str) -> None:
    one = '<cae-image src="photo.cae?{}" alt="{}" loading=lazy width=600 height=384></cae-image><br>'
    many = "".join(one.format(number, number) for number in range(50))
    holds = "one => one.shadowRoot.querySelector('canvas').width > 0"
    holding = f"[...document.querySelectorAll('cae-image')].filter({holds}).length"
    shown = f"""() => [...document.querySelectorAll('cae-image')].filter(one => {{
        const {{ top, bottom }} = one.getBoundingClientRect();
        return bottom >= 0 && top <= innerHeight;
    }}).every(one => one.complete && ({holds})(one))"""
    with watched(browser, site, viewport={"width": 800, "height": 800}, service_workers="block") as page:
        elements(page, site, many, {"photo.cae": CAE.read_bytes()})
        for top in (*range(0, 19_200, 2400), 0):
            page.evaluate("top => scrollTo(0, top)", top)
            page.wait_for_function(shown)
            assert 2 <= page.evaluate(holding) <= 12
        page.wait_for_function("document.querySelector('cae-image').complete")
        assert page.evaluate("document.querySelector('cae-image').naturalWidth") == 150


def test_element_lays_itself_out_and_turns(browser: Browser, site: str) -> None:
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, :64], pixels[:, 64:] = (200, 30, 30), (30, 30, 200)
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[274] = 6  # the left side is to be shown at the top
    picture.info["exif"] = exif.tobytes()
    one = '<cae-image src="{}" alt="{}"></cae-image>'
    body = one.format("turned.cae", "Two colours") + one.format("bad.cae", "Lost")
    files = {"turned.cae": caesura.encode(picture, quality=80), "bad.cae": b"bad"}
    with watched(browser, site, service_workers="block") as page:
        elements(page, site, body, files)
        turned, bad = page.locator("cae-image").all()
        page.wait_for_function("[...document.querySelectorAll('cae-image')].every(one => one.complete)")
        assert turned.evaluate("({ clientWidth, clientHeight }) => [clientWidth, clientHeight]") == [64, 128]
        canvas = turned.locator("canvas")
        assert np.allclose(canvas.evaluate(PIXEL % "32, 16"), (200, 30, 30, 255), atol=12)
        assert np.allclose(canvas.evaluate(PIXEL % "32, 112"), (30, 30, 200, 255), atol=12)
        expect(page.get_by_role("img", name="Two colours")).to_be_visible()
        assert bad.evaluate("one => one.error.name") == "SignatureError"
        expect(bad.locator("span")).to_have_text("Lost")
