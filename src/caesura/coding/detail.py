"""The detail layer: the residual that the latents leave, in a complete orthonormal transform.

encode: pixels - base -> colour rotation, 8x8 DCT -> / step -> round -> entropy code -> payload
decode: payload -> entropy decode -> * step -> inverse DCT, rotation -> + base -> pixels

It is there only above the ladder's top. As the transform is orthonormal and complete, the error is that of
the quantizer, whatever the picture: noise and screenshots reach any quality as well. Table indices come from
magnitudes alone: those of the latents' symbols over each block, and those of symbols of earlier passes.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caesura.entropy import grouped
from caesura.entropy.coder import Popper, Pusher
from caesura.entropy.control import Control, Indices
from caesura.entropy.passes import PASSES, parts
from caesura.format.container import POSITION_MAX
from caesura.models import ladder
from caesura.models.conditioning import Conditioning

BLOCK = 8
BANDS = 3 * BLOCK**2
# Values below become 0: the rate that is saved outweighs the distortion.
ROUND_UP = 0.6
_COLOURS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])

Pixels = NDArray[np.uint8]


def encode(rgb: Pixels, base: Pixels, magnitudes: NDArray[np.uint8], conditioning: Conditioning) -> bytes:
    """The payload of the difference between a picture and its `base`.

    Args:
        rgb, base: uint8 (H, W, 3), H and W multiples of 16.
        magnitudes: of the latents' symbols, uint8 (channels, H / 16, W / 16).
        conditioning: the model at a position above the ladder's top.
    """
    control, row, step = _settings(conditioning)
    symbols = _symbols(rgb, base, step)
    indices = Indices(control, magnitudes, row, symbols.shape[1:])
    coded = []
    for number in range(PASSES):
        in_pass = parts(number, BANDS)
        flat = [symbols[part.at].reshape(-1) for part in in_pass]
        chosen = [indices.index(part).reshape(-1) for part in in_pass]
        coded.append(list(zip(flat, chosen, strict=True)))
        for part, found in zip(in_pass, flat, strict=True):
            nonzero = np.flatnonzero(found != 0)
            positions = part.positions(nonzero, symbols.shape[1:])
            indices.update(part, positions, found.take(nonzero))
    pusher = Pusher()
    grouped.push_passes(pusher, coded, control.tables)
    return pusher.bytes()


def decode(payload: bytes, base: Pixels, magnitudes: NDArray[np.uint8], conditioning: Conditioning) -> Pixels:
    """The mirror of `encode`: `base` and the difference in the payload, uint8 (H, W, 3).

    Raises:
        FormatError: the payload is not what `encode` gives for these arguments.
    """
    control, row, step = _settings(conditioning)
    popper = Popper(payload)
    symbols = np.zeros((BANDS, base.shape[0] // BLOCK, base.shape[1] // BLOCK), np.int32)
    indices = Indices(control, magnitudes, row, symbols.shape[1:])
    for number in range(PASSES):
        in_pass = parts(number, BANDS)
        chosen = [indices.index(part) for part in in_pass]
        nonzero = grouped.pop_pass(popper, chosen, control.tables)
        for part, (offsets, found) in zip(in_pass, nonzero, strict=True):
            positions = part.positions(offsets, symbols.shape[1:])
            symbols[part.at][positions] = found
            indices.update(part, positions, found)
    popper.finish()
    return _restored(symbols, base, step)


def reconstruct(rgb: Pixels, base: Pixels, conditioning: Conditioning) -> Pixels:
    """What `decode` gives for the payload of `encode`, without entropy coding: uint8 (H, W, 3)."""
    _, _, step = _settings(conditioning)
    return _restored(_symbols(rgb, base, step), base, step)


def _symbols(rgb: Pixels, base: Pixels, step: float) -> NDArray[np.int32]:
    return quantize(forward(rgb.astype(np.float32) - base) / step)


def _restored(symbols: NDArray[np.int32], base: Pixels, step: float) -> Pixels:
    restored = backward(symbols * np.float32(step))
    restored += base
    return np.rint(restored, out=restored).clip(0, 255).astype(np.uint8)


def quantize(scaled: NDArray[np.float32]) -> NDArray[np.int32]:
    """Round with a dead zone a little wider than the other bins."""
    symbols: NDArray[np.int32] = np.copysign(np.floor(np.abs(scaled) + (1 - ROUND_UP)), scaled).astype(
        np.int32
    )
    return symbols


def forward(residual: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels to bands: float32 (H, W, 3) to (192, H / 8, W / 8), orthonormal."""
    high, wide = residual.shape[0] // BLOCK, residual.shape[1] // BLOCK
    blocks = residual.reshape(high, BLOCK, wide, BLOCK, 3).transpose(0, 2, 1, 3, 4).reshape(-1, BANDS)
    bands: NDArray[np.float32] = (transform() @ blocks.T).reshape(BANDS, high, wide)
    return bands


def backward(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `forward`."""
    _, high, wide = bands.shape
    blocks = (bands.reshape(BANDS, -1).T @ transform()).reshape(high, wide, BLOCK, BLOCK, 3)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3, 4)).reshape(high * BLOCK, wide * BLOCK, 3)


def _settings(conditioning: Conditioning) -> tuple[Control, int, float]:
    """Entropy control, its row and the quantization step."""
    bundle, position = conditioning.bundle, conditioning.ladder_position
    assert bundle.detail is not None  # of an architecture that has the layer
    row = ladder.table_row(position, len(bundle.detail.bias), POSITION_MAX, bundle.ladder_top)
    first, last = bundle.detail_log_step
    share = (position - bundle.ladder_top) / (POSITION_MAX - bundle.ladder_top)
    return bundle.detail, row, math.exp(first + (last - first) * share)


@lru_cache(maxsize=1)
def transform() -> NDArray[np.float32]:
    """The orthonormal transform of a block: (band, row * 24 + column * 3 + colour).

    Bands are dealt out by rising frequency, so that each of the four groups has the same mix.
    """
    frequency, offset = np.arange(BLOCK)[:, None], np.arange(BLOCK)
    cosines = np.cos(math.pi * (2 * offset + 1) * frequency / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    cosines[0] /= math.sqrt(2)
    full = np.einsum("ur,vc,kl->uvkrcl", cosines, cosines, _COLOURS).reshape(BLOCK, BLOCK, 3, BANDS)
    order = sorted(np.ndindex(BLOCK, BLOCK, 3), key=lambda band: (band[0] + band[1], band[2], band[0]))
    dealt = [order[i] for group in range(PASSES) for i in range(group, BANDS, PASSES)]
    return np.ascontiguousarray([full[band] for band in dealt], np.float32)
