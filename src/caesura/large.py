"""Picture files larger than memory: read and coded, decoded and written some rows at a time, through libvips.

Memory grows with the width of the picture and not with its height. Needs `pip install 'caesura[large]'`.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura import arguments, codec
from caesura.arguments import Content
from caesura.coding.base import MAX_EFFORT
from caesura.errors import CaesuraError, ConfigError, DependencyError, ImageError
from caesura.format import container
from caesura.format.container import MAX_PIXELS, Header
from caesura.models import bundle as models
from caesura.options import EncodeOptions, Settings, options_of
from caesura.picture import (
    channels,
    colour,
    convert,
    exif,
    files,
    loading,
    metadata,
    read_metadata,
    source_info,
    write_metadata,
)
from caesura.picture.metadata import Metadata
from caesura.runtime.parallel import one_blas_thread
from caesura.tiles.decoder import Decoder
from caesura.tiles.source import Source

Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]

PIXELS = 1 << 26  # pictures up to here are better coded in memory
_READ = ("JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")  # by Pillow's names
# How files are written: nothing is lost where the format allows it.
_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpeg": {"Q": 97, "subsample_mode": "off"},
    ".jpg": {"Q": 97, "subsample_mode": "off"},
    ".png": {},
    ".tif": {"bigtiff": True, "compression": "deflate"},
    ".tiff": {"bigtiff": True, "compression": "deflate"},
    ".webp": {"lossless": True, "exact": True},
}
_OPAQUE = (".jpeg", ".jpg")
_WRITTEN = {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
_ROWS = 64  # that are handed on at a time
_LEAST_BYTES = 1 << 17  # of a file with so many pixels; smaller ones are not looked into
_KINDS = {1: "b-w", 2: "b-w", 3: "srgb", 4: "srgb"}
_ALIKE = ("1", "L", "LA", "P", "RGB", "RGBA")  # modes that both libraries read alike


def encode(
    path: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    progress: Progress = lambda done, total: None,
    **settings: Unpack[Settings],
) -> bytes:
    """The .cae file of a picture file.

    Args:
        path: a file that libvips reads: grey or RGB of 8 bits, with transparency or without.
        options: as for `caesura.encode`, but no effort 9, which needs the whole picture, and of targets sizes
            alone; `strip` does not apply the orientation.
        progress: called with the rows read and their number; again from the start for each trial of a target.
        settings: single options by name, in place of those in `options`.

    Raises:
        DependencyError: libvips is not installed.
        ImageError: the file cannot be read, or is of a kind that its rows are not enough of.
        TypeError, ConfigError: an option is of another type, or out of range.
    """
    path, options = arguments.path("path", path), options_of(options, **settings)
    arguments.function("progress", progress)
    if options.refines or (options.target is not None and not options.target.is_size):
        raise ConfigError(
            f"effort is {options.effort} and target is {options.target}; for a picture that is read in rows, "
            f"efforts below {MAX_EFFORT} and sizes are allowed"
        )
    with _as_ours(path):
        arguments.check_file(path, ImageError)
        rows = _Rows(path, progress)
        kept = Metadata() if options.strip else rows.metadata()
        return codec.encode_source(
            Source(rows.height, rows.width, rows.channels, rows, kept),
            options,
            progress=lambda done, total: None,
            measure=lambda shown: 0.0,  # nothing but sizes is asked for
        )


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
    """Decode a .cae file to a picture file, whose extension says the format.

    The format's writer asks for rows, and is given them as they are decoded.

    Args:
        data: a .cae file.
        path: of the file to be written.
        strip: leave metadata out. Orientation is not applied.
        force: replace what is there. Otherwise that is an error.
        max_pixels: larger pictures are refused.
        progress: called with the rows decoded and their number.

    Raises:
        DependencyError: libvips is not installed.
        ImageError: the format is not known here or cannot hold the picture, or the file cannot be written.
        FormatError, ModelError, TypeError, ConfigError: as `caesura.decode`.

    Warns:
        UserWarning: the format cannot hold some of the metadata, which is left out.
    """
    path, data = arguments.path("path", path), arguments.content("data", data)
    arguments.flag("strip", strip)
    arguments.flag("force", force)
    arguments.function("progress", progress)
    vips, suffix = _vips(), path.suffix.lower()
    if suffix not in _OPTIONS:
        raise ImageError(f"{path}: {suffix or 'no extension'} is not known here; {', '.join(_OPTIONS)} are")
    header, payload = container.read(data, max_pixels=max_pixels)
    if suffix in _OPAQUE and header.channels > header.colours:
        raise ImageError(f"{path}: {suffix} cannot hold transparency")
    decoder = Decoder(header, models.load_by_id(header.model_id))
    with _as_ours(path), files.atomic(path, force=force) as out:
        stream = _Stream(_png(header, decoder.bands(payload.segments), progress))
        source = vips.SourceCustom()
        source.on_read(stream.read)
        with stream.errors():
            opened = vips.Image.new_from_source(source, "", access="sequential", unlimited=True)
            picture = opened.copy(interpretation=_KINDS[header.channels])
            picture.write_to_target(vips.Target.new_to_descriptor(out.fileno()), suffix, **_OPTIONS[suffix])
        kept = Metadata() if strip else payload.metadata
        write_metadata.insert(out, _WRITTEN[suffix], channels.pillow_mode(header.channels), kept)


def takes(path: Path, *, upright: bool) -> bool:
    """Whether a file is one for `encode` here: large, of such a kind, and libvips is installed.

    `upright` says that its orientation is to be applied.
    """
    try:
        if path.stat().st_size < _LEAST_BYTES:
            return False
        vips = _vips()
        opened = vips.Image.new_from_file(str(path), access="sequential")
        return opened.width * opened.height > PIXELS and not _unlike(path, opened, upright=upright)
    except Exception:  # not installed, or no picture that it knows: whoever reads it whole says so
        return False


def writes(path: Path) -> bool:
    """Whether `decode` here can write a file of this extension, and libvips is installed."""
    try:
        return path.suffix.lower() in _vips().get_suffixes() and path.suffix.lower() in _OPTIONS
    except DependencyError:
        return False


def _unlike(path: Path, opened: Any, *, upright: bool) -> str:
    """Why rows of a file, as libvips has it, are not what is coded of it in memory; else empty."""
    if opened.format != "uchar" or _KINDS.get(opened.bands) != opened.interpretation:
        got = f"{opened.bands} channels of {opened.format}, {opened.interpretation}"
        return f"{got}; grey and RGB of 8 bits are allowed, with transparency or without"
    with _lazily(path) as picture:
        # Samples up to less than 255 are scaled to that.
        scaled = picture.format == "PPM" and getattr(picture, "tile")[0][0] != "raw"  # noqa: B009
        if picture.format not in _READ or scaled:
            return f"format {picture.format}; {', '.join(_READ)} of samples up to 255 are allowed"
        convert.check_whole(picture, strict=True)
        alpha = picture.mode in ("LA", "RGBA")
        if picture.mode not in _ALIKE or "transparency" in picture.info or alpha != (opened.bands in (2, 4)):
            got = f"mode {picture.mode}, stored as {opened.bands} channels"
            return f"{got}; {', '.join(_ALIKE)} are allowed, with transparency as a channel only"
        if colour.profile(picture.info, source_info.read(picture), grey=False) != (None, ""):
            return "colours told by gamma or code points; a colour profile is allowed"
        turned = upright or picture.format == "TIFF"  # Pillow turns these when it loads them
        if turned and (found := _orientation(picture)) != 1:
            return f"orientation {found}, which is to be applied; 1 is allowed"
    return ""


def _orientation(picture: Image.Image) -> int:
    """Also of a TIFF that is not loaded."""
    own = Image.Image.getexif(picture).get(exif.ORIENTATION, 1) if picture.format == "TIFF" else 1
    if own in range(2, 9):
        return int(own)
    return metadata.orientation(read_metadata.from_image(picture, max_bytes=None))


@contextmanager
def _lazily(path: Path) -> Iterator[Image.Image]:
    """A picture file as Pillow opens it, with all of its metadata and no pixels read.

    Raises:
        ImageError: it cannot be read.
    """
    usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # nothing of its size is made
    try:
        with path.open("rb") as file, loading.pillow_errors(f"{path}: "):
            picture = Image.open(_without_pixels(file))
            read_metadata.sanitize(picture)
            yield picture
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def _without_pixels(file: IO[bytes]) -> IO[bytes]:
    """A PNG without its pixels: what follows them would not be read before they are. Others as they are."""
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


def _png(header: Header, bands: Iterable[Pixels], progress: Progress) -> Iterator[bytes]:
    """A picture as a PNG without compression, piece by piece: libvips reads 1 to 4 channels so."""
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[header.channels]
    yield b"\x89PNG\r\n\x1a\n"
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", header.width, header.height, 8, colour_type, 0, 0, 0))
    store, done = zlib.compressobj(0), 0
    for band in bands:
        for rows in np.array_split(band, -(-len(band) // _ROWS)):
            flat = rows.reshape(len(rows), -1)
            unfiltered = np.concatenate([np.zeros((len(flat), 1), np.uint8), flat], axis=1)
            yield _chunk(b"IDAT", store.compress(unfiltered.tobytes()))
        done += len(band)
        progress(done, header.height)
        del band, rows, flat, unfiltered  # before the next is decoded
    yield _chunk(b"IDAT", store.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


class _Stream:
    """Pieces of bytes as libvips reads them, and the error that ended them too early, if any."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self._error: Exception | None = None

    def read(self, size: int) -> memoryview:
        """At most so many bytes; none at the end. Called from C, where no exception goes through."""
        try:
            while not self._rest and (piece := next(self._pieces, None)) is not None:
                self._rest = memoryview(piece)
        except Exception as error:
            self._error = error
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what ended the pieces, rather than what libvips makes of a picture that is cut."""
        try:
            yield
        finally:
            if self._error:
                raise self._error


class _Rows:
    """Rows of a picture file, kept only as long as the encoder may ask for them again."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path, self._progress = path, progress
        self._picture: Any
        self._region: Any
        self._first: int
        self._kept: Pixels
        self._open()
        picture = self._picture
        self.height, self.width, self.channels = picture.height, picture.width, picture.bands
        if unlike := _unlike(path, picture, upright=False):
            raise ImageError(f"{path}: {unlike}")

    def metadata(self) -> Metadata:
        """What the file holds besides pixels."""
        with _lazily(self._path) as picture:
            return read_metadata.from_image(picture)

    def __call__(self, first: int, last: int) -> tuple[Pixels, Pixels | None]:
        """Rows `first` to before `last`, each time further down, or from the start again."""
        if first < self._first:
            self._open()
        self._kept = self._kept[first - self._first :]
        if missing := last - first - len(self._kept):
            with _as_ours(self._path):
                fetched = self._region.fetch(0, last - missing, self.width, missing)
            more = np.frombuffer(fetched, np.uint8).reshape(missing, self.width, self.channels)
            self._kept = np.concatenate([self._kept, more])
        self._first = first
        self._progress(last, self.height)
        colours = channels.colours(self.channels)
        rgb = np.broadcast_to(self._kept[:, :, :colours], (last - first, self.width, 3))
        return rgb, self._kept[:, :, -1] if colours < self.channels else None

    def _open(self) -> None:
        self._picture = _vips().Image.new_from_file(str(self._path), access="sequential", fail_on="error")
        self._region = _vips().Region.new(self._picture)
        self._first = 0
        self._kept = np.empty((0, self._picture.width, self._picture.bands), np.uint8)


def _vips() -> Any:
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: the library itself is not there
        raise DependencyError(
            f"large pictures need libvips: pip install 'caesura[large]' ({error})"
        ) from error
    return pyvips


@contextmanager
def _as_ours(path: Path) -> Iterator[None]:
    """Errors of libvips as ours."""
    vips = _vips()
    try:
        yield
    except CaesuraError:  # some are OSErrors, too
        raise
    except vips.Error as error:
        raise ImageError(f"{path}: {str(error).strip().splitlines()[-1]}") from error
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error
