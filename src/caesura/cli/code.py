"""The commands that code pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caesura import model as bundles
from caesura import rate

Inputs = Annotated[
    list[Path], typer.Argument(metavar="IN...", help="Files, folders with -r, or - for stdin.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="File, folder for several, or - for stdout. [default: beside IN; stdout if that is stdin]",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace outputs that are there already.")]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Take folders, mirrored in OUT; what is there and not older than its source is skipped.",
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Files coded side by side.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object a file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def encode(
    inputs: Inputs,
    output: Output = None,
    quality: Annotated[
        float,
        typer.Option("--quality", "-q", min=1, max=100, help="1 (smallest) to 100 (best), continuous."),
    ] = rate.DEFAULT_QUALITY,
    model: Annotated[str, typer.Option(help="Name or folder of a model bundle.")] = bundles.DEFAULT,
    tune: Annotated[
        str, typer.Option(help="psnr for pixels, ms-ssim for texture: weights of the same model.")
    ] = bundles.TUNES[0],
    effort: Annotated[
        int,
        typer.Option(
            "--effort",
            "-e",
            min=1,
            max=9,
            help="1 (fastest) to 9 (smallest; needs PyTorch and minutes). Decoding takes the same time.",
        ),
    ] = rate.DEFAULT_EFFORT,
    strip: Annotated[
        bool, typer.Option("--strip", help="Leave out colour profile, EXIF and XMP; apply the orientation.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse animations and samples of 16 bits instead of coding a part."),
    ] = False,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    force: Force = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Code pictures as .cae files."""
    from caesura.cli import batch, pictures
    from caesura.cli.jobs import Encode
    from caesura.cli.plan import Kind, plan
    from caesura.cli.report import Manner

    kind = Kind("pictures", pictures.is_picture)
    tasks = plan(inputs, output, ".cae", kind, recursive=recursive, force=force)
    job = Encode(quality, model, tune, effort, strip, strict)
    batch.run(tasks, job, Manner(jobs, as_json, dry_run, recursive))


def decode(
    inputs: Inputs,
    output: Output = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="png, jpg, webp, tiff, avif. [default: as OUT, or png]"
        ),
    ] = None,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    force: Force = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Decode .cae files; the output's extension names the format (PNG if none is given)."""
    from caesura.cli import batch, pictures
    from caesura.cli.files import STREAM
    from caesura.cli.jobs import Decode
    from caesura.cli.plan import Kind, plan
    from caesura.cli.report import Manner

    suffix = ".png" if kind is None else f".{kind.lower()}"
    writer = pictures.writer(suffix)
    cae = Kind(".cae files", lambda path: path.suffix.lower() == ".cae")
    tasks = plan(inputs, output, suffix, cae, recursive=recursive, force=force)
    named = [task.target.suffix for task in tasks if not task.error and task.target != STREAM]
    if kind is None and named:  # names that were made up here end alike; OUT may end otherwise, of one file
        writer = pictures.writer(named[0])
    batch.run(tasks, Decode(writer), Manner(jobs, as_json, dry_run, recursive))
