"""The pages of a benchmark: index.html and a page for each picture, from results.json and samples/.

    python -m caesura.bench.html FOLDER

Every page is one file with its style, script, plots and pictures, and needs no network. Plots and tables are
drawn here, so that they show without JavaScript, which adds tooltips, sorting and choices.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError

from caesura.bench import drawn_page, machine, plot, quality, samples
from caesura.bench.formatting import count, figure, setting, signed, span
from caesura.bench.plot import Style
from caesura.bench.schema import FORMAT
from caesura.errors import ConfigError
from caesura.picture import files

_VARIANT = re.compile(r",|\s+(?:speed|effort|method|preset|level|\d:\d:\d)\b")


@dataclass(frozen=True)
class Metric:
    """A quality metric: its key in results.json, name, unit, and the number of decimals shown."""

    key: str
    name: str
    unit: str = ""
    digits: int = 2

    @property
    def axis(self) -> str:
        """Label of an axis: name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


METRICS = (
    Metric("psnr", "PSNR", "dB"),
    Metric("psnr_luma", "luma PSNR", "dB"),
    Metric("ms_ssim_db", "MS-SSIM", "dB"),
    Metric("ssimulacra2", "SSIMULACRA 2"),
    Metric("psnr_hvs_m", "PSNR-HVS-M", "dB"),
    Metric("cvvdp", "CVVDP", "JOD", 3),
)
MEAN_MSE = Metric("psnr_of_mean_mse", "PSNR of mean MSE", "dB")
_RATE = "bits per pixel"


def main() -> None:
    """Parse arguments and write the pages."""
    parser = argparse.ArgumentParser(prog="python -m caesura.bench.html", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of results.json")
    print(write(parser.parse_args().folder))


def write(folder: Path) -> Path:
    """Write `folder`/index.html and `folder`/pictures/, replacing existing files.

    Args:
        folder: holds results.json of format caesura-bench-1, and samples/.

    Returns:
        The path of index.html.

    Raises:
        ConfigError: results.json or a sample cannot be used.
        FileError: a page cannot be written.
    """
    results = read(folder / "results.json")
    try:
        pages = render(results, folder)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, UndefinedError) as error:
        raise ConfigError(f"{folder / 'results.json'} is not a complete {FORMAT}: {error!r}") from error
    for name, page in pages.items():  # index.html is written last, after the pages that it links to
        files.write(folder / name, page.encode(), force=True)
    return folder / "index.html"


def read(path: Path) -> dict[str, Any]:
    """The content of results.json.

    Raises:
        ConfigError: it cannot be read, or is of another format.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not the results of a benchmark: {error}") from error
    found = results.get("format") if isinstance(results, dict) else None
    if found != FORMAT:
        raise ConfigError(f"{path} has format {found!r}; {FORMAT!r} is allowed")
    return dict(results)


def render(results: dict[str, Any], folder: Path) -> dict[str, str]:
    """All pages, by path below `folder`; index.html is last."""
    environment = _environment()
    drawn = results.get("drawn") or {"pictures": [], "codecs": [], "points": [], "samples": []}
    styles = make_styles(results)
    names = page_names([picture["name"] for picture in (*results["pictures"], *drawn["pictures"])])
    ours = next((codec["name"] for codec in (*results["codecs"], *drawn["codecs"]) if codec["ours"]), None)
    bd = {(entry["codec"], entry["anchor"], entry["metric"]): entry for entry in results["bd"]}
    metrics = [
        metric
        for metric in METRICS
        if any(
            sample.get(metric.key) is not None for curve in results["curves"] for sample in curve["samples"]
        )
    ]
    shared = {
        "results": results,
        "styles": styles,
        "names": names,
        "ours": ours,
        "timed": results.get("timed", True),  # older results lack it
        "busy": machine.load_text(results.get("others"), results["machine"]["cores"]),
    }
    pages = {}
    for measured in (results, {**drawn, "published": []}):
        of_these = shared | {"styles": make_styles(measured)}
        for name, variables in picture_variables(measured, folder, of_these["styles"]):
            page = environment.get_template("picture.html").render(of_these, **variables)
            pages[f"pictures/{names[name]}"] = page
    anchors = list(dict.fromkeys(entry["anchor"] for entry in results["bd"]))
    anchor = max(anchors, key=lambda name: sum(known(bd, c, name) for c in styles), default=None)
    hardest = {metric.key: standing(results, bd, ours, metric.key) for metric in metrics}
    strongest = hardest.get("psnr", [])
    families = list(dict.fromkeys(family(name) for names in hardest.values() for name in names))
    rivals = list(dict.fromkeys(name for names in hardest.values() for name in names))
    pages["index.html"] = environment.get_template("index.html").render(
        shared,
        metrics=metrics,
        absent=[metric.name for metric in METRICS if metric not in metrics],
        sentence=sentence(bd, ours, strongest),
        standing=sorted(rivals, key=lambda name: families.index(family(name))),
        hardest=hardest,
        bd=bd,
        plots=curve_plots(results, metrics, styles),
        anchors=anchors,
        anchor=anchor,
        drawn=drawn_page.tables(results),
        rows={name: table(results, name, bd, metrics) for name in anchors},
        scatters={
            (name, metric.key): scatters(results, bd, name, metric, styles, (i, j))
            for i, name in enumerate(anchors)
            for j, metric in enumerate(metrics)
        },
    )
    return pages


@functools.cache
def _environment() -> Environment:
    """The templates; compiling them takes a third of a second."""
    environment = Environment(
        loader=PackageLoader("caesura.bench", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "signed": signed,
        "figure": figure,
        "span": span,
        "count": count,
        "setting": setting,
    }
    return environment


def make_styles(results: dict[str, Any]) -> dict[str, Style]:
    """A style for each codec: a colour for each family, the first for ours; published curves are grey."""
    styles: dict[str, Style] = {}
    families: dict[str, list[str]] = {}
    first = True
    for codec in results["codecs"]:
        name = codec["name"]
        group = families.setdefault("" if codec["ours"] else family(name), [])
        group.append(name)
        if codec["ours"]:
            colour, weight, first = 0, "first" if first else "ours", False
        else:
            others = [entry for entry in families if entry]
            colour, weight = 1 + others.index(family(name)) % 7, "other"
        marker = plot.MARKERS[(colour + len(group) - 1) % len(plot.MARKERS)]
        styles[name] = Style(len(styles), name, colour, marker, weight)
    for number, entry in enumerate(results["published"]):
        marker = plot.MARKERS[number % len(plot.MARKERS)]
        key = f"{entry['name']} (published)"
        styles[key] = Style(len(styles), key, -1, marker, "published")
    return styles


def family(name: str) -> str:
    """A codec's name without its variant: "AVIF" for "AVIF speed 6"."""
    return _VARIANT.split(name)[0]


