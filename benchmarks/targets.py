"""Time of encoding to a target, relative to one encode at the final quality, and the number of trials.

    python -m benchmarks.targets [DIR] [--pictures 10] [--model photo]

Pictures are cut to the middle 768 x 512 pixels. The networks are loaded for each coding, as in a new process.
Prints a Markdown table of medians and maxima over pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any, TypeVar
from unittest import mock

from rich.progress import track

import benchmarks
import caesura
from caesura.bench import photos
from caesura.bench.codecs import Pixels
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.ratecontrol.search import Target, search
from caesura.runtime import onnx_runtime
from caesura.tiles import target as targets

TARGETS = (
    *(Target(bpp=bpp) for bpp in (0.15, 0.5, 1.2, 3.0)),
    *(Target(psnr=decibels) for decibels in (30, 34, 38, 44)),
    *(Target(ms_ssim=similarity) for similarity in (0.95, 0.98, 0.99)),
)
_SIDES = 768, 512

T = TypeVar("T")


def main() -> None:
    """Parse arguments, measure and print a table."""
    parser = benchmarks.parser("targets", __doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="of pictures (default: scikit-image's)")
    parser.add_argument("--pictures", type=int, default=10, help="maximum number of pictures")
    parser.add_argument("--model", default=bundles.DEFAULT, help="name or folder of a bundle")
    arguments = parser.parse_args()
    bundle = bundles.load(arguments.model)
    found = photos.find(arguments.folder, quick=arguments.folder is None)[: arguments.pictures]
    pictures = [_middle(photo.pixels()) for photo in found]
    caesura.encode(pictures[0], target=Target(psnr=33), model=bundle)  # load the libraries
    print("| target | time / one encode | maximum | trials | maximum | one encode (s) |")
    print("|---|---|---|---|---|---|")
    for target in TARGETS:
        name = f"{target.name} {getattr(target, target.name):g}"
        costs = [_cost(picture, target, bundle) for picture in track(pictures, name, transient=True)]
        ratios, trials, single = zip(*costs, strict=True)
        print(
            f"| {name} | {median(ratios):.1f} | {max(ratios):.1f} | {mean(trials):.1f} | {max(trials)} "
            f"| {median(single):.3f} |"
        )


def _middle(pixels: Pixels) -> Pixels:
    wide, high = _SIDES if pixels.shape[1] >= pixels.shape[0] else _SIDES[::-1]
    left, top = (
        max(0, side - kept) // 2 for side, kept in ((pixels.shape[1], wide), (pixels.shape[0], high))
    )
    return pixels[top : top + high, left : left + wide]


def _cost(picture: Pixels, target: Target, bundle: Bundle) -> tuple[float, int, float]:
    """Time to the target relative to one encode, number of trials, and seconds of one encode."""
    counts: list[int] = []

    def counted(*given: Any, **named: Any) -> Any:
        found = search(*given, **named)
        counts.append(found.trials)
        return found

    with mock.patch.object(targets, "search", counted):
        whole, data = _timed(lambda: caesura.encode(picture, target=target, model=bundle))
    quality = ladder.quality_of(caesura.read_header(data).quality, bundle.quality_scale)
    single, _ = _timed(lambda: caesura.encode(picture, quality=quality, model=bundle))
    return whole / single, counts[0], single


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    onnx_runtime.forget()
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
