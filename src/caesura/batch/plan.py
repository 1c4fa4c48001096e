"""The plan of a command: its input files, the paths of their outputs, and what is skipped or refused."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from caesura.batch.folders import add_folder, with_origin
from caesura.batch.record import Records, resolved
from caesura.batch.tasks import CODED, Kind, Plan, Task, output_names
from caesura.picture import files
from caesura.picture.files import STREAM, FileError

_STDIN = frozenset(map(Path, ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")))
_STDOUT = frozenset(map(Path, ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")))


def plan(
    inputs: Sequence[Path],
    output: str | None,
    suffix: str,
    kind: Kind,
    *,
    recursive: bool,
    force: bool,
    no_larger: bool = False,
) -> Plan:
    """The tasks for these inputs.

    Args:
        inputs: files, folders, or `-` alone.
        output: a file, a device or a pipe (for one input), a folder (one that exists, or a name that ends
            with a slash or has no extension; input folders are mirrored in it), `-`, or None to write beside
            the inputs.
        suffix: extension of generated output names, with its dot.
        kind: the files to read from folders.
        recursive: read folders and their subfolders, but neither hidden files and folders nor links to
            folders. See `folders.add_folder` for what is skipped there.
        force: do everything, and replace existing files.
        no_larger: keep the original of a file whose output would not be smaller: each task gets an `instead`.
            A folder named by `output` gets a copy of it, stdout, devices and pipes its bytes; otherwise it
            stays where it is.

    Raises:
        FileError: `-` is not alone, a folder is needed and `output` is a file, two outputs would have the
            same path, or a folder holds no files of this kind; or an original from stdin could not be kept.
    """
    if output == "":
        raise FileError("OUT is empty; a file, a folder or - is allowed")
    inputs = [STREAM if path in _STDIN else path for path in inputs]
    target = None if output is None else Path(output)
    is_folder = output is not None and output.endswith(("/", os.sep))
    if target in _STDOUT:
        target = STREAM
    if STREAM in inputs or target == STREAM:
        task = _stream_task(inputs, target, recursive, force, into_folder=is_folder)
        return Plan([_or_kept_as(task, task.source) if no_larger else task])
    folders = [path for path in inputs if _is_folder(path)]
    single = [path for path in inputs if path not in folders]
    into_folder = bool(folders) or is_folder
    result = Plan()
    if single:
        tasks = _file_tasks(single, target, suffix, force, into_folder=into_folder)
        if no_larger:
            tasks = [_or_kept_as(task, _kept_path(task, target)) for task in tasks]
        result.tasks += tasks
    for folder in folders:
        if recursive:
            output_folder = target or folder
            add_folder(result, folder, output_folder, suffix, kind, force=force, no_larger=no_larger)
        else:
            error = f"{folder} is a folder; -r reads the {kind.name} in it"
            result.tasks.append(Task(folder, folder, error=error))
    if suffix != CODED:
        records = Records()
        result.tasks = [with_origin(task, records) for task in result.tasks]
    result.tasks = list(_without_conflicts(result.tasks))
    if no_larger:
        result.tasks = list(_without_kept_conflicts(result.tasks))
    return result


def _stream_task(
    inputs: Sequence[Path], output: Path | None, recursive: bool, force: bool, *, into_folder: bool
) -> Task:
    """The task that reads stdin or writes stdout."""
    if len(inputs) > 1 or recursive or _is_folder(inputs[0]):
        raise FileError("- is stdin or stdout; it is allowed with one file, not with several or a folder")
    target = output or STREAM
    if into_folder or _is_folder(target):
        raise FileError(f"{target} is a folder; a file name is needed for the output of stdin")
    return Task(inputs[0], target, force, error=_existing(target, force))


def _file_tasks(
    inputs: Sequence[Path], output: Path | None, suffix: str, force: bool, *, into_folder: bool
) -> list[Task]:
    """The tasks of inputs that are files."""
    if output is not None and files.is_device(output):
        if len(inputs) > 1 and not output.samefile(os.devnull):
            raise FileError(f"{output} is a device or a pipe; {len(inputs)} inputs need a folder")
        return [Task(source, output, force) for source in inputs]
    if output is not None and output.exists() and not output.is_dir() and (len(inputs) > 1 or into_folder):
        why = f"{len(inputs)} inputs need a folder" if len(inputs) > 1 else "a folder is needed"
        raise FileError(f"{output} is a file; {why}")
    if output is None:
        names = output_names(inputs, suffix)
        targets = [path.with_name(name) for path, name in zip(inputs, names, strict=True)]
    elif (
        len(inputs) == 1
        and not into_folder
        and (output.is_file() or output.suffix)
        and not _is_folder(output)
    ):
        targets = [output]
    else:
        targets = [output / name for name in output_names(inputs, suffix, one_folder=True)]
    repeated = {target for target in targets if targets.count(target) > 1}
    if repeated:
        raise FileError(f"{min(repeated)} would be written twice; inputs must have different names")
    return [
        Task(source, target, force, error=_existing(target, force))
        for source, target in zip(inputs, targets, strict=True)
    ]


def _without_conflicts(tasks: Sequence[Task]) -> Iterator[Task]:
    """The tasks; where the target is a source or the target of an earlier task, with an error."""
    first: dict[Path, Path] = {}
    for task in tasks:
        if task.error or task.skipped:
            yield task
        elif files.is_same(task.source, task.target):
            yield replace(task, error=f"{task.target} is {task.source} itself; another output is needed")
        elif files.is_device(task.target) or first.setdefault(task.target, task.source) is task.source:
            yield task
        else:
            used = f"{task.target} is already the output for {first[task.target]}"
            yield replace(task, error=f"{task.source}: {used}; one of them needs another name")


def _or_kept_as(task: Task, path: Path) -> Task:
    """The task; if its output would not be smaller, the original is kept at `path` instead.

    Raises:
        FileError: the original comes from stdin, and nothing would keep it.
    """
    if task.target == STREAM or files.is_device(task.target):
        path = task.target  # whoever reads it expects a picture
    elif task.source == STREAM:
        raise FileError(
            f"no_larger is given, but an original from stdin would be lost if {task.target} was not written; "
            "an input that is a file, or stdout as the output, is allowed"
        )
    error = "" if path == task.source else _existing(path, task.force)
    return replace(task, instead=Task(task.source, path, task.force, error=error))


def _kept_path(task: Task, output: Path | None) -> Path:
    """Where the original of a file is kept: in `output` if that is a folder, else where it is."""
    if output is None or task.target == output:
        return task.source
    copy = output / task.source.name
    return task.source if files.is_same(task.source, copy) else copy


def _without_kept_conflicts(tasks: Sequence[Task]) -> Iterator[Task]:
    """The tasks; where an original would be copied to another file of this run, `instead` has an error."""
    sources = {resolved(task.source) for task in tasks if not task.skipped}
    used = {resolved(task.target): task.source for task in tasks}
    for task in tasks:
        copy = task.instead
        if copy is None or copy.target in (copy.source, task.target):
            yield task
        elif (path := resolved(copy.target)) in sources or used.setdefault(path, task.source) != task.source:
            error = f"{task.source}: it cannot be copied to {copy.target}, another file of this run"
            yield replace(task, instead=replace(copy, error=error))
        else:
            yield task


def _existing(target: Path, force: bool) -> str:
    """The error of a target that the user named and that exists; "" if it may be written."""
    try:
        exists = target != STREAM and not files.is_device(target) and target.exists()
    except OSError as error:
        return f"{target}: {error.strerror}"
    return files.exists_message(target) if exists and not force else ""


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
