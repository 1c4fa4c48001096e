"""Peak memory and start-up time of a codec, each measured in a separate process."""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from caesura.bench.codecs import Codec, Pixels
from caesura.bench.memory import peak_mib
from caesura.bench.schema import Cost
from caesura.errors import CaesuraError

_STARTS = 3


class ChildError(CaesuraError):
    """A measuring process ended without a result."""


def measure(codec: Codec, pixels: Pixels, tiny: Pixels) -> Cost:
    """Peak memory of encoding and of decoding `pixels`, and the start-up time with `tiny`.

    The setting is the middle of the codec's ladder; the start-up time is the median of three processes.

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
            warm = _child("start", codec, setting, small)
            starts.append(time.perf_counter() - started - 2 * warm)
    return Cost(codec.name, encode_peak, decode_peak, max(0.0, statistics.median(starts)))


def _child(task: str, codec: Codec, setting: float, path: Path) -> float:
    command = [sys.executable, "-m", "caesura.bench.costs", task, str(setting), str(path)]
    done = subprocess.run(command, check=False, input=pickle.dumps(codec), capture_output=True)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ChildError(
            f"{codec.name}: {task} in a separate process failed: {lines[-1] if lines else 'killed'}"
        )
    return float(done.stdout)


def _main(task: str, setting: float, path: Path) -> None:
    """In the child: print peak MiB, or for "start" the seconds of the second encoding and decoding."""
    codec: Codec = pickle.load(sys.stdin.buffer)
    if task == "encode":
        codec.encode(np.load(path), setting)
        print(peak_mib())
    elif task == "decode":
        codec.decode(path.read_bytes())
        print(peak_mib())
    else:
        pixels = np.load(path)
        seconds = 0.0
        for _ in range(2):
            started = time.perf_counter()
            codec.decode(codec.encode(pixels, setting))
            seconds = time.perf_counter() - started
        print(seconds)


if __name__ == "__main__":
    _main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
