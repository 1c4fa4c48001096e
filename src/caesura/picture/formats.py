"""Pictures of other formats, read from and written to bytes by Pillow."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any, cast

from PIL import Image, PngImagePlugin

from caesura.errors import CaesuraError, ImageError
from caesura.picture import convert, loading, read_metadata, write_metadata
from caesura.picture.files import FileError
from caesura.picture.metadata import MAX_BYTES

# Lossless where the format allows it, since the picture has been coded once.
_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 4},  # half the time of 6, the default, for 5% more bytes
    "JPEG": {"quality": 97, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 97, "subsampling": "4:4:4"},
    "HEIF": {"quality": -1, "chroma": 444},  # -1 is lossless
}
# Pillow refuses alpha in other formats, or drops it silently.
_WITH_ALPHA = frozenset({"PNG", "WEBP", "TIFF", "AVIF", "JPEG2000", "TGA", "SGI", "QOI", "HEIF"})
# Pillow registers these, but decodes them not at all or with external programs.
_NOT_READ = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
_ROWS_PER_STRIP = 278  # TIFF's tag
_STRIP_BYTES = 1 << 16
_HEIF = frozenset({".heic", ".heif", ".hif"})

try:
    from pillow_heif import register_heif_opener
except ImportError:
    HAS_HEIF = False
else:
    register_heif_opener()
    HAS_HEIF = True


def is_picture(path: PurePath) -> bool:
    """Whether the file extension is of a picture format that can be read."""
    if path.suffix.lower() == ".cae":
        return False
    kind = format_of(path)
    return kind in Image.OPEN and kind not in _NOT_READ


def hints(endings: Iterable[str]) -> list[str]:
    """Packages to install for files of these extensions that cannot be read, as sentences for the user."""
    if HAS_HEIF or _HEIF.isdisjoint(endings):
        return []
    return ["HEIC is read where pillow-heif is installed: pip install pillow-heif"]


class _Named(io.BytesIO):
    """The content of a file, whose name Pillow's messages show."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self._name = name

    def __str__(self) -> str:
        return self._name


def opened(content: bytes, name: str, max_pixels: int) -> Image.Image:
    """A Pillow image with its pixels loaded.

    Args:
        content: of the file.
        name: of the file, for messages.
        max_pixels: allowed; larger pictures are refused.

    Raises:
        ImageError: it cannot be read, Pillow does not know its format, or it has more pixels.
    """
    default_pixels, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    # This limit holds for ICC profiles as well.
    default_chunk, PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_CHUNK, MAX_BYTES
    try:
        with warnings.catch_warnings():
            # Pillow warns above max_pixels, which the encoder refuses, and raises an error above twice that.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return loading.open_image(cast(Path, _Named(content, name)))  # Pillow takes both
    except CaesuraError as error:
        raise ImageError("; ".join([str(error), *hints([Path(name).suffix.lower()])])) from error
    except Exception as error:  # Pillow's plugins raise errors of many types for damaged files
        raise ImageError(f"{name}: {error or type(error).__name__}") from error
    finally:
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = default_pixels, default_chunk


def format_of(path: PurePath) -> str | None:
    """Pillow's name of the format of a file extension, or None if it is not known."""
    return _registered(path.suffix.lower())


def writable_format(suffix: str) -> str:
    """Pillow's name of the format of a file extension, such as ".png".

    Raises:
        FileError: pictures cannot be written in this format.
    """
    kind = _registered(suffix.lower())
    if kind is None or kind not in Image.SAVE or suffix.lower() == ".cae":
        known = ".png, .jpg, .webp, .tiff and .avif are"
        raise FileError(f"{suffix or 'no extension'} is not a picture format known here; {known}")
    return kind


def _registered(suffix: str) -> str | None:
    """Pillow's name of the format of an extension; its rarer formats are imported if no usual one has it."""
    Image.preinit()
    return Image.EXTENSION.get(suffix) or Image.registered_extensions().get(suffix)


def saved(picture: Image.Image, kind: str) -> bytes:
    """The bytes of a picture file with its metadata, lossless or at high quality.

    Where the format cannot hold EXIF, the orientation is applied to the pixels.

    Args:
        picture: of mode L, LA, RGB or RGBA.
        kind: Pillow's name of the format.

    Raises:
        FileError: the format cannot hold the picture.

    Warns:
        UserWarning: the format cannot hold some of the metadata, which is left out.
    """
    transparent = picture.mode in ("LA", "RGBA")
    if transparent and kind not in _WITH_ALPHA:
        raise FileError(f"{kind} cannot hold transparency; PNG, WebP, TIFF and AVIF can")
    options = dict(_OPTIONS.get(kind, {}))
    if transparent and kind == "AVIF":
        options["quality"] = 100  # alpha is lossless only at this quality
    out = io.BytesIO()
    try:
        options |= write_metadata.options(read_metadata.from_image(picture), kind)
        shown = picture.copy() if kind in write_metadata.FORMATS else convert.upright(picture)
        shown.info = read_metadata.without_metadata(shown.info)  # the default of some writers
        if "tiffinfo" in options:  # Pillow reads a single strip wrongly if the TIFF has an orientation
            rows = _STRIP_BYTES // (shown.width * len(shown.getbands()))
            options["tiffinfo"][_ROWS_PER_STRIP] = max(1, min(rows, shown.height // 2))
        shown.save(out, kind, **options)
    except Exception as error:  # of many types, as above
        raise FileError(f"{kind} cannot hold this picture: {error or type(error).__name__}") from error
    return out.getvalue()
