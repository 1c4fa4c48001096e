"""The codecs people use today, behind one small interface."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura import codec, image, rate
from caesura.errors import DependencyError


class Codec(Protocol):
    """A lossy codec of RGB pictures.

    Attributes:
        name: as reports show it.
        settings: a ladder from small to large files.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def settings(self) -> tuple[float, ...]: ...  # noqa: D102

    def encode(self, pixels: NDArray[np.uint8], setting: float) -> bytes:
        """uint8 (H, W, 3) to a whole file."""
        ...

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """A whole file to uint8 (H, W, 3)."""
        ...


@dataclass(frozen=True)
class Caesura:
    """One of our bundles, by name or folder."""

    model: str
    settings: tuple[float, ...]
    effort: int = rate.DEFAULT_EFFORT

    @property
    def name(self) -> str:
        """As reports show it."""
        effort = "" if self.effort == rate.DEFAULT_EFFORT else f" effort {self.effort}"
        return f"caesura {Path(self.model).name}{effort}"

    def encode(self, pixels: NDArray[np.uint8], setting: float) -> bytes:
        """See `Codec`."""
        return codec.encode(pixels, quality=setting, model=self.model, effort=self.effort)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `Codec`."""
        return image.to_rgb(codec.decode_array(data))


@dataclass(frozen=True)
class Crops:
    """A codec applied to NxN crops one by one, joined again: the protocol of Theis et al. 2017 (N = 128).

    A "file" is the crops' files, each behind its length in 4 bytes; only the crops' own bytes should be
    counted, which `size` does.
    """

    inner: Codec
    side: int

    @property
    def name(self) -> str:
        """As reports show it."""
        return f"{self.inner.name}, {self.side} px crops"

    @property
    def settings(self) -> tuple[float, ...]:
        """Those of the codec itself."""
        return self.inner.settings

    def encode(self, pixels: NDArray[np.uint8], setting: float) -> bytes:
        """See `Codec`."""
        height, width, _ = pixels.shape
        parts = [height.to_bytes(4, "little"), width.to_bytes(4, "little")]
        for top in range(0, height, self.side):
            for left in range(0, width, self.side):
                crop = np.ascontiguousarray(pixels[top : top + self.side, left : left + self.side])
                data = self.inner.encode(crop, setting)
                parts += [len(data).to_bytes(4, "little"), data]
        return b"".join(parts)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
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
        """Bytes of the crops' files alone."""
        crops = -(-shape[0] // self.side) * -(-shape[1] // self.side)
        return len(data) - 8 - 4 * crops


@dataclass(frozen=True)
class PillowCodec:
    """A codec that Pillow carries; `argument` is the save option that the setting goes to."""

    name: str
    settings: tuple[float, ...]
    kind: str
    options: tuple[tuple[str, Any], ...]
    argument: str = "quality"

    def encode(self, pixels: NDArray[np.uint8], setting: float) -> bytes:
        """See `Codec`."""
        out = io.BytesIO()
        value: Any = [setting] if self.argument == "quality_layers" else round(setting)
        Image.fromarray(pixels).save(out, self.kind, **dict(self.options), **{self.argument: value})
        return out.getvalue()

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `Codec`."""
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))


@dataclass(frozen=True)
class JpegXl:
    """JPEG XL through imagecodecs; settings are Butteraugli distances, falling."""

    effort: int = 7
    settings: tuple[float, ...] = (12, 8, 6, 4, 3, 2, 1.5, 1, 0.6)

    @property
    def name(self) -> str:
        """As reports show it."""
        return f"JPEG XL effort {self.effort}"

    def encode(self, pixels: NDArray[np.uint8], setting: float) -> bytes:
        """See `Codec`."""
        return bytes(_imagecodecs().jpegxl_encode(pixels, distance=setting, effort=self.effort))

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `Codec`."""
        return np.asarray(_imagecodecs().jpegxl_decode(data), np.uint8)


JPEG = PillowCodec(
    "JPEG 4:2:0",
    (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 88, 94),
    "JPEG",
    (("subsampling", "4:2:0"), ("optimize", True)),
)
JPEG_2000 = PillowCodec(
    "JPEG 2000",
    (200, 140, 100, 75, 55, 40, 28, 20, 14, 10),
    "JPEG2000",
    (("quality_mode", "rates"), ("irreversible", True), ("mct", 1), ("no_jp2", True)),
    "quality_layers",
)
WEBP = PillowCodec("WebP method 6", (1, 8, 20, 35, 50, 65, 78, 86, 92, 97), "WEBP", (("method", 6),))
AVIF = PillowCodec(
    "AVIF speed 6",
    (10, 20, 30, 40, 50, 58, 66, 74, 82, 88),
    "AVIF",
    (("speed", 6), ("subsampling", "4:4:4")),
)
OTHERS: tuple[Codec, ...] = (JPEG, JPEG_2000, WEBP, AVIF, JpegXl())


def encode_within(coder: Codec, pixels: NDArray[np.uint8], size: int, low: float, high: float) -> bytes:
    """The largest file of at most `size` bytes, by bisection of the setting; the smallest if none fits.

    Args:
        coder: its files must grow with the setting.
        pixels: uint8 (H, W, 3).
        size: bytes allowed.
        low, high: the settings to search between.
    """
    best = coder.encode(pixels, low)
    for _ in range(8):
        middle = (low + high) / 2
        data = coder.encode(pixels, middle)
        if len(data) <= size:
            low, best = middle, max(best, data, key=len)
        else:
            high = middle
    return best


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise DependencyError("imagecodecs is not installed; pip install 'caesura[bench]'") from error
    return imagecodecs
