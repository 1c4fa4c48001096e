"""What a command is to do: which files, where their results go, and which are left alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from caesura.batch.record import Made, Noted, Records, real
from caesura.picture import files
from caesura.picture.files import STREAM, FileError

_STDIN = frozenset(map(Path, ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")))
_STDOUT = frozenset(map(Path, ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")))


CODED = ".cae"


@dataclass(frozen=True)
class Task:
    """A file and its result.

    Attributes:
        source: what is read; `-` is stdin.
        target: what is written; `-` is stdout.
        force: replace the target if it is there.
        replaces: the fingerprint of what is there and may be replaced; if empty, whatever is there may.
        recorded: the folder in whose record (`record.py`) the result is noted, if any.
        returns: what is noted of the source, if the target is what that was once made of.
        skipped: why nothing is to be done, if so.
        error: why it cannot be done, if so.
    """

    source: Path
    target: Path
    force: bool = False
    replaces: str = ""
    recorded: Path | None = None
    returns: Noted | None = None
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


@dataclass
class Plan:
    """What a command is to do.

    Attributes:
        tasks: a task for every file.
        others: the files of folders that are not taken, counted by extension in small letters.
    """

    tasks: list[Task] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def plan(
    inputs: Sequence[Path], output: str | None, suffix: str, kind: Kind, *, recursive: bool, force: bool
) -> Plan:
    """Find the files, and where their results go.

    Args:
        inputs: files, folders, or `-` alone.
        output: a file, a device or a pipe (for one input), a folder (one that is there, a name that ends with
            a slash or has no extension; folders are mirrored in it), `-`, or None for the inputs' own
            folders.
        suffix: of names that are made up here, with its dot.
        kind: what is taken out of folders.
        recursive: folders are walked through; hidden files and folders are not, nor links to folders. What is
            found there is skipped if the record has its result, made from it as it is. A result whose source
            has changed is made again if it has not; anything else in its place is kept, an error.
        force: do everything, and replace what is there.

    Raises:
        FileError: `-` is not alone, a folder is needed and `output` is a file, two results of `inputs`
            would share a name, or a folder holds nothing.
    """
    if output == "":
        raise FileError("OUT is empty; a file, a folder or - is allowed")
    inputs = [STREAM if path in _STDIN else path for path in inputs]
    target = None if output is None else Path(output)
    is_folder = output is not None and output.endswith(("/", os.sep))
    if target in _STDOUT:
        target = STREAM
    if STREAM in inputs or target == STREAM:
        return Plan([_streamed(inputs, target, recursive, force, into_folder=is_folder)])
    folders = [path for path in inputs if _is_folder(path)]
    named = [path for path in inputs if path not in folders]
    into_folder = bool(folders) or is_folder
    found = Plan()
    if named:
        found.tasks += _named(named, target, suffix, force, into_folder=into_folder)
    for folder in folders:
        if recursive:
            _find(found, folder, target or folder, suffix, kind, force)
        else:
            error = f"{folder} is a folder; -r takes the {kind.name} in it"
            found.tasks.append(Task(folder, folder, error=error))
    if suffix != CODED:
        records = Records()
        found.tasks = [_returning(task, records) for task in found.tasks]
    found.tasks = list(_settled(found.tasks))
    return found


def counted(others: Counter[str]) -> str:
    """Extensions and how often they were met, the most frequent first."""
    names = [f"{number} {ending or 'without an extension'}" for ending, number in others.most_common(_SHOWN)]
    rest = others.total() - sum(number for _, number in others.most_common(_SHOWN))
    return ", ".join([*names, f"{rest} of other kinds"] if rest else names)


_SHOWN = 10


def _streamed(
    inputs: Sequence[Path], output: Path | None, recursive: bool, force: bool, *, into_folder: bool
) -> Task:
    if len(inputs) > 1 or recursive or _is_folder(inputs[0]):
        raise FileError("- is stdin or stdout; it goes with one file, not with several or a folder")
    target = output or STREAM
    if into_folder or _is_folder(target):
        raise FileError(f"{target} is a folder; what comes from stdin needs a file's name")
    return Task(inputs[0], target, force, error=_kept(target, force))


def _named(
    inputs: Sequence[Path], output: Path | None, suffix: str, force: bool, *, into_folder: bool
) -> list[Task]:
    if output is not None and files.is_device(output):
        if len(inputs) > 1 and not output.samefile(os.devnull):
            raise FileError(f"{output} is a device or a pipe; {len(inputs)} inputs need a folder")
        return [Task(source, output, force) for source in inputs]
    if output is not None and output.exists() and not output.is_dir() and (len(inputs) > 1 or into_folder):
        why = f"{len(inputs)} inputs need a folder" if len(inputs) > 1 else "a folder is needed"
        raise FileError(f"{output} is a file; {why}")
    if output is None:
        targets = [path.with_name(name) for path, name in zip(inputs, _results(inputs, suffix), strict=True)]
    elif (
        len(inputs) == 1
        and not into_folder
        and (output.is_file() or output.suffix)
        and not _is_folder(output)
    ):
        targets = [output]
    else:
        targets = [output / name for name in _results(inputs, suffix, together=True)]
    twice = {target for target in targets if targets.count(target) > 1}
    if twice:
        raise FileError(f"{min(twice)} would be written twice; inputs must have different names")
    return [
        Task(source, target, force, error=_kept(target, force))
        for source, target in zip(inputs, targets, strict=True)
    ]


def _results(sources: Sequence[Path], suffix: str, *, together: bool = False) -> list[str]:
    """A result's name for each source.

    It is the source's with `suffix` in place of its own, unless several would share that: then each keeps its
    whole name before the suffix, IMG_1.JPG.cae and IMG_1.png.cae.

    Args:
        sources: paths.
        suffix: of results, with its dot.
        together: results go to one folder, not to the source's own.
    """
    places = [path if not together else Path(path.name) for path in sources]
    names = [path.with_suffix(suffix) for path in places]
    while True:
        shared = {name for name, number in Counter(names).items() if number > 1}
        longer = [
            path.with_name(path.name + suffix) if name in shared else name
            for path, name in zip(places, names, strict=True)
        ]
        if longer == names:
            return [path.name for path in names]
        names = longer


def _find(found: Plan, folder: Path, output: Path, suffix: str, kind: Kind, force: bool) -> None:
    """Add everything in a folder tree, in order."""
    if output.exists() and not output.is_dir():
        raise FileError(f"{output} is a file; {folder} needs a folder")
    unreadable: list[OSError] = []
    empty = True
    others: Counter[str] = Counter()
    records = Records()
    for place, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        wanted = []
        for path in paths:
            if not kind.wanted(path):
                others[path.suffix.lower()] += 1
            elif path.is_file() or not path.exists():  # a pipe could be waited for without end
                wanted.append(path)
        empty = empty and not wanted
        mirrored = output / Path(place).relative_to(folder)
        sources = []
        for path in wanted:
            target = mirrored / path.with_suffix(suffix).name
            if suffix == CODED and not force and _was_made(records, path, target):
                found.tasks.append(Task(path, target, skipped=f"{path} was made from {target}"))
            else:
                sources.append(path)
        for path, name in zip(sources, _results(sources, suffix), strict=True):
            found.tasks.append(_renewed(Task(path, mirrored / name, force, recorded=output), records))
    for error in unreadable:
        found.tasks.append(Task(Path(error.filename), output, error=f"{error.filename}: {error.strerror}"))
    if empty and not unreadable:
        more = f"; it holds {counted(others)}" if others else ""
        raise FileError(f"{folder} holds no {kind.name}{more}")
    found.others += others


def _was_made(records: Records, path: Path, target: Path) -> bool:
    """Whether a file was made from what it would be coded to: that may be all there is of a photo."""
    try:
        found = records.find(path)
        if found is None or found.made.source != str(real(target)):
            return False
        return found.made.made == files.digest_of(path)
    except (OSError, FileError):
        return False  # whoever reads it says why


def _renewed(task: Task, records: Records) -> Task:
    """The task as it is done in a folder: once, and again if its source has changed and its result not."""
    target = task.target
    try:
        if task.force or not target.exists():
            return task
        found = records.find(target) if target.is_file() else None
        reason = "it is not known to be made from this file" if found is None else _foreign(task, found.made)
        if found is not None and not reason:
            if _is_newer(task, found.made) or files.digest_of(task.source) == found.made.of:
                return replace(task, skipped=f"{target} is there and made from this file")
            return replace(task, force=True, replaces=found.made.made)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
    except FileError as error:
        reason = str(error)
    return replace(task, error=f"{task.source}: {files.exists_message(target)}; {reason}")


def _foreign(task: Task, made: Made) -> str:
    """Why a file in the place of a result, of which this is noted, is no earlier result of the task."""
    if _is_newer(task, made):
        return ""
    if made.source != str(real(task.source)) and files.digest_of(task.source) != made.of:
        return f"it was made from {made.source}"
    return "" if files.digest_of(task.target) == made.made else "it was changed since it was made"


def _is_newer(task: Task, made: Made) -> bool:
    """Whether a result is of the task's source, by its path, and not older."""
    same = made.source == str(real(task.source))
    return same and task.target.stat().st_mtime_ns >= task.source.stat().st_mtime_ns


