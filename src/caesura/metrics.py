"""Quality of a decoded picture, and its rate."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caesura.errors import ImageError
from caesura.parallel import each, one_blas_thread

Float = NDArray[np.float32]

# Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", 2003.
_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11
_SIGMA = 1.5
_PASSES = 16  # about so many times MS-SSIM goes through the pictures


def bits_per_pixel(size: int, width: int, height: int) -> float:
    """Rate of a file of `size` bytes."""
    return 8 * size / (width * height)


def psnr(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal pictures.

    Args:
        original, decoded: uint8 of one shape.

    Raises:
        ImageError: the shapes differ.
    """
    _same_shape(original, decoded)
    difference = original.astype(np.int32) - decoded.astype(np.int32)
    error = float(np.mean(difference * difference, dtype=np.float64))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


@one_blas_thread()
def ms_ssim(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Multiscale structural similarity, 0 to 1, the mean over channels.

    Five scales, Gaussian window of 11 pixels and sigma 1.5, without padding (Wang et al. 2003), as the
    field measures it: on RGB, halved by 2x2 means. In single precision, as the field's usual code has it:
    within 1e-5 of the same in double precision.

    Args:
        original, decoded: uint8 (H, W, channels) of one shape; both sides above 160 pixels.

    Raises:
        ImageError: the shapes differ, or a side is too small for five scales.
    """
    _same_shape(original, decoded)
    smallest = (_WINDOW - 1) * 2 ** (len(_MS_SSIM_WEIGHTS) - 1)
    if min(original.shape[:2]) <= smallest:
        height, width = original.shape[:2]
        raise ImageError(f"MS-SSIM needs sides above {smallest} pixels; the picture has {width} x {height}")

    def of(channel: int) -> float:
        planes = (picture[:, :, channel].astype(np.float32) for picture in (original, decoded))
        return _ms_ssim(*planes)

    return float(np.mean(each(of, range(original.shape[2]), _PASSES * original.size)))


def _ms_ssim(a: Float, b: Float) -> float:
    """That of one channel, float32 (H, W)."""
    result = 1.0
    for scale, weight in enumerate(_MS_SSIM_WEIGHTS):
        luminance, structure = _ssim_parts(a, b)
        last = scale == len(_MS_SSIM_WEIGHTS) - 1
        part = float((luminance * structure if last else structure).mean(dtype=np.float64))
        result *= max(part, 0.0) ** weight
        if not last:
            a, b = _halve(a), _halve(b)
    return result


def _ssim_parts(a: Float, b: Float) -> tuple[Float, Float]:
    """Luminance term, and contrast times structure, per window."""
    c1, c2, two = np.float32((0.01 * 255) ** 2), np.float32((0.03 * 255) ** 2), np.float32(2)
    mean_a, mean_b = _blur(a), _blur(b)
    squared_a, squared_b, product = np.square(mean_a), np.square(mean_b), mean_a * mean_b
    variance_a, variance_b = _blur(a * a) - squared_a, _blur(b * b) - squared_b
    covariance = _blur(a * b) - product
    luminance = np.divide(two * product + c1, squared_a + squared_b + c1)
    structure: Float = (two * covariance + c2) / (variance_a + variance_b + c2)
    return luminance, structure


def _blur(x: Float) -> Float:
    """Gaussian window along rows and columns, only where it fits.

    As matrix products of blocks of rows with a band matrix: more multiplications than taps, but fast ones.
    """
    band = _band()
    block, seen = band.shape
    for _ in range(2):
        kept = len(x) - _WINDOW + 1
        blocks = -(-kept // block)
        rows = np.zeros((blocks * block + _WINDOW - 1, x.shape[1]), np.float32)
        rows[: len(x)] = x
        windows = np.lib.stride_tricks.sliding_window_view(rows, seen, axis=0)[::block].swapaxes(1, 2)
        blurred = (band @ windows).reshape(-1, x.shape[1])[:kept]
        x = np.ascontiguousarray(blurred.T)
    return x


@lru_cache(maxsize=1)
def _band() -> Float:
    """The window at each of 32 neighbouring places: (32, 32 + 10)."""
    taps = np.exp(-((np.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    return np.stack([np.pad(taps, (place, 31 - place)) for place in range(32)]).astype(np.float32)


def _halve(x: Float) -> Float:
    """2x2 means; an odd side is padded with zeros that count, as the field's usual code does it."""
    odd_rows, odd_columns = x.shape[0] % 2, x.shape[1] % 2
    x = np.pad(x, ((odd_rows, odd_rows), (odd_columns, odd_columns)))
    rows, columns = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    x = x[:rows, :columns]
    halved: Float = (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / np.float32(4)
    return halved


def _same_shape(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> None:
    if original.shape != decoded.shape:
        raise ImageError(
            f"the pictures have shapes {original.shape} and {decoded.shape}; one shape is needed"
        )
