"""Measurements in separate processes: start-up, time of the first picture, peak memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caesura import codec
from caesura.bench.speed import pictures
from caesura.models import bundle as bundles

DIRECTIONS = ("encode", "decode")
INFO_REPEATS = 9


@dataclass(frozen=True)
class Fresh:
    """Encoding or decoding of one picture in a separate process, with all threads.

    Attributes:
        direction: "encode" or "decode".
        megapixels: of the picture.
        first: seconds of the first time, with loading the model, without the start of Python.
        warm: seconds of the second time.
        peak: peak memory of the process in GiB; 0 if not known.
    """

    direction: str
    megapixels: float
    first: float
    warm: float
    peak: float


def info_seconds() -> float:
    """Median seconds of a run of `caesura info` on a small file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.cae"
        path.write_bytes(codec.encode(pictures.photo(64, 96)))
        command = [sys.executable, "-m", "caesura.cli", "info", str(path)]
        times = []
        for _ in range(INFO_REPEATS):
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - started)
        return statistics.median(times)


def fresh(megapixels: float, model: str = bundles.DEFAULT) -> list[Fresh]:
    """Encoding and decoding of a picture of about this size, each in a separate process."""
    pixels = pictures.photo(*pictures.shape(megapixels))
    with tempfile.TemporaryDirectory() as folder:
        picture, file = Path(folder) / "photo.npy", Path(folder) / "photo.cae"
        np.save(picture, pixels)
        file.write_bytes(codec.encode(pixels, model=model))
        size = pixels.shape[0] * pixels.shape[1] / 1e6
        del pixels
        return [
            Fresh(direction, size, **_run(direction, path, model))
            for direction, path in zip(DIRECTIONS, (picture, file), strict=True)
        ]


def _run(direction: str, path: Path, model: str) -> dict[str, float]:
    command = [sys.executable, "-m", "caesura.bench.coding_process", direction, str(path), model]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(out)
    return found
