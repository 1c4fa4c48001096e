"""Pixels in and out: what can be coded, padding to the transform's grid, and cropping back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from caesura.errors import ImageError

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"})

_UNREADABLE = (OSError, RuntimeError, SyntaxError, ValueError)  # pixels are read when first needed

ImageLike = Image.Image | NDArray[np.uint8]


def open_image(path: Path) -> Image.Image:
    """Read a picture file whole.

    Raises:
        ImageError: it cannot be read, or its format is not known to Pillow.
    """
    try:
        picture = Image.open(path)
        picture.load()
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not a picture in a format known here") from error
    except (OSError, RuntimeError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    return picture


def to_pixels(image: ImageLike) -> NDArray[np.uint8]:
    """The picture as an array.

    Args:
        image: a Pillow image of mode 1, L, P, RGB or RGBX, or with an alpha channel that is opaque
            everywhere; its EXIF orientation is not applied (see `upright`). Or uint8 (H, W), (H, W, 1) or
            (H, W, 3).

    Returns:
        uint8 (H, W, 1) for grey, (H, W, 3) for RGB; C-contiguous.

    Raises:
        ImageError: the mode, shape or dtype cannot be coded, or the picture is empty.
    """
    if isinstance(image, Image.Image):
        array = _from_pillow(image)
    else:
        array = image
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            got = f"array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ImageError(f"image is an {got}; a Pillow image or an array of uint8 is allowed")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise ImageError(f"image has shape {array.shape}; (H, W), (H, W, 1) and (H, W, 3) are allowed")
    if 0 in array.shape:
        raise ImageError(f"image has shape {array.shape}; at least one pixel is needed")
    return np.ascontiguousarray(array)


def to_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """uint8 (H, W, 1) or (H, W, 3) as a Pillow image of mode L or RGB."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 1) or (H, W, 3) to (H, W, 3); a view."""
    rgb: NDArray[np.uint8] = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return rgb


def from_rgb(rgb: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) to (H, W, channels); grey is the rounded mean of the three."""
    if channels == 3:
        return rgb
    total: NDArray[np.uint16] = rgb.sum(axis=2, keepdims=True, dtype=np.uint16)
    return ((total + 1) // 3).astype(np.uint8)


def pad(pixels: NDArray[np.uint8], stride: int, smallest: int) -> NDArray[np.uint8]:
    """Repeat the last row and column until both sides are multiples of `stride` and at least `smallest`."""
    height, width = pixels.shape[:2]
    bottom, right = padded_side(height, stride, smallest), padded_side(width, stride, smallest)
    return np.pad(pixels, ((0, bottom - height), (0, right - width), (0, 0)), mode="edge")


def padded_side(side: int, stride: int, smallest: int) -> int:
    """A side's length after `pad`."""
    return max(smallest, -(-side // stride) * stride)


def grid(height: int, width: int, stride: int, smallest: int) -> tuple[int, int]:
    """Rows and columns of latents of a picture after `pad`."""
    rows, columns = (padded_side(side, stride, smallest) // stride for side in (height, width))
    return rows, columns


def upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        return ImageOps.exif_transpose(image)
    except _UNREADABLE as error:
        raise ImageError(f"image cannot be read: {error}") from error


def _from_pillow(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode not in _MODES:
        raise ImageError(f"image has mode {image.mode}; {', '.join(sorted(_MODES))} are allowed")
    grey = image.mode in {"1", "L", "LA"}
    try:
        if image.has_transparency_data:
            opaque = image.convert("RGBA")
            if opaque.getchannel("A").getextrema() != (255, 255):
                raise ImageError(
                    f"image has mode {image.mode} with transparency; only opaque pictures can be coded"
                )
            image = opaque
        return np.asarray(image.convert("L" if grey else "RGB"))
    except _UNREADABLE as error:
        raise ImageError(f"image cannot be read: {error}") from error
