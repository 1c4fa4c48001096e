"""Encode and decode.

encode: image -> segments of the picture -> container -> bytes
decode: bytes -> container -> segments -> image
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura import arguments, metrics
from caesura.arguments import Content
from caesura.coding.base import MAX_EFFORT
from caesura.coding.cae2026 import Distortion
from caesura.errors import ConfigError, DependencyError, ImageError
from caesura.format import container
from caesura.format.container import CELL, MAX_PIXELS, Header, Payload
from caesura.format.salvage import salvage
from caesura.models import bundle as bundles
from caesura.models.bundle import PREVIEW_SCALE
from caesura.models.conditioning import Conditioning
from caesura.options import EncodeOptions, Settings, options_of
from caesura.picture import convert, formats, metadata, read_metadata
from caesura.picture.metadata import Metadata
from caesura.picture.pixels import ImageLike, reduce, split, to_image
from caesura.runtime.parallel import one_blas_thread
from caesura.tiles.build import build_encoder
from caesura.tiles.decoder import Decoder
from caesura.tiles.grid import choose_cells, overlap
from caesura.tiles.layers import Pixels
from caesura.tiles.refinement import Refinement
from caesura.tiles.source import Source
from caesura.tiles.target import encode_to_target

SCALES = (1, 2, 4, 8)
Region = tuple[int, int, int, int]  # x, y, width, height in pixels
Progress = Callable[[int, int], None]


def encode(
    picture: ImageLike | str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    progress: Progress = lambda done, total: None,
    **settings: Unpack[Settings],
) -> bytes:
    """The .cae file of a picture.

    Args:
        picture: a Pillow image (nearly all modes, see `convert.codable`; of more than 8 bits a sample, of
            several frames or with HDR colours with a warning; CMYK becomes sRGB by its profile), or an array
            (H, W) or (H, W, 1 to 4) of uint8, or of float in [0, 1], or the path of a file that Pillow reads.
            Alpha, the last of 2 or 4 channels, is kept without loss. ICC profile, EXIF and XMP are kept;
            orientation is not applied.
        options: how it is encoded.
        progress: called with the steps done and their number while effort 9 is at work.
        settings: single options by name, in place of those in `options`: `quality`, `target`, `model`,
            `tune`, `effort`, `strip`, `strict`, `exact`, `max_pixels`, `segment_side`; see `EncodeOptions`.

    Raises:
        ImageError: the picture cannot be coded as it is, or its file cannot be read as a picture.
        TypeError: an argument is of another type than those named here.
        ConfigError: an option is out of range, or no quality meets the target.
        DependencyError: `effort` is 9 and PyTorch is not installed.
        ModelError: the model is not there or damaged.
        LimitError: the picture is too large.
        OSError: the file cannot be read.
    """
    options = options_of(options, **settings)
    arguments.function("progress", progress)
    if isinstance(picture, str | os.PathLike):
        picture = formats.opened(arguments.read(Path(picture), ImageError), str(picture), options.max_pixels)
    colours, transparency, kept = _arrays(picture, options)
    measure = None
    if options.target is not None and not options.target.is_size:
        of_kind = metrics.seen_ms_ssim if options.target.name == "ms_ssim" else metrics.seen_psnr
        measure = of_kind(colours, None if options.exact else transparency)
    source = Source.from_arrays(colours, transparency, kept)
    return encode_source(source, options, progress=progress, measure=measure)


def _arrays(picture: ImageLike, options: EncodeOptions) -> tuple[Pixels, Pixels | None, Metadata]:
    """Colours, uint8 (H, W, 1 or 3), alpha (H, W), None where opaque, and metadata."""
    kept = Metadata()
    allowed = "a Pillow image, an array and the path of a picture are allowed"
    arguments.of_type("picture", picture, (Image.Image, np.ndarray), allowed)
    if isinstance(picture, Image.Image):
        picture = convert.codable(picture, strict=options.strict)
        if options.strip:
            picture = convert.upright(picture)
        else:
            kept = read_metadata.from_image(picture)
    return *split(picture), kept


@one_blas_thread()
def encode_source(
    source: Source,
    options: EncodeOptions,
    *,
    progress: Progress = lambda done, total: None,
    measure: Callable[[Pixels], float] | None = None,
) -> bytes:
    """`encode` of a picture that is read in rows.

    `measure` gives the PSNR or MS-SSIM of decoded colours, uint8 (H, W, colours), where that is the target.
    """
    bundle, max_pixels = options.bundle(), options.max_pixels
    source = source if options.exact else source.cleared()
    side, height, width = options.segment_side, source.height, source.width
    cells = side // CELL if side else choose_cells(height, width)
    position = options.ladder_position(bundle)
    header = Header(bundle.id, source.channels, position, cells, width, height)
    header.check(max_pixels)
    refinement = Refinement(_distortion, progress) if options.refines else None
    if options.target is None:
        encoder = build_encoder(header, bundle, options.effort, exact=options.exact, refinement=refinement)
        return encoder.file(source, max_pixels)
    return encode_to_target(
        options.target,
        source,
        header,
        bundle,
        options.effort,
        exact=options.exact,
        refinement=refinement,
        measure=measure,
        max_pixels=max_pixels,
    )


def _distortion(rgb: Pixels, conditioning: Conditioning) -> Distortion:
    """The distortion that a model was trained for, by PyTorch."""
    try:
        from caesura.train import distortion
    except ImportError as error:
        raise DependencyError(
            f"effort {MAX_EFFORT} needs PyTorch: pip install 'caesura[train]'; lower efforts do not"
        ) from error
    return distortion.Distortion(rgb, conditioning)


def decode(
    data: Content, *, region: Region | None = None, scale: int = 1, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """The picture of a .cae file as a Pillow image, mode L, LA, RGB or RGBA, metadata in its `info`.

    Arguments and errors are those of `decode_array`.
    """
    pixels, payload = _decoded(data, region, scale, max_pixels)
    return _image(pixels, payload)


def decode_array(
    data: Content, *, region: Region | None = None, scale: int = 1, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """The picture of a .cae file as an array.

    Args:
        data: the file: bytes, bytearray, memoryview, or the path of it.
        region: x, y, width and height in pixels; only what these depend on is decoded.
        scale: 1, 2, 4 or 8; each pixel is the mean of a square of this side, weighted by alpha: a preview in
            little memory. At 8, opaque pictures are approximated from the latents, without synthesis, in half
            the time or less.
        max_pixels: refuse files that claim more, before anything is allocated.

    Returns:
        uint8 (H, W, 1) for a grey picture, (H, W, 3) for RGB, one channel more with transparency. With
        a scale, the pixels of the scaled picture that the region touches.

    Raises:
        FormatError: one of its kinds, if the bytes are not an undamaged .cae file.
        ModelError: the model that coded the file is not there.
        TypeError: an argument is of another type than those named here.
        ConfigError: the region does not lie in the picture, or the scale is not 1, 2, 4 or 8.
        OSError: the file cannot be read.
    """
    return _decoded(data, region, scale, max_pixels)[0]


class Recovered(NamedTuple):
    """The picture that is left of a damaged file.

    Attributes:
        picture: as from `decode`.
        damaged: x, y, width and height of each segment that was concealed, in part or whole.
    """

    picture: Image.Image
    damaged: list[Region]


@one_blas_thread()
def recover(data: Content, *, max_pixels: int = MAX_PIXELS) -> Recovered:
    """The picture of a damaged or cut file; what is lost is concealed from what is around it.

    Args:
        data: the file: bytes, bytearray, memoryview, or the path of it.
        max_pixels: refuse files that claim more, before anything is allocated.

    Raises:
        FormatError: one of its kinds, if not even the header can be read.
        ModelError: the model that coded the file is not there.
        TypeError, ConfigError: an argument is of another type, or has a value that is not allowed.
        OSError: the file cannot be read.
    """
    content = arguments.content("data", data)
    header, payload, suspect = salvage(content, max_pixels=max_pixels)
    decoder = Decoder(header, bundles.load_by_id(header.model_id), conceal=True)
    decoder.damaged |= suspect
    pixels = np.empty((header.height, header.width, header.channels), np.uint8)
    for area, part in decoder.parts(payload.segments):
        pixels[area] = part
    damaged = [
        (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        for rows, columns in decoder.areas(decoder.damaged)
    ]
    return Recovered(_image(pixels, payload), damaged)


@one_blas_thread()
def _decoded(
    given: Content, region: Region | None, scale: int, max_pixels: int
) -> tuple[NDArray[np.uint8], Payload]:
    """The pixels of a file, uint8 (H, W, 1 to 4), and its payload."""
    scale = check_scale(scale)
    region = None if region is None else check_region(region)
    data = arguments.content("data", given)
    if region is None:  # all checked before anything is allocated
        header, payload = container.read(data, max_pixels=max_pixels)
        area = slice(0, header.height), slice(0, header.width)
        decoder = Decoder(header, bundles.load_by_id(header.model_id), preview=scale == PREVIEW_SCALE)
    else:
        header = container.read_header(data, max_pixels=max_pixels)
        area = _area(region, header)
        decoder = Decoder(header, bundles.load_by_id(header.model_id), area, preview=scale == PREVIEW_SCALE)
        _, payload = container.read(data, max_pixels=max_pixels, wanted=decoder.needed)
    rows, columns = (_reduced(span, scale) for span in area)
    pixels = np.empty((rows.stop - rows.start, columns.stop - columns.start, header.channels), np.uint8)
    for (down, across), part in decoder.parts(payload.segments):
        reduced = reduce(part, scale // decoder.scale)
        at_rows, from_rows = overlap(_reduced(down, scale), rows)
        at_columns, from_columns = overlap(_reduced(across, scale), columns)
        pixels[from_rows, from_columns] = reduced[at_rows, at_columns]
    return pixels, payload


def check_scale(scale: int) -> int:
    """The scale as an int, checked.

    Raises:
        TypeError, ConfigError: it is not allowed.
    """
    allowed = f"{', '.join(map(str, SCALES))} are allowed"
    scale = arguments.integer("scale", scale, allowed)
    if scale not in SCALES:
        raise ConfigError(f"scale is {scale}; {allowed}")
    return scale


def check_region(region: Region) -> Region:
    """The region as four ints, checked but for the picture's size.

    Raises:
        TypeError, ConfigError: it is not four integers.
    """
    allowed = "four whole numbers are allowed: x, y, width, height"
    arguments.of_type("region", region, (tuple, list, np.ndarray), allowed)
    values = np.atleast_1d(region) if isinstance(region, np.ndarray) else region
    if len(values) != 4:
        raise ConfigError(f"region is {region!r}; {allowed}")
    x, y, width, height = (arguments.integer("region", value, allowed) for value in values)
    return x, y, width, height


def _area(region: Region, header: Header) -> tuple[slice, slice]:
    """Rows and columns of a region."""
    x, y, width, height = region
    if not (0 <= x < x + width <= header.width and 0 <= y < y + height <= header.height):
        got = f"{width} x {height} pixels at {x}, {y}"
        raise ConfigError(f"region is {got}; the picture has {header.width} x {header.height}")
    return slice(y, y + height), slice(x, x + width)


def _reduced(span: slice, scale: int) -> slice:
    return slice(span.start // scale, -(-span.stop // scale))


def _image(pixels: NDArray[np.uint8], payload: Payload) -> Image.Image:
    picture = to_image(pixels)
    picture.info.update(metadata.to_info(payload.metadata))
    return picture
