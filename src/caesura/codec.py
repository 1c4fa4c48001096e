"""Encode and decode.

encode: image -> segments of the picture -> container -> bytes
decode: bytes -> container -> segments -> image
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura import cae2026, container, image, metadata, rate, segments
from caesura import model as models
from caesura.container import MAX_PIXELS, Header, Payload
from caesura.errors import ConfigError
from caesura.image import ImageLike
from caesura.metadata import Metadata
from caesura.model import Bundle
from caesura.picture import Decoder, Encoder, Pixels
from caesura.rate import DEFAULT_EFFORT


def encode(
    picture: ImageLike,
    *,
    quality: float = rate.DEFAULT_QUALITY,
    model: str | Path | Bundle = models.DEFAULT,
    tune: str = models.TUNES[0],
    effort: int = DEFAULT_EFFORT,
    strip: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    max_pixels: int = MAX_PIXELS,
) -> bytes:
    """Code a picture.

    Args:
        picture: a Pillow image (modes 1, L, LA, P, RGB, RGBA; I;16 with a warning), or an array (H, W) or
            (H, W, 1 to 4) of uint8, or of float in [0, 1]. Alpha, the last of 2 or 4 channels, is kept
            without loss. ICC profile, EXIF and XMP of a Pillow image are kept; orientation is not applied.
        quality: 1 to 100, continuous; larger is better and bigger.
        model: a bundle, its name or its folder.
        tune: "psnr", or "ms-ssim" for the model's weights tuned for that: texture rather than pixels.
        effort: 1 (fastest) to 9 (smallest; needs PyTorch, and minutes for large pictures). The decoder's work
            is the same. cae2017 knows one effort only.
        strip: leave metadata out, and apply the EXIF orientation that would be lost with it.
        progress: called with the steps done and their number while effort 9 is at work.
        max_pixels: refuse larger pictures.

    Returns:
        A .cae file.

    Raises:
        ImageError: the picture cannot be coded as it is.
        ConfigError: `quality`, `effort` or `tune` is out of range.
        DependencyError: `effort` is 9 and PyTorch is not installed.
        ModelError: the model is not there or damaged.
        LimitError: the picture is too large.
    """
    rate.check(quality)
    if effort not in range(cae2026.MIN_EFFORT, cae2026.MAX_EFFORT + 1):
        allowed = f"{cae2026.MIN_EFFORT} to {cae2026.MAX_EFFORT} is allowed"
        raise ConfigError(f"effort is {effort!r}; {allowed}")
    kept = Metadata()
    if isinstance(picture, Image.Image):
        picture = image.eight_bits(picture)
        if strip:
            picture = image.upright(picture)
        else:
            kept = metadata.of_image(picture)
    pixels, transparency = image.split(picture)
    height, width, colours = pixels.shape
    bundle = models.load(models.tuned(model, tune))
    code = rate.quality_code(quality, bundle.quality_scale)
    channels = colours + (transparency is not None)
    header = Header(bundle.id, channels, code, segments.choose(height, width), width, height)
    header.check(max_pixels)
    rgb = image.to_rgb(pixels)

    def rows(first: int, last: int) -> tuple[Pixels, Pixels | None]:
        return rgb[first:last], None if transparency is None else transparency[first:last]

    coded = Encoder(header, bundle, effort, progress).segments(rows)
    return container.write(header, Payload(list(coded), kept), max_pixels=max_pixels)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a .cae file to a Pillow image, mode L, LA, RGB or RGBA, metadata in its `info`.

    Arguments and errors are those of `decode_array`.
    """
    header, payload = container.read(data, max_pixels=max_pixels)
    picture = image.to_image(_pixels(header, payload))
    picture.info.update(metadata.to_info(payload.metadata))
    return picture


def decode_array(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a .cae file to an array.

    Args:
        data: the file.
        max_pixels: refuse files that claim more, before anything is allocated.

    Returns:
        uint8 (H, W, 1) for a grey picture, (H, W, 3) for RGB, one channel more with transparency.

    Raises:
        FormatError: one of its kinds, if the bytes are not an undamaged .cae file.
        ModelError: the model that coded the file is not there.
    """
    return _pixels(*container.read(data, max_pixels=max_pixels))


def _pixels(header: Header, payload: Payload) -> Pixels:
    """What a file decodes to: uint8 (H, W, 1 to 4)."""
    decoder = Decoder(header, models.load_by_id(header.model_id))
    pixels = np.empty((header.height, header.width, header.channels), np.uint8)
    for area, part in decoder.parts(payload.segments):
        pixels[area] = part
    return pixels
