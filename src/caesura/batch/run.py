"""Running a plan: its tasks one after another or in parallel. An error costs one file, not the run."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
import warnings
from collections.abc import Generator, Sequence

from caesura.batch import workers
from caesura.batch.jobs import Job, Progress, no_progress
from caesura.batch.record import Entry, Record, resolved
from caesura.batch.report import BatchOptions, Outcome, Report
from caesura.batch.tasks import Plan, Task
from caesura.errors import CaesuraError, ConfigError
from caesura.picture import files
from caesura.picture.files import STREAM, FileError


def run(plan: Plan, job: Job, options: BatchOptions) -> bool:
    """Do every task of a plan and report on it.

    Returns:
        Whether nothing failed, and all results that were asked for on stdout were written.

    Raises:
        ConfigError: JSON and a picture are both to go to stdout.
        FileError: a picture is to go to a terminal.
    """
    tasks = plan.tasks
    to_stdout = any(task.target == STREAM for task in tasks)
    if to_stdout and options.as_json:
        raise ConfigError("json and the picture would both go to stdout; -o FILE is needed")
    if to_stdout and sys.stdout.isatty() and not options.dry_run:
        raise FileError("stdout is a terminal; -o FILE or a redirection is needed")
    todo = [task for task in tasks if not task.skipped and not task.error]
    settled = [task for task in tasks if task.skipped or task.error]
    with Report(len(todo), options, plan.ignored, lines_to_stderr=to_stdout) as report:
        for task in settled:
            report.add(Outcome(task, error=task.error))
        with contextlib.closing(_outcomes(todo, job, options, report.progress)) as outcomes:
            for outcome in outcomes:
                report.add(outcome)
    return not (report.failed or report.lost)


def _outcomes(
    todo: Sequence[Task], job: Job, options: BatchOptions, progress: Progress
) -> Generator[Outcome, None, None]:
    if options.dry_run:
        yield from (Outcome(task) for task in todo)
    elif min(options.jobs, len(todo)) > 1:
        yield from workers.side_by_side(functools.partial(run_task, job), todo, options.jobs)
    else:
        if len(todo) > 1:
            from caesura.runtime import choice  # imports NumPy

            choice.expect_many()
        yield from (run_task(job, task, progress) for task in todo)


def run_task(job: Job, task: Task, progress: Progress = no_progress) -> Outcome:
    """Read, process and write one file; errors and warnings are part of the outcome."""
    started = time.perf_counter()
    size_before = None
    done, kept = task, ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)  # for every file, even if the text is the same
        try:
            source = files.Source(task.source)
            size_before = source.size
            _check_unchanged(task)
            result = job(source, task, progress)
            if task.instead and result.content is not None and len(result.content) >= source.size:
                done, kept = task.instead, f"the .cae file would have {len(result.content)} bytes"
            _check_unchanged(done)
            if kept:
                size = source.size
                _keep(done, source)
            elif result.content is None:
                size = task.target.stat().st_size
                _record(task, source, files.digest_of(task.target))
            else:
                size = len(result.content)
                if task.target != STREAM:
                    files.check_output(task.target, force=task.force)  # before it is recorded
                _record(task, source, files.digest(result.content))
                files.write(task.target, result.content, force=task.force)
            _warn_of_other_output(task, done)
        except CaesuraError as error:
            return Outcome(task, error=str(error), bytes_before=size_before)
        except MemoryError:
            return Outcome(task, error="not enough memory", bytes_before=size_before)
        except OSError as error:
            return Outcome(task, error=error.strerror or str(error), bytes_before=size_before)
        except Exception as error:  # libraries may raise anything; the other files go on
            return Outcome(task, error=f"{type(error).__name__}: {error}", bytes_before=size_before)
    return Outcome(
        done,
        bytes_before=size_before,
        bytes=size,
        width=result.width,
        height=result.height,
        bpp=None if kept else result.bpp,
        seconds=time.perf_counter() - started,
        summary=f"{size} bytes  the original is kept: {kept}" if kept else result.summary,
        is_larger=result.is_larger and not kept,
        kept=kept,
        hint=result.hint,
        warnings=tuple(" ".join(str(warning.message).split()) for warning in caught),
    )


def _keep(task: Task, source: files.Source) -> None:
    """Write the bytes of a source to the target of an `instead`, unless that is the source itself."""
    if task.error:
        raise FileError(task.error)
    if task.target == task.source and task.target != STREAM:
        _record(task, source, source.digest)
        return
    if task.target != STREAM:
        files.check_output(task.target, force=task.force)  # before it is recorded
    _record(task, source, source.digest)
    files.write(task.target, source.content, force=task.force)


def _warn_of_other_output(task: Task, done: Task) -> None:
    """Warn if the task or its `instead`, whichever is not the one `done`, has a file at its target."""
    other = task.instead if done is task else task
    if other is None or other.target in (STREAM, task.source, done.target) or files.is_device(other.target):
        return
    if other.target.is_file():
        warnings.warn(f"{other.target} was there already and is left as it is", stacklevel=2)


def _check_unchanged(task: Task) -> None:
    """Check that the file to be replaced is still the one that the plan was made for."""
    if task.replaces and task.target.exists() and files.digest_of(task.target) != task.replaces:
        raise FileError(f"{files.exists_message(task.target)}; it was changed during this run")


def _record(task: Task, source: files.Source, output_digest: str) -> None:
    """Add the output to the record, where the task asks for it."""
    if task.record_folder:
        entry = Entry(str(resolved(task.source)), source.digest, output_digest)
        Record(task.record_folder).add(task.target, entry)
    if task.origin:  # so that the decoded picture is not encoded over the file it came from
        folder, entry = task.origin
        Record(folder).add(task.source, entry._replace(source_digest=output_digest))
