"""Speed of caesura's models by picture size and number of threads, and the time of each stage.

    python -m caesura.bench.speed [OUT] [--model NAME ...] [--all] [--sizes 0.1,0.4,...] [--repeats N]

Pictures of 0.1 to 24 megapixels are coded with one thread and with all processors, by ONNX Runtime and, where
it is installed, by OpenVINO; figures are medians of interleaved repeats. OUT gets speed.md, speed.png and
speed.json.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from caesura.bench import complexity, machine
from caesura.bench.speed import peak, pictures, process, symbols, timing
from caesura.bench.speed.figures import Speed
from caesura.bench.speed.timing import median
from caesura.errors import ConfigError
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.conditioning import ONNX_RUNTIME
from caesura.runtime.processors import processors

__all__ = ["SIZES", "Speed", "large", "measure", "median", "processors", "rows", "run"]

SIZES = (0.1, 0.4, 1.0, 3.0, 12.0, 24.0)  # megapixels
_FRESH = (0.4, 12.0)  # megapixels of pictures that are coded in separate processes
_CODED = 1.0  # megapixels of the picture whose symbols are coded without transforms
_REPEATS = 3


def run(
    destination: Path,
    *,
    model: str | Sequence[str] = bundles.DEFAULT,
    sizes: Sequence[float] = SIZES,
    threads: Sequence[int] | None = None,
    repeats: int = _REPEATS,
    console: Console | None = None,
) -> list[Speed]:
    """Measure models, print tables, and write speed.json, speed.md and speed.png to a folder.

    Args:
        destination: the folder, which is created if needed; existing files are replaced.
        model: one or several names of bundles.
        sizes: of pictures, in megapixels, 0.001 to 100.
        threads: numbers of threads; by default 1 and the number of processors.
        repeats: of each measurement; small pictures are measured three times as often.
        console: for progress and tables.

    Raises:
        ConfigError: an argument is out of range, or the folder cannot be created.
        ModelError: there is no such model.
        DependencyError: a library of the extra [bench] is not installed.
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
    """Measure one model. `advance` is called after each step; the other arguments are those of `run`."""
    bundle, load = bundles.load(model), machine.OtherLoad()
    counted = complexity.count(bundle)
    peaks = {count: peak.gemm(count) for count in sorted({1, *threads})}
    rates, splits = timing.measure(model, sizes, threads, repeats, advance)
    # Measured twice, since other programs may have slowed down the first measurement.
    peaks = {count: max(before, peak.gemm(count)) for count, before in peaks.items()}
    photo = pictures.photo(*pictures.shape(min(_CODED, max(sizes))))
    coding = symbols.coding(photo, bundle, ladder.DEFAULT_QUALITY, 3 * repeats)
    advance()
    fresh = []
    for size in sorted({min(size, max(sizes)) for size in _FRESH}):
        fresh += process.fresh(size, model)
        advance()
    return Speed(
        model=bundle.name,
        id=f"{bundle.id:08x}",
        machine=_machine(),
        start_up=process.info_seconds(),
        others=load.used(),
        rates=rates,
        splits=splits,
        peak=peaks,
        work=counted,
        coding=coding,
        alone=fresh,
    )


def _steps(sizes: Sequence[float], repeats: int) -> int:
    """The number of steps of `measure`."""
    return timing.rounds(sizes, repeats) + 1 + len({min(size, max(sizes)) for size in _FRESH})


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
    """Rows of a short table: name, figure, and number of repeats.

    Without `found`, two sizes are measured with one and all threads.
    """
    found = found or measure(bundles.DEFAULT, _FRESH, sorted({1, processors()}))
    most = max(one.threads for one in found.rates)
    lines = [("start-up of `caesura info`", f"{found.start_up:.3f} s", str(process.INFO_REPEATS))]
    memory = {(one.direction, one.megapixels): one.peak for one in found.alone}
    for one in found.rates:
        if one.threads == most and one.runtime == ONNX_RUNTIME:
            text = f"{one.seconds:.3f} s, {one.speed:.2f} MP/s"
            if one.megapixels > 1 and (gibibytes := memory.get((one.direction, one.megapixels))):
                text += f", peak {gibibytes:.2f} GiB"
            lines.append((f"{one.direction} {one.width}x{one.height}", text, str(one.repeats)))
    return lines


def large(direction: str) -> tuple[float, float]:
    """Seconds and peak GiB of the first "encode" or "decode" of 12 megapixels in a separate process."""
    (one,) = (one for one in process.fresh(_FRESH[-1]) if one.direction == direction)
    return one.first, one.peak


def _machine() -> dict[str, str | int]:
    return {
        "processor": machine.describe().processor,
        "instructions": machine.describe().instructions,
        "processors": processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("caesura", *timing.runtimes(), "numpy", "constriction")},
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
