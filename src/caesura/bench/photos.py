"""The pictures that a benchmark codes."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caesura.bench.codecs import Pixels
from caesura.errors import CaesuraError, ConfigError, DependencyError, ImageError
from caesura.format.container import MAX_PIXELS
from caesura.picture import formats
from caesura.picture.convert import codable
from caesura.picture.pixels import over_white, split, to_rgb

_SAMPLES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
QUICK = 4
_QUICK_SIDES = 768, 512


@dataclass(frozen=True)
class Photo:
    """A picture to code: a file, or a part of it.

    Attributes:
        name: as reports show it.
        path: of the file.
        sha256: of its bytes.
        width, height: in pixels, of what is coded.
        cut: the part that is coded as (left, upper, right, lower); None for the whole picture.
    """

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    cut: tuple[int, int, int, int] | None = None

    @property
    def key(self) -> dict[str, object]:
        """What the pixels depend on, as a key of the cache."""
        return {"sha256": self.sha256, "cut": list(self.cut) if self.cut else None}

    def pixels(self) -> Pixels:
        """uint8 (height, width, 3)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # `find` has reported them
            pixels = read(self.path)
        if self.cut:
            left, upper, right, lower = self.cut
            pixels = pixels[upper:lower, left:right]
        return np.ascontiguousarray(pixels)


def find(
    folder: Path | None, *, quick: bool, remark: Callable[[str, str], None] = lambda name, reason: None
) -> list[Photo]:
    """The pictures in a folder and its subfolders; with `quick`, four of them, cut to 768 x 512.

    Formats are those of `caesura encode`, converted in the same way: CMYK to sRGB, 16 bits to 8, the first of
    several frames. Transparent pictures are blended over white, since all codecs are measured on RGB.

    Args:
        folder: of pictures; with `quick`, None for photographs of scikit-image.
        quick: take four pictures, spread over the sorted names, and cut them.
        remark: called with the name of a picture and the reason why it, or a part of it, is left out.

    Raises:
        ConfigError: there are no pictures, or no folder is given without `quick`.
    """
    if folder is None:
        if not quick:
            raise ConfigError(
                "no folder of pictures is given; it is optional with --quick alone or with --drawn"
            )
        folder = Path(skimage_data().__file__).parent
        paths = [folder / name for name in _SAMPLES]
    else:
        paths = sorted(p for p in folder.rglob("*") if formats.is_picture(p) and p.is_file())
    if not paths:
        raise ConfigError(f"{folder} holds no pictures")
    if quick and len(paths) > QUICK:
        paths = [paths[round(number * (len(paths) - 1) / (QUICK - 1))] for number in range(QUICK)]
    photos = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                photos.append(_photo(path, name, quick))
            except CaesuraError as error:
                remark(name, f"left out: {error}")
        for warning in caught:
            remark(name, str(warning.message))
    if not photos:
        raise ConfigError(f"{folder} holds no picture that can be coded, of {len(paths)}")
    return photos


def largest(photos: Sequence[Photo]) -> Photo:
    """The picture with the most pixels, the first of several."""
    return max(photos, key=lambda photo: photo.width * photo.height)


def read(path: Path) -> Pixels:
    """The pixels of a file as they are coded: uint8 (H, W, 3).

    Raises:
        ImageError: the file cannot be read or coded.

    Warns:
        UserWarning: a part of the picture is not coded.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error
    picture = codable(formats.opened(content, str(path), MAX_PIXELS))
    return to_rgb(over_white(*split(picture)))


def _photo(path: Path, name: str, quick: bool) -> Photo:
    height, width, _ = read(path).shape
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    long, short = _QUICK_SIDES
    sides = (long, short) if width >= height else (short, long)
    if not quick or width * height <= long * short:
        return Photo(name, path, digest, width, height)
    columns, rows = min(width, sides[0]), min(height, sides[1])
    left, upper = (width - columns) // 2, (height - rows) // 2
    return Photo(name, path, digest, columns, rows, (left, upper, left + columns, upper + rows))


def skimage_data() -> Any:
    """The module `skimage.data`, whose photographs are samples.

    Raises:
        DependencyError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        raise DependencyError("scikit-image is not installed; pip install 'caesura[bench]'") from error
    return data
