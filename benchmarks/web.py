"""Speed and download sizes of the library for browsers, in Chromium without a window.

    make web
    python -m benchmarks.web [PHOTOS] [--repeats 9] [--large 12]

Codes pictures of 768 x 512, and one of 4000 x 3000 that is tiled from them, at quality 50 with the default
model: WebAssembly, two threads. The pictures are four of the folder or photographs of scikit-image, cut or
scaled to that size. Prints Markdown tables.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page

import benchmarks
import caesura
from benchmarks.browser import ISOLATION, LIBRARY, chromium, served
from caesura.bench import machine
from caesura.bench.codecs import Pixels
from caesura.bench.photos import find
from caesura.errors import CaesuraError, ConfigError
from caesura.models.ladder import DEFAULT_QUALITY

WEB = Path(__file__).parents[1] / "web"
THREADS = 2
_WIDTH, _HEIGHT = 768, 512
_LARGE_WIDTH, _LARGE_HEIGHT = 4000, 3000
_BYTES = 30_000  # of a file whose size is given
_STARTS = 3  # cold, each with an empty cache
_WATCH = 2.0  # seconds that the load of other programs is measured, before and after
_PATIENCE = 600_000  # milliseconds
_RUNTIME, _LIBWEBP = "ort", "webp"  # beginnings of names of JavaScript that is not the library's own
_BLANK = "<!doctype html><title>blank</title>"

# Times are in milliseconds from the call on.
_START = """async (threads) => {
    const start = performance.now();
    window.library = await import("./caesura/index.js");
    library.configure({ threads, webgpu: false });
    const found = await library.load("decode");
    if (found.threads !== threads) throw new Error(`${found.threads} threads`);
    return performance.now() - start;
}"""
_PREPARE = """async (threads) => {
    library.configure({ threads, webgpu: false });
    await library.load("decode");
    await library.load("encode");
    window.bytes = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
    window.image = async (name, [width, height]) =>
        new ImageData(new Uint8ClampedArray((await bytes(name)).buffer), width, height);
}"""
_DECODE = """async (name) => {
    const data = await bytes(name);
    const start = performance.now(), times = {}, now = () => performance.now() - start;
    await library.decode(data, {
        onPreview: (part, left, top, scale) => { times[`first${scale}`] ??= now(); times[scale] = now(); },
        onPart: () => { times.firstPart ??= now(); },
    });
    return { ...times, whole: now() };
}"""
_ENCODE = """async ({ name, sides, options }) => {
    const picture = await image(name, sides);
    const start = performance.now();
    await library.encode(picture, options);
    return performance.now() - start;
}"""


class Files(NamedTuple):
    """What the pages code, by name.

    Attributes:
        coded: .cae files.
        raw: RGBA, each with its width and height.
    """

    coded: dict[str, bytes]
    raw: dict[str, tuple[bytes, tuple[int, int]]]

    @property
    def served(self) -> dict[str, bytes]:
        """Every file, for the server."""
        return self.coded | {name: content for name, (content, _) in self.raw.items()}


def main() -> None:
    """Parse arguments, measure and print."""
    parser = benchmarks.parser("web", __doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of pictures")
    parser.add_argument("--repeats", type=int, default=9, help="codings of each small picture (default: 9)")
    parser.add_argument("--large", type=int, default=3, help="codings of the large one (default: 3)")
    arguments = parser.parse_args()
    try:
        print(report(arguments.folder, repeats=arguments.repeats, large=arguments.large))
    except CaesuraError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def report(folder: Path | None, *, repeats: int, large: int) -> str:
    """The tables, in Markdown.

    Args:
        folder: of pictures; None for photographs of scikit-image.
        repeats: codings of each small picture, 1 or more.
        large: codings of the large picture; without any, 0, its rows are left out.

    Raises:
        ConfigError: the library is not built, or there are no pictures.
        DependencyError: there is no Chromium.
    """
    if not (WEB / "site" / "files.json").exists():
        raise ConfigError(f"{WEB / 'site'} is not built; make web")
    small = [_scaled(photo.pixels()) for photo in find(folder, quick=True)]
    busy = _other_load()
    with chromium() as browser:
        starts = cold_starts(browser, _STARTS)
        rows = [("loading what decoding needs, nothing cached", starts)]
        rows += coding(browser, small, repeats)
        if large:
            rows += coding_large(browser, _tiled(small), large)
        version = browser.version
    busy = [*busy, *_other_load()]
    lines = ["| what | median |", "|---|---|"]
    lines += [f"| {name} | {median(times) / 1000:.2f} s |" for name, times in rows]
    return "\n".join([_facts(version, len(small), max(busy, default=None)), "", *lines, "", *_sizes()])


def cold_starts(browser: Browser, count: int) -> list[float]:
    """Milliseconds from the import of the library until it can decode, each with an empty cache."""
    times = []
    for _ in range(count):
        with _page(browser, {"blank.html": _BLANK.encode()}, "blank.html") as page:
            times.append(page.evaluate(_START, THREADS))
    return times


def coding(browser: Browser, pictures: Sequence[Pixels], repeats: int) -> list[tuple[str, list[float]]]:
    """Names and times, in milliseconds, of coding small pictures after loading."""
    kinds: dict[str, dict[str, float]] = {
        f"encode {_WIDTH} x {_HEIGHT}": {"quality": DEFAULT_QUALITY},
        f"encode {_WIDTH} x {_HEIGHT} to {_BYTES} bytes": {"bytes": _BYTES},
    }
    files = _files(pictures)
    with _library(browser, files.served) as page:
        decoded = [page.evaluate(_DECODE, name) for name in files.coded for _ in range(repeats)]
        encoded = [
            (kind, [_encoded(page, name, files, options) for name in files.raw for _ in range(repeats)])
            for kind, options in kinds.items()
        ]
    return [(f"decode {_WIDTH} x {_HEIGHT}", [one["whole"] for one in decoded]), *encoded]


def coding_large(browser: Browser, picture: Pixels, repeats: int) -> list[tuple[str, list[float]]]:
    """The same of a large picture, in its parts as they come."""
    files = _files([picture])
    with _library(browser, files.served) as page:
        decoded = [page.evaluate(_DECODE, name) for name in files.coded for _ in range(repeats)]
        options = {"quality": DEFAULT_QUALITY}
        encoded = [_encoded(page, name, files, options) for name in files.raw for _ in range(repeats)]
    size = f"{_LARGE_WIDTH} x {_LARGE_HEIGHT}"
    moments = {
        "64": "whole preview at 1/64 of the sides",
        "first8": "first part of the preview at 1/8",
        "8": "whole preview at 1/8",
        "firstPart": "first part of the picture",
        "whole": "whole picture",
    }
    rows = [(f"decode {size}: {name}", [one[moment] for one in decoded]) for moment, name in moments.items()]
    return [*rows, (f"encode {size}", encoded)]


def _encoded(page: Page, name: str, files: Files, options: Mapping[str, float]) -> float:
    given = {"name": name, "sides": files.raw[name][1], "options": options}
    milliseconds: float = page.evaluate(_ENCODE, given)
    return milliseconds


@contextmanager
def _library(browser: Browser, files: Mapping[str, bytes]) -> Iterator[Page]:
    """A page with the library loaded."""
    with _page(browser, {"library.html": LIBRARY.encode(), **files}, "library.html") as page:
        page.wait_for_function("window.library")
        page.evaluate(_PREPARE, THREADS)
        yield page


@contextmanager
def _page(browser: Browser, files: Mapping[str, bytes], name: str) -> Iterator[Page]:
    """A page whose cache is empty."""
    with served(WEB / "site", ISOLATION, files) as address, browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        page.goto(f"{address}{name}")
        yield page


def _files(pictures: Iterable[Pixels]) -> Files:
    files = Files({}, {})
    for number, pixels in enumerate(pictures):
        height, width, _ = pixels.shape
        files.coded[f"{number}.cae"] = caesura.encode(pixels, quality=DEFAULT_QUALITY)
        rgba = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
        files.raw[f"{number}.rgba"] = rgba.tobytes(), (width, height)
    return files


def _scaled(pixels: Pixels) -> Pixels:
    height, width, _ = pixels.shape
    sides = (_WIDTH, _HEIGHT) if width >= height else (_HEIGHT, _WIDTH)
    return np.asarray(ImageOps.fit(Image.fromarray(pixels), sides, Image.Resampling.LANCZOS))


def _tiled(pictures: Sequence[Pixels]) -> Pixels:
    """A large picture of small ones in turn."""
    large = np.empty((_LARGE_HEIGHT, _LARGE_WIDTH, 3), np.uint8)
    number = 0
    for top in range(0, _LARGE_HEIGHT, _HEIGHT):
        for left in range(0, _LARGE_WIDTH, _WIDTH):
            place = large[top : top + _HEIGHT, left : left + _WIDTH]
            lying = pictures[number % len(pictures)]
            lying = lying if len(lying) == _HEIGHT else np.rot90(lying)
            place[:] = lying[: place.shape[0], : place.shape[1]]
            number += 1
    return large


def _sizes() -> list[str]:
    """A table of what browsers fetch, from the built package."""
    dist = WEB / "dist"
    first = json.loads((dist / "models" / "models.json").read_text())["models"][0]
    scripts = [path for path in sorted(dist.glob("*.js")) if not path.name.startswith((_RUNTIME, _LIBWEBP))]
    wasm = [dist / "ort-wasm-simd-threaded.wasm", *dist.glob("ort-wasm-simd-threaded.mjs")]
    rows = {
        "library": scripts,
        f"model `{first['name']}`, to decode": [dist / "models" / first["decode"]],
        f"model `{first['name']}`, to encode besides": [dist / "models" / first["encode"]],
        "ONNX Runtime, WebAssembly": [*wasm, *dist.glob("ort.wasm*.js")],
        "libwebp, where a file has lossless parts": sorted(dist.glob("webp_dec*")),
        "libwebp, to encode": sorted(dist.glob("webp_enc*")),
    }
    lines = ["| fetched | bytes | gzipped |", "|---|---|---|"]
    for name, paths in rows.items():
        contents = [path.read_bytes() for path in paths]
        packed = sum(len(gzip.compress(content, 9)) for content in contents)
        lines.append(f"| {name} | {sum(map(len, contents)):,} | {packed:,} |")
    return lines


def _other_load() -> list[float]:
    """The processors that other programs use; nothing where the system does not tell."""
    load = machine.OtherLoad()
    time.sleep(_WATCH)
    used = load.used()
    return [] if used is None else [used]


def _facts(version: str, pictures: int, others: float | None) -> str:
    here = machine.describe()
    return (
        f"Chromium {version}, WebAssembly, {THREADS} threads; {here.processor}, {here.cores} cores, "
        f"{here.instructions}, {here.system}; {time.strftime('%Y-%m-%d')}; "
        f"{machine.load_text(others, here.cores)}. {pictures} pictures of {_WIDTH} x {_HEIGHT}, quality "
        f"{DEFAULT_QUALITY:g}."
    )


if __name__ == "__main__":
    main()
