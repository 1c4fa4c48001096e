"""`caesura bench`: from a folder of pictures to results.json, its page and what is beside them.

pictures x codecs x settings -> points -> mean curves -> BD-rates; costs; pictures at matched bytes -> page
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from caesura import __version__, progress
from caesura.bench import codecs as known
from caesura.bench import costs, curves, html, machine, matched, measure, optional_metrics, report
from caesura.bench.cache import Cache
from caesura.bench.caesura_codec import Caesura, Crops, distinct
from caesura.bench.codecs import Codec
from caesura.bench.external import External
from caesura.bench.measure import Conditions
from caesura.bench.photos import Photo, find, largest
from caesura.bench.schema import CodecFacts, Cost, Missing, Picture, Remark, Results
from caesura.errors import ConfigError, DependencyError
from caesura.models import ladder
from caesura.picture import files

ANCHOR = known.JPEG.name
QUALITIES = (1, 12, 24, 36, 48, 60, 72, 86, 100)
_QUICK_RUNGS = 5
SAMPLES = "samples"


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        folder: of pictures; None for scikit-image's, if `quick`.
        destination: folder for everything that is written.
        models: names or folders of bundles.
        efforts: of our encoder.
        qualities: of our codec; others have ladders of their own.
        codecs: parts of the names of other codecs, separated by commas; None for all.
        external: codecs that are commands.
        anchor: the codec that others are compared with.
        reference: a file of published points.
        crop: code NxN crops one by one by our codec; 0 codes whole pictures.
        repeats: of each timing.
        threads: that a codec may use; 0 for all processors.
        metrics: of `optional_metrics.NAMES`, besides those that are always measured.
        times: also measure time, memory and start-up.
        quick: four pictures, at most 768 x 512, five settings, without slow codecs.
        command: that made it, as reports show it.
    """

    folder: Path | None
    destination: Path
    models: Sequence[str]
    efforts: Sequence[int] = (ladder.DEFAULT_EFFORT,)
    qualities: Sequence[float] = QUALITIES
    codecs: str | None = None
    external: Sequence[External] = ()
    anchor: str = ANCHOR
    reference: Path | None = None
    crop: int = 0
    repeats: int = 3
    threads: int = 0
    metrics: Sequence[str] = ()
    times: bool = True
    quick: bool = False
    command: str = "caesura bench"


def bench(plan: Plan, console: Console) -> Results:
    """Measure everything, and write it.

    Interrupted, it writes what was measured, says how to go on, and raises KeyboardInterrupt again.

    Raises:
        ConfigError: there is no picture, or a setting cannot be used.
        CommandError: an external command failed.
        DependencyError: a metric is not installed.
        MetricError: CVVDP's process failed.
    """
    published = report.read_published(plan.reference) if plan.reference else []
    remarks: list[Remark] = []

    def remark(name: str, text: str) -> None:
        remarks.append(Remark(name, text))
        console.print(f"{name}: {text}", markup=False, highlight=False, soft_wrap=True)

    photos = find(plan.folder, quick=plan.quick, tell=remark)
    ours, others, missing = _codecs(plan)
    everything = [*ours, *others]
    anchor = _anchor(plan.anchor, everything, missing)
    for one in missing:
        console.print(f"not measured: {one.name}: {one.reason}", markup=False, highlight=False)
    try:
        plan.destination.mkdir(parents=True, exist_ok=True)
        cache = Cache(plan.destination)
    except OSError as error:
        raise files.FileError(f"{plan.destination}: {error.strerror or error}") from error
    threads = plan.threads or os.cpu_count() or 1
    here = machine.describe()
    results = Results(
        command=plan.command,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        caesura=__version__,
        machine=here,
        threads=threads,
        repeats=plan.repeats if plan.times else 1,
        timed=plan.times,
        pictures=[Picture(photo.name, photo.sha256, photo.width, photo.height) for photo in photos],
        codecs=[CodecFacts(c.name, c.version, list(c.settings), c in ours) for c in everything],
        missing=missing,
        remarks=remarks,
        published=published,
    )
    conditions = Conditions(here.processor, threads, plan.repeats) if plan.times else None
    ladders = {codec.name: len(codec.settings) for codec in everything}
    rungs = sum(ladders.values()) * len(photos)
    counts = "[progress.download]{task.completed:.0f}/{task.total:.0f}"
    bar = progress.bar("{task.description}", counts, console=console)
    try:
        with optional_metrics.opened(plan.metrics) as more, machine.codec_threads(threads), bar:
            task = bar.add_task("", total=rungs + len(everything) * (plan.times + len(photos)))

            def tell(doing: str) -> None:
                bar.update(task, description=doing)

            for point in measure.points(photos, everything, conditions, cache, tell, more):
                results.points.append(point)
                bar.advance(task)
            for cost in _costs(photos, everything, conditions, cache) if conditions else ():
                tell(f"memory and start-up, {cost.codec}")
                results.costs.append(cost)
                bar.advance(task)
            folder = plan.destination / SAMPLES
            for shown in matched.write_samples(photos, everything, results.points, folder, cache, status):
                results.samples.append(shown)
                bar.advance(task, shown.codec != "original")
            _summarise(results, anchor, ladders, tell)
    except KeyboardInterrupt:
        _summarise(results, anchor, ladders, intervals=False)
        write(results, plan.destination)
        done = f"interrupted: {len(results.points)} of {rungs} codings are measured"
        console.print(f"{done}; the same command goes on from there", markup=False, highlight=False)
        raise
    write(results, plan.destination)
    page = html.write(plan.destination)
    console.print(report.summary(results, anchor))
    console.print(f"{page}", markup=False, highlight=False, soft_wrap=True)
    return results


