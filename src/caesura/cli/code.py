"""The commands that code pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caesura import metadata, rate
from caesura import model as bundles
from caesura.cli import files
from caesura.errors import CaesuraError

if TYPE_CHECKING:
    from PIL import Image

# Decoding should not code a second time where the format allows it.
_FAITHFUL: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 97, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 97, "subsampling": "4:4:4"},
}

Inputs = Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures to read.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="OUT", help="File, or folder for several. [default: beside IN]"),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace outputs that are there already.")]


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
    force: Force = False,
) -> None:
    """Code pictures as .cae files."""
    from rich.progress import Progress

    from caesura import codec, image, metrics

    targets = files.outputs(inputs, output, ".cae")

    def one(path: Path, target: Path) -> str:
        with image.open_image(path) as picture, Progress(transient=True, disable=effort < 9) as progress:
            task = progress.add_task(path.name)
            data = codec.encode(
                picture,
                quality=quality,
                model=model,
                tune=tune,
                effort=effort,
                strip=strip,
                strict=strict,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
            bpp = metrics.bits_per_pixel(len(data), picture.width, picture.height)
        files.write(target, data, force=force)
        return f"{target}  {len(data)} bytes  {bpp:.3f} bpp"

    _each(inputs, targets, one)


def decode(inputs: Inputs, output: Output = None, force: Force = False) -> None:
    """Decode .cae files; the output's extension names the format (PNG if none is given)."""
    from PIL import Image

    from caesura import codec

    targets = files.outputs(inputs, output, ".png")

    def one(path: Path, target: Path) -> str:
        suffix = target.suffix.lower()
        kind = Image.registered_extensions().get(suffix)
        if kind is None or kind not in Image.SAVE or suffix == ".cae":
            raise files.FileError(
                f"{target}: {target.suffix or 'no extension'} is not a picture format known here"
            )
        picture = codec.decode(files.read(path))
        out = io.BytesIO()
        try:
            picture.save(out, kind, **_FAITHFUL.get(kind, {}), **_kept(picture, kind))
        except (OSError, ValueError, KeyError) as error:
            raise files.FileError(f"{target}: {kind} cannot hold this picture: {error}") from error
        files.write(target, out.getvalue(), force=force)
        return f"{target}  {picture.width} x {picture.height}"

    _each(inputs, targets, one)


def _kept(picture: Image.Image, kind: str) -> dict[str, Any]:
    """Metadata as `Image.save` takes it; formats that have no place for it leave it out."""
    kept: dict[str, Any] = dict(metadata.to_info(metadata.of_image(picture)))
    if kind == "PNG" and "xmp" in kept:
        from PIL.PngImagePlugin import PngInfo

        kept["pnginfo"] = PngInfo()
        kept["pnginfo"].add_itxt("XML:com.adobe.xmp", kept["xmp"].decode("utf-8", "replace"))
    return kept


def _each(inputs: list[Path], targets: list[Path], one: Callable[[Path, Path], str]) -> None:
    """Do one file after another; a bad one is reported and the rest go on. Exit status 1 if any was bad."""
    bad = 0
    for path, target in zip(inputs, targets, strict=True):
        try:
            with files.warnings_as_lines(path):
                line = one(path, target)
            typer.echo(line)
        except CaesuraError as error:
            bad += 1
            message = str(error)
            typer.echo(f"caesura: {message if str(path) in message else f'{path}: {message}'}", err=True)
    if bad:
        raise typer.Exit(1)
