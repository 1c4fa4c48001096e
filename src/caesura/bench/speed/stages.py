"""Time of a call by stage: transform, entropy, container, and the rest.

The codec has no timers. Within `measured`, the functions of each stage are wrapped by ones that measure, and
everything runs in the caller's thread (CAESURA_THREADS is 1), since times of parallel threads do not add up.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from caesura.bench.machine import codec_threads
from caesura.coding import detail, rounding
from caesura.entropy import coder, control, factorized, grouped
from caesura.format import container
from caesura.picture import metadata, read_metadata
from caesura.runtime import transform

STAGES = TRANSFORM, ENTROPY, CONTAINER, REST = ("transform", "entropy", "container", "rest")

# The functions of each stage, by owner and name. Callers look them up in the owner at each call.
_FUNCTIONS: dict[str, tuple[tuple[Any, str], ...]] = {
    # Loading, running and copying in and out of ONNX graphs; the detail layer's DCT, above the ladder's top.
    TRANSFORM: ((transform, "_run"), (detail, "forward"), (detail, "backward")),
    # Table indices, rounding to symbols, and the coder.
    ENTROPY: (
        *((control.Indices, name) for name in ("__init__", "index", "update")),
        *((rounding, name) for name in ("nearest", "optimised")),
        (detail, "quantize"),
        *((grouped, name) for name in ("push_passes", "pop_pass")),
        *((factorized, name) for name in ("push", "pop")),
        *((coder.Pusher, "bytes"), (coder.Popper, "__init__"), (coder.Popper, "finish")),
    ),
    # Parsing and writing, checksums, metadata.
    CONTAINER: (
        *((container, name) for name in ("read", "read_header", "write")),
        *((read_metadata, "from_image"), (metadata, "to_info")),
    ),
}


class Clock:
    """Seconds by stage. Time within a nested call counts for the stage of that call alone.

    Attributes:
        seconds: by stage, so far.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._stage, self._since = REST, time.perf_counter()

    def switch(self, stage: str) -> str:
        """Start counting for a stage; returns the previous one."""
        now, before = time.perf_counter(), self._stage
        self.seconds[before] += now - self._since
        self._stage, self._since = stage, now
        return before


@contextmanager
def measured() -> Iterator[Clock]:
    """A clock of the calls within the block. Only one can be used at a time."""
    clock = Clock()
    with codec_threads(1), _wrapped(clock):
        clock.switch(REST)
        clock.seconds = dict.fromkeys(STAGES, 0.0)  # without the time of wrapping
        try:
            yield clock
        finally:
            clock.switch(REST)


@contextmanager
def _wrapped(clock: Clock) -> Iterator[None]:
    kept = [(owner, name, getattr(owner, name)) for made in _FUNCTIONS.values() for owner, name in made]
    try:
        for stage, made in _FUNCTIONS.items():
            for owner, name in made:
                setattr(owner, name, _timed(getattr(owner, name), stage, clock))
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def _timed(function: Callable[..., Any], stage: str, clock: Clock) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        before = clock.switch(stage)
        try:
            return function(*arguments, **named)
        finally:
            clock.switch(before)

    return timed
