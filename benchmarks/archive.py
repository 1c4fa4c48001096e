"""Measures archives on Ray: time of each stage, memory, and the predicted cost of larger runs.

    python -m benchmarks.archive [--pictures 1000 20000] [--workers 1 2] [--kill] [--out DIR]

Draws pictures, codes them as `caesura archive encode` does, for each number of pictures and of workers,
checks the manifest, and prints Markdown tables. The time of a run is predicted from the first run with the
same number of workers. With --kill, a worker is killed in the middle of each run. Pictures that exist in DIR
are reused.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

import benchmarks
from caesura.archive.manifest import FOLDER, Manifest
from caesura.archive.run import Archive, Summary
from caesura.archive.store import Store
from caesura.batch.jobs import Encode
from caesura.options import EncodeOptions

_SHAPES = ((64, 96), (96, 64), (64, 64), (96, 96))
_IN_A_FOLDER = 1000
_STAGES = {
    "read": "read the source",
    "group": "read sizes",
    "code": "decode the source and encode",
    "write": "write the output",
    "note": "write the manifest",
}
_EXTRAPOLATED = {"1 M": 10**6, "100 M": 10**8, "10 B": 10**10}


@dataclass
class Run:
    """Measurements of a run.

    Attributes:
        workers: number of processes.
        summary: of the archive.
        start: seconds until the first unit was done.
        seconds: from then to the end.
        first: pictures of the first unit.
        memory: seconds since the start, MiB of the driver, and MiB of each worker.
        killed: number of workers killed.
        manifest: size of the manifest in bytes.
        doubled, missing: pictures with several rows, and without a row.
    """

    workers: int
    summary: Summary = field(default_factory=Summary)
    start: float = 0.0
    seconds: float = 0.0
    first: int = 0
    memory: list[tuple[float, float, list[float]]] = field(default_factory=list)
    killed: int = 0
    manifest: int = 0
    doubled: int = 0
    missing: int = 0

    @property
    def cpu(self) -> float:
        """Seconds of the workers' processor time per picture, which depends little on other load."""
        return self.summary.cpu / max(1, self.summary.done)

    @property
    def rate(self) -> float:
        """Pictures per second after the first unit."""
        return max(self.summary.done - self.first, 1e-9) / max(self.seconds, 1e-9)


def main() -> None:
    """Parse arguments, measure and print."""
    parser = benchmarks.parser("archive", __doc__)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1000], help="numbers of pictures")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers")
    parser.add_argument("--kill", action="store_true", help="kill a worker in the middle of each run")
    parser.add_argument("--out", type=Path, help="keep pictures and archives in this folder")
    parser.add_argument("--report", type=Path, help="write the tables to this file too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        runs: list[Run] = []
        for pictures in arguments.pictures:
            source = draw(folder / f"pictures-{pictures}", pictures)
            for workers in arguments.workers:
                target = folder / f"coded-{pictures}-{workers}"
                shutil.rmtree(target, ignore_errors=True)
                runs.append(measure(source, target, pictures, workers, kill=arguments.kill))
    text = "\n".join(
        [*runs_table(runs), "", *stages_table(runs), "", *memory_table(runs), "", *costs_table(runs[-1])]
    )
    Console(soft_wrap=True).print(text, markup=False, highlight=False)
    if arguments.report:
        arguments.report.write_text(text + "\n", encoding="utf-8")


def draw(folder: Path, number: int) -> Path:
    """Write small JPEG files of four sizes to a folder: gradients, discs, bars and noise."""
    draws = np.random.default_rng(2026)
    for index in track(range(number), "drawing", console=Console(stderr=True)):
        path = folder / f"{index // _IN_A_FOLDER:05d}" / f"{index:09d}.jpg"
        height, width = _SHAPES[index % len(_SHAPES)]
        a, b, c, d = draws.random(4)
        noise = draws.normal(0, 6, (height, width, 1))
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        y, x = np.mgrid[:height, :width] / max(height, width)
        disc = (y - a) ** 2 + (x - b) ** 2 < 0.02 + 0.1 * c
        bar = np.abs(y + d * x - c) < 0.06
        layers = [200 * x * a + 50 * disc, 90 + 90 * y * b - 60 * disc, np.where(bar, 220, 60 + 80 * x * y)]
        pixels = np.clip(np.stack(layers, axis=2) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, quality=90)
    return folder


def measure(source: Path, target: Path, pictures: int, workers: int, *, kill: bool) -> Run:
    """Code the pictures of `source` to an archive and record times and memory."""
    job = Encode(EncodeOptions(effort=2))
    run, began = Run(workers), time.perf_counter()
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(run, began, over), daemon=True)
    watch.start()
    archive = Archive(str(source), str(target), job, ".cae", "files")
    with archive.open(workers) as (run.summary, finished):
        for unit in finished:
            now = time.perf_counter() - began
            if not run.start:
                run.start, run.first = now, len(unit.rows)
            run.seconds = now - run.start
            if kill and not run.killed and run.summary.done >= pictures // 2:
                os.kill(_workers()[0], signal.SIGKILL)
                run.killed += 1
    over.set()
    watch.join()
    rows = [str(row["path"]) for row in Manifest(Store(str(target))).all()]
    run.doubled = len(rows) - len(set(rows))
    run.missing = pictures - len(set(rows))
    run.manifest = sum(path.stat().st_size for path in (target / FOLDER).glob("*.parquet"))
    return run


