"""Photos in, one packed file of uint8 squares out.

A pack is a folder with two files: ``squares.u8``, the squares one after another as raw (side, side, 3) RGB
bytes, and ``manifest.json``, which says where each came from. Photos whose name hashes into the held-out
sixteenth are marked ``validation`` and never reach training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura import image
from caesura.errors import ConfigError, ImageError

SQUARES = "squares.u8"
MANIFEST = "manifest.json"
FORMAT = "caesura-pack-1"
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".ppm"})


@dataclass(frozen=True)
class Report:
    """What `prepare` did: squares written per split, and why photos were skipped."""

    train: int
    validation: int
    skipped: dict[str, str]


def is_validation(name: str) -> bool:
    """Whether the photo of this file name (without folders) belongs to the held-out sixteenth."""
    return hashlib.sha256(name.encode()).digest()[0] % 16 == 0


def prepare(
    source: Path,
    destination: Path,
    *,
    sizes: Sequence[int] = (128, 256, 512, 1024),
    side: int = 128,
    coverage: float = 1.0,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Cut squares out of every photo under `source` and pack them into `destination`.

    Args:
        source: a folder tree of photos. EXIF orientation is applied.
        destination: the pack's folder; made if missing, replaced only when everything has been written.
        sizes: sides of the squares cut, in pixels, each at least `side`. A square larger than `side` is
            resized to it (Lanczos); `sizes=(side,)` keeps native resolution.
        side: side of the packed squares, in pixels, 8 or more.
        coverage: the area cut per size as a multiple of the photo's area; 1 cuts about every pixel once.
        seed: of the square positions. Positions of one photo depend on the seed and its path alone.
        progress: called with (photos done, photos in all).

    Returns:
        Counts, and the reason for each photo that was skipped (unreadable, or smaller than every size).

    Raises:
        ConfigError: a setting is out of range, or no photo under `source` could be used.
    """
    if side < 8:
        raise ConfigError(f"side is {side}; it must be 8 or more pixels")
    if not sizes or min(sizes) < side:
        raise ConfigError(f"sizes are {list(sizes)}; there must be some, each at least side = {side}")
    if not 0 < coverage <= 64:
        raise ConfigError(f"coverage is {coverage}; it must be above 0 and at most 64")
    paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
    if not paths:
        raise ConfigError(f"source {source} holds no photos ({', '.join(sorted(_SUFFIXES))})")

    destination.mkdir(parents=True, exist_ok=True)
    unfinished = destination / (SQUARES + ".part")
    digest = hashlib.sha256()
    photos: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    total = {"train": 0, "validation": 0}
    start = 0
    with unfinished.open("wb") as out:
        for done, path in enumerate(paths):
            progress(done, len(paths))
            name = path.relative_to(source).as_posix()
            try:
                pixels = image.to_rgb(image.to_pixels(image.upright(image.open_image(path))))
            except ImageError as error:
                skipped[name] = f"unreadable: {error}"
                continue
            count = 0
            for square in _squares(pixels, sizes, side, coverage, _generator(seed, name)):
                raw = square.tobytes()
                digest.update(raw)
                out.write(raw)
                count += 1
            if count == 0:
                skipped[name] = f"tiny: {pixels.shape[1]}x{pixels.shape[0]}, smaller than {min(sizes)} pixels"
                continue
            split = "validation" if is_validation(path.name) else "train"
            total[split] += count
            source_hash = hashlib.sha256(path.read_bytes()).hexdigest()
            photos.append(
                {"name": name, "split": split, "start": start, "count": count, "sha256": source_hash}
            )
            start += count
    progress(len(paths), len(paths))
    if not photos:
        unfinished.unlink()
        raise ConfigError(
            f"source {source} holds no usable photo; first reason: {next(iter(skipped.items()))}"
        )

    manifest = {
        "format": FORMAT,
        "source": source.name,
        "side": side,
        "sizes": list(sizes),
        "coverage": coverage,
        "seed": seed,
        "count": start,
        "sha256": digest.hexdigest(),
        "photos": photos,
        "skipped": skipped,
    }
    unfinished_manifest = destination / (MANIFEST + ".part")
    unfinished_manifest.write_text(json.dumps(manifest, indent=1) + "\n")
    (destination / MANIFEST).unlink(missing_ok=True)  # a pack without one is no pack, whatever happens next
    unfinished.replace(destination / SQUARES)
    unfinished_manifest.replace(destination / MANIFEST)
    return Report(total["train"], total["validation"], skipped)


def _generator(seed: int, name: str) -> np.random.Generator:
    words = np.frombuffer(hashlib.sha256(f"{seed}/{name}".encode()).digest(), dtype="<u4")
    return np.random.default_rng(words)


def _squares(
    pixels: NDArray[np.uint8], sizes: Sequence[int], side: int, coverage: float, random: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    height, width, _ = pixels.shape
    for size in sizes:
        if min(height, width) < size:
            continue
        for _ in range(max(1, round(coverage * height * width / size**2))):
            top = int(random.integers(height - size + 1))
            left = int(random.integers(width - size + 1))
            square = pixels[top : top + size, left : left + size]
            if size != side:
                resized = Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS)
                square = np.asarray(resized)
            yield np.ascontiguousarray(square)
