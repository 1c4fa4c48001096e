"""The commands `info`, `compare` and `models`."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caesura.errors import CaesuraError, ImageError
from caesura.models import bundle, ladder
from caesura.models.manifest import read_manifest
from caesura.picture import files

if TYPE_CHECKING:
    from caesura.picture.pixels import Pixels


def info(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A .cae file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show size, quality and model of a .cae file, without decoding it."""
    from caesura.format import container

    data = files.read(path)
    header = container.read_header(data, max_pixels=container.MAX_SIDE**2)  # no pixels are allocated
    installed = [folder for folder, model_id in bundle.known() if model_id == header.model_id]
    scale = read_manifest(installed[0])["quality_scale"] if installed else [(1, 1), (100, 100)]
    facts = {
        "file": str(path),
        "bytes": len(data),
        "width": header.width,
        "height": header.height,
        "colour": ("grey" if header.colours == 1 else "RGB")
        + (" with transparency" if header.channels > header.colours else ""),
        "bpp": round(8 * len(data) / (header.width * header.height), 4),
        "quality": ladder.quality_of(header.ladder_position, scale),
        "model": f"{header.model_id:08x} ({installed[0].name if installed else 'not installed'})",
    }
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        for name, value in facts.items():
            typer.echo(f"{name:8} {value}")


def compare(
    original: Annotated[Path, typer.Argument(metavar="ORIGINAL", help="The original picture.")],
    coded: Annotated[
        Path,
        typer.Argument(
            metavar="ENCODED", help="The encoded picture: a .cae file, or any format that Pillow reads."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show bits per pixel, PSNR and MS-SSIM of an encoded picture.

    Both pictures are converted to 8-bit grey or RGB as by `caesura encode`. Colours of pixels that are fully
    transparent in the original are left out of the comparison. The largest difference of alpha is shown.
    """
    import numpy as np

    from caesura import metrics
    from caesura.picture import pixels

    data = files.read(coded)
    before, transparency = _pixels(files.read(original), original)
    after, found = _pixels(data, coded)
    (height, width, _), (high, wide, _) = before.shape, after.shape
    if (height, width) != (high, wide):
        sizes = f"{original} has {width} x {height} pixels and {coded} {wide} x {high}"
        raise ImageError(f"{sizes}; equal sizes are needed")
    if before.shape != after.shape:
        before, after = pixels.to_rgb(before), pixels.to_rgb(after)
    facts: dict[str, float | None] = {
        "bytes": len(data),
        "bpp": metrics.bits_per_pixel(len(data), width, height),
        "psnr": metrics.seen_psnr(before, transparency)(after),
    }
    if transparency is not None or found is not None:
        one, other = (
            np.int16(255) if plane is None else plane.astype(np.int16) for plane in (transparency, found)
        )
        facts["alpha"] = int(np.abs(one - other).max())
    equal = facts["psnr"] == math.inf
    try:
        facts["ms_ssim"] = metrics.seen_ms_ssim(before, transparency)(after)
    except ImageError:  # too small for five scales
        if min(height, width) > 160:
            raise
    if as_json:
        typer.echo(json.dumps(facts | {"psnr": None} if equal else facts))
        return
    typer.echo(f"bytes    {facts['bytes']}\nbpp      {facts['bpp']:.4f}\nPSNR     {facts['psnr']:.2f} dB")
    typer.echo(
        f"MS-SSIM  {facts['ms_ssim']:.5f}" if "ms_ssim" in facts else "MS-SSIM  needs sides above 160 pixels"
    )
    if "alpha" in facts:
        typer.echo(f"alpha    differs by at most {facts['alpha']}" if facts["alpha"] else "alpha    equal")


def _pixels(data: bytes, path: Path) -> tuple[Pixels, Pixels | None]:
    """The colours and alpha of a picture, upright, converted as for encoding; prints warnings to stderr."""
    from caesura import codec
    from caesura.format.chunks import SIGNATURE
    from caesura.format.container import MAX_PIXELS
    from caesura.picture import convert, formats, pixels

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            if data.startswith(SIGNATURE):
                picture = codec.decode(data)
            else:
                picture = convert.codable(formats.opened(data, str(path), MAX_PIXELS))
            planes = pixels.split(convert.upright(picture))
        except CaesuraError as error:
            raise error if str(path) in str(error) else type(error)(f"{path}: {error}") from error
    for warning in caught:
        typer.echo(f"caesura: warning: {path}: {' '.join(str(warning.message).split())}", err=True)
    return planes


def models() -> None:
    """List the installed model bundles."""
    for folder in bundle.folders():
        try:
            model = bundle.load(folder)
        except CaesuraError as error:
            typer.echo(f"caesura: {error}", err=True)
            continue
        figures = model.manifest.get("figures", {})
        work = model.manifest.get("work", {})
        low, high = model.quality_scale[0][0], model.quality_scale[-1][0]
        default = "  (default)" if model.name == bundle.DEFAULT else ""
        typer.echo(f"{model.name}  id {model.id:08x}  {model.size / 1e6:.1f} MB  {folder}{default}")
        facts = {
            "work": ", ".join(f"{name} {value} kMAC/pixel" for name, value in work.items()),
            "qualities": f"{low:g} to {high:g}",
            **figures,
            "data": model.manifest.get("data"),
            "licence": model.manifest.get("licence"),
        }
        for name, value in facts.items():
            if value:
                typer.echo(f"    {name}: {value}")