def runs_table(runs: list[Run]) -> list[str]:
    """A table of the runs."""
    heads = (
        "pictures",
        "workers",
        "start-up",
        "warm",
        "predicted",
        "pictures/s",
        "MP/s",
        "bytes read",
        "bytes written",
        "manifest",
    )
    lines = _table(*heads, "killed", "failed", "duplicates", "missing")
    for run in runs:
        done = run.summary
        first = next(other for other in runs if other.workers == run.workers)
        lines.append(
            _row(
                f"{done.done + done.skipped + done.failed}",
                f"{run.workers}",
                f"{run.start:.1f} s",
                f"{run.seconds:.1f} s",
                "-" if first is run else f"{(done.done - run.first) / first.rate:.1f} s",
                f"{run.rate:.1f}",
                f"{run.rate * done.pixels / max(done.done, 1) / 1e6:.3f}",
                f"{done.bytes_before}",
                f"{done.bytes}",
                f"{run.manifest}",
                f"{run.killed}",
                f"{done.failed}",
                f"{run.doubled}",
                f"{run.missing}",
            )
        )
    return lines


def stages_table(runs: list[Run]) -> list[str]:
    """A table of the workers' time by stage."""
    heads = (f"{run.summary.done} pictures, {run.workers} workers" for run in runs)
    lines = _table("stage, ms per picture", *heads)
    for stage, name in _STAGES.items():
        lines.append(_row(name, *(f"{_milliseconds(run, stage):.2f}" for run in runs)))
    spent = [sum(_milliseconds(run, stage) for stage in _STAGES) for run in runs]
    waited = [1e3 * run.workers / run.rate - busy for run, busy in zip(runs, spent, strict=True)]
    lines.append(_row("wait for units and for other workers", *(f"{wait:.2f}" for wait in waited)))
    lines.append(_row("processor time of all stages", *(f"{1e3 * run.cpu:.2f}" for run in runs)))
    return lines


def memory_table(runs: list[Run]) -> list[str]:
    """A table of memory over time, at ten moments of each run."""
    lines = _table("pictures", "workers", "after", "driver, MiB", "workers, MiB")
    for run in runs:
        step = max(1, len(run.memory) // 10)
        for after, driver, workers in run.memory[::step]:
            each = ", ".join(f"{held:.0f}" for held in workers) or "-"
            cells = f"{run.summary.done}", f"{run.workers}", f"{after:.0f} s", f"{driver:.0f}"
            lines.append(_row(*cells, each))
    return lines


def costs_table(run: Run) -> list[str]:
    """A table of the predicted cost of larger runs, from the processor time per picture."""
    done, manifest = run.summary, run.manifest / max(1, run.summary.done)
    saved = (done.bytes_before - done.bytes) / done.done
    lines = _table("predicted", "core-hours", "hours, 2 cores", "16 cores", "1000 cores", "saved", "manifest")
    for name, pictures in _EXTRAPOLATED.items():
        hours = pictures * run.cpu / 3600
        spans = [f"{hours / workers + run.start / 3600:.2f}" for workers in (2, 16, 1000)]
        sizes = f"{pictures * saved / 1e9:.1f} GB", f"{pictures * manifest / 1e9:.2f} GB"
        lines.append(_row(name, f"{hours:.0f}", *spans, *sizes))
    return lines


def _milliseconds(run: Run, stage: str) -> float:
    return 1e3 * run.summary.stages.get(stage, 0.0) / max(1, run.summary.done)


def _table(*heads: str) -> list[str]:
    return [_row(*heads), _row(*("---" for _ in heads))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _watch(run: Run, began: float, over: threading.Event) -> None:
    while not over.wait(1.0):
        held = [_held(pid) for pid in _workers()]
        run.memory.append((time.perf_counter() - began, _held(os.getpid()), held))


def _held(pid: int) -> float:
    """MiB of memory of a process that is not shared."""
    try:
        facts = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in facts.splitlines() if line.startswith("RssAnon")) / 1024


def _workers() -> list[int]:
    """Process ids of this process's Ray workers, oldest first."""
    parents, found = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            pid = int(folder.name)
            parents[pid] = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            if "MapWorker" in (folder / "cmdline").read_text(encoding="utf-8"):
                found.append(pid)
        except (OSError, ValueError):
            continue

    def is_ours(pid: int) -> bool:
        while pid > 1 and pid != os.getpid():
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return sorted(pid for pid in found if is_ours(pid))


if __name__ == "__main__":
    main()
