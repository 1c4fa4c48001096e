"""What is done with one file, and with which settings. Worker processes are sent these by pickle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Step = Callable[[int, int], None]  # steps done and their number, within a file


@dataclass(frozen=True)
class Made:
    """A result.

    Attributes:
        content: the file's bytes.
        width, height: of the picture.
        bpp: bits per pixel of the .cae file, whether made or read.
        says: the result in a few words.
    """

    content: bytes
    width: int
    height: int
    bpp: float
    says: str


class Job(Protocol):
    """Makes a file's bytes of another's.

    Raises a CaesuraError where it cannot.
    """

    def __call__(self, content: bytes, name: str, step: Step) -> Made:
        """The result for a file's content; `name` is what messages call the file."""
        ...


@dataclass(frozen=True)
class Encode:
    """A picture to a .cae file; settings as `caesura.encode` takes them."""

    quality: float
    model: str
    tune: str
    effort: int
    strip: bool
    strict: bool

    def __call__(self, content: bytes, name: str, step: Step) -> Made:
        """See `Job`."""
        from caesura import codec, container, metrics
        from caesura.cli import pictures

        with pictures.opened(content, name) as picture:
            data = codec.encode(
                picture,
                quality=self.quality,
                model=self.model,
                tune=self.tune,
                effort=self.effort,
                strip=self.strip,
                strict=self.strict,
                progress=step,
            )
        header = container.read_header(data)
        bpp = metrics.bits_per_pixel(len(data), header.width, header.height)
        return Made(data, header.width, header.height, bpp, f"{len(data)} bytes  {bpp:.3f} bpp")


@dataclass(frozen=True)
class Decode:
    """A .cae file to a picture of another format, by Pillow's name of it."""

    kind: str

    def __call__(self, content: bytes, name: str, step: Step) -> Made:
        """See `Job`."""
        from caesura import codec, metrics
        from caesura.cli import pictures

        picture = codec.decode(content)
        width, height = picture.size
        bpp = metrics.bits_per_pixel(len(content), width, height)
        return Made(pictures.saved(picture, self.kind), width, height, bpp, f"{width} x {height}")
