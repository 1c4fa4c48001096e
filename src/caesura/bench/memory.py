"""Peak memory of a process."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_mib() -> float:
    """Peak resident memory in MiB of this process, or of its largest child if that is larger.

    0 where the system does not report it.
    """
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    own, children = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, getrusage counts the memory of the process that started this one
        own = next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    return max(own, children) / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere
