"""Encode and decode, the only place that knows the order of the stages.

encode: image -> pad -> analysis -> scale, round -> entropy code -> container -> bytes
decode: bytes -> container -> entropy decode -> scale -> synthesis -> crop -> image
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura import container, image, rate, transform
from caesura import model as models
from caesura.container import MAX_PIXELS, Header
from caesura.entropy import factorized
from caesura.entropy.tables import SYMBOL_MAX, SYMBOL_MIN
from caesura.image import ImageLike
from caesura.model import Bundle


def encode(
    picture: ImageLike,
    *,
    quality: float = rate.DEFAULT_QUALITY,
    model: str | Path | Bundle = models.DEFAULT,
    max_pixels: int = MAX_PIXELS,
) -> bytes:
    """Code a picture.

    Args:
        picture: a Pillow image (modes 1, L, P, RGB; alpha only where opaque; EXIF orientation is applied) or
            uint8 (H, W), (H, W, 1) or (H, W, 3).
        quality: 1 to 100, continuous; larger is better and bigger.
        model: a bundle, its name or its folder.
        max_pixels: refuse larger pictures.

    Returns:
        A .cae file.

    Raises:
        ImageError: the picture cannot be coded as it is.
        ConfigError: `quality` is out of range.
        ModelError: the model is not there or damaged.
        LimitError: the picture is too large.
    """
    code = rate.quality_code(quality)
    pixels = image.to_pixels(picture)
    height, width, channels = pixels.shape
    bundle = models.load(model)
    header = Header(bundle.id, channels, code, width, height)
    header.check(max_pixels)

    padded = image.pad(image.to_rgb(pixels), bundle.stride, bundle.smallest_side)
    latent = transform.analyse(padded, bundle)
    latent *= rate.scale_vector(bundle.log_gain, code)[:, None, None]
    symbols = np.rint(latent).clip(SYMBOL_MIN, SYMBOL_MAX).astype(np.int32)
    tables = bundle.tables.row(rate.table_row(code, bundle.tables.rows))
    return container.write(header, factorized.encode(symbols, tables), max_pixels=max_pixels)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a .cae file to a Pillow image, mode L or RGB; see `decode_array`."""
    return image.to_image(decode_array(data, max_pixels=max_pixels))


def decode_array(data: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a .cae file to an array.

    Args:
        data: the file.
        max_pixels: refuse files that claim more, before anything is allocated.

    Returns:
        uint8 (H, W, 1) for a grey picture, (H, W, 3) for RGB.

    Raises:
        FormatError: one of its kinds, if the bytes are not an undamaged .cae file.
        ModelError: the model that coded the file is not there.
    """
    header, payload = container.read(data, max_pixels=max_pixels)
    bundle = models.load_by_id(header.model_id)
    tables = bundle.tables.row(rate.table_row(header.quality, bundle.tables.rows))
    rows, columns = (
        image.padded_side(side, bundle.stride, bundle.smallest_side) // bundle.stride
        for side in (header.height, header.width)
    )
    symbols = factorized.decode(payload, (bundle.channels, rows, columns), tables)
    latent = symbols.astype(np.float32)
    latent *= rate.scale_vector(bundle.log_inverse, header.quality)[:, None, None]
    rgb = transform.synthesise(latent, bundle)[: header.height, : header.width]
    return np.ascontiguousarray(image.from_rgb(rgb, header.channels))
