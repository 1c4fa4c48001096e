"""Measures points: pictures coded by every codec at every setting, with size, quality and times.

Timings of codecs are interleaved: for each step of the ladders, all codecs code the picture once, then all of
them again, so that other load on the machine affects all of them alike. Qualities are measured afterwards.
"""

from __future__ import annotations

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
from caesura.runtime.processors import processors

ENOUGH = 0.5  # seconds; a coding is repeated until its times add up to this
TINY = 64  # side in pixels of the picture that is coded first, untimed, to load libraries and models
_LARGE = 1 << 22  # pixels; qualities of larger pictures are measured one by one, to save memory


class CodecError(CaesuraError):
    """A codec raised an error."""


@dataclass(frozen=True)
class Conditions:
    """What times depend on, besides codec and picture."""

    processor: str
    threads: int
    repeats: int


@dataclass
class Coding:
    """A codec at a setting: the file, the decoded picture, and the seconds of each repeat."""

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
    status: Callable[[str], None] = lambda step: None,
    more: optional_metrics.Measures | None = None,
) -> Iterator[Point]:
    """Measure every picture by every codec at every setting, or take the point from the cache.

    Args:
        photos, codecs: what to code.
        conditions: of timing; the number of threads is that of CAESURA_THREADS. None to code each file once
            and time nothing: rate and quality do not depend on the conditions.
        cache: every point is stored in it as soon as it is measured.
        status: called with a description of each step.
        more: optional metrics, see `optional_metrics.opened`.
    """
    more = more or {}
    versions = {codec.name: codec.version for codec in codecs}

    def key(photo: Photo, codec: Codec, setting: float) -> dict[str, Any]:
        kinds = {"codec": codec.name, "version": versions[codec.name], "setting": float(setting)}
        asked = {"metrics": sorted(more)} if more else {}
        return photo.key | kinds | (asdict(conditions) if conditions else {}) | asked

    for photo in photos:
        pixels: Pixels | None = None
        for step in range(max(len(codec.settings) for codec in codecs)):
            todo = []
            for codec in codecs:
                if step >= len(codec.settings):
                    continue
                setting = codec.settings[step]
                point = _kept(cache.get("point", key(photo, codec, setting)), photo, codec)
                if point is None:
                    todo.append(Coding(codec, setting))
                else:
                    yield point
            if not todo:
                continue
            pixels = photo.pixels() if pixels is None else pixels
            load = machine.OtherLoad()
            timed(todo, pixels, conditions.repeats if conditions else 1, photo.name, status)
            others = load.used()
            status(f"{photo.name}, qualities")
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
    todo: Sequence[Coding], pixels: Pixels, repeats: int, name: str, status: Callable[[str], None]
) -> None:
    """Code the picture called `name` by each of `todo`, `repeats` times; results are stored in `todo`."""
    tiny = np.ascontiguousarray(pixels[:TINY, :TINY])
    for coding in todo:
        if not isinstance(coding.codec, External):  # a command is started for every coding
            with named(coding.codec, coding.setting):
                coding.codec.decode(coding.codec.encode(tiny, coding.setting))
    for number in range(repeats):
        for coding in todo:
            status(f"{name}, {coding.codec.name}")
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
    workers = 1 if pixels.shape[0] * pixels.shape[1] > _LARGE else processors()
    pool = ThreadPoolExecutor(workers)
    try:
        found = pool.map(lambda coding: quality.measure(pixels, coding.decoded, more), todo)
        yield from zip(todo, found, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def named(codec: Codec, setting: float) -> Iterator[None]:
    """Re-raise what a library raises as CodecError, with the codec's name."""
    try:
        yield
    except CaesuraError:
        raise
    except Exception as error:  # libraries share no narrower base class
        raise CodecError(f"{codec.name} at {setting:g}: {error or type(error).__name__}") from error


def _kept(value: dict[str, Any] | None, photo: Photo, codec: Codec) -> Point | None:
    """A point of the cache, under the picture's current name."""
    if value is None:
        return None
    try:
        return Point(**(value | {"picture": photo.name, "codec": codec.name}))
    except TypeError:  # written by another version
        return None
