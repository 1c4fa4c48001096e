"""stdin, stdout and stderr, which may be closed or full."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

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


class Lines:
    """Lines on stdout and stderr; what cannot be written, since a stream is closed or full, is dropped.

    Args:
        bar: what may be on the terminal; lines go above it.
        owed: lines on stdout are results.
    """

    def __init__(self, bar: Progress, *, owed: bool) -> None:
        self._bar, self._owed = bar, owed
        self._unheard: list[TextIO] = []  # streams that cannot be written to

    def say(self, text: str, *, err: bool = False) -> bool:
        """Write a line; whether the first that is owed is lost, which is told on stderr."""
        stream = sys.stderr if err else sys.stdout
        if stream in self._unheard:
            return False
        encoding = stream.encoding or "utf-8"  # names of files may be of bytes that are no text
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            if self._bar.live.is_started and stream.isatty():
                self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=stream, flush=True)
        except OSError as error:
            silence(stream)
            self._unheard.append(stream)
            if self._owed and not err:
                self.say(f"caesura: stdout: {error.strerror or error}", err=True)
                return True
        return False
