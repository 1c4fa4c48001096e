"""Pictures of other formats, as Pillow reads and writes them, from and to bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any, cast

from PIL import Image, PngImagePlugin

from caesura.errors import CaesuraError, ImageError
from caesura.picture import carried, metadata
from caesura.picture import pixels as image
from caesura.picture.files import FileError

# Decoding should not code a second time where the format allows it.
_FAITHFUL: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 97, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 97, "subsampling": "4:4:4"},
    "HEIF": {"quality": -1, "chroma": 444},  # -1 is lossless
}
# The others refuse it, or drop it without a word.
_WITH_ALPHA = frozenset({"PNG", "WEBP", "TIFF", "AVIF", "JPEG2000", "TGA", "SGI", "QOI", "HEIF"})
# Pillow knows these by name but decodes them not at all, or with other programs.
_NOT_READ = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
_ROWS_PER_STRIP, _STRIP = 278, 1 << 16  # a TIFF's tag; bytes of a strip
_HEIF = frozenset({".heic", ".heif", ".hif"})

try:
    from pillow_heif import register_heif_opener
except ImportError:
    HAS_HEIF = False
else:
    register_heif_opener()
    HAS_HEIF = True


def is_picture(path: PurePath) -> bool:
    """Whether a file's extension is of pictures that can be read here."""
    kind = named(path)
    return kind in Image.OPEN and kind not in _NOT_READ and path.suffix.lower() != ".cae"


def hints(endings: Iterable[str]) -> list[str]:
    """What would make files of these extensions readable that are not."""
    if HAS_HEIF or _HEIF.isdisjoint(endings):
        return []
    return ["HEIC is read where pillow-heif is installed: pip install pillow-heif"]


class _Named(io.BytesIO):
    """A file's content that goes by the file's name in messages."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self._name = name

    def __str__(self) -> str:
        return self._name


def opened(content: bytes, name: str, max_pixels: int) -> Image.Image:
    """A picture read whole.

    Args:
        content: of the file.
        name: what messages call it.
        max_pixels: larger ones are refused.

    Raises:
        ImageError: it cannot be read, or its format is not known to Pillow.
    """
    usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    most, PngImagePlugin.MAX_TEXT_CHUNK = (
        PngImagePlugin.MAX_TEXT_CHUNK,
        metadata.MAX_BYTES,
    )  # also of profiles
    try:
        with warnings.catch_warnings():
            # The encoder refuses more; Pillow, twice as many, before it reads them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return image.open_image(cast(Path, _Named(content, name)))  # Pillow reads both alike
    except CaesuraError as error:
        raise ImageError("; ".join([str(error), *hints([Path(name).suffix.lower()])])) from error
    except Exception as error:  # what its plugins raise when a file is damaged has no common base but this
        raise ImageError(f"{name}: {error or type(error).__name__}") from error
    finally:
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = usual, most


def named(path: PurePath) -> str | None:
    """Pillow's name of the format that a file's extension stands for, if any."""
    return Image.registered_extensions().get(path.suffix.lower())


def writer(suffix: str) -> str:
    """Pillow's name of the format that an extension, with its dot, stands for.

    Raises:
        FileError: pictures cannot be written in it.
    """
    kind = Image.registered_extensions().get(suffix.lower())
    if kind is None or kind not in Image.SAVE or suffix.lower() == ".cae":
        known = ".png, .jpg, .webp, .tiff and .avif are"
        raise FileError(f"{suffix or 'no extension'} is not a picture format known here; {known}")
    return kind


def saved(picture: Image.Image, kind: str) -> bytes:
    """The picture as a file, as little changed as the format allows, with its metadata.

    Where the format has no place for EXIF, the picture is turned as that says.

    Raises:
        FileError: the format cannot hold it.

    Warns:
        UserWarning: the format cannot hold some of the metadata, which is left out.
    """
    transparent = picture.mode in ("LA", "RGBA")
    if transparent and kind not in _WITH_ALPHA:
        raise FileError(f"{kind} cannot hold transparency; PNG, WebP, TIFF and AVIF can")
    options = dict(_FAITHFUL.get(kind, {}))
    if transparent and kind == "AVIF":
        options["quality"] = 100  # alpha is without loss only here
    out = io.BytesIO()
    try:
        options |= carried.options(metadata.of_image(picture), kind)
        shown = picture.copy() if kind in carried.HOLDING else image.upright(picture)
        shown.info = metadata.without(shown.info)  # where some writers look for what they are not given
        if "tiffinfo" in options:  # a single strip that is to be turned is read wrongly by Pillow
            rows = _STRIP // (shown.width * len(shown.getbands()))
            options["tiffinfo"][_ROWS_PER_STRIP] = max(1, min(rows, shown.height // 2))
        shown.save(out, kind, **options)
    except Exception as error:  # as above
        raise FileError(f"{kind} cannot hold this picture: {error or type(error).__name__}") from error
    return out.getvalue()
