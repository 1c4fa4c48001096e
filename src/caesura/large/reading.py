"""Picture files read in rows through libvips, with the same pixels and metadata as in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.errors import ImageError
from caesura.large import vips
from caesura.picture import (
    channels,
    colour,
    convert,
    exif,
    loading,
    metadata,
    read_metadata,
    source_info,
)
from caesura.picture.metadata import Metadata

Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]

INTERPRETATIONS = {1: "b-w", 2: "b-w", 3: "srgb", 4: "srgb"}  # of libvips, by number of channels
_FORMATS = ("JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")  # Pillow's names
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # of Pillow, where libvips reads the same pixels


class Rows:
    """The rows of a picture file, each kept only as long as the encoder may ask for it again.

    Args:
        path: of the file.
        progress: called with the rows read and their number.

    Raises:
        ImageError: the file is of a kind that cannot be read in rows.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path, self._progress = path, progress
        self._picture: Any
        self._region: Any
        self._first: int
        self._kept: Pixels
        self._open()
        picture = self._picture
        self.height, self.width, self.channels = picture.height, picture.width, picture.bands
        if reason := unsupported(path, picture, upright=False):
            raise ImageError(f"{path}: {reason}")

    def metadata(self) -> Metadata:
        """The metadata of the file."""
        with opened_without_pixels(self._path) as picture:
            return read_metadata.from_image(picture)

    def __call__(self, first: int, last: int) -> tuple[Pixels, Pixels | None]:
        """RGB and alpha of rows `first` to before `last`.

        `first` may not decrease from call to call, except to begin again from the top of the picture.
        """
        if first < self._first:
            self._open()
        self._kept = self._kept[first - self._first :]
        if missing := last - first - len(self._kept):
            with vips.errors(self._path):
                fetched = self._region.fetch(0, last - missing, self.width, missing)
            more = np.frombuffer(fetched, np.uint8).reshape(missing, self.width, self.channels)
            self._kept = np.concatenate([self._kept, more])
        self._first = first
        self._progress(last, self.height)
        colours = channels.colours(self.channels)
        rgb = np.broadcast_to(self._kept[:, :, :colours], (last - first, self.width, 3))
        return rgb, self._kept[:, :, -1] if colours < self.channels else None

    def _open(self) -> None:
        library = vips.load()
        self._picture = library.Image.new_from_file(str(self._path), access="sequential", fail_on="error")
        self._region = library.Region.new(self._picture)
        self._first = 0
        self._kept = np.empty((0, self._picture.width, self._picture.bands), np.uint8)


def unsupported(path: Path, opened: Any, *, upright: bool) -> str:
    """Why a file cannot be encoded in rows with the same result as in memory; "" if it can.

    Args:
        path: of the file.
        opened: the file as a pyvips Image.
        upright: the orientation is to be applied.
    """
    if opened.format != "uchar" or INTERPRETATIONS.get(opened.bands) != opened.interpretation:
        got = f"{opened.bands} channels of {opened.format}, {opened.interpretation}"
        return f"{got}; grey and RGB of 8 bits are allowed, with transparency or without"
    with opened_without_pixels(path) as picture:
        # Pillow scales samples of a PPM whose maximum is not 255.
        scaled = picture.format == "PPM" and getattr(picture, "tile")[0][0] != "raw"  # noqa: B009
        if picture.format not in _FORMATS or scaled:
            return f"format {picture.format}; {', '.join(_FORMATS)} of samples up to 255 are allowed"
        convert.check_whole(picture, strict=True)
        alpha = picture.mode in ("LA", "RGBA")
        if picture.mode not in _MODES or "transparency" in picture.info or alpha != (opened.bands in (2, 4)):
            got = f"mode {picture.mode}, stored as {opened.bands} channels"
            return f"{got}; {', '.join(_MODES)} are allowed, with transparency as a channel only"
        if colour.profile(picture.info, source_info.read(picture), grey=False) != (None, ""):
            return "colours described by gamma or code points; an ICC profile is allowed"
        turned = upright or picture.format == "TIFF"  # Pillow turns these when it loads them
        if turned and (found := _orientation(picture)) != 1:
            return f"orientation {found}, which is to be applied; 1 is allowed"
    return ""


def _orientation(picture: Image.Image) -> int:
    """The orientation, 1 to 8, of a picture whose pixels are not loaded."""
    own = Image.Image.getexif(picture).get(exif.ORIENTATION, 1) if picture.format == "TIFF" else 1
    if own in range(2, 9):
        return int(own)
    return metadata.orientation(read_metadata.from_image(picture, max_bytes=None))


@contextmanager
def opened_without_pixels(path: Path) -> Iterator[Image.Image]:
    """A picture file opened by Pillow, with all of its metadata, without reading pixels.

    Raises:
        ImageError: it cannot be read.
    """
    usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # no pixels are allocated
    try:
        with path.open("rb") as file, loading.pillow_errors(f"{path}: "):
            picture = Image.open(_without_pixel_chunks(file))
            read_metadata.sanitize(picture)
            yield picture
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def _without_pixel_chunks(file: IO[bytes]) -> IO[bytes]:
    """A PNG without its pixels, so that Pillow reads the metadata after them; other formats as they are."""
    signature = file.read(8)
    if signature != b"\x89PNG\r\n\x1a\n":
        file.seek(0)
        return file
    kept = [signature]
    while len(head := file.read(8)) == 8:
        size = int.from_bytes(head[:4], "big") + 4
        if head[4:] in (b"IDAT", b"fdAT"):
            file.seek(size, io.SEEK_CUR)
        else:
            kept += [head, file.read(size)]
    return io.BytesIO(b"".join(kept))
