"""Pictures loaded by Pillow, whose exceptions become ImageErrors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from caesura.errors import CaesuraError, ImageError
from caesura.picture import read_metadata, source_info

_UNREADABLE = "image cannot be read: "


def open_image(path: Path) -> Image.Image:
    """A picture file as a Pillow image with its pixels loaded.

    Raises:
        ImageError: it cannot be read, or Pillow does not know its format.
    """
    with pillow_errors(f"{path}: "):
        try:
            picture = Image.open(path)
        except UnidentifiedImageError as error:
            raise ImageError(f"{path} is not a picture in a format known here") from error
        picture.info[source_info.KEY] = source_info.read(picture)
    load(picture, f"{path}: ")
    return picture


def load(image: Any, prefix: str = _UNREADABLE) -> None:
    """Load the pixels of a Pillow image.

    Raises:
        ImageError: they cannot be read; the message begins with `prefix`.
    """
    # Pillow maps an uncompressed TIFF that has a file name into memory; if the TIFF has an orientation, it
    # does so with the sides of the turned picture, which is wrong. Without a name it reads the file.
    name = getattr(image, "filename", "") if image.format == "TIFF" else ""
    with pillow_errors(prefix):
        try:
            if name:
                image.filename = ""
            read_metadata.sanitize(image)
            image.load()
            read_metadata.sanitize(image)  # text chunks of a PNG may follow its pixels
        finally:
            if name:
                image.filename = name


@contextmanager
def pillow_errors(prefix: str = _UNREADABLE) -> Iterator[None]:
    """A context in which what Pillow raises for a damaged picture becomes an ImageError.

    Errors of caesura and MemoryError stay as they are.

    Args:
        prefix: what the message begins with; the reason follows.
    """
    try:
        yield
    except (CaesuraError, MemoryError):
        raise
    except Exception as error:  # Pillow raises IndexError, KeyError, struct.error, ... without a common base
        # The message of these says nothing without the type: "'tag'", "index out of range".
        unclear = isinstance(error, (LookupError, TypeError, AttributeError))
        reason = "" if unclear else getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{prefix}{reason or repr(error)}") from error
