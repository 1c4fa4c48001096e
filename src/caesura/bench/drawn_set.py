"""The drawn pictures of a report: written as files, and compared by bytes at equal quality.

A mean over such pictures says little, since one is coded in a hundred bytes and another in a million. So
there are no mean curves: each picture is compared on its own, also with lossless codecs.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PIL import Image
from rich.table import Table

from caesura.bench.codecs import WEBP, Avif, Codec, JpegXl, SharpWebp
from caesura.bench.drawn import KINDS, drawn
from caesura.bench.formatting import figure
from caesura.bench.lossless import LOSSLESS
from caesura.bench.photos import Photo
from caesura.bench.schema import Drawn, Equal, Picture, Point
from caesura.picture import files

SCORES = (90.0, 80.0, 70.0)  # of SSIMULACRA 2: very high quality, between, and high
SEED = 1
# Ladders end higher than for photographs: noise and text need it for a SSIMULACRA 2 of 90.
_AVIF = (4, 14, 26, 38, 50, 62, 76, 91, 99)
SLOW: tuple[Codec, ...] = (Avif(4, "iq", (4, 20, 38, 55, 73, 91, 99), screen=True),)  # left out by --quick
RIVALS: tuple[Codec, ...] = (
    WEBP, SharpWebp(), Avif(6, "iq", _AVIF, screen=True), Avif(6, "ssimulacra2", _AVIF, screen=True), *SLOW,
    JpegXl(7, (15, 10, 6.5, 4.2, 2.7, 1.7, 1, 0.5, 0.1)), *LOSSLESS,
)  # fmt: skip


def pictures(folder: Path, status: Callable[[str], None] = lambda step: None) -> list[Photo]:
    """The pictures of all kinds, drawn and written to a folder as PNG files.

    Args:
        folder: is created; files of these names are replaced.
        status: called with a description of each step.

    Raises:
        FileError: a picture cannot be written.
        DependencyError: scikit-image is not installed.
    """
    found = []
    for kind in KINDS:
        status(f"drawing, {kind}")
        pixels, out = drawn(kind, SEED), io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        files.write(folder / f"{kind}.png", out.getvalue(), force=True)
        digest = hashlib.sha256(out.getvalue()).hexdigest()
        height, width, _ = pixels.shape
        # A colon, so that a photograph in the user's folder has another name.
        found.append(Photo(f"drawn: {kind}", folder / f"{kind}.png", digest, width, height))
    return found


def equal(points: Sequence[Point], shown: Iterable[Picture]) -> list[Equal]:
    """Bytes of every codec at each of `SCORES`, and without loss, for the pictures that have points."""
    found = []
    codecs = list(dict.fromkeys(point.codec for point in points))
    for picture in shown:
        for codec in codecs:
            mine = [point for point in points if (point.picture, point.codec) == (picture.name, codec)]
            if mine:
                found += [Equal(picture.name, codec, score, bytes_at(mine, score)) for score in SCORES]
                found.append(Equal(picture.name, codec, None, bytes_exact(mine)))
    return found


def bytes_at(points: Sequence[Point], score: float) -> int | None:
    """Bytes at which a codec reaches a SSIMULACRA 2 on a picture; None if it never does.

    Between the smallest file that reaches the score and the largest below it, the logarithm of the bytes is
    interpolated linearly over the score. A file without loss counts as it is, since a codec that switches to
    lossless has no files in between; so does the codec's smallest file.
    """
    before = None
    for point in sorted(points, key=lambda point: point.bytes):
        if point.ssimulacra2 is None:
            continue
        if point.ssimulacra2 < score:
            before = point
            continue
        if before is None or before.ssimulacra2 is None or point.mse == 0:
            return point.bytes
        share = (score - before.ssimulacra2) / (point.ssimulacra2 - before.ssimulacra2)
        return round(math.exp((1 - share) * math.log(before.bytes) + share * math.log(point.bytes)))
    return None


def bytes_exact(points: Iterable[Point]) -> int | None:
    """Bytes of the smallest file that decodes to the original's pixels; None if there is none."""
    return min((point.bytes for point in points if point.mse == 0), default=None)


def summary(results: Drawn) -> Table:
    """A table for the terminal: on each picture, our first model and the best other codec."""
    ours = next(codec.name for codec in results.codecs if codec.ours)
    table = Table(
        title=f"Bytes of drawn pictures at SSIMULACRA 2 of {SCORES[0]:g}", box=None, padding=(0, 1, 0, 0)
    )
    table.add_column("picture", no_wrap=True)
    for name in (ours, "best other", "more bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("which is", no_wrap=True)
    mine = {codec.name for codec in results.codecs if codec.ours}
    for picture in results.pictures:
        there = [one for one in results.equal if (one.picture, one.ssimulacra2) == (picture.name, SCORES[0])]
        own = next((one.bytes for one in there if one.codec == ours), None)
        others = [(one.bytes, one.codec) for one in there if one.bytes is not None and one.codec not in mine]
        best, name = min(others, default=(None, ""))
        more = "" if own is None or best is None else f"{100 * (own / best - 1):+.1f}%"
        kind = picture.name.removeprefix("drawn: ")
        table.add_row(kind, *(figure(size, 0) for size in (own, best)), more, name)
    return table
