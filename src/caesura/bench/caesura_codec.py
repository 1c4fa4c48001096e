"""caesura's models as codecs of the benchmark: whole pictures, or independent crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caesura import __version__, codec
from caesura.bench.codecs import Codec, Pixels
from caesura.coding.base import DEFAULT_EFFORT
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.picture.pixels import to_rgb


@dataclass(frozen=True)
class Caesura:
    """A bundle of caesura, by name or folder."""

    model: str
    settings: tuple[float, ...]
    effort: int = DEFAULT_EFFORT

    @property
    def name(self) -> str:
        """See `Codec`."""
        effort = "" if self.effort == DEFAULT_EFFORT else f" effort {self.effort}"
        return f"caesura {Path(self.model).name}{effort}"

    @property
    def version(self) -> str:
        """See `Codec`."""
        return f"caesura {__version__}, bundle {bundles.load(self.model).id:08x}, effort {self.effort}"

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        return codec.encode(pixels, quality=setting, model=self.model, effort=self.effort)

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        return to_rgb(codec.decode_array(data))


@dataclass(frozen=True)
class Crops:
    """A codec that codes N x N crops independently and joins them: the test protocol of Theis et al. 2017.

    There N is 128. A "file" is the height, the width, and the file of each crop after its length, 4 bytes
    each. `size` counts the files of the crops alone.
    """

    inner: Codec
    side: int

    @property
    def name(self) -> str:
        """See `Codec`."""
        return f"{self.inner.name}, {self.side} px crops"

    @property
    def settings(self) -> tuple[float, ...]:
        """See `Codec`."""
        return self.inner.settings

    @property
    def version(self) -> str:
        """See `Codec`."""
        return self.inner.version

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`."""
        height, width, _ = pixels.shape
        parts = [height.to_bytes(4, "little"), width.to_bytes(4, "little")]
        for top in range(0, height, self.side):
            for left in range(0, width, self.side):
                crop = np.ascontiguousarray(pixels[top : top + self.side, left : left + self.side])
                data = self.inner.encode(crop, setting)
                parts += [len(data).to_bytes(4, "little"), data]
        return b"".join(parts)

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`."""
        height, width = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:8], "little")
        pixels = np.empty((height, width, 3), np.uint8)
        position = 8
        for top in range(0, height, self.side):
            for left in range(0, width, self.side):
                end = position + 4 + int.from_bytes(data[position : position + 4], "little")
                crop = self.inner.decode(data[position + 4 : end])
                pixels[top : top + self.side, left : left + self.side] = crop
                position = end
        return pixels

    def size(self, data: bytes, shape: tuple[int, ...]) -> int:
        """Bytes of the files of the crops, without the lengths."""
        crops = -(-shape[0] // self.side) * -(-shape[1] // self.side)
        return len(data) - 8 - 4 * crops


def size_of(coder: Codec, data: bytes, pixels: Pixels) -> int:
    """The size of a file in bytes; of crops, that of their files alone."""
    return coder.size(data, pixels.shape) if isinstance(coder, Crops) else len(data)


def distinct(model: str, qualities: Sequence[float]) -> tuple[float, ...]:
    """The qualities that give different files: those above the model's highest all give the same one."""
    scale = bundles.load(model).quality_scale
    by_code = {ladder.position_of(quality, scale): quality for quality in qualities}
    return tuple(by_code.values())
