"""Memory of `caesura data prepare` by number of photos, which must stay constant.

    python -m benchmarks.prepare [--photos 2000,10000,20000] [--jobs 2]

Photos are small synthetic JPEG files, a hundred in a folder. Each number of photos is packed in a separate
process, whose peak resident memory is printed, and that of its largest worker.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from caesura.train.prepare import prepare

_SIDE = 64
_SHARED = 64  # different pictures; files of the same picture differ in their comment


def main(
    photos: Annotated[str, typer.Option(help="Numbers of photos, comma-separated.")] = "2000,10000,20000",
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes.")] = os.cpu_count() or 1,
    one: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure memory and speed by number of photos, and print a table."""
    if one:
        print(json.dumps(_measure(Path(one), jobs)))
        return
    table = Table("photos", "photos/s", "peak MiB", "largest worker, MiB", title=f"prepare, {jobs} processes")
    with tempfile.TemporaryDirectory() as folder:
        drawn = 0
        for number in map(int, photos.split(",")):
            _draw(Path(folder) / "photos", drawn, number)
            drawn = number
            command = [sys.executable, "-m", "benchmarks.prepare", "--one", folder, "--jobs", str(jobs)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            table.add_row(
                str(number),
                f"{number / found['seconds']:.0f}",
                f"{found['own'] / 1024:.0f}",
                f"{found['worker'] / 1024:.0f}",
            )
    Console().print(table)


def _measure(folder: Path, jobs: int) -> dict[str, float]:
    """Pack `folder`/photos; returns seconds, and peak KiB of this process and of its largest worker."""
    started = time.perf_counter()
    prepare(folder / "photos", folder / "pack", sizes=(_SIDE,), side=_SIDE, workers=jobs)
    own, worker = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"seconds": time.perf_counter() - started, "own": own, "worker": worker}


def _draw(folder: Path, first: int, last: int) -> None:
    """Write the photos of numbers `first` to `last` - 1."""
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(_SHARED):
        coarse = Image.fromarray(random.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        out = io.BytesIO()
        coarse.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
        pictures.append(out.getvalue())
    for number in track(range(first, last), f"{last} photos"):
        path = folder / f"{number // 100:05}" / f"{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        comment = f"{number:07}".encode()
        jpeg = pictures[number % _SHARED]
        path.write_bytes(jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + jpeg[2:])


if __name__ == "__main__":
    typer.run(main)
