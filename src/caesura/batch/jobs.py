"""Jobs: what is done with each file, and with which options. Worker processes receive them by pickle."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from caesura.batch.tasks import Task
from caesura.picture import files
from caesura.picture.files import STREAM, Source

if TYPE_CHECKING:
    from PIL import Image

    from caesura.options import EncodeOptions

Progress = Callable[[int, int], None]  # called with the steps done and their number, within one file


@dataclass(frozen=True)
class Result:
    """The output of a job.

    Attributes:
        content: bytes of the output file; None if the job has written the file, too large for memory, itself.
        width, height: size of the picture in pixels.
        bpp: bits per pixel of the .cae file, whether encoded or decoded.
        summary: the result in a few words, for the line that is printed.
        is_larger: whether it is a .cae file of more bytes than the file it was encoded from.
        hint: advice on the options, a sentence without its full stop; "" for none.
    """

    content: bytes | None
    width: int
    height: int
    bpp: float
    summary: str
    is_larger: bool = False
    hint: str = ""


class Job(Protocol):
    """Makes the output of a task from its source.

    Raises a CaesuraError if it cannot.
    """

    def __call__(self, source: Source, task: Task, progress: Progress) -> Result:
        """The result for one file."""
        ...


@dataclass(frozen=True)
class Encode:
    """Encodes a picture to a .cae file."""

    options: EncodeOptions

    def __call__(self, source: Source, task: Task, progress: Progress) -> Result:
        """See `Job`."""
        from caesura import codec, large, metrics
        from caesura.format import container
        from caesura.large import reading
        from caesura.picture import formats

        options = self.options
        in_rows = not options.refines and (options.target is None or options.target.is_size)
        if in_rows and source.path != STREAM and large.takes(source.path, upright=options.strip):
            data = large.encode(source.path, options, progress=progress)
            with reading.opened_without_pixels(source.path) as picture:
                hint = _jpeg_hint(picture, options)
        else:
            with formats.opened(source.content, source.name, options.max_pixels) as picture:
                shown = progress if options.refines else no_progress
                data = codec.encode(picture, options, progress=shown)
                hint = _jpeg_hint(picture, options)
        header = container.read_header(data, max_pixels=options.max_pixels)
        bpp = metrics.bits_per_pixel(len(data), header.width, header.height)
        summary = f"{len(data)} bytes  {bpp:.3f} bpp"
        is_larger = len(data) > source.size
        if is_larger:
            summary += f"  larger than the original ({source.size} bytes)"
        return Result(data, header.width, header.height, bpp, summary, is_larger, hint)


_CLEARLY = 3  # by which the quality asked for exceeds that which is enough, before that is said


def _jpeg_hint(picture: Image.Image, options: EncodeOptions) -> str:
    """The hint for a JPEG that has less than the quality asked for, which cannot come back; "" for none."""
    from caesura.models import ladder
    from caesura.picture import jpeg_quality

    ijg = jpeg_quality.ijg_quality(picture)
    if ijg is None or options.target is not None:
        return ""
    enough = jpeg_quality.quality_that_keeps(ijg)
    asked = ladder.DEFAULT_QUALITY if options.quality is None else options.quality
    if enough is None or asked < enough + _CLEARLY:
        return ""
    return f"the JPEG has quality {ijg:.0f}; quality {math.ceil(enough)} keeps what it has"


@dataclass(frozen=True)
class Decode:
    """Decodes a .cae file to a picture of another format.

    Attributes:
        kind: Pillow's name of the format.
        region, scale: as in `caesura.decode`.
        recover: decode damaged files as far as possible.
        strip: leave out metadata, and apply the EXIF orientation.
        max_pixels: refuse larger pictures.
    """

    kind: str
    region: tuple[int, int, int, int] | None
    scale: int
    recover: bool
    strip: bool
    max_pixels: int

    def __call__(self, source: Source, task: Task, progress: Progress) -> Result:
        """See `Job`."""
        from caesura import codec, large, metrics
        from caesura.format import container
        from caesura.picture import convert, formats, metadata

        data = source.content
        header = container.read_header(data, max_pixels=self.max_pixels)
        bpp = metrics.bits_per_pixel(len(data), header.width, header.height)
        in_rows = self.region is None and self.scale == 1 and not self.recover
        if in_rows and self.strip:  # rows are written in the order in which they are stored
            _, rest = container.read(data, max_pixels=self.max_pixels, wanted=())
            in_rows = metadata.orientation(rest.metadata) == 1
        if (
            in_rows
            and header.width * header.height > large.PIXELS
            and large.writes(task.target)
            and formats.format_of(task.target) == self.kind
            and not files.is_device(task.target)
        ):
            files.check_output(task.target, force=task.force)
            large.decode(
                data,
                task.target,
                strip=self.strip,
                force=task.force,
                max_pixels=self.max_pixels,
                progress=progress,
            )
            return Result(None, header.width, header.height, bpp, f"{header.width} x {header.height}")
        if self.recover:
            picture, damaged = codec.recover(data, max_pixels=self.max_pixels)
            for x, y, width, height in damaged:
                warnings.warn(
                    f"{width} x {height} pixels at {x}, {y} are damaged and were concealed", stacklevel=1
                )
        else:
            picture = codec.decode(data, region=self.region, scale=self.scale, max_pixels=self.max_pixels)
        if self.strip:
            picture = convert.upright(picture)
        width, height = picture.size
        return Result(formats.saved(picture, self.kind), width, height, bpp, f"{width} x {height}")


def no_progress(done: int, total: int) -> None:
    """Progress that is not shown."""
