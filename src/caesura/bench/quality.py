"""Quality metrics of a decoded picture."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura import metrics
from caesura.errors import DependencyError, ImageError

Pixels = NDArray[np.uint8]
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, full range

_LARGEST = 1 << 24  # pixels; each takes about 400 bytes


class Quality(NamedTuple):
    """The metrics of one picture; see `schema.Point`."""

    mse: float
    psnr: float | None
    psnr_luma: float | None
    ms_ssim: float | None
    ssimulacra2: float | None
    psnr_hvs_m: float | None = None
    cvvdp: float | None = None


def measure(
    original: Pixels,
    decoded: Pixels,
    more: Mapping[str, Callable[[Pixels, Pixels], float | None]] = MappingProxyType({}),
) -> Quality:
    """All metrics of a decoded picture, uint8 (H, W, 3).

    Args:
        original, decoded: the pictures, of one shape.
        more: functions of the fields that are None otherwise, see `optional_metrics.opened`.

    Raises:
        ImageError: the shapes differ.
    """
    if original.shape != decoded.shape:
        raise ImageError(
            f"decoded has shape {decoded.shape}; that of the original, {original.shape}, is allowed"
        )
    difference = original.astype(np.float32) - decoded
    mse = float(np.mean(difference * difference, dtype=np.float64))
    luma = difference @ np.array(LUMA, np.float32)
    try:
        similarity = metrics.ms_ssim(original, decoded)
    except ImageError:  # the picture is too small for five scales
        similarity = None
    luma_mse = float(np.mean(luma * luma, dtype=np.float64))
    asked = {field: function(original, decoded) for field, function in more.items()}
    perceived = ssimulacra2(original, decoded)
    return Quality(mse, decibels(mse), decibels(luma_mse), similarity, perceived, **asked)


def decibels(mse: float) -> float | None:
    """PSNR of a mean squared error of 8-bit samples; None for zero."""
    return 10 * math.log10(255**2 / mse) if mse > 0 else None


def similarity_decibels(similarity: float) -> float | None:
    """-10 log10(1 - MS-SSIM); None for equal pictures."""
    return -10 * math.log10(1 - similarity) if similarity < 1 else None


def ssimulacra2(original: Pixels, decoded: Pixels) -> float | None:
    """SSIMULACRA 2, 100 for equal pictures; None if a side is below 8 pixels, or above 2^24 pixels.

    The result is that of `ssimulacra2.compute_ssimulacra2`. The original's part is computed once for all
    pictures that were decoded from its files, which halves the time.
    """
    height, width, _ = original.shape
    if min(height, width) < 8 or height * width > _LARGEST:
        return None
    from ssimulacra2 import ssimulacra2 as library

    before = _scales_of(original.tobytes(), original.shape)
    linear = library.srgb_to_linear(decoded.astype(np.float64))
    total = library.Msssim()
    for number, (picture, squares, mean) in enumerate(before):
        linear = library.downsample(linear, 2, 2) if number else linear
        other = library.make_positive_xyb(library.linear_rgb_to_xyb(linear))
        other_mean = library.blur_image(other)
        other_squares, products = library.blur_image(other * other), library.blur_image(picture * other)
        scale = library.MsssimScale()
        scale.avg_ssim = library.ssim_map(mean, other_mean, squares, other_squares, products)
        scale.avg_edgediff = library.edge_diff_map(picture, mean, other, other_mean)
        total.scales.append(scale)
    return float(total.score())


def psnr_hvs_m(original: Pixels, decoded: Pixels) -> float | None:
    """PSNR-HVS-M in dB, of luma, by the library psnr-hvsm (Ponomarenko et al. 2007).

    Squared differences of the DCT of 8 x 8 blocks, less what masking by the block hides, weighted by contrast
    sensitivity. Luma is Y of BT.601 between 16 and 235, rounded, with a peak of 255. Incomplete blocks at the
    right and lower edge are left out, as by Ponomarenko's own program.

    Returns:
        None if the metric sees no difference, or a side is below 8 pixels.
    """
    from psnr_hvsm.numpy import bt601ycbcr, hvs_hvsm_mse

    height, width = (side // 8 * 8 for side in original.shape[:2])
    if not height or not width:
        return None
    one, two = (bt601ycbcr(pixels[:height, :width])[0] for pixels in (original, decoded))
    with np.errstate(divide="ignore", invalid="ignore"):  # flat blocks
        _, masked = hvs_hvsm_mse(one, two)
    return -10 * math.log10(masked) if masked > 0 else None


def need_psnr_hvsm() -> None:
    """Import the library psnr-hvsm. It prints which backends are missing; with torch, it takes seconds.

    Raises:
        DependencyError: the library is not installed.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module("psnr_hvsm")
    except ImportError as error:
        raise DependencyError("psnr-hvsm is not installed; pip install 'caesura[bench]'") from error


@functools.lru_cache(maxsize=1)
def _scales_of(content: bytes, shape: tuple[int, ...]) -> list[tuple[Any, Any, Any]]:
    """For each scale of an original: its pixels in XYB, their squares blurred, and the pixels blurred."""
    from ssimulacra2 import ssimulacra2 as library

    linear = library.srgb_to_linear(np.frombuffer(content, np.uint8).reshape(shape).astype(np.float64))
    scales: list[tuple[Any, Any, Any]] = []
    while len(scales) < library.kNumScales:
        linear = library.downsample(linear, 2, 2) if scales else linear
        if min(linear.shape[:2]) < 8:
            break
        picture = library.make_positive_xyb(library.linear_rgb_to_xyb(linear))
        scales.append((picture, library.blur_image(picture * picture), library.blur_image(picture)))
    return scales
