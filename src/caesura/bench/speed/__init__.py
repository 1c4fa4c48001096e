"""Speed of the installed codec, and where its time goes.

    python -m caesura.bench.speed [OUT] [--model NAME ...] [--all] [--sizes 0.1,0.4,...] [--repeats N]

Pictures of 0.1 to 24 megapixels, coded with one thread and with all; medians of repeats that are interleaved.
Writes speed.md, speed.png and speed.json to OUT.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from caesura.bench import complexity, machine
from caesura.bench.speed import peak, pictures, process, symbols, timing
from caesura.bench.speed.timing import median
from caesura.errors import ConfigError
from caesura.models import bundle as bundles
from caesura.models import ladder

__all__ = ["SIZES", "Speed", "large", "measure", "median", "processors", "rows", "run"]

SIZES = (0.1, 0.4, 1.0, 3.0, 12.0, 24.0)  # megapixels
_ALONE = (0.4, 12.0)  # coded in processes of their own
_OF_SYMBOLS = 1.0  # whose symbols go through the coder alone
_REPEATS = 3


@dataclass(frozen=True)
class Speed:
    """What was measured of one model, at the default quality and effort.

    Attributes:
        model, id: of the bundle.
        machine: what it was measured on.
        others: processors that other programs used meanwhile; None where that is not known.
        rates: by size, direction and threads.
        splits: one thread's seconds by stage.
        peak: multiply-accumulates per second of float32 matrix products, by number of threads.
        work: per pixel.
        coding: entropy coding alone.
        start_up: seconds of `caesura info`.
        alone: coding in processes of their own.
    """

    model: str
    id: str
    machine: dict[str, str | int]
    others: float | None
    rates: list[timing.Rate]
    splits: list[timing.Split]
    peak: dict[int, float]
    work: complexity.Complexity
    coding: symbols.Coding
    start_up: float
    alone: list[process.Fresh]

    def peak_share(self, direction: str, speed: float, threads: int) -> float:
        """Of the machine's peak, what the networks do at `speed` megapixels per second."""
        return self.work.graphs(direction) * 1e9 * speed / self.peak[threads]


def run(
    destination: Path,
    *,
    model: str | Sequence[str] = bundles.DEFAULT,
    sizes: Sequence[float] = SIZES,
    threads: Sequence[int] | None = None,
    repeats: int = _REPEATS,
    console: Console | None = None,
) -> list[Speed]:
    """Measure models; print tables, and write speed.json, speed.md and speed.png to a folder.

    Args:
        destination: a folder; made if need be, its files replaced.
        model: names of bundles, one or several.
        sizes: of pictures, in megapixels.
        threads: numbers of them; 1 and all processors by default.
        repeats: how often each is measured, small pictures three times as often.
        console: where progress and tables go.

    Raises:
        ConfigError: a size, a number of threads or of repeats is out of range, or the folder cannot be made.
        ModelError: a model is not there.
        DependencyError: something of the extra [bench] is not installed.
    """
    from caesura.bench.speed import tables
    from caesura.picture import files

    console = console or Console()
    models = [model] if isinstance(model, str) else list(model)
    threads = sorted({1, processors()}) if threads is None else list(threads)
    _check(models, sizes, threads, repeats)
    try:
        destination.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{destination} cannot be the report's folder: {error.strerror or error}"
        ) from error
    found = []
    with Progress(console=console) as progress:
        task = progress.add_task("speed", total=len(models) * _steps(sizes, repeats))
        for name in models:
            progress.update(task, description=f"speed of {name}")
            found.append(measure(name, sizes, threads, repeats, lambda: progress.advance(task)))
    for one in found:
        for table in tables.of(one):
            console.print(table.rich())
    content = json.dumps([_json(one) for one in found], indent=1) + "\n"
    files.write(destination / "speed.json", content.encode(), force=True)
    files.write(destination / "speed.md", tables.markdown(found).encode(), force=True)
    files.write(destination / "speed.png", tables.picture(found), force=True)
    return found


