"""One picture coded in this process, twice: prints JSON, seconds of each and the most memory in GiB.

    python -m caesura.bench.alone encode|decode FILE MODEL

FILE is an array (.npy) or a .cae. Imports no more than coding needs, so that the memory is coding's.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np

from caesura import codec


def run(direction: str, path: Path, model: str) -> dict[str, float]:
    """Code a file; the first time includes all that is loaded for it."""
    pixels = np.load(path) if direction == "encode" else None
    data = b"" if direction == "encode" else path.read_bytes()
    times = []
    for _ in range(2):
        started = time.perf_counter()
        if pixels is None:
            codec.decode_array(data)
        else:
            codec.encode(pixels, model=model)
        times.append(time.perf_counter() - started)
    return {"first": times[0], "warm": times[1], "peak": _peak()}


def _peak() -> float:
    """GiB; 0 where the system does not tell."""
    with contextlib.suppress(OSError):  # Linux: what getrusage tells there includes the parent's memory
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
