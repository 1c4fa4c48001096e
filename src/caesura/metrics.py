"""Quality metrics of decoded pictures (PSNR, MS-SSIM), and bits per pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.errors import ImageError
from caesura.picture import alpha
from caesura.runtime.parallel import each, one_blas_thread

Float = NDArray[np.float32]

# Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", 2003.
_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11
_SIGMA = 1.5
_PASSES = 16  # of MS-SSIM over the pixels, about
_MAX_CACHED = 3 << 23  # samples of an original whose scales are cached, at 16 bytes each


def bits_per_pixel(size: int, width: int, height: int) -> float:
    """Bits per pixel of a file of `size` bytes."""
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


def seen_psnr(
    original: NDArray[np.uint8], transparency: NDArray[np.uint8] | None
) -> Callable[[NDArray[np.uint8]], float]:
    """A function that returns `psnr` over visible pixels, where alpha, uint8 (H, W), is above 0."""
    if transparency is None:
        return partial(psnr, original)
    visible = transparency > 0

    def measure(decoded: NDArray[np.uint8]) -> float:
        _same_shape(original, decoded)
        return psnr(original[visible], decoded[visible]) if visible.any() else math.inf

    return measure


def seen_ms_ssim(
    original: NDArray[np.uint8], transparency: NDArray[np.uint8] | None
) -> Callable[[NDArray[np.uint8]], float]:
    """A function that returns `ms_ssim` of a decoded picture, with transparent pixels set equal in both."""
    if transparency is None:
        return MsSsim(original)
    visible, filled = (transparency > 0)[:, :, None], alpha.cleared(original, transparency)
    measure = MsSsim(filled)
    return lambda decoded: measure(np.where(visible, decoded, filled))


def ms_ssim(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Multiscale structural similarity, 0 to 1, the mean over channels.

    Five scales, Gaussian window of 11 pixels and sigma 1.5, without padding (Wang et al. 2003); on RGB,
    halved by 2x2 means, as is usual for image compression. Single precision, within 1e-5 of double precision.

    Args:
        original, decoded: uint8 (H, W, channels) of one shape; both sides above 160 pixels.

    Raises:
        ImageError: the shapes differ, or a side is too small for five scales.
    """
    return MsSsim(original, kept=False)(decoded)


class MsSsim:
    """`ms_ssim` of many decoded pictures and one original, of which two of every five blurs are cached."""

    def __init__(self, original: NDArray[np.uint8], *, kept: bool = True) -> None:
        """Set the original.

        Args:
            original: uint8 (H, W, channels).
            kept: cache the original's scales, unless it is too large.

        Raises:
            ImageError: a side is too small for five scales.
        """
        smallest = (_WINDOW - 1) * 2 ** (len(_MS_SSIM_WEIGHTS) - 1)
        if min(original.shape[:2]) <= smallest:
            height, width = original.shape[:2]
            raise ImageError(
                f"MS-SSIM needs sides above {smallest} pixels; the picture has {width} x {height}"
            )
        self._original = original
        self._keeps = kept and original.size <= _MAX_CACHED
        self._kept: dict[int, list[_Scale]] = {}

    @one_blas_thread()
    def __call__(self, decoded: NDArray[np.uint8]) -> float:
        """MS-SSIM of a decoded picture, uint8 of the original's shape.

        Raises:
            ImageError: the shapes differ.
        """
        _same_shape(self._original, decoded)

        def one(channel: int) -> float:
            return _ms_ssim(self._scales(channel), decoded[:, :, channel].astype(np.float32))

        return float(np.mean(each(one, range(decoded.shape[2]), _PASSES * decoded.size)))

    def _scales(self, channel: int) -> Iterable[_Scale]:
        if channel in self._kept:
            return self._kept[channel]
        scales = _scales(self._original[:, :, channel].astype(np.float32))
        return self._kept.setdefault(channel, list(scales)) if self._keeps else scales


class _Scale(NamedTuple):
    """One channel of the original at one scale: plane, float32 (h, w); mean and variance of each window."""

    plane: Float
    mean: Float
    variance: Float


def _scales(plane: Float) -> Iterator[_Scale]:
    """The scales of one channel, float32 (H, W), finest first."""
    for scale in range(len(_MS_SSIM_WEIGHTS)):
        plane = plane if scale == 0 else _halve(plane)
        mean = _blur(plane)
        yield _Scale(plane, mean, _blur(plane * plane) - np.square(mean))


def _ms_ssim(original: Iterable[_Scale], decoded: Float) -> float:
    """MS-SSIM of one channel, decoded float32 (H, W)."""
    result = 1.0
    last = len(_MS_SSIM_WEIGHTS) - 1
    for scale, (reference, weight) in enumerate(zip(original, _MS_SSIM_WEIGHTS, strict=True)):
        decoded = decoded if scale == 0 else _halve(decoded)
        luminance, structure = _ssim_parts(reference, decoded)
        part = float((luminance * structure if scale == last else structure).mean(dtype=np.float64))
        result *= max(part, 0.0) ** weight
    return result


def _ssim_parts(original: _Scale, decoded: Float) -> tuple[Float, Float]:
    """The luminance term, and contrast times structure, of each window."""
    c1, c2, two = np.float32((0.01 * 255) ** 2), np.float32((0.03 * 255) ** 2), np.float32(2)
    mean = _blur(decoded)
    product, squared = original.mean * mean, np.square(mean)
    variance, covariance = (
        _blur(decoded * decoded) - squared,
        _blur(original.plane * decoded) - product,
    )
    luminance = np.divide(two * product + c1, np.square(original.mean) + squared + c1)
    structure: Float = (two * covariance + c2) / (original.variance + variance + c2)
    return luminance, structure


def _blur(x: Float) -> Float:
    """float32 (h - 10, w - 10): `x`, float32 (h, w), filtered with the Gaussian window, without padding.

    Computed as matrix products of a band matrix and blocks of rows, which is faster than adding up taps.
    """
    band = _band()
    block, span = band.shape
    for _ in range(2):
        kept = len(x) - _WINDOW + 1
        blocks = -(-kept // block)
        rows = np.zeros((blocks * block + _WINDOW - 1, x.shape[1]), np.float32)
        rows[: len(x)] = x
        windows = np.lib.stride_tricks.sliding_window_view(rows, span, axis=0)[::block].swapaxes(1, 2)
        blurred = (band @ windows).reshape(-1, x.shape[1])[:kept]
        x = np.ascontiguousarray(blurred.T)
    return x


@lru_cache(maxsize=1)
def _band() -> Float:
    """The window at each of 32 neighbouring offsets: float32 (32, 32 + 10)."""
    taps = np.exp(-((np.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    return np.stack([np.pad(taps, (offset, 31 - offset)) for offset in range(32)]).astype(np.float32)


def _halve(x: Float) -> Float:
    """2x2 means; an odd side is padded with zeros, which count in the means as in pytorch_msssim."""
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
