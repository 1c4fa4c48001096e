"""Start-up, coding time and memory of the installed codec.

    python -m caesura.bench.speed

Each figure is a median of repeats in this run; memory is the peak of a process of its own.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from caesura import codec
from caesura.bench.demo import sample_photo

_LARGE = (3000, 4000)  # 12 megapixels


def main() -> None:
    """Measure and print a table."""
    table = Table("figure", "median", "of", title=f"caesura on {processors()} processors")
    for row in rows():
        table.add_row(*row)
    Console().print(table)


def processors() -> int:
    """How many there are."""
    return os.cpu_count() or 1


def rows() -> list[tuple[str, str, str]]:
    """What is measured, how much it is, and the number of repeats."""
    found = []
    photo = resized(sample_photo(), (512, 768))
    data = codec.encode(photo)
    codec.decode_array(data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.cae"
        path.write_bytes(data)
        command = [sys.executable, "-m", "caesura.cli", "info", str(path)]
        started = median(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 9)
    found.append(("start-up of `caesura info`", f"{started:.3f} s", "9"))
    for name, call in (("encode", lambda: codec.encode(photo)), ("decode", lambda: codec.decode_array(data))):
        seconds = median(call, 9)
        found.append((f"{name} 768x512", f"{seconds:.3f} s, {0.393216 / seconds:.2f} MP/s", "9"))
    for name in ("encode", "decode"):
        seconds, peak = large(name)
        found.append((f"{name} 12 MP", f"{seconds:.2f} s, {12 / seconds:.2f} MP/s, peak {peak:.2f} GiB", "1"))
    return found


def median(call: Callable[[], object], repeats: int) -> float:
    """Median wall seconds of `repeats` calls."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def large(name: str) -> tuple[float, float]:
    """Seconds and peak GiB of coding 12 megapixels in a process of its own."""
    command = [sys.executable, "-m", "caesura.bench.speed", name]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(out[0]), float(out[1])


def resized(photo: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The photo at another size, uint8 (*shape, 3)."""
    return np.asarray(Image.fromarray(photo).resize(shape[::-1], Image.Resampling.BICUBIC))


def _large_once(name: str) -> None:
    """In the child: code once, print seconds and peak GiB. The picture repeats a small one."""
    photo = np.ascontiguousarray(np.tile(sample_photo(), (8, 12, 1))[: _LARGE[0], : _LARGE[1]])
    started = time.perf_counter()
    data = codec.encode(photo)
    seconds = time.perf_counter() - started
    if name == "decode":
        del photo
        started = time.perf_counter()
        codec.decode_array(data)
        seconds = time.perf_counter() - started
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _large_once(sys.argv[1])
    else:
        main()
