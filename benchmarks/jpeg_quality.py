"""The quality of caesura that keeps what a JPEG has: the table of src/caesura/picture/jpeg_quality.py.

    python -m benchmarks.jpeg_quality PHOTOS [--subsampling 4:4:4] [--pictures 16] [--shrink 4]

Photographs that are held out of training are shrunk, so that they show no traces of their own coding. They
are saved as JPEGs, and the JPEGs are encoded. Results are compared with the photographs by mean SSIMULACRA 2.
In the table, "keeps" is the lowest quality whose results are at most 1 worse than the JPEGs. "Equal" is the
one at which caesura encodes the photographs themselves as well as the JPEGs are: encoding the JPEGs at that
quality loses more, since the losses of both add up.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

import benchmarks
from caesura import codec
from caesura.bench import quality as measures
from caesura.picture.loading import open_image
from caesura.picture.pixels import to_pixels, to_rgb
from caesura.train.prepare import SUFFIXES, is_validation

Pixels = NDArray[np.uint8]

IJG_QUALITIES = (10, 20, 30, 50, 70, 80, 90, 95)
QUALITIES = (1, 10, 20, 30, 40, 50, 60, 72, 86, 100)  # between them, "equal" is interpolated
_LOSS = 1.0  # of SSIMULACRA 2, that "keeps" allows


def main() -> None:
    """Parse arguments, measure and print a table."""
    parser = benchmarks.parser("jpeg_quality", __doc__)
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("--subsampling", default="4:4:4", help="of the JPEGs' colours")
    parser.add_argument("--pictures", type=int, default=16, help="maximum number of photographs")
    parser.add_argument("--shrink", type=int, default=4, help="factor by which sides are shrunk")
    arguments = parser.parse_args()
    photos = shrunk(arguments.photos, arguments.pictures, arguments.shrink)
    print(f"{len(photos)} photographs, JPEG {arguments.subsampling}")
    print("| IJG quality | SSIMULACRA 2 | equal | keeps |\n|---|---|---|---|")
    curve = [_mean(photos, _coded(photos, quality)) for quality in track(QUALITIES, transient=True)]
    for ijg in track(IJG_QUALITIES, transient=True):
        score, keeps = measure(photos, ijg, arguments.subsampling)
        print(f"| {ijg} | {score:.1f} | {np.interp(score, curve, QUALITIES):.0f} | {keeps} |", flush=True)


def shrunk(folder: Path, most: int, factor: int) -> list[Pixels]:
    """Held-out photographs of a folder tree, uint8 (H, W, 3) each, shrunk by a factor."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    pictures = [open_image(path) for path in [path for path in found if is_validation(path.name)][:most]]
    rgbs = [Image.fromarray(to_rgb(to_pixels(picture))) for picture in pictures]
    sizes = [(rgb.width // factor, rgb.height // factor) for rgb in rgbs]
    resized = [rgb.resize(size, Image.Resampling.LANCZOS) for rgb, size in zip(rgbs, sizes, strict=True)]
    return [np.asarray(rgb) for rgb in resized]


def measure(photos: Sequence[Pixels], ijg: int, subsampling: str) -> tuple[float, int]:
    """Mean SSIMULACRA 2 of the photographs as JPEGs of an IJG quality, and the quality that keeps it."""
    jpegs = [_as_jpeg(photo, ijg, subsampling) for photo in photos]
    score = _mean(photos, jpegs)
    return score, lowest(lambda quality: _mean(photos, _coded(jpegs, quality)) >= score - _LOSS)


def lowest(is_enough: Callable[[int], bool]) -> int:
    """The lowest quality, 1 to 100, that is enough, where all above it are; 100 if none is."""
    low, high = 1, 100
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low


def _as_jpeg(photo: Pixels, ijg: int, subsampling: str) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=ijg, subsampling=subsampling)
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def _coded(pictures: Sequence[Pixels], quality: int) -> list[Pixels]:
    files = [codec.encode(picture, quality=quality) for picture in pictures]
    return [to_rgb(codec.decode_array(file)) for file in files]


def _mean(photos: Sequence[Pixels], coded: Sequence[Pixels]) -> float:
    scores = [measures.ssimulacra2(*pair) for pair in zip(photos, coded, strict=True)]
    return float(np.mean([score for score in scores if score is not None]))


if __name__ == "__main__":
    main()
