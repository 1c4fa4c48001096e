"""The report of a batch: a line or a JSON object for each file, a progress bar, and a summary line."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.filesize import decimal

from caesura import progress
from caesura.batch.tasks import Task, counted
from caesura.picture import files, formats
from caesura.picture.streams import Lines

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(frozen=True)
class BatchOptions:
    """How a batch is run and reported, whatever its job.

    Attributes:
        jobs: number of worker processes.
        as_json: print one JSON object per file on stdout instead of lines.
        dry_run: only print what would be done.
        summary: end with a line that counts the files done, skipped and failed.
    """

    jobs: int = 1
    as_json: bool = False
    dry_run: bool = False
    summary: bool = False


@dataclass(frozen=True)
class Outcome:
    """The outcome of one task.

    Attributes:
        task: the task, or its `instead` where that was done; if it has `skipped` or `error` set, nothing was
            done.
        error: why it failed; "" if it did not.
        bytes_before, bytes: size of the input and of the output.
        width, height: size of the picture in pixels.
        bpp: bits per pixel of the .cae file.
        seconds: wall-clock time, reading and writing included.
        summary: the result in a few words.
        is_larger: whether the output is a .cae file of more bytes than the input.
        kept: why the original was kept instead of a .cae file; "" if it was not.
        hint: advice on the options; "" for none.
        warnings: texts of the warnings.
    """

    task: Task
    error: str = ""
    bytes_before: int | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    bpp: float | None = None
    seconds: float | None = None
    summary: str = ""
    is_larger: bool = False
    kept: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """The fields of the JSON object; unknown ones are left out."""
        facts = {
            "file": str(self.task.source),
            "output": str(self.task.target),
            "output_if_kept": self._output_if_kept,
            "bytes_before": self.bytes_before,
            "bytes": self.bytes,
            "width": self.width,
            "height": self.height,
            "bpp": None if self.bpp is None else round(self.bpp, 4),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "larger_than_original": self.is_larger or None,
            "kept": self.kept or None,
            "hint": self.hint or None,
            "skipped": self.task.skipped or None,
            "error": self.error or None,
        }
        return {name: value for name, value in facts.items() if value is not None}

    @property
    def _output_if_kept(self) -> str | None:
        """Where the original would be kept, of a task that is still to be done."""
        is_planned = self.bytes is None and not self.task.skipped and not self.error
        return str(self.task.instead.target) if is_planned and self.task.instead else None


class Report:
    """Prints the outcomes. A context manager, within which the progress bar is shown if stderr is a terminal.

    Args:
        total: number of tasks to be done.
        options: of the batch.
        ignored: files that are not of the command's kind, counted by extension.
        lines_to_stderr: stdout is taken by a picture.
    """

    def __init__(
        self, total: int, options: BatchOptions, ignored: Counter[str], *, lines_to_stderr: bool
    ) -> None:
        self._total, self._options, self._ignored = total, options, ignored
        self._lines_to_stderr = lines_to_stderr
        self._done = self._kept = self._skipped = self.failed = 0
        self._processed = 0  # of the total
        self._before = self._after = self._pixels = 0
        self._started = time.perf_counter()
        self._bar: Progress | None = None  # until it is shown
        self._lines = Lines(required=options.as_json)

    def __enter__(self) -> Self:
        if self._total > 1 and not self._options.dry_run:
            self._shown_bar()  # a single file shows it only if its job reports progress
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._ignored:
            self._lines.write(f"ignored: {counted(self._ignored)}", err=True)
            for hint in formats.hints(self._ignored):
                self._lines.write(hint, err=True)
        if self._options.summary:
            done = "to do" if self._options.dry_run else "done"
            kept = f", {self._kept} kept" if self._kept else ""
            counts = f"{self._done} {done}{kept}, {self._skipped} skipped, {self.failed} failed"
            sizes = f"; {decimal(self._before)} became {decimal(self._after)}" if self._before else ""
            self._lines.write(counts + sizes, err=True)

    @property
    def lost(self) -> bool:
        """Whether JSON that was asked for could not be written."""
        return self._lines.lost

    def progress(self, done: int, total: int) -> None:
        """Show the steps done and their number, within the current file."""
        bar = self._shown_bar()
        bar.update(bar.task_ids[0], completed=self._processed + done / total)

    def add(self, outcome: Outcome) -> None:
        """Count and print the outcome of a task."""
        task, name = outcome.task, files.name(outcome.task.source)
        for warning in outcome.warnings:
            self._lines.write(f"caesura: warning: {name}: {warning}", err=True)
        if outcome.error:
            self.failed += 1
            error = " ".join(outcome.error.splitlines()).strip()  # of libraries may have several lines
            message = error if name in error else f"{name}: {error}"
            self._lines.write(f"caesura: {message}", err=True)
        elif task.skipped:
            self._skipped += 1
        else:
            if outcome.kept:
                self._kept += 1
            else:
                self._done += 1
            self._before += outcome.bytes_before or 0
            self._after += outcome.bytes or 0
            self._pixels += (outcome.width or 0) * (outcome.height or 0)
        if self._options.as_json:
            self._lines.write(json.dumps(outcome.facts()))
        elif not outcome.error:
            self._write_line(outcome)
        if not task.skipped and not task.error:
            self._processed += 1
        self._advance()

    def _write_line(self, outcome: Outcome) -> None:
        task, target = outcome.task, files.name(outcome.task.target, "stdout")
        if not self._options.dry_run:
            if not task.skipped:
                hint = f"  hint: {outcome.hint}" if outcome.hint else ""
                self._lines.write(f"{target}  {outcome.summary}{hint}", err=self._lines_to_stderr)
        elif task.skipped:
            self._lines.write(f"{task.source} would be skipped: {task.skipped}", err=self._lines_to_stderr)
        else:
            line = f"{files.name(task.source)} would be written to {target}{_or_kept(task.instead)}"
            self._lines.write(line, err=self._lines_to_stderr)

    def _shown_bar(self) -> Progress:
        if self._bar is None:
            bar = progress.bar("{task.fields[files]}", "{task.fields[speed]}")
            bar.add_task("", total=self._total, files="", speed="")
            self._bar = self._lines.bar = bar
            self._advance()
            bar.start()
        return self._bar

    def _advance(self) -> None:
        if self._bar is None:
            return
        saved = self._before - self._after
        rate = self._pixels / 1e6 / (time.perf_counter() - self._started)
        sizes = f"{decimal(abs(saved))} {'saved' if saved >= 0 else 'more'}"
        self._bar.update(
            self._bar.task_ids[0],
            completed=self._processed,
            files=f"{self._processed}/{self._total} files",
            speed=f"{rate:.2f} megapixels/s  {sizes}",
        )


def _or_kept(instead: Task | None) -> str:
    """What would be done if the output was not smaller, to end a line of a dry run."""
    if instead is None:
        return ""
    if instead.error:
        return f"; if that is not smaller: {instead.error}"
    if instead.target == instead.source and instead.target != files.STREAM:
        return "; if that is not smaller, the original is kept where it is"
    target = files.name(instead.target, "stdout")
    return f"; if that is not smaller, the original is copied to {target}"