def measure(
    model: str,
    sizes: Sequence[float] = SIZES,
    threads: Sequence[int] = (1,),
    repeats: int = _REPEATS,
    advance: timing.Advance = lambda: None,
) -> Speed:
    """One model; `advance` is called after each step. Other arguments are those of `run`."""
    bundle, beside = bundles.load(model), machine.OtherLoad()
    counted = complexity.count(bundle)
    peaks = {count: peak.gemm(count) for count in sorted({1, *threads})}
    rates, splits = timing.measure(model, sizes, threads, repeats, advance)
    # Once more, so that a machine that was busy the first time does not look slow.
    peaks = {count: max(before, peak.gemm(count)) for count, before in peaks.items()}
    photo = pictures.photo(*pictures.shape(min(_OF_SYMBOLS, max(sizes))))
    coding = symbols.coding(photo, bundle, ladder.DEFAULT_QUALITY, 3 * repeats)
    advance()
    alone = []
    for size in sorted({min(size, max(sizes)) for size in _ALONE}):
        alone += process.fresh(size, model)
        advance()
    return Speed(
        model=bundle.name,
        id=f"{bundle.id:08x}",
        machine=_machine(),
        start_up=process.info_seconds(),
        others=beside.used(),
        rates=rates,
        splits=splits,
        peak=peaks,
        work=counted,
        coding=coding,
        alone=alone,
    )


def _steps(sizes: Sequence[float], repeats: int) -> int:
    """How often `measure` advances."""
    return timing.rounds(sizes, repeats) + 1 + len({min(size, max(sizes)) for size in _ALONE})


def _check(models: Sequence[str], sizes: Sequence[float], threads: Sequence[int], repeats: int) -> None:
    for name in models:
        bundles.load(name)
    if not models or not sizes or not threads:
        raise ConfigError("models, sizes and threads: there is none; one or more are allowed")
    for size in sizes:
        if not 0.001 <= size <= 100:
            raise ConfigError(f"size is {size} megapixels; 0.001 to 100 is allowed")
    for count in threads:
        if not 1 <= count <= 1024:
            raise ConfigError(f"threads is {count}; 1 to 1024 is allowed")
    if not 1 <= repeats <= 1000:
        raise ConfigError(f"repeats is {repeats}; 1 to 1000 is allowed")


def rows(found: Speed | None = None) -> list[tuple[str, str, str]]:
    """A short table: what is measured, how much it is, and the number of repeats.

    `found` is measured if it is not given: two sizes, all threads.
    """
    found = found or measure(bundles.DEFAULT, _ALONE, sorted({1, processors()}))
    most = max(one.threads for one in found.rates)
    lines = [("start-up of `caesura info`", f"{found.start_up:.3f} s", str(process.INFO_REPEATS))]
    memory = {(one.direction, one.megapixels): one.peak for one in found.alone}
    for one in found.rates:
        if one.threads == most:
            text = f"{one.seconds:.3f} s, {one.speed:.2f} MP/s"
            if one.megapixels > 1 and (gibibytes := memory.get((one.direction, one.megapixels))):
                text += f", peak {gibibytes:.2f} GiB"
            lines.append((f"{one.direction} {one.width}x{one.height}", text, str(one.repeats)))
    return lines


def large(direction: str) -> tuple[float, float]:
    """Seconds and peak GiB of "encode" or "decode" of 12 megapixels, the first in a process of its own."""
    (one,) = (one for one in process.fresh(_ALONE[-1]) if one.direction == direction)
    return one.first, one.peak


def processors() -> int:
    """How many there are."""
    return os.cpu_count() or 1


def _machine() -> dict[str, str | int]:
    return {
        "processor": machine.describe().processor,
        "instructions": machine.describe().instructions,
        "processors": processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("caesura", "onnxruntime", "numpy", "constriction")},
    }


def _json(found: Speed) -> dict[str, object]:
    content = asdict(found)
    for entry, one in zip(content["rates"], found.rates, strict=True):
        entry["speed"] = one.speed
        entry["peak_share"] = found.peak_share(one.direction, one.speed, one.threads)
    for entry, split in zip(content["splits"], found.splits, strict=True):
        entry["shares"] = split.shares
        entry["peak_share"] = found.peak_share(split.direction, split.transform_speed, 1)
    return content