def page_names(pictures: Sequence[str]) -> dict[str, str]:
    """A file name for each picture's page: valid on every system, and unique."""
    names: dict[str, str] = {}
    for picture in pictures:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(picture).stem or "picture").strip("-") or "picture"
        name, number = stem, 1
        while f"{name}.html".lower() in {other.lower() for other in names.values()}:
            number += 1
            name = f"{stem}-{number}"
        names[picture] = f"{name}.html"
    return names


Entries = dict[tuple[str, str, str], dict[str, Any]]


def known(bd: Entries, codec: str, anchor: str, metric: str = "psnr") -> bool:
    """Whether there is a BD-rate of the two codecs."""
    return bd.get((codec, anchor, metric), {"percent": None})["percent"] is not None


def standing(results: dict[str, Any], bd: Entries, ours: str | None, metric: str = "psnr") -> list[str]:
    """The variant of each other codec that is hardest to beat for our first model, from easy to hard."""
    best: dict[str, str] = {}
    percent: Callable[[str], float] = lambda name: bd[ours or "", name, metric]["percent"]  # noqa: E731
    for codec in results["codecs"]:
        name = codec["name"]
        if ours is not None and not codec["ours"] and known(bd, ours, name, metric):
            best[family(name)] = max(best.get(family(name), name), name, key=percent)
    return sorted(best.values(), key=percent)


def sentence(bd: Entries, ours: str | None, against: Sequence[str]) -> str:
    """A sentence that compares our first model with the given codecs."""
    parts: list[str] = []
    for name in against:
        entry = bd[ours or "", name, "psnr"]
        percent, unit = entry["percent"], " fewer bits than" if not parts else " fewer than"
        low, high = entry["low"], entry["high"]
        if low is not None and high is not None and low <= 0 <= high:
            parts.append(f"about as many{' bits' if not parts else ''} as {name} ({signed(percent)}%)")
        elif percent < 0:
            parts.append(f"{-percent:.1f}%{unit} {name}")
        else:
            parts.append(f"{percent:.1f}%{unit.replace('fewer', 'more')} {name}")
    if not parts:
        return ""
    listed = ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]
    return f"At equal PSNR, {ours} needs {listed}."


def curve_plots(
    results: dict[str, Any], metrics: Sequence[Metric], styles: dict[str, Style]
) -> dict[str, str | None]:
    """Mean curves as SVG by metric, and of the PSNR of the mean MSE."""
    plots = {}
    for metric in (*metrics, MEAN_MSE):
        data = []
        for curve in results["curves"]:
            points = [
                (s["bpp"], s[metric.key], _tooltip(s, metric, s["encode_mps"], s["decode_mps"]))
                for s in curve["samples"]
                if s[metric.key] is not None
            ]
            data.append((styles[curve["codec"]], points))
        if metric.key == "psnr":
            for entry in results["published"]:
                points = [
                    (bpp, db, f"{bpp:.3f} bpp, {db:.2f} dB, {entry['source']}") for bpp, db in entry["points"]
                ]
                data.append((styles[f"{entry['name']} (published)"], points))
        title = f"{metric.axis} over {_RATE}, mean over {count(len(results['pictures']), 'picture')}"
        plots[metric.key] = plot.curves(metric.key, title, _RATE, data)
    return plots