def _returning(task: Task, records: Records) -> Task:
    """The task of decoding; it is told if its result goes where the file that was coded has been."""
    if task.error or STREAM in (task.source, task.target):
        return task
    try:
        found = records.find(task.source)
    except FileError:
        return task  # as if nothing was noted
    if found is None or found.made.source != str(real(task.target)):
        return task
    return replace(task, returns=found)


def _settled(tasks: Sequence[Task]) -> Iterator[Task]:
    """The tasks; those whose target is another's, or a source itself, become errors."""
    first: dict[Path, Path] = {}
    for task in tasks:
        if task.error or task.skipped:
            yield task
        elif _is_same(task.source, task.target):
            yield replace(task, error=f"{task.target} is {task.source} itself; another output is needed")
        elif files.is_device(task.target) or first.setdefault(task.target, task.source) is task.source:
            yield task
        else:
            made = f"{task.target} is made from {first[task.target]} already"
            yield replace(task, error=f"{task.source}: {made}; one of them needs another name")


def _is_same(source: Path, target: Path) -> bool:
    try:
        return source.samefile(target)
    except OSError:
        return False


def _kept(target: Path, force: bool) -> str:
    """Why a file that the user named may not be written."""
    try:
        there = target != STREAM and not files.is_device(target) and target.exists()
    except OSError as error:
        return f"{target}: {error.strerror}"
    return files.exists_message(target) if there and not force else ""


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
