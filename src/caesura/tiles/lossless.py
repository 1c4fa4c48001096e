"""The choice of lossless layers: which segments are coded without loss, in whole or in part.

A layer is chosen where it takes no more bytes than latents would for the quality that they give photographs:
latents that ring around text, and so fall short of that quality, count for more bytes than they have.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from caesura.coding import detail, lossless
from caesura.coding.lossless import LosslessLayer
from caesura.picture import alpha, pixels
from caesura.ratecontrol.forecast import usual_psnr
from caesura.ratecontrol.search import Target
from caesura.runtime.parallel import each
from caesura.tiles.grid import Segment
from caesura.tiles.layers import Layers, Pixels
from caesura.tiles.source import Strip

# What bytes grow by along the ladder of photographs, for a decibel, and the most that they are multiplied by.
_GROWTH, _MOST = 1.2, 2.0

Mask = NDArray[np.bool_]


class LosslessChoice:
    """Chooses the lossless layers of one picture at one ladder position."""

    def __init__(
        self,
        layers: Layers,
        effort: int,
        *,
        exact: bool,
        target: Target | None = None,
        candidates: dict[int, list[LosslessLayer]] | None = None,
    ) -> None:
        """Start.

        Args:
            layers: of the picture.
            effort: 1 to 9.
            exact: colours of fully transparent pixels matter.
            target: of rate control. For a size, bytes alone count, so that sizes rise along the ladder
                without a leap; a PSNR takes the place of the one that photographs have.
            candidates: of segments, by number, for other trials; those that are not there are added.
        """
        self._layers, self._effort, self._candidates, self._exact = layers, effort, candidates, exact
        conditioning = layers.conditioning
        self._wanted_psnr, self._most = usual_psnr(conditioning.bundle, conditioning.ladder_position), _MOST
        if target is not None and target.is_size:
            self._most = 1.0
        elif target is not None and target.psnr is not None:
            self._wanted_psnr, self._most = target.psnr, math.inf

    def __call__(self, strip: Strip) -> Strip:
        """The strip with its lossless layers, whose pixels there continue the others smoothly."""
        found = each(partial(self._choose, strip), strip.segments, self._layers.work)
        chosen = {
            segment.number: layer for segment, layer in zip(strip.segments, found, strict=True) if layer
        }
        if not chosen:
            return strip
        with_layers = strip._replace(lossless=chosen)
        if not with_layers.learned:
            return with_layers
        kept = np.zeros(strip.rgb.shape[:2], bool)
        for segment in strip.segments:
            if segment.number in chosen:
                strip.cropped(kept, segment.rows.kept, segment.columns.kept)[:] = chosen[segment.number].kept
        return with_layers._replace(rgb=_continued(strip.rgb, kept))

    def _choose(self, strip: Strip, segment: Segment) -> LosslessLayer | None:
        where = segment.rows.kept, segment.columns.kept
        rgb = strip.cropped(strip.rgb, *where)
        transparency = None if strip.alpha is None else strip.cropped(strip.alpha, *where)
        hidden = None if transparency is None or self._exact else transparency == 0
        candidates = None if self._candidates is None else self._candidates.get(segment.number)
        if candidates is None:
            candidates = lossless.candidates(rgb, hidden, self._effort)
            if self._candidates is not None:
                self._candidates[segment.number] = candidates
        if not candidates:
            return None
        shown = np.ones(rgb.shape[:2], bool) if hidden is None else ~hidden
        costs: list[tuple[float, LosslessLayer | None]] = [
            (len(layer.payload) + self._learned_cost(rgb, segment, shown & ~layer.kept, layer), layer)
            for layer in candidates
        ]
        costs.append((self._learned_cost(rgb, segment, shown), None))
        return min(costs, key=lambda pair: pair[0])[1]  # the first of equals

    def _learned_cost(
        self, rgb: Pixels, segment: Segment, shown: Mask, layer: LosslessLayer | None = None
    ) -> float:
        """The bytes of a segment's latents and detail, at the quality that is wanted.

        Args:
            rgb: the segment's pixels.
            segment: it.
            shown: bool (h, w), the pixels whose quality counts; none are no cost.
            layer: the segment's lossless layer.
        """
        if not shown.any():
            return 0
        conditioning, coder = self._layers.conditioning, self._layers.coder
        sides = (conditioning.bundle.stride * side for side in segment.shape)
        padded = pixels.pad(rgb if layer is None else _continued(rgb, layer.kept), *sides)
        free = None if layer is None else layer.free(conditioning.bundle.stride)
        encoded = coder.encode(coder.analyse(padded), free)
        size, decoded = len(encoded.pack()), encoded.decoded
        found = coder.synthesise(decoded.latents)
        if conditioning.above_ladder:
            assert decoded.magnitudes is not None  # the architecture has the layer
            size += len(detail.encode(padded, found, decoded.magnitudes, conditioning))
            found = detail.reconstruct(padded, found, conditioning)
        error = found[: len(rgb), : rgb.shape[1]][shown].astype(np.float32) - rgb[shown]
        mse = max(float(np.mean(np.square(error))), 1e-9)
        lacking = self._wanted_psnr - 10 * math.log10(255**2 / mse)
        return size * min(math.pow(_GROWTH, max(lacking, 0)), self._most)


def _continued(rgb: Pixels, kept: Mask) -> Pixels:
    """Pixels with a smooth continuation of the others where a lossless layer keeps them."""
    return alpha.cleared(rgb, np.where(kept, np.uint8(0), np.uint8(255)))
