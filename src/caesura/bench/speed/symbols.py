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
from caesura.coding.cae2017 import Cae2017
from caesura.coding.cae2026 import Cae2026, control_of
from caesura.entropy import factorized, grouped
from caesura.entropy.coder import Popper
from caesura.entropy.control import Indices
from caesura.entropy.passes import PASSES, parts
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
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
    conditioning = Conditioning(bundle, ladder.position_of(quality, bundle.quality_scale))
    with codec_threads(1):
        if bundle.architecture == "cae2026":
            calls, symbols, coded = _cae2026(padded, conditioning)
        else:
            calls, symbols, coded = _cae2017(padded, conditioning)
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


def _cae2017(pixels: NDArray[np.uint8], conditioning: Conditioning) -> tuple[_Calls, int, int]:
    coder = Cae2017(conditioning)
    encoded = coder.encode(coder.analyse(pixels))
    payload = encoded.pack()
    calls: _Calls = {
        "encode": encoded.pack,
        "decode": lambda: coder.decode(payload, encoded.symbols.shape[1:]),
    }
    return calls, encoded.symbols.size, encoded.symbols.size


def _cae2026(pixels: NDArray[np.uint8], conditioning: Conditioning) -> tuple[_Calls, int, int]:
    coder = Cae2026(conditioning)
    encoded = coder.encode(coder.analyse(pixels))
    payload, weights, shape = encoded.pack(), control_of(conditioning), encoded.latents.values.shape
    chosen = [[part.indices for part in one] for one in encoded.passes]
    nonzero = [[part.nonzero for part in one] for one in encoded.passes]

    def decode() -> None:
        popper = Popper(payload)
        factorized.pop(popper, encoded.hyperlatents.shape, conditioning.tables)
        for indices in chosen:
            grouped.pop_pass(popper, indices, weights.tables)
        popper.finish()

    def control() -> None:
        indices = Indices(weights, encoded.hyperlatents, conditioning.table_row, shape[1:])
        for number in range(PASSES):
            in_pass = parts(number, shape[0])
            for part in in_pass:
                indices.index(part)
            for part, (offsets, symbols) in zip(in_pass, nonzero[number], strict=True):
                indices.update(part, part.positions(offsets, shape[1:]), symbols)

    coded = sum(int(np.count_nonzero(indices)) for one in chosen for indices in one)
    hyperlatents = encoded.hyperlatents.size
    calls: _Calls = {"encode": encoded.pack, "decode": decode, "control": control}
    return calls, encoded.latents.values.size + hyperlatents, coded + hyperlatents
