"""The metric CVVDP (ColorVideoVDP, Mantiuk et al. 2024), computed by a worker process.

The package cvvdp requires torchvision, which requires a matching PyTorch: on Linux a CUDA build of gigabytes
that would replace a CPU build. So it is in no extra: `make cvvdp` builds a virtual environment for it, whose
Python runs cvvdp_worker.py. The processes exchange lines of JSON through pipes:

    this process                                             worker
                                                         <-  {"version": "ColorVideoVDP v0.5.7, ..."}, once
    {"height": H, "width": W}, H x W x 3 bytes of the    ->
    original, as many of the decoded picture
                                                         <-  {"jod": 9.87}
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.errors import CaesuraError, DependencyError

FOLDER = "CAESURA_CVVDP"  # the environment variable that names the environment's folder
_USUAL = ".cvvdp"
_WORKER = Path(__file__).with_name("cvvdp_worker.py")
_LARGEST = 1 << 24  # pixels; each takes about 500 bytes


class MetricError(CaesuraError):
    """The worker process of a metric ended, or its answer cannot be read."""


def command() -> list[str]:
    """The command that starts the worker: the Python of the metric's environment, and the script.

    The environment is the folder that CAESURA_CVVDP names, by default `.cvvdp` in the working directory.

    Raises:
        DependencyError: there is no such environment.
    """
    folder = Path(os.environ.get(FOLDER) or _USUAL)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.is_file():
        raise DependencyError(
            f"cvvdp is not built in {folder}; make cvvdp builds it, {FOLDER} names its folder"
        )
    return [str(python), "-I", str(_WORKER)]


class Cvvdp:
    """A running worker, and a context manager that ends it. Calls of several threads wait for each other.

    Args:
        arguments: the command that starts it, see `command`.

    Attributes:
        version: the metric's version and the display that it assumes.

    Raises:
        MetricError: it did not start.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        self._process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,  # so that Ctrl-C reaches the benchmark alone, which ends it
        )
        try:
            self.version = str(self._answer("version"))
        except BaseException:
            self.close()
            raise

    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
        """Quality of a decoded picture in JOD: 10 if no difference is visible, falling to below 0.

        Args:
            original, decoded: sRGB, uint8 (H, W, 3), of one shape.

        Returns:
            None where a side is below 8 pixels, or above 2^24 pixels.

        Raises:
            MetricError: the worker ended.
        """
        height, width, _ = original.shape
        if min(height, width) < 8 or height * width > _LARGEST:
            return None
        size = json.dumps({"height": height, "width": width}).encode() + b"\n"
        with self._lock:
            pipe = self._process.stdin
            assert pipe is not None
            with contextlib.suppress(OSError):  # the worker has ended, which shows when its answer is read
                pipe.write(size + original.tobytes() + decoded.tobytes())
                pipe.flush()
            return float(self._answer("jod"))

    def close(self) -> None:
        """End the worker."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._stderr.close()

    def __enter__(self) -> Cvvdp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, field: str) -> Any:
        pipe = self._process.stdout
        assert pipe is not None
        line = pipe.readline()
        try:
            return json.loads(line)[field]
        except (ValueError, KeyError, TypeError) as error:
            if line:
                raise MetricError(f"cvvdp: the worker's answer is {line!r}; {field} is allowed") from error
            status = self._process.wait()
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "no output"
            raise MetricError(f"cvvdp: the worker ended with status {status}: {last}") from error
