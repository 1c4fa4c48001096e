"""How much models tint grey pictures that are stored as RGB, in levels of 255.

    python -m benchmarks.tint [FILE ...] [--model photo] [--bpp 0.25]

Files are coded without their colours. By default, grey photographs of scikit-image are, none of which is in
the training data. The tint of a decoded picture is the mean absolute difference of red and blue from green.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import benchmarks
from caesura import codec
from caesura.bench.codecs import Pixels
from caesura.bench.photos import skimage_data
from caesura.models.bundle import DEFAULT
from caesura.picture.loading import open_image
from caesura.picture.pixels import to_rgb
from caesura.ratecontrol.search import Target

_SAMPLES = ("brick", "camera", "coins", "grass", "gravel", "page")


def main() -> None:
    """Parse arguments, measure and print a table."""
    parser = benchmarks.parser("tint", __doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="picture")
    parser.add_argument("--model", action="append", help="name or folder of a bundle; may be repeated")
    parser.add_argument("--bpp", type=float, default=0.25, help="bits per pixel of whole files")
    arguments = parser.parse_args()
    models = arguments.model or [DEFAULT]
    pictures = [(path.name, grey(path)) for path in arguments.files] or list(samples())
    table = Table("picture", *models)
    for name, pixels in track(pictures, "pictures"):
        table.add_row(name, *(f"{tint(decoded(pixels, model, arguments.bpp)):.1f}" for model in models))
    Console().print(table)


def tint(pixels: Pixels) -> float:
    """Mean absolute difference of red and blue from green, in levels; `pixels` uint8 (H, W, 3)."""
    levels = pixels.astype(int)
    return float(np.abs(levels[..., ::2] - levels[..., 1:2]).mean())


def decoded(pixels: Pixels, model: str, bpp: float) -> Pixels:
    """A picture after coding at `bpp` bits per pixel: uint8 (H, W, 3) in and out."""
    return to_rgb(codec.decode_array(codec.encode(pixels, target=Target(bpp=bpp), model=model)))


def grey(path: Path) -> Pixels:
    """The luma of a picture in all three channels: uint8 (H, W, 3)."""
    return np.asarray(open_image(path).convert("L").convert("RGB"))


def samples() -> Iterator[tuple[str, Pixels]]:
    """Names and pixels of grey photographs of scikit-image, in three channels.

    Raises:
        DependencyError: scikit-image is not installed.
    """
    data = skimage_data()
    for name in _SAMPLES:
        yield name, to_rgb(np.asarray(getattr(data, name)())[..., None])


if __name__ == "__main__":
    main()
