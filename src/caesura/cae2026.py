"""Pixels to payload and back with `cae2026`: hyperlatent first, then the latents in four passes.

encode: pixels -> analysis -> * gain -> hyper-analysis -> round -> hyperlatent
        each pass: means, indices -> round(latent - mean) -> symbols
        all of it, last first -> entropy code -> payload
decode: payload -> hyperlatent -> each pass: means, indices -> entropy decode -> + mean -> latents
        latents -> synthesis -> pixels
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from caesura import image, rate, rounding, transform
from caesura.entropy import factorized, grouped
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.control import Control, Indices
from caesura.entropy.passes import PASSES, Part, parts
from caesura.entropy.tables import Table
from caesura.errors import DependencyError
from caesura.model import HYPER, Bundle

MIN_EFFORT, MAX_EFFORT = 1, 9
# Weight of the rate in rounding: training rounds to the nearest, so that most of what optimised rounding
# can save is in the weights already.
_STRENGTH = 0.15

Float = NDArray[np.float32]
Symbols = NDArray[np.int32]
Progress = Callable[[int, int], None]


def encode(
    rgb: NDArray[np.uint8], code: int, bundle: Bundle, effort: int, progress: Progress
) -> tuple[bytes, Latents]:
    """uint8 (H, W, 3), any size, to a payload and what it holds; `code` is the place on the model's scale.

    `effort` 1 rounds to the nearest symbol, 2 and more to the best in rate and distortion; 9 refines the
    latents of this picture first (`train.refine`, which tells `progress` how far it is).
    """
    at = _Rate(code, bundle)
    target, exact = _refined(rgb, code, at, progress) if effort == MAX_EFFORT else _analysed(rgb, at)
    strength = _STRENGTH if effort > 1 else 0.0
    hyper = np.rint(exact).clip(-at.control.limit, at.control.limit).astype(np.int32)

    latents = Latents(hyper, at, target.shape[1:])
    coded: list[list[tuple[Symbols, NDArray[np.uint8]]]] = []
    for number in range(PASSES):
        latents.start(number)
        coded.append([])
        for part in parts(number, bundle.channels):
            indices = latents.indices.of(number, part)
            symbols = rounding.optimised(target[part.at] - latents.mean(part), indices, at.control, strength)
            symbols[indices == 0] = 0
            latents.place(part, symbols)
            coded[-1].append((symbols, indices))

    pusher = Pusher()
    grouped.push_passes(pusher, coded, at.control.tables)
    factorized.push(pusher, hyper, at.hyper_tables)
    return pusher.bytes(), latents


def _analysed(rgb: NDArray[np.uint8], at: _Rate) -> tuple[Float, Float]:
    """Scaled latents and the hyperlatent, not rounded."""
    bundle = at.bundle
    padded = image.pad(rgb, bundle.stride, bundle.smallest_side)
    target: Float = transform.analyse(padded, bundle, at.mix) * at.gain
    return target, transform.hyper_analyse(_pad(target), bundle.tables.channels, bundle, at.mix)


def _refined(rgb: NDArray[np.uint8], code: int, at: _Rate, progress: Progress) -> tuple[Float, Float]:
    """The same, refined for this picture."""
    try:
        from caesura.train.refine import refine
    except ImportError as error:
        raise DependencyError(
            f"effort {MAX_EFFORT} needs PyTorch: pip install 'caesura[train]'; below, nothing is needed"
        ) from error
    side = at.bundle.stride * HYPER
    whole = image.pad(rgb, side, side)
    beta = rate.beta(rate.quality_of(code, at.bundle.quality_scale))
    target, exact = refine(whole, *_analysed(whole, at), at.mix, beta, at.bundle, progress)
    rows, columns = image.grid(rgb.shape[0], rgb.shape[1], at.bundle.stride, at.bundle.smallest_side)
    return target[:, :rows, :columns], exact


def decode(payload: bytes, height: int, width: int, code: int, bundle: Bundle) -> Latents:
    """The mirror of `encode`: a payload to the latents of a picture of this size.

    Raises:
        FormatError: the payload is not what `encode` gives for these arguments.
    """
    at = _Rate(code, bundle)
    rows, columns = image.grid(height, width, bundle.stride, bundle.smallest_side)
    popper = Popper(payload)
    shape = (bundle.tables.channels, -(-rows // HYPER), -(-columns // HYPER))
    latents = Latents(factorized.pop(popper, shape, at.hyper_tables), at, (rows, columns))
    for number in range(PASSES):
        latents.start(number)
        places = parts(number, bundle.channels)
        indices = [latents.indices.of(number, part) for part in places]
        for part, symbols in zip(places, grouped.pop_pass(popper, indices, at.control.tables), strict=True):
            latents.place(part, symbols)
    popper.finish()
    return latents


def reconstruct(latents: Latents) -> NDArray[np.uint8]:
    """Latents to pixels, uint8 (16h, 16w, 3)."""
    return transform.synthesise(latents.known, latents.rate.bundle, latents.rate.mix)


class _Rate:
    """What a place on the scale fixes."""

    def __init__(self, code: int, bundle: Bundle) -> None:
        assert bundle.control is not None  # of this architecture
        self.bundle: Bundle = bundle
        self.control: Control = bundle.control
        self.row = rate.table_row(code, bundle.tables.rows, bundle.ladder_top)
        self.mix = rate.mixing(code, len(bundle.log_gain), bundle.ladder_top)
        self.gain = rate.scale_vector(bundle.log_gain, self.mix)[:, None, None]
        self.inverse = rate.scale_vector(bundle.log_inverse, self.mix)[:, None, None]

    @property
    def hyper_tables(self) -> list[Table]:
        """Tables of the hyperlatent, a channel each."""
        return self.bundle.tables.row(self.row)


class Latents:
    """The latents of one picture, filled in pass by pass, on both sides alike.

    Attributes:
        rate: what the place on the scale fixes.
        indices: of the tables, exact.
        known: float32 (channels, h, w), decoded latents, zero where not decoded yet.
    """

    def __init__(
        self, hyper: NDArray[np.int32] | NDArray[np.int16], at: _Rate, shape: tuple[int, int]
    ) -> None:
        rows, columns = shape
        self.rate = at
        self.indices = Indices(at.control, hyper, at.row, shape)
        features = transform.hyper_synthesise(hyper, at.bundle, at.mix)
        self._features = np.ascontiguousarray(features[:, :rows, :columns])
        self.known = np.zeros((at.control.channels, rows, columns), np.float32)

    def start(self, number: int) -> None:
        """Begin pass `number`, when all symbols of those before it are in place."""
        self._means = transform.means(number, self._features, self.known, self.rate.bundle, self.rate.mix)

    def mean(self, part: Part) -> Float:
        """Means of a part of the pass, in quantization steps."""
        mean: Float = self._means[part.at] * self.rate.gain[part.channels]
        return mean

    def place(self, part: Part, symbols: Symbols) -> None:
        """Take in the symbols of a part."""
        self.known[part.at] = (symbols + self.mean(part)) * self.rate.inverse[part.channels]
        self.indices.learn(part, symbols)


def _pad(latent: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat the last row and column up to a whole number of hyperlatent positions."""
    bottom, right = (-side % HYPER for side in latent.shape[1:])
    return np.pad(latent, ((0, 0), (0, bottom), (0, right)), mode="edge")
