"""Options that several commands have in common."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from caesura.coding.base import MAX_EFFORT, MIN_EFFORT
from caesura.errors import ConfigError
from caesura.models import ladder

if TYPE_CHECKING:
    from caesura.ratecontrol.search import Target


def _not_nan(value: float | None) -> float | None:
    """The value; NaN passes Typer's check of the range."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is not in the range 1<=x<=100.")
    return value


Quality = Annotated[
    float | None,
    typer.Option(
        "--quality",
        "-q",
        metavar="Q",
        min=1,
        max=100,
        callback=_not_nan,
        help="Quality, 1 (smallest file) to 100 (best); decimals are allowed.",
        show_default=f"{ladder.DEFAULT_QUALITY:g}",
    ),
]
Bpp = Annotated[
    float | None,
    typer.Option(
        "--bpp", metavar="X", help="Maximum file size in bits per pixel; the best quality that fits."
    ),
]
Model = Annotated[
    str, typer.Option(metavar="NAME", help="Name or folder of a model bundle; `caesura models` lists them.")
]
Tune = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="psnr: use the model trained for PSNR.", show_default="visual quality"),
]
Effort = Annotated[
    int,
    typer.Option(
        "--effort",
        "-e",
        metavar="E",
        min=MIN_EFFORT,
        max=MAX_EFFORT,
        help="Encoder effort, 1 (fastest) to 9 (smallest file; needs PyTorch, takes minutes). "
        "Decoding time does not change.",
    ),
]
Strip = Annotated[
    bool,
    typer.Option("--strip", help="Leave out ICC profile, EXIF and XMP; apply the EXIF orientation."),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse animations, samples of more than 8 bits and HDR colours, which are otherwise reduced "
        "with a warning.",
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Keep the colours of fully transparent pixels; otherwise colours that cost fewer bytes "
        "replace them.",
    ),
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", metavar="N", min=1, help="Refuse pictures of more than N pixels.")
]


def target(
    quality: float | None,
    *,
    size: int | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    ms_ssim: float | None = None,
) -> Target | None:
    """The rate-control target of the options given, None if there is none.

    Raises:
        ConfigError: several targets are given, or a quality as well.
    """
    from caesura.ratecontrol.search import Target

    if all(value is None for value in (size, bpp, psnr, ms_ssim)):
        return None
    wanted = Target(size, bpp, psnr, ms_ssim)
    if quality is not None:
        raise ConfigError(f"quality and {wanted.name} are given; one of them is allowed")
    return wanted
