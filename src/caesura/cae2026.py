"""Pixels to payload and back with `cae2026`: hyperlatent first, then the latents in four passes.

encode: pixels -> analysis -> * gain -> hyper-analysis -> round -> hyperlatent
        each pass: means, indices -> round(latent - mean) -> symbols
        all of it, last first -> entropy code -> payload
decode: payload -> hyperlatent -> each pass: means, indices -> entropy decode -> + mean -> latents
        latents -> synthesis -> pixels
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

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
from caesura.parallel import each
from caesura.refine import refine

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
    symbols of this picture (`refine.py`, which tells `progress` how far it is).
    """
    at = _Rate(code, bundle)
    target, hyper = _analysed(rgb, at)
    coded = _quantize(target, hyper, at, _STRENGTH if effort > 1 else 0.0)
    if effort == MAX_EFFORT:
        coded = _refined(rgb, coded, hyper, at, progress)
    pusher = Pusher()
    grouped.push_passes(pusher, coded.passes, at.control.tables)
    factorized.push(pusher, hyper, at.hyper_tables)
    return pusher.bytes(), coded.latents


class _Coded(NamedTuple):
    """Latents, and pass by pass the symbols and indices that they are coded as."""

    latents: Latents
    passes: list[list[tuple[Symbols, NDArray[np.uint8]]]]

    @property
    def bits(self) -> float:
        """What the symbols cost."""
        control = self.latents.rate.control
        return sum(rounding.cost(*part, control) for parts in self.passes for part in parts)

    @property
    def decoded(self) -> Float:
        """Float32 (C, h, w), in quantization steps."""
        decoded: Float = self.latents.known / self.latents.rate.inverse
        return decoded


def _quantize(target: Float, hyper: Symbols, at: _Rate, strength: float | Float) -> _Coded:
    """Scaled latents to symbols; `strength` of the rate in rounding, one or float32 shaped like `target`."""
    strength = np.broadcast_to(np.float32(strength), target.shape)
    latents = Latents(hyper, at, target.shape[1:])

    def code(number: int, part: Part) -> tuple[Symbols, NDArray[np.uint8]]:
        indices = latents.indices.of(number, part)
        offsets = target[part.at] - latents.mean(part)
        symbols = rounding.optimised(offsets, indices, at.control, strength[part.at])
        symbols[indices == 0] = 0
        latents.place(part, symbols)
        return symbols, indices

    passes = []
    for number in range(PASSES):
        latents.start(number)
        passes.append(each(partial(code, number), parts(number, at.bundle.channels), target.size))
    return _Coded(latents, passes)


def _analysed(rgb: NDArray[np.uint8], at: _Rate) -> tuple[Float, Symbols]:
    """Scaled latents, not rounded, and the hyperlatent."""
    bundle = at.bundle
    padded = image.pad(rgb, bundle.stride, bundle.smallest_side)
    target: Float = transform.analyse(padded, bundle, at.mix) * at.gain
    exact = transform.hyper_analyse(_pad(target), bundle.tables.channels, bundle, at.mix)
    return target, np.rint(exact).clip(-at.control.limit, at.control.limit).astype(np.int32)


def _refined(rgb: NDArray[np.uint8], coded: _Coded, hyper: Symbols, at: _Rate, progress: Progress) -> _Coded:
    """The latents refined for this picture; the hyperlatent stays."""
    try:
        from caesura.train.distortion import Distortion
    except ImportError as error:
        raise DependencyError(
            f"effort {MAX_EFFORT} needs PyTorch: pip install 'caesura[train]'; below, nothing is needed"
        ) from error
    of_pixels = Distortion(rgb, at.mix, at.bundle)

    def distortion(decoded: Float) -> tuple[float, Float]:
        bits, gradient = of_pixels(decoded * at.inverse)
        return bits, gradient * at.inverse

    return refine(
        coded, lambda target, strength: _quantize(target, hyper, at, strength), distortion, progress
    )


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
        indices = each(partial(latents.indices.of, number), places, latents.known.size)
        symbols = grouped.pop_pass(popper, indices, at.control.tables)
        placed = list(zip(places, symbols, strict=True))
        each(lambda coded: latents.place(*coded), placed, latents.known.size)
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
        even_rows, even_columns = rows + rows % 2, columns + columns % 2  # the networks take cells of 2x2
        features = transform.hyper_synthesise(hyper, at.bundle, at.mix)
        self._features = np.ascontiguousarray(features[:, :even_rows, :even_columns])
        self._known = np.zeros((at.control.channels, even_rows, even_columns), np.float32)
        self.known = self._known[:, :rows, :columns]

    def start(self, number: int) -> None:
        """Begin pass `number`, when all symbols of those before it are in place."""
        self._means = transform.means(number, self._features, self._known, self.rate.bundle, self.rate.mix)

    def mean(self, part: Part) -> Float:
        """Means of a part of the pass, in quantization steps."""
        _, rows, columns = self.known[part.at].shape
        mean: Float = self._means[part.channels, :rows, :columns] * self.rate.gain[part.channels]
        return mean

    def place(self, part: Part, symbols: Symbols) -> None:
        """Take in the symbols of a part."""
        self.known[part.at] = (symbols + self.mean(part)) * self.rate.inverse[part.channels]
        self.indices.learn(part, symbols)


def _pad(latent: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat the last row and column up to a whole number of hyperlatent positions."""
    bottom, right = (-side % HYPER for side in latent.shape[1:])
    return np.pad(latent, ((0, 0), (0, bottom), (0, right)), mode="edge")
