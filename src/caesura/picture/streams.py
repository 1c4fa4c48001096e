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
    """Open the standard streams that were closed when the process began.

    Otherwise a file would get the number of a standard stream. stdin is opened for writing and stdout for
    reading, so that using them fails as it should. stderr becomes /dev/null.
    """
    for number, mode in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, mode) != number:  # the lowest free number
                return
    if sys.stdin is None:
        sys.stdin = os.fdopen(0)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def silence(stream: Any) -> None:
    """Redirect a stream to /dev/null, so that flushing it when the process ends raises no error."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file number
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def print_error(text: str) -> None:
    """Print a line on stderr; an error of stderr itself is ignored."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


class Lines:
    """Writer of lines to stdout and stderr, above a progress bar.

    A stream that cannot be written to, since it is closed or full, is not tried again.

    Args:
        bar: the progress bar, if there is one already.
        required: lines on stdout are results; losing one is reported on stderr and sets `lost`.

    Attributes:
        bar: the progress bar; None until one is shown.
        lost: whether a required line could not be written.
    """

    def __init__(self, bar: Progress | None = None, *, required: bool) -> None:
        self.bar, self._required = bar, required
        self._failed: list[TextIO] = []  # streams that cannot be written to
        self.lost = False

    def write(self, text: str, *, err: bool = False) -> None:
        """Write a line to stdout, or to stderr if `err` is set."""
        stream = sys.stderr if err else sys.stdout
        if stream in self._failed:
            return
        encoding = stream.encoding or "utf-8"  # file names may not be text in it
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            if self.bar is not None and self.bar.live.is_started and stream.isatty():
                self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=stream, flush=True)
        except OSError as error:
            silence(stream)
            self._failed.append(stream)
            if self._required and not err:
                self.lost = True
                self.write(f"caesura: stdout: {error.strerror or error}", err=True)
