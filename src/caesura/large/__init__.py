"""Picture files larger than memory: encoded and decoded some rows at a time, through libvips.

Memory grows with the width of the picture, not with its height. Needs `pip install 'caesura[large]'`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Unpack

from caesura import arguments, codec
from caesura.arguments import Content
from caesura.coding.base import MAX_EFFORT
from caesura.errors import ConfigError, DependencyError, ImageError
from caesura.format import container
from caesura.format.container import MAX_PIXELS
from caesura.large import vips
from caesura.large.reading import INTERPRETATIONS, Rows, unsupported
from caesura.large.writing import FORMATS, OPAQUE, OPTIONS, Stream, png
from caesura.models import bundle
from caesura.options import EncodeOptions, Settings, options_of
from caesura.picture import channels, files, write_metadata
from caesura.picture.metadata import Metadata
from caesura.runtime.parallel import one_blas_thread
from caesura.tiles.decoder import Decoder
from caesura.tiles.source import Source

Progress = Callable[[int, int], None]

PIXELS = 1 << 26  # larger pictures are encoded and decoded in rows by `caesura encode` and `decode`
_MIN_FILE_BYTES = 1 << 17  # of a file with more than PIXELS; smaller ones are not opened


def encode(
    path: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    progress: Progress = lambda done, total: None,
    **settings: Unpack[Settings],
) -> bytes:
    """Encode a picture file to a .cae file, reading it in rows.

    Args:
        path: a file that libvips reads: 8-bit grey or RGB, with transparency or without.
        options: as for `caesura.encode`, except that effort 9 and targets other than sizes are not allowed,
            since they need the whole picture, and that `strip` does not apply the orientation.
        progress: called with the rows read and their number; from the start again for each trial of a target.
        settings: single options by name, which replace those in `options`.

    Returns:
        The bytes of the .cae file.

    Raises:
        DependencyError: libvips is not installed.
        ImageError: the file cannot be read, or is of a kind that cannot be read in rows.
        TypeError, ConfigError: an option is of another type, or out of range.
    """
    path, options = arguments.path("path", path), options_of(options, **settings)
    arguments.function("progress", progress)
    if options.refines or (options.target is not None and not options.target.is_size):
        raise ConfigError(
            f"effort is {options.effort} and target is {options.target}; for a picture that is read in rows, "
            f"efforts below {MAX_EFFORT} and sizes are allowed"
        )
    with vips.errors(path):
        arguments.check_file(path, ImageError)
        rows = Rows(path, progress)
        kept = Metadata() if options.strip else rows.metadata()
        source = Source(rows.height, rows.width, rows.channels, rows, kept)
        return codec.encode_source(source, options)


@one_blas_thread()
def decode(
    data: Content,
    path: str | os.PathLike[str],
    *,
    strip: bool = False,
    force: bool = True,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = lambda done, total: None,
) -> None:
    """Decode a .cae file to a picture file, writing it in rows.

    Args:
        data: the .cae file: bytes, bytearray, memoryview, or its path.
        path: of the file to write; its extension selects the format.
        strip: leave metadata out. The orientation is not applied.
        force: replace an existing file; otherwise that is an error.
        max_pixels: refuse larger pictures.
        progress: called with the rows decoded and their number.

    Raises:
        DependencyError: libvips is not installed.
        ImageError: the format is unknown or cannot hold the picture, or the file cannot be written.
        FormatError, ModelError, TypeError, ConfigError: as `caesura.decode`.

    Warns:
        UserWarning: the format cannot hold some of the metadata, which is left out.
    """
    path, data = arguments.path("path", path), arguments.content("data", data)
    arguments.flag("strip", strip)
    arguments.flag("force", force)
    arguments.function("progress", progress)
    library, suffix = vips.load(), path.suffix.lower()
    if suffix not in OPTIONS:
        raise ImageError(f"{path}: extension is {suffix!r}; {', '.join(OPTIONS)} are allowed")
    header, payload = container.read(data, max_pixels=max_pixels)
    if suffix in OPAQUE and header.channels > header.colours:
        raise ImageError(f"{path}: {suffix} cannot hold transparency")
    decoder = Decoder(header, bundle.load_by_id(header.model_id))
    with vips.errors(path), files.atomic(path, force=force) as out:
        stream = Stream(png(header, decoder.bands(payload.segments), progress))
        source = library.SourceCustom()
        source.on_read(stream.read)
        with stream.errors():
            opened = library.Image.new_from_source(source, "", access="sequential", unlimited=True)
            picture = opened.copy(interpretation=INTERPRETATIONS[header.channels])
            target = library.Target.new_to_descriptor(out.fileno())
            picture.write_to_target(target, suffix, **OPTIONS[suffix])
        kept = Metadata() if strip else payload.metadata
        write_metadata.insert(out, FORMATS[suffix], channels.pillow_mode(header.channels), kept)


def takes(path: Path, *, upright: bool) -> bool:
    """Whether to encode a file with this module: it is large, of a supported kind, and libvips is installed.

    Args:
        path: of the file.
        upright: the orientation is to be applied.
    """
    try:
        if path.stat().st_size < _MIN_FILE_BYTES:
            return False
        opened = vips.load().Image.new_from_file(str(path), access="sequential")
        return opened.width * opened.height > PIXELS and not unsupported(path, opened, upright=upright)
    except Exception:  # no libvips, or not a picture: reading the file in memory reports it
        return False


def writes(path: Path) -> bool:
    """Whether `decode` can write files of this extension, and libvips is installed."""
    try:
        return path.suffix.lower() in vips.load().get_suffixes() and path.suffix.lower() in OPTIONS
    except DependencyError:
        return False
