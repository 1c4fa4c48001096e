"""Work for worker processes, in a module that they import quickly."""

from __future__ import annotations

import os
import signal

from caesura.batch.report import Outcome
from caesura.batch.tasks import Task


def fragile(task: Task) -> Outcome:
    """Ends the process at some files; says how many threads it may use."""
    if task.source.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.source.name == "crashed":
        os._exit(3)
    return Outcome(task, summary=os.environ["CAESURA_THREADS"])


def expecting(task: Task) -> Outcome:
    """Says whether its process expects many pictures."""
    from caesura.runtime import choice

    return Outcome(task, summary="many" if choice._many else "one")
