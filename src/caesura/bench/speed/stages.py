"""Where a call's time goes: transform, entropy, container, and the rest.

The product has no timers: while `measured` is entered, the functions that each stage is made of are wrapped,
and put back when it is left. All work then runs in the caller's thread (CAESURA_THREADS is 1), since times of
threads that run side by side add up to no whole.
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
from caesura.picture import metadata
from caesura.runtime import transform

STAGES = TRANSFORM, ENTROPY, CONTAINER, REST = ("transform", "entropy", "container", "rest")

# What each stage is made of, by owner and name. Owners look these up when they call.
_MADE_OF: dict[str, tuple[tuple[Any, str], ...]] = {
    # Loading, running and copying in and out of ONNX graphs; the detail layer's DCT, above the ladder's top.
    TRANSFORM: ((transform, "_run"), (detail, "forward"), (detail, "backward")),
    # Table indices, rounding to symbols, and the coder.
    ENTROPY: (
        *((control.Indices, name) for name in ("__init__", "of", "learn")),
        *((rounding, name) for name in ("nearest", "optimised")),
        (detail, "quantize"),
        *((grouped, name) for name in ("push_passes", "pop_pass")),
        *((factorized, name) for name in ("push", "pop")),
        *((coder.Pusher, "bytes"), (coder.Popper, "__init__"), (coder.Popper, "finish")),
    ),
    # Parsing and putting together, checksums, metadata.
    CONTAINER: (
        *((container, name) for name in ("read", "read_header", "write")),
        *((metadata, name) for name in ("of_image", "to_info")),
    ),
}


class Clock:
    """Seconds by stage: time within a stage that another is called from is the other's alone.

    Attributes:
        seconds: by stage, so far.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._stage, self._since = REST, time.perf_counter()

    def switch(self, stage: str) -> str:
        """Go on in a stage; gives the one before."""
        now, before = time.perf_counter(), self._stage
        self.seconds[before] += now - self._since
        self._stage, self._since = stage, now
        return before


@contextmanager
def measured() -> Iterator[Clock]:
    """A clock of what runs within, in one thread; not for two at once."""
    clock = Clock()
    with codec_threads(1), _wrapped(clock):
        clock.switch(REST)
        clock.seconds = dict.fromkeys(STAGES, 0.0)  # wrapping is no part of it
        try:
            yield clock
        finally:
            clock.switch(REST)


@contextmanager
def _wrapped(clock: Clock) -> Iterator[None]:
    kept = [(owner, name, getattr(owner, name)) for made in _MADE_OF.values() for owner, name in made]
    try:
        for stage, made in _MADE_OF.items():
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
