"""Shared by the tests of the command line: running it, and what it works on."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import cli
from caesura.batch import record
from caesura.models.bundle import DEFAULT

Pixels = NDArray[np.uint8]

# Runs the command line in a process where libraries, separated by commas, cannot be imported.
WITHOUT = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED = sys.argv.pop(1).split(",")
sys.meta_path.insert(0, Blocker())
from caesura.cli import main
main()
"""

# Runs the command line, then says which of the heavy libraries were imported.
IMPORTED = """
import sys
from caesura.cli import main
try:
    main()
finally:
    print(*sorted({"numpy", "onnxruntime", "PIL", "torch"} & set(sys.modules)), file=sys.stderr)
"""


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def run(*arguments: object) -> Outcome:
    """The command line in this process. An exception that it lets through fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["caesura", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
    return Outcome(status, out.getvalue(), err.getvalue())


def process(*arguments: object, program: str | None = None) -> Outcome:
    """`python -m caesura.cli`, or a program that calls it, in a process of its own."""
    start = ["-m", "caesura.cli"] if program is None else ["-c", program]
    command = [sys.executable, *start, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """Processes started meanwhile end at SIGINT, also where whoever runs the tests has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def succeeded(outcome: Outcome) -> str:
    """What a command printed that must have gone well."""
    assert outcome.status == 0, outcome.err
    return outcome.out


def complaint(outcome: Outcome) -> str:
    """The one line on stderr of a command that must have failed with an error of ours."""
    (line,) = outcome.err.splitlines()
    assert outcome.status == 1
    assert line.startswith("caesura: ")
    return line


def drawn(height: int, width: int) -> Pixels:
    """uint8 (height, width, 3): a slope, a disc and a bar."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    disc = (y - 0.3) ** 2 + (x - 0.4) ** 2 < 0.04
    bar = np.abs(y + x - 0.9) < 0.06
    layers = [200 * x + 30 * disc, 120 + 90 * y - 80 * disc, np.where(bar, 220, 60 + 80 * x * y)]
    return np.stack(layers, axis=2).astype(np.uint8)


def coded(path: Path, pixels: Pixels, quality: float = 60, model: str = DEFAULT) -> Path:
    """A .cae file."""
    path.write_bytes(caesura.encode(pixels, quality=quality, model=model))
    return path


def opened(path: Path) -> Pixels:
    """A picture file's pixels."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder tree, hidden files too, but for the record of what was made."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != record.NAME)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def strict_json(text: str) -> Any:
    """Parse JSON as its specification has it: Python alone knows Infinity and NaN."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)
