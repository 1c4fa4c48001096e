"""Codecs on a folder of pictures: real bytes, decoded pixels, and a report.

pictures x codecs x settings -> Point -> results.json, pictures.csv, table.md, rd.png
"""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from caesura import image, metrics, rate
from caesura import model as bundles
from caesura.bench import report
from caesura.bench.codecs import OTHERS, Caesura, Codec, Crops
from caesura.errors import ConfigError, ImageError

_SUFFIXES = frozenset({".png", ".ppm", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".webp"})


@dataclass(frozen=True)
class Point:
    """One picture coded by one codec at one setting.

    Attributes:
        codec, setting, picture: what was coded, and how.
        bytes, bpp: the file's size and rate.
        psnr: dB over RGB; None for equal pictures.
        ms_ssim: 0 to 1, None where the picture is too small for it.
        encode_seconds, decode_seconds: wall time, one run each.
    """

    codec: str
    setting: float
    picture: str
    bytes: int
    bpp: float
    psnr: float | None
    ms_ssim: float | None
    encode_seconds: float
    decode_seconds: float


def run(
    folder: Path,
    destination: Path,
    *,
    models: Sequence[str],
    effort: int = rate.DEFAULT_EFFORT,
    qualities: tuple[float, ...],
    crop: int = 0,
    others: bool = True,
    reference: Path | None = None,
    console: Console | None = None,
) -> list[report.Curve]:
    """Measure bundles, and other codecs beside it, on every picture under `folder`.

    Args:
        folder: pictures; those that cannot be read as RGB raise an error.
        destination: folder for results.json, pictures.csv, table.md and rd.png.
        models: names or folders of bundles; the first is compared with everything else.
        effort: of our encoder.
        qualities: of our codec; others have ladders of their own.
        crop: code NxN crops one by one; 0 codes whole pictures.
        others: measure JPEG, JPEG 2000, WebP, AVIF and JPEG XL as well.
        reference: JSON of published points, drawn dashed.
        console: where progress and the table go.

    Returns:
        The mean curves, as reported.

    Raises:
        ConfigError: there is no picture, or a setting is out of range.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ConfigError(f"{folder} holds no pictures ({', '.join(sorted(_SUFFIXES))})")
    for quality in qualities:
        rate.check(quality)
    published = report.read_published(reference) if reference else []
    ours: list[Codec] = [Caesura(model, distinct(model, qualities), effort) for model in models]
    if crop:
        ours = [Crops(codec, crop) for codec in ours]
    codecs: tuple[Codec, ...] = (*ours, *(OTHERS if others else ()))
    console = console or Console()
    points = []
    with Progress(console=console) as progress:
        task = progress.add_task("pictures", total=len(paths) * sum(len(c.settings) for c in codecs))
        for path in paths:
            pixels = image.to_rgb(image.to_pixels(image.open_image(path)))
            for point in measure(codecs, pixels, path.relative_to(folder).as_posix()):
                points.append(point)
                progress.advance(task)
    curves = report.mean_curves(points)
    destination.mkdir(parents=True, exist_ok=True)
    text = report.table(curves, published, anchor="JPEG 4:2:0")
    (destination / "results.json").write_text(json.dumps(_results(points, curves), indent=1) + "\n")
    with (destination / "pictures.csv").open("w", newline="") as out:
        rows = csv.DictWriter(out, [field.name for field in fields(Point)])
        rows.writeheader()
        rows.writerows(asdict(point) for point in points)
    (destination / "table.md").write_text(text)
    report.plot(curves, published, destination / "rd.png", title=f"{folder.name}, {len(paths)} pictures")
    console.print(text, markup=False, highlight=False)
    return curves


def distinct(model: str, qualities: Sequence[float]) -> tuple[float, ...]:
    """Qualities without those beyond what the model reaches, which all code alike."""
    scale = bundles.load(model).quality_scale
    by_code = {rate.quality_code(quality, scale): quality for quality in qualities}
    return tuple(by_code.values())


def measure(codecs: Iterable[Codec], pixels: NDArray[np.uint8], picture: str) -> Iterator[Point]:
    """Code one picture, uint8 (H, W, 3), with each codec at each of its settings."""
    height, width, _ = pixels.shape
    for coder in codecs:
        for setting in coder.settings:
            started = time.perf_counter()
            data = coder.encode(pixels, setting)
            encoded = time.perf_counter()
            decoded = coder.decode(data)
            finished = time.perf_counter()
            size = coder.size(data, pixels.shape) if isinstance(coder, Crops) else len(data)
            psnr = metrics.psnr(pixels, decoded)
            yield Point(
                codec=coder.name,
                setting=setting,
                picture=picture,
                bytes=size,
                bpp=metrics.bits_per_pixel(size, width, height),
                psnr=psnr if math.isfinite(psnr) else None,
                ms_ssim=_ms_ssim(pixels, decoded),
                encode_seconds=encoded - started,
                decode_seconds=finished - encoded,
            )


def _ms_ssim(pixels: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
    try:
        return metrics.ms_ssim(pixels, decoded)
    except ImageError:  # too small for five scales
        return None


def _results(points: Sequence[Point], curves: Sequence[report.Curve]) -> dict[str, Any]:
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()}
    return {"machine": machine, "curves": [asdict(c) for c in curves], "points": [asdict(p) for p in points]}
