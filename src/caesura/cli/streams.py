"""stdin, stdout and stderr, which may be closed or full."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

_MODES = os.O_WRONLY, os.O_RDONLY, os.O_WRONLY


def open_closed() -> None:
    """Open what was closed when the process began, so that no file of ours takes its number.

    stdin and stdout are opened the wrong way around: reading and writing fail, as they should. stderr becomes
    /dev/null, for nobody is left to be told.
    """
    for number, mode in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, mode) != number:  # the lowest that is free
                return
    if sys.stdin is None:
        sys.stdin = os.fdopen(0)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def silence(stream: Any) -> None:
    """Lead what is still written to a stream, also when the process ends, to nowhere."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a number is a caller's own
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def complain(text: str) -> None:
    """A line on stderr, if anybody reads it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)
