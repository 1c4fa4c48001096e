"""The optional metrics of `--metrics`, besides those that are always measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
from numpy.typing import NDArray

from caesura.bench import cvvdp, quality
from caesura.errors import ConfigError

Measures = dict[str, Callable[[NDArray[np.uint8], NDArray[np.uint8]], float | None]]
NAMES = ("psnr-hvs-m", "cvvdp")


def choose(wanted: str) -> tuple[str, ...]:
    """The metrics named in a comma-separated list, in the order of `NAMES`.

    Raises:
        ConfigError: a name is not in `NAMES`.
    """
    parts = [part.strip().lower() for part in wanted.split(",") if part.strip()]
    for part in parts:
        if part not in NAMES:
            raise ConfigError(f"metrics has {part!r}; {' and '.join(NAMES)} are allowed, separated by commas")
    return tuple(name for name in NAMES if name in parts)


@contextmanager
def opened(names: Sequence[str]) -> Iterator[Measures]:
    """Functions of (original, decoded), by the fields of `quality.Quality` that they compute.

    Raises:
        DependencyError: a metric is not installed.
        MetricError: CVVDP's worker did not start.
    """
    measures: Measures = {}
    with ExitStack() as stack:
        if "psnr-hvs-m" in names:
            quality.need_psnr_hvsm()
            measures["psnr_hvs_m"] = quality.psnr_hvs_m
        if "cvvdp" in names:
            measures["cvvdp"] = stack.enter_context(cvvdp.Cvvdp(cvvdp.command()))
        yield measures
