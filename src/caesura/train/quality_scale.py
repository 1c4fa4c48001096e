"""Measure a bundle's quality scale: equal quality, equal mean SSIMULACRA 2, whatever the bundle.

    python -m caesura.train.quality_scale BUNDLE PHOTOS [--reference photo-psnr] [--pictures 24]

Photographs that training holds out, cut to 768 x 512 in the middle, are coded with the reference at some
qualities and with the bundle at places along its own scale, its ladder and the detail layer above; the place
of a quality is where the means agree. It goes into the bundle's manifest, and a table of both bundles is
printed. The bundle's id stays: files hold places. For the reference itself there is only the table.
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
from caesura.bench import quality as measures
from caesura.models import bundle as models
from caesura.models.bundle import Bundle
from caesura.models.ladder import LADDER_QUALITY
from caesura.train import coded
from caesura.train.bundle_files import amend
from caesura.train.coded import Pixels

QUALITIES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, LADDER_QUALITY, 86.0)
_TOP = 100.0  # where the detail layer ends, with every bundle
_ON_LADDER, _ABOVE = 12, 4  # places that are measured
_LEAST_SLOPE = 0.05  # of the place by the quality

Pairs = list[tuple[float, float]]


class Look(NamedTuple):
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
    reference, bundle = models.load(arguments.reference), models.load(arguments.bundle)
    shown = (*QUALITIES, _TOP)
    looks = {reference.name: measure(pictures, reference, shown)}
    if bundle.id != reference.id:
        wanted = [look.ssimulacra2 for look in looks[reference.name][: len(QUALITIES)]]
        places = to_measure(bundle.ladder_top / 100)
        found = [look.ssimulacra2 for look in measure(pictures, coded.on_own_scale(bundle), places)]
        scale = pairs(wanted, list(zip(found, places, strict=True)))
        amend(arguments.bundle, quality_scale=scale)
        looks = {bundle.name: measure(pictures, models.load(arguments.bundle), shown)} | looks
    print(table(shown, looks, len(pictures)))


def measure(pictures: list[Pixels], bundle: Bundle, qualities: Sequence[float]) -> list[Look]:
    """How pictures look at each quality, uint8 (H, W, 3) each."""
    files = [
        list(coded.code(pictures, bundle, quality))
        for quality in track(qualities, bundle.name, transient=True)
    ]
    found = [
        [_look(picture, one) for one in of_picture]  # a picture's in a row: half of the measure is kept
        for picture, of_picture in zip(pictures, zip(*files, strict=True), strict=True)
    ]
    means = np.mean(found, axis=0)
    return [Look(*map(float, row)) for row in means]


def to_measure(top: float) -> list[float]:
    """Places on a bundle's own scale, rising: along its ladder, which ends at `top`, and the detail layer."""
    ladder = np.linspace(1, top, _ON_LADDER)
    above = np.linspace(top, _TOP, _ABOVE + 1)[1:] if top < _TOP else ladder[:0]
    return [round(float(place), 2) for place in (*ladder, *above)]


def pairs(wanted: Sequence[float], found: Pairs) -> list[list[float]]:
    """Pairs of quality and place for a manifest, both rising.

    Args:
        wanted: what the measure is to be at each of `QUALITIES`, rising.
        found: pairs of the measure and the place that it was found at.

    Returns:
        A pair for each of `QUALITIES`: where the bundle does not reach what is wanted, the nearest place that
        leaves room for the other qualities; and 100 at 100.
    """
    measures_found, places_found = zip(*sorted(found), strict=True)
    places = [float(np.interp(value, measures_found, places_found)) for value in wanted]
    steps = [_LEAST_SLOPE * (after - before) for before, after in itertools.pairwise((*QUALITIES, _TOP))]
    places[0] = max(1.0, min(places[0], _TOP - sum(steps)))
    for n, step in enumerate(steps[:-1]):
        room = sum(steps[n + 1 :])
        places[n + 1] = min(max(places[n + 1], places[n] + step), _TOP - room)
    rounded = [[quality, round(place, 2)] for quality, place in zip(QUALITIES, places, strict=True)]
    return [*rounded, [_TOP, _TOP]]


def table(qualities: Sequence[float], looks: dict[str, list[Look]], pictures: int) -> str:
    """A Markdown table of what to expect of each bundle."""
    heads = [f"`{name}`: bpp | SSIMULACRA 2 | PSNR (dB)" for name in looks]
    lines = [f"Means over {pictures} photographs:", "", f"| quality | {' | '.join(heads)} |"]
    lines.append("|---" * (1 + 3 * len(looks)) + "|")
    for quality, *row in zip(qualities, *looks.values(), strict=True):
        cells = [f"{look.bits:.3f} | {look.ssimulacra2:.1f} | {look.psnr:.2f}" for look in row]
        lines.append(f"| {quality:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _look(picture: Pixels, one: coded.Coded) -> Look:
    found = measures.measure(picture, one.pixels)
    assert found.ssimulacra2 is not None
    assert found.psnr is not None  # photographs are not coded without loss
    return Look(one.bits, found.ssimulacra2, found.psnr)


if __name__ == "__main__":
    main()
