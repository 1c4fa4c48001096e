"""Worker processes, which do tasks in parallel.

Processes rather than threads: two thirds of the time of encoding a picture is spent outside the networks,
much of it holding Python's global lock. A process that crashes on a damaged picture, or is killed for its
memory, costs one file and not the run. They are started with "spawn", since forked processes would inherit
the state of threads that do not run in them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import cast

from caesura.batch.report import Outcome
from caesura.batch.tasks import Task
from caesura.picture import files
from caesura.runtime import parallel

Work = Callable[[Task], Outcome]

_GRACE = 2.0  # seconds for a worker to remove its unfinished output


def side_by_side(work: Work, tasks: Sequence[Task], jobs: int) -> Generator[Outcome, None, None]:
    """Yield the outcome of each task, in the order in which they end. Closing the iterator stops the workers.

    Args:
        work: does a task; it is pickled.
        tasks: at least one.
        jobs: largest number of processes; they divide the processor cores among them.
    """
    jobs = min(jobs, len(tasks))
    threads = max(1, parallel.threads() // jobs)
    waiting = deque(tasks)
    busy: dict[Connection, _Worker] = {}

    def next_task(worker: _Worker | None = None) -> None:
        if waiting:
            worker = worker or _Worker(work, threads)
            worker.begin(waiting.popleft())
            busy[worker.connection] = worker

    try:
        for _ in range(jobs):
            next_task()
        while busy:
            for ready in cast(list[Connection], wait(list(busy))):
                outcome = busy[ready].outcome()
                worker = busy.pop(ready)
                next_task(worker if worker.process.is_alive() else None)
                yield outcome
    finally:
        for worker in busy.values():
            worker.process.terminate()
        for worker in busy.values():
            worker.process.join(_GRACE)
            worker.process.kill()


class _Worker:
    """A worker process and its current task."""

    task: Task

    def __init__(self, work: Work, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(work, threads, theirs), daemon=True)
        # Ctrl-C reaches every process of a terminal; a process starts with the ignored signals of its parent.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        theirs.close()  # so that this end is closed when the process ends

    def begin(self, task: Task) -> None:
        self.task = task
        with contextlib.suppress(OSError):  # it has died, which `outcome` reports
            self.connection.send(task)

    def outcome(self) -> Outcome:
        """The outcome of the current task, once it is done."""
        try:
            outcome: Outcome = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            ended = f"its worker process ended with status {self.process.exitcode}"
            return Outcome(self.task, error=f"{files.name(self.task.source)}: {ended}")
        return outcome


def _serve(work: Work, threads: int, connection: Connection) -> None:
    """Do tasks until the connection is closed. Runs in the worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["CAESURA_THREADS"] = str(threads)
    for library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when NumPy and PyTorch are imported
        os.environ.setdefault(library, str(threads))
    from caesura.runtime import choice  # imports NumPy

    choice.expect_many()
    while not _stopping.is_set():
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            outcome = work(task)
        except Exception:
            if _stopping.is_set():  # within an import, SystemExit may become another error
                sys.exit(128 + signal.SIGTERM)
            raise
        with contextlib.suppress(OSError):
            connection.send(outcome)


_stopping = threading.Event()


def _stop(number: int, frame: FrameType | None) -> None:
    _stopping.set()
    sys.exit(128 + number)


def _end_with_parent() -> None:
    """End this process when its parent is killed, which sends no signal."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
