"""Draws crops of pictures coded at the same size: the original, caesura, and AVIF tuned for image quality.

    python -m benchmarks.crops [FILE@X,Y ...] [--out docs/crops.png] [--bpp 0.25] [--side 256] [--model photo]

FILE@X,Y is a picture and the upper left corner of the crop. By default, crops of photographs of scikit-image
are drawn, none of which is in the training data: skin, hair, fur, foliage, text and sky.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.progress import track

import benchmarks
from caesura import codec
from caesura.bench.codecs import AVIF_IQ, Pixels
from caesura.bench.matched import encode_within
from caesura.bench.photos import skimage_data
from caesura.errors import ConfigError
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
    """A picture, uint8 (H, W, 3), and the upper left corner of the part that is drawn."""

    name: str
    pixels: Pixels
    x: int
    y: int


def main() -> None:
    """Parse arguments, code and draw."""
    parser = benchmarks.parser("crops", __doc__)
    parser.add_argument("crops", nargs="*", metavar="FILE@X,Y", help="picture and corner of a crop")
    parser.add_argument("--out", type=Path, default=Path("docs/crops.png"), help="file that is written")
    parser.add_argument("--bpp", type=float, default=0.25, help="bits per pixel of whole files")
    parser.add_argument("--side", type=int, default=256, help="side of a crop, in pixels")
    parser.add_argument("--model", default=DEFAULT, help="name or folder of a bundle")
    arguments = parser.parse_args()
    crops = [_named(text) for text in arguments.crops] or list(samples())
    page(crops, arguments.bpp, arguments.side, arguments.model).save(arguments.out, optimize=True)
    print(arguments.out)


def page(crops: Sequence[Crop], bpp: float, side: int, model: str = DEFAULT) -> Image.Image:
    """A row for each crop: the original, caesura at `bpp` bits per pixel, and AVIF at most at that size."""
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
    """Crops of photographs of scikit-image.

    Raises:
        DependencyError: scikit-image is not installed.
    """
    data = skimage_data()
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
