"""The machine that measures."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caesura.bench.schema import Machine


def describe() -> Machine:
    """What is known of it."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(_memory() / 2**30, 2),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


@contextmanager
def threads_are(number: int) -> Iterator[None]:
    """CAESURA_THREADS for a while: codecs read it, and processes inherit it."""
    before = os.environ.get("CAESURA_THREADS")
    os.environ["CAESURA_THREADS"] = str(number)
    try:
        yield
    finally:
        if before is None:
            del os.environ["CAESURA_THREADS"]
        else:
            os.environ["CAESURA_THREADS"] = before


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not every system says
        return 0
