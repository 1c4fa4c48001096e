"""Files of matched sizes, and the pictures that are shown of them."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from caesura import metrics
from caesura.bench.cache import Cache
from caesura.bench.codecs import Codec, Pixels
from caesura.bench.ours import size_of
from caesura.bench.photos import Photo
from caesura.bench.schema import Point, Shown
from caesura.picture import files

RATE = 0.4  # bits per pixel, about which pictures are shown
_TRIALS = 5
_WHOLE, _SIDES = 1 << 20, (1024, 768)  # pixels shown whole; the cut of larger pictures


def encode_within(coder: Codec, pixels: Pixels, size: int, low: float, high: float) -> bytes:
    """The largest file of at most `size` bytes, by bisection of the setting; the smallest if none fits.

    Args:
        coder: its files must grow from `low` to `high`.
        pixels: uint8 (H, W, 3).
        size: bytes allowed.
        low, high: the settings to search between.
    """
    best = coder.encode(pixels, low)
    for _ in range(8):
        middle = (low + high) / 2
        data = coder.encode(pixels, middle)
        if len(data) <= size:
            low, best = middle, max(best, data, key=len)
        else:
            high = middle
    return best


def within(coder: Codec, pixels: Pixels, size: int, known: Sequence[Point]) -> bytes:
    """As `encode_within`, in few trials: along a line through the logarithms of sizes that are known.

    Args:
        coder: the codec.
        pixels: uint8 (H, W, 3).
        size: bytes allowed.
        known: the codec's points of this picture.
    """
    below = max((p for p in known if p.bytes <= size), key=lambda p: p.bytes, default=None)
    above = min((p for p in known if p.bytes > size), key=lambda p: p.bytes, default=None)
    if below is None:
        smallest = min(known, key=lambda p: p.bytes)
        return coder.encode(pixels, smallest.setting)
    if above is None:
        return coder.encode(pixels, below.setting)
    low, high = (below.setting, below.bytes), (above.setting, above.bytes)
    best, stuck = b"", False
    for _ in range(_TRIALS):
        share = 0.5 if stuck else math.log(size / low[1]) / math.log(high[1] / low[1])
        setting = low[0] + min(max(share, 0.05), 0.95) * (high[0] - low[0])  # so that both ends come nearer
        data = coder.encode(pixels, setting)
        counted = size_of(coder, data, pixels)
        stuck = counted in (low[1], high[1])  # the codec's own steps are coarser than this
        if counted <= size:
            best = max(best, data, key=len)
            low = setting, max(counted, low[1])
            if counted > 0.99 * size:
                break
        else:
            high = setting, min(counted, high[1])
    return best or coder.encode(pixels, below.setting)


def shown(
    photos: Sequence[Photo],
    codecs: Sequence[Codec],
    points: Sequence[Point],
    folder: Path,
    cache: Cache,
    tell: Callable[[str], None] = lambda doing: None,
) -> Iterator[Shown]:
    """Write what codecs give at matched bytes, and the originals.

    The first codec codes each picture at about `RATE`, the others at most at its bytes.

    Args:
        photos, codecs: what to code.
        points: measured of them.
        folder: for the files.
        cache: what was written already is not coded again.
        tell: called with what is being done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    versions = {codec.name: codec.version for codec in codecs}
    for photo in photos:
        pixels = photo.pixels()
        place = _place(photo.width, photo.height)
        stem = hashlib.sha256(repr((photo.name, photo.key)).encode()).hexdigest()[:12]
        name = f"{stem}-original.webp"
        if not (folder / name).is_file():
            _save(folder / name, pixels, place)
        yield Shown(photo.name, "original", name, None, None, None, *place)
        size = round(RATE * photo.width * photo.height / 8)
        for number, codec in enumerate(codecs):
            tell(f"{photo.name} at matched bytes, {codec.name}")
            key = photo.key | {"codec": codec.name, "version": versions[codec.name], "size": size}
            name = f"{stem}-{hashlib.sha256(repr(sorted(key.items())).encode()).hexdigest()[:12]}.webp"
            kept = cache.get("sample", key)
            if kept is None or not (folder / name).is_file():
                known = [p for p in points if (p.codec, p.picture) == (codec.name, photo.name)]
                data = within(codec, pixels, size, known)
                decoded = codec.decode(data)
                counted = size_of(codec, data, pixels)
                _save(folder / name, decoded, place)
                kept = {
                    "bytes": counted,
                    "bpp": metrics.bits_per_pixel(counted, photo.width, photo.height),
                    "psnr": _finite(metrics.psnr(pixels, decoded)),
                }
                cache.put("sample", key, kept)
            if number == 0:
                size = int(kept["bytes"])
            yield Shown(photo.name, codec.name, name, kept["bytes"], kept["bpp"], kept["psnr"], *place)


def _place(width: int, height: int) -> tuple[int, int, int, int]:
    """x, y, width and height of the part that is shown."""
    if width * height <= _WHOLE:
        return 0, 0, width, height
    columns, rows = min(width, _SIDES[0]), min(height, _SIDES[1])
    return (width - columns) // 2, (height - rows) // 2, columns, rows


def _save(path: Path, pixels: Pixels, place: tuple[int, int, int, int]) -> None:
    x, y, width, height = place
    out = io.BytesIO()
    part = Image.fromarray(np.ascontiguousarray(pixels[y : y + height, x : x + width]))
    part.save(out, "WEBP", lossless=True, quality=20, method=2)
    files.write(path, out.getvalue(), force=True)


def _finite(decibels: float) -> float | None:
    return decibels if math.isfinite(decibels) else None
