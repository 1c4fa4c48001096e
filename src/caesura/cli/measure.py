"""The command `bench`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from caesura import extras
from caesura.coding.base import DEFAULT_EFFORT, MAX_EFFORT, MIN_EFFORT
from caesura.errors import ConfigError
from caesura.models import bundle

_ANCHOR = "JPEG 4:2:0"


def bench(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the report.")],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder of pictures; optional with --quick or --drawn."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or folder of a model bundle; may be repeated. The first is compared with all codecs.",
            show_default=bundle.DEFAULT,
        ),
    ] = None,
    effort: Annotated[
        list[int] | None,
        typer.Option(
            min=MIN_EFFORT,
            max=MAX_EFFORT,
            help="Encoder effort, 1 (fastest) to 9; may be repeated.",
            show_default=str(DEFAULT_EFFORT),
        ),
    ] = None,
    qualities: Annotated[
        str, typer.Option(help="Qualities to encode at with caesura, separated by commas.")
    ] = "1,12,24,36,48,60,72,86,100",
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Measure four pictures at five settings without slow codecs; takes two minutes."
        ),
    ] = False,
    codecs: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Other codecs to measure: parts of their names, or 'none' for caesura alone.",
            show_default="all",
        ),
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Another codec, by its commands: 'name@10,20,30=enc {in} {out} {q} ; dec {in} {out}', with "
            "settings from small to large files.",
        ),
    ] = None,
    anchor: Annotated[
        str, typer.Option(metavar="NAME", help="Codec that the others are compared with.")
    ] = _ANCHOR,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Published rate-distortion points to add to the plots."),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Metrics besides PSNR, MS-SSIM and SSIMULACRA 2: psnr-hvs-m, cvvdp (built by `make cvvdp`).",
            show_default="none",
        ),
    ] = "",
    repeats: Annotated[
        int,
        typer.Option(min=1, help="Number of timed runs of each encoding and decoding; the median counts."),
    ] = 3,
    no_times: Annotated[
        bool, typer.Option("--no-times", help="Measure only rate and quality, encoding each picture once.")
    ] = False,
    threads: Annotated[
        int, typer.Option(min=0, help="Number of threads per codec; 0 is one per processor core.")
    ] = 0,
    drawn: Annotated[
        bool,
        typer.Option(
            "--drawn",
            help="Measure ten drawn pictures too: text, screenshots, charts, products on white and the like. "
            "Without DIR and --quick, only those.",
        ),
    ] = False,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed",
            help="Measure only the speed of caesura, by picture size, threads and stage; without DIR.",
        ),
    ] = False,
    crop: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Encode pictures with caesura as independent crops of N x N pixels; 0 is whole pictures.",
        ),
    ] = 0,
) -> None:
    """Compare codecs on a folder of pictures.

    Measures rate, quality, time and memory, and writes index.html, one page per picture, results.json,
    points.csv, curves.csv and bd.csv to OUT, with --drawn also drawn.csv and drawn_points.csv; with --speed,
    speed.md, speed.png and speed.json. If it is interrupted, run the same command again to continue.
    docs/BENCH.md defines all measurements.
    Needs the extra: pip install 'caesura[bench]'.
    """
    extras.need("bench", extras.BENCH)
    from rich.console import Console

    from caesura.bench import external as commands
    from caesura.bench import optional_metrics
    from caesura.bench import speed as speeds
    from caesura.bench.run import Plan
    from caesura.bench.run import bench as run

    if speed:
        if folder is not None:
            raise ConfigError(f"DIR is {folder} and --speed is given; one of them is allowed")
        speeds.run(out, model=model or [bundle.DEFAULT], console=Console())
        return
    try:
        ladder = tuple(float(part) for part in qualities.split(","))
    except ValueError as error:
        raise ConfigError(f"qualities is {qualities!r}; numbers separated by commas are allowed") from error
    plan = Plan(
        folder=folder,
        destination=out,
        models=model or [bundle.DEFAULT],
        efforts=effort or [DEFAULT_EFFORT],
        qualities=ladder,
        codecs=codecs,
        external=[commands.parse(template) for template in external or []],
        anchor=anchor,
        reference=reference,
        crop=crop,
        repeats=repeats,
        threads=threads,
        metrics=optional_metrics.choose(metrics),
        times=not no_times,
        quick=quick,
        drawn=drawn,
        command=shlex.join(["caesura", *sys.argv[1:]]),
    )
    run(plan, Console())
