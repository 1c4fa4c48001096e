"""One segment with `cae2026`: hyperlatents first, then the latents in four passes.

encode: pixels -> analysis -> * gain -> hyper-analysis -> round -> hyperlatents
        each pass: means, indices -> round(latent - mean) -> symbols
        all of it, last first -> entropy code -> payload
decode: payload -> hyperlatents -> each pass: means, indices -> entropy decode -> + mean -> latents
        latents -> synthesis -> pixels
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura.coding import rounding
from caesura.coding.base import DEFAULT_EFFORT, MIN_EFFORT, Decoded
from caesura.coding.refine import refine
from caesura.entropy import factorized, grouped
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.control import Control, Indices
from caesura.entropy.passes import PASSES, Part, flat_offsets, parts
from caesura.models.bundle import HYPER
from caesura.models.conditioning import Conditioning
from caesura.runtime import transform
from caesura.runtime.parallel import each

# Weight of the rate in rounding. Training rounds to the nearest, so that optimised rounding gains little.
_RATE_WEIGHT = 0.15

Float = NDArray[np.float32]
Symbols = NDArray[np.int32]
# The distortion of decoded latents, float32 (channels, h, w), in bits, and its gradient, shaped alike.
Distortion = Callable[[Float], tuple[float, Float]]


class CodedPart(NamedTuple):
    """The table indices of a part, and its symbols where these are not 0; elsewhere they are zero.

    Attributes:
        indices: uint8 (channels, h, w).
        offsets: where they are not 0, int64 (n,), in the flat part.
        symbols: there, int32 (n,); most of them are zero too.
    """

    indices: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    symbols: Symbols

    @property
    def nonzero(self) -> tuple[NDArray[np.int64], Symbols]:
        """Offsets of the symbols that are not zero, and these."""
        nonzero = np.flatnonzero(self.symbols != 0)
        return self.offsets.take(nonzero), self.symbols.take(nonzero)

    def bits(self, control: Control) -> float:
        """What all symbols cost, each by the table of its index."""
        symbols = np.zeros(self.indices.size, np.int32)
        symbols[self.offsets] = self.symbols
        return rounding.cost(symbols, self.indices.reshape(-1), control)


class Encoded(NamedTuple):
    """Hyperlatents, latents, and pass by pass the parts of their symbols; see `base.Encoded`."""

    hyperlatents: Symbols
    latents: ProgressiveLatents
    passes: list[list[CodedPart]]

    @property
    def decoded(self) -> Decoded:
        """See `base.Encoded`."""
        return self.latents.decoded

    @property
    def bits(self) -> float:
        """What the symbols of the latents cost."""
        return sum(part.bits(self.latents.control) for parts in self.passes for part in parts)

    @property
    def steps(self) -> Float:
        """Decoded latents in quantization steps, float32 (channels, h, w)."""
        steps: Float = self.latents.values / self.latents.conditioning.inverse_gain
        return steps

    def pack(self) -> bytes:
        """See `base.Encoded`."""
        pusher = Pusher()
        coded = [[(part.symbols, part.indices.take(part.offsets)) for part in parts] for parts in self.passes]
        grouped.push_passes(pusher, coded, self.latents.control.tables)
        factorized.push(pusher, self.hyperlatents, self.latents.conditioning.tables)
        return pusher.bytes()


class Cae2026:
    """See `base.SegmentCoder`."""

    def __init__(self, conditioning: Conditioning, effort: int = DEFAULT_EFFORT) -> None:
        """Effort 1 rounds to the nearest; from 2 on, rounding minimises rate and distortion together."""
        self._conditioning = conditioning
        self._rate_weight = _RATE_WEIGHT if effort > MIN_EFFORT else 0.0

    def analyse(self, pixels: NDArray[np.uint8]) -> Float:
        """See `base.SegmentCoder`."""
        return transform.analyse(pixels, self._conditioning)

    def encode(self, latents: Float, free: NDArray[np.bool_] | None = None) -> Encoded:
        """See `base.SegmentCoder`."""
        scaled: Float = latents * self._conditioning.gain
        exact = transform.hyper_analyse(_padded(scaled), self._conditioning)
        limit = control_of(self._conditioning).limit
        hyperlatents: Symbols = np.rint(exact).clip(-limit, limit).astype(np.int32)
        return self._quantized(hyperlatents, scaled, self._rate_weight, free)

    def refine(
        self,
        encoded: Encoded,
        window: Float,
        inner: tuple[slice, slice],
        distortion: Distortion,
        progress: Callable[[int, int], None],
    ) -> Encoded:
        """Symbols that cost less, rate and distortion together, by the gradient; the hyperlatents stay.

        Args:
            encoded: the symbols to begin with.
            window: float32 (channels, H, W), decoded latents of the segment and of those around it; changed.
            inner: rows and columns of the segment in its window.
            distortion: of the window's decoded latents.
            progress: called with the steps done and their number.
        """

        def of_segment(steps: Float) -> tuple[float, Float]:
            window[:, *inner] = steps * self._conditioning.inverse_gain
            bits, gradient = distortion(window)
            return bits, gradient[:, *inner] * self._conditioning.inverse_gain

        return refine(encoded, partial(self._quantized, encoded.hyperlatents), of_segment, progress)

    def decode(self, payload: bytes, shape: tuple[int, int]) -> Decoded:
        """See `base.SegmentCoder`."""
        rows, columns = shape
        bundle, control = self._conditioning.bundle, control_of(self._conditioning)
        popper = Popper(payload)
        hyper_shape = bundle.tables.channels, -(-rows // HYPER), -(-columns // HYPER)
        hyperlatents = factorized.pop(popper, hyper_shape, self._conditioning.tables)
        latents = ProgressiveLatents(hyperlatents, self._conditioning, shape)
        for number in range(PASSES):
            latents.start_pass(number)
            in_pass = parts(number, bundle.channels)
            indices = each(latents.indices.index, in_pass, latents.values.size)
            nonzero = grouped.pop_pass(popper, indices, control.tables)
            found = list(zip(in_pass, nonzero, strict=True))
            each(lambda one: latents.update(one[0], *one[1]), found, latents.values.size)
        popper.finish()
        # Without a detail layer, nothing depends on the magnitudes.
        return latents.decoded if self._conditioning.above_ladder else Decoded(latents.values, None)

    def synthesise(self, latents: Float) -> NDArray[np.uint8]:
        """See `base.SegmentCoder`."""
        return transform.synthesise(latents, self._conditioning)

    def _quantized(
        self,
        hyperlatents: Symbols,
        scaled: Float,
        rate_weight: float | Float,
        free: NDArray[np.bool_] | None = None,
    ) -> Encoded:
        """The symbols of latents in quantization steps; `rate_weight` is one, or float32 shaped alike."""
        weights = np.float32(rate_weight)
        latents = ProgressiveLatents(hyperlatents, self._conditioning, scaled.shape[1:])

        def quantized(part: Part) -> CodedPart:
            indices = latents.indices.index(part)
            offsets = np.flatnonzero(indices != 0)
            values = scaled[part.at] - latents.mean(part)
            if free is not None:
                values *= ~free[part.at[1:]]
            values = values.take(offsets)
            weight = weights[part.at].take(offsets) if weights.ndim else weights
            symbols = rounding.optimised(values, indices.take(offsets), latents.control, weight)
            coded = CodedPart(indices, offsets, symbols)
            latents.update(part, *coded.nonzero)
            return coded

        passes = []
        for number in range(PASSES):
            latents.start_pass(number)
            passes.append(each(quantized, parts(number, len(scaled)), scaled.size))
        return Encoded(hyperlatents, latents, passes)


class ProgressiveLatents:
    """The latents of one segment, filled in pass by pass; encoder and decoder make the same calls.

    Attributes:
        conditioning: the model at a ladder position.
        control: its entropy control.
        indices: the table indices, exact.
        values: float32 (channels, h, w), decoded latents, zero where not decoded yet.
    """

    def __init__(
        self, hyperlatents: Symbols | NDArray[np.int16], conditioning: Conditioning, shape: tuple[int, int]
    ) -> None:
        rows, columns = shape
        self.conditioning, self.control = conditioning, control_of(conditioning)
        self.indices = Indices(self.control, hyperlatents, conditioning.table_row, shape)
        even_rows, even_columns = rows + rows % 2, columns + columns % 2  # the networks take cells of 2x2
        features = transform.hyper_synthesise(hyperlatents, conditioning)
        self._features = np.ascontiguousarray(features[:, :even_rows, :even_columns])
        self._known = np.zeros((self.control.channels, even_rows, even_columns), np.float32)
        self.values = self._known[:, :rows, :columns]

    @property
    def decoded(self) -> Decoded:
        """See `base.Decoded`."""
        return Decoded(self.values, self.indices.magnitudes)

    def start_pass(self, number: int) -> None:
        """Start pass `number`, when the symbols of all passes before it are there."""
        means = transform.means(number, self._features, self._known, self.conditioning)
        self._means = np.multiply(means, self.conditioning.gain, out=means)

    def mean(self, part: Part) -> Float:
        """Means of a part of the pass, in quantization steps."""
        _, rows, columns = self.values[part.at].shape
        return self._means[part.channels, :rows, :columns]

    def update(self, part: Part, offsets: NDArray[np.int64], symbols: Symbols) -> None:
        """Add a part: the offsets of its symbols that are not zero, int64 (n,), and these, int32 (n,)."""
        positions = part.positions(offsets, self.values.shape[1:])
        self.indices.update(part, positions, symbols)
        inverse_gain = self.conditioning.inverse_gain[part.channels]
        np.multiply(self.mean(part), inverse_gain, out=self.values[part.at])
        channels, rows, columns = positions
        means, known = self._means[part.channels], self._known[part.channels]
        # Computed in float64, in which integers and float32 are added.
        moved = symbols + means.reshape(-1).take(flat_offsets(positions, means.shape))
        there = channels, 2 * rows + part.row, 2 * columns + part.column
        known.reshape(-1)[flat_offsets(there, known.shape)] = moved * inverse_gain.reshape(-1).take(channels)


def control_of(conditioning: Conditioning) -> Control:
    """The entropy control of a model of this architecture."""
    control = conditioning.bundle.control
    assert control is not None
    return control


def _padded(latents: Float) -> Float:
    """Latents whose last row and column are repeated up to whole hyperlatents."""
    bottom, right = (-side % HYPER for side in latents.shape[1:])
    if not bottom and not right:
        return latents
    return np.pad(latents, ((0, 0), (0, bottom), (0, right)), mode="edge")
