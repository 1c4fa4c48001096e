"""How many processors there are for this process."""

from __future__ import annotations

import contextlib
import math
import os
from functools import lru_cache
from pathlib import Path

_CONTROL_GROUP = Path("/sys/fs/cgroup")


def processors() -> int:
    """How many processors this process may use, by its affinity and by the limit of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota())))


@lru_cache(maxsize=1)
def _quota() -> float:
    """Processors that a container's control group grants, infinite without a limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # versions 2 and 1
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            found = " ".join((_CONTROL_GROUP / name).read_text() for name in names)
            quota, period = (float(number) for number in found.replace("max", "inf").split())
            return quota / period if quota > 0 else math.inf
    return math.inf
