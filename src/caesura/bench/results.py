"""docs/RESULTS.md again, and the figures that bundles carry, everything measured in one run.

python -m caesura.bench.results KODAK [--docs docs] [--work bench-output] [--refined 4]
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.progress import track

from caesura import model as models
from caesura.bench import evaluation, report, speed
from caesura.bench.bd import bd_rate
from caesura.bench.codecs import Caesura
from caesura.image import open_image, to_pixels

_MODELS = ("fast", "fast-ms-ssim", "best", "cae2017")
QUALITIES = (1, 12, 24, 36, 48, 60, 72, 79, 86, 93, 100)
_EFFORTS, _EFFORT_QUALITIES = (1, 5, 9), (20, 40, 60)
_RIVALS = ("WebP method 6", "JPEG XL effort 7", "AVIF speed 6")
_PUBLISHED = ("hm", "vtm")
_CEILING = 37.0  # dB, above which learned codecs tend to stall
_RATE = 2.0  # bits per pixel at which the ceiling is looked for
_KODAK = """## Kodak, whole pictures, real bytes

PSNR over RGB of 8-bit decoded pixels, means of the per-picture values; BD-rate of the mean curves, Akima
interpolation over the overlap. JPEG has optimised Huffman tables, AVIF is 4:4:4. Times are of one run each,
ours on all threads, the others as the libraries come. Qualities that a model does not reach are left out.

![Rate-distortion curves](kodak_rd.png)

"""


def main() -> None:
    """Read arguments, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m caesura.bench.results", description=__doc__)
    parser.add_argument("folder", type=Path, help="the 24 Kodak pictures")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("bench-output"))
    parser.add_argument("--refined", type=int, default=4, help="pictures to show efforts on")
    arguments = parser.parse_args()
    reference = arguments.docs / "kodak_published_rd.json"
    curves = evaluation.run(
        arguments.folder,
        arguments.work,
        models=_MODELS,
        qualities=QUALITIES,
        reference=reference,
    )
    published = report.read_published(reference)
    sections = [
        _head(),
        _bars(curves, published),
        _tuned(curves),
        _KODAK + (arguments.work / "table.md").read_text(),
        _efforts(sorted(arguments.folder.rglob("*.png"))[: arguments.refined]),
        _speed(),
    ]
    (arguments.docs / "RESULTS.md").write_text("\n".join(sections))
    (arguments.docs / "kodak_rd.png").write_bytes((arguments.work / "rd.png").read_bytes())
    for name in _MODELS:
        _write_figures(name, curves)


def _head() -> str:
    bundles = ", ".join(f"`{name}` (`{models.load(name).id:08x}`)" for name in _MODELS)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "pillow", "imagecodecs"))
    machine = f"{speed.processors()} processors ({platform.machine()}, {platform.system()})"
    text = (
        f"Every figure on this page comes from one run of that command. caesura {version('caesura')}, "
        f"bundles {bundles}; "
        f"{machine}, Python {platform.python_version()}, {libraries}. "
        "The 24 Kodak pictures are not part of this project."
    )
    return "# Results\n\n    make results KODAK=folder\n\n" + textwrap.fill(text, 118) + "\n"


def _bars(curves: Sequence[report.Curve], published: Sequence[report.Published]) -> str:
    ours = curves[0].psnr_points()
    others = {curve.codec: curve.psnr_points() for curve in curves}
    others |= {f"{entry.name} (published)": list(entry.points) for entry in published}
    lines = [f"| {curves[0].codec} | |", "|---|---|"]
    for name in (*_RIVALS, *(f"{name} (published)" for name in _PUBLISHED)):
        difference = bd_rate(others[name], ours)
        lines.append(f"| BD-rate (PSNR) against {name} | {report.percent(difference)} |")
    rates, qualities = zip(*sorted(ours), strict=True)
    lines.append(f"| PSNR at {_RATE:g} bits per pixel | {np.interp(_RATE, rates, qualities):.2f} dB |")
    lines.append(f"| PSNR at quality 100 | {qualities[-1]:.2f} dB, {rates[-1]:.2f} bpp |")
    better = bd_rate(ours, others["caesura best"])
    lines.append(f"| BD-rate (PSNR) of best against {_MODELS[0]} | {report.percent(better)} |")
    for name in ("JPEG 4:2:0", "WebP method 6"):
        ratios = [
            f"{np.interp(quality, qualities, rates) / rate:.2f} at {quality:.1f} dB"
            for rate, quality in sorted(others[name])
            if _CEILING < quality <= qualities[-1]
        ]
        lines.append(f"| our bytes over those of {name} at equal PSNR | {', '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def _write_figures(name: str, curves: Sequence[report.Curve]) -> None:
    """Put what `caesura models` shows of a model's quality into its manifest, which is no part of its id."""
    of = {curve.codec: curve.psnr_points() for curve in curves}
    ours = sorted(of[f"caesura {name}"])
    (first, lowest), (last, highest) = ours[0], ours[-1]
    figures = {
        "Kodak": f"{first:.3f} to {last:.2f} bits per pixel, {lowest:.1f} to {highest:.1f} dB",
        "BD-rate (PSNR)": ", ".join(
            f"{report.percent(bd_rate(of[other], ours))} against {other}"
            for other in ("JPEG 4:2:0", *_RIVALS)
        ),
    }
    (folder,) = (folder for folder, model_id in models.known() if model_id == models.load(name).id)
    path = folder / models.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"figures": figures}, indent=1) + "\n")


def _tuned(curves: Sequence[report.Curve]) -> str:
    """What tuning for MS-SSIM gives: BD-rate over -10 log10(1 - MS-SSIM)."""
    of = {curve.codec: [(bpp, _decibels(value)) for bpp, value in curve.ms_ssim_points()] for curve in curves}
    tuned = f"caesura {_MODELS[1]}"
    lines = [f"| {tuned} | BD-rate (MS-SSIM) |", "|---|---|"]
    lines += [
        f"| against {name} | {report.percent(bd_rate(of[name], of[tuned]))} |"
        for name in (f"caesura {_MODELS[0]}", "JPEG 4:2:0", *_RIVALS)
    ]
    return "\n".join(lines) + "\n"


def _decibels(similarity: float) -> float:
    return -10 * math.log10(1 - similarity)


def _efforts(paths: Sequence[Path]) -> str:
    """Rate, quality and time at each effort, and BD-rate against the first."""
    lines = [
        "## Encoder effort\n",
        f"Kodak: {', '.join(path.stem for path in paths)}.\n",
        "| effort | quality | bpp | PSNR (dB) | encode (s) | BD-rate against effort 1 |",
        "|---|---|---|---|---|---|",
    ]
    base: list[tuple[float, float]] = []
    for effort in track(_EFFORTS, "efforts"):
        coder = Caesura("fast", _EFFORT_QUALITIES, effort)
        pictures = ((path.name, np.asarray(to_pixels(open_image(path)))) for path in paths)
        points = [p for name, pixels in pictures for p in evaluation.measure([coder], pixels, name)]
        (curve,) = report.mean_curves(points)
        base = base or curve.psnr_points()
        saved = report.percent(bd_rate(base, curve.psnr_points()))
        lines += [
            f"| {effort} | {s.setting:g} | {s.bpp:.4f} | {s.psnr:.2f} | {s.encode_seconds:.2f} | {saved} |"
            for s in curve.samples
        ]
    return "\n".join(lines) + "\n"


def _speed() -> str:
    lines = ["## Speed and memory\n", "| | | median of |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in track(speed.rows(), "speed")]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
