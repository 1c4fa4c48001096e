"""Crops at 1:1 of whole pictures coded at equal bytes: the original, ours, and AVIF tuned for the eye.

python -m benchmarks.crops [FILE@X,Y ...] [--out docs/crops.png] [--bpp 0.25] [--side 256] [--model photo]

Each FILE@X,Y is a picture and the upper left corner of its crop. Without any, photographs that scikit-image
packages are taken, none of which is in the training data: skin, hair, fur, foliage, text and sky.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.progress import track

from caesura import codec
from caesura.bench.codecs import AVIF_IQ, Pixels
from caesura.bench.matched import encode_within
from caesura.errors import ConfigError, DependencyError
from caesura.models.bundle import DEFAULT
from caesura.picture.loading import open_image
from caesura.picture.pixels import to_pixels, to_rgb
from caesura.ratecontrol.search import Target

_LINE, _GAP = 24, 6
_SAMPLES = (
    ("skin and hair", "astronaut", 110, 10),
    ("fur", "chelsea", 100, 30),
    ("foliage", "grass", 128, 128),
    ("text", "page", 20, 0),
    ("sky", "rocket", 190, 60),
)


class Crop(NamedTuple):
    """A picture, uint8 (H, W, 3), and the upper left corner of the part that is shown."""

    name: str
    pixels: Pixels
    x: int
    y: int


def main() -> None:
    """Read arguments, code, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crops", description=__doc__)
    parser.add_argument("crops", nargs="*", metavar="FILE@X,Y")
    parser.add_argument("--out", type=Path, default=Path("docs/crops.png"))
    parser.add_argument("--bpp", type=float, default=0.25, help="bits per pixel of whole files")
    parser.add_argument("--side", type=int, default=256, help="side of a crop, in pixels")
    parser.add_argument("--model", default=DEFAULT, help="name or folder of a bundle")
    arguments = parser.parse_args()
    crops = [_named(text) for text in arguments.crops] or list(samples())
    page(crops, arguments.bpp, arguments.side, arguments.model).save(arguments.out, optimize=True)
    print(arguments.out)


def page(crops: Sequence[Crop], bpp: float, side: int, model: str = DEFAULT) -> Image.Image:
    """A row for each crop: the original, ours at `bpp` bits per pixel, and AVIF at no more than its bytes."""
    width = 3 * (side + _GAP) - _GAP
    sheet = Image.new("RGB", (width, len(crops) * (side + _LINE + _GAP)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, crop in enumerate(track(crops, "crops")):
        top = row * (side + _LINE + _GAP)
        ours = codec.encode(crop.pixels, target=Target(bpp=bpp), model=model)
        avif = encode_within(AVIF_IQ, crop.pixels, len(ours), 0, 100)
        shown = (
            (f"{crop.name}: original", crop.pixels),
            (f"caesura, {len(ours)} bytes", to_rgb(codec.decode_array(ours))),
            (f"{AVIF_IQ.name}, {len(avif)} bytes", AVIF_IQ.decode(avif)),
        )
        for column, (label, pixels) in enumerate(shown):
            left = column * (side + _GAP)
            part = np.ascontiguousarray(pixels[crop.y : crop.y + side, crop.x : crop.x + side])
            sheet.paste(Image.fromarray(part), (left, top + _LINE))
            draw.text((left, top + 5), label, "black", font)
    return sheet


def samples() -> Iterator[Crop]:
    """Crops of photographs that scikit-image packages.

    Raises:
        DependencyError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise DependencyError("scikit-image is not installed; pip install 'caesura[bench]'") from error
    for name, photo, x, y in _SAMPLES:
        pixels = np.asarray(getattr(data, photo)())
        yield Crop(name, pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2), x, y)


def _named(text: str) -> Crop:
    path, _, corner = text.rpartition("@")
    try:
        x, y = (int(number) for number in corner.split(","))
    except ValueError as error:
        raise ConfigError(f"crop is {text!r}; a file, @, and the crop's corner X,Y are allowed") from error
    return Crop(Path(path).stem, to_rgb(to_pixels(open_image(Path(path)))), x, y)


if __name__ == "__main__":
    main()
