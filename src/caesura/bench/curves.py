"""Mean curves of the measured points, and BD-rates of curves with intervals."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from caesura.bench import quality
from caesura.bench.bd_rate import Float, bd_rate, interval, overlap
from caesura.bench.schema import METRICS, Curve, Difference, Picture, Point, Sample


def complete(points: Sequence[Point], pictures: Sequence[Picture], ladders: dict[str, int]) -> list[Point]:
    """The points of the pictures that every codec has coded at every setting, so that means compare.

    Args:
        points: all points so far.
        pictures: all pictures.
        ladders: the number of settings of each codec.
    """
    counts: dict[str, int] = defaultdict(int)
    for point in points:
        counts[point.picture] += 1
    done = {picture.name for picture in pictures if counts[picture.name] == sum(ladders.values())}
    return [point for point in points if point.picture in done]


def mean_curves(points: Sequence[Point], pictures: Iterable[Picture]) -> list[Curve]:
    """Means over pictures by codec and setting; codecs in the order of first appearance.

    `points` are those of `complete`.
    """
    pixels = {picture.name: picture.width * picture.height for picture in pictures}
    groups: dict[str, dict[float, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        groups[point.codec][point.setting].append(point)
    curves = []
    for codec, settings in groups.items():
        samples = []
        for setting, group in settings.items():
            megapixels = sum(pixels[p.picture] for p in group) / 1e6
            samples.append(
                Sample(
                    setting=setting,
                    bpp=statistics.fmean(p.bpp for p in group),
                    psnr=_mean([p.psnr for p in group]),
                    psnr_of_mean_mse=quality.decibels(statistics.fmean(p.mse for p in group)),
                    psnr_luma=_mean([p.psnr_luma for p in group]),
                    ms_ssim=_mean([p.ms_ssim for p in group]),
                    ms_ssim_db=_mean([value(p, "ms_ssim_db") for p in group]),
                    ssimulacra2=_mean([p.ssimulacra2 for p in group]),
                    encode_mps=_speed(megapixels, [p.encode_seconds for p in group]),
                    decode_mps=_speed(megapixels, [p.decode_seconds for p in group]),
                    psnr_hvs_m=_mean([p.psnr_hvs_m for p in group]),
                    cvvdp=_mean([p.cvvdp for p in group]),
                )
            )
        curves.append(Curve(codec, sorted(samples, key=lambda sample: sample.bpp)))
    return curves


def value(point: Point, metric: str) -> float | None:
    """The value of one of `METRICS` at a point."""
    if metric == "ms_ssim_db":
        return None if point.ms_ssim is None else quality.similarity_decibels(point.ms_ssim)
    found: float | None = getattr(point, metric)
    return found


def differences(
    points: Sequence[Point],
    curves: Sequence[Curve],
    anchor: str,
    ours: Sequence[str],
    *,
    intervals: bool = True,
    status: Callable[[str], None] = lambda step: None,
) -> list[Difference]:
    """BD-rates of every codec against the anchor, and of our codecs against every codec.

    Args:
        points, curves: of the same pictures, see `complete`.
        anchor: a codec's name; if it was not measured, only ours are compared.
        ours: names of our codecs.
        intervals: compute the bootstrap intervals too, which take most of the time.
        status: called with a description of each step.
    """
    names = [curve.codec for curve in curves]
    pairs = [(name, anchor) for name in names if anchor in names]
    pairs += [(name, other) for name in names if name in ours for other in names if other != anchor]
    found = []
    for name, other in pairs:
        status(f"BD-rates, {name}")
        found += [_difference(points, curves, name, other, metric, intervals) for metric in METRICS]
    return [difference for difference in found if difference is not None]


def _difference(
    points: Sequence[Point], curves: Sequence[Curve], codec: str, anchor: str, metric: str, intervals: bool
) -> Difference | None:
    """None where the metric was not measured."""
    test, base = (
        next(curve.points(metric) for curve in curves if curve.codec == name) for name in (codec, anchor)
    )
    if not test or not base:
        return None
    pictures = list(dict.fromkeys(point.picture for point in points))
    common = overlap(base, test)
    percent = bd_rate(base, test)
    (base_rate, base_quality), (test_rate, test_quality) = (
        _arrays(points, pictures, name, metric) for name in (anchor, codec)
    )
    between = None
    if percent is not None and intervals:
        between = interval(_without_gaps(base_rate, base_quality), _without_gaps(test_rate, test_quality))
    each = {}
    for number, picture in enumerate(pictures):
        one, two = (
            [
                (rate, quality)
                for rate, quality in zip(rates[number], qualities[number], strict=True)
                if not math.isnan(quality)
            ]
            for rates, qualities in ((base_rate, base_quality), (test_rate, test_quality))
        )
        each[picture] = bd_rate(one, two)
    return Difference(
        codec=codec,
        anchor=anchor,
        metric=metric,
        percent=percent,
        low=between[0] if between else None,
        high=between[1] if between else None,
        overlap=list(common) if common else None,
        pictures=each,
    )


def _arrays(points: Sequence[Point], pictures: Sequence[str], codec: str, metric: str) -> tuple[Float, Float]:
    """Rates and qualities, float64 (pictures, settings) each; a quality is NaN where there is none."""
    rows: dict[str, list[Point]] = {picture: [] for picture in pictures}
    for point in points:
        if point.codec == codec:
            rows[point.picture].append(point)
    ordered = [sorted(row, key=lambda point: point.setting) for row in rows.values()]
    rates = np.array([[point.bpp for point in row] for row in ordered])
    qualities = [[value(point, metric) for point in row] for row in ordered]
    return rates, np.array(qualities, np.float64)  # None becomes NaN


def _without_gaps(rates: Float, qualities: Float) -> tuple[Float, Float]:
    """The settings at which every picture has a quality, which are those of the mean curve."""
    kept = ~np.isnan(qualities).any(axis=0)
    return rates[:, kept], qualities[:, kept]


def _speed(megapixels: float, seconds: list[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return megapixels / sum(known) if len(known) == len(seconds) else None


def _mean(values: list[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return statistics.fmean(known) if len(known) == len(values) else None
