"""Megapixels per second by picture size and number of threads, and time by stage with one thread."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from caesura import codec
from caesura.bench.machine import codec_runtime, codec_threads
from caesura.bench.speed import pictures, stages
from caesura.bench.speed.process import DIRECTIONS
from caesura.models.conditioning import ONNX_RUNTIME, OPENVINO

Advance = Callable[[], None]

_SMALL, _TURNS = 1.5e6, 3  # pictures of fewer pixels are coded this often in each round


@dataclass(frozen=True)
class Rate:
    """Speed of coding pictures of one size.

    Attributes:
        direction: "encode" or "decode".
        megapixels, width, height: of the picture.
        threads: CAESURA_THREADS.
        seconds: median of the repeats.
        repeats: their number.
        runtime: CAESURA_RUNTIME.
    """

    direction: str
    megapixels: float
    width: int
    height: int
    threads: int
    seconds: float
    repeats: int
    runtime: str = ONNX_RUNTIME

    @property
    def speed(self) -> float:
        """Megapixels per second."""
        return self.megapixels / self.seconds


@dataclass(frozen=True)
class Split:
    """Time by stage, with one thread.

    Attributes:
        direction: "encode" or "decode".
        megapixels: of the picture.
        seconds: by stage, medians of repeats.
        runtime: CAESURA_RUNTIME.
    """

    direction: str
    megapixels: float
    seconds: dict[str, float]
    runtime: str = ONNX_RUNTIME

    @property
    def shares(self) -> dict[str, float]:
        """The share of each stage; they sum to 1."""
        total = sum(self.seconds.values())
        return {stage: part / total for stage, part in self.seconds.items()}

    @property
    def transform_speed(self) -> float:
        """Megapixels per second of the transforms alone."""
        return self.megapixels / self.seconds[stages.TRANSFORM]


def measure(
    model: str,
    sizes: Sequence[float],
    threads: Sequence[int],
    repeats: int,
    advance: Advance = lambda: None,
) -> tuple[list[Rate], list[Split]]:
    """Encode and decode a picture of each size with each runtime and number of threads, interleaved.

    Args:
        model: a bundle's name or folder.
        sizes: megapixels.
        threads: numbers of threads.
        repeats: rounds; small pictures are coded three times in each.
        advance: called after each picture of each round, `rounds` times in all.
    """
    rates: list[Rate] = []
    splits: list[Split] = []
    photos = [pictures.photo(*pictures.shape(size)) for size in sizes]
    files = [codec.encode(photo, model=model) for photo in photos]
    times: dict[tuple[int, str, str, int], list[float]] = {}
    parts: dict[tuple[int, str, str], list[dict[str, float]]] = {}
    smallest = min(range(len(sizes)), key=lambda number: sizes[number])
    for turn in range(repeats + 1):  # the first round, with one picture, loads the graphs
        for number, (photo, data) in enumerate(zip(photos, files, strict=True)):
            calls: dict[str, Callable[[], object]] = {
                "encode": lambda photo=photo: codec.encode(photo, model=model),  # type: ignore[misc]
                "decode": lambda data=data: codec.decode_array(data),  # type: ignore[misc]
            }
            small = photo.shape[0] * photo.shape[1] < _SMALL
            if not turn and number != smallest:
                advance()
                continue
            for _ in range(_TURNS if small else 1):
                for direction, runtime in itertools.product(DIRECTIONS, runtimes()):
                    for count in threads:
                        with codec_threads(count), codec_runtime(runtime):
                            seconds = _seconds(calls[direction])
                        if turn:
                            times.setdefault((number, direction, runtime, count), []).append(seconds)
                    with codec_runtime(runtime), stages.measured() as clock:
                        calls[direction]()
                    if turn:
                        parts.setdefault((number, direction, runtime), []).append(clock.seconds)
            advance()
    for (number, direction, runtime, count), found in times.items():
        height, width, _ = photos[number].shape
        size = (height * width / 1e6, width, height)
        rates.append(Rate(direction, *size, count, statistics.median(found), len(found), runtime))
    for (number, direction, runtime), found_parts in parts.items():
        middle = {stage: statistics.median(one[stage] for one in found_parts) for stage in stages.STAGES}
        height, width, _ = photos[number].shape
        splits.append(Split(direction, height * width / 1e6, middle, runtime))
    return rates, splits


def rounds(sizes: Sequence[float], repeats: int) -> int:
    """The number of steps of `measure`."""
    return (repeats + 1) * len(sizes)


def runtimes() -> list[str]:
    """The runtimes that are installed."""
    return [ONNX_RUNTIME, *([OPENVINO] if find_spec("openvino") else [])]


def median(call: Callable[[], object], repeats: int) -> float:
    """Median wall seconds of `repeats` calls."""
    return statistics.median(_seconds(call) for _ in range(repeats))


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
