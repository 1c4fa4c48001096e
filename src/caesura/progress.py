"""The progress bar of commands and scripts: text, bar, text, time remaining.

rich is imported where a bar is made: for a single picture it would take as long as the sessions.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def bar(before: str, *after: str, console: Console | None = None, transient: bool = True) -> Progress:
    """A rich `Progress` that has yet to be started.

    Args:
        before: template of the text before the bar, such as "{task.description}" or "{task.fields[step]}".
        after: templates of the texts after the bar, which the time remaining follows.
        console: where the bar is drawn. Without it, on stderr if that is a terminal, and nowhere otherwise;
            what the program prints meanwhile is then left to its own streams.
        transient: remove the bar when it is stopped.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    own = console is None
    return Progress(
        TextColumn(before),
        BarColumn(),
        *map(TextColumn, after),
        TimeRemainingColumn(),
        console=console or Console(stderr=True),
        transient=transient,
        redirect_stdout=not own,
        redirect_stderr=not own,
        disable=own and not sys.stderr.isatty(),
    )
