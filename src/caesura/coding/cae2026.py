"""One segment with `cae2026`: hyperlatent first, then the latents in four passes.

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

from caesura.coding import rounding
from caesura.coding.refine import refine as refine_latents
from caesura.entropy import factorized, grouped
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.control import Control, Indices
from caesura.entropy.passes import PASSES, Part, parts
from caesura.entropy.tables import Table
from caesura.errors import DependencyError
from caesura.models import ladder as rate
from caesura.models.bundle import HYPER, Bundle
from caesura.runtime import transform
from caesura.runtime.parallel import each

MIN_EFFORT, MAX_EFFORT = 1, 9
# Weight of the rate in rounding: training rounds to the nearest, so that most of what optimised rounding
# can save is in the weights already.
_STRENGTH = 0.15

Float = NDArray[np.float32]
Symbols = NDArray[np.int32]
Progress = Callable[[int, int], None]


class Rate:
    """What a place on the model's scale fixes; as `one_of_many`, at less cost for the first picture."""

    def __init__(self, code: int, bundle: Bundle, *, one_of_many: bool = False) -> None:
        assert bundle.control is not None  # of this architecture
        self.bundle: Bundle = bundle
        self.control: Control = bundle.control
        self.row = rate.table_row(code, bundle.tables.rows, bundle.ladder_top)
        self.mix = rate.mixing(code, len(bundle.log_gain), bundle.ladder_top)
        self.graphs_mix = transform.Fed(self.mix) if one_of_many else self.mix
        self.gain = rate.scale_vector(bundle.log_gain, self.mix)[:, None, None]
        self.inverse = rate.scale_vector(bundle.log_inverse, self.mix)[:, None, None]

    @property
    def hyper_tables(self) -> list[Table]:
        """Tables of the hyperlatent, a channel each."""
        return self.bundle.tables.row(self.row)


class Coded(NamedTuple):
    """Latents, and pass by pass the symbols and indices that they are coded as."""

    hyper: Symbols
    latents: Latents
    passes: list[list[tuple[Symbols, NDArray[np.uint8]]]]

    @property
    def plane(self) -> Float:
        """Decoded latents, float32 (C, h, w)."""
        return self.latents.plane

    @property
    def magnitudes(self) -> NDArray[np.uint8]:
        """Magnitudes of the symbols, uint8 (C, h, w)."""
        return self.latents.magnitudes

    @property
    def bits(self) -> float:
        """What the symbols cost."""
        control = self.latents.rate.control
        return sum(rounding.cost(*part, control) for parts in self.passes for part in parts)

    @property
    def decoded(self) -> Float:
        """Float32 (C, h, w), in quantization steps."""
        decoded: Float = self.plane / self.latents.rate.inverse
        return decoded


def analyse(pixels: NDArray[np.uint8], at: Rate) -> Float:
    """uint8 (H, W, 3) to latents, float32 (C, H / 16, W / 16)."""
    return transform.analyse(pixels, at.bundle, at.graphs_mix)


def encode(latent: Float, at: Rate, effort: int) -> Coded:
    """Latents to symbols; `effort` 1 rounds to the nearest, 2 and more to the best in rate and distortion."""
    target: Float = latent * at.gain
    exact = transform.hyper_analyse(_pad(target), at.bundle, at.graphs_mix)
    hyper: Symbols = np.rint(exact).clip(-at.control.limit, at.control.limit).astype(np.int32)
    return _quantize(target, hyper, at, _STRENGTH if effort > MIN_EFFORT else 0.0)


def refine(
    coded: Coded, around: Float, inner: tuple[slice, slice], rgb: NDArray[np.uint8], progress: Progress
) -> Coded:
    """The symbols refined for this picture (`refine.py`), the last effort; the hyperlatent stays.

    Args:
        coded: where to begin.
        around: float32 (C, h, w), decoded latents of the segment's window.
        inner: rows and columns of the segment in its window.
        rgb: uint8 (H, W, 3), the window's pixels.
        progress: called with the steps done and their number.
    """
    at = coded.latents.rate
    try:
        from caesura.train.distortion import Distortion
    except ImportError as error:
        raise DependencyError(
            f"effort {MAX_EFFORT} needs PyTorch: pip install 'caesura[train]'; below, nothing is needed"
        ) from error
    of_pixels = Distortion(rgb, at.mix, at.bundle)

    def distortion(decoded: Float) -> tuple[float, Float]:
        around[:, *inner] = decoded * at.inverse
        bits, gradient = of_pixels(around)
        return bits, gradient[:, *inner] * at.inverse

    return refine_latents(
        coded, lambda target, strength: _quantize(target, coded.hyper, at, strength), distortion, progress
    )