def picture_variables(
    measured: dict[str, Any], folder: Path, styles: dict[str, Style]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each picture its name, and the variables of its page.

    Args:
        measured: holds `pictures`, `points` and `samples` of results.json.
        folder: of samples/.
        styles: of all codecs.
    """
    order = [picture["name"] for picture in measured["pictures"]]
    for number, picture in enumerate(measured["pictures"]):
        yield (
            picture["name"],
            {
                "picture": picture,
                "samples": samples.load(measured, picture["name"], folder, styles),
                "plots": picture_plots(measured, picture["name"], styles),
                "before": order[number - 1] if number else None,
                "after": order[number + 1] if number + 1 < len(order) else None,
            },
        )


def picture_plots(
    results: dict[str, Any], picture: str, styles: dict[str, Style]
) -> list[tuple[Metric, str]]:
    """The curves of a picture as SVG, for every metric that was measured."""
    plots = []
    for metric in METRICS:
        data: dict[str, list[tuple[float, float, str]]] = {}
        for point in results["points"]:
            value = _value(point, metric)
            if point["picture"] == picture and value is not None:
                text = _tooltip({**point, metric.key: value}, metric)
                data.setdefault(point["codec"], []).append((point["bpp"], value, text))
        title = f"{metric.axis} over {_RATE}, {picture}"
        drawn = plot.curves(metric.key, title, _RATE, [(styles[n], p) for n, p in data.items()])
        if drawn is not None:
            plots.append((metric, drawn))
    return plots


def _value(point: dict[str, Any], metric: Metric) -> float | None:
    """The value of a metric at a point; None if it was not measured, or is infinite."""
    if metric.key == "ms_ssim_db":
        similarity = point["ms_ssim"]
        return None if similarity is None else quality.similarity_decibels(similarity)
    value: float | None = point.get(metric.key)  # older results lack it
    return value


def _tooltip(sample: dict[str, Any], metric: Metric, *speeds: float | None) -> str:
    value = f"{sample[metric.key]:.{metric.digits}f} {metric.unit}".rstrip()
    text = f"setting {setting(sample['setting'])}: {sample['bpp']:.3f} bpp, {value}"
    if speeds and None not in speeds:
        text += f"\nencode {speeds[0]:.2f} MP/s, decode {speeds[1]:.2f} MP/s"
    return text


def speed(results: dict[str, Any], codec: str, key: str) -> float | None:
    """Megapixels per second, the median over the settings of a codec; `key` says which."""
    values = [
        sample[key]
        for curve in results["curves"]
        if curve["codec"] == codec
        for sample in curve["samples"]
        if sample[key] is not None
    ]
    return statistics.median(values) if values else None


def scatters(
    results: dict[str, Any],
    bd: Entries,
    anchor: str,
    metric: Metric,
    styles: dict[str, Style],
    number: tuple[int, int],
) -> list[tuple[str, str]]:
    """Title and SVG of BD-rate against `anchor` over encoding speed, and over decoding speed."""
    plots = []
    for key, what in (("encode_mps", "encode"), ("decode_mps", "decode")):
        data = []
        for codec in results["codecs"]:
            name = codec["name"]
            mps = speed(results, name, key)
            percent = 0.0 if name == anchor else bd.get((name, anchor, metric.key), {}).get("percent")
            if mps is not None and percent is not None:
                text = f"{what} {mps:.2f} MP/s, BD-rate {signed(percent)}%"
                data.append((styles[name], mps, percent, text))
        title = f"BD-rate ({metric.name}) against {anchor}, %, over speed to {what}"
        label = f"{what}, megapixels per second"
        drawn = plot.scatter(f"{what}-{number[0]}-{number[1]}", title, label, data)
        if drawn is not None:
            plots.append((title, drawn))
    return plots


def table(
    results: dict[str, Any], anchor: str, bd: Entries, metrics: Sequence[Metric]
) -> list[dict[str, Any]]:
    """Rows of the table of codecs, as variables of page/index.html."""
    costs = {entry["codec"]: entry for entry in results["costs"]}
    rows = []
    for codec in results["codecs"]:
        name = codec["name"]
        cost = costs.get(name, {})
        rows.append(
            {
                "codec": codec,
                "bd": [None if name == anchor else bd.get((name, anchor, m.key)) for m in metrics],
                "anchor": name == anchor,
                "encode": speed(results, name, "encode_mps"),
                "decode": speed(results, name, "decode_mps"),
                "encode_peak": cost.get("encode_peak_mib"),
                "decode_peak": cost.get("decode_peak_mib"),
                "start": cost.get("start_seconds"),
            }
        )
    return rows


if __name__ == "__main__":
    main()
