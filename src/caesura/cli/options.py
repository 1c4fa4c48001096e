"""Options that several commands have, told alike."""

from __future__ import annotations

from typing import Annotated

import typer

from caesura.models import ladder as rate

Quality = Annotated[
    float | None,
    typer.Option(
        "--quality",
        "-q",
        min=1,
        max=100,
        help="1 (smallest) to 100 (best), continuous.",
        show_default=f"{rate.DEFAULT_QUALITY:g}",
    ),
]
BitsPerPixel = Annotated[
    float | None, typer.Option("--bpp", metavar="X", help="The best quality in so many bits per pixel.")
]
Model = Annotated[str, typer.Option(help="Name or folder of a model bundle.")]
Tune = Annotated[
    str | None,
    typer.Option(help="psnr for the model trained for PSNR.", show_default="the one tuned for the eye"),
]
Strip = Annotated[
    bool, typer.Option("--strip", help="Leave out colour profile, EXIF and XMP; apply the orientation.")
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse animations, samples of more than 8 bits and HDR colours instead of coding a part.",
    ),
]
Exact = Annotated[bool, typer.Option("--exact", help="Keep the colours of fully transparent pixels.")]
MaxPixels = Annotated[int, typer.Option("--max-pixels", metavar="N", min=1, help="Refuse larger pictures.")]
