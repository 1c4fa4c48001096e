"""Pixels in and out: what can be coded, padding to the transform's grid, and cropping back."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from caesura.errors import ImageError

_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"})

_UNREADABLE = (OSError, RuntimeError, SyntaxError, ValueError)  # pixels are read when first needed

Pixels = NDArray[np.uint8]
ImageLike = Image.Image | NDArray[np.uint8] | NDArray[np.floating[Any]]


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


def to_pixels(image: ImageLike) -> Pixels:
    """An opaque picture as an array; as `split`, but transparency is refused.

    Raises:
        ImageError: the picture is not opaque, or see `split`.
    """
    pixels, alpha = split(image)
    if alpha is not None:
        raise ImageError(f"image has {_kind(image)} with transparency; only opaque pictures can be taken")
    return pixels


def split(image: ImageLike) -> tuple[Pixels, Pixels | None]:
    """The picture as arrays.

    Args:
        image: a Pillow image of mode 1, L, LA, P, PA, RGB, RGBA or RGBX; its EXIF orientation is not applied
            (see `upright`). Or an array (H, W) or (H, W, C): 1 or 3 channels, 2 or 4 with alpha last; uint8,
            or float in [0, 1], which is rounded to that.

    Returns:
        uint8 (H, W, 1) for grey, (H, W, 3) for RGB; and alpha, uint8 (H, W), or None if all is opaque.
        C-contiguous.

    Raises:
        ImageError: the mode, shape or dtype cannot be coded, or the picture is empty.
    """
    array: Any
    if isinstance(image, Image.Image):
        array = _from_pillow(image)
    else:
        array = _from_unit(image) if isinstance(image, np.ndarray) and image.dtype.kind == "f" else image
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            allowed = "a Pillow image or an array of uint8 or float is allowed"
            raise ImageError(f"image is an {_kind(image)}; {allowed}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise ImageError(f"image has shape {array.shape}; (H, W) and (H, W, 1 to 4) are allowed")
    if 0 in array.shape:
        raise ImageError(f"image has shape {array.shape}; at least one pixel is needed")
    colours = array.shape[2] - (array.shape[2] + 1) % 2
    alpha = None if colours == array.shape[2] else np.ascontiguousarray(array[:, :, -1])
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return np.ascontiguousarray(array[:, :, :colours]), alpha


def _kind(image: ImageLike) -> str:
    if isinstance(image, Image.Image):
        return f"mode {image.mode}"
    return f"array of {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__


def to_image(pixels: Pixels) -> Image.Image:
    """uint8 (H, W, C) as a Pillow image of mode L, LA, RGB or RGBA."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def mode(channels: int) -> str:
    """Pillow's name for a picture of 1 to 4 channels."""
    return ("L", "LA", "RGB", "RGBA")[channels - 1]


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


def reduce(pixels: Pixels, scale: int) -> Pixels:
    """Means of squares of `scale` each way; those at the right and bottom may be cut."""
    if scale == 1:
        return pixels
    return np.dstack(
        [np.asarray(Image.fromarray(plane).reduce(scale)) for plane in pixels.transpose(2, 0, 1)]
    )


def pad(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Repeat the last row and column up to this size."""
    bottom, right = height - pixels.shape[0], width - pixels.shape[1]
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else pixels


def padded_side(side: int, stride: int, smallest: int) -> int:
    """A side's length when it is a multiple of `stride` and at least `smallest`."""
    return max(smallest, -(-side // stride) * stride)


def grid(height: int, width: int, stride: int, smallest: int) -> tuple[int, int]:
    """Rows and columns of latents of a picture, padded as `padded_side` says."""
    rows, columns = (padded_side(side, stride, smallest) // stride for side in (height, width))
    return rows, columns


def eight_bits(image: Image.Image) -> Image.Image:
    """A picture of 16 bits a sample (modes I;16) as one of mode L, its upper 8, with a warning; others as is.

    Raises:
        ImageError: it cannot be read.
    """
    if not image.mode.startswith("I;16"):
        return image
    warnings.warn(f"image has mode {image.mode}; the upper 8 of its 16 bits are coded", stacklevel=3)
    try:
        samples = np.asarray(image)
    except _UNREADABLE as error:
        raise ImageError(f"image cannot be read: {error}") from error
    reduced = Image.fromarray((samples >> 8).astype(np.uint8))
    reduced.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return reduced


def _from_unit(array: NDArray[Any]) -> Pixels:
    if not (array.size == 0 or (array.min() >= 0 and array.max() <= 1)):
        raise ImageError(f"image is an array of {array.dtype} with values beyond 0 to 1; none are allowed")
    pixels: Pixels = np.rint(array * 255).astype(np.uint8)
    return pixels


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
            with_alpha = image.convert("RGBA")
            return np.asarray(with_alpha.convert("LA") if grey else with_alpha)
        return np.asarray(image.convert("L" if grey else "RGB"))
    except _UNREADABLE as error:
        raise ImageError(f"image cannot be read: {error}") from error
