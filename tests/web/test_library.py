"""The library in Chromium: golden files, hostile files, and pictures there and back."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page

import caesura
from caesura.metrics import psnr

HERE = Path(__file__).parents[1]
GOLDEN = sorted((HERE / "golden").glob("*.cae"))
ATTACKS = HERE.parent / "attacks"
# Text and colour profile of a PNG, which are not looked at here.
NOT_READ = {"png-text", "png-profile"}
PATIENCE = 120_000  # milliseconds, on a machine that is busy
pytestmark = pytest.mark.slow

Pixels = NDArray[np.uint8]

CALLS = """
window.bytesOf = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
window.textOf = async (bytes) => {
  const url = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(new Blob([bytes]));
  });
  return url.slice(url.indexOf(",") + 1);
};
window.pictureOf = async ({ data, width, height }) => [width, height, await textOf(data)];
"""


class Library:
    """The library on a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def call(self, script: str, argument: Any = None) -> Any:
        """The result of an asynchronous function's body, in which `given` is the argument."""
        return self.page.evaluate(f"async (given) => {{ {script} }}", argument)

    def decode(self, content: bytes, options: str = "{}") -> Pixels:
        """RGBA, uint8 (H, W, 4)."""
        script = f"return pictureOf(await library.decode(bytesOf(given), {options}))"
        width, height, text = self.call(script, _text(content))
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)

    def encode(self, rgba: Pixels, options: dict[str, Any]) -> bytes:
        """The file of RGBA pixels, uint8 (H, W, 4)."""
        height, width, _ = rgba.shape
        script = """
            const data = new Uint8ClampedArray(bytesOf(given.rgba).buffer);
            const image = new ImageData(data, given.width, given.height);
            return textOf(await library.encode(image, given.options));
        """
        given = {"rgba": _text(rgba.tobytes()), "width": width, "height": height, "options": options}
        return base64.b64decode(self.call(script, given))

    def verdict(self, content: bytes) -> str:
        """What decoding ends with: "decodes", or name and message of the error."""
        script = """
            return library.decode(bytesOf(given)).then(
                () => "decodes",
                (error) => `${error.name}: ${error.message}`,
            );
        """
        found: str = self.call(script, _text(content))
        return found


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


@contextlib.contextmanager
def opened(browser: Browser, site: str) -> Iterator[Library]:
    """The library on a new page."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{site}library.html")
    page.wait_for_function("window.library")
    page.evaluate(f"() => {{ {CALLS} }}")
    yield Library(page)
    page.close()


@pytest.fixture(scope="module")
def library(browser: Browser, isolated_site: str) -> Iterator[Library]:
    """The library on a page that is cross-origin isolated, two threads."""
    with opened(browser, isolated_site) as library:
        library.call("library.configure({ threads: 2 })")
        yield library


def rgba_of(pixels: Pixels) -> Pixels:
    """RGBA of uint8 (H, W, 1 to 4)."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    return np.asarray(
        Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels, mode).convert("RGBA")
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_decode_to_pixels_within_one_level(library: Library, path: Path) -> None:
    found = library.decode(path.read_bytes()).astype(int)
    expected = rgba_of(np.load(path.with_suffix(".npz"))["pixels"])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1
    assert (found[:, :, 3] == expected[:, :, 3]).all()


def test_hostile_files_give_the_errors_that_they_give_in_python(library: Library) -> None:
    table = (ATTACKS / "README.md").read_text(encoding="utf-8")
    expected = dict(re.findall(r"`([^`]+)\.cae`[^|]*\| (\w+)", table))
    assert expected.keys() == {path.stem for path in ATTACKS.glob("*.cae")}
    found = {name: library.verdict((ATTACKS / f"{name}.cae").read_bytes()) for name in expected}
    kinds = {name: verdict.partition(":")[0] for name, verdict in found.items()}
    assert kinds == expected | dict.fromkeys(NOT_READ, "decodes")
    assert library.verdict(GOLDEN[0].read_bytes()) == "decodes"  # nothing was left in a bad state


def test_errors_are_of_the_librarys_classes(library: Library) -> None:
    script = """
        const error = await library.decode(new Uint8Array([1, 2, 3])).catch((error) => error);
        return [error instanceof library.SignatureError, error instanceof library.FormatError, error.message];
    """
    specific, general, message = library.call(script)
    assert specific
    assert general
    assert message == "the file starts with 01 02 03; a .cae starts with 89 43 41 45"


