"""Codes one picture twice and prints JSON: seconds of each time, and the process's peak memory in GiB.

    python -m caesura.bench.coding_process encode|decode FILE MODEL

FILE is an array (.npy) to encode, or a .cae file to decode. Only what coding needs is imported, so that the
memory is that of coding.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from caesura import codec
from caesura.bench.memory import peak_mib


def run(direction: str, path: Path, model: str) -> dict[str, float]:
    """Seconds of the first coding, which loads the model, and of the second; peak memory in GiB."""
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
    return {"first": times[0], "warm": times[1], "peak": peak_mib() / 2**10}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]), sys.argv[3])))
