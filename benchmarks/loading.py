"""Pictures as a training loop reads them: .cae files beside JPEG files of equal PSNR.

    python -m benchmarks.loading DIR [--quality 50] [--crop 256] [--seconds 5] [--report FILE]

Codes the pictures of DIR to a temporary folder, and each as the smallest JPEG (4:2:0, optimised) of at least
the same PSNR, then reads both through PyTorch's DataLoader with one and two workers: whole ones, and
crops, for which JPEG must be decoded whole. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader

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
    """JPEG files read alike: uint8 (H, W, 3), whole or a square at random."""

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
    """Read arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quality", type=float, default=50.0)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0, help="to read for, each time")
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
    """The lines of a table; files are written to `work`."""
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
    """Write every picture as .cae and as JPEG; bytes of all, and the mean PSNR in decibels."""
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
    """The smallest JPEG of at least this PSNR, by halves; the best there is if none has it."""
    low, high = 1, 100
    while low < high:
        middle = (low + high) // 2
        data = JPEG.encode(pixels, middle)
        if metrics.psnr(pixels, JPEG.decode(data)) >= least:
            high = middle
        else:
            low = middle + 1
    data = JPEG.encode(pixels, low)
    return data, metrics.psnr(pixels, JPEG.decode(data))


def _rate(dataset: Any, workers: int, seconds: float) -> float:
    """Pictures a second, workers warm: what comes before the first full round is not counted."""
    loader = DataLoader(dataset, batch_size=None, shuffle=True, num_workers=workers, persistent_workers=True)
    for _ in loader:
        pass
    started, read = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        read += sum(1 for _ in loader)
    return read / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
