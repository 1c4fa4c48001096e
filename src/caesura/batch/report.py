"""What is said of files: a line or a JSON object each, a progress bar, a last line that sums up."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from caesura.batch.plan import Task, counted
from caesura.picture import files
from caesura.picture import formats as pictures
from caesura.picture.streams import Lines


@dataclass(frozen=True)
class Manner:
    """How a batch is worked through, whatever is done.

    Attributes:
        jobs: processes.
        as_json: an object a file on stdout, instead of lines.
        dry_run: only say what would be done.
        sums: a last line counts what was done, skipped and failed.
    """

    jobs: int = 1
    as_json: bool = False
    dry_run: bool = False
    sums: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        task: what was to be done; if it says why not, nothing was.
        error: why it failed, if so.
        bytes_before, bytes: size of what was read and written.
        width, height, bpp: of the picture.
        seconds: reading and writing included.
        says: the result in a few words.
        warnings: what else is to be known.
    """

    task: Task
    error: str = ""
    bytes_before: int | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    bpp: float | None = None
    seconds: float | None = None
    says: str = ""
    warnings: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """For JSON: what is known."""
        facts = {
            "file": str(self.task.source),
            "output": str(self.task.target),
            "bytes_before": self.bytes_before,
            "bytes": self.bytes,
            "width": self.width,
            "height": self.height,
            "bpp": None if self.bpp is None else round(self.bpp, 4),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "skipped": self.task.skipped or None,
            "error": self.error or None,
        }
        return {name: value for name, value in facts.items() if value is not None}


class Report:
    """Says what becomes of files; a context, in which the bar is shown if stderr is a terminal.

    Args:
        total: files to do.
        manner: of the batch.
        others: files that are not taken, by extension.
        aside: stdout is taken; lines go to stderr.
    """

    def __init__(self, total: int, manner: Manner, others: Counter[str], *, aside: bool) -> None:
        self._total, self._manner, self._others, self._aside = total, manner, others, aside
        self._done = self._skipped = self.failed = 0
        self._worked = 0  # of the total
        self._before = self._after = self._pixels = 0
        self.unheard = False  # JSON that was asked for could not be written
        self._started = time.perf_counter()
        self._bar = Progress(
            TextColumn("{task.fields[files]}"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,  # into stderr
            redirect_stderr=False,
            disable=manner.dry_run or not sys.stderr.isatty(),
        )
        self._lines = Lines(self._bar, owed=manner.as_json)
        self._row = self._bar.add_task("", total=total, files="", speed="")
        self._advance()

    def __enter__(self) -> Self:
        if self._total > 1:  # of a single file, only its steps are worth showing
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._others:
            self._say(f"not taken: {counted(self._others)}", err=True)
            for hint in pictures.hints(self._others):
                self._say(hint, err=True)
        if self._manner.sums:
            done = "to do" if self._manner.dry_run else "done"
            counts = f"{self._done} {done}, {self._skipped} skipped, {self.failed} failed"
            sizes = f"; {decimal(self._before)} became {decimal(self._after)}" if self._before else ""
            self._say(counts + sizes, err=True)

    def step(self, done: int, total: int) -> None:
        """Steps done and their number, within the file at work."""
        self._bar.start()
        self._bar.update(self._row, completed=self._worked + done / total)

    def add(self, outcome: Outcome) -> None:
        """A file was done, was skipped or failed."""
        task, name = outcome.task, files.name(outcome.task.source)
        for warning in outcome.warnings:
            self._say(f"caesura: warning: {name}: {warning}", err=True)
        if outcome.error:
            self.failed += 1
            error = " ".join(outcome.error.splitlines()).strip()  # libraries' own may have several
            message = error if name in error else f"{name}: {error}"
            self._say(f"caesura: {message}", err=True)
        elif task.skipped:
            self._skipped += 1
        else:
            self._done += 1
            self._before += outcome.bytes_before or 0
            self._after += outcome.bytes or 0
            self._pixels += (outcome.width or 0) * (outcome.height or 0)
        if self._manner.as_json:
            self._say(json.dumps(outcome.facts()))
        elif not outcome.error:
            self._line(outcome)
        if not task.skipped and not task.error:
            self._worked += 1
        self._advance()

    def _line(self, outcome: Outcome) -> None:
        task, target = outcome.task, files.name(outcome.task.target, "stdout")
        if not self._manner.dry_run:
            if not task.skipped:
                self._say(f"{target}  {outcome.says}", err=self._aside)
        elif task.skipped:
            self._say(f"{task.source} would be skipped: {task.skipped}", err=self._aside)
        else:
            self._say(f"{files.name(task.source)} would be written to {target}", err=self._aside)

    def _advance(self) -> None:
        saved = self._before - self._after
        rate = self._pixels / 1e6 / (time.perf_counter() - self._started)
        sizes = f"{decimal(abs(saved))} {'saved' if saved >= 0 else 'more'}"
        self._bar.update(
            self._row,
            completed=self._worked,
            files=f"{self._worked}/{self._total} files",
            speed=f"{rate:.2f} megapixels/s  {sizes}",
        )

    def _say(self, text: str, *, err: bool = False) -> None:
        if self._lines.say(text, err=err):  # files are coded all the same
            self.unheard = True
