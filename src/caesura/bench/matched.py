"""Files of matched sizes: the search for a setting, and the decoded pictures that reports show."""

from __future__ import annotations

import hashlib
import io
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from caesura import metrics
from caesura.bench.cache import Cache
from caesura.bench.caesura_codec import size_of
from caesura.bench.codecs import Codec, Pixels
from caesura.bench.photos import Photo
from caesura.bench.schema import Point, Shown
from caesura.picture import files

RATE = 0.4  # bits per pixel of the pictures that are shown
_TRIALS = 5
_WHOLE, _SIDES = 1 << 20, (1024, 768)  # pixels of a picture shown whole; size of the part of a larger one


def encode_within(coder: Codec, pixels: Pixels, size: int, low: float, high: float) -> bytes:
    """The largest file of at most `size` bytes, in steps of half a setting; the smallest if none fits.

    Args:
        coder: its files must grow from setting `low` to `high`.
        pixels: uint8 (H, W, 3).
        size: maximum file size in bytes.
        low, high: the settings to search between.
    """
    settings = np.arange(low, high + 0.5, 0.5).tolist()
    larger = bisect_right(settings, size, key=lambda setting: len(coder.encode(pixels, setting)))
    return coder.encode(pixels, settings[max(0, larger - 1)])


def encode_between(coder: Codec, pixels: Pixels, size: int, known: Sequence[tuple[float, int]]) -> bytes:
    """The largest file found of at most `size` bytes, the smallest of the known ones if none fits.

    The setting is interpolated between the two known sizes around `size`, linearly over the logarithm of the
    size, until a file is within 1% of `size`, in five trials at most.

    Args:
        coder: the codec.
        pixels: uint8 (H, W, 3).
        size: maximum file size in bytes.
        known: settings that were tried on this picture, and the sizes in bytes.
    """
    below = max((one for one in known if one[1] <= size), key=lambda one: one[1], default=None)
    above = min((one for one in known if one[1] > size), key=lambda one: one[1], default=None)
    if below is None or above is None:
        setting, _ = below or min(known, key=lambda one: one[1])
        return coder.encode(pixels, setting)
    low, high = below, above
    best, stuck = b"", False
    for _ in range(_TRIALS):
        share = 0.5 if stuck else math.log(size / low[1]) / math.log(high[1] / low[1])
        setting = low[0] + min(max(share, 0.05), 0.95) * (high[0] - low[0])  # both ends of the range move
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
    return best or coder.encode(pixels, below[0])


def write_samples(
    photos: Sequence[Photo],
    codecs: Sequence[Codec],
    points: Sequence[Point],
    folder: Path,
    cache: Cache,
    status: Callable[[str], None] = lambda step: None,
) -> Iterator[Shown]:
    """Write the originals, and the decoded pictures of every codec at matched file sizes.

    The first codec codes each picture at about `RATE` bits per pixel; the file of the first codec is the
    maximum file size for the others.

    Args:
        photos, codecs: what to code.
        points: measurements of all of them.
        folder: where the pictures are written, as lossless WebP.
        cache: pictures that were written already are not coded again.
        status: called with a description of each step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    versions = {codec.name: codec.version for codec in codecs}
    for photo in photos:
        pixels = photo.pixels()
        region = _region(photo.width, photo.height)
        stem = hashlib.sha256(repr((photo.name, photo.key)).encode()).hexdigest()[:12]
        name = f"{stem}-original.webp"
        if not (folder / name).is_file():
            _save(folder / name, pixels, region)
        yield Shown(photo.name, "original", name, None, None, None, *region)
        size = round(RATE * photo.width * photo.height / 8)
        for number, codec in enumerate(codecs):
            status(f"{photo.name} at matched size, {codec.name}")
            key = photo.key | {"codec": codec.name, "version": versions[codec.name], "size": size}
            name = f"{stem}-{hashlib.sha256(repr(sorted(key.items())).encode()).hexdigest()[:12]}.webp"
            kept = cache.get("sample", key)
            if kept is None or not (folder / name).is_file():
                mine = (codec.name, photo.name)
                known = [(p.setting, p.bytes) for p in points if (p.codec, p.picture) == mine]
                data = encode_between(codec, pixels, size, known)
                decoded = codec.decode(data)
                counted = size_of(codec, data, pixels)
                _save(folder / name, decoded, region)
                kept = {
                    "bytes": counted,
                    "bpp": metrics.bits_per_pixel(counted, photo.width, photo.height),
                    "psnr": _finite(metrics.psnr(pixels, decoded)),
                }
                cache.put("sample", key, kept)
            if number == 0:
                size = int(kept["bytes"])
            yield Shown(photo.name, codec.name, name, kept["bytes"], kept["bpp"], kept["psnr"], *region)


def _region(width: int, height: int) -> tuple[int, int, int, int]:
    """x, y, width and height of the part that is written: all of it, or the middle of a large picture."""
    if width * height <= _WHOLE:
        return 0, 0, width, height
    columns, rows = min(width, _SIDES[0]), min(height, _SIDES[1])
    return (width - columns) // 2, (height - rows) // 2, columns, rows


def _save(path: Path, pixels: Pixels, region: tuple[int, int, int, int]) -> None:
    x, y, width, height = region
    out = io.BytesIO()
    part = Image.fromarray(np.ascontiguousarray(pixels[y : y + height, x : x + width]))
    part.save(out, "WEBP", lossless=True, quality=20, method=2)
    files.write(path, out.getvalue(), force=True)


def _finite(decibels: float) -> float | None:
    return decibels if math.isfinite(decibels) else None
