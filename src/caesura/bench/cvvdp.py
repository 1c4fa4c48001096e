"""CVVDP (ColorVideoVDP, Mantiuk et al. 2024), measured by a process in an environment of its own.

The package cvvdp asks for torchvision, and that for a PyTorch that goes with it: on Linux a CUDA build of
gigabytes, which takes the place of a CPU build. So no extra has it. `make cvvdp` builds an environment for
it, whose Python runs cvvdp_worker.py. The two talk through pipes, a line of JSON a message:

    here                                                     worker
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
    """A process that measures a metric ended, or answered something else."""


def command() -> list[str]:
    """What starts the worker: the environment's Python and the script.

    The environment is in the folder that CAESURA_CVVDP names, `.cvvdp` in the working directory without it.

    Raises:
        DependencyError: there is none.
    """
    folder = Path(os.environ.get(FOLDER) or _USUAL)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.is_file():
        raise DependencyError(
            f"cvvdp is not built in {folder}; make cvvdp builds it, {FOLDER} names its folder"
        )
    return [str(python), "-I", str(_WORKER)]


class Cvvdp:
    """A worker that has started. A context manager: it ends with the block.

    Pictures of several threads are measured one after another.

    Args:
        arguments: that start it, see `command`.

    Attributes:
        version: of the metric, and the display it assumes.

    Raises:
        MetricError: it did not start.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._turn = threading.Lock()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        self._process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for the bench, which ends it
        )
        try:
            self.version = str(self._answer("version"))
        except BaseException:
            self.close()
            raise

    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
        """JOD of a decoded picture, 10 where no difference is visible; falling, below 0 for unlike pictures.

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
        with self._turn:
            pipe = self._process.stdin
            assert pipe is not None
            with contextlib.suppress(OSError):  # it has ended, and the answer is missing
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
        self._said.close()

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
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "without a word"
            raise MetricError(f"cvvdp: the worker ended with status {status}: {last}") from error