def with_alpha(rgb: Pixels) -> Pixels:
    """RGBA with a transparent corner and a half transparent one."""
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    alpha[:40, :40], alpha[-40:, -40:] = 0, 128
    return np.dstack([rgb, alpha])


def drawn() -> Pixels:
    """A page of text, RGB."""
    image = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(image)
    for line in range(14):
        draw.text(
            (10, 10 + 16 * line), "The quick brown fox jumps over the lazy dog 0123456789", fill="black"
        )
    return np.asarray(image)


@pytest.mark.parametrize(
    "options", [{"quality": 50}, {"quality": 90}, {"quality": 50, "model": "photo-psnr"}]
)
def test_files_of_the_page_are_those_of_python_within_a_hundredth(
    library: Library, part: Pixels, options: dict[str, Any]
) -> None:
    made = library.encode(rgba_of(part), options)
    own = caesura.encode(part, **options)
    assert len(made) == pytest.approx(len(own), rel=0.01)
    decoded = caesura.decode_array(made)
    assert psnr(part, decoded) == pytest.approx(psnr(part, caesura.decode_array(own)), abs=0.05)
    assert np.abs(library.decode(made)[:, :, :3].astype(int) - decoded).max() <= 1


def test_transparency_is_kept(library: Library, part: Pixels) -> None:
    given = with_alpha(part)
    decoded = caesura.decode_array(library.encode(given, {"quality": 50}))
    assert (decoded[:, :, 3] == given[:, :, 3]).all()
    visible = given[:, :, 3] > 0
    assert np.abs(decoded[visible].astype(int) - given[visible]).mean() < 8
    exact = caesura.decode_array(library.encode(given, {"quality": 95, "exact": True}))
    assert np.abs(exact[:, :, :3].astype(int) - given[:, :, :3]).mean() < 2


def test_grey_pictures_become_grey_files(library: Library, part: Pixels) -> None:
    grey = part[:, :, 1:2].repeat(3, axis=2)
    decoded = caesura.decode_array(library.encode(rgba_of(grey), {"quality": 70}))
    assert decoded.shape == (*part.shape[:2], 1)


@pytest.mark.parametrize("sides", [(1, 1), (17, 24), (3, 130)])
def test_small_pictures_go_there_and_back(library: Library, part: Pixels, sides: tuple[int, int]) -> None:
    given = rgba_of(part[: sides[0], : sides[1]])
    file = library.encode(given, {"quality": 60})
    assert caesura.decode_array(file).shape[:2] == sides
    assert library.decode(file).shape == given.shape


def test_text_is_exact_as_in_python(library: Library) -> None:
    page = drawn()
    file = library.encode(rgba_of(page), {"quality": 50})
    assert len(file) < 1.05 * len(caesura.encode(page, quality=50))
    assert (caesura.decode_array(file).reshape(240, 320, -1) == page[:, :, :1]).all()
    assert (library.decode(file)[:, :, :3] == page).all()


def test_pictures_of_several_segments_have_no_seams(library: Library, astronaut: Pixels) -> None:
    file = caesura.encode(astronaut, quality=40, segment_side=128)
    assert np.abs(library.decode(file)[:, :, :3].astype(int) - caesura.decode_array(file)).max() <= 1


@pytest.mark.parametrize("most", [1500, 6000, 40000])
def test_a_size_is_met_closely(library: Library, part: Pixels, most: int) -> None:
    file = library.encode(rgba_of(part), {"bytes": most})
    assert most - max(0.02 * most, 60) <= len(file) <= most
    assert caesura.decode_array(file).shape == part.shape


def test_impossible_options_are_refused(library: Library) -> None:
    small = np.zeros((8, 8, 4), np.uint8)
    for options, message in (
        ({"quality": 101}, "ConfigError: quality is 101; 1 to 100 is allowed"),
        ({"bytes": 3}, r"ConfigError: bytes is 3; \d+ or more is possible for this picture"),
        ({"bytes": 300, "quality": 5}, "ConfigError: quality and bytes are both given"),
        ({"model": "other"}, "ModelError: model other is not known; known: photo"),
    ):
        with pytest.raises(Exception, match=message):
            library.encode(small, options)