def write(results: Results, folder: Path) -> None:
    """Write results.json and the CSV files, each whole."""
    for name, text in (report.csv_files(results) | {"results.json": results.to_json()}).items():
        files.write(folder / name, text.encode(), force=True)


def _summarise(
    results: Results,
    anchor: str,
    ladders: dict[str, int],
    tell: Callable[[str], None] = lambda doing: None,
    *,
    intervals: bool = True,
) -> None:
    """Curves and rate differences of the pictures that are done."""
    points = curves.whole(results.points, results.pictures, ladders)
    names = [codec.name for codec in results.codecs]
    points.sort(key=lambda point: names.index(point.codec))
    results.curves = curves.mean_curves(points, results.pictures)
    beside = [point.others for point in points if point.others is not None]
    results.others = statistics.fmean(beside) if beside and len(beside) == len(points) else None
    ours = [codec.name for codec in results.codecs if codec.ours]
    results.bd = curves.differences(points, results.curves, anchor, ours, intervals=intervals, tell=tell)


def _codecs(plan: Plan) -> tuple[list[Codec], list[Codec], list[Missing]]:
    """Ours, the others that are here, and what is missing."""
    for quality in plan.qualities:
        ladder.check(quality)
    ours: list[Codec] = [
        Caesura(model, distinct(model, plan.qualities), effort)
        for model in plan.models
        for effort in plan.efforts
    ]
    if plan.crop:
        ours = [Crops(codec, plan.crop) for codec in ours]
    missing: list[Missing] = []
    chosen = known.choose(plan.codecs, known.OTHERS)
    if plan.quick and plan.codecs is None:
        chosen = [codec for codec in chosen if codec not in known.SLOW]
        missing += [Missing(codec.name, "left out by --quick") for codec in known.SLOW]
    others, absent = known.installed([*chosen, *plan.external])
    names = [codec.name for codec in (*ours, *others)]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"codec {name} comes {names.count(name)} times; names of their own are allowed")
    if plan.quick:
        ours, others = ([_thinned(codec) for codec in some] for some in (ours, others))
    return ours, others, absent + missing


def _thinned(codec: Codec) -> Codec:
    """The codec with five settings, spread over its ladder."""
    if isinstance(codec, Crops):
        return replace(codec, inner=_thinned(codec.inner))
    count, last = min(_QUICK_RUNGS, len(codec.settings)), len(codec.settings) - 1
    kept = tuple(codec.settings[round(number * last / max(1, count - 1))] for number in range(count))
    return replace(codec, settings=kept)  # type: ignore[type-var]


def _anchor(wanted: str, codecs: Sequence[Codec], missing: Sequence[Missing]) -> str:
    """The name of the codec that is compared with; the usual one may be left out."""
    names = [codec.name for codec in codecs]
    found = [name for name in names if name.lower() == wanted.lower()]
    if found or wanted == ANCHOR:
        return found[0] if found else wanted
    if wanted in (one.name for one in missing):
        raise DependencyError(f"anchor {wanted} is not measured here")
    raise ConfigError(f"anchor is {wanted!r}; a codec that is measured is allowed: {', '.join(names)}")


def _costs(
    photos: Sequence[Photo], codecs: Sequence[Codec], conditions: Conditions, cache: Cache
) -> Iterator[Cost]:
    photo = largest(photos)
    pixels = None
    for codec in codecs:
        middle = {"codec": codec.name, "version": codec.version, "settings": list(codec.settings)}
        key = photo.key | middle | asdict(conditions)
        kept = cache.get("cost", key)
        if kept is None:
            pixels = photo.pixels() if pixels is None else pixels
            tiny = np.ascontiguousarray(pixels[: measure.TINY, : measure.TINY])
            kept = asdict(costs.measure(codec, pixels, tiny))
            cache.put("cost", key, kept)
        yield Cost(**kept)
