"""stdin, stdout and stderr where they are closed or cannot be written to."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

_MODES = os.O_WRONLY, os.O_RDONLY, os.O_WRONLY


def open_closed() -> None:
    """Open standard streams that are closed at the start, so that no other file gets their descriptors.

    stdin is opened for writing and stdout for reading, so that using them fails; stderr becomes /dev/null.
    """
    for number, mode in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, mode) != number:  # the lowest free descriptor
                return
    if sys.stdin is None:
        sys.stdin = os.fdopen(0)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def silence(stream: Any) -> None:
    """Discard what is written to a stream from now on, also when Python flushes it at exit."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor is not the process's own
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def complain(text: str) -> None:
    """Print a line on stderr; silence stderr if it cannot be written to."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


class Lines:
    """Prints lines on stdout and stderr above a progress bar; a stream that cannot be written to is dropped.

    Args:
        bar: the progress bar.
        owed: lines on stdout are results, so that losing them is an error.
    """

    def __init__(self, bar: Progress, *, owed: bool) -> None:
        self._bar, self._owed = bar, owed
        self._dropped: list[TextIO] = []  # streams that cannot be written to

    def say(self, text: str, *, err: bool = False) -> bool:
        """Print a line; return True if it is the first result that is lost, which is reported on stderr."""
        stream = sys.stderr if err else sys.stdout
        if stream in self._dropped:
            return False
        encoding = stream.encoding or "utf-8"  # file names may have bytes that are not text
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            if self._bar.live.is_started and stream.isatty():
                self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=stream, flush=True)
        except OSError as error:
            silence(stream)
            self._dropped.append(stream)
            if self._owed and not err:
                self.say(f"caesura: stdout: {error.strerror or error}", err=True)
                return True
        return False
