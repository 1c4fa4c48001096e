"""Measure the quality scale of a bundle: at one quality, all bundles have the same mean SSIMULACRA 2.

    python -m caesura.train.quality_scale BUNDLE PHOTOS [--reference photo-psnr] [--pictures 24]

The middles, 768 x 512, of photographs that are held out of training are coded with the reference at several
qualities, and with the bundle at several ladder positions, the detail layer included. The ladder position of
a quality is that at which the means are equal. The pairs are written to the bundle's manifest, and a table of
both bundles is printed. The bundle's id does not change: files hold ladder positions. For the reference only
the table is printed.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.progress import track

from caesura import extras
from caesura.models.bundle import Bundle, load
from caesura.models.ladder import LADDER_QUALITY
from caesura.train import coded
from caesura.train.bundle_files import amend
from caesura.train.coded import Pixels

QUALITIES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, LADDER_QUALITY, 86.0)
_TOP = 100.0  # end of the detail layer, for every bundle
_ON_LADDER, _ABOVE = 12, 4  # number of ladder positions measured
_LEAST_SLOPE = 0.05  # of the ladder position by the quality

Pairs = list[tuple[float, float]]


class Means(NamedTuple):
    """Means over pictures: bits per pixel, SSIMULACRA 2, and PSNR in dB."""

    bits: float
    ssimulacra2: float
    psnr: float


def main() -> None:
    """Read arguments, measure, write, print a table."""
    parser = argparse.ArgumentParser(prog="python -m caesura.train.quality_scale", description=__doc__)
    parser.add_argument("bundle", type=Path, help="its folder")
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("--reference", default="photo-psnr", help="name or folder of a bundle")
    parser.add_argument("--pictures", type=int, default=24)
    arguments = parser.parse_args()
    extras.need("bench", ("ssimulacra2",))
    pictures = coded.cuts(arguments.photos, held_out=True, most=arguments.pictures)
    reference, bundle = load(arguments.reference), load(arguments.bundle)
    shown = (*QUALITIES, _TOP)
    means = {reference.name: measure(pictures, reference, shown)}
    if bundle.id != reference.id:
        wanted = [one.ssimulacra2 for one in means[reference.name][: len(QUALITIES)]]
        positions = positions_to_measure(bundle.ladder_top / 100)
        found = [one.ssimulacra2 for one in measure(pictures, coded.by_ladder_position(bundle), positions)]
        scale = pairs(wanted, list(zip(found, positions, strict=True)))
        amend(arguments.bundle, quality_scale=scale)
        means = {bundle.name: measure(pictures, load(arguments.bundle), shown)} | means
    print(table(shown, means, len(pictures)))


def measure(pictures: list[Pixels], bundle: Bundle, qualities: Sequence[float]) -> list[Means]:
    """Means over pictures, uint8 (H, W, 3) each, at each quality."""
    files = [
        list(coded.code(pictures, bundle, quality))
        for quality in track(qualities, bundle.name, transient=True)
    ]
    found = [
        [_measured(picture, one) for one in of_picture]  # one picture after another: the measure caches it
        for picture, of_picture in zip(pictures, zip(*files, strict=True), strict=True)
    ]
    return [Means(*map(float, row)) for row in np.mean(found, axis=0)]


def positions_to_measure(top: float) -> list[float]:
    """Rising ladder positions: along the ladder, which ends at `top`, and in the detail layer above it."""
    ladder = np.linspace(1, top, _ON_LADDER)
    above = np.linspace(top, _TOP, _ABOVE + 1)[1:] if top < _TOP else ladder[:0]
    return [round(float(position), 2) for position in (*ladder, *above)]


def pairs(wanted: Sequence[float], found: Pairs) -> list[list[float]]:
    """Pairs of quality and ladder position for a manifest, both rising.

    There is a pair for each of `QUALITIES`, and 100 at 100. A quality that the bundle does not reach gets the
    nearest ladder position that leaves room for the other qualities.

    Args:
        wanted: the measure at each of `QUALITIES`, rising.
        found: pairs of the measure and of the ladder position at which it was found.
    """
    measures_found, positions_found = zip(*sorted(found), strict=True)
    positions = [float(np.interp(value, measures_found, positions_found)) for value in wanted]
    steps = [_LEAST_SLOPE * (after - before) for before, after in itertools.pairwise((*QUALITIES, _TOP))]
    positions[0] = max(1.0, min(positions[0], _TOP - sum(steps)))
    for n, step in enumerate(steps[:-1]):
        room = sum(steps[n + 1 :])
        positions[n + 1] = min(max(positions[n + 1], positions[n] + step), _TOP - room)
    rounded = [[quality, round(position, 2)] for quality, position in zip(QUALITIES, positions, strict=True)]
    return [*rounded, [_TOP, _TOP]]


def table(qualities: Sequence[float], means: dict[str, list[Means]], pictures: int) -> str:
    """A Markdown table of the means of each bundle at each quality."""
    heads = [f"`{name}`: bpp | SSIMULACRA 2 | PSNR (dB)" for name in means]
    lines = [f"Means over {pictures} photographs:", "", f"| quality | {' | '.join(heads)} |"]
    lines.append("|---" * (1 + 3 * len(means)) + "|")
    for quality, *row in zip(qualities, *means.values(), strict=True):
        cells = [f"{one.bits:.3f} | {one.ssimulacra2:.1f} | {one.psnr:.2f}" for one in row]
        lines.append(f"| {quality:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _measured(picture: Pixels, one: coded.Coded) -> Means:
    from caesura.bench import quality  # of another extra

    found = quality.measure(picture, one.pixels)
    assert found.ssimulacra2 is not None
    assert found.psnr is not None  # photographs are not coded without loss
    return Means(one.bits, found.ssimulacra2, found.psnr)


if __name__ == "__main__":
    main()
