"""Rate control: a picture encoded at several ladder positions until a target is met."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from caesura.format import container
from caesura.format.container import Header
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.picture.metadata import Metadata
from caesura.ratecontrol.forecast import Forecast, forecast, pixel_variance, usual
from caesura.ratecontrol.search import Target, search
from caesura.tiles.build import build_encoder
from caesura.tiles.cache import RateControlCache
from caesura.tiles.encoder import Encoder
from caesura.tiles.layers import Pixels
from caesura.tiles.refinement import Refinement
from caesura.tiles.source import Rows, Source

_MOST_CACHED = 1 << 26  # pixels; trials of larger pictures share nothing, to save memory
# Margin for decoders on other machines, whose floats are rounded otherwise.
_MARGIN = {"psnr": 2e-4, "ms_ssim": 2e-6}
_LOSSLESS = {"psnr": math.inf, "ms_ssim": 1.0}  # the same everywhere


def encode_to_target(
    target: Target,
    source: Source,
    header: Header,
    bundle: Bundle,
    effort: int,
    *,
    exact: bool,
    refinement: Refinement | None,
    measure: Callable[[Pixels], float] | None,
    max_pixels: int,
) -> bytes:
    """The file of the best quality that meets a target.

    Args:
        target: a size, PSNR or MS-SSIM.
        source: the picture.
        header: of the file, at any ladder position.
        bundle: the model that it names.
        effort: 1 to 9.
        exact: colours of fully transparent pixels matter.
        refinement: for effort 9.
        measure: gives the PSNR or MS-SSIM of decoded colours, uint8 (H, W, colours); None for a size.
        max_pixels: larger pictures are refused.

    Raises:
        ConfigError: no ladder position meets the target.
    """
    cache = RateControlCache() if source.size <= _MOST_CACHED else None
    build = partial(
        build_encoder,
        bundle=bundle,
        effort=effort,
        exact=exact,
        target=target,
        decodes=measure is not None,
        refinement=refinement,
        cache=cache,
    )

    def encoder(ladder_position: int) -> Encoder:
        return build(replace(header, ladder_position=ladder_position))

    def attempt(ladder_position: int) -> tuple[float, bytes]:
        trial = encoder(ladder_position)
        if measure is None:
            file = trial.file(source, max_pixels)
            return len(file), file
        value = measure(trial.reconstruct(source.rows))
        return value if value >= _LOSSLESS[target.name] else value - _MARGIN[target.name], b""

    def is_lossless(value: float, file: bytes) -> bool:
        return _is_lossless(file) if target.is_size else value >= _LOSSLESS[target.name]

    start, slope = _usual_start(target, source, bundle), None
    if cache is not None and (estimate := _estimate(target, source, encoder(start), bundle)) is not None:
        start, slope = estimate
    found = search(
        target,
        attempt,
        pixels=source.size,
        start=start,
        slope=slope,
        jump=bundle.ladder_top,
        explain=_fixed_part if target.is_size else lambda file: "",
        is_lossless=is_lossless,
    )
    return found.result or encoder(found.ladder_position).file(source, max_pixels)


def _usual_start(target: Target, source: Source, bundle: Bundle) -> int:
    """The ladder position where photographs meet the target on average."""
    position = usual(bundle, target, source.size)
    if position is None:
        return ladder.position_of(target.guess(source.size), bundle.quality_scale)
    return position


def _estimate(target: Target, source: Source, encoder: Encoder, bundle: Bundle) -> Forecast | None:
    """The estimate for this picture, from its latents at the encoder's ladder position."""
    variances = contrasts(encoder, source.rows, bundle.stride) if target.name == "ms_ssim" else []
    return forecast(encoder.analyse(source.rows), variances, bundle, target, source.size)


def contrasts(encoder: Encoder, rows: Rows, stride: int) -> list[NDArray[np.float32]]:
    """The variances of the pixels behind each segment's latents, float32 (h, w) each, as for `forecast`."""
    return [
        pixel_variance(strip.kept(segment), stride)
        for strip in encoder.strips(rows)
        for segment in strip.segments
    ]


def _is_lossless(file: bytes) -> bool:
    """Whether all segments of a file are lossless as a whole."""
    _, payload = container.read(file, max_pixels=container.MAX_SIDE**2)
    return all(segment is not None and segment.latents is None for segment in payload.segments)


def _fixed_part(file: bytes) -> str:
    """What an error says of the bytes that are the same at every quality."""
    header, payload = container.read(file, max_pixels=container.MAX_SIDE**2)
    kept = len(container.write_start(header, payload.metadata, max_pixels=container.MAX_SIDE**2))
    kept -= len(container.write_start(header, Metadata(), max_pixels=container.MAX_SIDE**2))
    transparency = sum(
        len(container.write_segment(number, segment))
        - len(container.write_segment(number, replace(segment, alpha=None)))
        for number, segment in enumerate(payload.segments)
        if segment is not None and segment.alpha is not None
    )
    text = f"; {kept} bytes of it are metadata, which strip (--strip) leaves out" if kept else ""
    return text + (f"; {transparency} bytes of it are transparency" if transparency else "")