def pack(coded: Coded) -> bytes:
    """Symbols to a payload."""
    at, pusher = coded.latents.rate, Pusher()
    grouped.push_passes(pusher, coded.passes, at.control.tables)
    factorized.push(pusher, coded.hyper, at.hyper_tables)
    return pusher.bytes()


def decode(payload: bytes, shape: tuple[int, int], at: Rate) -> Latents:
    """The mirror of `encode` and `pack`, for a segment of this shape, in latents.

    Raises:
        FormatError: the payload is not what `pack` gives for these arguments.
    """
    rows, columns = shape
    popper = Popper(payload)
    hyper = factorized.pop(
        popper, (at.bundle.tables.channels, -(-rows // HYPER), -(-columns // HYPER)), at.hyper_tables
    )
    latents = Latents(hyper, at, shape)
    for number in range(PASSES):
        latents.start(number)
        places = parts(number, at.bundle.channels)
        indices = each(partial(latents.indices.of, number), places, latents.plane.size)
        symbols = grouped.pop_pass(popper, indices, at.control.tables)
        placed = list(zip(places, symbols, strict=True))
        each(lambda coded: latents.place(*coded), placed, latents.plane.size)
    popper.finish()
    return latents


def synthesise(latent: Float, at: Rate) -> NDArray[np.uint8]:
    """The mirror of `analyse`."""
    return transform.synthesise(latent, at.bundle, at.graphs_mix)


def _quantize(target: Float, hyper: Symbols, at: Rate, strength: float | Float) -> Coded:
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
    return Coded(hyper, latents, passes)


class Latents:
    """The latents of one segment, filled in pass by pass, on both sides alike.

    Attributes:
        rate: what the place on the scale fixes.
        indices: of the tables, exact.
        plane: float32 (channels, h, w), decoded latents, zero where not decoded yet.
    """

    def __init__(
        self, hyper: NDArray[np.int32] | NDArray[np.int16], at: Rate, shape: tuple[int, int]
    ) -> None:
        rows, columns = shape
        self.rate = at
        self.indices = Indices(at.control, hyper, at.row, shape)
        even_rows, even_columns = rows + rows % 2, columns + columns % 2  # the networks take cells of 2x2
        features = transform.hyper_synthesise(hyper, at.bundle, at.graphs_mix)
        self._features = np.ascontiguousarray(features[:, :even_rows, :even_columns])
        self._known = np.zeros((at.control.channels, even_rows, even_columns), np.float32)
        self.plane = self._known[:, :rows, :columns]

    @property
    def magnitudes(self) -> NDArray[np.uint8]:
        """Magnitudes of the symbols, uint8 (channels, h, w)."""
        return self.indices.magnitudes

    def start(self, number: int) -> None:
        """Begin pass `number`, when all symbols of those before it are in place."""
        at = self.rate
        self._means = transform.means(number, self._features, self._known, at.bundle, at.graphs_mix)

    def mean(self, part: Part) -> Float:
        """Means of a part of the pass, in quantization steps."""
        _, rows, columns = self.plane[part.at].shape
        mean: Float = self._means[part.channels, :rows, :columns] * self.rate.gain[part.channels]
        return mean

    def place(self, part: Part, symbols: Symbols) -> None:
        """Take in the symbols of a part."""
        self.plane[part.at] = (symbols + self.mean(part)) * self.rate.inverse[part.channels]
        self.indices.learn(part, symbols)


def _pad(latent: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat the last row and column up to a whole number of hyperlatent positions."""
    bottom, right = (-side % HYPER for side in latent.shape[1:])
    return np.pad(latent, ((0, 0), (0, bottom), (0, right)), mode="edge")
