"""Speed of entropy coding, without transforms: coding the symbols of a picture and choosing their tables."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.bench.machine import codec_threads
from caesura.coding import cae2017, cae2026
from caesura.entropy import factorized, grouped
from caesura.entropy.coder import Popper
from caesura.entropy.control import Indices
from caesura.entropy.passes import PASSES, parts
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.picture.pixels import pad, padded_side
from caesura.runtime.parallel import one_blas_thread


@dataclass(frozen=True)
class Coding:
    """Nanoseconds per symbol, medians, with one thread.

    Attributes:
        symbols: number in the latent and, with cae2026, the hyperlatent.
        coded: number of symbols that are coded; the others are known to be zero.
        encode, decode: time to write and to read the symbols with known tables, divided by `symbols`.
        encode_coded, decode_coded: the same, divided by `coded`.
        control: time to choose the tables, divided by `symbols`; 0 if each channel has one table.
    """

    symbols: int
    coded: int
    encode: float
    decode: float
    encode_coded: float
    decode_coded: float
    control: float


@one_blas_thread()
def coding(pixels: NDArray[np.uint8], bundle: Bundle, quality: float, repeats: int) -> Coding:
    """Measure with the symbols of a picture, uint8 (H, W, 3)."""
    sides = (padded_side(side, bundle.stride, bundle.smallest_side) for side in pixels.shape[:2])
    padded = pad(pixels, *sides)
    code = ladder.quality_code(quality, bundle.quality_scale)
    with codec_threads(1):
        if bundle.architecture == "cae2026":
            calls, symbols, coded = _cae2026(padded, bundle, code)
        else:
            calls, symbols, coded = _cae2017(padded, bundle, code)
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(repeats + 1):
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - started)
    took = {name: statistics.median(found[1:]) * 1e9 for name, found in times.items()}  # the first warms up
    return Coding(
        symbols=symbols,
        coded=coded,
        encode=took["encode"] / symbols,
        decode=took["decode"] / symbols,
        encode_coded=took["encode"] / coded,
        decode_coded=took["decode"] / coded,
        control=took.get("control", 0.0) / symbols,
    )


_Calls = dict[str, Callable[[], Any]]


def _cae2017(pixels: NDArray[np.uint8], bundle: Bundle, code: int) -> tuple[_Calls, int, int]:
    at = cae2017.Rate(code, bundle)
    coded = cae2017.encode(cae2017.analyse(pixels, at), at, ladder.DEFAULT_EFFORT)
    data = cae2017.pack(coded)
    calls: _Calls = {
        "encode": lambda: cae2017.pack(coded),
        "decode": lambda: cae2017.decode(data, coded.symbols.shape[1:], at),
    }
    return calls, coded.symbols.size, coded.symbols.size


def _cae2026(pixels: NDArray[np.uint8], bundle: Bundle, code: int) -> tuple[_Calls, int, int]:
    at = cae2026.Rate(code, bundle)
    coded = cae2026.encode(cae2026.analyse(pixels, at), at, ladder.DEFAULT_EFFORT)
    data = cae2026.pack(coded)
    chosen = [[indices for _, indices in one] for one in coded.passes]

    def decode() -> None:
        popper = Popper(data)
        factorized.pop(popper, coded.hyper.shape, at.hyper_tables)
        for indices in chosen:
            grouped.pop_pass(popper, indices, at.control.tables)
        popper.finish()

    def control() -> None:
        indices = Indices(at.control, coded.hyper, at.row, coded.plane.shape[1:])
        for number in range(PASSES):
            places = parts(number, bundle.channels)
            for part in places:
                indices.of(number, part)
            for part, (symbols, _) in zip(places, coded.passes[number], strict=True):
                indices.learn(part, symbols)

    seen = sum(int(np.count_nonzero(indices)) for one in chosen for indices in one)
    symbols = coded.plane.size + coded.hyper.size
    calls: _Calls = {"encode": lambda: cae2026.pack(coded), "decode": decode, "control": control}
    return calls, symbols, seen + coded.hyper.size
