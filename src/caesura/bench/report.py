"""Mean curves over pictures, a table, and a rate-distortion plot."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caesura.bench.bd import bd_rate
from caesura.errors import ConfigError

if TYPE_CHECKING:
    from caesura.bench.evaluation import Point


@dataclass(frozen=True)
class Sample:
    """Means over all pictures at one setting; `psnr` and `ms_ssim` are None where some picture has none."""

    setting: float
    bpp: float
    psnr: float | None
    ms_ssim: float | None
    encode_seconds: float
    decode_seconds: float


@dataclass(frozen=True)
class Curve:
    """A codec's mean rate-distortion curve, by rising rate."""

    codec: str
    samples: tuple[Sample, ...]

    def psnr_points(self) -> list[tuple[float, float]]:
        """(bits per pixel, dB)."""
        return [(sample.bpp, sample.psnr) for sample in self.samples if sample.psnr is not None]

    def ms_ssim_points(self) -> list[tuple[float, float]]:
        """(bits per pixel, MS-SSIM)."""
        return [(sample.bpp, sample.ms_ssim) for sample in self.samples if sample.ms_ssim is not None]


@dataclass(frozen=True)
class Published:
    """A curve from the literature: (bits per pixel, dB)."""

    name: str
    source: str
    points: tuple[tuple[float, float], ...]


def mean_curves(points: Sequence[Point]) -> list[Curve]:
    """The mean of bpp, of PSNR and of MS-SSIM per codec and setting, in the order of first appearance."""
    groups: dict[str, dict[float, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        groups[point.codec][point.setting].append(point)
    curves = []
    for codec, settings in groups.items():
        samples = []
        for setting, group in settings.items():
            samples.append(
                Sample(
                    setting=setting,
                    bpp=statistics.fmean(p.bpp for p in group),
                    psnr=_mean([p.psnr for p in group]),
                    ms_ssim=_mean([p.ms_ssim for p in group]),
                    encode_seconds=statistics.fmean(p.encode_seconds for p in group),
                    decode_seconds=statistics.fmean(p.decode_seconds for p in group),
                )
            )
        curves.append(Curve(codec, tuple(sorted(samples, key=lambda sample: sample.bpp))))
    return curves


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, or None if there is not a value for everything."""
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if len(there) == len(values) else None


def read_published(path: Path) -> list[Published]:
    """Published curves: a JSON object of {name: {"source": ..., "points": [{"bpp": ..., "psnr": ...}]}}.

    Raises:
        ConfigError: the file is not that.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        curves = [
            Published(
                name,
                str(entry["source"]),
                tuple((float(p["bpp"]), float(p["psnr"])) for p in entry["points"]),
            )
            for name, entry in content.items()
            if not name.startswith("_")
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"reference {path} is not a file of published points: {error!r}") from error
    for curve in curves:
        if not curve.points or not all(math.isfinite(value) for point in curve.points for value in point):
            raise ConfigError(f"reference {path} is not a file of published points: {curve.name} has none")
    return curves


def table(curves: Sequence[Curve], published: Sequence[Published], anchor: str) -> str:
    """Markdown: BD-rate of each codec against `anchor`, of the first curve against each, then all samples."""
    lines = []
    base = next((curve for curve in curves if curve.codec == anchor), None)
    if base is not None:
        ours = curves[0]
        lines += [f"| codec | BD-rate (PSNR) against {anchor} | {ours.codec} against it |", "|---|---|---|"]
        rows = [(curve.codec, curve.psnr_points()) for curve in curves]
        rows += [(f"{entry.name} (published)", list(entry.points)) for entry in published]
        for name, points in rows:
            differences = bd_rate(base.psnr_points(), points), bd_rate(points, ours.psnr_points())
            lines.append(f"| {name} | {' | '.join(map(percent, differences))} |")
        lines.append("")
    lines += [
        "| codec | setting | bpp | PSNR (dB) | MS-SSIM | encode (s) | decode (s) |",
        "|---|---|---|---|---|---|---|",
    ]
    for curve in curves:
        for s in curve.samples:
            similarity = "" if s.ms_ssim is None else f"{s.ms_ssim:.5f}"
            quality = "equal" if s.psnr is None else f"{s.psnr:.3f}"
            times = f"{s.encode_seconds:.3f} | {s.decode_seconds:.3f}"
            lines.append(
                f"| {curve.codec} | {s.setting:g} | {s.bpp:.4f} | {quality} | {similarity} | {times} |"
            )
    return "\n".join(lines) + "\n"


def percent(difference: float | None) -> str:
    """A BD-rate as reports show it."""
    return "no overlap" if difference is None else f"{difference:+.1f}%"


def plot(curves: Sequence[Curve], published: Sequence[Published], path: Path, title: str) -> None:
    """Draw PSNR, and MS-SSIM where measured, over the rate; published curves dashed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    similar = any(curve.ms_ssim_points() for curve in curves)
    figure, axes = plt.subplots(1, 2 if similar else 1, figsize=(14 if similar else 8, 6.5), squeeze=False)
    left = axes[0][0]
    for number, curve in enumerate(curves):
        ours = curve.codec.startswith("caesura")
        style = {"linewidth": 2.6 if ours else 1.4, "marker": "o", "markersize": 5 if ours else 3}
        for axis, points in zip(axes[0], (curve.psnr_points(), curve.ms_ssim_points()), strict=False):
            rates, qualities = [point[0] for point in points], [point[1] for point in points]
            axis.plot(rates, qualities, label=curve.codec, color=f"C{number}", **style)
    for number, entry in enumerate(published):
        colour = str(0.25 + 0.5 * number / max(1, len(published)))
        points = sorted(entry.points)
        left.plot(
            *zip(*points, strict=True), "--", linewidth=1, color=colour, label=f"{entry.name} (published)"
        )
    top = max(sample.bpp for curve in curves for sample in curve.samples if curve.codec == curves[0].codec)
    for axis, label in zip(axes[0], ("PSNR (dB, RGB)", "MS-SSIM"), strict=False):
        axis.set_xlim(0, top * 1.1)
        axis.set_xlabel("bits per pixel")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    visible = [y for line in left.lines for x, y in line.get_xydata() if x <= top * 1.1]
    if visible:
        left.set_ylim(min(visible) - 0.5, max(visible) + 0.5)
    if similar:
        axes[0][1].set_ylim(0.85, 1.0)
    left.legend(fontsize=8, loc="lower right")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
