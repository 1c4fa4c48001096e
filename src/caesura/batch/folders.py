"""Folders as inputs: the tasks of a folder tree, and the outputs of earlier runs that are skipped or renewed.

Whether an existing file was written by an earlier run is in the record, see `record.py`.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from caesura.batch.record import Entry, Records, resolved
from caesura.batch.tasks import CODED, Kind, Plan, Task, counted, output_names
from caesura.picture import files
from caesura.picture.files import STREAM, FileError


def add_folder(
    plan: Plan, folder: Path, output: Path, suffix: str, kind: Kind, *, force: bool, no_larger: bool = False
) -> None:
    """Add the tasks of a folder tree to a plan, in the order of names.

    Unless `force` is set, a file is skipped if the record has an output made from it as it is now. If the
    file has changed since and its output has not, the output is made again. Any other existing file is kept,
    an error. With `no_larger`, the same holds for originals that are kept in `output`.

    Raises:
        FileError: `output` is a file, or the folder holds no files of this kind.
    """
    if output.exists() and not output.is_dir():
        raise FileError(f"{output} is a file; {folder} needs a folder")
    unreadable: list[OSError] = []
    empty = True
    ignored: Counter[str] = Counter()
    records = Records()
    for parent, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(parent, name) for name in sorted(names) if not name.startswith(".")]
        wanted = []
        for path in paths:
            if not kind.wanted(path):
                ignored[path.suffix.lower()] += 1
            elif path.is_file() or not path.exists():  # reading a pipe could block for ever
                wanted.append(path)
        empty = empty and not wanted
        mirrored = output / Path(parent).relative_to(folder)
        sources = []
        for path in wanted:
            target = mirrored / path.with_suffix(suffix).name
            if suffix == CODED and (reason := _why_not_encoded(records, path, target, folder, force)):
                plan.tasks.append(Task(path, target, skipped=reason))
            else:
                sources.append(path)
        for path, name in zip(sources, output_names(sources, suffix), strict=True):
            task = Task(path, mirrored / name, force, record_folder=output)
            kept_as = mirrored / path.name if no_larger else None
            plan.tasks.append(_unless_kept(task, kept_as, records))
    for error in unreadable:
        plan.tasks.append(Task(Path(error.filename), output, error=f"{error.filename}: {error.strerror}"))
    if empty and not unreadable:
        more = f"; it holds {counted(ignored)}" if ignored else ""
        raise FileError(f"{folder} holds no {kind.name}{more}")
    plan.ignored += ignored


def with_origin(task: Task, records: Records) -> Task:
    """A decoding task, with `origin` set if its target is the file that its source was encoded from."""
    if task.error or STREAM in (task.source, task.target):
        return task
    try:
        found = records.find(task.source)
    except FileError:
        return task  # as if there was no entry
    if found is None or found.entry.source != str(resolved(task.target)):
        return task
    return replace(task, origin=found)


def _why_not_encoded(records: Records, path: Path, coded: Path, folder: Path, force: bool) -> str:
    """Why a picture in `folder` need not be encoded; "" if it is to be encoded.

    Unless `force` is set, one that was decoded from `coded`, the path that it would be encoded to, is left
    out, since that may be the only copy; and always the copy of an original in `folder` that was kept.
    """
    try:
        if (found := records.find(path)) is None:
            return ""
        source = Path(found.entry.source)
        if found.entry.is_original:
            is_encoded = source.is_relative_to(resolved(folder)) and source.is_file()
            reason = f"{path} is a copy of {source}" if is_encoded and source != resolved(path) else ""
        else:
            reason = f"{path} was made from {coded}" if not force and source == resolved(coded) else ""
        return reason if reason and found.entry.output_digest == files.digest_of(path) else ""
    except (OSError, FileError):
        return ""  # the task itself will report it


def _unless_kept(task: Task, path: Path | None, records: Records) -> Task:
    """The task as in `_unless_done`; with an `instead` that keeps its original at `path`, None for none.

    If the original was kept there as it is now, the task is skipped.
    """
    done = _unless_done(task, records)
    if path is None:
        return done
    if files.is_same(task.source, path):
        was_kept = not task.force and _was_kept_in_place(task.source, records)
        skipped = f"{task.source} was not changed since it was kept" if was_kept else ""
        instead = replace(task, target=task.source, skipped=skipped)
    else:
        instead = _unless_done(replace(task, target=path), records)
    if instead.skipped and not done.skipped:
        return replace(done, skipped=instead.skipped, error="")
    return replace(done, instead=instead)


def _was_kept_in_place(path: Path, records: Records) -> bool:
    """Whether an earlier run kept this file where it is, as it is now."""
    try:
        found = records.find(path)
        if found is None or not found.entry.is_original or found.entry.source != str(resolved(path)):
            return False
        return files.digest_of(path) == found.entry.output_digest
    except (OSError, FileError):
        return False  # the task itself will report it


def _unless_done(task: Task, records: Records) -> Task:
    """The task, skipped if its output is up to date, with an error if the existing file must be kept."""
    target = task.target
    try:
        if task.force or not target.exists():
            return task
        found = records.find(target) if target.is_file() else None
        if found is None:
            reason = "it is not known to be made from this file"
        else:
            reason = _why_foreign(task, found.entry)
        if found is not None and not reason:
            entry = found.entry
            if _is_up_to_date(task, entry) or files.digest_of(task.source) == entry.source_digest:
                return replace(task, skipped=f"{target} exists and was made from this file")
            return replace(task, force=True, replaces=entry.output_digest)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
    except FileError as error:
        reason = str(error)
    return replace(task, error=f"{task.source}: {files.exists_message(target)}; {reason}")


def _why_foreign(task: Task, entry: Entry) -> str:
    """Why the existing target, which has this entry, is not an earlier output of the task; "" if it is."""
    if _is_up_to_date(task, entry):
        return ""
    if entry.source != str(resolved(task.source)) and files.digest_of(task.source) != entry.source_digest:
        if entry.source == str(resolved(task.target)):
            return "it is an original that was kept"
        return f"it was made from {entry.source}"
    if files.digest_of(task.target) != entry.output_digest:
        return "it was changed since it was made"
    return ""


def _is_up_to_date(task: Task, entry: Entry) -> bool:
    """Whether the target was made from the task's source, by its path, and is not older than that."""
    same = entry.source == str(resolved(task.source))
    return same and task.target.stat().st_mtime_ns >= task.source.stat().st_mtime_ns
