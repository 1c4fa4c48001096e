"""The pictures that are coded."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # `find` has told them
            pixels = read(self.path)
        if self.cut:
            left, upper, right, lower = self.cut
            pixels = pixels[upper:lower, left:right]
        return np.ascontiguousarray(pixels)


def find(
    folder: Path | None, *, quick: bool, tell: Callable[[str, str], None] = lambda name, reason: None
) -> list[Photo]:
    """The pictures under a folder, or scikit-image's; if `quick`, four of them, cut to 768 x 512.

    All that `caesura encode` takes is taken, and as it takes it: CMYK as sRGB, 8 of 16 bits, one of several
    frames; transparent pictures are laid over white, since the other codecs are measured on RGB.

    Args:
        folder: of pictures.
        quick: few and small ones.
        tell: called with the name of a picture, and why it is left out or what of it is.

    Raises:
        ConfigError: there are none, or no folder is given for a run that is not quick.
    """
    if folder is None:
        if not quick:
            raise ConfigError("no folder of pictures is given; only --quick can do without")
        paths = _samples()
        folder = paths[0].parent
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
                tell(name, f"left out: {error}")
        for warning in caught:
            tell(name, str(warning.message))
    if not photos:
        raise ConfigError(f"{folder} holds no picture that can be coded, of {len(paths)}")
    return photos


def largest(photos: Sequence[Photo]) -> Photo:
    """The one of the most pixels, the first of several."""
    return max(photos, key=lambda photo: photo.width * photo.height)


def read(path: Path) -> Pixels:
    """A picture as it is coded, whole: uint8 (H, W, 3).

    Raises:
        ImageError: it cannot be read or coded.

    Warns:
        UserWarning: a part of it is lost.
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


def _samples() -> list[Path]:
    try:
        from skimage import data
    except ImportError as error:
        raise DependencyError("scikit-image is not installed; pip install 'caesura[bench]'") from error
    return [Path(data.__file__).parent / name for name in _SAMPLES]
