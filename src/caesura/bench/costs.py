"""What a codec costs besides time, each figure of a process of its own."""

from __future__ import annotations

import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from caesura.bench.codecs import Codec, Pixels
from caesura.bench.schema import Cost
from caesura.errors import CaesuraError

_STARTS = 3


class ChildError(CaesuraError):
    """A process that measures ended without a result."""


def measure(codec: Codec, pixels: Pixels, tiny: Pixels) -> Cost:
    """Peak memory of coding and of decoding `pixels`, and the time to start with `tiny`, a median of three.

    The setting is the one in the middle of the codec's ladder.

    Raises:
        ChildError: the codec failed.
    """
    setting = codec.settings[len(codec.settings) // 2]
    with tempfile.TemporaryDirectory(prefix="caesura-bench-") as folder:
        original, small, coded = (Path(folder) / name for name in ("picture.npy", "tiny.npy", "coded"))
        np.save(original, pixels)
        np.save(small, tiny)
        coded.write_bytes(codec.encode(pixels, setting))
        encode_peak = _child("encode", codec, setting, original)
        decode_peak = _child("decode", codec, setting, coded)
        starts = []
        for _ in range(_STARTS):
            started = time.perf_counter()
            again = _child("start", codec, setting, small)
            starts.append(time.perf_counter() - started - 2 * again)
    return Cost(codec.name, encode_peak, decode_peak, max(0.0, statistics.median(starts)))


def _child(task: str, codec: Codec, setting: float, path: Path) -> float:
    command = [sys.executable, "-m", "caesura.bench.costs", task, str(setting), str(path)]
    done = subprocess.run(command, check=False, input=pickle.dumps(codec), capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ChildError(
            f"{codec.name}: {task} in a process of its own failed: {said[-1] if said else 'killed'}"
        )
    return float(done.stdout)


def _main(task: str, setting: float, path: Path) -> None:
    """In the child: print MiB, or for "start" the seconds that coding and decoding take the second time."""
    codec: Codec = pickle.load(sys.stdin.buffer)
    if task == "encode":
        codec.encode(np.load(path), setting)
        print(_peak())
    elif task == "decode":
        codec.decode(path.read_bytes())
        print(_peak())
    else:
        pixels = np.load(path)
        seconds = 0.0
        for _ in range(2):
            started = time.perf_counter()
            codec.decode(codec.encode(pixels, setting))
            seconds = time.perf_counter() - started
        print(seconds)


def _peak() -> float:
    """Peak MiB of this process, or of the largest command it ran."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():  # the figure above starts with the memory of the process that started this one
        own = next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    return max(own, children) / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    _main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
