"""The commands that code pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caesura.cli.options import BitsPerPixel, Exact, MaxPixels, Model, Quality, Strict, Strip, Tune
from caesura.errors import ConfigError
from caesura.format.container import MAX_PIXELS
from caesura.models import bundle as bundles
from caesura.models import ladder as rate


def _path(text: str) -> Path:
    """A path; whether it can be read is found out, and told, with those of the other files."""
    if not text:
        raise typer.BadParameter("it is empty; a file, a folder or - is allowed")
    return Path(text)


Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="IN...", parser=_path, help="Files, folders with -r, or - for stdin."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="File, folder with a / at its end or for several, or - for stdout.",
        show_default="beside IN; stdout if that is stdin",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace outputs that are there already.")]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Take folders, mirrored in OUT; results that are there and not older than their source are "
        "skipped.",
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Files coded side by side.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object a file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def encode(
    inputs: Inputs,
    output: Output = None,
    quality: Quality = None,
    size: Annotated[
        int | None, typer.Option("--bytes", metavar="N", help="The best quality in so many bytes.")
    ] = None,
    bpp: BitsPerPixel = None,
    psnr: Annotated[
        float | None, typer.Option("--psnr", metavar="DB", help="The smallest file of at least this PSNR.")
    ] = None,
    ms_ssim: Annotated[
        float | None,
        typer.Option("--ms-ssim", metavar="X", help="The smallest file of at least this MS-SSIM."),
    ] = None,
    model: Model = bundles.DEFAULT,
    tune: Tune = None,
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
    strip: Strip = False,
    strict: Strict = False,
    exact: Exact = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    force: Force = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Code pictures as .cae files."""
    from caesura.batch import run as batch
    from caesura.batch.jobs import Encode
    from caesura.batch.plan import CODED, Kind, plan
    from caesura.batch.report import Manner
    from caesura.picture import formats as pictures
    from caesura.ratecontrol.search import Target

    target = None
    if any(value is not None for value in (size, bpp, psnr, ms_ssim)):
        target = Target(size, bpp, psnr, ms_ssim)
        if quality is not None:
            raise ConfigError(f"quality and {target.name} are given; one of them is allowed")
    kind = Kind("pictures", pictures.is_picture)
    todo = plan(inputs, output, CODED, kind, recursive=recursive, force=force)
    job = Encode(quality, target, model, tune, effort, strip, strict, max_pixels, exact)
    batch.run(todo, job, Manner(jobs, as_json, dry_run, recursive))


def decode(
    inputs: Inputs,
    output: Output = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="png, jpg, webp, tiff or avif.",
            show_default="as OUT, or png",
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="X,Y,W,H", help="Only this part, in pixels.")
    ] = None,
    scale: Annotated[
        str, typer.Option("--scale", metavar="1/N", help="A preview: 1/2, 1/4 or 1/8 of the sides.")
    ] = "1",
    recover: Annotated[
        bool, typer.Option("--recover", help="Decode what is left of damaged files, make up the rest.")
    ] = False,
    strip: Strip = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    force: Force = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Decode .cae files. The output's extension names the format (PNG if none is given)."""
    from caesura.batch import run as batch
    from caesura.batch.jobs import Decode
    from caesura.batch.plan import CODED, Kind, plan
    from caesura.batch.report import Manner
    from caesura.picture import formats as pictures
    from caesura.picture.files import STREAM, is_device

    suffix = ".png" if kind is None else f".{kind.lower()}"
    writer = pictures.writable_format(suffix)
    cae = Kind(f"{CODED} files", lambda path: path.suffix.lower() == CODED)
    todo = plan(inputs, output, suffix, cae, recursive=recursive, force=force)
    targets = [task.target for task in todo.tasks if not task.error]
    named = [target.suffix for target in targets if target != STREAM and not is_device(target)]
    if kind is None and named:  # names that were made up here end alike; OUT may end otherwise, of one file
        writer = pictures.writable_format(named[0])
    if recover and (region is not None or scale != "1"):
        raise ConfigError("recover is given with a region or a scale; it takes the whole picture")
    job = Decode(writer, _region(region), _scale(scale), recover, strip, max_pixels)
    batch.run(todo, job, Manner(jobs, as_json, dry_run, recursive))


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
