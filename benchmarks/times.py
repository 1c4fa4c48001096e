"""Writes docs/SPEED.md: speed of codecs, and of caesura by picture size, if the machine was idle throughout.

    python -m benchmarks.times PHOTOS [--docs docs] [--model photo] [--quick]

Earlier measurements are not used. Codecs code three pictures of the folder at the middle of their ladders,
with one thread. --quick leaves out slow codecs, memory, start-up and large pictures.
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console

import benchmarks
from caesura import __version__
from caesura.bench import codecs as known
from caesura.bench import costs, machine, measure, speed
from caesura.bench.caesura_codec import Caesura
from caesura.bench.codecs import Codec
from caesura.bench.photos import Photo, find
from caesura.bench.speed import tables
from caesura.errors import CaesuraError
from caesura.models import bundle as bundles
from caesura.models.ladder import DEFAULT_QUALITY
from caesura.picture import files

_WATCH = 2.0  # seconds that the load is measured before and after
_PICTURES, _REPEATS = 3, 3
_COLUMNS = (
    *("codec", "setting", "encode (MP/s)", "decode (MP/s)"),
    *("encode peak (MiB)", "decode peak (MiB)", "start-up (s)"),
)
_SIZES = (0.4, 3.0, 12.0)  # megapixels
_QUICK_SIZES = (0.4, 3.0)


class BusyError(CaesuraError):
    """Other programs use the machine, or their load is not known."""


def main() -> None:
    """Parse arguments, measure and write."""
    parser = benchmarks.parser("times", __doc__)
    parser.add_argument("folder", type=Path, help="folder of pictures; the first three are coded")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of SPEED.md")
    parser.add_argument("--model", default=bundles.DEFAULT, help="name or folder of a bundle")
    parser.add_argument("--quick", action="store_true", help="measure less")
    arguments = parser.parse_args()
    console = Console()
    try:
        text = page(arguments.folder, arguments.model, quick=arguments.quick, console=console)
        arguments.docs.mkdir(parents=True, exist_ok=True)
        files.write(arguments.docs / "SPEED.md", text.encode(), force=True)
    except CaesuraError as error:
        console.print(f"error: {error}", markup=False, highlight=False)
        sys.exit(1)


def page(folder: Path, model: str, *, quick: bool, console: Console) -> str:
    """The text of docs/SPEED.md.

    Raises:
        BusyError: the machine was not idle before, during or after the measurement.
    """
    photos = find(folder, quick=False)[:_PICTURES]
    others = [codec for codec in known.OTHERS if not (quick and codec in known.SLOW)]
    codecs: list[Codec] = [Caesura(model, (DEFAULT_QUALITY,)), *known.installed(others)[0]]
    _watch()
    load = machine.OtherLoad()
    rows = _codecs(photos, codecs, quick, console)
    with tempfile.TemporaryDirectory(prefix="caesura-bench-") as work:
        (found,) = speed.run(
            Path(work), model=model, sizes=_QUICK_SIZES if quick else _SIZES, console=console
        )
    used = _idle(load.used())
    _watch()
    return "\n".join([_head(found, used), *rows, *(table.markdown() for table in tables.of(found))])


def _codecs(photos: Sequence[Photo], codecs: Sequence[Codec], quick: bool, console: Console) -> list[str]:
    """A table of the speed, memory and start-up time of every codec."""
    megapixels = sum(photo.width * photo.height for photo in photos) / 1e6
    seconds = {codec.name: [0.0, 0.0] for codec in codecs}
    with machine.codec_threads(1):
        for photo in photos:
            todo = [measure.Coding(codec, codec.settings[len(codec.settings) // 2]) for codec in codecs]
            with console.status("") as status:
                measure.timed(todo, photo.pixels(), _REPEATS, photo.name, status.update)
            for coding in todo:
                for direction, times in enumerate((coding.encode_seconds, coding.decode_seconds)):
                    seconds[coding.codec.name][direction] += float(np.median(times))
        lines = [
            "## Codecs\n",
            f"{', '.join(photo.name for photo in photos)}; one thread, the middle of each ladder; medians of "
            f"{_REPEATS} codings, fewer if one takes more than half a second.\n",
            f"| {' | '.join(_COLUMNS)} |",
            "|---" * len(_COLUMNS) + "|",
        ]
        pixels = photos[0].pixels()
        tiny = np.ascontiguousarray(pixels[: measure.TINY, : measure.TINY])
        for codec in codecs:
            speeds = [f"{megapixels / one:.2f}" for one in seconds[codec.name]]
            rest = ["", "", ""]
            if not quick:
                cost = costs.measure(codec, pixels, tiny)
                rest = [
                    f"{cost.encode_peak_mib:.0f}",
                    f"{cost.decode_peak_mib:.0f}",
                    f"{cost.start_seconds:.2f}",
                ]
            setting = f"{codec.settings[len(codec.settings) // 2]:g}"
            lines.append(f"| {' | '.join([codec.name, setting, *speeds, *rest])} |")
    return ["\n".join(lines) + "\n"]


def _head(found: speed.Speed, used: float) -> str:
    here = machine.describe()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "numpy", "pillow"))
    text = (
        f"Every figure on this page comes from one run of that command, {time.strftime('%Y-%m-%d')}, on an "
        f"idle machine ({machine.load_text(used, here.cores)}): {here.processor}, {here.cores} "
        f"cores, {here.instructions}, {here.memory_gib:.0f} GiB, {here.system}; Python {here.python}, "
        f"{libraries}, caesura {__version__}, bundle `{found.model}` (`{found.id}`). Rates and qualities: "
        "[RESULTS.md](RESULTS.md)."
    )
    return f"# Speed\n\n    make speed KODAK=folder\n\n{textwrap.fill(text, 118)}\n"


def _watch() -> None:
    load = machine.OtherLoad()
    time.sleep(_WATCH)
    _idle(load.used())


def _idle(used: float | None) -> float:
    if used is None:
        raise BusyError("the load of this machine is not known on this system; Linux is allowed")
    if not machine.is_idle(used):
        cores = machine.describe().cores
        raise BusyError(
            f"the machine is busy: other programs use {used:.2f} of {cores} processors; "
            f"times are kept if it is {machine.IDLE:g} at most"
        )
    return used


if __name__ == "__main__":
    main()
