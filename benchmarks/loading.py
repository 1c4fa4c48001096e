"""Speed of reading pictures in a training loop: .cae files compared with JPEG files of equal PSNR.

    python -m benchmarks.loading DIR [--quality 50] [--crop 256] [--seconds 5] [--report FILE]

Codes the pictures of DIR to a temporary folder as .cae and as the smallest JPEG (4:2:0, optimised) of at
least the same PSNR, and reads both with PyTorch's DataLoader and one and two workers: whole pictures, and
crops, for which JPEG has to be decoded whole. Prints a Markdown table.
"""

from __future__ import annotations

import random
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader

import benchmarks
from caesura import codec, metrics
from caesura.bench.codecs import JPEG
from caesura.data import CaeDataset, random_crop
from caesura.errors import ConfigError
from caesura.picture.formats import is_picture
from caesura.picture.loading import open_image
from caesura.picture.pixels import to_pixels, to_rgb

Pixels = NDArray[np.uint8]
_OURS = "caesura photo-psnr"


class JpegDataset:
    """JPEG files as uint8 (H, W, 3), whole or a random square; the counterpart of `CaeDataset`."""

    def __init__(self, folder: Path, crop: int | None) -> None:
        self.paths, self.crop = sorted(folder.glob("*.jpg")), crop

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Pixels:
        with Image.open(self.paths[number]) as picture:
            pixels = np.array(picture.convert("RGB"))
        if self.crop is None:
            return pixels
        height, width = min(self.crop, len(pixels)), min(self.crop, pixels.shape[1])
        y, x = random.randrange(len(pixels) - height + 1), random.randrange(pixels.shape[1] - width + 1)
        return pixels[y : y + height, x : x + width].copy()


def main() -> None:
    """Parse arguments, measure and print a table."""
    parser = benchmarks.parser("loading", __doc__)
    parser.add_argument("folder", type=Path, help="folder of pictures")
    parser.add_argument("--quality", type=float, default=50.0, help="of the .cae files (default: 50)")
    parser.add_argument("--crop", type=int, default=256, help="side of crops in pixels")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each measurement")
    parser.add_argument("--report", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        lines = report(
            arguments.folder, Path(temporary), arguments.quality, arguments.crop, arguments.seconds
        )
    text = "\n".join(lines)
    Console(soft_wrap=True).print(text, markup=False, highlight=False)
    if arguments.report:
        arguments.report.write_text(text + "\n", encoding="utf-8")


def report(folder: Path, work: Path, quality: float, crop: int, seconds: float) -> list[str]:
    """Measure, and return the lines of a table; files are written to `work`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and is_picture(path))
    if not paths:
        raise ConfigError(f"{folder} holds no pictures")
    sizes, decibels = _written(paths, work, quality)
    sources: dict[str, Callable[[int | None], Any]] = {
        _OURS: lambda side: CaeDataset(work, region=None if side is None else random_crop(side)),
        "JPEG": lambda side: JpegDataset(work, side),
    }
    parts = {"whole": None, f"crops of {crop}": crop}
    heads = [f"{part}, {workers} worker{'s' * (workers > 1)}" for part in parts for workers in (1, 2)]
    lines = [
        f"| {len(paths)} pictures, quality {quality:g} | bytes | PSNR (dB) | {' | '.join(heads)} |",
        f"| --- | --- | --- |{' --- |' * len(heads)}",
    ]
    for name, dataset in sources.items():
        rates = [_rate(dataset(side), workers, seconds) for side in parts.values() for workers in (1, 2)]
        cells = " | ".join(f"{rate:.1f}/s" for rate in rates)
        lines.append(f"| {name} | {sizes[name]} | {decibels[name]:.2f} | {cells} |")
    return lines


def _written(paths: list[Path], work: Path, quality: float) -> tuple[dict[str, int], dict[str, float]]:
    """Write every picture as .cae and as JPEG; returns total bytes and mean PSNR in dB of each."""
    sizes: dict[str, int] = {_OURS: 0, "JPEG": 0}
    decibels: dict[str, list[float]] = {name: [] for name in sizes}
    for number, path in enumerate(track(paths, "coding", console=Console(stderr=True))):
        pixels = to_rgb(to_pixels(open_image(path)))
        ours = codec.encode(pixels, quality=quality, tune="psnr")
        least = metrics.psnr(pixels, codec.decode_array(ours))
        theirs, good = _jpeg(pixels, least)
        for name, data, psnr in ((_OURS, ours, least), ("JPEG", theirs, good)):
            (work / f"{number:06d}{'.jpg' if name == 'JPEG' else '.cae'}").write_bytes(data)
            sizes[name] += len(data)
            decibels[name].append(psnr)
    return sizes, {name: float(np.mean(values)) for name, values in decibels.items()}


def _jpeg(pixels: Pixels, least: float) -> tuple[bytes, float]:
    """The smallest JPEG file of at least this PSNR in dB, and its PSNR; quality 100 if none has it."""

    def coded(quality: int) -> tuple[bytes, float]:
        data = JPEG.encode(pixels, quality)
        return data, metrics.psnr(pixels, JPEG.decode(data))

    return coded(1 + bisect_left(range(1, 100), least, key=lambda quality: coded(quality)[1]))


def _rate(dataset: Any, workers: int, seconds: float) -> float:
    """Pictures per second, after a first pass over the dataset."""
    loader = DataLoader(dataset, batch_size=None, shuffle=True, num_workers=workers, persistent_workers=True)
    for _ in loader:
        pass
    started, read = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        read += sum(1 for _ in loader)
    return read / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
