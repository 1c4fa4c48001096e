"""Pixels as arrays: from and to Pillow images, padding, reduction, grey and RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.errors import ImageError
from caesura.picture.channels import colours
from caesura.picture.loading import pillow_errors

MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"})  # Pillow's, that `split` takes
GREY_MODES = frozenset({"1", "L", "LA"})

Pixels = NDArray[np.uint8]
ImageLike = Image.Image | NDArray[np.uint8] | NDArray[np.floating[Any]]


def split(image: ImageLike) -> tuple[Pixels, Pixels | None]:
    """The colours and the alpha of a picture.

    Args:
        image: a Pillow image of mode 1, L, LA, P, PA, RGB, RGBA or RGBX; its EXIF orientation is not applied
            (see `convert.upright`). Or an array (H, W) or (H, W, C): 1 or 3 channels, 2 or 4 with alpha last;
            uint8, or float in [0, 1], which is scaled to 255 and rounded.

    Returns:
        Colours, uint8 (H, W, 1) for grey or (H, W, 3) for RGB; and alpha, uint8 (H, W), or None if all pixels
        are opaque. Both C-contiguous.

    Raises:
        ImageError: the mode, shape or dtype cannot be coded, or the picture is empty.
    """
    array: Any
    if isinstance(image, Image.Image):
        array = _from_pillow(image)
    else:
        array = _from_float(image) if isinstance(image, np.ndarray) and image.dtype.kind == "f" else image
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            allowed = "a Pillow image or an array of uint8 or float is allowed"
            raise ImageError(f"image is an {_kind(image)}; {allowed}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise ImageError(f"image has shape {array.shape}; (H, W) and (H, W, 1 to 4) are allowed")
    if 0 in array.shape:
        raise ImageError(f"image has shape {array.shape}; at least one pixel is needed")
    count = colours(array.shape[2])
    alpha = None if count == array.shape[2] else np.ascontiguousarray(array[:, :, -1])
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return np.ascontiguousarray(array[:, :, :count]), alpha


def to_pixels(image: ImageLike) -> Pixels:
    """The colours of an opaque picture, as `split` returns them.

    Raises:
        ImageError: the picture is not opaque, or `split` raises it.
    """
    pixels, alpha = split(image)
    if alpha is not None:
        raise ImageError(f"image has {_kind(image)} with transparency; only opaque pictures are allowed")
    return pixels


def _from_pillow(image: Image.Image) -> Pixels:
    if image.mode not in MODES:
        raise ImageError(f"image has mode {image.mode}; {', '.join(sorted(MODES))} are allowed")
    grey = image.mode in GREY_MODES
    with pillow_errors():
        if image.has_transparency_data:
            with_alpha = image.convert("RGBA")
            return np.asarray(with_alpha.convert("LA") if grey else with_alpha)
        return np.asarray(image.convert("L" if grey else "RGB"))


def _from_float(array: NDArray[Any]) -> Pixels:
    if not (array.size == 0 or (array.min() >= 0 and array.max() <= 1)):
        raise ImageError(f"image is an array of {array.dtype} with values outside 0 to 1; 0 to 1 is allowed")
    pixels: Pixels = np.rint(array * 255).astype(np.uint8)
    return pixels


def _kind(image: ImageLike) -> str:
    if isinstance(image, Image.Image):
        return f"mode {image.mode}"
    return f"array of {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__


def to_image(pixels: Pixels) -> Image.Image:
    """A Pillow image of mode L, LA, RGB or RGBA from uint8 (H, W, C)."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def over_white(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """Colours and alpha, as `split` returns them, blended with white: uint8 (H, W, C)."""
    if alpha is None:
        return pixels
    weights = alpha[:, :, None].astype(np.uint16)
    return ((pixels * weights + 255 * (255 - weights) + 127) // 255).astype(np.uint8)


def to_rgb(pixels: Pixels) -> Pixels:
    """A view of shape (H, W, 3) of uint8 (H, W, 1) or (H, W, 3)."""
    rgb: Pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return rgb


def from_rgb(rgb: Pixels, channels: int) -> Pixels:
    """uint8 (H, W, channels) of uint8 (H, W, 3); grey is the rounded mean of the three channels."""
    if channels == 3:
        return rgb
    total: NDArray[np.uint16] = rgb.sum(axis=2, keepdims=True, dtype=np.uint16)
    return ((total + 1) // 3).astype(np.uint8)


def reduce(pixels: Pixels, scale: int) -> Pixels:
    """The means of blocks of `scale` x `scale` pixels; blocks at the right and bottom edges may be smaller.

    Colours are weighted by alpha, so that those of transparent pixels do not bleed into edges.
    """
    if scale == 1:
        return pixels

    def means(planes: NDArray[Any]) -> NDArray[Any]:
        reduced = [Image.fromarray(plane).reduce(scale) for plane in planes.transpose(2, 0, 1)]
        return np.dstack([np.asarray(plane) for plane in reduced])

    if pixels.shape[2] in (1, 3):
        return means(pixels)
    colour_planes, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    weights = alpha.astype(np.float32)  # Pillow premultiplies in 8 bits, which darkens
    visible = means(colour_planes * weights) / np.maximum(means(weights), np.finfo(np.float32).tiny)
    return np.dstack([(visible + np.float32(0.5)).astype(np.uint8), means(alpha)])


def pad(pixels: Pixels, height: int, width: int) -> Pixels:
    """The pixels with the last row and column repeated up to this size."""
    bottom, right = height - pixels.shape[0], width - pixels.shape[1]
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else pixels


def all_of(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Whether all of each square of `side` pixels is in a mask; squares at the edges may be smaller.

    Args:
        mask: bool (H, W).
        side: of a square.

    Returns:
        bool (ceil(H / side), ceil(W / side)).
    """
    rows = np.logical_and.reduceat(mask, np.arange(0, mask.shape[0], side), axis=0)
    found: NDArray[np.bool_] = np.logical_and.reduceat(rows, np.arange(0, mask.shape[1], side), axis=1)
    return found


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask, bool (h, w), with the eight neighbours of all that it has."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    found: NDArray[np.bool_] = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return found


def padded_side(side: int, stride: int, smallest: int) -> int:
    """The smallest multiple of `stride` that is at least `side`, but at least `smallest`."""
    return max(smallest, -(-side // stride) * stride)


def grid(height: int, width: int, stride: int, smallest: int) -> tuple[int, int]:
    """Rows and columns of the latents of a picture whose sides are padded by `padded_side`."""
    rows, columns = (padded_side(side, stride, smallest) // stride for side in (height, width))
    return rows, columns