def test_arguments_of_another_type_are_refused(library: Library) -> None:
    for call, message in (
        ('library.decode("x")', "TypeError: data is string; Uint8Array, ArrayBuffer and Blob are allowed"),
        ("library.decode()", "TypeError: data is undefined; Uint8Array, ArrayBuffer and Blob are allowed"),
        ("library.readMetadata(5)", "TypeError: data is number"),
        ("library.encode({})", "ImageError: picture: samples are not of 8 bits"),
        ("library.encode()", "ImageError: picture: samples are not of 8 bits"),
        (
            "library.encode({ data: new Uint8ClampedArray(60), width: 2.5, height: 6 })",
            "ImageError: picture: 60 bytes for 2.5 x 6 pixels; 4 a pixel are allowed",
        ),
        (
            "library.encode(new ImageData(4, 4), { metadata: { exif: new ArrayBuffer(9) } })",
            "ConfigError: exif is object; a Uint8Array of 1 to 16777216 bytes is allowed",
        ),
        (
            "library.encode(new ImageData(4, 4), { metadata: { xmp: new Uint8Array() } })",
            "ConfigError: xmp is 0 bytes; a Uint8Array of 1 to 16777216 bytes is allowed",
        ),
        ("library.configure({ threads: 1 })", "ConfigError: configure was called after the worker"),
        ("library.decode(new Uint8Array(), { scale: 2 })", "ConfigError: scale is 2; 1 and 8 are allowed"),
    ):
        with pytest.raises(Exception, match=re.escape(message)):
            library.call(f"await {call}")


def test_header_and_metadata(library: Library) -> None:
    path = HERE / "golden" / "photo-all-chunks-90.cae"
    script = """
        const data = bytesOf(given);
        const { icc, exif, xmp } = await library.readMetadata(data);
        const texts = await Promise.all([icc, exif, xmp].map(textOf));
        return [library.readHeader(data.slice(0, 32)), ...texts];
    """
    header, *kept = library.call(script, _text(path.read_bytes()))
    own = caesura.read_header(path)
    assert header == {
        "modelId": own.model_id,
        "channels": own.channels,
        "ladderPosition": own.ladder_position,
        "cells": own.cells,
        "width": own.width,
        "height": own.height,
    }
    info = caesura.decode(path).info
    icc, exif, xmp = map(base64.b64decode, kept)
    assert (icc, b"Exif\0\0" + exif, xmp) == (info["icc_profile"], info["exif"], info["xmp"])


def test_metadata_is_kept_in_new_files(library: Library) -> None:
    script = """
        const image = new ImageData(8, 8);
        const metadata = { xmp: new TextEncoder().encode("<x/>"), icc: new Uint8Array([1, 2, 3]) };
        return textOf(await library.encode(image, { metadata }));
    """
    info = caesura.decode(base64.b64decode(library.call(script))).info
    assert (info["xmp"], info["icc_profile"]) == (b"<x/>", b"\1\2\3")


def test_previews_come_before_the_picture(library: Library, astronaut: Pixels) -> None:
    """The whole at 1/64, its parts at an eighth, then its parts."""
    file = caesura.encode(astronaut, quality=50, segment_side=256)
    script = """
        const events = [];
        const onPreview = ({ width, height }, left, top, scale) =>
            events.push([scale, left, top, width, height]);
        const onPart = ({ width, height }, left, top) => events.push([1, left, top, width, height]);
        await library.decode(bytesOf(given), { onPreview, onPart });
        return events;
    """
    events = library.call(script, _text(file))
    corners = [(left, top) for top in (0, 32) for left in (0, 32)]
    assert events[:5] == [[64, 0, 0, 8, 8], *([8, *corner, 32, 32] for corner in corners)]
    assert {scale for scale, *_ in events[5:]} == {1}
    assert sum(width * height for *_, width, height in events[5:]) == 512 * 512


def test_a_coarse_preview_is_near_the_picture(library: Library, astronaut: Pixels) -> None:
    file = caesura.encode(astronaut, quality=50, segment_side=256)
    script = """
        let first;
        await library.decode(bytesOf(given), { onPreview: (part) => { first ??= part; } });
        return pictureOf(first);
    """
    width, height, text = library.call(script, _text(file))
    found = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[:, :, :3]
    means = astronaut.reshape(8, 64, 8, 64, 3).mean((1, 3))
    error = np.sqrt(np.mean((found - means) ** 2))
    assert error < means.std() / 2


def test_a_preview_is_that_of_python(library: Library, astronaut: Pixels) -> None:
    file = caesura.encode(astronaut, quality=50, segment_side=256)
    found = library.decode(file, "{ scale: 8 }")
    expected = caesura.decode_array(file, scale=8)
    assert np.abs(found[:, :, :3].astype(int) - expected).max() <= 1


