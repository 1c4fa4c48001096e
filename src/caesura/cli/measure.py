"""The command that measures codecs on a folder of pictures."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from caesura import extras
from caesura.errors import ConfigError
from caesura.models import bundle as bundles
from caesura.models import ladder as rate

_ANCHOR = "JPEG 4:2:0"


def bench(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the report.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Pictures to code; --quick can do without.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or folder of a bundle; several may be given, the first is compared with everything.",
            show_default=bundles.DEFAULT,
        ),
    ] = None,
    effort: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=9,
            help="Encoder effort, 1 (fastest) to 9; several may be given.",
            show_default=str(rate.DEFAULT_EFFORT),
        ),
    ] = None,
    qualities: Annotated[
        str, typer.Option(help="Qualities to code at by our encoder, separated by commas.")
    ] = "1,12,24,36,48,60,72,86,100",
    quick: Annotated[
        bool, typer.Option("--quick", help="Four pictures, five settings, no slow codecs: two minutes.")
    ] = False,
    codecs: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Other codecs to measure: parts of their names, or 'none' for ours alone.",
            show_default="all",
        ),
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEMPLATE",
            help="A codec of your own: 'name@10,20,30=enc {in} {out} {q} ; dec {in} {out}', with its "
            "settings from small to large files.",
        ),
    ] = None,
    anchor: Annotated[
        str, typer.Option(metavar="NAME", help="The codec that others are compared with.")
    ] = _ANCHOR,
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Published rate-distortion points to draw beside.")
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Metrics besides PSNR, MS-SSIM, SSIMULACRA 2: psnr-hvs-m, cvvdp (`make cvvdp` builds it).",
            show_default="none",
        ),
    ] = "",
    repeats: Annotated[
        int, typer.Option(min=1, help="How often each coding is timed; the median counts.")
    ] = 3,
    no_times: Annotated[
        bool, typer.Option("--no-times", help="Measure rate and quality alone, coding each file once.")
    ] = False,
    threads: Annotated[
        int, typer.Option(min=0, help="Threads that a codec may use; 0 is as many as there are processors.")
    ] = 0,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed", help="Measure the speed of our models instead, by size, threads and stage; no DIR."
        ),
    ] = False,
    crop: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Code each picture as NxN crops by ours, joined again; 0 is whole pictures.",
        ),
    ] = 0,
) -> None:
    """Measure codecs on pictures, side by side.

    Rate, quality, time and memory come from real files. Writes index.html, a page a picture, results.json,
    points.csv, curves.csv and bd.csv to OUT; with --speed speed.md, speed.png and speed.json. Interrupted,
    the same command goes on. Definitions: docs/BENCH.md.
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
        speeds.run(out, model=model or [bundles.DEFAULT], console=Console())
        return
    try:
        ladder = tuple(float(part) for part in qualities.split(","))
    except ValueError as error:
        raise ConfigError(f"qualities is {qualities!r}; numbers separated by commas are allowed") from error
    plan = Plan(
        folder=folder,
        destination=out,
        models=model or [bundles.DEFAULT],
        efforts=effort or [rate.DEFAULT_EFFORT],
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
        command=shlex.join(["caesura", *sys.argv[1:]]),
    )
    run(plan, Console())
