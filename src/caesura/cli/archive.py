"""The commands `archive encode` and `archive decode`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from caesura import extras
from caesura.cli.options import Bpp, Effort, Exact, MaxPixels, Model, Quality, Strict, Strip, Tune, target
from caesura.coding.base import DEFAULT_EFFORT
from caesura.format.container import MAX_PIXELS
from caesura.models import bundle
from caesura.picture.streams import Lines

if TYPE_CHECKING:
    from rich.progress import Progress

    from caesura.archive.run import Archive, Summary
    from caesura.archive.work import Finished

Source = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="Source: a folder, tar shards or Parquet tables of pictures; a path or a URL (s3://, gs://).",
    ),
]
Destination = Annotated[str, typer.Argument(metavar="DST", help="Folder of the archive: a path or a URL.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="KIND",
        help="Kind of SRC: files, tar or parquet.",
        show_default="detected",
    ),
]
To = Annotated[
    str, typer.Option("--to", metavar="KIND", help="Kind of DST: files, tar (WebDataset) or parquet.")
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Parquet column that holds the images.",
        show_default="the only one that holds bytes",
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
        help="Number of worker processes, each with one thread and its own model.",
        show_default="number of processor cores",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of a Ray cluster to run on: HOST:6379 or auto.",
        show_default="this machine",
    ),
]
Gpus = Annotated[
    float,
    typer.Option(
        "--gpus-per-worker",
        metavar="X",
        min=0.0,
        help="GPUs per worker; a fraction lets workers share one, 0 uses none. Needs onnxruntime-gpu.",
    ),
]
Batch = Annotated[
    int,
    typer.Option(metavar="N", min=1, help="Maximum number of pictures that are done and recorded together."),
]
BatchBytes = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="Approximate maximum size, in bytes, of pictures that are done together."
    ),
]
Force = Annotated[
    bool, typer.Option("--force", "-f", help="Discard the existing manifest and do everything again.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the manifest row of each picture as JSON.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print how many pictures would be done, and write nothing.")
]


def encode(
    source: Source,
    destination: Destination,
    quality: Quality = None,
    bpp: Bpp = None,
    model: Model = bundle.DEFAULT,
    tune: Tune = None,
    effort: Effort = DEFAULT_EFFORT,
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
    """Encode a very large number of pictures to an archive.

    If it is interrupted, run the same command again to continue.
    Needs the extra: pip install 'caesura[ray]'.
    """
    extras.need("ray", extras.RAY)
    from caesura.archive.run import Archive
    from caesura.batch.jobs import Encode
    from caesura.options import EncodeOptions

    options = EncodeOptions(
        quality=quality,
        target=target(quality, bpp=bpp),
        model=model,
        tune=tune,
        effort=effort,
        strip=strip,
        strict=strict,
        exact=exact,
        max_pixels=max_pixels,
    )
    archive = Archive(source, destination, Encode(options), ".cae", kind, to, column, batch, batch_bytes)
    _run(archive, workers, address, gpus, force, as_json, dry_run)


def decode(
    source: Source,
    destination: Destination,
    picture: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Output format: png, jpg, webp, tiff or avif.")
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
    """Decode an archive of .cae files.

    If it is interrupted, run the same command again to continue.
    Needs the extra: pip install 'caesura[ray]'.
    """
    extras.need("ray", extras.RAY)
    from caesura.archive.run import Archive
    from caesura.batch.jobs import Decode
    from caesura.picture import formats

    ending = f".{picture.lower()}"
    job = Decode(formats.writable_format(ending), None, 1, False, strip, max_pixels)
    archive = Archive(source, destination, job, ending, kind, to, column, batch, batch_bytes)
    _run(archive, workers, address, gpus, force, as_json, dry_run)


def _run(
    archive: Archive,
    workers: int | None,
    address: str | None,
    gpus: float,
    force: bool,
    as_json: bool,
    dry_run: bool,
) -> None:
    from caesura import progress

    bar = progress.bar("{task.fields[pictures]}", "{task.fields[speed]}")
    lines = Lines(bar, required=as_json)
    if dry_run:
        todo, done = archive.count(force=force)
        lines.write(f"{todo} pictures would be done, {done} are done already")
        return
    with archive.open(workers, address, gpus=gpus, force=force) as (summary, finished):
        for unit in _with_progress(bar, summary, finished):
            for row in unit.rows:
                if row["error"]:
                    lines.write(f"caesura: {row['error']}", err=True)
                if as_json:
                    lines.write(json.dumps({name: value for name, value in row.items() if value is not None}))
    lines.write(str(summary), err=as_json)
    if summary.failed or lines.lost:
        raise typer.Exit(1)


def _with_progress(bar: Progress, summary: Summary, finished: Iterator[Finished]) -> Iterator[Finished]:
    """The units; the bar shows the summary's counts as they pass."""
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
