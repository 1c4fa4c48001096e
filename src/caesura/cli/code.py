"""The commands `encode` and `decode`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caesura.cli.options import Bpp, Effort, Exact, MaxPixels, Model, Quality, Strict, Strip, Tune, target
from caesura.coding.base import DEFAULT_EFFORT
from caesura.errors import ConfigError
from caesura.format.container import MAX_PIXELS
from caesura.models import bundle

if TYPE_CHECKING:
    from caesura.batch.jobs import Job
    from caesura.batch.tasks import Plan


def _path(text: str) -> Path:
    """A path that need not exist: an unreadable input is reported with the other files' errors."""
    if not text:
        raise typer.BadParameter("it is empty; a file, a folder or - is allowed")
    return Path(text)


Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="IN...", parser=_path, help="Files, folders (with -r), or - for stdin."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="Output file, or folder (with a trailing /, or for several inputs), or - for stdout.",
        show_default="beside IN; stdout if IN is stdin",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Read folders and their subfolders, mirrored in OUT; skip files whose output is up to date.",
    ),
]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Number of files processed in parallel.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and write nothing.")]


def encode(
    inputs: Inputs,
    output: Output = None,
    quality: Quality = None,
    size: Annotated[
        int | None,
        typer.Option("--bytes", metavar="N", help="Maximum file size in bytes; the best quality that fits."),
    ] = None,
    bpp: Bpp = None,
    psnr: Annotated[
        float | None,
        typer.Option("--psnr", metavar="DB", help="Minimum PSNR in dB; the smallest file that reaches it."),
    ] = None,
    ms_ssim: Annotated[
        float | None,
        typer.Option("--ms-ssim", metavar="X", help="Minimum MS-SSIM; the smallest file that reaches it."),
    ] = None,
    model: Model = bundle.DEFAULT,
    tune: Tune = None,
    effort: Effort = DEFAULT_EFFORT,
    strip: Strip = False,
    strict: Strict = False,
    exact: Exact = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    no_larger: Annotated[
        bool,
        typer.Option(
            "--no-larger",
            help="Keep the original where the .cae file would not be smaller: write nothing, or a copy of "
            "the original if OUT is a folder or stdout.",
        ),
    ] = False,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    force: Force = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Encode pictures to .cae files."""
    from caesura.batch.jobs import Encode
    from caesura.batch.plan import plan
    from caesura.batch.tasks import CODED, Kind
    from caesura.options import EncodeOptions
    from caesura.picture import formats

    options = EncodeOptions(
        quality=quality,
        target=target(quality, size=size, bpp=bpp, psnr=psnr, ms_ssim=ms_ssim),
        model=model,
        tune=tune,
        effort=effort,
        strip=strip,
        strict=strict,
        exact=exact,
        max_pixels=max_pixels,
    )
    if no_larger and strip:
        raise ConfigError("no_larger is given with strip; originals are kept with their metadata")
    kind = Kind("pictures", formats.is_picture)
    todo = plan(inputs, output, CODED, kind, recursive=recursive, force=force, no_larger=no_larger)
    _run(todo, Encode(options), jobs, as_json, dry_run, recursive)


def decode(
    inputs: Inputs,
    output: Output = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Output format: png, jpg, webp, tiff or avif.",
            show_default="by OUT's extension, or png",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region", metavar="X,Y,W,H", help="Decode only the rectangle at X, Y of W x H pixels."
        ),
    ] = None,
    scale: Annotated[
        str,
        typer.Option("--scale", metavar="1/N", help="Decode at 1/2, 1/4 or 1/8 of the width and height."),
    ] = "1",
    recover: Annotated[
        bool,
        typer.Option(
            "--recover",
            help="Decode damaged files as far as possible; lost parts are concealed (filled in from around).",
        ),
    ] = False,
    strip: Strip = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    force: Force = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Decode .cae files to pictures."""
    from caesura.batch.jobs import Decode
    from caesura.batch.plan import plan
    from caesura.batch.tasks import CODED, Kind, is_coded
    from caesura.picture import formats
    from caesura.picture.files import STREAM, is_device

    suffix = ".png" if kind is None else f".{kind.lower()}"
    writer = formats.writable_format(suffix)
    coded = Kind(f"{CODED} files", is_coded)
    todo = plan(inputs, output, suffix, coded, recursive=recursive, force=force)
    targets = [task.target for task in todo.tasks if not task.error]
    named = [path.suffix for path in targets if path != STREAM and not is_device(path)]
    if kind is None and named:  # generated names end in .png; a file named by OUT may have another extension
        writer = formats.writable_format(named[0])
    if recover and (region is not None or scale != "1"):
        raise ConfigError("recover is given with a region or a scale; it needs the whole picture")
    job = Decode(writer, _region(region), _scale(scale), recover, strip, max_pixels)
    _run(todo, job, jobs, as_json, dry_run, recursive)


def _run(todo: Plan, job: Job, jobs: int, as_json: bool, dry_run: bool, recursive: bool) -> None:
    from caesura.batch.report import BatchOptions
    from caesura.batch.run import run

    if not run(todo, job, BatchOptions(jobs, as_json, dry_run, summary=recursive)):
        raise typer.Exit(1)


def _region(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise ConfigError(f"region is {text!r}; X,Y,WIDTH,HEIGHT in pixels are allowed, as 100,50,640,480")
    x, y, width, height = map(int, parts)
    return x, y, width, height


def _scale(text: str) -> int:
    part = text.removeprefix("1/")
    if not part.isdecimal():
        raise ConfigError(f"scale is {text!r}; 1, 1/2, 1/4 and 1/8 are allowed")
    return int(part)
