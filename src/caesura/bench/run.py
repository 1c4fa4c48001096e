"""`caesura bench`: measures codecs on a folder of pictures and writes results.json, CSV files and pages.

pictures x codecs x settings -> points -> mean curves -> BD-rates; costs; pictures at matched size -> pages
drawn pictures x codecs x settings -> points -> bytes at equal quality; pictures at matched size -> pages
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from caesura import __version__, progress
from caesura.bench import (
    codecs,
    costs,
    curves,
    drawn_set,
    html,
    machine,
    matched,
    measure,
    optional_metrics,
    report,
)
from caesura.bench.cache import Cache
from caesura.bench.caesura_codec import Caesura, Crops, distinct
from caesura.bench.codecs import Codec
from caesura.bench.drawn import KINDS
from caesura.bench.external import External
from caesura.bench.lossless import LOSSLESS
from caesura.bench.measure import Conditions
from caesura.bench.photos import Photo, find, largest
from caesura.bench.schema import CodecFacts, Cost, Drawn, Missing, Picture, Remark, Results
from caesura.coding.base import DEFAULT_EFFORT
from caesura.errors import ConfigError, DependencyError
from caesura.models import ladder
from caesura.picture import files
from caesura.runtime.processors import processors

ANCHOR = codecs.JPEG.name
QUALITIES = (1, 12, 24, 36, 48, 60, 72, 86, 100)
_QUICK_SETTINGS = 5
SAMPLES, DRAWN = "samples", "drawn"


@dataclass(frozen=True)
class Plan:
    """The settings of a benchmark.

    Attributes:
        folder: of pictures; None for photographs of scikit-image with `quick`, or for none with `drawn`.
        destination: folder of the reports.
        models: names or folders of bundles.
        efforts: of caesura's encoder.
        qualities: of caesura; other codecs have their own ladders.
        codecs: comma-separated parts of the names of other codecs; None for all.
        external: codecs that are external commands.
        anchor: name of the codec that others are compared with.
        reference: a file of published curves.
        crop: N to code independent N x N crops with caesura; 0 to code whole pictures.
        repeats: number of timings of each coding.
        threads: maximum number of threads of a codec; 0 for the number of processors.
        metrics: some of `optional_metrics.NAMES`.
        times: measure time, memory and start-up too.
        quick: measure four pictures of at most 768 x 512 at five settings, without slow codecs.
        drawn: measure drawn pictures too; their codecs are `drawn_set.RIVALS`.
        command: the command line, for the reports.
    """

    folder: Path | None
    destination: Path
    models: Sequence[str]
    efforts: Sequence[int] = (DEFAULT_EFFORT,)
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
    drawn: bool = False
    command: str = "caesura bench"


def bench(plan: Plan, console: Console) -> Results:
    """Measure everything, write the reports, and return the results.

    If interrupted, it writes what was measured, prints how to resume, and raises KeyboardInterrupt again.

    Raises:
        ConfigError: there is no picture, or a setting cannot be used.
        CommandError: an external command failed.
        DependencyError: a metric is not installed.
        MetricError: CVVDP's worker failed.
    """
    published = report.read_published(plan.reference) if plan.reference else []
    remarks: list[Remark] = []

    def remark(name: str, text: str) -> None:
        remarks.append(Remark(name, text))
        console.print(f"{name}: {text}", markup=False, highlight=False, soft_wrap=True)

    wanted = plan.folder or plan.quick or not plan.drawn
    photos = find(plan.folder, quick=plan.quick, remark=remark) if wanted else []
    ours = _ours(plan)
    others, missing = _others(plan, codecs.OTHERS, codecs.SLOW) if photos else ([], [])
    rivals, absent = _others(plan, drawn_set.RIVALS, drawn_set.SLOW) if plan.drawn else ([], [])
    missing += [one for one in absent if one not in missing]
    everything = [*ours, *others] if photos else []
    screen = [*ours, *rivals] if plan.drawn else []
    _check_names(everything)
    _check_names(screen)
    anchor = _anchor(plan.anchor, everything, missing)
    for one in missing:
        console.print(f"not measured: {one.name}: {one.reason}", markup=False, highlight=False)
    try:
        plan.destination.mkdir(parents=True, exist_ok=True)
        cache = Cache(plan.destination)
    except OSError as error:
        raise files.FileError(f"{plan.destination}: {error.strerror or error}") from error
    threads = plan.threads or processors()
    here = machine.describe()
    results = Results(
        command=plan.command,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        caesura=__version__,
        machine=here,
        threads=threads,
        repeats=plan.repeats if plan.times else 1,
        timed=plan.times and bool(photos),
        pictures=_pictures(photos),
        codecs=_facts(everything, ours),
        missing=missing,
        remarks=remarks,
        published=published,
        drawn=Drawn(codecs=_facts(screen, ours)) if plan.drawn else None,
    )
    conditions = Conditions(here.processor, threads, plan.repeats) if plan.times and photos else None
    ladders = {codec.name: len(codec.settings) for codec in everything}
    codings = sum(ladders.values()) * len(photos) + sum(len(codec.settings) for codec in screen) * len(KINDS)
    counts = "[progress.download]{task.completed:.0f}/{task.total:.0f}"
    bar = progress.bar("{task.description}", counts, console=console)
    try:
        with optional_metrics.opened(plan.metrics) as more, machine.codec_threads(threads), bar:
            steps = codings + len(everything) * (plan.times + len(photos)) + len(_lossy(screen)) * len(KINDS)
            task = bar.add_task("", total=steps)

            def status(step: str) -> None:
                bar.update(task, description=step)

            for point in measure.points(photos, everything, conditions, cache, status, more):
                results.points.append(point)
                bar.advance(task)
            for cost in _costs(photos, everything, conditions, cache) if conditions else ():
                status(f"memory and start-up, {cost.codec}")
                results.costs.append(cost)
                bar.advance(task)
            folder = plan.destination / SAMPLES
            for shown in matched.write_samples(photos, everything, results.points, folder, cache, status):
                results.samples.append(shown)
                bar.advance(task, shown.codec != "original")
            for number in _measure_drawn(results.drawn, screen, plan.destination, cache, status, more):
                bar.advance(task, number)
            _summarise(results, anchor, ladders, status)
    except KeyboardInterrupt:
        _summarise(results, anchor, ladders, intervals=False)
        write(results, plan.destination)
        there = len(results.points) + (len(results.drawn.points) if results.drawn else 0)
        done = f"interrupted: {there} of {codings} codings are measured"
        console.print(f"{done}; the same command resumes", markup=False, highlight=False)
        raise
    write(results, plan.destination)
    page = html.write(plan.destination)
    tables = [report.summary(results, anchor)] if photos else []
    tables += [drawn_set.summary(results.drawn)] if results.drawn else []
    console.print(*tables, sep="\n")
    console.print(f"{page}", markup=False, highlight=False, soft_wrap=True)
    return results


def write(results: Results, folder: Path) -> None:
    """Write results.json and the CSV files to a folder."""
    for name, text in (report.csv_files(results) | {"results.json": results.to_json()}).items():
        files.write(folder / name, text.encode(), force=True)


def _measure_drawn(
    found: Drawn | None,
    chosen: Sequence[Codec],
    destination: Path,
    cache: Cache,
    status: Callable[[str], None],
    more: optional_metrics.Measures,
) -> Iterator[int]:
    """Fill in what is measured on drawn pictures, unless None; gives the steps of the progress bar."""
    if found is None:
        return
    pictures = drawn_set.pictures(destination / DRAWN, status)
    found.pictures += _pictures(pictures)
    for point in measure.points(pictures, chosen, None, cache, status, more):
        found.points.append(point)
        yield 1
    folder = destination / SAMPLES
    for shown in matched.write_samples(pictures, _lossy(chosen), found.points, folder, cache, status):
        found.samples.append(shown)
        yield int(shown.codec != "original")


def _lossy(chosen: Sequence[Codec]) -> list[Codec]:
    return [codec for codec in chosen if codec not in LOSSLESS]


def _summarise(
    results: Results,
    anchor: str,
    ladders: dict[str, int],
    status: Callable[[str], None] = lambda step: None,
    *,
    intervals: bool = True,
) -> None:
    """Fill in curves, BD-rates and bytes at equal quality, of the pictures that every codec has coded."""
    if results.drawn:
        drawn = results.drawn
        counts = {codec.name: len(codec.settings) for codec in drawn.codecs}
        drawn.equal = drawn_set.equal(curves.complete(drawn.points, drawn.pictures, counts), drawn.pictures)
    points = curves.complete(results.points, results.pictures, ladders)
    names = [codec.name for codec in results.codecs]
    points.sort(key=lambda point: names.index(point.codec))
    results.curves = curves.mean_curves(points, results.pictures)
    loads = [point.others for point in points if point.others is not None]
    results.others = statistics.fmean(loads) if loads and len(loads) == len(points) else None
    ours = [codec.name for codec in results.codecs if codec.ours]
    results.bd = curves.differences(points, results.curves, anchor, ours, intervals=intervals, status=status)


def _ours(plan: Plan) -> list[Codec]:
    """Models of caesura at every effort."""
    for quality in plan.qualities:
        ladder.check(quality)
    ours: list[Codec] = [
        Caesura(model, distinct(model, plan.qualities), effort)
        for model in plan.models
        for effort in plan.efforts
    ]
    if plan.crop:
        ours = [Crops(codec, plan.crop) for codec in ours]
    return [_thinned(codec) for codec in ours] if plan.quick else ours


def _others(plan: Plan, known: Sequence[Codec], slow: Sequence[Codec]) -> tuple[list[Codec], list[Missing]]:
    """The codecs of `known` that are chosen and installed, with external ones, and the missing ones."""
    named = codecs.choose(plan.codecs, [*codecs.OTHERS, *drawn_set.RIVALS] if plan.drawn else codecs.OTHERS)
    chosen, missing = [codec for codec in known if codec in named], []
    if plan.quick and plan.codecs is None:
        chosen = [codec for codec in chosen if codec not in slow]
        missing = [Missing(codec.name, "left out by --quick") for codec in slow]
    others, absent = codecs.installed([*chosen, *plan.external])
    return [_thinned(codec) for codec in others] if plan.quick else others, absent + missing


def _check_names(chosen: Sequence[Codec]) -> None:
    names = [codec.name for codec in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"codec {name} is given {names.count(name)} times; different names are allowed")


def _facts(chosen: Sequence[Codec], ours: Sequence[Codec]) -> list[CodecFacts]:
    return [CodecFacts(c.name, c.version, list(c.settings), c in ours) for c in chosen]


def _pictures(photos: Sequence[Photo]) -> list[Picture]:
    return [Picture(photo.name, photo.sha256, photo.width, photo.height) for photo in photos]


def _thinned(codec: Codec) -> Codec:
    """The codec with five of its settings, spread over its ladder."""
    if isinstance(codec, Crops):
        return replace(codec, inner=_thinned(codec.inner))
    count, last = min(_QUICK_SETTINGS, len(codec.settings)), len(codec.settings) - 1
    kept = tuple(codec.settings[round(number * last / max(1, count - 1))] for number in range(count))
    return replace(codec, settings=kept)  # type: ignore[type-var]


def _anchor(wanted: str, codecs: Sequence[Codec], missing: Sequence[Missing]) -> str:
    """The name of the anchor as the codec spells it; the default anchor need not be measured."""
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
        facts = {"codec": codec.name, "version": codec.version, "settings": list(codec.settings)}
        key = photo.key | facts | asdict(conditions)
        kept = cache.get("cost", key)
        if kept is None:
            pixels = photo.pixels() if pixels is None else pixels
            tiny = np.ascontiguousarray(pixels[: measure.TINY, : measure.TINY])
            kept = asdict(costs.measure(codec, pixels, tiny))
            cache.put("cost", key, kept)
        yield Cost(**kept)