def test_progress_rises_to_one(library: Library, part: Pixels) -> None:
    script = """
        const data = new Uint8ClampedArray(bytesOf(given.rgba).buffer);
        const image = new ImageData(data, given.side, given.side);
        const shares = [];
        await library.encode(image, { ...given.options, onProgress: (share) => shares.push(share) });
        return shares;
    """
    for options in ({"quality": 30}, {"bytes": 4000}):
        given = {"rgba": _text(rgba_of(part).tobytes()), "side": 256, "options": options}
        shares = library.call(script, given)
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_a_preview_of_a_transparent_picture(library: Library, part: Pixels) -> None:
    file = caesura.encode(with_alpha(part), quality=50)
    found, expected = library.decode(file, "{ scale: 8 }"), caesura.decode_array(file, scale=8)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_decoding_ends_when_it_is_aborted(library: Library, astronaut: Pixels) -> None:
    file = caesura.encode(astronaut, quality=50, segment_side=64)
    script = """
        const control = new AbortController();
        const onPreview = () => control.abort(new Error("enough"));
        const ended = library.decode(bytesOf(given), { signal: control.signal, onPreview });
        return ended.then(() => "decoded", (error) => error.message);
    """
    assert library.call(script, _text(file)) == "enough"
    assert library.verdict(GOLDEN[0].read_bytes()) == "decodes"


def test_a_call_that_waits_ends_at_once_when_it_is_aborted(library: Library, astronaut: Pixels) -> None:
    file = caesura.encode(astronaut, quality=50, segment_side=64)
    script = """
        const control = new AbortController();
        const order = [];
        const first = library.decode(bytesOf(given)).then(() => order.push("first"));
        const second = library.decode(bytesOf(given), { signal: control.signal });
        second.catch((error) => order.push(error.name));
        control.abort();
        await first;
        return order;
    """
    assert library.call(script, _text(file)) == ["AbortError", "first"]


def test_calls_at_once_are_answered_each(library: Library) -> None:
    script = """
        const files = given.map(bytesOf);
        const pictures = await Promise.all(files.map((file) => library.decode(file)));
        return pictures.map(({ width, height }) => [width, height]);
    """
    paths = GOLDEN[::5]
    headers = [caesura.read_header(path) for path in paths]
    found = library.call(script, [_text(path.read_bytes()) for path in paths])
    assert found == [[header.width, header.height] for header in headers]


def test_more_pixels_than_allowed_are_refused(library: Library) -> None:
    with pytest.raises(Exception, match=r"LimitError: header: the picture has .* max_pixels allows 100"):
        library.decode(GOLDEN[0].read_bytes(), "{ maxPixels: 100 }")


@pytest.fixture
def fresh(browser: Browser, isolated_site: str) -> Iterator[Library]:
    """The library on a page of its own, not used yet."""
    with opened(browser, isolated_site) as library:
        yield library


def test_settings_are_checked_when_they_are_given(fresh: Library) -> None:
    for given, message in (
        ("{ threads: 0 }", "ConfigError: threads is 0; an integer of 1 or more is allowed"),
        ('{ models: "http://[" }', 'ConfigError: models is "http://["; the address of a folder is allowed'),
        ('{ runtime: "http://[" }', 'ConfigError: runtime is "http://["'),
    ):
        with pytest.raises(Exception, match=re.escape(message)):
            fresh.call(f"library.configure({given})")
    fresh.call('library.configure({ models: "caesura/models", threads: 1 })')
    assert fresh.verdict(GOLDEN[0].read_bytes()) == "decodes"


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("**/ort-*.wasm", "ModelError"),
        ("**/models.json", "ModelError"),
        ("**/*.decode.bin", "ModelError"),
        ("**/worker.js", "CaesuraError"),
    ],
)
def test_what_did_not_come_is_fetched_again(fresh: Library, pattern: str, kind: str) -> None:
    fresh.page.route(pattern, lambda route: route.fulfill(status=404))
    assert fresh.verdict(GOLDEN[0].read_bytes()).startswith(f"{kind}: ")
    fresh.page.unroute(pattern)
    assert fresh.verdict(GOLDEN[0].read_bytes()) == "decodes"


@pytest.mark.parametrize(
    "content", ["null", '{"format": "caesura-web-1", "models": [null, 5]}', "<!doctype html>"]
)
def test_a_list_that_is_none_is_refused(fresh: Library, content: str) -> None:
    fresh.page.route("**/models.json", lambda route: route.fulfill(body=content))
    assert fresh.verdict(GOLDEN[0].read_bytes()).startswith("ModelError: model: models.json ")
