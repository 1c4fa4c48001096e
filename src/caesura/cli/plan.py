"""What a command is to do: which files, where their results go, and which are left alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from caesura.cli import files
from caesura.cli.files import STREAM, FileError


@dataclass(frozen=True)
class Task:
    """A file and its result.

    Attributes:
        source: what is read; `-` is stdin.
        target: what is written; `-` is stdout.
        force: replace the target if it is there.
        skipped: why nothing is to be done, if so.
        error: why it cannot be done, if so.
    """

    source: Path
    target: Path
    force: bool = False
    skipped: str = ""
    error: str = ""


@dataclass(frozen=True)
class Kind:
    """The files that a command takes out of folders.

    Attributes:
        name: of them, in messages.
        wanted: whether a file is one, by its name.
    """

    name: str
    wanted: Callable[[Path], bool]


def plan(
    inputs: Sequence[Path], output: Path | None, suffix: str, kind: Kind, *, recursive: bool, force: bool
) -> list[Task]:
    """A task for every file.

    Args:
        inputs: files, folders, or `-` alone.
        output: a file (for one input), a folder (one that is there, or a name without an extension; folders
            are mirrored in it), `-`, or None for each input's own folder.
        suffix: of names that are made up here, with its dot.
        kind: what is taken out of folders.
        recursive: folders are walked through; hidden files and folders are not, nor links to folders. What is
            found there is skipped if its result is there and not older, and done again if it is older.
        force: do everything, and replace what is there.

    Raises:
        FileError: `-` is not alone, a folder is needed and `output` is a file, two results of `inputs`
            would share a name, or a folder holds nothing.
    """
    if STREAM in inputs or output == STREAM:
        return [_streamed(inputs, output, recursive, force)]
    folders = [path for path in inputs if _is_folder(path)]
    named = [path for path in inputs if path not in folders]
    tasks = _named(named, output, suffix, force, into_folder=bool(folders)) if named else []
    for folder in folders:
        if recursive:
            tasks += _found(folder, output or folder, suffix, kind, force)
        else:
            tasks.append(Task(folder, folder, error=f"{folder} is a folder; -r takes the {kind.name} in it"))
    return list(_once(tasks))


def _streamed(inputs: Sequence[Path], output: Path | None, recursive: bool, force: bool) -> Task:
    if len(inputs) > 1 or recursive or _is_folder(inputs[0]):
        raise FileError("- is stdin or stdout; it goes with one file, not with several or a folder")
    target = output or STREAM
    if _is_folder(target):
        raise FileError(f"{target} is a folder; what comes from stdin needs a file's name")
    return Task(inputs[0], target, force, error=_kept(target, force))


def _named(
    inputs: Sequence[Path], output: Path | None, suffix: str, force: bool, *, into_folder: bool
) -> list[Task]:
    if output is None:
        targets = [path.with_suffix(suffix) for path in inputs]
    elif len(inputs) == 1 and not into_folder and output.suffix and not _is_folder(output):
        targets = [output]
    elif output.is_file():
        raise FileError(f"{output} is a file; {len(inputs)} inputs need a folder")
    else:
        targets = [output / path.with_suffix(suffix).name for path in inputs]
    twice = {target for target in targets if targets.count(target) > 1}
    if twice:
        raise FileError(f"{min(twice)} would be written twice; inputs must have different names")
    return [
        Task(source, target, force, error=_kept(target, force))
        for source, target in zip(inputs, targets, strict=True)
    ]


def _found(folder: Path, output: Path, suffix: str, kind: Kind, force: bool) -> Iterator[Task]:
    """Everything in a folder tree, in order."""
    if output.is_file():
        raise FileError(f"{output} is a file; {folder} needs a folder")
    unreadable: list[OSError] = []
    empty = True
    for place, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or not kind.wanted(path) or not (path.is_file() or path.is_symlink()):
                continue  # a pipe could be waited for without end
            empty = False
            target = output / path.relative_to(folder).with_suffix(suffix)
            yield _renewed(Task(path, target, force))
    for error in unreadable:
        yield Task(Path(error.filename), output, error=f"{error.filename}: {error.strerror}")
    if empty and not unreadable:
        raise FileError(f"{folder} holds no {kind.name}")


def _renewed(task: Task) -> Task:
    """The task as it is done in a folder: not again unless its source is newer."""
    try:
        if task.force or not task.target.is_file():
            return task
        if task.target.stat().st_mtime_ns >= task.source.stat().st_mtime_ns:
            return replace(task, skipped=f"{task.target} is there and not older")
    except OSError as error:
        return replace(task, error=f"{error.filename}: {error.strerror}")
    return replace(task, force=True)


def _once(tasks: Sequence[Task]) -> Iterator[Task]:
    """The tasks; those whose target another has already become errors."""
    first: dict[Path, Path] = {}
    for task in tasks:
        if task.error or first.setdefault(task.target, task.source) is task.source:
            yield task
        else:
            made = f"{task.target} is made from {first[task.target]} already"
            yield replace(task, skipped="", error=f"{task.source}: {made}; one of them needs another name")


def _kept(target: Path, force: bool) -> str:
    """Why a file that the user named may not be written."""
    try:
        there = target != STREAM and target.exists()
    except OSError as error:
        return f"{target}: {error.strerror}"
    return files.there(target) if there and not force else ""


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
