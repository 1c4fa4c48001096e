"""The pictures that are coded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from caesura import image
from caesura.bench.codecs import Pixels
from caesura.errors import ConfigError, DependencyError

_SUFFIXES = frozenset({".png", ".ppm", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".webp"})
_SAMPLES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
QUICK = 4
_QUICK_SIDES = 768, 512


@dataclass(frozen=True)
class Photo:
    """A picture's file.

    Attributes:
        name: as reports show it.
        path: of the file.
        sha256: of its bytes.
        width, height: in pixels, of what is coded.
        cut: the part that is coded: left, upper, right, lower; None for all of it.
    """

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    cut: tuple[int, int, int, int] | None = None

    @property
    def key(self) -> dict[str, object]:
        """What the pixels depend on."""
        return {"sha256": self.sha256, "cut": list(self.cut) if self.cut else None}

    def pixels(self) -> Pixels:
        """uint8 (height, width, 3)."""
        pixels = image.to_rgb(image.to_pixels(image.open_image(self.path)))
        if self.cut:
            left, upper, right, lower = self.cut
            pixels = pixels[upper:lower, left:right]
        return np.ascontiguousarray(pixels)


def find(folder: Path | None, *, quick: bool) -> list[Photo]:
    """The pictures under a folder, or scikit-image's; if `quick`, four of them, cut to 768 x 512.

    Raises:
        ConfigError: there are none, or no folder is given for a run that is not quick.
        ImageError: one cannot be read.
    """
    if folder is None:
        if not quick:
            raise ConfigError("no folder of pictures is given; only --quick can do without")
        paths = _samples()
        folder = paths[0].parent
    else:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
    if not paths:
        raise ConfigError(f"{folder} holds no pictures ({', '.join(sorted(_SUFFIXES))})")
    if quick and len(paths) > QUICK:
        paths = [paths[round(number * (len(paths) - 1) / (QUICK - 1))] for number in range(QUICK)]
    return [_photo(path, path.relative_to(folder).as_posix(), quick) for path in paths]


def largest(photos: Sequence[Photo]) -> Photo:
    """The one of the most pixels, the first of several."""
    return max(photos, key=lambda photo: photo.width * photo.height)


def _photo(path: Path, name: str, quick: bool) -> Photo:
    with image.readable(f"{path} cannot be read as a picture: "):
        with Image.open(path) as picture:
            width, height = picture.size
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    long, short = _QUICK_SIDES
    sides = (long, short) if width >= height else (short, long)
    if not quick or width * height <= long * short:
        return Photo(name, path, digest, width, height)
    columns, rows = min(width, sides[0]), min(height, sides[1])
    left, upper = (width - columns) // 2, (height - rows) // 2
    return Photo(name, path, digest, columns, rows, (left, upper, left + columns, upper + rows))


def _samples() -> list[Path]:
    try:
        from skimage import data
    except ImportError as error:
        raise DependencyError("scikit-image is not installed; pip install 'caesura[bench]'") from error
    return [Path(data.__file__).parent / name for name in _SAMPLES]
