"""Shared by the tests of the benchmarks: an external codec, and measurements of speed that take less time."""

from __future__ import annotations

import functools

import pytest

from caesura.bench.speed import peak, process

# A program that keeps the upper bits of every sample.
PROGRAM = """
import sys
from PIL import Image

source, target, *q = sys.argv[1:]
if q:
    step = 256 // int(q[0])
    picture = Image.open(source).convert("RGB").point(lambda sample: sample // step * step)
    picture.save(open(target, "wb"), "PNG")
else:
    Image.open(source).save(target)
"""


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Start-up is timed once, and the machine's peak is that of small products."""
    patch.setattr(process, "INFO_REPEATS", 1)
    patch.setattr(peak, "gemm", functools.partial(peak.gemm, side=64, repeats=2))
