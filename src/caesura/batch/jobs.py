"""What is done with one file, and with which settings. Worker processes are sent these by pickle."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from caesura.batch.plan import Task
from caesura.picture import files
from caesura.picture.files import STREAM, Source

if TYPE_CHECKING:
    from caesura.ratecontrol.search import Target

Step = Callable[[int, int], None]  # steps done and their number, within a file


@dataclass(frozen=True)
class Made:
    """A result.

    Attributes:
        content: the file's bytes; None if it has been written already, since it was too large for memory.
        width, height: of the picture.
        bpp: bits per pixel of the .cae file, whether made or read.
        says: the result in a few words.
    """

    content: bytes | None
    width: int
    height: int
    bpp: float
    says: str


class Job(Protocol):
    """Makes a file of another.

    Raises a CaesuraError where it cannot.
    """

    def __call__(self, source: Source, task: Task, step: Step) -> Made:
        """The result for a file."""
        ...


@dataclass(frozen=True)
class Encode:
    """A picture to a .cae file; settings as `caesura.encode` takes them."""

    quality: float | None
    target: Target | None
    model: str
    tune: str | None
    effort: int
    strip: bool
    strict: bool
    max_pixels: int
    exact: bool = False

    def __call__(self, source: Source, task: Task, step: Step) -> Made:
        """See `Job`."""
        from caesura import codec, large, metrics
        from caesura.coding.base import MAX_EFFORT
        from caesura.format import container
        from caesura.picture import formats as pictures

        settings: dict[str, Any] = {
            "quality": self.quality,
            "target": self.target,
            "model": self.model,
            "tune": self.tune,
            "effort": self.effort,
            "strip": self.strip,
            "exact": self.exact,
            "max_pixels": self.max_pixels,
        }
        in_rows = self.effort < MAX_EFFORT and (self.target is None or self.target.is_size)
        if in_rows and source.path != STREAM and large.takes(source.path, upright=self.strip):
            data = large.encode(source.path, **settings, progress=step)
        else:
            with pictures.opened(source.content, source.name, self.max_pixels) as picture:
                progress = step if self.effort == MAX_EFFORT else _silent
                data = codec.encode(picture, **settings, strict=self.strict, progress=progress)
        header = container.read_header(data, max_pixels=self.max_pixels)
        bpp = metrics.bits_per_pixel(len(data), header.width, header.height)
        return Made(data, header.width, header.height, bpp, f"{len(data)} bytes  {bpp:.3f} bpp")


@dataclass(frozen=True)
class Decode:
    """A .cae file to a picture of another format, by Pillow's name of it."""

    kind: str
    region: tuple[int, int, int, int] | None
    scale: int
    recover: bool
    strip: bool
    max_pixels: int

    def __call__(self, source: Source, task: Task, step: Step) -> Made:
        """See `Job`."""
        from caesura import codec, large, metrics
        from caesura.format import container
        from caesura.picture import convert, metadata
        from caesura.picture import formats as pictures

        data = source.content
        header = container.read_header(data, max_pixels=self.max_pixels)
        bpp = metrics.bits_per_pixel(len(data), header.width, header.height)
        in_rows = self.region is None and self.scale == 1 and not self.recover
        if in_rows and self.strip:  # rows can be written as they are stored only
            _, rest = container.read(data, max_pixels=self.max_pixels, wanted=())
            in_rows = metadata.orientation(rest.metadata) == 1
        if (
            in_rows
            and header.width * header.height > large.PIXELS
            and large.writes(task.target)
            and pictures.format_of(task.target) == self.kind
            and not files.is_device(task.target)
        ):
            files.check_output(task.target, force=task.force)
            large.decode(
                data,
                task.target,
                strip=self.strip,
                force=task.force,
                max_pixels=self.max_pixels,
                progress=step,
            )
            return Made(None, header.width, header.height, bpp, f"{header.width} x {header.height}")
        if self.recover:
            picture, damaged = codec.recover(data, max_pixels=self.max_pixels)
            for x, y, width, height in damaged:
                warnings.warn(f"{width} x {height} pixels at {x}, {y} are damaged and made up", stacklevel=1)
        else:
            picture = codec.decode(data, region=self.region, scale=self.scale, max_pixels=self.max_pixels)
        if self.strip:
            picture = convert.upright(picture)
        width, height = picture.size
        return Made(pictures.saved(picture, self.kind), width, height, bpp, f"{width} x {height}")


def _silent(done: int, total: int) -> None:
    """Work that is over soon shows no progress."""
