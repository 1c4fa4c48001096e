"""Measurements behind the documentation; each runs as `python -m benchmarks.NAME` from the repository's root.

demo           one photograph coded by caesura, JPEG, WebP and AVIF at the same size (make demo)
results        docs/RESULTS.md: rates and qualities on the Kodak pictures (make results)
times          docs/SPEED.md: speed, memory and start-up, on an idle machine (make speed)
training       training throughput (make bench)
rates          time of decoding small pictures of many rates
targets        time of encoding to a target size or quality
crops          docs/crops.png: crops of photographs coded at the same size
tint           tint of grey pictures that are stored as RGB
jpeg_quality   quality of caesura that keeps what a JPEG of some quality has
coding_loss    size of cae2017 files compared with the model's estimate
loading        reading .cae files in a training loop, compared with JPEG
archive        archives on Ray: time of each stage, memory, predicted cost of larger runs
prepare        memory of `caesura data prepare` by number of photos
web            speed and download sizes of the library for browsers, in Chromium
browser        Chromium and a server of files, for web and tests
pages          draws pages of text, a narrow set of pictures to fine-tune a model on
"""

from __future__ import annotations

import argparse


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The parser of a script's arguments; `description` is the script's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
