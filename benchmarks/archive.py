"""Archives: what a run spends its time on, how its memory goes, what more of all would cost.

    python -m benchmarks.archive [--pictures 1000 20000] [--workers 1 2] [--kill] [--out DIR]

Draws pictures, codes them with the code of `caesura archive encode` once for each number of pictures
and of workers, checks the manifest, and prints Markdown tables (to a file as well, with --report FILE). What
longer runs should take is predicted from the first with as many workers. With --kill, a worker is killed in
the middle of each run. Pictures that are in DIR already are used again.
"""

from __future__ import annotations

import argparse
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

from caesura.archive.manifest import FOLDER, Manifest
from caesura.archive.run import Archive, Summary
from caesura.archive.store import Store
from caesura.batch.jobs import Encode
from caesura.options import EncodeOptions

_SHAPES = ((64, 96), (96, 64), (64, 64), (96, 96))
_IN_A_FOLDER = 1000
_STAGES = {
    "read": "read the source",
    "group": "look at sizes",
    "code": "decode the source and code",
    "write": "write the output",
    "note": "write the manifest",
}
_EXTRAPOLATED = {"1 M": 10**6, "100 M": 10**8, "10 B": 10**10}


@dataclass
class Run:
    """What was measured of one run.

    Attributes:
        workers: processes.
        summary: of the archive.
        start: seconds until the first unit was done.
        seconds: from then on.
        first: pictures of the first unit.
        memory: seconds since the start, and MiB that the driver and each worker held then.
        killed: workers killed.
        manifest: its bytes.
        doubled, missing: pictures with several rows, and with none.
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
        """Seconds of processor time a picture, of the workers; a busy machine makes it little longer."""
        return self.summary.cpu / max(1, self.summary.done)

    @property
    def rate(self) -> float:
        """Pictures a second, once workers are warm."""
        return max(self.summary.done - self.first, 1e-9) / max(self.seconds, 1e-9)


def main() -> None:
    """Read arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kill", action="store_true", help="kill a worker in the middle")
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
    text = "\n".join([*of_runs(runs), "", *of_stages(runs), "", *of_memory(runs), "", *of_costs(runs[-1])])
    Console(soft_wrap=True).print(text, markup=False, highlight=False)
    if arguments.report:
        arguments.report.write_text(text + "\n", encoding="utf-8")


def draw(folder: Path, number: int) -> Path:
    """Small JPEG files of four sizes, drawn: slopes, discs, bars and some noise."""
    draws = np.random.default_rng(2026)
    for place in track(range(number), "drawing", console=Console(stderr=True)):
        path = folder / f"{place // _IN_A_FOLDER:05d}" / f"{place:09d}.jpg"
        height, width = _SHAPES[place % len(_SHAPES)]
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
    """Code the pictures of `source` to an archive and watch."""
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


def of_runs(runs: list[Run]) -> list[str]:
    """A table of how runs went."""
    heads = (
        "pictures",
        "workers",
        "start-up",
        "warm",
        "predicted",
        "pictures/s",
        "MP/s",
        "bytes",
        "became",
        "manifest",
    )
    lines = _table(*heads, "killed", "failed", "twice", "missing")
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


def of_stages(runs: list[Run]) -> list[str]:
    """A table of where workers' time goes."""
    heads = (f"{run.summary.done} pictures, {run.workers} workers" for run in runs)
    lines = _table("stage, ms a picture", *heads)
    for stage, says in _STAGES.items():
        lines.append(_row(says, *(f"{_milliseconds(run, stage):.2f}" for run in runs)))
    spent = [sum(_milliseconds(run, stage) for stage in _STAGES) for run in runs]
    waited = [1e3 * run.workers / run.rate - busy for run, busy in zip(runs, spent, strict=True)]
    lines.append(_row("wait for units, and for the other workers", *(f"{wait:.2f}" for wait in waited)))
    lines.append(_row("processor time of all stages", *(f"{1e3 * run.cpu:.2f}" for run in runs)))
    return lines


def of_memory(runs: list[Run]) -> list[str]:
    """A table of memory over time: ten moments of each run."""
    lines = _table("pictures", "workers", "after", "driver, MiB", "workers, MiB")
    for run in runs:
        step = max(1, len(run.memory) // 10)
        for after, driver, workers in run.memory[::step]:
            each = ", ".join(f"{held:.0f}" for held in workers) or "-"
            cells = f"{run.summary.done}", f"{run.workers}", f"{after:.0f} s", f"{driver:.0f}"
            lines.append(_row(*cells, each))
    return lines


def of_costs(run: Run) -> list[str]:
    """A table of what more such pictures, and more workers, would take: computed from processor time."""
    done, manifest = run.summary, run.manifest / max(1, run.summary.done)
    saved = (done.bytes_before - done.bytes) / done.done
    lines = _table("computed", "core-hours", "hours, 2 cores", "16 cores", "1000 cores", "saved", "manifest")
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
    """MiB that a process holds and shares with no other."""
    try:
        facts = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in facts.splitlines() if line.startswith("RssAnon")) / 1024


def _workers() -> list[int]:
    """Process ids of this process's workers, which Ray names, oldest first."""
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
