"""Encode and decode, the only place that knows the order of the stages.

encode: image -> an architecture's payload, the detail layer's -> container -> bytes
decode: bytes -> container -> an architecture's pixels, the detail layer added -> image

What happens within an architecture is in the module of its name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura import alpha, cae2017, cae2026, container, detail, image, metadata, rate
from caesura import model as models
from caesura.container import MAX_PIXELS, Header, Payload
from caesura.errors import ConfigError, FormatError
from caesura.image import ImageLike
from caesura.metadata import Metadata
from caesura.model import Bundle
from caesura.rate import DEFAULT_EFFORT


def encode(
    picture: ImageLike,
    *,
    quality: float = rate.DEFAULT_QUALITY,
    model: str | Path | Bundle = models.DEFAULT,
    tune: str = models.TUNES[0],
    effort: int = DEFAULT_EFFORT,
    strip: bool = False,
    strict: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    max_pixels: int = MAX_PIXELS,
) -> bytes:
    """Code a picture.

    Args:
        picture: a Pillow image (nearly all modes, see `image.codable`; I;16 and one of several frames with a
            warning; CMYK becomes sRGB by its profile), or an array (H, W) or (H, W, 1 to 4) of uint8, or of
            float in [0, 1]. Alpha, the last of 2 or 4 channels, is kept without loss. ICC profile, EXIF and
            XMP of a Pillow image are kept; orientation is not applied.
        quality: 1 to 100, continuous; larger is better and bigger.
        model: a bundle, its name or its folder.
        tune: "psnr", or "ms-ssim" for the model's weights tuned for that: texture rather than pixels.
        effort: 1 (fastest) to 9 (smallest; needs PyTorch, and minutes for large pictures). The decoder's work
            is the same. cae2017 knows one effort only.
        strip: leave metadata out, and apply the EXIF orientation that would be lost with it.
        strict: refuse pictures of which a part would be lost with a warning: frames, or 8 of 16 bits.
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
        picture = image.codable(picture, strict=strict)
        if strip:
            picture = image.upright(picture)
        else:
            kept = metadata.of_image(picture)
    pixels, transparency = image.split(picture)
    height, width, channels = pixels.shape
    bundle = models.load(models.tuned(model, tune))
    code = rate.quality_code(quality, bundle.quality_scale)
    header = Header(bundle.id, channels, code, width, height)
    header.check(max_pixels)
    rgb = image.to_rgb(pixels)
    if bundle.architecture == "cae2017":
        latents, residual = cae2017.encode(rgb, code, bundle), None
    else:
        latents, plane = cae2026.encode(rgb, code, bundle, effort, progress)
        residual = None
        if code > bundle.ladder_top:
            base, padded = cae2026.reconstruct(plane), image.pad(rgb, bundle.stride, bundle.smallest_side)
            residual = detail.encode(padded, base, plane.indices.magnitudes, code, bundle)
    coded = None if transparency is None else alpha.encode(transparency)
    return container.write(header, Payload(latents, residual, coded, kept), max_pixels=max_pixels)


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


def _pixels(header: Header, payload: Payload) -> NDArray[np.uint8]:
    """What a file decodes to: uint8 (H, W, 1 to 4)."""
    bundle = models.load_by_id(header.model_id)
    above = header.quality > bundle.ladder_top
    if above != (payload.detail is not None):
        raise FormatError(
            f"detail: the chunk is {'missing' if above else 'there'} at quality {header.quality}"
        )
    size = header.height, header.width
    if bundle.architecture == "cae2017":
        rgb = cae2017.decode(payload.latents, *size, header.quality, bundle)
    else:
        plane = cae2026.decode(payload.latents, *size, header.quality, bundle)
        rgb = cae2026.reconstruct(plane)
        if payload.detail is not None:
            rgb = detail.decode(payload.detail, rgb, plane.indices.magnitudes, header.quality, bundle)
    pixels = image.from_rgb(rgb[: header.height, : header.width], header.channels)
    if payload.alpha is not None:
        pixels = np.dstack([pixels, alpha.decode(payload.alpha, header.height, header.width)])
    return np.ascontiguousarray(pixels)
