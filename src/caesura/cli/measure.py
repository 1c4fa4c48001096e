"""The command that measures a codec on a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caesura import model as bundles
from caesura import rate
from caesura.cli import extras
from caesura.errors import ConfigError


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Pictures to code, RGB.")],
    report: Annotated[Path, typer.Option("--report", "-r", metavar="OUT", help="Folder for the report.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or folder of a bundle; several may be given, the first is compared with everything.",
            show_default=bundles.DEFAULT,
        ),
    ] = None,
    effort: Annotated[
        int, typer.Option(min=1, max=9, help="Of our encoder, 1 (fastest) to 9.")
    ] = rate.DEFAULT_EFFORT,
    qualities: Annotated[
        str, typer.Option(help="Qualities to code at, separated by commas.")
    ] = "1,12,24,36,48,60,72,86,100",
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Published rate-distortion points to plot beside.")
    ] = None,
    crop: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Code each picture as NxN crops joined again; 0 is whole pictures."
        ),
    ] = 0,
    others: Annotated[
        bool, typer.Option(help="Measure JPEG, JPEG 2000, WebP, AVIF and JPEG XL as well.")
    ] = True,
) -> None:
    """Code every picture at a ladder of qualities, real bytes, and report rate, quality and time.

    Writes means (table.md, rd.png), every picture (pictures.csv) and all of it (results.json) to OUT.
    Needs the extra: pip install 'caesura\\[bench]'.
    """
    extras.need("bench", extras.BENCH)
    from caesura.bench import evaluation

    try:
        ladder = tuple(float(part) for part in qualities.split(","))
    except ValueError as error:
        raise ConfigError(f"qualities is {qualities!r}; numbers separated by commas are allowed") from error
    evaluation.run(
        folder,
        report,
        models=model or [bundles.DEFAULT],
        effort=effort,
        qualities=ladder,
        crop=crop,
        others=others,
        reference=reference,
    )
