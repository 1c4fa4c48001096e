"""Many files, one after another or side by side; a bad one is reported and the rest go on."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
import warnings
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from caesura.cli import files, workers
from caesura.cli.files import STREAM, FileError
from caesura.cli.jobs import Job, Step
from caesura.cli.plan import Plan, Task
from caesura.cli.record import Record
from caesura.cli.report import Manner, Outcome, Report
from caesura.errors import CaesuraError, ConfigError


def run(plan: Plan, job: Job, manner: Manner) -> None:
    """Do every task of a plan.

    Raises:
        ConfigError: JSON and a picture are both to go to stdout.
        FileError: a picture is to go to a terminal.
        typer.Exit: with status 1, if any failed.
    """
    tasks = plan.tasks
    to_stdout = any(task.target == STREAM for task in tasks)
    if to_stdout and manner.as_json:
        raise ConfigError("json goes to stdout, where the picture goes already; -o FILE is needed")
    if to_stdout and sys.stdout.isatty() and not manner.dry_run:
        raise FileError("stdout is a terminal; -o FILE or a redirection is needed")
    todo = [task for task in tasks if not task.skipped and not task.error]
    settled = [task for task in tasks if task.skipped or task.error]
    with Report(len(todo), manner, plan.others, aside=to_stdout) as report:
        for task in settled:
            report.add(Outcome(task, error=task.error))
        with contextlib.closing(_outcomes(todo, job, manner, report.step)) as outcomes:
            for outcome in outcomes:
                report.add(_noted(outcome))
    if report.failed:
        raise typer.Exit(1)


def _outcomes(todo: Sequence[Task], job: Job, manner: Manner, step: Step) -> Generator[Outcome, None, None]:
    if manner.dry_run:
        yield from (Outcome(task) for task in todo)
    elif min(manner.jobs, len(todo)) > 1:
        yield from workers.side_by_side(functools.partial(one, job), todo, manner.jobs)
    else:
        yield from (one(job, task, step) for task in todo)


def _noted(outcome: Outcome) -> Outcome:
    """The outcome, its result noted if it is one of a folder run."""
    task = outcome.task
    if not task.recorded or not outcome.digest:
        return outcome
    try:
        Record(task.recorded).add(task.target, task.source, outcome.digest)
    except FileError as error:  # the result is there; it will not be made again unasked
        return replace(outcome, warnings=(*outcome.warnings, str(error)))
    return outcome


def one(job: Job, task: Task, step: Step = lambda done, total: None) -> Outcome:
    """Read, do and write one file; errors and warnings are part of the outcome."""
    started = time.perf_counter()
    before = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)  # of every file, even if it is the same
        try:
            source = files.Source(task.source)
            before = source.size
            made = job(source, task, step)
            if made.content is not None:
                files.write(task.target, made.content, force=task.force)
            size = task.target.stat().st_size if made.content is None else len(made.content)
            digest = _digest(task.target, made.content) if task.recorded else ""
        except CaesuraError as error:
            return Outcome(task, error=str(error), bytes_before=before)
        except MemoryError:
            return Outcome(task, error="not enough memory", bytes_before=before)
        except OSError as error:
            return Outcome(task, error=error.strerror or str(error), bytes_before=before)
        except Exception as error:  # whatever a library raises, the other files go on
            return Outcome(task, error=f"{type(error).__name__}: {error}", bytes_before=before)
    return Outcome(
        task,
        bytes_before=before,
        bytes=size,
        width=made.width,
        height=made.height,
        bpp=made.bpp,
        seconds=time.perf_counter() - started,
        says=made.says,
        digest=digest,
        warnings=tuple(" ".join(str(warning.message).split()) for warning in caught),
    )


def _digest(target: Path, content: bytes | None) -> str:
    return files.digest_of(target) if content is None else files.digest(content)
