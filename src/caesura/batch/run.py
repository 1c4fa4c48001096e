"""Many files, one after another or side by side; a bad one is reported and the rest go on."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
import warnings
from collections.abc import Generator, Sequence

import typer

from caesura.batch import workers
from caesura.batch.jobs import Job, Step
from caesura.batch.plan import Plan, Task
from caesura.batch.record import Made, Record, real
from caesura.batch.report import Manner, Outcome, Report
from caesura.errors import CaesuraError, ConfigError
from caesura.picture import files
from caesura.picture.files import STREAM, FileError


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
                report.add(outcome)
    if report.failed or report.unheard:
        raise typer.Exit(1)


def _outcomes(todo: Sequence[Task], job: Job, manner: Manner, step: Step) -> Generator[Outcome, None, None]:
    if manner.dry_run:
        yield from (Outcome(task) for task in todo)
    elif min(manner.jobs, len(todo)) > 1:
        yield from workers.side_by_side(functools.partial(one, job), todo, manner.jobs)
    else:
        yield from (one(job, task, step) for task in todo)


def one(job: Job, task: Task, step: Step = lambda done, total: None) -> Outcome:
    """Read, do and write one file; errors and warnings are part of the outcome."""
    started = time.perf_counter()
    before = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)  # of every file, even if it is the same
        try:
            source = files.Source(task.source)
            before = source.size
            _check(task)
            made = job(source, task, step)
            _check(task)
            if made.content is None:
                size = task.target.stat().st_size
                _note(task, source, files.digest_of(task.target))
            else:
                size = len(made.content)
                if task.target != STREAM:
                    files.check_output(task.target, force=task.force)  # before it is noted
                _note(task, source, files.digest(made.content))
                files.write(task.target, made.content, force=task.force)
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
        warnings=tuple(" ".join(str(warning.message).split()) for warning in caught),
    )


def _check(task: Task) -> None:
    """Make sure, long after the plan was made, that what is replaced is still what was looked at."""
    if task.replaces and task.target.exists() and files.digest_of(task.target) != task.replaces:
        raise FileError(f"{files.exists_message(task.target)}; it was changed during this run")


def _note(task: Task, source: files.Source, made: str) -> None:
    """Note what is made, by its fingerprint, where the task says so."""
    if task.recorded:
        Record(task.recorded).add(task.target, Made(str(real(task.source)), source.digest, made))
    if task.returns:  # it is not to be coded again in the place of what it was decoded from
        folder, before = task.returns
        Record(folder).add(task.source, before._replace(of=made))
