"""Results as CSV files, tables and a plot; published curves."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.table import Table

from caesura.bench import machine
from caesura.bench.schema import Curve, Difference, Equal, Point, Published, Results, Sample
from caesura.errors import ConfigError

_METRICS = {  # metrics of BD-rates: name in Markdown tables, and in the terminal's table
    "psnr": ("PSNR", "PSNR"),
    "psnr_luma": ("PSNR of luma", None),
    "ms_ssim_db": ("MS-SSIM (dB)", "MS-SSIM"),
    "ssimulacra2": ("SSIMULACRA 2", "SSIMU2"),
    "psnr_hvs_m": ("PSNR-HVS-M", "HVS-M"),
    "cvvdp": ("CVVDP", "CVVDP"),
}
_QUALITIES = {  # metrics of mean curves: name in Markdown tables, and number of decimals
    "psnr": ("PSNR (dB)", 3),
    "psnr_of_mean_mse": ("of mean MSE (dB)", 3),
    "psnr_luma": ("luma (dB)", 3),
    "ms_ssim": ("MS-SSIM", 5),
    "ms_ssim_db": ("MS-SSIM (dB)", 2),
    "ssimulacra2": ("SSIMULACRA 2", 1),
    "psnr_hvs_m": ("PSNR-HVS-M (dB)", 2),
    "cvvdp": ("CVVDP (JOD)", 3),
}
_SPEEDS = ("encode_mps", "decode_mps")


def read_published(path: Path) -> list[Published]:
    """Read published curves: JSON as {name: {"source": ..., "points": [{"bpp": ..., "psnr": ...}]}}.

    Raises:
        ConfigError: the file cannot be read, or has another form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        curves = [
            Published(
                name,
                str(entry["source"]),
                [(float(p["bpp"]), float(p["psnr"])) for p in entry["points"]],
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


def csv_files(results: Results) -> dict[str, str]:
    """The text of points.csv, curves.csv and bd.csv, by name.

    In bd.csv a BD-rate has a line for the mean curve, whose picture is empty, and a line for each picture.
    With drawn pictures there are drawn_points.csv and drawn.csv too; there a line without SSIMULACRA 2 is
    that of a file without loss.
    """
    curves = [{"codec": curve.codec} | asdict(sample) for curve in results.curves for sample in curve.samples]
    rates = [row for difference in results.bd for row in _rows(difference)]
    drawn = {}
    if results.drawn:
        drawn = {
            "drawn_points.csv": _csv(
                [field.name for field in fields(Point)], map(asdict, results.drawn.points)
            ),
            "drawn.csv": _csv([field.name for field in fields(Equal)], map(asdict, results.drawn.equal)),
        }
    return {
        "points.csv": _csv([field.name for field in fields(Point)], map(asdict, results.points)),
        "curves.csv": _csv(["codec", *(field.name for field in fields(Sample))], curves),
        "bd.csv": _csv(
            ["codec", "anchor", "metric", "picture", "percent", "low", "high", "overlap_low", "overlap_high"],
            rates,
        ),
    } | drawn


def summary(results: Results, anchor: str) -> Table:
    """A table for the terminal: BD-rates against the anchor, and megapixels per second of encoder/decoder.

    Metrics that were not measured have no column. Interval and overlap of the PSNR are shown only if there
    are no optional metrics, so that the table fits 80 characters. The caption is the load of the machine.
    """
    extra = [key for key, (_, short) in _METRICS.items() if short and key != "psnr" and _has(results, key)]
    title = f"BD-rate against {anchor}, 95% interval over {len(results.pictures)} pictures"
    busy = machine.load_text(results.others, results.machine.cores) if results.timed else None
    table = Table(title=title, caption=busy, box=None, padding=(0, 1, 0, 0))
    table.add_column("codec", no_wrap=True)
    room = not {"psnr_hvs_m", "cvvdp"}.intersection(extra)
    certainty = ("interval", "dB") if room else ()
    speeds = ("MP/s",) if results.timed else ()
    for name in ("PSNR", *certainty, *(_METRICS[key][1] or key for key in extra), *speeds):
        table.add_column(name, justify="right", no_wrap=True)
    for curve in results.curves:
        rates, *rest = (results.difference(curve.codec, anchor, metric) for metric in ("psnr", *extra))
        table.add_row(
            curve.codec,
            percent(rates.percent) if rates else "",
            *((_interval(rates), _overlap(rates)) if room else ()),
            *(percent(one.percent) if one else "" for one in rest),
            *(["/".join(_short(speed(curve, name)) for name in _SPEEDS)] if results.timed else ()),
        )
    return table


def markdown(results: Results, anchor: str) -> str:
    """Tables of BD-rates of all codecs against the anchor and of ours against all, and of mean curves."""
    first = next(codec.name for codec in results.codecs if codec.ours)
    names = [curve.codec for curve in results.curves]
    lines = _rates(f"codec, against {anchor}", results, [(name, anchor) for name in names])
    against = [(first, name) for name in names if name != first]
    lines += ["", *_rates(f"{first}, against", results, against, column=1)]
    measured = {key: shown for key, shown in _QUALITIES.items() if _has(results, key)}
    titles = ["codec", "setting", "bpp", *(title for title, _ in measured.values())]
    lines += ["", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for curve in results.curves:
        for s in curve.samples:
            qualities = [_number(getattr(s, key), digits) for key, (_, digits) in measured.items()]
            lines.append(f"| {' | '.join([curve.codec, f'{s.setting:g}', f'{s.bpp:.4f}', *qualities])} |")
    return "\n".join(lines) + "\n"


def _rates(title: str, results: Results, pairs: Sequence[tuple[str, str]], column: int = 0) -> list[str]:
    """A table of BD-rates of pairs of codec and anchor; `column` is the one of the pair that names a row."""
    measured = [key for key in _METRICS if _has(results, key)]
    names = " | ".join(_METRICS[key][0] for key in measured)
    lines = [f"| {title} | {names} | overlap (PSNR) |", "|---" * (len(measured) + 2) + "|"]
    for pair in pairs:
        found = [results.difference(*pair, metric) for metric in measured]
        rates = results.difference(*pair, "psnr")
        common = rates.overlap if rates else None
        over = "{:.1f} to {:.1f} dB".format(*common) if common else ""
        lines.append(f"| {pair[column]} | {' | '.join(map(with_interval, found))} | {over} |")
    return lines


def _overlap(difference: Difference | None) -> str:
    return "{:.0f}-{:.0f}".format(*difference.overlap) if difference and difference.overlap else ""


def _has(results: Results, metric: str) -> bool:
    """Whether a metric was measured."""
    return any(curve.points(metric) for curve in results.curves)


def speed(curve: Curve, name: str) -> float:
    """Megapixels per second, the median over the settings, of a run that was timed."""
    return float(statistics.median(getattr(sample, name) for sample in curve.samples))


def percent(difference: float | None) -> str:
    """A BD-rate as text."""
    return "no overlap" if difference is None else f"{difference:+.1f}%"


def with_interval(difference: Difference | None) -> str:
    """A BD-rate with its interval as text."""
    return "" if difference is None else f"{percent(difference.percent)} {_interval(difference)}".strip()


def _interval(difference: Difference | None) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return ""
    return f"({difference.low:+.1f} to {difference.high:+.1f})"


def plot(curves: Sequence[Curve], published: Sequence[Published], path: Path, title: str) -> None:
    """Write a PNG of PSNR, and MS-SSIM if measured, over the rate; published curves are dashed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    similar = any(curve.points("ms_ssim_db") for curve in curves)
    figure, axes = plt.subplots(1, 2 if similar else 1, figsize=(14 if similar else 8, 6.5), squeeze=False)
    left = axes[0][0]
    for number, curve in enumerate(curves):
        ours = curve.codec.startswith("caesura")
        style = {"linewidth": 2.6 if ours else 1.2, "marker": "o", "markersize": 5 if ours else 2.5}
        colour = plt.get_cmap("tab20")(number % 20)
        for axis, metric in zip(axes[0], ("psnr", "ms_ssim_db"), strict=False):
            points = curve.points(metric)
            rates, qualities = [point[0] for point in points], [point[1] for point in points]
            axis.plot(rates, qualities, label=curve.codec, color=colour, **style)
    for number, entry in enumerate(published):
        shade = str(0.25 + 0.5 * number / max(1, len(published)))
        points = sorted(entry.points)
        label = f"{entry.name} (published)"
        left.plot(*zip(*points, strict=True), "--", linewidth=1, color=shade, label=label)
    top = max(sample.bpp for curve in curves for sample in curve.samples if curve.codec == curves[0].codec)
    for axis, label in zip(axes[0], ("PSNR (dB, RGB)", "MS-SSIM (dB)"), strict=False):
        axis.set_xlim(0, top * 1.1)
        axis.set_xlabel("bits per pixel")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    visible = [y for line in left.lines for x, y in line.get_xydata() if x <= top * 1.1]
    if visible:
        left.set_ylim(min(visible) - 0.5, max(visible) + 0.5)
    left.legend(fontsize=7, loc="lower right")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _rows(difference: Difference) -> list[dict[str, Any]]:
    named = {"codec": difference.codec, "anchor": difference.anchor, "metric": difference.metric}
    low, high = difference.overlap or (None, None)
    mean: dict[str, Any] = {
        "percent": difference.percent,
        "low": difference.low,
        "high": difference.high,
        "overlap_low": low,
        "overlap_high": high,
    }
    pictures = [
        {**named, "picture": picture, "percent": value} for picture, value in difference.pictures.items()
    ]
    return [named | mean, *pictures]


def _csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
