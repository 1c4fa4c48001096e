"""Writes docs/RESULTS.md with its plot, and the figures in the bundles' manifests, from one run.

    python -m benchmarks.results KODAK [--docs docs] [--work bench-output] [--refined 4] [--note TEXT]

It measures rates and qualities, which depend on no machine; `times` measures times. The metric CVVDP has to
be installed with `make cvvdp`. If interrupted, the same command resumes.
"""

from __future__ import annotations

import json
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

import benchmarks
from caesura.bench import curves, measure, optional_metrics, report, run
from caesura.bench.bd_rate import bd_rate
from caesura.bench.cache import Cache
from caesura.bench.caesura_codec import Caesura
from caesura.bench.codecs import AVIF_420, AVIF_IQ, AVIF_PSNR, AVIF_SSIMULACRA2
from caesura.bench.photos import Photo, find
from caesura.bench.schema import Picture, Results
from caesura.models import bundle as bundles
from caesura.models.manifest import MANIFEST
from caesura.picture import files

_LOOKS, _PIXELS = "photo", "photo-psnr"
_MODELS = (_LOOKS, _PIXELS, "cae2017")
_METRICS = {_LOOKS: ("ssimulacra2", "SSIMULACRA 2")}  # of a model's figures, with title; PSNR for others
_EFFORTS, _EFFORT_QUALITIES = (1, 5, 9), (20, 40, 60)
_FORMATS = ("JPEG 4:2:0", "WebP method 6", "JPEG XL effort 7", "JPEG 2000", "HEIC")
_RIVALS = (*_FORMATS, AVIF_PSNR.name)  # at equal PSNR
_PERCEPTUAL_RIVALS = (
    *_FORMATS,
    AVIF_IQ.name,
    AVIF_SSIMULACRA2.name,
    AVIF_420.name,
)  # at equal perception
_TOO_SLOW = ("AVIF speed 4", "JPEG XL effort 9")  # slower settings of codecs that are compared already
_PERCEPTUAL = {
    "ssimulacra2": "SSIMULACRA 2",
    "ms_ssim_db": "MS-SSIM",
    "psnr_hvs_m": "PSNR-HVS-M",
    "cvvdp": "CVVDP",
}
_PUBLISHED = ("hm", "vtm")
_HIGH = 37.0  # dB, above which learned codecs tend to saturate
_RATE = 2.0  # bits per pixel of the PSNR at a high rate
_KODAK = """## Kodak, whole pictures, real bytes

Definitions: [BENCH.md](BENCH.md). BD-rates are of the mean curves, with 95% bootstrap intervals over
pictures. Qualities above a model's highest are left out.

![Rate-distortion curves](kodak_rd.png)

"""


def main() -> None:
    """Parse arguments, measure and write."""
    parser = benchmarks.parser("results", __doc__)
    parser.add_argument("folder", type=Path, help="folder of the 24 Kodak pictures")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of RESULTS.md")
    parser.add_argument("--work", type=Path, default=Path("bench-output"), help="folder of report and cache")
    parser.add_argument("--refined", type=int, default=4, help="number of pictures of the table of efforts")
    parser.add_argument("--note", default="", help="a sentence about this run for the page")
    arguments = parser.parse_args()
    console = Console()
    results = run.bench(
        run.Plan(
            folder=arguments.folder,
            destination=arguments.work,
            models=_MODELS,
            reference=arguments.docs / "kodak_published_rd.json",
            metrics=optional_metrics.NAMES,
            times=False,
            command="make results",
        ),
        console,
    )
    photos = find(arguments.folder, quick=False)[: arguments.refined]
    sections = [
        _head(results, arguments.note),
        _best(results),
        _equal_psnr(results),
        _perceptual(results),
        _KODAK + report.markdown(results, run.ANCHOR),
        _published(results),
        _efforts(photos, arguments.work),
    ]
    arguments.docs.mkdir(parents=True, exist_ok=True)
    files.write(arguments.docs / "RESULTS.md", "\n".join(sections).encode(), force=True)
    title = f"{len(results.pictures)} pictures, means"
    report.plot(results.curves, results.published, arguments.docs / "kodak_rd.png", title)
    for name in _MODELS:
        _write_figures(name, results)


def _head(results: Results, note: str) -> str:
    bundles = ", ".join(f"`{name}` (`{bundles.load(name).id:08x}`)" for name in _MODELS)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "pillow", "imagecodecs"))
    text = (
        f"Every figure on this page comes from one run of that command, {results.made[:10]}. "
        f"caesura {results.caesura}, bundles {bundles}; {libraries}. Times: [SPEED.md](SPEED.md). "
        f"The {len(results.pictures)} Kodak pictures are not part of this project. {note}"
    )
    lines = ["# Results", "", "    make results KODAK=folder", "", textwrap.fill(text, 118), ""]
    lines += ["| codec | version |", "|---|---|"]
    lines += [f"| {codec.name} | {codec.version} |" for codec in results.codecs]
    lines += [f"| {one.name} | not measured: {one.reason} |" for one in results.missing]
    return "\n".join(lines) + "\n"


