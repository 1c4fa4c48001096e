"""Pictures, codecs and settings to points: files, decoded pixels, times.

Codecs are timed side by side: at each rung of their ladders, all of them code the picture once, then all of
them again, so that whatever else the machine does meets them alike. Nothing else runs meanwhile; qualities
are measured after it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from caesura import metrics
from caesura.bench import machine, optional_metrics, quality
from caesura.bench.cache import Cache
from caesura.bench.caesura_codec import size_of
from caesura.bench.codecs import Codec, Pixels
from caesura.bench.external import External
from caesura.bench.photos import Photo
from caesura.bench.schema import Point
from caesura.errors import CaesuraError

ENOUGH = 0.5  # seconds; a coding that has taken so long is not repeated further
TINY = 64  # pixels a side of what is coded first, untimed, to have libraries and models loaded
_LARGE = 1 << 22  # pixels, of which two at a time are too much for the memory that measuring quality takes


class CodecError(CaesuraError):
    """A codec failed."""


@dataclass(frozen=True)
class Conditions:
    """What times depend on besides codec and picture."""

    processor: str
    threads: int
    repeats: int


@dataclass
class Coding:
    """A codec at a setting, and what came of timing it."""

    codec: Codec
    setting: float
    data: bytes = b""
    decoded: Pixels = field(default_factory=lambda: np.empty((0, 0, 3), np.uint8))
    encode_seconds: list[float] = field(default_factory=list)
    decode_seconds: list[float] = field(default_factory=list)


def points(
    photos: Sequence[Photo],
    codecs: Sequence[Codec],
    conditions: Conditions | None,
    cache: Cache,
    tell: Callable[[str], None] = lambda doing: None,
    more: optional_metrics.Measures | None = None,
) -> Iterator[Point]:
    """Every picture by every codec at every setting; from the cache where that has it.

    Args:
        photos, codecs: what to code.
        conditions: threads are those that codecs find in CAESURA_THREADS. None for rate and quality alone,
            which depend on none of them: each file is coded once, and nothing is timed.
        cache: gets every point as it is measured.
        tell: called with what is being done.
        more: metrics besides those that are always measured, see `optional_metrics.opened`.
    """
    more = more or {}
    versions = {codec.name: codec.version for codec in codecs}

    def key(photo: Photo, codec: Codec, setting: float) -> dict[str, Any]:
        kinds = {"codec": codec.name, "version": versions[codec.name], "setting": float(setting)}
        asked = {"metrics": sorted(more)} if more else {}
        return photo.key | kinds | (asdict(conditions) if conditions else {}) | asked

    for photo in photos:
        pixels: Pixels | None = None
        for rung in range(max(len(codec.settings) for codec in codecs)):
            todo = []
            for codec in codecs:
                if rung >= len(codec.settings):
                    continue
                setting = codec.settings[rung]
                point = _kept(cache.get("point", key(photo, codec, setting)), photo, codec)
                if point is None:
                    todo.append(Coding(codec, setting))
                else:
                    yield point
            if not todo:
                continue
            pixels = photo.pixels() if pixels is None else pixels
            beside = machine.OtherLoad()
            timed(todo, pixels, conditions.repeats if conditions else 1, photo.name, tell)
            others = beside.used()
            tell(f"{photo.name}, qualities")
            for coding, found in _qualities(todo, pixels, more):
                size = size_of(coding.codec, coding.data, pixels)
                point = Point(
                    codec=coding.codec.name,
                    setting=coding.setting,
                    picture=photo.name,
                    bytes=size,
                    bpp=metrics.bits_per_pixel(size, photo.width, photo.height),
                    **found._asdict(),
                    encode_seconds=statistics.median(coding.encode_seconds) if conditions else None,
                    decode_seconds=statistics.median(coding.decode_seconds) if conditions else None,
                    others=others if conditions else None,
                )
                cache.put("point", key(photo, coding.codec, coding.setting), asdict(point))
                yield point


def timed(
    todo: Sequence[Coding], pixels: Pixels, repeats: int, name: str, tell: Callable[[str], None]
) -> None:
    """Code the picture called `name` by each of `todo`, and again; what comes of it goes into them."""
    tiny = np.ascontiguousarray(pixels[:TINY, :TINY])
    for coding in todo:
        if not isinstance(coding.codec, External):  # a command starts anew every time
            with named(coding.codec, coding.setting):
                coding.codec.decode(coding.codec.encode(tiny, coding.setting))
    for number in range(repeats):
        for coding in todo:
            tell(f"{name}, {coding.codec.name}")
            if number == 0 or sum(coding.encode_seconds) < ENOUGH:
                started = time.perf_counter()
                with named(coding.codec, coding.setting):
                    data = coding.codec.encode(pixels, coding.setting)
                coding.encode_seconds.append(time.perf_counter() - started)
                coding.data = coding.data or data
            if number == 0 or sum(coding.decode_seconds) < ENOUGH:
                started = time.perf_counter()
                with named(coding.codec, coding.setting):
                    decoded = coding.codec.decode(coding.data)
                coding.decode_seconds.append(time.perf_counter() - started)
                coding.decoded = decoded


def _qualities(
    todo: list[Coding], pixels: Pixels, more: optional_metrics.Measures
) -> Iterator[tuple[Coding, quality.Quality]]:
    workers = 1 if pixels.shape[0] * pixels.shape[1] > _LARGE else os.cpu_count() or 1
    pool = ThreadPoolExecutor(workers)
    try:
        found = pool.map(lambda coding: quality.measure(pixels, coding.decoded, more), todo)
        yield from zip(todo, found, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def named(codec: Codec, setting: float) -> Iterator[None]:
    """Whatever a library raises becomes our error, with the codec's name."""
    try:
        yield
    except CaesuraError:
        raise
    except Exception as error:  # it has no common base but this
        raise CodecError(f"{codec.name} at {setting:g}: {error or type(error).__name__}") from error


def _kept(value: dict[str, Any] | None, photo: Photo, codec: Codec) -> Point | None:
    """A point of the cache, under the name that the picture has now."""
    if value is None:
        return None
    try:
        return Point(**(value | {"picture": photo.name, "codec": codec.name}))
    except TypeError:  # of another version
        return None
