"""The commands for archives of very many pictures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from caesura import extras
from caesura.cli.options import BitsPerPixel, Exact, MaxPixels, Model, Quality, Strict, Strip, Tune
from caesura.errors import ConfigError
from caesura.format.container import MAX_PIXELS
from caesura.models import bundle as bundles
from caesura.models import ladder as rate
from caesura.picture.streams import Lines

if TYPE_CHECKING:
    from rich.progress import Progress

    from caesura.archive.run import Archive, Summary
    from caesura.archive.work import Finished

Source = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="Folder, tar shards or Parquet tables of pictures: a path, s3://, gs:// or the like.",
    ),
]
Destination = Annotated[str, typer.Argument(metavar="DST", help="Folder of the archive: a path, or a URL.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="KIND",
        help="What SRC holds: files, tar or parquet.",
        show_default="told by what is in it",
    ),
]
To = Annotated[
    str, typer.Option("--to", metavar="KIND", help="What is written: files, tar (WebDataset) or parquet.")
]
Column = Annotated[
    str | None,
    typer.Option(
        help="Name of the tables' column of pictures.", show_default="the only one that holds bytes"
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="Processes, each with one thread and a model of its own.",
        show_default="as many as processors",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Address of a Ray cluster to run on, as host:6379 or auto.", show_default="this machine"
    ),
]
Gpus = Annotated[
    float,
    typer.Option(
        "--gpus-per-worker",
        metavar="X",
        min=0.0,
        help="Networks on a GPU, or a part of one if workers share it. Needs onnxruntime-gpu.",
    ),
]
Batch = Annotated[int, typer.Option(metavar="N", min=1, help="Pictures done and noted together, at most.")]
BatchBytes = Annotated[
    int, typer.Option(metavar="N", min=1, help="Bytes of pictures done and noted together, about.")
]
Force = Annotated[
    bool, typer.Option("--force", "-f", help="Forget the manifest that is there and do everything again.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the manifest's row of each picture as JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many pictures would be done.")]


def encode(
    source: Source,
    destination: Destination,
    quality: Quality = None,
    bpp: BitsPerPixel = None,
    model: Model = bundles.DEFAULT,
    tune: Tune = None,
    effort: Annotated[
        int, typer.Option("--effort", "-e", min=1, max=9, help="1 (fastest) to 9 (smallest; needs PyTorch).")
    ] = rate.DEFAULT_EFFORT,
    strip: Strip = False,
    strict: Strict = False,
    exact: Exact = False,
    kind: From = None,
    to: To = "files",
    column: Column = None,
    workers: Workers = None,
    address: Address = None,
    gpus: Gpus = 0,
    batch: Batch = 64,
    batch_bytes: BatchBytes = 32 << 20,
    max_pixels: MaxPixels = MAX_PIXELS,
    force: Force = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Code an archive of pictures.

    The same command again goes on where it ended. Needs the extra: pip install 'caesura[ray]'.
    """
    extras.need("ray", extras.RAY)
    from caesura.archive.run import Archive
    from caesura.batch.jobs import Encode
    from caesura.ratecontrol.search import Target

    if quality is not None and bpp is not None:
        raise ConfigError("quality and bpp are given; one of them is allowed")
    target = None if bpp is None else Target(bpp=bpp)
    job = Encode(quality, target, model, tune, effort, strip, strict, max_pixels, exact)
    archive = Archive(source, destination, job, ".cae", is_picture, kind, to, column, batch, batch_bytes)
    _run(archive, workers, address, gpus, force, as_json, dry_run)


def decode(
    source: Source,
    destination: Destination,
    picture: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="png, jpg, webp, tiff or avif.")
    ] = "png",
    kind: From = None,
    to: To = "files",
    column: Column = None,
    workers: Workers = None,
    address: Address = None,
    gpus: Gpus = 0,
    batch: Batch = 64,
    batch_bytes: BatchBytes = 32 << 20,
    strip: Strip = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    force: Force = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Decode an archive.

    The same command again goes on where it ended. Needs the extra: pip install 'caesura[ray]'.
    """
    extras.need("ray", extras.RAY)
    from caesura.archive.run import Archive
    from caesura.batch.jobs import Decode
    from caesura.picture import formats as pictures

    ending = f".{picture.lower()}"
    job = Decode(pictures.writable_format(ending), None, 1, False, strip, max_pixels)
    archive = Archive(source, destination, job, ending, is_coded, kind, to, column, batch, batch_bytes)
    _run(archive, workers, address, gpus, force, as_json, dry_run)


def is_picture(path: PurePosixPath) -> bool:
    """Whether a name is of a picture that Pillow reads."""
    from pathlib import Path

    from caesura.picture import formats as pictures

    return pictures.is_picture(Path(path))


def is_coded(path: PurePosixPath) -> bool:
    """Whether a name is of a .cae file."""
    return path.suffix.lower() == ".cae"


def _run(
    archive: Archive,
    workers: int | None,
    address: str | None,
    gpus: float,
    force: bool,
    as_json: bool,
    dry_run: bool,
) -> None:
    bar = _bar()
    lines = Lines(bar, owed=as_json)
    if dry_run:
        todo, done = archive.count(force=force)
        lines.say(f"{todo} pictures would be done, {done} are done already")
        return
    lost = False
    with archive.open(workers, address, gpus=gpus, force=force) as (summary, finished):
        for unit in _shown(bar, summary, finished):
            for row in unit.rows:
                if row["error"]:
                    lines.say(f"caesura: {row['error']}", err=True)
                if as_json:
                    facts = {name: value for name, value in row.items() if value is not None}
                    lost |= lines.say(json.dumps(facts))
    lines.say(str(summary), err=as_json)
    if summary.failed or lost:
        raise typer.Exit(1)


def _bar() -> Progress:
    """A bar on stderr, if it is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.fields[pictures]}"),
        BarColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # into stderr
        redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    )


def _shown(bar: Progress, summary: Summary, finished: Iterator[Finished]) -> Iterator[Finished]:
    """The units, and how far the work is, on the bar."""
    from rich.filesize import decimal

    started = time.perf_counter()
    with bar:
        row = bar.add_task("", total=None, pictures="starting", speed="")
        for unit in finished:
            seconds = time.perf_counter() - started
            saved = summary.bytes_before - summary.bytes
            bar.update(
                row,
                total=summary.total,
                completed=summary.done + summary.failed,
                pictures=f"{summary.done + summary.failed}/{summary.total or '?'} pictures",
                speed=f"{summary.done / seconds:.1f} pictures/s  {summary.pixels / 1e6 / seconds:.2f} MP/s  "
                f"{decimal(abs(saved))} {'saved' if saved >= 0 else 'more'}",
            )
            yield unit