def _equal_psnr(results: Results) -> str:
    curve_of = {curve.codec: curve.points("psnr") for curve in results.curves}
    first = f"caesura {_PIXELS}"
    ours = curve_of[first]
    lines = [f"| {first} | |", "|---|---|"]
    for name in _RIVALS:
        if name in curve_of:
            difference = report.with_interval(results.difference(first, name))
            lines.append(f"| BD-rate (PSNR) against {name} | {difference} |")
    for entry in results.published:
        if entry.name in _PUBLISHED:
            difference = report.percent(bd_rate(entry.points, ours))
            lines.append(f"| BD-rate (PSNR) against {entry.name} (published) | {difference} |")
    rates, qualities = zip(*sorted(ours), strict=True)
    lines.append(f"| PSNR at {_RATE:g} bits per pixel | {np.interp(_RATE, rates, qualities):.2f} dB |")
    lines.append(f"| PSNR at quality 100 | {qualities[-1]:.2f} dB, {rates[-1]:.2f} bpp |")
    for name in _FORMATS[:2]:
        ratios = [
            f"{np.interp(quality, qualities, rates) / rate:.2f} at {quality:.1f} dB"
            for rate, quality in sorted(curve_of[name])
            if _HIGH < quality <= qualities[-1]
        ]
        lines.append(f"| our bytes over those of {name} at equal PSNR | {', '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def _write_figures(name: str, results: Results) -> None:
    """Write the figures that `caesura models` prints into the manifest, which does not change the id."""
    metric, title = _METRICS.get(name, ("psnr", "PSNR"))
    rivals = _PERCEPTUAL_RIVALS if name in _METRICS else _RIVALS
    decibels, of = (
        {curve.codec: sorted(curve.points(kind)) for curve in results.curves} for kind in ("psnr", metric)
    )
    (first, lowest), *_, (last, highest) = decibels[f"caesura {name}"]
    figures = {
        "Kodak": f"{first:.3f} to {last:.2f} bits per pixel, {lowest:.1f} to {highest:.1f} dB",
        f"BD-rate ({title})": ", ".join(
            f"{report.percent(bd_rate(of[other], of[f'caesura {name}']))} against {other}"
            for other in rivals
            if other in of
        ),
    }
    (folder,) = (folder for folder, model_id in bundles.known() if model_id == bundles.load(name).id)
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"figures": figures}, indent=1) + "\n")


def _best(results: Results) -> str:
    """By each metric, the best of our models against the best other codec, without slower settings."""
    lines = [
        "| at equal | our best model | the best other codec | bits, ours against it |",
        "|---|---|---|---|",
    ]
    others = [curve.codec for curve in results.curves if not curve.codec.startswith(("caesura ", *_TOO_SLOW))]
    for metric, title in {**_PERCEPTUAL, "psnr": "PSNR"}.items():
        found = [
            [one for other in others if (one := results.difference(f"caesura {name}", other, metric))]
            for name in (_LOOKS, _PIXELS)
        ]
        known = [[one for one in row if one.percent is not None] for row in found]
        hardest = [max(row, key=lambda one: one.percent or 0.0) for row in known if row]
        if hardest:
            one = min(hardest, key=lambda one: one.percent or 0.0)
            model = one.codec.removeprefix("caesura ")
            lines.append(f"| {title} | `{model}` | {one.anchor} | {report.with_interval(one)} |")
    return "\n".join(lines) + "\n"


def _perceptual(results: Results) -> str:
    """BD-rates of the model tuned for perceived quality, by every perceptual metric."""
    ours = f"caesura {_LOOKS}"
    lines = ["| " + " | ".join((f"BD-rate of {ours} against", *_PERCEPTUAL.values())) + " |"]
    lines.append("|---" * (1 + len(_PERCEPTUAL)) + "|")
    for name in (f"caesura {_PIXELS}", *_PERCEPTUAL_RIVALS):
        differences = [results.difference(ours, name, metric) for metric in _PERCEPTUAL]
        if any(differences):
            lines.append("| " + " | ".join((name, *map(report.with_interval, differences))) + " |")
    return "\n".join(lines) + "\n"


def _published(results: Results) -> str:
    """BD-rates against published curves, which are others' means over the Kodak pictures."""
    curve_of = {curve.codec: curve.points("psnr") for curve in results.curves}
    lines = [
        f"| published curve | BD-rate (PSNR) against JPEG 4:2:0 | caesura {_PIXELS} against it | source |",
        "|---|---|---|---|",
    ]
    for entry in results.published:
        theirs = report.percent(bd_rate(curve_of["JPEG 4:2:0"], entry.points))
        ours = report.percent(bd_rate(entry.points, curve_of[f"caesura {_PIXELS}"]))
        lines.append(f"| {entry.name} | {theirs} | {ours} | {entry.source} |")
    return "\n".join(lines) + "\n"


def _efforts(photos: list[Photo], work: Path) -> str:
    """Rate and quality at each effort, and BD-rate against the lowest effort."""
    codecs = [Caesura(_PIXELS, _EFFORT_QUALITIES, effort) for effort in _EFFORTS]
    found = measure.points(photos, codecs, None, Cache(work))
    points = list(track(found, "efforts", total=len(photos) * len(_EFFORTS) * len(_EFFORT_QUALITIES)))
    pictures = [Picture(photo.name, photo.sha256, photo.width, photo.height) for photo in photos]
    means = {curve.codec: curve for curve in curves.mean_curves(points, pictures)}
    base = means[codecs[0].name].points("psnr")
    lines = [
        "## Encoder effort\n",
        f"Kodak: {', '.join(photo.path.stem for photo in photos)}.\n",
        "| effort | quality | bpp | PSNR (dB) | BD-rate against effort 1 |",
        "|---|---|---|---|---|",
    ]
    for codec in codecs:
        saved = report.percent(bd_rate(base, means[codec.name].points("psnr")))
        lines += [
            f"| {codec.effort} | {s.setting:g} | {s.bpp:.4f} | {s.psnr:.2f} | {saved} |"
            for s in means[codec.name].samples
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
