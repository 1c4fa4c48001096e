"""`caesura data prepare` on more and more photos: memory must stay flat.

    python -m benchmarks.prepare [--photos 2000,10000,20000] [--jobs 2]

Photos are small JPEGs drawn by code, a hundred to a folder. Each number of them is packed in a process of
its own, whose peak resident memory is shown, and that of its largest worker.
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
_SHARED = 64  # pictures drawn; each file differs from the others in its comment alone


def main(
    photos: Annotated[str, typer.Option(help="Numbers of photos, separated by commas.")] = "2000,10000,20000",
    jobs: Annotated[int, typer.Option(min=1, help="Processes at work.")] = os.cpu_count() or 1,
    one: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure and print a table."""
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
    """Pack `folder`/photos; wall seconds, and peak KiB of this process and of its largest worker."""
    started = time.perf_counter()
    prepare(folder / "photos", folder / "pack", sizes=(_SIDE,), side=_SIDE, workers=jobs)
    own, worker = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"seconds": time.perf_counter() - started, "own": own, "worker": worker}


def _draw(folder: Path, first: int, last: int) -> None:
    """Photos number `first` to `last` - 1."""
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
